"""A report of folders of somebody else: markup in any field is shown as text, and links are not followed."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

import rlkit

MARKER = "<img src=x onerror=alert(1)>"
QUOTES = f"\"'>{MARKER}"
PNG = bytes.fromhex("89504e470d0a1a0a")
KEEP = ("choices", "_target_")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    words = ("agent=q_learning", "env=frozen_lake", "total_steps=200", "eval.every=100", "video=none", "logger=[csv]")
    rlkit.train(*words, f"run_dir={folder / 'run'}")
    rlkit.fit("learner=naive_bayes", "data=iris", "plots=false", "logger=[csv]", f"run_dir={folder / 'fit'}")
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return Path(shutil.copytree(made, tmp_path / "runs"))


def marked(node: Any) -> Any:
    """Return a file's content with the marker in every text and in every key of an open node."""
    if isinstance(node, dict):
        return {key: value if key in KEEP else marked(value) for key, value in node.items()} | {f"k{QUOTES}": QUOTES}
    if isinstance(node, list):
        return [*map(marked, node), QUOTES]
    return f"{node}{QUOTES}" if isinstance(node, str) else node


def page_of(*folders: Path) -> str:
    page = rlkit.report(*folders).read_text()
    assert MARKER not in page
    assert "&lt;img src=x onerror=alert(1)&gt;" in page
    return page


def change(path: Path, change: Callable[[Any], Any]) -> None:
    values = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump(change(copy.deepcopy(values)), sort_keys=False))


@pytest.mark.parametrize("kind", ["run", "fit"])
def test_every_text_of_a_configuration_is_shown_as_text(kind: str, folder: Path) -> None:
    nodes = {"run": ("agent", "env"), "fit": ("learner", "data")}[kind]
    other = Path(shutil.copytree(folder / kind, folder / f"{kind}{QUOTES}".replace("/", "")))
    for path, more in ((folder / kind, {}), (other, {"seed": 5})):
        values = yaml.safe_load((path / "config.yaml").read_text())
        values |= {node: marked(values[node]) for node in nodes} | more
        (path / "config.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
    change(folder / kind / "config.yaml", lambda values: values | {"name": f"n{QUOTES}", "device": QUOTES})
    page_of(folder / kind, other)


@pytest.mark.parametrize("kind", ["run", "fit"])
def test_every_choice_is_a_name(kind: str, folder: Path) -> None:
    values = yaml.safe_load((folder / kind / "config.yaml").read_text())
    for key in values["choices"]:
        for choices in ({**values["choices"], key: MARKER}, {**values["choices"], MARKER: "x"}):
            (folder / kind / "config.yaml").write_text(yaml.safe_dump({**values, "choices": choices}))
            with pytest.raises(rlkit.UsageError, match=r"which is no name of a file in conf/$"):
                rlkit.report(folder / kind)


def test_every_field_of_the_other_files_is_shown_as_text(folder: Path) -> None:
    versions = {"numpy": QUOTES, "python": MARKER, MARKER: MARKER, "id": MARKER}
    (folder / "run" / f"{MARKER}.png").write_bytes(PNG)
    (folder / "run" / f"{MARKER}.mp4").write_bytes(b"no video")
    for kind in ("run", "fit"):
        (folder / kind / "versions.json").write_text(json.dumps(versions))
        for path in (folder / kind).glob("*.csv"):
            header, *rows = path.read_text().splitlines()
            cells = ",".join("1" for _ in range(header.count(",") + 1))
            path.write_text("\n".join([f'{header},"{MARKER}"', *(f"{row},1" for row in rows), f"{cells},1", ""]))
    metrics = json.loads((folder / "fit/metrics.json").read_text())
    more = {f"{part}/{QUOTES}": 1.0 for part in ("train", "test", "folds", "popularity", MARKER)}
    (folder / "fit/metrics.json").write_text(json.dumps({**metrics, **more, f"folds/{MARKER}_mean": 2.0}))
    page_of(folder / "run", folder / "fit")


@pytest.mark.parametrize("content", [f'{{"train/x": "{MARKER}"}}', "[1]", "null", '{"train/x": [1]}', "[" * 100_000])
def test_metrics_are_numbers(content: str, folder: Path) -> None:
    (folder / "fit/metrics.json").write_text(content)
    with pytest.raises(rlkit.UsageError, match=r"metrics\.json holds no metrics: [^\n]*$"):
        rlkit.report(folder / "fit")


def test_videos_that_are_links_out_of_their_folder_are_not_in_the_page(folder: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"something of the user's")
    name = yaml.safe_load((folder / "run/config.yaml").read_text())["name"]
    videos = tmp_path / "videos" / name
    videos.mkdir(parents=True)
    (videos / "real.mp4").write_bytes(b"no video, but a file")
    (videos / "best.mp4").symlink_to(secret)
    page = rlkit.report(folder / "run").read_text()
    assert "real.mp4" in page
    assert "best.mp4" not in page
    shutil.rmtree(videos)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "best.mp4").write_bytes(b"something of the user's")
    videos.symlink_to(outside)
    assert "best.mp4" not in rlkit.report(folder / "run").read_text()


