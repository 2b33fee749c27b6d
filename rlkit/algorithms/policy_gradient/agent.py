"""What agents share that learn from what their present policy has just done (torch)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from rlkit.algorithms.exploration import Schedule, annealed, tell_if_late
from rlkit.algorithms.policy_gradient.normalization import Moments, RewardScale
from rlkit.algorithms.policy_gradient.rollout import Rollout
from rlkit.core.targets import gae
from rlkit.core.types import (
    Array,
    FromRun,
    Memory,
    Metrics,
    State,
    TimeStep,
    Transition,
    UsageError,
    require_least,
    require_share,
)
from rlkit.networks import ActorCritic, Descent, Outputs, descend, load_module_state, module_state, to_tensor

_NOTHING = torch.zeros(0)
"""The hidden state of a network that has none."""


class PolicyAgent:
    """Acts by the policy of an `ActorCritic` and counts decisions; a subclass learns.

    Attributes:
        has_policy: actions can be drawn from it.
        network: the policy and values.
    """

    has_policy = True

    def __init__(
        self,
        *,
        network: ActorCritic,
        optimizer: Callable[..., torch.optim.Optimizer],
        learning_rate: float | Schedule,
        anneal: bool,
        total_steps: FromRun[int | None],
        gamma: float,
        max_grad_norm: float | None,
        device: FromRun[str],
    ):
        """Put the parts together.

        Args:
            network: policy and values.
            optimizer: called with the network's parameters and ``lr``.
            learning_rate: a number, or a schedule by the number of decisions observed.
            anneal: it falls in a line to 0 over `total_steps`.
            total_steps: of the run; needed to anneal.
            gamma: discount factor.
            max_grad_norm: gradients are scaled down to this norm; None: never.
            device: where the network lives.

        Raises:
            UsageError: a gamma beyond 0 to 1.
        """
        self.network = network.to(device)
        self.gamma = require_share("agent.gamma", gamma)
        self._learning_rate = annealed(learning_rate, anneal=anneal, total_steps=total_steps)
        parts = self._parts().items()
        self._descents = {name: Descent(part, optimizer, self._rate_of(name), max_grad_norm) for name, part in parts}
        self._tensor = partial(to_tensor, device=device)
        standardize = network.standardize
        self._moments = None if standardize is None else Moments(tuple(standardize.mean.shape))
        self._measured = standardize is None
        self._steps = 0

    def _require_state_values(self) -> None:
        if self.network.action_values:
            raise UsageError("agent.network.action_values=true is for agent=actor_critic; leave it false")

    def _parts(self) -> dict[str, Iterable[nn.Parameter]]:
        """Return the parameters that are learnt together, by name."""
        return {"all": self.network.parameters()}

    def _rate_of(self, part: str) -> Schedule:
        """Return the learning rate of a part."""
        return self._learning_rate

    def initial_memory(self, n: int) -> Memory:
        """Return zeros: a hidden state, and what `act` notes of an action for `observe`."""
        hidden = np.zeros((n, self.network.hidden_size), np.float32)
        parameters = torch.zeros(n, self.network.distribution.parameters)
        sample = torch.zeros_like(self.network.distribution.mode(parameters)).numpy()
        zeros = np.zeros(n, np.float32)
        memory = {"before": hidden, "hidden": hidden, "sample": sample, "log_prob": zeros}
        return {**memory, "value": zeros} if self.network.value_torso is None else memory

    def act(
        self, timestep: TimeStep, memory: Memory, *, explore: bool, rng: np.random.Generator
    ) -> tuple[Array, Memory]:
        """Return actions [N] or [N, ...], drawn from the policy, or the likeliest ones where not exploring.

        The memory afterwards tells of them: the sample, its probability's logarithm, the hidden state before and after,
        and the state's value where it is read off the same torso.
        """
        policy, n = self.network.distribution, len(timestep.observation)
        with torch.inference_mode():
            hidden = self._tensor(memory["hidden"]) if self.network.hidden_size else _NOTHING
            found, values, hidden = self._decide(timestep.observation, hidden)
            parameters = policy.masked(found, self._legal(timestep.legal_actions))
            sample = (
                policy.sample(parameters, self._tensor(policy.noise(n, rng))) if explore else policy.mode(parameters)
            )
            log_prob = policy.log_prob(parameters, sample)
        drawn = sample.cpu().numpy()
        noted = {
            "before": memory["hidden"],
            "hidden": hidden.cpu().numpy() if self.network.hidden_size else memory["hidden"],
            "sample": drawn,
            "log_prob": log_prob.cpu().numpy(),
        }
        if values is not None:
            noted["value"] = (values if values.ndim == 1 else values[:, 0]).cpu().numpy()
        return policy.actions(drawn), noted

    def _decide(self, observation: Array, hidden: Tensor) -> tuple[Tensor, Tensor | None, Tensor]:
        """Return as `ActorCritic.decide` does."""
        return self.network.decide(self._tensor(observation), hidden)

    def _legal(self, legal_actions: Array | None) -> Tensor | None:
        return None if legal_actions is None else self._tensor(legal_actions)

    def _seen(self, transition: Transition) -> None:
        """Count the decisions, and take in observations where they are standardised."""
        self._steps += int(np.count_nonzero(transition.valid))
        if self._moments is not None:
            self._moments.add(transition.observation[transition.valid])

    def _standardize(self) -> None:
        """Let the network standardise by what was seen so far; only between rollouts, so that one is of one policy.

        Until this was done once, observations come as they are: nothing is to be learnt from what was done on them.
        """
        self._measured = True
        if self._moments is not None and (standardize := self.network.standardize) is not None:
            standardize.mean.copy_(torch.from_numpy(self._moments.mean))
            standardize.inverse_std.copy_(torch.from_numpy(1 / self._moments.std))

    def _descend(self, loss: Tensor, *parts: str, scale: float = 1.0) -> None:
        """Take a gradient step on the named parts, or on all; `scale` is as in `Descent.step`."""
        descend(loss, [self._descents[part] for part in parts or self._descents], self._steps, scale)

    def state_dict(self) -> State:
        """Return network, optimiser, moments of observations and the number of decisions."""
        return {
            "network": module_state(self.network),
            "optimizers": {name: descent.state_dict() for name, descent in self._descents.items()},
            "moments": None if self._moments is None else self._moments.state_dict(),
            "measured": self._measured,
            "steps": self._steps,
        }

    def load_state_dict(self, state: State) -> None:
        """Take back what `state_dict` gave."""
        load_module_state(self.network, state["network"])
        for name, descent in self._descents.items():
            descent.load_state_dict(state["optimizers"][name])
        if self._moments is not None:
            self._moments.load_state_dict(state["moments"])
        self._measured = state["measured"]
        self._steps = state["steps"]


class Experience(NamedTuple):
    """What a rollout taught, as tensors; M sequences of T steps (of one step, where nothing is remembered).

    It may share memory with the rollout: it is to be used before that is filled again.
    """

    observation: Tensor  # [T, M, ...]
    sample: Tensor  # [T, M, ...]
    log_prob: Tensor  # [T, M] by the policy that acted
    value: Tensor  # [T, M] by the network that acted
    advantage: Tensor  # [T, M]
    target: Tensor  # [T, M] for the values
    weight: Tensor  # [T, M] 1 for decisions, 0 for rows that were none
    begins: Tensor  # [T, M] bool, nothing is remembered before this step
    legal: Tensor | None  # [T, M, A] bool
    hidden: Tensor  # [M, H] before the first step

    def part(self, chosen: Tensor) -> Experience:
        """Return some of the sequences [M']."""
        # A tenth of the time of `column[:, chosen]`, where rows are pictures.
        columns = [None if column is None else column.index_select(1, chosen) for column in self[:-1]]
        return Experience._make([*columns, self.hidden[chosen]])


class RolloutAgent(PolicyAgent):
    """Learns from rollouts of N environments side by side; a subclass says how in `_learn`."""

    def __init__(
        self,
        *,
        n_steps: int,
        gae_lambda: float,
        scale_rewards: bool,
        num_envs: FromRun[int],
        tell: FromRun[Callable[[str], None]],
        **options: Any,
    ):
        """Make the rollout.

        Args:
            n_steps: T, of each environment between updates.
            gae_lambda: 1: returns of up to T steps; less: weighted means of shorter ones.
            scale_rewards: rewards are scaled by `rlkit.algorithms.policy_gradient.normalization.RewardScale`.
            num_envs: N.
            tell: takes a line for the user.
            options: those of `PolicyAgent`.

        Raises:
            UsageError: a gamma or lambda beyond 0 to 1, rollouts of no steps, or a network with action values.
        """
        require_least(1, "agent", n_steps=n_steps)
        super().__init__(**options)
        tell_if_late(n_steps * num_envs * (1 if self._measured else 2), options["total_steps"], tell)
        self._require_state_values()
        self._lambda = require_share("agent.gae_lambda", gae_lambda)
        self._scale = RewardScale(num_envs, self.gamma) if scale_rewards else None
        self._rollout = Rollout(n_steps)
        self._successor: Transition | None = None

    def observe(self, transition: Transition) -> None:
        """Add a step to the rollout."""
        if not transition.valid.any():
            return
        self._seen(transition)
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
            "discount": np.float32(self.gamma) * transition.discount,
            "last": last,
            "valid": valid,
            "bootstrap": self._bootstrap(transition, last & (transition.discount != 0)),
        }
        if "value" in memory:
            rows["value"] = memory["value"]
        if transition.legal_actions is not None:
            rows["legal"] = transition.legal_actions
        self._rollout.add(rows, valid)
        self._successor = transition

    def _bootstrap(self, transition: Transition, wanted: Array) -> Array:
        """Return the values [N] of the true successors that are `wanted` [N], and 0 for the others."""
        values = np.zeros(len(wanted), np.float32)
        if wanted.any():
            with torch.inference_mode():
                seen = self._tensor(transition.next_observation[wanted])
                hidden = self._tensor(transition.memory["hidden"][wanted])
                values[wanted] = self.network.state_values(seen, hidden).cpu()
        return values

    def update(self) -> Metrics | None:
        """Learn where the rollout is full.

        Where observations are standardised, the first rollout teaches their scale only.
        """
        if not self._rollout.full or self._successor is None:
            return None
        metrics = self._learn(self._experience(self._successor)) if self._measured else None
        self._rollout.clear()
        self._standardize()
        return metrics

    def _experience(self, end: Transition) -> Experience:
        rows = self._rollout.columns
        value = rows["value"] if "value" in rows else self._values(rows["observation"], rows["valid"])
        following = rows["bootstrap"].copy()
        following[-1] += self._bootstrap(end, end.valid & ~end.last)
        following[:-1] += np.where(rows["last"][:-1], 0, value[1:])
        advantage = gae(value, rows["reward"], rows["discount"], following, rows["last"], self._lambda)
        begins = np.zeros_like(rows["last"])
        begins[1:] = (rows["last"] | ~rows["valid"])[:-1]
        columns = [rows[name] for name in ("observation", "sample", "log_prob")]
        columns += [value, advantage, advantage + value, rows["valid"].astype(np.float32), begins]
        legal = rows.get("legal")
        remembered = bool(self.network.hidden_size)
        hidden = rows["before"][0] if remembered else np.zeros((begins.size, 0), np.float32)
        together = [_sequences(column, remembered) for column in (columns if legal is None else [*columns, legal])]
        tensors = [self._tensor(column) for column in together] + [None] * (legal is None)
        return Experience._make([*tensors, self._tensor(hidden)])

    def _learn(self, experience: Experience) -> Metrics:
        """Take the gradient steps of an update."""
        raise NotImplementedError

    def _values(self, observation: Array, valid: Array) -> Array:
        """Return the values [T, N] of the states in which was acted, 0 where nothing was."""
        with torch.inference_mode():
            seen = self._tensor(observation.reshape(-1, *observation.shape[2:]))
            values = self.network.state_values(seen, _NOTHING).cpu().numpy()
        return np.where(valid, values.reshape(valid.shape), np.float32(0))

    def _evaluated(self, experience: Experience) -> tuple[Tensor, Tensor, Tensor]:
        """Return what the network says now of all rows [T * M]: log-probabilities, entropies and values."""
        outputs = self._outputs(experience)
        policy, legal = self.network.distribution, experience.legal
        parameters = policy.masked(outputs.parameters, None if legal is None else legal.flatten(0, 1))
        log_prob = policy.log_prob(parameters, experience.sample.flatten(0, 1))
        return log_prob, policy.entropy(parameters), outputs.values

    def _outputs(self, experience: Experience) -> Outputs:
        return self.network.sequence(experience.observation, experience.hidden, experience.begins)

    def state_dict(self) -> State:
        """Return also the rollout under way and the scale of rewards."""
        return {
            **super().state_dict(),
            "rollout": self._rollout.state_dict(),
            "scale": None if self._scale is None else self._scale.state_dict(),
        }

    def load_state_dict(self, state: State) -> None:
        """Take back what `state_dict` gave."""
        super().load_state_dict(state)
        self._rollout.load_state_dict(state["rollout"])
        if self._scale is not None:
            self._scale.load_state_dict(state["scale"])


def _sequences(column: Array, remembered: bool) -> Array:
    """Return a column [T, N, ...] as it is, or as T * N sequences of one step, where nothing ties steps together."""
    return column if remembered else column.reshape(1, -1, *column.shape[2:])
