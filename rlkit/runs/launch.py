"""Starting a run, or going on with one: the folder, the checks before anything is allocated."""

from __future__ import annotations

import importlib.util
import shutil
from contextlib import ExitStack
from dataclasses import replace
from operator import attrgetter
from pathlib import Path
from typing import Any

from gymnasium.vector import VectorEnv
from omegaconf import OmegaConf

from rlkit.config import instantiate
from rlkit.config.run_config import TrainRunConfig, requested
from rlkit.config.schemas import Vectorization, Video
from rlkit.config.tuning import NONE
from rlkit.config.typed import plain_data, typed
from rlkit.core.callback import Callback, RunInfo
from rlkit.core.checkpoint import Store
from rlkit.core.evaluation import with_epsilon
from rlkit.core.resources import checked_device, keep_freed_memory, torch_device
from rlkit.core.seeding import Seeds
from rlkit.core.types import Environment, Metrics, UsageError, require_share
from rlkit.rendering.frames import check_picture
from rlkit.rendering.render_wrapper import EachEpisode
from rlkit.rendering.video import encoder
from rlkit.runs import build
from rlkit.runs.callbacks import Callbacks, ending, joined, notify
from rlkit.runs.finish import finish
from rlkit.runs.folder import identity, locked, placed, training_name, write_folder
from rlkit.runs.request import Request, require_loggers, traceback_kept
from rlkit.runs.run import Run
from rlkit.runs.signals import interruptions
from rlkit.runs.training import CHECKPOINTS, Training

RESUME_KEYS = ("resume", "total_steps", "total_episodes", "inner_loop", "logger", "video", "eval", "device", "output")
POSITIVE = (
    "total_steps",
    "total_episodes",
    "num_envs",
    "threads",
    "eval.episodes",
    "eval.max_steps",
    "eval.num_envs",
    "checkpoint.keep",
)
NOT_NEGATIVE = ("seed", "eval.every", "checkpoint.every", "log.every")


def start(request: Request) -> Run:
    """Train as `request` asks, in a new run folder or, with ``resume=``, in one that is there.

    Raises:
        UsageError: something that the run needs is missing, or does not fit.
        RunError: something failed on the way; what was checkpointed before stays usable.
    """
    if request.config.resume is not None:
        config = _resumed_config(request)
        _check(config)
        return _train(config, request, resume=True)
    asked = requested(TrainRunConfig, request.config, request.choices)
    asked = replace(asked, device=_device(asked))
    _check(asked)
    config = _placed(asked)
    directory = Path(config.run_dir)
    write_folder(directory, _values(config))
    try:
        return _train(config, request, resume=False)
    except UsageError:
        # Where nothing was trained, the mistake is fixed and the same command typed again.
        if not Store(directory / CHECKPOINTS).steps():
            shutil.rmtree(directory)
        raise


def _placed(config: TrainRunConfig) -> TrainRunConfig:
    name, directory = placed(config.name, config.run_dir, training_name(config))
    return replace(config, name=name, run_dir=str(directory))


def _values(config: TrainRunConfig) -> dict[str, Any]:
    """Return what config.yaml holds."""
    values = plain_data(config)
    del values["resume"]
    return values


def _resumed_config(request: Request) -> TrainRunConfig:
    """Return the frozen configuration with the few keys that may change on resume."""
    run = Run(request.config.resume)
    frozen = OmegaConf.create(_values(run.config))
    for override in request.overrides:
        key = _key(override)
        if key.split(".")[0] not in RESUME_KEYS:
            raise UsageError(
                f"{key} cannot change on resume: the run's config.yaml holds; only "
                f"{', '.join(name for name in RESUME_KEYS if name != 'resume')} can"
            )
        if key == "resume":
            continue
        part = "logger" if key.split(".")[0] == "logger" else key
        OmegaConf.update(frozen, part, instantiate.plain_value(request.config, part), merge=False)
    config = typed(TrainRunConfig, instantiate.plain(frozen))
    return replace(config, run_dir=str(run.directory), device=_device(config))


