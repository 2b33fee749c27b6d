"""What agents with recurrent networks remember while they act, if they learn from a replay (torch)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from torch import Tensor

from rlkit.core.types import Memory, Replay, Tree, UsageError
from rlkit.networks.recurrent import Unrolling

NOT_EXPORTED = "a file holds the memory of a2c and ppo alone; use run.policy() from Python"

Reader = Callable[[Tree], Any]


class Recall:
    """Steps the recurrent cores of an agent's networks, each with a name.

    A memory is ``{"before": …, "hidden": …}``: by the name of a network its state [N, H] float32, before the step that
    is acted in and after it. The first is for the replay.
    """

    def __init__(self, networks: Mapping[str, tuple[Reader, Unrolling]], tensor: Callable[[Tree], Any]):
        """Step the cores of `networks`, each with the reader of its observations; `tensor` converts arrays."""
        self._networks = dict(networks)
        self._tensor = tensor

    def initial(self, n: int) -> Memory:
        """Return the memory of `n` environments at the start of their episodes."""
        zeros = {name: np.zeros((n, body.core.hidden_size), np.float32) for name, (_, body) in self._networks.items()}
        return {"before": zeros, "hidden": zeros}

    def __call__(self, observation: Tree, memory: Memory) -> tuple[dict[str, Tensor], Memory]:
        """Return the features [N, F] of each network for observations [N, ...], tensors, and the new memory."""
        features, hidden = {}, {}
        for name, (reader, body) in self._networks.items():
            before = self._tensor(memory["hidden"][name])
            features[name], after = body.step(reader(observation), before)
            hidden[name] = after.cpu().numpy()
        return features, {"before": memory["hidden"], "hidden": hidden}


def require_sequences(replay: Replay, batch_size: int, setting: str) -> None:
    """Check that a replay samples sequences, and that whole ones make a minibatch; `setting` made networks recurrent.

    Raises:
        UsageError: it does not, or they do not.
    """
    learned = getattr(replay, "learned", None)
    if learned is None:
        raise UsageError(f"{setting} learns from sequences: set replay=sequences, or leave the networks without memory")
    if batch_size % learned:
        raise UsageError(
            f"agent.batch_size is {batch_size}; it must be a multiple of replay.length - replay.burn_in={learned}"
        )
