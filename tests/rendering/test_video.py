from __future__ import annotations

import os
import signal
import subprocess
import sys
import tracemalloc
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import gymnasium
import numpy as np
import pytest
from commands import refused, rlkit, succeed

from rlkit.core.types import RunError
from rlkit.rendering import render_wrapper
from rlkit.rendering.frames import check_frame
from rlkit.rendering.render_wrapper import EachEpisode, Format, RenderedFrame, RenderWrapper, first_episode, headless
from rlkit.rendering.video import VideoWriter, verify
from rlkit.runs.run import Run


def picture(level: int = 200, height: int = 32, width: int = 48) -> np.ndarray:
    return np.full((height, width, 3), level, np.uint8)


def frames(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def write(path: Path, pictures: list[np.ndarray], fps: int = 30) -> Path:
    writer = VideoWriter(path)
    for each in pictures:
        writer.add(each, fps)
    return writer.close()


def test_every_picture_is_in_the_video_in_order(tmp_path: Path):
    levels = range(40, 240, 20)
    path = write(tmp_path / "deep/in/a.mp4", [picture(level) for level in levels], fps=7)
    seen = frames(path)
    assert len(seen) == len(levels)
    for frame, level in zip(seen, levels, strict=True):
        assert frame.shape == (32, 48, 3)
        assert abs(float(frame.mean()) - level) < 6
    with av.open(str(path)) as container:
        assert container.streams.video[0].average_rate == 7
        assert container.streams.video[0].pix_fmt == "yuv420p"
    assert [other.name for other in path.parent.iterdir()] == ["a.mp4"]


@pytest.mark.parametrize(("height", "width"), [(33, 48), (32, 49), (33, 49), (210, 161)])
def test_odd_sizes_lose_a_row_or_a_column(height: int, width: int, tmp_path: Path):
    path = write(tmp_path / "a.mp4", [picture(height=height, width=width)] * 3)
    assert frames(path)[0].shape == (height // 2 * 2, width // 2 * 2, 3)


def test_one_picture_is_a_video(tmp_path: Path):
    assert len(frames(write(tmp_path / "a.mp4", [picture()]))) == 1


def test_memory_does_not_grow_with_length(tmp_path: Path):
    writer = VideoWriter(tmp_path / "a.mp4")
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 255, (64, 64, 3), np.uint8) for _ in range(10)]
    for i in range(100):
        writer.add(noise[i % 10])
    written = writer._temporary.stat().st_size
    tracemalloc.start()
    for i in range(1000):
        writer.add(noise[i % 10])
    grown = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert grown < 10 * noise[0].nbytes
    # What was encoded is on disk already, not waiting for the end.
    assert writer._temporary.stat().st_size > written + 100_000
    writer.close()


@pytest.mark.parametrize(
    "wrong",
    [np.zeros((8, 8), np.uint8), np.zeros((8, 8, 4), np.uint8), np.zeros((8, 8, 3), np.float32), None, [picture()]],
    ids=["grey", "alpha", "float", "nothing", "a list"],
)
def test_what_is_no_picture_is_refused_in_a_line(wrong: Any):
    with pytest.raises(RunError, match=r"render\(\) returned .*; a frame is \[height, width, 3\] uint8") as caught:
        check_frame(wrong)
    assert "\n" not in str(caught.value)


def test_a_video_without_pictures_is_refused(tmp_path: Path):
    with pytest.raises(RunError, match="has no frames"):
        VideoWriter(tmp_path / "a.mp4").close()
    assert not list(tmp_path.iterdir())


def test_a_black_video_is_refused_and_removed(tmp_path: Path):
    writer = VideoWriter(tmp_path / "a.mp4")
    for _ in range(5):
        writer.add(picture(0))
    with pytest.raises(RunError, match="is black throughout"):
        writer.close()
    assert not list(tmp_path.iterdir())


def test_a_mostly_black_video_is_none_that_is_black(tmp_path: Path):
    space = picture(0)
    space[10:14, 20:24] = 255
    assert write(tmp_path / "a.mp4", [picture(0), picture(0), space]).exists()


