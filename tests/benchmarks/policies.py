"""A2C and PPO beside Stable-Baselines3's: steps a second with the same network, environments and updates, in float32.

    <python with rlkit, stable-baselines3> tests/benchmarks/policies.py --out <folder>
    … tests/benchmarks/policies.py --only ppo-cartpole          # one of the races
    … tests/benchmarks/policies.py --only a2c-pong --split      # where rlkit's time goes

Slices of both alternate in one process. CartPole has 8 environments and two layers of 64 (one torso for the policy, one
for the values), Pong 16 and the Nature CNN. rlkit steps as its command does, Stable-Baselines3 as its own helpers do.
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
from dqn_atari import Split, trainer
from keep import write
from replay import rate

from rlkit.resources import keep_freed_memory

Slice = Callable[[int], int]

RACES: dict[str, dict[str, Any]] = {
    "a2c-cartpole": {"agent": "a2c", "pong": False, "num_envs": 8, "n_steps": 5, "slice": 4000},
    "ppo-cartpole": {"agent": "ppo", "pong": False, "num_envs": 8, "n_steps": 128, "slice": 4096, "batch_size": 256},
    "a2c-pong": {"agent": "a2c", "pong": True, "num_envs": 16, "n_steps": 5, "slice": 1600},
    "ppo-pong": {"agent": "ppo", "pong": True, "num_envs": 16, "n_steps": 64, "slice": 1024, "batch_size": 256},
}
EPOCHS = 4


def rlkit(race: dict[str, Any], threads: int, split: Split | None = None) -> Slice:
    """rlkit as the command trains."""
    env = "env=atari env.game=Pong network=nature" if race["pong"] else "env=cartpole network.activation=tanh"
    words = [f"agent={race['agent']}", *env.split(), "tuned=none", "agent.anneal=false", "total_steps=1000000000"]
    words += [f"num_envs={race['num_envs']}", f"agent.n_steps={race['n_steps']}", f"threads={threads}"]
    if race["agent"] == "ppo":
        words += [f"agent.epochs={EPOCHS}", f"agent.batch_size={race['batch_size']}"]
    num_envs, pong = race["num_envs"], race["pong"]
    agent, envs, run = trainer(words, num_envs=num_envs, opaque=pong, overlap=False)
    if split:
        split.watch(agent, "act", "acting")
        split.watch(agent, "update", "gradient steps")
        split.watch(agent, "observe", "storing")
        split.watch(envs, "send", "the environments")
        split.watch(envs, "recv", "the environments")

    return run


def _pong(**options: Any) -> Any:
    import ale_py
    import gymnasium

    gymnasium.register_envs(ale_py)  # in each process
    return gymnasium.make("PongNoFrameskip-v4", **options)


def stable_baselines3(race: dict[str, Any]) -> Slice:
    """Its A2C or PPO."""
    from stable_baselines3 import A2C, PPO
    from stable_baselines3.common.env_util import make_atari_env, make_vec_env
    from stable_baselines3.common.vec_env import SubprocVecEnv, VecFrameStack

    if race["pong"]:
        games = make_atari_env(_pong, race["num_envs"], seed=0, vec_env_cls=SubprocVecEnv)
        env: Any = VecFrameStack(games, 4)
    else:
        env = make_vec_env("CartPole-v1", race["num_envs"], seed=0)
    more = {"n_epochs": EPOCHS, "batch_size": race["batch_size"]} if race["agent"] == "ppo" else {}
    kind: Any = PPO if race["agent"] == "ppo" else A2C
    model = kind("CnnPolicy" if race["pong"] else "MlpPolicy", env, n_steps=race["n_steps"], device="cpu", **more)

    def run(steps: int) -> int:
        before = model.num_timesteps
        model.learn(steps, reset_num_timesteps=before == 0)
        return int(model.num_timesteps - before)

    return run


def measured(name: str, race: dict[str, Any], arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Race, print the ratio, and return the rows."""
    made = {"rlkit": rlkit(race, arguments.threads), "sb3": stable_baselines3(race)}
    found: dict[str, list[float]] = {library: [] for library in made}
    rows = []
    for run in made.values():
        run(race["slice"])
    for index in range(arguments.rounds):
        for library, run in made.items():
            found[library].append(rate(partial(run, race["slice"])))
            figure = round(found[library][-1], 1)
            rows.append({"round": index, "library": library, "what": name, "per_second": figure})
    ratios = [ours / theirs for ours, theirs in zip(found["rlkit"], found["sb3"], strict=True)]
    medians = ", ".join(f"{library} {statistics.median(values):,.0f}/s" for library, values in found.items())
    print(f"{name}: {medians}; {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})", flush=True)
    return rows


def main() -> None:
    """Print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", choices=list(RACES))
    parser.add_argument("--split", action="store_true", help="where rlkit's time goes; nothing else")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    keep_freed_memory()  # as every run of rlkit's does; in one process, all gain by it
    races = {name: race for name, race in RACES.items() if arguments.only in (None, name)}
    if arguments.split:
        for name, race in races.items():
            split = Split()
            run = rlkit(race, arguments.threads, split)
            run(race["slice"])
            split.seconds.clear()
            started = time.perf_counter()
            run(arguments.rounds * race["slice"])
            print(name)
            split.report(time.perf_counter() - started)
        return
    rows = [row for name, race in races.items() for row in measured(name, race, arguments)]
    if arguments.out:
        write(arguments.out, "policies", rows)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
