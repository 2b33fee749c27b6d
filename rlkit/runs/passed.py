"""What a caller passes to a policy: one observation or a batch, and what is wrong with it in the caller's words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium import spaces

from rlkit.core import tree
from rlkit.core.spaces import COMPOSED_SPACES, space_tree
from rlkit.core.types import Array, UsageError
from rlkit.vector import contract

WAY = "action = policy(observation, info)"


def rows_of(observation: Any, space: Any) -> tuple[list[Any], bool]:
    """Return the observations that were passed, and whether it is a single one instead of a batch.

    Raises:
        UsageError: it is all that ``reset`` or ``step`` returns, a batch of none, or one of parts of several lengths.
    """
    _refuse_whole_result(observation, space)
    if not is_batch(observation, space):
        return [observation], True
    rows = observation if isinstance(observation, list) else _taken_apart(observation, space)
    if not rows:
        raise UsageError("policy() was passed a batch of no observations; pass at least one")
    return rows, False


def _refuse_whole_result(value: Any, space: Any) -> None:
    whole = {2: "reset()", 5: "step()"}
    if not isinstance(value, tuple) or len(value) not in whole or not isinstance(value[-1], Mapping):
        return
    if isinstance(space, spaces.Tuple) and contract.same_form(value, space):
        return
    raise UsageError(f"policy() was passed all that {whole[len(value)]} returns; pass its observation and info: {WAY}")


def is_batch(observation: Any, space: Any) -> bool:
    """Return whether `observation` is a batch of a space's observations."""
    if isinstance(space, spaces.Dict) and isinstance(observation, Mapping):
        key = next(iter(space.spaces))
        return key in observation and is_batch(observation[key], space[key])
    if isinstance(space, spaces.Tuple) and isinstance(observation, tuple) and len(observation) == len(space):
        return is_batch(observation[0], space[0])
    if space.shape is not None:
        return (isinstance(observation, list) and not observation) or _axes(observation) == len(space.shape) + 1
    return isinstance(observation, (list, np.ndarray))


def _axes(value: Any) -> int | None:
    """Return how many axes an array of `value` has; None where no array can be made of it."""
    try:
        return np.ndim(value)
    except ValueError:  # rows of several lengths
        return None


def _taken_apart(batch: Any, space: Any) -> list[Any]:
    """Return the observations of a batch, one by one."""
    if not contract.same_form(batch, space):
        raise UsageError(fault(batch, space))
    counts = tree.leaves(tree.map_many(lambda part, leaf: _rows_in(leaf), space_tree(space), batch))
    if len(set(counts)) > 1:
        said = ", ".join("no rows" if count is None else str(count) for count in counts)
        raise UsageError(
            f"policy() was passed a batch whose parts have {said}, in the order of {space}; each needs as many rows "
            "as there are observations"
        )
    return [tree.map_many(lambda part, leaf, i=i: leaf[i], space_tree(space), batch) for i in range(counts[0])]


def _rows_in(leaf: Any) -> int | None:
    return len(leaf) if np.ndim(leaf) else None


def fault(observation: Any, space: Any) -> str | None:
    """Return in one line why `observation`, as it was passed, is none of `space`; None where it is one."""
    if contract.lossy_observation(observation, space, "") is None:
        return None
    path, value, part = _wrong_part(observation, space, contract.lossy_observation)
    place = f" as {path}" if path else ""
    said = f"policy() was passed {_shown(value, part)}{place}, which is no observation of the environment's {part}"
    return f"{said}; pass one as reset() and step() return it: {WAY}"


def _wrong_part(value: Any, space: Any, looks: Callable[..., str | None], path: str = "") -> tuple[str, Any, Any]:
    """Return the path, the value and the space of the innermost part that `looks` finds something wrong with."""
    if isinstance(space, COMPOSED_SPACES) and contract.same_form(value, space):
        named = space.spaces.items() if isinstance(space, spaces.Dict) else enumerate(space.spaces)
        for name, part in named:
            if looks(value[name], part, "") is not None:
                return _wrong_part(value[name], part, looks, f"{path}.{name}".lstrip("."))
    return path, value, space


def _shown(value: Any, space: Any) -> str:
    if isinstance(value, Mapping):
        return f"a dict of {', '.join(map(str, value)) or 'nothing'}"
    if isinstance(value, np.ndarray) and (value.shape != space.shape or value.dtype != space.dtype):
        return f"{value.dtype} {list(value.shape)}"
    text = " ".join(repr(value).split())
    return text if len(text) <= 80 else f"{text[:77]}…"


def beyond(observation: Any, space: Any) -> str | None:
    """Return in one line which numbers of an observation of `space` lie outside of it, or None."""
    if contract.beyond_bounds(observation, space, "") is None:
        return None
    _, leaf, part = _wrong_part(observation, space, contract.beyond_bounds)
    return f"policy() was passed {' '.join(repr(leaf).split())}, outside of {part}: the agent has learned nothing there"


def infos_of(info: Any, n: int, *, single: bool) -> list[Mapping[str, Any]]:
    """Return the info of each of `n` environments.

    Raises:
        UsageError: it is none, or of another number of environments.
    """
    if info is None:
        return [{}] * n
    if isinstance(info, Mapping):
        if single:
            return [info]
        masks = info.get("action_mask")
        _require_rows("action_mask", masks, n)
        return [{} if masks is None else {"action_mask": masks[i]} for i in range(n)]
    if single or not isinstance(info, Sequence) or not all(isinstance(one, Mapping) for one in info):
        wanted = "the environment's dict" if single else "a dict of each environment, or one of arrays"
        raise UsageError(f"policy() was passed {info!r} as info; pass {wanted}: {WAY}")
    _require_rows("info", info, n)
    return list(info)


def rewards_of(reward: Any, n: int) -> list[float]:
    """Return the reward of each of `n` environments.

    Raises:
        UsageError: there are more or fewer.
    """
    rewards: Array = np.asarray(reward, float)
    if rewards.shape not in ((), (1,), (n,)):
        raise UsageError(
            f"policy() was passed rewards of shape {list(rewards.shape)} for {n} observations; pass as many"
        )
    return [float(one) for one in np.broadcast_to(rewards, n)]


def _require_rows(name: str, values: Any, n: int) -> None:
    if values is not None and len(values) != n:
        raise UsageError(f"policy() was passed {len(values)} of {name} for a batch of {n} observations; pass as many")
