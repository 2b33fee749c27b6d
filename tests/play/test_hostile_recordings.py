"""Recordings of somebody else, episodes and logs of actions: whatever a field holds, at worst there is one line."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hostile import changed, one_line, places

from rlkit.cli.main import main
from rlkit.learners.datasets.demonstrations import read_episodes
from rlkit.learners.datasets.episodes import recorded
from rlkit.networks.weights import read_encoder
from rlkit.runs.action_log import ActionLog
from rlkit.runs.record_video import render

ESCAPE = "\x1b[31m\x1b]0;owned\x07"
HOSTILE: list[Any] = [
    *(None, True, -1, 2**70, 10**400, 1.5, math.nan, math.inf),
    *("", "x", "../../x", "/etc/passwd", ESCAPE, "\ud800", "9" * 5000, "O", "V8", "<U99999999"),
    *([], [[]], ["x"], [2**70], [[1, 2], [3]], {}, {"x": 1}, {"_target_": "os.system", "command": "touch ran"}),
]
ARRAYS: list[Any] = [
    *(np.zeros(0), np.zeros((2, 2), complex), np.array("x"), np.array("2020", "datetime64[s]"), np.zeros(3, bool)),
    *(
        np.array(0.0),
        np.full(4, np.inf),
        np.full(4, np.nan),
        np.full(4, 10**18),
        np.array([b"x"] * 4),
        np.zeros((4, 0)),
    ),
    *(np.full(4, -1), np.zeros((4, 1, 1, 1)), np.zeros(4, [("x", "i4")]), np.zeros(4, np.float16)),
]
ENVIRONMENT = {
    "env": {"_target_": "rlkit.envs.gym.make", "id": "FrozenLake-v1", "kwargs": {"is_slippery": False}},
    "preprocess": [],
    "action_mask": False,
}
LOG = ActionLog(ENVIRONMENT, 3, [1, 1], "<i8", 0.0, {"numpy": "2"}).__dict__


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "system", lambda command: Path("ran").touch())
    yield
    assert not Path("ran").exists()


class TestLogs:
    @pytest.mark.parametrize("field", [path for path in places(LOG) if path != ("actions", 0)], ids=str)
    def test_every_field(self, field: tuple[Any, ...]) -> None:
        for turn, value in enumerate(HOSTILE):
            if field[0] == "environment" and turn % 3:
                continue
            Path("x.actions.json").write_text(json.dumps(changed(LOG, field, value)))
            line = one_line(lambda: render("x.actions.json"))
            harmless = field[0] == "versions" or field[-1] == "seed" or value in (False, 0, 1, 3)
            assert line or harmless or Path("x.mp4").exists(), value

    @pytest.mark.parametrize(
        "content", ["", "null", "[1]", "[" * 100_000, "\0", "{", '"x"', "1", "{}", '{"environment": 1}']
    )
    def test_the_whole(self, content: str, capsys: pytest.CaptureFixture[str]) -> None:
        Path("x.actions.json").write_text(content)
        assert main(["play", "log=x.actions.json"]) == 2
        assert capsys.readouterr().err.startswith("rlkit: log=x.actions.json is no log of actions: ")

    def test_no_terminal_obeys_it(self, capfd: pytest.CaptureFixture[str]) -> None:
        for field in (("versions", "numpy"), ("dtype",), ("environment", "env", "id"), ("environment", "action_mask")):
            Path("x.actions.json").write_text(json.dumps({**changed(LOG, field, ESCAPE), "score": 7.0}))
            assert main(["play", "log=x.actions.json"]) in (1, 2)
            assert "\x1b" not in "".join(capfd.readouterr())

    def test_pipes_are_not_waited_for(self) -> None:
        os.mkfifo("x.actions.json")
        assert "no regular file" in one_line(lambda: render("x.actions.json"))


def write(folder: Path, index: Any, arrays: dict[str, Any]) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "episodes.json").write_text(json.dumps(index))
    np.savez(folder / "part-00000.npz", **arrays)


def arrays() -> dict[str, Any]:
    steps: dict[str, Any] = {name: np.arange(4.0) for name in ("observation", "reward", "discount")}
    steps |= {"action": np.array([0, 1, 0, 1]), "intended": np.array([0, 1, 0, 1])}
    steps |= {"last": np.array([False, True, False, True]), "episode": np.array([0, 0, 1, 1])}
    return {**steps, "final_observation": np.zeros(2)}


EPISODE = {"number": 0, "return": 1.0, "player": "x", "length": 2}
INDEX = {
    "format": "rlkit-episodes-1",
    "about": {"env": {"_target_": "x"}, "observation_space": "Box", "action_space": "Discrete(2)"},
    "parts": [{"file": "part-00000.npz", "episodes": [EPISODE, {**EPISODE, "number": 1}]}],
}


class TestEpisodes:
    def test_as_they_are(self, tmp_path: Path) -> None:
        write(tmp_path / "r", INDEX, arrays())
        assert recorded(str(tmp_path / "r"), "action").rows.X.shape == (4, 1)

    def test_every_field_of_the_index(self, tmp_path: Path) -> None:
        write(tmp_path / "r", INDEX, arrays())
        for field in places(INDEX):
            for value in HOSTILE:
                (tmp_path / "r" / "episodes.json").write_text(json.dumps(changed(INDEX, field, value)))
                line = one_line(lambda: recorded(str(tmp_path / "r"), "action"))
                assert line or field[0] == "about" or "episodes" in field, (field, value)

    @pytest.mark.parametrize("name", list(arrays()))
    def test_every_array_of_a_part(self, name: str, tmp_path: Path) -> None:
        for array in ARRAYS:
            write(tmp_path / "r", INDEX, {**arrays(), name: array})
            for target in ("action", "intended"):
                one_line(lambda target=target: recorded(str(tmp_path / "r"), target))
        write(tmp_path / "r", INDEX, {key: value for key, value in arrays().items() if key != name})
        assert "cannot be read" in one_line(lambda: read_episodes(tmp_path / "r"))

    @pytest.mark.parametrize("name", ["episodes.json", "part-00000.npz"])
    def test_pipes_are_not_waited_for(self, name: str, tmp_path: Path) -> None:
        write(tmp_path / "r", INDEX, arrays())
        (tmp_path / "r" / name).unlink()
        os.mkfifo(tmp_path / "r" / name)
        assert "no regular file" in one_line(lambda: read_episodes(tmp_path / "r"))


def test_every_array_of_an_encoder(tmp_path: Path) -> None:
    whole = {"about/scale": np.array(255.0), "about/preparations": np.array(0), "0.weight": np.zeros(2)}
    for name in whole:
        for array in ARRAYS:
            np.savez(tmp_path / "e.npz", **{**whole, name: array})
            one_line(lambda: read_encoder(tmp_path / "e.npz"))
    (tmp_path / "e.npz").unlink()
    os.mkfifo(tmp_path / "e.npz")
    assert "no run" in one_line(lambda: read_encoder(tmp_path / "e.npz"))
