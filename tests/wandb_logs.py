"""The rows in W&B's transaction logs: W&B itself has no reader in Python."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_BLOCK = 32768  # it is LevelDB's log: blocks of this size, a header before each part of a record
_HEADER = struct.Struct("<IHB")  # checksum, length, kind
_WHOLE, _LAST = 1, 4  # the kinds that complete a record
_PREAMBLE = 7


def read(path: Path) -> list[Any]:
    """Return the records of a log, up to where a kill cut it off."""
    from wandb.proto import wandb_internal_pb2

    return [wandb_internal_pb2.Record.FromString(content) for content in _contents(path.read_bytes())]


def rows_of(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows of a log."""
    for record in read(path):
        if record.WhichOneof("record_type") == "history":
            yield {item.nested_key[0]: json.loads(item.value_json) for item in record.history.item}


def _contents(log: bytes) -> Iterator[bytes]:
    position, record = _PREAMBLE, b""
    while position + _HEADER.size <= len(log):
        left = _BLOCK - position % _BLOCK
        if left < _HEADER.size:
            position += left
            continue
        _, length, kind = _HEADER.unpack_from(log, position)
        position += _HEADER.size + length
        if kind == 0 or position > len(log):
            return
        record += log[position - length : position]
        if kind in (_WHOLE, _LAST):
            yield record
            record = b""
