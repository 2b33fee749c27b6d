"""Types and protocols, errors, the loop, evaluation, statistics, seeding, spaces, targets and checkpoints."""
