"""What reaches a constructor from the run: what is marked or asked for, and nothing else."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Annotated, Any, Optional

import gymnasium
import numpy as np
import pytest
import yaml
from gymnasium import spaces
from sklearn.tree import DecisionTreeClassifier

import rlkit
from rlkit.cli.main import main
from rlkit.config import injection, instantiate, signature
from rlkit.config.run_config import AgentConfig, EnvironmentConfig, findable
from rlkit.core.callback import Callback
from rlkit.core.seeding import Seeds
from rlkit.core.types import FromRun, UsageError
from rlkit.fitting import launch
from rlkit.learners.datasets.generated import xor
from rlkit.replay import UniformReplay
from rlkit.runs import build
from rlkit.testing import check_env, check_replay
from rlkit.vector.serial import SerialEnvironment
from toys import Counting

if TYPE_CHECKING:
    from nowhere import Known, Unsubscriptable  # type: ignore[import-not-found]

    from rlkit.core import types
    from rlkit.core.types import FromRun as Marked

Seeded = FromRun[np.random.Generator]

OWN = {
    "dataset": "train.csv",
    "model": "small",
    "threads": 7,
    "rng": 0,
    "device": "tpu",
    "env": None,
    "num_envs": 99,
    "task": "sort",
    "seed": 5,
    "notify": "nobody",
    "render_mode": "human",
    "evaluation": "never",
    "observation_space": "mine",
    "random_state": 3,
    "fresh": "bread",
    "scratch": "nothing",
}
"""Defaults of a plugin's own, called as what a run knows is called."""


class Keeps:
    """Has every name a run knows for something of its own."""

    def __init__(
        self,
        dataset: str = "train.csv",
        model: str = "small",
        threads: int = 7,
        rng: int = 0,
        device: str = "tpu",
        env: Any = None,
        num_envs: int = 99,
        task: str = "sort",
        seed: int = 5,
        notify: str = "nobody",
        render_mode: str = "human",
        evaluation: Any = "never",
        observation_space: Any = "mine",
        random_state: int = 3,
        fresh: str = "bread",
        scratch: str = "nothing",
    ):
        own = locals()
        self.kept = {name: own[name] for name in OWN}


class KeepingAgent(Keeps):
    pass


class KeepingEnv(Keeps, Counting):
    pass


class KeepingWrapper(gymnasium.Wrapper):
    def __init__(self, inner: gymnasium.Env, env: Any = None, dataset: str = "train.csv", num_envs: int = 99):
        super().__init__(inner)
        self.kept = (env, dataset, num_envs)


class KeepingLearner(Keeps):
    def fit(self, X: Any, y: Any = None) -> KeepingLearner:
        return self


class KeepingLogger(Keeps, Callback):
    pass


def node(kind: type | str, **options: Any) -> dict[str, Any]:
    return {"_target_": f"test_injection.{kind if isinstance(kind, str) else kind.__name__}", **options}


def config(**keys: Any) -> EnvironmentConfig:
    return EnvironmentConfig(**{"env": node("Toy"), **keys})


def Toy() -> Counting:  # noqa: N802
    return Counting()


def agent_of(node: dict[str, Any], **keys: Any) -> Any:
    of_run = {"num_envs": 2, "device": "cpu", "threads": 1, "total_steps": 100, "run_dir": None, **keys}
    config = AgentConfig(agent=node, network=None, environment=EnvironmentConfig({}), **of_run)
    return build.make_agent(config, SerialEnvironment([Counting]), Seeds(0))


class TestDefaultsAreKept:
    def test_of_agents_and_of_the_networks_and_replays_within(self) -> None:
        built = agent_of(node("Holder", network=node(KeepingAgent), replay=node(KeepingAgent)))
        assert built.network.kept == built.replay.kept == OWN
        assert agent_of(node(KeepingAgent)).kept == OWN

    def test_of_environments_and_wrappers(self) -> None:
        settings = config(env=node(KeepingEnv), preprocess=[node(KeepingWrapper)])
        for env in build.make_environment(settings, num_envs=2).envs:
            wrapper = env.env
            while not isinstance(wrapper, KeepingWrapper):
                wrapper = wrapper.env
            assert wrapper.kept == (None, "train.csv", 99)
            assert wrapper.unwrapped.kept == OWN

    def test_of_learners(self) -> None:
        data = xor(20, 0.1, np.random.default_rng(0))
        mine = node(KeepingLearner)
        config: Any = SimpleNamespace(seed=0, device="cpu", prepare={"first": mine}, learner=mine)
        made = launch.make_pipeline(config, data)
        assert [step.kept for _, step in made.steps] == [OWN, OWN]

    def test_of_loggers(self) -> None:
        assert instantiate.build({"mine": node(KeepingLogger)}, {}, "logger")["mine"].kept == OWN

    def test_of_estimators_named_by_their_class(self) -> None:
        by_class = {"_target_": "rlkit.learners.pipeline.by_class", "estimator": "test_injection.KeepingLearner"}
        assert agent_of(node("Holder", network=None, replay=by_class)).replay.kept == OWN


