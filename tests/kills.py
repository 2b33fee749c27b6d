"""Kill training runs with SIGKILL, resume them, and compare what they leave with an uninterrupted run's.

By hand: ``python tests/kills.py --kills 20 --writing 5`` (all cases), or with the names of some.
"""

from __future__ import annotations

import argparse
import csv
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from commands import Command, server
from encoding import FIT, frames
from recordings import record

ATARI = (
    "agent=dqn env=atari env.game=Breakout env.life_loss=true tuned=none network=small num_envs=4 replay.capacity=1500 "
    "agent.learning_starts=400 agent.train_freq=32 eval.max_steps=200 total_steps=3000"
)

BOUNDS = "agent.features.low=[-4.8,-4,-0.42,-4] agent.features.high=[4.8,4,0.42,4]"

CASES = {
    "random-cartpole": "agent=random env=cartpole total_steps=6000",
    "q_learning-frozen_lake": "agent=q_learning env=frozen_lake tuned=none num_envs=1 total_steps=6000",
    "q_learning-taxi-async": "agent=q_learning env=taxi num_envs=2 vectorization=async total_steps=4000",
    "q_learning-blackjack": "agent=q_learning env=blackjack num_envs=3 total_steps=6000",
    "q_learning-cartpole-kmeans": "agent=q_learning discretizer@agent.discretizer=kmeans env=cartpole num_envs=4 "
    "agent.discretizer.fit_after=1600 agent.discretizer.estimator.n_clusters=40 total_steps=6000",
    "fitted_q-cartpole": "agent=fitted_q env=cartpole num_envs=4 tuned=none agent.estimator.n_estimators=5 "
    "agent.iterations=3 agent.learning_starts=400 agent.fit_every=300 replay.capacity=1500 total_steps=3000",
    "mc_control-compiled": "agent=mc_control env=frozen_lake inner_loop=numba total_steps=60000",
    "q_learning-compiled": "agent=q_learning agent.trace_decay=0.7 env=safecab inner_loop=numba total_steps=60000",
    "dyna_q_plus-changing_maze": "agent=dyna_q_plus agent.outcomes=3 env=changing_maze max_episode_steps=300 "
    "env.changes_at=[2500] num_envs=2 total_steps=6000",
    "prioritized_sweeping-maze": "agent=prioritized_sweeping agent.outcomes=2 env=maze env.slip=0.2 action_mask=true "
    "total_steps=6000",
    "sarsa-compiled": "agent=sarsa agent.n_step=3 env=frozen_lake inner_loop=numba total_steps=60000",
    "double_q_learning-taxi": "agent=double_q_learning agent.n_step=3 env=taxi inner_loop=python total_steps=6000",
    "sarsa-cliff_walking": "agent=sarsa agent.n_step=3 env=cliff_walking num_envs=2 total_steps=6000",
    "expected_sarsa-frozen_lake": "agent=expected_sarsa agent.trace_decay=0.7 env=frozen_lake total_steps=6000",
    "mc_control-blackjack": "agent=mc_control agent.off_policy=true env=blackjack num_envs=2 total_steps=6000",
    "mc_prediction-random_walk": "agent=mc_prediction env=random_walk total_steps=6000",
    "td_prediction-gridworld-native": "agent=td_prediction agent.n_step=4 env=gridworld num_envs=4 "
    "vectorization=native total_steps=9000",
    "linear_sarsa-mountain_car": "agent=linear_sarsa agent.trace_decay=0.9 env=mountain_car tuned=none "
    "total_steps=6000",
    "linear_q-cartpole": f"agent=linear_q env=cartpole num_envs=2 {BOUNDS} total_steps=6000",
    "linear_td_prediction-cartpole": f"agent=linear_td_prediction env=cartpole {BOUNDS} total_steps=6000",
    "value_iteration-taxi": "agent=value_iteration env=taxi total_steps=6000",
    "policy_iteration-gridworld": "agent=policy_iteration env=gridworld agent.gamma=1 total_steps=6000",
    "cfr_plus-kuhn_poker": "agent=cfr_plus env=kuhn_poker num_envs=2 total_steps=6000",
    "mappo-simple_spread": "agent=mappo env=pettingzoo env.id=mpe2/simple_spread_v3 env.view=all network.hidden=[16] "
    "num_envs=2 agent.batch_size=48 agent.epochs=2 eval.episodes=3 total_steps=4000",
    "qmix-two_step": "agent=qmix env=two_step num_envs=2 network.hidden=[16] agent.learning_starts=300 "
    "replay.capacity=900 total_steps=4000",
    "random-pendulum": "agent=random env=gym env.id=Pendulum-v1 num_envs=2 total_steps=4000",
    "dqn-cartpole": "agent=dqn env=cartpole tuned=none agent.learning_starts=500 agent.train_freq=4 total_steps=6000",
    "dqn-cartpole-many": "agent=dqn env=cartpole tuned=none num_envs=3 agent.learning_starts=500 agent.train_freq=8 "
    "total_steps=3000",
    "dqn-cartpole-async": "agent=dqn env=cartpole tuned=none num_envs=2 vectorization=async agent.learning_starts=500 "
    "agent.train_freq=8 total_steps=4000",
    "dqn-cartpole-native": "agent=dqn env=gym env.id=CartPole-v1 num_envs=4 vectorization=native "
    "agent.learning_starts=500 agent.train_freq=8 total_steps=6000",
    "dqn-lunar_lander": "agent=dqn env=lunar_lander tuned=none agent.learning_starts=500 agent.train_freq=8 "
    "total_steps=2200",
    "dqn-lunar_lander-async": "agent=dqn env=lunar_lander tuned=none num_envs=2 vectorization=async "
    "agent.learning_starts=500 agent.train_freq=8 total_steps=4000",
    "reinforce-cartpole": "agent=reinforce env=cartpole tuned=none num_envs=2 agent.episodes=3 total_steps=6000",
    "actor_critic-acrobot": "agent=actor_critic agent.network.action_values=true agent.discount_weights=true "
    "env=acrobot tuned=none num_envs=2 total_steps=4000",
    "a2c-cartpole-gru": "agent=a2c env=cartpole tuned=none num_envs=4 agent.network.recurrent=gru total_steps=6000",
    "a2c-lunar_lander-async": "agent=a2c env=lunar_lander tuned=none num_envs=2 vectorization=async total_steps=6000",
    "a2c-catch": "agent=a2c env=catch network=small num_envs=3 agent.n_steps=7 total_steps=4000",
    "ppo-pendulum-scaled": "agent=ppo env=gym env.id=Pendulum-v1 tuned=none num_envs=3 agent.n_steps=128 "
    "agent.network.standardize=true agent.network.squash=true agent.scale_rewards=true total_steps=6000",
    "ppo-cartpole-lstm": "agent=ppo env=cartpole tuned=none num_envs=3 agent.n_steps=64 agent.network.recurrent=lstm "
    "agent.epochs=2 agent.network.standardize=true total_steps=3000",
    "ppo-atari": "agent=ppo env=atari env.game=Breakout tuned=none network=small num_envs=4 agent.n_steps=32 "
    "agent.epochs=2 eval.max_steps=200 total_steps=3000",
    "pqn-cartpole": "agent=pqn env=cartpole tuned=none num_envs=3 agent.n_steps=48 agent.batch_size=32 "
    "total_steps=6000",
    "ppo-deep_sea-rnd": "agent=ppo env=deep_sea num_envs=4 vectorization=native agent.n_steps=32 agent.epochs=2 "
    "+intrinsic@agent.intrinsic=rnd total_steps=6000",
    "a2c-cartpole-rnd": "agent=a2c env=cartpole tuned=none num_envs=3 agent.n_steps=16 "
    "+intrinsic@agent.intrinsic=rnd total_steps=6000",
    "es-cartpole": "agent=es env=cartpole tuned=none num_envs=5 total_steps=9000",
    "cloning-cartpole": "agent=cloning agent.episodes={episodes} env=cartpole num_envs=2 agent.balance=0.5 "
    "agent.draw=true agent.estimator.n_epochs=10 total_steps=6000",
    "iql-cartpole": "agent=iql agent.episodes={episodes} agent.offline_steps=1800 env=cartpole num_envs=2 "
    "agent.batch_size=32 agent.actor.hidden=[32] agent.critics.hidden=[32] agent.value.hidden=[32] "
    "agent.standardize=true total_steps=3000",
    "go_explore-deep_sea": "agent=go_explore env=deep_sea env.size=12 env.mapping_seed=1 num_envs=2 agent.horizon=12 "
    "agent.hold=0.5 total_steps=4000",
    "gail-cartpole": "agent=gail agent.episodes={episodes} agent.any_length=true env=cartpole num_envs=2 "
    "agent.policy.n_steps=64 agent.policy.epochs=2 agent.every=200 agent.gradient_steps=8 agent.buffer.capacity=300 "
    "total_steps=6000",
    "dqn-bcq-cartpole": "agent=dqn agent.offline=bcq agent.episodes={episodes} agent.offline_steps=1800 env=cartpole "
    "tuned=none agent.learning_starts=0 agent.train_freq=4 total_steps=3000",
    "mcts-frozen_lake": "agent=mcts env=frozen_lake num_envs=2 agent.simulations=20 agent.max_steps=20 "
    "total_steps=2000",
    "alphazero-tic_tac_toe": "agent=alphazero env=tic_tac_toe vectorization=native num_envs=4 agent.simulations=8 "
    "agent.learning_starts=100 agent.train_every=16 agent.batch_size=32 tuned=none total_steps=3000",
    "muzero-tic_tac_toe": "agent=muzero latents@agent.network.latents=board env=tic_tac_toe vectorization=native "
    "num_envs=4 agent.network.latents.filters=4 agent.simulations=6 agent.learning_starts=100 agent.train_every=16 "
    "agent.batch_size=32 tuned=none total_steps=2000",
    "muzero-gumbel-cartpole": "agent=muzero env=cartpole tuned=none num_envs=2 agent.simulations=6 agent.considered=2 "
    "agent.reanalyze=0.25 agent.learning_starts=100 agent.train_every=32 agent.batch_size=16 total_steps=1600",
    "mcts-connect_four": "agent=mcts env=connect_four vectorization=native num_envs=4 agent.simulations=40 "
    "eval.max_steps=6 total_steps=1600",
    "alphazero-connect_four": "agent=alphazero env=connect_four vectorization=native num_envs=4 agent.simulations=8 "
    "agent.resign_at=-0.3 agent.resign_played_on=0.5 agent.learning_starts=100 agent.train_every=32 "
    "agent.batch_size=32 network=residual network.filters=8 network.blocks=1 network.hidden=16 eval.max_steps=6 "
    "total_steps=1600",
    "bandit-recommendation": "agent=bandit env=recommendation env.session=3 action_mask=true num_envs=4 "
    "learner@agent.estimator=factorization explorer@agent.explorer=thompson agent.bootstraps=2 agent.memory=1000 "
    "total_steps=2200",
    "ddpg-lqr": "agent=ddpg env=lqr tuned=none num_envs=2 agent.learning_starts=300 agent.batch_size=32 "
    "agent.actor.hidden=[32] agent.critics.hidden=[32] total_steps=3000",
    "td3-pendulum": "agent=td3 env=pendulum tuned=none agent.learning_starts=500 agent.batch_size=32 replay.n_step=2 "
    "agent.actor.hidden=[32] agent.critics.hidden=[32] replay.capacity=1500 total_steps=3000",
    "sac-pendulum": "agent=sac env=pendulum tuned=none agent.learning_starts=500 agent.batch_size=32 "
    "agent.actor.hidden=[32] agent.critics.hidden=[32] total_steps=3000",
    "sac-gsde-pendulum": "agent=sac agent.actor.noise=state_dependent agent.noise_steps=64 agent.train_freq=8 "
    "agent.gradient_steps=4 env=pendulum tuned=none num_envs=2 agent.learning_starts=500 agent.batch_size=32 "
    "agent.actor.hidden=[32] agent.critics.hidden=[32] total_steps=3000",
    "tqc-dropout-lunar_lander-async": "agent=sac env=lunar_lander +env.kwargs.continuous=true tuned=none num_envs=2 "
    "vectorization=async distribution=quantile distribution.quantiles=5 agent.drop=1 agent.critics.dropout=0.1 "
    "agent.critics.norm=layer agent.subset=2 agent.critics.count=3 replay=prioritized agent.learning_starts=500 "
    "agent.batch_size=32 agent.actor.hidden=[32] agent.critics.hidden=[32] agent.train_freq=2 total_steps=2200",
    "crossq-cartpole": "agent=sac env=cartpole tuned=none agent.target_network=false agent.critics.norm=batch_renorm "
    "agent.actor.norm=batch_renorm agent.standardize=true agent.learning_starts=500 agent.batch_size=32 "
    "agent.actor.hidden=[32] agent.critics.hidden=[32] total_steps=3000",
    "sac-car_racing": "agent=sac env=car_racing env.discrete=false tuned=none network=small network.hidden=16 "
    "agent.learning_starts=300 agent.batch_size=8 agent.train_freq=16 agent.critics.hidden=[16] "
    "agent.actor.hidden=[16] env.max_steps=100 eval.max_steps=20 total_steps=1600",
    "mbpo-pendulum": "agent=mbpo env=pendulum tuned=none agent.learning_starts=300 agent.batch_size=32 "
    "agent.gradient_steps=2 agent.actor.hidden=[32] agent.critics.hidden=[32] agent.ensemble.hidden=[32] "
    "agent.model_every=100 agent.model_epochs=3 agent.rollouts=20 agent.length_last=4 agent.lengthen_from=300 "
    "agent.lengthen_until=1200 agent.imagined=5000 total_steps=1600",
    "dqn-catch-frozen": "agent=dqn env=catch network=small network.encoder={encoder} network.freeze=true num_envs=2 "
    "agent.learning_starts=200 agent.train_freq=8 agent.batch_size=16 total_steps=2200",
    "ppo-t-maze-transformer": "agent=ppo env=t_maze env.length=4 num_envs=3 agent.network.recurrent=transformer "
    "agent.network.recurrent_size=8 agent.network.transformer.memory=6 agent.n_steps=32 agent.batch_size=64 "
    "total_steps=6000",
    "ppo-minigrid-gru": "agent=ppo env=minigrid tuned=none num_envs=3 agent.network.recurrent=gru agent.n_steps=32 "
    "agent.batch_size=64 agent.epochs=2 eval.max_steps=40 total_steps=2200",
    "dqn-minatar-async": "agent=dqn env=minatar env.game=asterix network=mlp num_envs=2 vectorization=async "
    "agent.learning_starts=200 agent.train_freq=8 total_steps=4000",
    "dqn-highway": "agent=dqn env=highway env.config.duration=8 env.config.vehicles_count=5 num_envs=2 "
    "eval.max_steps=4 agent.learning_starts=200 agent.train_freq=8 total_steps=1500",
    "dqn-pettingzoo": "agent=dqn env=pettingzoo network=mlp num_envs=2 agent.learning_starts=200 agent.train_freq=8 "
    "total_steps=2200",
    "dqn-atari-native": "env.stepping=native overlap=true replay=prioritized replay.n_step=3 agent.network.noisy=true "
    f"distribution=c51 {ATARI}",
    "dqn-atari-python": f"env.stepping=python {ATARI}",
    "dqn-cartpole-lstm-sequences": "agent=dqn env=cartpole tuned=none num_envs=2 agent.network.recurrent=lstm "
    "replay=sequences replay.length=8 replay.burn_in=4 replay.n_step=2 replay.capacity=900 agent.batch_size=16 "
    "agent.learning_starts=300 agent.train_freq=8 total_steps=2200",
    "sac-pendulum-gru-sequences": "agent=sac env=pendulum tuned=none agent.recurrent=gru agent.standardize=true "
    "replay=sequences replay.length=8 replay.burn_in=4 replay.capacity=900 agent.batch_size=16 "
    "agent.learning_starts=300 agent.train_freq=4 agent.actor.hidden=[32] agent.critics.hidden=[32] total_steps=2200",
    "td3-robotics-hindsight": "agent=td3 env=robotics replay=hindsight tuned=none num_envs=2 replay.capacity=900 "
    "agent.learning_starts=300 agent.batch_size=32 agent.actor.hidden=[32] agent.critics.hidden=[32] "
    "eval.episodes=2 total_steps=2000",
    "tqc-car_racing": "agent=sac distribution=quantile distribution.quantiles=8 agent.drop=2 env=car_racing "
    "env.discrete=false tuned=none network=small network.hidden=16 agent.learning_starts=300 agent.batch_size=8 "
    "agent.train_freq=16 agent.critics.hidden=[16] agent.actor.hidden=[16] env.max_steps=100 eval.max_steps=20 "
    "total_steps=1600",
    "dqn-bit_flip-hindsight": "agent=dqn env=bit_flip replay=hindsight replay.strategy=episode replay.n_step=2 "
    "num_envs=3 replay.capacity=900 tuned=none agent.learning_starts=300 agent.train_freq=8 total_steps=3000",
    **{
        f"random-{robot}": f"agent=random env={robot} num_envs=2 total_steps=4000"
        for robot in (
            *("ant", "half_cheetah", "hopper", "humanoid", "humanoid_standup", "inverted_double_pendulum"),
            *("inverted_pendulum", "pusher", "reacher", "swimmer", "walker2d"),
        )
    },
    "random-fetch": "agent=random env=robotics num_envs=2 total_steps=2000",
    "random-dm_control": "agent=random env=dm_control num_envs=2 total_steps=2000",
}
"""Name -> overrides: every agent, in this process, in subprocesses and native, plain data and opaque.

``{encoder}`` stands for a run of `rlkit fit` with pictures as Catch shows them, ``{episodes}`` for recorded episodes.
"""

