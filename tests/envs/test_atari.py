from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import ale_py
import gymnasium
import numpy as np
import pytest
from ale_py import roms
from commands import refused, succeed
from gymnasium.wrappers import AtariPreprocessing, FrameStackObservation
from making import run_config

from rlkit.config.run_config import EnvironmentConfig
from rlkit.core.checkpoint import Store
from rlkit.core.seeding import Seeds
from rlkit.core.statistics import EpisodeTracker
from rlkit.core.types import Environment, FromRun, TimeStep, Transition, UsageError
from rlkit.envs.atari import rom_name
from rlkit.play import human
from rlkit.play.keyboard import REPEAT, keys_for
from rlkit.rendering.render_wrapper import RenderWrapper
from rlkit.runs import build
from rlkit.runs.folder import training_name
from rlkit.testing import check_env
from rlkit.vector.serial import SerialEnvironment
from rlkit.vector.subprocess import SubprocessEnvironment
from rlkit.vector.vector import VectorEnvironment
from toys import assert_same

gymnasium.register_envs(ale_py)

PLAYABLE = [rom for rom in roms.get_all_rom_ids() if ale_py.ALEInterface.isSupportedROM(roms.get_rom_path(rom))]
MENUS = ("berzerk", "double_dunk")
"""Games in whose menus the emulator draws from its generator."""


def config(*words: str, **env: Any) -> EnvironmentConfig:
    """Return what the environments of a run are made of in ``env=atari`` with these options."""
    options = [f"env.{key}={str(value).replace(' ', '')}" for key, value in env.items()]
    return run_config("agent=random", "env=atari", *options, *words).environment


@pytest.fixture
def make() -> Iterator[Callable[..., Any]]:
    """Build environments that are closed in the end."""
    with ExitStack() as stack:

        def build_one(num_envs: int = 1, *words: str, **env: Any) -> Environment:
            made = build.make_environment(config(*words, **env), num_envs=num_envs)
            stack.callback(made.close)
            return made

        yield build_one


def play(env: Environment, seeds: list[int], steps: int) -> tuple[TimeStep, list[TimeStep], list[Any]]:
    """Return the first time step, those after it, and the random actions between them."""
    rng, first = np.random.default_rng(1), env.reset(seeds)
    acts = [rng.integers(env.action_space.n, size=env.num_envs) for _ in range(steps)]
    return first, [env.step(act) for act in acts], acts


def lost_lives(steps: list[TimeStep], i: int = 0) -> list[int]:
    return [t for t, step in enumerate(steps) if step.last[i] and not step.info.game_over[i]]


def game_ends(steps: list[TimeStep], i: int = 0) -> list[int]:
    return [t for t, step in enumerate(steps) if step.info.game_over[i]]


def reference(game: str, size: tuple[int, int], grey: bool = True) -> gymnasium.Env:
    """Return Gymnasium's own way to play a game."""
    env = gymnasium.make(f"ALE/{game}-v5", frameskip=1, repeat_action_probability=0.0, disable_env_checker=True)
    env = AtariPreprocessing(env, noop_max=0, frame_skip=4, screen_size=size[::-1], grayscale_obs=grey)
    return FrameStackObservation(env, 4)


@pytest.mark.parametrize("stepping", ["native", "python"])
@pytest.mark.parametrize(
    ("game", "size", "grey", "steps"),
    [
        ("Pong", (84, 84), True, 1300),
        ("Breakout", (105, 80), True, 400),
        ("SpaceInvaders", (84, 84), False, 500),
    ],
)
def test_both_steppings_show_what_gymnasium_shows_byte_for_byte(
    game: str, size: tuple[int, int], grey: bool, steps: int, stepping: str, make: Any
) -> None:
    env = make(stepping=stepping, game=game, sticky=0, size=list(size), grey=grey, reward_clip=False)
    first, after, acts = play(env, [3], steps)
    theirs = reference(game, size, grey)
    assert_same(theirs.reset(seed=3)[0], first.observation[0])
    scored = 0.0
    for t, (step, act) in enumerate(zip(after, acts, strict=True)):
        reached, reward, terminated, truncated, _ = theirs.step(act[0])
        assert np.array_equal(reached, step.next_observation[0]), t
        assert (reward, not terminated, terminated or truncated) == (step.reward[0], step.discount[0], step.last[0]), t
        shown = theirs.reset()[0] if terminated or truncated else reached
        assert np.array_equal(shown, step.observation[0]), t
        scored += abs(reward)
    assert game_ends(after), "the game must end"
    assert scored > 0
    theirs.close()


