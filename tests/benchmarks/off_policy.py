"""Steps per second of SAC, TD3 and DDPG beside Stable-Baselines3's SAC, TD3 and DDPG, with identical hyperparameters.

    python tests/benchmarks/off_policy.py --peer-python <python with stable-baselines3> --out <folder>
    … tests/benchmarks/off_policy.py --agents sac --env Pendulum-v1 --threads 2 --slices 20

Two processes train at the same time, one at a time: slices of steps alternate between them, after a warm-up in which
nothing is learned. The ratio is the median of those of neighbouring slices, by the wall clock and by processor time,
which other programs disturb less. The floor is counted: the multiplications and additions of one update's matrix
products, and the time that products of these shapes take here by themselves.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

FIELDS = ("agent", "env", "threads", "precision", "framework", "slice", "steps", "seconds", "processor_seconds")
WARM_UP, BATCH, WIDTH = 300, 256, 256
WORDS = (
    "agent.learning_rate=0.0003 agent.gamma=0.99 agent.tau=0.005 agent.train_freq=1 agent.gradient_steps=1 "
    f"agent.batch_size={BATCH} agent.learning_starts={WARM_UP} agent.actor.hidden=[{WIDTH},{WIDTH}] "
    f"agent.critics.hidden=[{WIDTH},{WIDTH}] replay.capacity=100000"
)


def ours(agent: str, env: str, precision: str) -> Iterator[None]:
    """Yield after each step of rlkit's agent."""
    import gymnasium
    import numpy as np

    from rlkit.config.compose import composed
    from rlkit.config.run_config import TrainRunConfig, requested
    from rlkit.core.loop import interact, train
    from rlkit.core.resources import keep_freed_memory
    from rlkit.core.seeding import Seeds
    from rlkit.runs import build
    from rlkit.vector.serial import SerialEnvironment

    keep_freed_memory()
    words = (
        "tuned=none",
        f"agent={agent}",
        "env=gym",
        f"env.id={env}",
        "device=cpu",
        f"agent.precision={precision}",
        *WORDS.split(),
    )
    environment = SerialEnvironment([lambda: gymnasium.make(env)])
    learner = build.make_agent(requested(TrainRunConfig, *composed("train", words)).agent_config, environment, Seeds(0))
    rng = np.random.default_rng(0)
    stream = interact(learner, environment, explore=True, rng=rng, reset_seeds=lambda step: [step])
    for _ in train(learner, stream, total_steps=10**9):
        yield


def theirs(agent: str, env: str) -> Iterator[None]:
    """Yield after each step of Stable-Baselines3's agent, which learns in a thread of its own that waits meanwhile."""
    import threading

    import numpy as np
    import stable_baselines3
    from stable_baselines3.common.callbacks import BaseCallback
    from stable_baselines3.common.noise import NormalActionNoise

    may, did = threading.Semaphore(0), threading.Semaphore(0)

    class Paced(BaseCallback):  # type: ignore[misc]
        def _on_step(self) -> bool:
            did.release()
            may.acquire()
            return True

    keys: dict[str, Any] = {"policy_kwargs": {"net_arch": [WIDTH, WIDTH]}, "buffer_size": 100_000, "seed": 0}
    kind = getattr(stable_baselines3, agent.upper())
    if agent != "sac":
        import gymnasium

        width = gymnasium.make(env).action_space.shape[0]
        keys["action_noise"] = NormalActionNoise(np.zeros(width), 0.1 * np.ones(width))
    learner = kind(
        "MlpPolicy", env, learning_rate=3e-4, gamma=0.99, tau=0.005, batch_size=BATCH, learning_starts=WARM_UP,
        train_freq=1, gradient_steps=1, device="cpu", **keys,
    )  # fmt: skip
    threading.Thread(target=learner.learn, args=(10**9, Paced()), daemon=True).start()
    while True:
        did.acquire()
        yield
        may.release()


def work(framework: str, agent: str, env: str, threads: int, precision: str) -> None:
    """Take as many steps as each line of the standard input says, and print how long they took."""
    import torch

    torch.set_num_threads(threads)
    steps = ours(agent, env, precision) if framework == "rlkit" else theirs(agent, env)
    for _ in range(WARM_UP + 20):
        next(steps)
    print("ready", flush=True)
    for line in sys.stdin:
        wall, processor = time.perf_counter(), time.process_time()
        for _ in range(int(line)):
            next(steps)
        print(time.perf_counter() - wall, time.process_time() - processor, flush=True)