class Holder:
    def __init__(self, network: Any, replay: Any):
        self.network, self.replay = network, replay


class Base:
    def __init__(self, num_envs: FromRun[int], *, rng: FromRun[np.random.Generator], size: int = 1):
        self.told = {"num_envs": num_envs, "rng": rng}


class Inherits(Base):
    pass


class Forwards(Base):
    def __init__(self, device: FromRun[str], **options: Any):
        super().__init__(**options)
        self.told["device"] = device


@dataclass
class Data:
    num_envs: FromRun[int]
    rng: Seeded
    size: int = 1


class OnlyForCheckers:
    """Its annotations name what is imported for type checkers alone, FromRun included."""

    def __init__(
        self,
        num_envs: types.FromRun[Known | None],
        rng: FromRun[Unsubscriptable[Known, ...]],
        device: Annotated[str, "some", FromRun.__metadata__[0]],  # type: ignore[attr-defined]
        total_steps: Optional[FromRun[int]],  # noqa: UP045
    ):
        self.told = {"num_envs": num_envs, "rng": rng, "device": device, "total_steps": total_steps}


class NotGeneric:
    """Cannot be subscripted when the program runs."""


class Brackets:
    def __init__(self, num_envs: FromRun[NotGeneric[int]]):  # type: ignore[type-arg]
        self.told = {"num_envs": num_envs}


def function(num_envs: FromRun[int], *, rng: Seeded, size: int = 1) -> Any:
    return Base(num_envs, rng=rng, size=size)


bound = functools.partial(function, size=4)


class TestMarks:
    @pytest.mark.parametrize("kind", ["Base", "Inherits", "function", "bound"])
    def test_classes_subclasses_functions_and_partials_get_what_they_mark(self, kind: str) -> None:
        told = agent_of(node(kind), num_envs=5).told
        assert told["num_envs"] == 5
        assert told["rng"].integers(2**62) == Seeds(0).generator("agent").integers(2**62)

    def test_what_is_passed_on_to_the_class_it_extends_is_its_own(self) -> None:
        told = agent_of(node(Forwards)).told
        assert (told["device"], told["num_envs"]) == ("cpu", 2)

    def test_dataclasses_get_what_they_mark(self) -> None:
        assert agent_of(node(Data)).num_envs == 2

    def test_names_that_only_type_checkers_know_stand_for_anything(self) -> None:
        told = agent_of(node(OnlyForCheckers)).told
        assert (told["num_envs"], told["device"], told["total_steps"]) == (2, "cpu", 100)
        assert agent_of(node(Brackets)).told == {"num_envs": 2}

    def test_annotations_that_are_no_text_are_read_too(self) -> None:
        scope: dict[str, Any] = {"FromRun": FromRun}
        exec("def made(num_envs: FromRun[int], other: FromRun['Late'], third: int): ...", scope)
        assert signature.from_run(scope["made"], ()) == ["num_envs", "other"]

    def test_a_value_in_the_yaml_is_taken_in_its_place_and_is_checked_against_the_type_within(self) -> None:
        assert agent_of(node(Base, num_envs=9)).told["num_envs"] == 9
        with pytest.raises(UsageError, match=r"^agent\.num_envs is 'many', but it must be a whole number$"):
            agent_of(node(Base, num_envs="many"))

    def test_what_is_called_later_gets_nothing(self) -> None:
        part = agent_of(node("Holder", network=node(Base, _partial_=True, size=3), replay=None)).network
        assert part.keywords == {"size": 3}


def unmarked(rng: Any) -> None: ...


