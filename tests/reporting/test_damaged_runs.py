"""A report of runs of which one is damaged: it is left out, and one line says where the damage is."""

from __future__ import annotations

import html
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

import rlkit
from rlkit.cli.main import main
from rlkit.reporting.opening import open_runs

MARKER = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    words = ("agent=q_learning", "env=frozen_lake", "total_steps=200", "eval.every=100", "video=none", "logger=[csv]")
    rlkit.train(*words, f"run_dir={folder / 'run'}")
    rlkit.fit("learner=naive_bayes", "data=iris", "plots=false", "logger=[csv]", f"run_dir={folder / 'fit'}")
    (folder / "run/timings.csv").write_text("step,time/steps_per_second\n100,5\n200,6\n")
    return folder


@pytest.fixture
def runs(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(made, tmp_path / "runs")
    for kind in ("run", "fit"):
        shutil.copytree(made / kind, tmp_path / "runs" / f"good_{kind}")
        _set(tmp_path / "runs" / f"good_{kind}/config.yaml", seed=7)
    return tmp_path / "runs"


def _set(path: Path, **more: Any) -> None:
    values = {**yaml.safe_load(path.read_text()), **more}
    kept = {key: value for key, value in values.items() if value != "deleted"}
    path.write_text(yaml.safe_dump(kept, sort_keys=False))


def left_out(runs: Path, kind: str) -> str:
    """Return the line for the damaged one among two; alone it is refused with the same."""
    lines: list[str] = []
    good = runs / f"good_{kind}"
    assert [run.directory for run in open_runs([good, runs / kind], lines.append)] == [good]
    with pytest.raises(rlkit.UsageError) as alone:
        open_runs([runs / kind])
    assert lines == [f"left out: {alone.value}"]
    return str(alone.value).removeprefix(f"{runs}/")


def rows(change: Callable[[list[str]], list[str]]) -> Callable[[Path], object]:
    return lambda path: path.write_text("\n".join([*change(path.read_text().splitlines()), ""]))


def second(line: str) -> Callable[[Path], object]:
    return rows(lambda lines: [*lines[:2], line, *lines[2:]])


@pytest.mark.parametrize("table", ["episodes", "evaluations", "metrics", "timings"])
@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (second(f'1,"{MARKER}",x'), f"line 3: NAME is '{MARKER}', which is no number; fix the line, or delete it"),
        (second("1"), "line 3: NAME is not there: the line is too short"),
        (second("nan,1,1,1,1,1,1,1,1,1,1,1,1,1"), "has a step that is no step"),
        (second("-5,1,1,1,1,1,1,1,1,1,1,1,1,1"), "has a step that is no step"),
        (second("1e300,1,1,1,1,1,1,1,1,1,1,1,1,1"), "has a step that is no step"),
        (rows(lambda lines: [lines[0].replace("step", "pest"), *lines[1:]]), "has no column step"),
        (lambda path: path.write_bytes(b"step,x\n\xff\xfe,1\n"), "is no table of numbers"),
        (lambda path: (path.unlink(), os.mkfifo(path)), "is no file, but a pipe, a socket or a device; delete it"),
        (lambda path: (path.unlink(), path.mkdir()), "cannot be read: Is a directory"),
    ],
    ids=["text", "short", "nan", "negative", "huge", "no step", "bytes", "fifo", "folder"],
)
def test_a_damaged_table(table: str, damage: Callable[[Path], object], told: str, runs: Path) -> None:
    path = runs / "run" / f"{table}.csv"
    name = path.read_text().splitlines()[0].split(",")[1]
    damage(path)
    if table == "timings" and "column" in told:
        # A run without a step in its timings has a speed all the same.
        assert [run.directory for run in open_runs([runs / "run"])] == [runs / "run"]
        return
    line = left_out(runs, "run")
    assert line.startswith(f"run/{table}.csv {told.replace('NAME', name)}")


@pytest.mark.parametrize("name", ["return/raw", "truncated_by_checkpoint"])
def test_a_table_without_what_it_is_for(name: str, runs: Path) -> None:
    path = runs / "run/episodes.csv"
    path.write_text(path.read_text().replace(name, "other"))
    assert left_out(runs, "run") == (f"run/episodes.csv has no column {name}; delete the file, or make the run again")


@pytest.mark.parametrize("kind", ["run", "fit"])
@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"seed": MARKER}, f"not of this version of rlkit: seed is '{MARKER}'; it must be of type int"),
        ({"seed": None}, "seed is None"),
        ({"seed": 1.5}, "seed is 1.5"),
        ({"threads": "many"}, "threads is 'many'"),
        ({"choices": {}}, "choices has no "),
        ({"choices": "deleted"}, "choices is missing"),
        ({"choices": [1]}, "choices is [1]"),
        ({"logger": MARKER}, f"logger is '{MARKER}'"),
        ({"unknown": 1}, "there is no key unknown"),
        ({"name": ["x"]}, "name is ['x']"),
    ],
    ids=lambda values: str(values)[:30],
)
def test_a_damaged_configuration(kind: str, values: dict[str, Any], told: str, runs: Path) -> None:
    _set(runs / kind / "config.yaml", **values)
    line = left_out(runs, kind)
    assert line.startswith(f"{kind}/config.yaml")
    assert told in line


