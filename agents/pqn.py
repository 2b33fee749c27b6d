"""Parallel Q-network: Q-learning on rollouts, without replay and target network (Gallici et al., 2025)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from rlkit.algorithms.exploration import epsilon_greedy, warn_if_late
from rlkit.algorithms.policy_gradient.losses import explained_variance, mean
from rlkit.algorithms.policy_gradient.rollout import Rollout, successor_values
from rlkit.core import tree
from rlkit.core.ranges import PositiveInt, Probability
from rlkit.core.schedules import ProbabilitySchedule
from rlkit.core.targets import q_lambda
from rlkit.core.types import Array, FromRun, Memory, Metrics, State, TimeStep, Transition, Tree, UsageError
from rlkit.networks import GradientSettings, Optimizer, QNetwork, load_module_state, module_state, to_tensor
from rlkit.networks.return_distributions import of_action

if TYPE_CHECKING:
    from rlkit.networks.greedy_policies import GreedyPolicy


@dataclass(frozen=True, kw_only=True)
class PQNSettings(GradientSettings):
    """The settings of `PQN`, beside those of every agent that descends a gradient; values are in conf/agent/pqn.yaml.

    Attributes:
        epsilon: probability of a uniformly drawn action, by the number of decisions observed.
        gamma: discount factor.
        trace_decay: lambda of `rlkit.core.targets.q_lambda`.
        n_steps: T, of each environment between updates.
        epochs: passes over a rollout.
        batch_size: steps in a minibatch; the last one of an epoch may be smaller.
    """

    epsilon: ProbabilitySchedule
    gamma: Probability
    trace_decay: Probability
    n_steps: PositiveInt
    epochs: PositiveInt
    batch_size: PositiveInt


class RolloutTargets(NamedTuple):
    """B steps of a rollout as tensors, and what their actions' values should be."""

    observation: Tree  # [B, ...]
    action: Tensor  # [B] int64
    target: Tensor  # [B] float32
    weight: Tensor  # [B] 1 for decisions, 0 for rows that were none

    def rows(self, index: Tensor) -> RolloutTargets:
        """Return the rows `index` [M] int64."""
        return RolloutTargets._make(tree.map(lambda leaf: leaf.index_select(0, index), column) for column in self)


