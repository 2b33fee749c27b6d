"""Episodes of a trained agent as videos, alone or side by side, and as logs of actions to make videos of later."""

from __future__ import annotations

from collections.abc import Iterator
from operator import methodcaller
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from rlkit.config.own_code import in_text
from rlkit.config.run_config import EnvironmentConfig, TrainRunConfig
from rlkit.config.trust import packages, require_trusted
from rlkit.core import tree
from rlkit.core.evaluation import Watch, evaluate, require_room, unwatched, with_epsilon
from rlkit.core.seeding import Seeds
from rlkit.core.types import Actor, Memory, RunError, TimeStep, Tree, require_least
from rlkit.rendering.render_wrapper import AS_DRAWN, Format, first_episode, side_by_side
from rlkit.runs import build
from rlkit.runs.action_log import ENVIRONMENT, LIMIT, SUFFIX, ActionLog, ReplayActor, playing
from rlkit.runs.origin import versions


class AgentSource(Protocol):
    """A trained agent in its environment, such as an `rlkit.runs.run.Run`."""

    @property
    def config(self) -> TrainRunConfig:
        """The configuration of its run."""

    def claim_videos(self) -> Path:
        """Return the folder of its videos, marked as its own."""

    def chosen(self, checkpoint: str | int) -> str:
        """Return which checkpoint is taken where `checkpoint` is asked for."""

    def load_agent(self, checkpoint: str | int, device: str | None) -> Actor:
        """Return the agent of a checkpoint."""


class Recording(NamedTuple):
    """What was written of one or several episodes, and how they went."""

    video: Path
    logs: list[Path]
    scores: list[float]  # raw returns
    lengths: list[int]

    def __str__(self) -> str:
        """Return the video's path, and how the episodes went."""
        returns, steps = (", ".join(f"{value:.6g}" for value in values) for values in (self.scores, self.lengths))
        return f"{self.video}  return {returns} in {steps} steps"


def record(
    run: AgentSource,
    episodes: int = 1,
    *,
    checkpoint: str | int = "best",
    seed: int = 0,
    epsilon: float | None = None,
    sample: bool | None = None,
    max_steps: int | None = None,
    out: Path | str | None = None,
    grid: bool = False,
    actions: bool = False,
    format: Format = AS_DRAWN,
    device: str | None = None,
    watch: Watch = unwatched,
) -> Iterator[Recording]:
    """Record episodes, each when it is asked for; the arguments are those of `Run.play` and of `evaluate`."""
    require_least(1, "", episodes=episodes, max_steps=max_steps)
    require_room(episodes)
    settings = run.config.eval
    agent = run.load_agent(checkpoint, device)
    stem = (run.claim_videos() if out is None else Path(out)) / f"{run.chosen(checkpoint)}-seed{seed}"
    seeds = Seeds(seed).integers("play", size=episodes)
    groups = {f"{stem}-grid{episodes}": seeds} if grid else {f"{stem}-{i}": [one] for i, one in enumerate(seeds)}
    for number, (name, group) in enumerate(groups.items()):
        yield _record_group(
            run.config.environment,
            agent,
            name,
            group,
            rng=Seeds(seed).generator("play actions", number),
            epsilon=settings.epsilon if epsilon is None else epsilon,
            sample=settings.sample if sample is None else sample,
            max_steps=max_steps or settings.max_steps,
            actions=actions,
            format=format,
            watch=watch,
        )


