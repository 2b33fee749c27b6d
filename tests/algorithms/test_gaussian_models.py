from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces

from rlkit.algorithms.model_based.gaussian import EnsembleLearner, FitSettings
from rlkit.algorithms.model_based.terminations import hopper, never, termination_rule, walker2d
from rlkit.core.types import Array, Batch, Metrics, UsageError
from rlkit.networks import Optimizer
from rlkit.networks.ensemble import GaussianEnsemble

STATE, ACTION = spaces.Box(-9, 9, (2,), np.float32), spaces.Box(-1, 1, (1,), np.float32)


def made(members: int = 3, elites: int = 2, hidden: tuple[int, ...] = (32,)) -> GaussianEnsemble:
    torch.manual_seed(0)
    return GaussianEnsemble(STATE, ACTION, members, elites, hidden, "elu")


def transitions(n: int, noise: Any = 0.0, *, ends: bool = False) -> Batch:
    """Return steps of x' = Ax + Bu + noise, with reward x0 - 2u; they end where x0' > 1, if they end."""
    rng = np.random.default_rng(7)
    x, u = rng.normal(size=(n, 2)).astype("f4"), rng.uniform(-1, 1, (n, 1)).astype("f4")
    y = true_mean(x, u) + (rng.normal(size=(n, 2)) * noise).astype("f4")
    discount = (~(y[:, 0] > 1) if ends else np.ones(n)).astype("f4")
    return Batch(x, u, (x[:, 0] - 2 * u[:, 0]).astype("f4"), discount, y, None, np.ones(n, "f4"), np.arange(n))


def true_mean(x: Array, u: Array) -> Array:
    return np.asarray(x @ np.array([[0.9, 0.2], [-0.3, 0.8]], "f4") + u @ np.array([[0.5, 1.0]], "f4"), np.float32)


def fitted(ensemble: GaussianEnsemble, batch: Batch, **settings: Any) -> Metrics:
    numbers: Any = {"batch_size": 64, "epochs": 40, "patience": 5, "holdout": 0.2, **settings}
    optimizer = Optimizer(ensemble.parameters(), partial(torch.optim.Adam), lambda decisions: 0.005)
    learner = EnsembleLearner(ensemble, optimizer, FitSettings(**numbers), "cpu")
    return learner.fit(batch, 0, np.random.default_rng(0))


def predicted(ensemble: GaussianEnsemble, x: Array, u: Array) -> tuple[Array, Array, Array]:
    rows = (torch.from_numpy(column).expand(len(ensemble.elite), *column.shape) for column in (x, u))
    with torch.no_grad():
        successor, reward, end = ensemble.predict(*rows, torch.zeros(len(ensemble.elite), len(x), 3))
    return successor.numpy(), reward.numpy(), end.numpy()


