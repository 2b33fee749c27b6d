"""Gymnasium's CarRacing as it is learned by imitation, and a driver that knows the track.

The seven actions and the observations are those of people who recorded their own driving with the arrow keys.
"""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium.wrappers import OrderEnforcing, TimeLimit

from rlkit import preprocess
from rlkit.core.ranges import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, PositiveShare, Probability
from rlkit.core.types import Array, Memory, TimeStep, UsageError

CLASSES = ((0, 0, 0), (0, 1, 0), (0, 0, 1), (-1, 0, 0), (-1, 0, 1), (1, 0, 0), (1, 0, 1))
"""Steering (left is negative), gas and brake of each action."""

STRAIGHT, GAS, BRAKE, LEFT, LEFT_BRAKE, RIGHT, RIGHT_BRAKE = range(len(CLASSES))


class ArrowKeys(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Maps the keys that a person holds to actions; steering goes before gas, as no action combines them."""

    def get_keys_to_action(self) -> dict[tuple[int, ...], int]:
        """Return an action for each combination of arrow keys, by pygame's codes."""
        import pygame

        up, down, left, right = pygame.K_UP, pygame.K_DOWN, pygame.K_LEFT, pygame.K_RIGHT
        return {
            (): STRAIGHT,
            (up,): GAS,
            (down,): BRAKE,
            (left,): LEFT,
            (left, up): LEFT,
            (left, down): LEFT_BRAKE,
            (right,): RIGHT,
            (right, up): RIGHT,
            (right, down): RIGHT_BRAKE,
        }


def make(
    discrete: bool,
    brake: Probability,
    grey: bool,
    crop: Sequence[NonNegativeInt] | None,
    size: Sequence[PositiveInt] | None,
    stack: PositiveInt,
    lap_complete: PositiveShare,
    max_steps: PositiveInt,
    render_mode: str | None = None,
) -> gymnasium.Env[Any, Any]:
    """Return CarRacing, which gives 1000 points for all tiles of a track and takes 0.1 a step.

    An observation is [stack, height, width] uint8, or [stack, height, width, 3] in color, the newest frame last.

    Args:
        discrete: seven actions, `CLASSES`; else three numbers: steering, gas and brake.
        brake: how hard the discrete actions brake, from 0 to 1; beyond 0.9 the wheels are locked.
        grey: gray instead of color.
        crop: rows and columns of the 96 cut off at top, bottom, left and right; None: none.
        size: height and width after that; None: as they are.
        stack: frames in an observation.
        lap_complete: share of tiles with which a lap counts when the first tile is driven over again.
        max_steps: an episode that lasts longer is truncated.
        render_mode: Gymnasium's.

    Raises:
        UsageError: Box2D is not installed, or an option has no such value.
    """
    if not 0 <= brake <= 1:
        raise UsageError(f"env.brake is {brake}; it must be from 0 to 1")
    env: gymnasium.Env[Any, Any] = _world()(render_mode=render_mode, lap_complete_percent=lap_complete)
    env = OrderEnforcing(TimeLimit(env, max_steps))
    if discrete:
        env = ArrowKeys(preprocess.DiscreteActions(env, [(steer, gas, brake * b) for steer, gas, b in CLASSES]))
    env = preprocess.Gray(env) if grey else env
    env = preprocess.Crop(env, *crop) if crop else env
    env = preprocess.Resize(env, size) if size else env
    return preprocess.FrameStack(env, stack)


def _world() -> Any:
    # pygame greets whoever loads it, on stdout.
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "hide")
    try:
        with warnings.catch_warnings():
            # Box2D's own, when it is loaded.
            warnings.simplefilter("ignore", DeprecationWarning)
            from rlkit.envs.car_racing_world import Racing
    except (ImportError, gymnasium.error.DependencyNotInstalled) as error:
        raise UsageError('env=car_racing needs Box2D: pip install "gymnasium[box2d]"') from error
    return Racing


