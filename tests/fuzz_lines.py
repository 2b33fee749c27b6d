"""Command lines of nonsense over all verbs, made from the real configuration: by chance, or each number in turn."""

from __future__ import annotations

import random
import re
from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple, get_type_hints

from rlkit.cli.main import VERBS
from rlkit.config import plugins
from rlkit.config.compose import composed
from rlkit.config.schemas import SCHEMAS

ODD_NUMBERS = (
    *("0", "-1", "1", "-0", "nan", "inf", "-inf", "1e5", "1e400", "0.5", "-0.5", "1e-300", "2147483648"),
    *("9223372036854775807", "9223372036854775808", "1180591620717411303424", "1000000000000", "9" * 400),
)
WRONG_KINDS = (
    *("null", "true", "text", "''", "[]", "{}", "[nan]", "[-1]", "[[1],[2]]", "{a:1}", "[text]", "{_target_:1}"),
    *("${nothing}", "${seed}", "[null]", "{_target_:os.getcwd}", "a,b", "1,2", "os:Nope", "{_target_:os.Nope}"),
)
ODD_PATHS = (
    *("/dev/null", "läufe/erster", "a b", "it's", "a=b", "a,b", "no/such", "/etc/passwd", "~", "..", ".", "x" * 300),
    *('"', "'", "[", "{", "$", "\\", "(a", "日本", "2147483648", "rows.csv", "rows.csv/x"),
)
FLAGS = ("-m", "--cfg", "--cfg=job", "-c", "--info", "--resolve", "--nonsense", "-x", "job", "--multirun", "--help")
WORDS = (
    *("nonsense", "agent", "=", "=1", "a.b.c=1", "+x=1", "++y.z=2", "~agent", "~env", "~seed", "~eval", "-", "--"),
    *("", "output=json", "output=text", "output=1", "gym", "env", "runs/game", "runs/q", "runs/no", "rows.csv"),
)

SMALL = {
    "train": ["total_steps=3", "eval.every=0", "video=none", "logger=[csv]", "log.every=0", "checkpoint.every=0"],
    "check": ["steps=3"],
    "match": ["games=2", "plies=1"],
    "fit": ["plots=false", "logger=[csv]"],
    "eval": ["episodes=1", "max_steps=5"],
    "play": ["episodes=1", "max_steps=5"],
    "watch": ["folder=rows.csv", "host=192.0.2.1"],  # refused: else it would serve for ever
}
"""What keeps a line short if nothing in it is wrong."""

RUNS = {
    "q": "train agent=q_learning env=frozen_lake total_steps=20",
    "game": "train agent=mcts agent.simulations=4 env=tic_tac_toe total_steps=4",
    "tree": "fit learner=tree data=iris plots=false logger=[csv]",
}
"""The runs that lines can name, by their names in ``runs/``."""

ROWS = "sepal length (cm),sepal width (cm),petal length (cm),petal width (cm)\n5.1,3.5,1.4,0.2\n6.2,2.9,4.3,1.3\n"
"""A table, rows.csv, for the model of ``runs/tree``."""

USES = {
    "eval": ["run=runs/q"],
    "play": ["run=runs/q"],
    "export": ["run=runs/q", "format=torchscript"],
    "share": ["run=runs/q"],
    "match": ["players=[runs/game,random]"],
    "analyse": ["player=runs/game"],
    "predict": ["run=runs/tree", "input=rows.csv"],
    "report": ["runs/q"],
}
"""What a verb needs to reach its end."""

CHOSEN = ("agent", "env", "learner", "data", "network", "replay", "distribution", "prepare", "callback", "tuned")
SKIPPED = re.compile(r"experiment|hydra|url|logger\.wandb|deterministic|device|human")
DOWNLOADED = ("cifar10", "fashion_mnist", "house_prices", "lastfm", "mnist", "movie_reviews", "movielens", "wandb")

NODES = ("agent", "env", "network", "replay", "distribution", "learner", "data", "prepare", "callback")
"""Keys of nodes, whose numbers are those of constructors."""

BUDGETS = re.compile(
    r"(?:[\w.]*\.)?(?:total_steps|total_episodes|episodes|max_steps|games|plies|steps|epochs|max_iter|iterations|seconds|"
    r"patience|updates|folds|simulations|n_init|samples|max_episode_steps)=\+?[\d.]+(?:e\d+)?$"
)
"""Settings that make a line last as long as they say."""

OWN_ENVIRONMENT = {
    "env=tic_tac_toe": ("alphazero", "mcts"),
    "env=mountain_car": ("linear_q", "linear_sarsa"),
    "env=gridworld": ("policy_iteration", "value_iteration"),
    "env=random_walk": ("td_prediction", "mc_prediction", "linear_td_prediction"),
    "env=frozen_lake": ("q_learning", "double_q_learning", "sarsa", "expected_sarsa", "mc_control"),
    "env=recommendation": ("bandit",),
}
"""Agents that do not accept CartPole, by environments that they accept."""

RECOMMENDERS = ("factorization", "item_knn", "popularity", "svd", "user_knn")


class Line(NamedTuple):
    """The words of a command line."""

    words: list[str]
    nonsense: bool  # status 0 would be wrong


