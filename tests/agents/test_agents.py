from __future__ import annotations

import copy
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from making import by_keys
from tables import make
from torch import nn
from transitions import learn, seen, transition

from rlkit.agents.dqn import DQN
from rlkit.agents.q_learning import QLearning
from rlkit.agents.random import Random
from rlkit.core.checkpoint import Store
from rlkit.core.evaluation import evaluate
from rlkit.core.loop import interact, train
from rlkit.core.schedules import Constant, Linear
from rlkit.core.types import Batch, Transition, UsageError
from rlkit.networks import MLP, QNetwork
from rlkit.networks.return_distributions import Categorical, Expected, Quantile
from rlkit.replay import UniformReplay
from rlkit.vector.serial import SerialEnvironment
from rlkit.vector.time_steps import first_timestep
from toys import Counting, assert_same


def q_learning(**keys: Any) -> QLearning:
    agent: QLearning = make(QLearning, **{"observation_space": spaces.Discrete(200), "epsilon": Constant(0.0), **keys})
    return agent


class TestQLearning:
    def test_an_update_moves_the_value_towards_the_reward_and_the_best_successor(self) -> None:
        agent = q_learning()
        agent.q.values[1] = [2.0, 8.0]
        metrics = learn(agent, transition([0], [1], [3.0], [1.0], [1]))
        # Target 3 + 0.5 * 8 = 7, error 7, half of it.
        assert agent.q.values[0].tolist() == [0.0, 3.5]
        assert agent.visits[0].tolist() == [0, 1]
        assert metrics == {"loss/td": 7.0, "epsilon": 0.0}
        assert learn(agent, transition([0], [1], [3.0], [1.0], [1]))["loss/td"] == 3.5
        assert agent.q.values[0].tolist() == [0.0, 5.25]

    def test_termination_has_value_zero(self) -> None:
        agent = q_learning(initial_value=100.0)
        learn(agent, transition([0], [0], [3.0], [0.0], [1]))
        assert agent.q.values[0, 0] == 100 + 0.5 * (3 - 100)

    def test_truncation_bootstraps_from_the_true_successor(self) -> None:
        agent = q_learning()
        agent.q.values[5], agent.q.values[100] = [10.0, 0.0], [50.0, 50.0]
        learn(agent, transition([4], [0], [1.0], [1.0], [5], last=[True]))
        assert agent.q.values[4, 0] == 0.5 * (1 + 0.5 * 10)

    def test_a_passed_turn_enters_with_the_opposite_sign(self) -> None:
        agent = q_learning()
        agent.q.values[1] = [4.0, 2.0]
        learn(agent, transition([0], [0], [1.0], [-1.0], [1]))
        assert agent.q.values[0, 0] == 0.5 * (1 - 0.5 * 4)

    def test_the_nth_visit_of_a_state_and_action_learns_at_the_decayed_rate(self) -> None:
        agent = q_learning(learning_rate=0.8, learning_rate_decay=0.65)
        value = 0.0
        for n in range(1, 6):
            learn(agent, transition([0], [0], [1.0], [0.0], [1]))
            learn(agent, transition([0], [1], [9.0], [0.0], [1]))
            value += 0.8 / n**0.65 * (1.0 - value)
            assert agent.q.values[0, 0] == pytest.approx(value, rel=1e-15)

    def test_environments_learn_one_after_the_other(self) -> None:
        agent = q_learning()
        metrics = learn(agent, transition([0, 0, 2], [0, 0, 0], [8.0, 8.0, 1.0], [0.0, 0.0, 1.0], [9, 9, 0]))
        # 0 -> 4 -> 6, and the third bootstraps from the 6.
        assert agent.q.values[0, 0] == 6.0
        assert agent.q.values[2, 0] == 0.5 * (1 + 0.5 * 6)
        assert metrics["loss/td"] == (8 + 4 + 4) / 3

    def test_rows_that_are_not_valid_are_skipped(self) -> None:
        agent = q_learning(epsilon=Linear(1.0, 0.0, 10))
        metrics = learn(agent, transition([0, 1], [0, 0], [8.0, 8.0], [0.0, 0.0], [9, 9], valid=[False, True]))
        assert agent.q.values[:2, 0].tolist() == [0.0, 4.0]
        assert agent.visits.sum() == 1
        assert metrics["epsilon"] == 0.9
        assert learn(agent, transition([0], [0], [8.0], [0.0], [9], valid=[False])) is None
        assert agent.update() is None
        assert agent.visits.sum() == 1

    def test_only_legal_successor_actions_count(self) -> None:
        agent = q_learning()
        agent.q.values[1] = [2.0, 8.0]
        learn(agent, transition([0], [0], [0.0], [1.0], [1], next_legal_actions=[[True, False]]))
        assert agent.q.values[0, 0] == 0.5 * 0.5 * 2
        learn(agent, transition([3], [0], [4.0], [0.0], [1], next_legal_actions=[[False, False]]))
        assert agent.q.values[3, 0] == 2.0

    def test_epsilon_follows_the_decisions_observed_and_only_while_exploring(self) -> None:
        agent = q_learning(epsilon=Linear(1.0, 0.0, 1000))
        agent.q.values[:, 1] = 1.0
        many = seen([0] * 4000)
        rng = np.random.default_rng(0)
        assert agent.act(many, (), explore=False, rng=rng)[0].tolist() == [1] * 4000
        assert agent.act(many, (), explore=True, rng=rng)[0].mean() == pytest.approx(0.5, abs=0.05)
        for _ in range(500):
            agent.observe(transition([0], [0], [0.0], [0.0], [0]))
        assert agent.act(many, (), explore=True, rng=rng)[0].mean() == pytest.approx(0.75, abs=0.05)

    def test_multi_discrete_observations_have_an_entry_each(self) -> None:
        agent = q_learning(observation_space=spaces.MultiDiscrete([3, 4]))
        assert agent.q.values.shape == (12, 2)
        learn(agent, transition([[2, 1]], [1], [8.0], [0.0], [[0, 0]]))
        assert np.argwhere(agent.q.values).tolist() == [[9, 1]]
        assert agent.act(seen([[2, 1]]), (), explore=False, rng=np.random.default_rng(0))[0].tolist() == [1]

    def test_spaces_that_are_not_discrete_are_refused(self) -> None:
        with pytest.raises(UsageError, match="q_learning needs discrete observations"):
            q_learning(observation_space=spaces.Box(0, 1))
        with pytest.raises(UsageError, match="q_learning needs discrete actions"):
            q_learning(action_space=spaces.Box(0, 1))


