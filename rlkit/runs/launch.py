"""Starting a run, or going on with one: the folder, the checks before anything is allocated."""

from __future__ import annotations

import importlib.util
import shutil
from contextlib import ExitStack
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any

from gymnasium.vector import VectorEnv
from omegaconf import OmegaConf

from rlkit.config import instantiate
from rlkit.config.tuning import NONE
from rlkit.core.checkpoint import Store
from rlkit.core.evaluation import mixed
from rlkit.core.resources import checked_device, keep_freed_memory, torch_device
from rlkit.core.seeding import Seeds
from rlkit.core.types import Environment, UsageError, require_share
from rlkit.rendering.frames import check_picture
from rlkit.rendering.render_wrapper import EachEpisode
from rlkit.rendering.video import encoder
from rlkit.runs import build
from rlkit.runs.finish import finish
from rlkit.runs.folder import claim, default_name, identity, locked, write_folder
from rlkit.runs.loggers.base import Logger, ManyLoggers, RunInfo
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
        return _train(config, Path(config["run_dir"]), resume=True)
    config = _fresh_config(request)
    _check(config)
    directory = claim(config)
    write_folder(directory, config)
    try:
        return _train(config, directory, resume=False)
    except UsageError:
        # Where nothing was trained, the mistake is mended and the same command typed again.
        if not Store(directory / CHECKPOINTS).steps():
            shutil.rmtree(directory)
        raise


def _fresh_config(request: Request) -> dict[str, Any]:
    config: dict[str, Any] = instantiate.plain(request.config)
    config["choices"] = {key: value for key, value in request.choices.items() if not key.startswith("hydra/")}
    config["name"] = config["name"] or default_name(config)
    config["device"] = _device(config)
    del config["resume"]
    return config


def _resumed_config(request: Request) -> dict[str, Any]:
    """Return the frozen configuration with the few keys that may change on resume."""
    run = Run(request.config.resume)
    frozen = OmegaConf.create(run.config)
    for override in request.overrides:
        key = override.lstrip("+~").split("=", 1)[0]
        if key.split(".")[0] not in RESUME_KEYS:
            raise UsageError(
                f"{key} cannot change on resume: the run's config.yaml holds; only "
                f"{', '.join(name for name in RESUME_KEYS if name != 'resume')} can"
            )
        if key == "resume":
            continue
        part = "logger" if key.split(".")[0] == "logger" else key
        OmegaConf.update(frozen, part, instantiate.plain_value(request.config, part), merge=False)
    config: dict[str, Any] = instantiate.plain(frozen)
    config["run_dir"] = str(run.directory)
    config["device"] = _device(config)
    return config


def _device(config: dict[str, Any]) -> str:
    device = checked_device(config["device"])
    if config["network"] is None:
        return "cpu" if device == "auto" else device
    return torch_device(device)


def _check(config: dict[str, Any]) -> None:
    """Refuse what cannot work, before anything is allocated."""
    for least, keys in ((1, POSITIVE), (0, NOT_NEGATIVE)):
        for key in keys:
            value: Any = reduce(getitem, key.split("."), config)
            if value is not None and value < least:
                raise UsageError(f"{key} is {value}; it must be at least {least}")
    require_share("eval.epsilon", config["eval"]["epsilon"])
    if config["stop_at"] is not None and not config["eval"]["every"]:
        raise UsageError(
            f"stop_at={config['stop_at']:g} waits for an evaluation, and eval.every=0 makes none; set eval.every"
        )
    if config["overlap"] and config["replay"] is None:
        raise UsageError(
            "overlap=true learns one step behind, from a replay, which this agent has not; leave overlap=true out"
        )
    require_loggers(config)
    if config["video"] != "none" and importlib.util.find_spec("av") is None:
        raise UsageError("videos need PyAV: pip install av, or set video=none")
    if config["video"] == "every" and config["vectorization"] != "sync":
        raise UsageError(f"video=every needs vectorization=sync, not {config['vectorization']}")
    if config["video"] == "every":
        _check_single(config)
    if config["video"] in ("eval", "every"):
        encoder()
        _check_pictures(config)


def _check_single(config: dict[str, Any]) -> None:
    """Refuse to film training in an environment that is another one, with other checkpoints, when it is filmed."""
    env = build.make_single(config)
    env.close()
    if isinstance(env, VectorEnv):
        raise UsageError(
            "video=every films training, which a native vector environment does not draw; set video=eval, or let "
            "single environments be stepped (env.stepping=python)"
        )


