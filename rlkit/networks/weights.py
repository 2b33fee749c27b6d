"""Weights of torsos as plain arrays, and the file that holds what a learner's torso has learned."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from zipfile import BadZipFile

import numpy as np

from rlkit.core.types import Array, UsageError
from rlkit.networks.tensors import load_module_state, module_state

if TYPE_CHECKING:
    from rlkit.networks.torsos import Torso

FILE = "encoder.npz"
"""The file in the folder of a run of ``rlkit fit learner=cnn``."""

Weights = Mapping[str, Array]

_TORSO = "torso."
_SCALE, _PREPARATIONS = "about/scale", "about/preparations"


class Encoder(NamedTuple):
    """What a learner's torso has learned."""

    weights: dict[str, Array]  # by the names that they have in the torso
    scale: float | None  # what its pixels were divided by; None: a file of weights alone does not say
    preparations: int  # transformers that rows went through before


def encoder_of(weights: Weights) -> dict[str, Array]:
    """Return the weights of the torso of a classifier, under the names that they have in the torso."""
    return {name.removeprefix(_TORSO): array.copy() for name, array in weights.items() if name.startswith(_TORSO)}


def save_encoder(path: str | Path, weights: Weights, scale: float | None = None, preparations: int = 0) -> None:
    """Write an encoder to an ``.npz`` file, in which nothing can run code.

    Args:
        path: of the file; a run of rlkit fit has it as `FILE` in its folder.
        weights: by the names that they have in the torso.
        scale: what pixels were divided by; None: nobody knows.
        preparations: transformers that rows went through before.
    """
    about = {_PREPARATIONS: preparations} if scale is None else {_PREPARATIONS: preparations, _SCALE: scale}
    arrays: dict[str, Any] = {**weights, **about}
    np.savez(path, **arrays)


def fill_torso(torso: Torso, encoder: Weights) -> None:
    """Give a torso an encoder's weights.

    Raises:
        ValueError: they are of another torso; the first that differs is named.
    """
    own = {name: tuple(array.shape) for name, array in module_state(torso).items()}
    given = {name: np.shape(array) for name, array in encoder.items()}
    for name in [*own, *given]:
        if own.get(name) != given.get(name):
            found, wanted = given.get(name, "missing"), own.get(name, "absent")
            raise ValueError(f"the encoder's {name} is {found!r}; it must be {wanted} for this torso")
    load_module_state(torso, dict(encoder))


def read_encoder(path: str | Path, key: str = "encoder") -> Encoder:
    """Return what a run of ``rlkit fit learner=cnn`` has learned.

    Args:
        path: the run's folder, its model's or anything within that; or the ``.npz`` file that `save_encoder` wrote.
        key: what the path was given as, for messages.

    Raises:
        UsageError: it is none of these, or the run's learner has no torso.
    """
    within = [Path(path), *list(Path(path).parents)[:3]]
    folder = next((one for one in within if (one / "config.yaml").is_file()), None)
    if folder is None and Path(path).is_file():
        return _read_file(Path(path), key)
    if folder is None:
        raise UsageError(f"there is no run {path}; {key}= takes the folder of a run of rlkit fit learner=cnn")
    if not (folder / FILE).is_file():
        raise UsageError(f"{key}={folder} holds no {FILE}; rlkit fit learner=cnn writes one")
    return _read_file(folder / FILE, key)


def _read_file(path: Path, key: str) -> Encoder:
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = dict(file)
    except (ValueError, TypeError, AttributeError, OSError, EOFError, BadZipFile) as error:
        raise UsageError(
            f"{key}={path} is no .npz file that save_encoder wrote; give one, or the folder of a run of "
            "rlkit fit learner=cnn"
        ) from error
    scale, preparations = arrays.pop(_SCALE, None), arrays.pop(_PREPARATIONS, 0)
    return Encoder(arrays, None if scale is None else float(scale), int(preparations))
