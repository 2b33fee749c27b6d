"""Runs whose folder is damaged, moved, full or not writable: nothing is lost, and one line says what to do."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

import rlkit
from rlkit.cli.main import main
from rlkit.core.checkpoint import CheckpointError, Store
from rlkit.core.types import RunError, UsageError
from rlkit.rendering.video import VideoWriter
from rlkit.reporting.media import video_paths
from rlkit.runs import origin
from rlkit.runs.folder import locked

WORDS = ("agent=q_learning", "env=frozen_lake", "tuned=none", "video=none", "logger=[csv,terminal]")
PERIODS = ("eval.every=100", "eval.episodes=2", "eval.max_steps=20", "log.every=50", "checkpoint.every=100")
Trained = Callable[..., Path]
REPLAY = ("agent=dqn", "env=cartpole", "network.hidden=[4]", "agent.learning_starts=20", "replay.capacity=80")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@cache
def made(folder: Path, words: tuple[str, ...]) -> Path:
    """Train a run once, and return its folder."""
    made = folder / str(len(list(folder.iterdir())))
    rlkit.train(*WORDS, *PERIODS, "checkpoint.keep=2", *words, f"run_dir={made}")
    return made


@pytest.fixture
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Return what copies a trained run to a folder."""
    shared = tmp_path_factory.getbasetemp() / "trained"
    shared.mkdir(exist_ok=True)

    def copied(name: str, *words: str, steps: int = 200) -> Path:
        return Path(shutil.copytree(made(shared, (*words, f"total_steps={steps}")), name))

    return copied


def resumed(folder: Path | str, *words: str, steps: int = 300) -> rlkit.Run:
    return rlkit.train(f"resume={folder}", f"total_steps={steps}", *words)


def tables(folder: Path) -> dict[str, str]:
    return {name: (folder / f"{name}.csv").read_text() for name in ("metrics", "episodes", "evaluations")}


@pytest.fixture
def whole(trained: Trained) -> dict[str, str]:
    return tables(trained("whole", steps=300))


