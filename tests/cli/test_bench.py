"""`rlkit bench`: suites of one's own and of rlkit's, gone on with and enlarged, whose rows can be made again."""

from __future__ import annotations

import csv
import json
import os
import random
import shutil
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from commands import Command
from kills import compare, finish

import rlkit
from rlkit.cli.main import main

ROOT = Path(__file__).parents[2]
KEPT = ROOT / "tests/benchmarks/results/suites"
SUITE = """\
# A small one.
agents:
  sarsa: agent=sarsa
  random: [agent=random]
envs:
  lake: {words: env=frozen_lake, total_steps: 60, range: [0, 1]}
  walk: {words: env=windy_gridworld env.max_steps=20, total_steps: 40, range: [-20, -15]}
words: [tuned=none, eval.episodes=1, checkpoint.every=20]
seeds: 2
evaluations: 2
episodes: 3
checkpoint: last
baseline: random
"""


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own/suite").mkdir(parents=True)
    (tmp_path / "own/suite/small.yaml").write_text(SUITE)


def bench(capsys: pytest.CaptureFixture[str], *words: str, status: int = 0, suite: str = "small") -> list[str]:
    """Run a suite, which must end with `status`; return the lines on stderr."""
    found = main(["bench", f"suite={suite}", "hydra.searchpath=[file://own]", *words])
    lines = capsys.readouterr().err.splitlines()
    assert found == status, lines
    return lines


def rows(folder: Path | str, name: str = "rows.csv") -> list[dict[str, str]]:
    """Return the rows of a table without the seconds, which nobody can make again."""
    with Path(folder, name).open(newline="") as file:
        return [{key: value for key, value in row.items() if key != "seconds"} for row in csv.DictReader(file)]


def runs(folder: str = "runs/bench/small") -> set[str]:
    return {path.name for path in Path(folder, "runs").iterdir()}


def test_rows_are_the_scores_of_ordinary_runs_and_more_seeds_add_to_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench(capsys, "seeds=[1,1]", "agents=[sarsa]")[0] == "suite runs/bench/small: 2 of 2 runs to train"
    before = rows("runs/bench/small")
    assert [(row["environment"], row["seed"], row["checkpoint"]) for row in before] == [
        (env, "1", checkpoint) for env in ("lake", "walk") for checkpoint in ("last", "best")
    ]
    words = "agent=sarsa env=windy_gridworld env.max_steps=20 tuned=none eval.episodes=1 checkpoint.every=20"
    same = rlkit.train(*words.split(), "video=none", "logger=[csv]", seed=1, total_steps=40, eval={"every": 20})
    folder = Path("runs/bench/small/runs/sarsa-walk-s1")
    assert compare(folder, same.directory) == []
    for row in before[2:]:
        found = same.evaluate(3, checkpoint=row["checkpoint"], seed=1)["return/raw"]
        assert (float(row["mean"]), float(row["std"])) == pytest.approx((found["mean"], found["std"]), abs=1e-6)
        assert (row["steps"], row["episodes"]) == ("40", "3")

    old = (folder / "checkpoints/40/manifest.json").stat().st_mtime_ns
    assert bench(capsys, "envs=[walk]")[0] == "suite runs/bench/small: 3 of 4 runs to train"
    assert runs() == {"sarsa-lake-s1", *(f"{agent}-walk-s{seed}" for agent in ("sarsa", "random") for seed in (0, 1))}
    assert (folder / "checkpoints/40/manifest.json").stat().st_mtime_ns == old
    after = rows("runs/bench/small")
    assert [row for row in after if (row["agent"], row["seed"]) == ("sarsa", "1")] == before
    files = {path: path.read_bytes() for path in Path("runs/bench/small").iterdir() if path.is_file()}
    assert bench(capsys, "envs=[walk]", "out=other")[0] == "suite runs/bench/small: 0 of 4 runs to train"
    assert {path: Path("other", path.name).read_bytes() for path in files} == files
    require_table_of(after, Path("other"))


