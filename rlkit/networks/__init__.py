"""Networks (torch): torsos that read observations, action values on top, and their states as plain data."""

from rlkit.networks.flat import FlatParameters
from rlkit.networks.precision import Precision, computing
from rlkit.networks.states import (
    load_module_state,
    load_optimizer_state,
    module_state,
    optimizer_state,
    to_tensor,
)
from rlkit.networks.torsos import (
    ACTIVATIONS,
    MLP,
    Flat,
    Image,
    ImpalaCNN,
    NatureCNN,
    SmallCNN,
    Torso,
    auto,
    is_image,
)
from rlkit.networks.values import NoisyLinear, QNetwork

__all__ = [
    "ACTIVATIONS",
    "MLP",
    "Flat",
    "FlatParameters",
    "Image",
    "ImpalaCNN",
    "NatureCNN",
    "NoisyLinear",
    "Precision",
    "QNetwork",
    "SmallCNN",
    "Torso",
    "auto",
    "computing",
    "is_image",
    "load_module_state",
    "load_optimizer_state",
    "module_state",
    "optimizer_state",
    "to_tensor",
]
