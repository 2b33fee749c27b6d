import copy
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from making import by_keys
from torch import nn

import rlkit
from rlkit.agents import muzero
from rlkit.agents.muzero import MuZero
from rlkit.core.types import StepInfo, Transition, UsageError
from rlkit.networks import MLP
from rlkit.networks.latent import BoardLatents, LatentNetwork, VectorLatents, expected_discount, scaled
from rlkit.planning.search.histories import Unrolled

NUMBERS, ACTIONS = spaces.Box(-1, 1, (3,), np.float32), spaces.Discrete(2)
BOARD = spaces.Box(0, 1, (2, 3, 3), np.float32)


def network(latents: nn.Module | None = None, **keys: Any) -> LatentNetwork:
    torch.manual_seed(0)
    if latents is None:
        latents = VectorLatents(MLP(NUMBERS, [6], "tanh", False), NUMBERS, ACTIONS, size=4, hidden=5)
    made = LatentNetwork(latents, ACTIONS, **{"hidden": 5, "support": 2.0, "atoms": 5, "projection": 4, **keys})
    for parameter in made.parameters():  # no head is zero
        nn.init.normal_(parameter, std=0.3)
    return made


def learner(made: LatentNetwork | None = None, **settings: Any) -> MuZero:
    agent: MuZero = by_keys(
        MuZero,
        **{
            **vars(rlkit.defaults("agent/muzero")),
            "network": network() if made is None else made,
            "optimizer": partial(torch.optim.SGD),
            "anneal": False,
            "total_steps": None,
            "device": "cpu",
            "rng": np.random.default_rng(0),
            "notify": lambda line: None,
            **{"unroll_steps": 2, "batch_size": 4, "learning_starts": 1, "simulations": 4},
            **settings,
        },
    )
    return agent


def batch(unroll: int = 2, n: int = 3, **columns: Any) -> Unrolled:
    rng = np.random.default_rng(1)
    policy = rng.dirichlet([1, 1], (n, unroll + 1)).astype(np.float32)
    whole = Unrolled(
        observation=rng.normal(size=(n, 3)).astype(np.float32),
        successors=rng.normal(size=(n, unroll, 3)).astype(np.float32),
        action=rng.integers(0, 2, (n, unroll)),
        reward=rng.normal(size=(n, unroll)).astype(np.float32),
        discount=rng.choice([-1, 0, 1], (n, unroll)).astype(np.float32),
        value=rng.normal(size=(n, unroll + 1)).astype(np.float32),
        policy=policy,
        known=np.ones((n, unroll + 1), bool),
        going=np.ones((n, unroll + 1), bool),
    )
    return whole._replace(**columns)


def as_double(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float64) if array.dtype == np.float32 else array


def moves(n: int, *, last: bool, discount: float, reward: float = 1.0) -> Transition:
    ends, row = np.full(n, last), np.ones(n, bool)
    memory = {"policy": np.full((n, 2), 0.5, np.float32), "legal": np.ones((n, 2), bool), "value": np.zeros(n, "f4")}
    return Transition(
        observation=np.zeros((n, 3), np.float32),
        action=np.zeros(n, int),
        reward=np.full(n, reward, np.float32),
        discount=np.full(n, discount, np.float32),
        next_observation=np.ones((n, 3), np.float32),
        last=ends,
        valid=row,
        legal_actions=None,
        next_legal_actions=None,
        info=StepInfo(np.full(n, reward), ends, ~row),
        memory=memory,
    )


class TestNetworks:
    def test_latents_lie_between_zero_and_one(self) -> None:
        found = scaled(torch.tensor([[-2.0, 0.0, 2.0], [1.0, 3.0, 2.0]]))
        assert torch.allclose(found, torch.tensor([[0, 0.5, 1], [0, 1, 0.5]]), atol=1e-4)

    def test_the_action_makes_a_difference(self) -> None:
        for latents in (None, BoardLatents(BOARD, ACTIONS, filters=2, blocks=1)):
            made = network(latents)
            latent = torch.rand(1, made.latents.width).repeat(2, 1)
            reached = made.advance(latent, torch.tensor([0, 1])).latent
            assert reached.shape == latent.shape
            assert not torch.allclose(reached[0], reached[1])

    def test_boards_and_small_images_are_planes(self) -> None:
        image = spaces.Box(0, 255, (10, 10, 4), np.uint8)
        for space, width in ((BOARD, 18), (image, 200)):
            made = BoardLatents(space, ACTIONS, filters=2, blocks=0)
            seen = torch.from_numpy(np.stack([space.sample() for _ in range(3)]))
            assert made.encode(seen).shape == (3, width)

    def test_other_observations_are_not(self) -> None:
        with pytest.raises(UsageError, match=r"latents=board needs boards .* take latents=vector"):
            BoardLatents(NUMBERS, ACTIONS, filters=2, blocks=0)

    def test_a_support_has_a_middle(self) -> None:
        with pytest.raises(UsageError, match=r"agent\.network\.atoms is 2; it must be at least 3"):
            network(atoms=2)

    def test_discounts_are_expected(self) -> None:
        logits = torch.tensor([[0.2, 0.5, 0.3], [0.0, 0.0, 1.0]]).log()
        assert expected_discount(logits).tolist() == pytest.approx([0.2, -1.0])

    def test_what_was_seen_does_not_follow_what_was_imagined(self) -> None:
        made = network()
        one, other = (torch.rand(3, 4, requires_grad=True) for _ in range(2))
        made.inconsistency(one, other).sum().backward()
        assert one.grad is not None
        assert other.grad is None


