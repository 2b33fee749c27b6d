"""Monte Carlo tree search with random play (Kocsis & Szepesvari, 2006; Coulom, 2006)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rlkit.core import Array, Memory, Metrics, State, TimeStep, Transition, UsageError, require_share
from rlkit.search import PUCT, UCT, Model, RandomPlay, Rule, Search
from rlkit.search.planner import SearchPlayer

RULES = {"uct": UCT, "puct": PUCT}


class MCTS:
    """Searches in a model of the environment before each action; it learns nothing.

    Attributes:
        player: the search, with its settings.
    """

    def __init__(
        self,
        *,
        search_model: Callable[[int], Model],
        simulations: int | None,
        seconds: float | None,
        nodes: int,
        rule: str,
        exploration: float,
        gamma: float,
        max_steps: int,
        keep_tree: bool,
        outcomes: int,
    ):
        """Take the model.

        Args:
            search_model: returns the model of the environment.
            simulations: before each action; None: no limit.
            seconds: that a search takes; None: no limit.
            nodes: that a tree may have.
            rule: uct or puct.
            exploration: c, of the rule.
            gamma: discount factor.
            max_steps: of random play.
            keep_tree: what the last search knows of where the action led is taken over.
            outcomes: of an environment that is copied, see `rlkit.search.copies`.

        Raises:
            UsageError: no such rule, a gamma beyond 0 to 1, or no limit to the search.
        """
        if rule not in RULES:
            raise UsageError(f"agent.rule is {rule!r}; it must be one of {', '.join(RULES)}")
        self.model = model = search_model(outcomes)
        gamma = require_share("agent.gamma", gamma)
        bound = np.inf if model.bound is None else model.bound
        settings = Rule(RULES[rule], float(exploration), model.bound is None, gamma, bound)
        search = Search(
            model, RandomPlay(max_steps, gamma), settings, simulations=simulations, seconds=seconds, nodes=nodes
        )
        self.player = SearchPlayer(model, search, keep=keep_tree, noise=None, temperature=1.0, temperature_moves=0)
        self.initial_memory = self.player.initial_memory

    def act(
        self, timestep: TimeStep, memory: Memory, *, explore: bool, rng: np.random.Generator
    ) -> tuple[Array, Memory]:
        """Return the actions [N] that were tried most."""
        return self.player.act(timestep, memory, explore=explore, rng=rng)

    def observe(self, transition: Transition) -> None:
        """Do nothing."""

    def update(self) -> Metrics | None:
        """Return None: there is nothing to learn."""
        return None

    def state_dict(self) -> State:
        """Return nothing."""
        return {}

    def load_state_dict(self, state: State) -> None:
        """Take nothing back."""
