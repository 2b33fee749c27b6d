"""A2C and PPO beside Stable-Baselines3's: steps a second with the same network, environments and updates, in float32.

    <python with rlkit, stable-baselines3> tests/benchmarks/policies.py --out <folder>
    … tests/benchmarks/policies.py --only ppo-cartpole          # one of the races
    … tests/benchmarks/policies.py --only a2c-pong --split      # where rlkit's time goes

Slices alternate, each library in a process of its own, set up as its users have it: rlkit as by its command,
Stable-Baselines3 as by its own helpers. CartPole has 8 environments and two layers of 64 (one torso for the policy, one
for the values), Pong 16 and the Nature CNN.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
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

from rlkit.core.resources import keep_freed_memory, prepare_torch

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
    keep_freed_memory()
    env = "env=atari env.game=Pong network=nature" if race["pong"] else "env=cartpole network.activation=tanh"
    words = [f"agent={race['agent']}", *env.split(), "tuned=none", "agent.anneal=false", "total_steps=1000000000"]
    words += [f"num_envs={race['num_envs']}", f"agent.n_steps={race['n_steps']}", f"threads={threads}"]
    if race["agent"] == "ppo":
        words += [f"agent.epochs={EPOCHS}", f"agent.batch_size={race['batch_size']}"]
    num_envs, pong = race["num_envs"], race["pong"]
    torch.set_num_threads(threads)
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


def stable_baselines3(race: dict[str, Any], threads: int) -> Slice:
    """Its A2C or PPO."""
    torch.set_num_threads(threads)
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


LIBRARIES = {"rlkit": rlkit, "sb3": stable_baselines3}


def serve(library: str, race: dict[str, Any], threads: int) -> None:
    """Train a slice, and one for each line read; print its rate."""
    run = LIBRARIES[library](race, threads)
    run(race["slice"])
    print("rate 0", flush=True)
    for _ in sys.stdin:
        print("rate", rate(partial(run, race["slice"])), flush=True)


def started(library: str, name: str, threads: int, *more: str) -> subprocess.Popen[str]:
    """Start a process that serves."""
    environ = dict(os.environ)
    if library == "rlkit":
        prepare_torch(environ)
    words = [sys.executable, __file__, "--serve", library, "--only", name, "--threads", str(threads), *more]
    return subprocess.Popen(words, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def answer(server: subprocess.Popen[str]) -> float:
    """Return the next rate that a process prints; what games print is passed over."""
    assert server.stdout is not None
    for line in server.stdout:
        if line.startswith("rate "):
            return float(line.split()[1])
    raise SystemExit(f"{' '.join(map(str, server.args))} ended early")  # type: ignore[union-attr]


def ask(server: subprocess.Popen[str]) -> float:
    """Have a slice trained and return its rate."""
    assert server.stdin is not None
    server.stdin.write("\n")
    server.stdin.flush()
    return answer(server)


def measured(name: str, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Race, print the ratio, and return the rows."""
    servers = {library: started(library, name, arguments.threads) for library in LIBRARIES}
    for server in servers.values():
        answer(server)
    found: dict[str, list[float]] = {library: [] for library in servers}
    rows = []
    for index in range(arguments.rounds):
        for library, server in servers.items():
            found[library].append(ask(server))
            figure = round(found[library][-1], 1)
            rows.append({"round": index, "library": library, "what": name, "per_second": figure})
    for server in servers.values():
        server.communicate()
    ratios = [ours / theirs for ours, theirs in zip(found["rlkit"], found["sb3"], strict=True)]
    medians = ", ".join(f"{library} {statistics.median(values):,.0f}/s" for library, values in found.items())
    print(f"{name}: {medians}; {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})", flush=True)
    return rows


def report_split(name: str, race: dict[str, Any], arguments: argparse.Namespace) -> None:
    """Print where rlkit's time goes."""
    split = Split()
    run = rlkit(race, arguments.threads, split)
    run(race["slice"])
    split.seconds.clear()
    began = time.perf_counter()
    run(arguments.rounds * race["slice"])
    print(name)
    split.report(time.perf_counter() - began)


def main() -> None:
    """Print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", choices=list(RACES))
    parser.add_argument("--split", action="store_true", help="where rlkit's time goes; nothing else")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--serve", choices=list(LIBRARIES), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    names = [name for name in RACES if arguments.only in (None, name)]
    if arguments.serve and arguments.split:
        report_split(arguments.only, RACES[arguments.only], arguments)
    elif arguments.serve:
        serve(arguments.serve, RACES[arguments.only], arguments.threads)
    elif arguments.split:
        for name in names:
            print(
                started("rlkit", name, arguments.threads, "--split", "--rounds", str(arguments.rounds)).communicate()[0]
            )
    else:
        rows = [row for name in names for row in measured(name, arguments)]
        if arguments.out:
            write(arguments.out, "policies", rows)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
