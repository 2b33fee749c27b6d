"""A transformer as a core: all steps at once are what one step after the other is, and nothing else is seen."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from rlkit.core.types import UsageError
from rlkit.networks.attention import Gate, MemoryAttention, TransformerCore
from rlkit.networks.recurrent import StatefulCore

N, F, W = 3, 5, 8


def core(memory: int = 4, layers: int = 2) -> TransformerCore:
    torch.manual_seed(1)
    made = TransformerCore(F, W, layers=layers, heads=2, memory=memory).double()
    for parameter in made.parameters():
        # Biases of distances and gates begin at constants, which would hide mistakes.
        torch.nn.init.normal_(parameter, 0, 0.5)
    return made


class TestSequence:
    @settings(max_examples=15, deadline=None)
    @given(
        steps=st.integers(1, 9),
        memory=st.integers(1, 5),
        begins=st.lists(st.integers(0, 26), max_size=5),
        warm=st.integers(0, 6),
    )
    def test_it_is_one_step_after_the_other(self, steps: int, memory: int, begins: list[int], warm: int) -> None:
        made = core(memory)
        features = torch.randn(warm + steps, N, F, dtype=torch.float64)
        starts = torch.zeros(warm + steps, N, dtype=torch.bool)
        for place in begins:
            starts.view(-1)[place % starts.numel()] = True
        state = torch.zeros(N, made.hidden_size, dtype=torch.float64)
        if warm:
            _, state = StatefulCore.sequence(made, features[:warm], state, starts[:warm])
        state = state.detach()

        found = [
            kind(made, features[warm:], state, starts[warm:])
            for kind in (TransformerCore.sequence, StatefulCore.sequence)
        ]
        torch.testing.assert_close(found[0][0], found[1][0])
        # What an episode left in the memory may differ where it does not count any more.
        torch.testing.assert_close(found[0][1][:, :W], found[1][1][:, :W])
        torch.testing.assert_close(found[0][1][:, -1], found[1][1][:, -1])
        after = torch.randn(N, F, dtype=torch.float64)
        torch.testing.assert_close(*(made(after, state)[0] for _, state in found))
        gradients = []
        for outputs, _ in found:
            made.zero_grad()
            outputs.square().sum().backward()
            gradients.append([parameter.grad.clone() for parameter in made.parameters()])
        torch.testing.assert_close(*gradients)

    def test_a_row_of_zeros_is_the_start_of_an_episode(self) -> None:
        made, features = core(), torch.randn(6, N, F, dtype=torch.float64)
        zeros = torch.zeros(N, made.hidden_size, dtype=torch.float64)
        none = torch.zeros(6, N, dtype=torch.bool)
        _, used = made.sequence(features, zeros, none)
        first = none.clone()
        first[0] = True
        torch.testing.assert_close(made.sequence(features, used, first)[0], made.sequence(features, zeros, none)[0])

    @pytest.mark.parametrize("layers", [1, 2])
    def test_it_sees_as_far_back_as_its_layers_together_and_no_further(self, layers: int) -> None:
        made = core(memory=2, layers=layers)
        features = torch.randn(9, 1, F, dtype=torch.float64, requires_grad=True)
        zeros = torch.zeros(1, made.hidden_size, dtype=torch.float64)
        made.sequence(features, zeros, torch.zeros(9, 1, dtype=torch.bool))[0][8].sum().backward()
        assert features.grad is not None
        seen = features.grad.abs().sum((1, 2)) > 0
        assert seen.tolist() == [t >= 8 - 2 * layers for t in range(9)]


class TestParts:
    def test_attention_is_that_of_torch_where_all_is_seen_and_distances_do_not_count(self) -> None:
        torch.manual_seed(0)
        mine, theirs = MemoryAttention(W, 2, 5), torch.nn.MultiheadAttention(W, 2, batch_first=True)
        theirs.in_proj_weight.data = torch.cat((mine.query.weight, mine.pair.weight)).detach()
        theirs.in_proj_bias.data = torch.cat((mine.query.bias, mine.pair.bias)).detach()
        theirs.out_proj.load_state_dict(mine.out.state_dict())
        x = torch.randn(N, 5, W)
        expected = theirs(x, x, x, need_weights=False)[0]
        torch.testing.assert_close(mine(x, x, torch.ones(N, 5, 5, dtype=torch.bool)), expected)

    def test_a_bias_of_a_distance_turns_attention_there(self) -> None:
        attention = MemoryAttention(W, 1, 3)
        with torch.no_grad():
            attention.bias[0, 2] = 1e4
        met = torch.randn(1, 4, W)
        values = attention.pair(met).chunk(2, 2)[1]
        found = attention(met[:, 3:], met, torch.ones(1, 1, 4, dtype=torch.bool))
        torch.testing.assert_close(found, attention.out(values[:, 1:2]))

    def test_the_gate_is_that_of_a_gru_and_keeps_most_at_first(self) -> None:
        torch.manual_seed(0)
        gate, old, new = Gate(W), torch.randn(4, W), torch.randn(4, W)
        _, z, h = gate.of_new.weight.chunk(3)
        z_old = gate.of_old.weight[W:]
        with torch.no_grad():
            gate.of_new.weight[:W], gate.of_old.weight[:W] = 0, 0
            candidate = torch.tanh(functional.linear(new, h) + functional.linear(0.5 * old, gate.of_reset.weight))
            z_gate = torch.sigmoid(functional.linear(new, z) + functional.linear(old, z_old) - 2)
            torch.testing.assert_close(gate(old, new), (1 - z_gate) * old + z_gate * candidate)
            assert (gate(old, 0 * new) - old).abs().mean() < 0.5 * old.abs().mean()

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"layers": 0}, "agent.network.transformer.layers is 0; it must be at least 1"),
            ({"memory": 0}, "agent.network.transformer.memory is 0"),
            ({"heads": 3}, "agent.network.transformer.heads is 3; it must divide agent.network.recurrent_size=8"),
        ],
    )
    def test_a_number_that_cannot_be_is_named(self, options: dict[str, Any], message: str) -> None:
        with pytest.raises(UsageError, match=message):
            TransformerCore(F, W, **{"layers": 1, "heads": 2, "memory": 3, **options})
