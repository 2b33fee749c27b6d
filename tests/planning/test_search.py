import math
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from making import configured

import rlkit
from rlkit.core.types import UsageError
from rlkit.envs.connect_four import ConnectFour
from rlkit.envs.gomoku import Gomoku
from rlkit.envs.maze import Maze
from rlkit.envs.othello import Othello
from rlkit.envs.tic_tac_toe import TicTacToe
from rlkit.planning.mdp import FiniteMDP, from_table
from rlkit.planning.mdp.iteration import value_iteration
from rlkit.planning.mdp.sources import from_gymnasium
from rlkit.planning.mdp.sources import model_of as mdp_of
from rlkit.planning.search import (
    PUCT,
    UCT,
    DirichletNoise,
    NetworkEvaluator,
    RandomPlay,
    Search,
    model_of,
    root_action_values,
    root_values,
    rule_for,
    subtree,
    visit_counts,
)
from rlkit.planning.search.copies import CopyModel
from rlkit.planning.search.draws import below, belows, uniform, uniforms, word, words
from rlkit.planning.search.finite import FiniteModel
from rlkit.planning.search.minimax import Minimax
from rlkit.runs import build

GAMES: dict[str, Callable[[], Any]] = {
    "tic-tac-toe": TicTacToe,
    "connect four": ConnectFour,
    "gomoku": lambda: Gomoku(5, 4),
    "othello": lambda: Othello(6),
}


def search(model: Any, *, simulations: int = 200, rule: int = UCT, nodes: int = 2000, **options: Any) -> Search:
    gamma = options.pop("gamma", 1.0)
    evaluator = options.pop("evaluator", RandomPlay(100, gamma))
    settings = rule_for(model, rule, 1.0, gamma)
    return Search(model, evaluator, settings, simulations=simulations, seconds=None, nodes=nodes, **options)


def after(model: Any, *moves: int) -> Any:
    state = model.initial_state()[None]
    for move in moves:
        state = model.step(state, np.array([move]), np.zeros(1, int)).state
    return state


class TestDraws:
    def test_the_first_words_are_those_of_splitmix64(self) -> None:
        # Steele et al. (2014): seed 0.
        rng = np.zeros(1, np.uint64)
        drawn = [int(words(rng, np.array([0]))[0]) for _ in range(3)]
        assert drawn == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]

    def test_compiled_and_numpy_draw_alike(self) -> None:
        one, other, row = np.array([7], np.uint64), np.array([7], np.uint64), np.array([0])
        for n in (1, 2, 7, 361):
            assert int(word(one, 0)) == int(words(other, row)[0])
            assert below(one, 0, n) == belows(other, row, np.array([n]))[0]
            assert uniform(one, 0) == uniforms(other, row)[0]

    def test_bounded_draws_are_uniform(self) -> None:
        rng = np.arange(30_000).astype(np.uint64)
        counts = np.bincount(belows(rng, np.arange(30_000), np.full(30_000, 3)), minlength=3)
        assert counts.sum() == 30_000
        assert abs(counts / 30_000 - 1 / 3).max() < 0.015


class Node:
    """A node of the naive twin."""

    def __init__(self, state: Any, over: bool) -> None:
        self.state, self.over = state, over
        self.n, self.edges = 1, {}  # type: ignore[var-annotated]
        self.order: list[int] = []


class Twin:
    """UCT with objects, recursion and nothing proved: the search's oracle where nothing can be proved."""

    def __init__(self, model: Any, c: float, seed: Any) -> None:
        self.model, self.c = model, c
        self.rng, self.row = np.array([seed], np.uint64), np.array([0])
        self.play = RandomPlay(100, 1.0)

    def legal(self, state: Any) -> list[int]:
        return [int(a) for a in np.flatnonzero(self.model.legal_actions(state[None])[0])]

    def draw(self, n: int) -> int:
        return int(belows(self.rng, self.row, np.array([n]))[0]) if n > 1 else 0

    def simulate(self, node: Node) -> float:
        legal = self.legal(node.state)
        fresh = [a for a in legal if a not in node.edges]
        if fresh:
            action = fresh[self.draw(len(fresh))]
            step = self.model.step(node.state[None], np.array([action]), np.zeros(1, int))
            discount = step.discount[0]
            child = Node(step.state[0], discount == 0)
            value = 0.0
            if not child.over:
                mask = self.model.legal_actions(step.state)
                value = float(self.play(self.model, step.state, mask, self.rng, self.row)[1][0])
            edge = node.edges[action] = {"n": 0, "w": 0.0, "child": child, "r": step.reward[0], "d": discount}
        else:
            width = self.c * math.sqrt(math.log(node.n))
            action = max(
                legal, key=lambda a: node.edges[a]["w"] / node.edges[a]["n"] + width / math.sqrt(node.edges[a]["n"])
            )
            edge = node.edges[action]
            value = 0.0 if edge["child"].over else self.simulate(edge["child"])
        returned = float(edge["r"] + edge["d"] * value)
        edge["n"], edge["w"], node.n = edge["n"] + 1, edge["w"] + returned, node.n + 1
        return returned


