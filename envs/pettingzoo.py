"""A game of PettingZoo (Terry et al., 2021) as one player's environment: a fixed policy plays the other seats.

A step is the agent's move and what the others do until it is to move again. Its reward is all that its seat received
meanwhile. Games in which all move at once are played through PettingZoo's own conversion to turns.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from rlkit.algorithms.fixed_policies import Uniform
from rlkit.core import tree
from rlkit.core.types import Actor, FromRun, Memory, State, UsageError
from rlkit.envs.agent_rows import AgentRows, ReadableAgentRows
from rlkit.envs.gym import mode_of
from rlkit.envs.pettingzoo_games import game_of, graph_of
from rlkit.envs.pettingzoo_turns import turns_of
from rlkit.envs.pettingzoo_views import Views
from rlkit.vector.object_graph import NotPlainError, capture
from rlkit.vector.object_restoring import restore
from rlkit.vector.time_steps import first_timestep

VIEWS = ("seat", "all")

MOST_ENDED = 1000
"""Games that may end, one after the other, before the agent's first move."""


class Seat(gymnasium.Env[Any, Any]):
    """One seat of a game.

    Attributes:
        game: PettingZoo's, in which agents move in turn.
        seat: the name of the agent whose moves are chosen; another one each game where that is drawn.
    """

    def __init__(
        self,
        game: Any,
        seat: str | None,
        others: Mapping[str, Actor],
        render_mode: str | None,
        why_unreadable: str | None = None,
    ):
        """Play `game`.

        Args:
            game: PettingZoo's.
            seat: the name of an agent; None: drawn before each game.
            others: who plays each seat.
            render_mode: Gymnasium's.
            why_unreadable: why its state cannot be read, where it cannot.
        """
        self.game = game
        self.render_mode = render_mode
        self._names = list(game.possible_agents)
        self._fixed = seat
        self._others = others
        self._memories: dict[str, Memory] = {}
        self.seat = seat or self._names[0]
        self._views = Views(game)
        self.observation_space = self._views.space(self.seat)
        self.action_space = game.action_space(self.seat)
        game.reset(seed=0)
        self.metadata = {
            "render_fps": 5,
            **game.metadata,
            "action_mask": self._views.mask(self.seat) is not None,
        }
        self.why_unreadable = why_unreadable

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin a game and let the others move until the agent is to; `options` are the game's.

        Raises:
            UsageError: every game ends before.
        """
        super().reset(seed=seed)
        for _ in range(MOST_ENDED):
            self.game.reset(seed=int(self.np_random.integers(2**31)), options=options)
            self.seat = self._fixed or self._names[int(self.np_random.integers(len(self._names)))]
            self._memories = {name: actor.initial_memory(1) for name, actor in self._others.items()}
            self._let_others_move()
            if self._is_to_move():
                return self._views.observation(self.seat), self._info()
        raise UsageError(f"{self.game} ended {MOST_ENDED} times before {self.seat} moved; choose another env.seat")

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Make the agent's move, and those of the others until it is to move again."""
        self.game.step(action)
        self._let_others_move()
        reward = float(self.game._cumulative_rewards[self.seat])
        ends = bool(self.game.terminations[self.seat]), bool(self.game.truncations[self.seat])
        return self._views.observation(self.seat), reward, *ends, self._info()

    def _info(self) -> dict[str, Any]:
        info = {key: value for key, value in self.game.infos[self.seat].items() if key != "action_mask"}
        mask = self._views.mask(self.seat)
        return info if mask is None else {**info, "action_mask": mask}

    def _is_to_move(self) -> bool:
        return not (self.game.terminations[self.seat] or self.game.truncations[self.seat])

    def _let_others_move(self) -> None:
        """Let the others move until the agent is to, or its game is over and its rewards are complete."""
        while (name := self.game.agent_selection) != self.seat and self.seat in self.game.agents:
            over = self.game.terminations[name] or self.game.truncations[name]
            self.game.step(None if over else self._move_of(name))

    def _move_of(self, name: str) -> Any:
        observation = tree.map(lambda part: np.asarray(part)[None], self._views.observation(name))
        mask = self._views.mask(name)
        timestep = first_timestep(observation, None if mask is None else mask[None].astype(bool), _no_state)
        action, memory = self._others[name].act(timestep, self._memories[name], explore=False, rng=self.np_random)
        self._memories[name] = memory
        move = tree.take(action, 0)
        return int(move) if isinstance(self.game.action_space(name), spaces.Discrete) else move

    def render(self) -> Any:
        """Return what the game draws, [H, W, 3] uint8."""
        return self.game.render()

    def close(self) -> None:
        """Close the game's window."""
        self.game.close()


