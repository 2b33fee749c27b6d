from __future__ import annotations

import functools
from dataclasses import replace
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from rlkit.agents.dqn import DQN, DQNSettings
from rlkit.agents.q_learning import QLearning
from rlkit.config import instantiate
from rlkit.config.run_config import AgentConfig, EnvironmentConfig
from rlkit.config.schemas import Vectorization
from rlkit.core.schedules import Constant, Linear
from rlkit.core.seeding import Seeds
from rlkit.core.types import FromRun, UsageError
from rlkit.networks import module_state
from rlkit.runs import build
from rlkit.vector.serial import SerialEnvironment
from rlkit.vector.snapshot import layers
from rlkit.vector.subprocess import SubprocessEnvironment
from rlkit.vector.vector import VectorEnvironment
from toys import Counting, Line, OwnVector


class Part:
    def __init__(self, value: Any, rng: FromRun[Any], other: Any = None):
        self.value, self.rng, self.other = value, rng, other


RNG: instantiate.Context = {"rng": lambda path: f"generator of {path}"}


def anything(**keys: Any) -> dict[str, Any]:
    return keys


def part(**keys: Any) -> dict[str, Any]:
    return {"_target_": "test_build.Part", **keys}


class TestBuild:
    def test_plain_data_stays_what_it_is(self) -> None:
        node = {"a": [1, {"b": None}], "c": "text"}
        assert instantiate.build(node, {}) == node

    def test_targets_are_built_innermost_first_wherever_they_stand(self) -> None:
        built = instantiate.build({"x": [part(value=part(value={"deep": part(value=3)}))]}, RNG)
        assert built["x"][0].value.value["deep"].value == 3

    def test_partial_gives_the_callable_with_its_arguments_bound(self) -> None:
        bound = instantiate.build(part(value=3, _partial_=True), {})
        assert isinstance(bound, functools.partial)
        assert bound(rng=4).value == 3

    def test_a_node_says_which_task_the_nodes_within_are_for(self) -> None:
        chosen = {"_target_": {"regression": "test_build.Part", "classification": "test_build.anything"}, "value": 3}
        context = {**RNG, "task": lambda path: "classification"}
        built = instantiate.build(part(value=chosen, _task_="regression"), context)
        assert isinstance(built.value, Part)
        assert instantiate.build(part(value=part(value=chosen)), context).value.value == {"value": 3}

    def test_what_the_run_knows_goes_by_its_nodes_path_to_whoever_asks_unless_given(self) -> None:
        context = {**RNG, "other": lambda path: "the run's"}
        node = {"agent": part(value=part(value=1), other=part(value=1, rng="own"))}
        built = instantiate.build(node, context)["agent"]
        assert built.value.other is None
        assert built.rng == "generator of agent"
        assert built.value.rng == "generator of agent.value"
        assert built.other.rng == "own"

    def test_a_callable_that_takes_any_key_gets_those_it_was_given(self) -> None:
        assert instantiate.build({"_target_": "test_build.anything", "a": 1}, {"rng": lambda path: path}) == {"a": 1}

    def test_an_unknown_option_is_refused_with_its_path_and_the_nearest_valid_name(self) -> None:
        with pytest.raises(UsageError, match=r"agent\.epsilon\.strat is not an option of Linear; did you mean start\?"):
            instantiate.build({"epsilon": {"_target_": "rlkit.core.schedules.Linear", "strat": 1.0}}, {}, "agent")

    @pytest.mark.parametrize("target", ["no.such.module.X", "rlkit.algorithms.exploration.NoSuch"])
    def test_a_target_that_cannot_be_imported_is_refused_with_its_path(self, target: str) -> None:
        with pytest.raises(UsageError, match=r"env\._target_ .* cannot be imported: .*; is its package installed\?"):
            instantiate.build({"_target_": target}, {}, "env")

    @pytest.mark.parametrize("target", ["Linear", ""])
    def test_a_target_without_a_module_is_refused_with_its_path(self, target: str) -> None:
        with pytest.raises(UsageError, match=rf"env\._target_ is '{target}'; it must name a class in its module"):
            instantiate.build({"_target_": target}, {}, "env")


class TestDefaults:
    def test_they_are_the_values_of_the_yaml_built_without_what_the_run_gives(self) -> None:
        values = instantiate.defaults("agent/dqn")
        assert isinstance(values, DQNSettings)
        assert isinstance(values.epsilon, Linear)
        assert isinstance(values.optimizer, functools.partial)
        assert (values.gamma, values.double, values.batch_size, values.target_every) == (0.99, True, 64, 500)

    def test_they_make_an_agent_in_a_plain_script(self) -> None:
        env = SerialEnvironment([lambda: Line(3)])
        own = {"observation_space": env.observation_space, "action_space": env.action_space}
        own |= {"epsilon": Constant(0.0), "rng": np.random.default_rng(0)}
        agent = QLearning(**{**instantiate.defaults("agent/q_learning"), **own})
        assert agent.q.values.shape == (10_000, 2)

    def test_an_unknown_name_is_refused_with_the_nearest(self) -> None:
        with pytest.raises(UsageError, match=r"there is no agent/dqm; did you mean dqn\?"):
            instantiate.defaults("agent/dqm")


