"""DQN's improvements, alone and together, and its update against one written plainly."""

from __future__ import annotations

import copy
import re
from functools import partial
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces
from making import by_keys
from torch import Tensor, nn

from rlkit.agents.dqn import DQN, DQNSettings
from rlkit.core.loop import interact, train
from rlkit.core.schedules import Constant, Linear
from rlkit.core.types import Batch, StepInfo, Transition, UsageError
from rlkit.networks import MLP, ImpalaCNN, NatureCNN, QNetwork
from rlkit.networks.return_distributions import Categorical, Distribution, Expected, ImplicitQuantile, Quantile
from rlkit.replay import PrioritizedReplay, UniformReplay
from rlkit.vector.serial import SerialEnvironment
from rlkit.vector.time_steps import first_timestep


@pytest.fixture(autouse=True)
def _one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


PLAIN: dict[str, Any] = {"distribution": Expected(), "dueling": False, "noisy": False, "noise_scale": 0.5}
SETTINGS: dict[str, Any] = {
    "optimizer": torch.optim.SGD,
    "learning_rate": 0.5,
    "anneal": False,
    "epsilon": Constant(0.0),
    "epsilon_spread": 0.0,
    "episodes": None,
    "offline_steps": None,
    "offline": "none",
    "conservatism": 1.0,
    "behavior_threshold": 0.3,
    "fragment_steps": 1,
    "gamma": 0.9,
    "double": True,
    "learning_starts": 0,
    "batch_size": 8,
    "train_freq": 1,
    "gradient_steps": 1,
    "target_every": 1000,
    "tau": 1.0,
    "munchausen": None,
    "temperature": 0.03,
    "munchausen_min": -1.0,
    "max_grad_norm": 1000.0,
    "precision": "float32",
    "compile": False,
}
RUN: dict[str, Any] = {"total_steps": None, "device": "cpu", "generator": None, "notify": lambda line: None}
"""What a run would give."""


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class Sequence:
    """A replay that gives one batch after the other, and keeps the priorities it is told."""

    prioritized = False

    def __init__(self, batches: list[Batch]):
        self._batches, self.told = iter(batches), []

    def __len__(self) -> int:
        return 1

    def sample(self, batch_size: int, gamma: float) -> Batch:
        return next(self._batches)

    def update_priorities(self, index: Any, td_error: Any) -> None:
        self.told.append(td_error)


def update(agent: DQN) -> Any:
    agent._due = 1
    return agent.update()


class Table(nn.Module):
    """The same outputs [A, K] for every observation; keeps the noise that it is given."""

    hidden_size = levels = 0

    def __init__(self, table: Tensor, distribution: Distribution, noise_size: int = 0):
        super().__init__()
        self.table = nn.Parameter(table)
        self.distribution, self.noise_size = distribution, noise_size
        self.heard: list[Any] = []

    def read(self, observation: Tensor) -> Tensor:
        return observation

    def outputs(self, seen: Tensor, noise: Any) -> Tensor:
        self.heard.append(noise)
        return self.table.expand(len(seen), *self.table.shape)


def rows(n: int, *, action: Any = None, legal: Any = None) -> Batch:
    ones = np.ones(n, np.float32)
    return Batch(
        observation=np.zeros((n, 1), np.float32),
        action=np.zeros(n, np.int64) if action is None else np.array(action),
        reward=np.arange(n, dtype=np.float32) / 4,
        discount=ones,
        next_observation=np.zeros((n, 1), np.float32),
        next_legal_actions=None if legal is None else np.array(legal),
        weight=ones,
        index=np.arange(n),
    )


def table_agent(network: Any, batches: list[Batch], **keys: Any) -> tuple[DQN, Sequence]:
    replay: Any = Sequence(batches)
    return by_keys(DQN, network=network, replay=replay, **{**SETTINGS, **RUN, **keys}), replay


