"""What the agents of a game observe and do, as rows that share their spaces."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium import spaces

from rlkit.core.types import Array, UsageError
from rlkit.envs.pettingzoo_views import MASK, shown_as, space_shown, with_mask


class RowViews:
    """Observations, actions and masks of P agents as those of one.

    Vectors and discrete observations become one vector of the greatest length, with zeros behind shorter ones, and who
    the agent is one-hot behind them. Other observations have to be alike; a `Dict` holds them and the agent's number.

    Attributes:
        space: of the observations of a row.
        action_space: of the actions of a row.
        num_actions: of those, A; 0 where actions are not discrete.
        masked: not all actions are legal.
    """

    def __init__(self, game: Any, *, agent_id: bool):
        """Look at a game, a `rlkit.envs.agent_rows.TeamGame`.

        Raises:
            UsageError: its agents cannot share a policy.
        """
        names = list(game.possible_agents)
        self._own = {name: game.observation_space(name) for name in names}
        shown = [space_shown(self._own[name]) for name in names]
        self._players, self._agent_id = len(names), agent_id
        self._length = max(map(_length, shown)) if all(map(_is_vector, shown)) else 0
        self._spaces = dict(zip(names, shown, strict=True))
        self.space = self._vector_space(shown) if self._length else self._common_space(shown)
        actions = [game.action_space(name) for name in names]
        self.action_space = _common_actions(actions)
        discrete = isinstance(self.action_space, spaces.Discrete)
        self.num_actions = int(self.action_space.n) if discrete else 0
        self._counts = dict(zip(names, (int(space.n) if discrete else 0 for space in actions), strict=True))
        own_masks = any(with_mask(space) for space in self._own.values())
        self.masked = discrete and (own_masks or len(set(self._counts.values())) > 1)

    def _vector_space(self, shown: list[Any]) -> spaces.Box:
        low, high = np.zeros(self._length, np.float32), np.zeros(self._length, np.float32)
        for space in shown:
            n = _length(space)
            bounds = (space.low, space.high) if isinstance(space, spaces.Box) else (0.0, 1.0)
            low[:n], high[:n] = np.minimum(low[:n], bounds[0]), np.maximum(high[:n], bounds[1])
        if self._agent_id:
            low = np.concatenate([low, np.zeros(self._players, np.float32)])
            high = np.concatenate([high, np.ones(self._players, np.float32)])
        return spaces.Box(low, high, dtype=np.float32)

    def _common_space(self, shown: list[Any]) -> spaces.Space[Any]:
        if any(space != shown[0] for space in shown):
            raise UsageError(
                "env.view=all shares a policy among agents that observe vectors, or all the same; these observe "
                f"{shown[0]} and {next(space for space in shown if space != shown[0])}; take env.view=seat"
            )
        if not self._agent_id:
            return shown[0]  # type: ignore[no-any-return]
        return spaces.Dict({"observation": shown[0], "agent": spaces.Discrete(self._players)})

    def of(self, p: int, name: str, observed: Any, info: Mapping[str, Any]) -> tuple[Any, Array | None]:
        """Return a row [...] of what agent `name`, the p-th, observes, and its legal actions, [A] bool or None."""
        own = shown_as(self._own[name], observed)
        return self._row(p, name, own), self._mask(name, observed, info) if self.masked else None

    def _row(self, p: int, name: str, own: Any) -> Any:
        if not self._length:
            return {"observation": own, "agent": np.int64(p)} if self._agent_id else own
        row = np.zeros(self.space.shape or (), np.float32)
        space = self._spaces[name]
        if isinstance(space, spaces.Discrete):
            row[int(own) - int(space.start)] = 1
        else:
            row[: len(own)] = own
        if self._agent_id:
            row[self._length + p] = 1
        return row

    def _mask(self, name: str, observed: Any, info: Mapping[str, Any]) -> Array:
        mask: Array = np.arange(self.num_actions) < self._counts[name]
        found = observed[MASK] if with_mask(self._own[name]) else info.get(MASK)
        if found is not None and np.any(found):
            mask[: len(found)] &= np.asarray(found, bool)
        return mask

    def action(self, action: Any) -> Any:
        """Return an action of a row as the game takes it."""
        return int(action) if self.num_actions else np.asarray(action)


def _is_vector(space: Any) -> bool:
    return isinstance(space, spaces.Discrete) or (isinstance(space, spaces.Box) and len(space.shape) == 1)


def _length(space: Any) -> int:
    return int(space.n) if isinstance(space, spaces.Discrete) else int(space.shape[0])


def _common_actions(actions: list[Any]) -> Any:
    if all(isinstance(space, spaces.Discrete) for space in actions):
        return spaces.Discrete(max(int(space.n) for space in actions))
    other = next((space for space in actions if space != actions[0]), None)
    if other is not None:
        raise UsageError(
            f"env.view=all shares a policy among agents whose actions are discrete, or all the same; these have "
            f"{actions[0]} and {other}; take env.view=seat"
        )
    return actions[0]
