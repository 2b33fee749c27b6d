"""The base of agents with a policy network (torch)."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from rlkit.algorithms.policy_gradient.forward_pass import CachedForwardPass, ForwardPass
from rlkit.algorithms.policy_gradient.observation_statistics import ObservationStatistics
from rlkit.algorithms.policy_gradient.settings import PolicySettings
from rlkit.core.ranks import Ranks
from rlkit.core.schedules import Schedule
from rlkit.core.types import Array, Memory, State, TimeStep, Transition, UsageError
from rlkit.networks import ActorCritic, Optimizer, load_module_state, module_state, step_together, to_tensor

if TYPE_CHECKING:
    from rlkit.networks.greedy_policies import GreedyPolicy

NOTHING = torch.zeros(0)
"""The hidden state of a network that has none."""


class PolicyAgent:
    """Acts by the policy of an `ActorCritic` and counts decisions; a subclass learns.

    Attributes:
        has_policy: actions can be drawn from it.
        steps_once: a subclass takes a single gradient step on what it acted on; the forward pass is then kept.
        network: the policy and values.
        settings: the subclass's.
    """

    has_policy = True
    steps_once = False
    settings: PolicySettings

    def __init__(self, network: ActorCritic, settings: PolicySettings, *, total_steps: int | None, device: str):
        """Put the parts together.

        Args:
            network: policy and values.
            settings: all numbers.
            total_steps: decisions of the run; None: not known, so that nothing can be annealed.
            device: where the network lives.

        Raises:
            UsageError: a rate to be annealed without `total_steps`.
        """
        self.network, self.settings = network.to(device), settings
        self._learning_rate = settings.schedule(total_steps)
        self._optimizers = {
            name: Optimizer(part, settings.optimizer, self._rate_of(name), settings.max_grad_norm)
            for name, part in self._parts().items()
        }
        self._tensor = partial(to_tensor, device=device)
        cached = self.steps_once and CachedForwardPass.supports(network)
        self._forward = (CachedForwardPass if cached else ForwardPass)(network, self._tensor)
        standardize = network.standardize
        self._statistics = None if standardize is None else ObservationStatistics(standardize)
        self._measured = standardize is None
        self._steps = 0
        self._ranks: Ranks | None = None
        self._world = 1

    def join_ranks(self, ranks: Ranks) -> None:
        """Learn from what all `ranks` experience, as `rlkit.core.ranks` says."""
        self._ranks, self._world = ranks, ranks.size
        for optimizer in self._optimizers.values():
            optimizer.join_ranks(ranks)
        if self._statistics is not None:
            self._statistics.join_ranks(ranks)

    def _over_ranks(self, number: Tensor) -> Tensor:
        """Return the mean [] of a number [] over the ranks, where there are any."""
        if self._ranks is None:
            return number
        mean = number.detach().reshape(1).clone()
        self._ranks.average(mean)
        return mean.reshape(())

    def _require_state_values(self) -> None:
        if self.network.action_values:
            raise UsageError("agent.network.action_values=true is for agent=actor_critic; leave it false")

    def _parts(self) -> dict[str, Iterable[nn.Parameter]]:
        """Return the parameters that have an optimizer each, by name."""
        return {"all": self.network.parameters()}

    def _rate_of(self, part: str) -> Schedule:
        """Return the learning rate of a part."""
        return self._learning_rate

    def initial_memory(self, n: int) -> Memory:
        """Return zeros: a hidden state, and what `act` adds for `observe`."""
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

        The memory afterwards has the sample, its probability's logarithm, the hidden state before and after, and the
        state's value where it is read off the same torso.
        """
        policy, n = self.network.distribution, len(timestep.valid)
        with torch.inference_mode():
            hidden = self._tensor(memory["hidden"]) if self.network.hidden_size else NOTHING
            outputs, values, hidden = self._forward.decide(timestep.observation, hidden)
            parameters = policy.masked(outputs, self._legal(timestep.legal_actions))
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

    def acting_state(self) -> State:
        """Return the network, as `rlkit.core.remote` says."""
        return {"network": module_state(self.network)}

    def load_acting_state(self, state: State) -> None:
        """Restore a state from `acting_state`."""
        load_module_state(self.network, state["network"])

    def greedy_policy(self) -> GreedyPolicy:
        """Return what `act` does where not exploring, as a module."""
        from rlkit.networks.greedy_policies import LikeliestActions

        return LikeliestActions(self.network)

    def _legal(self, legal_actions: Array | None) -> Tensor | None:
        return None if legal_actions is None else self._tensor(legal_actions)

    def _count(self, transition: Transition) -> None:
        """Count the decisions, and add observations to the statistics where they are standardized."""
        self._steps += self._world * int(np.count_nonzero(transition.valid))
        if self._statistics is not None:
            self._statistics.add(transition.observation, transition.valid)

    def _standardize(self) -> None:
        """Let the network standardize by the observations so far; between rollouts only, so that each has one policy.

        Before the first time observations are not standardized, and nothing may be learned from them.
        """
        self._measured = True
        if self._statistics is not None:
            self._statistics.share()
            self._statistics.apply()

    def _optimize(self, loss: Tensor, *parts: str, scale: float = 1.0) -> None:
        """Take a gradient step on the named parts, or on all; `scale` is as in `Optimizer.apply`."""
        step_together(loss, [self._optimizers[part] for part in parts or self._optimizers], self._steps, scale)

    def state_dict(self) -> State:
        """Return network, optimizers, statistics of observations and the number of decisions."""
        return {
            "network": module_state(self.network),
            "optimizers": {name: optimizer.state_dict() for name, optimizer in self._optimizers.items()},
            "statistics": None if self._statistics is None else self._statistics.state_dict(),
            "measured": self._measured,
            "steps": self._steps,
        }

    def load_state_dict(self, state: State) -> None:
        """Restore a state from `state_dict`."""
        load_module_state(self.network, state["network"])
        for name, optimizer in self._optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])
        if self._statistics is not None:
            self._statistics.load_state_dict(state["statistics"])
        self._measured = state["measured"]
        self._steps = state["steps"]
