"""Board games for two, as environments: one game, or many at once; played alone or against an opponent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Protocol

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from rlkit.core.ranges import PositiveInt
from rlkit.core.types import RESIGN, Actor, Array, FromRun, State, UsageError
from rlkit.envs.options import with_options_of
from rlkit.planning.games.game import Game, timestep_for_mover
from rlkit.play.games.players import named_player

Made = gymnasium.Env[Any, Any] | VectorEnv[Any, Any, Any]
Result = tuple[Array, Array, Array, Array, dict[str, Any]]


class PlayableGame(Game, Protocol):
    """A game whose states can be saved."""

    @property
    def observation_shape(self) -> tuple[int, ...]:
        """The shape of one observation, whose numbers are from 0 to 1."""

    def saved(self, states: Array) -> Any:
        """Return states [B, ...] as plain data."""

    def restored(self, saved: Any) -> Array:
        """Return the states [B, ...] that `saved` made plain."""


class Games:
    """N games under way, stepped at once; the other side is played too where there is an opponent.

    Attributes:
        states: [N, ...], as the model has them.
        last: [N] int64, the last move on each board, -1 where none was made.
    """

    def __init__(self, model: PlayableGame, n: int, opponent: Actor | None, first: str):
        """Set up N games.

        Args:
            model: the rules.
            n: N.
            opponent: plays the other side, by the position alone; None: the agent plays both.
            first: who begins against an opponent: agent, opponent, or random.
        """
        self._model = model
        self._opponent = opponent
        self._first = first
        self._most = 1.0 if model.bound is None else model.bound
        self.states = np.repeat(model.initial_state()[None], n, axis=0)
        self.last = np.full(n, -1)
        self._side = np.zeros(n, np.int64)

    def begin(self, rows: Array, rng: np.random.Generator) -> None:
        """Begin new games in `rows` [R]."""
        self.states[rows], self.last[rows] = self._model.initial_state(), -1
        sides = {"agent": np.zeros(len(rows)), "opponent": np.ones(len(rows)), "random": rng.integers(0, 2, len(rows))}
        self._side[rows] = sides[self._first] if self._opponent is not None else 0
        self._reply(rows, rng)

    def step(self, action: Array, rng: np.random.Generator) -> tuple[Array, Array]:
        """Make the moves [N], and the replies to them; return (reward, discount), [N] float64 each, of whoever moved.

        A game that is given up (`rlkit.core.types.RESIGN`) is lost, and its board stays as it is.

        Raises:
            UsageError: a move is not legal.
        """
        rows = np.arange(len(self.states))
        playing = rows[action != RESIGN]
        self._require_legal(playing, action[playing])
        reward, discount = np.full(len(rows), -self._most), np.zeros(len(rows))
        reward[playing], discount[playing] = self._move(playing, action[playing])
        if self._opponent is None:
            return reward, discount
        going = rows[discount != 0]
        replies, ends = self._reply(going, rng)
        reward[going] -= replies
        discount = (discount != 0).astype(float)
        discount[going[ends]] = 0
        return reward, discount

    def _move(self, rows: Array, action: Array) -> tuple[Array, Array]:
        step = self._model.step(self.states[rows], action, np.zeros(len(rows), np.int64))
        self.states[rows], self.last[rows] = step.state, action
        return step.reward.copy(), step.discount

    def _reply(self, rows: Array, rng: np.random.Generator) -> tuple[Array, Array]:
        """Let the opponent move until the agent is to; return (reward [R] of the opponent, [R] bool where it ended)."""
        reward, ended = np.zeros(len(rows)), np.zeros(len(rows), bool)
        while self._opponent is not None:
            turn = ~ended & (self._model.first_to_move(self.states[rows]) != (self._side[rows] == 0))
            if not turn.any():
                break
            moving = rows[turn]
            timestep = timestep_for_mover(self._model, self.states[moving])
            move, _ = self._opponent.act(timestep, self._opponent.initial_memory(len(moving)), explore=False, rng=rng)
            reward[turn], discount = self._move(moving, move)
            ended[turn] = discount == 0
        return reward, ended

    def _require_legal(self, rows: Array, action: Array) -> None:
        legal = self.legal()[rows, action]
        if not legal.all():
            first = int(np.argmin(legal))
            wrong, state = int(action[first]), self.states[rows[first]]
            raise UsageError(
                f"move {self._model.move_name(state, wrong)} ({wrong}) is not legal in {self._model.name}; "
                'choose among what info["action_mask"] allows'
            )

    def first_player_is(self) -> Array:
        """Return [N] float64: 1 where a reward of the mover's is the first player's, -1 where it is the other's.

        Against an opponent scores are the agent's.
        """
        if self._opponent is not None:
            return np.ones(len(self.states))
        return np.where(self._model.first_to_move(self.states), 1.0, -1.0)

    def legal(self) -> Array:
        """Return the legal moves, [N, A] bool."""
        return self._model.legal_actions(self.states)

    def observation(self) -> Array:
        """Return the observations [N, ...] float32."""
        return self._model.observation(self.states)

    def get_state(self) -> State:
        """Return boards, last moves and sides."""
        return {"states": self._model.saved(self.states), "last": self.last.copy(), "side": self._side.copy()}

    def set_state(self, state: State) -> None:
        """Restore a state from `get_state`."""
        self.states = self._model.restored(state["states"])
        self.last, self._side = np.array(state["last"]), np.array(state["side"])


class GameEnv(gymnasium.Env[Array, int]):
    """A board game: the agent plays both sides, or against an opponent.

    Where it plays both, a step is one move of one player, observed by whoever is to move; rewards are the mover's,
    ``info["rlkit/raw_reward"]`` is the first player's, and ``info["rlkit/discount"]`` is -1 where the turn passed.
    Which moves are legal is in ``info["action_mask"]``; the action `rlkit.core.types.RESIGN` gives the game up.

    Attributes:
        model: the rules, for planners.
        game: the one game, as `Games`.
    """

    metadata: ClassVar[dict[str, Any]] = {  # type: ignore[misc]
        "render_modes": ["ansi", "rgb_array"],
        "render_fps": 2,
        "action_mask": True,
        "can_resign": True,
    }

    def __init__(self, model: PlayableGame, opponent: Actor | None, first: str, render_mode: str | None):
        """Set up a game; see `Games`.

        Raises:
            UsageError: there is no such render mode.
        """
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise UsageError(f"{model.name} draws render_mode=ansi or rgb_array, not {render_mode}")
        self.model = model
        self.render_mode = render_mode
        self.game = Games(model, 1, opponent, first)
        self.observation_space, self.action_space = _spaces(model)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Array, dict[str, Any]]:
        """Begin a game and return its observation [...] float32; no options are known."""
        super().reset(seed=seed)
        self.game.begin(np.arange(1), self.np_random)
        return self.game.observation()[0], {"action_mask": self.game.legal()[0].astype(np.int8)}

    def step(self, action: int) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        """Make a move, and let the opponent reply where there is one; the observation is [...] float32."""
        sign = self.game.first_player_is().item(0)
        reward, discount = self.game.step(np.array([action]), self.np_random)
        info = {
            "action_mask": self.game.legal()[0].astype(np.int8),
            "rlkit/discount": discount.item(0),
            "rlkit/raw_reward": reward.item(0) * sign,
        }
        return self.game.observation()[0], reward.item(0), discount.item(0) == 0, False, info

    def get_state(self) -> State:
        """Return the game; the generator is captured with the environment."""
        return self.game.get_state()

    def set_state(self, state: State) -> None:
        """Restore a state from `get_state`."""
        self.game.set_state(state)

    def get_keys_to_action(self) -> dict[Any, int]:
        """Return what a person presses, in Gymnasium's convention: digits, as far as they go."""
        return {(str(action + 1),): action for action in range(min(9, self.model.num_actions))}

    def render(self) -> Any:
        """Return the board as text, or as a frame [H, W, 3] uint8, as `render_mode` says."""
        state, last = self.game.states[0], self.game.last.item(0)
        if self.render_mode == "ansi":
            return self.model.text(state)
        frame = self.model.frame(state, None if last < 0 else last)
        return np.asarray(frame) if self.render_mode == "rgb_array" else None


