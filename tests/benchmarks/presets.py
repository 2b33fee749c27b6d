"""What presets of learners make, seed by seed.

    python tests/benchmarks/presets.py iris_mlp xor --seeds 30 --out <folder>
    python tests/benchmarks/presets.py lastfm lastfm_ratings lastfm_ranking --data <folder with lastfm> --out <folder>

Each preset is fitted as ``rlkit fit experiment=…`` does it, with the seeds 0, 1 and so on, without pictures. Its
figures replace those that the file had of it, so that each can be measured by itself.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
from pathlib import Path
from typing import Any

from keep import write

import rlkit

FIGURES = (
    *("train/accuracy", "train/log_loss", "test/accuracy"),
    *("train/rmse", "test/rmse", "test/precision_at_10", "popularity/precision_at_10"),
)


def fitted(preset: str, seed: int, words: list[str], folder: str) -> dict[str, Any]:
    """Return the figures of one run."""
    words = [f"experiment={preset}", "plots=false", "logger=[csv]", *words]
    run = rlkit.fit(*words, seed=seed, run_dir=f"{folder}/{preset}_{seed}")
    figures = {name: round(run.final_metrics[name], 5) if name in run.final_metrics else "" for name in FIGURES}
    return {"preset": preset, "words": " ".join(words[3:]), "seed": seed, **figures}


def kept(path: Path, presets: list[str]) -> list[dict[str, Any]]:
    """Return what was measured of other presets."""
    if not path.is_file():
        return []
    with path.open(newline="") as file:
        return [row for row in csv.DictReader(file) if row["preset"] not in presets]


def main() -> None:
    """Fit them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("presets", nargs="+")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--data", help="a folder; data.folder is the folder in it that is called as the data set")
    parser.add_argument("--words", nargs="*", default=[], help="further words of rlkit fit")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    rows = kept(options.out / "presets.csv", options.presets)
    with tempfile.TemporaryDirectory() as folder:
        for preset in options.presets:
            data = [] if options.data is None else [f"data.folder={options.data}/{preset.partition('_')[0]}"]
            for seed in range(options.seeds):
                rows.append(fitted(preset, seed, [*data, *options.words], folder))
                print(rows[-1], flush=True)
    for row in rows:
        row["words"] = " ".join(word for word in str(row["words"]).split() if not word.startswith("data.folder"))
    write(options.out, "presets", rows)


if __name__ == "__main__":
    main()
