"""What an agent would score, estimated from episodes that somebody else played."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces

from rlkit.algorithms.estimation.estimates import Effort, Evidence, estimates
from rlkit.algorithms.estimation.fitted_q_evaluation import PolicySteps
from rlkit.algorithms.fitted_values import RegressedValues
from rlkit.config import instantiate
from rlkit.config.run_config import EnvironmentConfig
from rlkit.core import tree
from rlkit.core.seeding import Seeds
from rlkit.core.types import Actor, Array, Tree, UsageError
from rlkit.learners.datasets.demonstrations import Recorded, read_episodes
from rlkit.learners.datasets.demonstrations.rows import require_made_for
from rlkit.learners.kinds import kind_of
from rlkit.learners.slots import fitted, standardized
from rlkit.runs import build
from rlkit.vector.time_steps import first_timestep

AT_ONCE = 4096
"""Observations that an agent acts on together."""

LEAST = 1e-6
"""The least probability that an action is thought to have had, which was taken after all."""


DEFAULTS = {
    "behavior": "rlkit.learners.estimators.logistic.LogisticRegression",
    "regressor": "rlkit.learners.estimators.tree.DecisionTreeRegressor",
}


class Estimators(NamedTuple):
    """The learners that estimates need."""

    behavior: Any  # a classifier: what the data's players do
    regressor: Any  # of action values


def estimated_score(
    agent: Actor,
    environment: EnvironmentConfig,
    path: str,
    learners: Estimators,
    *,
    gamma: float,
    epsilon: float,
    effort: Effort,
    seed: int,
) -> dict[str, Any]:
    """Return estimates of an agent's mean discounted return, as `rlkit eval recorded=…` prints them.

    Args:
        agent: acts greedily, but for `epsilon`.
        environment: of the agent.
        path: recorded episodes, or a Minari data set.
        learners: are fitted to them.
        gamma: discount factor.
        epsilon: probability of a random action.
        effort: how much is computed.
        seed: of what is drawn.

    Raises:
        UsageError: the episodes are of another environment, actions are not discrete, the agent has a memory, or a
            learner is of another kind.
    """
    known = _spaces(environment)
    if not isinstance(known["action_space"], spaces.Discrete):
        space = known["action_space"]
        raise UsageError(f"recorded= estimates by probabilities of Discrete actions, not of {space}; leave it out")
    recorded = read_episodes(path)
    require_made_for(recorded, path, setting="recorded", **known)
    models = _built(learners)
    rng = Seeds(seed).generator("estimates")
    values = RegressedValues(models.regressor, *known.values(), per_action=False, standardize=False)
    evidence = _evidence(agent, recorded, models.behavior, values, epsilon, rng)
    found, effective = estimates(evidence, values, gamma=gamma, effort=effort, rng=rng)
    return {
        "episodes": len(recorded.episodes),
        "effective_episodes": effective,
        "gamma": gamma,
        "estimates": {name: estimate._asdict() for name, estimate in found.items()},
    }


def _spaces(environment: EnvironmentConfig) -> dict[str, Any]:
    env = build.make_environment(environment.for_evaluation(), num_envs=1)
    try:
        return {"observation_space": env.observation_space, "action_space": env.action_space}
    finally:
        env.close()


def _built(learners: Estimators) -> Estimators:
    """Return the learners as objects: of nodes, or those of `rlkit eval` where none is said.

    Raises:
        UsageError: one is of another kind.
    """
    context = {"random_state": lambda path: 0, "device": lambda path: "cpu", "image_shape": lambda path: None}
    built = []
    for name, kind, node in zip(("behavior", "regressor"), ("classifier", "regressor"), learners, strict=True):
        task = {"classifier": "classification", "regressor": "regression"}[kind]
        of_task: Any = {**context, "task": lambda path, task=task: task}
        node = {"_target_": DEFAULTS[name]} if node is None else node
        learner = instantiate.build(node, of_task, name) if isinstance(node, Mapping) else node
        if (found := kind_of(learner)) != kind:
            raise UsageError(f"{name} is a {found}; it must be a {kind}: learner@{name}=…")
        built.append(learner)
    return Estimators(*built)


def _evidence(
    agent: Actor, recorded: Recorded, behavior: Any, values: RegressedValues, epsilon: float, rng: np.random.Generator
) -> Evidence:
    following, num_actions = recorded.next_observation, values.num_actions
    policies = [
        _probabilities(_greedy(agent, states, rng), num_actions, epsilon)
        for states in (recorded.observation, following)
    ]
    action = recorded.action.astype(np.int64)
    rows = values.rows(recorded.observation)
    steps = PolicySteps(rows, action, recorded.reward, recorded.discount, values.rows(following), policies[1])
    model = fitted(standardized(behavior, targets=False), rows, action, int(rng.integers(2**31)))
    place = np.searchsorted(model.classes_, action)
    likely = model.predict_proba(rows)[np.arange(len(rows)), place]
    return Evidence(steps, recorded.starts, policies[0], np.maximum(likely, LEAST))


def _greedy(agent: Actor, observation: Tree, rng: np.random.Generator) -> Array:
    """Return the actions [T] int64 of an agent for observations [T, ...], one by one forgotten.

    Raises:
        UsageError: it has a memory.
    """
    if tree.leaves(agent.initial_memory(1)):
        raise UsageError("recorded= asks the agent about single steps, and this one has a memory; leave recorded= out")
    total = tree.length(observation)
    acted = []
    for low in range(0, total, AT_ONCE):
        timestep = first_timestep(tree.take(observation, slice(low, low + AT_ONCE)), None)
        acted.append(agent.act(timestep, (), explore=False, rng=rng)[0])
    return np.concatenate(acted).astype(np.int64)


def _probabilities(action: Array, num_actions: int, epsilon: float) -> Array:
    return (1 - epsilon) * np.eye(num_actions)[action] + epsilon / num_actions
