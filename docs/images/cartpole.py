"""Draws cartpole.png from a run: python docs/images/cartpole.py runs/dqn_cartpole_s0 videos/dqn_cartpole_s0/….mp4."""

from __future__ import annotations

import sys
from itertools import islice
from pathlib import Path

import av
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import MultipleLocator

import rlkit

INK, EPISODES, EVALUATIONS = "#8a8f98", "#3f7fd6", "#e07b39"
"""Colors that can be read on white and on dark gray, since the background is transparent."""


def draw(run_folder: str, video: str) -> None:
    """Write cartpole.png beside this file: the learning curve, and a frame of the game."""
    run = rlkit.load(run_folder)
    plt.rcParams |= {"text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": INK, "xtick.color": INK}
    plt.rcParams |= {"ytick.color": INK, "font.size": 9}
    figure, (curve, game) = plt.subplots(1, 2, figsize=(8, 2.7), width_ratios=(1.25, 1), layout="constrained")
    steps, returns = run.episodes["step"], run.episodes["return/raw"]
    window = np.array([returns[max(0, i - 9) : i + 1].mean() for i in range(len(returns))])
    at = np.unique(run.evaluations["step"])
    means = [run.evaluations["return/raw"][run.evaluations["step"] == step].mean() for step in at]
    curve.plot(steps, returns, ".", color=EPISODES, alpha=0.35, markersize=4, label="training episodes")
    curve.plot(steps, window, color=EPISODES, label="mean of 10")
    curve.plot(at, means, "o-", color=EVALUATIONS, markersize=4, label="evaluations")
    curve.set(xlabel="steps", ylabel="return")
    curve.xaxis.set_major_locator(MultipleLocator(4_000))
    curve.xaxis.set_major_formatter("{x:,.0f}")
    curve.spines[["top", "right"]].set_visible(False)
    curve.legend(frameon=False, loc="center right")
    with av.open(video) as container:
        frame = next(islice(container.decode(video=0), 120, None)).to_ndarray(format="rgb24")
    game.imshow(frame)
    game.axis("off")
    figure.savefig(Path(__file__).with_name("cartpole.png"), dpi=150, transparent=True)


if __name__ == "__main__":
    draw(*sys.argv[1:])
