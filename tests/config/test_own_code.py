"""Environments, wrappers and callbacks that a user names by their file or module, or passes from a program."""

from __future__ import annotations

import functools
import json
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium
import pytest
import yaml

import rlkit
from rlkit.cli.main import main
from rlkit.config import agreed, own_code
from rlkit.config.injection import Named
from rlkit.core.types import UsageError

SHORT = ("agent=random", "total_steps=20", "eval.every=0", "video=none", "logger=[csv]")

WALK = """
import gymnasium
from {helper} import REWARD


class Walk(gymnasium.Env):
    metadata = {{"render_modes": []}}
    state_fields = ("_at",)

    def __init__(self, size: int = 4, slip=0.0):
        self.size, self._at = size, 0
        self.observation_space = gymnasium.spaces.Discrete(size)
        self.action_space = gymnasium.spaces.Discrete(1)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._at = 0
        return 0, {{}}

    def step(self, action):
        self._at += 1
        return self._at, REWARD, self._at == self.size - 1, False, {{}}


def run(*given, **named):
    open("ran", "w")


NUMBER = 3
gymnasium.register("Walk-v0", entry_point=Walk)
"""

WRAPS = """
import gymnasium


class Scaled(gymnasium.RewardWrapper):
    def __init__(self, env, by: float = 2.0):
        super().__init__(env)
        self.by = by

    def reward(self, reward):
        return self.by * reward
"""

