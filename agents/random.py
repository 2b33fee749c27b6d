"""Uniformly random actions."""

from __future__ import annotations

from rlkit.algorithms.fixed_policies import NonLearning, Uniform


class Random(NonLearning, Uniform):
    """The uniform policy as an agent, which learns nothing: the baseline."""
