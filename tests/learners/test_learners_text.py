from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sklearn.naive_bayes
from real_data import movie_reviews
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS
from sklearn.model_selection import StratifiedShuffleSplit
from sklearn.pipeline import make_pipeline

from rlkit.learners.estimators.naive_bayes import MultinomialNB
from rlkit.learners.estimators.text import CountVectorizer, tokenize


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("It's <b>GOOD</b>,<br/>isn't it?", ["it", "s", "good", "isn", "t", "it"]),
        ("a1b2 -- 3 < 4 &amp; tom&eacute;", ["a", "b", "tom"]),
        ("  \n", []),
    ],
)
def test_words(text: str, words: list[str]) -> None:
    assert tokenize(text) == words


def test_stop_words_and_other_alphabets() -> None:
    assert tokenize("The film and the actor", ENGLISH_STOP_WORDS) == ["film", "actor"]
    assert tokenize("Война и мир, déjà vu", token_pattern=r"[^\W\d_]+") == ["война", "и", "мир", "déjà", "vu"]


def test_counts_keep_multiplicity_and_skip_unknown_words() -> None:
    vectorizer = CountVectorizer()
    counts = vectorizer.fit_transform(["b a b", "", "c, a!"])
    assert vectorizer.get_feature_names_out().tolist() == ["a", "b", "c"]
    assert vectorizer.vocabulary_ == {"a": 0, "b": 1, "c": 2}
    assert counts.toarray().tolist() == [[1, 2, 0], [0, 0, 0], [1, 0, 1]]
    assert vectorizer.counts_.tolist() == [2, 2, 1]
    assert vectorizer.transform(["c zebra c b"]).toarray().tolist() == [[0, 1, 2]]
    assert CountVectorizer().fit(["b a b"]).transform(["a"]).toarray().tolist() == [[1, 0]]
    once = CountVectorizer().fit_transform(["b a b"])
    assert (once.indices.tolist(), once.data.tolist()) == ([0, 1], [1, 2])


def test_only_common_words() -> None:
    texts = ["d c b a", "c b", "b c e"]
    assert [*CountVectorizer(min_count=2).fit(texts).vocabulary_] == ["b", "c"]
    assert [*CountVectorizer(max_features=3).fit(texts).vocabulary_] == ["a", "b", "c"]
    assert [*CountVectorizer(stop_words=["b"], max_features=1).fit(texts).vocabulary_] == ["c"]


@pytest.mark.parametrize(
    ("texts", "message"),
    [("one text", "X is one string"), (["a", 3], "X holds int 3"), (["...", "1"], "hold no word")],
)
def test_what_cannot_be_counted_is_told(texts: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CountVectorizer().fit(texts)


class TestMovieReviews:
    def test_the_vocabulary(self) -> None:
        texts, labels = movie_reviews()
        assert np.bincount(labels).tolist() == [5331, 5331]
        vectorizer = CountVectorizer(stop_words="english").fit(texts)
        assert len(vectorizer.vocabulary_) == 17_866
        words = vectorizer.get_feature_names_out()
        most = np.argsort(-vectorizer.counts_)[:4]
        assert dict(zip(words[most], vectorizer.counts_[most].tolist(), strict=True)) == {
            "s": 3662,
            "film": 1600,
            "movie": 1391,
            "t": 975,
        }

    @pytest.mark.parametrize(
        ("stop_words", "mean"), [("english", 0.764), pytest.param(None, 0.776, marks=pytest.mark.slow)]
    )
    def test_ten_splits(self, stop_words: Any, mean: float) -> None:
        texts, labels = movie_reviews()
        scores = []
        for seed in range(10):
            split = StratifiedShuffleSplit(1, test_size=0.2, random_state=seed)
            [(train, test)] = split.split(texts, labels)
            pipeline = make_pipeline(CountVectorizer(stop_words=stop_words), MultinomialNB())
            pipeline.fit(texts[train], labels[train])
            scores.append(pipeline.score(texts[test], labels[test]))
        assert np.mean(scores) == pytest.approx(mean, abs=5e-4)
        assert np.std(scores) == pytest.approx(0.008, abs=5e-4)
        counts = pipeline[0].transform(texts)
        twin = sklearn.naive_bayes.MultinomialNB().fit(counts[train], labels[train])
        np.testing.assert_array_equal(pipeline[1].predict(counts), twin.predict(counts))
        np.testing.assert_allclose(pipeline[1].predict_log_proba(counts), twin.predict_log_proba(counts), atol=1e-10)
