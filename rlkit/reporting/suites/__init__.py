"""Results of benchmark suites: one table, plots, a page, all made from rows that are kept."""
