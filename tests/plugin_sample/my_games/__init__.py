"""A maze and an agent for rlkit."""