SWEEPS = {
    "sweep": "",
    "sweep-joblib": "hydra/launcher=joblib hydra.launcher.n_jobs=2",
    "sweep-ray": "hydra/launcher=ray",
}
"""Name -> launcher of a sweep of 3 x 2 jobs, which is killed as a whole."""

SWEPT = (
    "agent=q_learning env=frozen_lake tuned=none inner_loop=python total_steps=6000 agent.gamma=0.9,0.95,0.99 seed=0,1"
)

PERIODS = (
    "eval.every=1500 eval.episodes=3 eval.max_steps=500 checkpoint.every=700 log.every=250 logger=[csv] video=none"
)
COMPARED = ("metrics.csv", "episodes.csv", "evaluations.csv", "curve.png")


def with_encoder(overrides: str, folder: Path) -> str:
    """Return the overrides, with an encoder that is fitted here where they ask for one."""
    if "{encoder}" not in overrides:
        return overrides
    pictures = frames(folder / "frames.npz", (44, 20))
    finish(Command("fit", *FIT.split(), f"data.path={pictures}", "name=encoder", cwd=folder))
    return overrides.format(encoder=folder / "runs/encoder")


def launch(folder: Path, overrides: str, pythonpath: str | Path = "") -> Command:
    """Start ``rlkit train`` in `folder`, with `pythonpath` before Python's own."""
    return Command("train", *overrides.split(), cwd=folder, pythonpath=pythonpath)


