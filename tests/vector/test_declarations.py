"""What classes declare of themselves: state, frames, looking on; and how far subclasses inherit it."""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from collections.abc import Callable
from functools import cached_property, partial, wraps
from pathlib import Path
from typing import Any, ClassVar

import gymnasium
import kills
import numpy as np
import pytest
from gymnasium import spaces, wrappers
from gymnasium.envs.classic_control import CartPoleEnv

from rlkit.cli.main import main
from rlkit.core.declarations import attributes_set_by
from rlkit.core.types import UsageError
from rlkit.preprocess import ClipReward, FrameStack, LifeLoss, SignReward
from rlkit.testing import check_env
from rlkit.testing.driving import resumed_play
from rlkit.vector import snapshot
from rlkit.vector.frame_stack import frame_stack
from rlkit.vector.serial import SerialEnvironment
from rlkit.vector.subprocess import SubprocessEnvironment
from toys import Line, Plain, Tiring, assert_same


class Clock(gymnasium.Env):
    """A user's own environment, its state declared."""

    observation_space = spaces.Box(0, 99, (2,), np.float32)
    action_space = spaces.Discrete(2)
    state_fields: tuple[str, ...] = ("hand", "past")

    def __init__(self) -> None:
        self.hand, self.past = 0, np.zeros(3)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self.hand, self.past = int(self.np_random.integers(5)), np.zeros(3)
        return self.shown(), {}

    def step(self, action: int) -> Any:
        self.hand += 1
        self.past[self.hand % 3] += self.np_random.random() + action
        return self.shown(), float(self.past.sum()), self.hand >= 12, False, {}

    def shown(self) -> Any:
        return np.array([self.hand, self.past.max()], np.float32)


class Alarm(Clock):
    """Adds state, and declares what it adds."""

    state_fields = ("rung",)

    def __init__(self) -> None:
        super().__init__()
        self.rung = 0.0

    def reset(self, **kwargs: Any) -> Any:
        self.rung = 0.0
        return super().reset(**kwargs)

    def step(self, action: int) -> Any:
        self.rung += 0.25
        observation, reward, *rest = super().step(action)
        return observation, reward + self.rung, *rest


class Shiny(Clock):
    """Adds nothing but looks."""

    def render(self) -> Any:
        return np.zeros((2, 2, 3), np.uint8)


class Counted(Plain):
    """Adds a declared attribute to what its base reads by methods."""

    state_fields = ("taken",)
    taken = 0

    def step(self, action: int) -> Any:
        self.taken += 1
        observation, reward, *rest = super().step(action)
        return observation, reward + self.taken, *rest


class Slow(CartPoleEnv):
    """A subclass of one of Gymnasium's."""

    def reset(self, **kwargs: Any) -> Any:
        return super().reset(**kwargs)


MAKES: dict[str, Callable[[], gymnasium.Env]] = {
    "an environment's fields": Clock,
    "a subclass's own beside its base's": Alarm,
    "a subclass's that adds none": Shiny,
    "fields beside methods": Counted,
    "a subclass of Gymnasium's": lambda: wrappers.TimeLimit(Slow(), 30),
    "a wrapper's fields": lambda: Tiring(Clock()),
    "around a stack": lambda: Tiring(FrameStack(Clock(), 3)),
}


@pytest.mark.parametrize("kind", [SerialEnvironment, SubprocessEnvironment])
@pytest.mark.parametrize("make", MAKES.values(), ids=list(MAKES))
def test_what_is_declared_goes_on_in_another_environment(make: Any, kind: Any) -> None:
    env = kind([make])
    env.reset([0])
    assert env.why_opaque() is None
    env.close()
    assert resumed_play(partial(kind, [make] * 2), seed=3, steps=100) is False, "not truncated by checkpoints"


def test_a_declared_environment_keeps_the_contract() -> None:
    results = {result.rule: result for result in check_env(Alarm, steps=100)}
    assert results["restored_state_continues"].message == ""


