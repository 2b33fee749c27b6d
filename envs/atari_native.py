"""Many Atari games in ale-py's vector environment, with rlkit's episodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ale_py
import numpy as np
from ale_py.vector_env import AtariVectorEnv
from gymnasium.vector import AutoresetMode, VectorEnv

from rlkit.core.types import Array

Result = tuple[Array, Array, Array, Array, dict[str, Any]]


class AtariGames(VectorEnv[Array, Array, Array]):
    """N games in C++ threads, each started again in the step that ends it.

    Observations are [N, stack, height, width] uint8, or [N, stack, height, width, 3] in color.

    What ale-py does otherwise, and how it is put right:

    - It reports a lost life as an end, with old pixels as the final observation, and the lives of the new game after
      a game over. A life is lost, and the game not over, where the frames of the game went on counting and there are
      fewer lives than before; the final observation is then the observation.
    - It fills the stack of a new game with black frames: here the first frame is repeated, as Gymnasium does.
    - It clips rewards and hides the score: here they are clipped afterwards.

    Attributes:
        frame_stack: frames in an observation.
        fresh_arrays: every array is a new one, so nobody needs to copy it.
        fresh_when_seeded: a reset with seeds loads the ROMs again, which takes a fifth of a second for each.
    """

    fresh_arrays = True
    fresh_when_seeded = True

    def __init__(
        self,
        rom: str,
        num_envs: int,
        *,
        frame_skip: int,
        sticky: float,
        noop_max: int,
        fire_reset: bool,
        life_loss: bool,
        reward_clip: bool,
        grey: bool,
        size: Sequence[int],
        stack: int,
        full_action_space: bool,
        max_frames: int,
        threads: int,
    ):
        """Start `threads` threads for `num_envs` games; the options are those of `rlkit.envs.atari.make`."""
        ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
        self._games: Any = AtariVectorEnv(
            rom,
            num_envs,
            num_threads=threads,
            max_num_frames_per_episode=max_frames,
            repeat_action_probability=sticky,
            full_action_space=full_action_space,
            autoreset_mode=AutoresetMode.SAME_STEP,
            img_height=size[0],
            img_width=size[1],
            grayscale=grey,
            stack_num=stack,
            frameskip=frame_skip,
            # It draws from 0 to one less than this.
            noop_max=noop_max + 1,
            life_loss_info=life_loss,
            reward_clipping=False,
            use_fire_reset=fire_reset,
        )
        self.metadata = {"autoreset_mode": AutoresetMode.SAME_STEP}
        self.num_envs = num_envs
        self.frame_stack = stack
        for space in ("observation_space", "action_space", "single_observation_space", "single_action_space"):
            setattr(self, space, getattr(self._games, space))
        self._skip = frame_skip
        self._clip = reward_clip
        self._infos: dict[str, Array] = {}
        self._shown = np.zeros(num_envs, np.int64)

    def reset(
        self, *, seed: int | Sequence[int] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Array, dict[str, Any]]:
        """Start a game in every environment, i seeded with ``seed[i]`` or ``seed + i``; no options are known.

        Returns:
            observation: [N, stack, H, W] uint8, or [N, stack, H, W, 3] in color.
            infos: none.
        """
        seeds = seed if seed is None or isinstance(seed, int) else np.asarray(seed, np.int64)
        observation, self._infos = self._games.reset(seed=seeds)
        self._shown[:] = 1
        self._fill(observation, self._shown)
        return observation, {}

    def step(self, actions: Array) -> Result:
        """Step every game by its action, [N] int64; results as of `recv`."""
        self.send(actions)
        return self.recv()

    def send(self, actions: Array) -> None:
        """Start the step of `actions` [N] in the threads."""
        self._games.send(actions)

    def recv(self) -> Result:
        """Wait for the step and return it, with ``raw_reward`` and ``game_over`` [N] in the infos."""
        observation, score, terminated, truncated, infos_t = self._games.recv()
        before, self._infos = self._infos, infos_t
        goes_on = infos_t["episode_frame_number"] == before["episode_frame_number"] + self._skip
        alive = terminated & goes_on & (infos_t["lives"] < before["lives"])
        over = (terminated & ~alive) | truncated
        infos: dict[str, Any] = {"rlkit/raw_reward": score.astype(np.float64), "rlkit/game_over": over}
        if over.any() or alive.any():
            infos = {**infos, "final_obs": self._final(infos_t["final_obs"], over), "final_info": infos}
        self._shown = np.where(over, 1, np.minimum(self._shown + 1, self.frame_stack))
        self._fill(observation, self._shown)
        if alive.any():
            infos["final_obs"][alive] = observation[alive]
        reward = np.clip(infos["rlkit/raw_reward"], -1, 1) if self._clip else infos["rlkit/raw_reward"]
        return observation, reward, terminated, truncated, infos

    def _final(self, observation: Array, over: Array) -> Array:
        self._fill(observation, np.where(over, np.minimum(self._shown + 1, self.frame_stack), self.frame_stack))
        return observation

    def _fill(self, observation: Array, shown: Array) -> None:
        """Repeat the first frame of games that showed fewer frames than a stack holds, in place."""
        for i in np.flatnonzero(shown < self.frame_stack):
            empty = self.frame_stack - int(shown[i])
            observation[i, :empty] = observation[i, empty]

    def close_extras(self, **kwargs: Any) -> None:
        """Stop the threads."""
        self._games = None
