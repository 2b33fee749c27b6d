"""`rlkit fit` and `rlkit predict`, with scikit-learn's estimators: metrics, files, plots, predictions, mistakes."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image
from scipy.sparse import csr_array
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.datasets import load_iris, load_wine
from sklearn.metrics import accuracy_score, f1_score, ndcg_score, r2_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline
from sklearn.tree import DecisionTreeClassifier
from wandb_logs import read

import rlkit
from rlkit.cli.main import main
from rlkit.core.seeding import Seeds
from rlkit.core.types import UsageError
from rlkit.fitting.plots.palette import hexadecimal, palette
from rlkit.fitting.run import FitRun
from rlkit.fitting.session import described, fitted
from rlkit.learners import scores
from rlkit.learners.datasets.dataset import Dataset, Rows
from rlkit.learners.datasets.ratings import RatingTriples, as_dataset, ratings_file
from rlkit.learners.estimators.mlp import MLPClassifier
from rlkit.learners.model_names import SavingError
from rlkit.learners.splits import Split, folds, split

SHARED = os.environ.get("RLKIT_TEST_DATA")
real = pytest.mark.skipif(SHARED is None, reason="RLKIT_TEST_DATA names no folder with the real data sets")

TREE = ("learner=sklearn", "learner.estimator=sklearn.tree.DecisionTreeClassifier")
QUANTITIES = ("learner=sklearn", "learner.estimator=sklearn.tree.DecisionTreeRegressor")
LOGISTIC = ("learner=sklearn", "learner.estimator=sklearn.linear_model.LogisticRegression")
KMEANS = ("learner=sklearn", "learner.estimator=sklearn.cluster.KMeans")
WORDS = "prepare.words._target_=sklearn.feature_extraction.text.CountVectorizer"
POPULAR = ("learner=sklearn", "learner.estimator=test_fitting.Popular")
QUIET = ("logger=[csv]", "plots=false")


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RLKIT_DATA", str(tmp_path / "cache"))


def fit(*words: str, **keys: Any) -> FitRun:
    return rlkit.fit(*words, *QUIET, **keys)


def table(path: Path | str) -> list[list[str]]:
    with Path(path).open(newline="") as file:
        return list(csv.reader(file))


def picture_of(run: FitRun) -> set[str]:
    return {path.name for path in run.directory.glob("*.png")}


class Popular(BaseEstimator):  # type: ignore[misc]
    """Recommends what most have, and records a falling error of held-out ratings."""

    def __init__(self, n_epochs: int = 3):
        self.n_epochs = n_epochs

    def fit(self, X: Any, y: Any = None, *, validation: Any = None) -> Popular:
        self.mean_ = float(X.data.mean())
        self.counts_ = np.bincount(X.indices, minlength=X.shape[1])
        self.n_items_, self.ratings_ = X.shape[1], X
        self.train_rmse_ = [1 / epoch for epoch in range(1, self.n_epochs + 1)]
        self.validation_rmse_ = [2 / epoch for epoch in range(1, self.n_epochs + 1)] if validation is not None else []
        return self

    def transform(self, X: Any) -> Any:
        return np.ones((X.shape[0], 1))

    def inverse_transform(self, X: Any) -> Any:
        return np.full((len(X), self.n_items_), self.mean_)

    def recommend(self, users: Any, n: int = 10) -> Any:
        known = self.ratings_[users] if np.ndim(users) == 1 else users
        return scores.popular(csr_array(known), n)


class Forgetful(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A classifier that cannot be saved, records its costs and warns."""

    def __init__(self, random_state: int | None = None):
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> Forgetful:
        import warnings

        warnings.warn("it did not converge", UserWarning, stacklevel=1)
        with Path(os.devnull).open() as stream:
            self.classes_, self.stream_, self.n_iter_ = np.unique(y), stream, 2
        self.cost_history_ = [3.0, 2.0, 1.0]
        return self

    def predict(self, X: Any) -> Any:
        return np.full(len(X), self.classes_[0])


