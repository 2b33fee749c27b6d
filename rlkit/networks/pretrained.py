"""Torsos that start from weights trained by `rlkit fit learner=cnn` (transfer learning)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlkit.core.types import Array, UsageError
from rlkit.networks.weights import Encoder, fill_torso, read_encoder

if TYPE_CHECKING:
    from rlkit.networks.torsos import Torso

KEY = "network.encoder"
"""The key of an agent's encoder."""


def load_pretrained(torso: Torso, encoder: str | None, *, freeze: bool, fresh: bool) -> None:
    """Load the weights of an encoder into `torso`.

    The torso stays in evaluation mode: batch normalization keeps its statistics, and nothing is dropped. With dueling
    streams the value's top is new, with noisy layers both tops are.

    Args:
        torso: made for the observations.
        encoder: path for `read_encoder`, of an equal torso; None: `torso` keeps its random weights.
        freeze: do not train its parameters.
        fresh: the agent is new. Otherwise the encoder is not read: a checkpoint, or the learner that made the torso,
            loads the weights.

    Raises:
        UsageError: there is no such encoder, it is of another network or of images of another scale, or there is
            nothing to freeze.
    """
    torso.encoder = encoder
    torso.frozen = freeze
    if encoder is None:
        if freeze and fresh:
            raise UsageError("network.freeze=true needs network.encoder=<a run of rlkit fit learner=cnn>; set both")
        return
    torso.requires_grad_(not freeze).eval()
    if fresh:
        weights = _require_same_scale(encoder, read_encoder(encoder, KEY), torso.reader.highest)
        fill(torso, weights, encoder, KEY)


def fill(torso: Torso, weights: dict[str, Array], encoder: str | Path, key: str = "encoder") -> None:
    """Load the `weights` of an `encoder`, the value of the setting `key`, into `torso`.

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


def _require_same_scale(encoder: str, read: Encoder, highest: Any) -> dict[str, Array]:
    """Return the weights of an encoder if it was trained on images as in the torso, bytes divided by `highest`."""
    if read.preparations or read.scale not in (highest, None):
        raise UsageError(
            f"{KEY}={encoder} was fitted to pixels divided by {read.scale:g}, after {read.preparations} preparations; "
            f"agents divide by {highest:g} and prepare nothing: fit it with learner.scale={highest:g} prepare=none"
        )
    return read.weights
