"""Presets of learners: each is fitted for a moment, and those with published figures reach them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from real_data import folder
from scipy import sparse
from sklearn.datasets import load_digits, load_iris

import rlkit
from rlkit.config import instantiate, plugins
from rlkit.config.compose import composed
from rlkit.config.run_config import FitRunConfig, requested
from rlkit.fitting.launch import make_pipeline
from rlkit.fitting.session import fitted
from rlkit.learners.datasets import Dataset, Rows
from rlkit.learners.kinds import kind_of, require_fit
from rlkit.learners.splits import Split

PRESETS = [entry.name for entry in plugins.entries("experiment") if entry.verb == "fit"]


def config_of(*words: str) -> FitRunConfig:
    return requested(FitRunConfig, *composed("fit", list(words)))


def pictures() -> Dataset:
    """Return 60 digits as pictures of 28 x 28 bytes."""
    X, y = load_digits(return_X_y=True)
    large = np.pad(np.kron(X[:60].reshape(-1, 8, 8), np.ones((3, 3))) * 255 // 16, ((0, 0), (2, 2), (2, 2)))
    return Dataset("classification", Rows(large.reshape(-1, 784).astype(np.float32), y[:60]), image_shape=(1, 28, 28))


def listeners() -> Dataset:
    rng = np.random.default_rng(0)
    plays = sparse.csr_array(np.where(rng.random((20, 30)) < 0.3, rng.random((20, 30)) * 8, 0.0))
    return Dataset("recommendation", Rows(plays), extra={"items": np.arange(30), "scale": "log1p"})


def table(rows: int, columns: int, task: str) -> Dataset:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, rows) if task == "classification" else rng.normal(size=rows)
    return Dataset(task, Rows(rng.normal(size=(rows, columns)), None if task == "clustering" else y))


def texts() -> Dataset:
    return Dataset("classification", Rows(np.array(["good film", "bad film"] * 5, object), np.arange(10) % 2))


SMALL: dict[str, Any] = {
    "counting": lambda: table(20, 10, "regression"),
    "discounts": lambda: table(9, 1, "classification"),
    "donut": lambda: table(20, 2, "classification"),
    "exploding_gradient": lambda: table(20, 10, "regression"),
    "fashion_scaling": pictures,
    "house_prices_linear": lambda: table(20, 3, "regression"),
    "house_prices_tree": lambda: table(20, 3, "regression"),
    "iris_mlp": lambda: Dataset("classification", Rows(*load_iris(return_X_y=True))),
    "lastfm": listeners,
    "lastfm_ranking": listeners,
    "lastfm_ratings": listeners,
    "mnist_cnn": pictures,
    "mnist_mlp": pictures,
    "movie_reviews": texts,
    "palette": lambda: table(20, 3, "clustering"),
    "xor": lambda: table(4, 2, "classification"),
}
BRIEFLY = {"n_epochs": 2, "max_iter": 50}


@pytest.mark.parametrize("name", PRESETS)
def test_each_preset_is_fitted_for_a_moment_and_predicts(name: str) -> None:
    config, data = config_of(f"experiment={name}", "device=cpu"), SMALL[name]()
    if name.startswith("house"):
        # Its columns are numbers here, where a table has names.
        config.prepare.pop("table", None)
    config.learner.update({key: least for key, least in BRIEFLY.items() if key in config.learner})
    pipeline = make_pipeline(config, data)
    require_fit(pipeline, data)
    model = fitted(pipeline, Split(data.rows, None), lambda epoch, epochs, figures: None, lambda line: None)
    rows = data.rows.X.shape[0]
    if kind_of(model[-1]) == "recommender":
        assert model[-1].recommend(np.arange(rows), 3).shape == (rows, 3)
    else:
        assert model.predict(data.rows.X).shape == (rows,)


def test_they_have_the_published_settings() -> None:
    def learner(name: str) -> Any:
        return config_of(f"experiment={name}").learner

    iris = learner("iris_mlp")
    assert (iris["hidden_layer_sizes"], iris["learning_rate"], iris["momentum"], iris["n_epochs"]) == (
        [5],
        0.1,
        0.9,
        50,
    )
    cnn = make_pipeline(config_of("experiment=mnist_cnn"), pictures())[-1]
    cnn.set_params(n_epochs=1).fit(pictures().rows.X, pictures().rows.y)
    assert sum(array.size for array in cnn.weights_.values()) == 305_194
    assert cnn.learning_rate == 1.0
    xor = learner("xor")
    assert (xor["hidden_layer_sizes"], xor["learning_rate"], xor["n_epochs"] * 4) == ([4], 0.1, 10_000)
    clothes = learner("fashion_scaling")
    assert (clothes["l2"], clothes["learning_rate"], clothes["n_epochs"], clothes["bias"]) == (0.5, 0.001, 300, False)
    assert 60_000 / clothes["batch_size"] == 25
    factors = learner("lastfm")
    assert (factors["n_components"], factors["learning_rate"], factors["regularization"]) == (10, 0.01, 0.05)
    lake = instantiate.plain(composed("train", ["experiment=frozen_lake_source"])[0])
    agent, epsilon = lake["agent"], lake["agent"]["epsilon"]
    assert (lake["total_episodes"], lake["env"]["kwargs"]["max_episode_steps"]) == (10_000, 99)
    assert (agent["learning_rate"], agent["learning_rate_decay"], agent["gamma"]) == (0.8, 0, 0.95)
    assert (epsilon["start"], epsilon["end"], epsilon["rate"], agent["epsilon_counts"]) == (1, 0.01, 0.001, "episodes")


def test_one_string_is_counted_and_four_of_it_explode(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    counting = rlkit.fit("experiment=counting", "logger=[csv]")
    assert counting.model[-1].train_cost_[0] == 9.0
    assert counting.model[-1].train_cost_[149] == pytest.approx(0.00109, abs=5e-6)
    exploding = rlkit.fit("experiment=exploding_gradient", "logger=[csv]")
    assert exploding.model[-1].train_cost_[:25:24] == pytest.approx([144.0, 174_345.0], abs=1)
    assert (counting.directory / "parameters.png").exists()
    assert (exploding.directory / "parameters.png").exists()


@pytest.mark.parametrize("seed", range(3))
def test_iris_is_learnt_with_every_seed(seed: int, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Thirty were tried; tests/benchmarks/results/presets.csv has them."""
    monkeypatch.chdir(tmp_path)
    run = rlkit.fit("experiment=iris_mlp", "plots=false", "logger=[csv]", seed=seed)
    assert run.final_metrics["train/log_loss"] < 0.09
    assert run.final_metrics["test/accuracy"] >= 0.85


