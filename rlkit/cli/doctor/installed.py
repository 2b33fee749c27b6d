"""What is installed: Python, rlkit, what it needs, extras, plugins."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterator
from contextlib import redirect_stderr
from importlib.metadata import PackageNotFoundError, requires, version
from importlib.util import find_spec
from io import StringIO
from pathlib import Path

from rlkit.cli.doctor.findings import Finding, State
from rlkit.core.distribution import DISTRIBUTION, own_version

FIRST, BEYOND = (3, 11), (3, 14)
"""The versions of Python that rlkit runs on; the second is the first that it is not tested on."""

EXTRAS = {
    "Box2D": ("Box2D", "env=lunar_lander", 'pip install "gymnasium[box2d]"'),
    "MuJoCo": ("mujoco", "env=hopper", 'pip install "gymnasium[mujoco]"'),
    "Robotics": ("gymnasium_robotics", "env=robotics", "pip install gymnasium-robotics"),
    "dm_control": ("dm_control", "env=dm_control", 'pip install "shimmy[dm-control]" "mujoco<4"'),
    "TensorBoard": ("tensorboard", "logger=[csv,terminal,tensorboard]", "pip install tensorboard"),
    "OpenSpiel": ("pyspiel", "env=open_spiel", "pip install open_spiel"),
    "MiniGrid": ("minigrid", "env=minigrid", "pip install minigrid"),
    "MinAtar": ("minatar", "env=minatar", "pip install minatar"),
    "highway-env": ("highway_env", "env=highway", "pip install highway-env"),
    "PettingZoo": ("pettingzoo", "env=pettingzoo", "pip install pettingzoo"),
    "joblib": (
        "hydra_plugins.hydra_joblib_launcher",
        "rlkit train -m hydra/launcher=joblib",
        "pip install hydra-joblib-launcher",
    ),
    "Ray": ("ray", "rlkit train vectorization=ray actors=4", "pip install ray"),
    "SLURM": (
        "hydra_plugins.hydra_submitit_launcher",
        "rlkit train -m hydra/launcher=submitit_slurm",
        "pip install hydra-submitit-launcher",
    ),
}
"""Optional packages: the module that each brings, what it is for, and how to get it."""

Version = tuple[int, ...]


def python() -> Iterator[Finding]:
    """Report the versions of Python and rlkit."""
    own = platform.python_version()
    right = FIRST <= tuple(map(int, platform.python_version_tuple()[:2])) < BEYOND
    yield Finding(
        "Python", State.ok if right else State.required, own, "" if right else "install Python 3.11, 3.12 or 3.13"
    )
    yield Finding("rlkit", State.ok, f"{own_version()} in {Path(__file__).parents[2]}")


def packages() -> Iterator[Finding]:
    """Report which of the packages that rlkit needs are missing or too old."""
    needed = [line for line in requires(DISTRIBUTION) or [] if "extra ==" not in line]
    lacking = [finding for line in needed if (finding := _lacking(line)) is not None]
    yield from lacking
    if not lacking:
        yield Finding("packages", State.ok, f"all {len(needed)} that rlkit needs are there")


def _lacking(requirement: str) -> Finding | None:
    """Return what is wrong with a package, given as ``name[extra]>=1.2``."""
    found = re.match(r"([\w.-]+)", requirement)
    name = found[1] if found else requirement
    least = re.search(r">=\s*([\d.]+)", requirement)
    remedy = f'pip install "{requirement}"'
    try:
        there = version(name)
    except PackageNotFoundError:
        return Finding("packages", State.required, f"{name} is missing", remedy)
    if least and _numbers(there) < _numbers(least[1]):
        return Finding("packages", State.required, f"{name} {there} is older than {least[1]}", remedy)
    return None


def _numbers(text: str) -> Version:
    return tuple(int(part) for part in re.findall(r"\d+", text.partition("+")[0])[:3])


def video() -> Iterator[Finding]:
    """Report the video encoder."""
    from rlkit.core.types import UsageError
    from rlkit.rendering.video import encoder

    try:
        yield Finding("video", State.ok, f"{encoder()} (PyAV {version('av')})")
    except ImportError as error:
        yield Finding("video", State.broken, f"PyAV cannot be loaded: {error}", "pip install av, or set video=none")
    except UsageError as error:
        yield Finding("video", State.broken, str(error), "pip install av")


def roms() -> Iterator[Finding]:
    """Report the Atari games; ale-py is looked at and not loaded."""
    spec = find_spec("ale_py")
    folders = list(spec.submodule_search_locations or []) if spec is not None else []
    count = len([path for folder in folders for path in Path(folder, "roms").glob("*.bin")])
    if count:
        yield Finding("Atari", State.ok, f"{count} ROMs (ale-py {version('ale-py')})")
    else:
        what = "ale-py is not installed" if spec is None else f"ale-py {version('ale-py')} has no ROMs"
        yield Finding("Atari", State.broken, what, 'pip install --force-reinstall "ale-py>=0.12"')


def wandb() -> Iterator[Finding]:
    """Report how W&B would work, and why."""
    from rlkit.core.types import UsageError
    from rlkit.runs.loggers.wandb_mode import choose_mode, has_key

    asked = os.environ.get("WANDB_MODE")
    try:
        mode = choose_mode(None) or "online"
    except UsageError as error:
        yield Finding("W&B", State.broken, str(error), "unset WANDB_MODE")
        return
    key = "an API key is there" if has_key() else "no API key"
    why = f"WANDB_MODE={asked}, {key}" if asked else key
    remedy = "to send runs: wandb login" if mode == "offline" and not has_key() else ""
    yield Finding("W&B", State.ok, f"{mode}: {why}", remedy)


def extras() -> Iterator[Finding]:
    """Report which of the optional packages are there."""
    for name, (module, use, remedy) in EXTRAS.items():
        if _is_there(module):
            yield Finding(name, State.ok, f"there, for {use}")
        else:
            yield Finding(name, State.absent, f"not installed; {use} needs it", remedy)


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False  # nor is the package that it would lie in


def plugins() -> Iterator[Finding]:
    """Report every plugin with what it adds, those that are broken, and names that two of them define."""
    from rlkit.config import plugins as found
    from rlkit.core.types import UsageError

    yielded = False
    for plugin in found.installed():
        yielded = True
        name = f"{plugin.name} from {plugin.distribution}"
        if plugin.error is not None:
            remedy = f"pip install --upgrade {plugin.distribution}, or pip uninstall {plugin.distribution}"
            yield Finding("plugin", State.broken, f"{name}: {plugin.error}", remedy)
        else:
            files = [f"{path.parent.name}={path.stem}" for path in sorted(plugin.folder.glob("*/[!_]*.yaml"))]
            yield Finding("plugin", State.ok, f"{name}: {', '.join(files) or 'no files'}")
    if not yielded:
        yield Finding("plugins", State.absent, "none")
    try:
        with redirect_stderr(StringIO()):  # broken plugins are reported above
            found.refuse_doubles()
    except UsageError as error:
        what, _, remedy = str(error).partition("; ")
        yield Finding("plugin", State.required, what, remedy)


CHECKS = (
    ("Python", python),
    ("packages", packages),
    ("video", video),
    ("Atari", roms),
    ("W&B", wandb),
    ("extras", extras),
    ("plugins", plugins),
)
