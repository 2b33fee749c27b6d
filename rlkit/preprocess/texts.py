"""A wrapper for observations that are texts."""

from __future__ import annotations

from typing import Any, Literal

import gymnasium

from rlkit.core.parts import OR_PART
from rlkit.core.ranges import PositiveInt
from rlkit.core.texts import Characters, Words, is_text, tokens_of
from rlkit.core.types import Array, UsageError

PRINTABLE = "".join(map(chr, range(32, 127)))
"""The characters that have a number of their own where a space has no alphabet."""


class Tokenize(gymnasium.ObservationWrapper[Any, Any, Any]):
    """Shows texts as the numbers of their words or characters, as rlkit does by itself, with options."""

    state_fields: tuple[str, ...] = ()

    def __init__(
        self,
        env: gymnasium.Env[Any, Any],
        by: Literal["words", "characters"] = "words",
        length: PositiveInt = 64,
        vocabulary: PositiveInt = 4096,
    ):
        """Wrap `env`.

        Args:
            env: its observations are texts.
            by: what has a number: words and punctuation marks, or characters.
            length: most of them that are read.
            vocabulary: numbers that words have, by their checksums.

        Raises:
            UsageError: its observations are no texts, or so many numbers are not at hand.
        """
        super().__init__(env)
        space: Any = env.observation_space
        if not is_text(space):
            raise UsageError(f"Tokenize takes texts, not {space}; leave it out, {OR_PART}")
        if not 2 <= vocabulary < 2**15:
            raise UsageError(f"Tokenize vocabulary is {vocabulary}; it must be from 2 to {2**15 - 1}")
        alphabet = "".join(sorted(getattr(space, "character_set", PRINTABLE)))
        self._tokenizer = Words(length, vocabulary) if by == "words" else Characters(alphabet, length)
        self.observation_space = self._tokenizer.space

    def observation(self, observation: Any) -> Array:
        """Return the numbers [length] int16 of the text's tokens."""
        return tokens_of(self._tokenizer, observation)
