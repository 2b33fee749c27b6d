"""The settings that agents with an actor, critics and a replay share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rlkit.core.ranges import NonNegativeInt, PositiveFloat, PositiveInt, PositiveShare, Probability
from rlkit.networks import GradientSettings, require_precision


@dataclass(frozen=True, kw_only=True)
class OffPolicySettings(GradientSettings):
    """Settings of an `OffPolicyAgent`, beside those of every agent that descends a gradient.

    Attributes:
        actor_rate: the actor's learning rate, in those of the critics.
        gamma: discount factor.
        learning_starts: decisions before the first update; they are drawn uniformly.
        batch_size: transitions in a gradient step.
        train_freq: decisions between updates; several multiples passed at once count each.
        gradient_steps: at each multiple of `train_freq`.
        policy_delay: gradient steps of the critics to one of the actor (Fujimoto et al., 2018).
        tau: share of the online networks in a target update.
        target_network: the critics have one; False: what follows is valued by themselves, in one pass with what was
            done, as in CrossQ (Bhatt et al., 2024), which normalizes batches.
        subset: how many critics, drawn each time, the least value in a target is of (Chen et al., 2021); None: all.
        drop: of each critic, how many of the highest quantiles a target leaves out (Kuznetsov et al., 2020).
        standardize: observations are standardized by their running statistics (Lee et al., 2025).
        share_encoder: the actor reads the critics' encoder, which their loss alone trains (Yarats et al., 2021); auto:
            where observations have images.
        image_shift: images are shifted at random by up to so many pixels where they are learned from (likewise).
        channel_order: where those images have their channels: first, last, or auto, as in `rlkit.networks.Image`.
        recurrent: none, gru or lstm: the core of actor and critics, who learn from sequences then. Their memories are
            their own, unless they share an encoder.
        action_limit: what stands for the infinite bounds of actions; None: they are refused.
        noise_steps: for how many steps the noise of exploration is held; None: for whole episodes.
        episodes: recorded episodes that are in the replay from the beginning; None: there are none.
        offline_steps: decisions for which they are all that is learned from, and the agent's own are not stored; None:
            always. Agents act in that time, too, so that it shows how far they are.
        precision: of what is learned from; float32, bfloat16 (mixed), or auto, as in `rlkit.networks.uses_bfloat16`.

    Raises:
        UsageError: an unknown precision.
    """

    actor_rate: PositiveFloat
    gamma: Probability
    learning_starts: NonNegativeInt
    batch_size: PositiveInt
    train_freq: PositiveInt
    gradient_steps: PositiveInt
    policy_delay: PositiveInt
    tau: PositiveShare
    target_network: bool
    subset: PositiveInt | None
    drop: NonNegativeInt
    standardize: bool
    share_encoder: bool | Literal["auto"]
    image_shift: NonNegativeInt
    channel_order: Literal["auto", "first", "last"]
    recurrent: str
    action_limit: PositiveFloat | None
    noise_steps: PositiveInt | None
    episodes: str | None
    offline_steps: NonNegativeInt | None
    precision: str

    def __post_init__(self) -> None:
        super().__post_init__()
        require_precision(self.precision)
