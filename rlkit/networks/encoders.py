"""Torsos for parts of observations that are neither images nor vectors, and the torso that joins all parts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import torch
from gymnasium import spaces
from torch import Tensor, nn

from rlkit.core.parts import at, parts_of, path_to
from rlkit.core.ranges import PositiveInt
from rlkit.core.spaces import choice_sizes
from rlkit.core.texts import Tokens
from rlkit.core.types import FromRun, UsageError
from rlkit.networks.torsos import Chain, Torso, activation_of, as_torso


class ReadParts(nn.Module):
    """The parts of a tree of observations, each as its encoder's reader shows it."""

    def __init__(self, paths: list[tuple[str | int, ...]], readers: list[nn.Module]):
        """Read the parts at the end of `paths`."""
        super().__init__()
        self._paths = paths
        self.readers = nn.ModuleList(readers)

    def forward(self, observation: Any) -> list[Tensor]:
        """Return the inputs [B, ...] of the encoders for observations that are trees of [B, ...]."""
        return [reader(at(observation, path)) for reader, path in zip(self.readers, self._paths, strict=True)]


class JoinParts(nn.Module):
    """The features of all parts beside each other."""

    def __init__(self, encoders: list[Torso]):
        """Take the body and the top of each of `encoders`."""
        super().__init__()
        self.encoders = nn.ModuleList(encoders)

    def forward(self, parts: list[Tensor]) -> Tensor:
        """Return [B, sum of all features] for the parts [B, ...] that `ReadParts` returned."""
        encoders: Any = self.encoders
        return torch.cat([one.top(one.body(part)) for one, part in zip(encoders, parts, strict=True)], 1)


class Joined(Torso):
    """An encoder for each part of a `Dict` or `Tuple`, and a fully connected layer on the features of all."""

    def __init__(
        self, observation_space: spaces.Space[Any], encoders: Mapping[str, nn.Module], joint: int, activation: str
    ):
        """Join the encoders.

        Args:
            observation_space: a `Dict` or `Tuple`.
            encoders: of all its parts, by their names (`rlkit.core.parts`); any modules that `as_torso` accepts. One
                may be for a part that is a `Dict` or `Tuple` itself.
            joint: width of the layer on top.
            activation: one of `rlkit.networks.ACTIVATIONS`.

        Raises:
            UsageError: a part has no encoder, or an encoder no part.
        """
        active, parts = activation_of(activation), parts_of(observation_space, encoders)
        for name in encoders:
            path_to(observation_space, name)
        missing = [name for name in parts if name not in encoders]
        if missing:
            raise UsageError(f"network.encoders lacks one for {', '.join(missing)}; every part needs an encoder")
        torsos = [as_torso(encoders[name], part) for name, part in parts.items()]
        reader = ReadParts([path_to(observation_space, name) for name in parts], [torso.reader for torso in torsos])
        width = sum(torso.features for torso in torsos)
        super().__init__(reader, JoinParts(torsos), lambda linear: Chain(linear(width, joint), active()), joint)


class OneHotChoices(nn.Module):
    """Discrete values as places in one table of all choices."""

    first: Tensor

    def __init__(self, sizes: list[int]):
        """Count the values of each choice behind those of the choices before it."""
        super().__init__()
        self.register_buffer("first", torch.tensor([0, *sizes[:-1]]).cumsum(0), persistent=False)

    def forward(self, observation: Tensor) -> Tensor:
        """Return [B, D] int64 of observations [B, ...] of D choices."""
        places: Tensor = observation.reshape(observation.shape[0], -1).long() + self.first
        return places


class Embedding(Torso):
    """Learned numbers for each value of a `Discrete` or `MultiDiscrete` observation."""

    def __init__(self, observation_space: FromRun[spaces.Space[Any]], size: PositiveInt):
        """Make a table with `size` numbers for each value of each choice.

        Raises:
            UsageError: observations are not discrete.
        """
        if not isinstance(observation_space, spaces.Discrete | spaces.MultiDiscrete):
            raise UsageError(f"network=embedding needs discrete observations, not {observation_space}; use network=mlp")
        sizes = choice_sizes(observation_space)
        body = Chain(nn.Embedding(sum(sizes), size), nn.Flatten())
        super().__init__(OneHotChoices(sizes), body, lambda linear: nn.Identity(), len(sizes) * size)


class ReadTokens(nn.Module):
    """The numbers of tokens, as far as the longest text of a batch goes.

    Attributes:
        whole: texts are read to the end, as a graph does, whose shapes do not depend on values.
    """

    whole = False

    def forward(self, observation: Tensor) -> Tensor:
        """Return [B, T] int64 of texts [B, length]; T is at least 1."""
        if self.whole:
            return observation.long()
        longest = int((observation != 0).sum(1).max().clamp(min=1))
        return observation[:, :longest].long()