def test_no_command_that_would_run_something_is_shown_to_be_pasted(folder: Path, tmp_path: Path) -> None:
    node = {"_target_": "os.system", "command": "touch ran"}
    change(folder / "run/config.yaml", lambda values: {**values, "env": node})
    page = rlkit.report(folder / "run").read_text()
    assert "touch" not in page.partition("Train again")[2].partition("</details>")[0].partition("not exact here")[0]
    assert "not exact here: config.yaml: env._target_ is os.system" in page
    change(folder / "run/config.yaml", lambda values: {**values, "env": {"_target_": "own_games.Maze"}})
    assert "env._target_=own_games.Maze" in rlkit.report(folder / "run", trust="own_games").read_text()


CELLS = ["", "x", "nan", "inf", "-inf", "1e308", "-1e308", "1e999", "9" * 5000, MARKER, "-1", "0x10", "\x1b[31m", "é"]


def some(values: list[str]) -> list[Any]:
    """Return values of which only some are tried in the fast suite."""
    return [
        pytest.param(value, id=value[:12], marks=[pytest.mark.slow] if i % 3 else []) for i, value in enumerate(values)
    ]


@pytest.mark.parametrize("cell", some(CELLS))
def test_every_cell_of_the_tables(cell: str, folder: Path) -> None:
    for kind in ("run", "fit"):
        for path in (folder / kind).glob("*.csv"):
            header, *rows = path.read_text().splitlines()
            width = header.count(",") + 1
            hostile = [",".join(cell if i == column else "1" for i in range(width)) for column in range(width)]
            path.write_text("\n".join([header, *rows, *hostile, ",".join([cell] * width), ""]))
        page_or_line(folder / kind)


NUMBERS = ["-1", "1e308", "-1e308", "NaN", "Infinity", "1e999", "1" + "0" * 400, "9" * 5000, "true", "null", "{}", "[]"]


@pytest.mark.parametrize("number", some(NUMBERS))
def test_every_metric(number: str, folder: Path) -> None:
    metrics = json.loads((folder / "fit/metrics.json").read_text())
    cells = [f"{json.dumps(name)}: {number}" for name in (*metrics, "x" * 5000, "\x1b[31m", "", "folds/x_mean")]
    (folder / "fit/metrics.json").write_text("{" + ", ".join(cells) + "}")
    page_or_line(folder / "fit")


def page_or_line(folder: Path) -> None:
    """Check that a page is made, in which nothing is markup or commands a terminal, or that one line says why not."""
    said = ""
    try:
        page = rlkit.report(folder).read_text()
    except (rlkit.UsageError, rlkit.RunError) as error:
        said, page = str(error), ""
    assert "\n" not in said
    assert len(said) < 1000
    assert MARKER not in page
    assert "\x1b" not in page
