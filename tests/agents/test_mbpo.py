from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.wrappers import TimeLimit
from making import made

from rlkit.agents.mbpo import MBPO, MBPOSettings
from rlkit.core.loop import interact
from rlkit.core.types import UsageError
from rlkit.vector.serial import SerialEnvironment

SMALL = (
    "agent=mbpo env=pendulum agent.actor.hidden=[8] agent.critics.hidden=[8] agent.ensemble.hidden=[8] "
    "agent.ensemble.members=3 agent.ensemble.elites=2 agent.learning_starts=20 agent.model_every=20 "
    "agent.model_epochs=1 agent.rollouts=3 agent.batch_size=20 agent.gradient_steps=1 agent.imagined=500"
)


@pytest.fixture
def env() -> Any:
    import gymnasium

    found = SerialEnvironment([lambda: TimeLimit(gymnasium.make("Pendulum-v1").unwrapped, 30)])
    yield found
    found.close()


def lived(agent: MBPO, env: SerialEnvironment, steps: int, *, learns: bool = True) -> list[Any]:
    found = []
    for _, transition in zip(
        range(steps), interact(agent, env, explore=True, rng=np.random.default_rng(0)), strict=False
    ):
        agent.observe(transition)
        if learns:
            found.append(agent.update())
    return found


class Toy(torch.nn.Module):
    """A perfect model of a world that adds 1 to each number and ends beyond 1.5; it pays what was first."""

    elite = torch.arange(2)

    def predict(self, observation: Any, action: Any, noise: Any) -> Any:
        return observation + 1, observation[..., 0], (observation[..., 0] + 1 > 1.5).float()


class TestRollouts:
    def test_models_are_fit_and_rollouts_made_when_they_are_due(self, env: Any) -> None:
        metrics = lived(made(SMALL, env), env, 60)
        fits = [i + 1 for i, found in enumerate(metrics) if found and "model/epochs" in found]
        assert fits == [20, 40, 60]
        assert all(found is None for found in metrics[:19])
        assert all("loss/critics" in found for found in metrics[19:])

    def test_so_many_rollouts_begin_where_the_agent_has_been(self, env: Any) -> None:
        agent = made(SMALL, env)
        lived(agent, env, 20)
        # 3 for each of 20 steps, of one step each.
        assert len(agent.imagined) == 60
        seen = agent._everything().observation
        begun = agent.imagined.sample(200).observation
        assert np.abs(begun[:, None] - seen).sum(2).min(1).max() < 1e-6

    def test_they_follow_the_model_until_it_says_that_the_episode_ends(self, env: Any) -> None:
        agent = made(f"{SMALL} agent.length_first=3 agent.length_last=3", env)
        lived(agent, env, 20, learns=False)
        agent.ensemble = Toy()
        with torch.inference_mode():
            agent._roll_out(10, 3)
        observation, action, reward, discount, successor = (c[: len(agent.imagined)] for c in agent.imagined._columns)
        assert np.allclose(successor, observation + 1)
        assert np.array_equal(reward, observation[:, 0])
        assert np.array_equal(discount, (successor[:, 0] <= 1.5).astype(np.float32))
        assert (np.abs(action) <= 1).all()
        # Cosines lie from -1 to 1: one from 0.5 on ends at once, others go on for 1 or 2 steps more.
        begun = observation[:10, 0]
        assert len(reward) == sum(1 if x > 0.5 else 2 if x > -0.5 else 3 for x in begun)

    def test_known_rules_decide_where_they_are_named(self, env: Any) -> None:
        agent = made(f"{SMALL} agent.termination=never", env)
        lived(agent, env, 20, learns=False)
        agent.ensemble = Toy()
        with torch.inference_mode():
            agent._roll_out(10, 2)
        assert (agent.imagined._columns[3][:20] == 1).all()

    def test_their_length_grows_in_a_straight_line(self) -> None:
        settings: Any = MBPOSettings.rollout_length
        of = lambda decisions: settings(  # noqa: E731
            _Numbers(length_first=1, length_last=15, lengthen_from=20_000, lengthen_until=100_000), decisions
        )
        assert [of(n) for n in (0, 20_000, 25_714, 25_715, 60_000, 100_000, 500_000)] == [1, 1, 1, 2, 8, 15, 15]


class _Numbers:
    def __init__(self, **numbers: int):
        vars(self).update(numbers)


class TestMix:
    def test_minibatches_are_of_both_kinds(self, env: Any) -> None:
        agent = made(f"{SMALL} agent.real_share=0.25", env)
        lived(agent, env, 20)
        agent.imagined._columns[2][:] = 7.0  # rewards of pendulums are never positive
        batch = agent.mixed(80)
        assert (batch.reward == 7).sum() == 60
        assert 1 < (batch.reward[:20] == 7).sum() < 20

    def test_all_is_real_before_anything_was_imagined(self, env: Any) -> None:
        agent = made(SMALL, env)
        lived(agent, env, 20, learns=False)
        assert (agent.mixed(40).reward <= 0).all()


def test_a_state_brings_all_back(env: Any) -> None:
    one, other = made(SMALL, env), made(SMALL, env)
    lived(one, env, 50)
    other.load_state_dict(one.state_dict())
    transitions = [
        t for _, t in zip(range(20), interact(one, env, explore=True, rng=np.random.default_rng(1)), strict=False)
    ]
    found = []
    for agent in (one, other):
        for transition in transitions:
            agent.observe(transition)
            metrics = agent.update()
        found.append(metrics)
    assert found[0] == found[1]
    assert np.array_equal(one.imagined.sample(20).reward, other.imagined.sample(20).reward)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("agent.learning_starts=1", "agent.learning_starts is 1; it must be at least 2"),
        ("replay.n_step=3", "replay.n_step is 3; agent=mbpo models single steps"),
        ("agent.termination=ant", "agent.termination is 'ant'"),
        ("agent.ensemble.elites=4", "agent.ensemble.elites is 4, of 3 members"),
        ("agent.rollouts=0", "agent.rollouts is 0; it must be at least 1"),
    ],
)
def test_settings_that_cannot_be_are_refused(words: str, line: str, env: Any) -> None:
    with pytest.raises(UsageError, match=line):
        made(f"{SMALL} {words}", env)
