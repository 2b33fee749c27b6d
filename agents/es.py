"""Evolution strategies: parameters move towards perturbations that scored well (Salimans et al., 2017)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated

import numpy as np
import torch
from torch import Tensor

from rlkit.algorithms.policy_gradient.rollout import FirstBegun
from rlkit.core.ranges import NonNegativeFloat, PositiveFloat, Range
from rlkit.core.resources import require_memory
from rlkit.core.types import Array, FromRun, Memory, Metrics, State, TimeStep, Transition, UsageError
from rlkit.networks import (
    ActorCritic,
    Optimizer,
    OptimizerSettings,
    Population,
    load_module_state,
    module_state,
    to_tensor,
)

if TYPE_CHECKING:
    from rlkit.networks.greedy_policies import GreedyPolicy


@dataclass(frozen=True, kw_only=True)
class ESSettings(OptimizerSettings):
    """The settings of `EvolutionStrategies`, beside those of every optimizer; values are in conf/agent/es.yaml.

    Attributes:
        population: episodes in a generation; even, as perturbations come in pairs, one the other's negative.
        sigma: standard deviation of the perturbations.
        weight_decay: share of each parameter that a step subtracts, times the learning rate.

    Raises:
        UsageError: an odd population, or a number out of its range.
    """

    population: Annotated[int, Range(2)]
    sigma: PositiveFloat
    weight_decay: NonNegativeFloat

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.population % 2:
            raise UsageError(
                f"agent.population is {self.population}; it must be even and at least 2, as perturbations come in pairs"
            )


class EvolutionStrategies:
    """Each environment plays an episode with a perturbed policy; no gradient is computed.

    A generation is `population` episodes; an environment for which none is left plays on with the mean policy. An
    episode truncated by a checkpoint, where the environment's state cannot be read, has no score: its member plays
    again.

    Attributes:
        network: the mean policy; its values are not used.
    """

    def __init__(
        self,
        *,
        network: ActorCritic,
        settings: ESSettings,
        num_envs: FromRun[int],
        total_steps: FromRun[int | None],
        device: FromRun[str],
        rng: FromRun[np.random.Generator],
    ):
        """Put the parts together.

        Args:
            network: the mean policy.
            settings: all numbers.
            num_envs: N.
            total_steps: decisions of the run; None: not known, so that nothing can be annealed.
            device: where the network lives.
            rng: draws the perturbations.

        Raises:
            UsageError: a network that is recurrent or standardizes, or a rate to be annealed without `total_steps`.
        """
        if network.hidden_size or network.standardize is not None:
            raise UsageError(
                "agent=es neither remembers nor standardizes; leave agent.network.recurrent=none and standardize=false"
            )
        self.network = network.to(device)
        self.settings = settings
        self._population = Population(network)
        # Nothing is clipped: the estimate's length does not measure the slope.
        self._learning_rate = settings.schedule(total_steps)
        self._optimizer = Optimizer(self._population.parameters, settings.optimizer, self._learning_rate)
        self._rng = rng
        self._tensor = partial(to_tensor, device=device)
        what = f"scores of {settings.population:,} episodes"
        require_memory(16 * settings.population, what, "set {population} lower")
        self._scores = np.full(settings.population, np.nan)
        self._sums = np.zeros(num_envs)
        self._steps = 0
        self._sign = np.ones(num_envs)
        self._begun = FirstBegun(num_envs, settings.population)
        self._noise = self._drawn()

    def initial_memory(self, n: int) -> Memory:
        """Return an empty memory."""
        return ()

    def act(
        self, timestep: TimeStep, memory: Memory, *, explore: bool, rng: np.random.Generator
    ) -> tuple[Array, Memory]:
        """Return the likeliest actions [N] or [N, ...], exploring by the policy of each environment's member."""
        observation, policy = self._tensor(timestep.observation), self.network.distribution
        with torch.inference_mode():
            x = self.network.read(observation)
            parameters = self._population(self._perturbed(), x) if explore else self._population.mean(x)
            legal = timestep.legal_actions
            parameters = policy.masked(parameters, None if legal is None else self._tensor(legal))
            return policy.actions(policy.mode(parameters).cpu().numpy()), memory

    def greedy_policy(self) -> GreedyPolicy:
        """Return what `act` does where not exploring, as a module."""
        from rlkit.networks.greedy_policies import LikeliestActions

        return LikeliestActions(self.network)

    def _perturbed(self) -> Tensor:
        """Return the parameters [N, P] of each environment's policy."""
        noise: Tensor = self._tensor(self._signed(self._begun.numbers))
        return self._optimizer.vector + self.settings.sigma * noise

    def _signed(self, members: Array) -> Array:
        """Return the perturbations [M, P] of members [M]: pairs of opposite sign; none for -1."""
        signs = np.where(members < 0, 0, np.where(members % 2, -1, 1)).astype(np.float32)
        return np.asarray(signs[:, None] * self._noise[members // 2])

    def observe(self, transition: Transition) -> None:
        """Add up rewards, and note the score of an episode that ended by itself."""
        if not transition.valid.any():
            return
        self._steps += int(np.count_nonzero(transition.valid))
        # Where the turn passed, rewards are the other player's: the score is that of whoever began.
        self._sums += np.where(transition.valid, self._sign * transition.reward, 0)
        self._sign[transition.valid & (transition.discount < 0)] *= -1
        ended, members = transition.last & transition.valid, self._begun.numbers
        scored = ended & (members >= 0) & ~transition.info.truncated_by_checkpoint
        self._scores[members[scored]] = self._sums[scored]
        self._sums[ended], self._sign[ended] = 0, 1
        self._begun.step(ended, transition.valid, transition.info.truncated_by_checkpoint)

    def update(self) -> Metrics | None:
        """Learn where every member has played; the next generation plays the episodes that begin from now on."""
        if np.isnan(self._scores).any():
            return None
        ranks = centered_ranks(self._scores)
        gradient = (ranks[0::2] - ranks[1::2]) @ self._noise / (len(ranks) * self.settings.sigma)
        downhill = self._tensor(np.asarray(-gradient, np.float32))
        self._optimizer.step_along(downhill, self._steps, self.settings.weight_decay)
        metrics = {
            "population/mean": float(self._scores.mean()),
            "population/best": float(self._scores.max()),
            "gradient_norm": float(np.linalg.norm(gradient)),
            "learning_rate": self._learning_rate(self._steps),
        }
        self._noise = self._drawn()
        self._scores[:] = np.nan
        self._begun.clear()
        return metrics

    def _drawn(self) -> Array:
        return self._rng.standard_normal((len(self._scores) // 2, self._optimizer.vector.numel()), np.float32)

    def state_dict(self) -> State:
        """Return network, optimizer, the generation under way and the generator."""
        return {
            "network": module_state(self.network),
            "optimizer": self._optimizer.state_dict(),
            "generation": {name: getattr(self, f"_{name}").copy() for name in ("noise", "scores", "sums", "sign")},
            "begun": self._begun.state_dict(),
            "steps": self._steps,
            "rng": self._rng.bit_generator.state,
        }

    def load_state_dict(self, state: State) -> None:
        """Restore a state from `state_dict`."""
        load_module_state(self.network, state["network"])
        self._optimizer.load_state_dict(state["optimizer"])
        for name, array in state["generation"].items():
            setattr(self, f"_{name}", np.array(array))
        self._begun.load_state_dict(state["begun"])
        self._steps = state["steps"]
        self._rng.bit_generator.state = state["rng"]


def centered_ranks(scores: Array) -> Array:
    """Return ranks [M] from -0.5 for the least to 0.5 for the largest score; equal ones share their mean rank."""
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    means = np.cumsum(counts) - (counts + 1) / 2
    return np.asarray(means[inverse] / (len(scores) - 1) - 0.5)
