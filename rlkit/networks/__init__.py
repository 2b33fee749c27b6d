"""Networks (torch): torsos for observations, heads for action values and policies, and their states as plain data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rlkit.core.lazy import lazy

if TYPE_CHECKING:
    from rlkit.networks.action_distributions import ActionDistribution
    from rlkit.networks.activation_cache import ActivationCache
    from rlkit.networks.actor_critic import ActorCritic, Outputs
    from rlkit.networks.actors import Decision, DeterministicActor, StochasticActor
    from rlkit.networks.blocks import BlockCNN
    from rlkit.networks.boards import ResidualBoard
    from rlkit.networks.central import CentralActorCritic
    from rlkit.networks.choice import auto
    from rlkit.networks.clipped_actor import ClippedActor
    from rlkit.networks.composed_actions import action_distribution
    from rlkit.networks.convolutional import Image, ImpalaCNN, NatureCNN, SmallCNN, StridedCNN, channels_last
    from rlkit.networks.critics import Critics
    from rlkit.networks.encoders import Embedding, Joined, SymbolGrid, TextEncoder
    from rlkit.networks.mixers import MonotonicMixer, SumMixer
    from rlkit.networks.observations import is_board, is_image
    from rlkit.networks.optimizer import (
        FlatParameters,
        GradientSettings,
        Optimizer,
        OptimizerSettings,
        step_together,
        trainable,
    )
    from rlkit.networks.policy_value import PolicyValue
    from rlkit.networks.population import Population
    from rlkit.networks.precision import autocast_outputs, mixed_precision, require_precision, uses_bfloat16
    from rlkit.networks.pretrained import fill, load_pretrained
    from rlkit.networks.q_network import NoisyLinear, QNetwork
    from rlkit.networks.state_value import StateValue
    from rlkit.networks.tensors import (
        Minibatch,
        gradient_steps,
        load_module_state,
        load_optimizer_state,
        minibatches,
        module_state,
        optimizer_state,
        split_rows,
        to_tensor,
    )
    from rlkit.networks.torsos import ACTIVATIONS, MLP, Flat, Torso, as_torso
    from rlkit.networks.weights import Weights, encoder_of, fill_torso, read_encoder, save_encoder

_MODULES = {
    "action_distributions": ("ActionDistribution",),
    "composed_actions": ("action_distribution",),
    "activation_cache": ("ActivationCache",),
    "actor_critic": ("ActorCritic", "Outputs"),
    "blocks": ("BlockCNN",),
    "actors": ("Decision", "DeterministicActor", "StochasticActor"),
    "boards": ("ResidualBoard",),
    "central": ("CentralActorCritic",),
    "choice": ("auto",),
    "clipped_actor": ("ClippedActor",),
    "convolutional": ("Image", "ImpalaCNN", "NatureCNN", "SmallCNN", "StridedCNN", "channels_last"),
    "critics": ("Critics",),
    "encoders": ("Embedding", "Joined", "SymbolGrid", "TextEncoder"),
    "mixers": ("MonotonicMixer", "SumMixer"),
    "observations": ("is_board", "is_image"),
    "optimizer": ("FlatParameters", "GradientSettings", "Optimizer", "OptimizerSettings", "step_together", "trainable"),
    "policy_value": ("PolicyValue",),
    "population": ("Population",),
    "precision": ("autocast_outputs", "mixed_precision", "require_precision", "uses_bfloat16"),
    "pretrained": ("fill", "load_pretrained"),
    "q_network": ("NoisyLinear", "QNetwork"),
    "state_value": ("StateValue",),
    "tensors": (
        *("load_module_state", "load_optimizer_state", "module_state", "optimizer_state", "split_rows", "to_tensor"),
        *("Minibatch", "gradient_steps", "minibatches"),
    ),
    "torsos": ("ACTIVATIONS", "MLP", "Flat", "Torso", "as_torso"),
    "weights": ("Weights", "encoder_of", "fill_torso", "read_encoder", "save_encoder"),
}
"""What is imported when it is first used."""

__all__ = [
    "ACTIVATIONS",
    "MLP",
    "ActionDistribution",
    "ActivationCache",
    "ActorCritic",
    "BlockCNN",
    "CentralActorCritic",
    "ClippedActor",
    "Critics",
    "Decision",
    "DeterministicActor",
    "Embedding",
    "Flat",
    "FlatParameters",
    "GradientSettings",
    "Image",
    "ImpalaCNN",
    "Joined",
    "Minibatch",
    "MonotonicMixer",
    "NatureCNN",
    "NoisyLinear",
    "Optimizer",
    "OptimizerSettings",
    "Outputs",
    "PolicyValue",
    "Population",
    "QNetwork",
    "ResidualBoard",
    "SmallCNN",
    "StateValue",
    "StochasticActor",
    "StridedCNN",
    "SumMixer",
    "SymbolGrid",
    "TextEncoder",
    "Torso",
    "Weights",
    "action_distribution",
    "as_torso",
    "auto",
    "autocast_outputs",
    "channels_last",
    "encoder_of",
    "fill",
    "fill_torso",
    "gradient_steps",
    "is_board",
    "is_image",
    "load_module_state",
    "load_optimizer_state",
    "load_pretrained",
    "minibatches",
    "mixed_precision",
    "module_state",
    "optimizer_state",
    "read_encoder",
    "require_precision",
    "save_encoder",
    "split_rows",
    "step_together",
    "to_tensor",
    "trainable",
    "uses_bfloat16",
]

__getattr__ = lazy(__name__, _MODULES)
