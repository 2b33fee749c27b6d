"""A recurrent core, whose state is carried from step to step of an episode."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rlkit.core.types import UsageError

CELLS = {"gru": nn.GRUCell, "lstm": nn.LSTMCell}


class Core(nn.Module):
    """A GRU (Cho et al., 2014) or LSTM (Hochreiter & Schmidhuber, 1997) cell whose state is one row of numbers.

    Attributes:
        hidden_size: H, length of the row: the width for a GRU, twice that for an LSTM, whose memory comes second.
    """

    def __init__(self, kind: str, width_in: int, width: int):
        """Make the cell.

        Raises:
            UsageError: `kind` is neither gru nor lstm, or the width is below 1.
        """
        super().__init__()
        if kind not in CELLS:
            raise UsageError(f"agent.network.recurrent is {kind!r}; it must be one of none, {', '.join(CELLS)}")
        if width < 1:
            raise UsageError(f"agent.network.recurrent_size is {width}; it must be at least 1")
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

    def sequence(self, features: Tensor, hidden: Tensor, begins: Tensor) -> tuple[Tensor, Tensor]:
        """Return features [T, N, width] and the last state [N, H]; it is zeroed before steps in `begins` [T, N]."""
        outputs = []
        goes_on = ~begins.unsqueeze(-1)
        for t, step in enumerate(features):
            output, hidden = self(step, hidden * goes_on[t])
            outputs.append(output)
        return torch.stack(outputs), hidden
