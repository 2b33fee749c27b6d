"""Exported policies decide as the agents do, in every format, and say in a line what a file cannot hold."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from commands import clean_environment
from gymnasium import spaces

import rlkit
from rlkit.core import tree
from rlkit.core.spaces import space_tree
from rlkit.core.types import RunError, UsageError
from rlkit.runs.exporting import export as exporting
from rlkit.runs.exporting import formats
from rlkit.runs.run import Run
from toys import ACTIONS, Nested

PAGE = Path(__file__).parents[2] / "docs/guides/deployment.md"
QUIET = ("video=none", "logger=[csv]", "eval.every=0", "tuned=none", "checkpoint.every=0", "num_envs=1")
ROLLOUTS = ("agent.n_steps=16", "agent.batch_size=16", "total_steps=64", "network.hidden=[16]")
REPLAY = ("agent.learning_starts=20", "agent.batch_size=16", "total_steps=40")
RESCALED = "{_target_: gymnasium.wrappers.RescaleAction, min_action: -1, max_action: 1}"
STACK = "{_target_: rlkit.preprocess.FrameStack, size: 3}"
GRAY = "rlkit.preprocess.Gray"


class Pictures(gymnasium.Env[Any, Any]):
    """Random images; a guess at how bright they are is rewarded."""

    observation_space = spaces.Box(0, 255, (24, 20, 3), np.uint8)
    action_space: spaces.Space[Any] = spaces.Discrete(3, start=1)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        return self._image(), {}

    def step(self, action: Any) -> Any:
        return self._image(), float(action), bool(self.np_random.random() < 0.1), False, {}

    def _image(self) -> Any:
        return self.np_random.integers(0, 256, (24, 20, 3), np.uint8)


CASES: dict[str, tuple[Any, ...]] = {
    "images": (("agent=dqn", *REPLAY, "agent.network.dueling=true"), Pictures),
    "a box, normalized": (
        ("agent=ppo", "env=pendulum", *ROLLOUTS, "agent.network.standardize=true", f"preprocess=[{RESCALED}]"),
        None,
    ),
    "memory": (("agent=a2c", "env=cartpole", *ROLLOUTS[:1], *ROLLOUTS[2:], "agent.network.recurrent=gru"), None),
    "sac": (("agent=sac", "env=pendulum", *REPLAY, "agent.actor.hidden=[16]"), None),
    "trees": (("agent=ppo", *ROLLOUTS[:3]), Nested),
    "masks": (("agent=ppo", "env=taxi", *ROLLOUTS, "action_mask=true"), None),
}
MORE: dict[str, tuple[Any, ...]] = {
    "td3": (("agent=td3", "env=pendulum", *REPLAY, "agent.standardize=true"), None),
    "sac of choices": (("agent=sac", "env=cartpole", *REPLAY), None),
    "a table": (("agent=q_learning", "env=frozen_lake", "total_steps=3000"), None),
    "two tables of tuples": (("agent=double_q_learning", "env=blackjack", "total_steps=3000"), None),
    "a planner": (("agent=value_iteration", "env=frozen_lake", "total_steps=300"), None),
    "lstm and frames": (
        (*CASES["memory"][0][:-1], "agent.network.recurrent=lstm", f"preprocess=[{STACK}]"),
        None,
    ),
    "gray frames": (("agent=dqn", *REPLAY, f"preprocess=[{GRAY},{STACK}]"), Pictures),
    "squashed": (("agent=ppo", "env=pendulum", *ROLLOUTS, "agent.network.squash=true"), None),
    "rainbow": (
        ("agent=dqn", "env=cartpole", *REPLAY, "distribution=c51", "agent.network.noisy=true"),
        None,
    ),
}


def trained(case: str, folder: Path) -> Run:
    """Train, and change the parameters, so that actions differ from each other."""
    words, env = {**CASES, **MORE}[case]
    run = rlkit.train(*words, *QUIET, run_dir=str(folder), **({} if env is None else {"env": env}))
    run.load_agent = _stirred(run.load_agent)  # type: ignore[method-assign]
    return run


def _stirred(load: Callable[..., Any]) -> Callable[..., Any]:
    def load_stirred(*given: Any, **named: Any) -> Any:
        agent = load(*given, **named)
        with torch.no_grad():
            generator = torch.Generator().manual_seed(0)
            for parameter in agent.network.parameters() if hasattr(agent, "network") else ():
                parameter += 0.3 * torch.randn(parameter.shape, generator=generator)
        return agent

    return load_stirred


def sampled(space: Any, n: int, seed: int) -> list[Any]:
    space.seed(seed)
    return [space.sample() for _ in range(n)]


def columns(space: Any, values: list[Any]) -> list[Any]:
    own = space_tree(space)
    rows = [tree.leaves(tree.map_many(lambda part, leaf: np.asarray(leaf, part.dtype), own, one)) for one in values]
    return [np.stack(column) for column in zip(*rows, strict=True)]


def thousand_decisions(run: Run, path: Path) -> tuple[list[Any], list[Any]]:
    """Return the parts of the actions of a file and of the agent, on 1,000 observations in all."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path)
    metadata = json.loads(session.get_modelmeta().custom_metadata_map["rlkit"])
    policy, rng = run.policy(), np.random.default_rng(5)
    wrapped = bool(run.config.preprocess) or bool(metadata["memory"])
    n, steps = (40, 25) if wrapped else (1000, 1)
    shapes = {port["name"]: (port["shape"][1:], port["dtype"]) for port in metadata["inputs"]}
    memory = {name: np.zeros((n, *shapes[name][0]), shapes[name][1]) for name in metadata["memory"]}
    found, wanted = [], []
    for step in range(steps):
        observations = sampled(policy.observation_space, n, step)
        names = [name for name in shapes if name.startswith("observation")]
        inputs = dict(zip(names, columns(policy.observation_space, observations), strict=True))
        begins = rng.random(n) < 0.1 if step else np.ones(n, bool)
        infos: Any = None
        if "action_mask" in shapes:
            masks = rng.random((n, *shapes["action_mask"][0])) < 0.5
            masks[:, 0] |= ~masks.any(axis=1)
            inputs["action_mask"], infos = masks, [{"action_mask": mask} for mask in masks]
        if memory:
            inputs["begins"] = begins
        if step:
            policy.reset(begins)
        outputs = session.run(None, {**inputs, **memory})
        actions = policy(observations, infos)
        count = len(outputs) - len(memory)
        memory = dict(zip(memory, outputs[count:], strict=True))
        found.append(outputs[:count])
        wanted.append(columns(policy.action_space, [tree.take(actions, i) for i in range(n)]))
    return [[np.concatenate(part) for part in zip(*side, strict=True)] for side in (found, wanted)]  # type: ignore[return-value]