class PQN:
    """Several epochs of minibatches for each rollout, towards Q(lambda)'s targets by the network that acted.

    What keeps it stable, in the place of a target network, is a network that normalizes its layers.

    Attributes:
        network: observations [B, ...] -> values [B, A, 1].
    """

    def __init__(
        self,
        *,
        network: QNetwork,
        settings: PQNSettings,
        num_envs: FromRun[int],
        total_steps: FromRun[int | None],
        device: FromRun[str],
        notify: FromRun[Callable[[str], None]],
        rng: FromRun[np.random.Generator],
    ):
        """Put the parts together.

        Args:
            network: action values.
            settings: all numbers.
            num_envs: N.
            total_steps: decisions of the run; None: not known, so that nothing can be annealed.
            device: where the network lives.
            notify: takes a line for the user.
            rng: shuffles.

        Raises:
            UsageError: a network with noise, a memory or a distribution of returns, or a rate to be annealed without
                `total_steps`.
        """
        _require_plain(network)
        self.settings, self._rng = settings, rng
        self.network = network.to(device)
        self._learning_rate = settings.schedule(total_steps)
        self._optimizer = Optimizer(
            network.parameters(), settings.optimizer, self._learning_rate, settings.max_grad_norm
        )
        warn_if_late(settings.n_steps * num_envs, total_steps, notify)
        self._tensor = partial(to_tensor, device=device)
        self._rollout = Rollout(settings.n_steps)
        self._end: Array | None = None
        self._steps = 0

    def initial_memory(self, n: int) -> Memory:
        """Return what `act` adds for `observe`: the largest values of `n` states, [n] zeros."""
        return {"value": np.zeros(n, np.float32)}

    def act(
        self, timestep: TimeStep, memory: Memory, *, explore: bool, rng: np.random.Generator
    ) -> tuple[Array, Memory]:
        """Return the epsilon-greedy action [N], or the greedy one where not exploring, and the states' values."""
        legal = timestep.legal_actions
        q = self._action_values(timestep.observation)
        epsilon = self.settings.epsilon(self._steps) if explore else 0.0
        return epsilon_greedy(q, epsilon, rng, legal), {"value": _largest(q, legal)}

    def _action_values(self, observation: Tree) -> Array:
        """Return the values [N, A] float32 of observations [N, ...]."""
        with torch.inference_mode():
            values: Array = self.network(self._tensor(observation))[..., 0].cpu().numpy()
        return values

    def observe(self, transition: Transition) -> None:
        """Add a step to the rollout."""
        valid, last = transition.valid, transition.last & transition.valid
        if not valid.any():
            return
        self._steps += int(np.count_nonzero(valid))
        rows = {
            "observation": transition.observation,
            "action": transition.action,
            "value": transition.memory["value"],
            "reward": transition.reward,
            "discount": np.float32(self.settings.gamma) * transition.discount,
            "last": last,
            "valid": valid,
            "bootstrap_value": self._bootstrap_values(transition, last & (transition.discount != 0)),
        }
        self._rollout.add(rows, valid)
        if self._rollout.full:
            self._end = self._bootstrap_values(transition, valid & ~last)

    def _bootstrap_values(self, transition: Transition, wanted: Array) -> Array:
        """Return the largest values [N] of the true successors that are `wanted` [N], and 0 for the others."""
        values = np.zeros(len(wanted), np.float32)
        if wanted.any():
            legal = transition.next_legal_actions
            q = self._action_values(tree.take(transition.next_observation, wanted))
            values[wanted] = _largest(q, None if legal is None else legal[wanted])
        return values

    def update(self) -> Metrics | None:
        """Take the gradient steps on a rollout where it is full."""
        if not self._rollout.full or self._end is None:
            return None
        targets = self._targets(self._end)
        steps = [self._gradient_step(batch) for batch in self._minibatches(targets)]
        metrics = self._metrics(targets, steps)
        self._rollout.clear()
        self._end = None
        return metrics

    def _minibatches(self, targets: RolloutTargets) -> Iterator[RolloutTargets]:
        for _ in range(self.settings.epochs):
            order = torch.from_numpy(self._rng.permutation(len(targets.weight)))
            for index in torch.split(order, self.settings.batch_size):
                yield targets.rows(index.to(targets.weight.device))

    def _targets(self, end: Array) -> RolloutTargets:
        """Return the rollout's steps [T * N]; `end` [N] are the values after the last."""
        rows = self._rollout.columns
        v_tm1 = rows["value"]
        v_t = successor_values(rows, v_tm1, end)
        target = q_lambda(v_tm1, rows["reward"], rows["discount"], v_t, rows["last"], self.settings.trace_decay)
        columns = [rows["observation"], rows["action"], target, rows["valid"].astype(np.float32)]
        return RolloutTargets._make(self._tensor(tree.map(_flat, column)) for column in columns)

    def _gradient_step(self, batch: RolloutTargets) -> dict[str, Tensor]:
        loss, metrics = self.loss(batch)
        self._optimizer.step(loss, self._steps)
        return {name: metric.detach() for name, metric in metrics.items()}

    def loss(self, batch: RolloutTargets) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss [] of a minibatch, the mean squared error, and metrics [] by name, with their gradients."""
        q_tm1 = of_action(self.network(batch.observation), batch.action).squeeze(1)
        loss = mean((batch.target - q_tm1) ** 2, batch.weight)
        return loss, {"loss/td": loss, "q/mean": mean(q_tm1, batch.weight)}

    def _metrics(self, targets: RolloutTargets, steps: list[dict[str, Tensor]]) -> Metrics:
        rows = torch.stack([torch.stack(list(step.values())) for step in steps])
        means = dict(zip(steps[0], rows.mean(0).tolist(), strict=True))
        value = self._tensor(_flat(self._rollout.columns["value"]))
        explained = explained_variance(value, targets.target, targets.weight).item()
        now = {"epsilon": self.settings.epsilon(self._steps), "learning_rate": self._learning_rate(self._steps)}
        return {**means, "explained_variance": explained, **now}

    def greedy_policy(self) -> GreedyPolicy:
        """Return what `act` does where not exploring, as a module."""
        from rlkit.networks.greedy_policies import GreedyValues

        return GreedyValues(self.network)

    def state_dict(self) -> State:
        """Return network, optimizer, the rollout under way, the number of decisions and the generator."""
        return {
            "network": module_state(self.network),
            "optimizer": self._optimizer.state_dict(),
            "rollout": self._rollout.state_dict(),
            "end": None if self._end is None else self._end.copy(),
            "steps": self._steps,
            "rng": self._rng.bit_generator.state,
        }

    def load_state_dict(self, state: State) -> None:
        """Restore a state from `state_dict`."""
        load_module_state(self.network, state["network"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._rollout.load_state_dict(state["rollout"])
        self._end = None if state["end"] is None else np.array(state["end"])
        self._steps = state["steps"]
        self._rng.bit_generator.state = state["rng"]


def _largest(q: Array, legal: Array | None) -> Array:
    """Return the largest value [N] of each row of `q` [N, A], among the `legal` ones [N, A] bool."""
    largest: Array = (q if legal is None else np.where(legal, q, -np.inf)).max(axis=1).astype(np.float32)
    return largest


def _flat(column: Array) -> Array:
    """Return a column [T, N, ...] as rows [T * N, ...]."""
    return column.reshape(-1, *column.shape[2:])


def _require_plain(network: QNetwork) -> None:
    if network.noise_size:
        raise UsageError("agent.network.noisy=true is for agent=dqn, and PQN explores by epsilon; leave it false")
    if network.hidden_size:
        raise UsageError("agent.network.recurrent is for agent=dqn and replay=sequences; PQN has no memory")
    if network.distribution.outputs != 1:
        raise UsageError("agent=pqn learns expected returns; leave agent.network.distribution as it is")