class TestTree:
    @pytest.mark.parametrize("name", ["connect four", "othello", "gomoku"])
    def test_uct_is_the_naive_twins(self, name: str) -> None:
        # So few simulations from the first move on that no end is met and nothing can be proved.
        model = GAMES[name]()
        state = model.initial_state()
        forest = search(model, simulations=150)(state[None], np.random.default_rng(5))
        assert (forest.tree.lower[0, 0], forest.tree.upper[0, 0]) == (-1, 1)
        seed = np.random.default_rng(5).integers(0, 2**64, size=1, dtype=np.uint64)[0]
        twin, root = Twin(model, 1.0, seed), Node(state, False)
        twin.play(model, state[None], model.legal_actions(state[None]), twin.rng, twin.row)  # of the root
        for _ in range(150):
            twin.simulate(root)
        for action, edge in root.edges.items():
            assert forest.tree.visits[0, 0, action] == edge["n"]
            assert forest.tree.total[0, 0, action] == pytest.approx(edge["w"], abs=1e-12)

    @pytest.mark.parametrize("name", GAMES)
    @pytest.mark.parametrize("rule", [UCT, PUCT])
    def test_compiled_simulations_are_those_in_steps(self, name: str, rule: int) -> None:
        model = GAMES[name]()
        states = np.repeat(model.initial_state()[None], 2, 0)
        forests = [
            search(model, simulations=120, rule=rule, nodes=90, compiled=compiled)(states, np.random.default_rng(3))
            for compiled in (True, False)
        ]
        for field in forests[0].tree._fields:
            ours, theirs = (getattr(forest.tree, field) for forest in forests)
            assert np.array_equal(ours, theirs), field

    @pytest.mark.parametrize("rule", [UCT, PUCT])
    def test_rows_are_searched_as_if_each_were_alone(self, rule: int) -> None:
        model = ConnectFour()
        states = np.concatenate([after(model), after(model, 3, 3), after(model, 0, 1, 2)])
        together = search(model, rule=rule)(states, np.random.default_rng(0)).tree
        seeds = np.random.default_rng(0).integers(0, 2**64, size=3, dtype=np.uint64)
        for b in range(3):
            alone = search(model, rule=rule)

            class Fixed:
                def integers(self, *_: Any, b: int = b, **__: Any) -> Any:
                    return seeds[b : b + 1]

            tree = alone(states[b : b + 1], Fixed()).tree  # type: ignore[arg-type]
            assert np.array_equal(tree.visits[0], together.visits[b])

    def test_equal_seeds_give_equal_trees_and_others_do_not(self) -> None:
        model = ConnectFour()
        trees = [search(model)(after(model), np.random.default_rng(seed)).tree for seed in (0, 0, 1)]
        assert np.array_equal(trees[0].visits, trees[1].visits)
        assert not np.array_equal(trees[0].visits, trees[2].visits)

    def test_a_full_tree_goes_on_without_new_nodes(self) -> None:
        model = ConnectFour()
        tree = search(model, simulations=300, nodes=50)(after(model), np.random.default_rng(0)).tree
        assert tree.size[0] == 50
        assert tree.visits[0, 0].sum() == 300

    def test_visits_are_the_simulations(self) -> None:
        model = ConnectFour()
        tree = search(model, simulations=77)(after(model), np.random.default_rng(0)).tree
        assert tree.visits[0, 0].sum() == 77
        assert tree.passed[0, 0] == 78
        assert tree.size[0] == 78

    def test_a_search_by_the_clock_ends(self) -> None:
        model = ConnectFour()
        rule = rule_for(TicTacToe(), UCT, 1.0, 1.0)
        timed = Search(model, RandomPlay(100, 1.0), rule, simulations=None, seconds=0.02, nodes=100)
        assert timed(after(model), np.random.default_rng(0)).tree.visits.sum() > 0

    @pytest.mark.parametrize(
        ("options", "rule"),
        [
            ({"simulations": None, "seconds": None, "nodes": 9}, "needs a limit"),
            ({"simulations": 0, "seconds": None, "nodes": 9}, "ends before it begins"),
            ({"simulations": 5, "seconds": None, "nodes": 1}, "ends before it begins"),
            ({"simulations": None, "seconds": 1.0}, "set nodes"),
        ],
    )
    def test_a_search_without_sense_is_refused(self, options: dict[str, Any], rule: str) -> None:
        with pytest.raises(UsageError, match=rule):
            Search(TicTacToe(), RandomPlay(9, 1.0), rule_for(TicTacToe(), UCT, 1.0, 1.0), **options)


