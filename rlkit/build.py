"""From configuration to objects: the one place where classes named in YAML are built.

A node with ``_target_`` is called with its other keys. What the run knows (the spaces, the number of environments,
the device, generators) is passed to every callable that asks for it by the name of a parameter and was not given it.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gymnasium
from gymnasium.vector import VectorEnv
from omegaconf import DictConfig, OmegaConf

from rlkit import options
from rlkit.core import Agent, Environment, UsageError
from rlkit.explain import nearest
from rlkit.film import Film, Sink
from rlkit.seeding import Seeds
from rlkit.subprocesses import SubprocessEnvironment
from rlkit.vector import SerialEnvironment, VectorEnvironment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rlkit.data import Dataset
    from rlkit.learners.epochs import OnEpoch
    from rlkit.mdp import FiniteMDP
    from rlkit.search import Model

Context = Mapping[str, Callable[[str], Any]]
"""What a callable can ask for: parameter name -> function of the node's path that gives the value."""

SPECIAL = ("_target_", "_partial_", "_task_")
"""Keys of a node that are no arguments of what it names."""


def locate(target: str, path: str) -> Callable[..., Any]:
    """Import what `target` names, e.g. ``rlkit.agents.dqn.DQN``; `path` is the node, for messages.

    Raises:
        UsageError: there is no such module or attribute.
    """
    module, _, name = target.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise UsageError(
            f"{path}._target_ {target!r} cannot be imported: {error}; is its package installed?"
        ) from error
    return found  # type: ignore[no-any-return]


def build(node: Any, context: Context, path: str = "") -> Any:
    """Build plain data `node`: its ``_target_`` nodes, innermost first, become objects.

    ``_target_`` may name a class for each task, of which the one that the run is about is taken.
    ``_partial_: true`` gives the callable with its arguments bound, for what is called later (an optimiser).
    ``_task_`` says which task the nodes within are for, where the run is not about one itself (an agent's estimator).

    Raises:
        UsageError: a target cannot be imported, or does not take the options or values given.
    """
    if isinstance(node, list):
        return [build(item, context, f"{path}.{i}") for i, item in enumerate(node)]
    if not isinstance(node, dict):
        return node
    if "_target_" not in node:
        return _built(node, context, path)
    arguments = {key: value for key, value in node.items() if key not in SPECIAL}
    if "_task_" in node:
        context = {**context, "task": lambda path: node["_task_"]}
    target, partial = locate(_by_task(node["_target_"], context, path), path), node.get("_partial_", False)
    # Plain values first: where a node within refers to one, it is this one that was typed.
    plain_values = {key: value for key, value in arguments.items() if not isinstance(value, (dict, list))}
    options.check(plain_values, target, path)
    children = _built(arguments, context, path)
    options.check(children, target, path)
    if partial:
        # Whoever calls it knows what it is for: a learner makes a torso for its own rows.
        return functools.partial(target, **children)
    wanted = options.parameters(target)
    known = {name: value(path) for name, value in context.items() if name in wanted and name not in children}
    options.require(wanted, {*known, *children}, target, path)
    return target(**known, **children)


def _by_task(target: Any, context: Context, path: str) -> str:
    """Return the class that is named, or the one for the run's task where there is one for each."""
    if not isinstance(target, dict):
        return str(target)
    known = ", ".join(target)
    if "task" not in context:
        raise UsageError(
            f"{path} is for several tasks ({known}); choose a file for one of them, e.g. {path}=tree_regressor"
        )
    task = context["task"](path)
    if task not in target:
        raise UsageError(f"{path} is for {known}, but the task of the data is {task}; choose another {path}=")
    return str(target[task])


def _built(node: Mapping[str, Any], context: Context, path: str) -> dict[str, Any]:
    return {key: build(value, context, f"{path}.{key}".lstrip(".")) for key, value in node.items()}


def plain(config: DictConfig | Any) -> Any:
    """Return an OmegaConf node as plain dicts, lists and values, interpolations resolved."""
    return OmegaConf.to_container(config, resolve=True, enum_to_str=True, throw_on_missing=True)


def plain_value(config: DictConfig, key: str) -> Any:
    """Return the value at a dotted `key`, a node as plain data."""
    value = OmegaConf.select(config, key)
    if isinstance(value, Enum):
        return value.name
    return plain(value) if OmegaConf.is_config(value) else value


