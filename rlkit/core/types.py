"""The types that flow through rlkit, and the protocols that plug into it.

Shapes: N is the number of parallel environments, B the batch size, A the number of discrete actions, or of the
values of all choices of an action one after the other (`rlkit.core.spaces.choice_sizes`). Observations and actions are
arrays, or trees of arrays of the shapes given, where the space is a `Dict` or a `Tuple`.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from typing import Annotated, Any, NamedTuple, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

Tree = Any
"""An array, or a dict, tuple or list of trees (`rlkit.core.tree`): a dict or tuple where the space is one."""

Memory = Tree
"""What an agent remembers per environment: a tree of arrays [N, ...]; ``()`` for most agents."""

Metrics = Mapping[str, float]
"""Named numbers of one update, e.g. ``{"loss/td": 0.1}``."""

RESIGN = -1
"""The action by which the player to move resigns a game, in environments with `Environment.can_resign`."""

State = dict[str, Any]
"""Plain data: nested dicts, lists and tuples of arrays, numbers, strings, booleans and None."""


_Value = TypeVar("_Value")

FromRun = Annotated[_Value, "from the run"]
"""A constructor's parameter that only the run knows, such as ``num_envs: FromRun[int]``: see `rlkit.runs.build`."""


class UsageError(Exception):
    """The user asked for something impossible: one line with the rule, the value and the remedy (status 2)."""


class RunError(Exception):
    """Something failed at run time: one line with the rule, the value and the remedy (status 1)."""


class DivergedError(RunError):
    """What an agent computes is no number any more."""


class EnvironmentFaultError(UsageError):
    """What an environment returned breaks Gymnasium's contract; `rlkit check` looks at all of it."""


class Interrupted(BaseException):
    """A signal asks to stop, and its argument is the signal's name."""


def a_kind(value: Any) -> str:
    """Return what kind of object a value is, with its article: ``a float``, ``an int``."""
    name = type(value).__name__
    article = "an" if name[0] in "aeiouAEIOU" or name.startswith("ndarray") else "a"
    return f"{article} {name}"


def described(error: BaseException) -> str:
    """Return the type and the text of somebody else's exception, in one line that can be printed anywhere."""
    try:
        text = " ".join(str(error).split())
    except Exception:  # its own __str__ fails
        text = ""
    return f"{type(error).__name__}{f': {printable(text)}' if text else _place(error)}"


def printable(text: str) -> str:
    """Return text of somebody else as it can be printed anywhere: what would command a terminal is shown as a code."""
    return "".join(c if c.isprintable() or c in "\n\t" else ascii(c)[1:-1] for c in text)


def _place(error: BaseException) -> str:
    """Return the line of code that raised an exception without a text; "" where it is not known."""
    frames = traceback.extract_tb(error.__traceback__)
    code = frames[-1].line if frames else None
    if not code:
        return ""
    file = frames[-1].filename.replace("\\", "/").rpartition("/")[2]
    return f" at {file}, line {frames[-1].lineno}: {code[:80]}"


class WorkerError(RunError):
    """An environment failed in a worker process: its exception as text, which can always be sent between processes."""


def require_probability(name: str, value: float) -> float:
    """Return `value` if it lies between 0 and 1.

    Raises:
        UsageError: it does not; the message has `name`, that of the setting.
    """
    if not 0 <= value <= 1:
        raise UsageError(f"{name} is {value:g}; it must be from 0 to 1")
    return value


def require_least(least: float, part: str, **values: float | None) -> None:
    """Check that each of `values`, settings of `part` of a configuration by name, is at least `least` (or None).

    Raises:
        UsageError: one is not.
    """
    for name, value in values.items():
        if value is not None and not value >= least:
            raise UsageError(f"{f'{part}.{name}'.lstrip('.')} is {value:g}; it must be at least {least:g}")


def require_positive(part: str, **values: float | None) -> None:
    """Check that each of `values`, settings of `part` of a configuration by name, is more than 0 (or None).

    Raises:
        UsageError: one is not.
    """
    for name, value in values.items():
        if value is not None and not value > 0:
            raise UsageError(f"{f'{part}.{name}'.lstrip('.')} is {value:g}; it must be more than 0")