def require_table_of(found: list[dict[str, str]], folder: Path) -> None:
    """Hold a table, its page and its Markdown against rows."""
    table = rows(folder, "table.csv")
    lines = {(line["environment"], line["agent"], line["checkpoint"]): line for line in table}
    own, others = (
        [float(row["mean"]) for row in found if (row["agent"], row["environment"], row["checkpoint"]) == wanted]
        for wanted in (("sarsa", "walk", "last"), ("random", "walk", "last"))
    )
    line = lines["walk", "sarsa", "last"]
    ahead = sum((a > b) + 0.5 * (a == b) for a in own for b in others) / 4
    assert [float(line[key]) for key in ("mean", "iqm", "improvement")] == pytest.approx([sum(own) / 2] * 2 + [ahead])
    assert (line["mean_low"], line["mean_high"]) == (str(min(own)), str(max(own)))
    assert lines["walk", "random", "last"]["improvement"] == ""
    assert (lines["all", "sarsa", "best"]["environments"], lines["all", "sarsa", "best"]["runs"]) == ("2", "3")
    shown = [line for line in table if line["checkpoint"] == "last"]
    text, page = (folder / "table.md").read_text(), (folder / "index.html").read_text()
    assert len([line for line in text.splitlines() if line.startswith("| ")]) == len(shown) + 4
    assert page.count('<th scope="row">') == len(shown)
    assert page.count('<svg class="key') == len(shown) + 2  # and the legend
    assert page.count("<svg viewBox") == 3
    configs = yaml.safe_load((folder / "configs.yaml").read_text())
    assert set(configs) == {"sarsa in lake", "sarsa in walk", "random in walk"}