class TestProofs:
    def test_a_search_ends_when_the_root_is_proved(self) -> None:
        # X in a corner, O in the middle: a draw.
        model = TicTacToe()
        tree = search(model, simulations=20_000, nodes=20_000)(after(model, 0, 4), np.random.default_rng(0)).tree
        assert (tree.lower[0, 0], tree.upper[0, 0]) == (0, 0)
        assert tree.visits[0, 0].sum() < 20_000

    @settings(max_examples=25, deadline=None)
    @given(st.lists(st.integers(0, 8), min_size=0, max_size=7, unique=True), st.integers(0, 2**32))
    def test_what_is_proved_is_true(self, moves: list[int], seed: int) -> None:
        model = TicTacToe()
        state = model.initial_state()[None]
        for move in moves:
            step = model.step(state, np.array([move]), np.zeros(1, int))
            if step.discount[0] == 0:
                break
            state = step.state
        solver = Minimax(model)
        tree = search(model, simulations=400)(state, np.random.default_rng(seed)).tree
        truth = solver.action_values(state)[0]
        legal = tree.legal[0, 0]
        assert (tree.low[0, 0, legal] <= truth[legal]).all()
        assert (tree.high[0, 0, legal] >= truth[legal]).all()
        assert tree.lower[0, 0] <= solver.state_values(state)[0] <= tree.upper[0, 0]
        if tree.lower[0, 0] == tree.upper[0, 0]:
            assert truth[visit_counts(tree, 1.0)[0].argmax()] == truth.max()

    def test_a_win_in_one_is_found_at_once_and_a_threat_is_met(self) -> None:
        model = ConnectFour()
        mine = after(model, 0, 6, 1, 6, 2, 5)  # a1 b1 c1 against g1 g2 f1: d wins
        tree = search(model, simulations=50)(mine, np.random.default_rng(0)).tree
        assert visit_counts(tree, 1.0)[0].argmax() == 3
        assert tree.lower[0, 0] == 1
        theirs = after(model, 0, 6, 1, 6, 2)  # the other is to move, and loses unless it plays d
        tree = search(model, simulations=3000)(theirs, np.random.default_rng(0)).tree
        assert visit_counts(tree, 1.0)[0].argmax() == 3
        assert (tree.high[0, 0, [0, 1, 2, 4, 5, 6]] == -1).all()

    def test_a_proved_draw_is_preferred_to_what_looks_lost(self) -> None:
        # Whatever is unproved here loses in the end; by visits alone it might be taken.
        model = TicTacToe()
        state = after(model, 0, 4, 8)  # X in two corners: O must take an edge
        solver = Minimax(model)
        for seed in range(10):
            tree = search(model, simulations=120)(state, np.random.default_rng(seed)).tree
            chosen = visit_counts(tree, 1.0)[0].argmax()
            assert solver.action_values(state)[0, chosen] == 0

    def test_a_search_that_tried_losing_moves_only_takes_another(self) -> None:
        # The first column is full, and three of the other's stones stand in the last: nothing else helps.
        model = ConnectFour()
        state = after(model, 0, 0, 0, 0, 0, 0, 2, 6, 4, 6, 2, 6)
        lost = 0
        for seed in range(20):
            tree = search(model, simulations=1)(state, np.random.default_rng(seed)).tree
            tried, speaks = int(tree.visits[0, 0].argmax()), visit_counts(tree, 1.0)[0]
            assert speaks.any()
            assert speaks[0] == 0
            if tried != 6:
                lost += 1
                assert speaks[tried] == 0
        assert lost > 5

    def test_however_short_the_time_something_is_tried(self) -> None:
        model = ConnectFour()
        rule, play = rule_for(model, UCT, 1.0, 1.0), RandomPlay(99, 1.0)
        hurried = Search(model, play, rule, simulations=None, seconds=1e-9, nodes=500)
        assert hurried(after(model), np.random.default_rng(0)).tree.visits[0, 0].sum() > 0