class StepInfo(NamedTuple):
    """Facts about a step, for statistics; agents read only `truncated_by_checkpoint`."""

    raw_reward: Array  # [N] float64, the innermost environment's own reward, whatever wraps it
    game_over: Array  # [N] bool, the whole game ended (differs from `last` where a lost life ends an episode)
    truncated_by_checkpoint: Array  # [N] bool, ended by a checkpoint, not by the environment: not in any average
    logged: Array | None = None  # [N, K] float64, numbers of the step's infos that are logged; NaN: it has none


class TimeStep(NamedTuple):
    """The state of N parallel environments after a step, as agents observe it.

    Termination travels in `discount`, so no update rule needs a `done` flag (dm_env's convention).
    """

    observation: Tree  # [N, ...] what to act on now
    reward: Array  # [N] float32, for the action just taken
    discount: Array  # [N] float32: 0 = terminated; 1 = continues, truncation included; -1 = the turn passed
    last: Array  # [N] bool, terminated or truncated: reset traces here
    next_observation: Tree  # [N, ...] true successor of the last action, also at a boundary
    valid: Array  # [N] bool; False: this environment was only reset in this step, skip the row
    legal_actions: Array | None  # [N, A] bool, for `observation`
    next_legal_actions: Array | None  # [N, A] bool, for `next_observation`
    state: Callable[[Any], Array] | None  # for planners: the simulators' states [N, ...] as a search Model reads them
    info: StepInfo


class Transition(NamedTuple):
    """One step of N parallel environments, as agents observe it."""

    observation: Tree  # [N, ...]
    action: Tree  # [N] or [N, ...]
    reward: Array  # [N] float32
    discount: Array  # [N] float32
    next_observation: Tree  # [N, ...]
    last: Array  # [N] bool
    valid: Array  # [N] bool
    legal_actions: Array | None  # [N, A] bool
    next_legal_actions: Array | None  # [N, A] bool
    info: StepInfo
    memory: Memory = ()  # what `act` returned with the action, for agents whose updates need it


class Goals(NamedTuple):
    """The rules of an environment with goals, for goals [B, ...] at once, as they are in its observations."""

    reward: Callable[[Tree, Tree], Array]  # of (achieved, desired): [B] float64
    terminated: Callable[[Tree, Tree], Array] | None  # whether reaching it ends an episode, [B] bool; None: not known


class Batch(NamedTuple):
    """Transitions sampled from a replay."""

    observation: Tree  # [B, ...]
    action: Tree  # [B] or [B, ...]
    reward: Array  # [B] float32
    discount: Array  # [B] float32
    next_observation: Tree  # [B, ...]
    next_legal_actions: Array | None  # [B, A] bool
    weight: Array  # [B] float32, importance weights; ones when sampling is uniform
    index: Array  # type: ignore[assignment]  # [B] int64, numbers of the rows in the replay


class SequenceBatch(NamedTuple):
    """M sequences of T steps sampled from a replay, for agents with a recurrent memory; rows are step by step.

    Nothing is learned from the first `burn_in` steps, which only bring the memory up to date. The next L are learned
    from. Those after them, if any, are there for returns of several steps.
    """

    observation: Tree  # [T * M, ...]
    begins: Array  # [T, M] bool, a new episode begins with this step
    memory: Tree  # [M, ...] what was remembered before the first step, when it was acted in
    burn_in: int
    action: Tree  # [L * M] or [L * M, ...]
    reward: Array  # [L * M] float32
    discount: Array  # [L * M] float32
    next_observation: Tree  # [L * M, ...] true successors of the last of the steps that are rewarded
    end: Array  # [L * M] int64, that step's place among the rows after the first `burn_in` steps
    next_legal_actions: Array | None  # [L * M, A] bool
    weight: Array  # [L * M] float32
    index: Array  # type: ignore[assignment]  # [M] int64, numbers of the first rows in the replay


