"""Monte Carlo tree search: B trees at once, by any model and any evaluator.

Sources: Kocsis & Szepesvari (2006), Coulom (2006), Silver et al. (2018); what is proved, Winands et al. (2008) and
Cazenave & Saffidine (2010).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from rlkit.core.resources import require_memory
from rlkit.core.types import Array, UsageError, require_probability
from rlkit.planning.search import kernel, subtree
from rlkit.planning.search.evaluators import Evaluator
from rlkit.planning.search.gumbel import SequentialHalving
from rlkit.planning.search.model import Model, ModelStep, Rules
from rlkit.planning.search.path import Path, SelectionRule
from rlkit.planning.search.tree import SearchTree, empty

AT_ONCE = 16
"""Simulations before the first look at the clock."""

SMALLER_TREES = "set {simulations} or {nodes} lower"


class SearchTrees(NamedTuple):
    """B search trees and the states of their nodes."""

    tree: SearchTree
    states: Array  # [B, N, ...]
    noise: Array | None = None  # [B, A] float64, of roots whose actions are chosen by `SequentialHalving`


class DirichletNoise(NamedTuple):
    """Noise that is mixed into a root's priors, so that self-play tries everything (Silver et al., 2018)."""

    share: float  # of the noise
    concentration: float  # of the Dirichlet distribution, summed over the legal actions


def rule_for(model: Model, kind: int, exploration: float, gamma: float) -> SelectionRule:
    """Return how actions are chosen in a model: its bound says whether values are brought to 0 to 1 first.

    Args:
        model: the rules of the world.
        kind: UCT or PUCT.
        exploration: c.
        gamma: discount factor.

    Raises:
        UsageError: a gamma beyond 0 to 1.
    """
    bound = np.inf if model.bound is None else model.bound
    return SelectionRule(
        kind, float(exploration), model.bound is None, require_probability("agent.gamma", gamma), bound
    )


def _room(simulations: int | None, seconds: float | None, nodes: int | None) -> int:
    """Return how many nodes a tree may have.

    Raises:
        UsageError: there is no limit, one is not positive, or the clock alone is to limit the nodes.
    """
    if simulations is None and seconds is None:
        raise UsageError("a search needs a limit: set simulations or seconds")
    if nodes is None and simulations is None:
        raise UsageError("a search by the clock alone needs room: set nodes, how many a tree may have")
    nodes = nodes if nodes is not None else 2 * (simulations or 1)
    positive = [limit for limit in (simulations, seconds, nodes - 1) if limit is not None]
    if min(positive) <= 0:
        raise UsageError(
            f"a search of {simulations} simulations, {seconds} seconds and {nodes} nodes ends before it begins; "
            "simulations must be at least 1, seconds more than 0 and nodes at least 2"
        )
    return nodes


