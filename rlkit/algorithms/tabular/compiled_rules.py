"""The learning rules that are compiled, for agents to declare theirs."""

from __future__ import annotations

from enum import IntEnum


class CompiledRule(IntEnum):
    """How a `rlkit.algorithms.tabular.control.TabularControl` learns, as the kernel has it.

    An agent declares ``compiled_rule = CompiledRule.SARSA`` where it learns bit for bit as the agent of that name. A
    subclass inherits that as long as it defines nothing but a constructor and a `name`: whoever overrides a method or
    an attribute declares it again, where the kernel still does the same, or else is run by the Python loop.
    """

    Q_LEARNING = 0
    DOUBLE_Q_LEARNING = 1
    SARSA = 2
    EXPECTED_SARSA = 3
    FIRST_VISIT = 4  # Monte Carlo control; `EVERY_VISIT` where the agent's first_visit is False
    EVERY_VISIT = 5
