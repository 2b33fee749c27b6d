from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from commands import clean_environment, refused, rlkit, succeed
from sample_plugin import SAMPLE, pip_install, sample_site

QUICK = ("total_steps=500", "video=none", "logger=[csv,terminal]")


def package(folder: Path, name: str, code: str, files: dict[str, str] | None = None) -> Path:
    """Write the source of a plugin called `name` whose configuration package holds `code` and `files`."""
    module = name.replace("-", "_")
    for path, text in {
        "pyproject.toml": f"""
            [build-system]
            requires = ["setuptools"]
            build-backend = "setuptools.build_meta"
            [project]
            name = "{name}"
            version = "1.0"
            [project.entry-points."rlkit.conf"]
            {name} = "{module}"
            [tool.setuptools]
            packages = ["{module}"]
            include-package-data = false
            [tool.setuptools.package-data]
            {module} = ["*/*.yaml"]
            """.replace("\n            ", "\n"),
        f"{module}/__init__.py": code,
        **{f"{module}/{path}": text for path, text in (files or {}).items()},
    }.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return folder


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample's folder of installed packages."""
    return sample_site(tmp_path_factory.getbasetemp())


def test_an_installed_plugin_trains_with_no_edit_of_rlkit(sample: Path, tmp_path: Path):
    succeed("train", "env=my_maze", "agent=q_learning", *QUICK, cwd=tmp_path, pythonpath=sample)
    run = tmp_path / "runs/q_learning_my_maze_s0"
    assert "_target_: my_games.maze.Maze" in (run / "config.yaml").read_text()
    done = rlkit("eval", f"run={run}", "episodes=3", "output=json", cwd=tmp_path, pythonpath=sample)
    assert json.loads(done.stdout)["episodes"] == 3
    assert done.stderr == f"rlkit: {run}/config.yaml names my_games.maze.Maze (installed plugin my-games)\n"


def test_a_plugin_s_agent_and_pictures_work(sample: Path, tmp_path: Path):
    words = ("env=my_maze", "agent=least_tried", "total_steps=300", "eval.every=100", "eval.episodes=2", "video=final")
    succeed("train", *words, cwd=tmp_path, pythonpath=sample)
    assert (tmp_path / "videos/least_tried_my_maze_s0/best-seed0-0.mp4").stat().st_size > 1000


def test_a_sweep_over_a_plugin(sample: Path, tmp_path: Path):
    words = ("-m", "env=my_maze", "agent=q_learning,least_tried", "seed=0,1", *QUICK)
    succeed("train", *words, cwd=tmp_path, pythonpath=sample)
    names = {path.parent.name for path in tmp_path.glob("runs/*/metrics.csv")}
    assert names == {f"{agent}_my_maze_s{seed}" for agent in ("q_learning", "least_tried") for seed in (0, 1)}


def test_a_killed_run_of_a_plugin_s_environment_is_no_opaque_one(sample: Path, tmp_path: Path):
    out = succeed("train", "env=my_maze", "agent=q_learning", *QUICK, cwd=tmp_path, pythonpath=sample)
    assert "cannot be read" not in out


def test_list_and_help_show_where_a_plugin_comes_from(sample: Path, tmp_path: Path):
    entry = re.search(r"^  my_maze .*\n(?:   .*\n)*", succeed("list", cwd=tmp_path, pythonpath=sample), re.MULTILINE)
    assert entry
    assert "(my-games)" in entry[0]
    assert "(my-games)" in succeed("train", "env=my_maze", "--help", cwd=tmp_path, pythonpath=sample)
    listed = json.loads(succeed("list", "agent", "output=json", cwd=tmp_path, pythonpath=sample))["agent"]
    assert {"q_learning": "rlkit", "least_tried": "my-games"}.items() <= {
        e["name"]: e["origin"] for e in listed
    }.items()


def test_the_sample_s_own_tests_pass(sample: Path, tmp_path: Path):
    shutil.copytree(SAMPLE / "tests", tmp_path / "tests")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env=clean_environment(PYTHONPATH=str(sample)),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_the_sample_s_environment_passes_rlkit_check(sample: Path, tmp_path: Path):
    succeed("check", "env=my_maze", cwd=tmp_path, pythonpath=sample)


