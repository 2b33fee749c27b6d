"""Go-Explore without a policy: return to a place, then explore (Ecoffet et al., 2021, phase 1)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from rlkit.algorithms.model_based.archive import CellArchive, ReachedPlace
from rlkit.algorithms.model_based.cells import CellNames
from rlkit.config.values import check_fields
from rlkit.core.array_spaces import as_arrays
from rlkit.core.random_actions import random_action
from rlkit.core.ranges import PositiveInt, Probability
from rlkit.core.schedules import multiples
from rlkit.core.types import Array, FromRun, Memory, Metrics, State, TimeStep, Transition, Tree, UsageError
from rlkit.vector import snapshot


@dataclass(frozen=True, kw_only=True)
class GoExploreSettings:
    """The settings of `GoExplore`; values are in conf/agent/go_explore.yaml.

    Attributes:
        horizon: simulated steps of an exploration.
        hold: probability with which it repeats its last action.
        every: decisions between explorations.

    Raises:
        UsageError: a number out of its range.
    """

    horizon: PositiveInt
    hold: Probability
    every: PositiveInt

    def __post_init__(self) -> None:
        check_fields(self, "agent")


class GoExplore:
    """Keeps the states of a simulator in which new places were found, and explores from them by random actions.

    It plays the best way that it has found, action by action, and random actions after its end: in a world without
    chance that earns what was found.

    Attributes:
        archive: the places.
        best: the best ways found, each with more reward than the one before: score and actions.
    """

    def __init__(
        self,
        *,
        cells: CellNames,
        settings: GoExploreSettings,
        simulator: FromRun[Callable[[], gymnasium.Env[Any, Any]]],
        action_space: FromRun[spaces.Space[Any]],
        rng: FromRun[np.random.Generator],
    ):
        """Put the parts together.

        Args:
            cells: names places.
            settings: all numbers.
            simulator: makes an environment of its own, whose state can be read and written.
            action_space: of one environment.
            rng: draws places and actions.

        Raises:
            UsageError: the state of the environment cannot be read.
        """
        self.settings, self._cells, self._actions, self._rng = settings, cells, action_space, rng
        self._env = as_arrays(simulator())
        if (why := snapshot.why_opaque(self._env)) is not None:
            raise UsageError(f"agent=go_explore returns to states of the environment, and they cannot be read: {why}")
        self.archive = CellArchive()
        self.best: list[tuple[float, Array]] = []
        self._steps = self._due = self._simulated = 0

    def initial_memory(self, n: int) -> Memory:
        """Return how far each of `n` environments is on which of the ways, at the start of its episode."""
        return {"step": np.zeros(n, np.int64), "way": np.zeros(n, np.int64)}

    def act(
        self, timestep: TimeStep, memory: Memory, *, explore: bool, rng: np.random.Generator
    ) -> tuple[Tree, Memory]:
        """Return the next action of the best way known when the episode began; random ones beyond its end."""
        way = np.where(memory["step"] == 0, len(self.best) - 1, memory["way"])
        masks = [None] * len(way) if timestep.legal_actions is None else list(timestep.legal_actions)
        rows = zip(way, memory["step"], masks, strict=True)
        actions = [self._action(int(number), int(step), mask, rng) for number, step, mask in rows]
        return np.stack(actions), {"step": memory["step"] + 1, "way": way}

    def _action(self, way: int, step: int, mask: Array | None, rng: np.random.Generator) -> Any:
        actions = self.best[way][1] if way >= 0 else ()
        # Where chance led elsewhere the way may not be open.
        if step < len(actions) and _legal(mask, actions[step]):
            return np.asarray(actions[step])
        return np.asarray(random_action(self._actions, rng, mask))

    def observe(self, transition: Transition) -> None:
        """Count the decisions."""
        before, self._steps = self._steps, self._steps + int(np.count_nonzero(transition.valid))
        self._due += multiples(before, self._steps, self.settings.every)

    def update(self) -> Metrics | None:
        """Explore as often as is due."""
        due, self._due = self._due, 0
        if due == 0:
            return None
        if not self.archive.places:
            self._begin()
        for _ in range(due):
            self._explore(self.archive.choose(self._rng))
        score, actions = self.best[-1] if self.best else (0.0, ())
        found = {"cells": len(self.archive.places), "best/score": score, "best/length": len(actions)}
        return {name: float(value) for name, value in {**found, "simulated_steps": self._simulated}.items()}

    def _begin(self) -> None:
        observation, _ = self._env.reset(seed=0)
        self.archive.put(self._cells(observation), ReachedPlace(self._captured(), 0.0, []))

    def _captured(self) -> State:
        state = snapshot.capture(self._env)
        assert state is not None, "the environment's state could be read before"
        return state

    def _explore(self, place: ReachedPlace) -> None:
        """Go back to a place, take random actions, and keep what is new or better."""
        snapshot.restore(self._env, place.state)
        score, actions = place.score, list(place.actions)
        action = mask = None
        for _ in range(self.settings.horizon):
            if action is None or self._rng.random() >= self.settings.hold or not _legal(mask, action):
                action = random_action(self._actions, self._rng, mask)
            observation, reward, terminated, truncated, info = self._env.step(action)
            score, mask = score + float(reward), info.get("action_mask")
            actions.append(action)
            self._simulated += 1
            if score > (self.best[-1][0] if self.best else 0.0):
                self.best.append((score, np.array(actions)))
            if terminated or truncated:
                return
            cell = self._cells(observation)
            if self.archive.better(cell, score, len(actions)):
                self.archive.put(cell, ReachedPlace(self._captured(), score, list(actions)))

    def state_dict(self) -> State:
        """Return the archive, the best ways, counters and the generator."""
        return {
            "archive": self.archive.state_dict(),
            "best": {str(i): {"score": score, "actions": actions} for i, (score, actions) in enumerate(self.best)},
            "counters": {"steps": self._steps, "due": self._due, "simulated": self._simulated},
            "rng": self._rng.bit_generator.state,
        }

    def load_state_dict(self, state: State) -> None:
        """Restore a state from `state_dict`."""
        self.archive.load_state_dict(state["archive"])
        ways = (state["best"][str(i)] for i in range(len(state["best"])))
        self.best = [(float(way["score"]), way["actions"]) for way in ways]
        self._steps, self._due, self._simulated = (state["counters"][name] for name in ("steps", "due", "simulated"))
        self._rng.bit_generator.state = state["rng"]


def _legal(mask: Array | None, action: Any) -> bool:
    return mask is None or bool(mask[action])
