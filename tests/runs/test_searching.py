"""Searches: what is drawn and pruned follows from the trials alone, so a kill changes nothing, and workers share."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from locations import ROOT

from rlkit.cli.main import main
from rlkit.config.schemas import TrialObjective
from rlkit.config.search_space import dimension
from rlkit.core.types import UsageError
from rlkit.reporting.page import write
from rlkit.runs.run import Run
from rlkit.runs.searching import journal, work
from rlkit.runs.searching.confirmation import BASE, Candidate, Confirmed, candidates, seeds
from rlkit.runs.searching.journal import LOCKS, VALUES, Journal, Proposal, is_pruned, proposed
from rlkit.runs.searching.locks import FileLock
from rlkit.runs.searching.ranking import value_of
from rlkit.runs.searching.request import asked
from rlkit.runs.searching.samplers import grid_values
from rlkit.runs.searching.search import SearchFolder, opened, pair_name
from rlkit.runs.searching.tuned_file import offer

pytest.importorskip("optuna")

SHORT = ("total_steps=40", "eval.every=10", "eval.episodes=2", "eval.max_steps=20", "checkpoint.every=20")
CLIFF = ("agent=q_learning", "env=cliff_walking", "tuned=none", "inner_loop=python", *SHORT, "search=none")
RANGES = ("agent.gamma=interval(0.9,1)", "agent.n_step=1,2,3")
ALONE = (*CLIFF, *RANGES, "confirm.settings=0", "pruner.startup_trials=1", "name=one")


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


class Killed(BaseException):
    """What stands for ``kill -9`` here: nothing handles it."""


def trials(directory: Path | str = "runs/searches/one") -> list[tuple[Any, ...]]:
    """Return all that a search knows of its trials, but for the clock."""
    return [
        (one.number, one.state.name, one.value, one.params, dict(one.intermediate_values), one.user_attrs[VALUES])
        for one in opened(Path(directory)).journal.trials()
    ]


def search(*words: str, status: int = 0) -> None:
    assert main(["search", *words]) == status


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A search of four trials that was not killed."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(folder)
        search(*ALONE, "trials=4")
    return folder / "runs/searches/one"


def test_a_trial_is_a_run_with_its_settings_and_a_seed_of_its_own(whole: Path) -> None:
    rows = list(csv.DictReader((whole / "trials.csv").read_text().splitlines()))
    assert len(rows) == 4
    for number, row in enumerate(rows):
        run = Run(whole / "trials" / f"{number:04d}")
        assert (run.config.seed, run.name) == (number, f"one_{number:04d}")
        assert run.config.agent["gamma"] == float(row["agent.gamma"])
        assert run.config.agent["n_step"] == int(row["agent.n_step"])
        step, score = run.evaluation_means()[-1]
        assert (int(row["step"]), float(row["value"])) == (step, score)
        assert row["state"] == ("complete" if step == 40 else "pruned")


def test_every_evaluation_is_reported(whole: Path) -> None:
    for number, _, _, _, values, _ in trials(whole):
        assert list(values.items()) == Run(whole / "trials" / f"{number:04d}").evaluation_means()


MOMENTS = [
    pytest.param(Journal, "report", 3, id="before a report"),
    pytest.param(Journal, "finish", 1, id="when a run has ended, and its trial has not"),
    pytest.param(Journal, "begin", 0, id="before the first trial is written", marks=pytest.mark.slow),
    pytest.param(Journal, "keep", 6, id="between a pruner's notes and a report", marks=pytest.mark.slow),
    pytest.param(work, "write_trials", 2, id="before the table", marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("owner", "name", "calls"), MOMENTS)
def test_a_search_that_is_killed_goes_on_as_if_it_had_not_been(
    owner: Any, name: str, calls: int, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, left = getattr(owner, name), [calls]

    def killed(*arguments: Any, **more: Any) -> Any:
        left[0] -= 1
        if left[0] < 0:
            raise Killed
        return real(*arguments, **more)

    with monkeypatch.context() as patched:
        patched.setattr(owner, name, killed)
        with pytest.raises(Killed):
            main(["search", *ALONE, "trials=4"])
    search("resume=runs/searches/one") if calls % 2 else search(*ALONE, "trials=4")
    assert trials() == trials(whole)
    mine = Path("runs/searches/one/trials.csv")
    assert mine.read_bytes() == (whole / "trials.csv").read_bytes()


def test_the_same_command_joins_and_another_one_is_refused(whole: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(whole, "runs/searches/one")
    before = trials()
    search(*ALONE, "trials=4")
    assert trials() == before
    capsys.readouterr()
    search(*ALONE, "trials=4", "agent.trace_decay=0.1", status=2)
    assert capsys.readouterr().err == (
        "rlkit: runs/searches/one holds another search, which differs in words, agent: choose another name=, or go on "
        "with that one: rlkit search resume=runs/searches/one\n"
    )


def test_more_trials_may_follow_and_fewer_may_not(whole: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(whole, "runs/searches/one")
    search("resume=runs/searches/one", "trials=5")
    assert trials()[:4] == trials(whole)
    assert len(trials()) == 5
    search("resume=runs/searches/one", "trials=2", status=2)
    assert "trials=2: runs/searches/one was begun with 5, and can have more" in capsys.readouterr().err


@pytest.fixture(scope="module")
def frozen(tmp_path_factory: pytest.TempPathFactory) -> SearchFolder:
    """A search that is frozen, of which each test writes its own."""
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(tmp_path_factory.mktemp("frozen"))
        return asked([*CLIFF, *RANGES, "name=begun", "num_envs=2"]).search


def begun(frozen: SearchFolder, trials: int = 50, **nodes: dict[str, Any]) -> SearchFolder:
    """Return a search of its own folder, with other nodes of its YAML files, that has no trial."""
    named = {key: node_of(key, **node) for key, node in nodes.items()}
    one = SearchFolder(frozen.directory, replace(frozen.header, trials=trials, **named), frozen.values)
    (one.directory / LOCKS).mkdir(parents=True)
    one.write()
    return one


def node_of(group: str, name: str, **options: Any) -> dict[str, Any]:
    """Return the node of a YAML file, with other options."""
    return {**yaml.safe_load((ROOT / "conf" / group / f"{name}.yaml").read_text()), **options}


def test_a_trial_is_taken_by_one_worker_and_by_another_when_that_one_dies(frozen: SearchFolder) -> None:
    first, second = begun(frozen, 2), opened(Path("runs/searches/begun"))
    mine, others = work._take(first), work._take(second)
    assert isinstance(mine, work.Work)
    assert isinstance(others, work.Work)
    assert (mine.number, others.number) == (0, 1)
    assert work._take(opened(Path("runs/searches/begun"))) == work.LOOKS_AGAIN
    mine.lock.release()  # as the system does for who dies
    again = work._take(second)
    assert isinstance(again, work.Work)
    assert again.number == 0
    for number in (0, 1):
        first.journal.finish(number, 1.0)
    again.lock.release()
    assert len(first.journal.trials()) == 2


def test_a_line_of_the_journal_that_is_half_written_is_cut_off(frozen: SearchFolder) -> None:
    one = begun(frozen)
    number = one.journal.begin(Proposal({}, {}, {}))
    path = one.directory / journal.FILE
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"op_code":5,"work')
    again = opened(one.directory)
    again.journal.finish(number, 2.0)
    assert [trial.value for trial in opened(one.directory).journal.trials()] == [2.0]
    assert path.read_bytes().startswith(whole)


def finished(values: Sequence[Sequence[float]]) -> list[Any]:
    """Return complete trials with these values at steps 10, 20, …, and one that runs."""
    import optuna

    space = {"x": optuna.distributions.FloatDistribution(0, 1)}
    made = [
        optuna.trial.create_trial(
            params={"x": 0.5},
            distributions=space,
            value=row[-1],
            intermediate_values={10 * (i + 1): value for i, value in enumerate(row)},
        )
        for row in values
    ]
    return [*made, journal._running({"x": 0.5}, space, {}, {})]


@pytest.mark.parametrize(
    ("own", "stopped"),
    [
        ({10: 2.0}, False),  # the median of 1, 2, 3
        ({10: 1.9}, True),
        ({10: 9.0, 20: 0.0}, False),  # its best so far counts
        ({10: 1.9, 20: 5.0}, False),  # the median of 4, 5, 6: what it was told at step 10 is of no account
        ({10: 1.9, 20: 4.9}, True),
    ],
)
def test_the_median_pruner_ends_what_is_below_the_median_at_that_step(own: dict[int, float], stopped: bool) -> None:
    from rlkit.runs.searching import pruners, samplers

    others = finished([[1, 4], [2, 5], [3, 6]])
    found, _ = is_pruned(others, 3, own, lambda: pruners.median(1, 0), samplers.random(0))
    assert found is stopped


def test_whether_a_trial_is_pruned_depends_on_no_later_value_of_its_own() -> None:
    """A run that was killed makes evaluations again which the journal has, and rungs that it has reached."""
    from rlkit.runs.searching import pruners, samplers

    def decide(trials: list[Any], own: dict[int, float]) -> tuple[bool, dict[str, Any]]:
        return is_pruned(trials, 3, own, lambda: pruners.halving(10, 2, 0), samplers.random(0))

    others = finished([[1, 4], [2, 5], [3, 6]])
    for number in range(3):
        for i in (0, 1):
            others[number].system_attrs[f"completed_rung_{i}"] = others[number].intermediate_values[10 * (i + 1)]
    before = decide(others, {10: 2.5})
    assert before == (False, {"completed_rung_0": 2.5})
    others[3].intermediate_values = {10: 2.5, 20: 0.0}
    others[3].system_attrs = {"completed_rung_0": 2.5, "completed_rung_1": 0.0}
    assert decide(others, {10: 2.5}) == before
    assert decide(others, {10: 2.5, 20: 0.0}) == (True, {"completed_rung_0": 2.5, "completed_rung_1": 0.0})


@pytest.mark.parametrize(
    "name", ["random", "tpe", "grid", *(pytest.param(name, marks=pytest.mark.slow) for name in ("cmaes", "gp"))]
)
def test_a_sampler_draws_the_same_after_the_same_trials_and_within_the_ranges(name: str, frozen: SearchFolder) -> None:
    if name == "cmaes":
        pytest.importorskip("cmaes")
    one = begun(frozen, sampler={"name": name})
    if "startup_trials" in one.header.sampler:
        one.header.sampler["startup_trials"] = 2
    names = {}
    for number in range(4):
        told = one.journal.trials()
        first, again = (proposed(told, one.distributions, one.sampler(number), one.pruner()) for _ in range(2))
        assert first[0] == again[0]
        assert all(
            one.distributions[key]._contains(one.distributions[key].to_internal_repr(value))
            for key, value in first[0].items()
        )
        drawn, system = first
        one.journal.begin(Proposal(drawn, one.distributions, one.settled(drawn), None, system))
        one.journal.finish(number, float(number))
        names[json.dumps(drawn)] = number
    assert len(names) == 4


def test_a_grid_is_tried_once_as_a_whole_and_no_longer(frozen: SearchFolder) -> None:
    one = begun(frozen, sampler={"name": "grid", "points": 2})
    assert one.total == 6
    drawn = []
    for number in range(6):
        found, system = proposed(one.journal.trials(), one.distributions, one.sampler(number), one.pruner())
        drawn.append((found["agent.gamma"], found["agent.n_step"]))
        one.journal.begin(Proposal(found, one.distributions, one.settled(found), None, system))
        one.journal.finish(number, 0.0)
    assert sorted(drawn) == [(gamma, n_step) for gamma in (0.9, 1.0) for n_step in (1, 2, 3)]


@pytest.mark.parametrize(
    ("text", "points", "values"),
    [
        ("interval(0,1)", 3, [0, 0.5, 1]),
        ("tag(log,interval(0.01,1))", 3, [0.01, 0.1, 1]),
        ("range(1,4)", 5, [1, 2, 3]),
        ("range(1,100)", 3, [1, 50, 99]),
        ("choice(a,b)", 9, ["a", "b"]),
    ],
)
def test_points_of_a_grid(text: str, points: int, values: list[Any]) -> None:
    assert grid_values(dimension("a", text), points) == values


def test_what_a_run_is_worth() -> None:
    scores = [1.0, 5.0, 3.0]
    assert [value_of(scores, TrialObjective[name]) for name in ("last", "best", "mean")] == [3.0, 5.0, 3.0]
    assert value_of([], TrialObjective.last) is None


def test_settings_that_a_run_refuses_fail_a_trial_and_no_search(capsys: pytest.CaptureFixture[str]) -> None:
    search(*CLIFF, "agent.gamma=choice(0.9,2)", "sampler=grid", "confirm.settings=0", "name=odd")
    found = trials("runs/searches/odd")
    assert sorted(state for _, state, *_ in found) == ["COMPLETE", "FAIL"]
    assert "failed: agent.gamma is 2; it must be from 0 to 1  gamma=2" in capsys.readouterr().out


def test_a_search_of_which_nothing_works_ends(capsys: pytest.CaptureFixture[str]) -> None:
    search(*CLIFF, "agent.gamma=choice(2,3,4,5)", "sampler=grid", "name=odd", status=1)
    assert "rlkit: 3 trials in a row failed, the last one: agent.gamma is " in capsys.readouterr().err
    assert len(trials("runs/searches/odd")) == 3


POPULATION = ("scheduler=pbt", "scheduler.size=3", "scheduler.every=20", "scheduler.quantile=0.25")


def test_the_worst_of_a_population_go_on_from_the_best_with_other_settings() -> None:
    words = (*CLIFF, *RANGES, *POPULATION, "scheduler.resample=0", "confirm.settings=0", "name=one")
    search(*words)
    one = opened(Path("runs/searches/one"))
    found = one.journal.trials()
    assert len(found) == one.total == 6
    first, second = found[:3], found[3:]
    ranked = sorted(first, key=lambda trial: (-(trial.value or 0), trial.number))
    for member, trial in enumerate(second):
        parent = trial.user_attrs["parent"]
        assert parent == (ranked[0].number if first[member] is ranked[-1] else member)
        gamma, before = trial.params["agent.gamma"], found[parent].params["agent.gamma"]
        changed = [min(max(before * factor, 0.9), 1.0) for factor in (0.8, 1.25)]
        assert gamma in ([pytest.approx(one, rel=1e-3) for one in changed] if parent != member else [before])
        assert trial.params["agent.n_step"] == found[parent].params["agent.n_step"], "it cannot change within a run"
        mine, others = (Run(one.folder_of(number)) for number in (trial.number, parent))
        assert mine.evaluation_means()[:2] == others.evaluation_means()
        assert [step for step, _ in mine.evaluation_means()] == [10, 20, 30, 40]
        assert mine.config.agent["gamma"] == gamma


@pytest.mark.slow
def test_a_population_that_is_killed_between_runs_and_within_ends_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    words = (*CLIFF, *RANGES, *POPULATION, "scheduler.size=2", "scheduler.quantile=0.5", "confirm.settings=0")
    search(*words, "name=one")
    left = [6]

    def killed(self: Journal, *arguments: Any, **more: Any) -> None:
        left[0] -= 1
        if left[0] % 3 == 0:
            raise Killed
        report(self, *arguments, **more)

    report = Journal.report
    monkeypatch.setattr(Journal, "report", killed)
    for _ in range(3):
        with pytest.raises(Killed):
            main(["search", *words, "name=two"])
    monkeypatch.setattr(Journal, "report", report)
    search(*words, "name=two")
    assert trials("runs/searches/two") == trials()


@pytest.mark.slow
def test_a_launcher_of_hydras_starts_workers() -> None:
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    launcher = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "workers=2")
    search(*CLIFF, *RANGES, "confirm.settings=0", "trials=4", "name=one", *launcher)
    assert [number for number, *_ in trials()] == [0, 1, 2, 3]
    assert all(state in ("COMPLETE", "PRUNED") for _, state, *_ in trials())


@pytest.mark.slow
def test_a_learning_rate_that_is_changed_within_a_run_counts() -> None:
    """It comes from the configuration, not from the optimizer's state in the checkpoint."""
    from rlkit.config.compose import composed
    from rlkit.config.run_config import TrainRunConfig, requested
    from rlkit.runs.launch import start_or_resume

    words = ("agent=reinforce", "env=cartpole", "tuned=none", "logger=[csv]", "video=none", *SHORT)
    config = replace(requested(TrainRunConfig, *composed("train", words)), name="a", run_dir="a", eval=_none(40))
    Path("a").mkdir()
    start_or_resume(config, stored=())
    weights = []
    for rate in (0.001, 0.1):
        shutil.copytree("a", f"b{rate}")
        changed = replace(config, agent={**config.agent, "learning_rate": rate}, run_dir=f"b{rate}", total_steps=200)
        weights.append(start_or_resume(changed, stored=(), extended=True).load_agent("last").state_dict()["network"])
    assert str(weights[0]) != str(weights[1])


