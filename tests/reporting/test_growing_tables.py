"""Tables that are read as they grow hold what a whole reading holds, whatever happens to their files."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlkit.core.csv_tables import read_table
from rlkit.core.types import UsageError
from rlkit.reporting.watching import growing
from rlkit.reporting.watching.growing import GrowingTable

HARD = [
    *("0", "-0.0", "1", "-17", "0.1", "2.5", ".5", "5.", "+3", "1e22", "1e23", "-1e-22", "1e-23", "123456789e-3"),
    *("9007199254740992", "9007199254740993", "9007199254740989", "0.30000000000000004", "1.7976931348623157e308"),
    *("5e-324", "2.2250738585072011e-308", "1E5", "1e+05", "nan", "inf", "-inf", "NaN", "", "1_000", " 7 ", "1e400"),
    *("0000000000000000000001", "1.00000000000000000000", "179769313486231580793728971405301199e10"),
]


@pytest.fixture(params=["python", "compiled"])
def _way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read every table by one of the two ways."""
    monkeypatch.setattr(growing, "SMALL", 0 if request.param == "compiled" else 10**9)


def whole(table: GrowingTable, most: int = growing.CHUNK) -> GrowingTable:
    while table.read(most):
        pass
    return table


def same(table: GrowingTable, path: Path) -> None:
    wanted = read_table(path)
    assert set(table.columns) <= set(wanted)
    for name, values in table.columns.items():
        assert values.tobytes() == wanted[name].tobytes(), name


@pytest.mark.usefixtures("_way")
def test_numbers_are_those_of_python_bit_for_bit(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    drawn = [repr(float(x)) for x in (rng.normal(size=500) * 10.0 ** rng.integers(-30, 30, 500))]
    drawn += [f"{x:.{rng.integers(0, 18)}f}" for x in rng.normal(size=500) * 1000]
    path = tmp_path / "t.csv"
    path.write_text("step,a,b\n" + "".join(f"{i},{x},{x}\n" for i, x in enumerate([*HARD, *drawn])))
    same(whole(GrowingTable(path, ("step", "b"))), path)


@pytest.mark.usefixtures("_way")
@pytest.mark.parametrize(
    "text", ["a,b\r\n1,2\r\n3,\r\n", "a,b\n\n1,2\n\n\n3,4\n", 'a,b\n"1",2\n', "a\n1\n", "a,b\n,\n"]
)
def test_lines_as_other_programs_write_them(text: str, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(text.encode())
    table = whole(GrowingTable(path, ("a", "b")))
    same(table, path)
    assert len(table.columns["a"])


@settings(max_examples=40, deadline=None)
@given(cuts=st.lists(st.integers(0, 300), max_size=12), most=st.integers(30, 400))
def test_a_file_that_comes_in_pieces_is_read_as_far_as_its_lines_are_whole(
    cuts: list[int], most: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("pieces") / "t.csv"
    content = b"step,x\n" + b"".join(b"%d,%f\n" % (i, i / 7) for i in range(25))
    table = GrowingTable(path, ("step", "x"))
    whole(table)
    assert table.columns == {}
    for end in [*sorted(cuts), len(content)]:
        path.write_bytes(content[:end])
        whole(table, most)
        if b"\n" in content[:end]:
            same(table, path)
    assert len(table.columns["x"]) == 25


def test_only_what_was_appended_is_read(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("step\n" + "1\n" * 1000)
    table = GrowingTable(path, ("step",))
    assert table.read(100)
    assert (table.unread, table.size) == (2005 - 100 - 5, 2005)  # the header is not counted
    assert len(table.columns["step"]) == 50
    whole(table)
    assert not table.read()
    with path.open("a") as file:
        file.write("2\n3")
    assert table.read()
    assert table.columns["step"].tolist() == [1.0] * 1000 + [2.0]
    assert not table.read()


@pytest.mark.parametrize(
    "content",
    ["step,x\n1,5\n", "step,x,y\n1,2,7\n2,3,7\n", "x,step\n9,1\n", "step,x\n1,2\n2,4\n3,3\n", "step,x\n1,2\n2,9\n"],
    ids=["shorter", "another column", "another order", "other rows and longer", "other rows, as long"],
)
@pytest.mark.parametrize("replaced", [True, False])
def test_a_file_that_was_written_anew_is_read_from_its_beginning(content: str, replaced: bool, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("step,x\n1,2\n2,3\n")
    table = whole(GrowingTable(path, ("step", "x", "y")))
    if replaced:
        (tmp_path / "new").write_text(content)
        (tmp_path / "new").replace(path)
    else:
        path.write_text(content)
        os.utime(path, (1, 1))
    whole(table)
    same(table, path)
    path.unlink()
    assert not table.read()
    assert (table.columns, table.size, table.unread) == ({}, 0, 0)


@pytest.mark.usefixtures("_way")
@pytest.mark.parametrize("line", ["4", "4,x,6", "4,,six", "4,5"])
def test_damage_is_said_as_a_report_says_it(line: str, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("step,x,y\n1,2,3\n")
    table = whole(GrowingTable(path, ("step", "x", "y")))
    with path.open("a") as file:
        file.write(f"2,3,4\n\n3,4,5\n{line}\n5,6,7\n")
    with pytest.raises(UsageError) as wanted:
        read_table(path)
    for _ in range(2):
        with pytest.raises(UsageError) as raised:
            whole(table)
        assert str(raised.value) == str(wanted.value)
    path.write_text("step,x,y\n1,2,3\n7,8,9\n")
    same(whole(table), path)


def test_the_last_step_is_known_before_all_is_read(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    table = GrowingTable(path, ("step",))
    assert table.last_step() == 0
    path.write_text("step,x\n" + "".join(f"{i},0\n" for i in range(5000)) + "50")
    table.read(100)
    assert len(table.columns["step"]) < 100
    assert table.last_step() == 4999
    whole(table)
    assert table.last_step() == 4999


def test_a_pipe_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "t.csv")
    with pytest.raises(UsageError, match="no regular file"):
        GrowingTable(tmp_path / "t.csv", ("step",)).read()
