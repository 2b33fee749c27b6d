"""The rules of an environment's contract that make runs repeatable and resumable."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import gymnasium
import numpy as np

from rlkit.core.array_spaces import as_arrays
from rlkit.testing.driving import Driver, EnvironmentStep, environment, resumed_play
from rlkit.testing.rules import (
    difference,
    freeze,
    global_generators,
    moved_generators,
    require,
    require_equal,
    survived,
)
from rlkit.vector import snapshot


@dataclass
class EnvironmentCase:
    """An environment under examination."""

    make: Any
    seed: int
    steps: int
    action_mask: bool

    def driver(self, env: gymnasium.Env[Any, Any]) -> Driver:
        """Return a driver of `env`; all of them draw the same actions."""
        return Driver(env, np.random.default_rng(self.seed))

    def play(self, seed: int, *, prepare: Any = lambda env: None) -> list[EnvironmentStep]:
        """Return what an environment, new but for what `prepare` does with it, shows from a reset with `seed`."""
        with closing(self.make()) as env:
            prepare(env)
            return self.driver(env).play(self.steps, seed=seed)

    @cached_property
    def trace(self) -> list[EnvironmentStep]:
        """Random play in a new environment, seeded."""
        return self.play(self.seed)


def global_generators_are_left_alone(case: EnvironmentCase) -> None:
    """Randomness comes from `self.np_random`: neither drawing from nor seeding a generator of the whole process."""
    before = global_generators()
    # A seed of its own: seeding a generator again with what it was last seeded with would not be noticed.
    case.play(case.seed + 3)
    moved = moved_generators(before)
    require(not moved, f"reset or step moved the process-wide generator of {', '.join(moved)}; use self.np_random")


SEED_REMEDY = "draw from self.np_random alone, which super().reset(seed=seed) seeds"


def same_seed_same_steps(case: EnvironmentCase) -> None:
    """Two new environments with the same seed and actions show the same observations, rewards and ends."""
    again = case.play(case.seed)
    require_equal(case.trace, again, f"two runs with seed {case.seed} and the same actions differ; {SEED_REMEDY}")


def reseeding_starts_afresh(case: EnvironmentCase) -> None:
    """A used environment that is reset with a seed, within an episode or after one, is like a new one."""
    for state, used in (("in the middle of", _use), ("after the end of", _use_up)):
        again = case.play(case.seed, prepare=lambda env, used=used: used(case, env))
        require_equal(
            case.trace,
            again,
            f"reset(seed={case.seed}) {state} an episode differs from a new environment's; "
            "reset must set again all that step changes",
        )


def _use(case: EnvironmentCase, env: gymnasium.Env[Any, Any]) -> None:
    driver = Driver(env, np.random.default_rng(case.seed + 1))
    driver.play(min(case.steps, 50), seed=case.seed + 1)
    if driver.last:
        driver.reset()


def _use_up(case: EnvironmentCase, env: gymnasium.Env[Any, Any]) -> None:
    driver = Driver(env, np.random.default_rng(case.seed + 2))
    driver.reset(case.seed + 2)
    for _ in range(case.steps):
        if driver.step().last:
            break


def seeds_make_a_difference(case: EnvironmentCase) -> str | None:
    """Different seeds may show the same, as in a deterministic environment; a note says so."""
    again = case.play(case.seed + 1)
    if difference(case.trace, again) is not None:
        return None
    return f"seeds {case.seed} and {case.seed + 1} show the same: deterministic, or the seed is ignored"


def restored_state_continues(case: EnvironmentCase) -> str | None:
    """A state that was read, through a checkpoint and into a used environment, goes on as before."""
    with closing(as_arrays(case.make())) as env:
        why = snapshot.why_opaque(env)
    if why is not None:
        return f"the state cannot be read, so episodes are truncated by checkpoints: {why}"
    for before in (0, 1, 7, case.steps // 2):
        _restore_after(case, before)
    return None


def _restore_after(case: EnvironmentCase, steps: int) -> None:
    with closing(as_arrays(case.make())) as env, closing(as_arrays(case.make())) as other:
        driver = case.driver(env)
        driver.play(steps, seed=case.seed)
        _use(case, other)
        with survived({"state": snapshot.capture(env)}) as saved:
            snapshot.restore(other, saved["state"])
        continued = driver.continued_in(other)
        require_equal(
            driver.play(case.steps),
            continued.play(case.steps),
            f"restored after {steps} steps, the environment goes on otherwise; get_state must return, and set_state "
            "restore, all that step and reset change",
        )


def states_stand_alone(case: EnvironmentCase) -> str | None:
    """What `get_state` returned and what `set_state` was given is not written to by later steps.

    Otherwise the second restoring of a state, as searches do it, would bring back another one.
    """
    with closing(as_arrays(case.make())) as env:
        if snapshot.why_opaque(env) is not None:
            return "the state cannot be read"
        for number, layer in enumerate(snapshot.layers(env)):
            kind: Any = type(layer)
            if snapshot.reading(kind).by_methods:
                _require_alone(case, number)
        driver = case.driver(env)
        driver.play(9, seed=case.seed)
        _require_same_twice(case, driver)
    return None


def _require_alone(case: EnvironmentCase, number: int) -> None:
    """Require it of a layer, by its number from the outside, in an environment of its own."""
    with closing(as_arrays(case.make())) as env:
        layer: Any = list(snapshot.layers(env))[number]
        driver, name = case.driver(env), type(layer).__name__
        driver.play(3, seed=case.seed)
        returned = layer.get_state()
        before = freeze(returned)
        driver.play(3)
        require_equal(before, returned, f"a step wrote to what {name}.get_state() had returned; return a copy")
        # In an episode that is over, another would begin, in which the state that was given plays no part.
        driver.reset(case.seed)
        given = freeze(layer.get_state())
        layer.set_state(given)
        before = freeze(given)
        driver.step()
        require_equal(before, given, f"a step wrote to what {name}.set_state(state) was given; keep a copy")


def _require_same_twice(case: EnvironmentCase, driver: Driver) -> None:
    saved, played = snapshot.capture(driver.env), []
    assert saved is not None
    for _ in range(2):
        snapshot.restore(driver.env, saved)
        played.append(driver.continued_in(driver.env).play(min(case.steps, 20)))
    first, second = played
    require_equal(first, second, "a state that was restored twice goes on in two ways; set_state restores all of it")


def resumed_equals_uninterrupted(case: EnvironmentCase) -> str | None:
    """Random play in two environments, interrupted and resumed in new ones, ends as if uninterrupted."""
    cut = resumed_play(partial(environment, case.make, 2, action_mask=case.action_mask), case.seed, case.steps)
    return "resumed between episodes, as its state cannot be read" if cut else None
