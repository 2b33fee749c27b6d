from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

from rlkit.core.types import UsageError
from rlkit.envs.board_envs import GameEnv, GameVector
from rlkit.envs.connect_four import ConnectFour
from rlkit.envs.open_spiel import OpenSpielGame, make
from rlkit.planning.games.game import after, position
from rlkit.play.games.analysis import analyse
from rlkit.play.games.match import play_match
from rlkit.play.games.players import Mover, named_player, random_moves, searcher
from rlkit.testing import check_env


def test_its_connect_four_is_ours_move_for_move() -> None:
    ours, theirs = ConnectFour(), OpenSpielGame("connect_four")
    rng = np.random.default_rng(0)
    for _ in range(30):
        states: list[Any] = [ours.initial_state()[None], theirs.initial_state()[None]]
        going = True
        while going:
            masks = [game.legal_actions(state) for game, state in zip((ours, theirs), states, strict=True)]
            assert np.array_equal(*masks)
            move = rng.choice(np.flatnonzero(masks[0][0]), 1)
            reached = [after(game, state, move) for game, state in zip((ours, theirs), states, strict=True)]
            assert [part.tolist() for part in reached[0][1:]] == [part.tolist() for part in reached[1][1:]]
            states, going = [part[0] for part in reached], bool(reached[0][2][0])
            assert ours.first_to_move(states[0]) == theirs.first_to_move(states[1]) or not going


def test_a_turn_of_several_actions_does_not_pass() -> None:
    # In Amazons a player chooses a stone, moves it and shoots: three actions.
    game = OpenSpielGame("amazons", {})
    state, discounts, sides = game.initial_state()[None], [], []
    for _ in range(6):
        sides.append(bool(game.first_to_move(state)[0]))
        state, _, discount = after(game, state, game.legal_actions(state).argmax(axis=1))
        discounts.append(discount[0])
    assert discounts == [1, 1, -1, 1, 1, -1]
    assert sides == [True] * 3 + [False] * 3


def test_a_search_beats_random_play_and_is_explained() -> None:
    game = OpenSpielGame("hex", {"board_size": 3})
    players = [searcher(game, 100, None), Mover(game, random_moves)]
    assert play_match(game, players, pairs=3, plies=1, rng=np.random.default_rng(0)).score.mean() > 0.8
    state, _ = position(game, ["b2"])
    found = analyse(players[0], game, state, np.random.default_rng(0))
    assert len(found.moves) == 8
    assert found.value < 0  # whoever has the middle of a small board wins


def test_it_is_an_environment_that_keeps_the_contract() -> None:
    check_env(lambda: make(**options(), game="hex", parameters={"board_size": 3}), steps=60)


def test_many_are_saved_and_brought_back() -> None:
    native = {**options(), "vectorization": "native"}
    games = make(**native, game="breakthrough", parameters={"rows": 5, "columns": 4})
    assert isinstance(games, GameVector)
    _, info = games.reset(seed=0)
    *_, info = games.step(info["action_mask"].argmax(axis=1))
    saved = games.get_state()
    wanted = games.step(info["action_mask"].argmax(axis=1))
    games.reset(seed=5)
    games.set_state(saved)
    found = games.step(info["action_mask"].argmax(axis=1))
    assert np.array_equal(wanted[0], found[0])
    assert np.array_equal(wanted[4]["action_mask"], found[4]["action_mask"])


def test_text_and_picture() -> None:
    env: Any = make(**options(), game="hex", parameters={"board_size": 3}, render_mode="ansi")
    assert isinstance(env, GameEnv)
    env.reset(seed=0)
    env.step(4)
    assert "x" in env.render()
    game = env.model
    picture = np.asarray(game.frame(game.initial_state()))
    assert picture.ndim == 3
    assert len(np.unique(picture)) > 2


@pytest.mark.parametrize(
    ("game", "parameters", "complaint"),
    [
        ("hexx", {}, "OpenSpiel cannot load hexx"),
        ("hex", {"bord_size": 3}, "OpenSpiel cannot load hex"),
        ("kuhn_poker", {}, "kuhn_poker is another kind"),
        ("pig", {}, "pig is another kind"),
        ("2048", {}, "2048 is another kind"),
    ],
)
def test_other_games_are_refused(game: str, parameters: dict[str, Any], complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        OpenSpielGame(game, parameters)


def test_what_it_cannot_do_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    game = OpenSpielGame("tic_tac_toe")
    with pytest.raises(UsageError, match="nobody has solved tic_tac_toe"):
        named_player("perfect", game, None)
    with pytest.raises(UsageError, match="no exact solver of tic_tac_toe"):
        game.optimal_moves(game.initial_state()[None])
    with pytest.raises(UsageError, match="moves of tic_tac_toe"):
        game.action_at(0.5, 0.5)
    monkeypatch.setitem(sys.modules, "pyspiel", None)
    with pytest.raises(UsageError, match="needs OpenSpiel: pip install open_spiel"):
        OpenSpielGame("tic_tac_toe")


def options() -> dict[str, Any]:
    run = {"num_envs": 3, "vectorization": "sync", "filmed": False, "evaluation": False}
    return {"opponent": None, "eval_opponent": None, "opponent_simulations": 10, "first": "random", **run}
