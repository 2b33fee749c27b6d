"""Features by hand, and semi-gradient methods against exact fixed points."""

from __future__ import annotations

import copy
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st
from tables import Walk, stream_of
from transitions import learn, transition

from rlkit.agents.linear_q import LinearQ
from rlkit.agents.linear_sarsa import LinearSarsa
from rlkit.agents.linear_td_prediction import LinearTDPrediction
from rlkit.algorithms.fixed_policies import Uniform
from rlkit.algorithms.linear.features import Active, Features, Polynomial, Radial, Tiles
from rlkit.core.loop import train
from rlkit.core.schedules import Constant, Exponential
from rlkit.core.types import UsageError
from rlkit.vector.serial import SerialEnvironment
from toys import assert_same

SQUARE = spaces.Box(-1.0, 3.0, (2,), np.float32)
POINTS = st.lists(st.floats(-1, 3, width=32), min_size=2, max_size=2)


def tiles(tilings: int = 8, count: int = 4, space: Any = SQUARE, **bounds: Any) -> Tiles:
    return Tiles(tilings, count, **{"low": None, "high": None, **bounds}, observation_space=space)


class TestTiles:
    @settings(max_examples=100)
    @given(point=POINTS)
    def test_in_each_tiling_one_tile_is_active(self, point: list[float]) -> None:
        features = tiles()
        [index], [value] = features(np.array([point]))
        assert (index // 25).tolist() == list(range(8))
        assert value.tolist() == [1.0] * 8
        assert features.size == 8 * 25
        assert features.norm == 8

    @settings(max_examples=100)
    @given(point=POINTS, step=st.floats(0, 1))
    def test_a_step_of_a_fraction_of_a_tile_changes_as_many_tiles(self, point: list[float], step: float) -> None:
        features = tiles()
        other = [point[0], min(3.0, point[1] + step)]
        [before], [after] = features(np.array([point])).index, features(np.array([other])).index
        # A tile is as wide as 1: of eight tilings those change whose line is crossed.
        crossed = 8 * (other[1] - point[1])
        assert np.floor(crossed - 1e-6) <= (before != after).sum() <= np.ceil(crossed + 1e-6)

    def test_one_tiling_is_aggregation(self) -> None:
        features = tiles(1, 4, spaces.Discrete(17))
        assert features(np.arange(17)).index[:, 0].tolist() == [0] * 4 + [1] * 4 + [2] * 4 + [3] * 5
        assert features.size == 4

    def test_far_apart_nothing_is_shared(self) -> None:
        near, far = tiles()(np.array([[-1.0, -1.0], [1.5, 1.5]])).index
        assert not set(near) & set(far)


def test_radial_bumps() -> None:
    features = Radial(3, 0.5, None, None, SQUARE)
    index, value = features(np.array([[1.0, 1.0], [-1.0, 1.0]]))
    assert index.tolist() == [list(range(9))] * 2
    # Centres 0, 1/2 and 1 of the unit square; half a distance is 1/4.
    assert value[0].tolist() == pytest.approx(
        np.exp([-(a**2 + b**2) / (2 / 16) for a in (-0.5, 0, 0.5) for b in (-0.5, 0, 0.5)])
    )
    assert value[1].argmax() == 1


def test_polynomials() -> None:
    _, value = Polynomial(2, None, None, SQUARE)(np.array([[0.0, 1.0]]))
    x, y = 0.25, 0.5
    assert value[0].tolist() == [1, y, y**2, x, x * y, x * y**2, x**2, x**2 * y, x**2 * y**2]


def test_observations_without_bounds_need_some() -> None:
    endless = spaces.Box(-np.inf, np.inf, (2,), np.float32)
    with pytest.raises(UsageError, match=r"have no bounds; set agent.features.low"):
        tiles(space=endless)
    assert tiles(space=endless, low=[0, 0], high=[1, 1])(np.array([[5.0, -5.0]])).index.shape == (1, 8)
    with pytest.raises(UsageError, match=r"agent.features.low has 1 values, observations have 2"):
        tiles(low=[0])
    with pytest.raises(UsageError, match=r"need Box or Discrete observations"):
        tiles(space=spaces.MultiBinary(3))


class OneHot:
    """A table as a linear function."""

    norm = 1.0

    def __init__(self, size: int):
        self.size = size

    def __call__(self, observation: Any) -> Active:
        return Active(np.asarray(observation)[:, None], np.ones((len(observation), 1)))


def control(kind: Any, features: Features | None = None, **keys: Any) -> Any:
    settings: dict[str, Any] = {
        "features": features or OneHot(20),
        "action_space": spaces.Discrete(2),
        "gamma": 0.5,
        "epsilon": Constant(0.0),
        "learning_rate": Constant(0.5),
        "trace_decay": 0.0,
        "rng": np.random.default_rng(0),
    }
    return kind(**{**settings, **keys})


class TestControl:
    def test_q_learning_on_a_table(self) -> None:
        agent = control(LinearQ)
        agent.linear.weights[:, 1] = [4.0, 8.0]
        learn(agent, transition([0], [1], [1.0], [1.0], [1]))
        assert agent.linear.weights[:, 0].tolist() == [0.0, 0.5 * (1 + 0.5 * 8)]

    def test_sarsa_waits_for_the_next_action(self) -> None:
        agent = control(LinearSarsa)
        agent.linear.weights[:, 1] = [4.0, 8.0]
        assert learn(agent, transition([0], [1], [1.0], [1.0], [1])) is None
        learn(agent, transition([1], [0], [0.0], [0.0], [2]))
        assert agent.linear.weights[1, 0] == 0.5 * (1 + 0.5 * 4)

    def test_a_step_is_divided_among_tilings(self) -> None:
        features = tiles()
        agent = control(LinearQ, features)
        row = ([[0.1, 0.2]], [0], [8.0], [0.0], [[1.0, 1.0]])
        learn(agent, transition(*row))
        # Half of the error of 8, together.
        assert agent.linear.values(features(np.array([[0.1, 0.2]])))[0, 0] == pytest.approx(4.0)

    def test_traces_reach_back_until_an_action_is_not_greedy(self) -> None:
        for kind, value in ((LinearSarsa, 5 * 0.4), (LinearQ, 0.0)):
            agent = control(kind, trace_decay=0.8)
            learn(agent, transition([1], [0], [0.0], [1.0], [2]))
            agent.linear.weights[1, 2] = 1e-12
            learn(agent, transition([2], [0], [10.0], [0.0], [3]))
            assert agent.linear.weights[0, 1] == pytest.approx(value, abs=1e-9)

    def test_what_is_illegal_neither_cuts_traces_nor_is_bootstrapped_from(self) -> None:
        """Three steps of -1, where another action is worth 0 but never legal: as in a table of the legal one alone."""
        only = [[True, False]]
        agent = control(LinearQ, gamma=1.0, learning_rate=Constant(0.1), trace_decay=1.0)
        values = np.zeros(3)
        for _ in range(10):
            for s in range(3):
                row = transition([s], [0], [-1.0], [float(s < 2)], [s + 1], next_legal_actions=only)
                learn(agent, row._replace(legal_actions=np.array(only)))
                error = -1.0 + (values[s + 1] if s < 2 else 0.0) - values[s]
                values[: s + 1] += 0.1 * error
            assert agent.linear.weights[0, :3] == pytest.approx(values, abs=1e-12)
        assert agent.linear.weights[0, 0] == pytest.approx(-1.953965, abs=1e-6)

    @pytest.mark.parametrize("kind", [LinearQ, LinearSarsa])
    def test_where_nothing_is_legal_any_more_nothing_follows(self, kind: Any) -> None:
        agent = control(kind)
        agent.linear.weights[:, 1] = 8.0
        learn(agent, transition([0], [0], [1.0], [0.0], [1], next_legal_actions=[[False, False]]))
        assert agent.linear.weights[0, 0] == 0.5

    @pytest.mark.parametrize("seed", range(3))
    def test_after_truncation_sarsa_draws_a_legal_action_at_the_true_successor(self, seed: int) -> None:
        agent = control(LinearSarsa, epsilon=Constant(1.0), rng=np.random.default_rng(seed))
        agent.linear.weights[:, 1] = [100.0, 8.0]
        row = transition([0], [0], [0.0], [1.0], [1], last=[True], next_legal_actions=[[False, True]])
        learn(agent, row)
        assert agent.linear.weights[0, 0] == 0.5 * 0.5 * 8

    @pytest.mark.parametrize("kind", [LinearQ, LinearSarsa])
    @pytest.mark.parametrize("decay", [0.0, 0.7])
    def test_it_goes_on_from_its_state(self, kind: Any, decay: float) -> None:
        rng = np.random.default_rng(0)
        rows = [
            transition(rng.uniform(-1, 3, (3, 2)), rng.integers(2, size=3), rng.random(3), [1.0, 1.0, float(t % 3 > 0)],
                       rng.uniform(-1, 3, (3, 2)))
            for t in range(20)
        ]  # fmt: skip
        agent = control(kind, tiles(), trace_decay=decay, epsilon=Constant(0.3))
        for row in rows[:10]:
            learn(agent, row)
        other = control(kind, tiles(), trace_decay=decay, epsilon=Constant(0.3), rng=np.random.default_rng(9))
        state = agent.state_dict()
        kept = copy.deepcopy(state)
        other.load_state_dict(kept)
        for row in rows[10:]:
            learn(agent, row)
            learn(other, row)
        assert_same(other.state_dict(), agent.state_dict())
        assert_same(state, kept)


def walk_fixed_point(features: Features, gamma: float) -> np.ndarray:
    """Return the weights at which TD(0)'s mean update vanishes: A w = b under the walk's own state distribution."""
    states = np.arange(1, 6)
    moves = np.zeros((5, 5))
    for k in range(5):
        for other in (k - 1, k + 1):
            if 0 <= other < 5:
                moves[k, other] = 0.5
    begins = (states == 3).astype(float)
    # Expected visits of an episode that starts in the middle.
    visits = np.linalg.solve(np.eye(5) - moves.T, begins)
    active = features(states)
    x = np.zeros((5, features.size))
    np.put_along_axis(x, active.index, active.value, axis=1)
    reward = np.array([0, 0, 0, 0, 0.5])
    weighted = x.T * visits
    # Least squares, for features that no state has.
    return x @ np.linalg.lstsq(weighted @ (x - gamma * moves @ x), weighted @ reward)[0]


@pytest.mark.parametrize("kind", ["aggregation", "polynomial", "table"])
def test_td_converges_to_the_projected_fixed_point(kind: str) -> None:
    space = spaces.Discrete(7)
    features: Any = {
        "aggregation": lambda: tiles(1, 3, space),
        "polynomial": lambda: Polynomial(1, None, None, space),
        "table": lambda: tiles(1, 7, space),
    }[kind]()
    agent = LinearTDPrediction(
        features=features,
        policy=Uniform(spaces.Discrete(2)),
        gamma=0.9,
        learning_rate=Exponential(0.2, 0.0005, 1e-4),
        trace_decay=0.0,
    )
    for _ in train(agent, stream_of(agent, SerialEnvironment([Walk] * 8), 0), total_steps=100_000):
        pass
    assert agent.values(np.arange(1, 6)) == pytest.approx(walk_fixed_point(features, 0.9), abs=0.01)


def make_car() -> Any:
    return gymnasium.make("MountainCar-v0", disable_env_checker=True)


def test_bounds_of_mountain_car_are_known() -> None:
    features = tiles(space=make_car().observation_space)
    assert features(np.array([[-0.5, 0.0]], np.float32)).index.shape == (1, 8)
