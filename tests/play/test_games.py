from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import refused, succeed

from rlkit.core.types import UsageError
from rlkit.envs.connect_four import ConnectFour
from rlkit.envs.gomoku import Gomoku
from rlkit.envs.othello import Othello
from rlkit.envs.tic_tac_toe import TicTacToe
from rlkit.planning.games.game import after, legal_moves, move_named, move_names, position
from rlkit.play.games.analysis import analyse
from rlkit.play.games.match import openings, play_match
from rlkit.play.games.person import PersonCommand, play_person
from rlkit.play.games.players import Mover, Spec, named_player, parsed, perfect_moves, random_moves, searcher
from rlkit.play.games.rating import SCALE, ratings
from rlkit.play.games.terminal import TerminalTable
from rlkit.play.human import Closed


def first_legal(game: Any, states: Any, rng: Any) -> Any:
    return game.legal_actions(states).argmax(axis=1)


def last_legal(game: Any, states: Any, rng: Any) -> Any:
    return game.num_actions - 1 - game.legal_actions(states)[:, ::-1].argmax(axis=1)


class TestMatch:
    @pytest.mark.parametrize("make", [TicTacToe, ConnectFour, lambda: Othello(6), lambda: Gomoku(5, 4)])
    def test_a_match_goes_as_a_plain_loop_plays_it(self, make: Any) -> None:
        game = make()
        players = [Mover(game, first_legal), Mover(game, last_legal)]
        result = play_match(game, players, pairs=9, plies=3, rng=np.random.default_rng(0), at_once=5)
        assert result.began.tolist() == [True, False] * 9
        assert np.array_equal(result.opening[::2], result.opening[1::2])
        for opening, began, score, length in zip(*result, strict=True):
            state, moved, outcome = game.initial_state(), 0, 0.5
            for move in opening:
                state, moved = after(game, state[None], np.array([move]))[0][0], moved + 1
            opener = state[-1]
            while True:
                which = 0 if (state[-1] == opener) == began else 1
                move = (first_legal, last_legal)[which](game, state[None], None)
                reached, reward, discount = after(game, state[None], move)
                state, moved = reached[0], moved + 1
                if discount[0] == 0:
                    outcome += 0.5 * reward[0] * (1 if which == 0 else -1)
                    break
            assert (score, length) == (outcome, moved)

    def test_openings_are_games_under_way(self) -> None:
        game = TicTacToe()
        given = openings(game, 300, 6, np.random.default_rng(0))
        for moves in given[:50]:
            position(game, move_names(game, moves.tolist()))  # refuses what is not legal, or over
        assert len(np.unique(given, axis=0)) > 200

    def test_players_that_remember_play_as_if_they_did_not(self) -> None:
        # An agent keeps its trees between moves; a memory of rows out of order would give it another game's.
        game = ConnectFour()
        kept = searcher(game, 60, None)
        kept._keep = True
        rng = np.random.default_rng(0)
        result = play_match(game, [kept, Mover(game, random_moves)], pairs=8, plies=2, rng=rng)
        assert result.score.mean() > 0.9

    def test_the_perfect_player_never_loses(self) -> None:
        game = TicTacToe()
        players = [Mover(game, perfect_moves), Mover(game, random_moves)]
        result = play_match(game, players, pairs=100, plies=0, rng=np.random.default_rng(0))
        assert result.score.min() == 0.5
        assert result.score.mean() > 0.85


