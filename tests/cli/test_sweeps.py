"""Sweeps of `rlkit train`: frozen when they start, gone on with after a kill, whichever launcher runs the jobs."""

from __future__ import annotations

import math
import os
import shutil
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import pytest
import yaml
from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from kills import SWEEPS, compare, run_sweep

import rlkit
from rlkit.cli.main import main
from rlkit.cli.sweeping import LOST
from rlkit.core.types import UsageError

SHORT = ("video=none", "logger=[csv]", "total_steps=20", "eval.every=10", "eval.episodes=1", "checkpoint.every=10")
LAKE = ("agent=q_learning", "env=frozen_lake", "tuned=none", *SHORT)


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def train(capsys: pytest.CaptureFixture[str], *words: str, status: int = 0) -> list[str]:
    """Run a sweep that must end with `status`; return the lines of its errors."""
    found = main(["train", "-m", *words])
    errors = capsys.readouterr().err.splitlines()
    assert found == status, errors
    return errors


def folder_of_sweep() -> Path:
    [folder] = Path("runs/sweeps").iterdir()
    return folder


def steps(run: str) -> int:
    return max(int(path.name) for path in Path("runs", run, "checkpoints").iterdir() if path.name.isdigit())


def test_names_say_what_the_jobs_do_not_share(capsys: pytest.CaptureFixture[str]) -> None:
    train(capsys, *LAKE, "agent.gamma=0.9,0.8", "log.info=[],[prob]", "agent.n_step=2")
    names = {f"q_learning_frozen_lake_gamma={gamma}_info={info}_s0" for gamma in (0.9, 0.8) for info in ("", "prob")}
    assert {path.name for path in Path("runs").iterdir()} == {*names, "sweeps"}
    assert {yaml.safe_load(Path("runs", name, "config.yaml").read_text())["name"] for name in names} == names


def test_only_what_is_not_finished_is_trained(capsys: pytest.CaptureFixture[str]) -> None:
    train(capsys, *LAKE, "seed=0,1")
    sweep = folder_of_sweep()
    logs = [Path(f"runs/q_learning_frozen_lake_s{seed}/train.log") for seed in (0, 1)]
    before = [log.read_bytes() for log in logs]
    assert main(["train", "-m", f"resume_sweep={sweep}"]) == 0
    assert capsys.readouterr().out == f"sweep {sweep}: 0 of 2 jobs to train\n"
    assert [log.read_bytes() for log in logs] == before
    (sweep / "outcomes/1.json").unlink()
    shutil.rmtree(logs[1].parent)
    assert train(capsys, f"resume_sweep={sweep}") == []
    assert logs[0].read_bytes() == before[0]
    assert (logs[1].parent / "checkpoints/20").is_dir()


def test_what_is_frozen_is_trained_whatever_the_yaml_says_by_then(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "own/agent/mine.yaml"
    own.parent.mkdir(parents=True)
    own.write_text("# Mine.\ndefaults:\n  - q_learning\n  - _self_\ngamma: 0.5\n")
    words = ("agent=mine", f"hydra.searchpath=[file://{tmp_path}/own]", *LAKE[1:], "seed=0,1")
    with monkeypatch.context() as patched:
        patched.setattr("rlkit.cli.sweeping.launch", lambda *given: None)  # killed before the first job
        assert train(capsys, *words, status=1) == [f"rlkit: {LOST}"]
    own.write_text("this: is\n  no: YAML\n")
    assert train(capsys, f"resume_sweep={folder_of_sweep()}") == []
    for seed in (0, 1):
        values = yaml.safe_load(Path(f"runs/mine_frozen_lake_s{seed}/config.yaml").read_text())
        assert (values["agent"]["gamma"], values["seed"]) == (0.5, seed)


def test_a_job_that_fails_stops_no_other_and_has_a_line_and_is_tried_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "flaky.py").write_text(FLAKY)
    *failed, last = train(capsys, "agent=random", "env=flaky.py:Flaky", *SHORT, "env.size=2,3,4", status=2)
    line = "the environment raised OSError: no cable; fix it (RLKIT_TRACEBACK=1 shows where)"
    assert failed == [f"rlkit: [env.size={size}] {line}" for size in (2, 4)]
    sweep = folder_of_sweep()
    assert last == f"rlkit: 2 of 3 jobs failed; to try them once more: rlkit train -m resume_sweep={sweep}"
    assert [path.name.rpartition("_size=")[2] for path in Path("runs").glob("random_*")] == ["3_s0"]
    Path("cable").touch()
    assert train(capsys, f"resume_sweep={sweep}") == []
    assert len([*Path("runs").glob("random_*/checkpoints/20")]) == 3


