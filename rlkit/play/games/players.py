"""Who plays: rules of thumb, tree search, the perfect player, and the agents of runs."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from rlkit.config.messages import nearest
from rlkit.core.random_actions import uniform
from rlkit.core.types import Actor, Array, Memory, TimeStep, UsageError
from rlkit.planning.games.game import Game
from rlkit.planning.search import UCT, RandomPlay, Search, rule_for
from rlkit.planning.search.planner import SearchPlayer

NAMES = ("random", "mcts", "perfect")

SIMULATIONS = 1000
"""Of mcts, where nothing else is said."""

LARGEST = 1_000_000
"""Nodes of the tree of a search by the clock."""

FASTEST = 2_000_000
"""Nodes that no search adds in a second; room for what is never used costs time as well."""

Judgement = Callable[[Array, Array], tuple[Array, Array]]
"""Returns priors [B, A] and values [B] of observations [B, ...] with legal actions [B, A]."""

Moves = Callable[[Any, Array, np.random.Generator], Array]
"""Returns a move [B] int64 for each of the states [B, ...] of a game."""


class Mover:
    """Moves by a function of the position alone, as an `rlkit.core.types.Actor`."""

    def __init__(self, game: Game, moves: Moves):
        """Play `game` by `moves`."""
        self._game = game
        self._moves = moves

    def initial_memory(self, n: int) -> Memory:
        """Return nothing: only the position counts."""
        return ()

    def act(
        self, timestep: TimeStep, memory: Memory, *, explore: bool, rng: np.random.Generator
    ) -> tuple[Array, Memory]:
        """Return the moves [N]."""
        assert timestep.state is not None, "a game is played from its states"
        return self._moves(self._game, timestep.state(self._game), rng), memory


def random_moves(game: Game, states: Array, rng: np.random.Generator) -> Array:
    """Return legal moves [B] int64 in `states` [B, ...], drawn uniformly."""
    return uniform(game.num_actions, len(states), rng, game.legal_actions(states))


def perfect_moves(game: Game, states: Array, rng: np.random.Generator) -> Array:
    """Return moves [B] int64 in `states` [B, ...], drawn uniformly from the best ones, which an exact solver knows."""
    return uniform(game.num_actions, len(states), rng, game.optimal_moves(states))


def searcher(
    game: Game,
    simulations: int | None,
    seconds: float | None,
    clock: Callable[[], float] = time.monotonic,
) -> SearchPlayer:
    """Return a tree search with random play (UCT, c = 1).

    Args:
        game: what is played.
        simulations: before each move; None: no limit.
        seconds: that a search takes; None: no limit.
        clock: returns seconds.
    """
    play, rule = RandomPlay(max_steps=4 * game.num_actions, gamma=1.0), rule_for(game, UCT, exploration=1.0, gamma=1.0)
    nodes = int(min(LARGEST, FASTEST * seconds + 1000)) if simulations is None and seconds is not None else None
    search = Search(game, play, rule, simulations=simulations, seconds=seconds, nodes=nodes, clock=clock)
    return SearchPlayer(game, search, keep=False, noise=None, temperature=1.0, temperature_moves=0)


def named_player(name: str, game: Game, simulations: int | None, seconds: float | None = None) -> Actor:
    """Return random, mcts or perfect.

    Args:
        name: which.
        game: what is played.
        simulations: of mcts, before each move; None: no limit.
        seconds: of mcts, for each move; None: no limit.

    Raises:
        UsageError: there is no such player, or nobody has solved the game.
    """
    if name == "mcts":
        return searcher(game, simulations, seconds)
    table: Mapping[str, Moves] = {"random": random_moves, "perfect": perfect_moves}
    if name not in table:
        raise UsageError(f"there is no player {name!r}{nearest(name, NAMES)}; there is: {', '.join(NAMES)}")
    if name == "perfect" and not game.solved:
        raise UsageError(f"nobody has solved {game.name}: there is no perfect player of it; take mcts or random")
    return Mover(game, table[name])


class Spec(NamedTuple):
    """A player as it is typed: ``NAME[@CHECKPOINT][:SIMULATIONS]``."""

    name: str  # of a player, or a run folder
    checkpoint: str | None
    simulations: int | None

    @property
    def is_run(self) -> bool:
        """Whether it is the agent of a run."""
        return self.name not in NAMES


def parsed(text: str) -> Spec:
    """Return what was typed for a player.

    Raises:
        UsageError: it does not have that form.
    """
    found = re.fullmatch(r"(?P<name>[^@:]+)(@(?P<checkpoint>\w+))?(:(?P<simulations>0|[1-9]\d*))?", text)
    if (
        found is None
        or (found["name"] in NAMES and (found["checkpoint"] or text.endswith(":0")))
        or text[:7] == "random:"
    ):
        raise UsageError(
            f"{text!r} is no player: write a run folder, mcts, random or perfect; behind it @last or another "
            "checkpoint of a run, and :400 for so many simulations of a search (:0 for a network without one)"
        )
    return Spec(found["name"], found["checkpoint"], None if found["simulations"] is None else int(found["simulations"]))


def ladder(text: str) -> list[str]:
    """Return the players that are typed at once: each kept checkpoint of a run, oldest first, for ``RUN@all``.

    Raises:
        UsageError: nobody is typed, or there is no such run.
    """
    spec = parsed(text)
    if spec.checkpoint != "all":
        return [text]
    from rlkit.runs.run import Run

    limit = "" if spec.simulations is None else f":{spec.simulations}"
    return [f"{spec.name}@{step}{limit}" for step in Run(spec.name).checkpoints]


def player_of(
    spec: Spec, game: Game, *, checkpoint: str = "best", seconds: float | None = None, trust: Any = None
) -> Actor:
    """Return a player that was typed.

    Args:
        spec: what was typed.
        game: what is played.
        checkpoint: of a run where nothing else was typed.
        seconds: that whoever searches has for a move; None: as many as its simulations take.
        trust: packages that a run may name, see `rlkit.runs.run.Run`.

    Raises:
        UsageError: there is no such player, run or checkpoint, or its agent does not search and is to be limited.
    """
    if not spec.is_run:
        simulations = spec.simulations or (None if seconds is not None else SIMULATIONS)
        return named_player(spec.name, game, simulations, seconds)
    from rlkit.runs.run import Run

    limits: dict[str, Any] = {}
    if spec.simulations:
        limits = {"simulations": spec.simulations}
    elif seconds is not None:
        limits = {"simulations": None, "seconds": seconds, "nodes": 100_000}
    run = Run(spec.name, trust)
    if "simulations" not in run.config.agent:
        limits = _unlimited(spec, run.config.agent)
    agent = run.load_agent(spec.checkpoint or checkpoint, settings=limits)
    return Mover(game, partial(_first_choice, _judge_of(spec, agent))) if spec.simulations == 0 else agent


def _judge_of(spec: Spec, agent: Any) -> Judgement:
    """Return the function of an agent that says priors and values without a search."""
    judge: Judgement | None = getattr(agent, "evaluate", None)
    if judge is None:
        raise UsageError(f"the agent of {spec.name} has no network that judges positions: write it without :0")
    return judge


def _first_choice(judge: Judgement, game: Game, states: Array, rng: np.random.Generator) -> Array:
    return np.asarray(judge(game.observation(states), game.legal_actions(states))[0].argmax(axis=1))


def _unlimited(spec: Spec, agent: Mapping[str, Any]) -> dict[str, Any]:
    if spec.simulations is not None:
        raise UsageError(f"the agent of {spec.name} does not search: write it without :{spec.simulations}")
    return {}
