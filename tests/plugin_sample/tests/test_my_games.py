from functools import partial

from my_games.least_tried import LeastTried
from my_games.maze import Maze

from rlkit.testing import check_agent, check_env

make_maze = partial(Maze, max_steps=200)


def test_the_maze_keeps_the_contract():
    check_env(make_maze)


def test_the_agent_keeps_the_contract():
    check_agent(
        lambda env, seeds: LeastTried(observation_space=env.observation_space, action_space=env.action_space),
        make_maze,
    )
