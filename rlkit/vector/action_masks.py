"""Which actions are legal, as the info of environments says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from rlkit.core.spaces import choice_sizes
from rlkit.core.types import Array, UsageError

Infos = Mapping[str, Any]


class Masks:
    """Reads ``info["action_mask"]``, one flag for each of A values of an action's choices (`choice_sizes`).

    Attributes:
        wanted: masks are to be read; else there are none.
    """

    def __init__(self, action_space: Any, metadata: Mapping[str, Any], *, action_mask: bool):
        """Read masks where `action_mask` asks for them, or the environment's metadata say ``"action_mask": True``.

        Raises:
            UsageError: masks of actions that are no choices.
        """
        self.wanted = action_mask or bool(metadata.get("action_mask"))
        self._space, self._asked = action_space, action_mask
        self._length = sum(choice_sizes(action_space)) if self.wanted else 0

    def of_each(self, infos: Sequence[Infos]) -> Array | None:
        """Return the masks [N, A] bool in the infos of N environments, or None where none are wanted.

        Raises:
            UsageError: an info has none, or one of another length.
        """
        if not self.wanted:
            return None
        if not all("action_mask" in info for info in infos):
            raise self._missing()
        return np.array([self._row(info["action_mask"]) for info in infos])

    def of_vector(self, infos: Infos, told: Array, otherwise: Array | None = None) -> Array | None:
        """Return the masks [N, A] bool in a vector environment's `infos`, or None where none are wanted.

        Args:
            infos: rows of which they do not speak keep their mask of `otherwise`.
            told: [N] bool, of which rows they have to speak.
            otherwise: [N, A] bool; None: everything is legal.

        Raises:
            UsageError: there is none for a row that is `told`, or one of another length.
        """
        if not self.wanted:
            return None
        known = np.asarray(infos.get("_action_mask", np.full(len(told), "action_mask" in infos)), bool)
        if not known[told].all():
            raise self._missing()
        masks = np.ones((len(told), self._length), bool) if otherwise is None else otherwise.copy()
        for i in np.flatnonzero(known):
            masks[i] = self._row(infos["action_mask"][i])
        return masks

    def _row(self, mask: Any) -> Array:
        """Return a mask [A] as booleans."""
        # As objects, parts of several lengths are a row of another length, and no error of numpy's.
        row = mask if isinstance(mask, np.ndarray) else np.asarray(mask, object)
        if row.shape == (self._length,):
            return row.astype(bool)
        found = f"length {len(row)}" if row.ndim == 1 else f"shape {list(row.shape)}"
        raise UsageError(
            f'info["action_mask"] has {found}, but actions of {self._space} need one row of {self._length} flags; '
            "let reset() and step() give that"
        )

    def _missing(self) -> UsageError:
        asked = "action_mask=true" if self._asked else "the environment's metadata say action_mask: True"
        remedy = "leave it out, or let" if self._asked else "let"
        return UsageError(
            f"{asked}, but the environment's info has no action_mask: {remedy} reset() and step() give one "
            f"[{self._length}] bool"
        )