class TestRun:
    def test_the_figures_are_those_of_scikit_learn_on_the_same_rows(self) -> None:
        run = fit(*TREE, "+learner.max_depth=2", "data=iris", seed=3)

        X, y = load_iris(return_X_y=True)
        seed = Seeds(3).number("test rows")
        train, test = train_test_split(np.arange(150), test_size=0.2, random_state=seed, stratify=y)
        tree = DecisionTreeClassifier(max_depth=2, random_state=Seeds(3).number("learner"))
        tree.fit(X[np.sort(train)], y[np.sort(train)])
        assert run.final_metrics["train/accuracy"] == accuracy_score(y[train], tree.predict(X[train]))
        assert run.final_metrics["test/accuracy"] == accuracy_score(y[test], tree.predict(X[test]))
        assert run.final_metrics["test/f1"] == pytest.approx(f1_score(y[test], tree.predict(X[test]), average="macro"))
        rows = table(run.directory / "predictions.csv")
        assert rows[0] == ["class", "predicted"]
        assert len(rows) == 31
        assert {cell for row in rows[1:] for cell in row} <= {"setosa", "versicolor", "virginica"}

    def test_a_run_folder_has_what_every_run_has(self) -> None:
        run = fit(*TREE, "data=iris", folds=3)
        assert run.directory == Path("runs/sklearn_iris_DecisionTreeClassifier_s0")
        files = {path.name for path in run.directory.iterdir()}
        assert files == {
            *("config.yaml", "versions.json", "metrics.csv", "timings.csv", "metrics.json", "train.log"),
            *("model", "predictions.csv"),
        }
        assert run.metrics["step"].tolist() == [1, 2, 3]
        assert run.metrics["train/accuracy"][-1] == run.final_metrics["train/accuracy"] == 1
        mean = run.metrics["fold/accuracy"].mean()
        assert run.final_metrics["folds/accuracy_mean"] == pytest.approx(mean)
        assert "time/fit_seconds" in (run.directory / "timings.csv").read_text()
        assert fit(*TREE, "data=iris").directory.name == "sklearn_iris_DecisionTreeClassifier_s0-2"

    def test_equal_runs_leave_equal_files(self) -> None:
        first, second = (fit(*TREE, "data=moons", "+learner.splitter=random", seed=5) for _ in range(2))
        other = fit(*TREE, "data=moons", "+learner.splitter=random", seed=6)
        for name in ("metrics.csv", "metrics.json", "predictions.csv", "model/0/arrays.npz", "model/0/state.json"):
            content = (first.directory / name).read_bytes()
            assert content == (second.directory / name).read_bytes(), name
            assert content != (other.directory / name).read_bytes(), name

    def test_the_model_is_there_again_when_the_run_is_opened(self) -> None:
        directory = fit(*TREE, "data=wine", "prepare=standardize").directory
        run = rlkit.load(directory)
        assert isinstance(run, FitRun)
        assert [name for name, _ in run.model.steps] == ["standardize", "learner"]
        X = load_wine().data
        # A tree without limits knows the rows that it learnt from, four fifths of each class.
        right = run.predict(X) == np.repeat(["class_0", "class_1", "class_2"], [59, 71, 48])
        assert right.mean() > 0.9
        assert run.about["features"][0] == "alcohol"

    def test_preparation_learns_from_training_rows_alone(self) -> None:
        run = fit(*LOGISTIC, "data=iris", "prepare=[impute,standardize]", "test_size=0.5")
        X, y = load_iris(return_X_y=True)
        train, _ = train_test_split(
            np.arange(150), test_size=0.5, random_state=Seeds(0).number("test rows"), stratify=y
        )
        assert run.model["standardize"].mean_ == pytest.approx(X[train].mean(0))

    def test_histories_become_rows_and_warnings_lines(self) -> None:
        run = fit("learner=sklearn", "learner.estimator=test_fitting.Forgetful", "data=iris")
        assert run.metrics["step"].tolist() == [0, 1, 2]
        assert run.metrics["cost"].tolist() == [3, 2, 1]
        told = rlkit.fit("plots=false", "learner=sklearn", "learner.estimator=test_fitting.Forgetful")
        log = (told.directory / "train.log").read_text()
        assert "Forgetful: it did not converge\n" in log
        assert "no model: Forgetful.stream_ is a TextIOWrapper, which is no plain data" in log
        with pytest.raises(SavingError, match=r"holds no model that can be read.*train.log says why"):
            run.predict(np.zeros((1, 4)))

    def test_a_quantity_has_its_own_figures(self) -> None:
        run = fit(*QUANTITIES, "+learner.max_depth=2", "data=diabetes", test_size=0.0)
        from rlkit.learners.datasets.bundled import load

        rows = load("diabetes").rows
        assert run.final_metrics["train/r2"] == pytest.approx(r2_score(rows.y, run.predict(rows.X)))
        assert run.final_metrics["train/rmse"] == pytest.approx(np.sqrt(((rows.y - run.predict(rows.X)) ** 2).mean()))
        assert not any(name.startswith("test/") for name in run.final_metrics)
        assert not (run.directory / "predictions.csv").exists()

    def test_wandb_gets_the_figures_offline(self) -> None:
        run = rlkit.fit(*TREE, "data=iris", "logger=[csv,wandb]", "plots=false", "logger.wandb.mode=offline")
        files = list((run.directory / "wandb").glob("offline-run-*/*.wandb"))
        assert len(files) == 1
        assert b"test/accuracy" in files[0].read_bytes()
        described = [record.run for record in read(files[0]) if record.HasField("run")]
        assert {run.job_type for run in described} == {"fit"}

    def test_epochs_are_told_while_they_pass(self) -> None:
        words = ("data=wine", "prepare=standardize", "folds=2", "logger.terminal.line_seconds=1e-9", "plots=false")
        run = rlkit.fit("learner=mlp", "learner.n_epochs=3", "learner.hidden_layer_sizes=[4]", *words)
        told = (run.directory / "train.log").read_text().splitlines()
        epochs = [line for line in told if line.startswith("epoch ")]
        assert [line.split("  ")[0] for line in epochs] == ["epoch 1/3", "epoch 2/3", "epoch 3/3"] * 3
        cost = f"cost {run.metrics['cost'][-1]:.4g}  validation_cost {run.metrics['validation_cost'][-1]:.4g}"
        assert epochs[-1].endswith(cost)

    def test_the_configuration_is_frozen_in_the_folder(self) -> None:
        config = yaml.safe_load((fit(*TREE, "data=iris", seed=4).directory / "config.yaml").read_text())
        assert config["choices"]["data"] == "iris"
        assert (config["seed"], config["test_size"]) == (4, None)


