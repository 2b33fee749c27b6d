"""highway-env's worlds: resumed where they stood, filmed without a screen."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
from in_the_middle import goes_on

from rlkit.config.compose import composed
from rlkit.config.run_config import TrainRunConfig, requested
from rlkit.core.types import UsageError
from rlkit.envs.highway import make
from rlkit.rendering.render_wrapper import headless
from rlkit.runs import build
from rlkit.vector import snapshot

pytest.importorskip("highway_env")

FEW = {"duration": 6, "vehicles_count": 8}


@pytest.mark.parametrize(
    ("id", "config"),
    [("highway-fast-v0", FEW), ("parking-v0", {}), ("roundabout-v0", {}), ("merge-v0", {})],
)
def test_a_world_goes_on_exactly_in_the_middle_of_an_episode(id: str, config: dict[str, Any]) -> None:
    world: Any = goes_on(lambda: make(id, config), before=4, after=8).unwrapped
    assert world.road.np_random is world.np_random
    assert world.vehicle in world.road.vehicles


def test_observed_images_cannot_be_read_and_why() -> None:
    image = {"type": "GrayscaleObservation", "observation_shape": [32, 16], "stack_size": 2, "scaling": 1.75}
    env = make("highway-fast-v0", {**FEW, "observation": {**image, "weights": [0.3, 0.6, 0.1]}})
    why = snapshot.why_opaque(env) or ""
    assert why.startswith("highway_env.envs.highway_env.HighwayEnvFast: HighwayEnvFast.observation_type.viewer")
    assert why.endswith("which is not plain data")


def test_its_configuration_on_a_command_line() -> None:
    words = ["agent=random", "env=highway", "env.config.duration=7", "env.config.observation.vehicles_count=3"]
    env: Any = build.make_single(requested(TrainRunConfig, *composed("train", words)).environment)
    assert env.unwrapped.config["duration"] == 7
    assert env.unwrapped.config["lanes_count"] == 3  # the world's own
    assert env.observation_space.shape == (3, 5)
    other = make("highway-fast-v0", {**FEW, "observation": {"type": "TimeToCollision"}})
    assert other.observation_space.shape == (3, 3, 10)


@pytest.mark.parametrize(
    ("id", "config", "said"),
    [
        ("highway-fast-v0", {"durration": 3}, r"^env\.config\.durration is no key of the .*did you mean duration\?$"),
        (
            "highwayfast-v0",
            {},
            r"^highway_env has no environment highwayfast-v0; did you mean highway-fast-v0\?; env=gym",
        ),
    ],
)
def test_mistakes_are_named(id: str, config: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        make(id, config)


def test_without_the_package_its_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "highway_env", None)
    with pytest.raises(UsageError, match=r"^env=highway needs highway-env: pip install highway-env$"):
        make("highway-fast-v0", {})


def test_a_frame_shows_the_road_without_a_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER", "SDL_AUDIODRIVER"):
        monkeypatch.delenv(name, raising=False)
    env = make("highway-fast-v0", FEW, "rgb_array")
    env.reset(seed=0)
    with headless():
        frame: Any = env.render()
    assert (frame.shape, frame.dtype) == ((150, 600, 3), np.uint8)
    colors, counts = np.unique(frame.reshape(-1, 3), axis=0, return_counts=True)
    assert colors[counts.argmax()].tolist() == [100, 100, 100]  # asphalt
    assert (frame == (50, 200, 0)).all(axis=2).sum() > 50  # the car that is driven
    assert snapshot.capture(env) is not None