def finish(process: Command) -> None:
    """Wait for a run that must succeed."""
    _, errors = process.communicate(timeout=600)
    if process.returncode != 0:
        raise AssertionError(f"{process.args} gave {process.returncode}: {errors}")


def kill_when(process: Command, checkpoints: Path, delay: float, writing: bool) -> bool:
    """Kill `process` after `delay` seconds, or (writing) at the first checkpoint under way after that.

    Returns whether a checkpoint was being written when it died.
    """
    time.sleep(delay)
    while writing and process.poll() is None and not _unfinished(checkpoints):
        time.sleep(0.0002)
    process.kill()
    process.communicate()
    return _unfinished(checkpoints)


def _unfinished(checkpoints: Path) -> bool:
    try:
        return any(path.name.startswith(".tmp-") for path in checkpoints.iterdir())
    except FileNotFoundError:
        return False


def compare(expected: Path, actual: Path) -> list[str]:
    """Return the files that differ between two run folders."""
    last = max(int(path.name) for path in (expected / "checkpoints").iterdir() if path.name.isdigit())
    files = [*COMPARED, *_files(expected, f"checkpoints/{last}"), *_files(expected, "checkpoints/best")]
    if sorted(files) != sorted(
        [*COMPARED, *_files(actual, f"checkpoints/{last}"), *_files(actual, "checkpoints/best")]
    ):
        return ["the lists of files differ"]
    return [name for name in files if (expected / name).read_bytes() != (actual / name).read_bytes()]


