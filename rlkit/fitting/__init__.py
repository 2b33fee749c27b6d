"""`rlkit fit` and `rlkit predict`: an estimator with scikit-learn's interface on a data set, as a run."""
