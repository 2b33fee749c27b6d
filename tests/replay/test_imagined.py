import numpy as np

from rlkit.core.types import Array
from rlkit.replay.imagined import ImaginedReplay


def rows(*numbers: int) -> tuple[Array, ...]:
    column = np.array(numbers, np.float32)
    return column[:, None], column[:, None], column, np.ones(len(column), np.float32), column[:, None] + 1


def kept(replay: ImaginedReplay) -> set[float]:
    batch = replay.sample(500)
    assert np.array_equal(batch.next_observation, batch.observation + 1)
    assert np.array_equal(batch.reward, batch.action[:, 0])
    return set(batch.reward.tolist())


def test_the_newest_are_kept() -> None:
    replay = ImaginedReplay(4, np.random.default_rng(0))
    replay.add(*rows(0, 1, 2))
    assert kept(replay) == {0, 1, 2}
    replay.add(*rows(3, 4))
    assert kept(replay) == {1, 2, 3, 4}
    replay.add(*rows(*range(10, 20)))
    assert kept(replay) == {16, 17, 18, 19}
    assert len(replay) == 4


def test_a_state_brings_all_back() -> None:
    replay, other = (ImaginedReplay(4, np.random.default_rng(seed)) for seed in (0, 1))
    replay.add(*rows(0, 1, 2))
    other.load_state_dict(replay.state_dict())
    for one in (replay, other):
        one.add(*rows(3, 4, 5))
    assert np.array_equal(replay.sample(50).reward, other.sample(50).reward)
    assert kept(other) == {2, 3, 4, 5}