class Search:
    """A search with its settings; it has no state between searches."""

    def __init__(
        self,
        model: Model,
        evaluator: Evaluator,
        rule: SelectionRule,
        *,
        simulations: int | None,
        seconds: float | None,
        nodes: int | None = None,
        look_ahead: bool = True,
        compiled: bool = True,
        halving: SequentialHalving | None = None,
        clock: Callable[[], float] = time.monotonic,
    ):
        """Put the parts together.

        Args:
            model: the rules of the world.
            evaluator: of the states that are met.
            rule: how actions are chosen on the way down.
            simulations: of each tree in a search; None: no limit.
            seconds: that a search takes; None: no limit.
            nodes: N, that a tree may have; simulations in a full one add none. None: twice the simulations, room for
                what an earlier search found as well.
            look_ahead: what ends the game at once is known of each new position before it is tried, where returns are
                bounded and nothing is left to chance. That takes one step of the model for each legal action.
            compiled: compiled rules take whole simulations at once where the evaluator is random play.
            halving: chooses the roots' actions; None: the rule does, as everywhere.
            clock: returns seconds, as `time.monotonic`.

        Raises:
            UsageError: there is neither limit, one of them is not positive, or the clock alone is to limit the nodes.
        """
        nodes = _room(simulations, seconds, nodes)
        best = model.bound is None and evaluator.random_steps is not None
        self._model, self._evaluator, self._rule = model, evaluator, rule._replace(best=best)
        state = model.blank_state()
        self._merging = best and state.dtype == np.int64 and state.ndim == 1
        edge = 16 * model.num_outcomes + 49  # bytes of an action of a node: children, counts, values, bounds, prior
        self._node_bytes = model.num_actions * edge + state.nbytes + 64
        require_memory(nodes * self._node_bytes, f"a search tree of {nodes:,} nodes", SMALLER_TREES)
        self._simulations, self._seconds, self._nodes = simulations, seconds, nodes
        self._clock, self._halving = clock, halving
        self._look_ahead = look_ahead and model.bound is not None and model.num_outcomes == 1
        self._compiled: tuple[Rules, int] | None = None
        if compiled and model.rules is not None and evaluator.random_steps is not None:
            self._compiled = model.rules, evaluator.random_steps

    def blank(self, batch: int) -> SearchTrees:
        """Return trees without a node."""
        state = self._model.blank_state()
        model = self._model
        what = f"{batch:,} search trees of {self._nodes:,} nodes"
        remedy = "set agent.simulations, agent.nodes or num_envs lower"
        require_memory(batch * self._nodes * self._node_bytes, what, remedy)
        tree = empty(batch, self._nodes, model.num_actions, model.num_outcomes, merging=self._merging)
        return SearchTrees(tree, np.zeros((batch, self._nodes, *state.shape), state.dtype))

    def __call__(
        self,
        states: Array,
        rng: np.random.Generator,
        *,
        kept: SearchTrees | None = None,
        played: Array | None = None,
        noise: DirichletNoise | None = None,
        legal: Array | None = None,
    ) -> SearchTrees:
        """Search from `states` [B, ...] and return the trees.

        Args:
            states: where the roots are; in none of them may the game be over.
            rng: what the trees draw from is drawn from it.
            kept: trees of an earlier search, not changed; their subtrees of `states` are copied.
            played: [B] int64, what was done at their roots; -1: it is unknown.
            noise: for the priors of the roots; where their actions are chosen by halving, it says that they are noisy.
            legal: [B, A] bool, of the roots; None: the model knows.
        """
        begun = self._clock()
        forest = self._rooted(states, kept, played)
        forest.tree.rng[:] = rng.integers(0, 2**64, size=len(states), dtype=np.uint64)
        self._plant(forest, states, self._model.legal_actions(states) if legal is None else legal)
        if self._merging:
            kernel.enter(forest.tree, forest.states)
        if self._halving is not None:
            shape = forest.tree.visits[:, 0].shape
            forest = forest._replace(noise=self._halving.noise(shape, None if noise is None else rng))
        elif noise is not None:
            _disturb(forest.tree, noise, rng)
        self._grow(forest, begun)
        return forest

    def _rooted(self, states: Array, kept: SearchTrees | None, played: Array | None) -> SearchTrees:
        forest = self.blank(len(states))
        if kept is None or played is None:
            return forest
        roots = subtree.find(kept.tree, kept.states, played, states)
        source = subtree.transplant(kept.tree, forest.tree, roots)
        for b in np.flatnonzero(forest.tree.size):
            size = forest.tree.size[b]
            forest.states[b, :size] = kept.states[b, source[b, :size]]
        return forest

    def _plant(self, forest: SearchTrees, states: Array, legal: Array) -> None:
        """Begin the trees that have no node yet."""
        rows = np.flatnonzero(forest.tree.size == 0)
        if not rows.size:
            return
        forest.states[rows, 0] = states[rows]
        legal = legal[rows]
        ahead = self._foreseen(states[rows], legal)
        prior, value = self._evaluated(states[rows], legal, forest.tree.rng, rows)
        kernel.plant(forest.tree, self._rule, rows, legal, ahead, self._chances(states[rows]), prior, value)

    def _foreseen(self, states: Array, legal: Array) -> Array:
        """Return the reward of each action that ends the game at once, [R, A] float64; NaN for the others."""
        ahead = np.full(legal.shape, np.nan)
        if self._look_ahead:
            row, action = np.nonzero(legal)
            step = self._model.step(states[row], action, np.zeros(len(row), np.int64))
            ahead[row, action] = np.where(step.discount == 0, step.reward, np.nan)
        return ahead

    def _evaluated(self, states: Array, legal: Array, rng: Array, rows: Array) -> tuple[Array, Array]:
        prior, value = self._evaluator(self._model, states, legal, rng, rows)
        return np.asarray(prior, np.float64), np.asarray(value, np.float64)

    def _chances(self, states: Array) -> Array:
        if self._model.num_outcomes == 1:
            return np.ones((len(states), self._model.num_actions, 1))
        return self._model.chances(states)

    def _grow(self, forest: SearchTrees, begun: float) -> None:
        path = _path(forest)
        if self._seconds is None:
            self._simulate(forest, path, self._simulations or 0)
            return
        before, left, steps = self._clock(), self._simulations or np.inf, AT_ONCE
        while left > 0 and steps and not _proved(forest.tree):
            steps = int(min(steps, left))
            self._simulate(forest, path, steps)
            left, now = left - steps, self._clock()
            steps = _paced(steps, now - before, begun + self._seconds - now)
            before = now

    def _simulate(self, forest: SearchTrees, path: Path, simulations: int) -> None:
        everyone = np.ones(len(forest.states), bool)
        if self._compiled is None:
            for simulation in range(simulations):
                if _proved(forest.tree):
                    return
                self._step(forest, path, everyone, self._first(forest, simulation))
            return
        rules, max_steps = self._compiled
        functions = (rules.step, rules.legal, rules.chances, rules.rollout, rules.data)
        limits = (simulations, max_steps, self._look_ahead)
        kernel.simulate(forest.tree, path, forest.states, self._rule, *functions, everyone, *limits)

    def _first(self, forest: SearchTrees, simulation: int) -> Array:
        """Return the roots' actions of a simulation, [B] int64; -1: the rule chooses."""
        if self._halving is None or forest.noise is None:
            return np.full(len(forest.states), -1)
        return self._halving.first(forest.tree, forest.noise, simulation)

    def _step(self, forest: SearchTrees, path: Path, active: Array, first: Array) -> None:
        """Run one simulation in each tree, all of them together; it goes on where it met a state of the tree."""
        while active.any():
            active = self._tried(forest, path, active, first)

    def _tried(self, forest: SearchTrees, path: Path, active: Array, first: Array) -> Array:
        """Go down in the `active` [B] trees and add what is met; return those in which it was there already."""
        tree, again = forest.tree, np.zeros(len(active), bool)
        kernel.descend(tree, path, self._rule, active, first)
        rows = np.flatnonzero(path.waits)
        if not rows.size:
            return again
        last = path.depth[rows] - 1
        node, action = path.node[rows, last], path.action[rows, last]
        step = self._model.step(forest.states[rows, node], action, path.outcome[rows, last])
        if self._merging:
            merged = self._merged(forest, path, rows, step)
            again[rows[merged]] = True
            rows, step = rows[~merged], ModelStep(*(column[~merged] for column in step))
        self._attach(forest, path, rows, step)
        return again

    def _merged(self, forest: SearchTrees, path: Path, rows: Array, step: ModelStep) -> Array:
        """Return which of the states met are in the trees of `rows` [R] already, [R] bool."""
        merged, reward, discount = np.zeros(len(rows), bool), *_floats(step)
        reached = np.ascontiguousarray(step.state)
        kernel.merge(forest.tree, path, forest.states, self._rule, rows, reached, reward, discount, merged)
        return merged

    def _attach(self, forest: SearchTrees, path: Path, rows: Array, step: ModelStep) -> None:
        tree = forest.tree
        fits = tree.size[rows] < self._nodes
        forest.states[rows[fits], tree.size[rows[fits]]] = step.state[fits]
        found = self._met(step, tree.rng, rows, fits)
        states = forest.states if self._merging else np.zeros((0, 0, 0), np.int64)
        kernel.attach(tree, path, states, self._rule, rows, *_floats(step), *found)

    def _met(self, step: ModelStep, rng: Array, rows: Array, fits: Array) -> tuple[Array, Array, Array, Array, Array]:
        """Return what is legal in the states met, what is foreseen, chances, priors and values; [R, ...] each.

        States are not evaluated where the game is over or its outcome is known.
        """
        shape = (len(rows), self._model.num_actions)
        legal, ahead, prior, value = np.zeros(shape, bool), np.full(shape, np.nan), np.zeros(shape), np.zeros(len(rows))
        chance = np.zeros((*shape, self._model.num_outcomes))
        going = step.discount != 0
        if going.any():
            legal[going] = self._model.legal_actions(step.state[going])
            chance[going] = self._chances(step.state[going])
            ahead[going & fits] = self._foreseen(step.state[going & fits], legal[going & fits])
        evaluated = going & ~_settled(legal, ahead, self._rule.bound)
        if evaluated.any():
            prior[evaluated], value[evaluated] = self._evaluated(
                step.state[evaluated], legal[evaluated], rng, rows[evaluated]
            )
        return legal, ahead, chance, prior, value