class TestRatings:
    def test_three_of_four_points_are_191(self) -> None:
        rating = ratings(np.array([[0, 75], [25, 0]]), np.array([[0, 100], [100, 0]]), prior=0.0)
        assert rating.elo == pytest.approx([95.42, -95.42], abs=0.01)
        # The difference of log-odds has variance 1 / (n p q); each of two is half of it.
        assert rating.error == pytest.approx(SCALE * math.sqrt(1 / (100 * 0.75 * 0.25)) / 2)

    def test_who_always_wins_has_a_rating(self) -> None:
        # With x the half of the gap in log-odds: the prior's slope, tanh(x / 2) / 2, is what ten wins leave to gain.
        rating = ratings(np.array([[0, 10], [0, 0]]), np.array([[0, 10], [10, 0]]))
        x = rating.elo[0] / SCALE
        assert 10 / (1 + math.exp(2 * x)) == pytest.approx(math.tanh(x / 2) / 2, rel=1e-5)
        assert rating.elo.sum() == pytest.approx(0)

    def test_three_wins_of_four_by_hand(self) -> None:
        # The odds are e^2x : 1 and against the average e^x : 1; 4 / (1 + e^-2x) + 1 / (1 + e^-x) = 3 + 1/2.
        rating = ratings(np.array([[0, 3], [1, 0]]), np.array([[0, 4], [4, 0]]))
        assert rating.elo == pytest.approx([82.4, -82.4], abs=0.05)
        # Of the difference of the two, d = 2x: information 4 s(d) s(-d), and of each prior s(x) s(-x) / 4.
        x = rating.elo[0] / SCALE
        s = lambda z: 1 / (1 + math.exp(-z))  # noqa: E731
        information = 4 * s(2 * x) * s(-2 * x) + 2 * s(x) * s(-x) / 4
        assert rating.error == pytest.approx(np.full(2, SCALE * 0.5 / math.sqrt(information)), rel=1e-6)

    def test_strengths_come_back_from_their_own_expectations(self) -> None:
        elo = np.array([300.0, 100.0, -50.0, -350.0])
        games = 100 * (1 - np.eye(4))
        points = games / (1 + 10 ** ((elo - elo[:, None]) / 400))
        assert ratings(points, games, prior=0.0).elo == pytest.approx(elo, abs=0.01)


class TestPlayers:
    def test_what_is_typed(self) -> None:
        assert parsed("runs/a-2@last:400") == Spec("runs/a-2", "last", 400)
        assert parsed("mcts:50") == Spec("mcts", None, 50)
        assert parsed("runs/a@30000") == Spec("runs/a", "30000", None)
        assert parsed("runs/a:0") == Spec("runs/a", None, 0)
        assert [parsed(text).is_run for text in ("random", "perfect", "mcts", "a")] == [False, False, False, True]

    @pytest.mark.parametrize("text", ["", "mcts:", "mcts:0", "a:01", "mcts@best", "random:5", "a:b", "a@b@c"])
    def test_what_is_no_player(self, text: str) -> None:
        with pytest.raises(UsageError, match="is no player: write a run folder"):
            parsed(text)

    def test_a_search_by_the_clock_moves(self) -> None:
        game = ConnectFour()
        timed = named_player("mcts", game, None, 0.01)
        result = play_match(game, [timed, Mover(game, random_moves)], pairs=1, plies=2, rng=np.random.default_rng(0))
        assert (result.length > 6).all()


class TestAnalysis:
    def test_a_win_is_proved_and_leads_the_line(self) -> None:
        game = ConnectFour()
        state, last = position(game, list("agbgcf"))
        assert last == 5
        found = analyse(searcher(game, 100, None), game, state, np.random.default_rng(0))
        assert found.moves[0]._replace(visits=0) == found.moves[0]._replace(
            visits=0, name="d", action=3, share=1.0, value=1.0, proved="win"
        )
        assert (found.value, found.line) == (1.0, ["d"])

    def test_a_forced_line(self) -> None:
        # a1 b1 c1 stand: whatever the other does but d loses at once.
        game = ConnectFour()
        state, _ = position(game, list("agbgc"))
        found = analyse(searcher(game, 2000, None), game, state, np.random.default_rng(0))
        assert found.moves[0].name == "d"
        assert [move.proved for move in found.moves[1:]] == ["loss"] * 6
        assert found.line[0] == "d"
        assert sum(move.share for move in found.moves) == pytest.approx(1)
        # The line is legal play.
        position(game, [*"agbgc", *found.line[:-1]])

    def test_who_does_not_search_is_refused(self) -> None:
        game = TicTacToe()
        with pytest.raises(UsageError, match="only who searches can explain"):
            analyse(Mover(game, random_moves), game, game.initial_state(), np.random.default_rng(0))

    def test_positions_are_checked(self) -> None:
        game = TicTacToe()
        with pytest.raises(UsageError, match=r"'b2' is no legal move of tic-tac-toe here; there is: a3 b3"):
            position(game, ["b2", "b2"])
        with pytest.raises(UsageError, match="the game is over after a1 a2 b1 a3 c1"):
            position(game, ["a1", "a2", "b1", "a3", "c1", "c2"])
        assert move_named(game, game.initial_state(), "a3") == 0
        assert legal_moves(game, position(game, ["a3"])[0]) == [1, 2, 3, 4, 5, 6, 7, 8]


