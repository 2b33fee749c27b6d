"""What agents share that search before they act."""

from __future__ import annotations

from typing import Any

import numpy as np

from rlkit.core.types import RESIGN, Array, Memory, TimeStep
from rlkit.planning.search.engine import DirichletNoise, Search, SearchTrees, root_values, visit_counts
from rlkit.planning.search.model import Model
from rlkit.planning.search.resigning import Resignation
from rlkit.planning.search.tree import SearchTree


class SearchPlayer:
    """Searches from where each environment is, and takes what was tried most.

    Where trees are kept, they are the memory: what an earlier search knows of what became of its move is taken over.
    """

    def __init__(
        self,
        model: Model,
        search: Search,
        *,
        keep: bool,
        noise: DirichletNoise | None,
        temperature: float,
        temperature_moves: int,
        resignation: Resignation | None = None,
    ):
        """Take the search.

        Args:
            model: the rules of the world.
            search: with its evaluator.
            keep: trees are kept; not where states are objects.
            noise: of roots while exploring.
            temperature: while exploring, actions are drawn with the visits to the power of 1 / temperature.
            temperature_moves: so many first actions of an episode; then, and where not exploring, the one tried most.
            resignation: while exploring, games are given up (`rlkit.core.types.RESIGN`); None: never.
        """
        self._model, self._search = model, search
        self._keep, self._noise = keep and model.blank_state().dtype != object, noise
        self._temperature, self._moves = temperature, temperature_moves
        self._resignation = resignation

    def initial_memory(self, n: int) -> Memory:
        """Return empty trees where they are kept, and room for what `act` notes."""
        noted = {
            "policy": np.zeros((n, self._model.num_actions), np.float32),
            "legal": np.zeros((n, self._model.num_actions), bool),
            "value": np.zeros(n, np.float32),
            "moves": np.zeros(n, np.int64),
            **({} if self._resignation is None else self._resignation.initial_memory(n)),
        }
        if not self._keep:
            return noted
        forest = self._search.blank(n)
        return {**noted, "played": np.full(n, -1), "tree": forest.tree._asdict(), "states": forest.states}

    def act(
        self, timestep: TimeStep, memory: Memory, *, explore: bool, rng: np.random.Generator
    ) -> tuple[Array, Memory]:
        """Return the actions [N] int64, and a memory that holds what `observe` learns from.

        That is the shares of the visits ("policy", [N, A] float32), the legal actions ("legal", [N, A] bool), and the
        roots' values ("value", [N] float32).
        """
        states = self.roots(timestep)
        noise, legal = self._noise if explore else None, self._root_actions(timestep)
        forest = self._search(states, rng, **self._kept(memory), noise=noise, legal=legal)
        drawn = memory["moves"] < self._moves if explore else np.zeros(len(states), bool)
        action, policy = self._decided(forest, drawn, rng)
        noted = {
            "policy": policy.astype(np.float32),
            "legal": forest.tree.legal[:, 0].copy(),
            "value": root_values(forest.tree).astype(np.float32),
            "moves": memory["moves"] + 1,
        }
        if self._resignation is not None:
            judged = self._resignation.judged(forest.tree, policy.argmax(axis=1), memory, rng)
            action = np.where(judged["hopeless"] & ~judged["plays_on"] & explore, RESIGN, action)
            noted |= judged
        if self._keep:
            noted = {**noted, "played": action, "tree": forest.tree._asdict(), "states": forest.states}
        return action, noted

    def roots(self, timestep: TimeStep) -> Array:
        """Return the states [N, ...] from which a time step is searched."""
        assert timestep.state is not None, "this time step has no state to search from"
        return self._model.complete(timestep.state(self._model), timestep.observation, timestep.legal_actions)

    def _root_actions(self, timestep: TimeStep) -> Array | None:
        """Return which actions are legal, [N, A] bool; None: the model knows."""
        return None

    def _decided(self, forest: SearchTrees, drawn: Array, rng: np.random.Generator) -> tuple[Array, Array]:
        """Return the actions [N] int64, and what the search makes of the policy, [N, A] float64."""
        counts = visit_counts(forest.tree, self._model.bound)
        return self._chosen(counts, drawn, rng), counts / counts.sum(axis=1, keepdims=True)

    def search(self, states: Array, rng: np.random.Generator) -> SearchTrees:
        """Return new trees of `states` [N, ...], without noise."""
        return self._search(states, rng)

    def values(self, forest: SearchTrees) -> Array:
        """Return the values of the trees' roots for whoever is to move, [N] float64."""
        return root_values(forest.tree)

    def _kept(self, memory: Memory) -> dict[str, Any]:
        if not self._keep:
            return {}
        return {"kept": SearchTrees(SearchTree(**memory["tree"]), memory["states"]), "played": memory["played"]}

    def _chosen(self, visits: Array, drawn: Array, rng: np.random.Generator) -> Array:
        """Return actions [N]: drawn by `visits` [N, A] in the rows of `drawn` [N] bool, else the most visited ones.

        As many random numbers are drawn either way.
        """
        noise = rng.random((len(visits), 1))
        scaled = (visits / visits.max(axis=1, keepdims=True)) ** (1 / self._temperature)
        likely = scaled.cumsum(axis=1)
        return np.asarray(np.where(drawn, (likely > noise * likely[:, -1:]).argmax(axis=1), visits.argmax(axis=1)))
