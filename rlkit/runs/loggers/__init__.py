"""Where metrics go: one module per logger."""
