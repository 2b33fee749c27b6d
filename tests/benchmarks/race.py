"""Time until an agent masters CartPole-v1 or Pendulum-v1: rlkit's tuned settings against Stable-Baselines3's zoo's.

    python tests/benchmarks/race.py --peer-python <python with stable-baselines3> --out <folder>
    … tests/benchmarks/race.py --agent ppo             # or a2c; dqn, if you say nothing
    … tests/benchmarks/race.py --agent sac             # or td3: Pendulum

Runs alternate, one process each, both with the same number of torch threads. After every 2,000 environment steps (500
on Pendulum) the clock stops and 20 greedy episodes are played by the same function; the threshold counts as reached at
the first mean of at least 475 (-160) that 100 further episodes confirm. A run that never gets there counts with all its
training time. With ``--identical`` both use the zoo's hyperparameters and one environment, and DQN no threshold: the
ratio of its steps per second is of interest then.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium
import numpy as np
from keep import versions, write

FIELDS = ("framework", "seed", "reached", "steps", "seconds")
BUDGETS = {"dqn": 50_000, "a2c": 500_000, "ppo": 100_000, "sac": 20_000, "td3": 20_000}
"""Steps of training; those of the zoo."""


class Task(NamedTuple):
    """What is to be mastered."""

    id: str
    name: str  # rlkit's
    period: int  # steps between scores
    threshold: float


CARTPOLE, PENDULUM = Task("CartPole-v1", "cartpole", 2_000, 475.0), Task("Pendulum-v1", "pendulum", 500, -160.0)
TASKS = {"dqn": CARTPOLE, "a2c": CARTPOLE, "ppo": CARTPOLE, "sac": PENDULUM, "td3": PENDULUM}

ZOO = {
    "learning_rate": 2.3e-3,
    "batch_size": 64,
    "buffer_size": 100_000,
    "learning_starts": 1_000,
    "gamma": 0.99,
    "target_update_interval": 10,
    "train_freq": 256,
    "gradient_steps": 128,
    "exploration_fraction": 0.16,
    "exploration_final_eps": 0.04,
}
PPO_ZOO = {
    "n_steps": 32,
    "batch_size": 256,
    "gae_lambda": 0.8,
    "gamma": 0.98,
    "n_epochs": 20,
    "learning_rate": lambda left: 1e-3 * left,
    "clip_range": lambda left: 0.2 * left,
}
"""With eight environments, as for A2C, whose settings are Stable-Baselines3's own defaults."""

# The same settings in rlkit's words. SB3 copies its target every 10 environment steps but only while it steps: between
# two bursts of 128 updates, so once a burst.
IDENTICAL = {
    "dqn": (
        "tuned=none num_envs=1 agent.double=false agent.learning_rate=0.0023 agent.batch_size=64 "
        "replay.capacity=100000 "
        "agent.learning_starts=1000 agent.gamma=0.99 agent.target_every=128 agent.tau=1.0 agent.train_freq=256 "
        "agent.gradient_steps=128 agent.epsilon.steps=8000 agent.epsilon.end=0.04 network=mlp network.hidden=[256,256]"
    ),
    **{
        agent: "tuned=none agent.learning_rate=0.001 agent.learning_starts=100 agent.policy_delay=" + delay
        for agent, delay in (("sac", "1"), ("td3", "2"))
    },
}

Act = Callable[[np.ndarray], np.ndarray]


def mean_return(act: Act, env_id: str, episodes: int, seed: int) -> float:
    """Return the mean return of greedy episodes, the function that scores both frameworks."""
    envs = [gymnasium.make(env_id, disable_env_checker=True) for _ in range(episodes)]
    observations = np.stack([env.reset(seed=seed + i)[0] for i, env in enumerate(envs)])
    returns, playing = np.zeros(episodes), np.ones(episodes, bool)
    while playing.any():
        actions = act(observations)
        for i in np.flatnonzero(playing):
            observations[i], reward, terminated, truncated, _ = envs[i].step(actions[i])
            returns[i] += reward
            playing[i] = not (terminated or truncated)
    return float(returns.mean())


