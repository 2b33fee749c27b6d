"""MiniGrid's worlds: read as they are observed, resumed where they stood."""

from __future__ import annotations

import sys
from typing import Any

import gymnasium
import numpy as np
import pytest
from in_the_middle import goes_on

from rlkit.cli.main import main
from rlkit.config.compose import composed
from rlkit.config.run_config import TrainRunConfig, requested
from rlkit.core.array_spaces import as_arrays
from rlkit.core.spaces import SymbolSpace
from rlkit.core.texts import Tokens
from rlkit.core.types import UsageError
from rlkit.envs.minigrid import make
from rlkit.networks.choice import auto
from rlkit.networks.encoders import SymbolGrid, TextEncoder
from rlkit.runs import build
from rlkit.vector import snapshot

pytest.importorskip("minigrid")

WORLDS = (
    "MiniGrid-DoorKey-6x6-v0",
    "MiniGrid-Dynamic-Obstacles-6x6-v0",
    "MiniGrid-ObstructedMaze-1Dlhb-v0",
    "MiniGrid-MemoryS7-v0",
    "BabyAI-GoToRedBall-v0",
)


@pytest.mark.parametrize("id", WORLDS)
def test_a_world_goes_on_exactly_in_the_middle_of_an_episode(id: str) -> None:
    goes_on(lambda: make(id, {}), before=40, after=60)


def test_a_door_that_a_task_names_is_the_one_in_the_grid() -> None:
    used, other = make("MiniGrid-Unlock-v0", {}), make("MiniGrid-Unlock-v0", {})
    for env in (used, other):
        env.reset(seed=0)
    snapshot.restore(other, snapshot.capture(used) or {})
    world: Any = other.unwrapped
    assert world.door is not used.unwrapped.door
    assert any(world.door is cell for cell in world.grid.grid)


def test_its_image_is_read_as_symbols_and_its_mission_as_a_text() -> None:
    env = as_arrays(make("BabyAI-GoToRedBall-v0", {}))
    space: Any = env.observation_space
    assert isinstance(space["image"], SymbolSpace)
    assert isinstance(space["mission"], Tokens)
    observation, _ = env.reset(seed=0)
    assert space.contains(observation)
    torso: Any = auto(space, [8], "relu", False)
    assert (len(space.spaces), torso.features) == (3, 256)
    kinds = [type(auto(space[key], [8], "relu", False)) for key in ("image", "mission")]
    assert kinds == [SymbolGrid, TextEncoder]


def observed(*words: str) -> Any:
    config = requested(TrainRunConfig, *composed("train", ["agent=random", "env=minigrid", *words]))
    return build.make_single(config.environment)


@pytest.mark.parametrize(
    ("wrapper", "shape", "readable"),
    [
        ("ImgObsWrapper", (7, 7, 3), True),
        ("FullyObsWrapper", (6, 6, 3), True),
        ("RGBImgPartialObsWrapper", (56, 56, 3), True),
        ("RGBImgObsWrapper", (48, 48, 3), True),
        ("PositionBonus", (7, 7, 3), False),
    ],
)
def test_its_own_wrappers_and_whether_their_state_is_read(wrapper: str, shape: tuple[int, ...], readable: bool) -> None:
    env = observed(f"wrappers=[minigrid.wrappers.{wrapper}]")
    space = env.observation_space
    assert (space if wrapper == "ImgObsWrapper" else space["image"]).shape == shape
    assert (snapshot.why_opaque(env) is None) == readable


def test_options_of_the_world_and_what_it_does_not_have() -> None:
    assert observed("env.kwargs.agent_view_size=5").observation_space["image"].shape == (5, 5, 3)
    with pytest.raises(UsageError, match=r"^env\.kwargs\.agent_view_sise is not an option of MiniGrid-DoorKey-6x6-v0"):
        make("MiniGrid-DoorKey-6x6-v0", {"agent_view_sise": 5})
    said = r"^minigrid has no environment MiniGrid-DoorKey-7x7-v0; did you mean MiniGrid-DoorKey-\dx\d-v0\?; env=gym "
    with pytest.raises(UsageError, match=said):
        make("MiniGrid-DoorKey-7x7-v0", {})
    with pytest.raises(UsageError, match=r"^minigrid has no environment CartPole-v1"):
        make("CartPole-v1", {})


def test_without_the_package_its_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "minigrid.core.constants", None)
    with pytest.raises(UsageError, match=r"^env=minigrid needs MiniGrid: pip install minigrid$"):
        make("MiniGrid-DoorKey-6x6-v0", {})


def test_it_keeps_the_contract(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "env=minigrid", "steps=60"]) == 0, capsys.readouterr().out


def test_frames_are_drawn() -> None:
    env = make("MiniGrid-DoorKey-6x6-v0", {}, "rgb_array")
    env.reset(seed=0)
    frame: Any = env.render()
    assert (frame.shape, frame.dtype, frame.std() > 20) == ((192, 192, 3), np.uint8, True)
    assert isinstance(env.unwrapped, gymnasium.Env)
