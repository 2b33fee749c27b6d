"""Schedules of a run that is made longer on resume."""

from __future__ import annotations

from pathlib import Path

import pytest

import rlkit
from rlkit.core.schedules import OverRun
from rlkit.core.types import UsageError


def test_over_run_is_a_line_to_the_end_of_the_run_or_of_its_own() -> None:
    assert [OverRun(0.4, 1.0, 1000)(step) for step in (0, 500, 1000, 3000)] == pytest.approx([0.4, 0.7, 1.0, 1.0])
    assert OverRun(0.0, 1.0, 1000, steps=100)(50) == 0.5
    with pytest.raises(UsageError, match="needs total_steps"):
        OverRun(0.0, 1.0, None)


def test_all_schedules_follow_a_new_total_steps_and_a_line_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ("eval.every=0", "video=none")
    rlkit.train(
        *("agent=dqn", "replay=prioritized", "agent.anneal=true", "env=cartpole", "tuned=none", "name=p"),
        *("total_steps=100", "agent.learning_starts=50", *words),
    )
    short = rlkit.load("runs/p").agent
    capsys.readouterr()
    rlkit.train("resume=runs/p", "total_steps=200")
    longer = rlkit.load("runs/p").agent
    rates = [agent._optimizer._learning_rate(90) / agent._optimizer._learning_rate(0) for agent in (short, longer)]
    betas = [agent._replay._beta(90) for agent in (short, longer)]
    # 10% and 55% of the rate are left; beta is 0.4 + 0.6 * 0.9, and 0.4 + 0.6 * 0.45.
    assert rates == pytest.approx([0.1, 0.55])
    assert betas == pytest.approx([0.94, 0.67])
    assert "schedules that end with the run, such as an annealed rate, end at step 200 now" in capsys.readouterr().out
