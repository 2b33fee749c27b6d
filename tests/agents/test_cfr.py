from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from rlkit.cli.main import main
from rlkit.runs.run import Run
from rlkit.vector.time_steps import first_timestep


def table(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def trained(folder: Path, words: str) -> Run:
    assert main(["train", *words.split(), f"run_dir={folder}", "video=none", "logger=csv"]) == 0
    return Run(folder)


def test_the_score_is_minus_the_exploitability(tmp_path: Path) -> None:
    run = trained(tmp_path / "run", "agent=cfr env=kuhn_poker total_steps=300 agent.iterations=10 eval.every=100")
    rows = table(tmp_path / "run" / "evaluations.csv")
    scores = {int(row["step"]): float(row["return/raw"]) for row in rows}
    metrics = table(tmp_path / "run" / "metrics.csv")
    assert list(scores) == [100, 200, 300]
    assert scores[100] < scores[300] < 0
    assert -scores[300] < 0.003
    assert float(metrics[-1]["game/value"]) == pytest.approx(-1 / 18, abs=2e-2)
    assert run.evaluate(episodes=2)["return/raw"]["mean"] == scores[300]


def test_it_acts_by_the_average_policy(tmp_path: Path) -> None:
    words = "agent=cfr_plus env=matrix_game env.game=matching_pennies total_steps=2000"
    agent = trained(tmp_path / "run", words).agent
    timestep = first_timestep(np.arange(2000) % 2, np.ones((2000, 2), bool))
    drawn, _ = agent.act(timestep, (), explore=False, rng=np.random.default_rng(0))
    assert drawn.reshape(-1, 2).mean(axis=0) == pytest.approx([0.5, 0.5], abs=0.06)


def test_games_without_a_tree_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "agent=cfr", "env=frozen_lake", f"run_dir={tmp_path / 'run'}"]) == 2
    assert "take env=kuhn_poker, leduc_poker or matrix_game" in capsys.readouterr().err