class Linear1(nn.Module):
    """Action values [w0 * o, w1 * o] of an observation o [B, 1]."""

    distribution = Expected()
    noise_size = hidden_size = levels = 0

    def __init__(self, *weights: float):
        super().__init__()
        self.w = nn.Parameter(torch.tensor(weights))

    def read(self, observation: Any) -> Any:
        return observation.float()

    def outputs(self, seen: Any, noise: Any) -> Any:
        assert noise is None
        return (seen * self.w)[..., None]


class Fixed:
    """A replay that gives the same batch for ever, as often as it fits into what is asked for."""

    prioritized = False

    def __init__(self, batch: Batch | None = None):
        self.batch, self.told, self.added = batch, [], 0

    def __len__(self) -> int:
        return 1

    def add(self, rows: Transition) -> None:
        self.added += 1

    def sample(self, batch_size: int, gamma: float) -> Batch:
        times = batch_size // len(self.batch.action)
        return Batch(*(None if rows is None else np.concatenate([rows] * times) for rows in self.batch))

    @property
    def updates(self) -> int:
        return sum(len(errors) for _, errors in self.told) // len(self.batch.action)

    def update_priorities(self, index: Any, td_error: Any) -> None:
        self.told.append((index.tolist(), td_error.tolist()))

    def state_dict(self) -> Any:
        return {}

    def load_state_dict(self, state: Any) -> None:
        pass


def batch(
    observation: Any,
    action: Any,
    reward: Any,
    discount: Any,
    next_observation: Any,
    *,
    weight: Any = None,
    legal: Any = None,
) -> Batch:
    column = lambda values: np.array(values, np.float32)  # noqa: E731
    return Batch(
        observation=column(observation)[:, None],
        action=np.array(action),
        reward=column(reward),
        discount=column(discount),
        next_observation=column(next_observation)[:, None],
        next_legal_actions=None if legal is None else np.array(legal),
        weight=np.ones(len(action), np.float32) if weight is None else column(weight),
        index=np.arange(len(action)) + 40,
    )