@pytest.mark.parametrize(
    "text", ["a: &a [*a]\nname: n\nagent: {}\nenv: {}\n", f"name: {'[' * 3000}", "[1]", "1", "\xff: ["]
)
def test_a_configuration_that_is_none(text: str, runs: Path) -> None:
    (runs / "run/config.yaml").write_text(text)
    assert left_out(runs, "run").startswith("run/config.yaml is not the configuration of an rlkit run")


def test_a_configuration_that_unfolds_to_billions_is_refused_at_once(runs: Path) -> None:
    text = "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12))
    (runs / "run/config.yaml").write_text((runs / "run/config.yaml").read_text() + text)
    assert "has an alias" in left_out(runs, "run")


@pytest.mark.parametrize(
    "content",
    [f'{{"train/x": "{MARKER}"}}', "[1]", '{"train/x": [1]}', "[" * 100_000, b"\xff", '{"x": 1' + "0" * 9999 + "}"],
)
def test_damaged_metrics(content: str | bytes, runs: Path) -> None:
    (runs / "fit/metrics.json").write_bytes(content if isinstance(content, bytes) else content.encode())
    assert left_out(runs, "fit").startswith("fit/metrics.json holds no metrics: ")


def test_metrics_that_are_a_pipe(runs: Path) -> None:
    for name in ("metrics.json", "versions.json"):
        (runs / "fit" / name).unlink()
        os.mkfifo(runs / "fit" / name)
    assert "is no file, but a pipe" in left_out(runs, "fit")


@pytest.mark.parametrize("content", ["[1]", "[" * 100_000])
def test_versions_never_matter(content: str, runs: Path) -> None:
    (runs / "run/versions.json").write_text(content)
    assert "1 run in 1 group" in rlkit.report("runs/run").read_text()


def test_the_line_is_in_the_page_and_on_the_screen(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    second(f'1,"{MARKER}"')(runs / "run/episodes.csv")
    assert main(["report", "runs/good_run", "runs/run"]) == 0
    page = Path("report.html").read_text()
    assert "1 run in 1 group" in page
    assert MARKER not in page
    line = f"left out: runs/run/episodes.csv line 3: env is '{MARKER}', which is no number; fix the line, or delete it"
    assert html.escape(line) in page
    assert capsys.readouterr().err == f"rlkit: {line}\n"


def test_a_link_out_of_the_folder(runs: Path) -> None:
    (runs / "run/plot.png").symlink_to("/etc/passwd")
    assert "is a link that leads out of its run folder" in left_out(runs, "run")


def test_a_run_that_is_not_there_is_a_mistake(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "runs/good_run", "runs/goodrun"]) == 2
    assert "there is no run runs/goodrun (no config.yaml in it); did you mean good_run?" in capsys.readouterr().err
    assert not Path("report.html").exists()


def test_an_empty_table_and_lines_between(runs: Path) -> None:
    (runs / "run/evaluations.csv").write_text("")
    path = runs / "run/episodes.csv"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n") + b"\r\n12,")
    assert "1 run in 1 group" in rlkit.report("runs/run").read_text()


@pytest.mark.parametrize(
    "out",
    [
        "runs/run/config.yaml",
        "runs/run/metrics.csv",
        "runs/run/checkpoints/x.html",
        "runs/fit/model/0/state.json",
        "runs/fit/../fit/metrics.json",
    ],
)
def test_a_page_never_replaces_what_a_run_keeps(out: str, runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.read_bytes() for path in runs.rglob("*") if path.is_file()}
    assert main(["report", "runs/run", f"out={out}"]) == 2
    assert capsys.readouterr().err == f"rlkit: out={out} is part of a run; name another file, e.g. out=report.html\n"
    Path("link.html").symlink_to(out)
    assert main(["report", "runs/run", "out=link.html"]) == 2
    assert {path: path.read_bytes() for path in runs.rglob("*") if path.is_file()} == before


def test_a_page_that_cannot_be_written_leaves_the_old_one(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = rlkit.report("runs/run")
    before = page.read_bytes()

    def full(*given: Any, **named: Any) -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(rlkit.UsageError, match=r"^out=report.html cannot be written: No space left on device; choose"):
        rlkit.report("runs/good_run")
    assert page.read_bytes() == before
    assert [path.name for path in Path().iterdir() if path.name.startswith(".tmp")] == []


def test_a_page_for_a_folder_that_cannot_be_written_is_refused_before_anything_is_read(runs: Path) -> None:
    (runs / "run/config.yaml").write_text("[")
    Path("file").touch()
    for out, reason in (
        ("file/x.html", "Not a directory|File exists"),
        ("/proc/x.html", "cannot be written"),
        ("runs", "is a folder"),
    ):
        with pytest.raises(rlkit.UsageError, match=rf"out={out}.*({reason})"):
            rlkit.report("runs/run", out=out)