ALL = {"noop_max": 30, "fire_reset": True, "life_loss": True, "sticky": 0.25}


def assert_equal_steppings(make: Any, seeds: list[int], steps: int, **env: Any) -> list[TimeStep]:
    """Check that both steppings give the same time steps, and return them."""
    native, python = (make(len(seeds), stepping=stepping, **env) for stepping in ("native", "python"))
    assert isinstance(native, VectorEnvironment)
    assert isinstance(python, SerialEnvironment)
    assert str(native.observation_space) == str(python.observation_space)
    assert native.action_space == python.action_space
    assert native.frame_stack == python.frame_stack == env.get("stack", 4)
    (first, ours, _), (other, theirs, _) = play(native, seeds, steps), play(python, seeds, steps)
    for t, (a, b) in enumerate(zip([first, *ours], [other, *theirs], strict=True)):
        assert_same(a._replace(info=a.info._asdict())._asdict(), b._replace(info=b.info._asdict())._asdict()), t
    return ours


@pytest.mark.parametrize(
    ("game", "more"),
    [
        ("Breakout", {}),
        ("Seaquest", {"size": [105, 80], "frame_skip": 6, "stack": 2}),
        ("Qbert", {"grey": False, "full_action_space": True, "reward_clip": False}),
        ("MsPacman", {"size": [210, 160], "stack": 1, "frame_skip": 1, "sticky": 0.9, "max_frames": 100}),
    ],
)
def test_both_steppings_play_the_same_game_from_the_same_seed(game: str, more: dict[str, Any], make: Any) -> None:
    # No-op starts, FIRE, sticky actions and lost lives, from seeds that the emulator could mistake for none.
    steps = assert_equal_steppings(make, [0, 2**31 - 1], 350, game=game, **{**ALL, **more})
    assert game_ends(steps) or game_ends(steps, 1)
    assert game == "MsPacman" or lost_lives(steps)


def test_games_shorter_than_a_stack_are_the_same_in_both_steppings(make: Any) -> None:
    steps = assert_equal_steppings(make, [3], 20, game="Breakout", max_frames=6)
    assert game_ends(steps) == list(range(1, 20, 2))


def test_a_game_over_is_told_from_a_lost_life_though_the_new_game_has_fewer_lives(make: Any) -> None:
    env = make(2, game="Breakout", life_loss=True)
    env.reset([1, 2])
    games = env._vector
    frames = games._infos["episode_frame_number"]
    games._infos["lives"] = np.array([7, 7])
    old, new = np.full((2, 4, 84, 84), 9, np.uint8), np.full((2, 4, 84, 84), 5, np.uint8)
    # The first game ended and begins anew, the second goes on with a life less.
    told = {"episode_frame_number": np.array([0, frames[1] + 4]), "lives": np.array([5, 6]), "final_obs": old}
    yes, no = np.array([True, True]), np.array([False, False])
    games._games = SimpleNamespace(send=lambda _: None, recv=lambda: (new, np.zeros(2, np.int32), yes, no, told))
    after = env.step(np.array([0, 0]))
    assert after.info.game_over.tolist() == [True, False]
    assert [int(row.max()) for row in after.next_observation] == [9, 5]


def test_a_life_lost_in_the_last_frame_of_the_longest_game_is_the_same_in_both_steppings(make: Any) -> None:
    options = {"game": "Breakout", "life_loss": True, "sticky": 0}
    lost = lost_lives(play(make(**options), [1], 200)[1])[0]
    steps = assert_equal_steppings(make, [1], lost + 3, max_frames=4 * (lost + 1), **options)
    end = steps[lost]
    assert (end.last[0], end.info.game_over[0], end.discount[0]) == (True, True, 0)
    assert not np.array_equal(end.observation, end.next_observation)


