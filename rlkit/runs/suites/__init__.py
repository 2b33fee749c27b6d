"""Benchmark suites: agents x environments x seeds, trained and scored by the means of single runs."""
