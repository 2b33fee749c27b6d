from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from estimator_contract import conforms
from gymnasium import spaces
from real_data import mnist
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_digits, load_iris
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier as TheirClassifier
from sklearn.preprocessing import scale

from rlkit.learners.estimators.augmentation import Augmentation, _moved
from rlkit.learners.estimators.cnn import CNNClassifier, TorchMLPClassifier
from rlkit.learners.estimators.epochs import batches
from rlkit.learners.estimators.settings import SettingError
from rlkit.networks import MLP, BlockCNN, NatureCNN, load_module_state, module_state

SMALL = partial(BlockCNN, channels=[[8], [16]], hidden=32)
NORMALISED = partial(BlockCNN, channels=[[8], [16]], hidden=32, batch_norm=True, dropout=0.1)
QUICK: dict[str, Any] = {"torso": SMALL, "n_epochs": 3, "learning_rate": 0.01, "random_state": 0}


@pytest.fixture(scope="module")
def digits() -> Any:
    x, y = load_digits(return_X_y=True)
    return train_test_split(x, y, random_state=0, stratify=y)


class TestContract:
    def test_scikit_learn_s_checks_of_a_quick_cnn(self) -> None:
        torso = partial(BlockCNN, channels=[[4]], hidden=8)
        conforms(CNNClassifier(torso=torso, n_epochs=12, learning_rate=0.03, batch_size=64), TheirClassifier())

    def test_scikit_learn_s_checks_of_a_quick_mlp(self) -> None:
        conforms(TorchMLPClassifier(n_epochs=10, learning_rate=0.01, batch_size=64), TheirClassifier())

    @pytest.mark.slow
    @pytest.mark.parametrize("estimator", [CNNClassifier(), TorchMLPClassifier()], ids=str)
    def test_scikit_learn_s_checks_as_they_come(self, estimator: Any) -> None:
        conforms(estimator, TheirClassifier())


