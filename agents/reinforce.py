"""REINFORCE, with and without a baseline (Williams, 1992; Sutton & Barto, 2nd ed., sections 13.3 and 13.4)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from rlkit.algorithms.policy_gradient.losses import mean, normalized, policy_gradient_loss, value_loss
from rlkit.algorithms.policy_gradient.policy_agent import NOTHING, PolicyAgent
from rlkit.algorithms.policy_gradient.rollout import EpisodeStore
from rlkit.algorithms.policy_gradient.settings import PolicySettings
from rlkit.core import tree
from rlkit.core.ranges import PositiveInt
from rlkit.core.targets import returns
from rlkit.core.types import Array, FromRun, Metrics, State, Transition, Tree, UsageError
from rlkit.networks import ActorCritic


@dataclass(frozen=True, kw_only=True)
class ReinforceSettings(PolicySettings):
    """The settings of `Reinforce`, beside those of every agent with a policy; values are in conf/agent/reinforce.yaml.

    Attributes:
        baseline: the policy learns from returns less values, which are learned as well.
        episodes: that an update of the policy learns from; one of each environment, where those are more.
        baseline_episodes: of them that an update of the values learns from, in the order in which they began; at
            most `episodes`.
        discount_weights: a step counts ``gamma ** t``, as the gradient of the discounted return has it.
        normalize_advantages: to mean 0 and standard deviation 1 in each update.

    Raises:
        UsageError: no episodes, or a baseline that learns less often than the policy.
    """

    baseline: bool
    episodes: PositiveInt
    baseline_episodes: PositiveInt
    discount_weights: bool
    normalize_advantages: bool

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.baseline_episodes <= self.episodes:
            raise UsageError(
                f"agent.baseline_episodes is {self.baseline_episodes}; it must be from 1 to "
                f"agent.episodes={self.episodes}"
            )


class Reinforce(PolicyAgent):
    """Learns from the returns of whole episodes; the baseline, where there is one, has a torso of its own.

    An update learns from the first episodes that were begun under the current policy, whichever end first: the first to
    end would be the short ones. Steps of later episodes, and of those that were under way at the last update, are not
    learned from. A truncated episode's return goes on with the baseline's value of its last state; without a baseline
    it ends there.
    """

    settings: ReinforceSettings

    def __init__(
        self,
        *,
        network: ActorCritic,
        settings: ReinforceSettings,
        num_envs: FromRun[int],
        total_steps: FromRun[int | None],
        device: FromRun[str],
    ):
        """Put the parts together.

        Args:
            network: policy and values of states, on torsos of their own.
            settings: all numbers.
            num_envs: N.
            total_steps: decisions of the run; None: not known, so that nothing can be annealed.
            device: where the network lives.

        Raises:
            UsageError: a network that is shared or recurrent or has action values, or a rate to be annealed without
                `total_steps`.
        """
        super().__init__(network, settings, total_steps=total_steps, device=device)
        if network.value_torso is None:
            raise UsageError("agent=reinforce needs torsos of their own: set agent.network.shared=false")
        self._require_state_values()
        together = max(settings.episodes, num_envs)
        self._group = settings.baseline_episodes if settings.baseline else together
        self._store = EpisodeStore(num_envs, together)
        self._kept: list[dict[str, Tree]] = []

    def _parts(self) -> dict[str, Iterable[nn.Parameter]]:
        return {"policy": self.network.policy_parameters(), "value": self.network.value_parameters()}

    def observe(self, transition: Transition) -> None:
        """Store the step."""
        self._count(transition)
        rows = {
            "observation": transition.observation,
            "sample": transition.memory["sample"],
            "reward": transition.reward,
            "discount": np.float32(self.settings.gamma) * transition.discount,
            "last": transition.last,
            "bootstrap_value": self._bootstrap_values(transition),
        }
        if transition.legal_actions is not None:
            rows["legal"] = transition.legal_actions
        self._store.add(rows, transition.valid, transition.last)

    def _bootstrap_values(self, transition: Transition) -> Array:
        """Return the values [N] float32 of the states at which episodes were truncated; 0 elsewhere."""
        values, wanted = np.zeros(len(transition.last), np.float32), transition.last & (transition.discount != 0)
        if self.settings.baseline and wanted.any():
            with torch.inference_mode():
                values[wanted] = self._state_values(tree.take(transition.next_observation, wanted)).cpu()
        return values

    def update(self) -> Metrics | None:
        """Learn where enough episodes have ended: the values from some, the policy from all that count.

        Where observations are standardized, the first episodes only measure their scale.
        """
        metrics: dict[str, float] = {}
        while self._ready():
            rows = self._store.take(self._group)
            metrics |= self._keep(rows) if self._measured else {}
            if self._store.empty:
                metrics |= self._learn_policy() if self._measured else {}
                self._begin()
        return metrics or None

    def _ready(self) -> bool:
        """Return whether there are enough episodes, in each of the ranks where there are any."""
        own = self._store.ready(self._group)
        return own if self._ranks is None else self._ranks.all(own)

    def _keep(self, rows: dict[str, Tree]) -> Metrics:
        """Keep episodes for the policy, with each step's return, weight and value."""
        return_t = returns(rows["reward"], rows["discount"], rows["bootstrap_value"], rows["last"])
        value: Array = np.zeros_like(return_t)
        metrics: Metrics = {}
        if self.settings.baseline:
            value, metrics = self._learn_values(rows["observation"], return_t)
        power = powers(rows["last"], self.settings.gamma)
        self._kept.append({**rows, "return": return_t, "power": power, "value": value})
        return metrics

    def _begin(self) -> None:
        """Start collecting the episodes of the next update, as the policy has changed."""
        self._kept = []
        self._store.clear()
        self._standardize()

    def _learn_values(self, observation: Tree, return_t: Array) -> tuple[Array, Metrics]:
        """Return the values [T] as they were before they learn from the returns [T].

        Values already fitted to a return would reduce its advantage: in Sutton & Barto's algorithm the error is that
        before the update.
        """
        values, target = self._state_values(observation), self._tensor(return_t)
        loss = value_loss(values, target, torch.ones_like(target), None, None)
        self._optimize(loss, "value")
        return values.detach().cpu().numpy(), {"loss/value": loss.item()}

    def _state_values(self, observation: Tree) -> Tensor:
        return self.network.state_values(self._tensor(observation), NOTHING)

    def _learn_policy(self) -> Metrics:
        columns = self._tensor(tree.concatenate(self._kept))
        loss, parts = self.loss(columns)
        # The return's gradient is a sum over an episode's steps; the norm's limit is for their mean, as it would clip
        # whatever is long.
        length = self._over_ranks(
            torch.tensor(len(columns["return"]) / int(columns["last"].sum()), dtype=torch.float64)
        )
        self._optimize(loss, "policy", scale=length.item())
        metrics = {name: metric.item() for name, metric in parts.items()}
        return {**metrics, "learning_rate": self._learning_rate(self._steps)}

    def loss(self, columns: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the policy's loss [] on the steps [T] of episodes, and metrics [] by name.

        Args:
            columns: ``observation``, ``sample``, ``return``, ``value``, ``power``, ``last``, and ``legal`` where there
                are masks.
        """
        settings, policy = self.settings, self.network.distribution
        weight = torch.ones_like(columns["return"])

        # Forward.
        outputs, _, _ = self.network.decide(columns["observation"], NOTHING)
        parameters = policy.masked(outputs, columns.get("legal"))
        log_prob, entropy = policy.log_prob(parameters, columns["sample"]), mean(policy.entropy(parameters), weight)

        # Loss.
        advantage = normalized(columns["return"] - columns["value"], weight, settings.normalize_advantages)
        if settings.discount_weights:
            advantage = advantage * columns["power"]
        loss = policy_gradient_loss(log_prob, advantage, weight)

        return loss - settings.entropy_weight * entropy, {"loss/policy": loss, "entropy": entropy}

    def state_dict(self) -> State:
        """Return also the episodes that the policy has not learned from."""
        return {**super().state_dict(), "store": self._store.state_dict(), "kept": list(self._kept)}

    def load_state_dict(self, state: State) -> None:
        """Restore a state from `state_dict`."""
        super().load_state_dict(state)
        self._store.load_state_dict(state["store"])
        self._kept = list(state["kept"])


def powers(last: Array, gamma: float) -> Array:
    """Return ``gamma ** t`` [T] float32, t counted from each episode's first step; `last` [T] ends an episode."""
    first = np.concatenate([[0], np.flatnonzero(last[:-1]) + 1]).astype(np.int64)
    lengths = np.diff(np.append(first, len(last)))
    return np.asarray(gamma ** (np.arange(len(last)) - np.repeat(first, lengths)), np.float32)
