"""A small learner that keeps the contract, and ones that break one rule each."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
from gymnasium import spaces

from rlkit.algorithms.exploration import epsilon_greedy
from rlkit.core.seeding import Seeds
from rlkit.core.types import Array, Environment, FromRun, Memory, Metrics, State, TimeStep, Transition


class Linear:
    """Linear action values, learned with momentum from the newest transition and one older one."""

    def __init__(self, env: Environment, seeds: Seeds):
        features = int(np.prod(env.observation_space.shape))
        self.rng = seeds.generator("agent")
        self.weights = np.zeros((int(env.action_space.n), features))
        self.momentum = np.zeros_like(self.weights)
        self.kept: list[tuple[Array, int, float]] = []
        self.steps = self.due = 0

    def initial_memory(self, n: int) -> Memory:
        return {"previous": np.zeros(n, np.int64)}

    def act(
        self, timestep: TimeStep, memory: Memory, *, explore: bool, rng: np.random.Generator
    ) -> tuple[Array, Memory]:
        q = self.features(timestep.observation) @ self.weights.T
        action = epsilon_greedy(q, 0.5 if explore else 0.0, rng, timestep.legal_actions)
        return action, {"previous": action}

    def features(self, observation: Array) -> Array:
        return np.clip(observation.reshape(len(observation), -1), -5, 5)

    def observe(self, transition: Transition) -> None:
        for i in np.flatnonzero(transition.valid):
            row = self.features(transition.observation)[i], int(transition.action[i]), float(transition.reward[i])
            self.kept = [*self.kept[-20:], row]
            self.steps += 1
            self.due += 1

    def update(self) -> Metrics | None:
        due, self.due = self.due, 0
        errors = [self.learn(self.kept[int(self.rng.integers(len(self.kept)))]) for _ in range(due)]
        return {"loss/td": sum(map(abs, errors)) / due} if due else None

    def learn(self, row: tuple[Array, int, float]) -> float:
        features, action, reward = row
        error = reward - float(self.weights[action] @ features)
        self.momentum *= 0.9
        self.momentum[action] += 0.01 * error * features
        self.weights += self.momentum / (1 + 0.01 * self.steps)
        return error

    def state_dict(self) -> State:
        return {
            "weights": self.weights.copy(),
            "momentum": self.momentum.copy(),
            "kept": list(self.kept),
            "steps": self.steps,
            "rng": self.rng.bit_generator.state,
        }

    def load_state_dict(self, state: State) -> None:
        self.weights, self.momentum = np.array(state["weights"]), np.array(state["momentum"])
        self.kept, self.steps = list(state["kept"]), state["steps"]
        self.rng.bit_generator.state = state["rng"]


class CountsWhenActing(Linear):
    """Counts its steps in `act`, so that evaluations count, too."""

    def act(self, timestep: TimeStep, memory: Memory, *, explore: bool, rng: np.random.Generator) -> Any:
        self.steps += 1
        return super().act(timestep, memory, explore=explore, rng=rng)


class DrawsFromNumpy(Linear):
    """Explores with NumPy's generator for the whole process."""

    def act(self, timestep: TimeStep, memory: Memory, *, explore: bool, rng: np.random.Generator) -> Any:
        action, memory = super().act(timestep, memory, explore=explore, rng=rng)
        if explore and timestep.legal_actions is None and np.random.random() < 0.1:  # noqa: NPY002
            action = np.zeros_like(action)
        return action, {"previous": action}


class ForgetsItsOptimiser(Linear):
    """Leaves the momentum out of its state."""

    def state_dict(self) -> State:
        return {key: value for key, value in super().state_dict().items() if key != "momentum"}

    def load_state_dict(self, state: State) -> None:
        super().load_state_dict({**state, "momentum": np.zeros_like(self.weights)})


class ForgetsItsCounter(Linear):
    """Starts to count its steps anew when it is loaded."""

    def load_state_dict(self, state: State) -> None:
        super().load_state_dict({**state, "steps": 0})


class ForgetsParts(Linear):
    """Learns from the first part of trees, too, and then leaves the momentum out of its state."""

    def __init__(self, env: Environment, seeds: Seeds):
        self.composed = isinstance(env.observation_space, spaces.Dict)
        own: Any = env.observation_space["own"] if self.composed else env.observation_space
        super().__init__(SimpleNamespace(observation_space=own, action_space=env.action_space), seeds)  # type: ignore[arg-type]

    def features(self, observation: Any) -> Array:
        return super().features(observation["own"] if self.composed else observation)

    def load_state_dict(self, state: State) -> None:
        super().load_state_dict({**state, "momentum": state["momentum"] * (not self.composed)})


class IgnoresTheRules(Linear):
    """Takes no notice of which actions are legal."""

    def act(self, timestep: TimeStep, memory: Memory, *, explore: bool, rng: np.random.Generator) -> Any:
        return super().act(timestep._replace(legal_actions=None), memory, explore=explore, rng=rng)


class ActsInFloats(Linear):
    """Gives its actions as floats."""

    def act(self, timestep: TimeStep, memory: Memory, *, explore: bool, rng: np.random.Generator) -> Any:
        action, memory = super().act(timestep, memory, explore=explore, rng=rng)
        return action.astype(np.float32), memory


class LearnsFromEveryRow(Linear):
    """Takes invalid rows for steps."""

    def observe(self, transition: Transition) -> None:
        super().observe(transition._replace(valid=np.ones(len(transition.valid), bool)))


class ScalesInPlace(Linear):
    """Writes to the observation it is shown."""

    def features(self, observation: Array) -> Array:
        return np.clip(observation, -5, 5, out=observation).reshape(len(observation), -1)

    def observe(self, transition: Transition) -> None:
        transition.reward[:] *= 0.1
        super().observe(transition)


class Diverges(Linear):
    """Reports a loss that is no number."""

    def update(self) -> Metrics | None:
        return super().update() and {"loss/td": float("nan")}


class ActsForOne(Linear):
    """Gives one action, however many environments there are."""

    def act(self, timestep: TimeStep, memory: Memory, *, explore: bool, rng: np.random.Generator) -> Any:
        action, memory = super().act(timestep, memory, explore=explore, rng=rng)
        return action[:1], memory


class KeepsAFunction(Linear):
    """Has a state that no checkpoint can hold."""

    def state_dict(self) -> State:
        return {**super().state_dict(), "schedule": len}


class SeedsItself(Linear):
    """Starts from weights that no seed determines."""

    def __init__(self, env: Environment, seeds: Seeds):
        super().__init__(env, seeds)
        self.weights += np.random.default_rng().normal(size=self.weights.shape)


def build_careless(observation_space: FromRun[object], action_space: FromRun[object]) -> IgnoresTheRules:
    """Build `IgnoresTheRules` as a YAML file would."""
    spaces: Any = SimpleNamespace(observation_space=observation_space, action_space=action_space)
    return IgnoresTheRules(spaces, Seeds(0))
