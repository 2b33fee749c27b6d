"""Every command and script of the READMEs runs; only budgets are cut down."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from commands import Command, clean_environment

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
BENCHMARKS = ROOT / "tests/benchmarks/README.md"
FOLDERS = [ROOT / name / "README.md" for name in ("agents", "envs", "conf", "videos", "rlkit/learners")]

BUDGET = "total_steps=300 eval.every=150 eval.episodes=2 eval.max_steps=200 checkpoint.every=150"
SMALLER = "num_envs=2 total_steps=200 eval.every=200 eval.episodes=1 eval.max_steps=30 checkpoint.every=200"
"""For pictures, whose networks are slow."""
SET_UP = "python3 -m venv"
FIT_SMALLER = {"experiment=discounts": "learner.max_iter=500 pictures=false"}

FLOWERS = "sepal_length,sepal_width,petal_length,petal_width\n5.1,3.5,1.4,0.2\n"
"""Rows to predict."""


def blocks(path: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", path.read_text(), re.DOTALL)


def commands(path: Path) -> list[str]:
    """Return the command lines of a README: of its bash blocks, and in backticks within tables."""
    lines = [line for block in blocks(path, "bash") for line in block.splitlines() if line]
    table = [line for line in path.read_text().splitlines() if line.startswith("|")]
    lines += [command for row in table for command in re.findall(r"`(rlkit [^`]*)`", row) if "…" not in command]
    return [line for line in lines if not line.startswith(SET_UP)]


def cut_down(command: str) -> str:
    """Cut budgets; a dqn learns within them."""
    command = re.sub(r"total_steps=\d+", "", command)
    words = command.split()
    if words[:2] == ["rlkit", "play"] and "record=true" in words:
        return f"{re.sub(r'episodes=[0-9]+', 'episodes=3', command)} max_steps=20"
    if words[:2] == ["rlkit", "fit"] and "--help" not in words:
        return f"{command} {FIT_SMALLER.get(words[2] if len(words) > 2 else '', 'pictures=false')}"
    if words[:2] != ["rlkit", "train"] or {"--help", "--cfg"} & set(words):
        return command
    if any(word.startswith("resume=") for word in words):
        return f"{command} total_steps=450"
    command = re.sub(r"agent\.simulations=\d+", "agent.simulations=8", command)
    deep = not re.search(r"agent=(?!dqn\b)\w|safecab|hidden_velocity|cloning|clusters", command)
    pictures = re.search(r"env=atari|rainbow|atari_|car_racing", command)
    starts = f"agent.learning_starts={190 if pictures else 100}" if deep else ""
    # The first run films its agent as any does.
    video = "" if words == ["rlkit", "train"] or "video=" in command else "video=none"
    return f"{command} {SMALLER if pictures else BUDGET} {starts} {video}"


def expanded(word: str, folder: Path) -> list[str]:
    """Return the files that a pattern stands for, as a shell does."""
    return sorted(str(path.relative_to(folder)) for path in folder.glob(word)) if "*" in word else [word]


def run(command: str, folder: Path, site: Path, status: int = 0) -> str:
    first, *words = shlex.split(command)
    assert first == "rlkit"
    process = Command(*(name for word in words for name in expanded(word, folder)), cwd=folder, pythonpath=str(site))
    output, errors = process.communicate(timeout=300)
    assert process.returncode == status, f"{command}\n{output}\n{errors}"
    return output + errors


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The plugin of the recipe, installed where only these tests see it."""
    folder: Path = tmp_path_factory.mktemp("site")
    source = tmp_path_factory.mktemp("source") / "plugin_sample"
    subprocess.run(["cp", "-r", str(ROOT / "tests/plugin_sample"), str(source)], check=True)
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "install",
            "-q",
            "--no-deps",
            "--no-build-isolation",
            "--target",
            str(folder),
            source,
        ],
        check=True,
        capture_output=True,
    )
    return folder


def test_the_commands_of_the_readme_run_in_its_order(tmp_path: Path, site: Path) -> None:
    run(cut_down("rlkit train"), tmp_path, site)
    (tmp_path / "flowers.csv").write_text(FLOWERS)
    for command in commands(README):
        if command.startswith("pip install") or command == "rlkit train":
            continue
        waits_for_a_display = "human=true" in command and "terminal=true" not in command
        output = run(cut_down(command), tmp_path, site, status=2 if waits_for_a_display else 0)
        assert "Traceback" not in output


@pytest.mark.parametrize("path", FOLDERS, ids=lambda path: path.parent.name)
def test_the_commands_of_the_folders_readmes_run(path: Path, tmp_path: Path, site: Path) -> None:
    found = commands(path)
    assert found
    if any("run=runs/dqn_cartpole_s0" in command for command in found):
        run(cut_down("rlkit train"), tmp_path, site)
    (tmp_path / "flowers.csv").write_text(FLOWERS)
    for command in found:
        run(cut_down(command), tmp_path, site)


def test_the_scripts_of_the_readmes_run(tmp_path: Path, site: Path) -> None:
    scripts = [script for path in (README, *FOLDERS) for script in blocks(path, "python")]
    assert len(scripts) == 4
    for script in scripts:
        (tmp_path / "script.py").write_text(script.replace("50_000)", "2_000)").replace("=3_000)", "=600)"))
        environment = clean_environment(PYTHONPATH=str(site))
        subprocess.run([sys.executable, "script.py"], cwd=tmp_path, env=environment, check=True)


def test_the_plain_script_has_at_most_thirty_lines() -> None:
    assert max(len(script.splitlines()) for script in blocks(README, "python")) <= 30


def test_ci_runs_the_readmes_test_command() -> None:
    set_ups = [block.strip() for block in blocks(README, "bash") if block.startswith(SET_UP)]
    assert len(set_ups) == 2
    assert set_ups[0].endswith("rlkit train")
    assert "README.md" in (ROOT / ".ci/run").read_text()


def benchmarks(pattern: str) -> list[str]:
    found = re.findall(rf"`({pattern} [^`]*)`", BENCHMARKS.read_text())
    assert found
    return found


@cache
def helped(script: str) -> str:
    done = subprocess.run([sys.executable, script, "--help"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_scripts_of_the_benchmarks_take_the_options_that_their_readme_gives() -> None:
    for command in benchmarks("python"):
        _, script, *words = re.sub(r"<[^>]*>", "something", command).split()
        assert [word for word in words if word.startswith("--") and word not in helped(script)] == []


def test_the_slow_tests_of_the_benchmarks_readme_are_there() -> None:
    named = [re.fullmatch(r"pytest -m slow (\S+)(?: -k (\w+))?", command) for command in benchmarks("pytest")]
    assert None not in named
    wanted = [(found[1], found[2] or "") for found in named if found]
    collect = [sys.executable, "-m", "pytest", "-m", "slow", "--collect-only", *{file for file, _ in wanted}]
    done = subprocess.run(collect, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    for file, part in wanted:
        assert any(line.startswith(file) and part in line for line in done.stdout.splitlines()), (file, part)


def test_the_files_that_the_readmes_link_to_exist() -> None:
    for path in [README, BENCHMARKS, *FOLDERS]:
        for target in re.findall(r"\]\((?!http)([^)#]+)\)", path.read_text()):
            assert (path.parent / target).exists(), f"{path.name} links to {target}"