def marks_unknown(num_envs: FromRun[int], weather: FromRun[str]) -> None: ...


class TestRefusals:
    def test_a_required_option_without_a_mark_is_one_as_any_other(self) -> None:
        line = (
            r"^agent\.rng is missing: unmarked needs it; give it a value in its YAML or on the command line "
            r"\(agent\.rng=…, in Python as well\), or mark it as the run's in the signature of unmarked: "
            r"rng: FromRun\[…\] \(from rlkit import FromRun\)$"
        )
        with pytest.raises(UsageError, match=line):
            agent_of(node("unmarked"))

    def test_a_marked_name_that_the_run_does_not_know_is_refused_with_the_known_ones(self) -> None:
        line = r"^env\.weather of marks_unknown cannot come from the run .*, which knows dataset, evaluation, filmed, "
        with pytest.raises(UsageError, match=line):
            build.make_environment(config(env=node("marks_unknown")), num_envs=1)

    def test_what_a_yaml_asks_for_must_be_known_and_be_an_option(self) -> None:
        with pytest.raises(UsageError, match=r"^agent\.seed of KeepingAgent cannot come from the run \(its YAML asks"):
            agent_of(node(KeepingAgent, _from_run_=["seed"]))
        with pytest.raises(UsageError, match=r"asks for treads, which is not an option of .*; did you mean threads\?$"):
            agent_of(node(KeepingAgent, _from_run_=["treads"]))
        with pytest.raises(UsageError, match=r"^agent\._from_run_ is 'threads'; it must be a list of parameters"):
            agent_of(node(KeepingAgent, _from_run_="threads"))
        for odd in (-0.5, 0, False):
            with pytest.raises(UsageError, match=rf"^agent\._from_run_ is {odd}; it must be a list of parameters"):
                agent_of(node(KeepingAgent, _from_run_=odd))
            assert "_from_run_ is" in injection.shown({"agent": node(KeepingAgent, _from_run_=odd)})[1]["agent"]

    def test_a_wrapper_must_name_one(self) -> None:
        # "penalty:0.01" is what a shell leaves of {_target_:my_games.Shaped,penalty:0.01} without quotes.
        for wrong in (3, "TimeAwareObservation", "penalty:0.01", {"size": 3}):
            message = rf"^preprocess\.0 is {re.escape(repr(wrong))}; it must name a wrapper"
            with pytest.raises(UsageError, match=message):
                build.make_environment(config(preprocess=[wrong]), num_envs=1)

    def test_a_wrapper_without_options_is_its_name(self) -> None:
        cartpole = {"_target_": "rlkit.envs.gym.make", "id": "CartPole-v1", "kwargs": {}}
        typed = findable({"env": cartpole, "preprocess": ["gymnasium.wrappers.TimeAwareObservation"]})
        assert build.make_environment(config(**typed), num_envs=1).observation_space.shape == (4 + 1,)


def test_a_yaml_asks_for_what_has_a_default() -> None:
    kept = agent_of(node(KeepingAgent, _from_run_=["threads", "device"], device="mine")).kept
    assert kept == {**OWN, "threads": 1, "device": "mine"}


def tree(**options: Any) -> dict[str, Any]:
    return {"_target_": "sklearn.tree.DecisionTreeClassifier", **options}


class TestSeedsOfEstimators:
    def test_one_that_has_none_yet_gets_one_of_its_own_from_the_run(self) -> None:
        built = agent_of(node("Holder", network=tree(), replay=tree(random_state=4)))
        assert built.network.random_state == Seeds(0).number("agent.network")
        assert built.replay.random_state == 4

    def test_who_wants_fits_that_differ_says_so(self) -> None:
        assert agent_of(node("Holder", network=tree(random_state=None), replay=None)).network.random_state is None

    def test_no_other_function_is_an_estimator(self) -> None:
        assert signature.takes_seed(DecisionTreeClassifier)
        assert not signature.takes_seed(lambda random_state=None: None)


CALLS: list[str] = []


class Counted:
    """Counts how often it is looked at, and how often it is made."""

    def __init__(self, kind: Any):
        self._kind = kind

    @property
    def __signature__(self) -> Any:
        CALLS.append("read")
        return signature.inspect.signature(self._kind)

    def __call__(self, **options: Any) -> Any:
        CALLS.append("made")
        return self._kind(**options)


