"""Games for several agents, all of whom learn: each agent of each game is a row of one vector environment."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Protocol

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space, create_empty_array

from rlkit.core import tree
from rlkit.core.types import Array, State
from rlkit.envs.agent_views import RowViews
from rlkit.rendering.render_wrapper import FrameCallback, RenderedFrame, frames_per_second

Facts = Mapping[str, Any]
"""Something of each agent, by its name."""


class TeamGame(Protocol):
    """A game in which all agents move at once, with PettingZoo's methods (Terry et al., 2021)."""

    possible_agents: list[str]
    """All of them, in the order of the rows."""

    agents: list[str]
    """Those who still play; empty when the game is over."""

    @property
    def metadata(self) -> Mapping[str, Any]:
        """Gymnasium's."""

    def observation_space(self, agent: str) -> Any:
        """Return the space of an agent's observations."""

    def action_space(self, agent: str) -> Any:
        """Return the space of an agent's actions."""

    def reset(self, seed: int | None = None) -> tuple[Facts, Facts]:
        """Begin a game; return observations and infos."""

    def step(self, actions: dict[str, Any]) -> tuple[Facts, ...]:
        """Let all who play move; return observations, rewards, terminations, truncations and infos."""

    def render(self) -> Any:
        """Return a frame [H, W, 3] uint8."""

    def close(self) -> None:
        """Close windows."""


