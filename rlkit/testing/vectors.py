"""The contract of a vector environment: a `gymnasium.vector.VectorEnv` of somebody's own, native or not."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, NamedTuple

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv

from rlkit.core import tree
from rlkit.core.random_actions import random_action
from rlkit.core.types import Array, Tree
from rlkit.testing.driving import MakeEnv, environment, random_stream, require_contained, require_no, resumed_play
from rlkit.testing.rules import OnResult, Result, difference, examine, freeze, require, require_equal
from rlkit.vector import contract


class VectorStep(NamedTuple):
    """The values that a step of a vector environment returned."""

    observation: Any  # [N, ...]
    reward: Any  # [N]
    terminated: Any  # [N] bool
    truncated: Any  # [N] bool
    infos: Any

    @property
    def last(self) -> Array:
        """[N] which episodes ended."""
        return np.asarray(np.logical_or(self.terminated, self.truncated))


@dataclass
class VectorCase:
    """A vector environment under examination."""

    make: Any
    seed: int
    steps: int
    action_mask: bool

    @cached_property
    def facts(self) -> VectorEnv[Any, Any, Any]:
        """A closed one, for its spaces and metadata."""
        env: VectorEnv[Any, Any, Any] = self.make()
        env.close()
        return env

    @property
    def mode(self) -> AutoresetMode:
        """How it says that episodes are reset; Gymnasium's default where it says nothing."""
        return AutoresetMode((self.facts.metadata or {}).get("autoreset_mode", AutoresetMode.NEXT_STEP))

    @cached_property
    def trace(self) -> list[VectorStep]:
        """Random play, seeded."""
        with closing(self.make()) as env:
            return play(env, self.mode, self.seed, self.steps)


def play(env: VectorEnv[Any, Any, Any], mode: AutoresetMode, seed: int, steps: int) -> list[VectorStep]:
    """Return `steps` steps of random play after a reset with `seed`, copied."""
    rng = np.random.default_rng(seed)
    _, infos = env.reset(seed=seed)
    found: list[VectorStep] = []
    for _ in range(steps):
        step = VectorStep(*freeze(env.step(draw(env, infos, rng))))
        found.append(step)
        infos = step.infos
        if mode is AutoresetMode.DISABLED and step.last.any():
            _, infos = env.reset(options={"reset_mask": step.last.copy()})
    return found


def draw(env: VectorEnv[Any, Any, Any], infos: dict[str, Any], rng: np.random.Generator) -> Tree:
    """Return random actions [N, ...], legal ones where ``infos["action_mask"]`` says which."""
    known = infos.get("_action_mask", np.ones(env.num_envs, bool)) if "action_mask" in infos else np.zeros(env.num_envs)
    masks = [infos["action_mask"][i] if known[i] else None for i in range(env.num_envs)]
    return tree.stack([random_action(env.single_action_space, rng, mask) for mask in masks])


def check(make: MakeEnv, *, seed: int, steps: int, action_mask: bool, on_result: OnResult) -> list[Result]:
    """Examine a vector environment; arguments as in `rlkit.testing.check_env`."""
    return examine(VectorCase(make, seed, steps, action_mask), ESSENTIAL, RULES, on_result)


def is_a_new_environment_each_time(case: VectorCase) -> None:
    """`make` builds another vector environment at each call."""
    with closing(case.make()) as env, closing(case.make()) as other:
        require(env is not other, "make() returned the same VectorEnv twice; it must build a new one at each call")


def spaces_are_arrays(case: VectorCase) -> None:
    """The spaces of one environment are arrays or trees of them, discrete values counted from zero."""
    for name in ("single_observation_space", "single_action_space"):
        space: Any = getattr(case.facts, name, None)
        require_no(contract.vector_space_fault(name, space))


def autoreset_mode_is_declared(case: VectorCase) -> None:
    """`metadata` says how episodes are reset."""
    declared = (case.facts.metadata or {}).get("autoreset_mode")
    require(
        declared in list(AutoresetMode) or declared in [mode.value for mode in AutoresetMode],
        f"metadata['autoreset_mode'] is {declared!r}; set it to gymnasium.vector.AutoresetMode.NEXT_STEP, "
        "SAME_STEP or DISABLED",
    )


def reset_and_step_follow_gymnasium(case: VectorCase) -> None:
    """`reset(seed=…)` returns (observations, infos), `step` five values, and neither raises in random play."""
    with closing(case.make()) as env:
        observation, infos = env.reset(seed=case.seed)
        require(isinstance(infos, dict), f"reset returned infos of type {type(infos).__name__}; it must be a dict")
        require_no(contract.rows_fault(observation, case.facts.single_observation_space, case.facts.num_envs, "reset"))
    require(len(case.trace) >= case.steps, f"random play returned {len(case.trace)} of {case.steps} steps")


def arrays_have_a_row_for_each_environment(case: VectorCase) -> None:
    """Observations are [N, ...]; rewards are [N] finite numbers; ends are [N] booleans."""
    n, space = case.facts.num_envs, case.facts.single_observation_space
    for number, step in enumerate(case.trace):
        where = f"step {number}"
        require_no(contract.rows_fault(step.observation, space, n, where))
        for name in ("reward", "terminated", "truncated"):
            require_no(contract.column_fault(name, getattr(step, name), n, where))