@pytest.mark.parametrize("rom", PLAYABLE)
@pytest.mark.slow
def test_every_game_is_the_same_in_both_steppings_and_goes_on_where_it_was_saved(rom: str, make: Any) -> None:
    sticky = 0.0 if rom in MENUS else 0.25
    assert_equal_steppings(make, [0, 7], 150, game=rom, max_frames=400, **{**ALL, "sticky": sticky})
    used, other = (make(2, stepping="python", game=rom, **ALL) for _ in range(2))
    play(used, [0, 7], 60)
    play(other, [1, 2], 20)
    other.set_state(used.get_state())
    assert_same(list(map(plain, go_on(other, 150))), list(map(plain, go_on(used, 150))))


@pytest.mark.parametrize("stepping", ["native", "python"])
class TestEpisodes:
    @pytest.fixture
    def steps(self, stepping: str, make: Any) -> list[TimeStep]:
        return play(make(stepping=stepping, game="Breakout", life_loss=True), [5], 700)[1]

    def test_after_a_lost_life_the_game_goes_on(self, steps: list[TimeStep]) -> None:
        lives, ends = lost_lives(steps), game_ends(steps)
        # Breakout has five lives; the last one is lost with the game.
        assert [sum(a < life < b for life in lives) for a, b in pairwise([-1, *ends])] == [4] * len(ends)
        assert len(ends) >= 2
        for t in lives:
            assert (steps[t].discount[0], steps[t].valid[0]) == (0, True)
            assert np.array_equal(steps[t].observation, steps[t].next_observation)

    def test_after_the_game_a_new_one_begins_with_its_first_frame_repeated(self, steps: list[TimeStep]) -> None:
        for t in game_ends(steps):
            [begun], [reached] = steps[t].observation, steps[t].next_observation
            assert all(np.array_equal(frame, begun[0]) for frame in begun)
            assert not np.array_equal(begun, reached)
            assert begun.any()

    def test_stacks_move_by_one_frame_at_every_step(self, steps: list[TimeStep]) -> None:
        assert all(np.array_equal(b.next_observation[:, :-1], a.observation[:, 1:]) for a, b in pairwise(steps))

    def test_the_score_is_of_whole_games_and_the_learners_return_of_clipped_rewards(
        self, stepping: str, make: Any
    ) -> None:
        first, steps, acts = play(make(stepping=stepping, game="SpaceInvaders", life_loss=True), [5], 900)
        tracker, done = EpisodeTracker(1), []
        for before, act, step in zip([first, *steps], acts, steps, strict=False):
            done += tracker.step(transition(before, act, step), 0)
        ends = game_ends(steps)
        rewards = np.array([(step.info.raw_reward[0], step.reward[0]) for step in steps])
        assert len(done) == len(ends) >= 1
        for episode, (a, b) in zip(done, pairwise([-1, *ends]), strict=True):
            assert (episode.return_raw, episode.return_learner) == tuple(rewards[a + 1 : b + 1].sum(0))
            assert episode.length == b - a
        assert set(rewards[:, 1]) == {0, 1}
        assert rewards[:, 0].max() >= 10

    def test_rewards_are_not_clipped_where_nobody_asks(self, stepping: str, make: Any) -> None:
        steps = play(make(stepping=stepping, game="SpaceInvaders", reward_clip=False), [5], 200)[1]
        assert max(step.reward[0] for step in steps) >= 10
        assert all(step.reward[0] == step.info.raw_reward[0] for step in steps)

    def test_the_longest_game_is_truncated_and_continues_in_the_value(self, stepping: str, make: Any) -> None:
        steps = play(make(stepping=stepping, max_frames=42), [5], 25)[1]
        # 42 frames are ten decisions and a half.
        assert game_ends(steps) == [10, 21]
        assert all(step.discount[0] == 1 for step in steps)

    def test_arrays_that_were_handed_out_do_not_change(self, stepping: str, make: Any) -> None:
        env = make(2, stepping=stepping, game="Breakout", life_loss=True)
        first, steps, _ = play(env, [1, 2], 150)
        copies = [[np.array(part) for part in step[:6]] for step in (first, *steps)]
        play(env, [3, 4], 150)
        assert_same([[np.asarray(part) for part in step[:6]] for step in (first, *steps)], copies)

    def test_a_step_in_two_halves_is_a_step(self, stepping: str, make: Any) -> None:
        whole, halves = make(2, stepping=stepping), make(2, stepping=stepping)
        _, steps, acts = play(whole, [1, 2], 30)
        halves.reset([1, 2])
        for step, act in zip(steps, acts, strict=True):
            halves.send(act)
            assert_same(plain(halves.recv()), plain(step))
        halves.send(acts[0])
        # A step that nobody waits for does not turn up in the next episode.
        assert_same(plain(halves.reset([1, 2])), plain(whole.reset([1, 2])))
        assert_same(plain(halves.step(acts[0])), plain(steps[0]))


