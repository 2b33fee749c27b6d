"""`rlkit check`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rlkit.cli.main import main


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_sound_environment_gets_a_line_for_each_rule(capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["check", "env=frozen_lake", "steps=100"])

    lines = capsys.readouterr().out.splitlines()
    assert status == 0
    assert lines[:2] == ["env=frozen_lake", "  ok    gymnasium_check_env"], "Gymnasium is asked first"
    assert "  ok    same_seed_same_steps" in lines
    assert "  ok    actions_are_left_alone: actions are numbers" in lines
    assert lines[-1] == "  19 rules, none broken"


def test_a_broken_environment_gives_status_1_and_the_rule(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["env._target_=broken.environments.PaysInNan", "+env._from_run_=[render_mode]", "~env.id", "~env.kwargs"]
    status = main(["check", "env=cartpole", *words, "steps=100"])

    output = capsys.readouterr().out
    assert status == 1
    assert (
        "  FAIL  rewards_are_finite_numbers: step 7 returned the reward nan (float); it must be a finite float"
        in output
    )
    assert output.endswith("broken: rewards_are_finite_numbers\n")


def test_an_agent_is_checked_where_its_spaces_fit(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "agent=q_learning", "steps=60"]) == 0
    assert capsys.readouterr().out.startswith("agent=q_learning in env=frozen_lake\n")


def test_a_broken_agent_gives_status_1_and_the_rule(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["agent=random", "agent._target_=broken.agents.build_careless", "steps=60"]

    assert main(["check", *words]) == 1
    assert "  FAIL  actions_are_legal: act chose action " in capsys.readouterr().out


def test_environment_and_agent_are_checked_together_and_told_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["check", "agent=random", "env=frozen_lake", "steps=60", "output=json"])

    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert status == 0
    assert told["passed"] is True
    assert {rule["checked"] for rule in told["rules"]} == {"env=frozen_lake", "agent=random"}
    assert set(told["rules"][0]) == {"checked", "rule", "passed", "message"}


def test_nothing_to_check_is_a_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check"]) == 2
    assert capsys.readouterr().err == (
        "rlkit: say what to check: env=<name>, agent=<name> or learner=<name>, e.g. rlkit check env=cartpole\n"
    )


def test_an_agent_that_does_not_take_the_environment_is_a_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "agent=q_learning", "env=cartpole", "steps=20"]) == 2
    assert "q_learning needs discrete observations" in capsys.readouterr().err


def test_a_wrong_name_gets_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "env=cartpol"]) == 2
    assert capsys.readouterr().err == "rlkit: there is no env=cartpol; did you mean cartpole?\n"
    assert main(["check", "agent=dqn", "agent.gama=1"]) == 2
    assert "agent.gamma" in capsys.readouterr().err


def test_a_sweep_checks_each(capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["check", "-m", "agent=random", "env=frozen_lake,taxi", "steps=20"])

    output = capsys.readouterr().out
    assert status == 0
    assert "agent=random in env=frozen_lake" in output
    assert "agent=random in env=taxi" in output


def test_a_sound_learner_gets_a_line_for_each_rule(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["learner=sklearn", "learner.estimator=sklearn.naive_bayes.GaussianNB"]
    status = main(["check", *words])

    lines = capsys.readouterr().out.splitlines()
    assert status == 0, lines
    assert lines[0] == "learner=sklearn"
    assert "  ok    survives_saving" in lines
    assert "  ok    check_fit_idempotent" in lines
    assert lines[-1].endswith(" rules, none broken")
    assert int(lines[-1].split()[0]) > 60


@pytest.mark.parametrize(
    ("name", "broken"),
    [
        ("SetsInConstructor", "constructor_only_stores: the constructor sets count; it only stores its arguments"),
        ("ReturnsNothing", "fits_and_predicts: fit returned something else; it returns self"),
        ("ForgetsTheUnderscore", "learned_attributes_end_in_an_underscore: fit sets mean; call it mean_"),
        (
            "ChangesItsParameters",
            "fit_leaves_parameters_alone: fit changed depth from 1 to 2; store it as depth_ instead",
        ),
        ("WritesIntoRows", "rows_are_left_alone: the rows were changed; work on a copy"),
        ("DrawsFromTheProcess", "global_generators_are_left_alone: numpy.random moved; draw from a generator made of"),
        ("Unseeded", "equal_seeds_make_equal_models: two models of the same rows differ"),
        ("LearnsWhilePredicting", "predicting_learns_nothing: predicting changed the model"),
        ("KeepsAFile", "survives_saving: KeepsAFile.file_ is a "),
    ],
)
def test_a_broken_learner_gives_status_1_and_the_rule(
    name: str, broken: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", "learner=sklearn", f"learner.estimator=broken.learners.{name}"]) == 1
    assert f"  FAIL  {broken}" in capsys.readouterr().out


def test_a_learner_without_predict_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "learner=sklearn", "learner.estimator=broken.learners.Mute"]) == 1
    assert "FAIL  is_an_estimator: Mute has no transform; a transformer needs it" in capsys.readouterr().out


def test_the_suite_raises_what_is_broken() -> None:
    from broken.learners import KeepsAFile

    from rlkit.testing import ContractError, check_learner

    with pytest.raises(ContractError, match="survives_saving: "):
        check_learner(KeepsAFile)
