"""The contract of an environment: any `gymnasium.Env` that rlkit trains in."""

from __future__ import annotations

import copy
import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import closing
from math import inf
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.vector import VectorEnv

from rlkit.core import tree
from rlkit.core.array_spaces import as_arrays, require_space
from rlkit.core.types import a_kind
from rlkit.rendering.frames import check_frame
from rlkit.rendering.render_wrapper import headless
from rlkit.testing import vectors
from rlkit.testing.driving import Driver, EnvironmentStep, MakeEnv, require_contained, require_no, takes_render_mode
from rlkit.testing.exactness import (
    EnvironmentCase,
    global_generators_are_left_alone,
    reseeding_starts_afresh,
    restored_state_continues,
    resumed_equals_uninterrupted,
    same_seed_same_steps,
    seeds_make_a_difference,
    states_stand_alone,
)
from rlkit.testing.from_run import ENVIRONMENT, with_run_values
from rlkit.testing.gymnasium_checker import examine_with_gymnasium
from rlkit.testing.rules import OnResult, Result, conclude, difference, examine, require, require_equal, silent
from rlkit.vector import contract
from rlkit.vector.first_steps import BeyondBoundsWarning

PLAYS = 20
"""Plays of all rules together, about."""

ROUNDING = 1e-9
"""By how much drawing may change numbers, as the forward pass that MuJoCo's renderers make does."""

FEWEST = 50
"""Steps that a rule plays, however slow the environment."""


def check_env(
    make: MakeEnv,
    *,
    seed: int = 0,
    steps: int = 1000,
    action_mask: bool = False,
    strict: bool = True,
    on_result: OnResult = silent,
    seconds: float | None = None,
    notify: Callable[[str], None] = lambda line: None,
) -> list[Result]:
    """Check that an environment keeps Gymnasium's contract and rlkit's; ``check_env(Maze)`` is a whole test.

    First Gymnasium's own ``gymnasium.utils.env_checker.check_env`` has its say: an error is a broken rule
    ``gymnasium_check_env``, a warning a remark. What one of our rules says as well is said once.

    Args:
        make: builds a new `gymnasium.Env` or `VectorEnv` at each call. Where it takes `render_mode`, frames are
            checked too. What its signature marks as the run's (`rlkit.core.types.FromRun`) it gets.
        seed: of the random play.
        steps: how long each rule plays; episodes should end within.
        action_mask: take legal actions from ``info["action_mask"]``.
        strict: raise where a rule is broken; else it is for the caller to read the results.
        on_result: called with each result as soon as it is there.
        seconds: for which it is played at most, about: in a slow environment rules play fewer steps. None: no limit.
        notify: called with a line that says so.

    Raises:
        ContractError: a rule is broken: one line for each, with the values and the remedy.
    """
    make = with_run_values(make, ENVIRONMENT)
    with headless(), warnings.catch_warnings():
        warnings.simplefilter("ignore", BeyondBoundsWarning)  # A rule says it.
        if isinstance(_probe(make), VectorEnv):
            results = vectors.check(make, seed=seed, steps=steps, action_mask=action_mask, on_result=on_result)
        else:
            steps = steps if seconds is None else _affordable(make, steps, seconds, notify)
            case = EnvironmentCase(make, seed, steps, action_mask)
            results = examine_with_gymnasium(make, lambda: examine(case, ESSENTIAL, RULES, on_result), on_result)
    return conclude(results, strict=strict)


def _affordable(make: MakeEnv, steps: int, seconds: float, notify: Callable[[str], None]) -> int:
    """Return how many of `steps` each rule can play so that all of them take about `seconds`."""
    try:
        pace = _pace(make)
    except Exception:  # a rule reports it
        return steps
    wanted = max(FEWEST, int(seconds * pace / PLAYS))
    if wanted >= steps:
        return steps
    notify(f"it makes {pace:.3g} steps a second: each rule plays {wanted} steps, not {steps} (seconds={seconds:g})")
    return wanted


