from __future__ import annotations

import contextlib
import io
import os
import pty
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from rlkit.core.callback import RunInfo
from rlkit.core.statistics import Episode, EvaluationEpisode, EvaluationResult
from rlkit.runs.loggers import terminal
from rlkit.runs.loggers.terminal import Screen, TerminalLogger


class Clock:
    """Stands in for the clock, so that nothing here depends on it."""

    now = 1000.0

    def perf_counter(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(terminal, "time", clock)
    return clock


def started(directory: Path, *, step: int = 0, total: int = 10_000) -> TerminalLogger:
    logger = TerminalLogger(refresh_seconds=0.1, line_seconds=10.0)
    logger.start(RunInfo("name", directory, "id", {}, step, total))
    logger.step(step)
    return logger


def evaluated(step: int, *returns: float) -> EvaluationResult:
    return EvaluationResult(step, [EvaluationEpisode(score, 5, False) for score in returns], final=False)


def log(directory: Path) -> str:
    return (directory / "train.log").read_text()


class TestPiped:
    def test_lines_come_when_it_is_time_and_tell_steps_rate_time_left_and_returns(
        self, tmp_path: Path, clock: Clock, capsys: pytest.CaptureFixture[str]
    ) -> None:
        logger = started(tmp_path)
        for seconds, step in ((0.4, 90), (2.0, 200), (3.0, 300), (11.9, 1190), (12.0, 1200)):
            clock.now = 1000 + seconds
            logger.step(step)
            if step == 200:
                logger.episode(Episode(200, 0, 21.5, 3.0, 9, False))
                logger.episode(Episode(200, 0, 99.0, 3.0, 9, True))
                logger.evaluation(evaluated(200, 10.0, 20.0, 60.0))
        logger.end(None, None)
        expected = (
            "step 200/10,000  100 steps/s  1:38 left  return -  evaluation return -\n"
            "step 200: evaluation return 30 (min 10, max 60, 3 episodes)\n"
            "step 1,200/10,000  100 steps/s  1:28 left  return 21.5 (mean of 1)  evaluation return 30\n"
        )
        assert capsys.readouterr() == (expected, "")
        assert log(tmp_path) == expected

    def test_the_rate_of_a_resumed_run_counts_from_where_it_began(
        self, tmp_path: Path, clock: Clock, capsys: pytest.CaptureFixture[str]
    ) -> None:
        logger = started(tmp_path, step=4000)
        clock.now += 100
        logger.step(5000)
        assert capsys.readouterr().out.startswith("step 5,000/10,000  10 steps/s  8:20 left")

    def test_what_the_first_steps_wait_for_is_no_part_of_the_rate(
        self, tmp_path: Path, clock: Clock, capsys: pytest.CaptureFixture[str]
    ) -> None:
        logger = TerminalLogger(refresh_seconds=0.1, line_seconds=10.0)
        logger.start(RunInfo("name", tmp_path, "id", {}, 0, 10_000))
        clock.now += 60
        logger.step(4000)
        clock.now += 1
        logger.step(6000)
        assert capsys.readouterr().out.startswith("step 6,000/10,000  2,000 steps/s  0:02 left")

    def test_a_run_of_so_many_episodes_counts_them_until_the_first_limit(
        self, tmp_path: Path, clock: Clock, capsys: pytest.CaptureFixture[str]
    ) -> None:
        logger = TerminalLogger(refresh_seconds=0.1, line_seconds=10.0)
        logger.start(RunInfo("name", tmp_path, "id", {}, 4000, 100_000, 1000, 3000))
        logger.step(4000)
        for cut in (False,) * 500 + (True,) * 9:
            logger.episode(Episode(5000, 0, 7.0, 7.0, 3, cut))
        clock.now += 100
        logger.step(5000)
        logger.step(90_000)
        clock.now += 100
        logger.step(90_000)
        lines = capsys.readouterr().out.splitlines()
        assert lines[0].startswith("step 5,000  episode 1,500/3,000  10 steps/s  5:00 left")
        assert lines[1].startswith("step 90,000  episode 1,500/3,000  430 steps/s  0:23 left")

    def test_before_the_first_step_nothing_is_divided_by_zero(
        self, tmp_path: Path, clock: Clock, capsys: pytest.CaptureFixture[str]
    ) -> None:
        logger = started(tmp_path)
        clock.now += 1
        logger.step(0)
        assert capsys.readouterr().out.startswith("step 0/10,000  0 steps/s  ? left")

    def test_hours_are_told_as_hours(self, tmp_path: Path, clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
        logger = started(tmp_path, total=7_325 + 1)
        clock.now += 1
        logger.step(1)
        assert "2:02:05 left" in capsys.readouterr().out

    def test_epochs_of_a_fit_tell_their_rate_time_left_and_costs(
        self, tmp_path: Path, clock: Clock, capsys: pytest.CaptureFixture[str]
    ) -> None:
        logger = started(tmp_path)
        for seconds, epoch in ((1.0, 1), (2.0, 2), (11.1, 3), (21.0, 1), (22.0, 2), (23.0, 3), (31.1, 43)):
            clock.now = 1000 + seconds
            logger.epoch(epoch, 60, {"cost": 1 / epoch, "validation_cost": 2.0})
        # The second fit begins with the first of its epochs.
        expected = (
            "epoch 1/60  ? epochs/s  ? left  cost 1  validation_cost 2\n"
            "epoch 3/60  0.2 epochs/s  4:47 left  cost 0.3333  validation_cost 2\n"
            "epoch 2/60  1 epochs/s  0:58 left  cost 0.5  validation_cost 2\n"
        )
        assert capsys.readouterr() == (expected, "")
        assert log(tmp_path) == expected

    def test_messages_and_videos_are_lines(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        logger = started(tmp_path)
        logger.message("hello [red]world[/red]")
        logger.media(1500, Path("videos/a.mp4"))
        logger.end(None, None)
        expected = "hello [red]world[/red]\nstep 1,500: video videos/a.mp4\n"
        assert capsys.readouterr().out == log(tmp_path) == expected

    def test_a_resumed_run_appends_to_its_log(self, tmp_path: Path) -> None:
        for text in ("first", "second"):
            logger = started(tmp_path)
            logger.message(text)
            logger.end(None, None)
        assert log(tmp_path) == "first\nsecond\n"


class Gone(io.StringIO):
    """A terminal that was closed: the first `writes` still go through."""

    def __init__(self, writes: int = 0, error: Exception | None = None):
        super().__init__()
        self.writes, self.error = writes, error or OSError(5, "Input/output error")

    def write(self, text: str) -> int:
        if self.writes == 0:
            raise self.error
        self.writes -= 1
        return super().write(text)


class TestClosedTerminal:
    @pytest.mark.parametrize(
        "error",
        [OSError(5, "Input/output error"), BrokenPipeError(32, "Broken pipe"), ValueError("I/O on closed file")],
    )
    def test_a_closed_terminal_does_not_raise_and_the_log_gets_all_lines(
        self, error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: Clock
    ) -> None:
        stream = Gone(writes=1, error=error)
        monkeypatch.setattr(sys, "stdout", stream)
        logger = started(tmp_path)
        logger.message("one")
        logger.message("two")
        clock.now += 60
        logger.step(6000)
        logger.message("three")
        logger.end(None, None)
        assert stream.getvalue() == "one\n"
        assert [line.split("  ")[0] for line in log(tmp_path).splitlines()] == [
            "one",
            "two",
            "step 6,000/10,000",
            "three",
        ]

    def test_a_screen_that_is_gone_is_no_terminal(self) -> None:
        screen = Screen(Gone())
        assert screen.write("abc") == 3
        screen.flush()
        assert not screen.isatty()
        with pytest.raises(OSError, match="closed"):
            screen.fileno()

    def test_a_pipe_whose_reader_ends_does_not_end_a_run_or_say_anything(self, tmp_path: Path) -> None:
        script = """
import os, sys
from pathlib import Path
from rlkit.cli import main as cli
from rlkit.core.callback import RunInfo
from rlkit.runs.loggers.terminal import TerminalLogger
logger = TerminalLogger(0.1, 10)
logger.start(RunInfo("name", Path(sys.argv[1]), "id", {}, 0, 100))
logger.message("one")
sys.stdin.readline()
logger.message("two")
logger.message("three")
logger.end(None, None)
cli._flush()
"""
        process = subprocess.Popen(
            [sys.executable, "-c", script, tmp_path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdout.readline() == "one\n"
        process.stdout.close()
        process.stdin.write("\n")
        process.stdin.close()
        assert process.stderr.read() == ""
        process.stderr.close()
        assert process.wait(timeout=60) == 0
        assert log(tmp_path) == "one\ntwo\nthree\n"


def test_a_character_that_the_terminal_cannot_show_does_not_silence_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii", write_through=True))
    logger = started(tmp_path)
    logger.message("naïve ━ run")
    logger.message("plain")
    assert raw.getvalue() == b"na?ve ? run\nplain\n"
    assert log(tmp_path) == "naïve ━ run\nplain\n"


class TestLive:
    @pytest.fixture
    def screen(self, monkeypatch: pytest.MonkeyPatch) -> Any:
        """Return a terminal, and a function that closes it and says what was shown on it, without colours."""
        monkeypatch.setenv("COLUMNS", "120")
        monkeypatch.setenv("TERM", "xterm")
        ours, theirs = pty.openpty()
        shown: list[bytes] = []

        def read() -> None:
            with contextlib.suppress(OSError):
                while data := os.read(ours, 4096):
                    shown.append(data)

        reader = threading.Thread(target=read)
        reader.start()
        stream = open(theirs, "w", encoding="utf-8")  # noqa: PTH123, SIM115

        def text() -> str:
            if not stream.closed:
                stream.close()
            reader.join(timeout=60)
            return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", b"".join(shown).decode())

        yield stream, text
        text()
        os.close(ours)

    def test_it_shows_progress_and_messages_above_it(
        self, tmp_path: Path, clock: Clock, screen: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        stream, shown = screen
        monkeypatch.setattr(sys, "stdout", stream)
        logger = started(tmp_path)
        logger.message("before")
        clock.now += 10
        logger.step(1000)
        logger.evaluation(evaluated(1000, 7.0))
        logger.message("[bold]above[/bold]")
        logger.episode(Episode(1500, 0, 21.0, 3.0, 9, False))
        clock.now += 10
        logger.step(2000)
        logger.end(None, None)
        text = shown()
        assert "1000/10000" in text
        assert "2000/10000" in text
        assert "100 steps/s · 1:20 left" in text
        assert "return 21 (mean of 1) · evaluation return 7" in text
        assert "[bold]above[/bold]" in text
        # The log holds the lines and not the display.
        assert log(tmp_path) == (
            "before\nstep 1,000: evaluation return 7 (min 7, max 7, 1 episode)\n[bold]above[/bold]\n"
        )

    def test_it_shows_the_epochs_of_a_fit(
        self, tmp_path: Path, clock: Clock, screen: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        stream, shown = screen
        monkeypatch.setattr(sys, "stdout", stream)
        logger = started(tmp_path)
        for epoch in (1, 21, 41):
            clock.now += 1
            logger.epoch(epoch, 61, {"cost": epoch / 100, "validation_cost": 0.5})
        for epoch in (60, 61):
            logger.epoch(epoch, 61, {"cost": epoch / 100})
        logger.end(None, None)
        text = shown()
        assert "1/61" in text
        assert "41/61" in text
        assert "60/61" not in text
        assert text.splitlines()[-1].count("61/61") == 1
        assert "20 epochs/s · 0:01 left" in text
        assert "cost 0.41 · validation_cost 0.5" in text
        assert not (tmp_path / "train.log").exists()

    def test_a_terminal_closed_under_the_display_does_not_raise_and_the_log_gets_all_lines(
        self, tmp_path: Path, clock: Clock, screen: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        stream, _ = screen
        monkeypatch.setattr(sys, "stdout", stream)
        logger = started(tmp_path)
        clock.now += 10
        logger.step(1000)
        stream.close()
        logger.message("one")
        for _ in range(3):
            clock.now += 10
            logger.step(2000)
        logger.message("two")
        logger.end(None, None)
        assert [line.split("  ")[0] for line in log(tmp_path).splitlines()] == [
            "one",
            *["step 2,000/10,000"] * 3,
            "two",
        ]