def started(folder: Path, *words: str) -> Any:
    """Start a run in a process of its own, a copy of this one: it finds the modules of the tests."""
    folder.mkdir(exist_ok=True)

    def run() -> None:
        os.chdir(folder)
        sys.exit(main(["train", *words]))

    process = multiprocessing.get_context("fork").Process(target=run)
    process.start()
    return process


def finish(process: Any) -> None:
    process.join(60)
    assert process.exitcode == 0


@pytest.mark.parametrize("vectorization", ["sync", "async"])
def test_a_run_with_a_users_own_wrapper_that_is_killed_and_resumed_ends_the_same(
    vectorization: str, tmp_path: Path
) -> None:
    words = f"agent=q_learning env=frozen_lake tuned=none num_envs=2 vectorization={vectorization} total_steps=1500"
    words = f"{words} {kills.PERIODS} run_dir=runs/case preprocess=[{{_target_:toys.Tiring,memory:4}}]"
    finish(started(tmp_path / "whole", *words.split()))
    killed = started(tmp_path / "killed", *words.split())
    while not (tmp_path / "killed/runs/case/checkpoints/700/manifest.json").exists():
        assert killed.exitcode is None, "it ended too early"
        time.sleep(0.001)
    killed.kill()
    killed.join()
    finish(started(tmp_path / "killed", "resume=runs/case", "trust=toys"))
    assert kills.compare(tmp_path / "whole/runs/case", tmp_path / "killed/runs/case") == []


class Adds(SignReward):
    def __init__(self, env: gymnasium.Env):
        super().__init__(env)
        self.total = 0.0


class AddsLater(SignReward):
    def step(self, action: Any) -> Any:
        self.last = action
        return super().step(action)


class AddsWithin(SignReward):
    def step(self, action: Any) -> Any:
        def note() -> None:
            self.last = action

        note()
        return super().step(action)


def traced(function: Any) -> Any:
    @wraps(function)
    def call(*given: Any, **kwargs: Any) -> Any:
        return function(*given, **kwargs)

    return call


class AddsBehindADecorator(SignReward):
    @traced
    def step(self, action: Any) -> Any:
        self.last = action
        return super().step(action)


class AddsByName(SignReward):
    def step(self, action: Any) -> Any:
        setattr(self, "la" + "st", action)
        return super().step(action)


class AddsByAProperty(SignReward):
    @property
    def twice(self) -> Any:
        self.asked = True
        return 2


class AddsAList(SignReward):
    seen: list[Any] = []  # noqa: RUF012 - as somebody may write it


class AddsACache(SignReward):
    @cached_property
    def first(self) -> Any:
        return self.env


class Changes(ClipReward):
    def step(self, action: Any) -> Any:
        self._low *= 0.9
        return super().step(action)


class Mixin:
    def note(self) -> None:
        self.noted = True


class Mixed(SignReward, Mixin):
    pass


class Under(Adds):
    """Its base is the one that adds."""


UNDECLARED = {
    Adds: "total",
    AddsLater: "last",
    AddsWithin: "last",
    AddsBehindADecorator: "last",
    AddsByName: "setattr",
    AddsByAProperty: "asked",
    AddsAList: "seen",
    AddsACache: "first",
    Mixed: "noted",
    Under: "total",
}


@pytest.mark.parametrize("kind", UNDECLARED, ids=lambda kind: kind.__name__)
def test_a_subclass_that_sets_more_and_does_not_declare_it_cannot_be_read(kind: Any) -> None:
    env = wrappers.TimeLimit(kind(Plain()), 9)
    assert snapshot.capture(env) is None
    assert snapshot.why_opaque(env) == (
        f"test_declarations.{kind.__name__} sets {UNDECLARED[kind]}, which no state_fields of it name; let it declare "
        "state_fields of its own: those of them that change while it runs, or () where none does"
    )