class TestKept:
    def test_what_is_known_below_a_move_is_taken_over(self) -> None:
        model = ConnectFour()
        state = after(model)
        wide = search(model, simulations=500)
        first = wide(state, np.random.default_rng(0))
        move = first.tree.visits[:, 0].argmax(axis=1)
        reply = first.tree.visits[:, first.tree.child[0, 0, move[0], 0]].argmax(axis=1)
        one = model.step(state, move, np.zeros(1, int)).state
        two = model.step(one, reply, np.zeros(1, int)).state
        for states in (one, two):
            root = subtree.find(first.tree, first.states, move, states)
            assert np.array_equal(first.states[0, root[0]], states[0])
            before = {name: column.copy() for name, column in first.tree._asdict().items()}
            second = search(model, simulations=1)(states, np.random.default_rng(1), kept=first, played=move)
            assert abs(second.tree.visits[0, 0] - first.tree.visits[0, root[0]]).sum() == 1
            for name, column in before.items():
                assert np.array_equal(column, getattr(first.tree, name)), name

    @pytest.mark.parametrize("played", [-1, 6])
    def test_what_is_not_found_is_searched_anew(self, played: int) -> None:
        model = ConnectFour()
        first = search(model, simulations=100)(after(model), np.random.default_rng(0))
        second = search(model, simulations=10)(
            after(model, 3), np.random.default_rng(1), kept=first, played=np.array([played])
        )
        assert second.tree.visits[0, 0].sum() == 10

    def test_a_copied_tree_is_whole(self) -> None:
        model = ConnectFour()
        forest = search(model, simulations=400)(after(model), np.random.default_rng(0))
        root = forest.tree.child[0, 0, 3, 0]
        copy = search(model).blank(1)
        source = subtree.transplant(forest.tree, copy.tree, np.array([root]))
        size = copy.tree.size[0]
        assert size == (source[0] >= 0).sum() == forest.tree.passed[0, root]
        for node in range(size):
            for a in range(7):
                child = copy.tree.child[0, node, a, 0]
                original = forest.tree.child[0, source[0, node], a, 0]
                assert (child < 0 and original < 0) or source[0, child] == original


