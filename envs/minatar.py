"""MinAtar's five games (Young and Tian, 2019): Atari games in boards of 10x10, a plane for each kind of thing."""

from __future__ import annotations

import logging
from typing import Any, ClassVar, Literal

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.wrappers import TimeLimit

from rlkit.core.ranges import PositiveInt, Probability
from rlkit.core.types import Array, State, UsageError
from rlkit.vector.object_graph import Graph, capture
from rlkit.vector.object_restoring import restore

CELL = 16
"""Pixels of a cell's side in a frame."""

FRAMES_PER_SECOND = 15

COLORS = np.array(
    [
        *((0, 0, 0), (230, 90, 60), (70, 150, 230), (240, 200, 70), (90, 190, 100), (170, 110, 210)),
        *((240, 140, 190), (120, 220, 220), (200, 160, 110), (150, 160, 170), (240, 240, 240)),
    ],
    np.uint8,
)
"""Of an empty cell, then of each plane; the last plane that has something in a cell is shown."""


class MinAtarGame(gymnasium.Env[Array, Any]):
    """One of the games; a reward is its score. An observation is [planes, 10, 10] bool.

    Attributes:
        game: MinAtar's own, with its generators.
    """

    metadata: ClassVar[dict[str, Any]] = {  # type: ignore[misc]
        "render_modes": ["rgb_array"],
        "render_fps": FRAMES_PER_SECOND,
    }

    def __init__(
        self, game: str, sticky: float, difficulty_ramping: bool, minimal_actions: bool, render_mode: str | None
    ):
        """Set up a game; see `make`."""
        self.game = _module().Environment(game, sticky_action_prob=sticky, difficulty_ramping=difficulty_ramping)
        self.render_mode = render_mode
        self._actions = self.game.minimal_action_set() if minimal_actions else list(range(self.game.num_actions()))
        self.action_space = spaces.Discrete(len(self._actions))
        rows, columns, planes = self.game.state_shape()
        self.observation_space = spaces.Box(0, 1, (planes, rows, columns), bool)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Array, dict[str, Any]]:
        """Begin a game and return its board [planes, 10, 10] bool; no options are known."""
        super().reset(seed=seed)
        if seed is not None:
            self.game.seed(int(self.np_random.integers(2**31)))
        self.game.last_action = 0
        self.game.reset()
        return self._observation(), {}

    def step(self, action: Any) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        """Make a move and return the board [planes, 10, 10] bool."""
        reward, terminated = self.game.act(self._actions[int(action)])
        return self._observation(), float(reward), bool(terminated), False, {}

    def _observation(self) -> Array:
        return np.moveaxis(np.asarray(self.game.state(), bool), -1, 0)

    def get_state(self) -> State:
        """Return the game with its generators."""
        return capture(self._graph())

    def set_state(self, state: State) -> None:
        """Restore a state from `get_state`.

        Raises:
            RunError: it is not one of such a game.
        """
        restore(self._graph(), state)

    def _graph(self) -> Graph:
        return Graph([self.game, self.game.env], ("minatar",))

    def render(self) -> Any:
        """Return the board as a frame [160, 160, 3] uint8."""
        if self.render_mode is None:
            return None
        planes = np.asarray(self.game.state()) * (1 + np.arange(self.game.n_channels))
        return COLORS[planes.max(axis=2)].repeat(CELL, axis=0).repeat(CELL, axis=1)


def make(
    game: Literal["asterix", "breakout", "freeway", "seaquest", "space_invaders"],
    sticky: Probability,
    difficulty_ramping: bool,
    minimal_actions: bool,
    max_steps: PositiveInt,
    render_mode: str | None = None,
) -> gymnasium.Env[Any, Any]:
    """Return a game, whose state can be read and written.

    Args:
        game: which.
        sticky: probability that the last action is repeated.
        difficulty_ramping: games become harder as they go on.
        minimal_actions: only actions that do something; else all six.
        max_steps: a game that lasts longer is truncated.
        render_mode: Gymnasium's.

    Raises:
        UsageError: MinAtar is not installed.
    """
    return TimeLimit(MinAtarGame(game, sticky, difficulty_ramping, minimal_actions, render_mode), max_steps)


def _module() -> Any:
    # It warns where seaborn, which only its own window needs, is not installed.
    logging.disable(logging.WARNING)
    try:
        import minatar
    except ImportError as error:
        raise UsageError("env=minatar needs MinAtar: pip install minatar") from error
    finally:
        logging.disable(logging.NOTSET)
    return minatar
