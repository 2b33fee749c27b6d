"""The contract kit passes on what is shipped, and names the rule that broken things break."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from broken import agents, environments, replays
from gymnasium import spaces
from gymnasium.vector import AutoresetMode
from recordings import record

from rlkit.cli.verbs import check
from rlkit.config import instantiate, plugins
from rlkit.config.compose import composed
from rlkit.config.run_config import EnvironmentConfig
from rlkit.replay import UniformReplay
from rlkit.runs import build
from rlkit.testing import ContractError, Result, check_agent, check_env, check_replay, rules
from rlkit.testing.watching import illegal

SHIPPED_ENVIRONMENTS = [entry.name for entry in plugins.entries("env") if entry.origin.distribution == "rlkit"]
SHIPPED_AGENTS = [entry.name for entry in plugins.entries("agent") if entry.origin.distribution == "rlkit"]


def broken(results: list[Result]) -> set[str]:
    return {result.rule for result in results if not result.passed}


def complaints(results: list[Result]) -> list[str]:
    return [f"{result.rule}: {result.message}" for result in results if not result.passed]


# What environments need to be made, or to end within as many steps as a test has time for.
ROBOTS = (
    *("ant", "half_cheetah", "hopper", "humanoid", "humanoid_standup", "pusher", "reacher", "swimmer", "walker2d"),
    *("dm_control", "robotics"),
)
ALIKE = ("half_cheetah", "humanoid_standup", "pusher", "swimmer", "walker2d", "inverted_double_pendulum")
"""Robots that are made as others are."""
ENDS = {
    "gym": ("env.id=Pendulum-v1",),
    "atari": ("steps=100",),
    "car_racing": ("env.max_steps=12", "steps=30"),
    "car_rental": ("env.max_cars=4",),
    **dict.fromkeys(ROBOTS, ("max_episode_steps=12", "steps=30")),
    "highway": ("env.config.vehicles_count=1", "env.config.duration=3", "steps=8"),
}


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow) if name in ALIKE else name for name in SHIPPED_ENVIRONMENTS],
)
def test_every_shipped_environment_keeps_the_contract(name: str) -> None:
    words = [f"env={name}", *ENDS.get(name, ())]
    found = check.check(*composed("check", ["steps=250", *words]), words)

    assert complaints(found[f"env={name}"]) == []


GIVEN = {**dict.fromkeys(("cloning", "cql", "gail", "iql"), "cartpole"), "td3_bc": "pendulum"}
"""Where episodes are recorded for agents that learn from them."""

# These would not learn within the few steps of a test.
SOONER = {
    "dqn": ("agent.learning_starts=30", "agent.batch_size=16"),
    **dict.fromkeys(("ddpg", "td3", "sac", "vdn", "qmix"), ("agent.learning_starts=30", "agent.batch_size=16")),
    "mbpo": (
        "agent.learning_starts=30",
        "agent.batch_size=16",
        "agent.gradient_steps=1",
        "agent.model_every=50",
        "agent.model_epochs=2",
        "agent.ensemble.hidden=[16]",
        "agent.rollouts=2",
        "agent.imagined=1000",
    ),
    "ppo": ("agent.n_steps=16",),
    "gail": ("agent.policy.n_steps=16", "agent.any_length=true", "agent.every=40", "agent.gradient_steps=2"),
    "pqn": ("agent.n_steps=16",),
    "es": ("agent.population=2",),
    "fitted_q": (
        "agent.learning_starts=30",
        "agent.fit_every=50",
        "agent.estimator.n_estimators=3",
        "agent.iterations=2",
    ),
    "mcts": ("agent.simulations=4", "agent.max_steps=5"),
    "cloning": ("learner@agent.estimator=logistic",),
    **dict.fromkeys(("cql", "iql", "td3_bc"), ("agent.batch_size=16",)),
    **dict.fromkeys(
        ("alphazero", "muzero"), ("agent.simulations=4", "agent.learning_starts=20", "agent.batch_size=16")
    ),
}


@pytest.mark.parametrize("name", SHIPPED_AGENTS)
def test_every_shipped_agent_keeps_the_contract(name: str, tmp_path: Path) -> None:
    words = [f"agent={name}", "steps=150", *SOONER.get(name, ())]
    if name in GIVEN:
        words.append(f"agent.episodes={record(tmp_path / 'episodes', f'env={GIVEN[name]}')}")
    results = check.check(*composed("check", words), words)[f"agent={name}"]

    assert complaints(results) == []
    learned = next(result for result in results if result.rule == "trains_without_raising")
    assert (learned.message == "") == (name not in ("random", "mcts"))


def test_the_shipped_replay_keeps_the_contract() -> None:
    assert complaints(check_replay(UniformReplay)) == []


@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_gymnasiums_vector_environment_keeps_the_contract_in_every_mode(mode: AutoresetMode) -> None:
    def make() -> Any:
        return gymnasium.make_vec("CartPole-v1", 3, "sync", vector_kwargs={"autoreset_mode": mode})

    assert complaints(check_env(make, steps=100)) == []


def test_a_native_vector_environment_keeps_the_contract() -> None:
    make = partial(gymnasium.make_vec, "CartPole-v1", 3, "vector_entry_point")

    assert complaints(check_env(make, steps=100)) == []


def test_the_sound_ones_are_sound() -> None:
    assert complaints(check_env(environments.Walk, steps=100)) == []
    results = check_agent(agents.Linear, partial(gymnasium.make, "CartPole-v1"), steps=100)
    assert complaints(results) == []
    assert results[-1].message.startswith("not checked: it does not take Dict observations, which no agent has to")
    assert "Error" not in results[-1].message


ENVIRONMENTS = {
    environments.IgnoresItsSeed: "same_seed_same_steps",
    environments.LeavesItsSpace: "observations_fit_the_space",
    environments.WrongDtype: "observations_fit_the_space",
    environments.ReusesItsArray: "observations_stay_as_they_were",
    environments.TruncatesInWords: "ends_are_booleans",
    environments.TruncatesInArrays: "ends_are_booleans",
    environments.RemembersTheLastEpisode: "reseeding_starts_afresh",
    environments.NeverStartsAnew: "episodes_follow_each_other",
    environments.ForgetsTheClock: "restored_state_continues",
    environments.KeepsASet: "restored_state_continues",
    environments.PaysInNan: "rewards_are_finite_numbers",
    environments.ClipsInPlace: "actions_are_left_alone",
    environments.SeedsEverybody: "global_generators_are_left_alone",
    environments.DrawsInGrey: "pictures_are_rgb",
    environments.MovesWhenLookedAt: "pictures_are_rgb",
    environments.OldFashioned: "reset_and_step_follow_gymnasium",
    environments.SpeaksInGraphs: "spaces_are_arrays",
    environments.HidesTheEnd: "autoreset_mode_is_obeyed",
    environments.ClaimsNextStep: "autoreset_mode_is_obeyed",
    environments.ResetsEverything: "autoreset_mode_is_obeyed",
}
# What breaks these breaks more rules with it.
FOLLOWING = {
    environments.IgnoresItsSeed: {
        "reseeding_starts_afresh",
        "restored_state_continues",
        "resumed_equals_uninterrupted",
        "pictures_are_rgb",
        "states_stand_alone",
    },
    environments.LeavesItsSpace: {"resumed_equals_uninterrupted"},  # training refuses what it shows
    environments.TruncatesInWords: {"resumed_equals_uninterrupted"},  # so it does words
    environments.ForgetsTheClock: {"resumed_equals_uninterrupted", "states_stand_alone"},
    environments.KeepsASet: {"resumed_equals_uninterrupted"},
    environments.SpeaksInGraphs: {"gymnasium_check_env"},  # that what it shows is no graph
    environments.HidesTheEnd: {"same_seed_same_steps", "resumed_equals_uninterrupted"},
}


@pytest.mark.parametrize("env", ENVIRONMENTS, ids=lambda env: env.__name__)
def test_a_broken_environment_is_told_the_rule_that_it_breaks(env: Any) -> None:
    found = broken(check_env(env, steps=100, strict=False))

    assert ENVIRONMENTS[env] in found
    assert found - {ENVIRONMENTS[env]} <= FOLLOWING.get(env, set())


AGENTS = {
    agents.CountsWhenActing: "act_changes_nothing",
    agents.DrawsFromNumpy: "global_generators_are_left_alone",
    agents.ForgetsItsOptimiser: "resumed_equals_uninterrupted",
    agents.ForgetsItsCounter: "resumed_equals_uninterrupted",
    agents.ForgetsParts: "composed_observations_keep_the_contract",
    agents.IgnoresTheRules: "actions_are_legal",
    agents.ActsInFloats: "actions_fit_the_space",
    agents.ActsForOne: "actions_fit_the_space",
    agents.LearnsFromEveryRow: "invalid_rows_are_skipped",
    agents.ScalesInPlace: "inputs_are_left_alone",
    agents.Diverges: "metrics_are_finite_numbers",
    agents.KeepsAFunction: "state_is_plain_data",
    agents.SeedsItself: "same_seed_same_bits",
}
AGENTS_FOLLOWING = {
    agents.CountsWhenActing: {"evaluation_leaves_no_trace"},
    agents.DrawsFromNumpy: {"act_repeats_itself", "same_seed_same_bits", "resumed_equals_uninterrupted"},
    agents.ForgetsItsOptimiser: {"invalid_rows_are_skipped"},
    agents.ForgetsItsCounter: {"state_is_plain_data", "invalid_rows_are_skipped"},
    agents.ScalesInPlace: {"resumed_equals_uninterrupted"},
    agents.Diverges: {"actions_are_legal", "one_environment_is_no_special_case"},
    agents.KeepsAFunction: {"resumed_equals_uninterrupted", "invalid_rows_are_skipped"},
    agents.SeedsItself: {"resumed_equals_uninterrupted"},
}


@pytest.mark.parametrize("agent", AGENTS, ids=lambda agent: agent.__name__)
def test_a_broken_agent_is_told_the_rule_that_it_breaks(agent: Any) -> None:
    found = broken(check_agent(agent, partial(gymnasium.make, "CartPole-v1"), steps=100, strict=False))

    assert AGENTS[agent] in found
    assert found - {AGENTS[agent]} <= AGENTS_FOLLOWING.get(agent, set())


REPLAYS = {
    replays.KeepsInvalidRows: "length_counts_valid_rows",
    replays.TakesTheNextRow: "truncation_keeps_its_successor",
    replays.MixesRows: "rows_belong_together",
    replays.NeverTheNewest: "samples_were_stored",
    replays.WeighsNothing: "batches_have_weights_and_index",
    replays.ForgetsItsGenerator: "state_round_trips",
    replays.DrawsFromNumpy: "sampling_follows_its_generator",
}


@pytest.mark.parametrize("replay", REPLAYS, ids=lambda replay: replay.__name__)
def test_a_broken_replay_is_told_the_rule_that_it_breaks(replay: Any) -> None:
    assert REPLAYS[replay] in broken(check_replay(replay, strict=False))


def test_strict_checks_raise_with_every_broken_rule_values_and_remedy() -> None:
    with pytest.raises(ContractError) as raised:
        check_env(environments.ForgetsTheClock, steps=100)

    first, second, third = str(raised.value).splitlines()
    assert first.startswith("restored_state_continues: restored after 0 steps, the environment goes on otherwise; ")
    assert "get_state must return" in first
    assert " is " in first
    others = {line.partition(":")[0] for line in (second, third)}
    assert others == {"states_stand_alone", "resumed_equals_uninterrupted"}


def test_what_is_no_environment_is_named() -> None:
    with pytest.raises(ContractError, match=r"make\(\) returned a dict; it must return a gymnasium\.Env"):
        check_env(dict)  # type: ignore[arg-type]


def test_what_raises_is_named_with_its_place() -> None:
    class Raises(environments.Walk):
        def step(self, action: Any) -> Any:
            raise KeyError("door")

    with pytest.raises(ContractError, match=r"raised KeyError: 'door' \(test_testing.py, line \d+\)"):
        check_env(Raises)


def test_results_are_told_as_they_come() -> None:
    told: list[Result] = []

    assert check_replay(UniformReplay, on_result=told.append) == told
    assert all(result.rule.isidentifier() for result in told)


def test_an_opaque_environment_is_checked_through_cuts() -> None:
    class Opaque(environments.Walk):
        get_state = set_state = None  # type: ignore[assignment]

    results = {result.rule: result for result in check_env(Opaque, steps=100)}

    assert "cannot be read" in results["restored_state_continues"].message
    assert "between episodes" in results["resumed_equals_uninterrupted"].message


def test_an_environment_without_an_end_is_noted() -> None:
    class Endless(environments.Walk):
        limit = 10**9

    results = {result.rule: result for result in check_env(Endless, steps=15)}

    assert "no episode ended within 15 steps" in results["episodes_follow_each_other"].message


def test_a_composed_action_is_held_against_each_choice_s_part_of_the_mask() -> None:
    legal, space = np.array([[False, True, True, False, False]]), spaces.MultiDiscrete([2, 3])

    assert illegal(np.array([[1, 0]]), legal, space) is None
    complaint = "act chose action [0 0] where [1, 2] are legal; mind timestep.legal_actions"
    assert illegal(np.array([[0, 0]]), legal, space) == complaint
    assert illegal(np.array([[1, 2]]), legal, space) is not None


def test_an_agent_learns_in_an_environment_with_masks_of_its_own() -> None:
    results = check_agent(agents.Linear, environments.Guarded, steps=100, action_mask=True)

    assert complaints(results) == []


@pytest.mark.parametrize(
    ("left", "right", "place"),
    [
        ({"a": [1, 2.0, None]}, {"a": [1, 2.0, None]}, None),
        (float("nan"), float("nan"), None),
        (np.array([np.nan, 1]), np.array([np.nan, 1]), None),
        ({"a": 1}, {"b": 1}, "the dict has keys ['a'] and ['b']"),
        ({"a": (1, 2)}, {"a": (1, 3)}, "a/1 is 2 and 3"),
        ([1], [1, 2], "the sequence has 1 and 2 entries"),
        ({"w": np.zeros((2, 2))}, {"w": np.eye(2)}, "w[0, 0] is 0.0 and 1.0"),
        (np.zeros(2), np.zeros(2, np.float32), "the array is float64 [2] and float32 [2]"),
        (np.array([0.0]), np.array([-0.0]), "the array[0] is 0.0 and -0.0"),
        (1, True, "the value is 1 and True"),
        ("a", "b", "the value is 'a' and 'b'"),
    ],
)
def test_differences_are_found_to_the_bit(left: Any, right: Any, place: str | None) -> None:
    assert rules.difference(left, right) == place


def test_a_single_environment_is_built_with_its_wrappers() -> None:
    words = ["env=cartpole", "preprocess=[{_target_: rlkit.preprocess.TerminalReward, reward: -1.0}]"]
    settings = instantiate.plain(composed("check", words)[0])
    config = EnvironmentConfig(settings["env"], settings["preprocess"])
    assert type(build.make_single(config)).__name__ == "TerminalReward"
