"""Learning from a model of what lately happened: against plain twins, by hand, and in mazes."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st

from rlkit.agents.dyna_q import DynaQ
from rlkit.agents.dyna_q_plus import DynaQPlus
from rlkit.agents.prioritized_sweeping import PrioritizedSweeping
from rlkit.algorithms.model_based.outcomes import make_outcomes, record
from rlkit.algorithms.model_based.tabular_planning import (
    RatedTable,
    make_predecessors,
    make_queue,
    plan,
    pop,
    raise_priority,
    sweep,
)
from rlkit.algorithms.tabular.traces import Step
from rlkit.core.loop import interact, train
from rlkit.core.schedules import Constant
from rlkit.envs.changing_maze import ChangingMaze
from rlkit.envs.maze import Maze
from rlkit.vector.serial import SerialEnvironment

GAMMA, STATES, ACTIONS = 0.9, 5, 2


def table(rate: float = 0.5, decay: float = 0.0) -> RatedTable:
    return RatedTable(np.zeros((STATES, ACTIONS)), np.zeros((STATES, ACTIONS), np.int64), rate, decay)


def step(s: int, a: int, r: float, s_t: int, ended: bool = False, **masks: Any) -> Step:
    return Step(s, a, r, 0.0 if ended else GAMMA, s_t, ended, masks.get("legal_tm1"), masks.get("legal_t"))


STEPS = st.lists(
    st.builds(
        step,
        st.integers(0, STATES - 1),
        st.integers(0, ACTIONS - 1),
        st.sampled_from([-1.0, 0.0, 0.5, 2.0]),
        st.integers(0, STATES - 1),
        st.booleans(),
    ),
    min_size=1,
    max_size=30,
)


def agent_of(kind: type[DynaQ], **changed: Any) -> DynaQ:
    keys = {
        **{"gamma": GAMMA, "epsilon": Constant(0.1), "epsilon_counts": "steps", "learning_rate": 0.5},
        **{"learning_rate_decay": 0.0, "initial_value": 0.0, "discretizer": None, "n_step": 1, "trace_decay": 0.0},
        **{"planning_steps": 5, "outcomes": 1, "rng": np.random.default_rng(1)},
        **{"observation_space": spaces.Discrete(STATES), "action_space": spaces.Discrete(ACTIONS), **changed},
    }
    return kind(**keys)


class TestTheModel:
    def test_it_keeps_the_last_outcomes(self) -> None:
        model = make_outcomes(STATES, ACTIONS, 2, GAMMA)
        outcomes = [step(3, 1, 1.0, 4), step(3, 1, 2.0, 4), step(3, 1, 3.0, 4, True)]
        assert [record(model, one) for one in outcomes] == [0, 1, 0]
        assert model.reward[3, 1].tolist() == [3, 2]
        assert model.discount[3, 1].tolist() == [0, GAMMA]
        assert (model.tries[3, 1], model.tried_at[3, 1]) == (3, 3)
        assert (model.seen[:2].tolist(), model.clock.tolist()) == ([3, -1], [1, 3])

    def test_what_is_legal_is_what_was_seen_last(self) -> None:
        model = make_outcomes(STATES, ACTIONS, 1, GAMMA)
        record(model, step(0, 1, 0, 2, legal_tm1=np.array([False, True]), legal_t=np.array([True, False])))
        assert model.legal.tolist() == [[False, True], [True, True], [True, False], [True, True], [True, True]]


class TestPlanning:
    def test_one_known_outcome_is_learned_by_the_formula(self) -> None:
        model, q = make_outcomes(STATES, ACTIONS, 1, GAMMA), table(rate=0.5)
        q.values[4] = [2.0, 1.0]
        record(model, step(3, 1, 1.0, 4))
        plan(q, model, 2, 0.0, False, np.random.default_rng(0))
        first = 0.5 * (1 + GAMMA * 2)
        assert q.values[3, 1] == pytest.approx(first + 0.5 * (1 + GAMMA * 2 - first))
        assert (q.values[3, 0], q.visits[3, 1]) == (0, 2)

    def test_illegal_actions_promise_nothing(self) -> None:
        model, q = make_outcomes(STATES, ACTIONS, 1, GAMMA), table(rate=1.0)
        q.values[4] = [2.0, 1.0]
        record(model, step(3, 1, 1.0, 4, legal_t=np.array([False, True])))
        plan(q, model, 1, 0.0, False, np.random.default_rng(0))
        assert q.values[3, 1] == pytest.approx(1 + GAMMA)

    def test_what_was_not_tried_for_long_is_worth_more(self) -> None:
        model, q = make_outcomes(STATES, ACTIONS, 1, GAMMA), table(rate=1.0)
        record(model, step(3, 1, 1.0, 4, True))
        model.clock[1] = 17
        plan(q, model, 600, 0.25, True, np.random.default_rng(0))
        assert q.values[3, 1] == pytest.approx(1 + 0.25 * math.sqrt(16))
        # Of the other one nothing is known but that it was never tried, and one would stay.
        assert q.values[3, 0] == pytest.approx(0.25 * math.sqrt(17) / (1 - GAMMA))

    def test_states_and_actions_and_outcomes_are_drawn_evenly(self) -> None:
        model = make_outcomes(STATES, ACTIONS, 2, GAMMA)
        for s, a, r in ((0, 0, 1.0), (0, 0, 3.0), (0, 1, 0.0), (2, 1, 0.0)):
            record(model, step(s, a, r, 4, True))
        q = table(rate=1.0, decay=1.0)  # means
        plan(q, model, 8000, 0.0, False, np.random.default_rng(0))
        assert q.visits[[0, 0, 2], [0, 1, 1]] / 8000 == pytest.approx([0.25, 0.25, 0.5], abs=0.02)
        assert q.values[0, 0] == pytest.approx(2.0, abs=0.06)

    @settings(max_examples=5, deadline=None)
    @given(STEPS, st.integers(1, 3), st.booleans())
    def test_compiled_and_in_python_it_is_the_same(self, steps: list[Step], kept: int, untried: bool) -> None:
        results = []
        for function in (plan, plan.py_func):
            model, q, rng = make_outcomes(STATES, ACTIONS, kept, GAMMA), table(0.3, 0.65), np.random.default_rng(3)
            for one in steps:
                record(model, one)
            function(q, model, 12, 0.1 if untried else 0.0, untried, rng)
            results.append((q.values.tobytes(), q.visits.tobytes(), rng.random()))
        assert results[0] == results[1]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.sampled_from([0.5, 1.0, 2.0, 3.0])) | st.none(), max_size=60))
def test_the_queue_is_a_sorted_list(calls: list[tuple[int, float] | None]) -> None:
    queue, twin = make_queue(10), dict[int, float]()
    for call in calls:
        if call is not None:
            raise_priority.py_func(queue, *call)
            twin[call[0]] = max(call[1], twin.get(call[0], 0.0))
        elif twin:
            expected = min(twin, key=lambda pair: (-twin[pair], pair))
            del twin[expected]
            assert pop.py_func(queue) == expected
        assert queue.size[0] == len(twin)
        assert {int(pair): queue.priority[pair] for pair in np.flatnonzero(queue.priority)} == twin


class PlainSweeping:
    """The book's algorithm with dictionaries and a list, by means over the outcomes that are kept."""

    def __init__(self, kept: int, rate: float, threshold: float, most: int):
        self.kept, self.rate, self.threshold, self.most = kept, rate, threshold, most
        self.q: dict[tuple[int, int], float] = defaultdict(float)
        self.model: dict[tuple[int, int], list[tuple[float, float, int]]] = defaultdict(list)
        self.queue: dict[tuple[int, int], float] = {}

    def error(self, pair: tuple[int, int]) -> float:
        outcomes = self.model[pair]
        total = 0.0
        for reward, discount, s_t in outcomes:
            total += reward + discount * max(self.q[s_t, a] for a in range(ACTIONS))
        return total / len(outcomes) - self.q[pair]

    def consider(self, pair: tuple[int, int]) -> None:
        priority = abs(self.error(pair))
        if priority > self.threshold:
            self.queue[pair] = max(priority, self.queue.get(pair, 0.0))

    def learn(self, one: Step) -> None:
        pair = one.s_tm1, one.a_tm1
        self.model[pair] = [*self.model[pair], (one.r_t, one.discount_t, one.s_t)][-self.kept :]
        self.consider(pair)
        for _ in range(self.most):
            if not self.queue:
                break
            first = min(self.queue, key=lambda known: (-self.queue[known], known))
            del self.queue[first]
            self.q[first] += self.rate * self.error(first)
            self.consider(first)
            for before, outcomes in list(self.model.items()):
                if any(s_t == first[0] for _, _, s_t in outcomes):
                    self.consider(before)


