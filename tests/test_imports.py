from __future__ import annotations

import ast
import graphlib
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = {"rlkit": "rlkit", "rlkit.agents": "agents", "rlkit.envs": "envs"}


def modules() -> dict[str, Path]:
    """Return every module of the package with its file."""
    found = {}
    for package, folder in FOLDERS.items():
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT / folder).with_suffix("").parts
            found[".".join([package, *parts]).removesuffix(".__init__")] = path
    return found


def imports(path: Path, module: str) -> set[str]:
    """Return the full names that a file imports anywhere, in functions and for type checking too."""
    names = set()
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*parents, *([base] if base else [])])
            names |= {f"{base}.{alias.name}" for alias in node.names}
    return names


@cache
def graph() -> dict[str, set[str]]:
    """Return the modules of the package that each of them imports anywhere."""
    known = modules()
    edges: dict[str, set[str]] = {}
    for module, path in known.items():
        edges[module] = set()
        for name in imports(path, module):
            while name and name not in known:
                name = name.rpartition(".")[0]
            edges[module] |= {name} - {"", "rlkit", module}
    return edges


def test_no_module_imports_itself_by_way_of_others() -> None:
    tuple(graphlib.TopologicalSorter(graph()).static_order())


def test_a_circle_is_noticed() -> None:
    closed = {**graph(), "rlkit.core.types": {"rlkit.runs.launch"}}
    with pytest.raises(graphlib.CycleError):
        tuple(graphlib.TopologicalSorter(closed).static_order())


def test_rlkit_has_sixteen_rooms_and_three_files() -> None:
    entries = [path for path in (ROOT / "rlkit").iterdir() if path.name != "__pycache__"]
    assert {path.name for path in entries if path.is_file()} == {"__init__.py", "__main__.py", "py.typed"}
    rooms = {path.name for path in entries if path.is_dir()}
    assert len(rooms) == 16
    for room in rooms:
        assert ast.get_docstring(ast.parse((ROOT / "rlkit" / room / "__init__.py").read_text())), room


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    """Return a folder with the package as it is when it is installed."""
    for package, folder in FOLDERS.items():
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / folder, tmp_path.joinpath(*package.split(".")), ignore=ignored)
    return tmp_path


def linted(whole: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()", "--no-cache"]
    command += ["--config", str(ROOT / "pyproject.toml")]
    environment = {**os.environ, "PYTHONPATH": str(whole)}
    return subprocess.run(command, cwd=whole, env=environment, capture_output=True, text=True)


def test_rooms_import_only_from_rooms_below_them(whole: Path) -> None:
    done = linted(whole)
    assert done.returncode == 0, done.stdout
    assert "0 broken" in done.stdout


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("core/loop.py", "def late():\n    from rlkit.vector import vector"),
        ("planning/mdp/model.py", "def late():\n    import rlkit.runs.build"),
        ("testing/rules.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from rlkit.cli import main"),
        ("runs/build.py", "from rlkit.agents import dqn"),
        ("agents/dqn.py", "from rlkit.envs import gym"),
        ("envs/gym.py", "from rlkit.agents import dqn"),
        ("new_room/__init__.py", ""),
    ],
)
def test_a_forbidden_import_breaks_the_contract(module: str, line: str, whole: Path) -> None:
    path = whole / "rlkit" / module
    path.parent.mkdir(exist_ok=True)
    with path.open("a") as file:
        file.write(f"\n{line}\n")
    assert linted(whole).returncode == 1


def test_the_walk_sees_all_modules_and_all_kinds_of_import(tmp_path: Path) -> None:
    assert {"rlkit", "rlkit.core.types", "rlkit.runs.loggers.csv", "rlkit.agents.dqn", "rlkit.envs.gym"} <= set(
        modules()
    )
    path = tmp_path / "x.py"
    path.write_text(
        "import a.b\ndef f():\n    from .. import agents\n    from .agents.dqn import DQN\n    from c import d\n"
    )
    assert imports(path, "rlkit.runs.x") == {"a.b", "rlkit.agents", "rlkit.runs.agents.dqn.DQN", "c.d"}


def test_targets_imports_neither_numpy_nor_torch() -> None:
    imported = imports(ROOT / "rlkit" / "core" / "targets.py", "rlkit.core.targets")
    assert {name.split(".")[0] for name in imported} <= {"__future__", "typing"}


OWN_GENERATORS = {"BitGenerator", "Generator", "SeedSequence", "default_rng"}
OWN_GENERATORS |= {"MT19937", "PCG64", "PCG64DXSM", "Philox", "RandomState", "SFC64"}


def test_nothing_draws_from_a_global_generator() -> None:
    for module, path in modules().items():
        # The contract kit looks at them, to see that nobody else draws from them.
        if module.startswith("rlkit.testing."):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) in ("np.random", "numpy.random"):
                assert node.attr in OWN_GENERATORS, f"{module}: {ast.unparse(node)}"
            assert not (isinstance(node, ast.Import) and any(alias.name == "random" for alias in node.names)), module


def loaded(code: str) -> set[str]:
    """Return the top-level packages that are imported after `code` ran in a fresh interpreter."""
    script = f"{code}\nimport sys; print(*{{name.split('.')[0] for name in sys.modules}})"
    return set(subprocess.check_output([sys.executable, "-c", script], text=True).split())


HEAVY = {"torch", "wandb", "matplotlib", "sklearn", "av", "numba", "ale_py", "cv2"}


def test_importing_rlkit_loads_nothing_heavy() -> None:
    assert not loaded("import rlkit") & {*HEAVY, "gymnasium", "hydra", "numpy"}


def test_the_core_and_the_tabular_agents_load_nothing_heavy() -> None:
    core = "types, loop, checkpoint, targets, statistics, seeding, schedules"
    rooms = "rlkit.vector.vector, rlkit.replay, rlkit.algorithms.exploration, rlkit.runs.launch, rlkit.cli.main"
    agents = "rlkit.agents.q_learning, rlkit.agents.random"
    others = f"{agents}, rlkit.envs.gym, rlkit.envs.atari, rlkit.preprocess, rlkit.algorithms.tabular.compiled"
    packages = loaded(f"from rlkit.core import {core}\nimport {rooms}, {others}")
    assert "rlkit" in packages
    assert not packages & HEAVY
