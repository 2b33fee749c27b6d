"""What agents are built of: exploration, tables, linear values, policy gradients and bandits."""
