"""Numbers of infos in the rows of episodes and metrics, the same however environments are stepped."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from making import run_config

import rlkit
from rlkit.core.statistics import EpisodeTracker, InfoTracker
from rlkit.core.types import UsageError
from rlkit.runs import build
from rlkit.vector.logged_infos import LoggedInfos
from rlkit.vector.serial import SerialEnvironment
from rlkit.vector.subprocess import SubprocessEnvironment
from rlkit.vector.vector import VectorEnvironment

KEYS = ("height", "success")


class Hill(gymnasium.Env[int, int]):
    """Climbs; the episode ends at the top, whose info alone has `success`."""

    state_fields = ("_at",)

    def __init__(self, top: int = 3, height: Any = None):
        self._top, self._at, self._height = top, 0, height
        self.observation_space = gymnasium.spaces.Discrete(10)
        self.action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self._at = 0
        return 0, {"height": 100.0}

    def step(self, action: int) -> Any:
        self._at += 1
        over = self._at == self._top
        info: dict[str, Any] = {"height": np.float32(self._at) if self._height is None else self._height, "text": "a"}
        return self._at, 1.0, over, False, {**info, "success": True} if over else info


MAKES = [partial(Hill, 3), partial(Hill, 2)]


def vector(mode: AutoresetMode) -> VectorEnvironment:
    return VectorEnvironment(lambda: SyncVectorEnv(MAKES, autoreset_mode=mode), info_keys=KEYS)


@pytest.mark.parametrize(
    "make",
    [
        partial(SerialEnvironment, MAKES, info_keys=KEYS),
        partial(SubprocessEnvironment, MAKES, info_keys=KEYS),
        *(partial(vector, mode) for mode in AutoresetMode),
    ],
    ids=["serial", "subprocess", *(mode.name for mode in AutoresetMode)],
)
def test_the_last_value_and_the_mean_of_an_episode(make: Callable[[], Any]) -> None:
    env = make()
    tracker, episodes = EpisodeTracker(2, KEYS), []
    timestep, steps = env.reset([0, 1]), 0
    while len(episodes) < 5:
        after = env.step(np.zeros(2, np.int64))
        steps += int(after.valid.sum())
        transition: Any = timestep._replace(
            reward=after.reward, valid=after.valid, discount=after.discount, info=after.info
        )
        episodes += tracker.step(transition, steps)
        timestep = after
    env.close()
    tall = {"info/height/last": 3.0, "info/height/mean": 2.0, "info/success/last": 1.0, "info/success/mean": 1.0}
    low = {**tall, "info/height/last": 2.0, "info/height/mean": 1.5}
    assert all(episode.info == (tall if episode.env == 0 else low) for episode in episodes)


def test_an_episode_knows_nothing_of_the_one_before() -> None:
    tracker, valid = InfoTracker(2, ["height"]), np.array([True, False])
    for height in (1.0, 3.0, np.nan):
        tracker.add(np.array([[height], [9.0]]), valid)
    assert tracker.finish(0) == {"info/height/last": 3.0, "info/height/mean": 2.0}
    assert tracker.finish(1) == {}
    tracker.add(np.array([[5.0], [9.0]]), valid)
    assert tracker.finish(0) == {"info/height/last": 5.0, "info/height/mean": 5.0}


def test_an_episode_in_progress_is_in_the_state() -> None:
    def rows(tracker: EpisodeTracker, count: int) -> list[Any]:
        env = SerialEnvironment(MAKES[:1], info_keys=KEYS)
        env.reset([0])
        return [episode for _ in range(count) for episode in tracker.step(env.step(np.zeros(1, np.int64)), 0)]  # type: ignore[arg-type]

    whole, first, second = (EpisodeTracker(1, KEYS) for _ in range(3))
    rows(whole, 2)
    rows(first, 2)
    second.load_state_dict(first.state_dict())
    assert rows(second, 3)[0].info == rows(whole, 3)[0].info
    assert rows(second, 3)[0].info["info/height/mean"] == 2.0


WORDS = ("agent=random", "eval.every=0", "video=none", "log.every=10")


def test_a_run_writes_them_and_resumes_exactly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    log = {"info": ["height", "success"]}
    whole = rlkit.train(*WORDS, "logger=[csv]", env=Hill, log=log, total_steps=40, run_dir=tmp_path / "whole")
    assert set(whole.episodes["info/success/last"]) == {1.0}
    assert set(whole.metrics["info/height/mean"]) == {2.0}
    parts = rlkit.train(*WORDS, "logger=[csv]", env=Hill, log=log, total_steps=20, run_dir=tmp_path / "parts")
    rlkit.train(resume=parts.directory, total_steps=40)
    for name in ("episodes.csv", "metrics.csv"):
        assert (whole.directory / name).read_bytes() == (parts.directory / name).read_bytes()


def test_a_key_that_no_info_has_is_named_once() -> None:
    logged = LoggedInfos(["heigth"])
    assert np.isnan(logged.of_each([{"height": 1.0}], [False])).all()  # type: ignore[arg-type]
    said = "^log.info: heigth was in no info of the first episode, and stays empty until it is; it has: height$"
    with pytest.warns(UserWarning, match=said):
        logged.of_each([{"height": 1.0}], [True])
    logged.of_each([{"height": 1.0}], [True])


@pytest.mark.parametrize("value", ["high", [1.0, 2.0], {"a": 1}])
def test_what_is_no_number_is_refused(value: Any) -> None:
    env = SerialEnvironment([partial(Hill, height=value)], info_keys=["height"])
    env.reset([0])
    with pytest.raises(UsageError, match=r"^log\.info: height is .* in the info of a step; only numbers are logged$"):
        env.step(np.zeros(1, np.int64))


def test_a_compiled_loop_has_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    long = ("agent=q_learning", "env=frozen_lake", "tuned=none", "total_steps=1000000")
    assert build._pays(run_config(*long))
    assert not build._pays(run_config(*long, "log.info=[prob]"))
    words = ("agent=q_learning", "env=frozen_lake", "total_steps=50", "eval.every=0", "video=none", "logger=[csv]")
    with pytest.raises(UsageError, match=r"^inner_loop=numba has no infos, and log\.info= wants numbers of them"):
        rlkit.train(*words, "inner_loop=numba", log={"info": ["prob"]})
    found = rlkit.train(*words, log={"info": ["prob"]}).episodes["info/prob/last"]
    assert set(np.round(found, 6)) <= {0.333333, 1.0}
    assert len(found)
