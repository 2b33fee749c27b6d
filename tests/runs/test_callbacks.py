"""Callbacks: who is called when, what they remember, how they stop a run, and what becomes of one that fails."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from locations import TESTS

import rlkit
from rlkit.cli.main import main
from rlkit.core.callback import Callback, RunInfo
from rlkit.core.statistics import EvaluationEpisode, EvaluationResult
from rlkit.core.types import RunError, UsageError
from rlkit.runs.callbacks import implementing, joined, named, notify
from rlkit.runs.early_stopping import EarlyStoppingCallback
from rlkit.runs.run import Run

SMALL = ("agent=q_learning", "env=frozen_lake", "tuned=none", "video=none", "logger=[csv]", "eval.episodes=2")
PERIODS = ("eval.every=200", "checkpoint.every=200", "log.every=100", "total_steps=600")


@pytest.fixture(autouse=True)
def _away_from_the_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def small(*words: str, **keys: Any) -> Run:
    return rlkit.train(*SMALL, *PERIODS, *words, **keys)


class Recorder(Callback):
    """Notes what it is called with."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def start(self, run: RunInfo) -> None:
        self.calls.append(("start", run.step, run.config["seed"]))

    def step(self, step: int) -> None:
        self.calls.append(("step", step))

    def episode(self, episode: Any) -> None:
        self.calls.append(("episode", episode.step))

    def metrics(self, step: int, metrics: Any) -> None:
        self.calls.append(("metrics", step))

    def evaluation(self, evaluation: EvaluationResult) -> None:
        self.calls.append(("evaluation", evaluation.step, evaluation.final))

    def state_dict(self) -> Any:
        self.calls.append(("checkpoint",))
        return {"calls": len(self.calls)}

    def end(self, stopped: str | None, error: BaseException | None) -> None:
        self.calls.append(("end", stopped, error))


class Counter(Callback):
    """Counts steps and returns, and keeps what it counted in a file."""

    def __init__(self, path: str):
        self._path = Path(path)
        self.steps, self.returns = 0, 0.0

    def step(self, step: int) -> None:
        self.steps += 1

    def evaluation(self, evaluation: EvaluationResult) -> None:
        if not evaluation.final:
            self.returns += evaluation.mean_return

    def end(self, stopped: str | None, error: BaseException | None) -> None:
        self._path.write_text(json.dumps({"steps": self.steps, "returns": self.returns, "stopped": stopped}))

    def state_dict(self) -> Any:
        return {"steps": self.steps, "returns": self.returns}

    def load_state_dict(self, state: Any) -> None:
        self.steps, self.returns = state["steps"], state["returns"]


class Quits(Callback):
    """Gives a reason to stop, once, in a hook."""

    def __init__(self, hook: str, at: int):
        self._hook, self._at = hook, at

    def step(self, step: int) -> str | None:
        return "enough steps" if self._hook == "step" and step == self._at else None

    def episode(self, episode: Any) -> str | None:
        return "enough episodes" if self._hook == "episode" and episode.step >= self._at else None

    def metrics(self, step: int, metrics: Any) -> str | None:
        return "enough metrics" if self._hook == "metrics" and step == self._at else None

    def evaluation(self, evaluation: EvaluationResult) -> str | None:
        return "enough evaluations" if self._hook == "evaluation" and evaluation.step == self._at else None


def kinds(recorder: Recorder) -> list[str]:
    return [call[0] for call in recorder.calls]


def test_hooks_are_called_in_the_order_that_is_promised_and_then_a_checkpoint_is_written() -> None:
    recorder = Recorder()
    small("total_steps=300", "inner_loop=python", callbacks=[recorder])
    assert recorder.calls[0] == ("start", 0, 0)
    assert [call[1] for call in recorder.calls if call[0] == "step"] == list(range(1, 301))
    assert [call[1] for call in recorder.calls if call[0] == "metrics"] == [100, 200, 300]
    assert [call[1:] for call in recorder.calls if call[0] == "evaluation"] == [(200, False), (300, True)]
    at = recorder.calls.index(("evaluation", 200, False))
    assert recorder.calls[at : at + 4] == [
        ("evaluation", 200, False),
        ("metrics", 200),
        ("step", 200),
        ("checkpoint",),
    ]
    assert kinds(recorder)[-1] == "end"
    assert recorder.calls[-1] == ("end", None, None)


