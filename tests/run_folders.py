"""Run folders whose figures are written down, for reports to be held against."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml
from making import run_config

from rlkit.runs.folder import training_values

Returns = Mapping[int, Sequence[float]]
"""Returns of the episodes at a step."""


def write_run(
    folder: Path, *, seed: int, evaluations: Returns, episodes: Returns | None = None, words: Sequence[str] = ()
) -> Path:
    """Write the folder of a run of Q-learning on FrozenLake with these returns; return it."""
    plain = training_values(run_config("agent=q_learning", "env=frozen_lake", "tuned=none", "device=cpu", *words))
    folder.mkdir(parents=True)
    own = {"name": folder.name, "seed": seed, "run_dir": str(folder)}
    (folder / "config.yaml").write_text(yaml.safe_dump({**plain, **own}))
    rows = [f"{step},{i},{value},1,0" for step, values in evaluations.items() for i, value in enumerate(values)]
    _write(folder / "evaluations.csv", "step,episode,return/raw,length,final", rows)
    played = evaluations if episodes is None else episodes
    rows = [f"{step},0,{value},{value},1,0" for step, values in played.items() for value in values]
    _write(folder / "episodes.csv", "step,env,return/raw,return/learner,length,truncated_by_checkpoint", rows)
    return folder


def _write(path: Path, header: str, rows: Sequence[str]) -> None:
    path.write_text("\n".join([header, *rows]) + "\n")
