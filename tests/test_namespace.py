"""What `import rlkit` offers, and what it does not load for it."""

from __future__ import annotations

import subprocess
import sys

import pytest

import rlkit
from rlkit.core.distribution import own_version


def test_every_name_is_there_and_listed() -> None:
    assert rlkit.__version__ == own_version()
    for name in rlkit.__all__:
        assert getattr(rlkit, name) is not None
        assert name in dir(rlkit)
    with pytest.raises(AttributeError, match="module 'rlkit' has no attribute 'tran'"):
        _ = rlkit.tran


def test_protocols_callbacks_and_errors_load_nothing_heavy() -> None:
    code = (
        "import sys, rlkit\n"
        "assert not {'numpy', 'hydra'} & set(sys.modules)\n"
        "rlkit.Callback, rlkit.UsageError, rlkit.Agent, rlkit.interact\n"
        "assert not {'torch', 'wandb', 'matplotlib', 'hydra', 'gymnasium.wrappers'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
