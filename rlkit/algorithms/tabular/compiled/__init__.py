"""The inner loop of one environment and a tabular agent, compiled by numba; the Python loop is its oracle."""

from rlkit.algorithms.tabular.compiled.loop import CompiledLoop, compiled_loop

__all__ = ["CompiledLoop", "compiled_loop"]