def products(agent: str, observation: int, action: int) -> list[tuple[int, int, int]]:
    """Return the products of matrices in one update, as [rows, in, out] each; those of a critic count twice."""
    heads = 2 * action if agent == "sac" else action
    critics = 1 if agent == "ddpg" else 2
    actor = [(BATCH, observation, WIDTH), (BATCH, WIDTH, WIDTH), (BATCH, WIDTH, heads)]
    critic = [(BATCH, observation + action, WIDTH), (BATCH, WIDTH, WIDTH), (BATCH, WIDTH, 1)]
    # Forward in successors and in states, and backward: by weights, and by inputs of all layers but the first.
    of_actor = actor * 2 + actor + actor[1:]
    # Target; forward and backward of what was done; forward of the actor's actions, and backward by inputs alone.
    of_critics = critic + critic * 2 + critic[1:] + critic + critic
    return of_actor + of_critics * critics


def floor(agent: str, observation: int, action: int, threads: int) -> tuple[float, float]:
    """Return the operations of one update, in millions, and the milliseconds that they take by themselves."""
    import torch

    torch.set_num_threads(threads)
    shapes = products(agent, observation, action)
    pairs = [(torch.randn(rows, width), torch.randn(width, out)) for rows, width, out in shapes]
    times = []
    for _ in range(30):
        start = time.process_time()
        for left, right in pairs:
            left @ right
        times.append(time.process_time() - start)
    return sum(2 * rows * width * out for rows, width, out in shapes) / 1e6, 1e3 * min(times)


def compare(
    agent: str, env: str, threads: int, precision: str, pythons: dict[str, str], slices: int, steps: int
) -> list[dict[str, Any]]:
    """Return a row for each slice of each framework."""
    workers = {
        framework: subprocess.Popen(
            [
                *(python, __file__, "--worker", framework, "--agents", agent, "--env", env),
                *("--threads", str(threads), "--precision", precision),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for framework, python in pythons.items()
    }
    rows = []
    for worker in workers.values():
        _answer(worker)
    for number in range(slices):
        for framework, worker in workers.items():
            assert worker.stdin is not None
            worker.stdin.write(f"{steps}\n")
            worker.stdin.flush()
            wall, processor = map(float, _answer(worker).split())
            values = (agent, env, threads, precision, framework, number, steps, round(wall, 4), round(processor, 4))
            rows.append(dict(zip(FIELDS, values, strict=True)))
    for worker in workers.values():
        worker.kill()
    return rows


def _answer(worker: subprocess.Popen[str]) -> str:
    assert worker.stdout is not None
    line = worker.stdout.readline()
    while line and not (line.startswith("ready") or line[0].isdigit()):
        line = worker.stdout.readline()
    return line


def report(rows: list[dict[str, Any]], say: Callable[[str], None]) -> None:
    """Print milliseconds of a step and ratios."""
    of = lambda framework, field: [row[field] for row in rows if row["framework"] == framework]  # noqa: E731
    steps = rows[0]["steps"]
    for field in ("seconds", "processor_seconds"):
        own, peer = of("rlkit", field), of("stable-baselines3", field)
        ratio = statistics.median(theirs / ours for ours, theirs in zip(own, peer, strict=True))
        own_ms, peer_ms = (1e3 * statistics.median(times) / steps for times in (own, peer))
        say(f"  {field}: rlkit {own_ms:.2f} ms a step, stable-baselines3 {peer_ms:.2f}: {ratio:.2f} times as fast")


def main() -> None:
    """Compare the agents."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--agents", nargs="+", default=["sac", "td3", "ddpg"])
    parser.add_argument("--env", default="Pendulum-v1")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--precision", default="auto", help="of rlkit's agents; Stable-Baselines3 has float32 alone")
    parser.add_argument("--slices", type=int, default=12)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--peer-python", default=sys.executable)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--worker", choices=["rlkit", "stable-baselines3"])
    arguments = parser.parse_args()
    if arguments.worker:
        work(arguments.worker, arguments.agents[0], arguments.env, arguments.threads, arguments.precision)
        return
    import gymnasium
    from keep import write

    env = gymnasium.make(arguments.env)
    assert env.observation_space.shape is not None
    assert env.action_space.shape is not None
    sizes = env.observation_space.shape[0], env.action_space.shape[0]
    table: list[dict[str, Any]] = []
    pythons = {"rlkit": sys.executable, "stable-baselines3": arguments.peer_python}
    for agent in arguments.agents:
        millions, milliseconds = floor(agent, *sizes, arguments.threads)
        print(f"{agent}: {millions:.0f} million operations an update, by themselves {milliseconds:.2f} ms", flush=True)
        rows = compare(
            agent, arguments.env, arguments.threads, arguments.precision, pythons, arguments.slices, arguments.steps
        )
        report(rows, print)
        table += rows
    if arguments.out:
        write(arguments.out, "off_policy", merged(arguments.out / "off_policy.csv", table))


def merged(path: Path, table: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows of a file but for those that are made anew in a table, and the table's."""
    kept = list(csv.DictReader(path.open())) if path.exists() else []
    case = ("agent", "env", "threads", "precision")
    anew = {tuple(str(row[name]) for name in case) for row in table}
    return [row for row in kept if tuple(row[name] for name in case) not in anew] + table


if __name__ == "__main__":
    main()