def _files(folder: Path, part: str) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in (folder / part).rglob("*") if path.is_file())


def run_case(
    overrides: str, folder: Path, kills: int, writing: int, seed: int = 0, pythonpath: str = "", trust: str = ""
) -> list[dict[str, object]]:
    """Kill and resume `kills` runs of a case, each once, and return a row for each.

    At least `writing` of them die while a checkpoint is being written. A resumed run trusts the module `trust`.
    """
    resumed = f"resume=runs/case {f'trust={trust}' if trust else ''}"
    if "{episodes}" in overrides:
        overrides = overrides.format(episodes=record(folder / "episodes", "env=cartpole", episodes=20))
    whole = folder / "whole"
    whole.mkdir(parents=True)
    server()  # whose start is no part of a run's time
    overrides = f"{PERIODS} {with_encoder(overrides, folder)} run_dir=runs/case"
    started = time.time()
    finish(launch(whole, overrides, pythonpath))
    # Until the last checkpoint: afterwards pictures are drawn, which is no time to be killed in.
    wall = max(path.stat().st_mtime for path in (whole / "runs/case/checkpoints").iterdir()) - started
    moments = random.Random(seed)
    rows: list[dict[str, object]] = []
    wanted = writing
    while len(rows) < kills or wanted > 0:
        attempt = folder / "killed"
        attempt.mkdir()
        process = launch(attempt, overrides, pythonpath)
        hit = kill_when(process, attempt / "runs/case/checkpoints", moments.uniform(0, wall), wanted > 0)
        finished = process.returncode == 0
        began = (attempt / "runs/case/config.yaml").exists()
        at = max((int(p.name) for p in attempt.glob("runs/case/checkpoints/*") if p.name.isdigit()), default=0)
        if not began:
            shutil.rmtree(attempt / "runs", ignore_errors=True)
        finish(launch(attempt, resumed if began else overrides, pythonpath))
        different = compare(whole / "runs/case", attempt / "runs/case")
        shutil.rmtree(attempt)
        if finished:
            continue
        wanted -= hit
        rows.append(
            {"kill": len(rows), "resumed_from": at, "while_writing": int(hit), "different": " ".join(different)}
        )
    return rows