def transition(before: TimeStep, action: Any, after: TimeStep) -> Transition:
    return Transition(
        observation=before.observation,
        action=action,
        reward=after.reward,
        discount=after.discount,
        next_observation=after.next_observation,
        last=after.last,
        valid=after.valid,
        legal_actions=None,
        next_legal_actions=None,
        info=after.info,
    )


def plain(step: TimeStep) -> dict[str, Any]:
    return step._replace(info=step.info._asdict())._asdict()


def go_on(env: Environment, steps: int) -> list[TimeStep]:
    rng = np.random.default_rng(9)
    return [env.step(rng.integers(env.action_space.n, size=env.num_envs)) for _ in range(steps)]


@pytest.mark.parametrize("stepping", ["native", "python"])
@pytest.mark.parametrize("game", ["Assault", "BeamRider", "YarsRevenge"])
def test_a_seed_leaves_nothing_of_before_in_games_whose_reset_does(game: str, stepping: str, make: Any) -> None:
    used, fresh = (make(stepping=stepping, game=game, sticky=0) for _ in range(2))
    play(used, [1], 37)
    (first, steps, _), (other, others, _) = play(used, [2], 20), play(fresh, [2], 20)
    assert_same([plain(step) for step in (first, *steps)], [plain(step) for step in (other, *others)])


class TestCapture:
    @pytest.mark.parametrize("vectorization", ["sync", "async"])
    @pytest.mark.parametrize("game", ["Breakout", "Pong"])
    def test_a_game_goes_on_from_a_checkpoint_bit_for_bit(
        self, game: str, vectorization: str, make: Any, tmp_path: Path
    ) -> None:
        # Very sticky, so that what was held when the state was taken matters.
        options = {**ALL, "stepping": "python", "game": game, "sticky": 0.8, "max_frames": 1000}
        used, other = (make(2, f"vectorization={vectorization}", **options) for _ in range(2))
        assert isinstance(used, SerialEnvironment if vectorization == "sync" else SubprocessEnvironment)
        assert used.frame_stack == 4
        play(used, [1, 2], 75)
        Store(tmp_path).save(1, {"env": used.get_state()})
        after = go_on(used, 250)
        assert game_ends(after)
        play(other, [3, 4], 33)
        other.set_state(Store(tmp_path).load(1)["env"])
        assert_same([plain(step) for step in go_on(other, 250)], [plain(step) for step in after])

    def test_every_moment_can_be_saved_that_of_a_lost_life_too(self) -> None:
        settings = config(stepping="python", game="Breakout", **ALL)
        envs = [SerialEnvironment([partial(build.make_single, settings)]) for _ in range(2)]
        env, other = (serial.envs[0] for serial in envs)
        env.reset(seed=1)
        other.reset(seed=2)
        for t in range(300):
            _, _, terminated, _, info = env.step(t % 4)
            if terminated:
                break
        assert info["rlkit/game_over"] is False
        other.restore(env.capture())
        assert_same(other.reset()[0], env.reset()[0])
        assert_same(other.step(1)[:4], env.step(1)[:4])

    def test_the_picture_of_a_game_that_ends_within_a_decision_is_restored_too(self) -> None:
        # 10 frames are two decisions and a half: the last shows what was drawn before it.
        settings = config(stepping="python", game="Breakout", max_frames=10)
        env, other = (SerialEnvironment([partial(build.make_single, settings)]).envs[0] for _ in range(2))
        for which, action in ((env, 1), (other, 2)):
            which.reset(seed=action)
            which.step(action)
            which.step(action)
        other.restore(env.capture())
        ended = env.step(0)
        assert ended[3]
        assert_same(other.step(0), ended)

    def test_native_games_are_opaque_and_begin_anew_like_new_ones(self, make: Any) -> None:
        env, fresh = make(2, **ALL), make(2, **ALL)
        play(env, [1, 2], 30)
        assert env.get_state() is None
        assert_same(plain(env.restart([3, 4])), plain(fresh.reset([3, 4])))
        assert_same(list(map(plain, go_on(env, 20))), list(map(plain, go_on(fresh, 20))))


