"""Declarations of environments and wrappers, and those that Gymnasium's own classes would make.

A class declares by attributes:

- ``state_fields = ("_count",)``: the attributes that change while it runs. Values are plain data: numbers, strings,
  booleans, None, arrays, and lists and dicts of them. ``()`` if there are none. As with ``__slots__``, a subclass names
  only what it adds. A class with state outside of plain attributes offers ``get_state()`` and ``set_state(state)``.
- ``keeps_frames = True``: a wrapper that returns every observation unchanged.
- ``frame_stack``, a number or a property: a wrapper whose observations stack this many frames along axis 0, the newest
  last, shifted by one in each step; of a `Dict` or `Tuple`, a tree of the numbers of its parts.
- ``only_watches = True``: a wrapper that only observes, such as one that records videos; it has no part in a state.

A wrapper whose classes set no attributes has no state, and declares nothing.

A subclass inherits all of these. It loses `keeps_frames` and `frame_stack` if it has its own `step`, `reset` or
`observation`, unless it declares them again, and its state cannot be read if it sets attributes that no class
declares (see `rlkit.vector.snapshot`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, NamedTuple

import gymnasium
from gymnasium import wrappers

from rlkit.core import tree
from rlkit.core.declarations import declarer, own_names
from rlkit.core.types import Tree

OBSERVING = frozenset({"step", "reset", "observation"})
"""The methods through which observations pass."""


class KnownClass(NamedTuple):
    """The declarations of a class of Gymnasium's."""

    state_fields: tuple[str, ...] | None = None  # None: not known
    keeps_frames: bool = False
    frame_stack: Callable[[Any], int] | None = None


KEEPS_FRAMES = KnownClass(keeps_frames=True)
STATELESS = KnownClass(())

# Gymnasium's bases have none, so a wrapper that sets no attribute has none either, and declares nothing.
BASES = (gymnasium.Wrapper, gymnasium.ObservationWrapper, gymnasium.ActionWrapper, gymnasium.RewardWrapper)

WRAPPERS: Mapping[type, KnownClass] = {
    **dict.fromkeys(BASES, STATELESS),
    wrappers.Autoreset: KEEPS_FRAMES,
    wrappers.ClipAction: KnownClass((), keeps_frames=True),
    wrappers.ClipReward: KnownClass((), keeps_frames=True),
    wrappers.DtypeObservation: STATELESS,
    wrappers.FlattenObservation: STATELESS,
    wrappers.FrameStackObservation: KnownClass(frame_stack=lambda layer: layer.stack_size),
    wrappers.GrayscaleObservation: STATELESS,
    wrappers.OrderEnforcing: KnownClass(("_has_reset",), keeps_frames=True),
    wrappers.PassiveEnvChecker: KEEPS_FRAMES,
    wrappers.RecordEpisodeStatistics: KEEPS_FRAMES,
    wrappers.RescaleAction: KnownClass((), keeps_frames=True),
    wrappers.RescaleObservation: STATELESS,
    wrappers.ReshapeObservation: STATELESS,
    wrappers.ResizeObservation: STATELESS,
    wrappers.TimeLimit: KnownClass(("_elapsed_steps",), keeps_frames=True),
}


@cache
def _toy_text() -> Mapping[type, KnownClass]:
    from gymnasium.envs import toy_text

    return {
        toy_text.BlackjackEnv: KnownClass(("dealer", "player", "dealer_top_card_suit", "dealer_top_card_value_str")),
        toy_text.CliffWalkingEnv: KnownClass(("s", "lastaction")),
        toy_text.FrozenLakeEnv: KnownClass(("s", "lastaction")),
        toy_text.TaxiEnv: KnownClass(("s", "lastaction", "fickle_step", "taxi_orientation")),
    }


@cache
def _classic_control() -> Mapping[type, KnownClass]:
    from gymnasium.envs import classic_control

    return {
        classic_control.AcrobotEnv: KnownClass(("state",)),
        classic_control.CartPoleEnv: KnownClass(("state", "steps_beyond_terminated")),
        classic_control.Continuous_MountainCarEnv: KnownClass(("state",)),
        classic_control.MountainCarEnv: KnownClass(("state",)),
        classic_control.PendulumEnv: KnownClass(("state", "last_u")),
    }


LATER = {"gymnasium.envs.toy_text": _toy_text, "gymnasium.envs.classic_control": _classic_control}
"""Packages of environments, imported only for an environment of theirs."""


def known(kind: type) -> KnownClass | None:
    """Return the declarations of a class of Gymnasium's; None for any other class."""
    package = kind.__module__.rpartition(".")[0]
    return LATER[package]().get(kind) if package in LATER else WRAPPERS.get(kind)


def only_watches(layer: gymnasium.Env[Any, Any]) -> bool:
    """Return whether a layer only observes."""
    return bool(getattr(type(layer), "only_watches", False))


def keeps_frames(kind: type) -> bool:
    """Return whether a wrapper is certain to return every observation unchanged."""
    owner = declarer(kind, _declares_keeping, _changes_observations)
    if owner is None:
        return False
    row = known(owner)
    return row.keeps_frames if row else bool(vars(owner)["keeps_frames"])


def _declares_keeping(kind: type) -> bool:
    row = known(kind)
    return row.keeps_frames if row else "keeps_frames" in vars(kind)


def _changes_observations(kind: type) -> bool:
    return bool(OBSERVING & own_names(kind))


def stacked_frames(layer: Any) -> Tree | None:
    """Return how many frames the observations of a layer, or each part, are certain to stack; None if it does not."""
    owner = declarer(type(layer), _stacks, _changes_observations)
    if owner is None:
        return None
    row = known(owner)
    return tree.map(int, row.frame_stack(layer) if row and row.frame_stack else layer.frame_stack)


def _stacks(kind: type) -> bool:
    row = known(kind)
    return row.frame_stack is not None if row else "frame_stack" in vars(kind)