def _none(every: int) -> Any:
    from rlkit.config.schemas import EvalConfig

    return EvalConfig(every=every, episodes=1, epsilon=0.0, sample=False, max_steps=5, num_envs=1)


@pytest.mark.parametrize(
    ("every", "line"),
    [
        (15, "scheduler.every is 15; it must be a multiple of eval.every, which is 10"),
        (10, "scheduler.every is 10; it must be a multiple of checkpoint.every, which is 20"),
        (40, "scheduler.every is 40, and total_steps 40: there is nothing to exchange"),
    ],
)
def test_a_population_exchanges_where_its_runs_can_go_on(every: int, line: str, frozen: SearchFolder) -> None:
    one = begun(frozen, scheduler={"name": "pbt", "every": every})
    with pytest.raises(UsageError) as caught:
        one.check()
    assert line in str(caught.value)


def with_outcomes(one: SearchFolder, scores: dict[str, float]) -> list[Confirmed]:
    found = [Candidate(name, {"agent.gamma": 0.95, "agent.n_step": 3}) for name in scores]
    made = [Confirmed(candidate, [scores[candidate.name]], None) for candidate in found]
    return sorted(made, key=lambda confirmed: -confirmed.mean)


@pytest.mark.parametrize(("scores", "offers"), [((0.5, 0.6), True), ((0.6, 0.5), False), ((0.5, 0.5), False)])
def test_settings_are_offered_only_if_they_are_better_with_fresh_seeds(
    scores: tuple[float, float], offers: bool, frozen: SearchFolder
) -> None:
    one = begun(frozen)
    made = offer(one, with_outcomes(one, dict(zip((BASE, "trial0000"), scores, strict=True))))
    assert (made is not None) is offers is Path("conf/tuned").exists()


