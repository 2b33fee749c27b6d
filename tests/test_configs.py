"""Every shipped YAML composes, builds and steps."""

from __future__ import annotations

from typing import Any

import pytest

from rlkit import build, plugins
from rlkit.config import composed
from rlkit.loop import train
from rlkit.seeding import Seeds
from rlkit.training import stream

SHRUNK = ("device=cpu",)


def shipped(group: str) -> list[str]:
    return [entry.name for entry in plugins.entries(group) if entry.origin.distribution == plugins.CORE]


def trained(*overrides: str, steps: int = 40) -> tuple[dict[str, Any], int]:
    config = build.plain(composed("train", [*SHRUNK, *overrides])[0])
    env = build.make_environment(config, num_envs=config["num_envs"])
    try:
        interaction = stream(config, build.make_agent(config, env, Seeds(config["seed"])), env, opaque=False)
        for _ in train(interaction._agent, interaction, total_steps=steps):
            pass
        return config, interaction.steps
    finally:
        env.close()


@pytest.mark.parametrize("name", [name for name in shipped("env") if name != "gym"])
def test_each_environment_trains(name: str) -> None:
    assert trained("agent=random", f"env={name}")[1] >= 40


def test_any_installed_id_trains() -> None:
    assert trained("agent=random", "env=gym", "env.id=Pendulum-v1")[1] >= 40


@pytest.mark.parametrize(("name", "env"), [("random", "cartpole"), ("q_learning", "taxi"), ("dqn", "cartpole")])
def test_each_agent_trains(name: str, env: str) -> None:
    assert trained(f"agent={name}", f"env={env}")[1] >= 40


def test_the_agents_above_are_all_that_are_shipped() -> None:
    assert shipped("agent") == ["dqn", "q_learning", "random"]


@pytest.mark.parametrize("name", shipped("tuned"))
def test_each_tuned_file_belongs_to_a_pair_and_trains(name: str) -> None:
    if name == "none":
        assert trained("tuned=none")[1] >= 40
        return
    pairs = [(agent, env) for agent in shipped("agent") for env in shipped("env") if f"{agent}_{env}" == name]
    assert len(pairs) == 1, f"conf/tuned/{name}.yaml is for no agent and environment"
    assert trained(f"agent={pairs[0][0]}", f"env={pairs[0][1]}")[1] >= 40


@pytest.mark.parametrize("name", shipped("experiment"))
def test_each_preset_trains(name: str) -> None:
    assert trained(f"experiment={name}")[1] >= 40


@pytest.mark.parametrize("name", shipped("schedule"))
def test_each_schedule_fits_the_place_of_epsilon(name: str) -> None:
    config, _ = trained("agent=q_learning", "env=taxi", f"schedule@agent.epsilon={name}")
    assert 0 <= build.build(config["agent"]["epsilon"], {}, "epsilon")(20) <= 1


@pytest.mark.parametrize(("name", "env"), [("auto", "cartpole"), ("mlp", "taxi")])
def test_each_network_trains(name: str, env: str) -> None:
    assert trained(f"env={env}", f"network={name}", "agent.learning_starts=8")[1] >= 40


def test_nature_is_refused_for_vectors_in_one_line() -> None:
    with pytest.raises(build.UsageError, match=r"network=nature needs images, not Box.*; use network=mlp"):
        trained("network=nature", "tuned=none")


def test_the_source_presets_have_the_source_values() -> None:
    config, _ = trained("experiment=cartpole_20tanh")
    agent, network = config["agent"], config["network"]
    assert (network["hidden"], network["activation"], config["replay"]["capacity"]) == ([20], "tanh", 200_000)
    assert (agent["gamma"], agent["batch_size"], agent["learning_starts"], agent["double"]) == (0.9, 128, 5000, False)
    assert agent["epsilon"] == {"_target_": "rlkit.explore.Linear", "start": 1.0, "end": 0.0, "steps": 15000}
    assert config["env"]["kwargs"] == {"max_episode_steps": 200}
    assert config["preprocess"] == [{"_target_": "rlkit.preprocess.TerminalReward", "reward": -1.0}]
    config, _ = trained("experiment=cartpole_24_24")
    agent, network = config["agent"], config["network"]
    assert (network["hidden"], network["activation"], config["replay"]["capacity"]) == ([24, 24], "relu", 600)
    assert (agent["gamma"], agent["batch_size"], agent["optimizer"]["lr"]) == (0.95, 32, 0.001)
    assert agent["epsilon"]["factor"] == 0.995
    assert agent["epsilon"]["end"] == 0.01


def test_every_file_says_in_its_first_comment_what_it_is() -> None:
    assert [str(entry.path) for entry in plugins.entries() if not entry.summary] == []


def test_defaults_are_the_values_of_the_yaml() -> None:
    import yaml

    import rlkit

    listed = yaml.safe_load((plugins.origins()[0].folder / "agent/dqn.yaml").read_text())
    values = rlkit.defaults("agent/dqn")
    for key in ("gamma", "double", "batch_size", "train_freq", "tau"):
        assert values[key] == listed[key]
    assert not {"network", "replay", "_target_"} & set(values)
