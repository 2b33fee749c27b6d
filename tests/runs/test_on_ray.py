"""Runs on a cluster of Ray: two nodes on this machine stand in for two machines."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from commands import Command
from kills import compare, finish, launch

pytestmark = pytest.mark.slow

PERIODS = (
    "tuned=none num_envs=8 eval.every=4000 eval.episodes=3 eval.max_steps=300 checkpoint.every=1500 log.every=500 "
    "logger=[csv] video=none run_dir=runs/case"
)
RUNS = {
    "ppo": f"agent=ppo env=cartpole agent.n_steps=64 agent.epochs=2 total_steps=24000 {PERIODS}",
    "a2c": f"agent=a2c env=cartpole total_steps=8000 {PERIODS}",
}
REMOTE = "vectorization=ray actors=2"


class TwoNodes:
    """A cluster of two nodes with a place for one actor each."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster

        memory = {"object_store_memory": 100 * 2**20}
        self._cluster = Cluster(
            initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False, **memory}
        )
        self._cluster.add_node(num_cpus=1, **memory)
        self.address: str = self._cluster.address

    def kill_head(self) -> None:
        """Kill all processes of the head."""
        for infos in self._cluster.head_node.all_processes.values():
            for info in infos:
                info.process.kill()

    def shut_down(self) -> None:
        """End what is left."""
        with suppress(Exception):
            self._cluster.shutdown()


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[TwoNodes]:
    pytest.importorskip("ray")
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    nodes = TwoNodes()
    monkeypatch.setenv("RAY_ADDRESS", nodes.address)
    yield nodes
    nodes.shut_down()


def whole(folder: Path, words: str) -> Path:
    """Train in one process; return the folder of the run."""
    (folder / "whole").mkdir()
    finish(launch(folder / "whole", words))
    return folder / "whole/runs/case"


def begun(folder: Path, words: str) -> Command:
    """Start training with actors, and wait for a checkpoint in the middle of the run."""
    folder.mkdir()
    process = launch(folder, f"{words} {REMOTE}")
    while not any(int(path.name) >= 4500 for path in folder.glob("runs/case/checkpoints/[1-9]*")):
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    return process


def actors() -> list[int]:
    """Return the ids of the processes that are actors."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if b"ray::WorkerHost" in path.read_bytes():
                found.append(int(path.parent.name))
    return found


@pytest.mark.draws
@pytest.mark.parametrize("agent", RUNS)
def test_two_nodes_write_what_one_process_writes(agent: str, tmp_path: Path, cluster: TwoNodes) -> None:
    expected = whole(tmp_path, RUNS[agent])
    (tmp_path / "remote").mkdir()
    finish(launch(tmp_path / "remote", f"{RUNS[agent]} {REMOTE}"))
    assert compare(expected, tmp_path / "remote/runs/case") == []


@pytest.mark.draws
def test_a_killed_actor_is_replaced(tmp_path: Path, cluster: TwoNodes) -> None:
    expected = whole(tmp_path, RUNS["ppo"])
    process = begun(tmp_path / "killed", RUNS["ppo"])
    victims = actors()
    assert len(victims) == 2
    os.kill(victims[1], signal.SIGKILL)
    finish(process)
    assert compare(expected, tmp_path / "killed/runs/case") == []


@pytest.mark.draws
@pytest.mark.parametrize("victim", ["driver", "head"])
def test_a_run_goes_on_where_it_or_ray_was_killed(
    victim: str, tmp_path: Path, cluster: TwoNodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = whole(tmp_path, RUNS["ppo"])
    process = begun(tmp_path / "killed", RUNS["ppo"])
    other: Any = None
    if victim == "driver":
        process.kill()
    else:
        cluster.kill_head()
    process.communicate(timeout=120)
    assert process.returncode != 0
    assert not (tmp_path / "killed/runs/case/checkpoints/24000").exists()
    if victim == "head":
        cluster.shut_down()
        other = TwoNodes()
        monkeypatch.setenv("RAY_ADDRESS", other.address)
    finish(launch(tmp_path / "killed", "resume=runs/case"))
    assert compare(expected, tmp_path / "killed/runs/case") == []
    if other is not None:
        other.shut_down()
