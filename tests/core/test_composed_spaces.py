"""Environments whose observations and actions are trees, through everything that carries them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import kills
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv
from locations import ROOT, TESTS
from making import made

from rlkit.agents.random import Random
from rlkit.algorithms.policy_gradient.rollout import EpisodeStore, Rollout
from rlkit.cli.main import main
from rlkit.core import tree
from rlkit.core.array_spaces import as_arrays
from rlkit.core.checkpoint import Store
from rlkit.core.evaluation import evaluate
from rlkit.core.loop import Interaction, interact
from rlkit.core.schedules import Constant
from rlkit.core.seeding import Seeds
from rlkit.core.types import Environment, Transition, UsageError
from rlkit.learners.datasets.demonstrations import EpisodeFolder, read_episodes
from rlkit.play.demonstrate import Noise, record_episodes
from rlkit.replay import PrioritizedReplay, UniformReplay
from rlkit.runs.action_log import ActionLog, ReplayActor
from rlkit.testing import check_agent, check_env
from rlkit.vector.serial import SerialEnvironment
from rlkit.vector.subprocess import SubprocessEnvironment
from rlkit.vector.vector import VectorEnvironment
from toys import ACTIONS, Nested, OwnVector, actions, assert_same

SEEDS = [11, 12, 13]
CONF = ROOT / "conf"


def nested(action_space: Any = ACTIONS) -> gymnasium.Env:
    """Return an environment of trees that counts from zero, as vector environments are to have it."""
    return as_arrays(Nested(action_space))


def vectorised(vector: Callable[..., Any], mode: AutoresetMode) -> Callable[..., Environment]:
    return lambda makes: VectorEnvironment(lambda: vector(makes, autoreset_mode=mode))


ENVIRONMENTS: dict[str, Callable[..., Environment]] = {
    "serial": SerialEnvironment,
    "subprocess": SubprocessEnvironment,
    "sync next-step": vectorised(SyncVectorEnv, AutoresetMode.NEXT_STEP),
    "sync same-step": vectorised(SyncVectorEnv, AutoresetMode.SAME_STEP),
    "sync disabled": vectorised(SyncVectorEnv, AutoresetMode.DISABLED),
    "async next-step": vectorised(AsyncVectorEnv, AutoresetMode.NEXT_STEP),
    "async same-step, pickled": vectorised(
        functools.partial(AsyncVectorEnv, shared_memory=False), AutoresetMode.SAME_STEP
    ),
    "async disabled": vectorised(AsyncVectorEnv, AutoresetMode.DISABLED),
    "own next-step": lambda makes: VectorEnvironment(lambda: OwnVector(makes)),
}


def row(tree: Any, i: int) -> Any:
    """Return the tree of environment `i`, with plain lists and numbers at its leaves."""
    if isinstance(tree, dict):
        return {key: row(part, i) for key, part in tree.items()}
    return tuple(row(part, i) for part in tree) if isinstance(tree, tuple) else tree[i].tolist()


def plain(value: Any) -> Any:
    """Return what an environment showed, its leaves as lists and numbers."""
    if isinstance(value, dict):
        return {key: plain(part) for key, part in value.items()}
    return tuple(map(plain, value)) if isinstance(value, tuple) else np.asarray(value).tolist()


def unbatched(action: Any, i: int) -> Any:
    if isinstance(action, dict):
        return {key: unbatched(part, i) for key, part in action.items()}
    return tuple(unbatched(part, i) for part in action) if isinstance(action, tuple) else action[i]


def naive(make: Callable[[], gymnasium.Env], i: int, decisions: int) -> list[Any]:
    """Return what environment `i` goes through, from Gymnasium's own interface."""
    env = make()
    observation, rows = plain(env.reset(seed=SEEDS[i])[0]), []
    for k in range(decisions):
        action = unbatched(actions(env.action_space, len(SEEDS), k), i)
        reached, reward, terminated, truncated, _ = env.step(action)
        reached = plain(reached)
        rows.append(
            (
                observation,
                plain(action),
                float(np.float32(reward)),
                float(not terminated),
                reached,
                bool(terminated or truncated),
            )
        )
        observation = plain(env.reset()[0]) if terminated or truncated else reached
    return rows


