"""Deep Q-network (Mnih et al., 2015), with the improvements that Rainbow puts together (Hessel et al., 2018)."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from rlkit.algorithms.exploration import epsilon_greedy, epsilon_greedy_by_row, warn_if_late
from rlkit.algorithms.off_policy.batch_rules import Rule, batch_rule
from rlkit.algorithms.off_policy.given_data import given
from rlkit.algorithms.off_policy.munchausen import munchausen, require_no_masks
from rlkit.algorithms.recall import NOT_EXPORTED, Recall, require_sequences
from rlkit.core.ranges import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, PositiveShare, Probability
from rlkit.core.ranks import Ranks
from rlkit.core.schedules import ProbabilitySchedule, multiples
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
)
from rlkit.networks import (
    FlatParameters,
    GradientSettings,
    Minibatch,
    Optimizer,
    QNetwork,
    autocast_outputs,
    gradient_steps,
    load_module_state,
    module_state,
    require_precision,
    to_tensor,
    trainable,
    uses_bfloat16,
)
from rlkit.networks.return_distributions import Saturation, of_action
from rlkit.networks.sequences import sequence_steps

if TYPE_CHECKING:
    from rlkit.networks.greedy_policies import GreedyPolicy


@dataclass(frozen=True, kw_only=True)
class DQNSettings(GradientSettings):
    """The settings of `DQN`, beside those of every agent that descends a gradient; values are in conf/agent/dqn.yaml.

    Attributes:
        epsilon: probability of a uniformly drawn action, by the number of decisions observed.
        epsilon_spread: environment i of N has ``epsilon ** (1 + epsilon_spread * i / (N - 1))``, as the actors of Ape-X
            (Horgan et al., 2018); 0: all have epsilon.
        fragment_steps: steps of each environment with the same parameters where copies act (`rlkit.core.remote`).
        gamma: discount factor.
        double: the online network chooses the action whose target value is used (van Hasselt et al., 2016).
        learning_starts: decisions before the first update; multiples of `train_freq` before do not count.
        batch_size: transitions in a gradient step.
        train_freq: decisions between updates; several multiples passed at once count each.
        gradient_steps: at each multiple of `train_freq`.
        target_every: gradient steps between updates of the target network.
        tau: share of the online network in a target update; 1 copies, less is Polyak averaging.
        episodes: recorded episodes that are in the replay from the beginning; None: there are none.
        offline_steps: decisions for which they are all that is learned from; None: always.
        offline: what keeps it near the data: none, cql or bcq (`rlkit.algorithms.off_policy.batch_rules`).
        conservatism: weight of the term that cql adds to the loss.
        munchausen: alpha of the scaled log-policy that is added to rewards (`rlkit.algorithms.off_policy.munchausen`);
            0: soft Q-learning; None: neither.
        temperature: of that policy.
        munchausen_min: what is added is never below it, before its weight.
        behavior_threshold: bcq chooses actions from this share of the likeliest one's probability in the data on.
        precision: of the torso where it learns; float32, bfloat16 (mixed), or auto, as in
            `rlkit.networks.uses_bfloat16`. Heads, targets and acting are float32 whatever it is.
        compile: updates run compiled networks, which take a minute to compile; acting would not gain.

    Raises:
        UsageError: a number out of its range, or an unknown precision.
    """

    epsilon: ProbabilitySchedule
    epsilon_spread: NonNegativeFloat
    fragment_steps: PositiveInt
    gamma: Probability
    double: bool
    learning_starts: NonNegativeInt
    batch_size: PositiveInt
    train_freq: PositiveInt
    gradient_steps: PositiveInt
    target_every: PositiveInt
    tau: PositiveShare
    episodes: str | None
    offline_steps: NonNegativeInt | None
    munchausen: Probability | None
    temperature: PositiveFloat
    munchausen_min: float
    offline: Rule
    conservatism: NonNegativeFloat
    behavior_threshold: Probability
    precision: str
    compile: bool

    def __post_init__(self) -> None:
        super().__post_init__()
        require_precision(self.precision)


class DQN:
    """Q-learning with a network, a replay and a target network.

    Double here; dueling, noisy, distributional and recurrent by the network; several steps, priorities and sequences by
    the replay.

    Attributes:
        network: observations [B, ...] -> outputs [B, A, K], whose meaning is ``network.distribution``.
        target_network: an older copy of it.
        tolerated_lag: one fragment, as what it learns from comes from a replay.
    """

    tolerated_lag = 1

    def __init__(
        self,
        *,
        network: QNetwork,
        replay: Replay,
        settings: DQNSettings,
        total_steps: FromRun[int | None],
        device: FromRun[str],
        generator: FromRun[torch.Generator | None],
        notify: FromRun[Callable[[str], None]],
    ):
        """Put the parts together.

        Args:
            network: action values; its initial parameters are the target's too.
            replay: stores and samples transitions.
            settings: all numbers.
            total_steps: decisions of the run; None: not known, so that nothing can be annealed.
            device: where the networks live.
            generator: on `device`; draws the noise of updates, so a noisy network needs one.
            notify: takes a line for the user.

        Raises:
            UsageError: a noisy network without a generator, a recurrent one without a replay of sequences or with a
                spread of epsilon, or a rate to be annealed without `total_steps`.
        """
        if network.hidden_size and settings.epsilon_spread:
            raise UsageError("agent.epsilon_spread is for networks without a memory; set agent.network.recurrent=none")
        if (network.noise_size or network.levels) and generator is None:
            raise UsageError("generator is None, but noise or levels are drawn from it; pass DQN a torch.Generator")
        self.settings, self._replay, self._generator = settings, replay, generator
        self.network = network.to(device)
        self.target_network = copy.deepcopy(self.network)
        self._target_parameters = FlatParameters(trainable(self.target_network.parameters()))
        self.target_network.requires_grad_(False)
        rate = settings.schedule(total_steps)
        self._optimizer = Optimizer(network.parameters(), settings.optimizer, rate, settings.max_grad_norm)
        self._distribution = network.distribution
        self._saturation = Saturation(network.distribution, settings.gamma, notify)
        keys = {"weight": settings.conservatism, "threshold": settings.behavior_threshold}
        self._rule = batch_rule(settings.offline, self.network, settings, rate, **keys)
        self._munchausen = munchausen(
            settings.munchausen,
            settings.temperature,
            settings.munchausen_min,
            double=settings.double,
            offline=settings.offline,
            distribution=network.distribution,
            replay=replay,
        )
        of_data: Any = {"recurrent": bool(network.hidden_size)}
        if settings.episodes is not None:
            of_data["num_actions"] = network.num_actions
        self._given = given(settings.episodes, settings.offline_steps, notify=notify, **of_data)
        warn_if_late(settings.learning_starts, total_steps, notify)
        self._tensor = partial(to_tensor, device=device)
        self._recall = self._make_recall() if network.hidden_size else None
        self._take_steps: Any = gradient_steps if self._recall is None else sequence_steps
        in_bfloat16 = uses_bfloat16(settings.precision, device, network)
        learning = autocast_outputs(network, device) if in_bfloat16 else network.outputs
        functions = (learning, network.outputs, self.target_network.outputs)
        # A function that is there twice is compiled once.
        compiled = {function: torch.compile(function) if settings.compile else function for function in functions}
        self._learning_outputs, self._online_outputs, self._target_outputs = (compiled[f] for f in functions)
        self._steps = self._due = self._updates = 0
        self._ranks: Ranks | None = None
        self._world = 1

    def join_ranks(self, ranks: Ranks) -> None:
        """Learn from the replays of all `ranks`, as `rlkit.core.ranks` says.

        Raises:
            UsageError: a rule learns by itself what the data's players do.
        """
        if self.settings.offline == "bcq":
            raise UsageError("agent.offline=bcq differs from process to process; take cql, or train without torchrun")
        self._ranks, self._world = ranks, ranks.size
        self._optimizer.join_ranks(ranks)

    def _make_recall(self) -> Recall:
        require_sequences(self._replay, self.settings.batch_size, "agent.network.recurrent")
        if self.settings.compile:
            raise UsageError("agent.compile=true does not compile recurrent networks; set agent.compile=false")
        network: Any = self.network
        return Recall({"network": (network.read.reader, network.body)}, self._tensor)

    def initial_memory(self, n: int) -> Memory:
        """Return the memory of `n` environments at the start of episodes: of a recurrent network.

        Where epsilon is spread, its power [n] for each environment instead; else nothing.
        """
        if self.settings.epsilon_spread:
            return 1 + self.settings.epsilon_spread * np.arange(n) / max(n - 1, 1)
        return () if self._recall is None else self._recall.initial(n)

    def act(
        self, timestep: TimeStep, memory: Memory, *, explore: bool, rng: np.random.Generator
    ) -> tuple[Array, Memory]:
        """Return the epsilon-greedy action [N], or the greedy one where not exploring.

        Exploring, a noisy network has noise of its own, drawn from `rng`, for each environment; else it has none.
        """
        noise = None
        if explore and self.network.noise_size:
            drawn = rng.standard_normal((len(timestep.valid), self.network.noise_size), np.float32)
            noise = self._tensor(drawn)
        with torch.inference_mode():
            observation = self._tensor(timestep.observation)
            if self._recall is None:
                outputs = self.network.outputs(self.network.read(observation), noise)
            else:
                features, memory = self._recall(observation, memory)
                outputs = self.network.on_features(features["network"], noise)
            q = self._distribution.mean(outputs).cpu().numpy()
            if self._rule is not None:
                timestep = timestep._replace(legal_actions=self._allowed(observation, timestep.legal_actions))
        epsilon = self.settings.epsilon(self._steps) if explore else 0.0
        if explore and self.settings.epsilon_spread:
            return epsilon_greedy_by_row(q, epsilon**memory, rng, timestep.legal_actions), memory
        return epsilon_greedy(q, epsilon, rng, timestep.legal_actions), memory

    def _allowed(self, observation: Any, legal_actions: Array | None) -> Array | None:
        """Return which actions [N, A] the rule of offline learning allows; None: all."""
        assert self._rule is not None
        legal = None if legal_actions is None else self._tensor(legal_actions).bool()
        allowed = self._rule.among(observation, legal)
        return None if allowed is None else allowed.cpu().numpy()

    def fragment_steps(self) -> int:
        """Return the steps of a fragment, for `rlkit.core.remote`."""
        return self.settings.fragment_steps

    def acting_state(self) -> State:
        """Return the network, and the decisions so far, of which epsilon depends."""
        rule = {} if self._rule is None else self._rule.state_dict()
        return {"network": module_state(self.network), "rule": rule, "steps": self._steps}

    def load_acting_state(self, state: State) -> None:
        """Restore a state from `acting_state`."""
        load_module_state(self.network, state["network"])
        if self._rule is not None:
            self._rule.load_state_dict(state["rule"])
        self._steps = state["steps"]

    def greedy_policy(self) -> GreedyPolicy:
        """Return what `act` does where not exploring, as a module.

        Raises:
            UsageError: it is recurrent, or chooses among what a second network allows.
        """
        from rlkit.networks.greedy_policies import GreedyValues

        if self._recall is not None:
            raise UsageError(NOT_EXPORTED)
        if self.settings.offline == "bcq":
            raise UsageError(
                "agent.offline=bcq chooses by two networks, a file holds one; use run.policy() from Python"
            )
        return GreedyValues(self.network)

    def observe(self, transition: Transition) -> None:
        """Store the transition, unless data that are given are all that counts, and note what is due after it."""
        if self._given is None or self._given.keeps(transition, self._steps, self._replay, self._replay.add):
            self._replay.add(transition)
        before, self._steps = self._steps, self._steps + self._world * int(np.count_nonzero(transition.valid))
        first = self.settings.learning_starts
        self._due += multiples(before, self._steps, self.settings.train_freq, first=first)

    def update(self) -> Metrics | None:
        """Take the gradient steps that are due."""
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
        columns = dict(zip(steps[0], map(torch.stack, zip(*map(dict.values, steps), strict=True)), strict=True))
        columns["q/mean"] = self._distribution.mean(columns["q/mean"])
        means = torch.stack(list(map(torch.mean, columns.values()))).tolist()
        metrics = dict(zip(columns, means, strict=True))
        if "cut_off" in metrics:
            self._saturation.add(metrics.pop("cut_off"), due)
        return {**metrics, "epsilon": self.settings.epsilon(self._steps)}

    def _gradient_step(self, batch: Minibatch) -> dict[str, Tensor]:
        """Take a gradient step on a minibatch, update the target network where that is due, and return the metrics."""
        loss, metrics = self.loss(batch)
        self._optimizer.step(loss, self._steps)
        if self._rule is not None:
            metrics |= self._rule.learn(batch, self._steps)
        self._updates += 1
        if self._updates % self.settings.target_every == 0:
            self._sync_target()
        for name in metrics:
            metrics[name] = metrics[name].detach()
        return metrics

    def loss(self, batch: Minibatch) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss [] of a minibatch, and metrics by name, through which gradients flow, too.

        The metrics are ``priorities`` [B], ``loss/td`` [], in ``q/mean`` the outputs of the actions taken, [B, K], and,
        where the distribution has limits, its ``cut_off`` []. Others that a subclass adds are [].
        """
        drawn = self.network.noise_size or self.network.levels
        noise, target_noise, choice_noise = self._noise(len(batch.r_t)) if drawn else (None, None, None)

        # Forward: the outputs of the actions taken.
        x_tm1 = self.network.read(batch.s_tm1)
        outputs_tm1 = self._learning_outputs(x_tm1, noise)
        q_tm1 = of_action(outputs_tm1, batch.a_tm1)

        # Target: the target network's outputs for the successor's best action.
        with torch.no_grad():
            x_t = self.network.read(batch.s_t)
            outputs_t = self._target_outputs(x_t, target_noise)
            if self._munchausen is None:
                choosing = self._online_outputs(x_t, choice_noise) if self.settings.double else outputs_t
                values_t, r_t = self._distribution.mean(choosing), batch.r_t
                legal_t = batch.legal_t if self._rule is None else self._rule.among(batch.s_t, batch.legal_t)
                if legal_t is not None:
                    values_t = values_t.masked_fill(~legal_t, -torch.inf)
                q_t = of_action(outputs_t, values_t.argmax(1))
            else:
                require_no_masks(batch.legal_t)
                q_t = self._munchausen.following(self._distribution, outputs_t)
                values_tm1 = self._distribution.mean(self._target_outputs(x_tm1, target_noise))
                r_t = batch.r_t + self._munchausen.bonus(values_tm1, batch.a_tm1)
            discount_t = self.settings.gamma * batch.discount_t

        # Loss.
        losses, priorities = self._distribution.loss(q_tm1, q_t, r_t, discount_t)
        loss = (batch.weight * losses).mean()
        metrics = {"priorities": priorities, "loss/td": loss, "q/mean": q_tm1}
        if self._rule is not None:
            metrics["loss/offline"] = self._rule.penalty(self._distribution.mean(outputs_tm1), batch.a_tm1)
            loss = loss + metrics["loss/offline"]
        if self._saturation.limits:
            metrics["cut_off"] = self._distribution.cut_off(q_t, r_t, discount_t)
        return loss, metrics

    def _noise(self, rows: int) -> tuple[Tensor, ...]:
        """Draw independent noise for the online network, the target network, and the choice of actions.

        It is [1, Z], or, with the levels that each of the `rows` has of its own, [B, Z + levels].
        """
        size = self.network.noise_size + self.network.levels
        assert self._generator is not None, "a network with noise or levels was given without a generator"
        shape, device = (3, rows if self.network.levels else 1, size), self._generator.device
        return torch.randn(shape, generator=self._generator, device=device).unbind()

    def _sync_target(self) -> None:
        self._target_parameters.move_towards(self._optimizer.vector, self.settings.tau)

    def state_dict(self) -> State:
        """Return networks, optimizer, replay, counters and the noise's generator."""
        return {
            "network": module_state(self.network),
            "target": module_state(self.target_network),
            "optimizer": self._optimizer.state_dict(),
            "replay": self._replay.state_dict(),
            "saturation": self._saturation.state_dict(),
            "rule": {} if self._rule is None else self._rule.state_dict(),
            "counters": {"steps": self._steps, "due": self._due, "updates": self._updates},
            "generator": self._generator.get_state().numpy().copy() if self._generator else None,
        }

    def load_state_dict(self, state: State) -> None:
        """Restore a state from `state_dict`; one without its replay is enough to act."""
        load_module_state(self.network, state["network"])
        load_module_state(self.target_network, state["target"])
        self._optimizer.load_state_dict(state["optimizer"])
        if "replay" in state:
            self._replay.load_state_dict(state["replay"])
        # Another kind of device has another kind of generator, which cannot restore this state.
        if self._generator is not None and len(state["generator"]) == len(self._generator.get_state()):
            self._generator.set_state(torch.tensor(state["generator"]))
        self._saturation.load_state_dict(state["saturation"])
        if self._rule is not None:
            self._rule.load_state_dict(state["rule"])
        counters = state["counters"]
        self._steps, self._due, self._updates = counters["steps"], counters["due"], counters["updates"]
