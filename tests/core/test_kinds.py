"""What kind of object a value is, as messages say it."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np
import pytest

from rlkit.core.types import a_kind


@pytest.mark.parametrize(
    ("value", "said"),
    [(1, "an int"), (1.0, "a float"), (None, "a NoneType"), (OrderedDict(), "an OrderedDict")],
)
def test_a_kind_has_its_article(value: Any, said: str) -> None:
    assert a_kind(value) == said
    assert a_kind(np.zeros(1)) == "an ndarray"
