"""A game of PettingZoo for two who move in turn, both sides played by the agent."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np

from rlkit.core.types import Array, State, UsageError
from rlkit.envs.pettingzoo_games import graph_of
from rlkit.envs.pettingzoo_views import Views
from rlkit.vector.object_graph import NotPlainError, capture
from rlkit.vector.object_restoring import restore


class Turns(gymnasium.Env[Any, Any]):
    """Whoever is to move observes and acts; what one wins the other loses.

    Rewards are the mover's, ``info["rlkit/raw_reward"]`` is the first player's, and ``info["rlkit/discount"]`` is -1
    where the turn passed.
    """

    def __init__(self, game: Any, why_unreadable: str | None = None):
        """Play `game`, PettingZoo's, in which agents move in turn; `why_unreadable` says so where its state is.

        Raises:
            UsageError: it is not for two, or they observe or do different things.
        """
        names = list(game.possible_agents)
        self.game, self._first, self._views = game, names[0], Views(game)
        self.render_mode = game.render_mode
        seen = {(str(self._views.space(name)), str(game.action_space(name))) for name in names}
        if len(names) != 2 or len(seen) > 1:
            raise UsageError(
                f"env.view=all plays games in turn for two who observe and do the same; {game} has "
                f"{len(names)} agents of {len(seen)} kinds: take env.view=seat"
            )
        self.observation_space = self._views.space(names[0])
        self.action_space = game.action_space(names[0])
        game.reset(seed=0)
        self.metadata = {"render_fps": 5, **game.metadata, "action_mask": self._views.mask(names[0]) is not None}
        self.why_unreadable = why_unreadable

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin a game; `options` are the game's."""
        super().reset(seed=seed)
        self.game.reset(seed=int(self.np_random.integers(2**31)), options=options)
        mover = self.game.agent_selection
        return self._views.observation(mover), self._masked(mover)

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Make a move.

        Raises:
            UsageError: both win by it, or both lose.
        """
        mover = self.game.agent_selection
        self.game.step(action)
        rewards, after = self.game.rewards, self.game.agent_selection
        if not np.isclose(sum(rewards.values()), 0):
            raise UsageError(
                f"env.view=all plays games in turn where what one wins the other loses; in {self.game} they won "
                f"{dict(rewards)}: take env.view=seat"
            )
        terminated, truncated = any(self.game.terminations.values()), any(self.game.truncations.values())
        info = {
            **self._masked(after),
            "rlkit/raw_reward": float(rewards[self._first]),
            "rlkit/discount": 0.0 if terminated else -1.0 if after != mover else 1.0,
        }
        return self._views.observation(after), float(rewards[mover]), terminated, truncated and not terminated, info

    def _masked(self, name: str) -> dict[str, Any]:
        mask: Array | None = self._views.mask(name)
        return {} if mask is None else {"action_mask": mask}

    def render(self) -> Any:
        """Return what the game draws, [H, W, 3] uint8."""
        return self.game.render()

    def close(self) -> None:
        """Close the game's window."""
        self.game.close()


class ReadableTurns(Turns):
    """A game that is made of plain Python objects."""

    def get_state(self) -> State:
        """Return the game."""
        return {"game": capture(graph_of(self.game))}

    def set_state(self, state: State) -> None:
        """Restore a state from `get_state`."""
        graph = graph_of(self.game)
        restore(graph, state["game"])
        # Some modules remember what they worked out for the last observation.
        self.game.unwrapped.observe(self.game.agent_selection)
        restore(graph, state["game"])


def turns_of(game: Any) -> Turns:
    """Return a game as an environment, whose state can be read where it is plain; errors as of `Turns`."""
    one = ReadableTurns(game)
    try:
        one.get_state()
    except NotPlainError as error:
        return Turns(game, str(error))
    return one
