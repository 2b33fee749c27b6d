"""The contracts of environments, agents, replays and learners as suites that anybody can run on their own.

In a test of three lines::

    def test_my_maze_keeps_the_contract():
        check_env(Maze)
        check_agent(lambda env, seeds: MyAgent(env.action_space, rng=seeds.generator("agent")), Maze)

Every rule is checked, and all that are broken are named in one `ContractError`, with the values and the remedy.
`rlkit check env=… agent=… learner=…` runs the same suites on what YAML files describe.
"""

from rlkit.testing.agents import check_agent
from rlkit.testing.environments import check_env
from rlkit.testing.learners import check_learner
from rlkit.testing.replays import check_replay
from rlkit.testing.rules import ContractError, Result

__all__ = ["ContractError", "Result", "check_agent", "check_env", "check_learner", "check_replay"]
