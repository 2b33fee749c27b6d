"""What travels between a run and its actors: the beginning of a fragment, and the steps of one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from rlkit.core import tree
from rlkit.core.types import Memory, State, StepInfo, TimeStep, Tree


class FragmentOrder(NamedTuple):
    """Where a fragment begins, and how long it is."""

    length: int  # T
    steps: int  # decisions before it, summed over all environments
    timestep: TimeStep  # [n] to act on first
    memory: Memory  # [n, ...]
    rng: State  # of the generator that `act` draws from


class PlayedStep(NamedTuple):
    """One step of n environments."""

    action: Tree  # [n] or [n, ...]
    memory: Memory  # [n, ...] what `act` returned with the action
    after: TimeStep  # [n]
    rng: State  # of the generator, after the action was drawn


class Fragment(NamedTuple):
    """T steps of n environments."""

    columns: dict[str, Tree]  # [T, n, ...] actions, memories and the parts of time steps
    reached: dict[int, Tree]  # true successors [n, ...] at steps where an episode ended; else they are the observations
    rngs: list[State]  # [T]


def rows(timestep: TimeStep, index: Any) -> TimeStep:
    """Return the rows of a time step [N] at `index`, any of NumPy's, without the simulators' states."""
    info = StepInfo._make(_taken(part, index) for part in timestep.info)
    own = {"state": None, "info": info}
    taken: dict[str, Any] = {
        name: own[name] if name in own else _taken(part, index) for name, part in timestep._asdict().items()
    }
    return TimeStep(**taken)


def _taken(part: Tree | None, index: Any) -> Tree | None:
    return None if part is None else tree.take(part, index)


def packed(steps: Sequence[PlayedStep]) -> Fragment:
    """Return steps as a fragment."""
    columns = [{"action": step.action, "memory": step.memory, "after": _parts(step.after)} for step in steps]
    reached = {
        t: step.after.next_observation
        for t, step in enumerate(steps)
        if step.after.next_observation is not step.after.observation
    }
    return Fragment(tree.stack(columns), reached, [step.rng for step in steps])


def _parts(after: TimeStep) -> dict[str, Tree]:
    """Return the parts of a time step that are there, but the true successors."""
    named = {**after._asdict(), **after.info._asdict()}
    return {key: part for key, part in named.items() if part is not None and key not in OWN_WAY}


OWN_WAY = ("next_observation", "state", "info")
"""The parts of time steps that travel otherwise, or not at all."""


def joined(fragments: Sequence[Fragment]) -> Fragment:
    """Return the fragments of several actors side by side, in their order; the generators are the first one's."""
    columns = tree.map_many(lambda *parts: np.concatenate(parts, axis=1), *(part.columns for part in fragments))
    ends = sorted({t for part in fragments for t in part.reached})
    reached = {t: tree.concatenate([_reached(part, t) for part in fragments]) for t in ends}
    return Fragment(columns, reached, fragments[0].rngs)


def _reached(fragment: Fragment, t: int) -> Tree:
    found = fragment.reached.get(t)
    return tree.take(fragment.columns["after"]["observation"], t) if found is None else found


def step_of(fragment: Fragment, t: int) -> PlayedStep:
    """Return step `t`; its arrays share the fragment's memory."""
    columns = tree.take(fragment.columns, t)
    parts = columns["after"]
    info = StepInfo._make(parts.get(name) for name in StepInfo._fields)
    own = {"next_observation": fragment.reached.get(t, parts["observation"]), "state": None, "info": info}
    after = TimeStep(**{name: own.get(name, parts.get(name)) for name in TimeStep._fields})
    return PlayedStep(columns["action"], columns["memory"], after, fragment.rngs[t])