def run_sweep(launcher: str, folder: Path, kills: int, seed: int = 0) -> list[dict[str, object]]:
    """Kill a sweep as a whole, its workers included, `kills` times and resume it each time; return a row for each.

    The runs are compared with those of a sweep that is not killed whenever one has come to its end.
    """
    whole, attempt = folder / "whole", folder / "killed"
    whole.mkdir(parents=True)
    words = f"-m {PERIODS} {SWEPT} hydra.sweep.dir=runs/sweeps/one {launcher}"
    resumed = f"-m resume_sweep=runs/sweeps/one {launcher}"
    server()  # whose start is no part of a sweep's time
    started = time.monotonic()
    finish(launch(whole, words))
    wall = time.monotonic() - started
    moments = random.Random(seed)
    rows: list[dict[str, object]] = []
    while len(rows) < kills:
        attempt.mkdir()
        begun, died, over = False, 0, False
        while died < 2 and not over:
            process = launch(attempt, resumed if begun else words)
            time.sleep(moments.uniform(0, wall))
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            if over := process.returncode == 0:
                continue
            died += 1
            begun = (attempt / "runs/sweeps/one/sweep.yaml").exists()
            if not begun:
                shutil.rmtree(attempt / "runs", ignore_errors=True)
            ended = len(list(attempt.glob("runs/sweeps/one/outcomes/*.json")))
            rows.append({"kill": len(rows), "resumed_from": f"{ended} of 6", "while_writing": 0, "different": ""})
        if not over:
            finish(launch(attempt, resumed if begun else words))
        if died:
            rows[-1]["different"] = " ".join(_different(whole / "runs", attempt / "runs"))
        shutil.rmtree(attempt)
    return rows