def _check_pictures(config: dict[str, Any]) -> None:
    """Draw one picture, so that a run does not find out at its first evaluation that it cannot."""
    seen: list[Any] = []
    env = build.make_environment(
        {**config, "vectorization": "sync"}, num_envs=1, films=[lambda shot: seen.append(shot.draw())]
    )
    try:
        env.reset([0])
        check_picture(seen[0])
    finally:
        env.close()


class Notes:
    """Lines for the user: those of before the loggers have started are kept until then."""

    def __init__(self, logger: Logger):
        """Pass lines on to `logger`."""
        self._logger = logger
        self._kept: list[str] | None = []

    def tell(self, line: str) -> None:
        """Take a line."""
        if self._kept is None:
            self._logger.message(line)
        else:
            self._kept.append(line)

    def release(self) -> None:
        """Pass on what was kept, and from now on each line at once."""
        kept, self._kept = self._kept, None
        for line in kept or ():
            self._logger.message(line)


def _train(config: dict[str, Any], directory: Path, *, resume: bool) -> Run:
    """Build the parts and train; whatever happens, they are closed and the traceback is in train.log."""
    _configure_torch(config)
    film = EachEpisode(_videos(config)) if config["video"] == "every" else None
    with ExitStack() as stack:
        stack.enter_context(locked(directory))
        stack.enter_context(traceback_kept(directory / "train.log"))
        interrupted = stack.enter_context(interruptions())
        env = build.make_environment(config, num_envs=config["num_envs"], films=[film] if film else [])
        stack.callback(env.close)
        logger = ManyLoggers(instantiate.build(config["logger"], {}, "logger"))
        stack.callback(logger.close)
        notes = Notes(logger)
        session = _session(config, directory, env, logger, notes)
        if film is not None:
            stack.callback(film.discard)
            film.attach(lambda: session.steps, lambda path: logger.video(session.steps, path))
        if resume:
            session.resume()
        if resume and film is not None and not session.opaque:
            # The episode that goes on is not the one that was begun to be written over; only whole ones are filmed.
            film.discard()
        _open(config, directory, logger, session, notes)
        session.run(interrupted)
        run = Run(directory)
        run.stopped = session.stopped
        finish(run, logger, session)
        return run


def _videos(config: dict[str, Any]) -> Path:
    return Path("videos") / str(config["name"])


def _session(config: dict[str, Any], directory: Path, env: Environment, logger: Logger, notes: Notes) -> Training:
    begun = bool(Store(directory / CHECKPOINTS).steps())
    agent = build.make_agent(config, env, Seeds(config["seed"]), notes.tell, logger.epoch, fresh=not begun)
    # What evaluations would refuse is refused now.
    mixed(agent, env.action_space, config["eval"]["epsilon"], sample=config["eval"]["sample"])
    opaque = _is_opaque(env)
    return Training(config, directory, _videos(config), agent=agent, env=env, logger=logger, opaque=opaque)


def _open(config: dict[str, Any], directory: Path, logger: Logger, session: Training, notes: Notes) -> None:
    write_folder(directory, config)
    counts = session.steps, config["total_steps"], session.episodes, config["total_episodes"]
    logger.start(RunInfo(config["name"], directory, identity(directory), config, *counts))
    for line in _greeting(config, directory, session):
        logger.message(line)
    notes.release()


def _is_opaque(env: Environment) -> bool:
    env.reset([0] * env.num_envs)
    return env.get_state() is None


def _configure_torch(config: dict[str, Any]) -> None:
    if config["network"] is None:
        return
    import torch

    keep_freed_memory()
    torch.set_num_threads(config["threads"])
    torch.use_deterministic_algorithms(bool(config["deterministic"]))


def _greeting(config: dict[str, Any], directory: Path, session: Training) -> list[str]:
    step, tuned = session.steps, config["choices"].get("tuned", NONE)
    begun = f"resuming {config['name']} from step {step:,}" if step else f"training {config['name']}"
    lines = [f"{begun} in {directory}"]
    if tuned != NONE:
        lines.append(f"tuned settings for this pair: conf/tuned/{tuned}.yaml (tuned=none switches them off)")
    if session.opaque and config["checkpoint"]["every"]:
        every = config["checkpoint"]["every"]
        lines.append(
            f"the environment's state cannot be read: new episodes start every {every:,} steps, for an exact resume"
        )
        if every > config["total_steps"]:
            lines.append("that is beyond total_steps: this run cannot be resumed; a smaller checkpoint.every lets it")
    if not session.reproduced:
        lines.append(
            "the environment begins differently with the same seed: the run goes on, but not as if never stopped"
        )
    return lines
