"""The environments and the agent that a run's configuration names."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gymnasium
from gymnasium.vector import VectorEnv
from gymnasium.wrappers import TimeLimit

from rlkit.config.instantiate import Builder, Context, as_typed, build, prepare
from rlkit.config.run_config import AgentConfig, EnvironmentConfig, TrainRunConfig
from rlkit.config.schemas import InnerLoop, StartMethod, Vectorization
from rlkit.core.joint import joint_space
from rlkit.core.parts import part_at
from rlkit.core.resources import keep_freed_memory, require_memory
from rlkit.core.seeding import Seeds
from rlkit.core.spaces import COMPOSED_SPACES
from rlkit.core.types import Agent, Environment, UsageError, a_kind
from rlkit.vector.manners import close_quietly, in_one_line, unchanged
from rlkit.vector.serial import SerialEnvironment
from rlkit.vector.vector import VectorEnvironment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rlkit.algorithms.tabular.compiled import CompiledLoop
    from rlkit.learners.datasets import Dataset
    from rlkit.learners.estimators.epochs import OnEpoch
    from rlkit.planning.extensive import GameTree
    from rlkit.planning.mdp import FiniteMDP
    from rlkit.planning.search import Model
    from rlkit.rendering.render_wrapper import FrameCallback

BYTES = {Vectorization.native: 100, Vectorization.sync: 10_000, Vectorization["async"]: 30_000_000}
"""Memory that an environment takes at least: in a vector, by itself, and in a process of its own."""


def configure_torch(config: TrainRunConfig) -> None:
    """Let torch compute as a run's configuration says, where it has a network."""
    if config.network is None:
        return
    import torch

    keep_freed_memory()
    torch.set_num_threads(config.threads)
    torch.use_deterministic_algorithms(config.deterministic)


COMPILED_FROM = 100_000
"""Steps from which a compiled loop pays for the time that it takes to load or, once, to compile."""


def make_environment(
    config: EnvironmentConfig,
    *,
    num_envs: int,
    render_mode: str | None = None,
    frame_callbacks: Sequence[FrameCallback] = (),
) -> Environment:
    """Build N environments.

    Args:
        config: what they are made of.
        num_envs: N.
        render_mode: Gymnasium's, for environments that take one.
        frame_callbacks: the i-th is called with every frame of environment i.

    Raises:
        UsageError: what ``env._target_`` made is no environment, or cannot be filmed.
    """
    asynchronous = config.vectorization is Vectorization["async"]
    require_memory(
        num_envs * BYTES[config.vectorization], f"a vector of {num_envs:,} environments", "set num_envs lower"
    )
    modes = ["rgb_array" if index < len(frame_callbacks) else render_mode for index in range(num_envs)]
    context = _environment_context(config, num_envs, filmed=modes[0] is not None)
    make_env = prepare(config.env, context, "env")
    with in_one_line("the environment"), unchanged():
        first = make_env(_with_mode(context, modes[0]))
    if isinstance(first, VectorEnv):
        return _native(config, make_env, first, frame_callbacks)
    if config.vectorization is Vectorization.native and not frame_callbacks:
        close_quietly(first)
        raise UsageError(
            "vectorization=native needs an environment that steps many by itself, and this one makes a single "
            f"{type(first).__name__}; take sync or async"
        )
    if not isinstance(first, gymnasium.Env):
        raise UsageError(_no_environment(config.env.get("_target_"), first))
    built, wrap = [first], wrapping(config)

    def make(index: int) -> gymnasium.Env[Any, Any]:
        env = wrap(built.pop() if built else make_env(_with_mode(context, modes[index])))
        return _with_frame_callback(env, frame_callbacks[index]) if index < len(frame_callbacks) else env

    makes = [functools.partial(make, index) for index in range(num_envs)]
    if asynchronous:
        # The workers build their own: this one must not be shared with them.
        close_quietly(built.pop())
        if config.start_method is not StartMethod.fork:
            makes = [functools.partial(_from_scratch, config, num_envs, mode) for mode in modes]
        from rlkit.vector.subprocess import SubprocessEnvironment

        return SubprocessEnvironment(
            makes,
            action_mask=config.action_mask,
            info_keys=config.info_keys,
            start_method=config.start_method.value,
        )
    return SerialEnvironment(makes, action_mask=config.action_mask, info_keys=config.info_keys)


