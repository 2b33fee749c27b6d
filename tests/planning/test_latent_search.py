import math
from typing import Any

import numpy as np
import pytest
from making import by_keys

import rlkit
from rlkit.agents.muzero import MuZeroSettings
from rlkit.core.types import Array
from rlkit.envs.connect_four import ConnectFour
from rlkit.planning.mdp import from_table
from rlkit.planning.search import DirichletNoise, NetworkEvaluator, Search
from rlkit.planning.search.finite import FiniteModel
from rlkit.planning.search.gumbel import halving
from rlkit.planning.search.latent import Imagined, LatentModel, Latents
from rlkit.planning.search.tree import SearchTree

RING = FiniteModel(
    from_table(
        {s: {a: [(1.0, (s + 2 * a - 1) % 7, float(s == 3) - 0.1 * a, False)] for a in range(2)} for s in range(7)},
        np.full(7, 1 / 7),
    )
)
"""Seven places in a ring, from which one goes left or right; leaving the fourth pays."""


def settings(**keys: Any) -> MuZeroSettings:
    defaults = {name: value for name, value in vars(rlkit.defaults("agent/muzero")).items() if name != "network"}
    found: MuZeroSettings = by_keys(MuZeroSettings, **{**defaults, "anneal": False, **keys})
    return found


def judge(observation: Array) -> tuple[Array, Array]:
    """Return logits [B, A] and values [B] as a network might, the same for the same observation."""
    flat = np.asarray(observation, np.float64).reshape(len(observation), -1)
    weights = np.random.default_rng(5).normal(size=(flat.shape[1], 8))
    said = np.tanh(flat @ weights)
    return said[:, :7].astype(np.float32), said[:, 7].astype(np.float32)


class TruthAsNetwork:
    """The functions of a network that has learned a model perfectly: a latent is the number of a true state."""

    def __init__(self, model: Any):
        self.model, self.states = model, [model.blank_state()]

    def entered(self, states: Array) -> Latents:
        places = np.arange(len(self.states), len(self.states) + len(states))
        self.states += list(states)
        logits, value = judge(self.model.observation(states))
        return Latents(places[:, None].astype(np.float32), logits[:, : self.model.num_actions], value)

    def recurrent(self, latent: Array, action: Array) -> Imagined:
        states = np.array([self.states[int(place)] for place in latent[:, 0]])
        step = self.model.step(states, action, np.zeros(len(action), int))
        return Imagined(self.entered(step.state), step.reward, step.discount)


def searched(model: Any, evaluate: Any, states: Array, found: MuZeroSettings, **options: Any) -> SearchTree:
    limits = {"seconds": None, "simulations": found.simulations, "nodes": found.simulations + 1}
    search = Search(model, NetworkEvaluator(evaluate), found.rule(), look_ahead=False, **limits)
    return search(states, np.random.default_rng(0), **options).tree


@pytest.mark.parametrize("noise", [None, DirichletNoise(0.25, 1.0)])
@pytest.mark.parametrize(("name", "gamma"), [("connect four", 1.0), ("ring", 0.9)])
def test_with_the_true_model_for_the_learned_one_the_tree_is_alphazeros(name: str, gamma: float, noise: Any) -> None:
    model: Any = ConnectFour() if name == "connect four" else RING
    found = settings(simulations=60, gamma=gamma)
    roots = np.stack([model.initial_state()] * 2) if name == "connect four" else np.array([[0], [3]])[:, :RING_SIZE]
    if name == "connect four":  # the second game has begun
        roots[1:] = model.step(roots[1:], np.array([2]), np.zeros(1, int)).state

    def of_truth(observation: Array, legal: Array) -> tuple[Array, Array]:
        logits, value = judge(observation)
        weights = np.exp(logits[:, : model.num_actions].astype(np.float64) - logits.max()) * legal
        return weights / weights.sum(axis=1, keepdims=True), value

    known = searched(model, of_truth, roots, found, noise=noise)
    network = TruthAsNetwork(model)
    learned = LatentModel(model.num_actions, 1, network.entered, network.recurrent)
    guessed = searched(
        learned, learned.evaluated, learned.encoded(roots), found, noise=noise, legal=model.legal_actions(roots)
    )
    assert known.visits[:, 0].sum() == 2 * 60
    assert np.array_equal(known.visits[:, 0], guessed.visits[:, 0])
    assert np.array_equal(known.child, guessed.child)
    assert np.allclose(known.total[:, 0], guessed.total[:, 0])


RING_SIZE = len(RING.blank_state())


def test_only_legal_actions_are_tried_at_a_root_and_all_of_them_below() -> None:
    def made_of(n: int) -> Latents:
        return Latents(np.zeros((n, 1), np.float32), np.zeros((n, 3), np.float32), np.zeros(n, np.float32))

    def recurrent(latent: Array, action: Array) -> Imagined:
        n = len(action)
        return Imagined(made_of(n), np.zeros(n, np.float32), np.ones(n, np.float32))

    model = LatentModel(3, 1, lambda observation: made_of(len(observation)), recurrent)
    states = model.encoded(np.zeros((1, 2)))
    legal = np.array([[True, False, True]])
    tree = searched(model, model.evaluated, states, settings(simulations=40), legal=legal)
    assert tree.visits[0, 0, 1] == 0
    assert tree.prior[0, 0].tolist() == [0.5, 0, 0.5]
    assert (tree.visits[0, 1 : tree.size[0], 1] > 0).any()


