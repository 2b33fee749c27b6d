"""Of an image and a vector, one says what to do: it is learned from as if it were alone, and not from a flat vector."""

from __future__ import annotations

from pathlib import Path

import pytest
from locations import TESTS

import rlkit

AGENTS = {
    "dqn": "agent=dqn total_steps=3000 agent.learning_starts=500 agent.train_freq=4 agent.epsilon.steps=2000",
    "ppo": "agent=ppo total_steps=8000 agent.n_steps=32 agent.epochs=4 agent.anneal=false agent.gamma=0",
    "sac": "agent=sac env._target_=sights.Steered total_steps=4000 agent.learning_starts=500 agent.train_freq=4 "
    "agent.batch_size=64 agent.gamma=0 agent.learning_rate=0.001",
    "a2c": "agent=a2c total_steps=16000 agent.n_steps=8 agent.anneal=false agent.gamma=0",
}
WORDS = (
    "env=cartpole ~env.id ~env.kwargs tuned=none num_envs=8 seed=1 threads=1 device=cpu "
    "video=none logger=[csv] eval.every=0 checkpoint.every=100000"
)
SHOWN = {
    "both": "",
    "alone": "+env.alone=true",
    "flat": "preprocess=[gymnasium.wrappers.FlattenObservation]",
}


def score(agent: str, cue: str, shown: str, folder: Path) -> float:
    """Return the mean return of 20 episodes after training, from 0 to 16; 8 by chance."""
    words = f"env._target_=sights.Sights {AGENTS[agent]} {WORDS} +env.cue={cue} {SHOWN[shown]} run_dir={folder / shown}"
    run = rlkit.train(*words.split())
    return float(run.evaluate(episodes=20)["return/raw"]["mean"])


@pytest.mark.slow
@pytest.mark.parametrize("cue", ["image", "vector"])
@pytest.mark.parametrize("agent", AGENTS)
def test_the_part_that_matters_is_learned_from_among_others_and_not_from_a_flat_vector(
    agent: str, cue: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(TESTS)
    both, alone, flat = (score(agent, cue, shown, tmp_path) for shown in SHOWN)
    print(f"{agent} {cue}: {both=:.2f} {alone=:.2f} {flat=:.2f}")
    assert both > 14
    assert both > alone - 1
    assert flat < 11
