"""Distributions over actions, beside torch's own."""

from __future__ import annotations

from math import log
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch import Tensor, distributions

from rlkit.core.types import UsageError
from rlkit.networks import action_distribution

BOX = spaces.Box(np.array([-2.0, 0.0], np.float32), np.array([2.0, 1.0], np.float32))
ROWS = 20_000


def oracle(space: Any, parameters: Tensor) -> Any:
    if isinstance(space, spaces.Discrete):
        return distributions.Categorical(logits=parameters)
    if isinstance(space, spaces.MultiBinary):
        return distributions.Independent(distributions.Bernoulli(logits=parameters), 1)
    mean, log_std = parameters.chunk(2, 1)
    return distributions.Independent(distributions.Normal(mean, log_std.exp()), 1)


@pytest.mark.parametrize("space", [spaces.Discrete(4), spaces.MultiBinary(3), BOX], ids=["discrete", "binary", "box"])
def test_probabilities_and_entropies_are_torch_s(space: Any) -> None:
    ours = action_distribution(space, squash=False)
    parameters = torch.randn(50, ours.parameters, generator=torch.Generator().manual_seed(0))
    sample = ours.sample(parameters, torch.from_numpy(ours.noise(50, np.random.default_rng(0))))
    torch.testing.assert_close(ours.log_prob(parameters, sample), oracle(space, parameters).log_prob(sample))
    torch.testing.assert_close(ours.entropy(parameters), oracle(space, parameters).entropy())


def test_choices_at_once_are_independent() -> None:
    space = spaces.MultiDiscrete([2, 3])
    ours, parts = action_distribution(space, squash=False), [spaces.Discrete(2), spaces.Discrete(3)]
    parameters = torch.randn(50, 5, generator=torch.Generator().manual_seed(0))
    sample = ours.sample(parameters, torch.from_numpy(ours.noise(50, np.random.default_rng(0))))
    alone = [action_distribution(part, squash=False) for part in parts]
    logits = (parameters[:, :2], parameters[:, 2:])
    log_probs = [d.log_prob(p, sample[:, i]) for i, (d, p) in enumerate(zip(alone, logits, strict=True))]
    torch.testing.assert_close(ours.log_prob(parameters, sample), sum(log_probs))
    torch.testing.assert_close(ours.entropy(parameters), sum(d.entropy(p) for d, p in zip(alone, logits, strict=True)))
    assert ours.mode(torch.tensor([[0.0, 1, 5, 4, 3]])).tolist() == [[1, 0]]


@pytest.mark.parametrize("squash", [False, True])
def test_samples_follow_the_distribution(squash: bool) -> None:
    rng = np.random.default_rng(0)
    for space in (spaces.Discrete(3), spaces.MultiDiscrete([3, 2]), spaces.MultiBinary(2)):
        ours = action_distribution(space, squash=False)
        row = torch.linspace(-1, 1, ours.parameters)
        sample = ours.sample(row.expand(ROWS, -1), torch.from_numpy(ours.noise(ROWS, rng))).numpy()
        first = sample.reshape(ROWS, -1)[:, 0]
        if isinstance(space, spaces.MultiBinary):
            expected = torch.sigmoid(row[0]).item()
            assert np.mean(first) == pytest.approx(expected, abs=4 * np.sqrt(expected * (1 - expected) / ROWS))
        else:
            shares = row[:3].softmax(0).numpy()
            np.testing.assert_allclose(np.bincount(first) / ROWS, shares, atol=4 * np.sqrt(0.25 / ROWS))
    ours = action_distribution(BOX, squash=squash)
    row = torch.tensor([0.3, -0.2, -1.0, -0.5])
    sample = ours.sample(row.expand(ROWS, -1), torch.from_numpy(ours.noise(ROWS, rng))).numpy()
    np.testing.assert_allclose(sample.mean(0), [0.3, -0.2], atol=0.02)
    np.testing.assert_allclose(sample.std(0), np.exp([-1.0, -0.5]), rtol=0.03)


def test_squashed_actions_have_a_density_that_is_theirs() -> None:
    """Added up over the interval it is 1, and it is that of what the environment is given."""
    space = spaces.Box(-2.0, 4.0, (1,))
    ours = action_distribution(space, squash=True)
    grid = np.linspace(-2, 4, 200_001)[1:-1]
    sample = torch.from_numpy(np.arctanh((grid + 2) / 6 * 2 - 1))[:, None]
    density = ours.log_prob(torch.tensor([[0.4, -0.3]], dtype=torch.float64).expand(len(grid), 2), sample).exp()
    assert density.sum().item() * (grid[1] - grid[0]) == pytest.approx(1.0, abs=1e-5)
    np.testing.assert_allclose(ours.actions(sample.numpy())[:, 0], grid, atol=1e-6)


def test_far_out_a_squashed_density_stays_finite() -> None:
    ours = action_distribution(spaces.Box(-1.0, 1.0, (1,)), squash=True)
    found = ours.log_prob(torch.tensor([[40.0, 0.0]]), torch.tensor([[40.0]]))
    # 1 - tanh(u)^2 is 4 exp(-2 u) so far out.
    assert found.item() == pytest.approx(-0.5 * log(2 * np.pi) + 80 - log(4), rel=1e-5)


