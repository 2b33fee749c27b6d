"""The journeys that the benchmark counts stay short, and what it counts is what was executed."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from rlkit.algorithms.tabular.traces import Step, plain
from rlkit.core import loop


def script() -> Any:
    path = Path(__file__).parent / "benchmarks/journeys.py"
    spec = importlib.util.spec_from_file_location("journeys", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_an_update_of_q_learning_is_eight_functions_in_three_modules() -> None:
    functions, modules = script().q_learning().counted()
    names = {function.name for function in functions}
    assert {"QLearning.target", "QTable.max_value", "QTable.update"} <= names
    assert len(functions) <= 8
    assert len(modules) <= 3


def test_what_is_executed_is_counted_once_from_the_beginning_to_the_end() -> None:
    journeys = script()
    step = Step(0, 0, 0.0, 1.0, 1, False, None, None)
    crossed = ("rlkit.core.loop", "crossed")
    trace = journeys.Trace(begin=crossed, end=("call", ("rlkit.algorithms.tabular.traces", "make_traces")))
    from rlkit.algorithms.tabular.traces import make_traces

    ended = False
    try:
        with trace.on():
            plain(step)
            for _ in range(2):
                loop.crossed(0, 1, 1)
            [plain(step) for _ in range(2)]
            make_traces(1, 0.0)
    except journeys.ReachedError:
        ended = True
    functions, modules = trace.counted()
    assert ended
    assert [function[:2] for function in functions] == [("rlkit.algorithms.tabular.traces", "plain"), crossed]
    assert modules == ["rlkit.algorithms.tabular.traces", "rlkit.core.loop"]


def test_a_step_of_dqn_with_its_gradient_step_is_45_functions_in_12_modules() -> None:
    functions, modules = script().dqn().counted()
    names = {function.name for function in functions}
    assert {"DQN.act", "DQN.observe", "DQN._gradient_step", "UniformReplay.sample", "Expected.loss"} <= names
    assert len(functions) <= 45
    assert len(modules) <= 12


def test_a_command_reaches_the_launch_of_its_run_through_25_modules() -> None:
    functions, modules = script().walked("start")
    assert "composed" in {function.name for function in functions}
    assert len(modules) <= 25


@pytest.mark.slow
def test_a_resumed_run_restores_its_replay_through_75_modules() -> None:
    functions, modules = script().walked("resume")
    assert {"Training.resume", "UniformReplay.load_state_dict"} <= {function.name for function in functions}
    assert len(modules) <= 75
    unused = {"convolutional", "actor_critic", "policy_value", "population", "weights"}
    assert not {f"rlkit.networks.{name}" for name in unused} & set(modules)
    assert "rlkit.replay.prioritized" not in modules
