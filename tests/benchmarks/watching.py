"""How soon the live page shows something: 200 runs, and a run of ten million rows.

    python tests/benchmarks/watching.py --out tests/benchmarks/results

In an environment with the extra `watch` and `playwright`, on a machine with Chromium. Seconds are those of a browser
that has started, from the moment that it is sent to the page; beside them the server's processor time.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from keep import write

import rlkit

TRAIN = ("agent=q_learning", "env=frozen_lake", "total_steps=20000", "video=none", "logger=[csv]")
FLAGS = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync")
PAINT = "performance.getEntriesByName('first-contentful-paint').map(entry => entry.startTime / 1000)[0]"
COMPLETE = "!/opened|read|Load/.test(document.querySelector('#status').textContent)"
HEADER = "step,env,return/raw,return/learner,length,truncated_by_checkpoint\n"


def many(folder: Path, count: int) -> None:
    """Fill a folder with runs: groups of five seeds, all but for their names copies of one."""
    run = rlkit.train(*TRAIN, run_dir=str(folder / "first"))
    config = yaml.safe_load((run.directory / "config.yaml").read_text())
    for i in range(1, count):
        group, seed = divmod(i, 5)
        place = folder / f"q_learning_frozen_lake_gamma={0.9 + group / 1000:.3f}_s{seed}"
        shutil.copytree(run.directory, place, ignore=shutil.ignore_patterns("checkpoints"))
        values = {**config, "name": place.name, "run_dir": str(place), "seed": seed}
        values["agent"] = {**values["agent"], "gamma": 0.9 + group / 1000}
        (place / "config.yaml").write_text(yaml.safe_dump(values, sort_keys=False))


def long(folder: Path, rows: int, digits: int | None) -> None:
    """Fill a folder with a run whose table of episodes has so many rows."""
    run = rlkit.train(*TRAIN, run_dir=str(folder / "long"))
    path = run.directory / "config.yaml"
    path.write_text(re.sub(r"total_steps: \d+", f"total_steps: {20 * rows}", path.read_text()))
    with (run.directory / "episodes.csv").open("w") as file:
        file.write(HEADER)
        for start in range(0, rows, 100_000):
            block = range(start, min(rows, start + 100_000))
            returns = [float(i * 7 % 200) if digits is None else round(i * 0.7316491 % 200, digits) for i in block]
            lines = (f"{20 * i},0,{x!r},{x!r},20,0\n" for i, x in zip(block, returns, strict=True))
            file.writelines(lines)


@contextmanager
def serving(folder: Path) -> Iterator[tuple[str, int]]:
    """Serve a folder; yield the address and the process's id."""
    words = [sys.executable, "-m", "rlkit", "watch", str(folder), "port=0"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield process.stdout.readline().split(" at ")[1].split()[0], process.pid
    finally:
        process.terminate()
        process.wait()


def processor_seconds(pid: int) -> float:
    """Return the processor time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def looked(browser: Any, folder: Path) -> dict[str, float]:
    """Return seconds until what a browser shows of a folder."""
    with serving(folder) as (address, pid):
        page = browser.new_page()
        used, began = processor_seconds(pid), time.perf_counter()
        found = {}
        page.goto(address, wait_until="commit")
        for name, selector in (("list", "#runs li"), ("first curve", ".chart svg .mean")):
            page.wait_for_selector(selector, state="attached", timeout=120_000)
            found[name] = time.perf_counter() - began
            found[f"{name}, processor"] = processor_seconds(pid) - used
        found["first paint"] = page.evaluate(PAINT)
        while not page.evaluate(COMPLETE):  # within the page, its policy would not let this be evaluated
            page.wait_for_timeout(50)
        found["everything"] = time.perf_counter() - began
        found["everything, processor"] = processor_seconds(pid) - used
        page.close()
    return {name: round(value, 2) for name, value in found.items()}


def main() -> None:
    """Print a row for each case, and keep them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="folder for watching.csv")
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--chromium", default="/usr/bin/chromium", help="the browser")
    options = parser.parse_args()
    from playwright.sync_api import sync_playwright

    cases = {
        f"{options.runs} runs": lambda folder: many(folder, options.runs),
        f"{options.rows:,} rows, whole returns": lambda folder: long(folder, options.rows, None),
        f"{options.rows:,} rows, returns of up to 17 digits": lambda folder: long(folder, options.rows, 14),
    }
    rows = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=options.chromium, args=FLAGS)
        for case, fill in cases.items():
            with tempfile.TemporaryDirectory() as folder:
                fill(Path(folder))
                rows.append({"case": case, **looked(browser, Path(folder))})
            print(rows[-1], flush=True)
        browser.close()
    if options.out is not None:
        write(options.out, "watching", rows)


if __name__ == "__main__":
    main()
