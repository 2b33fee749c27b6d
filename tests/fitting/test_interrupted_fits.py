"""Fits that are stopped, or whose files cannot be written: nothing that was learned is lost, and the lines are true."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin

import rlkit
from rlkit.cli.main import main
from rlkit.core import checkpoint
from rlkit.fitting import launch

ME = ("learner=sklearn", f"learner.estimator={__name__}.Signalled", "plots=false", "logger=[csv,terminal]")
TREE = ("learner=tree", "data=iris", "logger=[csv,terminal]")


class Signalled(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Gets a signal while it is fitted."""

    def __init__(self, signal: int = 0):
        self.signal = signal

    def fit(self, X: Any, y: Any) -> Signalled:
        os.kill(os.getpid(), self.signal)
        self.classes_ = np.unique(y)
        return self

    def predict(self, X: Any) -> Any:
        return np.full(len(X), self.classes_[0])


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_fit_says_that_there_is_no_model(
    number: signal.Signals, status: int, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["fit", *ME, f"+learner.signal={int(number)}", "name=x"]) == status
    line = f"stopped: {number.name}; there is no model: a fit has no checkpoints, so it begins again, under another"
    assert line in capfd.readouterr().out
    assert line in Path("runs/x/train.log").read_text()
    assert "resume" not in line
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_a_closed_terminal_ends_no_fit() -> None:
    assert main(["fit", *ME, f"+learner.signal={int(signal.SIGHUP)}", "name=x"]) == 0
    assert "run folder: runs/x" in Path("runs/x/train.log").read_text()