class GameVector(VectorEnv[Array, Array, Array]):
    """N games stepped at once; a game that ends is followed by the next in the same step.

    All draw from one generator.

    Attributes:
        model: the rules, for planners.
        game: the games.
        fresh_arrays: every array is a new one, so nobody needs to copy it.
        fresh_when_seeded: a reset with seeds leaves nothing of what was before.
    """

    metadata: ClassVar[dict[str, Any]] = {  # type: ignore[misc]
        "autoreset_mode": AutoresetMode.SAME_STEP,
        "action_mask": True,
        "can_resign": True,
    }
    fresh_arrays = True
    fresh_when_seeded = True

    def __init__(self, model: PlayableGame, num_envs: int, opponent: Actor | None, first: str):
        """Set up N games; see `Games`."""
        self.model = model
        self.num_envs = num_envs
        self.game = Games(model, num_envs, opponent, first)
        self.single_observation_space, self.single_action_space = _spaces(model)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._rng = np.random.default_rng(0)

    def reset(
        self, *, seed: int | Sequence[int] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Array, dict[str, Any]]:
        """Begin every game, observed as [N, ...] float32; the seeds together seed the one generator.

        No options are known.
        """
        if seed is not None:
            self._rng = np.random.default_rng(seed)
        self.game.begin(np.arange(self.num_envs), self._rng)
        return self.game.observation(), {"action_mask": self.game.legal()}

    def step(self, actions: Array) -> Result:
        """Make the moves [N]; ``final_obs`` and ``final_info`` are of all boards before new games begin."""
        sign = self.game.first_player_is()
        reward, discount = self.game.step(np.asarray(actions), self._rng)
        reached, over = self.game.observation(), discount == 0
        info = {"action_mask": self.game.legal(), "rlkit/discount": discount, "rlkit/raw_reward": reward * sign}
        never = np.zeros(self.num_envs, bool)
        if not over.any():
            return reached, reward, over, never, info
        self.game.begin(np.flatnonzero(over), self._rng)
        infos = {**info, "action_mask": self.game.legal(), "final_obs": reached, "final_info": info}
        return self.game.observation(), reward, over, never, infos

    def states(self) -> Array:
        """Return the states of all games, [N, S], for planners."""
        return self.game.states.copy()

    def get_state(self) -> State:
        """Return games and generator."""
        return {"game": self.game.get_state(), "generator": self._rng.bit_generator.state}

    def set_state(self, state: State) -> None:
        """Restore a state from `get_state`."""
        self.game.set_state(state["game"])
        self._rng = np.random.default_rng(0)
        self._rng.bit_generator.state = state["generator"]


