"""Environments that are finite MDPs: stepped by table look-up, one at a time or many at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.vector import VectorEnv
from PIL import Image

from rlkit.core.types import Array, FromRun, State, UsageError
from rlkit.envs.grids import pressed
from rlkit.envs.options import with_options_of
from rlkit.envs.tabular_vector import FiniteMDPVector
from rlkit.planning.mdp import FiniteMDP
from rlkit.runs.plots.grid_map import Layout


class TabularEnv(gymnasium.Env[int, int]):
    """A finite MDP as an environment; a subclass draws it.

    Where not every action is legal, ``info["action_mask"]`` says which are; the others may be taken all the same.

    Attributes:
        mdp: its model, for planners.
        state: the present state, an int.
        action: the last action of the episode, or None.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["ansi", "rgb_array"], "render_fps": 6}  # type: ignore[misc]
    keys: ClassVar[dict[str, int]] = {}
    """The action of each arrow key (``up``, ``right``, ``down``, ``left``) or letter, for people who play."""

    def __init__(
        self, mdp: FiniteMDP, *, max_steps: int | None, render_mode: str | None, deviation: Array | None = None
    ):
        """Make spaces for an MDP.

        Args:
            mdp: stepped in.
            max_steps: an episode that lasts so long is truncated; None: never.
            render_mode: None, ``ansi`` or ``rgb_array``.
            deviation: [S, A] standard deviation of normal noise on the rewards; None: no noise.

        Raises:
            UsageError: `max_steps` is less than 1, or there is no such render mode.
        """
        if max_steps is not None and max_steps < 1:
            raise UsageError(f"env.max_steps is {max_steps}; it must be at least 1, or null for episodes without limit")
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise UsageError(f"{type(self).__name__} draws render_mode=ansi or rgb_array, not {render_mode}")
        self.mdp, self.max_steps, self.deviation, self.render_mode = mdp, max_steps, deviation, render_mode
        self.observation_space = spaces.Discrete(mdp.num_states)  # type: ignore[assignment]
        self.action_space = spaces.Discrete(mdp.num_actions)  # type: ignore[assignment]
        self.state, self.action = 0, None
        self._steps = 0

    action: int | None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
        """Begin an episode; no options are known."""
        super().reset(seed=seed)
        self.state, self.action, self._steps = int(self.mdp.sample_start(1, self.np_random)[0]), None, 0
        return self.state, self._info()

    def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:
        """Draw the result of an action."""
        state, mdp, k = self.state, self.mdp, 0
        action = int(action)
        if mdp.probability.shape[2] > 1:
            row = mdp.cumulative[state * mdp.num_actions + action]
            k = int(row.searchsorted(self.np_random.random(), side="right"))
        reward = mdp.reward.item(state, action, k)
        if self.deviation is not None:
            reward += self.deviation.item(state, action) * self.np_random.standard_normal()
        self.state, self.action, self._steps = mdp.next_state.item(state, action, k), action, self._steps + 1
        terminated = mdp.terminated.item(state, action, k)
        return self.state, reward, terminated, not terminated and self._steps == self.max_steps, self._info()

    def _info(self) -> dict[str, Any]:
        return {} if self.mdp.legal is None else {"action_mask": self.mdp.legal[self.state].astype(np.int8)}

    @property
    def steps_by_table(self) -> bool:
        """Whether only the table says what happens: a subclass has no step and no state of its own."""
        own = ("reset", "step", "get_state", "set_state")
        return all(getattr(type(self), name) is getattr(TabularEnv, name) for name in own)

    def vector(self, num_envs: int) -> FiniteMDPVector:
        """Return `num_envs` of this environment, stepped at once."""
        return FiniteMDPVector(self.mdp, num_envs, max_steps=self.max_steps, deviation=self.deviation)

    def get_state(self) -> State:
        """Return the state of the episode; the generator is captured with the environment."""
        return {"state": self.state, "action": self.action, "steps": self._steps}

    def set_state(self, state: State) -> None:
        """Restore a state from `get_state`."""
        self.state, self.action, self._steps = state["state"], state["action"], state["steps"]

    def get_keys_to_action(self) -> dict[Any, int]:
        """Return what a person presses, in Gymnasium's convention."""
        return pressed(self.keys) or {(str(action),): action for action in range(min(10, self.mdp.num_actions))}

    def render(self) -> Any:
        """Return a text, or a frame [H, W, 3] uint8, as `render_mode` says."""
        if self.render_mode == "ansi":
            return self.text()
        return np.asarray(self.frame()) if self.render_mode == "rgb_array" else None

    def layout(self) -> Layout | None:
        """Return how the states lie on grids, for maps of values and policies; None where they do not."""
        return None

    def text(self) -> str:
        """Return the state as lines of text."""
        raise NotImplementedError

    def frame(self) -> Image.Image:
        """Return the state as an RGB frame, a PIL image."""
        raise NotImplementedError


def vectorizable(kind: type[TabularEnv]) -> Callable[..., gymnasium.Env[Any, Any] | VectorEnv[Any, Any, Any]]:
    """Return the function that a YAML names, with the options of `kind` and the number of environments.

    It makes a single environment, or a vector of them where `vectorization` is ``native`` and no frames are wanted.
    """

    def make(
        num_envs: FromRun[int], vectorization: FromRun[str], filmed: FromRun[bool], **options: Any
    ) -> gymnasium.Env[Any, Any] | VectorEnv[Any, Any, Any]:
        env = kind(**options)
        return env.vector(num_envs) if vectorization == "native" and not filmed else env

    return with_options_of(kind, make)