def test_a_compiled_loop_calls_step_where_its_strides_end() -> None:
    recorder = Recorder()
    small("inner_loop=numba", callbacks=[recorder])
    steps = [call[1] for call in recorder.calls if call[0] == "step"]
    assert {100, 200, 300, 400, 500, 600} <= set(steps)
    assert len(steps) < 20
    python = Recorder()
    small("inner_loop=python", callbacks=[python])
    without = [
        [call for call in one.calls if call[0] not in ("step", "checkpoint", "end")] for one in (recorder, python)
    ]
    assert without[0] == without[1]


def test_only_hooks_that_are_overridden_are_called() -> None:
    both = {"counter": Counter("x"), "stopping": EarlyStoppingCallback(1, 0.0)}
    assert list(implementing(both, Callback.step)) == ["counter"]
    assert list(implementing(both, Callback.evaluation)) == ["counter", "stopping"]
    assert list(implementing(both, Callback.episode)) == []


@pytest.mark.parametrize(("hook", "at"), [("step", 150), ("metrics", 300), ("evaluation", 200), ("episode", 120)])
def test_a_hook_stops_the_run_with_a_reason_that_is_shown_and_recorded(hook: str, at: int) -> None:
    reason = {"step": "enough steps", "episode": "enough episodes"}.get(
        hook, f"enough {hook}{'s' * (hook != 'metrics')}"
    )
    run = small("logger=[csv,terminal]", "inner_loop=python", callbacks=[Quits(hook, at)])
    assert run.stopped == reason
    stopped = run.checkpoints[-1]
    assert stopped == at if hook != "episode" else at <= stopped < 600
    assert f"stopped: {reason} at step {stopped:,}\n" in (run.directory / "train.log").read_text()
    assert run.evaluation_means()[-1][0] == stopped, "it ends like a run that has reached its budget"


