"""Games of OpenSpiel (Lanctot et al., 2019): for two, in turns, with nothing hidden and nothing left to chance."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import gymnasium
import numpy as np
from PIL import Image

from rlkit.core.types import Array, UsageError
from rlkit.envs.board_envs import playable
from rlkit.envs.grids import text_picture
from rlkit.planning.search.model import ModelStep, Rules, Symmetry


class OpenSpielGame:
    """A game of OpenSpiel as an `rlkit.planning.games.game.Game`.

    A state is a row [1] of one `pyspiel.State`, left as it is. Observations are OpenSpiel's tensors, as for whoever is
    to move.

    Attributes:
        name: OpenSpiel's, with its parameters.
        num_actions: A.
        observation_shape: of one observation.
        bound: no return is beyond it.
    """

    num_outcomes = 1
    solved: ClassVar[bool] = False
    draws: ClassVar[bool] = False
    symmetries: Sequence[Symmetry] = ()
    rules: Rules | None = None

    def __init__(self, game: str, parameters: Mapping[str, Any] | None = None):
        """Load a game.

        Args:
            game: OpenSpiel's short name, e.g. ``hex``.
            parameters: of the game, e.g. ``{"board_size": 5}``.

        Raises:
            UsageError: OpenSpiel is not installed or has no such game, or the game is of another kind.
        """
        self._game = _loaded(game, dict(parameters or {}))
        self.name = str(self._game)
        self.num_actions = int(self._game.num_distinct_actions())
        self.observation_shape = tuple(self._game.observation_tensor_shape())
        self.bound: float | None = float(max(-self._game.min_utility(), self._game.max_utility()))

    def initial_state(self) -> Array:
        """Return the state in which a game begins, [1] object."""
        return np.asarray(_rows([self._game.new_initial_state()])[0])

    def blank_state(self) -> Array:
        """Return an array [1] of objects."""
        return np.array([None], object)

    def step(self, states: Array, action: Array, outcome: Array) -> ModelStep:
        """Return what follows of `action` [B]."""
        before = states[:, 0]
        reached = [state.child(int(move)) for state, move in zip(before, action, strict=True)]
        followed = [_followed(now, after) for now, after in zip(before, reached, strict=True)]
        reward, discount = np.array(followed, float).reshape(-1, 2).T
        return ModelStep(_rows(reached), reward, discount)

    def legal_actions(self, states: Array) -> Array:
        """Return which actions are legal, [B, A] bool."""
        mask = np.zeros((len(states), self.num_actions), bool)
        for row, state in zip(mask, states[:, 0], strict=True):
            row[state.legal_actions()] = True
        return mask

    def chances(self, states: Array) -> Array:
        """Return ones, [B, A, 1]."""
        return np.ones((len(states), self.num_actions, 1))

    def observation(self, states: Array) -> Array:
        """Return OpenSpiel's tensors for whoever is to move, [B, ...] float32; zeros where the game is over."""
        observation = np.zeros((len(states), *self.observation_shape), np.float32)
        for row, state in zip(observation, states[:, 0], strict=True):
            if not state.is_terminal():
                row[...] = np.reshape(state.observation_tensor(state.current_player()), self.observation_shape)
        return observation

    def read(self, env: gymnasium.Env[Any, Any]) -> Array:
        """Return the state of a `rlkit.envs.board_envs.GameEnv`, [1] object."""
        game: Any = env.unwrapped
        return np.array(game.game.states[0])

    def complete(self, states: Array, observation: Array, legal_actions: Array | None) -> Array:
        """Return the states [B, 1] as they are: they are complete."""
        return states

    def first_to_move(self, states: Array) -> Array:
        """Return where whoever began is to move, [B] bool."""
        return np.array([state.current_player() == 0 for state in states[:, 0]], bool)

    def saved(self, states: Array) -> list[list[int]]:
        """Return the moves that led to each of the states [B, 1]."""
        return [list(map(int, state.history())) for state in states[:, 0]]

    def restored(self, saved: Iterable[Iterable[int]]) -> Array:
        """Return the states [B, 1] that moves lead to from the beginning."""
        return _rows([self._after(moves) for moves in saved])

    def _after(self, moves: Iterable[int]) -> Any:
        state = self._game.new_initial_state()
        for move in moves:
            state.apply_action(int(move))
        return state

    def move_name(self, state: Array, action: int) -> str:
        """Return OpenSpiel's name of a move in a state [1]."""
        inner = state[0]
        return str(inner.action_to_string(inner.current_player(), action)).replace(" ", "_")

    def text(self, state: Array) -> str:
        """Return OpenSpiel's drawing of a state [1]."""
        return str(state[0]).rstrip("\n") + "\n"

    def frame(self, state: Array, last: int | None = None) -> Image.Image:
        """Return OpenSpiel's drawing of a state [1] as a frame."""
        return text_picture(self.text(state))

    def action_at(self, row: float, column: float) -> int:
        """Raise `UsageError`: where moves lie on the frame is not known."""
        raise UsageError(f"moves of {self.name} are typed: play it in the terminal, with terminal=true")

    def optimal_moves(self, states: Array) -> Array:
        """Raise `UsageError`: there is no exact solver of states [B, 1]."""
        raise UsageError(f"there is no exact solver of {self.name}; play against opponent=mcts or random")


def _rows(states: list[Any]) -> Array:
    found = np.empty((len(states), 1), object)
    found[:, 0] = states
    return found


def _followed(before: Any, after: Any) -> tuple[float, float]:
    """Return the reward of whoever moved, and the discount."""
    mover = before.current_player()
    passes = -1.0 if after.current_player() != mover else 1.0
    return after.player_reward(mover), 0.0 if after.is_terminal() else passes


def _loaded(name: str, parameters: dict[str, Any]) -> Any:
    try:
        import pyspiel
    except ImportError as error:
        raise UsageError("env=open_spiel needs OpenSpiel: pip install open_spiel") from error
    try:
        game = pyspiel.load_game(name, parameters)
    except Exception as error:  # pyspiel's own, which is derived from RuntimeError in some versions only
        raise UsageError(f"OpenSpiel cannot load {name} with {parameters}: {' '.join(str(error).split())}") from error
    kind = game.get_type()
    fits = (
        kind.chance_mode == pyspiel.GameType.ChanceMode.DETERMINISTIC
        and kind.information == pyspiel.GameType.Information.PERFECT_INFORMATION
        and kind.dynamics == pyspiel.GameType.Dynamics.SEQUENTIAL
        and kind.utility == pyspiel.GameType.Utility.ZERO_SUM
        and kind.provides_observation_tensor
        and game.num_players() == 2
    )
    if not fits:
        raise UsageError(
            f"env=open_spiel takes games for two, in turns, with nothing hidden, nothing left to chance and one's gain "
            f"the other's loss; {name} is another kind"
        )
    return game


make = playable(OpenSpielGame)
