"""Draws faults, puts each into a copy of the checkout and counts those that the tests notice; see README.md."""

from __future__ import annotations

import argparse
import csv
import fcntl
import json
import os
import platform
import queue
import tempfile
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import areas
import yaml
from copies import Copy, compiled_digest
from drawing import drawn
from operators import Mutant
from reach import Reaching, measure
from trials import Trial, tried

from rlkit.core.distribution import own_version

FIELDS = [
    "area",
    "module",
    "line",
    "function",
    "kind",
    "before",
    "after",
    "result",
    "by",
    "tests",
    "left_out",
    "seconds",
]
PACKAGES = ("coverage", "hypothesis", "numba", "numpy", "pytest", "torch")
Row = dict[str, Any]


def main() -> None:
    """Run the check."""
    options = _options()
    if options.measure != "none" and find_spec("coverage") is None:
        raise SystemExit("mutation: what tests reach is measured by coverage; pip install coverage, or --measure none")
    work = Path(options.work)
    work.mkdir(parents=True, exist_ok=True)
    with (work / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        kept = work / "numba" / compiled_digest()
        copies = [Copy(work / f"copy{number}", kept) for number in range(options.jobs)]
        tree = copies[0].tree
        reaching = _measured(options, work, copies)
        chosen = drawn(tree, options.seed, options.count, options.only)
        if options.list:
            for name, one in chosen:
                tests = reaching.tests(tree, one)
                print(f"{name}: {one.module}:{one.line} {one.kind}: {len(tests)} tests, {sum(tests.values()):.0f} s")
                print(f"  - {one.before}\n  + {one.after}")
            return
        rows = _rows(options, copies, reaching, chosen)
        for copy in copies:
            copy.close()
    _summarize(rows)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python tests/mutation", description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=160, help="faults drawn, over all areas")
    parser.add_argument("--only", nargs="*", default=list(areas.AREAS), choices=list(areas.AREAS), metavar="AREA")
    parser.add_argument("--jobs", type=int, default=2, help="copies that run side by side")
    parser.add_argument("--results", type=Path, default=Path("mutation.csv"), help="CSV to write; what stands there")
    parser.add_argument("--patience", type=float, default=300, help="most seconds of tests for one fault")
    parser.add_argument(
        "--measure", choices=["all", "near", "none"], default="near", help="whose reach is brought up to date"
    )
    parser.add_argument("--list", action="store_true", help="print the faults drawn, run nothing")
    parser.add_argument("--work", default=str(Path(tempfile.gettempdir()) / "rlkit-mutation"), help="folder of copies")
    return parser.parse_args()


def _each(copies: list[Copy], work: list[Any], task: Callable[[Copy, Any], None]) -> None:
    """Do a task for each piece of work, in as many threads as there are copies."""
    free: queue.Queue[Copy] = queue.Queue()
    for copy in copies:
        free.put(copy)

    def one(piece: Any) -> None:
        copy = free.get()
        try:
            task(copy, piece)
        finally:
            free.put(copy)

    with ThreadPoolExecutor(len(copies)) as pool:
        list(pool.map(one, work))


def _measured(options: argparse.Namespace, work: Path, copies: list[Copy]) -> Reaching:
    """Return the reach of all test files, after measuring those that are asked for and out of date."""
    tree, kept = copies[0].tree, work / "reach"
    kept.mkdir(exist_ok=True)
    near = [path for name in options.only for path in areas.nearest(tree, name)]
    paths = (path for path in tree.glob("tests/**/test_*.py") if "plugin_sample" not in path.parts)  # a package apart
    everyone = sorted(str(path.relative_to(tree)) for path in paths)
    wanted = {"all": list(dict.fromkeys([*near, *everyone])), "near": list(dict.fromkeys(near)), "none": []}
    reaching = Reaching.load(tree, kept, everyone)
    stale = [test for test in wanted[options.measure] if reaching.stale(tree, test)]

    def task(copy: Copy, test: str) -> None:
        print(f"measuring {test}", flush=True)
        measure(copy, test, kept / f"{Path(test).stem}.json.gz")

    _each(copies, stale, task)
    reaching = Reaching.load(tree, kept, everyone)
    if missing := [test for test in everyone if test not in reaching.kept]:
        print(f"never measured, so not run (--measure all does): {', '.join(Path(test).stem for test in missing)}")
    return reaching


def _rows(
    options: argparse.Namespace, copies: list[Copy], reaching: Reaching, chosen: list[tuple[str, Mutant]]
) -> list[Row]:
    """Try what is drawn and not yet known to be noticed, and write the results after each."""
    known = {_key(row): row for row in _read(options.results) if row["result"] in ("noticed", "timeout")}
    reasons = {(e["function"], e["before"], e["after"]): e["reason"] for e in _equivalents()}
    rows: list[Row | None] = [None] * len(chosen)

    def task(copy: Copy, place: int) -> None:
        name, one = chosen[place]
        row: Row = {"area": name, "module": one.module, "line": one.line, "function": one.function, "kind": one.kind}
        row |= {"before": one.before, "after": one.after}
        if one.key in reasons:
            trial = Trial("equivalent", reasons[one.key])
        elif _key(row) in known:
            rows[place] = {**known[_key(row)], "line": one.line}
            return
        else:
            trial = tried(copy, one, _ordered(copy, reaching, name, one, options.patience))
        rows[place] = row | trial._asdict()
        print(f"[{sum(map(bool, rows))}/{len(rows)}] {trial.result}: {one.module}:{one.line} {one.kind}", flush=True)
        _write(options.results, [row for row in rows if row])

    _each(copies, list(range(len(chosen))), task)
    done = [row for row in rows if row]
    _write(options.results, done)
    _note(options)
    return done


def _ordered(
    copy: Copy, reaching: Reaching, name: str, one: Mutant, patience: float
) -> tuple[dict[str, float], list[str]]:
    """Return the tests that reach a fault, nearest and then quickest files first, and those beyond the patience."""
    tests = reaching.tests(copy.tree, one)
    near = areas.nearest(copy.tree, name)
    cost: Counter[str] = Counter()
    for test, seconds in tests.items():
        cost[test.partition("::")[0]] += seconds  # type: ignore[assignment]

    def rank(test: str) -> tuple[bool, float, str, float]:
        file = test.partition("::")[0]
        return file not in near, cost[file], file, tests[test]

    chosen: dict[str, float] = {}
    left, spent = [], 0.0
    for test in sorted(tests, key=rank):
        spent += tests[test]
        if spent <= patience or not chosen:
            chosen[test] = tests[test]
        else:
            spent -= tests[test]
            left.append(test)
    return chosen, left


def _key(row: Row) -> tuple[str, ...]:
    return tuple(str(row[name]) for name in ("module", "function", "before", "after"))


def _equivalents() -> list[dict[str, str]]:
    return yaml.safe_load(Path(__file__).with_name("equivalents.yaml").read_text()) or []


def _read(path: Path) -> list[Row]:
    if not path.exists():
        return []
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def _write(path: Path, rows: list[Row]) -> None:
    part = path.with_name(f"{path.name}.part")
    with part.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    part.replace(path)


def _note(options: argparse.Namespace) -> None:
    """Write beside the results what they were made with."""
    made_with = {name: getattr(options, name) for name in ("seed", "count", "only", "patience", "measure")}
    made_with |= {"versions": {"rlkit": own_version(), **{name: version(name) for name in PACKAGES if find_spec(name)}}}
    made_with |= {"python": platform.python_version(), "cores": os.cpu_count()}
    options.results.with_suffix(".json").write_text(json.dumps(made_with, indent=1) + "\n")


def _summarize(rows: list[Row]) -> None:
    """Print a line an area, and the survivors."""
    for name in dict.fromkeys(row["area"] for row in rows):
        print(_line(name, [row for row in rows if row["area"] == name]))
    print(_line("all", rows))
    for row in rows:
        if row["result"] not in ("noticed", "timeout", "equivalent"):
            print(f"\n{row['result']}: {row['module']}:{row['line']} {row['function']} ({row['kind']})")
            print(f"  {row['tests']} tests ran, {row['left_out']} were left out {row['by']}")
            print(f"  - {row['before']}\n  + {row['after']}")


def _line(name: str, rows: list[Row]) -> str:
    number = Counter(row["result"] for row in rows)
    noticed = number["noticed"] + number["timeout"]
    share = noticed / max(1, len(rows) - number["equivalent"])
    return (
        f"{name}: {len(rows)} drawn, {number['equivalent']} equivalent, {noticed} noticed "
        f"({number['timeout']} by the time limit), {len(rows) - number['equivalent'] - noticed} not: {share:.1%}"
    )


main()
