"""One update of DQN on Atari pictures (Nature CNN, batch 32), beside the same written plainly.

    python tests/benchmarks/updates.py --out <folder>

``plain`` is what a tutorial has: plain modules in contiguous memory, bytes divided by 255, Adam as it comes, whose
loop over the parameters is also Stable-Baselines3's; ``plain, foreach`` and ``plain, fused`` have Adam's other two. The
variants take turns; what is compared is processor time, which others on the machine change less than the clock's.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from keep import write
from torch import nn

from rlkit.agents.dqn import DQN, DQNSettings
from rlkit.core.schedules import Constant
from rlkit.core.types import Batch
from rlkit.networks import NatureCNN, QNetwork
from rlkit.networks.return_distributions import Categorical, Distribution, Expected, Quantile

Update = Callable[[], Any]
BATCH, ACTIONS = 32, 6


class Same:
    """A replay that gives the same batch, as the frame replay does: overlapping views of bytes."""

    prioritized = False

    def __init__(self, rng: np.random.Generator):
        frames = rng.integers(0, 256, (BATCH, 5, 84, 84), dtype=np.uint8)
        ones = np.ones(BATCH, np.float32)
        actions, rewards = rng.integers(ACTIONS, size=BATCH), rng.normal(size=BATCH).astype(np.float32)
        self.batch = Batch(frames[:, :4], actions, rewards, ones, frames[:, 1:], None, ones, np.arange(BATCH))

    def __len__(self) -> int:
        return BATCH

    def sample(self, batch_size: int, gamma: float) -> Batch:
        return self.batch

    def update_priorities(self, index: Any, td_error: Any) -> None:
        pass


def rlkit(
    replay: Any,
    *,
    double: bool,
    distribution: Distribution | None = None,
    dueling: bool = False,
    noisy: bool = False,
    precision: str = "float32",
    compile: bool = False,
) -> Update:
    """Return an update of the agent."""
    frames = spaces.Box(0, 255, (4, 84, 84), np.uint8)
    network = QNetwork(
        NatureCNN(frames, hidden=512),
        frames,
        spaces.Discrete(ACTIONS),
        distribution=distribution or Expected(),
        dueling=dueling,
        noisy=noisy,
        noise_scale=0.5,
    )
    settings = DQNSettings(
        optimizer=partial(torch.optim.Adam, fused=True),
        learning_rate=1e-4,
        anneal=False,
        epsilon=Constant(0.0),
        epsilon_spread=0.0,
        episodes=None,
        offline_steps=None,
        offline="none",
        conservatism=1.0,
        munchausen=None,
        temperature=0.03,
        munchausen_min=-1.0,
        behavior_threshold=0.3,
        fragment_steps=1,
        gamma=0.99,
        double=double,
        learning_starts=0,
        batch_size=BATCH,
        train_freq=1,
        gradient_steps=1,
        target_every=10_000,
        tau=1.0,
        max_grad_norm=10.0,
        precision=precision,
        compile=compile,
    )
    agent = DQN(
        network=network,
        replay=replay,
        settings=settings,
        total_steps=None,
        device="cpu",
        generator=torch.Generator().manual_seed(0),
        notify=print,
    )

    def update() -> None:
        agent._due = 1
        agent.update()

    return update


def plain(replay: Any, *, double: bool, **adam: Any) -> Update:
    """Return an update as a tutorial writes it."""
    convolutions = [nn.Conv2d(4, 32, 8, 4), nn.ReLU(), nn.Conv2d(32, 64, 4, 2), nn.ReLU(), nn.Conv2d(64, 64, 3)]
    dense = [nn.ReLU(), nn.Flatten(), nn.Linear(3136, 512), nn.ReLU(), nn.Linear(512, ACTIONS)]
    network = nn.Sequential(*convolutions, *dense)
    target = copy.deepcopy(network)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-4, **adam)

    def update() -> None:
        batch = replay.sample(BATCH)
        observation, successor = (
            torch.tensor(rows).float() / 255 for rows in (batch.observation, batch.next_observation)
        )
        action, reward, discount = map(torch.tensor, (batch.action, batch.reward, batch.discount))
        with torch.no_grad():
            following = target(successor)
            best = (network(successor) if double else following).argmax(1, keepdim=True)
            aim = reward + 0.99 * discount * following.gather(1, best)[:, 0]
        loss = nn.functional.smooth_l1_loss(network(observation).gather(1, action[:, None])[:, 0], aim)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 10.0)
        optimizer.step()

    return update


def variants(replay: Any, *, compile: bool) -> dict[str, Update]:
    """Return every variant, the ones that others are compared with first."""
    made = {
        "double: plain": plain(replay, double=True),
        "double: plain, foreach": plain(replay, double=True, foreach=True),
        "double: plain, fused": plain(replay, double=True, fused=True),
        "double: rlkit": rlkit(replay, double=True),
        "double: rlkit, bfloat16": rlkit(replay, double=True, precision="bfloat16"),
        "single: plain": plain(replay, double=False),
        "single: plain, fused": plain(replay, double=False, fused=True),
        "single: rlkit": rlkit(replay, double=False),
        "double: rlkit, dueling": rlkit(replay, double=True, dueling=True),
        "double: rlkit, noisy": rlkit(replay, double=True, noisy=True),
        "double: rlkit, c51": rlkit(replay, double=True, distribution=Categorical(51, -10.0, 10.0)),
        "double: rlkit, 200 quantiles": rlkit(replay, double=True, distribution=Quantile(200)),
        "double: rlkit, rainbow": rlkit(
            replay, double=True, dueling=True, noisy=True, distribution=Categorical(51, -10.0, 10.0)
        ),
    }
    if compile:
        made["double: rlkit, compiled"] = rlkit(replay, double=True, compile=True)
        made["double: rlkit, compiled bfloat16"] = rlkit(replay, double=True, compile=True, precision="bfloat16")
    return made


def milliseconds(update: Update, times: int) -> float:
    """Return the processor time of an update."""
    start = time.process_time()
    for _ in range(times):
        update()
    return (time.process_time() - start) / times * 1000


def main() -> None:
    """Print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--times", type=int, default=4, help="updates in a slice")
    parser.add_argument("--compile", action="store_true", help="compiled ones as well")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    made = variants(Same(np.random.default_rng(0)), compile=arguments.compile)
    found: dict[str, list[float]] = {name: [] for name in made}
    for update in made.values():
        milliseconds(update, 3)
    for _ in range(arguments.rounds):
        for name, update in made.items():
            found[name].append(milliseconds(update, arguments.times))
    rows = []
    for name, values in found.items():
        base = found[f"{name.partition(':')[0]}: plain"]
        ratios = [a / b for a, b in zip(base, values, strict=True)]
        print(
            f"{name:34} median {statistics.median(values):6.1f} ms   plain/it: {statistics.median(ratios):.2f} "
            f"({min(ratios):.2f} to {max(ratios):.2f})",
            flush=True,
        )
        rows += [{"round": i, "update": name, "milliseconds": round(value, 2)} for i, value in enumerate(values)]
    if arguments.out:
        write(arguments.out, "updates", rows)


if __name__ == "__main__":
    main()
