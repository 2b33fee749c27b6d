"""Estimators written here, with the interface of scikit-learn."""
