"""Predictions belong to their rows: ids and classes as they were written, columns of the kind that was fitted."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rlkit
from rlkit.cli.main import main
from rlkit.core.types import UsageError
from rlkit.fitting.predictions import read_input, read_ratings
from rlkit.fitting.run import FitRun
from rlkit.learners.datasets import tables
from rlkit.learners.datasets.delimited import parse
from rlkit.learners.datasets.ratings import triples

BIG = [str(2**53 + i) for i in range(4)]
QUIET = ("logger=[csv]", "plots=false", "test_size=0")


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def fitted(rows: Sequence[str], *words: str, name: str = "m") -> FitRun:
    Path("train.csv").write_text("\n".join([*rows, ""]))
    return rlkit.fit("learner=tree", "data=csv", "data.path=train.csv", *words, *QUIET, name=name)


def predicted(text: str, name: str = "m", **more: Any) -> list[list[str]]:
    Path("new.csv").write_text(text)
    words = [f"{key}={value}" for key, value in more.items()]
    assert main(["predict", f"runs/{name}", "input=new.csv", "out=out.csv", *words]) == 0
    with Path("out.csv").open(newline="") as file:
        return list(csv.reader(file))


def refusal(text: str, capsys: pytest.CaptureFixture[str]) -> str:
    Path("new.csv").write_text(text)
    assert main(["predict", "runs/m", "input=new.csv", "out=out.csv"]) in (1, 2)
    [line] = capsys.readouterr().err.splitlines()
    assert not Path("out.csv").exists()
    return line


def numbers() -> FitRun:
    return fitted(["x,y", *(f"{i % 4},{'ab'[i % 2]}" for i in range(40))], "data.target=y")


IDS = ["1234567890123456700", "1234567890123456701", "00007", "7", "+7", "1.0", "1e3", "NA", "", " a b ", '"q,""x"']


def test_ids_stay_as_they_are_written() -> None:
    numbers()
    found = predicted("".join(["Id,x\n", *(f"{one},{i % 4}\n" for i, one in enumerate(IDS))]))
    assert [row[0] for row in found] == ["Id", *IDS[:-2], "a b", 'q,"x']
    assert [row[1] for row in found[1:]] == ["ab"[i % 2] for i in range(len(IDS))]


@pytest.mark.parametrize("labels", [BIG, ["007", "07", "7"], [str(10**30 + i) for i in range(3)], ["-007", "007"]])
@pytest.mark.parametrize("task", ["auto", "classification"])
def test_classes_keep_every_digit(labels: list[str], task: str) -> None:
    rows = [f"{i % len(labels)},{labels[i % len(labels)]}" for i in range(40)]
    run = fitted(["x,label", *rows], "data.target=label", f"data.task={task}")
    assert run.final_metrics["train/accuracy"] == 1
    found = predicted("".join(["x\n", *(f"{i}\n" for i in range(len(labels)))]))
    assert [row[1] for row in found[1:]] == labels


def test_whole_numbers_without_a_loss_are_numbers() -> None:
    Path("a.csv").write_text("".join(["x,y\n", *(f"{i},{i}\n" for i in (1, 2, 3))]))
    assert tables.csv_file("a.csv", "y").rows.y.dtype == np.int64  # type: ignore[union-attr]
    Path("a.csv").write_text("".join(["x,y\n", *(f"{i},0{10**18 + i}\n" for i in range(40))]))
    many = tables.csv_file("a.csv", "y")
    assert (many.task, many.rows.y.dtype) == ("regression", np.float64)  # type: ignore[union-attr]
    assert tables.csv_file("a.csv", "y", task="classification").rows.y.tolist()[0] == "01000000000000000000"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("cells", "new"),
    [
        (["1", "2", "3a"], ["1", "2"]),
        (["true", "false", "?"], ["true", "false"]),
        (["2024-01-01", "20240102", "2024"], ["20240102", "2024"]),
        (["1_0", "10", "100"], ["1_0", "10", "100"]),
        (["٣", "3", "4"], ["٣", "3"]),
        (["0x1", "1", "01"], ["1", "01"]),
        (["1,5", "1.5", "15"], ["1,5", "1.5"]),
        (["INF", "x", "1"], ["INF", "1"]),
    ],
    ids=lambda cells: cells[0],
)
def test_a_column_that_was_text_is_text_in_every_file(cells: list[str], new: list[str]) -> None:
    rows = [f'"{cells[i % len(cells)]}",c{i % len(cells)}' for i in range(30)]
    fitted(["kind,y", *rows], "data.target=y")
    found = predicted("".join(["kind\n", *(f'"{one}"\n' for one in new)]))
    assert [row[1] for row in found[1:]] == [f"c{cells.index(one)}" for one in new]


def test_columns_are_found_by_name_whatever_is_beside_them() -> None:
    fitted(
        ["a,b,y", *(f"{i % 4},{['u', 'v'][i // 4 % 2]},{i % 4}{['u', 'v'][i // 4 % 2]}" for i in range(40))],
        "data.target=y",
    )
    found = predicted('z,b, a ,y\n1_0,v,3,?\n,u,"2",\n')
    assert found[1:] == [["1", "3v"], ["2", "2u"]]


def test_gaps_and_unknown_categories_are_predicted() -> None:
    fitted(
        ["n,k,y", *(f"{i % 4 if i % 5 else 'NaN'},{['u', 'v', ''][i % 3]},{i % 3}" for i in range(60))], "data.target=y"
    )
    found = predicted("n,k\n,u\nNAN,v\nnull,\n1,new\n,\n")
    assert [row[1] for row in found[1:4]] == ["0", "1", "2"]
    assert predicted("n,k\n,\n,\n")[1:] == [["1", "2"], ["2", "2"]]  # nothing but gaps in either column
    assert len(predicted("n,k\n1,2\n2,3\n")) == 3  # only unknown categories, which look like numbers


def test_a_column_without_a_single_number_is_still_of_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    fitted(["n,e,y", *(f"{i % 2},,{i % 2}" for i in range(20))], "data.target=y")
    assert predicted("n,e\n1,\n0,5\n")[1:] == [["1", "1"], ["2", "0"]]
    Path("out.csv").unlink()
    assert "input=new.csv line 3: e is 'x', which is no number" in refusal("n,e\n1,\n0,x\n", capsys)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            "x\n1\ntwo\n",
            "input=new.csv line 3: x is 'two', which is no number, and the model was fitted to numbers there",
        ),
        ('n,x\n\n"a\nb",1\n\nc,1_0\n', "input=new.csv line 6: x is '1_0', which is no number"),
        ("x\n1\ninf\n", "input=new.csv line 3: x is 'inf'; numbers must be finite"),
        ("x\n1\n-1e999\n", "input=new.csv line 3: x is '-1e999'; numbers must be finite"),
        ("x,x\n1,2\n", "input=new.csv has two columns called 'x'"),
        ("X\n1\n", "input=new.csv has no column x"),
        ('x,t\n1,"a\n2,b\n', "input=new.csv line 3: unexpected end of data"),
        ("x,t\n1\n", "input=new.csv line 2 has 1 cells and the header 2"),
        ("x\n", "input=new.csv has no rows below a header"),
    ],
)
def test_a_cell_that_does_not_fit_is_named(text: str, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    numbers()
    assert refusal(text, capsys).startswith(f"rlkit: {line}")


def test_a_gap_that_the_model_does_not_take_gets_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    fitted(["x,y", *(f"{i},{2 * i}.5" for i in range(20))], "data.target=y", "learner=linear", "prepare=none")
    line = refusal("x\n1\n\nNA\n", capsys)
    assert "cannot predict these rows: ValueError: Input X contains NaN" in line


def about(**more: Any) -> dict[str, Any]:
    known = {"features": [], "text_features": [], "texts": False, "columns": 2, "image_shape": None, "missing": []}
    return {**known, **more}


def test_texts_have_the_numbers_of_their_lines() -> None:
    Path("t.txt").write_text("good great\r\n\n \nbad\n\npoor")
    rows = read_input("t.txt", about(texts=True), "X")
    assert rows.X.tolist() == ["good great", "bad", "poor"]
    assert rows.ids == ("line", [1, 4, 6])
    Path("t.txt").write_text("\n \n")
    with pytest.raises(UsageError, match=r"input=t\.txt holds no text"):
        read_input("t.txt", about(texts=True), "X")


RATINGS = {"items": np.array([1, 2, 3]), "names": ["1", "2", "3"], "scale": "none"}


def test_a_pair_that_comes_twice_is_refused_as_in_fitting() -> None:
    Path("r.csv").write_text("user,item,rating\n7,1,4\n7,2,5\n7,1,4\n")
    with pytest.raises(UsageError, match=r"r\.csv has the user 7 and the item 1 twice"):
        read_ratings("r.csv", RATINGS)
    with pytest.raises(UsageError, match="twice"):
        rlkit.fit("learner=popularity", "data=ratings", "data.path=r.csv", *QUIET)
    Path("r.csv").write_text('"7","1","4"\n8,1,4\n7,2,5\n')
    users, known = read_ratings("r.csv", RATINGS)
    assert (users.tolist(), known.toarray().tolist()) == ([7, 8], [[4, 5, 0], [4, 0, 0]])


@pytest.mark.parametrize("cell", ["007", "+7", "1_0", "٣", "9223372036854775808", "-9223372036854775809", "-0"])
def test_ids_of_ratings_that_would_change_are_refused(cell: str) -> None:
    for line in (f"{cell},1,4", f"1,{cell},4"):
        with pytest.raises(UsageError, match=r"line 2 of the ratings has the id .*; ids are whole numbers without"):
            triples(["u,i,r", line], ",")
    assert triples([f"{2**63 - 1},-5,1"], ",").user.tolist() == [2**63 - 1]


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "1e999"])
def test_values_of_ratings_are_finite(value: str) -> None:
    with pytest.raises(UsageError, match=r"line 1 of the ratings has the value .*; it must be finite"):
        triples([f"1,2,{value}"], ",")


@pytest.mark.parametrize(
    ("array", "line"),
    [
        (np.array(1.0), r"array=X of a\.npz has the shape \[\]; rows are \[n, d\]"),
        (np.zeros((0, 2)), r"has the shape \[0, 2\]"),
        (np.array([["a", "b"]]), "holds <U1; rows are real numbers"),
        (np.zeros((1, 2), complex), "holds complex128; rows are real numbers"),
        (np.zeros((1, 2), "M8[s]"), "rows are real numbers"),
        (np.zeros((1, 3)), "has 3 columns, and the model takes 2"),
    ],
    ids=str,
)
def test_arrays_are_rows_of_numbers(array: Any, line: str) -> None:
    np.savez("a.npz", X=array)
    with pytest.raises(UsageError, match=line):
        read_input("a.npz", about(), "X")
    if "columns" not in line:
        np.savez("a.npz", X=array, y=np.zeros(1))
        with pytest.raises(UsageError, match=line.replace("array=X", "data.inputs=X")):
            tables.npz_file("a.npz")


@pytest.mark.parametrize("y", [np.zeros(3), np.zeros((2, 1)), np.array(1), np.zeros(2, "M8[s]"), np.zeros(2, complex)])
def test_a_target_has_one_value_for_each_row(y: Any) -> None:
    np.savez("a.npz", X=np.zeros((2, 2)), y=y)
    with pytest.raises(UsageError, match=r"data\.target=y is an array .*; it must have a number or text for each of"):
        tables.npz_file("a.npz")


def test_labels_that_are_bytes_are_text() -> None:
    np.savez("a.npz", X=np.zeros((2, 2)), y=np.array([b"cat", "dög".encode()]))
    assert tables.npz_file("a.npz").rows.y.tolist() == ["cat", "dög"]  # type: ignore[union-attr]


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x1f\x8b", b"\x1f\x8bxx", b"\x93NUMPY"])
def test_a_damaged_file_gets_one_line(content: bytes) -> None:
    for name in ("a.npz", "a.csv.gz"):
        Path(name).write_bytes(content)
        with pytest.raises(UsageError, match=r"^(data\.path|input)=|^a\.csv\.gz|^the ratings"):
            tables.npz_file(name) if name == "a.npz" else tables.csv_file(name)
        with pytest.raises(UsageError):
            read_input(name, about(features=["x"]), "X")


def test_a_pipe_is_read_and_a_device_is_not(tmp_path: Path) -> None:
    import os
    import threading

    os.mkfifo("pipe")
    threading.Thread(target=lambda: Path("pipe").write_text("a,b\n1,2\n"), daemon=True).start()
    assert tables.csv_file("pipe", "b").rows.X.tolist() == [[1.0]]
    with pytest.raises(UsageError, match=r"data\.path=/dev/zero cannot be read: it is no regular file"):
        tables.csv_file("/dev/zero")
    with pytest.raises(UsageError, match=r"input=/dev/zero cannot be read: it is no regular file"):
        read_input("/dev/zero", about(features=["x"]), "X")


@pytest.mark.parametrize("delimiter", ["", ",,", "\n"])
def test_a_delimiter_is_one_character(delimiter: str) -> None:
    with pytest.raises(UsageError, match=r"is no delimiter; it must be one character"):
        parse("a,b\n1,2\n", delimiter)


def test_a_target_of_text_is_no_quantity() -> None:
    Path("a.csv").write_text("x,y\n1,a\n2,b\n")
    with pytest.raises(UsageError, match=r"data\.target=y is text, and data\.task=regression takes numbers"):
        tables.csv_file("a.csv", "y", task="regression")
