"""Tables of runs that are being trained: each time only what was appended is read."""

from __future__ import annotations

import csv
import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from rlkit.core.csv_tables import column_of, numbered_rows
from rlkit.core.types import Array, UsageError

SMALL = 200_000
"""Bytes up to which Python is quick enough."""

CHUNK = 4_000_000
"""Bytes that are read at a time."""

MARK = 64
"""Bytes before those that are read next, by which a file that was written anew is noticed."""

TAIL = 4096
"""Bytes at the end of a file in which its last row is looked for."""


class FileHead(NamedTuple):
    """The first line of a file."""

    names: list[str]
    wanted: Array  # [k] int64, columns that are kept
    file: int  # its inode: a file that gets more columns is another one


class GrowingTable:
    """The columns of a CSV file of numbers that others append to.

    Args:
        path: the file, which may not be there yet.
        wanted: names of the columns that are kept, 8 bytes a row each.
    """

    def __init__(self, path: Path, wanted: Sequence[str]):
        self.path = path
        self._wanted = tuple(wanted)
        self._forget()
        self._size = 0
        self._problem: tuple[tuple[int, ...], UsageError] | None = None

    @property
    def columns(self) -> Mapping[str, Array]:
        """What has been read, [rows] float64 each, NaN for empty cells."""
        if self._header is None:
            return {}
        names = self._header.names
        return {names[c]: self._values[i, : self._rows] for i, c in enumerate(self._header.wanted)}

    @property
    def unread(self) -> int:
        """Bytes that are yet to be read, as of the last `read`."""
        return max(0, self._size - self._offset)

    @property
    def size(self) -> int:
        """Bytes of the file, as of the last `read`."""
        return self._size

    def read(self, most: int = CHUNK) -> bool:
        """Read at most so many bytes of what was appended; return whether something was read.

        A file that is shorter than it was, or another one, is read from its beginning.

        Raises:
            UsageError: the file is damaged; the message has the line.
        """
        try:
            status = self.path.stat()
        except OSError:
            self._forget()
            self._size = 0
            return False
        version = status.st_ino, status.st_size, status.st_mtime_ns
        if self._problem is not None and self._problem[0] == version:
            raise self._problem[1]
        self._problem = None
        if not stat.S_ISREG(status.st_mode):
            raise UsageError(f"{self.path} is no regular file")
        self._size = status.st_size
        if self._header is not None and (status.st_ino != self._header.file or self._size < self._offset):
            self._forget()
        if self._seen == version:
            return False
        try:
            return self._read(version, most)
        except UsageError as error:
            self._problem = version, error
            raise
        except OSError as error:
            raise UsageError(f"{self.path} cannot be read: {error.strerror}") from error

    def last_step(self) -> int:
        """Return the step of the last row of the file, whether or not it is read yet; 0 without one."""
        try:
            with self.path.open("rb") as file:
                first = file.readline(1_000_000).partition(b",")[0].strip()
                file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL))
                lines = file.read(TAIL).split(b"\n")[:-1]
            return int(lines[-1].partition(b",")[0]) if first == b"step" else 0
        except (OSError, ValueError, IndexError):
            return 0

    def _forget(self) -> None:
        self._header: FileHead | None = None
        self._values = np.zeros((0, 0))
        self._rows = self._lines = self._offset = 0
        self._seen: tuple[int, ...] = ()  # the file when the last of its whole lines had been read
        self._mark = b""

    def _read(self, version: tuple[int, ...], most: int) -> bool:
        with self.path.open("rb") as file:
            if self._header is None and not self._begin(file.readline(1_000_000), version[0]):
                return False
            file.seek(self._offset - len(self._mark))
            if file.read(len(self._mark)) != self._mark:
                self._forget()
                return self._read(version, most)
            content = file.read(min(most, max(0, self._size - self._offset)))
        lines = content[: content.rfind(b"\n") + 1]
        if len(content) < most:
            self._seen = version
        elif not lines:
            raise UsageError(f"{self.path} has a line of more than {most:,} bytes; fix the line, or delete it")
        if lines:
            self._append(lines)
        return bool(lines)

    def _begin(self, line: bytes, inode: int) -> bool:
        """Read the header, unless it is not complete yet."""
        if not line.endswith(b"\n"):
            return False
        try:
            names = next(csv.reader([line.decode()]), [])
        except (UnicodeDecodeError, csv.Error) as error:
            raise UsageError(f"{self.path} is no table of numbers: {error}") from error
        wanted = [i for i, name in enumerate(names) if name in self._wanted and names.index(name) == i]
        self._header = FileHead(names, np.array(wanted, np.int64), inode)
        self._values = np.empty((len(wanted), 0))
        self._offset, self._lines, self._mark = len(line), 1, line[-MARK:]
        return True

    def _append(self, lines: bytes) -> None:
        assert self._header is not None
        slow = len(lines) < SMALL or b'"' in lines
        found = _few(self.path, self._header, lines, self._lines) if slow else self._many(self._header, lines)
        self._make_room(found.shape[1])
        self._values[:, self._rows : self._rows + found.shape[1]] = found
        self._rows += found.shape[1]
        self._lines += lines.count(b"\n")
        self._offset += len(lines)
        self._mark = lines[-MARK:]

    def _many(self, header: FileHead, lines: bytes) -> Array:
        """Return the wanted columns of many lines, [k, rows]."""
        from rlkit.reporting.watching.kernel import POWERS, parse

        count, k = lines.count(b"\n"), len(header.wanted)
        values, left = np.empty((count, k)), np.empty((count * k, 4), np.int64)
        text = np.frombuffer(lines, np.uint8)
        rows, many, whole = parse(text, len(header.names), header.wanted, POWERS, values, left)
        try:
            if not whole:
                raise ValueError
            for row, place, start, end in left[:many].tolist():
                values[row, place] = float(lines[start:end] or b"nan")
        except ValueError:
            # Python says what is wrong, and where.
            return _few(self.path, header, lines, self._lines)
        return values[:rows].T

    def _make_room(self, more: int) -> None:
        needed, room = self._rows + more, self._values.shape[1]
        if needed > room:
            larger = np.empty((len(self._values), max(needed, room + room // 2)))
            larger[:, : self._rows] = self._values[:, : self._rows]
            self._values = larger


def _few(path: Path, header: FileHead, lines: bytes, before: int) -> Array:
    """Return the wanted columns of lines, [k, rows], as `read_table` reads them; `before` are the lines before."""
    try:
        rows = [(before + line, row) for line, row in numbered_rows(lines.decode()) if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path} is no table of numbers: {error}") from error
    short = next(((line, row) for line, row in rows if len(row) < len(header.names)), None)
    if short is not None:
        column_of(path, len(short[1]), header.names[len(short[1])], [short])
    found = [column_of(path, int(c), header.names[c], rows) for c in header.wanted]
    return np.array(found).reshape(len(header.wanted), len(rows))


def changed(paths: Sequence[Path]) -> tuple[tuple[int, ...], ...]:
    """Return what tells whether files have changed."""
    return tuple(map(_version, paths))


def _version(path: Path) -> tuple[int, ...]:
    try:
        status = path.stat()
    except (OSError, ValueError):
        return ()
    return status.st_ino, status.st_size, status.st_mtime_ns
