"""Every rank but the first: it trains, and writes nothing but its own checkpoints."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from rlkit.config.run_config import TrainRunConfig
from rlkit.config.schemas import Output, Video
from rlkit.core.ranks import Ranks
from rlkit.core.seeding import Seeds
from rlkit.runs import build
from rlkit.runs.folder import CHECKPOINTS
from rlkit.runs.ranked.training import RankedTraining
from rlkit.runs.request import traceback_kept
from rlkit.runs.run import Run
from rlkit.runs.signals import interruptions
from rlkit.vector.manners import is_opaque


def follow(config: TrainRunConfig, ranks: Ranks, *, resume: bool, extended: bool) -> Run:
    """Train beside the first rank, and return the run when that has finished it.

    Args:
        config: the run's, with the folder of the first rank.
        ranks: of which this process is not the first.
        resume: go on from the newest checkpoint.
        extended: its limit was raised.

    Raises:
        UsageError: something that the run needs is missing, or does not fit.
        RunError: something failed on the way, or another process has ended.
    """
    config = replace(config, logger={}, callback={}, video=Video.none, output=Output.text)
    directory = Path(config.run_dir)
    with ExitStack() as stack:
        stack.enter_context(traceback_kept(directory / "train.log"))
        build.configure_torch(config)
        interrupted = stack.enter_context(interruptions())
        env = build.make_environment(config.environment, num_envs=config.num_envs)
        stack.callback(env.close)
        begun = (directory / CHECKPOINTS).exists()
        agent = build.make_agent(config.agent_config, env, Seeds(config.seed, ranks.rank), fresh=not begun)
        parts = {"agent": agent, "env": env, "callbacks": {}, "opaque": is_opaque(env)}
        session = RankedTraining(config, directory, directory, ranks=ranks, **parts)
        if resume:
            session.resume(extended=extended, empty_replay=config.empty_replay)
        session.run(interrupted)
        session.wait()
        run = Run(directory, trained=config)
        run.stopped = session.stopped
        return run
