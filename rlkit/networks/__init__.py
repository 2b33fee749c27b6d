"""Networks (torch): torsos that read observations, action values or policies on top, and their states as plain data."""

from rlkit.networks.action_distributions import ActionDistribution, action_distribution
from rlkit.networks.activation_cache import Acted, replayable
from rlkit.networks.actor_critic import ActorCritic, Outputs
from rlkit.networks.blocks import BlockCNN
from rlkit.networks.boards import ResidualBoard, auto
from rlkit.networks.convolutional import Image, ImpalaCNN, NatureCNN, SmallCNN, StridedCNN, channels_last
from rlkit.networks.observations import is_board, is_image
from rlkit.networks.optimizer import Descent, FlatParameters, descend
from rlkit.networks.policy_value import PolicyValue
from rlkit.networks.population import Members
from rlkit.networks.precision import mixed, takes_bfloat16
from rlkit.networks.pretrained import begin_with, fill, trainable
from rlkit.networks.q_network import NoisyLinear, QNetwork
from rlkit.networks.tensors import load_module_state, load_optimizer_state, module_state, optimizer_state, to_tensor
from rlkit.networks.torsos import ACTIVATIONS, MLP, Flat, Torso
from rlkit.networks.weights import Weights, encoder_of, fill_torso, read_encoder, save_encoder

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
    "Weights",
    "action_distribution",
    "auto",
    "begin_with",
    "channels_last",
    "descend",
    "encoder_of",
    "fill",
    "fill_torso",
    "is_board",
    "is_image",
    "load_module_state",
    "load_optimizer_state",
    "mixed",
    "module_state",
    "optimizer_state",
    "read_encoder",
    "replayable",
    "save_encoder",
    "takes_bfloat16",
    "to_tensor",
    "trainable",
]
