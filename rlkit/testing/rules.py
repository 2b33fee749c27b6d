"""What the suites share: rules and their results, exact comparison, and the way through a checkpoint."""

from __future__ import annotations

import copy
import random
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple, TypeVar

import numpy as np

from rlkit.core.checkpoint import Store
from rlkit.core.stored_state import Segment
from rlkit.core.types import RunError, State, UsageError


class ContractError(UsageError):
    """Broken rules, one line each: the rule, the values and the remedy."""


class Result(NamedTuple):
    """The result of one rule."""

    rule: str  # its stable name
    passed: bool
    message: str  # what is wrong, with the remedy; of a rule that holds: what it could not check, or ""


OnResult = Callable[[Result], None]
"""Is called with each result as soon as it is there."""

Case = TypeVar("Case")

Rule = Callable[[Case], str | None]
"""Raises `ContractError` where broken; may return a note. Its name is the function's."""


def examine(
    case: Case, essential: Sequence[Rule[Case]], rules: Sequence[Rule[Case]], on_result: OnResult
) -> list[Result]:
    """Check every rule on `case`; a broken `essential` one is the last, because the others would only repeat it."""
    results: list[Result] = []
    for rule in (*essential, *rules):
        results.append(_apply(rule, case))
        on_result(results[-1])
        if rule in essential and not results[-1].passed:
            break
    return results


def conclude(results: list[Result], *, strict: bool) -> list[Result]:
    """Return `results`, or raise where `strict` and a rule is broken.

    Raises:
        ContractError: naming every broken rule.
    """
    broken = [f"{result.rule}: {result.message}" for result in results if not result.passed]
    if strict and broken:
        raise ContractError("\n".join(broken))
    return results


def silent(result: Result) -> None:
    """Ignore a result."""


def _apply(rule: Rule[Case], case: Case) -> Result:
    try:
        return Result(rule.__name__, True, rule(case) or "")
    except (UsageError, RunError) as error:
        return Result(rule.__name__, False, str(error))
    except Exception as error:  # somebody else's code can raise anything
        return Result(rule.__name__, False, raised(error))


def raised(error: BaseException) -> str:
    """Return in one line what was raised, and where."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
    return f"raised {type(error).__name__}: {' '.join(str(error).split())}{where}"


def require(condition: bool, message: str) -> None:
    """Raise a `ContractError` unless `condition` holds."""
    if not condition:
        raise ContractError(message)


def require_equal(left: Any, right: Any, message: str) -> None:
    """Raise a `ContractError`, with the first place where they differ, unless two trees are equal to the bit."""
    found = difference(left, right)
    if found is not None:
        raise ContractError(f"{message}: {found}")


def freeze(tree: Any) -> Any:
    """Return a copy of plain data that later changes cannot reach; segments are read."""
    return copy.deepcopy(_read_segments(tree))


def _read_segments(tree: Any) -> Any:
    if isinstance(tree, Segment):
        return tree.read()
    if isinstance(tree, dict):
        return {key: _read_segments(value) for key, value in tree.items()}
    if isinstance(tree, (list, tuple)) and not hasattr(tree, "_fields"):
        return type(tree)(_read_segments(value) for value in tree)
    return tree


def difference(left: Any, right: Any, path: str = "") -> str | None:
    """Return where two trees of plain data first differ, with both values, or None where they are equal to the bit."""
    left, right = _read_segments(left), _read_segments(right)
    if isinstance(left, dict) and isinstance(right, dict):
        return _different_items(left, right, path)
    if isinstance(left, (list, tuple)) and isinstance(right, (list, tuple)):
        return _different_rows(left, right, path)
    if isinstance(left, (np.ndarray, np.generic)) and isinstance(right, (np.ndarray, np.generic)):
        return _different_arrays(np.asarray(left), np.asarray(right), path)
    if type(left) is type(right) and (left == right or (left != left and right != right)):
        return None
    return f"{path or 'the value'} is {_short(left)} and {_short(right)}"


def _different_items(left: dict[Any, Any], right: dict[Any, Any], path: str) -> str | None:
    if left.keys() != right.keys():
        return f"{path or 'the dict'} has keys {sorted(map(str, left))} and {sorted(map(str, right))}"
    found = (difference(left[key], right[key], f"{path}/{key}".lstrip("/")) for key in left)
    return next((place for place in found if place is not None), None)


def _different_rows(left: Sequence[Any], right: Sequence[Any], path: str) -> str | None:
    if len(left) != len(right):
        return f"{path or 'the sequence'} has {len(left)} and {len(right)} entries"
    names = getattr(left, "_fields", range(len(left)))
    rows = zip(names, left, right, strict=True)
    found = (difference(a, b, f"{path}/{name}".lstrip("/")) for name, a, b in rows)
    return next((place for place in found if place is not None), None)


def _different_arrays(left: Any, right: Any, path: str) -> str | None:
    forms = [f"{array.dtype} {list(array.shape)}" for array in (left, right)]
    if forms[0] != forms[1]:
        return f"{path or 'the array'} is {forms[0]} and {forms[1]}"
    if left.dtype == object:
        return difference(left.tolist(), right.tolist(), path)
    if left.tobytes() == right.tobytes():
        return None
    # Bytes, not values: NaN equals itself here, and 0.0 differs from -0.0.
    size = left.dtype.itemsize
    bytes_left, bytes_right = (np.frombuffer(array.tobytes(), np.uint8).reshape(-1, size) for array in (left, right))
    first = int((bytes_left != bytes_right).any(1).argmax())
    place = list(map(int, np.unravel_index(first, left.shape))) or ""
    return f"{path or 'the array'}{place} is {left.flat[first]} and {right.flat[first]}"


def _short(value: Any) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 80 else f"{text[:77]}..."


@contextmanager
def survived(state: State) -> Iterator[State]:
    """Yield `state` as it comes out of a checkpoint on disk.

    Raises:
        RunError: it is not plain data.
    """
    with TemporaryDirectory() as folder:
        store = Store(Path(folder))
        store.save(0, state)
        yield store.load(0)


def global_generators() -> dict[str, Any]:
    """Return the states of the process-wide generators that nothing in rlkit may draw from or seed."""
    _, key, position, *_ = np.random.get_state()  # noqa: NPY002
    states: dict[str, Any] = {"random": random.getstate(), "numpy.random": (np.asarray(key).tobytes(), position)}
    torch = sys.modules.get("torch")
    if torch is not None:
        states["torch"] = torch.get_rng_state().numpy().tobytes()
    return states


def moved_generators(before: dict[str, Any]) -> list[str]:
    """Return the names of the process-wide generators that moved since `before`."""
    after = global_generators()
    return [name for name in before if before[name] != after[name]]
