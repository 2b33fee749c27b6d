"""Q-learning for several agents with one reward: their values are mixed to that of all (torch)."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from rlkit.algorithms.exploration import epsilon_greedy, warn_if_late
from rlkit.core import tree
from rlkit.core.ranges import NonNegativeInt, PositiveInt, PositiveShare, Probability
from rlkit.core.schedules import ProbabilitySchedule, multiples
from rlkit.core.types import Array, FromRun, Memory, Metrics, Replay, State, TimeStep, Transition, Tree, UsageError
from rlkit.networks import (
    FlatParameters,
    GradientSettings,
    Minibatch,
    Optimizer,
    QNetwork,
    gradient_steps,
    load_module_state,
    module_state,
    to_tensor,
    trainable,
)

if TYPE_CHECKING:
    from rlkit.networks.greedy_policies import GreedyPolicy


@dataclass(frozen=True, kw_only=True)
class DecompositionSettings(GradientSettings):
    """The settings of `ValueDecomposition`, beside those of every agent that descends a gradient; values are in YAML.

    Attributes:
        epsilon: probability of a uniformly drawn action of each agent, by the number of decisions observed.
        gamma: discount factor.
        double: the online network chooses the actions whose target values are used.
        learning_starts: decisions before the first update; multiples of `train_freq` before do not count.
        batch_size: steps of games in a gradient step.
        train_freq: decisions between updates, of all agents.
        gradient_steps: at each multiple of `train_freq`.
        target_every: gradient steps between updates of the target networks.
        tau: share of the online networks in a target update; 1 copies, less is Polyak averaging.
    """

    epsilon: ProbabilitySchedule
    gamma: Probability
    double: bool
    learning_starts: NonNegativeInt
    batch_size: PositiveInt
    train_freq: PositiveInt
    gradient_steps: PositiveInt
    target_every: PositiveInt
    tau: PositiveShare


class Team(nn.Module):
    """The values of the agents' own actions, which they share a network for, and what mixes them."""

    def __init__(self, network: QNetwork, mixer: nn.Module):
        """Put them together."""
        super().__init__()
        self.network, self.mixer = network, mixer

    def values(self, observation: Tree, shape: tuple[int, int]) -> Tensor:
        """Return the values [B, P, A] of observations [B * P, ...], for `shape` (B, P)."""
        outputs = self.network(observation)
        values: Tensor = self.network.distribution.mean(outputs)
        return values.view(*shape, -1)


