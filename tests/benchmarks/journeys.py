"""How many functions of rlkit, in how many modules, four journeys through the code execute.

    python tests/benchmarks/journeys.py
    python tests/benchmarks/journeys.py q_learning --list

Functions: distinct Python functions and methods whose source lies in rlkit, its agents or its environments.
Comprehensions, generator expressions and lambdas, where they have a frame of their own, are counted beside them. What a
module's body calls while it is imported is not counted. Modules: those of the functions, and those that are imported on
the way; packages that only gather names are not counted. Each journey has a process of its own, so that none finds
modules and caches that another one has filled.
"""

from __future__ import annotations

import argparse
import inspect
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, NamedTuple

import rlkit
import rlkit.agents
import rlkit.envs

Name = tuple[str, str]
"""A module and the qualified name of one of its functions; ``<module>`` is its body."""

PACKAGES = {"rlkit": rlkit, "rlkit.agents": rlkit.agents, "rlkit.envs": rlkit.envs}
# The longest first: where rlkit is installed, agents and environments lie within it.
FOLDERS = sorted(((f"{Path(str(one.__file__)).parent}{os.sep}", name) for name, one in PACKAGES.items()), reverse=True)
BODY = "<module>"
LAUNCH: Name = ("rlkit.runs.launch", "start")
QUIET = ("logger=[csv]", "video=none", "tuned=none", "device=cpu")


class ReachedError(BaseException):
    """A journey has reached its end; nothing on the way catches this."""


class Function(NamedTuple):
    """A function that was executed, or a module's body."""

    module: str
    name: str
    line: int


class Trace:
    """Notes which functions of rlkit are executed.

    Attributes:
        functions: those executed, and the bodies of modules.
    """

    def __init__(self, begin: Name | None = None, end: tuple[str, Name] | None = None):
        """Note everything from the call of `begin` on, until `end`, the ``call`` or ``return`` of a function."""
        self.functions: set[Function] = set()
        self._begin, self._end, self._begun = begin, end, begin is None
        self._known: dict[CodeType, Function | None] = {}

    @contextmanager
    def on(self) -> Iterator[None]:
        """Watch this thread, and those that are started meanwhile."""
        threading.setprofile(self._watch)
        sys.setprofile(self._watch)
        try:
            yield
        finally:
            sys.setprofile(None)
            threading.setprofile(None)

    def _watch(self, frame: FrameType, event: str, argument: Any) -> None:
        if event not in ("call", "return"):
            return
        code = frame.f_code
        if code not in self._known:
            self._known[code] = described(code)
        if (function := self._known[code]) is not None:
            self._note(function, frame, event)

    def _note(self, function: Function, frame: FrameType, event: str) -> None:
        name = function[:2]
        if (event, name) == self._end:
            raise ReachedError
        self._begun = self._begun or name == self._begin
        if self._begun and (function.name == BODY or not importing(frame)):
            self.functions.add(function)

    def counted(self) -> tuple[list[Function], list[str]]:
        """Return the functions, and the modules that are theirs or that were imported."""
        functions = sorted(function for function in self.functions if function.name != BODY)
        bodies = {function.module for function in self.functions if not gathers(function)}
        return functions, sorted(bodies | {function.module for function in functions})


def described(code: CodeType) -> Function | None:
    """Return what code of rlkit this is; None for others', and for the bodies of classes."""
    folder, package = next((pair for pair in FOLDERS if code.co_filename.startswith(pair[0])), ("", ""))
    if not package or not (code.co_flags & inspect.CO_OPTIMIZED or code.co_name == BODY):
        return None
    parts = Path(code.co_filename.removeprefix(folder)).with_suffix("").parts
    module = ".".join([package, *(part for part in parts if part != "__init__")])
    return Function(module, code.co_qualname, code.co_firstlineno)


def importing(frame: FrameType | None) -> bool:
    """Return whether the body of a module is being executed."""
    while frame is not None:
        if frame.f_code.co_filename == "<frozen importlib._bootstrap>":
            return True
        frame = frame.f_back
    return False


def gathers(function: Function) -> bool:
    """Return whether this is the body of a package, which only gathers names."""
    return function.name == BODY and hasattr(sys.modules.get(function.module), "__path__")


def parts(*words: str) -> tuple[Any, Any]:
    """Return the agent that a command makes, and the stream of its transitions."""
    from rlkit.config.compose import composed
    from rlkit.config.run_config import TrainRunConfig, requested
    from rlkit.core.seeding import Seeds
    from rlkit.runs import build
    from rlkit.runs.training import stream

    config = requested(TrainRunConfig, *composed("train", [*QUIET, *words]))
    env = build.make_environment(config.environment, num_envs=config.num_envs)
    agent = build.make_agent(config.agent_config, env, Seeds(config.seed))
    return agent, stream(config, agent, env, opaque=False)