def test_a_video_that_is_cut_short_is_noticed(tmp_path: Path):
    path = write(tmp_path / "a.mp4", [picture()] * 5)
    with pytest.raises(RunError, match="has 5 of 6 frames"):
        verify(path, 6)


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError, RunError])
def test_an_error_leaves_no_file(error: type[BaseException], tmp_path: Path):
    def fail():
        with first_episode(tmp_path / "a.mp4") as show:
            show(RenderedFrame(picture, True, 30, ""))
            raise error

    with pytest.raises(error):
        fail()
    assert not list(tmp_path.iterdir())


def test_a_refused_video_leaves_no_file(tmp_path: Path):
    with pytest.raises(RunError, match="black"), first_episode(tmp_path / "a.mp4") as show:
        show(RenderedFrame(lambda: picture(0), True, 30, "return 0   step 0"))
    assert not list(tmp_path.iterdir())


def test_only_the_first_episode_is_shown_its_last_picture_included(tmp_path: Path):
    with first_episode(tmp_path / "a.mp4", Format(fps=5)) as show:
        for level, first in ((100, True), (120, False), (140, False), (200, True), (220, False)):
            show(RenderedFrame(partial(picture, level), first, 30, ""))
    assert [round(float(frame.mean()) / 10) * 10 for frame in frames(tmp_path / "a.mp4")] == [100, 120, 140]


def test_each_episode_gets_a_file_named_by_its_step(tmp_path: Path):
    sink, done, step = EachEpisode(tmp_path), [], iter([0, 7])
    sink(RenderedFrame(picture, True, 30, "of before it was attached"))
    sink.attach(lambda: next(step), done.append, print)
    for first in (True, False, False, True, False):
        sink(RenderedFrame(picture, first, 30, ""))
    sink.discard()
    assert done == [tmp_path / "episode-000000000.mp4"]
    assert list(tmp_path.iterdir()) == done
    assert len(frames(done[0])) == 3


class Drawing(gymnasium.Env):
    """Remembers how it was asked to draw."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 12}  # noqa: RUF012
    observation_space = action_space = gymnasium.spaces.Discrete(2)
    drivers: list[str | None]

    def __init__(self):
        self.drivers = []

    def reset(self, *, seed=None, options=None):
        return 0, {}

    def step(self, action):
        return 0, 0.0, False, False, {}

    def render(self):
        self.drivers.append(os.environ.get("SDL_VIDEODRIVER"))
        return picture()


@pytest.mark.parametrize(
    ("settings", "driver"),
    [
        ({}, "offscreen"),
        ({"DISPLAY": ":0"}, None),
        ({"WAYLAND_DISPLAY": "wayland-0"}, None),
        ({"SDL_VIDEODRIVER": "dummy"}, "dummy"),
    ],
)
def test_filming_asks_for_no_display_where_there_is_none(
    settings: dict[str, str], driver: str | None, monkeypatch: pytest.MonkeyPatch
):
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER", "SDL_AUDIODRIVER"):
        monkeypatch.delenv(name, raising=False)
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    before = dict(os.environ)
    shown: list[tuple[bool, int]] = []

    def sink(frame: RenderedFrame) -> None:
        frame.draw()
        shown.append((frame.first, frame.fps))

    env = RenderWrapper(Drawing(), sink)
    env.reset()
    env.step(0)
    assert shown == [(True, 12), (False, 12)]
    assert env.unwrapped.drivers == [driver, driver]
    assert dict(os.environ) == before


def test_headless_lasts_no_longer_than_it_must(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(render_wrapper, "has_display", lambda: False)
    monkeypatch.delenv("SDL_VIDEODRIVER", raising=False)

    def fail():
        with headless():
            assert os.environ["SDL_VIDEODRIVER"] == "offscreen"
            raise ValueError("while drawing")

    with pytest.raises(ValueError, match="while drawing"):
        fail()
    assert "SDL_VIDEODRIVER" not in os.environ


def test_sigterm_ends_a_process_that_draws() -> None:
    script = """
import os, signal, time, gymnasium
from rlkit.rendering.render_wrapper import headless
env = gymnasium.make("CartPole-v1", render_mode="rgb_array")
env.reset()
with headless():
    env.render()
