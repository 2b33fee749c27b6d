"""Environments that others wrote, tried one by one: check, train, evaluate, film, run in processes, kill and resume.

    <python with rlkit and the packages> tests/benchmarks/tried.py --out tests/benchmarks/results
    … tests/benchmarks/tried.py minigrid highway --out <folder>     # some of them; the rows of the others stay
    … tests/benchmarks/tried.py --page docs/reference/tried.md      # only write the table of the page again

Packages are looked for as Python does, so ``PYTHONPATH`` may name a folder of them. What is not installed is a row too.
"""

from __future__ import annotations

import argparse
import csv
import os
import re
import shutil
import sys
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))

import kills
from commands import Command
from keep import write

FOLDER = Path(__file__).parent / "results"
BEGIN, END = "<!-- tried -->\n", "<!-- /tried -->\n"
PATIENCE = 600.0
"""Seconds after which a command is given up."""

PPO = "agent=ppo agent.n_steps=64 agent.batch_size=64 agent.epochs=1 tuned=none network=auto"
SHORT = "total_steps=512 eval.every=0 log.every=128 checkpoint.every=256"


class Tried(NamedTuple):
    """A package, and an environment of it."""

    package: str  # its name on PyPI
    words: str  # of a command that names the environment
    processes: str = ""  # more words where it runs in processes of its own
    steps: int = 400  # of the runs that are killed and resumed


TRIED = {
    "minigrid": Tried("minigrid", "env=minigrid"),
    "babyai": Tried("minigrid", "env=minigrid env.id=BabyAI-GoToLocal-v0"),
    "minigrid-rgb": Tried("minigrid", "env=minigrid wrappers=[minigrid.wrappers.RGBImgPartialObsWrapper]"),
    "minatar": Tried("MinAtar", "env=minatar"),
    "highway": Tried("highway-env", "env=highway env.config.duration=10 env.config.vehicles_count=8"),
    "parking": Tried("highway-env", "env=highway env.id=parking-v0 max_episode_steps=20"),
    "connect-four": Tried("pettingzoo", "env=pettingzoo"),
    "chess": Tried("pettingzoo", "env=pettingzoo env.id=classic/chess-v6 env.seat=first", steps=150),
    "rock-paper-scissors": Tried("pettingzoo", "env=pettingzoo env.id=classic/rps-v2"),
    "leduc-holdem": Tried("pettingzoo", "env=pettingzoo env.id=classic/leduc_holdem-v4"),
    "pursuit": Tried("pettingzoo", "env=pettingzoo env.id=sisl/pursuit-v5", steps=150),
    "cooperative-pong": Tried("pettingzoo", "env=pettingzoo env.id=butterfly/cooperative_pong-v6", steps=150),
    "flappy-bird": Tried(
        "flappy-bird-gymnasium", "env=gym env.id=flappy_bird_gymnasium:FlappyBird-v0 env.kwargs.use_lidar=false"
    ),
    "anytrading": Tried("gym-anytrading", "env=gym env.id=gym_anytrading:stocks-v0 video=none"),
    "mo-gymnasium": Tried(
        "mo-gymnasium",
        "env=gym env.id=mo_gymnasium:deep-sea-treasure-v0 max_episode_steps=50 "
        "wrappers=[{_target_:mo_gymnasium.wrappers.LinearReward,weight:[0.7,0.3]}]",
    ),
    "crafter": Tried("crafter", "env=crafter:Env video=none", steps=150),
    "bsuite": Tried("bsuite", "env=gym env.id=shimmy:bsuite/catch-v0"),
    "sokoban": Tried("gym-sokoban", "env=gym env.id=gym_sokoban:Sokoban-v1 video=none"),
    # Without a screen it wants PYGLET_HEADLESS=1 before the command.
    "miniworld": Tried("miniworld", "env=gym env.id=miniworld:MiniWorld-OneRoom-v0", "start_method=spawn", steps=150),
    "vizdoom": Tried("vizdoom", "env=gym env.id=vizdoom.gymnasium_wrapper:VizdoomBasic-v1", steps=150),
    "panda-gym": Tried("panda-gym", "env=gym env.id=panda_gym:PandaReach-v3", steps=150),
    "hopper": Tried("mujoco", "env=hopper"),
    "fetch-reach": Tried("gymnasium-robotics", "env=robotics", steps=150),
    "point-maze": Tried("gymnasium-robotics", "env=robotics env.id=PointMaze_UMaze-v3", steps=150),
    "dm-control": Tried("shimmy", "env=dm_control", steps=150),
    "safety-gymnasium": Tried("safety-gymnasium", "env=gym env.id=safety_gymnasium:SafetyPointGoal1Gymnasium-v0"),
    "gymnax": Tried("gymnax", "env=gymnax:make env.env_id=CartPole-v1"),
    "procgen": Tried("procgen", "env=gym env.id=procgen:procgen-coinrun-v0"),
    "griddly": Tried("griddly", "env=gym env.id=griddly:GDY-Sokoban-v0"),
}


