"""Games with hidden information as environments: the agent plays all sides, or one against an opponent."""

from __future__ import annotations

from typing import Any, ClassVar

import gymnasium
import numpy as np
from gymnasium import spaces

from rlkit.core.types import Array, UsageError
from rlkit.envs.grids import text_picture
from rlkit.planning.extensive import CHANCE, OVER, ExtensiveGame, GameTree, build_tree, uniform_policy
from rlkit.planning.extensive.regret import RegretMinimizer

EQUILIBRIUM_ITERATIONS = 2000
"""Of CFR+, after which what an opponent loses at most is less than a ten-thousandth of a chip."""

OPPONENTS = ("random", "equilibrium")


class HiddenGame(gymnasium.Env[int, int]):
    """A game whose players do not know all; an observation is the number of the information set of whoever is to move.

    Where the agent plays both sides, rewards are the mover's, ``info["rlkit/raw_reward"]`` is the first player's, and
    ``info["rlkit/discount"]`` is -1 where the turn passed. Against an opponent its seat is drawn before each game.
    Which actions are legal is in ``info["action_mask"]``.

    Attributes:
        tree: the whole game, for `rlkit.planning.extensive`.
        node: the present state's number in the tree.
        seat: the agent's; None: all of them.
    """

    metadata: ClassVar[dict[str, Any]] = {  # type: ignore[misc]
        "render_modes": ["ansi", "rgb_array"],
        "render_fps": 2,
        "action_mask": True,
    }
    state_fields = ("node", "seat", "_moves")

    def __init__(self, tree: GameTree, opponent: str | None, render_mode: str | None):
        """Set up a game.

        Args:
            tree: of it.
            opponent: one of `OPPONENTS`; None: the agent plays all sides.
            render_mode: None, ``ansi`` or ``rgb_array``.

        Raises:
            UsageError: there is no such opponent or render mode, or the agent would play all sides where what one wins
                is not what another loses.
        """
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise UsageError(f"{tree.game.name} draws render_mode=ansi or rgb_array, not {render_mode}")
        if opponent is None and not tree.zero_sum:
            raise UsageError(
                f"env.opponent is null, but in {tree.game.name} players do not play for the same, so that an agent "
                f"cannot play both sides; set it to {' or '.join(OPPONENTS)}"
            )
        self.tree, self.render_mode = tree, render_mode
        self._legal = tree.legal_actions()
        self._policy = None if opponent is None else _policy_of(opponent, tree)
        self.observation_space = spaces.Discrete(tree.num_sets)  # type: ignore[assignment]
        self.action_space = spaces.Discrete(tree.num_actions)  # type: ignore[assignment]
        self.node = 0
        self.seat: int | None = None
        self._moves = ""

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
        """Deal, and let the opponent move until the agent is to; no options are known."""
        super().reset(seed=seed)
        self.seat = None if self._policy is None else int(self.np_random.integers(self.tree.num_players))
        self.node, self._moves = 0, ""
        self._advance()
        return self._observation(), {"action_mask": self._mask()}

    def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:
        """Make a move; then chance and the opponent, where there is one, make theirs.

        Raises:
            UsageError: the move is not legal.
        """
        observed, mover = self._observation(), int(self.tree.player[self.node])
        if not self._legal[observed, action]:
            raise UsageError(
                f"action {action} is not legal in {self.tree.game.name} here; choose among what "
                'info["action_mask"] allows'
            )
        self._take(int(action))
        self._advance()
        if self._over:
            reward = self._payoff(mover)
            first = reward if self.seat is not None else self._payoff(0)
            return observed, reward, True, False, self._info(observed, 0.0, first)
        passed = self.tree.player[self.node] != mover
        return self._observation(), 0.0, False, False, self._info(self._observation(), -1.0 if passed else 1.0, 0.0)

    def _info(self, observed: int, discount: float, first: float) -> dict[str, Any]:
        mask = self._legal[observed].astype(np.int8)
        return {"action_mask": mask, "rlkit/discount": discount, "rlkit/raw_reward": first}

    def _observation(self) -> int:
        return int(self.tree.information_set[self.node])

    def _mask(self) -> Array:
        return np.asarray(self._legal[self._observation()], np.int8)

    @property
    def _over(self) -> bool:
        return bool(self.tree.player[self.node] == OVER)

    def _payoff(self, player: int) -> float:
        return float(self.tree.payoff[np.searchsorted(self.tree.ends, self.node), player])

    def _take(self, action: int) -> None:
        """Follow a player's action."""
        tree, number = self.tree, self.tree.information_set[self.node]
        actions = tree.action[tree.offset[number] : tree.offset[number + 1]]
        self.node = int(tree.first_child[self.node] + np.searchsorted(actions, action))
        self._moves += f" {tree.game.action_name(action)}"

    def _advance(self) -> None:
        """Let chance and the opponent move until the agent is to, or the game is over."""
        while (player := self.tree.player[self.node]) != OVER:
            if player == CHANCE:
                first, count = self.tree.first_child[self.node], self.tree.num_children[self.node]
                chances = self.tree.chance[first : first + count]
                self.node = int(first + _drawn(chances, self.np_random))
            elif self._policy is None or player == self.seat:
                return
            else:
                self._take(_drawn(self._policy[self._observation()], self.np_random))

    def render(self) -> Any:
        """Return what whoever is to move knows, and the moves, as text or as a frame, as `render_mode` says."""
        known = "over" if self._over else str(self.tree.names[self._observation()])
        text = f"{self.tree.game.name}: {known}\n{self._moves.strip() or '-'}\n"
        if self.render_mode == "ansi":
            return text
        return np.asarray(text_picture(text)) if self.render_mode == "rgb_array" else None

    def get_keys_to_action(self) -> dict[Any, int]:
        """Return what a person presses, in Gymnasium's convention: digits."""
        return {(str(action),): action for action in range(min(10, self.tree.num_actions))}


def _drawn(weights: Array, rng: np.random.Generator) -> int:
    cumulative = weights.cumsum()
    return int(cumulative.searchsorted(rng.random() * cumulative[-1], side="right"))


def _policy_of(opponent: str, tree: GameTree) -> Array:
    """Return the policy of an opponent as a table [I, A]."""
    if opponent not in OPPONENTS:
        raise UsageError(f"env.opponent is {opponent!r}; it must be null or one of {', '.join(OPPONENTS)}")
    if opponent == "random":
        return tree.table(uniform_policy(tree))
    solver = RegretMinimizer(tree, averaging=1.0, floored=True)
    solver.run(EQUILIBRIUM_ITERATIONS)
    return tree.table(solver.average_policy)


def made(
    game: ExtensiveGame, opponent: str | None, eval_opponent: str | None, evaluation: bool, render_mode: str | None
) -> HiddenGame:
    """Return a game as an environment, for training or for `evaluation`; the others as of `HiddenGame`."""
    return HiddenGame(build_tree(game), eval_opponent if evaluation else opponent, render_mode)
