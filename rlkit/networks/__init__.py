"""Networks (torch): torsos that read observations, action values or policies on top, and their states as plain data."""

from rlkit.networks.acted import Acted, replayable
from rlkit.networks.actions import ActionDistribution, action_distribution
from rlkit.networks.actor_critic import ActorCritic, Outputs
from rlkit.networks.blocks import BlockCNN
from rlkit.networks.boards import ResidualBoard, auto
from rlkit.networks.convolutional import Image, ImpalaCNN, NatureCNN, SmallCNN, StridedCNN, channels_last
from rlkit.networks.encoders import begin_with, fill, read_encoder, trainable
from rlkit.networks.flat import Descent, FlatParameters, descend
from rlkit.networks.members import Members
from rlkit.networks.observations import is_board, is_image
from rlkit.networks.policy_value import PolicyValue
from rlkit.networks.precision import mixed, takes_bfloat16
from rlkit.networks.states import (
    load_module_state,
    load_optimizer_state,
    module_state,
    optimizer_state,
    to_tensor,
)
from rlkit.networks.torsos import ACTIVATIONS, MLP, Flat, Torso
from rlkit.networks.values import NoisyLinear, QNetwork

__all__ = [
    "ACTIVATIONS",
    "MLP",
    "Acted",
    "ActionDistribution",
    "ActorCritic",
    "BlockCNN",
    "Descent",
    "Flat",
    "FlatParameters",
    "Image",
    "ImpalaCNN",
    "Members",
    "NatureCNN",
    "NoisyLinear",
    "Outputs",
    "PolicyValue",
    "QNetwork",
    "ResidualBoard",
    "SmallCNN",
    "StridedCNN",
    "Torso",
    "action_distribution",
    "auto",
    "begin_with",
    "channels_last",
    "descend",
    "fill",
    "is_board",
    "is_image",
    "load_module_state",
    "load_optimizer_state",
    "mixed",
    "module_state",
    "optimizer_state",
    "read_encoder",
    "replayable",
    "takes_bfloat16",
    "to_tensor",
    "trainable",
]
