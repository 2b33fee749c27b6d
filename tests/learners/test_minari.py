"""Minari data sets and recordings, each made of the other: what goes there and back is the same, byte for byte."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import gymnasium
import minari
import numpy as np
import pytest
from making import run_config
from minari.data_collector import EpisodeBuffer
from recordings import Balancing, record

from rlkit.cli.main import main
from rlkit.core import tree
from rlkit.core.types import RunError, UsageError
from rlkit.learners.datasets.demonstrations import EpisodeFolder, Recorded, read_episodes
from rlkit.learners.datasets.demonstrations.formats import PREFIX
from rlkit.learners.datasets.demonstrations.minari_format import MinariFolder
from rlkit.learners.datasets.episodes import minari as data_set
from rlkit.play.demonstrate import Noise
from rlkit.runs import build

SPACES = {
    "observation_space": gymnasium.spaces.Dict(
        {"a": gymnasium.spaces.Box(-np.inf, np.inf, (3,), np.float64), "b": gymnasium.spaces.Discrete(4)}
    ),
    "action_space": gymnasium.spaces.Box(-2, 2, (2,), np.float32),
}
STEPS = [5, 1, 3]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    return tmp_path / "minari"


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(3)


def foreign(rng: np.random.Generator, name: str = "ns/somebody/mixed-v3", **more: Any) -> Any:
    """Return a data set of Minari's own making: ends of all kinds, infos, float64 rewards."""
    ends = [(True, False), (True, True), (False, True)]
    buffers = [
        EpisodeBuffer(
            seed=7 + i,
            observations={"a": rng.normal(size=(n + 1, 3)), "b": rng.integers(4, size=n + 1)},
            actions=rng.uniform(-2, 2, (n, 2)).astype(np.float32),
            rewards=rng.normal(size=n),
            terminations=np.arange(n) == (n - 1 if end[0] else n),
            truncations=np.arange(n) == (n - 1 if end[1] else n),
            infos={"success": rng.random(n + 1) < 0.5, "deep": {"x": rng.normal(size=(n + 1, 2))}},
        )
        for i, (n, end) in enumerate(zip(STEPS, ends, strict=True))
    ]
    about = {"algorithm_name": "drawn", "author": "A. Person", "description": "noise", "code_permalink": "https://x.y"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what is not said, such as an address
        found = minari.create_dataset_from_buffers(name, buffers, **SPACES, **about, **more)
    found.storage.update_episode_metadata([{"quality": q} for q in (0.5, 1.5, 2.5)])
    return found


def same_bytes(one: Any, other: Any) -> bool:
    """Return whether two trees have the same keys and leaves of equal dtypes, shapes and bytes."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same_bytes(one[key], other[key]) for key in one)
    one, other = np.asarray(one), np.asarray(other)
    return (one.dtype, one.shape, one.tobytes()) == (other.dtype, other.shape, other.tobytes())


def copied(source: str | Path, out: Path, kind: type = EpisodeFolder) -> Path:
    recorded = read_episodes(source)
    folder = kind(out, recorded.about, save_every=2)
    for episode in recorded.split():
        folder.add(episode)
    folder.save()
    return out


class TestThereAndBack:
    def test_a_data_set_of_minari_comes_back_the_same(
        self, root: Path, tmp_path: Path, rng: np.random.Generator
    ) -> None:
        first = foreign(rng)
        copied(f"{PREFIX}ns/somebody/mixed-v3", tmp_path / "episodes")
        second = minari.MinariDataset(copied(tmp_path / "episodes", root / "again-v0", MinariFolder) / "data")
        assert len(second) == 3
        for one, other in zip(first, second, strict=True):
            for name in ("observations", "actions", "rewards", "terminations", "truncations", "infos"):
                assert same_bytes(getattr(one, name), getattr(other, name)), name
        metadata = [{**found.storage.read_raw_metadata(found.storage.data_path)} for found in (first, second)]
        for kept in metadata:
            for key in ("dataset_size", "jpeg_encoding", "rlkit"):
                kept.pop(key, None)
        assert metadata[0] == metadata[1]
        of_episodes = [list(found.storage.get_episode_metadata(range(3))) for found in (first, second)]
        for facts in of_episodes[1]:
            facts.pop("rlkit")
        assert of_episodes[0] == of_episodes[1]

    @pytest.mark.parametrize("words", [["env=cartpole"], ["env=pendulum"], ["env=catch"]])
    def test_a_recording_comes_back_the_same(self, words: list[str], tmp_path: Path, root: Path) -> None:
        path = record(tmp_path / "e", *words, episodes=3, max_steps=25, noise=Noise(0.3, 2))
        env = build.make_environment(run_config("agent=random", *words).environment, num_envs=1)
        spaces = {"observation_space": env.observation_space, "action_space": env.action_space}
        first = read_episodes(path)
        folder = MinariFolder(root / "m-v0", first.about, 2, **spaces)
        for episode in first.split():
            folder.add(episode)
        folder.save()
        second = read_episodes(f"{PREFIX}m-v0")
        assert_equal(first, second)
        assert_equal(first, read_episodes(copied(root / "m-v0", tmp_path / "f")))
        assert {key: second.about[key] for key in first.about} == first.about

    def test_minari_reads_what_was_recorded(self, tmp_path: Path, root: Path) -> None:
        words = ("play", "record=true", "env=cartpole", "+expert._target_=recordings.Balancing", "format=minari")
        numbers = ("max_steps=12", "episodes=2", "save_every=1", "trust=[recordings]")
        assert main([*words, *numbers, f"out={root / 'poles-v1'}"]) == 0
        found = minari.load_dataset("poles-v1")
        env = found.recover_environment()
        for episode in found:
            state, _ = env.reset(seed=next(iter(found.storage.get_episode_metadata([episode.id])))["seed"])
            for t, action in enumerate(episode.actions):
                assert np.array_equal(episode.observations[t], state)
                state, reward, *_ = env.step(action)
                assert episode.rewards[t] == reward
            assert np.array_equal(episode.observations[-1], state)
            assert episode.truncations.tolist() == [False] * 11 + [True]


def assert_equal(one: Recorded, other: Recorded) -> None:
    for name in Recorded._fields:
        if name not in ("about", "episodes"):
            a, b = getattr(one, name), getattr(other, name)
            assert a is b is None or same_bytes(a, b), name
    assert list(one.episodes) == list(other.episodes)


class TestUses:
    def test_steps_of_a_data_set_are_rows_for_learners(self, root: Path, rng: np.random.Generator) -> None:
        buffers = [
            EpisodeBuffer(
                observations=rng.normal(size=(5, 2)),
                actions=rng.integers(2, size=4),
                rewards=np.ones(4),
                terminations=np.zeros(4, bool),
                truncations=np.zeros(4, bool),
            )
        ]
        spaces = {"observation_space": gymnasium.spaces.Box(-9, 9, (2,)), "action_space": gymnasium.spaces.Discrete(2)}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            minari.create_dataset_from_buffers("few-v0", buffers, **spaces)
        found = data_set("few-v0", "action")
        assert found.task == "classification"
        assert found.rows.X.shape == (4, 2)
        # Nothing says that its episode ended, and nothing is made up on the way back.
        recorded = read_episodes(f"{PREFIX}few-v0")
        assert recorded.truncated is not None
        assert not recorded.truncated.any()
        assert recorded.last.tolist() == [False] * 3 + [True]

    def test_what_is_copied_is_appended_to_what_is_there(
        self, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def refused(*words: str) -> str:
            assert main(list(words)) == 2
            return capsys.readouterr().err

        path = record(tmp_path / "e", "env=cartpole", player=Balancing(), episodes=2)
        words = ("play", "record=true", f"source={path}", "format=minari", f"out={root / 'c-v0'}")
        assert "env=" in refused(*words)
        for _ in range(2):
            assert main([*words, "env=cartpole"]) == 0
        assert len(read_episodes(root / "c-v0").episodes) == 4
        assert f"source={path}: observation space is Box" in refused(*words, "env=acrobot")
        assert "source= needs out=" in refused("play", "record=true", f"source={path}")
        assert "goes with record=true" in refused("play", f"source={path}", "run=x")


class TestFaults:
    def test_what_is_not_there_is_named(self, root: Path) -> None:
        with pytest.raises(UsageError, match=r"there is no data set D4RL/door-v9 in .*minari download D4RL/door-v9"):
            read_episodes("minari:D4RL/door-v9")

    def test_damage_is_one_line(self, root: Path, rng: np.random.Generator) -> None:
        foreign(rng, "bad-v0")
        (root / "bad-v0/data/main_data.hdf5").write_bytes(b"nothing")
        with pytest.raises(RunError, match="is no Minari data set that can be read"):
            read_episodes("minari:bad-v0")
        metadata = root / "bad-v0/data/metadata.json"
        kept = json.loads(metadata.read_text())
        metadata.write_text(json.dumps({key: kept[key] for key in kept if key != "action_space"}))
        with pytest.raises(UsageError, match="does not say its spaces"):
            read_episodes("minari:bad-v0")

    def test_a_folder_of_other_things_is_left_alone(self, tmp_path: Path) -> None:
        (tmp_path / "letter.txt").write_text("dear")
        about = {key: str(space) for key, space in SPACES.items()}
        with pytest.raises(UsageError, match="holds no Minari data set"):
            MinariFolder(tmp_path, about, 1, **SPACES)

    def test_spaces_must_be_known(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="needs the spaces of the environment"):
            MinariFolder(tmp_path / "x", {}, 1)


def test_infos_of_a_part_have_their_own_rows(root: Path, tmp_path: Path, rng: np.random.Generator) -> None:
    foreign(rng)
    recorded = read_episodes(copied(f"{PREFIX}ns/somebody/mixed-v3", tmp_path / "e"))
    assert tree.length(recorded.infos) == sum(STEPS) + len(STEPS)
    part = dict(np.load(tmp_path / "e/part-00000.npz"))
    np.savez(tmp_path / "e/part-00000.npz", **{**part, "infos": part["infos"][:-1]})
    with pytest.raises(RunError, match="its infos is an array"):
        read_episodes(tmp_path / "e")