class TestTraining:
    def test_digits_are_learnt(self, digits: Any) -> None:
        a, b, ya, yb = digits
        model = CNNClassifier(**{**QUICK, "n_epochs": 8}, anneal=True).fit(a, ya)
        assert model.score(b, yb) >= 0.95
        assert model.scale_ == 16.0
        assert model.train_cost_[-1] < 0.2 * model.train_cost_[0]
        assert model.predict_proba(b).dtype == np.float64

    def test_batch_normalisation_predicts_with_the_statistics_of_all_rows(self) -> None:
        # Far from zero, where running statistics would lag behind weights that move.
        X = np.random.default_rng(0).normal(5.0, 0.2, (96, 3))
        torso = partial(MLP, hidden=[4], activation="elu", layer_norm=False, batch_norm=True, dropout=0.5)
        model = TorchMLPClassifier(torso, n_epochs=3, learning_rate=0.05, random_state=0)
        weights = model.fit(X, X[:, 0] > 5).weights_
        inputs = X @ weights["torso.top.0.weight"].T + weights["torso.top.0.bias"]
        assert np.allclose(weights["torso.top.1.running_mean"], inputs.mean(0), atol=1e-12)
        within = np.mean([part.var(0, ddof=1) for part in np.split(inputs, 3)], axis=0)
        assert np.allclose(weights["torso.top.1.running_var"], within, rtol=1e-12)

    def test_bytes_are_learnt_as_the_same_numbers_would_be(self) -> None:
        rng = np.random.default_rng(0)
        X, y = rng.integers(0, 256, (60, 64), dtype=np.uint8), rng.integers(0, 3, 60)
        torso = partial(BlockCNN, channels=[[4]], hidden=8)
        found = [
            CNNClassifier(torso=torso, scale=255, n_epochs=2, random_state=0).fit(rows, y)
            for rows in (X, X.astype(np.float32))
        ]
        assert np.array_equal(found[0].predict_proba(X), found[1].predict_proba(X))

    def test_rows_of_numbers_are_learnt_by_layers_with_batch_normalisation_and_dropout(self) -> None:
        x, y = load_breast_cancer(return_X_y=True)
        torso = partial(MLP, hidden=[20], activation="elu", layer_norm=False, batch_norm=True, dropout=0.2)
        # 569 rows leave one for the last batch of 8, of which no variance can be had.
        model = TorchMLPClassifier(torso, n_epochs=5, batch_size=8, learning_rate=0.01, random_state=0)
        names = np.array(["bad", "good"])[y]
        assert model.fit(scale(x), names).score(scale(x), names) > 0.96
        assert {"torso.body.0.weight", "torso.top.1.running_mean"} & set(model.weights_) == {"torso.top.1.running_mean"}

    @pytest.mark.parametrize(("dtype", "computed"), [(np.uint8, np.float32), (np.float32, np.float32), (float, float)])
    def test_it_computes_in_64_bits_where_rows_have_them(self, digits: Any, dtype: Any, computed: Any) -> None:
        a, _, ya, _ = digits
        model = CNNClassifier(**{**QUICK, "n_epochs": 1}).fit(a[:100].astype(dtype), ya[:100])
        assert all(array.dtype == computed for array in model.weights_.values())
        assert model.predict_proba(a[:5]).dtype == computed

    def test_equal_seeds_are_equal_networks_and_torch_s_generator_is_left_alone(self, digits: Any) -> None:
        a, _, ya, _ = digits
        options = {**QUICK, "torso": NORMALISED, "shift": 0.1, "horizontal_flip": True, "early_stopping": True}
        model = CNNClassifier(**options)
        state = torch.random.get_rng_state()
        first = model.fit(a[:200], ya[:200]).weights_
        model.predict(a)
        assert torch.equal(torch.random.get_rng_state(), state)
        torch.rand(3)
        second = clone(model).fit(a[:200], ya[:200]).weights_
        assert all(np.array_equal(first[name], second[name]) for name in first)
        third = clone(model).set_params(random_state=1).fit(a[:200], ya[:200]).weights_
        assert not np.array_equal(first["head.weight"], third["head.weight"])

    def test_early_stopping_keeps_the_best_epoch(self, digits: Any) -> None:
        a, b, ya, yb = digits
        model = CNNClassifier(**{**QUICK, "n_epochs": 40, "learning_rate": 0.03}, early_stopping=True)
        model.set_params(n_iter_no_change=2).fit(a[:300], ya[:300], validation=(b, yb))
        costs = model.validation_cost_
        best = int(np.argmin(costs))
        assert model.n_iter_ == len(costs) == best + 3 < 40
        chosen = model.predict_proba(b)[np.arange(len(b)), yb]
        assert -np.log(chosen).mean() == pytest.approx(costs[best], rel=1e-6)
        assert model.score(b, yb) == model.validation_score_[best]

    def test_a_class_of_other_rows_that_was_not_learnt_is_refused(self, digits: Any) -> None:
        a, b, ya, _ = digits
        with pytest.raises(SettingError, match="y holds 10, which is none of the classes"):
            CNNClassifier(**QUICK).fit(a[:100], ya[:100], validation=(b[:2], [0, 10]))

    def test_weights_of_classes_change_what_is_predicted(self) -> None:
        rng = np.random.default_rng(0)
        x, y = rng.normal(size=(300, 2)), np.arange(300) % 10 == 0
        options: dict[str, Any] = {"n_epochs": 10, "learning_rate": 0.01, "random_state": 0}
        plain = TorchMLPClassifier(**options).fit(x, y)
        balanced = TorchMLPClassifier(**options, class_weight="balanced").fit(x, y)
        assert plain.predict(x).mean() < 0.1 < 0.3 < balanced.predict(x).mean()
        weights = np.where(y, 5.0, 5 / 9)
        other = TorchMLPClassifier(**options).fit(x, y, sample_weight=weights)
        np.testing.assert_allclose(other.predict_proba(x), balanced.predict_proba(x), rtol=1e-9)

    def test_any_optimiser_of_torch_s(self, digits: Any) -> None:
        a, b, ya, yb = digits
        model = CNNClassifier(**{**QUICK, "learning_rate": 1.0, "n_epochs": 6}, optimizer=torch.optim.Adadelta).fit(
            a, ya
        )
        assert model.score(b, yb) > 0.85

    def test_pixels_that_were_scaled_are_not_scaled_again(self) -> None:
        pixels = np.random.default_rng(0).integers(0, 256, (20, 64)).astype(np.float32)
        y, standardised, shares = np.arange(20) % 2, scale(pixels.astype(float)), pixels / pixels.max()
        found = [CNNClassifier(**QUICK).fit(x, y).scale_ for x in (pixels, shares, standardised)]
        assert found == [pixels.max(), 1.0, 1.0]
        for x in (shares, standardised):
            with pytest.raises(SettingError, match="scale is 255; it must be max, or 1: X was scaled already"):
                CNNClassifier(scale=255, **QUICK).fit(x, y)

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({"image_shape": (8, 9)}, r"image_shape is \(8, 9, 1\)|image_shape is \(8, 9\); it must be of 64 pixels"),
            ({"image_shape": (64,)}, r"image_shape is \(64,\); it must be of two or three numbers"),
            ({"scale": 0.0}, "scale is 0.0; it must be positive, or max"),
            ({"scale": "mean"}, "scale is 'mean'"),
            ({"shift": 1.0}, "shift is 1.0"),
            ({"rotation": -1.0}, "rotation is -1.0; it must be from 0 to 180 degrees"),
            ({"transfer": "half"}, "transfer is 'half'; it must be one of fine_tune, frozen"),
            ({"transfer": "frozen"}, "encoder is None; it must be given where transfer is frozen"),
            ({"batch_size": 0}, "batch_size is 0"),
            ({"learning_rate": -1.0}, "learning_rate is -1.0"),
            ({"device": "abacus"}, "device is abacus; it must be auto, cpu, cuda"),
            ({"device": "cuda:99"}, "device is cuda:99, but torch sees"),
            ({"optimizer": partial(torch.optim.SGD, lr=1.0)}, "the optimizer's lr is 'given'"),
            ({"encoder": {"body.0.weight": np.zeros(3)}}, "the encoder's body.0.weight is"),
        ],
    )
    def test_what_cannot_be_is_refused_in_one_line(self, digits: Any, options: dict[str, Any], words: str) -> None:
        a, _, ya, _ = digits
        with pytest.raises(SettingError, match=words) as caught:
            CNNClassifier(**{**QUICK, **options}).fit(a[:20], ya[:20])
        assert "\n" not in str(caught.value)


