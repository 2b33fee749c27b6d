"""The name of the distribution, which is not the name of the import: PyPI's `rlkit` is another project."""

from __future__ import annotations

from importlib.metadata import version

DISTRIBUTION = "rlkit-framework"


def own_version() -> str:
    """Return the version of the installed distribution.

    Raises:
        importlib.metadata.PackageNotFoundError: rlkit is imported from a folder that was never installed.
    """
    return version(DISTRIBUTION)
