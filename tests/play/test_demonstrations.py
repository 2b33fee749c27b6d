"""Recording episodes, the folder they lie in, and the rows that are made of them."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from commands import refused, succeed
from locations import TESTS
from recordings import Balancing, record

import rlkit
from rlkit.algorithms.fixed_policies import Uniform
from rlkit.core.types import RunError, UsageError
from rlkit.learners.datasets.dataset import Rows
from rlkit.learners.datasets.demonstrations import Demonstration, EpisodeFolder, read_episodes
from rlkit.learners.datasets.demonstrations.folder import appending
from rlkit.learners.datasets.demonstrations.rows import balanced, split_by_episode
from rlkit.learners.datasets.episodes import recorded as data_set
from rlkit.play.demonstrate import Discarded, Noise, RecordingActor
from rlkit.vector.time_steps import first_timestep

ABOUT = {"observation_space": "a", "action_space": "b"}


def episode(length: int, value: int = 0) -> Demonstration:
    steps = np.arange(length)
    return Demonstration(
        observation=np.stack([steps, np.full(length, value)], axis=1).astype(np.uint8),
        action=steps % 2,
        intended=steps % 3,
        reward=steps.astype(np.float32),
        discount=(steps < length - 1).astype(np.float32),
        final_observation=np.array([length, value], np.uint8),
        facts={"seed": value, "return": float(steps.sum()), "player": "p"},
    )


class TestFolder:
    def test_what_is_read_is_what_was_added(self, tmp_path: Path) -> None:
        folder = EpisodeFolder(tmp_path / "e", ABOUT, save_every=2)
        for i in range(3):
            folder.add(episode(3 + i, i))
        assert len(folder) == 3
        folder.save()
        found = read_episodes(tmp_path / "e")
        assert found.episode.tolist() == [0] * 3 + [1] * 4 + [2] * 5
        assert np.flatnonzero(found.last).tolist() == [2, 6, 11]
        assert found.observation.dtype == np.uint8
        assert found.intended[:3].tolist() == [0, 1, 2]
        assert found.action[:3].tolist() == [0, 1, 0]
        assert [e["length"] for e in found.episodes] == [3, 4, 5]
        assert [e["number"] for e in found.episodes] == [0, 1, 2]
        # The successor of a last step is what came after it, not what the next episode begins with.
        assert found.next_observation[:4].tolist() == [[1, 0], [2, 0], [3, 0], [1, 1]]

    def test_a_later_recording_is_appended(self, tmp_path: Path) -> None:
        for value in (1, 2):
            with appending(tmp_path / "e", ABOUT, save_every=5) as folder:
                folder.add(episode(2, value))
        assert [e["seed"] for e in read_episodes(tmp_path / "e").episodes] == [1, 2]
        assert sorted(path.name for path in (tmp_path / "e").iterdir()) == [
            "episodes.json",
            "part-00000.npz",
            "part-00001.npz",
        ]

    def test_a_part_that_a_crash_cut_short_is_not_read_and_written_again(self, tmp_path: Path) -> None:
        folder = EpisodeFolder(tmp_path / "e", ABOUT, save_every=1)
        folder.add(episode(2, 7))
        (tmp_path / "e/part-00001.npz").write_bytes(b"half")
        (tmp_path / "e/part-00001.tmp").write_bytes(b"less")
        assert len(read_episodes(tmp_path / "e").episodes) == 1
        EpisodeFolder(tmp_path / "e", ABOUT, save_every=1).add(episode(2, 8))
        assert [e["seed"] for e in read_episodes(tmp_path / "e").episodes] == [7, 8]

    def test_what_was_taken_is_written_when_recording_is_broken_off(self, tmp_path: Path) -> None:
        with suppress(KeyboardInterrupt), appending(tmp_path / "e", ABOUT, save_every=5) as folder:
            folder.add(episode(4))
            raise KeyboardInterrupt
        assert len(read_episodes(tmp_path / "e").reward) == 4

    def test_a_folder_in_which_nothing_was_recorded_goes_away(self, tmp_path: Path) -> None:
        with appending(tmp_path / "e", ABOUT, save_every=5):
            pass
        assert not (tmp_path / "e").exists()

    def test_two_cannot_record_into_one_folder(self, tmp_path: Path) -> None:
        second = appending(tmp_path / "e", ABOUT, save_every=5)
        with appending(tmp_path / "e", ABOUT, save_every=5) as folder:
            with pytest.raises(UsageError, match="another process records into"):
                second.__enter__()
            folder.add(episode(2))
        assert len(read_episodes(tmp_path / "e").episodes) == 1

    def test_other_spaces_are_refused(self, tmp_path: Path) -> None:
        EpisodeFolder(tmp_path / "e", ABOUT, save_every=1).add(episode(2))
        with pytest.raises(UsageError, match="whose action space is b, not c; record into another folder"):
            EpisodeFolder(tmp_path / "e", {**ABOUT, "action_space": "c"}, save_every=1)

    def test_folders_of_other_things_are_refused(self, tmp_path: Path) -> None:
        (tmp_path / "letter.txt").write_text("dear")
        with pytest.raises(UsageError, match="holds no recorded episodes; choose another folder"):
            EpisodeFolder(tmp_path, ABOUT, save_every=1)
        with pytest.raises(UsageError, match=r"no episodes.json in it\); record some"):
            read_episodes(tmp_path)
        (tmp_path / "episodes.json").write_text("[]")
        with pytest.raises(UsageError, match="is no index of episodes"):
            read_episodes(tmp_path)
        (tmp_path / "episodes.json").write_text('{"format": "other-9", "about": {}, "parts": []}')
        with pytest.raises(UsageError, match="has format 'other-9'; this rlkit reads"):
            read_episodes(tmp_path)

    def test_a_damaged_part_is_named(self, tmp_path: Path) -> None:
        EpisodeFolder(tmp_path / "e", ABOUT, save_every=1).add(episode(2))
        (tmp_path / "e/part-00000.npz").write_bytes(b"PK nothing")
        with pytest.raises(RunError, match=r"part-00000.npz cannot be read"):
            read_episodes(tmp_path / "e")

    def test_a_part_that_needs_pickle_is_refused(self, tmp_path: Path) -> None:
        EpisodeFolder(tmp_path / "e", ABOUT, save_every=1).add(episode(2))
        part = tmp_path / "e/part-00000.npz"
        arrays = dict(np.load(part))
        np.savez(part, **{**arrays, "action": np.array([print, print], object)})
        with pytest.raises(RunError, match="cannot be read: ValueError"):
            read_episodes(tmp_path / "e")


class TestRecording:
    def test_steps_are_those_of_the_environment(self, tmp_path: Path) -> None:
        found = read_episodes(record(tmp_path / "e", "env=cartpole", player=Balancing(), episodes=2, max_steps=40))
        env = gymnasium.make("CartPole-v1")
        for facts in found.episodes:
            own = found.episode == facts["number"]
            observation, _ = env.reset(seed=facts["seed"])
            following = found.next_observation[own]
            for i, action in enumerate(found.action[own]):
                assert np.array_equal(found.observation[own][i], observation)
                observation, reward, terminated, *_ = env.step(int(action))
                assert np.array_equal(following[i], observation)
                assert found.reward[own][i] == reward
                assert found.discount[own][i] == (not terminated)
            assert facts["return"] == facts["length"] == 40

    def test_the_same_command_records_the_same_and_what_is_appended_is_new(self, tmp_path: Path) -> None:
        once = read_episodes(record(tmp_path / "a", "env=cartpole", episodes=4))
        record(tmp_path / "b", "env=cartpole", episodes=2)
        twice = read_episodes(record(tmp_path / "b", "env=cartpole", episodes=2))
        assert np.array_equal(once.observation, twice.observation)
        assert np.array_equal(once.action, twice.action)
        assert len({e["seed"] for e in once.episodes}) == 4

    def test_noise_replaces_its_share_of_actions_for_as_long_as_it_is_held(self) -> None:
        class Zero(Uniform):
            def act(self, timestep: Any, memory: Any, *, explore: bool, rng: Any) -> Any:
                return np.zeros(1, np.int64), memory

        many = 100
        space = gymnasium.spaces.Discrete(many)
        actor = RecordingActor(Zero(space), space, Noise(0.2, 4))
        rng, now = np.random.default_rng(0), first_timestep(np.zeros((1, 1)), None)
        done = []
        for _ in range(20_000):
            done.append(int(actor.act(now, actor.initial_memory(1), explore=False, rng=rng)[0][0]))
            assert actor.intended.tolist() == [0]
        assert np.mean(np.array(done) > 0) == pytest.approx(0.2 * (1 - 1 / many), abs=0.02)
        ends = np.flatnonzero(np.diff(done))
        # Runs of one random action are four steps long, or several times four.
        lengths = [b - a for a, b in pairwise(ends) if done[a + 1]]
        assert set(lengths) <= {4, 8, 12}

    def test_what_was_meant_is_recorded_beside_what_was_done(self, tmp_path: Path) -> None:
        path = record(tmp_path / "e", "env=cartpole", player=Balancing(), episodes=3, noise=Noise(0.5, 2))
        found = read_episodes(path)
        meant = (found.observation[:, 2] + 0.3 * found.observation[:, 3] > 0).astype(int)
        assert np.array_equal(found.intended, meant)
        assert 0.1 < np.mean(found.action != meant) < 0.4

    def test_a_player_can_say_what_it_would_do_while_a_learner_acts(self, tmp_path: Path) -> None:
        learner = Uniform(gymnasium.spaces.Discrete(2))
        path = record(tmp_path / "e", "env=cartpole", player=Balancing(), episodes=5, learner=learner)
        found = read_episodes(path)
        meant = (found.observation[:, 2] + 0.3 * found.observation[:, 3] > 0).astype(int)
        assert np.array_equal(found.intended, meant)
        assert 0.3 < np.mean(found.action != meant) < 0.7
        assert max(e["length"] for e in found.episodes) < 60

    def test_a_discarded_episode_is_recorded_anew(self, tmp_path: Path) -> None:
        class Unsure(Balancing):
            steps = 0

            def act(self, *arguments: Any, **keys: Any) -> Any:
                self.steps += 1
                if self.steps == 30:
                    raise Discarded
                return super().act(*arguments, **keys)

        path = record(tmp_path / "a", "env=cartpole", player=Unsure(), episodes=2)
        whole = record(tmp_path / "b", "env=cartpole", player=Balancing(), episodes=2)
        assert np.array_equal(read_episodes(path).observation, read_episodes(whole).observation)

    @pytest.mark.parametrize(
        ("noise", "line"), [(Noise(1.5, 1), "epsilon is 1.5"), (Noise(0.1, 0), "hold is 0; it must be at least 1")]
    )
    def test_noise_that_cannot_be_is_refused(self, noise: Noise, line: str) -> None:
        with pytest.raises(UsageError, match=line):
            noise.checked()


class TestRows:
    ROWS = Rows(np.arange(100)[:, None], np.repeat([0, 1, 3], [60, 30, 10]))

    def counts(self, **keys: Any) -> list[int]:
        settings: dict[str, Any] = {"repeat": {}, "balance": 0.0, **keys}
        found = balanced(self.ROWS, rng=np.random.default_rng(0), **settings)
        assert np.array_equal(self.ROWS.y[found.X[:, 0]], found.y)
        return np.bincount(found.y).tolist()

    def test_rows_are_as_they_were_recorded_where_nothing_is_asked_for(self) -> None:
        assert self.counts() == [60, 30, 0, 10]

    def test_classes_are_repeated_and_thinned(self) -> None:
        assert self.counts(repeat={0: 0.5, 3: 2.5}) == [30, 30, 0, 25]
        assert self.counts(repeat={"0": 0}) == [0, 30, 0, 10]

    def test_balance_makes_classes_as_frequent_as_each_other(self) -> None:
        assert self.counts(balance=1.0) == [33, 33, 0, 33]
        roots = np.sqrt([60, 30, 10])
        assert self.counts(balance=0.5) == pytest.approx(
            [*(100 * roots / roots.sum())[:2], 0, 100 * roots[2] / roots.sum()], abs=0.51
        )

    def test_each_row_comes_as_often_as_it_can(self) -> None:
        found = balanced(self.ROWS, {3: 2.5}, 0.0, np.random.default_rng(0))
        assert sorted(np.bincount(found.X[:, 0])[90:].tolist()) == [2] * 5 + [3] * 5

    def test_factors_of_no_class_are_refused(self) -> None:
        with pytest.raises(UsageError, match=r"of the actions that were recorded: 0, 1, 3"):
            self.counts(repeat={2: 1.0})

    def test_whole_episodes_are_held_out(self) -> None:
        numbers = np.repeat(np.arange(10), 10)
        train, test = split_by_episode(self.ROWS, numbers, 0.2, np.random.default_rng(0))
        assert test is not None
        assert (len(train.X), len(test.X)) == (80, 20)
        assert not {*(train.X[:, 0] // 10)} & {*(test.X[:, 0] // 10)}
        assert split_by_episode(self.ROWS, numbers, 0.0, np.random.default_rng(0)).test is None
        with pytest.raises(UsageError, match="one episode cannot be split"):
            split_by_episode(self.ROWS, 0 * numbers, 0.2, np.random.default_rng(0))


class TestData:
    def test_episodes_are_a_data_set(self, tmp_path: Path) -> None:
        path = record(tmp_path / "e", "env=cartpole", player=Balancing(), noise=Noise(0.3, 1))
        data, found = data_set(str(path), "intended"), read_episodes(path)
        assert data.task == "classification"
        assert np.array_equal(data.rows.X, found.observation)
        assert np.array_equal(data.rows.y, found.intended)
        assert np.array_equal(data_set(str(path), "action").rows.y, found.action)
        with pytest.raises(UsageError, match=r"no data.target=acton; did you mean action"):
            data_set(str(path), "acton")

    def test_a_learner_is_fitted_to_them(self, tmp_path: Path) -> None:
        path = record(tmp_path / "e", "env=cartpole", player=Balancing(), episodes=8)
        run = rlkit.fit(
            "learner=logistic",
            "data=episodes",
            f"data.path={path}",
            "plots=false",
            "logger=[csv]",
            run_dir=str(tmp_path / "run"),
        )
        assert run.final_metrics["test/accuracy"] > 0.8

    def test_pictures_keep_their_shape(self, tmp_path: Path) -> None:
        folder = EpisodeFolder(tmp_path / "e", ABOUT, save_every=1)
        pictures = episode(3)._replace(
            observation=np.zeros((3, 6, 5), np.uint8), final_observation=np.zeros((6, 5), np.uint8)
        )
        folder.add(pictures)
        data = data_set(str(tmp_path / "e"), "action")
        assert (data.image_shape, data.rows.X.shape, data.rows.X.dtype) == ((1, 6, 5), (3, 30), np.uint8)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run of random actions in CartPole."""
    folder: Path = tmp_path_factory.mktemp("runs")
    succeed("train", "agent=random", "total_steps=50", "eval.every=0", "video=none", "logger=[csv]", cwd=folder)
    return folder


