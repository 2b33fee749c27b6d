"""Events as TensorBoard writes them. Importing this imports TensorBoard's message types, and nothing else of it."""

from __future__ import annotations

import struct
import time
from collections.abc import Mapping, Sequence

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c

STRING = 7
"""The type of a tensor of strings."""


def framed(event: bytes) -> bytes:
    """Return an event as a record: length, checksum, data, checksum."""
    length = struct.pack("<Q", len(event))
    return b"".join((length, _checksum(length), event, _checksum(event)))


def version() -> bytes:
    """Return the event that an event file begins with."""
    return bytes(Event(wall_time=time.time(), file_version="brain.Event:2").SerializeToString())


def scalars(step: int, figures: Mapping[str, float]) -> bytes:
    """Return the event of one step's figures."""
    return _event(step, [Summary.Value(tag=tag, simple_value=value) for tag, value in figures.items()])


def text(tag: str, content: str) -> bytes:
    """Return the event of a text in Markdown, at step 0."""
    metadata = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name="text"))
    tensor = TensorProto(dtype=STRING, string_val=[content.encode()])
    return _event(0, [Summary.Value(tag=f"{tag}/text_summary", metadata=metadata, tensor=tensor)])


def image(tag: str, step: int, content: bytes, size: tuple[int, int]) -> bytes:
    """Return the event of an encoded picture; `size` is width and height."""
    picture = Summary.Image(width=size[0], height=size[1], colorspace=3, encoded_image_string=content)
    return _event(step, [Summary.Value(tag=tag, image=picture)])


def tags(event: bytes) -> list[tuple[str, int]]:
    """Return tag and step of each value in an event; a file's version has none."""
    message = Event.FromString(event)
    return [(value.tag, message.step) for value in message.summary.value]


def _event(step: int, values: Sequence[Summary.Value]) -> bytes:
    return bytes(Event(wall_time=time.time(), step=step, summary=Summary(value=values)).SerializeToString())


def _checksum(content: bytes) -> bytes:
    return struct.pack("<I", masked_crc32c(content))
