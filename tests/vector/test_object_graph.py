"""Objects as plain data and back: what is shared stays shared, and a stranger's state runs nothing."""

from __future__ import annotations

import copy
from collections import OrderedDict, defaultdict, deque
from enum import Enum
from random import Random
from typing import Any, NamedTuple

import gymnasium
import numpy as np
import pytest

from rlkit.core.stored_state import pack, unpack
from rlkit.core.types import RunError
from rlkit.vector.object_graph import Graph, NotPlainError, capture
from rlkit.vector.object_restoring import restore
from rlkit.vector.object_state import ObjectState, why_not_plain, with_object_state

HERE = (__name__,)


class Color(Enum):
    red = 1
    blue = 2


class Place(NamedTuple):
    row: int
    column: int


class Slotted:
    __slots__ = ("x",)

    def __init__(self, x: Any):
        self.x = x


class Thing:
    def __init__(self, **fields: Any):
        vars(self).update(fields)

    def __reduce__(self) -> Any:
        raise AssertionError("nothing is pickled")


def through_a_checkpoint(state: Any) -> Any:
    arrays: dict[str, Any] = {}
    return unpack(pack(state, "state", arrays, {}), arrays, lambda name: None)  # type: ignore[arg-type, return-value]


def brought_back(root: Thing, **rules: Any) -> Thing:
    other = Thing(stale=1)
    restore(Graph([other], HERE, **rules), through_a_checkpoint(capture(Graph([root], HERE, **rules))))
    return other


def test_every_kind_of_value_comes_back() -> None:
    root = Thing(
        plain=[None, True, 2**70, 0.1, "text", np.float32(0.1), np.array(["a"])],
        kinds=(list, Color.blue, Place(1, Thing(y=2)), frozenset({(1, 2)}), {Place(3, 4)})[1:],
        dicts=[{1: "a", "b": 2, (3, 4): None}, OrderedDict(z=1, a=2), defaultdict(list, {1: [2]}), defaultdict(None)],
        queues=deque([1, 2], maxlen=2),
        objects=np.array([[None, Thing(z=3)]], object),
        slotted=Slotted([7]),
        dtype=np.dtype("<i2"),
        kind=Thing,
    )
    found = brought_back(root)
    assert set(vars(found)) == set(vars(root))
    assert found.plain[:6] == root.plain[:6]  # type: ignore[attr-defined]
    assert type(found.plain[5]) is np.float32  # type: ignore[attr-defined]
    color, place, frozen, unordered = found.kinds  # type: ignore[attr-defined]
    assert color is Color.blue
    assert (type(place), place.row, place.column.y) == (Place, 1, 2)
    assert (frozen, unordered) == (frozenset({(1, 2)}), {Place(3, 4)})
    assert found.dicts == root.dicts  # type: ignore[attr-defined]
    assert [type(one) for one in found.dicts] == [type(one) for one in root.dicts]  # type: ignore[attr-defined]
    assert found.dicts[2][9] == []  # type: ignore[attr-defined]
    assert found.queues.maxlen == 2  # type: ignore[attr-defined]
    assert found.objects.shape == (1, 2)  # type: ignore[attr-defined]
    assert found.objects[0, 1].z == 3  # type: ignore[attr-defined]
    assert found.slotted.x == [7]  # type: ignore[attr-defined]
    assert (found.dtype, found.kind) == (np.dtype("<i2"), Thing)  # type: ignore[attr-defined]


def test_what_is_shared_stays_shared_in_circles_too() -> None:
    root, array = Thing(), np.arange(3)
    shared = Thing(owner=root, array=array)
    shared.itself = [shared]  # type: ignore[attr-defined]
    vars(root).update(one=shared, two=[shared, array], by={shared: 1})
    found: Any = brought_back(root)
    assert found.one is found.two[0] is found.one.itself[0]
    assert found.one.owner is found
    assert found.one.array is found.two[1] is not array
    assert list(found.by) == [found.one]
    found.one.array[0] = 9
    assert array[0] == 0


@pytest.mark.parametrize("kind", ["generator", "random_state", "random"])
def test_generators_go_on(kind: str) -> None:
    made: dict[str, Any] = {
        "generator": np.random.default_rng(1),
        "random_state": np.random.RandomState(1),
        "random": Random(1),
    }
    generator = made[kind]
    found: Any = brought_back(Thing(first=generator, second=generator))
    assert found.first is found.second
    assert [found.first.random() for _ in range(3)] == [generator.random() for _ in range(3)]