class TestBeginning:
    def test_a_mistake_in_what_evaluations_play_in_is_found_before_the_first_step(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        words = ("agent=random", "env=gomoku", "video=none", "name=gomoku", "total_steps=60")
        often = ("eval.every=20", "eval.episodes=1", "eval.max_steps=4")
        assert main(["train", *words, *often, "env.eval_opponent=perfect"]) == 2
        [line] = capsys.readouterr().err.splitlines()
        assert "perfect" in line
        assert not Path("runs/gomoku").exists()
        assert main(["train", *words, *often, "env.eval_opponent=random"]) == 0, "the name is free"

    def test_nothing_is_deleted_once_a_step_was_taken(self) -> None:
        class Late(rlkit.Callback):
            def metrics(self, step: int, metrics: Any) -> None:
                raise UsageError("found late")

        with pytest.raises(UsageError, match="found late"):
            rlkit.train(*WORDS, *PERIODS, "name=late", "total_steps=90", callbacks=[Late()])
        assert {"config.yaml", "metrics.csv", "train.log"} <= {path.name for path in Path("runs/late").iterdir()}

    @pytest.mark.parametrize("kind", [UsageError, RunError, TypeError])
    def test_a_failed_start_leaves_no_folder(self, kind: type[Exception]) -> None:
        class Early(rlkit.Callback):
            def start(self, run: Any) -> None:
                raise kind("at the start")

        with pytest.raises((UsageError, RunError), match="at the start"):
            rlkit.train(*WORDS, "name=early", "total_steps=90", callbacks=[Early()])
        assert not Path("runs/early").exists()

    def test_names_and_folders_that_cannot_be(self, capsys: pytest.CaptureFixture[str]) -> None:
        Path("file").write_text("")
        for words, said in (
            (("name=../escaped",), "name=../escaped leads out of the folder of runs"),
            (("run_dir=file/run",), "cannot make the run folder file/run: not a directory; choose another"),
            ((f"name={'x' * 300}",), "has a part of 300 bytes; a folder's name has at most 250"),
        ):
            assert main(["train", *WORDS, "total_steps=10", *words]) == 2
            [line] = capsys.readouterr().err.splitlines()
            assert said in line
            assert len(line) < 250
        assert not list(Path("..").glob("escaped*"))

    def test_spaces_and_250_characters(self, trained: Trained) -> None:
        folder = trained(f"there is a/läufe/{'n' * 250}")
        assert resumed(folder).evaluate(1, max_steps=3)["episodes"] == 1
        assert resumed(folder.rename("moved"), steps=400).evaluations["step"][-1] == 400


class TestReplay:
    @pytest.fixture
    def damaged(self, trained: Trained) -> Path:
        folder = trained("damaged", *REPLAY, "logger=[csv]")
        for step in (100, 200):
            segments = sorted((folder / f"checkpoints/{step}/segments").iterdir())
            content = bytearray(segments[-1].read_bytes())
            content[len(content) // 2] ^= 1
            segments[-1].unlink()
            segments[-1].write_bytes(content)
        return folder

    def test_what_only_acts_does_not_read_it(self, damaged: Path) -> None:
        run = rlkit.load(damaged)
        for checkpoint in ("last", "best", 200):
            assert run.evaluate(1, checkpoint=checkpoint, max_steps=3)["episodes"] == 1

    def test_a_resume_offers_to_go_on_without_it(self, damaged: Path, capsys: pytest.CaptureFixture[str]) -> None:
        before = tables(damaged)
        with pytest.raises(
            CheckpointError, match=r"only what its replay held is damaged: resume with empty_replay=true"
        ):
            resumed(damaged)
        assert tables(damaged) == before
        run = resumed(damaged, "empty_replay=true", "logger=[csv,terminal]")
        assert "going on with an empty replay, so not as if uninterrupted" in capsys.readouterr().out
        assert run.agent._replay._rows.total == 0, "it only acts"
        assert "empty_replay" not in yaml.safe_load((damaged / "config.yaml").read_text())
        state = Store(damaged / "checkpoints").load(300)["agent"]
        assert state["replay"]["total"] == 100
        assert state["counters"]["steps"] == 300
        # The segments have the names of the damaged ones, but their own contents.
        assert resumed(damaged, steps=330).evaluations["step"][-1] == 330

    def test_it_is_for_a_resume_and_for_agents_with_a_replay(self, trained: Trained) -> None:
        with pytest.raises(UsageError, match="empty_replay=true goes on with a run: resume= is missing"):
            rlkit.train(*WORDS, "empty_replay=true", "total_steps=10")
        with pytest.raises(UsageError, match="is for agents with a replay, which this one does not have"):
            resumed(trained("table"), "empty_replay=true")


class TestTables:
    def test_rows_stay_where_the_logger_was_left_out_once(
        self, trained: Trained, whole: dict[str, str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        folder = trained("gap", steps=100)
        resumed(folder, "logger=[terminal]", steps=200)
        assert "csv is not there any more" in capsys.readouterr().out
        resumed(folder, "logger=[csv,terminal]", steps=300)
        assert (
            "the CSV files have no rows from step 100 to 200: the run went on there without" in capsys.readouterr().out
        )
        for name, text in tables(folder).items():
            rows = whole[name].splitlines()
            kept = [row for row in rows[1:] if not 100 < int(row.split(",")[0]) <= 200 and not row.endswith(",1,1")]
            found = [row for row in text.splitlines()[1:] if not row.endswith(",1,1")]
            assert found[0] == kept[0], name
            assert found[-1].split(",")[0] == kept[-1].split(",")[0], name
            assert {int(row.split(",")[0]) <= 100 for row in found} == {True, False}, name

    def test_lines_that_another_program_ended_are_as_they_were(self, trained: Trained, whole: dict[str, str]) -> None:
        folder = trained("windows")
        for path in folder.glob("*.csv"):
            path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
        resumed(folder)
        assert tables(folder) == whole

    @pytest.mark.parametrize(
        "content", [b"", b"\xff\xfe", b"step,x\nnot a number,2\n\n,,,\n", b"\0" * 99, b"step\n\xe4"]
    )
    def test_timings_stop_nobody(self, trained: Trained, content: bytes, whole: dict[str, str]) -> None:
        folder = trained("timings")
        (folder / "timings.csv").write_bytes(content)
        resumed(folder)
        assert tables(folder) == whole
        assert rlkit.load(folder).directory == folder
        assert (folder / "timings.csv").read_text().splitlines()[-1].startswith("300,")

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            (b"", r"is shorter than its checkpoint says"),
            (b"step\n\xff", r"is damaged at byte 5"),
            (b"x" * 9999, r"has other lines than its checkpoint says"),
        ],
    )
    def test_another_table_is_named(self, trained: Trained, content: bytes, said: str) -> None:
        folder = trained("tables")
        (folder / "episodes.csv").write_bytes(content)
        with pytest.raises(RunError, match=rf"episodes\.csv {said}.*; put it back as the run wrote it, or resume with"):
            resumed(folder)
        assert resumed(folder, "logger=[terminal]").checkpoints[-1] == 300


class TestVersions:
    def test_what_has_changed_is_named(self, trained: Trained, capsys: pytest.CaptureFixture[str]) -> None:
        folder = trained("old")
        values = json.loads((folder / "versions.json").read_text())
        (folder / "versions.json").write_text(json.dumps({**values, "numpy": "1.0", "gymnasium": "0.9"}))
        resumed(folder)
        out = capsys.readouterr().out
        assert f"numpy 1.0 (now {np.__version__})" in out
        assert "gymnasium" in out
        assert out.count("perhaps not bit for bit") == 1
        assert json.loads((folder / "versions.json").read_text())["id"] == values["id"]

    def test_nothing_is_said_where_nothing_has(self, trained: Trained, capsys: pytest.CaptureFixture[str]) -> None:
        resumed(trained("same"))
        assert "bit for bit" not in capsys.readouterr().out

    @pytest.mark.parametrize("content", ["", "[1]", '{"id": 3}', "[" * 100_000, '{"numpy": "1"}', None])
    def test_a_damaged_one_stops_nobody(
        self, trained: Trained, content: str | None, capsys: pytest.CaptureFixture[str]
    ) -> None:
        folder = trained("damaged")
        (folder / "versions.json").unlink() if content is None else (folder / "versions.json").write_text(content)
        assert rlkit.load(folder).evaluate(1, max_steps=2)["episodes"] == 1
        resumed(folder)
        assert "versions.json is missing or damaged: a new one is written" in capsys.readouterr().out
        assert origin.identity(folder)


class Full:
    """A disk that is full from the first byte of some files on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch):
        self.pattern = "none at all"
        self.number = errno.ENOSPC
        opened = Path.open

        def open_(path: Path, mode: str = "r", *given: Any, **named: Any) -> Any:
            if path.match(self.pattern) and mode[0] in "wax":
                raise OSError(self.number, os.strerror(self.number), str(path))
            return opened(path, mode, *given, **named)

        def write_text(path: Path, text: str, **named: Any) -> None:
            with open_(path, "w", **named) as file:
                file.write(text)

        monkeypatch.setattr(Path, "open", open_)
        monkeypatch.setattr(Path, "write_text", write_text)


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> Full:
    return Full(monkeypatch)


class TestFull:
    @pytest.mark.parametrize("name", ["metrics.csv", "episodes.csv", "evaluations.csv", "timings.csv"])
    def test_a_table_that_cannot_be_written_is_named(
        self, trained: Trained, name: str, full: Full, whole: dict[str, str]
    ) -> None:
        folder = trained("full")
        full.pattern = name
        with pytest.raises(RunError, match=rf"^cannot write full/{name[:-4]}.csv: no space left .*; free space there$"):
            resumed(folder)
        full.pattern = "nothing"
        resumed(folder)
        assert tables(folder) == whole

    @pytest.mark.parametrize("name", ["config.tmp", "versions.tmp"])
    def test_so_is_the_configuration_and_the_name_stays_free(self, name: str, full: Full) -> None:
        full.pattern = name
        with pytest.raises(
            RunError, match=r"^cannot write runs/x/\w+\.(yaml|json): no space left .*; free space there$"
        ):
            rlkit.train(*WORDS, "name=x", "total_steps=10")
        assert not Path("runs/x").exists()

    def test_a_folder_that_is_not_writable(self, trained: Trained, full: Full) -> None:
        folder = trained("locked")
        before = tables(folder)
        full.pattern, full.number = "train.log", errno.EROFS
        with pytest.raises(UsageError, match=r"^cannot write locked/train.log: read-only file system; make its folder"):
            resumed(folder)
        assert tables(folder) == before
        full.pattern = "locked/*"
        assert rlkit.load(folder).evaluate(1, max_steps=3)["episodes"] == 1

    @pytest.mark.parametrize("name", ["write_arrays", "text"])
    def test_a_checkpoint(
        self, trained: Trained, name: str, monkeypatch: pytest.MonkeyPatch, whole: dict[str, str]
    ) -> None:
        folder = trained("full")
        with monkeypatch.context() as patch:

            def failing(*_: Any, **__: Any) -> None:
                raise OSError(errno.EDQUOT, "Disk quota exceeded")

            patch.setattr(np.lib.format, "write_array", failing)
            with pytest.raises(RunError, match="disk full while writing checkpoint full/checkpoints/"):
                resumed(folder)
        resumed(folder)
        assert tables(folder) == whole

    def test_a_curve_that_cannot_be_drawn_stops_nobody(
        self, trained: Trained, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def failing(*_: Any, **__: Any) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        folder = trained("full")
        monkeypatch.setattr("rlkit.runs.plots.curve.write", failing)
        resumed(folder)
        assert "no curve: cannot write full/curve.png: no space left on device" in capsys.readouterr().out

    @pytest.mark.parametrize("method", ["_open", "add_tiles", "close"])
    @pytest.mark.parametrize("video", ["eval", "every", "final"])
    def test_a_video_that_fails_stops_nobody(
        self, video: str, method: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def failing(writer: VideoWriter, *_: Any, **__: Any) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(VideoWriter, method, failing)
        words = (
            "agent=random",
            "env=cartpole",
            "total_steps=60",
            "eval.every=30",
            "eval.episodes=1",
            "checkpoint.every=20",
        )
        run = rlkit.train(*words, f"video={video}", "logger=[csv,terminal]", "run_dir=filmed")
        assert run.checkpoints[-1] == 60
        out = capsys.readouterr().out
        assert "done at step 60" in out
        assert "no video" in out
        assert "o space left on device" in out
        assert not list(Path("videos").rglob("*.mp4"))


class TestVideos:
    def test_two_runs_of_one_name_have_folders_of_their_own(self) -> None:
        words = ("agent=random", "env=cartpole", "total_steps=20", "eval.every=0", "video=final", "logger=[csv]")
        runs = [rlkit.train(*words, f"run_dir={folder}/one", "name=one") for folder in ("a", "b")]
        assert [run.videos for run in runs] == [Path("videos/one"), Path("videos/one-2")]
        assert [len(list(run.videos.glob("*.mp4"))) for run in runs] == [1, 1]
        renamed = Path("a/one").rename("a/other")
        assert rlkit.load(renamed).videos == Path("videos/one"), "it follows the run"
        assert [len(video_paths(rlkit.load(folder))) for folder in (renamed, Path("b/one"))] == [1, 1]
        assert video_paths(rlkit.load(renamed)) != video_paths(rlkit.load("b/one"))


class TestSchedules:
    def test_what_a_yaml_writes_as_total_steps_follows_a_longer_run(
        self, trained: Trained, capsys: pytest.CaptureFixture[str]
    ) -> None:
        node = "{_target_: rlkit.core.schedules.Linear, start: 1.0, end: 0.0, steps: '${total_steps}'}"
        folder = trained("followed", f"agent.epsilon={node}", "+env.kwargs.max_episode_steps='${checkpoint.every}'")
        values = yaml.safe_load((folder / "config.yaml").read_text())
        assert values["follows"] == {"agent.epsilon.steps": True}
        assert values["agent"]["epsilon"]["steps"] == 200
        capsys.readouterr()
        run = resumed(folder, steps=400)
        assert run.config.agent["epsilon"]["steps"] == 400
        assert run.values["env"]["kwargs"]["max_episode_steps"] == 100
        assert (
            "schedules that end with the run, such as an annealed rate, end at step 400 now" in capsys.readouterr().out
        )

    def test_what_is_computed_from_it_stays_and_a_line_says_so(
        self, trained: Trained, capsys: pytest.CaptureFixture[str]
    ) -> None:
        folder = trained("computed", "seed=5")
        values = yaml.safe_load((folder / "config.yaml").read_text())
        (folder / "config.yaml").write_text(yaml.safe_dump({**values, "follows": {"agent.rate": False, "seed": True}}))
        run = resumed(folder, steps=400)
        assert "agent.rate: computed from the total_steps that the run began with" in capsys.readouterr().out
        assert run.values["seed"] == 5, "it was not total_steps"


def test_of_two_that_resume_one_run_one_is_refused(trained: Trained) -> None:
    folder = trained("both")
    before = tables(folder)
    with (
        locked(folder),
        pytest.raises(UsageError, match=r"^run folder both is being trained by another process; wait for it or stop"),
    ):
        resumed(folder)
    assert tables(folder) == before
    assert resumed(folder).checkpoints[-1] == 300


@pytest.mark.parametrize("damage", [lambda path: os.mkfifo(path), lambda path: path.symlink_to("/dev/zero")])
@pytest.mark.parametrize("name", ["train.log", "metrics.csv", "checkpoints/200/state.json", "versions.json"])
def test_pipes_and_devices_are_not_opened(trained: Trained, damage: Callable[[Path], Any], name: str) -> None:
    folder = trained("pipes")
    (folder / name).unlink()
    damage(folder / name)
    for action in (rlkit.load, resumed, rlkit.report):
        with pytest.raises(UsageError, match=rf"{name} is (no file, but a pipe|a link that leads out)"):
            action(folder)


@pytest.mark.parametrize("checkpoint", ["²", "020", "9" * 5000, "-1", "../200"])
def test_a_checkpoint_is_asked_for_by_its_step(trained: Trained, checkpoint: str) -> None:
    with pytest.raises(UsageError, match="there is no checkpoint="):
        rlkit.load(trained("steps")).load_agent(checkpoint)
