from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

from rlkit.core.types import Array, UsageError
from rlkit.envs.matrix_game import game_of
from rlkit.envs.poker import KuhnPoker, LeducPoker, rules_of
from rlkit.planning.extensive import (
    CHANCE,
    OVER,
    ExtensiveGame,
    GameTree,
    MatrixGame,
    best_response_values,
    build_tree,
    expected_values,
    exploitability,
    kernels,
    uniform_policy,
)
from rlkit.planning.extensive.regret import RegretMinimizer


def matrix(rows: Any, columns: Any = None) -> GameTree:
    columns = -np.array(rows) if columns is None else columns
    return build_tree(MatrixGame("a game", rows, columns, "abcdef"))


def solver(tree: GameTree, *, plus: bool = False) -> RegretMinimizer:
    return RegretMinimizer(tree, averaging=float(plus), floored=plus)


def naive_values(game: ExtensiveGame, policy: dict[Any, Array], state: Any) -> Array:
    """Return what players win on average, walking the rules themselves."""
    player = game.to_move(state)
    if player == OVER:
        return np.array(game.returns(state), float)
    chances = game.chances(state) if player == CHANCE else policy[player, game.information(state)]
    children = [naive_values(game, policy, game.after(state, action)) for action in game.actions(state)]
    return sum((chance * child for chance, child in zip(chances, children, strict=True)), np.zeros(2))


def named(tree: GameTree, policy: Array) -> dict[Any, Array]:
    parts = np.split(policy, tree.offset[1:-1])
    return {(tree.set_player[i], tree.names[i]): parts[i] for i in range(tree.num_sets)}


def random_policy(tree: GameTree, seed: int) -> Array:
    weight = np.random.default_rng(seed).random(len(tree.action))
    return weight / np.repeat(np.add.reduceat(weight, tree.offset[:-1]), np.diff(tree.offset))


class TestTree:
    def test_kuhn_has_its_known_size(self) -> None:
        tree = build_tree(KuhnPoker())
        # 1 + 3 + 6 deals, and 8 states of bets after each deal beside its own.
        assert (len(tree.player), len(tree.ends), tree.num_sets, len(tree.action)) == (58, 30, 12, 24)

    def test_chances_of_all_ends_add_up(self) -> None:
        tree = build_tree(KuhnPoker())
        # Where a policy takes each action for certain, the ends that it reaches have a probability of 1 together.
        assert expected_values(tree, uniform_policy(tree)).tolist() == pytest.approx([1 / 8, -1 / 8])

    def test_who_forgets_is_refused(self) -> None:
        class Forgetful(KuhnPoker):
            def information(self, state: Any) -> int:
                return len(state[1]) % 2

        with pytest.raises(UsageError, match="would not know at"):
            build_tree(Forgetful())

    @pytest.mark.parametrize("rules", [KuhnPoker, LeducPoker])
    def test_values_are_those_of_a_walk_through_the_rules(self, rules: Any) -> None:
        tree = build_tree(rules())
        policy = random_policy(tree, 1)
        found = naive_values(tree.game, named(tree, policy), tree.game.initial_state())
        assert expected_values(tree, policy) == pytest.approx(found, abs=1e-12)

    def test_a_best_response_is_the_best_of_all_pure_policies(self) -> None:
        tree = build_tree(KuhnPoker())
        policy = random_policy(tree, 2)
        for player in (0, 1):
            sets = np.flatnonzero(tree.set_player == player)
            best = -np.inf
            for choices in product((0, 1), repeat=len(sets)):
                pure = policy.copy()
                for i, choice in zip(sets, choices, strict=True):
                    pure[tree.offset[i] : tree.offset[i + 1]] = [1 - choice, choice]
                best = max(best, expected_values(tree, pure)[player])
            assert best_response_values(tree, policy)[player] == pytest.approx(best, abs=1e-12)