@pytest.mark.parametrize("name", ENVIRONMENTS)
@pytest.mark.parametrize(
    "space", [ACTIONS, spaces.Dict(a=spaces.MultiBinary(2), b=spaces.Discrete(4))], ids=["tuple", "dict"]
)
def test_valid_transitions_are_those_of_gymnasium_in_every_mode(name: str, space: Any) -> None:
    make = functools.partial(nested, space)
    env = ENVIRONMENTS[name]([make] * 3)
    rows: list[list[Any]] = [[] for _ in SEEDS]
    now, kept = env.reset(SEEDS), []
    try:
        while min(map(len, rows)) < 25:
            batches = {k: actions(env.action_space, 3, k) for k in {len(done) for done in rows}}
            each = [unbatched(batches[len(rows[i])], i) for i in range(3)]
            action = restacked(each)
            after = env.step(action)
            for i in np.flatnonzero(after.valid):
                facts = float(after.reward[i]), float(after.discount[i])
                rows[i].append(
                    (
                        row(now.observation, i),
                        row(action, i),
                        *facts,
                        row(after.next_observation, i),
                        bool(after.last[i]),
                    )
                )
            kept.append((after.observation, repr(after.observation)))
            now = after
    finally:
        env.close()
    assert [done[:25] for done in rows] == [naive(make, i, 25) for i in range(3)]
    assert {(done[3], done[5]) for done in rows[0] + rows[1] + rows[2]} >= {(1.0, False), (0.0, True)}
    assert all(repr(observation) == before for observation, before in kept), "what was shown must not change later"
    assert env.observation_space.contains(unbatched(now.observation, 1))


def restacked(each: list[Any]) -> Any:
    """Return actions of single environments as one tree with leading N."""
    first = each[0]
    if isinstance(first, dict):
        return {key: restacked([action[key] for action in each]) for key in first}
    return tuple(map(restacked, zip(*each, strict=True))) if isinstance(first, tuple) else np.stack(each)


class Hoarder:
    """Acts at random and keeps what it sees: in a replay or two, a rollout and whole episodes."""

    def __init__(self, env: Environment, n_step: int):
        seeds = Seeds(5)
        self._actor = Random(env.action_space)
        self._replay = UniformReplay(150, seeds.generator("uniform"), n_step=n_step, num_envs=env.num_envs)
        self._favoring = PrioritizedReplay(
            90, seeds.generator("prioritized"), n_step=n_step, alpha=0.6, beta=Constant(0.4), epsilon=0.01
        )
        self._rollout, self._episodes = Rollout(7), EpisodeStore(env.num_envs, 4)
        self.learned: list[Any] = []
        self._parts = {
            "uniform": self._replay,
            "prioritized": self._favoring,
            "rollout": self._rollout,
            "episodes": self._episodes,
        }

    def initial_memory(self, n: int) -> Any:
        return {"steps": np.zeros(n, np.int64), "last": (np.zeros((n, 2), np.float32), [np.zeros(n, bool)])}

    def act(self, timestep: Any, memory: Any, *, explore: bool, rng: np.random.Generator) -> Any:
        action, _ = self._actor.act(timestep, (), explore=explore, rng=rng)
        place = timestep.observation["where"][0]
        return action, {"steps": memory["steps"] + 1, "last": (place.copy(), [memory["steps"] > 2])}

    def observe(self, transition: Transition) -> None:
        rows = {"observation": transition.observation, "action": transition.action, "steps": transition.memory["steps"]}
        for replay in (self._replay, self._favoring):
            replay.add(transition)
        self._rollout.add(rows, transition.valid)
        self._episodes.add(rows, transition.valid, transition.last)

    def update(self) -> Any:
        if self._rollout.full:
            self.learned.append({name: plain(column) for name, column in self._rollout.columns.items()})
            self._rollout.clear()
        if self._episodes.ready(2):
            self.learned.append(self._episodes.take(2))
            if self._episodes.empty:
                self._episodes.clear()
        if len(self._replay) > 20:
            batch = self._favoring.sample(8, 0.9)
            self._favoring.update_priorities(batch.index, np.abs(batch.observation["where"][0][:, 0]) / 99)
            self.learned += [self._replay.sample(4, 0.9)._asdict(), batch._asdict()]
        return None

    def state_dict(self) -> Any:
        return {name: part.state_dict() for name, part in self._parts.items()}

    def load_state_dict(self, state: Any) -> None:
        for name, part in self._parts.items():
            part.load_state_dict(state[name])


