"""The choice of a torso by the observations (torch). Only the modules of those that are chosen are imported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gymnasium import spaces
from torch import nn

from rlkit.core.parts import parts_of, path_to
from rlkit.core.ranges import PositiveInt
from rlkit.core.spaces import COMPOSED_SPACES, SymbolSpace, choice_sizes
from rlkit.core.texts import Tokens
from rlkit.core.types import FromRun, UsageError
from rlkit.networks.observations import is_board, is_image
from rlkit.networks.torsos import MLP, Torso

ONE_HOT = 64
"""Values of a discrete part up to which it is shown one-hot; from there on numbers are learned for each."""


def auto(
    observation_space: FromRun[spaces.Space[Any]],
    hidden: Sequence[PositiveInt],
    activation: str,
    layer_norm: bool,
    *,
    channel_order: str = "auto",
    joint: PositiveInt = 256,
    encoders: Mapping[str, nn.Module] | None = None,
) -> Torso:
    """Return the torso that fits.

    By their size one of three for images, `ResidualBoard` for boards, `SymbolGrid` for grids of symbols, `TextEncoder`
    for texts, else an `MLP`. For a `Dict` or `Tuple` there is one for each part: so chosen, but a discrete part of many
    values has an `Embedding`.

    Args:
        observation_space: of one environment.
        hidden: width of each layer of an `MLP`.
        activation: of an `MLP` and of the layer that joins parts, one of `ACTIVATIONS`.
        layer_norm: of an `MLP`, and of a `ResidualBoard`.
        channel_order: of images, as in `Image`.
        joint: width of the layer that joins the features of all parts.
        encoders: modules for parts, by name, in place of those that would be chosen.

    Raises:
        UsageError: there are `encoders`, and no such parts.
    """
    mlp = (hidden, activation, layer_norm)
    if not isinstance(observation_space, COMPOSED_SPACES):
        if encoders:
            raise UsageError(f"network.encoders is for Dict and Tuple observations, not {observation_space}; leave it")
        return _of_array(observation_space, mlp, channel_order)
    from rlkit.networks.encoders import Joined

    given = dict(encoders or {})
    for name in given:
        path_to(observation_space, name)
    chosen = {
        name: given[name] if name in given else _of_part(part, mlp, channel_order)
        for name, part in parts_of(observation_space, given).items()
    }
    return Joined(observation_space, {**given, **chosen}, joint, activation)


def _of_part(space: spaces.Space[Any], mlp: tuple[Sequence[int], str, bool], channel_order: str) -> Torso:
    """Return the encoder that fits a part of a `Dict` or `Tuple`."""
    if not isinstance(space, spaces.Discrete | spaces.MultiDiscrete) or isinstance(space, Tokens):
        return _of_array(space, mlp, channel_order)
    if sum(choice_sizes(space)) <= ONE_HOT:
        return MLP(space, [], *mlp[1:])
    from rlkit.networks.encoders import Embedding

    return Embedding(space, size=32)


def _of_array(space: spaces.Space[Any], mlp: tuple[Sequence[int], str, bool], channel_order: str) -> Torso:
    """Return the torso that fits observations that are one array."""
    if isinstance(space, SymbolSpace) and len(space.shape) == 3:
        from rlkit.networks.encoders import SymbolGrid

        return SymbolGrid(space, size=16, filters=16, hidden=64)
    if is_image(space):
        return _for_images(space, channel_order)
    if is_board(space):
        from rlkit.networks.boards import ResidualBoard

        return ResidualBoard(space, filters=32, blocks=3, hidden=128, layer_norm=mlp[2])
    if isinstance(space, Tokens):
        from rlkit.networks.encoders import TextEncoder

        return TextEncoder(space, size=32, hidden=64, pooling="gru")
    return MLP(space, *mlp)


def _for_images(space: spaces.Space[Any], channel_order: str) -> Torso:
    """Return the torso that fits the size of images."""
    from rlkit.networks.convolutional import ImpalaCNN, NatureCNN, SmallCNN, fitting

    kind = fitting(space, channel_order)[0]
    if kind == "nature":
        return NatureCNN(space, hidden=512, channel_order=channel_order)
    if kind == "small":
        return SmallCNN(space, hidden=256, channel_order=channel_order)
    return ImpalaCNN(space, depths=(16, 32, 32), blocks=2, hidden=256, channel_order=channel_order)
