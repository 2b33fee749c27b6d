"""What Gymnasium's own checker says of an environment, in lines like those of the other rules."""

from __future__ import annotations

import re
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any, NamedTuple

import gymnasium
import numpy as np
from gymnasium.utils import env_checker
from gymnasium.utils.env_checker import check_env
from gymnasium.utils.passive_env_checker import env_render_passive_checker
from gymnasium.wrappers import OrderEnforcing, PassiveEnvChecker, TimeLimit

from rlkit.core.spaces import choice_sizes
from rlkit.testing.driving import takes_render_mode
from rlkit.testing.rules import OnResult, Result, raised

RULE = "gymnasium_check_env"

ESSENTIAL = ("is_a_new_environment_each_time", "spaces_are_arrays", "reset_and_step_follow_gymnasium")
REPEATABLE = ("same_seed_same_steps", "reseeding_starts_afresh")

SAME: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("^raised ", (*ESSENTIAL, "pictures_are_rgb")),
    ("must inherit from the gymnasium.Env|Gym is incompatible", ESSENTIAL),
    ("must specify an (action|observation) space|does not inherit from `gymnasium.spaces", ("spaces_are_arrays",)),
    (
        "was not a tuple of the form|did not return a 2-tuple|should be `\\(obs, info\\)`|was not a dictionary"
        "|step result to be a tuple|old step API|four or five element tuple|must be a python dictionary"
        "|cannot be reset with a random seed|`reset` method does not provide a `seed`|can be passed a `seed`",
        ("reset_and_step_follow_gymnasium",),
    ),
    (
        "within the observation space|was expecting|should be an int or np.int64|observation keys"
        "|must be a dict, actual",
        ("observations_fit_the_space",),
    ),
    ("^The reward is |The reward returned by", ("rewards_are_finite_numbers",)),
    ("signal to be a boolean|truncates after 1 step", ("ends_are_booleans",)),
    ("^The observations returned by", ("observations_stay_as_they_were",)),
    ("non-deterministic|step observations|step rewards|step termination|observations are not equal", REPEATABLE),
    ("random generates are not same|not properly been updated|call `super\\(\\).reset", REPEATABLE),
    ("rendering should return|unsupported render mode|With no render_modes", ("pictures_are_rgb",)),
)
"""What Gymnasium says (a pattern) -> our rules that say the same: where one of these is broken, it has the word."""

AROUND = (OrderEnforcing, PassiveEnvChecker, TimeLimit)
"""What `gymnasium.make` puts around an environment: without it, the checker finds more."""

OF_THE_CALL = "is different from the unwrapped version"
"""Said of how the checker was called: wrappers that change something are a part of what is checked here."""

COLOR = re.compile(r"\x1b\[[0-9;]*m")


class CheckerFinding(NamedTuple):
    """Something that Gymnasium's checker found."""

    passed: bool  # a mere warning
    message: str  # one line

    @property
    def same(self) -> frozenset[str]:
        """Our rules that say the same."""
        return frozenset(rule for pattern, rules in SAME if re.search(pattern, self.message) for rule in rules)


NOT_COMPARED = CheckerFinding(
    True, "Gymnasium's checker stopped: it cannot compare the states of this generator, which hold arrays"
)


def examine_with_gymnasium(
    make: Callable[..., Any], ours: Callable[[], list[Result]], on_result: OnResult
) -> list[Result]:
    """Ask Gymnasium first, then our own rules; return all results, without what Gymnasium and a broken rule both say.

    Args:
        make: as for `findings`.
        ours: checks our own rules, and passes their results on.
        on_result: called with each of Gymnasium's results.
    """
    found = findings(make)
    results = [_result(finding, on_result) for finding in found if not finding.same]
    if not found:
        results.append(_result(CheckerFinding(True, ""), on_result))
    results += ours()
    broken = {result.rule for result in results if not result.passed}
    # What nobody of ours says after all.
    results += [_result(finding, on_result) for finding in found if finding.same and not finding.same & broken]
    if not any(result.rule == RULE for result in results):
        said = ", ".join(sorted(broken & frozenset[str]().union(*(finding.same for finding in found))))
        results.append(_result(CheckerFinding(True, f"it finds what {said} says"), on_result))
    return results


def _result(finding: CheckerFinding, on_result: OnResult) -> Result:
    result = Result(RULE, *finding)
    on_result(result)
    return result


