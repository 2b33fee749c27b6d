"""Settings of agents that search before they act."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from rlkit.config.values import check_fields
from rlkit.core.ranges import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, Probability, Range
from rlkit.planning.search.engine import Search, rule_for
from rlkit.planning.search.evaluators import Evaluator
from rlkit.planning.search.model import Model


@dataclass(frozen=True, kw_only=True)
class SearchSettings:
    """How an agent searches before each action.

    Attributes:
        simulations: before each action; None: no limit.
        seconds: that a search takes; None: no limit.
        nodes: that a tree may have; None: twice the simulations.
        look_ahead: what ends a game at once is known before it is tried, see `rlkit.planning.search.Search`.
        exploration: c, of UCT or PUCT.
        gamma: discount factor.
        keep_tree: the next search starts from the last one's subtree.
        outcomes: of an environment that is copied, see `rlkit.planning.search.copies`; None: as it leaves to chance.

    Raises:
        UsageError: a number out of its range.
    """

    simulations: PositiveInt | None
    seconds: PositiveFloat | None
    nodes: Annotated[int, Range(2)] | None
    look_ahead: bool
    exploration: NonNegativeFloat
    gamma: Probability
    keep_tree: bool
    outcomes: PositiveInt | None

    def __post_init__(self) -> None:
        check_fields(self, "agent")

    def search(self, model: Model, evaluator: Evaluator, kind: int) -> Search:
        """Return the search of a model by rule `kind`, UCT or PUCT.

        Raises:
            UsageError: there is no limit to it, or one that leaves nothing to search.
        """
        return Search(
            model,
            evaluator,
            rule_for(model, kind, self.exploration, self.gamma),
            simulations=self.simulations,
            seconds=self.seconds,
            nodes=self.nodes,
            look_ahead=self.look_ahead,
        )


@dataclass(frozen=True, kw_only=True)
class SelfPlaySettings:
    """How a searching agent explores in the games that it learns from (Silver et al., 2018).

    Attributes:
        noise_share: of noise in a root's priors while training.
        noise_concentration: of its Dirichlet distribution, summed over the legal actions.
        temperature: in training, actions are drawn with the visits to the power of 1 / temperature.
        temperature_moves: so many first actions of an episode; then the one tried most.
        resign_at: in training, a game is given up where whoever is to move finds neither the position nor its best
            move of a higher value; None: never.
        resign_played_on: share of the games in which nobody gives up, to measure how often that would be wrong.

    Raises:
        UsageError: a number out of its range.
    """

    noise_share: Probability
    noise_concentration: PositiveFloat
    temperature: PositiveFloat
    temperature_moves: NonNegativeInt
    resign_at: float | None
    resign_played_on: Probability

    def __post_init__(self) -> None:
        check_fields(self, "agent")
