"""Lines of nonsense for the command line, over all verbs, from the real schema: what is asked of every answer.

By hand: ``python tests/fuzz_command_line.py --lines 5000 --seed 1``; it prints each line that is answered wrongly.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import random
import re
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, get_type_hints

from rlkit.cli.main import VERBS, main
from rlkit.config import plugins
from rlkit.config.compose import composed
from rlkit.config.schemas import SCHEMAS

ODD_NUMBERS = (
    *("0", "-1", "1", "-0", "nan", "inf", "-inf", "1e5", "1e400", "0.5", "-0.5", "1e-300", "2147483648"),
    *("9223372036854775807", "9223372036854775808", "1180591620717411303424", "1000000000000", "9" * 400),
)
WRONG_KINDS = (
    *("null", "true", "text", "''", "[]", "{}", "[nan]", "[-1]", "[[1],[2]]", "{a:1}", "[text]", "{_target_:1}"),
    *("${nothing}", "${seed}", "[null]", "{_target_:os.getcwd}", "a,b", "1,2"),
)
ODD_PATHS = (
    *("/dev/null", "läufe/erster", "a b", "it's", "a=b", "a,b", "no/such", "/etc/passwd", "~", "..", ".", "x" * 300),
    *('"', "'", "[", "{", "$", "\\", "(a", "日本"),
)
FLAGS = ("-m", "--cfg", "--cfg=job", "-c", "--info", "--resolve", "--nonsense", "-x", "job", "--multirun")
WORDS = (
    "nonsense",
    "agent",
    "=",
    "=1",
    "a.b.c=1",
    "+x=1",
    "++y.z=2",
    "~agent",
    "~env",
    "~seed",
    "~eval",
    "-",
    "--",
    "",
)

PYTHON = re.compile(
    r"Traceback|\b(?:Type|Attribute|Key|Value|Index|ZeroDivision|Overflow|Memory|Assertion|Runtime|Recursion|Name|"
    r"Unicode\w+|FileNotFound|NotADirectory|IsADirectory|OS)Error\b|NoneType|object has no attribute|not subscriptable|"
    r"unexpected keyword|not iterable|not callable|positional argument|object is not|unsupported operand|omegaconf\.|"
    r"DictConfig|ListConfig|RLKIT_TRACEBACK"
)
"""What no message says: Python's errors instead of the mistake."""

SMALL = {
    "train": ["total_steps=3", "eval.every=0", "video=none", "logger=[csv]", "log.every=0", "checkpoint.every=0"],
    "check": ["steps=3"],
    "match": ["games=2", "plies=1"],
    "fit": ["plots=false", "logger=[csv]"],
    "eval": ["episodes=1", "max_steps=5"],
    "play": ["episodes=1", "max_steps=5"],
}
"""What keeps a line short if nothing in it is wrong."""

CHOSEN = ("agent", "env", "learner", "data", "network", "replay", "distribution", "prepare", "callback", "tuned")
SKIPPED = re.compile(r"experiment|hydra|url|logger\.wandb|deterministic|device|human")
DOWNLOADED = ("cifar10", "fashion_mnist", "house_prices", "lastfm", "mnist", "movie_reviews", "movielens", "wandb")


class Answer(NamedTuple):
    """What a command line was answered with."""

    words: Sequence[str]
    status: int | None  # None: it took too long, or raised
    text: str
    nonsense: bool  # status 0 would be wrong

    def fault(self) -> str:
        """Return what is wrong with it, or an empty text."""
        if self.status is None:
            return "no answer"
        if found := PYTHON.search(self.text):
            return f"says {found[0]!r}"
        if self.nonsense and self.status == 0:
            return "status 0"
        return ""


class Line(NamedTuple):
    """The words of a command line."""

    words: list[str]
    nonsense: bool


