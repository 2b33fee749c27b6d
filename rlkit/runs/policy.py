"""A trained agent in somebody else's loop: what the environment returns goes in, what it accepts comes out.

The wrappers of `preprocess=` are inside. They wrap a stand-in for the environment, which returns what the caller passes
and hands out the action that it is stepped by. A wrapper may step it several times for one action of the agent, or
begin an episode by steps of its own, so each stand-in and its wrappers run in a thread, which waits for its caller.
"""

from __future__ import annotations

import threading
import warnings
import weakref
from collections.abc import Callable, Mapping, Sequence
from queue import SimpleQueue
from typing import Any, NamedTuple

import gymnasium
import numpy as np
from gymnasium.vector import VectorEnv

from rlkit.core import tree
from rlkit.core.array_spaces import as_arrays
from rlkit.core.evaluation import with_epsilon
from rlkit.core.spaces import rooms
from rlkit.core.types import Actor, Array, Memory, RunError, UsageError, described
from rlkit.runs.passed import beyond, fault, infos_of, rewards_of, rows_of
from rlkit.vector.action_masks import Masks
from rlkit.vector.results import putter
from rlkit.vector.serial import single_actions
from rlkit.vector.time_steps import first_timestep

Wrap = Callable[[gymnasium.Env[Any, Any]], gymnasium.Env[Any, Any]]


class Given(NamedTuple):
    """What the caller has of one environment."""

    observation: Any
    info: Mapping[str, Any]
    reward: float


class _EpisodeOverError(BaseException):
    """The caller begins a new episode; no wrapper catches it."""


class _ClosedError(BaseException):
    """Nobody will call any more."""


EPISODE_OVER, CLOSED = object(), object()


class OneOfMany(gymnasium.Env[Any, Any]):
    """A single environment of a vector environment, as far as its spaces go."""

    def __init__(self, vector: VectorEnv[Any, Any, Any]):
        self.observation_space = vector.single_observation_space
        self.action_space = vector.single_action_space
        self.metadata = vector.metadata


class StandIn(gymnasium.Env[Any, Any]):
    """Is in place of an environment inside of its wrappers; other attributes are those of the real one."""

    def __init__(self, real: gymnasium.Env[Any, Any], receive: Callable[[], Given], hand_out: Callable[[Any], None]):
        self._real = real
        self._receive = receive
        self._hand_out = hand_out
        self._unanswered: Given | None = None
        self.observation_space = real.observation_space
        self.action_space = real.action_space
        self.metadata = real.metadata
        self.render_mode = real.render_mode
        self.spec = real.spec

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._real, name)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Return what the caller passes, or passed last if it was not answered by an action yet."""
        super().reset(seed=seed)
        given = self._receive() if self._unanswered is None else self._unanswered
        self._unanswered = given
        return given.observation, dict(given.info)

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Hand out the action, and return what the caller passes next."""
        self._unanswered = None
        self._hand_out(action)
        given = self._unanswered = self._receive()
        return given.observation, given.reward, False, False, dict(given.info)

    def forget(self) -> None:
        """Wait for a new observation at the next reset."""
        self._unanswered = None


class _WrappedStandIn:
    """One environment's wrappers around a stand-in, in a thread."""

    def __init__(self, real: gymnasium.Env[Any, Any], wrap: Wrap, seed: int):
        self._in: SimpleQueue[Any] = SimpleQueue()
        self._out: SimpleQueue[tuple[str, Any]] = SimpleQueue()
        arguments = (real, wrap, seed, self._in, self._out)
        threading.Thread(target=_run_row, args=arguments, daemon=True).start()
        self.put = self._in.put

    def get(self) -> tuple[str, Any]:
        """Return ``("observed", (observation, info))`` for the agent, or ``("action", action)`` for the caller.

        Raises:
            RunError: a wrapper failed.
        """
        kind, value = self._out.get()
        if kind == "failed":
            if isinstance(value, (UsageError, RunError)):
                raise value
            raise RunError(f"a wrapper of preprocess= raised {described(value)}") from value
        return kind, value


