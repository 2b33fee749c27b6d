from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch

from rlkit.core.seeding import Seeds

EPISODES = [1479524718, 1216453559, 1216515445]
ACTIONS = [4318810567202482771, 832457268384281953, 341944235628014926, 3484430138349570732]


def draws(generator: Any) -> list[int]:
    return generator.integers(2**62, size=4).tolist()


def test_the_same_name_gives_the_same_stream_and_another_name_another() -> None:
    seeds = Seeds(3)
    streams = [draws(seeds.generator(*key)) for key in (("a",), ("b",), ("a", 0), ("a", 1), ("a", 0, 1))]
    assert streams[0] == draws(Seeds(3).generator("a"))
    assert len({tuple(stream) for stream in streams}) == 5


def test_another_seed_gives_another_stream() -> None:
    assert draws(Seeds(0).generator("a")) != draws(Seeds(1).generator("a"))


def test_asking_for_one_stream_shifts_no_other() -> None:
    seeds = Seeds(3)
    first = draws(seeds.generator("a"))
    draws(seeds.generator("new"))
    seeds.integers("more", size=3)
    assert draws(seeds.generator("a")) == first


def test_streams_are_the_same_in_every_process_and_for_ever() -> None:
    # These numbers are in checkpoints and published results: a change of them breaks both.
    assert Seeds(0).integers("episodes", 0, size=3) == EPISODES
    assert draws(Seeds(7).generator("actions")) == ACTIONS
    script = "from rlkit.core.seeding import Seeds; print(Seeds(0).integers('episodes', 0, size=3))"
    assert subprocess.check_output([sys.executable, "-c", script], text=True) == f"{EPISODES}\n"


def test_seeds_for_simulators_fit_in_31_bits_and_differ() -> None:
    numbers = Seeds(0).integers("a", 5, size=1000)
    assert all(type(number) is int and 0 <= number < 2**31 for number in numbers)
    assert len(set(numbers)) == 1000
    assert Seeds(0).integers("a", 5, size=10) == numbers[:10]


def test_nothing_touches_the_global_generators() -> None:
    before, before_torch = np.random.get_state()[1].tolist(), torch.random.get_rng_state()  # noqa: NPY002
    seeds = Seeds(3)
    draws(seeds.generator("a"))
    torch.rand(3, generator=seeds.torch_generator("a"))
    assert np.random.get_state()[1].tolist() == before  # noqa: NPY002
    assert torch.equal(torch.random.get_rng_state(), before_torch)


def test_a_torch_generator_is_keyed_by_name_too() -> None:
    streams = [torch.rand(3, generator=Seeds(3).torch_generator(name)).tolist() for name in ("a", "a", "b")]
    assert streams[0] == streams[1] != streams[2]


@pytest.mark.parametrize("seed", [0, 1, 2**63])
def test_any_non_negative_seed_will_do(seed: int) -> None:
    assert len(Seeds(seed).integers("a", size=2)) == 2
