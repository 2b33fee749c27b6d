"""Mazes, drawn as text or generated: walls, an exit, bonuses and traps on the way."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from PIL import Image

from rlkit.core.ranges import NonNegativeInt, PositiveInt, Probability, Range
from rlkit.core.types import Array, UsageError
from rlkit.envs.grids import (
    AGENT,
    ARROW_KEYS,
    BONUS,
    GOAL,
    MOVES,
    START,
    TRAP,
    WALL,
    WHITE,
    Board,
    Cell,
    lines,
    successors,
)
from rlkit.envs.maze_generator import generated
from rlkit.envs.tabular import TabularEnv, vectorizable
from rlkit.planning.mdp import FiniteMDP
from rlkit.runs.plots.grid_map import Layout, Panel

SYMBOLS = "#.SE+T"
PLAIN = str.maketrans("01", "#.")
"""Walls may be drawn as zeros and paths as ones."""

MAX_COLLECTED = 10
"""Each bonus that can be collected doubles the number of states."""

VIEW = 41
"""Cells of a larger maze that a frame shows, in each direction, around the agent."""


class Maze(TabularEnv):
    """A maze; a state is a cell that is no wall, row by row, and with `collect` the bonuses that were taken, too.

    The actions move up, right, down and left. A move into a wall is not legal; taken all the same, it leaves one where
    one is.
    """

    keys = ARROW_KEYS

    def __init__(
        self,
        drawing: str,
        step: float,
        exit: float,
        bonus: float,
        trap: float,
        trap_ends: bool,
        collect: bool,
        slip: Probability,
        max_steps: PositiveInt | None,
        render_mode: str | None = None,
    ):
        """Read the drawing.

        Args:
            drawing: lines of ``#`` or ``0`` (wall), ``.`` or ``1`` (path), ``S`` (start; of several, one is drawn),
                ``E`` (exit), ``+`` (bonus), ``T`` (trap).
            step: reward of every move.
            exit: reward of entering an exit, beside that of the move; it ends the episode.
            bonus: reward of entering such a cell, beside that of the move.
            trap: the same of a trap.
            trap_ends: a trap ends the episode.
            collect: a bonus is there once in an episode; else each time that it is entered.
            slip: probability with which a move goes to one side instead, left or right of it equally often.
            max_steps: an episode that lasts so long is truncated; None: never.
            render_mode: None, ``ansi`` or ``rgb_array``.

        Raises:
            UsageError: the drawing cannot be read, or an option has no such value.
        """
        if not 0 <= slip <= 1:
            raise UsageError(f"env.slip is {slip}; it is a probability, from 0 to 1")
        self._cells = read(drawing)
        self._bonuses = np.argwhere(self._cells == "+")
        if collect and len(self._bonuses) > MAX_COLLECTED:
            raise UsageError(
                f"the maze has {len(self._bonuses)} bonuses; env.collect=true takes up to {MAX_COLLECTED}, for each "
                "doubles the number of states"
            )
        self._paths = np.argwhere(self._cells != "#")
        extra = {"E": exit, "+": bonus, "T": trap}
        mdp = _Builder(self._cells, slip, step, extra, "ET" if trap_ends else "E").mdp(collect)
        super().__init__(mdp, max_steps=max_steps, render_mode=render_mode)

    @property
    def cell(self) -> Cell:
        """The agent's row and column."""
        row, column = self._paths[self.state % len(self._paths)].tolist()
        return row, column

    def _shown(self) -> Array:
        """Return the drawing [R, C] without the bonuses that were taken."""
        taken = self.state // len(self._paths)
        shown: Array = self._cells.copy()
        for number, (row, column) in enumerate(self._bonuses if taken else ()):
            if taken >> number & 1:
                shown[row, column] = "."
        return shown

    def layout(self) -> Layout:
        """Return the maze, before any bonus was taken."""
        states = np.full(self._cells.shape, -1)
        states[self._cells != "#"] = np.arange(len(self._paths))
        labels = np.where(np.isin(self._cells, ["#", "."]), "", self._cells)
        return Layout((Panel("", states, labels, goals=self._cells == "E"),), MOVES)

    def text(self) -> str:
        """Return the drawing."""
        return lines(self._shown().tolist(), self.cell)

    def frame(self) -> Image.Image:
        """Return the maze, of a large one what lies around the agent: bonuses are coins, traps crosses, exits green."""
        top, left = (
            max(0, min(at - VIEW // 2, size - VIEW)) for at, size in zip(self.cell, self._cells.shape, strict=True)
        )
        shown = self._shown()[top : top + VIEW, left : left + VIEW]
        board = Board(*shown.shape)
        for symbol, color in (("S", START), ("E", GOAL)):
            board.fill(_where(shown, symbol), color)
        board.grid()
        board.fill(_where(shown, "#"), WALL)
        for cell in _where(shown, "T"):
            board.cross(cell, TRAP)
        for cell in _where(shown, "+"):
            board.disc(cell, BONUS, share=0.45)
        here = self.cell[0] - top, self.cell[1] - left
        board.disc(here, WHITE, share=0.72)
        board.disc(here, AGENT, share=0.62)
        return board.image()


class GeneratedMaze(Maze):
    """A maze that is drawn by chance."""

    def __init__(
        self,
        rows: Annotated[int, Range(2)],
        columns: Annotated[int, Range(2)],
        maze_seed: NonNegativeInt,
        loops: Probability,
        bonuses: NonNegativeInt,
        traps: NonNegativeInt,
        step: float,
        exit: float,
        bonus: float,
        trap: float,
        trap_ends: bool,
        collect: bool,
        slip: Probability,
        max_steps: PositiveInt | None,
        render_mode: str | None = None,
    ):
        """Generate the maze; the options that are not here are those of `Maze`.

        Args:
            rows: of cells, walls included.
            columns: of cells, walls included.
            maze_seed: of the maze.
            loops: share of the walls that are opened after there is one way from each cell to each other.
            bonuses: how many.
            traps: how many; none is on the shortest way from the start to the exit.
            step: see `Maze`.
            exit: see `Maze`.
            bonus: see `Maze`.
            trap: see `Maze`.
            trap_ends: see `Maze`.
            collect: see `Maze`.
            slip: see `Maze`.
            max_steps: see `Maze`.
            render_mode: see `Maze`.

        Raises:
            UsageError: see `Maze`; or the maze is too small for what is wanted in it.
        """
        drawing = generated(rows, columns, maze_seed, loops=loops, bonuses=bonuses, traps=traps)
        super().__init__(drawing, step, exit, bonus, trap, trap_ends, collect, slip, max_steps, render_mode)


def read(drawing: str) -> Array:
    """Return the symbols [R, C] of a drawing, walls as ``#`` and paths as ``.``.

    Raises:
        UsageError: lines differ in length, a symbol is unknown, or there is no start or no exit.
    """
    rows = drawing.translate(PLAIN).split()
    if len({len(row) for row in rows}) != 1:
        raise UsageError(f"env.drawing has lines of {sorted({len(row) for row in rows})} symbols; all must be as long")
    cells = np.array([*"".join(rows)]).reshape(len(rows), -1)
    unknown = sorted(set(np.unique(cells).tolist()) - set(SYMBOLS))
    if unknown:
        raise UsageError(
            f"env.drawing has the symbol {unknown[0]}; there is # or 0 (wall), . or 1 (path), S (start), E (exit), "
            "+ (bonus) and T (trap)"
        )
    for symbol, name in (("S", "start S"), ("E", "exit E")):
        if not (cells == symbol).any():
            raise UsageError(f"env.drawing has no {name}; draw at least one")
    return cells


class _Builder:
    """Makes the MDP of a drawing. Shapes: P paths, 4 actions, K outcomes of a move."""

    def __init__(self, cells: Array, slip: float, step: float, extra: dict[str, float], ends: str):
        paths = np.flatnonzero(cells.ravel() != "#")
        number = np.full(cells.size, -1)
        number[paths] = np.arange(len(paths))
        self.symbols = cells.ravel()[paths]
        self._straight = number[successors(cells != "#").reshape(-1, 4)[paths]]  # [P, 4]
        sides = [[action, (action - 1) % 4, (action + 1) % 4] for action in range(4)] if slip else np.arange(4)[:, None]
        self._share = np.array([1 - slip, slip / 2, slip / 2] if slip else [1.0])
        own = np.arange(len(paths))[:, None, None]
        ended = np.isin(self.symbols, list(ends))
        self._reached = np.where(ended[own], own, self._straight[:, sides])  # [P, 4, K]
        self._moved = self._reached != own
        bonus = sum(np.where(self.symbols == symbol, value, 0.0) for symbol, value in extra.items())
        self._reward = np.where(ended[own], 0.0, step + np.where(self._moved, np.asarray(bonus)[self._reached], 0.0))
        self._terminated = ended[self._reached]
        self._bonus = extra["+"]
        self._ended = ended

    def mdp(self, collect: bool) -> FiniteMDP:
        """Return the MDP; with `collect`, a copy of the maze for each set of bonuses that were taken."""
        levels = 2 ** np.count_nonzero(self.symbols == "+") if collect else 1
        parts = [self._level(level, collect) for level in range(levels)]
        next_state, reward = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        start = np.zeros(len(next_state))
        begins = np.flatnonzero(self.symbols == "S")
        start[begins] = 1 / len(begins)
        legal = self._straight != np.arange(len(self._straight))[:, None]
        # A cell that is walled in, or where nothing matters any more.
        legal |= (~legal.any(axis=1) | self._ended)[:, None]
        return FiniteMDP(
            np.ascontiguousarray(np.broadcast_to(self._share, next_state.shape)),
            next_state,
            reward,
            np.concatenate([self._terminated] * levels),
            start,
            np.concatenate([legal] * levels),
        )

    def _level(self, taken: int, collect: bool) -> tuple[Array, Array]:
        """Return next states and rewards [P, 4, K] with those bonuses gone whose bits `taken` has."""
        paths = len(self.symbols)
        if not collect:
            return self._reached, self._reward
        bits = np.zeros(paths, np.int64)
        bits[self.symbols == "+"] = 1 << np.arange(np.count_nonzero(self.symbols == "+"))
        entered = np.where(self._moved, bits[self._reached], 0)
        reward = self._reward - np.where(entered & taken, self._bonus, 0.0)
        return self._reached + (taken | entered) * paths, reward


def _where(cells: Array, symbol: str) -> list[Cell]:
    return [(row, column) for row, column in np.argwhere(cells == symbol).tolist()]


make = vectorizable(Maze)
make_generated = vectorizable(GeneratedMaze)
