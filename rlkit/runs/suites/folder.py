"""The folder of a suite: what it consists of, its runs, frozen before they start, and their scores.

``suite.yaml`` says what was asked for so far. Runs that are asked for together are frozen as a sweep in ``parts/``, so
that more seeds, agents or environments can be asked for later. A run's folder lies in ``runs/``, its scores in
``scores/``.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from omegaconf import DictConfig, OmegaConf

from rlkit.config.compose import composed
from rlkit.config.run_config import leaves
from rlkit.core.files import write_whole
from rlkit.core.resources import processor_name
from rlkit.core.types import RunError, UsageError
from rlkit.runs.folder import PlainLoader
from rlkit.runs.origin import versions
from rlkit.runs.suites.plan import SuitePlan, SuiteTask
from rlkit.runs.sweep import FILE as SWEEP
from rlkit.runs.sweep import MARK, Asked, Sweep, frozen

SUITE = "suite.yaml"
OF_THE_RUN = ("seed", "name", "run_dir")
OF_RUNS = ("words", "evaluations", "episodes")
"""Keys that runs and scores depend on: they stay what they were."""

MADE_WITH = ("rlkit", "python", "numpy", "gymnasium", "torch", "ale-py")

Row = dict[str, Any]


class FrozenTask(NamedTuple):
    """A run that is frozen."""

    task: SuiteTask
    part: str  # the folder of its sweep
    number: int  # of its job there
    fresh: bool  # this command has frozen it


class SuiteFolder:
    """The folder of a suite."""

    def __init__(self, directory: Path):
        """Open the folder, which need not be there."""
        self.directory = directory

    def freeze(self, plan: SuitePlan) -> tuple[list[FrozenTask], dict[str, str]]:
        """Freeze the runs of a plan that are not frozen yet.

        Returns:
            those that can be trained, and the names of those that cannot, with the reason.

        Raises:
            UsageError: what is there was begun with other settings, or the words of a run do not compose.
        """
        about = _merged(self.about(), plan, self.directory / SUITE)
        before = self._frozen()
        missing = [task for task in plan.tasks() if task.name not in before]
        asked = self._asked(plan, missing, before)
        self.directory.mkdir(parents=True, exist_ok=True)
        write_whole(self.directory / SUITE, yaml.safe_dump(about, sort_keys=False, width=120))
        refused: dict[str, str] = {}
        if asked:
            self._clear(missing)
            part = frozen(self.directory / "parts" / str(len(self._parts())), asked, explicit=True)
            pairs = zip(missing, part.jobs, strict=True)
            refused = {task.name: job.refused for task, job in pairs if job.refused is not None}
        there = self._frozen()
        tasks = (task for task in plan.tasks() if task.name in there)
        return [FrozenTask(task, *there[task.name], fresh=task.name not in before) for task in tasks], refused

    def about(self) -> dict[str, Any]:
        """Return what the folder's suite consists of; nothing where it is new.

        Raises:
            UsageError: the file is not one of rlkit's.
        """
        path = self.directory / SUITE
        return read_suite(path) if path.exists() else {}

    def scores(self, name: str) -> list[Row] | None:
        """Return the rows of a run, one for each checkpoint; None: it is not finished."""
        try:
            return list(json.loads(self._score_file(name).read_text())["rows"])
        except (OSError, ValueError, LookupError, TypeError):
            return None

    def keep(self, name: str, rows: Sequence[Row], curve: Sequence[tuple[int, float]]) -> None:
        """Write the rows of a run, and (step, mean return) of each of its evaluations."""
        path = self._score_file(name)
        path.parent.mkdir(exist_ok=True)
        made = {"rows": list(rows), "curve": [list(point) for point in curve], "versions": made_with()}
        write_whole(path, json.dumps(made) + "\n")

    def finished(self) -> dict[str, dict[str, Any]]:
        """Return the scores and curves of the runs that are finished, by their names.

        Raises:
            RunError: a file of them is damaged.
        """
        found = {}
        for path in sorted((self.directory / "scores").glob("*.json")):
            try:
                found[path.stem] = json.loads(path.read_text())
            except ValueError as error:
                raise RunError(
                    f"{path} is damaged: {error}; delete it, and the same command scores the run again"
                ) from error
        return found

    def values(self, names: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Return the configurations of runs that are frozen, as plain data."""
        there = self._frozen()
        parts = {part: Sweep(Path(part)) for part in {there[name][0] for name in names}}
        return {name: parts[there[name][0]].values(there[name][1]) for name in names}

    def _parts(self) -> list[Path]:
        found = [path.parent for path in (self.directory / "parts").glob(f"*/{SWEEP}")]
        return sorted(found, key=lambda path: int(path.name))

    def _frozen(self) -> dict[str, tuple[str, int]]:
        """Return the part and the number of each run that is frozen."""
        found: dict[str, tuple[str, int]] = {}
        for part in self._parts():
            for job in (job for job in Sweep(part).jobs if job.run_dir is not None):
                self._require_here(Path(str(job.run_dir)), part)
                found[Path(str(job.run_dir)).name] = (str(part), job.number)
        return found

    def _require_here(self, run: Path, part: Path) -> None:
        """Check that a run lies in this folder.

        Raises:
            UsageError: it does not, as seen from the working folder.
        """
        if run.resolve().parent != (self.directory / "runs").resolve():
            raise UsageError(f"{part / SWEEP} has its runs in {run.parent}: give the command where it was begun")

    def _asked(self, plan: SuitePlan, tasks: Sequence[SuiteTask], before: Mapping[str, tuple[str, int]]) -> list[Asked]:
        """Return what the sweep of the missing runs consists of; an agent in an environment is composed once."""
        asked, known = [], {}
        for task in tasks:
            key = (task.agent.name, task.env.name)
            if key not in known:
                known[key] = composed("train", plan.words_of(task.agent, task.env))
                self._require_alike(known[key][0], task, before)
            config, choices = known[key]
            asked.append(Asked(task.words, (self._placed(config, task), choices)))
        return asked

    def _placed(self, config: DictConfig, task: SuiteTask) -> DictConfig:
        own = config.copy()
        values = (task.seed, task.name, str(self.directory / "runs" / task.name))
        for key, value in zip(OF_THE_RUN, values, strict=True):
            OmegaConf.update(own, key, value)
        return own

    def _require_alike(self, config: DictConfig, task: SuiteTask, before: Mapping[str, tuple[str, int]]) -> None:
        """Refuse more seeds of an agent whose settings have changed since the first ones began.

        Raises:
            UsageError: they have.
        """
        siblings = [name for name in before if name.rpartition("-s")[0] == task.name.rpartition("-s")[0]]
        if not siblings:
            return
        old = dict(leaves(self.values(siblings[:1])[siblings[0]], ""))
        new = dict(leaves(OmegaConf.to_container(config, resolve=True, enum_to_str=True), ""))
        for key in (key for key in new if key in old and key.partition(".")[0] not in OF_THE_RUN):
            if old[key] != new[key]:
                raise UsageError(
                    f"{self.directory}: {task.agent.name} in {task.env.name} was begun with {key}={old[key]}, and the "
                    f"YAML files say {new[key]} by now; another run_dir= begins anew"
                )

    def _clear(self, tasks: Sequence[SuiteTask]) -> None:
        """Delete the empty run folders that a kill has left between their making and the freezing."""
        for task in tasks:
            directory = self.directory / "runs" / task.name
            if directory.is_dir() and {path.name for path in directory.iterdir()} <= {MARK}:
                shutil.rmtree(directory)

    def _score_file(self, name: str) -> Path:
        return self.directory / "scores" / f"{name}.json"


