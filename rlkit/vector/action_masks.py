"""Masks of legal actions, read from the infos of environments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from rlkit.core.spaces import choice_sizes
from rlkit.core.types import Array, UsageError

Infos = Mapping[str, Any]


class Masks:
    """Reads ``info["action_mask"]``, one flag for each of the A values of an action's choices (`choice_sizes`).

    Attributes:
        wanted: whether masks are read; otherwise there are none.
    """

    def __init__(self, action_space: Any, metadata: Mapping[str, Any], *, action_mask: bool):
        """Read masks if `action_mask`, or if the environment's metadata have ``"action_mask": True``.

        Raises:
            UsageError: masks are wanted, and the actions are not discrete choices.
        """
        self.wanted = action_mask or bool(metadata.get("action_mask"))
        self._space = action_space
        self._asked = action_mask
        self._length = sum(choice_sizes(action_space)) if self.wanted else 0

    def of_each(self, infos: Sequence[Infos]) -> Array | None:
        """Return the masks [N, A] bool in the infos of N environments, or None where none are wanted.

        Raises:
            UsageError: an info has no mask, or one of another length.
        """
        if not self.wanted:
            return None
        if not all("action_mask" in info for info in infos):
            raise self._missing()
        return np.array([self._row(info["action_mask"]) for info in infos])

    def of_vector(self, infos: Infos, required: Array, otherwise: Array | None = None) -> Array | None:
        """Return the masks [N, A] bool in a vector environment's `infos`, or None where none are wanted.

        Args:
            infos: rows without a mask keep that of `otherwise`.
            required: [N] bool, the rows that must have a mask.
            otherwise: [N, A] bool; None: all actions are legal.

        Raises:
            UsageError: a row that is `required` has no mask, or a mask has another length.
        """
        if not self.wanted:
            return None
        known = np.asarray(infos.get("_action_mask", np.full(len(required), "action_mask" in infos)), bool)
        if not known[required].all():
            raise self._missing()
        masks = np.ones((len(required), self._length), bool) if otherwise is None else otherwise.copy()
        for i in np.flatnonzero(known):
            masks[i] = self._row(infos["action_mask"][i])
        return masks

    def _row(self, mask: Any) -> Array:
        """Return a mask [A] as bool."""
        # With dtype object, ragged masks are a row of another length instead of an error of NumPy.
        row = mask if isinstance(mask, np.ndarray) else np.asarray(mask, object)
        if row.shape == (self._length,):
            return row.astype(bool)
        actual = f"length {len(row)}" if row.ndim == 1 else f"shape {list(row.shape)}"
        raise UsageError(
            f'info["action_mask"] has {actual}, but actions of {self._space} need one row of {self._length} flags; '
            "let reset() and step() return that"
        )

    def _missing(self) -> UsageError:
        asked = "action_mask=true" if self._asked else "the environment's metadata have action_mask: True"
        remedy = "leave it out, or let" if self._asked else "let"
        return UsageError(
            f"{asked}, but the environment's info has no action_mask: {remedy} reset() and step() return one "
            f"[{self._length}] bool"
        )