def test_constants_stay_and_are_referred_to() -> None:
    options = {"depth": 1}
    root, other = Thing(options=options, inner=Thing(of=options)), Thing(options={"depth": 2}, inner=None)
    rules = {"packages": HERE, "constants": ("options",)}
    restore(Graph([other], **rules), through_a_checkpoint(capture(Graph([root], **rules))))
    found: Any = other
    assert found.options == {"depth": 2}
    assert found.inner.of is found.options


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (gymnasium, r"Thing\.inner\[0\]\.x is of builtins\.module"),
        (lambda: None, r"is of builtins\.function"),
        (copy.deepcopy, r"is of builtins\.function"),
        (gymnasium.spaces.Discrete(2), r"is of gymnasium\.spaces\.discrete\.Discrete, which is not plain data"),
        (type("Listed", (list,), {"__module__": __name__})(), r"Listed, which holds more than its attributes"),
    ],
)
def test_what_is_no_plain_data_is_said_with_its_place(value: Any, said: str) -> None:
    with pytest.raises(NotPlainError, match=said):
        capture(Graph([Thing(inner=[Thing(x=value)])], HERE))


def forged(**node: Any) -> dict[str, Any]:
    return {"roots": [{"x": {"node": 0}}], "nodes": [node]}


@pytest.mark.parametrize(
    "state",
    [
        forged(object="subprocess:Popen", fields={}),
        forged(object="os:system", fields={}),
        forged(**{"class": "builtins:eval"}),
        forged(object=f"{__name__}:gymnasium.Env", fields={}),
        forged(object=f"{__name__}:forged", fields={}),
        forged(object=f"{__name__}:Listed", fields={}),
        forged(object=f"{__name__}.not_loaded:Thing", fields={}),
        forged(object=f"{__name__}:Place", fields={}),
        forged(member="red", of=f"{__name__}:Thing"),
        forged(member="__class__", of=f"{__name__}:Color"),
        forged(named_tuple=f"{__name__}:Thing", items=[]),
        forged(defaultdict=[], factory="eval"),
        forged(generator={"bit_generator": "eval"}),
        forged(tuple=[{"node": 0}]),
        forged(list=[{"node": 7}]),
        forged(list=[{"root": 5}]),
        forged(list=3),
        forged(objects=[1], shape=[10**12]),
        forged(what=3),
        {"roots": [], "nodes": []},
        {"roots": [{"x": {"node": 0}}]},
        {"roots": [{"x": {"constant": [0, "other"]}}], "nodes": []},
    ],
    ids=str,
)
def test_a_strangers_state_makes_nothing_but_plain_objects(state: Any) -> None:
    root = Thing(x=1, other=2)
    with pytest.raises(RunError, match="the saved objects do not fit Thing"):
        restore(Graph([root], HERE), state)


class Road(gymnasium.Env[Any, Any]):
    """A road that shares the environment's generator, as those of simulators do."""

    def __init__(self) -> None:
        self.observation_space = gymnasium.spaces.Discrete(1000)
        self.action_space = gymnasium.spaces.Discrete(2)
        self.cars: list[Thing] = []

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.cars = [Thing(rng=self.np_random, at=0)]
        self.cars.append(Thing(rng=self.np_random, at=0, behind=self.cars[0]))
        return 0, {}

    def step(self, action: Any) -> Any:
        for car in self.cars:
            car.at += int(car.rng.integers(5))  # type: ignore[attr-defined]
        return self.cars[1].behind.at, 0.0, False, False, {}  # type: ignore[attr-defined]


def test_an_environment_of_objects_goes_on_with_the_generator_that_they_share() -> None:
    from rlkit.vector import snapshot

    kind: Any = with_object_state(Road, HERE, ("action_space", "observation_space"))
    assert (kind.__name__, kind.__mro__[1:3]) == ("Road", (ObjectState, Road))
    used, other = kind(), kind()
    used.reset(seed=1)
    used.step(0)
    state = through_a_checkpoint(snapshot.capture(used))
    snapshot.restore(other, state)
    assert other.cars[0].rng is other.np_random
    assert [other.step(0)[0] for _ in range(20)] == [used.step(0)[0] for _ in range(20)]
    assert why_not_plain(used) is None
    used.cars.append(print)
    assert why_not_plain(used) == "Road.cars[2] is of builtins.builtin_function_or_method, which is not plain data"
    with pytest.raises(RunError, match=r"^the state of Road cannot be read: Road.cars\[2\]"):
        used.get_state()
