"""Zips of `rlkit share`, which may be somebody else's: nothing is unpacked but files that such a zip has.

What is unpacked is a run folder of a stranger, with all that holds for one (`rlkit.config.trust`).
"""

from __future__ import annotations

import errno
import re
import shutil
import stat
import tempfile
import weakref
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

from rlkit.core.types import UsageError, printable
from rlkit.runs.folder import is_file

NAMES = re.compile(
    r"README\.md|config\.yaml|versions\.json|evaluations\.csv|curve\.png|video\.mp4"
    r"|checkpoints/(best/)?(0|[1-9][0-9]{0,18})/(manifest\.json|state\.json|arrays\.npz|segments/[A-Za-z0-9_][\w.-]*)",
    re.ASCII,
)
"""What a zip may hold."""

MOST_FILES = 1_000
LARGEST = 4 << 30
"""Bytes of all files together."""

DENSEST = 200
"""Bytes that one byte of a zip may become; texts become about thirty."""

FREE = 1 << 20
"""Bytes of a file that may be denser."""

METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)

UNREADABLE = (zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError, RuntimeError, LookupError)


def opened(path: Path, owner: object) -> Path:
    """Return a run folder: `path` itself, or where it was unpacked to, for as long as `owner` lives.

    Raises:
        UsageError: `path` is a file, and no zip of `rlkit share`.
    """
    if not is_file(path):
        return path
    folder = Path(tempfile.mkdtemp(prefix="rlkit-"))
    weakref.finalize(owner, shutil.rmtree, folder, ignore_errors=True)
    target = folder / path.stem
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            require_harmless(entries, path)
            for entry in entries:
                _unpack(archive, entry, target)
    except (*UNREADABLE, OSError) as error:
        # A directory that names a place before the first byte of the file is damage, too.
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise
        raise UsageError(f"{path} is no run that rlkit share packed: {_reason(error)}") from error
    return target


def require_harmless(entries: Sequence[zipfile.ZipInfo], path: Path) -> None:
    """Check what a zip says of its files, before anything is unpacked.

    Raises:
        UsageError: it is not what `rlkit share` writes.
    """
    if len(entries) > MOST_FILES:
        raise UsageError(f"{path} holds {len(entries):,} files; a shared run has at most {MOST_FILES:,}")
    names = [entry.filename for entry in entries]
    for entry in entries:
        if (fault := _fault(entry)) is not None:
            raise UsageError(f"{path} holds {printable(entry.filename[:100])!r}, {fault}; it is no shared run")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise UsageError(f"{path} holds {twice} twice; it is no shared run")
    if "config.yaml" not in names:
        raise UsageError(f"{path} holds no config.yaml; it is no run that rlkit share packed")
    if sum(entry.compress_size for entry in entries) > path.stat().st_size:
        raise UsageError(f"{path} holds files that share their bytes; it is no shared run")
    if (total := sum(entry.file_size for entry in entries)) > LARGEST:
        raise UsageError(f"{path} would become {total:,} bytes; a shared run has at most {LARGEST:,}")


def _fault(entry: zipfile.ZipInfo) -> str | None:
    """Return what is wrong with a file, or None."""
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if NAMES.fullmatch(entry.filename) is None:
        return "a name that no shared run has"
    if kind not in (0, stat.S_IFREG):
        return "which is no regular file"
    if entry.flag_bits & 1 or entry.compress_type not in METHODS:
        return "encrypted or compressed otherwise"
    if entry.file_size > FREE + DENSEST * entry.compress_size:
        return f"of {entry.file_size:,} bytes in {entry.compress_size:,}"
    return None


def _unpack(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, folder: Path) -> None:
    """Write one file, of the size that the zip says; its checksum is looked at."""
    target = folder / entry.filename
    target.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(entry) as source, target.open("xb") as file:
        shutil.copyfileobj(source, file, 1 << 20)
        if file.tell() != entry.file_size:
            raise ValueError(f"{entry.filename} has {file.tell():,} bytes, not {entry.file_size:,}")


def _reason(error: BaseException) -> str:
    return printable(" ".join(str(error).split())[:200]) or "it is damaged"
