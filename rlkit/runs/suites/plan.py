"""What a suite consists of, read from the configuration of `rlkit bench`, and the runs that it asks for."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from rlkit.config import plugins
from rlkit.config.messages import nearest
from rlkit.core.ranges import shown
from rlkit.core.types import UsageError

NAME = re.compile(r"\w[\w.+]*")
CHECKPOINTS = ("last", "best")
MOST_SEEDS = 1000
OWN = ("logger=[csv]", "video=none")
"""Words of every run, which nobody watches."""

PEER = ("agent=random", "tuned=none")
"""Words of a peer's runs, whose environment, budget and evaluations alone are used."""

Values = Mapping[str, Any]


class SuiteAgent(NamedTuple):
    """An agent of a suite."""

    name: str
    words: list[str]  # of rlkit train
    call: str | None = None  # what trains in place of rlkit, see `rlkit.runs.suites.peers`
    options: Values = MappingProxyType({})  # for it

    def as_values(self) -> dict[str, Any]:
        """Return plain data for a file."""
        peer = {"call": self.call, "options": dict(self.options)} if self.call else {}
        return {"words": list(self.words), **peer}


class SuiteEnvironment(NamedTuple):
    """An environment of a suite."""

    name: str
    words: list[str]  # of rlkit train
    total_steps: int | None = None  # None: as the agent's settings have it
    range: tuple[float, float] | None = None  # the scores that count as 0 and 1
    agents: list[str] | None = None  # those that can act in it; None: all

    def as_values(self) -> dict[str, Any]:
        """Return plain data for a file."""
        ends = None if self.range is None else list(self.range)
        return {"words": list(self.words), "total_steps": self.total_steps, "range": ends}


class SuiteTask(NamedTuple):
    """One run of a suite."""

    agent: SuiteAgent
    env: SuiteEnvironment
    seed: int

    @property
    def name(self) -> str:
        """The name of its run."""
        return run_name(self.agent.name, self.env.name, self.seed)

    @property
    def words(self) -> list[str]:
        """How messages call it."""
        return [f"agents={self.agent.name}", f"envs={self.env.name}", f"seed={self.seed}"]


OTHERS: Mapping[str, tuple[str, type[SuiteAgent] | type[SuiteEnvironment]]] = {
    "agents": ("agent", SuiteAgent),
    "envs": ("env", SuiteEnvironment),
}
"""The group of files, and what is made of one of them."""


def run_name(agent: str, env: str, seed: int) -> str:
    """Return the name of a run of a suite."""
    return f"{agent}-{env}-s{seed}"


class SuitePlan(NamedTuple):
    """What a command asks for."""

    suite: str
    summary: str
    agents: list[SuiteAgent]
    envs: list[SuiteEnvironment]
    seeds: list[int]
    words: list[str]
    evaluations: int
    episodes: int
    checkpoint: str
    baseline: str
    search: list[str]  # words that name folders of YAML files

    def tasks(self) -> Iterator[SuiteTask]:
        """Yield its runs: all seeds of an agent in an environment, then the next agent."""
        for env in self.envs:
            for agent in self.agents:
                if env.agents is None or agent.name in env.agents:
                    yield from (SuiteTask(agent, env, seed) for seed in self.seeds)

    def words_of(self, agent: SuiteAgent, env: SuiteEnvironment) -> list[str]:
        """Return the words of `rlkit train` for an agent in an environment, seed and folder excepted.

        Those of the agent come last, so that they may change the others.
        """
        steps = [] if env.total_steps is None else budget(env.total_steps, self.evaluations)
        return [*self.search, *self.words, *env.words, *steps, *(PEER if agent.call else agent.words), *OWN]


def budget(total_steps: int, evaluations: int) -> list[str]:
    """Return the words for the length of a run, with evaluations that are evenly spaced."""
    return [f"total_steps={total_steps}", f"eval.every={max(1, total_steps // evaluations)}"]


def planned_suite(config: Values, suite: str, search: Sequence[str] = ()) -> SuitePlan:
    """Return what a composed configuration asks for.

    Args:
        config: that of `rlkit bench`, as plain data.
        suite: the name of its file.
        search: words that name folders of YAML files.

    Raises:
        UsageError: something in the suite does not fit, or the command names what is not there.
    """
    values = config["suite"]
    agents = [_agent(name, value) for name, value in values["agents"].items()]
    known = [agent.name for agent in agents]
    envs = [_environment(name, value, known) for name, value in values["envs"].items()]
    if values["baseline"] not in known:
        raise UsageError(
            f"suite.baseline is {values['baseline']}, no agent of the suite{nearest(values['baseline'], known)}"
        )
    if values["checkpoint"] not in CHECKPOINTS:
        raise UsageError(f"suite.checkpoint is {values['checkpoint']}; there is: {', '.join(CHECKPOINTS)}")
    seeds = values["seeds"] if config["seeds"] is None else config["seeds"]
    return SuitePlan(
        suite,
        next((entry.summary for entry in plugins.entries("suite", search) if entry.name == suite), ""),
        _chosen("agents", config["agents"], agents, search),
        _with_others(_chosen("envs", config["envs"], envs, search), config["agents"] or [], known),
        seeds_of(seeds),
        list(values["words"]),
        values["evaluations"],
        values["episodes"],
        values["checkpoint"],
        values["baseline"],
        list(search),
    )


