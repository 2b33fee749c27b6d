from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlkit.core.types import UsageError
from rlkit.envs.board_envs import GameEnv, Games, GameVector
from rlkit.envs.connect_four import ConnectFour
from rlkit.envs.connect_four_solver import ConnectFourSolver
from rlkit.envs.gomoku import Gomoku
from rlkit.envs.othello import Othello
from rlkit.envs.tic_tac_toe import TicTacToe
from rlkit.planning.search import UCT, RandomPlay, Search, rule_for, visit_counts
from rlkit.planning.search.minimax import Minimax
from rlkit.planning.search.positions import Positions, turned
from rlkit.play.games.players import Mover, named_player, perfect_moves, random_moves

GAMES = {
    "tic-tac-toe": TicTacToe,
    "connect four": ConnectFour,
    "gomoku": lambda: Gomoku(5, 4),
    "othello": lambda: Othello(6),
}


class NaiveLines:
    """k in a row on a board of rows and columns, with lists: the oracle of three of the games."""

    def __init__(self, rows: int, columns: int, length: int, drops: bool) -> None:
        self.cells = [[0] * columns for _ in range(rows)]
        self.rows, self.columns, self.length, self.drops, self.player = rows, columns, length, drops, 1

    def legal(self) -> list[bool]:
        if self.drops:
            return [self.cells[0][c] == 0 for c in range(self.columns)]
        return [cell == 0 for row in self.cells for cell in row]

    def move(self, action: int) -> tuple[float, float]:
        if self.drops:
            row, column = max(r for r in range(self.rows) if self.cells[r][action] == 0), action
        else:
            row, column = divmod(action, self.columns)
        self.cells[row][column] = self.player
        won = any(
            all(
                0 <= r + i * dr < self.rows
                and 0 <= c + i * dc < self.columns
                and self.cells[r + i * dr][c + i * dc] == self.player
                for i in range(self.length)
            )
            for r in range(self.rows)
            for c in range(self.columns)
            for dr, dc in ((0, 1), (1, 0), (1, 1), (1, -1))
        )
        self.player = 3 - self.player
        return float(won), 0.0 if won or not any(self.legal()) else -1.0


class NaiveOthello:
    """Othello with lists."""

    def __init__(self, size: int) -> None:
        self.size, self.player = size, 1
        self.cells = [[0] * size for _ in range(size)]
        m = size // 2
        self.cells[m - 1][m], self.cells[m][m - 1], self.cells[m - 1][m - 1], self.cells[m][m] = 1, 1, 2, 2

    def flips(self, row: int, column: int, player: int) -> list[tuple[int, int]]:
        if self.cells[row][column]:
            return []
        found = []
        for dr in (-1, 0, 1):
            for dc in (-1, 0, 1):
                line, r, c = [], row + dr, column + dc
                while (dr or dc) and 0 <= r < self.size and 0 <= c < self.size and self.cells[r][c] == 3 - player:
                    line.append((r, c))
                    r, c = r + dr, c + dc
                if line and 0 <= r < self.size and 0 <= c < self.size and self.cells[r][c] == player:
                    found += line
        return found

    def moves(self, player: int) -> list[bool]:
        return [bool(self.flips(r, c, player)) for r in range(self.size) for c in range(self.size)]

    def legal(self) -> list[bool]:
        return self.moves(self.player)

    def move(self, action: int) -> tuple[float, float]:
        row, column = divmod(action, self.size)
        for r, c in self.flips(row, column, self.player):
            self.cells[r][c] = self.player
        self.cells[row][column] = self.player
        if any(self.moves(3 - self.player)):
            self.player = 3 - self.player
            return 0.0, -1.0
        if any(self.moves(self.player)):
            return 0.0, 1.0
        flat = [cell for row in self.cells for cell in row]
        mine, theirs = flat.count(self.player), flat.count(3 - self.player)
        self.player = 3 - self.player
        return float((mine > theirs) - (mine < theirs)), 0.0


NAIVE = {
    "tic-tac-toe": lambda: NaiveLines(3, 3, 3, False),
    "connect four": lambda: NaiveLines(6, 7, 4, True),
    "gomoku": lambda: NaiveLines(5, 5, 4, False),
    "othello": lambda: NaiveOthello(6),
}


@pytest.mark.parametrize("name", GAMES)
@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32))
def test_random_games_go_as_the_naive_rules_have_it(name: str, seed: int) -> None:
    model: Any = GAMES[name]()
    naive: Any = NAIVE[name]()
    rng, state = np.random.default_rng(seed), model.initial_state()[None]
    while True:
        legal = model.legal_actions(state)[0]
        assert legal.tolist() == naive.legal()
        action = int(rng.choice(np.flatnonzero(legal)))
        step = model.step(state, np.array([action]), np.zeros(1, int))
        assert (step.reward[0], step.discount[0]) == naive.move(action)
        state = step.state
        assert model.board(state[0]).tolist() == naive.cells
        assert state[0, -1] == naive.player - 1
        if step.discount[0] == 0:
            return


