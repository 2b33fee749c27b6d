"""Finite MDPs of environments: from their tables, or by trying every action."""

from __future__ import annotations

from collections import Counter
from typing import Any

import gymnasium
import numpy as np

from rlkit.core.array_spaces import as_arrays
from rlkit.core.spaces import num_actions, num_states, state_index
from rlkit.core.types import Array, State, UsageError
from rlkit.planning.mdp.model import FiniteMDP, Outcome, from_table
from rlkit.vector import snapshot
from rlkit.vector.chance import leaves_to_chance


def from_gymnasium(env: gymnasium.Env[Any, Any]) -> FiniteMDP:
    """Return the MDP of an environment with Gymnasium's table ``P`` and ``initial_state_distrib`` (toy_text).

    Where it offers ``action_mask(state)``, as Taxi does, that is what is legal.

    Raises:
        UsageError: it has no such table, or does more than its table (Taxi's ``fickle_passenger``).
    """
    inner: Any = env.unwrapped
    name = type(inner).__name__
    if not has_table(env):
        raise UsageError(f"{name} has no table P and initial_state_distrib; use from_environment")
    if getattr(inner, "fickle_passenger", False):
        raise UsageError("Taxi's fickle_passenger=True is not in its table P; set it to False")
    states = range(len(inner.P))
    masks = getattr(inner, "action_mask", None)
    legal = np.array([masks(state) for state in states], bool) if callable(masks) else None
    return from_table(inner.P, np.asarray(inner.initial_state_distrib), legal)


def model_of(env: gymnasium.Env[Any, Any], *, samples: int | None, seed: int) -> FiniteMDP:
    """Return an environment's own MDP, or else one estimated by trying every action.

    Args:
        env: with an attribute ``mdp`` or Gymnasium's table ``P``, or any that `from_environment` accepts.
        samples: see `from_environment`; None: the environment must have an MDP.
        seed: likewise.

    Raises:
        UsageError: it has no MDP, and none can be estimated.
    """
    own = getattr(env.unwrapped, "mdp", None)
    if isinstance(own, FiniteMDP):
        return own
    if has_table(env):
        return from_gymnasium(env)
    if samples is None:
        raise UsageError(
            f"{type(env.unwrapped).__name__} has no model: it has no attribute mdp, "
            "an rlkit.planning.mdp.FiniteMDP, and no table P; set agent.samples to try it out so often in each state"
        )
    return from_environment(env, samples=samples, seed=seed)


def has_table(env: gymnasium.Env[Any, Any]) -> bool:
    """Return whether an environment has Gymnasium's table of a finite MDP."""
    return all(hasattr(env.unwrapped, name) for name in ("P", "initial_state_distrib"))


def from_environment(env: gymnasium.Env[Any, Any], *, samples: int, seed: int) -> FiniteMDP:
    """Return the MDP of a small environment whose state can be read and written, by trying every action everywhere.

    An observation is taken for a state, so nothing may be hidden from it, as the dealer's second card is in Blackjack.
    Probabilities are shares of `samples` draws: exact where nothing is drawn, estimates otherwise, and what is rarer
    may be missing. States that were not met end at once with reward 0.

    Args:
        env: with discrete observations and actions; `rlkit.vector.snapshot` must be able to read it.
        samples: draws of each action in each state, and of the start.
        seed: of the draws.

    Raises:
        UsageError: its state cannot be read, its spaces are not discrete, or it is a game in which turns pass.
    """
    env = as_arrays(env)
    if (why := snapshot.why_opaque(env)) is not None:
        raise UsageError(f"the environment's state cannot be read: {why}")
    leaves_to_chance(env)  # refuses what draws from a generator in its own state
    walk = _Walk(env, samples, np.random.default_rng(seed))
    found = walk.everywhere(walk.starts(seed))
    nowhere: list[list[Outcome]] = [[(1.0, state, 0.0, True)] * walk.actions for state in range(walk.states)]
    table: list[Any] = [found.get(state, [[outcome] for outcome in nowhere[state]]) for state in range(walk.states)]
    return from_table(table, walk.begun / walk.begun.sum(), walk.legal if walk.masked else None)


class _Walk:
    """Tries every action of an environment, from one saved state for each observation."""

    def __init__(self, env: gymnasium.Env[Any, Any], samples: int, rng: np.random.Generator):
        self._env, self._samples, self._rng = env, samples, rng
        self.states = num_states(env.observation_space, agent="from_environment")
        self.actions = num_actions(env.action_space, agent="from_environment")
        self.begun = np.zeros(self.states)
        self.legal = np.ones((self.states, self.actions), bool)
        self.masked = False
        self._saved: dict[int, State] = {}
        self._new: list[int] = []

    def starts(self, seed: int) -> list[int]:
        """Reset again and again; return the states in which episodes begin."""
        for draw in range(self._samples):
            observation, info = self._env.reset(seed=seed) if draw == 0 else self._env.reset()
            self.begun[self._meet(observation, info)] += 1
        return self._new

    def everywhere(self, new: list[int]) -> dict[int, list[list[Outcome]]]:
        """Return the outcomes of all actions in all states that can be reached."""
        found = {}
        while new:
            state = new.pop()
            found[state] = [self._try(state, action) for action in range(self.actions)]
        return found

    def _try(self, state: int, action: int) -> list[Outcome]:
        counts: Counter[tuple[int, float, bool]] = Counter()
        for _ in range(self._samples):
            observation, reward, terminated, info = self._draw(state, action)
            if not terminated and info.get("rlkit/discount", 1.0) != 1.0:
                name = type(self._env.unwrapped).__name__
                raise UsageError(
                    f"info['rlkit/discount'] is {info['rlkit/discount']:g}: {name} is no MDP of one player; "
                    "learn by agent=q_learning, or search by agent=mcts, which know of turns"
                )
            counts[self._meet(observation, info, terminated=terminated), float(reward), bool(terminated)] += 1
        return [(count / self._samples, *outcome) for outcome, count in counts.items()]

    def _draw(self, state: int, action: int) -> tuple[Any, Any, bool, dict[str, Any]]:
        """Step from a state with a generator of our own, which restoring must not write to."""
        snapshot.restore(self._env, self._saved[state])
        core = self._env.unwrapped
        own, core.np_random = core.np_random, self._rng
        observation, reward, terminated, _, info = self._env.step(action)
        core.np_random = own
        return observation, reward, terminated, info

    def _meet(self, observation: Any, info: dict[str, Any], *, terminated: bool = False) -> int:
        state = int(state_index(np.asarray(observation)[None], self._env.observation_space)[0])
        # What comes after an end is not used.
        if state not in self._saved and not terminated:
            captured = snapshot.capture(self._env)
            assert captured is not None, "opaque"
            self._saved[state] = captured
            self._new.append(state)
            self._take_mask(state, info)
        return state

    def _take_mask(self, state: int, info: dict[str, Any]) -> None:
        if "action_mask" in info:
            self.masked = True
            mask: Array = np.asarray(info["action_mask"], bool)
            self.legal[state] = mask if mask.any() else True
