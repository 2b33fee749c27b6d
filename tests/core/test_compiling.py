"""What numba compiled is kept on disk only as long as nothing that went into it has changed."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from locations import ROOT

from rlkit.core import compiling
from rlkit.core.compiling import fingerprint, needs_compiling

CONSTANTS = "SCALE = 10\n"
HELPER = """
import numba

@numba.njit(forceinline=True)
def within(x):
    return x + 1
"""
ENTRY = """
from constants import SCALE
from helper import within
from numba import float64, int64
from rlkit.core.compiling import callback, entry

@entry(error_model="numpy")
def outer(x):
    return SCALE * within(x)

@callback(float64(int64))
def called(x):
    return SCALE * within(x) + 0.5
"""
RUN = """
from caller import called, outer
print(outer(1), called.ctypes(1), sum(outer.stats.cache_hits.values()), called.cache_hits)
"""


def answer(folder: Path) -> list[float]:
    ran = subprocess.run([sys.executable, "-c", RUN], cwd=folder, capture_output=True, text=True, check=True)
    return [float(word) for word in ran.stdout.split()]


@pytest.mark.slow
def test_a_change_in_any_file_that_is_compiled_in_is_seen(tmp_path: Path) -> None:
    for name, source in (("constants", CONSTANTS), ("helper", HELPER), ("caller", ENTRY)):
        (tmp_path / f"{name}.py").write_text(source)
    assert answer(tmp_path) == [20, 20.5, 0, 0]
    assert answer(tmp_path) == [20, 20.5, 1, 1]  # read from disk
    (tmp_path / "helper.py").write_text(HELPER.replace("x + 1", "x + 2"))
    assert answer(tmp_path) == [30, 30.5, 0, 0]
    (tmp_path / "constants.py").write_text("SCALE = 7\n")
    assert answer(tmp_path) == [21, 21.5, 0, 0]
    (tmp_path / "caller.py").write_text(ENTRY.replace("+ 0.5", "+ 0.25"))
    assert answer(tmp_path) == [21, 21.25, 0, 0]
    assert answer(tmp_path) == [21, 21.25, 1, 1]


def made(folder: Path, monkeypatch: pytest.MonkeyPatch, helper: str = HELPER, constants: str = CONSTANTS) -> str:
    """Return the fingerprint of a function that calls one of another file, by way of one of its own."""
    monkeypatch.syspath_prepend(str(folder))
    between = "from helper import within\nfrom constants import SCALE\ndef middle(x):\n    return SCALE * within(x)\n"
    files = {"helper": helper, "constants": constants, "between": between}
    files["top"] = "import between\nfrom between import middle\ndef top(x):\n    return middle(x)\n"
    for name, source in files.items():
        (folder / f"{name}.py").write_text(source)
        sys.modules.pop(name, None)
    importlib.invalidate_caches()
    sys.dont_write_bytecode, before = True, sys.dont_write_bytecode
    try:
        return fingerprint(importlib.import_module("top").top)
    finally:
        sys.dont_write_bytecode = before


class TestFingerprints:
    def test_they_are_those_of_all_that_is_reached(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        first = made(tmp_path, monkeypatch)
        assert made(tmp_path, monkeypatch) == first
        others = [
            made(tmp_path, monkeypatch, helper=HELPER.replace("x + 1", "x + 2")),
            made(tmp_path, monkeypatch, helper=HELPER.replace("forceinline=True", "forceinline=False")),
            made(tmp_path, monkeypatch, constants="SCALE = 11\n"),
        ]
        assert len({first, *others}) == 4

    def test_the_searchs_covers_the_draws(self) -> None:
        from rlkit.core import compiling
        from rlkit.planning.search import kernel

        files = {part.split()[0] for part in compiling._parts(kernel.simulate.py_func, set())}
        assert {Path(file).name for file in files if file.endswith(".py")} >= {
            "kernel.py",
            "graph.py",
            "backup.py",
            "draws.py",
        }

    def test_nothing_is_kept_by_numbas_own_cache(self) -> None:
        sources = [path for room in ("rlkit", "envs", "agents") for path in (ROOT / room).rglob("*.py")]
        assert len(sources) > 200
        own = re.compile(r"cache\s*=\s*True|\"cache\":\s*True")
        assert [path.name for path in sources if own.search(path.read_text())] == []


class Renamed:
    """Is gone when the index is read."""


def test_an_index_that_names_a_class_of_another_name_now_holds_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = compiling._Index(str(tmp_path), "function", source_stamp="stamp")
    index._save_index({Renamed: "code"})
    assert index._load_index() == {Renamed: "code"}
    monkeypatch.delattr(sys.modules[__name__], "Renamed")
    assert index._load_index() == {}


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "nothing": lambda content: b"",
    "half": lambda content: content[: len(content) // 2],
    "garbage": lambda content: b"\x80\x05garbage" * 20,
    "a bit": lambda content: content[:-40] + bytes([content[-40] ^ 1]) + content[-39:],
    "longer": lambda content: content + b"x",
    "unsealed": lambda content: content[compiling.SEAL :],
}


class TestDamagedFiles:
    @pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
    def test_they_are_as_good_as_none(self, damage: Callable[[bytes], bytes], tmp_path: Path) -> None:
        index = compiling._Index(str(tmp_path), "function", source_stamp="stamp")
        for path in ("function.nbi", "function.1.nbc"):
            index.save("key", ("code", b"x" * 100))
            assert index.load("key") == ("code", b"x" * 100)
            (tmp_path / path).write_bytes(damage((tmp_path / path).read_bytes()))
            assert index.load("key") is None
            index.save("key", ("again",))
            assert index.load("key") == ("again",)

    def test_so_is_the_code_of_other_sources_that_a_kill_has_left(self, tmp_path: Path) -> None:
        older, newer = (compiling._Index(str(tmp_path), "function", source_stamp=stamp) for stamp in ("older", "newer"))
        older.save("key", "older code")
        assert newer.load("key") is None
        newer._save_index({"key": "function.1.nbc"})  # killed before its data were written
        assert newer.load("key") is None

    @pytest.mark.parametrize("place", ["function.nbi", "function.1.nbc"])
    def test_folders_in_their_place_and_full_disks_only_cost_time(self, place: str, tmp_path: Path) -> None:
        index = compiling._Index(str(tmp_path), "function", source_stamp="stamp")
        (tmp_path / place).mkdir()
        assert index.load("key") is None
        with pytest.raises(OSError, match="directory"):
            index.save("key", "code")

    def test_it_is_known_what_needs_compiling(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "brisk.py").write_text(
            "from rlkit.core.compiling import entry\n@entry()\ndef thrice(x):\n    return 3 * x\n"
        )
        monkeypatch.syspath_prepend(str(tmp_path))
        thrice = importlib.import_module("brisk").thrice
        assert needs_compiling(thrice)
        assert thrice(2) == 6
        assert not needs_compiling(thrice)
        sys.modules.pop("brisk")
        again = importlib.import_module("brisk").thrice
        assert (needs_compiling(again), len(again.signatures)) == (False, 0)
        [path.write_bytes(b"") for path in tmp_path.rglob("brisk*.nbi")]
        assert needs_compiling(again)

    def test_a_function_is_compiled_again(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "quick.py").write_text(
            "from rlkit.core.compiling import entry\n@entry()\ndef twice(x):\n    return 2 * x\n"
        )
        monkeypatch.syspath_prepend(str(tmp_path))
        for damage in (bytes, DAMAGE["garbage"], DAMAGE["a bit"], "full"):
            sys.modules.pop("quick", None)
            twice = importlib.import_module("quick").twice
            files = list(tmp_path.rglob("quick*.nb?"))
            if damage == "full":
                [path.unlink() for path in files]

                def full(*given: object) -> None:
                    raise OSError(28, "No space left on device")

                monkeypatch.setattr(compiling._Index, "_open_for_write", full)
            elif callable(damage):
                [path.write_bytes(damage(path.read_bytes())) for path in files]
            assert twice(3) == 6
            assert sum(twice.stats.cache_hits.values()) == 0
        assert list(tmp_path.rglob("quick*.nb?")) == []
