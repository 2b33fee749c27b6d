from __future__ import annotations

import functools
import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv
from gymnasium.wrappers import TimeLimit

from rlkit.agents.random import Random
from rlkit.core.checkpoint import Store
from rlkit.core.loop import interact
from rlkit.core.types import Environment, RunError, UsageError
from rlkit.vector.serial import SerialEnvironment
from rlkit.vector.subprocess import SubprocessEnvironment
from rlkit.vector.vector import VectorEnvironment
from toys import (
    Bare,
    Counting,
    Dying,
    Line,
    Locks,
    OwnVector,
    Plain,
    Remembering,
    action_of,
    actions,
    assert_same,
    roll,
)

SEEDS = [11, 12, 13]

Make = Callable[[], gymnasium.Env]


def vectorised(vector: Callable[..., Any], mode: AutoresetMode) -> Callable[..., Environment]:
    return lambda makes, **keys: VectorEnvironment(lambda: vector(makes, autoreset_mode=mode), **keys)


ENVIRONMENTS: dict[str, Callable[..., Environment]] = {
    "serial": SerialEnvironment,
    "subprocess": SubprocessEnvironment,
    "sync next-step": vectorised(SyncVectorEnv, AutoresetMode.NEXT_STEP),
    "sync same-step": vectorised(SyncVectorEnv, AutoresetMode.SAME_STEP),
    "sync disabled": vectorised(SyncVectorEnv, AutoresetMode.DISABLED),
    "async next-step": vectorised(AsyncVectorEnv, AutoresetMode.NEXT_STEP),
    "async same-step": vectorised(AsyncVectorEnv, AutoresetMode.SAME_STEP),
    "async disabled": vectorised(AsyncVectorEnv, AutoresetMode.DISABLED),
    "own next-step": lambda makes, **keys: VectorEnvironment(lambda: OwnVector(makes), **keys),
}
RESTARTABLE = ("serial", "subprocess", "sync next-step", "async same-step", "own next-step")


@pytest.fixture(params=ENVIRONMENTS)
def environment(request: pytest.FixtureRequest) -> Any:
    yield from closing(ENVIRONMENTS[request.param])


@pytest.fixture(params=["serial", "subprocess"])
def captured(request: pytest.FixtureRequest) -> Any:
    yield from closing(ENVIRONMENTS[request.param])


@pytest.fixture(params=RESTARTABLE)
def restartable(request: pytest.FixtureRequest) -> Any:
    yield from closing(ENVIRONMENTS[request.param])


def closing(build: Callable[..., Environment]) -> Any:
    opened: list[Environment] = []

    def make(*args: Any, **keys: Any) -> Environment:
        opened.append(build(*args, **keys))
        return opened[-1]

    yield make
    for env in opened:
        env.close()


def cart_pole(max_steps: int = 14) -> gymnasium.Env:
    return TimeLimit(gymnasium.make("CartPole-v1", disable_env_checker=True), max_steps)


def gym(env_id: str) -> gymnasium.Env:
    return gymnasium.make(env_id, disable_env_checker=True)


def naive(make: Make, i: int, seed: int, decisions: int) -> list[tuple[Any, ...]]:
    """Return what environment `i` goes through, from Gymnasium's own interface and a loop anybody can check."""
    env = make()
    observation, info = env.reset(seed=seed)
    rows = []
    for k in range(decisions):
        action = int(action_of(i, k) % env.action_space.n)
        reached, reward, terminated, truncated, told = env.step(action)
        last = terminated or truncated
        rows.append(
            (
                np.asarray(observation).tolist(),
                action,
                float(np.float32(reward)),
                0.0 if terminated else 1.0,
                np.asarray(reached).tolist(),
                last,
                float(told.get("rlkit/raw_reward", reward)),
                bool(told.get("rlkit/game_over", last)),
                masked(info),
                masked(told),
            )
        )
        observation, info = env.reset() if last else (reached, told)
    env.close()
    return rows


def masked(info: dict[str, Any]) -> list[bool] | None:
    return info["action_mask"].astype(bool).tolist() if "action_mask" in info else None


