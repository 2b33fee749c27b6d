from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from making import by_keys
from torch import nn

import rlkit
from rlkit.agents.alphazero import AlphaZero
from rlkit.core.types import RunError, StepInfo, Transition, UsageError
from rlkit.envs.connect_four import ConnectFour
from rlkit.envs.tic_tac_toe import TicTacToe
from rlkit.networks import PolicyValue, ResidualBoard
from rlkit.networks.policy_value import masked
from rlkit.planning.mdp import from_table
from rlkit.planning.mdp.evaluation import exact_values
from rlkit.planning.mdp.iteration import value_iteration
from rlkit.planning.mdp.sources import model_of
from rlkit.planning.search.finite import FiniteModel
from rlkit.planning.search.positions import PositionReplay, Positions, turned
from rlkit.runs import build
from rlkit.vector.time_steps import first_timestep


class FixedNetwork(nn.Module):
    """The same logits and value whatever it sees."""

    def __init__(self, value: float = 0.0):
        super().__init__()
        self.logits, self.value = nn.Parameter(torch.zeros(2)), nn.Parameter(torch.tensor([value]))

    def forward(self, observation: torch.Tensor) -> Any:
        n = len(observation)
        return self.logits * torch.ones(n, 1), self.value * torch.ones(n)


ONE_MOVE = FiniteModel(from_table({0: {a: [(1.0, 0, 1.0, True)] for a in range(2)}}, np.array([1.0])))
"""Two actions, each of which pays 1 and ends the episode."""


def move(reward: float, discount: float, *, value: float = 0.0, valid: bool = True) -> Transition:
    """One step of one game."""
    row = np.array([valid])
    memory = {
        "policy": np.full((1, 2), 0.5, np.float32),
        "legal": np.ones((1, 2), bool),
        "value": np.array([value], np.float32),
    }
    last = np.array([discount == 0])
    return Transition(
        observation=np.zeros((1, 3), np.float32),
        action=np.zeros(1, int),
        reward=np.array([reward], np.float32),
        discount=np.array([discount], np.float32),
        next_observation=np.zeros((1, 3), np.float32),
        last=last,
        valid=row,
        legal_actions=None,
        next_legal_actions=None,
        info=StepInfo(np.array([reward]), last, ~row),
        memory=memory,
    )


def learnt(replay: PositionReplay) -> list[float]:
    return [float(value) for value in replay._columns[3][: len(replay)]]


