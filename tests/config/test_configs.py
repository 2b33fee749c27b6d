"""Every shipped YAML composes, builds and steps."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from locations import TESTS
from making import run_config
from recordings import record

from rlkit.config import instantiate, plugins
from rlkit.config.compose import composed
from rlkit.config.typed import plain_data
from rlkit.core.loop import train
from rlkit.core.seeding import Seeds
from rlkit.runs import build
from rlkit.runs.training import stream

SHRUNK = ("device=cpu",)


def shipped(group: str) -> list[str]:
    return [entry.name for entry in plugins.entries(group) if entry.origin.distribution == plugins.CORE]


def trained(*overrides: str, steps: int = 40) -> tuple[dict[str, Any], int]:
    config = run_config(*SHRUNK, *overrides)
    env = build.make_environment(config.environment, num_envs=config.num_envs)
    try:
        agent = build.make_agent(config.agent_config, env, Seeds(config.seed))
        interaction = stream(config, agent, env, opaque=False)
        for _ in train(interaction._agent, interaction, total_steps=steps):
            pass
        return plain_data(config), interaction.steps
    finally:
        env.close()


@pytest.mark.parametrize("name", [name for name in shipped("env") if name != "gym"])
def test_each_environment_trains(name: str) -> None:
    assert trained("agent=random", f"env={name}")[1] >= 40


def test_any_installed_id_trains() -> None:
    assert trained("agent=random", "env=gym", "env.id=Pendulum-v1")[1] >= 40


PLACES = {
    **dict.fromkeys(("cloning", "cql", "dqn", "iql", "random"), "cartpole"),
    **dict.fromkeys(("ddpg", "gail", "td3", "td3_bc", "mbpo"), "pendulum"),
    **dict.fromkeys(("cfr", "cfr_plus"), "kuhn_poker"),
    "qmix": "two_step",
}
"""Where agents train that take any observations, or no discrete actions; the others train in Taxi."""


GIVEN = ("cloning", "cql", "gail", "iql", "td3_bc")
"""Agents that learn from recorded episodes."""

BRIEFLY = dict.fromkeys(("mcts", "alphazero", "muzero"), ("agent.simulations=5",))
"""What makes an agent think no longer than a test may."""


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Episodes to learn from: cartpole/, pendulum/ and car_racing/."""
    folder: Path = tmp_path_factory.mktemp("recordings")
    record(folder / "cartpole", "env=cartpole", episodes=2, max_steps=60)
    record(folder / "pendulum", "env=pendulum", episodes=2, max_steps=60)
    record(folder / "car_racing", "env=car_racing", "env.stack=4", episodes=2, max_steps=8)
    return folder


@pytest.mark.parametrize("name", shipped("agent"))
def test_each_agent_trains(name: str, recordings: Path) -> None:
    env = PLACES.get(name, "taxi")
    episodes = (f"agent.episodes={recordings}/{env}",) if name in GIVEN else ()
    assert trained(f"agent={name}", f"env={env}", *BRIEFLY.get(name, ()), *episodes)[1] >= 40


@pytest.mark.parametrize("name", shipped("tuned"))
def test_each_tuned_file_belongs_to_a_pair_and_trains(name: str, recordings: Path) -> None:
    if name == "none":
        assert trained("tuned=none")[1] >= 40
        return
    pairs = [(agent, env) for agent in shipped("agent") for env in shipped("env") if f"{agent}_{env}" == name]
    assert len(pairs) == 1, f"conf/tuned/{name}.yaml is for no agent and environment"
    agent, env = pairs[0]
    episodes = (f"agent.episodes={recordings}/{env}",) if agent in GIVEN else ()
    assert trained(f"agent={agent}", f"env={env}", *episodes)[1] >= 40


MILLIONS = ("breakout_source", "pong_source")
"""Presets with replays of several gigabytes."""


def presets(verb: str) -> list[str]:
    """Return the shipped presets of a verb."""
    return [entry.name for entry in plugins.entries("experiment") if entry.verb == verb]


