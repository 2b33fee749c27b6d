"""Curves as inline SVG; colors and fonts come from the page's style sheet, so that they follow light and dark."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from rlkit.core.types import Array
from rlkit.reporting.curves import Curve, Line, thinned

WIDTH, HEIGHT = 560, 330
LEFT, RIGHT, TOP, BOTTOM = 84, 26, 14, 52
COLORS = 8
"""Colors of the style sheet; later groups use them again with dashes."""

DASHES = ("", "7 4", "2 3", "10 3 2 3")
MARKED = 40
"""Points of a curve up to which each is marked."""

SEEDS = 40
"""Curves of single seeds up to which they are drawn."""


class Scale(NamedTuple):
    """A linear map from values to the page."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Return where a value lies."""
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)


def look(number: int) -> tuple[str, str]:
    """Return the class of a group's color and its dashes."""
    return f"c{number % COLORS}", DASHES[number // COLORS % len(DASHES)]


def ticks(low: float, high: float, wanted: int = 5) -> list[float]:
    """Return round numbers that cover ``low..high``: multiples of 1, 2 or 5 times a power of ten."""
    rough = high / wanted - low / wanted
    exponent = math.floor(math.log10(rough))
    step = next(10.0**exponent * factor for factor in (1, 2, 5, 10) if 10.0**exponent * factor >= rough * 0.999)
    places = range(math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9) + 1)
    return [round(i * step, 12 - exponent) for i in places]


