"""The base of agents that learn from rollouts of their present policy (torch)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from rlkit.algorithms.exploration import warn_if_late
from rlkit.algorithms.policy_gradient.intrinsic import Intrinsic
from rlkit.algorithms.policy_gradient.normalization import RewardScale
from rlkit.algorithms.policy_gradient.policy_agent import NOTHING, PolicyAgent
from rlkit.algorithms.policy_gradient.rollout import Rollout, successor_values
from rlkit.algorithms.policy_gradient.rollout_batch import RolloutBatch
from rlkit.algorithms.policy_gradient.settings import OnPolicySettings
from rlkit.core import tree
from rlkit.core.ranks import Ranks
from rlkit.core.targets import gae
from rlkit.core.types import Array, Metrics, State, Transition, Tree, UsageError
from rlkit.networks import ActorCritic


class RolloutAgent(PolicyAgent):
    """Learns from rollouts of N environments side by side; a subclass says how in `_learn`.

    Attributes:
        tolerated_lag: none, as in `rlkit.core.remote`: rollouts are of the present policy.
    """

    tolerated_lag = 0
    settings: OnPolicySettings

    def __init__(
        self,
        network: ActorCritic,
        settings: OnPolicySettings,
        *,
        num_envs: int,
        total_steps: int | None,
        device: str,
        notify: Callable[[str], None],
        intrinsic: Intrinsic | None = None,
    ):
        """Put the parts together.

        Args:
            network: policy and values of states.
            settings: all numbers.
            num_envs: N.
            total_steps: decisions of the run, or None.
            device: where the network lives.
            notify: takes a line for the user.
            intrinsic: rewards for what is new; None: there are none.

        Raises:
            UsageError: a network with action values, or what `PolicyAgent` refuses.
        """
        super().__init__(network, settings, total_steps=total_steps, device=device)
        self._n_steps = settings.steps_of_each(num_envs)
        warn_if_late(self._n_steps * num_envs * (1 if self._measured else 2), total_steps, notify)
        self._require_state_values()
        self._scale = RewardScale(num_envs, settings.gamma) if settings.scale_rewards else None
        self._rollout = Rollout(self._n_steps)
        self._successor: Transition | None = None
        self._intrinsic = intrinsic

    def join_ranks(self, ranks: Ranks) -> None:
        """Share also the scale of rewards, after each rollout.

        Raises:
            UsageError: what is new is rewarded, which each rank would judge by itself.
        """
        if self._intrinsic is not None:
            raise UsageError("agent.intrinsic differs from process to process; leave it out, or train without torchrun")
        super().join_ranks(ranks)
        if self._scale is not None:
            self._scale.join_ranks(ranks)

    def observe(self, transition: Transition) -> None:
        """Add a step to the rollout."""
        if not transition.valid.any():
            return
        self._count(transition)
        self._forward.append(transition.observation)
        memory, valid, last = transition.memory, transition.valid, transition.last & transition.valid
        reward = np.where(valid, transition.reward, np.float32(0))
        if self._scale is not None:
            reward = self._scale(reward, transition.discount, last, valid)
        rows = {
            "observation": transition.observation,
            "sample": memory["sample"],
            "log_prob": memory["log_prob"],
            "before": memory["before"],
            "reward": reward,
            "discount": np.float32(self.settings.gamma) * transition.discount,
            "last": last,
            "valid": valid,
            "bootstrap_value": self._bootstrap_values(transition, last & (transition.discount != 0)),
        }
        if "value" in memory:
            rows["value"] = memory["value"]
        if transition.legal_actions is not None:
            rows["legal"] = transition.legal_actions
        if self._intrinsic is not None:
            rows |= self._intrinsic.rows(transition)
        self._rollout.add(rows, valid)
        self._successor = transition

    def _bootstrap_values(self, transition: Transition, wanted: Array) -> Array:
        """Return the values [N] of the true successors that are `wanted` [N], and 0 for the others."""
        values = np.zeros(len(wanted), np.float32)
        if wanted.any():
            with torch.inference_mode():
                observation = self._tensor(tree.take(transition.next_observation, wanted))
                hidden = self._tensor(transition.memory["hidden"][wanted])
                values[wanted] = self.network.state_values(observation, hidden).cpu()
        return values

    def update(self) -> Metrics | None:
        """Learn where the rollout is full.

        Where observations are standardized, the first rollout only measures their scale.
        """
        if not self._rollout.full or self._successor is None:
            return None
        metrics = self._learnt_from(self._batch(self._successor)) if self._measured else None
        self._rollout.clear()
        self._standardize()
        if self._scale is not None:
            self._scale.share()
        return metrics

    def _learnt_from(self, rollout: RolloutBatch) -> Metrics:
        """Take an update's gradient steps, with the advantages of what is new if that is wanted."""
        if self._intrinsic is None:
            return self._learn(rollout)
        columns = self._rollout.columns
        advantage = rollout.advantage.view(columns["valid"].shape).cpu().numpy()
        both, metrics = self._intrinsic.learn(columns, advantage)
        both = self._tensor(both.astype(np.float32)).view_as(rollout.advantage)
        return {**self._learn(rollout._replace(advantage=both)), **metrics}

    def fragment_steps(self) -> int:
        """Return how many steps are missing in the rollout, for `rlkit.core.remote`."""
        return self._rollout.missing

    def _learn(self, rollout: RolloutBatch) -> Metrics:
        """Take the gradient steps of an update."""
        raise NotImplementedError

    def _batch(self, end: Transition) -> RolloutBatch:
        """Return the rollout that ended with a transition, with advantages and targets."""
        rows = self._rollout.columns
        v_tm1 = rows["value"] if "value" in rows else self._values(rows["observation"], rows["valid"])
        v_t = self._successor_values(end, v_tm1)
        advantage = gae(v_tm1, rows["reward"], rows["discount"], v_t, rows["last"], self.settings.gae_lambda)
        begins = np.zeros_like(rows["last"])
        begins[1:] = (rows["last"] | ~rows["valid"])[:-1]
        columns = [rows[name] for name in ("observation", "sample", "log_prob")]
        columns += [v_tm1, advantage, advantage + v_tm1, rows["valid"].astype(np.float32), begins]
        legal, remembers = rows.get("legal"), bool(self.network.hidden_size)
        hidden = rows["before"][0] if remembers else np.zeros((begins.size, 0), np.float32)
        joined = [_sequences(column, remembers) for column in (columns if legal is None else [*columns, legal])]
        tensors = [self._tensor(column) for column in joined] + [None] * (legal is None)
        return RolloutBatch._make([*tensors, self._tensor(hidden)])

    def _successor_values(self, end: Transition, v_tm1: Array) -> Array:
        """Return the values [T, N] of the true successors in the rollout that ended with a transition.

        Args:
            end: its last transition.
            v_tm1: [T, N] values of the states acted in.
        """
        bootstrap = self._bootstrap_values(end, end.valid & ~end.last)
        return successor_values(self._rollout.columns, v_tm1, bootstrap)

    def _values(self, observation: Tree, valid: Array) -> Array:
        """Return the values [T, N] float32 of observations [T, N, ...], 0 where not `valid` [T, N] bool."""
        with torch.inference_mode():
            rows = self._tensor(tree.map(_rows, observation))
            values = self.network.state_values(rows, NOTHING).cpu().numpy()
        return np.where(valid, values.reshape(valid.shape), np.float32(0))

    def _evaluate(self, batch: RolloutBatch) -> tuple[Tensor, Tensor, Tensor]:
        """Return the network's log-probabilities, entropies and values of all rows, [T * M] each."""
        outputs = self._forward.outputs(batch.observation, batch.hidden, batch.begins)
        policy, legal = self.network.distribution, batch.legal
        parameters = policy.masked(outputs.parameters, None if legal is None else legal.flatten(0, 1))
        log_prob = policy.log_prob(parameters, batch.sample.flatten(0, 1))
        return log_prob, policy.entropy(parameters), outputs.values

    def state_dict(self) -> State:
        """Return also the rollout under way and the scale of rewards."""
        return {
            **super().state_dict(),
            "rollout": self._rollout.state_dict(),
            "scale": None if self._scale is None else self._scale.state_dict(),
            **({} if self._intrinsic is None else {"intrinsic": self._intrinsic.state_dict()}),
        }

    def load_state_dict(self, state: State) -> None:
        """Restore a state from `state_dict`."""
        super().load_state_dict(state)
        self._rollout.load_state_dict(state["rollout"])
        self._forward.restore(state["rollout"]["columns"].get("observation", ()))
        if self._scale is not None:
            self._scale.load_state_dict(state["scale"])
        if self._intrinsic is not None:
            self._intrinsic.load_state_dict(state["intrinsic"])


def _rows(column: Array) -> Array:
    """Return a column [T, N, ...] as rows [T * N, ...]."""
    return column.reshape(len(column) * column.shape[1], *column.shape[2:])


def _sequences(column: Tree, remembers: bool) -> Tree:
    """Return a column [T, N, ...] as it is, or as T * N sequences of one step, where nothing ties steps together."""
    return column if remembers else tree.map(lambda leaf: _rows(leaf)[None], column)
