"""One name, one class, so that a name says which class is meant."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[1]


def classes() -> list[str]:
    """Return the name of every class of the distribution, without the mark of a private one."""
    files = [path for top in ("rlkit", "agents", "envs") for path in (ROOT / top).rglob("*.py")]
    trees = [ast.parse(path.read_text()) for path in files]
    return [node.name.lstrip("_") for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]


def test_every_name_of_a_class_is_that_of_one_class() -> None:
    found = classes()
    assert len(found) > 300, "the folders are looked into"
    assert [name for name, times in Counter(found).items() if times > 1] == []