def _no_environment(target: Any, made: Any) -> str:
    named = getattr(target, "__name__", target)
    said = f"env._target_ {named} made {a_kind(made)}, not a gymnasium.Env"
    of_gym = any(kind.__module__.partition(".")[0] == "gym" for kind in type(made).__mro__)
    return f"{said}; one of the old gym is converted by Shimmy: pip install shimmy" if of_gym else said


def _with_frame_callback(env: gymnasium.Env[Any, Any], callback: FrameCallback) -> gymnasium.Env[Any, Any]:
    from rlkit.rendering.render_wrapper import RenderWrapper

    return RenderWrapper(env, callback)


def _from_scratch(config: EnvironmentConfig, num_envs: int, render_mode: str | None) -> gymnasium.Env[Any, Any]:
    """Build one of N environments from the arguments alone, in a process that shares nothing with this one."""
    context = _environment_context(config, num_envs, filmed=render_mode is not None)
    return wrapping(config)(build(config.env, _with_mode(context, render_mode), "env"))


def make_single(
    config: EnvironmentConfig, *, num_envs: int = 1, render_mode: str | None = None
) -> gymnasium.Env[Any, Any] | VectorEnv[Any, Any, Any]:
    """Build one Gymnasium environment, as `rlkit check` looks at it.

    Where ``env._target_`` makes vector environments, it is one of those, of `num_envs`.
    """
    context = _environment_context(config, num_envs, filmed=render_mode is not None)
    with in_one_line("the environment"), unchanged():
        env = build(config.env, _with_mode(context, render_mode), "env")
        return env if isinstance(env, VectorEnv) else wrapping(config)(env)


def _environment_context(config: EnvironmentConfig, num_envs: int, *, filmed: bool) -> Context:
    """Return what the constructors of environments can ask for (`rlkit.config.injection` says how).

    `num_envs`; `render_mode`: Gymnasium's; `vectorization`: sync, async or native; `filmed`: single ones are wanted,
    for their frames; `evaluation`: it is not for training; `dataset`: what `data=` names, the same object for all;
    `rng`: a generator named after the node, alike for all.
    """
    return {
        "num_envs": lambda path: num_envs,
        "render_mode": lambda path: None,
        "filmed": lambda path: filmed,
        "vectorization": lambda path: config.vectorization.name,
        "evaluation": lambda path: config.evaluation,
        "dataset": functools.cache(lambda path: _dataset(config)),
        "rng": lambda path: Seeds(config.seed).generator(path),
    }


def _dataset(config: EnvironmentConfig) -> Dataset | None:
    """Return the data set of a run, or None where it names none."""
    if config.data is None:
        return None
    from rlkit.learners.datasets.load import load_data

    return load_data(config.data, config.seed, lambda line: None)


def _with_mode(context: Context, render_mode: str | None) -> Context:
    return {**context, "render_mode": lambda path: render_mode}


def wrapping(config: EnvironmentConfig) -> Callable[[gymnasium.Env[Any, Any]], gymnasium.Env[Any, Any]]:
    """Return what wraps an environment, its limit of steps first; a wrapper takes what it wraps first, as Gymnasium's.

    A node's ``_part_`` names the part of a `Dict` or `Tuple` observation that it wraps.

    Raises:
        UsageError: a node names no wrapper, or one that does not take its options.
    """
    makes: list[tuple[Builder, Any]] = []
    for i, node in enumerate(config.preprocess):
        if not isinstance(node, Mapping) or "_target_" not in node:
            raise UsageError(
                f"preprocess.{i} is {node!r}; it must name a wrapper: preprocess=[my_module.MyWrapper], with options "
                "'preprocess=[{_target_: my_module.MyWrapper, option: 1}]', in quotes, as shells take braces apart"
            )
        makes.append((prepare(node, {}, f"preprocess.{i}", leading=1), node.get("_part_")))

    def wrap(env: gymnasium.Env[Any, Any]) -> gymnasium.Env[Any, Any]:
        if config.max_episode_steps is not None:
            env = with_limit(env, config.max_episode_steps)
        for i, (make, part) in enumerate(makes):
            with in_one_line(f"preprocess.{i}, {title(config.preprocess[i]['_target_'])},"):
                env = make({}, env) if part is None else _wrapped_part(env, str(part), make)
        return env

    return wrap


def episode_limit(config: EnvironmentConfig) -> int | None:
    """Return the steps after which every episode is truncated, as far as the configuration or the registry says."""
    if config.max_episode_steps is not None:
        return config.max_episode_steps
    spec = gymnasium.registry.get(str(config.env.get("id")).rpartition(":")[2])
    own = config.env.get("kwargs")
    stated = own.get("max_episode_steps") if isinstance(own, Mapping) else None
    return stated or (None if spec is None else spec.max_episode_steps)