counted = Counted(Counting)


def test_environments_of_a_run_are_checked_once_and_made_each() -> None:
    looks = []
    for num_envs in (1, 6):
        CALLS.clear()
        build.make_environment(config(env=node("counted")), num_envs=num_envs).close()
        assert CALLS.count("made") == num_envs
        looks.append(CALLS.count("read"))
    assert looks[0] == looks[1] > 0


WORDS = ("agent=q_learning", "env=frozen_lake", "total_steps=200", "eval.every=0", "video=none", "logger=[csv]")


class TestShown:
    def test_cfg_shows_it_without_making_anything(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(build, "make_environment", None)
        assert main(["train", "agent=linear_q", "env=mountain_car", "--cfg", "job"]) == 0
        shown = yaml.safe_load(capsys.readouterr().out)["from_run"]
        assert shown["env"] == ["num_envs", "vectorization", "filmed", "render_mode"]
        assert shown["agent"] == ["action_space", "rng"]
        assert shown["agent.features"] == ["observation_space"]

    def test_it_says_what_a_yaml_asks_for_and_which_estimators_are_seeded(self) -> None:
        plain = {
            "env": node(Base, num_envs=3),
            "preprocess": [node(KeepingWrapper)],
            "agent": {**node("Holder", network=tree()), "replay": node(KeepingAgent, _from_run_=["device"])},
            "logger": {"mine": node(Base)},
        }
        found, unread = injection.shown(plain)
        assert found == {
            "env": ["rng"],
            "preprocess.0": ["env"],
            "agent.network": ["random_state"],
            "agent.replay": ["device"],
        }
        assert unread == {}

    def test_what_cannot_be_imported_is_a_comment(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["train", "agent._target_=nowhere.Agent", "env=cartpole", "--cfg", "job"]) == 0
        out = capsys.readouterr().out
        assert "# agent: not known here: agent._target_ 'nowhere.Agent' cannot be imported" in out
        assert "agent" not in yaml.safe_load(out)["from_run"]

    def test_a_runs_config_keeps_it_and_resuming_changes_nothing(self, tmp_path: Path) -> None:
        run, whole = tmp_path / "run", tmp_path / "whole"
        rlkit.train(*WORDS, "checkpoint.every=100", f"run_dir={run}")
        before = yaml.safe_load((run / "config.yaml").read_text())["from_run"]
        assert before["agent"] == ["observation_space", "action_space", "rng"]
        rlkit.train(f"resume={run}", "total_steps=400")
        rlkit.train(*WORDS, "checkpoint.every=100", "total_steps=400", f"run_dir={whole}")
        assert yaml.safe_load((run / "config.yaml").read_text())["from_run"] == before
        assert (run / "episodes.csv").read_bytes() == (whole / "episodes.csv").read_bytes()


class Marked(Counting):
    metadata = {"render_modes": ["rgb_array"]}  # noqa: RUF012

    def __init__(self, render_mode: FromRun[str | None], evaluation: FromRun[bool]):
        self.render_mode = render_mode

    def render(self) -> Any:
        return np.zeros((8, 8, 3), np.uint8)


class AsGymnasium(Counting):
    """An environment as Gymnasium's documentation has them: its mode is given by whoever makes it."""

    metadata = {"render_modes": ["rgb_array"]}  # noqa: RUF012

    def __init__(self, render_mode: str | None = None):
        self.render_mode = render_mode


def test_an_environment_whose_mode_is_still_to_come_is_given_one() -> None:
    made = config(env=node(AsGymnasium))
    single: Any = build.make_single(made, render_mode="rgb_array")
    assert single.render_mode == "rgb_array"
    assert injection.shown({"env": made.env})[0]["env"] == ["render_mode"]
    single = build.make_single(config(env=node(AsGymnasium, render_mode=None)), render_mode="rgb_array")
    assert single.render_mode is None


def test_the_suites_give_what_is_marked() -> None:
    check_env(Marked)
    check_replay(UniformReplay)
    check_replay(MarkedReplay)


class MarkedReplay(UniformReplay):
    def __init__(
        self, capacity: int, rng: FromRun[np.random.Generator], *, num_envs: FromRun[int], action_space: FromRun[Any]
    ):
        assert isinstance(action_space, spaces.Discrete)
        super().__init__(capacity, rng, num_envs=num_envs)
