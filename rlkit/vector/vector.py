"""Any Gymnasium `Env` or `VectorEnv` as a stream of `TimeStep`s.

The valid transitions are the same whatever the autoreset mode (next-step, same-step, disabled) and
whether environments are stepped in this process, in subprocesses or natively.
"""

from __future__ import annotations

import copy
import operator
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv

from rlkit.core import tree
from rlkit.core.spaces import COMPOSED_SPACES, rooms
from rlkit.core.types import Array, RunError, State, StepInfo, TimeStep, Tree, UsageError
from rlkit.vector import snapshot
from rlkit.vector.action_masks import Masks
from rlkit.vector.contract import unusable_reward, vector_space_fault
from rlkit.vector.first_steps import FirstVectorSteps
from rlkit.vector.logged_infos import LoggedInfos
from rlkit.vector.manners import close_quietly
from rlkit.vector.raw_rewards import tapped_vector
from rlkit.vector.resettable_env import MakeEnv, ResettableEnv
from rlkit.vector.results import Numbers, of_step, putter

# A reward beyond float32 becomes infinite here, and the loop says so in a line of its own.
warnings.filterwarnings("ignore", "overflow encountered in cast", RuntimeWarning, r"rlkit\.vector\.vector$")

States = Callable[[Any], Array]
"""Returns the states of simulators; see `rlkit.core.types.TimeStep`."""


def first_timestep(observation: Tree, legal_actions: Array | None, state: States | None = None) -> TimeStep:
    """Return the time step [N] of a reset, in which no row is valid."""
    n = tree.length(observation)
    no = np.zeros(n, bool)
    return TimeStep(
        observation=observation,
        reward=np.zeros(n, np.float32),
        discount=np.ones(n, np.float32),
        last=no,
        next_observation=observation,
        valid=no,
        legal_actions=legal_actions,
        next_legal_actions=legal_actions,
        state=state,
        info=StepInfo(raw_reward=np.zeros(n), game_over=no, truncated_by_checkpoint=no),
    )


class Usual(NamedTuple):
    """Arrays [N] that cannot be written to, shared by all time steps in which nothing ends."""

    no: Array  # bool
    yes: Array  # bool
    ones: Array  # float32


def usual(n: int) -> Usual:
    """Return the shared arrays of `n` environments."""
    arrays = Usual(np.zeros(n, bool), np.ones(n, bool), np.ones(n, np.float32))
    for array in arrays:
        array.flags.writeable = False
    return arrays


class SerialEnvironment:
    """N environments stepped one after the other in this process, and reset in the step that ends an episode.

    Attributes:
        envs: the single environments.
    """

    def __init__(self, makes: Sequence[MakeEnv], *, action_mask: bool = False, info_keys: Sequence[str] = ()):
        """Build one environment of each function in `makes`.

        Args:
            makes: one function for each environment.
            info_keys: of the infos of steps, whose numbers are logged.
            action_mask: read `legal_actions` from ``info["action_mask"]`` [A]; always done if the environment's
                metadata have ``"action_mask": True``, as it accepts no illegal actions.

        Raises:
            UsageError: masks of actions that are not discrete choices. Resets and steps raise it if the info has no
                mask, or one of another length.
        """
        self.envs = [ResettableEnv(make) for make in makes]
        self.can_resign = bool(self.envs[0].metadata.get("can_resign"))
        self.num_envs = len(self.envs)
        self.observation_space = self.envs[0].observation_space
        self.action_space = self.envs[0].action_space
        self._masks = Masks(self.action_space, self.envs[0].metadata, action_mask=action_mask)
        self.frame_stack = self.envs[0].frame_stack
        self._logged = LoggedInfos(info_keys)
        self._sent: Tree | None = None
        self._room, self._put = rooms(self.observation_space, self.num_envs), putter(self.observation_space)
        self._actions_of = single_actions(self.action_space)
        self._usual = usual(self.num_envs)

    def reset(self, seeds: list[int]) -> TimeStep:
        """Start a new episode in every environment."""
        self._sent = None
        observation = self._room()
        infos = []
        for i, (env, seed) in enumerate(zip(self.envs, seeds, strict=True)):
            shown, info = env.reset(seed=seed)
            self._put(observation, i, shown)
            infos.append(info)
        return first_timestep(observation, self._masks.of_each(infos), self.states)

    def restart(self, seeds: list[int]) -> TimeStep:
        """Build every environment again and start an episode in it."""
        for env in self.envs:
            env.restart()
        return self.reset(seeds)

    def send(self, action: Tree) -> None:
        """Keep `action` for `recv`."""
        self._sent = action

    def recv(self) -> TimeStep:
        """Step by the action that was sent."""
        action, self._sent = self._sent, None
        assert action is not None, "recv without send"
        return self.step(action)

    def step(self, action: Tree) -> TimeStep:
        """Step every environment; those that end are reset at once."""
        put = self._put
        observation = reached = self._room()
        rewards: list[Any] = []
        terminations: list[bool] = []
        lasts: list[bool] = []
        infos: list[dict[str, Any]] = []
        fresh = infos
        for i, single in enumerate(self._actions_of(action)):
            env = self.envs[i]
            shown, reward, terminated, truncated, info = of_step(env.env.step(single))
            put(reached, i, shown)
            rewards.append(reward)
            terminations.append(terminated)
            lasts.append(terminated or truncated)
            infos.append(info)
            if lasts[i] and observation is reached:
                observation, fresh = tree.copy(reached), infos[:-1]
            if observation is not reached:
                shown, info = env.begin() if lasts[i] else (shown, info)
                put(observation, i, shown)
                fresh.append(info)
        return self._timestep(observation, reached, rewards, terminations, lasts, infos, fresh)

    def _timestep(
        self,
        observation: Tree,
        reached: Tree,
        rewards: list[Any],
        terminations: list[bool],
        lasts: list[bool],
        infos: list[dict[str, Any]],
        fresh: list[dict[str, Any]],
    ) -> TimeStep:
        no, yes, discount = self._usual
        raw = _numbers(rewards)
        if observation is reached:
            last = no
        else:
            last, discount = np.array(lasts), 1 - np.array(terminations, np.float32)
        facts = StepInfo(raw, last, no, self._logged.of_each(infos, lasts) if self._logged.keys else None)
        if any(infos) and not all(map(FACTS.isdisjoint, infos)):
            discount, facts = _facts(infos, discount, facts)
        legal = fresh_legal = self._masks.of_each(infos) if self._masks.wanted else None
        if fresh is not infos:
            fresh_legal = self._masks.of_each(fresh)
        return TimeStep(
            observation, raw.astype(np.float32), discount, last, reached, yes, fresh_legal, legal, self.states, facts
        )

    def states(self, model: Any) -> Array:
        """Return the state of each environment as `model` reads it: [N, ...]."""
        return np.stack([model.read(env.env) for env in self.envs])

    def why_opaque(self) -> str | None:
        """Return in one line why the state cannot be read; None if it can be."""
        return next((why for env in self.envs if (why := env.why_opaque()) is not None), None)

    def get_state(self) -> State | None:
        """Return the state of every environment, or None if one is opaque."""
        states = [env.capture() for env in self.envs]
        return None if any(state is None for state in states) else {"envs": states}

    def set_state(self, state: State) -> None:
        """Restore a state from `get_state`."""
        for env, saved in zip(self.envs, state["envs"], strict=True):
            env.restore(saved)

    def render(self, index: int = 0) -> Array:
        """Return a frame [H, W, 3] uint8 of one environment."""
        return np.asarray(self.envs[index].render())

    def close(self) -> None:
        """Close every environment."""
        for env in self.envs:
            env.close()


