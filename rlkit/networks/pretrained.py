"""Torsos that begin with what `rlkit fit learner=cnn` has learned (transfer learning)."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from rlkit.core.types import Array, UsageError
from rlkit.networks.weights import Encoder, fill_torso, read_encoder

if TYPE_CHECKING:
    from rlkit.networks.torsos import Torso

KEY = "network.encoder"
"""Where an agent's encoder is named."""


def load_pretrained(torso: Torso, encoder: str | None, *, freeze: bool, fresh: bool) -> None:
    """Give `torso` the weights of an encoder.

    It stays in the mode of prediction: batch normalization keeps its statistics, and nothing is dropped out. With
    dueling streams the value's top is a new one, with noisy layers both tops are.

    Args:
        torso: made for the observations.
        encoder: what `read_encoder` reads, of a torso like it; None: it begins at random.
        freeze: its parameters are not trained either.
        fresh: the agent begins. Else the encoder is not read: a checkpoint, or the learner that has the torso made,
            fills it.

    Raises:
        UsageError: there is no such encoder, its network is another one or saw other images, or there is nothing to
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


def fill(torso: Torso, weights: dict[str, Array], encoder: str | Path, key: str = "encoder") -> None:
    """Give `torso` the `weights` of an `encoder`, which was given as `key`.

    Raises:
        UsageError: they are of another network.
    """
    try:
        fill_torso(torso, weights)
    except ValueError as error:
        raise UsageError(
            f"{key}={encoder} is of another network: {error}; fit it with network@learner.torso= and the "
            "values of network=, on images shaped as the observations"
        ) from error


def _seen_as_agents_do(encoder: str, read: Encoder, highest: Any) -> dict[str, Array]:
    """Return the weights of an encoder that was shown images as the torso shows them, bytes divided by `highest`."""
    if read.preparations or read.scale not in (highest, None):
        raise UsageError(
            f"{KEY}={encoder} was fitted to pixels divided by {read.scale:g}, after {read.preparations} preparations; "
            f"agents divide by {highest:g} and prepare nothing: fit it with learner.scale={highest:g} prepare=none"
        )
    return read.weights
