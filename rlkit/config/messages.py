"""Errors of a command line, in one line: the word, its value, the remedy, the nearest valid name.

Errors of Hydra and OmegaConf are recognized by their text. Neither is imported here, nor is anything else that is
slow, so that verbs that do not need them can suggest the nearest name, too.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from rlkit.config import plugins
from rlkit.core.types import UsageError

FLAGS = {
    "-m": "",
    "--multirun": "",
    "--cfg": "job, hydra, all",
    "-c": "job, hydra, all",
    "--resolve": "",
    "--info": "all, config, defaults, defaults-tree, plugins, searchpath",
}
"""Hydra's own options that a verb accepts, and the values of each."""

SEVERAL = ("logger", "callback")
"""Groups of which a run takes several files, each with a node named as itself."""

OWN_GROUPS = ("env", "agent", "network", "expert", "learner")
"""Groups of which a command chooses one, which may be a callable of the user's own."""

LISTS = ("preprocess", "wrappers")
"""Names of the one list of wrappers."""

CONTINUOUS = "for continuous actions: agent=sac, td3 or ppo"
ELSEWHERE = {
    **dict.fromkeys(("naf", "mpo"), CONTINUOUS),
    "tqc": "agent=sac distribution=quantile distribution.quantiles=25 agent.drop=2",
    "redq": "agent=sac agent.critics.count=10 agent.subset=2 agent.gradient_steps=20",
    "droq": "agent=sac agent.critics.dropout=0.01 agent.critics.norm=layer agent.gradient_steps=20",
    "crossq": "agent=sac agent.target_network=false agent.critics.norm=batch_renorm agent.actor.norm=batch_renorm",
    "simba": "agent=sac agent.critics.norm=residual agent.actor.norm=residual agent.standardize=true",
    **dict.fromkeys(("pets", "steve"), "of this kind: agent=mbpo, soft actor-critic on an ensemble of models"),
    "drq": "agent=sac, whose encoder of images is trained by the critics alone",
    "trpo": "its successor: agent=ppo",
    "a3c": "its synchronous form: agent=a2c",
    "vpg": "the same by another name: agent=reinforce",
    **dict.fromkeys(("ddqn", "double_dqn"), "agent=dqn is double unless agent.double=false"),
    "dueling_dqn": "agent=dqn agent.network.dueling=true",
    "c51": "agent=dqn distribution=c51",
    **dict.fromkeys(("qrdqn", "qr_dqn"), "agent=dqn distribution=quantile"),
    "iqn": "agent=dqn distribution=implicit_quantile",
    **dict.fromkeys(("munchausen", "m_dqn", "mdqn"), "agent=dqn agent.munchausen=0.9 agent.double=false"),
    "rainbow": "agent=dqn with its improvements: experiment=rainbow",
    **dict.fromkeys(("apex", "ape_x"), "agent=dqn in actors, with an epsilon each: experiment=ape_x"),
    **dict.fromkeys(("efficientzero", "gumbel_muzero"), "agent=muzero, with agent.considered=16 for Gumbel noise"),
    "recurrent_ppo": "agent=ppo agent.network.recurrent=lstm",
}
"""Agents of the field that rlkit does not have under these names, and what it has."""

OF_PROGRAM = "python:"
"""The beginning of names of objects that a program passes."""

LISTED = 12
LONGEST = 200
"""Characters of a key, or of the name of a file of a group."""

DIGITS_OF_FLOAT = 308
"""Of the largest numbers."""

KINDS = {"Integer": "a whole number", "Float": "a number"}


