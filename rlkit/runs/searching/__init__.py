"""Searches for good settings on Optuna: every trial is a run folder, and any number of workers share the folder."""
