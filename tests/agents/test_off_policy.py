"""DDPG, TD3 and SAC: losses and their gradients, options, exploration, what is stored, and exact resume."""

from __future__ import annotations

import random
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from making import configured, made, stream_of
from pushed import Chosen, Pushed, numerical
from sights import Steered
from torch import Tensor, nn
from transitions import seen, transition

from rlkit.core import tree
from rlkit.core.evaluation import with_epsilon
from rlkit.core.loop import train
from rlkit.core.seeding import Seeds
from rlkit.core.types import Environment, UsageError
from rlkit.networks import Minibatch, module_state
from rlkit.networks.sequences import SequenceSteps, Successors
from rlkit.networks.stacked import StackedBatchRenorm
from rlkit.runs import build
from rlkit.testing.agents import resumed_equals_uninterrupted
from rlkit.testing.training import AgentCase
from rlkit.vector.serial import SerialEnvironment
from toys import Nested

SMALL = "agent.actor.hidden=[6,5] agent.critics.hidden=[6,5] agent.batch_size=8 agent.learning_starts=20"


def agent_of(words: str, kind: Any = Pushed, n: int = 1) -> Any:
    return made(f"{words} {SMALL}", SerialEnvironment([kind] * n))


def doubled(agent: Any) -> Any:
    """Return an agent whose networks compute in double precision."""
    for module in (*agent.network.values(), *(target.module for target in agent._targets.values())):
        module.double()
        if hasattr(module, "encoder"):
            holder = module.encoder.reader if getattr(module.encoder, "hidden_size", 0) else module.encoder
            holder.reader = nn.Identity()  # Readers make float32 of everything.
    return agent


def sequences_for(agent: Any, normal: Any) -> tuple[SequenceSteps, Successors]:
    """Return what a batch of six rows has in place of observations: two learned steps of three sequences.

    The second of one begins an episode. Without burn-in, whose states count as constants.
    """
    hidden = {name: normal(3, 2 * 4) for name in ("actor", "critics")}
    begins = torch.zeros(3, 3, dtype=torch.bool)
    begins[1, 1] = True
    history = SequenceSteps(normal(9, 3), begins, hidden, burn_in=0)
    acted = history._replace(rows=history.rows[:6], begins=begins[:2])
    return acted, Successors(history, normal(6, 3), torch.tensor([3, 1, 5, 6, 7, 5]))


def batch_for(agent: Any, *, n: int = 6, legal: bool = False) -> Minibatch:
    rng = torch.Generator().manual_seed(3)
    normal = lambda *shape: torch.randn(shape, generator=rng, dtype=torch.float64)  # noqa: E731
    width = agent._num_actions or 3
    actions = torch.randint(width, (n,), generator=rng) if agent._num_actions else normal(n, 2).tanh()
    mask = torch.rand(n, width, generator=rng) < 0.7
    mask[:, 0] = True
    ends = (torch.rand(n, generator=rng) < 0.7).double()
    weight = torch.rand(n, generator=rng, dtype=torch.float64)
    if agent._recall is not None:
        s_tm1, s_t = sequences_for(agent, normal)
        return Minibatch(s_tm1, actions, normal(n), ends, s_t, mask if legal else None, weight)
    return Minibatch(normal(n, 3), actions, normal(n), ends, normal(n, 3), mask if legal else None, weight)


