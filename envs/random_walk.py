"""A random walk along a line (Sutton & Barto, 2nd ed., examples 6.2, 7.1 and 9.1)."""

from __future__ import annotations

import numpy as np
from PIL import Image

from rlkit.core.ranges import PositiveInt
from rlkit.core.types import UsageError
from rlkit.envs.grids import AGENT, GOAL, MUTED, TRAP, Board, lines
from rlkit.envs.tabular import TabularEnv, vectorizable
from rlkit.planning.mdp import FiniteMDP, require_room
from rlkit.runs.plots.grid_map import Layout, Panel


class RandomWalk(TabularEnv):
    """A line of states 1 to n, between two ends 0 and n + 1. There is nothing to decide: the values are to be found.

    With ``jump`` 1, a left end of -1 and a right one of 1, the value of state s is ``2 s / (n + 1) - 1``.
    """

    def __init__(
        self,
        states: PositiveInt,
        jump: PositiveInt,
        left: float,
        right: float,
        max_steps: PositiveInt | None,
        render_mode: str | None = None,
    ):
        """Make the line.

        Args:
            states: n; an episode begins in the middle of them.
            jump: a step goes to one of so many neighbors on each side, or to an end where they are fewer.
            left: reward of ending on the left.
            right: reward of ending on the right.
            max_steps: an episode that lasts so long is truncated; None: never.
            render_mode: None, ``ansi`` or ``rgb_array``.

        Raises:
            UsageError: there are no states or no jumps.
        """
        if states < 1 or jump < 1:
            raise UsageError(f"env.states is {states} and env.jump {jump}; both must be at least 1")
        require_room(states, 2, 2 * jump, "set {states} or {jump} lower")
        self._states = states
        super().__init__(walk(states, jump, left, right), max_steps=max_steps, render_mode=render_mode)

    def layout(self) -> Layout:
        """Return the line."""
        return Layout((Panel("", np.arange(self._states + 2)[None, :]),), ((0, 0),))

    def text(self) -> str:
        """Return the line: T is an end."""
        return lines([["T", *"." * self._states, "T"]], (0, self.state))

    def frame(self) -> Image.Image:
        """Return the line as beads, those of a long one in rows."""
        size = self._states + 2
        columns = min(size, 25)
        board = Board(-(-size // columns) + 2, columns, size=750)
        for state in range(size):
            end = {0: TRAP, size - 1: GOAL}.get(state)
            board.disc(_bead(state, columns), end or MUTED, share=0.7 if end else 0.3)
        board.disc(_bead(self.state, columns), AGENT, share=0.8)
        return board.image()


def _bead(state: int, columns: int) -> tuple[int, int]:
    """Return the cell of a state, below a margin."""
    return state // columns + 1, state % columns


def walk(states: int, jump: int, left: float, right: float) -> FiniteMDP:
    """Return the MDP, of one action."""
    own = np.arange(states + 2)[:, None]
    steps = np.concatenate([np.arange(-jump, 0), np.arange(1, jump + 1)])
    ended = (own == 0) | (own == states + 1)
    reached = np.where(ended, own, np.clip(own + steps, 0, states + 1))
    reward = np.select([ended | np.zeros_like(reached, bool), reached == 0, reached == states + 1], [0.0, left, right])
    terminated = (reached == 0) | (reached == states + 1)
    start = np.zeros(states + 2)
    start[(states + 1) // 2] = 1.0
    share = np.full(reached.shape, 1 / len(steps))
    return FiniteMDP(share[:, None], reached[:, None], reward[:, None].astype(np.float64), terminated[:, None], start)


make = vectorizable(RandomWalk)
