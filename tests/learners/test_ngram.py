"""Language models that count: beside the same with dictionaries, by hand, and on a whole book."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from real_data import folder

import rlkit
from rlkit.cli.main import main
from rlkit.core.types import UsageError
from rlkit.learners.datasets.prose import prepared, text_file
from rlkit.learners.estimators.generation import drawn
from rlkit.learners.estimators.ngram import NGramLanguageModel

TEXTS = st.text("abcé\n", min_size=4, max_size=60)


def added(seen: str, context: str, following: str, smoothing: float) -> float:
    """Return the chance of a character after a context, with `smoothing` added to each count."""
    n = len(context)
    counts = Counter(seen[i : i + n + 1] for i in range(len(seen) - n))
    total = sum(count for gram, count in counts.items() if gram[:n] == context)
    return (counts[context + following] + smoothing) / (total + smoothing * len(set(seen)))


def backed_off(seen: str, context: str, following: str) -> float:
    """Return it as Witten and Bell do, from the longest context to none."""
    n, shorter = len(context), 1 / len(set(seen))
    if n:
        shorter = backed_off(seen, context[1:], following)
    after = Counter(seen[i + n] for i in range(len(seen) - n) if seen[i : i + n] == context)
    total = after.total()
    return shorter if total == 0 else (after[following] + len(after) * shorter) / (total + len(after))


class TestCounts:
    @settings(deadline=None, max_examples=60)
    @given(TEXTS, TEXTS, st.integers(1, 4))
    def test_added_counts_are_those_of_dictionaries(self, seen: str, read: str, order: int) -> None:
        read = "".join(one for one in read if one in seen) + seen[:4]
        model = NGramLanguageModel(order, method="add", smoothing=0.3).fit([seen])
        for i, chance in enumerate(model.chances(read), start=order - 1):
            assert chance == pytest.approx(added(seen, read[i - order + 1 : i], read[i], 0.3))

    @settings(deadline=None, max_examples=60)
    @given(TEXTS, TEXTS, st.integers(1, 4))
    def test_so_are_mixtures_with_shorter_contexts(self, seen: str, read: str, order: int) -> None:
        read = "".join(one for one in read if one in seen) + seen[:4]
        model = NGramLanguageModel(order).fit([seen])
        for i, chance in enumerate(model.chances(read), start=order - 1):
            assert chance == pytest.approx(backed_off(seen, read[i - order + 1 : i], read[i]))

    @pytest.mark.parametrize("method", ["add", "back_off"])
    def test_chances_after_any_context_are_1_together(self, method: str) -> None:
        model = NGramLanguageModel(3, method=method).fit(["abracadabra"])
        for context in ("ab", "ra", "zz", "dd"):
            assert model._after(model._codes(context)).sum() == pytest.approx(1)

    def test_by_hand(self) -> None:
        # After a: b twice, c and d once, in a text whose last a is followed by nothing; five characters.
        model = NGramLanguageModel(2, method="add", smoothing=1.0).fit(["abracadabra"])
        assert model.chances("ab").tolist() == [pytest.approx(3 / 9)]
        assert model.chances("ar").tolist() == [pytest.approx(1 / 9)]
        assert model.score(["abar"]) == pytest.approx(-(np.log2(3 / 9) + np.log2(1 / 7) + np.log2(1 / 9)) / 3)
        # Backing off: (2 + 3 * P(b)) / (4 + 3), where P(b) is (2 + 5 / 5) / (11 + 5).
        assert NGramLanguageModel(2).fit(["abracadabra"]).chances("ab").tolist() == [pytest.approx((2 + 9 / 16) / 7)]

    def test_texts_go_on_in_the_next_one(self) -> None:
        assert NGramLanguageModel(2).fit(["ab", "ra"]).chances("br") > NGramLanguageModel(2).fit(["ab", "ar"]).chances(
            "br"
        )

    @pytest.mark.parametrize(
        ("model", "said"),
        [
            (NGramLanguageModel(0), "order"),
            (NGramLanguageModel(2, method="none"), "method"),
            (NGramLanguageModel(2, method="add", smoothing=0.0), "smoothing"),
            (NGramLanguageModel(60), "order"),
        ],
    )
    def test_what_cannot_be_is_refused(self, model: NGramLanguageModel, said: str) -> None:
        with pytest.raises(ValueError, match=said):
            model.fit(["abracadabra"])

    def test_so_is_nothing(self) -> None:
        with pytest.raises(ValueError, match="at least one character"):
            NGramLanguageModel(2).fit([""])


def test_a_whole_book_takes_the_bits_that_it_should() -> None:
    text = prepared((folder("text") / "war_and_peace.txt").read_text("utf-8-sig"))
    assert len(text) == 3_198_881
    cut = int(0.9 * len(text))
    expected = {1: 4.388, 2: 3.446, 3: 2.751, 4: 2.204, 5: 1.961, 6: 2.031}
    for order, bits in expected.items():
        model = NGramLanguageModel(order, method="add").fit([text[:cut]])
        assert model.score([text[cut:]]) == pytest.approx(bits, abs=0.001)
    assert NGramLanguageModel().fit([text[:cut]]).score([text[cut:]]) == pytest.approx(1.8295, abs=0.001)


class TestGeneration:
    def test_what_was_learned_goes_on(self) -> None:
        model = NGramLanguageModel(3, random_state=0).fit(["hello " * 20])
        assert model.generate(13, "hel", temperature=0) == "lo hello hell"
        assert model.generate(13, "hel", top_k=1) == "lo hello hell"

    def test_equal_seeds_write_the_same(self) -> None:
        said = [NGramLanguageModel(2, random_state=seed).fit(["abracadabra"]).generate(50) for seed in (0, 0, 1)]
        assert said[0] == said[1] != said[2]
        assert set(said[0]) <= set("abrcd")

    def test_draws_follow_chances_temperature_and_the_likeliest(self) -> None:
        chances, rng = np.array([0.1, 0.2, 0.7]), np.random.default_rng(0)

        def shares(temperature: float, top_k: int | None) -> list[float]:
            found = [drawn(chances, rng, temperature, top_k) for _ in range(6000)]
            return (np.bincount(found, minlength=3) / 6000).tolist()

        assert shares(1.0, None) == pytest.approx([0.1, 0.2, 0.7], abs=0.02)
        assert shares(0.5, None) == pytest.approx([0.01 / 0.54, 0.04 / 0.54, 0.49 / 0.54], abs=0.02)
        assert shares(1.0, 2) == pytest.approx([0, 2 / 9, 7 / 9], abs=0.02)
        for wrong in ((-1.0, None), (1.0, 0)):
            with pytest.raises(ValueError, match="at least"):
                drawn(chances, rng, *wrong)


class TestTexts:
    def test_wrapped_lines_are_put_together(self) -> None:
        assert prepared("one\ntwo\n\nthree\r\nfour\n\n\n\n\nfive") == "one two\n\nthree four\n\nfive"

    def test_a_file_is_read_without_its_mark(self, tmp_path: Path) -> None:
        (tmp_path / "a.txt").write_bytes("one\ntwo".encode("utf-8-sig"))
        assert text_file(str(tmp_path / "a.txt"), join_lines=True).rows.X.tolist() == ["one two"]
        assert text_file(str(tmp_path / "a.txt"), join_lines=False).rows.X.tolist() == ["one\ntwo"]

    @pytest.mark.parametrize("content", [None, b"", b"\xff\xfe\x00"])
    def test_what_is_no_text_is_refused(self, content: bytes | None, tmp_path: Path) -> None:
        if content is not None:
            (tmp_path / "a.txt").write_bytes(content)
        with pytest.raises(UsageError, match=r"^data.path=\S+ (cannot be read as text|is empty)"):
            text_file(str(tmp_path / "a.txt"), join_lines=True)


def test_a_run_holds_the_end_out_writes_a_sample_and_goes_on_with_lines(tmp_path: Path) -> None:
    line = "to be or not to be, that is the question. "
    (tmp_path / "a.txt").write_text(line * 40 + line[::-1] * 20)
    words = ("learner=ngram", "data=text", f"data.path={tmp_path}/a.txt", "learner.order=3", f"test_size={1 / 3}")
    run = rlkit.fit(*words, run_dir=tmp_path / "run")
    # What was held out is written backwards.
    assert run.final_metrics["test/bits_per_character"] > 3 > run.final_metrics["train/bits_per_character"]
    assert len((tmp_path / "run" / "sample.txt").read_text()) == 1001
    (tmp_path / "lines.txt").write_text("to be\nthat is\n")
    assert main(["predict", f"run={tmp_path}/run", f"input={tmp_path}/lines.txt", f"out={tmp_path}/out.csv"]) == 0
    with (tmp_path / "out.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["text"], len(row["continued"])) for row in rows] == [("to be", 200), ("that is", 200)]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("folds=3",), "folds= needs rows, and of texts the end is held out"),
        (("test_size=0.99999",), "cannot be held out; set test_size=0"),
        (("prepare=words",), "a language model reads texts; leave it out"),
        (("learner=tree_classifier",), "the data is for language, which takes a language_model"),
    ],
)
def test_what_does_not_go_with_texts_is_refused(words: tuple[str, ...], said: str, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("to be or not to be")
    with pytest.raises(UsageError, match=said):
        rlkit.fit("learner=ngram", "data=text", f"data.path={tmp_path}/a.txt", *words, run_dir=tmp_path / "run")
