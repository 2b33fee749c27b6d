"""`rlkit check`."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from functools import partial
from typing import Any

from omegaconf import DictConfig

from rlkit.config import instantiate
from rlkit.config.compose import Choices, composed, run_verb
from rlkit.config.run_config import AgentConfig, EnvironmentConfig, findable
from rlkit.config.schemas import CheckConfig
from rlkit.config.trust import packages
from rlkit.config.typed import typed
from rlkit.core.seeding import Seeds
from rlkit.core.types import Agent, Environment, UsageError
from rlkit.runs import build
from rlkit.testing import Result, check_agent, check_env, check_learner
from rlkit.testing.training import torch_threads

SLOW = 10.0
"""Seconds from which the time that a rule took is shown."""

SMALL_ENVIRONMENTS = (["env=cartpole"], ["env=frozen_lake"], ["env=gym", "env.id=Pendulum-v1"], ["env=kuhn_poker"])
"""Where an agent is checked without env=: the first that it accepts."""


def main(argv: Sequence[str]) -> int:
    """Run the contract suites; 1 where a rule is broken."""
    broken: list[int] = []
    folders = [word for word in argv if word.startswith("hydra.searchpath")]  # Hydra keeps these from its tasks.

    def task(config: DictConfig, choices: Choices, overrides: Sequence[str]) -> None:
        found = check(config, choices, list(dict.fromkeys([*folders, *overrides])))
        broken.append(sum(not result.passed for results in found.values() for result in results))
        if config.output.name == "json":
            print(json.dumps(as_json(found)), flush=True)

    run_verb("check", task, argv)
    return int(any(broken))


def check(config: DictConfig, choices: Choices, overrides: Sequence[str]) -> dict[str, list[Result]]:
    """Check what is named, print each result, and return them by what was checked.

    Raises:
        UsageError: nothing is named, or the agent accepts none of the environments at hand.
    """
    if config.env is None and config.agent is None and config.learner is None:
        raise UsageError("say what to check: env=<name>, agent=<name> or learner=<name>, e.g. rlkit check env=cartpole")
    found: dict[str, list[Result]] = {}
    if config.env is not None:
        name = f"env={choices['env']}"
        found[name] = _run_suite(name, partial(_check_env, _settings(config)))
    if config.agent is not None:
        settings, where = _with_environment(config, choices, overrides)
        name = f"agent={choices['agent']}"
        found[name] = _run_suite(f"{name} in {where}", partial(_check_agent, settings))
    if config.learner is not None:
        settings = _settings(config)
        for task in _tasks(settings.learner):
            name = f"learner={choices['learner']}{f' for {task}' if task else ''}"
            found[name] = _run_suite(name, partial(_check_learner, settings, task))
    return found


def as_json(found: Mapping[str, Sequence[Result]]) -> dict[str, Any]:
    """Return what ``output=json`` says."""
    passed = all(result.passed for results in found.values() for result in results)
    rules = [{"checked": name, **result._asdict()} for name, results in found.items() for result in results]
    return {"passed": passed, "rules": rules}


def _run_suite(title: str, suite: Callable[[], list[Result]]) -> list[Result]:
    print(title, flush=True)
    results = suite()
    broken = ", ".join(dict.fromkeys(result.rule for result in results if not result.passed))
    number = len({result.rule for result in results})
    print(f"  {number} rules, {f'broken: {broken}' if broken else 'none broken'}", flush=True)
    return results


class Printer:
    """Prints results as they come, with the time of those that took long."""

    def __init__(self) -> None:
        """Begin to count."""
        self._last = time.perf_counter()

    def add(self, result: Result) -> None:
        """Print a result."""
        now = time.perf_counter()
        took, self._last = now - self._last, now
        time_taken = f" ({took:.0f} s)" if took >= SLOW else ""
        verdict = "ok  " if result.passed else "FAIL"
        print(
            f"  {verdict}  {result.rule}{time_taken}{f': {result.message}' if result.message else ''}",
            flush=True,
        )


def _settings(config: DictConfig) -> CheckConfig:
    return typed(CheckConfig, findable(instantiate.plain(config)))


def _environment(settings: CheckConfig) -> EnvironmentConfig:
    return EnvironmentConfig(
        settings.env,
        settings.preprocess,
        settings.action_mask,
        data=settings.data,
        seed=settings.seed,
        max_episode_steps=settings.max_episode_steps,
    )


def _check_env(settings: CheckConfig) -> list[Result]:
    def make(render_mode: str | None = None) -> Any:
        return build.make_single(_environment(settings), num_envs=settings.num_envs, render_mode=render_mode)

    return check_env(
        make,
        strict=False,
        on_result=Printer().add,
        seconds=settings.seconds,
        notify=lambda line: print(f"  {line}", flush=True),
        **_common(settings),
    )


def _check_agent(settings: CheckConfig) -> list[Result]:
    return check_agent(
        partial(_make_agent, settings),
        partial(build.make_single, _environment(settings), num_envs=settings.num_envs),
        num_envs=settings.num_envs,
        threads=settings.threads,
        strict=False,
        on_result=Printer().add,
        **_common(settings),
    )


def _tasks(learner: dict[str, Any]) -> list[str]:
    """Return the tasks that a learner has classes for; one without a name where it is a single class."""
    target = learner.get("_target_")
    return list(target) if isinstance(target, dict) else [""]


def _check_learner(settings: CheckConfig, task: str) -> list[Result]:
    context: instantiate.Context = {
        "task": lambda path: task,
        "random_state": lambda path: None,
        "image_shape": lambda path: None,
        "device": lambda path: settings.device,
    }

    def make() -> Any:
        return instantiate.build(settings.learner, context, "learner")

    with torch_threads(settings.threads):
        return check_learner(make, seed=settings.seed, strict=False, on_result=Printer().add)


def _common(settings: CheckConfig) -> dict[str, Any]:
    return {"seed": settings.seed, "steps": settings.steps, "action_mask": settings.action_mask}


def _make_agent(settings: CheckConfig, env: Environment, seeds: Seeds) -> Agent:
    config = AgentConfig(
        settings.agent,
        settings.network,
        env.num_envs // env.players,
        settings.device,
        settings.threads,
        settings.total_steps,
        run_dir=None,
        trust=packages(settings.trust),
        environment=_environment(settings),
        shared={"network": settings.network, "distribution": settings.distribution, "replay": settings.replay},
    )
    return build.make_agent(config, env, seeds)


def _with_environment(config: DictConfig, choices: Choices, overrides: Sequence[str]) -> tuple[CheckConfig, str]:
    """Return the settings with an environment that the agent accepts, and how to ask for that environment."""
    if config.env is not None:
        _try(_settings(config))
        return _settings(config), f"env={choices['env']}"
    refusals: dict[str, str] = {}
    for words in SMALL_ENVIRONMENTS:
        settings = _settings(composed("check", [*overrides, *words])[0])
        try:
            _try(settings)
        except UsageError as error:
            refusals[" ".join(words)] = str(error)
        else:
            return settings, " ".join(words)
    raise UsageError(_nowhere(refusals, choices["agent"]))


def _try(settings: CheckConfig) -> None:
    """Build the agent for its environment: a `UsageError` says that it does not accept it."""
    with closing(build.make_environment(_environment(settings), num_envs=1)) as env:
        _make_agent(settings, env, Seeds(settings.seed))


def _nowhere(refusals: Mapping[str, str], agent: str) -> str:
    if len(set(refusals.values())) == 1:
        return next(iter(refusals.values()))
    reasons = "; ".join(f"[{words}] {refusal}" for words, refusal in refusals.items())
    return f"agent={agent} accepts none of the environments it was tried in; set env=<name>: {reasons}"
