"""MBPO: SAC on short rollouts of an ensemble of learned models (Janner et al., 2019)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from gymnasium import spaces

from rlkit.agents.sac import SAC
from rlkit.algorithms.model_based.gaussian import EnsembleLearner, FitSettings
from rlkit.algorithms.model_based.terminations import termination_rule
from rlkit.algorithms.off_policy.settings import OffPolicySettings
from rlkit.algorithms.off_policy.temperature import Temperature
from rlkit.core.ranges import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, Probability, ShareBelowOne
from rlkit.core.ranks import Ranks
from rlkit.core.schedules import multiples
from rlkit.core.types import Array, Batch, FromRun, Metrics, State, Transition, UsageError
from rlkit.networks import Critics, Optimizer, StochasticActor, load_module_state, module_state
from rlkit.networks.ensemble import GaussianEnsemble
from rlkit.networks.tensors import gradient_steps
from rlkit.replay import UniformReplay
from rlkit.replay.imagined import ImaginedReplay


@dataclass(frozen=True, kw_only=True)
class MBPOSettings(OffPolicySettings):
    """The settings of `MBPO`, beside those of SAC; values are in conf/agent/mbpo.yaml.

    Attributes:
        model_every: decisions between fits of the models, each followed by rollouts.
        model_rate: learning rate of the models.
        model_decay: shrinks their weights, with each step by the rate times this.
        model_batch_size: rows of a minibatch, of each model.
        model_epochs: at most, in one fit.
        model_patience: epochs without a better model after which a fit ends.
        holdout: share of the transitions by which models are compared.
        rollouts: states from which rollouts begin, for each decision between fits.
        length_first: k, steps of a rollout at first.
        length_last: k in the end.
        lengthen_from: decisions at which k begins to grow.
        lengthen_until: decisions at which it is `length_last`.
        imagined: transitions of rollouts that are kept.
        real_share: of real transitions in a minibatch.
        termination: learned, or the name of a rule of `rlkit.algorithms.model_based.terminations`.

    Raises:
        UsageError: a number out of its range, an unknown rule, or options of SAC that fit no model.
    """

    model_every: PositiveInt
    model_rate: PositiveFloat
    model_decay: NonNegativeFloat
    model_batch_size: PositiveInt
    model_epochs: PositiveInt
    model_patience: PositiveInt
    holdout: ShareBelowOne
    rollouts: PositiveInt
    length_first: PositiveInt
    length_last: PositiveInt
    lengthen_from: NonNegativeInt
    lengthen_until: NonNegativeInt
    imagined: PositiveInt
    real_share: Probability
    termination: str

    def __post_init__(self) -> None:
        super().__post_init__()
        termination_rule(self.termination)
        if self.learning_starts < 2:
            raise UsageError(
                f"agent.learning_starts is {self.learning_starts}; it must be at least 2, for models learn from one "
                "transition and are compared by another"
            )
        if self.recurrent != "none":
            raise UsageError(f"agent.recurrent={self.recurrent} is not for agent=mbpo, whose models have no memory")

    def rollout_length(self, decisions: int) -> int:
        """Return k after so many decisions: it grows in a straight line, by whole steps."""
        passed = (decisions - self.lengthen_from) / max(1, self.lengthen_until - self.lengthen_from)
        return self.length_first + int(min(1.0, max(0.0, passed)) * (self.length_last - self.length_first))


class MBPO(SAC):
    """Learns models from all that happened, imagines what the policy would do, and learns from both by SAC.

    Attributes:
        ensemble: the models.
        imagined: transitions of rollouts.
    """

    settings: MBPOSettings

    def __init__(
        self,
        *,
        actor: StochasticActor,
        critics: Critics,
        temperature: Temperature,
        ensemble: GaussianEnsemble,
        replay: UniformReplay,
        settings: MBPOSettings,
        observation_space: FromRun[spaces.Space[Any]],
        action_space: FromRun[spaces.Space[Any]],
        total_steps: FromRun[int | None],
        device: FromRun[str],
        generator: FromRun[torch.Generator],
        notify: FromRun[Callable[[str], None]],
    ):
        """Put the parts together; those that are not listed are SAC's.

        Args:
            actor: the policy.
            critics: the values of actions.
            temperature: the weight of the entropy.
            ensemble: models of the environment.
            replay: all that happened.
            settings: all numbers.
            observation_space: of one environment.
            action_space: of one environment, a `Box`.
            total_steps: decisions of the run; None: not known.
            device: where the networks live.
            generator: on `device`; draws actions, noise and rows.
            notify: is called with a line for the user.

        Raises:
            UsageError: settings that do not fit each other or the spaces, or a replay of several steps.
        """
        if replay.n_step != 1:
            raise UsageError(f"replay.n_step is {replay.n_step}; agent=mbpo models single steps: leave it at 1")
        super().__init__(
            actor=actor,
            critics=critics,
            temperature=temperature,
            replay=replay,
            settings=settings,
            observation_space=observation_space,
            action_space=action_space,
            total_steps=total_steps,
            device=device,
            generator=generator,
            notify=notify,
        )
        self.ensemble = ensemble.to(device)
        adam: Any = torch.optim.AdamW
        self._learner = EnsembleLearner(
            ensemble,
            Optimizer(
                ensemble.parameters(),
                lambda parameters, lr: adam(parameters, lr=lr, weight_decay=settings.model_decay),
                lambda decisions: settings.model_rate,
            ),
            FitSettings(
                batch_size=settings.model_batch_size,
                epochs=settings.model_epochs,
                patience=settings.model_patience,
                holdout=settings.holdout,
            ),
            device,
        )
        self._everything = replay.everything
        self._rng = np.random.default_rng(int(torch.randint(2**62, (), generator=generator, device=device)))
        self.imagined = ImaginedReplay(settings.imagined, self._rng)
        self._ends = termination_rule(settings.termination)
        self._fits = 0
        mixed: Any = _Mixed(self)
        self._take_steps = lambda replay, count, **options: gradient_steps(mixed, count, **options)

    def join_ranks(self, ranks: Ranks) -> None:
        """Refuse `ranks`: each would learn models of its own.

        Raises:
            UsageError: always.
        """
        raise UsageError("agent=mbpo learns models that would differ from process to process; train without torchrun")

    def observe(self, transition: Transition) -> None:
        """Store the transition, and note what is due."""
        before = self._steps
        super().observe(transition)
        self._fits += multiples(before, self._steps, self.settings.model_every, first=self.settings.learning_starts)

    def update(self) -> Metrics | None:
        """Fit the models and imagine rollouts if that is due, then take SAC's gradient steps."""
        metrics = self._imagine() if self._fits or (self._due and not len(self.imagined)) else {}
        updated = super().update()
        return {**metrics, **(updated or {})} or None

    def _imagine(self) -> Metrics:
        """Fit the models to all that happened, and let the policy act in them."""
        self._fits = 0
        if len(self._replay) < 2:
            return {}
        metrics = self._learner.fit(self._everything(), self._steps, self._rng)
        length = self.settings.rollout_length(self._steps)
        with torch.inference_mode():
            self._roll_out(self.settings.rollouts * self.settings.model_every, length)
        return {**metrics, "model/rollout_length": float(length)}

    def _roll_out(self, count: int, length: int) -> None:
        """Begin `count` rollouts where the agent has been, each step of each by an elite that is drawn for it."""
        elites = len(self.ensemble.elite)
        count += -count % elites
        observation = self._tensor(_array(self._replay.sample(count).observation)).float()
        going = torch.ones(count, dtype=torch.bool, device=self._device)
        for _ in range(length):
            order = torch.randperm(count, generator=self._generator, device=self._device)
            observation, going = observation[order], going[order]
            action = self._policy(observation)
            successor, reward, over = self._forecast(observation, action, elites)
            rows = (observation, action, reward, 1.0 - over.float(), successor)
            self.imagined.add(*(column[going].cpu().numpy() for column in rows))
            observation, going = successor, going & ~over
            if not going.any():
                return

    def _policy(self, observation: torch.Tensor) -> torch.Tensor:
        """Return drawn actions [B, A] in [-1, 1]."""
        features = self.actor_features(self._prepare(observation, learning=False))
        action: torch.Tensor | None = self.actor(features, self._generator).action
        assert action is not None
        return action

    def _forecast(
        self, observation: torch.Tensor, action: torch.Tensor, elites: int
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return drawn successors [B, D], rewards [B] and whether the episode ends there [B]."""
        width = observation.shape[1] + 1
        noise = torch.randn(len(observation), width, generator=self._generator, device=self._device)
        parts = (part.view(elites, -1, part.shape[1]) for part in (observation, action, noise))
        successor, reward, chance = (said.flatten(0, 1) for said in self.ensemble.predict(*parts))
        drawn = torch.rand(len(chance), generator=self._generator, device=self._device)
        return successor, reward, drawn < chance if self._ends is None else self._ends(successor)

    def mixed(self, batch_size: int) -> Batch:
        """Return real and imagined transitions in the shares of the settings, in random order."""
        real = batch_size if not len(self.imagined) else round(self.settings.real_share * batch_size)
        batches = [self._replay.sample(real)] if real else []
        if real < batch_size:
            batches.append(self.imagined.sample(batch_size - real))
        order = self._rng.permutation(batch_size)
        names = ("observation", "action", "reward", "discount", "next_observation", "weight", "index")
        columns = {name: np.concatenate([_array(getattr(batch, name)) for batch in batches])[order] for name in names}
        return Batch(**columns, next_legal_actions=None)

    def state_dict(self) -> State:
        """Return SAC's state, the models, what was imagined, and what is due."""
        return {
            **super().state_dict(),
            "ensemble": module_state(self.ensemble),
            "learner": self._learner.state_dict(),
            "imagined": self.imagined.state_dict(),
            "fits": self._fits,
        }

    def load_state_dict(self, state: State) -> None:
        """Restore a state from `state_dict`; one without its replay is enough to act."""
        super().load_state_dict(state)
        load_module_state(self.ensemble, state["ensemble"])
        self._learner.load_state_dict(state["learner"])
        self._fits = state["fits"]
        if "replay" in state:
            self.imagined.load_state_dict(state["imagined"])


class _Mixed:
    """An `rlkit.core.types.Replay` to sample from: real and imagined transitions."""

    prioritized = False

    def __init__(self, agent: MBPO):
        self._agent = agent

    def sample(self, batch_size: int, gamma: float | None = None) -> Batch:
        """Draw a batch."""
        return self._agent.mixed(batch_size)

    def update_priorities(self, index: Array, td_error: Array) -> None:
        """Do nothing: every transition is equally likely."""


def _array(column: Any) -> Array:
    return np.asarray(column.cpu() if isinstance(column, torch.Tensor) else column)