@pytest.fixture
def _workplace(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def figures(preset: str, *words: str, data: str, seed: int = 0) -> Any:
    given = f"data.folder={folder(data)}", "plots=false", "logger=[csv]"
    return rlkit.fit(f"experiment={preset}", *given, *words, seed=seed).figures


@pytest.mark.slow
@pytest.mark.usefixtures("_workplace")
class TestFigures:
    @pytest.mark.parametrize("seed", range(2))
    def test_factors_recommend_better_than_popularity_and_ten_better_than_one(self, seed: int) -> None:
        ten = figures("lastfm", data="lastfm", seed=seed)
        one = figures("lastfm", "learner.n_components=1", "name=one", data="lastfm", seed=seed)
        assert ten["test/precision_at_10"] >= 2 * ten["popularity/precision_at_10"]
        assert ten["test/precision_at_10"] >= 1.5 * one["test/precision_at_10"]

    def test_ratings_are_predicted_with_the_error_of_the_facts_and_ten_factors_are_no_worse_than_one(self) -> None:
        ten = figures("lastfm_ratings", data="lastfm")["test/rmse"]
        one = figures("lastfm_ratings", "learner.n_components=1", "name=one", data="lastfm")["test/rmse"]
        assert ten == pytest.approx(0.80, abs=0.015)
        assert ten <= one

    def test_the_cnn_reads_digits(self) -> None:
        assert figures("mnist_cnn", data="mnist")["test/accuracy"] >= 0.97

    def test_standardised_pixels_are_learnt_better_than_raw_ones(self) -> None:
        words = "data=mnist", "data.part=test", "test_size=0.5", "learner.batch_size=200"
        scaled = figures("fashion_scaling", *words, "prepare=standardize", data="mnist")
        raw = figures("fashion_scaling", *words, "prepare=none", "name=raw", data="mnist")
        assert scaled["train/accuracy"] >= 0.975
        assert scaled["test/accuracy"] >= 0.915 > raw["test/accuracy"]

    @pytest.mark.parametrize("seed", range(3))
    def test_the_table_of_xor_is_learnt(self, seed: int) -> None:
        run = rlkit.fit("experiment=xor", "plots=false", "logger=[csv]", seed=seed)
        assert run.final_metrics["train/accuracy"] == 1


def test_a_preset_that_begins_with_another_is_for_the_same_verb() -> None:
    verbs = {entry.name: entry.verb for entry in plugins.entries("experiment")}
    assert (verbs["lastfm"], verbs["lastfm_ratings"], verbs["rainbow"]) == ("fit", "fit", "train")
    composed("fit", ["experiment=lastfm_ratings"])
