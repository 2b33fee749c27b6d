"""The choice of a torso by the observations (torch). Only the module of the one that is chosen is imported."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gymnasium import spaces

from rlkit.core.ranges import PositiveInt
from rlkit.core.types import FromRun
from rlkit.networks.observations import is_board, is_image
from rlkit.networks.torsos import MLP, Torso


def auto(
    observation_space: FromRun[spaces.Space[Any]], hidden: Sequence[PositiveInt], activation: str, layer_norm: bool
) -> Torso:
    """Return the torso that fits: by their size one of three for images, `ResidualBoard` for boards, else an `MLP`."""
    if is_image(observation_space):
        return _for_images(observation_space)
    if is_board(observation_space):
        from rlkit.networks.boards import ResidualBoard

        return ResidualBoard(observation_space, filters=32, blocks=3, hidden=128)
    return MLP(observation_space, hidden, activation, layer_norm)


def _for_images(observation_space: spaces.Space[Any]) -> Torso:
    """Return the torso that fits the size of images."""
    from rlkit.networks.convolutional import ImpalaCNN, NatureCNN, SmallCNN, fitting

    kind = fitting(observation_space)[0]
    if kind == "nature":
        return NatureCNN(observation_space, hidden=512)
    if kind == "small":
        return SmallCNN(observation_space, hidden=256)
    return ImpalaCNN(observation_space, depths=(16, 32, 32), blocks=2, hidden=256)