def training(env: Environment, truncate_every: int, n_step: int) -> tuple[Hoarder, Interaction]:
    agent = Hoarder(env, n_step)
    seeds = lambda step: Seeds(7).integers("episodes", step, size=env.num_envs)  # noqa: E731
    rng = np.random.default_rng(0)
    return agent, interact(agent, env, explore=True, rng=rng, reset_seeds=seeds, truncate_every=truncate_every)


def advance(agent: Hoarder, stream: Interaction, steps: int) -> list[Any]:
    seen = []
    while stream.steps < steps:
        transition = next(stream)
        agent.observe(transition)
        agent.update()
        seen.append(transition._replace(info=transition.info._asdict())._asdict())
    return seen


@pytest.mark.parametrize(
    ("name", "n_step"), [("serial", 3), ("subprocess", 1), ("sync next-step", 1), ("own next-step", 2)]
)
def test_a_run_taken_up_from_a_checkpoint_goes_on_as_if_nothing_had_been(
    name: str, n_step: int, tmp_path: Path
) -> None:
    truncate_every = 0 if name in ("serial", "subprocess") else 50
    make = Nested if name in ("serial", "subprocess") else nested
    env, other = (ENVIRONMENTS[name]([make] * 3) for _ in range(2))
    try:
        agent, stream = training(env, truncate_every, n_step)
        advance(agent, stream, 100)
        Store(tmp_path).save(1, {"agent": agent.state_dict(), "stream": stream.state_dict()})
        del agent.learned[:]
        after = advance(agent, stream, 190)
        resumed, taken_up = training(other, truncate_every, n_step)
        state = Store(tmp_path).load(1)
        resumed.load_state_dict(state["agent"])
        taken_up.load_state_dict(state["stream"])
        assert_same(advance(resumed, taken_up, 190), after)
        assert taken_up.reproduced
        assert len(agent.learned) > 50
        assert_same(resumed.learned, agent.learned)
    finally:
        env.close()
        other.close()


@pytest.mark.parametrize("location", ["memory", "disk"])
def test_a_replay_holds_the_newest_transitions_of_trees(location: str, tmp_path: Path) -> None:
    env = SerialEnvironment([Nested] * 2)
    replay = UniformReplay(37, np.random.default_rng(0), location=location, scratch=tmp_path, num_envs=2)
    stream = training(env, 0, 1)[1]
    known = []
    for _ in range(60):
        transition = next(stream)
        replay.add(transition)
        known += [
            (row(transition.observation, i), row(transition.action, i), row(transition.next_observation, i))
            for i in range(2)
        ]
        stored = replay.everything()
        found = [
            (row(stored.observation, i), row(stored.action, i), row(stored.next_observation, i))
            for i in range(len(stored.reward))
        ]
        assert found == known[-37:]
    batch = replay.sample(16)
    assert all(
        (row(batch.observation, i), row(batch.action, i), row(batch.next_observation, i)) in known for i in range(16)
    )
    assert batch.observation["where"][0].dtype == np.float32
    assert batch.action[1]["force"].flags.c_contiguous