class TestRecommender:
    DATA = ("data=planted_ratings", "data.users=30", "data.items=25", "data.density=0.5")

    def test_ranking_is_scored_beside_what_is_popular(self) -> None:
        run = fit(*POPULAR, *self.DATA, at=5)
        assert run.final_metrics["test/precision_at_5"] == run.final_metrics["popularity/precision_at_5"] > 0
        assert run.metrics["validation_rmse"].tolist()[:3] == [2, 1, 2 / 3]
        rows = table(run.directory / "predictions.csv")
        assert rows[0] == ["user", "rank", "item", "name"]
        assert len(rows) == 1 + 30 * 5

    def test_new_users_get_recommendations(self) -> None:
        run = fit(*POPULAR, *self.DATA)
        Path("new.csv").write_text("user,item,value\n901,3,5\n901,4,1\n77,3,2\n")
        words = ["predict", f"run={run.directory}", "input=new.csv", f"trust={__name__}"]
        assert main([*words, "at=2", "out=found.csv"]) == 0
        rows = table("found.csv")
        assert [row[:2] for row in rows[1:]] == [["77", "1"], ["77", "2"], ["901", "1"], ["901", "2"]]
        assert not {"3"} & {row[2] for row in rows[1:]}
        Path("new.csv").write_text("1,9000,1\n")
        assert main(words) == 2

    def test_precision_recall_and_ndcg_are_those_of_the_definition(self) -> None:
        relevant = csr_array(np.array([[1, 0, 1, 0, 0.0], [0, 0, 0, 0, 0], [0, 0, 0, 1, 0]]))
        recommended = np.array([[2, 1, -1], [0, 1, 2], [4, 1, 3]])
        found = scores.ranking(recommended, relevant, 3)
        assert found["precision_at_3"] == pytest.approx((1 / 3 + 1 / 3) / 2)
        assert found["recall_at_3"] == pytest.approx((1 / 2 + 1) / 2)
        # The same by scikit-learn, with scores that give this order.
        truth = relevant.toarray()[[0, 2]]
        order = np.array([[0, 4, 5, 3, 2.0], [0, 2, 0, 1, 3]])
        assert found["ndcg_at_3"] == pytest.approx(ndcg_score(truth, order, k=3), abs=1e-12)

    def test_what_is_popular_leaves_out_what_a_user_has(self) -> None:
        known = csr_array(np.array([[1, 1, 0, 0.0], [1, 0, 1, 0], [1, 1, 0, 0]]))
        assert scores.popular(known, 3).tolist() == [[2, 3, -1], [1, 3, -1], [2, 3, -1]]

    def ratings(self, give: int, least: int) -> Dataset:
        user, item = np.divmod(np.arange(60), 12)
        rows = zip(np.append(user, 99), np.append(item, 0), np.arange(1.0, 62), strict=True)
        Path("ratings.csv").write_text("\n".join(",".join(map(str, row)) for row in rows))
        return ratings_file("ratings.csv", ",", "none", give, least)

    def test_so_many_of_each_user_are_held_out(self) -> None:
        data = self.ratings(5, 10)
        assert data.notes == ()
        train, test = split(data, None, Seeds(0))
        assert test is not None
        assert np.diff(test.X.indptr).tolist() == [5] * 5 + [0]
        assert np.diff(train.X.indptr).tolist() == [7] * 5 + [1]
        assert np.array_equal((train.X + test.X).toarray(), data.rows.X.toarray())

    @pytest.mark.parametrize(("give", "test_size", "held"), [(0, None, 12), (5, 0.5, 30), (0, 0.5, 30)])
    def test_none_of_each_user_or_a_share_that_is_asked_for_is_a_share_of_all(
        self, give: int, test_size: float | None, held: int
    ) -> None:
        train, test = split(self.ratings(give, 10), test_size, Seeds(0))
        assert test is not None
        assert (train.X.nnz, test.X.nnz) == (61 - held, held)
        assert set(np.diff(test.X.indptr)) != {5}

    def test_a_limit_that_does_nothing_is_a_line(self) -> None:
        line = "data.give=0 holds out a share of all pairs, test_size=, so that data.least=10 does nothing"
        assert self.ratings(0, 10).notes == (line,)
        assert self.ratings(0, 0).notes == ()
        run = fit(*POPULAR, "data=ratings", "data.path=ratings.csv", "data.least=10")
        assert run.final_metrics["test/recall_at_10"] >= 0
        assert split(self.ratings(0, 10), 0.0, Seeds(0)).test is None

    def test_a_share_of_all_pairs_is_held_out(self) -> None:
        data = as_dataset(RatingTriples(np.arange(40) // 4, np.arange(40) % 4, np.ones(40)))
        _, test = split(data, 0.25, Seeds(0))
        assert test is not None
        assert test.X.nnz == 10

    def test_the_error_is_that_of_the_predicted_ratings(self) -> None:
        learner = Popular().fit(csr_array(np.array([[1.0, 3.0]])))
        assert scores.rating_error(learner, None or csr_array((2, 2)), csr_array(np.array([[5.0, 0], [0, 2.0]]))) == (
            pytest.approx(np.sqrt(4.5))
        )

    def test_folds_and_preparation_are_refused(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["fit", *POPULAR, *self.DATA, "folds=3"]) == 2
        assert "folds= needs rows" in capsys.readouterr().err
        assert main(["fit", *POPULAR, *self.DATA, "prepare=standardize"]) == 2
        assert "prepare= changes columns of features" in capsys.readouterr().err
        assert not list(Path("runs").glob("*/config.yaml"))


class TestSplits:
    def data(self, y: Any, task: str = "classification", **more: Any) -> Dataset:
        return Dataset(task, Rows(np.arange(len(y))[:, None].astype(float), np.array(y)), ("x",), **more)

    def test_classes_keep_their_shares_and_no_row_is_lost(self) -> None:
        data = self.data([0] * 80 + [1] * 20)
        train, test = split(data, 0.25, Seeds(1))
        assert test is not None
        assert test.y is not None
        assert np.bincount(test.y).tolist() == [20, 5]
        assert sorted([*train.X[:, 0], *test.X[:, 0]]) == list(range(100))

    def test_the_data_s_own_rows_come_first(self) -> None:
        own = Rows(np.zeros((3, 1)), np.zeros(3))
        data = self.data([0, 1] * 10, held_out=own)
        assert split(data, None, Seeds(0)).test is own
        _, test = split(data, 0.5, Seeds(0))
        assert test is not None
        assert len(test.X) == 10
        assert split(data, 0.0, Seeds(0)).test is None
        assert split(Dataset("clustering", Rows(np.zeros((9, 1)))), None, Seeds(0)).test is None

    def test_each_row_is_scored_on_once(self) -> None:
        data = self.data([0] * 12 + [1] * 6)
        parts = list(folds(data, data.rows, 3, seed=0))
        held = [part.test.X[:, 0].tolist() for part in parts if part.test is not None]
        assert sorted(row for part in held for row in part) == list(range(18))
        assert all(np.bincount(part.test.y).tolist() == [4, 2] for part in parts if part.test is not None)
        with pytest.raises(UsageError, match="folds is 7; it must be from 2 to the 6 rows of the rarest class"):
            list(folds(data, data.rows, 7, seed=0))

    def test_too_few_rows_are_refused(self) -> None:
        with pytest.raises(UsageError, match=r"test_size=0.2 of 4 rows cannot be held out: .*; set test_size=0"):
            split(self.data([0, 1, 0, 1]), 0.2, Seeds(0))


def test_held_out_rows_of_a_class_that_was_never_shown_are_not_watched() -> None:
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((30, 2)), np.arange(30) % 3
    shown, rest = y[:20] < 2, np.arange(20, 30)
    learner = Pipeline([("learner", MLPClassifier((4,), n_epochs=3, random_state=0))])
    parts = Split(Rows(X[:20][shown], y[:20][shown]), Rows(X[rest], y[rest]))
    model = fitted(learner, parts, lambda epoch, epochs, metrics: None, lambda line: None)[-1]
    known = y[rest] < 2
    alone = clone(learner[-1]).fit(parts.train.X, parts.train.y, validation=(X[rest][known], y[rest][known]))
    assert model.validation_cost_ == alone.validation_cost_
    only = parts._replace(test=Rows(X[rest][~known], y[rest][~known]))
    assert not fitted(learner, only, lambda epoch, epochs, metrics: None, lambda line: None)[-1].validation_cost_


def test_f1_is_that_of_precision_and_recall() -> None:
    class Fixed:
        classes_ = np.array([0, 1])

        def predict(self, X: Any) -> Any:
            return X[:, 0]

    # Of class 1: precision 2/3, recall 1/2; of class 0: 3/5 and 3/4.
    y = np.array([1, 1, 1, 1, 0, 0, 0, 0])
    X = np.array([1, 1, 0, 0, 1, 0, 0, 0])[:, None]
    found = scores.classification(Fixed(), Rows(X, y))
    assert found["accuracy"] == 5 / 8
    assert found["precision"] == pytest.approx((2 / 3 + 3 / 5) / 2)
    assert found["recall"] == pytest.approx((1 / 2 + 3 / 4) / 2)
    assert found["f1"] == pytest.approx((4 / 7 + 2 / 3) / 2)
    assert "log_loss" not in found


def test_figures_of_folds_are_told_with_their_deviation() -> None:
    assert described({"r2_mean": 0.5, "r2_std": 0.01, "rmse": 2.0}) == "r2 0.5 ± 0.01, rmse 2"


ONE_COLUMN = {"data.png", "boundaries.png", "tree.png", "predictions.png"}


@pytest.mark.draws
class TestPlots:
    @pytest.mark.parametrize(
        ("words", "wanted"),
        [
            ((*TREE, "data=iris"), {"data.png", "tree.png", "confusion.png"}),
            ((*LOGISTIC, "data=moons"), {"boundaries.png", "confusion.png"}),
            ((*LOGISTIC, "data=discounts", "test_size=0"), {"boundaries.png", "confusion.png"}),
            (
                (*QUANTITIES, "data=diabetes", "+learner.max_depth=2"),
                {"data.png", "correlations.png", "tree.png", "predictions.png"},
            ),
            ((*LOGISTIC, "data=digits", "prepare=min_max"), {"predictions.png", "confusion.png", "weights.png"}),
            ((*KMEANS, "data=image", "+learner.n_clusters=3", "+learner.n_init=1"), {"palette.png"}),
            ((*KMEANS, "data=iris", "data.features=[petal_length,petal_width]"), {"boundaries.png"}),
            ((*QUANTITIES, "data=diabetes", "data.features=[bmi]", "+learner.max_depth=2"), ONE_COLUMN),
            ((*POPULAR, "data=planted_ratings"), {"data.png", "curve.png", "ranking.png"}),
        ],
        ids=lambda value: value[-1] if isinstance(value, tuple) else "",
    )
    def test_each_kind_of_data_has_its_pictures(self, words: tuple[str, ...], wanted: set[str]) -> None:
        run = rlkit.fit(*words, "logger=[csv]")
        assert picture_of(run) == wanted
        for name in wanted:
            with Image.open(run.directory / name) as picture:
                assert np.asarray(picture.convert("L")).std() > 5, f"{name} is empty"

    def test_flat_colours_come_back_as_they_are(self, tmp_path: Path) -> None:
        colours = {"#ff0000": 3, "#00ff80": 2, "#102030": 1}
        rows = [[tuple(bytes.fromhex(name[1:]))] * 60 for name, count in colours.items() for _ in range(10 * count)]
        Image.fromarray(np.array(rows, np.uint8)).save(tmp_path / "flat.png")
        run = rlkit.fit(*KMEANS, "+learner.n_clusters=3", "data=image", "data.path=flat.png", "logger=[csv]")
        assert table(run.directory / "palette.csv")[1:] == [
            ["#ff0000", "0.5"],
            ["#00ff80", "0.3333333333333333"],
            ["#102030", "0.16666666666666666"],
        ]

    def test_a_palette_is_rounded_and_ordered_by_share(self) -> None:
        pixels = np.array([[0.4, 0, 0], [0.8, 0, 0], [10, 20, 255]])
        colours, shares = palette(pixels, np.array([7, 7, 3]))
        assert [hexadecimal(colour) for colour in colours] == ["#010000", "#0a14ff"]
        assert shares == pytest.approx([2 / 3, 1 / 3])

    def test_texts_show_their_words(self, tmp_path: Path) -> None:
        write_reviews(tmp_path)
        words = ("learner=sklearn", "learner.estimator=sklearn.naive_bayes.MultinomialNB", "data=movie_reviews")
        run = rlkit.fit(*words, WORDS, f"data.folder={tmp_path}", "logger=[csv]")
        assert picture_of(run) == {"data.png", "confusion.png"}
        Path("new.txt").write_text("good film 3\nbad film\n")
        assert main(["predict", f"run={run.directory}", "input=new.txt", "out=new.csv"]) == 0
        assert table("new.csv") == [["line", "sentiment"], ["1", "positive"], ["2", "negative"]]


def write_reviews(folder: Path) -> None:
    for name, word in (("neg", "bad"), ("pos", "good")):
        (folder / f"rt-polarity.{name}").write_text("".join(f"a {word} film {i} \n" for i in range(20)))


class TestPredict:
    def test_columns_are_found_by_name_and_ids_stay(self, capsys: pytest.CaptureFixture[str]) -> None:
        run = fit(*TREE, "data=iris")
        names = ["petal_width", "Id", "petal_length", "sepal_width", "sepal_length"]
        Path("flowers.csv").write_text(",".join(names) + "\n0.2,7,1.4,3.5,5.1\n1.8,9,5.1,3.0,5.9\n")
        assert main(["predict", f"run={run.directory}", "input=flowers.csv", "probabilities=true"]) == 0
        out = run.directory / "predictions_flowers.csv"
        assert capsys.readouterr().out == f"2 rows: {out}\n"
        assert table(out) == [
            ["Id", "class", "P(setosa)", "P(versicolor)", "P(virginica)"],
            ["7", "setosa", "1.0", "0.0", "0.0"],
            ["9", "virginica", "0.0", "0.0", "1.0"],
        ]

    def test_arrays_and_pictures_are_predicted(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        run = fit(*LOGISTIC, "data=digits", "prepare=min_max")
        np.savez("digits.npz", images=np.zeros((3, 8, 8)))
        words = [f"run={run.directory}", "array=images", "out=a.csv", "output=json"]
        assert main(["predict", "input=digits.npz", *words]) == 0
        assert json.loads(capsys.readouterr().out) == {"predictions": "a.csv", "rows": 3}
        (tmp_path / "scans").mkdir()
        Image.new("L", (16, 16), 7).save(tmp_path / "scans" / "one.png")
        assert main(["predict", f"run={run.directory}", "input=scans", "out=b.csv"]) == 0
        assert table("b.csv")[0] == ["file", "class"]
        assert table("b.csv")[1][0] == "one.png"

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (["input=nothing.csv"], "input=nothing.csv is not there"),
            (["input=narrow.csv"], "input=narrow.csv has no column sepal_length; did you mean sepal_lenght?"),
            (["input=wide.npz"], "input=wide.npz has 5 columns, and the model takes 4"),
            (["input=wide.npz", "array=Y"], "array=Y is no array of wide.npz; there is: X"),
            (["input=scans"], "input=scans has images, but the model takes a table"),
            (["input=flowers.csv", "out=scans"], "out=scans is a folder; name a file, e.g. out=scans/predicted.csv"),
        ],
    )
    def test_mistakes_get_one_line(self, words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
        run = fit(*TREE, "data=iris")
        Path("narrow.csv").write_text("sepal_lenght,sepal_width,petal_length,petal_width\n1,2,3,4\n")
        Path("flowers.csv").write_text("sepal_length,sepal_width,petal_length,petal_width\n1,2,3,4\n")
        np.savez("wide.npz", X=np.zeros((2, 5)))
        Path("scans").mkdir()
        assert main(["predict", f"run={run.directory}", *words]) == 2
        assert capsys.readouterr().err == f"rlkit: {message}\n"

    def test_runs_of_the_other_verb_are_refused(self, capsys: pytest.CaptureFixture[str]) -> None:
        run = fit(*TREE, "data=iris")
        assert main(["eval", f"run={run.directory}"]) == 2
        assert "is a run of rlkit fit; rlkit predict and rlkit report take it" in capsys.readouterr().err
        Path("runs/q").mkdir()
        Path("runs/q/config.yaml").write_text("{name: q, agent: {}, env: {}}")
        assert main(["predict", "run=runs/q", "input=x.csv"]) == 2
        assert "is a run of rlkit train; rlkit eval and rlkit play take it" in capsys.readouterr().err


class TestMistakes:
    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (["data=iri"], "there is no data=iri; did you mean iris?"),
            (["learner=tre"], "there is no learner=tre; did you mean tree?"),
            (["prepare=standardise"], "there is no prepare=standardise; did you mean standardize?"),
            (
                [*TREE, "+learner.max_dept=2"],
                "learner.max_dept is not an option of DecisionTreeClassifier; did you mean",
            ),
            ([*TREE[:1], "learner.estimator=SVC"], "learner.estimator=SVC is no class with its module"),
            ([*TREE[:1]], "learner.estimator has no value: give it one with learner.estimator=…"),
            (
                [*TREE[:1], "learner.estimator=pathlib.Path"],
                "learner is a PosixPath, which has no fit: it is no estimator",
            ),
            ([*QUANTITIES], "DecisionTreeRegressor is a regressor, but the data is for classification, which takes a"),
            ([*TREE, "data=diabetes"], "DecisionTreeClassifier is a classifier, but the data is for regression"),
            ([*TREE, "data.features=[petal]"], "there is no column petal in data.features; did you mean"),
            ([*TREE, "test_size=1.5"], "test_size is 1.5; it must be from 0 to less than 1, or null"),
            ([*TREE, "folds=-1"], "folds is -1; it must be at least 0"),
            ([*TREE, "folds=99"], "folds is 99; it must be from 2 to the 40 rows of the rarest class, or 0 for none"),
            ([*TREE, "device=gpu"], "device is gpu; it must be auto, cpu"),
            ([*TREE, "data=csv"], "data.path has no value"),
            ([*TREE, "experiment=rainbow"], "experiment=rainbow is a preset of rlkit train, not of rlkit fit"),
            (["data=house_prices", *QUANTITIES], "house_prices cannot be downloaded by a program: get train.csv from"),
        ],
    )
    def test_they_get_one_line_and_no_folder(
        self, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["fit", *words]) == 2
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 1
        assert lines[0].startswith(f"rlkit: {message}")
        assert not list(Path().glob("runs/*/config.yaml"))

    def test_a_preset_of_fit_is_none_of_train(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["train", "experiment=donut"]) == 2
        assert capsys.readouterr().err == "rlkit: experiment=donut is a preset of rlkit fit, not of rlkit train\n"

    def test_gaps_and_text_are_named_with_what_fills_or_encodes_them(self, capsys: pytest.CaptureFixture[str]) -> None:
        Path("pets.csv").write_text("weight,colour,kind\n4,black,cat\n20,brown,dog\n,red,cat\n6,black,dog\n")
        own = ["data=csv", "data.path=pets.csv", "data.target=kind", "test_size=0", *QUIET]
        assert main(["fit", *LOGISTIC, *own, "prepare=none"]) == 2
        assert "there are columns (colour) of text, which LogisticRegression does not take; prepare=table" in (
            capsys.readouterr().err
        )
        assert main(["fit", *LOGISTIC, *own, "prepare=none", "data.features=[weight]"]) == 2
        assert "there are columns (weight) with gaps, which LogisticRegression does not take; prepare=impute" in (
            capsys.readouterr().err
        )
        assert main(["fit", *LOGISTIC, *own, "output=json"]) == 0
        told = json.loads(capsys.readouterr().out.splitlines()[-1])
        assert set(told) == {"run", "model", "metrics"}
        assert told["model"] is True
        assert Path(told["run"]).name == "sklearn_csv_LogisticRegression_pets_s0"
        assert main(["fit", *LOGISTIC, *own, "table.ordinal=true"]) == 2
        capsys.readouterr()
        assert main(["fit", *LOGISTIC, *own, "prepare.table.ordinal=true"]) == 0

    def test_what_an_estimator_refuses_is_one_line(self, capsys: pytest.CaptureFixture[str]) -> None:
        words = ["learner=sklearn", "learner.estimator=sklearn.naive_bayes.MultinomialNB", "prepare=standardize"]
        assert main(["fit", *words, *QUIET]) == 1
        error = capsys.readouterr().err
        assert error.startswith("rlkit: MultinomialNB cannot be fitted: Negative values in data")
        assert "Traceback" in Path("runs/sklearn_iris_MultinomialNB_s0/train.log").read_text()