def streamed(env: Environment, decisions: int) -> list[list[tuple[Any, ...]]]:
    """Return the first valid transitions of each environment, whose k-th decision is `action_of(i, k)`."""
    n = env.num_envs
    rows: list[list[tuple[Any, ...]]] = [[] for _ in range(n)]
    now = env.reset(SEEDS[:n])
    assert not now.valid.any()
    while min(map(len, rows)) < decisions:
        action = np.array([int(action_of(i, len(rows[i])) % env.action_space.n) for i in range(n)])
        after = env.step(action)
        for i in np.flatnonzero(after.valid):
            rows[i].append(
                (
                    now.observation[i].tolist(),
                    int(action[i]),
                    float(after.reward[i]),
                    float(after.discount[i]),
                    after.next_observation[i].tolist(),
                    bool(after.last[i]),
                    float(after.info.raw_reward[i]),
                    bool(after.info.game_over[i]),
                    None if now.legal_actions is None else now.legal_actions[i].tolist(),
                    None if after.next_legal_actions is None else after.next_legal_actions[i].tolist(),
                )
            )
        now = after
    return [row[:decisions] for row in rows]


class TestTransitions:
    def test_valid_transitions_are_those_of_gymnasium_in_every_mode(self, environment: Any) -> None:
        env = environment([Counting] * 3, action_mask=True)
        rows = streamed(env, 60)
        assert rows == [naive(Counting, i, seed, 60) for i, seed in enumerate(SEEDS)]
        ends = {(row[3], row[5]) for rows_of_one in rows for row in rows_of_one}
        assert ends == {(1.0, False), (0.0, True), (1.0, True)}, "the toy must go on, terminate and truncate"

    def test_valid_transitions_of_cart_pole_are_the_same_in_every_mode(self, environment: Any) -> None:
        rows = streamed(environment([cart_pole] * 3), 70)
        assert rows == [naive(cart_pole, i, seed, 70) for i, seed in enumerate(SEEDS)]
        assert {row[3] for rows_of_one in rows for row in rows_of_one if row[5]} == {0.0, 1.0}

    def test_without_information_raw_reward_is_the_reward_and_every_end_a_game_over(self, environment: Any) -> None:
        make = lambda: Bare(Counting())  # noqa: E731
        assert streamed(environment([make] * 2), 40) == [naive(make, i, SEEDS[i], 40) for i in range(2)]

    def test_arrays_have_the_promised_dtypes_and_do_not_change_later(self, environment: Any) -> None:
        env = environment([Counting] * 2, action_mask=True)
        timesteps = [env.reset(SEEDS[:2]), *roll(env, None, 20)]
        copies = [step._replace(info=step.info._asdict())._asdict() for step in timesteps]
        copies = [{key: repr(value) for key, value in step.items()} for step in copies]
        timesteps += roll(env, None, 20)
        for step in timesteps:
            assert step.observation.dtype == step.next_observation.dtype == np.float32
            assert step.reward.dtype == step.discount.dtype == np.float32
            assert (
                step.last.dtype
                == step.valid.dtype
                == step.info.game_over.dtype
                == step.info.truncated_by_checkpoint.dtype
                == bool
            )
            assert step.info.raw_reward.dtype == np.float64
            assert step.legal_actions.dtype == step.next_legal_actions.dtype == bool
            assert not step.info.truncated_by_checkpoint.any()
        later = [step._replace(info=step.info._asdict())._asdict() for step in timesteps[:21]]
        assert [{key: repr(value) for key, value in step.items()} for step in later] == copies


class Mute(gymnasium.Wrapper):
    """Says what is legal at resets only."""

    def step(self, action: Any) -> Any:
        return *self.env.step(action)[:4], {}


class Short(Counting):
    """Speaks of two of its three actions."""

    def _mask(self) -> Any:
        return np.ones(2, np.int8)


class Careful(Counting):
    """Takes legal actions only, as its metadata say."""

    metadata = {"action_mask": True}  # noqa: RUF012