class ReadableSeat(Seat):
    """One seat of a game that is made of plain Python objects."""

    def get_state(self) -> State:
        """Return the game, who sits where, and what the others remember."""
        return {"game": capture(graph_of(self.game)), "seat": self.seat, "memories": self._memories}

    def why_not_plain(self) -> str | None:
        """Return in one line what of the game is no plain Python object; None if all is."""
        try:
            capture(graph_of(self.game))
        except NotPlainError as error:
            return str(error)
        return None

    def set_state(self, state: State) -> None:
        """Restore a state from `get_state`.

        Raises:
            RunError: it is not one of such a game.
        """
        graph = graph_of(self.game)
        restore(graph, state["game"])
        # Some modules remember what they worked out for the last observation, as chess its moves by number.
        self.game.unwrapped.observe(self.game.agent_selection)
        restore(graph, state["game"])
        self.seat, self._memories = state["seat"], state["memories"]


def _no_state(model: Any) -> Any:
    raise UsageError("env.others is an agent that searches from a simulator's states, which PettingZoo does not have")


def make(
    id: str,
    kwargs: Mapping[str, Any],
    view: str,
    agent_id: bool,
    seat: str,
    others: str,
    eval_others: str | None,
    evaluation: FromRun[bool],
    num_envs: FromRun[int],
    render_mode: str | None = None,
) -> gymnasium.Env[Any, Any] | AgentRows:
    """Return a game: one seat of it, or all.

    Args:
        id: of PettingZoo, e.g. ``classic/connect_four-v3``, or a module of mpe2, e.g. ``mpe2/simple_spread_v3``.
        kwargs: the game's own options.
        view: ``seat``: the agent sits on one; ``all``: on all of them, each a row of a vector environment where all
            move at once, else in turn.
        agent_id: with ``all``, agents see who they are.
        seat: the name of an agent, ``first``, or ``random``: drawn before each game.
        others: who plays the other seats: ``random``, or the agent of a run folder, ``runs/…`` or
            ``runs/…@last``, at its checkpoint ``best`` or another.
        eval_others: the same, in evaluations and videos; None: as in training.
        evaluation: whether it is for these.
        num_envs: how many games, where agents are rows.
        render_mode: Gymnasium's.

    Raises:
        UsageError: PettingZoo or what a game needs is not installed, there is no such game, view, option, seat or run,
            or seats that are drawn, those of a run, or those that share a policy differ in what they observe and do.
    """
    if view not in VIEWS:
        raise UsageError(f"env.view is {view!r}; it must be seat or all")
    options = {**kwargs, **mode_of(render_mode)}
    if view == "all":
        return _all(id, options, num_envs, agent_id)
    return _seat(id, options, seat, (eval_others if evaluation else None) or others, render_mode)


def _seat(id: str, options: Mapping[str, Any], seat: str, others: str, render_mode: str | None) -> Seat:
    game = game_of(id, options)
    names = list(game.possible_agents)
    if seat not in ("first", "random", *names):
        raise UsageError(f"{id} has no seat {seat}; env.seat is first, random, or one of {', '.join(names)}")
    fixed = None if seat == "random" else names[0] if seat == "first" else seat
    players = _players(game, others, fixed or names[0])
    if fixed is None:
        _require_alike(game, names, "env.seat=random")
    one = ReadableSeat(game, fixed, players, render_mode)
    why = one.why_not_plain()
    return one if why is None else Seat(game, fixed, players, render_mode, why)


def _all(id: str, options: Mapping[str, Any], num_games: int, agent_id: bool) -> gymnasium.Env[Any, Any] | AgentRows:
    game = game_of(id, options, "parallel")
    if game is None:
        return turns_of(game_of(id, options))
    game.reset(seed=0)
    try:
        capture(graph_of(game))
    except NotPlainError:
        return AgentRows(lambda: game_of(id, options, "parallel"), num_games, agent_id=agent_id)
    return ReadableAgentRows(
        lambda: game_of(id, options, "parallel"),
        num_games,
        agent_id=agent_id,
        read=lambda one: capture(graph_of(one)),
        write=lambda one, state: restore(graph_of(one), state),
    )


def _players(game: Any, others: str, seat: str) -> dict[str, Actor]:
    """Return who plays each seat, where the agent does not."""
    if others == "random":
        return {name: Uniform(game.action_space(name)) for name in game.possible_agents}
    from rlkit.runs.run import Run

    folder, _, checkpoint = others.partition("@")
    run = Run(folder)
    if run.config.environment.preprocess:
        raise UsageError(f"env.others={others}: its agent observes through wrappers, which the other seats do not have")
    _require_alike(game, game.possible_agents, f"env.others={others}")
    agent = run.load_agent(checkpoint or "best")
    return dict.fromkeys(game.possible_agents, agent)


def _require_alike(game: Any, names: list[str], option: str) -> None:
    views = Views(game)
    seen = {(str(views.space(name)), str(game.action_space(name))) for name in names}
    if len(seen) > 1:
        raise UsageError(f"{option} needs seats that observe and do the same; those of {game} differ")
