"""`rlkit <verb> --help`: the keys and their meaning, read from the comments of conf/, so they are never out of date.

Only the text of the YAML files is read: neither Hydra nor gymnasium nor torch is imported.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from rlkit.config import plugins

WIDTH = 100
GROUPS = (
    "agent",
    "env",
    "network",
    "distribution",
    "replay",
    "schedule",
    "features",
    "discretizer",
    "policy",
    "explorer",
    "data",
    "logger",
    "experiment",
    "tuned",
)
"""The groups of `rlkit train` in help texts."""

SEARCH_GROUPS = ("search", "sampler", "pruner", "scheduler")

FIT_GROUPS = ("learner", "data", "prepare", "logger", "experiment")

USAGE = {
    "train": "rlkit train [group=name …] [key=value …] [-m]",
    "eval": "rlkit eval run=<run folder or zip> [key=value …]",
    "play": "rlkit play run=<run folder or zip> | env=<name> … [key=value …]",
    "export": "rlkit export run=<run folder> [key=value …]",
    "share": "rlkit share run=<run folder> [key=value …]",
    "match": "rlkit match <player> <player> … [key=value …]",
    "analyse": "rlkit analyse player=<player> [key=value …]",
    "fit": "rlkit fit [group=name …] [key=value …] [-m]",
    "predict": "rlkit predict run=<run folder> input=<file or folder> [key=value …]",
    "report": "rlkit report <run folder> … [key=value …]",
    "search": "rlkit search [agent=name env=name …] ['key=range' …] [key=value …]",
    "bench": "rlkit bench suite=<name> [key=value …]",
    "watch": "rlkit watch [<folder of runs>] [key=value …]",
    "list": "rlkit list [group | gym] [output=json] [hydra.searchpath=[file://folder]]",
    "check": "rlkit check env=<name> | agent=<name> | learner=<name> … [key=value …]",
    "doctor": "rlkit doctor [output=json]",
}

NOTES = {
    "train": """\
