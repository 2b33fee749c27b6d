"""A maze, an agent, a torso, a wrapper and a callback for rlkit."""
