"""The doctor: one line for each thing, a remedy where something is missing, never a traceback."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from commands import clean_environment, refused, rlkit, succeed

from rlkit.cli.doctor import installed, machine
from rlkit.cli.doctor.examine import examine
from rlkit.cli.doctor.findings import Finding, State
from rlkit.cli.main import main
from rlkit.cli.verbs.doctor import as_json, as_text
from rlkit.config import plugins
from rlkit.core.types import UsageError

TOPICS = {"Python", "rlkit", "processor", "memory", "disk", "GPU", "display", "packages", "video", "Atari", "W&B"}


@pytest.fixture(autouse=True)
def _no_account(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("WANDB_MODE", "WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.chdir(tmp_path)


def only(check: Callable[[], Iterator[Finding]]) -> Finding:
    [finding] = list(check())
    return finding


def test_everything_is_told_in_one_place(tmp_path: Path) -> None:
    out = succeed("doctor", cwd=tmp_path)
    for topic in (*TOPICS, "Box2D", "MuJoCo", "TensorBoard", "OpenSpiel", "plugins"):
        assert f" {topic} " in out, topic
    assert "ready to train" in out.splitlines()[-1]
    assert "Traceback" not in out


def test_programs_get_the_same(tmp_path: Path) -> None:
    told = json.loads(succeed("doctor", "output=json", cwd=tmp_path))
    assert told["ready"] is True
    assert {finding["topic"] for finding in told["findings"]} >= TOPICS
    assert all(set(finding) == {"topic", "state", "text", "remedy"} for finding in told["findings"])


def test_the_doctor_loads_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import sys; from rlkit.cli.main import main; assert main(['doctor']) == 0\n"
        "slow = {'torch', 'hydra', 'gymnasium', 'wandb', 'matplotlib', 'ale_py', 'tensorboard'} & set(sys.modules)\n"
        "assert not slow, slow"
    )
    # A search path without nvidia-smi: torch is loaded only where there is a GPU to ask it about.
    env = clean_environment(PATH=str(tmp_path))
    if not Path("/proc/driver/nvidia/version").exists():
        subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=env, check=True, timeout=60)


def test_a_check_that_fails_is_a_finding() -> None:
    def odd() -> Iterator[Finding]:
        yield Finding("odd", State.ok, "so far")
        raise OSError("the cable\nis out")

    def fine() -> Iterator[Finding]:
        yield Finding("fine", State.ok, "fine")

    found = examine([("odd", odd), ("fine", fine)])
    assert [finding.topic for finding in found] == ["odd", "odd", "fine"]
    broken = next(finding for finding in found if finding.state == State.broken)
    assert broken.text == "could not be examined (OSError: the cable is out)"
    assert found[-1].topic == "fine"


def test_a_package_that_is_missing_or_old_is_required(monkeypatch: pytest.MonkeyPatch) -> None:
    versions = {"numpy": "1.9.3", "torch": "2.13.0+cpu"}
    wanted = ["numpy>=1.26", "gymnasium[classic-control,toy-text]>=1.4", "torch>=2.4", 'Box2D>=2; extra == "box2d"']

    def version(name: str) -> str:
        if name not in versions:
            raise installed.PackageNotFoundError
        return versions[name]

    monkeypatch.setattr(installed, "version", version)
    monkeypatch.setattr(installed, "requires", lambda name: wanted)
    old, missing = installed.packages()
    assert (old.state, old.text, old.remedy) == (
        State.required,
        "numpy 1.9.3 is older than 1.26",
        'pip install "numpy>=1.26"',
    )
    assert missing.text == "gymnasium is missing"
    assert missing.remedy == 'pip install "gymnasium[classic-control,toy-text]>=1.4"'


def test_something_required_gives_status_1(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(installed, "requires", lambda name: ["nobodys-package>=1"])
    assert main(["doctor"]) == 1
    out = capsys.readouterr().out
    assert "MISSING  packages     nobodys-package is missing" in out
    assert '→ pip install "nobodys-package>=1"' in out
    assert out.splitlines()[-1] == "not ready: fix 1 marked MISSING first"
    assert main(["doctor", "output=json"]) == 1
    assert json.loads(capsys.readouterr().out)["ready"] is False


@pytest.mark.parametrize(
    ("version", "state"), [("3.10.2", State.required), ("3.11.0", State.ok), ("3.14.0", State.required)]
)
def test_the_version_of_python(version: str, state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installed.platform, "python_version", lambda: version)
    monkeypatch.setattr(installed.platform, "python_version_tuple", lambda: tuple(version.split(".")))
    assert next(installed.python()).state == state


def test_w_and_b_and_why(monkeypatch: pytest.MonkeyPatch) -> None:
    assert only(installed.wandb)[2:] == ("offline: no API key", "to send runs: wandb login")
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    assert only(installed.wandb)[2:] == ("online: an API key is there", "")
    monkeypatch.setenv("WANDB_MODE", "offline")
    assert only(installed.wandb)[2:] == ("offline: WANDB_MODE=offline, an API key is there", "")
    monkeypatch.delenv("WANDB_API_KEY")
    monkeypatch.setenv("WANDB_MODE", "online")
    assert only(installed.wandb).state == State.broken


def test_a_missing_extra_has_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installed, "find_spec", lambda name: None)
    box2d, mujoco, robotics, dm_control, tensorboard, open_spiel, *worlds = installed.extras()
    assert (box2d.state, box2d.remedy) == (State.absent, 'pip install "gymnasium[box2d]"')
    assert (mujoco.state, mujoco.remedy) == (State.absent, 'pip install "gymnasium[mujoco]"')
    assert (robotics.state, robotics.remedy) == (State.absent, "pip install gymnasium-robotics")
    assert (dm_control.state, dm_control.remedy) == (State.absent, 'pip install "shimmy[dm-control]" "mujoco<4"')
    assert (tensorboard.state, tensorboard.remedy) == (State.absent, "pip install tensorboard")
    assert (open_spiel.state, open_spiel.remedy) == (State.absent, "pip install open_spiel")
    launchers = ("hydra-joblib-launcher", "ray", "hydra-submitit-launcher")
    packages = ("minigrid", "minatar", "highway-env", "pettingzoo", *launchers)
    assert [(world.state, world.remedy) for world in worlds] == [
        (State.absent, f"pip install {name}") for name in packages
    ]
    assert only(installed.roms).text == "ale-py is not installed"


def test_roms_are_counted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(
        installed, "find_spec", lambda name: SimpleNamespace(submodule_search_locations=[str(tmp_path)])
    )
    assert "has no ROMs" in only(installed.roms).text
    (tmp_path / "roms").mkdir()
    (tmp_path / "roms/pong.bin").touch()
    assert only(installed.roms).text.startswith("1 ROMs")


def test_a_build_of_pyav_without_an_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> str:
        raise UsageError("no video encoder; set video=none")

    monkeypatch.setattr("rlkit.rendering.video.encoder", none)
    assert only(installed.video).state == State.broken


def test_a_gpu_that_torch_cannot_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_has_nvidia", lambda: True)
    cuda = SimpleNamespace(is_available=lambda: False)
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda, version=SimpleNamespace(cuda=None)))
    finding = only(machine.gpu)
    assert finding.state == State.broken
    assert "is built without CUDA" in finding.text
    cuda.is_available, cuda.device_count, cuda.get_device_name = lambda: True, lambda: 1, lambda i: "H100"
    assert only(machine.gpu).text.startswith("H100 (CUDA None, torch ")


def test_torch_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(name: str) -> str:
        raise machine.PackageNotFoundError

    monkeypatch.setattr(machine, "version", nothing)
    assert only(machine.gpu)[1:3] == (State.absent, "torch is not installed")


def test_little_memory_and_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "available_memory", lambda: 100_000_000)
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda path: SimpleNamespace(free=10_000_000))
    assert only(machine.memory).state == State.broken
    assert only(machine.disk).state == State.broken
    monkeypatch.setattr(machine.os, "access", lambda path, mode: False)
    assert only(machine.disk).state == State.required


def test_units_of_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    for flag, name in (("amx_bf16", "AMX (bfloat16)"), ("avx512_bf16", "AVX-512 (bfloat16)")):
        monkeypatch.setattr(machine, "_flags", lambda flag=flag: {"avx2", "avx512f", flag})
        assert f"AVX2, AVX-512, {name}: with agent.precision=auto" in only(machine.processor).text
    monkeypatch.setattr(machine, "_flags", lambda: {"avx2", "avx512f"})
    assert only(machine.processor).text.endswith("AVX2, AVX-512")


def test_a_display(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "has_display", lambda: True)
    assert only(machine.display).state == State.ok


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Two plugins, one of them broken, as installed distributions."""
    for name, code in (("good_games", ""), ("bad_games", "raise RuntimeError('worn out')")):
        module = tmp_path / "site" / name
        (module / "env").mkdir(parents=True)
        (module / "__init__.py").write_text(code)
        (module / "env/my_game.yaml").write_text("# A game.\n_target_: nobody\n")
        info = tmp_path / "site" / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[rlkit.conf]\n{name} = {name}\n")
    return tmp_path / "site"


