"""The recommendation environment against hand-made tables, and Catch."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from making import run_config
from real_data import folder

from rlkit.config.run_config import EnvironmentConfig
from rlkit.core.types import UsageError
from rlkit.envs.catch import Catch
from rlkit.envs.recommendation import Recommendation
from rlkit.learners.datasets.dataset import Dataset
from rlkit.learners.datasets.ratings import RatingTriples, as_dataset
from rlkit.learners.estimators.factorization import TruncatedSVD
from rlkit.runs import build
from rlkit.testing import check_env
from toys import assert_same

WORDS = {
    "history": (),
    "features": ("env.observation=features", "env.session=3"),
    "user": ("env.observation=user", "env.held_out=cells", "env.session=2"),
    "rated": ("env.candidates=rated", "env.held_out=none", "env.session=2"),
}


def config(*words: str) -> EnvironmentConfig:
    return run_config("agent=random", "env=recommendation", *words).environment


def made(*words: str, evaluation: bool = False) -> Recommendation:
    env: Any = build.make_single(replace(config(*words), evaluation=evaluation))
    return env  # type: ignore[no-any-return]


@pytest.mark.parametrize("words", WORDS.values(), ids=WORDS)
def test_the_contract_is_kept(words: tuple[str, ...]) -> None:
    settings = config("data.users=60", "data.items=30", "env.n_items=12", *words)
    make = partial(build.make_single, settings)
    assert all(result.passed for result in check_env(make, steps=150, action_mask=True))


def table(values: Any) -> Dataset:
    """Return the numbers above 0 as ratings."""
    values = np.array(values, float)
    users, items = np.nonzero(values)
    return as_dataset(RatingTriples(users, items, values[users, items]))


FROM_RUN: Any = {"evaluation": False, "render_mode": None}
OPTIONS: dict[str, Any] = {
    **{"n_items": 3, "threshold": 4.0, "candidates": "all", "given": 0.0, "observation": "history", "features": 2},
    **{"session": 2, "held_out": "none", "test_size": 0.5},
}


def environment(values: Any, **changed: Any) -> Recommendation:
    return Recommendation(table(values), rng=np.random.default_rng(0), **{**OPTIONS, **FROM_RUN, **changed})


RATINGS = [[5, 1, 4, 0], [4, 2, 0, 0], [3, 5, 0, 0], [5, 0, 0, 2]]
"""Of the four items the first three have most ratings: 4, 3 and, before the last one, 1."""


def liked(env: Recommendation, user: int) -> list[float]:
    """Return the rewards of all items."""
    found = []
    for action in range(3):
        env.reset(seed=0)
        env.set_state({"user": user, "shown": np.zeros(0, np.int64)})
        found.append(env.step(action)[1])
    return found


def test_rewards_are_the_ratings_from_the_threshold_on_and_0_for_what_is_not_rated() -> None:
    env = environment(RATINGS)
    assert [liked(env, user) for user in range(4)] == [[1, 0, 1], [1, 0, 0], [0, 1, 0], [1, 0, 0]]
    plays = environment(RATINGS, threshold=None)
    assert [liked(plays, user) for user in range(4)] == [[1, 1, 1], [1, 1, 0], [1, 1, 0], [1, 0, 0]]


def test_a_session_shows_what_was_told_and_ends() -> None:
    env = environment(RATINGS)
    env.reset(seed=0)
    env.set_state({"user": 0, "shown": np.zeros(0, np.int64)})
    seen, reward, ended, _, info = env.step(0)
    assert (seen.tolist(), reward, ended, info["action_mask"].tolist()) == ([1, 0, 0], 1.0, False, [0, 1, 1])
    again = env.step(0)
    assert (again[0].tolist(), again[1], again[2]) == ([1, 0, 0], 0.0, True)
    env.set_state({"user": 0, "shown": np.array([0])})
    assert env.step(1)[0].tolist() == [1, -1, 0]


def test_what_is_known_is_seen_and_not_recommended() -> None:
    env = environment(RATINGS, given=1.0, session=1)
    seen = {env.reset(seed=seed)[0].tobytes(): env.reset(seed=seed) for seed in range(50)}
    rows = {tuple(row.tolist()): tuple(info["action_mask"].tolist()) for row, info in seen.values()}
    # The first user has rated all three: nothing is left, so they do not come.
    assert rows == {(1, -1, 0): (0, 0, 1), (-1, 1, 0): (0, 0, 1), (1, 0, 0): (0, 1, 1)}
    env.set_state({"user": 1, "shown": np.zeros(0, np.int64)})
    assert env.step(0)[1] == 0.0


def test_only_rated_items_are_candidates_where_that_is_asked_for() -> None:
    env = environment(RATINGS, candidates="rated", session=1)
    env.reset(seed=0)
    for user, mask in ((0, [1, 1, 1]), (1, [1, 1, 0]), (3, [1, 0, 0])):
        env.set_state({"user": user, "shown": np.zeros(0, np.int64)})
        assert env._info()["action_mask"].tolist() == mask


@pytest.mark.parametrize("held_out", ["users", "cells", "none"])
def test_evaluations_have_what_training_has_not(held_out: str) -> None:
    words = (f"env.held_out={held_out}", "env.given=0.4")
    train, test = (made(*words, evaluation=evaluation) for evaluation in (False, True))
    assert_same(train._audience.history, test._audience.history)
    both = np.intersect1d(train._audience.users, test._audience.users)
    overlap = (train._audience.open & test._audience.open)[both].sum()
    assert (len(both) == 0) == (held_out == "users")
    assert (overlap == 0) == (held_out != "none")
    rated = train._table.rated
    assert not (train._audience.open & rated & (train._audience.history != 0)).any()
    assert (train._audience.history != 0).sum() / rated.sum() == pytest.approx(0.4, abs=0.03)


def test_planted_ratings_are_filled_in_with_the_truth() -> None:
    env = made("data.noise=0", "data.density=0.3", "env.n_items=20")
    truth = made("data.noise=0", "data.density=1", "env.n_items=200")
    # The same factors, in another order of columns.
    names = [truth._names.index(name) for name in env._names]
    np.testing.assert_array_equal(env._table.liked, truth._table.liked[:, names])
    assert truth._table.rated.all()
    assert 0.25 < env._table.rated.mean() < 0.45


def test_features_are_the_row_on_the_singular_vectors_of_training_users() -> None:
    env = made("env.observation=features", "env.features=4")
    rows = env._audience.history[env._audience.learners]
    svd = TruncatedSVD(4, solver="exact").fit(rows)
    env.reset(seed=3)
    np.testing.assert_allclose(env._observation(), svd.transform(env._row()[None])[0], rtol=1e-5)


def test_what_cannot_be_is_refused_in_one_line() -> None:
    for words, message in (
        (("env.n_items=500",), r"env.n_items is 500; it must be from 1 to the 200 items"),
        (("env.candidates=some",), r"env.candidates is some; it must be one of all, rated"),
        (("env.given=2",), r"env.given is 2; it must be from 0 to 1"),
        (("env.session=0",), r"env.session is 0; it must be at least 1"),
        (("env.session=51",), r"nobody to whom it could recommend"),
        (("data=iris",), r"env=recommendation needs ratings, not data for classification"),
    ):
        with pytest.raises(UsageError, match=message):
            made(*words)


def test_the_text_names_what_was_shown() -> None:
    env = environment(RATINGS)
    env.reset(seed=0)
    env.set_state({"user": 0, "shown": np.array([0, 1])})
    assert [line.strip() for line in env.text().splitlines()] == ["user 0: 0 liked, 0 not", "+ 0", "- 1"]


def test_last_fm_is_a_table_like_any() -> None:
    env = made("data=lastfm", f"data.folder={folder('lastfm')}", "env.threshold=null", "env.n_items=100")
    assert env._table.rated.shape == (1892, 100)
    assert env._names[0] == "Lady Gaga"
    assert (env._table.liked == env._table.rated).all()


def plays(policy: Any, rows: int = 5, columns: int = 3) -> list[float]:
    """Return the return of episodes by a policy of (ball column, paddle column)."""
    env, found = Catch(rows, columns, 4, None), []
    for seed in range(20):
        _, total, ended = env.reset(seed=seed), 0.0, False
        while not ended:
            _, reward, ended, _, _ = env.step(policy(env._ball, env._paddle))
            total += reward
        found.append(total)
    return found


def test_catch_is_won_by_going_to_the_ball_and_lost_by_going_away() -> None:
    assert set(plays(lambda ball, paddle: 1 + int(np.sign(ball - paddle)))) == {1.0}
    assert -1.0 in plays(lambda ball, paddle: 0)


def test_catch_shows_ball_and_paddle() -> None:
    env = Catch(4, 3, 2, None)
    seen = env.reset(seed=0)[0]
    assert (seen.shape, seen.dtype, sorted(set(seen.ravel().tolist()))) == ((8, 6, 1), np.uint8, [0, 255])
    cells = seen[::2, ::2, 0] > 0
    assert cells[0].sum() == 1
    assert cells[3].tolist() == [False, True, False]
    env.step(2)
    assert (env._observation()[::2, ::2, 0] > 0)[3].tolist() == [False, False, True]


def test_every_pixel_of_catch_reaches_the_small_network() -> None:
    import torch

    from rlkit.networks import SmallCNN

    env: Any = build.make_single(run_config("agent=random", "env=catch").environment)
    torso = SmallCNN(env.observation_space, hidden=8)
    picture = torch.zeros(1, 1, *env.observation_space.shape[:2], requires_grad=True)
    for parameter in torso.parameters():
        torch.nn.init.ones_(parameter)
    torso.top(torso.body(picture)).sum().backward()  # type: ignore[no-untyped-call]
    assert picture.grad is not None
    assert (picture.grad > 0).all()


def test_catch_keeps_the_contract_and_refuses_fields_without_room() -> None:
    assert all(result.passed for result in check_env(partial(Catch, 5, 4, 3), steps=60))
    with pytest.raises(UsageError, match=r"env.rows is 1, env.columns 5 and env.cell 4"):
        Catch(1, 5, 4, None)


def test_planted_truth_is_for_the_table_s_own_rows_and_columns(tmp_path: Path) -> None:
    from rlkit.learners.datasets.generated import planted_ratings

    # So few ratings that users and items without any are left out.
    data = planted_ratings(30, 20, 2, 0.05, 0.0, np.random.default_rng(0))
    pairs = data.rows.X.tocoo()
    truth = data.extra["truth"].ratings(np.arange(data.rows.X.shape[1]))
    assert data.rows.X.shape < (30, 20)
    np.testing.assert_allclose(truth[pairs.row, pairs.col], pairs.data, rtol=1e-12)
