"""Minari data sets (the extra `minari`): recorded episodes are read from them and written to them, bit for bit.

What one form has no place for is kept beside the rest: the data set's own metadata in ``about["minari"]`` and those of
an episode in its facts, and what rlkit knows under the key ``rlkit`` of Minari's metadata.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rlkit.core import tree
from rlkit.core.types import Array, RunError, Tree, UsageError, described
from rlkit.learners.datasets.demonstrations.recorded import Demonstration, Recorded, joined
from rlkit.learners.datasets.demonstrations.steps import require_steps

OWN = "rlkit"
COUNTED = ("total_episodes", "total_steps", "dataset_size", "data_format", "jpeg_encoding", OWN)
"""Metadata that Minari writes anew, or that are rlkit's."""

OF_EPISODE = ("id", "total_steps", "seed", OWN)


class MinariFolder:
    """Collects episodes and writes them to a Minari data set, some at a time; as `EpisodeFolder`."""

    def __init__(
        self,
        path: Path | str,
        about: Mapping[str, Any],
        save_every: int,
        *,
        observation_space: Any = None,
        action_space: Any = None,
    ):
        """Begin a data set, or go on in one.

        Args:
            path: its folder; the data are in ``data`` below it.
            about: of the environment; what is there already must have the same spaces.
            save_every: so many episodes are written together.
            observation_space: of one environment; None: that of the data set that was read, ``about["minari"]``.
            action_space: likewise.

        Raises:
            UsageError: the folder holds something else, the spaces are not known, or Minari is not installed.
        """
        self.path, self._save_every = Path(path), save_every
        self._about = dict(about)
        self._spaces = _spaces(about, observation_space, action_space)
        self._waiting: list[Demonstration] = []
        self._storage: Any = None
        if (self.path / "data/metadata.json").exists():
            self._storage = _opened(self.path)
            for key, name in (("observation_space", "observation space"), ("action_space", "action space")):
                if (found := str(getattr(self._storage, key))) != about[key]:
                    raise UsageError(
                        f"{path} holds episodes whose {name} is {found}, not {about[key]}; record elsewhere: out="
                    )
        elif self.path.exists() and any(self.path.iterdir()):
            raise UsageError(f"{path} holds no Minari data set; choose another folder: out=")

    def __len__(self) -> int:
        """Return how many episodes there are, those that are not written yet included."""
        return (0 if self._storage is None else int(self._storage.total_episodes)) + len(self._waiting)

    def add(self, episode: Demonstration) -> None:
        """Add an episode, and write those that wait when there are enough.

        Raises:
            RunError: the disk is full or cannot be written.
        """
        self._waiting.append(episode)
        if len(self._waiting) >= self._save_every:
            self.save()

    def save(self) -> None:
        """Write the episodes that wait.

        Raises:
            RunError: the disk is full or cannot be written.
        """
        if not self._waiting:
            return
        try:
            if self._storage is None:
                self._storage = self._begun()
            first = int(self._storage.total_episodes)
            self._storage.update_episodes([_buffer(episode) for episode in self._waiting])
            numbers = range(first, first + len(self._waiting))
            self._storage.update_episode_metadata([_attributes(one.facts) for one in self._waiting], numbers)
        except OSError as error:
            raise RunError(
                f"cannot write to {self.path}: {error.strerror or error}; fix it, then record anew"
            ) from error
        self._waiting = []

    def _begun(self) -> Any:
        """Return the storage of a new data set, with its metadata."""
        minari = _imported()
        about = {key: value for key, value in self._about.items() if key != "minari"}
        given = {key: value for key, value in self._about.get("minari", {}).items() if not key.endswith("_space")}
        (self.path / "data").mkdir(parents=True, exist_ok=True)
        observation_space, action_space = self._spaces
        # Minari joins a relative path with itself.
        storage = minari.dataset.minari_storage.MinariStorage.new(
            (self.path / "data").absolute(), observation_space, action_space, _env_spec(about), jpeg_encoding=False
        )
        if "env_spec" in storage.metadata:
            given.pop("env_spec", None)
        sets = {key: set(given.pop(key)) for key in ("author", "author_email") if key in given}
        named = {"dataset_id": dataset_id(self.path), "minari_version": minari.__version__, **given, **sets}
        storage.update_metadata({**named, OWN: json.dumps(about)})
        return storage


