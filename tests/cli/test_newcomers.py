"""What a newcomer types first: names from elsewhere, help of one agent, settings from a program, an own module."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from commands import clean_environment
from commands import rlkit as command

import rlkit
from rlkit.cli.main import main
from rlkit.config.messages import ELSEWHERE
from rlkit.core.types import UsageError

SHORT = ("total_steps=3", "eval.every=0", "video=none", "logger=[csv]")


def refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main(words) == 2
    [line] = capsys.readouterr().err.splitlines()
    return line.removeprefix("rlkit: ")


@pytest.fixture(autouse=True)
def _elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("words", [["train", "--help"], ["list"], ["--help"]])
def test_a_reader_that_closes_the_pipe_gets_no_traceback(words: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "rlkit", *words]
    with os.fdopen(writing, "wb") as pipe:
        done = subprocess.run(command, stdout=pipe, stderr=subprocess.PIPE, env=clean_environment(), timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("mpo", "there is no agent=mpo; for continuous actions: agent=sac, td3 or ppo"),
        ("NAF", "there is no agent=NAF; for continuous actions: agent=sac, td3 or ppo"),
        ("tqc", "there is no agent=tqc; agent=sac distribution=quantile distribution.quantiles=25 agent.drop=2"),
        ("qr-dqn", "there is no agent=qr-dqn; agent=dqn distribution=quantile"),
        ("rainbow", "there is no agent=rainbow; agent=dqn with its improvements: experiment=rainbow"),
    ],
)
def test_agents_of_the_field_have_something_near(name: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert refused(["train", f"agent={name}"], capsys) == said


def test_what_is_suggested_in_their_place_is_there() -> None:
    from rlkit.config import plugins

    there = {entry.name for entry in plugins.entries("agent")}
    assert not there & set(ELSEWHERE)
    for remedy in ELSEWHERE.values():
        words = remedy.replace(",", " ").split()
        assert any(word.removeprefix("agent=") in there for word in words) or "experiment=rainbow" in words


def test_agents_for_continuous_actions_are_named_and_take_them(capsys: pytest.CaptureFixture[str]) -> None:
    said = refused(["train", "agent=dqn", "env=pendulum"], capsys)
    assert said.endswith("; for other action spaces: agent=ppo, a2c, reinforce or es")
    for agent in ("ppo", "a2c", "reinforce", "es"):
        assert main(["train", f"agent={agent}", "env=pendulum", *SHORT]) == 0


def test_a_number_with_an_exponent_is_a_number_of_steps() -> None:
    assert rlkit.train("agent=random", "total_steps=1e1", *SHORT[1:]).config.total_steps == 10


def test_help_of_a_chosen_file_shows_its_own_options(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "agent=ppo", "env=cartpole", "--help"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("agent=ppo: Proximal policy optimization")
    assert "\n  agent.clip=0.2              how far the ratio of probabilities may move from 1" in text
    assert "\n  policy_network@agent.network=actor_critic\n" in text
    assert "\nenv=cartpole: Balance a pole" in text
    assert "_target_" not in text
    assert max(map(len, text.splitlines())) <= 100
    assert main(["train", "schedule@agent.epsilon=exponential", "experiment=rainbow", "--help"]) == 0
    text = capsys.readouterr().out
    assert "\n  agent.epsilon.end=" in text
    assert "experiment.agent" not in text
    assert main(["train", "agent=nothing", "--help"]) == 0
    assert capsys.readouterr().out.startswith("rlkit train: ")


def test_nested_values_from_a_program_are_keys() -> None:
    run = rlkit.train(
        "agent=dqn", "total_steps=4", eval={"every": 0}, network={"hidden": (8,)}, logger=["csv"], video="none"
    )
    assert run.config.eval.every == 0
    assert run.config.network["hidden"] == [8]
    with pytest.raises(UsageError, match=r"^there is no key eval\.evry; did you mean eval\.every\?$"):
        rlkit.train(eval={"evry": 0})
    fit = rlkit.fit("data=iris", learner={"max_depth": 1}, logger=["csv"], plots=False, run_dir=Path("here/there"))
    assert fit.config.learner["max_depth"] == 1
    assert Path("here/there/config.yaml").exists()


def test_an_own_module_that_is_not_found_comes_with_the_way_to_find_it(capsys: pytest.CaptureFixture[str]) -> None:
    said = refused(["train", "agent._target_=my_ppo.MyPPO"], capsys)
    assert said == (
        "agent._target_ 'my_ppo.MyPPO' cannot be imported: No module named 'my_ppo'; is its package installed? "
        "my_ppo.py is looked for in this folder as well; for another, let Python look there: PYTHONPATH=folder rlkit …"
    )
    assert "PYTHONPATH" not in refused(["train", "agent._target_=rlkit.agents.dqn.Nothing"], capsys)


def test_check_draws_without_a_screen_and_says_nothing_of_it(tmp_path: Path) -> None:
    environment = {**clean_environment(), "PYTHONWARNINGS": "ignore"}
    environment.pop("XDG_RUNTIME_DIR", None)
    command = [sys.executable, "-m", "rlkit", "check", "env=cartpole", "steps=10"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=120)
    assert "pictures_are_rgb" in done.stdout
    assert "XDG_RUNTIME_DIR" not in done.stdout + done.stderr


def test_check_takes_the_packages_that_recordings_may_name(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["check", "agent=cloning", "agent.episodes=nowhere", "env=cartpole"]
    assert main([*words, "trust=my_games"]) == 1
    assert "there are no recorded episodes in nowhere" in capsys.readouterr().out
    said = refused([*words, "trust=os"], capsys)
    assert said == "trust=os is part of Python; name a package of environments or agents"


@pytest.mark.parametrize(("id", "family"), [("LunarLander-v3", "box2d"), ("Ant-v5", "mujoco")])
def test_a_family_that_is_not_installed_has_one_remedy(
    id: str, family: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import gymnasium

    def make(*given: object, **options: object) -> None:
        raise gymnasium.error.DependencyNotInstalled('install swig, then run `pip install "gymnasium[something]"`')

    monkeypatch.setattr(gymnasium, "make", make)
    said = refused(["train", "env=gym", f"env.id={id}"], capsys)
    assert said == f'env.id={id} needs a package that is not installed: pip install "gymnasium[{family}]"'


def test_gymnasium_s_own_make_is_trained_with_and_the_way_to_film_it_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "own/env").mkdir(parents=True)
    (tmp_path / "own/env/pole.yaml").write_text("_target_: gymnasium.make\nid: CartPole-v1\n")
    words = ["train", "agent=random", "env=pole", f"hydra.searchpath=[file://{tmp_path}/own]", *SHORT]
    assert main(words) == 0
    capsys.readouterr()
    with pytest.warns(UserWarning, match="without specifying any render mode"):
        assert main([*words, "video=eval", "eval.every=2", "eval.episodes=1"]) == 1
    assert "in place of gymnasium.make, a YAML names rlkit.envs.gym.make" in capsys.readouterr().err


def test_runs_of_a_sweep_are_named_by_what_they_do_not_share(tmp_path: Path) -> None:
    words = ["agent=q_learning", "env=frozen_lake", *SHORT]
    assert main(["train", "-m", *words, "agent.gamma=0.9,0.8", "seed=0,1"]) == 0
    names = {f"q_learning_frozen_lake_gamma={gamma}_s{seed}" for gamma in (0.9, 0.8) for seed in (0, 1)}
    assert {path.name for path in Path("runs").iterdir()} == {*names, "sweeps"}
    assert main(["train", *words, "agent.gamma=0.7"]) == 0
    assert Path("runs/q_learning_frozen_lake_s0").is_dir()


def test_a_warning_is_one_line_without_a_place_of_rlkit_s_own_and_with_one_of_the_user_s(tmp_path: Path) -> None:
    (tmp_path / "my_env.py").write_text(HOT)
    done = command("train", "agent=random", "env=my_env.py:Hot", *SHORT, "checkpoint.every=0", cwd=tmp_path)
    lines = sorted(done.stderr.splitlines())
    assert [line for line in lines if not line.startswith("rlkit: warning: ")] == [], done.stderr
    beyond, own = lines
    assert own == "rlkit: warning: the heating is off (my_env.py, line 14)"
    assert re.search(
        r"outside of Box\(-50.*; `rlkit check` with the same env= and wrappers= examines all of it$", beyond
    )


HOT = """
import warnings
import gymnasium
import numpy as np
from gymnasium import spaces

