"""Settings that held with fresh seeds, as a file for ``tuned=``, offered in the working folder."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from omegaconf import DictConfig, OmegaConf

from rlkit.config import plugins
from rlkit.config.compose import composed
from rlkit.config.run_config import TrainRunConfig
from rlkit.core.files import write_whole, writing
from rlkit.runs.folder import training_values
from rlkit.runs.searching.confirmation import BASE, Confirmed, seeds
from rlkit.runs.searching.search import SearchFolder, pair_name

FOLDER = Path("conf") / "tuned"
TUNED = (
    *("total_steps", "num_envs", "network", "distribution", "replay", "agent", "preprocess", "max_episode_steps"),
    *("overlap", "eval", "checkpoint"),
)
"""Keys that belong to tuned settings, in the order of the file."""


class Offer(NamedTuple):
    """Where settings are, and how to use them."""

    path: Path
    command: str


def offer(search: SearchFolder, again: Sequence[Confirmed]) -> Offer | None:
    """Write the best settings to ``conf/tuned/`` where they are better than those that the search began with.

    A file that is there is left alone: another name is taken.
    """
    if not again or again[0].candidate.name == BASE or again[0].failed is not None:
        return None
    before = next(one for one in again if one.candidate.name == BASE)
    if again[0].mean <= before.mean:
        return None
    words = [word for word in search.header.words if _chooses(word)]
    config, _ = composed("train", [*words, "tuned=none"])
    best = search.run_of(again[0].candidate.values, 0, search.header.name, Path())
    text = _comment(search, again[0], before) + yaml.safe_dump(_different(config, best), sort_keys=False)
    write_whole(search.directory / "tuned.yaml", text)
    path = _free(FOLDER, _name(search), text)
    with writing(path) as file:
        file.write(text)
    command = ["rlkit", "train", *words, f"tuned={path.stem}", "hydra.searchpath=[file://conf]"]
    return Offer(path, shlex.join(command))


def _chooses(word: str) -> bool:
    """Return whether a word chooses a file, or says which environment it is."""
    key = word.lstrip("+~").partition("=")[0]
    group = key.partition("@")[0]
    return key.startswith("env.") or (group != "tuned" and bool(plugins.entries(group)))


def _comment(search: SearchFolder, best: Confirmed, before: Confirmed) -> str:
    scores = ", ".join(f"{score:.5g}" for score in best.scores)
    compared = "failed" if before.failed else f"{before.mean:.5g}"
    tried = ", ".join(map(str, seeds(search)))
    return (
        "# @package _global_\n"
        f"# Found by rlkit search: {best.mean:.5g} on average with seeds {tried} ({scores}); before: {compared}.\n"
    )


def _name(search: SearchFolder) -> str:
    """Return the name by which the file is found for its pair, or another where rlkit has one of that name."""
    pair = pair_name(search.config)
    known = [entry.name for entry in plugins.entries("tuned")]
    return pair if pair not in known else f"{pair}_found"


def _free(folder: Path, name: str, text: str) -> Path:
    """Return a file that is not there, or that says the same."""
    number = 1
    while True:
        path = folder / f"{name if number == 1 else f'{name}_{number}'}.yaml"
        if not path.exists() or path.read_text("utf-8", "replace") == text:
            return path
        number += 1


def _different(config: DictConfig, run: TrainRunConfig) -> dict[str, Any]:
    """Return the values of a run that a composed configuration does not have, but for those that follow others."""
    values, raw = training_values(run), OmegaConf.to_container(config, resolve=False)
    resolved = OmegaConf.to_container(config, resolve=True, enum_to_str=True)
    assert isinstance(raw, dict), "a configuration has keys"
    assert isinstance(resolved, dict), "a configuration has keys"
    found: dict[str, Any] = {}
    for key in TUNED:
        for place, value in _changed(raw.get(key), resolved.get(key), values.get(key), (key,)):
            node = found
            for part in place[:-1]:
                node = node.setdefault(part, {})
            node[place[-1]] = value
    return found


def _changed(raw: Any, old: Any, new: Any, place: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    if old == new or (isinstance(raw, str) and "${" in raw):
        return
    if isinstance(raw, Mapping) and isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in new:
            yield from _changed(raw.get(key), old.get(key), new[key], (*place, key))
    else:
        yield place, new