def _key(override: str) -> str:
    return override.lstrip("+~").split("=", 1)[0]


def _extended(request: Request) -> bool:
    """Return whether a run that is resumed was given another limit."""
    return any(_key(override) in ("total_steps", "total_episodes") for override in request.overrides)


def _device(config: TrainRunConfig) -> str:
    device = checked_device(config.device)
    if config.network is None:
        return "cpu" if device == "auto" else device
    return torch_device(device)


def _check(config: TrainRunConfig) -> None:
    """Refuse what cannot work, before anything is allocated."""
    for least, keys in ((1, POSITIVE), (0, NOT_NEGATIVE)):
        for key in keys:
            value = attrgetter(key)(config)
            if value is not None and value < least:
                raise UsageError(f"{key} is {value}; it must be at least {least}")
    require_share("eval.epsilon", config.eval.epsilon)
    if config.stop_at is not None and not config.eval.every:
        raise UsageError(
            f"stop_at={config.stop_at:g} waits for an evaluation, and eval.every=0 makes none; set eval.every"
        )
    if config.overlap and config.replay is None:
        raise UsageError(
            "overlap=true learns one step behind, from a replay, which this agent does not have; leave it out"
        )
    require_loggers(config.logger)
    _check_video(config)


def _check_video(config: TrainRunConfig) -> None:
    """Refuse videos that cannot be made."""
    video, vectorization = config.video, config.vectorization
    if video is not Video.none and importlib.util.find_spec("av") is None:
        raise UsageError("videos need PyAV: pip install av, or set video=none")
    if video is Video.every and vectorization is not Vectorization.sync:
        raise UsageError(f"video=every needs vectorization=sync, not {vectorization.name}")
    if video is Video.every:
        _check_single(config)
    if video in (Video.eval, Video.every):
        encoder()
        _check_frames(config)


def _check_single(config: TrainRunConfig) -> None:
    """Refuse to film training in an environment that is another one, with other checkpoints, when it is filmed."""
    env = build.make_single(config.environment)
    env.close()
    if isinstance(env, VectorEnv):
        raise UsageError(
            "video=every films training, which a native vector environment does not draw; set video=eval, or let "
            "single environments be stepped (env.stepping=python)"
        )


def _check_frames(config: TrainRunConfig) -> None:
    """Draw one frame, so that a run does not fail at its first evaluation because it cannot."""
    seen: list[Any] = []
    films = [lambda shot: seen.append(shot.draw())]
    env = build.make_environment(config.environment.in_process(), num_envs=1, films=films)
    try:
        env.reset([0])
        check_picture(seen[0])
    finally:
        env.close()


class Notes:
    """Lines for the user: those of before the callbacks have started are kept until then."""

    def __init__(self, callbacks: Callbacks):
        """Pass lines on to `callbacks`."""
        self._callbacks = callbacks
        self._kept: list[str] | None = []

    def add(self, line: str) -> None:
        """Show a line, or keep it."""
        if self._kept is None:
            notify(self._callbacks, Callback.message, line)
        else:
            self._kept.append(line)

    def release(self) -> None:
        """Show what was kept, and from now on each line at once."""
        kept, self._kept = self._kept, None
        for line in kept or ():
            notify(self._callbacks, Callback.message, line)


def _train(config: TrainRunConfig, request: Request, *, resume: bool) -> Run:
    """Build the parts and train; whatever happens, they are closed and the traceback is in train.log."""
    directory = Path(config.run_dir)
    _configure_torch(config)
    with ExitStack() as stack:
        stack.enter_context(locked(directory))
        stack.enter_context(traceback_kept(directory / "train.log"))
        interrupted = stack.enter_context(interruptions())
        film = EachEpisode(_videos(config)) if config.video is Video.every else None
        env = build.make_environment(config.environment, num_envs=config.num_envs, films=[film] if film else [])
        stack.callback(env.close)
        callbacks = _callbacks(config, request)
        stopped: list[str | None] = [None]
        stack.enter_context(ending(callbacks, stopped))
        notes = Notes(callbacks)
        session = _session(config, env, callbacks, notes)
        if resume:
            session.resume(extended=_extended(request))
        if film is not None:
            stack.callback(film.discard)
            _film_from_here(film, session, callbacks, resume=resume)
        _open(config, callbacks, session, notes)
        session.run(interrupted)
        stopped[0] = session.stopped
        run = Run(directory)
        run.stopped = session.stopped
        finish(run, callbacks, session)
        return run


