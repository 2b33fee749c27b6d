"""Encoders that `rlkit fit` has trained, as torsos of agents."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from encoding import FIT, frames

import rlkit
from rlkit.core.types import RunError, UsageError
from rlkit.networks import module_state

CATCH = "env=catch env.rows=5 network=small eval.every=0 checkpoint.every=60 logger=[csv] video=none"
AGAIN = f"{FIT} seed=1"
AGENTS = {
    "dqn": "agent=dqn agent.learning_starts=20 agent.batch_size=8 agent.target_every=5 replay.capacity=200",
    "a2c": "agent=a2c",
    "ppo": "agent=ppo agent.n_steps=16 agent.batch_size=8 agent.epochs=2",
}


def encoder(folder: Path, *words: str, name: str = "encoder", **keys: Any) -> Path:
    """Fit an encoder, and return the folder of its run."""
    rlkit.fit(*FIT.split(), f"data.path={frames(folder / f'{name}.npz', **keys)}", *words, name=name)
    return folder / "runs" / name


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an encoder for Catch."""
    folder = tmp_path_factory.mktemp("encoders")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        encoder(folder)
    return folder


@pytest.fixture(autouse=True)
def _there(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(workplace)


def torso_of(run: Any, agent: str) -> dict[str, Any]:
    """Return the weights of an agent's torso by the encoder's names."""
    network = module_state(run.load_agent("last").network)
    if agent == "dqn":
        names = {"actions.0.": "top."}
        found = {name.replace("actions.0.", names["actions.0."]): array for name, array in network.items()}
        return {name: array for name, array in found.items() if name.startswith(("body.", "top."))}
    found = {
        name.replace("policy_torso.0.", "body.").replace("policy_torso.1.", "top."): a for name, a in network.items()
    }
    return {name: array for name, array in found.items() if name.startswith(("body.", "top."))}


@pytest.mark.parametrize("freeze", [True, False], ids=["frozen", "fine_tuned"])
@pytest.mark.parametrize("agent", AGENTS)
def test_an_agent_begins_with_the_encoder_and_keeps_it_where_it_is_frozen(
    agent: str, freeze: bool, workplace: Path
) -> None:
    given = f"network.encoder=runs/encoder network.freeze={str(freeze).lower()}"
    run = rlkit.train(*AGENTS[agent].split(), *CATCH.split(), *given.split(), total_steps=120)
    learnt: Any = rlkit.load(workplace / "runs/encoder")
    weights = learnt.model[-1].encoder_state_dict()
    found = torso_of(run, agent)
    assert sorted(found) == sorted(weights)
    for name, array in weights.items():
        same = np.array_equal(found[name], array.astype(np.float32))
        assert same == freeze, name
    trained: Any = run.load_agent("last")
    optimised = trained._optimizer.vector if agent == "dqn" else trained._optimizers["all"].vector
    sizes = {name: parameter.numel() for name, parameter in trained.network.named_parameters()}
    frozen = sum(array.size for array in weights.values()) if freeze else 0
    assert len(optimised) == sum(sizes.values()) - frozen


def test_before_the_first_update_the_features_are_the_encoder_s(workplace: Path) -> None:
    words = [*AGENTS["ppo"].split(), *CATCH.split(), "network.encoder=runs/encoder"]
    run = rlkit.train(*words, total_steps=8)
    learnt: Any = rlkit.load(workplace / "runs/encoder")
    pictures = np.random.default_rng(0).integers(0, 256, (3, 20, 20, 1), dtype=np.uint8)
    network: Any = run.load_agent("last")
    import torch

    with torch.inference_mode():
        network = network.network
        features = network.policy_torso(network.read(torch.from_numpy(pictures))).numpy()
    np.testing.assert_allclose(features, learnt.model[-1].transform(pictures.reshape(3, -1)), rtol=1e-4, atol=1e-6)


def test_batch_normalisation_keeps_its_statistics(workplace: Path) -> None:
    torso = "learner.torso.channels=[[4]] learner.torso.hidden=8 +learner.torso.batch_norm=true"
    blocks = f"network@learner.torso=blocks {torso}"
    run_folder = encoder(workplace, *blocks.split(), name="normalised")
    network = (
        f"network=blocks +network.batch_norm=true network.channels=[[4]] network.hidden=8 network.encoder={run_folder}"
    )
    for freeze in ("true", "false"):
        words = [*AGENTS["dqn"].split(), *CATCH.split(), *network.split(), f"network.freeze={freeze}"]
        run = rlkit.train(*words, total_steps=60)
        learnt: Any = rlkit.load(run_folder)
        weights, found = learnt.model[-1].encoder_state_dict(), torso_of(run, "dqn")
        statistics = [name for name in weights if "running" in name]
        assert len(statistics) == 2
        for name in statistics:
            assert np.array_equal(found[name], weights[name].astype(np.float32))
        assert np.array_equal(found["body.1.weight"], weights["body.1.weight"].astype(np.float32)) == (freeze == "true")


def test_a_run_needs_its_encoder_only_to_begin(workplace: Path, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    shutil.copytree(workplace / "runs/encoder", gone)
    words = [*AGENTS["dqn"].split(), *CATCH.split(), "network.freeze=true"]
    whole = rlkit.train(*words, "network.encoder=runs/encoder", total_steps=120, run_dir=tmp_path / "whole")
    rlkit.train(*words, f"network.encoder={gone}", total_steps=60, run_dir=tmp_path / "part")
    shutil.rmtree(gone)
    part = rlkit.train(f"resume={tmp_path / 'part'}", total_steps=120)
    first, second = (module_state(run.load_agent("last").network) for run in (whole, part))
    assert all(np.array_equal(first[name], second[name]) for name in first)
    assert part.evaluate(episodes=2)["episodes"] == 2


def test_what_does_not_fit_is_refused_in_one_line(workplace: Path) -> None:
    words = [*AGENTS["dqn"].split(), *CATCH.split()]
    encoder(workplace, name="wide", shape=(24, 28))
    encoder(workplace, "learner.scale=max", name="dim", top=100)
    tree = f"learner=tree_classifier data=npz data.path={workplace / 'encoder.npz'} name=tree logger=[csv] plots=false"
    rlkit.fit(*tree.split())
    for given, message in (
        ("network.freeze=true", r"network.freeze=true needs network.encoder=<a run of rlkit fit learner=cnn>"),
        ("network.encoder=runs/none", r"runs/none"),
        ("network.encoder=runs/tree", r"network.encoder=runs/tree has no encoder.npz; rlkit fit learner=cnn"),
        ("network.encoder=runs/dim", r"runs/dim was fitted to pixels divided by 100, after 0 preparations"),
        (
            "network.encoder=runs/encoder network.hidden=32",
            r"runs/encoder is of another network: the encoder's top.0.weight is \(256, 32\); it must be \(32, 32\)",
        ),
        ("network.encoder=runs/wide network=small", r"of another network: the encoder's top.0.weight is \(256, 64\)"),
    ):
        with pytest.raises(UsageError, match=message):
            rlkit.train(*words, *given.split(), total_steps=20)


def pictures() -> Any:
    """Return rows for Catch's encoder."""
    return np.random.default_rng(0).integers(0, 256, (5, 400)).astype(np.float32)


def fit_again(*words: str, name: str) -> Any:
    """Fit to the pictures of the encoder's run once more, and return what was learnt."""
    return rlkit.fit(*AGAIN.split(), "data.path=encoder.npz", *words, name=name).model[-1]


@pytest.mark.parametrize(
    "path", ["runs/encoder", "runs/encoder/model", "runs/encoder/model/0", "runs/encoder/model/0/arrays.npz", "e.npz"]
)
@pytest.mark.parametrize("key", ["learner.torso.encoder", "+learner.encoder"])
def test_a_fit_begins_with_an_encoder_and_keeps_it_where_it_is_frozen(path: str, key: str, workplace: Path) -> None:
    learnt: Any = rlkit.load(workplace / "runs/encoder")
    learnt.model[-1].save_encoder(workplace / "e.npz")
    freeze = {"learner.torso.encoder": "learner.torso.freeze=true", "+learner.encoder": "+learner.transfer=frozen"}[key]
    name = f"again_{key}_{path}".replace("/", "_")
    found = fit_again(f"{key}={path}", freeze, name=name).encoder_state_dict()
    for name, array in learnt.model[-1].encoder_state_dict().items():
        np.testing.assert_array_equal(found[name], array)


def test_a_fit_that_is_not_frozen_begins_with_the_encoder_and_moves_every_tensor(workplace: Path) -> None:
    learnt: Any = rlkit.load(workplace / "runs/encoder")
    weights = learnt.model[-1].encoder_state_dict()
    words = "learner.torso.encoder=runs/encoder", "learner.learning_rate=1e-6", "learner.n_epochs=1"
    found = fit_again(*words, name="tuned").encoder_state_dict()
    for name, array in weights.items():
        assert not np.array_equal(found[name], array), name
        np.testing.assert_allclose(found[name], array, atol=1e-4)


@pytest.mark.parametrize("key", ["learner.torso.freeze=true", "+learner.transfer=frozen"])
def test_a_frozen_torso_keeps_its_statistics_and_drops_nothing_out(key: str, workplace: Path) -> None:
    blocks = "network@learner.torso=blocks learner.torso.channels=[[4]] learner.torso.hidden=8"
    shape = [*blocks.split(), "+learner.torso.batch_norm=true", "+learner.torso.hidden_dropout=0.5"]
    run_folder = encoder(workplace, *shape, name=f"dropping{len(key)}")
    learnt: Any = rlkit.load(run_folder)
    path = f"data.path=dropping{len(key)}.npz"
    words = [
        *AGAIN.split(),
        path,
        *shape,
        f"learner.torso.encoder={run_folder}",
        key,
        "+learner.optimizer._target_=torch.optim.AdamW",
    ]
    words += ["+learner.optimizer._partial_=true", "+learner.optimizer.weight_decay=0.5"]
    again = rlkit.fit(*words, name=f"dropped{len(key)}").model[-1]
    weights, found = learnt.model[-1].encoder_state_dict(), again.encoder_state_dict()
    assert {name for name in weights if "running" in name}
    for name, array in weights.items():
        np.testing.assert_array_equal(found[name], array)
    np.testing.assert_array_equal(again.transform(pictures()), learnt.model[-1].transform(pictures()))


def test_a_frozen_torso_stays_in_the_mode_of_prediction_while_its_head_trains() -> None:
    from gymnasium import spaces

    from rlkit.learners.estimators.torch_network import Classifier
    from rlkit.networks import BlockCNN

    space, options = spaces.Box(0, 255, (8, 8, 1), np.uint8), {"batch_norm": True, "hidden_dropout": 0.5}
    torso = BlockCNN(space, [[4]], 8, encoder="runs/encoder", freeze=True, fresh=False, **options)
    classifier = Classifier(torso, 2, frozen=torso.frozen).train()
    assert not any(module.training for module in torso.modules())
    assert classifier.head.training
    assert [tuple(parameter.shape) for parameter in classifier.trainable()] == [(2, 8), (2,)]
    assert not classifier.batch_normalized()
    tuned = Classifier(BlockCNN(space, [[4]], 8, encoder="runs/encoder", fresh=False, **options), 2, frozen=False)
    assert all(module.training for module in tuned.train().torso.modules())
    assert len(tuned.trainable()) == len(list(tuned.parameters()))


def test_a_model_that_began_with_an_encoder_predicts_without_it(workplace: Path, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    shutil.copytree(workplace / "runs/encoder", gone)
    words = f"data.path=encoder.npz learner.torso.encoder={gone} learner.torso.freeze=true".split()
    run = rlkit.fit(*AGAIN.split(), *words, name="alone")
    expected = run.predict(pictures())
    shutil.rmtree(gone)
    again: Any = rlkit.load(workplace / "runs/alone")
    np.testing.assert_array_equal(again.predict(pictures()), expected)


@pytest.mark.parametrize("path", ["runs/encoder/model", "runs/encoder/model/0", "e.npz"])
def test_an_agent_takes_the_model_s_folder_and_a_file_too(path: str, workplace: Path) -> None:
    learnt: Any = rlkit.load(workplace / "runs/encoder")
    learnt.model[-1].save_encoder(workplace / "e.npz")
    words = [*AGENTS["dqn"].split(), *CATCH.split(), f"network.encoder={path}", "network.freeze=true"]
    found = torso_of(rlkit.train(*words, total_steps=8), "dqn")
    for name, array in learnt.model[-1].encoder_state_dict().items():
        np.testing.assert_array_equal(found[name], array.astype(np.float32))


def test_weight_decay_leaves_a_frozen_torso_alone(workplace: Path) -> None:
    learnt: Any = rlkit.load(workplace / "runs/encoder")
    for agent in AGENTS:
        words = [*AGENTS[agent].split(), *CATCH.split(), "network.encoder=runs/encoder", "network.freeze=true"]
        found = torso_of(rlkit.train(*words, "+agent.optimizer.weight_decay=0.5", total_steps=60), agent)
        for name, array in learnt.model[-1].encoder_state_dict().items():
            np.testing.assert_array_equal(found[name], array.astype(np.float32))


def test_what_a_fit_cannot_begin_with_is_refused_in_one_line(workplace: Path) -> None:
    (workplace / "text.npz").write_text("no arrays")
    for given, message in (
        ("learner.torso.encoder=runs/none", "there is no run runs/none"),
        ("+learner.encoder=runs/none", "there is no run runs/none"),
        ("+learner.encoder=text.npz", "encoder=text.npz is not an .npz file of save_encoder"),
        (
            "learner.torso.encoder=runs/encoder learner.torso.hidden=32",
            r"encoder=runs/encoder is of another network: the encoder's top.0.weight is \(256, 32\); it must be",
        ),
        ("learner.torso.freeze=true", "encoder is None; it must be given where transfer is frozen or the torso's"),
        ("+learner.transfer=frozen", "encoder is None; it must be given where transfer is frozen or the torso's"),
        ("learner.torso.encoder=runs/encoder +learner.encoder=e.npz", "encoder is 'e.npz'; it must be given once"),
    ):
        with pytest.raises((UsageError, RunError), match=message) as caught:
            fit_again(*given.split(), name=f"refused{abs(hash(given))}")
        assert "\n" not in str(caught.value)