class TestLosses:
    def test_cross_entropies_of_one_position(self) -> None:
        made = network()
        agent = learner(made, unroll_steps=1, consistency_weight=0.0)
        one = batch(1, 1, reward=np.array([[0.0]], "f4"), discount=np.array([[-1.0]], "f4"))
        found = agent.losses(one)
        latent = made.encode(torch.from_numpy(one.observation))
        advanced = made.advance(latent, torch.from_numpy(one.action[:, 0]))
        after = made.predict(advanced.latent)
        policy = sum(
            -(torch.from_numpy(one.policy[0, k]) * said.policy[0].log_softmax(0)).sum()
            for k, said in enumerate((made.predict(latent), after))
        )
        assert found["loss/policy"].item() == pytest.approx(policy.item())
        # No reward is the middle atom; that the turn passed is the last class.
        assert found["loss/reward"].item() == pytest.approx(-advanced.reward[0].log_softmax(0)[2].item())
        assert found["loss/discount"].item() == pytest.approx(-advanced.discount[0].log_softmax(0)[2].item())

    def test_what_is_not_known_does_not_count(self) -> None:
        agent = learner()
        known = np.array([[True, True, False]] * 3)
        one = batch(known=known, going=known)
        other = one._replace(
            reward=np.add(one.reward, [0, 9]), value=np.add(one.value, [0, 0, 9]), policy=one.policy[:, [0, 1, 1]]
        )
        ours, theirs = (agent.losses(each) for each in (one, other._replace(reward=other.reward.astype("f4"))))
        assert [float(x.detach()) for x in ours.values()] == pytest.approx([float(x.detach()) for x in theirs.values()])

    def numbers(self, agent: MuZero, one: Unrolled) -> torch.Tensor:
        return torch.stack(list(agent.losses(one).values())).sum()

    def test_the_gradient_is_the_numerical_one(self, monkeypatch: pytest.MonkeyPatch) -> None:
        # Halving the gradient on purpose aside, and what is seen fixed, it is that of the loss.
        monkeypatch.setattr(muzero, "halved", lambda latent: latent)
        made = network().double()
        agent = learner(made, consistency_weight=0.0)
        monkeypatch.setattr(agent, "_tensor", lambda array: torch.from_numpy(as_double(array)))
        monkeypatch.setattr("rlkit.networks.torsos.as_floats", lambda observation, highest: observation)
        one = batch()
        self.numbers(agent, one).backward()  # type: ignore[no-untyped-call]
        with torch.no_grad():
            for parameter in (made.latents.top.weight, made.latents.body[0].weight, made.outcome[0].weight):
                flat, gradient = parameter.view(-1), parameter.grad.reshape(-1)
                for i in range(0, len(flat), 3):
                    there = []
                    for h in (1e-6, -1e-6):
                        flat[i] += h
                        there.append(self.numbers(agent, one).item())
                        flat[i] -= h
                    assert (there[0] - there[1]) / 2e-6 == pytest.approx(float(gradient[i]), rel=1e-4, abs=1e-7)

    def test_half_of_the_gradient_goes_on_through_each_step(self, monkeypatch: pytest.MonkeyPatch) -> None:
        found = {}
        ways = {"half": muzero.halved, "all": lambda latent: latent, "none": lambda latent: latent.detach()}
        for name, way in ways.items():
            monkeypatch.setattr(muzero, "halved", way)
            made = network()
            agent = learner(made, unroll_steps=1, consistency_weight=0.0)
            self.numbers(agent, batch(1)).backward()  # type: ignore[no-untyped-call]
            found[name] = made.latents.top.weight.grad.clone()
        assert torch.allclose(found["half"], (found["all"] + found["none"]) / 2, atol=1e-6)
        assert not torch.allclose(found["all"], found["none"], atol=1e-3)

    def test_a_model_is_learned(self) -> None:
        # The first action pays 1 and goes on, the second ends the episode; after the first everything is worth 3.
        made = network(hidden=32)
        agent = learner(made, optimizer=partial(torch.optim.Adam), learning_rate=0.01)
        action = np.array([[0, 0], [1, 0], [0, 1]])
        over = np.array([[False, False], [True, True], [False, True]])
        one = batch(
            action=action,
            observation=np.ones((3, 3), "f4"),
            reward=(~over & (action == 0)).astype("f4"),
            discount=(~over).astype("f4"),
            value=np.concatenate([np.full((3, 1), 2.0), 3.0 * ~over], axis=1).astype("f4"),
        )
        for _ in range(150):
            losses = agent.losses(one)
            agent._optimizer.step(sum(losses.values(), torch.zeros(())), 0)
        latents = agent.initial(np.ones((2, 3), "f4"))
        imagined = agent.recurrent(latents.latent, np.array([0, 1]))
        assert latents.value == pytest.approx([2, 2], abs=0.1)
        assert imagined.reward == pytest.approx([1, 0], abs=0.1)
        assert imagined.discount == pytest.approx([1, 0], abs=0.05)
        assert imagined.reached.value == pytest.approx([3, 0], abs=0.15)


