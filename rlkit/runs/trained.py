"""What exports and shares need of a run; `Run` is one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from rlkit.config.run_config import TrainRunConfig
from rlkit.core.types import Agent, Array, State


class TrainedRun(Protocol):
    """A run with checkpoints.

    Attributes:
        directory: its folder.
        values: config.yaml as plain data.
    """

    directory: Path
    values: dict[str, Any]

    @property
    def config(self) -> TrainRunConfig:
        """As in `Run`."""

    @property
    def name(self) -> str:
        """As in `Run`."""

    @property
    def videos(self) -> Path:
        """As in `Run`."""

    @property
    def evaluations(self) -> dict[str, Array]:
        """As in `Run`: columns [R] by name."""

    def load_agent(self, checkpoint: str | int = "best", device: str | None = None) -> Agent:
        """As in `Run`."""

    def new_agent(self, device: str | None = None, settings: Mapping[str, Any] | None = None) -> tuple[Agent, State]:
        """As in `Run`."""

    def chosen(self, checkpoint: str | int) -> str:
        """As in `Run`."""

    def stored(self, checkpoint: str) -> tuple[int, State]:
        """As in `Run`."""

    def make_env(self) -> Any:
        """As in `Run`."""
