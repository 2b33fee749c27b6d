"""Starting a run, or going on with one: its configuration and folder, and checks before anything is allocated."""

from __future__ import annotations

import importlib.util
import json
import signal
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf

from rlkit.config import instantiate
from rlkit.config.run_config import TrainRunConfig, leaves, requested
from rlkit.config.schemas import Vectorization, Video
from rlkit.config.trust import packages, require_trusted
from rlkit.config.typed import typed
from rlkit.core.ranks import Ranks, rank_place, require_alone
from rlkit.core.resources import checked_device, torch_device
from rlkit.core.types import UsageError
from rlkit.runs.folder import placed, training_config, training_name, training_values
from rlkit.runs.request import Request, require_loggers, with_objects

if TYPE_CHECKING:
    from rlkit.runs.callbacks import Callbacks
    from rlkit.runs.run import Run

COMMANDS = ("resume", "resume_sweep", "empty_replay", "trust")
"""Keys of one command, which a run does not keep."""

RESUME_KEYS = (
    *(*COMMANDS, "total_steps", "total_episodes", "inner_loop", "logger", "video", "eval", "device", "output"),
)


def start(request: Request) -> Run:
    """Train as `request` asks, in a new run folder or, with ``resume=``, in one that is there.

    Raises:
        UsageError: something that the run needs is missing, or does not fit.
        RunError: something failed on the way; what was checkpointed before stays usable.
    """
    if request.config.resume_sweep is not None:
        sweep = request.config.resume_sweep
        raise UsageError(f"a sweep goes on by a command line: rlkit train -m resume_sweep={sweep}")
    if request.config.resume is not None:
        config = _resumed_config(request)
        _check(config)
        return _begin(config, request, lambda known: known)
    asked = requested(TrainRunConfig, request.config, request.choices)
    asked = with_objects(replace(asked, device=_device(asked), ranks=_processes()), request.objects)
    _check(asked)
    if request.config.empty_replay:
        raise UsageError("empty_replay=true goes on with a run: resume= is missing")
    return _begin(asked, request, _placed)


def _begin(config: TrainRunConfig, request: Request, place: Callable[[TrainRunConfig], TrainRunConfig]) -> Run:
    """Train in the folder that `place` claims; where torchrun has started several processes, with the others."""
    if config.ranks == 1:
        return _train(place(config), request)
    from rlkit.runs.ranked.joining import joined, placed_once

    with joined(config, request.overrides) as ranks:
        return _train(placed_once(config, place, ranks), request, ranks)


def _processes() -> int:
    place = rank_place()
    return 1 if place is None else place.size


def _train(config: TrainRunConfig, request: Request, ranks: Ranks | None = None) -> Run:
    # What trains is not loaded before it is known that there is something to train.
    from rlkit.runs.session import train

    again = {_key(override).partition(".")[0] for override in request.overrides}
    resume = request.config.resume is not None
    extended = not again.isdisjoint(("total_steps", "total_episodes"))
    if ranks is not None and ranks.rank:
        from rlkit.runs.ranked.following import follow

        return follow(config, ranks, resume=resume, extended=extended)
    stored = [key for key in ("logger", "callback") if resume and key not in again]
    agree_to_places({key: getattr(config, key) for key in ("logger", "callback") if key not in stored})
    return train(config, request.callbacks, resume=resume, extended=extended, stored=stored, ranks=ranks)


def agree_to_places(listening: Any) -> None:
    """Keep where what the user has typed sends to; nothing is loaded for what sends nowhere."""
    if "WandbLogger" in str(listening):
        from rlkit.runs.loggers import wandb_place

        wandb_place.agree_to_places(listening)


def in_group(config: TrainRunConfig, group: str, tags: Sequence[str]) -> TrainRunConfig:
    """Return the configuration of a run of a sweep or a search, whose W&B loggers have its group and tags.

    Args:
        config: the run's.
        group: the name of the sweep or search.
        tags: what its runs do not share.
    """
    if "WandbLogger" not in str(config.logger):
        return config
    from rlkit.runs.loggers import wandb_place

    return replace(config, logger=wandb_place.grouped(config.logger, group, tags))


def start_or_resume(
    config: TrainRunConfig,
    callbacks: Callbacks = MappingProxyType({}),
    *,
    stored: Sequence[str],
    extended: bool = False,
    plots: bool = True,
) -> Run:
    """Train a run that has its folder: from the beginning, or from its newest checkpoint where it has begun.

    Args:
        config: the run's.
        callbacks: listen to it, beside those of its configuration.
        stored: which of ``logger`` and ``callback`` come from a file, and were not typed in this command.
        extended: it goes on where it had stopped.
        plots: draw its curve and map in the end.

    Raises:
        UsageError: something that the run needs is missing, or does not fit.
        RunError: something failed on the way; what was checkpointed before stays usable.
    """
    require_alone()
    config = replace(config, device=_device(config))
    _check(config)
    from rlkit.runs.session import train

    begun = (Path(config.run_dir) / "config.yaml").exists()
    return train(config, callbacks, resume=begun, extended=extended and begun, stored=stored, plots=plots)


