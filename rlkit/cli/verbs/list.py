"""`rlkit list`."""

from __future__ import annotations

import json
from collections.abc import Sequence

from rlkit.config import plugins
from rlkit.config.help import columns, summary
from rlkit.config.messages import nearest
from rlkit.core.types import UsageError

GROUPS = {
    "agent": "agents",
    "env": "environments",
    "network": "networks",
    "policy_network": "networks of policies",
    "latents": "latents of learned models",
    "distribution": "distributions",
    "replay": "replays",
    "schedule": "schedules",
    "features": "features",
    "discretizer": "discretizers",
    "policy": "policies",
    "explorer": "explorers",
    "expert": "experts",
    "learner": "learners",
    "data": "data sets",
    "prepare": "preparations of data",
    "logger": "loggers",
    "callback": "callbacks",
    "search": "ranges of searches",
    "sampler": "samplers of searches",
    "pruner": "pruners of searches",
    "scheduler": "schedulers of searches",
    "experiment": "experiments",
    "tuned": "tuned values",
    "suite": "suites",
}
GYM = "gym"


def main(argv: Sequence[str]) -> int:
    """Print what there is: everything, one group, or the registered Gymnasium ids.

    Raises:
        UsageError: an unknown group or word.
    """
    words = [word for word in argv if not word.startswith(("output=", plugins.SEARCHPATH))]
    formats = [word.partition("=")[2] for word in argv if word.startswith("output=")]
    for output in formats:
        if output not in ("text", "json"):
            raise UsageError(f"there is no output={output}; there is: text, json")
    group = _group(words, argv)
    as_json = formats[-1:] == ["json"]
    if group == GYM:
        ids = gymnasium_ids()
        print(json.dumps({GYM: ids}) if as_json else "\n".join(ids))
        return 0
    found = {name: plugins.entries(name, argv) for name in ([group] if group else _groups(argv))}
    print(json.dumps({name: [_plain(entry) for entry in found[name]] for name in found}) if as_json else _text(found))
    return 0


def gymnasium_ids() -> list[str]:
    """Return the registered ids, the newest version of each, and with their module those of installed packages."""
    import gymnasium

    from rlkit.config.gym_packages import ids_of_packages

    newest: dict[tuple[str | None, str], tuple[int, str]] = {}
    for id, spec in gymnasium.registry.items():
        key = (spec.namespace, spec.name)
        newest[key] = max(newest.get(key, (-1, "")), (spec.version or 0, id))
    others = [named for id, named in ids_of_packages().items() if id not in gymnasium.registry]
    return [*sorted(id for _, id in newest.values()), *sorted(others)]


def _groups(argv: Sequence[str]) -> list[str]:
    """Return the groups that have entries: those known here first, then those of plugins and of `argv`'s folders."""
    there = {entry.group for entry in plugins.entries(words=argv)}
    return [*(name for name in GROUPS if name in there), *sorted(there - set(GROUPS))]


def _group(words: Sequence[str], argv: Sequence[str]) -> str | None:
    if not words:
        return None
    if len(words) > 1:
        raise UsageError(f"rlkit list takes one group, not {' '.join(words)}")
    plural = {title: name for name, title in GROUPS.items()}
    name = plural.get(words[0], words[0])
    known = [*_groups(argv), GYM]
    if name not in known:
        raise UsageError(f"there is no group {words[0]}{nearest(words[0], known)}")
    return name


def _plain(entry: plugins.Entry) -> dict[str, str]:
    return {"name": entry.name, "summary": entry.summary, "origin": entry.origin.distribution}


def _heading(name: str) -> str:
    title = GROUPS.get(name, name)
    return f"{title[0].upper()}{title[1:]}: {name}=…"


def _text(found: dict[str, list[plugins.Entry]]) -> str:
    parts = [
        f"{_heading(name)}\n" + columns([(entry.name, summary(entry)) for entry in entries])
        for name, entries in found.items()
    ]
    hint = ["any Gymnasium id: env=gym env.id=…; `rlkit list gym` shows them"] if "env" in found else []
    return "\n\n".join([*parts, *hint])
