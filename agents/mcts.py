"""Monte Carlo tree search with random play (Kocsis & Szepesvari, 2006; Coulom, 2006)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rlkit.algorithms.fixed_policies import NonLearning, PolicyActor
from rlkit.core.ranges import PositiveInt
from rlkit.core.types import FromRun, UsageError
from rlkit.planning.search import PUCT, UCT, Model, RandomPlay
from rlkit.planning.search.planner import SearchPlayer
from rlkit.planning.search.settings import SearchSettings

RULES = {"uct": UCT, "puct": PUCT}


@dataclass(frozen=True, kw_only=True)
class MCTSSettings(SearchSettings):
    """The settings of `MCTS`, beside those of every search; values are in conf/agent/mcts.yaml.

    Attributes:
        rule: uct or puct, by which actions are chosen within a tree.
        max_steps: of random play.

    Raises:
        UsageError: no such rule, or what `SearchSettings` refuse.
    """

    rule: str
    max_steps: PositiveInt

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.rule not in RULES:
            raise UsageError(f"agent.rule is {self.rule!r}; it must be one of {', '.join(RULES)}")


class MCTS(PolicyActor, NonLearning):
    """Searches in a model of the environment before each action; it learns nothing.

    Attributes:
        model: of the environment.
        player: the search, with its settings.
    """

    def __init__(self, *, search_model: FromRun[Callable[[int | None], Model]], settings: MCTSSettings):
        """Make the model and its search.

        Args:
            search_model: returns the model of the environment.
            settings: all numbers.

        Raises:
            UsageError: no limit to the search.
        """
        self.settings = settings
        self.model = search_model(settings.outcomes)
        search = settings.search(self.model, RandomPlay(settings.max_steps, settings.gamma), RULES[settings.rule])
        self.player = SearchPlayer(
            self.model, search, keep=settings.keep_tree, noise=None, temperature=1.0, temperature_moves=0
        )
        PolicyActor.__init__(self, self.player)
