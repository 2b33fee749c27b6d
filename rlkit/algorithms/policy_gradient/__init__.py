"""What agents with a policy network share: rollouts, losses, normalization and the agent itself."""
