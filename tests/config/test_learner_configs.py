"""Every shipped YAML of learners, data and presets composes, and each learner is the estimator that it says."""

from __future__ import annotations

from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest
from sklearn.base import clone

from rlkit.config import instantiate, plugins, signature
from rlkit.config.compose import composed
from rlkit.config.run_config import FitRunConfig, requested
from rlkit.config.typed import plain_data
from rlkit.core.types import UsageError
from rlkit.learners.kinds import kind_of
from rlkit.testing.learners import ESSENTIAL, RULES, LearnerCase, check_learner
from rlkit.testing.rules import examine, silent

KINDS = {
    "classifier": (
        *("tree_classifier", "forest_classifier", "logistic", "perceptron", "naive_bayes", "bernoulli_bayes"),
        *("gaussian_bayes", "mlp_classifier", "cnn"),
    ),
    "regressor": ("tree_regressor", "forest_regressor", "extra_trees", "linear", "mlp_regressor"),
    "clusterer": ("kmeans",),
    "recommender": ("factorization", "svd", "user_knn", "item_knn", "popularity"),
    "language_model": ("ngram",),
}
NAMES = [name for names in KINDS.values() for name in names]
SOONER = {
    **dict.fromkeys(("mlp_classifier", "mlp_regressor"), ("learner.n_epochs=40", "learner.learning_rate=0.01")),
    **dict.fromkeys(("forest_classifier", "forest_regressor", "extra_trees"), ("learner.n_estimators=5",)),
    "cnn": ("learner.n_epochs=5",),
}
"""Checks fit dozens of times."""
BY_TASK = ("tree", "forest", "mlp")
RECURRENT = ("rnn", "lstm", "gru")
"""By task, too, without a YAML file for each."""
OWN_FILES = {
    "csv": "a.csv",
    "tsv": "a.tsv",
    "npz": "a.npz",
    "images": "pictures",
    "ratings": "a.csv",
    "episodes": "episodes",
    "text": "a.txt",
}
"""Data sets that need a path."""


def shipped(group: str) -> list[str]:
    return [entry.name for entry in plugins.entries(group) if entry.origin.distribution == plugins.CORE]


@cache
def config_of(*words: str) -> FitRunConfig:
    return requested(FitRunConfig, *composed("fit", list(words)))


def learner(*words: str, task: str | None = None) -> Any:
    config = config_of("data=iris", *words)
    context: Any = {"random_state": lambda path: 1, "image_shape": lambda path: None, "device": lambda path: "cpu"}
    context |= {"task": lambda path: task} if task else {}
    return instantiate.build(config.learner, context, "learner")


def test_the_learners_below_are_all_that_are_shipped() -> None:
    assert sorted([*NAMES, *BY_TASK, *RECURRENT, "sklearn"]) == sorted(shipped("learner"))


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, names in KINDS.items() for name in names])
def test_each_learner_is_what_it_says(kind: str, name: str) -> None:
    made = learner(f"learner={name}")
    assert kind_of(made) == kind
    assert type(made).__module__.startswith("rlkit.learners.")
    # Constructors keep scikit-learn's rule: what they are given, they have.
    given = config_of("data=iris", f"learner={name}").learner
    plain = [key for key in given if key not in ("_target_", "_from_run_", "torso")]
    assert {key: getattr(made, key) for key in plain} == {key: given[key] for key in plain}
    assert made.torso.func.__name__ == "BlockCNN" if "torso" in given else True


@pytest.mark.parametrize("name", NAMES)
def test_each_learner_keeps_rlkit_s_rules(name: str) -> None:
    """It leaves its arguments and rows alone, is the same with equal seeds, and says the same when it is read again."""
    made = learner(f"learner={name}", *SOONER.get(name, ()))
    results = examine(LearnerCase(partial(clone, made), seed=0), ESSENTIAL, RULES, silent)
    assert [result for result in results if not result.passed] == []


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_each_learner_passes_all_that_rlkit_check_does(name: str) -> None:
    check_learner(partial(clone, learner(f"learner={name}", *SOONER.get(name, ()))))


