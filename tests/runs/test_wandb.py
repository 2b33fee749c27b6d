"""The W&B logger: every step once whatever happens to the run, and nothing that W&B does reaches the run."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from commands import succeed
from locations import ROOT
from wandb_logs import read, rows_of

from rlkit import load
from rlkit import train as trained
from rlkit.cli.main import main
from rlkit.core.callback import Callback, RunInfo
from rlkit.core.statistics import EvaluationEpisode, EvaluationResult
from rlkit.core.types import UsageError
from rlkit.runs.loggers.wandb import Uplink, WandbLogger
from rlkit.runs.loggers.wandb_mode import choose_mode, has_key
from rlkit.runs.loggers.wandb_place import grouped

TRAIN = ("train", "agent=q_learning", "env=frozen_lake", "video=none", "logger=[csv,terminal,wandb]")
SMALL = ("num_envs=1", "log.every=200", "eval.every=1000", "eval.episodes=2", "checkpoint.every=1000")

STUB = '''
"""Stands for W&B: writes down how it is called, and misbehaves as told."""
import json, os, pathlib, sys, time

def note(name, *values):
    with open(os.environ["STUB_CALLS"], "a") as file:
        file.write(json.dumps([name, *values], default=str) + "\\n")
    if os.environ.get("STUB_RAISE") == name:
        raise RuntimeError(f"{name} is broken")
    if os.environ.get("STUB_FLOOD") == name:
        os.system("head -c 20000000 /dev/zero >&2; sleep 0.5")
    if os.environ.get("STUB_HANG") == name:
        time.sleep(600)

print("W&B chatters")
print("W&B chatters", file=sys.stderr)
note("import")

class Settings:
    model_fields = {"silent": None, "symlink": None}
    def __init__(self, **values): self.values = values

def setup(settings): note("setup", settings.values)

class Run:
    offline = True
    id = os.environ.get("WANDB_RUN_ID", "its own")
    def log_artifact(self, artifact, aliases): note("log_artifact", vars(artifact), aliases)
    def define_metric(self, name, **options): note("define_metric", name, options)
    def log(self, row, step): note("log", step, row)
    def finish(self, exit_code): note("finish", exit_code)

def init(**options):
    note("init", {key: value for key, value in options.items() if key != "settings"})
    return Run()

def Video(path, format): return f"video {pathlib.Path(path).name} {format}"
def Image(path): return f"image {pathlib.Path(path).name}"
def Table(columns, data): return {"columns": columns, "data": data}

class Artifact:
    def __init__(self, name, type, metadata): self.name, self.type, self.metadata, self.files = name, type, metadata, []
    def add_file(self, path, name): self.files.append(name)
    def add_dir(self, path, name): self.files.append(name)
'''


@pytest.fixture(autouse=True)
def _no_account(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NETRC", str(tmp_path / "home" / "netrc"))
    (tmp_path / "home").mkdir()
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], list[Any]]:
    """Put a stub in W&B's place and return a function that gives its calls of one name."""
    (tmp_path / "stub" / "wandb").mkdir(parents=True)
    (tmp_path / "stub" / "wandb" / "__init__.py").write_text(STUB)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path / "stub"), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("STUB_CALLS", str(tmp_path / "calls"))

    def read(name: str) -> list[Any]:
        found = [json.loads(line) for line in (tmp_path / "calls").read_text().splitlines()]
        return [values for called, *values in found if called == name]

    return read


def make_logger(**changes: Any) -> WandbLogger:
    options = {
        "project": "p",
        "entity": None,
        "group": "g",
        "job_type": "train",
        "tags": ["a"],
        "notes": None,
        "mode": None,
        "videos": True,
        "table": False,
        "artifact": False,
        "system_metrics": False,
        "timeout": 60.0,
    }
    return WandbLogger(**{**options, **changes})


