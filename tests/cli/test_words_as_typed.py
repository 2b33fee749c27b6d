"""Words of a command line mean what was typed: flags anywhere, letters of any alphabet, and commands to be pasted."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

import rlkit
from rlkit.cli.main import main
from rlkit.cli.verbs.words import with_run
from rlkit.config.compose import composed

NAMES = ("José", "läufe 2", "a=b", "[x]", "it's", "東京", "$HOME", "a,b", "x;y", "null", "12", "true", "a\\")
TRAIN = ("agent=q_learning", "env=frozen_lake", "video=none", "logger=[csv]", "eval.every=0")


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("flag", [["--cfg", "job"], ["-c", "job"], ["--cfg=job"]])
def test_a_flag_may_stand_anywhere(place: int, flag: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    words = ["agent=q_learning", "env=frozen_lake"]
    assert main(["train", *words[:place], *flag, *words[place:]]) == 0
    shown = capsys.readouterr().out
    assert "_target_: rlkit.envs.gym.make" in shown or "FrozenLake" in shown


def test_a_sweep_may_be_asked_for_among_the_settings() -> None:
    assert main(["train", *TRAIN[:2], "-m", "seed=0,1", *TRAIN[2:], "total_steps=20"]) == 0
    assert len(list(Path("runs").glob("q_learning_frozen_lake*/config.yaml"))) == 2


@pytest.mark.parametrize("name", NAMES)
def test_text_is_taken_as_it_is(name: str) -> None:
    config, _ = composed("fit", [f"name={name}", "data=csv", f"data.path={name}/ü b.csv", f"run_dir=läufe/{name}"])
    assert (config.name, config.run_dir) == (None if name == "null" else name, f"läufe/{name}")
    assert config.data.path == f"{name}/ü b.csv"
    for verb in ("eval", "play", "predict"):
        more = ["input=x"] if verb == "predict" else []
        config, _ = composed(verb, [f"run=runs/{name}", *more])
        assert config.run == f"runs/{name}"
        Path(f"runs/{name}").mkdir(parents=True, exist_ok=True)
        plain, _ = composed(verb, [*with_run([f"runs/{name}", *more], verb)])
        assert plain.run == config.run


def pasted(line: str) -> list[str]:
    """Return the words that a shell makes of a printed command, without `rlkit`."""
    return shlex.split(line)[1:]


@pytest.mark.parametrize("name", ["José x", "it's=[1]"])
def test_commands_that_are_printed_can_be_pasted(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    from rlkit.reporting.commands import Commands

    run = rlkit.train(*TRAIN, "total_steps=20", "logger=[csv,terminal]", name=name)
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("score it: "))
    score = line.removeprefix("score it: ").partition("   watch it: ")[0]
    assert main([*pasted(score), "episodes=1"]) == 0
    (Path("läufe") / name).parent.mkdir()
    run.directory.rename(Path("läufe") / name)
    assert main(["report", "läufe"]) == 2
    hint = capsys.readouterr().err.partition("holds 1 runs: ")[2]
    assert pasted(hint)[1:] == ["läufe/*"]
    assert main(["train", *TRAIN, f"run_dir=läufe/{name}", "total_steps=20"]) == 2
    resume = capsys.readouterr().err.partition("or go on with ")[2]
    assert composed("train", shlex.split(resume))[0].resume == f"läufe/{name}"
    assert main(["eval", name]) == 2
    capsys.readouterr()
    again, note = Commands().line(rlkit.load(Path("läufe") / name).values)
    assert note == ""
    assert composed("train", pasted(again)[1:])[0].seed == 0


def test_a_report_s_command_has_paths_in_quotes() -> None:
    from rlkit.reporting.commands import Commands

    Path("ü b.csv").write_text("x,y é\n1,2.5\n2,3.5\n3,4.5\n4,5.5\n5,6.5\n6,7.5\n")
    run = rlkit.fit("learner=linear", "data=csv", "data.path=ü b.csv", "data.target=y é", "plots=false", "logger=[csv]")
    line, note = Commands().line(run.values)
    assert note == ""
    config, _ = composed("fit", pasted(line)[1:])
    assert (config.data.path, config.data.target) == ("ü b.csv", "y é")