RECURRENT = (
    "agent.recurrent=lstm agent.actor.recurrent_size=4 agent.critics.recurrent_size=4 replay=sequences replay.length=3 "
    "replay.burn_in=1 replay.n_step=2"
)
LOSSES = {
    "ddpg": ("agent=ddpg", Pushed),
    "td3": ("agent=td3", Pushed),
    "sac": ("agent=sac", Pushed),
    "sac discrete": ("agent=sac", Chosen),
    "sac of a subset": ("agent=sac agent.critics.count=4 agent.subset=2", Pushed),
    "sac dropout": (
        "agent=sac agent.critics.dropout=0.3 agent.critics.norm=layer agent.critics.activation=tanh "
        "agent.actor.norm=layer",
        Pushed,
    ),
    "crossq": (
        "agent=sac agent.target_network=false agent.critics.norm=batch_renorm agent.actor.norm=batch_renorm",
        Pushed,
    ),
    "crossq discrete": ("agent=sac agent.target_network=false agent.critics.norm=batch_renorm", Chosen),
    "simba": ("agent=sac agent.critics.norm=residual agent.actor.norm=residual agent.standardize=true", Pushed),
    "tqc": ("agent=sac distribution=quantile distribution.quantiles=5 agent.drop=1 agent.critics.count=3", Pushed),
    "gsde": ("agent=sac agent.actor.noise=state_dependent agent.actor.log_std_initial=-1", Pushed),
    "td3 quantiles": ("agent=td3 distribution=quantile distribution.quantiles=5 agent.drop=2", Pushed),
    "sac lstm": (f"agent=sac {RECURRENT}", Pushed),
    "sac lstm discrete": (f"agent=sac {RECURRENT}", Chosen),
    "td3 lstm": (f"agent=td3 {RECURRENT}", Pushed),
    "iql": ("agent=iql agent.episodes=x", Pushed),
    "iql discrete": ("agent=iql agent.episodes=x agent.critics.count=3 agent.subset=2", Chosen),
    "cql": ("agent=cql agent.episodes=x agent.samples=3", Pushed),
    "cql discrete": ("agent=cql agent.episodes=x", Chosen),
    "ddpg lstm shared": (f"agent=ddpg agent.share_encoder=true {RECURRENT}", Pushed),
}


class HeldTarget:
    """Reads critics as `values` does, but for targets, which stay what they are at first: no gradient flows there."""

    def __init__(self, values: Any) -> None:
        self.value, self.loss = values.value, values.loss
        self._values, self._held = values, None

    def target(self, outputs: Tensor) -> Tensor:
        if self._held is None:
            self._held = self._values.target(outputs)
        return self._held


