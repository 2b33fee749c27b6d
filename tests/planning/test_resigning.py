from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rlkit.cli.verbs import check
from rlkit.config.compose import composed
from rlkit.core.types import RESIGN, StepInfo, Transition, UsageError
from rlkit.envs.board_envs import GameEnv, Games, GameVector
from rlkit.envs.connect_four import ConnectFour
from rlkit.envs.tic_tac_toe import TicTacToe
from rlkit.planning.games.game import position, timestep_for_mover
from rlkit.planning.search import UCT, RandomPlay, Search, rule_for
from rlkit.planning.search.planner import SearchPlayer
from rlkit.planning.search.resigning import RECENT, Resignation, Resignations, resignation_of
from rlkit.play.games.players import Mover, perfect_moves


class TestGames:
    def test_a_game_that_is_given_up_is_lost_by_whoever_was_to_move(self) -> None:
        env = GameEnv(TicTacToe(), None, "agent", None)
        env.reset(seed=0)
        env.step(4)
        board = env.game.observation()
        _, reward, terminated, _, info = env.step(RESIGN)
        # The second player gave up: the score is the first player's.
        assert (reward, terminated, info["rlkit/discount"], info["rlkit/raw_reward"]) == (-1, True, 0, 1)
        assert np.array_equal(env.game.observation(), board)

    def test_of_many_games_the_others_go_on(self) -> None:
        env = GameVector(ConnectFour(), 3, None, "agent")
        env.reset(seed=0)
        env.step(np.array([3, 3, 3]))
        seen, reward, over, _, info = env.step(np.array([2, RESIGN, 4]))
        assert reward.tolist() == [0, -1, 0]
        assert over.tolist() == [False, True, False]
        assert info["final_info"]["rlkit/raw_reward"].tolist()[1] == 1
        assert info["final_obs"][1].sum() == 1
        assert seen.sum(axis=(1, 2, 3)).tolist() == [2, 0, 2]  # a new game there, two stones in the others

    def test_an_opponent_has_no_reply_to_it(self) -> None:
        games = Games(TicTacToe(), 2, Mover(TicTacToe(), perfect_moves), "agent")
        rng = np.random.default_rng(0)
        games.begin(np.arange(2), rng)
        reward, discount = games.step(np.array([RESIGN, 4]), rng)
        assert (reward.tolist(), discount.tolist()) == ([-1, 0], [0, 1])
        assert games.observation().sum(axis=(1, 2, 3)).tolist() == [0, 2]


def player(**options: Any) -> SearchPlayer:
    game = ConnectFour()
    search = Search(game, RandomPlay(99, 1.0), rule_for(game, UCT, 1.0, 1.0), simulations=300, seconds=None)
    settings: dict[str, Any] = {"keep": True, "noise": None, "temperature": 1.0, "temperature_moves": 0}
    return SearchPlayer(game, search, **{**settings, **options})


LOST = "cgdge"
"""Moves after which c1 d1 e1 stand, open at both ends: whoever is to move loses."""


class TestActing:
    def chosen(self, moves: str, *, explore: bool, played_on: float, memory: Any = None) -> tuple[int, Any]:
        searching = player(resignation=Resignation(-0.9, played_on))
        state, _ = position(ConnectFour(), list(moves))
        memory = searching.initial_memory(1) if memory is None else memory
        action, after = searching.act(
            timestep_for_mover(ConnectFour(), state[None]), memory, explore=explore, rng=np.random.default_rng(0)
        )
        return int(action[0]), after

    def test_a_lost_game_is_given_up_in_training_only(self) -> None:
        assert self.chosen(LOST, explore=True, played_on=0.0)[0] == RESIGN
        assert self.chosen(LOST, explore=False, played_on=0.0)[0] != RESIGN
        assert self.chosen("cgd", explore=True, played_on=0.0)[0] != RESIGN

    def test_a_game_that_is_played_on_is_not_and_that_is_drawn_once(self) -> None:
        action, memory = self.chosen(LOST, explore=True, played_on=1.0)
        assert action != RESIGN
        assert (memory["hopeless"].tolist(), memory["plays_on"].tolist()) == ([True], [True])
        assert self.chosen(LOST, explore=True, played_on=0.0, memory=memory)[0] != RESIGN
        _, other = self.chosen("cgd", explore=True, played_on=0.0)
        assert self.chosen(LOST, explore=True, played_on=1.0, memory=other)[0] == RESIGN

    def test_neither_the_root_nor_its_best_action_may_be_worth_more(self) -> None:
        searching = player()
        forest = searching.search(np.stack([position(ConnectFour(), list(m))[0] for m in (LOST, "cg")]), _rng())
        tree, rule = forest.tree, Resignation(-0.5, 0.0)
        best, memory = np.array([0, 0]), {"moves": np.ones(2, int), "plays_on": np.array([False, True])}
        tree.low[1], tree.high[1] = -1, 1
        for root, action, hopeless in ((-0.9, -0.9, True), (-0.4, -0.9, False), (-0.9, -0.4, False)):
            visits, total = np.array([10, 0, 0, 0, 0, 0, 0]), np.zeros(7)
            total[0] = 10 * action
            tree.visits[1, 0], tree.total[1, 0] = visits, total
            # The root's value is the mean of the judgement and of what followed.
            tree.value[1, 0] = 11 * root - total.sum()
            tree.lower[1, 0], tree.upper[1, 0] = -1, 1
            found = rule.judged(tree, best, memory, _rng())
            assert found["hopeless"].tolist() == [True, hopeless]
            assert found["plays_on"].tolist() == [False, True]


