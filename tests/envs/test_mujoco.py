"""MuJoCo's robots: the state in the middle of an episode, options, and pictures without a screen."""

from __future__ import annotations

import pickle
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import yaml
from locations import ROOT, TESTS

import rlkit
from rlkit.cli.main import main
from rlkit.core.types import UsageError
from rlkit.envs.mujoco import make
from rlkit.vector import mujoco_state, snapshot
from toys import assert_same

SUITE = {
    "ant": "Ant-v5",
    "half_cheetah": "HalfCheetah-v5",
    "hopper": "Hopper-v5",
    "humanoid": "Humanoid-v5",
    "humanoid_standup": "HumanoidStandup-v5",
    "inverted_double_pendulum": "InvertedDoublePendulum-v5",
    "inverted_pendulum": "InvertedPendulum-v5",
    "pusher": "Pusher-v5",
    "reacher": "Reacher-v5",
    "swimmer": "Swimmer-v5",
    "walker2d": "Walker2d-v5",
}


def options(name: str) -> dict[str, Any]:
    node = yaml.safe_load((ROOT / f"conf/env/{name}.yaml").read_text())
    assert node.pop("_target_") == "rlkit.envs.mujoco.make"
    return dict(node)


def begun(name: str, seed: int, steps: int) -> gymnasium.Env[Any, Any]:
    env = make(**options(name))
    env.reset(seed=seed)
    env.action_space.seed(seed)
    for _ in range(steps):
        if any(env.step(env.action_space.sample())[2:4]):
            env.reset()
    return env


def rolled(env: gymnasium.Env[Any, Any], actions: Any) -> list[Any]:
    """Return all that an environment answers; after an end it begins again, by its own generator."""
    answers: list[Any] = []
    for action in actions:
        answers.append(env.step(action))
        if answers[-1][2] or answers[-1][3]:
            answers.append(env.reset())
    return answers


def actions_of(name: str, count: int = 60) -> Any:
    space = make(**options(name)).action_space
    rng = np.random.default_rng(3)
    # Small ones, so that most of the steps are those of the episode.
    return rng.uniform(space.low / 2, space.high / 2, (count, *space.shape)).astype(np.float32)


@pytest.mark.parametrize("name", SUITE)
def test_a_state_of_the_middle_of_an_episode_goes_on_bit_for_bit(name: str) -> None:
    env, other = begun(name, 1, 7), begun(name, 2, 3)
    saved = snapshot.capture(env)
    assert saved is not None, snapshot.why_opaque(env)
    snapshot.restore(other, saved)
    assert_same(snapshot.capture(other), saved)
    actions = actions_of(name)
    assert_same(rolled(other, actions), rolled(env, actions))


def test_so_it_does_in_another_process(tmp_path: Path) -> None:
    wanted = {}
    for name in SUITE:
        env = begun(name, 1, 7)
        saved, actions = snapshot.capture(env), actions_of(name, 41)
        wanted[name] = (saved, actions, rolled(env, actions))
    path = tmp_path / "states"
    path.write_bytes(pickle.dumps(wanted))
    script = f"import sys; sys.path.insert(0, {str(TESTS / 'envs')!r}); sys.path.insert(0, {str(TESTS)!r})\n"
    script += f"import test_mujoco; test_mujoco.go_on({str(path)!r})"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.split()) == (0, list(SUITE)), done.stderr


def go_on(path: str) -> None:
    """Restore states of another process, and compare what follows with what followed there."""
    for name, (saved, actions, wanted) in pickle.loads(Path(path).read_bytes()).items():
        env = begun(name, 2, 3)
        snapshot.restore(env, saved)
        assert_same(rolled(env, actions), wanted)
        print(name)