class TestUpdates:
    @pytest.mark.parametrize("num_envs", [1, 4])
    def test_gradient_steps_do_not_depend_on_the_number_of_environments(
        self, num_envs: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        agent, taken = learner(train_every=8, updates=3), []
        monkeypatch.setattr(agent, "_gradient_step", lambda: taken.append(1) or {"loss": 0.0})
        for _ in range(32 // num_envs):
            agent.observe(moves(num_envs, last=True, discount=0.0))
            agent.update()
        assert len(taken) == 3 * 32 // 8

    def test_a_truncated_episode_goes_on_with_what_the_network_says(self) -> None:
        agent = learner(gamma=0.5, td_steps=3)
        agent.observe(moves(1, last=True, discount=1.0))
        said = agent.initial(np.ones((1, 3), "f4")).value[0]
        found = agent.replay.unrolled(np.array([0]), 1, 3, np.random.default_rng(0))
        assert found.value[0].tolist() == pytest.approx([1 + 0.5 * said, said])

    def test_positions_are_searched_again_by_the_newest_network(self) -> None:
        agent = learner(reanalyze=1.0, batch_size=64)
        for _ in range(3):
            agent.observe(moves(1, last=False, discount=1.0))
        agent.observe(moves(1, last=True, discount=0.0))
        agent._reanalyze()
        policy, value = agent.player.searched(np.zeros((1, 3), "f4"), np.ones((1, 2), bool), np.random.default_rng(9))
        found = agent.replay.unrolled(np.array([0]), 2, 1, np.random.default_rng(0))
        assert found.policy[0] == pytest.approx(np.repeat(policy, 3, 0))
        assert found.value[0, 0] == pytest.approx(1 + 0.997 * value[0], rel=1e-5)

    @pytest.mark.parametrize("settings", [{}, {"considered": 2, "reanalyze": 0.5}, {"consistency_weight": 0.0}])
    def test_a_state_brings_all_back(self, settings: Any) -> None:
        one = learner(train_every=1, **settings)
        steps = [moves(2, last=False, discount=1.0), moves(2, last=True, discount=0.0)]
        for transition in steps:
            one.observe(transition)
        one.update()
        one.observe(steps[0])
        other = learner(copy.deepcopy(network()), train_every=1, **settings)
        other.load_state_dict(one.state_dict())
        for agent in (one, other):
            agent.observe(steps[1])
            agent.update()
        ours, theirs = (agent.initial(np.ones((1, 3), "f4")) for agent in (one, other))
        assert all(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))

    @pytest.mark.parametrize(
        ("settings", "line"),
        [
            ({"simulations": 0}, "agent.simulations is 0; it must be at least 1"),
            ({"considered": 0}, "agent.considered is 0; it must be at least 1"),
            ({"unroll_steps": 0}, "agent.unroll_steps is 0; it must be at least 1"),
            ({"reanalyze": 1.5}, "agent.reanalyze is 1.5; it must be from 0 to 1"),
            ({"capacity": 9, "learning_starts": 10}, "agent.capacity is 9 and agent.learning_starts 10"),
        ],
    )
    def test_settings_that_cannot_be_are_refused(self, settings: Any, line: str) -> None:
        with pytest.raises(UsageError, match=line):
            learner(**settings)
