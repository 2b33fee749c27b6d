"""The command that a fault of an environment names finds that fault: it makes the environment as the run did."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import gymnasium
import pytest

import rlkit
from rlkit.cli.main import main
from rlkit.core.types import EnvironmentFaultError

FILE = """
import gymnasium
from gymnasium import spaces

class Count(gymnasium.Env):
    observation_space = spaces.Discrete(4)
    action_space = spaces.Discrete(2)

    def __init__(self, size=3, start=0):
        self.size, self.start = size, start

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.count = 0
        return self.start, {}

    def step(self, action):
        self.count += 1
        return self.count, 1.0, self.count >= self.size, False, {}

class Beyond(gymnasium.ObservationWrapper):
    def __init__(self, env, by=99):
        super().__init__(env)
        self.by = by

    def observation(self, observation):
        return observation + self.by
"""
RUN = ("agent=q_learning", "total_steps=20", "eval.every=0", "video=none", "tuned=none")
FAULTY = [
    ("env=parts.py:Count", "wrappers=[parts.py:Beyond]"),
    ("env=frozen_lake", "env.kwargs.map_name=8x8", "'wrappers=[{_target_: parts.py:Beyond, by: 70}]'"),
    ("env=parts.py:Count", "env.start=7"),
    ("env=gym", "env.id=CliffWalking-v1", "max_episode_steps=7", "preprocess=[parts.Beyond]"),
]


@pytest.mark.parametrize("words", FAULTY)
def test_the_named_command_finds_the_fault(
    words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "parts.py").write_text(FILE)
    assert main(["train", *shlex.split(" ".join(words[:1])), *(word.strip("'") for word in words[1:]), *RUN]) == 2
    found = re.search(r"`rlkit (check .*)` examines all of it", capsys.readouterr().err)
    assert found is not None
    assert main([*shlex.split(found[1]), "steps=40"]) == 1
    assert re.search(r"FAIL  (observations_fit_the_space|reset_and_step)", capsys.readouterr().out)


def test_a_call_is_named_where_no_command_finds_the_environment() -> None:
    class Wide(gymnasium.ObservationWrapper[Any, Any, Any]):
        def observation(self, observation: Any) -> Any:
            return observation + 99

    with pytest.raises(EnvironmentFaultError, match=r"; `rlkit\.testing\.check_env\(make\)`, make a function that"):
        rlkit.train(*RUN, "env=frozen_lake", wrappers=[Wide])


def test_what_a_run_is_made_of_and_does_not_come_to_is_said_at_its_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "parts.py").write_text(FILE)
    words = ("agent=q_learning", "total_steps=20", *RUN[2:])
    wrapped = "wrappers=[rlkit.preprocess.SignReward,{_target_: parts.py:Beyond, by: 0}]"
    assert main(["train", *words, "env=frozen_lake", wrapped, "run_dir=r"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert "wrappers, innermost first: SignReward, Beyond" in said
    line = (
        "agent.epsilon goes from 1 to 0.05 in 10,000 steps, and total_steps is 20: agent.epsilon.steps=… ends it sooner"
    )
    assert line in said
    assert line in Path("r/train.log").read_text()
    assert main(["train", *words, "env=frozen_lake", "agent.epsilon_counts=episodes", "run_dir=q"]) == 0
    assert "wrappers" not in (out := capsys.readouterr().out)
    assert "ends it sooner" not in out
