"""REINFORCE, with and without a baseline (Williams, 1992; Sutton & Barto, 2nd ed., sections 13.3 and 13.4)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from rlkit.core import Array, Metrics, State, Transition, UsageError
from rlkit.on_policy import PolicyAgent
from rlkit.policy_losses import mean, normalized, policy_gradient_loss, value_loss
from rlkit.rollout import EpisodeStore
from rlkit.targets import returns


class Reinforce(PolicyAgent):
    """Learns from the returns of whole episodes; the baseline, where there is one, has a torso of its own.

    A truncated episode's return goes on with the baseline's value of where it was broken off; without a baseline it
    ends there.
    """

    def __init__(
        self,
        *,
        baseline: bool,
        episodes: int,
        baseline_episodes: int,
        discount_weights: bool,
        entropy_weight: float,
        normalize_advantages: bool,
        num_envs: int,
        **options: Any,
    ):
        """Put the parts together.

        Args:
            baseline: the policy learns from returns less values, which are learnt as well.
            episodes: between updates of the policy.
            baseline_episodes: between updates of the values, at most `episodes`.
            discount_weights: a step counts ``gamma ** t``, as the gradient of the discounted return has it.
            entropy_weight: of the policy's entropy, which keeps it exploring.
            normalize_advantages: to mean 0 and standard deviation 1 in each update.
            num_envs: N.
            options: those of `PolicyAgent`.

        Raises:
            UsageError: a network that is shared or recurrent or has action values, or a baseline that learns more
                seldom than the policy.
        """
        super().__init__(**options)
        if self.network.value_torso is None:
            raise UsageError(
                "agent=reinforce needs torsos of their own: set agent.network.shared=false, recurrent=none"
            )
        self._require_state_values()
        if not 1 <= baseline_episodes <= episodes:
            raise UsageError(
                f"agent.baseline_episodes is {baseline_episodes}; it must be from 1 to agent.episodes={episodes}"
            )
        self._baseline, self._episodes, self._baseline_episodes = baseline, episodes, baseline_episodes
        self._discount_weights, self._entropy_weight = discount_weights, entropy_weight
        self._normalize = normalize_advantages
        self._store, self._kept, self._finished = EpisodeStore(num_envs), [], 0  # type: ignore[var-annotated]

    def _parts(self) -> dict[str, Iterable[nn.Parameter]]:
        return {"policy": self.network.policy_parameters(), "value": self.network.value_parameters()}

    def observe(self, transition: Transition) -> None:
        """Store the step."""
        self._seen(transition)
        rows = {
            "observation": transition.observation,
            "sample": transition.memory["sample"],
            "reward": transition.reward,
            "discount": np.float32(self.gamma) * transition.discount,
            "last": transition.last,
            "following": self._following(transition),
        }
        if transition.legal_actions is not None:
            rows["legal"] = transition.legal_actions
        self._store.add(rows, transition.valid, transition.last)

    def _following(self, transition: Transition) -> Array:
        """Return the values [N] of where episodes were truncated; 0 elsewhere."""
        values, wanted = np.zeros(len(transition.last), np.float32), transition.last & (transition.discount != 0)
        if self._baseline and wanted.any():
            with torch.inference_mode():
                seen = self._tensor(transition.next_observation[wanted])
                values[wanted] = self.network.state_values(seen, seen.new_zeros(len(seen), 0)).cpu()
        return values

    def update(self) -> Metrics | None:
        """Learn where enough episodes have ended."""
        wanted = self._baseline_episodes if self._baseline else self._episodes
        if self._store.finished < wanted:
            return None
        self._finished += self._store.finished
        taken = [self._with_returns(rows) for rows in self._store.take()]
        metrics = self._learn_values(taken) if self._baseline else {}
        self._kept += taken
        if self._finished >= self._episodes:
            metrics = {**metrics, **self._learn_policy(self._kept)}
            self._kept, self._finished = [], 0
        self._standardize()
        return metrics

    def _with_returns(self, rows: dict[str, Array]) -> dict[str, Array]:
        followed = returns(rows["reward"], rows["discount"], rows["following"], rows["last"])
        return {**rows, "return": followed, "power": powers(rows["last"], self.gamma)}

    def _learn_values(self, episodes: list[dict[str, Array]]) -> Metrics:
        observation, target = (self._together(episodes, name) for name in ("observation", "return"))
        values = self.network.state_values(observation, observation.new_zeros(len(observation), 0))
        loss = value_loss(values, target, torch.ones_like(target), None, None)
        self._descend(loss, "value")
        return {"loss/value": loss.item()}

    def _learn_policy(self, episodes: list[dict[str, Array]]) -> Metrics:
        columns = {name: self._together(episodes, name) for name in episodes[0]}
        observation, weight = columns["observation"], torch.ones_like(columns["return"])
        outputs = self.network(observation, observation.new_zeros(len(observation), 0))
        policy = self.network.distribution
        parameters = policy.masked(outputs.parameters, columns.get("legal"))
        values = outputs.values.detach() if self._baseline else 0.0
        advantage = normalized(columns["return"] - values, weight, self._normalize)
        if self._discount_weights:
            advantage = advantage * columns["power"]
        loss = policy_gradient_loss(policy.log_prob(parameters, columns["sample"]), advantage, weight)
        entropy = mean(policy.entropy(parameters), weight)
        # The return's gradient is a sum over an episode's steps, not a mean.
        length = weight.sum() / columns["last"].sum()
        self._descend(length * (loss - self._entropy_weight * entropy), "policy")
        return {
            "loss/policy": loss.item(),
            "entropy": entropy.item(),
            "learning_rate": self._learning_rate(self._steps),
        }

    def _together(self, episodes: list[dict[str, Array]], name: str) -> Tensor:
        return self._tensor(np.concatenate([rows[name] for rows in episodes]))

    def state_dict(self) -> State:
        """Return also the episodes under way and those that the policy has not learnt from."""
        more = {"store": self._store.state_dict(), "kept": list(self._kept), "finished": self._finished}
        return {**super().state_dict(), **more}

    def load_state_dict(self, state: State) -> None:
        """Take back what `state_dict` gave."""
        super().load_state_dict(state)
        self._store.load_state_dict(state["store"])
        self._kept, self._finished = list(state["kept"]), state["finished"]


def powers(last: Array, gamma: float) -> Array:
    """Return ``gamma ** t`` [T] float32, t counted from each episode's first step; `last` [T] ends an episode."""
    first = np.concatenate([[0], np.flatnonzero(last[:-1]) + 1]).astype(np.int64)
    lengths = np.diff(np.append(first, len(last)))
    return np.asarray(gamma ** (np.arange(len(last)) - np.repeat(first, lengths)), np.float32)
