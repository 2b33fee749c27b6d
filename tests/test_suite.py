"""What keeps the tests themselves in order."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import yaml

TESTS = Path(__file__).parent
FILES = sorted(path for path in TESTS.glob("**/test_*.py") if "plugin_sample" not in path.parts)


def imported(text: str) -> set[str]:
    """Return the modules that a text imports, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def of_tests(text: str, names: set[str]) -> set[str]:
    """Return which of these modules a text imports."""
    return {part for name in imported(text) for part in name.split(".") if part in names}


def test_an_import_of_a_test_file_is_found_in_every_form() -> None:
    text = "from test_b import x\nimport test_c\nfrom tests import test_d\ndef f():\n    from tests.test_e import y\n"
    assert of_tests(text, {f"test_{c}" for c in "abcde"}) == {f"test_{c}" for c in "bcde"}


@pytest.mark.parametrize("path", sorted([*TESTS.glob("*.py"), *FILES]), ids=lambda path: path.stem)
def test_nothing_is_imported_from_a_test_file(path: Path) -> None:
    """It would be collected twice, and an edit of one file would change another's tests."""
    assert of_tests(path.read_text(), {file.stem for file in FILES}) == set()


class TestMutation:
    """The mutation check, which is run by hand: what it draws, and that its table names what there is."""

    @pytest.fixture(autouse=True)
    def _importable(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.syspath_prepend(str(TESTS / "mutation"))

    def test_its_table_names_files_that_exist(self) -> None:
        import areas

        for name, files in areas.modules(TESTS.parent).items():
            assert files, name
            assert areas.nearest(TESTS.parent, name)

    def test_the_equivalents_are_faults_of_functions_that_exist(self) -> None:
        import operators

        files = [path for top in ("rlkit", "agents", "envs") for path in (TESTS.parent / top).rglob("*.py")]
        for one in yaml.safe_load((TESTS / "mutation/equivalents.yaml").read_text()):
            last = one["function"].rpartition(".")[2]
            texts = [text for text in (path.read_text() for path in files) if f"def {last}(" in text]
            key = (one["function"], one["before"], one["after"])
            assert any(fault.key == key for text in texts for fault in operators.mutants("m.py", text)), key

    def test_it_puts_in_the_faults_that_are_expected(self) -> None:
        import operators

        text = (
            '"""A text of 3 words."""\n\n'
            "def f(a: int, b: float = 0.5) -> int:\n"
            '    """Return 1."""\n'
            "    if a < 2 and not b:\n"
            '        raise ValueError(f"{a + 1}")\n'
            "    a += 1\n"
            "    return max(a - b, -b)\n"
        )
        found = [(one.line, one.kind, one.after) for one in operators.mutants("m.py", text)]
        assert found == [
            (3, "constant", "def f(a: int, b: float = 1.0) -> int:"),
            (5, "connective", "if (a < 2 or not b):"),
            (5, "condition", "if (not (a < 2 and (not b))):"),
            (5, "comparison", "if (a <= 2) and not b:"),
            (5, "comparison", "if (a >= 2) and not b:"),
            (5, "constant", "if a < 3 and not b:"),
            (5, "constant", "if a < 1 and not b:"),
            (5, "sign", "if a < 2 and b:"),
            (7, "augmented", "a -= 1"),
            (7, "dropped", "pass"),
            (7, "constant", "a += 2"),
            (7, "constant", "a += 0"),
            (8, "swapped", "return max(-b, a - b)"),
            (8, "opposite", "return min(a - b, -b)"),
            (8, "arithmetic", "return max((a + b), -b)"),
            (8, "sign", "return max(a - b, b)"),
        ]
        assert all(one.function == "f" and one.apply(text) != text for one in operators.mutants("m.py", text))

    def test_it_draws_the_same_number_from_each_area_and_the_same_faults_for_a_seed(self) -> None:
        import drawing

        def draw(seed: int, count: int) -> list[tuple[str, int]]:
            faults = drawing.drawn(TESTS.parent, seed, count, ["targets", "traces"])
            return [(one.module, one.line) for _, one in faults]

        assert sum(module == "rlkit/core/targets.py" for module, _ in draw(0, 7)) == 4
        assert draw(0, 8) == draw(0, 8) != draw(1, 8)
        assert set(draw(0, 4)) < set(draw(0, 8))
        assert len(set(draw(0, 20))) == 20