def title(target: Any) -> str:
    """Return the name of what a node makes, without its module or file."""
    return str(getattr(target, "__name__", str(target).rpartition(":")[2].rpartition(".")[2]))


def with_limit(env: gymnasium.Env[Any, Any], steps: int) -> gymnasium.Env[Any, Any]:
    """Return `env` with episodes of at most `steps`, in place of the limit that Gymnasium's registry gives it."""
    layer = env
    while isinstance(layer, gymnasium.Wrapper):
        if type(layer) is TimeLimit:
            layer._max_episode_steps = steps
            return env
        layer = layer.env
    return TimeLimit(env, steps)


def _wrapped_part(env: gymnasium.Env[Any, Any], part: str, make: Builder) -> gymnasium.Env[Any, Any]:
    from rlkit.preprocess import Part

    return Part(env, part, functools.partial(make, {}))


def _native(
    config: EnvironmentConfig, make_env: Builder, vector: Any, frame_callbacks: Sequence[FrameCallback]
) -> Environment:
    if frame_callbacks:
        if not hasattr(vector, "film"):
            close_quietly(vector)
            raise UsageError("a native vector environment cannot be filmed; set video=none, or vectorization=sync")
        vector.film(frame_callbacks)
    if config.vectorization is Vectorization["async"]:
        close_quietly(vector)
        raise UsageError(
            "vectorization=async steps single environments in processes, and this one steps many by itself; leave it "
            "out, or take the environment's own option (env.stepping=python)"
        )
    if config.max_episode_steps is not None:
        raise UsageError(
            "max_episode_steps= limits single environments, not native vector ones; use vectorization=sync, or the "
            "environment's own option"
        )
    if config.preprocess:
        raise UsageError(
            "preprocess= wraps single environments, not native vector ones; use vectorization=sync, or the "
            "environment's own option (env.stepping=python)"
        )
    built = [vector]
    num_envs = vector.num_envs // getattr(vector, "players", 1)
    context = _environment_context(config, num_envs, filmed=False)
    make = lambda: built.pop() if built else make_env(context)  # noqa: E731
    return VectorEnvironment(make, action_mask=config.action_mask, info_keys=config.info_keys)


def make_agent(
    config: AgentConfig,
    env: Environment,
    seeds: Seeds,
    notify: Callable[[str], None] = lambda line: None,
    on_epoch: OnEpoch = lambda epoch, epochs, metrics: None,
    *,
    fresh: bool = True,
    learns: bool = True,
) -> Agent:
    """Build the agent of a run for the spaces of `env`.

    Constructors can ask (`rlkit.config.injection` says how) for `observation_space` (of its part, for a node in
    ``network.encoders``, of all agents of a game for ``network.joint_torso``), `action_space`, `frame_stack`,
    `can_resign` (of `rlkit.core.types.Environment`), `goals` (returns its `rlkit.core.types.Goals`), `num_envs`
    (rows of time steps), `players` (rows that are one game), `device`, `total_steps`, `rng` (a NumPy generator of
    its own, named after the node), `generator` (a `torch.Generator`, likewise), `random_state` (a number likewise,
    for estimators), `scratch` (a folder for what need not last), `notify` (shows a line to the user), `on_epoch`
    (called after the epochs of an estimator that an agent fits), `threads`, `task` (of an estimator that predicts
    actions: classification or regression), `image_shape` (of observations that are images, else None), `model` (for
    planners: returns the `rlkit.planning.mdp.FiniteMDP` that the environment is; see `rlkit.planning.mdp.model_of`),
    `search_model` (returns the `rlkit.planning.search.Model` of it; see `rlkit.planning.search.model_of`), `simulator`
    (makes such an environment for the agent alone), `game_tree` (returns its `rlkit.planning.extensive.GameTree`; see
    `rlkit.planning.extensive.tree_of`), `fresh` (the agent begins; else a checkpoint is about to fill it), `learns`
    (else it is only to act) and `trust` (packages that the files of other runs may name; see `rlkit.config.trust`).
    """
    context: Context = {
        "observation_space": functools.partial(_observed, env.observation_space, env.players),
        "action_space": lambda path: env.action_space,
        "frame_stack": lambda path: env.frame_stack,
        "can_resign": lambda path: env.can_resign,
        "goals": lambda path: env.goals,
        "num_envs": lambda path: config.num_envs * env.players,
        "players": lambda path: env.players,
        "device": lambda path: config.device,
        "total_steps": lambda path: config.total_steps,
        "scratch": lambda path: Path(config.run_dir) / "scratch" if config.run_dir else None,
        "notify": lambda path: notify,
        "fresh": lambda path: fresh,
        "learns": lambda path: learns,
        "on_epoch": lambda path: on_epoch,
        "threads": lambda path: config.threads,
        "trust": lambda path: config.trust,
        "task": lambda path: _task(env.action_space),
        "image_shape": lambda path: env.observation_space.shape if _is_image(env.observation_space) else None,
        "model": lambda path: functools.partial(_model, config.environment),
        "search_model": lambda path: functools.partial(_search_model, config.environment),
        "simulator": lambda path: functools.partial(make_single, config.environment.in_process()),
        "game_tree": lambda path: functools.partial(_game_tree, config.environment),
        "rng": seeds.generator,
        "generator": lambda path: seeds.torch_generator(path, config.device),
        "random_state": seeds.common.number,
    }
    with _torch_seeded(config, seeds), as_typed(config.agent, config.shared, "agent"):
        agent: Agent = build(config.agent, context, "agent")
    return agent


