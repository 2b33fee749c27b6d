"""Mazes by chance: a spanning tree of rooms, found in compiled code, so that a million cells take a second."""

from __future__ import annotations

from typing import Any

import numpy as np

from rlkit.core.resources import require_memory
from rlkit.core.types import Array, UsageError
from rlkit.envs.grids import successors


def generated(rows: int, columns: int, seed: int, *, loops: float, bonuses: int, traps: int) -> str:
    """Return the drawing of a maze of `rows` x `columns` cells, from a start at the top left to an exit far away.

    Rooms lie in every second row and column; the walls between them that a random spanning tree crosses are opened
    (Kruskal's algorithm on random weights). Where the number of rows or columns is even, the last one has niches.

    Args:
        rows: at least 2.
        columns: at least 2.
        seed: of everything that is drawn.
        loops: share of the other walls between two rooms that are opened, too.
        bonuses: how many ``+``.
        traps: how many ``T``, none of them on the shortest way.

    Raises:
        UsageError: there is no room for what is wanted.
    """
    if rows < 2 or columns < 2:
        raise UsageError(f"a maze of {rows} x {columns} has no room; env.rows and env.columns must be at least 2")
    if not 0 <= loops <= 1:
        raise UsageError(f"env.loops is {loops}; it is a share of the walls, from 0 to 1")
    require_memory(200 * rows * columns, f"a maze of {rows:,} x {columns:,}", "set {rows} or {columns} lower")
    rng = np.random.default_rng(seed)
    free = carved(rows, columns, loops, rng)
    way = shortest_way(free)
    cells = np.where(free.ravel(), ".", "#")
    cells[way[0]], cells[way[-1]] = "S", "E"
    beside = np.setdiff1d(np.flatnonzero(free), way)
    if traps > len(beside):
        raise UsageError(f"env.traps is {traps}, but only {len(beside)} cells are off the shortest way")
    cells[rng.choice(beside, traps, replace=False)] = "T"
    paths = np.flatnonzero(cells == ".")
    if bonuses > len(paths):
        raise UsageError(f"env.bonuses is {bonuses}, but only {len(paths)} cells are free")
    cells[rng.choice(paths, bonuses, replace=False)] = "+"
    return "\n".join("".join(row) for row in cells.reshape(rows, columns))


def carved(rows: int, columns: int, loops: float, rng: np.random.Generator) -> Array:
    """Return which cells [R, C] bool are no walls."""
    free = np.zeros((rows, columns), bool)
    free[::2, ::2] = True
    rooms = np.flatnonzero(free)
    number = np.full(rows * columns, -1)
    number[rooms] = np.arange(len(rooms))
    walls = np.concatenate([_walls(free, axis) for axis in (0, 1)])  # [W, 3] a room, the wall, the next room
    opened = _spanning(number[walls[:, 0]], number[walls[:, 2]], len(rooms), rng)
    opened |= rng.random(len(walls)) < loops
    free.reshape(-1)[walls[opened, 1]] = True
    # Niches in a last row or column that has no rooms.
    free[rows - 1, ::2] = free[::2, columns - 1] = True
    return free


def _walls(free: Array, axis: int) -> Array:
    cells = np.arange(free.size).reshape(free.shape)[::2, ::2]
    first, second = (cells[:-1], cells[1:]) if axis == 0 else (cells[:, :-1], cells[:, 1:])
    return np.stack([first.ravel(), (first.ravel() + second.ravel()) // 2, second.ravel()], axis=1)


def _spanning(first: Array, second: Array, rooms: int, rng: np.random.Generator) -> Array:
    """Return which of the edges [W] are in a random spanning tree."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import minimum_spanning_tree

    # Weights that identify their edges.
    weights = 1 + rng.permutation(len(first))
    tree = minimum_spanning_tree(coo_array((weights, (first, second)), shape=(rooms, rooms)).tocsr())
    chosen = np.zeros(len(first) + 1, bool)
    chosen[tree.data.astype(np.int64)] = True
    return np.asarray(chosen[weights])


def shortest_way(free: Array) -> Array:
    """Return the numbers [K] int64 of the cells on the shortest way from the first `free` [R, C] bool to the last."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import breadth_first_order

    paths = np.flatnonzero(free)
    reached = successors(free).reshape(-1, 4)[paths]
    edges: Any = (np.ones(reached.size, np.int8), (np.repeat(paths, 4), reached.ravel()))
    graph = coo_array(edges, shape=(free.size, free.size)).tocsr()
    _, before = breadth_first_order(graph, paths[0], directed=True)
    way = [int(paths[-1])]
    while way[-1] != paths[0]:
        way.append(int(before[way[-1]]))
    return np.array(way[::-1])