def test_a_run_that_stopped_goes_on_only_where_it_is_given_more(
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = small("logger=[csv,terminal]", callbacks=[Quits("evaluation", 200)])
    capsys.readouterr()
    again = rlkit.train(f"resume={run.directory}", callbacks=[Quits("evaluation", 200)])
    assert again.stopped == "enough evaluations"
    assert "the run stopped at step 200: enough evaluations; set total_steps to go on" in capsys.readouterr().out
    longer = rlkit.train(f"resume={run.directory}", "total_steps=500", callbacks=[Quits("evaluation", 200)])
    assert (longer.stopped, longer.checkpoints[-1]) == (None, 500)


def counted(folder: str, go: Callable[[str], object]) -> tuple[Any, bytes]:
    go(folder)
    return json.loads(Path(f"{folder}.json").read_text()), (Path(folder) / "checkpoints/600/manifest.json").read_bytes()


def test_what_a_callback_remembers_goes_on_exactly_after_a_kill() -> None:
    def whole(folder: str) -> None:
        small(f"run_dir={folder}", callbacks=[Counter("whole.json")])

    def killed(folder: str) -> None:
        small(f"run_dir={folder}", callbacks=[Counter("killed.json")])
        # As if it had been killed after the checkpoint at 400.
        shutil.rmtree(Path(folder) / "checkpoints/600")
        resumed = Counter("killed.json")
        rlkit.train(f"resume={folder}", callbacks=[resumed])

    expected, found = counted("whole", whole), counted("killed", killed)
    assert expected[0]["steps"] == 600
    assert found == expected


def test_a_run_killed_between_the_wish_to_stop_and_its_end_stops_where_it_would_have() -> None:
    words = ("callback=early_stopping", "callback.early_stopping.patience=1", "total_steps=2000")
    run = small(*words, "run_dir=whole/run")
    assert run.stopped is not None
    assert run.stopped.startswith("no better evaluation in 1 (the best: ")
    stopped = run.checkpoints[-1]
    shutil.copytree("whole", "killed")
    # As if it had been killed right after the checkpoint: no final evaluation, no curve.
    for name in ("curve.png", "map.png"):
        (Path("killed/run") / name).unlink(missing_ok=True)
    resumed = rlkit.train("resume=killed/run")
    assert (resumed.stopped, resumed.checkpoints[-1]) == (run.stopped, stopped)
    for name in ("metrics.csv", "episodes.csv", "evaluations.csv", "curve.png"):
        assert (Path("killed/run") / name).read_bytes() == (Path("whole/run") / name).read_bytes()


def test_early_stopping_waits_for_so_many_evaluations_without_a_better_one() -> None:
    def result(mean: float) -> EvaluationResult:
        return EvaluationResult(1, [EvaluationEpisode(mean, 1, False)], final=False)

    stopping = EarlyStoppingCallback(patience=2, min_delta=0.5)
    assert [stopping.evaluation(result(mean)) for mean in (1.0, 1.4, 2.0, 2.5)] == [None] * 4
    other = EarlyStoppingCallback(patience=2, min_delta=0.5)
    other.load_state_dict(stopping.state_dict())
    assert other.evaluation(result(2.5)) == "no better evaluation in 2 (the best: 2)"
    with pytest.raises(UsageError, match=r"^callback\.early_stopping\.patience is 0; it must be at least 1$"):
        EarlyStoppingCallback(patience=0, min_delta=0.0)


class Broken(Callback):
    """Fails in one hook."""

    def __init__(self, hook: str):
        self._hook = hook

    def _fail(self, hook: str) -> None:
        if hook == self._hook:
            raise ValueError("it is\nbroken")

    def start(self, run: RunInfo) -> None:
        self._fail("start")

    def step(self, step: int) -> None:
        self._fail("step")

    def evaluation(self, evaluation: EvaluationResult) -> None:
        self._fail("evaluation")

    def message(self, text: str) -> None:
        self._fail("message")

    def state_dict(self) -> Any:
        self._fail("state_dict")
        return {}

    def end(self, stopped: str | None, error: BaseException | None) -> None:
        self._fail("end")


@pytest.mark.parametrize("hook", ["start", "step", "evaluation", "message", "state_dict", "end"])
def test_a_callback_that_fails_is_named_in_one_line_and_the_others_are_ended(hook: str) -> None:
    recorder = Recorder()
    with pytest.raises(RunError) as caught:
        small(callbacks=[Broken(hook), recorder])
    assert str(caught.value) == f"the callback Broken failed in {hook}: ValueError: it is broken"
    assert kinds(recorder)[-1] == "end"
    if hook != "end":
        assert recorder.calls[-1][2] is caught.value


def test_a_callback_that_fails_at_the_end_of_a_failed_run_does_not_hide_why_it_failed() -> None:
    with pytest.raises(RunError, match=r"^the callback Broken failed in step") as caught:
        small(callbacks=[Broken("step"), Broken("end")])
    assert caught.value.__notes__ == ["the callback Broken-2 failed in end: ValueError: it is broken"]


def test_what_is_no_reason_is_refused() -> None:
    class Truthful(Callback):
        def step(self, step: int) -> Any:
            return True

    with pytest.raises(RunError, match=r"^step of the callback x returned True; return None, or the reason to stop"):
        notify({"x": Truthful()}, Callback.step, 1)


def test_names_are_those_of_the_classes_and_each_is_there_once() -> None:
    assert list(named([Recorder(), Counter("x"), Recorder(), Recorder()])) == [
        *("Recorder", "Counter", "Recorder-2", "Recorder-3")
    ]
    with pytest.raises(UsageError, match=r"^callbacks=\[…\] holds an int"):
        named([3])  # type: ignore[list-item]
    with pytest.raises(UsageError, match=r"^two callbacks are called csv"):
        joined({"csv": Recorder()}, {"csv": Recorder()})
    with pytest.raises(UsageError, match=r"^x made a dict, which is no rlkit\.Callback$"):
        joined({"x": {}})  # type: ignore[dict-item]


def test_a_state_that_nobody_is_there_for_is_said_so(capsys: pytest.CaptureFixture[str]) -> None:
    run = small("logger=[csv,terminal]", callbacks=[Counter("a.json")])
    capsys.readouterr()
    rlkit.train(f"resume={run.directory}", "total_steps=700")
    assert "Counter is not there any more: its state is left out of further checkpoints" in capsys.readouterr().out


def test_a_callback_of_ones_own_from_a_yaml_works_beside_a_shipped_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sample = TESTS / "plugin_sample"
    monkeypatch.syspath_prepend(str(sample))
    words = (
        f"hydra.searchpath=[file://{sample}/my_games/conf]",
        "callback=[diary,early_stopping]",
        "callback.diary.file=e.txt",
    )
    assert main(["train", *SMALL, *PERIODS, "run_dir=runs/x", *words]) == 0
    lines = (tmp_path / "runs/x/e.txt").read_text().splitlines()
    assert [line.split()[0] for line in lines] == ["200", "400", "600"]
    for name in ("my_games.diary", "my_games"):
        sys.modules.pop(name)
    assert main(["list", "callback"]) == 0
    assert "early_stopping" in capsys.readouterr().out


def test_an_option_that_a_callback_does_not_have_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", *SMALL, "callback=early_stopping", "callback.early_stopping.patence=3"]) == 2
    line = capsys.readouterr().err
    assert "there is no key callback.early_stopping.patence; did you mean callback.early_stopping.patience?" in line