class TestLearning:
    def test_a_linear_gaussian_system(self) -> None:
        ensemble, sigma = made(), np.array([0.05, 0.3])
        fitted(ensemble, transitions(2000, sigma))
        test = transitions(200)
        successor, reward, _ = predicted(ensemble, test.observation, test.action)
        for member in range(2):
            assert np.abs(successor[member] - test.next_observation).mean() < 0.06
            assert np.abs(reward[member] - test.reward).mean() < 0.06
        inputs = torch.from_numpy(np.concatenate([test.observation, test.action], axis=1))
        with torch.no_grad():
            std = (ensemble(inputs).log_variance / 2).exp() * ensemble.target_std
        assert std[:, :, :2].mean((0, 1)).numpy() == pytest.approx(sigma, rel=0.25)

    def test_where_nothing_is_left_to_chance_one_step_is_right(self) -> None:
        ensemble = made()
        metrics = fitted(ensemble, transitions(1000), epochs=60)
        test = transitions(50)
        successor, reward, _ = predicted(ensemble, test.observation, test.action)
        assert np.abs(successor - test.next_observation).max() < 0.25
        assert np.abs(successor - test.next_observation).mean() < 0.03
        assert np.abs(reward - test.reward).mean() < 0.03
        assert metrics["model/error"] < 0.002

    def test_ends_are_learned(self) -> None:
        ensemble, batch = made(), transitions(1000, ends=True)
        fitted(ensemble, batch)
        _, _, end = predicted(ensemble, batch.observation, batch.action)
        clear = np.abs(batch.next_observation[:, 0] - 1) > 0.2
        assert ((end[0] > 0.5) == (batch.discount == 0))[clear].mean() > 0.97

    def test_numbers_of_any_size_are_learned(self) -> None:
        ensemble, batch = made(), transitions(1000)
        scale = np.array([1000, 0.001], "f4")
        large = batch._replace(observation=batch.observation * scale, next_observation=batch.next_observation * scale)
        fitted(ensemble, large, epochs=60)
        successor, _, _ = predicted(ensemble, large.observation, large.action)
        assert (np.abs(successor - large.next_observation) / scale).mean() < 0.05

    def test_the_best_by_hold_out_error_are_the_elites_as_they_were_then(self, monkeypatch: pytest.MonkeyPatch) -> None:
        ensemble = made(4, 2)
        errors = iter(torch.tensor([[9.0, 9, 9, 9], [3, 1, 5, 4], [4, 2, 6, 2], [5, 3, 7, 3]]))
        seen: list[Any] = []

        def of_epoch(self: Any, whole: Any, held: Any) -> torch.Tensor:
            seen.append(ensemble.head.bias.detach().clone())
            return next(errors)

        monkeypatch.setattr(EnsembleLearner, "_errors", of_epoch)
        metrics = fitted(ensemble, transitions(50), patience=2, epochs=3)
        # Members 1 (1, after one epoch) and 3 (2, after two).
        assert ensemble.elite.tolist() == [1, 3]
        assert metrics == {"model/error": 1.5, "model/epochs": 3.0}
        for member, epoch in ((0, 1), (1, 1), (2, 1), (3, 2)):
            assert torch.equal(ensemble.head.bias[member], seen[epoch][member])

    def test_variances_stay_within_their_bounds(self) -> None:
        ensemble = made()
        with torch.no_grad():
            ensemble.head.bias[:, 3:6] = torch.tensor([1e4, -1e4, 0.0])[:, None]
            found = ensemble(torch.zeros(5, 3)).log_variance
        assert (found >= -10.01).all()
        assert (found <= 0.51).all()

    def test_the_likelihood_is_that_of_a_normal_distribution(self) -> None:
        ensemble = made()
        forecast = ensemble(torch.randn(5, 3))
        targets, ended = torch.randn(3, 5, 3), torch.zeros(3, 5)
        normal = torch.distributions.Normal(forecast.mean, (forecast.log_variance / 2).exp())
        # Twice, and without the constant, as is usual.
        likelihood = -2 * normal.log_prob(targets) - np.log(2 * np.pi)
        ends = -torch.log1p(-forecast.end.sigmoid())
        expected = likelihood.mean((1, 2)) + ends.mean(1)
        assert torch.allclose(ensemble.loss(forecast, targets, ended), expected, atol=1e-5)


class TestRules:
    def test_a_hopper_falls(self) -> None:
        up = [1.2, 0.0, 0, 0]
        rows = torch.tensor([up, [0.6, 0, 0, 0], [1.2, 0.3, 0, 0], [1.2, 0, 0, 101], [1.2, -0.19, 99, 0]])
        assert hopper(rows).tolist() == [False, True, True, True, False]

    def test_a_walker_falls(self) -> None:
        rows = torch.tensor([[1.2, 0.0], [0.7, 0], [2.1, 0], [1.2, -1.1], [1.2, 0.9]])
        assert walker2d(rows).tolist() == [False, True, True, True, False]

    def test_others_never_end(self) -> None:
        assert never(torch.zeros(2, 3, 4)).tolist() == [[False] * 3] * 2

    def test_there_are_no_others(self) -> None:
        assert termination_rule("learned") is None
        with pytest.raises(UsageError, match=r"agent.termination is 'ant'; it must be one of learned, never, hopper"):
            termination_rule("ant")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ((STATE, ACTION, 3, 4), "agent.ensemble.elites is 4, of 3 members"),
        ((spaces.Box(0, 1, (2, 2)), ACTION, 3, 2), "observations that are one row of numbers"),
        ((STATE, spaces.Discrete(2), 3, 2), "needs continuous actions, a Box, not Discrete"),
    ],
)
def test_what_cannot_be_modeled_is_refused(arguments: Any, line: str) -> None:
    with pytest.raises(UsageError, match=line):
        GaussianEnsemble(*arguments, (4,), "elu")
