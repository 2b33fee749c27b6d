"""Settings of constructors: frozen dataclasses, whose fields are flat keys in YAML."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import pydoc
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

import rlkit
from rlkit.agents.a2c import A2CSettings
from rlkit.agents.dqn import DQN, DQNSettings
from rlkit.agents.ppo import PPO, PPOSettings
from rlkit.config import instantiate, plugins, settings, signature
from rlkit.core.types import UsageError

if TYPE_CHECKING:
    from rlkit.replay import UniformReplay as OnlyForTypes


@dataclass(frozen=True, kw_only=True)
class Sizes:
    rate: float
    size: int

    def __post_init__(self) -> None:
        if self.size < 1:
            raise UsageError(f"agent.size is {self.size}; it must be at least 1")


@dataclass(kw_only=True)
class Changeable:
    rate: float


class Sized:
    def __init__(self, *, part: OnlyForTypes | None, settings: Sizes, seed: int = 3):
        self.part, self.settings, self.seed = part, settings, seed


class MoreSized(Sized):
    """It has the signature of the class that it extends."""


class PassingOn(Sized):
    def __init__(self, *, more: int, **options: Any):
        super().__init__(**options)
        self.more = more


class NotSized:
    def __init__(self, *, settings: Changeable):
        self.settings = settings


def node(kind: type, **keys: Any) -> dict[str, Any]:
    return {"_target_": f"test_settings.{kind.__name__}", **keys}


class TestGathering:
    @pytest.mark.parametrize(("kind", "own"), [(Sized, {}), (MoreSized, {}), (PassingOn, {"more": 1})])
    def test_flat_keys_become_the_settings(self, kind: type, own: Any) -> None:
        built: Any = instantiate.build(node(kind, part=None, rate=0.5, size=2, seed=7, **own), {}, "agent")
        assert type(built).__name__ == kind.__name__
        assert (built.settings, built.part, built.seed) == (Sizes(rate=0.5, size=2), None, 7)
        assert built.__dict__.get("more") == own.get("more")

    def test_a_misspelt_key_is_refused_with_the_nearest(self) -> None:
        with pytest.raises(UsageError, match=r"^agent\.sise is not an option of Sized; did you mean size\?$"):
            instantiate.build(node(Sized, part=None, rate=0.5, sise=2), {}, "agent")

    def test_a_key_that_is_left_out_is_named(self) -> None:
        with pytest.raises(UsageError, match=r"^agent\.size is missing: Sized needs it; give it a value"):
            instantiate.build(node(Sized, part=None, rate=0.5), {}, "agent")

    def test_a_value_of_another_type_is_refused(self) -> None:
        with pytest.raises(UsageError, match=r"^agent\.size is 'two', but it must be a whole number$"):
            instantiate.build(node(Sized, part=None, rate=0.5, size="two"), {}, "agent")

    def test_what_the_settings_refuse_is_refused(self) -> None:
        with pytest.raises(UsageError, match=r"^agent\.size is 0; it must be at least 1$"):
            instantiate.build(node(Sized, part=None, rate=0.5, size=0), {}, "agent")

    def test_a_bound_constructor_has_its_settings(self) -> None:
        bound = instantiate.build(node(Sized, part=None, rate=0.5, size=2, _partial_=True), {}, "agent")
        assert bound(seed=1).settings == Sizes(rate=0.5, size=2)

    def test_a_dataclass_that_can_change_is_an_argument_as_any_other(self) -> None:
        assert settings.settings_of(NotSized) is None
        given = Changeable(rate=1.0)
        assert settings.gathered({"settings": given}, settings.settings_of(NotSized)) == {"settings": given}


TARGETS = {
    entry.name: re.search(r"^_target_: (\S+)", entry.path.read_text(), re.MULTILINE)
    for entry in plugins.entries("agent")
}
CLASSES = {
    name: getattr(importlib.import_module(found[1].rpartition(".")[0]), found[1].rpartition(".")[2])
    for name, found in TARGETS.items()
    if found
}
TAKING = {name: kind for name, kind in CLASSES.items() if settings.settings_of(kind) is not None}
DEEP = (
    "dqn",
    "ddpg",
    "td3",
    "sac",
    "iql",
    "gail",
    "go_explore",
    "cql",
    "td3_bc",
    "ppo",
    "a2c",
    "reinforce",
    "actor_critic",
    "es",
    "alphazero",
    "muzero",
    "mbpo",
    "mcts",
    "fitted_q",
    "cloning",
    "bandit",
)


def test_the_agents_with_many_settings_take_them_as_one() -> None:
    assert set(DEEP) <= set(TAKING)


@pytest.mark.parametrize("name", DEEP)
class TestAgents:
    def test_no_option_hides_behind_two_stars(self, name: str) -> None:
        kinds = {parameter.kind for parameter in inspect.signature(TAKING[name]).parameters.values()}
        assert inspect.Parameter.VAR_KEYWORD not in kinds
        assert len(inspect.signature(TAKING[name]).parameters) <= 12

    def test_every_setting_is_in_the_yaml_and_none_in_code(self, name: str) -> None:
        found = rlkit.defaults(f"agent/{name}")
        kind = settings.settings_of(TAKING[name])
        assert kind is not None
        assert type(found) is kind.kind
        assert {parameter.default for parameter in kind.fields.values()} == {inspect.Parameter.empty}

    def test_every_setting_is_explained_and_shown_by_help(self, name: str) -> None:
        kind = type(rlkit.defaults(f"agent/{name}"))
        shown = pydoc.plain(pydoc.render_doc(kind))
        bases = " ".join(inspect.getdoc(base) or "" for base in kind.__mro__)
        for field in dataclasses.fields(kind):
            assert field.name in shown
            assert re.search(rf"^ +{field.name}: ", bases, re.MULTILINE), field.name

    def test_they_cannot_be_changed(self, name: str) -> None:
        found = rlkit.defaults(f"agent/{name}")
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(found, dataclasses.fields(found)[0].name, 1)


def test_help_says_which_settings_a_constructor_takes() -> None:
    assert "settings: 'PPOSettings'" in pydoc.plain(pydoc.render_doc(PPO))
    assert set(signature.parameters(DQN)) > {field.name for field in dataclasses.fields(DQNSettings)}


def test_a_changed_setting_is_checked() -> None:
    changed = dataclasses.replace(rlkit.defaults("agent/ppo"), gamma=0.5)
    assert isinstance(changed, PPOSettings)
    assert changed.gamma == 0.5
    for change, line in (
        ({"epochs": 0}, "agent.epochs is 0; it must be at least 1"),
        ({"gamma": 2.0}, "agent.gamma is 2; it must be from 0 to 1"),
        ({"learning_rate": -1.0}, "agent.learning_rate is -1; it must be at least 0"),
    ):
        with pytest.raises(UsageError, match=line):
            dataclasses.replace(changed, **change)


def test_agents_share_what_is_common() -> None:
    ppo, a2c = (dict(inspect.signature(kind).parameters) for kind in (PPOSettings, A2CSettings))
    assert set(a2c) == set(ppo) - {"epochs", "batch_size", "clip", "value_clip", "max_kl"}
