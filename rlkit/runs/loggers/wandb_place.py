"""Where runs are sent by W&B: what a stored configuration names must have been typed before."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rlkit.config.agreed import agree_to, is_agreed_to
from rlkit.core.types import printable
from rlkit.runs.loggers.wandb_mode import choose_mode

TARGET = "rlkit.runs.loggers.wandb.WandbLogger"


def agree_to_places(node: Any) -> None:
    """Keep where the W&B loggers in a node, which the user has typed, send to (`rlkit.config.agreed`)."""
    for logger in _loggers(node):
        agree_to(_place(logger))


def with_known_places(node: Any, source: Path) -> tuple[Any, list[str]]:
    """Return a node of a file in which W&B loggers that send to an unknown place work offline, and lines that say so.

    Known is what a command of the user's has named, with its mode, and what WANDB_PROJECT and WANDB_ENTITY say.

    Args:
        node: plain data.
        source: the file, for the lines.
    """
    unknown = [logger for logger in _loggers(node) if not _is_known(logger)]
    return _offline(node, unknown), [_said(logger, source) for logger in unknown]


def grouped(node: Any, group: str, tags: Sequence[str]) -> Any:
    """Return a node in which W&B loggers without a group have one, and more tags.

    Args:
        node: plain data.
        group: the name of a sweep or a search.
        tags: what its runs do not share; W&B allows 64 characters.
    """
    if isinstance(node, Mapping):
        parts = {key: grouped(part, group, tags) for key, part in node.items()}
        if any(node is logger for logger in _loggers(node)):
            known = list(node.get("tags") or [])
            parts["group"] = node.get("group") or group
            parts["tags"] = [*known, *(tag[:64] for tag in tags if tag and tag[:64] not in known)]
        return parts
    return [grouped(part, group, tags) for part in node] if isinstance(node, (list, tuple)) else node


def _loggers(node: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(node, Mapping):
        target = node.get("_target_")
        if TARGET in (target.values() if isinstance(target, Mapping) else [target]):
            yield node
    for part in node.values() if isinstance(node, Mapping) else node if isinstance(node, (list, tuple)) else ():
        yield from _loggers(part)


def _is_known(logger: Mapping[str, Any]) -> bool:
    mode = logger.get("mode")
    if mode in ("offline", "disabled") or (mode is None and choose_mode(None) in ("offline", "disabled")):
        return True  # nothing is sent
    said = {key: os.environ.get(f"WANDB_{key.upper()}") or None for key in ("project", "entity")}
    of_user = said["project"] is not None and mode is None
    return (of_user and all(logger.get(key) == value for key, value in said.items())) or is_agreed_to(_place(logger))


def _place(logger: Mapping[str, Any]) -> str:
    return f"W&B {[logger.get(key) for key in ('entity', 'project', 'mode')]!r}"


def _offline(node: Any, loggers: list[Mapping[str, Any]]) -> Any:
    if any(node is logger for logger in loggers):
        return {**node, "mode": "offline"}
    if isinstance(node, Mapping):
        return {key: _offline(part, loggers) for key, part in node.items()}
    return [_offline(part, loggers) for part in node] if isinstance(node, (list, tuple)) else node


def _said(logger: Mapping[str, Any], source: Path) -> str:
    entity, project = logger.get("entity"), logger.get("project")
    place = printable(str(project) if entity is None else f"{entity}/{project}")
    return (
        f"{source} sends to W&B ({place:.100}), which no command of yours has named: W&B works offline; "
        "to send it, name the place: logger=[csv,terminal,wandb] logger.wandb.project=…"
    )