def test_unsquashed_actions_are_clipped_for_the_environment_only() -> None:
    ours = action_distribution(BOX, squash=False)
    actions = ours.actions(np.array([[-5.0, 0.5], [1.0, 9.0]], np.float32))
    assert actions.tolist() == [[-2.0, 0.5], [1.0, 1.0]]
    assert actions.dtype == np.float32
    assert all(BOX.contains(action) for action in actions)


def test_actions_have_the_shapes_and_dtypes_of_their_spaces() -> None:
    for space in (spaces.MultiBinary((2, 3)), spaces.MultiDiscrete([[2, 3], [4, 5]]), spaces.Box(-1, 1, (2, 2))):
        ours = action_distribution(space, squash=False)
        noise = torch.from_numpy(ours.noise(5, np.random.default_rng(0)))
        actions = ours.actions(ours.sample(torch.zeros(5, ours.parameters), noise).numpy())
        assert all(space.contains(action) for action in actions)


def test_illegal_actions_are_never_drawn_and_do_not_disturb_gradients() -> None:
    ours = action_distribution(spaces.Discrete(4), squash=False)
    logits = torch.tensor([[9.0, 0.0, 0.0, 1.0]], requires_grad=True)
    legal = torch.tensor([[False, True, True, False]])
    masked = ours.masked(logits, legal)
    noise = torch.from_numpy(ours.noise(ROWS, np.random.default_rng(0)))
    assert set(ours.sample(masked.expand(ROWS, -1), noise).tolist()) == {1, 2}
    assert ours.mode(masked).item() in (1, 2)
    assert ours.entropy(masked).item() == pytest.approx(log(2))
    (ours.log_prob(masked, torch.tensor([1])) + ours.entropy(masked)).sum().backward()
    torch.testing.assert_close(logits.grad, torch.tensor([[0.0, 0.5, -0.5, 0.0]]))


@pytest.mark.parametrize(
    ("space", "sizes"), [(spaces.MultiDiscrete([2, 3]), [2, 3]), (spaces.MultiBinary(3), [2, 2, 2])]
)
def test_each_choice_has_its_part_of_the_mask(space: Any, sizes: list[int]) -> None:
    """Against a categorical distribution for each choice, over its legal values alone."""
    ours, rng = action_distribution(space, squash=False), np.random.default_rng(0)
    parameters = torch.randn(ROWS, ours.parameters, generator=torch.Generator().manual_seed(0))
    legal = torch.from_numpy(np.concatenate([rng.random((ROWS, size)) < 0.6 for size in sizes], 1))
    parts = list(torch.split(legal, sizes, 1))
    for part in parts:
        part[~part.any(1), 0] = True
    logits = (
        torch.stack((torch.zeros_like(parameters), parameters), 2).unbind(1)
        if isinstance(space, spaces.MultiBinary)
        else torch.split(parameters, sizes, 1)
    )
    truth = [
        distributions.Categorical(logits=row.masked_fill(~part, -torch.inf))
        for row, part in zip(logits, parts, strict=True)
    ]
    masked = ours.masked(parameters, legal)
    sample = ours.sample(masked, torch.from_numpy(ours.noise(ROWS, rng)))
    for i, part in enumerate(parts):
        assert part.gather(1, sample[:, i : i + 1].long()).all()
        assert part.gather(1, ours.mode(masked)[:, i : i + 1].long()).all()
    log_prob = sum(one.log_prob(sample[:, i]) for i, one in enumerate(truth))
    torch.testing.assert_close(ours.log_prob(masked, sample), log_prob, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(ours.entropy(masked), sum(one.entropy() for one in truth), atol=1e-5, rtol=1e-5)
    assert ours.masked(parameters, None) is parameters


@pytest.mark.parametrize(
    ("space", "flags"), [(spaces.Discrete(3), 3), (spaces.MultiDiscrete([2, 3]), 5), (spaces.MultiBinary(2), 4)]
)
def test_where_nothing_is_legal_everything_stays_finite(space: Any, flags: int) -> None:
    ours = action_distribution(space, squash=False)
    parameters = torch.randn(2, ours.parameters, generator=torch.Generator().manual_seed(0), requires_grad=True)
    legal = torch.stack((torch.zeros(flags, dtype=torch.bool), torch.arange(flags) % 2 == 0))
    masked = ours.masked(parameters, legal)
    assert torch.equal(masked[0], parameters[0])
    (ours.log_prob(masked, ours.mode(masked)) + ours.entropy(masked)).sum().backward()
    assert parameters.grad is not None
    assert torch.isfinite(parameters.grad).all()


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(UsageError, match=r"squash=true needs bounds"):
        action_distribution(spaces.Box(-np.inf, np.inf, (1,)), squash=True)
    with pytest.raises(UsageError, match=r"squash=true is for Box actions, not Discrete"):
        action_distribution(spaces.Discrete(2), squash=True)
    with pytest.raises(UsageError, match=r"no distribution for Text"):
        action_distribution(spaces.Text(3), squash=False)
