"""Hindsight against a plain list of episodes, its rules, and its known answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st
from making import made, run_config, stream_of

import rlkit
from rlkit.core.checkpoint import Store
from rlkit.core.loop import train
from rlkit.core.seeding import Seeds
from rlkit.core.types import Array, Goals, StepInfo, Transition, UsageError
from rlkit.envs.bit_flip import BitFlip
from rlkit.replay import HindsightReplay, UniformReplay
from rlkit.replay.episodes import Episodes
from rlkit.replay.frames import TensorFrames
from rlkit.runs import build
from rlkit.vector.goals import goals_of
from rlkit.vector.serial import SerialEnvironment
from rlkit.vector.subprocess import SubprocessEnvironment
from rlkit.vector.vector import VectorEnvironment
from toys import assert_same

GAMMA = 0.9
EVENTS = ("goes on", "goes on", "goes on", "reaches", "falls", "truncates", "is reset late")
GOALS = Goals(
    reward=lambda achieved, desired: np.where(reached(achieved, desired), 0.0, -1.0) - achieved["at"][:, 0] / 8,
    terminated=lambda achieved, desired: reached(achieved, desired),
)


def reached(achieved: Any, desired: Any) -> Array:
    return np.asarray(achieved["at"][:, 0] % 3 == desired["at"][:, 0] % 3)


class Stream:
    """N environments with goals, whose episodes end as a script says; of three achieved goals one is the desired one.

    ``falls``: it terminates for another reason. ``is reset late``: it reaches, and the row after is not valid.
    """

    def __init__(self, n: int, stack: int, known: bool):
        self.n, self.stack, self.count, self.late, self.known = n, stack, 0, np.zeros(n, bool), known
        self.frames = np.stack([self.begin() for _ in range(n)])
        self.desired = np.arange(n) % 3
        self.shown = self.observation(self.frames, np.zeros(n, np.int64))

    def begin(self) -> Array:
        self.count += 1
        return np.full(self.stack, self.count % 120)

    def observation(self, frames: Array, achieved: Array) -> Any:
        images = frames if self.stack > 1 else frames[:, 0]
        goals = [{"at": goal[:, None].astype(np.float32)} for goal in (achieved, self.desired)]
        return {"desired_goal": goals[1], "observation": images.astype(np.uint8), "achieved_goal": goals[0]}

    def step(self, events: list[str]) -> Transition:
        n, before = self.n, self.shown
        self.count += 1
        frames = np.concatenate([self.frames[:, 1:], np.full((n, 1), self.count % 120)], axis=1)
        achieved = self.desired + 1 + (self.count + np.arange(n)) % 2  # never the desired one
        last, terminated, fresh, valid = np.zeros((4, n), bool)
        for i, event in enumerate(events):
            if self.late[i]:
                self.late[i], frames[i] = False, self.begin()
                continue
            valid[i] = True
            last[i] = event != "goes on"
            terminated[i] = event in ("reaches", "falls", "is reset late")
            achieved[i] = self.desired[i] + 3 if event in ("reaches", "is reset late") else achieved[i]
            self.late[i] = event == "is reset late"
            fresh[i] = last[i] and not self.late[i]
        successor = self.observation(frames, achieved)
        reward = GOALS.reward(successor["achieved_goal"], successor["desired_goal"]).astype(np.float32)
        self.frames, self.shown = frames, successor
        if fresh.any():
            self.frames = frames.copy()
            for i in np.flatnonzero(fresh):
                self.frames[i], self.desired = self.begin(), np.where(np.arange(n) == i, self.count % 3, self.desired)
            self.shown = self.observation(self.frames, np.where(fresh, 0, achieved))
        return Transition(
            observation=before,
            action=self.count % 5 + np.arange(n),
            reward=reward,
            discount=(1 - terminated).astype(np.float32),
            next_observation=successor,
            last=last,
            valid=valid,
            legal_actions=None,
            next_legal_actions=None,
            info=StepInfo(np.zeros(n), last, np.zeros(n, bool)),
        )


def row_of(tree: Any, i: int) -> Any:
    return {key: row_of(part, i) if isinstance(part, dict) else part[i].copy() for key, part in tree.items()}


class Step(NamedTuple):
    observation: Any
    action: int
    reward: np.float32
    discount: np.float32
    next_observation: Any
    last: bool
    episode: int


class Naive:
    """A plain list of steps, and of the numbers of those of each episode."""

    def __init__(self, n: int) -> None:
        self.rows: list[Step] = []
        self.episodes: list[list[int]] = []
        self.current: list[int | None] = [None] * n

    def add(self, rows: Transition) -> None:
        for i in np.flatnonzero(rows.valid):
            if self.current[i] is None:
                self.current[i] = len(self.episodes)
                self.episodes.append([])
            episode = self.current[i]
            assert episode is not None
            self.episodes[episode].append(len(self.rows))
            both = (row_of(tree, int(i)) for tree in (rows.observation, rows.next_observation))
            observation, successor = both
            facts = (int(rows.action[i]), rows.reward[i], rows.discount[i])
            self.rows.append(Step(observation, *facts, successor, bool(rows.last[i]), episode))
            if rows.last[i]:
                self.current[i] = None

    def source(self, number: int, strategy: str, share: float, first: int) -> int:
        """Return the number of the step whose achieved goal step `number` gets."""
        steps = self.episodes[self.rows[number].episode]
        if strategy == "final":
            return steps[-1]
        among = [one for one in steps if one >= (number if strategy == "future" else first)]
        return among[int(share * len(among))]

    def sampled(self, number: int, n_step: int, goal: Any, known: bool) -> tuple[Any, ...]:
        """Return step `number` as a batch must show it; `goal` is None where it keeps its own."""
        row = self.rows[number]
        steps = self.episodes[row.episode]
        chain = steps[steps.index(number) :][:n_step]
        reward, factor = np.float32(0), np.float32(1)
        for i, one in enumerate(chain):
            step_reward, discount = self.earned(self.rows[one], goal, known)
            factor = factor * np.float32(GAMMA) if i else factor
            reward += factor * step_reward
            factor = factor * discount
        wanted = row.observation["desired_goal"] if goal is None else goal
        ends = self.rows[chain[-1]].next_observation
        return (
            {**row.observation, "desired_goal": wanted},
            row.action,
            reward,
            factor,
            {**ends, "desired_goal": ends["desired_goal"] if goal is None else goal},
        )

    def earned(self, row: Step, goal: Any, known: bool) -> tuple[np.float32, np.float32]:
        if goal is None:
            return row.reward, row.discount
        achieved, own = ({"at": row.next_observation[key]["at"][None]} for key in ("achieved_goal", "desired_goal"))
        other = {"at": goal["at"][None]}
        reward = np.float32(GOALS.reward(achieved, other)[0])
        if not known:
            return reward, row.discount
        fell = row.discount == 0 and not reached(achieved, own)[0]
        return reward, np.float32(not (fell or reached(achieved, other)[0]))


class Case(NamedTuple):
    capacity: int
    n: int
    stack: int
    n_step: int
    strategy: str
    n_sampled_goal: int
    known: bool
    tensors: bool

    def replay(self, seed: int = 0) -> HindsightReplay:
        stacks: Any = {"desired_goal": {"at": 1}, "observation": self.stack, "achieved_goal": {"at": 1}}
        return HindsightReplay(
            self.capacity,
            np.random.default_rng(seed),
            goals=lambda: GOALS if self.known else GOALS._replace(terminated=None),
            strategy=self.strategy,  # type: ignore[arg-type]
            n_sampled_goal=self.n_sampled_goal,
            n_step=self.n_step,
            frame_stack=stacks if self.stack > 1 else 1,
            num_envs=self.n,
        )


CASES = st.builds(
    Case,
    capacity=st.integers(5, 60),
    n=st.integers(1, 4),
    stack=st.integers(1, 3),
    n_step=st.integers(1, 3),
    strategy=st.sampled_from(["future", "final", "episode"]),
    n_sampled_goal=st.integers(0, 4),
    known=st.booleans(),
    tensors=st.booleans(),
)


def compare(replay: HindsightReplay, naive: Naive, case: Case) -> None:
    """Sample, and hold each row against the plain list's, with the same random numbers."""
    total, first = len(naive.rows), len(naive.rows) - len(replay)
    rng = np.random.default_rng()
    rng.bit_generator.state = replay.state_dict()["rng"]
    batch = replay.sample(12, GAMMA)
    numbers = first + rng.integers(total - first, size=12)
    rows = np.flatnonzero(rng.random(12) < case.n_sampled_goal / (case.n_sampled_goal + 1))
    shares = np.zeros(len(rows)) if case.strategy == "final" else rng.random(len(rows))
    goals: dict[int, Any] = {}
    for i, share in zip(rows, shares, strict=True):
        source = naive.source(int(numbers[i]), case.strategy, float(share), first)
        goals[int(i)] = naive.rows[source].next_observation["achieved_goal"]
    assert batch.index.tolist() == numbers.tolist()
    for i, number in enumerate(numbers):
        wanted = naive.sampled(int(number), case.n_step, goals.get(i), case.known)
        shown = (
            row_of(numpy(batch.observation), i),
            int(batch.action[i]),
            batch.reward[i],
            batch.discount[i],
            row_of(numpy(batch.next_observation), i),
        )
        np.testing.assert_allclose(shown[2], wanted[2], rtol=1e-6)
        np.testing.assert_allclose(shown[3], wanted[3], rtol=1e-6)
        assert shown[1] == wanted[1]
        assert_same(shown[0], wanted[0])
        assert_same(shown[4], wanted[4])