def dqn(network: Any, replay: Any, **keys: Any) -> DQN:
    settings: dict[str, Any] = {
        "optimizer": torch.optim.SGD,
        "learning_rate": 0.5,
        "anneal": False,
        "epsilon": Constant(0.0),
        "gamma": 0.5,
        "double": True,
        "learning_starts": 0,
        "batch_size": 1,
        "train_freq": 1,
        "gradient_steps": 1,
        "epsilon_spread": 0.0,
        "episodes": None,
        "offline_steps": None,
        "offline": "none",
        "conservatism": 1.0,
        "munchausen": None,
        "temperature": 0.03,
        "munchausen_min": -1.0,
        "behavior_threshold": 0.3,
        "fragment_steps": 1,
        "target_every": 1000,
        "tau": 1.0,
        "max_grad_norm": 1000.0,
        "precision": "float32",
        "compile": False,
        "total_steps": None,
        "device": "cpu",
        "generator": None,
        "notify": lambda line: None,
    }
    run = {"total_steps": None, "device": "cpu", "generator": None, "notify": lambda line: None}
    agent: DQN = by_keys(DQN, network=network, replay=replay, **{**settings, **run, **keys})
    return agent


def one(n: int = 1, valid: Any = None) -> Transition:
    return transition(
        np.zeros((n, 1), np.float32), [0] * n, [0.0] * n, [1.0] * n, np.zeros((n, 1), np.float32), valid=valid
    )


def diverged(double: bool, sample: Batch, **keys: Any) -> tuple[DQN, Fixed]:
    """Return an agent whose online network is [1, 2] and whose target network is [3, 1]."""
    replay = Fixed(sample)
    agent = dqn(Linear1(3.0, 1.0), replay, double=double, batch_size=len(sample.action), **keys)
    with torch.no_grad():
        agent.network.w.copy_(torch.tensor([1.0, 2.0]))
    return agent, replay