FLAKY = """
from pathlib import Path
import gymnasium

class Flaky(gymnasium.Env):
    observation_space = action_space = gymnasium.spaces.Discrete(2)
    state_fields = ()
    def __init__(self, size):
        self.size = size
    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        if self.size != 3 and not Path("cable").exists():
            raise OSError("no cable")
        return 0, {}
    def step(self, action):
        return 0, 0.0, False, False, {}
"""


def test_a_mistake_of_one_job_is_said_at_the_end_and_one_of_all_jobs_starts_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    first, last = train(capsys, *LAKE, "checkpoint.keep=0,1", status=2)
    assert first.startswith("rlkit: [checkpoint.keep=0] checkpoint.keep is 0")
    assert last.startswith("rlkit: 1 of 2 jobs failed")
    assert {path.name for path in Path("runs").iterdir()} == {"q_learning_frozen_lake_keep=1_s0", "sweeps"}
    [line] = train(capsys, *LAKE, "checkpoint.keep=0", "seed=0,1", status=2)
    assert line.startswith("rlkit: checkpoint.keep is 0")
    assert len([*Path("runs/sweeps").iterdir()]) == 1


def test_what_cannot_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    train(capsys, *LAKE, "seed=0,1")
    sweep = folder_of_sweep()
    for words, line in (
        ("resume_sweep=runs/sweeps/none", "there is no sweep runs/sweeps/none (no sweep.yaml in it)"),
        (f"resume_sweep={sweep} seed=3", "seed cannot change where a sweep goes on"),
        (f"resume_sweep={sweep} hydra/launcher=none_such", "there is no hydra/launcher=none_such"),
    ):
        [said] = train(capsys, *words.split(), status=2)
        assert said.startswith(f"rlkit: {line}")
    [said] = train(capsys, *LAKE, "seed=0,1", f"hydra.sweep.dir={sweep}", status=2)
    assert said.startswith(f"rlkit: {sweep} holds a sweep: resume_sweep={sweep} goes on")
    with pytest.raises(UsageError, match=r"goes on by a command line: rlkit train -m resume_sweep=s$"):
        rlkit.train("resume_sweep=s")


def test_a_sweep_of_somebody_else_names_no_code_and_writes_into_no_folder_but_its_own(
    capsys: pytest.CaptureFixture[str],
) -> None:
    train(capsys, *LAKE, "seed=0,1")
    file = folder_of_sweep() / "sweep.yaml"
    honest = file.read_text()
    shutil.rmtree(file.parent / "outcomes")
    for config in Path("runs").glob("q_*/config.yaml"):
        config.unlink()
    Path("elsewhere").mkdir()
    for old, new, line in (
        ("rlkit.agents.q_learning.QLearning", "os.system", "agent._target_ is os.system"),
        ("run_dir: runs/q_learning_frozen_lake_s", "run_dir: elsewhere # ", "elsewhere is not the folder of this"),
        ("run_dir: runs/q_learning_frozen_lake_s", "run_dir: ../away # ", "../away is not the folder of this sweep"),
        ("deterministic: false", "deterministic: &a false\naction_mask: *a", "has an alias"),
        ("jobs:\n", "jobs: 3\nothers:\n", "is not a sweep of rlkit's"),
    ):
        assert old in honest
        file.write_text(honest.replace(old, new))
        assert line in " ".join(train(capsys, f"resume_sweep={file.parent}", status=2))
    assert not [*Path("elsewhere").iterdir()]
    assert not Path("../away").exists()


