"""Configuration groups, found by Hydra as ``pkg://rlkit.conf``."""
