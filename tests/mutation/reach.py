"""Which tests reach which lines, measured once for each test file and kept between runs."""

from __future__ import annotations

import ast
import gzip
import json
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import reduce
from operator import or_
from pathlib import Path
from typing import Any

from copies import Copy, compiled_modules, digest, sources
from operators import Mutant

Masks = dict[str, int]


def functions(tree: ast.Module) -> Iterator[tuple[str, int, int]]:
    """Yield the qualified name and the first and last line of the bodies of all functions, outer ones first."""

    def within(node: ast.AST, prefix: str) -> Iterator[tuple[str, int, int]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                name = f"{prefix}{child.name}"
                yield name, child.body[0].lineno, child.end_lineno or child.lineno
                yield from within(child, f"{name}.")
            elif isinstance(child, ast.ClassDef):
                yield from within(child, f"{prefix}{child.name}.")
            else:
                yield from within(child, prefix)

    return within(tree, "")


def measure(copy: Copy, test: str, target: Path) -> None:
    """Run one test file under coverage and keep which test reaches what."""
    folder = target.with_suffix(".d")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    packages = "\n    ".join(str(copy.tree / name) for name in ("rlkit", "agents", "envs"))
    (folder / "coverage.ini").write_text(
        f"[run]\nparallel = true\nsigterm = true\nconcurrency = thread,multiprocessing\ndata_file = {folder}/data\n"
        f"disable_warnings = no-data-collected,module-not-measured,no-sysmon\nsource =\n    {packages}\n"
    )
    command = [str(copy.python), "-m", "pytest", "-p", "watching", "-p", "no:cacheprovider", "-q", test]
    copy.warm()
    with (folder / "output.txt").open("w") as output:
        try:
            subprocess.run(
                command,
                cwd=copy.tree,
                env=copy.environment(MUTATION_REACH=str(folder)),
                stdout=output,
                stderr=output,
                timeout=1800,
                check=False,
            )
        finally:
            copy.end_processes()
    copy.keep()
    if not (folder / "tests.json").exists():
        raise SystemExit(f"mutation: {test} does not run, see {folder}/output.txt")
    tests = json.loads((folder / "tests.json").read_text())
    kept = {"digest": digest((copy.tree / test).read_text()), "tests": tests, "modules": _modules(copy, folder, tests)}
    target.write_bytes(gzip.compress(json.dumps(kept).encode()))
    shutil.rmtree(folder)


def _modules(copy: Copy, folder: Path, tests: dict[str, Any]) -> dict[str, Any]:
    """Return, for each file of the package, its digest and the tests of each line and function, as bits."""
    from coverage import CoverageData

    bits = {name: 1 << place for place, name in enumerate(tests)}
    everyone = sum(bits.values())
    started = sum(bit for name, bit in bits.items() if tests[name]["starts"])
    bits |= {"shared": everyone, "": started}
    found: dict[str, dict[int, int]] = {}
    for path in folder.glob("data*"):
        data = CoverageData(str(path))
        data.read()
        own = bits if "shared" in data.measured_contexts() else {**bits, "shared": started}
        for file in data.measured_files():
            lines = found.setdefault(file, {})
            for line, contexts in data.contexts_by_lineno(file).items():
                for context in contexts:
                    lines[line] = lines.get(line, 0) | own.get(context, 0)
    names = {str(path): name for name, path in sources(copy.tree).items()}
    return {names[file]: _masks(Path(file).read_text(), lines) for file, lines in found.items() if file in names}


def _masks(text: str, lines: dict[int, int]) -> dict[str, Any]:
    """Drop the lines that only an import executes; add the functions' own masks."""
    inside: dict[int, int] = {}
    named: Masks = {}
    for name, first, last in functions(ast.parse(text)):
        reached = {line: mask for line, mask in lines.items() if first <= line <= last and mask}
        inside |= reached
        named[name] = 0
        for mask in reached.values():
            named[name] |= mask
    return {
        "digest": digest(text),
        "lines": {str(line): f"{mask:x}" for line, mask in inside.items()},
        "functions": {name: f"{mask:x}" for name, mask in named.items() if mask},
    }


@dataclass(frozen=True)
class Reaching:
    """The kept measurements of all test files.

    Attributes:
        kept: test file to what `measure` left
        compiled: files of the package with functions that coverage does not see
        importers: file to the files of the package that import it
    """

    kept: dict[str, dict[str, Any]]
    compiled: frozenset[str]
    importers: dict[str, set[str]]

    @classmethod
    def load(cls, tree: Path, folder: Path, tests: list[str]) -> Reaching:
        """Read what was kept of these test files."""
        paths = {test: folder / f"{Path(test).stem}.json.gz" for test in tests}
        kept = {test: json.loads(gzip.decompress(path.read_bytes())) for test, path in paths.items() if path.exists()}
        return cls(kept, frozenset(compiled_modules(tree)), _importers(tree))

    def stale(self, tree: Path, test: str) -> bool:
        """Tell whether a test file was never measured, or has changed since."""
        return test not in self.kept or self.kept[test]["digest"] != digest((tree / test).read_text())

    def tests(self, tree: Path, mutant: Mutant) -> dict[str, float]:
        """Return the passing tests that reach a fault, with their seconds.

        Where the file has changed since it was measured, or the fault is in a signature, the function stands for it.
        Where coverage sees neither (a module's own lines, compiled functions), all tests count that reach a function
        of the file, or, of compiled files, of those that import it.
        """
        text = digest((tree / mutant.module).read_text())
        found: dict[str, float] = {}
        for kept in self.kept.values():
            mask = self._mask(kept["modules"], mutant, text)
            for place, (name, test) in enumerate(kept["tests"].items()):
                if mask >> place & 1 and test["passed"]:
                    found[name] = test["seconds"]
        return found

    def _mask(self, modules: dict[str, Any], mutant: Mutant, text: str) -> int:
        module = mutant.module
        own = modules.get(module, {"digest": "", "lines": {}, "functions": {}})
        if mutant.function and module not in self.compiled:
            if own["digest"] == text and not mutant.before.startswith(("def ", "async def ", "class ")):
                return _union(own["lines"].get(str(line), "0") for line in range(mutant.lines[0], mutant.lines[1] + 1))
            if mutant.function in own["functions"]:
                return int(own["functions"][mutant.function], 16)
        near = {module} | (self.importers.get(module, set()) if module in self.compiled else set())
        return _union(bits for name in near & modules.keys() for bits in modules[name]["functions"].values())


def _union(masks: Iterable[str]) -> int:
    """Return the tests of any of the masks."""
    return reduce(or_, (int(mask, 16) for mask in masks), 0)


def _importers(tree: Path) -> dict[str, set[str]]:
    """Return which files import each file, directly or through compiled ones."""
    found: dict[str, set[str]] = {}
    names = {_dotted(name): name for name in sources(tree)}
    for name, path in sources(tree).items():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module:
                for dotted in (node.module, *(f"{node.module}.{alias.name}" for alias in node.names)):
                    if dotted in names:
                        found.setdefault(names[dotted], set()).add(name)
    return found


def _dotted(name: str) -> str:
    """Return the name under which a file is imported."""
    dotted = name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    return dotted if dotted.split(".")[0] == "rlkit" else f"rlkit.{dotted}"