os.kill(os.getpid(), signal.SIGTERM)
time.sleep(5)
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == -signal.SIGTERM


SHORT = ("agent=random", "total_steps=120", "eval.every=50", "eval.episodes=2")


def test_a_run_s_best_agent_is_recorded(tmp_path: Path):
    succeed("train", *SHORT, "video=none", cwd=tmp_path)
    # Without a display, and with nothing but the path said: `succeed` wants stderr empty.
    out = succeed("play", "run=runs/random_cartpole_s0", "episodes=2", cwd=tmp_path)
    paths = [tmp_path / line.split("  ")[0] for line in out.splitlines()]
    assert [path.relative_to(tmp_path).as_posix() for path in paths] == [
        f"videos/random_cartpole_s0/best-seed0-{i}.mp4" for i in range(2)
    ]
    for path in paths:
        seen = frames(path)
        assert len(seen) > 5
        assert seen[0].shape == (424, 600, 3)
        assert seen[0].std() > 5
        assert any((a != b).any() for a, b in pairwise(seen))


def test_play_has_a_folder_a_speed_and_a_cap_of_its_own(tmp_path: Path):
    succeed("train", *SHORT, "video=none", cwd=tmp_path)
    words = ("run=runs/random_cartpole_s0", "out=films", "fps=3", "max_steps=4", "checkpoint=last", "output=json")
    assert '"films/last-seed0-0.mp4"' in succeed("play", *words, cwd=tmp_path)
    with av.open(str(tmp_path / "films/last-seed0-0.mp4")) as container:
        assert container.streams.video[0].average_rate == 3
        assert len(list(container.decode(video=0))) == 5


@pytest.mark.parametrize(
    ("choice", "names"),
    [
        ("none", set()),
        ("final", {"best-seed0-0"}),
        ("eval", {"step-000000050", "step-000000100", "step-000000120"}),
        ("every", {"episode-000000000"}),
    ],
)
def test_what_is_recorded_while_training(choice: str, names: set[str], tmp_path: Path):
    out = succeed("train", *SHORT, f"video={choice}", cwd=tmp_path)
    found = {path.stem for path in tmp_path.glob("videos/random_cartpole_s0/*.mp4")}
    assert found == names or (choice == "every" and found > names)
    assert all(str(path.relative_to(tmp_path)) in out for path in tmp_path.glob("videos/*/*.mp4"))
    for path in tmp_path.glob("videos/*/*.mp4"):
        assert len(frames(path)) > 5


def test_videos_change_nothing_in_a_run(tmp_path: Path):
    for choice in ("none", "eval", "every"):
        succeed("train", *SHORT, f"video={choice}", f"run_dir={choice}", cwd=tmp_path)
    for name in ("metrics.csv", "episodes.csv", "evaluations.csv"):
        texts = {(tmp_path / choice / name).read_bytes() for choice in ("none", "eval", "every")}
        assert len(texts) == 1


UNSEEN = """\
import gymnasium, numpy
class Unseen(gymnasium.Env):
    metadata = {"render_modes": ["rgb_array"]}
    observation_space = action_space = gymnasium.spaces.Discrete(2)
    def __init__(self, render_mode=None): self.render_mode = render_mode
    def reset(self, *, seed=None, options=None): return 0, {}
    def step(self, action): return 0, 0.0, True, False, {}
    def render(self): return numpy.zeros((8, 8))
gymnasium.register("Unseen-v0", entry_point=Unseen)
"""


@pytest.mark.parametrize("choice", ["eval", "every"])
def test_an_environment_that_draws_no_picture_is_refused_before_training(choice: str, tmp_path: Path):
    (tmp_path / "unseen.py").write_text(UNSEEN)
    words = ("env=gym", "env.id=unseen:Unseen-v0", *SHORT, f"video={choice}")
    done = rlkit("train", *words, cwd=tmp_path, pythonpath=tmp_path)
    assert done.returncode != 0
    [line] = done.stderr.splitlines()
    assert "render() returned float64 [8, 8]; a frame is [height, width, 3] uint8" in line
    assert not list(tmp_path.glob("runs/*"))


