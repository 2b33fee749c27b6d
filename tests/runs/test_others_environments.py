"""Environments that nobody here wrote: what is odd about them costs no run, or is said in one line with the remedy."""

from __future__ import annotations

import os
import types
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import gymnasium
import numpy as np
import pytest

import rlkit
from rlkit.cli.main import main
from rlkit.config import gym_packages
from rlkit.config.compose import composed
from rlkit.core import resources
from rlkit.core.resources import of_drawing
from rlkit.core.types import FromRun, RunError, UsageError, described
from rlkit.envs import gym as gym_env
from rlkit.runs import build
from rlkit.testing import check_env, vectors
from rlkit.testing.rules import ContractError
from rlkit.vector.subprocess import SubprocessEnvironment
from rlkit.vector.vector import VectorEnvironment

SHORT = ("agent=random", "total_steps=20", "eval.every=0", "logger=[csv]", "video=none")


@pytest.fixture(autouse=True)
def _elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


class Plain(gymnasium.Env[Any, Any]):
    """Ends after three steps."""

    state_fields = ("_at",)

    def __init__(self, render_mode: str | None = None):
        if render_mode == "rgb_array":
            raise AssertionError
        self._at = 0
        self.observation_space = gymnasium.spaces.Discrete(4)
        self.action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self._at = 0
        return 0, {}

    def step(self, action: Any) -> Any:
        self._at += 1
        return self._at, 1.0, self._at == 3, False, {}


class OnScreen(Plain):
    metadata: ClassVar = {"render_modes": ["human"]}


class WithoutMetadata(Plain):
    metadata = None  # type: ignore[assignment]