@pytest.mark.parametrize(
    "launcher",
    ["joblib", *(pytest.param(name, marks=pytest.mark.slow) for name in ("submitit_local", "ray"))],
)
def test_jobs_side_by_side_write_what_they_write_one_after_the_other(
    launcher: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    needed = f"hydra_plugins.hydra_{launcher.removesuffix('_local')}_launcher"
    pytest.importorskip("ray" if launcher == "ray" else needed)
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    for place, more in (("one", ()), ("both", (f"hydra/launcher={launcher}",))):
        Path(place).mkdir()
        os.chdir(tmp_path / place)
        lines = train(capsys, *LAKE, "agent.gamma=0.9,0.8,2", *more, status=2)
        assert lines[0] == "rlkit: [agent.gamma=2] agent.gamma is 2; it must be from 0 to 1"
        assert lines[1].startswith("rlkit: 1 of 3 jobs failed; ")
        os.chdir(tmp_path)
    for gamma in (0.9, 0.8):
        run = Path(f"runs/q_learning_frozen_lake_gamma={gamma}_s0")
        # Its plot has one pixel where a test draws it, and all of them where a worker does.
        assert set(compare("one" / run, "both" / run)) <= {"curve.png"}


@pytest.mark.slow
@pytest.mark.draws
@pytest.mark.parametrize("case", SWEEPS)
def test_a_sweep_that_is_killed_as_a_whole_ends_as_one_that_was_not(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if case != "sweep":
        pytest.importorskip("ray" if "ray" in case else "hydra_plugins.hydra_joblib_launcher")
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    rows = run_sweep(SWEEPS[case], tmp_path, kills=6)
    assert [row for row in rows if row["different"]] == []


@pytest.mark.slow
def test_jobs_on_slurm(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand-ins for SLURM's commands run what is submitted on this machine, one job of the array after the other."""
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher")
    tools = tmp_path / "tools"
    tools.mkdir()
    for name, text in {"sbatch": SBATCH, "srun": SRUN, "sacct": SACCT}.items():
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    more = ("hydra/launcher=submitit_slurm", "hydra.launcher.partition=short", "hydra.launcher.timeout_min=90")
    assert train(capsys, *LAKE, "seed=0,1", *more) == []
    script = (tools / "submitted").read_text()
    for line in ("--array=0-1%256", "--partition=short", "--time=90", "--job-name=rlkit"):
        assert f"#SBATCH {line}\n" in script
    assert len([*Path("runs").glob("q_*/curve.png")]) == 2


SBATCH = """#!/bin/sh
here=$(dirname "$0")
cp "$1" "$here/submitted"
for task in 0 1; do
  SLURM_JOB_ID=7 SLURM_ARRAY_JOB_ID=7 SLURM_ARRAY_TASK_ID=$task SLURM_JOB_NUM_NODES=1 SLURM_NTASKS=1 \\
  SLURM_LOCALID=0 SLURM_NODEID=0 SLURM_PROCID=0 SLURM_JOB_NODELIST=here sh "$1" > "$here/log$task" 2>&1
done
echo "Submitted batch job 7"
"""
SRUN = """#!/bin/sh
while [ "${1#-}" != "$1" ]; do if [ "$1" = --output ] || [ "$1" = --error ]; then shift; fi; shift; done
exec "$@"
"""
SACCT = """#!/bin/sh
echo "JobID|State|NodeList"
echo "7_0|COMPLETED|here"
echo "7_1|COMPLETED|here"
"""


class InTurn(Sweeper):
    """Trains with one seed after the other, the last of which is a mistake, and keeps what came back."""

    objectives: ClassVar[list[Any]] = []

    def setup(self, *, hydra_context: Any, task_function: Any, config: Any) -> None:
        """Make the launcher."""
        self.launcher = Plugins.instance().instantiate_launcher(hydra_context, task_function, config)

    def sweep(self, arguments: list[str]) -> None:
        """Launch one job after the other."""
        for number, seed in enumerate((0, 1, -1)):
            [done] = self.launcher.launch([[*arguments, f"seed={seed}"]], initial_job_idx=number)
            self.objectives.append(done.return_value)


def test_sweepers_of_hydra_s_get_the_objective_of_each_job(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("hydra_plugins")
    module = ModuleType("hydra_plugins.in_turn")  # Hydra takes plugins from nowhere else
    monkeypatch.setattr(module, "InTurn", InTurn, raising=False)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(InTurn, "__module__", module.__name__)
    Plugins.instance().register(InTurn)
    node = {"_target_": "hydra_plugins.in_turn.InTurn"}
    ConfigStore.instance().store(group="hydra/sweeper", name="in_turn", node=node)
    [line] = train(capsys, *LAKE, "hydra/sweeper=in_turn", status=2)
    assert "1 of 3 jobs failed" in line
    runs = [rlkit.load(f"runs/q_learning_frozen_lake_s{seed}") for seed in (0, 1)]
    assert InTurn.objectives[:2] == [run.evaluation_means()[-1][1] for run in runs]
    assert math.isnan(InTurn.objectives[2])
