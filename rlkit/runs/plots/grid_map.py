"""Maps: what a table says of each cell of a grid, as heat, and what its greedy policy does there, as arrows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium
import numpy as np

from rlkit.core.figure import figure, write
from rlkit.core.types import Array, RunError, UsageError
from rlkit.vector.snapshot import class_name

ARROWS_UP_TO = 40
"""Cells along the longer side; in larger grids arrows and labels would be specks."""
NUMBERS_UP_TO = 12
GOAL, WALL = "#1f9d55", "#e8590c"
TIE = 1e-9
"""Values that differ by less, as a share of the largest, are drawn as equal."""


class Panel(NamedTuple):
    """One grid of states."""

    title: str
    states: Array  # [R, C] int64, -1 where there is none, as in a wall
    labels: Array | None = None  # [R, C] str, what is written into cells
    goals: Array | None = None  # [R, C] bool, cells where an episode ends well: green, since nothing is learned there
    holes: Array | None = None  # [R, C] bool, where it ends badly: gray, as cells without a state
    walls: tuple[tuple[int, int], ...] = ()  # row, and the column to the right of the wall


class Layout(NamedTuple):
    """How the states of an environment lie on grids."""

    panels: tuple[Panel, ...]
    moves: tuple[tuple[float, float] | str, ...]  # of each action: rows down and columns right, or a letter


def layout_of(env: gymnasium.Env[Any, Any]) -> Layout | None:
    """Return how the states lie on grids; None where they do not.

    An environment says it by a method ``layout()`` that returns a `Layout`; FrozenLake, CliffWalking and Taxi are
    known. What a method of that name returns otherwise is left alone.

    Raises:
        RunError: ``layout()`` failed.
    """
    core: Any = env.unwrapped
    if callable(getattr(core, "layout", None)):
        try:
            own = core.layout()
        except Exception as error:
            name = class_name(type(core))
            raise RunError(f"layout() of {name} failed: {type(error).__name__}: {error}") from error
        return own if isinstance(own, Layout) else None
    return _known_layout(core)


def _known_layout(core: Any) -> Layout | None:
    from gymnasium.envs.toy_text import CliffWalkingEnv, FrozenLakeEnv, TaxiEnv

    known = {FrozenLakeEnv: _frozen_lake, CliffWalkingEnv: _cliff, TaxiEnv: _taxi}
    return next((lay_out(core) for kind, lay_out in known.items() if isinstance(core, kind)), None)


def _frozen_lake(core: Any) -> Layout:
    letters = core.desc.astype(str)
    states = np.arange(letters.size).reshape(letters.shape)
    labels = np.where(letters == "F", "", letters)
    panel = Panel("", states, labels, goals=letters == "G", holes=letters == "H")
    return Layout((panel,), ((0, -1), (1, 0), (0, 1), (-1, 0)))


def _cliff(core: Any) -> Layout:
    labels = np.where(core._cliff, "cliff", "")
    labels[-1, 0], labels[-1, -1] = "S", "G"
    # Nobody is ever on the cliff: a fall leads back to the start.
    states = np.where(core._cliff, -1, np.arange(labels.size).reshape(labels.shape))
    panel = Panel("", states, labels, goals=labels == "G")
    return Layout((panel,), ((-1, 0), (0, 1), (1, 0), (0, -1)))


def _taxi(core: Any) -> Layout:
    marks = {(int(row), int(column)): name for (row, column), name in zip(core.locs, "RGYB", strict=True)}
    # A drawing has a frame, and between two cells ":" where one may pass, "|" where not.
    between = core.desc.astype(str)[1:-1, 2:-2:2]
    return cab_layout(marks, "RGYB", tuple((int(row), int(column) + 1) for row, column in np.argwhere(between == "|")))


def cab_layout(marks: Mapping[tuple[int, int], str], names: str, walls: tuple[tuple[int, int], ...] = ()) -> Layout:
    """Return the layout of Taxi's 500 states: a grid for each place to fetch from, and to deliver to.

    Args:
        marks: cell [row, column] -> a letter in it.
        names: letters of the four places.
        walls: row of each, and the column to its right.
    """
    cells = np.arange(25).reshape(5, 5) * 20
    labels = np.full((5, 5), "", "<U1")
    for cell, letter in marks.items():
        labels[cell] = letter
    fetch = [(f"fetch from {name}, for {names[(i + 1) % 4]}", i * 4 + (i + 1) % 4) for i, name in enumerate(names)]
    deliver = [(f"deliver to {name}", 4 * 4 + i) for i, name in enumerate(names)]
    panels = tuple(Panel(title, cells + code, labels, walls=walls) for title, code in [*fetch, *deliver])
    return Layout(panels, ((1, 0), (-1, 0), (0, 1), (0, -1), "pick up", "drop off"))


def legal_in(env: gymnasium.Env[Any, Any], *, action_mask: bool) -> Array | None:
    """Return which actions [S, A] bool an agent could choose; None where it could choose all, or it is not known.

    Args:
        env: may say it by what finite MDP it is.
        action_mask: the agent was shown masks; always, where the environment's metadata say so.
    """
    from rlkit.planning.mdp import model_of

    if not (action_mask or (env.metadata or {}).get("action_mask")):
        return None
    try:
        return model_of(env, samples=None, seed=0).legal
    except UsageError:
        return None


def tables_of(agent: Any, legal: Array | None = None) -> tuple[Array, Array | None] | None:
    """Return an agent's state values [S], and its action values [S, A] where it has some; None where it has no table.

    The state values of an agent with action values are the largest of them. Where `legal` [S, A] bool is not
    None, the values of other actions are minus infinity.
    """
    from rlkit.algorithms.tabular.control import TabularControl
    from rlkit.algorithms.tabular.planner import Planner
    from rlkit.algorithms.tabular.prediction import Prediction

    if isinstance(agent, TabularControl):
        q = agent.q_values
        if legal is not None and legal.shape == q.shape:
            q = np.where(legal, q, -np.inf)
        return q.max(axis=1), q
    if isinstance(agent, Planner):
        return agent.v, np.where(agent.mdp.mask, agent.q, -np.inf)
    return (agent.v, None) if isinstance(agent, Prediction) else None


def draw(path: Path, layout: Layout, values: Array, q: Array | None, title: str) -> Path:
    """Write a plot: heat for values [S] on one scale, arrows for what is greedy in `q` [S, A]."""
    columns = min(4, len(layout.panels))
    rows = -(-len(layout.panels) // columns)
    height, width = layout.panels[0].states.shape
    sheet = figure(*_size(rows, columns, height, width), title)
    shown = [np.where(_learned(panel), values[panel.states], np.nan) for panel in layout.panels]
    low, high = scale(shown)
    all_axes = sheet.subplots(rows, columns, squeeze=False).ravel()
    for axes, panel, grid in zip(all_axes, layout.panels, shown, strict=False):
        heat = axes.imshow(grid, cmap="viridis", vmin=low, vmax=high)
        inks = np.where(grid >= (low + high) / 2, "black", "white")
        _cells(axes, panel, grid, inks, numbers=len(shown) == 1)
        if q is not None and max(grid.shape) <= ARROWS_UP_TO:
            _policy(axes, layout, panel, q, inks)
    for axes in all_axes[len(shown) :]:
        axes.axis("off")
    sheet.colorbar(heat, ax=all_axes.tolist(), label="value", shrink=0.8)
    return write(sheet, path)


def _size(rows: int, columns: int, height: int, width: int) -> tuple[float, float]:
    """Return inches across and down: wide grids get a low sheet, so that nothing is left empty around them."""
    panel = 4.5 if columns == 1 else 2.4
    cell = panel / min(height, width)
    across = float(np.clip(columns * cell * width, 3.0, 12.5))
    return across + 1.5, float(np.clip(across * rows * height / (columns * width), 1.5, 13.0)) + 1.0


def _learned(panel: Panel) -> Array:
    ends = [cells for cells in (panel.goals, panel.holes) if cells is not None]
    learned: Array = np.logical_and.reduce([panel.states >= 0, *(~cells for cells in ends)])
    return learned


def scale(grids: Sequence[Array]) -> tuple[float, float]:
    """Return the lowest and the highest value of all grids [R, C], whose cells without one are NaN."""
    values = np.concatenate([grid[np.isfinite(grid)] for grid in grids])
    return (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)


def _cells(axes: Any, panel: Panel, grid: Array, inks: Array, *, numbers: bool) -> None:
    axes.set_title(panel.title, fontsize=9)
    axes.set_facecolor("#42484f")
    axes.set_xticks([])
    axes.set_yticks([])
    for row, column in np.argwhere(panel.goals) if panel.goals is not None else ():
        axes.fill_between([column - 0.5, column + 0.5], row - 0.5, row + 0.5, color=GOAL, linewidth=0)
    for row, column in panel.walls:
        axes.plot([column - 0.5] * 2, [row - 0.5, row + 0.5], color=WALL, linewidth=3)
    if panel.labels is not None and max(grid.shape) <= ARROWS_UP_TO:
        for row, column in np.argwhere(panel.labels != ""):
            ink = inks[row, column]
            axes.text(column - 0.45, row - 0.42, panel.labels[row, column], color=ink, va="top", fontsize=7)
    if numbers and max(grid.shape) <= NUMBERS_UP_TO:
        for row, column in np.argwhere(np.isfinite(grid)):
            number, ink = f"{grid[row, column]:.3g}".replace("-", "\N{MINUS SIGN}"), inks[row, column]
            axes.text(column, row + 0.46, number, color=ink, ha="center", va="bottom", fontsize=7)


def _policy(axes: Any, layout: Layout, panel: Panel, q: Array, inks: Array) -> None:
    for (row, column), state in np.ndenumerate(panel.states):
        best = [layout.moves[action] for action in greedy_actions(q[state])] if state >= 0 else []
        words = [move for move in best if isinstance(move, str)]
        ink = inks[row, column]
        # Above the middle, clear of the numbers and of words.
        middle, length = (row - 0.14, 0.2) if words else (row - 0.06, 0.28)
        for move in best:
            if not isinstance(move, str):
                tip = (column + length * move[1], middle + length * move[0])
                style = {"arrowstyle": "-|>", "color": ink, "shrinkA": 0, "shrinkB": 0, "linewidth": 1}
                axes.annotate("", tip, (column, middle), arrowprops=style)
        if len(best) == 1 and words:
            axes.text(column, row - 0.06, words[0].replace(" ", "\n"), color=ink, ha="center", va="center", fontsize=6)
        elif words:
            axes.text(column, row + 0.48, "\n".join(words), color=ink, ha="center", va="bottom", fontsize=5)


def greedy_actions(row: Array) -> list[int]:
    """Return the best actions of `row` [A], ties included; none where all are equal, as where nothing was learned."""
    slack = TIE * max(1.0, float(np.abs(row[np.isfinite(row)]).max(initial=0.0)))
    best = row >= row.max() - slack
    return [] if best.all() else np.flatnonzero(best).tolist()
