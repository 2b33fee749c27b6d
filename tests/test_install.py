"""Builds what users install, installs it away from the checkout, and trains with it."""

from __future__ import annotations

import shutil
import site
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
from commands import clean_environment, succeed

ROOT = Path(__file__).parent.parent
FOLDERS = {"rlkit": "rlkit", "agents": "rlkit/agents", "envs": "rlkit/envs", "conf": "rlkit/conf"}
FILES = ("pyproject.toml", "README.md", "LICENSE")
SHIPPED = (".py", ".yaml", ".typed", ".css", ".js")


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run(
        list(map(str, command)),
        cwd=cwd,
        env=clean_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def tree() -> set[str]:
    """Return what the wheel must hold, under the names that it has there."""
    return {
        f"{target}/{path.relative_to(ROOT / folder).as_posix()}"
        for folder, target in FOLDERS.items()
        for path in (ROOT / folder).rglob("*")
        if path.suffix in SHIPPED
    }


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the sdist, the wheel that was built from it, and what the build said."""
    folder = tmp_path_factory.mktemp("build")
    source = folder / "source"
    for name in FOLDERS:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in FILES:
        shutil.copy(ROOT / name, source / name)
    said = run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, source, cwd=folder)
    (folder / "build.log").write_text(said)
    return folder


@pytest.fixture(scope="module")
def python(built: Path) -> Path:
    """Return the interpreter of a new environment with the wheel and this one's other packages."""
    folder = built / "venv"
    run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=built)
    interpreter = folder / "bin" / "python"
    [wheel] = built.glob("*.whl")
    pip = (sys.executable, "-m", "pip", "--python", interpreter, "install", "--quiet", "--no-deps", "--no-index")
    run(*pip, wheel, cwd=built)
    # A path in a .pth file is searched, but the .pth files in it are not read: an editable rlkit stays out.
    [packages] = folder.glob("lib/python*/site-packages")
    (packages / "others.pth").write_text("\n".join(site.getsitepackages()) + "\n")
    return interpreter


def test_the_wheel_holds_what_the_tree_holds_and_one_top_level_name(built: Path):
    [wheel] = built.glob("*.whl")
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert names == tree()
    assert {name.split("/")[0] for name in names} == {"rlkit"}


def test_every_package_is_listed_in_pyproject():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    folders = {Path(name).parent.as_posix().replace("/", ".") for name in tree() if name.endswith("/__init__.py")}
    assert set(settings["packages"]) == folders


def test_the_wheel_has_types_licence_and_console_script(built: Path):
    [wheel] = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        info = {name.partition(".dist-info/")[2]: name for name in archive.namelist()}
        assert "rlkit/py.typed" in archive.namelist()
        assert "MIT License" in archive.read(info["licenses/LICENSE"]).decode()
        assert "rlkit = rlkit.cli.main:main" in archive.read(info["entry_points.txt"]).decode()
        assert "License-Expression: MIT" in archive.read(info["METADATA"]).decode()


def test_the_sdist_holds_the_sources(built: Path):
    [sdist] = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"LICENSE", "README.md", "pyproject.toml", "rlkit/py.typed", "conf/train.yaml", "conf/env/gym.yaml"} <= names


def test_the_build_warns_of_nothing(built: Path):
    said = (built / "build.log").read_text()
    assert "would be ignored" not in said
    assert "Deprecat" not in said


def test_the_installed_wheel_is_what_is_imported(python: Path, tmp_path: Path):
    code = "import rlkit, rlkit.agents, rlkit.envs, rlkit.conf; print(rlkit.__file__, rlkit.conf.__file__)"
    for path in run(python, "-c", code, cwd=tmp_path).split():
        assert Path(path).is_relative_to(python.parent.parent)


def test_the_installed_command_tells_its_version(python: Path, tmp_path: Path):
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert run(python.with_name("rlkit"), "--version", cwd=tmp_path) == f"rlkit {version}\n"
    assert succeed("--version", cwd=tmp_path, python=python) == f"rlkit {version}\n"


def test_a_table_trains_with_the_installed_wheel(python: Path, tmp_path: Path):
    words = ("agent=q_learning", "env=frozen_lake", "total_steps=2000", "eval.every=1000")
    succeed("train", *words, cwd=tmp_path, python=python)
    assert list(tmp_path.glob("videos/*/*.mp4"))


def test_a_network_trains_with_the_installed_console_script(python: Path, tmp_path: Path):
    words = ("total_steps=300", "agent.learning_starts=100", "eval.every=150", "eval.episodes=2", "video=none")
    run(python.with_name("rlkit"), "train", *words, cwd=tmp_path)
    assert (tmp_path / "runs/dqn_cartpole_s0/curve.png").exists()


def test_the_constraints_pin_every_direct_dependency():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    own, *tools = extras[
        "dev"
    ]  # the first is this package with its other extras, but for Ray, which is half a gigabyte
    assert own == f"{project['name']}[{','.join(name for name in extras if name not in ('dev', 'ray'))}]"
    others = [word for name, words in extras.items() if name != "dev" for word in words]
    wanted = [*project["dependencies"], *tools, *others]
    names = {word.split(">=")[0].split("[")[0].lower() for word in wanted}
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    pinned = {line.partition("==")[0].lower(): line.partition("==")[2] for line in lines}
    assert names <= set(pinned)
    assert all(version and "+" not in version and "/" not in version for version in pinned.values())
