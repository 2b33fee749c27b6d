"""A recurrent core, whose state is carried from step to step of an episode."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from rlkit.core.types import UsageError
from rlkit.networks.torsos import Chain, Torso

CELLS = {"gru": nn.GRUCell, "lstm": nn.LSTMCell}


class StatefulCore(nn.Module):
    """A network that remembers: its state is one row of numbers [H], whose first are its output; zeros at first.

    Attributes:
        hidden_size: H.
    """

    hidden_size: int

    def make_orthogonal(self) -> None:
        """Initialize matrices as the layers around it; here they are left as they are."""

    def sequence(self, features: Tensor, hidden: Tensor, begins: Tensor) -> tuple[Tensor, Tensor]:
        """Return features [T, N, width] and the last state [N, H]; it is zeroed before steps in `begins` [T, N]."""
        outputs = []
        goes_on = ~begins.unsqueeze(-1)
        for t, step in enumerate(features):
            output, hidden = self(step, hidden * goes_on[t])
            outputs.append(output)
        return torch.stack(outputs), hidden

    def states(self, features: Tensor, hidden: Tensor, begins: Tensor) -> Tensor:
        """Return the states [T, N, H] after each step, where `sequence` returns features; arguments are as there."""
        states = []
        goes_on = ~begins.unsqueeze(-1)
        for t, step in enumerate(features):
            hidden = self(step, hidden * goes_on[t])[1]
            states.append(hidden)
        return torch.stack(states)


class Core(StatefulCore):
    """A GRU (Cho et al., 2014) or LSTM (Hochreiter & Schmidhuber, 1997) cell whose state is one row of numbers.

    Attributes:
        hidden_size: H, length of the row: the width for a GRU, twice that for an LSTM, whose memory comes second.
    """

    def __init__(
        self,
        kind: str,
        width_in: int,
        width: int,
        node: str = "agent.network",
        kinds: Sequence[str] = ("none", *CELLS),
    ):
        """Make the cell; `node` of the configuration and the `kinds` that it may have are named in messages.

        Raises:
            UsageError: `kind` is neither gru nor lstm, or the width is below 1.
        """
        super().__init__()
        if kind not in CELLS:
            raise UsageError(f"{node}.recurrent is {kind!r}; it must be one of {', '.join(kinds)}")
        if width < 1:
            raise UsageError(f"{node}.recurrent_size is {width}; it must be at least 1")
        self.cell = CELLS[kind](width_in, width)
        self.hidden_size = width * (2 if kind == "lstm" else 1)

    def make_orthogonal(self) -> None:
        """Make matrices orthogonal, those of all gates as one, and biases 0 (as CleanRL's PPO with an LSTM)."""
        for parameter in self.cell.parameters():
            if parameter.ndim == 2:
                nn.init.orthogonal_(parameter)
            else:
                nn.init.zeros_(parameter)

    def forward(self, features: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Return features [B, width] and the new state [B, H] for features [B, F] and the state `hidden` [B, H]."""
        if isinstance(self.cell, nn.GRUCell):
            after = self.cell(features, hidden)
            return after, after
        output, memory = self.cell(features, tuple(hidden.chunk(2, 1)))
        return output, torch.cat((output, memory), 1)


class Unrolling(nn.Module):
    """The layers of a torso and a core: what is to be remembered (`rlkit.networks.sequences`) -> states [B, H].

    Attributes:
        part: the name of its states among those of an agent.
        core: the core.
    """

    def __init__(self, layers: nn.Module, core: Core, part: str):
        """Use `layers`, from read observations to the core's inputs."""
        super().__init__()
        self.layers = layers
        self.core = core
        self.part = part

    def forward(self, steps: Any) -> Tensor:
        """Return the states [B, H] after the steps that are asked for."""
        states: Tensor = steps.states(self.layers, self.core, self.part)
        return states

    def step(self, x: Any, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Return features [N, F] and states [N, H] after one step, for read observations and the states before it."""
        features: Tensor
        features, hidden = self.core(self.layers(x), hidden)
        return features, hidden


class ReadSteps(nn.Module):
    """Observations of sequences as floats, by the reader of a torso."""

    def __init__(self, reader: nn.Module):
        """Use `reader`."""
        super().__init__()
        self.reader = reader

    def forward(self, steps: Any) -> Any:
        """Return the steps with read observations."""
        return steps.mapped(self.reader)


class CoreOutput(nn.Module):
    """The part of a core's state that is its output."""

    def __init__(self, width: int):
        """Keep the first `width` numbers."""
        super().__init__()
        self.width = width

    def forward(self, states: Tensor) -> Tensor:
        """Return features [B, width] of states [B, H]."""
        return states[:, : self.width]


class RecurrentTorso(Torso):
    """A torso with a core on its top: sequences (`rlkit.networks.sequences`) -> features [B, width]."""

    def __init__(self, torso: Torso, core: Core, width: int, part: str):
        """Put `core` of `width` on the torso; `part` names its states among those of an agent."""
        body = Unrolling(Chain(torso.body, torso.top), core, part)
        super().__init__(ReadSteps(torso.reader), body, lambda linear: CoreOutput(width), width)
        self.encoder, self.frozen = torso.encoder, torso.frozen
        self.hidden_size = core.hidden_size


def with_core(torso: Torso, kind: str, width: int, part: str) -> RecurrentTorso:
    """Return a torso with a core on it, of the network that is called `part` in an agent.

    Raises:
        UsageError: an unknown kind of core.
    """
    return RecurrentTorso(torso, Core(kind, torso.features, width, f"agent.{part}"), width, part)
