"""Folders of YAML files, named like rlkit's own groups: ``env/my_maze.yaml`` is ``env=my_maze``."""