class TestPositions:
    def test_the_winner_is_told_that_it_won_and_the_loser_that_it_lost(self) -> None:
        replay = PositionReplay(10, 1.0, 0.0)
        for transition in (move(0, -1), move(0, -1), move(1, 0)):
            replay.add(transition, np.zeros(1))
        # From the last position back: whoever moved there won, the other had moved before.
        assert learnt(replay) == [1, -1, 1]

    def test_rewards_on_the_way_are_discounted(self) -> None:
        replay = PositionReplay(10, 0.5, 0.0)
        for transition in (move(1, 1), move(2, 1), move(4, 0)):
            replay.add(transition, np.zeros(1))
        assert learnt(replay) == [4, 4, 3]

    def test_a_game_that_is_broken_off_goes_on_with_what_is_thought_of_it(self) -> None:
        replay = PositionReplay(10, 1.0, 0.0)
        replay.add(move(0, -1), np.zeros(1))
        replay.add(move(0, -1)._replace(last=np.array([True])), np.array([0.25]))
        assert learnt(replay) == [-0.25, 0.25]

    def test_a_share_of_the_target_is_the_searchs(self) -> None:
        replay = PositionReplay(10, 1.0, 0.25)
        replay.add(move(1, 0, value=0.2), np.zeros(1))
        assert learnt(replay) == pytest.approx([0.8])

    def test_a_game_beyond_the_models_bound_is_refused(self) -> None:
        replay = PositionReplay(10, 1.0, 0.0, bound=1.0)
        for transition in (move(1, -1), move(1, 0)):  # whoever began lost by as much as it had won
            replay.add(transition, np.zeros(1))
        assert learnt(replay) == [1, 0]
        replay.add(move(1, 1), np.zeros(1))
        with pytest.raises(
            RunError, match=r"a game came to 2, and the model's bound says that none is beyond 1; set it to the largest"
        ):
            replay.add(move(1, 0), np.zeros(1))

    def test_rows_that_are_not_valid_are_skipped(self) -> None:
        replay = PositionReplay(10, 1.0, 0.0)
        replay.add(move(1, 0, valid=False), np.zeros(1))
        assert len(replay) == 0

    def test_the_oldest_give_way_and_a_state_brings_all_back(self) -> None:
        replay = PositionReplay(4, 1.0, 0.0)
        for i in range(6):
            replay.add(move(i, 0), np.zeros(1))
        replay.add(move(0, -1), np.zeros(1))
        assert len(replay) == 4
        assert sorted(learnt(replay)) == [2, 3, 4, 5]
        other = PositionReplay(4, 1.0, 0.0)
        other.load_state_dict(replay.state_dict())
        for one in (replay, other):
            one.add(move(9, 0), np.zeros(1))
        assert learnt(other) == learnt(replay)
        assert sorted(learnt(other)) == [-9, 4, 5, 9]

    @pytest.mark.parametrize("game", [TicTacToe, ConnectFour])
    def test_turned_positions_keep_moves_with_their_cells(self, game: Any) -> None:
        model = game()
        actions = model.num_actions
        # A board on which each cell, and a policy in which each action, has a number of its own.
        cells = np.arange(model.rows * model.columns, dtype=np.float32).reshape(1, 1, model.rows, model.columns)
        n = len(model.symmetries)
        policy = np.repeat(np.arange(actions, dtype=np.float32)[None], n, 0)
        drawn = Positions(np.repeat(cells, n, 0), policy > 0, policy, np.zeros(n, np.float32))
        found = turned(drawn, model.symmetries, np.arange(n))
        names = found.observation[:, 0] % model.columns if actions == model.columns else found.observation[:, 0]
        expected = names[:, 0] if actions == model.columns else names.reshape(n, -1)
        assert np.array_equal(found.policy, expected)
        assert np.array_equal(found.legal, found.policy > 0)
        assert len({board.tobytes() for board in found.observation}) == n


def learner(num_envs: int = 1, model: Any = None, network: Any = None, **settings: Any) -> AlphaZero:
    """Return an agent of a game of three observations and two actions, with the numbers of conf but for `settings`."""
    model = ONE_MOVE if model is None else model
    agent: AlphaZero = by_keys(
        AlphaZero,
        **{
            **vars(rlkit.defaults("agent/alphazero")),
            "search_model": lambda outcomes: model,
            "network": FixedNetwork() if network is None else network,
            "optimizer": partial(torch.optim.SGD),
            "anneal": False,
            "total_steps": None,
            "num_envs": num_envs,
            "can_resign": False,
            "device": "cpu",
            "rng": np.random.default_rng(0),
            "notify": lambda line: None,
            **settings,
        },
    )
    return agent


def moves(n: int, discount: float = 0.0, last: bool = True) -> Transition:
    """One step of n games."""
    one: Any = move(1.0, discount)._replace(last=np.array([last]))

    def repeated(column: Any) -> Any:
        return None if column is None else np.repeat(column, n, 0)

    memory = {name: repeated(column) for name, column in one.memory.items()}
    info = StepInfo(*(repeated(column) for column in one.info))
    columns = {name: repeated(getattr(one, name)) for name in one._fields if name not in ("memory", "info")}
    return Transition(**columns, memory=memory, info=info)