def test_perft_of_othello() -> None:
    # Positions after so many moves from the start of 8x8 Othello, as the literature counts them.
    model = Othello(8)
    states, counts = model.initial_state()[None], []
    for _ in range(6):
        legal = model.legal_actions(states)
        rows, actions = np.nonzero(legal)
        states = model.step(states[rows], actions, np.zeros(len(rows), int)).state
        counts.append(len(states))
    assert counts == [4, 12, 56, 244, 1396, 8200]


def test_counts_of_connect_four() -> None:
    # Different positions after so many moves (OEIS A212693, whose first ones are all without an end).
    model = ConnectFour()
    states, counts = model.initial_state()[None], []
    for _ in range(5):
        rows, actions = np.nonzero(model.legal_actions(states))
        states = np.unique(model.step(states[rows], actions, np.zeros(len(rows), int)).state, axis=0)
        counts.append(len(states))
    assert counts == [7, 49, 238, 1120, 4263]


def test_tic_tac_toe_is_a_draw_of_5478_positions() -> None:
    model = TicTacToe()
    solver = Minimax(model)
    assert solver.state_values(model.initial_state()[None]) == 0
    # 5,478 in all, of which 958 are over (626 + 316 won, 16 drawn).
    assert len(solver.values) == 5478 - 958


def late_position(rng: np.random.Generator, stones: int) -> Any:
    """Return a Connect Four position that is not over, out of a random game."""
    model = ConnectFour()
    while True:
        state, discount = model.initial_state()[None], 1.0
        for _ in range(stones):
            move = rng.choice(np.flatnonzero(model.legal_actions(state)[0]), 1)
            state, _, (discount,) = model.step(state, move, np.zeros(1, int))
            if discount == 0:
                break
        if discount:
            return state


def best_of(values: Any) -> Any:
    return values == values.max(axis=1, keepdims=True)


class TestConnectFourSolver:
    def test_signs_and_best_moves_are_minimaxs(self) -> None:
        rng, minimax = np.random.default_rng(0), Minimax(ConnectFour())
        states = np.concatenate([late_position(rng, stones) for stones in (31, 37) for _ in range(20)])
        scores = ConnectFourSolver().scores(states)
        assert np.sign(scores).tolist() == minimax.state_values(states).tolist()
        assert set(np.sign(scores)) == {-1, 0, 1}
        assert np.array_equal(ConnectFour().optimal_moves(states), best_of(minimax.action_values(states)))

    def test_scores_count_the_winners_stones_left(self) -> None:
        # a1 b1 c1 against g1 g2 f1: the seventh stone wins, and 18 more of the winner's would be left.
        model = ConnectFour()
        state = model.initial_state()[None]
        for move in (0, 6, 1, 6, 2, 5):
            state = model.step(state, np.array([move]), np.zeros(1, int)).state
        assert ConnectFourSolver().scores(state).tolist() == [18]


@pytest.mark.parametrize("name", GAMES)
def test_a_game_goes_on_in_a_turned_world_as_in_this_one(name: str) -> None:
    model: Any = GAMES[name]()
    begin, held = model.initial_state()[None], 0
    for which in range(len(model.symmetries)):
        turning, (state, there) = np.array([which]), (begin, begin)
        rng, over = np.random.default_rng(which), not same_in_turned_world(model, begin, begin, turning)
        held += not over
        while not over:
            action = rng.choice(np.flatnonzero(model.legal_actions(state)[0]), 1)
            turned_action = np.flatnonzero(model.symmetries[which].actions == action)
            step = model.step(state, action, np.zeros(1, int))
            other = model.step(there, turned_action, np.zeros(1, int))
            state, there, over = step.state, other.state, step.discount[0] == 0
            assert (step.reward, step.discount) == (other.reward, other.discount)
            assert same_in_turned_world(model, state, there, turning)
    # Othello's first stones lie differently after a quarter of a turn.
    assert held == len(model.symmetries) // (2 if name == "othello" else 1)


def same_in_turned_world(model: Any, state: Any, there: Any, which: Any) -> bool:
    legal, legal_there = model.legal_actions(state), model.legal_actions(there)
    here = Positions(model.observation(state), legal, legal, np.zeros(1))
    seen = turned(here, model.symmetries, which)
    return np.array_equal(seen.observation, model.observation(there)) and np.array_equal(seen.policy, legal_there)


