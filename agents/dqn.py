"""Deep Q-network (Mnih et al., 2015), with the improvements that Rainbow puts together (Hessel et al., 2018)."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rlkit.algorithms.counters import multiples
from rlkit.algorithms.exploration import Schedule, annealed, epsilon_greedy, require_shares, tell_if_late
from rlkit.core.types import (
    Array,
    FromRun,
    Memory,
    Metrics,
    Replay,
    State,
    TimeStep,
    Transition,
    UsageError,
    require_least,
    require_positive,
    require_share,
)
from rlkit.networks import (
    Descent,
    FlatParameters,
    QNetwork,
    load_module_state,
    mixed,
    module_state,
    takes_bfloat16,
    to_tensor,
    trainable,
)
from rlkit.networks.return_distributions import Saturation, of_action


class DQN:
    """Q-learning with a network, a replay and a target network.

    Double here; dueling, noisy and distributional by the network; several steps and priorities by the replay.

    Attributes:
        network: observations [B, ...] -> outputs [B, A, K], whose meaning is ``network.distribution``.
    """

    def __init__(
        self,
        *,
        network: QNetwork,
        replay: Replay,
        optimizer: Callable[..., torch.optim.Optimizer],
        learning_rate: float | Schedule,
        anneal: bool,
        epsilon: Schedule,
        gamma: float,
        double: bool,
        learning_starts: int,
        batch_size: int,
        train_freq: int,
        gradient_steps: int,
        target_every: int,
        tau: float,
        max_grad_norm: float,
        precision: str,
        compile: bool,
        total_steps: FromRun[int | None],
        device: FromRun[str],
        generator: FromRun[torch.Generator | None],
        tell: FromRun[Callable[[str], None]],
    ):
        """Put the parts together.

        Args:
            network: action values; its initial parameters are the target's too.
            replay: stores and samples transitions.
            optimizer: called with the network's parameters and ``lr``.
            learning_rate: a number, or a schedule by the number of decisions observed.
            anneal: it falls in a line to 0 over `total_steps`.
            epsilon: share of uniformly drawn actions, by the number of decisions observed.
            gamma: discount factor.
            double: the online network chooses the action whose target value is used (van Hasselt et al., 2016).
            learning_starts: decisions before the first update; multiples of `train_freq` before do not count.
            batch_size: transitions in an update.
            train_freq: decisions between updates; several multiples passed at once count each.
            gradient_steps: updates at each multiple of `train_freq`.
            target_every: gradient steps between updates of the target network.
            tau: share of the online network in a target update; 1 copies, less is Polyak averaging.
            max_grad_norm: gradients are scaled down to this norm.
            precision: of the torso where it learns; float32, bfloat16 (mixed), or auto, as in
                `rlkit.networks.takes_bfloat16`. Heads, targets and acting are float32 whatever it is.
            compile: updates run compiled networks, which take a minute to compile; acting would not gain.
            total_steps: of the run; needed to anneal.
            device: where the networks live.
            generator: on `device`; draws the noise of updates, so a noisy network needs one.
            tell: takes a line for the user.

        Raises:
            UsageError: an unknown precision, a gamma beyond 0 to 1, another number that cannot be, or a noisy network
                without a generator.
        """
        require_least(0, "agent", learning_starts=learning_starts)
        require_least(1, "agent", batch_size=batch_size, train_freq=train_freq)
        require_least(1, "agent", gradient_steps=gradient_steps, target_every=target_every)
        require_positive("agent", tau=require_share("agent.tau", tau))
        if network.noise_size and generator is None:
            raise UsageError("generator is None, but a noisy network draws from it; give DQN a torch.Generator")
        self.network = network.to(device)
        self._target = copy.deepcopy(self.network)
        self._target_parameters = FlatParameters(trainable(self._target.parameters()))
        self._target.requires_grad_(False)
        self._distribution = network.distribution
        self._replay = replay
        rate = annealed(learning_rate, anneal=anneal, total_steps=total_steps)
        self._descent = Descent(self.network.parameters(), optimizer, rate, max_grad_norm)
        self._epsilon = require_shares("agent.epsilon", epsilon)
        self._gamma, self._double = require_share("agent.gamma", gamma), double
        self._saturation = Saturation(network.distribution, gamma, tell)
        tell_if_late(learning_starts, total_steps, tell)
        self._learning_starts, self._batch_size = learning_starts, batch_size
        self._train_freq, self._gradient_steps = train_freq, gradient_steps
        self._target_every, self._tau = target_every, tau
        self._tensor = partial(to_tensor, device=device)
        self._generator = generator
        learning = mixed(network, device) if takes_bfloat16(precision, device, network) else network.outputs
        functions = (learning, self.network.outputs, self._target.outputs)
        # A function that is there twice is compiled once.
        compiled = {function: torch.compile(function) if compile else function for function in functions}
        self._learning, self._online, self._aimed_at = (compiled[function] for function in functions)
        self._steps = self._due = self._updates = 0

    def initial_memory(self, n: int) -> Memory:
        """Return nothing: no episode is remembered."""
        return ()

    def act(
        self, timestep: TimeStep, memory: Memory, *, explore: bool, rng: np.random.Generator
    ) -> tuple[Array, Memory]:
        """Return the epsilon-greedy action [N], or the greedy one where not exploring.

        Exploring, a noisy network has noise of its own, drawn from `rng`, for each environment; else it has none.
        """
        noise = None
        if explore and self.network.noise_size:
            drawn = rng.standard_normal((len(timestep.observation), self.network.noise_size), np.float32)
            noise = self._tensor(drawn)
        with torch.inference_mode():
            seen = self.network.read(self._tensor(timestep.observation))
            q = self._distribution.mean(self.network.outputs(seen, noise)).cpu().numpy()
        epsilon = self._epsilon(self._steps) if explore else 0.0
        return epsilon_greedy(q, epsilon, rng, timestep.legal_actions), memory

    def observe(self, transition: Transition) -> None:
        """Store the transition, and note which multiples of `train_freq` it passed."""
        self._replay.add(transition)
        before, self._steps = self._steps, self._steps + int(np.count_nonzero(transition.valid))
        self._due += multiples(before, self._steps, self._train_freq, first=self._learning_starts)

    def update(self) -> Metrics | None:
        """Take the gradient steps that are due.

        Their batches are drawn together, which is faster; by priority one at a time, as each step changes those.
        """
        due, self._due = self._due * self._gradient_steps, 0
        if due == 0 or len(self._replay) == 0:
            return None
        together = 1 if self._replay.prioritized else due
        steps = [step for _ in range(due // together) for step in self._take(together)]
        losses, chosen, cut = (torch.stack(column) for column in zip(*steps, strict=True))
        figures = torch.stack((losses.mean(), self._distribution.mean(chosen).mean(), cut.mean()))
        loss, value, beyond = figures.tolist()
        self._saturation.add(beyond, due)
        return {"loss/td": loss, "q/mean": value, "epsilon": self._epsilon(self._steps)}

    def _take(self, count: int) -> list[tuple[Tensor, ...]]:
        """Take gradient steps on `count` batches that are drawn at once; return what `_learn` does, but priorities."""
        drawn = self._replay.sample(count * self._batch_size, self._gamma)
        rows = {name: self._tensor(value) for name, value in drawn._asdict().items() if value is not None}
        rows["discount"] = self._gamma * rows["discount"]
        parts = {name: value.view(count, self._batch_size, *value.shape[1:]).unbind() for name, value in rows.items()}
        steps = [self._learn({name: part[i] for name, part in parts.items()}) for i in range(count)]
        priorities = torch.cat([step[1] for step in steps])
        self._replay.update_priorities(drawn.index, priorities.cpu().numpy())
        return [(loss, chosen, cut) for loss, _, chosen, cut in steps]

    def _learn(self, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Take a gradient step; return its loss, the priorities [B], the outputs [B, K] for what was done, what is cut.

        The last is `Distribution.cut_off`.
        """
        noise, *noises = self._noise()
        following = self._following(batch, *noises)
        seen = self.network.read(batch["observation"])
        chosen = of_action(self._learning(seen, noise), batch["action"])
        losses, priorities = self._distribution.loss(chosen, following, batch["reward"], batch["discount"])
        loss = (batch["weight"] * losses).mean()
        self._descent(loss, self._steps)
        self._follow()
        cut = self._distribution.cut_off(following, batch["reward"], batch["discount"])
        return loss.detach(), priorities, chosen.detach(), cut

    @torch.no_grad()
    def _following(self, batch: dict[str, Tensor], target_noise: Tensor | None, noise: Tensor | None) -> Tensor:
        """Return the target network's outputs [B, K] for the best action of the successors."""
        seen = self.network.read(batch["next_observation"])
        outputs = self._aimed_at(seen, target_noise)
        selector = self._online(seen, noise) if self._double else outputs
        q_t = self._distribution.mean(selector)
        if "next_legal_actions" in batch:
            q_t = q_t.masked_fill(~batch["next_legal_actions"], -torch.inf)
        return of_action(outputs, q_t.argmax(1))

    def _noise(self) -> tuple[Tensor | None, ...]:
        """Return independent noise for the values learnt, the target network, and the choice of the next action."""
        size, generator = self.network.noise_size, self._generator
        if size == 0 or generator is None:
            return None, None, None
        return torch.randn(3, 1, size, generator=generator, device=generator.device).unbind()

    def _follow(self) -> None:
        self._updates += 1
        if self._updates % self._target_every == 0:
            self._target_parameters.follow(self._descent.vector, self._tau)

    def state_dict(self) -> State:
        """Return networks, optimiser, replay, counters and the noise's generator."""
        return {
            "network": module_state(self.network),
            "target": module_state(self._target),
            "optimizer": self._descent.state_dict(),
            "replay": self._replay.state_dict(),
            "saturation": self._saturation.state_dict(),
            "counters": {"steps": self._steps, "due": self._due, "updates": self._updates},
            "generator": self._generator.get_state().numpy().copy() if self._generator else None,
        }

    def load_state_dict(self, state: State) -> None:
        """Take back what `state_dict` gave; a state without its replay is enough to act."""
        load_module_state(self.network, state["network"])
        load_module_state(self._target, state["target"])
        self._descent.load_state_dict(state["optimizer"])
        if "replay" in state:
            self._replay.load_state_dict(state["replay"])
        # Another kind of device has another kind of generator, which cannot go on where this one was.
        if self._generator is not None and len(state["generator"]) == len(self._generator.get_state()):
            self._generator.set_state(torch.tensor(state["generator"]))
        self._saturation.load_state_dict(state["saturation"])
        counters: dict[str, Any] = state["counters"]
        self._steps, self._due, self._updates = counters["steps"], counters["due"], counters["updates"]