class VectorEnvironment:
    """A Gymnasium `VectorEnv` in any autoreset mode: native, synchronous, asynchronous or a user's own.

    A vector environment can speed it up by what it offers: ``send(actions)`` and ``recv()``, between which it steps in
    parallel; ``fresh_arrays = True``, if it never writes to an array that it has returned; ``fresh_when_seeded =
    True``, if nothing of its past is left after a reset with seeds; ``copies_actions = True``, if it does not write to
    the actions that it is given; ``frame_stack``, the number of frames along axis 0
    of an observation.
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


def timestep(
    observation: Tree,
    reward: Array,
    discount: Array | Sequence[float],
    last: Array,
    next_observation: Tree,
    *,
    raw_reward: Any,
    game_over: Any,
    legal_actions: Array | None,
    next_legal_actions: Array | None,
    valid: Array | None = None,
    state: States | None = None,
    logged: Array | None = None,
) -> TimeStep:
    """Return the time step [N] after a step; without `valid`, all rows are."""
    n = len(reward)
    return TimeStep(
        observation=observation,
        reward=reward.astype(np.float32),
        discount=np.asarray(discount, np.float32),
        last=last,
        next_observation=next_observation,
        valid=np.ones(n, bool) if valid is None else valid,
        legal_actions=legal_actions,
        next_legal_actions=next_legal_actions,
        state=state,
        info=StepInfo(np.array(raw_reward, np.float64), np.array(game_over, bool), np.zeros(n, bool), logged),
    )


FACTS = frozenset({"rlkit/raw_reward", "rlkit/game_over", "rlkit/discount"})
"""What an info may say of a step."""


def _facts(infos: Sequence[dict[str, Any]], discount: Array, usual: StepInfo) -> tuple[Array, StepInfo]:
    """Return the discounts [N] float32 and facts of a step by the infos of N environments.

    Args:
        infos: what they do not say is as in the other arguments.
        discount: [N] float32, 0 where an episode terminated.
        usual: facts of the step.
    """
    own, raw, over = np.array(discount), np.array(usual.raw_reward), np.array(usual.game_over)
    for i, info in enumerate(infos):
        if own[i]:
            own[i] = info.get("rlkit/discount", 1.0)
        raw[i] = info.get("rlkit/raw_reward", raw[i])
        over[i] = info.get("rlkit/game_over", over[i])
    return own, usual._replace(raw_reward=raw, game_over=over)


FLOAT64 = np.dtype(np.float64)


def _numbers(rewards: list[Any]) -> Array:
    """Return the rewards [N] of N environments as float64.

    Raises:
        UsageError: one is no number.
    """
    try:
        numbers = np.array(rewards)
    except (ValueError, OverflowError):
        numbers = np.array(None)
    if numbers.dtype is FLOAT64 and numbers.ndim == 1:
        return numbers
    if numbers.ndim != 1 or numbers.dtype.kind not in "fiub":
        fault = next((fault for reward in rewards if (fault := unusable_reward(reward, "the environment"))), None)
        raise UsageError(fault or f"the environments returned the rewards {rewards!r}; they must be finite floats")
    return numbers.astype(np.float64)


def single_actions(space: Any) -> Callable[[Tree], Any]:
    """Return a function from the actions of N environments to a sequence of single actions.

    They are copies, because an environment may write to its action.
    """
    if isinstance(space, COMPOSED_SPACES):
        return _single_trees
    if isinstance(space, spaces.Box) and space.shape == ():
        return lambda action: [np.array(number) for number in action]  # arrays, as the space has it
    return operator.methodcaller("tolist") if isinstance(space, spaces.Discrete) else np.array


def _single_trees(action: Tree) -> list[Tree]:
    copied = tree.copy(action)
    return [tree.take(copied, i) for i in range(tree.length(copied))]


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
