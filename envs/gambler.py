"""A gambler who wants to reach a goal (Sutton & Barto, 2nd ed., example 4.3)."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from PIL import Image

from rlkit.core.ranges import PositiveInt, Probability, Range
from rlkit.core.resources import require_memory
from rlkit.core.types import UsageError
from rlkit.envs.grids import BONUS, GOAL, INK, LINE, TRAP, Board
from rlkit.envs.tabular import TabularEnv, vectorizable
from rlkit.planning.mdp import Outcome, from_table

COLUMNS = 10
ENTRY = 500
"""Bytes of a state and a stake while the table is made."""


class Gambler(TabularEnv):
    """A state is the capital; action a stakes a + 1 of it, and a coin decides. The reward is 1 for reaching the goal.

    Stakes of more than one has, or needs, are not legal: taken all the same, they are as high as is sensible.
    """

    def __init__(
        self,
        goal: Annotated[int, Range(2)],
        heads: Probability,
        capital: PositiveInt | None,
        max_steps: PositiveInt | None,
        render_mode: str | None = None,
    ):
        """Make the table.

        Args:
            goal: capital that ends the episode, as 0 does.
            heads: probability of winning what was staked.
            capital: to begin with; None: drawn uniformly.
            max_steps: an episode that lasts so long is truncated; None: never.
            render_mode: None, ``ansi`` or ``rgb_array``.

        Raises:
            UsageError: the goal is less than 2, `heads` is no probability, or the capital is not below the goal.
        """
        if goal < 2 or not 0 <= heads <= 1:
            raise UsageError(f"env.goal is {goal} and env.heads {heads:g}; a goal is at least 2, heads from 0 to 1")
        if capital is not None and not 0 < capital < goal:
            raise UsageError(f"env.capital is {capital}; it must be from 1 to {goal - 1}, or null to draw it")
        size = ENTRY * (goal + 1) * (goal // 2)
        require_memory(size, f"a table of {goal + 1:,} states and {goal // 2:,} stakes", "set {goal} lower")
        self._goal = goal
        stakes = range(1, goal // 2 + 1)
        start = np.zeros(goal + 1)
        start[1:goal] = 1 / (goal - 1) if capital is None else np.arange(1, goal) == capital
        table = [[outcomes(own, stake, goal, heads) for stake in stakes] for own in range(goal + 1)]
        legal = np.array(
            [[stake <= min(own, goal - own) or own in (0, goal) for stake in stakes] for own in range(goal + 1)]
        )
        super().__init__(from_table(table, start, legal), max_steps=max_steps, render_mode=render_mode)

    def text(self) -> str:
        """Return the capital and the last stake."""
        staked = "" if self.action is None else f" after staking {self.action + 1}"
        return f"{self.state} of {self._goal}{staked}\n"

    def frame(self) -> Image.Image:
        """Return the capital as coins: one for each hundredth of the goal, or for each of it where that is less."""
        coins = min(self._goal, 100)
        rows = -(-coins // COLUMNS)
        board = Board(rows + 1, COLUMNS)
        owned = self.state * coins // self._goal
        for coin in range(coins):
            board.disc(divmod(coin, COLUMNS), BONUS if coin < owned else LINE, share=0.8 if coin < owned else 0.5)
        color = {0: TRAP, self._goal: GOAL}.get(self.state, INK)
        board.label(rows + 0.5, COLUMNS / 2, self.text().strip(), color, share=0.6)
        return board.image()


def outcomes(own: int, stake: int, goal: int, heads: float) -> list[Outcome]:
    """Return what comes of a stake."""
    if own in (0, goal):
        return [(1.0, own, 0.0, True)]
    stake = min(stake, own, goal - own)
    won, lost = own + stake, own - stake
    return [(heads, won, float(won == goal), won == goal), (1 - heads, lost, 0.0, lost == 0)]


make = vectorizable(Gambler)
