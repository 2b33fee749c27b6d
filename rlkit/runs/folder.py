"""Run folders: their names, and what is written into one before training starts."""

from __future__ import annotations

import fcntl
import os
import re
import shlex
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path, PurePath
from typing import IO, Any, TypeVar

import yaml

from rlkit.config.messages import nearest
from rlkit.config.run_config import FitRunConfig, TrainRunConfig
from rlkit.config.trust import require_literal
from rlkit.config.typed import plain_data, typed
from rlkit.core.types import UsageError, printable

C = TypeVar("C")

CHECKPOINTS = "checkpoints"
"""The folder of a run's checkpoints in its own."""

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""Characters that command a terminal, or are halves of one."""

LONGEST = 250
"""Bytes of the name of a folder; a number may be added to it."""

CHOICE = re.compile(r"\w[\w@./-]*")
"""A name of a file in conf/, or of the group and package that it is chosen for."""


NAMED = ("agent", "env", "env.game", "env.id", "learner", "data", "data.path", "experiment", "seed", "name", "run_dir")
"""Keys whose values are in a default name, or that replace it."""

QUICKLY_READ = 10_000
"""Characters of a YAML that is read by the parser in C."""

LONGEST_NAME = 150
"""Bytes of a default name before the seed."""


def training_name(config: TrainRunConfig, swept: Sequence[str] = ()) -> str:
    """Return the default name of a training run: ``<agent>_<env>_s<seed>``, with the game or id that it does not say.

    A preset is called by its own name: ``<experiment>_s<seed>``. In a sweep, `swept` are the words that a job does not
    share with the others: ``<agent>_<env>_gamma=0.9_s<seed>``.
    """
    choices, env = config.choices, config.env
    preset = _preset(choices)
    parts = [preset] if preset else [choices["agent"], choices["env"]]
    if "game" in env:
        parts += [str(env["game"])] if str(env["game"]).lower() not in parts[0] else []
    elif choices["env"] == "gym" and not preset:
        parts.append(str(env["id"]))
    return _joined([*parts, *_distinguishing(swept)], config.seed)


def fit_name(config: FitRunConfig, swept: Sequence[str] = ()) -> str:
    """Return the default name of a fit: ``<learner>_<data>_s<seed>``, with the class or file that it does not say.

    A preset is called by its own name: ``<experiment>_s<seed>``. `swept` as in `training_name`.
    """
    choices, last = config.choices, list(_distinguishing(swept))
    if preset := _preset(choices):
        return _joined([preset, *last], config.seed)
    parts = [choices["learner"], choices["data"]]
    if choices["learner"] == "sklearn":
        parts.append(str(config.learner["estimator"]).rpartition(".")[2])
    if "path" in config.data:
        parts.append(Path(config.data["path"]).stem)
    return _joined([*parts, *last], config.seed)


def _preset(choices: Mapping[str, str]) -> str | None:
    preset = choices.get("experiment")
    return None if preset in (None, "None") else preset


def _distinguishing(swept: Sequence[str]) -> Iterator[str]:
    """Yield what distinguishes a job of a sweep from the others and is in no default name, as ``gamma=0.9``."""
    for word in swept:
        key, _, value = word.lstrip("+~").partition("=")
        if key not in NAMED:
            text = re.sub(r"[^\w.-]+", "-", value.strip("[]{}'\" "))
            yield f"{key.rpartition('.')[2]}={text}"


def _joined(parts: Sequence[str], seed: int) -> str:
    words = re.sub(r"[^\w.=-]+", "-", "_".join(parts))
    # In bytes, of which file systems allow 255; videos and the runs of a sweep add to it.
    return f"{words.encode()[:LONGEST_NAME].decode(errors='ignore')}_s{seed}"


def placed(name: str, run_dir: str, default: str, *, resumes: bool = True) -> tuple[str, Path]:
    """Claim the folder of a new run, and return the name and the folder that it got.

    Args:
        name: that was typed, or "".
        run_dir: that was typed, or "".
        default: the name of a run without one.
        resumes: whether a run of this kind can be resumed, which the message for an existing folder then offers.

    Raises:
        UsageError: the folder is there, and a name or folder was typed, or the name leads out of the folder of runs.
    """
    require_name(name, f"name={name}")
    _require_length(name or default, "name")
    _require_length(run_dir, "run_dir")
    explicit = bool(run_dir) or name not in ("", default)
    directory = claim(name or default, run_dir or None, explicit=explicit, resumes=resumes)
    return (name or default) if run_dir else directory.name, directory


def claim(name: str, run_dir: str | None, *, explicit: bool, resumes: bool = True) -> Path:
    """Make a run's folder.

    Args:
        name: of the run.
        run_dir: the folder; None: ``runs/<name>``.
        explicit: the user typed one of them; else, where the folder is there, a number is added.
        resumes: as in `placed`.

    Raises:
        UsageError: an explicit folder is there, or it cannot be made.
    """
    base = Path(run_dir or Path("runs") / name)
    number = 1
    while True:
        directory = base if number == 1 else base.with_name(f"{base.name}-{number}")
        try:
            directory.mkdir(parents=True)
            return directory
        except FileExistsError:
            if explicit:
                on = f", or go on with {shlex.quote(f'resume={directory}')}" if resumes else ""
                raise UsageError(
                    f"run folder {directory} exists and is never overwritten; choose another name={on}"
                ) from None
            number += 1
        except OSError as error:
            shown = f"{str(directory)[:100]}…" if len(str(directory)) > 100 else directory
            why = (error.strerror or str(error)).lower()
            raise UsageError(f"cannot make the run folder {shown}: {why}; choose another name= or run_dir=") from error


def _log(directory: Path) -> IO[str]:
    path = directory / "train.log"
    try:
        return path.open("a")
    except OSError as error:
        from rlkit.core.files import not_written

        raise UsageError(not_written(path, error)) from error


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Keep other processes from training into the folder; the system lets go when this one dies, however it dies.

    Raises:
        UsageError: another process holds it.
    """
    with _log(directory) as file:
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


