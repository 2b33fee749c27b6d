"""Slot machines with k arms, with fixed or drifting means (Sutton & Barto, 2nd ed., chapter 2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from rlkit.core.ranges import NonNegativeFloat, NonNegativeInt, PositiveInt
from rlkit.core.types import Array, State, UsageError
from rlkit.envs.grids import AGENT, GOAL, LINE, MUTED, Board
from rlkit.envs.tabular import TabularEnv, vectorizable
from rlkit.envs.tabular_vector import FiniteMDPVector, Result
from rlkit.planning.mdp import FiniteMDP, require_room


class KArmedBandit(TabularEnv):
    """One state, and k actions whose rewards are normal. An action changes nothing to come, so agents use gamma 0.

    `mdp` has the means with which an episode begins; ``info["best"]`` is the best arm at the time of the pull.
    """

    def __init__(
        self,
        arms: PositiveInt,
        problem: NonNegativeInt,
        mean: float,
        spread: NonNegativeFloat,
        deviation: NonNegativeFloat,
        drift: NonNegativeFloat,
        max_steps: PositiveInt | None,
        render_mode: str | None = None,
    ):
        """Draw the arms.

        Args:
            arms: k.
            problem: seed of the arms; every episode begins with the same.
            mean: of their means.
            spread: standard deviation of their means; with 0 all begin equal.
            deviation: standard deviation of a reward.
            drift: standard deviation of the step of every mean after each pull; 0: they stay.
            max_steps: an episode that lasts so long is truncated; None: never.
            render_mode: None, ``ansi`` or ``rgb_array``.

        Raises:
            UsageError: there are no arms, or a standard deviation is below 0.
        """
        if arms < 1 or min(spread, deviation, drift) < 0:
            raise UsageError(
                f"env.arms is {arms}, and env.spread {spread:g}, env.deviation {deviation:g}, env.drift {drift:g}; "
                "arms must be at least 1, the others at least 0"
            )
        require_room(1, arms, 1, "set {arms} lower")
        means = mean + spread * np.random.default_rng(problem).standard_normal(arms)
        shape = (1, arms, 1)
        mdp = FiniteMDP(
            np.ones(shape), np.zeros(shape, np.int64), means.reshape(shape), np.zeros(shape, bool), np.ones(1)
        )
        super().__init__(
            mdp, max_steps=max_steps, render_mode=render_mode, deviation=np.full((1, arms), float(deviation))
        )
        self._drift = drift
        self.means: Array = means

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
        """Begin an episode, with the means of the first."""
        self.means = self.mdp.expected_reward[0]
        return super().reset(seed=seed, options=options)

    def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:
        """Pull an arm, then let all drift."""
        best = int(self.means.argmax())
        drifted = self.means[int(action)] - self.mdp.reward[0, int(action), 0]
        state, reward, terminated, truncated, info = super().step(action)
        if self._drift:
            self.means = self.means + self._drift * self.np_random.standard_normal(len(self.means))
        return state, reward + float(drifted), terminated, truncated, {**info, "best": best}

    def vector(self, num_envs: int) -> FiniteMDPVector:
        """Return `num_envs` of this environment, stepped at once; each drifts by itself."""
        return BanditVector(self.mdp, num_envs, max_steps=self.max_steps, deviation=self.deviation, drift=self._drift)

    def get_state(self) -> State:
        """Return the state of the episode, and the present means of the arms."""
        return {**super().get_state(), "means": self.means.copy()}

    def set_state(self, state: State) -> None:
        """Restore a state from `get_state`."""
        super().set_state(state)
        self.means = np.array(state["means"])

    def text(self) -> str:
        """Return the means, that of the arm pulled last in brackets."""
        words = [f"[{mean:.2f}]" if arm == self.action else f" {mean:.2f} " for arm, mean in enumerate(self.means)]
        return " ".join(words) + "\n"

    def frame(self) -> Image.Image:
        """Return a bar for the mean of each arm: the best green, the one pulled last below a disc."""
        arms = len(self.means)
        board = Board(8, arms, size=max(480, 48 * arms))
        reach = max(3.0, float(np.abs(self.means).max()))
        for arm, mean in enumerate(self.means):
            ends = sorted((4.0, 4.0 - 3.2 * mean / reach))
            color = GOAL if arm == self.means.argmax() else MUTED
            board.box(ends[0], arm + 0.2, max(ends[1], ends[0] + 0.04), arm + 0.8, color)
            board.label(7.6, arm + 0.5, str(arm), share=0.35)
        board.line((4.0, 0.0), (4.0, float(arms)), LINE, share=0.03)
        if self.action is not None:
            board.disc((0, self.action), AGENT, share=0.5)
        return board.image()


class BanditVector(FiniteMDPVector):
    """N slot machines that begin alike and drift apart."""

    def __init__(self, mdp: FiniteMDP, num_envs: int, *, max_steps: int | None, deviation: Array | None, drift: float):
        """Make N machines; `deviation` is [1, k] float64, the other options are those of `KArmedBandit`."""
        super().__init__(mdp, num_envs, max_steps=max_steps, deviation=deviation)
        self._drift = drift
        self._drifted = np.zeros((num_envs, mdp.num_actions))

    def reset(
        self, *, seed: int | Sequence[int] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Array, dict[str, Any]]:
        """Begin an episode in every machine, with the means of the first; return the states [N] int64."""
        self._drifted = np.zeros_like(self._drifted)
        return super().reset(seed=seed, options=options)

    def step(self, actions: Array) -> Result:
        """Pull the arms `actions` [N] int64, then let all drift; ``info["best"]`` is [N] int64."""
        best = (self.mdp.expected_reward + self._drifted).argmax(axis=1)
        extra = self._drifted[np.arange(self.num_envs), actions]
        observation, reward, terminated, truncated, infos = super().step(actions)
        if self._drift:
            self._drifted = self._drifted + self._drift * self._rng.standard_normal(self._drifted.shape)
            self._drifted[terminated | truncated] = 0.0
        return observation, reward + extra, terminated, truncated, {**infos, "best": best}

    def get_state(self) -> State:
        """Return states, steps, generator, and how far the arms have drifted."""
        return {**super().get_state(), "drifted": self._drifted.copy()}

    def set_state(self, state: State) -> None:
        """Restore a state from `get_state`."""
        super().set_state(state)
        self._drifted = np.array(state["drifted"])


make = vectorizable(KArmedBandit)