class TestTorsos:
    def test_a_torso_sees_what_it_would_see_in_an_agent(self) -> None:
        """Pixels of 0 to 255 as rows give the features that a reader of bytes gives."""
        rng = np.random.default_rng(0)
        pictures = rng.integers(0, 256, (30, 6, 5, 3), dtype=np.uint8)
        model = CNNClassifier((6, 5, 3), scale=255.0, **QUICK).fit(pictures.reshape(30, -1), np.arange(30) % 2)
        torso = SMALL(model.observation_space())
        load_module_state(torso, model.encoder_state_dict())
        with torch.no_grad():
            expected = torso.eval()(torch.from_numpy(pictures))
        np.testing.assert_allclose(model.transform(pictures.reshape(30, -1)), expected, rtol=1e-5, atol=1e-6)
        assert model.observation_space() == spaces.Box(0, 255, (6, 5, 3), np.uint8)

    def test_channels_can_come_first_and_agents_own_torsos_fit(self) -> None:
        rng = np.random.default_rng(0)
        rows = rng.integers(0, 256, (12, 4 * 36 * 40), dtype=np.uint8)
        model = CNNClassifier((4, 36, 40), torso=partial(NatureCNN, hidden=8), n_epochs=1, random_state=0)
        model.fit(rows, np.arange(12) % 3)
        assert model.encoder_state_dict()["body.0.weight"].shape == (32, 4, 8, 8)
        assert model.transform(rows).shape == (12, 8)

    def test_rows_of_no_square_are_a_line_of_pixels(self) -> None:
        x, y = load_iris(return_X_y=True)
        assert CNNClassifier(**QUICK).fit(x[:, :3], y).observation_space().shape == (1, 3, 1)
        assert CNNClassifier(**QUICK).fit(x, y).observation_space().shape == (2, 2, 1)


