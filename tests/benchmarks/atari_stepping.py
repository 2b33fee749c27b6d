"""Atari stepping alone, side by side: 84x84, grey, skip 4, stack 4, random actions.

    <python with rlkit, stable-baselines3, envpool> tests/benchmarks/atari_stepping.py --out <folder>

Slices of all alternate in one process. ``raw`` is one emulator without preprocessing but two grey reads a step: what
one core can do.
"""

from __future__ import annotations

import argparse
import statistics
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import ale_py
import gymnasium
import numpy as np
from keep import write
from replay import rate

Step = Callable[[np.ndarray], Any]
GAME = "pong"


def raw(num_envs: int) -> Step:
    """One emulator after the other, without preprocessing."""
    games = []
    for _ in range(num_envs):
        ale = ale_py.ALEInterface()
        ale.loadROM(ale_py.roms.get_rom_path(GAME))
        games.append((ale, ale.getMinimalActionSet(), np.empty((210, 160), np.uint8)))

    def step(actions: np.ndarray) -> None:
        for (ale, known, screen), action in zip(games, actions, strict=True):
            for frame in range(4):
                ale.act(known[action])
                if frame >= 2:
                    ale.getScreenGrayscale(screen)
            if ale.game_over():
                ale.reset_game()

    return step


def rlkit(num_envs: int) -> Step:
    """The whole adapter, as training steps it."""
    from rlkit.config.compose import composed
    from rlkit.config.run_config import TrainRunConfig, requested
    from rlkit.runs.build import make_environment

    config = requested(TrainRunConfig, *composed("train", ["env=atari", "env.game=Pong", "tuned=none"]))
    env = make_environment(config.environment, num_envs=num_envs)
    env.reset(list(range(num_envs)))
    return env.step


def native(num_envs: int) -> Step:
    """ale-py's vector environment, bare."""
    from ale_py.vector_env import AtariVectorEnv

    env = AtariVectorEnv(GAME, num_envs, num_threads=min(2, num_envs))
    env.reset(seed=0)
    return env.step


def envpool(num_envs: int) -> Step:
    """envpool with two threads."""
    import envpool as pool

    env = pool.make("Pong-v5", env_type="gymnasium", num_envs=num_envs, num_threads=min(2, num_envs))
    env.reset()
    return lambda actions: env.step(actions.astype(np.int32))


def _gymnasium_one() -> gymnasium.Env[Any, Any]:
    gymnasium.register_envs(ale_py)
    env = gymnasium.make("ALE/Pong-v5", frameskip=1)
    return gymnasium.wrappers.FrameStackObservation(gymnasium.wrappers.AtariPreprocessing(env, noop_max=0), 4)


def gymnasium_sync(num_envs: int) -> Step:
    """Gymnasium's wrappers, one process."""
    env = gymnasium.vector.SyncVectorEnv([_gymnasium_one] * num_envs)
    env.reset(seed=0)
    return env.step


def gymnasium_async(num_envs: int) -> Step:
    """Gymnasium's wrappers, a process each."""
    env = gymnasium.vector.AsyncVectorEnv([_gymnasium_one] * num_envs)
    env.reset(seed=0)
    return env.step


def stable_baselines3(num_envs: int) -> Step:
    """Its Atari wrappers, a process each."""
    from stable_baselines3.common.env_util import make_atari_env
    from stable_baselines3.common.vec_env import SubprocVecEnv, VecFrameStack

    gymnasium.register_envs(ale_py)
    env = VecFrameStack(make_atari_env("PongNoFrameskip-v4", num_envs, seed=0, vec_env_cls=SubprocVecEnv), 4)
    env.reset()
    return env.step


ALL: dict[str, Callable[[int], Step]] = {
    "rlkit": rlkit,
    "ale-py native": native,
    "sb3 subproc": stable_baselines3,
    "gymnasium sync": gymnasium_sync,
    "gymnasium async": gymnasium_async,
    "envpool": envpool,
    "raw": raw,
}


def steps(step: Step, actions: np.ndarray) -> int:
    """Take one step for each row of actions [K, N]; return how many game steps that is."""
    for row in actions:
        step(row)
    return actions.size


def main() -> None:
    """Print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--steps", type=int, default=800, help="game steps in a slice")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for num_envs in (1, 8, 32):
        actions = np.random.default_rng(0).integers(6, size=(max(8, arguments.steps // num_envs), num_envs))
        made = {name: make(num_envs) for name, make in ALL.items()}
        found: dict[str, list[float]] = {name: [] for name in made}
        for step in made.values():
            steps(step, actions)
        for index in range(arguments.rounds):
            for name, step in made.items():
                found[name].append(rate(partial(steps, step, actions)))
                figure = round(found[name][-1], 1)
                rows.append({"round": index, "library": name, "what": f"steps {num_envs}", "per_second": figure})
        for name, values in found.items():
            ratios = [ours / theirs for ours, theirs in zip(found["rlkit"], values, strict=True)]
            print(
                f"n={num_envs:2} {name:16} median {statistics.median(values):8,.0f}/s   rlkit/it: "
                f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})",
                flush=True,
            )
    if arguments.out:
        write(arguments.out, "atari_stepping", rows)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