def _pace(make: MakeEnv) -> float:
    """Return the steps a second of random play, measured for about a second."""
    with closing(make()) as env:
        env.reset(seed=0)
        env.action_space.seed(0)
        begun, count = time.perf_counter(), 0
        while count < 3 or (time.perf_counter() - begun < 1.0 and count < 1000):
            _, _, terminated, truncated, _ = env.step(env.action_space.sample())
            count += 1
            if terminated or truncated:
                env.reset()
        return count / max(time.perf_counter() - begun, 1e-9)


def _probe(make: MakeEnv) -> Any:
    """Return what `make` builds, closed, or None where it raises: a rule reports that."""
    try:
        env = make()
        env.close()
    except Exception:  # somebody else's code can raise anything
        return None
    return env


def is_a_new_environment_each_time(case: EnvironmentCase) -> None:
    """`make` builds a `gymnasium.Env`, another one at each call."""
    env, other = case.make(), case.make()
    found = type(env).__name__
    require(
        isinstance(env, gymnasium.Env), f"make() returned {a_kind(env)}; it must return a gymnasium.Env or a VectorEnv"
    )
    require(env is not other, f"make() returned the same {found} twice; it must build a new one at each call")
    env.close()
    other.close()


def spaces_are_arrays(case: EnvironmentCase) -> None:
    """The spaces are arrays, or can be made so (`UsageError` otherwise)."""
    with closing(case.make()) as env:
        for name in ("observation_space", "action_space"):
            require_space(name, getattr(env, name, None))
        as_arrays(env)


def reset_and_step_follow_gymnasium(case: EnvironmentCase) -> str | None:
    """`reset(seed=…)` returns (observation, info), `step` five values, and neither raises in random play."""
    with closing(case.make()) as env:
        started = env.reset(seed=case.seed)
        require_no(contract.reset_fault(started))
        driver = case.driver(env)
        driver.reset(case.seed)
        stepped = env.step(driver.draw())
        require_no(contract.step_fault(stepped))
    require(len(case.trace) >= case.steps, f"random play returned {len(case.trace)} of {case.steps} steps")
    masked = "action_mask" in started[1] and not case.action_mask
    return "reset returns an action_mask, which action_mask=true would use" if masked else None


def observations_fit_the_space(case: EnvironmentCase) -> None:
    """Observations of reset and step have the shape and dtype of their space and lie within its bounds."""
    with closing(case.make()) as env:
        space = env.observation_space
    for number, step in enumerate(case.trace):
        require_contained(step.observation, space, f"step {number}" if step.action is not None else "reset")


def spaces_stay_the_same(case: EnvironmentCase) -> None:
    """The spaces are the same after resets and steps: agents are built for those of the start."""
    with closing(case.make()) as env:
        before = copy.deepcopy((env.observation_space, env.action_space))
        case.driver(env).play(min(case.steps, 200), seed=case.seed)
        for name, was in zip(("observation_space", "action_space"), before, strict=True):
            now = getattr(env, name)
            require(was == now, f"{name} was {was} and is {now} later; it must stay the same")


def rewards_are_finite_numbers(case: EnvironmentCase) -> None:
    """Rewards are numbers, neither arrays nor NaN nor infinite."""
    for number, step in enumerate(case.trace):
        if step.action is not None:
            require_no(contract.reward_fault(step.reward, f"step {number}"))


def ends_are_booleans(case: EnvironmentCase) -> None:
    """`terminated` and `truncated` are booleans."""
    for number, step in enumerate(case.trace):
        for name in ("terminated", "truncated"):
            require_no(contract.end_fault(name, getattr(step, name), f"step {number}"))


def observations_stay_as_they_were(case: EnvironmentCase) -> None:
    """An observation once returned is not written to later: agents and replays may keep it."""
    with closing(case.make()) as env:
        driver = case.driver(env)
        trace = driver.play(min(case.steps, 200), seed=case.seed)
        for number, (step, returned) in enumerate(zip(trace, driver.returned, strict=True)):
            require_equal(
                step.observation,
                returned,
                f"the environment changed the observation of step {number} after it had returned it; return a copy",
            )


