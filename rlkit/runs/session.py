"""One training run from its configuration to its end: the parts are built, and closed whatever happens."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlkit.config import instantiate
from rlkit.config.own_code import of_program
from rlkit.config.run_config import TrainRunConfig
from rlkit.config.schemas import Vectorization, Video
from rlkit.config.tuning import NONE, named
from rlkit.config.typed import plain_data
from rlkit.core.callback import Callback, RunInfo
from rlkit.core.checkpoint import Store
from rlkit.core.evaluation import require_room, with_epsilon
from rlkit.core.ranks import Ranks
from rlkit.core.seeding import Seeds
from rlkit.core.types import Environment, EnvironmentFaultError, Metrics, RunError, UsageError
from rlkit.runs import build
from rlkit.runs.callbacks import Callbacks, ending, joined, notify
from rlkit.runs.folder import CHECKPOINTS, locked, training_values, write_folder
from rlkit.runs.origin import FILE, changes, identity, is_whole
from rlkit.runs.request import traceback_kept
from rlkit.runs.signals import interrupted_at_once, interruptions
from rlkit.runs.training import Training
from rlkit.runs.videos import claim_videos, videos_of
from rlkit.vector.manners import is_opaque

if TYPE_CHECKING:
    from rlkit.rendering.render_wrapper import EachEpisode
    from rlkit.runs.run import Run


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


def train(
    config: TrainRunConfig,
    added: Callbacks,
    *,
    resume: bool,
    extended: bool,
    stored: Sequence[str] = (),
    plots: bool = True,
    ranks: Ranks | None = None,
) -> Run:
    """Build the parts of a run and train; whatever happens, they are closed and the traceback is in train.log.

    Args:
        config: the run's.
        added: callbacks beside those of the configuration.
        resume: go on from its newest checkpoint.
        extended: its limit was raised, so that it goes on where it had stopped.
        stored: which of ``logger`` and ``callback`` come from its folder, and were not typed.
        plots: draw its curve and map in the end.
        ranks: the processes that train together, of which this one is the first; None: it is alone.

    Raises:
        UsageError: something that the run needs is missing, or does not fit.
        RunError: something failed on the way; what was checkpointed before stays usable.
    """
    directory = Path(config.run_dir)
    session: Training | None = None
    with ExitStack() as stack:
        if not resume:
            stack.enter_context(removed_unless(lambda: _has_learned(session), directory))
            write_folder(directory, training_values(config))
        stack.enter_context(locked(directory))
        stack.enter_context(traceback_kept(directory / "train.log"))
        stack.enter_context(_pointing_to_check(config))
        build.configure_torch(config)
        interrupted = stack.enter_context(interruptions())
        film = _film(config)
        env = _environment(config, film)
        stack.callback(env.close)
        callbacks, lines = _callbacks(config, added, stored)
        stopped: list[str | None] = [None]
        stack.enter_context(ending(callbacks, stopped))
        notes = Notes(callbacks)
        for line in lines:
            notes.add(line)
        with named(config.choices.get("tuned", NONE)):
            _require_evaluations(config)
            session = _session(config, env, callbacks, notes, ranks)
        if resume:
            session.resume(extended=extended, empty_replay=config.empty_replay)
            for line in _other_versions(directory):
                notes.add(line)
        if film is not None:
            stack.callback(film.discard)
            _film_from_here(film, session, callbacks, resume=resume)
        for line in _longer(config) if resume and extended else ():
            notes.add(line)
        _open(config, callbacks, session, notes)
        session.run(interrupted)
        stopped[0] = session.stopped
        with nullcontext() if session.interrupted else interrupted_at_once():
            run = _finished(config, session, callbacks, plots=plots)
            session.wait()
            return run


def _has_learned(session: Training | None) -> bool:
    """Return whether a session is beyond its first step, in which mistakes in an agent's settings show."""
    return session is not None and session.steps > session.num_envs


@contextmanager
def _pointing_to_check(config: TrainRunConfig) -> Iterator[None]:
    """Name the command that examines an environment whose results are not what Gymnasium and its spaces say."""
    try:
        yield
    except (EnvironmentFaultError, RunError) as error:
        if not isinstance(error, EnvironmentFaultError) and not isinstance(error.__cause__, EnvironmentFaultError):
            raise
        from rlkit.runs.check_command import what_examines

        raise type(error)(f"{error}; {what_examines(config)} examines all of it") from error


@contextmanager
def removed_unless(begun: Callable[[], bool], directory: Path) -> Iterator[None]:
    """Delete a new run's folder if it fails before it has `begun`, so that the fixed command can have its name."""
    try:
        yield
    except Exception:
        if not begun():
            shutil.rmtree(directory, ignore_errors=True)
        raise


