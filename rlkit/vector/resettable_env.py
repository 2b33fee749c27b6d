"""One environment as rlkit steps it, in this process or in a worker process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from rlkit.core import tree
from rlkit.core.array_spaces import as_arrays
from rlkit.core.spaces import empty
from rlkit.core.types import EnvironmentFaultError, State, Tree
from rlkit.vector import snapshot
from rlkit.vector.first_steps import FirstSteps, leave_after_first_steps, watch_form
from rlkit.vector.frame_stack import frame_stack
from rlkit.vector.logged_infos import LoggedInfos
from rlkit.vector.manners import close_quietly, in_one_line, unchanged
from rlkit.vector.raw_rewards import as_number, with_raw_rewards
from rlkit.vector.results import of_reset, of_step, putter

MakeEnv = Callable[[], gymnasium.Env[Any, Any]]


class ResettableEnv(gymnasium.Wrapper[Any, Any, Any, Any]):
    """The outermost wrapper of one environment: array spaces, states as plain data, and rebuilding."""

    def __init__(self, make: MakeEnv, info_keys: Sequence[str] = ()):
        self._make = make
        self._logged = LoggedInfos(info_keys)
        super().__init__(_made(make))
        leave_after_first_steps(self)
        self.metadata = self.env.metadata or {}
        self._keep_spaces()
        space = self.env.action_space
        self._action_is_number = isinstance(space, spaces.Box) and space.shape == ()
        self._put = putter(self.env.observation_space)
        self._room = empty(self.env.observation_space, 1)

    def reset(self, **keys: Any) -> Any:
        """Reset, and keep of the info what rlkit reads of a reset: the mask of legal actions."""
        observation, info = self.begin(**keys)
        return self._held(observation), _mask(info)

    def begin(self, **keys: Any) -> tuple[Any, dict[str, Any]]:
        """Reset, and return the result as it is.

        Raises:
            EnvironmentFaultError: it is not what ``reset`` must return, or the spaces are others than before.
        """
        result = of_reset(self.env.reset(**keys))
        now = self._attributes
        if now.get("observation_space") is not self._observed or now.get("action_space") is not self._acted:
            self._require_same_spaces()
        return result

    def _require_same_spaces(self) -> None:
        for name, before in self._spaces.items():
            now = getattr(self.env.unwrapped, name)
            if now != before:
                raise EnvironmentFaultError(
                    f"{name} was {before} and is {now} after a reset; it must stay the same: make it as large as is "
                    "needed at any time"
                )
        self._keep_spaces()

    def _keep_spaces(self) -> None:
        """Keep the spaces of the innermost environment, and what it has set itself: only that can change."""
        core = self.env.unwrapped
        self._spaces = {name: getattr(core, name) for name in ("observation_space", "action_space")}
        self._attributes = vars(core)
        self._observed = self._attributes.get("observation_space")
        self._acted = self._attributes.get("action_space")

    def step(self, action: Any) -> Any:
        """Step, and return the keys that rlkit reads in infos, always with the same types, and no others.

        Gymnasium's vector environments write infos into arrays of the first environment's type and shape, and send
        them to another process: of those that an environment has for others, many could do neither.
        """
        if self._action_is_number:
            action = np.asarray(action)  # Gymnasium's workers take it out of its array.
        observation, reward, terminated, truncated, info = of_step(self.env.step(action))
        facts = {
            "rlkit/raw_reward": float(info["rlkit/raw_reward"]) if "rlkit/raw_reward" in info else as_number(reward),
            "rlkit/game_over": bool(info.get("rlkit/game_over", terminated or truncated)),
            "rlkit/discount": float(info.get("rlkit/discount", 1.0)),
        }
        return (
            self._held(observation),
            reward,
            terminated,
            truncated,
            {**_mask(info), **facts, **self._logged.sent(info)},
        )

    def _held(self, observation: Any) -> Any:
        """Return a copy of an observation as arrays of its space; Gymnasium takes any, and resets may change it."""
        self._put(self._room, 0, observation)
        return tree.map(lambda leaf: np.array(leaf[0]), self._room)

    @property
    def frame_stack(self) -> Tree:
        """The number of frames that an observation stacks along axis 0, or a tree of those of its parts."""
        return frame_stack(self.env)

    def capture(self) -> State | None:
        """Return the state of all wrapped layers, or None if one is opaque."""
        return snapshot.capture(self.env)

    def why_opaque(self) -> str | None:
        """Return in one line which layer cannot be read, and what it lacks; None if all can be."""
        return snapshot.why_opaque(self.env)

    def restore(self, state: State) -> None:
        """Restore a state from `capture`."""
        snapshot.restore(self.env, state)

    def close(self) -> None:
        """Close the environment; an error is a warning. Gymnasium closes one in this process to read its spaces."""
        close_quietly(self.env)

    def restart(self) -> None:
        """Build the environment again, so that nothing of the old one can affect what follows."""
        close_quietly(self.env)
        self.env = _made(self._make)
        self._keep_spaces()
        leave_after_first_steps(self)


def _mask(info: dict[str, Any]) -> dict[str, Any]:
    return {"action_mask": info["action_mask"]} if "action_mask" in info else {}


def _made(make: MakeEnv) -> gymnasium.Env[Any, Any]:
    with in_one_line("the environment"), unchanged():
        env = make()
    return as_arrays(FirstSteps(watch_form(with_raw_rewards(env)), values=True))
