"""Evolution strategies: parameters move towards perturbations that scored well (Salimans et al., 2017)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.func import functional_call, vmap

from rlkit.core import Array, Memory, Metrics, State, TimeStep, Transition, UsageError
from rlkit.explore import Schedule, annealed
from rlkit.networks import ActorCritic, Descent, load_module_state, module_state, to_tensor, trainable


class EvolutionStrategies:
    """Each environment plays an episode with a perturbed policy; no gradient is computed.

    A generation is `population` episodes; an environment for which none is left plays on with the mean policy.

    Attributes:
        network: the mean policy; its values are not used.
    """

    def __init__(
        self,
        *,
        network: ActorCritic,
        optimizer: Callable[..., torch.optim.Optimizer],
        learning_rate: float | Schedule,
        anneal: bool,
        total_steps: int | None,
        population: int,
        sigma: float,
        weight_decay: float,
        num_envs: int,
        rng: np.random.Generator,
        device: str = "cpu",
    ):
        """Put the parts together.

        Args:
            network: the mean policy.
            optimizer: called with the policy's parameters and ``lr``.
            learning_rate: a number, or a schedule by the number of decisions observed.
            anneal: it falls in a line to 0 over `total_steps`.
            total_steps: of the run; needed to anneal.
            population: episodes in a generation; even, as perturbations come in pairs, one the other's negative.
            sigma: standard deviation of the perturbations.
            weight_decay: share of each parameter that is taken off, times the learning rate.
            num_envs: N.
            rng: draws the perturbations.
            device: where the network lives.

        Raises:
            UsageError: an odd population, or a network that is recurrent or standardises.
        """
        if population < 2 or population % 2:
            raise UsageError(f"agent.population is {population}; it must be even, as perturbations come in pairs")
        if network.hidden_size or network.standardize is not None:
            raise UsageError(
                "agent=es neither remembers nor standardises; leave agent.network.recurrent=none and standardize=false"
            )
        self.network = network.to(device)
        policy = {id(parameter) for parameter in trainable(network.policy_parameters())}
        named = [(name, parameter) for name, parameter in network.named_parameters() if id(parameter) in policy]
        self._names = [(name, parameter.shape, parameter.numel()) for name, parameter in named]
        # Nothing is clipped: the estimate's length says nothing of how steep the landscape is.
        self._learning_rate = annealed(learning_rate, anneal=anneal, total_steps=total_steps)
        self._descent = Descent([parameter for _, parameter in named], optimizer, self._learning_rate, float("inf"))
        self._sigma, self._decay = sigma, weight_decay
        self._rng, self._tensor = rng, partial(to_tensor, device=device)
        self._apply = vmap(self._parameters_of)
        self._scores, self._sums = np.full(population, np.nan), np.zeros(num_envs)
        self._members, self._begins, self._next, self._steps = np.full(num_envs, -1), np.ones(num_envs, bool), 0, 0
        self._noise = self._drawn()
        self._assign()

    def initial_memory(self, n: int) -> Memory:
        """Return nothing: no episode is remembered."""
        return ()

    def act(
        self, timestep: TimeStep, memory: Memory, *, explore: bool, rng: np.random.Generator
    ) -> tuple[Array, Memory]:
        """Return the likeliest actions, exploring by the policy of each environment's member of the population."""
        observation, policy = self._tensor(timestep.observation), self.network.distribution
        with torch.inference_mode():
            if explore:
                parameters = self._apply(self._perturbed(), observation)
            else:
                parameters = self.network(observation, observation.new_zeros(len(observation), 0)).parameters
            legal = timestep.legal_actions
            parameters = policy.masked(parameters, None if legal is None else self._tensor(legal))
            return policy.actions(policy.mode(parameters).cpu().numpy()), memory

    def _parameters_of(self, values: dict[str, Tensor], observation: Tensor) -> Tensor:
        hidden = observation.new_zeros(1, 0)
        parameters: Tensor = functional_call(self.network, values, (observation.unsqueeze(0), hidden)).parameters
        return parameters.squeeze(0)

    def _perturbed(self) -> dict[str, Tensor]:
        """Return the parameters [N, ...] of each environment's policy, by name."""
        vectors = self._descent.vector + self._sigma * self._tensor(self._signed(self._members))
        parts = torch.split(vectors, [size for _, _, size in self._names], 1)
        return {name: part.reshape(-1, *shape) for (name, shape, _), part in zip(self._names, parts, strict=True)}

    def _signed(self, members: Array) -> Array:
        """Return the perturbations [M, P] of members [M]: pairs of opposite sign; none for -1."""
        signs = np.where(members < 0, 0, np.where(members % 2, -1, 1)).astype(np.float32)
        return np.asarray(signs[:, None] * self._noise[members // 2])

    def observe(self, transition: Transition) -> None:
        """Add up rewards, and note the score of an episode that ended."""
        if not transition.valid.any():
            return
        self._steps += int(np.count_nonzero(transition.valid))
        self._sums += np.where(transition.valid, transition.reward, 0)
        ended = np.flatnonzero(transition.last & transition.valid)
        for i in ended[self._members[ended] >= 0]:
            self._scores[self._members[i]] = self._sums[i]
        self._sums[ended] = 0
        self._begins = transition.last & transition.valid
        self._assign()

    def _assign(self) -> None:
        """Let environments whose episodes begin play members that were not played yet; -1 is the mean."""
        for i in np.flatnonzero(self._begins):
            left = self._next < len(self._scores)
            self._members[i] = self._next if left else -1
            self._next += left

    def update(self) -> Metrics | None:
        """Learn where every member has played; the next generation plays the episodes that begin from now on."""
        if np.isnan(self._scores).any():
            return None
        ranks = centered_ranks(self._scores)
        gradient = (ranks[0::2] - ranks[1::2]) @ self._noise / (len(ranks) * self._sigma)
        self._descent.along(self._tensor(np.asarray(-gradient, np.float32)), self._steps, self._decay)
        metrics = {
            "population/mean": float(self._scores.mean()),
            "population/best": float(self._scores.max()),
            "gradient_norm": float(np.linalg.norm(gradient)),
            "learning_rate": self._learning_rate(self._steps),
        }
        self._noise = self._drawn()
        self._scores[:], self._members[:], self._next = np.nan, -1, 0
        self._assign()
        return metrics

    def _drawn(self) -> Array:
        size = sum(size for _, _, size in self._names)
        return self._rng.standard_normal((len(self._scores) // 2, size), np.float32)

    def state_dict(self) -> State:
        """Return network, optimiser, the generation under way and the generator."""
        return {
            "network": module_state(self.network),
            "optimizer": self._descent.state_dict(),
            "generation": {
                name: getattr(self, f"_{name}").copy() for name in ("noise", "scores", "sums", "members", "begins")
            },
            "counters": {"next": self._next, "steps": self._steps},
            "rng": self._rng.bit_generator.state,
        }

    def load_state_dict(self, state: State) -> None:
        """Take back what `state_dict` gave."""
        load_module_state(self.network, state["network"])
        self._descent.load_state_dict(state["optimizer"])
        for name, array in state["generation"].items():
            setattr(self, f"_{name}", np.array(array))
        self._next, self._steps = state["counters"]["next"], state["counters"]["steps"]
        self._rng.bit_generator.state = state["rng"]


def centered_ranks(scores: Array) -> Array:
    """Return ranks [M] from -0.5 for the least to 0.5 for the largest score; equal ones share their mean rank."""
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    means = np.cumsum(counts) - (counts + 1) / 2
    return np.asarray(means[inverse] / (len(scores) - 1) - 0.5)