def q_learning() -> Trace:
    """One update of Q-learning, by one transition of a finite MDP."""
    agent, transitions = parts("agent=q_learning", "env=maze")
    for transition in (next(transitions) for _ in range(2)):
        agent.observe(transition)
        agent.update()
    trace, transition = Trace(), next(transitions)
    with trace.on():
        agent.observe(transition)
        metrics = agent.update()
    assert metrics is not None
    return trace


def dqn() -> Trace:
    """One step of DQN with its gradient step: act, observe, update."""
    import numpy as np

    agent, transitions = learning_dqn()
    timestep, transition = transitions.begin(), next(transitions)
    trace, rng = Trace(), np.random.default_rng(0)
    with trace.on():
        agent.act(timestep, (), explore=True, rng=rng)
        agent.observe(transition)
        metrics = agent.update()
    assert metrics is not None
    return trace


def dqn_loop() -> Trace:
    """The same through the loop, with the environment's step."""
    from rlkit.core.loop import train

    agent, transitions = learning_dqn()
    trace = Trace()
    steps = train(agent, transitions, total_steps=sys.maxsize)
    with trace.on():
        _, metrics = next(steps)
    assert metrics is not None
    return trace


def learning_dqn() -> tuple[Any, Any]:
    """Return a DQN that takes a gradient step at each step, and its stream, within an episode, as most steps are."""
    agent, transitions = parts("agent=dqn", "env=cartpole", "agent.learning_starts=32", "agent.train_freq=1")
    ended = True
    while transitions.steps < 40 or ended:
        transition = next(transitions)
        ended = transition.last.any()
        agent.observe(transition)
        agent.update()
    return agent, transitions


def start() -> Trace:
    """The command line to `launch.start`."""
    return commanded(Trace(end=("call", LAUNCH)), "agent=dqn", "env=cartpole", *QUIET)


def resume() -> Trace:
    """`launch.start` to the restored replay of a resumed run."""
    with tempfile.TemporaryDirectory() as folder:
        words = ("eval.every=0", "agent.learning_starts=32", f"run_dir={folder}/run", "checkpoint.every=100")
        command = [sys.executable, "-m", "rlkit", "train", "agent=dqn", "env=cartpole", *QUIET, *words]
        subprocess.run([*command, "total_steps=200"], check=True, stdout=subprocess.DEVNULL)
        restored = ("rlkit.replay.uniform", "UniformReplay.load_state_dict")
        trace = Trace(begin=LAUNCH, end=("return", restored))
        return commanded(trace, f"resume={folder}/run", "total_steps=300")


def commanded(trace: Trace, *words: str) -> Trace:
    """Run ``rlkit train`` until the trace's end.

    Raises:
        AssertionError: it was not reached.
    """
    try:
        with trace.on():
            from rlkit.cli.main import main as command

            command(["train", *words])
    except ReachedError:
        return trace
    raise AssertionError("the journey's end was not reached")


JOURNEYS: dict[str, Callable[[], Trace]] = {one.__name__: one for one in (q_learning, dqn, dqn_loop, start, resume)}


def walked(journey: str) -> tuple[list[Function], list[str]]:
    """Return functions and modules of a journey that is walked in a process of its own."""
    done = subprocess.run([sys.executable, __file__, journey, "--here"], stdout=subprocess.PIPE, text=True, check=True)
    functions, modules = json.loads(done.stdout.splitlines()[-1])
    return [Function(*function) for function in functions], modules


def main() -> None:
    """Print how many functions and modules each journey has."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("journeys", nargs="*", metavar="journey", help=f"{', '.join(JOURNEYS)}; none: all of them")
    parser.add_argument("--list", action="store_true", help="name the functions and the modules")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.here:
        print("\n" + json.dumps(JOURNEYS[arguments.journeys[0]]().counted()))
        return
    for journey in arguments.journeys or JOURNEYS:
        functions, modules = walked(journey)
        inner = sum(function.name.endswith(">") for function in functions)
        print(
            f"{journey:<11}{len(functions) - inner:4} functions, {inner:3} comprehensions in {len(modules):3} modules: "
            f"{JOURNEYS[journey].__doc__}"
        )
        for module in modules if arguments.list else ():
            print(f"    {module}")
            for function in (one for one in functions if one.module == module):
                print(f"        {function.line:4} {function.name}")


if __name__ == "__main__":
    main()