class AgentRows(VectorEnv[Any, Any, Any]):
    """G games for P agents as G * P rows, game by game, which share their spaces.

    A row whose agent is out of the game before the others waits for the next one: it is not valid until then, shows
    zeros, and whatever it does is ignored. New games begin in a step of their own (next-step autoreset).

    Attributes:
        players: P.
        fresh_arrays: every array is a new one, so nobody needs to copy it.
    """

    metadata: ClassVar[dict[str, Any]] = {"autoreset_mode": AutoresetMode.NEXT_STEP}  # type: ignore[misc]
    fresh_arrays = True

    def __init__(self, make: Callable[[], TeamGame], num_games: int, *, agent_id: bool):
        """Set up games.

        Args:
            make: builds one.
            num_games: G.
            agent_id: agents see who they are, one-hot beside what they observe.

        Raises:
            UsageError: agents differ in what they do so that they cannot share a policy.
        """
        self.games = [make() for _ in range(num_games)]
        self._names = list(self.games[0].possible_agents)
        self.players = len(self._names)
        self.num_envs = num_games * self.players
        self._views = RowViews(self.games[0], agent_id=agent_id)
        self.single_observation_space = self._views.space
        self.single_action_space = self._views.action_space
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self.metadata = {**type(self).metadata, "action_mask": self._views.masked}  # type: ignore[misc]
        self._rngs = [np.random.default_rng(0) for _ in self.games]
        self._waiting = np.zeros((num_games, self.players), bool)
        self._over = np.zeros(num_games, bool)
        self._callbacks: Sequence[FrameCallback] = ()
        self._filmed: list[tuple[float, int]] = [(0.0, 0)] * num_games

    def film(self, callbacks: Sequence[FrameCallback]) -> None:
        """Call the i-th of `callbacks` with every frame of game i from now on."""
        self._callbacks = callbacks

    def reset(self, *, seed: int | Sequence[int] | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        """Begin every game, game g with the seed of its first row; no options are known."""
        if seed is not None:
            seeds = [seed + i for i in range(self.num_envs)] if isinstance(seed, int) else list(seed)
            self._rngs = [np.random.default_rng(one) for one in seeds[:: self.players]]
        rows, masks = self._room()
        for g in range(len(self.games)):
            self._begin(g, rows, masks)
        return rows, self._infos(masks)

    def step(self, actions: Any) -> tuple[Any, Array, Array, Array, dict[str, Any]]:
        """Step every game by the actions [N] or [N, ...] of its rows, or begin it where it was over."""
        rows, masks = self._room()
        reward, ends = np.zeros(self.num_envs), np.zeros((2, self.num_envs), bool)
        for g in range(len(self.games)):
            if self._over[g]:
                self._begin(g, rows, masks)
            else:
                self._play(g, actions, rows, masks, reward, ends)
        return rows, reward, ends[0], ends[1], self._infos(masks)

    def _room(self) -> tuple[Any, Array | None]:
        rows = create_empty_array(self.single_observation_space, self.num_envs, np.zeros)
        return rows, np.ones((self.num_envs, self._views.num_actions), bool) if self._views.masked else None

    def _infos(self, masks: Array | None) -> dict[str, Any]:
        return {} if masks is None else {"action_mask": masks}

    def _begin(self, g: int, rows: Any, masks: Array | None) -> None:
        observations, infos = self.games[g].reset(seed=int(self._rngs[g].integers(2**31)))
        self._waiting[g], self._over[g] = False, False
        self._filmed[g] = 0.0, 0
        self._show(g, observations, infos, rows, masks)
        self._pass_on(g, first=True)

    def _play(self, g: int, actions: Any, rows: Any, masks: Array | None, reward: Array, ends: Array) -> None:
        game, first = self.games[g], g * self.players
        moves = {name: self._views.action(tree.take(actions, first + self._names.index(name))) for name in game.agents}
        observations, rewards, terminations, truncations, infos = game.step(moves)
        self._show(g, observations, infos, rows, masks)
        for p, name in enumerate(self._names):
            if self._waiting[g, p]:
                # The row was ended before, and ended again it is not valid: it waits.
                ends[0, first + p] = True
            else:
                reward[first + p] = rewards.get(name, 0.0)
                ends[:, first + p] = terminations.get(name, True), truncations.get(name, False)
        ended = ends[:, first : first + self.players].any(0)
        self._over[g] = not game.agents or bool(ended.all())
        if self._over[g]:
            # Whoever the game left without an end ends with it.
            ends[1, first : first + self.players] |= ~ended
        self._waiting[g] |= ended
        self._filmed[g] = self._filmed[g][0] + float(np.mean(list(rewards.values()) or [0.0])), self._filmed[g][1] + 1
        self._pass_on(g, first=False)

    def _show(self, g: int, observations: Facts, infos: Facts, rows: Any, masks: Array | None) -> None:
        """Write what the agents of a game observe, and may do, into their rows; zeros where they observe nothing."""
        for p, name in enumerate(self._names):
            if name in observations:
                shown, mask = self._views.of(p, name, observations[name], infos.get(name, {}))
                tree.put(rows, g * self.players + p, shown)
                if masks is not None and mask is not None:
                    masks[g * self.players + p] = mask

    def _pass_on(self, g: int, *, first: bool) -> None:
        if g < len(self._callbacks):
            score, steps = self._filmed[g]
            fps = frames_per_second(dict(self.games[g].metadata))
            caption = f"mean return {score:.6g}   step {steps}"
            self._callbacks[g](RenderedFrame(self.games[g].render, first, fps, caption))

    def render(self) -> Any:
        """Return a frame [H, W, 3] uint8 of each game."""
        return [game.render() for game in self.games]

    def close_extras(self, **keys: Any) -> None:
        """Close the games."""
        for game in self.games:
            game.close()


class ReadableAgentRows(AgentRows):
    """Games whose state can be read and written."""

    def __init__(
        self,
        make: Callable[[], TeamGame],
        num_games: int,
        *,
        agent_id: bool,
        read: Callable[[Any], State],
        write: Callable[[Any, State], None],
    ):
        """Set up games whose state `read` returns and `write` restores; the others and errors as of `AgentRows`."""
        super().__init__(make, num_games, agent_id=agent_id)
        self._read, self._write = read, write

    def get_state(self) -> State:
        """Return the games, who waits, and the generators."""
        return {
            "games": [self._read(game) for game in self.games],
            "waiting": self._waiting.copy(),
            "over": self._over.copy(),
            "generators": [rng.bit_generator.state for rng in self._rngs],
        }

    def set_state(self, state: State) -> None:
        """Restore a state from `get_state`."""
        for game, own in zip(self.games, state["games"], strict=True):
            self._write(game, own)
        self._waiting, self._over = np.array(state["waiting"]), np.array(state["over"])
        for rng, own in zip(self._rngs, state["generators"], strict=True):
            rng.bit_generator.state = own
