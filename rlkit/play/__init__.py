"""People and matches: keyboard, window, terminal, and recording demonstrations."""
