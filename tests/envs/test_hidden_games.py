from __future__ import annotations

from collections import Counter
from functools import partial
from typing import Any

import numpy as np
import pytest

from rlkit.core.types import UsageError
from rlkit.envs.hidden_games import HiddenGame, made
from rlkit.envs.poker import KuhnPoker, LeducPoker
from rlkit.planning.extensive import MatrixGame, build_tree, expected_values, uniform_policy
from rlkit.testing import check_env

DILEMMA = MatrixGame("a dilemma", [[3, 0], [5, 1]], [[3, 5], [0, 1]], ["cooperate", "defect"])


def game(rules: Any, opponent: str | None = None) -> HiddenGame:
    return made(rules, opponent, opponent, False, None)


def uniform_game(env: HiddenGame, rng: np.random.Generator) -> list[tuple[int, int, float, float, float]]:
    """Play uniformly; return (set, player, reward, discount, raw reward) of each step."""
    observation, info = env.reset()
    steps, over = [], False
    while not over:
        player = int(env.tree.player[env.node])
        action = int(rng.choice(np.flatnonzero(info["action_mask"])))
        number = observation
        observation, reward, over, _, info = env.step(action)
        steps.append((number, player, reward, info["rlkit/discount"], info["rlkit/raw_reward"]))
    return steps


@pytest.mark.parametrize("opponent", [None, "random"])
def test_it_keeps_the_contract(opponent: str | None) -> None:
    check_env(partial(game, KuhnPoker(), opponent), steps=60)


def test_both_sides_are_played_in_turn() -> None:
    env, rng = game(KuhnPoker()), np.random.default_rng(0)
    env.reset(seed=0)
    total, games = 0.0, 3000
    for _ in range(games):
        steps = uniform_game(env, rng)
        assert [player for _, player, *_ in steps] == [i % 2 for i in range(len(steps))]
        assert [discount for *_, discount, _ in steps] == [-1.0] * (len(steps) - 1) + [0.0]
        assert all(env.tree.set_player[number] == player for number, player, *_ in steps)
        _, mover, reward, _, raw = steps[-1]
        assert raw == (reward if mover == 0 else -reward)
        total += sum(step[4] for step in steps)
    # Uniform play wins the first player 1/8; a game's standard deviation is about 1.3.
    assert total / games == pytest.approx(expected_values(env.tree, uniform_policy(env.tree))[0], abs=0.08)


def test_in_leduc_a_player_may_move_twice() -> None:
    env = game(LeducPoker())
    env.reset(seed=0)
    discounts = [env.step(action)[4]["rlkit/discount"] for action in (1, 2, 1)]
    # Check, raise and call end the first round, and the first player begins the second: they moved last.
    assert discounts == [-1.0, -1.0, 1.0]


def test_an_opponent_plays_the_other_seat() -> None:
    env, rng = game(KuhnPoker(), "random"), np.random.default_rng(0)
    env.reset(seed=0)
    seats: Counter[int | None] = Counter()
    for _ in range(300):
        steps = uniform_game(env, rng)
        assert {player for _, player, *_ in steps} == {env.seat}
        assert all(discount >= 0 for *_, discount, _ in steps)
        seats[env.seat] += 1
    assert min(seats[0], seats[1]) > 100


def test_nobody_wins_against_the_equilibrium() -> None:
    env, rng = game(KuhnPoker(), "equilibrium"), np.random.default_rng(0)
    env.reset(seed=0)
    returns = [uniform_game(env, rng)[-1][2] for _ in range(3000)]
    assert np.mean(returns) < 0.05


def test_dilemmas_need_an_opponent() -> None:
    with pytest.raises(UsageError, match="do not play for the same"):
        game(DILEMMA)
    env = game(DILEMMA, "equilibrium")
    env.reset(seed=0)
    assert env.step(0)[1] == pytest.approx(0.0)  # who cooperates with a defector gets nothing


@pytest.mark.parametrize(
    ("arguments", "line"),
    [(("best", None), r"env\.opponent is 'best'"), ((None, "human"), "draws render_mode=ansi or rgb_array")],
)
def test_unknown_options_are_refused(arguments: tuple[Any, Any], line: str) -> None:
    with pytest.raises(UsageError, match=line):
        HiddenGame(build_tree(KuhnPoker()), *arguments)


def test_illegal_moves_are_refused() -> None:
    env = game(LeducPoker())
    env.reset(seed=0)
    with pytest.raises(UsageError, match="action 0 is not legal"):
        env.step(0)  # nothing to fold to


def test_it_is_drawn() -> None:
    env = made(KuhnPoker(), None, None, False, "ansi")
    env.reset(seed=0)
    env.step(1)
    assert env.render().splitlines()[1] == "bet"
    env.render_mode = "rgb_array"
    assert env.render().ndim == 3