@pytest.mark.parametrize("stepping", ["native", pytest.param("python", marks=pytest.mark.slow)])
def test_the_contract_of_an_environment_is_kept(stepping: str) -> None:
    settings = config(stepping=stepping, game="Breakout", max_frames=160, **ALL)
    assert all(result.passed for result in check_env(partial(build.make_single, settings, num_envs=1), steps=100))


def films(env: Any) -> bool:
    """Return whether one of an environment's wrappers hands on its frames."""
    return isinstance(env, RenderWrapper) or (isinstance(env, gymnasium.Wrapper) and films(env.env))


class TestPictures:
    def test_a_film_of_native_games_shows_the_same_games_in_colour(self, make: Any) -> None:
        pictures: list[Any] = []
        settings = config(game="Breakout", **ALL)
        env = build.make_environment(
            settings,
            num_envs=2,
            frame_callbacks=[lambda frame: pictures.append((frame.draw(), frame.first, frame.fps))],
        )
        assert [films(simulator.env) for simulator in env.envs] == [True, False]
        steps = play(env, [1, 2], 60)[1]
        assert_same(list(map(plain, steps)), list(map(plain, play(make(2, game="Breakout", **ALL), [1, 2], 60)[1])))
        env.close()
        # A lost life is no new episode for who watches.
        assert lost_lives(steps)
        assert [first for _, first, _ in pictures] == [True] + [False] * 60
        assert {fps for _, _, fps in pictures} == {15}
        shown = pictures[-1][0]
        assert shown.shape == (420, 320, 3)
        assert len(np.unique(shown.reshape(-1, 3), axis=0)) > 5, "Breakout is colourful"

    def test_a_film_shows_what_the_agent_sees_where_a_game_draws_in_every_other_frame(self) -> None:
        env: Any = build.make_single(
            config(stepping="python", game="Asteroids", grey=False, size=[210, 160], stack=1), render_mode="rgb_array"
        )
        observation, _ = env.reset(seed=1)
        for step in range(40):
            observation, *_ = env.step(step % 3)
            assert np.array_equal(env.render()[::2, ::2], observation[0])
        assert np.count_nonzero(observation) > np.count_nonzero(env.unwrapped._ale.getScreenRGB()), "half is drawn"
        env.close()

    def test_a_native_run_is_trained_filmed_scored_and_shown(self, tmp_path: Path) -> None:
        words = ("total_steps=120", "eval.every=60", "eval.episodes=2", "eval.max_steps=20", "num_envs=2")
        succeed("train", "agent=random", "env=atari", "env.game=breakout", *words, cwd=tmp_path)
        assert (tmp_path / "videos/random_atari_breakout_s0/best-seed0-0.mp4").exists()
        run = "run=runs/random_atari_breakout_s0"
        assert '"episodes": 2' in succeed("eval", run, "episodes=2", "max_steps=20", "output=json", cwd=tmp_path)
        assert "best-seed1-0.mp4" in succeed("play", run, "seed=1", "max_steps=20", cwd=tmp_path)

    def test_filming_all_of_training_needs_python_stepping(self, tmp_path: Path) -> None:
        words = ("train", "agent=random", "env=atari", "video=every", "total_steps=20")
        assert "env.stepping=python" in refused(*words, cwd=tmp_path)
        assert not list(tmp_path.glob("runs/*"))