class TestSweeping:
    @settings(max_examples=40, deadline=None)
    @given(STEPS, st.integers(1, 3), st.sampled_from([0.5, 1.0]), st.sampled_from([0.0, 0.01, 0.3]))
    def test_it_is_the_book_s(self, steps: list[Step], kept: int, rate: float, threshold: float) -> None:
        keys = {"planning_steps": 4, "outcomes": kept, "learning_rate": rate, "threshold": threshold}
        agent: Any = agent_of(PrioritizedSweeping, **keys)
        twin = PlainSweeping(kept, rate, threshold, 4)
        for one in steps:
            agent.learn(0, one)
            twin.learn(one)
        expected = [[twin.q[s, a] for a in range(ACTIONS)] for s in range(STATES)]
        # The order of addition over outcomes differs, and so may what is next of two that are as urgent.
        assert agent.q_values == pytest.approx(np.array(expected), abs=1e-9) or kept > 1

    @settings(max_examples=5, deadline=None)
    @given(STEPS, st.integers(1, 3))
    def test_compiled_and_in_python_it_is_the_same(self, steps: list[Step], kept: int) -> None:
        results = []
        for function in (sweep, sweep.py_func):
            model, q = make_outcomes(STATES, ACTIONS, kept, GAMMA), table(0.7)
            links, queue = make_predecessors(STATES, model.reward.size), make_queue(model.tries.size)
            for one in steps:
                record(model, one)
            for one in steps:
                function(q, model, links, queue, one.s_tm1, one.a_tm1, 0.01, 3)
            results.append((q.values.tobytes(), q.visits.tobytes(), queue.heap[: queue.size[0]].tobytes()))
        assert results[0] == results[1]


