from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlkit.core import tree
from rlkit.core.checkpoint import Store
from toys import assert_same

DTYPES = [np.float32, np.float64, np.int64, np.int8, np.uint8, bool]
KEYS = st.text(max_size=3)


@st.composite
def forms(draw: st.DrawFn, depth: int = 3) -> Any:
    """Draw a tree of (shape of a row, dtype): what an observation of one environment is like."""
    kind = draw(st.sampled_from(["leaf", "dict", "tuple"] if depth else ["leaf"]))
    if kind == "leaf":
        return np.empty(draw(st.sampled_from([(), (1,), (2, 3), (0,)])), draw(st.sampled_from(DTYPES)))
    parts = st.lists(forms(depth - 1), min_size=1, max_size=3)
    if kind == "tuple":
        return tuple(draw(parts))
    return {draw(KEYS): part for part in draw(parts)}


def filled(form: Any, n: int, rng: np.random.Generator) -> Any:
    """Return a tree [n, ...] of numbers of such a form, by its own recursion."""
    if isinstance(form, dict):
        return {key: filled(part, n, rng) for key, part in form.items()}
    if isinstance(form, tuple):
        return tuple(filled(part, n, rng) for part in form)
    return rng.integers(0, 2, (n, *form.shape)).astype(form.dtype)


def rows_of(whole: Any, n: int) -> list[Any]:
    """Return the trees of the N environments, each for itself: the naive twin of a tree with leading N."""
    if isinstance(whole, dict):
        parts = {key: rows_of(part, n) for key, part in whole.items()}
        return [{key: part[i] for key, part in parts.items()} for i in range(n)]
    if isinstance(whole, tuple):
        return list(zip(*(rows_of(part, n) for part in whole), strict=True))
    return [whole[i] for i in range(n)]


def named(whole: Any, path: str = "") -> dict[str, Any]:
    """Return the leaves by their paths, in order."""
    if not isinstance(whole, (dict, tuple)):
        return {path: whole}
    items = whole.items() if isinstance(whole, dict) else enumerate(whole)
    return {place: leaf for key, part in items for place, leaf in named(part, f"{path}/{key!r}").items()}


@st.composite
def batches(draw: st.DrawFn, count: int = 1) -> Any:
    """Draw `count` trees of one form with 1 to 4 rows each, and their number of rows."""
    form, n = draw(forms()), draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    return *(filled(form, n, rng) for _ in range(count)), n


@given(batches())
def test_map_puts_what_a_function_returns_in_the_place_of_each_leaf(drawn: Any) -> None:
    whole, _ = drawn
    mapped = tree.map(lambda leaf: leaf.astype(np.float64) * 2 + 1, whole)
    assert_same(named(mapped), {path: leaf.astype(np.float64) * 2 + 1 for path, leaf in named(whole).items()})


@given(batches(3))
def test_map_many_meets_the_leaves_at_the_same_place_whatever_the_order_of_keys(drawn: Any) -> None:
    a, b, c, _ = drawn
    met = tree.map_many(lambda *parts: parts, a, reordered(b), c)
    seen: dict[str, Any] = named(tree.map(lambda leaf: leaf, a))
    for path, first in seen.items():
        place: Any = met
        for key in keys_of(path, a):
            place = place[key]
        assert place[0] is first
        assert place[1] is named(b)[path]
        assert place[2] is named(c)[path]


def reordered(whole: Any) -> Any:
    """Return the tree with the keys of its dicts backwards."""
    if isinstance(whole, dict):
        return {key: reordered(part) for key, part in reversed(whole.items())}
    return tuple(map(reordered, whole)) if isinstance(whole, tuple) else whole


def keys_of(path: str, whole: Any) -> list[Any]:
    """Return the keys that lead to a path of `named`."""
    if not isinstance(whole, (dict, tuple)):
        return []
    items = list(whole.items()) if isinstance(whole, dict) else list(enumerate(whole))
    for key, part in items:
        start = f"/{key!r}"
        if path.startswith(start) and path.removeprefix(start) in named(part):
            return [key, *keys_of(path.removeprefix(start), part)]
    raise AssertionError(path)


@given(batches())
def test_leaves_length_and_bytes_are_those_of_the_arrays(drawn: Any) -> None:
    whole, n = drawn
    assert all(a is b for a, b in zip(tree.leaves(whole), named(whole).values(), strict=True))
    assert tree.length(whole) == n
    assert tree.nbytes(whole) == sum(leaf.nbytes for leaf in named(whole).values())


