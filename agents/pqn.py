"""Parallel Q-learning without replay or target network: PQN (Gallici et al., 2025)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from rlkit.algorithms.exploration import epsilon_greedy, warn_if_late
from rlkit.algorithms.policy_gradient.losses import explained_variance, value_loss
from rlkit.algorithms.policy_gradient.rollout import Rollout
from rlkit.core import tree
from rlkit.core.ranges import PositiveInt, Probability
from rlkit.core.schedules import ProbabilitySchedule
from rlkit.core.targets import gae
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
        trace_decay: lambda of the returns; 0: one-step targets, 1: returns of up to `n_steps`.
        n_steps: T, of each environment between updates.
        epochs: passes over a rollout.
        batch_size: steps in a minibatch.
    """

    epsilon: ProbabilitySchedule
    gamma: Probability
    trace_decay: Probability
    n_steps: PositiveInt
    epochs: PositiveInt
    batch_size: PositiveInt


class PQN:
    """Q-learning from rollouts of N environments side by side; layer normalization stands for the target network.

    Attributes:
        network: observations [B, ...] -> outputs [B, A, 1], action values.
        tolerated_lag: none, as in `rlkit.core.remote`: the values in a rollout's targets are the present network's.
    """

    tolerated_lag = 0

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
            UsageError: a noisy or recurrent network, or a rate to be annealed without `total_steps`.
        """
        if network.noise_size or network.hidden_size:
            raise UsageError("agent=pqn explores by epsilon and has no memory; leave agent.network.noisy=false")
        warn_if_late(settings.n_steps * num_envs, total_steps, notify)
        self.network, self.settings, self._rng = network.to(device), settings, rng
        rate = settings.schedule(total_steps)
        self._learning_rate = rate
        self._optimizer = Optimizer(network.parameters(), settings.optimizer, rate, settings.max_grad_norm)
        self._tensor = partial(to_tensor, device=device)
        self._rollout = Rollout(settings.n_steps)
        self._successor: Transition | None = None
        self._steps = 0

    def initial_memory(self, n: int) -> Memory:
        """Return zeros [n]: `act` notes the state's value for `observe`."""
        return {"value": np.zeros(n, np.float32)}

    def act(
        self, timestep: TimeStep, memory: Memory, *, explore: bool, rng: np.random.Generator
    ) -> tuple[Array, Memory]:
        """Return the epsilon-greedy action [N], or the greedy one where not exploring; noted is the best value [N]."""
        q, legal = self._q(timestep.observation), timestep.legal_actions
        epsilon = self.settings.epsilon(self._steps) if explore else 0.0
        return epsilon_greedy(q, epsilon, rng, legal), {"value": _best(q, legal)}

    def _q(self, observation: Tree) -> Array:
        """Return the action values [B, A] float32 of observations [B, ...]."""
        with torch.inference_mode():
            outputs = self.network(self._tensor(observation))
            return np.asarray(self.network.distribution.mean(outputs).cpu().numpy())

    def observe(self, transition: Transition) -> None:
        """Add a step to the rollout."""
        valid = transition.valid
        if not valid.any():
            return
        self._steps += int(np.count_nonzero(valid))
        last = transition.last & valid
        rows = {
            "observation": transition.observation,
            "action": transition.action,
            "reward": transition.reward,
            "discount": np.float32(self.settings.gamma) * transition.discount,
            "last": last,
            "valid": valid,
            "value": transition.memory["value"],
            "bootstrap_value": self._bootstrap_values(transition, last & (transition.discount != 0)),
        }
        self._rollout.add(rows, valid)
        self._successor = transition

    def _bootstrap_values(self, transition: Transition, wanted: Array) -> Array:
        """Return the best values [N] of the true successors that are `wanted` [N], and 0 for the others."""
        values = np.zeros(len(wanted), np.float32)
        if wanted.any():
            legal = transition.next_legal_actions
            q = self._q(tree.take(transition.next_observation, wanted))
            values[wanted] = _best(q, None if legal is None else legal[wanted])
        return values

    def update(self) -> Metrics | None:
        """Learn where the rollout is full."""
        if not self._rollout.full or self._successor is None:
            return None
        metrics = self._learn(self._returns(self._successor))
        self._rollout.clear()
        return metrics

    def fragment_steps(self) -> int:
        """Return how many steps are missing in the rollout, for `rlkit.core.remote`."""
        return self._rollout.missing

    def _returns(self, end: Transition) -> Array:
        """Return the targets [T, N] float32 of the rollout that ended with a transition: Q(lambda).

        ``r + gamma * ((1 - lambda) * max q + lambda * the next target)``; where an episode was truncated, and at the
        rollout's end, the best value of the true successor alone.
        """
        rows = self._rollout.columns
        v_tm1, v_t = rows["value"], rows["bootstrap_value"].copy()
        v_t[-1] += self._bootstrap_values(end, end.valid & ~end.last)
        v_t[:-1] += np.where(rows["last"][:-1], 0, v_tm1[1:])
        decay = self.settings.trace_decay
        return np.asarray(gae(v_tm1, rows["reward"], rows["discount"], v_t, rows["last"], decay) + v_tm1)

    def _learn(self, returns: Array) -> Metrics:
        """Take the gradient steps of an update."""
        rows = self._rollout.columns
        index = np.flatnonzero(rows["valid"])
        observation = tree.map(lambda column: column.reshape(-1, *column.shape[2:]), rows["observation"])
        action, target = rows["action"].reshape(-1), returns.reshape(-1)
        steps = []
        for _ in range(self.settings.epochs):
            shuffled = self._rng.permutation(index)
            for start in range(0, len(shuffled), self.settings.batch_size):
                chosen = shuffled[start : start + self.settings.batch_size]
                batch = (tree.take(observation, chosen), action[chosen], target[chosen])
                steps.append(self._gradient_step(*map(self._tensor, batch)))
        loss, q = torch.stack(steps).mean(0).tolist()
        value, weight = (torch.from_numpy(column.reshape(-1)) for column in (rows["value"], rows["valid"]))
        explained = explained_variance(value, torch.from_numpy(target), weight.to(value.dtype)).item()
        rates = {"epsilon": self.settings.epsilon(self._steps), "learning_rate": self._learning_rate(self._steps)}
        return {"loss/td": loss, "q/mean": q, "explained_variance": explained, **rates}

    def _gradient_step(self, observation: Tree, action: Tensor, target: Tensor) -> Tensor:
        """Take a gradient step on a minibatch and return its loss and mean value [2]."""
        loss, q = self.loss(observation, action, target)
        self._optimizer.step(loss, self._steps)
        return torch.stack([loss.detach(), q.detach().mean()])

    def loss(self, observation: Tree, action: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Return half the mean squared error [] of the values of the actions taken, and those values [B].

        Args:
            observation: [B, ...].
            action: [B].
            target: [B] float32, returns.
        """
        q = self.network.distribution.mean(of_action(self.network(observation), action)).view(-1)
        return value_loss(q, target, torch.ones_like(target), None, None), q

    def acting_state(self) -> State:
        """Return the network, and the decisions so far, of which epsilon depends."""
        return {"network": module_state(self.network), "steps": self._steps}

    def load_acting_state(self, state: State) -> None:
        """Restore a state from `acting_state`."""
        load_module_state(self.network, state["network"])
        self._steps = state["steps"]

    def greedy_policy(self) -> GreedyPolicy:
        """Return what `act` does where not exploring, as a module."""
        from rlkit.networks.greedy_policies import GreedyValues

        return GreedyValues(self.network)

    def state_dict(self) -> State:
        """Return network, optimizer, the rollout under way, the generator and the number of decisions."""
        return {
            **self.acting_state(),
            "optimizer": self._optimizer.state_dict(),
            "rollout": self._rollout.state_dict(),
            "rng": self._rng.bit_generator.state,
        }

    def load_state_dict(self, state: State) -> None:
        """Restore a state from `state_dict`."""
        self.load_acting_state(state)
        self._optimizer.load_state_dict(state["optimizer"])
        self._rollout.load_state_dict(state["rollout"])
        self._rng.bit_generator.state = state["rng"]


def _best(q: Array, legal: Array | None) -> Array:
    """Return the largest value [N] of each row of `q` [N, A], of the actions in `legal` [N, A] bool; 0 without any."""
    if legal is None:
        return np.asarray(q.max(1))
    return np.where(legal.any(1), np.where(legal, q, -np.inf).max(1), 0).astype(np.float32)