def wait_until_free(directory: Path, seconds: float) -> None:
    """Wait up to `seconds` for a process that trains into the folder to end, as one whose command was killed does."""
    until = time.monotonic() + seconds
    with _log(directory) as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() < until:
                    time.sleep(0.1)
                    continue
            except OSError:
                pass  # A file system without locks.
            return


def write_folder(directory: Path, values: Mapping[str, Any]) -> None:
    """Write config.yaml, and versions.json with the folder's own id where there is none yet.

    Raises:
        RunError: the folder cannot be written, or the disk is full.
    """
    from rlkit.core.files import write_whole
    from rlkit.runs import origin

    if not origin.is_whole(directory):
        write_whole(directory / origin.FILE, origin.described(values))
    write_whole(directory / "config.yaml", yaml.safe_dump(dict(values), sort_keys=False))


def read_config(directory: Path) -> dict[str, Any]:
    """Return the config.yaml of a run folder, which may be somebody else's.

    Raises:
        UsageError: there is none, it is not one of rlkit's, or it or a link in the folder leads out of the folder.
    """
    path = directory / "config.yaml"
    if is_file(directory):
        raise UsageError(
            f"{directory} is a file, not the folder of a run; of zips, eval, play, export and match take runs"
        )
    if not is_file(path):
        if len(directory.parts) == 1 and is_file(there := Path("runs") / path):
            raise UsageError(
                f"there is no run {directory} here, but one in {there.parent}; type {shlex.quote(str(there.parent))}"
            )
        known = [folder.parent.name for folder in sorted(directory.parent.glob("*/config.yaml"))]
        raise UsageError(f"there is no run {directory} (no config.yaml in it){nearest(directory.name, known)}")
    from rlkit.runs.links import require_own_files

    require_own_files(directory)
    try:
        text = path.read_text()
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} is not the configuration of an rlkit run: {error}") from error
    return parsed(text, path)


def parsed(text: str, path: Path) -> dict[str, Any]:
    """Return the values of a run's configuration, which may be somebody else's, from its text.

    Args:
        text: YAML.
        path: the file that holds it, for messages.

    Raises:
        UsageError: it is not a configuration of rlkit's, or its name leads out of the folder of runs.
    """
    try:
        values = _loaded(text)
        pair = ("learner", "data") if "learner" in values else ("agent", "env")
        values = {**values, **{key: values[key] for key in ("name", *pair)}}
    except (yaml.YAMLError, KeyError, TypeError, ValueError, RecursionError) as error:
        why = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise UsageError(f"{path} is not the configuration of an rlkit run: {why}") from error
    require_literal(values, path)
    require_name(values["name"], f"{path}: name {values['name']!r}")
    _require_choices(values.get("choices"), path)
    return values


