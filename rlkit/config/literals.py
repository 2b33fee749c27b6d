"""Values as Hydra's grammar has them, and words of a command line that mean what was typed.

A shell has taken its own quotes away when a word arrives, so that ``run=läufe/erster``, ``name=a=b`` or a path with
spaces would not be read by Hydra's grammar; here they get the quotes that it needs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from rlkit.config.schemas import SCHEMAS

PLAIN_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*|\d+x\d+")
RESERVED = {"null", "true", "false", "inf", "nan"}

READ = re.compile(r"[A-Za-z0-9_./:+*@?|%$\\ ,\[\]{}()-]*")
"""Values without a character that the grammar has no place for outside of quotes."""

IN_QUOTES = re.compile(r"""\s*(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")\s*""")
SWEEPS = re.compile(r"(?:choice|range|interval|shuffle|sort|glob|tag)\(.*\)")
WHOLE = re.compile(r"[+-]?\d+(?:\.\d*)?[eE]\+?\d{1,2}")

COUNTED = re.compile(r"\+*[\w.]*episodes=[-+]?[\d.]+(?:[eE]\+?\d+)?")
"""Words that say how many, of a key that names a folder elsewhere."""

PATHS = frozenset({"path", "folder", "episodes", "input", "out"})
"""Keys inside of nodes whose values are paths: the last part of their name."""


def spelled(verb: str, argv: Sequence[str]) -> list[str]:
    """Return the words of a command line as Hydra reads them.

    Text of keys that are text, and of paths, is put in quotes where it needs them, and a whole number such as 1e5 is
    written out where the key is one. With ``-m`` commas part the values of a sweep.
    """
    kinds = dict(_kinds(SCHEMAS[verb]))
    sweeps = bool({"-m", "--multirun"} & set(argv))
    return [_spelled(word, kinds, sweeps=sweeps) for word in argv]


def _kinds(schema: type[Any], path: str = "") -> Iterator[tuple[str, set[Any]]]:
    """Yield the dotted keys of a verb, and the types of each."""
    for name, kind in get_type_hints(schema).items():
        if hasattr(kind, "__dataclass_fields__"):
            yield from _kinds(kind, f"{path}{name}.")
        else:
            yield f"{path}{name}", {kind, *(get_args(kind) if get_origin(kind) in (Union, UnionType) else ())}


def _spelled(word: str, kinds: Mapping[str, set[Any]], *, sweeps: bool) -> str:
    key, equals, value = word.partition("=")
    if not equals or word.startswith(("-", "hydra")) or not value:
        return word
    bare = key.lstrip("+")
    own = kinds.get(bare, {Any})
    values = parted(value) if sweeps and not SWEEPS.fullmatch(value) else [value]
    if list[str] in own:
        return f"{key}={','.join(map(_list, values))}"
    is_text = str in own or (bare.rpartition(".")[2] in PATHS and not COUNTED.fullmatch(word))
    if int in own:
        values = [_whole(part) for part in values]
    values = [_text(part, is_text=is_text) for part in values]
    return f"{key}={','.join(values)}"


def _text(value: str, *, is_text: bool) -> str:
    """Return a value, in quotes where the grammar would not read it, or would read text as something else."""
    if value in ("null", "???") or "${" in value or IN_QUOTES.fullmatch(value) or SWEEPS.fullmatch(value):
        return value
    if is_text:
        return quoted(value)
    has_parts = value.startswith(("[", "{"))
    return value if has_parts or READ.fullmatch(value) or any(mark in value for mark in "'\"") else quoted(value)


def _whole(value: str) -> str:
    """Return a number such as 1e5 with all of its digits, if it is a whole one."""
    return f"{float(value):.0f}" if WHOLE.fullmatch(value) and float(value).is_integer() else value


def _list(value: str) -> str:
    """Return a list of texts with its items in quotes where they need them."""
    if not (value.startswith("[") and value.endswith("]")) or "${" in value:
        return value
    return (
        f"[{','.join(_text(part.strip(), is_text=True) for part in parted(value[1:-1]))}]" if value != "[]" else value
    )


def parted(value: str) -> list[str]:
    """Return the parts of a value between commas that are in no quotes and no brackets."""
    parts, depth, quote = [""], 0, ""
    for sign in value:
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "'\"" and not parts[-1].strip():
            quote = sign
        else:
            depth += (sign in "[{(") - (sign in ")}]")
        if sign == "," and not quote and depth == 0:
            parts.append("")
        else:
            parts[-1] += sign
    return parts


def literal(value: Any) -> str:
    """Return a value as Hydra's grammar has it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{key}:{literal(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(literal, value)) + "]"
    return quoted(value) if isinstance(value, str) else repr(value)


def quoted(text: str) -> str:
    """Return text as Hydra's grammar has it, in quotes where it needs them."""
    if PLAIN_WORD.fullmatch(text) and text.lower() not in RESERVED:
        return text
    # A backslash escapes a quote, and itself only before one.
    escaped = re.sub(r"(\\*)('|$)", lambda found: found[1] * 2 + ("\\'" if found[2] else ""), text)
    return f"'{escaped}'"