def test_a_subclass_that_changes_what_its_base_only_reads_cannot_be_read() -> None:
    assert "Changes sets _low, which no" in str(snapshot.why_opaque(Changes(Plain(), -1.0, 1.0)))


def test_it_is_read_once_it_declares_them() -> None:
    class Declared(Adds):
        state_fields = ("total",)

    class NoneChanges(Adds):
        state_fields = ()

    class Below(Declared):
        """Declares nothing, and adds nothing."""

    assert snapshot.capture(Declared(Plain()))["layers"][0] == {"total": 0.0}  # type: ignore[index]
    assert snapshot.capture(NoneChanges(Plain()))["layers"][0] == {}  # type: ignore[index]
    assert snapshot.capture(Below(Plain()))["layers"][0] == {"total": 0.0}  # type: ignore[index]


def test_gymnasiums_own_attributes_are_no_state() -> None:
    class Wider(SignReward):
        def __init__(self, env: gymnasium.Env):
            super().__init__(env)
            self.observation_space = spaces.Box(-9, 999, (3,), np.float32)
            self.metadata = {"render_modes": []}

    assert snapshot.why_opaque(Wider(Plain())) is None


def test_a_misspelt_field_and_one_that_is_no_tuple_are_named() -> None:
    class Misspelt(Clock):
        state_fields = ("hadn",)

    class Method(Clock):
        state_fields = ("shown",)

    class Text(Clock):
        state_fields = "hand"  # type: ignore[assignment]

    assert "Misspelt declares state_fields hadn, which nothing in it sets" in str(snapshot.why_opaque(Misspelt()))
    assert "Method declares state_fields shown, which nothing" in str(snapshot.why_opaque(Method()))
    with pytest.raises(UsageError, match=r"state_fields of .*Text is 'hand'; it must be a tuple of names"):
        snapshot.capture(Text())


def test_a_field_may_be_a_property_or_not_be_set_yet() -> None:
    class Degrees(gymnasium.Wrapper):
        state_fields = ("angle", "_turns")

        @property
        def angle(self) -> float:
            return self.radians * 2

        @angle.setter
        def angle(self, value: float) -> None:
            self.radians = value / 2

        def turn(self) -> None:
            self._turns = 1

    env, other = Degrees(Plain()), Degrees(Plain())
    env.angle, other.angle = 3.0, 8.0
    other.turn()
    state: Any = snapshot.capture(env)
    assert state["layers"][0] == {"angle": 3.0}
    snapshot.restore(other, state)
    assert (other.radians, hasattr(other, "_turns")) == (1.5, False)


def test_a_run_says_which_layer_it_cannot_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = "agent=random env=cartpole total_steps=60 checkpoint.every=30 eval.every=0 video=none"
    assert main(["train", *words.split(), "preprocess=[{_target_: test_declarations.Adds}]"]) == 0
    output = capsys.readouterr().out
    assert "new episodes start every 30 steps, for an exact resume" in output
    assert "why it cannot be read: test_declarations.Adds sets total, which no state_fields of it name" in output


def image(count: int) -> Any:
    return np.full((4, 4), count, np.uint8)


class Screen(gymnasium.Env):
    observation_space = spaces.Box(0, 255, (4, 4), np.uint8)
    action_space = spaces.Discrete(2)


class Renamed(FrameStack):
    """A stack of another name."""


class Loud(ClipReward):
    """Says what it clips."""

    def limits(self) -> Any:
        return self._low, self._high


class Blurred(SignReward):
    """Shows something else than its base does."""

    def step(self, action: Any) -> Any:
        observation, *rest = super().step(action)
        return observation // 2, *rest


class Reversed(FrameStack):
    def reset(self, **kwargs: Any) -> Any:
        observation, info = super().reset(**kwargs)
        return observation[::-1], info


class Whole(Blurred):
    """Says that it leaves frames alone all the same."""

    keeps_frames = True


class Unsure(SignReward):
    keeps_frames = False


class Watcher(gymnasium.Wrapper):
    only_watches = True

    def __init__(self, env: gymnasium.Env):
        super().__init__(env)
        self.file = open  # no plain data


