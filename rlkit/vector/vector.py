"""A Gymnasium `VectorEnv` as a stream of `TimeStep`s.

The valid transitions are the same whatever the autoreset mode (next-step, same-step, disabled) and
whether environments are stepped in this process, in subprocesses or natively.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv

from rlkit.core import tree
from rlkit.core.spaces import COMPOSED_SPACES
from rlkit.core.types import Array, Goals, RunError, State, TimeStep, Tree, UsageError
from rlkit.vector import snapshot
from rlkit.vector.action_masks import Masks
from rlkit.vector.contract import vector_space_fault
from rlkit.vector.first_steps import FirstVectorSteps
from rlkit.vector.goals import goals_of
from rlkit.vector.logged_infos import LoggedInfos
from rlkit.vector.manners import close_quietly
from rlkit.vector.raw_rewards import tapped_vector
from rlkit.vector.results import Numbers
from rlkit.vector.time_steps import first_timestep, timestep


class VectorEnvironment:
    """A Gymnasium `VectorEnv` in any autoreset mode: native, synchronous, asynchronous or a user's own.

    A vector environment can speed it up by what it offers: ``send(actions)`` and ``recv()``, between which it steps in
    parallel; ``fresh_arrays = True``, if it never writes to an array that it has returned; ``fresh_when_seeded =
    True``, if nothing of its past is left after a reset with seeds; ``copies_actions = True``, if it does not write to
    the actions that it is given; ``frame_stack``, the number of frames along axis 0 of an observation; ``players``, how
    many rows, one after the other, are the agents of one game.
    """

    def __init__(
        self,
        make: Callable[[], VectorEnv[Any, Any, Any]],
        *,
        action_mask: bool = False,
        info_keys: Sequence[str] = (),
    ):
        """Build the vector environment by `make`; the others and errors as in `SerialEnvironment`."""
        self._make = make
        self._logged = LoggedInfos(info_keys)
        self._vector: Any = make()
        self._tap = tapped_vector(self._vector)
        self.can_resign = bool(self._vector.metadata.get("can_resign"))
        self._takes_list = True
        self.num_envs = self._vector.num_envs
        self.players = int(getattr(self._vector, "players", 1))
        self.observation_space = self._vector.single_observation_space
        self.action_space: Any = self._vector.single_action_space
        self._masks = self._masks_of(action_mask)
        self.frame_stack = tree.map(int, getattr(self._vector, "frame_stack", 1))
        self._shares_actions = not getattr(self._vector, "copies_actions", False)
        self._overlaps = all(callable(getattr(self._vector, name, None)) for name in ("send", "recv"))
        self._own = _own(
            self.observation_space, np.asarray if getattr(self._vector, "fresh_arrays", False) else np.array
        )
        self._sent: Tree | None = None
        self._first = FirstVectorSteps(self.observation_space, self.num_envs)
        self._look_at = Numbers(self.observation_space, self.num_envs)
        self._mode = AutoresetMode(self._vector.metadata.get("autoreset_mode", AutoresetMode.NEXT_STEP))
        self._resetting = np.zeros(self.num_envs, bool)

    def _masks_of(self, action_mask: bool) -> Masks:
        """Return who reads masks, where the spaces are those that a vector environment may have.

        Raises:
            UsageError: they are not.
        """
        try:
            for name in ("single_observation_space", "single_action_space"):
                if (fault := vector_space_fault(name, getattr(self._vector, name))) is not None:
                    raise UsageError(fault)
            return Masks(self.action_space, self._vector.metadata, action_mask=action_mask)
        except UsageError:
            self._vector.close()  # It may have processes.
            raise

    def reset(self, seeds: list[int]) -> TimeStep:
        """Start a new episode in every environment; a vector environment with a single seed gets the first."""
        self._drain()
        self._first.reset(result := self._reset(seeds))
        observation, infos = result
        self._resetting = np.zeros(self.num_envs, bool)
        legal = self._masks.of_vector(infos, ~self._resetting)
        return first_timestep(self._own(observation), legal, self.states)

    def _reset(self, seeds: list[int]) -> tuple[Any, dict[str, Any]]:
        if self._takes_list:
            try:
                return self._vector.reset(seed=seeds)  # type: ignore[no-any-return]
            except (gymnasium.error.Error, TypeError):
                self._takes_list = False
        return self._vector.reset(seed=seeds[0])  # type: ignore[no-any-return]

    def restart(self, seeds: list[int]) -> TimeStep:
        """Build the vector environment again, unless it has ``fresh_when_seeded``, and start new episodes."""
        if not getattr(self._vector, "fresh_when_seeded", False):
            self.close()
            self._vector = self._make()
            self._tap = tapped_vector(self._vector)
        return self.reset(seeds)

    def step(self, action: Tree) -> TimeStep:
        """Step every environment."""
        self.send(action)
        return self.recv()

    def send(self, action: Tree) -> None:
        """Start a step, which runs in parallel if the vector environment supports it."""
        # A copy, because environments may write to their actions.
        self._sent = tree.copy(action) if self._shares_actions else action
        if self._overlaps:
            self._vector.send(self._sent)

    def recv(self) -> TimeStep:
        """Wait for the step and return it as a time step, whatever the autoreset mode."""
        observed, *facts, infos = self._received()
        # Those of JAX, for one, are other arrays.
        reward, terminated, truncated = (one if type(one) is np.ndarray else np.array(one) for one in facts)
        observation, valid, last = self._own(observed), ~self._resetting, terminated | truncated
        self._look_at(observed)
        reached, ended, ongoing = observation, infos, infos
        legal = self._masks.of_vector(infos, np.ones(self.num_envs, bool))
        if self._mode is AutoresetMode.NEXT_STEP:
            self._resetting = np.array(last)
        elif last.any():
            reached = tree.copy(observation)
            if self._mode is AutoresetMode.SAME_STEP:
                ended = infos.get("final_info", {})
                for i in np.flatnonzero(last):
                    tree.put(reached, i, infos["final_obs"][i])
            else:
                fresh, begun = self._vector.reset(options={"reset_mask": np.array(last)})
                observation, legal = self._own(fresh), self._masks.of_vector(begun, last, legal)
        return timestep(
            observation,
            np.asarray(reward, np.float64),
            np.where(terminated, 0.0, _merged(ended, ongoing, "rlkit/discount", np.ones(self.num_envs), last)),
            last,
            reached,
            valid=valid,
            raw_reward=self._raw_reward(reward, infos, last),
            game_over=_merged(ended, ongoing, "rlkit/game_over", last, last),
            legal_actions=legal,
            next_legal_actions=self._masks.of_vector(ended, last, legal),
            state=self.states,
            logged=self._logged.of_vector(ended, ongoing, last),
        )

    def _raw_reward(self, reward: Array, infos: dict[str, Any], last: Array) -> Array:
        """Return the innermost environment's rewards [N] of a step."""
        if self._tap is not None:
            reward, infos = self._tap.reward, self._tap.infos
        ended = infos.get("final_info", {}) if self._mode is AutoresetMode.SAME_STEP and last.any() else infos
        return _merged(ended, infos, "rlkit/raw_reward", np.asarray(reward, np.float64), last)

    def states(self, model: Any) -> Array:
        """Return the vector environment's ``states()``: [N, ...].

        Raises:
            UsageError: it has no such method.
        """
        offered = getattr(self._vector, "states", None)
        if offered is None:
            raise UsageError(
                f"a search needs to read the state of the environments, which {type(self._vector).__name__} does not "
                "offer; use vectorization=sync"
            )
        return np.asarray(offered())

    def _received(self) -> Any:
        action, self._sent = self._sent, None
        assert action is not None, "recv without send"
        result = self._vector.recv() if self._overlaps else self._vector.step(action)
        self._first.step(result)
        return result

    def _drain(self) -> None:
        """Finish a step whose result is not needed."""
        if self._sent is not None:
            self._received()

    def goals(self) -> Goals:
        """Return the rules of its goals, which it offers itself; errors as in `goals_of`."""
        return goals_of(self._vector)

    def why_opaque(self) -> str | None:
        """Return in one line why the state cannot be read; None if it can be."""
        if getattr(self._vector, "get_state", None) is not None:
            return None
        return f"{snapshot.class_name(type(self._vector))} offers no get_state() and set_state(state)"

    def get_state(self) -> State | None:
        """Return the state if the vector environment offers ``get_state()``, else None."""
        offered = getattr(self._vector, "get_state", None)
        return None if offered is None else copy.deepcopy({"vector": offered(), "resetting": self._resetting})

    def set_state(self, state: State) -> None:
        """Restore a state from `get_state`."""
        self._vector.set_state(copy.deepcopy(state["vector"]))
        self._resetting = np.array(state["resetting"])

    def render(self, index: int = 0) -> Array:
        """Return a frame [H, W, 3] uint8 of one environment.

        Raises:
            RunError: the vector environment draws none.
        """
        frames = self._vector.render()
        if frames is None or frames[index] is None:
            raise RunError("this vector environment draws no frames; use vectorization=sync to record videos")
        return np.asarray(frames[index])

    def close(self) -> None:
        """Close the vector environment."""
        self._sent = None
        close_quietly(self._vector)


def _own(space: Any, own: Callable[[Any], Array]) -> Callable[[Any], Tree]:
    """Return a function that copies the observations of a vector environment where needed."""
    return partial(tree.map, own) if isinstance(space, COMPOSED_SPACES) else own


def _merged(ended: dict[str, Any], infos: dict[str, Any], key: str, default: Array, last: Array) -> Array:
    """Return `key` [N] of the step itself: from `ended` for episodes that ended, else from `infos`."""
    if ended is infos and f"_{key}" not in infos:
        return np.asarray(infos.get(key, default))
    value = np.array(default)
    for source, rows in ((infos, ~last), (ended, last)):
        if key in source:
            known = rows & source.get(f"_{key}", np.ones(len(last), bool))
            value[known] = np.asarray(source[key])[known]
    return value
