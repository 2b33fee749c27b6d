"""One module per verb of the `rlkit` command."""