def test_an_offered_file_gives_the_settings_and_leaves_others_files_alone(frozen: SearchFolder) -> None:
    from rlkit.config.compose import composed

    one = begun(frozen)
    again = with_outcomes(one, {BASE: 0.0, "trial0000": 1.0})
    Path("conf/tuned").mkdir(parents=True)
    mine = Path("conf/tuned/q_learning_cliff_walking.yaml")
    mine.write_text("# The user's own.\n")
    made = offer(one, again)
    assert made is not None
    assert (made.path.name, mine.read_text()) == ("q_learning_cliff_walking_2.yaml", "# The user's own.\n")
    assert offer(one, again) == made
    assert made.command.startswith("rlkit train agent=q_learning env=cliff_walking tuned=q_learning_cliff_walking_2 ")
    words = [word.strip("'") for word in made.command.split()[2:]]
    config, _ = composed("train", words)
    assert (config.agent.gamma, config.agent.n_step, config.num_envs, config.total_steps) == (0.95, 3, 2, 40)
    assert "agent.epsilon" not in made.path.read_text()


def test_a_file_for_one_id_of_gymnasium_is_not_that_of_all(frozen: SearchFolder) -> None:
    values = {**frozen.values, "env": {"id": "my/Own-v0"}, "choices": {**frozen.values["choices"], "env": "gym"}}
    one = SearchFolder(frozen.directory, frozen.header, values)
    assert pair_name(one.config) == "q_learning_gym_my-Own-v0"
    assert pair_name(frozen.config) == "q_learning_cliff_walking"


