"""Scores of continuous control: rlkit's agents and Stable-Baselines3's on the same episodes.

    python tests/benchmarks/control.py pendulum-sac pendulum-tqc --seeds 0 1 2 3 4 --out <folder>
    <python with stable-baselines3, too> tests/benchmarks/control.py half_cheetah-sac half_cheetah-sb3_sac --seeds 0 1
    python tests/benchmarks/control.py hopper-mbpo hopper-sac50 hopper-sac50x20 --seeds 0 1

Each case trains as `CASES` says; Stable-Baselines3 with the same settings where the name of its agent is the same. Then
the policies, the last one and the one that was best in evaluations while training, each play 100 episodes, others for
each seed, deterministically and as drawn. Rows are added to those that are there, and a case with a row for a
seed is not made again; a run that was stopped goes on.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from keep import write

NAME, EPISODES, FIRST_SEED = "control", 100, 10_000
TQC = "distribution=quantile distribution.quantiles=25 agent.drop=2"
MUJOCO = (
    "total_steps=100000 agent.learning_starts=10000 "
    "eval.every=10000 eval.episodes=10 eval.num_envs=10 checkpoint.every=10000"
)
CROSSQ = (
    "agent.target_network=false agent.actor.norm=batch_renorm agent.critics.norm=batch_renorm agent.policy_delay=3 "
    "agent.critics.hidden=[512,512] agent.learning_rate=1e-3 +agent.optimizer.betas=[0.5,0.999]"
)
SIMBA = "agent.actor.norm=residual agent.critics.norm=residual agent.standardize=true agent.gradient_steps=2"
DROQ = "agent.critics.dropout=0.01 agent.critics.norm=layer agent.gradient_steps=4 agent.policy_delay=4"
LANDER = "env=lunar_lander +env.kwargs.continuous=true"

IDS = {
    "pendulum": ("Pendulum-v1", {}),
    "lunar_lander": ("LunarLander-v3", {"continuous": True}),
    "bipedal_walker": ("BipedalWalker-v3", {}),
    "half_cheetah": ("HalfCheetah-v5", {}),
    "hopper": ("Hopper-v5", {}),
    "fetch_reach": ("FetchReach-v4", {}),
}
"""Environment -> its id in Gymnasium, and its options."""

CASES: dict[str, str | dict[str, Any]] = {
    **{f"pendulum-{agent}": f"agent={agent} env=pendulum" for agent in ("sac", "td3", "ddpg")},
    "pendulum-tqc": f"agent=sac env=pendulum {TQC}",
    "lunar_lander-sac": f"agent=sac {LANDER}",
    "bipedal_walker-sac": "agent=sac env=bipedal_walker",
    **{f"{env}-sac": f"agent=sac env={env} {MUJOCO}" for env in ("half_cheetah", "hopper")},
    **{f"{env}-crossq": f"agent=sac env={env} {MUJOCO} {CROSSQ}" for env in ("half_cheetah", "hopper")},
    **{f"{env}-simba": f"agent=sac env={env} {MUJOCO} {SIMBA}" for env in ("half_cheetah", "hopper")},
    **{f"{env}-tqc": f"agent=sac env={env} {MUJOCO} {TQC}" for env in ("half_cheetah", "hopper")},
    **{f"{env}-droq": f"agent=sac env={env} {MUJOCO} {DROQ}" for env in ("half_cheetah", "hopper")},
    **{f"{env}-sb3_sac": {"total": 100_000, "learning_starts": 10_000} for env in ("half_cheetah", "hopper")},
    **{f"{env}-mbpo": f"experiment=mbpo_{env}" for env in ("half_cheetah", "hopper")},
    **{f"{env}-sac50": f"agent=sac env={env} total_steps=50000" for env in ("half_cheetah", "hopper")},
    **{
        f"{env}-sac50x20": f"agent=sac env={env} total_steps=50000 agent.gradient_steps=20"
        for env in ("half_cheetah", "hopper")
    },
    "fetch_reach-sac": "agent=sac env=robotics replay=hindsight",
    **{f"{env}-ppo": f"agent=ppo env={env} total_steps=100000" for env in ("half_cheetah", "hopper")},
    **{f"{env}-ppo8": f"agent=ppo env={env} total_steps=100000 num_envs=8" for env in ("half_cheetah", "hopper")},
    **{f"{env}-sb3_ppo": {"total": 100_000} for env in ("half_cheetah", "hopper")},
    **{f"{env}-sb3_ppo8": {"total": 100_000, "n_envs": 8} for env in ("half_cheetah", "hopper")},
}
"""Words of `rlkit train` for rlkit's agents; steps and settings other than its own for Stable-Baselines3's."""

DRAWING = {"agent=sac", "agent=ppo", "experiment=mbpo_half_cheetah", "experiment=mbpo_hopper"}
"""Words of agents that can draw their actions."""

Act = Callable[[Any, bool], Any]


def rlkit_policies(case: str, seed: int, folder: Path) -> Iterator[tuple[str, bool, int, Act]]:
    """Train, and yield checkpoint, whether actions are drawn, steps, and what acts."""
    import rlkit

    directory = folder / f"{case}_s{seed}"
    words = [*str(CASES[case]).split(), "logger=[csv]", "video=none", "device=cpu"]
    run = rlkit.train(resume=directory) if directory.exists() else rlkit.train(*words, seed=seed, run_dir=directory)
    if run.stopped:
        raise SystemExit(f"stopped: {run.stopped}; the same command goes on")
    for checkpoint in ("best", "last"):
        for drawn in (False, True) if set(words) & DRAWING else (False,):
            policy = run.policy(checkpoint=checkpoint, sample=drawn or None)

            def act(observation: Any, first: bool, policy: Any = policy) -> Any:
                if first:
                    policy.reset()
                return policy(observation)

            yield checkpoint, drawn, run.config.total_steps, act


def sb3_policies(case: str, seed: int, folder: Path) -> Iterator[tuple[str, bool, int, Act]]:
    """Do the same with Stable-Baselines3, whose best policy is that of its own callback."""
    import stable_baselines3
    import torch
    from stable_baselines3.common.callbacks import EvalCallback
    from stable_baselines3.common.env_util import make_vec_env
    from stable_baselines3.common.monitor import Monitor

    torch.set_num_threads(1)
    env, _, agent = case.partition("-sb3_")
    kind = getattr(stable_baselines3, agent.rstrip("8").upper())
    settings = dict(CASES[case])  # type: ignore[arg-type]
    total, copies = settings.pop("total"), settings.pop("n_envs", 1)
    directory = folder / f"{case}_s{seed}"
    evaluation = EvalCallback(
        Monitor(made(env)),
        best_model_save_path=str(directory),
        eval_freq=10_000 // copies,
        n_eval_episodes=10,
        verbose=0,
    )
    model = kind("MlpPolicy", make_vec_env(lambda: made(env), copies), seed=seed, device="cpu", **settings)
    model.learn(total, callback=evaluation)
    for checkpoint, one in (("best", kind.load(directory / "best_model", device="cpu")), ("last", model)):
        for drawn in (False, True):
            yield checkpoint, drawn, total, lambda x, first, m=one, d=drawn: m.predict(x, deterministic=not d)[0]


def made(env: str) -> gymnasium.Env[Any, Any]:
    """Return a new environment."""
    name, options = IDS[env]
    if env == "fetch_reach":
        import gymnasium_robotics  # noqa: F401
    return gymnasium.make(name, **options)


def returns(env: str, act: Act, first_seed: int) -> np.ndarray[Any, Any]:
    """Return the returns [EPISODES] of episodes; where there are goals, whether they were reached at the end."""
    environment, found = made(env), []
    for episode in range(EPISODES):
        observation, _ = environment.reset(seed=first_seed + episode)
        total, first, over = 0.0, True, False
        while not over:
            observation, reward, terminated, truncated, info = environment.step(act(observation, first))
            total, first, over = total + float(reward), False, terminated or truncated
        found.append(info.get("is_success", total))
    return np.array(found)


def rows_of(case: str, seed: int, folder: Path) -> Iterator[dict[str, Any]]:
    """Train a case, and yield a row for each checkpoint and way to act."""
    env, _, agent = case.partition("-")
    started, busy = time.time(), time.process_time()
    policies = sb3_policies if agent.startswith("sb3_") else rlkit_policies
    spent: tuple[int, int] | None = None
    for checkpoint, drawn, steps, act in policies(case, seed, folder):
        spent = spent or (round(time.time() - started), round(time.process_time() - busy))
        found = returns(env, act, FIRST_SEED + EPISODES * seed)
        scores = {"mean": round(float(found.mean()), 2), "std": round(float(found.std()), 2)}
        yield {
            **{"env": env, "agent": agent, "seed": seed, "steps": steps, "checkpoint": checkpoint},
            **{"actions": "drawn" if drawn else "deterministic", "episodes": EPISODES, **scores},
            **{"seconds": spent[0], "processor_seconds": spent[1]},
        }


def main() -> None:
    """Train and score what is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="+", choices=list(CASES), metavar="case", help=", ".join(CASES))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="where run folders go")
    parser.add_argument("--out", type=Path, default=Path("tests/benchmarks/results"))
    options = parser.parse_args()
    known = options.out / f"{NAME}.csv"
    rows: list[dict[str, Any]] = list(csv.DictReader(known.open())) if known.exists() else []
    for case in options.cases:
        for seed in options.seeds:
            if any((f"{row['env']}-{row['agent']}", int(row["seed"])) == (case, seed) for row in rows):
                continue
            made_rows = list(rows_of(case, seed, options.runs))
            print(*made_rows, sep="\n", flush=True)
            rows = sorted([*rows, *made_rows], key=lambda row: (row["env"], row["agent"], int(row["seed"])))
            write(options.out, NAME, rows, settings=dict(CASES))


if __name__ == "__main__":
    main()