def defaults(name: str) -> dict[str, Any]:
    """Return the values of a shipped YAML, for plain scripts: ``DQN(network=…, **defaults("agent/dqn"))``.

    Nodes with ``_target_`` are built. What the file leaves to the run (the network, the replay) is left out.

    Raises:
        UsageError: there is no such YAML.
    """
    from rlkit import plugins
    from rlkit.config import compose_alone

    group, _, choice = name.partition("/")
    known = [entry.name for entry in plugins.entries(group)]
    if choice not in known:
        raise UsageError(f"there is no {name}{nearest(choice, known)}")
    node: Any = compose_alone(name)
    for part in group.split("/"):
        node = node[part]
    own = {key: node._get_node(key) for key in map(str, node) if not key.startswith("_") and not _refers(node, key)}
    values: dict[str, Any] = build(plain(OmegaConf.create(own)), {}, name)
    return values


def _refers(node: DictConfig, key: str) -> bool:
    """Tell whether the value at `key`, or one within it, is an interpolation."""
    if OmegaConf.is_interpolation(node, key):
        return True
    value = node._get_node(key)
    return isinstance(value, DictConfig) and any(_refers(value, str(inner)) for inner in value)


def make_environment(
    config: Mapping[str, Any], *, num_envs: int, render_mode: str | None = None, films: Sequence[Sink] = ()
) -> Environment:
    """Build N environments from the keys `env`, `preprocess`, `vectorization` and `action_mask`.

    Args:
        config: plain data of a run's configuration.
        num_envs: N.
        render_mode: Gymnasium's, for environments that take one.
        films: the i-th is shown every picture of environment i.

    Raises:
        UsageError: what ``env._target_`` made is no environment, or cannot be filmed.
    """
    modes = ["rgb_array" if index < len(films) else render_mode for index in range(num_envs)]
    shared = _environment_context(config, num_envs, filmed=modes[0] is not None)
    first = build(config["env"], {**shared, "render_mode": lambda path: modes[0]}, "env")
    if isinstance(first, VectorEnv):
        return _native(config, first, films)
    if config["vectorization"] == "native" and not films:
        first.close()
        raise UsageError(
            "vectorization=native needs an environment that steps many by itself, and this one makes a single "
            f"{type(first).__name__}; take sync or async"
        )
    if not isinstance(first, gymnasium.Env):
        raise UsageError(f"env._target_ {config['env']['_target_']} made a {type(first).__name__}, not a gymnasium.Env")
    built = [first]

    def make(index: int) -> gymnasium.Env[Any, Any]:
        context: Context = {**shared, "render_mode": lambda path: modes[index]}
        env = built.pop() if built else build(config["env"], context, "env")
        env = _wrap(env, config["preprocess"])
        return Film(env, films[index]) if index < len(films) else env

    makes = [functools.partial(make, index) for index in range(num_envs)]
    if config["vectorization"] == "async":
        # The workers build their own: this one must not be shared with them.
        built.pop().close()
        return SubprocessEnvironment(makes, action_mask=config["action_mask"])
    return SerialEnvironment(makes, action_mask=config["action_mask"])