class TestDistributions:
    @pytest.mark.parametrize("kind", [Categorical(5, -2.0, 2.0), Quantile(4)], ids=["c51", "quantile"])
    @pytest.mark.parametrize("double", [True, False])
    def test_the_target_is_the_distribution_of_the_action_of_the_best_mean(
        self, kind: Distribution, double: bool
    ) -> None:
        batch = rows(3, action=[2, 0, 1], legal=[[True] * 3, [False, True, True], [True, False, False]])
        online, target = torch.randn(2, 3, kind.outputs, generator=generator())
        agent, replay = table_agent(Table(target.clone(), kind), [batch], double=double, batch_size=3)
        with torch.no_grad():
            agent.network.table.copy_(online)  # type: ignore[operator]
        metrics = update(agent)
        q = kind.mean(online if double else target).tolist()
        chosen = [max((a for a in range(3) if legal[a]), key=lambda a: q[a]) for legal in batch.next_legal_actions]
        reward, discount = torch.tensor(batch.reward), torch.full((3,), 0.9)
        losses, priorities = kind.loss(online[[2, 0, 1]], target[chosen], reward, discount)
        assert replay.told[0].tolist() == pytest.approx(priorities.tolist(), abs=1e-6)
        assert metrics["loss/td"] == pytest.approx(float(losses.mean()), abs=1e-6)
        assert metrics["q/mean"] == pytest.approx(float(kind.mean(online).mean()), abs=1e-6)

    def test_it_acts_by_means(self) -> None:
        # The likelier best case is action 0's, the better mean action 1's.
        outputs = torch.tensor([[0.6, 0.0, 0.4], [0.0, 1.0, 0.0]]).log()
        agent, _ = table_agent(Table(outputs, Categorical(3, -10.0, 10.0)), [])
        timestep = first_timestep(np.zeros((2, 1), np.float32), None)
        assert agent.act(timestep, (), explore=False, rng=np.random.default_rng(0))[0].tolist() == [1, 1]


def make_noisy(seed: int) -> DQN:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        torso = MLP(spaces.Discrete(3), [8], "relu", layer_norm=False)
        network = QNetwork(torso, spaces.Discrete(3), spaces.Discrete(4), **{**PLAIN, "noisy": True})
    replay, run = UniformReplay(8, np.random.default_rng(0)), {**RUN, "generator": generator()}
    return by_keys(DQN, network=network, replay=replay, **SETTINGS, **run)  # type: ignore[no-any-return]


class TestNoise:
    @pytest.mark.parametrize("double", [True, False])
    def test_what_is_learnt_the_target_and_the_choice_have_independent_noise_at_each_update(self, double: bool) -> None:
        agent, _ = table_agent(
            Table(torch.zeros(2, 1), Expected(), noise_size=4), [rows(8)] * 3, double=double, generator=generator(5)
        )
        for _ in range(3):
            update(agent)
        again = generator(5)
        draws = [torch.randn(3, 1, 4, generator=again) for _ in range(3)]
        online, target = agent.network.heard, agent.target_network.heard  # type: ignore[union-attr]
        assert [noise.shape for noise in target] == [(1, 4)] * 3
        assert torch.equal(torch.stack(target), torch.stack([draw[1] for draw in draws]))  # type: ignore[arg-type]
        expected = [draw[i] for draw in draws for i in ((0, 2) if double else (0,))]
        assert torch.equal(torch.stack(online), torch.stack(expected))  # type: ignore[arg-type]

    def test_exploring_each_environment_has_noise_of_its_own_from_the_generator_given(self) -> None:
        agent, _ = table_agent(Table(torch.zeros(2, 1), Expected(), noise_size=4), [], generator=generator())
        timestep = first_timestep(np.zeros((3, 1), np.float32), None)
        state = agent._generator.get_state()  # type: ignore[union-attr]
        for seed in (1, 1, 2):
            agent.act(timestep, (), explore=True, rng=np.random.default_rng(seed))
        first, again, other = agent.network.heard
        assert first.shape == (3, 4)
        assert len({tuple(row.tolist()) for row in first}) == 3
        assert torch.equal(first, again)
        assert not torch.equal(first, other)
        assert torch.equal(agent._generator.get_state(), state)  # type: ignore[union-attr]

    def test_evaluation_uses_the_means_and_draws_nothing(self) -> None:
        agent, _ = table_agent(Table(torch.tensor([[0.0], [1.0]]), Expected(), 4), [], generator=generator())
        rng = np.random.default_rng(0)
        agent.act(first_timestep(np.zeros((3, 1), np.float32), None), (), explore=False, rng=rng)
        assert agent.network.heard == [None]
        assert rng.bit_generator.state == np.random.default_rng(0).bit_generator.state

    def test_it_explores_without_epsilon(self) -> None:
        torso = MLP(spaces.Discrete(3), [8], "relu", layer_norm=False)
        network = QNetwork(
            torso, spaces.Discrete(3), spaces.Discrete(4), **{**PLAIN, "noisy": True, "noise_scale": 3.0}
        )
        agent, _ = table_agent(network, [], generator=generator())
        timestep = first_timestep(np.zeros(400, np.int64), None)
        actions, _ = agent.act(timestep, (), explore=True, rng=np.random.default_rng(0))
        assert np.bincount(actions, minlength=4).min() > 10

    def test_a_state_from_another_kind_of_device_is_enough_to_act(self) -> None:
        agents = [make_noisy(seed) for seed in (0, 1)]
        state = {**agents[0].state_dict(), "generator": np.zeros(16, np.uint8)}
        agents[1].load_state_dict(state)
        timestep = first_timestep(np.arange(3), None)
        acted = [a.act(timestep, (), explore=True, rng=np.random.default_rng(0))[0].tolist() for a in agents]
        assert acted[0] == acted[1]

    def test_a_noisy_network_needs_a_generator(self) -> None:
        with pytest.raises(UsageError, match=r"generator is None, but noise or levels are drawn from it; pass DQN a"):
            table_agent(Table(torch.zeros(2, 1), Expected(), noise_size=4), [])


