"""Run folders whose figures are written down, for reports to be held against."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from rlkit.config import instantiate
from rlkit.config.compose import composed

Returns = Mapping[int, Sequence[float]]
"""Returns of the episodes at a step."""


def write_run(
    folder: Path, *, seed: int, evaluations: Returns, episodes: Returns | None = None, words: Sequence[str] = ()
) -> Path:
    """Write the folder of a run of Q-learning on FrozenLake with these returns; return it."""
    config, choices = composed("train", ["agent=q_learning", "env=frozen_lake", "tuned=none", *words])
    plain: dict[str, Any] = {**instantiate.plain(config), "choices": dict(choices), "name": folder.name, "seed": seed}
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump({**plain, "run_dir": str(folder), "device": "cpu"}))
    rows = [f"{step},{i},{value},1,0" for step, values in evaluations.items() for i, value in enumerate(values)]
    _write(folder / "evaluations.csv", "step,episode,return/raw,length,final", rows)
    played = evaluations if episodes is None else episodes
    rows = [f"{step},0,{value},{value},1,0" for step, values in played.items() for value in values]
    _write(folder / "episodes.csv", "step,env,return/raw,return/learner,length,cut", rows)
    return folder


def _write(path: Path, header: str, rows: Sequence[str]) -> None:
    path.write_text("\n".join([header, *rows]) + "\n")