def _floats(step: ModelStep) -> tuple[Array, Array]:
    return np.asarray(step.reward, np.float64), np.asarray(step.discount, np.float64)


def _settled(legal: Array, ahead: Array, bound: float) -> Array:
    """Return where what is foreseen says all: a win, or the end by every legal action; [R] bool."""
    known = ~np.isnan(ahead)
    return np.asarray((ahead == bound).any(axis=1) | (known == legal).all(axis=1))


def _proved(tree: SearchTree) -> bool:
    """Return whether every root's value is known."""
    return bool((tree.lower[:, 0] >= tree.upper[:, 0]).all())


def _paced(steps: int, took: float, left: float) -> int:
    """Return how many simulations come before the next look at the clock, after `steps` of them `took` so long.

    Each look costs as much as dozens of compiled simulations, so there are twice as many where ten times that fit into
    the seconds that are `left`, and half as many where once does not; none where nothing is left.
    """
    if left <= 0:
        return 0
    if 10 * took < left:
        return 2 * steps
    return steps if took < left else max(1, steps // 2)


def _path(forest: SearchTrees) -> Path:
    batch, nodes = forest.states.shape[:2]
    merging = forest.tree.table.shape[1] > 0
    # Where equal states are one node, a way may go on through all of them again.
    ways = np.zeros((3, batch, (2 * nodes if merging else nodes) + 1), np.int64)
    room = np.zeros(int(np.prod(forest.states.shape[2:])), np.int64)
    depth, number, turn = np.zeros((3, batch), np.int64)
    marked = nodes if merging else 0
    mark, queue, origin = (np.zeros(shape, np.int64) for shape in ((batch, marked), marked, (marked, 3)))
    waits = np.zeros(batch, bool)
    return Path(ways[0], ways[1], ways[2], depth, waits, mark, number, turn, queue, origin, room, np.zeros(2))


def _disturb(tree: SearchTree, noise: DirichletNoise, rng: np.random.Generator) -> None:
    for b in range(len(tree.size)):
        legal = tree.legal[b, 0]
        drawn = rng.dirichlet(np.full(legal.sum(), noise.concentration / legal.sum()))
        tree.prior[b, 0, legal] = (1 - noise.share) * tree.prior[b, 0, legal] + noise.share * drawn


def visit_counts(tree: SearchTree, bound: float | None) -> Array:
    """Return the visits of each action at the roots, [B, A] float64; 0 for those that are proved to be worse.

    Where a root's value is that of its best action, only the best keep their visits, for the others' show merely how
    long the search took to reject them. Where a root's value is proved, only its best actions keep theirs, plus one
    each. Where a short search tried only actions that are proved to be worse, all others get the same.

    Args:
        tree: searched.
        bound: of the model.
    """
    counts = node_visit_counts(tree, 0, bound)
    return np.where(counts.any(axis=1, keepdims=True), counts, _good(tree, 0, bound))


def node_visit_counts(tree: SearchTree, node: int, bound: float | None) -> Array:
    """Return the counts of `visit_counts` at any node, [B, A] float64; all zeros where no good action was tried."""
    proved = tree.lower[:, node, None] >= tree.upper[:, node, None]
    good = _good(tree, node, bound)
    value = np.where(good, _means(tree, node), np.nan)
    good &= ~tree.best[:, None] | (value == np.fmax.reduce(value, axis=1, keepdims=True))
    return np.asarray(np.where(good, tree.visits[:, node] + proved, 0), np.float64)


def _good(tree: SearchTree, node: int, bound: float | None) -> Array:
    """Return which actions are not proved to be worse than another, [B, A] bool."""
    low, high, lower = tree.low[:, node], tree.high[:, node], tree.lower[:, node, None]
    hopeful = (high > lower) | ((low == lower) & (lower > (-np.inf if bound is None else -bound)))
    return np.asarray(tree.legal[:, node] & np.where(lower >= tree.upper[:, node, None], low >= lower, hopeful))


def root_action_values(tree: SearchTree) -> Array:
    """Return the values of the roots' actions for whoever is to move, [B, A] float64; NaN where none is known."""
    return _means(tree, 0)


def _means(tree: SearchTree, node: int) -> Array:
    low, high, tried = tree.low[:, node], tree.high[:, node], tree.visits[:, node]
    mean = np.where(tried > 0, tree.total[:, node] / np.maximum(tried, 1), np.nan)
    return np.asarray(np.where(low == high, low, np.clip(mean, low, high)))


def root_values(tree: SearchTree) -> Array:
    """Return the search's estimates of the roots' values for whoever is to move, [B] float64."""
    tried = tree.visits[:, 0].sum(axis=1)
    # Where a root's value is that of its best action, it is in the tree.
    mean = np.where(tree.best, tree.value[:, 0], (tree.value[:, 0] + tree.total[:, 0].sum(axis=1)) / (1 + tried))
    return np.asarray(np.clip(mean, tree.lower[:, 0], tree.upper[:, 0]))
