"""A torso with a classifier on top, its weights as plain data, and its training (torch)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from rlkit.core.resources import checked_device, torch_device
from rlkit.core.types import Array, UsageError
from rlkit.learners.estimators.settings import SettingError
from rlkit.networks import Torso, Weights, fill, fill_torso, read_encoder, trainable

PREDICTED_AT_ONCE = 1024


class Classifier(nn.Module):
    """Logits [B, K] of what a torso's reader has read, by a linear layer on its features.

    Attributes:
        torso: as agents have it.
        head: the linear layer.
        frozen: the torso does not change: neither its parameters nor the statistics of its batch normalization.
    """

    def __init__(self, torso: Torso, outputs: int, *, frozen: bool):
        """Put a head on `torso`, whose dropout is off where it is `frozen`."""
        super().__init__()
        self.torso = torso
        self.head = nn.Linear(torso.features, outputs)
        self.frozen = frozen
        torso.requires_grad_(not frozen)

    def train(self, mode: bool = True) -> Classifier:
        """Set the mode of training; a frozen torso stays in that of prediction."""
        super().train(mode)
        if self.frozen:
            self.torso.eval()
        return self

    def features(self, inputs: Tensor) -> Tensor:
        """Return the torso's features [B, F]."""
        found: Tensor = self.torso.top(self.torso.body(inputs))
        return found

    def forward(self, inputs: Tensor) -> Tensor:
        """Return logits [B, K]."""
        logits: Tensor = self.head(self.features(inputs))
        return logits

    def trainable(self) -> list[nn.Parameter]:
        """Return the parameters that an optimizer trains."""
        return trainable(self.parameters())

    def batch_norms(self) -> list[nn.Module]:
        """Return the layers of batch normalization that are in the mode of training."""
        kinds = (nn.BatchNorm1d, nn.BatchNorm2d)
        return [module for module in self.modules() if isinstance(module, kinds) and module.training]

    def batch_normalized(self) -> bool:
        """Return whether training needs more than one row in a batch."""
        return bool(self.batch_norms())


def load_pretrained(torso: Torso, encoder: Weights | str | Path) -> None:
    """Set a torso's weights to an encoder's: as such, or by what `rlkit.networks.read_encoder` reads.

    Raises:
        SettingError: they are of another torso; the first that differs is named.
        UsageError: the path leads to none, or to that of another torso.
    """
    if isinstance(encoder, Mapping):
        try:
            fill_torso(torso, encoder)
        except ValueError as error:
            raise SettingError(str(error)) from error
    else:
        fill(torso, read_encoder(encoder).weights, encoder)


def descend(
    classifier: Classifier, optimizer: torch.optim.Optimizer, inputs: Tensor, target: Tensor, weight: Tensor
) -> float:
    """Take one step down the gradient of the weighted cross-entropy, and return it.

    Args:
        classifier: in the mode of training.
        optimizer: of its trainable parameters.
        inputs: [B, ...].
        target: [B] int64 classes.
        weight: [B] of the rows; the cost is the sum over rows over B.
    """
    costs = nn.functional.cross_entropy(classifier(inputs), target, reduction="none")
    cost = (costs * weight).mean()
    optimizer.zero_grad(set_to_none=True)
    cost.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    return float(cost.detach())


def settle(classifier: Classifier, parts: Iterable[Tensor], device: str) -> None:
    """Let batch normalization predict with the statistics of all rows under the weights as they are now.

    While weights move, the running ones lag behind: by much where inputs are far from zero, as pixels are (precise
    statistics; Wu and Johnson, 2021). Dropout is off meanwhile.

    Args:
        classifier: trained.
        parts: all rows, as its body reads them, some [B, ...] at a time; a part of one row is passed over.
        device: where the classifier is.
    """
    norms: list[Any] = classifier.train().batch_norms()
    classifier.eval()
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.train().momentum = None
    with torch.inference_mode():
        for part in parts:
            if len(part) > 1:
                classifier(part.to(device))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.eval().momentum = momentum


def in_parts(function: Callable[[Tensor], Tensor], inputs: Tensor, device: str) -> Array:
    """Return what `function` makes of all rows [n, ...], some at a time and without gradients."""
    with torch.inference_mode():
        parts = [function(part.to(device)).cpu().numpy() for part in torch.split(inputs, PREDICTED_AT_ONCE)]
    return np.concatenate(parts)


def device_of(name: str) -> str:
    """Return the device's name; auto is the accelerator where there is one.

    Raises:
        SettingError: there is no such device, or torch cannot use it here.
    """
    try:
        return torch_device(checked_device(name))
    except UsageError as error:
        raise SettingError(str(error)) from error


@contextmanager
def seeded(seed: int, device: str) -> Iterator[None]:
    """Let torch draw from this seed; afterwards its generators are as they were before."""
    devices = range(torch.cuda.device_count()) if device.startswith("cuda") else ()
    with torch.random.fork_rng(devices=list(devices)):
        torch.manual_seed(seed)
        yield