class Said(Callback):
    """Keeps the lines for the user."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def message(self, text: str) -> None:
        self.lines.append(text)


def identifier(identity: str) -> str:
    """Return W&B's id of the run of a folder."""
    return hashlib.sha256(identity.encode()).hexdigest()[:16]


def start(logger: Callback, directory: Path, *, step: int = 0, identity: str = "i") -> Said:
    directory.mkdir(exist_ok=True)
    said = Said()
    config = {"seed": 1, "eval": {"every": 5}}
    logger.start(RunInfo("name", directory, identity, config, step, 1000, say=said.message))
    return said


def test_the_figures_of_a_step_are_one_row_and_the_rows_are_in_order(
    calls: Callable[[str], list[Any]], tmp_path: Path
) -> None:
    logger = make_logger()
    said = start(logger, tmp_path / "run")
    (tmp_path / "curve.png").touch()
    (tmp_path / "v.mp4").touch()
    for step in range(1, 31):
        if step % 10 == 0:
            logger.metrics(step, {"return/raw": float(step), "loss/td": 0.5, "time/seconds": 1.0})
        if step == 20:
            played = [EvaluationEpisode(1.0, 3, False), EvaluationEpisode(2.0, 7, False)]
            logger.evaluation(EvaluationResult(step, played, final=False))
            logger.media(step, tmp_path / "v.mp4")
        logger.step(step)
    logger.media(30, tmp_path / "curve.png")
    logger.media(30, tmp_path / "gone.png")
    logger.end(None, None)

    rows = calls("log")
    assert [step for step, _ in rows] == [10, 20, 30, 30]  # W&B merges calls of the same step
    evaluation = {
        "evaluation/return_mean": 1.5,
        "evaluation/return_min": 1.0,
        "evaluation/return_max": 2.0,
        "evaluation/length_mean": 5.0,
        "evaluation/length_min": 3.0,
        "evaluation/length_max": 7.0,
    }
    figures = {"return/raw": 20.0, "loss/td": 0.5, "time/seconds": 1.0, "step": 20}
    assert rows[1][1] == {**figures, **evaluation, "media/video": "video v.mp4 mp4"}
    assert rows[3][1] == {"media/curve": "image curve.png", "step": 30}
    defined = dict(calls("define_metric"))
    assert defined["step"] == {"hidden": True}
    assert defined["return/raw"] == {"step_metric": "step", "summary": "max,last"}
    assert defined["loss/td"] == {"step_metric": "step", "summary": None}
    assert len(defined) == len(calls("define_metric"))
    assert calls("finish") == [[0]]
    assert said.lines == [f"W&B works offline; to upload: wandb sync {tmp_path / 'run'}/wandb/offline-run-*"]


def test_the_run_is_described_to_wandb(calls: Callable[[str], list[Any]], tmp_path: Path) -> None:
    for identity in ("i", "i", "j"):
        logger = make_logger()
        start(logger, tmp_path / "run", identity=identity)
        logger.end(None, None)
    (first,), (again,), (other,) = calls("init")
    assert first == again
    assert first["id"] != other["id"]
    about = {"project": "p", "group": "g", "tags": ["a"], "job_type": "train", "name": "name", "entity": None}
    assert about.items() <= first.items()
    assert first["config"] == {"seed": 1, "eval": {"every": 5}}
    assert first["dir"] == str(tmp_path / "run")
    assert first["mode"] == "offline"
    assert calls("setup")[0] == [{"silent": True, "symlink": False}]  # only what this W&B knows
    record = json.loads((tmp_path / "run" / "wandb.json").read_text())
    assert record == {"id": other["id"], "last_step": -1}
    assert logger.state_dict() == {}


