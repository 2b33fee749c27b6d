"""YAML files in a folder of the user's own: their names and keys are suggested, listed and extended as rlkit's are."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from rlkit.agents.ppo import PPO, PPOSettings
from rlkit.cli.main import main
from rlkit.config import plugins, settings, signature
from rlkit.core.types import UsageError


@dataclass(frozen=True, kw_only=True)
class Bounded(PPOSettings):
    bound: float


class BoundedPPO(PPO):
    """Adds a setting; the constructor is the base's."""

    settings: Bounded


class Unchanged(PPO):
    """Adds nothing."""


class OtherName(PPO):
    """Annotates what is no settings."""

    settings: int  # type: ignore[assignment]


@pytest.fixture
def searched(tmp_path: Path) -> str:
    (tmp_path / "logger").mkdir()
    (tmp_path / "logger/json_lines.yaml").write_text(
        "# JSON lines.\njson_lines:\n  _target_: nowhere.JsonLines\n  file: metrics.jsonl\n"
    )
    return f"hydra.searchpath=[file://{tmp_path}]"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            "logger=[csv,terminal,json_lines] logger.json_lines.fil=x",
            "there is no key logger.json_lines.fil; did you mean logger.json_lines.file?",
        ),
        ("logger=[csv,json_line]", "there is no logger=json_line; did you mean json_lines?"),
        (
            "logger.json_lines.file=x",
            "there is no key logger.json_lines.file: json_lines is not chosen; add it to logger=[…,json_lines]",
        ),
        ("callback.early_stopping.patience=1", "early_stopping is not chosen; add it to callback=[…,early_stopping]"),
        ("agent=ppo agent.bound=1", ", …; +agent.bound=… adds one that its class has"),
    ],
)
def test_what_is_wrong_with_a_key_of_ones_own(
    words: str, message: str, searched: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", *words.split(), searched]) == 2
    assert message in capsys.readouterr().err


def test_a_name_that_is_not_there_says_how_a_folder_is_searched(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "logger=[csv,json_lines]"]) == 2
    assert "a folder of your own is searched with hydra.searchpath=[file://folder]" in capsys.readouterr().err


def test_list_shows_a_folder(searched: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "logger", searched, "output=json"]) == 0
    last = json.loads(capsys.readouterr().out)["logger"][-1]
    assert last == {"name": "json_lines", "summary": "JSON lines.", "origin": f"file://{tmp_path}"}
    assert main(["list", "logger", "output=json"]) == 0
    assert "json_lines" not in capsys.readouterr().out


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    words = ["seed=1", f"hydra.searchpath=['file://{tmp_path}',pkg://rlkit.conf]"]
    assert [origin.folder for origin in plugins.searched(words)] == [tmp_path, plugins.origins()[0].folder]
    with pytest.raises(UsageError, match=r"^hydra\.searchpath: there is no folder .*nowhere'"):
        plugins.searched([f"hydra.searchpath=['file://{tmp_path}',file://{tmp_path}/nowhere]"])


def test_a_subclass_adds_settings_by_an_annotation() -> None:
    own = settings.settings_of(BoundedPPO)
    assert own is not None
    assert own.kind is Bounded
    assert {"bound", "clip"} < set(signature.parameters(BoundedPPO))
    assert signature.from_run(BoundedPPO, ()) == signature.from_run(PPO, ())
    for unchanged in (PPO, Unchanged, OtherName):
        found = settings.settings_of(unchanged)
        assert found is not None
        assert found.kind is PPOSettings
