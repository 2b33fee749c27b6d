"""Compiled code, cached on disk for as long as none of its sources has changed.

numba's own cache looks for changes only in the function's own file, but all functions that it calls and all constants
that it uses are compiled into it, whichever file they are in.
"""

from __future__ import annotations

import hashlib
import inspect
import pickle
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any, TypeVar

import numba
import numpy as np
from numba.core import caching, ccallback, sigutils

# numba has no types of its own.
untyped: Any = (caching.IndexDataCacheFile, ccallback.CFunc, sigutils.normalize_signature)
IndexDataCacheFile, CFunc, normalize_signature = untyped

F = TypeVar("F", bound=Callable[..., Any])

SEAL = hashlib.sha256().digest_size
"""Bytes of a digest before what a file of the cache holds."""

PLAIN = (bool, int, float, complex, str, bytes, tuple, type(None), np.generic)


def entry(**options: Any) -> Callable[[F], F]:
    """Return a decorator like `numba.njit` with `options` that caches its results on disk."""

    def compiled(function: F) -> F:
        dispatcher: Any = numba.njit(**options)(function)
        _keep(dispatcher, function)
        return dispatcher  # type: ignore[no-any-return]

    return compiled


def callback(signature: Any) -> Callable[[F], Any]:
    """Return a decorator like `numba.cfunc` that caches its results on disk."""

    def compiled(function: F) -> Any:
        result = CFunc(function, normalize_signature(signature), locals={}, options={})
        _keep(result, function)
        result.compile()
        return result

    return compiled


def needs_compiling(function: Any) -> bool:
    """Return whether a function of `entry` has no code yet, neither in this process nor on disk."""
    kept = function._cache
    return not (function.signatures or (isinstance(kept, _Covering) and kept.has_code()))


def _keep(compiled: Any, function: Callable[..., Any]) -> None:
    try:
        compiled._cache = _Covering(function)  # type: ignore[no-untyped-call]
    except RuntimeError:  # no cache folder can be written: compiled again in each process
        return


class _Covering(caching.FunctionCache):
    """numba's cache, emptied when any of a function's sources has changed."""

    _covered = False

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        self._cover()
        return super().load_overload(sig, target_context)  # type: ignore[no-untyped-call]

    def save_overload(self, sig: Any, data: Any) -> None:
        self._cover()
        with suppress(OSError):  # a full disk: compiled again in the next process
            super().save_overload(sig, data)  # type: ignore[no-untyped-call]

    def has_code(self) -> bool:
        """Return whether something was kept of the present sources."""
        self._cover()
        return bool(self._cache_file._load_index())  # type: ignore[no-untyped-call]

    def _cover(self) -> None:
        """Stamp the index: only now is everything defined that the function calls."""
        if not self._covered:
            path, name = self._cache_path, self._impl.filename_base
            self._cache_file = _Index(path, name, source_stamp=fingerprint(self._py_func))
            self._covered = True


class _Index(IndexDataCacheFile):  # type: ignore[misc, valid-type]
    """numba's index and data, each behind a seal: what is damaged, or of other sources, is as good as none.

    Without it, damaged files end the process, and a kill between index and data leaves an index of older data.
    """

    def _load_index(self) -> Any:
        with suppress(OSError):
            return self._unsealed(self._index_path)
        return {}

    def _save_index(self, overloads: Any) -> None:
        self._write_sealed(self._index_path, overloads)

    def _load_data(self, name: str) -> Any:
        return self._unsealed(self._data_path(name))

    def _save_data(self, name: str, data: Any) -> None:
        self._write_sealed(self._data_path(name), data)

    def _unsealed(self, path: str) -> Any:
        """Return what a file holds.

        Raises:
            OSError: it cannot be read, which numba takes for none.
        """
        content = Path(path).read_bytes()
        if content[:SEAL] != self._seal(content[SEAL:]):
            raise OSError(f"{path} is damaged, or of other sources")
        try:
            return pickle.loads(content[SEAL:])
        except (AttributeError, ImportError) as error:
            raise OSError(f"{path} names a class that no longer exists") from error

    def _write_sealed(self, path: str, content: Any) -> None:
        dumped = self._dump(content)
        with self._open_for_write(path) as file:
            file.write(self._seal(dumped) + dumped)

    def _seal(self, content: bytes) -> bytes:
        return hashlib.sha256(f"{self._version} {self._source_stamp}\0".encode() + content).digest()


def fingerprint(function: Any) -> str:
    """Return a digest of all that is compiled into a function: source files, compiler options and constants."""
    digest = hashlib.sha256()
    for part in sorted(set(_parts(function, set()))):
        digest.update(part.encode() + b"\0")
    return digest.hexdigest()


def _parts(function: Any, seen: set[int]) -> Iterator[str]:
    if id(function) in seen:
        return
    seen.add(id(function))
    yield _file(inspect.getfile(function))
    closed = inspect.getclosurevars(function).nonlocals
    for name in _names(function.__code__):
        if name in closed or name in function.__globals__:
            yield from _part(name, closed.get(name, function.__globals__.get(name)), seen)


def _part(name: str, value: Any, seen: set[int]) -> Iterator[str]:
    """Yield texts that change when a name in a function's module comes to mean something else."""
    inner = getattr(value, "py_func", None) or getattr(value, "__wrapped__", None) or value
    if isinstance(inner, FunctionType):
        yield f"{name} {getattr(value, 'targetoptions', '')}"
        yield from _parts(inner, seen)
    elif isinstance(value, ModuleType | type):
        module = value if isinstance(value, ModuleType) else inspect.getmodule(value)
        yield f"{name} {_file(getattr(module, '__file__', None))}"
    elif isinstance(value, np.ndarray):
        yield f"{name} {value.dtype} {value.shape} {hashlib.sha256(value.tobytes()).hexdigest()}"
    else:
        yield f"{name} {value!r}" if isinstance(value, PLAIN) else f"{name} {type(value).__qualname__}"


def _names(code: CodeType) -> Iterator[str]:
    yield from (*code.co_names, *code.co_freevars)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _file(name: str | None) -> str:
    """Return the name of a source file, with a digest of its content if it can be read."""
    path = Path(str(name))
    if not path.is_file():
        return str(name)
    status = path.stat()
    return f"{name} {_digest(path, status.st_mtime_ns, status.st_size)}"


@cache
def _digest(path: Path, changed: int, size: int) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
