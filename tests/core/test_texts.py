"""Texts as numbers, the same in every process."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from rlkit.core.array_spaces import as_arrays
from rlkit.core.spaces import as_rows, num_states, row_width
from rlkit.core.texts import Characters, Tokens, Words
from rlkit.core.types import EnvironmentFaultError, UsageError
from rlkit.preprocess import Tokenize
from toys import assert_same


class Missions(spaces.Space[str]):
    """A space of another package, which says nothing of its texts."""

    def __init__(self) -> None:
        super().__init__(dtype=str)

    def sample(self, mask: Any = None) -> str:
        return "go"

    def contains(self, x: Any) -> bool:
        return isinstance(x, str)


class Bare(spaces.Space[Any]):
    """A space of another package that knows nothing of arrays."""


class Speaking(gymnasium.Env[Any, Any]):
    """Shows one observation."""

    action_space = spaces.Discrete(2)

    def __init__(self, space: Any, shown: Any) -> None:
        self.observation_space = space
        self._shown = shown

    def reset(self, **keys: Any) -> Any:
        return self._shown, {}


def shown(space: Any, text: Any) -> Any:
    env = as_arrays(Speaking(space, text))
    observation = env.reset()[0]
    assert env.observation_space.contains(observation)
    return observation


def test_words_are_their_checksums_whatever_their_case_and_marks_are_words() -> None:
    words = Words(length=6, vocabulary=1000)
    assert words("Go to the red ball.").tolist() == words("go TO the  red ball .").tolist()
    assert words("go to").tolist() == [145, 379, 0, 0, 0, 0]
    assert len(set(words("pick up a blue key,").tolist())) == 6
    assert words("").tolist() == [0] * 6


def test_characters_count_from_one_and_others_are_one_more() -> None:
    assert Characters("abc", 5)("cab?").tolist() == [3, 1, 2, 4, 0]
    assert Characters("abc", 5).space == Tokens(5, 5)


def test_a_text_without_blanks_is_read_by_characters_others_by_words() -> None:
    assert_same(shown(spaces.Text(4, charset="ba"), "ab"), np.array([1, 2, 0, 0], np.int16))
    by_words = shown(spaces.Text(99, charset="abc "), "abc a")
    assert by_words.tolist()[:3] == [*Words()("abc a")[:2].tolist(), 0]
    assert_same(shown(Missions(), "go to"), Words()("go to"))


def test_a_long_text_is_shortened_and_says_so() -> None:
    with pytest.warns(UserWarning, match=r"more than 2 words is read up to there.*Tokenize, length: …"):
        assert Words(2, 50)("a b c").tolist() == Words(2, 50)("a b").tolist()


def test_what_is_no_text_is_named_and_spaces_without_arrays_name_the_wrapper() -> None:
    with pytest.raises(EnvironmentFaultError, match=r"returned 3 where its space says text; return a str"):
        shown(Missions(), 3)
    with pytest.raises(UsageError, match=r"observations must be Box.*gymnasium.wrappers.TransformObservation"):
        as_arrays(Speaking(spaces.Dict(a=Bare(), b=spaces.Discrete(2)), None))


def test_the_space_of_tokens_survives_copies_and_vectors() -> None:
    space = Tokens(3, 70)
    for other in (copy.deepcopy(space), pickle.loads(pickle.dumps(space))):
        assert isinstance(other, Tokens)
        assert (other, other.vocabulary, other.length, str(other)) == (space, 70, 3, "Tokens(3, 70)")
    vector = gymnasium.vector.SyncVectorEnv([lambda: as_arrays(Speaking(Missions(), "go to"))] * 2)
    assert isinstance(vector.single_observation_space, Tokens)
    assert_same(vector.reset()[0], np.stack([Words()("go to")] * 2))


def test_rows_of_texts_are_counts_and_parts_stand_beside_each_other() -> None:
    space = spaces.Dict([("text", Tokens(4, 5)), ("state", spaces.Discrete(3)), ("box", spaces.Box(0, 9, (2,)))])
    shown = {
        "text": np.array([[2, 2, 1, 0], [0, 0, 0, 0]], np.int16),
        "state": np.array([2, 0]),
        "box": np.array([[8, 9], [1, 2]], np.float32),
    }
    assert as_rows(shown, space).tolist() == [[1, 2, 0, 0, 0, 0, 1, 8, 9], [0, 0, 0, 0, 1, 0, 0, 1, 2]]
    assert row_width(space) == 9
    assert as_rows(shown, space, np.float64).dtype == np.float64
    with pytest.raises(UsageError, match="q needs discrete observations, not Tokens"):
        num_states(Tokens(4, 5), agent="q")


def test_the_wrapper_has_options_and_takes_nothing_but_texts() -> None:
    by_characters = Tokenize(Speaking(Missions(), "b A"), by="characters", length=4)
    assert by_characters.reset()[0].tolist() == [ord("b") - 31, 1, ord("A") - 31, 0]
    assert Tokenize(Speaking(Missions(), "go"), length=2, vocabulary=9).observation_space == Tokens(2, 9)
    alphabet = Tokenize(Speaking(spaces.Text(3, charset="yx"), "xy"), by="characters", length=2)
    assert alphabet.reset()[0].tolist() == [1, 2]
    with pytest.raises(UsageError, match=r"Tokenize takes texts, not Discrete\(3\); leave it out, or give it _part_"):
        Tokenize(Speaking(spaces.Discrete(3), 0))
    with pytest.raises(UsageError, match=r"vocabulary is 40000; it must be from 2 to 32767"):
        Tokenize(Speaking(Missions(), "go"), vocabulary=40000)
