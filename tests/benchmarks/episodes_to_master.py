"""Episodes until ten in a row reached the limit of 200 steps, on CartPole: the source's setting and a tuned one.

python tests/benchmarks/episodes_to_master.py --out <folder>
"""

from __future__ import annotations

import argparse
import csv
import statistics
import tempfile
from pathlib import Path
from typing import Any

from keep import write

import rlkit

LIMIT, IN_A_ROW = 200, 10
SETTINGS = {
    "source": ("experiment=a2c_source",),
    "tuned": ("experiment=a2c_200",),
}


def episodes(words: tuple[str, ...], seed: int, folder: Path) -> int | None:
    """Return the number of episodes until ten in a row were of maximal length; None: never."""
    run = rlkit.train(
        *words, f"seed={seed}", f"run_dir={folder / str(seed)}", "video=none", "eval.every=0", "logger=[csv]"
    )
    with (run.directory / "episodes.csv").open() as file:
        maximal = [int(row["length"]) >= LIMIT for row in csv.DictReader(file)]
    ends = range(IN_A_ROW, len(maximal) + 1)
    return next((end for end in ends if all(maximal[end - IN_A_ROW : end])), None)


def main() -> None:
    """Print and keep a row for each setting and seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="*", default=list(range(10)))
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for name, words in SETTINGS.items():
        with tempfile.TemporaryDirectory() as folder:
            found = [episodes(words, seed, Path(folder)) for seed in arguments.seeds]
        rows += [{"setting": name, "seed": s, "episodes": n} for s, n in zip(arguments.seeds, found, strict=True)]
        reached = sorted(n for n in found if n is not None)
        middle = statistics.median(reached) if reached else None
        print(f"{name}: median {middle} of {reached}; {found.count(None)} never did", flush=True)
    if arguments.out:
        write(arguments.out, "episodes_to_master", rows)


if __name__ == "__main__":
    main()