class Hot(gymnasium.Env):
    state_fields = ()
    observation_space = spaces.Box(-50, 50, (1,), np.float32)
    action_space = spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        warnings.warn("the heating\\n is off", stacklevel=1)
        return np.array([500], np.float32), {}

    def step(self, action):
        return np.array([600], np.float32), 0.0, False, False, {}
"""


WRAPPED = "'wrappers=[{_target_: my_wrap.py:Scaled, by: …}]', in quotes, as shells take braces apart"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["wrappers=my_wrap.py:Scaled"], "wrappers is a list: wrappers=[my_wrap.py:Scaled]"),
        (["preprocess=my_wrap.py:Scaled"], "preprocess is a list: preprocess=[my_wrap.py:Scaled]"),
        (["wrappers={_target_: my_wrap.py:Scaled}"], "wrappers is a list: wrappers=[{_target_: my_wrap.py:Scaled}]"),
        (["wrappers=[my_wrap.py:Scaled]", "wrappers.by=2"], WRAPPED),
        (["wrappers=[my_wrap.py:Scaled]", "+wrappers.by=2"], WRAPPED),
        (
            ["wrappers=[my_wrap.py:Scaled]", "+wrappers.0.by=2"],
            "it must name a wrapper: wrappers=[my_module.MyWrapper], wi",
        ),
        (["preprocess.0.by=2"], "'preprocess=[{_target_: my_file.py:MyWrapper, by: …}]'"),
        (["wrappers=[3]"], "wrappers.0 is 3; it must name a wrapper: wrappers=[my_module.MyWrapper]"),
        (["wrappers=[my_wrap.py:Scale]"], "wrappers.0: my_wrap.py has no Scale; did you mean Scaled?"),
        (["wrappers=[{_target_: my_wrap.py:Scaled, bye: 2}]"], "wrappers.0"),
    ],
    ids=str,
)
def test_errors_of_wrappers_use_the_name_that_was_typed(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("my_wrap.py").write_text("import gymnasium\nclass Scaled(gymnasium.Wrapper): pass\n")
    line = refused(["train", "agent=random", "env=frozen_lake", *words, *SHORT], capsys)
    assert said in line
    assert ("preprocess" in line) == words[0].startswith("preprocess")


def test_errors_of_wrappers_use_the_name_that_a_program_typed() -> None:
    with pytest.raises(UsageError, match=r"^wrappers.0 is 3; it must name a wrapper: wrappers=\["):
        rlkit.train("agent=random", "env=frozen_lake", *SHORT, wrappers=[3])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["env=Thermostat"],
            "there is no env=Thermostat; a class of a file is named by both: env=my_env.py:Thermostat",
        ),
        (
            ["env=thermostat"],
            "there is no env=thermostat; a class of a file is named by both: env=my_env.py:Thermostat",
        ),
        (["env=my_env"], "there is no env=my_env; a class of a file is named by both: env=my_env.py:Thermostat"),
        (["env=my_env.py"], "there is no env=my_env.py; a class of a file is named by both: env=my_env.py:Thermostat"),
        (
            ["agent=parts"],
            "there is no agent=parts; a class of a file is named by both: agent=parts.py:… (Torso, Mine)",
        ),
        (["network=Torso"], "a class of a file is named by both: network=parts.py:Torso"),
        (["logger=[csv,Mine]"], "a class of a file is named by both: logger=parts.py:Mine"),
        (["env=myenv.py:Thermostat"], "myenv.py cannot be read: no such file or directory; did you mean my_env.py?"),
        (["env=cartpol"], "there is no env=cartpol; did you mean cartpole?"),
    ],
    ids=str,
)
def test_a_class_in_a_file_of_the_working_folder_is_found_by_its_name(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("my_env.py").write_text("raise SystemExit('executed')\nclass Thermostat:\n    def reset(self): pass\n")
    Path("parts.py").write_text("class Torso: pass\ndef Mine(): pass\ndef _own(): pass\n")
    assert refused(["train", *SHORT, *words], capsys).endswith(said)
    if words[0].startswith("env=Th"):
        with pytest.raises(UsageError, match=r"env=my_env.py:Thermostat$"):
            rlkit.train(env="Thermostat")