def pictures(rng: np.random.Generator, n: int, size: int) -> Batch:
    """Return a batch as the frame replay gives it: overlapping views of bytes."""
    frames = rng.integers(0, 256, (n, 5, size, size), dtype=np.uint8)
    frames[:, :, : size // 2] = rng.integers(0, 256, (n, 1, 1, 1), dtype=np.uint8)
    return Batch(
        observation=frames[:, :4],
        action=rng.integers(6, size=n),
        reward=rng.normal(size=n).astype(np.float32),
        discount=(rng.random(n) < 0.9).astype(np.float32),
        next_observation=frames[:, 1:],
        next_legal_actions=None,
        weight=rng.random(n).astype(np.float32),
        index=np.arange(n),
    )


class Plain:
    """Double DQN as anybody would write it: plain modules, contiguous memory, Adam as it comes."""

    def __init__(self, network: nn.Module, lr: float):
        self.network, self.target = network, copy.deepcopy(network)
        self.optimizer = torch.optim.Adam(network.parameters(), lr=lr)

    def learn(self, batch: Batch) -> dict[str, float]:
        """Take a step; return the loss and the mean value of what was done."""
        observation, successor = (torch.tensor(rows) / 255 for rows in (batch.observation, batch.next_observation))
        action, reward, discount, weight = map(torch.tensor, (batch.action, batch.reward, batch.discount, batch.weight))
        with torch.no_grad():
            best = self.network(successor).argmax(1, keepdim=True)
            target = reward + 0.9 * discount * self.target(successor).gather(1, best)[:, 0]
        chosen = self.network(observation).gather(1, action[:, None])[:, 0]
        loss = (weight * nn.functional.smooth_l1_loss(chosen, target, reduction="none")).mean()
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), 0.5)
        self.optimizer.step()
        return {"loss/td": loss.item(), "q/mean": chosen.mean().item()}


def plain_nature(width: int, activation: Any) -> nn.Module:
    layers = [nn.Conv2d(4, 32, 8, 4), activation(), nn.Conv2d(32, 64, 4, 2), activation(), nn.Conv2d(64, 64, 3)]
    return nn.Sequential(
        *(*layers, activation(), nn.Flatten(), nn.Linear(width, 64), activation(), nn.Linear(64, 6)),
    )


def parameters_of(agent: DQN) -> list[Tensor]:
    return [p.detach() for p in agent.network.parameters()]


def copied(values: list[Tensor], into: nn.Module) -> None:
    for old, new in zip(into.parameters(), values, strict=True):
        old.data.copy_(new)


