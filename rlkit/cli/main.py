"""The `rlkit` command: finds the verb, turns errors into one line and a status, and loads nothing else."""

from __future__ import annotations

import errno
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from importlib import import_module
from typing import Any, NamedTuple

VERBS = {
    "train": "train an agent in an environment (the default: DQN on CartPole)",
    "eval": "score an agent of a run in fresh episodes",
    "play": "record an agent to an mp4, or play yourself",
    "export": "write what a trained agent decides to one file: ONNX, TorchScript or torch.export",
    "share": "pack a run into one zip that others can evaluate and play",
    "match": "let players play a game against each other: results and Elo",
    "analyse": "analyze a position of a game by tree search",
    "fit": "fit a learner to data (the default: a tree on iris)",
    "predict": "predict the rows of a file with a fit run",
    "report": "compare runs on one HTML page",
    "search": "search for good settings of an agent, by trials that are stopped early",
    "bench": "run agents x environments x seeds: one table and plots with intervals",
    "watch": "look at runs in a browser while they are trained",
    "list": "show agents, environments, learners, data, loggers and where each comes from",
    "check": "run the contract suite on an environment, agent or learner",
    "doctor": "show what this machine has, and what is missing",
}

HELP = f"""rlkit: reinforcement learning from Q-tables to deep networks

usage: rlkit <verb> [key=value …]

verbs
{chr(10).join(f"  {verb:<7} {text}" for verb, text in VERBS.items())}

examples
  rlkit train                                      DQN on CartPole
  rlkit train agent=q_learning env=frozen_lake     a Q-table on a frozen lake
  rlkit train env=gym env.id=Acrobot-v1 seed=3     any Gymnasium environment
  rlkit train env=my_env.py:MyEnv env.size=8       a class of your own, in a file
  rlkit train -m seed=0,1,2 agent.gamma=0.9,0.99   a sweep
  rlkit train resume=runs/dqn_cartpole_s0          go on after a crash, or for longer with total_steps=…
  rlkit eval run=runs/dqn_cartpole_s0 episodes=100
  rlkit play run=runs/dqn_cartpole_s0
  rlkit export run=runs/dqn_cartpole_s0            a file that decides without rlkit
  rlkit share run=runs/dqn_cartpole_s0
  rlkit fit learner=forest data=wine folds=5
  rlkit report runs/dqn_cartpole_s0 runs/dqn_cartpole_s1
  rlkit search agent=ppo env=cartpole trials=40    good settings, and what they are worth
  rlkit bench suite=tabular seeds=5
  rlkit watch runs/

rlkit <verb> --help shows a verb's keys and what each group offers; rlkit --version the version."""


OWN_FOLDER = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120
COLOR = re.compile(r"\x1b\[[0-9;]*m")

THREADS_MAY_TAKE = 5.0
"""Seconds in which threads that an environment has left running may end after a command."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line; return its status: 0, 1 for a failure, 2 for a mistake in the command.

    Without `argv`, it is that of this process, which is over afterwards.
    """
    try:
        own = Signals(_quits_at_once, _stops) if argv is None else Signals(nullcontext, nullcontext)
        status = _run(sys.argv[1:] if argv is None else list(argv), own)
    except KeyboardInterrupt:
        status = _complain("interrupted", 130)
    except BrokenPipeError:
        status = 0  # the reader of the pipe has closed it, as head does
    _flush()
    if argv is None:
        _leave(status)
    return status


class Signals(NamedTuple):
    """How a command takes SIGINT and SIGTERM."""

    importing: Callable[[], AbstractContextManager[None]]
    running: Callable[[], AbstractContextManager[None]]


@contextmanager
def _quits_at_once() -> Iterator[None]:
    """End the process at a signal: modules that are being imported would print it as an error, or swallow it."""

    def quit_at_once(number: int, frame: Any) -> None:
        os.write(2, b"rlkit: interrupted\n")
        os._exit(128 + number)

    with _handled(quit_at_once, signal.SIGINT), _handled(quit_at_once, signal.SIGTERM):
        yield


@contextmanager
def _stops() -> Iterator[None]:
    """Let SIGTERM end a verb as Ctrl-C does, so that nothing is left half written; a second one ends it at once."""

    def stop(number: int, frame: Any) -> None:
        from rlkit.core.types import Interrupted

        signal.signal(number, signal.SIG_DFL)
        raise Interrupted(signal.Signals(number).name)

    with _handled(stop, signal.SIGTERM):
        yield


@contextmanager
def _handled(handler: Callable[[int, Any], None], number: int) -> Iterator[None]:
    """Handle a signal, unless whoever started the process has it ignored."""
    before = signal.getsignal(number)
    if before is not signal.SIG_IGN:
        signal.signal(number, handler)
    try:
        yield
    finally:
        signal.signal(number, signal.SIG_DFL if before is None else before)