LISTENER = """
import rlkit


class Notes(rlkit.Callback):
    def __init__(self, file: str = "notes"):
        self.file = file

    def start(self, run):
        (run.directory / self.file).touch()
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Begin in a folder with code of the user's own, which no other test knows."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "walk.py").write_text(WALK.format(helper="payment"))
    (tmp_path / "payment.py").write_text("REWARD = 1.0\n")
    (tmp_path / "walks").mkdir()
    (tmp_path / "walks/__init__.py").touch()
    (tmp_path / "walks/deep.py").write_text(WALK.format(helper=".paid").partition("gymnasium.register")[0])
    (tmp_path / "walks/paid.py").write_text("REWARD = 1.0\n")
    (tmp_path / "wraps.py").write_text(WRAPS)
    (tmp_path / "listener.py").write_text(LISTENER)
    before = set(sys.modules)
    yield tmp_path
    gymnasium.registry.pop("Walk-v0", None)
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


def forget() -> None:
    """Let the next command load everything again, as another process would."""
    gymnasium.registry.pop("Walk-v0", None)
    for name in ("walk", "payment", "walks", "walks.deep", "walks.paid", "wraps", "listener"):
        sys.modules.pop(name, None)


def refused(*words: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert main(list(words)) == 2
    [line] = capsys.readouterr().err.splitlines()
    return line.removeprefix("rlkit: ")


def train(*words: str) -> int:
    forget()
    return main(["train", *words, *SHORT])


def score(run: str, *words: str) -> int:
    forget()
    return main(["eval", f"run={run}", "episodes=2", "output=json", *words])


NAMED = [
    (("env=walk.py:Walk", "env.size=6"), "random_Walk_s0"),
    (("env=walks.deep:Walk", "env.size=6"), "random_Walk_s0"),
    (("env=gym", "env.id=walk:Walk-v0", "env.kwargs.size=6"), "random_gym_walk-Walk-v0_s0"),
]


@pytest.mark.parametrize(("words", "name"), NAMED)
def test_a_run_finds_its_class_again_from_everywhere(
    words: tuple[str, ...], name: str, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(*words) == 0
    assert main(["train", f"resume=runs/{name}", "total_steps=30"]) == 0
    monkeypatch.chdir(here / "runs")
    monkeypatch.setattr(sys, "path", [folder for folder in sys.path if folder != str(here)])
    capsys.readouterr()
    assert score(name) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["length"] == {"mean": 5.0, "std": 0.0, "min": 5.0, "max": 5.0}
    assert captured.err == ""


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("env=walk.py:Walk", "env.siz=3"), "env.siz is not an option of Walk; did you mean size?"),
        (("env=walk.py:Walk", "env.size=abc"), "env.size is 'abc', but it must be a whole number"),
        (("env=walk.py:Wakl",), "env: walk.py has no Wakl; did you mean Walk?"),
        (("env=wakl.py:Walk",), "wakl.py cannot be read: no such file or directory"),
        (("env=walk.py:NUMBER",), "env: NUMBER of walk.py is 3; it must be a class or a function"),
        (("env=walks/deep.py:Walk",), "a file of a package is named by its module: walks.deep:…"),
        (
            ("env=broken.py:Walk",),
            "broken.py cannot be imported: SyntaxError: '(' was never closed (broken.py, line 1)",
        ),
        (("env=nowhere.deep:Walk",), "nowhere.py is looked for in this folder as well"),
        (("env=walk.py:Walk", "wrappers=[wraps.Scaled]", "preprocess=[]"), "are the same list, innermost first"),
        (
            ("env=gym", "env.id=walk:Wakl-v0"),
            "there is no Gymnasium environment walk:Wakl-v0; did you mean walk:Walk-v0?",
        ),
        (
            ("env=gym", "env.id=walk:Walk-v0", "env.kwargs.siz=3"),
            "env.kwargs.siz is not an option of walk:Walk-v0; did",
        ),
        (("env=walk.py",), "there is no env=walk.py; a class of a file is named by both: env=walk.py:… (Walk, run)"),
        (("env=Hopper-v5",), "there is no env=Hopper-v5; ids of Gymnasium go with env=gym: env=gym env.id=Hopper-v5"),
        (("env.id=Walk-v0",), "env.id=Walk-v0 goes with env=gym, which is missing: env=gym env.id=Walk-v0"),
    ],
)
def test_what_is_wrong_is_one_line(
    words: tuple[str, ...], said: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "broken.py").write_text("print(\n")
    assert said in refused("train", *words, *SHORT, capsys=capsys)
    assert not (here / "runs").exists() or not list((here / "runs").iterdir())


def test_a_sweep_names_several_classes(here: Path) -> None:
    assert train("-m", "env=walk.py:Walk,walks.deep:Walk", "env.size=4,5") == 0
    found = {path.parent.name: yaml.safe_load(path.read_text())["env"] for path in here.glob("runs/*/config.yaml")}
    assert sorted(found) == [f"random_{walk}_size={size}_s0" for walk in ("Walk", "deep_Walk") for size in (4, 5)]
    assert found["random_deep_Walk_size=4_s0"]["_target_"] == "walks.deep.Walk"
    assert sorted(env["size"] for env in found.values()) == [4, 4, 5, 5]


def test_check_and_recordings_take_a_class(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["env=walk.py:Walk", "env.size=6", "wrappers=[wraps.Scaled]", "steps=30"]
    assert main(["check", *words]) == 0
    assert "none broken" in capsys.readouterr().out
    assert main(["play", "record=true", "env=walk.py:Walk", "env.siz=6", "expert=centre_line"]) == 2
    assert "env.siz is not an option of Walk" in capsys.readouterr().err


def test_wrappers_lie_innermost_first_around_the_limit_of_steps(here: Path) -> None:
    words = ("env=walk.py:Walk", "env.size=9", "max_episode_steps=3")
    both = "wrappers=[wraps.Scaled,{_target_: wraps.py:Scaled, by: 10}]"
    assert train(*words, both, "name=wrapped") == 0
    episodes = rlkit.load("runs/wrapped").episodes
    assert set(episodes["length"]) == {3.0}
    assert set(episodes["return/learner"]) == {60.0}
    assert set(episodes["return/raw"]) == {3.0}


def test_a_limit_takes_the_place_of_the_registry_s() -> None:
    limited = rlkit.train(*SHORT, "env=cartpole", "max_episode_steps=4", "name=limited")
    assert set(limited.episodes["length"]) == {4.0}
    with pytest.raises(UsageError, match=r"^max_episode_steps= limits single environments, not native vector ones"):
        rlkit.train(*SHORT, "env=cartpole", "max_episode_steps=4", "vectorization=native")


def test_callbacks_and_loggers_are_named_like_environments(here: Path) -> None:
    words = (
        "env=walk.py:Walk",
        "callback=[listener.py:Notes,early_stopping]",
        "callback.Notes.file=mine",
        "name=noted",
    )
    assert train(*words) == 0
    assert (here / "runs/noted/mine").exists()
    rlkit.train("env=walk.py:Walk", *SHORT[:4], "name=logged", "logger=[csv,listener.py:Notes]")
    assert (here / "runs/logged/notes").exists()


class TestTrust:
    """A stored configuration runs what its user has named, as it was, and nothing else."""

    @pytest.fixture(autouse=True)
    def trained(self, here: Path) -> None:
        assert train("env=walk.py:Walk", "env.size=5", "name=mine") == 0

    @pytest.mark.parametrize("file", ["walk.py", "payment.py"])
    def test_a_file_that_has_changed_is_run_after_a_word(
        self, file: str, here: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (here / file).write_text((here / file).read_text() + "# another line\n")
        said = refused("eval", "run=runs/mine", capsys=capsys)
        assert said.endswith(
            "walk.py:Walk, whose file, or one that it imports, has changed since you last named it in a command; if "
            "you know the change: trust=walk.py"
        )
        assert said in refused("train", "resume=runs/mine", "total_steps=30", capsys=capsys)
        assert score("runs/mine", "trust=walk.py") == 0
        assert f"{file} has changed since runs/mine began" in capsys.readouterr().err
        assert score("runs/mine") == 0

    def test_a_stranger_s_folder_runs_nothing(
        self, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("XDG_STATE_HOME", str(here / "another user's"))
        forget()
        said = refused("eval", "run=runs/mine", capsys=capsys)
        assert said.endswith(
            "neither one of rlkit's classes nor an installed plugin's; if you know this file: trust=walk.py"
        )
        assert "walk" not in sys.modules

    @pytest.mark.parametrize(
        ("node", "said"),
        [
            ({"_target_": "{here}/walk.py:run"}, "if you know this file: trust=walk.py"),
            ({"_target_": "{here}/payment.py:REWARD"}, "if you know this file: trust=payment.py"),
            ({"_target_": "payment.REWARD"}, "if you know its package: trust=payment"),
            ({"_target_": "os.system"}, "no file may name it"),
            ({"_target_": "rlkit.config.own_code.load"}, "no file may name it"),
        ],
    )
    def test_what_else_is_in_the_file_is_not_agreed_to(
        self, node: dict[str, str], said: str, here: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        values = yaml.safe_load((here / "runs/mine/config.yaml").read_text())
        values["env"] = {key: value.format(here=here) for key, value in node.items()}
        (here / "runs/mine/config.yaml").write_text(yaml.safe_dump(values))
        forget()
        assert refused("eval", "run=runs/mine", capsys=capsys).endswith(said)
        assert "payment" not in sys.modules

    def test_what_no_file_may_name_is_never_agreed_to(self) -> None:
        for name in ("os.system", "rlkit.config.own_code.load"):
            agreed.agree([Named("env._target_", name)])
            assert not agreed.is_agreed(Named("env._target_", name))

    def test_a_trusted_file_passes_on_nothing_that_it_only_imports(
        self, here: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (here / "shell.py").write_text("from os import system\n")
        values = yaml.safe_load((here / "runs/mine/config.yaml").read_text())
        values["env"] = {"_target_": f"{here}/shell.py:system", "command": "touch ran"}
        (here / "runs/mine/config.yaml").write_text(yaml.safe_dump(values))
        assert main(["eval", "run=runs/mine", "trust=shell.py"]) == 2
        assert "neither one of rlkit's classes" in capsys.readouterr().err
        assert not (here / "ran").exists()

    def test_a_wrapper_that_is_only_a_name_is_looked_at_as_well(
        self, here: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (here / "trap.py").write_text("open('ran', 'w')\n")
        values = yaml.safe_load((here / "runs/mine/config.yaml").read_text())
        values["preprocess"] = ["trap.run"]
        (here / "runs/mine/config.yaml").write_text(yaml.safe_dump(values))
        refused("eval", "run=runs/mine", capsys=capsys)
        assert not (here / "ran").exists()

    def test_what_others_wrote_is_agreed_to_with_its_arguments(
        self, here: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        limit = "wrappers=[{_target_: gymnasium.wrappers.RecordEpisodeStatistics, buffer_length: 7}]"
        assert train("env=walk.py:Walk", limit, "name=other") == 0
        assert score("runs/other") == 0
        config = here / "runs/other/config.yaml"
        config.write_text(config.read_text().replace("buffer_length: 7", "buffer_length: 8"))
        assert "trust=gymnasium" in refused("eval", "run=runs/other", capsys=capsys)

    def test_a_file_that_is_gone_is_named_and_found_in_the_working_folder(
        self, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (here / "other").mkdir()
        for file in ("walk.py", "payment.py"):
            (here / file).rename(here / "other" / file)
        said = refused("eval", "run=runs/mine", capsys=capsys)
        assert said.endswith("that file is not there any more; put it back, or go to a folder that has walk.py")
        monkeypatch.chdir(here / "other")
        assert "trust=walk.py" in refused("eval", "run=../runs/mine", capsys=capsys)
        assert score("../runs/mine", "trust=walk.py") == 0


def test_the_working_folder_is_searched_only_for_what_is_named(here: Path) -> None:
    rlkit.train(*SHORT, "env=frozen_lake")
    assert str(here) not in sys.path
    assert train("env=walk.py:Walk") == 0
    assert sys.path[-1] == str(here)


def test_a_file_that_is_called_like_a_module_is_another(here: Path) -> None:
    (here / "test.py").write_text((here / "walks/deep.py").read_text().replace("from .paid", "from payment"))
    found = own_code.located(f"{here}/test.py:Walk", "env")
    assert found.__module__.startswith("test_")
    (here / "test.py").write_text((here / "test.py").read_text().replace("size: int = 4", "size: int = 5"))
    assert own_code.located(f"{here}/test.py:Walk", "env")().size == 5


def test_a_command_that_makes_a_run_again_names_its_class(here: Path) -> None:
    from rlkit.reporting.commands import Commands

    assert train("env=walks.deep:Walk", "env.size=5", "name=mine") == 0
    line, note = Commands().line(rlkit.load("runs/mine").values)
    assert "env=walks.deep:Walk" in line
    assert "+env.size=5" in line
    assert note == ""


def test_the_commands_of_the_page_about_own_environments_run(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = (Path(__file__).parents[2] / "docs/guides/environment.md").read_text()
    code, commands = (re.search(rf"```{kind}\n(.*?)```", page, re.DOTALL) for kind in ("python", "sh"))
    assert code is not None
    assert commands is not None
    (here / "my_env.py").write_text(code[1])
    for line in commands[1].splitlines():
        _, verb, *words = shlex.split(line)
        less = {"train": SHORT[1:], "eval": ("episodes=2",), "play": ("max_steps=3",), "check": ("steps=30",)}
        assert main([verb, *words, *less[verb]]) == 0, line
    assert "info/success/last" in (here / "runs/logged/episodes.csv").read_text()
    assert len(list(here.glob("videos/*/*.mp4"))) == 1


class Corridor(gymnasium.Env[int, int]):
    """Ends after `size` steps."""

    state_fields = ("_at",)

    def __init__(self, size: int = 4):
        self.size, self._at = size, 0
        self.observation_space = gymnasium.spaces.Discrete(2)
        self.action_space = gymnasium.spaces.Discrete(1)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self._at = 0
        return 0, {}

    def step(self, action: int) -> Any:
        self._at += 1
        return 0, 1.0, self._at == self.size, False, {}


class Halved(gymnasium.RewardWrapper[Any, Any]):
    state_fields = ()

    def reward(self, reward: Any) -> float:
        return float(reward) / 2


class TestFromPython:
    """Classes, functions and partials are passed as they are."""

    def test_what_another_process_can_import_is_named(self) -> None:
        run = rlkit.train(*SHORT, "env.size=6", env=Corridor, wrappers=[Halved], name="one")
        assert run.values["env"] == {"_target_": f"{__name__}.Corridor", "size": 6}
        assert run.values["preprocess"] == [{"_target_": f"{__name__}.Halved"}]
        again = rlkit.load(run.directory)
        assert isinstance(again, rlkit.Run)
        assert again.evaluate(episodes=1)["length"]["mean"] == 6
        partial = rlkit.train(*SHORT, env=functools.partial(Corridor, size=5))
        assert partial.values["env"] == {"_target_": f"{__name__}.Corridor", "size": 5}

    def test_what_no_command_can_name_resumes_from_python(self, capsys: pytest.CaptureFixture[str]) -> None:
        make = lambda size=7: Corridor(size)  # noqa: E731
        wrap = lambda env: Halved(env)  # noqa: E731
        run = rlkit.train(*SHORT[:4], "logger=[csv,terminal]", "env.size=6", env=make, wrappers=[wrap], name="two")
        assert "lambda, lambda of this program, which no command finds" in capsys.readouterr().out
        assert run.evaluate(episodes=1)["return/raw"]["mean"] == 6
        assert run.values["env"] == {"_target_": "python:lambda", "size": 6}
        with pytest.raises(UsageError, match=r"env is lambda of a Python program, which no command finds; in Python: "):
            rlkit.load(run.directory).evaluate(episodes=1)  # type: ignore[union-attr]
        again: Any = rlkit.load(run.directory, env=make, wrappers=[wrap])
        assert again.evaluate(episodes=1)["length"]["mean"] == 6
        with pytest.raises(UsageError, match=r"^wrappers= lists 2, and the run was begun with 1: pass as many$"):
            rlkit.train(resume=run.directory, env=make, wrappers=[wrap, wrap], total_steps=30)
        longer = rlkit.train(resume=run.directory, env=make, wrappers=[wrap], total_steps=30)
        assert longer.values["env"] == run.values["env"]
        assert "score it: rlkit.load('runs/two', env=…, wrappers=[…]).evaluate()" in capsys.readouterr().out
        assert set(longer.episodes["return/learner"]) == {3.0}
        assert len(longer.episodes["step"]) == 5

    def test_an_object_is_no_class(self) -> None:
        with pytest.raises(
            UsageError, match=r"^env= is a Corridor object, and a run makes several: pass the class, env="
        ):
            rlkit.train(*SHORT, env=Corridor())

    def test_arguments_are_checked(self) -> None:
        with pytest.raises(UsageError, match=r"^env\.siz is not an option of Corridor; did you mean size\?$"):
            rlkit.train(*SHORT, "env.siz=3", env=Corridor)


class Sized(gymnasium.Env[Any, Any]):
    observation_space = action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, size: int):
        self.size = size


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ({"size": 5}, r"^there is no key size; an argument of Sized is env\.size=…, in Python as well$"),
        ({"total_step": 5}, r"^there is no key total_step; did you mean total_steps\?$"),
        ({}, r"^env\.size is missing: Sized needs it; .* on the command line \(env\.size=…, in Python as well\)$"),
    ],
)
def test_an_argument_of_an_environment_of_a_program_is_named_with_its_key(keys: Any, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        rlkit.train("agent=random", "total_steps=2", "video=none", env=Sized, **keys)
