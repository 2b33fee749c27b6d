"""Torsos that begin with what `rlkit fit learner=cnn` has learnt (transfer learning)."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from zipfile import BadZipFile

import numpy as np
from torch import nn

from rlkit.core.types import Array, UsageError

if TYPE_CHECKING:
    from rlkit.networks.torsos import Torso

KEY = "network.encoder"
"""Where an agent's encoder is named."""


class Encoder(NamedTuple):
    """What a learner's torso has learnt."""

    weights: dict[str, Array]  # by the names that they have in the torso
    scale: float | None  # what its pixels were divided by; None: a file of weights alone does not say
    preparations: int  # transformers that rows went through before


def begin_with(torso: Torso, encoder: str | None, *, freeze: bool, fresh: bool) -> None:
    """Give `torso` the weights of an encoder.

    It stays in the mode of prediction: batch normalisation keeps its statistics, and nothing is dropped out. With
    dueling streams the value's top is a new one, with noisy layers both tops are.

    Args:
        torso: made for the observations.
        encoder: what `read_encoder` reads, of a torso like it; None: it begins at random.
        freeze: its parameters are not trained either.
        fresh: the agent begins. Else the encoder is not read: a checkpoint, or the learner that has the torso made,
            fills it.

    Raises:
        UsageError: there is no such encoder, its network is another one or saw other pictures, or there is nothing to
            freeze.
    """
    torso.encoder, torso.frozen = encoder, freeze
    if encoder is None:
        if freeze and fresh:
            raise UsageError("network.freeze=true needs network.encoder=<a run of rlkit fit learner=cnn>; give both")
        return
    torso.requires_grad_(not freeze).eval()
    if fresh:
        seen = _seen_as_agents_do(encoder, read_encoder(encoder, KEY), torso.reader.highest)
        fill(torso, seen, encoder, KEY)


def trainable(parameters: Iterable[nn.Parameter]) -> list[nn.Parameter]:
    """Return the parameters that are not frozen."""
    return [parameter for parameter in parameters if parameter.requires_grad]


def read_encoder(path: str | Path, key: str = "encoder") -> Encoder:
    """Return what a run of ``rlkit fit learner=cnn`` has learnt.

    Args:
        path: the run's folder, its model's or anything within that; or the ``.npz`` file that `save_encoder` wrote.
        key: what the path was given as, for messages.

    Raises:
        UsageError: it is none of these, or the run's learner has no torso.
    """
    within = [Path(path), *list(Path(path).parents)[:3]]
    folder = next((one for one in within if (one / "config.yaml").is_file()), Path(path))
    return _read_file(folder, key) if folder.is_file() else _read_run(folder, key)


def fill(torso: Torso, weights: dict[str, Array], encoder: str | Path, key: str = "encoder") -> None:
    """Give `torso` the `weights` of an `encoder`, which was given as `key`.

    Raises:
        UsageError: they are of another network.
    """
    from rlkit.learners.estimators.settings import SettingError
    from rlkit.learners.estimators.torch_network import fill_torso

    try:
        fill_torso(torso, weights)
    except SettingError as error:
        raise UsageError(
            f"{key}={encoder} is of another network: {error}; fit it with network@learner.torso= and the "
            "values of network=, on pictures shaped as the observations"
        ) from error


def _read_file(path: Path, key: str) -> Encoder:
    try:
        with np.load(path, allow_pickle=False) as file:
            return Encoder(dict(file), None, 0)
    except (ValueError, TypeError, AttributeError, OSError, EOFError, BadZipFile) as error:
        raise UsageError(
            f"{key}={path} is no .npz file that save_encoder wrote; give one, or the folder of a run of "
            "rlkit fit learner=cnn"
        ) from error


def _read_run(folder: Path, key: str) -> Encoder:
    from rlkit.fitting.run import FitRun
    from rlkit.learners.estimators.torch_base import TorsoClassifier

    model = FitRun(folder).model
    learner = model[-1]
    if not isinstance(learner, TorsoClassifier):
        raise UsageError(f"{key}={folder} is a {type(learner).__name__}; rlkit fit learner=cnn makes one")
    return Encoder(learner.encoder_state_dict(), float(learner.scale_), len(model) - 1)


def _seen_as_agents_do(encoder: str, read: Encoder, highest: Any) -> dict[str, Array]:
    """Return the weights of an encoder that was shown pictures as the torso shows them, bytes divided by `highest`."""
    if read.preparations or read.scale not in (highest, None):
        raise UsageError(
            f"{KEY}={encoder} was fitted to pixels divided by {read.scale:g}, after {read.preparations} preparations; "
            f"agents divide by {highest:g} and prepare nothing: fit it with learner.scale={highest:g} prepare=none"
        )
    return read.weights
