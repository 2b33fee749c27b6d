"""The validated configuration of a run: frozen and typed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from omegaconf import MISSING, DictConfig, OmegaConf

from rlkit.config import injection
from rlkit.config.instantiate import plain
from rlkit.config.schemas import FitConfig, StartMethod, TrainConfig, Vectorization
from rlkit.config.trust import Trust, own_names, packages, require_literal
from rlkit.config.typed import typed

C = TypeVar("C")

DOTTED_NAME = re.compile(r"\w+(\.\w+)+")
"""The name of a wrapper in its module, which stands for a node with that ``_target_`` and no options."""


@dataclass(frozen=True)
class EnvironmentConfig:
    """The settings of environments."""

    env: Mapping[str, Any]
    preprocess: list[Any] = field(default_factory=list)
    action_mask: bool = False
    vectorization: Vectorization = Vectorization.sync
    data: Mapping[str, Any] | None = None
    seed: int = 0
    evaluation: bool = False  # for scoring or recording an agent, not for training
    max_episode_steps: int | None = None
    start_method: StartMethod = StartMethod.fork  # of worker processes
    info_keys: tuple[str, ...] = ()  # of the infos of steps, whose numbers are logged

    def in_process(self) -> EnvironmentConfig:
        """Return the settings of single environments in this process."""
        return replace(self, vectorization=Vectorization.sync)

    def for_evaluation(self) -> EnvironmentConfig:
        """Return the settings of environments in this process for scoring or recording an agent."""
        return replace(self.in_process(), evaluation=True, info_keys=())


@dataclass(frozen=True)
class AgentConfig:
    """The settings of an agent."""

    agent: Mapping[str, Any]
    network: Mapping[str, Any] | None
    num_envs: int
    device: str
    threads: int
    total_steps: int
    run_dir: str | None
    environment: EnvironmentConfig
    shared: Mapping[str, Any] = field(default_factory=dict)  # nodes of the verb's own that the agent's refer to
    trust: Trust = ()  # of the files that it reads


@dataclass(frozen=True)
class TrainRunConfig(TrainConfig):
    """A training run's ``config.yaml``."""

    name: str = MISSING
    run_dir: str = MISSING
    choices: dict[str, str] = MISSING
    from_run: dict[str, list[str]] = field(default_factory=dict)  # parameters by node, see `rlkit.config.injection`
    follows: dict[str, bool] = field(default_factory=dict)  # total_steps, see `followers`
    ranks: int = 1  # processes that train together, see `rlkit.core.ranks`

    @property
    def environment(self) -> EnvironmentConfig:
        """The settings of its environments."""
        return EnvironmentConfig(
            self.env,
            self.preprocess,
            self.action_mask,
            self.vectorization,
            self.data,
            self.seed,
            max_episode_steps=self.max_episode_steps,
            start_method=self.start_method,
            info_keys=tuple(self.log.info),
        )

    @property
    def agent_config(self) -> AgentConfig:
        """The settings of its agent."""
        return AgentConfig(
            self.agent,
            self.network,
            self.num_envs,
            self.device,
            self.threads,
            self.total_steps,
            self.run_dir,
            self.environment,
            {"network": self.network, "distribution": self.distribution, "replay": self.replay},
            packages(self.trust),
        )


@dataclass(frozen=True)
class FitRunConfig(FitConfig):
    """The ``config.yaml`` of a run of `rlkit fit`."""

    name: str = MISSING
    run_dir: str = MISSING
    choices: dict[str, str] = MISSING
    from_run: dict[str, list[str]] = field(default_factory=dict)  # parameters by node, see `rlkit.config.injection`


def requested(kind: type[C], config: DictConfig, choices: Mapping[str, str]) -> C:
    """Return the configuration of a run whose folder does not exist yet, from a composed configuration.

    Name and folder are those that the user typed, or "". What the configuration names is agreed to
    (`rlkit.config.agreed`).

    Raises:
        UsageError: a key is missing, a value has the wrong type, or looks like an interpolation.
    """
    values = findable(plain(config))
    require_literal(values, "this command")
    named = {key: values[key] or "" for key in ("name", "run_dir")}
    chosen = {key: value for key, value in choices.items() if not key.startswith("hydra/")}
    records = {"choices": chosen, "from_run": injection.shown(values)[0]}
    if own := own_names(values):
        from rlkit.config.agreed import agree

        agree(own)
    if "follows" in kind.__dataclass_fields__:  # type: ignore[attr-defined]
        records["follows"] = followers(config, values)
    return typed(kind, {**values, **named, **records})


def findable(values: dict[str, Any]) -> dict[str, Any]:
    """Return what a command composed to, as plain data, with whole names that Python finds.

    What the user's own names name may lie in the working folder.
    """
    values = with_whole_names(values)
    for name in own_names(values):
        from rlkit.config.own_code import make_importable

        make_importable(name.name)
    return values


def with_whole_names(node: Any) -> Any:
    """Return a node in which files and modules are named so that they are found from everywhere (`own_code`)."""
    if isinstance(node, list):
        return list(map(with_whole_names, node))
    if not isinstance(node, dict):
        return node
    parts = {key: with_whole_names(part) for key, part in node.items()}
    if isinstance(target := parts.get("_target_"), str) and ":" in target:
        from rlkit.config.own_code import canonical

        parts["_target_"] = canonical(target)
    if isinstance(parts.get("preprocess"), list):
        parts["preprocess"] = list(map(wrapper_node, parts["preprocess"]))
    return parts


def wrapper_node(item: Any) -> Any:
    """Return the node that a wrapper's name in its module or file stands for; anything else as it is."""
    if not isinstance(item, str):
        return item
    from rlkit.config.own_code import canonical, is_own

    return {"_target_": canonical(item)} if DOTTED_NAME.fullmatch(item) or is_own(item) else item


def followers(config: DictConfig, values: Mapping[str, Any]) -> dict[str, bool]:
    """Return the keys that depend on ``total_steps``: whether each is that number itself, or is computed from it.

    Args:
        config: a composed configuration.
        values: the same as plain data, interpolations resolved.
    """
    if "total_steps" not in values or not any(_refers(leaf) for _, leaf in leaves(OmegaConf.to_container(config), "")):
        return {}
    total = values["total_steps"]
    other = config.copy()
    OmegaConf.update(other, "total_steps", total + 1)
    moved = dict(leaves(OmegaConf.to_container(other, resolve=True, enum_to_str=True), ""))
    changed = {key: leaf for key, leaf in leaves(values, "") if key != "total_steps" and moved.get(key) != leaf}
    return {key: (leaf, moved.get(key)) == (total, total + 1) for key, leaf in changed.items()}


def leaves(node: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Yield the dotted key and the value of each leaf."""
    if isinstance(node, dict | list):
        for key, part in node.items() if isinstance(node, dict) else enumerate(node):
            yield from leaves(part, f"{path}.{key}".lstrip("."))
    else:
        yield path, node


def _refers(leaf: Any) -> bool:
    return isinstance(leaf, str) and "${" in leaf and "total_steps" in leaf
