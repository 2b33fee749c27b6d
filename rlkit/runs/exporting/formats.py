"""The formats of exported policies: how a graph is written, and how a file is run again."""

from __future__ import annotations

import json
import logging
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import torch

from rlkit.core.types import Array, UsageError
from rlkit.runs.exporting.graph import PolicyGraph

KEY = "rlkit"
"""The key of an ONNX file's metadata, which are JSON."""

FILE = "rlkit.json"
"""The name of the metadata in the archives of TorchScript and torch.export."""

Decide = Callable[[Sequence[Array]], list[Array]]
"""Returns the outputs [B, ...] of a file for the inputs [B, ...], in its order."""

ONNX_PACKAGES = ("onnx", "onnxruntime", "onnxscript")


class FileFormat(NamedTuple):
    """A kind of file."""

    suffix: str
    write: Callable[[PolicyGraph, str, Path], None]  # the graph, its metadata as JSON, and where to
    load: Callable[[Path, PolicyGraph], Decide]
    packages: tuple[str, ...] = ()


def require_packages(name: str) -> None:
    """Check that what a format needs is installed.

    Raises:
        UsageError: it is not.
    """
    missing = [package for package in FORMATS[name].packages if find_spec(package) is None]
    if missing:
        raise UsageError(f"format={name} needs {', '.join(missing)}: pip install {' '.join(missing)}")


def write(name: str, graph: PolicyGraph, metadata: Mapping[str, Any], path: Path) -> None:
    """Write a file."""
    with _quiet():
        FORMATS[name].write(graph, json.dumps(metadata), path)


def load(name: str, path: Path, graph: PolicyGraph) -> Decide:
    """Return what runs a file; `graph` says which outputs there are."""
    with _quiet():
        return FORMATS[name].load(path, graph)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep to itself what exporters say of themselves: deprecations, and names of what they convert."""
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)


def _program(graph: PolicyGraph) -> Any:
    """Return the graph as torch exports it, for any number of rows."""
    rows = torch.export.Dim("batch", min=1)
    examples = graph.examples()
    program = torch.export.export(graph.eval(), examples, dynamic_shapes=(tuple({0: rows} for _ in examples),))
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # paths of this machine
    return program


def _write_onnx(graph: PolicyGraph, metadata: str, path: Path) -> None:
    import onnx

    names = [[port.name for port in ports] for ports in (graph.ports.inputs, graph.ports.outputs)]
    program: Any = torch.onnx.export(
        _program(graph), dynamo=True, input_names=names[0], output_names=names[1], verbose=False, optimize=True
    )
    model = program.model_proto
    for part in (model.graph, *model.functions):
        for node in part.node:
            node.ClearField("metadata_props")
            node.ClearField("doc_string")
    model.graph.ClearField("metadata_props")
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, {KEY: metadata})
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString(deterministic=True))


def _load_onnx(path: Path, graph: PolicyGraph) -> Decide:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = [port.name for port in graph.ports.inputs]
    return lambda inputs: session.run(None, dict(zip(names, inputs, strict=True)))


def _write_torchscript(graph: PolicyGraph, metadata: str, path: Path) -> None:
    module = torch.jit.trace(graph.eval(), graph.examples(), check_trace=False)  # type: ignore[no-untyped-call]
    torch.jit.save(module, path, _extra_files={FILE: metadata})
    _drop(path, ".debug_pkl")  # paths of this machine


def _drop(path: Path, ending: str) -> None:
    """Leave the members whose names end so out of an archive."""
    with zipfile.ZipFile(path) as archive:
        kept = [(entry.filename, archive.read(entry)) for entry in archive.infolist()]
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in kept:
            if not name.endswith(ending):
                archive.writestr(zipfile.ZipInfo(name), content)


def _load_torchscript(path: Path, graph: PolicyGraph) -> Decide:
    return _of_tensors(torch.jit.load(path))  # type: ignore[no-untyped-call]


def _write_program(graph: PolicyGraph, metadata: str, path: Path) -> None:
    with path.open("wb") as file:  # by its name torch would refuse it
        torch.export.save(_program(graph), file, extra_files={FILE: metadata})


def _load_program(path: Path, graph: PolicyGraph) -> Decide:
    return _of_tensors(torch.export.load(path).module())


def _of_tensors(module: Callable[..., Any]) -> Decide:
    def decide(inputs: Sequence[Array]) -> list[Array]:
        with torch.inference_mode():
            outputs = module(*map(torch.from_numpy, inputs))
        return [tensor.numpy() for tensor in (outputs if isinstance(outputs, tuple | list) else [outputs])]

    return decide


FORMATS: Mapping[str, FileFormat] = {
    "onnx": FileFormat(".onnx", _write_onnx, _load_onnx, ONNX_PACKAGES),
    "torchscript": FileFormat(".pt", _write_torchscript, _load_torchscript),
    "torch_export": FileFormat(".pt2", _write_program, _load_program),
}