def numpy(tree: Any) -> Any:
    return {key: numpy(part) if isinstance(part, dict) else np.asarray(part) for key, part in tree.items()}


@settings(max_examples=25, deadline=None)
@given(case=CASES, data=st.data())
def test_a_sample_is_that_of_a_plain_list_of_episodes(case: Case, data: st.DataObject) -> None:
    stream, naive, replay = Stream(case.n, case.stack, case.known), Naive(case.n), case.replay()
    resumed = data.draw(st.sets(st.integers(0, 40), max_size=2))
    with pytest.MonkeyPatch.context() as patch:
        if case.tensors:
            make = lambda size, leaf, *place: TensorFrames(size, leaf.shape, leaf.dtype, "cpu")  # noqa: E731
            patch.setattr("rlkit.replay.frames._ring", make)
        for step in range(data.draw(st.integers(8, 40))):
            events = data.draw(st.lists(st.sampled_from(EVENTS), min_size=case.n, max_size=case.n))
            rows = stream.step(events)
            replay.add(rows)
            naive.add(rows)
            if step in resumed:
                state = replay.state_dict()
                replay = case.replay(1)
                replay.load_state_dict(state)
            if len(replay) and step % 5 == 4:
                compare(replay, naive, case)


def test_the_state_goes_through_a_checkpoint_and_goes_on_bit_for_bit(tmp_path: Path) -> None:
    case = Case(50, 3, 1, 2, "episode", 4, True, False)
    stream, replay = Stream(3, 1, True), case.replay()
    rng = np.random.default_rng(0)
    steps = [stream.step(rng.choice(EVENTS, 3).tolist()) for _ in range(80)]
    for rows in steps[:50]:
        replay.add(rows)
    store = Store(tmp_path, keep=1)
    store.save(1, replay.state_dict())
    other = case.replay(5)
    for _ in range(2):  # also in place of what it holds already
        other.load_state_dict(store.load(1))
    for rows in steps[50:]:
        replay.add(rows)
        other.add(rows)
        assert_same(other.sample(9, GAMMA), replay.sample(9, GAMMA))


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 30), st.integers(1, 5), st.data())
def test_rows_of_episodes_are_found_however_uneven_environments_are(capacity: int, n: int, data: st.DataObject) -> None:
    episodes, kept = Episodes(capacity, n), np.zeros(0, np.int64)
    episodes._size = 1  # so that it has to grow
    episodes._number, episodes._first, episodes._last = episodes._rings(n)
    naive: dict[int, list[int]] = {}
    of_row: dict[int, int] = {}
    current: dict[int, int] = {}
    total = 0
    for _ in range(data.draw(st.integers(1, 12))):
        env = np.array(data.draw(st.lists(st.integers(0, n - 1), min_size=1, max_size=min(capacity, 9))))
        follows = np.array(data.draw(st.lists(st.booleans(), min_size=len(env), max_size=len(env))))
        numbers = total + np.arange(len(env))
        total += len(env)
        oldest = max(0, total - capacity)
        episodes.add(numbers, env, follows, oldest)
        for number, one, on in zip(numbers.tolist(), env.tolist(), follows.tolist(), strict=True):
            if not on or one not in current:
                current[one] = len(naive)
                naive[current[one]] = []
            naive[current[one]].append(number)
            of_row[number] = current[one]
        kept = np.arange(oldest, total)
        share = np.random.default_rng(total).random(len(kept))
        found = (episodes.later(kept, share), episodes.final(kept), episodes.any(kept, share, oldest))
        for i, number in enumerate(kept.tolist()):
            own = naive[of_row[number]]
            after, stored = [one for one in own if one >= number], [one for one in own if one >= oldest]
            wanted = (after[int(share[i] * len(after))], own[-1], stored[int(share[i] * len(stored))])
            assert tuple(int(one[i]) for one in found) == wanted