class Lines:
    """A seeded stream of command lines."""

    def __init__(self, seed: int):
        """Begin a stream; each `seed` has one of its own."""
        self._random = random.Random(seed)
        self._keys: dict[tuple[str, ...], list[tuple[str, Any]]] = {}

    def __iter__(self) -> Iterator[Line]:
        """Yield lines without end."""
        while True:
            yield self._line()

    def _line(self) -> Line:
        rng = self._random
        verb = rng.choice([*VERBS, "train", "train", "train", "fit", "check"])
        if verb not in SCHEMAS:
            return Line([verb, *rng.choices([*WORDS, *FLAGS, *CHOSEN, *ODD_PATHS], k=rng.choice([0, 1, 2]))], False)
        words = [*SMALL.get(verb, []), *(USES.get(verb, []) if rng.random() < 0.8 else [])]
        chosen = self._choices(verb) if rng.random() < 0.8 else []
        keys = self._known(verb, chosen)
        if not keys:
            keys, chosen = self._known(verb, []), []
        words += chosen
        nonsense = False
        for _ in range(rng.choice([1, 1, 1, 2])):
            word, wrong = self._mutated(keys)
            words.insert(rng.randrange(len(words) + 1) if word.startswith("-") else len(words), word)
            nonsense |= wrong
        return Line([verb, *words], nonsense and "--help" not in words)

    def _choices(self, verb: str) -> list[str]:
        hints = get_type_hints(SCHEMAS[verb])
        groups = [group for group in CHOSEN if group in hints and plugins.entries(group)]
        picked = self._random.sample(groups, k=min(len(groups), self._random.choice([0, 1, 1, 2])))
        names = {group: self._random.choice(_names(group)) for group in picked}
        return [f"{group}={name}" for group, name in names.items()]

    def _known(self, verb: str, chosen: Sequence[str]) -> list[tuple[str, Any]]:
        """Return the dotted keys of a verb with the chosen files, and their values; none if they do not compose."""
        name = (verb, *chosen)
        if name not in self._keys:
            self._keys[name] = keys_of(verb, chosen)
        return self._keys[name]

    def _mutated(self, keys: Sequence[tuple[str, Any]]) -> tuple[str, bool]:
        """Return a word of nonsense, and whether status 0 is certainly wrong."""
        rng = self._random
        kind = rng.choices(["number", "kind", "path", "delete", "flag", "word"], [8, 5, 3, 2, 1, 1])[0]
        if kind == "flag":
            return rng.choice(FLAGS), False
        if kind == "word":
            return rng.choice(WORDS), False
        key, value = rng.choice([pair for pair in keys if not SKIPPED.search(pair[0])])
        if kind == "delete":
            return f"~{key}", False
        if kind == "number":
            odd = rng.choice(ODD_NUMBERS)
            return f"{key}={odd}", _is_number(value) and odd == "nan"
        if kind == "kind":
            odd = rng.choice(WRONG_KINDS)
            return f"{key}={odd}", _is_number(value) and odd in ("text", "{}", "[nan]", "{a:1}")
        return f"{key}={rng.choice(ODD_PATHS)}", False


def each_number(values: Sequence[str] = ODD_NUMBERS, groups: Collection[str] = ()) -> Iterator[Line]:
    """Yield lines that set each number of each file, and each that has no value yet, to each of `values`.

    With `groups`, only files of these.
    """
    seen = set()
    for words in _contexts(groups):
        for key, value in keys_of(words[0], words[1:]):
            node = next((word for word in reversed(words) if word.startswith(f"{key.partition('.')[0]}=")), words[0])
            is_of_context = (key.partition(".")[0] in NODES) == (len(words) > 1)
            if SKIPPED.search(key) or (node, key) in seen or not is_of_context:
                continue
            if not (_is_number(value) or value is None):
                continue
            seen.add((node, key))
            for odd in values:
                small = [*SMALL.get(words[0], []), *USES.get(words[0], [])]
                yield Line([words[0], *small, *words[1:], f"{key}={odd}"], _is_number(value) and odd == "nan")


CONTEXTS = {
    "discretizer": "train agent=q_learning env=cartpole discretizer@agent.discretizer",
    "features": "train agent=linear_q env=mountain_car features@agent.features",
    "schedule": "train agent=q_learning env=frozen_lake tuned=none schedule@agent.epsilon",
    "explorer": "train agent=bandit env=bandit explorer@agent.explorer",
    "env": "train agent=random env",
    "network": "train agent=dqn env=catch network",
    "distribution": "train agent=dqn distribution",
    "replay": "train agent=dqn replay",
    "callback": "train agent=dqn callback",
    "learner": "fit data=diabetes learner",
    "data": "fit data",
    "prepare": "fit prepare",
}
"""The words before the names of each group."""


def _contexts(groups: Collection[str]) -> Iterator[list[str]]:
    """Yield the words that choose each agent, environment, learner, data set, and what else they take."""
    if groups:
        yield from (f"{CONTEXTS[group]}={name}".split() for group in groups for name in _names(group))
        return
    for agent in _names("agent"):
        envs = [env for env, agents in OWN_ENVIRONMENT.items() if agent in agents]
        yield ["train", *(envs or ["env=cartpole"]), f"agent={agent}"]
    for group, words in CONTEXTS.items():
        for name in _names(group):
            yield f"{words}={name}".split()
    for name in _names("learner"):
        yield ["fit", f"data={'planted_ratings' if name in RECOMMENDERS else 'iris'}", f"learner={name}"]
    for verb in SCHEMAS:
        yield [verb]


def keys_of(verb: str, chosen: Sequence[str]) -> list[tuple[str, Any]]:
    """Return the dotted keys of a verb with the chosen files, and their values; none if they do not compose."""
    from omegaconf import OmegaConf

    try:
        config, _ = composed(verb, list(chosen), complete=False)
        return list(_dotted(OmegaConf.to_container(config)))
    except Exception:
        return []


def _names(group: str) -> list[str]:
    return [entry.name for entry in plugins.entries(group) if entry.name not in DOWNLOADED]


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _dotted(node: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in node.items() if isinstance(node, dict) else ():
        yield f"{path}{key}", value
        yield from _dotted(value, f"{path}{key}.")