@pytest.mark.parametrize("name", RECURRENT)
def test_recurrent_networks_are_of_the_task(name: str) -> None:
    for task in ("classification", "regression"):
        made = learner(f"learner={name}", task=task)
        assert (made.cell, kind_of(made)) == (name, {"classification": "classifier", "regression": "regressor"}[task])


@pytest.mark.parametrize("name", BY_TASK)
def test_some_follow_the_task_of_the_data(name: str) -> None:
    assert kind_of(learner(f"learner={name}", task="classification")) == "classifier"
    assert kind_of(learner(f"learner={name}", task="regression")) == "regressor"
    assert type(learner(f"learner={name}_regressor")) is type(learner(f"learner={name}", task="regression"))


@pytest.mark.parametrize("name", ["extra_trees", "tree_classifier", "kmeans"])
def test_a_learner_fits_the_slot_of_an_agent(name: str) -> None:
    config, _ = composed("train", ["agent=random", "env=cartpole", f"+learner@agent.estimator={name}"])
    node = instantiate.plain(config["agent"])["estimator"]
    assert kind_of(instantiate.build(node, {}, "agent.estimator")) in KINDS


def test_one_that_follows_the_data_is_refused_where_there_is_none() -> None:
    with pytest.raises(UsageError, match=r"learner is for several tasks \(classification, regression\); choose a file"):
        learner("learner=tree")
    with pytest.raises(UsageError, match="learner is for classification, regression, but the task of the data is"):
        learner("learner=tree", task="recommendation")


@pytest.mark.parametrize("name", shipped("data"))
def test_each_data_set_composes_with_its_preparation(name: str, tmp_path: Path) -> None:
    words = [f"data.path={tmp_path / OWN_FILES[name]}"] if name in OWN_FILES else []
    words += ["data.id=poles-v0"] if name == "minari" else []
    config, choices = composed("fit", [f"data={name}", *words])
    assert choices["prepare"] in shipped("prepare")
    target = instantiate.locate(config.data["_target_"], "data")
    wanted = signature.parameters(target)
    assert set(config.data) - {"_target_"} <= set(wanted)
    needed = {key for key, parameter in wanted.items() if parameter.default is parameter.empty}
    assert needed <= {*config.data, "rng", "notify"}


@pytest.mark.parametrize("name", shipped("prepare"))
def test_each_preparation_builds(name: str) -> None:
    config = config_of("data=iris", f"prepare={name}")
    for step in instantiate.build(config.prepare, {}, "prepare").values():
        assert callable(step.fit)
        assert callable(step.transform)


@pytest.mark.parametrize("name", [entry.name for entry in plugins.entries("experiment") if entry.verb == "fit"])
def test_each_preset_builds_what_it_names(name: str) -> None:
    from rlkit.fitting.launch import make_pipeline
    from rlkit.learners.datasets import Dataset, Rows

    config = config_of(f"experiment={name}")
    pipeline = make_pipeline(config, Dataset("regression", Rows([[0.0]])))
    assert type(pipeline[-1]).__module__.startswith("rlkit.learners.")


def test_the_presets_have_the_sources_settings() -> None:
    def given(name: str) -> Any:
        return plain_data(config_of(f"experiment={name}"))

    discounts = given("discounts")["learner"]
    assert (discounts["learning_rate"], discounts["max_iter"], discounts["alpha"]) == (0.01, 100_000, 0)
    linear = given("house_prices_linear")
    assert (linear["learner"]["learning_rate"], linear["learner"]["max_iter"]) == (0.01, 2000)
    assert list(linear["prepare"]) == ["table", "standardize"]
    assert linear["data"]["features"] == ["OverallQual", "GrLivArea", "GarageCars"]
    tree = given("house_prices_tree")["learner"]
    assert (tree["criterion"], tree["min_samples_leaf"]) == ("std", 5)
    mlp = given("mnist_mlp")
    assert (mlp["learner"]["hidden_layer_sizes"], mlp["learner"]["n_epochs"], mlp["test_size"]) == ([100], 61, 0.5)
    donut = given("donut")["learner"]
    assert (donut["learning_rate"], donut["batch_size"], donut["n_epochs"]) == (0.1, 10, 1001)
    assert given("lastfm")["data"]["give"] == 15