def in_vector(agent: DQN, vector: Tensor) -> list[Tensor]:
    """Return the parts of a vector of the optimiser's in the shapes of the parameters."""
    twin = copy.deepcopy(agent.network)
    parts, start = [], 0
    for p in twin.parameters():
        stop = start + p.numel()
        parts.append(torch.as_strided(vector, p.shape, p.stride(), start))
        start = stop
    return parts


class TestUpdate:
    """In float32 the update is the plain one, however memory is laid out."""

    def agent(self, batches: list[Batch], size: int, seed: int = 0, **keys: Any) -> DQN:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            frames = spaces.Box(0, 255, (4, size, size), np.uint8)
            network = QNetwork(NatureCNN(frames, hidden=64), frames, spaces.Discrete(6), **PLAIN)
        descent = {"optimizer": partial(torch.optim.Adam, fused=True), "learning_rate": 1e-4, "max_grad_norm": 0.5}
        return table_agent(network, batches, **{"target_every": 30, **descent, **keys})[0]

    def test_each_of_a_hundred_updates_is_the_plain_one(self) -> None:
        rng = np.random.default_rng(0)
        batches = [pictures(rng, 8, 44) for _ in range(100)]
        agent = self.agent(batches, 44)
        plain = Plain(plain_nature(agent.network.actions[0][0].in_features, nn.ReLU), lr=1e-4)
        for k, batch in enumerate(batches):
            # From the same state each time: where a ReLU is at its kink, the last bit decides what comes after.
            copied(parameters_of(agent), plain.network)
            copied([p.detach() for p in agent.target_network.parameters()], plain.target)
            if k:
                (state,) = agent._optimizer._optimizer.state.values()
                for name in ("exp_avg", "exp_avg_sq"):
                    for p, part in zip(plain.network.parameters(), in_vector(agent, state[name]), strict=True):
                        plain.optimizer.state[p][name].copy_(part)
            metrics, figures = update(agent), plain.learn(batch)
            assert {name: metrics[name] for name in figures} == pytest.approx(figures, abs=1e-5)
            for mine, theirs in zip(parameters_of(agent), plain.network.parameters(), strict=True):
                torch.testing.assert_close(mine, theirs.detach(), rtol=0, atol=1e-5)

    def test_a_hundred_updates_in_a_row_are_the_plain_ones_where_the_network_is_smooth(self) -> None:
        rng = np.random.default_rng(1)
        batches = [pictures(rng, 8, 36) for _ in range(100)]
        agent = self.agent(batches, 36)
        smooth(agent.network)
        smooth(agent.target_network)
        plain = Plain(plain_nature(64, nn.Tanh), lr=1e-4)
        copied(parameters_of(agent), plain.network)
        plain.target.load_state_dict(plain.network.state_dict())
        before = parameters_of(agent)[0].clone()
        for k, batch in enumerate(batches):
            update(agent)
            plain.learn(batch)
            if (k + 1) % 30 == 0:
                plain.target.load_state_dict(plain.network.state_dict())
        for mine, theirs in zip(parameters_of(agent), plain.network.parameters(), strict=True):
            torch.testing.assert_close(mine, theirs.detach(), rtol=0, atol=1e-5)
        assert (parameters_of(agent)[0] - before).abs().max() > 1e-3

    @pytest.mark.parametrize("options", [{}, {"dueling": True, "noisy": True, "distribution": Quantile(3)}])
    def test_bfloat16_goes_about_the_same_way(self, options: Any) -> None:
        updated = []
        for precision in ("float32", "bfloat16"):
            rng = np.random.default_rng(0)
            frames = spaces.Box(0, 255, (4, 20, 20), np.uint8)
            torso = ImpalaCNN(frames, depths=[4], blocks=1, hidden=16)
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)
                network = QNetwork(torso, frames, spaces.Discrete(6), **{**PLAIN, **options})
                for p in network.parameters():
                    p.data.uniform_(-0.1, 0.1)
            agent, replay = table_agent(
                network,
                [pictures(rng, 8, 20)],
                learning_rate=0.1,
                precision=precision,
                generator=generator(),
            )
            update(agent)
            assert {p.dtype for p in agent.network.parameters()} == {torch.float32}
            updated.append((replay.told[0], torch.cat([p.flatten() for p in parameters_of(agent)])))
        assert updated[0][0] == pytest.approx(updated[1][0], rel=0.05, abs=0.05)
        torch.testing.assert_close(updated[0][1], updated[1][1], rtol=0, atol=5e-3)
        assert not torch.equal(updated[0][1], updated[1][1])

    @pytest.mark.parametrize("double", [True, False])
    def test_bfloat16_leaves_targets_and_acting_as_they_are(self, double: bool) -> None:
        found = []
        for precision in ("float32", "bfloat16"):
            rng = np.random.default_rng(0)
            batch = pictures(rng, 8, 36)
            agent: Any = self.agent([batch], 36, precision=precision, double=double)
            targets, heard = [], []
            agent._target_outputs = lambda *given, of=agent._target_outputs, into=targets: (
                into.append(of(*given)) or into[-1]
            )
            hook = agent.network.actions[1].register_forward_hook(
                lambda layer, given, made, into=heard: into.append(made)
            )
            agent.act(first_timestep(batch.observation, None), (), explore=False, rng=rng)
            hook.remove()
            with torch.no_grad():
                learnt = agent._learning_outputs(agent.network.read(torch.tensor(batch.observation)), None)
            update(agent)
            found.append((targets[0], heard[0], learnt))
        assert torch.equal(found[0][0], found[1][0])
        assert torch.equal(found[0][1], found[1][1])
        assert not torch.equal(found[0][2], found[1][2])
        torch.testing.assert_close(found[0][2], found[1][2], rtol=0.05, atol=0.01)

    @pytest.mark.slow
    @pytest.mark.filterwarnings("ignore::DeprecationWarning:torch.*")
    @pytest.mark.parametrize(
        "options", [{}, {"dueling": True, "noisy": True, "distribution": Categorical(5, -2.0, 2.0)}]
    )
    def test_compiled_it_is_the_same(self, options: Any) -> None:
        rng = np.random.default_rng(0)
        batches = [pictures(rng, 8, 36) for _ in range(3)]
        agents = []
        for compile in (False, True):
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)
                frames = spaces.Box(0, 255, (4, 36, 36), np.uint8)
                network = QNetwork(NatureCNN(frames, hidden=16), frames, spaces.Discrete(6), **{**PLAIN, **options})
            agents.append(table_agent(network, batches, compile=compile, generator=generator())[0])
            for _ in range(3):
                update(agents[-1])
        for mine, theirs in zip(*map(parameters_of, agents), strict=True):
            torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-5)