class _BareStandIn:
    """One environment without wrappers: what it returns is what the agent observes."""

    def __init__(self) -> None:
        self._next: tuple[str, Any] = "observed", None

    def put(self, value: Any) -> None:
        """Take what the caller passes, or the agent's action."""
        self._next = ("observed", value[:2]) if isinstance(value, Given) else ("action", value)

    def get(self) -> tuple[str, Any]:
        """Return what `_WrappedStandIn.get` does."""
        return self._next


def _run_row(real: Any, wrap: Wrap, seed: int, given: SimpleQueue[Any], out: SimpleQueue[tuple[str, Any]]) -> None:
    def receive() -> Any:
        value = given.get()
        if value is CLOSED:
            raise _ClosedError
        if value is EPISODE_OVER:
            raise _EpisodeOverError
        return value

    def ask(observed: Any) -> Any:
        out.put(("observed", observed))
        return receive()

    try:
        stand_in = StandIn(real, receive, lambda action: out.put(("action", action)))
        env = wrap(stand_in)
        observed = _reset(env, stand_in, seed=seed)
        while True:
            try:
                observation, _, terminated, truncated, info = env.step(ask(observed))
                # A limit of a wrapper, such as TimeLimit's, ends no episode of the caller's.
                observed = env.reset() if terminated or truncated else (observation, info)
            except _EpisodeOverError:
                observed = _reset(env, stand_in, seed=None)
    except _ClosedError:
        return
    except BaseException as error:
        out.put(("failed", error))


def _reset(env: gymnasium.Env[Any, Any], stand_in: StandIn, seed: int | None) -> tuple[Any, dict[str, Any]]:
    """Begin an episode, and begin again where the caller does so meanwhile."""
    while True:
        stand_in.forget()
        try:
            return env.reset(seed=seed)
        except _EpisodeOverError:
            continue


def _close(rows: list[Any]) -> None:
    for row in rows:
        row.put(CLOSED)


