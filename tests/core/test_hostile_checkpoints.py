"""Checkpoints that are damaged or somebody else's: the one before is used, or one line says what is wrong."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rlkit.core import checkpoint
from rlkit.core.alike import require_alike
from rlkit.core.checkpoint import CheckpointError, SegmentError, Store
from rlkit.core.stored_state import Segment
from rlkit.core.types import RunError

DEEP = "[" * 100_000
BIG = 4_000_000


def segment(value: int = 7, name: str = "s-0", *, compress: bool = False) -> Segment:
    return Segment(name, lambda: {"x": np.full(1000, value)}, compress)


@pytest.fixture
def warnings() -> list[str]:
    return []


@pytest.fixture
def store(tmp_path: Path, warnings: list[str]) -> Store:
    store = Store(tmp_path / "checkpoints", keep=3, warn=warnings.append)
    for step in (10, 20):
        store.save(step, {"step": step, "x": np.arange(step), "s": segment(compress=True)})
    return store


def forge(folder: Path, **more: Any) -> None:
    """Make the manifest agree with the files, as a stranger could."""
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    files = {name: checkpoint._sha256(folder / name) for name in manifest["files"]}
    path.write_text(json.dumps({**manifest, "files": files, **more}))


def write_header(path: Path, header: str, data: bytes = b"") -> None:
    """Write one array with a header of our own."""
    text = header.encode() + b"\n"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("0.x.npy", b"\x93NUMPY\x02\x00" + len(text).to_bytes(4, "little") + text + data)


def header(descr: str, shape: str) -> str:
    return f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}"


def state_text(folder: Path, text: str) -> None:
    (folder / "state.json").write_text(text)
    forge(folder)


def arrays(write: Callable[[Path], None]) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        write(folder / "arrays.npz")
        forge(folder)

    return damage


def inflating(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("0.x.npy", b"\0" * BIG)


def lying(path: Path) -> None:
    """Say that a stored entry is larger than its file."""
    inflating(path)
    content = path.read_bytes().replace((8).to_bytes(2, "little") + b"\0\0", b"\0\0\0\0", 1)
    path.write_bytes(content)


DAMAGE: dict[str, Callable[[Path], Any]] = {
    "deep state": lambda folder: state_text(folder, DEEP),
    "deep state, in dicts": lambda folder: state_text(folder, '{"a":' * 100_000),
    "deep manifest": lambda folder: (folder / "manifest.json").write_text(DEEP),
    "a state that is a list": lambda folder: state_text(folder, "[1]"),
    "a state that is null": lambda folder: state_text(folder, "null"),
    "a state that is a segment": lambda folder: state_text(folder, '{"__segment__": "s-0"}'),
    "a state that is a number of 5000 digits": lambda folder: state_text(folder, "9" * 5000),
    "a segment of another folder": lambda folder: state_text(folder, '{"s": {"__segment__": "../../10/segments/s-0"}}'),
    "a segment without a name": lambda folder: state_text(folder, '{"s": {"__segment__": null}}'),
    "keys that are lists": lambda folder: state_text(folder, '{"__items__": [[[1], 2]]}'),
    "8 PB": arrays(lambda path: write_header(path, header("'<f8'", "(1125899906842624,)"))),
    "a product that wraps round": arrays(lambda path: write_header(path, header("'<f8'", "(4294967296, 4294967296)"))),
    "negative sizes": arrays(lambda path: write_header(path, header("'<f8'", "(-2, -3)"), b"0" * 48)),
    "sizes that are no numbers": arrays(lambda path: write_header(path, header("'<f8'", "('a',)"))),
    "objects": arrays(lambda path: write_header(path, header("'|O'", "(1,)"), b"cos\nsystem\n.")),
    "a deep header": arrays(lambda path: write_header(path, "(" * 50_000)),
    "a long header": arrays(lambda path: write_header(path, " " * 2_000_000)),
    "no header": arrays(lambda path: write_header(path, "")),
    "a call for a header": arrays(lambda path: write_header(path, "__import__('os').system('touch ran')")),
    "compressed": arrays(inflating),
    "lies about its size": arrays(lying),
    "no zip": arrays(lambda path: path.write_bytes(b"PK\x05\x06")),
    "no files named": lambda folder: forge(folder, files={}),
    "only the state named": lambda folder: forge(folder, files={"state.json": "x"}),
    "files outside": lambda folder: forge(folder, files={"state.json": "", "arrays.npz": "", "../../x": ""}),
    "segments outside": lambda folder: forge(folder, files={"state.json": "", "arrays.npz": "", "segments/../x": ""}),
    "files that are a list": lambda folder: forge(folder, files=[["state.json", 1]]),
    "sizes that are text": lambda folder: forge(folder, unpacked={"segments/s-0.npz": "9"}),
    "negative bytes": lambda folder: forge(folder, unpacked={"segments/s-0.npz": -1}),
    "a manifest that is a list": lambda folder: (folder / "manifest.json").write_text("[1, 2]"),
    "a manifest of another format": lambda folder: forge(folder, format=["x"] * 1000),
    "a folder for a file": lambda folder: ((folder / "arrays.npz").unlink(), (folder / "arrays.npz").mkdir()),
    "a device for a file": lambda folder: (
        (folder / "state.json").unlink(),
        (folder / "state.json").symlink_to("/dev/zero"),
    ),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=list(DAMAGE))
def test_the_one_before_is_used_or_there_is_one_line(
    damage: Callable[[Path], Any], store: Store, warnings: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    damage(store.directory / "20")
    step, state = store.load_newest()
    assert (step, state["step"]) == (10, 10)
    [line] = warnings
    assert str(store.directory / "20") in line
    assert line.endswith("; using the one before it")
    assert "\n" not in line
    assert len(line) < 600
    shutil.rmtree(store.directory / "10")
    with pytest.raises(CheckpointError, match=r"^no usable checkpoint in \S*; start the run again$"):
        store.load_newest()
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "name", ["../10/state.json", "segments/../state.json", "/etc/hostname", "segments/a/b.npz", "x"]
)
def test_a_manifest_names_nothing_but_the_files_of_its_checkpoint(name: str, store: Store) -> None:
    folder = store.directory / "20"
    files = json.loads((folder / "manifest.json").read_text())["files"]
    digest = checkpoint._sha256(folder / name) if (folder / name).is_file() else ""
    forge(folder)
    (folder / "manifest.json").write_text(
        json.dumps({"format": "rlkit-checkpoint-1", "files": {**files, name: digest}})
    )
    with pytest.raises(CheckpointError, match=f"manifest.json names '{name}', which is no file of a checkpoint$"):
        store.load(20)


def test_a_segment_does_not_become_more_than_its_manifest_says(store: Store) -> None:
    folder = store.directory / "20"
    [name] = json.loads((folder / "manifest.json").read_text())["unpacked"]
    inflating(folder / name)
    forge(folder)
    with pytest.raises(CheckpointError, match=r"s-0\.npz unpacks to 4,000,000 bytes; it may have 8,\d{3}$"):
        store.load(20)["s"].read()
    forge(folder, unpacked={})
    with pytest.raises(CheckpointError, match=r"s-0\.npz is compressed, and its manifest does not say so$"):
        store.load(20)["s"].read()


def test_what_does_not_need_segments_does_not_read_them(store: Store, warnings: list[str]) -> None:
    for step in (10, 20):
        path = store.directory / str(step) / "segments/s-0.npz"
        content = bytearray(path.read_bytes())
        content[-30] ^= 1
        path.unlink()
        path.write_bytes(content)
    assert store.load(20, segments=False)["step"] == 20
    assert store.load_newest(segments=False)[0] == 20
    assert warnings == []
    with pytest.raises(SegmentError, match=r"segments/s-0\.npz does not match its SHA-256$"):
        store.load(20)
    with pytest.raises(CheckpointError, match=r"go on without them$"):
        store.load_newest(without_segments="go on without them")
    # Both are damaged, so nothing of either is linked by what comes after.
    store.link_nothing_before(20)
    store.save(30, {"s": segment(8)})
    assert store.load(30)["s"].read()["x"][0] == 8


def test_names_that_are_no_steps_are_not_looked_into(store: Store) -> None:
    for name in ("²", "020", "+20", "٣", "2 0", "-1", "1e3"):
        shutil.copytree(store.directory / "20", store.directory / name)
    assert store.steps() == [10, 20]
    store.save(30, {})
    store.save(40, {})
    assert store.steps() == [20, 30, 40]


@pytest.mark.parametrize("name", ["../x", "a/b", "", "a b", "."])
def test_a_segment_has_a_name_that_is_a_file_s(name: str, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="a segment is named"):
        Store(tmp_path).save(1, {"s": segment(name=name)})


def test_links_are_no_checkpoints_and_what_they_point_to_stays(store: Store, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    shutil.copytree(store.directory / "20", outside)
    for step in (5, 30):
        (store.directory / str(step)).symlink_to(outside)
    assert store.steps() == [10, 20]
    for step in (30, 40, 50, 60):
        store.save(step, {})
    assert not (store.directory / "30").is_symlink()
    store.drop_after(0)
    assert sorted(path.name for path in outside.iterdir()) == ["arrays.npz", "manifest.json", "segments", "state.json"]


def test_a_half_deleted_old_checkpoint_is_deleted_with_the_others(store: Store, warnings: list[str]) -> None:
    (store.directory / "10/manifest.json").unlink()
    assert store.load_newest()[0] == 20
    assert warnings == [], "nobody needs it any more"
    store.save(30, {})
    assert sorted(path.name for path in store.directory.iterdir()) == ["20", "30"]


def test_the_manifest_is_the_first_to_go(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(folder: Path, *_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(shutil, "rmtree", killed)
    with pytest.raises(KeyboardInterrupt):
        store.retain([20])
    assert store.steps() == [20]
    assert (store.directory / "10/state.json").exists()


NEW: dict[str, Any] = {
    "table": np.zeros((4, 2)),
    "counts": np.zeros(3, np.int64),
    "grown": np.zeros((0, 2), np.float32),
    "names": np.array(["a"]),
    "flag": False,
    "steps": 0,
    "rate": 0.5,
    "none": None,
    "parts": [{"x": np.float32(1)}],
    "pair": (1, "text"),
}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("table", np.zeros((4, 2), complex)),
        ("table", np.zeros((4, 2), np.float32)),
        ("table", np.zeros((4, 2), ">f8")),
        ("table", np.zeros((4, 2), bool)),
        ("table", np.zeros((4, 2), int)),
        ("table", np.full((4, 2), "1.0")),
        ("table", np.zeros((4, 2), "datetime64[s]")),
        ("table", np.zeros((4, 2), [("a", "f8")])),
        ("table", np.array(0.0)),
        ("table", np.zeros(2)),
        ("table", np.zeros((1, 2))),
        ("table", np.zeros((4, 1))),
        ("table", np.zeros((1, 4, 2))),
        ("table", np.full((4, 2), np.nan)),
        ("table", np.full((4, 2), -np.inf)),
        ("table", [[0.0, 0.0]] * 4),
        ("table", 0.0),
        ("table", Segment("x", dict)),
        ("counts", np.zeros(3, np.uint64)),
        ("counts", np.zeros(3)),
        ("grown", np.zeros((5, 2))),
        ("grown", np.full((5, 2), np.inf, np.float32)),
        ("grown", np.zeros(5, np.float32)),
        ("names", np.zeros(1)),
        ("flag", 1),
        ("flag", "true"),
        ("steps", True),
        ("steps", "3"),
        ("steps", [3]),
        ("steps", np.int64(3)),
        ("rate", float("nan")),
        ("rate", float("inf")),
        ("rate", "0.5"),
        ("rate", {}),
        ("parts", {}),
        ("parts", ({"x": np.float32(1)},)),
        ("parts", [[]]),
        ("parts", [{"x": 1.0}]),
        ("parts", [{"x": np.array([1], np.float32)}]),
        ("pair", [1, "text"]),
        ("pair", (1, 2)),
    ],
    ids=str,
)
def test_values_of_other_kinds_are_refused_with_their_place(key: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"^agent\.{key}\S* (is|has) [^\n]*$"):
        require_alike({**NEW, key: value}, NEW, "agent", learned=True)


def test_what_an_agent_may_learn_is_taken() -> None:
    learned = {
        **NEW,
        "table": np.ones((6, 2)),
        "grown": np.ones((9, 2), np.float32),
        "names": np.array(["longer"]),
        "rate": 1,
        "steps": 7,
        "none": {"any": "thing"},
        "parts": [*NEW["parts"], "more"],
        "more": object(),
    }
    require_alike(learned, NEW, "agent", learned=True)
    with pytest.raises(ValueError, match=r"^agent\.table has shape \[6, 2\], not \[4, 2\]$"):
        require_alike({**NEW, "table": np.ones((6, 2))}, NEW, "agent")
    # What environments return may be anything.
    require_alike({**NEW, "table": np.full((4, 2), np.inf)}, NEW, "agent")
