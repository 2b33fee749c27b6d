from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import av
import gymnasium
import numpy as np
import pytest
from commands import refused, succeed

import rlkit
from rlkit.core.types import RunError, UsageError
from rlkit.rendering.frames import GAP, captioned, scaled, tiled
from rlkit.rendering.render_wrapper import Format, RenderedFrame, side_by_side
from rlkit.runs.action_log import ActionLog
from rlkit.runs.record_video import record, render
from rlkit.runs.run import Run


def frames(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("run") / "a"
    return rlkit.train(
        "agent=random", "total_steps=100", "eval.every=50", "eval.episodes=2", "video=none", run_dir=str(folder)
    )


class TestPictures:
    def test_tiles_are_in_reading_order_and_gaps_black(self):
        whole = tiled([np.full((2, 3, 3), level, np.uint8) for level in (10, 20, 30, 40, 50)])
        assert whole.shape == (2 + GAP + 2, 3 + GAP + 3 + GAP + 3, 3)
        rows = [whole[:2], whole[2 + GAP :]]
        parts = [row[:, left : left + 3] for row in rows for left in (0, 3 + GAP, 6 + 2 * GAP)]
        assert [np.unique(part).tolist() for part in parts] == [[10], [20], [30], [40], [50], [0]]
        assert whole.sum() == sum(part.sum() for part in parts)

    @pytest.mark.parametrize(("count", "rows", "columns"), [(1, 1, 1), (2, 1, 2), (3, 2, 2), (4, 2, 2), (9, 3, 3)])
    def test_tiles_come_near_a_square(self, count: int, rows: int, columns: int):
        shape = (rows * (2 + GAP) - GAP, columns * (3 + GAP) - GAP, 3)
        assert tiled([np.zeros((2, 3, 3), np.uint8)] * count).shape == shape

    def test_enlarged_by_a_whole_number_pixels_stay_sharp(self):
        picture = np.random.default_rng(0).integers(256, size=(5, 7, 3), dtype=np.uint8)
        assert (scaled(picture, 15) == picture.repeat(3, axis=0).repeat(3, axis=1)).all()
        assert scaled(picture, 5) is picture

    @pytest.mark.parametrize("height", [4, 10, 33])
    def test_proportions_are_kept(self, height: int):
        assert scaled(np.zeros((20, 40, 3), np.uint8), height).shape == (height, 2 * height, 3)

    def test_a_caption_lies_below_the_picture(self):
        picture = np.full((100, 200, 3), 7, np.uint8)
        whole = captioned(picture, "return 12   step 34")
        assert whole.shape == (124, 200, 3)
        assert (whole[:100] == picture).all()
        strip = whole[100:, :, 0]
        assert strip.max() == 255
        assert strip[:, :5].max() == strip[:, 170:].max() == 0
        assert not (whole == captioned(picture, "return 13   step 34")).all()
        assert captioned(picture, "") is picture


class TestSideBySide:
    def test_who_ends_early_stays_as_it_ended(self, tmp_path: Path):
        level = lambda value: lambda: np.full((16, 16, 3), value, np.uint8)  # noqa: E731
        with side_by_side(tmp_path / "a.mp4", 2, Format(fps=5)) as [left, right]:
            left(RenderedFrame(level(50), True, 30, ""))
            right(RenderedFrame(level(60), True, 30, ""))
            left(RenderedFrame(level(100), False, 30, ""))
            left(RenderedFrame(level(250), True, 30, ""))  # another episode
            right(RenderedFrame(level(110), False, 30, ""))
            left(RenderedFrame(level(250), False, 30, ""))
            right(RenderedFrame(level(160), False, 30, ""))
        seen = [(frame[:, :14].mean(), frame[:, 18 + GAP :].mean()) for frame in frames(tmp_path / "a.mp4")]
        assert np.abs(np.array(seen) - [(50, 60), (100, 110), (100, 160)]).max() < 6

    def test_a_video_of_one_is_as_long_as_its_cap(self, tmp_path: Path):
        with side_by_side(tmp_path / "a.mp4", 1, Format(max_frames=3)) as [sink]:
            for i in range(6):
                sink(RenderedFrame(lambda: np.full((16, 16, 3), 90, np.uint8), i == 0, 30, "return 0"))
        assert len(frames(tmp_path / "a.mp4")) == 3


class TestRecord:
    def test_a_grid_is_one_video_as_long_as_the_longest_episode(self, run: Run, tmp_path: Path):
        [recording] = record(run, 3, grid=True, actions=True, out=tmp_path, format=Format(height=100))
        logs = [ActionLog.read(path) for path in recording.logs]
        assert [path.name for path in recording.logs] == [f"best-seed0-grid3-{i}.actions.json" for i in range(3)]
        assert recording.video == tmp_path / "best-seed0-grid3.mp4"
        seen = frames(recording.video)
        assert seen[0].shape == (2 * 124 + GAP, 300 + GAP, 3)
        assert len(seen) == 1 + max(len(log.actions) for log in logs)
        assert all(log.score == len(log.actions) for log in logs)
        assert len({log.seed for log in logs}) == 3

    def test_a_log_makes_the_same_video_again(self, run: Run, tmp_path: Path):
        [recording] = record(run, actions=True, out=tmp_path)
        again = render(recording.logs[0], out=tmp_path / "again").video
        assert again == tmp_path / "again/best-seed0-0.mp4"
        assert again.read_bytes() == recording.video.read_bytes()
        assert recording.logs[0].stat().st_size < 4_000

    def test_a_log_makes_a_video_of_any_size_without_the_run(self, run: Run, tmp_path: Path):
        [recording] = record(run, actions=True, out=tmp_path)
        large = render(recording.logs[0], format=Format(height=1000, captions=False)).video
        assert large.name == "best-seed0-0-1000.mp4"
        assert frames(large)[0].shape == (1000, 1500, 3)
        assert len(frames(large)) == len(frames(recording.video))

    def test_captions_show_score_and_step(self, run: Run, tmp_path: Path):
        plain, told = (
            frames(next(record(run, max_steps=5, out=tmp_path / str(on), format=Format(captions=on))).video)
            for on in (False, True)
        )
        assert plain[0].shape[0] + 24 == told[0].shape[0]
        expected = captioned(np.zeros((400, 600, 3), np.uint8), "return 5   step 5")[400:]
        assert np.abs(told[5][400:].astype(int) - expected).mean() < 4
        assert np.abs(told[4][400:].astype(int) - expected).mean() > np.abs(told[5][400:].astype(int) - expected).mean()

    def test_epsilon_s_actions_are_logged_too(self, run: Run, tmp_path: Path):
        [recording] = record(run, actions=True, out=tmp_path, epsilon=1.0)
        assert render(recording.logs[0], out=tmp_path / "again").video.read_bytes() == recording.video.read_bytes()

    def test_continuous_actions_keep_every_bit(self, tmp_path: Path):
        words = ("agent=random", "env=gym", "env.id=Pendulum-v1", "total_steps=10", "eval.every=0", "video=none")
        run = rlkit.train(*words, run_dir=str(tmp_path / "run"))
        [recording] = record(run, actions=True, out=tmp_path, max_steps=30)
        assert render(recording.logs[0], out=tmp_path / "again").video.read_bytes() == recording.video.read_bytes()
        assert ActionLog.read(recording.logs[0]).dtype == "<f4"

    def test_another_course_of_events_is_told(self, run: Run, tmp_path: Path):
        [recording] = record(run, actions=True, out=tmp_path)
        log = json.loads(recording.logs[0].read_text())
        log["actions"][3] = 1 - log["actions"][3]
        log["versions"]["gymnasium"] = "0.1"
        log["score"] += 1
        recording.logs[0].write_text(json.dumps(log))
        with pytest.raises(RunError, match=r"has return .*, but the environment returned .* made with gymnasium 0\.1"):
            render(recording.logs[0], out=tmp_path / "again")
        assert not list((tmp_path / "again").iterdir())


class Drifting(gymnasium.Env[Any, Any]):
    """Draws from a generator that no seed reaches."""

    metadata = {"render_modes": ["rgb_array"]}  # noqa: RUF012
    observation_space = action_space = gymnasium.spaces.Discrete(2)
    rng = np.random.default_rng(0)

    def __init__(self, render_mode: str | None = None):
        self.render_mode = render_mode

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        return 0, {}

    def step(self, action: Any) -> Any:
        return 0, float(self.rng.random()), bool(self.rng.random() < 0.1), False, {}

    def render(self) -> Any:
        return np.full((20, 20, 3), 99, np.uint8)


def test_an_environment_that_no_seed_reaches_is_found_out(tmp_path: Path):
    gymnasium.register("Drifting-v0", Drifting)
    words = ("agent=random", "env=gym", "env.id=Drifting-v0", "total_steps=10", "eval.every=0", "video=none")
    run = rlkit.train(*words, run_dir=str(tmp_path / "run"))
    [recording] = record(run, actions=True, out=tmp_path)
    with pytest.raises(RunError, match="is it drawing from a generator of its own"):
        render(recording.logs[0])


class TestCommand:
    def test_logs_are_written_listed_and_rendered(self, run: Run, tmp_path: Path):
        out = succeed("play", f"run={run.directory}", "actions=true", "episodes=2", "out=films", cwd=tmp_path)
        first, log, second, _ = out.splitlines()
        assert re.fullmatch(r"films/best-seed0-0\.mp4  return (\d+) in \1 steps", first)
        assert re.fullmatch(r"films/best-seed0-1\.mp4  return (\d+) in \1 steps", second)
        assert log == "films/best-seed0-0.actions.json"
        told = json.loads(succeed("play", f"log={log}", "height=200", "output=json", cwd=tmp_path))
        assert told["videos"] == ["films/best-seed0-0-200.mp4"]
        assert f"return {told['returns'][0]:g} in {told['lengths'][0]} steps" in first

    def test_a_grid_is_one_video(self, run: Run, tmp_path: Path):
        out = succeed("play", f"run={run.directory}", "grid=true", "episodes=4", "output=json", cwd=tmp_path)
        told = json.loads(out)
        assert told["videos"] == [f"videos/{run.name}/best-seed0-grid4.mp4"]
        assert told["returns"] == told["lengths"]
        assert len(told["returns"]) == 4

    @pytest.mark.parametrize(
        ("words", "line"),
        [
            ((), "play needs either run=<a run folder> or log=<a log of actions>"),
            (("run=a", "log=b"), "play needs either run="),
            (("log=none.json",), "there is no log=none.json; rlkit play run=… actions=true writes one"),
            (("log=broken.json",), "log=broken.json is no log of actions"),
            (("log=other.json",), "log=other.json is no log of actions"),
            (("log=broken.json", "episodes=3"), "episodes= goes with run=, not with log="),
            (("log=broken.json", "height=0"), "height is 0; it must be at least 2"),
        ],
    )
    def test_mistakes_are_told_in_a_line(self, words: tuple[str, ...], line: str, tmp_path: Path):
        (tmp_path / "broken.json").write_text("{")
        (tmp_path / "other.json").write_text('{"a": 1}')
        assert line in refused("play", *words, cwd=tmp_path)


def test_reading_what_is_not_there_is_a_usage_error(tmp_path: Path):
    with pytest.raises(UsageError, match="there is no log="):
        render(tmp_path / "nothing.json")