class CentreLine:
    """Drives along the middle of the track, which it reads from the environment; for the seven discrete actions.

    It steers for a point ahead (pure pursuit; Coulter, 1992), as near as wheels come that turn at a fixed rate, and
    is as fast as grip allows in the bends that come.
    """

    def __init__(
        self,
        *,
        look_ahead: PositiveFloat,
        look_ahead_time: NonNegativeFloat,
        max_speed: PositiveFloat,
        grip: PositiveFloat,
        slowing: PositiveFloat,
    ):
        """Say how it drives; a car is 5 long, the track 13 wide.

        Args:
            look_ahead: distance of the point that is steered for, at rest.
            look_ahead_time: seconds of driving by which the point is farther away.
            max_speed: distance in a second.
            grip: sideways acceleration in bends at most.
            slowing: deceleration that braking is relied upon for.
        """
        self._look_ahead, self._look_ahead_time = look_ahead, look_ahead_time
        self._max_speed, self._grip, self._slowing = max_speed, grip, slowing

    def initial_memory(self, n: int) -> Memory:
        """Return an empty memory: the track is known."""
        return ()

    def act(
        self, timestep: TimeStep, memory: Memory, *, explore: bool, rng: np.random.Generator
    ) -> tuple[Array, Memory]:
        """Return the actions [N]."""
        assert timestep.state is not None, "the driver reads the track from the environment"
        return np.array([_action(*row) for row in timestep.state(self)]), memory

    def read(self, env: gymnasium.Env[Any, Any]) -> Array:
        """Return wheel angle, wanted wheel angle, speed, wanted speed [4] of the car in `env`.

        Raises:
            UsageError: it is no CarRacing with the seven actions.
        """
        world: Any = env.unwrapped
        if not env.has_wrapper_attr("get_keys_to_action") or not hasattr(world, "track"):
            raise UsageError("expert=centre_line drives in env=car_racing with env.discrete=true only")
        track, car = np.array(world.track)[:, 2:4], world.car
        place, speed = np.array(car.hull.position), math.hypot(*car.hull.linearVelocity)
        here = int(((track - place) ** 2).sum(axis=1).argmin())
        segments = np.roll(track, -1, axis=0) - track
        spacing = float(np.linalg.norm(segments, axis=1).mean())
        ahead = (self._look_ahead + self._look_ahead_time * speed) / spacing
        goal = track[(here + max(1, round(ahead))) % len(track)] - place
        off = _turn(math.atan2(goal[1], goal[0]) - car.hull.angle - math.pi / 2)
        wanted = math.atan2(2 * WHEELBASE * math.sin(off), float(np.linalg.norm(goal)))
        allowed = self._allowed(np.arctan2(segments[:, 1], segments[:, 0]), here, spacing)
        return np.array([car.wheels[0].joint.angle, wanted, speed, allowed])

    def _allowed(self, heading: Array, here: int, spacing: float) -> float:
        """Return the speed that the bends within `HORIZON` points allow now."""
        steps = np.arange(HORIZON)
        places = (here + steps) % len(heading)
        bend = np.abs(_turn(heading[(places + SPAN) % len(heading)] - heading[places - SPAN])) / (2 * SPAN * spacing)
        fastest = self._grip / np.maximum(bend, 1e-3) + 2 * self._slowing * spacing * steps
        return min(self._max_speed, float(np.sqrt(fastest.min())))


HORIZON, SPAN = 25, 3
WHEELBASE = 3.24
WHEEL_STEP, WHEEL_LIMIT = 0.06, 0.4
"""Radians by which the front wheels turn in a step, and at most."""

MARGIN = 4.0
"""Speed above the wanted one from which it brakes."""


def _turn(angle: Any) -> Any:
    """Return an angle as one from -pi to pi."""
    return (angle + math.pi) % (2 * math.pi) - math.pi


def _action(wheel: float, wanted: float, speed: float, allowed: float) -> int:
    """Return the action that brings the wheels nearest to `wanted`, left being positive."""
    straightened = wheel - max(-WHEEL_STEP, min(WHEEL_STEP, wheel))
    left, right = min(wheel + WHEEL_STEP, WHEEL_LIMIT), max(wheel - WHEEL_STEP, -WHEEL_LIMIT)
    braking = speed > allowed + MARGIN
    straight = BRAKE if braking else GAS if speed < allowed else STRAIGHT
    reached = {
        straight: straightened,
        LEFT_BRAKE if braking else LEFT: left,
        RIGHT_BRAKE if braking else RIGHT: right,
    }
    return min(reached, key=lambda action: abs(reached[action] - wanted))
