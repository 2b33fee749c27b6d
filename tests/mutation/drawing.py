"""The seeded draw: the same number of faults from each area, of all kinds."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import areas
from operators import Mutant, changes, mutants


def drawn(tree: Path, seed: int, count: int, only: list[str]) -> list[tuple[str, Mutant]]:
    """Return `count` faults with their areas, as many from each of them as from any other, give or take one."""
    found = areas.modules(tree)
    shares = {name: count // len(only) + (place < count % len(only)) for place, name in enumerate(only)}
    return [(name, one) for name in only for one in islice(_of_area(tree, found[name], f"{seed} {name}"), shares[name])]


def _of_area(tree: Path, modules: list[str], seed: str) -> Iterator[Mutant]:
    """Draw without end of a kind's faults; at most one fault of a line, and kinds by the root of their number."""
    rng = random.Random(seed)
    kinds: dict[str, list[Mutant]] = {}
    texts = {module: (tree / module).read_text() for module in modules}
    for module, text in texts.items():
        for one in mutants(module, text):
            kinds.setdefault(one.kind, []).append(one)
    for several in kinds.values():
        rng.shuffle(several)
    weights = {kind: math.sqrt(len(several)) for kind, several in kinds.items()}
    lines: set[tuple[str, int]] = set()
    while kinds:
        kind = rng.choices(list(kinds), [weights[kind] for kind in kinds])[0]
        one = kinds[kind].pop()
        if not kinds[kind]:
            del kinds[kind]
        if (one.module, one.line) not in lines and changes(one, texts[one.module]):
            lines.add((one.module, one.line))
            yield one