def _loaded(text: str) -> Any:
    """Return plain data of YAML without aliases.

    The parser in C, which takes a seventh of the time, reads what is too short to be nested deeper than its stack, and
    has no star, without which there is no alias. What it refuses is explained by the one in Python.
    """
    if len(text) < QUICKLY_READ and "*" not in text:
        with suppress(yaml.YAMLError):
            return yaml.load(text, getattr(yaml, "CSafeLoader", PlainLoader))
    return yaml.load(text, PlainLoader)


class PlainLoader(yaml.SafeLoader):
    """Reads YAML of plain data without aliases, by which a few lines may stand for billions, or for themselves."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Return the next node.

        Raises:
            ValueError: it is an alias.
        """
        if self.check_event(yaml.AliasEvent):
            raise ValueError(f"line {self.line + 1} has an alias; write what it stands for")
        return super().compose_node(parent, index)


def require_name(name: Any, shown: str) -> None:
    """Refuse a name of a run that no folder can have, or that leads out of the folder of runs, or of videos.

    Args:
        name: of the run.
        shown: how the message calls it.

    Raises:
        UsageError: it is such a name.
    """
    path = PurePath(str(name))
    if not _is_text(str(name)):
        raise UsageError(f"{ascii(shown)[1:-1]} has a character that no file can hold; a name is text in Unicode")
    if CONTROL.search(str(name)):
        raise UsageError(f"{printable(shown)} has characters that no terminal shows; leave them out of the name")
    if path.is_absolute() or ".." in path.parts:
        raise UsageError(f"{shown} leads out of the folder of runs; a name has no .. and no / at its beginning")


def _is_text(name: str) -> bool:
    """Return whether a name can be written into files: bytes that are not UTF-8 come from a command line as halves."""
    return "\0" not in name and not any("\ud800" <= character <= "\udfff" for character in name)


def _require_length(path: str, key: str) -> None:
    """Refuse a path with a part that is longer than a folder's name can be."""
    for part in PurePath(path).parts:
        if (size := len(os.fsencode(part))) > LONGEST:
            raise UsageError(f"{key}={path[:40]}… has a part of {size} bytes; a folder's name has at most {LONGEST}")


def _require_choices(choices: Any, path: Path) -> None:
    for key, value in choices.items() if isinstance(choices, Mapping) else ():
        words = str(key), str(value)
        if not all(CHOICE.fullmatch(word) and ".." not in word for word in words) or words[0].startswith("hydra"):
            raise UsageError(f"{path}: choices.{key} is {value!r}, which is no name of a file in conf/")


def is_file(path: Path) -> bool:
    """Return whether there is such a file; a name that is too long for the system is none."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def run_config(kind: type[C], values: Mapping[str, Any], directory: Path) -> C:
    """Return the values of a run folder's config.yaml as an object of the dataclass `kind`.

    Raises:
        UsageError: they are not those of this version of rlkit.
    """
    for key in ("resume", "resume_sweep", "empty_replay", "trust"):
        if key in values:
            raise UsageError(f"{directory / 'config.yaml'} has the key {key}, which only a command has")
    try:
        return typed(kind, values)
    except UsageError as error:
        raise UsageError(f"{directory / 'config.yaml'} is not of this version of rlkit: {error}") from error


def training_config(directory: Path) -> TrainRunConfig:
    """Return the configuration of a training run's folder.

    Raises:
        UsageError: it is not there, or not a training run of this version of rlkit.
    """
    values = read_config(directory)
    if "learner" in values:
        raise UsageError(f"{directory} is a run of rlkit fit; rlkit predict and rlkit report take it")
    return run_config(TrainRunConfig, values, directory)


def training_values(config: TrainRunConfig) -> dict[str, Any]:
    """Return what config.yaml holds of a training run."""
    values = plain_data(config)
    del values["resume"], values["resume_sweep"], values["empty_replay"], values["trust"]
    from rlkit.config.own_code import in_text

    return {**values, "env": in_text(values["env"]), "preprocess": in_text(values["preprocess"])}