class Referee:
    """Stops the clock, scores, and notes when the threshold was reached."""

    def __init__(self, act: Act, task: Task, seed: int, score: bool):
        self._act, self._task, self._seed, self._score = act, task, seed, score
        self._resumed = time.perf_counter()
        self.seconds = 0.0
        self.curve: list[tuple[int, float, float]] = []
        self.reached: tuple[int, float] | None = None

    def check(self, step: int) -> bool:
        """Score at `step`; return whether the race is over."""
        self.seconds += time.perf_counter() - self._resumed
        if self._score:
            mean = self._mean(20, 1_000_000 + 1_000 * step)
            self.curve.append((step, self.seconds, mean))
            least = self._task.threshold
            if mean >= least and self._mean(100, 2_000_000 + 1_000 * step) >= least:
                self.reached = (step, self.seconds)
        self._resumed = time.perf_counter()
        return self.reached is not None

    def _mean(self, episodes: int, seed: int) -> float:
        return mean_return(self._act, self._task.id, episodes, seed + self._seed)


def race_rlkit(agent_name: str, seed: int, identical: bool, budget: int, threads: int) -> Referee:
    """Train with rlkit."""
    import torch

    from rlkit.config.compose import composed
    from rlkit.config.run_config import TrainRunConfig, requested
    from rlkit.core.loop import crossed, train
    from rlkit.core.seeding import Seeds
    from rlkit.core.types import TimeStep
    from rlkit.runs import build
    from rlkit.runs.training import stream

    torch.set_num_threads(threads)
    overrides = [
        f"agent={agent_name}",
        f"env={TASKS[agent_name].name}",
        f"seed={seed}",
        "device=cpu",
        *(IDENTICAL[agent_name].split() if identical else []),
    ]
    task = TASKS[agent_name]
    config = requested(TrainRunConfig, *composed("train", overrides))
    env = build.make_environment(config.environment, num_envs=config.num_envs)
    agent = build.make_agent(config.agent_config, env, Seeds(seed))
    rng = np.random.default_rng(0)

    def act(observation: np.ndarray) -> np.ndarray:
        blank: Any = TimeStep(observation, *[None] * (len(TimeStep._fields) - 1))
        blank = blank._replace(valid=np.ones(len(observation), bool))
        return agent.act(blank, agent.initial_memory(len(observation)), explore=False, rng=rng)[0]

    referee = Referee(act, task, seed, not identical or task is PENDULUM)
    interaction = stream(config, agent, env, opaque=False)
    before = 0
    for _ in train(agent, interaction, total_steps=budget):
        if crossed(before, interaction.steps, task.period) and referee.check(interaction.steps):
            break
        before = interaction.steps
    return referee


def peer(agent_name: str, seed: int, budget: int) -> Any:
    """Return Stable-Baselines3's agent with its zoo's settings."""
    from stable_baselines3 import A2C, DQN, PPO, SAC, TD3
    from stable_baselines3.common.env_util import make_vec_env
    from stable_baselines3.common.noise import NormalActionNoise

    if agent_name == "dqn":
        # The zoo's exploration fraction is of its own 50,000 steps.
        settings = {**ZOO, "exploration_fraction": ZOO["exploration_fraction"] * BUDGETS["dqn"] / budget}
        wide = {"net_arch": [256, 256]}
        return DQN("MlpPolicy", "CartPole-v1", policy_kwargs=wide, seed=seed, device="cpu", **settings)
    if agent_name in ("sac", "td3"):
        more: dict[str, Any] = {"action_noise": NormalActionNoise(np.zeros(1), 0.1 * np.ones(1))}
        kind, keys = (SAC, {}) if agent_name == "sac" else (TD3, more)
        wide = {"net_arch": [256, 256]}
        settings = {"learning_rate": 1e-3, "learning_starts": 100, "policy_kwargs": wide, **keys}
        return kind("MlpPolicy", "Pendulum-v1", seed=seed, device="cpu", **settings)
    env = make_vec_env("CartPole-v1", 8, seed=seed)
    if agent_name == "a2c":
        return A2C("MlpPolicy", env, seed=seed, device="cpu")
    return PPO("MlpPolicy", env, seed=seed, device="cpu", **PPO_ZOO)