def test_stacked_frames_of_a_tree_lie_in_memory_once() -> None:
    make = lambda: gymnasium.wrappers.FrameStackObservation(Nested(), 3)  # noqa: E731
    env = SerialEnvironment([make] * 2)
    assert env.frame_stack == 3
    replay = UniformReplay(60, np.random.default_rng(0), frame_stack=3, num_envs=2)
    stream = training(env, 0, 1)[1]
    stream._agent = Random(env.action_space)
    known = []
    for _ in range(50):
        transition = next(stream)
        replay.add(transition)
        known += [(row(transition.observation, i), row(transition.next_observation, i)) for i in range(2)]
    stored = replay.everything()
    n = len(stored.reward)
    assert n == 60
    assert [(row(stored.observation, i), row(stored.next_observation, i)) for i in range(n)] == known[-n:]
    assert replay._shown < 1.9 * len(known)


def test_random_actions_are_mixed_into_those_of_an_agent_and_masks_reach_every_choice() -> None:
    space = spaces.Tuple([spaces.Discrete(3), spaces.Dict(x=spaces.MultiBinary(2), y=spaces.MultiDiscrete([2, 4]))])
    mask = np.array([0, 1, 1, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1], bool)

    class Masked(Nested):
        def _mask(self) -> Any:
            return mask

        def step(self, action: Any) -> Any:
            taken.append((int(action[0]), action[1]["x"].tolist(), action[1]["y"].tolist()))
            return super().step(action)

    taken: list[Any] = []
    env = SerialEnvironment([lambda: Masked(space)] * 2, action_mask=True)
    scores = evaluate(
        Random(space),
        env,
        episodes=20,
        max_steps=9,
        rng=np.random.default_rng(0),
        episode_seeds=list(range(20)),
        epsilon=0.5,
    )
    assert len(scores) == 20
    assert {(first, *x, *y) for first, x, y in taken} == {(a, 0, 1, 0, c) for a in (1, 2) for c in (2, 3)}


TOY = "env=cartpole env._target_=toys.Nested ~env.id ~env.kwargs"
PLAYING = ("random", "mcts")
WORDS = {
    **dict.fromkeys(("cloning", "cql", "gail", "iql", "td3_bc"), "agent.episodes=x"),
    "bandit": "learner@agent.estimator=factorization",
    "dqn": "agent.learning_starts=8 agent.batch_size=8",
    "ppo": "agent.n_steps=8 agent.batch_size=8 agent.epochs=2",
    "reinforce": "agent.episodes=2 agent.baseline_episodes=1",
    "es": "agent.population=2",
    "fitted_q": "agent.first_fit=20 agent.n_iterations=2",
}
READING = (
    *("a2c", "actor_critic", "bandit", "cloning", "ddpg", "dqn", "es", "fitted_q", "impala", "ppo", "reinforce"),
    *("cql", "gail", "go_explore", "iql", "mappo", "pqn", "sac", "td3", "td3_bc", "vdn"),
)
"""Agents that take observations of any kind."""
OF_GAMES = ("cfr", "cfr_plus", "qmix")
"""Agents that ask for a game of their own, which their tests have."""


@pytest.mark.parametrize(
    "agent", sorted(path.stem for path in CONF.glob("agent/*.yaml") if path.stem not in PLAYING + READING + OF_GAMES)
)
def test_agents_that_need_states_or_rows_refuse_trees_in_one_line(agent: str) -> None:
    env = SerialEnvironment([lambda: Nested(spaces.Discrete(3))])
    line = r"^[^\n]*needs (discrete )?observations[^\n]*, not Dict[^\n]*; agents with networks, as agent=dqn, [^\n]*$"
    with pytest.raises(UsageError, match=line):
        made(f"agent={agent} {WORDS.get(agent, '')}", env)


