from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from commands import clean_environment, refused, rlkit, succeed
from locations import ROOT

from rlkit.cli.main import VERBS, main
from rlkit.config.messages import LISTED

Refuse = Callable[..., str]


@pytest.fixture
def refuse(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[[list[str]], str]:
    """Run a command line in this process, check that it is refused with one line, and return the line."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", sys.argv)
    monkeypatch.delenv("RLKIT_TRACEBACK", raising=False)

    def call(words: list[str]) -> str:
        status = main(words)
        said = capsys.readouterr()
        lines = said.err.splitlines()
        assert (status, len(lines)) == (2, 1), said.err
        assert lines[0].startswith("rlkit: ")
        assert said.out == ""
        return lines[0].removeprefix("rlkit: ")

    return call


NAMES = sorted(path.stem for path in (ROOT / "conf/agent").glob("*.yaml"))
AGENTS = ", ".join(NAMES[:LISTED]) + ", …"

MISTAKES = [
    # a group's name
    ("agent=dqnn", "there is no agent=dqnn; did you mean dqn?"),
    ("env=cartpool", "there is no env=cartpool; did you mean cartpole?"),
    ("logger=[csv,terminall]", "there is no logger=terminall; did you mean terminal?"),
    (
        "network=convolution",
        "there is no network=convolution; there is: auto, blocks, embedding, encoder, impala, layer_norm, mlp, nature",
    ),
    ("schedule@agent.epsilon=linnear", "there is no schedule=linnear; did you mean linear?"),
    ("experiment=cartpole_24", "there is no experiment=cartpole_24; did you mean cartpole_24_24?"),
    ("tuned=nune", "there is no tuned=nune; did you mean none?"),
    ("tuned=null", "tuned=null: tuned takes a name; tuned=none switches it off"),
    ("agent=null", f"agent=null: agent takes a name; there is: {AGENTS}"),
    ("agent=", f"there is no agent=; there is: {AGENTS}"),
    # a key's name
    ("total_stepz=5", "there is no key total_stepz; did you mean total_steps?"),
    ("env.kwargs={limit:9}", "env.kwargs has no key limit yet; +env.kwargs.limit=… adds it"),
    ("eval.evry=5", "there is no key eval.evry; did you mean eval.every?"),
    ("agent.gama=1", "there is no key agent.gama; did you mean agent.gamma?"),
    ("agent.optimizer.fussed=1", "there is no key agent.optimizer.fussed; did you mean agent.optimizer.fused?"),
    ("gamma=0.9", "there is no key gamma; did you mean agent.gamma?"),
    ("episodes=3", "there is no key episodes; did you mean total_episodes?"),
    ("schedule=linear", "there is no key schedule; did you mean schedule@agent.epsilon?"),
    ("+total_stepz=5", "there is no key total_stepz; did you mean total_steps?"),
    ("+eval.evry=5", "there is no key eval.evry; did you mean every?"),
    ("+agent.gama=1", "agent.gama is not an option of DQN; did you mean gamma?"),
    ("+env.kwargs.gravitty=1", "env.kwargs.gravitty is not an option of CartPole-v1"),
    ("+seed=1", "seed is there already: write it without the +"),
    ("~seed", "seed cannot be deleted: rlkit needs a value for it"),
    ("~seeds", "there is no key seeds; did you mean seed?"),
    # a value
    ("seed=abc", "seed=abc: seed is a whole number"),
    ("seed=-1", "seed is -1; it must be at least 0"),
    ("seed=0.5", "seed=0.5: seed is a whole number"),
    ("total_steps=1.5e0", "total_steps=1.5e0: total_steps is a whole number"),
    ("total_steps=0", "total_steps is 0; it must be at least 1"),
    ("stop_at=high", "stop_at=high: stop_at is a number"),
    ("action_mask=perhaps", "action_mask=perhaps: action_mask is true or false"),
    ("threads=null", "threads=null: threads needs a value"),
    ("video=evry", "there is no video=evry; did you mean every?"),
    (
        "eval=3",
        "eval=3: eval has keys of its own: eval.every, eval.episodes, eval.epsilon, eval.sample, eval.max_steps",
    ),
    ("preprocess=3", "preprocess=3: preprocess is a list, e.g. preprocess=[]"),
    ("agent.gamma=abc", "agent.gamma is 'abc', but it must be a number"),
    ("agent.gamma=null", "agent.gamma is null, but it must be a number"),
    ("agent.batch_size=0.5", "agent.batch_size is 0.5, but it must be a whole number"),
    ("agent.double=3", "agent.double is 3, but it must be true or false"),
    ("agent.epsilon.start=abc", "agent.epsilon.start is 'abc', but it must be a number"),
    ("agent.epsilon=nope", "agent.epsilon is 'nope', not a Schedule: set the keys inside it, or choose another"),
    ("network.hidden=3", "network.hidden is 3, but it must be a list, e.g. network.hidden=[1,2]"),
    ("env.id=3", "env.id is 3, but it must be text"),
    ("env.kwargs=3", "env.kwargs is 3, but it must have keys of its own"),
    ("device=tpu", "device is tpu; it must be auto, cpu, cuda, cuda:1, … or mps"),
    ("total_steps=${nobody}", "nothing is called nobody, which a value refers to"),
    ("agent._target_=nowhere.Agent", "agent._target_ 'nowhere.Agent' cannot be imported"),
    # what cannot be read at all
    ("seed=[", "cannot read 'seed=[': quote values with = or other special characters"),
    ("=3", "cannot read '=3': it has no key before the ="),
    ("cartpole", "cannot read 'cartpole': settings are written key=value; did you mean env=cartpole?"),
    ("--sede=3", "there is no option --sede (settings have no dashes: sede=3)"),
    ("-x", "there is no option -x; did you mean -m?"),
    ("--cfg", "--cfg takes one of: job, hydra, all"),
    # what does not fit together, or is not there
    ("env=gym", "env.id has no value: give it one with env.id=…"),
    ("env=gym env.id=CartPoole-v1", "there is no Gymnasium environment CartPoole-v1; did you mean CartPole-v1?"),
    ("env=gym env.id=Taxi-v3", "there is no Gymnasium environment Taxi-v3; did you mean Taxi-v4?"),
    ("env=gym env.id=nobodys:Own-v0", "env.id=nobodys:Own-v0 needs a package that is not installed"),
    ("agent=q_learning", "q_learning needs discrete observations, not Box("),
    ("env=gym env.id=Pendulum-v1", "a Q-network needs discrete actions, not Box("),
    ("agent=q_learning env=frozen_lake env.kwargs.map_name=3x3", "FrozenLake-v1 cannot be made with env.kwargs="),
    ("resume=runs/nobody", "there is no run runs/nobody (no config.yaml in it)"),
]


@pytest.mark.parametrize("sweep", [False, True], ids=["single", "sweep"])
@pytest.mark.parametrize(("words", "line"), MISTAKES, ids=[words for words, _ in MISTAKES])
def test_a_mistake_gets_one_line(words: str, line: str, sweep: bool, refuse: Refuse, tmp_path: Path):
    # The space in this one is part of the mistake.
    split = [words] if words.startswith("name=") else words.split()
    assert refuse(["train", *(["-m"] if sweep else []), *split]).startswith(line)
    assert not list(tmp_path.glob("runs/*/config.yaml"))


def test_several_values_need_a_sweep(refuse: Refuse):
    assert refuse(["train", "seed=0,1"]).startswith("seed=0,1 is several values: add -m to sweep over them")


def test_an_unknown_verb_gets_the_nearest(refuse: Refuse):
    assert refuse(["trian"]) == "there is no verb 'trian'; did you mean train?"
    assert refuse(["xyzzy"]).startswith("there is no verb 'xyzzy'; there is: train, eval")


@pytest.mark.parametrize("verb", ["eval", "play"])
def test_a_missing_run_folder_is_named(verb: str, refuse: Refuse, tmp_path: Path):
    assert refuse([verb, "run=runs/nobody"]) == "there is no run runs/nobody (no config.yaml in it)"
    assert refuse([verb, "-m", "run=runs/nobody"]) == "there is no run runs/nobody (no config.yaml in it)"
    (tmp_path / "runs/dqn_cartpole_s0").mkdir(parents=True)
    (tmp_path / "runs/dqn_cartpole_s0/config.yaml").write_text("name: x\n")
    assert refuse([verb, "run=runs/dqn_cartpole_s1"]).endswith("did you mean dqn_cartpole_s0?")
    assert "is not the configuration of an rlkit run" in refuse([verb, "run=runs/dqn_cartpole_s0"])
    rules = {"eval": "run has no value: give it one with run=…", "play": "play needs either run=<a run folder> or log="}
    assert refuse([verb]).startswith(rules[verb])
    assert refuse([verb, "run=runs/nobody", "episods=3"]) == "there is no key episods; did you mean episodes?"


QUICK = ("agent=random", "total_steps=20", "video=none", "logger=[csv]")


def test_an_existing_run_folder_is_refused(refuse: Refuse, capsys: pytest.CaptureFixture[str]):
    assert main(["train", *QUICK, "run_dir=mine"]) == 0
    capsys.readouterr()
    assert refuse(["train", *QUICK, "run_dir=mine"]).startswith("run folder mine exists and is never overwritten")
    assert refuse(["train", "-m", *QUICK, "run_dir=mine"]).startswith("run folder mine exists and is never overwritten")
    assert refuse(["eval", "run=mine", "checkpoint=7"]).startswith("there is no checkpoint=7 in mine/checkpoints")
    assert refuse(["train", "resume=mine", "seed=3"]).startswith("seed cannot change on resume")


def test_a_value_may_refer_to_another(refuse: Refuse, tmp_path: Path):
    assert main(["train", *QUICK, "log.every=${total_steps}"]) == 0
    assert "every: 20" in (tmp_path / "runs/random_cartpole_s0/config.yaml").read_text()


def test_a_failure_that_is_no_mistake_has_status_1(tmp_path: Path):
    (tmp_path / "bad_env.py").write_text(
        "import gymnasium\n"
        "class Bad(gymnasium.Env):\n"
        "    observation_space = action_space = gymnasium.spaces.Discrete(2)\n"
        "    def reset(self, *, seed=None, options=None):\n        return 0, {}\n"
        "    def step(self, action):\n        raise OSError('the cable\\nis out')\n"
        "gymnasium.register('Bad-v0', entry_point=Bad)\n"
    )
    words = ("env=gym", "env.id=bad_env:Bad-v0", *QUICK)
    for sweep in ((), ("-m",)):
        line = refused("train", *sweep, *words, cwd=tmp_path, pythonpath=tmp_path, status=1)
        assert "OSError: the cable is out" in line
    traced = rlkit("train", *words, cwd=tmp_path, env=clean_environment(PYTHONPATH=str(tmp_path), RLKIT_TRACEBACK="1"))
    assert "Traceback" in traced.stderr


@pytest.mark.parametrize("words", ["total_stepz=5", "seed=[", "tuned=null", "-m agent=q_learning", "env=gym"])
def test_a_mistake_gets_one_line_in_a_process_of_its_own(words: str, tmp_path: Path):
    refused("train", *words.split(), cwd=tmp_path)


def test_a_missing_extra_is_named_with_its_remedy(tmp_path: Path):
    (tmp_path / "Box2D.py").write_text("raise ImportError('no Box2D here')\n")
    for sweep in ((), ("-m",)):
        line = refused("train", *sweep, "env=lunar_lander", cwd=tmp_path, pythonpath=tmp_path)
        assert line.startswith("rlkit: env.id=LunarLander-v3 needs a package that is not installed")
        assert line.endswith('pip install "gymnasium[box2d]"')


def test_help_imports_nothing_slow(tmp_path: Path):
    code = (
        "import sys; from rlkit.cli.main import main; main(sys.argv[1:]); "
        "slow = {'hydra', 'omegaconf', 'gymnasium', 'torch', 'yaml'} & set(sys.modules); assert not slow, slow"
    )
    for words in (["--help"], ["--version"], *([verb, "--help"] for verb in VERBS)):
        subprocess.run(
            [sys.executable, "-c", code, *words], cwd=tmp_path, env=clean_environment(), check=True, timeout=60
        )


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_a_help_that_fits_the_screen(verb: str, capsys: pytest.CaptureFixture[str]):
    assert main([verb, "--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"rlkit {verb}: ")
    assert max(map(len, lines)) <= 100
    assert not any("???" in line for line in lines)


def test_help_shows_keys_choices_and_comments(capsys: pytest.CaptureFixture[str]):
    main(["train", "--help"])
    text = capsys.readouterr().out
    assert "  total_steps=100000      agent decisions, summed over environments\n" in text
    assert "  eval.every=10000        steps between evaluations; 0: none\n" in text
    assert re.search(r"^  agent=dqn +a2c, actor_critic, ", text, re.MULTILINE)
    assert len(text.splitlines()) < 100
    assert "every: each training episode of environment 0" in text
    for group in ("agent", "env", "network", "distribution", "replay", "schedule", "logger", "experiment", "tuned"):
        assert f"\n  {group}=" in text


def test_help_shows_every_key_that_a_verb_has(capsys: pytest.CaptureFixture[str]):
    from rlkit.config.schemas import SCHEMAS

    for verb, schema in SCHEMAS.items():
        main([verb, "--help"])
        text = capsys.readouterr().out
        for key in set(schema.__dataclass_fields__) - {"network", "distribution", "replay", "data", "callback"}:
            shown = (f"\n  {key}=", f"\n  {key}.", f"    {key}=", f"@{key}=")
            assert any(form in text for form in shown), (verb, key)


def test_list_shows_everything_or_one_group(capsys: pytest.CaptureFixture[str]):
    assert main(["list"]) == 0
    everything = capsys.readouterr().out
    for heading in ("Agents: agent=…", "Environments: env=…", "Networks of policies: policy_network=…"):
        assert heading in everything.splitlines()
    assert max(map(len, everything.splitlines())) <= 100
    assert main(["list", "agents"]) == 0
    assert capsys.readouterr().out.startswith("Agents: agent=…\n  a2c ")
    assert main(["list", "env", "output=json"]) == 0
    entries = {entry["name"]: entry for entry in json.loads(capsys.readouterr().out)["env"]}
    assert entries["cartpole"]["origin"] == "rlkit"


def test_list_shows_gymnasium_s_ids(capsys: pytest.CaptureFixture[str]):
    assert main(["list", "gym"]) == 0
    assert "CartPole-v1" in capsys.readouterr().out.splitlines()


def test_list_refuses_what_is_no_group(refuse: Refuse):
    assert refuse(["list", "agnet"]) == "there is no group agnet; did you mean agent?"
    assert refuse(["list", "agent", "env"]) == "rlkit list takes one group, not agent env"
    assert refuse(["list", "output=xml"]) == "there is no output=xml; there is: text, json"


def test_list_needs_no_hydra(tmp_path: Path):
    code = "import sys; from rlkit.cli.main import main; main(['list']); assert 'hydra' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=clean_environment(), check=True, timeout=60)


def test_every_shipped_file_says_what_it_is():
    from rlkit.config import plugins

    assert not [entry.path for entry in plugins.entries() if not entry.summary]


def test_json_is_the_last_line(tmp_path: Path):
    out = succeed("train", *QUICK[:-1], "output=json", cwd=tmp_path)
    assert json.loads(out.splitlines()[-1])["run"] == "runs/random_cartpole_s0"
