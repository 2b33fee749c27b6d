from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from rlkit.core import checkpoint, stored_state
from rlkit.core.checkpoint import CheckpointError, Store, verify
from rlkit.core.stored_state import Segment
from rlkit.core.types import RunError
from toys import assert_same


def nested() -> dict[str, Any]:
    return {
        "none": None,
        "bools": [True, False],
        "int": -3,
        "big": 2**200 + 1,
        "pcg": np.random.default_rng(0).bit_generator.state,
        "float": 0.1 + 0.2,
        "odd floats": [float("nan"), float("inf"), float("-inf"), -0.0, 5e-324],
        "text": "naïve \u2028 \U0001f600 \x00 \"'",
        "tuple": (1, (2.5, None), [(), {}]),
        "int keys": {0: "a", 1: {"step": np.float32(2)}, -5: ()},
        "odd keys": {None: 1, True: 2, 2.5: 3, (1, "x"): 4, "": 5, "a/b": 6, "a": {"b": 7}, np.int64(8): 8},
        "tags": {"__array__": 1, "__tuple__": [2], "__items__": {"__scalar__": "x"}, "__segment__": None},
        "scalars": [
            np.float32(0.1),
            np.int8(-1),
            np.bool_(True),
            np.uint64(2**64 - 1),
            np.float64("nan"),
            np.str_("é"),
        ],
        "arrays": {
            "file": np.arange(6, dtype=np.int16).reshape(2, 3),
            "allow_pickle": np.array([np.nan, np.inf, -0.0]),
            "args": np.zeros((0, 4), np.float32),
            "zero-dimensional": np.array(7, np.uint8),
            "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
            "strided": np.arange(20)[::3],
            "bool": np.array([True, False]),
            "text": np.array(["ab", "c"]),
            "": np.array([1.5]),
        },
    }


def saved(tmp_path: Path, state: Any, step: int = 1) -> Any:
    store = Store(tmp_path / "checkpoints")
    store.save(step, state)
    return store.load(step)


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


class TestRoundTrip:
    def test_plain_data_comes_back_with_types_shapes_and_bits(self, tmp_path: Path) -> None:
        assert_same(saved(tmp_path, nested()), nested())

    def test_what_was_loaded_can_be_saved_again_to_the_same_bytes(self, tmp_path: Path) -> None:
        first = Store(tmp_path / "a").save(1, nested())
        second = Store(tmp_path / "b").save(1, Store(tmp_path / "a").load(1))
        assert files(first) == files(second)

    def test_names_that_look_alike_are_kept_apart(self, tmp_path: Path) -> None:
        state = {
            "a/b": np.array(1),
            "a": {"b": np.array(2), "b/c": [np.array(3)], "b.c": [np.array(4)]},
            "a.b": np.array(5),
            "n": {1: np.array(6), "1": np.array(7), 1.5: np.array(8), "1.5": np.array(9)},
            "/x": np.array(10),
            "x": np.array(11),
            "..": {"..": np.array(12)},
            "long" * 9000: np.array(13),
            "nul\x00": np.array(14),
            "nul": np.array(15),
        }
        assert_same(saved(tmp_path, state), state)

    @given(
        st.recursive(
            st.none()
            | st.booleans()
            | st.integers()
            | st.floats()
            | st.text()
            | hnp.arrays(
                st.sampled_from([np.float32, np.int64, np.bool_, np.uint8, np.float64]),
                hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3),
            ),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.lists(inner, max_size=3).map(tuple)
                | st.dictionaries(st.text(max_size=5) | st.integers(), inner, max_size=4)
            ),
            max_leaves=12,
        )
    )
    def test_any_plain_data_comes_back(self, value: Any) -> None:
        tree, arrays = {"value": value}, {}
        packed = stored_state.pack(tree, "", arrays, {})
        assert_same(stored_state.unpack(json.loads(json.dumps(packed)), arrays, lambda name: None), tree)

    def test_equal_states_give_equal_files(self, tmp_path: Path) -> None:
        folders = [
            Store(tmp_path / name).save(5, {**nested(), "s": [Segment("s-0", lambda: {"x": np.arange(3)})]})
            for name in "ab"
        ]
        assert files(folders[0]) == files(folders[1])
        assert sorted(files(folders[0])) == ["arrays.npz", "manifest.json", "segments/s-0.npz", "state.json"]

    @pytest.mark.parametrize("bad", [{1, 2}, b"bytes", object(), np.array([None, {}]), Path()])
    def test_what_is_no_plain_data_is_refused_when_it_is_saved_and_its_place_named(
        self, bad: Any, tmp_path: Path
    ) -> None:
        store = Store(tmp_path)
        store.save(1, {"x": 1})
        with pytest.raises(RunError, match=r"state at 'agent\.0\.bad' is an? "):
            store.save(2, {"agent": [{"bad": bad}]})
        assert sorted(path.name for path in tmp_path.iterdir()) == ["1"]