def findings(make: Callable[..., Any]) -> list[CheckerFinding]:
    """Return what `gymnasium.utils.env_checker.check_env` says of a new environment, each thing once.

    It stops at the first error; mere warnings are passed. It does not know of masks: where ``info["action_mask"]``
    rules out an action that it tries, another one is taken. Of the render modes it is shown ``rgb_array`` alone, so
    that no window is opened.

    Args:
        make: builds a new environment at each call; `render_mode` is asked for where it takes that.
    """
    found = _heard(lambda: _check(make))
    if all(finding.passed for finding in found) and _draws(make):
        found += _heard(lambda: _check_pictures(make))
    return list(dict.fromkeys(found))


def _draws(make: Callable[..., Any]) -> bool:
    with closing(make()) as env:
        return takes_render_mode(make) and "rgb_array" in ((env.metadata or {}).get("render_modes") or [])


def _check(make: Callable[..., Any]) -> None:
    masked = _has_masks(make)
    with closing(make()) as env:
        if env.metadata is None:
            raise AssertionError("metadata is None; it must be a dict: metadata = {'render_modes': []}")
        bare = _without_usual_wrappers(env)
        # Around an environment without masks, the wrapper would hide some of it from the checker.
        shown = LegalActions(bare) if masked else bare
        if shown is not shown.unwrapped:
            # By it, the checker would build another one, which few wrappers let it.
            shown.unwrapped.spec = None
        check_env(shown, skip_render_check=True)


def _has_masks(make: Callable[..., Any]) -> bool:
    try:
        with closing(make()) as env:
            return "action_mask" in env.reset()[1]
    except Exception:  # somebody else's code can raise anything; the checker will say it
        return False


def _check_pictures(make: Callable[..., Any]) -> None:
    with closing(make(render_mode="rgb_array")) as env:
        env.reset(seed=0)
        env_render_passive_checker(env)


def _heard(check: Callable[[], None]) -> list[CheckerFinding]:
    """Return the warnings of a check, and the error that ended it."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            check()
            error = []
        except (AssertionError, gymnasium.error.Error) as problem:
            error = [CheckerFinding(False, _line(str(problem)))]
        except Exception as problem:  # somebody else's code can raise anything
            error = [NOT_COMPARED if _compares_arrays(problem) else CheckerFinding(False, raised(problem))]
    return [*_warned(caught), *error]


def _compares_arrays(problem: Exception) -> bool:
    """Return whether the checker itself failed, at comparing states of generators that hold arrays."""
    place = traceback.extract_tb(problem.__traceback__)[-1]
    compares = isinstance(problem, ValueError) and "truth value of an array" in str(problem)
    return compares and place.filename == env_checker.__file__


def _warned(caught: list[warnings.WarningMessage]) -> Iterator[CheckerFinding]:
    """Yield Gymnasium's warnings; an environment's own are nobody's finding, and come again when it is played."""
    for warning in caught:
        text = COLOR.sub("", str(warning.message))
        if text.startswith("WARN: ") and OF_THE_CALL not in text:
            yield CheckerFinding(True, _line(text.removeprefix("WARN: ")))


def _line(text: str) -> str:
    return " ".join(text.split())


def _without_usual_wrappers(env: Any) -> Any:
    while type(env) in AROUND:
        env = env.env
    return env


class LegalActions(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Takes the first legal value of each choice in the place of one that the environment's mask rules out."""

    def __init__(self, env: gymnasium.Env[Any, Any]):
        super().__init__(env)
        self._sizes = choice_sizes(env.action_space)
        self._mask: Any = None

    def reset(self, **kwargs: Any) -> Any:
        """Reset, and read the mask."""
        observation, info = self.env.reset(**kwargs)
        self._mask = info.get("action_mask")
        return observation, info

    def step(self, action: Any) -> Any:
        """Step, and read the mask."""
        result = self.env.step(self._legal(action))
        self._mask = result[4].get("action_mask")
        return result

    def _legal(self, action: Any) -> Any:
        if self._mask is None:
            return action
        start = getattr(self.action_space, "start", 0)
        flat = np.array(action - start).ravel()
        choices = np.split(np.asarray(self._mask, bool), np.cumsum(self._sizes)[:-1])
        taken = [value if mask[value] else int(mask.argmax()) for value, mask in zip(flat, choices, strict=True)]
        legal = np.reshape(taken, np.shape(action)).astype(np.asarray(action).dtype) + start
        return type(action)(legal) if np.ndim(action) == 0 else legal
