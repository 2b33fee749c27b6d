"""Weights of torsos as plain arrays, and the file with the weights of a learner's torso."""

from __future__ import annotations

import io
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from zipfile import BadZipFile

import numpy as np

from rlkit.core.files import read_bytes, write_whole
from rlkit.core.types import Array, UsageError
from rlkit.networks.tensors import load_module_state, module_state

if TYPE_CHECKING:
    from rlkit.networks.torsos import Torso

FILE = "encoder.npz"
"""The file in the folder of a run of ``rlkit fit learner=cnn``."""

Weights = Mapping[str, Array]

_TORSO = "torso."
_SCALE, _PREPARATIONS = "about/scale", "about/preparations"


DAMAGED = (
    *(ValueError, TypeError, AttributeError, OSError, EOFError, LookupError, ArithmeticError, RuntimeError),
    *(BadZipFile, zlib.error),
)
"""What reading arrays of a damaged file raises."""


class Encoder(NamedTuple):
    """The trained weights of a learner's torso."""

    weights: dict[str, Array]  # by their names in the torso
    scale: float | None  # the divisor of its pixels; None: not known
    preparations: int  # number of transformers applied to the rows before


def encoder_of(weights: Weights) -> dict[str, Array]:
    """Return the weights of a classifier's torso, by their names in the torso."""
    return {name.removeprefix(_TORSO): array.copy() for name, array in weights.items() if name.startswith(_TORSO)}


def save_encoder(path: str | Path, weights: Weights, scale: float | None = None, preparations: int = 0) -> None:
    """Write an encoder to an ``.npz`` file, which cannot run code when loaded.

    Args:
        path: of the file; it is `FILE` in the folder of a run of rlkit fit.
        weights: by their names in the torso.
        scale: the divisor of pixels; None: not known.
        preparations: number of transformers applied to the rows before.

    Raises:
        RunError: it cannot be written, or the disk is full; the file that was there is as before.
    """
    about = {_PREPARATIONS: preparations} if scale is None else {_PREPARATIONS: preparations, _SCALE: scale}
    arrays: dict[str, Any] = {**weights, **about}
    content = io.BytesIO()
    np.savez(content, **arrays)
    path = Path(path)
    write_whole(path if path.suffix == ".npz" else path.with_name(f"{path.name}.npz"), content.getvalue())


def fill_torso(torso: Torso, encoder: Weights) -> None:
    """Load an encoder's weights into a torso.

    Raises:
        ValueError: they are of another torso; the first that differs is named.
    """
    own = {name: tuple(array.shape) for name, array in module_state(torso).items()}
    given = {name: np.shape(array) for name, array in encoder.items()}
    for name in [*own, *given]:
        if own.get(name) != given.get(name):
            actual = given.get(name, "missing")
            expected = own.get(name, "absent")
            raise ValueError(f"the encoder's {name} is {actual!r}; it must be {expected} for this torso")
    load_module_state(torso, dict(encoder))


def read_encoder(path: str | Path, key: str = "encoder") -> Encoder:
    """Return the encoder that a run of ``rlkit fit learner=cnn`` trained.

    Args:
        path: the run's folder, its model's folder or a path inside it; or an ``.npz`` file of `save_encoder`.
        key: the setting that the path is the value of, for messages.

    Raises:
        UsageError: it is none of these, or the run's learner has no torso.
    """
    within = [Path(path), *list(Path(path).parents)[:3]]
    folder = next((one for one in within if (one / "config.yaml").is_file()), None)
    if folder is None and Path(path).is_file():
        return _read_file(Path(path), key)
    if folder is None:
        raise UsageError(f"there is no run {path}; {key}= needs the folder of a run of rlkit fit learner=cnn")
    if not (folder / FILE).is_file():
        raise UsageError(f"{key}={folder} has no {FILE}; rlkit fit learner=cnn writes one")
    return _read_file(folder / FILE, key)


def _read_file(path: Path, key: str) -> Encoder:
    try:
        with np.load(io.BytesIO(read_bytes(path)), allow_pickle=False) as file:
            arrays = dict(file)
        scale, preparations = arrays.pop(_SCALE, None), int(arrays.pop(_PREPARATIONS, 0))
        return Encoder(arrays, None if scale is None else float(scale), preparations)
    except DAMAGED as error:
        raise UsageError(
            f"{key}={path} is not an .npz file of save_encoder; give one, or the folder of a run of "
            "rlkit fit learner=cnn"
        ) from error
