"""Where the turn passes (discount -1): what the other side gains is lost to oneself, whoever learns it and however."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st
from making import made, stream_of

import rlkit
from rlkit.agents.double_q_learning import DoubleQLearning
from rlkit.agents.expected_sarsa import ExpectedSarsa
from rlkit.agents.linear_q import LinearQ
from rlkit.agents.linear_sarsa import LinearSarsa
from rlkit.agents.linear_td_prediction import LinearTDPrediction
from rlkit.agents.mc_control import MCControl
from rlkit.agents.mc_prediction import MCPrediction
from rlkit.agents.q_learning import QLearning
from rlkit.agents.sarsa import Sarsa
from rlkit.agents.td_prediction import TDPrediction
from rlkit.algorithms.fixed_policies import Uniform
from rlkit.algorithms.linear.features import Tiles
from rlkit.algorithms.policy_gradient.normalization import RewardScale
from rlkit.algorithms.tabular.control import QTable
from rlkit.algorithms.tabular.traces import EligibilityTraces, Step
from rlkit.core.loop import train
from rlkit.core.schedules import Constant
from rlkit.core.targets import gae, returns, vtrace
from rlkit.core.types import StepInfo, Transition, UsageError
from rlkit.networks.return_distributions import Categorical, Quantile
from rlkit.planning.mdp import from_environment
from rlkit.replay import UniformReplay
from rlkit.vector.serial import SerialEnvironment

STATES, ACTIONS = spaces.Discrete(4), spaces.Discrete(1)
GAME = ((0, 0.0, -1.0, 1), (1, 0.0, -1.0, 2), (2, 1.0, 0.0, 3))
"""Three moves in turn, as (state, reward, discount, state after): whoever makes the last, and so the first, wins."""
WON = [1.0, -1.0, 1.0]


def play(agent: Any) -> Any:
    """Let the agent see the game once."""
    for s, reward, discount, s_t in GAME:
        last = np.array([discount == 0])
        row = Transition(
            observation=np.array([s]),
            action=np.array([0]),
            reward=np.array([reward], np.float32),
            discount=np.array([discount], np.float32),
            next_observation=np.array([s_t]),
            last=last,
            valid=np.array([True]),
            legal_actions=None,
            next_legal_actions=None,
            info=StepInfo(np.array([reward]), last, np.array([False])),
        )
        agent.observe(row)
        agent.update()
    return agent


class Heads:
    """A coin that always falls alike, so that of two tables the same one learns."""

    def random(self) -> float:
        return 0.0


TABULAR: dict[str, Any] = {
    "observation_space": STATES,
    "gamma": 1.0,
    "learning_rate": 1.0,
    "learning_rate_decay": 0.0,
    "initial_value": 0.0,
}
CONTROL = {**TABULAR, "action_space": ACTIONS, "epsilon": Constant(0.0), "epsilon_counts": "steps", "discretizer": None}
CREDITS = {"traces": {"n_step": 1, "trace_decay": 1.0}, "three steps": {"n_step": 3, "trace_decay": 0.0}}


@pytest.mark.parametrize("credit", CREDITS)
class TestTemporalDifferences:
    @pytest.mark.parametrize("kind", [Sarsa, ExpectedSarsa, QLearning, DoubleQLearning])
    def test_control_learns_in_one_game_what_monte_carlo_does(self, kind: Any, credit: str) -> None:
        agent = play(kind(**CONTROL, **CREDITS[credit], rng=Heads()))
        assert agent.tables[0].values[:3, 0].tolist() == WON

    def test_prediction_learns_in_one_game_what_monte_carlo_does(self, credit: str) -> None:
        agent = play(TDPrediction(**TABULAR, **CREDITS[credit], policy=Uniform(ACTIONS)))
        assert agent.v[:3].tolist() == WON


@pytest.mark.parametrize(("first_visit", "off_policy"), [(True, False), (False, False), (False, True)])
def test_monte_carlo_control(first_visit: bool, off_policy: bool) -> None:
    options = {"first_visit": first_visit, "exploring_starts": False, "off_policy": off_policy}
    agent = play(MCControl(**CONTROL, **options, rng=np.random.default_rng(0)))
    assert agent.q.values[:3, 0].tolist() == WON


def test_monte_carlo_prediction() -> None:
    assert play(MCPrediction(**TABULAR, policy=Uniform(ACTIONS), first_visit=True)).v[:3].tolist() == WON


def test_linear_functions_learn_the_same_by_traces() -> None:
    shared: dict[str, Any] = {"gamma": 1.0, "learning_rate": Constant(1.0), "trace_decay": 1.0}
    shared["features"] = Tiles(1, 4, None, None, STATES)
    control = {"action_space": ACTIONS, "epsilon": Constant(0.0), "rng": np.random.default_rng(0)}
    for kind in (LinearSarsa, LinearQ):
        agent = play(kind(**shared, **control))
        assert agent.linear.weights[0, :3].tolist() == WON
    assert play(LinearTDPrediction(**shared, policy=Uniform(ACTIONS))).linear.weights[0, :3].tolist() == WON


class TestTraces:
    def test_the_first_pair_moves_by_minus_half_of_the_second_error(self) -> None:
        agent = QLearning(**{**CONTROL, "learning_rate": 0.25}, n_step=1, trace_decay=0.5, rng=Heads())
        agent.q.values[2] = 8.0
        play(agent)
        # Errors 0, -8 and then 1 - 8 - 0.25 * 0 = -7; shares 0.25 of them, traces -0.5 and 0.25.
        assert agent.q.values[2, 0] == 8 + 0.25 * -7
        assert agent.q.values[1, 0] == 0.25 * (-8 - 0.5 * -7)
        assert agent.q.values[0, 0] == 0.25 * (-0.5 * -8 + 0.25 * -7)

    @pytest.mark.parametrize("sign", [1.0, -1.0])
    def test_one_is_dropped_when_it_is_near_to_0_on_either_side(self, sign: float) -> None:
        traces, table = EligibilityTraces(1e-5), QTable(np.zeros((9, 1)), np.zeros((9, 1), np.int64), 1.0, 0.0)
        for s in range(3):
            traces.update(table, 0, Step(s, 0, 0.0, sign, s + 1, False, None, None), 0.0)
        # 1e-10 of the second is below FAINT.
        [[_, kept]] = traces.state_dict()["traces"]
        assert kept == [[2, 0, sign * 1e-5]]

    def test_what_is_done_again_leaves_1_whoever_did_it_before(self) -> None:
        traces, table = EligibilityTraces(0.5), QTable(np.zeros((2, 1)), np.zeros((2, 1), np.int64), 1.0, 0.0)
        for s in (0, 1, 0):
            traces.update(table, 0, Step(s, 0, 0.0, -1.0, 1 - s, False, None, None), 0.0)
        [[_, kept]] = traces.state_dict()["traces"]
        assert kept == [[0, 0, -0.5], [1, 0, 0.25]]

    @settings(max_examples=60)
    @given(
        rows=st.lists(
            st.tuples(
                st.integers(0, 3),
                st.floats(-1, 1),
                st.sampled_from([0.9, -0.9, 1.0, -1.0, 0.0]),
                st.booleans(),
                st.floats(-2, 2),
            ),
            max_size=15,
        ),
        trace_decay=st.sampled_from([0.3, 1.0]),
        decay=st.sampled_from([0.0, 0.7]),
    )
    def test_they_are_those_of_the_definition(
        self, rows: list[tuple[int, float, float, bool, float]], trace_decay: float, decay: float
    ) -> None:
        traces, table = EligibilityTraces(trace_decay), QTable(np.zeros((4, 1)), np.zeros((4, 1), np.int64), 0.5, decay)
        values, trace, visits = np.zeros(4), np.zeros(4), np.zeros(4)
        for s, reward, discount, ends, v_t in rows:
            last = ends or discount == 0
            traces.update(table, 0, Step(s, 0, reward, discount, 0, last, None, None), reward + discount * v_t)
            visits[s] += 1
            trace[s] = 1.0
            rates = 0.5 / np.maximum(visits, 1) ** decay
            values += rates * trace * (reward + discount * v_t - values[s])
            trace *= 0.0 if last else trace_decay * discount
            assert table.values[:, 0] == pytest.approx(values, abs=1e-7)


R, D, LAST = np.array([0.0, 0.0, 1.0]), np.array([-1.0, -1.0, 0.0]), np.array([False, False, True])


class TestTargets:
    def test_returns_and_advantages_are_the_mover_s(self) -> None:
        zeros = np.zeros(3)
        assert returns(R, D, zeros, LAST).tolist() == WON
        assert gae(zeros, R, D, zeros, LAST, 1.0).tolist() == WON
        assert gae(zeros, R, D, zeros, LAST, 0.5).tolist() == [0.25, -0.5, 1.0]

    def test_v_trace_has_the_returns_for_targets_and_advantages_of_one_step(self) -> None:
        zeros = np.zeros(3)
        targets, advantages = vtrace(zeros, R, D, zeros, LAST, np.ones(3))
        assert targets.tolist() == WON
        # r + discount times the target after it.
        assert advantages.tolist() == WON
        halved, _ = vtrace(zeros, R, D, zeros, LAST, np.ones(3), lambda_=0.5)
        assert halved.tolist() == [0.25, -0.5, 1.0]

    def test_a_replay_of_several_steps(self) -> None:
        replay = UniformReplay(8, np.random.default_rng(0), n_step=3)
        play(Store(replay))
        batch = replay.sample(64, 0.5)
        firsts = batch.observation == 0
        assert firsts.any()
        # 0 - 0.5 * 0 + 0.25 * 1, and nothing after it.
        assert set(batch.reward[firsts].tolist()) == {0.25}
        assert set(batch.reward[batch.observation == 1].tolist()) == {-0.5}
        assert set(batch.discount.tolist()) == {0.0}

    def test_a_distribution_is_turned_round(self) -> None:
        following = torch.tensor([[0.0, 0.25, 0.75]]).log()
        wanted = torch.tensor([[0.75, 0.25, 0.0]])
        zero, turned = torch.zeros(1), -torch.ones(1)
        losses, _ = Categorical(3, -1.0, 1.0).loss(wanted.clamp(min=1e-30).log(), following, zero, turned)
        assert losses.tolist() == pytest.approx([0.0], abs=1e-6)
        quantiles = torch.tensor([[1.0, 2.0, 6.0]])
        exact, _ = Quantile(1).loss(torch.tensor([[-2.0]]), quantiles, zero, turned)
        # Huber's losses of 1, 0 and 4 are 0.5, 0 and 3.5, each with the weight 1/2.
        assert exact.tolist() == pytest.approx([0.5 * (0.5 + 0.0 + 3.5) / 3])


class Store:
    """An agent that keeps what it sees in a replay."""

    def __init__(self, replay: UniformReplay):
        self.observe = replay.add

    def update(self) -> None:
        """Learn nothing."""


def test_rewards_are_scaled_by_what_whoever_moves_has_had() -> None:
    scale, sums = RewardScale(1, 0.5), list[float]()
    for reward, discount in ((4.0, -1.0), (2.0, 1.0), (1.0, 0.0), (8.0, 1.0)):
        found = scale(np.array([reward]), np.array([discount]), np.array([discount == 0]), np.array([True]))
        # 4; 2 - 0.5 * 4; 1 + 0.5 * 0; and then another episode. One sum alone has no spread.
        sums = [4.0, 0.0, 1.0, 8.0][: len(sums) + 1]
        spread = np.std(sums) if len(sums) > 1 else 1.0
        assert found.item() == pytest.approx(min(10.0, reward / spread), rel=1e-6)


class Turns(gymnasium.Env[Any, Any]):
    """Two players in turn: the first to move gets 1, the other 5, and it is over."""

    observation_space, action_space = spaces.Discrete(2), spaces.Discrete(2)

    def __init__(self) -> None:
        self.at = 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.at = 0
        return 0, {}

    def step(self, action: int) -> Any:
        self.at += 1
        over = self.at == 2
        return self.at % 2, 5.0 if over else 1.0, over, False, {} if over else {"rlkit/discount": -1.0}

    def get_state(self) -> Any:
        return self.at

    def set_state(self, state: Any) -> None:
        self.at = state


def test_a_member_of_a_population_scores_what_whoever_begins_has() -> None:
    env = SerialEnvironment([Turns] * 2)
    agent = made("agent=es network=mlp network.hidden=[2] agent.network.orthogonal=false agent.population=4", env)
    for _ in train(agent, stream_of(agent, env, 0), total_steps=4):
        pass
    scores = agent.state_dict()["generation"]["scores"]
    assert scores[:2].tolist() == [1.0 - 5.0] * 2
    assert np.isnan(scores[2:]).all()


def test_a_game_is_no_mdp_of_one_player() -> None:
    with pytest.raises(UsageError, match=r"info\['rlkit/discount'\] is -1: Turns is no MDP of one player; learn by"):
        from_environment(Turns(), samples=1, seed=0)


BOARD = "agent=sarsa env=tic_tac_toe discretizer@agent.discretizer=grid agent.discretizer.bins=2 agent.gamma=1"


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_sarsa_learns_tic_tac_toe_by_traces(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With traces that forget whose turn it was, the first seed scored 0.43."""
    monkeypatch.chdir(tmp_path)
    words = f"{BOARD} agent.trace_decay=0.9 env.eval_opponent=random total_steps=100000 eval.every=0 seed={seed}"
    run = rlkit.train(*words.split(), "logger=[csv]", "video=none")
    assert run.evaluate(episodes=1_000)["return/raw"]["mean"] >= 0.7
