"""Run folders of somebody else: whatever their files hold, nothing runs, and at worst there is one line.

Configurations are tried in `tests/config/test_trust.py`, files of checkpoints in
`tests/core/test_hostile_checkpoints.py`.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hostile import changed, one_line, places

import rlkit
from rlkit.core.checkpoint import Store
from rlkit.core.stored_state import Segment
from rlkit.core.types import RunError

TRAP = "trap_module"
COMMAND = {"_target_": "os.system", "command": "touch ran"}
HOSTILE: list[Any] = [
    COMMAND,
    {"_target_": f"{TRAP}.run"},
    {"kind": "callable", "value": f"{TRAP}:run"},
    None,
    [],
    {},
    "../../x",
    f"{TRAP}.run",
    "${oc.env:HOME}",
    -1,
    2**70,
    10**9,
    float("nan"),
    True,
    np.zeros((2, 2), complex),
    np.array("x"),
    np.array("2020", "datetime64[s]"),
    np.zeros(3, bool),
    np.array(0.0),
    np.full(4, np.inf),
    np.full(4, 10**9),
    [[1, 2], [3]],
    (1,),
    Segment("replay-rows-0-3", lambda: {"x": np.arange(3)}),
]
PERIODS = ("eval.every=0", "video=none", "logger=[csv]", "tuned=none", "total_steps=100")
RUNS = {
    "table": ("agent=q_learning", "env=frozen_lake", "agent.n_step=3", "inner_loop=python"),
    "compiled": ("agent=q_learning", "env=frozen_lake", "agent.trace_decay=0.5", "inner_loop=numba"),
    "deep": ("agent=dqn", "env=cartpole", "network.hidden=[4]", "replay=prioritized", "replay.capacity=300"),
}


@pytest.fixture(autouse=True)
def trap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Notice whatever runs."""
    (tmp_path / f"{TRAP}.py").write_text("open('ran', 'w')\ndef run(*given, **named): open('ran', 'w')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "system", lambda command: Path("ran").touch())
    yield
    assert not Path("ran").exists()
    assert TRAP not in sys.modules


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folders = {name: tmp_path_factory.mktemp("made") / name for name in RUNS}
    for name, words in RUNS.items():
        more = ("agent.learning_starts=50",) if name == "deep" else ()
        rlkit.train(*words, *PERIODS, *more, f"run_dir={folders[name]}")
    return folders


refusal = partial(one_line, longest=700)


def evaluated(folder: Path, **options: Any) -> Any:
    return rlkit.load(folder).evaluate(1, max_steps=2, **options)


@pytest.mark.parametrize(
    ("name", "share", "turn"),
    [
        ("table", 16, 3),
        ("deep", 16, 5),
        *(pytest.param(name, 2, turn, marks=pytest.mark.slow) for name in RUNS for turn in (0, 1)),
    ],
)
def test_every_field_of_a_checkpoint(name: str, share: int, turn: int, made: dict[str, Path]) -> None:
    """One in `share` fields is tried."""
    run = Path(shutil.copytree(made[name], "run"))
    state = Store(made[name] / "checkpoints").load(100)
    store = Store(run / "checkpoints", keep=1)
    fields = [path for path in places(state, whole=(Segment,)) if path[-1] != "replay"]
    for i, path in enumerate(fields[turn::share]):
        value = HOSTILE[(7 * i + 11 * turn) % len(HOSTILE)]
        shutil.rmtree(run / "checkpoints")
        store.save(100, changed(state, path, value))
        refusal(lambda: evaluated(run, checkpoint="last"))
        refusal(lambda: rlkit.train(f"resume={run}", "total_steps=110"))


@pytest.mark.parametrize("part", ["agent", "stream", "tracker", "averages", "best", "callbacks", "made_for"])
@pytest.mark.parametrize("value", [None, [], Segment("replay-rows-0-3", dict)], ids=str)
def test_every_part_of_a_checkpoint_is_what_it_is_or_the_one_before_is_used(
    part: str, value: Any, made: dict[str, Path]
) -> None:
    run = Path(shutil.copytree(made["table"], "run"))
    store = Store(run / "checkpoints", keep=2)
    store.save(110, {**store.load(100), part: value})
    assert rlkit.train(f"resume={run}", "total_steps=105").checkpoints[-1] == 105
    if part in ("agent", "made_for"):
        store.save(110, {**store.load(100), part: value})
        assert evaluated(run, checkpoint="last")["episodes"] == 1
        with pytest.raises(RunError, match=f"its {part} is a "):
            evaluated(run, checkpoint=110)


@pytest.mark.parametrize(
    "value", [np.full((16, 4), 1j), np.full((16, 4), np.nan), np.zeros((1, 4)), np.zeros((16, 4), int)]
)
def test_values_that_numpy_would_take_are_refused_with_their_place(value: Any, made: dict[str, Path]) -> None:
    run = Path(shutil.copytree(made["table"], "run"))
    store = Store(run / "checkpoints")
    store.save(100, changed(store.load(100), ("agent", "tables", 0, "values"), value))
    for action in (lambda: evaluated(run, checkpoint="last"), lambda: rlkit.train(f"resume={run}", "total_steps=110")):
        with pytest.raises(RunError, match=r"does not fit its config\.yaml: agent\.tables\.0\.values has "):
            action()


@pytest.mark.parametrize(
    "place",
    [
        ("stream", "env", "envs", 0, "layers", 2, "s"),
        ("agent", "traces", "traces", 0, 1, 0, 0),
        ("agent", "traces", "traces", 0, 1, 0, 1),
    ],
    ids=str,
)
@pytest.mark.parametrize("number", [-1, 10**9, 2**62])
def test_compiled_code_is_sent_nowhere(place: tuple[Any, ...], number: int, made: dict[str, Path]) -> None:
    run = Path(shutil.copytree(made["compiled"], "run"))
    store = Store(run / "checkpoints")
    state = store.load(100)
    assert isinstance(changed(state, place, number), dict), "the place is there"
    store.save(100, changed(state, place, number))
    with pytest.raises(RunError, match=r"beyond the 16 and 4 that there are; start the run again$"):
        rlkit.train(f"resume={run}", "total_steps=110")


TEXTS = ["", "[1]", "[" * 3000, "\0", COMMAND]


@pytest.mark.parametrize("content", TEXTS, ids=lambda text: str(text)[:20])
@pytest.mark.parametrize("file", ["config.yaml", "versions.json", "timings.csv", "episodes.csv", "train.log"])
def test_every_file_as_a_whole(file: str, content: Any, made: dict[str, Path]) -> None:
    run = Path(shutil.copytree(made["table"], "run"))
    (run / file).write_text(content if isinstance(content, str) else json.dumps(content))
    refused = bool(refusal(lambda: evaluated(run, checkpoint="last")))
    assert refused == (file == "config.yaml")
    refused = bool(refusal(lambda: rlkit.train(f"resume={run}", "total_steps=110")))
    assert refused == (file in ("config.yaml", "episodes.csv"))


def test_aliases_do_not_multiply(made: dict[str, Path]) -> None:
    run = Path(shutil.copytree(made["table"], "run"))
    text = (run / "config.yaml").read_text()
    bomb = ["a0: &a0 [x, x]", *(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]" for i in range(1, 40))]
    (run / "config.yaml").write_text(text + "\n".join(bomb) + "\n")
    assert refusal(lambda: evaluated(run))
    (run / "config.yaml").write_text(text + "loop: &a [*a]\n")
    assert refusal(lambda: evaluated(run))


@pytest.mark.parametrize("value", [COMMAND, [], {"agent.gamma": COMMAND}, {"agent": True}, {"": True}])
@pytest.mark.parametrize("key", ["follows", "from_run", "choices"])
def test_records_of_how_a_configuration_came_about_do_nothing(key: str, value: Any, made: dict[str, Path]) -> None:
    run = Path(shutil.copytree(made["table"], "run"))
    values = yaml.safe_load((run / "config.yaml").read_text())
    (run / "config.yaml").write_text(yaml.safe_dump({**values, key: value}))
    refusal(lambda: evaluated(run))
    refusal(lambda: rlkit.train(f"resume={run}", "total_steps=110"))