class TokenFeatures(nn.Module):
    """The features of texts: the state of a GRU (Cho et al., 2014) after the last token, or the mean of all tokens.

    Attributes:
        whole: equal texts are read each by itself, as a graph does, whose shapes do not depend on values.
    """

    whole = False

    def __init__(self, vocabulary: int, size: int, hidden: int, pooling: str):
        """Make `size` numbers for each of the tokens, of which 0 is none, and a GRU of width `hidden`."""
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, size, padding_idx=0)
        self.cell = nn.GRUCell(size, hidden) if pooling == "gru" else None

    def forward(self, tokens: Tensor) -> Tensor:
        """Return [B, hidden], or [B, size] of means, for tokens [B, T]; zeros for a text of none.

        Steps of the same episodes have the same text: each is read once.
        """
        if self.whole or torch._C._functorch.is_batchedtensor(tokens):  # within `torch.vmap` results have fixed shapes
            return self._read(tokens)
        texts, places = torch.unique(tokens, dim=0, return_inverse=True)
        return self._read(texts)[places]

    def _read(self, tokens: Tensor) -> Tensor:
        there, embedded = tokens != 0, self.tokens(tokens)
        if self.cell is None:
            mean: Tensor = embedded.sum(1) / there.sum(1, keepdim=True).clamp(min=1)
            return mean
        state: Tensor = embedded.new_zeros(tokens.shape[0], self.cell.hidden_size)
        for t in range(tokens.shape[1]):
            state = torch.where(there[:, t : t + 1], self.cell(embedded[:, t], state), state)
        return state


class TextEncoder(Torso):
    """A torso for texts, whose tokens are numbers."""

    def __init__(
        self,
        observation_space: FromRun[spaces.Space[Any]],
        size: PositiveInt,
        hidden: PositiveInt,
        pooling: Literal["gru", "mean"],
    ):
        """Make the layers.

        Args:
            observation_space: of one environment, `rlkit.core.texts.Tokens`.
            size: numbers for each token.
            hidden: width of the features.
            pooling: ``gru`` reads token by token; ``mean`` ignores their order, for which there is a layer on top.

        Raises:
            UsageError: observations are no texts.
        """
        if not isinstance(observation_space, Tokens):
            raise UsageError(f"network=text needs texts, not {observation_space}; use network=auto")
        features = TokenFeatures(observation_space.vocabulary, size, hidden, pooling)
        if pooling == "gru":
            super().__init__(ReadTokens(), features, lambda linear: nn.Identity(), hidden)
        else:
            super().__init__(ReadTokens(), features, lambda linear: Chain(linear(size, hidden), nn.ReLU()), hidden)


class SymbolTable(nn.Module):
    """Cells of symbols as the sums of what is learned for each symbol of theirs."""

    def __init__(self, channels: int, symbols: int, size: int):
        """Make `size` numbers for each of `symbols` of each channel."""
        super().__init__()
        self.table = nn.Embedding(channels * symbols, size)

    def forward(self, places: Tensor) -> Tensor:
        """Return [B, size, H, W] for the places [B, H, W, C] of symbols in the table."""
        cells: Tensor = self.table(places).sum(3)
        return cells.movedim(3, 1)


class Symbols(nn.Module):
    """Grids of symbols as places in one table of all channels."""

    first: Tensor

    def __init__(self, channels: int, symbols: int):
        """Count the symbols of a channel behind those of the channels before it."""
        super().__init__()
        self.register_buffer("first", torch.arange(channels) * symbols, persistent=False)

    def forward(self, observation: Tensor) -> Tensor:
        """Return [B, H, W, C] int64 of grids [B, H, W, C]."""
        places: Tensor = observation.long() + self.first
        return places


class SymbolGrid(Torso):
    """A torso for grids [H, W, C] of bytes that are symbols (kinds, colors, states), not brightness, as MiniGrid's.

    After the bag of words for MiniGrid of Hui et al. (2020): the symbols of a cell are looked up and added, then come
    two convolutions.
    """

    def __init__(
        self,
        observation_space: FromRun[spaces.Space[Any]],
        size: PositiveInt,
        filters: PositiveInt,
        hidden: PositiveInt,
    ):
        """Make the layers.

        Args:
            observation_space: of one environment.
            size: numbers for each symbol.
            filters: channels of both convolutions, which keep the size of the grid.
            hidden: width of the fully connected layer on top.

        Raises:
            UsageError: observations are no grids of bytes.
        """
        shape = observation_space.shape or ()
        if not isinstance(observation_space, spaces.Box) or len(shape) != 3 or observation_space.dtype.kind not in "ui":
            raise UsageError(f"network=symbols needs grids [rows, columns, channels] of bytes, not {observation_space}")
        symbols = int(observation_space.high.max()) + 1
        body = Chain(
            SymbolTable(shape[2], symbols, size),
            nn.Conv2d(size, filters, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(filters, filters, 3, padding=1),
            nn.ReLU(),
            nn.Flatten(),
        )
        width = filters * shape[0] * shape[1]
        super().__init__(
            Symbols(shape[2], symbols), body, lambda linear: Chain(linear(width, hidden), nn.ReLU()), hidden
        )
