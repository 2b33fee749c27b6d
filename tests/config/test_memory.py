"""Sizes that cannot be: what they would take, what is free and which key to set lower, before anything is allocated."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch

import rlkit
from rlkit.cli.main import main
from rlkit.config.instantiate import build
from rlkit.core import resources
from rlkit.core.resources import MemoryShortageError, available_memory, gigabytes, is_out_of_memory, require_memory
from rlkit.core.types import UsageError

CLUSTERS = "agent=q_learning env=cartpole discretizer@agent.discretizer"
PREPROCESS = "agent=random env=catch preprocess"
HUGE = {
    # environments
    "agent=value_iteration env=car_rental env.max_moves=1000000": "set env.max_cars or env.max_moves lower",
    "agent=q_learning env=catch env.cell=1000000": "set env.rows, env.columns or env.cell lower",
    "agent=q_learning env=gridworld env.rows=1000000 env.columns=1000000": "set env.rows or env.columns lower",
    "agent=q_learning env=random_maze env.rows=1000001 env.columns=1000001": "set env.rows or env.columns lower",
    "agent=q_learning env=windy_gridworld env.rows=1000000000": "set env.rows lower, or a shorter env.wind",
    "agent=q_learning env=gambler env.goal=1000000": "set env.goal lower",
    "agent=q_learning env=bandit env.arms=1000000000": "set env.arms lower",
    "agent=q_learning env=bias env.actions=1000000000": "set env.actions lower",
    "agent=q_learning env=random_walk env.states=1000000000000": "set env.states or env.jump lower",
    "agent=q_learning env=deep_sea env.size=1000000": "set env.size lower",
    "agent=mcts env=gomoku env.size=1000000": "set env.size lower",
    "agent=random num_envs=1000000000": "set num_envs lower",
    "agent=random num_envs=100000 vectorization=async": "set num_envs lower",
    "agent=bandit env=recommendation data.users=1000000000": "set data.users, data.items or data.factors lower",
    # preprocessing
    f"{PREPROCESS}=[{{_target_:rlkit.preprocess.Resize,size:[1000000,1000000]}}]": "set preprocess.0.size lower",
    f"{PREPROCESS}=[{{_target_:rlkit.preprocess.FrameStack,size:1000000000}}]": "set preprocess.0.size lower",
    # networks
    "agent=dqn network.hidden=[40000,40000]": "set network.hidden ([40000, 40000]) or network.joint (256) lower",
    "agent=ppo network.hidden=[1000000,1000000]": "set network.hidden ([1000000, 1000000]) or network.joint",
    "agent=dqn distribution=quantile distribution.quantiles=1000000000": "set distribution.quantiles (1000000000) or",
    # agents
    "agent=mcts env=tic_tac_toe agent.simulations=1000000000": "set agent.simulations or agent.nodes lower",
    "agent=mcts env=tic_tac_toe agent.nodes=1000000000000": "set agent.simulations or agent.nodes lower",
    "agent=alphazero env=tic_tac_toe agent.simulations=2 agent.capacity=1000000000000": "set agent.capacity lower",
    "agent=muzero env=tic_tac_toe agent.simulations=2 agent.capacity=1000000000000": "set agent.capacity lower",
    "agent=ppo agent.n_steps=1000000000": "set agent.n_steps or num_envs lower",
    "agent=a2c agent.n_steps=1000000000": "set agent.n_steps or num_envs lower",
    "agent=reinforce agent.episodes=1000000000": "set agent.episodes lower",
    "agent=es agent.population=1000000000000": "set agent.population lower",
    "agent=dqn tuned=none agent.learning_starts=0 agent.gradient_steps=100000000": "set agent.batch_size or",
    "agent=q_learning env=gridworld tuned=none inner_loop=numba agent.n_step=1000000000": "set agent.n_step lower",
    "agent=bandit env=bandit agent.memory=1000000000000 learner@agent.estimator=linear": "set agent.memory lower",
    "agent=linear_q env=mountain_car agent.features.tilings=1000000000": "agent.features.tilings or",
    "agent=linear_q env=mountain_car features@agent.features=radial agent.features.centres=1000000": "features.centres",
    "agent=linear_q env=mountain_car features@agent.features=polynomial agent.features.order=1000000": "features.order",
    f"{CLUSTERS}=grid agent.discretizer.bins=100000 agent.discretizer.low=[-1,-1,-1,-1] "
    "agent.discretizer.high=[1,1,1,1]": "use fewer bins",
    "agent=dqn replay.capacity=1000000000000": "set replay.capacity lower",
}
FITS = {
    "learner=forest data=iris learner.n_estimators=1000000000": "set n_estimators lower",
    "learner=mlp data=iris learner.hidden_layer_sizes=[100000,100000]": "set hidden_layer_sizes lower",
    "learner=factorization data=planted_ratings learner.n_components=10000000": "set n_components lower",
    "learner=tree data=xor data.rows=10000000000": "set data.rows lower",
    "learner=svd data=planted_ratings data.users=10000000": "set data.users, data.items or data.factors lower",
}
SHORT = ("total_steps=5", "eval.every=0", "video=none", "logger=[csv]")


@pytest.mark.parametrize("words", HUGE)
def test_sizes_that_cannot_be_are_refused_before_they_are_allocated(
    words: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(resources, "_free_memory", lambda: 6 * 10**9)
    assert main(["train", *SHORT, *words.split()]) == 2
    [said] = capsys.readouterr().err.splitlines()
    assert re.search(r" needs [\d,.e+]+ GB, [456]\.\d GB are free; ", said), said
    assert HUGE[words] in said


@pytest.mark.parametrize("words", FITS)
def test_so_are_those_of_data_and_learners(
    words: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(resources, "_free_memory", lambda: 6 * 10**9)
    assert main(["fit", "plots=false", "logger=[csv]", *words.split()]) == 2
    [said] = capsys.readouterr().err.splitlines()
    assert re.search(r" needs [\d,.e+]+ GB, [456]\.\d GB are free; ", said), said
    assert FITS[words] in said


@pytest.mark.parametrize("number", [10**9, 10**15])
@pytest.mark.parametrize(
    ("words", "key"),
    [
        ("train agent=random total_steps=9 video=none logger=[csv] eval.every=3 eval.episodes=", "eval.episodes"),
        ("eval run=r episodes=", "episodes"),
        ("play run=r grid=true episodes=", "episodes"),
        ("match random perfect env=tic_tac_toe games=", "games"),
    ],
)
def test_so_are_more_episodes_than_can_be_remembered(
    words: str,
    key: str,
    number: int,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    if "run=r" in words:
        rlkit.train("agent=random", *SHORT, run_dir="r")
    monkeypatch.setattr(resources, "_free_memory", lambda: 6 * 10**9)
    capsys.readouterr()
    assert main(f"{words}{number}".split()) == 2
    [said] = capsys.readouterr().err.splitlines()
    needed = "250.0" if number == 10**9 else "2e+08"
    begin = f"rlkit: a list of {number:,} {key.rpartition('.')[2]} needs {needed} GB, 6.0 GB are free; "
    assert said.startswith(f"{begin}set {key} lower"), said


def taking(rows: int, columns: list[int]) -> Any:
    return np.zeros((rows, *columns))


def short_of_memory(size: int, cell: int) -> None:
    require_memory(size * 10**15, "a field", "set {size} or {cell} lower")


def test_what_somebody_else_allocates_is_explained_by_the_largest_options() -> None:
    node = {"_target_": "test_memory.taking", "rows": 10**9, "columns": [10**6, 3]}
    with pytest.raises(
        UsageError, match=r"^env needs more memory, .* GB are free; set env\.rows \(1000000000\) or env\.co"
    ):
        build(node, {}, "env")
    module = {"_target_": "torch.zeros", "size": [2**40, 2**20]}
    with pytest.raises(
        UsageError, match=r"^agent\.part needs more memory, .*; set agent\.part\.size \(\[\d+, \d+\]\) lower$"
    ):
        build({"part": module}, {}, "agent")


def test_options_are_named_by_the_path_of_the_object_that_is_built() -> None:
    with pytest.raises(
        UsageError, match=r"^a field needs 3e\+06 GB, .* GB are free; set env\.size or env\.cell lower$"
    ):
        build({"_target_": "test_memory.short_of_memory", "size": 3, "cell": 1}, {}, "env")
    with pytest.raises(MemoryShortageError, match=r"; set size or cell lower$"):
        short_of_memory(3, 1)


class Hungry(gymnasium.Env[Any, Any]):
    """Allocates in its first reset what cannot be."""

    observation_space = gymnasium.spaces.Discrete(2)
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, rows: int):
        self._rows = rows

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        np.zeros((self._rows, 10**9))
        raise AssertionError("there was memory")


def test_what_is_allocated_later_names_what_was_typed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    words = [
        "agent=random",
        "++env._target_=test_memory.Hungry",
        "env=cartpole",
        "~env.id",
        "~env.kwargs",
        "+env.rows=1000000000",
    ]
    assert main(["train", *SHORT, *words]) in (1, 2)
    [said] = capsys.readouterr().err.splitlines()
    assert "env.rows (1000000000)" in said


def test_a_limit_of_the_process_counts_as_memory() -> None:
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 10**9, hard))
    try:
        free = available_memory()
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
    assert free is not None
    assert free <= 10**9


@pytest.mark.parametrize("shape", [(2**20, 2**20), (2**40, 2**40)])
def test_errors_of_memory_are_known(shape: tuple[int, int]) -> None:
    for make in (np.zeros, torch.zeros):
        with pytest.raises(Exception) as caught:  # noqa: PT011 (of several kinds)
            make(shape)
        assert is_out_of_memory(caught.value), caught.value
    assert not is_out_of_memory(ValueError("something else"))


def test_gigabytes_in_words() -> None:
    assert [gigabytes(size) for size in (5e8, 1.234e13, 1e30)] == ["0.5 GB", "12,340.0 GB", "1e+21 GB"]
