"""Nonsense on the command line is answered in one line that names the mistake, by status 2."""

from __future__ import annotations

import shlex
from itertools import islice
from pathlib import Path

import pytest
from fuzz_command_line import Answer, faults
from fuzz_lines import SMALL, Line, Lines, each_number

from rlkit.cli.main import VERBS, main

LONG = "x" * 300
LINES = {
    # where a node is wanted
    "train env=[[1],[2]]": "env=[[1],[2]]: env takes a name; there is: acrobot",
    "play env=[null]": "env=[null]: env takes a name; there is: acrobot",
    "fit prepare=[-1]": "prepare=[-1]: prepare takes a name; there is: impute",
    "fit prepare=[[1]]": "prepare=[[1]]: prepare takes a name; there is: impute",
    "train schedule@agent.epsilon=3": "schedule@agent.epsilon=3: schedule takes a name; there is: constant",
    "train agent.epsilon=3": "agent.epsilon is 3, not a Schedule",
    "train ~network": "~network: network cannot be deleted; choose another (rlkit list network)",
    "train ~replay": "~replay: replay cannot be deleted; choose another (rlkit list replay)",
    "train checkpoint=${seed}": "checkpoint is 0; it must be settings: every, keep",
    f"train eval.epsilon={'9' * 400}": "eval.epsilon is a number of more than 308 digits; it must be one that a float",
    "train agent.epsilon=null": "agent.epsilon is null, not a ",
    "train agent.optimizer=null": "agent.optimizer is null, not a ",
    "train agent.network=null": "agent.network is null, not a ",
    "train replay._from_run_=-0.5": "replay._from_run_ is -0.5; it must be a list of parameters, e.g. [device]",
    "train ~eval": "eval cannot be deleted: rlkit needs a value for it",
    "train ~eval.episodes": "~eval.episodes: eval.episodes cannot be deleted: rlkit needs a value for it",
    "train env=recommendation agent=bandit agent.estimator=3": "agent.estimator is 3, which is no estimator; choose",
    # targets of other packages
    "train agent._target_=..": "agent._target_ is '..'; it must name a class in its module, as my_module.MyClass",
    "train agent._target_=1": "agent._target_ is '1'; it must name a class",
    "train agent._target_=[nan]": "agent._target_ is '[nan]'; it must name a class",
    "train replay._target_=[]": "replay._target_ is '[]'; it must name a class",
    "train agent._target_=os.getcwd": "agent: getcwd does not accept its options: ",
    "train agent=a2c agent.optimizer.alpha=-1": "agent.optimizer: RMSprop does not accept its options: Invalid alpha",
    "train +agent.optimizer.betas=[2,0.9]": "agent.optimizer: Adam does not accept its options: Invalid beta",
    "train +agent.optimizer.eps=-1": "agent.optimizer: Adam does not accept its options: Invalid epsilon value: -1",
    "train +agent.optimizer.eps=nan": "agent.optimizer.eps is nan; it must be a finite number",
    "train +agent.optimizer.weight_decay=nan": "agent.optimizer.weight_decay is nan; it must be a finite number",
    "train +agent.optimizer.betas=[nan,0.9]": "agent.optimizer.betas[0] is nan; it must be a finite number",
    "train +agent.optimizer.betas=5": "agent.optimizer.betas is 5, but it must be a list",
    "fit learner=sklearn learner.estimator=os.getcwd": "learner is a str, which has no fit: it is no estimator",
    # huge
    f"train env=gridworld env.max_steps={2**70}": "env.max_steps is a number of about 24 digits; it must be less than",
    f"train agent=linear_q env=mountain_car agent.features.tiles={2**70}": "agent.features.tiles is a number of about",
    "train threads=1000000000": "threads is 1000000000; it must be from 1 to 1024",
    # paths
    "fit data=csv data.path=2147483648": "data.path=2147483648 cannot be read: No such file or directory",
    "fit data=csv data.path=.": "data.path=. cannot be read: Is a directory",
    "fit data=csv data.path=file/x": "data.path=file/x cannot be read: Not a directory",
    "fit data=images data.path=file": "data.path=file is no folder of images",
    "fit data=image data.path=.": ". is no image that can be read: Is a directory",
    "fit data=npz data.path=.": "data.path=. cannot be read: Is a directory",
    "train agent=cloning agent.episodes=file": "file/episodes.json cannot be read: not a directory",
    "train agent=cloning agent.episodes=3": "agent.episodes is 3, but it must be text",
    "train resume=file": "file is a file, not the folder of a run",
    "report file": "file is no run that rlkit share packed: File is not a zip file",
    "train env=gym env.id=os:Nope": "there is no Gymnasium environment os:Nope",
    "train env=gym env.id=": "there is no Gymnasium environment ''",
    "train hydra.searchpath=[file://nowhere]": "hydra.searchpath: there is no folder 'nowhere'; write",
    "train hydra.searchpath=[pkg://nowhere.at.all]": "hydra.searchpath: there is no folder 'nowhere.at.all'; write",
    "list hydra.searchpath=[file://nowhere]": "hydra.searchpath: there is no folder 'nowhere'; write",
    "train trust=3": "trust=3 is no package; name one that you know",
    "train trust=[nan]": "trust=nan is no package; name one that you know",
    # long
    f"train name={LONG}": f"name={LONG[:40]}… has a part of 300 bytes; a folder's name has at most 250",
    f"train run_dir=a/{LONG}": f"run_dir=a/{LONG[:38]}… has a part of 300 bytes; a folder's name has at most 250",
    f"fit name={LONG}": f"name={LONG[:40]}… has a part of 300 bytes; a folder's name has at most 250",
    f"train agent={LONG}": f"there is no agent={LONG[:40]}… (300 characters)",
    f"train logger=[csv,{LONG}]": f"there is no logger={LONG[:40]}… (300 characters)",
    f"fit +{LONG}=1": f"there is no key {LONG[:40]}… (300 characters)",
    f"train hydra.searchpath=[file://{LONG}]": "hydra.searchpath: there is no folder 'xxx",
}