class TestSegments:
    def test_a_segment_that_the_previous_checkpoint_holds_is_linked_and_not_read(self, tmp_path: Path) -> None:
        store = Store(tmp_path, keep=3)
        read: list[str] = []

        def segment(name: str) -> Segment:
            return Segment(name, lambda: read.append(name) or {"x": np.arange(len(name))})

        store.save(1, {"replay": [segment("a"), segment("bb")]})
        store.save(2, {"replay": [segment("a"), segment("ccc")]})
        assert read == ["a", "bb", "ccc"]
        inode = [(tmp_path / str(step) / "segments" / "a.npz").stat().st_ino for step in (1, 2)]
        assert inode[0] == inode[1]
        assert not (tmp_path / "2" / "segments" / "bb.npz").exists()
        loaded = store.load(2)["replay"]
        assert [item.name for item in loaded] == ["a", "ccc"]
        assert [item.read()["x"].tolist() for item in loaded] == [[0], [0, 1, 2]]

    def test_a_compressed_one_is_smaller_and_read_alike(self, tmp_path: Path) -> None:
        arrays, sizes = {"x": np.arange(1000), "y": np.ones((2, 3), np.float32)}, []
        for compress in (False, True):
            store = Store(tmp_path / str(compress))
            folder = store.save(1, {"s": Segment("a", lambda: arrays, compress)})
            assert_same(store.load(1)["s"].read(), arrays)
            sizes.append((folder / "segments" / "a.npz").stat().st_size)
        assert sizes[1] < sizes[0] / 2

    def test_a_linked_segment_outlives_the_checkpoint_that_wrote_it(self, tmp_path: Path) -> None:
        store = Store(tmp_path, keep=1)
        for step in (1, 2, 3):
            store.save(step, {"s": Segment("a", lambda: {"file": np.arange(3)})})
        assert store.steps() == [3]
        assert store.load(3)["s"].read()["file"].tolist() == [0, 1, 2]

    def test_where_the_previous_manifest_is_damaged_everything_is_written_anew(self, tmp_path: Path) -> None:
        store = Store(tmp_path, keep=2)
        store.save(1, {"s": Segment("a", lambda: {"x": np.arange(3)})})
        (tmp_path / "1" / "manifest.json").write_text("{")
        store.save(2, {"s": Segment("a", lambda: {"x": np.arange(3)})})
        assert store.load(2)["s"].read()["x"].tolist() == [0, 1, 2]

    def test_where_files_cannot_be_linked_they_are_written(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def link(*_: Any) -> None:
            raise PermissionError(errno.EPERM, "Operation not permitted")

        monkeypatch.setattr(os, "link", link)
        store = Store(tmp_path, keep=2)
        for step in (1, 2):
            store.save(step, {"s": Segment("a", lambda: {"x": np.arange(3)})})
        assert store.load(2)["s"].read()["x"].tolist() == [0, 1, 2]

    def test_two_segments_of_one_name_are_refused(self, tmp_path: Path) -> None:
        segments = [Segment("a", lambda: {"x": np.arange(3)}), Segment("a", lambda: {"x": np.arange(4)})]
        with pytest.raises(RunError, match="another segment named a"):
            Store(tmp_path).save(1, {"first": segments[0], "second": segments[1]})


class TestKeep:
    @pytest.mark.parametrize("keep", [1, 2, 3])
    def test_the_newest_are_kept(self, keep: int, tmp_path: Path) -> None:
        store = Store(tmp_path, keep=keep)
        for step in (9, 10, 100, 1000):
            assert store.save(step, {"step": step}) == tmp_path / str(step)
        assert store.steps() == [9, 10, 100, 1000][-keep:]

    def test_a_step_saved_again_holds_the_newer_state(self, tmp_path: Path) -> None:
        store = Store(tmp_path)
        store.save(1, {"x": 1, "s": Segment("a", lambda: {"x": np.arange(2)})})
        store.save(1, {"x": 2})
        assert store.load(1) == {"x": 2}

    def test_drop_after_deletes_what_came_later_and_what_was_left_incomplete(self, tmp_path: Path) -> None:
        store = Store(tmp_path, keep=5)
        for step in (1, 2, 3):
            store.save(step, {})
        (tmp_path / ".tmp-4").mkdir()
        (tmp_path / "best").mkdir()
        store.drop_after(2)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["1", "2", "best"]

    def test_a_store_without_a_folder_is_empty(self, tmp_path: Path) -> None:
        store = Store(tmp_path / "nowhere")
        assert store.steps() == []
        with pytest.raises(CheckpointError, match="no usable checkpoint in"):
            store.load_newest()


class TestDamage:
    @pytest.fixture
    def warnings(self) -> list[str]:
        return []

    @pytest.fixture
    def store(self, tmp_path: Path, warnings: list[str]) -> Store:
        store = Store(tmp_path, keep=3, warn=warnings.append)
        for step in (10, 20):
            store.save(
                step, {"step": step, "x": np.arange(step), "s": Segment(f"s{step}", lambda: {"x": np.arange(3)})}
            )
        return store

    @pytest.mark.parametrize("name", ["state.json", "arrays.npz", "segments/s20.npz"])
    def test_a_changed_file_is_named_and_the_checkpoint_before_used(
        self, name: str, store: Store, warnings: list[str]
    ) -> None:
        path = store.directory / "20" / name
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(bytes(content))
        step, state = store.load_newest()
        assert (step, state["step"]) == (10, 10)
        folder = store.directory / "20"
        assert warnings == [
            f"checkpoint {folder} is damaged: {name} does not match its SHA-256; using the one before it"
        ]
        with pytest.raises(CheckpointError, match=f"{name} does not match"):
            store.load(20)

    @pytest.mark.parametrize("name", ["state.json", "arrays.npz", "segments/s20.npz"])
    def test_a_missing_file_is_named_and_the_checkpoint_before_used(
        self, name: str, store: Store, warnings: list[str]
    ) -> None:
        (store.directory / "20" / name).unlink()
        assert store.load_newest()[0] == 10
        assert len(warnings) == 1
        assert f"damaged: {name} is missing" in warnings[0]

    def test_a_truncated_manifest_is_named_and_the_checkpoint_before_used(
        self, store: Store, warnings: list[str]
    ) -> None:
        path = store.directory / "20" / "manifest.json"
        path.write_text(path.read_text()[:40])
        assert store.load_newest()[0] == 10
        assert len(warnings) == 1
        assert warnings[0].startswith(f"{store.directory / '20'} is not an rlkit checkpoint")

    def test_a_folder_without_manifest_is_ignored_with_a_line(self, store: Store, warnings: list[str]) -> None:
        (store.directory / "20" / "manifest.json").unlink()
        (store.directory / ".tmp-30").mkdir()
        assert store.steps() == [10]
        assert store.load_newest()[0] == 10
        assert warnings == [
            f"checkpoint {store.directory / name} is incomplete and was ignored" for name in (".tmp-30", "20")
        ]

    def test_where_all_are_damaged_it_says_so(self, store: Store, warnings: list[str]) -> None:
        for step in (10, 20):
            (store.directory / str(step) / "state.json").write_text("{}")
        with pytest.raises(CheckpointError, match=r"no usable checkpoint in .*; start the run again"):
            store.load_newest()
        assert len(warnings) == 2

    def test_what_is_not_usable_is_passed_over(self, store: Store, warnings: list[str]) -> None:
        assert store.load_newest(usable=lambda state: state["step"] == 10)[0] == 10
        assert warnings == []

    @pytest.mark.parametrize(
        "manifest", ["", "[]", "{}", '{"format": "pytorch", "files": {}}', '{"format": "rlkit-checkpoint-1"}', "\x00"]
    )
    def test_a_foreign_folder_is_refused_in_one_line(self, manifest: str, tmp_path: Path) -> None:
        (tmp_path / "5").mkdir()
        (tmp_path / "5" / "manifest.json").write_text(manifest)
        with pytest.raises(CheckpointError) as caught:
            Store(tmp_path).load(5)
        assert str(tmp_path / "5") in str(caught.value)
        assert "\n" not in str(caught.value)
        with pytest.raises(CheckpointError):
            verify(tmp_path)

    @pytest.mark.parametrize(
        ("name", "content"),
        [
            ("state.json", b"{"),
            ("state.json", b"\xff"),
            ("state.json", b'{"x": {"__array__": "nowhere"}}'),
            ("state.json", b'{"x": {"__array__": []}}'),
            ("state.json", b'{"x": {"__items__": 3}}'),
            ("arrays.npz", b"PK\x03\x04 not a zip"),
            ("arrays.npz", b""),
        ],
    )
    def test_a_strangers_checkpoint_that_makes_no_sense_is_refused_in_one_line(
        self, name: str, content: bytes, tmp_path: Path
    ) -> None:
        folder = Store(tmp_path).save(1, {"x": np.arange(3)})
        (folder / name).write_bytes(content)
        forge(folder)
        with pytest.raises(CheckpointError, match="cannot be read") as caught:
            Store(tmp_path).load(1)
        assert "\n" not in str(caught.value)

    def test_nothing_in_a_checkpoint_is_unpickled(self, tmp_path: Path) -> None:
        class Harmful:
            def __reduce__(self) -> Any:
                return (Path(tmp_path / "harm").mkdir, ())

        folder = Store(tmp_path / "checkpoints").save(
            1, {"x": np.arange(3), "s": Segment("a", lambda: {"x": np.arange(3)})}
        )
        with zipfile.ZipFile(folder / "arrays.npz") as archive:
            names = [name.removesuffix(".npy") for name in archive.namelist()]
        harmful = np.array([Harmful()], dtype=object)
        for name in ("arrays.npz", "segments/a.npz"):
            np.savez(folder / name, **dict.fromkeys(names if name == "arrays.npz" else ["x"], harmful))
        forge(folder)
        with pytest.raises(CheckpointError, match="Object arrays cannot be loaded"):
            Store(tmp_path / "checkpoints").load(1)
        shutil.copy(Store(tmp_path / "other").save(1, {"x": np.arange(3)}) / "arrays.npz", folder / "arrays.npz")
        forge(folder)
        segment = Store(tmp_path / "checkpoints").load(1)["s"]
        with pytest.raises(CheckpointError, match="Object arrays cannot be loaded"):
            segment.read()
        assert not (tmp_path / "harm").exists()


def forge(folder: Path) -> None:
    """Make the manifest agree with the files, as a stranger could."""
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"] = {name: checkpoint._sha256(folder / name) for name in manifest["files"]}
    (folder / "manifest.json").write_text(json.dumps(manifest))


class TestFullDisk:
    @pytest.mark.parametrize("failing", ["state.json", "arrays.npz", "segments/b.npz", "manifest.json"])
    def test_the_temporary_folder_goes_the_previous_checkpoint_stays_and_one_line_tells_the_remedy(
        self, failing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store = Store(tmp_path)
        segment = Segment("a", lambda: {"x": np.arange(3)})
        store.save(1, {"step": 1, "s": segment})
        write_text, open_zip = Path.write_text, zipfile.ZipFile

        def full(path: Any) -> None:
            if Path(path).match(f"*/{failing}"):
                raise OSError(errno.ENOSPC, "No space left on device")

        def full_text(path: Path, text: str) -> None:
            full(path)
            write_text(path, text)

        def full_zip(path: Any, *args: Any, **keys: Any) -> zipfile.ZipFile:
            full(path)
            return open_zip(path, *args, **keys)

        with monkeypatch.context() as patch:
            patch.setattr(Path, "write_text", full_text)
            patch.setattr(zipfile, "ZipFile", full_zip)
            with pytest.raises(RunError) as caught:
                store.save(2, {"step": 2, "s": [segment, Segment("b", lambda: {"x": np.arange(4)})]})
        assert str(caught.value) == (
            f"disk full while writing checkpoint {tmp_path / '2'}; the previous one is kept: free space "
            "(or set checkpoint.keep=1) and resume"
        )
        assert sorted(path.name for path in tmp_path.iterdir()) == ["1"]
        step, state = store.load_newest()
        assert (step, state["step"], state["s"].read()["x"].tolist()) == (1, 1, [0, 1, 2])
        store.save(2, {"step": 2})
        assert store.load(2) == {"step": 2}

    def test_a_full_disk_in_the_middle_of_an_array_is_told_the_same(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store = Store(tmp_path)
        store.save(1, {"step": 1})

        def write_array(*_: Any, **__: Any) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(np.lib.format, "write_array", write_array)
        with pytest.raises(RunError, match="disk full while writing checkpoint"):
            store.save(2, {"x": np.arange(100)})
        assert sorted(path.name for path in tmp_path.iterdir()) == ["1"]

    def test_a_folder_that_cannot_be_written_is_told_in_one_line(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(RunError, match=r"cannot write checkpoint .*: Not a directory; the previous one is kept"):
            Store(tmp_path / "file").save(1, {})


KILLED = """
import os, signal, sys
from pathlib import Path
import numpy as np
from rlkit.core.checkpoint import Store
from rlkit.core.stored_state import Segment

store = Store(Path(sys.argv[1]), keep=2)
state = lambda step: {"step": step, "x": np.full(1000, step), "s": [Segment("a", lambda: {"x": np.arange(9)})]}
store.save(1, state(1))
store.save(2, state(2))
left = int(sys.argv[2])

def trace(frame, event, argument):
    global left
    if event == "line" and frame.f_code.co_filename.endswith("checkpoint.py"):
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
    return trace

sys.settrace(trace)
store.save(3, state(3))
sys.settrace(None)
print("done", flush=True)
"""


def test_killed_at_any_line_of_a_save_a_whole_checkpoint_is_left(tmp_path: Path) -> None:
    outcomes = []
    for at in (2, 8, 20, 40, 60, 75, 85, 95, 105, 115, 125, 1000):
        directory = tmp_path / str(at)
        done = subprocess.run([sys.executable, "-c", KILLED, directory, str(at)], capture_output=True, text=True)
        assert done.stderr == ""
        assert (done.returncode, done.stdout) in ((-signal.SIGKILL, ""), (0, "done\n"))
        warnings: list[str] = []
        store = Store(directory, keep=2, warn=warnings.append)
        step, state = store.load_newest()
        assert_same(state["x"], np.full(1000, step))
        assert state["s"][0].read()["x"].tolist() == list(range(9))
        outcomes.append((step, done.returncode, bool(warnings)))
        # Going on works, whatever was left.
        store.drop_after(step)
        store.save(4, {"step": 4})
        assert store.load_newest() == (4, {"step": 4})
        assert not list(directory.glob(".tmp*"))
    assert (2, -signal.SIGKILL, True) in outcomes, "some must be killed while the temporary folder is there"
    assert outcomes[-1] == (3, 0, False)
