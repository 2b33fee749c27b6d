"""Recommending items to users whose ratings are known in part: a contextual bandit (Li et al., 2010)."""

from __future__ import annotations

from typing import Any, ClassVar

import gymnasium
import numpy as np
from gymnasium import spaces

from rlkit.core.ranges import PositiveInt, Probability
from rlkit.core.types import Array, FromRun, State, UsageError, require_probability
from rlkit.envs.grids import text_picture
from rlkit.envs.ratings import CANDIDATES, HELD_OUT, audience, cells

OBSERVATIONS = ("history", "features", "user")
WIDTH = 40
"""Characters of a line of text."""


class Recommendation(gymnasium.Env[Any, int]):
    """An episode: a user comes, `session` items are recommended one after the other, and the user goes.

    The reward is 1 where the user likes the item. ``info["action_mask"]`` says what may be recommended: neither what
    was shown already nor what is known of the user. Anything else earns 0, and the observation does not change.

    What a user has not rated is not known, and users rate what they like (Marlin & Zemel, 2009). With
    ``candidates=all`` such an item earns 0, which makes every agent look worse than it is, and most those that
    recommend what few know; a comparison is biased towards popular items. With ``candidates=rated`` only ratings that
    are there are asked for, as rejection sampling from a log would leave them (Li et al., 2011): nothing is made up,
    but it is a choice among what users chose to rate. Planted ratings have no such gap: the truth is filled in.

    An observation is what is known of the user. ``history``: a row [I] float32 of the items, 1 liked, -1 not liked (or,
    in this session, not taken), 0 not known. ``features``: [features] float32, that row on the first right singular
    vectors of the training users' rows. ``user``: the user's number.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["ansi", "rgb_array"], "render_fps": 1}  # type: ignore[misc]

    def __init__(
        self,
        dataset: FromRun[Any],
        n_items: PositiveInt,
        threshold: float | None,
        candidates: str,
        given: Probability,
        observation: str,
        features: PositiveInt,
        session: PositiveInt,
        held_out: str,
        test_size: Probability,
        rng: FromRun[np.random.Generator],
        evaluation: FromRun[bool],
        render_mode: str | None = None,
    ):
        """Make the table.

        Args:
            dataset: ratings, an `rlkit.learners.datasets.Dataset`.
            n_items: I, the actions: the items that most users have rated, those first.
            threshold: of liking; None: what was rated at all is liked.
            candidates: all items, or the rated ones.
            given: share of a user's ratings that are known when the user comes.
            observation: history, features or user.
            features: singular vectors.
            session: recommendations in an episode.
            held_out: what only evaluations use: users, cells (pairs of a user and an item) or none.
            test_size: share that is held out.
            rng: draws what is known and what is held out.
            evaluation: use what is held out.
            render_mode: None, ``ansi`` or ``rgb_array``.

        Raises:
            UsageError: the data is no ratings, an option that cannot be, or nobody is left to whom something could be
                recommended.
        """
        for name, value, known in (
            ("candidates", candidates, CANDIDATES),
            ("observation", observation, OBSERVATIONS),
            ("held_out", held_out, HELD_OUT),
        ):
            if value not in known:
                raise UsageError(f"env.{name} is {value}; it must be one of {', '.join(known)}")
        if session < 1 or not 1 <= features <= n_items:
            raise UsageError(
                f"env.session is {session} and env.features {features}; they must be at least 1, and features at most "
                f"env.n_items={n_items}"
            )
        self._table = cells(dataset, n_items, threshold)
        self._audience = audience(
            self._table,
            candidates=candidates,
            given=require_probability("env.given", given),
            held_out=held_out,
            test_size=require_probability("env.test_size", test_size),
            evaluation=evaluation,
            least=session,
            rng=rng,
        )
        self._names = [dataset.items[column] for column in self._table.columns]
        self._session, self._shows, self.render_mode = session, observation, render_mode
        self._vectors = self._right_vectors(features) if observation == "features" else None
        self.observation_space = self._space()
        self.action_space = spaces.Discrete(n_items)  # type: ignore[assignment]
        self._user, self._shown = int(self._audience.users[0]), np.zeros(0, np.int64)

    def _right_vectors(self, features: int) -> Array:
        """Return the first right singular vectors [features, I] of the rows of the users who come in training."""
        from rlkit.learners.estimators.factorization import TruncatedSVD

        rows = self._audience.history[self._audience.learners]
        return np.asarray(TruncatedSVD(features, solver="exact").fit(rows).components_)

    def _space(self) -> Any:
        if self._shows == "user":
            return spaces.Discrete(len(self._table.rated))
        if self._vectors is not None:
            return spaces.Box(-np.inf, np.inf, (len(self._vectors),), np.float32)
        return spaces.Box(-1, 1, (len(self._names),), np.float32)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Let a user come, each as likely as the other; no options are known."""
        super().reset(seed=seed)
        self._user, self._shown = int(self.np_random.choice(self._audience.users)), np.zeros(0, np.int64)
        return self._observation(), self._info()

    def step(self, action: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Recommend an item."""
        reward = float(self._legal()[action] and self._table.liked[self._user, action])
        self._shown = np.append(self._shown, int(action))
        return self._observation(), reward, len(self._shown) == self._session, False, self._info()

    def _legal(self) -> Array:
        """Return what may be recommended now, [I] bool."""
        legal: Array = self._audience.open[self._user].copy()
        legal[self._shown] = False
        return legal

    def _info(self) -> dict[str, Any]:
        return {"action_mask": self._legal().astype(np.int8)}

    def _observation(self) -> Any:
        if self._shows == "user":
            return self._user
        row = self._row()
        return row if self._vectors is None else (self._vectors @ row).astype(np.float32)

    def _row(self) -> Array:
        """Return what is known of the user by now, [I] float32."""
        row: Array = self._audience.history[self._user].astype(np.float32)
        answered = self._shown[self._audience.open[self._user, self._shown]]
        row[answered] = np.where(self._table.liked[self._user, answered], 1, -1)
        return row

    def get_state(self) -> State:
        """Return who is there and what was shown; the generator is captured with the environment."""
        return {"user": self._user, "shown": self._shown.copy()}

    def set_state(self, state: State) -> None:
        """Restore a state from `get_state`."""
        self._user, self._shown = state["user"], np.array(state["shown"])

    def render(self) -> Any:
        """Return a text, or a frame [H, W, 3] uint8 of it, as `render_mode` says."""
        if self.render_mode == "ansi":
            return self.text()
        return np.asarray(text_picture(self.text())) if self.render_mode == "rgb_array" else None

    def text(self) -> str:
        """Return a line for the user and one for each recommendation of the session, + where it is liked."""
        known = self._audience.history[self._user]
        lines = [f"user {self._user}: {(known > 0).sum()} liked, {(known < 0).sum()} not"]
        row = self._row()
        lines += [f"{'+' if row[item] > 0 else '-'} {self._names[item]}" for item in self._shown]
        lines += [""] * (1 + self._session - len(lines))
        return "\n".join(line[:WIDTH].ljust(WIDTH) for line in lines) + "\n"