class TestRules:
    def test_a_hopeless_episode_is_learned_from(self) -> None:
        replay = HindsightReplay(
            100,
            np.random.default_rng(0),
            goals=lambda: goals_of(BitFlip(3, None)),
            strategy="final",
            n_sampled_goal=10**9,
        )
        bits = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0]], np.int8)
        shown = [
            {"observation": one[None], "achieved_goal": one[None], "desired_goal": np.array([[1, 1, 1]], np.int8)}
            for one in bits
        ]
        for i in range(2):
            ends = np.array([i == 1])
            no = np.zeros(1, bool)
            replay.add(
                Transition(
                    shown[i],
                    np.array([i]),
                    np.array([-1], np.float32),
                    np.ones(1, np.float32),
                    shown[i + 1],
                    ends,
                    ~no,
                    None,
                    None,
                    StepInfo(np.zeros(1), ends, no),
                )
            )
        batch = replay.sample(20)
        # Bits 110 are what was reached: the second step earns 0 and ends there.
        assert (np.asarray(batch.observation["desired_goal"]) == [1, 1, 0]).all()
        assert (np.asarray(batch.next_observation["desired_goal"]) == [1, 1, 0]).all()
        assert batch.reward.tolist() == [-1.0 if one == 0 else 0.0 for one in batch.index]
        assert batch.discount.tolist() == [1.0 if one == 0 else 0.0 for one in batch.index]

    def test_of_five_transitions_four_have_another_goal(self) -> None:
        replay, stream = Case(500, 2, 1, 1, "episode", 4, True, False).replay(), Stream(2, 1, True)
        for step in range(200):
            replay.add(stream.step(["truncates" if step % 10 == 9 else "goes on"] * 2))
        replay._enter()
        desired = replay._leaf("desired_goal", np.arange(400))["at"]
        batch = replay.sample(5000)
        kept = np.asarray(batch.observation["desired_goal"]["at"]) == desired[batch.index]
        assert 0.16 < kept.mean() < 0.24  # no achieved goal equals a desired one

    def test_no_frame_is_stored_twice(self) -> None:
        stacks: Any = {"desired_goal": {"at": 1}, "observation": 3, "achieved_goal": {"at": 1}}
        uniform = UniformReplay(100, np.random.default_rng(0), frame_stack=stacks, num_envs=2)
        replay = Case(100, 2, 3, 1, "future", 4, True, False).replay()
        for one in (uniform, replay):
            stream = Stream(2, 3, True)
            for step in range(80):
                one.add(stream.step(["truncates" if step % 10 == 9 else "goes on"] * 2))
            one._enter()
        assert replay._shown == uniform._shown