class Remembering(Sequence):
    """Notes in which order batches are drawn and answered, how large they are, and by which gamma."""

    def __init__(self, prioritized: bool):
        super().__init__([])
        self.prioritized, self.calls = prioritized, []  # type: ignore[misc]

    def sample(self, batch_size: int, gamma: float) -> Batch:
        self.calls.append(("drawn", batch_size, gamma))
        return rows(batch_size)

    def update_priorities(self, index: Any, td_error: Any) -> None:
        self.calls.append(("told", len(td_error)))


class TestDrawing:
    @pytest.mark.parametrize("prioritized", [True, False])
    def test_by_priority_each_batch_is_answered_before_the_next_is_drawn(self, prioritized: bool) -> None:
        replay: Any = Remembering(prioritized)
        network = Table(torch.zeros(2, 1), Expected())
        update(
            by_keys(DQN, network=network, replay=replay, **{**SETTINGS, "gradient_steps": 3, "batch_size": 2}, **RUN)
        )
        one, all_at_once = [("drawn", 2, 0.9), ("told", 2)], [("drawn", 6, 0.9), ("told", 6)]
        assert replay.calls == (one * 3 if prioritized else all_at_once)

    def test_the_weights_of_each_batch_are_over_its_own_largest(self) -> None:
        # Errors as exp(N(0, 2)): a joint maximum of 16 batches would leave a mean weight of about half of this.
        replay, drawn = (
            PrioritizedReplay(512, np.random.default_rng(0), alpha=0.6, beta=Constant(1.0), epsilon=1e-6),
            [],
        )
        no = np.zeros(1, bool)
        for t in range(512):
            rows_of_one = (np.full((1, 1), float(t + k), np.float32) for k in range(2))
            observation, successor = rows_of_one
            ones = np.ones(1, np.float32)
            info = StepInfo(ones, no, no)
            replay.add(Transition(observation, np.zeros(1, int), ones, ones, successor, no, ~no, None, None, info))
        errors = np.random.default_rng(1).lognormal(0, 2, 512).astype(np.float32)
        replay.update_priorities(np.arange(512), errors)
        sample = replay.sample
        replay.sample = lambda *given: drawn.append(sample(*given)) or drawn[-1]  # type: ignore[method-assign, func-returns-value]
        network: Any = Table(torch.zeros(2, 1), Expected())
        settings = {**SETTINGS, "gradient_steps": 16, "learning_rate": 0.0}
        update(by_keys(DQN, network=network, replay=replay, **settings, **RUN))
        assert [len(batch.index) for batch in drawn] == [8] * 16
        assert [float(batch.weight.max()) for batch in drawn] == [1.0] * 16
        # What was told after the first batch is what the second was drawn by: its error is 1 everywhere.
        assert replay._priorities[drawn[0].index % 512] == pytest.approx(np.ones(8), rel=1e-5)


