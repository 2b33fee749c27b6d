from __future__ import annotations

import ast
import subprocess
import sys
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


def of(names: set[str], package: str) -> set[str]:
    return {name for name in names if name == package or name.startswith(f"{package}.")}


def kind(module: str) -> str:
    for package in ("rlkit.agents", "rlkit.envs"):
        if of({module}, package):
            return package
    return "rlkit"


@pytest.mark.parametrize("module", modules())
def test_agents_and_envs_never_import_each_other_and_the_core_imports_neither(module: str) -> None:
    forbidden = {"rlkit.agents": ["rlkit.envs"], "rlkit.envs": ["rlkit.agents"]}.get(
        kind(module), ["rlkit.agents", "rlkit.envs"]
    )
    imported = imports(modules()[module], module)
    for package in [*forbidden, "agents", "envs"]:
        assert not of(imported, package), f"{module} imports {package}"


def test_the_walk_sees_all_modules_and_all_kinds_of_import(tmp_path: Path) -> None:
    assert {"rlkit", "rlkit.core.types", "rlkit.runs.loggers.csv", "rlkit.agents.dqn", "rlkit.envs.gym"} <= set(
        modules()
    )
    path = tmp_path / "x.py"
    path.write_text(
        "import a.b\ndef f():\n    from .. import agents\n    from .agents.dqn import DQN\n    from c import d\n"
    )
    assert imports(path, "rlkit.cli.verbs.x") == {"a.b", "rlkit.agents", "rlkit.cli.verbs.agents.dqn.DQN", "c.d"}


def test_targets_imports_neither_numpy_nor_torch() -> None:
    imported = imports(ROOT / "rlkit" / "targets.py", "rlkit.core.targets")
    assert {name.split(".")[0] for name in imported} <= {"__future__", "typing"}


OWN_GENERATORS = {"BitGenerator", "Generator", "SeedSequence", "default_rng"}
OWN_GENERATORS |= {"MT19937", "PCG64", "PCG64DXSM", "Philox", "SFC64"}


def test_nothing_draws_from_a_global_generator() -> None:
    for module, path in modules().items():
        # The contract kit looks at them, to see that nobody else draws from them.
        if of({module}, "rlkit.testing"):
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
    core = "core, vector, loop, replay, checkpoint, explore, targets, statistics, seeding, training, build, run, cli"
    agents = "rlkit.agents.q_learning, rlkit.agents.random"
    others = f"{agents}, rlkit.envs.gym, rlkit.envs.atari, rlkit.preprocess, rlkit.algorithms.tabular.compiled"
    packages = loaded(f"from rlkit import {core}\nimport {others}")
    assert "rlkit" in packages
    assert not packages & HEAVY