values inside a group
  agent.gamma=0.9            any value of a chosen file; rlkit train --cfg job shows them all
  schedule@agent.epsilon=exponential   another file for a part of one
  +env.kwargs.map_name=8x8   a value that the file does not have yet
  hydra.searchpath=[file://my_conf]    a folder of YAML files of your own, my_conf/env/my_maze.yaml
  --cfg job | --info defaults          show all values, with those of the run, or their origin

sweeps (-m)
  rlkit train -m seed=0,1,2 agent.gamma=0.9,0.99     six runs; hydra/launcher=joblib: side by side

examples
  rlkit train agent=q_learning env=frozen_lake       a Q-table: seconds
  rlkit train env=gym env.id=Acrobot-v1 seed=3       any Gymnasium id
  rlkit train env=gym env.id=my_package:Name-v0      one that a package registers
  rlkit train logger=[csv,terminal,wandb]            Weights & Biases, or TensorBoard: tensorboard
  rlkit train callback=early_stopping                stop when evaluations get no better
  rlkit train resume=runs/dqn_cartpole_s0 total_steps=200000""",
    "eval": """\
examples
  rlkit eval run=runs/dqn_cartpole_s0 episodes=100
  rlkit eval run=runs/dqn_cartpole_s0 checkpoint=last output=json
  rlkit eval -m run=runs/dqn_cartpole_s0,runs/dqn_cartpole_s0-2""",
    "play": """\
examples
  rlkit play run=runs/dqn_cartpole_s0                an mp4 of the best agent
  rlkit play run=runs/dqn_cartpole_s0 episodes=3 seed=7 out=films
  rlkit play run=runs/dqn_cartpole_s0 episodes=9 grid=true     side by side
  rlkit play run=runs/dqn_cartpole_s0 actions=true   the video, and a small log of actions
  rlkit play log=videos/dqn_cartpole_s0/best-seed0-0.actions.json height=800
  rlkit play run=runs/dqn_cartpole_s0 human=true     you play, in a window
  rlkit play run=runs/mcts_othello_s0 human=true terminal=true     you play against the agent
  rlkit play run=runs/dqn_cartpole_s0 record=true episodes=20      episodes for agent=cloning
  rlkit play env=car_racing record=true human=true episodes=20     the same of your own driving
  rlkit play env=car_racing record=true expert=centre_line         the same of a scripted driver""",
    "export": """\
wrappers, statistics and scaling are inside as far as a file can hold them; a line names those that
are not; the file is tried against the agent before it is left

examples
  rlkit export run=runs/dqn_cartpole_s0              dqn_cartpole_s0.onnx, for onnxruntime
  rlkit export run=runs/dqn_cartpole_s0 format=torch_export out=policy.pt2
  rlkit export run=runs/dqn_cartpole_s0 format=torchscript checkpoint=last""",
    "share": """\
the zip holds the configuration, the agent without what only learning needs, scores, a card and a
video, and no pickle

examples
  rlkit share run=runs/dqn_cartpole_s0               dqn_cartpole_s0.zip
  rlkit share run=runs/dqn_cartpole_s0 video=film.mp4 out=cartpole.zip
  rlkit eval run=dqn_cartpole_s0.zip                 what others do with it
  rlkit play run=dqn_cartpole_s0.zip""",
    "match": """\
players: a run folder, mcts, random or perfect (where the game is solved); @last or @50000 behind a
run chooses the checkpoint, @all takes each one kept, and :400 the simulations of a search; :0 is a
network alone

examples
  rlkit match runs/alphazero_connect_four_s0:400 mcts:1000
  rlkit match mcts:100 mcts:1000 random env=othello games=20
  rlkit match runs/alphazero_tic_tac_toe_s0@all:50 mcts:100 perfect     a ladder, with Elo
  rlkit match runs/a runs/b seconds=0.5 out=games.csv""",
    "analyse": """\
examples
  rlkit analyse player=mcts:100000 env=connect_four moves=[d,d,c]
  rlkit analyse player=runs/alphazero_connect_four_s0 moves=[d,d] output=json""",
    "fit": """\
values inside a group
  learner.max_depth=3        any value of a chosen file; rlkit fit --cfg job shows them all
  +learner.criterion=entropy a parameter of the learner that its file does not name
  prepare=[impute,standardize]   several, one after the other

examples
  rlkit fit                                          a tree on iris
  rlkit fit learner=forest data=wine folds=5         cross-validated
  rlkit fit learner=sklearn learner.estimator=sklearn.svm.SVC +learner.C=10 prepare=standardize
  rlkit fit learner=linear data=csv data.path=table.csv data.target=price
  rlkit fit data=house_prices data.folder=downloads  files that you have
  rlkit fit -m learner=tree,forest,logistic data=wine
  rlkit fit learner=kmeans data=image data.path=photo.jpg""",
    "predict": """\
a table's columns are found by their names; one called Id stays beside the predictions

examples
  rlkit predict run=runs/tree_iris_s0 input=flowers.csv
  rlkit predict run=runs/tree_iris_s0 input=flowers.npz array=X probabilities=true out=flowers.csv
  rlkit predict run=runs/cnn_images_s0 input=folder_of_pictures""",
    "report": """\
runs that differ only in their seed form a group: its curve is their mean, with a 95% interval

examples
  rlkit report runs/dqn_cartpole_s0 runs/dqn_cartpole_s1
  rlkit report runs/*cartpole* out=cartpole.html     every run with cartpole in its name
  rlkit report 'runs=[runs/a,runs/b]' output=json    the metrics, too""",
    "search": """\
every other key=value is that of rlkit train, for all trials; one with a range is searched, and one
with a single value is not: conf/search/<agent>.yaml has the other ranges

ranges, in quotes for the shell
  'agent.learning_rate=tag(log,interval(1e-5,1e-2))'    numbers; tag(log,…): by their logarithm
  'agent.gamma=tag(log,one_minus,interval(0.9,0.999))'  … of what they lack to 1
  'agent.epochs=range(1,11)'            whole numbers from 1 to 10; tag(log,int(interval(8,512)))
  agent.batch_size=32,64,128            these values; 'network.hidden=choice([64,64],[256,256])'

examples
  rlkit search agent=ppo env=cartpole trials=40 workers=2
  rlkit search agent=dqn env=cartpole total_steps=30000 eval.every=3000 pruner=hyperband
  rlkit search agent=q_learning env=frozen_lake search=none 'agent.gamma=interval(0.9,1)'
  rlkit search agent=ppo env=cartpole scheduler=pbt scheduler.size=4    population-based training
  rlkit search resume=runs/searches/ppo_cartpole        go on, or join as one more worker
  rlkit search resume=runs/searches/ppo_cartpole trials=80""",
    "bench": """\
the same command goes on after a kill, and adds what is new: more seeds, agents or environments

values inside a suite
  suite.episodes=20          any value of its file; +suite.envs.acrobot.words=[…] adds one
  hydra.searchpath=[file://my_conf]    a folder with a suite of your own, my_conf/suite/mine.yaml

examples
  rlkit bench suite=tabular seeds=5
  rlkit bench suite=classic agents=[ppo,dqn] envs=[cartpole] seeds=[0,1,2] workers=2
  rlkit bench suite=classic agents=[my_agent] out=results
  rlkit bench suite=atari hydra/launcher=submitit_slurm          on a cluster""",
    "watch": """\
a server for this machine alone, which only reads; Ctrl-C ends it

examples
  rlkit watch                    the runs in runs/, at http://127.0.0.1:7007/
  rlkit watch other/runs port=0
  rlkit watch host=0.0.0.0       for every machine that can reach this one""",
    "list": """\
examples
  rlkit list                     everything
  rlkit list agent               one group
  rlkit list gym                 the registered Gymnasium ids, for env=gym env.id=…
  rlkit list env output=json""",
    "check": """\
examples
  rlkit check env=my_maze
  rlkit check agent=my_agent env=cartpole
  rlkit check learner=my_learner""",
    "doctor": """\
examples
  rlkit doctor
  rlkit doctor output=json       the same for programs
status 1 where something that rlkit cannot do without is missing""",
}


TITLES = {
    "list": "Show what there is, and which package each came from.",
    "doctor": "Show what this machine has, and what is missing.",
}
"""The titles of the verbs that have no YAML."""


class Key(NamedTuple):
    """A key of a verb, with its value and comment in the verb's YAML."""

    name: str
    value: str
    comment: str


def describe(verb: str, words: Sequence[str] = ()) -> str:
    """Return the help text of a verb, or that of the files which `words` choose; no line is longer than `WIDTH`."""
    chosen = [one for word in words for one in _chosen(word)]
    if chosen:
        more = f"rlkit {verb} --help shows the keys of every run, and what there is to choose from"
        return "\n\n".join([*(_of_file(*one) for one in chosen), more])
    path = plugins.origins()[0].folder / f"{verb}.yaml"
    title = _title(path) if path.exists() else TITLES[verb]
    parts = [f"rlkit {verb}: {title}\n\nusage: {USAGE[verb]}"]
    if path.exists():
        parts += _keys_and_groups(verb, path)
    return "\n\n".join([*parts, NOTES[verb]])


def _keys_and_groups(verb: str, path: Path) -> list[str]:
    lines = path.read_text().splitlines()
    chosen = defaults(lines)
    keys = [(f"{key.name}={'…' if key.value == '???' else key.value}", key.comment) for key in read_keys(lines)]
    slots = (re.match(r"  - /(\w+)@(\w+): (\w+)$", line) for line in lines)
    keys += [(f"{slot[1]}@{slot[2]}={slot[3]}", f"rlkit list {slot[1]} shows other files") for slot in slots if slot]
    parts = ["keys and their defaults\n" + columns(keys)]
    known = {"train": GROUPS, "fit": FIT_GROUPS, "search": SEARCH_GROUPS}
    groups = known.get(verb) or tuple(
        group for group in (*GROUPS, *FIT_GROUPS[:1], "expert", "suite") if group in chosen
    )
    shown = [row for group in groups for row in _group(group, chosen.get(group, ""), verb)]
    return parts + (
        [f"groups and their files (rlkit list {groups[0]} describes them)\n{columns(shown)}"] if shown else []
    )


def _group(group: str, chosen: str, verb: str) -> Iterator[tuple[str, str]]:
    """Yield a group with its default, and the names of the files that fit the verb."""
    names = [entry.name for entry in plugins.entries(group) if group != "experiment" or entry.verb == verb]
    if names:
        default = "" if chosen == "null" or "$" in chosen else chosen.replace(" ", "")
        many = group == "tuned" or (group, verb) == ("experiment", "train")
        listed = f"{len(names)} files" if many else ", ".join(names)
        yield f"{group}={default}", listed + HINTS.get(group, "")


def _chosen(word: str) -> Iterator[tuple[str, plugins.Entry]]:
    """Yield the files that a word chooses, as ``agent=ppo`` or ``logger=[csv,wandb]`` do, each with its key."""
    key, _, value = word.partition("=")
    group, _, place = key.partition("@")
    names = re.findall(r"\w+", value)
    yield from ((place or group, entry) for entry in plugins.entries(group or "-") if entry.name in names)


def _of_file(key: str, entry: plugins.Entry) -> str:
    """Return what a file is, and its values, those in presets excepted."""
    lines = entry.path.read_text("utf-8", "replace").splitlines()
    found = [] if entry.group in PRESETS else read_keys(lines)
    rows = [
        (f"{key}.{one.name}={'…' if one.value == '???' else one.value or ''}", one.comment)
        for one in found
        if not one.name.rpartition(".")[2].startswith("_")
    ]
    parts = (re.match(r"  - /(\w+)@(?!_)(\w+): (\w+)$", line) for line in lines)
    rows += [
        (f"{part[1]}@{key}.{part[2]}={part[3]}", f"rlkit list {part[1]} shows other files")
        for part in parts
        if part and entry.group not in PRESETS
    ]
    title = textwrap.fill(f"{entry.group}={entry.name}: {summary(entry)}", WIDTH)
    return f"{title}\n{columns(rows)}" if rows else title


PRESETS = ("experiment", "tuned")
"""Groups whose files hold values of other groups."""

HINTS = {
    "data": " (what rlkit fit learns from; ratings are for env=recommendation, too)",
    "prepare": " (the data chooses; several: prepare=[impute,standardize])",
    "network": " (the agent chooses)",
    "distribution": " (of returns; the agent chooses)",
    "replay": " (the agent chooses)",
    "schedule": " (schedule@agent.epsilon=…)",
    "features": " (features@agent.features=…)",
    "discretizer": " (discretizer@agent.discretizer=…)",
    "search": " (ranges; the agent chooses)",
    "policy": " (policy@agent.policy=…)",
    "explorer": " (explorer@agent.explorer=…, of agent=bandit)",
    "logger": " (several: logger=[csv,terminal])",
    "experiment": " (presets)",
    "tuned": " for pairs of agent and environment, picked up by themselves; tuned=none switches them off",
}


def summary(entry: plugins.Entry) -> str:
    """Return the summary of a YAML file, and its package if that is not rlkit."""
    origin = entry.origin.distribution
    return entry.summary + ("" if origin == plugins.CORE else f" ({origin})")


def defaults(lines: Iterable[str]) -> dict[str, str]:
    """Return the choice of each group of a defaults list."""
    pattern = re.compile(r"  - (?:optional )?(\w+): (.+)$")
    return {match[1]: match[2] for line in lines if (match := pattern.match(line))}


def read_keys(lines: Iterable[str]) -> list[Key]:
    """Return the keys of a verb's YAML; a comment can continue on the lines below its key."""
    keys: list[Key] = []
    section = ""
    for line in lines:
        if match := re.match(r"( *)(\w+):(?: +([^#]*?))? *(?:# *(.*))?$", line):
            indent, name, value, comment = match.groups()
            if not indent and not value:
                section = name
            elif section != "defaults" or not indent:
                section = section if indent else ""
                keys.append(Key(f"{section}.{name}" if indent else name, value, comment or ""))
        elif keys and (more := re.match(r" +# *(.*)$", line)):
            keys[-1] = keys[-1]._replace(comment=f"{keys[-1].comment} {more[1]}")
    return keys


def columns(rows: Sequence[tuple[str, str]], indent: int = 2) -> str:
    """Return two columns, the second wrapped."""
    width = min(max((len(left) for left, _ in rows), default=0), 26)
    lines = []
    for left, right in rows:
        start = " " * indent + left.ljust(width) + "  "
        wrapped = textwrap.wrap(right, WIDTH - indent - width - 2) or [""]
        if len(left) > width:
            lines.append(" " * indent + left)
            start = " " * (indent + width + 2)
        lines += [(start + wrapped[0]).rstrip(), *(" " * (indent + width + 2) + rest for rest in wrapped[1:])]
    return "\n".join(lines)


def _title(path: Path) -> str:
    return path.read_text().splitlines()[0].removeprefix("#").strip()
