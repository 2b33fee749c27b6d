"""A model's description of its data, from somebody else: every field is checked before a row is read for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rlkit.cli.main import main
from rlkit.fitting.about import checked_about
from rlkit.fitting.run import named
from rlkit.learners.model_names import SavingError

TABLE = {
    **{"task": "classification", "texts": False, "features": ["x"], "text_features": [], "columns": 1, "target": "y"},
    **{"classes": ["a"], "image_shape": None, "missing": [""], "ratings": None},
}
RATINGS = {"items": np.array([1, 3]), "names": ["one", "three"], "scale": "log1p"}
WRONG = {
    "task": ["nonsense", None, 3, ["clustering"]],
    "texts": [None, 1, "true"],
    "features": [None, "x", [1], {"x": 1}],
    "text_features": [None, [None]],
    "columns": [-1, 1.0, "1", True],
    "target": [None, 1],
    "classes": [None, [1], "ab"],
    "image_shape": [[1, 2], [2, 3, 3], [1, 0, 3], [3, 10**5, 10**5], "abc", [1, 2.0, 3]],
    "missing": [None, [0]],
    "ratings": [
        *([], {}, {**RATINGS, "scale": "os.system"}, {**RATINGS, "names": ["one"]}, {**RATINGS, "names": [1, 2]}),
        *(
            {**RATINGS, "items": items}
            for items in (None, [1, 3], np.array([3, 1]), np.array([1.0, 3]), np.zeros((2, 1), int))
        ),
        {"items": np.zeros(0, int), "names": [], "scale": "none"},
    ],
}


@pytest.mark.parametrize("name", WRONG)
def test_every_field_is_checked(name: str) -> None:
    whole = {**TABLE, "task": "recommendation", "ratings": RATINGS} if name == "ratings" else TABLE
    assert checked_about(whole) == whole
    for value in WRONG[name]:
        with pytest.raises(SavingError, match=rf"description of its data has .* as {name}; fit it again$"):
            checked_about({**whole, name: value})
    with pytest.raises(SavingError, match=f"has nothing as {name}"):
        checked_about({key: value for key, value in whole.items() if key != name})


@pytest.mark.parametrize("state", [None, [], 3, "x"])
def test_a_description_is_a_table_of_fields(state: Any) -> None:
    with pytest.raises(SavingError, match="description of its data is a"):
        checked_about(state)


def test_ratings_are_of_recommenders_alone() -> None:
    for about in ({**TABLE, "ratings": RATINGS}, {**TABLE, "task": "recommendation"}):
        with pytest.raises(SavingError, match="does not fit its task"):
            checked_about(about)


@pytest.mark.parametrize("number", [-1, 2, 2**40])
def test_a_class_without_a_name_is_refused(number: int) -> None:
    assert named(np.array([1, 0]), ["a", "b"]).tolist() == ["b", "a"]
    with pytest.raises(SavingError, match=r"the model predicts class \d+, and it knows 2 by name|predicts class"):
        named(np.array([0, number]), ["a", "b"])


def test_a_match_looks_at_its_output_before_it_plays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("rlkit.cli.verbs.match.play_match", None)
    Path("file").write_text("kept")
    for out, told in (
        (".", "is a folder; name a file"),
        ("file/x.csv", "cannot be written"),
        ("/proc/x", "cannot be written"),
    ):
        assert main(["match", "random", "perfect", "env=tic_tac_toe", "games=2", f"out={out}"]) == 2
        assert told in capsys.readouterr().err
    assert Path("file").read_text() == "kept"