def observations_fit_the_space(case: VectorCase) -> None:
    """Each row lies in the space of one environment, in its dtype."""
    space = case.facts.single_observation_space
    for number, step in enumerate(case.trace):
        for i in range(case.facts.num_envs):
            require_contained(tree.take(step.observation, i), space, f"step {number}, environment {i}")


def autoreset_mode_is_obeyed(case: VectorCase) -> str | None:
    """What comes at and after an end is what the declared mode says."""
    ends = [(number, step) for number, step in enumerate(case.trace) if step.last.any()]
    if not ends:
        return f"no episode ended within {case.steps} steps; raise steps if one should"
    if case.mode is AutoresetMode.SAME_STEP:
        for number, step in ends:
            _require_final(case, number, step)
    elif case.mode is AutoresetMode.NEXT_STEP:
        for number, step in ends:
            if number + 1 < case.steps:
                _require_reset_step(number + 1, step.last, case.trace[number + 1])
    else:
        _require_masked_reset(case)
    return None


def _require_final(case: VectorCase, number: int, step: VectorStep) -> None:
    require(
        "final_obs" in step.infos,
        f"step {number} ended an episode, but infos has no 'final_obs'; in same-step mode it holds what the episode "
        "ended with",
    )
    for i in np.flatnonzero(step.last):
        where = f"final_obs of step {number}, environment {i}"
        require_contained(step.infos["final_obs"][i], case.facts.single_observation_space, where)


def _require_reset_step(number: int, ended: Array, step: VectorStep) -> None:
    for i in np.flatnonzero(ended):
        reward, last = float(step.reward[i]), bool(step.last[i])
        require(
            reward == 0 and not last,
            f"step {number} after an end has reward {reward:g} and last={last} in environment {i}; in next-step "
            "mode it only resets: reward 0, no end, the action ignored",
        )


def _require_masked_reset(case: VectorCase) -> None:
    """With autoreset disabled, `reset` with a mask touches the rows of the mask alone."""
    first = next(number for number, step in enumerate(case.trace) if step.last.any())
    with closing(case.make()) as env:
        # Up to its first end, play needs no reset, so it is the same in any mode.
        step = play(env, AutoresetMode.NEXT_STEP, case.seed, first + 1)[-1]
        mask = np.arange(case.facts.num_envs) == step.last.argmax()
        observation, _ = env.reset(options={"reset_mask": mask.copy()})
        require_equal(
            tree.take(step.observation, ~mask),
            tree.take(observation, ~mask),
            "reset(options={'reset_mask': mask}) changed environments outside of the mask",
        )


def same_seed_same_steps(case: VectorCase) -> None:
    """Two new ones with the same seed show the same; so do rlkit's streams of them, seeded row by row."""
    with closing(case.make()) as env:
        again = play(env, case.mode, case.seed, case.steps)
    require_equal(
        [step[:4] for step in case.trace],
        [step[:4] for step in again],
        f"two runs with seed {case.seed} and the same actions differ; all randomness must come from reset(seed=…)",
    )
    require_equal(_streamed(case), _streamed(case), "two runs with the same seed for each environment differ")


def _streamed(case: VectorCase) -> list[Any]:
    with closing(environment(case.make, case.facts.num_envs, action_mask=case.action_mask)) as env:
        stream = random_stream(env, case.seed, 0)
        return [freeze(next(stream)) for _ in range(min(case.steps, 100))]


def seeds_make_a_difference(case: VectorCase) -> str | None:
    """Episodes begin differently with different seeds, where they begin differently at all."""
    seeds = [case.seed + i for i in range(3)]
    begun = []
    for seed in seeds:
        with closing(case.make()) as env:
            begun.append(freeze(env.reset(seed=seed)[0]))
            players = int(getattr(env, "players", 1))
    if any(difference(begun[0], other) is not None for other in begun[1:]):
        return None
    # Agents of one game may well see different things.
    rows = [tree.take(begun[0], i) for i in range(0, case.facts.num_envs, players)]
    require(
        all(difference(rows[0], row) is None for row in rows[1:]),
        f"its environments begin differently, but alike after reset(seed=…) with the seeds {seeds}: it ignores them, "
        "and all evaluations would be of the same episodes; pass the seed on to the simulator",
    )
    return f"the seeds {seeds} begin alike: episodes always begin so, or the seed is ignored"


def actions_are_left_alone(case: VectorCase) -> None:
    """`step` does not write to its actions."""
    with closing(case.make()) as env:
        _, infos = env.reset(seed=case.seed)
        action = draw(env, infos, np.random.default_rng(case.seed))
        before = tree.copy(action)
        env.step(action)
        require_equal(before, action, "step wrote to its actions; copy them first")


def resumed_equals_uninterrupted(case: VectorCase) -> str | None:
    """Random play, interrupted and resumed in a new one, ends as if uninterrupted."""
    n = case.facts.num_envs
    cut = resumed_play(partial(environment, case.make, n, action_mask=case.action_mask), case.seed, case.steps)
    return "resumed between episodes, as it does not have get_state and set_state" if cut else None


ESSENTIAL = (
    is_a_new_environment_each_time,
    spaces_are_arrays,
    autoreset_mode_is_declared,
    reset_and_step_follow_gymnasium,
)
RULES = (
    arrays_have_a_row_for_each_environment,
    observations_fit_the_space,
    autoreset_mode_is_obeyed,
    same_seed_same_steps,
    seeds_make_a_difference,
    actions_are_left_alone,
    resumed_equals_uninterrupted,
)
