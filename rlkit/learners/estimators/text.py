"""From texts to counts of words."""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Collection, Iterable
from numbers import Integral
from typing import Any, ClassVar, Literal, Self

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin, _fit_context
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from rlkit.core.ranges import PositiveInt
from rlkit.core.types import Array

TAG = re.compile(r"<[^<>]*>")
WORD = "[a-z]+"

StopWords = Literal["english"] | Collection[str] | None


def tokenize(text: str, stop_words: Collection[str] = frozenset(), token_pattern: str = WORD) -> list[str]:
    """Return the words of a text in order: no HTML, lower case, letters only (an apostrophe splits), no stop words.

    A word is what `token_pattern` finds in lower case; letters with accents are none of a to z.
    """
    plain = html.unescape(TAG.sub(" ", text)).lower()
    return [word for word in re.findall(token_pattern, plain) if word not in stop_words]


class CountVectorizer(TransformerMixin, BaseEstimator):
    r"""Turns texts into sparse counts of the words that were there in fitting; unknown words are skipped.

    Args:
        stop_words: words that are not counted: ``english`` for scikit-learn's 318, a collection of lower-case words, or
            None.
        token_pattern: regular expression of a word in lower case; ``[^\W\d_]+`` takes the letters of all alphabets.
        min_count: a word is known if all texts together have it so often.
        max_features: only so many of the commonest words are known, of equally common ones those first in the alphabet.

    Attributes:
        vocabulary_: dict from word to column; columns are in alphabetical order.
        counts_: [d] int64, how often the texts that were fitted have each word.
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "stop_words": [StrOptions({"english"}), list, set, frozenset, tuple, None],
        "token_pattern": [str],
        "min_count": [Interval(Integral, 1, None, closed="left")],
        "max_features": [Interval(Integral, 1, None, closed="left"), None],
    }

    def __init__(
        self,
        stop_words: StopWords = None,
        token_pattern: str = WORD,
        min_count: PositiveInt = 1,
        max_features: PositiveInt | None = None,
    ):
        self.stop_words = stop_words
        self.token_pattern = token_pattern
        self.min_count = min_count
        self.max_features = max_features

    def fit(self, X: Iterable[str], y: Any = None) -> Self:
        """Learn the words of texts; `y` is ignored.

        Raises:
            ValueError: a text is no string, or no word is left.
        """
        self.fit_transform(X, y)
        return self

    @_fit_context(prefer_skip_nested_validation=True)
    def fit_transform(self, X: Iterable[str], y: Any = None) -> sparse.csr_array:
        """Learn the words of texts and return their counts [n, d] float64; `y` is ignored.

        Raises:
            ValueError: a text is no string, or no word is left.
        """
        documents = self._tokenized(X)
        counts = Counter(word for document in documents for word in document)
        known = [word for word, count in counts.items() if count >= self.min_count]
        known = sorted(known, key=lambda word: (-counts[word], word))[: self.max_features]
        if not known:
            raise ValueError("the texts hold no word that is to be counted; give more text or fewer stop words")
        self.vocabulary_ = {word: column for column, word in enumerate(sorted(known))}
        self.counts_ = np.array([counts[word] for word in self.vocabulary_])
        return self._counted(documents)

    def transform(self, X: Iterable[str]) -> sparse.csr_array:
        """Return the counts [n, d] float64 of the known words in texts.

        Raises:
            ValueError: a text is no string.
        """
        check_is_fitted(self)
        return self._counted(self._tokenized(X))

    def get_feature_names_out(self, input_features: Any = None) -> Array:
        """Return the words [d] of the columns; `input_features` is ignored."""
        check_is_fitted(self)
        return np.array(list(self.vocabulary_), dtype=object)

    def _tokenized(self, texts: Iterable[str]) -> list[list[str]]:
        if isinstance(texts, str):
            raise ValueError("X is one string; give a list of texts")
        texts = list(texts)
        for text in texts:
            if not isinstance(text, str):
                raise ValueError(f"X holds {type(text).__name__} {text!r:.40}; every text is a string")
        stop_words = ENGLISH_STOP_WORDS if self.stop_words == "english" else frozenset(self.stop_words or ())
        return [tokenize(text, stop_words, self.token_pattern) for text in texts]

    def _counted(self, documents: list[list[str]]) -> sparse.csr_array:
        columns = [[self.vocabulary_[word] for word in words if word in self.vocabulary_] for words in documents]
        starts = np.concatenate([[0], np.cumsum([len(row) for row in columns])])
        places = np.fromiter((place for row in columns for place in row), np.int32, int(starts[-1]))
        counts = sparse.csr_array((np.ones(len(places)), places, starts), shape=(len(documents), len(self.vocabulary_)))
        counts.sum_duplicates()
        return counts

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        return tags
