"""Every command and script of the READMEs and of the pages in docs/ runs once; only budgets are smaller."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
import textwrap
from functools import cache
from pathlib import Path

import pytest
import yaml
from commands import Command
from sample_plugin import sample_site

from rlkit.cli.main import VERBS

pytestmark = pytest.mark.draws

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
BENCHMARKS = [ROOT / "tests/benchmarks/README.md", ROOT / "docs/results.md"]
FOLDERS = [ROOT / name / "README.md" for name in ("agents", "envs", "conf", "videos", "rlkit/learners")]
DOCS = sorted((ROOT / "docs").rglob("*.md"))
PAGES = [README, *DOCS, *FOLDERS]

BUDGET = "total_steps=300 eval.every=150 eval.episodes=2 eval.max_steps=200 checkpoint.every=150"
SMALLER = "num_envs=2 total_steps=200 eval.every=200 eval.episodes=1 eval.max_steps=30 checkpoint.every=200"
"""For images, whose networks are slow."""
SET_UP = "python3 -m venv"
FIT_SMALLER = {"experiment=discounts": "learner.max_iter=500 plots=false"}

SUITES = {"suite=tabular": "windy_gridworld", "suite=classic": "cartpole"}
"""An environment of each suite, in which random play, with its small budget, is all that runs."""

FLOWERS = "sepal_length,sepal_width,petal_length,petal_width\n5.1,3.5,1.4,0.2\n"
"""Rows to predict."""


def blocks(path: Path, language: str) -> list[str]:
    """Return the code blocks of a page in `language`, those within lists as well."""
    found = re.findall(rf"^( *)```{language}\n(.*?)^\1```", path.read_text(), re.DOTALL | re.MULTILINE)
    return [textwrap.dedent(block) for _, block in found]


def commands(path: Path) -> list[str]:
    """Return the command lines of a page: of its bash blocks, and in backticks within its text and tables."""
    lines = [line for block in blocks(path, "bash") for line in block.splitlines() if line]
    text = re.sub(r"^ *```.*?^ *```", "", path.read_text(), flags=re.DOTALL | re.MULTILINE)
    lines += [" ".join(command.split()) for command in re.findall(r"`(rlkit \w+ [^`]*)`", text) if "…" not in command]
    return [line for line in lines if not line.startswith((SET_UP, "pip install"))]


def run_folder(command: str) -> str:
    """Return the name of the folder that a training makes by default, without its seed."""
    named = dict(word.split("=", 1) for word in command.split() if re.match(r"(agent|env)=", word))
    return f"runs/{named.get('agent', 'dqn')}_{named.get('env', 'cartpole')}_s"


@cache
def first_pages() -> dict[str, Path]:
    """Return for each command the page that it stands on first."""
    return {command: path for path in reversed(PAGES) for command in commands(path)}


def to_run(path: Path) -> list[str]:
    """Return the commands of a page that run with it: those of no earlier page, and what later ones of it need."""
    found = list(dict.fromkeys(commands(path)))
    return [
        command
        for place, command in enumerate(found)
        if first_pages()[command] == path
        or (command.startswith("rlkit train") and any(run_folder(command) in later for later in found[place + 1 :]))
    ]


def cut_down(command: str) -> str:
    """Cut budgets; a dqn learns within them."""
    if command.startswith("rlkit search "):
        return command  # pages keep it small
    command = re.sub(r"total_steps=\d+", "", command)
    words = command.split()
    if words[:2] == ["rlkit", "play"] and "record=true" in words:
        return f"{re.sub(r'episodes=[0-9]+', 'episodes=3', command)} max_steps=20"
    if words[:2] == ["rlkit", "check"]:
        return f"{command} steps=200"
    if words[:2] == ["rlkit", "bench"]:
        return f"{' '.join(words[:3])} agents=[random] envs=[{SUITES[words[2]]}] seeds=1 suite.episodes=2"
    if words[:2] == ["rlkit", "match"]:
        return re.sub(r"games=[0-9]+", "games=2", command).replace("mcts:1000", "mcts:300")
    if words[:2] == ["rlkit", "fit"] and "--help" not in words:
        return f"{command} {FIT_SMALLER.get(words[2] if len(words) > 2 else '', 'plots=false')}"
    if words[:2] != ["rlkit", "train"] or {"--help", "--cfg"} & set(words):
        return command
    if any(word.startswith("resume_sweep=") for word in words):
        return command
    if any(word.startswith("resume=") for word in words):
        return f"{command} total_steps=450"
    command = re.sub(r"agent\.simulations=\d+", "agent.simulations=8", command)
    deep = not re.search(r"agent=(?!dqn\b)\w|safecab|hidden_velocity|cloning|clusters|ppo_", command)
    images = re.search(r"env=atari|rainbow|atari_|car_racing|pong|minigrid|highway", command)
    starts = f"agent.learning_starts={190 if images else 100}" if deep else ""
    # The first run films its agent as any does.
    video = "" if words == ["rlkit", "train"] or "video=" in command else "video=none"
    return f"{command} {SMALLER if images else BUDGET} {starts} {video}"


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
    return sample_site(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, site: Path) -> Path:
    """A folder with the run of the first command, a plugin, and rows to predict."""
    folder: Path = tmp_path_factory.mktemp("trained")
    run(cut_down("rlkit train"), folder, site)
    (folder / "flowers.csv").write_text(FLOWERS)
    return folder


@pytest.mark.parametrize(
    "path",
    [path for path in PAGES if to_run(path) not in ([], ["rlkit train"])],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_the_commands_of_a_page_run_in_its_order(path: Path, tmp_path: Path, trained: Path, site: Path) -> None:
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    (tmp_path / "mine/conf").mkdir(parents=True)  # the reader's own
    for command in to_run(path):
        if command == "rlkit train":
            continue
        waits_for_a_display = "human=true" in command and "terminal=true" not in command
        output = run(cut_down(command), tmp_path, site, status=2 if waits_for_a_display else 0)
        assert "Traceback" not in output


def planned(command: str) -> int:
    """Return the steps of the run that a command resumes, which is named after its agent, environment and seed."""
    pair = re.search(r"resume=runs/(\w+)_s\d", command)
    assert pair, f"{command} resumes no run of a default name"
    tuned = ROOT / f"conf/tuned/{pair[1]}.yaml"
    found = [yaml.safe_load(path.read_text()) for path in (tuned, ROOT / "conf/train.yaml") if path.exists()]
    return int(next(values["total_steps"] for values in found if "total_steps" in values))


def test_a_resume_for_longer_asks_for_more_steps_than_the_run_has_made() -> None:
    # Their budgets are cut down where they run.
    found = {command for path in PAGES for command in commands(path) if "resume=" in command and "total_st" in command}
    assert len(found) >= 3
    for command in found:
        steps = re.search(r"total_steps=(\d+)", command)
        assert steps, command
        assert int(steps[1]) > planned(command), command


def test_a_shell_passes_the_words_of_a_command_on_as_they_are() -> None:
    for path in PAGES:
        for command in commands(path):
            bare = re.sub(r"'[^']*'|\"[^\"]*\"", "", command)
            assert not re.search(r"\{[^}]*,", bare), f"{path.name}: a shell takes braces apart: {command}"


def test_no_command_is_left_out() -> None:
    written = {command for path in PAGES for command in commands(path)}
    assert written == {command for path in PAGES for command in to_run(path)}
    assert len(written) > 100


def test_commands_in_the_text_name_a_verb() -> None:
    for path in PAGES:
        for word in re.findall(r"`rlkit ([^`]+)`", path.read_text()):
            assert word.split()[0].strip("<>") in {*VERBS, "verb"}, f"{path.name}: rlkit {word}"


SCRIPTS = [(path, script) for path in PAGES for script in blocks(path, "python")]


@pytest.mark.parametrize(("path", "script"), SCRIPTS, ids=lambda value: getattr(value, "stem", ""))
def test_the_scripts_of_the_pages_run(path: Path, script: str, tmp_path: Path, site: Path) -> None:
    small = script.replace("50_000)", "2_000)").replace("=3_000)", "=600)").replace("episodes=100", "episodes=5")
    (tmp_path / "script.py").write_text(small)
    process = Command(script="script.py", cwd=tmp_path, pythonpath=site)
    output, errors = process.communicate(timeout=300)
    assert process.returncode == 0, output + errors


def test_the_plain_script_has_at_most_thirty_lines() -> None:
    plain = [script for path, script in SCRIPTS if path.stem == "python"]
    assert max(len(script.splitlines()) for script in plain) <= 30


def test_ci_runs_the_readmes_test_command() -> None:
    set_ups = [block.strip() for block in blocks(README, "bash") if block.startswith(SET_UP)]
    assert len(set_ups) == 2
    assert set_ups[0].endswith("rlkit train")
    assert "README.md" in (ROOT / ".ci/run").read_text()
    assert set_ups[1] in (ROOT / "CONTRIBUTING.md").read_text()
    assert "run: .ci/run" in (ROOT / ".github/workflows/ci.yml").read_text()


def benchmarks(pattern: str) -> list[str]:
    found = [command for path in BENCHMARKS for command in re.findall(rf"`({pattern} [^`]*)`", path.read_text())]
    assert found
    return found


HELP = """
import contextlib, io, json, runpy, sys

