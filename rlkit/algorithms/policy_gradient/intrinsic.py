"""Rewards for what is new, beside those of the environment, with values of their own (torch)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor, nn

from rlkit.algorithms.policy_gradient.normalization import RewardScale
from rlkit.algorithms.policy_gradient.novelty import Novelty
from rlkit.config.values import check_fields
from rlkit.core import tree
from rlkit.core.ranges import NonNegativeFloat, PositiveFloat, PositiveInt, Probability
from rlkit.core.types import Array, FromRun, State, Transition, Tree
from rlkit.networks import (
    as_torso,
    load_module_state,
    load_optimizer_state,
    module_state,
    optimizer_state,
    to_tensor,
)


@dataclass(frozen=True, kw_only=True)
class IntrinsicSettings:
    """The numbers of `Intrinsic`; values are in conf/intrinsic/.

    Attributes:
        gamma: discount factor of bonuses.
        gae_lambda: of their generalized advantages.
        weight: of their advantages.
        extrinsic_weight: of the advantages of the environment's rewards.
        scale: bonuses are divided by the standard deviation of their discounted sum.
        learning_rate: Adam's, of the values and of what the novelty learns.
        epochs: passes over a rollout.
        batch_size: steps in a minibatch.

    Raises:
        UsageError: a number out of its range.
    """

    gamma: Probability
    gae_lambda: Probability
    weight: NonNegativeFloat
    extrinsic_weight: NonNegativeFloat
    scale: bool
    learning_rate: PositiveFloat
    epochs: PositiveInt
    batch_size: PositiveInt

    def __post_init__(self) -> None:
        check_fields(self, "agent.intrinsic")


class Intrinsic:
    """Bonuses of a rollout's steps, their values, and the advantages that come of them (Burda et al., 2019).

    Bonuses are for the observation after a step. Their returns go on where an episode ends, as a player who fails can
    still begin again and look elsewhere; an own network learns their values, so the agent's stays as it is.
    """

    def __init__(
        self,
        novelty: Novelty,
        values: nn.Module,
        observation_space: FromRun[spaces.Space[Any]],
        num_envs: FromRun[int],
        device: FromRun[str],
        rng: FromRun[np.random.Generator],
        settings: IntrinsicSettings,
    ):
        """Put the parts together.

        Args:
            novelty: says what observations are worth.
            values: a torso, for the values of bonuses.
            observation_space: of one environment.
            num_envs: N.
            device: where the networks live.
            rng: shuffles.
            settings: all numbers.
        """
        torso = as_torso(values, observation_space)
        self._values = nn.Sequential(torso, nn.Linear(torso.features, 1)).to(device)
        self._novelty, self._device, self._rng, self._settings = novelty, device, rng, settings
        parameters = [*self._values.parameters(), *novelty.module.parameters()]
        self._optimizer = torch.optim.Adam(parameters, lr=settings.learning_rate)
        self._scale = RewardScale(num_envs, settings.gamma) if settings.scale else None

    def rows(self, transition: Transition) -> dict[str, Tree]:
        """Return a step's columns [N, ...] of the rollout: the bonus, and the observation that it is for."""
        valid = transition.valid
        bonus = self._novelty.observe(transition.next_observation, valid)
        if self._scale is not None:
            bonus = self._scale(bonus, np.ones_like(bonus), np.zeros_like(valid), valid)
        return {"bonus": bonus, "successor": transition.next_observation}

    def learn(self, rows: dict[str, Any], extrinsic: Array) -> tuple[Array, dict[str, float]]:
        """Return both kinds of advantages, weighted, and metrics; then learn from the rollout.

        Args:
            rows: the columns of a full rollout, [T, N, ...] each.
            extrinsic: [T, N] advantages of the environment's rewards.
        """
        settings = self._settings
        v_tm1, v_end = self._value(rows["observation"]), self._value(tree.take(rows["successor"], slice(-1, None)))[0]
        advantage = endless_gae(v_tm1, rows["bonus"], rows["valid"], v_end, settings.gamma, settings.gae_lambda)
        losses = [self._gradient_step(*batch) for batch in self._minibatches(rows, advantage + v_tm1)]
        self._novelty.adapt()
        value, novelty = np.mean(losses, axis=0).tolist()
        bonus = float(rows["bonus"].sum() / max(1, rows["valid"].sum()))
        metrics = {"bonus": bonus, "loss/bonus_value": value, "loss/novelty": novelty}
        return settings.extrinsic_weight * extrinsic + settings.weight * advantage, metrics

    def _value(self, observation: Tree) -> Array:
        """Return the values [T, N] of observations [T, N, ...]."""
        shape = tree.leaves(observation)[0].shape[:2]
        with torch.inference_mode():
            values: Array = self._values(to_tensor(tree.map(_flat, observation), self._device)).cpu().numpy()
        return values.reshape(shape)

    def _minibatches(self, rows: dict[str, Any], target: Array) -> Iterator[tuple[Tree, Tree, Tensor]]:
        """Yield observations, successors and targets, [B, ...] each, of the steps that were decisions."""
        columns = (rows["observation"], rows["successor"], target.astype(np.float32))
        flat = [tree.map(_flat, column) for column in columns]
        steps, size = np.flatnonzero(rows["valid"]), self._settings.batch_size
        for _ in range(self._settings.epochs):
            order = self._rng.permutation(steps)
            for start in range(0, len(order), size):
                index = order[start : start + size]
                observation, successor, targets = (to_tensor(tree.take(column, index), self._device) for column in flat)
                yield observation, successor, targets

    def _gradient_step(self, observation: Tree, successor: Tree, target: Tensor) -> tuple[float, float]:
        value = 0.5 * ((self._values(observation)[:, 0] - target) ** 2).mean()
        novelty = self._novelty.loss(successor, self._rng)
        self._optimizer.zero_grad()
        (value + novelty).backward()
        self._optimizer.step()
        return value.item(), novelty.item()

    def state_dict(self) -> State:
        """Return values, novelty, optimizer, scale and generator."""
        return {
            "values": module_state(self._values),
            "novelty": self._novelty.state_dict(),
            "optimizer": optimizer_state(self._optimizer),
            "scale": None if self._scale is None else self._scale.state_dict(),
            "rng": self._rng.bit_generator.state,
        }

    def load_state_dict(self, state: State) -> None:
        """Restore a state from `state_dict`."""
        load_module_state(self._values, state["values"])
        self._novelty.load_state_dict(state["novelty"])
        load_optimizer_state(self._optimizer, state["optimizer"])
        if self._scale is not None:
            self._scale.load_state_dict(state["scale"])
        self._rng.bit_generator.state = state["rng"]


def endless_gae(v_tm1: Array, r_t: Array, valid: Array, v_end: Array, gamma: float, lambda_: float) -> Array:
    """Return generalized advantages [T, N] of rewards that go on from one episode to the next.

    Args:
        v_tm1: [T, N] values of the states acted in.
        r_t: [T, N] rewards.
        valid: [T, N] bool; other rows are no steps, and their advantages are 0.
        v_end: [N] values after the last step.
        gamma: discount factor.
        lambda_: decay of later errors.
    """
    result, following, v_t = np.zeros_like(v_tm1), np.zeros_like(v_end), v_end
    for t in range(len(r_t) - 1, -1, -1):
        error = r_t[t] + gamma * v_t - v_tm1[t]
        following = np.where(valid[t], error + gamma * lambda_ * following, following)
        result[t] = np.where(valid[t], following, 0)
        v_t = np.where(valid[t], v_tm1[t], v_t)
    return result


def _flat(column: Array) -> Array:
    """Return a column [T, N, ...] as rows [T * N, ...]."""
    return column.reshape(-1, *column.shape[2:])
