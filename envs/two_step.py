"""The two-step game for two agents (Rashid et al., 2018, section 6.1)."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from gymnasium import spaces
from PIL import Image

from rlkit.core.types import Array, FromRun, State
from rlkit.envs.agent_rows import AgentRows, ReadableAgentRows
from rlkit.envs.grids import text_picture

AGENTS = ("agent_0", "agent_1")
PAYOFFS = ((7.0, 7.0, 7.0, 7.0), (0.0, 1.0, 1.0, 8.0))
"""Of the two second games, for the actions (0, 0), (0, 1), (1, 0) and (1, 1)."""


class TwoStep:
    """The first agent chooses which of two games of one choice each comes next; both get its payoff.

    In one everything pays 7, in the other (1, 1) pays 8 and all else at most 1: who adds values up (VDN) does not dare.
    The observation of both is the state: 0 first, 1 and 2 in the two games.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["rgb_array"], "render_fps": 1}

    def __init__(self) -> None:
        """Set up the game."""
        self.possible_agents = list(AGENTS)
        self.agents: list[str] = []
        self.state, self.won = 0, 0.0

    def observation_space(self, agent: str) -> spaces.Discrete:
        """Return the space of the states."""
        return spaces.Discrete(3)

    def action_space(self, agent: str) -> spaces.Discrete:
        """Return the space of two choices."""
        return spaces.Discrete(2)

    def reset(self, seed: int | None = None, options: Any = None) -> tuple[dict[str, Any], dict[str, Any]]:
        """Begin; nothing is left to chance, and no options are known."""
        self.agents, self.state, self.won = list(AGENTS), 0, 0.0
        return self._all(0), self._all({})

    def step(self, actions: dict[str, int]) -> tuple[dict[str, Any], ...]:
        """Choose a game, or play it."""
        first, second = (actions[name] for name in AGENTS)
        over = self.state > 0
        if over:
            self.won, self.agents = PAYOFFS[self.state - 1][2 * first + second], []
        else:
            self.state = 1 + first
        return (*map(self._all, (self.state, self.won, over, False)), self._all({}))

    def _all(self, value: Any) -> dict[str, Any]:
        return dict.fromkeys(AGENTS, value)

    def render(self) -> Array:
        """Return the state and what was won as a frame [H, W, 3] uint8."""
        picture: Image.Image = text_picture(f"state {self.state}\nwon {self.won:g}\n")
        return np.asarray(picture)

    def close(self) -> None:
        """Do nothing: there is no window."""


def read(game: TwoStep) -> State:
    """Return the state of a game."""
    return {"state": game.state, "won": game.won, "agents": list(game.agents)}


def write(game: TwoStep, state: State) -> None:
    """Restore a state from `read`."""
    game.state, game.won, game.agents = state["state"], state["won"], list(state["agents"])


def make(agent_id: bool, num_envs: FromRun[int], render_mode: str | None = None) -> AgentRows:
    """Return games whose two agents are rows.

    Args:
        agent_id: agents see who they are.
        num_envs: how many games.
        render_mode: Gymnasium's; frames can be drawn whatever it is.
    """
    return ReadableAgentRows(TwoStep, num_envs, agent_id=agent_id, read=read, write=write)