# Masks are for discrete actions.
@pytest.mark.parametrize(
    ("case", "legal"),
    [(case, legal) for case, (_, kind) in LOSSES.items() for legal in ([False, True] if kind is Chosen else [False])],
)
def test_each_part_follows_the_gradient_of_its_own_loss_and_of_no_other(
    case: str, legal: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(StackedBatchRenorm, "MOMENTUM", 0.0)  # Else an actor changes the statistics of the critics.
    words, kind = LOSSES[case]
    agent = doubled(agent_of(f"{words} agent.policy_delay=1", kind))
    batch, state = batch_for(agent, legal=legal), agent._generator.get_state()
    agent.values = HeldTarget(agent.values)
    statistics = [(buffer, buffer.clone()) for buffer in agent.network.buffers()]

    def losses() -> tuple[Tensor, dict[str, Tensor]]:
        agent._generator.set_state(state)
        for buffer, before in statistics:
            buffer.copy_(before)
        found: tuple[Tensor, dict[str, Tensor]] = agent.loss(batch)
        return found

    names = {name: f"loss/{name}" for name in agent.network}
    pairs = [(part, parameter) for part in names for parameter in agent.network[part].parameters()]
    gradients = torch.autograd.grad(losses()[0], [parameter for _, parameter in pairs])
    draw = random.Random(0)
    for (part, parameter), gradient in zip(pairs, gradients, strict=True):
        for _ in range(2):
            index = tuple(draw.randrange(size) for size in parameter.shape)
            expected = numerical(lambda name=names[part]: losses()[1][name], parameter, index)
            assert gradient[index].item() == pytest.approx(expected, rel=2e-4, abs=2e-8), (part, index)


def with_constant_targets(agent: Any, *values: float) -> Any:
    """Let target critic i value everything by ``values[i]``."""
    head = agent._targets["critics"].module.head
    with torch.no_grad():
        head.weight.zero_()
        head.bias.copy_(torch.tensor(values, dtype=head.bias.dtype).view(-1, 1, 1).expand_as(head.bias))
    return agent


def errors_of(agent: Any, batch: Minibatch) -> Tensor:
    """Return the targets [B], where critics value everything by 0."""
    with torch.no_grad():
        for parameter in agent.critics.head.parameters():
            parameter.zero_()
    q = agent.loss(batch)[1]["priorities"]
    assert isinstance(q, Tensor)
    return q


def test_the_target_of_deterministic_agents_is_the_least_value_and_nothing_where_it_ended() -> None:
    for name in ("ddpg agent.critics.count=2", "td3"):
        agent = with_constant_targets(doubled(agent_of(f"agent={name} agent.gamma=0.5")), 3.0, 8.0)
        batch = batch_for(agent)
        expected = (batch.r_t + 0.5 * 3 * batch.discount_t).abs()
        assert torch.allclose(errors_of(agent, batch), expected)


def test_the_target_of_sac_adds_the_entropy_of_what_comes_next() -> None:
    for kind, legal in ((Pushed, False), (Chosen, False), (Chosen, True)):
        words = "agent=sac agent.gamma=0.5 agent.temperature.initial=0.25"
        agent = with_constant_targets(doubled(agent_of(words, kind)), 3.0, 8.0)
        batch, state = batch_for(agent, legal=legal), agent._generator.get_state()
        errors = errors_of(agent, batch)
        agent._generator.set_state(state)
        decision = agent.actor(agent.actor.encode(batch.s_t), agent._generator, batch.legal_t)
        expected = batch.r_t + 0.5 * batch.discount_t * (3 + 0.25 * decision.entropy)
        assert torch.allclose(errors, expected.abs())
        if legal:
            assert (decision.prob[~batch.legal_t] == 0).all()


def test_without_target_network_one_pass_of_the_critics_values_both() -> None:
    agent = doubled(agent_of("agent=ddpg agent.gamma=0.5 agent.target_network=false agent.critics.count=2"))
    batch = batch_for(agent)
    x_tm1, q_tm1, q_t = agent.action_values(batch, batch.a_tm1.flip(0))
    assert list(agent._targets) == ["actor"]
    assert not q_t.requires_grad
    assert torch.equal(x_tm1, batch.s_tm1)
    assert torch.allclose(q_tm1, agent.critics.of_taken(batch.s_tm1, batch.a_tm1))
    assert torch.allclose(q_t, agent.critics(batch.s_t, batch.a_tm1.flip(0)).amin(0))


def test_observations_are_standardized_by_what_was_seen() -> None:
    agent = agent_of("agent=sac agent.standardize=true")
    rng = np.random.default_rng(0)
    observation = rng.normal([5, -3, 0], [2, 0.1, 9], (3000, 3)).astype(np.float32)
    actions = np.ones((3000, 3), np.float32)
    agent.observe(transition(observation, actions, [0.0] * 3000, [1.0] * 3000, observation))
    prepared = agent._prepare(torch.from_numpy(observation), learning=True)
    assert prepared.mean(0).tolist() == pytest.approx([0, 0, 0], abs=0.01)
    assert prepared.std(0).tolist() == pytest.approx([1, 1, 1], abs=0.01)
    assert np.array_equal(agent._replay.everything().observation, observation)


def test_targets_of_a_subset_are_of_critics_that_are_drawn() -> None:
    agent = agent_of("agent=ddpg agent.gamma=0.5 agent.critics.count=3 agent.subset=2")
    agent = with_constant_targets(doubled(agent), 1.0, 2.0, 7.0)
    batch = batch_for(agent)._replace(r_t=torch.zeros(6).double(), discount_t=torch.ones(6).double())
    found = {round(errors_of(agent, batch)[0].item(), 3) for _ in range(40)}
    assert found == {0.5, 1.0}  # of the first and any other, or of the second and third


def test_target_noise_is_clipped_and_stays_in_bounds() -> None:
    agent = agent_of("agent=td3 agent.target_noise=2 agent.target_noise_clip=0.25")
    middle, end = torch.zeros(500, 2), torch.ones(500, 2)
    assert agent.smoothed(middle).abs().max().item() == 0.25
    assert len(agent.smoothed(middle).unique()) > 100
    noisy = agent.smoothed(end)
    assert (noisy.max().item(), noisy.min().item()) == (1.0, 0.75)


def learned(agent: Any, env: SerialEnvironment, steps: int) -> list[Any]:
    return [found for _, found in train(agent, stream_of(agent, env, 0), total_steps=steps)]


@pytest.mark.parametrize("name", ["ddpg", "td3", "sac"])
def test_actors_and_temperature_learn_once_in_so_many_steps_of_the_critics(name: str) -> None:
    env = SerialEnvironment([Pushed])
    agent = made(f"agent={name} agent.policy_delay=3 {SMALL}", env)
    moved: dict[str, list[bool]] = {part: [] for part in (*agent.network, "target")}
    followed = {**agent.network, "target": agent._targets["critics"].module}
    before: Any = {}
    for _, metrics in train(agent, stream_of(agent, env, 0), total_steps=28):
        now = {part: [p.detach().clone() for p in module.parameters()] for part, module in followed.items()}
        if metrics is not None:
            assert ("loss/actor" in metrics) == (agent._updates % 3 == 0)
            for part in now:
                moved[part].append(any(not torch.equal(*pair) for pair in zip(before[part], now[part], strict=True)))
        before = now
    slow = [False, False, True, False, False, True, False, False, True]
    assert moved.pop("critics") == [True] * 9
    assert moved.pop("target") == (slow if name == "td3" else [True] * 9)
    assert set(map(tuple, moved.values())) == {tuple(slow)}


def test_target_networks_move_by_tau() -> None:
    env = SerialEnvironment([Pushed])
    agent = made(f"agent=ddpg agent.tau=0.25 {SMALL}", env)
    expected: Any = None
    for _, metrics in train(agent, stream_of(agent, env, 0), total_steps=24):
        online = {name: module_state(agent.network[name]) for name in ("actor", "critics")}
        slow = {name: module_state(target.module) for name, target in agent._targets.items()}
        if metrics is not None:
            for name, state in slow.items():
                for key, array in state.items():
                    mixed = expected[name][key] + 0.25 * (online[name][key] - expected[name][key])
                    assert np.allclose(array, mixed, atol=1e-6)
        expected = slow


def test_the_actor_learns_at_its_own_rate() -> None:
    def moves(rate: float) -> dict[str, float]:
        env = SerialEnvironment([Pushed])
        words = "agent=ddpg agent.optimizer._target_=torch.optim.SGD ~agent.optimizer.fused agent.learning_rate=0.01"
        agent = made(f"{words} agent.actor_rate={rate} {SMALL}", env)
        before = {name: optimizer.vector.clone() for name, optimizer in agent._optimizers.items()}
        learned(agent, env, 20)
        return {name: (agent._optimizers[name].vector - before[name]).norm().item() for name in before}

    plain, slower = moves(1.0), moves(0.5)
    assert slower["critics"] == plain["critics"]
    assert slower["actor"] == pytest.approx(0.5 * plain["actor"], rel=1e-3)


class TestActing:
    def test_before_learning_begins_actions_are_uniform(self) -> None:
        for name in ("ddpg", "td3", "sac"):
            agent, rng = agent_of(f"agent={name}"), np.random.default_rng(0)
            many = seen(np.zeros((4000, 3), np.float32))
            actions, _ = agent.act(many, (), explore=True, rng=rng)
            assert actions.dtype == np.float32
            assert actions.min(0).tolist() == pytest.approx([-2, 0, 1], abs=0.01)
            assert actions.max(0).tolist() == pytest.approx([2, 4, 1], abs=0.01)
            assert actions.mean(0).tolist() == pytest.approx([0, 2, 1], abs=0.1)
            still, _ = agent.act(many, (), explore=False, rng=rng)
            assert (still == still[0]).all()

    def test_deterministic_agents_explore_by_noise_in_normalized_actions(self) -> None:
        agent, rng = (
            agent_of("agent=td3 agent.exploration_noise=0.05 agent.learning_starts=0"),
            np.random.default_rng(0),
        )
        agent.settings = agent.settings.__class__(**{**vars(agent.settings), "learning_starts": 0})
        many = seen(np.zeros((4000, 3), np.float32))
        noisy = agent.act(many, (), explore=True, rng=rng)[0]
        mean = agent.act(many, (), explore=False, rng=rng)[0][0]
        assert noisy.std(0).tolist() == pytest.approx([0.1, 0.1, 0], rel=0.05)
        assert noisy.mean(0).tolist() == pytest.approx(mean.tolist(), abs=0.02)

    def test_discrete_actions_are_drawn_by_their_probability_and_only_legal_ones(self) -> None:
        agent, rng = agent_of("agent=sac", Chosen), np.random.default_rng(0)
        agent._steps = 20
        observation = np.full((6000, 3), 0.3, np.float32)
        features = agent.actor.encode(torch.from_numpy(observation[:1]))
        prob = agent.actor(features, None).prob[0].tolist()
        drawn = agent.act(seen(observation), (), explore=True, rng=rng)[0]
        assert (np.bincount(drawn) / 6000).tolist() == pytest.approx(prob, abs=0.03)
        assert set(agent.act(seen(observation), (), explore=False, rng=rng)[0]) == {int(np.argmax(prob))}
        masked = seen(observation, [[False, True, False]] * 6000)
        for explore in (True, False):
            assert set(agent.act(masked, (), explore=explore, rng=rng)[0]) == {1}
        agent._steps = 0
        assert set(agent.act(masked, (), explore=True, rng=rng)[0]) == {1}

    def test_evaluation_draws_where_it_is_asked_to(self) -> None:
        agent, observation = agent_of("agent=sac"), seen(np.zeros((50, 3), np.float32))
        agent._steps = 20
        for sample, different in ((False, 1), (True, 50)):
            actor = with_epsilon(agent, Pushed.action_space, 0.0, sample=sample)
            actions, _ = actor.act(observation, (), explore=False, rng=np.random.default_rng(0))
            assert len(np.unique(actions, axis=0)) == different
        with pytest.raises(UsageError, match=r"^sample= draws actions from a policy, which this agent does not have"):
            with_epsilon(agent_of("agent=td3"), Pushed.action_space, 0.0, sample=True)

    @pytest.mark.parametrize("name", ["td3", "sac", "sac agent.actor.noise=state_dependent"])
    @pytest.mark.parametrize("steps", [1, 3, None])
    def test_noise_is_held_for_so_many_steps_and_drawn_again_where_an_episode_begins(
        self, name: str, steps: int | None
    ) -> None:
        agent, rng = (
            agent_of(f"agent={name} agent.noise_steps={'null' if steps is None else steps}"),
            np.random.default_rng(0),
        )
        agent._steps = 20
        timestep, memory = seen(np.zeros((2, 3), np.float32)), agent.initial_memory(2)
        acted = []
        for step in range(8):
            action, memory = agent.act(timestep, memory, explore=True, rng=rng)
            acted.append(action)
            still = agent.act(timestep, memory, explore=False, rng=rng)[1]
            assert still is memory
            if step == 3:  # An episode of the first environment begins.
                memory = tree.where(np.array([True, False]), agent.initial_memory(2), memory)
        moved = [[bool((a[i] != b[i]).any()) for a, b in pairwise(acted)] for i in range(2)]
        expected = {
            1: [[True] * 7] * 2,
            3: [[False, False, True, True, False, False, True], [False, False, True, False, False, True, False]],
            None: [[False, False, False, True, False, False, False], [False] * 7],
        }
        assert moved == expected[steps]

    def test_acting_changes_nothing(self) -> None:
        agent = agent_of("agent=sac agent.critics.dropout=0.5")
        before = agent._generator.get_state()
        agent.act(seen(np.zeros((2, 3), np.float32)), (), explore=True, rng=np.random.default_rng(0))
        assert torch.equal(before, agent._generator.get_state())


def test_the_replay_holds_the_free_numbers_of_executed_actions_in_minus_1_to_1() -> None:
    agent = agent_of("agent=sac")
    observation = np.zeros((2, 3), np.float32)
    actions = np.array([[-2, 4, 1], [1, 1, 1]], np.float32)
    agent.observe(transition(observation, actions, [0.0, 0.0], [1.0, 1.0], observation))
    assert agent._replay.everything().action.tolist() == [[-1, 1], [0.5, -0.5]]


def test_other_actions_are_refused_in_one_line() -> None:
    for name in ("ddpg", "td3"):
        with pytest.raises(UsageError, match="a deterministic policy needs Box actions, not Discrete"):
            agent_of(f"agent={name}", Chosen)
    with pytest.raises(UsageError, match="critics need Box or Discrete actions, not Tuple"):
        agent_of("agent=sac", Nested)


class TestImages:
    def test_with_one_encoder_the_critics_loss_alone_trains_it(self) -> None:
        env = SerialEnvironment([lambda: Steered("image", alone=True)])
        for share in ("auto", "false"):
            agent = made(f"agent=sac network=small network.hidden=8 agent.share_encoder={share} {SMALL}", env)
            own = any("encoder" in name for name, _ in agent.actor.named_parameters())
            assert own == (share == "false")
            agent.observe(images := sight(env))
            metrics = agent.loss(agent_batch(agent, images))[1]
            encoder = agent.critics.encoder.body[0].weight
            for name, touched in (("critics", True), ("actor", False)):
                slope = torch.autograd.grad(metrics[f"loss/{name}"], encoder, retain_graph=True, allow_unused=True)[0]
                assert (slope is not None and bool(slope.any())) == touched

    def test_images_are_shifted_where_they_are_learned_from(self) -> None:
        env = SerialEnvironment([lambda: Steered("image", alone=True)])
        losses = []
        for pixels in (0, 4, 4):
            agent = made(f"agent=sac network=small network.hidden=8 agent.image_shift={pixels} {SMALL}", env)
            losses.append([found["loss/critics"] for found in learned(agent, env, 24) if found])
        assert losses[1] == losses[2]
        assert losses[0] != losses[1]


def sight(env: SerialEnvironment) -> Any:
    observation = env.reset([0]).observation
    return transition(observation, np.zeros((1, 1), np.float32), [1.0], [1.0], observation)


def agent_batch(agent: Any, rows: Any) -> Minibatch:
    image = torch.from_numpy(rows.observation)
    one = torch.ones(1)
    return Minibatch(image, torch.zeros(1, 1), one, one, image, None, one)


@pytest.mark.parametrize("name", ["td3", "sac"])
def test_every_part_of_dict_observations_is_learned_from(name: str) -> None:
    env = SerialEnvironment([lambda: Nested(spaces.Box(-1, 1, (2,)))] * 2)
    agent = made(f"agent={name} network.joint=8 {SMALL}", env)
    encoders = agent.critics.encoder.body.encoders
    before = {key: value.clone() for key, value in encoders.state_dict().items()}
    metrics = [found for found in learned(agent, env, 60) if found]
    assert all(np.isfinite(list(found.values())).all() for found in metrics)
    assert all(not torch.equal(value, encoders.state_dict()[key]) for key, value in before.items())


OPTIONS = {
    "critics.count": "agent.critics.count=3",
    "subset": "agent.critics.count=4 agent.subset=2",
    "dropout": "agent.critics.dropout=0.1",
    "layer norm": "agent.critics.norm=layer agent.actor.norm=layer",
    "quantile": "distribution=quantile distribution.quantiles=5 agent.drop=1",
    "n_step": "replay.n_step=3",
    "prioritized": "replay=prioritized",
    "gradient_steps": "agent.gradient_steps=2 agent.train_freq=3",
    "policy_delay": "agent.policy_delay=2",
    "actor_rate": "agent.actor_rate=0.5",
    "max_grad_norm": "agent.max_grad_norm=0.1",
    "anneal": "agent.anneal=true",
    "no target": "agent.target_network=false",
    "batch_renorm": "agent.critics.norm=batch_renorm agent.actor.norm=batch_renorm agent.target_network=false",
    "residual": "agent.critics.norm=residual",
    "standardize": "agent.standardize=true",
    "bfloat16": "agent.precision=bfloat16",
    "noise_steps": "agent.noise_steps=4",
    "tanh": "agent.critics.activation=tanh",
    "encoder": "network=mlp network.hidden=[7]",
    "share_encoder": "network=mlp network.hidden=[7] agent.share_encoder=true",
}
CHANGES = {
    **OPTIONS,
    "fixed": "agent.temperature.learned=false",
    "target_entropy": "agent.temperature.target_entropy=-3",
    "log_std": "agent.actor.log_std_max=-1",
    "gsde": "agent.actor.noise=state_dependent agent.noise_steps=8",
    "log_std_initial": "agent.actor.noise=state_dependent agent.actor.log_std_initial=-1",
    "recurrent": RECURRENT,
}


def ends(words: str, kind: Any = Pushed, steps: int = 40) -> Any:
    """Return the parameters [P] of actor and critics after so many steps, in double precision."""
    env = SerialEnvironment([kind] * 2)
    agent = made(f"{words} {SMALL}", env)
    found = [metrics for metrics in learned(agent, env, steps) if metrics]
    assert found
    assert all(np.isfinite(list(metrics.values())).all() for metrics in found)
    return np.concatenate([agent._optimizers[name].vector.numpy() for name in ("actor", "critics")])


@pytest.fixture(scope="module")
def plain_end() -> Any:
    return ends("agent=sac")


@pytest.mark.parametrize("option", CHANGES)
def test_every_option_changes_what_is_learned(option: str, plain_end: Any) -> None:
    changed = ends(f"agent=sac {CHANGES[option]}")
    assert changed.shape != plain_end.shape or not np.array_equal(changed, plain_end)


def test_the_same_seed_ends_with_the_same_bits(plain_end: Any) -> None:
    assert np.array_equal(ends("agent=sac"), plain_end)


PAIRS = random.Random(25).sample([(a, b) for a in OPTIONS for b in OPTIONS if a < b], 14)


@pytest.mark.parametrize("pair", PAIRS, ids=" ".join)
def test_options_combine(pair: tuple[str, str]) -> None:
    agent = ("sac", "td3", "ddpg")[PAIRS.index(pair) % 3]
    first, second = (OPTIONS[name].split() for name in pair)
    # Where both say the same option, the first counts.
    named = {word.partition("=")[0] for word in first}
    words = [*first, *(word for word in second if word.partition("=")[0] not in named)]
    ends(f"agent={agent} {' '.join(words)}", steps=30)


RESUMED = {
    "ddpg": ("agent=ddpg", Pushed),
    "td3": ("agent=td3 agent.policy_delay=3", Pushed),
    "sac": ("agent=sac", Pushed),
    "sac discrete": ("agent=sac agent.train_freq=3 agent.gradient_steps=2", Chosen),
    "tqc dropout prioritized": (
        "agent=sac distribution=quantile distribution.quantiles=5 agent.drop=1 agent.critics.dropout=0.2 "
        "agent.critics.norm=layer replay=prioritized replay.n_step=2 agent.critics.count=3 agent.subset=2",
        Pushed,
    ),
    "crossq": (
        "agent=sac agent.target_network=false agent.critics.norm=batch_renorm agent.actor.norm=batch_renorm",
        Pushed,
    ),
    "simba": ("agent=td3 agent.critics.norm=residual agent.critics.dropout=0.1 agent.standardize=true", Pushed),
    "gsde": ("agent=sac agent.actor.noise=state_dependent agent.noise_steps=null", Pushed),
    "td3 bfloat16": ("agent=td3 agent.precision=bfloat16", Pushed),
    "sac lstm discrete": (f"agent=sac agent.train_freq=3 agent.standardize=true {RECURRENT}", Chosen),
    "sac lstm gsde": (f"agent=sac agent.actor.noise=state_dependent agent.noise_steps=3 {RECURRENT}", Pushed),
    "td3 lstm": (f"agent=td3 agent.policy_delay=2 {RECURRENT}", Pushed),
    "sac lstm images": (
        f"agent=sac network=small network.hidden=8 {RECURRENT}",
        lambda: Steered("image", alone=True),
    ),
    "sac images": ("agent=sac network=small network.hidden=8", lambda: Steered("image", alone=True)),
}


@pytest.mark.parametrize("case", RESUMED)
def test_training_resumed_equals_uninterrupted(case: str) -> None:
    words, kind = RESUMED[case]

    def agent(env: Environment, seeds: Seeds) -> Any:
        config = configured(f"device=cpu num_envs={env.num_envs} {words} {SMALL} replay.capacity=60")
        return build.make_agent(config.agent_config, env, seeds)

    examined = AgentCase(agent, kind, 0, 60, 2, False)
    resumed_equals_uninterrupted(examined)
    assert examined.lesson.learned