class TestMasks:
    def test_those_of_composed_actions_are_the_choices_one_after_the_other(self, environment: Any) -> None:
        for space, sizes in ((spaces.MultiDiscrete([2, 3]), [2, 3]), (spaces.MultiBinary(2), [2, 2])):
            make = functools.partial(Locks, space, sizes)
            env, twin = environment([make] * 2, action_mask=True), make()
            stream = interact(
                Random(space), env, explore=True, rng=np.random.default_rng(0), reset_seeds=lambda _: [0, 1]
            )
            for row in itertools.islice(stream, 20):
                for i in np.flatnonzero(row.valid):
                    count, after = int(row.observation[i, 0]), int(row.next_observation[i, 0])
                    assert row.legal_actions[i].tolist() == twin.mask(count).astype(bool).tolist()
                    assert row.next_legal_actions[i].tolist() == twin.mask(after).astype(bool).tolist()

    def test_an_environment_that_gives_none_is_refused(self, environment: Any) -> None:
        words = (
            r"^action_mask=true, but the environment's info has no action_mask: leave it out, or let reset\(\) and "
            r"step\(\) return one \[3\] bool$"
        )
        env = environment([lambda: Bare(Counting())] * 2, action_mask=True)
        with pytest.raises(UsageError, match=words):
            env.reset([1, 2])
        env = environment([lambda: Mute(Counting())] * 2, action_mask=True)
        env.reset([1, 2])
        with pytest.raises(UsageError, match=words):
            env.step(np.array([0, 0]))

    def test_one_of_another_length_is_refused(self, environment: Any) -> None:
        env = environment([Short] * 2, action_mask=True)
        with pytest.raises(UsageError, match=r"has length 2, but actions of Discrete\(3\) need one row of 3 flags"):
            env.reset([1, 2])

    def test_what_the_metadata_promise_is_held_against_the_info(self, captured: Any) -> None:
        assert captured([Careful] * 2).reset([1, 2]).legal_actions.tolist() == [[True, False, False]] * 2
        with pytest.raises(UsageError, match=r"metadata have action_mask: True, but the environment's info has no"):
            captured([lambda: Bare(Careful())] * 2).reset([1, 2])

    def test_continuous_actions_cannot_have_any(self, captured: Any) -> None:
        with pytest.raises(UsageError, match=r"needs discrete actions, not Box.*leave action_mask=true out"):
            captured([lambda: gym("Pendulum-v1")] * 2, action_mask=True)


class TestHalves:
    def test_a_step_in_two_halves_is_a_step(self, environment: Any) -> None:
        whole, halves = environment([cart_pole] * 2), environment([cart_pole] * 2)
        whole.reset(SEEDS[:2])
        halves.reset(SEEDS[:2])
        for k in range(40):
            action = actions(whole.action_space, 2, k)
            halves.send(action)
            assert_same(halves.recv()._asdict(), whole.step(action)._asdict())

    def test_a_step_that_nobody_waits_for_does_not_turn_up_later(self, environment: Any) -> None:
        used, fresh = environment([Counting] * 2), environment([Counting] * 2)
        used.reset([5, 6])
        used.send(np.array([1, 2]))
        assert_same(used.reset([1, 2])._asdict(), fresh.reset([1, 2])._asdict())
        assert_same(roll(used, None, 20), roll(fresh, None, 20))

    def test_a_restart_or_an_end_does_not_wait_for_a_step(self, restartable: Any) -> None:
        env = restartable([lambda: Line(3)] * 2)
        env.reset([1, 2])
        for seeds in ([1, 2], [3, 4]):
            env.send(np.array([0, 0]))
            assert env.restart(seeds).observation.tolist() == [0, 0]
        env.send(np.array([0, 0]))

    def test_where_the_vector_environment_steps_by_itself_it_is_started_at_once(self) -> None:
        log: list[str] = []

        class Started(OwnVector):
            def send(self, actions: Any) -> None:
                log.append("send")
                self._result = OwnVector.step(self, actions)

            def recv(self) -> Any:
                log.append("recv")
                return self._result

        env = VectorEnvironment(lambda: Started([lambda: Line(5)]))
        env.reset([0])
        env.send(np.array([0]))
        assert log == ["send"]
        assert env.recv().observation.tolist() == [1]
        assert env.step(np.array([0])).observation.tolist() == [2]
        assert log == ["send", "recv"] * 2


