"""The areas that faults are drawn from: files of the package, and the tests that are nearest to them.

Patterns are those of `pathlib.Path.glob`, from the root of the checkout; test files are named without `test_`.
A file belongs to the first area that names it. This table is all that a renamed module or test file changes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Area:
    """What one stratum is drawn from."""

    modules: tuple[str, ...]
    tests: tuple[str, ...]


def area(modules: str, tests: str) -> Area:
    """Return an area from words."""
    return Area(tuple(modules.split()), tuple(tests.split()))


AREAS = {
    "targets": area("rlkit/core/targets.py", "targets targets_values turns"),
    "traces": area(
        "rlkit/algorithms/tabular/traces.py rlkit/algorithms/linear/agent.py rlkit/algorithms/tabular/control.py",
        "tabular linear exact_control turns agents",
    ),
    "rollouts": area(
        "rlkit/algorithms/policy_gradient/rollout*.py rlkit/algorithms/policy_gradient/*agent.py "
        "rlkit/networks/activation_cache.py rlkit/algorithms/counters.py rlkit/core/schedules.py",
        "rollout activation_cache counters no_steps policy_gradient reinforce actor_critic",
    ),
    "losses": area(
        "rlkit/algorithms/policy_gradient/losses.py rlkit/algorithms/fitted_values.py agents/dqn.py "
        "agents/ppo.py agents/a2c.py agents/actor_critic.py agents/reinforce.py agents/es.py",
        "policy_losses dqn policy_gradient reinforce actor_critic es",
    ),
    "distributions": area(
        "rlkit/networks/return_distributions.py rlkit/networks/action_distributions.py",
        "return_distributions action_distributions action_distributions_values dqn",
    ),
    "replay": area("rlkit/replay/*.py", "replay replay_oracle"),
    "vector adapters": area(
        "rlkit/vector/*.py",
        "vector vector_values snapshot raw_rewards preprocess loop",
    ),
    "evaluation": area(
        "rlkit/core/evaluation.py rlkit/core/statistics.py rlkit/reporting/intervals.py rlkit/runs/finish.py "
        "rlkit/runs/plots/curve.py rlkit/reporting/scores.py rlkit/reporting/groups.py rlkit/reporting/curves.py "
        "rlkit/play/games/rating.py",
        "statistics statistics_values intervals report_scores final_evaluation report loop games",
    ),
    "checkpoints": area(
        "rlkit/core/checkpoint.py rlkit/algorithms/tabular/states.py rlkit/runs/folder.py",
        "checkpoint folder persistence resume",
    ),
    "compiled kernels": area(
        "rlkit/algorithms/tabular/compiled/*.py rlkit/core/compiling.py rlkit/planning/search/kernel.py "
        "rlkit/planning/search/selection.py rlkit/planning/search/graph.py rlkit/planning/search/backup.py "
        "rlkit/planning/search/subtree.py rlkit/planning/mdp/sweeping.py rlkit/learners/estimators/*_kernel*.py "
        " rlkit/learners/estimators/tree_walk.py",
        "compiled compiling turns search mdp learners_tree learners_kmeans learners_perceptron factorization",
    ),
    "search": area(
        "rlkit/planning/search/*.py agents/alphazero.py agents/mcts.py", "search alphazero resigning planning"
    ),
    "preprocessing": area(
        "rlkit/preprocess/*.py rlkit/algorithms/policy_gradient/normalization.py rlkit/rendering/frames.py "
        "rlkit/networks/observations.py",
        "preprocess preprocess_values statistics_values vector video networks",
    ),
    "learners": area(
        "rlkit/learners/estimators/*.py",
        "learners_by_hand learners_linear learners_logistic learners_kmeans learners_tree learners_forest "
        "learners_naive_bayes learners_perceptron learners_rows learners_text backprop mlp epochs factorization "
        "neighbors interactions cnn",
    ),
    "exploration": area(
        "rlkit/algorithms/exploration.py rlkit/algorithms/fixed_policies.py rlkit/core/spaces.py rlkit/core/seeding.py "
        "rlkit/algorithms/bandits/*.py",
        "exploration spaces spaces_values seeding bandits agents",
    ),
}


def modules(tree: Path) -> dict[str, list[str]]:
    """Return the files of each area, each in the first area that names it."""
    taken: set[str] = set()
    found: dict[str, list[str]] = {}
    for name, one in AREAS.items():
        paths = {str(path.relative_to(tree)) for pattern in one.modules for path in tree.glob(pattern)}
        found[name] = sorted(paths - taken)
        taken |= paths
        for pattern in one.modules:
            if not any(tree.glob(pattern)):
                raise SystemExit(f"mutation: no file matches {pattern!r}; areas.py names the files of {name!r}")
    return found


def nearest(tree: Path, name: str) -> list[str]:
    """Return the test files of an area."""
    found = []
    for stem in AREAS[name].tests:
        paths = sorted(tree.glob(f"tests/**/test_{stem}.py"))
        if not paths:
            raise SystemExit(f"mutation: there is no test_{stem}.py; areas.py names the test files of {name!r}")
        found += [str(path.relative_to(tree)) for path in paths]
    return found