def short(value: float, digits: int = 4) -> str:
    """Return a tick's number: 1500 is 1.5k."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.{digits}g}{letter}".replace("-", "−")
    return f"{value:.{digits}g}".replace("-", "−")


def tick_labels(places: Sequence[float]) -> list[str]:
    """Return the numbers of ticks, with as many digits as they have."""
    exact = [short(place, 12) for place in places]
    digits = next((d for d in range(4, 12) if [short(place, d) for place in places] == exact), 12)
    return [short(place, digits) for place in places]


def chart(curves: Sequence[Curve], *, id: str, title: str, until: float, axis: str = "environment steps") -> str:
    """Return a chart as HTML: the curves of groups, their intervals and single seeds, and the data for the pointer.

    Args:
        curves: one of each group.
        id: unique in the page.
        title: above the chart, the name of the values.
        until: the last step on the axis.
        axis: what is counted on it.
    """
    shown = [thinned(curve) for curve in curves if any(len(line.steps) for line in (curve.mean, *curve.seeds))]
    if not shown:
        return f'<figure class="chart"><figcaption>{escape(title)}</figcaption><p class="none">none yet</p></figure>'
    x, y = Scale(0.0, until, LEFT, WIDTH - RIGHT), _height(shown)
    label = f"{title}. {_summary(shown)}"
    return (
        f'<figure class="chart" id="{id}"><figcaption>{escape(title)}</figcaption>'
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(label)}" tabindex="0">'
        f"{_drawn(shown, x, y, axis)}"
        f'<line class="cross" y1="{TOP}" y2="{HEIGHT - BOTTOM}" hidden></line></svg>'
        f'<div class="tip" hidden></div><script type="application/json">{_data(shown, x, y)}</script></figure>'
    )


def drawing(curves: Sequence[Curve], *, until: float, axis: str = "environment steps") -> str:
    """Return the elements of a chart alone, for an SVG file: `WIDTH` x `HEIGHT`; arguments as in `chart`."""
    shown = [curve for curve in curves if any(len(line.steps) for line in (curve.mean, *curve.seeds))]
    return _drawn(shown, Scale(0.0, until, LEFT, WIDTH - RIGHT), _height(shown), axis) if shown else ""


def _drawn(curves: Sequence[Curve], x: Scale, y: Scale, axis: str) -> str:
    many = sum(len(curve.seeds) for curve in curves) > SEEDS
    parts = [_grid(x, y, axis), *([] if many else [_seeds(curve, x, y) for curve in curves])]
    return "".join([*parts, *(_band(curve, x, y) for curve in curves), *(_mean(curve, x, y) for curve in curves)])


def _height(curves: Sequence[Curve]) -> Scale:
    lines = [line for curve in curves for line in (curve.mean, *curve.seeds) if len(line.steps)]
    bands = [end for curve in curves if curve.interval is not None for end in curve.interval]
    values = [
        float(value) for array in (*(line.values for line in lines), *bands) for value in (min(array), max(array))
    ]
    low, high = min(values), max(values)
    # Means of equal values may differ in their last bits, which is no difference to draw, nor are sums that come to 0.
    flat = high - low <= max(1e-9 * max(abs(low), abs(high)), 1e-12)
    pad = 0.5 * max(1.0, 0.1 * abs(high)) if flat else 0.0
    y = ticks(low - pad, high + pad)
    return Scale(y[0], y[-1], HEIGHT - BOTTOM, TOP)


def _grid(x: Scale, y: Scale, axis: str) -> str:
    bottom = HEIGHT - BOTTOM
    levels = ticks(y.low, y.high)
    rows = [
        f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(t):.1f}" y2="{y(t):.1f}"/>'
        f'<text x="{LEFT - 8}" y="{y(t):.1f}" dy=".35em" text-anchor="end">{label}</text>'
        for t, label in zip(levels, tick_labels(levels), strict=True)
    ]
    columns = [
        f'<text x="{x(t):.1f}" y="{bottom + 19}" text-anchor="middle">{short(t)}</text>'
        for t in ticks(x.low, x.high, 4)
        if t <= x.high
    ]
    name = f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 8}" text-anchor="middle">{escape(axis)}</text>'
    return "".join([*rows, f'<path class="base" d="M{LEFT} {bottom}H{WIDTH - RIGHT}"/>', *columns, name])


def _path(steps: Array, values: Array, x: Scale, y: Scale) -> str:
    return "L".join(f"{x(step):.1f} {y(value):.1f}" for step, value in zip(steps, values, strict=True))


def _stroke(curve: Curve) -> str:
    color, dashes = look(curve.number)
    return f'class="{{}} {color}"' + (f' stroke-dasharray="{dashes}"' if dashes else "")


def _seeds(curve: Curve, x: Scale, y: Scale) -> str:
    if len(curve.seeds) == 1:
        return ""
    stroke = _stroke(curve).format("seed")
    return "".join(f'<path {stroke} d="M{_path(*line, x, y)}"/>' for line in curve.seeds if len(line.steps))


def _band(curve: Curve, x: Scale, y: Scale) -> str:
    if curve.interval is None:
        return ""
    steps, (low, high) = curve.mean.steps, curve.interval
    outline = f"M{_path(steps, high, x, y)}L{_path(steps[::-1], low[::-1], x, y)}Z"
    return f'<path class="band {look(curve.number)[0]}" d="{outline}"/>'


def _mean(curve: Curve, x: Scale, y: Scale) -> str:
    line = curve.mean
    if not len(line.steps):
        return ""
    marks = "".join(
        f'<circle class="mark {look(curve.number)[0]}" cx="{x(step):.1f}" cy="{y(value):.1f}" r="3"/>'
        for step, value in zip(*line, strict=True)
        if len(line.steps) <= MARKED
    )
    return f'<path {_stroke(curve).format("mean")} d="M{_path(*line, x, y)}"/>{marks}'


def _summary(curves: Sequence[Curve]) -> str:
    """Return the last values in words, for screen readers."""
    last = [f"{curve.label}: {_last(curve.mean)}" for curve in curves if len(curve.mean.steps)]
    return "Last values: " + "; ".join(last)


def _last(line: Line) -> str:
    return f"{line.values[-1]:.4g} at step {line.steps[-1]:,.0f}"


def _data(curves: Sequence[Curve], x: Scale, y: Scale) -> str:
    """Return what the pointer shows; `<` is escaped because a script element ends at the first ``</``."""
    series = [
        {
            "label": curve.label,
            "color": look(curve.number)[0],
            "steps": [int(step) for step in curve.mean.steps],
            "values": _rounded(curve.mean.values),
            "low": _rounded(curve.interval[0]) if curve.interval else None,
            "high": _rounded(curve.interval[1]) if curve.interval else None,
        }
        for curve in curves
    ]
    return json.dumps({"series": series, "x": x, "y": y}, separators=(",", ":")).replace("<", "\\u003c")


def _rounded(values: Array) -> list[float]:
    return [float(f"{value:.5g}") for value in values]