class TestMDPs:
    def test_uct_agrees_with_value_iteration_on_frozen_lake(self) -> None:
        mdp = from_gymnasium(gymnasium.make("FrozenLake-v1", is_slippery=False))
        values = value_iteration(mdp, gamma=0.95, theta=1e-12)
        model = FiniteModel(mdp)
        for state in (0, 6, 10, 14):
            forest = search(model, simulations=6000, nodes=6001, gamma=0.95, evaluator=RandomPlay(60, 0.95))(
                np.array([[state]]), np.random.default_rng(0)
            )
            q = np.array([_q(mdp, values.values, state, a, 0.95) for a in range(4)])
            assert q[visit_counts(forest.tree, None)[0].argmax()] == pytest.approx(q.max())

    def test_chance_is_averaged(self) -> None:
        # Action 0 pays 1 with probability 0.25, action 1 pays 0.4 for certain.
        table = {
            0: {0: [(0.25, 1, 1.0, True), (0.75, 1, 0.0, True)], 1: [(1.0, 1, 0.4, True)]},
            1: {0: [(1.0, 1, 0.0, True)], 1: [(1.0, 1, 0.0, True)]},
        }
        model = FiniteModel(from_table(table, np.array([1.0, 0.0])))
        forest = search(model, simulations=400)(np.array([[0]]), np.random.default_rng(0))
        assert visit_counts(forest.tree, None)[0].argmax() == 1
        assert forest.tree.low[0, 0].tolist() == forest.tree.high[0, 0].tolist() == [0.25, 0.4]
        assert root_values(forest.tree)[0] == 0.4

    def test_finite_rules_in_steps_are_the_compiled_ones(self) -> None:
        model = FiniteModel(from_gymnasium(gymnasium.make("FrozenLake-v1")))
        trees = [
            search(model, simulations=150, gamma=0.9, compiled=compiled)(
                np.array([[0], [9]]), np.random.default_rng(2)
            ).tree
            for compiled in (True, False)
        ]
        assert np.array_equal(trees[0].visits, trees[1].visits)
        assert np.array_equal(trees[0].total, trees[1].total)

    def test_a_copied_environment_plans_like_its_table(self) -> None:
        env = lake(is_slippery=False)
        env.reset(seed=0)
        copies = CopyModel(lake(is_slippery=False), 1)
        state = copies.read(env)[None]
        table = FiniteModel(from_gymnasium(env))
        step = copies.step(np.repeat(state, 4), np.arange(4), np.zeros(4, int))
        wanted = table.step(np.zeros((4, 1), np.int64), np.arange(4), np.zeros(4, int))
        assert [int(s["observation"]) for s in step.state] == wanted.state[:, 0].tolist()
        searches = [search(model, simulations=40, gamma=0.95) for model in (copies, table)]
        searches[1]._merging = False  # states that are objects are not compared
        roots = (state, np.zeros((1, 1), np.int64))
        trees = [one(root, np.random.default_rng(0)).tree for one, root in zip(searches, roots, strict=True)]
        for copied, known in zip(*trees, strict=True):
            assert np.array_equal(copied, known)

    def test_chance_of_a_copied_environment_takes_its_courses(self) -> None:
        copies = CopyModel(lake(), 8)
        env = lake()
        env.reset(seed=3)
        state = np.repeat(copies.read(env)[None], 8)
        reached = [copies.step(state, np.full(8, 2), np.arange(8)).state for _ in range(2)]
        places = [[int(s["observation"]) for s in states] for states in reached]
        assert places[0] == places[1]
        assert len(set(places[0])) > 1

    def test_what_cannot_be_copied_is_named(self) -> None:
        class Opaque(gymnasium.Env[Any, Any]):
            observation_space = gymnasium.spaces.Discrete(2)
            action_space = gymnasium.spaces.Discrete(2)

            def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
                return 0, {}

        with pytest.raises(UsageError, match=r"Opaque declares no state_fields and offers no get_state\(\)"):
            model_of(Opaque, outcomes=1)


def random_mdp(seed: int, outcomes: int, *, costs: bool = False) -> FiniteMDP:
    """Return an MDP of 20 states and 3 actions; rewards are mostly negative, with `costs` always."""
    rng, shape = np.random.default_rng(seed), (20, 3, outcomes)
    probability, reached = rng.dirichlet(np.ones(outcomes), size=shape[:2]), rng.integers(20, size=shape)
    reward, over = rng.normal(-1, 1, size=shape), rng.random(shape) < 0.1
    reward = -abs(reward) if costs else reward
    return FiniteMDP(probability, reached, reward, over, np.eye(20)[0], np.ones(shape[:2], bool))


def against_value_iteration(mdp: FiniteMDP, state: int, simulations: int, gamma: float, rule: int = UCT) -> Any:
    """Return what the search's action loses against the best, and the error of what it says the state is worth."""
    model, values = FiniteModel(mdp), value_iteration(mdp, gamma=gamma, theta=1e-10).values
    searching = search(model, simulations=simulations, rule=rule, gamma=gamma, evaluator=RandomPlay(200, gamma))
    tree = searching(np.array([[state]]), np.random.default_rng(0)).tree
    q = np.array([_q(mdp, values, state, a, gamma) for a in range(mdp.num_actions)])
    best = q[mdp.mask[state]].max()
    return best - q[visit_counts(tree, None)[0].argmax()], abs(root_values(tree)[0] - values[state])


WORLDS = [
    *("env=random_maze", "env=random_maze env.slip=0.2", "env=maze env.slip=0.1 env.step=-3"),
    *("env=safecab", "env=cliff_walking", "env=windy_gridworld", "env=windy_gridworld env.stochastic=true"),
]