class TestMatrixGames:
    def test_rock_paper_scissors_against_itself(self) -> None:
        tree = matrix([[0, -1, 1], [1, 0, -1], [-1, 1, 0]])
        assert exploitability(tree, uniform_policy(tree)) == 0
        assert exploitability(tree, np.array([1.0, 0, 0, 1, 0, 0])) == 1  # always rock: paper wins 1

    def test_a_game_that_is_not_symmetric(self) -> None:
        # Hand-computed: the row player mixes 2/5, 3/5, the column player 1/2, 1/2; the value is 1/5 * ... = 1.
        tree = matrix([[4, -2], [-1, 3]])
        found = solver(tree, plus=True)
        found.run(20_000)
        assert found.average_policy == pytest.approx([0.4, 0.6, 0.5, 0.5], abs=2e-3)
        assert expected_values(tree, found.average_policy)[0] == pytest.approx(1.0, abs=1e-3)

    def test_prisoners_defect(self) -> None:
        tree = matrix([[3, 0], [5, 1]], [[3, 5], [0, 1]])
        assert not tree.zero_sum
        found = solver(tree)
        found.run(1000)
        assert found.average_policy[[1, 3]].min() > 0.999
        assert exploitability(tree, np.array([1.0, 0, 1, 0])) == 2  # who defects from trust gains 5 - 3

    def test_tables_that_do_not_fit_are_refused(self) -> None:
        with pytest.raises(UsageError, match=r"shapes \[2, 2\] and \[1, 2\]"):
            MatrixGame("a game", [[1, 2], [3, 4]], [[1, 2]], "ab")

    def test_unknown_names_are_refused(self) -> None:
        with pytest.raises(UsageError, match=r"env\.game is 'chicken'"):
            game_of("chicken", {"stag_hunt": {}})
        with pytest.raises(UsageError, match=r"env\.rules is 'omaha'"):
            rules_of("omaha")


class TestRegrets:
    def test_the_first_iteration_of_matching_pennies_by_hand(self) -> None:
        # The row player wins 2 where both show heads, 1 where both show tails, and loses 1 otherwise.
        tree = matrix([[2, -1], [-1, 1]])
        found = solver(tree)
        found.run(1)
        # Against a uniform column: heads 1/2, tails 0, mean 1/4.
        assert found.regret[:2].tolist() == [0.25, -0.25]
        # The column player sees the row player's new policy, heads for certain: -2 and 1, mean -1/2.
        assert found.regret[2:].tolist() == [-1.5, 1.5]
        assert found.policy.tolist() == [1, 0, 0, 1]
        assert found.cumulative.tolist() == [0.5, 0.5, 0.5, 0.5]

    def test_kuhn_is_solved(self) -> None:
        tree = build_tree(KuhnPoker())
        for plus in (False, True):
            found = solver(tree, plus=plus)
            found.run(10_000)
            assert expected_values(tree, found.average_policy)[0] == pytest.approx(-1 / 18, abs=1e-3)
            assert exploitability(tree, found.average_policy) < 1e-3

    def test_leduc_is_solved(self) -> None:
        tree = build_tree(LeducPoker())
        found = solver(tree, plus=True)
        found.run(300)
        assert exploitability(tree, found.average_policy) < 0.01

    def test_runs_add_up(self) -> None:
        tree = build_tree(KuhnPoker())
        once, twice, restored = solver(tree, plus=True), solver(tree, plus=True), solver(tree, plus=True)
        once.run(30)
        twice.run(10)
        restored.load_state_dict(twice.state_dict())
        twice.run(20)
        restored.run(20)
        for other in (twice, restored):
            assert np.array_equal(once.average_policy, other.average_policy)
            assert np.array_equal(once.regret, other.regret)

    def test_compiled_is_as_in_python(self, monkeypatch: pytest.MonkeyPatch) -> None:
        tree = build_tree(KuhnPoker())
        compiled, plain = solver(tree), solver(tree)
        compiled.run(5)
        for name in ("reach", "end_values", "regrets", "match_regrets", "iterate"):
            monkeypatch.setattr(kernels, name, getattr(kernels, name).py_func)
        plain.run(5)
        assert np.array_equal(compiled.regret, plain.regret)
        assert np.array_equal(compiled.average_policy, plain.average_policy)


@pytest.mark.parametrize("plus", [False, True])
@pytest.mark.parametrize(("rules", "iterations"), [(KuhnPoker, 40), (LeducPoker, 2)])
def test_it_equals_open_spiel(rules: Any, iterations: int, plus: bool) -> None:
    pyspiel = pytest.importorskip("pyspiel")
    from open_spiel.python.algorithms import cfr
    from open_spiel.python.algorithms import exploitability as theirs

    game = pyspiel.load_game({KuhnPoker: "kuhn_poker", LeducPoker: "leduc_poker"}[rules])
    other = (cfr.CFRPlusSolver if plus else cfr.CFRSolver)(game)
    for _ in range(iterations):
        other.evaluate_and_update_policy()
    tree = build_tree(rules())
    found = solver(tree, plus=plus)
    found.run(iterations)
    policy = other.average_policy()
    assert exploitability(tree, found.average_policy) == pytest.approx(theirs.exploitability(game, policy), abs=1e-10)
    if rules is KuhnPoker:
        # Theirs names the same sets by numbers of cards.
        for (_, name), row in named(tree, found.average_policy).items():
            key = str("JQK".index(name[0])) + name[1:]
            assert policy.policy_for_key(key) == pytest.approx(row, abs=1e-10)