class TestTransfer:
    def test_frozen_tensors_stay_bit_identical_with_statistics_and_fine_tuned_ones_do_not(self, digits: Any) -> None:
        a, b, ya, yb = digits
        options = {**QUICK, "torso": NORMALISED}
        first = CNNClassifier(**options).fit(a[ya < 5], ya[ya < 5])
        encoder = first.encoder_state_dict()
        assert {"body.1.running_mean", "body.1.running_var", "top.0.weight"} <= set(encoder)
        before = {name: array.copy() for name, array in encoder.items()}
        frozen = CNNClassifier(**options, encoder=encoder, transfer="frozen").fit(a, ya)
        tuned = CNNClassifier(**options, encoder=encoder).fit(a, ya)
        for name, array in before.items():
            np.testing.assert_array_equal(frozen.encoder_state_dict()[name], array)
            np.testing.assert_array_equal(encoder[name], array)
            assert not np.array_equal(tuned.encoder_state_dict()[name], array), name
        np.testing.assert_allclose(frozen.transform(b), first.transform(b), rtol=1e-9)
        assert frozen.score(b, yb) > 0.5
        assert tuned.score(b, yb) > frozen.score(b, yb)

    def test_only_the_head_is_given_to_the_optimiser_of_a_frozen_encoder(self, digits: Any) -> None:
        a, _, ya, _ = digits
        given: list[list[tuple[int, ...]]] = []

        def optimizer(parameters: Any, lr: float) -> torch.optim.Optimizer:
            given.append([tuple(parameter.shape) for parameter in parameters])
            return torch.optim.SGD(parameters, lr=lr)

        encoder = CNNClassifier(**QUICK).fit(a, ya).encoder_state_dict()
        CNNClassifier(**QUICK, encoder=encoder, transfer="frozen", optimizer=optimizer).fit(a, ya)
        assert given == [[(10, 32), (10,)]]

    def test_a_saved_encoder_is_loaded_without_pickle(self, digits: Any, tmp_path: Path) -> None:
        a, b, ya, _ = digits
        first = CNNClassifier(**QUICK).fit(a, ya)
        first.save_encoder(tmp_path / "encoder.npz")
        with np.load(tmp_path / "encoder.npz", allow_pickle=False) as file:
            assert set(file) == {*first.encoder_state_dict(), "about/scale", "about/preparations"}
            assert file["about/scale"] == first.scale_
        path = str(tmp_path / "encoder.npz")
        again = CNNClassifier(**QUICK, encoder=path, transfer="frozen").fit(a, ya)
        np.testing.assert_array_equal(again.transform(b), first.transform(b))


