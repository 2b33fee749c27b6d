"""Processes that train together: what they average is the mean, and all know the same at the same step."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from commands import clean_environment
from kills import compare
from making import configured
from threads_as_ranks import ThreadRank, thread_ranks, together
from torch import nn

import rlkit
from rlkit.algorithms.policy_gradient.normalization import RankedMeanStd, RunningMeanStd
from rlkit.cli.main import main
from rlkit.core.loop import train
from rlkit.core.ranks import rank_place
from rlkit.core.seeding import Seeds
from rlkit.core.types import RunError, UsageError
from rlkit.networks import module_state
from rlkit.networks.optimizer import Optimizer, step_together
from rlkit.runs import build
from rlkit.runs.ranked.joining import require_ranks
from rlkit.runs.ranked.training import RankedTraining
from rlkit.runs.training import Training, stream
from rlkit.vector.vector import VectorEnvironment
from toys import assert_same

PERIODS = "device=cpu env=cartpole log.every=100 eval.every=0 checkpoint.every=200 logger=[] video=none"
SMALL = f"{PERIODS} network.hidden=[8]"
PPO = f"agent=ppo {SMALL} agent.n_steps=16 agent.batch_size=32 agent.epochs=2"
AGENTS = {
    "a2c": f"agent=a2c {SMALL} num_envs=2",
    "actor_critic": f"agent=actor_critic {SMALL} agent.network.standardize=true num_envs=2",
    "dqn": f"agent=dqn {SMALL} agent.learning_starts=100 agent.train_freq=4 agent.batch_size=8",
    "ppo": f"{PPO} num_envs=4 agent.max_kl=0.001 agent.network.standardize=true agent.scale_rewards=true",
    "reinforce": f"agent=reinforce {SMALL} agent.episodes=2 num_envs=2",
    "sac": f"agent=sac {PERIODS} "
    "agent.actor.hidden=[8] agent.critics.hidden=[8] agent.learning_starts=100 agent.train_freq=8 agent.batch_size=8 "
    "agent.standardize=true",
}
"""Agents that ranks train, with what must agree beside gradients: a limit of divergence, scales, episodes' ends."""


def sessions(words: str, folder: Path, ranks: Sequence[ThreadRank], total: int) -> list[RankedTraining]:
    """Return the training of each rank; agents are made one after the other, as they share torch's generator."""
    config = replace(configured(words), total_steps=total, name="run", run_dir=str(folder), choices={})
    parts = []
    for rank in ranks:
        env = build.make_environment(config.environment, num_envs=config.num_envs)
        agent = build.make_agent(config.agent_config, env, Seeds(config.seed, rank.rank))
        parts.append({"agent": agent, "env": env, "callbacks": {}, "opaque": False})

    def made(rank: ThreadRank) -> RankedTraining:
        return RankedTraining(config, folder, folder, ranks=rank, **parts[rank.rank])

    return together(list(ranks), made)


def trained(words: str, folder: Path, total: int, *, resume: bool = False, signal_at: int = sys.maxsize) -> Any:
    """Train with two ranks, of which the second gets a signal at a step, and return their sessions."""
    ranks = thread_ranks()
    known = sessions(words, folder, ranks, total)

    def work(rank: ThreadRank) -> None:
        session = known[rank.rank]
        if resume:
            session.resume(extended=False)
        session.run(lambda: "SIGINT" if rank.rank and session.steps >= signal_at else None)
        session.wait()

    together(ranks, work)
    return known


def weights(session: Training) -> Any:
    return session._agent.state_dict()["network"]


