"""Texts as numbers: what a network reads of a mission, word by word or character by character."""

from __future__ import annotations

import re
import warnings
import zlib
from typing import Any, Protocol

import numpy as np
from gymnasium import spaces

from rlkit.core.types import Array, EnvironmentFaultError

MOST_WORDS = 64
"""Words of a text that are read, where its space has no limit."""

WORD = re.compile(r"\w+|[^\w\s]")

BUCKETS = 4096
"""Numbers of words; 50 words of a simple language share none of them with a probability of 3 in 4."""


class Tokens(spaces.MultiDiscrete):
    """The space of texts as numbers [length] int16: of each token from 1, then 0 up to the end.

    Attributes:
        length: most tokens of a text.
        vocabulary: V; numbers are below it.
    """

    def __init__(self, length: int, vocabulary: int):
        dtype: Any = np.int16
        super().__init__(np.full(length, vocabulary, dtype), dtype=dtype)
        self.length = length
        self.vocabulary = vocabulary

    def __repr__(self) -> str:
        """Return its name, length and vocabulary."""
        return f"Tokens({self.length}, {self.vocabulary})"


class Tokenizer(Protocol):
    """Turns a text into numbers; the same text into the same ones, in every process."""

    space: Tokens

    def __call__(self, text: str) -> Array:
        """Return the numbers [length] int16 of the tokens of `text`."""


class Characters:
    """A number for each character of an alphabet; others have the number after the last."""

    def __init__(self, alphabet: str, length: int):
        """Read up to `length` characters."""
        self._numbers = {character: i for i, character in enumerate(alphabet, 1)}
        self.space = Tokens(length, len(alphabet) + 2)

    def __call__(self, text: str) -> Array:
        """Return the numbers [length] int16 of the characters."""
        other = self.space.vocabulary - 1
        return padded([self._numbers.get(character, other) for character in text], self.space.length, "characters")


class Words:
    """A number for each word and punctuation mark, its checksum: no vocabulary is learned, nor is one to be saved."""

    def __init__(self, length: int = MOST_WORDS, vocabulary: int = BUCKETS):
        """Read up to `length` words, by numbers below `vocabulary`."""
        self.space = Tokens(length, vocabulary)

    def __call__(self, text: str) -> Array:
        """Return the numbers [length] int16 of the words, in small letters."""
        words, last = WORD.findall(text.lower()), self.space.vocabulary - 1
        return padded([1 + zlib.crc32(word.encode()) % last for word in words], self.space.length, "words")


def padded(numbers: list[int], length: int, what: str) -> Array:
    """Return `numbers` as an array [length] int16, with zeros behind; what is too long is shortened, with a warning."""
    if len(numbers) > length:
        warnings.warn(
            f"a text of more than {length} {what} is read up to there; "
            "for longer ones: preprocess=[{_target_: rlkit.preprocess.Tokenize, length: …}]",
            stacklevel=2,
        )
    tokens = np.zeros(length, np.int16)
    tokens[: len(numbers)] = numbers[:length]
    return tokens


def is_text(space: Any) -> bool:
    """Return whether a space, Gymnasium's `Text` or another package's, is of strings."""
    if isinstance(space, spaces.Text):
        return True
    dtype = getattr(space, "dtype", None)
    return dtype is not None and np.dtype(dtype).kind == "U"


def tokenizer_of(space: Any) -> Tokenizer:
    """Return the tokenizer for a space of strings: by characters for a `Text` without blanks, else by words."""
    if isinstance(space, spaces.Text) and " " not in space.character_set:
        return Characters("".join(sorted(space.character_set)), space.max_length)
    return Words()


def tokens_of(tokenizer: Tokenizer, text: Any) -> Array:
    """Return the numbers [length] int16 of `text`.

    Raises:
        EnvironmentFaultError: it is no string.
    """
    if not isinstance(text, str):
        raise EnvironmentFaultError(f"the environment returned {text!r} where its space says text; return a str")
    return tokenizer(text)
