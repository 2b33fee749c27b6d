"""What classifiers on agents' torsos share: their arguments, and training in epochs (torch)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from inspect import signature
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from gymnasium import spaces
from sklearn.base import BaseEstimator, ClassifierMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor

from rlkit.core.ranges import NonNegativeFloat, PositiveFloat, PositiveInt, ShareBelowOne
from rlkit.core.types import Array
from rlkit.learners.estimators import torch_network
from rlkit.learners.estimators.classes import codes_among
from rlkit.learners.estimators.epochs import EarlyStopping, OnEpoch, batches, held_out, report_epoch
from rlkit.learners.estimators.rows import class_weights, counted, row_weights
from rlkit.learners.estimators.settings import choose, generator, require
from rlkit.learners.estimators.torch_network import Classifier
from rlkit.networks import Torso, Weights, as_torso, encoder_of, load_module_state, module_state, save_encoder
from rlkit.networks.allocations import CheckedAllocations

_TRANSFER = {"fine_tune": False, "frozen": True}


class TorsoClassifier(ClassifierMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Softmax on the features of a torso, trained by the mean cross-entropy of the rows.

    It computes in float64 where X is float64, as scikit-learn's networks do, and else in float32, which is faster.
    `transform` returns the torso's features.

    Attributes:
        classes_: [K] in order.
        scale_: what X is divided by.
        weights_: the network's parameters and buffers as arrays, by name.
        n_iter_: epochs that were run.
        train_cost_: mean cost of the batches of each epoch as they were met, augmented and with dropout.
        validation_cost_: mean cost of the rows held out or given, after each epoch; empty without them.
        validation_score_: the accuracy on them.
    """

    def __init__(
        self,
        torso: Any = None,
        *,
        optimizer: Any = None,
        learning_rate: PositiveFloat = 0.001,
        anneal: bool = False,
        batch_size: PositiveInt = 32,
        n_epochs: PositiveInt = 20,
        class_weight: Any = None,
        early_stopping: bool = False,
        validation_fraction: ShareBelowOne = 0.1,
        n_iter_no_change: PositiveInt = 10,
        tol: NonNegativeFloat = 0.0,
        encoder: Any = None,
        transfer: str = "fine_tune",
        device: str = "auto",
        random_state: Any = None,
    ):
        """Keep the arguments.

        Args:
            torso: makes a torso for an observation space, such as ``partial(NatureCNN, hidden=512)`` or
                ``partial(BlockCNN, channels=[[32, 32]], dropout=0.25)``; None: a usual one.
            optimizer: makes an optimizer of parameters and ``lr``; None: Adam.
            learning_rate: of a step.
            anneal: the learning rate falls to 0 in equal steps, one each epoch.
            batch_size: rows of a step; shuffled every epoch, and the last batch has what is left (with batch
                normalization a single row that is left joins the batch before it).
            n_epochs: passes over the rows; with `early_stopping` at most as many.
            class_weight: dict from class to weight, or balanced, as scikit-learn has it.
            early_stopping: hold `validation_fraction` of the rows out (unless `fit` is given others), stop after
                `n_iter_no_change` epochs without its cost falling by more than `tol`, and keep the best weights.
            validation_fraction: of the rows, of every class alike; used with `early_stopping`.
            n_iter_no_change: epochs; used with `early_stopping`.
            tol: used with `early_stopping`.
            encoder: weights that the torso begins with, as of `encoder_state_dict`, or the path of a file that
                `save_encoder` wrote or of a fit run; None: those that the torso itself names, else random ones.
            transfer: fine_tune, where all weights are trained, or frozen, where the encoder's stay as they are, batch
                normalization's statistics included, and nothing is dropped out. A torso that is made with
                ``freeze=True`` is frozen, too.
            device: auto, which is the accelerator where there is one; cpu, cuda, cuda:1, ... or mps.
            random_state: None, an integer, a `RandomState` or a `Generator`.
        """
        self.torso = torso
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.anneal = anneal
        self.batch_size = batch_size
        self.n_epochs = n_epochs
        self.class_weight = class_weight
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.encoder = encoder
        self.transfer = transfer
        self.device = device
        self.random_state = random_state

    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, *, validation: Any = None, on_epoch: OnEpoch | None = None
    ) -> Self:
        """Learn from rows X [n, F] and their classes y [n].

        Args:
            X: rows.
            y: classes.
            sample_weight: [n] of at least 0; None: 1 each.
            validation: (X, y) of other rows, whose cost is recorded, and which `early_stopping` goes by.
            on_epoch: is called with the costs after each epoch.

        Raises:
            SettingError: an argument that cannot be.
        """
        self._check()
        device, rng = torch_network.device_of(self.device), generator(self.random_state)
        x, targets, weights = self._rows(X, y, sample_weight)
        inputs = self._inputs(x)
        watched = None if validation is None else self._watched(*validation)
        kept: Any = slice(None)
        if self.early_stopping and watched is None:
            kept, left = held_out(len(targets), self.validation_fraction, targets, rng)
            watched = inputs[left], targets[left]
        with torch_network.seeded(int(rng.integers(2**31)), device):
            classifier = self._made(self._floats(inputs[:1]).dtype).to(device)
            self._train(classifier, (inputs[kept], targets[kept], weights[kept]), watched, rng, device, on_epoch)
        self._n_features_out = classifier.torso.features
        self._network = self._restored()
        return self

    def __getstate__(self) -> dict[str, Any]:
        """Return what is pickled: all but the network, which follows from the weights."""
        return {name: value for name, value in super().__getstate__().items() if name != "_network"}

    def predict_proba(self, X: Any) -> Array:
        """Return the probabilities [B, K] of the classes for rows X [B, F]."""
        return self._computed(X, lambda classifier: lambda inputs: classifier(inputs).softmax(1))

    def predict(self, X: Any) -> Array:
        """Return the likeliest classes [B], the first of equals."""
        codes = self.predict_proba(X).argmax(1)
        return np.asarray(self.classes_[codes])

    def transform(self, X: Any) -> Array:
        """Return the torso's features [B, features] of rows X [B, F]."""
        return self._computed(X, lambda classifier: classifier.features)

    def encoder_state_dict(self) -> dict[str, Array]:
        """Return the torso's weights as arrays, by the names that they have in the torso.

        `rlkit.networks.load_module_state` loads them into a torso that was made in the same way, by what the argument
        `torso` is called with: ``clf.torso(clf.observation_space())``.
        """
        check_is_fitted(self)
        return encoder_of(self.weights_)

    def save_encoder(self, path: str | Path) -> None:
        """Write `encoder_state_dict` and `scale_` to an ``.npz`` file, in which nothing can run code."""
        save_encoder(path, self.encoder_state_dict(), float(self.scale_))

    def observation_space(self) -> spaces.Box:
        """Return the space that the torso is made for."""
        raise NotImplementedError

    def _usual_torso(self) -> Callable[[spaces.Box], Torso]:
        raise NotImplementedError

    def _inputs(self, x: Array) -> Tensor:
        """Return rows [n, F] as the torso's body reads them."""
        raise NotImplementedError

    def _floats(self, inputs: Tensor) -> Tensor:
        """Return rows that `_inputs` returned as numbers to compute with."""
        return inputs

    def _augmented(self, inputs: Tensor, draws: torch.Generator) -> Tensor:
        """Return rows as they are shown in training."""
        return inputs

    def _made(self, dtype: torch.dtype) -> Classifier:
        """Return a new network, on the encoder where there is one."""
        classifier = self._untrained().to(dtype)
        encoder = self._encoder(classifier.torso)
        if encoder is not None:
            torch_network.load_pretrained(classifier.torso, encoder)
        rule = "given where transfer is frozen or the torso's freeze is true"
        require(encoder is not None or not classifier.frozen, "encoder", encoder, rule)
        return classifier

    def _encoder(self, torso: Torso) -> Any:
        twice = self.encoder is not None and torso.encoder is not None
        require(not twice, "encoder", self.encoder, f"given once; the torso's own is {torso.encoder}")
        return torso.encoder if self.encoder is None else self.encoder

    def _untrained(self) -> Classifier:
        make = self.torso or self._usual_torso()
        # A torso of agents would read its encoder itself, and expect images in an agent's layout.
        unread = {"fresh": False} if "fresh" in signature(make).parameters else {}
        space = self.observation_space()
        with CheckedAllocations():
            torso = as_torso(make(space, **unread), space)
            frozen = torso.frozen or choose("transfer", self.transfer, _TRANSFER)
            return Classifier(torso, len(self.classes_), frozen=frozen)

    def _train(
        self,
        classifier: Classifier,
        rows: tuple[Tensor, Array, Array],
        watched: tuple[Tensor, Array] | None,
        rng: np.random.Generator,
        device: str,
        on_epoch: OnEpoch | None,
    ) -> None:
        make = self.optimizer or partial(torch.optim.Adam, fused=True)
        optimizer = make(classifier.trainable(), lr=float(self.learning_rate))
        draws = torch.Generator().manual_seed(int(rng.integers(2**31)))
        stopping = EarlyStopping(self.n_iter_no_change, self.tol)
        self.n_iter_ = 0
        self.train_cost_: list[float] = []
        self.validation_cost_: list[float] = []
        self.validation_score_: list[float] = []
        for epoch in range(self.n_epochs):
            if self.anneal:
                optimizer.param_groups[0]["lr"] = self.learning_rate * (1 - epoch / self.n_epochs)
            self._epoch(classifier.train(), optimizer, rows, rng, draws, device)
            if watched is not None:
                self._watch(classifier.eval(), *watched, device)
            costs = {"cost": self.train_cost_, "validation_cost": self.validation_cost_}
            report_epoch(on_epoch, self.n_iter_, self.n_epochs, **costs)
            if self.early_stopping and stopping.stops(self.validation_cost_[-1], module_state(classifier)):
                break
        if self.early_stopping:
            load_module_state(classifier, dict(stopping.best))
        torch_network.settle(classifier, map(self._floats, torch.split(rows[0], self.batch_size)), device)
        self.weights_: Weights = module_state(classifier)

    def _epoch(
        self,
        classifier: Classifier,
        optimizer: torch.optim.Optimizer,
        rows: tuple[Tensor, Array, Array],
        rng: np.random.Generator,
        draws: torch.Generator,
        device: str,
    ) -> None:
        inputs, *others = rows
        target, weight = (torch.tensor(column) for column in others)
        least, costs, sizes = 1 + classifier.batch_normalized(), [], []
        for chosen in batches(len(target), self.batch_size, rng, least):
            index = torch.from_numpy(chosen)
            shown = self._augmented(self._floats(inputs[index].to(device)), draws)
            arguments = shown, target[index].to(device), weight[index].to(shown)
            costs.append(torch_network.descend(classifier, optimizer, *arguments))
            sizes.append(len(index))
        self.n_iter_ += 1
        self.train_cost_.append(float(np.average(costs, weights=sizes)))
        rule = "lower: the cost grew without bound"
        require(bool(np.isfinite(self.train_cost_[-1])), "learning_rate", self.learning_rate, rule)

    def _watch(self, classifier: Classifier, inputs: Tensor, target: Array, device: str) -> None:
        logs = torch_network.in_parts(lambda part: classifier(self._floats(part)).log_softmax(1), inputs, device)
        self.validation_cost_.append(float(-logs[np.arange(len(target)), target].mean()))
        self.validation_score_.append(float((logs.argmax(1) == target).mean()))

    def _computed(self, X: Any, function: Callable[[Classifier], Callable[[Tensor], Tensor]]) -> Array:
        check_is_fitted(self)
        x = validate_data(self, X, reset=False, dtype=self._dtypes(self.weights_["head.weight"].dtype))
        device = torch_network.device_of(self.device)
        if getattr(self, "_network", None) is None:
            # It was read from plain data.
            self._network = self._restored()
        compute, dtype = function(self._network.to(device)), self._learned_dtype()
        # Bytes may come to a network that learned from float64.
        return torch_network.in_parts(lambda part: compute(self._floats(part).to(dtype)), self._inputs(x), device)

    def _learned_dtype(self) -> torch.dtype:
        return torch.tensor(self.weights_["head.weight"]).dtype

    def _dtypes(self, *computed: Any) -> list[Any]:
        """Return the types of numbers in which rows are kept; others become the first."""
        return list(computed)

    def _restored(self) -> Classifier:
        """Return the network with what was learned, in the mode of prediction."""
        with torch_network.seeded(0, "cpu"):
            classifier = self._untrained()
        classifier.to(self._learned_dtype())
        load_module_state(classifier, dict(self.weights_))
        return classifier.eval()

    def _rows(self, X: Any, y: Any, sample_weight: Any) -> tuple[Array, Array, Array]:
        """Return rows, indices of their classes, and weights of mean 1, without the rows of weight 0."""
        x, y = validate_data(self, X, y, dtype=self._dtypes(np.float32, np.float64))
        check_classification_targets(y)
        weights = row_weights(sample_weight, len(x)) * class_weights(self.class_weight, y)
        weights, [x, y] = counted(weights, x, column_or_1d(y))
        self.classes_, targets = np.unique(y, return_inverse=True)
        self.scale_ = self._scale(x)
        return x, targets, weights / weights.mean()

    def _scale(self, x: Array) -> float:
        """Return what rows are divided by."""
        return 1.0

    def _watched(self, X: Any, y: Any) -> tuple[Tensor, Array]:
        x, y = validate_data(self, X, y, reset=False, dtype=self._dtypes(np.float32, np.float64))
        return self._inputs(x), codes_among(y, self.classes_)

    def _check(self) -> None:
        for name in ("batch_size", "n_epochs", "n_iter_no_change"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "at least 1")
        require(self.learning_rate > 0, "learning_rate", self.learning_rate, "positive")
        require(self.tol >= 0, "tol", self.tol, "at least 0")
        choose("transfer", self.transfer, _TRANSFER)
        rate = "lr" in getattr(self.optimizer, "keywords", {})
        require(not rate, "the optimizer's lr", "given", "left out; give learning_rate")
