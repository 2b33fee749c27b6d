"""A plain list of transitions, which replays must equal, and environments whose transitions can all be told apart."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from rlkit.core.types import Array, StepInfo, Transition

GAMMA = 0.9
EVENTS = ("goes on", "goes on", "goes on", "terminates", "truncates", "loses a life", "is cut", "is reset late")


class Stream:
    """N environments with stacked frames that can all be told apart, whose episodes end as a script says.

    ``is reset late``: it terminates and is only reset in the step after that (next-step mode), an invalid row.
    """

    def __init__(self, n: int, stack: int, padding: str, masks: bool, shared: bool):
        self.n, self.stack, self.padding, self.masks, self.shared = n, stack, padding, masks, shared
        self.count = 0
        self.late = np.zeros(n, bool)
        self.shown = np.stack([self.begin() for _ in range(n)])

    def frame(self) -> Array:
        self.count += 1
        return np.full((2, 1), self.count % 251, np.uint8) + np.array([[0], [self.count // 251]], np.uint8)

    def begin(self) -> Array:
        new = self.frame()
        pads = [new if self.padding == "repeat" else np.zeros_like(new)] * (self.stack - 1)
        return np.stack([*pads, new])

    def step(self, events: list[str]) -> Transition:
        n = self.n
        observation = self.shown
        reached = np.stack([np.concatenate([stack[1:], self.frame()[None]]) for stack in observation])
        last, terminated, fresh, valid = np.zeros((4, n), bool)
        for i, event in enumerate(events):
            valid[i] = not self.late[i]
            late_before, self.late[i] = self.late[i], False
            if late_before:
                # The step after an end in next-step mode: what it shows is the new episode's first observation.
                reached[i] = self.begin()
                continue
            last[i] = event != "goes on"
            terminated[i] = event in ("terminates", "loses a life", "is reset late")
            fresh[i] = event in ("terminates", "truncates", "is cut")
            self.late[i] = event == "is reset late"
        shown = reached
        if fresh.any() or not self.shared:
            shown = reached.copy()
            for i in np.flatnonzero(fresh):
                shown[i] = self.begin()
        self.shown = shown
        return self.transition(observation, reached, last, terminated, valid)

    def transition(
        self, observation: Array, reached: Array, last: Array, terminated: Array, valid: Array
    ) -> Transition:
        n, number = self.n, self.count + np.arange(self.n)
        legal = np.stack([number % 2 == 0, np.ones(n, bool)], axis=1) if self.masks else None
        squeeze = (lambda stacks: stacks) if self.stack > 1 else (lambda stacks: self.flat(stacks))
        return Transition(
            observation=squeeze(observation),
            action=number % 5,
            reward=(number % 7 / 4).astype(np.float32),
            discount=(1 - terminated).astype(np.float32),
            next_observation=squeeze(reached),
            last=last,
            valid=valid,
            legal_actions=legal,
            next_legal_actions=legal,
            info=StepInfo(np.zeros(n), last, np.zeros(n, bool)),
        )

    def flat(self, stacks: Array) -> Array:
        """Return observations without the axis of frames; the same object for the same stacks, as environments do."""
        if getattr(self, "key", None) is not stacks:
            self.key, self.value = stacks, stacks[:, 0]
        return self.value


class Step(NamedTuple):
    """A row of the naive replay."""

    env: int
    observation: list[Any]
    action: int
    reward: np.float32
    discount: np.float32
    next_observation: list[Any]
    last: bool
    legal: list[bool] | None


class Naive:
    """A list of whole transitions, oldest first."""

    def __init__(self) -> None:
        self.rows: list[Step] = []

    def add(self, rows: Transition) -> None:
        for i in np.flatnonzero(rows.valid):
            legal = None if rows.next_legal_actions is None else rows.next_legal_actions[i].tolist()
            self.rows.append(
                Step(
                    int(i),
                    rows.observation[i].tolist(),
                    int(rows.action[i]),
                    rows.reward[i],
                    rows.discount[i],
                    rows.next_observation[i].tolist(),
                    bool(rows.last[i]),
                    legal,
                )
            )

    def sampled(self, number: int, n_step: int) -> tuple[Any, ...]:
        """Return row `number` as a batch must show it: rewards of up to `n_step` steps of its episode."""
        row = self.rows[number]
        reward, discount, end = row.reward, row.discount, row
        following = (other for other in self.rows[number + 1 :] if other.env == row.env)
        for _ in range(n_step - 1):
            after = next(following, None)
            if end.last or after is None:
                break
            factor = np.float32(GAMMA) * discount
            reward, discount, end = reward + factor * after.reward, factor * after.discount, after
        return (row.observation, row.action, float(reward), float(discount), end.next_observation, end.legal)
