"""Maps of values and policies: what is drawn where."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from commands import succeed
from gymnasium.envs.toy_text import FrozenLakeEnv
from making import run_config
from PIL import Image

from rlkit.core.seeding import Seeds
from rlkit.core.types import RunError
from rlkit.planning.mdp import model_of, value_iteration
from rlkit.runs import build
from rlkit.runs.plots import grid_map
from rlkit.runs.plots.grid_map import (
    Layout,
    Panel,
    cab_layout,
    draw,
    greedy_actions,
    layout_of,
    legal_in,
    scale,
    tables_of,
)

pytestmark = pytest.mark.draws


def environment(*words: str) -> Any:
    return build.make_single(run_config("agent=random", *words).environment)


GRIDS = {
    "env=frozen_lake": 0.95,
    "env=cliff_walking": 0.9,
    "env=taxi": 0.9,
    "env=safecab": 0.618,
    "env=gridworld": 0.9,
    "env=maze env.collect=false": 0.9,
    "env=windy_gridworld": 0.9,
}


@pytest.mark.parametrize("env", GRIDS)
def test_a_greedy_move_points_to_where_the_state_goes(env: str) -> None:
    made = environment(*env.split())
    mdp, layout = model_of(made, samples=None, seed=0), layout_of(made)
    assert layout is not None
    assert len(layout.moves) == mdp.num_actions
    q = value_iteration(mdp, gamma=GRIDS[env], theta=1e-9).action_values
    seen = 0
    for panel in layout.panels:
        place = {int(state): cell for cell, state in np.ndenumerate(panel.states) if state >= 0}
        for state, (row, column) in place.items():
            for action in greedy_actions(np.where(mdp.mask[state], q[state], -np.inf)):
                move = layout.moves[action]
                reached = mdp.next_state[state, action][mdp.probability[state, action] > 0]
                if isinstance(move, str) or "windy" in env:
                    continue
                aimed = (row + move[0], column + move[1])
                # Where the ice or the border keeps one, it is the cell itself.
                assert any(place.get(int(other)) in (aimed, (row, column)) for other in reached)
                seen += any(place.get(int(other)) == aimed for other in reached)
    assert seen >= 5 or "windy" in env


def test_cells_are_those_of_the_environment() -> None:
    lake = layout_of(gymnasium.make("FrozenLake-v1"))
    assert lake is not None
    assert lake.panels[0].labels is not None
    assert lake.panels[0].labels[3, 3] == "G"
    maze = layout_of(environment("env=maze", "env.drawing='S#E ...'"))
    assert maze is not None
    assert maze.panels[0].states.tolist() == [[0, -1, 1], [2, 3, 4]]
    assert layout_of(gymnasium.make("Blackjack-v1")) is None
    assert layout_of(environment("env=gambler")) is None


@pytest.mark.parametrize("env", ["env=frozen_lake", "env=cliff_walking", "env=windy_gridworld", "env=maze"])
def test_goals_have_a_color_of_their_own(env: str, tmp_path: Path) -> None:
    made = environment(env)
    layout = layout_of(made)
    assert layout is not None
    [panel] = layout.panels
    assert panel.goals is not None
    assert panel.labels is not None
    assert set(panel.labels[panel.goals]) <= {"G", "E"}
    assert panel.goals.any()
    values = np.linspace(-1.0, 0.0, int(panel.states.max()) + 2)
    green = np.array([0x1F, 0x9D, 0x55])
    drawn = np.asarray(Image.open(draw(tmp_path / "map.png", layout, values, None, "")).convert("RGB"))
    assert (drawn == green).all(axis=2).sum() > 300
    if panel.holes is not None:
        gray = (drawn == np.array([0x42, 0x48, 0x4F])).all(axis=2).mean()
        assert gray > 0.5 * panel.holes.mean() > 0
    bare = layout._replace(panels=(panel._replace(goals=None),))
    drawn = np.asarray(Image.open(draw(tmp_path / "bare.png", bare, values, None, "")).convert("RGB"))
    assert (drawn == green).all(axis=2).sum() < 30


def test_the_walls_of_taxi_are_those_that_stop_it() -> None:
    taxi = environment("env=taxi")
    layout = layout_of(taxi)
    assert layout is not None
    mdp = model_of(taxi, samples=None, seed=0)
    east = layout.moves.index((0, 1))
    cells = layout.panels[0].states
    stopped = {
        (row, column + 1)
        for row in range(5)
        for column in range(4)
        if mdp.next_state[cells[row, column], east, 0] == cells[row, column]
    }
    assert set(layout.panels[0].walls) == stopped
    assert len(stopped) == 6


def test_all_panels_have_one_scale() -> None:
    assert scale([np.array([[1.0, np.nan]]), np.array([[-3.0, 2.0]])]) == (-3.0, 2.0)
    assert scale([np.array([[np.nan]])]) == (0.0, 1.0)


def test_all_best_actions_are_shown_and_none_where_nothing_was_learnt() -> None:
    assert greedy_actions(np.array([1.0, 3.0, 3.0, 2.0])) == [1, 2]
    assert greedy_actions(np.array([1.0, -np.inf, 1.0])) == [0, 2]
    assert greedy_actions(np.zeros(4)) == []


def test_what_was_not_legal_is_neither_heat_nor_arrow() -> None:
    words = ("env=maze", "env.drawing='SE'", "env.collect=false", "agent=q_learning", "action_mask=true")
    config = run_config(*words)
    env = build.make_environment(config.environment, num_envs=1)
    agent = build.make_agent(config.agent_config, env, Seeds(0))
    agent.q.values[0] = [-1.0, -5.0, -1.0, -1.0]
    legal = legal_in(env.envs[0].env, action_mask=True)
    assert legal is not None
    # There is but the way to the right.
    assert legal[0].tolist() == [False, True, False, False]
    values, q = tables_of(agent, legal) or (None, None)
    assert values is not None
    assert q is not None
    assert (values[0], greedy_actions(q[0])) == (-5.0, [1])
    assert legal_in(env.envs[0].env, action_mask=False) is None
    assert legal_in(gymnasium.make("FrozenLake-v1"), action_mask=True) is None
    assert legal_in(gymnasium.make("CartPole-v1"), action_mask=True) is None


def test_heat_follows_the_values(tmp_path: Path) -> None:
    layout = Layout((Panel("", np.array([[0, 1], [-1, 2]])),), ((0, 1), (1, 0)))
    q = np.array([[0.0, 1.0], [0.0, 5.0], [0.0, 10.0]])
    path = draw(tmp_path / "map.png", layout, q.max(axis=1), q, "three cells and a wall")
    pixels = np.asarray(Image.open(path).convert("RGB")).reshape(-1, 3)
    colors, counts = np.unique(pixels, axis=0, return_counts=True)
    areas = {tuple(color): count for color, count in zip(colors.tolist(), counts, strict=True)}
    # The ends of the scale, and the wall.
    for color in ((68, 1, 84), (253, 231, 36), (66, 72, 79)):
        assert areas[color] > 5_000


def test_a_run_of_a_tabular_agent_on_a_grid_has_a_map_and_others_have_none(tmp_path: Path) -> None:
    words = [
        "train",
        "total_steps=200",
        "eval.every=100",
        "eval.episodes=2",
        "log.every=50",
        "tuned=none",
        "video=none",
    ]
    said = succeed(*words, "agent=q_learning", "env=gridworld", "name=a", cwd=tmp_path)
    assert "map: runs/a/map.png" in said
    succeed(*words, "agent=value_iteration", "env=safecab", "name=b", cwd=tmp_path)
    succeed(*words, "agent=td_prediction", "env=random_walk", "name=c", cwd=tmp_path)
    succeed(*words, "agent=q_learning", "env=blackjack", "name=d", cwd=tmp_path)
    succeed(*words, "agent=random", "env=gridworld", "name=e", cwd=tmp_path)
    assert [name for name in "abcde" if (tmp_path / "runs" / name / "map.png").exists()] == ["a", "b", "c"]


def test_agents_without_a_table_have_nothing_to_draw() -> None:
    assert tables_of(object()) is None


class Room(gymnasium.Env[int, int]):
    """Has a method of its own that is called as the one that says where states lie."""

    observation_space, action_space = gymnasium.spaces.Discrete(2), gymnasium.spaces.Discrete(2)

    def __init__(self, says: Any):
        self._says = says

    def layout(self) -> Any:
        return self._says()


def test_a_layout_that_means_something_else_is_left_alone_and_one_that_fails_is_told() -> None:
    assert layout_of(Room(lambda: {"sofa": 3})) is None
    with pytest.raises(RunError, match=r"layout\(\) of .*Room failed: ZeroDivisionError: division by zero"):
        layout_of(Room(lambda: 1 / 0))


def test_a_subclass_of_one_of_gymnasiums_lies_on_the_same_grid() -> None:
    class Mine(FrozenLakeEnv):
        """Another name."""

    layout, base = layout_of(Mine(map_name="8x8")), layout_of(FrozenLakeEnv(map_name="8x8"))
    assert layout is not None
    assert base is not None
    assert np.array_equal(layout.panels[0].states, base.panels[0].states)
    assert layout.panels[0].states.shape == (8, 8)


def test_huge_grids_are_heat_alone(tmp_path: Path) -> None:
    states = np.arange(300 * 300).reshape(300, 300)
    layout = Layout((Panel("", states, np.full(states.shape, "F")),), ((0, 1), (1, 0)))
    path = draw(tmp_path / "map.png", layout, states.ravel() * 1.0, np.ones((states.size, 2)), "huge")
    with Image.open(path) as picture:
        assert min(picture.size) > 300


def test_words_of_equally_good_actions_lie_beside_each_other_and_their_arrows(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    kept: list[Any] = []
    monkeypatch.setattr(grid_map, "write", lambda figure, path: kept.append(figure) or path)
    q = np.zeros((500, 6))
    q[:, [0, 2, 4, 5]] = 1.0
    draw(tmp_path / "map.png", cab_layout({}, "RGYB"), q.max(axis=1), q, "")
    [axes, *_] = kept[0].axes
    kept[0].draw_without_rendering()
    words = [text.get_window_extent() for text in axes.texts if text.get_text()]
    arrows = [text.arrow_patch.get_window_extent() for text in axes.texts if not text.get_text()]
    assert (len(words), len(arrows)) == (25, 50)
    assert {text.get_text() for text in axes.texts} == {"", "pick up\ndrop off"}
    for i, word in enumerate(words):
        assert not any(word.overlaps(other) for other in (*words[i + 1 :], *arrows))
