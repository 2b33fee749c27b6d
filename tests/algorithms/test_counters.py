from hypothesis import given
from hypothesis import strategies as st
from transitions import transition

from rlkit.algorithms.counters import Counts
from rlkit.core.schedules import multiples


@given(st.integers(0, 60), st.integers(0, 60), st.integers(1, 20), st.integers(0, 80))
def test_multiples_are_those_that_one_finds_by_counting(before: int, steps: int, every: int, first: int) -> None:
    after = before + steps
    counted = [step for step in range(before + 1, after + 1) if step % every == 0 and step >= first]
    assert multiples(before, after, every, first=first) == len(counted)


def test_rows_that_are_steps_are_counted_and_of_those_the_ends_of_episodes() -> None:
    rows = transition([0, 1, 2], [0, 0, 0], [0, 0, 0], [0.0, 1.0, 0.0], [1, 2, 3], valid=[True, True, False])
    counts, other = Counts(), Counts()
    for _ in range(3):
        counts.add(rows)
    other.load_state_dict(counts.state_dict())
    for one in (counts, other):
        assert (one.of("steps"), one.of("episodes")) == (6, 3)
