"""PQN: returns by hand at each kind of end, its loss by hand, legal actions, and CartPole."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from making import made, stream_of
from torch import nn
from transitions import seen, transition

import rlkit
from rlkit.core.loop import train
from rlkit.core.types import UsageError
from rlkit.networks import ResidualBoard
from rlkit.vector.serial import SerialEnvironment
from toys import Line


def returns(decay: float, values: Any) -> Any:
    """Return the targets [4, 2] of a rollout on two lines, of rewards 1; `values` maps what is shown to action values.

    The first line ends after 3 steps, the second is truncated after 2; episode e shows 100 e, 100 e + 1, …
    """
    env = SerialEnvironment([lambda: Line(3, terminates=True), lambda: Line(2)])
    agent = made(f"agent=pqn agent.n_steps=4 agent.gamma=0.5 agent.trace_decay={decay}", env)
    agent._q = lambda observation: values(np.asarray(observation, np.float32))
    found: list[Any] = []
    agent._learn = lambda targets: found.extend(targets.tolist())
    for _ in train(agent, stream_of(agent, env, 0), total_steps=8):
        pass
    return found


def test_returns_are_mixed_by_lambda_and_end_where_episodes_do() -> None:
    found = returns(0.5, lambda shown: np.stack([0 * shown + 8, 0 * shown + 3], 1))
    # Backwards: 1 + .5 (.5 * 8 + .5 G); 1 at the end of an episode; 1 + .5 * 8 where one is truncated, and at the end.
    assert found == [[3.8125, 4.25], [3.25, 5.0], [1.0, 4.25], [5.0, 5.0]]


def test_with_lambda_1_they_are_the_returns_and_with_0_one_step_targets() -> None:
    constant = lambda shown: np.stack([0 * shown + 8, 0 * shown + 3], 1)  # noqa: E731
    assert returns(1.0, constant) == [[1.75, 3.5], [1.5, 5.0], [1.0, 3.5], [5.0, 5.0]]
    assert returns(0.0, constant) == [[5.0, 5.0], [5.0, 5.0], [1.0, 5.0], [5.0, 5.0]]


def test_a_truncated_episode_bootstraps_from_what_it_ended_with_and_not_from_the_next_one() -> None:
    found = returns(0.0, lambda shown: np.stack([shown - 9, shown], 1))
    # Episodes of the second line show 0, 1, 2 and 100, 101, 102: after the second step 2, and not 100.
    assert [row[1] for row in found] == [1 + 0.5 * 1, 1 + 0.5 * 2, 1 + 0.5 * 101, 1 + 0.5 * 102]
    assert [row[0] for row in found] == [1 + 0.5 * 1, 1 + 0.5 * 2, 1.0, 1 + 0.5 * 101]


def agent_of_line(words: str = "") -> Any:
    return made(f"agent=pqn {words}", SerialEnvironment([lambda: Line(3)]))


def test_the_loss_is_half_the_squared_error_of_the_actions_taken() -> None:
    agent = agent_of_line()
    agent.network.forward = lambda shown, noise=None: torch.tensor([[[1.0], [2.0]], [[5.0], [7.0]]])
    loss, q = agent.loss(torch.tensor([0, 1]), torch.tensor([1, 0]), torch.tensor([4.0, 5.5]))
    assert q.tolist() == [2.0, 5.0]
    assert loss.item() == (0.5 * 2.0**2 + 0.5 * 0.5**2) / 2


def test_only_legal_actions_are_taken_and_bootstrapped_from() -> None:
    agent = agent_of_line("agent.epsilon.start=0")
    agent._q = lambda shown: np.array([[1.0, 9.0]] * len(shown), np.float32)
    state = seen([0])._replace(legal_actions=np.array([[True, False]]))
    action, memory = agent.act(state, (), explore=True, rng=np.random.default_rng(0))
    assert action.tolist() == [0]
    assert memory["value"].tolist() == [1.0]
    step = transition([0], [0], [1.0], [1.0], [1], last=[True], next_legal_actions=[[True, False]])
    assert agent._bootstrap_values(step, np.array([True])).tolist() == [1.0]


def test_a_noisy_network_is_refused() -> None:
    with pytest.raises(UsageError, match=r"leave agent\.network\.noisy=false"):
        agent_of_line("agent.network.noisy=true")


@pytest.mark.parametrize("blocks", [0, 2])
def test_a_normalized_board_network_sees_no_scale(blocks: int) -> None:
    space = spaces.Box(-1e6, 1e6, (3, 5, 5), np.float32)
    planes = torch.randn(4, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    for layer_norm in (True, False):
        torso = ResidualBoard(space, filters=4, blocks=blocks, hidden=6, layer_norm=layer_norm)
        for module in torso.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.zeros_(module.bias)
        near, far = (torso.top(torso.body(scale * planes)) for scale in (1e3, 1e5))
        assert torch.allclose(near, far, rtol=0.01, atol=0.01) is layer_norm


@pytest.mark.slow
def test_the_tuned_settings_reach_the_best_score_on_cartpole(tmp_path: Any) -> None:
    run = rlkit.train("agent=pqn", "env=cartpole", f"run_dir={tmp_path}/run", "video=none", "stop_at=475", seed=0)
    assert run.evaluation_means()[-1][1] >= 475
