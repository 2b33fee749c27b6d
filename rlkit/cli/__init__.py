"""The `rlkit` command, one module a verb."""
