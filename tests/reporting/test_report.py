"""The report: one page that needs nothing else, whose numbers are those of the runs."""

from __future__ import annotations

import base64
import html
import json
import os
import re
import shlex
import shutil
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from commands import refused, succeed
from hypothesis import given
from hypothesis import strategies as st

import rlkit
from rlkit.config import instantiate
from rlkit.config.compose import composed
from rlkit.config.literals import literal
from rlkit.core.csv_tables import read_table
from rlkit.core.types import UsageError
from rlkit.reporting.chart import short, tick_labels, ticks
from rlkit.reporting.commands import OWN, Commands
from rlkit.reporting.curves import evaluation_curve, training_curve
from rlkit.reporting.groups import differences, grouped
from rlkit.reporting.opening import open_runs
from rlkit.reporting.scores import group_score
from rlkit.runs.run import Run

TRAIN = ("agent=q_learning", "env=frozen_lake", "tuned=none", "total_steps=600", "num_envs=2", "log.every=100")
PERIODS = ("eval.every=200", "eval.episodes=3", "checkpoint.every=200", "logger=[csv]")
OTHER = ("agent.learning_rate=0.5", "agent.gamma=0.8")
SOURCES = ("src", "href", "poster", "data", "action", "srcset", "xlink:href")
VOID = {"meta", "link", "br", "img", "wbr", "line", "path", "circle", "input", "hr"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with runs of three groups: three seeds, two seeds, and a random agent in another environment."""
    folder = tmp_path_factory.mktemp("made")
    before = Path.cwd()
    os.chdir(folder)
    try:
        for seed in range(3):
            rlkit.train(*TRAIN, *PERIODS, seed=seed, video="none")
        for seed in range(2):
            rlkit.train(*TRAIN, *PERIODS, *OTHER, seed=seed, video="none")
        rlkit.train("agent=random", "env=cartpole", *TRAIN[2:], *PERIODS, name="'lonely <b>&'", video="final")
    finally:
        os.chdir(before)
    return folder


@pytest.fixture
def runs(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    shutil.copytree(made, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    return sorted(Path("runs").iterdir())


class Page(HTMLParser):
    """Checks that elements are closed as they were opened, and collects what is in them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID or (tag == "line" and "cross" in str(dict(attrs).get("class"))):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def text(self) -> str:
        return "".join(self.texts)


def test_the_page_needs_nothing_else(runs: list[Path]) -> None:
    path = rlkit.report(*runs)
    text = path.read_text()
    page = Page(text)
    for tag, attributes in page.elements:
        for name in SOURCES:
            value = attributes.get(name)
            assert value is None or value.startswith("data:") or tag == "a", (tag, name, value)
    assert not re.search(r"https?://|@import|url\(", text)
    policies = [one["content"] for one in page.of("meta") if one.get("http-equiv") == "Content-Security-Policy"]
    assert str(policies[0]).startswith("default-src 'none'")
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids)) == 4
    assert all(one.get("alt") for one in page.of("img"))
    assert all(one.get("aria-label") for one in page.of("svg") if one.get("role") == "img")


def test_equal_runs_make_equal_pages_whatever_else_happens(runs: list[Path]) -> None:
    first = rlkit.report(*runs).read_bytes()
    assert rlkit.report(*runs, *runs[:2], out="again/second.html").read_bytes() == first


def test_runs_that_differ_only_in_their_seed_are_a_group(runs: list[Path]) -> None:
    groups = grouped(open_runs(runs))
    assert sorted(group.seeds for group in groups) == [[0], [0, 1], [0, 1, 2]]
    assert {group.label for group in groups} == {
        "lonely <b>&",
        "q_learning_frozen_lake gamma=0.99, learning_rate=1.0",
        "q_learning_frozen_lake gamma=0.8, learning_rate=0.5",
    }


def test_only_what_differs_is_told(runs: list[Path]) -> None:
    groups = [group for group in grouped(open_runs(runs)) if "q_learning" in group.label]
    several, partial = differences(groups)
    assert set(several) == {"agent.learning_rate", "agent.gamma"}
    assert sorted(several["agent.gamma"])[0] == "0.8"
    assert partial == {}
    several, partial = differences(grouped(open_runs(runs)))
    assert {"agent", "env", "agent.gamma"} <= set(several)
    assert "agent.initial_value" in partial
    assert not {"agent._target_", "seed", "name", "run_dir"} & {*several, *partial}