def config(vectorization: str = "sync", **keys: Any) -> EnvironmentConfig:
    node = {"_target_": "toys.Line", "length": 3}
    return EnvironmentConfig(**{"env": node, **keys}, vectorization=Vectorization[vectorization])


def agent_config(agent: dict[str, Any], network: Any = None, num_envs: int = 2) -> AgentConfig:
    return AgentConfig(agent, network, num_envs, "cpu", 1, 100, None, config())


def own_vector(num_envs: FromRun[int], vectorization: FromRun[str]) -> Any:
    assert vectorization == "native"
    return OwnVector([Counting] * num_envs)


def disabled_vector(num_envs: FromRun[int]) -> Any:
    return SyncVectorEnv([Counting] * num_envs, autoreset_mode=AutoresetMode.DISABLED)


def no_env() -> str:
    return "not an environment"


class TestMakeEnvironment:
    @pytest.mark.parametrize(("vectorization", "kind"), [("sync", SerialEnvironment), ("async", SubprocessEnvironment)])
    def test_single_environments_are_stepped_here_or_in_subprocesses(self, vectorization: str, kind: type) -> None:
        env = build.make_environment(config(vectorization=vectorization), num_envs=3)
        try:
            assert type(env) is kind
            assert env.num_envs == 3
            assert env.reset([0, 1, 2]).observation.shape == (3,)
        finally:
            env.close()

    @pytest.mark.parametrize("target", ["own_vector", "disabled_vector"])
    def test_a_vector_environment_is_taken_as_it_is(self, target: str) -> None:
        native = config(env={"_target_": f"test_build.{target}"}, vectorization="native", action_mask=True)
        env = build.make_environment(native, num_envs=3)
        assert type(env) is VectorEnvironment
        assert env.reset([0, 1, 2]).legal_actions.tolist() == [[True, False, False]] * 3
        env.restart([0, 1, 2])
        env.close()

    def test_each_environment_is_an_object_of_its_own_and_so_is_a_restarted_one(self) -> None:
        env = build.make_environment(config(), num_envs=3)
        inner = [simulator.unwrapped for simulator in env.envs]
        env.restart([0, 1, 2])
        inner += [simulator.unwrapped for simulator in env.envs]
        assert len(set(map(id, inner))) == 6

    def test_preprocessing_wraps_each_environment_innermost_first(self) -> None:
        nodes = [
            {"_target_": "gymnasium.wrappers.TimeLimit", "max_episode_steps": 2},
            {"_target_": "rlkit.preprocess.TerminalReward", "reward": -1.0},
        ]
        env = build.make_environment(config(preprocess=nodes), num_envs=2)
        for simulator in env.envs:
            assert [type(layer).__name__ for layer in layers(simulator.env)] == ["TerminalReward", "TimeLimit", "Line"]
        env.reset([0, 1])
        assert [env.step(np.zeros(2, int)).last.tolist() for _ in range(2)] == [[False] * 2, [True] * 2]

    def test_what_is_no_environment_is_refused(self) -> None:
        with pytest.raises(UsageError, match=r"env\._target_ test_build\.no_env made a str, not a gymnasium\.Env"):
            build.make_environment(config(env={"_target_": "test_build.no_env"}), num_envs=1)

    def test_a_native_vector_environment_can_be_neither_wrapped_nor_filmed(self) -> None:
        native = config(env={"_target_": "test_build.own_vector"}, vectorization="native")
        with pytest.raises(UsageError, match="not native vector ones; use vectorization=sync"):
            build.make_environment(replace(native, preprocess=[{"_target_": "x"}]), num_envs=1)
        with pytest.raises(UsageError, match="cannot be filmed"):
            build.make_environment(native, num_envs=1, frame_callbacks=[lambda frame: None])

    def test_a_vectorization_that_would_mean_nothing_is_refused(self) -> None:
        native = config(env={"_target_": "test_build.disabled_vector"}, vectorization="async")
        with pytest.raises(UsageError, match="vectorization=async steps single environments in processes"):
            build.make_environment(native, num_envs=2)
        with pytest.raises(UsageError, match="vectorization=native needs an environment that steps many by itself"):
            build.make_environment(config(vectorization="native"), num_envs=2)

    def test_only_as_many_environments_as_there_are_films_are_filmed(self) -> None:
        pictures: list[tuple[Any, ...]] = []
        env = build.make_environment(
            config(env={"_target_": "test_build.Painted"}),
            num_envs=2,
            frame_callbacks=[lambda frame: pictures.append((frame.draw().shape, frame.first, frame.fps))],
        )
        env.reset([0, 1])
        env.step(np.zeros(2, int))
        assert pictures == [((2, 2, 3), True, 7), ((2, 2, 3), False, 7)]
        assert [simulator.render_mode for simulator in env.envs] == ["rgb_array", None]


