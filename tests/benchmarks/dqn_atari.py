"""DQN on Pong end to end: environment steps a second after learning has begun, beside Stable-Baselines3's.

    <python with rlkit, stable-baselines3> tests/benchmarks/dqn_atari.py --out <folder>

The same network (Nature CNN), batch (32) and ratio (an update per four steps), the same number of torch threads. Slices
alternate in one process. Stable-Baselines3 runs with one environment, as its zoo does, and with eight.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from keep import write
from replay import rate

from rlkit.core.resources import keep_freed_memory

Slice = Callable[[int], int]
STARTS = 400


class Split:
    """Where rlkit's time goes: seconds in each part, without the parts within it."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._inner = 0.0

    def watch(self, owner: Any, method: str, part: str) -> None:
        """Measure a method from now on."""
        whole = getattr(owner, method)

        def measured(*values: Any, **keys: Any) -> Any:
            outer, self._inner, started = self._inner, 0.0, time.perf_counter()
            try:
                return whole(*values, **keys)
            finally:
                took = time.perf_counter() - started
                self.seconds[part] = self.seconds.get(part, 0.0) + took - self._inner
                self._inner = outer + took

        setattr(owner, method, measured)

    def report(self, whole: float) -> None:
        """Print the shares of `whole` seconds."""
        for part, seconds in {**self.seconds, "the loop itself": whole - sum(self.seconds.values())}.items():
            print(f"{part:38} {100 * seconds / whole:5.1f}%")


def trainer(words: list[str], *, num_envs: int, opaque: bool, overlap: bool) -> tuple[Any, Any, Slice]:
    """Return an agent and its environments as the command makes them, and what trains for so many steps more."""
    from rlkit.config.compose import composed
    from rlkit.config.run_config import TrainRunConfig, requested
    from rlkit.core.loop import train
    from rlkit.core.seeding import Seeds
    from rlkit.runs import build
    from rlkit.runs.training import stream

    config = requested(TrainRunConfig, *composed("train", [*words, "device=cpu", f"checkpoint.every={10**9}"]))
    env = build.make_environment(config.environment, num_envs=num_envs)
    agent = build.make_agent(config.agent_config, env, Seeds(0))
    flow = stream(config, agent, env, opaque=opaque)
    stepping = train(agent, flow, total_steps=10**9, overlap=overlap)

    def run(steps: int) -> int:
        before = flow.steps
        while flow.steps < before + steps:
            next(stepping)
        return flow.steps - before

    return agent, env, run


def rlkit(precision: str, split: Split | None = None) -> Slice:
    """rlkit as the command trains: native stepping of eight games while the network learns."""
    words = [
        "agent=dqn",
        "env=atari",
        "env.game=Pong",
        "network=nature",
        "num_envs=8",
        "agent.double=false",
        "agent.batch_size=32",
        "agent.train_freq=4",
        f"agent.learning_starts={STARTS}",
        f"agent.precision={precision}",
        "replay.capacity=20000",
    ]
    agent, env, run = trainer(words, num_envs=8, opaque=True, overlap=True)
    if split:
        split.watch(agent, "act", "acting")
        split.watch(agent, "update", "gradient steps")
        split.watch(agent._replay, "sample", "sampling")
        split.watch(agent._replay, "add", "insertion")
        split.watch(env, "recv", "waiting for the games")

    return run


def stable_baselines3(num_envs: int) -> Slice:
    """Its DQN with its zoo's ratio."""
    import ale_py
    import gymnasium
    from stable_baselines3 import DQN
    from stable_baselines3.common.env_util import make_atari_env
    from stable_baselines3.common.vec_env import VecFrameStack

    gymnasium.register_envs(ale_py)
    env = VecFrameStack(make_atari_env("PongNoFrameskip-v4", num_envs, seed=0), 4)
    ratio: dict[str, Any] = (
        {"train_freq": 4, "gradient_steps": 1} if num_envs == 1 else {"train_freq": 1, "gradient_steps": num_envs // 4}
    )
    model = DQN(
        "CnnPolicy",
        env,
        learning_rate=1e-4,
        batch_size=32,
        buffer_size=20_000,
        optimize_memory_usage=False,
        learning_starts=STARTS,
        target_update_interval=1_000,
        exploration_fraction=1e-4,
        **ratio,
    )

    def run(steps: int) -> int:
        before = model.num_timesteps
        model.learn(steps, reset_num_timesteps=before == 0)
        return int(model.num_timesteps - before)

    return run


def main() -> None:
    """Print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--steps", type=int, default=400, help="environment steps in a slice")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--split", action="store_true", help="where rlkit's time goes, in float32; nothing else")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    keep_freed_memory()  # as every run of rlkit's does; in one process, all gain by it
    if arguments.split:
        split = Split()
        run = rlkit("float32", split)
        run(STARTS + 200)
        split.seconds.clear()
        started = time.perf_counter()
        run(arguments.rounds * arguments.steps)
        split.report(time.perf_counter() - started)
        return
    made = {
        "rlkit float32": rlkit("float32"),
        "rlkit auto": rlkit("auto"),
        "sb3 1 env": stable_baselines3(1),
        "sb3 8 envs": stable_baselines3(8),
    }
    found: dict[str, list[float]] = {name: [] for name in made}
    for run in made.values():
        run(STARTS + 200)
    rows = []
    for index in range(arguments.rounds):
        for name, run in made.items():
            found[name].append(rate(partial(run, arguments.steps)))
            rows.append({"round": index, "library": name, "what": "steps", "per_second": round(found[name][-1], 2)})
    for name, values in found.items():
        for ours in ("rlkit float32", "rlkit auto"):
            ratios = [a / b for a, b in zip(found[ours], values, strict=True)]
            print(
                f"{name:14} median {statistics.median(values):7.1f}/s   {ours}/it: {statistics.median(ratios):.2f} "
                f"({min(ratios):.2f} to {max(ratios):.2f})",
                flush=True,
            )
    if arguments.out:
        write(arguments.out, "dqn_atari", rows)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    started = time.perf_counter()
    main()
    print(f"{time.perf_counter() - started:.0f} seconds")
