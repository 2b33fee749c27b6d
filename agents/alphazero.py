"""AlphaZero: a network learns from the searches that it guides (Silver et al., 2018)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import nn

from rlkit.algorithms.counters import multiples
from rlkit.algorithms.exploration import Schedule, annealed, tell_if_late
from rlkit.algorithms.fixed_policies import Following
from rlkit.core.types import (
    Array,
    Metrics,
    State,
    Transition,
    UsageError,
    require_least,
    require_positive,
    require_share,
)
from rlkit.networks import Descent, load_module_state, module_state, to_tensor
from rlkit.networks.policy_value import PolicyValue, masked
from rlkit.planning.search import PUCT, DirichletNoise, Judge, Model, Search, rule_for
from rlkit.planning.search.planner import SearchPlayer
from rlkit.planning.search.positions import PositionReplay
from rlkit.planning.search.resigning import Resignations, resignation_of


class AlphaZero(Following):
    """Searches with a network for judge, and teaches the network what the searches found and how games ended.

    Attributes:
        network: policy and values.
        player: the search, with its settings.
        replay: of positions.
    """

    def __init__(
        self,
        *,
        search_model: Callable[[int], Model],
        network: PolicyValue,
        optimizer: Callable[..., torch.optim.Optimizer],
        learning_rate: float | Schedule,
        anneal: bool,
        total_steps: int | None,
        max_grad_norm: float,
        simulations: int | None,
        seconds: float | None,
        nodes: int | None,
        look_ahead: bool,
        exploration: float,
        gamma: float,
        keep_tree: bool,
        outcomes: int,
        noise_share: float,
        noise_concentration: float,
        temperature: float,
        temperature_moves: int,
        resign_at: float | None,
        resign_played_on: float,
        capacity: int,
        search_share: float,
        symmetries: bool,
        batch_size: int,
        learning_starts: int,
        train_every: int,
        updates: int,
        value_weight: float,
        num_envs: int,
        can_resign: bool,
        device: str,
        rng: np.random.Generator,
        tell: Callable[[str], None] = lambda line: None,
    ):
        """Put the parts together.

        Args:
            search_model: returns the model of the environment.
            network: judges states.
            optimizer: called with the network's parameters and ``lr``.
            learning_rate: a number, or a schedule by the number of decisions observed.
            anneal: it falls in a line to 0 over `total_steps`.
            total_steps: of the run; needed to anneal.
            max_grad_norm: gradients are scaled down to this norm.
            simulations: before each action; None: no limit.
            seconds: that a search takes; None: no limit.
            nodes: that a tree may have; None: twice the simulations.
            look_ahead: what ends a game at once is known before it is tried, see `rlkit.planning.search.Search`.
            exploration: c of PUCT.
            gamma: discount factor.
            keep_tree: what the last search knows of where the action led is taken over.
            outcomes: of an environment that is copied, see `rlkit.planning.search.copies`.
            noise_share: of noise in a root's priors while training.
            noise_concentration: of its Dirichlet distribution, summed over the legal actions.
            temperature: in training, actions are drawn with the visits to the power of 1 / temperature.
            temperature_moves: so many first actions of an episode; then the one tried most.
            resign_at: in training, a game is given up where whoever is to move finds neither the position nor its best
                move worth more; None: never.
            resign_played_on: share of the games in which nobody gives up, which tell how often that would be wrong.
            capacity: positions that are kept.
            search_share: of the search's own value in the target of a value; the rest is how the game went on.
            symmetries: positions are turned and mirrored at random where the model knows how.
            batch_size: positions of a gradient step.
            learning_starts: so many positions of whole games are waited for, and at least one.
            train_every: decisions between updates; several multiples passed at once count each.
            updates: gradient steps at each multiple of `train_every`.
            value_weight: of the values' loss.
            num_envs: N.
            can_resign: the environment is a game that can be given up.
            device: where the network lives.
            rng: draws positions.
            tell: takes a line for the user.

        Raises:
            UsageError: a share or gamma beyond 0 to 1, another number that cannot be, fewer positions kept than are
                waited for, no limit to the search, or what is to be given up cannot be.
        """
        require_least(0, "agent", learning_starts=learning_starts, value_weight=value_weight)
        require_least(1, "agent", batch_size=batch_size, train_every=train_every, updates=updates, capacity=capacity)
        if capacity < learning_starts:
            raise UsageError(
                f"agent.capacity is {capacity} and agent.learning_starts {learning_starts}: that many positions are "
                "never kept; keep more, or wait for fewer"
            )
        require_positive("agent", noise_concentration=noise_concentration)
        if temperature <= 0:
            raise UsageError(f"agent.temperature is {temperature:g}; it must be more than 0")
        self.model = model = search_model(outcomes)
        self.network = network.to(device)
        rule = rule_for(model, PUCT, exploration, gamma)
        search = Search(
            model,
            Judge(self.judge),
            rule,
            simulations=simulations,
            seconds=seconds,
            nodes=nodes,
            look_ahead=look_ahead,
        )
        noise = DirichletNoise(require_share("agent.noise_share", noise_share), noise_concentration)
        resignation = resignation_of(resign_at, resign_played_on, model.bound, can_resign)
        self.player = SearchPlayer(
            model,
            search,
            keep=keep_tree,
            noise=noise,
            temperature=temperature,
            temperature_moves=temperature_moves,
            resignation=resignation,
        )
        self._resignations = None if resignation is None else Resignations(num_envs)
        Following.__init__(self, self.player)
        share = require_share("agent.search_share", search_share)
        self.replay = PositionReplay(capacity, gamma, share, model.bound)
        self._symmetries = model.symmetries if symmetries else ()
        rate = annealed(learning_rate, anneal=anneal, total_steps=total_steps)
        self._descent = Descent(self.network.parameters(), optimizer, rate, max_grad_norm)
        self._batch_size, self._starts, self._every, self._updates = batch_size, learning_starts, train_every, updates
        self._value_weight, self._rng = value_weight, rng
        self._tensor = partial(to_tensor, device=device)
        tell_if_late(learning_starts, total_steps, tell)
        self._steps = self._due = 0

    def judge(self, observation: Array, legal: Array) -> tuple[Array, Array]:
        """Return the network's priors [R, A] and values [R] of observations [R, ...] with `legal` actions [R, A]."""
        with torch.inference_mode():
            logits, value = self._outputs(observation)
            prior = masked(logits, self._tensor(legal)).softmax(1)
        return prior.cpu().numpy(), value.cpu().numpy()

    def _outputs(self, observation: Array) -> tuple[torch.Tensor, torch.Tensor]:
        logits, value = self.network(self._tensor(observation))
        return logits, value if self.model.bound is None else self.model.bound * value.tanh()

    def observe(self, transition: Transition) -> None:
        """Note what the search found, pass it on when the episode has ended, and count the updates that are due."""
        before, self._steps = self._steps, self._steps + int(np.count_nonzero(transition.valid))
        broken_off = transition.last & transition.valid & (transition.discount != 0)
        beyond = np.zeros(len(broken_off))
        if broken_off.any():
            seen = transition.next_observation[broken_off]
            beyond[broken_off] = self.judge(seen, np.ones((len(seen), self.model.num_actions), bool))[1]
        self.replay.add(transition, beyond)
        if len(self.replay) >= max(1, self._starts):
            self._due += multiples(before, self._steps, self._every)
        if self._resignations is not None:
            self._resignations.add(transition)

    def update(self) -> Metrics | None:
        """Take the gradient steps that are due."""
        due, self._due = self._due * self._updates, 0
        if due == 0:
            return None
        losses = [self._learn() for _ in range(due)]
        means = {name: float(np.mean([loss[name] for loss in losses])) for name in losses[0]}
        return means if self._resignations is None else {**means, **self._resignations.metrics()}

    def _learn(self) -> Metrics:
        drawn = self.replay.sample(self._batch_size, self._rng, self._symmetries)
        logits, value = self._outputs(drawn.observation)
        goal, policy = self._tensor(drawn.value), self._tensor(drawn.policy)
        policy_loss = nn.functional.cross_entropy(masked(logits, self._tensor(drawn.legal)), policy)
        value_loss = nn.functional.mse_loss(value, goal)
        self._descent(policy_loss + self._value_weight * value_loss, self._steps)
        entropy = -(drawn.policy * np.log(np.maximum(drawn.policy, 1e-9))).sum(axis=1).mean()
        return {
            "loss/policy": policy_loss.item(),
            "loss/value": value_loss.item(),
            "policy/search_entropy": float(entropy),
            "policy/kl": policy_loss.item() - float(entropy),
        }

    def state_dict(self) -> State:
        """Return network, optimiser, positions, games under way, counters and the generator."""
        return {
            "network": module_state(self.network),
            "optimizer": self._descent.state_dict(),
            "replay": self.replay.state_dict(),
            "resignations": None if self._resignations is None else self._resignations.state_dict(),
            "steps": self._steps,
            "due": self._due,
            "rng": self._rng.bit_generator.state,
        }

    def load_state_dict(self, state: State) -> None:
        """Take back what `state_dict` gave; without a replay, what acting needs."""
        load_module_state(self.network, state["network"])
        self._descent.load_state_dict(state["optimizer"])
        self._steps, self._due = state["steps"], state["due"]
        self._rng.bit_generator.state = state["rng"]
        if self._resignations is not None:
            self._resignations.load_state_dict(state["resignations"])
        if "replay" in state:
            self.replay.load_state_dict(state["replay"])
