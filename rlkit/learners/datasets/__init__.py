"""Data sets for `rlkit fit`: those of scikit-learn, what is generated, what is downloaded once, and a user's own."""

from rlkit.learners.datasets.dataset import TASKS, Dataset, Rows

__all__ = ["TASKS", "Dataset", "Rows"]
