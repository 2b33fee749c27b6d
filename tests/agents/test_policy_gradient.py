"""Agents of the policy gradient: against exact gradients, naive twins and hand-computed tables."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
import torch
from exact_gradients import (
    Bandit,
    Chance,
    assert_within_standard_errors,
    begun,
    exact_objective,
    moves_of_chance,
    steps_from_there,
    updates,
    values_of_chance,
    with_bias,
)
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from making import made, stream_of

from rlkit.agents.reinforce import powers
from rlkit.core.evaluation import evaluate, with_epsilon
from rlkit.core.loop import interact, train
from rlkit.core.targets import returns
from rlkit.core.types import UsageError
from rlkit.networks import MLP, ActorCritic, load_module_state, module_state
from rlkit.planning.mdp import exact_values
from rlkit.planning.mdp.model import FiniteMDP
from rlkit.vector.serial import SerialEnvironment
from rlkit.vector.vector import VectorEnvironment
from toys import Counting, Locks, assert_same


def twin(agent: Any, transitions: list[Any], lambda_: float, gamma: float) -> list[np.ndarray]:
    """Return advantages [T] of each environment, episode by episode, with the values of the network as it is."""

    def value(observation: np.ndarray) -> float:
        seen = torch.from_numpy(observation[None])
        with torch.no_grad():
            return float(agent.network(seen, torch.zeros(1, 0)).values)

    found = []
    for i in range(len(transitions[0].last)):
        rows = [0.0] * len(transitions)
        following = 0.0
        for t in range(len(transitions) - 1, -1, -1):
            step = transitions[t]
            if step.last[i] or t == len(transitions) - 1:
                following = 0.0
            discount = gamma * step.discount[i]
            error = step.reward[i] + discount * value(step.next_observation[i]) - value(step.observation[i])
            following = rows[t] = error + discount * lambda_ * following
        found.append(np.array(rows))
    return found


@pytest.mark.parametrize("lambda_", [0.0, 0.8, 1.0])
def test_advantages_are_those_of_each_episode_alone(lambda_: float) -> None:
    """Episodes of `Counting` end terminated or truncated: then the true successor's value goes on."""
    env = SerialEnvironment([Counting] * 3)
    agent = made(f"agent=a2c agent.n_steps=60 agent.gae_lambda={lambda_} agent.gamma=0.9", env)
    transitions, learnt = [], []
    agent._learn = learnt.append
    for transition, _ in train(agent, stream_of(agent, env, 1), total_steps=180):
        transitions.append(transition)
    (batch,) = learnt
    found = batch.advantage.view(60, 3).numpy()
    assert any((t.last & (t.discount > 0)).any() for t in transitions)
    for i, expected in enumerate(twin(agent, transitions, lambda_, 0.9)):
        np.testing.assert_allclose(found[:, i], expected, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(batch.target, batch.advantage + batch.value, rtol=1e-6)


RECURRENT = "agent.network.recurrent={kind} agent.network.recurrent_size=8"


@pytest.mark.parametrize("kind", ["none", "gru", "lstm", "transformer"])
def test_a_rollout_is_seen_in_training_as_it_was_while_acting(kind: str) -> None:
    """So the first ratios are 1, whatever is remembered and wherever episodes end."""
    env = SerialEnvironment([Counting] * 3)
    agent = made(f"agent=ppo agent.n_steps=40 {RECURRENT.format(kind=kind)}", env)
    hidden: list[float] = []

    def look(batch: Any) -> None:
        log_prob, _, values = agent._evaluate(batch)
        torch.testing.assert_close(log_prob, batch.log_prob.flatten(), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(values, batch.value.flatten(), rtol=1e-4, atol=1e-5)
        hidden.append(batch.hidden.abs().sum().item())

    agent._learn = look
    for _ in train(agent, stream_of(agent, env, 1), total_steps=3 * 40 * 3):
        pass
    assert len(hidden) == 3
    assert (hidden[1] > 0) == (kind != "none")


@pytest.mark.parametrize(("kind", "size"), [("gru", 8), ("lstm", 16), ("transformer", 8 + 2 * 32 * 8 + 1)])
def test_what_is_remembered_begins_as_zeros(kind: str, size: int) -> None:
    agent = made(f"agent=ppo agent.n_steps=40 {RECURRENT.format(kind=kind)}", SerialEnvironment([Counting] * 3))
    memory = agent.initial_memory(3)
    shapes = {name: value.shape for name, value in memory.items()}
    assert shapes == {"before": (3, size), "hidden": (3, size), "sample": (3,), "log_prob": (3,), "value": (3,)}
    assert not any(value.any() for value in memory.values())


@pytest.mark.parametrize("kind", ["gru", "lstm"])
def test_a_recurrent_network_is_torch_s(kind: str) -> None:
    env = SerialEnvironment([Counting])
    agent = made(f"agent=a2c {RECURRENT.format(kind=kind)}", env)
    core = agent.network.core
    whole = (torch.nn.GRU if kind == "gru" else torch.nn.LSTM)(core.cell.input_size, 8)
    whole.load_state_dict({f"{name}_l0": value for name, value in core.cell.state_dict().items()})
    features = torch.randn(6, 2, core.cell.input_size, generator=torch.Generator().manual_seed(0))
    found, last = core.sequence(features, torch.zeros(2, core.hidden_size), torch.zeros(6, 2, dtype=torch.bool))
    expected, _ = whole(features)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(last[:, :8], expected[-1])
    begins = torch.zeros(6, 2, dtype=torch.bool)
    begins[3, 1] = True
    found, _ = core.sequence(features, torch.zeros(2, core.hidden_size), begins)
    torch.testing.assert_close(found[:, 0], expected[:, 0])
    torch.testing.assert_close(found[3:, 1], whole(features[3:])[0][:, 1])


@pytest.mark.parametrize("kind", ["gru", "lstm"])
def test_a_recurrent_core_starts_orthogonal_without_biases(kind: str) -> None:
    env = SerialEnvironment([Counting])
    for orthogonal in (True, False):
        words = f"agent=a2c {RECURRENT.format(kind=kind)} agent.network.orthogonal={str(orthogonal).lower()}"
        cell = made(f"{words} network=mlp network.hidden=[5]", env).network.core.cell
        for matrix in (cell.weight_ih, cell.weight_hh):
            product = matrix.T @ matrix
            assert torch.allclose(product, torch.eye(len(product)), atol=1e-5) == orthogonal
        assert (not cell.bias_ih.any() and not cell.bias_hh.any()) == orthogonal


def test_a_minibatch_of_a_recurrent_network_is_whole_sequences() -> None:
    env = SerialEnvironment([Counting] * 4)
    words = "agent=ppo agent.n_steps=16 agent.epochs=1 agent.network.recurrent=gru"
    agent = made(f"{words} agent.batch_size=35", env)
    seen: list[tuple[int, ...]] = []
    step = agent._gradient_step
    agent._gradient_step = lambda batch: seen.append(tuple(batch.advantage.shape)) or step(batch)
    for _ in train(agent, stream_of(agent, env, 0), total_steps=64):
        pass
    assert seen == [(16, 2), (16, 2)]
    with pytest.raises(UsageError, match=r"batch_size is 15; a recurrent network learns whole sequences"):
        made(f"{words} agent.batch_size=15", env)


def test_an_update_ends_before_the_policy_has_gone_too_far() -> None:
    env = SerialEnvironment([Counting] * 4)
    words = "agent=ppo agent.n_steps=64 agent.learning_rate=0.01"
    counts = {}
    for limit in ("null", "0.01"):
        agent = made(f"{words} agent.max_kl={limit}", env)
        (metrics,) = [m for _, m in train(agent, stream_of(agent, env, 0), total_steps=256) if m]
        counts[limit] = metrics["minibatches"]
    assert counts["null"] == 10 * 4
    assert counts["0.01"] < 40


def test_observations_are_standardised_by_what_was_seen_and_no_further_in_evaluation() -> None:
    env = SerialEnvironment([Counting] * 2)
    agent = made("agent=ppo agent.n_steps=32 agent.batch_size=16 agent.network.standardize=true", env)
    seen = [t.observation[t.valid] for t, _ in train(agent, stream_of(agent, env, 0), total_steps=64)]
    rows = np.concatenate(seen)
    standardize = agent.network.standardize
    np.testing.assert_allclose(standardize.mean, rows.mean(0), rtol=1e-5)
    np.testing.assert_allclose(1 / standardize.inverse_std, rows.std(0), rtol=1e-4)
    before = module_state(agent.network)
    stream = interact(agent, env, explore=False, rng=np.random.default_rng(0), reset_seeds=lambda _: [9, 9])
    for _ in range(50):
        next(stream)
    np.testing.assert_array_equal(before["standardize.mean"], module_state(agent.network)["standardize.mean"])


def test_rewards_are_scaled_for_learning_only() -> None:
    env = SerialEnvironment([Counting] * 2)
    agent = made("agent=a2c agent.n_steps=8 agent.scale_rewards=true", env)
    for transition, _ in train(agent, stream_of(agent, env, 0), total_steps=2 * 7):
        assert transition.reward.dtype == np.float32
    rows = agent._rollout.columns["reward"][:7]
    assert not np.array_equal(rows[-1], transition.reward)
    assert (np.abs(rows) <= 10).all()


def test_the_weights_of_discounting_begin_anew_with_each_episode() -> None:
    last = np.array([False, False, True, True, False])
    assert powers(last, 0.5).tolist() == [1, 0.5, 0.25, 1, 1]


def test_whole_episodes_are_returned_as_a_plain_loop_returns_them() -> None:
    rng = np.random.default_rng(0)
    r, last = rng.normal(size=30), rng.random(30) < 0.2
    last[-1] = True
    found = returns(r, 0.9 * (1 - last), np.zeros(30), last)
    expected, following = np.zeros(30), 0.0
    for t in range(29, -1, -1):
        following = expected[t] = r[t] + (0 if last[t] else 0.9 * following)
    np.testing.assert_allclose(found, expected)


def head(space: Any, **keys: Any) -> ActorCritic:
    observations = spaces.Box(-1, 1, (3,))
    options: dict[str, Any] = {
        "shared": "auto", "action_values": False, "recurrent": "none", "recurrent_size": 4, "orthogonal": True,
        "squash": False, "log_std": -0.5, "standardize": False,
    }  # fmt: skip
    torsos = [MLP(observations, [5], "tanh", False) for _ in range(2)]
    return ActorCritic(*torsos, observations, space, **{**options, **keys})


def test_heads_fit_every_action_space() -> None:
    hidden = torch.zeros(6, 0)
    for space, width in (
        (spaces.Discrete(4), 4),
        (spaces.MultiDiscrete([2, 3]), 5),
        (spaces.MultiBinary(3), 3),
        (spaces.Box(-1, 1, (2,)), 4),
    ):
        outputs = head(space)(torch.randn(6, 3), hidden)
        assert outputs.parameters.shape == (6, width)
        assert outputs.values.shape == (6,)
    assert (outputs.parameters[:, 2:] == -0.5).all()


def test_policy_and_value_share_no_parameter_where_they_have_torsos_of_their_own() -> None:
    apart, together = head(spaces.Discrete(2)), head(spaces.Discrete(2), shared=True)
    sizes = [sum(p.numel() for p in part) for part in (apart.policy_parameters(), apart.value_parameters())]
    assert sum(sizes) == sum(p.numel() for p in apart.parameters())
    assert sizes == [3 * 5 + 5 + 5 * 2 + 2, 3 * 5 + 5 + 5 + 1]
    assert sum(p.numel() for p in together.parameters()) == sizes[0] + 6


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(UsageError, match=r"needs one torso, and .*: use agent=a2c or ppo, with"):
        head(spaces.Discrete(2), shared=False, recurrent="gru")
    with pytest.raises(UsageError, match=r"recurrent is 'rnn'; it must be one of none, gru, lstm"):
        head(spaces.Discrete(2), recurrent="rnn")
    with pytest.raises(UsageError, match=r"recurrent_size is 0; it must be at least 1"):
        head(spaces.Discrete(2), recurrent="gru", recurrent_size=0)
    for shared in ("maybe", 1):
        with pytest.raises(UsageError, match=r"network.shared is .*; it must be true, false or auto"):
            head(spaces.Discrete(2), shared=shared)
    with pytest.raises(UsageError, match=r"action_values=true needs discrete actions, not Box"):
        head(spaces.Box(-1, 1, (2,)), action_values=True)
    env = SerialEnvironment([Counting])
    with pytest.raises(UsageError, match=r"needs torsos of their own: set agent.network.shared=false"):
        made("agent=reinforce agent.network.shared=true", env)
    with pytest.raises(UsageError, match=r"agent.episodes is 0; it must be at least 1"):
        made("agent=reinforce agent.episodes=0", env)
    with pytest.raises(UsageError, match=r"agent.learning_rate is 'fast', but it must be a number"):
        made("agent=ppo agent.learning_rate=fast", env)
    with pytest.raises(UsageError, match=r"network.hidden\[1\] is 0; it must be at least 1"):
        made("agent=ppo network.hidden=[8,0]", env)
    with pytest.raises(UsageError, match=r"baseline_episodes is 3; it must be from 1 to agent.episodes=2"):
        made("agent=reinforce agent.episodes=2 agent.baseline_episodes=3", env)
    with pytest.raises(UsageError, match=r"agent=actor_critic learns single steps; use agent=a2c"):
        made("agent=actor_critic agent.network.recurrent=gru", env)
    for agent in ("a2c", "ppo", "reinforce"):
        with pytest.raises(UsageError, match=r"action_values=true is for agent=actor_critic; leave it false"):
            made(f"agent={agent} agent.network.action_values=true", env)
    with pytest.raises(UsageError, match=r"standardize=true is for numbers, not Discrete\(1\); leave it false"):
        made("agent=ppo agent.network.standardize=true", SerialEnvironment([Bandit]))
    for words, line in (
        ("ppo agent.epochs=0", "agent.epochs is 0; it must be at least 1"),
        ("ppo agent.batch_size=0", "agent.batch_size is 0; it must be at least 1"),
        ("ppo agent.clip=-1", "agent.clip is -1; it must be more than 0"),
        ("ppo agent.max_kl=0", "agent.max_kl is 0; it must be more than 0"),
        ("a2c agent.n_steps=0", "agent.n_steps is 0; it must be at least 1"),
        ("a2c agent.learning_rate=-1", "agent.learning_rate is -1; it must be at least 0"),
        ("reinforce agent.max_grad_norm=0", "agent.max_grad_norm is 0; it must be more than 0"),
        ("a2c +schedule@agent.learning_rate=exponential", "is a schedule; set agent.anneal=false"),
    ):
        with pytest.raises(UsageError, match=line):
            made(f"agent={words}", env)


LEARNERS = {
    "reinforce": "agent.learning_rate=0.02",
    "actor_critic": "agent.learning_rate=0.02",
    "actor_critic agent.network.action_values=true": "agent.learning_rate=0.02",
    "a2c": "agent.learning_rate=0.01",
    "impala": "agent.n_steps=5 agent.learning_rate=0.01",
    "ppo": "agent.n_steps=32 agent.learning_rate=0.01",
    "es": "agent.learning_rate=0.1 agent.sigma=0.5 agent.weight_decay=0",
}


@pytest.mark.parametrize("agent", LEARNERS)
def test_it_finds_the_better_arm(agent: str) -> None:
    env = SerialEnvironment([Bandit] * 4)
    learner = made(f"agent={agent} {LEARNERS[agent]} total_steps=4000", env)
    for _ in train(learner, stream_of(learner, env, 0), total_steps=4000):
        pass
    outputs = learner.network(torch.zeros(1, dtype=torch.int64), torch.zeros(1, 0))
    share = outputs.parameters.softmax(1)[0, 1].item()
    assert share > 0.9 or (agent == "es" and share > 0.5)


@pytest.mark.parametrize("kind", ["gru", "lstm", "transformer"])
def test_a_truncated_episode_goes_on_from_what_was_remembered_after_its_last_step(kind: str) -> None:
    """A twin remembers step by step, and asks what the successor is worth with the memory after the step."""
    env = SerialEnvironment([Counting] * 3)
    words = f"agent=a2c agent.n_steps=40 agent.gae_lambda=0.8 agent.gamma=0.9 {RECURRENT.format(kind=kind)}"
    agent = made(words, env)
    transitions, learnt = [], []
    agent._learn = learnt.append
    for transition, _ in train(agent, stream_of(agent, env, 1), total_steps=120):
        transitions.append(transition)
    found = learnt[0].advantage.view(40, 3).numpy()
    assert any((t.last & (t.discount > 0)).any() for t in transitions[:-1])
    for i in range(3):
        hidden, values, following = torch.zeros(1, agent.network.hidden_size), [], []
        for step in transitions:
            with torch.no_grad():
                now = agent.network(torch.from_numpy(step.observation[i : i + 1]), hidden)
                after = agent.network(torch.from_numpy(step.next_observation[i : i + 1]), now.hidden)
            values.append(now.values.item())
            following.append(after.values.item())
            hidden = torch.zeros_like(hidden) if step.last[i] else now.hidden
        expected = 0.0
        for t in range(39, -1, -1):
            step, discount = transitions[t], 0.9 * transitions[t].discount[i]
            expected = 0.0 if step.last[i] else expected
            expected = step.reward[i] + discount * following[t] - values[t] + 0.8 * discount * expected
            assert found[t, i] == pytest.approx(expected, rel=1e-3, abs=1e-3)


def test_the_rate_of_a_schedule_is_that_of_the_steps() -> None:
    """By plain descent from the same parameters, on the same rollout, at the start and at half the steps."""
    env = SerialEnvironment([Counting])
    plain = "agent.optimizer._target_=torch.optim.SGD ~agent.optimizer.alpha ~agent.optimizer.eps"
    agent = made(f"agent=a2c agent.n_steps=4 {plain} agent.learning_rate=0.1 agent.anneal=true total_steps=8", env)
    learn, moves = agent._learn, []

    def at_both(batch: Any) -> Any:
        saved, vector = module_state(agent.network), agent._optimizers["all"].vector
        for steps in (0, 4, 8):
            agent._steps, before = steps, vector.clone()
            learn(batch)
            moves.append((vector - before).numpy().copy())
            load_module_state(agent.network, saved)

    agent._learn = at_both
    for _ in train(agent, stream_of(agent, env, 0), total_steps=4):
        pass
    assert np.abs(moves[0]).max() > 1e-3
    np.testing.assert_allclose(moves[1], moves[0] / 2, rtol=1e-3, atol=1e-6)
    assert not moves[2].any()


def test_values_of_the_online_actor_critic_learn_at_a_rate_of_their_own() -> None:
    env = SerialEnvironment([Counting] * 2)
    plain = "agent.optimizer._target_=torch.optim.SGD ~agent.optimizer.fused agent.max_grad_norm=null"
    moves = []
    for rate in (1, 8):
        agent = made(f"agent=actor_critic {plain} agent.learning_rate=1e-3 agent.value_rate={rate}", env)
        before = {name: descent.vector.clone() for name, descent in agent._optimizers.items()}
        agent.observe(next(stream_of(agent, env, 0)))
        agent.update()
        moves.append({name: agent._optimizers[name].vector - vector for name, vector in before.items()})
    assert all(move.any() for move in moves[0].values())
    torch.testing.assert_close(moves[1]["policy"], moves[0]["policy"])
    torch.testing.assert_close(moves[1]["value"], 8 * moves[0]["value"], rtol=1e-3, atol=1e-6)
    with pytest.raises(UsageError, match=r"agent.value_rate is 0; it must be more than 0"):
        made("agent=actor_critic agent.value_rate=0", env)


def test_action_values_teach_all_actions_and_bootstrap_by_the_policy_s_mean() -> None:
    """One step by hand: chances 1/4 and 3/4; values 8 and 4 before it, 8 and 4 after it too, mean 5."""
    env = SerialEnvironment([Bandit])
    plain = "agent.optimizer._target_=torch.optim.SGD ~agent.optimizer.fused agent.max_grad_norm=null"
    words = f"{plain} agent.learning_rate=1 agent.value_rate=1 agent.entropy_weight=0 agent.gamma=0.5 network=mlp"
    agent = made(f"agent=actor_critic agent.network.action_values=true {words} network.hidden=[]", env)
    policy, value = agent.network.policy, agent.network.value
    with torch.no_grad():
        for parameter in (*policy.parameters(), *value.parameters()):
            parameter.zero_()
        policy.bias.copy_(torch.tensor([0.0, np.log(3.0)]))
        value.bias.copy_(torch.tensor([6.0, 2.0, -2.0]))
    before = policy.bias.detach().clone()
    step = next(stream_of(agent, env, 0))
    sample = {**step.memory, "sample": np.array([0])}
    going_on = step._replace(
        reward=np.array([3.0], np.float32), discount=np.ones(1, np.float32), last=np.zeros(1, bool), memory=sample
    )
    agent.observe(going_on)
    metrics = agent.update()
    # The policy: pi (q - 5). The target of what was done is 3 + .5 * 5, its error 8 - 5.5.
    torch.testing.assert_close(policy.bias - before, torch.tensor([0.75, -0.75]))
    assert metrics["loss/value"] == pytest.approx(0.5 * 2.5**2)
    # By a weight of .5: 1.25 from the state's value; from the advantages too, less their mean.
    torch.testing.assert_close(value.bias.detach(), torch.tensor([6 - 1.25, 2 - 0.625, -2 + 0.625]))


STANDARDIZED = {
    "ppo": "agent.n_steps=8 agent.batch_size=8",
    "a2c": "agent.n_steps=8",
    "impala": "agent.n_steps=8",
    "reinforce": "agent.episodes=2",
    "actor_critic": "",
}


@pytest.mark.parametrize("agent", STANDARDIZED)
def test_nothing_is_learnt_before_observations_were_measured(agent: str) -> None:
    """What `Counting` shows first is up to 1,000: as it is, all of it is clipped to 10."""
    env = SerialEnvironment([Counting] * 2)
    learner = made(f"agent={agent} {STANDARDIZED[agent]} agent.network.standardize=true total_steps=300", env)
    scale, weights = learner.network.standardize, learner.network.policy.weight
    first, told, seen = weights.detach().clone(), [], []
    for transition, metrics in train(learner, stream_of(learner, env, 0), total_steps=300):
        if scale.mean.any():
            told.append(metrics)
            seen.append(scale(torch.from_numpy(transition.next_observation)).abs().max().item())
        else:
            assert metrics is None
            assert torch.equal(weights, first)
    assert any(metrics is not None for metrics in told)
    assert not torch.equal(weights, first)
    assert np.mean(np.array(seen) < 10) > 0.9
    other = made(f"agent={agent} {STANDARDIZED[agent]} agent.network.standardize=true total_steps=300", env)
    assert other.state_dict()["measured"] is False
    other.load_state_dict(learner.state_dict())
    assert_same(other.state_dict(), learner.state_dict())


def test_a_row_that_was_no_step_leaves_the_discount_s_weight_alone() -> None:
    env = SerialEnvironment([Counting] * 2)
    agent = made("agent=actor_critic agent.discount_weights=true agent.gamma=0.5", env)
    stream = stream_of(agent, env, 0)
    transition = next(stream)._replace(last=np.zeros(2, bool), valid=np.array([True, False]))
    agent.observe(transition)
    agent.update()
    assert agent.state_dict()["powers"].tolist() == [0.5, 1.0]


def test_scores_are_of_the_likeliest_actions_or_of_drawn_ones() -> None:
    env = SerialEnvironment([Bandit] * 4)
    agent = made("agent=a2c", env)
    options: Any = {"episodes": 800, "max_steps": 10, "episode_seeds": list(range(800))}
    likeliest, drawn = (
        np.mean([score for score, *_ in evaluate(agent, env, **options, rng=np.random.default_rng(0), sample=sample)])
        for sample in (False, True)
    )
    policy = agent.network(torch.zeros(1, dtype=torch.int64), torch.zeros(1, 0)).parameters.softmax(1)[0].tolist()
    arms = [action for t in plays(agent, env, 1000) for action in t.action.tolist()]
    assert np.mean(arms) == pytest.approx(policy[1], abs=4 * (policy[0] * policy[1] / len(arms)) ** 0.5)
    assert 0.3 < policy[1] < 0.7, "a new policy is not sure, so that the scores are told apart"
    assert drawn == pytest.approx(1 + policy[1], abs=0.15)
    assert likeliest == pytest.approx(1 + round(policy[1]), abs=0.15)


def plays(agent: Any, env: Any, steps: int) -> list[Any]:
    """Return transitions of an agent that draws its actions."""
    actor = with_epsilon(agent, env.action_space, 0.0, sample=True)
    rng = np.random.default_rng(1)
    stream = interact(actor, env, explore=False, rng=rng, reset_seeds=lambda _: list(range(env.num_envs)))
    return [next(stream) for _ in range(steps)]


def test_the_ratio_is_one_before_the_first_step_and_logged() -> None:
    env = SerialEnvironment([Counting] * 2)
    agent = made("agent=ppo agent.n_steps=4 agent.epochs=1 agent.batch_size=8", env)
    [metrics] = [metrics for _, metrics in train(agent, stream_of(agent, env, 0), total_steps=8) if metrics]
    assert metrics["ratio"] == pytest.approx(1, abs=1e-6)
    assert metrics["kl"] == pytest.approx(0, abs=1e-6)


COMPOSED = ((spaces.MultiDiscrete([2, 3]), [2, 3]), (spaces.MultiBinary(2), [2, 2]))


@pytest.mark.parametrize("agent", ["reinforce", "actor_critic", "a2c agent.n_steps=8", "ppo agent.n_steps=8", "es"])
def test_masks_of_composed_actions_are_kept(agent: str) -> None:
    """The environment fails where they are not."""
    for space, sizes in COMPOSED:
        env = SerialEnvironment([functools.partial(Locks, space, sizes)] * 2, action_mask=True)
        learner = made(f"agent={agent} total_steps=60", env)
        told = [metrics for _, metrics in train(learner, stream_of(learner, env, 0), total_steps=60)]
        assert all(np.isfinite(list(metrics.values())).all() for metrics in told if metrics is not None)
        assert any(metrics is not None for metrics in told) or agent == "es"


def test_rows_that_were_no_step_do_not_spoil_an_update_with_masks() -> None:
    make = functools.partial(Locks, *COMPOSED[0])
    vector = lambda: SyncVectorEnv([make] * 2, autoreset_mode=AutoresetMode.NEXT_STEP)  # noqa: E731
    env, steps = VectorEnvironment(vector, action_mask=True), []
    words = "agent.n_steps=16 agent.epochs=4 agent.max_kl=1e-4 agent.learning_rate=0.1 agent.anneal=false"
    agent = made(f"agent=ppo {words}", env)  # type: ignore[arg-type]
    optimize = agent._optimize
    agent._optimize = lambda loss: steps.append(loss.item()) or optimize(loss)  # type: ignore[func-returns-value]
    stream = stream_of(agent, env, 0)  # type: ignore[arg-type]
    metrics = next(metrics for _, metrics in train(agent, stream, total_steps=40) if metrics is not None)
    assert np.isfinite(list(metrics.values())).all()
    assert len(steps) == 1, "one step is enough to diverge"


def test_values_of_actions_do_not_ask_what_is_legal_after_an_end() -> None:
    env = SerialEnvironment([Counting] * 2)
    agents = [made("agent=actor_critic agent.network.action_values=true", env) for _ in range(2)]
    ended = next(stream_of(agents[0], env, 0))._replace(discount=np.zeros(2, np.float32), last=np.ones(2, bool))
    told = []
    for agent, legal in zip(agents, (None, np.zeros((2, 3), bool)), strict=True):
        agent.observe(ended._replace(next_legal_actions=legal))
        told.append(agent.update())
    assert_same(*told)
    assert_same(*(module_state(agent.network) for agent in agents))


def test_the_exact_objective_is_that_of_the_solver() -> None:
    logits = torch.tensor([[0.3, -0.2], [1.0, 0.0], [0.0, 0.4]], dtype=torch.float64)
    next_state = np.array([[[(s + 1) % 3, (s + 2) % 3, 0]] * 2 for s in range(3)])
    rest = 1 - Chance.CHANCES.sum(2, keepdims=True)
    probability = np.concatenate([Chance.CHANCES, rest], 2)
    ends = np.zeros((3, 2, 3), bool)
    ends[:, :, 2] = True
    reward = np.repeat(Chance.REWARDS[:, :, None], 3, 2)
    mdp = FiniteMDP(probability, next_state, reward, ends, np.array([1.0, 0, 0]), None)
    values = exact_values(mdp, logits.softmax(1).numpy(), gamma=0.9)
    assert exact_objective(logits, Chance, 0.9).item() == pytest.approx(values[0], abs=1e-12)


@pytest.mark.parametrize("baseline", ["true", "false"])
@pytest.mark.parametrize("kind", [Bandit, Chance])
def test_reinforce_follows_the_exact_gradient(kind: type[Any], baseline: str) -> None:
    # At a rate of 1 values that learn from one return alone are thrown about: unbiased, but of little use.
    episodes = f"agent.baseline={baseline} agent.episodes=8 agent.baseline_episodes=4"
    words = f"agent=reinforce {episodes} agent.discount_weights=true ~agent.optimizer.fused"
    assert_within_standard_errors(*updates(words, kind, 0.9, 500))


@pytest.mark.parametrize("lambda_", [0.0, 0.7, 1.0])
def test_a2c_follows_the_exact_gradient_in_a_small_mdp(lambda_: float) -> None:
    """With a critic that is right, from states as often as they are seen: the sum of d(s) pi(a|s) A(s, a) grad log."""
    plain = "~agent.optimizer.alpha ~agent.optimizer.eps"
    env = SerialEnvironment([Chance] * 4)
    words = f"agent=a2c agent.n_steps=5 agent.gae_lambda={lambda_} agent.value_weight=0 {plain}"
    agent, logits = begun(words, env, 0.9)
    policy = logits.detach().softmax(1)
    values = values_of_chance(policy, 0.9)
    with torch.no_grad():
        agent.network.value.weight.copy_(values[None])
        agent.network.value.bias.zero_()
    chain = torch.einsum("sa,sat->st", policy, moves_of_chance())
    chain[:, 0] += 1 - chain.sum(1)  # the end, and a new episode
    seen = torch.linalg.matrix_power(chain, 1000)[0]
    worth = torch.from_numpy(Chance.REWARDS) + 0.9 * moves_of_chance() @ values
    exact = seen[:, None] * policy * (worth - values[:, None])
    assert_within_standard_errors(steps_from_there(agent, env, 1500), with_bias(exact.numpy()))


def test_without_weights_the_gradient_is_another_one() -> None:
    words = "agent=reinforce ~agent.optimizer.fused agent.baseline=false agent.episodes=8 agent.discount_weights=false"
    with pytest.raises(AssertionError):
        assert_within_standard_errors(*updates(words, Chance, 0.5, 500))


@pytest.mark.parametrize("lambda_", [1.0, 0.0])
def test_a2c_follows_the_exact_gradient_in_the_bandit(lambda_: float) -> None:
    plain = "~agent.optimizer.alpha ~agent.optimizer.eps"
    words = f"agent=a2c agent.n_steps=4 agent.gae_lambda={lambda_} agent.value_weight=0 {plain}"
    assert_within_standard_errors(*updates(words, Bandit, 0.9, 500))


class TestRolloutSize:
    @pytest.mark.parametrize(("environments", "steps"), [(1, 24), (4, 6), (5, 4), (50, 1)])
    def test_more_environments_make_shorter_rollouts_of_each(self, environments: int, steps: int) -> None:
        env = SerialEnvironment([Counting] * environments)
        agent = made("agent=a2c agent.n_steps=null agent.rollout_size=24", env)
        lengths: list[int] = []
        agent._learn = lambda batch: lengths.append(batch.weight.numel())
        for _ in train(agent, stream_of(agent, env, 1), total_steps=2 * steps * environments):
            pass
        assert lengths == [steps * environments] * 2

    @pytest.mark.parametrize("words", ["agent.rollout_size=24", "agent.n_steps=null"])
    def test_one_of_both_lengths_is_given(self, words: str) -> None:
        with pytest.raises(UsageError, match=r"agent\.n_steps is .* and agent\.rollout_size .*; give one of them"):
            made(f"agent=ppo {words}", SerialEnvironment([Counting]))
