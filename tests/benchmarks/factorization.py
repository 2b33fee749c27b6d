"""Matrix factorisation per epoch, beside Surprise's SVD and implicit's alternating least squares.

    <python with rlkit, scikit-surprise, implicit> tests/benchmarks/factorization.py --out <folder>

100,000 generated ratings of 943 users and 1,682 items, as many as MovieLens-100k has. All take turns in one process,
with one thread; what is compared is processor time, which others on the machine change less than the clock's. implicit
solves another problem, weighted least squares over all pairs, by three steps of conjugate gradients: a scale, no race.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from keep import write
from scipy import sparse
from threadpoolctl import threadpool_limits

from rlkit.learners.estimators.factorization import MatrixFactorization

USERS, ITEMS, RATINGS, EPOCHS = 943, 1682, 100_000, 10
SGD, ALS = 100, 64  # factors
OPTIONS: dict[str, Any] = {"learning_rate": 0.005, "regularization": 0.02, "n_epochs": EPOCHS, "random_state": 0}
"""Those of Surprise's SVD as it comes."""


def planted(rng: np.random.Generator) -> Any:
    """Return ratings from 1 to 5 of ten factors and biases, where chance put them."""
    pairs = np.sort(rng.choice(USERS * ITEMS, RATINGS, replace=False))
    users, items = np.divmod(pairs, ITEMS)
    p, q = rng.normal(0, 0.6, (USERS, 10)), rng.normal(0, 0.6, (ITEMS, 10))
    biases = rng.normal(0, 0.4, USERS)[users] + rng.normal(0, 0.4, ITEMS)[items]
    ratings = 3.5 + biases + (p[users] * q[items]).sum(1) + rng.normal(0, 0.5, RATINGS)
    return sparse.csr_array((np.clip(np.round(ratings), 1, 5), (users, items)), shape=(USERS, ITEMS))


def trainset(ratings: Any) -> Any:
    """Return them as Surprise takes them."""
    import surprise

    pairs = ratings.tocoo()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ratings"
        np.savetxt(path, np.column_stack((pairs.row, pairs.col, pairs.data)), fmt="%d")
        reader = surprise.Reader(line_format="user item rating", sep=" ")
        return surprise.Dataset.load_from_file(str(path), reader).build_full_trainset()


def variants(ratings: Any) -> dict[str, Callable[[], Any]]:
    """Return fits of `EPOCHS` epochs, with the same hyperparameters where they have the same meaning."""
    import implicit
    import surprise

    rows, theirs = sparse.csr_matrix(ratings), trainset(ratings)
    als: dict[str, Any] = {"factors": ALS, "iterations": EPOCHS, "num_threads": 1, "random_state": 0}
    return {
        "sgd: surprise": lambda: surprise.SVD(n_factors=SGD, n_epochs=EPOCHS, random_state=0).fit(theirs),
        "sgd: rlkit": lambda: MatrixFactorization(SGD, **OPTIONS).fit(ratings),
        "als: implicit": lambda: implicit.als.AlternatingLeastSquares(**als).fit(rows, show_progress=False),
        "als: rlkit": lambda: MatrixFactorization(ALS, solver="als", **OPTIONS).fit(ratings),
    }


def milliseconds(fit: Callable[[], Any]) -> float:
    """Return the processor time of an epoch."""
    start = time.process_time()
    fit()
    return (time.process_time() - start) / EPOCHS * 1000


def measured(made: dict[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    """Return the milliseconds of every variant in every round, after one that does not count."""
    found: dict[str, list[float]] = {name: [] for name in made}
    for fit in made.values():
        fit()
    for _ in range(rounds):
        for name, fit in made.items():
            found[name].append(milliseconds(fit))
    return found


def errors(ratings: Any) -> tuple[float, float]:
    """Return the root of the mean squared error on the training ratings, of Surprise and of rlkit."""
    import surprise

    theirs = trainset(ratings)
    svd = surprise.SVD(n_factors=SGD, n_epochs=EPOCHS, random_state=0).fit(theirs)
    found = surprise.accuracy.rmse(svd.test(theirs.build_testset()), verbose=False)
    return found, MatrixFactorization(SGD, **OPTIONS).fit(ratings).train_rmse_[-1]


def main() -> None:
    """Print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    ratings = planted(np.random.default_rng(0))
    with threadpool_limits(1):
        found = measured(variants(ratings), arguments.rounds)
    rows = []
    for kind, peer in (("sgd", "surprise"), ("als", "implicit")):
        base = found[f"{kind}: {peer}"]
        for name in (peer, "rlkit"):
            values = found[f"{kind}: {name}"]
            ratios = [a / b for a, b in zip(base, values, strict=True)]
            print(
                f"{kind}: {name:10} median {statistics.median(values):6.1f} ms an epoch   {peer}/it: "
                f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})",
                flush=True,
            )
            rows += [{"round": i, "fit": f"{kind}: {name}", "milliseconds": round(v, 2)} for i, v in enumerate(values)]
    theirs, ours = errors(ratings)
    print(f"training error after {EPOCHS} epochs: surprise {theirs:.4f}, rlkit {ours:.4f}")
    if arguments.out:
        write(arguments.out, "factorization", rows, training_error={"surprise": theirs, "rlkit": ours})


if __name__ == "__main__":
    main()
