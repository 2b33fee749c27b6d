"""Plots of a search: its history, what its settings did, how much each matters, and how its trials went."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rlkit.config.search_space import Dimension
from rlkit.core.figure import figure, write
from rlkit.runs.searching.journal import importances
from rlkit.runs.searching.search import SearchFolder

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

BLUE, ORANGE, GRAY = "#1f4e9c", "#d1662a", "#9db0cc"
HISTORY, SLICES, IMPORTANCES, EVALUATIONS = "history.png", "slices.png", "importances.png", "evaluations.png"
FILES = (HISTORY, EVALUATIONS, SLICES, IMPORTANCES)
"""The plots that a folder may hold, in their order on a page."""

COLUMNS = 3
ENOUGH = 4
"""Complete trials from which on it is told how much settings matter."""


def draw(search: SearchFolder, trials: Sequence[FrozenTrial]) -> list[Path]:
    """Write the plots of a search into its folder, and return their paths; there is none before a trial has a value."""
    valued = [trial for trial in trials if trial.state.is_finished() and trial.value is not None]
    if not valued:
        return []
    made = [
        _history(search, valued),
        _evaluations(search, [trial for trial in trials if trial.intermediate_values]),
        _slices(search, valued),
    ]
    complete = [trial for trial in valued if trial.state.name == "COMPLETE"]
    if len(complete) >= ENOUGH and len(search.dimensions) > 1 and len({trial.value for trial in complete}) > 1:
        made.append(_importances(search, importances(trials)))
    return made


def _history(search: SearchFolder, trials: Sequence[FrozenTrial]) -> Path:
    sheet = figure(9, 4, f"{search.header.name}: trials")
    axes = sheet.subplots()
    _dots(axes, trials, [trial.number for trial in trials])
    complete = [trial for trial in trials if trial.state.name == "COMPLETE"]
    if complete:
        best = np.maximum.accumulate(np.array([trial.value for trial in complete], np.float64))
        axes.step([trial.number for trial in complete], best, color=ORANGE, where="post", label="best so far")
    axes.set_xlabel("trial")
    axes.set_ylabel("value")
    axes.grid(alpha=0.25)
    sheet.legend(loc="outside lower center", ncols=3, frameon=False)
    return write(sheet, search.directory / HISTORY)


def _dots(axes: Any, trials: Sequence[FrozenTrial], positions: Sequence[Any], *, legend: bool = True) -> None:
    for state, color, label in (("PRUNED", GRAY, "pruned"), ("COMPLETE", BLUE, "complete")):
        chosen = [(at, trial.value) for at, trial in zip(positions, trials, strict=True) if trial.state.name == state]
        if chosen:
            axes.plot(*zip(*chosen, strict=True), "o", color=color, markersize=4, label=label if legend else None)


def _evaluations(search: SearchFolder, trials: Sequence[FrozenTrial]) -> Path:
    sheet = figure(9, 4, f"{search.header.name}: values of trials by step")
    axes = sheet.subplots()
    for trial in trials:
        steps = sorted(trial.intermediate_values)
        is_complete = trial.state.name == "COMPLETE"
        axes.plot(
            steps,
            [trial.intermediate_values[step] for step in steps],
            marker="o" if len(steps) == 1 else "",
            color=BLUE if is_complete else GRAY,
            alpha=0.7,
            linewidth=1,
        )
    for color, label in ((BLUE, "complete"), (GRAY, "ended early")):
        axes.plot([], [], color=color, label=label)
    axes.set_xlabel("steps")
    axes.set_ylabel("value")
    axes.grid(alpha=0.25)
    sheet.legend(loc="outside lower center", ncols=2, frameon=False)
    return write(sheet, search.directory / EVALUATIONS)


def _slices(search: SearchFolder, trials: Sequence[FrozenTrial]) -> Path:
    dimensions = search.dimensions
    rows = -(-len(dimensions) // COLUMNS)
    columns = min(COLUMNS, len(dimensions))
    sheet = figure(3.4 * columns + 0.6, 2.7 * rows + 0.7, f"{search.header.name}: values by setting")
    all_axes = sheet.subplots(rows, columns, squeeze=False, sharey=True).ravel()
    for axes, (name, one) in zip(all_axes, dimensions.items(), strict=False):
        _slice(axes, name, one, trials)
    for axes in all_axes[::columns]:
        axes.set_ylabel("value")
    for axes in all_axes[len(dimensions) :]:
        axes.set_visible(False)
    return write(sheet, search.directory / SLICES)


def _slice(axes: Any, name: str, one: Dimension, trials: Sequence[FrozenTrial]) -> None:
    labels = [str(choice) for choice in one.choices]
    drawn = [trial.params[name] for trial in trials]
    positions = [labels.index(_text(value, one)) for value in drawn] if labels else drawn
    _dots(axes, trials, positions, legend=False)
    if labels:
        axes.set_xticks(range(len(labels)), labels, rotation=0 if max(map(len, labels)) < 6 else 30)
        axes.set_xlim(-0.5, len(labels) - 0.5)
    elif one.log:
        axes.set_xscale("log")
    axes.set_xlabel(name)
    axes.grid(alpha=0.25)


def _text(drawn: Any, one: Dimension) -> str:
    return str(one.value(drawn))


def _importances(search: SearchFolder, found: Mapping[str, float]) -> Path:
    ranked = sorted(found.items(), key=lambda item: item[1])
    sheet = figure(7, 1.2 + 0.35 * len(ranked), f"{search.header.name}: how much settings matter (fANOVA)")
    axes = sheet.subplots()
    axes.barh([name for name, _ in ranked], [share for _, share in ranked], color=BLUE)
    axes.set_xlabel("share of the variance of values")
    axes.grid(alpha=0.25, axis="x")
    return write(sheet, search.directory / IMPORTANCES)
