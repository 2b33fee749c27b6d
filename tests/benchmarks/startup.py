"""Start-up of rlkit as a ratio to a bare script that does the same with the libraries alone.

    python tests/benchmarks/startup.py --runs 11 --out <folder>

Whole processes are timed, alternating, up to the first step (of a deep run: up to the first update).
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from keep import write

HERE = Path(__file__).parent

BARE = """
import hydra, gymnasium
@hydra.main(version_base="1.3", config_path={conf!r}, config_name="config")
def main(cfg):
    env = gymnasium.make(cfg.id)
    {body}
main()
"""

TABULAR = "observation, _ = env.reset(seed=cfg.seed); env.step(env.action_space.sample())"

DEEP = """
    import torch
    network = torch.nn.Sequential(torch.nn.Linear(4, 64), torch.nn.ReLU(), torch.nn.Linear(64, 2))
    optimizer = torch.optim.Adam(network.parameters(), lr=cfg.lr)
    observation, _ = env.reset(seed=cfg.seed)
    env.step(0); env.step(1)
    loss = network(torch.from_numpy(observation)[None]).square().mean()
    optimizer.zero_grad(); loss.backward(); optimizer.step()
    env.step(0)
"""

RLKIT = [sys.executable, "-m", "rlkit"]
QUIET = ["video=none", "logger=[csv,terminal]"]


def cases(folder: Path) -> dict[str, tuple[list[str], list[str]]]:
    """Return name -> (rlkit's command, the bare one)."""
    (folder / "config.yaml").write_text("id: startup_env:LastLake-v0\nseed: 0\nlr: 0.001\nhydra: {run: {dir: .}}\n")
    deep = folder / "deep"
    deep.mkdir()
    (deep / "config.yaml").write_text("id: startup_env:LastPole-v0\nseed: 0\nlr: 0.001\nhydra: {run: {dir: .}}\n")
    (folder / "tabular.py").write_text(BARE.format(conf=str(folder), body=TABULAR))
    (folder / "deep.py").write_text(BARE.format(conf=str(deep), body=DEEP.strip()))
    bare_tabular = [sys.executable, str(folder / "tabular.py")]
    bare_deep = [sys.executable, str(folder / "deep.py")]
    tabular = [*RLKIT, "train", "agent=q_learning", "env=gym", "env.id=startup_env:LastLake-v0", *QUIET]
    dqn = [*RLKIT, "train", "env=gym", "env.id=startup_env:LastPole-v0", "agent.learning_starts=1", *QUIET]
    return {
        "help": ([*RLKIT, "--help"], bare_tabular),
        "tabular": (tabular, bare_tabular),
        "deep": (dqn, bare_deep),
    }


def seconds(command: list[str], folder: Path) -> float:
    """Time one process."""
    environment = {**os.environ, "PYTHONPATH": str(HERE)}
    started = time.perf_counter()
    subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def main() -> None:
    """Print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=11)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for case, (ours, bare) in cases(folder).items():
            seconds(ours, folder), seconds(bare, folder)
            pairs = [(seconds(ours, folder), seconds(bare, folder)) for _ in range(arguments.runs)]
            rows += [{"case": case, "rlkit": round(a, 4), "bare": round(b, 4)} for a, b in pairs]
            ratios = [a / b for a, b in pairs]
            middle, low, high = statistics.median(ratios), min(ratios), max(ratios)
            print(f"{case:8} rlkit/bare: median {middle:.2f}, from {low:.2f} to {high:.2f}", flush=True)
    if arguments.out:
        write(arguments.out, "startup", rows)


if __name__ == "__main__":
    main()