def smooth(network: nn.Module) -> None:
    """Put Tanh in the place of every ReLU."""
    for name, module in network.named_children():
        if isinstance(module, nn.ReLU):
            setattr(network, name, nn.Tanh())
        smooth(module)


class Corridor(gymnasium.Env):
    """Five rooms in a row; a step right from the last one ends the episode with a reward of 1."""

    observation_space = spaces.Discrete(5)
    action_space = spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self._room = self._steps = 0
        return 0, {}

    def step(self, action: int) -> Any:
        self._steps += 1
        out = self._room == 4 and action == 1
        self._room = min(4, max(0, self._room + (1 if action == 1 else -1)))
        return self._room, float(out), out, self._steps == 30, {}


class Endless(Corridor):
    """Each step has a reward of 0.1, and nothing ends but by truncation: with gamma 0.9 every return is 1."""

    def step(self, action: int) -> Any:
        room, _, _, truncated, info = super().step(action)
        return room, 0.1, False, truncated, info


GRID = Categorical(21, -0.5, 1.5)
NOISY = {"noisy": True, "epsilon": Constant(0.0)}
PRIORITIZED = {"alpha": 0.5, "beta": Linear(0.4, 1.0, 2000), "epsilon": 1e-6}
ALL = {"dueling": True, **NOISY, "n_step": 3, **{f"replay_{key}": value for key, value in PRIORITIZED.items()}}
IMPLICIT = ImplicitQuantile(samples=8, acting=8, cosines=16)
SOFT = {"double": False, "munchausen": 0.9}
COMBINATIONS: dict[str, dict[str, Any]] = {
    "plain": {"double": False},
    "double": {},
    "dueling": {"dueling": True},
    "noisy": NOISY,
    "c51": {"distribution": GRID},
    "quantile": {"distribution": Quantile(11)},
    "n-step": {"n_step": 3},
    "prioritised": {f"replay_{key}": value for key, value in PRIORITIZED.items()},
    "dueling c51": {"dueling": True, "distribution": GRID},
    "bfloat16": {"precision": "bfloat16"},
    "rainbow": {**ALL, "distribution": GRID},
    "rainbow with quantiles": {**ALL, "distribution": Quantile(11)},
    "implicit quantiles": {"distribution": IMPLICIT},
    "rainbow with implicit quantiles": {**ALL, "distribution": IMPLICIT},
    "munchausen": SOFT,
    "munchausen with implicit quantiles": {**SOFT, "distribution": IMPLICIT},
}


