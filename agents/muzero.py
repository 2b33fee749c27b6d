"""MuZero: a search in a model that is learned with what guides the search (Schrittwieser et al., 2020)."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from rlkit.algorithms.exploration import warn_if_late
from rlkit.algorithms.fixed_policies import PolicyActor
from rlkit.core.ranges import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, Probability
from rlkit.core.schedules import multiples
from rlkit.core.types import Array, FromRun, Metrics, State, Transition, UsageError
from rlkit.networks import GradientSettings, Optimizer, load_module_state, module_state, to_tensor
from rlkit.networks.latent import LatentNetwork, Predicted, expected_discount
from rlkit.planning.search import PUCT, DirichletNoise, NetworkEvaluator, Search
from rlkit.planning.search.gumbel import SequentialHalving
from rlkit.planning.search.histories import HistoryReplay, Unrolled
from rlkit.planning.search.latent import Imagined, LatentModel, LatentPlayer, Latents
from rlkit.planning.search.path import GUMBEL, SelectionRule
from rlkit.planning.search.positions import truncated_values


@dataclass(frozen=True, kw_only=True)
class MuZeroSettings(GradientSettings):
    """The settings of `MuZero`: of its searches, of how it explores, and of what it learns; see conf/agent/muzero.yaml.

    Attributes:
        simulations: before each action.
        exploration: c of PUCT.
        gamma: discount factor.
        noise_share: of noise in a root's priors while training; with `considered`, any but 0 asks for Gumbel noise.
        noise_concentration: of its Dirichlet distribution, summed over the legal actions.
        temperature: in training, actions are drawn with the visits to the power of 1 / temperature.
        temperature_moves: so many first actions of an episode; then the one tried most; None: all.
        considered: actions at a root that sequential halving begins with (Danihelka et al., 2022); None: PUCT chooses.
        value_scale: of completed values, for each visit, in improved policies.
        visit_offset: visits that are added to those of the action tried most, in improved policies.
        capacity: positions that are kept.
        unroll_steps: K, actions through which the model is unrolled in training.
        td_steps: rewards that are added up before the search's value is used.
        batch_size: positions of a gradient step.
        learning_starts: so many positions of whole episodes are waited for, and at least one.
        train_every: decisions between updates; several multiples passed at once count each.
        updates: gradient steps at each multiple of `train_every`.
        reanalyze: positions that are searched again before a gradient step, with the newest network, as a share of
            `batch_size`.
        value_weight: of the values' loss.
        reward_weight: of the losses of rewards and of discounts.
        consistency_weight: of the distance between latents imagined and seen (Ye et al., 2021); 0: none.

    Raises:
        UsageError: a number out of its range, or fewer positions kept than are waited for.
    """

    simulations: PositiveInt
    exploration: NonNegativeFloat
    gamma: Probability
    noise_share: Probability
    noise_concentration: PositiveFloat
    temperature: PositiveFloat
    temperature_moves: NonNegativeInt | None
    considered: PositiveInt | None
    value_scale: PositiveFloat
    visit_offset: NonNegativeFloat
    capacity: PositiveInt
    unroll_steps: PositiveInt
    td_steps: PositiveInt
    batch_size: PositiveInt
    learning_starts: NonNegativeInt
    train_every: PositiveInt
    updates: PositiveInt
    reanalyze: Probability
    value_weight: NonNegativeFloat
    reward_weight: NonNegativeFloat
    consistency_weight: NonNegativeFloat

    def __post_init__(self) -> None:
        GradientSettings.__post_init__(self)
        if self.capacity < max(2, self.learning_starts):
            raise UsageError(
                f"agent.capacity is {self.capacity} and agent.learning_starts {self.learning_starts}: that many "
                "positions are never kept, and an episode has at least two; keep more, or wait for fewer"
            )

    def rule(self) -> SelectionRule:
        """Return how actions are chosen within a tree: by values from 0 to 1, as those in the tree range."""
        if self.considered is None:
            return SelectionRule(PUCT, self.exploration, True, self.gamma, np.inf)
        return SelectionRule(GUMBEL, self.value_scale, True, self.gamma, np.inf, offset=self.visit_offset)

    def player(self, model: LatentModel) -> LatentPlayer:
        """Return who searches in a model before each action."""
        rule = self.rule()
        halving = None if self.considered is None else SequentialHalving(self.considered, rule, self.simulations)
        search = Search(
            model,
            NetworkEvaluator(model.evaluated),
            rule,
            simulations=self.simulations,
            seconds=None,
            nodes=self.simulations + 1,
            look_ahead=False,
            halving=halving,
        )
        moves = sys.maxsize if self.temperature_moves is None else self.temperature_moves
        return LatentPlayer(
            model,
            search,
            noise=DirichletNoise(self.noise_share, self.noise_concentration),
            temperature=self.temperature,
            temperature_moves=moves,
            halving=halving,
        )


class MuZero(PolicyActor):
    """Searches in a learned model, and learns it with the policy and values that the searches improve.

    Attributes:
        network: representation, dynamics and prediction.
        model: the network as a model for searches.
        player: the search, with its settings.
        replay: of episodes.
    """

    def __init__(
        self,
        *,
        network: LatentNetwork,
        settings: MuZeroSettings,
        total_steps: FromRun[int | None],
        device: FromRun[str],
        rng: FromRun[np.random.Generator],
        notify: FromRun[Callable[[str], None]],
    ):
        """Put the parts together.

        Args:
            network: representation, dynamics and prediction.
            settings: all numbers.
            total_steps: decisions of the run; None: not known, so that nothing can be annealed.
            device: where the network lives.
            rng: draws positions, actions after an episode's end, and what searches of stored positions draw from.
            notify: takes a line for the user.

        Raises:
            UsageError: a rate to be annealed without `total_steps`.
        """
        self.settings, self._rng, self._tensor = settings, rng, partial(to_tensor, device=device)
        self.network = network.to(device)
        self.model = LatentModel(network.num_actions, network.latents.width, self.initial, self.recurrent)
        self.player = settings.player(self.model)
        PolicyActor.__init__(self, self.player)
        self.replay = HistoryReplay(settings.capacity, settings.gamma)
        rate = settings.schedule(total_steps)
        self._optimizer = Optimizer(network.parameters(), settings.optimizer, rate, settings.max_grad_norm)
        warn_if_late(settings.learning_starts, total_steps, notify)
        self._steps = self._due = 0

    def initial(self, observation: Array) -> Latents:
        """Return the latents, policies and values of observations [B, ...]."""
        with torch.inference_mode():
            latent = self.network.encode(self._tensor(observation))
            return self._latents(latent, self.network.predict(latent))

    def recurrent(self, latent: Array, action: Array) -> Imagined:
        """Return what actions [B] int64 are expected to do to latents [B, W]."""
        with torch.inference_mode():
            advanced = self.network.advance(self._tensor(latent), self._tensor(action))
            reached = self._latents(advanced.latent, self.network.predict(advanced.latent))
            reward = self.network.support.mean(advanced.reward)
            return Imagined(reached, reward.cpu().numpy(), expected_discount(advanced.discount).cpu().numpy())

    def _latents(self, latent: Tensor, predicted: Predicted) -> Latents:
        value = self.network.support.mean(predicted.value)
        return Latents(latent.cpu().numpy(), predicted.policy.cpu().numpy(), value.cpu().numpy())

    def observe(self, transition: Transition) -> None:
        """Store an episode with its searches when it has ended, and count the updates that are due."""
        before, self._steps = self._steps, self._steps + int(np.count_nonzero(transition.valid))
        self.replay.add(transition, truncated_values(transition, lambda observation: self.initial(observation).value))
        if len(self.replay) >= max(1, self.settings.learning_starts):
            self._due += multiples(before, self._steps, self.settings.train_every)

    def update(self) -> Metrics | None:
        """Take the gradient steps that are due."""
        due, self._due = self._due * self.settings.updates, 0
        if due == 0:
            return None
        losses = [self._gradient_step() for _ in range(due)]
        return {name: float(np.mean([loss[name] for loss in losses])) for name in losses[0]}

    def _gradient_step(self) -> Metrics:
        """Take a gradient step on positions and what followed them."""
        self._reanalyze()
        settings = self.settings
        places = self.replay.draw(settings.batch_size, self._rng)
        losses = self.losses(self.replay.unrolled(places, settings.unroll_steps, settings.td_steps, self._rng))
        weights = (1.0, settings.value_weight, settings.reward_weight, settings.reward_weight)
        loss = torch.stack([weight * losses[name] for name, weight in zip(NAMES, weights, strict=True)]).sum()
        if settings.consistency_weight:
            loss = loss + settings.consistency_weight * losses["loss/consistency"]
        self._optimizer.step(loss, self._steps)
        return {name: value.item() for name, value in losses.items()}

    def _reanalyze(self) -> None:
        """Search stored positions again with the newest network, and keep the new policies and values."""
        count = round(self.settings.reanalyze * self.settings.batch_size)
        if count:
            places = np.unique(self.replay.draw(count, self._rng))
            observation, legal = self.replay.positions(places)
            self.replay.renew(places, *self.player.searched(observation, legal, self._rng))

    def losses(self, batch: Unrolled) -> dict[str, Tensor]:
        """Return the losses [] of a batch, by name: of policies, values, rewards, discounts, and of latents if wanted.

        Each is a mean over positions, of the first and of the mean over the K unrolled ones. The gradient is halved
        where it enters the dynamics function, so that what is learned of the latents does not grow with K.
        """
        network, support, steps = self.network, self.network.support, self.settings.unroll_steps
        action = self._tensor(batch.action)

        # Forward.
        latents, rewards, discounts = [network.encode(self._tensor(batch.observation))], [], []
        for k in range(steps):
            advanced = network.advance(halved(latents[-1]), action[:, k])
            latents.append(advanced.latent)
            rewards.append(advanced.reward)
            discounts.append(advanced.discount)
        predicted = network.predict(torch.cat(latents))
        policy, value = (part.view(steps + 1, -1, part.shape[1]).transpose(0, 1) for part in predicted)

        # Losses, [B, K + 1] or [B, K].
        known, going = self._tensor(batch.known), self._tensor(batch.going)
        goal = support.two_hot(self._tensor(batch.value))
        paid = support.two_hot(self._tensor(batch.reward))
        of_policy = cross_entropy(policy, self._tensor(batch.policy)) * going
        of_value = cross_entropy(value, goal) * known
        of_reward = cross_entropy(torch.stack(rewards, 1), paid) * known[:, 1:]
        classes = nn.functional.one_hot(self._tensor(batch.discount).long() % 3, 3).float()
        of_discount = cross_entropy(torch.stack(discounts, 1), classes) * known[:, 1:]
        both = [(loss[:, 0] + loss[:, 1:].mean(1)).mean() for loss in (of_policy, of_value)]
        losses = dict(zip(NAMES, [*both, of_reward.mean(), of_discount.mean()], strict=True))
        if self.settings.consistency_weight:
            losses["loss/consistency"] = self._inconsistency(torch.stack(latents[1:], 1), batch)
        return losses

    def _inconsistency(self, imagined: Tensor, batch: Unrolled) -> Tensor:
        """Return how far latents [B, K, W] are from those of what was seen there, [], while episodes went on."""
        with torch.no_grad():
            seen = self.network.encode(self._tensor(batch.successors.reshape(-1, *batch.successors.shape[2:])))
        distance = self.network.inconsistency(imagined.flatten(0, 1), seen).view(batch.action.shape)
        found: Tensor = (distance * self._tensor(batch.going)[:, :-1]).mean()
        return found

    def state_dict(self) -> State:
        """Return network, optimizer, episodes, counters and the generator."""
        return {
            "network": module_state(self.network),
            "optimizer": self._optimizer.state_dict(),
            "replay": self.replay.state_dict(),
            "steps": self._steps,
            "due": self._due,
            "rng": self._rng.bit_generator.state,
        }

    def load_state_dict(self, state: State) -> None:
        """Restore a state from `state_dict`; one without a replay is enough to act."""
        load_module_state(self.network, state["network"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._steps, self._due = state["steps"], state["due"]
        self._rng.bit_generator.state = state["rng"]
        if "replay" in state:
            self.replay.load_state_dict(state["replay"])


NAMES = ("loss/policy", "loss/value", "loss/reward", "loss/discount")
"""Losses that are always taken."""


def halved(latent: Tensor) -> Tensor:
    """Return latents [B, W] whose gradient is halved on the way back."""
    return (latent + latent.detach()) / 2


def cross_entropy(logits: Tensor, goal: Tensor) -> Tensor:
    """Return the cross-entropies [...] of distributions by `logits` [..., C] from those of `goal` [..., C]."""
    return -(goal * logits.log_softmax(-1)).sum(-1)
