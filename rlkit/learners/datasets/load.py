"""Loading the data set that a configuration names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rlkit.config import instantiate
from rlkit.core.seeding import Seeds
from rlkit.core.types import UsageError
from rlkit.learners.datasets.dataset import Dataset


def load_data(config: Mapping[str, Any], tell: Callable[[str], None]) -> Dataset:
    """Return the data set that the node `data` describes; what is drawn for it comes from the run's seed.

    Raises:
        UsageError: it does not fit its options, or a file is not there.
        RunError: it cannot be downloaded.
    """
    context: instantiate.Context = {"rng": Seeds(config["seed"]).generator, "tell": lambda path: tell}
    found = instantiate.build(config["data"], context, "data")
    if not isinstance(found, Dataset):
        raise UsageError(f"data._target_ {config['data']['_target_']} made a {type(found).__name__}, not a Dataset")
    for line in found.notes:
        tell(line)
    return found