@pytest.mark.parametrize("name", ["ant", "pusher"])
def test_a_run_resumed_within_its_episodes_ends_bit_for_bit(name: str, tmp_path: Path) -> None:
    words = [f"env={name}", "agent=random", "num_envs=2", "logger=[csv]", "video=none", "eval.every=0", "log.every=20"]
    whole, part = tmp_path / "whole", tmp_path / "part"
    rlkit.train(*words, "total_steps=120", "checkpoint.every=62", f"run_dir={whole}")
    shutil.copytree(whole, part)
    shutil.rmtree(part / "checkpoints/120")
    rlkit.train(f"resume={part}")
    ends = [sorted((folder / "checkpoints/120").rglob("*.*")) for folder in (whole, part)]
    assert len(ends[0]) == len(ends[1]) > 1
    pairs = [*zip(*ends, strict=True), *((whole / file, part / file) for file in ("metrics.csv", "episodes.csv"))]
    assert [one for one, other in pairs if one.read_bytes() != other.read_bytes()] == []


class Own(gymnasium.envs.registration.load_env_creator("gymnasium.envs.mujoco.hopper_v5:HopperEnv")):  # type: ignore[misc]
    """A user's own robot, which counts."""

    state_fields = ("_count",)
    _count = 0

    def step(self, action: Any) -> Any:
        self._count += 1
        return super().step(action)


def test_a_subclass_of_a_user_declares_its_own_state_alone() -> None:
    env, other = Own(), Own()
    for each in (env, other):
        each.reset(seed=0)
    env.step(np.ones(3, np.float32))
    saved = snapshot.capture(env)
    snapshot.restore(other, saved)  # type: ignore[arg-type]
    assert other._count == 1
    assert_same(snapshot.capture(other), saved)

    class Silent(Own):
        def step(self, action: Any) -> Any:
            self._forgotten = 1
            return super().step(action)

    assert "sets _forgotten, which no state_fields of it name" in str(snapshot.why_opaque(Silent()))


def test_a_state_of_another_model_is_refused() -> None:
    hopper, ant = begun("hopper", 0, 1).unwrapped, begun("ant", 0, 1).unwrapped
    state = mujoco_state.read(hopper.model, hopper.data)
    with pytest.raises(ValueError, match="is none of this MuJoCo model"):
        mujoco_state.write(ant.model, ant.data, state)
    state["derived"]["xpos"] = state["derived"]["xpos"][:2]
    with pytest.raises(ValueError, match=r"xpos of \(2, 3\) is none of this MuJoCo model, whose is \(5, 3\)"):
        mujoco_state.write(hopper.model, hopper.data, state)


class TestOptions:
    @pytest.mark.parametrize("name", SUITE)
    def test_a_preset_is_gymnasium_s_environment(self, name: str) -> None:
        ours, theirs = make(**options(name)), gymnasium.make(SUITE[name], disable_env_checker=True)
        assert ours.spec is not None
        assert theirs.spec is not None
        assert ours.spec.max_episode_steps == theirs.spec.max_episode_steps
        actions = actions_of(name, 5)
        assert_same([ours.reset(seed=4), *rolled(ours, actions)], [theirs.reset(seed=4), *rolled(theirs, actions)])

    def test_they_reach_the_environment(self) -> None:
        env = make(**{**options("hopper"), "healthy_z_range": [0.5, None], "ctrl_cost_weight": 1, "frame_skip": 8})
        own: Any = env.unwrapped
        assert (own._healthy_z_range, own._ctrl_cost_weight, own.frame_skip) == ((0.5, np.inf), 1, 8)

    @pytest.mark.parametrize(
        ("change", "line"),
        [
            ({"healthy_reward": "a"}, "env.healthy_reward is 'a', but it must be a number"),
            ({"reset_noise_scale": -0.5}, "env.reset_noise_scale is -0.5; it must be at least 0"),
            ({"healthy": 1}, "env.healthy is not an option of Hopper-v5; did you mean healthy_reward?"),
            ({"healthy_z_range": 3}, "env.healthy_z_range is 3; it must be a list of two numbers, null where"),
            ({"healthy_z_range": [1, "b"]}, r"env.healthy_z_range is \[1, 'b'\]; it must be a list of two numbers"),
            ({"healthy_z_range": [2, 1]}, r"env.healthy_z_range is \[2, 1\]; the first must not be more than"),
            ({"terminate_when_unhealthy": 2}, "env.terminate_when_unhealthy is 2, but it must be true or false"),
        ],
    )
    def test_a_wrong_one_is_refused_in_a_line(self, change: dict[str, Any], line: str) -> None:
        with pytest.raises(UsageError, match=f"^{line}"):
            make(**{**options("hopper"), **change})

    @pytest.mark.parametrize(
        ("body", "line"),
        [
            (-1, "env.main_body is -1; the model's bodies are 0 to 13"),
            (14, "env.main_body is 14; the model's bodies are 0 to 13"),
            ("torse", "env.main_body is torse, and the model has no such body; did you mean torso?"),
        ],
    )
    def test_so_is_a_body_that_the_model_does_not_have(self, body: int | str, line: str) -> None:
        with pytest.raises(UsageError, match=f"^{re.escape(line)}$"):
            make(**{**options("ant"), "main_body": body})
        for known in (0, 13, "torso"):
            make(**{**options("ant"), "main_body": known}).close()

    def test_so_is_an_id_of_another_family(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["train", "agent=random", "env=hopper", "env.id=CartPole-v1"]) == 2
        assert "env.id is 'CartPole-v1', but it must be one of Ant-v5" in capsys.readouterr().err

    def test_without_mujoco_the_package_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "mujoco", None)
        with pytest.raises(UsageError, match=r'^Hopper-v5 needs MuJoCo: pip install "gymnasium\[mujoco\]"$'):
            make(**options("hopper"))