class TestCopies:
    def test_only_arrays_that_may_be_written_again_are_copied(self) -> None:
        class Fresh(OwnVector):
            fresh_arrays = True

        for kind, shared in ((OwnVector, False), (Fresh, True)):
            env = VectorEnvironment(lambda kind=kind: kind([cart_pole] * 2))
            assert np.shares_memory(env.reset([0]).observation, env._vector._observation) is shared
            assert np.shares_memory(env.step(np.array([0, 0])).observation, env._vector._observation) is shared

    def test_one_that_is_fresh_when_it_is_seeded_is_not_built_again(self) -> None:
        built: list[Any] = []

        class Reseeding(OwnVector):
            fresh_when_seeded = True

        for kind, times in ((OwnVector, 2), (Reseeding, 1)):
            built.clear()
            env = VectorEnvironment(lambda kind=kind: built.append(kind([cart_pole] * 2)) or built[-1])
            env.reset([0])
            env.restart([1])
            assert len(built) == times


class TestBoundaries:
    def test_at_an_end_next_observation_is_the_true_successor_and_observation_the_new_episodes(self) -> None:
        for name in ("serial", "subprocess", "sync same-step", "sync disabled", "async same-step", "async disabled"):
            env = ENVIRONMENTS[name]([lambda: Line(5)])
            try:
                start = env.reset([0]).observation[0]
                steps = roll(env, None, 6)
            finally:
                env.close()
            base = start // 100 * 100
            assert [int(s.next_observation[0] - base) for s in steps] == [1, 2, 3, 4, 5, 101], name
            assert [int(s.observation[0] - base) for s in steps] == [1, 2, 3, 4, 100, 101], name
            assert [bool(s.last[0]) for s in steps] == [False] * 4 + [True, False], name
            assert [float(s.discount[0]) for s in steps] == [1.0] * 6, name
            assert all(s.valid[0] for s in steps), name

    def test_in_next_step_mode_the_step_that_only_resets_is_not_valid(self) -> None:
        for name in ("sync next-step", "async next-step", "own next-step"):
            env = ENVIRONMENTS[name]([lambda: Line(2, terminates=True), lambda: Line(3)])
            try:
                start = env.reset([0, 1]).observation // 100 * 100
                steps = roll(env, None, 5)
            finally:
                env.close()
            assert [s.valid.tolist() for s in steps] == [
                [True, True],
                [True, True],
                [False, True],
                [True, False],
                [True, True],
            ], name
            assert [(s.next_observation - start).tolist() for s in steps[:2]] == [[1, 1], [2, 2]], name
            assert [(s.observation - start).tolist() for s in steps[2:]] == [[100, 3], [101, 100], [102, 101]], name
            assert [s.discount.tolist() for s in steps] == [[1, 1], [0, 1], [1, 1], [1, 1], [0, 1]], name

    def test_reset_in_the_middle_of_a_pending_reset_starts_a_valid_episode(self) -> None:
        env = VectorEnvironment(lambda: SyncVectorEnv([lambda: Line(1)]))
        env.reset([0])
        assert env.step(np.array([0])).last[0]
        env.reset([0])
        assert env.step(np.array([0])).valid[0]
        env.close()


