"""Deep Q-network (Mnih et al., 2015), with the double estimator (van Hasselt et al., 2016)."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import huber_loss

from rlkit.core import Array, Memory, Metrics, Replay, State, TimeStep, Transition
from rlkit.explore import Schedule, epsilon_greedy
from rlkit.networks import (
    FlatParameters,
    load_module_state,
    load_optimizer_state,
    module_state,
    optimizer_state,
    to_tensor,
)
from rlkit.targets import td_target


class DQN:
    """Q-learning with a network, a replay and a target network.

    Attributes:
        network: observations [B, ...] -> action values [B, A].
    """

    def __init__(
        self,
        *,
        network: nn.Module,
        replay: Replay,
        optimizer: Callable[..., torch.optim.Optimizer],
        epsilon: Schedule,
        gamma: float,
        double: bool,
        learning_starts: int,
        batch_size: int,
        train_freq: int,
        gradient_steps: int,
        target_every: int,
        tau: float,
        max_grad_norm: float,
        device: str = "cpu",
    ):
        """Put the parts together.

        Args:
            network: action values; its initial parameters are the target's too.
            replay: stores and samples transitions.
            optimizer: called with the network's parameters.
            epsilon: share of uniformly drawn actions, by the number of decisions observed.
            gamma: discount factor.
            double: the online network chooses the action whose target value is used.
            learning_starts: decisions before the first update.
            batch_size: transitions in an update.
            train_freq: decisions between updates; several multiples passed at once count each.
            gradient_steps: updates at each multiple of `train_freq`.
            target_every: gradient steps between updates of the target network.
            tau: share of the online network in a target update; 1 copies, less is Polyak averaging.
            max_grad_norm: gradients are scaled down to this norm.
            device: where the networks live.
        """
        self.network = network.to(device)
        self._target = copy.deepcopy(self.network).requires_grad_(False)
        self._replay = replay
        self._parameters = FlatParameters(self.network)
        self._target_parameters = FlatParameters(self._target)
        self._optimizer = optimizer([self._parameters.vector])
        self._epsilon, self._gamma, self._double = epsilon, gamma, double
        self._learning_starts, self._batch_size = learning_starts, batch_size
        self._train_freq, self._gradient_steps = train_freq, gradient_steps
        self._target_every, self._tau, self._max_grad_norm = target_every, tau, max_grad_norm
        self._device = device
        self._steps = self._due = self._updates = 0

    def initial_memory(self, n: int) -> Memory:
        """Return nothing: no episode is remembered."""
        return ()

    def act(
        self, timestep: TimeStep, memory: Memory, *, explore: bool, rng: np.random.Generator
    ) -> tuple[Array, Memory]:
        """Return the epsilon-greedy action [N], or the greedy one where not exploring."""
        with torch.inference_mode():
            q = self.network(self._tensor(timestep.observation)).cpu().numpy()
        epsilon = self._epsilon(self._steps) if explore else 0.0
        return epsilon_greedy(q, epsilon, rng, timestep.legal_actions), memory

    def observe(self, transition: Transition) -> None:
        """Store the transition, and note which multiples of `train_freq` it passed."""
        self._replay.add(transition)
        before, self._steps = self._steps, self._steps + int(np.count_nonzero(transition.valid))
        if self._steps >= self._learning_starts:
            self._due += self._steps // self._train_freq - before // self._train_freq

    def update(self) -> Metrics | None:
        """Take the gradient steps that are due; their batches are drawn together."""
        due, self._due = self._due * self._gradient_steps, 0
        if due == 0 or len(self._replay) == 0:
            return None
        drawn = self._replay.sample(due * self._batch_size)
        rows = {name: self._tensor(value) for name, value in drawn._asdict().items() if value is not None}
        parts = {name: value.view(due, self._batch_size, *value.shape[1:]) for name, value in rows.items()}
        steps = [self._learn({name: part[i] for name, part in parts.items()}) for i in range(due)]
        losses, errors, values = (torch.stack(column) for column in zip(*steps, strict=True))
        self._replay.update_priorities(drawn.index, errors.flatten().cpu().numpy())
        return {
            "loss/td": float(losses.mean()),
            "q/mean": float(values.mean()),
            "epsilon": self._epsilon(self._steps),
        }

    def _learn(self, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        q_tm1 = self.network(batch["observation"])
        chosen = q_tm1.gather(1, batch["action"][:, None])[:, 0]
        target = self._targets(batch)
        loss = (batch["weight"] * huber_loss(chosen, target, reduction="none")).mean()
        self._parameters.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self._parameters.clip_grad_norm(self._max_grad_norm)
        self._optimizer.step()
        self._follow()
        values = chosen.detach()
        return loss.detach(), target - values, values

    @torch.no_grad()
    def _targets(self, batch: dict[str, Tensor]) -> Tensor:
        q_t = self._target(batch["next_observation"])
        selector = self.network(batch["next_observation"]) if self._double else q_t
        if "next_legal_actions" in batch:
            selector = selector.masked_fill(~batch["next_legal_actions"], -torch.inf)
        v_t = q_t.gather(1, selector.argmax(1, keepdim=True))[:, 0]
        target: Tensor = td_target(batch["reward"], self._gamma * batch["discount"], v_t)
        return target

    def _follow(self) -> None:
        self._updates += 1
        if self._updates % self._target_every == 0:
            self._target_parameters.follow(self._parameters, self._tau)

    def _tensor(self, array: Array) -> Tensor:
        return to_tensor(array, self._device)

    def state_dict(self) -> State:
        """Return networks, optimiser, replay and counters."""
        return {
            "network": module_state(self.network),
            "target": module_state(self._target),
            "optimizer": optimizer_state(self._optimizer),
            "replay": self._replay.state_dict(),
            "counters": {"steps": self._steps, "due": self._due, "updates": self._updates},
        }

    def load_state_dict(self, state: State) -> None:
        """Take back what `state_dict` gave; a state without its replay is enough to act."""
        load_module_state(self.network, state["network"])
        load_module_state(self._target, state["target"])
        load_optimizer_state(self._optimizer, state["optimizer"])
        if "replay" in state:
            self._replay.load_state_dict(state["replay"])
        counters: dict[str, Any] = state["counters"]
        self._steps, self._due, self._updates = counters["steps"], counters["due"], counters["updates"]