def actions_are_left_alone(case: EnvironmentCase) -> str | None:
    """`step` does not write to its action."""
    with closing(case.make()) as env:
        if isinstance(env.action_space, spaces.Discrete):
            return "actions are numbers"
        driver = case.driver(env)
        driver.reset(case.seed)
        for number in range(20):
            action = driver.draw()
            before = copy.deepcopy(action)
            _, _, terminated, truncated, _ = env.step(action)
            require_equal(before, action, f"step {number} wrote to its action; copy it first")
            if terminated or truncated:
                driver.reset()
    return None


def episodes_follow_each_other(case: EnvironmentCase) -> str | None:
    """After an end, `reset()` starts a new episode that is not over at once because the old one was."""
    lengths = _episode_lengths(case.trace)
    if not lengths:
        return f"no episode ended within {case.steps} steps; raise steps if one should"
    later = lengths[1:]
    require(
        lengths[0] == 1 or len(later) < 3 or any(length > 1 for length in later),
        f"the first episode took {lengths[0]} steps, each of the {len(later)} after it ended with its first; "
        "reset must clear what ended the episode before",
    )
    return None


def _episode_lengths(trace: Sequence[EnvironmentStep]) -> list[int]:
    lengths, length = [], 0
    for step in trace:
        length = 0 if step.action is None else length + 1
        if step.last:
            lengths.append(length)
    return lengths


def pictures_are_rgb(case: EnvironmentCase) -> str | None:
    """Where ``rgb_array`` is a render mode, frames are [height, width, 3] uint8 and drawing changes nothing."""
    with closing(case.make()) as env:
        if "rgb_array" not in ((env.metadata or {}).get("render_modes") or []):
            return "metadata['render_modes'] has no rgb_array: no frames, no videos"
    if not takes_render_mode(case.make):
        return "not looked at: make takes no render_mode"
    with closing(case.make(render_mode="rgb_array")) as env:
        require(
            env.render_mode == "rgb_array",
            f"built with render_mode='rgb_array', its render_mode is {env.render_mode!r}; keep the argument of "
            "__init__ (a run passes it where the constructor has render_mode=None; instead of gymnasium.make, which "
            "has none, a YAML names rlkit.envs.gym.make)",
        )
        shown = _filmed(case.driver(env), case)
    drift = max(map(_drift, case.trace, shown))
    if 0 < drift <= ROUNDING:
        return f"render() changes the simulation by rounding, by {drift:.0e}: a filmed episode may end up elsewhere"
    require_equal(case.trace[: len(shown)], shown, "render() changes what the environment does; it must only draw")
    return None


def _drift(step: EnvironmentStep, other: EnvironmentStep) -> float:
    """Return by how much the numbers of two steps differ, infinity if anything else does."""
    numbers = [(one.observation, 0.0 if one.reward is None else one.reward) for one in (step, other)]
    rest = [one._replace(observation=None, reward=None) for one in (step, other)]
    if difference(rest[0], rest[1]) is not None:
        return inf
    try:
        parts = zip(*map(tree.leaves, numbers), strict=True)
        return max(float(np.max(np.abs(np.subtract(a, b, dtype=np.float64)))) for a, b in parts)
    except (TypeError, ValueError):
        return inf


def _filmed(driver: Driver, case: EnvironmentCase) -> list[EnvironmentStep]:
    shown = [driver.reset(case.seed)]
    for _ in range(min(case.steps, 30)):
        check_frame(driver.env.render())  # type: ignore[arg-type]
        shown.append(driver.step())
    return shown


ESSENTIAL = (is_a_new_environment_each_time, spaces_are_arrays, reset_and_step_follow_gymnasium)
RULES = (
    observations_fit_the_space,
    spaces_stay_the_same,
    rewards_are_finite_numbers,
    ends_are_booleans,
    observations_stay_as_they_were,
    actions_are_left_alone,
    global_generators_are_left_alone,
    same_seed_same_steps,
    reseeding_starts_afresh,
    seeds_make_a_difference,
    episodes_follow_each_other,
    restored_state_continues,
    states_stand_alone,
    resumed_equals_uninterrupted,
    pictures_are_rgb,
)