class Strip(gymnasium.Wrapper):
    """A user's own stack."""

    frame_stack = 2


@pytest.mark.parametrize(
    ("wrap", "frames"),
    [
        (lambda env: Renamed(env, 4), 4),
        (lambda env: Loud(Renamed(env, 4), -1, 1), 4),
        (lambda env: Watcher(FrameStack(env, 3)), 3),
        (lambda env: Whole(FrameStack(env, 3)), 3),
        (lambda env: LifeLoss(Strip(env)), 2),
        (lambda env: wrappers.ClipReward(type("Mine", (wrappers.FrameStackObservation,), {})(env, 3), 0, 1), 3),
        (lambda env: Blurred(FrameStack(env, 3)), 1),
        (lambda env: Reversed(env, 3), 1),
        (lambda env: Unsure(FrameStack(env, 3)), 1),
        (lambda env: Tiring(FrameStack(env, 3)), 1),
    ],
)
def test_frames_are_kept_by_what_declares_it_and_does_not_show_otherwise(wrap: Any, frames: int) -> None:
    assert frame_stack(wrap(Screen())) == frames


def test_what_only_watches_is_no_part_of_a_state() -> None:
    plain, watched = Plain(), Watcher(Plain())
    for env in (plain, watched):
        env.reset(seed=2)
    assert_same(snapshot.capture(plain), snapshot.capture(watched))


def test_attributes_are_read_from_the_code_of_a_class_alone() -> None:
    assert attributes_set_by(Clock) == {"hand", "past"}
    assert attributes_set_by(Alarm) == {"rung"}
    assert attributes_set_by(Shiny) == set()
    assert attributes_set_by(Line) == {"_length", "_terminates", "_fails_at", "_episode", "_at", "_steps"}


class OnlySteps(gymnasium.Wrapper):
    def step(self, action: Any) -> Any:
        return self.env.step(action)


class OnlyRewards(gymnasium.RewardWrapper):
    def reward(self, reward: Any) -> float:
        return float(reward) / 2


class Wider(gymnasium.ObservationWrapper):
    """Sets only what Gymnasium's own attributes are."""

    def __init__(self, env: Any):
        super().__init__(env)
        self.observation_space = gymnasium.spaces.Box(-9, 9, (4,))

    def observation(self, observation: Any) -> Any:
        return observation


class Counting(OnlySteps):
    def reset(self, **keys: Any) -> Any:
        self._count = 0
        return super().reset(**keys)


class ByName(OnlySteps):
    def step(self, action: Any) -> Any:
        setattr(self, "_last", action)  # noqa: B010
        return super().step(action)


class Pushes(OnlySteps):
    def step(self, action: Any) -> Any:
        self.env.unwrapped.gravity += 1.0  # type: ignore[attr-defined]
        return super().step(action)


class Keeps(gymnasium.ActionWrapper):
    kept: ClassVar[list[Any]] = []

    def action(self, action: Any) -> Any:
        self.kept.append(action)
        return action


@pytest.mark.parametrize("kind", [OnlySteps, OnlyRewards, Wider, gymnasium.Wrapper])
def test_a_wrapper_that_sets_nothing_has_no_state_and_declares_nothing(kind: Any) -> None:
    env = kind(CartPoleEnv())
    env.reset(seed=0)
    assert snapshot.why_opaque(env) is None
    state = snapshot.capture(env)
    after = env.step(1)[0]
    snapshot.restore(env, state)
    assert np.array_equal(env.step(1)[0], after)


@pytest.mark.parametrize("kind", [Counting, ByName, Pushes, Keeps])
def test_a_wrapper_that_sets_something_must_say_what_changes(kind: Any) -> None:
    why = snapshot.why_opaque(kind(CartPoleEnv()))
    assert why is not None
    assert why.endswith(f"{kind.__name__} declares no state_fields and offers no get_state() and set_state(state)")