class Scripted:
    """A table at which wishes are given beforehand."""

    def __init__(self, *wishes: Any) -> None:
        self.wishes: Iterator[Any] = iter(wishes)
        self.seen: list[tuple[Any, Any, str]] = []
        self.ends: list[str] = []

    def show(self, state: Any, last: Any, message: str) -> None:
        self.seen.append((state.copy(), last, message))

    def ask(self, state: Any) -> Any:
        command = next(self.wishes, None)
        if command is None:
            raise Closed
        return command

    def over(self, message: str) -> None:
        self.ends.append(message)


class TestPerson:
    def play(self, table: Scripted, episodes: int = 1) -> list[float]:
        game = TicTacToe()
        rng = np.random.default_rng(0)
        return play_person(game, Mover(game, first_legal), table, episodes=episodes, rng=rng)

    def test_a_person_wins_and_then_loses_as_second(self) -> None:
        # First: 6 7 8 against 0 1; then the other begins, and takes 0 1 2 while the person plays 3 and 8.
        table = Scripted(6, 7, 8, 3, 8)
        assert self.play(table, episodes=2) == [1, -1]
        assert table.ends == ["game 1 of 2: you win", "game 2 of 2: you lose"]

    def test_a_move_is_taken_back_with_its_reply(self) -> None:
        table = Scripted(PersonCommand.undo, 6, 5, PersonCommand.undo, 7, 8)
        assert self.play(table) == [1]
        messages = [message for _, _, message in table.seen]
        assert messages[1] == "there is no move to take back"
        assert "your last move is taken back" in messages
        boards = [state.tobytes() for state, _, _ in table.seen]
        back = messages.index("your last move is taken back")
        assert boards.index(boards[back]) < back  # a position that was there before

    def test_a_hint_names_the_win(self) -> None:
        table = Scripted(6, 7, PersonCommand.hint)
        self.play(table)
        assert table.seen[-1][2].startswith("hint: c1 (value +1.00, 100% of the search, a proved win)")

    def test_whoever_leaves_has_the_finished_games(self) -> None:
        assert self.play(Scripted(6, 7, 8), episodes=3) == [1]


class TestTerminal:
    def test_lines_are_read_until_one_is_a_move(self) -> None:
        lines, written = iter(["x9", " MOVES ", "B2"]), []
        table = TerminalTable(TicTacToe(), read=lambda prompt: next(lines), write=written.append)
        assert table.ask(TicTacToe().initial_state()) == 4
        assert "'x9' is no legal move of tic-tac-toe here" in written[1]
        assert written[2] == "a3 b3 c3 a2 b2 c2 a1 b1 c1"

    def test_wishes_and_the_end(self) -> None:
        lines = iter(["hint", "undo", "quit"])
        table = TerminalTable(TicTacToe(), read=lambda prompt: next(lines), write=lambda text: None)
        state = TicTacToe().initial_state()
        assert [table.ask(state), table.ask(state)] == [PersonCommand.hint, PersonCommand.undo]
        with pytest.raises(Closed):
            table.ask(state)

    def test_the_end_of_input_ends(self) -> None:
        def nothing(prompt: str) -> str:
            raise EOFError

        with pytest.raises(Closed):
            TerminalTable(TicTacToe(), read=nothing, write=lambda text: None).ask(TicTacToe().initial_state())

    def test_the_board_is_written_with_what_there_is_to_say(self) -> None:
        written: list[str] = []
        TerminalTable(TicTacToe(), write=written.append).show(position(TicTacToe(), ["b2"])[0], 4, "well")
        assert written[1] == "\n3 . . .\n2 . X .\n1 . . .\n  a b c\nwell"


