"""A run packed for others: configuration, what acts, scores, a card and a video; equal runs make equal bytes."""

from __future__ import annotations

import io
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from rlkit.core.checkpoint import Store
from rlkit.core.files import read_bytes, require_writable, write_bytes
from rlkit.core.types import Agent, State, UsageError
from rlkit.runs import origin
from rlkit.runs.compatibility import without_replay
from rlkit.runs.sharing.card import card

if TYPE_CHECKING:
    from rlkit.runs.trained import TrainedRun

LEARNING = ("optimizer", "optimizers", "target", "targets", "rollout", "generation")
"""Parts of the states of rlkit's own agents that only learning needs."""

OWN = "rlkit.agents."

PACKED = (".npz", ".mp4", ".png")
"""Files that deflating makes no smaller."""

AUTO, NONE = "auto", "none"


def share(run: TrainedRun, out: Path | str | None, *, checkpoint: str | int, video: Path | str) -> Path:
    """Write the zip of a run, and return its path.

    Args:
        run: the run.
        out: the zip; None: the run's name, in the working folder.
        checkpoint: as in `Run.load_agent`.
        video: an mp4; auto: the newest in the run's folder of videos; none: no video and no curve.

    Raises:
        UsageError: there is no such checkpoint or video, or the zip cannot be written.
    """
    path = Path(out or f"{Path(run.name).name}.zip")
    require_writable(path, "out", "run.zip")
    files = _pictures(run, str(video))
    chosen = run.chosen(checkpoint)
    step, state = run.stored(chosen)
    run.load_agent(checkpoint, "cpu")  # it fits its configuration
    files |= _checkpoint(step, {"made_for": state["made_for"], "agent": acting(run, state["agent"])}, chosen)
    values = {**run.values, "run_dir": f"runs/{run.name}", "logger": {}}
    files["config.yaml"] = yaml.safe_dump(values, sort_keys=False).encode()
    files[origin.FILE] = origin.without_sources(run.directory).encode()
    if (evaluations := run.directory / "evaluations.csv").is_file():
        files["evaluations.csv"] = read_bytes(evaluations)
    files["README.md"] = card(run, step, path.name, sorted(files)).encode()
    write_bytes(path, packed(files), "out")
    return path


def acting(run: TrainedRun, state: State) -> State:
    """Return an agent's state with that of a new agent in place of what only learning needs."""
    fresh: Agent = run.new_agent("cpu")[0]
    if not type(fresh).__module__.startswith(OWN):
        return without_replay(state)
    new = fresh.state_dict()
    return {key: new[key] if key in LEARNING and key in new else value for key, value in without_replay(state).items()}


def _checkpoint(step: int, state: State, chosen: str) -> dict[str, bytes]:
    """Return the files of a checkpoint by their paths in a run folder."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        written = Store(root / "checkpoints" / ("best" if chosen == "best" else "")).save(step, state)
        return {str(path.relative_to(root)): path.read_bytes() for path in written.rglob("*") if path.is_file()}


def _pictures(run: TrainedRun, video: str) -> dict[str, bytes]:
    """Return the video and the curve, as far as they are wanted and there.

    Raises:
        UsageError: `video` names no mp4.
    """
    if video == NONE:
        return {}
    found = sorted(run.videos.rglob("*.mp4"), key=lambda path: (path.stat().st_mtime_ns, path)) if video == AUTO else []
    path: Any = Path(video) if video != AUTO else found[-1] if found else None
    if path is not None and (path.suffix != ".mp4" or not path.is_file()):
        raise UsageError(f"video={video} is no mp4; name one that is there, or video=auto or none")
    files = {"video.mp4": path} if path is not None else {}
    if (curve := run.directory / "curve.png").is_file():
        files["curve.png"] = curve
    return {name: read_bytes(file) for name, file in files.items()}


def packed(files: dict[str, bytes]) -> bytes:
    """Return a zip of files by name: the card first, and nothing in it that depends on the clock or the machine."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in sorted(files, key=lambda name: (name != "README.md", name)):
            entry = zipfile.ZipInfo(name)
            entry.external_attr, entry.create_system = 0o100644 << 16, 3
            method = zipfile.ZIP_STORED if name.endswith(PACKED) else zipfile.ZIP_DEFLATED
            archive.writestr(entry, files[name], method, compresslevel=9)
    return buffer.getvalue()