def made_with() -> dict[str, str]:
    """Return the versions and the processor that results may depend on."""
    known = versions()
    return {name: known[name] for name in MADE_WITH if name in known} | {"processor": processor_name()}


def read_suite(path: Path) -> dict[str, Any]:
    """Return the content of a suite.yaml.

    Raises:
        UsageError: it is not one of rlkit's.
    """
    try:
        values = yaml.load(path.read_text(), PlainLoader)
        return {**values, **{key: dict(values[key]) for key in ("agents", "envs")}}
    except (OSError, yaml.YAMLError, LookupError, TypeError, ValueError, RecursionError) as error:
        raise UsageError(f"{path} is not a suite of rlkit's: {' '.join(str(error).split())[:200]}") from error


def _merged(old: Mapping[str, Any], plan: SuitePlan, path: Path) -> dict[str, Any]:
    """Return what a folder's suite consists of together with a plan.

    Raises:
        UsageError: something that runs or scores depend on is not what it was.
    """
    new = _about(plan)
    for key in OF_RUNS if old else ():
        _require_same(key, old.get(key), new[key], path)
    for kind in ("agents", "envs"):
        for name, values in new[kind].items():
            known = old.get(kind, {}).get(name)
            for key in (key for key in values if known is not None and key != "range"):
                _require_same(f"{kind}.{name}.{key}", known.get(key), values[key], path)
        new[kind] = {**old.get(kind, {}), **new[kind]}
    return new


def _about(plan: SuitePlan) -> dict[str, Any]:
    return {
        **{key: getattr(plan, key) for key in ("suite", "summary", "checkpoint", "baseline", *OF_RUNS)},
        "agents": {agent.name: agent.as_values() for agent in plan.agents},
        "envs": {env.name: env.as_values() for env in plan.envs},
    }


def _require_same(key: str, old: Any, new: Any, path: Path) -> None:
    if old != new:
        raise UsageError(f"{path} was begun with {key} {old}, and this command has {new}; another run_dir= begins anew")
