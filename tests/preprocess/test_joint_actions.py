"""Several choices as one: every combination has a number, and a mask of choices becomes one of combinations."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

import rlkit
from rlkit.core.types import UsageError
from rlkit.preprocess import JointActions

SPACES = {
    "multi": spaces.MultiDiscrete([2, 3]),
    "from elsewhere": spaces.MultiDiscrete([[2], [3]], start=[[5], [-1]]),
    "binary": spaces.MultiBinary(3),
    "tree": spaces.Dict(a=spaces.Discrete(2, start=7), b=spaces.Tuple((spaces.MultiBinary(2), spaces.Discrete(3)))),
    "one": spaces.Discrete(4, start=1),
}


class Tells(gymnasium.Env[Any, Any]):
    """Says which action it was given, and pays for the greatest one."""

    observation_space = spaces.Discrete(1)

    def __init__(self, space: Any = SPACES["multi"], mask: Any = None):
        self.action_space, self._mask, self.given = space, mask, None
        self.t = 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.t = 0
        return 0, {} if self._mask is None else {"action_mask": self._mask}

    def step(self, action: Any) -> Any:
        self.given, self.t = action, self.t + 1
        reward = float(np.array_equal(action, [1, 2]))
        return 0, reward, self.t == 2, False, {} if self._mask is None else {"action_mask": self._mask}


gymnasium.register("Tells-v0", Tells)


def flat(action: Any) -> tuple[int, ...]:
    parts = (
        list(action.values()) if isinstance(action, dict) else list(action) if isinstance(action, tuple) else [action]
    )
    return tuple(number for part in parts for number in (flat(part) if isinstance(part, tuple) else np.ravel(part)))


@pytest.mark.parametrize("name", SPACES)
def test_every_combination_has_one_number_and_lies_in_the_space(name: str) -> None:
    env = Tells(SPACES[name])
    joint = JointActions(env)
    joint.reset()
    given = []
    for action in range(int(joint.action_space.n)):
        joint.step(action)
        assert env.given in env.action_space
        given.append(flat(env.given))
    assert len(set(given)) == len(given) == {"multi": 6, "from elsewhere": 6, "binary": 8, "tree": 24, "one": 4}[name]
    assert given == sorted(given)  # The last choice changes fastest.


def test_a_combination_is_legal_where_each_choice_is() -> None:
    mask = np.array([True, False, True, True, False])
    joint = JointActions(Tells(SPACES["multi"], mask))
    expected = [bool(mask[a] and mask[2 + b]) for a, b in product(range(2), range(3))]
    assert joint.reset()[1]["action_mask"].tolist() == expected
    assert joint.step(0)[4]["action_mask"].tolist() == expected


def test_what_cannot_be_numbered_is_refused() -> None:
    with pytest.raises(UsageError, match=r"JointActions needs discrete choices, not Box"):
        JointActions(Tells(spaces.Box(0, 1, (2,))))
    with pytest.raises(
        UsageError, match=r"would make 1,048,576 actions of MultiBinary\(20\); it makes at most 100,000"
    ):
        JointActions(Tells(spaces.MultiBinary(20)))


@pytest.mark.parametrize("agent", ["q_learning", "dqn"])
def test_agents_of_one_choice_learn_the_best_combination(agent: str, tmp_path: Path) -> None:
    words = [f"agent={agent}", "env=gym", "env.id=Tells-v0", "tuned=none", "video=none", "logger=[csv]", "eval.every=0"]
    with pytest.raises(UsageError, match=r"number their combinations: preprocess=\[rlkit.preprocess.JointActions\]"):
        rlkit.train(*words, "total_steps=10", run_dir=str(tmp_path / "refused"))
    more = {"q_learning": ["agent.learning_rate=0.3"], "dqn": ["agent.learning_starts=64", "agent.learning_rate=0.01"]}
    run = rlkit.train(
        *(*words, *more[agent], "preprocess=[rlkit.preprocess.JointActions]", "total_steps=300"),
        run_dir=str(tmp_path / "run"),
    )
    assert run.evaluate(5)["return/raw"]["mean"] == 2.0