class TestDQN:
    def test_in_the_double_target_the_online_network_chooses_and_the_target_network_values(self) -> None:
        sample = batch([1.0], [0], [0.25], [1.0], [2.0])
        # Online at 2: [2, 4], it chooses action 1; the target network says [6, 2], so 2.
        # Target 0.25 + 0.5 * 2 = 1.25; error 0.25; the gradient of Huber's loss is -0.25.
        agent, replay = diverged(True, sample)
        metrics = learn(agent, one())
        assert replay.told == [([40], [0.25])]
        assert agent.network.w.tolist() == [1.0 + 0.5 * 0.25, 2.0]
        assert metrics == {"loss/td": 0.5 * 0.25**2, "q/mean": 1.0, "epsilon": 0.0}

    def test_in_the_plain_target_the_target_network_does_both(self) -> None:
        # Its best is 6: target 0.25 + 0.5 * 6 = 3.25, error 2.25, where Huber's gradient is -1 and its loss 2.25 - 0.5.
        agent, replay = diverged(False, batch([1.0], [0], [0.25], [1.0], [2.0]))
        metrics = learn(agent, one())
        assert replay.told == [([40], [2.25])]
        assert agent.network.w.tolist() == [1.5, 2.0]
        assert metrics["loss/td"] == 1.75

    @pytest.mark.parametrize("double", [True, False])
    def test_termination_has_value_zero_and_a_passed_turn_the_opposite_sign(self, double: bool) -> None:
        agent, replay = diverged(double, batch([1.0, 1.0], [0, 0], [1.5, 1.5], [0.0, -1.0], [2.0, 2.0]))
        learn(agent, one())
        value = 2.0 if double else 6.0
        assert replay.told == [([40, 41], [0.5, abs(1.5 - 0.5 * value - 1.0)])]

    @pytest.mark.parametrize("double", [True, False])
    def test_only_legal_successor_actions_are_chosen(self, double: bool) -> None:
        sample = batch([1.0, 1.0], [0, 0], [0.0, 0.0], [1.0, 1.0], [2.0, 2.0], legal=[[True, False], [False, True]])
        agent, replay = diverged(double, sample)
        learn(agent, one())
        assert replay.told == [([40, 41], [0.5 * 6 - 1, 0.5 * 2 - 1])]

    def test_each_rows_gradient_counts_with_its_weight(self) -> None:
        sample = batch([1.0, 1.0], [0, 1], [0.75, 1.5], [0.0, 0.0], [0.0, 0.0], weight=[1.0, 0.5])
        agent, _ = diverged(True, sample)
        learn(agent, one())
        # Errors -0.25 and -0.5; means over two rows.
        assert agent.network.w.tolist() == [1 - 0.5 * 0.25 / 2, 2 - 0.5 * 0.5 * 0.5 / 2]

    def test_gradients_are_scaled_down_to_the_norm(self) -> None:
        # Huber's gradients are 1 and 1 over two rows: norm sqrt(1/2).
        sample = batch([1.0, 1.0], [0, 1], [-9.0, -9.0], [0.0, 0.0], [0.0, 0.0])
        agent, _ = diverged(True, sample, max_grad_norm=0.5)
        learn(agent, one())
        assert agent.network.w.tolist() == pytest.approx([1 - 0.25 / 2**0.5, 2 - 0.25 / 2**0.5], rel=1e-5)

    @pytest.mark.parametrize("tau", [1.0, 0.25])
    def test_every_so_many_gradient_steps_the_target_network_follows(self, tau: float) -> None:
        agent, _ = diverged(True, batch([1.0], [0], [0.0], [0.0], [0.0]), target_every=3, tau=tau)
        target = np.array([3.0, 1.0])
        for k in range(1, 10):
            learn(agent, one())
            if k % 3 == 0:
                target += tau * (agent.network.w.detach().numpy() - target)
            assert agent.target_network.w.tolist() == pytest.approx(target.tolist(), rel=1e-6)

    def test_updates_are_due_at_the_multiples_of_train_freq_after_learning_starts(self) -> None:
        agent, replay = diverged(
            True, batch([1.0], [0], [0.0], [0.0], [0.0]), learning_starts=7, train_freq=2, gradient_steps=3
        )
        updates = []
        for _ in range(12):
            before = replay.updates
            metrics = learn(agent, one())
            updates.append(replay.updates - before)
            assert (metrics is None) == (updates[-1] == 0)
        # Decisions 1 to 12: learning from the 7th on, at even ones.
        assert updates == [0, 0, 0, 0, 0, 0, 0, 3, 0, 3, 0, 3]

    def test_several_environments_pass_several_multiples_at_once_and_invalid_rows_pass_none(self) -> None:
        agent, replay = diverged(True, batch([1.0], [0], [0.0], [0.0], [0.0]), train_freq=2)
        counts = []
        for valid in ([True] * 5, [True] * 5, [False, False, True, False, False], [False] * 5):
            before = replay.updates
            learn(agent, one(5, valid))
            counts.append(replay.updates - before)
        # Decisions after each: 5, 10, 11, 11.
        assert counts == [2, 3, 0, 0]

    def test_multiples_before_learning_starts_are_not_made_up_for(self) -> None:
        agent, replay = diverged(True, batch([1.0], [0], [0.0], [0.0], [0.0]), train_freq=2, learning_starts=7)
        learn(agent, one(8))
        assert replay.updates == 1  # at 8, as with one environment; not at 2, 4 and 6

    def test_before_anything_is_stored_nothing_is_learnt(self) -> None:
        agent = dqn(Linear1(1.0, 2.0), UniformReplay(10, np.random.default_rng(0)))
        assert learn(agent, one(1, [False])) is None
        assert agent.update() is None

    def test_only_valid_rows_reach_the_replay_and_successors_are_true_ones(self) -> None:
        # Observation 4, true successor 5, truncated; the next episode starts at 100 (facts/peers.md, section 3).
        replay = UniformReplay(10, np.random.default_rng(0))
        agent = dqn(Linear1(1.0, 2.0), replay, learning_starts=100)
        f = lambda x: np.array([[x]], np.float32)  # noqa: E731
        learn(agent, transition(f(4), [0], [1.0], [1.0], f(5), last=[True]))
        learn(agent, transition(f(5), [0], [0.0], [1.0], f(100), valid=[False]))
        learn(agent, transition(f(100), [0], [1.0], [1.0], f(101)))
        rows = replay.sample(200)
        pairs = set(zip(rows.observation[:, 0].tolist(), rows.next_observation[:, 0].tolist(), strict=True))
        assert pairs == {(4.0, 5.0), (100.0, 101.0)}

    def test_truncation_bootstraps_from_the_true_successor(self) -> None:
        replay = UniformReplay(10, np.random.default_rng(0))
        agent = dqn(Linear1(1.0, 2.0), replay)
        f = lambda x: np.array([[x]], np.float32)  # noqa: E731
        told: list[Any] = []
        replay.update_priorities = lambda index, error: told.append(error.tolist())  # type: ignore[method-assign]
        learn(agent, transition(f(4), [0], [1.0], [1.0], f(5), last=[True]))
        # 1 + 0.5 * (2 * 5) - 1 * 4
        assert told == [[2.0]]

    def test_it_acts_greedily_among_legal_actions_and_explores_by_epsilon(self) -> None:
        agent = dqn(Linear1(1.0, 2.0), Fixed(), epsilon=Constant(0.5))
        rng = np.random.default_rng(0)
        observation = np.ones((2, 1), np.float32)
        assert agent.act(seen(-observation), (), explore=False, rng=rng)[0].tolist() == [0, 0]
        masked = seen(observation, [[True, False], [True, True]])
        assert agent.act(masked, (), explore=False, rng=rng)[0].tolist() == [0, 1]
        many = seen(np.ones((4000, 1), np.float32))
        assert agent.act(many, (), explore=True, rng=rng)[0].mean() == pytest.approx(0.75, abs=0.05)