texts = {}
for script in sys.argv[1:]:
    sys.argv, sys.path[0] = [script, "--help"], script.rpartition("/")[0]
    with contextlib.redirect_stdout(io.StringIO()) as text, contextlib.suppress(SystemExit):
        runpy.run_path(script, run_name="__main__")
    texts[script] = text.getvalue()
print(json.dumps(texts))
"""
"""Prints what each script answers to `--help`: in one process, because each imports what takes a second or two."""


def test_the_scripts_of_the_benchmarks_take_the_options_that_their_readme_gives() -> None:
    found = [re.sub(r"<[^>]*>", "something", command).split() for command in benchmarks("python")]
    scripts = sorted({script for _, script, *_ in found})
    done = subprocess.run([sys.executable, "-c", HELP, *scripts], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    texts = json.loads(done.stdout)
    for _, script, *words in found:
        assert "--help" in texts[script]
        assert [word for word in words if word.startswith("--") and word not in texts[script]] == []


class Collected:
    """A pytest plugin that keeps the names of what was collected."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.names += [item.nodeid for item in session.items]


def test_the_slow_tests_of_the_benchmarks_readme_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    named = [re.fullmatch(r"pytest -m slow (\S+)(?: -k (\w+))?", command) for command in benchmarks("pytest")]
    assert None not in named
    wanted = [(found[1], found[2] or "") for found in named if found]
    monkeypatch.chdir(ROOT)
    collected = Collected()
    words = ["-m", "slow", "--collect-only", "-qq", "-p", "no:cacheprovider", "-p", "no:xdist"]
    assert pytest.main([*words, *sorted({file for file, _ in wanted})], plugins=[collected]) == 0
    for file, part in wanted:
        assert any(name.startswith(file) and part in name for name in collected.names), (file, part)


def test_the_files_that_the_readmes_link_to_exist() -> None:
    for path in [README, ROOT / "tests/README.md", *BENCHMARKS, *FOLDERS]:
        for target in re.findall(r"\]\((?!http)([^)#]+)\)", path.read_text()):
            there = path.parent / target
            plot = ROOT / "tests/benchmarks/results" / there.name  # the site's build puts it among the images
            assert there.exists() or plot.exists(), f"{path.name} links to {target}"


def test_the_readme_is_a_front_page() -> None:
    assert len(README.read_text().splitlines()) <= 130
