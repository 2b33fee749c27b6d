"""Where figures go: one module per logger."""
