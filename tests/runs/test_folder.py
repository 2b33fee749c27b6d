"""What a run folder says of itself: its configuration, its id, and who asks for a run that is not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from rlkit.core.types import UsageError
from rlkit.runs.folder import placed, read_config, write_folder
from rlkit.runs.origin import identity

CONFIG = {"name": "a_run", "agent": {"gamma": 0.5}, "env": {"id": None}, "seed": 3}


def test_a_configuration_is_read_as_it_was_written_and_the_id_stays(tmp_path: Path) -> None:
    write_folder(tmp_path, {**CONFIG, "seed": 2})
    before = identity(tmp_path)
    write_folder(tmp_path, CONFIG)
    assert list(read_config(tmp_path).items()) == list(CONFIG.items())
    assert identity(tmp_path) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.yaml", "versions.json"]


def test_where_there_is_no_such_run_those_that_are_there_are_named_in_order(tmp_path: Path) -> None:
    for name in ("cc", "aa", "dd", "bb"):
        (tmp_path / name).mkdir()
        write_folder(tmp_path / name, CONFIG)
    with pytest.raises(UsageError, match=r"there is no run .*zz \(no config.yaml in it\); there is: aa, bb, cc, dd$"):
        read_config(tmp_path / "zz")
    with pytest.raises(UsageError, match=r"did you mean bb\?$"):
        read_config(tmp_path / "bbb")


def test_what_is_no_configuration_is_named(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("name: a\nagent: {}\n")
    with pytest.raises(UsageError, match=r"config.yaml is not the configuration of an rlkit run: KeyError: 'env'"):
        read_config(tmp_path)


@pytest.mark.parametrize("name", ["a\0b", "\udcff", "a/\ud800"])
def test_names_that_no_file_can_hold_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match=r"^name=.* has a character that no file can hold; a name is text in Unicode$"):
        placed(name, "", "default")
