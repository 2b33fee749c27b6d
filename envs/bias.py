"""Where Q-learning overestimates: the maximization bias (Sutton & Barto, 2nd ed., example 6.7 and figure 6.5)."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from PIL import Image

from rlkit.core.ranges import NonNegativeFloat, PositiveInt, Range
from rlkit.core.resources import require_memory
from rlkit.core.types import UsageError
from rlkit.envs.grids import AGENT, GOAL, INK, LINE, MUTED, WHITE, Board
from rlkit.envs.tabular import TabularEnv, vectorizable
from rlkit.planning.mdp import from_table

LEFT, RIGHT = 0, 1
A, B, END = range(3)


class Bias(TabularEnv):
    """From A, right (action 1) ends with reward 0, and left (action 0) leads to B with reward 0.

    From B every action ends, with a normal reward of a mean a little below 0: so left is worse, but the best of many
    estimates of that mean is above 0. In A only two actions are legal; any other ends as right does.
    """

    keys = {"left": LEFT, "right": RIGHT}  # noqa: RUF012

    def __init__(
        self,
        actions: Annotated[int, Range(2)],
        mean: float,
        deviation: NonNegativeFloat,
        max_steps: PositiveInt | None,
        render_mode: str | None = None,
    ):
        """Make the table.

        Args:
            actions: in B.
            mean: of the reward from B.
            deviation: its standard deviation.
            max_steps: an episode that lasts so long is truncated; None: never.
            render_mode: None, ``ansi`` or ``rgb_array``.

        Raises:
            UsageError: there are fewer than two actions, or the deviation is below 0.
        """
        if actions < 2 or deviation < 0:
            raise UsageError(f"env.actions is {actions} and env.deviation {deviation:g}; at least 2 and 0 are needed")
        require_memory(1500 * actions, f"a table of {actions:,} actions", "set {actions} lower")
        choices = range(actions)
        table = [
            [[(1.0, B, 0.0, False)] if action == LEFT else [(1.0, END, 0.0, True)] for action in choices],
            [[(1.0, END, float(mean), True)] for _ in choices],
            [[(1.0, END, 0.0, True)] for _ in choices],
        ]
        legal = np.ones((3, actions), bool)
        legal[A] = np.arange(actions) <= RIGHT
        noise = np.zeros((3, actions))
        noise[B] = deviation
        mdp = from_table(table, np.eye(3)[A], legal)
        super().__init__(mdp, max_steps=max_steps, render_mode=render_mode, deviation=noise)

    def text(self) -> str:
        """Return the states, the present one in brackets."""
        return " - ".join(f"[{name}]" if state == self.state else f" {name} " for state, name in _PLACES) + "\n"

    def frame(self) -> Image.Image:
        """Return the states as discs, and the ways between them."""
        board = Board(2, 7, size=560)
        board.arrow(1.0, 5.0, 0.0, 0.5, MUTED)
        board.arrow(1.0, 3.0, 0.0, -0.5, MUTED)
        for fan in (-0.5, -0.25, 0.0, 0.25, 0.5):
            board.line((1.0 + fan, 1.25), (1.0 + fan / 4, 0.5), MUTED, share=0.04)
            board.line((1.0 + fan, 1.25), (1.0 + fan / 4, 2.0), MUTED, share=0.04)
        for state, name, column in ((END, "", 0.5), (B, "B", 2.0), (A, "A", 4.0), (END, "", 6.0)):
            here = state == self.state and (state != END or column == (6.0 if self._went_right() else 0.5))
            ink = WHITE if here else INK
            board.disc((0.5, column - 0.5), AGENT if here else GOAL if state == END else LINE, share=0.8)
            board.label(1.0, column, name, ink, share=0.45)
        return board.image()

    def _went_right(self) -> bool:
        return self._steps == 1


_PLACES = ((B, "B"), (A, "A"), (END, "end"))

make = vectorizable(Bias)