class Command(NamedTuple):
    """The command line that an error is about."""

    verb: str
    overrides: Sequence[str]
    valid_keys: Callable[[], Sequence[str]]  # dotted keys and groups that would be valid; slow


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the end of an error line: the nearest of the `known` names, or a list of them if none is near."""
    names = list(dict.fromkeys(known))
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    if close:
        return f"; did you mean {close[0]}?"
    rest = ", …" if len(names) > LISTED else ""
    return f"; there is: {', '.join(names[:LISTED])}{rest}" if names else ""


def check_words(verb: str, argv: Sequence[str]) -> None:
    """Refuse words that are neither ``key=value`` nor an option, before Hydra reads them.

    Raises:
        UsageError: a word is neither; the message names it.
    """
    plugins.searched(argv)
    words = iter(argv)
    for word in words:
        flag, _, value = word.partition("=")
        if not word.startswith("-"):
            _check_length(word)
            _check_choice(word)
            if re.match(rf"[+~]*({'|'.join(LISTS)})\.[^\d=]", word):
                raise UsageError(_option_of_a_listed(word.lstrip("+~").partition("=")[0], argv))
            if "=" not in word and not word.startswith("~"):
                raise UsageError(f"cannot read {word!r}: settings are written key=value{_with_key(word)}")
        elif flag not in FLAGS:
            raise UsageError(f"there is no option {flag}{_without_dashes(word)}{nearest(flag, FLAGS)}")
        elif FLAGS[flag] and (value or next(words, "")) not in FLAGS[flag].split(", "):
            raise UsageError(f"{flag} takes one of: {FLAGS[flag]}")


def _check_length(word: str) -> None:
    """Refuse names of keys and files that no file could have.

    Raises:
        UsageError: the word has one.
    """
    key, _, value = word.lstrip("+~").partition("=")
    if len(key) > LONGEST:
        raise UsageError(f"there is no key {key[:40]}… ({len(key)} characters)")
    if key != plugins.SEARCHPATH and plugins.entries(key.partition("@")[0] or "-"):
        names = (name for name in value.strip("[]").split(",") if ".py:" not in name)
        for name in (name for name in names if len(name) > LONGEST):
            raise UsageError(f"there is no {key}={name[:40]}… ({len(name)} characters)")


def _check_choice(word: str) -> None:
    """Refuse a group of files that is set to something else than names, and one that is deleted.

    Raises:
        UsageError: it is.
    """
    key, equals, value = word.lstrip("+~").partition("=")
    if equals and not key:
        raise UsageError(f"cannot read {word!r}: it has no key before the =")
    group = key.split("@")[0]
    if not group or not (equals or word.startswith("~")):
        return
    known = [entry.name for entry in plugins.entries(group)]
    if not known:
        return
    if word.startswith("~") and group in ("agent", "env", "learner", "data", "network", "distribution", "replay"):
        raise UsageError(f"{word}: {group} cannot be deleted; choose another (rlkit list {group})")
    parts = re.split(r"[\[\], ]+", value.strip("[] ")) if value.strip("[] ") else []
    if value.startswith("[") and "null" in parts:
        raise UsageError(f"{word}: {group} takes a name{nearest(value, known)}")
    if any(re.fullmatch(r"[+-]?[\d.][\d.e+-]*|nan|inf|-inf|true|false|\{.*", part, re.IGNORECASE) for part in parts):
        raise UsageError(f"{word}: {group} takes a name{nearest(value, known)}")


def explain(error: BaseException, command: Command) -> str:
    """Return an error of Hydra or OmegaConf in one line."""
    text = _flat(error).split(" See https://hydra.cc")[0].split(" full_key:")[0]
    cause = _flat(error.__cause__).split(" full_key:")[0]
    for pattern, rule in RULES:
        match = re.search(pattern, text)
        if match:
            return rule(match, cause, command)
    if hasattr(error, "override"):
        return (
            f"cannot read {error.override!r}: quote values with = or other special characters, "
            "e.g. 'name=\"a=b\"', and close every bracket"
        )
    return text


def _flat(error: BaseException | None) -> str:
    return " ".join(str(error).split())


def _with_key(word: str) -> str:
    groups = [entry.group for entry in plugins.entries() if entry.name == word]
    return f"; did you mean {groups[0]}={word}?" if groups else ""


def _without_dashes(word: str) -> str:
    bare = word.lstrip("-")
    return f" (settings have no dashes: {bare})" if "=" in bare else ""


def _unknown_choice(match: re.Match[str], cause: str, command: Command) -> str:
    group, name = match[1], match[2]
    known = [entry.name for entry in plugins.entries(group, command.overrides)]
    if group == "agent" and (other := ELSEWHERE.get(name.lower().replace("-", "_"))):
        return f"there is no agent={name}; {other}"
    if group in (*OWN_GROUPS, *SEVERAL) and name not in known:
        from rlkit.config.own_files import meant_by

        if (own_name := meant_by(name)) is not None:
            return f"there is no {group}={name}; a class of a file is named by both: {group}={own_name}"
    if group in OWN_GROUPS and name.endswith(".py"):
        return f"there is no {group}={name}; name the class in the file as well: {group}={name}:MyClass"
    if group == "env" and re.search(r"-v\d+$", name):
        return f"there is no env={name}; ids of Gymnasium go with env=gym: env=gym env.id={name}"
    near = nearest(name, known)
    searches = any(word.startswith(plugins.SEARCHPATH) for word in command.overrides)
    own = f"; a folder of your own is searched with {plugins.SEARCHPATH}=[file://folder]"
    return f"there is no {group}={name}{near}" + (own if name and not searches and "there is:" in near else "")


def _no_name(match: re.Match[str], cause: str, command: Command) -> str:
    """Return the error of a group that was set to null or a number; Hydra does not say which group."""
    groups = {entry.group for entry in plugins.entries()}
    for override in command.overrides:
        key, _, value = override.partition("=")
        group = key.split("@")[0]
        if not key:
            return f"cannot read {override!r}: it has no key before the ="
        if group in groups and not re.search(r"[A-Za-z_\[]", value.replace("null", "")):
            known = [entry.name for entry in plugins.entries(group)]
            off = "; tuned=none switches it off" if group == "tuned" else nearest(value, known)
            return f"{override}: {group} takes a name{off}"
    return "a group takes a name, not null or a number"


def _unknown_key(match: re.Match[str], cause: str, command: Command) -> str:
    key = match[1]
    if other := _preset_of_another_verb(command):
        return other
    known = list(command.valid_keys())
    if key in known:
        added = re.search(r"Key '([^']+)' is not in struct", cause)
        inner = added[1] if added else "name"
        return f"{key} has no key {inner} yet; +{key}.{inner}=… adds it"
    parent, _, name = key.rpartition(".")
    siblings = [other for other in known if other.rpartition(".")[0] == parent]
    close = [other for other in known if other.startswith(f"{key}@")]
    # By their last parts: what they begin with is the same for all.
    by_name = {other.rpartition(".")[2]: other for other in siblings}
    close = close or [by_name[near] for near in difflib.get_close_matches(name, by_name, n=1, cutoff=0.6)]
    # A key one level too high (gamma for agent.gamma) is as common as a misspelled one.
    close = close or [other for other in known if re.split(r"[.@]", other)[-1] == name]
    if not close and (remedy := _of_a_node(key, siblings, command)):
        return f"there is no key {key}{remedy}"
    close = close or difflib.get_close_matches(key, known, n=1, cutoff=0.6)
    if close:
        return f"there is no key {key}; did you mean {close[0]}?"
    if "." not in key and (own := _own_environment(command)):
        return f"there is no key {key}; an argument of {own} is env.{key}=…, in Python as well"
    some = nearest(key, siblings or known)
    return f"there is no key {key}{some}" + ("" if siblings else f" (rlkit {command.verb} --help shows them)")


def _own_environment(command: Command) -> str:
    """Return the name of the environment that is chosen by a class or a function of the user's own, or ""."""
    chosen = [word.partition("=")[2] for word in command.overrides if word.startswith("env=")]
    files = {entry.name for entry in plugins.entries("env", command.overrides)}
    return chosen[-1] if chosen and re.fullmatch(r"\w+", chosen[-1]) and chosen[-1] not in files else ""