def test_plugins_are_told_with_their_origin(site: Path, tmp_path: Path) -> None:
    done = rlkit("doctor", cwd=tmp_path, pythonpath=site)
    assert (done.returncode, done.stderr) == (0, "")
    assert "ok       plugin       good_games from good-games: env=my_game" in done.stdout
    assert "!        plugin       bad_games from bad-games: RuntimeError('worn out')" in done.stdout
    assert "→ pip install --upgrade bad-games, or pip uninstall bad-games" in done.stdout


def test_a_name_that_two_define_stops_every_run(site: Path, tmp_path: Path) -> None:
    (site / "bad_games/__init__.py").write_text("")
    done = rlkit("doctor", cwd=tmp_path, pythonpath=site)
    assert done.returncode == 1
    assert "env=my_game is defined by both" in done.stdout
    assert plugins.installed() == ()


def test_wrong_words_get_one_line(tmp_path: Path) -> None:
    assert refused("doctor", "output=xml", cwd=tmp_path) == "rlkit: there is no output=xml; there is: text, json"
    assert refused("doctor", "agent", cwd=tmp_path).endswith("takes output=json and nothing else, not 'agent'")


def test_without_numpy_there_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "numpy.py").write_text("raise ImportError('no NumPy here')\n")
    line = refused("doctor", cwd=tmp_path, env=clean_environment(PYTHONPATH=str(tmp_path)), status=1)
    assert line == "rlkit: no NumPy here; rlkit needs it: pip install --force-reinstall numpy"


def test_the_text_is_aligned() -> None:
    findings = [Finding("a", State.ok, "x"), Finding("longer", State.broken, "y", "mend it")]
    assert list(as_text(findings)) == [
        "ok       a       x",
        "!        longer  y",
        "                 → mend it",
        "",
        "ready to train; 1 marked ! do not work",
    ]
    assert as_json(findings)["ready"] is True