class TestCommand:
    def test_an_agent_of_a_run_is_recorded(self, run: Path) -> None:
        words = ("play", "record=true", "run=runs/random_cartpole_s0", "episodes=2")
        told = succeed(*words, cwd=run).splitlines()
        assert told[0].startswith("episode 1: return ")
        assert told[2].startswith(
            "2 episodes recorded in recordings/random_cartpole_s0; learn from them: rlkit train agent=cloning"
        )
        told = json.loads(succeed(*words, "output=json", "epsilon=0.5", cwd=run))
        assert (told["folder"], len(told["returns"])) == ("recordings/random_cartpole_s0", 2)
        found = read_episodes(run / "recordings/random_cartpole_s0")
        assert [e["player"] for e in found.episodes] == ["random_cartpole_s0"] * 4
        assert [e["length"] for e in found.episodes[2:]] == told["lengths"]

    def test_actions_are_drawn_from_a_policy_where_that_is_asked_for(self, tmp_path: Path) -> None:
        words = ("agent=a2c", "tuned=none", "total_steps=20", "eval.every=0", "video=none", "logger=[csv]")
        succeed("train", *words, cwd=tmp_path)
        lengths = []
        for sample in ("false", "false", "true"):
            options = (
                "run=runs/a2c_cartpole_s0",
                "episodes=5",
                f"sample={sample}",
                "output=json",
                f"out={len(lengths)}",
            )
            lengths.append(json.loads(succeed("play", "record=true", *options, cwd=tmp_path))["lengths"])
        assert lengths[0] == lengths[1] != lengths[2]

    def test_any_class_that_acts_is_a_player(self, run: Path) -> None:
        words = (
            "env=cartpole",
            "+expert._target_=rlkit.algorithms.fixed_policies.Uniform",
            "max_steps=5",
            "out=here",
            "output=json",
        )
        assert json.loads(succeed("play", "record=true", *words, cwd=run))["lengths"] == [5]

    def test_a_player_says_what_it_would_do_where_an_agent_acts(self, run: Path) -> None:
        words = ("run=runs/random_cartpole_s0", "+expert._target_=recordings.Balancing", "out=said", "episodes=4")
        assert "4 episodes recorded in said" in succeed("play", "record=true", *words, cwd=run, pythonpath=TESTS)
        found = read_episodes(run / "said")
        assert 0.2 < np.mean(found.action != found.intended) < 0.8

    @pytest.mark.parametrize(
        ("words", "line"),
        [
            ((), "record=true needs either run=<a run folder> or env=<an environment>"),
            (("env=cartpole",), "nothing says who plays: human=true, expert="),
            (("env=cartpole", "expert=centre_line"), "expert=centre_line drives in env=car_racing"),
            (("env=cartpole", "+expert._target_=fractions.Fraction"), "expert is a Fraction, which does not act"),
            (("run=runs/random_cartpole_s0", "episodes=0"), "episodes is 0; it must be at least 1"),
            (("run=runs/random_cartpole_s0", "hold=0"), "hold is 0; it must be at least 1"),
            (("run=runs/random_cartpole_s0", "sample=true"), "sample= draws actions from a policy, which this"),
            (
                ("env=cartpole", "expert=centre_line", "sample=true"),
                "sample=true draws actions from the policy of a run",
            ),
            (("run=runs/random_cartpole_s0", "grid=true"), "grid= makes videos, and record=true writes episodes"),
        ],
    )
    def test_mistakes_are_told_in_a_line(self, words: tuple[str, ...], line: str, run: Path) -> None:
        assert line in refused("play", "record=true", *words, cwd=run)

    def test_what_only_recording_takes_is_refused_without_it(self, run: Path) -> None:
        assert "env= goes with record=true" in refused("play", "env=cartpole", cwd=run)


def test_a_killed_recording_keeps_what_was_saved_and_goes_on(tmp_path: Path) -> None:
    code = (
        "from recordings import Balancing, record; from pathlib import Path; "
        "record(Path('e'), 'env=cartpole', player=Balancing(), episodes=10**6, max_steps=200)"
    )
    here = str(TESTS)
    process = subprocess.Popen(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {here!r}); {code}"], cwd=tmp_path
    )
    while not (tmp_path / "e/part-00003.npz").exists():
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.wait()
    kept = len(read_episodes(tmp_path / "e").episodes)
    assert kept >= 6
    record(tmp_path / "e", "env=cartpole", player=Balancing(), episodes=2, max_steps=200)
    again = read_episodes(
        record(tmp_path / "whole", "env=cartpole", player=Balancing(), episodes=kept + 2, max_steps=200)
    )
    assert np.array_equal(read_episodes(tmp_path / "e").observation, again.observation)