def _observed(space: Any, players: int, path: str) -> Any:
    """Return what the node at `path` observes: of the observations' `space`, the part whose encoder it is, or all.

    What reads all agents of a game has the space of their joint observations.
    """
    if ".joint_torso" in path:
        return joint_space(space, players)
    _, among, name = path.partition(".encoders.")
    return part_at(space, name.split(".")) if among and isinstance(space, COMPOSED_SPACES) else space


def _task(action_space: Any) -> str:
    return "classification" if isinstance(action_space, gymnasium.spaces.Discrete) else "regression"


def _is_image(space: Any) -> bool:
    return isinstance(space, gymnasium.spaces.Box) and len(space.shape) in (2, 3) and space.dtype == "uint8"


def _model(config: EnvironmentConfig, samples: int | None) -> FiniteMDP:
    from rlkit.planning.mdp import model_of

    env = make_single(config.in_process())
    try:
        if isinstance(env, VectorEnv):
            raise UsageError(f"planners need a single environment, not {a_kind(env)}")
        return model_of(env, samples=samples, seed=config.seed)
    finally:
        close_quietly(env)


def _game_tree(config: EnvironmentConfig) -> GameTree:
    from rlkit.planning.extensive import tree_of

    env = make_single(config.in_process())
    try:
        if isinstance(env, VectorEnv):
            raise UsageError(f"regrets are minimized in a single environment's game, not in {a_kind(env)}")
        return tree_of(env)
    finally:
        close_quietly(env)


def _search_model(config: EnvironmentConfig, outcomes: int | None) -> Model:
    from rlkit.planning.search import model_of

    return model_of(lambda: make_single(config.in_process()), outcomes=outcomes)


def compiled_loop(config: TrainRunConfig, agent: Agent, env: Environment) -> CompiledLoop | None:
    """Return the compiled loop, or None: where the configuration leaves it out, or it does not pay or does not exist.

    Raises:
        UsageError: ``inner_loop=numba``, and there is none for this agent and environment.
    """
    asked = config.inner_loop
    if config.log.info and asked is InnerLoop.numba:
        raise UsageError("inner_loop=numba has no infos, and log.info= wants numbers of them: leave one of them out")
    if asked is InnerLoop.python or (asked is InnerLoop.auto and not _pays(config)):
        return None
    from rlkit.algorithms.tabular.compiled import compiled_loop as make_loop

    try:
        return make_loop(agent, env, action_mask=config.action_mask)
    except UsageError:
        if asked is InnerLoop.numba:
            raise
        return None


def _pays(config: TrainRunConfig) -> bool:
    """Return whether the compiled loop may pay, before anything is imported."""
    alone = config.num_envs == 1 and config.vectorization is Vectorization.sync and not config.preprocess
    return alone and config.network is None and not config.log.info and config.total_steps >= COMPILED_FROM


@contextmanager
def _torch_seeded(config: AgentConfig, seeds: Seeds) -> Iterator[None]:
    """Build networks from the run's seed, and leave torch's global generator as it was."""
    if config.network is None:
        yield
        return
    import torch

    from rlkit.networks.allocations import CheckedAllocations

    with torch.random.fork_rng(devices=[]), CheckedAllocations():
        torch.default_generator.manual_seed(seeds.common.integers("network", size=1)[0])
        yield