def _require_evaluations(config: TrainRunConfig) -> None:
    """Build what evaluations play in, so that a mistake in it is found now and not after the first steps."""
    if config.eval.every:
        require_room(config.eval.episodes, "eval.episodes")
        try:
            build.make_environment(config.environment.for_evaluation(), num_envs=1).close()
        except UsageError as error:
            help = "eval.every=0 trains without evaluations, if a process can hold only one"
            raise UsageError(f"for evaluations, a second environment cannot be made: {error}; {help}") from error


def _other_versions(directory: Path) -> list[str]:
    if not is_whole(directory):
        return [f"{directory / FILE} is missing or damaged: a new one is written, and the run has another id"]
    changed = changes(directory)
    if not changed:
        return []
    return [f"this run began with {'; '.join(changed)}: it goes on, but perhaps not bit for bit as it would have"]


def _longer(config: TrainRunConfig) -> list[str]:
    """Return what a user may want to know about schedules of a run whose limit has changed."""
    lines = []
    if _follows_total_steps(config.agent) or _asks_for_total_steps(config) or True in config.follows.values():
        lines.append(
            f"schedules that end with the run, such as an annealed rate, end at step {config.total_steps:,} now"
        )
    computed = [key for key, itself in config.follows.items() if itself is not True]
    if computed:
        lines.append(f"{', '.join(computed)}: computed from the total_steps that the run began with, and not again")
    return lines


def _asks_for_total_steps(config: TrainRunConfig) -> bool:
    """Return whether a schedule of somebody's own is given ``total_steps``; agents are, to anneal their rates."""
    asked = {node: names for node, names in config.from_run.items() if isinstance(names, list) and node != "agent"}
    nodes = [node for node, names in asked.items() if "total_steps" in names]
    return any(not _is_over_run(_at(plain_data(config), node)) for node in nodes)


def _at(values: Any, path: str) -> Any:
    for key in path.split("."):
        if isinstance(values, list) and key.isdecimal():
            values = dict(enumerate(values)).get(int(key))
        else:
            values = values.get(key) if isinstance(values, dict) else None
    return values


def _is_over_run(node: Any) -> bool:
    return isinstance(node, dict) and str(node.get("_target_", "")).endswith(".OverRun")


def _finished(config: TrainRunConfig, session: Training, callbacks: Callbacks, *, plots: bool) -> Run:
    # What looks at a trained agent is not loaded before there is one.
    from rlkit.runs.finish import finish
    from rlkit.runs.run import Run

    run = Run(config.run_dir, trained=config)
    run.stopped = session.stopped
    finish(run, callbacks, session, plots=plots)
    return run


def _environment(config: TrainRunConfig, film: EachEpisode | None) -> Environment:
    """Return the environments of a run, in this process or wherever they are."""
    if config.vectorization is Vectorization.ray:
        from rlkit.runs.remote.actors import remote_environment

        return remote_environment(config)
    return build.make_environment(config.environment, num_envs=config.num_envs, frame_callbacks=[film] if film else [])


def _film(config: TrainRunConfig) -> EachEpisode | None:
    """Return what records each episode of training, where that is asked for."""
    if config.video is not Video.every:
        return None
    from rlkit.rendering.render_wrapper import EachEpisode

    return EachEpisode(_videos(config))


def _callbacks(config: TrainRunConfig, added: Callbacks, stored: Sequence[str]) -> tuple[Callbacks, list[str]]:
    """Return all that listen to the run, loggers, then the other callbacks, then those of a program; and lines."""
    nodes, lines = {"logger": config.logger, "callback": config.callback}, []
    for key in stored:
        from rlkit.runs.loggers.wandb_place import with_known_places

        nodes[key], said = with_known_places(nodes[key], Path(config.run_dir) / "config.yaml")
        lines += said
    return joined(*(instantiate.build(node, {}, key) for key, node in nodes.items()), added), lines


def _film_from_here(film: EachEpisode, session: Training, callbacks: Callbacks, *, resume: bool) -> None:
    """Let the sink write the episodes of training, each announced when its video is closed."""

    def announce(path: Path) -> None:
        notify(callbacks, Callback.media, session.steps, path)

    film.attach(lambda: session.steps, announce, session.say)
    if resume and not session.opaque:
        # The episode that goes on is not the one that was begun to be written over; only whole ones are filmed.
        film.discard()


def _videos(config: TrainRunConfig) -> Path:
    """Return the folder of the run's videos, marked as its own if some are made while it trains."""
    find = claim_videos if config.video in (Video.eval, Video.every) else videos_of
    return find(Path("videos"), config.name, identity(Path(config.run_dir)))