def _different(expected: Path, actual: Path) -> list[str]:
    """Return the files that differ between two folders of runs."""
    names = sorted(path.name for path in expected.iterdir())
    if names != sorted(path.name for path in actual.iterdir()):
        return ["the lists of runs differ"]
    runs = [name for name in names if name != "sweeps"]
    return [f"{name}/{file}" for name in runs for file in compare(expected / name, actual / name)]


def main() -> None:
    """Run cases and print a table; with --out keep it as CSV."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="*", default=[*CASES, *SWEEPS])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--writing", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    table: list[dict[str, object]] = []
    for name in arguments.cases:
        with tempfile.TemporaryDirectory() as folder:
            if name in SWEEPS:
                rows = run_sweep(SWEEPS[name], Path(folder), arguments.kills, arguments.seed)
            else:
                rows = run_case(CASES[name], Path(folder), arguments.kills, arguments.writing, arguments.seed)
        table += [{"case": name, **row} for row in rows]
        bad = [row for row in rows if row["different"]]
        hits = sum(int(str(row["while_writing"])) for row in rows)
        print(
            f"{name}: {len(rows)} kills ({hits} while writing a checkpoint), {len(bad)} differ {bad or ''}", flush=True
        )
        if arguments.out:
            with arguments.out.open("w", newline="") as file:
                writer = csv.DictWriter(file, list(table[0]), lineterminator="\n")
                writer.writeheader()
                writer.writerows(table)
    sys.exit(any(row["different"] for row in table))


if __name__ == "__main__":
    main()
