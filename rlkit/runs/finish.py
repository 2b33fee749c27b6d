"""The end of a run: its curve, its map, its video, and the lines for the user."""

from __future__ import annotations

from pathlib import Path
from shlex import quote

from gymnasium.vector import VectorEnv

from rlkit.config.own_code import of_program
from rlkit.config.schemas import Video
from rlkit.core.callback import Callback
from rlkit.core.checkpoint import CheckpointError
from rlkit.core.files import not_written
from rlkit.core.types import RunError, UsageError
from rlkit.rendering.render_wrapper import FRAMES, Format
from rlkit.runs import build
from rlkit.runs.callbacks import Callbacks, notify
from rlkit.runs.record_video import record
from rlkit.runs.run import Run
from rlkit.runs.training import Training
from rlkit.vector.manners import close_quietly


def finish(run: Run, callbacks: Callbacks, session: Training, *, plots: bool) -> None:
    """Draw the curve and the map where `plots` are wanted, record the best agent, and say where everything is."""
    drawn = (_curve(run, session), _map(run, session)) if plots else ()
    for path in (*drawn, _video(run, session)):
        # Where an evaluation is still to come, this step's row in W&B is not complete: it is not begun with a plot.
        if path is not None and not session.is_unfinished:
            notify(callbacks, Callback.media, session.steps, path)
    for line in _summary(run, session):
        session.say(line)


def _curve(run: Run, session: Training) -> Path | None:
    from rlkit.runs.plots.curve import draw

    try:
        return draw(run.directory)
    except UsageError:
        return None  # There are no CSV files.
    except (OSError, ValueError, LookupError) as error:
        session.say(_failed("curve", run.directory / "curve.png", error))
        return None


def _video(run: Run, session: Training) -> Path | None:
    if session.interrupted or run.config.video is not Video.final:
        return None
    try:
        return next(record(run, format=Format(max_frames=FRAMES))).video
    except (RunError, UsageError, OSError) as error:
        session.say(_failed("video", run.videos, error))
        return None


def _map(run: Run, session: Training) -> Path | None:
    try:
        return _draw_map(run)
    except CheckpointError:
        return None  # It was interrupted before there was one.
    except (RunError, UsageError, OSError) as error:
        session.say(_failed("map", run.directory / "map.png", error))
        return None


def _failed(what: str, path: Path, error: Exception) -> str:
    return f"no {what}: {not_written(path, error) if isinstance(error, OSError) else error}"


def _draw_map(run: Run) -> Path | None:
    """Write ``map.png`` where the best agent has a table and the environment's states lie on a grid.

    Raises:
        CheckpointError: the run has no checkpoint.
        RunError: the environment's ``layout()`` failed.
    """
    if run.config.network is not None:
        return None
    from rlkit.runs.plots.grid_map import draw, layout_of, legal_in, tables_of

    if tables_of(run.agent) is None:
        return None
    env = build.make_single(run.config.environment.in_process())
    layout = legal = None
    if not isinstance(env, VectorEnv):
        layout, legal = layout_of(env), legal_in(env, action_mask=run.config.action_mask)
    close_quietly(env)
    if layout is None or (tables := tables_of(run.agent, legal)) is None:
        return None
    return draw(run.directory / "map.png", layout, *tables, run.directory.name)


def _summary(run: Run, session: Training) -> list[str]:
    """Return what a user wants to know at the end of a run."""
    lines = [f"{'stopped: ' + run.stopped if run.stopped else 'done'} at step {session.steps:,}"]
    evaluations = session.evaluations
    if evaluations.best_step is not None:
        lines.append(f"best evaluation: return {evaluations.best_score:.4g} at step {evaluations.best_step:,}")
    elif run.config.eval.every:
        lines.append(f"no evaluation yet: the first is due at step {run.config.eval.every:,} (eval.every)")
    lines.append(f"run folder: {run.directory}")
    if (run.directory / "curve.png").exists():
        lines.append(f"curve: {run.directory / 'curve.png'}")
    if (run.directory / "map.png").exists():
        lines.append(f"map: {run.directory / 'map.png'}")
    if session.interrupted:
        if session.resumes_at < session.steps:
            why = "a step did not end" if session.stuck else "the environment's state cannot be read"
            lines.append(f"{why}: it goes on from step {session.resumes_at:,}")
        again = f"rlkit train {quote(f'resume={run.directory}')}"
        by_program = f"rlkit.train(resume={str(run.directory)!r}, env=…, wrappers=[…])"
        lines.append(f"resume: {by_program if of_program(run.values) else again}")
    elif of_program(run.values):
        lines.append(f"score it: rlkit.load({str(run.directory)!r}, env=…, wrappers=[…]).evaluate()")
    else:
        word = quote(f"run={run.directory}")
        lines.append(f"score it: rlkit eval {word}   watch it: rlkit play {word}")
    return lines