def _record_group(
    config: EnvironmentConfig,
    agent: Actor,
    name: str,
    seeds: list[int],
    *,
    rng: np.random.Generator,
    epsilon: float,
    sample: bool,
    max_steps: int,
    actions: bool,
    format: Format,
    watch: Watch,
) -> Recording:
    """Record an episode of each seed side by side, to ``<name>.mp4``."""
    path = Path(f"{name}.mp4")
    with side_by_side(path, len(seeds), format) as frame_callbacks:
        env = build.make_environment(config.for_evaluation(), num_envs=len(seeds), frame_callbacks=frame_callbacks)
        recorder = ActionRecorder(with_epsilon(agent, env.action_space, epsilon, sample=sample))
        try:
            played = evaluate(
                recorder, env, episodes=len(seeds), max_steps=max_steps, rng=rng, episode_seeds=seeds, watch=watch
            )
        finally:
            env.close()
    scores, lengths, _ = map(list, zip(*played, strict=True))
    logs: list[Path] = []
    for i, (score, length) in enumerate(zip(scores, lengths, strict=True) if actions else ()):
        own = f"{name}-{i}" if len(seeds) > 1 else name
        log = ActionLog(
            environment=_kept(config),
            seed=int(seeds[i]),
            actions=[tree.map(methodcaller("tolist"), tree.take(row, i)) for row in recorder.actions[:length]],
            dtype=tree.map(lambda part: part.dtype.str, recorder.actions[0]),
            score=score,
            versions=versions(),
        )
        logs.append(log.write(Path(own + SUFFIX)))
    return Recording(path, logs, scores, lengths)


def render(
    path: Path | str, *, out: Path | str | None = None, format: Format = AS_DRAWN, trust: Any = None
) -> Recording:
    """Make a video of a log of actions, without the agent.

    Args:
        path: of the log.
        out: folder; None: the log's.
        format: how the video looks.
        trust: a package, or a list of them, that the log may name, see `rlkit.config.trust`.

    Raises:
        UsageError: there is no such log, or it names what no file may name.
        RunError: the environment went another way than when the log was made.
    """
    path = Path(path)
    log = ActionLog.read(path)
    require_trusted(log.environment, f"log={path}", packages(trust))
    size = f"-{format.height}" if format.height else ""
    video = (path.parent if out is None else Path(out)) / f"{path.name.removesuffix(SUFFIX)}{size}.mp4"
    with first_episode(video, format) as frame_callback:
        config = EnvironmentConfig(**log.environment)
        env = build.make_environment(config.for_evaluation(), num_envs=1, frame_callbacks=[frame_callback])
        try:
            with playing(path):
                [(score, length, _)] = evaluate(
                    ReplayActor(log),
                    env,
                    episodes=1,
                    max_steps=len(log.actions),
                    rng=np.random.default_rng(0),
                    episode_seeds=[log.seed],
                )
        finally:
            env.close()
        if (score, length) != (log.score, len(log.actions)):
            raise RunError(
                f"log={path} has return {log.score:g} in {len(log.actions)} steps, but the environment returned "
                f"{score:g} in {length}{_changed(log)}"
            )
    return Recording(video, [path], [score], [length])


def _changed(log: ActionLog) -> str:
    now = versions()
    other = [f"{name} {version}" for name, version in log.versions.items() if now.get(name) != version]
    return f"; the log was made with {', '.join(other)}" if other else "; is it drawing from a generator of its own?"


class ActionRecorder:
    """Another's actions, recorded: `actions`, [N, ...] a step."""

    def __init__(self, actor: Actor):
        """Act as `actor` does."""
        self._actor = actor
        self.actions: list[Tree] = []

    def initial_memory(self, n: int) -> Memory:
        """Return what `actor` remembers."""
        return self._actor.initial_memory(n)

    def act(
        self, timestep: TimeStep, memory: Memory, *, explore: bool, rng: np.random.Generator
    ) -> tuple[Tree, Memory]:
        """Let `actor` act, and record its action."""
        action, memory = self._actor.act(timestep, memory, explore=explore, rng=rng)
        self.actions.append(tree.copy(action))
        return action, memory


def _kept(config: EnvironmentConfig) -> dict[str, Any]:
    keys = list(ENVIRONMENT) if config.max_episode_steps is None else [*ENVIRONMENT, LIMIT]
    return {key: in_text(getattr(config, key)) for key in keys}