class TestCapture:
    @pytest.mark.parametrize(
        "make",
        [
            Plain,
            cart_pole,
            functools.partial(gym, "FrozenLake-v1"),
            functools.partial(gym, "Blackjack-v1"),
            functools.partial(gym, "Pendulum-v1"),
        ],
        ids=["plain", "cart_pole", "frozen_lake", "blackjack", "pendulum"],
    )
    def test_a_state_taken_mid_episode_continues_bit_identically(
        self, captured: Any, make: Make, tmp_path: Path
    ) -> None:
        used, other, untouched = captured([make] * 2), captured([make] * 2), captured([make] * 2)
        for env in (used, untouched):
            roll(env, env.reset([5, 6]), 9)
        store = Store(tmp_path)
        store.save(1, {"env": used.get_state()})
        after = roll(used, None, 40)
        assert_same(after, roll(untouched, None, 40))
        roll(other, other.reset([8, 9]), 3)
        other.set_state(store.load(1)["env"])
        assert_same(roll(other, None, 40), after)

    def test_the_same_state_can_be_taken_back_twice(self, captured: Any) -> None:
        env = captured([functools.partial(gym, "Blackjack-v1")] * 2)
        env.reset([1, 2])
        state = env.get_state()
        first = roll(env, None, 10)
        for _ in range(2):
            env.set_state(state)
            assert_same(roll(env, None, 10), first)

    def test_one_opaque_environment_gives_no_state(self, captured: Any) -> None:
        env = captured([Plain, Counting])
        env.reset([1, 2])
        assert env.get_state() is None

    def test_a_vector_environment_without_get_state_gives_no_state(self) -> None:
        env = VectorEnvironment(lambda: SyncVectorEnv([Plain]))
        env.reset([1])
        assert env.get_state() is None
        env.close()

    def test_a_vector_environment_that_offers_its_state_continues_from_it(self) -> None:
        class Offering(OwnVector):
            def get_state(self) -> Any:
                rows = [env.get_state() for env in self._envs]
                generators = [env.np_random.bit_generator.state for env in self._envs]
                return {"rows": rows, "generators": generators, "ended": self._terminated | self._truncated}

            def set_state(self, state: Any) -> None:
                for env, row, generator in zip(self._envs, state["rows"], state["generators"], strict=True):
                    env.set_state(row)
                    env.np_random.bit_generator.state = generator
                self._terminated[:] = state["ended"]

        used, other = (VectorEnvironment(lambda: Offering([Plain] * 3)) for _ in range(2))
        used.reset([3, 4, 5])
        while not used.step(actions(used.action_space, 3, 0)).last.any():
            pass
        state = used.get_state()
        other.reset([0, 0, 0])
        other.set_state(state)
        after = roll(used, None, 30)
        assert not after[0].valid.all()
        assert_same(roll(other, None, 30), after)

    def test_restart_leaves_nothing_of_the_old_environments(self, restartable: Any) -> None:
        # `Line` counts its episodes over all resets, so that a mere reset would show.
        used, fresh = restartable([lambda: Line(3)] * 2), restartable([lambda: Line(3)] * 2)
        roll(used, used.reset([1, 2]), 7)
        assert_same(used.restart([4, 5]), fresh.reset([4, 5]))
        assert_same(roll(used, None, 8), roll(fresh, None, 8))

    def test_a_restart_is_seeded_like_a_fresh_environment(self, restartable: Any) -> None:
        used, fresh = restartable([Counting] * 2), restartable([Counting] * 2)
        roll(used, used.reset([1, 2]), 7)
        assert_same(used.restart([4, 5]), fresh.reset([4, 5]))
        assert_same(roll(used, None, 40), roll(fresh, None, 40))


