"""N environments stepped one after the other in this process, as a stream of `TimeStep`s."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces

from rlkit.core import tree
from rlkit.core.spaces import COMPOSED_SPACES, rooms
from rlkit.core.types import Array, Goals, State, StepInfo, TimeStep, Tree, UsageError
from rlkit.vector.action_masks import Masks
from rlkit.vector.contract import unusable_reward
from rlkit.vector.goals import goals_of
from rlkit.vector.logged_infos import LoggedInfos
from rlkit.vector.resettable_env import MakeEnv, ResettableEnv
from rlkit.vector.results import of_step, putter
from rlkit.vector.time_steps import first_timestep


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
        players: 1, as each is a game of its own.
    """

    players = 1

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

    def goals(self) -> Goals:
        """Return the rules of its goals; errors as in `goals_of`."""
        return goals_of(self.envs[0])

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