class TestSinglePlayers:
    @pytest.mark.parametrize("outcomes", [1, 3])
    def test_random_mdps_are_solved_as_by_value_iteration(self, outcomes: int) -> None:
        for seed in range(6):
            lost, error = against_value_iteration(random_mdp(seed, outcomes), 0, 600, 0.9)
            assert lost < 1e-9
            assert error < 0.02

    @pytest.mark.slow
    @pytest.mark.parametrize("rule", [UCT, PUCT])
    @pytest.mark.parametrize(("outcomes", "gamma"), [(1, 0.9), (1, 0.99), (3, 0.9), (3, 0.99), (3, 1.0)])
    def test_fifty_random_mdps_are(self, outcomes: int, gamma: float, rule: int) -> None:
        mdps = [random_mdp(seed, outcomes, costs=gamma == 1) for seed in range(50)]
        found = np.array([against_value_iteration(mdp, 0, 1000, gamma, rule) for mdp in mdps])
        assert found[:, 0].max() < 1e-9
        assert found[:, 1].max() < 0.02

    @pytest.mark.parametrize("options", [{}, {"slip": 0.2}, {"trap_ends": False}])
    def test_the_way_out_of_a_maze_is_worth_the_steps(self, options: dict[str, Any]) -> None:
        # As it comes: 20 steps, one bonus of 5 and the exit's 20, while a trap is but nine steps away.
        mdp = maze(**options)
        lost, error = against_value_iteration(mdp, int(mdp.start.argmax()), 1500, 1.0)
        assert lost < 1e-9
        assert error < 0.01
        if not options:
            assert mdp.start @ value_iteration(mdp, gamma=1.0, theta=1e-10).values == 5

    @pytest.mark.parametrize("rule", [UCT, PUCT])
    @pytest.mark.parametrize("words", WORLDS)
    def test_a_world_whose_states_are_fewer_than_simulations_is_solved(self, words: str, rule: int) -> None:
        # Traps are nearer than exits, and whatever is random ends in them: what is new lies behind what looks bad.
        env = build.make_single(configured(f"agent=mcts {words}").environment)
        env.reset(seed=0)
        mdp: Any = mdp_of(env, samples=None, seed=0)
        values = value_iteration(mdp, gamma=1.0, theta=1e-10).values
        roots = np.random.default_rng(0).choice(mdp.num_states, size=3, p=mdp.start)
        one = search(FiniteModel(mdp), simulations=1000, rule=rule)
        tree = one(roots[:, None].astype(np.int64), np.random.default_rng(0)).tree
        assert tree.closed[:, 0].all()
        assert root_values(tree) == pytest.approx(values[roots], rel=1e-4)
        for root, action in zip(roots, visit_counts(tree, None).argmax(axis=1), strict=True):
            assert _q(mdp, values, root, action, 1.0) == pytest.approx(values[root])

    def test_equal_states_are_one_node(self) -> None:
        tree = search(FiniteModel(random_mdp(0, 3)), simulations=500, gamma=0.9)(
            np.zeros((1, 1), np.int64), np.random.default_rng(0)
        ).tree
        assert tree.size[0] <= 2 * 20  # one that goes on, one where the episode is over

    @pytest.mark.parametrize("rule", [UCT, PUCT])
    @pytest.mark.parametrize("outcomes", [1, 3])
    @pytest.mark.parametrize("nodes", [7, 300])
    def test_compiled_simulations_are_those_in_steps(self, outcomes: int, rule: int, nodes: int) -> None:
        model = FiniteModel(random_mdp(1, outcomes))
        states = np.array([[0], [4], [7]])
        trees = [
            search(model, simulations=150, rule=rule, gamma=0.9, nodes=nodes, compiled=compiled)(
                states, np.random.default_rng(2)
            ).tree
            for compiled in (True, False)
        ]
        for field in trees[0]._fields:
            assert np.array_equal(getattr(trees[0], field), getattr(trees[1], field)), field

    def test_what_an_action_is_worth_is_weighed_by_the_chances_known(self) -> None:
        # One action pays 10 with probability 0.05, else 0; the other 0.4 for certain: the first is worth 0.5.
        table = {
            0: {0: [(0.05, 1, 10.0, True), (0.95, 1, 0.0, True)], 1: [(1.0, 1, 0.4, True)]},
            1: {0: [(1.0, 1, 0.0, True)], 1: [(1.0, 1, 0.0, True)]},
        }
        model = FiniteModel(from_table(table, np.array([1.0, 0.0])))
        tree = search(model, simulations=10)(np.array([[0]]), np.random.default_rng(0)).tree
        assert root_action_values(tree)[0] == pytest.approx([0.5, 0.4])
        assert visit_counts(tree, None)[0].argmax() == 0

    def test_where_everything_leads_back_to_the_root_its_value_is_the_series(self) -> None:
        model = FiniteModel(from_table({0: {0: [(1.0, 0, 1.0, False)]}}, np.ones(1)))
        tree = search(model, simulations=60, gamma=0.5)(np.array([[0]]), np.random.default_rng(0)).tree
        assert (tree.size[0], root_values(tree)[0]) == (1, pytest.approx(2.0))

    def test_a_kept_tree_knows_what_it_knew(self) -> None:
        mdp = maze()
        model, start = FiniteModel(mdp), np.array([[int(mdp.start.argmax())]])
        wide = search(model, simulations=1500)
        first = wide(start, np.random.default_rng(0))
        move = visit_counts(first.tree, None).argmax(axis=1)
        then = model.step(start, move, np.zeros(1, int)).state
        second = search(model, simulations=1)(then, np.random.default_rng(1), kept=first, played=move)
        assert root_values(second.tree)[0] == root_values(first.tree)[0] + 1 == 6
        assert second.tree.size[0] >= first.tree.size[0] - 1
        # Every node but the last is found again in the table, and every child is a node.
        children = second.tree.child[0, : second.tree.size[0]]
        assert children.max() < second.tree.size[0]
        assert np.count_nonzero(second.tree.table) == second.tree.size[0]

    def test_players_who_take_turns_have_the_mean_whatever_the_bound(self) -> None:
        class Unbounded(TicTacToe):
            bound = None

        model, start = Unbounded(), TicTacToe().initial_state()[None]
        tree = search(model, simulations=300, compiled=False)(start, np.random.default_rng(0)).tree
        assert not tree.best[0]
        mean = (tree.value[0, 0] + tree.total[0, 0].sum()) / (1 + tree.visits[0, 0].sum())
        assert root_values(tree)[0] == pytest.approx(mean)

    def test_copies_find_the_way_that_was_seen_once(self) -> None:
        env = lake(is_slippery=False)
        env.reset(seed=0)
        for action in (1, 1, 2):
            env.step(action)
        copies = CopyModel(lake(is_slippery=False), 1)
        tree = search(copies, simulations=200, gamma=0.95)(copies.read(env)[None], np.random.default_rng(0)).tree
        assert tree.table.shape[1] == 0
        assert tree.best[0]
        assert root_values(tree)[0] == pytest.approx(0.95**2)


