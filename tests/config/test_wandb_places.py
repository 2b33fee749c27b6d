"""What a run folder says of W&B: only where the user has sent to is sent to, with the user's key."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

import rlkit
from rlkit.core.callback import RunInfo
from rlkit.runs.loggers.wandb import WandbLogger
from rlkit.runs.run import Run

WORDS = ("agent=q_learning", "env=frozen_lake", "total_steps=100", "eval.every=0", "video=none")

LOGGERS = "rlkit.runs.loggers"
PERIODS = {"refresh_seconds": 9.0, "line_seconds": 9.0}

Started = list[tuple[Any, Any, Any]]


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Started:
    """Give the user a key, and return where each W&B run is started: entity, project and mode."""
    found: Started = []

    def start(self: Any, run: RunInfo) -> None:
        found.append((self._about["entity"], self._about["project"], self._mode))

    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(WandbLogger, "start", start)
    monkeypatch.chdir(tmp_path)
    return found


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of somebody who has typed nothing here."""
    folder = tmp_path_factory.mktemp("theirs") / "run"
    rlkit.train(*WORDS, "logger=[csv]", f"run_dir={folder}")
    return folder


@pytest.fixture
def folder(theirs: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(theirs, tmp_path / "run"))


def node(**changes: Any) -> dict[str, Any]:
    own = {"_target_": f"{LOGGERS}.wandb.WandbLogger", "project": "rlkit", "entity": None, "group": None}
    rest = {
        "job_type": None,
        "tags": [],
        "notes": None,
        "mode": None,
        "videos": True,
        "table": False,
        "artifact": False,
    }
    return {**own, **rest, "system_metrics": False, "timeout": 30.0, **changes}


def change(folder: Path, **values: Any) -> None:
    before = yaml.safe_load((folder / "config.yaml").read_text())
    (folder / "config.yaml").write_text(yaml.safe_dump({**before, **values}))


def stored(folder: Path) -> dict[str, Any]:
    return dict(yaml.safe_load((folder / "config.yaml").read_text()))


@pytest.mark.parametrize("group", ["logger", "callback"])
@pytest.mark.parametrize(
    "named", [{}, {"mode": "online"}, {"entity": "stranger"}, {"project": "a\x1b[2Jb", "mode": "online"}]
)
def test_nothing_is_sent_to_where_only_a_folder_names(
    named: dict[str, Any], group: str, started: Started, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    terminal = {"terminal": {"_target_": f"{LOGGERS}.terminal.TerminalLogger", **PERIODS}}
    change(folder, **{"logger": terminal, group: {**(terminal if group == "logger" else {}), "x": node(**named)}})
    rlkit.train(f"resume={folder}", "total_steps=200")
    assert [mode for _, _, mode in started] == ["offline"]
    said = [line for line in capsys.readouterr().out.splitlines() if "W&B" in line]
    place = "stranger/rlkit" if "entity" in named else "a\\x1b[2Jb" if "project" in named else "rlkit"
    assert said == [
        f"{folder}/config.yaml sends to W&B ({place}), which no command of yours has named: W&B works offline; "
        "to send it, name the place: logger=[csv,terminal,wandb] logger.wandb.project=…"
    ]
    assert stored(folder)[group]["x"] == node(**named), "the folder says what it said"


def test_evaluations_start_none(started: Started, folder: Path) -> None:
    change(folder, logger={"wandb": node(mode="online")})
    Run(folder).evaluate(1, max_steps=1)
    assert started == []


def test_a_run_of_ones_own_goes_on_where_it_was_sent(started: Started, tmp_path: Path) -> None:
    sent = ("logger=[csv,wandb]", "logger.wandb.project=mine", "logger.wandb.entity=us")
    rlkit.train(*WORDS, *sent, "run_dir=own")
    shutil.copytree("own", "moved")
    rlkit.train("resume=moved", "total_steps=200")
    assert started == [("us", "mine", None)] * 2
    change(Path("moved"), logger={"wandb": node(project="mine", entity="us", mode="online")})
    rlkit.train("resume=moved", "total_steps=300")
    change(Path("moved"), logger={"wandb": node(project="mine", entity="them")})
    rlkit.train("resume=moved", "total_steps=400")
    assert [mode for _, _, mode in started[2:]] == ["offline", "offline"]


def test_what_is_typed_on_resume_is_sent_to_and_known_from_then_on(started: Started, folder: Path) -> None:
    change(folder, logger={"wandb": node(entity="stranger")})
    rlkit.train(f"resume={folder}", "total_steps=200", "logger=[csv,wandb]", "logger.wandb.project=mine")
    rlkit.train(f"resume={folder}", "total_steps=300")
    assert started == [(None, "mine", None)] * 2


@pytest.mark.parametrize(("entity", "mode"), [(None, None), ("stranger", "offline")])
def test_what_the_users_environment_names_is_known(
    entity: str | None, mode: str | None, started: Started, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_PROJECT", "mine")
    change(folder, logger={"wandb": node(project="mine", entity=entity)})
    rlkit.train(f"resume={folder}", "total_steps=200")
    assert started == [(entity, "mine", mode)]


@pytest.mark.parametrize("mode", ["offline", "disabled"])
def test_what_sends_nothing_needs_no_word(
    mode: str, started: Started, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change(folder, logger={"wandb": node(entity="stranger", mode=mode)})
    rlkit.train(f"resume={folder}", "total_steps=200")
    assert started == [("stranger", "rlkit", mode)]
    assert "no command of yours" not in capsys.readouterr().out