def _session(
    config: TrainRunConfig, env: Environment, callbacks: Callbacks, notes: Notes, ranks: Ranks | None
) -> Training:
    directory = Path(config.run_dir)
    begun = bool(Store(directory / CHECKPOINTS).steps())

    def on_epoch(epoch: int, epochs: int, metrics: Metrics) -> None:
        notify(callbacks, Callback.epoch, epoch, epochs, metrics)

    agent = build.make_agent(config.agent_config, env, Seeds(config.seed), notes.add, on_epoch, fresh=not begun)
    # What evaluations would refuse is refused now.
    with_epsilon(agent, env.action_space, config.eval.epsilon, sample=config.eval.sample)
    opaque = is_opaque(env)
    if opaque and config.checkpoint.every:
        notes.add(f"why it cannot be read: {env.why_opaque()}")
    kind: Callable[..., Training] = Training
    if ranks is not None:
        from rlkit.runs.ranked.training import RankedTraining

        kind = RankedTraining
    parts: Any = {"agent": agent, "env": env, "callbacks": callbacks, "opaque": opaque}
    return kind(config, directory, _videos(config), **parts, ranks=ranks)


def _open(config: TrainRunConfig, callbacks: Callbacks, session: Training, notes: Notes) -> None:
    directory, values = Path(config.run_dir), training_values(config)
    write_folder(directory, values)
    counts = session.steps, config.total_steps, session.episodes, config.total_episodes
    info = RunInfo(config.name, directory, identity(directory), values, *counts, say=session.say)
    notify(callbacks, Callback.start, info)
    for line in _greeting(config, session):
        session.say(line)
    notes.release()


def _follows_total_steps(node: Any) -> bool:
    """Return whether a schedule in an agent's configuration ends at ``total_steps``."""
    if isinstance(node, list):
        return any(map(_follows_total_steps, node))
    if not isinstance(node, dict):
        return False
    over_run = _is_over_run(node) and node.get("steps") is None
    return over_run or node.get("anneal") is True or any(map(_follows_total_steps, node.values()))


def _unfinished(node: Any, path: str, total: int | None) -> Iterator[str]:
    """Yield a line for each schedule of a fixed number of steps that has not come to its end when the run does."""
    for key, inner in node.items() if isinstance(node, dict) and total is not None else ():
        if node.get(f"{key}_counts") != "episodes":
            yield from _unfinished(inner, f"{path}.{key}", total)
    if isinstance(node, dict) and str(node.get("_target_", "")).endswith((".Linear", ".DelayedLinear")):
        steps = node.get("steps", 0) + node.get("delay", 0)
        if total is not None and isinstance(node.get("start"), int | float) and steps > total:
            yield (
                f"{path} goes from {node['start']:g} to {node['end']:g} in {steps:,} steps, and total_steps is "
                f"{total:,}: {path}.steps=… ends it sooner"
            )


def _cut_short(config: TrainRunConfig) -> list[str]:
    """Return a warning where no episode of the longest kind ends between two checkpoints."""
    every, limit = config.checkpoint.every, build.episode_limit(config.environment)
    if limit is None or limit * config.num_envs <= every:
        return []
    needed = limit * config.num_envs
    return [
        f"an episode may last {limit:,} steps, which in {config.num_envs} environments are {needed:,}: those that do "
        f"not end by themselves are truncated and in no average; checkpoint.every={2 * needed} lets them end"
    ]


def _parts(config: TrainRunConfig) -> list[str]:
    """Return which wrappers there are, and which network where it is none of rlkit's."""
    wrappers = ", ".join(build.title(node["_target_"]) for node in config.preprocess)
    lines = [f"wrappers, innermost first: {wrappers}"] if wrappers else []
    network = config.network["_target_"] if config.network is not None else "rlkit.networks.auto"
    return lines if str(network).startswith("rlkit.") else [f"network: {build.title(network)}", *lines]


def _undrawn(config: TrainRunConfig) -> list[str]:
    """Return that there will be no video, where that is known."""
    if config.video is not Video.final:
        return []
    from rlkit.runs.check_video import undrawn

    name = undrawn(config)
    return [] if name is None else [f"no video will be made: {name} has no render() (video=none wants none)"]


def _greeting(config: TrainRunConfig, session: Training) -> list[str]:
    step, tuned, every = session.steps, config.choices.get("tuned", NONE), config.checkpoint.every
    begun = f"resuming {config.name} from step {step:,}" if step else f"training {config.name}"
    lines = [f"{begun} in {config.run_dir}"]
    if objects := of_program(training_values(config)):
        lines.append(
            f"{', '.join(objects)} of this program, which no command finds: the run goes on, and is evaluated, in "
            "Python, by rlkit.train(resume=…, …) and rlkit.load(…) with env= and wrappers= as now"
        )
    if tuned != NONE:
        lines.append(f"tuned settings for this pair: conf/tuned/{tuned}.yaml (tuned=none switches them off)")
    lines += _parts(config)
    lines += _undrawn(config)
    lines += _unfinished(config.agent, "agent", config.total_steps)
    if session.opaque and every:
        lines.append(
            f"the environment's state cannot be read: new episodes start every {every:,} steps, for an exact resume"
        )
        lines += _cut_short(config)
        if every > config.total_steps:
            lines.append("that is beyond total_steps: this run cannot be resumed; a smaller checkpoint.every lets it")
    if not session.reproduced:
        lines.append(
            "the environment begins differently with the same seed: the run goes on, but not as if uninterrupted"
        )
    return lines