def test_what_has_changed_since_the_suite_began_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    bench(capsys, "agents=[random]", "envs=[lake]", "seeds=1")
    for words, line in (
        ("suite.episodes=4", "runs/bench/small/suite.yaml was begun with episodes 3, and this command has 4; another"),
        ("suite.envs.lake.total_steps=80", "was begun with envs.lake.total_steps 60, and this command has 80"),
        ("suite.agents.random='agent=random num_envs=2'", "was begun with agents.random.words ['agent=random']"),
    ):
        [said] = bench(capsys, "agents=[random]", "envs=[lake]", words, status=2)
        assert line in said
    agent = Path("own/agent/mine.yaml")
    agent.parent.mkdir()
    agent.write_text("# Mine.\ndefaults:\n  - sarsa\n  - _self_\ngamma: 0.5\n")
    bench(capsys, "agents=[mine]", "envs=[lake]", "seeds=1")
    agent.write_text(agent.read_text().replace("0.5", "0.6"))
    assert bench(capsys, "agents=[mine]", "envs=[lake]", "seeds=1")[0].endswith("0 of 1 runs to train")
    [said] = bench(capsys, "agents=[mine]", "envs=[lake]", "seeds=2", status=2)
    assert "mine in lake was begun with agent.gamma=0.5, and the YAML files say 0.6 by now" in said
    assert runs() == {"random-lake-s0", "mine-lake-s0"}


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("agents=[dqnn]", "the suite has no agent dqnn, and there is no agent=dqnn; did you mean dqn?"),
        ("envs=[]", "envs=[] leaves nothing to run"),
        ("seeds=0", "seeds is 0; it must be how many, as seeds=5"),
        ("seeds=[0,-1]", "seeds is [0, -1]; it must be how many"),
        ("suite.baseline=sarssa", "suite.baseline is sarssa, no agent of the suite; did you mean sarsa?"),
        ("suite.checkpoint=first", "suite.checkpoint is first; there is: last, best"),
        ("+suite.envs.lake.steps=3", "there is no key suite.envs.lake.steps; did you mean total_steps?"),
        ("suite.envs.lake.range=[1,1]", "suite.envs.lake.range is [1, 1]; it must be two scores, the lower one first"),
        ("suite.agents.sarsa=3", "suite.agents.sarsa is 3; it must be words of rlkit train"),
        ("suite.words=[gama=3]", "there is no key gama"),
        ("suite=none_such", "there is no suite=none_such"),
        ("workers=2 hydra/launcher=joblib", "workers=2 chooses a launcher, and so does hydra/launcher=joblib"),
        ("-m", "a suite runs all of its seeds by itself: leave out -m"),
    ],
)
def test_a_mistake_is_one_line_and_starts_nothing(words: str, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    [said] = bench(capsys, *words.split(), status=2)
    assert line in said
    assert not Path("runs").exists()


def test_without_a_suite_a_line_says_which_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench"]) == 2
    assert "there is: atari, box2d, classic, games, minatar, mujoco, tabular" in capsys.readouterr().err


def test_a_run_that_fails_stops_no_other_and_is_tried_again(capsys: pytest.CaptureFixture[str]) -> None:
    Path("flaky.py").write_text(FLAKY)
    flaky = "suite.envs.lake.words='env=flaky.py:Flaky'"
    words = (flaky, "envs=[lake,walk]", "agents=[random]", "seeds=1", "output=json")
    lines = bench(capsys, *words, status=2)
    assert lines[-2].startswith("rlkit: [random-lake-s0] the environment raised OSError: no cable")
    assert lines[-1].startswith("rlkit: 1 of 2 runs failed; the same command tries them once more")
    assert {row["environment"] for row in rows("runs/bench/small")} == {"walk"}
    Path("cable").touch()
    assert main(["bench", "suite=small", "hydra.searchpath=[file://own]", *words]) == 0
    told: Any = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert told["results"] == "runs/bench/small"
    lines = [(line["environment"], line["checkpoint"]) for line in told["table"]]
    assert lines == [(env, checkpoint) for env in ("all", "lake", "walk") for checkpoint in ("last", "best")]


FLAKY = """
from pathlib import Path
import gymnasium

class Flaky(gymnasium.Env):
    observation_space = action_space = gymnasium.spaces.Discrete(2)
    state_fields = ()
    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        if not Path("cable").exists():
            raise OSError("no cable")
        return 0, {}
    def step(self, action):
        return 0, 1.0, True, False, {}
"""


def test_an_adapter_makes_rows_of_another_library_s_agent(capsys: pytest.CaptureFixture[str]) -> None:
    Path("adapter.py").write_text(ADAPTER)
    peer = "+suite.agents.up={call: 'adapter.py:train', action: 0}"
    bench(capsys, peer, "agents=[up]", "envs=[walk]", "seeds=2")
    found = rows("runs/bench/small")
    # It goes up all the time, and twenty steps are not enough for the goal.
    assert [(row["checkpoint"], row["seed"], row["mean"]) for row in found] == [
        (checkpoint, seed, "-20.0") for seed in ("0", "1") for checkpoint in ("last", "best")
    ]
    points = rows("runs/bench/small", "curves.csv")
    assert [(row["step"], row["mean"]) for row in points] == [("20", "-7.0"), ("40", "-7.0")] * 2
    assert [*Path("runs/bench/small/runs/up-walk-s1").glob("model-*")] == [
        Path("runs/bench/small/runs/up-walk-s1/model-up")
    ]
    [said] = bench(capsys, peer.replace("adapter.py:train", "adapter.py:tain"), "seeds=1", "agents=[up]", status=2)
    assert "was begun with agents.up.call" in said


ADAPTER = """
from rlkit.runs.suites.peers import PeerResult

def train(task):
    env = task.make_env()
    observation, _ = env.reset(seed=task.seed)
    assert env.observation_space.contains(observation)
    (task.folder / "model-up").touch()
    steps = range(task.eval_every, task.total_steps + 1, task.eval_every)
    return PeerResult(lambda observation: task.options["action"], evaluations=[(step, -7.0) for step in steps])
"""


def test_rows_that_are_kept_can_be_made_again(capsys: pytest.CaptureFixture[str]) -> None:
    """Those of two runs of the suite `tabular`, and their curves, to the last digit."""
    bench(capsys, "agents=[q_learning,sarsa]", "envs=[windy_gridworld]", "seeds=[3]", suite="tabular")
    runs = {(agent, "windy_gridworld", "3") for agent in ("q_learning", "sarsa")}
    for name in ("rows.csv", "curves.csv"):
        kept = rows(KEPT / "tabular", name)
        kept = [row for row in kept if (row["agent"], row["environment"], row["seed"]) in runs]
        assert kept
        assert rows("runs/bench/tabular", name) == kept


@pytest.mark.parametrize("suite", sorted(path.name for path in KEPT.glob("*")))
def test_what_is_kept_is_made_of_its_rows(suite: str, tmp_path: Path) -> None:
    from rlkit.reporting.suites.write import draw_results

    names = ("rows.csv", "curves.csv", "suite.yaml", "versions.json")
    for name in names:
        shutil.copy(KEPT / suite / name, tmp_path / name)
    draw_results(tmp_path)
    made = ("table.csv", "table.md", "curves.svg", "profiles.svg")
    assert {path.name for path in (KEPT / suite).iterdir()} - {"index.html"} == {*names, *made, "configs.yaml"}
    assert [name for name in made if (tmp_path / name).read_bytes() != (KEPT / suite / name).read_bytes()] == []


@pytest.mark.slow
@pytest.mark.parametrize("suite", sorted(path.name for path in KEPT.glob("*")))
def test_the_whole_table_can_be_made_again(suite: str, capsys: pytest.CaptureFixture[str]) -> None:
    bench(capsys, "seeds=5", suite=suite)
    for name in ("rows.csv", "curves.csv", "table.csv"):
        assert rows(f"runs/bench/{suite}", name) == rows(KEPT / suite, name)
    for name in ("curves.svg", "profiles.svg", "configs.yaml", "suite.yaml"):
        assert Path(f"runs/bench/{suite}", name).read_bytes() == (KEPT / suite / name).read_bytes()


@pytest.mark.slow
@pytest.mark.draws
@pytest.mark.parametrize("workers", [1, 2])
def test_a_suite_that_is_killed_ends_as_one_that_was_not(workers: int, tmp_path: Path) -> None:
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    text = SUITE.replace("total_steps: 60", "total_steps: 4000").replace("total_steps: 40", "total_steps: 4000")
    words = ("bench", "suite=small", f"hydra.searchpath=[file://{tmp_path}/own]", "seeds=1", f"workers={workers}")
    (tmp_path / "own/suite/small.yaml").write_text(text.replace("checkpoint.every=20", "checkpoint.every=500"))
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
    finish(Command(*words, cwd=tmp_path / "whole"))
    moments, folder, kills, status = random.Random(0), tmp_path / "killed/runs/bench/small", 0, None
    while status != 0:
        process = Command(*words, cwd=tmp_path / "killed")
        until = progress(folder) + moments.randint(0, 5)
        while process.poll() is None and (kills == 6 or progress(folder) < until or not (folder / "parts").exists()):
            time.sleep(0.01)
        time.sleep(moments.uniform(0, 0.2))
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        _, errors = process.communicate()
        status = process.returncode
        assert status in (0, -signal.SIGKILL), errors
        kills += status != 0
    assert kills >= 4
    assert differing(tmp_path / "whole/runs/bench/small", tmp_path / "killed/runs/bench/small") == []


def progress(folder: Path) -> int:
    """Return how far a suite is: its checkpoints so far, those that are gone included, and its scores."""
    runs = folder.glob("runs/*/checkpoints")
    steps = [max((int(path.name) for path in run.iterdir() if path.name.isdigit()), default=0) for run in runs]
    return sum(steps) // 500 + len([*folder.glob("scores/*.json")])


def differing(expected: Path, actual: Path) -> list[str]:
    """Return what is different in two folders of suites, seconds aside."""
    names = sorted(path.name for path in (expected / "runs").iterdir())
    assert names == sorted(path.name for path in (actual / "runs").iterdir())
    found = [f"{name}/{file}" for name in names for file in compare(expected / "runs" / name, actual / "runs" / name)]
    found += [name for name in ("rows.csv", "curves.csv", "table.csv") if rows(expected, name) != rows(actual, name)]
    plain = ("suite.yaml", "versions.json", "configs.yaml", "curves.svg", "profiles.svg")
    return found + [name for name in plain if (expected / name).read_bytes() != (actual / name).read_bytes()]


@pytest.mark.slow
@pytest.mark.parametrize("suite", ["tabular", "classic", "box2d", "mujoco", "minatar", "atari", "games"])
def test_every_agent_of_a_suite_begins_in_its_environments(suite: str) -> None:
    from rlkit.config.compose import composed
    from rlkit.config.instantiate import plain
    from rlkit.runs.suites.plan import planned_suite

    plan = planned_suite(plain(composed("bench", [f"suite={suite}"])[0]), suite)
    small = ("total_steps=64", "eval.every=64", "eval.episodes=1", "eval.max_steps=5", "checkpoint.every=0")
    for task in plan.tasks():
        if task.seed == 0:
            words = [*plan.words_of(task.agent, task.env), *small]
            more = ["agent.simulations=8"] if task.agent.name in ("mcts", "alphazero", "muzero") else []
            assert rlkit.train(*words, *more, run_dir=f"runs/{task.name}").stopped is None