class ValueDecomposition:
    """Agents act epsilon-greedily by values of their own, and learn what all of them do together is worth.

    The replay holds the steps of games, not of agents: their common reward is the mean of theirs, and a game goes on
    while one of them does.

    Attributes:
        team: the networks that learn.
        target: older copies of them.
    """

    def __init__(
        self,
        *,
        network: QNetwork,
        mixer: nn.Module,
        replay: Replay,
        settings: DecompositionSettings,
        players: FromRun[int],
        total_steps: FromRun[int | None],
        device: FromRun[str],
        notify: FromRun[Callable[[str], None]],
    ):
        """Put the parts together.

        Args:
            network: values of one agent's actions by what it observes; all agents share it.
            mixer: makes of values [B, P] and joint observations [B, S] the value [B] of all.
            replay: stores and samples the steps of games.
            settings: all numbers.
            players: agents of a game, P.
            total_steps: decisions of the run; None: not known, so that nothing can be annealed.
            device: where the networks live.
            notify: takes a line for the user.

        Raises:
            UsageError: a network that is noisy, recurrent or of distributions, or a rate to be annealed without
                `total_steps`.
        """
        if network.noise_size or network.hidden_size or network.distribution.outputs > 1:
            raise UsageError(
                "values are mixed of plain networks: set agent.network.noisy=false, agent.network.recurrent=none and "
                "distribution=expected"
            )
        self.settings, self._replay, self._players = settings, replay, players
        self.team = Team(network, mixer).to(device)
        self.target = copy.deepcopy(self.team)
        self._target_parameters = FlatParameters(trainable(self.target.parameters()))
        self.target.requires_grad_(False)
        rate = settings.schedule(total_steps)
        self._optimizer = Optimizer(self.team.parameters(), settings.optimizer, rate, settings.max_grad_norm)
        warn_if_late(settings.learning_starts, total_steps, notify)
        self._tensor = partial(to_tensor, device=device)
        self._steps = self._due = self._updates = 0
        self._reached: tuple[Tree, Tree] = ((), ())

    def initial_memory(self, n: int) -> Memory:
        """Return nothing: no episode is remembered."""
        return ()

    def act(
        self, timestep: TimeStep, memory: Memory, *, explore: bool, rng: np.random.Generator
    ) -> tuple[Array, Memory]:
        """Return the epsilon-greedy action [N] of each agent, or the greedy one where not exploring."""
        with torch.inference_mode():
            q = self.team.values(self._tensor(timestep.observation), (len(timestep.valid), 1))[:, 0].cpu().numpy()
        epsilon = self.settings.epsilon(self._steps) if explore else 0.0
        return epsilon_greedy(q, epsilon, rng, timestep.legal_actions), memory

    def greedy_policy(self) -> GreedyPolicy:
        """Return what `act` does where not exploring, as a module."""
        from rlkit.networks.greedy_policies import GreedyValues

        return GreedyValues(self.team.network)

    def observe(self, transition: Transition) -> None:
        """Store the steps of games, and note which multiples of `train_freq` were passed."""
        self._replay.add(self._of_games(transition))
        before, self._steps = self._steps, self._steps + int(np.count_nonzero(transition.valid))
        first = self.settings.learning_starts
        self._due += multiples(before, self._steps, self.settings.train_freq, first=first)

    def _of_games(self, transition: Transition) -> Transition:
        """Return the transition [G * P] of all agents as one [G] of games."""
        valid = transition.valid.reshape(-1, self._players)
        observation, self._reached = self._grouped(transition.observation), ((), ())
        successor = self._grouped(transition.next_observation)
        self._reached = transition.next_observation, successor
        shares = np.where(valid, transition.reward.reshape(valid.shape), 0).sum(1) / np.maximum(valid.sum(1), 1)
        discount = np.where(valid, transition.discount.reshape(valid.shape), 0).max(1)
        return transition._replace(
            observation=observation,
            action=transition.action.reshape(valid.shape),
            reward=shares.astype(np.float32),
            discount=discount.astype(np.float32),
            next_observation=successor,
            last=np.asarray((transition.last.reshape(valid.shape) | ~valid).all(1)),
            valid=np.asarray(valid.any(1)),
            legal_actions=_masks(transition.legal_actions, self._players),
            next_legal_actions=_masks(transition.next_legal_actions, self._players),
        )

    def _grouped(self, observation: Tree) -> Tree:
        """Return observations [G * P, ...] as [G, P, ...]; the same object for the same, as the replay knows it by."""
        known, grouped = self._reached
        if observation is known:
            return grouped
        return tree.map(lambda leaf: leaf.reshape(-1, self._players, *leaf.shape[1:]), observation)

    def update(self) -> Metrics | None:
        """Take the gradient steps that are due."""
        due, self._due = self._due * self.settings.gradient_steps, 0
        if due == 0 or len(self._replay) == 0:
            return None
        size, gamma = self.settings.batch_size, self.settings.gamma
        steps = gradient_steps(
            self._replay, due, batch_size=size, gamma=gamma, tensor=self._tensor, step=self._gradient_step
        )
        means = {name: torch.stack([step[name] for step in steps]).mean().item() for name in steps[0]}
        return {**means, "epsilon": self.settings.epsilon(self._steps)}

    def _gradient_step(self, batch: Minibatch) -> dict[str, Tensor]:
        loss, metrics = self.loss(batch)
        self._optimizer.step(loss, self._steps)
        self._updates += 1
        if self._updates % self.settings.target_every == 0:
            self._target_parameters.move_towards(self._optimizer.vector, self.settings.tau)
        return {name: metric.detach() for name, metric in metrics.items()}

    def loss(self, batch: Minibatch) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss [] of a minibatch of steps of games, and metrics: ``priorities`` [B] and others []."""
        shape = len(batch.r_t), self._players
        action = batch.a_tm1.long().view(*shape, 1)

        # Forward: the values of the actions taken, mixed.
        q_tm1 = self.team.values(_of_agents(batch.s_tm1), shape).gather(2, action)[..., 0]
        total_tm1 = self.team.mixer(q_tm1, _joint(batch.s_tm1))

        # Target: the target networks' values of each agent's best action, mixed.
        with torch.no_grad():
            target_t = self.target.values(_of_agents(batch.s_t), shape)
            choosing = self.team.values(_of_agents(batch.s_t), shape) if self.settings.double else target_t
            if batch.legal_t is not None:
                choosing = choosing.masked_fill(~batch.legal_t.view_as(choosing), -torch.inf)
            q_t = target_t.gather(2, choosing.argmax(2, keepdim=True))[..., 0]
            total_t = self.target.mixer(q_t, _joint(batch.s_t))
            target = batch.r_t + self.settings.gamma * batch.discount_t * total_t

        # Loss.
        td_error = total_tm1 - target
        loss = (batch.weight * td_error**2).mean()
        return loss, {"priorities": td_error.detach().abs(), "loss/td": loss, "q/mean": total_tm1.mean()}

    def state_dict(self) -> State:
        """Return networks, optimizer, replay and counters."""
        return {
            "team": module_state(self.team),
            "target": module_state(self.target),
            "optimizer": self._optimizer.state_dict(),
            "replay": self._replay.state_dict(),
            "counters": {"steps": self._steps, "due": self._due, "updates": self._updates},
        }

    def load_state_dict(self, state: State) -> None:
        """Restore a state from `state_dict`; one without its replay is enough to act."""
        load_module_state(self.team, state["team"])
        load_module_state(self.target, state["target"])
        self._optimizer.load_state_dict(state["optimizer"])
        if "replay" in state:
            self._replay.load_state_dict(state["replay"])
        counters = state["counters"]
        self._steps, self._due, self._updates = (int(counters[name]) for name in ("steps", "due", "updates"))


def _masks(legal: Array | None, players: int) -> Array | None:
    """Return masks [G * P, A] as [G, P * A]."""
    return None if legal is None else legal.reshape(len(legal) // players, -1)


def _of_agents(observation: Any) -> Any:
    """Return observations [B, P, ...] as [B * P, ...]."""
    return tree.map(lambda leaf: leaf.flatten(0, 1), observation)


def _joint(observation: Any) -> Any:
    """Return vectors [B, P, D] as [B, P * D], and anything else as it is."""
    return observation.flatten(1) if isinstance(observation, Tensor) and observation.ndim == 3 else observation