@pytest.mark.parametrize("case", [*CASES, *(pytest.param(case, marks=pytest.mark.slow) for case in MORE)])
def test_a_file_of_onnx_decides_as_the_agent_on_a_thousand_observations(case: str, tmp_path: Path) -> None:
    run = trained(case, tmp_path / "run")
    path = run.export(tmp_path / "policy.onnx")
    found, wanted = thousand_decisions(run, path)
    assert len(found) == len(wanted) > 0
    for own, theirs in zip(found, wanted, strict=True):
        assert own.dtype == theirs.dtype
        assert own.shape == theirs.shape
        assert len(own) == 1000
        assert len(np.unique(own)) > 1, "all actions alike prove nothing"
        if own.dtype.kind == "f":
            np.testing.assert_allclose(own, theirs, rtol=1e-4, atol=1e-5)
        elif "table" in case or "planner" in case:
            assert np.mean(own == theirs) > 0.2, "the agent draws among equals"
        else:
            np.testing.assert_array_equal(own, theirs)
    assert b"/opt/" not in path.read_bytes()
    assert b"stack_trace" not in path.read_bytes()


@pytest.mark.parametrize("format", ["torchscript", pytest.param("torch_export", marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "case",
    [
        *("images", "memory", "trees"),
        *(pytest.param(case, marks=pytest.mark.slow) for case in ("a box, normalized", "sac", "masks", *MORE)),
    ],
)
def test_files_of_torch_decide_as_the_agent_and_hold_metadata(case: str, format: str, tmp_path: Path) -> None:
    path = trained(case, tmp_path / "run").export(tmp_path / "policy.bin", format=format)  # it is tried by itself
    with zipfile.ZipFile(path) as archive:
        [name] = [name for name in archive.namelist() if name.endswith("extra/rlkit.json")]
        metadata = json.loads(archive.read(name))
        assert not [name for name in archive.namelist() if name.endswith("debug_pkl")]
    assert metadata["inputs"][0]["name"].startswith("observation")
    assert metadata["versions"]["torch"] == torch.__version__


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_torch_s_own_calls_return_the_metadata(tmp_path: Path) -> None:
    run, extra = trained("sac", tmp_path / "run"), {"rlkit.json": ""}
    torch.jit.load(run.export(tmp_path / "policy.pt", format="torchscript"), _extra_files=extra)
    assert json.loads(extra["rlkit.json"])["agent"] == "rlkit.agents.sac.SAC"
    extra = {"rlkit.json": ""}
    torch.export.load(run.export(tmp_path / "policy.pt2", format="torch_export"), extra_files=extra)
    assert json.loads(extra["rlkit.json"])["action_space"] == "Box(-2.0, 2.0, (1,), float32)"


def test_metadata_say_what_goes_in_and_comes_out(tmp_path: Path) -> None:
    import onnx

    run = trained("lstm and frames", tmp_path / "run")
    model = onnx.load(run.export(tmp_path / "policy.onnx"))
    metadata = json.loads(next(one.value for one in model.metadata_props if one.key == "rlkit"))
    assert metadata["inputs"] == [
        {"name": "observation", "dtype": "float32", "shape": ["batch", 4]},
        {"name": "begins", "dtype": "bool", "shape": ["batch"]},
        {"name": "memory", "dtype": "float32", "shape": ["batch", 2 * run.config.agent["network"]["recurrent_size"]]},
        {"name": "frames", "dtype": "float32", "shape": ["batch", 3, 4]},
    ]
    assert metadata["memory"] == {"memory": "next_memory", "frames": "next_frames"}
    assert [port["name"] for port in metadata["outputs"]] == ["action", "next_memory", "next_frames"]
    assert [one.name for one in model.graph.input] == [port["name"] for port in metadata["inputs"]]
    assert metadata["action_space"] == "Discrete(2)"
    assert metadata["observation_space"].startswith("Box([")
    assert metadata["inside"] == ["FrameStack"]
    assert metadata["environment"] == "CartPole-v1"


def test_wrappers_that_no_file_holds_are_named_and_those_around_them_are_inside(tmp_path: Path) -> None:
    skip = "{_target_: rlkit.preprocess.FrameSkip, skip: 2}"
    words = (*CASES["memory"][0], f"preprocess=[rlkit.preprocess.SignReward,{skip},{STACK}]")
    run = rlkit.train(*words, *QUIET, run_dir=str(tmp_path / "run"))
    made = exporting.export(run, tmp_path / "policy.pt", format="torchscript", checkpoint="best")
    assert made.outside == ["FrameSkip"]
    assert made.compared == 256


def test_a_file_that_decides_otherwise_is_not_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = trained("memory", tmp_path / "run")
    load, path = formats.load, tmp_path / "policy.pt"
    path.write_text("as it was")

    def other(*given: Any) -> Any:
        decide = load(*given)
        return lambda inputs: [1 - (outputs := decide(inputs))[0], *outputs[1:]]

    monkeypatch.setattr(formats, "load", other)
    with pytest.raises(RunError, match=r"^the exported file's action is \d where the agent's is \d; nothing was exp"):
        run.export(path, format="torchscript")
    assert path.read_text() == "as it was"
    assert not list(tmp_path.glob(".*"))


REFUSED = {
    "MCTS decides by more than a network or a table, and a file holds no more: use run.policy() from Python, or send "
    "the whole run by rlkit share": ("agent=mcts", "env=tic_tac_toe", "agent.simulations=4", "total_steps=4"),
    "FittedQ decides by more than": ("agent=fitted_q", "env=cartpole", "total_steps=20"),
    "QLearning cannot be exported: its states are not known yet": (
        *("agent=q_learning", "env=cartpole", "discretizer@agent.discretizer=grid", "total_steps=20"),
    ),
    "DQN cannot be exported: a file holds the memory of a2c and ppo alone; use run.policy() from Python": (
        *("agent=dqn", "env=cartpole", "replay=sequences", "agent.network.recurrent=gru", "total_steps=20"),
    ),
    "SAC cannot be exported: a file holds the memory of a2c and ppo alone": (
        *("agent=sac", "env=pendulum", "replay=sequences", "agent.recurrent=gru", "total_steps=20"),
    ),
}


@pytest.mark.parametrize("line", REFUSED)
def test_what_no_file_holds_is_refused_in_a_line(line: str, tmp_path: Path) -> None:
    run = rlkit.train(*REFUSED[line], *QUIET, run_dir=str(tmp_path / "run"))
    with pytest.raises(UsageError) as refusal:
        run.export(tmp_path / "policy.pt", format="torchscript")
    assert str(refusal.value).startswith(line)
    assert "\n" not in str(refusal.value)


def test_formats_and_packages_that_are_not_there_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = rlkit.train(*REFUSED[next(iter(REFUSED))], *QUIET, run_dir=str(tmp_path / "run"))
    with pytest.raises(UsageError, match=r"there is no format=onyx; did you mean onnx\?"):
        run.export(format="onyx")
    monkeypatch.setattr(formats, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"^format=onnx needs onnx, onnxruntime, onnxscript: pip install onnx onn"):
        run.export()


ALONE = "import sys\nsys.modules.update(dict.fromkeys(['rlkit', 'torch', 'gymnasium']))\n"
"""Whoever imports these fails."""


@pytest.mark.parametrize(("number", "case"), [(0, "plain"), (1, "memory")])
def test_the_scripts_of_the_page_use_a_file_with_onnxruntime_and_numpy_alone(
    number: int, case: str, tmp_path: Path
) -> None:
    scripts = re.findall(r"^```py\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    assert len(scripts[0].splitlines()) <= 10
    if case == "plain":
        words = ("agent=dqn", "env=cartpole", *REPLAY)
        run = rlkit.train(*words, *QUIET, run_dir=str(tmp_path / "run"))
    else:
        run = trained("memory", tmp_path / "run")
    run.export(tmp_path / "policy.onnx")
    (tmp_path / "script.py").write_text(ALONE + scripts[number])
    words = [sys.executable, "script.py"]
    done = subprocess.run(
        words, cwd=tmp_path, env=clean_environment(), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] in ("0", "1")


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_parts_of_actions_are_those_of_their_space(tmp_path: Path) -> None:
    run = trained("trees", tmp_path / "run")
    module = torch.jit.load(run.export(tmp_path / "policy.pt", format="torchscript"))
    with zipfile.ZipFile(tmp_path / "policy.pt") as archive:
        metadata = json.loads(archive.read(next(name for name in archive.namelist() if name.endswith("rlkit.json"))))
    names = [port["name"] for port in metadata["outputs"]]
    assert names == ["action/0", "action/1/force", "action/1/odd"]
    shown = columns(run.policy().observation_space, sampled(run.policy().observation_space, 5, 0))
    choice, force, odd = (tensor.numpy() for tensor in module(*map(torch.from_numpy, shown)))
    for i in range(5):
        assert ACTIONS.contains((choice[i], {"force": force[i], "odd": odd[i]}))
