from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from rlkit.core.resources import _free_in_groups, available_memory, cores, prepare_torch, require_memory, torch_device
from rlkit.core.types import UsageError

SCRIPT = """
import resource, sys
import numpy as np
from rlkit.core.resources import keep_freed_memory
keep_freed_memory()
def work():
    for _ in range(4):
        a = np.ones(1_600_000, np.float32)
        b = a + a
        del a, b
work()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    work()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc's allocator is told")
def test_freed_memory_is_used_again_without_page_faults() -> None:
    faults = int(subprocess.check_output([sys.executable, "-c", SCRIPT], text=True))
    # Each array has 1,562 pages; 80 of them are made.
    assert faults < 100


def test_what_the_user_says_of_threads_and_pages_stays() -> None:
    environ: dict[str, str] = {}
    prepare_torch(environ)
    assert set(environ) == {"GOMP_SPINCOUNT", "THP_MEM_ALLOC_ENABLE"}
    for theirs in ({"OMP_WAIT_POLICY": "active"}, {"GOMP_SPINCOUNT": "7"}, {"THP_MEM_ALLOC_ENABLE": "0"}):
        environ = dict(theirs)
        prepare_torch(environ)
        assert environ.items() >= theirs.items()
        assert len(environ) == 2


COMMAND = """
import os, sys
from rlkit.cli.main import main
assert main(["list", "agents"]) == 0 and "torch" not in sys.modules
print(os.environ["GOMP_SPINCOUNT"], os.environ["THP_MEM_ALLOC_ENABLE"])
"""


def test_the_command_says_them_before_torch_is_there() -> None:
    names = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "THP_MEM_ALLOC_ENABLE")
    environ = {name: value for name, value in os.environ.items() if name not in names}
    out = subprocess.check_output([sys.executable, "-c", COMMAND], text=True, env=environ)
    assert out.splitlines()[-1] == "30000 1"


def test_what_there_is_is_told() -> None:
    free = available_memory()
    assert free is None or free > 0
    assert cores() >= 1


def test_memory_that_is_not_there_is_refused_with_the_remedy() -> None:
    require_memory(1, "a byte", "buy one")
    free = available_memory()
    if free is not None:
        with pytest.raises(UsageError, match=r"a cloud needs [\d.]+ GB, [\d.]+ GB are free; set cloud lower"):
            require_memory(10 * free, "a cloud", "set cloud lower")


@pytest.mark.parametrize("device", ["cuda:99", "mps"])
def test_a_device_that_torch_does_not_see_is_refused(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(UsageError, match=f"device is {device}, .*torch.*; set device=cpu"):
        torch_device(device)


@pytest.mark.parametrize("there", [False, True])
def test_auto_is_the_gpu_where_there_is_one(there: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    assert torch_device("auto") == ("cuda" if there else "cpu")
    assert torch_device("cpu") == "cpu"


@pytest.mark.parametrize(
    ("groups", "files", "free"),
    [
        ("0::/a/b", {"a/memory.max": "900", "a/memory.current": "100"}, [800]),
        ("0::/a/b", {"a/memory.max": "max", "a/memory.current": "100", "a/b/memory.max": "50"}, []),
        ("0::/", {"memory.max": "900", "memory.current": "100", "memory.stat": "anon 7\ninactive_file 30"}, [830]),
        (
            "5:cpu:/\n4:memory:/a",
            {"memory/a/memory.limit_in_bytes": "70", "memory/a/memory.usage_in_bytes": "90"},
            [0],
        ),
    ],
)
def test_limits_of_containers_are_read(groups: str, files: dict[str, str], free: list[int], tmp_path: Path) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text + "\n")
    (tmp_path / "groups").write_text(groups + "\n")
    assert list(_free_in_groups(tmp_path, tmp_path / "groups")) == free
