"""Copies of the checkout in which mutants run: a tree, a Python that imports it, and numba's caches kept warm."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import threading
from contextlib import suppress
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
PACKAGES = ("rlkit", "agents", "envs")
COMPILED = re.compile(r"import numba|from numba|learners\.compiling")
MARK = "RLKIT_MUTATION_COPY"


def sources(tree: Path) -> dict[str, Path]:
    """Return the package's Python files, by their path in the tree."""
    found = (path for package in PACKAGES for path in sorted((tree / package).rglob("*.py")))
    return {str(path.relative_to(tree)): path for path in found}


def compiled_modules(tree: Path) -> list[str]:
    """Return the files that hold functions compiled by numba, which coverage does not see."""
    return [name for name, path in sources(tree).items() if COMPILED.search(path.read_text())]


def digest(text: str) -> str:
    """Return what names a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


KEEPING = threading.Lock()
"""Held while the kept caches are read or written: an index and its code belong together."""


def compiled_digest() -> str:
    """Return what names all compiled files together: numba does not see changes of what a function inlines."""
    return digest("".join((CHECKOUT / name).read_text() for name in compiled_modules(CHECKOUT)))


def _of_index(folder: Path, stem: str) -> list[Path]:
    """Return the files of one function in a cache folder."""
    return [path for path in folder.iterdir() if path.name.startswith(f"{stem}.")] if folder.is_dir() else []


class Copy:
    """One copy of the checkout in a folder of its own."""

    def __init__(self, folder: Path, kept: Path):
        """Make or refresh the copy in `folder`; compiled code is shared through `kept`."""
        self.tree = folder / "tree"
        self.cache = folder / "numba"
        self.kept = kept
        self._server: subprocess.Popen[str] | None = None
        self.python = folder / "venv" / "bin" / "python"
        folder.mkdir(parents=True, exist_ok=True)
        self._copy_tree()
        self._make_python(folder / "venv")

    def _copy_tree(self) -> None:
        listed = subprocess.run(
            ["git", "ls-files", "-coz", "--exclude-standard"], cwd=CHECKOUT, capture_output=True, check=True, text=True
        ).stdout.split("\0")
        wanted = {name for name in listed if name and (CHECKOUT / name).is_file()}
        shutil.rmtree(self.tree, ignore_errors=True)
        for name in sorted(wanted):
            (self.tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(CHECKOUT / name, self.tree / name)

    def _make_python(self, folder: Path) -> None:
        """Make a virtual environment that sees the checkout's packages, but this copy's rlkit."""
        outer = Path(sysconfig.get_paths()["purelib"])
        finders = list(outer.glob("__editable___rlkit*_finder.py"))
        if len(finders) != 1:
            raise SystemExit("mutation: rlkit must be installed by `pip install -e` in the environment that runs this")
        shutil.rmtree(folder, ignore_errors=True)
        base = getattr(sys, "_base_executable", sys.executable)
        subprocess.run([base, "-m", "venv", "--without-pip", folder], check=True)
        inner = next((folder / "lib").glob("python*/site-packages"))
        text = finders[0].read_text().replace(f"'{CHECKOUT}/", f"'{self.tree}/")
        (inner / finders[0].name).write_text(text)
        start = "import os; os.environ.get('COVERAGE_PROCESS_START') and __import__('coverage').process_startup()"
        seen = [path for path in sys.path if path.endswith("site-packages")]
        lines = [*seen, f"import {finders[0].stem}; {finders[0].stem}.install()", start]
        (inner / "copy.pth").write_text("\n".join(lines) + "\n")

    def environment(self, **more: str) -> dict[str, str]:
        """Return the environment of a process that runs in the copy."""
        own = {
            MARK: str(self.tree),
            "NUMBA_CACHE_DIR": str(self.cache),
            "PYTHONPATH": str(Path(__file__).parent),
            "OMP_NUM_THREADS": "1",
        }
        return {**os.environ, **own, **more}

    def pytest(self, words: list[str], output: Path, limit: float, environment: dict[str, str]) -> int | None:
        """Run pytest, forked from a process that has done the imports; return its status, None past the limit."""
        if self._server is None or self._server.poll() is not None:
            paths = os.pathsep.join(str(path) for path in (Path(__file__).parent, CHECKOUT / "tests"))
            self._server = subprocess.Popen(
                [self.python, Path(__file__).with_name("serving.py")],
                cwd=self.tree,
                env={**self.environment(PYTHONPATH=paths), MARK: ""},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        reading, writing = self._server.stdout, self._server.stdin
        assert reading
        assert writing
        request = {"words": words, "output": str(output), "cwd": str(self.tree), "environment": environment}
        writing.write(json.dumps(request) + "\n")
        writing.flush()
        child = int(reading.readline())
        over = threading.Timer(limit, os.killpg, (child, signal.SIGKILL))
        over.start()
        code = int(reading.readline())
        over.cancel()
        return None if code == -signal.SIGKILL else code

    def warm(self, changed: str | None = None) -> None:
        """Fill numba's cache with what was kept, without what compiled in the functions of a changed file."""
        shutil.rmtree(self.cache, ignore_errors=True)
        stale = {Path(name).stem for name in self._compiling(changed)} if changed else set()
        with KEEPING:
            for folder, own in self._cache_folders():
                if (self.kept / folder).is_dir():
                    own.mkdir(parents=True)
                    for path in (self.kept / folder).iterdir():
                        if path.name.partition(".")[0] not in stale:
                            os.link(path, own / path.name)

    def keep(self) -> None:
        """Keep what was compiled from the unchanged tree: of each function the fuller index, with its own code."""
        with KEEPING:
            for folder, own in self._cache_folders():
                for index in own.glob("*.nbi"):
                    mine, kept = _of_index(own, index.stem), _of_index(self.kept / folder, index.stem)
                    if len(mine) > len(kept):
                        (self.kept / folder).mkdir(parents=True, exist_ok=True)
                        for path in kept:
                            path.unlink()
                        for path in mine:
                            shutil.copy2(path, self.kept / folder / path.name)

    def _cache_folders(self) -> list[tuple[str, Path]]:
        """Return the kept name and this copy's cache folder of each package, named as numba does."""
        folders = sorted({path.parent for path in sources(self.tree).values()})
        named = [(str(folder.relative_to(self.tree)).replace("/", "."), folder) for folder in folders]
        return [
            (name, self.cache / f"{folder.name}_{hashlib.sha1(str(folder).encode()).hexdigest()}")
            for name, folder in named
        ]

    def _compiling(self, changed: str) -> set[str]:
        """Return the file and, through any number of imports, the compiled ones that import it."""
        texts = {name: (self.tree / name).read_text() for name in compiled_modules(self.tree)}
        found = {changed}
        while True:
            stems = "|".join(re.escape(Path(name).stem) for name in found)
            more = {
                name for name, text in texts.items() if re.search(rf"import.*\b({stems})\b|\.({stems}) import", text)
            }
            if more <= found:
                return found
            found |= more

    def close(self) -> None:
        """End the process that forks."""
        if self._server is not None:
            self._server.communicate()

    def end_processes(self) -> None:
        """Kill what a test left running in this copy, recognized by its environment."""
        mark = f"{MARK}={self.tree}".encode()
        for environment in Path("/proc").glob("[0-9]*/environ"):
            with suppress(OSError):
                if mark in environment.read_bytes().split(b"\0"):
                    os.kill(int(environment.parent.name), signal.SIGKILL)
