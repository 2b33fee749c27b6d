"""A walk that keeps the contract, and walks that break one rule each."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv


class Walk(gymnasium.Env[Any, Any]):
    """A drunkard's walk: the position, and how long it took; falls off at 5, goes home after `limit` steps."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}  # noqa: RUF012 - as Gymnasium declares it
    limit = 17

    def __init__(self, render_mode: str | None = None):
        self.observation_space = spaces.Box(-6, 6, (2,), np.float32)
        self.action_space = spaces.Box(-1, 1, (1,), np.float32)
        self.render_mode = render_mode
        self.position = 0.0
        self.steps = 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.position, self.steps = float(self.np_random.uniform(-1, 1)), 0
        return self.observe(), {}

    def step(self, action: Any) -> Any:
        self.position += float(action[0]) + float(self.np_random.normal(0, 0.3))
        self.steps += 1
        return self.observe(), self.position, abs(self.position) > 5, self.steps >= self.limit, {}

    def observe(self) -> Any:
        return np.clip([self.position, self.steps / self.limit], -6, 6).astype(np.float32)

    def render(self) -> Any:
        return np.full((4, 6, 3), 10 * self.steps, np.uint8)

    def get_state(self) -> Any:
        return {"position": self.position, "steps": self.steps}

    def set_state(self, state: Any) -> None:
        self.position, self.steps = state["position"], state["steps"]


class IgnoresItsSeed(Walk):
    """Draws from a generator of its own that nobody seeds."""

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.position = float(np.random.default_rng().uniform(-1, 1))
        return self.observe(), {}


class LeavesItsSpace(Walk):
    """Shows the number of steps, which its space ends at 6."""

    def observe(self) -> Any:
        return np.array([np.clip(self.position, -6, 6), self.steps], np.float32)


class WrongDtype(Walk):
    """Shows float64 where its space says float32."""

    def observe(self) -> Any:
        return super().observe().astype(np.float64)


class ReusesItsArray(Walk):
    """Writes each observation into the same array."""

    def __init__(self, render_mode: str | None = None):
        super().__init__(render_mode)
        self.array = np.zeros(2, np.float32)

    def observe(self) -> Any:
        self.array[:] = super().observe()
        return self.array


class TruncatesInWords(Walk):
    """Says "yes" where it is truncated."""

    def step(self, action: Any) -> Any:
        observation, reward, terminated, truncated, info = super().step(action)
        return observation, reward, terminated, "yes" if truncated else "", info


class TruncatesInArrays(Walk):
    """Says whether it is truncated in an array without axes."""

    def step(self, action: Any) -> Any:
        observation, reward, terminated, truncated, info = super().step(action)
        return observation, reward, terminated, np.array(truncated), info


class RemembersTheLastEpisode(Walk):
    """The wind of one episode still blows in the next, however that is seeded."""

    wind = 0.0

    def step(self, action: Any) -> Any:
        self.wind += 0.01
        self.position += self.wind
        return super().step(action)

    def get_state(self) -> Any:
        return {**super().get_state(), "wind": self.wind}

    def set_state(self, state: Any) -> None:
        super().set_state(state)
        self.wind = state["wind"]


class NeverStartsAnew(Walk):
    """Forgets to count from zero again, so that every later episode is over at once."""

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        steps = self.steps
        super().reset(seed=seed)
        self.steps = 0 if seed is not None else steps
        return self.observe(), {}


class ForgetsTheClock(Walk):
    """Leaves the number of steps out of its state."""

    def get_state(self) -> Any:
        return {"position": self.position}

    def set_state(self, state: Any) -> None:
        self.position = state["position"]


class KeepsASet(Walk):
    """Has a state that no checkpoint can hold."""

    def get_state(self) -> Any:
        return {**super().get_state(), "visited": {1, 2}}


class PaysInNan(Walk):
    """Gives no number as a reward where the pole is."""

    def step(self, action: Any) -> Any:
        observation, reward, *rest = super().step(action)
        return observation, np.nan if self.steps == 7 else reward, *rest


class ClipsInPlace(Walk):
    """Writes to the action it is given."""

    def step(self, action: Any) -> Any:
        np.clip(action, -0.1, 0.1, out=action)
        return super().step(action)


class SeedsEverybody(Walk):
    """Seeds NumPy's generator for the whole process."""

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        if seed is not None:
            np.random.seed(seed)  # noqa: NPY002
        return super().reset(seed=seed)


class DrawsInGrey(Walk):
    """Gives pictures without colours."""

    def render(self) -> Any:
        return super().render()[..., 0]


class MovesWhenLookedAt(Walk):
    """Goes on when it is drawn."""

    def render(self) -> Any:
        self.position += 0.5
        return super().render()


class OldFashioned(Walk):
    """Steps as Gym did before version 0.26."""

    def step(self, action: Any) -> Any:
        observation, reward, terminated, truncated, info = super().step(action)
        return observation, reward, terminated or truncated, info


class SpeaksInGraphs(Walk):
    """Shows graphs, which are no arrays."""

    def __init__(self, render_mode: str | None = None):
        super().__init__(render_mode)
        self.observation_space = spaces.Graph(spaces.Discrete(2), None)  # type: ignore[assignment]


class HidesTheEnd(SyncVectorEnv):
    """A vector environment that claims to reset in the same step, but leaves out how the episode ended."""

    def __init__(self) -> None:
        super().__init__([Walk] * 2, autoreset_mode=AutoresetMode.SAME_STEP)

    def step(self, actions: Any) -> Any:
        *values, infos = super().step(actions)
        return *values, {key: value for key, value in infos.items() if "final" not in key}


class ClaimsNextStep(SyncVectorEnv):
    """A vector environment that resets in the same step, but claims the next."""

    def __init__(self) -> None:
        super().__init__([Walk] * 2, autoreset_mode=AutoresetMode.SAME_STEP)
        self.metadata = {**self.metadata, "autoreset_mode": AutoresetMode.NEXT_STEP}


class ResetsEverything(SyncVectorEnv):
    """A vector environment whose masked reset starts every episode anew."""

    def __init__(self) -> None:
        super().__init__([Walk] * 2, autoreset_mode=AutoresetMode.DISABLED)

    def reset(self, *, seed: Any = None, options: Any = None) -> Any:
        return super().reset(seed=seed)


class Guarded(Walk):
    """Sound: a walk in whole steps, of which some are forbidden; it raises where one is taken all the same."""

    def __init__(self, render_mode: str | None = None):
        super().__init__(render_mode)
        self.action_space = spaces.Discrete(3)  # type: ignore[assignment]

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        observation, _ = super().reset(seed=seed)
        return observation, {"action_mask": self.allowed()}

    def step(self, action: int) -> Any:
        if not self.allowed()[action]:
            raise ValueError(f"action {action} is forbidden")
        *values, _ = super().step([action - 1.0])
        return *values, {"action_mask": self.allowed()}

    def allowed(self) -> Any:
        return np.array([self.position > -2, True, self.position < 2])