def test_in_a_sweep_of_wandb_the_run_is_the_agents_and_stays_so(
    calls: Callable[[str], list[Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluation = EvaluationResult(5, [EvaluationEpisode(1.0, 3, False), EvaluationEpisode(2.0, 7, False)], final=False)

    def train() -> None:
        logger = make_logger()
        start(logger, tmp_path / "run")
        logger.evaluation(evaluation)
        logger.end(None, None)

    with monkeypatch.context() as agent:
        agent.setenv("WANDB_SWEEP_ID", "sweep7")
        agent.setenv("WANDB_RUN_ID", "run9")
        train()
    (tmp_path / "run/wandb.json").write_text((tmp_path / "run/wandb.json").read_text().replace('step": 5', 'step": 0'))
    train()
    (first,), (resumed,) = calls("init")
    assert "id" not in first, "W&B takes that of the agent, and its project"
    assert resumed["id"] == "run9"
    (_, of_sweep), (_, other) = calls("log")
    assert of_sweep["objective"] == 1.5
    assert "objective" not in other


def test_a_table_and_the_best_agent_are_sent_when_the_run_ends_if_they_are_wanted(
    calls: Callable[[str], list[Any]], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    for step, manifest in ((10, True), (20, True), (30, False)):
        (run / f"checkpoints/best/{step}").mkdir(parents=True)
        if manifest:
            (run / f"checkpoints/best/{step}/manifest.json").write_text("{}")
    (run / "config.yaml").write_text("name: a\n")
    (run / "evaluations.csv").write_text("step,return/raw,final\n10,1.5,\n20,2.5,1\n")
    for wanted in (False, True):
        logger = make_logger(table=wanted, artifact=wanted)
        start(logger, run)
        logger.metrics(20, {"loss/td": 0.5})
        logger.end(None, None)
        (run / "wandb.json").unlink()
    (_, plain), (step, again), (last, table) = calls("log")
    assert (step, last, again) == (20, 20, plain)
    assert table == {
        "evaluations": {"columns": ["step", "return/raw", "final"], "data": [[10, 1.5, None], [20, 2.5, 1]]}
    }
    [(artifact, aliases)] = calls("log_artifact")
    assert (artifact["name"], artifact["type"], artifact["metadata"], aliases) == (
        "name",
        "model",
        {"step": 20},
        ["best"],
    )
    assert artifact["files"] == ["config.yaml", "evaluations.csv", "checkpoints/best/20"]


def test_loggers_of_sweeps_have_its_group_and_tags_unless_the_user_has_set_a_group() -> None:
    node = {"_target_": "rlkit.runs.loggers.wandb.WandbLogger", "group": None, "tags": ["mine"]}
    made = grouped({"csv": {"_target_": "x"}, "wandb": node}, "gammas", ["agent.gamma=0.9", "mine", "x" * 99])
    assert made["wandb"]["group"] == "gammas"
    assert made["wandb"]["tags"] == ["mine", "agent.gamma=0.9", "x" * 64]
    assert made["csv"] == {"_target_": "x"}
    assert grouped({**node, "group": "own"}, "gammas", [])["group"] == "own"


def test_runs_of_a_sweep_are_a_group(tmp_path: Path) -> None:
    words = ("train", "-m", *TRAIN[1:], *SMALL, "logger.wandb.mode=disabled", "total_steps=100", "seed=0,1")
    assert main([*words, "hydra.sweep.dir=runs/sweeps/seeds"]) == 0
    for seed in (0, 1):
        config = yaml.safe_load(Path(f"runs/q_learning_frozen_lake_s{seed}/config.yaml").read_text())
        node = config["logger"]["wandb"]
        assert (node["group"], node["tags"]) == ("seeds", [f"seed={seed}"])


def test_what_a_downloaded_artifact_holds_is_a_run_that_can_be_scored(tmp_path: Path) -> None:
    run = trained("agent=q_learning", "env=frozen_lake", "tuned=none", "logger=[csv]", "video=none", total_steps=100)
    Path("artifact/checkpoints").mkdir(parents=True)
    for file in ("config.yaml", "versions.json", "evaluations.csv"):
        shutil.copy(run.directory / file, "artifact")
    shutil.copytree(run.directory / "checkpoints/best", "artifact/checkpoints/best")
    scored = load("artifact").evaluate(episodes=2)
    assert scored == run.evaluate(episodes=2)


def test_the_page_of_a_sweep_of_wandb_starts_a_command_that_rlkit_reads() -> None:
    """W&B's agent replaces ``${args_no_hyphens}`` by ``key=value`` for each parameter."""
    from rlkit.config.compose import composed

    page = (ROOT / "docs/guides/loggers.md").read_text()
    [text] = re.findall(r"```yaml\n(program: rlkit.*?)```", page, re.DOTALL)
    sweep = yaml.safe_load(text)
    first, verb, *words = sweep["command"]
    assert (first, verb, words.pop()) == ("rlkit", "train", "${args_no_hyphens}")
    assert sweep["metric"] == {"name": "objective", "goal": "maximize"}
    config, _ = composed("train", [*words, "agent.learning_rate=0.00123", "agent.n_steps=64"])
    assert (config.agent.learning_rate, config.agent.n_steps) == (0.00123, 64)
    assert set(sweep["parameters"]) == {"agent.learning_rate", "agent.n_steps"}


@pytest.mark.parametrize("verb", ["train", "fit"])
def test_the_job_is_of_the_verb_s_type_unless_another_is_given(
    verb: str, calls: Callable[[str], list[Any]], tmp_path: Path
) -> None:
    for wanted in (None, "sweep"):
        logger = make_logger(job_type=wanted)
        logger.start(RunInfo("name", tmp_path, "i", {}, 0, 1, verb=verb))
        logger.end(None, None)
    assert [described["job_type"] for (described,) in calls("init")] == [verb, "sweep"]


def test_what_wandb_prints_stays_in_its_log(
    calls: Callable[[str], list[Any]], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    logger = make_logger()
    start(logger, tmp_path / "run")
    logger.end(None, None)
    assert calls("finish")
    assert capfd.readouterr() == ("", "")
    assert (tmp_path / "run" / "wandb" / "uplink.log").read_text().count("chatters") == 2


def test_the_log_of_a_wandb_that_prints_without_end_stays_small(
    calls: Callable[[str], list[Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STUB_FLOOD", "init")
    logger = make_logger()
    start(logger, tmp_path / "run")
    logger.end(None, None)
    log = tmp_path / "run" / "wandb" / "uplink.log"
    assert calls("finish")
    assert log.stat().st_size < 1_100_000
    assert b"(earlier lines were dropped)" in log.read_bytes()


@pytest.mark.parametrize("where", ["import", "setup", "init", "define_metric", "log", "finish"])
def test_a_broken_wandb_costs_one_line(
    where: str, calls: Callable[[str], list[Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STUB_RAISE", where)
    logger = make_logger()
    said = start(logger, tmp_path / "run")
    for step in range(1, 200):
        logger.metrics(step, {"loss/td": 0.5})
        logger.step(step)
    logger.end(None, None)
    assert len(said.lines) == 2
    assert said.lines[1].endswith(f"resuming the run sends the rest: {where} is broken")
    assert "Traceback" in (tmp_path / "run" / "wandb" / "uplink.log").read_text()


@pytest.mark.parametrize("where", ["import", "init", "log", "finish"])
def test_a_wandb_that_hangs_is_given_up_at_the_end(
    where: str, calls: Callable[[str], list[Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STUB_HANG", where)
    monkeypatch.setattr("rlkit.runs.loggers.wandb.PENDING_BYTES", 300_000)
    logger = make_logger(timeout=1.0)
    said = start(logger, tmp_path / "run")
    for step in range(1, 6000):  # more than the pipe and the buffer hold
        logger.metrics(step, {"loss/td": 0.5})
        logger.step(step)
    logger.end(None, None)
    assert "W&B was not done after 1 s" in said.lines[1]
    assert not calls("finish") or where == "finish"


def test_a_wandb_that_dies_costs_one_line(
    calls: Callable[[str], list[Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STUB_HANG", "init")
    logger = make_logger()
    said = start(logger, tmp_path / "run")
    process = logger._uplink._process
    process.kill()
    process.wait()
    for step in range(1, 100):
        logger.metrics(step, {"loss/td": 0.5})
        logger.step(step)
    logger.end(None, None)
    assert len(said.lines) == 2
    assert "W&B's process ended" in said.lines[1]


def test_a_run_killed_in_the_middle_of_a_line_has_what_was_sent_on_record(
    calls: Callable[[str], list[Any]], tmp_path: Path
) -> None:
    logger = make_logger()
    start(logger, tmp_path / "run")
    for step in range(1, 4):
        logger.metrics(step, {"loss/td": 0.5})
        logger.step(step)
    process = logger._uplink._process
    os.set_blocking(process.stdin.fileno(), True)
    process.stdin.write(b'{"step": 4, "metrics": {"los')
    process.stdin.close()
    assert process.wait(60) == 0
    process.stdout.close()
    assert json.loads((tmp_path / "run/wandb.json").read_text())["last_step"] == 3
    assert calls("finish") == [[1]]


def test_a_process_that_cannot_be_started_costs_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no_python"))
    logger = make_logger()
    said = start(logger, tmp_path / "run")
    logger.metrics(1, {"loss/td": 0.5})
    logger.end(None, None)
    assert "could not be started" in said.lines[1]


def test_a_failed_run_is_marked(calls: Callable[[str], list[Any]], tmp_path: Path) -> None:
    logger = make_logger()
    start(logger, tmp_path / "run")
    with pytest.raises(ValueError, match="boom"):
        fail_and_close(logger)
    assert calls("finish") == [[1]]


def fail_and_close(logger: Callback) -> None:
    try:
        raise ValueError("boom")
    except ValueError as error:
        logger.end(None, error)
        raise


def test_disabled_starts_nothing(calls: Callable[[str], list[Any]], tmp_path: Path) -> None:
    logger = make_logger(mode="disabled")
    said = start(logger, tmp_path / "run")
    logger.metrics(1, {"loss/td": 0.5})
    logger.end(None, None)
    assert said.lines == []
    assert not (tmp_path / "run" / "wandb").exists()


def test_resuming_sends_what_is_missing_and_skips_what_is_on_record(
    calls: Callable[[str], list[Any]], tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "wandb.json").write_text(json.dumps({"id": identifier("i"), "last_step": 20}))
    (folder / "metrics.csv").write_text("step,loss/td,q\n10,1.0,\n20,2.0,\n30,3.0,\n40,4.0,4.5\n50,5.0,5.5\n60,6")
    (folder / "timings.csv").write_text("step,time/seconds\n30,0.3\n")
    (folder / "evaluations.csv").write_text("step,episode,return/raw,length\n20,0,1,1\n30,0,1.0,4\n30,1,3.0,6\n")
    logger = make_logger()
    start(logger, folder, step=40)
    logger.metrics(50, {"loss/td": 5.0})
    logger.end(None, None)
    rows = dict(calls("log"))
    assert list(rows) == [30, 40, 50]
    assert rows[30]["loss/td"] == 3.0
    assert rows[30]["time/seconds"] == 0.3
    assert rows[30]["evaluation/return_mean"] == 2.0
    assert rows[30]["evaluation/length_max"] == 6.0
    assert "q" not in rows[30]
    assert rows[40] == {"loss/td": 4.0, "q": 4.5, "step": 40}
    assert json.loads((folder / "wandb.json").read_text())["last_step"] == 50

    again = make_logger()  # an opaque environment repeats steps that were sent
    start(again, folder, step=40)
    again.metrics(50, {"loss/td": 5.0})
    again.metrics(60, {"loss/td": 6.0})
    again.end(None, None)
    assert [step for step, _ in calls("log")] == [30, 40, 50, 60]


@pytest.mark.parametrize(
    ("mode", "environment", "key", "expected"),
    [
        (None, None, False, "offline"),
        (None, None, True, None),
        (None, "offline", True, "offline"),
        (None, "disabled", False, "disabled"),
        ("offline", "online", True, "offline"),
        ("online", None, True, "online"),
    ],
)
def test_the_mode(
    mode: str | None, environment: str | None, key: bool, expected: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if environment:
        monkeypatch.setenv("WANDB_MODE", environment)
    if key:
        monkeypatch.setenv("WANDB_API_KEY", "k")
    assert choose_mode(mode) == expected


def test_online_without_a_key_and_unknown_modes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match=r"logger\.wandb\.mode=online needs an API key: run `wandb login`"):
        choose_mode("online")
    with pytest.raises(UsageError, match=r"logger\.wandb\.mode=ofline is not a mode of W&B; did you mean offline"):
        choose_mode("ofline")
    monkeypatch.setenv("WANDB_MODE", "online")
    with pytest.raises(UsageError, match="WANDB_MODE=online needs"):
        choose_mode(None)


def test_a_key_is_found_where_wandb_would_find_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not has_key()
    netrc = tmp_path / "home" / "netrc"
    netrc.write_text("machine example.com login user password secret\n")
    assert not has_key()
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(tmp_path / "conf"))
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "settings").write_text("[default]\nbase_url = https://example.com\n")
    assert has_key()
    monkeypatch.setenv("WANDB_BASE_URL", "https://other.example.com")
    assert not has_key()
    netrc.write_text("machine other.example.com login user password secret\n")
    assert has_key()
    netrc.write_text("nonsense \x00")
    assert not has_key()


# From here on with W&B itself, offline.


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "rlkit", *words]


def rlkit(*words: str) -> str:
    return succeed(*words, cwd=Path.cwd())


def logs(folder: Path) -> list[Path]:
    return sorted(folder.glob("wandb/offline-run-*/*.wandb"))


def history(folder: Path) -> list[dict[str, Any]]:
    """Return the rows of all of a run's transaction logs, in order."""
    return [row for path in logs(folder) for row in rows_of(path)]


def steps_in(path: Path) -> list[int]:
    with path.open() as file:
        return sorted({int(row["step"]) for row in csv.DictReader(file)})


def run_until(folder: Path, *, steps: int, number: int, whole_family: bool = False) -> None:
    """Start an endless run, and kill it when it has written `steps` steps and W&B has written some rows."""
    words = (*TRAIN, *SMALL, f"run_dir={folder}", "total_steps=100000000")
    process = subprocess.Popen(command(*words), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        wait_for(lambda: bool(logs(folder)) and logs(folder)[0].stat().st_size > 5000, process)
        wait_for(lambda: steps_in(folder / "metrics.csv")[-1] >= steps, process)
        for pid in family(process.pid) if whole_family else [process.pid]:
            os.kill(pid, number)
        process.communicate(timeout=120)
    finally:
        process.kill()
        process.communicate()


def wait_for(done: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    while not done():
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.05)


def family(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children")
    if not children.exists():
        pytest.skip("needs /proc")
    return [pid, *(one for child in children.read_text().split() for one in family(int(child)))]


def check_every_step_is_there_once(folder: Path) -> None:
    rows = history(folder)
    steps = [row["_step"] for row in rows]
    assert steps == sorted(set(steps))
    assert all(row["step"] == row["_step"] for row in rows)
    for name, column in (
        ("metrics", "loss/td"),
        ("timings", "time/seconds"),
        ("evaluations", "evaluation/return_mean"),
    ):
        assert [row["_step"] for row in rows if column in row] == steps_in(folder / f"{name}.csv")


@pytest.mark.parametrize(
    "end", [*(pytest.param(end, marks=pytest.mark.slow) for end in ("SIGTERM", "SIGKILL")), "SIGKILL with W&B"]
)
def test_after_a_kill_and_resume_every_step_is_there_once(end: str, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    number = signal.SIGTERM if end == "SIGTERM" else signal.SIGKILL
    run_until(folder, steps=1500, number=number, whole_family=end.endswith("W&B"))
    before = steps_in(folder / "metrics.csv")[-1]
    rlkit("train", f"resume={folder}", f"total_steps={before + 2100}")
    assert len(logs(folder)) == 2
    ids = {record.run.run_id for path in logs(folder) for record in read(path) if record.HasField("run")}
    record = json.loads((folder / "wandb.json").read_text())
    assert record == {"id": ids.pop(), "last_step": before + 2100}
    assert not ids
    if end == "SIGKILL with W&B":
        check_only_the_last_seconds_are_there_twice(folder)
    else:
        check_every_step_is_there_once(folder)


def check_only_the_last_seconds_are_there_twice(folder: Path) -> None:
    """What W&B may have lost with its process is sent again: each step is there, and where it is there twice, alike."""
    first, second = ({row["_step"]: row for row in rows_of(path)} for path in logs(folder))
    assert sorted({*first, *second}) == steps_in(folder / "metrics.csv")
    twice = sorted({*first} & {*second})
    assert twice == sorted(first)[len(first) - len(twice) :], "the last ones before the kill"
    own = ("_runtime", "_timestamp", "time/seconds", "time/steps_per_second")
    for step in twice:
        assert [{key: row[key] for key in row if key not in own} for row in (first[step],)] == [
            {key: row[key] for key in row if key not in own} for row in (second[step],)
        ]


def test_a_run_added_to_wandb_later_is_sent_whole(tmp_path: Path) -> None:
    folder = Path("run")
    rlkit("train", *TRAIN[1:4], "logger=[csv]", *SMALL, f"run_dir={folder}", "total_steps=3000")
    assert not (folder / "wandb").exists()
    said = rlkit("train", f"resume={folder}", "logger=[csv,terminal,wandb]")
    assert [line for line in said.splitlines() if "wandb" in line.lower() or "W&B" in line] == [
        "W&B works offline; to upload: wandb sync run/wandb/offline-run-*"
    ]
    check_every_step_is_there_once(folder)
    last = history(folder)[-1]
    assert last["_step"] == 3000
    assert any(name.startswith("media/curve") for name in last)
    assert list(folder.glob("wandb/offline-run-*/files/media/images/media/curve_*.png"))


def test_each_run_of_a_sweep_is_a_run_of_its_own(tmp_path: Path) -> None:
    rlkit("train", "-m", *TRAIN[1:], *SMALL, "total_steps=1000", "seed=0,1")
    folders = [path.parent for path in sorted(tmp_path.glob("runs/*/wandb.json"))]
    assert len(folders) == 2
    assert len({json.loads((folder / "wandb.json").read_text())["id"] for folder in folders}) == 2
    for folder in folders:
        check_every_step_is_there_once(folder)
        assert read(logs(folder)[0])[-1].WhichOneof("record_type") == "exit"


def test_an_unreachable_server_costs_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:1")  # refused by this machine itself
    said = rlkit(*TRAIN, *SMALL, "total_steps=2000", "logger.wandb.timeout=3", "run_dir=run")
    assert sum("W&B" in line for line in said.splitlines()) == 1
    assert "wandb:" not in said
    assert (tmp_path / "run" / "checkpoints" / "2000").is_dir()


def test_the_command_never_loads_wandb(tmp_path: Path) -> None:
    code = (
        "import sys, rlkit; rlkit.train('agent=q_learning', 'env=frozen_lake', 'video=none', 'total_steps=500',"
        "'logger=[csv,wandb]'); assert 'wandb' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_uplink_without_a_process_ignores_everything(tmp_path: Path) -> None:
    uplink = Uplink(tmp_path, RunInfo("n", tmp_path, "i", {}, 0, 1), 1.0)
    uplink.send({"step": 1})
    uplink.close(failed=False)