class Painted(Counting):
    metadata = {"render_modes": ["rgb_array"], "render_fps": 7}  # noqa: RUF012

    def __init__(self, render_mode: FromRun[str | None]):
        self.render_mode = render_mode

    def render(self) -> Any:
        return np.zeros((2, 2, 3), np.uint8)


def dqn_config() -> AgentConfig:
    torso = {"_target_": "rlkit.networks.MLP", "hidden": [4], "activation": "relu", "layer_norm": False}
    distribution = {"_target_": "rlkit.networks.return_distributions.Expected"}
    head = {"distribution": distribution, "dueling": False, "noisy": False, "noise_scale": 0.5}
    agent = {
        "_target_": "rlkit.agents.dqn.DQN",
        "network": {"_target_": "rlkit.networks.QNetwork", "torso": torso, **head},
        "replay": {"_target_": "rlkit.replay.UniformReplay", "capacity": 10},
        "optimizer": {"_target_": "torch.optim.SGD", "_partial_": True},
        "learning_rate": 0.1,
        "anneal": False,
        "epsilon": {"_target_": "rlkit.core.schedules.Constant", "value": 0.1},
        **{"gamma": 0.9, "double": True, "learning_starts": 0, "batch_size": 2, "train_freq": 1},
        **{
            "gradient_steps": 1,
            "epsilon_spread": 0.0,
            "episodes": None,
            "offline_steps": None,
            "offline": "none",
            "conservatism": 1.0,
            "munchausen": None,
            "temperature": 0.03,
            "munchausen_min": -1.0,
            "behavior_threshold": 0.3,
            "fragment_steps": 1,
            "target_every": 1,
            "tau": 1.0,
            "max_grad_norm": 1.0,
            "precision": "auto",
            "compile": False,
        },
    }
    return agent_config(agent, torso)


class TestMakeAgent:
    def test_an_agents_parts_are_built_for_the_spaces_of_its_environment(self) -> None:
        agent = build.make_agent(dqn_config(), SerialEnvironment([Counting]), Seeds(0))
        assert isinstance(agent, DQN)
        assert [tuple(p.shape) for p in agent.network.parameters()] == [(4, 3), (4,), (3, 4), (3,)]

    def test_networks_follow_from_the_runs_seed_and_torchs_global_generator_is_left_alone(self) -> None:
        env = SerialEnvironment([Counting])
        before = torch.random.get_rng_state()
        weights = []
        for seed in (0, 0, 1):
            weights.append(
                module_state(build.make_agent(dqn_config(), env, Seeds(seed)).network)["actions.1.weight"].tolist()
            )
            torch.rand(3)
            before = torch.random.get_rng_state()
            build.make_agent(dqn_config(), env, Seeds(seed))
            assert torch.equal(torch.random.get_rng_state(), before)
        assert weights[0] == weights[1] != weights[2]

    def test_each_part_gets_a_generator_of_its_own_named_after_its_node(self) -> None:
        env = SerialEnvironment([Counting])
        agent = build.make_agent(dqn_config(), env, Seeds(3))
        expected = Seeds(3).generator("agent.replay").integers(2**62, size=3).tolist()
        assert agent._replay._rng.integers(2**62, size=3).tolist() == expected

    def test_what_the_run_knows_can_be_asked_for(self) -> None:
        agent = {"_target_": "test_build.Asking"}
        env = SerialEnvironment([Counting])
        built: Any = build.make_agent(agent_config(agent, num_envs=5), env, Seeds(0))
        assert built.told[:5] == (env.observation_space, env.action_space, 5, "cpu", 100)
        assert isinstance(built.told[5], torch.Generator)


class Asking:
    def __init__(
        self,
        observation_space: FromRun[Any],
        action_space: FromRun[Any],
        num_envs: FromRun[int],
        device: FromRun[str],
        total_steps: FromRun[int],
        generator: FromRun[Any],
    ):
        self.told = (observation_space, action_space, num_envs, device, total_steps, generator)


def test_gymnasium_ids_are_made_by_the_environment_of_any_id() -> None:
    node = {"_target_": "rlkit.envs.gym.make", "id": "CartPole-v1", "kwargs": {"sutton_barto_reward": True}}
    env = build.make_environment(config(env=node), num_envs=1)
    assert isinstance(env.envs[0].unwrapped, type(gymnasium.make("CartPole-v1").unwrapped))
    env.reset([0])
    assert env.step(np.array([0])).reward.tolist() == [0.0]
    env.close()
