"""Agents, one file per algorithm, installed as ``rlkit.agents``."""
