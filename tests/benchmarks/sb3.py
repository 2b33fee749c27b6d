"""Stable-Baselines3's agents as rows of a suite (`rlkit.runs.suites.peers`).

    rlkit bench suite=classic_peers hydra.searchpath=[file://tests/benchmarks/conf]

In an environment with stable-baselines3, from the root of a checkout. Beside ``call`` stand the name of the
`algorithm`, its `settings` (the library's defaults where there are none) and its number of environments, `n_envs`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from rlkit.runs.suites.peers import PeerResult, PeerTask, Policy


def train(task: PeerTask) -> PeerResult:
    """Train as the library's users do: with its own callback for evaluations, on the processor, by one thread."""
    import stable_baselines3
    import torch
    from stable_baselines3.common.callbacks import EvalCallback
    from stable_baselines3.common.env_util import make_vec_env

    torch.set_num_threads(1)
    kind = getattr(stable_baselines3, task.options["algorithm"])
    copies = task.options.get("n_envs", 1)
    evaluation = EvalCallback(
        make_vec_env(task.make_env, 1, seed=task.seed + 1_000_000),
        best_model_save_path=str(task.folder),
        log_path=str(task.folder),
        eval_freq=max(1, task.eval_every // copies),
        n_eval_episodes=task.eval_episodes,
        verbose=0,
    )
    environments = make_vec_env(task.make_env, copies, seed=task.seed)
    model = kind("MlpPolicy", environments, seed=task.seed, device="cpu", **task.options.get("settings", {}))
    model.learn(task.total_steps, callback=evaluation)
    best = kind.load(task.folder / "best_model", device="cpu")
    return PeerResult(policy_of(model), policy_of(best), evaluations_of(task.folder))


def policy_of(model: Any) -> Policy:
    """Return what a model does where it does not explore."""
    return lambda observation: model.predict(observation, deterministic=True)[0]


def evaluations_of(folder: Path) -> list[tuple[int, float]]:
    """Return (step, mean return) of each evaluation that the callback has kept."""
    with np.load(os.fspath(folder / "evaluations.npz")) as kept:
        pairs = zip(kept["timesteps"], kept["results"].mean(axis=1), strict=True)
        return [(int(step), float(mean)) for step, mean in pairs]