def _callbacks(config: TrainRunConfig, request: Request) -> Callbacks:
    """Return all that listen to the run: loggers, then the other callbacks, then those of a program."""
    built = [
        instantiate.build(node, {}, key) for key, node in (("logger", config.logger), ("callback", config.callback))
    ]
    return joined(*built, request.callbacks)


def _film_from_here(film: EachEpisode, session: Training, callbacks: Callbacks, *, resume: bool) -> None:
    """Let the sink write the episodes of training, each announced when its video is closed."""
    film.attach(lambda: session.steps, lambda path: notify(callbacks, Callback.media, session.steps, path))
    if resume and not session.opaque:
        # The episode that goes on is not the one that was begun to be written over; only whole ones are filmed.
        film.discard()


def _videos(config: TrainRunConfig) -> Path:
    return Path("videos") / config.name


def _session(config: TrainRunConfig, env: Environment, callbacks: Callbacks, notes: Notes) -> Training:
    directory = Path(config.run_dir)
    begun = bool(Store(directory / CHECKPOINTS).steps())

    def on_epoch(epoch: int, epochs: int, metrics: Metrics) -> None:
        notify(callbacks, Callback.epoch, epoch, epochs, metrics)

    agent = build.make_agent(config.agent_config, env, Seeds(config.seed), notes.add, on_epoch, fresh=not begun)
    # What evaluations would refuse is refused now.
    with_epsilon(agent, env.action_space, config.eval.epsilon, sample=config.eval.sample)
    return Training(
        config, directory, _videos(config), agent=agent, env=env, callbacks=callbacks, opaque=_is_opaque(env)
    )


def _open(config: TrainRunConfig, callbacks: Callbacks, session: Training, notes: Notes) -> None:
    directory, values = Path(config.run_dir), _values(config)
    write_folder(directory, values)
    counts = session.steps, config.total_steps, session.episodes, config.total_episodes
    info = RunInfo(config.name, directory, identity(directory), values, *counts, say=session.say)
    notify(callbacks, Callback.start, info)
    for line in _greeting(config, session):
        session.say(line)
    notes.release()


def _is_opaque(env: Environment) -> bool:
    env.reset([0] * env.num_envs)
    return env.get_state() is None


def _configure_torch(config: TrainRunConfig) -> None:
    if config.network is None:
        return
    import torch

    keep_freed_memory()
    torch.set_num_threads(config.threads)
    torch.use_deterministic_algorithms(config.deterministic)


def _greeting(config: TrainRunConfig, session: Training) -> list[str]:
    step, tuned, every = session.steps, config.choices.get("tuned", NONE), config.checkpoint.every
    begun = f"resuming {config.name} from step {step:,}" if step else f"training {config.name}"
    lines = [f"{begun} in {config.run_dir}"]
    if tuned != NONE:
        lines.append(f"tuned settings for this pair: conf/tuned/{tuned}.yaml (tuned=none switches them off)")
    if session.opaque and every:
        lines.append(
            f"the environment's state cannot be read: new episodes start every {every:,} steps, for an exact resume"
        )
        if every > config.total_steps:
            lines.append("that is beyond total_steps: this run cannot be resumed; a smaller checkpoint.every lets it")
    if not session.reproduced:
        lines.append(
            "the environment begins differently with the same seed: the run goes on, but not as if never stopped"
        )
    return lines
