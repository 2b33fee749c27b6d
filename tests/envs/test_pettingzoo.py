"""Games of PettingZoo from one seat: who moves when, what it earns, and a game that is resumed in its middle."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from in_the_middle import goes_on

import rlkit
from rlkit.cli.main import main
from rlkit.core.types import UsageError
from rlkit.envs.pettingzoo import Seat, make
from rlkit.vector import snapshot

pytest.importorskip("pettingzoo")

TIC_TAC_TOE, CONNECT_FOUR = "classic/tictactoe-v3", "classic/connect_four-v3"


def game(id: str = TIC_TAC_TOE, **changed: Any) -> Any:
    options = {"kwargs": {}, "view": "seat", "agent_id": True, "seat": "first", "others": "random", "num_envs": 1}
    return make(id, **{**options, "eval_others": None, "evaluation": False, **changed})


def play(env: Any, steps: int, seed: int) -> list[Any]:
    rng, shown = np.random.default_rng(seed), []
    mask = env.unwrapped._info().get("action_mask", np.ones(env.action_space.n))
    for _ in range(steps):
        observation, reward, terminated, truncated, info = env.step(int(rng.choice(np.flatnonzero(mask))))
        shown.append((observation, reward, terminated, truncated, info))
        if terminated or truncated:
            observation, info = env.reset()
            shown.append((observation, info))
        mask = info.get("action_mask", mask)
    return shown


@pytest.mark.parametrize("id", [TIC_TAC_TOE, CONNECT_FOUR, "classic/rps-v2", "classic/chess-v6", "classic/go-v5"])
def test_a_game_goes_on_exactly_in_its_middle(id: str) -> None:
    goes_on(lambda: game(id, seat="random"), before=8, after=20, play=play)


def test_chess_goes_on_where_its_module_remembers_nothing() -> None:
    from pettingzoo.classic.chess import chess_utils

    env = game("classic/chess-v6")
    _, info = env.reset(seed=0)
    state = snapshot.capture(env) or {}
    for known in (chess_utils.actions_to_moves, chess_utils.moves_to_actions):  # as in a new process
        known.clear()
    snapshot.restore(env, state)
    assert env.step(int(info["action_mask"].argmax()))[1:3] == (0.0, False)


def test_a_seat_sees_its_own_moves_first_and_the_planes_first() -> None:
    env = game(seat="player_2")
    observation, info = env.reset(seed=0)
    assert env.observation_space == spaces.Box(0, 1, (2, 3, 3), np.int8)
    assert observation.sum(axis=(1, 2)).tolist() == [0, 1]  # the other began
    assert info["action_mask"].sum() == 8
    free = int(info["action_mask"].argmax())
    observation, reward, *ends, info = env.step(free)
    assert observation.sum(axis=(1, 2)).tolist() == [1, 2]
    assert (reward, ends) == (0.0, [False, False])
    assert info["action_mask"][free] == 0


def test_a_win_a_loss_and_an_illegal_move_are_rewarded_to_the_seat() -> None:
    env = game(CONNECT_FOUR)
    outcomes = [(last_of(env, seed)[1], winner(env)) for seed in range(12)]
    assert all(reward == won for reward, won in outcomes)
    assert {1.0, -1.0} <= {reward for reward, _ in outcomes}
    env = game(TIC_TAC_TOE)
    env.reset(seed=0)
    env.step(0)
    assert env.step(0)[1:4] == (-1.0, True, True)


def winner(env: Any) -> float:
    """Return 1 if the first player has four in a row, -1 if the second has, else 0."""
    board = np.array(env.game.unwrapped.board).reshape(6, 7)
    ways = [(0, 1), (1, 0), (1, 1), (1, -1)]
    lines = [
        [board[row + k * down, column + k * right] for k in range(4)]
        for row in range(6)
        for column in range(7)
        for down, right in ways
        if row + 3 * down < 6 and 0 <= column + 3 * right < 7
    ]
    return float([1, 1, 1, 1] in lines) - float([2, 2, 2, 2] in lines)


def last_of(env: Any, seed: int) -> Any:
    """Play one game; return its last step."""
    rng = np.random.default_rng(seed)
    _, info = env.reset(seed=seed)
    while True:
        step = env.step(int(rng.choice(np.flatnonzero(info["action_mask"]))))
        if step[2] or step[3]:
            return step
        info = step[4]


def test_seats_are_drawn_and_games_that_need_no_turns_are_played() -> None:
    env = game(seat="random")
    seats = {env.reset(seed=seed) and env.seat for seed in range(12)}
    assert seats == {"player_1", "player_2"}
    env = game("classic/rps-v2", kwargs={"max_cycles": 3})
    env.reset(seed=0)
    rewards = [env.step(0)[1:4] for _ in range(3)]
    assert {reward for reward, *_ in rewards} <= {-1.0, 0.0, 1.0}
    assert [truncated for *_, truncated in rewards] == [False, False, True]


@pytest.mark.parametrize(
    ("id", "options", "said"),
    [
        (
            "classic/tictacto-v3",
            {},
            r"^PettingZoo has no game classic/tictacto-v3; did you mean classic/tictactoe-v3\?$",
        ),
        (
            TIC_TAC_TOE,
            {"seat": "third"},
            r"^classic/tictactoe-v3 has no seat third; env.seat is first, random, or one of",
        ),
        (TIC_TAC_TOE, {"kwargs": {"size": 3}}, r"cannot be made with env\.kwargs=\{'size': 3\}: TypeError"),
        (TIC_TAC_TOE, {"others": "runs/nobody"}, "runs/nobody"),
        ("atari/pong-v3", {}, r"^atari/pong-v3 needs more of PettingZoo: pip install \"pettingzoo\[atari\]\"$"),
    ],
)
def test_mistakes_are_named(id: str, options: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        game(id, **options)


def test_without_the_package_its_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pettingzoo.env_registry.registration", None)
    with pytest.raises(UsageError, match=r"^env=pettingzoo needs PettingZoo: pip install pettingzoo$"):
        game()


def test_it_keeps_the_contract(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "env=pettingzoo", f"env.id={TIC_TAC_TOE}", "steps=60"]) == 0, capsys.readouterr().out


def test_the_agent_of_a_run_plays_the_other_seats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    few: dict[str, Any] = {"total_steps": 40, "video": "none", "eval": {"every": 0}, "logger": ["csv"], "threads": 1}
    words = ["agent=dqn", "env=pettingzoo", f"env.id={TIC_TAC_TOE}", "network=mlp"]
    run = rlkit.train(*words, name="first", **few)
    wrapped = rlkit.train(*words, "preprocess=[gymnasium.wrappers.FlattenObservation]", name="wrapped", **few)
    env = game(others=f"{run.directory}@last")
    known = [last_of(env, seed)[0].tolist() for seed in (1, 1, 2)]
    assert known[0] == known[1]
    seat: Any = env.unwrapped
    assert isinstance(seat, Seat)
    env.reset(seed=0)
    assert type(seat._others["player_2"]).__name__ == "DQN"
    assert snapshot.capture(env) is not None
    with pytest.raises(UsageError, match="its agent observes through wrappers, which the other seats do not have"):
        game(others=str(wrapped.directory))
    evaluated = game(others="random", eval_others=str(run.directory), evaluation=True)
    assert type(evaluated._others["player_2"]).__name__ == "DQN"


def test_what_holds_images_of_pygame_cannot_be_read_and_why() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it draws with no mode to draw in
        env = game("butterfly/cooperative_pong-v6")
    why = snapshot.why_opaque(env) or ""
    assert why.startswith("rlkit.envs.pettingzoo.Seat: CooperativePong.")
    assert "is of pygame.rect.Rect, which is not plain data" in why


def test_frames_are_drawn() -> None:
    env = game(CONNECT_FOUR, render_mode="rgb_array")
    env.reset(seed=0)
    frame: Any = env.render()
    assert frame.ndim == 3
    assert frame.std() > 20
    assert snapshot.capture(env) is not None
