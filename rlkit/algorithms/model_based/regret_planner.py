"""Counterfactual regret minimization as an agent: it knows the game, and plans further at each decision."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import numpy as np

from rlkit.core.ranges import NonNegativeFloat, PositiveInt
from rlkit.core.types import Array, FromRun, Memory, Metrics, State, TimeStep, Transition
from rlkit.planning.extensive import GameTree, expected_values, exploitability
from rlkit.planning.extensive.regret import RegretMinimizer


class RegretPlanner:
    """Acts by the average policy, and learns nothing from what happens; a subclass says which regrets it keeps.

    Attributes:
        tree: of the game.
        solver: its regrets and policies.
    """

    name: str
    floored: ClassVar[bool]
    """Regrets never fall below 0."""

    def __init__(
        self, *, game_tree: FromRun[Callable[[], GameTree]], iterations: PositiveInt, averaging: NonNegativeFloat
    ):
        """Get the game, and begin with the uniform policy.

        Args:
            game_tree: returns the game that the environment is.
            iterations: at each decision.
            averaging: iteration t counts ``t ** averaging`` in the average policy.

        Raises:
            UsageError: the environment is no game whose tree is known.
        """
        self.tree = game_tree()
        self.solver = RegretMinimizer(self.tree, averaging=averaging, floored=self.floored)
        self._iterations = iterations
        self._sequence = np.full((self.tree.num_sets, self.tree.num_actions), -1)
        self._sequence[self.tree.set_of_sequence, self.tree.action] = np.arange(len(self.tree.action))
        self._decided = False

    @property
    def policy(self) -> Array:
        """[I, A] float64, the average policy: with which probability each action is taken in each information set."""
        return self.tree.table(self.solver.average_policy)

    def exact_return(self) -> float:
        """Return what it wins on average, over the seats, against who knows its policy and responds best.

        Where two play for the same, this is minus its exploitability; else minus what players gain by responding best.
        """
        return -exploitability(self.tree, self.solver.average_policy)

    def initial_memory(self, n: int) -> Memory:
        """Return nothing: the information sets say what was."""
        return ()

    def act(
        self, timestep: TimeStep, memory: Memory, *, explore: bool, rng: np.random.Generator
    ) -> tuple[Array, Memory]:
        """Return actions [N] drawn from the average policy, exploring or not."""
        cumulative = self._weights(np.asarray(timestep.observation, np.int64)).cumsum(axis=1)
        draws = rng.random((len(cumulative), 1)) * cumulative[:, -1:]
        return (cumulative > draws).argmax(axis=1), memory

    def _weights(self, sets: Array) -> Array:
        """Return to what the average policy of information sets [N] is proportional, [N, A]."""
        sequence, legal = self._sequence[sets], self._sequence[sets] >= 0
        weight = np.where(legal, self.solver.cumulative[sequence], 0.0)
        return np.where(weight.any(axis=1, keepdims=True), weight, legal)

    def observe(self, transition: Transition) -> None:
        """Note whether an environment acted at all."""
        self._decided = bool(transition.valid.any())

    def update(self) -> Metrics | None:
        """Plan further after a decision, and return what the average policy is worth; None without a decision."""
        decided, self._decided = self._decided, False
        if not decided:
            return None
        self.solver.run(self._iterations)
        policy = self.solver.average_policy
        return {
            "game/exploitability": exploitability(self.tree, policy),
            "game/value": float(expected_values(self.tree, policy)[0]),
            "game/iterations": float(self.solver.iterations),
        }

    def state_dict(self) -> State:
        """Return regrets and policies."""
        return self.solver.state_dict()

    def load_state_dict(self, state: State) -> None:
        """Restore a state from `state_dict`."""
        self.solver.load_state_dict(state)
