"""A transformer as a recurrent core: its memory is one row of numbers, as that of a GRU is.

B rows, T steps, N environments, W numbers of a step, L layers, M steps that are remembered.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import relu, scaled_dot_product_attention

from rlkit.core.ranges import PositiveInt
from rlkit.core.types import UsageError
from rlkit.networks.recurrent import StatefulCore


class TransformerCore(StatefulCore):
    """A gated transformer with a memory (GTrXL: Parisotto et al., 2020; the memory: Dai et al., 2019).

    A step attends to itself and to the M before it in its episode, in each layer: what a layer met there is its memory.
    How far a step is away counts by a learned bias of each head (Raffel et al., 2020). A state is a row: the output [W]
    of the last step, what each layer met in the last M steps [L M W], and how many of these are of this episode.

    Attributes:
        hidden_size: H, length of that row; zeros: nothing was met.
    """

    def __init__(
        self,
        width_in: int,
        width: int,
        *,
        layers: PositiveInt,
        heads: PositiveInt,
        memory: PositiveInt,
        node: str = "agent.network.transformer",
    ):
        """Make the layers; `node` of the configuration is named in messages.

        Raises:
            UsageError: a number below 1, or heads that do not divide the width.
        """
        super().__init__()
        for name, value in {"layers": layers, "heads": heads, "memory": memory}.items():
            if value < 1:
                raise UsageError(f"{node}.{name} is {value}; it must be at least 1")
        if width < 1 or width % heads:
            raise UsageError(f"{node}.heads is {heads}; it must divide agent.network.recurrent_size={width}")
        self.width, self.memory = width, memory
        self.embed = nn.Linear(width_in, width)
        self.blocks = nn.ModuleList(GatedBlock(width, heads, memory) for _ in range(layers))
        self.hidden_size = width + layers * memory * width + 1

    def forward(self, features: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Return features [B, W] and the new state [B, H] for features [B, F] and the state `hidden` [B, H]."""
        begins = torch.zeros((1, len(features)), dtype=torch.bool, device=features.device)
        outputs, hidden = self.sequence(features[None], hidden, begins)
        return outputs[0], hidden

    def sequence(self, features: Tensor, hidden: Tensor, begins: Tensor) -> tuple[Tensor, Tensor]:
        """Return features [T, N, W] and the last state [N, H]; it is zeroed before steps in `begins` [T, N].

        All steps are computed at once.
        """
        known, episode = hidden[:, -1], begins.T.long().cumsum(1)
        past = hidden[:, self.width : -1].view(-1, len(self.blocks), self.memory, self.width)
        seen = self._seen(known, episode)
        x, kept = self.embed(features.transpose(0, 1)), []
        for number, block in enumerate(self.blocks):
            met = torch.cat((past[:, number], x), 1)
            kept.append(met[:, -self.memory :])
            x = block(x, met, seen)
        last = episode == episode[:, -1:]
        steps = last.sum(1) + torch.where(episode[:, -1] == 0, known, 0.0)
        state = (x[:, -1], torch.stack(kept, 1).flatten(1), steps.clamp(max=self.memory)[:, None])
        return x.transpose(0, 1), torch.cat(state, 1)

    def _seen(self, known: Tensor, episode: Tensor) -> Tensor:
        """Return [N, T, M + T] bool, which steps of memory and sequence each step attends to.

        Args:
            known: [N] float, steps of the memory that are of the first episode.
            episode: [N, T] int64, numbers of episodes; that of the memory is 0.
        """
        steps = torch.arange(-self.memory, episode.shape[1], device=episode.device)
        distance = steps[self.memory :, None] - steps
        near = (distance >= 0) & (distance <= self.memory)
        there = torch.cat((steps[: self.memory] >= -known[:, None], torch.ones_like(episode, dtype=torch.bool)), 1)
        whose = torch.cat((torch.zeros_like(episode[:, :1]).expand(-1, self.memory), episode), 1)
        return near & there[:, None] & (episode[:, :, None] == whose[:, None])


class GatedBlock(nn.Module):
    """Attention and two fully connected layers, each normalized before and gated behind."""

    def __init__(self, width: int, heads: int, memory: int):
        """Make the parts for steps of `width` numbers."""
        super().__init__()
        self.norm, self.attention, self.gate = nn.LayerNorm(width), MemoryAttention(width, heads, memory), Gate(width)
        self.norm_inner, self.gate_inner = nn.LayerNorm(width), Gate(width)
        self.inner = nn.Sequential(nn.Linear(width, 4 * width), nn.ReLU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor, met: Tensor, seen: Tensor) -> Tensor:
        """Return [N, T, W] for steps x [N, T, W] that attend to those of `met` [N, M + T, W] that are `seen`."""
        x = self.gate(x, relu(self.attention(self.norm(x), self.norm(met), seen)))
        return self.gate_inner(x, relu(self.inner(self.norm_inner(x))))  # type: ignore[no-any-return]


class MemoryAttention(nn.Module):
    """Scaled dot-product attention of several heads (Vaswani et al., 2017), with a bias for each distance."""

    def __init__(self, width: int, heads: int, memory: int):
        """Make the projections of `width` numbers, for distances up to `memory`."""
        super().__init__()
        self.heads = heads
        self.query, self.pair, self.out = (nn.Linear(width, size) for size in (width, 2 * width, width))
        self.bias = nn.Parameter(torch.zeros(heads, memory + 1))

    def forward(self, x: Tensor, met: Tensor, seen: Tensor) -> Tensor:
        """Return [N, T, W] for queries x [N, T, W], keys and values of `met` [N, S, W], `seen` [N, T, S] bool."""
        query = self._by_head(self.query(x))
        key, value = map(self._by_head, self.pair(met).chunk(2, 2))
        _, steps, all_steps = seen.shape
        places = torch.arange(all_steps, device=x.device)
        distance = (places[all_steps - steps :, None] - places).clamp(0, self.bias.shape[1] - 1)
        mask = self.bias[:, distance].masked_fill(~seen[:, None], -torch.inf)
        found = scaled_dot_product_attention(query, key, value, attn_mask=mask)
        return self.out(found.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]

    def _by_head(self, x: Tensor) -> Tensor:
        return x.view(*x.shape[:2], self.heads, -1).transpose(1, 2)


class Gate(nn.Module):
    """The gate of a GRU in place of a sum; at first it mostly keeps what was there (Parisotto et al., 2020)."""

    def __init__(self, width: int, bias: float = 2.0):
        """Make the gates; with a larger `bias` more is kept at first."""
        super().__init__()
        self.of_new, self.of_old = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, 2 * width, bias=False)
        self.of_reset = nn.Linear(width, width, bias=False)
        self.bias = nn.Parameter(torch.full((width,), bias))

    def forward(self, old: Tensor, new: Tensor) -> Tensor:
        """Return [..., W] of what was there and what is new, [..., W] each."""
        r_new, z_new, h_new = self.of_new(new).chunk(3, -1)
        r_old, z_old = self.of_old(old).chunk(2, -1)
        z = torch.sigmoid(z_new + z_old - self.bias)
        candidate: Any = torch.tanh(h_new + self.of_reset(torch.sigmoid(r_new + r_old) * old))
        return (1 - z) * old + z * candidate  # type: ignore[no-any-return]
