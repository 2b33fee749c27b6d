"""Two car rental places between which cars are moved overnight (Sutton & Barto, 2nd ed., example 4.2)."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, factorial

import numpy as np
from PIL import Image

from rlkit.core.ranges import NonNegativeFloat, PositiveInt
from rlkit.core.types import Array, UsageError
from rlkit.envs.grids import AGENT, BONUS, INK, LINE, MUTED, Board
from rlkit.envs.tabular import TabularEnv, vectorizable
from rlkit.planning.mdp import FiniteMDP, require_room


class CarRental(TabularEnv):
    """A state is how many cars are at the two places in the evening, ``first * (max_cars + 1) + second``.

    Action a moves ``a - max_moves`` cars from the first place to the second; then comes a day of Poisson requests and
    returns. More cars than there are cannot be moved: taken all the same, such an action moves those there are. The
    reward of a transition is the mean given where it leads, so values are those of the book. It goes on for ever.
    """

    def __init__(
        self,
        max_cars: PositiveInt,
        max_moves: PositiveInt,
        requests: Sequence[NonNegativeFloat],
        returns: Sequence[NonNegativeFloat],
        rent: float,
        move_cost: float,
        max_steps: PositiveInt | None,
        render_mode: str | None = None,
    ):
        """Work out the probabilities.

        Args:
            max_cars: at each place; others leave the business.
            max_moves: cars moved in a night.
            requests: mean of each place in a day.
            returns: mean of each place in a day; a car returned can be rented from the next day on.
            rent: reward of a car that is rented.
            move_cost: of each car that is moved.
            max_steps: an episode that lasts so long is truncated; None: never.
            render_mode: None, ``ansi`` or ``rgb_array``.

        Raises:
            UsageError: there are no cars or no moves.
        """
        if max_cars < 1 or max_moves < 1:
            raise UsageError(f"env.max_cars is {max_cars} and env.max_moves {max_moves}; both must be at least 1")
        states = (max_cars + 1) ** 2
        require_room(states, 2 * max_moves + 1, states, "set {max_cars} or {max_moves} lower")
        self._max_cars, self._max_moves = max_cars, max_moves
        days = [day(max_cars, *means) for means in zip(requests, returns, strict=True)]
        super().__init__(self._mdp(days, rent, move_cost), max_steps=max_steps, render_mode=render_mode)

    def _mdp(self, days: Sequence[tuple[Array, Array]], rent: float, move_cost: float) -> FiniteMDP:
        size = self._max_cars + 1
        first, second = np.divmod(np.arange(size**2)[:, None], size)
        moved = np.arange(-self._max_moves, self._max_moves + 1)
        possible = np.clip(moved, -second, first)  # [S, A]
        morning = np.minimum(first - possible, self._max_cars), np.minimum(second + possible, self._max_cars)
        (chance, rented), (other_chance, other_rented) = (
            (probability[cars], mean[cars]) for (probability, mean), cars in zip(days, morning, strict=True)
        )
        probability = (chance[..., :, None] * other_chance[..., None, :]).reshape(*possible.shape, size**2)
        income = rent * (rented[..., :, None] + other_rented[..., None, :]).reshape(probability.shape)
        next_state = np.ascontiguousarray(np.broadcast_to(np.arange(size**2), probability.shape))
        return FiniteMDP(
            probability,
            next_state,
            income - move_cost * np.abs(possible)[..., None],
            np.zeros(probability.shape, bool),
            np.full(size**2, 1 / size**2),
            legal=possible == moved,
        )

    @property
    def cars(self) -> tuple[int, int]:
        """How many are at the two places."""
        return divmod(self.state, self._max_cars + 1)

    def text(self) -> str:
        """Return a line for each place, a digit for each tenth car."""
        moved = "" if self.action is None else f"  (moved {self.action - self._max_moves:+d})\n"
        return "".join(f"{name} {cars:3d} {'o' * cars}\n" for name, cars in zip("12", self.cars, strict=True)) + moved

    def frame(self) -> Image.Image:
        """Return the two places with their cars, and between them what was moved last night."""
        columns = -(-(self._max_cars) // 2)
        board = Board(7, columns, size=560)
        for place, cars in enumerate(self.cars):
            top = 4 * place
            board.box(top + 0.05, 0.05, top + 2.95, columns - 0.05, LINE, round=0.2)
            board.label(top + 0.5, columns / 2, f"place {place + 1}: {cars} cars", INK, share=0.5)
            for car in range(self._max_cars):
                row, column = divmod(car, columns)
                _car(board, top + 1 + row, column, there=car < cars)
        if self.action is not None and (moved := self.action - self._max_moves):
            board.arrow(3.5, columns / 2 - 1.2, 0.3 if moved > 0 else -0.3, 0.0, AGENT)
            board.label(3.5, columns / 2 + 0.4, f"{abs(moved)} moved", AGENT, share=0.5)
        return board.image()


def _car(board: Board, row: int, column: int, *, there: bool) -> None:
    if not there:
        board.line((row + 0.75, column + 0.2), (row + 0.75, column + 0.8), MUTED, share=0.04)
        return
    board.box(row + 0.3, column + 0.32, row + 0.6, column + 0.68, AGENT, round=0.1)
    board.box(row + 0.45, column + 0.15, row + 0.7, column + 0.85, AGENT, round=0.1)
    for wheel in (0.32, 0.68):
        board.disc((row + 0.22, column + wheel - 0.5), INK, share=0.2)
        board.disc((row + 0.22, column + wheel - 0.5), BONUS, share=0.08)


def poisson(mean: float, most: int) -> Array:
    """Return the probabilities [most + 1] of 0 to `most` events, the last that of so many or more."""
    chance = np.array([exp(-mean) * mean**k / factorial(k) for k in range(most)])
    return np.append(chance, 1 - chance.sum())


def day(max_cars: int, requests: float, returns: float) -> tuple[Array, Array]:
    """Return what a day does to the cars of a place.

    Returns:
        probability: [C, C] of so many in the evening (column) after so many in the morning (row).
        rented: [C, C] mean number of cars rented on such a day.
    """
    size = max_cars + 1
    probability, total = np.zeros((size, size)), np.zeros((size, size))
    for cars in range(size):
        for rented, chance in enumerate(poisson(requests, cars)):
            left = cars - rented
            evening = np.append(np.zeros(left), poisson(returns, max_cars - left))
            probability[cars] += chance * evening
            total[cars] += rented * chance * evening
    return probability, total / probability


make = vectorizable(CarRental)
