"""The plugin of the recipe, installed as a user does where only the tests see it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from filelock import FileLock
from locations import TESTS

SAMPLE = TESTS / "plugin_sample"


def pip_install(source: Path, site: Path) -> None:
    """Install a package into a folder of its own."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    done = subprocess.run(
        [*command, "--target", str(site), str(source)], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr


def sample_site(workspace: Path) -> Path:
    """Return the folder into which the sample is installed, once for all workers of a test run.

    Args:
        workspace: the temporary folder of this worker, which lies beside those of the others.
    """
    folder = workspace.parent / f"sample-{os.environ.get('PYTEST_XDIST_TESTRUNUID', workspace.name)}"
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            shutil.copytree(SAMPLE, workspace / "sample_source")
            pip_install(workspace / "sample_source", folder)
    return folder
