"""Files of somebody else: whatever they name, nothing is imported or run, and at worst they are refused in one line."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import yaml
from hostile import changed, places
from omegaconf import OmegaConf

import rlkit
import rlkit.preprocess
from rlkit.cli.main import main
from rlkit.config import plugins, trust
from rlkit.config.compose import composed
from rlkit.core.types import RunError, UsageError
from rlkit.learners.datasets.demonstrations import read_episodes
from rlkit.runs import launch
from rlkit.runs.action_log import ActionLog
from rlkit.runs.record_video import render
from rlkit.runs.request import Request
from rlkit.runs.run import Run

WORDS = ("agent=q_learning", "env=frozen_lake", "total_steps=200", "eval.every=0", "video=none", "logger=[csv]")
MARKER = "<img src=x onerror=alert(1)>"
TRAP = "trap_module"

COMMAND = {"_target_": "os.system", "command": "touch ran"}
HOSTILE: list[Any] = [
    COMMAND,
    {"_target_": f"{TRAP}.run"},
    {"_target_": {"classification": f"{TRAP}.run", "regression": f"{TRAP}.run"}},
    {"_target_": f"{TRAP}.run", "_partial_": True},
    {"_target_": "rlkit.envs.gym.make", "id": f"{TRAP}:Toy-v0", "kwargs": {}},
    {"_target_": "rlkit.envs.gym.make", "id": "GymV21Environment-v0", "kwargs": {"env_id": f"{TRAP}:Toy-v0"}},
    {"_target_": "rlkit.learners.pipeline.by_class", "estimator": f"{TRAP}.run"},
    {"_target_": "rlkit.learners.pipeline.by_class", "_partial_": True},
    {"_target_": "rlkit.learners.pipeline.by_class", "estimator": {"_target_": "rlkit.core.schedules.Constant"}},
    {"_target_": "rlkit.config.instantiate.build", "node": COMMAND},
    {"_target_": "rlkit.config.injection.locate", "target": f"{TRAP}.run", "path": ""},
    {"_target_": "sklearn.pipeline.Pipeline", "steps": [], "memory": "cache"},
    {"_target_": "sklearn.utils.Bunch", "command": "touch ran"},
    {"_target_": "builtins.exec"},
    [[COMMAND]],
    {"inside": {"deep": [COMMAND]}},
    "${oc.env:TRAP_SECRET}",
    "x${oc.decode:'${oc.env:TRAP_SECRET}'}",
]


@pytest.fixture(autouse=True)
def trap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Notice whatever runs: the module is never imported, the commands never called, the variable never written."""
    (tmp_path / f"{TRAP}.py").write_text("open('ran', 'w')\ndef run(*given, **named): open('ran', 'w')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRAP_SECRET", "token-of-the-user")
    monkeypatch.setattr(os, "system", lambda command: Path("ran").touch())
    yield
    assert not Path("ran").exists()
    assert TRAP not in sys.modules
    written = [path for path in tmp_path.rglob("*") if path.is_file() and path.suffix in (".yaml", ".log", ".csv")]
    assert not any(b"token-of-the-user" in path.read_bytes() for path in written)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "run"
    rlkit.train(*WORDS, f"run_dir={folder}")
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "run"))


def each(node: Any, wanted: Callable[[tuple[Any, ...]], bool] = lambda path: True) -> Iterator[Any]:
    """Yield the file with hostile content in each place, another one each time."""
    for i, path in enumerate(path for path in places(node) if wanted(path)):
        for turn in range(2):
            yield changed(node, path, HOSTILE[(5 * i + 7 * turn) % len(HOSTILE)])


def one_line(error: BaseException) -> None:
    assert "\n" not in str(error).strip()


def attempt(action: Callable[[], Any]) -> None:
    try:
        action()
    except (UsageError, RunError) as error:
        one_line(error)


SECTIONS = [("env", "preprocess", "data", "network"), ("agent",), ("eval", "checkpoint", "log", "logger", "callback")]


def within(sections: tuple[str, ...] | None) -> Callable[[tuple[Any, ...]], bool]:
    named = {key for part in SECTIONS for key in part} | {"from_run"}
    return lambda path: path[0] in sections if sections else path[0] not in named