def make_q_learning() -> QLearning:
    space = spaces.Discrete(40)
    return q_learning(observation_space=space, action_space=spaces.Discrete(3), epsilon=Linear(1.0, 0.1, 100))


PLAIN = {"distribution": Expected(), "dueling": False, "noisy": False, "noise_scale": 0.5}


def make_dqn(seed: int = 0, options: Any = None, **keys: Any) -> DQN:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        torso = MLP(Counting.observation_space, [8], "tanh", layer_norm=False)
        network = QNetwork(torso, Counting.observation_space, spaces.Discrete(3), **{**PLAIN, **(options or {})})
    replay = UniformReplay(60, np.random.default_rng(seed))
    settings = {
        "optimizer": partial(torch.optim.Adam, fused=True),
        "learning_rate": 0.01,
        "anneal": False,
        "epsilon": Linear(1.0, 0.1, 100),
        "learning_starts": 20,
        "batch_size": 8,
        "train_freq": 3,
        "epsilon_spread": 0.0,
        "episodes": None,
        "offline_steps": None,
        "offline": "none",
        "conservatism": 1.0,
        "munchausen": None,
        "temperature": 0.03,
        "munchausen_min": -1.0,
        "behavior_threshold": 0.3,
        "fragment_steps": 1,
        "target_every": 5,
    }
    return dqn(network, replay, **{**settings, **keys})


class Discretised(Counting):
    observation_space = spaces.Discrete(40)

    def _observation(self) -> Any:
        return min(self._count, 5) * 6 + min(self._total, 5)


GRID = Categorical(11, -2.0, 8.0)


def noise() -> dict[str, Any]:
    return {"generator": torch.Generator().manual_seed(7), "epsilon": Constant(0.0)}


AGENTS: dict[str, tuple[Any, Any]] = {
    "q_learning": (make_q_learning, Discretised),
    "dqn": (make_dqn, Counting),
    "dqn plain polyak": (lambda: make_dqn(double=False, tau=0.1, target_every=1), Counting),
    "dqn dueling noisy": (lambda: make_dqn(options={"dueling": True, "noisy": True}, **noise()), Counting),
    "dqn c51 noisy": (lambda: make_dqn(options={"distribution": GRID, "noisy": True}, **noise()), Counting),
    "dqn dueling quantile": (lambda: make_dqn(options={"distribution": Quantile(5), "dueling": True}), Counting),
    "random": (lambda: Random(spaces.Discrete(3)), Counting),
}


@pytest.fixture(params=AGENTS)
def case(request: pytest.FixtureRequest) -> Any:
    return AGENTS[request.param]


def streamed(agent: Any, make_env: Any, *, seed: int = 0) -> Any:
    env = SerialEnvironment([make_env] * 3, action_mask=True)
    return interact(agent, env, explore=True, rng=np.random.default_rng(seed), reset_seeds=lambda _: [5, 6, 7])