def _rng() -> np.random.Generator:
    return np.random.default_rng(0)


def move(hopeless: bool, discount: float, reward: float = 0.0, action: int = 0, last: bool | None = None) -> Transition:
    """One step of one game."""
    ended = np.array([discount == 0 if last is None else last])
    none = np.zeros((1, 1))
    return Transition(
        observation=none,
        action=np.array([action]),
        reward=np.array([reward], np.float32),
        discount=np.array([discount], np.float32),
        next_observation=none,
        last=ended,
        valid=np.ones(1, bool),
        legal_actions=None,
        next_legal_actions=None,
        info=StepInfo(np.array([reward]), ended, ~ended),
        memory={"hopeless": np.array([hopeless])},
    )


def told(*moves: Transition) -> Any:
    watched = Resignations(1)
    for one in moves:
        watched.add(one)
    return watched.metrics()


class TestFigures:
    def test_a_game_given_up_says_nothing_of_whether_that_was_wrong(self) -> None:
        assert told(move(False, -1), move(True, 0, -1, RESIGN)) == {"resign/share": 1}

    @pytest.mark.parametrize(("reward", "wrong"), [(1, 0), (0, 1), (-1, 1)])
    def test_the_one_that_would_have_given_up_lost_to_the_last_move_or_did_not(self, reward: float, wrong: int) -> None:
        # The first player has no hope; the second makes the last move, and its reward is the last.
        moves = (move(True, -1), move(False, -1), move(False, -1), move(False, 0, reward))
        assert told(*moves) == {"resign/share": 0, "resign/wrong": wrong}

    def test_who_makes_the_last_move_itself_and_wins_was_wrong(self) -> None:
        moves = (move(False, -1), move(True, -1), move(True, -1), move(False, 0, 1))
        assert told(*moves)["resign/wrong"] == 1

    def test_only_the_first_who_would_have_given_up_counts(self) -> None:
        # After the first player the second would have given up as well, and loses: the first was wrong.
        moves = (move(True, -1), move(True, -1), move(False, 0, 1))
        assert told(*moves)["resign/wrong"] == 1

    def test_where_the_turn_does_not_pass_rewards_are_still_ones_own(self) -> None:
        assert told(move(True, 1), move(False, 0, 1))["resign/wrong"] == 1
        assert told(move(True, 1), move(False, 0, -1))["resign/wrong"] == 0

    def test_rewards_before_and_games_broken_off_do_not_count(self) -> None:
        assert told(move(False, 1, 5.0), move(True, 0, -1))["resign/wrong"] == 0
        assert told(move(True, -1, last=True)) == {}
        moves = (move(True, -1, last=True), move(False, -1), move(False, 0, 1))
        assert told(*moves) == {"resign/share": 0}

    def test_the_last_games_count(self) -> None:
        given_up, played = move(True, 0, -1, RESIGN), move(True, 0, -1)
        found = told(*[given_up] * RECENT, *[played] * (RECENT // 4))
        assert found == {"resign/share": 0.75, "resign/wrong": 0}

    def test_a_state_brings_all_back(self) -> None:
        watched, other = Resignations(1), Resignations(1)
        for one in (move(True, 0, -1, RESIGN), move(True, -1)):
            watched.add(one)
        other.load_state_dict(watched.state_dict())
        for one in (watched, other):
            one.add(move(False, 0, -1))
        assert watched.metrics() == other.metrics() == {"resign/share": 0.5, "resign/wrong": 1}


class TestAgent:
    def test_the_contract_is_kept(self) -> None:
        words = ["agent=alphazero", "env=tic_tac_toe", "steps=120", "agent.simulations=8", "agent.learning_starts=20"]
        words += ["agent.batch_size=16", "agent.resign_at=-0.3", "agent.resign_played_on=0.5"]
        results = check.check(*composed("check", words), words)
        assert [rule.message for found in results.values() for rule in found if not rule.passed] == []

    def test_settings_without_sense_are_refused(self) -> None:
        assert resignation_of(None, 0.1, None, False) is None
        assert resignation_of(-1.0, 0.1, None, True) == Resignation(-1.0, 0.1)
        with pytest.raises(UsageError, match=r"this environment does not let players resign"):
            resignation_of(-0.9, 0.1, 1.0, False)
        with pytest.raises(UsageError, match=r"resign_at is 0.5; it must be from -1, a lost game, to less than 0"):
            resignation_of(0.5, 0.1, 1.0, True)
        with pytest.raises(UsageError, match=r"agent.resign_at is -3; it must be from -2"):
            resignation_of(-3.0, 0.1, 2.0, True)
        with pytest.raises(UsageError, match=r"agent.resign_played_on is 2; it must be from 0 to 1"):
            resignation_of(None, 2.0, 1.0, True)
