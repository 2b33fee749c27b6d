"""A run that goes on by the Python loop or by the compiled one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from making import configured

from rlkit.algorithms.tabular.compiled import compiled_loop
from rlkit.core.loop import Interaction, train
from rlkit.core.seeding import Seeds
from rlkit.core.statistics import Averages, Episode, EpisodeTracker
from rlkit.runs import build
from rlkit.runs.training import stream


class Pieces:
    """A run in pieces: agent, stream and statistics."""

    def __init__(self, agent: Any, env: Any, stream: Interaction, *, masked: bool):
        self.agent, self.env, self.stream, self.masked = agent, env, stream, masked
        self.tracker, self.averages = EpisodeTracker(1), Averages()
        self.episodes: list[Episode] = []

    def walk(self, steps: int) -> None:
        """Go on until so many steps, by the Python loop."""
        for transition, metrics in train(self.agent, self.stream, total_steps=steps):
            if metrics is not None:
                self.averages.add(metrics)
            self.episodes += self.tracker.step(transition, self.stream.steps)

    def leap(self, steps: int, episodes: int = 10**9) -> None:
        """Go on until so many steps or ended episodes, by the compiled loop."""
        loop = compiled_loop(self.agent, self.env, action_mask=self.masked)
        while self.stream.steps < steps and len(self.episodes) < episodes:
            wanted = episodes - len(self.episodes)
            self.episodes += loop.stride(self.stream, self.tracker, self.averages, steps=steps, episodes=wanted)

    def everything(self) -> dict[str, Any]:
        """Return all that the two loops must agree on."""
        parts = (self.agent, self.stream, self.tracker, self.averages)
        return {type(part).__name__: part.state_dict() for part in parts} | {"episodes": self.episodes}


class Play(Pieces):
    """The pieces of what the command makes of words."""

    def __init__(self, words: str, seed: int = 3):
        self.config = config = replace(configured(words), seed=seed)
        env: Any = build.make_environment(config.environment, num_envs=1)
        agent = build.make_agent(config.agent_config, env, Seeds(seed))
        super().__init__(agent, env, stream(config, agent, env, opaque=False), masked=config.action_mask)