class DeployedPolicy:
    """What a trained agent does, without the simulator: for a robot, a server, or a loop of one's own.

    ``policy(observation)`` takes what the environment returns, one observation or a batch [B, ...], and returns what
    it accepts. Frame stacks, statistics, masks and memory are inside, so say where an episode begins, by `reset`. The
    actions are those of `rlkit.runs.run.Run.evaluate` in the same states.

    Attributes:
        observation_space: of the environment's own observations.
        action_space: of the environment's own actions.
    """

    def __init__(
        self,
        agent: Actor,
        real: gymnasium.Env[Any, Any],
        wrap: Wrap,
        *,
        action_mask: bool,
        rng: np.random.Generator,
        epsilon: float = 0.0,
        sample: bool = False,
    ):
        """Act by `agent`.

        Args:
            agent: chooses actions for observations as the wrappers leave them.
            real: an environment, of which only spaces and attributes are read.
            wrap: puts the wrappers around an environment.
            action_mask: infos hold masks of legal actions.
            rng: for draws of the agent.
            epsilon: share of random actions.
            sample: the others are drawn from the agent's policy.

        Raises:
            UsageError: what `rlkit.core.evaluation.with_epsilon` refuses.
        """
        self.observation_space = real.observation_space
        self.action_space = real.action_space
        self._rng = rng
        self._real = real
        self._wrap: Wrap = lambda env: as_arrays(wrap(env))
        shown = self._wrap(StandIn(real, lambda: Given(None, {}, 0.0), lambda action: None))
        self._bare = isinstance(shown, StandIn)
        self._space = shown.observation_space
        self._actor = with_epsilon(agent, shown.action_space, epsilon, sample=sample)
        self._put = putter(self._space, "the wrappers of preprocess=")
        self._single_actions = single_actions(shown.action_space)
        self._masks = Masks(shown.action_space, shown.metadata or {}, action_mask=action_mask)
        self._rows: list[_WrappedStandIn | _BareStandIn] = []
        self._memory: Memory = ()
        self._warned = False
        self._name = type(agent).__name__
        weakref.finalize(self, _close, self._rows)

    def __repr__(self) -> str:
        return f"<policy of {self._name}: {self.observation_space} -> {self.action_space}>"

    def reset(self, ended: Array | None = None) -> None:
        """Begin new episodes: in all environments, whose number may then be another, or where `ended` [B] bool is true.

        Raises:
            UsageError: `ended` has another length than the batch.
        """
        if ended is None:
            _close(self._rows)
            self._rows.clear()
            return
        flags = np.asarray(ended, bool).reshape(-1)
        if len(flags) != len(self._rows):
            raise UsageError(f"reset was given {len(flags)} flags for a batch of {len(self._rows)}; pass one for each")
        for row in (row for row, over in zip(self._rows, flags, strict=True) if over):
            row.put(EPISODE_OVER)
        if flags.any():
            self._memory = tree.where(flags, self._actor.initial_memory(len(flags)), self._memory)

    def __call__(self, observation: Any, info: Any = None, *, reward: Any = 0.0) -> Any:
        """Return the action for an observation, or the actions [B, ...] for a batch.

        Args:
            observation: as the environment returned it; a batch has a first axis more, or is a list of them.
            info: the environment's, which holds ``action_mask`` where actions may be illegal. For a batch a list of
                them, or a dict of arrays [B, ...], as vector environments return it.
            reward: the environment's, for wrappers that look at it.

        Raises:
            UsageError: an observation does not lie in the space, a mask is missing, or the batch changed its size.
            RunError: a wrapper failed.
        """
        rows, single = rows_of(observation, self.observation_space)
        infos = infos_of(info, len(rows), single=single)
        rewards = rewards_of(reward, len(rows))
        faults = self._looked_at(rows)
        self._prepare(len(rows))
        for row, *given in zip(self._rows, rows, infos, rewards, strict=True):
            row.put(Given(*given))
        try:
            actions = self._answers()
        except (RunError, UsageError) as error:
            # Some have stepped and some have not: all begin anew.
            self.reset()
            if not faults:
                raise
            raise UsageError(faults[0]) from error
        return actions[0] if single else tree.stack(actions)

    def _looked_at(self, rows: Sequence[Any]) -> list[str]:
        """Return what is wrong with what was passed; wrappers may cope with it. Warn once of what is out of bounds.

        Raises:
            UsageError: there are no wrappers to cope with it.
        """
        found = [line for row in rows if (line := fault(row, self.observation_space)) is not None]
        if found and self._bare:
            raise UsageError(found[0])
        if not found and not self._warned:
            lines = (beyond(row, self.observation_space) for row in rows)
            if (line := next(filter(None, lines), None)) is not None:
                self._warned = True
                warnings.warn(line, stacklevel=3)
        return found

    def _prepare(self, n: int) -> None:
        """Have a row for each environment.

        Raises:
            UsageError: there were others before.
        """
        if not self._rows:
            self._rows += [
                _BareStandIn() if self._bare else _WrappedStandIn(self._real, self._wrap, i) for i in range(n)
            ]
            self._memory = self._actor.initial_memory(n)
        elif len(self._rows) != n:
            raise UsageError(
                f"the batch has {n} observations, and had {len(self._rows)} before: call policy.reset() where others "
                "begin"
            )

    def _answers(self) -> list[Any]:
        """Return the action of each environment; where wrappers ask for the agent's, all of them at once."""
        answers: dict[int, Any] = {}
        waiting = list(range(len(self._rows)))
        while waiting:
            received = [(i, *self._rows[i].get()) for i in waiting]
            answers |= {i: value for i, kind, value in received if kind == "action"}
            asking = [(i, value) for i, kind, value in received if kind == "observed"]
            if asking:
                self._act([i for i, _ in asking], [value for _, value in asking])
            waiting = [i for i, _ in asking]
        return [answers[i] for i in range(len(self._rows))]

    def _act(self, rows: Sequence[int], shown: Sequence[tuple[Any, Any]]) -> None:
        """Let the agent act in some of the environments."""
        room = rooms(self._space, len(rows))()
        for place, (observation, _) in enumerate(shown):
            self._put(room, place, observation)
        timestep = first_timestep(room, self._masks.of_each([info for _, info in shown]), _no_state)
        index = np.array(rows)
        action, memory = self._actor.act(timestep, tree.take(self._memory, index), explore=False, rng=self._rng)
        tree.put(self._memory, index, memory)
        for i, one in zip(rows, self._single_actions(action), strict=True):
            self._rows[i].put(one)


def _no_state(model: Any) -> Array:
    raise UsageError(
        "this agent searches from the state of the simulator, which a policy does not have; let rlkit play: "
        "run.evaluate() or run.play()"
    )