MAZE = ".......#E\n..#....#.\nS.#....#.\n..#......\n.....#...\n........."
"""Example 8.1 of the book, where 14 steps are the fewest."""

OPEN = "........E\n.........\n.........\n{}\n.........\n...S....."


def maze() -> Maze:
    return Maze(MAZE, 0.0, 1.0, 0.0, 0.0, True, False, 0.0, None)


def played(kind: type[DynaQ], env: Any, seed: int, steps: int, **keys: Any) -> tuple[DynaQ, list[int], float]:
    """Return the agent, the lengths of its episodes, and the sum of rewards after so many steps."""
    vector = SerialEnvironment([env])
    found = {"observation_space": vector.observation_space, "action_space": vector.action_space}
    agent = agent_of(kind, gamma=0.95, rng=np.random.default_rng([seed, 1]), **found, **keys)
    stream = interact(agent, vector, explore=True, rng=np.random.default_rng(seed), reset_seeds=lambda t: [seed])
    lengths, total = [0], 0.0
    for transition, _ in train(agent, stream, total_steps=steps):
        lengths[-1] += 1
        total += float(transition.reward[0])
        if transition.last[0]:
            lengths.append(0)
    return agent, lengths[:-1], total


def test_what_is_planned_spares_steps() -> None:
    def ends(planned: int, seed: int) -> int:
        return len(played(DynaQ, maze, seed, 2000, planning_steps=planned, learning_rate=0.1)[1])

    assert min(ends(50, seed) for seed in range(3)) > 2 * max(ends(0, seed) for seed in range(3))


def test_a_shorter_way_is_found_by_who_tries_again_what_it_has_not_tried() -> None:
    def opened() -> ChangingMaze:
        ways = [OPEN.format(row) for row in (".########", ".#######.")]
        return ChangingMaze(ways, [1200], 0.0, 1.0, 0.0, None)

    keys = {"planning_steps": 30, "learning_rate": 1.0}
    plain = [played(DynaQ, opened, seed, 3000, **keys)[2] for seed in range(2)]
    curious = [played(DynaQPlus, opened, seed, 3000, bonus=0.001, **keys)[2] for seed in range(2)]
    assert min(curious) > max(plain) + 20


def test_sweeping_by_priority_needs_a_fifth_of_the_updates() -> None:
    def updates(kind: type[DynaQ], seed: int, **keys: Any) -> int:
        agent, lengths, _ = played(kind, maze, seed, 2500, learning_rate=1.0, **keys)
        assert np.median(lengths[-10:]) <= 18  # 14, and what chance makes of them
        return agent.updates

    assert updates(PrioritizedSweeping, 0, threshold=1e-4) * 5 <= updates(DynaQ, 0)


class TestChangingMaze:
    DRAWINGS = ("S.E\n###", "S#E\n...")

    def env(self, *changes: int, **keys: Any) -> ChangingMaze:
        return ChangingMaze(self.DRAWINGS, changes, **{"step": 0.0, "exit": 1.0, "slip": 0.0, "max_steps": 9, **keys})

    def test_walls_change_once_the_agent_is_where_none_will_be(self) -> None:
        env = self.env(1)
        assert env.reset(seed=0)[0] == 0
        state, _, _, _, info = env.step(1)
        assert (state, info["action_mask"].tolist()) == (1, [0, 1, 0, 1])  # A wall would be here: as before.
        state, _, _, _, info = env.step(3)
        assert (state, info["action_mask"].tolist()) == (0, [0, 0, 1, 0])
        assert [env.step(action)[0] for action in (2, 1, 1)] == [3, 4, 5]
        assert env.step(0)[:3] == (2, 1.0, True)
        assert env.reset()[1]["action_mask"].tolist() == [0, 0, 1, 0]
        assert env.reset(seed=0)[1]["action_mask"].tolist() == [0, 1, 0, 0]

    @pytest.mark.parametrize(
        ("drawings", "changes", "line"),
        [
            (DRAWINGS, (), r"^env.changes_at is \[\] for 2 drawings; give one fewer, each larger than the one before$"),
            ((*DRAWINGS, DRAWINGS[0]), (5, 5), r"^env.changes_at is \[5, 5\] for 3 drawings"),
            (("S.E", "S.E\n..."), (5,), r"^env.drawings are of 1 x 3 and 2 x 3 cells; draw one size$"),
        ],
    )
    def test_mistakes_are_told_in_a_line(self, drawings: Any, changes: Any, line: str) -> None:
        with pytest.raises(Exception, match=line):
            ChangingMaze(drawings, changes, 0.0, 1.0, 0.0, None)
