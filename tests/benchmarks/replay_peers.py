"""The replays of other libraries behind one interface, for the benchmark beside them."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces

SPACE = spaces.Box(0, 255, (4, 84, 84), np.uint8)
ACTIONS = spaces.Discrete(6)


class Rlkit:
    """rlkit's, one-step and uniform where no options say otherwise."""

    def __init__(self, capacity: int, num_envs: int, prioritized: bool = False, n_step: int = 1) -> None:
        from rlkit.core.schedules import Constant
        from rlkit.replay import PrioritizedReplay, UniformReplay

        options: dict[str, Any] = {"frame_stack": 4, "num_envs": num_envs, "n_step": n_step}
        rng = np.random.default_rng(0)
        if prioritized:
            beta = Constant(0.4)
            self.replay: Any = PrioritizedReplay(capacity, rng, alpha=0.6, beta=beta, epsilon=1e-6, **options)
        else:
            self.replay = UniformReplay(capacity, rng, **options)
        self.prioritized = prioritized

    def add(self, step: Any) -> None:
        self.replay.add(step)

    def sample(self, size: int) -> None:
        batch = self.replay.sample(size, 0.99)
        if self.prioritized:
            self.replay.update_priorities(batch.index, batch.reward)


class StableBaselines3:
    """With `saving`, each observation lies once; else twice."""

    def __init__(self, capacity: int, num_envs: int, saving: bool) -> None:
        from stable_baselines3.common.buffers import ReplayBuffer

        options = {"optimize_memory_usage": saving, "handle_timeout_termination": not saving}
        self.replay = ReplayBuffer(capacity, SPACE, ACTIONS, "cpu", num_envs, **options)
        self.infos: list[dict[str, Any]] = [{} for _ in range(num_envs)]

    def add(self, step: Any) -> None:
        self.replay.add(
            step.observation, step.next_observation, step.action[:, None], step.reward, step.last, self.infos
        )

    def sample(self, size: int) -> None:
        self.replay.sample(size)


class Tianshou:
    """As its Atari examples use it: the newest frame of each stack, successors looked up."""

    def __init__(self, capacity: int, num_envs: int, prioritized: bool = False) -> None:
        from tianshou.data import Batch, PrioritizedVectorReplayBuffer, VectorReplayBuffer

        options: dict[str, Any] = {"stack_num": 4, "ignore_obs_next": True, "save_only_last_obs": True}
        if prioritized:
            self.replay: Any = PrioritizedVectorReplayBuffer(capacity, num_envs, alpha=0.6, beta=0.4, **options)
        else:
            self.replay = VectorReplayBuffer(capacity, num_envs, **options)
        self.batch, self.prioritized = Batch, prioritized

    def add(self, step: Any) -> None:
        no = np.zeros(len(step.last), bool)
        self.replay.add(
            self.batch(
                obs=step.observation,
                act=step.action,
                rew=step.reward,
                terminated=step.last,
                truncated=no,
                obs_next=step.next_observation,
                info=self.batch(),
            )
        )

    def sample(self, size: int) -> None:
        batch, index = self.replay.sample(size, 0.99)
        if self.prioritized:
            self.replay.update_weight(index, batch.rew)


class TorchRL:
    """Lazy tensor storage in memory (its prioritised sampler needs a compiled extension that its wheel lacked)."""

    def __init__(self, capacity: int, num_envs: int) -> None:
        import torch
        from tensordict import TensorDict
        from torchrl.data import LazyTensorStorage, ReplayBuffer

        self.replay = ReplayBuffer(storage=LazyTensorStorage(capacity))
        self.torch, self.tensors = torch, TensorDict

    def add(self, step: Any) -> None:
        tensor = self.torch.from_numpy
        rows = {
            "observation": tensor(step.observation),
            "action": tensor(step.action),
            "next": {
                "observation": tensor(step.next_observation),
                "reward": tensor(step.reward),
                "terminated": tensor(step.last),
            },
        }
        self.replay.extend(self.tensors(rows, batch_size=[len(step.last)]))

    def sample(self, size: int) -> None:
        self.replay.sample(size)


LIBRARIES: dict[str, Any] = {
    "rlkit": Rlkit,
    "sb3": lambda capacity, num_envs: StableBaselines3(capacity, num_envs, saving=False),
    "sb3 saving": lambda capacity, num_envs: StableBaselines3(capacity, num_envs, saving=True),
    "tianshou": Tianshou,
    "torchrl": TorchRL,
}

OPTIONS: dict[str, Any] = {
    "rlkit prioritized": lambda capacity, num_envs: Rlkit(capacity, num_envs, prioritized=True),
    "rlkit 3-step": lambda capacity, num_envs: Rlkit(capacity, num_envs, n_step=3),
    "rlkit prioritized 3-step": lambda capacity, num_envs: Rlkit(capacity, num_envs, prioritized=True, n_step=3),
    "tianshou prioritized": lambda capacity, num_envs: Tianshou(capacity, num_envs, prioritized=True),
}