class TestWindow:
    def test_a_click_is_a_move_and_keys_are_wishes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        pygame = pytest.importorskip("pygame")
        from rlkit.play.games.window import WindowTable

        monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
        game = ConnectFour()
        table = WindowTable(game, "test")
        state, last = position(game, ["a"] * 6)
        table.show(state, last, "hello")
        width, height = pygame.display.get_surface().get_size()
        assert pygame.display.get_caption()[0].startswith("hello   test: click to move")

        def click(column: float) -> Any:
            return pygame.event.Event(pygame.MOUSEBUTTONDOWN, pos=(int(column / 7 * width), height // 2), button=1)

        pygame.event.post(click(0.5))  # a full column is no move
        pygame.event.post(click(4.5))
        pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=pygame.K_u))
        pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=pygame.K_h))
        assert [table.ask(state) for _ in range(3)] == [4, PersonCommand.undo, PersonCommand.hint]
        pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=pygame.K_SPACE))
        table.over("game 1 of 1: you win")
        assert pygame.display.get_caption()[0].startswith("game 1 of 1: you win (any key goes on)")
        pygame.event.post(pygame.event.Event(pygame.QUIT))
        with pytest.raises(Closed):
            table.ask(state)
        table.close()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("games")
    words = (
        "train agent=mcts env=tic_tac_toe agent.simulations=30 total_steps=9 eval.every=0 checkpoint.every=4 "
        "video=none output=json"
    )
    return folder / json.loads(succeed(*words.split(), cwd=folder).splitlines()[-1])["run"]


class TestVerbs:
    def test_a_match_tells_results_and_ratings(self, run: Path, tmp_path: Path) -> None:
        told = succeed(*f"match {run}:100 {run} random games=20 out={tmp_path / 'games.csv'}".split(), cwd=tmp_path)
        lines = told.strip().splitlines()
        assert lines[0].startswith(f"{run}:100 - {run}: ")
        assert lines[4].split() == ["player", "Elo", "±", "won", "drawn", "lost", "score"]
        assert lines[-1].split()[0] == "random"
        rows = list(csv.DictReader((tmp_path / "games.csv").read_text().splitlines()))
        assert len(rows) == 60
        assert rows[0]["opening"] == rows[1]["opening"]

    def test_the_checkpoints_of_a_run_are_a_ladder(self, run: Path, tmp_path: Path) -> None:
        told = json.loads(succeed(*f"match {run}@all:20 perfect games=2 output=json".split(), cwd=tmp_path))
        assert {row["player"] for row in told["players"]} == {f"{run}@8:20", f"{run}@9:20", "perfect"}

    def test_a_match_in_json(self, tmp_path: Path) -> None:
        words = "match perfect random env=tic_tac_toe games=20 plies=0 output=json"
        told = json.loads(succeed(*words.split(), cwd=tmp_path))
        assert told["game"] == "tic-tac-toe"
        assert [row["player"] for row in told["players"]] == ["perfect", "random"]
        assert told["players"][0]["lost"] == 0

    def test_an_analysis(self, run: Path, tmp_path: Path) -> None:
        told = succeed(*f"analyse player={run}:500 moves=[b2,a1]".split(), cwd=tmp_path)
        assert "2 . X ." in told
        assert "value" in told
        assert "line  " in told
        found = json.loads(succeed(*["analyse", "player=mcts:50", "env=connect_four", "output=json"], cwd=tmp_path))
        assert sorted(move["name"] for move in found["moves"]) == list("abcdefg")

    @pytest.mark.parametrize(
        ("words", "complaint"),
        [
            ("match mcts random", "nothing says which game is played: name a run, or env=connect_four"),
            ("match mcts env=connect_four", "a match needs two or more different players"),
            ("match mcts random games=3 env=connect_four", "games is 3; it must be even"),
            ("match mcts random env=cartpole", "is not a game with turns"),
            ("match perfect random env=gomoku", "nobody has solved Gomoku"),
            ("match mcts players=[random] env=connect_four", "type the players either as words or as players=[…]"),
            ("match nowhere/run random", "there is no run nowhere/run"),
            ("match nowhere/run@all random", "there is no run nowhere/run"),
            ("analyse player=random env=connect_four", "only who searches can explain its moves"),
            ("analyse env=connect_four", "player has no value"),
        ],
    )
    def test_mistakes_are_told_in_one_line(self, words: str, complaint: str, tmp_path: Path) -> None:
        assert complaint in refused(*words.split(), cwd=tmp_path)
