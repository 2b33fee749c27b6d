"""A state as JSON and arrays, and back: read without trust in what the files say of themselves."""

from __future__ import annotations

import io
import re
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from tokenize import TokenError
from typing import Any, NamedTuple

import numpy as np

from rlkit.core.types import Array, RunError, a_kind

LONGEST_HEADER = 1_000_000
"""Maximum length of an array's header: a structured array has a field for each leaf of a tree."""

NAME = re.compile(r"[A-Za-z0-9_][\w.-]*", re.ASCII)
"""The name of a segment, which is that of its file."""

UNREADABLE = (
    *(OSError, EOFError, ValueError, LookupError, TypeError, AttributeError, RuntimeError, ArithmeticError),
    *(MemoryError, SyntaxError, TokenError, zipfile.BadZipFile, zlib.error, struct.error),
)
"""What damaged or hostile JSON and array files raise when they are read."""

_TAGS = ("__array__", "__scalar__", "__tuple__", "__items__", "__segment__")


class Segment(NamedTuple):
    """Arrays under a name that identifies their content: the same name never holds anything else.

    They are read only when needed: not if the previous checkpoint already holds the segment.
    """

    name: str
    read: Callable[[], dict[str, Array]]
    compress: bool = False  # deflate its file


def pack(value: Any, path: str, arrays: dict[str, Array], segments: dict[str, Segment]) -> Any:
    """Return plain data as JSON, and add its arrays [...] and segments to `arrays` and `segments`; `path` is its place.

    Raises:
        RunError: it is no plain data.
    """
    if isinstance(value, np.generic):
        return {"__scalar__": _store(np.asarray(value), path, arrays)}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Segment):
        return _pack_segment(value, path, segments)
    if isinstance(value, np.ndarray):
        return {"__array__": _store(value, path, arrays)}
    if isinstance(value, dict):
        return _pack_dict(value, path, arrays, segments)
    if isinstance(value, (list, tuple)):
        items = [pack(item, f"{path}.{i}", arrays, segments) for i, item in enumerate(value)]
        return {"__tuple__": items} if isinstance(value, tuple) else items
    raise RunError(
        f"state at {path!r} is {a_kind(value)}; a checkpoint holds arrays, numbers, strings, booleans, None, "
        "and dicts, lists and tuples of them"
    )


def _pack_segment(segment: Segment, path: str, segments: dict[str, Segment]) -> Any:
    if segment.name in segments:
        raise RunError(f"state at {path!r}: there is another segment named {segment.name}; give each its own name")
    if not NAME.fullmatch(segment.name):
        raise RunError(f"state at {path!r}: a segment is named {segment.name!r}; use letters, digits, _, - and .")
    segments[segment.name] = segment
    return {"__segment__": segment.name}


def _pack_dict(value: dict[Any, Any], path: str, arrays: dict[str, Array], segments: dict[str, Segment]) -> Any:
    packed = [(key, pack(item, f"{path}.{key}".lstrip("."), arrays, segments)) for key, item in value.items()]
    if all(isinstance(key, str) and key not in _TAGS for key in value):
        return dict(packed)
    return {"__items__": [[pack(key, f"{path}.key", arrays, segments), item] for key, item in packed]}


def _store(array: Array, path: str, arrays: dict[str, Array]) -> str:
    """Add `array` to `arrays` and return its name there, which is numbered: different paths can look the same."""
    if array.dtype.hasobject:
        raise RunError(f"state at {path!r} is an array of objects; a checkpoint holds arrays of numbers or strings")
    name = f"{len(arrays)}.{re.sub(r'[^0-9A-Za-z_.-]', '_', path[-200:])}"
    arrays[name] = array
    return name


def unpack(value: Any, arrays: dict[str, Array], segment: Callable[[str], Segment]) -> Any:
    """Return what `pack` made into JSON, with its `arrays` [...]; `segment` returns a segment by its name.

    Raises:
        LookupError, TypeError, ValueError: `value` was not made by `pack`, or not with these arrays.
    """
    if isinstance(value, list):
        return [unpack(item, arrays, segment) for item in value]
    if not isinstance(value, dict):
        return value
    if "__array__" in value:
        return arrays[value["__array__"]]
    if "__scalar__" in value:
        return arrays[value["__scalar__"]][()]
    if "__tuple__" in value:
        return tuple(unpack(item, arrays, segment) for item in value["__tuple__"])
    if "__items__" in value:
        return {unpack(key, arrays, segment): unpack(item, arrays, segment) for key, item in value["__items__"]}
    if "__segment__" in value:
        return segment(value["__segment__"])
    return {key: unpack(item, arrays, segment) for key, item in value.items()}


def write_arrays(path: Path, arrays: dict[str, Array], compress: bool = False) -> None:
    """Write arrays [...] by name to a file, as `numpy.savez` does, but equal arrays to equal bytes."""
    # numpy.savez would mistake an array named `file` or `allow_pickle` for one of its own arguments.
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            info = zipfile.ZipInfo(f"{name}.npy")
            if compress:
                archive.writestr(info, _npy(array), zipfile.ZIP_DEFLATED, compresslevel=1)
                continue
            with archive.open(info, "w", force_zip64=True) as file:
                np.lib.format.write_array(file, np.asarray(array), allow_pickle=False)


def _npy(array: Array) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, np.asarray(array), allow_pickle=False)
    return file.getvalue()


def unpacked_bytes(path: Path) -> int:
    """Return the bytes of all arrays in a file, as it says."""
    with zipfile.ZipFile(path) as archive:
        return sum(entry.file_size for entry in archive.infolist())


def read_arrays(path: Path, unpacked: int | None = None) -> dict[str, Array]:
    """Return the arrays [...] in a file by name.

    Args:
        path: of the file.
        unpacked: bytes of all of them together; None: the file is not compressed.

    Raises:
        ValueError: it holds more than that, or what is no array of numbers or text.
        Exception: it is damaged: `UNREADABLE` has what is raised.
    """
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        allowed, limit = (
            ({zipfile.ZIP_STORED}, path.stat().st_size)
            if unpacked is None
            else ({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}, unpacked)
        )
        # Looked at before anything is unpacked: a few megabytes can become any number of gigabytes.
        if not {entry.compress_type for entry in entries} <= allowed:
            raise ValueError(f"{path.name} is compressed, and its manifest does not say so")
        if (size := sum(entry.file_size for entry in entries)) > limit:
            raise ValueError(f"{path.name} unpacks to {size:,} bytes; it may have {limit:,}")
        return {entry.filename.removesuffix(".npy"): _read_array(archive, entry) for entry in entries}


def _read_array(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Array:
    with archive.open(entry) as file:
        array: Array = np.lib.format.read_array(file, allow_pickle=False, max_header_size=LONGEST_HEADER)
    return array