def test_the_best_settings_are_trained_again_with_seeds_that_no_trial_had(whole: Path) -> None:
    shutil.copytree(whole, "runs/searches/one")
    path = Path("runs/searches/one/search.yaml")
    path.write_text(path.read_text().replace("settings: 0\n", "settings: 1\n").replace("seeds: 3", "seeds: 2"))
    one = opened(Path("runs/searches/one"))
    assert seeds(one) == [4, 5]
    names = [candidate.name for candidate in candidates(one)]
    best = max((row for row in trials() if row[1] == "COMPLETE"), key=lambda row: (row[2], -row[0]))
    assert names == [BASE, f"trial{best[0]:04d}"]
    search("resume=runs/searches/one")
    for name in names:
        for seed in (4, 5):
            run = Run(one.directory / "confirmed" / f"{name}_s{seed}")
            assert (run.config.seed, run.evaluation_means()[-1][0]) == (seed, 40)
            gamma = 0.99 if name == BASE else best[5]["agent.gamma"]
            assert run.config.agent["gamma"] == gamma
    rows = list(csv.DictReader((one.directory / "confirmed.csv").read_text().splitlines()))
    assert len(rows) == 4


def test_a_report_of_a_search_shows_its_trials_and_compares_what_was_trained_again(whole: Path) -> None:
    shutil.copytree(whole, "runs/searches/one")
    path, groups = write(["runs/searches/one"], "report.html", 1.0)
    text = path.read_text()
    assert "<h2>Search one</h2>" in text
    assert text.count("history.png of one") == text.count("slices.png of one") > 0
    best = max((row for row in trials() if row[1] == "COMPLETE"), key=lambda row: (row[2], -row[0]))
    assert f'<th scope="row">{best[0]}</th>' in text
    assert 1 <= len(groups) <= 3


