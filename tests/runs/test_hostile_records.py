"""What lies beside the checkpoints of somebody else's run: records of loggers, versions, tables for services."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hostile import changed, places

import rlkit
from rlkit.cli.main import main
from rlkit.core.callback import RunInfo
from rlkit.runs import origin
from rlkit.runs.loggers.history import missing_rows
from rlkit.runs.loggers.tensorboard import TensorBoardLogger
from rlkit.runs.loggers.wandb_uplink import Sender
from rlkit.runs.videos import claim_videos

ESCAPE = "\x1b[31m\x1b]0;owned\x07"
HOSTILE: list[Any] = [
    *(None, True, -1, 2**70, 10**400, 1.5, math.nan, math.inf, -math.inf),
    *("", "x", "../../x", "/etc/passwd", ESCAPE, "\ud800", "9" * 5000, "<script>"),
    *([], [[]], ["x"], {}, {"x": 1}, {"_target_": "os.system", "command": "touch ran"}),
]
WHOLE = ["", "null", "[1]", "[" * 100_000, "\0", "{", '"x"', "1", '{"id": 1}']
LAKE = ("agent=q_learning", "env=frozen_lake", "total_steps=100", "eval.every=0", "video=none", "inner_loop=python")


def contents(record: Any) -> Iterator[str]:
    """Yield a file with hostile content in each field, with other names of fields, and as a whole."""
    for path in places(record):
        for value in HOSTILE:
            yield json.dumps(changed(record, path, value))
    for name in (ESCAPE, "", "\ud800", "../x"):
        yield json.dumps({name: record, **{f"{name}{key}": value for key, value in record.items()}})
    yield from WHOLE


class TestWandb:
    def sender(self, folder: Path) -> Sender:
        found = Sender({"directory": str(folder), "id": "i", "step": 40}, io.StringIO())
        found._run = type("Offline", (), {"offline": True})()
        return found

    def test_every_field_of_its_record(self, tmp_path: Path) -> None:
        sender = self.sender(tmp_path)
        record = {"id": "i", "last_step": 20}
        for content in contents(record):
            (tmp_path / "wandb.json").write_text(content)
            assert type(sender._last_recorded()) is int, content
        (tmp_path / "wandb.json").write_text(json.dumps(record))
        assert sender._last_recorded() == 20

    def test_the_record_of_another_run_says_nothing_of_this_one(self, tmp_path: Path) -> None:
        (tmp_path / "wandb.json").write_text(json.dumps({"id": "another", "last_step": 10**9}))
        assert self.sender(tmp_path)._last_recorded() == -1

    def test_its_record_is_written_again(self, tmp_path: Path) -> None:
        for content in WHOLE:
            (tmp_path / "wandb.json").write_text(content)
            self.sender(tmp_path)._write_record(7)
            assert json.loads((tmp_path / "wandb.json").read_text()) == {"id": "i", "last_step": 7}


class TestTensorBoard:
    def test_every_field_of_its_record(self, tmp_path: Path) -> None:
        logger = TensorBoardLogger(videos=False)
        logger._record = tmp_path / "tensorboard.json"
        record = {"last_step": 20, "media": {"media/curve": [10, 20, 30]}}
        for content in contents(record):
            logger._record.write_text(content)
            last = logger._read_record(25)
            assert last is None or (type(last) is int and last <= 25), content
            assert all(type(step) is int for steps in logger._media.values() for step in steps), content
        logger._record.write_text(json.dumps(record))
        assert logger._read_record(25) == 20
        assert logger._media == {"media/curve": [10, 20]}

    def test_it_goes_on_from_a_damaged_record_and_damaged_tables(self, tmp_path: Path) -> None:
        (tmp_path / "tensorboard.json").write_text('{"last_step": null, "media": []}')
        (tmp_path / "metrics.csv").write_bytes(b"step,loss/td\n10,1.0\nx,2\n20,y\n30,3.0\n\xff,1\n")
        logger = TensorBoardLogger(videos=False)
        logger.start(RunInfo("name", tmp_path, "i", {}, 40, 100))
        logger.metrics(50, {"loss/td": 1.0})
        logger.end(None, None)
        assert json.loads((tmp_path / "tensorboard.json").read_text())["last_step"] == 50


@pytest.mark.parametrize("cell", ["x", "nan", "1e999", "9" * 5000, ESCAPE, '"', "\0", "", "1,2", "é", "-1", " 2 "])
@pytest.mark.parametrize("name", ["metrics", "timings", "evaluations"])
def test_every_cell_of_the_tables_that_services_get(name: str, cell: str, tmp_path: Path) -> None:
    header = "step,return/raw,length,final" if name == "evaluations" else "step,a,b"
    width = header.count(",") + 1
    for column in range(width):
        row = ["5", *["1"] * (width - 1)]
        row[column] = cell
        for lines in (
            [header, ",".join(row)],
            [",".join(cell if i == column else name for i, name in enumerate(header.split(","))), "5,1,1,0"],
        ):
            (tmp_path / f"{name}.csv").write_text("\n".join([*lines, ""]))
            for found in missing_rows(tmp_path, after=0, until=10):
                assert 0 < found["step"] <= 10
                assert all(type(value) is float for value in found["metrics"].values())


def test_every_field_of_the_versions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run = rlkit.train(*LAKE, "logger=[csv]", "run_dir=run")
    whole = json.loads((run.directory / "versions.json").read_text())
    now = origin.versions()
    monkeypatch.setattr(origin, "versions", lambda: now)
    for content in contents(whole):
        (run.directory / "versions.json").write_text(content)
        identity = origin.identity(run.directory)
        assert identity == "" or origin.ID.fullmatch(identity)
        assert all(line.isprintable() and len(line) < 200 for line in origin.changes(run.directory)), content
        assert claim_videos(Path("videos"), "x", identity).parent == Path("videos")
    assert len(list(Path("videos").iterdir())) < 20


def test_no_terminal_obeys_a_run_folder(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run = rlkit.train(*LAKE, "logger=[csv]", "run_dir=run")
    config = (run.directory / "config.yaml").read_text()
    shown = json.dumps(ESCAPE)
    for old, new in [
        ("name: ", f"name: {shown} #"),
        ("device: ", f"device: {shown} #"),
        ("epsilon: ", f"epsilon: {shown} #"),
        ("gamma: ", f"{shown}: "),
        ("  id: ", f"  id: {shown} #"),
        ("seed: ", f"{shown}: 1\nseed: "),
        ("inner_loop: ", f"inner_loop: {shown} #"),
        ("  _target_: ", f"  _target_: {shown} #"),
    ]:
        assert old in config
        (run.directory / "config.yaml").write_text(config.replace(old, new, 1))
        for words in (["eval", "run"], ["train", "resume=run"]):
            status = main(words)
            out, err = capfd.readouterr()
            assert status == (0 if words[0] == "eval" and old == "device: " else 2)
            assert status == 0 or "\\x1b[31m" in err, (old, words)
            assert "\x1b" not in out + err, (old, words)
    (run.directory / "config.yaml").write_text(config)
    versions = json.loads((run.directory / "versions.json").read_text())
    (run.directory / "versions.json").write_text(json.dumps({**versions, "numpy": ESCAPE}))
    assert main(["train", "resume=run", "total_steps=120", "logger=[terminal]"]) == 0
    out = capfd.readouterr().out
    assert "numpy \\x1b[31m" in out
    assert "\x1b" not in out + (run.directory / "train.log").read_text()
