"""MinAtar's games: their own rules and boards, resumed where they stood."""

from __future__ import annotations

import logging
import sys
from typing import Any

import numpy as np
import pytest
from in_the_middle import goes_on

from rlkit.cli.main import main
from rlkit.core.types import UsageError
from rlkit.envs.minatar import make
from rlkit.networks.boards import ResidualBoard
from rlkit.networks.choice import auto

pytest.importorskip("minatar")

GAMES = ("asterix", "breakout", "freeway", "seaquest", "space_invaders")


def game(name: str = "breakout", **changed: Any) -> Any:
    options = {"sticky": 0.1, "difficulty_ramping": True, "minimal_actions": True, "max_steps": 10000, **changed}
    return make(name, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", GAMES)
def test_a_game_goes_on_exactly_in_its_middle(name: str) -> None:
    world = goes_on(lambda: game(name), before=150, after=300).unwrapped
    assert world.game.random is world.game.env.random  # as MinAtar seeds them


@pytest.mark.parametrize("name", GAMES)
def test_boards_rewards_and_ends_are_minatars(name: str) -> None:
    from minatar import Environment

    env, theirs = game(name, sticky=0.0), Environment(name, sticky_action_prob=0.0)
    env.reset(seed=5)
    theirs.seed(int(np.random.default_rng(5).integers(2**31)))
    theirs.reset()
    actions, rng = theirs.minimal_action_set(), np.random.default_rng(0)
    for _ in range(100):
        action = int(rng.integers(len(actions)))
        observation, reward, terminated, _, _ = env.step(action)
        wanted_reward, wanted_end = theirs.act(actions[action])
        np.testing.assert_array_equal(np.moveaxis(observation, 0, -1), theirs.state())
        assert (reward, terminated) == (wanted_reward, wanted_end)
        if terminated:
            env.reset()
            theirs.reset()


def test_its_planes_are_read_as_a_board() -> None:
    env = game("seaquest")
    assert (env.observation_space.shape, env.observation_space.dtype) == ((10, 10, 10), bool)
    assert game().observation_space.shape == (4, 10, 10)
    assert isinstance(auto(game().observation_space, [8], "relu", False), ResidualBoard)


def test_options() -> None:
    assert [game(minimal_actions=minimal).action_space.n for minimal in (True, False)] == [3, 6]
    env = game(sticky=1.0, max_steps=3)
    env.reset(seed=0)
    left = env.unwrapped._actions.index(1)
    env.step(left)
    assert env.unwrapped.game.env.pos == 4  # the last action, none, is repeated
    assert env.step(left)[3] is False
    assert env.step(left)[3] is True


def test_without_the_package_its_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "minatar", None)
    with pytest.raises(UsageError, match=r"^env=minatar needs MinAtar: pip install minatar$"):
        game()
    assert logging.root.manager.disable == logging.NOTSET


def test_it_keeps_the_contract(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "env=minatar", "env.game=asterix", "steps=60"]) == 0, capsys.readouterr().out


def test_frames_show_each_thing_in_its_color() -> None:
    env = make("breakout", 0.0, True, True, 100, "rgb_array")
    env.reset(seed=0)
    env.step(0)
    frame: Any = env.render()
    assert (frame.shape, frame.dtype) == ((160, 160, 3), np.uint8)
    assert len(np.unique(frame.reshape(-1, 3), axis=0)) == 4  # nothing, paddle, ball, bricks over its trail
