"""Control agents against the exact optimum: the greedy policy's value by linear solve, from every start."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from loops import Play

from rlkit.core.types import Array
from rlkit.planning.mdp import exact_values, model_of, policy_iteration

OFF_POLICY = ("q_learning", "double_q_learning")
ON_POLICY = ("sarsa", "expected_sarsa")
ENVS = {"taxi": ("env=taxi", 0.99), "cliff": ("env=cliff_walking", 1.0), "safecab": ("env=safecab", 0.618)}
ALMOST_1 = 1 - 1e-7
"""In place of gamma 1, with which the value of a policy that walks in circles is not defined."""


def exactness(play: Play, gamma: float) -> tuple[Array, Array]:
    """Return the values of the greedy policy and of an optimal one [starts], both exact."""
    mdp, gamma = replace(model_of(play.env.envs[0], samples=None, seed=0), legal=None), min(gamma, ALMOST_1)
    policy = np.zeros(play.agent.q_values.shape)
    policy[np.arange(len(policy)), play.agent.q_values.argmax(axis=1)] = 1.0
    values, best = exact_values(mdp, policy, gamma=gamma), policy_iteration(mdp, gamma=gamma, theta=None).values
    starts = mdp.start > 0
    return values[starts], best[starts]


def learnt(words: str, steps: int, gamma: float, seed: int = 0) -> tuple[Array, Array]:
    play = Play(f"{words} agent.gamma={gamma}", seed)
    play.leap(steps)
    return exactness(play, gamma)


def fading(start: float, steps: int) -> str:
    return f"agent.epsilon.start={start} agent.epsilon.end=0 agent.epsilon.steps={steps * 9 // 10}"


@pytest.mark.slow
@pytest.mark.parametrize("credit", ["agent.n_step=1", "agent.n_step=3", "agent.trace_decay=0.5"])
@pytest.mark.parametrize("env", ENVS)
@pytest.mark.parametrize("agent", OFF_POLICY)
def test_off_policy_control_is_exact(agent: str, env: str, credit: str) -> None:
    words, gamma = ENVS[env]
    rate = "agent.learning_rate=1 agent.learning_rate_decay=0"
    values, best = learnt(f"agent={agent} {credit} {words} {rate} {fading(1, 3_000_000)}", 3_000_000, gamma)
    np.testing.assert_allclose(values, best, rtol=0, atol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("credit", ["agent.n_step=1", "agent.n_step=3", "agent.trace_decay=0.5"])
@pytest.mark.parametrize("agent", ON_POLICY)
def test_on_policy_control_is_exact_in_taxi(agent: str, credit: str) -> None:
    rate = "agent.learning_rate=1 agent.learning_rate_decay=0.65"
    values, best = learnt(f"agent={agent} {credit} env=taxi {rate} {fading(1, 3_000_000)}", 3_000_000, 0.99)
    np.testing.assert_allclose(values, best, rtol=0, atol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("credit", ["agent.n_step=1", "agent.trace_decay=0.2"])
@pytest.mark.parametrize(("env", "optimism"), [("cliff", 1_000), ("safecab", 5_000)])
@pytest.mark.parametrize("agent", ON_POLICY)
def test_on_policy_control_is_exact_where_it_explores_by_optimism(
    agent: str, env: str, optimism: int, credit: str
) -> None:
    words, gamma = ENVS[env]
    # Random actions near the cliff would teach it to keep away for good.
    rate = f"agent.learning_rate=0.03 agent.learning_rate_decay=0 agent.initial_value={optimism} {fading(0, 10)}"
    values, best = learnt(f"agent={agent} {credit} {words} {rate}", 6_000_000, gamma)
    np.testing.assert_allclose(values, best, rtol=0, atol=1e-9)


MASKED_MAZE = "env=maze action_mask=true env.step=-1 env.exit=5 env.bonus=0 env.trap=-20 env.max_steps=100"


@pytest.mark.parametrize("credit", ["agent.n_step=1", "agent.n_step=3", "agent.trace_decay=0.5"])
@pytest.mark.parametrize("agent", ["q_learning", "double_q_learning"])
def test_values_of_0_that_illegal_actions_keep_mislead_nobody(agent: str, credit: str) -> None:
    """In a maze where every step costs, a wall that is never run into stays at 0, more than any way is worth."""
    play = Play(f"agent={agent} {credit} {MASKED_MAZE} agent.gamma=0.9 agent.learning_rate_decay=0 {fading(1, 60_000)}")
    play.leap(60_000)
    mdp = model_of(play.env.envs[0], samples=None, seed=0)
    assert not play.agent.visits[~mdp.mask].any()
    assert not play.agent.q_values[~mdp.mask].any()
    policy = np.zeros(play.agent.q_values.shape)
    policy[np.arange(len(policy)), np.where(mdp.mask, play.agent.q_values, -np.inf).argmax(axis=1)] = 1.0
    starts = mdp.start > 0
    best = policy_iteration(mdp, gamma=0.9, theta=None).values[starts]
    np.testing.assert_allclose(exact_values(mdp, policy, gamma=0.9)[starts], best, rtol=0, atol=1e-9)
    # What is learnt is what it is worth, and below 0: no wall was taken for the best way.
    learnt_values = np.where(mdp.mask, play.agent.q_values, -np.inf).max(axis=1)[starts]
    np.testing.assert_allclose(learnt_values, best, rtol=0, atol=0.05)
    assert (best < 0).all()


def test_sixty_thousand_episodes_of_safecab_are_exact_from_every_start_and_keep_clear_of_anomalies() -> None:
    play = Play("experiment=safecab_source")
    play.leap(10**9, episodes=60_000)
    values, best = exactness(play, 0.618)
    assert len(values) == 21 * 12
    np.testing.assert_allclose(values, best, rtol=0, atol=1e-9)
    mdp = model_of(play.env.envs[0], samples=None, seed=0)
    states = np.flatnonzero(mdp.start)
    for _ in range(40):
        if not len(states):
            break
        actions = play.agent.q_values[states].argmax(axis=1)
        assert mdp.reward[states, actions, 0].min() > -1_000
        states = mdp.next_state[states, actions, 0][~mdp.terminated[states, actions, 0]]
    assert not len(states)


LAKES = {"4x4": (0.999, 3_000_000), "8x8": (0.99, 24_000_000)}
LAKE_CREDITS = ("agent.n_step=1", "agent.n_step=2", "agent.trace_decay=0.3")


def near_the_optimum(words: str, lake: str) -> bool:
    share, steps = LAKES[lake]
    values, best = learnt(f"env=frozen_lake env.kwargs.map_name={lake} {words}", steps, 0.99)
    return bool(values[0] >= share * best[0])


@pytest.mark.slow
@pytest.mark.parametrize("credit", LAKE_CREDITS)
@pytest.mark.parametrize("lake", LAKES)
@pytest.mark.parametrize("agent", OFF_POLICY)
def test_off_policy_control_comes_near_the_optimum_on_the_lakes(agent: str, lake: str, credit: str) -> None:
    rate = f"agent.learning_rate=1 agent.learning_rate_decay=0.65 {fading(1, LAKES[lake][1])}"
    assert near_the_optimum(f"agent={agent} {credit} {rate}", lake)


OPTIMISM = {
    "4x4": f"agent.learning_rate=0.003 agent.initial_value=1.5 {fading(0, 10)}",
    # There optimism alone leaves some states too seldom seen.
    "8x8": f"agent.learning_rate=0.01 agent.initial_value=1 {fading(0.3, LAKES['8x8'][1])}",
}


@pytest.mark.slow
@pytest.mark.parametrize("credit", LAKE_CREDITS)
@pytest.mark.parametrize("lake", LAKES)
@pytest.mark.parametrize("agent", ON_POLICY)
def test_on_policy_control_comes_near_the_optimum_on_the_lakes_by_optimism(agent: str, lake: str, credit: str) -> None:
    assert near_the_optimum(f"agent={agent} {credit} {OPTIMISM[lake]} agent.learning_rate_decay=0", lake)


def online(agent: str, seed: int) -> tuple[float, int]:
    """Return the mean reward of the last half of the episodes, and the length of the greedy path, on the cliff."""
    fixed = "schedule@agent.epsilon=constant agent.epsilon.value=0.1 agent.learning_rate=0.5"
    play = Play(f"agent={agent} env=cliff_walking agent.gamma=1 agent.learning_rate_decay=0 {fixed}", seed)
    play.leap(40_000)
    returns = [episode.return_raw for episode in play.episodes]
    env: Any = play.env.envs[0].env
    state, _ = env.reset(seed=0)
    ended, length = False, 0
    while not ended and length < 50:
        state, _, ended, _, _ = env.step(int(play.agent.q_values[state].argmax()))
        length += 1
    return float(np.mean(returns[len(returns) // 2 :])), length


def test_on_the_cliff_sarsa_earns_more_and_q_learning_finds_the_shorter_path() -> None:
    sarsa, q_learning = ([online(agent, seed) for seed in range(5)] for agent in ("sarsa", "q_learning"))
    # Sutton & Barto, 2nd ed., example 6.6: about -25 and -50 in the figure; paths of 17 and 13.
    assert min(reward for reward, _ in sarsa) > max(reward for reward, _ in q_learning) + 10
    assert [length for _, length in q_learning] == [13] * 5
    assert all(length >= 15 for _, length in sarsa)


def test_double_q_learning_has_not_the_bias_of_q_learning() -> None:
    # Sutton & Barto, 2nd ed., example 6.7: left is worse, but Q-learning goes there far more often than 5%.
    lefts = {}
    for agent in ("q_learning", "double_q_learning"):
        shares = []
        for seed in range(40):
            fixed = "schedule@agent.epsilon=constant agent.epsilon.value=0.1 agent.learning_rate=0.1"
            words = f"agent={agent} env=bias action_mask=true agent.gamma=1 agent.learning_rate_decay=0 {fixed}"
            play = Play(words, seed)
            play.leap(10**9, episodes=100)
            shares.append(np.mean([episode.length > 1 for episode in play.episodes[:100]]))
        lefts[agent] = float(np.mean(shares))
    assert lefts["q_learning"] > 0.4
    assert lefts["double_q_learning"] < lefts["q_learning"] - 0.1


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("agent", ON_POLICY)
def test_returns_of_two_steps_are_exact_on_the_cliff_where_optimism_falls_slowly(agent: str, seed: int) -> None:
    slowly = "agent.learning_rate=0.0003 agent.learning_rate_decay=0 agent.initial_value=0"
    never = "agent.epsilon.start=0 agent.epsilon.end=0"
    values, best = learnt(f"agent={agent} agent.n_step=2 env=cliff_walking {slowly} {never}", 30_000_000, 1.0, seed)
    np.testing.assert_allclose(values, best, rtol=0, atol=1e-9)


# In state 2 of the 4x4 lake another action is best for who explores one time in ten or more, and Monte Carlo control
# values what it does while it explores: little of it then, and so many episodes.
MC_ON_THE_LAKE = "agent.learning_rate=0.001 agent.learning_rate_decay=0 agent.initial_value=1 env=frozen_lake"


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_monte_carlo_control_finds_the_optimum_on_the_lake(seed: int) -> None:
    fades = "agent.epsilon.start=0.2 agent.epsilon.end=0.02 agent.epsilon.steps=30000000"
    values, best = learnt(f"agent=mc_control {MC_ON_THE_LAKE} {fades}", 100_000_000, 0.99, seed)
    np.testing.assert_array_less(0.99 * best, values + 1e-12)


@pytest.mark.parametrize("visits", ["first_visit=true", "first_visit=false"])
def test_monte_carlo_control_is_exact_on_the_gridworld(visits: str) -> None:
    fades = "agent.epsilon.start=1 agent.epsilon.end=0.02 agent.epsilon.steps=600000 agent.learning_rate_decay=0.8"
    values, best = learnt(f"agent=mc_control agent.{visits} env=gridworld {fades}", 1_000_000, 1.0)
    np.testing.assert_allclose(values, best, rtol=1e-6)