@real
class TestRealFiles:
    def test_a_tree_on_house_prices_has_scikit_learn_s_figures_and_kaggle_s_form(self) -> None:
        words = ("data=house_prices", f"data.folder={SHARED}/house_prices", "+learner.min_samples_leaf=5")
        run = fit(*QUANTITIES, *words, test_size=0.0)
        assert run.final_metrics["train/r2"] == pytest.approx(0.8555666521230774, rel=1e-12)
        assert run.final_metrics["train/rmse"] == pytest.approx(30181.295362094053, rel=1e-12)
        rows = table(run.directory / "submission.csv")
        assert rows[0] == ["Id", "SalePrice"]
        assert [row[0] for row in rows[1:]] == [str(number) for number in range(1461, 2920)]
        assert all(34_900 <= float(row[1]) <= 755_000 for row in rows[1:])
        Path("one.csv").write_text("Id,OverallQual,GrLivArea,GarageCars\n2577,5,1828,NA\n")
        assert main(["predict", f"run={run.directory}", "input=one.csv", "out=one_out.csv"]) == 0
        assert table("one_out.csv")[1] == next(row for row in rows if row[0] == "2577")

    def test_all_columns_of_house_prices_are_encoded(self) -> None:
        words = ("data=house_prices", f"data.folder={SHARED}/house_prices", "data.features=null")
        run = fit(*QUANTITIES, *words, "+learner.max_depth=6", "prepare.table.ordinal=true")
        assert run.model["table"].transform(np.full((1, 79), None, dtype=object)).shape == (1, 79)
        assert run.final_metrics["test/r2"] > 0.6

    def test_naive_bayes_on_reviews(self) -> None:
        words = ("learner=sklearn", "learner.estimator=sklearn.naive_bayes.MultinomialNB", "data=movie_reviews")
        run = fit(*words, WORDS, f"data.folder={SHARED}/movie_reviews")
        assert run.final_metrics["test/accuracy"] == pytest.approx(0.77, abs=0.02)