class TestEveryAgent:
    def test_acting_changes_nothing_in_it(self, case: Any, tmp_path: Path) -> None:
        agent = case[0]()
        for _ in train(agent, streamed(agent, case[1]), total_steps=90):
            pass
        store = Store(tmp_path)
        store.save(1, agent.state_dict())
        before = {name: (store.directory / "1" / name).read_bytes() for name in ("state.json", "arrays.npz")}
        rng = np.random.default_rng(0)
        timestep = SerialEnvironment([case[1]] * 3, action_mask=True).reset([1, 2, 3])
        memory = agent.initial_memory(3)
        given = copy.deepcopy(timestep)
        for explore in (True, False):
            action, memory = agent.act(timestep, memory, explore=explore, rng=rng)
            assert action.shape == (3,)
        assert_same(timestep, given)
        evaluate(
            agent,
            SerialEnvironment([case[1]] * 2, action_mask=True),
            episodes=5,
            max_steps=20,
            rng=rng,
            episode_seeds=[1, 2, 3, 4, 5],
            epsilon=0.1,
        )
        folder = Store(tmp_path / "after").save(1, agent.state_dict())
        assert {name: (folder / name).read_bytes() for name in before} == before

    def test_it_comes_back_bit_by_bit_and_goes_on_the_same(self, case: Any, tmp_path: Path) -> None:
        agent, other = case[0](), case[0]()
        first = streamed(agent, case[1], seed=3)
        for _ in train(agent, first, total_steps=100):
            pass
        store = Store(tmp_path)
        store.save(1, agent.state_dict())
        for _ in train(other, streamed(other, case[1], seed=8), total_steps=40):
            pass
        other.load_state_dict(store.load(1))
        assert_same(plain(other, tmp_path / "a"), plain(agent, tmp_path / "b"))
        rows = [next(first) for _ in range(60)]
        metrics = [[learn(learner, row) for row in rows] for learner in (agent, other)]
        assert_same(metrics[0], metrics[1])
        assert_same(plain(other, tmp_path / "c"), plain(agent, tmp_path / "d"))
        timestep = first._timestep
        actions = [a.act(timestep, (), explore=True, rng=np.random.default_rng(1))[0] for a in (agent, other)]
        assert_same(actions[0], actions[1])

    def test_its_state_does_not_move_while_it_learns(self, case: Any, tmp_path: Path) -> None:
        agent = case[0]()
        stream = streamed(agent, case[1])
        for _ in train(agent, stream, total_steps=90):
            pass
        state = {key: value for key, value in agent.state_dict().items() if key != "replay"}
        before = copy.deepcopy(state)
        for _ in train(agent, stream, total_steps=200):
            pass
        assert_same(state, before)

    def test_it_leaves_the_global_generators_alone(self, case: Any) -> None:
        before, before_torch = np.random.get_state()[1].tolist(), torch.random.get_rng_state()  # noqa: NPY002
        agent = case[0]()
        for _ in train(agent, streamed(agent, case[1]), total_steps=90):
            pass
        assert np.random.get_state()[1].tolist() == before  # noqa: NPY002
        assert torch.equal(torch.random.get_rng_state(), before_torch)

    def test_it_takes_legal_actions_only(self, case: Any) -> None:
        agent = case[0]()
        for row, _ in train(agent, streamed(agent, case[1]), total_steps=300):
            assert row.legal_actions[np.arange(3), row.action].all()


def plain(agent: Any, folder: Path) -> Any:
    """Return the state with the replay's segments read."""

    def read(value: Any) -> Any:
        if hasattr(value, "read"):
            return value.name, value.read()
        if isinstance(value, dict):
            return {key: read(item) for key, item in value.items()}
        return [read(item) for item in value] if isinstance(value, list) else value

    store = Store(folder)
    store.save(1, agent.state_dict())
    return read(store.load(1))


def test_a_dqn_state_without_its_replay_is_enough_to_act() -> None:
    agent, other = make_dqn(), make_dqn(seed=1)
    for _ in train(agent, streamed(agent, Counting), total_steps=90):
        pass
    other.load_state_dict({key: value for key, value in agent.state_dict().items() if key != "replay"})
    timestep = first_timestep(np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32), None)
    rng = np.random.default_rng(0)
    actions = [a.act(timestep, (), explore=False, rng=rng)[0].tolist() for a in (agent, other)]
    assert actions[0] == actions[1]


def test_random_takes_any_action_space() -> None:
    for space in (spaces.Box(-1, 1, (2,), np.float32), spaces.MultiDiscrete([2, 3]), spaces.MultiBinary(3)):
        action, _ = Random(space).act(seen([0, 0, 0]), (), explore=True, rng=np.random.default_rng(0))
        assert action.shape == (3, *space.shape)
        assert all(space.contains(row) for row in action)
