"""Loading the data set that a configuration names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rlkit.config import instantiate
from rlkit.core.seeding import Seeds
from rlkit.core.types import UsageError, a_kind
from rlkit.learners.datasets.dataset import Dataset


def load_data(node: Mapping[str, Any], seed: int, notify: Callable[[str], None]) -> Dataset:
    """Return the data set that the node `data` of a configuration describes.

    Args:
        node: plain data.
        seed: of the run; what is drawn for the data comes from it.
        notify: takes a line for the user.

    Its function can ask (`rlkit.config.injection` says how) for `rng`, a NumPy generator of its own, and for `notify`,
    which takes a line for the user.

    Raises:
        UsageError: it does not fit its options, or a file is not there.
        RunError: it cannot be downloaded.
    """
    context: instantiate.Context = {"rng": Seeds(seed).generator, "notify": lambda path: notify}
    found = instantiate.build(node, context, "data")
    if not isinstance(found, Dataset):
        raise UsageError(f"data._target_ {node['_target_']} made {a_kind(found)}, not a Dataset")
    for line in found.notes:
        notify(line)
    return found