@pytest.mark.parametrize("line", LINES, ids=[line[:60] for line in LINES])
def test_one_line_names_the_mistake(
    line: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    assert main([*shlex.split(line), *(["total_steps=3", "video=none"] if line.startswith("train") else [])]) == 2
    [said] = capsys.readouterr().err.splitlines()
    assert said.startswith(f"rlkit: {LINES[line]}"), said


def test_lines_by_chance_are_answered_well() -> None:
    lines = list(islice(Lines(0), 14))
    assert [(" ".join(given.words), fault) for given, fault in faults(lines)] == []


def test_lines_are_of_all_verbs_and_the_same_for_a_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fuzz_lines.keys_of", lambda verb, chosen: [("seed", 0), ("name", None)])
    lines = [list(islice(Lines(seed), 60)) for seed in (1, 1, 2)]
    assert lines[0] == lines[1] != lines[2]
    assert {line.words[0] for line in (*lines[0], *lines[2])} == set(VERBS)


def test_each_number_of_each_file_has_its_turn() -> None:
    lines = [" ".join(line.words) for line in each_number(["nan"], groups=("schedule", "replay"))]
    assert " ".join(["train", *SMALL["train"], "agent=dqn", "replay=uniform", "replay.capacity=nan"]) in lines
    assert any(line.endswith("schedule@agent.epsilon=exponential agent.epsilon.rate=nan") for line in lines)


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (Answer(["train"], 2, "rlkit: seed is -1; it must be at least 0", nonsense=True), ""),
        (Answer(["train"], 0, "", nonsense=True), "status 0"),
        (Answer(["train"], 0, "", nonsense=False), ""),
        (Answer(["train"], 1, "rlkit: TypeError: bad operand", nonsense=False), "says 'TypeError'"),
        (Answer(["train"], 1, "rlkit: not enough memory", nonsense=False), "says 'not enough memory'"),
        (Answer(["train"], None, "took too long", nonsense=False), "no answer"),
        (Answer(["train", "total_steps=1000000000"], None, "took too long", nonsense=False), ""),
    ],
)
def test_what_is_asked_of_an_answer(answer: Answer, fault: str) -> None:
    assert answer.fault() == fault


def test_a_fault_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rlkit.config.compose._check_keys", lambda *given: 1 / 0)
    [(given, fault)] = faults([Line(["check", "steps=3"], nonsense=False)], runs=())
    assert (given.status, fault) == (1, "says 'ZeroDivisionError'")