def race_sb3(agent_name: str, seed: int, identical: bool, budget: int, threads: int) -> Referee:
    """Train with Stable-Baselines3."""
    import torch
    from stable_baselines3.common.callbacks import BaseCallback

    torch.set_num_threads(threads)
    model = peer(agent_name, seed, budget)
    task = TASKS[agent_name]

    def act(observation: np.ndarray) -> np.ndarray:
        return model.predict(observation, deterministic=True)[0]

    referee = Referee(act, task, seed, not identical or task is PENDULUM)

    class Check(BaseCallback):
        def _on_step(self) -> bool:
            return not (self.num_timesteps % task.period == 0 and referee.check(self.num_timesteps))

    model.learn(budget, callback=Check())
    return referee


def worker(framework: str, arguments: argparse.Namespace) -> None:
    """Run one race and print it as a line of JSON."""
    race = {"rlkit": race_rlkit, "sb3": race_sb3}[framework]
    seed, budget = arguments.seeds[0], arguments.budget
    referee = race(arguments.agent, seed, arguments.identical, budget, arguments.threads)
    step, seconds = referee.reached or (budget, referee.seconds)
    line = {
        "framework": framework,
        "seed": seed,
        "reached": referee.reached is not None,
        "steps": step,
        "seconds": round(seconds, 3),
        "curve": referee.curve,
        "versions": versions(),
    }
    print("RESULT " + json.dumps(line))


def start(python: str, framework: str, seed: int, arguments: argparse.Namespace) -> dict[str, Any]:
    """Run one race in a process of its own."""
    told = {"agent": arguments.agent, "seeds": seed, "budget": arguments.budget, "threads": arguments.threads}
    words = [str(word) for name, value in told.items() for word in (f"--{name}", value)]
    command = [python, __file__, "--worker", framework, *words, *["--identical"] * arguments.identical]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    line = next(line for line in output.splitlines() if line.startswith("RESULT "))
    result: dict[str, Any] = json.loads(line.removeprefix("RESULT "))
    return result


def main() -> None:
    """Race seed by seed and print medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--agent", choices=list(BUDGETS), default="dqn")
    parser.add_argument("--seeds", type=int, nargs="*", default=list(range(10)))
    parser.add_argument("--peer-python", default=sys.executable, help="a Python that has stable-baselines3")
    parser.add_argument("--identical", action="store_true")
    parser.add_argument("--budget", type=int, help="steps of training; if you say nothing, those of the zoo")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, help="folder for the CSV")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    arguments.budget = arguments.budget or BUDGETS[arguments.agent]
    if arguments.identical and arguments.agent not in IDENTICAL:
        parser.error("--identical is for dqn, sac and td3; policies.py compares the speed of the others")
    if arguments.worker:
        worker(arguments.worker, arguments)
        return
    rows: list[dict[str, Any]] = []
    pythons = {"rlkit": sys.executable, "sb3": arguments.peer_python}
    of_agent = "" if arguments.agent == "dqn" else f"_{arguments.agent}"
    name = f"{'identical' if arguments.identical else 'race'}_{TASKS[arguments.agent].name}{of_agent}"
    for seed in arguments.seeds:
        for framework, python in pythons.items():
            rows.append(start(python, framework, seed, arguments))
            row = rows[-1]
            print(
                f"{framework:6} seed {seed}: reached {row['reached']} after {row['steps']} steps, {row['seconds']} s",
                flush=True,
            )
        if arguments.out:
            told = {row["framework"]: row["versions"] for row in rows}
            write(arguments.out, name, [{field: row[field] for field in FIELDS} for row in rows], each=told)
    seconds = {framework: [row["seconds"] for row in rows if row["framework"] == framework] for framework in pythons}
    for framework, values in seconds.items():
        print(f"{framework:6} median {statistics.median(values):.1f} s, from {min(values):.1f} to {max(values):.1f} s")
    ratios = [ours / theirs for ours, theirs in zip(seconds["rlkit"], seconds["sb3"], strict=True)]
    medians = statistics.median(seconds["rlkit"]) / statistics.median(seconds["sb3"])
    print(
        f"ratio of medians {medians:.3f}; ratios seed by seed: median {statistics.median(ratios):.3f}, "
        f"from {min(ratios):.3f} to {max(ratios):.3f}"
    )


if __name__ == "__main__":
    main()
