"""Run folders: their names, and what is written into one before training starts."""

from __future__ import annotations

import fcntl
import json
import platform
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import yaml

from rlkit.core import UsageError

PACKAGES = (
    "rlkit",
    "numpy",
    "gymnasium",
    "ale-py",
    "opencv-python-headless",
    "torch",
    "hydra-core",
    "omegaconf",
    "wandb",
    "av",
    "matplotlib",
)


def default_name(config: dict[str, Any]) -> str:
    """Return ``<agent>_<env>_s<seed>``, with the game or id where the environment's name does not say it.

    A preset is called by its own name: ``<experiment>_s<seed>``.
    """
    choices, env = config["choices"], config["env"]
    preset = choices.get("experiment") not in (None, "None")
    parts = [choices["experiment"]] if preset else [choices["agent"], choices["env"]]
    if "game" in env and str(env["game"]).lower() not in parts[0]:
        parts.append(str(env["game"]))
    elif choices["env"] == "gym" and not preset:
        parts.append(str(env["id"]))
    return re.sub(r"[^\w.-]+", "-", "_".join([*parts, f"s{config['seed']}"]))


def claim(config: dict[str, Any]) -> Path:
    """Make the run's folder: a default name that is taken gets a number, an explicit folder is refused."""
    explicit = config["run_dir"] is not None
    base = Path(config["run_dir"] or Path("runs") / config["name"])
    number = 1
    while True:
        directory = base if number == 1 else base.with_name(f"{base.name}-{number}")
        try:
            directory.mkdir(parents=True)
            break
        except FileExistsError:
            if explicit or _named(config):
                raise UsageError(
                    f"run folder {directory} exists and is never overwritten; choose another name=, or go on with "
                    f"resume={directory}"
                ) from None
            number += 1
    config["run_dir"] = str(directory)
    config["name"] = directory.name if not explicit else config["name"]
    return directory


def _named(config: dict[str, Any]) -> bool:
    return bool(config["name"] != default_name(config))


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Keep other processes from training into the folder; the system lets go when this one dies, however it dies.

    Raises:
        UsageError: another process holds it.
    """
    with (directory / "train.log").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(
                f"run folder {directory} is being trained by another process; wait for it or stop it"
            ) from None
        except OSError:
            # A file system without locks: then there is none to respect.
            pass
        yield


def write_folder(directory: Path, config: dict[str, Any]) -> None:
    """Write config.yaml, and versions.json with the folder's own id where there is none yet."""
    path = directory / "versions.json"
    if not path.exists():
        _write_whole(path, json.dumps({"id": secrets.token_hex(8), **versions()}, indent=1) + "\n")
    _write_whole(directory / "config.yaml", yaml.safe_dump(config, sort_keys=False))


def _write_whole(path: Path, text: str) -> None:
    temporary = path.with_suffix(".tmp")
    temporary.write_text(text)
    temporary.replace(path)


def identity(directory: Path) -> str:
    """Return the folder's own random id, which a resumed run keeps."""
    return str(json.loads((directory / "versions.json").read_text())["id"])


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that a run may depend on."""
    found = {"python": platform.python_version(), "platform": platform.platform(terse=True)}
    for package in PACKAGES:
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    return found
