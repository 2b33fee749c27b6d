"""The base of agents that learn an actor and critics from a replay (torch)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any, cast

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor, nn

from rlkit.algorithms.exploration import warn_if_late
from rlkit.algorithms.off_policy.acting import ActsByActor
from rlkit.algorithms.off_policy.given_data import given
from rlkit.algorithms.off_policy.held_noise import HeldNoise
from rlkit.algorithms.off_policy.preparation import Preparation, has_images
from rlkit.algorithms.off_policy.settings import OffPolicySettings
from rlkit.algorithms.off_policy.target_network import TargetNetwork
from rlkit.algorithms.off_policy.values import some, values_of
from rlkit.algorithms.recall import Recall, require_sequences
from rlkit.core.action_scaling import ActionScaling
from rlkit.core.ranks import Ranks
from rlkit.core.schedules import Constant, Schedule, multiples
from rlkit.core.targets import td_target
from rlkit.core.types import Metrics, Replay, State, Transition, UsageError
from rlkit.networks import (
    Critics,
    Minibatch,
    Optimizer,
    gradient_steps,
    load_module_state,
    mixed_precision,
    module_state,
    step_together,
    to_tensor,
    trainable,
    uses_bfloat16,
)
from rlkit.networks.actors import ActorNetwork
from rlkit.networks.sequences import sequence_steps
from rlkit.networks.stacked import StackedBatchRenorm, batch_statistics

NOT_BY_BATCHES = (
    "networks normalized by statistics of batches (norm=batch_renorm) differ from process to process: take norm=layer "
    "or none, or train without torchrun"
)


class OffPolicyAgent(ActsByActor):
    """Acts by an actor and takes gradient steps on samples of a replay; a subclass says how to act, and the loss.

    The replay holds actions as the networks know them: the free numbers of a `Box`, in [-1, 1] (`ActionScaling`).

    Attributes:
        network: all parts that learn, by name: actor, critics and what a subclass adds.
        values: how the critics' outputs are read.
        needs_data: it learns from recorded episodes, at first or always.
    """

    settings: OffPolicySettings
    needs_data = False

    def __init__(
        self,
        actor: ActorNetwork,
        critics: Critics,
        replay: Replay,
        settings: OffPolicySettings,
        *,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        total_steps: int | None,
        device: str,
        generator: torch.Generator,
        notify: Callable[[str], None],
        slow: Sequence[str],
        **more: nn.Module,
    ):
        """Put the parts together.

        Args:
            actor: the policy.
            critics: the values of actions.
            replay: stores and samples transitions.
            settings: all numbers.
            observation_space: of one environment.
            action_space: of one environment, `Box` or `Discrete`.
            total_steps: decisions of the run; None: not known.
            device: where the networks live.
            generator: on `device`; draws what is random in updates.
            notify: is called with a line for the user.
            slow: names of the parts that have a target network; the critics only if the settings say so.
            more: other parts that learn, by name; like the actor, only every `policy_delay` gradient steps.

        Raises:
            UsageError: settings that do not fit each other, the spaces or the run.
        """
        self.settings, self._replay, self._generator = settings, replay, generator
        discrete = isinstance(action_space, spaces.Discrete)
        self._num_actions = int(action_space.n) if isinstance(action_space, spaces.Discrete) else 0
        self._scaling = None if discrete else ActionScaling(cast("spaces.Box", action_space), settings.action_limit)
        self.values = values_of(
            critics.distribution, count=critics.count, subset=settings.subset, drop=settings.drop, candidates=discrete
        )
        share = settings.share_encoder
        self._shares = has_images(observation_space) if share == "auto" else share
        _require_alike(actor.encoder, critics.encoder, settings.recurrent)
        if self._shares:
            actor.encoder = nn.Identity()  # type: ignore[assignment]
        self._prepare = Preparation(
            observation_space,
            standardize=settings.standardize,
            image_shift=settings.image_shift,
            channel_order=settings.channel_order,
            generator=generator,
            device=device,
        )
        self.network = nn.ModuleDict({"actor": actor, "critics": critics, **more}).to(device)
        self.actor, self.critics = actor, critics
        with_target = [name for name in slow if name != "critics" or settings.target_network]
        self._targets = {name: TargetNetwork(self.network[name]) for name in with_target}
        self._optimizers = self._make_optimizers(total_steps)
        for module in (critics, *(target.module for target in self._targets.values())):
            if isinstance(module, Critics):
                module.draw_from(generator)
        in_bfloat16 = uses_bfloat16(settings.precision, device, self.network)
        self._precision = partial(mixed_precision, device) if in_bfloat16 else nullcontext
        self._given = given(
            settings.episodes,
            settings.offline_steps,
            recurrent=settings.recurrent != "none",
            needed=self.needs_data,
            observation_space=observation_space,
            action_space=action_space,
            notify=notify,
        )
        self._held = HeldNoise(self.noise, settings.noise_steps)
        warn_if_late(settings.learning_starts, total_steps, notify)
        self._device = device
        self._tensor = partial(to_tensor, device=device)
        self._recall = None if settings.recurrent == "none" else self._make_recall()
        self._take_steps: Any = gradient_steps if self._recall is None else sequence_steps
        self._steps = self._due = self._updates = 0
        self._ranks: Ranks | None = None
        self._world = 1

    def join_ranks(self, ranks: Ranks) -> None:
        """Learn from the replays of all `ranks`, as `rlkit.core.ranks` says.

        Raises:
            UsageError: networks are normalized by statistics of batches, which are each rank's own.
        """
        if any(isinstance(module, StackedBatchRenorm) for module in self.network.modules()):
            raise UsageError(NOT_BY_BATCHES)
        self._ranks, self._world = ranks, ranks.size
        for optimizer in self._optimizers.values():
            optimizer.join_ranks(ranks)
        self._prepare.join_ranks(ranks)

    def _make_optimizers(self, total_steps: int | None) -> dict[str, Optimizer]:
        """Return an optimizer for each part that learns."""
        settings, rate = self.settings, self.settings.schedule(total_steps)
        share = self.actor_schedule(total_steps)
        rates: dict[str, Schedule] = {"actor": lambda decisions: share(decisions) * rate(decisions)}
        return {
            name: Optimizer(part.parameters(), settings.optimizer, rates.get(name, rate), settings.max_grad_norm)
            for name, part in self.network.items()
            if trainable(part.parameters())
        }

    def actor_schedule(self, total_steps: int | None) -> Schedule:
        """Return the actor's learning rate in those of the critics, by decisions of a run of `total_steps`."""
        return Constant(self.settings.actor_rate)

    def _make_recall(self) -> Recall:
        """Return what steps the cores of actor and critics, or the one that they share."""
        require_sequences(self._replay, self.settings.batch_size, "agent.recurrent")
        if not self.settings.target_network:
            raise UsageError("agent.recurrent needs target networks; set agent.target_network=true, or recurrent=none")
        encoders: dict[str, Any] = {"critics": self.critics.encoder}
        if not self._shares:
            encoders["actor"] = self.actor.encoder
        return Recall({name: (encoder.reader.reader, encoder.body) for name, encoder in encoders.items()}, self._tensor)

    def observe(self, transition: Transition) -> None:
        """Store the transition, unless data that are given are all that counts, and note what is due after it."""
        if self._given is None or self._given.keeps(transition, self._steps, self._replay, self._store):
            self._store(transition)
        before, self._steps = self._steps, self._steps + self._world * int(np.count_nonzero(transition.valid))
        self._due += multiples(before, self._steps, self.settings.train_freq, first=self.settings.learning_starts)

    def _store(self, transition: Transition) -> None:
        if self._scaling is not None:
            transition = transition._replace(action=self._scaling.to_unit(transition.action))
        self._prepare.observe(transition)
        self._replay.add(transition)

    def update(self) -> Metrics | None:
        """Take the gradient steps that are due, and return the means of their metrics."""
        due, self._due = self._due * self.settings.gradient_steps, 0
        if due == 0 or not (len(self._replay) if self._ranks is None else self._ranks.begun(len(self._replay) > 0)):
            return None
        steps = self._take_steps(
            self._replay,
            due,
            batch_size=self.settings.batch_size,
            gamma=self.settings.gamma,
            tensor=self._tensor,
            step=self._gradient_step,
        )
        metrics: dict[str, list[Tensor]] = {}
        for measured in steps:
            for name, metric in measured.items():
                metrics.setdefault(name, []).append(metric)
        means = torch.stack([torch.stack(column).mean() for column in metrics.values()]).tolist()
        return dict(zip(metrics, means, strict=True))

    def _gradient_step(self, batch: Minibatch) -> dict[str, Tensor]:
        """Take a gradient step on a minibatch, let target networks follow, and return the metrics."""
        prepare = partial(self._prepare, learning=True)
        both = (batch.s_tm1, batch.s_t)
        s_tm1, s_t = map(prepare, both) if self._recall is None else (steps.mapped(prepare) for steps in both)
        batch = batch._replace(s_tm1=s_tm1, s_t=s_t)
        with self._precision():
            loss, metrics = self.loss(batch)
        names = self._optimizers if self.policy_due else ["critics"]
        step_together(loss, [self._optimizers[name] for name in names], self._steps)
        self._follow()
        self._updates += 1
        return {name: metric.detach() for name, metric in metrics.items()}

    def loss(self, batch: Minibatch) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss [] of a minibatch: the sum of those of all parts, whose gradients do not reach other parts.

        And metrics [] by name, and ``priorities`` [B], through which gradients may flow, too.
        """
        raise NotImplementedError

    @property
    def policy_due(self) -> bool:
        """Whether the present gradient step is one of the actor, too."""
        return (self._updates + 1) % self.settings.policy_delay == 0

    def _follow(self) -> None:
        """Move the target networks; a subclass may do so less often."""
        for name, target in self._targets.items():
            target.follow(self._optimizers[name], self.settings.tau)

    def action_values(self, batch: Minibatch, next_action: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Return the values of what was done and of what would be done next.

        Args:
            batch: of B rows.
            next_action: [B, D] actions in the successors; None: all discrete ones.

        Returns:
            The critics' features [B, F] of observations; their outputs [n, B, K] for the actions taken; pessimistic
            returns [B, C, J] after the successors, without gradient.
        """
        if "critics" not in self._targets:
            return self._joint_values(batch, next_action)
        with torch.no_grad():
            target = self._targets["critics"].module
            members = some(target.count, self.settings.subset, self._generator, self._device)
            q_t = self.values.target(target(target.encode(batch.s_t), next_action, members))
        x_tm1 = self.critics.encode(batch.s_tm1)
        return x_tm1, self.critics.of_taken(x_tm1, batch.a_tm1), q_t

    def _joint_values(self, batch: Minibatch, next_action: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Return what `action_values` does by one pass of the critics themselves, so that batches have both in them."""
        x_tm1 = self.critics.encode(batch.s_tm1)
        x_t = self.critics.encode(batch.s_t).detach()
        both = None if next_action is None else torch.cat((batch.a_tm1, next_action))
        with batch_statistics(self.critics):
            outputs = self.critics(torch.cat((x_tm1, x_t)), both)
        q_tm1, q_t = outputs.chunk(2, 1)
        members = some(self.critics.count, self.settings.subset, self._generator, self._device)
        return x_tm1, self.critics.taken(q_tm1, batch.a_tm1), self.values.target(q_t.detach()[members])

    def critics_loss(self, batch: Minibatch, q_tm1: Tensor, v_t: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the critics' loss [], and the metrics that `loss` returns of them.

        Args:
            batch: of B rows.
            q_tm1: [n, B, K] outputs for the actions taken.
            v_t: [B, J] returns after the successors, without gradient; targets are ``r_t + gamma discount_t v_t``.
        """
        discount_t = self.settings.gamma * batch.discount_t
        target = td_target(batch.r_t[:, None], discount_t[:, None], v_t)
        losses, errors = self.values.loss(q_tm1, target)
        loss = (batch.weight * losses).mean()
        return loss, {"priorities": errors, "loss/critics": loss, "q/mean": q_tm1.mean()}

    def state_dict(self) -> State:
        """Return networks, optimizers, replay, counters and the generator."""
        return {
            "network": module_state(self.network),
            "targets": {name: module_state(target.module) for name, target in self._targets.items()},
            "optimizers": {name: optimizer.state_dict() for name, optimizer in self._optimizers.items()},
            "preparation": self._prepare.state_dict(),
            "replay": self._replay.state_dict(),
            "counters": {"steps": self._steps, "due": self._due, "updates": self._updates},
            "generator": self._generator.get_state().numpy().copy(),
        }

    def load_state_dict(self, state: State) -> None:
        """Restore a state from `state_dict`; one without its replay is enough to act."""
        load_module_state(self.network, state["network"])
        for name, target in self._targets.items():
            load_module_state(target.module, state["targets"][name])
        for name, optimizer in self._optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])
        self._prepare.load_state_dict(state["preparation"])
        if "replay" in state:
            self._replay.load_state_dict(state["replay"])
        # Another kind of device has another kind of generator, which cannot restore this state.
        if len(state["generator"]) == len(self._generator.get_state()):
            self._generator.set_state(torch.tensor(state["generator"]))
        self._steps, self._due, self._updates = (state["counters"][name] for name in ("steps", "due", "updates"))


def _require_alike(actor: nn.Module, critics: nn.Module, recurrent: str) -> None:
    """Check that both encoders have a core, or neither.

    Raises:
        UsageError: one of them is not as `recurrent` says.
    """
    for name, encoder in (("actor", actor), ("critics", critics)):
        if bool(encoder.hidden_size) != (recurrent != "none"):
            raise UsageError(
                f"agent.{name}.recurrent is not agent.recurrent={recurrent}; set agent.recurrent alone, for both"
            )