def read_minari(folder: Path) -> Recorded:
    """Return the episodes of the Minari data set in `folder`.

    Raises:
        UsageError: it holds no episodes or such that are not arrays, or Minari is not installed.
        RunError: it is damaged.
    """
    storage = _opened(folder)
    if not storage.total_episodes:
        raise UsageError(f"{folder} holds no episodes")
    numbers = range(storage.total_episodes)
    raw = storage.read_raw_metadata(folder / "data")
    try:
        player = str(raw.get("algorithm_name", "minari"))
        attributes = list(storage.get_episode_metadata(numbers))
        episodes = [
            _demonstration(data, facts, player)
            for data, facts in zip(storage.get_episodes(numbers), attributes, strict=True)
        ]
        columns = joined(episodes, 0)
        require_steps(columns)
    except (OSError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise RunError(f"{folder} is no Minari data set that can be read: {described(error)}") from error
    spaces = {key: str(getattr(storage, key)) for key in ("observation_space", "action_space")}
    about = {**json.loads(raw.get(OWN, "{}")), **spaces}
    about["minari"] = {key: value for key, value in raw.items() if key not in COUNTED}
    facts = [{"number": i, "length": len(one.reward), **one.facts} for i, one in enumerate(episodes)]
    return Recorded(**columns, about=about, episodes=facts)


def dataset_id(path: Path) -> str:
    """Return an id as Minari wants it, ``name-v0``, made of the name of a folder."""
    name = re.sub(r"[^\w-]+", "_", path.absolute().name) or "episodes"
    return name if re.search(r"-v\d+$", name) else f"{name}-v0"


def _imported() -> Any:
    try:
        import minari
        import minari.dataset._storages.hdf5_storage
    except ImportError as error:
        raise UsageError(
            "a Minari data set needs packages that are not here; install them: pip install 'rlkit-framework[minari]'"
        ) from error
    return minari


def _opened(folder: Path) -> Any:
    """Return the storage of a data set; the environment that it names is not built.

    Raises:
        UsageError: its metadata do not say the spaces, or Minari is not installed.
        RunError: it is damaged.
    """
    storage = _imported().dataset.minari_storage.MinariStorage
    try:
        raw = storage.read_raw_metadata(folder / "data")
        if not {"observation_space", "action_space"} <= set(raw):
            raise UsageError(f"{folder} does not say its spaces: write it again with a newer Minari")
        return storage.read(folder / "data")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, AssertionError) as error:
        raise RunError(f"{folder} is no Minari data set that can be read: {described(error)}") from error


def _spaces(about: Mapping[str, Any], observation_space: Any, action_space: Any) -> tuple[Any, Any]:
    if observation_space is not None:
        return observation_space, action_space
    if "minari" not in about:
        raise UsageError("format=minari needs the spaces of the environment; name the env= of these episodes")
    read = _imported().serialization.deserialize_space
    return read(about["minari"]["observation_space"]), read(about["minari"]["action_space"])


def _env_spec(about: Mapping[str, Any]) -> Any:
    """Return Gymnasium's specification of the environment if the id says all of it, so that Minari can recover it."""
    import gymnasium

    env = about.get("env") or {}
    plain = set(env) <= {"_target_", "id", "kwargs"} and not env.get("kwargs") and not about.get("preprocess")
    return gymnasium.registry.get(str(env.get("id"))) if plain else None


def _buffer(episode: Demonstration) -> Any:
    """Return an episode as Minari wants it."""
    final = tree.map(lambda leaf: np.asarray(leaf)[None], episode.final_observation)
    infos = dict(episode.infos or {})
    if not np.array_equal(episode.intended, episode.action):
        # Infos begin with those of the reset.
        infos["rlkit_intended"] = np.concatenate([np.zeros_like(episode.intended[:1]), episode.intended])
    return _imported().data_collector.EpisodeBuffer(
        seed=episode.facts.get("seed"),
        observations=tree.concatenate([episode.observation, final]),
        actions=episode.action,
        rewards=episode.reward,
        terminations=episode.discount == 0,
        truncations=episode.truncations,
        infos=infos or None,
    )


def _attributes(facts: Mapping[str, Any]) -> dict[str, Any]:
    own = {key: value for key, value in facts.items() if key not in ("seed", "minari")}
    return {**facts.get("minari", {}), OWN: json.dumps(own)}


def _demonstration(data: Mapping[str, Any], attributes: Mapping[str, Any], player: str) -> Demonstration:
    """Return an episode of Minari's, whose observations are one more than its steps."""
    steps, observations = len(data["rewards"]), data["observations"]
    if {len(leaf) for leaf in tree.leaves(observations)} != {steps + 1}:
        raise ValueError(f"episode {data['id']} has {steps} rewards, and not one observation more")
    infos = dict(data["infos"] or {})
    intended = infos.pop("rlkit_intended", data["actions"][:1])[1:] if "rlkit_intended" in infos else data["actions"]
    return _exact(
        data,
        Demonstration(
            observation=tree.take(observations, slice(steps)),
            action=data["actions"],
            intended=intended,
            reward=data["rewards"],
            discount=1 - np.asarray(data["terminations"], np.float32),
            final_observation=tree.take(observations, steps),
            facts=_facts(attributes, data["rewards"], player),
            infos=_arrays_of(infos) or None,
        ),
    )


def _exact(data: Mapping[str, Any], episode: Demonstration) -> Demonstration:
    """Return the episode with Minari's truncations where they are not what its end says."""
    stated = np.asarray(data["truncations"], bool)
    return episode if np.array_equal(stated, episode.truncations) else episode._replace(truncated=stated)


def _facts(attributes: Mapping[str, Any], reward: Array, player: str) -> dict[str, Any]:
    facts = {"seed": attributes.get("seed"), "return": float(np.sum(reward, dtype=np.float64)), "player": player}
    if more := {key: _plain(value) for key, value in attributes.items() if key not in OF_EPISODE}:
        facts["minari"] = more
    return {**facts, **json.loads(attributes.get(OWN, "{}"))}


def _plain(value: Any) -> Any:
    """Return a number, a text, or a list or dict of them, of what HDF5 returns."""
    if isinstance(value, Mapping):
        return {key: _plain(part) for key, part in value.items()}
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


def _arrays_of(infos: Mapping[str, Tree]) -> dict[str, Tree]:
    """Return the infos that are numbers; texts and objects have no place in a recording."""
    found: Iterable[tuple[str, Tree]] = (
        (key, _arrays_of(value) if isinstance(value, Mapping) else np.asarray(value)) for key, value in infos.items()
    )
    return {key: value for key, value in found if (isinstance(value, dict) and value) or _is_numbers(value)}


def _is_numbers(value: Tree) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind in "biuf" and value.ndim > 0
