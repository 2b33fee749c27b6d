"""Classical learners as scikit-learn estimators, written here: any slot that takes an estimator takes them."""