class Reach(gymnasium.Env):
    """Goals in one dimension; what is wrong with it is said by `fault`."""

    observation_space = spaces.Dict(
        {key: spaces.Box(-9, 9, (1,)) for key in ("observation", "achieved_goal", "desired_goal")}
    )
    action_space = spaces.Discrete(2)

    def __init__(self, fault: str = ""):
        self._fault, self._at = fault, 0.0

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self._at = 0.0
        return self._shown(), {}

    def step(self, action: Any) -> Any:
        self._at += float(action) - 0.5
        shown = self._shown()
        reward = 7.0 if self._fault == "other rewards" else -abs(self._at - 2.0)
        return shown, reward, False, abs(self._at) > 2, {}

    def compute_reward(self, achieved_goal: Any, desired_goal: Any, info: Any) -> Any:
        if self._fault == "single":
            return -float(np.abs(achieved_goal - desired_goal).sum())
        if self._fault == "infos":
            return [one["x"] for one in info]
        return -np.abs(achieved_goal - desired_goal).sum(axis=-1)

    def compute_terminated(self, achieved_goal: Any, desired_goal: Any, info: Any) -> Any:
        return bool(np.abs(achieved_goal - desired_goal).max() < 0.1)

    def _shown(self) -> Any:
        at = np.array([self._at], np.float32)
        return {"observation": at, "achieved_goal": at, "desired_goal": np.array([2.0], np.float32)}