def corridor_agent(options: dict[str, Any]) -> DQN:
    own = {key: options[key] for key in ("double", "epsilon", "precision", "notify", "munchausen") if key in options}
    network = {key: options[key] for key in PLAIN if key in options}
    kept = {key.removeprefix("replay_"): value for key, value in options.items() if key.startswith("replay_")}
    make_replay: Any = PrioritizedReplay if kept else UniformReplay
    kept |= {"n_step": options.get("n_step", 1)}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        torso = MLP(Corridor.observation_space, [32], "relu", layer_norm=False)
        q_network = QNetwork(torso, Corridor.observation_space, Corridor.action_space, **{**PLAIN, **network})
    settings = {
        **SETTINGS,
        "optimizer": partial(torch.optim.Adam, fused=True),
        "learning_rate": 0.003,
        "epsilon": Linear(1.0, 0.1, 1000),
        "batch_size": 32,
        "learning_starts": 100,
        "train_freq": 2,
        "target_every": 25,
        "max_grad_norm": 10.0,
    }
    agent: DQN = by_keys(
        DQN,
        network=q_network,
        replay=make_replay(1000, np.random.default_rng(4), **kept),
        **{**settings, **RUN, "generator": generator(6), **own},
    )
    return agent


@pytest.mark.parametrize("options", COMBINATIONS.values(), ids=COMBINATIONS)
def test_each_improvement_alone_and_all_together_find_the_way_out(options: dict[str, Any]) -> None:
    agent = corridor_agent(options)
    env = SerialEnvironment([Corridor] * 4)
    stream = interact(agent, env, explore=True, rng=np.random.default_rng(5), reset_seeds=lambda _: [1, 2, 3, 4])
    for _ in train(agent, stream, total_steps=2000):
        pass
    with torch.no_grad():
        q = agent._distribution.mean(agent.network(torch.arange(5)))
    assert q.argmax(1).tolist() == [1] * 5
    assert q[:, 1].tolist() == pytest.approx([0.9**k for k in (4, 3, 2, 1, 0)], abs=0.1)


@pytest.mark.parametrize(("v_max", "lines"), [(0.5, 1), (1.5, 0)])
def test_a_range_that_returns_leave_is_told_of(v_max: float, lines: int) -> None:
    told: list[str] = []
    agent = corridor_agent({"distribution": Categorical(21, -0.5, v_max), "notify": told.append})
    env = SerialEnvironment([Endless] * 4)
    stream = interact(agent, env, explore=True, rng=np.random.default_rng(5), reset_seeds=lambda _: [1, 2, 3, 4])
    for _ in train(agent, stream, total_steps=600):
        pass
    assert len(told) == lines
    assert all("beyond distribution.v_min=-0.5 and distribution.v_max=0.5" in line for line in told)


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("train_freq", 0, "agent.train_freq is 0; it must be at least 1"),
        ("target_every", 0, "agent.target_every is 0; it must be at least 1"),
        ("gradient_steps", -1, "agent.gradient_steps is -1; it must be at least 1"),
        ("batch_size", 0, "agent.batch_size is 0; it must be at least 1"),
        ("learning_starts", -1, "agent.learning_starts is -1; it must be at least 0"),
        ("max_grad_norm", 0.0, "agent.max_grad_norm is 0; it must be more than 0, or null"),
        ("learning_rate", -1.0, "agent.learning_rate is -1; it must be at least 0"),
        ("tau", 0.0, "agent.tau is 0; it must be more than 0 and at most 1"),
        ("tau", 2.0, "agent.tau is 2; it must be more than 0 and at most 1"),
        ("epsilon", Linear(5.0, 0.0, 10), "agent.epsilon at step 0 is 5; it must be from 0 to 1"),
        ("epsilon", Linear(1.0, -1.0, 10), "agent.epsilon in the end is -1; it must be from 0 to 1"),
    ],
)
def test_numbers_that_cannot_be_are_refused_before_anything_is_learnt(name: str, value: Any, line: str) -> None:
    with pytest.raises(UsageError, match=f"^{re.escape(line)}$"):
        DQNSettings(**{**SETTINGS, name: value})


def test_who_will_never_learn_is_told() -> None:
    torso = MLP(Corridor.observation_space, [8], "relu", layer_norm=False)
    network, told = QNetwork(torso, Corridor.observation_space, Corridor.action_space, **PLAIN), []
    replay, options = UniformReplay(10, np.random.default_rng(0)), {**SETTINGS, "learning_starts": 5000}
    for total_steps in (4000, 5000):
        run = {**RUN, "total_steps": total_steps, "notify": told.append}
        by_keys(DQN, network=network, replay=replay, **options, **run)
    assert told == ["nothing will be learned: the first update comes after 5,000 steps, and total_steps is 4,000"]