class TestHalving:
    @pytest.mark.parametrize(
        ("considered", "simulations", "schedule"),
        [
            (1, 3, [0, 1, 2]),
            (2, 4, [0, 0, 1, 1]),
            # Two rounds of four simulations each: four actions once, then two of them twice.
            (4, 8, [0, 0, 0, 0, 1, 1, 2, 2]),
            # A round of three, one of two, and what is left over.
            (3, 6, [0, 0, 0, 1, 1, 2]),
            # Fewer simulations than actions.
            (8, 5, [0, 0, 0, 0, 0]),
            # 32 simulations in four rounds: each would be half a try of 16, which is one; then 8 once, 4 twice.
            (16, 32, [0] * 16 + [1] * 8 + [2] * 4 + [3] * 4),
        ],
    )
    def test_schedules(self, considered: int, simulations: int, schedule: list[int]) -> None:
        assert halving(considered, simulations) == schedule


def bandit(rewards: list[float], depth: int) -> LatentModel:
    """A model that pays `rewards` at the given depth, after which nothing counts, and nothing before it."""
    actions = len(rewards)

    def said(level: Array) -> Latents:
        n = len(level)
        return Latents(
            level[:, None].astype(np.float32), np.zeros((n, actions), np.float32), np.full(n, 0.5, np.float32)
        )

    def recurrent(latent: Array, action: Array) -> Imagined:
        level = latent[:, 0] + 1
        over = level == depth
        return Imagined(said(level), np.where(over, np.array(rewards)[action], 0.0), np.where(over, 1e-300, 1.0))

    return LatentModel(actions, 1, lambda observation: said(np.zeros(len(observation))), recurrent)


class TestGumbel:
    def play(self, model: LatentModel, found: MuZeroSettings, legal: list[bool], explore: bool = False) -> Any:
        player = found.player(model)
        forest = player._search(
            model.encoded(np.zeros((1, 1))),
            np.random.default_rng(3),
            noise=DirichletNoise(0.25, 1.0) if explore else None,
            legal=np.array([legal]),
        )
        return forest, *player._decided(forest, np.zeros(1, bool), np.random.default_rng(0))

    def test_without_noise_the_best_half_goes_on(self) -> None:
        found = settings(simulations=8, considered=4, gamma=1.0)
        forest, action, policy = self.play(bandit([0.0, 3.0, 1.0, 2.0], 1), found, [True] * 4)
        assert forest.tree.visits[0, 0].tolist() == [1, 3, 1, 3]
        assert action.tolist() == [1]
        # Logits are (50 + 3) * 0.1 * (q - 0) / 3 above equal priors.
        weights = [math.exp(5.3 * q / 3) for q in (0, 3, 1, 2)]
        assert policy[0] == pytest.approx([weight / sum(weights) for weight in weights])

    def test_the_values_of_actions_never_tried_are_completed(self) -> None:
        found = settings(simulations=2, considered=2, gamma=1.0)
        forest, _, policy = self.play(bandit([1.0, 0.0, 9.0], 1), found, [True] * 3)
        # Equal scores: the first two are considered. The third is worth (v + n * mean of the tried) / (1 + n), 0.5.
        assert forest.tree.visits[0, 0].tolist() == [1, 1, 0]
        weights = [math.exp(5.1), 1.0, math.exp(5.1 / 2)]
        assert policy[0] == pytest.approx([weight / sum(weights) for weight in weights])

    def test_what_is_not_legal_is_never_taken(self) -> None:
        found = settings(simulations=6, considered=4, gamma=1.0)
        forest, action, policy = self.play(bandit([0.0, 3.0, 9.0], 1), found, [True, True, False], explore=True)
        assert forest.tree.visits[0, 0].tolist()[2] == 0
        assert forest.tree.visits[0, 0].tolist() == [3, 3, 0]
        assert policy[0, 2] == 0
        assert action[0] < 2

    def test_noise_decides_between_equal_actions(self) -> None:
        found = settings(simulations=4, considered=2, gamma=1.0)
        player = found.player(bandit([1.0, 1.0, 1.0], 1))
        states = np.zeros((3000, 5), np.float32)
        forest = player._search(states, np.random.default_rng(1), noise=DirichletNoise(0.25, 1.0))
        action, _ = player._decided(forest, np.zeros(3000, bool), np.random.default_rng(0))
        shares = np.bincount(action, minlength=3) / 3000
        assert shares == pytest.approx(np.full(3, 1 / 3), abs=0.03)

    def test_below_the_root_visits_follow_the_improved_policy(self) -> None:
        rewards, simulations = [0.2, 1.0, 0.6], 15
        found = settings(simulations=simulations, considered=1, gamma=1.0)
        forest, _, _ = self.play(bandit(rewards, 2), found, [True, False, False])
        # The first simulation meets the node; each of the others tries what lacks most visits.
        visits = np.zeros(3)
        for _ in range(simulations - 1):
            tried = visits > 0
            q = np.array(rewards)
            n, mean = visits.sum(), q[tried].mean() if tried.any() else 0
            completed = np.where(tried, q, (0.5 + n * mean) / (1 + n))
            span = np.ptp(completed)
            scores = (50 + visits.max()) * 0.1 * (completed - completed.min()) / span if span else np.zeros(3)
            policy = np.exp(scores) / np.exp(scores).sum()
            visits[(policy - visits / (1 + n)).argmax()] += 1
        node = forest.tree.child[0, 0, 0, 0]
        assert forest.tree.visits[0, node].tolist() == visits.tolist()
        assert visits.argmax() == 1