class TestContract:
    def replay(self, env: Any) -> HindsightReplay:
        return HindsightReplay(50, np.random.default_rng(0), goals=env.goals, strategy="future", n_sampled_goal=4)

    def filled(self, env: Any) -> HindsightReplay:
        replay, stream = self.replay(env), made("agent=random", env)
        for rows, _ in zip(stream_of(stream, env, 0), range(20), strict=False):
            replay.add(rows)
        return replay

    @pytest.mark.parametrize("kind", [SerialEnvironment, SubprocessEnvironment])
    def test_rules_come_from_environments_in_this_process_and_others(self, kind: Any) -> None:
        env = kind([Reach, Reach])
        try:
            goals = env.goals()
            assert goals.reward(np.zeros((3, 1)), np.full((3, 1), 2.0)).tolist() == [-2.0] * 3
            assert goals.terminated is not None
            # That of one goal at a time is asked for each.
            assert goals.terminated(np.array([[0.0], [2.0]]), np.full((2, 1), 2.0)).tolist() == [False, True]
        finally:
            env.close()

    def test_a_vector_environment_offers_them_itself(self) -> None:
        class Vector(gymnasium.vector.SyncVectorEnv):
            def compute_reward(self, achieved_goal: Any, desired_goal: Any, info: Any) -> Any:
                return -np.abs(achieved_goal - desired_goal).sum(axis=-1)

        goals = VectorEnvironment(lambda: Vector([Reach])).goals()
        assert goals.reward(np.zeros((2, 1)), np.ones((2, 1))).tolist() == [-1.0, -1.0]
        assert goals.terminated is None
        with pytest.raises(UsageError, match=r"SyncVectorEnv has no compute_reward\("):
            VectorEnvironment(lambda: gymnasium.vector.SyncVectorEnv([Reach])).goals()

    @pytest.mark.parametrize(
        ("fault", "line"),
        [
            ("single", r"must take goals \[B, ...\] at once, .*it returned an array of shape \(\); .*axis=-1"),
            ("infos", r"must take goals \[B, ...\] at once, with an empty info"),
            ("other rewards", r"a step earned 7, and compute_reward says -\d"),
        ],
    )
    def test_what_cannot_be_relabeled_is_refused_in_a_line(self, fault: str, line: str) -> None:
        with pytest.raises(UsageError, match=line):
            self.filled(SerialEnvironment([lambda: Reach(fault)])).sample(8)

    def test_a_wrapper_of_rewards_is_refused(self) -> None:
        twice = lambda: gymnasium.wrappers.TransformReward(Reach(), lambda reward: 2 * reward)  # noqa: E731
        with pytest.raises(UsageError, match="leave out preprocess= that changes rewards or goals"):
            self.filled(SerialEnvironment([twice])).sample(8)

    @pytest.mark.parametrize(
        ("words", "line"),
        [
            (("env=cartpole",), r"needs observations with achieved_goal and desired_goal; Box.* has no achieved_goal"),
            (("env=bit_flip", "preprocess=[test_hindsight.Aimless]"), "has no desired_goal; take replay=uniform"),
            (("env=bit_flip", "replay.strategy=past"), "replay.strategy is 'past', but it must be one of future, fin"),
            (("env=bit_flip", "replay.n_sampled_goal=-1"), "replay.n_sampled_goal is -1; it must be at least 0"),
        ],
    )
    def test_runs_are_refused_before_they_begin(self, words: tuple[str, ...], line: str) -> None:
        with pytest.raises(UsageError, match=line):
            rlkit.train("agent=dqn", "tuned=none", "replay=hindsight", *words, "total_steps=10")

    def test_goals_are_not_stacked(self) -> None:
        replay = HindsightReplay(
            50, np.random.default_rng(0), goals=lambda: GOALS, strategy="final", n_sampled_goal=1, frame_stack=2
        )
        with pytest.raises(UsageError, match="needs goals that are not stacked"):
            replay.add(Stream(1, 2, True).step(["goes on"]))


