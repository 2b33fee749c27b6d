"""Parts of spaces and observations by name."""

from __future__ import annotations

import pytest
from gymnasium import spaces

from rlkit.core.parts import at, part_at, parts_of, path_to, replaced
from rlkit.core.types import UsageError

TWO, THREE = spaces.Discrete(2), spaces.Discrete(3)
SPACE = spaces.Dict([("b", spaces.Tuple([TWO, spaces.Dict(c=THREE)])), ("a", TWO), ("x/y", THREE)])


def test_names_are_keys_and_places_in_the_order_of_the_leaves() -> None:
    assert list(parts_of(SPACE)) == ["b/0", "b/1/c", "a", "x/y"]
    assert parts_of(SPACE)["b/1/c"] is THREE
    assert parts_of(TWO) == {"": TWO}
    assert list(parts_of(SPACE, ["b/1", "a"])) == ["b/0", "b/1", "a", "x/y"]


def test_a_path_leads_to_a_part_also_where_a_key_has_the_separator() -> None:
    assert [path_to(SPACE, name) for name in ("b", "b/1", "b/1/c", "x/y")] == [
        ("b",),
        ("b", 1),
        ("b", 1, "c"),
        ("x/y",),
    ]
    for name in ("b/2", "c", "a/0", ""):
        with pytest.raises(UsageError, match=rf"no part '{name}'; name one of its parts: b/0, b/1/c, a, x/y"):
            path_to(SPACE, name)
    with pytest.raises(UsageError, match=r"no part 'a'; name one of its parts: none"):
        path_to(TWO, "a")


def test_what_follows_the_name_in_a_dotted_path_is_left() -> None:
    assert part_at(SPACE, ["b/0", "torso", "inner"]) is TWO
    assert part_at(spaces.Dict({"a.b": THREE, "a": TWO}), ["a", "b"]) is THREE
    with pytest.raises(UsageError, match="no part 'z'"):
        part_at(SPACE, ["z", "torso"])


def test_a_part_is_replaced_in_a_copy() -> None:
    observation = {"b": (1, {"c": 2}), "a": 0, "x/y": 5}
    new = replaced(observation, ("b", 1, "c"), 7)
    assert new == {"b": (1, {"c": 7}), "a": 0, "x/y": 5}
    assert observation["b"] == (1, {"c": 2})
    assert list(new) == list(observation)
    assert at(new, ("b", 1)) == {"c": 7}
    space = replaced(SPACE, ("b", 1, "c"), TWO)
    assert parts_of(space) == {**parts_of(SPACE), "b/1/c": TWO}
    assert parts_of(SPACE)["b/1/c"] is THREE
    assert replaced(3, (), 4) == 4
