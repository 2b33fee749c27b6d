"""Hydra's launcher ``hydra/launcher=ray``: the jobs of a sweep as tasks of Ray, on this machine or on a cluster."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, run_job, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict

from rlkit.core.ray_cluster import connected, first_line
from rlkit.core.types import RunError

MODULE = "hydra_plugins.rlkit_ray"
"""Hydra takes launchers from no other package."""


@dataclass
class RayLauncherConfig:
    """Its settings: what each job needs, of which Ray runs as many at once as fit."""

    _target_: str = f"{MODULE}.RayLauncher"
    num_cpus: float = 1
    num_gpus: float = 0


class RayLauncher(Launcher):
    """Runs each job in a process of its own, wherever Ray has a place for it."""

    def __init__(self, num_cpus: float, num_gpus: float):
        """Keep what a job needs."""
        self._needs = {"num_cpus": num_cpus, "num_gpus": num_gpus}
        self._jobs: tuple[HydraContext, TaskFunction, DictConfig] | None = None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep what all jobs share."""
        self._jobs = (hydra_context, task_function, config)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run the jobs, and return how each has ended, in their order.

        Raises:
            UsageError: Ray is not installed.
            RunError: Ray does not start, or a job's process was lost.
            SystemExit: a signal ended a job.
        """
        assert self._jobs is not None, "setup() was not called"
        ray = connected(1, "hydra/launcher=ray")
        # A process for each job, so that nothing of one is left in the next.
        task = ray.remote(max_calls=1, max_retries=0, **self._needs)(_job)
        shared = ray.put((*self._jobs, Singleton.get_state()))
        try:
            numbered = enumerate(job_overrides, initial_job_idx)
            calls = [task.remote(shared, str(Path.cwd()), number, list(words)) for number, words in numbered]
            return [_result(ray, call) for call in calls]
        finally:
            ray.shutdown()


def _result(ray: Any, call: Any) -> JobReturn:
    try:
        ended: JobReturn | int = ray.get(call)
    except ray.exceptions.RayError as error:
        raise RunError(f"a job's process was lost: {first_line(error)}") from error
    if isinstance(ended, int):
        raise SystemExit(ended)
    return ended


def _job(shared: Any, folder: str, number: int, words: list[str]) -> JobReturn | int:
    """Run a job; return how it has ended, or the status of a process that a signal ended."""
    context, task, config, singletons = shared
    if Path(folder).is_dir():
        os.chdir(folder)
    setup_globals()
    Singleton.set_state(singletons)
    own = context.config_loader.load_sweep_config(config, words)
    with open_dict(own):
        own.hydra.job.id, own.hydra.job.num = f"{own.hydra.job.name}_{number}", number
    HydraConfig.instance().set_config(own)
    try:
        return run_job(
            hydra_context=context,
            config=own,
            task_function=task,
            job_dir_key="hydra.sweep.dir",
            job_subdir_key="hydra.sweep.subdir",
        )
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else 1


# Its own name stays, by which Ray's processes find it.
Plugins.instance().class_name_to_class[RayLauncherConfig._target_] = RayLauncher
ConfigStore.instance().store(group="hydra/launcher", name="ray", node=RayLauncherConfig, provider="rlkit")