class TestPictures:
    def test_the_camera_follows_and_nothing_moves(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("DISPLAY", "WAYLAND_DISPLAY", "MUJOCO_GL"):
            monkeypatch.delenv(name, raising=False)
        small = {**options("half_cheetah"), "width": 96, "height": 96}
        filmed, plain = make(**small, render_mode="rgb_array"), make(**options("half_cheetah"))
        actions, answers, frame = actions_of("half_cheetah", 3), [], np.zeros(0)
        for env in (filmed, plain):
            env.reset(seed=0)
            frame = env.render() if env is filmed else frame
            core: Any = env.unwrapped
            core.data.qpos[0] = 50.0  # far from where it began
            answers.append([])
            for action in actions:
                answers[-1].append(env.step(action))
                frame = env.render() if env is filmed else frame
        assert_same(*answers)
        filmed.close()
        assert frame.shape == (96, 96, 3)
        # Its skin: far more red than blue, as nothing else is there.
        assert ((frame[..., 0].astype(int) - frame[..., 2]) > 40).mean() > 0.01

    def test_without_a_way_to_draw_the_remedy_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("DISPLAY", "WAYLAND_DISPLAY", "MUJOCO_GL"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setattr("ctypes.util.find_library", lambda name: None)
        with pytest.raises(UsageError, match=r"by EGL or OSMesa, and neither is installed .*; or set video=none$"):
            make(**options("hopper"), render_mode="rgb_array")


def test_a_model_s_file_is_read_without_a_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    make(**options("half_cheetah"))
    assert capfd.readouterr() == ("", "")
    assert list(tmp_path.iterdir()) == []


def test_far_away_there_is_still_a_floor_and_it_changes_nothing() -> None:
    frames, reached = [], []
    for render_mode in ("rgb_array", None):
        env = make("HalfCheetah-v5", 5, render_mode)
        inner: Any = env.unwrapped
        env.reset(seed=0)
        actions = np.random.default_rng(0).uniform(-1, 1, (50, 6)).astype(np.float32)
        for far in (0.0, 60.0):
            inner.data.qpos[0] = far
            reached.append(np.stack([env.step(action)[0] for action in actions]))
            if render_mode is not None:
                frames.append(env.render())
        env.close()
    assert np.array_equal(reached[0], reached[2])
    assert np.array_equal(reached[1], reached[3])
    # The pattern of the floor's tiles is in the lower part of both pictures.
    for frame in frames:
        assert np.asarray(frame)[-100:].std() > 20