def test_a_misspelt_plugin_name_gets_the_nearest(sample: Path, tmp_path: Path):
    line = refused("train", "env=my_mazes", cwd=tmp_path, pythonpath=sample)
    assert line.endswith("did you mean my_maze?")


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import a_module_that_nobody_has", "a_module_that_nobody_has"),
        ("raise SystemExit(3)", "SystemExit"),
        ("def broken(:", "SyntaxError"),
    ],
)
def test_a_broken_plugin_only_warns(code: str, reason: str, sample: Path, tmp_path: Path):
    pip_install(package(tmp_path / "source", "broken-games", code), tmp_path / "site")
    sites = f"{sample}:{tmp_path / 'site'}"
    done = rlkit("train", "env=my_maze", "agent=q_learning", *QUICK, cwd=tmp_path, pythonpath=sites)
    assert done.returncode == 0, done.stderr
    [warning] = done.stderr.splitlines()
    assert warning.startswith("rlkit: plugin 'broken-games' of broken-games is broken and was skipped: ")
    assert reason in warning
    assert (tmp_path / "runs/q_learning_my_maze_s0/metrics.csv").exists()


def test_a_name_of_two_origins_is_refused_naming_both(sample: Path, tmp_path: Path):
    files = {"env/my_maze.yaml": "# Another maze.\n_target_: other.Maze\n"}
    pip_install(package(tmp_path / "source", "other-games", "", files), tmp_path / "site")
    sites = f"{sample}:{tmp_path / 'site'}"
    for words in (("train", "agent=random"), ("train", "-m", "agent=random", "seed=0,1")):
        line = refused(*words, *QUICK, cwd=tmp_path, pythonpath=sites)
        assert "env=my_maze is defined by both my-games (" in line
        assert "other-games (" in line


def test_a_plugin_cannot_take_a_name_of_rlkit(tmp_path: Path):
    files = {"env/cartpole.yaml": "# Mine.\n_target_: other.CartPole\n"}
    pip_install(package(tmp_path / "source", "other-games", "", files), tmp_path / "site")
    line = refused("train", *QUICK, cwd=tmp_path, pythonpath=tmp_path / "site")
    assert "env=cartpole is defined by both rlkit (" in line


POLE = """\
# My pole, which falls sooner.
_target_: rlkit.envs.gym.make
id: CartPole-v1
kwargs: {}
"""


@pytest.mark.parametrize("absolute", [True, False])
def test_a_folder_of_one_s_own_yaml_files(absolute: bool, tmp_path: Path):
    folder = tmp_path / "my_conf"
    (folder / "env").mkdir(parents=True)
    (folder / "env/my_pole.yaml").write_text(POLE)
    where = f"hydra.searchpath=[file://{folder if absolute else 'my_conf'}]"
    succeed("train", where, "env=my_pole", "agent=random", *QUICK, cwd=tmp_path)
    assert (tmp_path / "runs/random_my_pole_s0/metrics.csv").exists()


def test_an_agent_of_one_s_own_folder_is_checked_where_no_environment_is_named(tmp_path: Path):
    where = f"hydra.searchpath=[file://{SAMPLE}/my_games/conf]"
    succeed("check", "agent=least_tried", "steps=50", where, cwd=tmp_path, pythonpath=SAMPLE)


ONE_STEP = """\
import gymnasium
from gymnasium import spaces


class OneStep(gymnasium.Env):
    observation_space = spaces.Discrete(2)
    action_space = spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return 0, {}

    def step(self, action):
        return 1, float(action), True, False, {}


gymnasium.register("OneStep-v0", entry_point=OneStep)
"""


def test_any_gymnasium_id_of_a_package_with_no_file(tmp_path: Path):
    (tmp_path / "one_step.py").write_text(ONE_STEP)
    words = ("env=gym", "env.id=one_step:OneStep-v0", "agent=q_learning", *QUICK)
    succeed("train", *words, cwd=tmp_path, pythonpath=tmp_path)
    assert (tmp_path / "runs/q_learning_gym_one_step-OneStep-v0_s0/metrics.csv").exists()
