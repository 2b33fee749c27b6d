"""Which keys a person presses for which action."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, NamedTuple

import gymnasium
import numpy as np
from gymnasium import spaces

from rlkit.core.types import UsageError
from rlkit.vector.snapshot import layers

Combination = frozenset[str]
"""Names of keys, as pygame calls them, that are held together."""


class Idle(Enum):
    """What happens while no key is pressed, where it is not an action of its own."""

    WAIT = "the game waits for a key"
    REPEAT = "the last one goes on while no key is pressed"


WAIT, REPEAT = Idle.WAIT, Idle.REPEAT
LETTERS = {"up": "w", "left": "a", "down": "s", "right": "d"}
JOYSTICK = re.compile("NOOP|(UP|DOWN|LEFT|RIGHT|FIRE)+")
BUTTONS = {"UP": "up", "DOWN": "down", "LEFT": "left", "RIGHT": "right", "FIRE": "space"}


class KeyBindings(NamedTuple):
    """The keys of an environment, and the actions that they stand for."""

    actions: Mapping[Combination, Any]
    idle: Any  # WAIT, REPEAT, or the action while no key is pressed
    description: str = ""  # for a person; empty: their list

    @property
    def names(self) -> frozenset[str]:
        """Every key that does something."""
        return frozenset().union(*self.actions)

    def action(self, held: Combination) -> Any:
        """Return the action of the keys `held`, those that mean nothing left out; None where no key means anything."""
        meant = held & self.names
        while meant:
            if meant in self.actions:
                return self.actions[meant]
            meant = meant - {min(meant)}
        return None

    def __str__(self) -> str:
        """Return a line that says what to press."""
        if self.description:
            return f"keys: {self.description}"
        names_of: dict[str, list[str]] = {}
        for combination, action in self.actions.items():
            names_of.setdefault(str(action), []).append("+".join(sorted(combination)))
        pressed = ", ".join(f"{' or '.join(names)} = {action}" for action, names in names_of.items())
        idle = self.idle.value if isinstance(self.idle, Idle) else f"{self.idle} while no key is pressed"
        return f"keys: {pressed}; {idle}"


def simple(actions: Mapping[str, Any], idle: Any) -> KeyBindings:
    """Return keys that are pressed one at a time; W, A, S and D stand in for the arrows where they are free."""
    letters = {LETTERS[name]: action for name, action in actions.items() if name in LETTERS}
    return KeyBindings({frozenset([name]): action for name, action in {**letters, **actions}.items()}, idle)


GAMES: Mapping[str, KeyBindings] = {
    "CartPole": simple({"left": 0, "right": 1}, REPEAT),
    "MountainCar": simple({"left": 0, "right": 2}, 1),
    "Acrobot": simple({"left": 0, "right": 2}, 1),
    "LunarLander": simple({"left": 1, "up": 2, "right": 3}, 0),
    "FrozenLake": simple({"left": 0, "down": 1, "right": 2, "up": 3}, WAIT),
    "CliffWalking": simple({"up": 0, "right": 1, "down": 2, "left": 3}, WAIT),
    "Taxi": simple({"down": 0, "up": 1, "right": 2, "left": 3, "space": 4, "return": 5}, WAIT),
    "Blackjack": simple({"s": 0, "h": 1}, WAIT),  # stick, hit
}
"""By Gymnasium id without its version."""


def keys_for(env: gymnasium.Env[Any, Any]) -> KeyBindings:
    """Return the keys of `env`: those of a known game, what its ``get_action_meanings()`` says of a joystick, its own
    ``get_keys_to_action()``, or what its actions suggest. Where `DiscreteActions` stands in front, they choose from it.

    Raises:
        UsageError: nothing fits its action space.
    """
    if (chooser := _chooser(env)) is not None:
        return _chosen(keys_for(chooser.env), chooser.choice)
    name = re.sub(r"-v\d+$", "", env.spec.id) if env.spec is not None else ""
    if name in GAMES and isinstance(env.action_space, spaces.Discrete):
        return GAMES[name]
    if env.has_wrapper_attr("get_action_meanings"):
        meanings = list(env.get_wrapper_attr("get_action_meanings")())
        if all(JOYSTICK.fullmatch(meaning) for meaning in meanings):
            return _joystick(meanings)
    if env.has_wrapper_attr("get_keys_to_action"):
        return _own(env.get_wrapper_attr("get_keys_to_action")(), _start(env.action_space))
    if isinstance(env.action_space, spaces.Discrete):
        return _discrete(int(env.action_space.n))
    if isinstance(env.action_space, spaces.Box) and env.action_space.shape in ((1,), (2,)):
        return _continuous(env.action_space)
    raise UsageError(
        f"no keys are known for actions {env.action_space}; let the environment offer get_keys_to_action(), a dict "
        "such as {('w', 'd'): action}, or leave human=true out"
    )


def _chooser(env: gymnasium.Env[Any, Any]) -> Any:
    """Return the `DiscreteActions` around `env`, unless a layer further out says which keys there are."""
    for layer in layers(env):
        if hasattr(layer, "get_keys_to_action") or hasattr(layer, "get_action_meanings"):
            return None
        if hasattr(layer, "choice"):
            return layer
    return None


def _chosen(keys: KeyBindings, choice: Callable[[Any], int]) -> KeyBindings:
    """Return keys of continuous actions as keys of the choices that stand in for them."""
    idle = keys.idle if isinstance(keys.idle, Idle) else choice(keys.idle)
    return KeyBindings({names: choice(action) for names, action in keys.actions.items()}, idle)


def _joystick(meanings: list[str]) -> KeyBindings:
    """Return the keys of actions that are called as Atari's are: arrows or W, A, S and D steer, space fires."""
    actions: dict[Combination, Any] = {}
    for action, meaning in enumerate(meanings):
        parts = re.findall("UP|DOWN|LEFT|RIGHT|FIRE", meaning)
        for names in (BUTTONS, {**BUTTONS, **{arrow.upper(): letter for arrow, letter in LETTERS.items()}}):
            actions[frozenset(names[part] for part in parts)] = action
    idle = actions.pop(frozenset(), REPEAT)
    if not any("UP" in meaning or "DOWN" in meaning for meaning in meanings):
        # Some paddles stand upright, and RIGHT moves them up (Pong's).
        turned = {"right": "up", "left": "down", "d": "w", "a": "s"}
        actions = {
            **{frozenset(turned.get(name, name) for name in keys): act for keys, act in actions.items()},
            **actions,
        }
    return KeyBindings(actions, idle, "arrows or W, A, S, D; space fires")


