"""Generative adversarial imitation learning (Ho & Ermon, 2016), over any agent that learns from rewards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from rlkit.algorithms.imitation.discriminator import (
    Discriminator,
    Reward,
    discriminator_loss,
    gradient_penalty,
    reward_of,
)
from rlkit.algorithms.imitation.expert import ANY_LENGTH, ExpertSteps
from rlkit.algorithms.policy_gradient.observation_statistics import ObservationStatistics
from rlkit.core import tree
from rlkit.core.ranges import NonNegativeFloat, PositiveInt
from rlkit.core.schedules import multiples
from rlkit.core.types import Agent, Array, FromRun, Memory, Metrics, Replay, State, TimeStep, Transition, Tree
from rlkit.networks import GradientSettings, Optimizer, load_module_state, module_state, to_tensor

if TYPE_CHECKING:
    from rlkit.networks.greedy_policies import GreedyPolicy


@dataclass(frozen=True, kw_only=True)
class GAILSettings(GradientSettings):
    """The settings of `GAIL` beside its policy's; values are in conf/agent/gail.yaml.

    Attributes:
        every: decisions between updates of the discriminator.
        gradient_steps: at each.
        batch_size: steps of the expert, and as many of the policy, in a gradient step.
        penalty: weight of the gradient penalty.
        reward: what the discriminator's judgement is worth.
        any_length: episodes may have ends and lengths of their own.
    """

    every: PositiveInt
    gradient_steps: PositiveInt
    batch_size: PositiveInt
    penalty: NonNegativeFloat
    reward: Reward
    any_length: bool


class GAIL:
    """A discriminator learns to tell a policy's steps from an expert's, and rewards the policy for steps that it can't.

    The policy never sees the environment's rewards; statistics and scores do.

    Attributes:
        policy: the agent that acts and learns.
        discriminator: judges its steps.
        has_policy: actions can be drawn from it.
    """

    def __init__(
        self,
        *,
        policy: Agent,
        discriminator: Discriminator,
        buffer: Replay,
        episodes: str,
        settings: GAILSettings,
        observation_space: FromRun[spaces.Space[Any]],
        action_space: FromRun[spaces.Space[Any]],
        total_steps: FromRun[int | None],
        device: FromRun[str],
        rng: FromRun[np.random.Generator],
        notify: FromRun[Callable[[str], None]],
    ):
        """Put the parts together.

        Args:
            policy: any agent.
            discriminator: of steps.
            buffer: the newest steps of the policy, which are told from the expert's.
            episodes: the expert's: a folder, or a Minari data set; read when there is something to learn.
            settings: all other numbers.
            observation_space: of one environment.
            action_space: of one environment, `Discrete` or `Box`.
            total_steps: decisions of the run; None: not known, so that nothing can be annealed.
            device: where the discriminator lives.
            rng: draws the expert's steps.
            notify: takes a line for the user.
        """
        self.settings, self.policy, self._buffer = settings, policy, buffer
        self.has_policy = getattr(policy, "has_policy", False)
        self.discriminator = discriminator.to(device)
        rate = settings.schedule(total_steps)
        self._optimizer = Optimizer(discriminator.parameters(), settings.optimizer, rate, settings.max_grad_norm)
        of_run: Any = {"observation_space": observation_space, "action_space": action_space, "notify": notify}
        self._expert = ExpertSteps(episodes, any_length=settings.any_length, **of_run)
        self._device, self._rng, self._notify = device, rng, notify
        self._steps = self._due = 0
        self._warned = settings.any_length

    def initial_memory(self, n: int) -> Memory:
        """Return the policy's."""
        return self.policy.initial_memory(n)

    def act(
        self, timestep: TimeStep, memory: Memory, *, explore: bool, rng: np.random.Generator
    ) -> tuple[Tree, Memory]:
        """Return the policy's actions."""
        return self.policy.act(timestep, memory, explore=explore, rng=rng)

    def greedy_policy(self) -> GreedyPolicy:
        """Return the policy's, as a module."""
        policy: Any = self.policy
        greedy: GreedyPolicy = policy.greedy_policy()
        return greedy

    def observe(self, transition: Transition) -> None:
        """Let the policy see the transition with the discriminator's reward, and keep it."""
        if self._steps == 0:
            self._standardize()
        self._warn_of_ends(transition)
        before, self._steps = self._steps, self._steps + int(np.count_nonzero(transition.valid))
        self._buffer.add(transition._replace(action=self.discriminator.actions.stored(transition.action)))
        self.policy.observe(transition._replace(reward=self._reward(transition)))
        self._due += multiples(before, self._steps, self.settings.every)

    def _reward(self, transition: Transition) -> Array:
        """Return what each step [N] is worth, float32."""
        action = self.discriminator.actions.stored(transition.action)
        with torch.inference_mode():
            logit = self.discriminator(*to_tensor((transition.observation, action), self._device))
            reward: Array = reward_of(logit, self.settings.reward).cpu().numpy()
        return np.where(transition.valid, reward, np.float32(0))

    def _standardize(self) -> None:
        """Standardize the discriminator's observations as the expert's were."""
        if self.discriminator.standardize is not None:
            seen = self._expert.recorded.observation
            statistics = ObservationStatistics(self.discriminator.standardize)
            statistics.add(seen, np.ones(tree.length(seen), bool))
            statistics.apply()

    def _warn_of_ends(self, transition: Transition) -> None:
        ended = transition.last & transition.valid & (transition.discount == 0)
        if not self._warned and ended.any():
            self._warned = True
            self._notify(f"an episode ended by itself, which gives reward away; {ANY_LENGTH}")

    def update(self) -> Metrics | None:
        """Let the policy learn, and take the discriminator's gradient steps, where they are due."""
        metrics = self.policy.update()
        due, self._due = self._due * self.settings.gradient_steps, 0
        if due == 0:
            return metrics
        steps = [self._gradient_step() for _ in range(due)]
        means = torch.stack([torch.stack(list(step.values())) for step in steps]).mean(0).tolist()
        return {**(metrics or {}), **dict(zip(steps[0], means, strict=True))}

    def _gradient_step(self) -> dict[str, Tensor]:
        loss, metrics = self.loss(*(self.discriminator.features(*rows) for rows in self._batches()))
        self._optimizer.step(loss, self._steps)
        return {name: metric.detach() for name, metric in metrics.items()}

    def _batches(self) -> tuple[tuple[Tree, Tensor], tuple[Tree, Tensor]]:
        """Draw observations [B, ...] and actions of the expert, and of the policy."""
        size = self.settings.batch_size
        observation, action = self._expert.sample(size, self._rng)
        own = self._buffer.sample(size)
        expert = (observation, self.discriminator.actions.stored(action))
        return to_tensor(expert, self._device), to_tensor((own.observation, own.action), self._device)

    def loss(self, expert: Tensor, policy: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the discriminator's loss [], and metrics [], of the features [B, F + A] of both."""
        of_expert, of_policy = self.discriminator.judge(expert), self.discriminator.judge(policy)
        share = torch.from_numpy(self._rng.random((len(expert), 1), np.float32)).to(self._device)
        penalty = gradient_penalty(self.discriminator, expert, policy, share)
        told = discriminator_loss(of_expert, of_policy)
        right = torch.cat((of_expert > 0, of_policy < 0)).float().mean()
        metrics = {"loss/discriminator": told, "penalty": penalty, "discriminator_accuracy": right}
        return told + self.settings.penalty * penalty, metrics

    def state_dict(self) -> State:
        """Return policy, discriminator, the policy's steps, optimizer, counters and generator."""
        return {
            "policy": self.policy.state_dict(),
            "discriminator": module_state(self.discriminator),
            "optimizer": self._optimizer.state_dict(),
            "replay": self._buffer.state_dict(),
            "counters": {"steps": self._steps, "due": self._due, "warned": self._warned},
            "rng": self._rng.bit_generator.state,
        }

    def load_state_dict(self, state: State) -> None:
        """Restore a state from `state_dict`; one without the policy's steps is enough to act."""
        self.policy.load_state_dict(state["policy"])
        load_module_state(self.discriminator, state["discriminator"])
        self._optimizer.load_state_dict(state["optimizer"])
        if "replay" in state:
            self._buffer.load_state_dict(state["replay"])
        self._steps, self._due, self._warned = (state["counters"][name] for name in ("steps", "due", "warned"))
        self._rng.bit_generator.state = state["rng"]