def _placed(config: TrainRunConfig) -> TrainRunConfig:
    from rlkit.config.compose import swept

    name, directory = placed(config.name, config.run_dir, training_name(config, swept()))
    return replace(config, name=name, run_dir=str(directory))


def _resumed_config(request: Request) -> TrainRunConfig:
    """Return the frozen configuration with the few keys that may change on resume."""
    directory = Path(request.config.resume)
    substituted = with_objects(training_config(directory), request.objects)
    values = _with_followers(training_values(substituted), request)
    typed_again = {_key(override).partition(".")[0] for override in request.overrides} & {"logger"}
    stored = {key: value for key, value in values.items() if key not in typed_again}
    stored = {**stored, "env": substituted.env, "preprocess": substituted.preprocess}
    from rlkit.runs import origin

    folders = origin.source_folders(directory)
    require_trusted(stored, directory / "config.yaml", packages(request.config.trust), folders=folders)
    frozen = OmegaConf.create(values)
    for override in request.overrides:
        key = _key(override)
        if key.split(".")[0] not in RESUME_KEYS:
            raise UsageError(
                f"{key} cannot change on resume: the run's config.yaml holds; only "
                f"{', '.join(name for name in RESUME_KEYS if name not in COMMANDS)} can"
            )
        if key in COMMANDS:
            continue
        part = "logger" if key.split(".")[0] == "logger" else key
        OmegaConf.update(frozen, part, instantiate.plain_value(request.config, part), merge=False)
    config = typed(TrainRunConfig, instantiate.plain(frozen))
    config = replace(config, env=substituted.env, preprocess=substituted.preprocess)
    return replace(config, run_dir=str(directory), device=_device(config), empty_replay=request.config.empty_replay)


def _with_followers(values: dict[str, Any], request: Request) -> dict[str, Any]:
    """Return stored values in which those that are ``total_steps`` are the new one, where it is typed again."""
    if not any(_key(override) == "total_steps" for override in request.overrides):
        return values
    total = request.config.total_steps
    followed = {key for key, itself in values["follows"].items() if itself is True}
    moved = OmegaConf.create(values)
    for key, value in leaves(values, ""):
        if key in followed and type(value) is int and value == values["total_steps"]:
            OmegaConf.update(moved, key, total)
    return instantiate.plain(moved)  # type: ignore[no-any-return]


def _key(override: str) -> str:
    return override.lstrip("+~").split("=", 1)[0]


def _device(config: TrainRunConfig) -> str:
    device = checked_device(config.device)
    if config.network is None:
        return "cpu" if device == "auto" else device
    return torch_device(device)


def _check(config: TrainRunConfig) -> None:
    """Refuse what cannot work, before anything is allocated."""
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
    if config.ranks != 1 or _processes() != 1:
        from rlkit.runs.ranked.joining import require_ranks

        require_ranks(config, _processes())
    if config.actors != 1 or config.vectorization is Vectorization.ray:
        from rlkit.runs.remote.actors import require_actors

        require_actors(config)


def _check_video(config: TrainRunConfig) -> None:
    """Refuse videos that cannot be made."""
    video, vectorization = config.video, config.vectorization
    if video is not Video.none and importlib.util.find_spec("av") is None:
        raise UsageError("videos need PyAV: pip install av, or set video=none")
    if video is Video.every and vectorization is not Vectorization.sync:
        raise UsageError(f"video=every needs vectorization=sync, not {vectorization.name}")
    if video in (Video.eval, Video.every):
        from rlkit.runs.check_video import check_video

        check_video(config)


def ended(run: Run) -> None:
    """Print the outcome of a run as one line of JSON where that is asked for.

    Raises:
        SystemExit: a signal stopped the run; the status is 128 and its number.
    """
    if run.values["output"] == "json":
        print(json.dumps(result(run)), flush=True)
    if run.stopped in signal.Signals.__members__:
        raise SystemExit(128 + signal.Signals[str(run.stopped)])


def objective(run: Run) -> float | None:
    """Return what sweepers maximize: the mean return of a run's last evaluation; None without evaluations."""
    means = run.evaluation_means()
    return means[-1][1] if means else None


def result(run: Run) -> dict[str, Any]:
    """Return what ``output=json`` says of a run."""
    scores = run.evaluation_means()
    return {
        "run": str(run.directory),
        "stopped": run.stopped,
        "evaluations": [{"step": step, "return/raw": score} for step, score in scores],
    }
