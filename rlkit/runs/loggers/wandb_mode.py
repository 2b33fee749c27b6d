"""Whether W&B works online or offline, found out without loading it, asking anybody or using the network."""

from __future__ import annotations

import configparser
import netrc
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from rlkit.config.messages import nearest
from rlkit.core.types import UsageError

MODES = ("online", "offline", "disabled")

OTHER_NAMES = {"run": "online", "dryrun": "offline"}
"""Modes as W&B's documentation called them before, which it still accepts."""
HOST = "https://api.wandb.ai"


def choose_mode(asked: str | None) -> str | None:
    """Return W&B's mode: what the user asked for, else offline without an API key; None leaves it to W&B.

    Raises:
        UsageError: the mode is unknown, or is online without an API key.
    """
    name = "logger.wandb.mode" if asked else "WANDB_MODE"
    mode = asked or os.environ.get("WANDB_MODE") or None
    mode = OTHER_NAMES.get(str(mode), mode)
    if mode is not None and mode not in MODES:
        raise UsageError(f"{name}={mode} is not a mode of W&B{nearest(mode, MODES)}")
    if mode == "online" and not has_key():
        raise UsageError(f"{name}=online needs an API key: run `wandb login`, or set WANDB_API_KEY or mode=offline")
    return "offline" if mode is None and not has_key() else mode


def has_key() -> bool:
    """Return whether W&B would find credentials without asking; W&B is not loaded for it."""
    if os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    settings = dict(_settings())
    host = urlsplit(os.environ.get("WANDB_BASE_URL") or settings.get("base_url", HOST)).netloc
    return "api_key" in settings or any(_in_netrc(path, host) for path in _netrc_files())


def _settings() -> Iterator[tuple[str, str]]:
    """Yield what `wandb login --host` and the like have written, for the user and for this folder."""
    home = Path(os.environ.get("WANDB_CONFIG_DIR") or "~/.config/wandb").expanduser()
    for path in (home / "settings", Path("wandb") / "settings"):
        parser = configparser.ConfigParser(interpolation=None)
        with suppress(configparser.Error, OSError, UnicodeDecodeError):
            parser.read(path)
        yield from parser.defaults().items()
        if parser.has_section("default"):
            yield from parser.items("default")


def _netrc_files() -> list[Path]:
    named = os.environ.get("NETRC")
    return [Path(name).expanduser() for name in ([named] if named else ["~/.netrc", "~/_netrc"])]


def _in_netrc(path: Path, host: str) -> bool:
    try:
        return bool((netrc.netrc(path).authenticators(host) or ("", "", ""))[2])
    except (OSError, netrc.NetrcParseError, UnicodeDecodeError):
        return False