class TestOptions:
    @pytest.mark.parametrize(
        "name",
        [
            "SpaceInvaders",
            "space_invaders",
            "ALE/SpaceInvaders-v5",
            "spaceinvaders",
            "SpaceInvadersNoFrameskip-v4",
            "SpaceInvaders-ramDeterministic-v4",
        ],
    )
    def test_a_game_is_called_by_its_id_or_its_rom(self, name: str, make: Any) -> None:
        env, other = make(stepping="python", game=name), make(stepping="python", game="SpaceInvaders")
        assert rom_name(name) == "space_invaders"
        assert np.array_equal(env.reset([0]).observation, other.reset([0]).observation)

    @pytest.mark.parametrize(
        ("name", "near"),
        [("Brekout", "Breakout"), ("pongg", "Pong"), ("space_invader", "SpaceInvaders"), ("Montezuma", "Montezuma")],
    )
    def test_a_wrong_game_gets_the_nearest_name(self, name: str, near: str, make: Any) -> None:
        with pytest.raises(UsageError, match=rf"^there is no Atari game {name}; did you mean {near}\w*\?$"):
            make(game=name)

    def test_a_game_for_several_is_refused_before_it_ends_the_process(self, make: Any) -> None:
        for name in ("Combat", "joust", "MazeCraze", "Warlords"):
            with pytest.raises(UsageError, match="is for several players"):
                make(game=name)

    @pytest.mark.parametrize(
        ("options", "line"),
        [
            ({"crop": [34, 16, 0, 0]}, r"env\.crop=\[34, 16, 0, 0\] needs env\.stepping=python"),
            ({"stepping": "nativ"}, "did you mean native"),
            ({"sticky": 1.5}, r"env\.sticky is 1\.5; it must be from 0 to 1"),
            ({"frame_skip": 0}, r"env\.frame_skip is 0; it must be at least 1"),
            ({"stack": 0}, r"env\.stack is 0"),
            ({"stack": 10**6}, r"env\.stack=1000000 frames of env\.size=\[84, 84\] are too large for an observation"),
            ({"noop_max": -1}, r"env\.noop_max is -1; it must be at least 0"),
            ({"size": [84]}, r"env\.size is \[84\]; it must be \[height, width\]"),
            ({"crop": [1, 2], "stepping": "python"}, r"env\.crop is \[1, 2\]; it must be \[top, bottom, left, right\]"),
            ({"threads": 2, "stepping": "python"}, r"env\.threads=2 needs env\.stepping=native"),
            ({"game": 7}, r"env\.game is 7, but it must be text"),
        ],
    )
    def test_what_cannot_be_is_refused_in_one_line(self, options: dict[str, Any], line: str, make: Any) -> None:
        with pytest.raises(UsageError, match=line):
            make(**options)

    def test_python_stepping_crops(self, make: Any) -> None:
        env = make(stepping="python", game="Breakout", crop=[34, 16, 0, 0], size=[160, 160], sticky=0)
        whole = make(stepping="python", game="Breakout", size=[210, 160], sticky=0)
        assert_same(env.reset([1]).observation, np.ascontiguousarray(whole.reset([1]).observation[:, :, 34:194]))

    def test_pictures_without_pooling_are_the_emulator_s_last_frame_made_smaller_by_leaving_pixels_out(
        self, make: Any
    ) -> None:
        options = {"game": "Pong", "stepping": "python", "sticky": 0, "pool": 1, "interpolation": "nearest"}
        env = make(**options, size=[105, 80], grey_by="mean")
        env.reset([3])
        emulator = env.envs[0].unwrapped._ale
        for action in (2, 3, 2):
            seen = env.step(np.array([action])).observation[0, -1]
            screen = emulator.getScreenRGB().astype(int)
            assert_same(seen, (screen.sum(axis=2) // 3)[::2, ::2].astype(np.uint8))

    def test_pooled_pictures_are_the_brighter_of_two(self, make: Any) -> None:
        common = {"game": "Asteroids", "stepping": "python", "sticky": 0, "size": [210, 160]}
        pooled, last = (make(**common, pool=pool) for pool in (2, 1))
        for env in (pooled, last):
            env.reset([3])
        steps = [(pooled.step(np.array([k % 6])), last.step(np.array([k % 6]))) for k in range(20)]
        assert all((both.observation[0, -1] >= one.observation[0, -1]).all() for both, one in steps)
        assert any((both.observation != one.observation).any() for both, one in steps)

    @pytest.mark.parametrize("option", [{"grey_by": "mean"}, {"pool": 1}, {"interpolation": "nearest"}])
    def test_pictures_of_another_kind_need_python_stepping(self, option: dict[str, Any], make: Any) -> None:
        [name] = option
        with pytest.raises(UsageError, match=rf"env\.{name}=\w+ needs env.stepping=python: native stepping takes"):
            make(**option)
        with pytest.raises(UsageError, match=rf"env\.{name} is (7|other); it must be \w+ or \w+"):
            make(stepping="python", **{name: 7 if name == "pool" else "other"})

    def test_the_presets_have_the_values_of_their_protocols(self) -> None:
        modern, early = (config(f"experiment=atari_{year}").env for year in ("modern", "2015"))
        assert modern == config().env, "the modern protocol is what one gets without a word"
        assert (modern["sticky"], modern["life_loss"], modern["noop_max"]) == (0.25, False, 0)
        assert (early["sticky"], early["life_loss"], early["noop_max"]) == (0.0, True, 30)
        assert set(early) == set(modern)

    def test_runs_of_a_preset_are_named_after_the_game_where_its_name_does_not_say_it(self) -> None:
        for preset, name in (("atari_2015", "atari_2015_Pong_s3"), ("pong_source", "pong_source_s3")):
            choices = {"experiment": preset, "agent": "dqn", "env": "atari"}
            run = run_config("agent=random", "env=atari", "env.game=Pong", "seed=3")
            assert training_name(replace(run, choices=choices)) == name


class Asking:
    def __init__(self, frame_stack: FromRun[int]):
        self.frame_stack = frame_stack


@pytest.mark.parametrize("stepping", ["native", "python"])
def test_agents_and_their_parts_can_ask_for_the_number_of_frames(stepping: str, make: Any) -> None:
    settings = run_config("agent=random", "env=atari").agent_config
    settings = replace(settings, agent={"_target_": "test_atari.Asking"})
    agent: Any = build.make_agent(settings, make(stepping=stepping, stack=3), Seeds(0))
    assert agent.frame_stack == 3


class TestKeys:
    def test_a_person_steers_with_arrows_or_letters_and_fires_with_space(self) -> None:
        pytest.importorskip("pygame")
        env = build.make_single(config(game="Seaquest"), render_mode="rgb_array")
        keys = keys_for(env)  # type: ignore[arg-type]
        meanings = env.get_wrapper_attr("get_action_meanings")()  # type: ignore[union-attr]
        told = {"UPRIGHTFIRE": "up right space", "DOWN": "s", "LEFT": "a", "FIRE": "space", "UPLEFT": "w a"}
        for meaning, pressed in told.items():
            assert meanings[keys.action(frozenset(pressed.split()))] == meaning
        assert meanings[keys.idle] == "NOOP"
        assert str(keys) == "keys: arrows or W, A, S, D; space fires"
        env.close()

    def test_a_person_plays_what_was_trained_natively(self) -> None:
        pytest.importorskip("pygame")
        assert "space fires" in str(human._keys(config(game="Pong", stepping="native")))

    def test_upright_paddles_move_with_up_and_down(self) -> None:
        keys = keys_for(Meaning(["NOOP", "FIRE", "RIGHT", "LEFT", "RIGHTFIRE", "LEFTFIRE"]))
        assert [keys.action(frozenset(pressed.split())) for pressed in ("up", "s", "right", "up space")] == [2, 3, 2, 4]

    def test_without_an_idle_action_the_last_one_goes_on(self) -> None:
        assert keys_for(Meaning(["LEFT", "RIGHT"])).idle is REPEAT

    def test_other_meanings_are_no_joystick(self) -> None:
        assert "0" in keys_for(Meaning(["left", "jump"])).names


class Meaning(gymnasium.Env):
    observation_space = gymnasium.spaces.Discrete(2)

    def __init__(self, meanings: list[str]):
        self.action_space = gymnasium.spaces.Discrete(len(meanings))
        self.get_action_meanings = lambda: meanings


def test_fire_after_each_lost_life_is_a_matter_of_two_wrappers() -> None:
    wrappers = [{"_target_": f"rlkit.preprocess.{name}"} for name in ("LifeLoss", "FireReset")]
    settings = config(game="Breakout", stepping="python", life_loss=False, sticky=0.0)
    env: Any = build.make_single(replace(settings, preprocess=wrappers))
    env.reset(seed=0)
    for _ in range(3):
        moves = []
        while not (ended := env.step(0))[2]:
            moves.append(ended[0])
        env.reset()
        seen = [env.step(0)[0][-1] for _ in range(8)]
        assert any((a != b).any() for a, b in pairwise(seen)), "the ball flies, though nobody pressed FIRE"
        assert moves
    env.close()
