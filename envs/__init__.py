"""Environments, one file per family, installed as ``rlkit.envs``."""
