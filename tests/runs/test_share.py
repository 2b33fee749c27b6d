"""A shared run plays as the run does, equal runs make equal bytes, and a stranger's zip does nothing but be refused."""

from __future__ import annotations

import io
import json
import shutil
import stat
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hostile import one_line

import rlkit
from rlkit.core.types import UsageError
from rlkit.runs.sharing import unpack

QUIET = ("video=none", "logger=[csv]", "tuned=none", "checkpoint.every=0", "num_envs=1")
WORDS = {
    "table": ("agent=q_learning", "env=frozen_lake", "total_steps=300", "eval.every=150", "eval.episodes=2"),
    "deep": (
        *("agent=dqn", "env=cartpole", "network.hidden=[8]", "agent.learning_starts=20", "agent.batch_size=8"),
        *("total_steps=60", "eval.every=0", "replay=prioritized"),
    ),
    "rollouts": (
        "agent=ppo",
        "env=cartpole",
        "network.hidden=[8]",
        "agent.n_steps=16",
        "total_steps=40",
        "eval.every=0",
    ),
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("made")
    for name, words in WORDS.items():
        rlkit.train(*words, *QUIET, run_dir=str(folder / name))
    return {name: folder / name for name in WORDS}


@pytest.fixture
def shared(made: dict[str, Path], tmp_path: Path) -> Path:
    return rlkit.load(made["table"]).share(tmp_path / "shared.zip")


@pytest.mark.parametrize("name", WORDS)
def test_a_zip_plays_as_its_run_and_the_same_run_makes_the_same_bytes(
    name: str, made: dict[str, Path], tmp_path: Path
) -> None:
    run = rlkit.load(made[name])
    path = run.share(tmp_path / "shared.zip")
    other = rlkit.load(path)
    assert other.evaluate(3, max_steps=50) == run.evaluate(3, max_steps=50)
    assert run.share(tmp_path / "again" / "shared.zip").read_bytes() == path.read_bytes()
    assert other.share(tmp_path / "twice" / "shared.zip").read_bytes() == path.read_bytes()
    folder = other.directory
    assert folder.exists()
    del other
    assert not folder.exists()


def test_what_only_learning_needs_and_what_is_private_stay_at_home(made: dict[str, Path], tmp_path: Path) -> None:
    path = rlkit.load(made["deep"]).share(tmp_path / "shared.zip")
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        [state] = [name for name in names if name.endswith("state.json")]
        tree = json.loads(archive.read(state))
        config = yaml.safe_load(archive.read("config.yaml"))
        versions = json.loads(archive.read("versions.json"))
    assert names[0] == "README.md"
    assert all(unpack.NAMES.fullmatch(name) for name in names)
    assert "replay" not in tree["agent"]
    assert config["logger"] == {}
    assert str(tmp_path.parent) not in json.dumps(config)
    assert {"id", "rlkit"} <= versions.keys()
    assert "sources" not in versions
    assert not any(word in path.read_bytes() for word in (b".pkl", b"pickle."))


def test_the_card_says_what_it_is_how_well_it_plays_and_how_to_run_it(made: dict[str, Path], tmp_path: Path) -> None:
    run = rlkit.load(made["table"])
    with zipfile.ZipFile(run.share(tmp_path / "lake.zip")) as archive:
        card = archive.read("README.md").decode()
    returns = run.evaluations["return/raw"][run.evaluations["step"] == run.stored("best")[0]]
    assert f"| return/raw | {returns.mean():.5g} ± {returns.std():.5g} ({returns.min():.5g} to" in card
    assert f"| episodes | {len(returns)} |" in card
    assert "`QLearning` in `FrozenLake-v1`" in card
    assert "rlkit eval run=lake.zip episodes=100" in card
    assert "| agent.gamma | " in card
    assert "| numpy | " in card
    assert "![Learning curve](curve.png)" in card


def test_a_card_cannot_be_broken_out_of(made: dict[str, Path], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(made["table"], tmp_path / "run"))
    values = yaml.safe_load((folder / "config.yaml").read_text())
    (folder / "config.yaml").write_text(yaml.safe_dump({**values, "name": "a`|<script>b"}))
    with zipfile.ZipFile(rlkit.load(folder).share(tmp_path / "x.zip")) as archive:
        assert "# a'/‹script›b\n" in archive.read("README.md").decode()


def test_a_video_is_packed_and_one_that_is_none_is_named(
    made: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run = rlkit.load(made["table"])
    folder = run.claim_videos()
    (folder / "one.mp4").write_bytes(b"film")
    with zipfile.ZipFile(run.share()) as archive:
        assert archive.read("video.mp4") == b"film"
    with zipfile.ZipFile(run.share(video="none")) as archive:
        assert not {"video.mp4", "curve.png"} & set(archive.namelist())
    with pytest.raises(UsageError, match=r"^video=no\.mp4 is no mp4; name one that is there"):
        run.share(video="no.mp4")


def test_a_zip_is_no_folder_to_resume(shared: Path) -> None:
    with pytest.raises(UsageError, match=r"shared\.zip is a file, not the folder of a run; of zips, eval, play, expo"):
        rlkit.train(f"resume={shared}")


def rewritten(path: Path, change: Callable[[zipfile.ZipFile, dict[str, bytes]], Any]) -> None:
    """Write the zip again by `change`, which adds to an empty archive."""
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        change(archive, files)
    path.write_bytes(buffer.getvalue())


def with_name(name: str) -> Any:
    def change(archive: zipfile.ZipFile, files: dict[str, bytes]) -> None:
        for known, content in files.items():
            archive.writestr(known, content)
        archive.writestr(zipfile.ZipInfo(name), b"x")

    return change


def link(archive: zipfile.ZipFile, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        entry = zipfile.ZipInfo(name)
        entry.external_attr = ((stat.S_IFLNK if name == "README.md" else stat.S_IFREG) | 0o777) << 16
        archive.writestr(entry, b"/etc/passwd" if name == "README.md" else content)


def bomb(archive: zipfile.ZipFile, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        dense = name == "evaluations.csv"
        archive.writestr(name, b"0" * 8_000_000 if dense else content, zipfile.ZIP_DEFLATED, 9)


def twice(archive: zipfile.ZipFile, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        archive.writestr(name, content)
    with pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("config.yaml", files["config.yaml"])


def without_config(archive: zipfile.ZipFile, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        if name != "config.yaml":
            archive.writestr(name, content)


def otherwise_compressed(archive: zipfile.ZipFile, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        archive.writestr(name, content, zipfile.ZIP_BZIP2)


def many(archive: zipfile.ZipFile, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        archive.writestr(name, content)
    for i in range(unpack.MOST_FILES):
        archive.writestr(f"checkpoints/1/segments/{i}", b"")


NAMES = (
    *(
        "../config.yaml",
        "/etc/passwd",
        "checkpoints/../../x",
        "C:\\x",
        "..\\x",
        "checkpoints/best/1/x",
        "x",
        "config.yml",
    ),
    *("checkpoints/1/segments/../x", "checkpoints/best/", "config.yaml/x", "README.md\n", "checkpoints/01/state.json"),
    *("checkpoints/1/state.pkl", "checkpoints/1/segments/..", "runs/\u202eyaml.gifnoc"),
)
HOSTILE = {
    **{f"named {name!a}": (with_name(name), "no shared run") for name in NAMES},
    "a link": (link, r"holds 'README\.md', which is no regular file; it is no shared run"),
    "a bomb": (bomb, r"holds 'evaluations\.csv', of 8,000,000 bytes in [\d,]+; it is no shared run"),
    "a file twice": (twice, r"holds config\.yaml twice; it is no shared run"),
    "no configuration": (without_config, r"holds no config\.yaml; it is no run that rlkit share packed"),
    "another compression": (otherwise_compressed, "encrypted or compressed otherwise"),
    "many files": (many, r"files; a shared run has at most 1,000"),
}


@pytest.fixture(autouse=True)
def nothing_outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Unpack below a folder in which nothing else may appear, and leave nothing there."""
    place = tmp_path / "unpacked"
    (place / "here").mkdir(parents=True)
    monkeypatch.setattr(unpack.tempfile, "tempdir", str(place / "here"))
    yield
    assert [path.name for path in place.iterdir()] == ["here"]


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_zip_is_refused_in_a_line_before_anything_is_unpacked(kind: str, shared: Path) -> None:
    change, line = HOSTILE[kind]
    rewritten(shared, change)
    with pytest.raises(UsageError, match=line) as refusal:
        rlkit.load(shared)
    assert "\n" not in str(refusal.value)
    assert len(str(refusal.value)) < 500


def damaged(content: bytes, at: bytes, offset: int, value: bytes) -> bytes:
    place = content.rindex(at) + offset
    return content[:place] + value + content[place + len(value) :]


BYTES: dict[str, Callable[[bytes], bytes]] = {
    "no zip": lambda content: b"not a zip",
    "empty": lambda content: b"",
    "half of it": lambda content: content[: len(content) // 2],
    "a smaller size": lambda content: damaged(content, b"PK\1\2", 24, struct.pack("<I", 3)),
    "a larger size": lambda content: damaged(content, b"PK\1\2", 24, struct.pack("<I", 500_000)),
    "another checksum": lambda content: damaged(content, b"PK\1\2", 16, b"\0\0\0\0"),
    "encrypted": lambda content: damaged(content, b"PK\1\2", 8, b"\1"),
    "another place": lambda content: damaged(content, b"PK\1\2", 42, struct.pack("<I", 7)),
    "shared bytes": lambda content: damaged(content, b"PK\1\2", 20, struct.pack("<I", len(content))),
}


@pytest.mark.parametrize("kind", BYTES)
def test_a_damaged_zip_is_refused_in_a_line(kind: str, shared: Path) -> None:
    shared.write_bytes(BYTES[kind](shared.read_bytes()))
    assert "shared.zip" in one_line(lambda: rlkit.load(shared), longest=500)


@pytest.mark.parametrize("share", [0, *(pytest.param(share, marks=pytest.mark.slow) for share in range(1, 89))])
def test_any_byte_of_the_directory_may_be_another(share: int, shared: Path) -> None:
    content = shared.read_bytes()
    begin = content.index(b"PK\1\2")
    for place in range(begin + share, len(content), 89):
        shared.write_bytes(content[:place] + bytes([content[place] ^ 0x55]) + content[place + 1 :])
        one_line(lambda: rlkit.load(shared).stored("best"), longest=700)


def test_what_a_zip_names_is_trusted_no_more_than_what_a_folder_names(shared: Path) -> None:
    def change(archive: zipfile.ZipFile, files: dict[str, bytes]) -> None:
        values = yaml.safe_load(files["config.yaml"])
        values["env"] = {"_target_": "os.system", "command": "touch ran"}
        for name, content in {**files, "config.yaml": yaml.safe_dump(values).encode()}.items():
            archive.writestr(name, content)

    rewritten(shared, change)
    run = rlkit.load(shared)
    line = one_line(lambda: run.evaluate(1))
    assert "config.yaml" in line
    assert "os.system" in line
    with pytest.raises(UsageError, match=r"trust=os is part of Python"):
        rlkit.load(shared, trust="os")
