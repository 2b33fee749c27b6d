"""Language models that count: n-grams of characters, with added counts or with back-off."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from rlkit.core.ranges import NonNegativeFloat, PositiveInt
from rlkit.core.types import Array
from rlkit.learners.estimators.generation import drawn
from rlkit.learners.estimators.settings import choose, generator, require

ROUTES = {"add": "_added", "back_off": "_backed_off"}


class NGramLanguageModel(BaseEstimator):
    """The chance of a character after the n - 1 before it, by how often it came there.

    Two ways to treat what was never counted. ``add``: each character counts as seen `smoothing` times more often after
    each context. ``back_off``: the chance is a mixture of that of the context, weighted by how often it was seen, and
    that of the context shorter by one, weighted by how many characters came there, down to equal chances (Witten &
    Bell, 1991).

    Attributes:
        alphabet_: [V] the characters that were seen, in order; one that was not is the first of them.
        counts_: for each length of contexts, the codes of contexts with a character after them, in order, [G] int64,
            and how often each came, [G] int64.
        contexts_: likewise the codes of contexts [C], how often each came [C], and after how many characters [C].
    """

    def __init__(
        self,
        order: PositiveInt = 6,
        *,
        smoothing: NonNegativeFloat = 0.01,
        method: str = "back_off",
        random_state: Any = None,
    ):
        """Keep the arguments.

        Args:
            order: n, of the characters that are counted together.
            smoothing: what is added to each count by the method add.
            method: add, or back_off.
            random_state: of what is generated: None, an integer, a `RandomState` or a `Generator`.
        """
        self.order = order
        self.smoothing = smoothing
        self.method = method
        self.random_state = random_state

    def fit(self, X: Sequence[str], y: Any = None) -> Self:
        """Count the characters of texts X [n].

        Raises:
            SettingError: an argument that cannot be, texts that are empty, or an order too large for the alphabet.
        """
        require(self.order >= 1, "order", self.order, "at least 1")
        choose("method", self.method, ROUTES)
        require(self.method != "add" or self.smoothing > 0, "smoothing", self.smoothing, "positive")
        text = "".join(X)
        require(len(text) > 0, "X", "empty", "a text of at least one character")
        points = np.frombuffer(text.encode("utf-32-le"), np.uint32)
        self.alphabet_ = np.array([chr(point) for point in np.unique(points)])
        largest = len(self.alphabet_) ** float(self.order)
        require(
            largest < 2**62, "order", self.order, f"lower: {len(self.alphabet_)} characters have {largest:.1g} n-grams"
        )
        codes = self._codes(text)
        lengths = range(self.order) if self.method == "back_off" else [self.order - 1]
        self.counts_: dict[int, tuple[Array, Array]] = {}
        self.contexts_: dict[int, tuple[Array, Array, Array]] = {}
        for length in lengths:
            grams, times = np.unique(self._grams(codes, length + 1), return_counts=True)
            contexts, first = np.unique(grams // len(self.alphabet_), return_index=True)
            totals = np.add.reduceat(times, first)
            self.counts_[length] = grams, times
            self.contexts_[length] = contexts, totals, np.diff(np.append(first, len(grams)))
        return self

    def score(self, X: Sequence[str], y: Any = None) -> float:
        """Return the bits per character of texts X [n]: less is better."""
        return float(-np.log2(self.chances("".join(X))).mean())

    def chances(self, text: str) -> Array:
        """Return the chance [T - n + 1] of each character of a text that has n - 1 before it."""
        check_is_fitted(self)
        codes = self._codes(text)
        require(len(codes) >= self.order, "X", f"{len(codes)} characters", f"at least {self.order}, as the order is")
        return self._of_grams(self._grams(codes, self.order))

    def generate(self, length: int, primer: str = "", *, temperature: float = 1.0, top_k: int | None = None) -> str:
        """Return `length` characters that come after a primer.

        Args:
            length: how many.
            primer: what was said before.
            temperature: logarithms of chances are divided by it; towards 0 the likeliest characters are left.
            top_k: only the likeliest so many are drawn; None: all.
        """
        check_is_fitted(self)
        rng, codes = generator(self.random_state), list(self._codes(primer)) if primer else []
        # Where nothing was said before, it is as if the first character of the alphabet had been said again and again.
        codes = [0] * max(0, self.order - 1 - len(codes)) + codes
        for _ in range(length):
            context = codes[len(codes) - self.order + 1 :]
            codes.append(drawn(self._after(context), rng, temperature, top_k))
        return "".join(self.alphabet_[codes[len(codes) - length :]])

    def _after(self, context: Sequence[int]) -> Array:
        """Return the chances [V] of all characters after a context [n - 1]."""
        size, code = len(self.alphabet_), 0
        for one in context:
            code = code * size + int(one)
        return self._of_grams(code * size + np.arange(size))

    def _of_grams(self, grams: Array) -> Array:
        chances: Array = getattr(self, ROUTES[self.method])(grams)
        return chances

    def _added(self, grams: Array) -> Array:
        contexts, totals, _ = self.contexts_[self.order - 1]
        size = len(self.alphabet_)
        seen = _looked_up(*self.counts_[self.order - 1], grams)
        return (seen + self.smoothing) / (_looked_up(contexts, totals, grams // size) + self.smoothing * size)

    def _backed_off(self, grams: Array) -> Array:
        size = len(self.alphabet_)
        chance = np.full(len(grams), 1 / size)
        for length in range(self.order):
            ending = grams % size ** (length + 1)
            contexts, totals, kinds = self.contexts_[length]
            total, kind = (_looked_up(contexts, column, ending // size) for column in (totals, kinds))
            seen = _looked_up(*self.counts_[length], ending)
            known = total > 0
            chance[known] = ((seen + kind * chance)[known]) / (total + kind)[known]
        return chance

    def _codes(self, text: str) -> Array:
        """Return the places [T] int64 of characters in the alphabet."""
        points = np.frombuffer(text.encode("utf-32-le"), np.uint32)
        known = np.array([ord(one) for one in self.alphabet_], np.uint32)
        places = np.searchsorted(known, points).clip(max=len(known) - 1)
        return np.where(known[places] == points, places, 0)

    def _grams(self, codes: Array, length: int) -> Array:
        """Return one number [T - length + 1] int64 for every `length` characters in a row."""
        grams = np.zeros(len(codes) - length + 1, np.int64)
        for i in range(length):
            grams = grams * len(self.alphabet_) + codes[i : len(codes) - length + 1 + i]
        return grams


def _looked_up(keys: Array, values: Array, wanted: Array) -> Array:
    """Return the values [B] of keys [B] among `keys` [G] in order, 0 where one is not there."""
    places = np.searchsorted(keys, wanted).clip(max=len(keys) - 1)
    return np.where(keys[places] == wanted, values[places], 0)
