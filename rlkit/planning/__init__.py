"""Known and learned models: finite MDPs, dynamic programming, tree search and games."""
