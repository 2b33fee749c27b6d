"""Gymnasium's CarRacing, drawn two to three times as fast, and with episodes that depend on nothing before them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from gymnasium.envs.box2d import car_racing
from gymnasium.envs.box2d.car_racing import CarRacing
from pygame import gfxdraw

from rlkit.core.types import Array
from rlkit.rendering.render_wrapper import headless

WIDTH, HEIGHT = car_racing.WINDOW_W, car_racing.WINDOW_H
MARGIN = 2
"""Pixels by which the edge of a shape, which is drawn smoothly, may reach beyond its corners."""


class Racing(CarRacing):
    """The same tracks and the same frames, pixel by pixel.

    What lies beyond the frame is left out by arithmetic on arrays, which Gymnasium does corner by corner.
    """

    def reset(self, **kwargs: Any) -> Any:
        """Begin an episode in a new Box2D world; a used one would move in other last bits, and then in others."""
        self._destroy()  # type: ignore[no-untyped-call]
        self.world = type(self.world)((0, 0))
        with headless():
            return super().reset(**kwargs)

    def _create_track(self) -> bool:
        made: bool = super()._create_track()  # type: ignore[no-untyped-call]
        if made:
            self._field = _grass()
            self._shapes = np.array([corners for corners, _ in self.road_poly], np.float64)
            # Colors are read when they are drawn: a tile changes its own when it is driven over.
        return made

    def _render_road(self, zoom: float, translation: Any, angle: float) -> None:
        bounds = car_racing.PLAYFIELD
        field = np.array([[(bounds, bounds), (bounds, -bounds), (-bounds, -bounds), (-bounds, bounds)]])
        view = zoom, translation, angle
        _draw(self.surf, on_screen(field, *view)[0], self.bg_color)
        self._draw_visible(self._field, None, view)
        self._draw_visible(self._shapes, [color for _, color in self.road_poly], view)

    def _draw_visible(self, shapes: Array, colors: Any, view: Any) -> None:
        corners = on_screen(shapes, *view)
        low, high = corners.min(axis=1), corners.max(axis=1)
        inside = (high >= -MARGIN) & (low <= (WIDTH + MARGIN, HEIGHT + MARGIN))
        for i in np.flatnonzero(inside.all(axis=1)):
            _draw(self.surf, corners[i], self.grass_color if colors is None else [int(c) for c in colors[i]])


def on_screen(shapes: Array, zoom: float, translation: Any, angle: float) -> Array:
    """Return where corners [n, 4, 2] of the world lie on the window [n, 4, 2] float64, in pixels."""
    cos, sin = math.cos(angle), math.sin(angle)
    x, y = shapes[..., 0], shapes[..., 1]
    turned = np.stack((cos * x - sin * y, sin * x + cos * y), axis=-1)
    return np.asarray(turned * zoom + np.array([translation[0], translation[1]]))


def _grass() -> Array:
    """Return the corners [n, 4, 2] of the patches of lighter grass."""
    side = car_racing.GRASS_DIM
    x, y = (axis.ravel() for axis in np.meshgrid(np.arange(-20, 20, 2), np.arange(-20, 20, 2), indexing="ij"))
    left, right, bottom, top = side * x, side * x + side, side * y, side * y + side
    return np.stack(
        [np.stack(corner, axis=-1) for corner in ((right, bottom), (left, bottom), (left, top), (right, top))], axis=1
    )


def _draw(surface: Any, corners: Array, color: Any) -> None:
    points = corners.tolist()
    gfxdraw.aapolygon(surface, points, color)
    gfxdraw.filled_polygon(surface, points, color)
