"""Packages that import their modules when a name of theirs is first used."""

from __future__ import annotations

import subprocess
import sys
from types import ModuleType

import pytest

import rlkit.networks
import rlkit.replay
from rlkit.core.lazy import lazy


@pytest.mark.parametrize("package", [rlkit.networks, rlkit.replay], ids=lambda package: package.__name__)
def test_every_name_of_a_package_is_there_once_it_is_used(package: ModuleType) -> None:
    for name in package.__all__:
        value = getattr(package, name)
        assert vars(package)[name] is value, "it is looked up once"
    with pytest.raises(AttributeError, match=f"module '{package.__name__}' has no attribute 'Missing'"):
        _ = package.Missing


def test_a_name_imports_its_own_module_alone() -> None:
    code = (
        "import sys, rlkit.replay\n"
        "assert 'rlkit.replay.uniform' not in sys.modules\n"
        "rlkit.replay.UniformReplay\n"
        "assert 'rlkit.replay.uniform' in sys.modules\n"
        "assert 'rlkit.replay.prioritized' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_a_name_that_its_module_does_not_have_is_an_error() -> None:
    with pytest.raises(AttributeError, match="Missing"):
        lazy("rlkit.replay", {"uniform": ("Missing",)})("Missing")
