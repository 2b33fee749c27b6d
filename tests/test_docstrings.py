"""Docstrings of public functions say what their arrays are, and what they raise."""

from __future__ import annotations

import ast
import gc
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple, TypeGuard

import pytest

ROOT = Path(__file__).parents[1]

ARRAYS = re.compile(r"\b(Array|Tensor|ndarray)\b")
SHAPE = re.compile(r"\[[^][\"`\n]*\]")
"""Sizes in brackets, such as [N, ...], [B, 2 D] or, of a number, []."""
INTERVAL = re.compile(r"\[[-\d.]+, [-\d.]+\]")

PARAMETERS = "parameters by name, each of its own shape"
WITHOUT_SHAPE = {
    "rlkit/learners/estimators/torch_base.py:TorsoClassifier.encoder_state_dict": PARAMETERS,
    "rlkit/networks/pretrained.py:fill": PARAMETERS,
    "rlkit/networks/weights.py:encoder_of": PARAMETERS,
}
RULE = "a rule, which raises as `rlkit.testing.rules.Rule` says"
WITHOUT_RAISES = {
    "rlkit/testing/agents.py:actions_are_legal": RULE,
    "rlkit/testing/agents.py:composed_observations_keep_the_contract": RULE,
    "rlkit/testing/agents.py:one_environment_is_no_special_case": RULE,
    "rlkit/testing/agents.py:trains_without_raising": RULE,
}


class Function(NamedTuple):
    """A public function or method."""

    name: str
    signature: str
    text: str  # its docstring, and of a constructor also that of the class
    errors: set[str]

    @property
    def is_on_arrays(self) -> bool:
        return bool(ARRAYS.search(self.signature))


def documented(path: str, source: str) -> Iterator[Function]:
    """Yield the public functions of a module."""
    tree, lines = ast.parse(source), source.splitlines()
    nodes = list(ast.walk(tree))
    helpers = {node.name: node.returns.id for node in nodes if is_function(node) and isinstance(node.returns, ast.Name)}
    owners: list[ast.Module | ast.ClassDef] = [tree, *(node for node in nodes if isinstance(node, ast.ClassDef))]
    for owner in owners:
        prefix = f"{owner.name}." if isinstance(owner, ast.ClassDef) else ""
        for node in filter(is_function, owner.body):
            if prefix[:1] != "_" and (node.name[0] != "_" or node.name == "__init__"):
                about = ast.get_docstring(owner, clean=False) if node.name == "__init__" else ""
                text = f"{ast.get_docstring(node, clean=False) or ''}\n{about or ''}"
                signature = " ".join(lines[node.lineno - 1 : max(node.lineno, node.body[0].lineno - 1)])
                yield Function(f"{path}:{prefix}{node.name}", signature, text, raised(node, helpers))


def is_function(node: ast.AST) -> TypeGuard[ast.FunctionDef]:
    return isinstance(node, ast.FunctionDef)


def raised(function: ast.FunctionDef, helpers: dict[str, str]) -> set[str]:
    """Return the classes that a body raises, by their names or by helpers that return the error.

    What was caught is not new, and a NotImplementedError is for who writes a subclass.
    """
    names = set()
    for node in ast.walk(function):
        if isinstance(node, ast.Raise) and node.exc is not None:
            made = isinstance(node.exc, ast.Call)
            name = ast.unparse(node.exc.func if isinstance(node.exc, ast.Call) else node.exc).rpartition(".")[2]
            if made or name[0].isupper():
                names.add(name if name[0].isupper() else helpers.get(name, HELPERS.get(name, name)))
    return names - {"NotImplementedError"}


HELPERS = {"diverged": "DivergedError", "not_converged": "RunError"}
"""Functions of other modules that return an error."""


@cache
def functions() -> list[Function]:
    paths = [path for top in ("rlkit", "agents", "envs") for path in sorted((ROOT / top).rglob("*.py"))]
    gc.disable()  # else it goes through the growing trees again and again, which takes twice as long as reading them
    try:
        return [one for path in paths for one in documented(path.relative_to(ROOT).as_posix(), path.read_text())]
    finally:
        gc.enable()


def has_shape(text: str) -> bool:
    prose = re.sub(r"``.*?``", "", text, flags=re.DOTALL)
    return any(not INTERVAL.fullmatch(brackets) for brackets in SHAPE.findall(prose))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Return actions [N] int64.", True),
        ("Return the states [..., R, C].", True),
        ("Return a number [].", True),
        ("Return [*places.shape, ...], and [1 or B, Z].", True),
        ("Return a share in [0, 1].", False),
        ('Return ``info["best"]`` and ``seed[i]``.', False),
        ("Return the array.", False),
    ],
)
def test_a_shape_is_sizes_in_brackets(text: str, expected: bool) -> None:
    assert has_shape(text) is expected


def test_errors_are_those_that_a_body_makes() -> None:
    source = '''
def f(x: Array) -> None:
    """Do it."""
    try:
        g(x)
    except OSError as error:
        raise error
    if x:
        raise core.RunError("no") from None
    raise _missing(x)

def _missing(x) -> UsageError: ...

class A:
    def g(self):
        raise Closed
    def _h(self):
        raise ValueError
'''
    found = {one.name: (one.is_on_arrays, one.errors) for one in documented("m.py", source)}
    assert found == {"m.py:f": (True, {"RunError", "UsageError"}), "m.py:A.g": (False, {"Closed"})}


def test_docstrings_of_functions_on_arrays_have_their_shapes() -> None:
    on_arrays = [function for function in functions() if function.is_on_arrays]
    assert len(on_arrays) > 500, "the folders are looked into"
    assert {function.name for function in on_arrays if not has_shape(function.text)} == set(WITHOUT_SHAPE)


def test_docstrings_name_what_the_body_raises() -> None:
    raising = [function for function in functions() if function.errors]
    assert len(raising) > 200, "the folders are looked into"
    missing = {one.name for one in raising if not all(re.search(rf"\b{name}\b", one.text) for name in one.errors)}
    assert missing == set(WITHOUT_RAISES)