@pytest.mark.parametrize("name", presets("train"))
def test_each_preset_trains(name: str, recordings: Path) -> None:
    words = ("replay.capacity=1000",) if name in MILLIONS else ()
    if name == "car_racing_cloning":
        words = (f"agent.episodes={recordings}/car_racing", "agent.estimator.n_epochs=1")
    assert trained(f"experiment={name}", *words)[1] >= 40


@pytest.mark.parametrize("name", shipped("schedule"))
def test_each_schedule_fits_the_place_of_epsilon(name: str) -> None:
    config, _ = trained("agent=q_learning", "env=taxi", f"schedule@agent.epsilon={name}")
    of_run = {"total_steps": lambda path: 10_000}
    assert 0 <= instantiate.build(config["agent"]["epsilon"], of_run, "epsilon")(20) <= 1


@pytest.mark.parametrize("agent", ["q_learning", "double_q_learning", "sarsa", "expected_sarsa", "mc_control"])
def test_each_tabular_agent_takes_a_discretizer(agent: str) -> None:
    grid = ("discretizer@agent.discretizer=grid", "agent.discretizer.bins=[4,4,6,6]", "agent.discretizer.fit_after=40")
    assert trained(f"agent={agent}", "env=cartpole", "tuned=none", *grid, "num_envs=8", steps=80)[1] >= 80


@pytest.mark.parametrize("name", shipped("explorer"))
def test_each_explorer_trains(name: str) -> None:
    assert trained("agent=bandit", "env=bandit", f"explorer@agent.explorer={name}")[1] >= 40


@pytest.mark.parametrize("name", ["tree_regressor", "gaussian_bayes", "linear", "mlp_regressor"])
def test_a_bandit_takes_any_learner(name: str) -> None:
    words = ("env=recommendation", "env.n_items=5", "env.features=2", "action_mask=true", "agent.bootstraps=2")
    fits = "agent.update_every=20"
    assert trained("agent=bandit", f"learner@agent.estimator={name}", *words, fits)[1] >= 40


