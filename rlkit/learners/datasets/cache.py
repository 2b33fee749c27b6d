"""Files of data sets: in a folder that the user names, or downloaded once into a cache.

A download is written beside its SHA-256, which is checked whenever the file is read again, and into a folder of its
address: what another address has sent is never used for it. A checksum that is known beforehand is that of the content,
unpacked, since copies are packed differently.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import lzma
import os
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from rlkit.core.files import read_bytes
from rlkit.core.types import RunError, UsageError

DAMAGED = (
    *(OSError, EOFError, ValueError, LookupError, RuntimeError),  # NotImplementedError among them
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, tarfile.TarError),
)
"""What reading a damaged archive raises."""

TIMEOUT = 30.0  # seconds without a byte


class DataSource(NamedTuple):
    """Where the files of a data set are, and where they come from."""

    name: str  # of the data set, and of the folder in the cache that has one for each address
    url: str | None  # of an archive that holds the files, or, with a slash at its end, of their folder
    folder: str | None = None  # the user's own; nothing is downloaded into it
    page: str = ""  # where a person finds the files, where nothing can download them
    checksums: Mapping[str, str] = {}  # file -> MD5 (32 digits) or SHA-256 of its content, where it is known
    notify: Callable[[str], None] = lambda line: None

    @property
    def root(self) -> Path:
        """The folder that holds the files."""
        if self.folder is not None:
            return Path(self.folder).expanduser()
        own = cache_folder() / self.name
        return own if self.url is None else own / hashlib.sha256(os.fsencode(self.url)).hexdigest()[:32]

    @property
    def archive(self) -> str | None:
        """The name of the archive, where the files are in one."""
        return None if self.url is None or self.url.endswith("/") else self.url.rpartition("/")[2]


def cache_folder() -> Path:
    """Return the folder of downloads: RLKIT_DATA, else rlkit's in the cache folder of the platform."""
    if own := os.environ.get("RLKIT_DATA"):
        return Path(own).expanduser()
    import pooch

    return Path(pooch.os_cache("rlkit"))


def read(place: DataSource, file: str) -> bytes:
    """Return the content of a file, unpacked: from `place.root`, packed or not, or an archive there; or download it.

    Raises:
        UsageError: the user's folder does not hold it, or no program can download it.
        RunError: it cannot be downloaded, has changed since its download, or is damaged.
    """
    content = _there(place, file)
    if content is None:
        _fetch(place, place.archive or file)
        content = _there(place, file)
    if content is None:
        raise RunError(f"{place.root / str(place.archive)} holds no {file}; {_remedy(place, file)}")
    if not _is_known(place, file, content):
        place.notify(f"{place.root / file} is not the published file: results will differ from those reported")
    return content


def _there(place: DataSource, file: str) -> bytes | None:
    plain = file.removesuffix(".gz")
    for name in dict.fromkeys((file, plain, f"{plain}.gz")):
        path = place.root / name
        if path.is_file():
            _check(path)
            with _whole(place, path):
                return unpacked(read_bytes(path))
    archive = place.root / place.archive if place.archive else None
    if archive is None or not archive.is_file():
        return None
    _check(archive)
    with _whole(place, archive):
        return _member(archive, plain)


@contextmanager
def _whole(place: DataSource, path: Path) -> Iterator[None]:
    """Say which file is damaged, and what to do, where one cannot be unpacked."""
    try:
        yield
    except DAMAGED as error:
        remedy = "delete it, and it will be downloaded again" if place.folder is None else "get it again"
        raise RunError(f"{path} cannot be read: {' '.join(str(error).split())}; {remedy}") from error


def unpacked(content: bytes) -> bytes:
    """Return what gzip packed, and anything else as it is.

    Raises:
        OSError: it is damaged.
    """
    try:
        return gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    except (EOFError, zlib.error) as error:
        raise OSError(f"it is packed with gzip, and damaged: {error}") from error


def content(path: str, key: str) -> bytes:
    """Return the content, unpacked, of a user's own file.

    Args:
        path: the file, or a pipe.
        key: the setting that names it.

    Raises:
        UsageError: it cannot be read.
    """
    try:
        return unpacked(read_bytes(Path(path).expanduser(), pipes=True))
    except (OSError, ValueError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"{key}={path} cannot be read: {reason}") from error


def _member(archive: Path, file: str) -> bytes | None:
    """Return a file of a zip or tar archive, in whatever folder it lies there."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as packed:
            names = [name for name in packed.namelist() if name.rpartition("/")[2] == file]
            return packed.read(names[0]) if names else None
    with tarfile.open(fileobj=io.BytesIO(unpacked(read_bytes(archive)))) as tape:
        members = [member for member in tape.getmembers() if member.isfile() and Path(member.name).name == file]
        found = tape.extractfile(members[0]) if members else None
        return found.read() if found is not None else None


def _fetch(place: DataSource, file: str) -> None:
    if place.folder is not None:
        raise UsageError(f"data.folder={place.folder} holds no {file}; put it there, or leave data.folder out")
    if place.url is None:
        raise UsageError(f"{place.name} cannot be downloaded by a program: {_remedy(place, file)}")
    url = place.url + file if place.archive is None else place.url
    path = place.root / file
    place.notify(f"downloading {url} to {path}")
    try:
        _retrieve(url, path)
        if file in place.checksums and not _is_known(place, file, unpacked(path.read_bytes())):
            path.unlink()
            raise OSError("its content is not the published one")
        _digest_path(path).write_text(f"{_sha256(path)}  {path.name}\n")
    except (OSError, ValueError) as error:
        raise RunError(f"cannot download {url} ({_cause(error)}): {_remedy(place, file)}") from error


def _retrieve(url: str, path: Path) -> None:
    import pooch

    pooch.get_logger().setLevel("WARNING")
    downloader = pooch.HTTPDownloader(timeout=TIMEOUT)
    pooch.retrieve(url, known_hash=None, fname=path.name, path=path.parent, downloader=downloader)


def _cause(error: BaseException) -> BaseException:
    """Return the first error of a chain: those raised from it say less."""
    while error.__context__ is not None:
        error = error.__context__
    return error


def _remedy(place: DataSource, file: str) -> str:
    where = place.page or place.url
    return f"get {file} from {where} and put it into {place.root}, or name a folder that holds it with data.folder=…"


def _is_known(place: DataSource, file: str, content: bytes) -> bool:
    wanted = place.checksums.get(file)
    if wanted is None:
        return True
    hash = hashlib.md5(content, usedforsecurity=False) if len(wanted) == 32 else hashlib.sha256(content)
    return hash.hexdigest() == wanted


def _check(path: Path) -> None:
    """Compare a file with the checksum of its download, where there is one.

    Raises:
        RunError: they differ.
    """
    digest = _digest_path(path)
    if digest.is_file() and digest.read_text().split()[:1] != [_sha256(path)]:
        raise RunError(
            f"{path} is not what was downloaded ({digest.name}); delete both, and it will be downloaded again"
        )


def _digest_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def _sha256(path: Path) -> str:
    import pooch

    return str(pooch.file_hash(str(path)))


def decoded(content: bytes) -> str:
    """Return text: UTF-8, with or without a mark at its start, where it is valid as that; else Windows-1252."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace")
