"""What is learned from mixed recordings alone: implicit Q-learning and others beside cloning, on equal data.

    rlkit train agent=ppo env=lunar_lander checkpoint.every=50000 checkpoint.keep=20 run_dir=<run>
    python tests/benchmarks/offline.py --env lunar_lander --run <run> --data <folder> --out tests/benchmarks/results

The data are episodes of random actions and of a run's agent at several ages, whose actions are drawn from its policy.
Each agent learns from them with several seeds; what counts is the mean return of 100 fresh episodes of the last
checkpoint, whichever seed it is: nothing is chosen by playing. `--rows` prints the table of rows that are there.
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

FIELDS = (
    "env",
    "steps",
    "episodes",
    "data_mean",
    "agent",
    "settings",
    "seed",
    "updates",
    "mean",
    "std",
    "least",
    "most",
)
MIXED = {
    "lunar_lander": {"random": 60, "300000": 14, "450000": 14, "600000": 14, "800000": 14},
    "hopper": {"random": 200, "20000": 100, "40000": 40, "60000": 20, "100000": 10},
}
"""How many episodes at which age of the agent, in decisions."""

CLONE = (
    "agent=cloning agent.estimator.hidden_layer_sizes=[128,128] agent.estimator.n_epochs=30 agent.held_out=0 "
    "total_steps=1000"
)
SMALL = (
    "agent.actor.hidden=[128,128] agent.critics.hidden=[128,128] agent.standardize=true agent.learning_rate=0.001 "
    "agent.tau=0.01 num_envs=10"
)
UPDATES = {"lunar_lander": 8_000, "hopper": 20_000}
AGENTS = {
    "cloning": CLONE,
    "iql": f"agent=iql {SMALL} agent.value.hidden=[128,128] agent.beta=1 agent.expectile=0.8",
    "cql": f"agent=cql {SMALL}",
    "td3_bc": f"agent=td3_bc {SMALL}",
}
"""About as many minibatches of about as many rows for each of them, and layers of one width."""


def rlkit(*words: str) -> dict[str, Any]:
    """Run a command line; return the JSON object of its last line, if it is one."""
    done = subprocess.run([sys.executable, "-m", "rlkit", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"rlkit {' '.join(words)}: {done.stderr[-2000:]}")
    last = (done.stdout.splitlines() or [""])[-1]
    return dict(json.loads(last)) if last.startswith("{") else {}


def record(env: str, run: Path, data: Path) -> None:
    """Write the mixed recording of an environment, unless it is there."""
    for i, (age, episodes) in enumerate(MIXED[env].items() if not data.exists() else ()):
        uniform = "+expert._target_=rlkit.algorithms.fixed_policies.Uniform"
        who = [f"env={env}", uniform] if age == "random" else [f"run={run}", f"checkpoint={age}", "sample=true"]
        rlkit("play", "record=true", *who, f"episodes={episodes}", f"out={data}", "save_every=20", f"seed={i}")


def learned(env: str, data: Path, agent: str, more: str, seed: int, folder: Path) -> dict[str, Any]:
    """Return the row of an agent that learns from `data` with a seed."""
    index = json.loads((data / "episodes.json").read_text())
    facts = [episode for part in index["parts"] for episode in part["episodes"]]
    steps = sum(episode["length"] for episode in facts)
    updates = 0 if agent == "cloning" else UPDATES[env]
    words = [*AGENTS[agent].split(), *more.split(), f"env={env}", f"agent.episodes={data}", f"seed={seed}"]
    words += (
        [f"total_steps={updates}", f"checkpoint.every={updates}", f"replay.capacity={2 * steps}"] if updates else []
    )
    rlkit("train", *words, "eval.every=0", "video=none", "logger=[csv]", f"run_dir={folder}")
    found = rlkit("eval", f"run={folder}", "checkpoint=last", "episodes=100", "output=json", "max_steps=1000")
    mean, *others = (round(found["return/raw"][key], 2) for key in ("mean", "std", "min", "max"))
    of_data = round(statistics.mean(episode["return"] for episode in facts), 2)
    settings = f"{AGENTS[agent]} {more}".strip()
    values = (env, steps, len(facts), of_data, agent, settings, seed, updates, mean, *others)
    return dict(zip(FIELDS, values, strict=True))


def report(rows: list[dict[str, Any]]) -> None:
    """Print the mean over seeds and its 95% interval by Student's t."""
    from scipy import stats

    for name in dict.fromkeys((row["env"], row["agent"], row["settings"]) for row in rows):
        scores = [float(row["mean"]) for row in rows if (row["env"], row["agent"], row["settings"]) == name]
        line = f"{name[0]}, {name[1]}: {statistics.mean(scores):.1f}, {len(scores)} seeds"
        if len(scores) > 1:
            half = stats.t.ppf(0.975, len(scores) - 1) * stats.sem(scores)
            line += f", interval {statistics.mean(scores) - half:.1f} to {statistics.mean(scores) + half:.1f}"
        print(line, f"(the data: {rows[-1]['data_mean']})" if len(scores) else "")


def main() -> None:
    """Record, learn, keep each row as soon as it is there, and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--env", choices=list(MIXED), default="lunar_lander")
    parser.add_argument("--run", type=Path, help="whose agents are recorded")
    parser.add_argument("--data", type=Path, help="the recording; it is made where it is not there")
    parser.add_argument("--agents", nargs="+", default=["cloning", "iql"])
    parser.add_argument("--more", default="", help="further words for each of them")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--rows", type=Path, help="only report what is there")
    arguments = parser.parse_args()
    if arguments.rows:
        report(list(csv.DictReader(arguments.rows.open())))
        return
    from keep import write

    record(arguments.env, arguments.run, arguments.data)
    kept = arguments.out / "offline.csv"
    rows: list[dict[str, Any]] = list(csv.DictReader(kept.open())) if kept.exists() else []
    for agent in arguments.agents:
        for seed in range(arguments.seeds):
            folder = arguments.data.with_name(f"{arguments.data.name}_{agent}_{seed}")
            row = learned(arguments.env, arguments.data, agent, arguments.more, seed, folder)
            print(row, flush=True)
            rows.append(row)
            write(arguments.out, "offline", rows, mixed=MIXED)
    report(rows)


if __name__ == "__main__":
    main()
