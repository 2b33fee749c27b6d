"""Classifiers on the torsos that agents use (torch): for images, and for rows of numbers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import isqrt
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from rlkit.core.ranges import NonNegativeFloat, PositiveFloat, PositiveInt, Probability, ShareBelowOne
from rlkit.core.types import Array
from rlkit.learners.estimators.augmentation import Augmentation
from rlkit.learners.estimators.settings import require
from rlkit.learners.estimators.torch_base import TorsoClassifier
from rlkit.networks import MLP, BlockCNN, Torso, channels_last


class CNNClassifier(TorsoClassifier):
    """A convolutional network for images that come as flat rows; bytes stay bytes until they are computed with."""

    def __init__(
        self,
        image_shape: Any = None,
        *,
        torso: Any = None,
        scale: Any = "max",
        optimizer: Any = None,
        learning_rate: PositiveFloat = 0.001,
        anneal: bool = False,
        batch_size: PositiveInt = 32,
        n_epochs: PositiveInt = 20,
        class_weight: Any = None,
        shift: Probability = 0.0,
        rotation: NonNegativeFloat = 0.0,
        horizontal_flip: bool = False,
        vertical_flip: bool = False,
        early_stopping: bool = False,
        validation_fraction: ShareBelowOne = 0.1,
        n_iter_no_change: PositiveInt = 10,
        tol: NonNegativeFloat = 0.0,
        encoder: Any = None,
        transfer: str = "fine_tune",
        device: str = "auto",
        random_state: Any = None,
    ):
        """Keep the arguments; those of `TorsoClassifier` mean the same here.

        Args:
            image_shape: of the images, whose pixels X holds row by row: (H, W), (H, W, C) or (C, H, W), of which the
                channels are the shorter axis. None: a square where there are as many features, else one line of pixels.
            torso: None: `BlockCNN` as it is.
            scale: what pixels are divided by. Agents divide by 255, so that an encoder for them must be trained with
                255. max: the largest in X, or 1 where some are negative: those were brought to a scale before.
            shift: images are moved by up to this share of their sides, in training only.
            rotation: they are turned by up to as many degrees.
            horizontal_flip: half of them are mirrored.
            vertical_flip: half of them stand on their heads.
        """
        self.image_shape = image_shape
        self.scale = scale
        self.shift = shift
        self.rotation = rotation
        self.horizontal_flip = horizontal_flip
        self.vertical_flip = vertical_flip
        super().__init__(
            torso,
            optimizer=optimizer,
            learning_rate=learning_rate,
            anneal=anneal,
            batch_size=batch_size,
            n_epochs=n_epochs,
            class_weight=class_weight,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            n_iter_no_change=n_iter_no_change,
            tol=tol,
            encoder=encoder,
            transfer=transfer,
            device=device,
            random_state=random_state,
        )

    def observation_space(self) -> spaces.Box:
        """Return the space of the images: uint8, of `image_shape`."""
        return spaces.Box(0, 255, self._shape(), np.uint8)

    def _usual_torso(self) -> Callable[[spaces.Box], Torso]:
        return BlockCNN

    def _shape(self) -> tuple[int, int, int]:
        if self.image_shape is None:
            side = isqrt(self.n_features_in_)
            return (side, side, 1) if side * side == self.n_features_in_ else (1, self.n_features_in_, 1)
        shape = tuple(int(n) for n in self.image_shape)
        require(len(shape) in (2, 3), "image_shape", self.image_shape, "of two or three numbers")
        pixels = int(np.prod(shape))
        require(pixels == self.n_features_in_, "image_shape", shape, f"of {self.n_features_in_} pixels, as X has")
        height, width, depth = shape if len(shape) == 3 else (*shape, 1)
        return height, width, depth

    def _scale(self, x: Array) -> float:
        lowest, highest = float(x.min()), float(x.max())
        if self.scale == "max":
            return highest if lowest >= 0 and highest > 0 else 1.0
        scaled = x.dtype != np.uint8 and (lowest < 0 or 0 < highest <= 1)
        require(not scaled or self.scale == 1, "scale", self.scale, "max, or 1: X was scaled already")
        return float(self.scale)

    def _inputs(self, x: Array) -> Tensor:
        """Return images [n, C, H, W], as the torso's reader would."""
        shape = self._shape()
        # Floats are divided in place, in a copy; torch warns of arrays that it may not write to.
        shared = x.dtype == np.uint8 and x.flags.writeable
        images = (torch.from_numpy(x) if shared else torch.tensor(x)).reshape(-1, *shape)
        # A torso of a YAML file is a partial with its options.
        if channels_last(shape, getattr(self.torso, "keywords", {}).get("channel_order", "auto")):
            images = images.movedim(-1, -3)
        images = images.contiguous(memory_format=torch.channels_last)
        return images.div_(self.scale_) if images.is_floating_point() else images

    def _floats(self, inputs: Tensor) -> Tensor:
        return inputs if inputs.is_floating_point() else inputs.float().div_(self.scale_)

    def _dtypes(self, *computed: Any) -> list[Any]:
        return [*computed, np.uint8]

    def _augmented(self, inputs: Tensor, draws: torch.Generator) -> Tensor:
        return self._augmentation()(inputs, draws)

    def _augmentation(self) -> Augmentation:
        return Augmentation(self.shift, self.rotation, self.horizontal_flip, self.vertical_flip).checked()

    def _check(self) -> None:
        super()._check()
        self._augmentation()
        right = self.scale == "max" if isinstance(self.scale, str) else self.scale > 0
        require(right, "scale", self.scale, "positive, or max")


class TorchMLPClassifier(TorsoClassifier):
    """Fully connected layers on the torso that agents have; `rlkit.learners.estimators.mlp` is the one in NumPy.

    Where no `torso` is given it is an `MLP` with one layer of 100 rectified units.
    """

    def observation_space(self) -> spaces.Box:
        """Return the space of rows of numbers."""
        return spaces.Box(-np.inf, np.inf, (self.n_features_in_,), np.float32)

    def _usual_torso(self) -> Callable[[spaces.Box], Torso]:
        return partial(MLP, hidden=[100], activation="relu", layer_norm=False)

    def _inputs(self, x: Array) -> Tensor:
        return torch.tensor(x)
