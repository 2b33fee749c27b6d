"""Which tuned settings a pair takes, and that a comparison of differently tuned ones says so."""

from __future__ import annotations

from pathlib import Path

import pytest
from run_folders import write_run

import rlkit
from rlkit.cli.main import main
from rlkit.config import instantiate
from rlkit.config.compose import alone, composed
from rlkit.config.tuning import jobs, mixtures
from rlkit.core.types import UsageError

AGENTS = {
    "like_ppo": "_tuned_: ppo\n",
    "own_ppo": "",
    "like_a2c": "_tuned_: a2c\n",
    "like_nobody": "_tuned_: poo\n",
}
QUICK = ("total_steps=64", "eval.every=0", "video=none", "logger=[terminal]")


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the word that lets Hydra find agents that inherit PPO, and an environment that is like CartPole."""
    monkeypatch.chdir(tmp_path)
    for group in ("agent", "env"):
        (tmp_path / "own" / group).mkdir(parents=True)
    for name, line in AGENTS.items():
        text = f"# An agent.\ndefaults:\n  - ppo\n  - _self_\n{line}"
        (tmp_path / f"own/agent/{name}.yaml").write_text(text)
    text = "# An environment.\ndefaults:\n  - cartpole\n  - _self_\n_tuned_: cartpole\n"
    (tmp_path / "own/env/longer.yaml").write_text(text)
    return f"hydra.searchpath=[file://{tmp_path}/own]"


def agent_of(*words: str) -> tuple[dict, str]:
    config, choices = composed("train", list(words))
    agent = instantiate.plain(config)["agent"]
    agent.pop("_tuned_", None)
    return agent, choices["tuned"]


def test_a_node_takes_the_tuned_settings_that_it_names(path: str) -> None:
    ppo, taken = agent_of("agent=ppo", "env=cartpole")
    assert taken == "ppo_cartpole"
    assert agent_of(path, "agent=like_ppo", "env=cartpole") == (ppo, "ppo_cartpole")
    assert agent_of(path, "agent=like_ppo", "env=longer") == (ppo, "ppo_cartpole")
    assert agent_of(path, "agent=ppo", "env=longer") == (ppo, "ppo_cartpole")


def test_a_node_that_names_nothing_or_one_without_a_file_has_none(path: str) -> None:
    plain, _ = agent_of("agent=ppo", "env=cartpole", "tuned=none")
    assert agent_of(path, "agent=own_ppo", "env=cartpole") == (plain, "none")
    assert agent_of(path, "agent=like_a2c", "env=acrobot")[1] == "none"


def test_a_node_that_names_nobody_is_refused(path: str) -> None:
    with pytest.raises(UsageError, match=r"agent=like_nobody says _tuned_: poo, and there is no agent=poo.*mean ppo"):
        composed("train", [path, "agent=like_nobody", "env=cartpole"])


def test_tuned_files_of_a_search_path_are_as_good_as_any(
    path: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "own/tuned").mkdir()
    for name, gamma in (("own_ppo_cartpole", 0.55), ("ppo_longer", 0.66), ("like_ppo_taxi", 0.77)):
        text = f"# @package _global_\n# Values.\nagent:\n  gamma: {gamma}\n"
        (tmp_path / f"own/tuned/{name}.yaml").write_text(text)
    (tmp_path / "own/env/cab.yaml").write_text("# A cab.\ndefaults:\n  - taxi\n  - _self_\n_tuned_: taxi\n")
    found = {
        ("own_ppo", "cartpole"): ("own_ppo_cartpole", 0.55),
        ("like_ppo", "longer"): ("ppo_longer", 0.66),  # before ppo_cartpole, which is of neither
        ("like_ppo", "cab"): ("like_ppo_taxi", 0.77),
    }
    for (agent, env), (name, gamma) in found.items():
        settings, taken = agent_of(path, f"agent={agent}", f"env={env}")
        assert (taken, settings["gamma"]) == (name, gamma)
    assert agent_of(path, "agent=ppo", "env=cartpole", "tuned=own_ppo_cartpole")[0]["gamma"] == 0.55
    assert main(["train", path, "agent=own_ppo", *QUICK]) == 0
    assert "conf/tuned/own_ppo_cartpole.yaml" in capsys.readouterr().out
    with pytest.raises(UsageError, match="there is no tuned=own_ppo_cartpol; did you mean own_ppo_cartpole"):
        agent_of(path, "agent=own_ppo", "env=cartpole", "tuned=own_ppo_cartpol")


def test_what_was_chosen_stays_chosen(path: str) -> None:
    plain, _ = agent_of("agent=ppo", "env=cartpole", "tuned=none")
    assert agent_of(path, "agent=like_ppo", "env=cartpole", "tuned=none") == (plain, "none")
    other, _ = agent_of("agent=ppo", "env=cartpole", "tuned=ppo_acrobot")
    assert agent_of(path, "agent=like_ppo", "env=cartpole", "tuned=ppo_acrobot") == (other, "ppo_acrobot")
    assert agent_of(path, "agent=like_ppo", "env=cartpole", "agent.gamma=0.5")[0]["gamma"] == 0.5


def test_a_pair_s_own_file_goes_before_the_one_that_it_names(path: str, tmp_path: Path) -> None:
    (tmp_path / "own/agent/a2c.yaml").write_text("# Another.\ndefaults:\n  - ppo\n  - _self_\n_tuned_: ppo\n")
    assert agent_of("agent=a2c", "env=cartpole")[1] == "a2c_cartpole"


def test_a_sweep_over_differently_tuned_agents_says_so(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "-m", path, "agent=ppo,own_ppo", "env=cartpole", "seed=0,1", *QUICK]) == 0
    line = (
        "rlkit: settings are tuned in different ways: agent=ppo env=cartpole conf/tuned/ppo_cartpole.yaml; "
        "agent=own_ppo env=cartpole no tuned file (tuned=none compares them as they come)\n"
    )
    assert capsys.readouterr().err.count(line) == 1


def test_a_sweep_over_agents_that_are_tuned_alike_trains_them_alike(
    path: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "-m", path, "agent=ppo,like_ppo", "env=cartpole", *QUICK]) == 0
    assert "tuned in different ways" not in capsys.readouterr().err
    first, second = (rlkit.load(f"runs/{name}_cartpole_s0").values for name in ("ppo", "like_ppo"))
    assert second["choices"]["tuned"] == "ppo_cartpole"
    assert second["agent"].pop("_tuned_") == "ppo"
    assert first["agent"] == second["agent"]
    assert "conf/tuned/ppo_cartpole.yaml" in Path("runs/like_ppo_cartpole_s0/train.log").read_text()


def test_cfg_shows_what_would_run(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["--cfg", "job"], ["--cfg=job"]):
        assert main(["train", path, "agent=like_ppo", "env=cartpole", *words]) == 0
        shown = capsys.readouterr().out
        assert f"learning_rate: {agent_of('agent=ppo', 'env=cartpole')[0]['learning_rate']}" in shown


def test_the_jobs_of_a_sweep_that_decide() -> None:
    words = ["agent=ppo,a2c", "env=cartpole", "seed=1,2", "agent.gamma=0.9", "tuned=none"]
    with alone() as loader:
        assert list(jobs(words, loader)) == [
            ["agent=ppo", "env=cartpole", "tuned=none"],
            ["agent=a2c", "env=cartpole", "tuned=none"],
        ]
        assert list(jobs(["agent=glob(linear_*,exclude=*td*)"], loader)) == [
            ["agent=linear_q"],
            ["agent=linear_sarsa"],
        ]


def test_only_what_shares_an_environment_is_compared() -> None:
    assert list(mixtures([("a", "none", "x"), ("a", "none", "y"), ("b", "f", "z")])) == []
    [line] = mixtures([("a", "none", "x"), ("b", "f", "y"), ("a", "g", "z")])
    assert "x no tuned file; z conf/tuned/g.yaml" in line


def test_options_may_stand_among_the_words_of_a_sweep(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "env=cartpole", path, "-m", *QUICK, "agent=ppo,own_ppo"]) == 0
    assert capsys.readouterr().err.count("tuned in different ways: env=cartpole agent=ppo conf") == 1
    assert main(["train", "env=cartpole", "--cfg", "job", "agent=ppo"]) == 0
    assert main(["train", "-m", *QUICK, "env=cartpole", "agent=glob(random)"]) == 0


def test_a_report_over_differently_tuned_groups_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    one = write_run(Path("one"), seed=0, evaluations={10: [1.0]})
    other = write_run(Path("other"), seed=0, evaluations={10: [1.0]}, words=["tuned=q_learning_frozen_lake"])
    line = "settings are tuned in different ways: one no tuned file; other conf/tuned/q_learning_frozen_lake.yaml"
    assert line in rlkit.report(one, other).read_text()
    assert "tuned in different ways" not in rlkit.report(one).read_text()