def maze(**options: Any) -> FiniteMDP:
    settings = {name: value for name, value in rlkit.defaults("env/maze").items() if name != "_target_"}
    mdp: FiniteMDP = Maze(**{**settings, "render_mode": None, **options}).mdp
    return mdp


def lake(**options: Any) -> Any:
    return gymnasium.make("FrozenLake-v1", disable_env_checker=True, **options)


def _q(mdp: Any, v: Any, state: int, action: int, gamma: float) -> float:
    p, s, r, over = (
        getattr(mdp, name)[state, action] for name in ("probability", "next_state", "reward", "terminated")
    )
    return float((p * (r + gamma * np.where(over, 0, v[s]))).sum())


class TestJudges:
    def test_priors_and_values_guide_the_search(self) -> None:
        model = ConnectFour()

        def favour(observation: Any, legal: Any) -> Any:
            prior = np.where(np.arange(7) == 5, 0.94, 0.01) * legal
            return prior / prior.sum(axis=1, keepdims=True), np.zeros(len(legal))

        forest = search(model, simulations=60, rule=PUCT, evaluator=NetworkEvaluator(favour))(
            after(model), np.random.default_rng(0)
        )
        assert forest.tree.visits[0, 0].argmax() == 5
        assert forest.tree.visits[0, 0, 5] > 50

    def test_a_value_is_seen_from_the_side_to_move(self) -> None:
        # The evaluator says that whoever is to move wins: so every move of the root's player looks lost.
        model = ConnectFour()
        evaluator = NetworkEvaluator(lambda observation, legal: (legal / 7, np.full(len(legal), 0.5)))
        forest = search(model, simulations=7, rule=PUCT, evaluator=evaluator)(after(model), np.random.default_rng(0))
        assert (forest.tree.total[0, 0][forest.tree.visits[0, 0] == 1] == -0.5).all()

    def test_noise_is_a_share_of_a_dirichlet_distribution_over_the_legal_moves(self) -> None:
        # Silver et al. (2018): (1 - share) p + share * Dir(concentration / n); each component has mean 1 / n and the
        # variance (n - 1) / (n^2 (concentration + 1)).
        model = TicTacToe()
        state = after(model, 4)
        p = np.array([0.3, 0.2, 0.1, 0.1, 0, 0.1, 0.1, 0.05, 0.05])
        evaluator = NetworkEvaluator(
            lambda observation, legal: (np.repeat(p[None], len(legal), 0), np.zeros(len(legal)))
        )
        one, rng = search(model, simulations=1, nodes=2, rule=PUCT, evaluator=evaluator), np.random.default_rng(0)
        draws = one(np.repeat(state, 4000, 0), rng, noise=DirichletNoise(0.25, 10.0)).tree.prior[:, 0]
        legal = [0, 1, 2, 3, 5, 6, 7, 8]
        assert draws[:, legal].mean(axis=0) == pytest.approx(0.75 * p[legal] + 0.25 / 8, abs=0.003)
        noise = (draws[:, legal] - 0.75 * p[legal]) / 0.25
        assert noise.var(axis=0) == pytest.approx(np.full(8, 7 / (64 * 11)), rel=0.1)
        assert (draws[:, 4] == 0).all()

    def test_a_root_is_worth_the_mean_of_what_was_said_of_it_and_of_what_followed(self) -> None:
        # The evaluator says 0.4 of the root, and -0.6 of what follows, where the other is to move.
        model = ConnectFour()
        said = iter([0.4, -0.6])
        evaluator = NetworkEvaluator(lambda observation, legal: (legal / 7, np.full(len(legal), next(said))))
        tree = search(model, simulations=1, rule=PUCT, evaluator=evaluator)(after(model), np.random.default_rng(0)).tree
        assert root_values(tree)[0] == pytest.approx(0.5)

    def test_puct_by_hand(self) -> None:
        # Sqrt(1 + tries) p / (1 + own tries), and an untried action is worth what is known of the node: 0 here.
        model = ConnectFour()
        p = np.array([0.4, 0.3, 0.2, 0.1, 0, 0, 0])
        evaluator = NetworkEvaluator(
            lambda observation, legal: (np.repeat(p[None], len(legal), 0), np.zeros(len(legal)))
        )
        visits = [
            search(model, simulations=n, rule=PUCT, evaluator=evaluator)(after(model), np.random.default_rng(0))
            .tree.visits[0, 0]
            .tolist()
            for n in range(1, 6)
        ]
        # Scores of a tried action fall to p / 2, p / 3, …: 0.4, 0.3, 0.2 = 0.4 / 2 (the first), 0.2, 0.15.
        assert [row[:4] for row in visits] == [
            [1, 0, 0, 0],
            [1, 1, 0, 0],
            [2, 1, 0, 0],
            [2, 1, 1, 0],
            [2, 2, 1, 0],
        ]

    def test_noise_keeps_a_distribution_on_what_is_legal(self) -> None:
        model = TicTacToe()
        state = after(model, 4)
        evaluator = NetworkEvaluator(
            lambda observation, legal: (legal / legal.sum(axis=1, keepdims=True), np.zeros(len(legal)))
        )
        one = search(model, simulations=1, rule=PUCT, evaluator=evaluator)
        tree = one(state, np.random.default_rng(0), noise=DirichletNoise(0.25, 10.0)).tree
        assert tree.prior[0, 0].sum() == pytest.approx(1)
        assert tree.prior[0, 0, 4] == 0
        assert (tree.prior[0, 0, [0, 1]] >= 0.75 / 8).all()
        assert len(set(tree.prior[0, 0].tolist())) == 9
