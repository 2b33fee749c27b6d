"""AlphaZero: a network learns from the searches that it guides (Silver et al., 2018)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from rlkit.algorithms.exploration import warn_if_late
from rlkit.algorithms.fixed_policies import PolicyActor
from rlkit.core.ranges import NonNegativeFloat, NonNegativeInt, PositiveInt, Probability
from rlkit.core.schedules import multiples
from rlkit.core.types import Array, FromRun, Metrics, State, Transition, UsageError
from rlkit.networks import GradientSettings, Optimizer, load_module_state, module_state, to_tensor
from rlkit.networks.policy_value import PolicyValue, masked
from rlkit.planning.search import PUCT, DirichletNoise, Model, NetworkEvaluator
from rlkit.planning.search.planner import SearchPlayer
from rlkit.planning.search.positions import PositionReplay, truncated_values
from rlkit.planning.search.resigning import Resignations, resignation_of
from rlkit.planning.search.settings import SearchSettings, SelfPlaySettings


@dataclass(frozen=True, kw_only=True)
class AlphaZeroSettings(SearchSettings, SelfPlaySettings, GradientSettings):
    """The settings of `AlphaZero`: of its searches, of self-play, and of what it learns; see conf/agent/alphazero.yaml.

    Attributes:
        capacity: positions that are kept.
        search_share: of the search's own value in the target of a value; the rest is the return of the game.
        symmetries: positions are turned and mirrored at random where the model knows how.
        batch_size: positions of a gradient step.
        learning_starts: so many positions of whole games are waited for, and at least one.
        train_every: decisions between updates; several multiples passed at once count each.
        updates: gradient steps at each multiple of `train_every`.
        value_weight: of the values' loss, the squared error.

    Raises:
        UsageError: a number out of its range, or fewer positions kept than are waited for.
    """

    capacity: PositiveInt
    search_share: Probability
    symmetries: bool
    batch_size: PositiveInt
    learning_starts: NonNegativeInt
    train_every: PositiveInt
    updates: PositiveInt
    value_weight: NonNegativeFloat

    def __post_init__(self) -> None:
        GradientSettings.__post_init__(self)
        if self.capacity < self.learning_starts:
            raise UsageError(
                f"agent.capacity is {self.capacity} and agent.learning_starts {self.learning_starts}: that many "
                "positions are never kept; keep more, or wait for fewer"
            )


class AlphaZero(PolicyActor):
    """Searches with a network that evaluates positions, and trains it on the searches' visits and the games' returns.

    Attributes:
        model: of the environment.
        network: policy and values.
        player: the search, with its settings.
        replay: of positions.
    """

    def __init__(
        self,
        *,
        search_model: FromRun[Callable[[int | None], Model]],
        network: PolicyValue,
        settings: AlphaZeroSettings,
        num_envs: FromRun[int],
        total_steps: FromRun[int | None],
        can_resign: FromRun[bool],
        device: FromRun[str],
        rng: FromRun[np.random.Generator],
        notify: FromRun[Callable[[str], None]],
    ):
        """Put the parts together.

        Args:
            search_model: returns the model of the environment.
            network: evaluates states: its policy and value heads.
            settings: all numbers.
            num_envs: N.
            total_steps: decisions of the run; None: not known, so that nothing can be annealed.
            can_resign: the environment is a game that can be given up.
            device: where the network lives.
            rng: draws positions.
            notify: takes a line for the user.

        Raises:
            UsageError: no limit to the search, resignation where the environment has none, or a rate to be annealed
                without `total_steps`.
        """
        self.settings, self._rng, self._tensor = settings, rng, partial(to_tensor, device=device)
        self.model = model = search_model(settings.outcomes)
        self.network = network.to(device)
        resignation = resignation_of(settings.resign_at, settings.resign_played_on, model.bound, can_resign)
        self.player = SearchPlayer(
            model,
            settings.search(model, NetworkEvaluator(self.evaluate), PUCT),
            keep=settings.keep_tree,
            noise=DirichletNoise(settings.noise_share, settings.noise_concentration),
            temperature=settings.temperature,
            temperature_moves=settings.temperature_moves,
            resignation=resignation,
        )
        PolicyActor.__init__(self, self.player)
        self._resignations = None if resignation is None else Resignations(num_envs)
        self.replay = PositionReplay(settings.capacity, settings.gamma, settings.search_share, model.bound)
        self._symmetries = model.symmetries if settings.symmetries else ()
        rate = settings.schedule(total_steps)
        self._optimizer = Optimizer(network.parameters(), settings.optimizer, rate, settings.max_grad_norm)
        warn_if_late(settings.learning_starts, total_steps, notify)
        self._steps = self._due = 0

    def evaluate(self, observation: Array, legal: Array) -> tuple[Array, Array]:
        """Return the network's priors [R, A] and values [R] of observations [R, ...] with `legal` actions [R, A]."""
        with torch.inference_mode():
            logits, value = self._outputs(observation)
            prior = masked(logits, self._tensor(legal)).softmax(1)
        return prior.cpu().numpy(), value.cpu().numpy()

    def _values(self, observation: Array) -> Array:
        """Return the network's values [B] of observations [B, ...]."""
        return self.evaluate(observation, np.ones((len(observation), self.model.num_actions), bool))[1]

    def _outputs(self, observation: Array) -> tuple[Tensor, Tensor]:
        """Return logits [B, A] and values [B] of observations [B, ...], with their gradient."""
        logits, value = self.network(self._tensor(observation))
        return logits, value if self.model.bound is None else self.model.bound * value.tanh()

    def observe(self, transition: Transition) -> None:
        """Store the search's visits when the episode has ended, and count the updates that are due."""
        before, self._steps = self._steps, self._steps + int(np.count_nonzero(transition.valid))
        self.replay.add(transition, truncated_values(transition, self._values))
        if len(self.replay) >= max(1, self.settings.learning_starts):
            self._due += multiples(before, self._steps, self.settings.train_every)
        if self._resignations is not None:
            self._resignations.add(transition)

    def update(self) -> Metrics | None:
        """Take the gradient steps that are due."""
        due, self._due = self._due * self.settings.updates, 0
        if due == 0:
            return None
        losses = [self._gradient_step() for _ in range(due)]
        means = {name: float(np.mean([loss[name] for loss in losses])) for name in losses[0]}
        return means if self._resignations is None else {**means, **self._resignations.metrics()}

    def _gradient_step(self) -> Metrics:
        """Take a gradient step on positions: towards the searches' visits, and the returns of their games."""
        batch = self.replay.sample(self.settings.batch_size, self._rng, self._symmetries)

        # Forward.
        logits, value = self._outputs(batch.observation)

        # Loss: the visits of the search are the policy's target.
        target, visits, legal = self._tensor(batch.value), self._tensor(batch.policy), self._tensor(batch.legal)
        policy_loss = nn.functional.cross_entropy(masked(logits, legal), visits)
        value_loss = nn.functional.mse_loss(value, target)

        # Step.
        self._optimizer.step(policy_loss + self.settings.value_weight * value_loss, self._steps)

        entropy = -(batch.policy * np.log(np.maximum(batch.policy, 1e-9))).sum(axis=1).mean()
        return {
            "loss/policy": policy_loss.item(),
            "loss/value": value_loss.item(),
            "policy/search_entropy": float(entropy),
            "policy/kl": policy_loss.item() - float(entropy),
        }

    def state_dict(self) -> State:
        """Return network, optimizer, positions, games under way, counters and the generator."""
        return {
            "network": module_state(self.network),
            "optimizer": self._optimizer.state_dict(),
            "replay": self.replay.state_dict(),
            "resignations": None if self._resignations is None else self._resignations.state_dict(),
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
        if self._resignations is not None:
            self._resignations.load_state_dict(state["resignations"])
        if "replay" in state:
            self.replay.load_state_dict(state["replay"])