class TestFailures:
    @pytest.mark.parametrize("name", ["serial", "subprocess", "sync same-step"])
    def test_an_environment_that_raises_ends_the_stream_in_one_line(
        self, name: str, capfd: pytest.CaptureFixture[str]
    ) -> None:
        env = ENVIRONMENTS[name]([lambda: Line(50, fails_at=9), lambda: Line(50, fails_at=4)])
        stream = interact(Remembering(2), env, explore=True, rng=np.random.default_rng(0), reset_seeds=lambda _: [0, 1])
        for _ in range(3):
            next(stream)
        with pytest.raises(RunError) as caught:
            next(stream)
        env.close()
        assert str(caught.value) == (
            "the environment raised Unsendable: the battery is empty (after step 6); "
            "fix it, then resume from the last checkpoint with resume="
        )
        assert capfd.readouterr() == ("", "")

    @pytest.mark.parametrize("name", ["serial", "subprocess"])
    def test_an_environment_that_raises_at_its_reset_ends_the_stream_in_one_line(self, name: str) -> None:
        class Unborn(Line):
            def reset(self, **keys: Any) -> Any:
                raise OSError("no such level")

        env = ENVIRONMENTS[name]([lambda: Unborn(5)] * 2)
        stream = interact(Remembering(2), env, explore=True, rng=np.random.default_rng(0), reset_seeds=lambda _: [0, 1])
        with pytest.raises(RunError, match=r"^the environment raised OSError: no such level \(after step 0\); fix"):
            next(stream)
        env.close()

    def test_of_several_failing_workers_the_first_is_told(self) -> None:
        def failing(text: str) -> gymnasium.Env:
            class Failing(Line):
                def step(self, action: Any) -> Any:
                    time.sleep(0.3 if text == "first" else 0)
                    raise ValueError(text)

            return Failing(5)

        env = SubprocessEnvironment([lambda: failing("first"), lambda: failing("second")])
        env.reset([0, 1])
        with pytest.raises(RunError, match="ValueError: first"):
            env.step(np.array([0, 0]))
        env.close()

    def test_a_worker_that_dies_ends_the_stream_in_one_line(self, capfd: pytest.CaptureFixture[str]) -> None:
        env = SubprocessEnvironment([lambda: Line(50), lambda: Dying(50)])
        stream = interact(Remembering(2), env, explore=True, rng=np.random.default_rng(0), reset_seeds=lambda _: [0, 1])
        for _ in range(2):
            next(stream)
        with pytest.raises(RunError, match=r"^a worker process of the environment ended .* \(after step 4\); fix"):
            next(stream)
        env.close()
        assert capfd.readouterr() == ("", "")

    def test_closing_twice_or_with_a_step_under_way_is_quiet(self, capfd: pytest.CaptureFixture[str]) -> None:
        env = SubprocessEnvironment([cart_pole] * 2)
        env.reset([0, 1])
        env._vector.step_async(np.array([0, 1]))
        workers = list(env._vector.processes)
        env.close()
        env.close()
        assert not any(worker.is_alive() for worker in workers)
        assert capfd.readouterr() == ("", "")

    @pytest.mark.parametrize("stepping", [True, False], ids=["stepping", "idle"])
    def test_workers_end_silently_when_the_parent_is_killed(self, stepping: bool) -> None:
        script = """
import sys, time
import gymnasium, numpy as np
from rlkit.vector.subprocess import SubprocessEnvironment
env = SubprocessEnvironment([lambda: gymnasium.make("CartPole-v1")] * 3)
env.reset([0, 1, 2])
print(*[process.pid for process in env._vector.processes], flush=True)
while True:
    env.step(np.zeros(3, int)) if sys.argv[1] == "True" else time.sleep(60)
"""
        parent = subprocess.Popen(
            [sys.executable, "-c", script, str(stepping)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        workers = [int(word) for word in parent.stdout.readline().split()]
        assert len(workers) == 3
        time.sleep(0.2)
        parent.send_signal(signal.SIGKILL)
        # The workers hold the pipes too, so this returns when the last of them has ended.
        output, errors = parent.communicate(timeout=60)
        assert (output, errors) == ("", "")
        deadline = time.monotonic() + 60
        while any(map(running, workers)) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not any(map(running, workers))


def running(pid: int) -> bool:
    """Tell whether a process runs; one that nobody has waited for yet does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    try:
        return stat.read_text().rpartition(")")[2].split()[0] != "Z" if stat.parent.parent.is_dir() else True
    except FileNotFoundError:
        return False


class TestRender:
    def test_pictures_come_from_the_environment_asked_for(self, captured: Any) -> None:
        env = captured([lambda: Painted(0), lambda: Painted(1)])
        env.reset([0, 1])
        assert [int(env.render(i)[0, 0, 0]) for i in range(2)] == [0, 1]

    def test_without_pictures_a_vector_environment_says_so(self) -> None:
        for name in ("subprocess", "sync same-step"):
            env = ENVIRONMENTS[name]([Dark])
            env.reset([0])
            with pytest.raises(RunError, match="draws no frames"):
                env.render()
            env.close()


class Dark(Counting):
    def render(self) -> Any:
        return None


class Painted(Counting):
    metadata = {"render_modes": ["rgb_array"]}  # noqa: RUF012

    def __init__(self, colour: int):
        self.render_mode = "rgb_array"
        self._colour = colour

    def render(self) -> Any:
        return np.full((4, 4, 3), self._colour, np.uint8)