def test_without_torchrun_a_process_is_alone_and_with_it_has_a_place() -> None:
    variables = {"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "0", "MASTER_ADDR": "here", "MASTER_PORT": "1"}
    place = rank_place(variables)
    assert place is not None
    assert (place.rank, place.size, place.local_rank) == (1, 2, 0)
    for missing in ("RANK", "WORLD_SIZE", "MASTER_ADDR"):
        assert rank_place({name: value for name, value in variables.items() if name != missing}) is None
    assert rank_place({**variables, "RANK": "0", "WORLD_SIZE": "1"}) is None
    with pytest.raises(UsageError, match=r"RANK is 2; it must be less than WORLD_SIZE=2"):
        rank_place({**variables, "RANK": "2"})
    with pytest.raises(UsageError, match="WORLD_SIZE is 'many'"):
        rank_place({**variables, "WORLD_SIZE": "many"})


def test_the_first_rank_has_the_streams_of_a_run_that_is_alone_and_others_have_their_own() -> None:
    first, second, third = (Seeds(3, rank).integers("episodes", 5, size=2) for rank in range(3))
    assert first == Seeds(3).integers("episodes", 5, size=2)
    assert len({*first, *second, *third}) == 6
    assert Seeds(3, 2).common == Seeds(3)


def test_a_step_is_down_the_mean_gradient_and_its_norm_is_limited_afterwards() -> None:
    """One weight at 1, gradients 6 and 2 on two ranks: mean 4, limited to 1, so a step of SGD at 0.1 ends at 0.9."""

    def step(rank: ThreadRank) -> float:
        weight = nn.Parameter(torch.ones(1))
        optimizer = Optimizer([weight], torch.optim.SGD, lambda steps: 0.1, max_grad_norm=1.0)
        optimizer.join_ranks(rank)
        optimizer.step((6.0, 2.0)[rank.rank] * weight.sum(), 0)
        return weight.item()

    assert together(thread_ranks(), step) == [pytest.approx(0.9), pytest.approx(0.9)]


def test_the_norm_of_several_gradients_is_that_of_their_means() -> None:
    """Gradients (6, 8) and (0, 0): means 3 and 4 of norm 5, limited to 1: steps of 0.6 and 0.8 at rate 1."""

    def step(rank: ThreadRank) -> list[float]:
        first, second = (nn.Parameter(torch.ones(1)) for _ in range(2))
        optimizers = [
            Optimizer([one], torch.optim.SGD, lambda steps: 1.0, max_grad_norm=1.0) for one in (first, second)
        ]
        for optimizer in optimizers:
            optimizer.join_ranks(rank)
        factor = 1.0 - rank.rank
        step_together(factor * (6 * first + 8 * second).sum(), optimizers, 0)
        return [first.item(), second.item()]

    assert together(thread_ranks(), step) == [pytest.approx([0.4, 0.2])] * 2


def test_statistics_of_ranks_are_those_of_all_their_rows_once_they_are_shared() -> None:
    rows = np.random.default_rng(0).normal(3, 2, (2, 3, 5, 4))
    whole = RunningMeanStd((4,))
    for fragment in range(3):
        for rank in range(2):
            whole.add(rows[rank, fragment])

    def work(rank: ThreadRank) -> RankedMeanStd:
        own = RankedMeanStd((4,), rank)
        for fragment in rows[rank.rank]:
            own.add(fragment)
            restored = RankedMeanStd((4,), rank)
            restored.load_state_dict(own.state_dict())
            restored.share()
            own = restored
        return own

    first, second = together(thread_ranks(), work)
    assert first.count == second.count == whole.count == 30
    np.testing.assert_array_equal(first.mean, second.mean)
    np.testing.assert_allclose(first.mean, whole.mean)
    np.testing.assert_allclose(first.variance, whole.variance)


def test_ppo_of_two_ranks_is_one_process_that_averages_the_halves_gradients(tmp_path: Path) -> None:
    """The naive twin has both agents, goes through their minibatches side by side, and averages by autograd."""
    words = f"{PPO} num_envs=4 agent.anneal=false"
    found = trained(words, tmp_path / "ranks", total=128 * 2)
    twins = _two_agents_with_averaged_gradients(words, steps=128)
    for name, expected in module_state(twins[0].network).items():
        np.testing.assert_allclose(weights(found[0])[name], expected, rtol=1e-4, atol=1e-6, err_msg=name)


def _two_agents_with_averaged_gradients(words: str, steps: int) -> list[Any]:
    """Return both agents after so many decisions of each, all learned from by hand."""
    config = configured(words)
    agents, rollouts = [], []
    for rank in range(2):
        env = build.make_environment(config.environment, num_envs=config.num_envs)
        agent = build.make_agent(config.agent_config, env, Seeds(config.seed, rank))
        agents.append(agent)
        rollouts.append(train(agent, stream(config, agent, env, opaque=False, rank=rank), total_steps=steps))
    caught: list[list[Any]] = [[], []]
    for agent, into in zip(agents, caught, strict=True):
        agent._learn = lambda rollout, into=into: into.append(rollout) or {}
    adams = [torch.optim.Adam(agent.network.parameters(), agent._learning_rate(0), eps=1e-5) for agent in agents]
    for _ in zip(*rollouts, strict=True):
        if caught[0]:
            _learn_by_hand(agents, adams, [into.pop() for into in caught])
    return agents


def _learn_by_hand(agents: list[Any], adams: list[Any], rollouts: list[Any]) -> None:
    settings = agents[0].settings
    for _ in range(settings.epochs):
        orders = [torch.from_numpy(agent._rng.permutation(64)).split(settings.batch_size) for agent in agents]
        for both in zip(*orders, strict=True):
            gradients = [
                torch.autograd.grad(agent.loss(rollout.minibatch(rows))[0], list(agent.network.parameters()))
                for agent, rollout, rows in zip(agents, rollouts, both, strict=True)
            ]
            means = [(one + other) / 2 for one, other in zip(*gradients, strict=True)]
            norm = torch.cat([mean.flatten() for mean in means]).norm()
            scale = min(1.0, settings.max_grad_norm / norm.item())
            for agent, adam in zip(agents, adams, strict=True):
                for parameter, mean in zip(agent.network.parameters(), means, strict=True):
                    parameter.grad = mean * scale
                adam.step()


@pytest.mark.parametrize("name", AGENTS)
def test_stopped_by_one_rank_and_resumed_all_agree_with_ranks_that_were_not(name: str, tmp_path: Path) -> None:
    """A signal that the second rank gets stops both after the same update, with the checkpoints of both."""
    words, total = AGENTS[name], 600
    whole = trained(words, tmp_path / "whole", total)
    assert_same(weights(whole[0]), weights(whole[1]))
    assert whole[0].steps == whole[1].steps >= total

    stopped = trained(words, tmp_path / "stopped", total, signal_at=250)
    assert stopped[0].steps == stopped[1].steps < total
    assert [session.stopped for session in stopped] == ["SIGTERM", "SIGINT"]
    assert stopped[0].interrupted

    resumed = trained(words, tmp_path / "stopped", total, resume=True)
    for one, other in zip(whole, resumed, strict=True):
        assert_same(one.state_dict(), other.state_dict())
    newest = f"checkpoints/{whole[0].steps}"
    assert (tmp_path / "stopped" / newest / "arrays.npz").read_bytes() == (
        tmp_path / "whole" / newest / "arrays.npz"
    ).read_bytes()


def test_a_checkpoint_that_one_rank_lacks_is_none(tmp_path: Path) -> None:
    """As after a kill between the two: the first rank's is missing, and both go back to the one before it."""
    whole = trained(AGENTS["a2c"], tmp_path, total=600)
    (tmp_path / "checkpoints/600/manifest.json").unlink()
    resumed = trained(AGENTS["a2c"], tmp_path, total=600, resume=True)
    for one, other in zip(whole, resumed, strict=True):
        assert_same(one.state_dict(), other.state_dict())


def test_ranks_with_other_weights_are_refused(tmp_path: Path) -> None:
    ranks = thread_ranks()
    first, second = sessions(AGENTS["a2c"], tmp_path, ranks, total=400)
    with torch.no_grad():
        next(second._agent.network.parameters()).add_(1e-6)
    with pytest.raises(RunError, match="weights of the processes of this run differ"):
        together(ranks, lambda rank: (first, second)[rank.rank].run(lambda: None))


def test_decisions_of_all_ranks_are_counted() -> None:
    config = configured(f"{PPO} num_envs=4")
    env = build.make_environment(config.environment, num_envs=4)
    agent = build.make_agent(config.agent_config, env, Seeds(0))
    walk = stream(config, agent, env, opaque=False, ranks=3)
    next(walk)
    assert walk.steps == 12


def test_environments_that_reset_in_a_step_of_its_own_are_refused() -> None:
    import gymnasium

    make = lambda: gymnasium.make_vec("CartPole-v1", 2, "vector_entry_point")  # noqa: E731
    env = VectorEnvironment(make)
    config = configured(f"{PPO} num_envs=2")
    agent = build.make_agent(config.agent_config, env, Seeds(0))
    walk = stream(config, agent, env, opaque=False, ranks=2)
    with pytest.raises(UsageError, match="begin a new episode in the step that ends one"):
        all(next(walk) for _ in range(200))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("agent=q_learning env=frozen_lake", "QLearning has no gradients that several processes can average"),
        ("agent=es env=cartpole", "EvolutionStrategies has no gradients"),
        ("agent=ppo env=cartpole total_episodes=5", "total_episodes counts in one process"),
        ("agent=ppo env=cartpole vectorization=ray", "vectorization=ray is for one process"),
    ],
)
def test_what_ranks_cannot_do_is_refused_in_one_line(words: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        require_ranks(replace(configured(words), ranks=2), 2)


@pytest.mark.parametrize(
    "words",
    [
        "agent=ppo env=cartpole tuned=none +intrinsic@agent.intrinsic=rnd",
        "agent=dqn env=cartpole agent.offline=bcq",
        "agent=mbpo env=pendulum",
        "agent=sac env=pendulum agent.critics.norm=batch_renorm agent.target_network=false",
    ],
)
def test_what_would_differ_from_rank_to_rank_is_refused_in_one_line(words: str) -> None:
    config = configured(f"device=cpu {words}")
    env = build.make_environment(config.environment, num_envs=1)
    agent: Any = build.make_agent(config.agent_config, env, Seeds(0))
    with pytest.raises(UsageError, match=r"differs? from process to process[^\n]*without torchrun$"):
        agent.join_ranks(None)


def test_another_number_of_processes_is_refused_on_resume(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    rlkit.train(
        "agent=random", "env=cartpole", "total_steps=50", "eval.every=0", "video=none", "logger=[csv]", name="a"
    )
    config = Path("runs/a/config.yaml")
    config.write_text(config.read_text().replace("ranks: 1", "ranks: 2"))
    assert main(["train", "resume=runs/a"]) == 2
    assert (
        "begun with 2 processes, and there are 1: resume it with torchrun --nproc-per-node=2" in capsys.readouterr().err
    )
    config.write_text(config.read_text().replace("ranks: 2", "ranks: 1"))
    for name, value in {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": "1"}.items():
        monkeypatch.setenv(name, value)
    assert main(["train", "resume=runs/a"]) == 2
    assert "begun with 1 process, and there are 2: resume it without torchrun" in capsys.readouterr().err
    assert main(["train", "-m", "seed=0,1"]) == 2
    assert "not of a search or a sweep" in capsys.readouterr().err


# What follows runs torchrun.

RUN = (
    "agent=ppo env=cartpole num_envs=4 total_steps=16000 eval.every=4000 eval.episodes=3 checkpoint.every=2000 "
    "logger=[csv,terminal] video=none run_dir=runs/one"
)


class Torchrun:
    """A command of two processes under way."""

    def __init__(self, folder: Path, words: str):
        folder.mkdir(exist_ok=True)
        start = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "rlkit", "train"]
        self.folder, self.log = folder, folder / "log"
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, *start, *words.split()],
                cwd=folder,
                env=clean_environment(OMP_NUM_THREADS="1"),
                stdout=log,
                stderr=log,
            )

    def finish(self) -> int:
        return self.process.wait(300)

    def ranks(self) -> dict[int, int]:
        """Return the processes' ids by rank."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        found = {}
        for pid in map(int, children):
            for line in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                if line.startswith(b"RANK="):
                    found[int(line[5:])] = pid
        return found

    def wait_for(self, checkpoint: int) -> dict[int, int]:
        """Return the ranks when a checkpoint is written."""
        path = self.folder / f"runs/one/checkpoints/{checkpoint}/manifest.json"
        while not path.exists():
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.01)
        return self.ranks()


def run(folder: Path, words: str) -> Path:
    command = Torchrun(folder, words)
    assert command.finish() == 0, command.log.read_text()
    return folder / "runs/one"


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(tmp_path_factory.mktemp("whole"), RUN)


def compared(whole: Path, other: Path) -> list[str]:
    """Return the files that differ, those of the second rank included."""
    files = [path.relative_to(whole) for path in (whole / "checkpoints").rglob("*") if path.is_file()]
    return compare(whole, other) + [
        str(name) for name in files if (whole / name).read_bytes() != (other / name).read_bytes()
    ]


@pytest.mark.slow
def test_repeated_the_files_are_the_same_byte_for_byte(uninterrupted: Path, tmp_path: Path) -> None:
    assert compared(uninterrupted, run(tmp_path, RUN)) == []
    networks = [
        rlkit.load(uninterrupted).stored("last")[1]["agent"]["network"],
        *[_of_rank_1(uninterrupted)["agent"]["network"]],
    ]
    assert_same(*networks)


def _of_rank_1(folder: Path) -> Any:
    from rlkit.core.checkpoint import Store

    return Store(folder / "checkpoints/rank-1").load_newest()[1]


@pytest.mark.slow
@pytest.mark.parametrize("killed", ["rank 0", "rank 1", "torchrun", "torchrun by SIGTERM"])
def test_killed_and_resumed_the_files_are_those_of_uninterrupted_ones(
    uninterrupted: Path, tmp_path: Path, killed: str
) -> None:
    command = Torchrun(tmp_path, RUN)
    ranks = command.wait_for(6000)
    if killed.startswith("rank"):
        os.kill(ranks[int(killed[-1])], signal.SIGKILL)
    else:
        command.process.send_signal(signal.SIGTERM if "SIGTERM" in killed else signal.SIGKILL)
    assert command.finish() != 0
    until = time.monotonic() + 60
    while any(Path(f"/proc/{pid}").exists() for pid in ranks.values()) and time.monotonic() < until:
        time.sleep(0.1)
    said = command.log.read_text()
    assert "train resume=runs/one" in said
    assert run(tmp_path, "resume=runs/one").exists()
    assert compared(uninterrupted, tmp_path / "runs/one") == []


@pytest.mark.slow
def test_ppo_of_two_processes_balances_the_pole(tmp_path: Path) -> None:
    words = "agent=ppo env=cartpole num_envs=4 total_steps=100000 eval.every=0 logger=[csv] video=none run_dir=runs/one"
    score = rlkit.load(run(tmp_path, words)).evaluate(episodes=100)["return/raw"]["mean"]
    print(f"CartPole by two processes: {score:.1f}")
    assert score >= 475