class TestUpdates:
    def counted(self, agent: AlphaZero, monkeypatch: pytest.MonkeyPatch) -> list[int]:
        taken: list[int] = []

        def learn() -> dict[str, float]:
            taken.append(1)
            return {"loss": 0.0}

        monkeypatch.setattr(agent, "_gradient_step", learn)
        return taken

    @pytest.mark.parametrize("num_envs", [1, 8, 64])
    def test_gradient_steps_do_not_depend_on_the_number_of_environments(
        self, num_envs: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        agent = learner(num_envs, train_every=8, updates=3, learning_starts=1, batch_size=4)
        taken = self.counted(agent, monkeypatch)
        for _ in range(512 // num_envs):
            agent.observe(moves(num_envs))
            agent.update()
        assert len(taken) == 3 * 512 // 8

    def test_without_a_whole_game_nothing_is_learnt(self, monkeypatch: pytest.MonkeyPatch) -> None:
        agent = learner(1, train_every=2, updates=1, learning_starts=0, batch_size=4)
        taken = self.counted(agent, monkeypatch)
        for last, total in ((False, 0), (False, 0), (False, 0), (True, 1), (False, 1), (False, 2)):
            agent.observe(moves(1, discount=1.0, last=last))
            metrics = agent.update()
            assert len(taken) == total
            assert (metrics is None) == (len(agent.replay) == 0 or agent._steps % 2 == 1)

    def test_positions_are_waited_for_and_what_was_passed_before_is_not_made_up_for(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        agent = learner(2, train_every=2, updates=1, learning_starts=5, batch_size=4)
        taken = self.counted(agent, monkeypatch)
        steps = []
        for _ in range(4):
            agent.observe(moves(2))
            agent.update()
            steps.append(len(taken))
        assert steps == [0, 0, 1, 2]

    def test_updates_that_are_due_are_saved(self) -> None:
        agent, other = (learner(8, train_every=4, learning_starts=1) for _ in range(2))
        agent.observe(moves(8))
        other.load_state_dict(agent.state_dict())
        assert other._due == 2

    @pytest.mark.parametrize(
        ("settings", "line"),
        [
            ({"train_every": 0}, "agent.train_every is 0; it must be at least 1"),
            ({"updates": 0}, "agent.updates is 0; it must be at least 1"),
            ({"batch_size": 0}, "agent.batch_size is 0; it must be at least 1"),
            ({"capacity": 0}, "agent.capacity is 0; it must be at least 1"),
            ({"learning_starts": -1}, "agent.learning_starts is -1; it must be at least 0"),
            ({"capacity": 9, "learning_starts": 10}, "agent.capacity is 9 and agent.learning_starts 10"),
            ({"noise_concentration": 0}, "agent.noise_concentration is 0; it must be more than 0"),
        ],
    )
    def test_settings_that_cannot_be_are_refused(self, settings: Any, line: str) -> None:
        with pytest.raises(UsageError, match=line):
            learner(**settings)

    def test_a_run_that_ends_before_it_learns_is_told(self) -> None:
        told: list[str] = []
        learner(total_steps=999, notify=told.append)
        assert told == ["nothing will be learned: the first update comes after 1,000 steps, and total_steps is 999"]

    @pytest.mark.parametrize(("discount", "target"), [(1.0, 1 + 0.9 * 0.5), (-1.0, 1 - 0.9 * 0.5), (0.0, 1.0)])
    def test_a_truncated_episode_goes_on_with_what_the_network_says(self, discount: float, target: float) -> None:
        agent = learner(1, gamma=0.9, search_share=0.0, network=FixedNetwork(0.5))
        agent.observe(moves(1, discount))
        assert learnt(agent.replay) == pytest.approx([target])

    def test_only_the_rows_that_were_broken_off_are_judged(self) -> None:
        agent = learner(3, gamma=1.0, search_share=0.0, network=FixedNetwork(0.5))
        step = moves(3, 1.0)._replace(discount=np.array([0.0, 1.0, 1.0]), last=np.array([True, True, False]))
        agent.observe(step)
        assert learnt(agent.replay) == [1.0, 1.5]


class TestLosses:
    def test_a_step_by_hand(self) -> None:
        # Logits 0 and 0, of which the search took the first in 3 of 4 tries; value 0.5 where 1 followed.
        network = FixedNetwork(0.5)
        agent = learner(
            network=network, search_share=0.0, value_weight=2.0, batch_size=3, learning_rate=0.1, max_grad_norm=100.0
        )
        step = move(1.0, 0.0)
        step.memory["policy"][:] = [0.75, 0.25]
        agent.observe(step)
        metrics = agent._gradient_step()
        entropy = -(0.75 * np.log(0.75) + 0.25 * np.log(0.25))
        assert metrics["loss/policy"] == pytest.approx(np.log(2))
        assert metrics["loss/value"] == pytest.approx(0.25)
        assert metrics["policy/search_entropy"] == pytest.approx(entropy)
        assert metrics["policy/kl"] == pytest.approx(np.log(2) - entropy)
        # Cross-entropy's gradient is softmax - policy; the squared error's 2 (0.5 - 1), and it counts twice.
        assert network.logits.tolist() == pytest.approx([0.025, -0.025])
        assert network.value.item() == pytest.approx(0.5 + 0.1 * 2 * 2 * 0.5)


class TestNetwork:
    def test_a_new_one_prefers_nothing_and_expects_a_draw(self) -> None:
        boards, moves = spaces.Box(0, 1, (2, 6, 7), np.float32), spaces.Discrete(7)
        network = PolicyValue(ResidualBoard(boards, filters=8, blocks=2, hidden=16), boards, moves)
        logits, value = network(torch.rand(5, 2, 6, 7))
        assert not logits.any()
        assert not value.any()

    def test_what_is_not_legal_has_no_probability(self) -> None:
        legal = torch.tensor([[True, False, True]])
        assert masked(torch.zeros(1, 3), legal).softmax(1).tolist() == [[0.5, 0.0, 0.5]]


def played(run: Any, **settings: Any) -> tuple[Any, Any, Any]:
    """Return the MDP of a run, and what its agent and its network alone would do in each state, [S, A]."""
    agent = run.load_agent("last", settings=settings)
    mdp = model_of(build.make_single(run.config.environment), samples=None, seed=0)
    states = np.arange(mdp.num_states)
    seen = first_timestep(states, None, lambda model: states[:, None])
    action, _ = agent.act(seen, agent.initial_memory(len(states)), explore=False, rng=np.random.default_rng(0))
    alone = agent.evaluate(states, mdp.mask)[0].argmax(axis=1)
    return mdp, np.eye(mdp.num_actions)[action], np.eye(mdp.num_actions)[alone]


def trained(folder: Path, monkeypatch: pytest.MonkeyPatch, *words: str) -> Any:
    monkeypatch.chdir(folder)
    settings = (
        "agent=alphazero tuned=none num_envs=8 video=none logger=[csv] eval.every=0 network.hidden=[32] "
        "agent.learning_rate=0.01 agent.learning_starts=100 agent.train_every=16 agent.updates=4 agent.batch_size=64"
    )
    return rlkit.train(*settings.split(), *words, seed=0)


class TestMDPs:
    def test_on_a_lake_that_is_not_slippery_it_goes_as_value_iteration_does(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        words = "env=frozen_lake env.kwargs.is_slippery=false agent.gamma=0.9 agent.simulations=20 total_steps=1500"
        mdp, searched, alone = played(trained(tmp_path, monkeypatch, *words.split()))
        best = value_iteration(mdp, gamma=0.9, theta=1e-12).values
        # With the search from wherever it stands, the network at least from where episodes begin.
        assert exact_values(mdp, searched, gamma=0.9) == pytest.approx(best)
        assert mdp.start @ exact_values(mdp, alone, gamma=0.9) == pytest.approx(mdp.start @ best) == 0.9**5

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("words", "simulations"),
        [
            ("env=frozen_lake agent.simulations=50 total_steps=6000", 400),
            ("env=maze agent.simulations=40 agent.temperature_moves=8 total_steps=3000", 40),
        ],
    )
    def test_on_slippery_ice_and_in_a_maze_it_gains_what_value_iteration_does(
        self, words: str, simulations: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run = trained(tmp_path, monkeypatch, "agent.gamma=0.95", *words.split())
        mdp, searched, _ = played(run, simulations=simulations)
        best = mdp.start @ value_iteration(mdp, gamma=0.95, theta=1e-12).values
        assert mdp.start @ exact_values(mdp, searched, gamma=0.95) >= best - 0.01 * abs(best)