def test_a_flattening_wrapper_is_the_remedy() -> None:
    env = SerialEnvironment([lambda: gymnasium.wrappers.FlattenObservation(Nested(spaces.Discrete(3)))])
    agent = made("agent=dqn env=cartpole", env)
    assert next(interact(agent, env, explore=True, rng=np.random.default_rng(0), reset_seeds=lambda _: [1])).valid


def test_the_contracts_of_environments_and_agents_hold_for_trees() -> None:
    found = check_env(Nested, steps=150, strict=True)
    found += check_agent(lambda env, seeds: Random(env.action_space), Nested, steps=60, strict=True)
    found += check_env(lambda: OwnVector([nested] * 2), steps=60, strict=True)
    assert all(result.passed for result in found)


@pytest.mark.parametrize(
    ("wrong", "line"),
    [
        (lambda shown: {**shown, "image": shown["image"].astype(float)}, "returned an observation float64"),
        (lambda shown: {"image": shown["image"]}, "with other parts than Dict"),
    ],
    ids=["dtype", "parts"],
)
def test_the_contract_notices_a_part_that_does_not_fit(wrong: Callable[[Any], Any], line: str) -> None:
    class Wrong(Nested):
        def _observation(self) -> Any:
            return wrong(super()._observation())

    with pytest.raises(UsageError, match=f"observations_fit_the_space.*{line}"):
        check_env(Wrong, steps=20)


def test_logged_actions_of_trees_are_played_again(tmp_path: Path) -> None:
    first = nested().action_space.sample()
    action = tree.stack([first, first])
    rows, dtypes = tree.map(lambda part: part[0].tolist(), action), tree.map(lambda part: part.dtype.str, action)
    environment = {"env": {"_target_": "rlkit.envs.maze.Maze"}, "preprocess": [], "action_mask": False}
    log = ActionLog(environment, 1, [rows], dtypes, 0, {})
    again, _ = ReplayActor(ActionLog.read(log.write(tmp_path / "log"))).act(None, (), explore=False, rng=None)
    assert_same(again, tree.take(action, slice(1)))


def test_recordings_of_trees_are_read_as_they_were_shown(tmp_path: Path) -> None:
    env = SerialEnvironment([lambda: Nested(spaces.Discrete(3))])
    keys = {"name": "x", "episodes": 3, "seed": 0, "noise": Noise(0, 1), "max_steps": 5}
    folder = EpisodeFolder(tmp_path / "episodes", {"observation_space": "o", "action_space": "a"}, 2)
    lengths = [facts["length"] for facts in record_episodes(Random(env.action_space), env, folder, **keys)]
    folder.save()
    recorded = read_episodes(tmp_path / "episodes")
    rows = [row(recorded.observation, i) for i in range(sum(lengths))]
    assert all(env.observation_space.contains(tree.take(recorded.observation, i)) for i in range(len(rows)))
    assert list(recorded.observation) == list(env.observation_space)
    following = [row(recorded.next_observation, i) for i in range(len(rows))]
    ends = np.flatnonzero(recorded.last)
    assert [following[i] == rows[i + 1] for i in range(len(rows) - 1) if i not in ends] == [True] * (len(rows) - 3)
    assert [following[i] for i in ends] == [row(recorded.final_observation, k) for k in range(3)]


@pytest.mark.slow
def test_a_killed_run_of_a_random_agent_ends_as_if_it_had_not_been(tmp_path: Path) -> None:
    words = f"agent=random {TOY} num_envs=2 vectorization=async total_steps=4000"
    rows = kills.run_case(words, tmp_path, kills=4, writing=2, pythonpath=str(TESTS), trust="toys")
    assert [row["different"] for row in rows] == [""] * len(rows)


def test_the_command_trains_a_random_agent_and_scores_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = "total_steps=60 eval.every=60 eval.episodes=2 video=none logger=[csv] num_envs=2 run_dir=run"
    assert main(["train", "agent=random", *TOY.split(), *words.split()]) == 0
    assert main(["eval", "run=run", "episodes=3", "epsilon=0.5", "trust=toys"]) == 0