def seeds_of(value: Any) -> list[int]:
    """Return the seeds that ``seeds=`` asks for, each once: 0 to n - 1 for a number n.

    Raises:
        UsageError: it is neither a positive number nor a list of seeds.
    """
    if type(value) is int and 0 < value <= MOST_SEEDS:
        return list(range(value))
    if isinstance(value, list) and value and all(type(seed) is int and seed >= 0 for seed in value):
        return list(dict.fromkeys(value))
    raise UsageError(f"seeds is {shown(value)}; it must be how many, as seeds=5, or a list of them, as seeds=[0,1]")


def _agent(name: str, value: Any) -> SuiteAgent:
    _require_name("agents", name)
    if isinstance(value, Mapping) and isinstance(value.get("call"), str):
        return SuiteAgent(name, [], value["call"], {key: part for key, part in value.items() if key != "call"})
    return SuiteAgent(name, _words(f"suite.agents.{name}", value))


def _environment(name: str, value: Any, agents: Sequence[str]) -> SuiteEnvironment:
    path = f"suite.envs.{name}"
    _require_name("envs", name)
    if not isinstance(value, Mapping):
        return SuiteEnvironment(name, _words(path, value))
    if unknown := set(value) - set(SuiteEnvironment._fields[1:]):
        key = sorted(unknown)[0]
        raise UsageError(f"there is no key {path}.{key}{nearest(key, SuiteEnvironment._fields[1:])}")
    steps, ends = value.get("total_steps"), value.get("range")
    if steps is not None and (type(steps) is not int or steps < 1):
        raise UsageError(f"{path}.total_steps is {steps}; it must be a whole number of at least 1")
    if ends is not None and not (len(ends) == 2 and float(ends[0]) < float(ends[1])):
        raise UsageError(f"{path}.range is {ends}; it must be two scores, the lower one first")
    for agent in value.get("agents") or ():
        if agent not in agents:
            raise UsageError(f"{path}.agents names {agent}, no agent of the suite{nearest(agent, agents)}")
    words = _words(f"{path}.words", value.get("words"))
    return SuiteEnvironment(name, words, steps, ends and (float(ends[0]), float(ends[1])), value.get("agents"))


def _words(path: str, value: Any) -> list[str]:
    words = shlex.split(value) if isinstance(value, str) else value
    if not isinstance(words, list) or not words or not all(isinstance(word, str) and "=" in word for word in words):
        raise UsageError(f"{path} is {shown(value)}; it must be words of rlkit train, such as agent=ppo")
    return list(words)


def _require_name(key: str, name: str) -> None:
    if not NAME.fullmatch(name):
        raise UsageError(f"suite.{key}: {name!r} is no name; it has letters, digits, _, + and . alone")


def _chosen(key: str, names: Sequence[str] | None, known: Sequence[Any], search: Sequence[str]) -> list[Any]:
    """Return the agents or environments of a list of names: those of the suite first, in its order, then others."""
    if names is None:
        if not known:
            raise UsageError(f"suite.{key} is empty; a suite has at least one")
        return list(known)
    if not names:
        raise UsageError(f"{key}=[] leaves nothing to run; leave it out for all of the suite")
    own = [one.name for one in known]
    others = [_other(key, name, own, search) for name in dict.fromkeys(names) if name not in own]
    return [*(one for one in known if one.name in names), *others]


def _other(key: str, name: str, known: Sequence[str], search: Sequence[str]) -> SuiteAgent | SuiteEnvironment:
    """Return an agent or an environment that the suite does not have, by the name of its file."""
    group, kind = OTHERS[key]
    files = [entry.name for entry in plugins.entries(group, search)]
    if name not in files:
        near = nearest(name, [*known, *files])
        raise UsageError(f"the suite has no {group} {name}, and there is no {group}={name}{near}")
    return kind(name, [f"{group}={name}"])


def _with_others(envs: list[SuiteEnvironment], asked: Sequence[str], known: Sequence[str]) -> list[SuiteEnvironment]:
    """Return the environments, in which agents that the suite does not have may act, too."""
    others = [name for name in asked if name not in known]
    return [env if env.agents is None else env._replace(agents=[*env.agents, *others]) for env in envs]
