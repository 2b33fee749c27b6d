"""The documentation says what the code and its settings are: its hooks, its pages, its words."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
AGENTS = sorted(path.stem for path in (ROOT / "conf/agent").glob("*.yaml"))
PAGES = {path: path.read_text() for path in sorted(DOCS.rglob("*.md"))}
SHOWN = sorted({path for text in PAGES.values() for path in re.findall(r"^<!-- options: (\S+)", text, re.MULTILINE)})


def hook(name: str) -> ModuleType:
    """Return a module of docs/hooks/, which is loaded by its path, as mkdocs does."""
    spec = importlib.util.spec_from_file_location(name, DOCS / "hooks" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def navigated() -> list[str]:
    """Return the pages that the site's navigation lists."""
    nav = (ROOT / "mkdocs.yml").read_text().partition("\nnav:\n")[2].partition("\nvalidation:")[0]
    return re.findall(r"[\w/]+\.md", nav)


def leaves(node: Any, name: str) -> dict[str, Any]:
    """Return the values of a YAML file by the names that the command line has for them."""
    if not isinstance(node, dict) or not node:
        return {name: node}
    return {key: value for part, below in node.items() for key, value in leaves(below, f"{name}.{part}").items()}


@pytest.mark.parametrize("path", SHOWN)
def test_a_table_of_options_has_every_value_of_its_file(path: str) -> None:
    text = (ROOT / "conf" / f"{path}.yaml").read_text()
    values = yaml.safe_load(text)
    values.pop("defaults", None)
    wanted = {
        name: value
        for name, value in leaves(values, "it").items()
        if name != "it._target_"
        and name.rpartition(".")[2] not in hook("options").BUILT_IN
        and not hook("options").OWN.match(str(value))
    }
    shown: dict[str, Any] = {}
    for option in hook("options").options(text, "it"):
        if option.default and "@" not in option.name:
            shown |= leaves(yaml.safe_load(option.default), option.name)
    wanted = {name: "see the file" if "\n" in str(value) else value for name, value in wanted.items()}
    assert {name: shown[name] for name in wanted if name in shown} == wanted


def test_choices_and_remarks_are_rows() -> None:
    options = hook("options").options(
        "# What it is.\ndefaults:\n  - /explorer@explorer: ucb\n  - _self_\n_target_: a.B\ndepth: 3  # of the tree;\n"
        "            # null: <none>\n# of the rest:\nrest:\n  width: [1, 2]\n",
        "agent",
    )
    assert [tuple(option) for option in options] == [
        ("explorer@agent.explorer", "ucb", "one of `epsilon_greedy`, `thompson`, `ucb`"),
        ("agent.depth", "3", "of the tree; null: <none>"),
        ("", "", "of the rest:"),
        ("agent.rest.width", "[1, 2]", ""),
    ]


def test_a_table_of_files_has_every_file() -> None:
    table = hook("options").files_table("env").splitlines()[2:]
    assert [row.split("`")[1] for row in table] == sorted(path.stem for path in (ROOT / "conf/env").glob("*.yaml"))


def test_the_rooms_are_those_of_the_contract_from_the_roof_to_the_ground() -> None:
    rooms = hook("rooms")
    drawn = re.findall(r"<code>(?:rlkit/)?(\w+)/</code>", rooms.drawing())
    folders = [path.parent.name for path in (ROOT / "rlkit").glob("*/__init__.py")]
    assert sorted(drawn) == sorted([*folders, "agents", "envs"])
    assert [*drawn[:3], drawn[-1]] == ["agents", "envs", "cli", "core"]
    assert rooms.purpose("core") in rooms.drawing()


def test_tables_made_from_conf_have_a_class_for_phones() -> None:
    page = hook("options").on_page_markdown(
        "<!-- files: env -->\n\n<!-- options: agent/ppo as agent -->\n", *[None] * 3
    )
    assert re.findall(r'^<div class="(\w+)" markdown>\n\n\|', page, re.MULTILINE) == ["files", "options"]