def _option_of_a_listed(key: str, words: Sequence[str]) -> str:
    """Return the error of an option of a wrapper that is typed as a key of the list of wrappers."""
    group, option = key.partition(".")[0], key.rpartition(".")[2]
    lists = [value for word in words for name, _, value in [word.partition("=")] if name in LISTS]
    name = re.match(r"\[([\w./:]+)", lists[-1]) if lists else None
    return (
        f"there is no key {key}: {group} is a list, and options are beside the name of their wrapper: "
        f"'{group}=[{{_target_: {name[1] if name else 'my_file.py:MyWrapper'}, {option}: …}}]', in quotes, as shells "
        "take braces apart"
    )


def _of_a_node(key: str, siblings: Sequence[str], command: Command) -> str:
    """Return the remedy for a key inside a chosen file, or inside one that is not chosen; "" if it is elsewhere."""
    group, _, rest = key.partition(".")
    names = [entry.name for entry in plugins.entries(group, command.overrides)]
    if rest and names and siblings:
        return f"{nearest(rest, [other.partition('.')[2] for other in siblings])}; +{key}=… adds one that its class has"
    choice = rest.partition(".")[0]
    if choice in names and group in SEVERAL:
        return f": {choice} is not chosen; add it to {group}=[…,{choice}]"
    return ""


