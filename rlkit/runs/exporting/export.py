"""The policy of a run as a file, tried before it is left."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import gymnasium
from gymnasium.vector import VectorEnv

from rlkit.config.messages import nearest
from rlkit.config.run_config import EnvironmentConfig
from rlkit.core.array_spaces import as_arrays
from rlkit.core.files import require_writable, write_bytes
from rlkit.core.spaces import choice_sizes
from rlkit.core.types import Agent, UsageError
from rlkit.runs import build, origin
from rlkit.runs.exporting import formats
from rlkit.runs.exporting.graph import PolicyGraph
from rlkit.runs.exporting.layers import NOTHING, WrapperLayer, layer_of, wrappers_between
from rlkit.runs.exporting.self_test import FirstOfEquals, require_equal
from rlkit.runs.policy import DeployedPolicy, OneOfMany
from rlkit.vector.action_masks import Masks

if TYPE_CHECKING:
    from rlkit.runs.trained import TrainedRun

VERSION = 1
"""Of the metadata."""


class Exported(NamedTuple):
    """A file that was written."""

    path: Path
    compared: int  # decisions that were those of the agent
    outside: list[str]  # wrappers that whoever uses the file has to apply to observations and actions


class Boundary(NamedTuple):
    """Where the graph begins: the wrappers around it are inside, those beneath are not."""

    env: gymnasium.Env[Any, Any]
    layers: list[WrapperLayer]
    wrap: Callable[[gymnasium.Env[Any, Any]], gymnasium.Env[Any, Any]]
    inside: list[str]
    outside: list[str]
    masks: Masks
    action_space: Any  # the agent's


def export(run: TrainedRun, out: Path | str | None, *, format: str, checkpoint: str | int, seed: int = 0) -> Exported:
    """Write what an agent of a run does where it does not explore, and try the file.

    Args:
        run: the run.
        out: the file; None: the run's name, in the working folder.
        format: one of `formats.FORMATS`.
        checkpoint: as in `Run.load_agent`.
        seed: of the observations that it is tried on.

    Raises:
        UsageError: there is no such format or a package of it is missing, or the agent is not one that a graph can
            hold.
        RunError: the file decides otherwise than the agent; it is not left.
    """
    if format not in formats.FORMATS:
        raise UsageError(f"there is no format={format}{nearest(format, formats.FORMATS)}")
    formats.require_packages(format)
    path = Path(out or f"{Path(run.name).name}{formats.FORMATS[format].suffix}")
    require_writable(path, "out", f"policy{formats.FORMATS[format].suffix}")
    agent = run.load_agent(checkpoint, "cpu")
    boundary = boundary_of(run)
    graph = graph_of(agent, boundary)
    with tempfile.TemporaryDirectory() as folder:
        candidate = Path(folder) / path.name
        formats.write(format, graph, described(run, checkpoint, graph, boundary), candidate)
        decide = formats.load(format, candidate, graph)
        compared = require_equal(decide, graph, reference(agent, boundary), boundary.action_space, seed)
        write_bytes(path, candidate.read_bytes(), "out")
    return Exported(path, compared, boundary.outside)


def graph_of(agent: Agent, boundary: Boundary) -> PolicyGraph:
    """Return an agent and the wrappers inside as one module.

    Raises:
        UsageError: the agent is not one that a graph can hold.
    """
    kind = type(agent).__name__
    make: Any = getattr(agent, "greedy_policy", None)
    if make is None:
        raise UsageError(
            f"{kind} decides by more than a network or a table, and a file holds no more: use run.policy() from "
            "Python, or send the whole run by rlkit share"
        )
    try:
        policy = make()
    except UsageError as error:
        raise UsageError(f"{kind} cannot be exported: {error}") from error
    mask = sum(choice_sizes(boundary.action_space)) if boundary.masks.wanted else 0
    return PolicyGraph(policy, boundary.layers, boundary.env.observation_space, boundary.env.action_space, mask)


def boundary_of(run: TrainedRun) -> Boundary:
    """Return where the graph of a run's policy begins: with as many of the wrappers inside as it can hold.

    Raises:
        UsageError: it can hold not even what makes arrays of observations, such as texts.
    """
    environment = replace(run.config.environment.for_evaluation(), max_episode_steps=None)
    made = run.make_env()
    real = OneOfMany(made) if isinstance(made, VectorEnv) else made
    nodes = environment.preprocess
    for count in range(len(nodes) + 1):
        beneath = build.wrapping(replace(environment, preprocess=nodes[:count]))(real)
        found = _layers(environment, nodes[count:], beneath)
        if found is not None:
            names = [build.title(node["_target_"]) for node in nodes]
            return found._replace(inside=names[count:], outside=_that_matter(beneath, real))
    raise UsageError(
        f"observations of {real.observation_space} become arrays only by {as_arrays(real)}, which a file cannot hold; "
        "use run.policy() from Python"
    )


def _layers(environment: EnvironmentConfig, nodes: list[Any], env: gymnasium.Env[Any, Any]) -> Boundary | None:
    """Return a boundary around `env` with the wrappers of `nodes` inside, or None where one cannot be."""
    wrap = build.wrapping(replace(environment, preprocess=nodes))
    outermost = as_arrays(wrap(env))
    layers = [layer_of(wrapper) for wrapper in wrappers_between(outermost, env)]
    if None in layers:
        return None
    masks = Masks(outermost.action_space, outermost.metadata or {}, action_mask=environment.action_mask)
    return Boundary(env, cast("list[WrapperLayer]", layers), wrap, [], [], masks, outermost.action_space)


def _that_matter(env: gymnasium.Env[Any, Any], real: gymnasium.Env[Any, Any]) -> list[str]:
    """Return the names of wrappers that change observations or actions."""
    return [type(one).__name__ for one in wrappers_between(env, real) if layer_of(one) != NOTHING]


def reference(agent: Agent, boundary: Boundary) -> DeployedPolicy:
    """Return what the file has to equal: the agent with the wrappers that are inside."""
    rng: Any = FirstOfEquals()
    return DeployedPolicy(agent, boundary.env, boundary.wrap, action_mask=boundary.masks.wanted, rng=rng)


def described(run: TrainedRun, checkpoint: str | int, graph: PolicyGraph, boundary: Boundary) -> dict[str, Any]:
    """Return the metadata of a file as plain data."""
    ports, env = graph.ports, boundary.env
    return {
        "format": VERSION,
        "run": run.name,
        "agent": run.values["agent"]["_target_"],
        "environment": str(run.values["env"].get("id") or run.values["env"]["_target_"]),
        "checkpoint": run.chosen(checkpoint),
        "observation_space": " ".join(str(env.observation_space).split()),
        "action_space": " ".join(str(env.action_space).split()),
        "inputs": [port.described() for port in ports.inputs],
        "outputs": [port.described() for port in ports.outputs],
        "memory": {port.name: f"next_{port.name}" for port in ports.memory},
        "inside": boundary.inside,
        "outside": boundary.outside,
        "versions": origin.versions(),
    }
