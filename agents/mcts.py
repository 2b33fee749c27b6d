"""Monte Carlo tree search with random play (Kocsis & Szepesvari, 2006; Coulom, 2006)."""

from __future__ import annotations

from collections.abc import Callable

from rlkit.algorithms.fixed_policies import Following, Untaught
from rlkit.core.types import FromRun, UsageError
from rlkit.planning.search import PUCT, UCT, Model, RandomPlay, Search, rule_for
from rlkit.planning.search.planner import SearchPlayer

RULES = {"uct": UCT, "puct": PUCT}


class MCTS(Following, Untaught):
    """Searches in a model of the environment before each action; it learns nothing.

    Attributes:
        player: the search, with its settings.
    """

    def __init__(
        self,
        *,
        search_model: FromRun[Callable[[int], Model]],
        simulations: int | None,
        seconds: float | None,
        nodes: int | None,
        look_ahead: bool,
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
            nodes: that a tree may have; None: twice the simulations.
            look_ahead: what ends a game at once is known before it is tried, see `rlkit.planning.search.Search`.
            rule: uct or puct.
            exploration: c, of the rule.
            gamma: discount factor.
            max_steps: of random play.
            keep_tree: what the last search knows of where the action led is taken over.
            outcomes: of an environment that is copied, see `rlkit.planning.search.copies`.

        Raises:
            UsageError: no such rule, a gamma beyond 0 to 1, or no limit to the search.
        """
        if rule not in RULES:
            raise UsageError(f"agent.rule is {rule!r}; it must be one of {', '.join(RULES)}")
        self.model = model = search_model(outcomes)
        settings = rule_for(model, RULES[rule], exploration, gamma)
        play = RandomPlay(max_steps, gamma)
        search = Search(
            model, play, settings, simulations=simulations, seconds=seconds, nodes=nodes, look_ahead=look_ahead
        )
        self.player = SearchPlayer(model, search, keep=keep_tree, noise=None, temperature=1.0, temperature_moves=0)
        Following.__init__(self, self.player)