def _preset_of_another_verb(command: Command) -> str:
    """Return the error of a preset that chooses from groups that this verb does not have."""
    named = {word.removeprefix("experiment=") for word in command.overrides if word.startswith("experiment=")}
    for entry in plugins.entries("experiment") if command.verb in ("train", "fit") else ():
        if entry.name in named and entry.verb != command.verb:
            return f"experiment={entry.name} is a preset of rlkit {entry.verb}, not of rlkit {command.verb}"
    return ""


def _wrong_value(match: re.Match[str], cause: str, command: Command) -> str:
    override = match[1]
    key, _, value = override.lstrip("+~").partition("=")
    if key.partition(".")[0] in LISTS:
        if "." in key:
            return _option_of_a_listed(key, command.overrides)
        names = value != "null" and re.search("[A-Za-z]", value)
        return f"{override}: {key} is a list{f': {key}=[{value}]' if names else f', e.g. {key}=[]'}"
    if kind := re.search(r"could not be converted to (\w+)", cause):
        return f"{override}: {key} is {KINDS.get(kind[1], kind[1])}{_as_integer(key, value, kind[1])}"
    if "is not a valid bool" in cause:
        return f"{override}: {key} is true or false"
    if choices := re.search(r"Invalid value '.*', expected one of \[(.*)\]", cause):
        return f"there is no {override}{nearest(value, choices[1].split(', '))}"
    if "does not support deletion" in cause:
        return f"{override}: {key} cannot be deleted: rlkit needs a value for it"
    if "is not Optional" in cause:
        return f"{override}: {key} needs a value"
    if "is not a subclass of" in cause:
        inner = [other for other in command.valid_keys() if other.startswith(f"{key}.")]
        return f"{override}: {key} has keys of its own: {', '.join(inner)}"
    if "Cannot merge DictConfig" in f"{cause} {match[0]}":
        return (
            f"{override}: {key} has keys of its own, e.g. {key}.name=value; rlkit {command.verb} --cfg job shows them"
        )
    if "is not a ListConfig" in cause:
        return f"{override}: {key} is a list, e.g. {key}=[]"
    return f"{override}: {cause}"


def _too_large(match: re.Match[str], cause: str, command: Command) -> str:
    words = (word.lstrip("+~").partition("=") for word in command.overrides)
    key = next((key for key, _, value in words if len(value) > DIGITS_OF_FLOAT), "a value")
    return f"{key} is a number of more than {DIGITS_OF_FLOAT} digits; it must be one that a float can hold"


def _as_integer(key: str, value: str, kind: str) -> str:
    if kind == "Integer" and re.fullmatch(r"\d+(\.\d*)?[eE]\+?\d", value):
        return f"; write {key}={float(value):.0f}"
    return ""


def _there_already(match: re.Match[str], cause: str, command: Command) -> str:
    return f"{match[1]} is there already: write it without the +"


def _several_values(match: re.Match[str], cause: str, command: Command) -> str:
    key, _, value = match[1].partition("=")
    return f"{match[1]} is several values: add -m to sweep over them, or write {key}=[{value}] for a list"


def _bad_reference(match: re.Match[str], cause: str, command: Command) -> str:
    if "_" in match[1] and "agent" in match[1]:
        return "agent= and env= take one name each"
    return f"nothing is called {match[1]}, which a value refers to"


Rule = Callable[[re.Match[str], str, Command], str]
RULES: tuple[tuple[str, Rule], ...] = (
    (r"Could not (?:find|load) '([\w/@.]+)/([^/' ]*)'", _unknown_choice),
    (r"Config group override must be a string or a list", _no_name),
    (r"Could not override '([^']+)'", _unknown_key),
    (r"Could not delete from config\. '([^']+)'", _unknown_key),
    (r"^Error merging override (.+)$", _wrong_value),
    (r"too large to convert to float", _too_large),
    (r"An item is already at '([^']+)'", _there_already),
    (r"Ambiguous value for argument '([^']+)'", _several_values),
    (r"(?:Error resolving interpolation|Interpolation key) '([^']+)'", _bad_reference),
)