class TestGames:
    def test_in_self_play_the_turn_passes_and_the_score_is_the_first_players(self) -> None:
        env = GameEnv(TicTacToe(), None, "agent", None)
        observation, info = env.reset(seed=0)
        assert observation.shape == (2, 3, 3)
        assert info["action_mask"].tolist() == [1] * 9
        rewards = [env.step(action) for action in (0, 3, 1, 4, 8)]
        assert [reward for _, reward, *_ in rewards] == [0, 0, 0, 0, 0]
        assert [info["rlkit/discount"] for *_, info in rewards] == [-1] * 5
        assert rewards[0][0][1, 0, 0] == 1  # now the other's stone
        _, reward, terminated, truncated, info = env.step(5)
        assert (reward, terminated, truncated, info["rlkit/raw_reward"]) == (1, True, False, -1)

    @pytest.mark.parametrize("first", ["agent", "opponent", "random"])
    def test_against_an_opponent_a_step_is_a_move_and_its_reply(self, first: str) -> None:
        env = GameEnv(TicTacToe(), Mover(TicTacToe(), random_moves), first, None)
        stones = set()
        for seed in range(8):
            observation, _ = env.reset(seed=seed)
            stones.add(observation.sum().item())
            total = 0.0
            while True:
                legal = np.flatnonzero(env.game.legal()[0])
                observation, reward, terminated, _, info = env.step(int(legal[0]))
                total += reward
                assert info["rlkit/raw_reward"] == reward
                assert info["rlkit/discount"] == (0 if terminated else 1)
                if terminated:
                    break
            assert total in (-1, 0, 1)
        assert stones == {"agent": {0}, "opponent": {1}, "random": {0, 1}}[first]

    def test_the_perfect_player_never_loses(self) -> None:
        games = Games(TicTacToe(), 200, Mover(TicTacToe(), perfect_moves), "random")
        rng = np.random.default_rng(0)
        games.begin(np.arange(200), rng)
        playing, worst = np.ones(200, bool), 0.0
        for _ in range(5):
            moves = random_moves(games._model, games.states, rng)
            moves = np.where(playing, moves, games.legal().argmax(axis=1))
            reward, discount = games.step(moves, rng)
            worst = max(worst, reward[playing].max(initial=0))
            games.begin(np.flatnonzero(playing & (discount == 0)), rng)
        assert worst == 0

    def test_a_search_of_1000_simulations_never_loses_tic_tac_toe(self) -> None:
        # 200 games, half of them begun by each side, against moves drawn from the best ones.
        model, rng = TicTacToe(), np.random.default_rng(0)
        play = Search(model, RandomPlay(9, 1.0), rule_for(model, UCT, 1.0, 1.0), simulations=1000, seconds=None)
        for first in ("agent", "opponent"):
            games = Games(model, 100, Mover(model, perfect_moves), first)
            games.begin(np.arange(100), rng)
            reward, going = np.zeros(100), np.ones(100, bool)
            while going.any():
                # Rows whose game is over begin another one, which is not counted.
                move = visit_counts(play(games.states, rng).tree, 1.0).argmax(axis=1)
                found, discount = games.step(move, rng)
                reward[going] += found[going]
                going &= discount != 0
                games.begin(np.flatnonzero(discount == 0), rng)
            assert (reward == 0).all()

    def test_many_games_go_like_one(self) -> None:
        vector = GameVector(ConnectFour(), 3, None, "agent")
        single = GameEnv(ConnectFour(), None, "agent", None)
        vector.reset(seed=[1, 2, 3])
        single.reset(seed=1)
        rng = np.random.default_rng(0)
        for _ in range(60):
            action = int(rng.choice(np.flatnonzero(single.game.legal()[0])))
            seen, reward, over, _, info = vector.step(np.full(3, action))
            observation, r, terminated, _, single_info = single.step(action)
            reached = info["final_obs"] if terminated else seen
            assert np.array_equal(reached[1], observation)
            assert (reward[1], over[1], info["rlkit/discount"][1]) == (r, terminated, single_info["rlkit/discount"])
            assert info["rlkit/raw_reward"][1] == single_info["rlkit/raw_reward"]
            if terminated:
                single.reset()

    def test_a_move_that_is_not_legal_is_named(self) -> None:
        env = GameEnv(ConnectFour(), None, "agent", None)
        env.reset(seed=0)
        for _ in range(6):
            env.step(2)
        with pytest.raises(UsageError, match=r"move c \(2\) is not legal in Connect Four"):
            env.step(2)

    def test_text_and_picture(self) -> None:
        env = GameEnv(ConnectFour(), None, "agent", "ansi")
        env.reset(seed=0)
        for action in (3, 3, 0):
            env.step(action)
        assert env.render().splitlines()[-3:] == [". . . O . . .", "X . . X . . .", "a b c d e f g"]
        picture = GameEnv(Gomoku(5, 4), None, "agent", "rgb_array")
        picture.reset(seed=0)
        picture.step(7)
        assert picture.render().shape == (480, 480, 3)
        assert picture.model.move_name(picture.game.states[0], 7) == "c4"

    def test_options_without_sense_are_refused(self) -> None:
        with pytest.raises(UsageError, match="did you mean"):
            named_player("perfct", TicTacToe(), 10)
        with pytest.raises(UsageError, match="nobody has solved Gomoku"):
            named_player("perfect", Gomoku(5, 4), 10)
        with pytest.raises(UsageError, match=r"env\.length is 6"):
            Gomoku(5, 6)
        with pytest.raises(UsageError, match=r"env\.size is 5"):
            Othello(5)
        with pytest.raises(UsageError, match="no exact solver of Gomoku"):
            Gomoku(5, 4).optimal_moves(Gomoku(5, 4).initial_state()[None])
        with pytest.raises(UsageError, match="draws render_mode"):
            GameEnv(TicTacToe(), None, "agent", "human")