class Lines:
    """A seeded stream of command lines."""

    def __init__(self, seed: int):
        """Begin a stream; each `seed` has one of its own."""
        self._random = random.Random(seed)
        self._keys: dict[tuple[str, ...], list[tuple[str, Any]]] = {}

    def __iter__(self) -> Iterator[Line]:
        """Yield lines without end."""
        while True:
            yield self._line()

    def _line(self) -> Line:
        rng = self._random
        verb = rng.choice([*SCHEMAS, "train", "train", "train", "fit", "check"])
        words = [*SMALL.get(verb, [])]
        chosen = self._choices(verb) if rng.random() < 0.8 else []
        keys = self._known(verb, chosen)
        if not keys:
            keys, chosen = self._known(verb, []), []
        words += chosen
        nonsense = False
        for _ in range(rng.choice([1, 1, 1, 2])):
            word, wrong = self._mutated(keys)
            words.insert(rng.randrange(len(words) + 1) if word.startswith("-") else len(words), word)
            nonsense |= wrong
        return Line([verb, *words], nonsense)

    def _choices(self, verb: str) -> list[str]:
        hints = get_type_hints(SCHEMAS[verb])
        groups = [group for group in CHOSEN if group in hints and plugins.entries(group)]
        picked = self._random.sample(groups, k=min(len(groups), self._random.choice([0, 1, 1, 2])))
        names = {
            group: self._random.choice([one.name for one in plugins.entries(group) if one.name not in DOWNLOADED])
            for group in picked
        }
        return [f"{group}={name}" for group, name in names.items()]

    def _known(self, verb: str, chosen: Sequence[str]) -> list[tuple[str, Any]]:
        """Return the dotted keys of a verb with the chosen files, and their values; none if they do not compose."""
        name = (verb, *chosen)
        if name not in self._keys:
            from omegaconf import OmegaConf

            try:
                config, _ = composed(verb, list(chosen), complete=False)
                self._keys[name] = list(_dotted(OmegaConf.to_container(config)))
            except Exception:
                self._keys[name] = []
        return self._keys[name]

    def _mutated(self, keys: Sequence[tuple[str, Any]]) -> tuple[str, bool]:
        """Return a word of nonsense, and whether status 0 is certainly wrong."""
        rng = self._random
        kind = rng.choices(["number", "kind", "path", "delete", "flag", "word"], [8, 5, 3, 2, 1, 1])[0]
        if kind == "flag":
            return rng.choice(FLAGS), False
        if kind == "word":
            return rng.choice(WORDS), False
        key, value = rng.choice([pair for pair in keys if not SKIPPED.search(pair[0])])
        if kind == "delete":
            return f"~{key}", False
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if kind == "number":
            odd = rng.choice(ODD_NUMBERS)
            return f"{key}={odd}", is_number and odd == "nan"
        if kind == "kind":
            odd = rng.choice(WRONG_KINDS)
            return f"{key}={odd}", is_number and odd in ("text", "{}", "[nan]", "{a:1}")
        return f"{key}={rng.choice(ODD_PATHS)}", False


def _dotted(node: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in node.items() if isinstance(node, dict) else ():
        yield f"{path}{key}", value
        yield from _dotted(value, f"{path}{key}.")


os.environ.setdefault("SDL_VIDEODRIVER", "dummy")


class TooLong(BaseException):
    """A line was not answered in time."""


def answer(line: Line, seconds: float) -> Answer:
    """Run a command line in this process, for at most `seconds`."""

    def stop(number: int, frame: Any) -> None:
        raise TooLong

    out = io.StringIO()
    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds, 0.5)
    status: int | None = None
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            status = main(line.words)
    except TooLong:
        out.write("took too long")
    except BaseException as error:
        out.write(f"Traceback: {type(error).__name__}: {error}")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    return Answer(line.words, status, out.getvalue(), line.nonsense)


def faults(lines: int, seed: int, seconds: float = 30.0) -> Iterator[tuple[Answer, str]]:
    """Yield the answers that are wrong, and what is wrong with each; runs in a folder of its own."""
    home = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            for _, line in zip(range(lines), Lines(seed), strict=False):
                given = answer(line, seconds)
                if fault := given.fault():
                    yield given, fault
        finally:
            os.chdir(home)


def _main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--memory-gb", type=float, default=6.0, help="limit of this process's address space")
    options = parser.parse_args()
    import resource

    limit = int(options.memory_gb * 2**30)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    found = 0
    for given, fault in faults(options.lines, options.seed):
        found += 1
        text = " ".join(given.text.split())[-300:]
        print(f"{fault}: rlkit {' '.join(given.words)}\n    {text}", file=sys.__stdout__, flush=True)
    print(f"{options.lines} lines, {found} wrong ({len(VERBS)} verbs)")
    return int(found > 0)


if __name__ == "__main__":
    sys.exit(_main())
