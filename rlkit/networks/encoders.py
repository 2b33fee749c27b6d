"""Torsos that begin with what `rlkit fit learner=cnn` has learnt (transfer learning)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from torch import nn

from rlkit.core import Array, UsageError

if TYPE_CHECKING:
    from rlkit.networks.torsos import Torso


def begin_with(torso: Torso, encoder: str | None, *, freeze: bool, fresh: bool) -> None:
    """Give `torso` the weights of an encoder.

    It stays in the mode of prediction: batch normalisation keeps its statistics, and nothing is dropped out. With
    dueling streams the value's top is a new one, with noisy layers both tops are.

    Args:
        torso: made for the observations.
        encoder: the folder of a run of ``rlkit fit learner=cnn`` with a torso like it; None: it begins at random.
        freeze: its parameters are not trained either.
        fresh: the agent begins. Else a checkpoint fills the torso, and the encoder's run is not read.

    Raises:
        UsageError: there is no such run, its network is another one or saw other pictures, or there is nothing to
            freeze.
    """
    if encoder is None:
        if freeze:
            raise UsageError("network.freeze=true needs network.encoder=<a run of rlkit fit learner=cnn>; give both")
        return
    torso.pretrained = True
    torso.requires_grad_(not freeze).eval()
    if fresh:
        _fill(torso, encoder)


def trainable(parameters: Iterable[nn.Parameter]) -> list[nn.Parameter]:
    """Return the parameters that are not frozen."""
    return [parameter for parameter in parameters if parameter.requires_grad]


def _fill(torso: Torso, encoder: str) -> None:
    from rlkit.learners.settings import SettingError
    from rlkit.learners.torch_network import fill_torso

    try:
        fill_torso(torso, _weights(encoder, torso.reader.highest))
    except SettingError as error:
        raise UsageError(
            f"network.encoder={encoder} is of another network: {error}; fit it with network@learner.torso= and the "
            "values of network=, on pictures shaped as the observations"
        ) from error


def _weights(encoder: str, highest: Any) -> dict[str, Array]:
    """Return the weights of the torso that a run has fitted, which divided pixels by `highest`, as the torso does."""
    from rlkit.fitting.run import FitRun
    from rlkit.learners.cnn import CNNClassifier

    model = FitRun(encoder).model
    learner = model[-1]
    if not isinstance(learner, CNNClassifier):
        raise UsageError(f"network.encoder={encoder} is a {type(learner).__name__}; rlkit fit learner=cnn makes one")
    if len(model) > 1 or learner.scale_ != highest:
        raise UsageError(
            f"network.encoder={encoder} was fitted to pixels divided by {learner.scale_:g}, after {len(model) - 1} "
            f"preparations; agents divide by {highest:g} and prepare nothing: fit it with learner.scale={highest:g} "
            "prepare=none"
        )
    return learner.encoder_state_dict()
