"""One training run: launch, training, folder, loggers and plots."""