class TestRunFolders:
    @pytest.mark.parametrize("sections", [*SECTIONS, None], ids=str)
    def test_every_field_of_a_configuration_is_refused_or_of_no_consequence(
        self, sections: tuple[str, ...] | None, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(yaml, "safe_load", json.loads)  # faster
        config, choices = composed("train", [f"resume={folder}"])
        monkeypatch.setattr(launch, "_train", lambda config, request: None)
        values = yaml.load((folder / "config.yaml").read_text(), yaml.SafeLoader)
        for hostile in each(values, within(sections)):
            (folder / "config.yaml").write_text(json.dumps(hostile))
            attempt(lambda: Run(folder).evaluate(1, max_steps=1))
            attempt(lambda: launch.start(Request(OmegaConf.create(config), choices, [f"resume={folder}"])))

    @pytest.mark.parametrize("hostile", [node for node in HOSTILE if isinstance(node, dict)], ids=str)
    def test_each_kind_of_content_is_refused_by_name(self, hostile: Any, folder: Path) -> None:
        values = yaml.safe_load((folder / "config.yaml").read_text())
        (folder / "config.yaml").write_text(json.dumps(changed(values, ("agent", "epsilon"), hostile)))
        with pytest.raises(
            UsageError, match=r"config\.yaml: agent\.epsilon.*no file may name it$|a file must|trust=|pickles"
        ):
            Run(folder).load_agent()

    @pytest.mark.parametrize("verb", ["eval", "play", "match", "train"])
    def test_a_command_refuses_in_one_line(self, verb: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        values = yaml.safe_load((folder / "config.yaml").read_text())
        (folder / "config.yaml").write_text(yaml.safe_dump({**values, "env": COMMAND}))
        words = {"match": [str(folder), "random", "games=2"], "train": [f"resume={folder}"]}
        assert main([verb, *words.get(verb, [f"run={folder}"])]) == 2
        known = "neither one of rlkit's classes nor an installed plugin's: no file may name it"
        assert capsys.readouterr().err == f"rlkit: {folder}/config.yaml: env._target_ is os.system, which is {known}\n"

    def test_a_stored_interpolation_is_never_resolved(self, folder: Path) -> None:
        values = yaml.safe_load((folder / "config.yaml").read_text())
        (folder / "config.yaml").write_text(yaml.safe_dump({**values, "name": "${oc.env:TRAP_SECRET}"}))
        line = r"config\.yaml: name is '\$\{oc\.env:TRAP_SECRET\}'; a stored value is never replaced"
        for open_run in (rlkit.load, rlkit.report, lambda path: rlkit.train(f"resume={path}")):
            with pytest.raises(UsageError, match=line):
                open_run(folder)

    @pytest.mark.parametrize("name", ["/etc", "../x", "a/../../x", ".."])
    def test_a_name_stays_in_its_folder(self, name: str, folder: Path) -> None:
        values = yaml.safe_load((folder / "config.yaml").read_text())
        (folder / "config.yaml").write_text(yaml.safe_dump({**values, "name": name}))
        with pytest.raises(UsageError, match=r"config\.yaml: name '.*' leads out of the folder of runs"):
            Run(folder)
        with pytest.raises(UsageError, match=r"^name=.* leads out of the folder of runs"):
            rlkit.train(*WORDS, f"name={name}")

    @pytest.mark.parametrize("choice", ["../../secret", "/etc/passwd", "a b", MARKER])
    def test_choices_are_names(self, choice: str, folder: Path) -> None:
        values = yaml.safe_load((folder / "config.yaml").read_text())
        for choices in ({"agent": choice}, {choice: "agent"}, {"hydra.searchpath": "file"}):
            (folder / "config.yaml").write_text(yaml.safe_dump({**values, "choices": choices}))
            with pytest.raises(UsageError, match="which is no name of a file in conf/"):
                Run(folder)

    @pytest.mark.parametrize("key", ["trust", "resume"])
    def test_a_folder_cannot_trust_itself(self, key: str, folder: Path) -> None:
        values = yaml.safe_load((folder / "config.yaml").read_text())
        (folder / "config.yaml").write_text(yaml.safe_dump({**values, key: TRAP}))
        with pytest.raises(UsageError, match=f"has the key {key}, which only a command has"):
            Run(folder)

    @pytest.mark.parametrize("place", ["metrics.csv", "checkpoints/200", "map.png", "checkpoints"])
    def test_links_are_not_followed_out_of_the_folder(self, place: str, folder: Path, tmp_path: Path) -> None:
        outside = tmp_path / "outside"
        shutil.move(folder / place, outside) if (folder / place).exists() else outside.write_bytes(b"secret")
        (folder / place).symlink_to(outside)
        for open_run in (rlkit.load, rlkit.report, lambda path: rlkit.train(f"resume={path}", "total_steps=300")):
            with pytest.raises(UsageError, match=f"{place} is a link that leads out of its run folder"):
                open_run(folder)

    def test_links_within_the_folder_are_the_users_own_affair(self, folder: Path) -> None:
        (folder / "best.csv").symlink_to("metrics.csv")
        (folder / "wandb").mkdir()
        (folder / "wandb/log").symlink_to("/tmp")
        assert len(Run(folder).metrics)


OWN = """
import gymnasium
from os import system
def lake():
    return gymnasium.make("FrozenLake-v1", disable_env_checker=True)
"""


@pytest.fixture
def own(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A run whose environment is the user's own."""
    (tmp_path / "own_games.py").write_text(OWN)
    values = yaml.safe_load((folder / "config.yaml").read_text())
    (folder / "config.yaml").write_text(yaml.safe_dump({**values, "env": {"_target_": "own_games.lake"}}))
    yield folder
    sys.modules.pop("own_games", None)


class TestTrust:
    def test_a_users_own_environment_needs_its_package_typed_again(
        self, own: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["eval", f"run={own}", "episodes=1"]) == 2
        refused = capsys.readouterr().err
        assert "own_games" not in sys.modules
        assert refused.startswith(f"rlkit: {own}/config.yaml: env._target_ is own_games.lake, which is neither ")
        assert refused.endswith("if you know its package: trust=own_games\n")
        assert main(["eval", f"run={own}", "episodes=1", "trust=own_games"]) == 0
        assert f"{own}/config.yaml names own_games.lake (trust=own_games)" in capsys.readouterr().err
        assert main(["eval", f"run={own}", "episodes=1", "trust=[other, own_games]"]) == 0

    def test_so_does_its_resume(self, own: Path) -> None:
        with pytest.raises(UsageError, match=r"trust=own_games$"):
            rlkit.train(f"resume={own}", "total_steps=250")
        run = rlkit.train(f"resume={own}", "total_steps=250", trust="own_games")
        assert run.evaluate(1, max_steps=3)["episodes"] == 1
        assert "trust" not in yaml.safe_load((own / "config.yaml").read_text())

    def test_only_what_the_package_itself_defines_is_called(self, own: Path) -> None:
        values = yaml.safe_load((own / "config.yaml").read_text())
        (own / "config.yaml").write_text(
            yaml.safe_dump({**values, "env": {"_target_": "own_games.system", "command": ""}})
        )
        with pytest.raises(UsageError, match=r"env\._target_ is own_games\.system, which is neither"):
            Run(own, "own_games").load_agent()

    @pytest.mark.parametrize("name", ["os", "builtins", "subprocess.run", "rlkit", "rlkit.config", "a b", "", "os:x"])
    def test_python_and_rlkit_are_no_packages_to_trust(self, name: str) -> None:
        with pytest.raises(UsageError, match=r"^trust=.* is (part of (Python|rlkit)|no package); name "):
            trust.packages(name)

    def test_what_was_trained_here_needs_no_trust(self, tmp_path: Path) -> None:
        (tmp_path / "own_games.py").write_text(OWN)
        words = ("env._target_=own_games.lake", "~env.id", "~env.kwargs", f"run_dir={tmp_path / 'mine'}")
        run = rlkit.train(*WORDS, *words)
        assert run.evaluate(1, max_steps=3)["episodes"] == 1
        del sys.modules["own_games"]

    def test_every_target_of_a_yaml_file_may_be_named_and_no_other_function(self) -> None:
        for entry in plugins.entries():
            node = yaml.safe_load(entry.path.read_text())
            for name in trust._names_of_yaml(node):
                if "." in name and "{" not in name:
                    assert trust._owner(trust.Named("x", name), ()) == "", name
        assert {f"rlkit.preprocess.{name}" for name in rlkit.preprocess.__all__} <= trust.DECLARED
        for name in trust.DECLARED:
            module, _, kind = name.rpartition(".")
            assert issubclass(getattr(importlib.import_module(module), kind), gymnasium.Wrapper), name


class TestLogsAndRecordings:
    def test_every_field_of_a_log_of_actions(self, tmp_path: Path) -> None:
        env = {"_target_": "rlkit.envs.gym.make", "id": "FrozenLake-v1", "kwargs": {"is_slippery": False}}
        environment = {"env": env, "preprocess": [{"_target_": "rlkit.preprocess.SignReward"}], "action_mask": False}
        log = ActionLog(environment, 3, [1, 1], "<i8", 0.0, {"numpy": "2"}).__dict__
        path = tmp_path / "x.actions.json"
        for hostile in each(log):
            path.write_text(json.dumps(hostile))
            if hostile["environment"] != environment:
                with pytest.raises(UsageError) as refused:
                    render(path)
                one_line(refused.value)
        path.write_text(json.dumps({**log, "environment": {**environment, "env": COMMAND}}))
        assert main(["play", f"log={path}"]) == 2

    def test_every_field_of_recorded_episodes(self, tmp_path: Path) -> None:
        steps: dict[str, Any] = {
            name: np.zeros(2) for name in ("observation", "action", "intended", "reward", "discount")
        }
        steps |= {"last": np.array([False, True]), "episode": np.zeros(2, int), "final_observation": np.zeros(1)}
        np.savez(tmp_path / "part-00000.npz", **steps)
        np.savez(tmp_path / "outside.npz", **steps)
        about = {"env": {"_target_": "x"}, "observation_space": "Box", "action_space": "Discrete(2)"}
        part = {"file": "part-00000.npz", "episodes": [{"number": 0, "return": 1.0, "player": "x"}]}
        index = {"format": "rlkit-episodes-1", "about": about, "parts": [part]}
        (tmp_path / "episodes.json").write_text(json.dumps(index))
        assert len(read_episodes(tmp_path).reward) == 2
        for hostile in [*each(index), *(changed(index, ("parts", 0, "file"), name) for name in ("outside.npz", "/x"))]:
            (tmp_path / "episodes.json").write_text(json.dumps(hostile))
            attempt(lambda: read_episodes(tmp_path))
        with pytest.raises(UsageError, match="names /x, which is no part of its folder"):
            read_episodes(tmp_path)