def test_fields_of_named_tuples_are_described_by_the_comments_beside_them() -> None:
    griffe = pytest.importorskip("griffe")
    fields = hook("fields")
    code = (
        "from typing import Any, NamedTuple\n\nclass Step(NamedTuple):\n"
        '    """A step."""\n\n    reward: float  # of one step,\n    # clipped\n'
        "    index: int  # type: ignore[assignment]  # counts from 0\n    info: Any\n"
    )
    extensions = griffe.load_extensions(fields.Fields)
    with griffe.temporary_visited_package("steps", {"__init__.py": code}, extensions=extensions) as package:
        described = package["Step"].docstring.value
    listed = ["    reward: of one step, clipped", "    index: counts from 0", f"    info: {fields.UNSAID}"]
    assert described.splitlines()[-4:] == ["Attributes:", *listed]
    unsaid = f'<b>info</b>\n –\n <div class="doc-md-description">\n <p>{fields.UNSAID}</p>\n</div></li>'
    assert fields.on_page_content(unsaid, *[None] * 3) == "<b>info</b></li>"


def test_a_prime_stands_beside_its_letter() -> None:
    pytest.importorskip("latex2mathml")
    html = hook("formulas").on_page_content('<span class="arithmatex">\\(s\'\\)</span>', *[None] * 3)
    assert "<mi>s</mi><mo" in html
    assert "<mi>&#x02032;</mi>" not in html


@pytest.mark.parametrize("agent", AGENTS)
def test_every_agent_has_a_page(agent: str) -> None:
    page = (DOCS / f"algorithms/{agent}.md").read_text()
    for part in (
        f"`agent={agent}` · file `agents/{agent}.py`",
        f"conf/agent/{agent}.yaml",
        "\n## When to use it",
        f"\n<!-- options: agent/{agent} as agent -->",
        f"\n::: rlkit.agents.{agent}\n",
        f"\n<!-- code: agents/{agent}.py -->\n",
    ):
        assert part in page


def test_the_navigation_lists_every_page_once() -> None:
    assert sorted(navigated()) == sorted(str(path.relative_to(DOCS)) for path in PAGES)


def test_what_the_pages_include_or_show_exists() -> None:
    for path, text in PAGES.items():
        for included in re.findall(r"<!-- (?:code|page): (\S+) -->", text):
            assert (ROOT / included).exists(), f"{path.name} includes {included}"
        for module in re.findall(r"^::: ([\w.]+)$", text, re.MULTILINE):
            folder, _, rest = module.removeprefix("rlkit").lstrip(".").partition(".")
            top = ROOT / folder if folder in ("agents", "envs", "conf") else ROOT / "rlkit" / folder
            there = top.joinpath(*filter(None, rest.split(".")))
            assert there.with_suffix(".py").exists() or (there / "__init__.py").exists(), f"{path.name}: {module}"
        for code in re.findall(r"`((?:agents|envs|conf|rlkit|tests)/[\w/.-]+\.\w+)`", text):
            assert (ROOT / code).exists() or (code.startswith("conf/") and "my_" in code) or "/my_" in code, (
                f"{path.name} names {code}"
            )


def test_below_a_marker_is_a_link_for_those_who_read_the_page_as_a_file() -> None:
    hooks = [hook("includes"), hook("options")]
    marker = re.compile(r"^( *)<!-- (code|page|options|files): (\S+)(?: as \S+)? -->\n(.*)$", re.MULTILINE)
    for path, text in PAGES.items():
        found = marker.findall(text)
        assert len(found) == len(re.findall(r"^ *<!-- (?:code|page|options|files): ", text, re.MULTILINE)), path
        for indent, kind, name, below in found:
            target = {"options": f"conf/{name}.yaml", "files": f"conf/{name}"}.get(kind, name)
            assert (ROOT / target).exists()
            assert below == f"{indent}[{target}]({os.path.relpath(ROOT / target, path.parent)})", path
            shown = text
            for one in hooks:
                shown = one.on_page_markdown(shown, *[None] * 3)
            assert below not in shown.splitlines(), path


def test_nobody_is_sent_to_the_other_rlkit() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    advice = re.compile(r"pip install\b.*[ \"']rlkit(?![\w-])")
    for name in listed.splitlines():
        if Path(name).suffix in (".py", ".md", ".yaml", ".yml", ".toml", ".txt"):
            assert not advice.search((ROOT / name).read_text()), name
