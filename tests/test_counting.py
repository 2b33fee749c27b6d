from hypothesis import given
from hypothesis import strategies as st

from rlkit.counting import multiples


@given(st.integers(0, 60), st.integers(0, 60), st.integers(1, 20), st.integers(0, 80))
def test_multiples_are_those_that_one_finds_by_counting(before: int, steps: int, every: int, first: int) -> None:
    after = before + steps
    counted = [step for step in range(before + 1, after + 1) if step % every == 0 and step >= first]
    assert multiples(before, after, every, first=first) == len(counted)