@given(batches(), st.data())
def test_rows_are_taken_and_stacked_as_those_of_single_environments(drawn: Any, data: st.DataObject) -> None:
    whole, n = drawn
    picked = data.draw(st.lists(st.integers(0, n - 1), min_size=1, max_size=5))
    rows = rows_of(whole, n)
    assert_same(tree.take(whole, picked[0]), rows[picked[0]])
    assert_same(tree.stack([rows[i] for i in picked]), tree.take(whole, np.array(picked)))
    mask = np.isin(np.arange(n), picked)
    assert_same(rows_of(tree.take(whole, mask), int(mask.sum())), [rows[i] for i in np.flatnonzero(mask)])


@given(batches(2), st.data())
def test_rows_are_put_selected_and_cleared_in_their_places(drawn: Any, data: st.DataObject) -> None:
    whole, other, n = drawn
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    rows, others = rows_of(tree.copy(whole), n), rows_of(other, n)
    chosen = [others[i] if mask[i] else rows[i] for i in range(n)]
    assert_same(rows_of(tree.where(mask, other, whole), n), chosen)
    changed = tree.copy(whole)
    for i in np.flatnonzero(mask):
        tree.put(changed, i, others[i])
    assert_same(rows_of(changed, n), chosen)
    assert_same(rows_of(whole, n), rows)  # A copy shares nothing.
    tree.clear(changed, mask)
    zeros = rows_of(tree.map(np.zeros_like, whole), n)
    assert_same(rows_of(changed, n), [zeros[i] if mask[i] else rows[i] for i in range(n)])


@given(batches(2))
def test_concatenated_rows_come_one_tree_behind_the_other(drawn: Any) -> None:
    a, b, n = drawn
    assert_same(rows_of(tree.concatenate([a, b, a]), 3 * n), rows_of(a, n) + rows_of(b, n) + rows_of(a, n))


@given(batches(2))
def test_trees_are_equal_where_every_leaf_is(drawn: Any) -> None:
    a, b, _ = drawn
    assert tree.equal(a, tree.copy(a))
    assert tree.equal(a, b) == all(np.array_equal(x, named(b)[path]) for path, x in named(a).items())


@given(batches(), st.integers(0, 3), st.integers(1, 3))
def test_room_has_the_axes_before_those_of_the_leaves(drawn: Any, length: int, more: int) -> None:
    whole, _ = drawn
    room = named(tree.empty_like(whole, length, more))
    assert {path: (leaf.shape, leaf.dtype) for path, leaf in room.items()} == {
        path: ((length, more, *leaf.shape), leaf.dtype) for path, leaf in named(whole).items()
    }


@given(batches())
def test_what_was_packed_into_one_array_comes_back_from_its_bytes_and_rows(drawn: Any) -> None:
    whole, n = drawn
    packed = tree.pack(whole)
    assert packed.shape[:1] == (n,)
    if isinstance(whole, (dict, tuple)):
        assert packed.shape == (n,)
        assert packed.dtype.itemsize * n == tree.nbytes(whole)
        if packed.nbytes:
            assert_same(tree.unpack(np.frombuffer(packed.tobytes(), packed.dtype)), whole)
    backwards = np.arange(n)[::-1]
    assert_same(tree.unpack(packed.take(backwards, axis=0)), tree.take(whole, backwards))


def test_a_packed_tree_of_many_leaves_survives_a_checkpoint(tmp_path: Any) -> None:
    whole = {f"sensor number {i} of the arm": {"place\n\"'é": (np.arange(3.0) + i,)} for i in range(300)}
    store = Store(tmp_path)
    store.save(1, {"packed": tree.pack(whole), "tree": whole})
    loaded = store.load(1)
    assert_same(tree.unpack(loaded["packed"]), whole)
    assert_same(loaded["tree"], whole)


def test_a_plain_array_is_its_own_leaf_and_is_not_copied() -> None:
    array = np.arange(6).reshape(3, 2)
    assert tree.map(lambda leaf: leaf, array) is array
    assert tree.leaves(array)[0] is array
    assert tree.pack(array) is array
    assert tree.unpack(array) is array
    assert np.shares_memory(tree.take(array, slice(2)), array)


def test_memories_may_be_empty_or_hold_lists() -> None:
    assert tree.map(np.negative, ()) == ()
    assert tree.leaves(()) == []
    assert tree.where(np.array([True]), (), ()) == ()
    assert_same(tree.map(np.negative, [np.array([1]), {}]), [np.array([-1]), {}])


def test_trees_of_another_form_are_no_match() -> None:
    with pytest.raises(KeyError):
        tree.map_many(np.add, {"a": np.ones(1)}, {"b": np.ones(1)})
    with pytest.raises(ValueError, match="argument 2"):
        tree.map_many(np.add, (np.ones(1),), (np.ones(1), np.ones(1)))