class Aimless(gymnasium.wrappers.FilterObservation):
    def __init__(self, env: Any):
        super().__init__(env, ["observation", "achieved_goal"])


def flipped(bits: int, replay: str, steps: int, *words: str) -> float:
    """Return the share of goals that DQN reaches after `steps` in BitFlip."""
    config = run_config("agent=dqn", "env=bit_flip", f"env.bits={bits}", f"replay={replay}", "device=cpu", *words)
    env = build.make_environment(config.environment, num_envs=config.num_envs)
    agent = build.make_agent(config.agent_config, env, Seeds(config.seed))
    stream = stream_of(agent, env, 0)
    for _ in train(agent, stream, total_steps=steps):
        pass
    core, reached = BitFlip(bits, None), 0
    held = SerialEnvironment([lambda: core])
    for seed in range(50):
        timestep = held.reset([seed])
        for _ in range(bits):
            action, _ = agent.act(timestep, (), explore=False, rng=np.random.default_rng(0))
            timestep = held.step(action)
            if timestep.last[0]:
                break
        reached += int(timestep.discount[0] == 0)
    return reached / 50


SMALL = ("network.hidden=[64]", "network.joint=64", "agent.double=false", "agent.gamma=0.9", "tuned=none")
QUICK = ("agent.learning_starts=100", "agent.train_freq=4", "agent.batch_size=256", "agent.target_every=10")
SHARP = ("agent.learning_rate=0.005", "agent.epsilon.start=0.3", "agent.epsilon.end=0.2", "agent.epsilon.steps=500")


def test_goals_of_eight_bits_are_reached_soon_with_hindsight_and_not_without() -> None:
    assert flipped(8, "uniform", 2000, *SMALL, *QUICK, *SHARP) < 0.1
    assert flipped(8, "hindsight", 2000, *SMALL, *QUICK, *SHARP) > 0.5


@pytest.mark.slow
def test_goals_of_fifteen_bits_are_reached_with_hindsight_and_not_without() -> None:
    assert flipped(15, "uniform", 15_000) < 0.05
    assert flipped(15, "hindsight", 15_000) > 0.9