class TestAugmentation:
    def pictures(self, dtype: torch.dtype = torch.float64) -> Any:
        return torch.arange(2 * 1 * 5 * 7, dtype=dtype).reshape(2, 1, 5, 7)

    def generator(self) -> torch.Generator:
        return torch.Generator().manual_seed(0)

    def test_nothing_asked_for_changes_nothing(self) -> None:
        assert torch.equal(Augmentation()(self.pictures(), self.generator()), self.pictures())

    @pytest.mark.parametrize(("axis", "options"), [(3, {"horizontal_flip": True}), (2, {"vertical_flip": True})])
    def test_flips_are_exact_and_of_half_of_the_pictures(self, axis: int, options: dict[str, bool]) -> None:
        pictures = self.pictures().repeat(200, 1, 1, 1)
        found = Augmentation(**options)(pictures, self.generator())
        flipped = pictures.flip(axis)
        kinds = [torch.equal(row, before) for row, before in zip(found, pictures, strict=True)]
        assert all(same or torch.equal(row, f) for same, row, f in zip(kinds, found, flipped, strict=True))
        assert 0.4 < np.mean(kinds) < 0.6

    def test_a_whole_pixel_s_shift_moves_pixels_and_repeats_the_border(self) -> None:
        augmentation = Augmentation(shift=0.5)
        movement = torch.tensor([[[1.0, 0, 2 / 7], [0, 1, 0]]] * 2, dtype=torch.float64)
        pictures = self.pictures()
        expected = torch.cat((pictures[..., 1:], pictures[..., -1:]), 3)
        torch.testing.assert_close(_moved(pictures, movement), expected)
        drawn = augmentation._movements(500, torch.Size((5, 7)), self.generator())
        assert drawn[:, :, 2].abs().max() <= 1.0
        assert drawn[:, :, 2].abs().max() > 0.95
        torch.testing.assert_close(drawn[:, :, :2], torch.eye(2, dtype=torch.float64).expand(500, 2, 2))

    def test_a_quarter_turn_is_numpy_s_whatever_the_sides(self) -> None:
        square = torch.rand(1, 1, 6, 6, dtype=torch.float64, generator=self.generator())
        quarter = torch.tensor([[[0.0, -1, 0], [1, 0, 0]]], dtype=torch.float64)
        np.testing.assert_allclose(_moved(square, quarter)[0, 0], np.rot90(square[0, 0]), atol=1e-12)
        drawn = Augmentation(rotation=30)._movements(500, torch.Size((5, 10)), self.generator())
        # Undone by the ratio of the sides, each is a rotation by up to 30 degrees.
        ratio = torch.tensor([[1, 2.0], [0.5, 1]], dtype=torch.float64)
        turns = drawn[:, :, :2] * ratio
        torch.testing.assert_close(turns @ turns.mT, torch.eye(2, dtype=torch.float64).expand(500, 2, 2))
        assert np.cos(np.radians(30)) <= turns[:, 0, 0].min() < np.cos(np.radians(28))

    def test_pictures_are_changed_in_training_only(self, digits: Any) -> None:
        a, b, ya, _ = digits
        model = CNNClassifier(**{**QUICK, "n_epochs": 1}, rotation=30).fit(a, ya)
        np.testing.assert_array_equal(model.predict_proba(b), model.predict_proba(b))
        plain = CNNClassifier(**{**QUICK, "n_epochs": 1}).fit(a, ya)
        assert model.train_cost_ != plain.train_cost_


class TestBatches:
    def test_every_row_comes_once_and_what_is_left_is_kept(self) -> None:
        rng = np.random.default_rng(0)
        parts = list(batches(23, 5, rng))
        assert [len(part) for part in parts] == [5, 5, 5, 5, 3]
        assert sorted(np.concatenate(parts)) == list(range(23))
        assert not np.array_equal(np.concatenate(parts), np.concatenate(list(batches(23, 5, rng))))
        assert [len(part) for part in batches(21, 5, rng, least=2)] == [5, 5, 5, 6]
        assert [len(part) for part in batches(3, 5, rng)] == [3]
        assert [len(part) for part in batches(10, 5, rng)] == [5, 5]
        assert [len(part) for part in batches(1, 5, rng, least=2)] == [1]


@pytest.mark.slow
class TestMnist:
    def score(self, seed: int, **options: Any) -> float:
        x, y = mnist()
        a, b, ya, yb = train_test_split(x, y, test_size=5000, random_state=seed, stratify=y)
        torch.set_num_threads(1)
        model = CNNClassifier(random_state=seed, anneal=True, **options).fit(a, ya)
        found = model.score(b, yb)
        print(seed, model.score(a, ya), found)
        return found

    @pytest.mark.parametrize("seed", range(3))
    def test_plain(self, seed: int) -> None:
        torso = partial(BlockCNN, channels=[[16, 16], [32, 32]], hidden=64)
        assert self.score(seed, torso=torso, n_epochs=8) >= 0.97

    @pytest.mark.parametrize("seed", range(3))
    def test_with_dropout_and_augmentation(self, seed: int) -> None:
        dropout: dict[str, Any] = {"batch_norm": True, "dropout": [0.1, 0.1, 0.2], "hidden_dropout": 0.3}
        torso = partial(BlockCNN, channels=[[16], [32], [64]], hidden=128, **dropout)
        options: dict[str, Any] = {"learning_rate": 0.003, "batch_size": 50, "shift": 0.08, "rotation": 12}
        assert self.score(seed, torso=torso, n_epochs=15, **options) >= 0.98


def test_states_of_modules_are_what_is_kept(digits: Any) -> None:
    a, _, ya, _ = digits
    model = CNNClassifier(**QUICK).fit(a, ya)
    assert set(model.weights_) == set(module_state(model._restored()))