def test_a_signal_while_the_model_is_written_leaves_no_half_of_it(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    write = checkpoint._write

    def stopped(*given: Any) -> None:
        write(*given)
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(checkpoint, "_write", stopped)
    assert main(["fit", *TREE, "name=x", "plots=false"]) == 143
    assert "stopped: SIGTERM; there is no model" in capfd.readouterr().out
    assert not [path for path in Path("runs/x/model").rglob("*") if path.is_file()]
    Path("rows.csv").write_text("a,b,c,d\n1,2,3,4\n")
    assert main(["predict", "run=runs/x", "input=rows.csv"]) == 1
    assert capfd.readouterr().err.startswith("rlkit: runs/x holds no model that can be read: ")


def test_an_encoder_that_cannot_be_written_costs_a_line_and_no_model(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    replace = Path.replace

    def full(path: Path, target: Path) -> Path:
        if Path(target).name == "encoder.npz":
            raise OSError(28, "No space left on device")
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", full)
    words = ("learner=cnn", "learner.n_epochs=1", "prepare=none", "logger=[terminal]", "plots=false")
    np.savez("images.npz", X=np.arange(20 * 16 * 16, dtype=np.uint8).reshape(20, 16, 16), y=np.arange(20) % 2)
    assert main(["fit", *words, "data=npz", "data.path=images.npz", "name=x"]) == 0
    line = "no encoder: cannot write runs/x/encoder.npz: no space left on device; free space there"
    assert line in capfd.readouterr().out
    assert Path("runs/x/model/0").is_dir()
    assert sorted(path.name for path in Path("runs/x").iterdir() if path.name.startswith((".", "encoder"))) == []


def test_a_signal_after_the_model_was_saved_says_so(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(launch, "predict_own", lambda *given: os.kill(os.getpid(), signal.SIGTERM))
    assert main(["fit", *TREE, "name=x", "plots=false"]) == 143
    assert "stopped: SIGTERM; the model is in runs/x, predictions and plots may be missing" in capfd.readouterr().out
    assert rlkit.load("runs/x").predict(np.ones((1, 4))).shape == (1,)  # type: ignore[union-attr]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), OSError(27, "File too large")])
def test_predictions_that_cannot_be_written_cost_a_line_and_no_model(
    error: OSError, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    replace = Path.replace

    def full(path: Path, target: Path) -> Path:
        if Path(target).name == "predictions.csv":
            raise error
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", full)
    assert main(["fit", *TREE, "name=x", "plots=false"]) == 0
    out, err = capfd.readouterr()
    told = f"no predictions: cannot write runs/x/predictions.csv: {str(error.strerror).lower()}; free space there"
    assert told in out
    assert "out=" not in out + err
    assert rlkit.load("runs/x").predict(np.ones((1, 4))).shape == (1,)  # type: ignore[union-attr]
    assert [path.name for path in Path("runs/x").iterdir() if path.name.startswith(".tmp")] == []


def test_plots_that_cannot_be_written_cost_a_line(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def full(*given: Any) -> list[Path]:
        raise OSError(28, "No space left on device", "runs/x/tree.png")

    monkeypatch.setattr("rlkit.fitting.plots.draw", full)
    assert main(["fit", *TREE, "name=x"]) == 0
    assert "no plots: [Errno 28] No space left on device: 'runs/x/tree.png'" in capfd.readouterr().out
    assert Path("runs/x/predictions.csv").exists()


def test_a_mistake_found_after_the_metrics_deletes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def mistaken(*given: Any) -> None:
        raise rlkit.UsageError("something")

    monkeypatch.setattr(launch, "predict_own", mistaken)
    assert main(["fit", *TREE, "name=x", "plots=false"]) == 2
    assert Path("runs/x/model").is_dir()
    assert main(["fit", "learner=tree", "data=iris", "folds=99", "name=y", "logger=[]"]) == 2
    assert not Path("runs/y").exists()


def test_a_name_that_is_taken_offers_no_resume(capsys: pytest.CaptureFixture[str]) -> None:
    Path("runs/x").mkdir(parents=True)
    assert main(["fit", *TREE, "name=x"]) == 2
    assert capsys.readouterr().err == (
        "rlkit: run folder runs/x exists and is never overwritten; choose another name=\n"
    )


def fitted() -> None:
    rlkit.fit("learner=tree", "data=iris", "logger=[]", "plots=false", "name=m")
    header = "sepal_length,sepal_width,petal_length,petal_width\n"
    Path("f.csv").write_text(header + "1,2,3,4\n")


@pytest.mark.parametrize(
    ("out", "told"),
    [
        ("f.csv", "out=f.csv is what is read; name another file, e.g. out=predicted.csv"),
        ("./x/../f.csv", "is what is read"),
        ("link.csv", "is what is read"),
        ("runs/m/config.yaml", "out=runs/m/config.yaml is part of a run"),
        ("runs/m/predictions.csv", "is part of a run"),
        ("runs/m/model/0/x.csv", "is part of a run"),
        ("runs", "out=runs is a folder; name a file, e.g. out=runs/predicted.csv"),
        ("f.csv/x.csv", "out=f.csv/x.csv cannot be written: "),
        ("/proc/x.csv", "out=/proc/x.csv cannot be written: "),
    ],
)
def test_where_predictions_may_not_go(
    out: str, told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fitted()
    Path("x").mkdir()
    Path("link.csv").symlink_to("f.csv")
    monkeypatch.setattr("rlkit.cli.verbs.predict.predict_file", None)
    before = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}
    assert main(["predict", "runs/m", "input=f.csv", f"out={out}"]) == 2
    assert told in capsys.readouterr().err
    assert {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()} == before


def test_predictions_replace_an_old_file_only_when_they_are_complete(monkeypatch: pytest.MonkeyPatch) -> None:
    fitted()
    Path("out.csv").write_text("old")
    Path("out.csv").chmod(0o600)
    Path("link.csv").symlink_to("out.csv")
    assert main(["predict", "runs/m", "input=f.csv", "out=link.csv"]) == 0
    assert Path("link.csv").is_symlink()
    assert Path("out.csv").read_text().startswith("row,class\n")
    assert Path("out.csv").stat().st_mode & 0o777 == 0o600
    Path("out.csv").write_text("old")
    monkeypatch.setattr("rlkit.fitting.predictions._cell", lambda cell: 1 / 0)
    assert main(["predict", "runs/m", "input=f.csv", "out=out.csv"]) == 1
    assert Path("out.csv").read_text() == "old"
    assert sorted(path.name for path in Path().iterdir()) == ["f.csv", "link.csv", "out.csv", "runs"]


@pytest.mark.parametrize("words", [["runs/m", "input=f.csv"], ["input=f.csv", "runs/m"], ["run=runs/m", "input=f.csv"]])
def test_a_run_is_a_plain_word(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    fitted()
    assert main(["predict", *words]) == 0
    assert capsys.readouterr().out == "1 rows: runs/m/predictions_f.csv\n"
    assert main(["predict", "m", "input=f.csv"]) == 2
    assert capsys.readouterr().err == "rlkit: there is no run m here, but one in runs/m; type runs/m\n"