class Weighted(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Wants an array, as wrappers of vector rewards do."""

    def __init__(self, env: Any, weight: np.ndarray[Any, Any] | None = None, shift: list[float] | None = None):
        super().__init__(env)
        assert weight is not None
        self.weights = weight.reshape(-1), shift


class Refusing(gymnasium.Wrapper[Any, Any, Any, Any]):
    def __init__(self, env: Any):
        super().__init__(env)
        raise NotImplementedError


def environment(*words: str) -> Any:
    from rlkit.config.run_config import TrainRunConfig, requested

    return build.make_single(requested(TrainRunConfig, *composed("train", [*SHORT, *words])).environment)


OWN = f"env={__name__}:Plain"


def test_lists_are_arrays_where_arrays_are_declared() -> None:
    wrapper = f"wrappers=[{{_target_: {__name__}.Weighted, weight: [0.7, 0.3], shift: [1.0]}}]"
    weight, shift = environment(OWN, wrapper).weights
    np.testing.assert_array_equal(weight, [0.7, 0.3])
    assert shift == [1.0]


def test_the_wrapper_that_raises_is_named_and_the_line_that_it_failed_in() -> None:
    with pytest.raises(
        UsageError, match=r"^preprocess\.0, Refusing, raised NotImplementedError at .*, line \d+: raise No"
    ):
        environment(OWN, f"wrappers=[{__name__}.Refusing]")


def test_metadata_of_none_are_none(capsys: pytest.CaptureFixture[str]) -> None:
    run = rlkit.train(*SHORT, env=WithoutMetadata)
    assert run.evaluate(episodes=2)["length"]["mean"] == 3
    assert main(["check", f"env={__name__}:WithoutMetadata", "steps=30"]) == 1
    said = [line for line in capsys.readouterr().out.splitlines() if "FAIL" in line]
    remedy = "metadata is None; it must be a dict: metadata = {'render_modes': []}"
    assert said == [f"  FAIL  gymnasium_check_env: {remedy}"]


def test_an_environment_that_draws_on_a_screen_alone_is_not_filmed() -> None:
    gymnasium.register("OnScreen-v0", entry_point=OnScreen)
    try:
        said = r"^OnScreen-v0 cannot be filmed: it draws by render_mode human, and not rgb_array; set video=none$"
        with pytest.raises(UsageError, match=said), pytest.warns(UserWarning, match="not in the possible render_modes"):
            gym_env.make("OnScreen-v0", {}, 1, "sync", True, "rgb_array")
    finally:
        del gymnasium.registry["OnScreen-v0"]


def test_an_id_of_the_old_gym_names_shimmy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "legacy.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(UsageError, match=r"legacy registers none with Gymnasium; .*Shimmy.*env=legacy:ItsClass$"):
        gym_env.make("legacy:Old-v0", {}, 1, "sync", False)
    old = types.ModuleType("gym")
    vars(old)["envs"] = types.SimpleNamespace(registry={"Old-v0": None})
    monkeypatch.setitem(__import__("sys").modules, "gym", old)
    with pytest.raises(
        UsageError, match=r"but one of the old gym: Shimmy converts it \(pip install shimmy; env\.id=Gym"
    ):
        gym_env.make("legacy:Old-v0", {}, 1, "sync", False)


@pytest.mark.parametrize(
    ("error", "helps"),
    [
        (ImportError("Cannot initialize a EGL device display"), True),
        (RuntimeError("an OpenGL platform library has not been loaded"), True),
        (AttributeError("'NoneType' object has no attribute 'legs'"), False),
        (ValueError("a square puzzle of singles"), False),
    ],
)
def test_drawing_without_a_screen_has_a_remedy(error: Exception, helps: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "has_display", lambda: False)
    monkeypatch.delenv("MUJOCO_GL", raising=False)
    assert ("MUJOCO_GL=egl" in of_drawing(error)) is helps
    monkeypatch.setenv("MUJOCO_GL", "egl")
    assert ("MUJOCO_GL=egl does not work here" in of_drawing(error)) is helps
    monkeypatch.setattr(resources, "has_display", lambda: True)
    assert of_drawing(error) == ""


def test_pyglet_without_a_screen_has_a_remedy_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "has_display", lambda: False)
    monkeypatch.delenv("PYGLET_HEADLESS", raising=False)
    error = RuntimeError("pyglet.display.xlib.NoSuchDisplayException: Cannot connect to None")
    assert "PYGLET_HEADLESS=1 before the command" in of_drawing(error)
    monkeypatch.setenv("PYGLET_HEADLESS", "1")
    assert of_drawing(error) == ""


def test_an_exception_without_a_text_is_said_with_its_line() -> None:
    with pytest.raises(AssertionError) as caught:
        Plain("rgb_array")
    said = described(caught.value)
    assert said.startswith("AssertionError at test_others_environments.py, line ")
    assert said.endswith(": raise AssertionError")
    assert described(KeyError()) == "KeyError"


@pytest.mark.parametrize("method", ["forkserver", "spawn"])
@pytest.mark.slow
def test_workers_that_begin_from_scratch_step_alike(method: str) -> None:
    words = ("num_envs=2", "vectorization=async", "seed=3")
    forked = rlkit.train(*SHORT, *words, "env=cartpole", "name=forked")
    other = rlkit.train(*SHORT, *words, "env=cartpole", f"start_method={method}", f"name={method}")
    for name in ("episodes.csv", "metrics.csv"):
        assert (forked.directory / name).read_bytes() == (other.directory / name).read_bytes()


def test_a_worker_that_ends_at_once_has_a_remedy() -> None:
    def leave() -> Any:
        if os.getpid() != parent:
            os._exit(3)
        return Plain()

    parent = os.getpid()
    with pytest.raises(
        UsageError, match=r"^a worker process .* ended as soon as it had begun; start_method=spawn begins"
    ):
        SubprocessEnvironment([leave])


class Other:
    """An array of another library: only NumPy can make one of NumPy of it."""

    def __init__(self, value: Any):
        self._value = value

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return np.array(self._value, dtype)


class OthersArrays(gymnasium.vector.VectorEnv[Any, Any, Any]):
    metadata: ClassVar = {"autoreset_mode": gymnasium.vector.AutoresetMode.NEXT_STEP}

    def __init__(self, num_envs: int = 2):
        self.num_envs = num_envs
        self.single_observation_space = gymnasium.spaces.Box(0, 9, (1,), np.float32)
        self.single_action_space = gymnasium.spaces.Discrete(2)
        self._at = np.zeros(num_envs)

    def reset(self, *, seed: Any = None, options: Any = None) -> Any:
        self._at = np.zeros(self.num_envs)
        return self._at[:, None].astype(np.float32), {}

    def step(self, actions: Any) -> Any:
        self._at = np.where(self._at >= 3, 0, self._at + 1)
        over = self._at == 3
        observation = self._at[:, None].astype(np.float32)
        return observation, Other(np.ones(self.num_envs, np.float32)), Other(over), Other(~over & False), {}


def test_arrays_of_another_library_are_numpy_s_beyond_the_boundary() -> None:
    env = VectorEnvironment(OthersArrays)
    env.reset([0])
    steps = [env.step(np.zeros(2, np.int64)) for _ in range(4)]
    assert all(type(part) is np.ndarray for step in steps for part in (step.reward, step.last, step.discount))
    assert [step.last[0] for step in steps] == [False, False, True, False]


class Opaque(Plain):
    def __init__(self) -> None:
        super().__init__()
        self.undeclared = 0


def test_long_episodes_between_two_checkpoints_are_warned_of(capsys: pytest.CaptureFixture[str]) -> None:
    words = (
        "agent=random",
        "total_steps=20",
        "eval.every=0",
        "logger=[terminal]",
        "video=none",
        "checkpoint.every=100",
    )
    said = "an episode may last 40 steps, which in 3 environments are 120"
    gymnasium.register("Opaque-v0", entry_point=Opaque, max_episode_steps=40)
    try:
        for more, warned in (("num_envs=3", True), ("num_envs=2", False)):
            rlkit.train(*words, "env=gym", "env.id=Opaque-v0", more)
            text = " ".join(capsys.readouterr().out.split())
            assert "cannot be read: new episodes start every 100 steps" in text
            assert (said in text and "checkpoint.every=240 lets them end" in text) is warned
    finally:
        del gymnasium.registry["Opaque-v0"]


def test_a_slow_environment_is_checked_in_the_time_that_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    from rlkit.testing import environments

    monkeypatch.setattr(environments, "_pace", lambda make: 100.0)
    lines: list[str] = []
    rlkit_check = partial(environments.check_env, Plain, steps=1500, notify=lines.append)
    results = rlkit_check(seconds=20)
    assert all(result.passed for result in results)
    assert lines == ["it makes 100 steps a second: each rule plays 100 steps, not 1500 (seconds=20)"]
    assert environments._affordable(Plain, 1500, 1e6, lines.append) == 1500
    assert environments._affordable(Plain, 1500, 0.1, lines.append) == environments.FEWEST


class Seeded(OthersArrays):
    """Begins at random, by the seed of its constructor alone."""

    def __init__(self, *, ignores: bool, alike: bool = False):
        super().__init__(3)
        self._ignores, self._alike = ignores, alike

    def reset(self, *, seed: Any = None, options: Any = None) -> Any:
        rng = np.random.default_rng(7 if self._ignores else seed)
        self._at = np.full(3, 2.0) if self._alike else rng.permutation(3).astype(float)
        return self._at[:, None].astype(np.float32), {}


def test_a_vector_environment_that_ignores_seeds_breaks_a_rule() -> None:
    def said(**options: bool) -> str | None:
        return vectors.seeds_make_a_difference(vectors.VectorCase(partial(Seeded, **options), 0, 10, False))

    assert said(ignores=False) is None
    assert (
        said(ignores=True, alike=True)
        == "the seeds [0, 1, 2] begin alike: episodes always begin so, or the seed is ignored"
    )
    with pytest.raises(
        ContractError, match=r"^its environments begin differently, but alike after reset\(seed=…\) with"
    ):
        said(ignores=True)


class Drawn(Plain):
    """Drawing changes what is observed, by `drift`."""

    metadata: ClassVar = {"render_modes": ["rgb_array"], "render_fps": 10}
    drift = 0.0

    def __init__(self, render_mode: str | None = None):
        super().__init__()
        self.render_mode = render_mode
        self.observation_space = gymnasium.spaces.Box(0, 9, (1,), np.float64)
        self._moved = 0.0

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        self._moved = 0.0
        return np.zeros(1), super().reset(seed=seed)[1]

    def step(self, action: Any) -> Any:
        at, *rest = super().step(action)
        return np.array([at + self._moved]), *rest

    def render(self) -> Any:
        self._moved += self.drift
        return np.zeros((8, 8, 3), np.uint8)


@pytest.mark.parametrize(
    ("drift", "passed", "said"),
    [(0.0, True, ""), (1e-14, True, "changes the simulation by rounding"), (1e-3, False, "it must only draw")],
)
def test_drawing_may_change_a_simulation_by_rounding(
    drift: float, passed: bool, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Drawn, "drift", drift)
    results = {result.rule: result for result in check_env(Drawn, steps=40, strict=False)}
    assert results["pictures_are_rgb"].passed is passed
    assert said in results["pictures_are_rgb"].message


def test_a_reward_of_several_numbers_that_a_wrapper_makes_one_is_that() -> None:
    class Several(Plain):
        def step(self, action: Any) -> Any:
            observation, _, *rest = super().step(action)
            return observation, np.array([1.0, 3.0]), *rest

    class Summed(gymnasium.RewardWrapper[Any, Any]):
        def reward(self, reward: Any) -> float:
            return float(reward @ [0.5, 0.25])

    run = rlkit.train(*SHORT, env=Several, wrappers=[Summed])
    assert set(run.episodes["return/raw"]) == {3 * 1.25}


def test_ids_of_installed_packages_are_listed_and_suggested(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "games").mkdir()
    (tmp_path / "games/__init__.py").write_text(
        'raise SystemExit\nregister(id="Castle-v2", entry_point="games:Castle")\n'
    )
    about = tmp_path / "games-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: games\nVersion: 1\nRequires-Dist: gymnasium>=1\n")
    (about / "RECORD").write_text("games/__init__.py,,\ngames-1.dist-info/METADATA,,\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    gym_packages.ids_of_packages.cache_clear()
    try:
        assert main(["list", "gym"]) == 0
        assert "games:Castle-v2" in capsys.readouterr().out.split()
        for id, said in (
            ("Castle-v2", "registers it when it is imported: env.id=games:Castle-v2"),
            ("Castel-v2", "did you"),
        ):
            with pytest.raises(UsageError, match=said):
                gym_env.make(id, {}, 1, "sync", False)
    finally:
        gym_packages.ids_of_packages.cache_clear()


class Alone(Plain):
    """A simulator of which a process holds one at a time."""

    alive: ClassVar[list[int]] = []

    def __init__(self) -> None:
        super().__init__()
        if Alone.alive:
            raise RuntimeError("only one emulator in a process")
        Alone.alive.append(1)

    def close(self) -> None:
        Alone.alive.clear()


class Failing(Plain):
    """Fails in the second evaluation, unless it is mended."""

    state_fields = ("_fails",)
    built: ClassVar[list[int]] = []
    mended = False

    def __init__(self, evaluation: FromRun[bool]) -> None:
        super().__init__()
        if evaluation:
            Failing.built.append(1)
        # One is built to see whether it can be, two for the first evaluation.
        self._fails = evaluation and len(Failing.built) > 3

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        if self._fails and not Failing.mended:
            raise RuntimeError("no emulator")
        return super().reset(seed=seed, options=options)


EVALUATED = ("agent=random", "eval.every=10", "eval.episodes=2", "logger=[csv]", "video=none", "checkpoint.every=100")


def test_where_a_process_holds_one_environment_evaluations_are_left_out() -> None:
    said = r"^for evaluations, a second environment cannot be made: .*only one emulator.*; eval\.every=0 trains without"
    with pytest.raises(UsageError, match=said):
        rlkit.train(*EVALUATED, "total_steps=20", env=Alone)
    Alone.alive.clear()
    rlkit.train(*SHORT, env=Alone)


def test_a_failed_evaluation_costs_nothing_of_the_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(Failing, "built", [])
    with pytest.raises(RunError, match=r"^the evaluation at step 20 failed: .*no emulator"):
        rlkit.train(*EVALUATED, "total_steps=40", env=Failing, run_dir=tmp_path / "failed")
    monkeypatch.setattr(Failing, "mended", True)
    again = rlkit.load(tmp_path / "failed")
    assert isinstance(again, rlkit.Run)
    assert again.checkpoints == [20]
    rlkit.train(resume=tmp_path / "failed")
    rlkit.train(*EVALUATED, "total_steps=40", env=Failing, run_dir=tmp_path / "whole")
    for name in ("episodes.csv", "evaluations.csv", "metrics.csv"):
        assert (tmp_path / "failed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_the_time_of_a_slow_rule_is_shown(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from rlkit.cli.verbs import check
    from rlkit.testing import Result

    clock = iter([0.0, 12.4, 13.0])
    monkeypatch.setattr(check.time, "perf_counter", lambda: next(clock))
    printer = check.Printer()
    printer.add(Result("slow_rule", True, ""))
    printer.add(Result("quick_rule", False, "why"))
    assert capsys.readouterr().out == "  ok    slow_rule (12 s)\n  FAIL  quick_rule: why\n"
