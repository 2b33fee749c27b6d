"""The card of a shared run: what it is, how well it plays, how it was trained, and how to run it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from rlkit.core.types import printable
from rlkit.runs import origin

if TYPE_CHECKING:
    from rlkit.runs.trained import TrainedRun

LONGEST = 100
"""Characters of a value in a table."""

SHOWN = ("env", "preprocess", "agent", "network", "num_envs", "total_steps", "seed")
"""Keys of the configuration that the card lists."""

HIDDEN = ("_from_run_", "_partial_")


def card(run: TrainedRun, step: int, file: str, names: Sequence[str]) -> str:
    """Return the card as Markdown.

    Args:
        run: the run.
        step: of the checkpoint inside.
        file: the name of the zip.
        names: of the files beside the card.
    """
    agent, env = (title(run.values[key]) for key in ("agent", "env"))
    parts = [
        f"# {inline(run.name)}",
        f"`{inline(agent)}` in `{inline(env)}`, trained with rlkit; its checkpoint at step {step:,} is inside.",
        *(["![Learning curve](curve.png)"] if "curve.png" in names else []),
        *(["[A video](video.mp4)"] if "video.mp4" in names else []),
        "## Scores",
        scores(run, step),
        "## Use",
        f"```bash\nrlkit eval run={inline(file)} episodes=100\nrlkit play run={inline(file)}\n```",
        f"```python\nimport rlkit\n\npolicy = rlkit.load({file!r}).policy()\n```",
        "The zip holds arrays, JSON and YAML, and no pickle. rlkit trusts it no more than any file of somebody else: "
        "classes that are neither rlkit's nor an installed plugin's need `trust=`.",
        "## Settings",
        table(("key", "value"), settings(run.values)),
        "## Versions",
        table(("package", "version"), versions(run).items()),
    ]
    return "\n\n".join(parts) + "\n"


def title(node: Mapping[str, Any]) -> str:
    """Return what a node is called: an id, else the class."""
    return str(node.get("id") or str(node["_target_"]).rpartition(".")[2])


def scores(run: TrainedRun, step: int) -> str:
    """Return the table of the evaluation at `step`, or that there was none."""
    if not (run.directory / "evaluations.csv").is_file():
        return "None: the run was not evaluated."
    columns = run.evaluations
    rows = columns["step"] == step if columns else np.zeros(0, bool)
    if not rows.any():
        return "None: the run was not evaluated at this step."
    found = [("episodes", f"{int(rows.sum())}")]
    for name in ("return/raw", "length"):
        values = columns[name][rows]
        found.append((name, f"{values.mean():.5g} ± {values.std():.5g} ({values.min():.5g} to {values.max():.5g})"))
    return table(("", "mean ± standard deviation (range)"), found)


def settings(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the dotted keys of a configuration that matter to whoever uses a run, and their values."""
    for key in SHOWN:
        yield from _leaves(key, values.get(key))


def _leaves(key: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping) and value:
        for name, part in value.items():
            if name not in HIDDEN:
                yield from _leaves(f"{key}.{name}", part)
    else:
        yield key, json.dumps(value) if not isinstance(value, str) else value


def versions(run: TrainedRun) -> dict[str, str]:
    """Return the versions that the run began with."""
    found = json.loads(origin.without_sources(run.directory))
    return {name: str(value) for name, value in found.items() if name != "id"}


def table(head: tuple[str, str], rows: Any) -> str:
    """Return a Markdown table of two columns."""
    lines = [f"| {inline(name)} | {inline(value)} |" for name, value in rows]
    return "\n".join([f"| {head[0]} | {head[1]} |", "|---|---|", *lines])


def inline(text: str) -> str:
    """Return a text that neither ends a line, a table's cell nor code, and is no HTML."""
    shown = printable(" ".join(str(text).split()))
    shown = shown if len(shown) <= LONGEST else f"{shown[: LONGEST - 1]}…"
    return shown.replace("|", "/").replace("`", "'").replace("<", "‹").replace(">", "›")
