"""Recurrent agents that learn from a replay: what they remember, what they learn from it, and what does not fit."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces
from making import configured, made, stream_of
from pushed import Pushed, numerical
from torch import nn
from transitions import seen

from rlkit.core.evaluation import evaluate
from rlkit.core.loop import train
from rlkit.core.seeding import Seeds
from rlkit.core.types import Environment, SequenceBatch, UsageError
from rlkit.networks.sequences import SequenceSteps, Successors, minibatch_of
from rlkit.runs import build
from rlkit.testing.agents import resumed_equals_uninterrupted
from rlkit.testing.training import AgentCase
from rlkit.vector.serial import SerialEnvironment


class Cue(gymnasium.Env[Any, int]):
    """Shows in the first of four steps which of two actions is right in the last; every other episode is truncated."""

    observation_space, action_space = spaces.Box(-1, 1, (2,), np.float32), spaces.Discrete(2)

    def __init__(self) -> None:
        self._cue = self._count = 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self._cue, self._count = int(self.np_random.integers(2)), 0
        return self._shown(), {}

    def step(self, action: int) -> Any:
        self._count += 1
        over = self._count == 4
        reward = float(2 * (int(action) == self._cue) - 1) if over else 0.0
        return self._shown(), reward, over, over, {}

    def _shown(self) -> Any:
        return np.array([(2 * self._cue - 1) * (self._count == 0), self._count == 3], np.float32)

    def get_state(self) -> Any:
        return [self._cue, self._count]

    def set_state(self, state: Any) -> None:
        self._cue, self._count = state


class Cut(Cue):
    """A `Cue` that is truncated where it would end, so that its last observation has a value."""

    def step(self, action: int) -> Any:
        shown, reward, over, *_ = super().step(action)
        return shown, reward, False, over, {}


LEARNING = "agent.gamma=0.9 agent.learning_starts=200 agent.train_freq=8 agent.gradient_steps=2 agent.tau=0.05"
DQN = (
    f"agent=dqn network=mlp network.hidden=[16] {LEARNING} agent.learning_rate=0.005 agent.target_every=1 "
    "agent.epsilon.steps=800 agent.epsilon.end=0.1"
)
SAC = (
    f"agent=sac {LEARNING} agent.learning_rate=0.005 agent.actor.hidden=[16] agent.critics.hidden=[16] "
    "agent.batch_size=64 agent.temperature.initial=0.2 agent.temperature.target_entropy=0.1"
)
SEQUENCES = "replay=sequences replay.length=8 replay.burn_in=4"
GRU = f"{SEQUENCES} agent.network.recurrent=gru agent.network.recurrent_size=16"
LSTM = f"{SEQUENCES} agent.recurrent=lstm agent.actor.recurrent_size=16 agent.critics.recurrent_size=16"


def played(words: str, kind: Any = Cue, n: int = 4, steps: int = 1200) -> Any:
    env = SerialEnvironment([kind] * n)
    agent = made(words, env)
    for _ in train(agent, stream_of(agent, env, 0), total_steps=steps):
        pass
    return agent


def score(agent: Any) -> float:
    """Return the mean return of 40 episodes, from -1 to 1; without a memory 0 is the best."""
    env, rng = SerialEnvironment([Cue] * 4), np.random.default_rng(0)
    found = evaluate(agent, env, episodes=40, max_steps=10, rng=rng, episode_seeds=list(range(40)))
    return float(np.mean([episode.return_raw for episode in found]))


@pytest.mark.parametrize("words", [f"{DQN} {GRU}", f"{SAC} {LSTM}"], ids=["dqn", "sac"])
def test_what_was_shown_some_steps_ago_decides(words: str) -> None:
    assert score(played(words)) == 1.0


def test_without_a_memory_it_is_missed() -> None:
    assert abs(score(played(DQN))) < 0.4


IDLE = "agent.learning_starts=100000"


def test_stored_states_are_those_that_the_network_computes_from_the_first_on() -> None:
    agent = played(f"{DQN} {GRU} {IDLE} replay.burn_in=0 replay.n_step=2", Cut, n=2, steps=60)
    batch: SequenceBatch = agent._replay.sample(8 * 40, 0.9)
    body, (steps, count) = agent.network.body, batch.begins.shape
    history = minibatch_of(batch, agent._tensor).s_t.history.mapped(agent.network.read.reader)
    states = history.states(body.layers, body.core, "network").view(steps, count, -1)
    replay = agent._replay
    for m, first in enumerate(batch.index):
        stored = replay._sequences(np.array([first % 2]), replay._episodes.ranks(np.array([first])), 0.9)
        assert np.array_equal(stored.memory["network"][0], batch.memory["network"][m])
        # The windows that begin later, as far as there are such: their states were stored, and these are computed.
        for t in range(1, 8):
            if first + 2 * t < replay._rows.total and not batch.begins[t, m]:
                before = replay._rows.take("memory", np.array([first + 2 * t]))['["network"]'][0]
                assert torch.allclose(states[t - 1, m], torch.from_numpy(before), atol=1e-6)


def history_of(steps: int, burn_in: int, begins: list[int] = []) -> SequenceSteps:  # noqa: B006
    rng = torch.Generator().manual_seed(1)
    flags = torch.zeros(steps, 2, dtype=torch.bool)
    flags[begins, 0] = True
    rows = torch.randn(steps * 2, 2, generator=rng).requires_grad_()
    return SequenceSteps(rows, flags, {"network": torch.randn(2, 16, generator=rng)}, burn_in)


def states_of(agent: Any, history: Any) -> Any:
    return history.states(agent.network.body.layers, agent.network.body.core, "network").view(-1, 2, 16)


@pytest.fixture(scope="module")
def idle() -> Any:
    return made(f"{DQN} {GRU}", SerialEnvironment([Cue]))


def test_burn_in_brings_states_up_to_date_and_is_not_learned_from(idle: Any) -> None:
    whole, warmed = history_of(6, 0), history_of(6, 4)
    states = states_of(idle, whole)
    assert torch.allclose(states[4:], states_of(idle, warmed), atol=1e-6)
    for history, reached in ((whole, 6), (warmed, 2)):
        states_of(idle, history)[-1].sum().backward()
        gradients = history.rows.grad.view(6, -1).abs().sum(1) > 0
        assert gradients.tolist() == [False] * (6 - reached) + [True] * reached
    # What was stored by an older network matters less, the longer the burn-in is.
    stale = whole._replace(hidden={"network": torch.zeros(2, 16)})
    errors = (states_of(idle, stale) - states).abs().mean((1, 2)).tolist()
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.3 * errors[0]


@pytest.mark.parametrize("burn_in", [0, 1, 2, 4])
def test_nothing_leaks_into_an_episode_that_begins_inside(idle: Any, burn_in: int) -> None:
    history = history_of(6, burn_in, [2])
    other = history._replace(
        rows=torch.cat((history.rows[:4] + 1, history.rows[4:])), hidden={"network": torch.ones(2, 16)}
    )
    first, second = states_of(idle, history), states_of(idle, other)
    at = max(0, 2 - burn_in)
    assert torch.equal(first[at:, 0], second[at:, 0])
    assert not torch.allclose(first[at:, 1], second[at:, 1])
    if at:
        assert not torch.allclose(first[at - 1, 0], second[at - 1, 0])
    alone = history._replace(rows=history.rows[4:], begins=history.begins[2:], burn_in=0)
    expected = states_of(idle, alone._replace(hidden={"network": torch.zeros(2, 16)}))
    assert torch.allclose(first[at:, 0], expected[max(0, burn_in - 2) :, 0], atol=1e-6)


def test_successors_are_one_step_on_from_the_state_that_they_come_after(idle: Any) -> None:
    history = history_of(5, 1)
    shown, end = torch.randn(4, 2), torch.tensor([1, 5, 2, 0])
    states = states_of(idle, history).flatten(0, 1)
    found = states_of(idle, Successors(history, shown, end)).flatten(0, 1)
    core, layers = idle.network.body.core, idle.network.body.layers
    for i, row in enumerate(end):
        expected = core(layers(shown[i : i + 1]), states[row : row + 1])[1]
        assert torch.allclose(found[i], expected[0], atol=1e-6)


def test_the_gradient_of_the_loss_over_sequences_is_the_numerical_one() -> None:
    words = f"{DQN} {GRU} agent.network.recurrent=lstm agent.network.recurrent_size=3 agent.network.dueling=true"
    agent = made(words, SerialEnvironment([Cue]))
    for network in (agent.network, agent.target_network):
        network.double()
    agent.network.read.reader = nn.Identity()
    rng = torch.Generator().manual_seed(2)
    normal = lambda *shape: torch.randn(shape, generator=rng, dtype=torch.float64)  # noqa: E731
    begins = torch.tensor([[False, True], [False, False], [True, False], [False, False]])
    history = SequenceSteps(normal(8, 2), begins, {"network": normal(2, 6)}, burn_in=0)
    batch = (
        history._replace(rows=history.rows[:6], begins=begins[:3]),
        torch.tensor([0, 1, 1, 0, 0, 1]),
        normal(6),
        torch.tensor([1, 0, 1, 1, 0.9, 1], dtype=torch.float64),
        Successors(history, normal(6, 2), torch.tensor([2, 1, 6, 3, 4, 7])),
        None,
        torch.rand(6, generator=rng, dtype=torch.float64),
    )
    from rlkit.networks import Minibatch

    value = lambda: agent.loss(Minibatch(*batch))[0]  # noqa: E731
    parameters = list(agent.network.parameters())
    for parameter, gradient in zip(parameters, torch.autograd.grad(value(), parameters), strict=True):
        index = tuple(size // 2 for size in parameter.shape)
        # The action that is best in a successor stays so, and its target has no gradient.
        assert gradient[index].item() == pytest.approx(numerical(value, parameter, index), rel=1e-4, abs=1e-8)


def test_the_memory_before_a_step_is_that_after_the_last_one() -> None:
    for words in (f"{DQN} {GRU}", f"{SAC} {LSTM}", f"{SAC} {LSTM} agent.share_encoder=true"):
        agent = made(words, SerialEnvironment([Cue]))
        first = agent.initial_memory(3)
        timestep, rng = seen(np.ones((3, 2), np.float32)), np.random.default_rng(0)
        _, second = agent.act(timestep, first, explore=True, rng=rng)  # Drawn uniformly, but remembered all the same.
        _, third = agent.act(timestep, second, explore=False, rng=rng)
        assert second["before"] is first["hidden"]
        assert third["before"] is second["hidden"]
        for name in first["hidden"]:
            assert not first["hidden"][name].any()
            assert not np.array_equal(second["hidden"][name], third["hidden"][name])
    assert list(first["hidden"]) == ["critics"]
    assert made(DQN, SerialEnvironment([Cue])).initial_memory(3) == ()


RESUMED = {
    "gru": f"{DQN} {GRU}",
    "all at once": f"{DQN} {GRU} agent.network.recurrent=lstm agent.network.dueling=true agent.network.noisy=true "
    "replay.n_step=3 distribution=quantile distribution.quantiles=5",
    "sac": f"{SAC} {LSTM} agent.share_encoder=true",
}


@pytest.mark.parametrize("case", RESUMED)
def test_a_resumed_training_ends_as_the_uninterrupted_one(case: str) -> None:
    def agent(env: Environment, seeds: Seeds) -> Any:
        words = f"device=cpu num_envs={env.num_envs} {RESUMED[case]} agent.learning_starts=24 replay.capacity=40"
        return build.make_agent(configured(f"{words} agent.batch_size=8").agent_config, env, seeds)

    examined = AgentCase(agent, Cue, 0, 100, 2, False)
    resumed_equals_uninterrupted(examined)
    assert examined.lesson.learned


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            "agent=dqn agent.network.recurrent=gru",
            "agent.network.recurrent learns from sequences: set replay=sequences",
        ),
        ("agent=dqn agent.network.recurrent=gru replay=hindsight", "needs observations with achieved_goal"),
        ("agent=sac agent.recurrent=gru replay=prioritized", "agent.recurrent learns from sequences"),
        ("agent=dqn agent.network.recurrent=rnn replay=sequences", "agent.network.recurrent is 'rnn'; it must be one"),
        (
            "agent=sac agent.recurrent=rnn replay=sequences",
            "agent.actor.recurrent is 'rnn'; it must be one of none, gru",
        ),
        (
            "agent=sac agent.actor.recurrent=gru",
            "agent.actor.recurrent is not agent.recurrent=none; set agent.recurrent",
        ),
        (
            "agent=sac agent.recurrent=gru replay=sequences agent.target_network=false",
            "agent.recurrent needs target networks",
        ),
        (
            "agent=dqn agent.network.recurrent=gru replay=sequences agent.batch_size=40",
            r"agent.batch_size is 40; it must be a multiple of replay.length - replay.burn_in=16",
        ),
        (
            "agent=dqn agent.network.recurrent=gru replay=sequences agent.compile=true",
            "agent.compile=true does not compile recurrent networks",
        ),
    ],
)
def test_what_does_not_fit_is_said_in_one_line(words: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as raised:
        made(words, SerialEnvironment([Cue]))
    assert "\n" not in str(raised.value)


def test_an_agent_without_memory_is_told_so_at_its_first_step() -> None:
    for words, kind in (("agent=dqn", Cue), ("agent=td3", Pushed)):
        with pytest.raises(UsageError, match="replay=sequences is for agents with a recurrent memory"):
            played(f"{words} replay=sequences", kind, steps=10)