def _spaces(model: PlayableGame) -> tuple[spaces.Space[Any], spaces.Space[Any]]:
    return spaces.Box(0, 1, model.observation_shape, np.float32), spaces.Discrete(model.num_actions)


FIRST = ("agent", "opponent", "random")


def playable(
    make_model: Callable[..., PlayableGame],
) -> Callable[..., gymnasium.Env[Any, Any] | VectorEnv[Any, Any, Any]]:
    """Return the function that a YAML names, with the options of `make_model` and those of an opponent.

    The function raises a `UsageError` where `first` is none of `FIRST`.
    """

    def make(
        *,
        opponent: str | None,
        eval_opponent: str | None,
        opponent_simulations: PositiveInt,
        first: str,
        render_mode: str | None = None,
        num_envs: FromRun[int],
        vectorization: FromRun[str],
        filmed: FromRun[bool],
        evaluation: FromRun[bool],
        **options: Any,
    ) -> Made:
        if first not in FIRST:
            raise UsageError(f"env.first is {first!r}; it must be one of {', '.join(FIRST)}")
        model = make_model(**options)
        name = eval_opponent if evaluation else opponent
        other = None if name is None else named_player(name, model, opponent_simulations)
        if vectorization == "native" and not filmed:
            return GameVector(model, num_envs, other, first)
        return GameEnv(model, other, first, render_mode)

    return with_options_of(make_model, make)