def _leave(status: int) -> None:
    """Let neither a late Ctrl-C nor threads that were left running spoil the end of the process."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if "rlkit.runs.ranked.joining" in sys.modules:
        os._exit(status)  # Threads of torch.distributed may abort a process while Python takes itself apart.
    if "threading" in sys.modules:
        import threading

        left = [thread for thread in threading.enumerate() if not thread.daemon]
        if left[1:]:
            threading.Thread(target=_give_up, args=(status, left[1].name), daemon=True).start()


def _give_up(status: int, name: str) -> None:
    import time

    time.sleep(THREADS_MAY_TAKE)
    os._exit(_complain(f"the thread {name} was left running and does not end: the process ends without it", status))


def _run(arguments: list[str], signals: Signals) -> int:
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(HELP)
        return 0 if arguments else 2
    if arguments[0] in ("-V", "--version", "version"):
        import rlkit

        print(f"rlkit {rlkit.__version__}")
        return 0
    verb, *rest = arguments
    if verb not in VERBS:
        return _complain(_unknown_verb(verb), 2)
    if {"-h", "--help"} & set(rest):
        from rlkit.config.help import describe

        print(describe(verb, rest))
        return 0
    return _guarded(verb, rest, signals)


def _guarded(verb: str, rest: list[str], signals: Signals) -> int:
    with signals.importing():
        try:
            from rlkit.core.resources import prepare_torch
            from rlkit.core.types import Interrupted, printable
        except ImportError as error:
            package = (error.name or "numpy").partition(".")[0]
            return _complain(f"{error}; rlkit needs it: pip install --force-reinstall {package}", 1)
        prepare_torch()
    try:
        with signals.importing():
            run = import_module(f"rlkit.cli.verbs.{verb}").main
        with signals.running(), _warnings_in_one_line():
            return int(run(rest))
    except BrokenPipeError:
        return 0  # the reader of the pipe has closed it
    except Interrupted as reason:
        return _complain("interrupted", 128 + signal.Signals[str(reason)])
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else 1
    except Exception as error:  # one line for the user, the traceback on request
        if os.environ.get("RLKIT_TRACEBACK"):
            raise
        message, status = _explained(error)
        return _complain(printable(message), status)


@contextmanager
def _warnings_in_one_line() -> Iterator[None]:
    """Show warnings for a user as other lines for one: where they come from only if that is not rlkit's own code."""
    import warnings

    from rlkit.core.types import printable

    usual = warnings.formatwarning

    def one_line(message: Any, category: type[Warning], filename: str, lineno: int, line: str | None = None) -> str:
        if not issubclass(category, UserWarning):
            return usual(message, category, filename, lineno, line)
        text = " ".join(COLOR.sub("", str(message)).split()).removeprefix("WARN: ")
        place = "" if filename.startswith(OWN_FOLDER) else f" ({os.path.basename(filename)}, line {lineno})"  # noqa: PTH119
        return f"rlkit: warning: {printable(text)}{place}\n"

    warnings.formatwarning = one_line
    try:
        yield
    finally:
        warnings.formatwarning = usual


def _explained(error: Exception) -> tuple[str, int]:
    """Return the line and the status for what a verb raised."""
    from rlkit.core.types import RunError, UsageError

    if isinstance(error, (UsageError, RunError)):
        return str(error), 2 if isinstance(error, UsageError) else 1
    if isinstance(error, MemoryError):
        return f"not enough memory{_reason(error)}; choose smaller sizes, or a machine with more", 1
    if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
        return "too many files are open; allow more with `ulimit -n 4096`, or set fewer num_envs", 1
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        named = str(error.filename)
        return f"{named if len(named) <= 100 else f'{named[:97]}…'}: {error.strerror.lower()}", 1
    where = "RLKIT_TRACEBACK=1 shows where; the train.log of a run that has begun holds it too"
    return f"{type(error).__name__}: {' '.join(str(error).split())} ({where})", 1


def _reason(error: BaseException) -> str:
    return f": {error}" if str(error) else ""


def _complain(message: str, status: int) -> int:
    with suppress(OSError):
        print(f"rlkit: {' '.join(message.split())}", file=sys.stderr)
    return status


def _unknown_verb(verb: str) -> str:
    import difflib

    close = difflib.get_close_matches(verb, VERBS, n=1)
    hint = f"did you mean {close[0]}?" if close else f"there is: {', '.join(VERBS)}"
    return f"there is no verb {verb!r}; {hint}"


def _flush() -> None:
    """Drop output to a terminal that was closed, so that the interpreter does not complain at its end."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