def test_an_environment_that_draws_no_picture_trains_all_the_same(tmp_path: Path):
    (tmp_path / "unseen.py").write_text(UNSEEN)
    words = ("env=gym", "env.id=unseen:Unseen-v0", *SHORT)
    out = succeed("train", *words, cwd=tmp_path, pythonpath=tmp_path)
    assert "no video: render() returned float64" in out


def filmed(folder: Path) -> dict[int, int]:
    """Return, by the step at which it began, how many pictures the video of each training episode has."""
    paths = folder.glob("videos/*/episode-*.mp4")
    return {int(path.stem.removeprefix("episode-")): len(frames(path)) for path in paths}


def begun(run: Path) -> dict[int, int]:
    """Return, by the step at which it began, how many pictures each episode of a run has shown."""
    ends, lengths = (Run(run).episodes[name].astype(int) for name in ("step", "length"))
    return {int(end - length): int(length) + 1 for end, length in zip(ends, lengths, strict=True)}


def test_videos_of_training_are_whole_and_named_by_their_step_before_and_after_a_resume(tmp_path: Path):
    run = tmp_path / "runs/random_cartpole_s0"
    words = ("agent=random", "eval.every=0", "checkpoint.every=50", "logger=[csv,terminal,tensorboard]")
    succeed("train", *words, "total_steps=60", "video=every", cwd=tmp_path)
    before = filmed(tmp_path)
    assert before == begun(run)
    succeed("train", "resume=runs/random_cartpole_s0", "total_steps=150", cwd=tmp_path)
    [under_way] = set(begun(run)) - set(filmed(tmp_path))
    assert under_way < 60
    assert filmed(tmp_path) == {step: count for step, count in begun(run).items() if step != under_way}


@pytest.mark.parametrize(("first", "then"), [("every", "none"), ("none", "every")])
def test_what_is_filmed_may_change_on_resume(first: str, then: str, tmp_path: Path):
    words = ("agent=random", "eval.every=0", "checkpoint.every=50")
    succeed("train", *words, "total_steps=150", "video=none", "run_dir=runs/whole", cwd=tmp_path)
    succeed("train", *words, "total_steps=60", f"video={first}", "run_dir=runs/two", cwd=tmp_path)
    succeed("train", "resume=runs/two", "total_steps=150", f"video={then}", cwd=tmp_path)
    texts = [(tmp_path / "runs" / name / "episodes.csv").read_bytes() for name in ("whole", "two")]
    assert texts[0] == texts[1]


@pytest.mark.parametrize(
    ("word", "line"),
    [
        ("episodes=0", "episodes is 0; it must be at least 1"),
        ("fps=-1", "fps is -1; it must be at least 1"),
        ("height=1", "height is 1; it must be at least 2"),
        ("max_steps=0", "max_steps is 0; it must be at least 1"),
        ("threads=0", "threads is 0; it must be from 1 to 1024"),
        ("sample=true", "sample= draws actions from a policy, which this agent does not have"),
    ],
)
def test_what_cannot_be_filmed_is_refused_in_a_line(word: str, line: str, tmp_path: Path):
    words = ("agent=q_learning", "env=frozen_lake", "tuned=none", "total_steps=20", "eval.every=0", "video=none")
    succeed("train", *words, cwd=tmp_path)
    assert line in refused("play", "run=runs/q_learning_frozen_lake_s0", word, cwd=tmp_path)


def test_same_frames_are_the_same_bytes_whatever_lies_in_memory(tmp_path: Path):
    rng = np.random.default_rng(0)
    pictures = [rng.integers(256, size=(20, 30, 3), dtype=np.uint8).repeat(10, 0).repeat(10, 1) for _ in range(8)]
    junk = [np.full(int(rng.integers(1, 400_000)), level, np.uint8) for level in range(8)]
    contents = set()
    for i in range(20):
        junk[i % 8] = np.full(int(rng.integers(1, 400_000)), i, np.uint8)
        contents.add(write(tmp_path / "a.mp4", pictures).read_bytes())
    assert len(contents) == 1
