"""The contract of an agent: `rlkit.core.types.Agent`, trained in a small environment."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace

import numpy as np

from rlkit.core import tree
from rlkit.core.evaluation import evaluate
from rlkit.core.seeding import Seeds
from rlkit.core.spaces import choice_sizes
from rlkit.core.types import Agent, Array, Transition, UsageError
from rlkit.testing.composed import composing
from rlkit.testing.driving import MakeEnv
from rlkit.testing.rules import (
    ContractError,
    OnResult,
    Result,
    conclude,
    examine,
    freeze,
    raised,
    require,
    require_equal,
    silent,
    survived,
)
from rlkit.testing.training import AgentCase, MakeAgent, Trainee, can_be_masked, one_of_each, torch_threads
from rlkit.testing.watching import illegal


def check_agent(
    make_agent: MakeAgent,
    make_env: MakeEnv,
    *,
    seed: int = 0,
    steps: int = 1500,
    num_envs: int = 3,
    action_mask: bool = False,
    threads: int = 1,
    strict: bool = True,
    on_result: OnResult = silent,
) -> list[Result]:
    """Check that an agent keeps rlkit's contract, by training it several times in an environment.

    ::

        check_agent(lambda env, seeds: MyAgent(env.action_space, rng=seeds.generator("agent")), Maze)

    Args:
        make_agent: builds a new agent for ``env.observation_space``, ``env.action_space`` and ``env.num_envs``; its
            generators come from the `rlkit.core.seeding.Seeds`, so that the same seeds make the same agent.
        make_env: builds a new small environment at each call.
        seed: of everything.
        steps: decisions that it is trained for: enough for `update` to have work.
        num_envs: environments in parallel; one alone is tried as well.
        action_mask: read legal actions from ``info["action_mask"]``; without it, masks are tried all the same.
        threads: for torch, while this runs; small networks are fastest with one.
        strict: raise where a rule is broken; else it is for the caller to read the results.
        on_result: called with each result as soon as it is there.

    Raises:
        ContractError: a rule is broken: one line for each, with the values and the remedy.
    """
    case = AgentCase(make_agent, make_env, seed, max(10, steps), num_envs, action_mask)
    with torch_threads(threads):
        return conclude(examine(case, ESSENTIAL, RULES, on_result), strict=strict)


def actions_fit_the_space(case: AgentCase) -> None:
    """`act` returns an array [N, ...] of actions in the space (or RESIGN, where accepted), of a dtype that fits."""
    case.heed("actions_fit_the_space")


def trains_without_raising(case: AgentCase) -> str | None:
    """Acting, observing and updating in several environments raise nothing."""
    error = case.lesson.error
    if error is not None:
        raise ContractError(f"training in {case.num_envs} environments {raised(error)}") from error
    return None if case.lesson.learned else f"update had nothing to do in {case.steps} steps: learning was not checked"


def metrics_are_finite_numbers(case: AgentCase) -> None:
    """`update` returns named finite floats, or None where nothing was due."""
    case.heed("metrics_are_finite_numbers")


def inputs_are_left_alone(case: AgentCase) -> None:
    """`act` and `observe` write neither to time step, memory nor transition."""
    case.heed("inputs_are_left_alone")


def global_generators_are_left_alone(case: AgentCase) -> None:
    """Nothing draws from, or seeds, a generator of the whole process."""
    case.heed("global_generators_are_left_alone")


def memory_keeps_its_form(case: AgentCase) -> None:
    """`act` returns memory in the form of `initial_memory`: the same keys, shapes and dtypes."""
    case.heed("memory_keeps_its_form")


def act_changes_nothing(case: AgentCase) -> None:
    """`act` leaves the agent as it was, exploring or not."""
    agent = case.lesson.agent
    for explore in (True, False):
        before = freeze(agent.state_dict())
        for timestep, memory in case.situations:
            agent.act(timestep, memory, explore=explore, rng=np.random.default_rng(case.seed))
        require_equal(
            before,
            agent.state_dict(),
            f"act with explore={explore} changed the agent; count and learn in observe and update only",
        )


def act_repeats_itself(case: AgentCase) -> None:
    """The same time step, memory and generator lead to the same action and memory."""
    agent = case.lesson.agent
    for timestep, memory in case.situations:
        for explore in (False, True):
            first, second = (
                freeze(agent.act(timestep, memory, explore=explore, rng=np.random.default_rng(case.seed)))
                for _ in range(2)
            )
            require_equal(first, second, f"act with explore={explore} does not depend on its arguments alone")


def actions_are_legal(case: AgentCase) -> str | None:
    """`act` keeps to the legal actions where a time step says which, and learning copes with states that have none."""
    if not can_be_masked(case.action_space):
        return f"no action of {case.action_space} can be ruled out"
    lesson = case.train(masked=True)
    require("actions_are_legal" not in lesson.complaints, lesson.complaints.get("actions_are_legal", ""))
    if lesson.error is not None:
        raise ContractError(f"training with legal_actions {raised(lesson.error)}") from lesson.error
    problem = lesson.complaints.get("metrics_are_finite_numbers")
    require(problem is None, f"with legal_actions {problem}; a state that ends the game may have no legal action")
    _require_legal_when_greedy(case, lesson.agent)
    return None


def _require_legal_when_greedy(case: AgentCase, agent: Agent) -> None:
    rng = np.random.default_rng(case.seed)
    sizes = choice_sizes(case.action_space)
    for timestep, memory in case.situations:
        only = timestep.legal_actions
        if only is None:  # else the environment has rules of its own, which planners go by
            only = one_of_each(sizes, len(timestep.valid), rng)
        action, _ = agent.act(timestep._replace(legal_actions=only), memory, explore=False, rng=rng)
        problem = illegal(action, only, case.action_space)
        require(problem is None, f"with explore=False {problem}")


def evaluation_leaves_no_trace(case: AgentCase) -> None:
    """Whole greedy episodes, in another number of environments than in training, leave the agent as it was."""
    agent, seeds = case.lesson.agent, Seeds(case.seed)
    before = freeze(agent.state_dict())
    with closing(case.environment(2)) as env:
        evaluate(
            agent,
            env,
            episodes=3,
            max_steps=100,
            rng=seeds.generator("evaluation actions"),
            episode_seeds=seeds.integers("evaluation episodes", size=3),
        )
    require_equal(before, agent.state_dict(), "evaluation changed the agent; act must change nothing")


def state_is_plain_data(case: AgentCase) -> None:
    """`state_dict` is plain data that a checkpoint can hold, and `load_state_dict` restores it."""
    with case.trainee() as fresh, survived({"agent": case.lesson.agent.state_dict()}) as saved:
        fresh.agent.load_state_dict(saved["agent"])
        require_equal(
            case.lesson.agent.state_dict(),
            fresh.agent.state_dict(),
            "a new agent that loaded the state returns another one; load_state_dict must restore all of it",
        )


def same_seed_same_bits(case: AgentCase) -> None:
    """Two trainings from the same seed end in the same state."""
    again = case.train()
    require(again.error is None, f"a second training {raised(again.error)}" if again.error else "")
    require_equal(
        case.lesson.state,
        again.state,
        f"two trainings from seed {case.seed} differ; draw from the rng of act and from generators of the seeds only",
    )


def resumed_equals_uninterrupted(case: AgentCase) -> None:
    """A training that was saved early or late, and resumed by a new agent, ends in the same state."""
    with case.trainee() as trainee:
        for parts in (2, 4):
            # One step past a round number, so that what is due and not done yet must be in the state.
            trainee.advance(parts * case.part + (0 if trainee.cut else 1))
            _require_resumable(case, trainee)


def _require_resumable(case: AgentCase, trainee: Trainee) -> None:
    at = trainee.stream.steps
    with case.trainee() as resumed:
        with survived(trainee.state_dict()) as saved:
            resumed.load_state_dict(saved)
        resumed.advance(case.steps)
        require_equal(
            case.lesson.state,
            resumed.state_dict(),
            f"training resumed from step {at} ends otherwise at step {case.steps} than the uninterrupted one; "
            "state_dict must hold all that changes: parameters, optimizer, counters, generators, what is stored",
        )


def invalid_rows_are_skipped(case: AgentCase) -> None:
    """Rows that are not valid, whatever is in them, neither change the agent nor are they kept."""
    with _copies(case) as (agent, other):
        transition = _next_transition(case)
        nothing = np.zeros(len(transition.valid), bool)
        before = freeze(agent.state_dict())
        agent.observe(_garbled(transition, nothing, 1))
        metrics = agent.update()
        remedy = "skip the rows where transition.valid is False"
        require_equal(before, agent.state_dict(), f"a transition without a valid row changed the agent; {remedy}")
        require(metrics is None, f"update returned {metrics} after a transition without a valid row; {remedy}")
        for sign, one in ((1, agent), (-1, other)):
            one.observe(_garbled(transition, np.arange(len(nothing)) == 0, sign))
            one.update()
        require_equal(agent.state_dict(), other.state_dict(), f"what an invalid row held matters; {remedy}")


@contextmanager
def _copies(case: AgentCase) -> Iterator[tuple[Agent, Agent]]:
    """Yield two agents as they are after training."""
    with case.trainee() as first, case.trainee() as second:
        for trainee in (first, second):
            with survived({"agent": case.lesson.agent.state_dict()}) as saved:
                trainee.agent.load_state_dict(saved["agent"])
        yield first.agent, second.agent


def _next_transition(case: AgentCase) -> Transition:
    transition = case.lesson.transition
    assert transition is not None
    return transition


def _garbled(transition: Transition, valid: Array, sign: int) -> Transition:
    """Return `transition` with only the rows `valid`, and nonsense in the others."""
    rows: Transition = copy.deepcopy(transition)
    rows.reward[~valid] = sign * 1e6
    rows.discount[~valid] = sign < 0
    rows.last[~valid] = sign < 0
    shown = tree.take(rows.observation, ~valid) if sign < 0 else tree.take(rows.next_observation, slice(1))
    tree.put(rows.next_observation, ~valid, shown)
    return rows._replace(valid=valid)


def one_environment_is_no_special_case(case: AgentCase) -> None:
    """The same agent trains in one environment."""
    lesson = case.train(1)
    if lesson.error is not None:
        raise ContractError(f"training in one environment {raised(lesson.error)}") from lesson.error
    for rule, complaint in lesson.complaints.items():
        raise ContractError(f"in one environment {rule} is broken: {complaint}")


def composed_observations_keep_the_contract(case: AgentCase) -> str | None:
    """Where an agent takes a `Dict` with a `Tuple` in it, training on that is as sound, and is resumed exactly."""
    if case.is_vector:
        return "a vector environment's observations are not composed"
    part = replace(case, make_env=composing(case.make_env), steps=2 * case.part)
    try:
        lesson = part.lesson
    except Exception as problem:  # somebody else's constructor can raise anything
        return _takes_none(problem)
    if lesson.error is not None:
        return _takes_none(lesson.error)
    for rule, complaint in lesson.complaints.items():
        raise ContractError(f"with Dict observations {rule} is broken: {complaint}")
    resumed_equals_uninterrupted(part)
    return None


def _takes_none(problem: Exception) -> str:
    """Return that nothing was checked, with the reason where an agent says it in words for a user."""
    said = f": {problem}" if isinstance(problem, UsageError) and problem.__cause__ is None else ""
    return f"not checked: it does not take Dict observations, which no agent has to{said}"


ESSENTIAL = (actions_fit_the_space, trains_without_raising)
RULES = (
    metrics_are_finite_numbers,
    inputs_are_left_alone,
    global_generators_are_left_alone,
    memory_keeps_its_form,
    act_changes_nothing,
    act_repeats_itself,
    actions_are_legal,
    evaluation_leaves_no_trace,
    state_is_plain_data,
    same_seed_same_bits,
    resumed_equals_uninterrupted,
    invalid_rows_are_skipped,
    one_environment_is_no_special_case,
    composed_observations_keep_the_contract,
)