def run(folder: Path, *words: str) -> tuple[int | None, str]:
    """Return the status of a command, None where it was given up, and all that it said."""
    command = Command(*words, cwd=folder, pythonpath=os.environ.get("PYTHONPATH", ""))
    status = command.wait(PATIENCE)
    if status is None:
        command.kill()
    said = "\n".join(command.communicate())
    return status, said


def trials(name: str, folder: Path, kept: Path | None) -> dict[str, str]:
    """Return what came of each trial: yes, or what was said; the video goes to the folder `kept`."""
    one = TRIED[name]
    words = one.words.split()
    found: dict[str, str] = {}
    status, said = run(folder, "check", *[word for word in words if word != "video=none"], "seconds=10")
    failed = re.findall(r"FAIL\s+(\w+)", said)
    found["check"] = "yes" if status == 0 else ", ".join(failed) or last_line(said)
    status, said = run(folder, "train", *PPO.split(), *SHORT.split(), "name=one", *words)
    found["train"] = "yes" if status == 0 else last_line(said)
    found["state"] = "at checkpoints" if "cannot be read" in said else "in an episode"
    if status != 0:
        return found
    videos = list(folder.glob("videos/one/*.mp4"))
    for video in videos if kept else ():
        shutil.copy(video, kept / f"{name}.mp4")
    found["video"] = "none drawn" if "video=none" in words else "yes" if videos and "black" not in said else "no"
    status, said = run(folder, "eval", "run=runs/one", "episodes=2", "max_steps=100")
    found["eval"] = "yes" if status == 0 else last_line(said)
    processes = [*one.processes.split(), "vectorization=async", "num_envs=2", "name=two"]
    status, said = run(folder, "train", *PPO.split(), *SHORT.split(), *words, *processes, "video=none")
    found["async"] = "yes" if status == 0 else last_line(said)
    return found | {"resume": resumed(one, folder / "kills")}


def resumed(one: Tried, folder: Path) -> str:
    """Kill a run and resume it; return yes where it ends as one that was never killed."""
    periods = f"checkpoint.every={one.steps // 3} log.every=50 eval.every=0"
    words = f"{PPO} agent.n_steps=32 {one.words} {periods} total_steps={one.steps} video=none"
    try:
        rows = kills.run_case(words, folder, kills=1, writing=0, pythonpath=os.environ.get("PYTHONPATH", ""))
    except AssertionError as error:
        return last_line(str(error))
    different = [str(row["different"]) for row in rows if row["different"]]
    return f"differs: {different[0]}" if different else "yes"


def last_line(said: str) -> str:
    """Return the last line that was said, without the parts of it that differ from machine to machine."""
    lines = [line for line in said.splitlines() if line.strip()]
    return re.sub(r"\S*/\S*/(\S+)", r"\1", lines[-1])[:160] if lines else "nothing was said"


def tried(name: str, kept: Path | None = None) -> dict[str, str]:
    """Return the row of an environment; its video goes to the folder `kept`."""
    one = TRIED[name]
    row = dict.fromkeys(("check", "train", "state", "video", "eval", "async", "resume"), "")
    try:
        known = version(one.package)
    except PackageNotFoundError:
        return {"name": name, "package": one.package, "version": "not installed", "words": one.words, **row}
    folder = Path(tempfile.mkdtemp())
    try:
        found = trials(name, folder, kept)
    finally:
        shutil.rmtree(folder)
    return {"name": name, "package": one.package, "version": known, "words": one.words, **row, **found}


def rows_of(folder: Path) -> list[dict[str, str]]:
    """Return the rows that are kept."""
    path = folder / "tried.csv"
    if not path.exists():
        return []
    with path.open() as file:
        return list(csv.DictReader(file))


def table(rows: list[dict[str, str]]) -> str:
    """Return the rows as a table of Markdown."""
    heads = ("package", "environment", "check", "train", "eval", "processes", "video", "killed and resumed", "goes on")
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    for row in rows:
        cells = [f"{row['package']} {row['version']}", f"`{row['words']}`"]
        cells += [row[key] or "–" for key in ("check", "train", "eval", "async", "video", "resume", "state")]
        lines.append(f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |")
    return "\n".join(lines) + "\n"


def write_page(page: Path, rows: list[dict[str, str]]) -> None:
    """Put the table between its marks in a page."""
    before, _, rest = page.read_text().partition(BEGIN)
    page.write_text(f"{before}{BEGIN}\n{table(rows)}\n{END}{rest.partition(END)[2]}")


def main() -> None:
    """Try what is named, and write rows and table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", help=f"some of {', '.join(TRIED)}")
    parser.add_argument("--out", type=Path, help="where the rows are kept")
    parser.add_argument("--page", type=Path, help="a page whose table is written again")
    parser.add_argument("--videos", type=Path, help="a folder where the videos are kept, to be looked at")
    options = parser.parse_args()
    out = options.out or FOLDER
    rows = {row["name"]: row for row in rows_of(out)}
    for name in options.names or ([] if options.page else TRIED):
        rows[name] = tried(name, options.videos)
        print(rows[name], flush=True)
        kept = [rows[known] for known in TRIED if known in rows]
        write(out, "tried", kept)
    if options.page:
        write_page(options.page, rows_of(out))


if __name__ == "__main__":
    main()
