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

from rlkit.config.messages import nearest
from rlkit.core.distribution import DISTRIBUTION
from rlkit.core.types import UsageError

PACKAGES = (
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
    "scikit-learn",
)


def default_name(config: dict[str, Any]) -> str:
    """Return ``<agent>_<env>_s<seed>`` or ``<learner>_<data>_s<seed>``, with what the names do not say.

    That is the game or id of an environment, the file of a data set, the class of an estimator. A preset is called by
    its own name: ``<experiment>_s<seed>``.
    """
    choices = config["choices"]
    preset = choices.get("experiment") not in (None, "None")
    pair = ("learner", "data") if "learner" in config else ("agent", "env")
    parts = [choices["experiment"]] if preset else [choices[group] for group in pair]
    parts += _not_said(config, parts[0], preset)
    return re.sub(r"[^\w.-]+", "-", "_".join([*parts, f"s{config['seed']}"]))


def _not_said(config: dict[str, Any], first: str, preset: bool) -> list[str]:
    """Return what the names of the files do not say: `first` is the first of them."""
    choices = config["choices"]
    if "learner" in config:
        named = [str(config["learner"]["estimator"]).rpartition(".")[2]] if choices["learner"] == "sklearn" else []
        return [] if preset else [*named, *([Path(config["data"]["path"]).stem] if "path" in config["data"] else [])]
    if "game" in config["env"] and str(config["env"]["game"]).lower() not in first:
        return [str(config["env"]["game"])]
    return [str(config["env"]["id"])] if choices["env"] == "gym" and not preset else []


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


def read_config(directory: Path) -> dict[str, Any]:
    """Return the config.yaml of a run folder.

    Raises:
        UsageError: there is none, or it is not one of rlkit's.
    """
    path = directory / "config.yaml"
    if not path.is_file():
        known = [folder.parent.name for folder in sorted(directory.parent.glob("*/config.yaml"))]
        raise UsageError(f"there is no run {directory} (no config.yaml in it){nearest(directory.name, known)}")
    try:
        config = yaml.safe_load(path.read_text())
        pair = ("learner", "data") if "learner" in config else ("agent", "env")
        return {**config, **{key: config[key] for key in ("name", *pair)}}
    except (yaml.YAMLError, KeyError, TypeError) as error:
        raise UsageError(f"{path} is not the configuration of an rlkit run: {type(error).__name__}: {error}") from error


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
    for name, package in (("rlkit", DISTRIBUTION), *((package, package) for package in PACKAGES)):
        with suppress(PackageNotFoundError):
            found[name] = version(package)
    return found