NETWORKS = {
    "auto": ("env=cartpole",),
    "encoder": ("env=taxi",),
    "layer_norm": ("env=cartpole",),
    "mlp": ("env=taxi",),
    "residual": ("env=connect_four",),
    **dict.fromkeys(("impala", "nature", "small", "strided"), ("env=atari", "tuned=none", "replay.capacity=100")),
    "blocks": ("env=catch", "env.cell=2"),
    "embedding": ("env=taxi",),
    "symbols": ("env=catch",),
    "text": ("env=frozen_lake", "preprocess=[toys.InWords]"),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_each_network_trains(name: str) -> None:
    assert trained(*NETWORKS[name], f"network={name}", "agent.learning_starts=32")[1] >= 40


def test_the_networks_above_are_all_that_are_shipped() -> None:
    assert shipped("network") == sorted(NETWORKS)


@pytest.mark.parametrize("options", [(), ("agent.network.dueling=true", "agent.network.noisy=true")])
@pytest.mark.parametrize("name", shipped("distribution"))
def test_each_distribution_trains(name: str, options: tuple[str, ...]) -> None:
    assert trained(f"distribution={name}", *options, "agent.learning_starts=8")[1] >= 40


def test_nature_is_refused_for_vectors_in_one_line() -> None:
    with pytest.raises(build.UsageError, match=r"network=nature needs images, not Box.*; use network=mlp"):
        trained("network=nature", "tuned=none")


def test_the_source_presets_have_the_source_values() -> None:
    config, _ = trained("experiment=cartpole_20tanh")
    agent, network = config["agent"], config["network"]
    assert (network["hidden"], network["activation"], config["replay"]["capacity"]) == ([20], "tanh", 200_000)
    assert (agent["gamma"], agent["batch_size"], agent["learning_starts"], agent["double"]) == (0.9, 128, 5000, False)
    assert agent["epsilon"] == {
        "_target_": "rlkit.core.schedules.Linear",
        "start": 1.0,
        "end": 0.0,
        "steps": 15000,
    }
    assert config["env"]["kwargs"] == {"max_episode_steps": 200}
    assert config["preprocess"] == [{"_target_": "rlkit.preprocess.TerminalReward", "reward": -1.0}]
    config, _ = trained("experiment=cartpole_24_24")
    agent, network = config["agent"], config["network"]
    assert (network["hidden"], network["activation"], config["replay"]["capacity"]) == ([24, 24], "relu", 600)
    assert (agent["gamma"], agent["batch_size"], agent["learning_rate"]) == (0.95, 32, 0.001)
    assert agent["epsilon"]["factor"] == 0.995
    assert agent["epsilon"]["end"] == 0.01


def given(*overrides: str) -> dict[str, Any]:
    return instantiate.plain(composed("train", [*SHRUNK, *overrides])[0])  # type: ignore[no-any-return]


DETERMINISTIC = {
    **{"stepping": "python", "frame_skip": 4, "sticky": 0.0, "noop_max": 0, "fire_reset": False, "life_loss": False},
    **{"reward_clip": False, "full_action_space": False, "grey": True, "pool": 1},
}
"""Games without chance, whose score is the reward."""


def test_the_source_preset_for_the_cab_has_the_source_values() -> None:
    config = given("experiment=safecab_source")
    agent = config["agent"]
    assert (config["total_episodes"], config["env"]["max_steps"], config["eval"]["episodes"]) == (60_000, 100, 10)
    assert config["total_steps"] >= 60_000 * 100
    assert (agent["gamma"], agent["learning_rate"], agent["learning_rate_decay"]) == (0.618, 0.7, 0.0)
    assert (agent["n_step"], agent["trace_decay"], agent["epsilon_counts"]) == (1, 0.0, "episodes")
    epsilon = instantiate.build(agent["epsilon"], {}, "epsilon")
    assert [epsilon(k) for k in (0, 20_000)] == pytest.approx([1.0, 0.01 + 0.99 * math.exp(-2)])


def test_the_source_preset_for_actor_and_critic_has_the_source_values() -> None:
    config = given("experiment=a2c_source")
    agent, network = config["agent"], config["network"]
    assert (network["hidden"], network["activation"], agent["network"]["shared"]) == ([20], "tanh", False)
    assert (agent["learning_rate"], agent["gamma"], agent["episodes"], agent["baseline_episodes"]) == (0.01, 0.9, 3, 1)
    assert (agent["baseline"], agent["normalize_advantages"], agent["discount_weights"]) == (True, True, False)
    assert config["env"]["kwargs"]["max_episode_steps"] == 200
    assert [node.get("reward", node.get("high")) for node in config["preprocess"]] == [0.1, -0.1]


def test_the_source_presets_for_pictures_have_the_source_values() -> None:
    config = given("experiment=breakout_source")
    agent, env = config["agent"], config["env"]
    assert (env["game"], env["crop"], env["size"], env["stack"]) == ("Breakout", [34, 16, 0, 0], [84, 84], 4)
    assert config["network"] == {
        **{"_target_": "rlkit.networks.NatureCNN", "hidden": 512},
        **{"channel_order": "auto", "encoder": None, "freeze": False, "_from_run_": ["fresh"]},
    }
    assert (config["replay"]["capacity"], agent["learning_starts"], agent["batch_size"]) == (1_000_000, 100_000, 32)
    assert (agent["learning_rate"], agent["gamma"], agent["double"]) == (0.00025, 0.99, False)
    assert (agent["target_every"], agent["train_freq"], agent["gradient_steps"]) == (10_000, 1, 1)
    assert config["replay"]["compress"] is True
    assert {key: env[key] for key in DETERMINISTIC} == DETERMINISTIC
    assert (env["interpolation"], env["grey_by"]) == ("nearest", "luma")
    epsilon = instantiate.build(agent["epsilon"], {}, "epsilon")
    found = [epsilon(step) for step in (0, 100_000, 600_000, 1_100_000, 2_000_000)]
    assert found == pytest.approx([1.0, 1.0, 0.55, 0.1, 0.1])
    config = given("experiment=pong_source")
    agent, env = config["agent"], config["env"]
    assert (env["size"], env["stack"], config["replay"]["capacity"], config["video"]) == (
        [105, 80],
        4,
        1_000_000,
        "every",
    )
    assert (agent["gamma"], agent["batch_size"], agent["learning_rate"]) == (0.9, 64, 0.00025)
    assert (agent["train_freq"], agent["gradient_steps"]) == (1, 1)
    assert {key: env[key] for key in DETERMINISTIC} == DETERMINISTIC
    assert (env["interpolation"], env["grey_by"], env["max_frames"]) == ("nearest", "mean", 50_000 * 4)
    assert (config["total_episodes"], config["total_steps"]) == (50, 50 * 50_000)
    network = config["network"]
    assert (network["channels"], network["kernel_sizes"], network["strides"]) == ([32, 64, 64], [8, 3, 3], [4, 2, 2])
    assert network["activation"] == "elu"
    epsilon = instantiate.build(agent["epsilon"], {}, "epsilon")
    assert [epsilon(step) for step in (0, 50_000)] == pytest.approx([1.0, 0.01 + 0.99 * math.exp(-1.5)])


def test_rainbow_has_the_published_values() -> None:
    config = given("experiment=rainbow")
    agent, replay = config["agent"], config["replay"]
    assert (agent["network"]["dueling"], agent["network"]["noisy"], agent["double"]) == (True, True, True)
    assert config["distribution"] == {
        "_target_": "rlkit.networks.return_distributions.Categorical",
        **{"atoms": 51, "v_min": -10.0, "v_max": 10.0},
    }
    assert (replay["n_step"], replay["alpha"], replay["beta"]["start"], replay["beta"]["end"]) == (3, 0.5, 0.4, 1.0)
    assert (replay["beta"]["_target_"], replay["beta"]["steps"]) == ("rlkit.core.schedules.OverRun", None)
    assert (agent["learning_rate"], agent["optimizer"]["eps"]) == (0.0000625, 0.00015)
    # 80,000 and 32,000 frames of the paper, four to a step.
    assert (agent["learning_starts"], agent["target_every"] * agent["train_freq"]) == (20_000, 8_000)
    assert agent["epsilon"]["value"] == 0.0


@pytest.mark.parametrize(
    ("agent", "num_envs", "values"),
    [
        ("ppo", 8, {"n_steps": 128, "epochs": 4, "batch_size": 256, "clip": 0.1, "gae_lambda": 0.95}),
        ("a2c", 16, {"n_steps": 5, "gae_lambda": 1.0, "learning_rate": 0.0007, "normalize_advantages": False}),
    ],
)
def test_policy_gradients_on_atari_have_the_published_values(agent: str, num_envs: int, values: dict[str, Any]) -> None:
    config = instantiate.plain(composed("train", [f"agent={agent}", "env=atari"])[0])
    found: Any = config["agent"]
    shared = {"gamma": 0.99, "entropy_weight": 0.01, "value_weight": 0.5, "max_grad_norm": 0.5, "anneal": True}
    assert {name: found[name] for name in {**shared, **values}} == {**shared, **values}
    assert config["num_envs"] == num_envs


def test_pong_by_ppo_is_composed_as_it_was_measured() -> None:
    import yaml

    measured = yaml.safe_load((TESTS / "benchmarks/results/pong_ppo.yaml").read_text())
    config = instantiate.plain(composed("train", ["experiment=ppo_pong"])[0])
    # What the run adds is asked for since then.
    for torso in ("torso", "value_torso"):
        assert config["agent"]["network"][torso].pop("_from_run_") == ["fresh"]
        assert config["agent"]["network"][torso].pop("channel_order") == "auto"
    assert config["agent"]["network"].pop("transformer") == {"layers": 2, "heads": 4, "memory": 32}
    assert [config["agent"].pop(name) for name in ("intrinsic", "rollout_size")] == [None, None]
    assert config["agent"] == measured["agent"]
    # Options that came later are set to what was done then.
    assert config["env"] == {**measured["env"], "grey_by": "luma", "pool": 2, "interpolation": "area"}


def test_every_file_says_in_its_first_comment_what_it_is() -> None:
    assert [str(entry.path) for entry in plugins.entries() if not entry.summary] == []


def test_defaults_are_the_values_of_the_yaml() -> None:
    import yaml

    import rlkit

    listed = yaml.safe_load((plugins.origins()[0].folder / "agent/dqn.yaml").read_text())
    values = rlkit.defaults("agent/dqn")
    for key in ("gamma", "double", "batch_size", "train_freq", "tau"):
        assert getattr(values, key) == listed[key]