def of_three_seeds(runs: list[Path]) -> Any:
    return next(group for group in grouped(open_runs(runs)) if len(group.runs) == 3)


def test_curves_are_means_over_seeds(runs: list[Path]) -> None:
    group = of_three_seeds(runs)
    curve = evaluation_curve(group)
    assert list(curve.mean.steps) == [200, 400, 600]
    tables = [read_table(run.directory / "evaluations.csv") for run in group.runs]
    for i, step in enumerate((200, 400, 600)):
        each = [table["return/raw"][table["step"] == step].mean() for table in tables]
        assert curve.mean.values[i] == pytest.approx(np.mean(each))
        assert min(each) <= curve.interval[0][i] <= np.mean(each) <= curve.interval[1][i] <= max(each)
    training = training_curve(group)
    assert training.mean.steps[-1] == 600
    # A tenth of the episodes, but no fewer than 10, no more than 50 or a twentieth.
    counts = [len(run.episodes["return/raw"]) for run in group.runs]
    taken = [max(min(max(n // 10, 10), 50), n // 20) for n in counts]
    last = [np.mean(run.episodes["return/raw"][-n:]) for run, n in zip(group.runs, taken, strict=True)]
    assert training.mean.values[-1] == pytest.approx(np.mean(last))


def test_a_curve_ends_where_the_first_seed_does(runs: list[Path]) -> None:
    path = next(run.directory for run in of_three_seeds(runs).runs) / "evaluations.csv"
    rows = path.read_text().splitlines(keepends=True)
    path.write_text("".join(row for row in rows if not row.startswith("600,")) + "600,0,1.")  # cut short by a kill
    curve = evaluation_curve(of_three_seeds(runs))
    assert list(curve.mean.steps) == [200, 400]
    assert sorted(len(line.steps) for line in curve.seeds) == [2, 3, 3]


def test_scores_are_those_of_the_last_evaluations(runs: list[Path]) -> None:
    group = of_three_seeds(runs)
    score = group_score(group)
    assert score.episodes == 9
    last = [run.evaluations["return/raw"][-3:] for run in group.runs]
    assert score.mean is not None
    assert score.mean.value == pytest.approx(np.mean(last))
    assert score.mean.interval.low <= score.mean.value <= score.mean.interval.high
    best = [max(value for _, value in run.evaluation_means()) for run in group.runs]
    assert score.best == pytest.approx(np.mean(best))
    for run, one in zip(group.runs, score.runs, strict=True):
        assert one.steps == 600
        assert one.last == run.evaluation_means()[-1]
        speeds = read_table(run.directory / "timings.csv")["time/steps_per_second"]
        assert one.steps_per_second == speeds[-1]


def test_names_are_text_and_not_html(runs: list[Path]) -> None:
    text = rlkit.report(*runs).read_text()
    assert "<b>&" not in text
    assert "lonely <b>&" in Page(text).text


def test_data_for_the_pointer_are_the_curves(runs: list[Path]) -> None:
    text = rlkit.report(*runs).read_text()
    found = [json.loads(one) for one in re.findall(r'<script type="application/json">(.*?)</script>', text)]
    assert len(found) == 4
    curve = evaluation_curve(of_three_seeds(runs))
    series = next(one for data in found for one in data["series"] if one["label"] == curve.label)
    assert series["steps"] == [200, 400, 600]
    assert series["values"] == pytest.approx(list(curve.mean.values), rel=1e-4)


def test_pictures_and_videos_are_in_the_page(runs: list[Path]) -> None:
    (runs[0] / "maps").mkdir()
    shutil.copy(runs[0] / "curve.png", runs[0] / "maps/values.png")
    (runs[0] / "wandb").mkdir()
    shutil.copy(runs[0] / "curve.png", runs[0] / "wandb/not_ours.png")
    page = Page(rlkit.report(*runs).read_text())
    pictures = [str(one["src"]) for one in page.of("img")]
    curve = base64.b64encode((runs[0] / "curve.png").read_bytes()).decode()
    assert pictures.count(f"data:image/png;base64,{curve}") == 2
    maps = sum((run / "map.png").exists() for run in runs)
    assert len(pictures) == len(runs) + maps + 1
    [video] = page.of("video")
    [path] = Path("videos").rglob("*.mp4")
    assert video["src"] == f"data:video/mp4;base64,{base64.b64encode(path.read_bytes()).decode()}"
    assert str(video["poster"]).startswith("data:image/jpeg;base64,/9j/")


def test_a_video_that_is_too_large_is_linked(runs: list[Path]) -> None:
    path = rlkit.report(*runs, out="pages/report.html", video_mb=0.0001)
    page = Page(path.read_text())
    assert page.of("video") == []
    [link] = [str(one["href"]) for one in page.of("a")]
    from urllib.parse import unquote

    assert (path.parent / unquote(link)).is_file()


def test_of_many_videos_the_best_and_the_latest_are_shown(runs: list[Path]) -> None:
    [video] = Path("videos").rglob("*.mp4")
    for step in (100, 200, 300):
        shutil.copy(video, video.with_name(f"step-{step:09d}.mp4"))
    page = Page(rlkit.report(*runs).read_text())
    labels = [str(one["aria-label"]).split()[0] for one in page.of("video")]
    assert labels == [video.name, "step-000000300.mp4"]
    assert "(2 more in lonely <b>&)" in page.text


CONFIGURATIONS = [
    (),
    ("agent=dqn", "env=cartpole"),
    ("agent=dqn", "env=cartpole", "tuned=none", "network.hidden=[32,16]", "replay.capacity=777"),
    ("agent=q_learning", "env=taxi", "schedule@agent.epsilon=exponential", "agent.epsilon.end=0.01"),
    ("env=frozen_lake", "+env.kwargs.desc=[SF,FG]", "~env.kwargs.map_name", "agent=random", "logger=[csv]"),
    ("experiment=cartpole_20tanh", "seed=3", "eval.episodes=5"),
    ("agent=dqn", "env=cartpole", "replay.n_step=2", "name='a b'", "overlap=true"),
    ("experiment=rainbow", "env.game=Breakout", "total_steps=2000"),
    ("agent=random", "env=gym", "env.id=Acrobot-v1", "stop_at=-1e-5", "vectorization=async"),
    ("agent=dqn", "env=cartpole", "preprocess=[{_target_:rlkit.preprocess.TerminalReward,reward:-1.0}]"),
]


@pytest.mark.parametrize("words", CONFIGURATIONS, ids=" ".join)
def test_the_command_composes_to_the_run_s_configuration(words: tuple[str, ...]) -> None:
    config, choices = composed("train", [*words, "device=cpu"])
    plain = {**instantiate.plain(config), "choices": dict(choices), "name": "x", "run_dir": "runs/x"}
    line, note = Commands().line(plain)
    assert note == ""
    program, verb, *found = shlex.split(line)
    assert (program, verb) == ("rlkit", "train")
    again = instantiate.plain(composed("train", found)[0])
    assert {key: value for key, value in again.items() if key not in OWN} == {
        key: value for key, value in plain.items() if key not in (*OWN, "choices")
    }
    assert again["seed"] == plain["seed"]


def test_the_command_trains_the_same_run_again(runs: list[Path]) -> None:
    found = map(html.unescape, re.findall("<code>(.*?)</code>", rlkit.report(*runs).read_text()))
    lines = [line for line in found if line.endswith("seed=1")]
    assert len(lines) == 2
    known = {(path / "metrics.csv").read_bytes() for path in runs}
    for number, line in enumerate(lines):
        again = rlkit.train(*shlex.split(line)[2:], run_dir=f"again{number}")
        assert (again.directory / "metrics.csv").read_bytes() in known


def test_a_configuration_that_cannot_be_composed_here_is_said_to_be_so(runs: list[Path]) -> None:
    values = Run(runs[0]).values
    line, note = Commands().line({**values, "choices": {**values["choices"], "agent": "somebodys"}})
    assert line.startswith("rlkit train agent=somebodys")
    assert note.startswith("not exact here: there is no agent=somebodys")


VALUES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text("ab'\"\\ ,:{}[]=1e.-~ü")


@given(VALUES | st.lists(VALUES, max_size=3) | st.dictionaries(st.sampled_from(["a", "_b_"]), VALUES))
def test_literals_are_read_by_hydra_as_they_were(value: Any) -> None:
    from hydra.core.override_parser.overrides_parser import OverridesParser

    [override] = OverridesParser.create().parse_overrides([f"key={literal(value)}"])
    assert override.value() == value


def test_a_run_without_csv_files_is_in_the_report(runs: list[Path]) -> None:
    for path in runs[0].glob("*.csv"):
        path.unlink()
    (runs[0] / "versions.json").unlink()
    assert rlkit.report(runs[0]).is_file()
    assert rlkit.report(*runs).is_file()


def test_many_groups_are_told_apart_by_dashes(runs: list[Path]) -> None:
    for i in range(12):
        copy = shutil.copytree(runs[-1], Path("runs") / f"copy{i}")
        config = yaml.safe_load((copy / "config.yaml").read_text())
        (copy / "config.yaml").write_text(yaml.safe_dump({**config, "agent": {**config["agent"], "gamma": i / 100}}))
    page = Page(rlkit.report(*Path("runs").glob("copy*")).read_text())
    looks = {(one.get("class"), one.get("stroke-dasharray")) for one in page.of("path") if one.get("class")}
    assert len({look for look in looks if str(look[0]).startswith("mean")}) == 12


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.0, 1.0, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (-7.0, 490.0, [-100, 0, 100, 200, 300, 400, 500]),
        (0.012, 0.019, [0.012, 0.014, 0.016, 0.018, 0.02]),
        (-1e6, -5e5, [-1e6, -9e5, -8e5, -7e5, -6e5, -5e5]),
    ],
)
def test_ticks_are_round_and_cover_the_values(low: float, high: float, expected: list[float]) -> None:
    assert ticks(low, high) == pytest.approx(expected)


def test_ticks_that_lie_close_have_different_numbers() -> None:
    assert tick_labels([-10000.5, -10000.0, -9999.5]) == ["−10.0005k", "−10k", "−9.9995k"]
    assert tick_labels([0.0, 500.0]) == ["0", "500"]


def test_the_numbers_of_ticks_are_short() -> None:
    assert [short(value) for value in (0, 0.5, 1500, 2e6, -100000)] == ["0", "0.5", "1.5k", "2M", "−100k"]


def test_the_verb_takes_words_and_a_list(runs: list[Path]) -> None:
    cwd = Path.cwd()
    names = list(map(str, runs))
    assert succeed("report", *names, cwd=cwd).splitlines() == ["report.html"]
    first = Path("report.html").read_bytes()
    out = succeed("report", f"runs=[{','.join(map(literal, names))}]", "out=x.html", "output=json", cwd=cwd)
    told = json.loads(out.splitlines()[-1])
    assert told["report"] == "x.html"
    assert sorted(len(group["runs"]) for group in told["groups"]) == [1, 2, 3]
    assert {"value", "low", "high"} == set(told["groups"][0]["iqm"])
    assert Path("x.html").read_bytes() == first
    Path("runs/sweeps/2026-01-01").mkdir(parents=True)
    assert succeed("report", *names, "runs/sweeps", "out=y.html", cwd=cwd) == "y.html\n"
    assert Path("y.html").read_bytes() == first


def test_a_folder_with_an_equals_sign_is_a_folder(runs: list[Path]) -> None:
    runs[0].rename("runs/a=b")
    assert succeed("report", "runs/a=b", "out=x.html", cwd=Path.cwd()) == "x.html\n"


def test_mistakes_get_one_line(runs: list[Path]) -> None:
    cwd = Path.cwd()

    def told(*words: str) -> str:
        return refused("report", *words, cwd=cwd).removeprefix("rlkit: ")

    assert told() == "a report needs run folders: rlkit report runs/<name> runs/<other>"
    wrong = told(str(runs[-1]), "runs/q_learning_frozen_lake_s9")
    assert wrong.startswith("there is no run runs/q_learning_frozen_lake_s9 (no config.yaml in it); did you mean q_")
    assert told("runs") == "runs is not a run, but holds 6 runs: rlkit report runs/*"
    assert told(str(runs[-1]), "outt=x") == "there is no key outt; did you mean out?"
    assert told(str(runs[-1]), "out=runs").startswith("out=runs is a folder; name a file")
    assert told(str(runs[-1]), f"out={runs[-1]}/config.yaml/x.html").startswith("out=")
    assert told(str(runs[-1]), "runs=[x]") == "type the run folders either as words or as runs=[…], not both"
    assert not Path("report.html").exists()


def test_a_folder_whose_configuration_is_not_whole_is_named(runs: list[Path]) -> None:
    values = Run(runs[0]).values
    del values["choices"]
    (runs[0] / "config.yaml").write_text(yaml.safe_dump(values))
    with pytest.raises(UsageError, match=r"config\.yaml is not of this version of rlkit: choices is missing$"):
        rlkit.report(runs[0])


FIT = ("learner=sklearn", "data=iris", "folds=3", "logger=[csv]")
MLP = ("learner.estimator=sklearn.neural_network.MLPClassifier", "+learner.max_iter=5", "prepare=[impute,standardize]")
TREE = ("learner.estimator=sklearn.tree.DecisionTreeClassifier", "+learner.max_depth=2", "name='shallow <tree>'")


@pytest.fixture(scope="module")
def fits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with fit runs of two groups: two seeds that record their costs, and one with a picture."""
    folder = tmp_path_factory.mktemp("fits")
    before = Path.cwd()
    os.chdir(folder)
    try:
        for seed in range(2):
            rlkit.fit(*FIT, *MLP, seed=seed, plots=False)
        rlkit.fit(*FIT, *TREE)
    finally:
        os.chdir(before)
    return folder


def test_fit_runs_are_shown_with_their_figures_costs_pictures_and_commands(
    fits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    paths = sorted((fits / "runs").iterdir())
    page = rlkit.report(*paths).read_text()

    runs = {path.name: rlkit.load(path) for path in paths}
    mlps = [run for name, run in runs.items() if name.startswith("sklearn_iris_MLP")]
    accuracies = [run.final_metrics["test/accuracy"] for run in mlps]  # type: ignore[union-attr]
    row = re.search(r'<th scope="row">accuracy, held out</th>(.*?)</tr>', page)
    assert row is not None
    assert f"{np.mean(accuracies):.3g}" in row[1]
    assert f"± {np.std(accuracies, ddof=1):.3g}" in row[1]
    assert "accuracy, folds" in page
    assert 'id="cost-0"' in page
    assert ">epochs</text>" in page
    assert "Evaluations" not in page
    assert "tree.png" in page
    commands = [html.unescape(found) for found in re.findall(r"<code>([^<]*)</code>", page)]
    assert len(commands) == 3
    for command in commands:
        verb, *words = shlex.split(command)[1:]
        assert verb == "fit"
        seed = int(words[-1].removeprefix("seed="))
        config = instantiate.plain(composed("fit", words)[0])
        wanted = next(run.values for run in runs.values() if same_settings(run.values, config, seed))
        assert wanted["learner"] == config["learner"]


def same_settings(config: dict[str, Any], other: dict[str, Any], seed: int) -> bool:
    own = ("name", "run_dir", "choices", "output", "plots", "logger")
    return config["seed"] == seed and all(config[key] == other[key] for key in other if key not in own)


def test_fits_and_trainings_share_a_page(fits: Path, runs: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    from rlkit.cli.main import main

    fit = next((fits / "runs").glob("sklearn_iris_MLP*_s0"))
    assert main(["report", str(runs[0]), str(fit), "out=both.html", "output=json"]) == 0
    groups = json.loads(capsys.readouterr().out)["groups"]
    assert "mean" in groups[0]
    assert groups[1]["metrics"]["train/accuracy"] == rlkit.load(fit).final_metrics["train/accuracy"]  # type: ignore[union-attr]
    page = Path("both.html").read_text()
    for heading in ("<h2>Evaluations</h2>", "<h2>Learners</h2>", "Train again", "Fit again"):
        assert heading in page
