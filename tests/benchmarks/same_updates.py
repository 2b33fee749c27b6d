"""DQN's gradient steps beside Stable-Baselines3's: the same weights and the same minibatches, and how far they part.

    <python with rlkit, highway-env, stable-baselines3> tests/benchmarks/same_updates.py

Both have the settings of `highway.py`. The largest difference of any weight is printed after some of the steps; a copy
to the target network is due every 50.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import gymnasium
import numpy as np
import torch
from highway import ID, RLKIT, SETTINGS

import rlkit
from rlkit.networks import Minibatch

STEPS, ROWS, TARGET_EVERY = 1000, 32, 50
SHOWN = (1, 10, 100, 1000)


class Told:
    """Gives Stable-Baselines3 the minibatch that it is told."""

    batch: Minibatch

    def sample(self, size: int, env: Any) -> Any:
        """Return the present minibatch."""
        from stable_baselines3.common.type_aliases import ReplayBufferSamples

        b = self.batch
        return ReplayBufferSamples(b.s_tm1, b.a_tm1[:, None], b.s_t, 1 - b.discount_t[:, None], b.r_t[:, None])


def minibatch(rng: np.random.Generator) -> Minibatch:
    """Draw one, with a termination in ten."""
    s_tm1, s_t = torch.tensor(rng.normal(size=(2, ROWS, 5, 5)), dtype=torch.float32)
    a_tm1, r_t = torch.tensor(rng.integers(0, 5, ROWS)), torch.tensor(rng.normal(size=ROWS), dtype=torch.float32)
    discount_t = torch.tensor(rng.random(ROWS) >= 0.1).float()
    return Minibatch(s_tm1, a_tm1, r_t, discount_t, s_t, None, torch.ones(ROWS))


def main() -> None:
    """Take the same steps with both, and print what differs."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    from stable_baselines3 import DQN
    from stable_baselines3.common.logger import configure

    torch.set_num_threads(1)
    theirs = DQN("MlpPolicy", gymnasium.make(ID), seed=0, device="cpu", **SETTINGS)
    theirs.set_logger(configure(None, []))
    with TemporaryDirectory() as folder:
        words = (*RLKIT, "total_steps=1", "logger=[]")
        ours: Any = rlkit.train(*words, run_dir=Path(folder) / "run").agent
    with torch.no_grad():
        for network in (ours.network, ours.target_network):
            for to, of in zip(network.parameters(), theirs.q_net.parameters(), strict=True):
                to.copy_(of)
    theirs.replay_buffer, rng = Told(), np.random.default_rng(0)
    for step in range(1, STEPS + 1):
        theirs.replay_buffer.batch = minibatch(rng)
        theirs.train(1, ROWS)
        if step % TARGET_EVERY == 0:
            theirs.q_net_target.load_state_dict(theirs.q_net.state_dict())
        ours._gradient_step(theirs.replay_buffer.batch)
        if step in SHOWN:
            pairs = zip(ours.network.parameters(), theirs.q_net.parameters(), strict=True)
            print(f"{step:5} steps: {max(float((a - b).detach().abs().max()) for a, b in pairs):.1e}")


if __name__ == "__main__":
    main()