class Actor(Protocol):
    """Chooses actions for N environments; N = 1 is not a special case."""

    def initial_memory(self, n: int) -> Memory:
        """Return the memory of `n` environments at the start of their episodes."""

    def act(
        self, timestep: TimeStep, memory: Memory, *, explore: bool, rng: np.random.Generator
    ) -> tuple[Tree, Memory]:
        """Return an action for each environment, [N] or [N, ...], and the new memory; nothing learned changes."""


class Agent(Actor, Protocol):
    """An actor that learns."""

    def observe(self, transition: Transition) -> None:
        """Receive one transition of each environment; rows that are not `valid` are skipped."""

    def update(self) -> Metrics | None:
        """Learn if an update is due, and return its metrics; None if none was due."""

    def state_dict(self) -> State:
        """Return everything that changes in training, as plain data.

        Arrays keep the dtype and the number of axes that they have in a new agent, and never have fewer rows.
        """

    def load_state_dict(self, state: State) -> None:
        """Restore a state from `state_dict`."""


class Environment(Protocol):
    """N parallel environments as a stream of time steps; see `rlkit.vector.vector`."""

    num_envs: int
    observation_space: Any  # of one environment
    action_space: Any  # of one environment
    frame_stack: Tree  # S if observations stack S frames along axis 0, newest last; 1: not known; or a tree, of parts
    can_resign: bool  # RESIGN is an action too: it ends the episode with a loss
    players: int  # so many rows, one after the other, are the agents of one game; 1: each row is a game of its own

    def reset(self, seeds: list[int]) -> TimeStep:
        """Start a new episode in every environment, environment i seeded with `seeds[i]`."""

    def step(self, action: Tree) -> TimeStep:
        """Step every environment by `action`, [N] or [N, ...]: `send` and `recv` in one."""

    def send(self, action: Tree) -> None:
        """Start a step, which runs in parallel if the environments are in other processes; call `recv` next."""

    def recv(self) -> TimeStep:
        """Wait for the step that `send` started, and return it."""

    def get_state(self) -> State | None:
        """Return the whole state as plain data, or None if it cannot be read."""

    def why_opaque(self) -> str | None:
        """Return in one line why the state cannot be read, naming the class; None if it can be."""

    def set_state(self, state: State) -> None:
        """Restore a state from `get_state`."""

    def restart(self, seeds: list[int]) -> TimeStep:
        """Build every environment again, so that nothing is left of the old ones, and start an episode in each."""

    def states(self, model: Any) -> Array:
        """Return the state of each simulator as `model`, an `rlkit.planning.search.Model`, reads it: [N, ...]."""

    def goals(self) -> Goals:
        """Return the rules of its goals (`rlkit.vector.goals`).

        Raises:
            UsageError: it has none.
        """

    def render(self, index: int = 0) -> Array:
        """Return a frame [H, W, 3] uint8 of one environment."""

    def close(self) -> None:
        """Release windows, processes and simulators."""


class Replay(Protocol):
    """A store of transitions that can be sampled; queries such as `len` change nothing."""

    prioritized: bool
    """What `sample` draws depends on `update_priorities`: a batch must be trained on before the next is drawn.
    Otherwise many may be drawn at once."""

    @property
    def n_step(self) -> int:
        """The number of steps whose rewards are added up; 1: those of single steps."""

    def __len__(self) -> int:
        """Return the number of transitions stored."""

    def add(self, transition: Transition) -> None:
        """Store the valid rows of a transition."""

    def sample(self, batch_size: int, gamma: float | None = None) -> Batch:
        """Draw `batch_size` transitions.

        Rewards of several steps are discounted by `gamma`, which is the agent's; the batch's `discount` is then such
        that ``reward + gamma * discount * value(next_observation)`` is the target.
        """

    def update_priorities(self, index: Array, td_error: Array) -> None:
        """Set the priorities of the rows `index` [B] int64 by their temporal-difference errors [B]."""

    def state_dict(self) -> State:
        """Return contents and generators as plain data."""

    def load_state_dict(self, state: State) -> None:
        """Restore a state from `state_dict`."""