def _start(space: Any) -> Any:
    return space.start if isinstance(space, spaces.Discrete | spaces.MultiDiscrete) else 0


def _own(table: Mapping[Any, Any], start: Any) -> KeyBindings:
    """Read Gymnasium's convention: combinations of characters or codes; the empty one is the action of no key."""
    actions, idle = {}, WAIT
    for keys, action in table.items():
        names = frozenset(_name(key) for key in ((keys,) if isinstance(keys, int) else keys))
        if np.any(start):
            action = np.subtract(action, start)
        if "" in names:
            continue  # a code of an older pygame
        if names:
            actions[names] = action
        else:
            idle = action
    return KeyBindings(actions, idle)


def _name(key: str | int) -> str:
    import pygame

    return pygame.key.name(ord(key) if isinstance(key, str) else key)


def _discrete(n: int) -> KeyBindings:
    numbers = {str(action): action for action in range(min(n, 10))}
    arrows = {2: ("left", "right"), 3: ("left", "down", "right"), 4: ("left", "down", "right", "up")}.get(n, ())
    return simple({**{name: action for action, name in enumerate(arrows)}, **numbers}, WAIT)


def _continuous(space: spaces.Box) -> KeyBindings:
    """Left and right drive the first number to its bounds, down and up the second."""
    low = np.where(np.isfinite(space.low), space.low, -1).astype(space.dtype)
    high = np.where(np.isfinite(space.high), space.high, 1).astype(space.dtype)
    idle = np.clip(np.zeros_like(low), low, high)
    choices = [(None, "left", "right"), (None, "down", "up")][: len(low)]
    actions = {}
    for names in itertools.product(*choices):
        ends = [low if name in ("left", "down") else high if name else idle for name in names]
        combination = frozenset(name for name in names if name)
        if combination:
            actions[combination] = np.array([end[i] for i, end in enumerate(ends)], space.dtype)
    return KeyBindings(actions, idle)
