"""What an agent's contract forbids, noticed while it trains."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import isfinite
from typing import Any

import numpy as np

from rlkit.core import tree
from rlkit.core.spaces import COMPOSED_SPACES, choice_sizes, space_tree
from rlkit.core.types import RESIGN, Agent, Array, Memory, Metrics, State, TimeStep, Transition, Tree, a_kind
from rlkit.testing.rules import difference, freeze, global_generators, moved_generators
from rlkit.vector.contract import same_form


class Watched:
    """Passes everything on to an agent, and notes what its contract forbids.

    Attributes:
        complaints: rule -> the first complaint.
        learned: `update` had something due.
        thorough: look at arguments and at the process-wide generators, too, which is slow.
    """

    def __init__(self, agent: Agent, action_space: Any, *, can_resign: bool = False):
        self.agent = agent
        self.complaints: dict[str, str] = {}
        self.learned = False
        self.thorough = False
        self._space = action_space
        self._can_resign = can_resign

    def initial_memory(self, n: int) -> Memory:
        """Pass on."""
        return self.agent.initial_memory(n)

    def act(
        self, timestep: TimeStep, memory: Memory, *, explore: bool, rng: np.random.Generator
    ) -> tuple[Tree, Memory]:
        """Pass on; look at the actions."""
        with self._watch("act", (timestep._replace(state=None), memory)):
            action, after = self.agent.act(timestep, memory, explore=explore, rng=rng)
        self._note("actions_fit_the_space", misfit(action, len(timestep.valid), self._space, self._can_resign))
        self._note("actions_are_legal", illegal(action, timestep.legal_actions, self._space))
        self._note("memory_keeps_its_form", change_of_form(memory, after))
        return action, after

    def observe(self, transition: Transition) -> None:
        """Pass on."""
        with self._watch("observe", transition):
            self.agent.observe(transition)

    def update(self) -> Metrics | None:
        """Pass on; look at the metrics."""
        with self._watch("update", None):
            metrics = self.agent.update()
        self.learned |= metrics is not None
        self._note("metrics_are_finite_numbers", unfit_metrics(metrics))
        return metrics

    def state_dict(self) -> State:
        """Pass on."""
        return self.agent.state_dict()

    def load_state_dict(self, state: State) -> None:
        """Pass on."""
        self.agent.load_state_dict(state)

    @contextmanager
    def _watch(self, verb: str, given: Any) -> Iterator[None]:
        if not self.thorough:
            yield
            return
        before, copied = global_generators(), freeze(given)
        yield
        self.note_moved(verb, before)
        found = difference(copied, given)
        if found:
            self._note("inputs_are_left_alone", f"{verb} wrote to its argument; copy first: {found}")

    def note_moved(self, verb: str, before: dict[str, Any]) -> None:
        """Note which process-wide generators moved since `before`, as `verb` ran."""
        moved = ", ".join(moved_generators(before))
        remedy = "draw from the rng or generator that it gets"
        complaint = f"{verb} moved the process-wide generator of {moved}; {remedy}" if moved else None
        self._note("global_generators_are_left_alone", complaint)

    def _note(self, rule: str, complaint: str | None) -> None:
        if complaint is not None:
            self.complaints.setdefault(rule, complaint)


def misfit(action: Any, n: int, space: Any, can_resign: bool) -> str | None:
    """Return why `action` is not `n` actions of `space`, or RESIGN where that is allowed; else None."""
    if isinstance(space, COMPOSED_SPACES):
        if not same_form(action, space):
            return f"act returned {a_kind(action)} with other parts than {space}; return one with these"
        found = tree.map_many(lambda part, leaf: misfit(leaf, n, part, False), space_tree(space), action)
        return next(filter(None, tree.leaves(found)), None)
    shape = (n, *(space.shape or ()))
    if not isinstance(action, np.ndarray):
        return f"act returned {a_kind(action)}; it must be a numpy array of shape {list(shape)}"
    if action.shape != shape:
        return (
            f"act returned actions of shape {list(action.shape)}; for {n} environments and {space} it is {list(shape)}"
        )
    if not np.can_cast(action.dtype, space.dtype):
        return f"act returned actions of dtype {action.dtype}; {space} needs {space.dtype}"
    outside = [row for row in action if not (space.contains(row) or (can_resign and row == RESIGN))]
    return f"act returned the action {outside[0]!r}, outside of {space}" if outside else None


def illegal(action: Any, legal_actions: Array | None, space: Any) -> str | None:
    """Return which of the actions [N] or [N, ...] of `space` are not among `legal_actions` [N, A], or None."""
    if legal_actions is None:
        return None
    first = np.cumsum([0, *choice_sizes(space)[:-1]])
    parts = tree.leaves(tree.map_many(lambda part, leaf: leaf, space_tree(space), action))
    rows = np.concatenate([np.asarray(part).reshape(len(legal_actions), -1) for part in parts], axis=1)
    for row, mask in zip(rows.astype(int), legal_actions, strict=True):
        if row.tolist() != [RESIGN] and not mask[first + row].all():
            chosen, legal = row if len(row) > 1 else row[0], np.flatnonzero(mask).tolist()
            return f"act chose action {chosen} where {legal} are legal; mind timestep.legal_actions"
    return None


def change_of_form(before: Memory, after: Memory) -> str | None:
    """Return how act changed shapes, dtypes or keys of its memory, or None."""
    found = difference(_form(before), _form(after))
    return found and f"act returned memory in another form than it got: {found}"


def _form(memory: Memory) -> Any:
    if isinstance(memory, dict):
        return {key: _form(value) for key, value in memory.items()}
    if isinstance(memory, (tuple, list)):
        return [_form(value) for value in memory]
    array = np.asarray(memory)
    return f"{array.dtype} {list(array.shape)}"


def unfit_metrics(metrics: Any) -> str | None:
    """Return why `metrics` are not named finite numbers, or None."""
    if metrics is None:
        return None
    if not isinstance(metrics, Mapping):
        return f"update returned {a_kind(metrics)}; it must be a dict of floats, or None where nothing was due"
    for name, value in metrics.items():
        if not isinstance(name, str) or not isinstance(value, (int, float, np.floating)) or not isfinite(value):
            return f"update returned {name!r}: {value!r}; metrics are finite floats under names"
    return None
