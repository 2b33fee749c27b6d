"""Images with their channels first, and of dtypes that cannot be resized."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from rlkit.core.types import UsageError
from rlkit.preprocess.images import ChannelsLast, Crop, Resize


class Shown(gymnasium.Env):
    action_space = spaces.Discrete(2)

    def __init__(self, image: Any):
        self.image = image
        self.observation_space = spaces.Box(0, 100, image.shape, image.dtype)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        return self.image, {}


# Channel c, row y and column x hold 25 c + 5 y + x.
FIRST = np.arange(75, dtype=np.uint8).reshape(3, 5, 5)


def test_channels_first_are_refused_and_can_be_moved() -> None:
    for make in (lambda env: Resize(env, [2, 2]), lambda env: Crop(env, 1, 1, 0, 0)):
        with pytest.raises(UsageError, match=r"\[3, 5, 5\] begins with the channels; put .*ChannelsLast"):
            make(Shown(FIRST))
    env = Crop(ChannelsLast(Shown(FIRST)), top=1, bottom=3, left=2, right=1)
    image, _ = env.reset()
    assert image.tolist() == [[[7, 32, 57], [8, 33, 58]]]
    assert image in env.observation_space


@pytest.mark.parametrize("dtype", [np.int8, np.int32, np.int64])
def test_a_dtype_that_cannot_be_resized_is_refused(dtype: Any) -> None:
    with pytest.raises(UsageError, match=rf"Resize takes images of uint8, .*, not {np.dtype(dtype).name}; convert"):
        Resize(Shown(np.zeros((6, 6), dtype)), [2, 2])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.float32, np.float64])
def test_the_others_are_resized(dtype: Any) -> None:
    # Each pixel of the smaller image is the mean of four.
    image = np.array([[1, 3, 10, 10], [5, 7, 10, 30]], dtype)
    small, _ = Resize(Shown(image), [1, 2]).reset()
    assert (small.dtype, small.tolist()) == (dtype, [[4, 15]])