def test_a_search_of_somebody_else_names_no_code(whole: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(whole, "runs/searches/one")
    path = Path("runs/searches/one/search.yaml")
    honest = path.read_text()
    for old, new, line in (
        ("rlkit.agents.q_learning.QLearning", "os.system", "agent._target_ is os.system"),
        ("rlkit.runs.searching.samplers.tpe", "os.system", "sampler._target_ is os.system"),
        ("range: interval(0.9,1)", "range: oops(", "cannot read the range agent.gamma=oops("),
        ("trials: 4", "trials: many", "is not a search of this version of rlkit: trials is 'many'"),
    ):
        assert old in honest
        path.write_text(
            honest.replace(old, new).replace(
                "deterministic: false", "deterministic: *a" if "&a" in new else "deterministic: false"
            )
        )
        capsys.readouterr()
        assert main(["search", "resume=runs/searches/one", "trials=9"]) in (1, 2)
        error = capsys.readouterr().err
        assert line in error
        assert error.count("\n") == 1


MISTAKES = [
    ("trials=0", "trials is 0; it must be at least 1"),
    ("sampler=tpee", "there is no sampler=tpee; did you mean tpe?"),
    ("sampler.startup=3", "there is no key sampler.startup; did you mean sampler.startup_trials?"),
    ("agent.gama=interval(0,1)", "there is no key agent.gama; did you mean agent.gamma?"),
    ("total_stepz=3", "there is no key total_stepz; did you mean total_steps?"),
    ("eval.every=0", "a search judges trials by their evaluations, and eval.every=0 makes none; set eval.every"),
    ("run_dir=x", "run_dir is set by the search for each of its runs; leave it out"),
    ("name=../x", "name=../x leads out of the folder of runs"),
    ("agent=random env=cartpole", "there is nothing to search: agent=random has no file of ranges"),
    ("resume=runs/searches/no", "agent cannot change where a search goes on: its search.yaml holds"),
    ("-m", "rlkit search has no option -m: ranges are values"),
    ("network=mlp,nature", "a search is over values, not over files; choose one network="),
]


@pytest.mark.parametrize(("words", "line"), MISTAKES, ids=[words for words, _ in MISTAKES])
def test_a_mistake_is_one_line_and_leaves_nothing(words: str, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    search("agent=q_learning", "env=frozen_lake", "tuned=none", *SHORT, *words.split(), status=2)
    said = capsys.readouterr()
    assert said.err.count("\n") == 1, said.err
    assert line in said.err
    assert said.out == ""
    assert not Path("runs").exists()


def test_a_file_system_without_locks_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from rlkit.core.types import RunError

    def none(*arguments: Any) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr("rlkit.runs.searching.locks.fcntl.flock", none)
    with pytest.raises(RunError, match=r"has no locks \(operation not supported\)"):
        FileLock(tmp_path / LOCKS).acquire()
