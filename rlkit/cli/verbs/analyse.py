"""`rlkit analyse`."""

from __future__ import annotations

import json
from collections.abc import Sequence

from omegaconf import DictConfig

from rlkit.cli.verbs.match import shared_game
from rlkit.config.compose import Choices, run_verb
from rlkit.core.seeding import Seeds
from rlkit.planning.games.game import position
from rlkit.play.games.analysis import Analysis, analyse
from rlkit.play.games.players import parsed, player_of


def main(argv: Sequence[str]) -> int:
    """Say what a search thinks of a position."""
    run_verb("analyse", task, argv)
    return 0


def task(config: DictConfig, choices: Choices, overrides: Sequence[str]) -> None:
    """Search the position, and print the board and a table of moves, or one line of JSON."""
    spec = parsed(config.player)
    game = shared_game([spec], config.env, config.threads, config.trust)
    state, _ = position(game, [str(move) for move in config.moves])
    player = player_of(spec, game, checkpoint=config.checkpoint, seconds=config.seconds, trust=config.trust)
    found = analyse(player, game, state, Seeds(config.seed).generator("analysis"))
    if config.output.name == "json":
        moves = [move._asdict() for move in found.moves]
        print(json.dumps({"game": game.name, "value": found.value, "line": found.line, "moves": moves}))
        return
    print(game.text(state))
    print(_text(found))


def _text(found: Analysis) -> str:
    lines = ["move   visits   share   value   prior"]
    for move in found.moves:
        columns = f"{move.visits:>7} {move.share:>7.1%} {move.value:>7.3f} {move.prior:>7.1%}"
        lines.append(f"{move.name:<5} {columns}  {move.proved}".rstrip())
    return "\n".join([*lines, "", f"value {found.value:+.3f} for whoever is to move", f"line  {' '.join(found.line)}"])