def for_evaluation(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the configuration of environments that score an agent, or show what it can, in this process."""
    return {**config, "vectorization": "sync", "evaluation": True}


def make_single(
    config: Mapping[str, Any], *, num_envs: int = 1, render_mode: str | None = None
) -> gymnasium.Env[Any, Any] | VectorEnv[Any, Any, Any]:
    """Build one Gymnasium environment from the keys `env` and `preprocess`, as `rlkit check` looks at it.

    Where ``env._target_`` makes vector environments, it is one of those, of `num_envs`.
    """
    context = _environment_context(config, num_envs, filmed=render_mode is not None)
    env = build(config["env"], {**context, "render_mode": lambda path: render_mode}, "env")
    return env if isinstance(env, VectorEnv) else _wrap(env, config["preprocess"])


def _environment_context(config: Mapping[str, Any], num_envs: int, *, filmed: bool) -> Context:
    """Return what the constructors of environments can ask for.

    `filmed`: single ones are wanted, for their pictures; `evaluation`: it is not for training; `dataset`: what `data=`
    names, the same object for all; `rng`: a generator named after the node, alike for all.
    """
    return {
        "num_envs": lambda path: num_envs,
        "render_mode": lambda path: None,
        "filmed": lambda path: filmed,
        "vectorization": lambda path: config["vectorization"],
        "evaluation": lambda path: config.get("evaluation", False),
        "dataset": functools.cache(lambda path: _dataset(config)),
        "rng": lambda path: Seeds(config["seed"]).generator(path),
    }


def _dataset(config: Mapping[str, Any]) -> Dataset | None:
    """Return the data set of a run, or None where it names none."""
    if config.get("data") is None:
        return None
    from rlkit.fitting.launch import load_data

    return load_data(config, lambda line: None)


def _wrap(env: gymnasium.Env[Any, Any], nodes: list[Any]) -> gymnasium.Env[Any, Any]:
    for i, node in enumerate(nodes):
        inner = env
        env = build(node, {"env": lambda path, inner=inner: inner}, f"preprocess.{i}")  # type: ignore[misc]
    return env


def _native(config: Mapping[str, Any], vector: Any, films: Sequence[Sink]) -> Environment:
    if films:
        vector.close()
        raise UsageError("a native vector environment cannot be filmed; set video=none, or vectorization=sync")
    if config["vectorization"] == "async":
        vector.close()
        raise UsageError(
            "vectorization=async steps single environments in processes, and this one steps many by itself; leave it "
            "out, or take the environment's own option (env.stepping=python)"
        )
    if config["preprocess"]:
        raise UsageError(
            "preprocess= wraps single environments, not native vector ones; use vectorization=sync, or the "
            "environment's own option (env.stepping=python)"
        )
    built = [vector]
    context = _environment_context(config, vector.num_envs, filmed=False)
    make = lambda: built.pop() if built else build(config["env"], context, "env")  # noqa: E731
    return VectorEnvironment(make, action_mask=config["action_mask"])


def make_agent(
    config: Mapping[str, Any],
    env: Environment,
    seeds: Seeds,
    tell: Callable[[str], None] = lambda line: None,
    on_epoch: OnEpoch = lambda epoch, epochs, figures: None,
    *,
    fresh: bool = True,
    learns: bool = True,
) -> Agent:
    """Build the agent of a run for the spaces of `env`.

    Constructors can ask for `observation_space`, `action_space`, `frame_stack`, `can_resign` (of
    `rlkit.core.Environment`), `num_envs`, `device`, `total_steps`, `rng` (a NumPy generator of its own, named after the
    node), `generator` (a `torch.Generator`, likewise), `random_state` (a number likewise, for estimators), `scratch` (a
    folder for what need not last), `tell` (takes a line for the user), `on_epoch` (is told the epochs of an estimator
    that an agent fits), `threads`, `task` (of an estimator that predicts actions: classification or regression),
    `image_shape` (of observations that are pictures, else None), `model` (for planners: returns the
    `rlkit.mdp.FiniteMDP` that the environment is; see `rlkit.mdp.model_of`), `search_model` (returns the
    `rlkit.search.Model` of it; see `rlkit.search.model_of`), `fresh` (the agent begins; else a checkpoint is about to
    fill it) and `learns` (else it is only to act).
    """
    context: Context = {
        "observation_space": lambda path: env.observation_space,
        "action_space": lambda path: env.action_space,
        "frame_stack": lambda path: env.frame_stack,
        "can_resign": lambda path: env.can_resign,
        "num_envs": lambda path: config["num_envs"],
        "device": lambda path: config["device"],
        "total_steps": lambda path: config["total_steps"],
        "scratch": lambda path: Path(config["run_dir"]) / "scratch" if config.get("run_dir") else None,
        "tell": lambda path: tell,
        "fresh": lambda path: fresh,
        "learns": lambda path: learns,
        "on_epoch": lambda path: on_epoch,
        "threads": lambda path: config["threads"],
        "task": lambda path: _task(env.action_space),
        "image_shape": lambda path: env.observation_space.shape if _is_picture(env.observation_space) else None,
        "model": lambda path: functools.partial(_model, config),
        "search_model": lambda path: functools.partial(_search_model, config),
        "rng": seeds.generator,
        "generator": lambda path: seeds.torch_generator(path, config["device"]),
        "random_state": seeds.number,
    }
    with _torch_seeded(config, seeds):
        agent: Agent = build(config["agent"], context, "agent")
    return agent


def _task(action_space: Any) -> str:
    return "classification" if isinstance(action_space, gymnasium.spaces.Discrete) else "regression"


def _is_picture(space: Any) -> bool:
    return isinstance(space, gymnasium.spaces.Box) and len(space.shape) in (2, 3) and space.dtype == "uint8"


def _model(config: Mapping[str, Any], samples: int | None) -> FiniteMDP:
    from rlkit.mdp import model_of

    env = make_single({**config, "vectorization": "sync"})
    try:
        if isinstance(env, VectorEnv):
            raise UsageError(f"planners need a single environment, not a {type(env).__name__}")
        return model_of(env, samples=samples, seed=config["seed"])
    finally:
        env.close()


def _search_model(config: Mapping[str, Any], outcomes: int) -> Model:
    from rlkit.search import model_of

    return model_of(lambda: make_single({**config, "vectorization": "sync"}), outcomes=outcomes)


@contextmanager
def _torch_seeded(config: Mapping[str, Any], seeds: Seeds) -> Iterator[None]:
    """Build networks from the run's seed, and leave torch's global generator as it was."""
    if config["network"] is None:
        yield
        return
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seeds.integers("network", size=1)[0])
        yield
