"""A process that has done the slow imports, none of rlkit's, and forks one that runs pytest for each line it reads."""

from __future__ import annotations

import importlib
import json
import os
import sys
from typing import Any

import warm


def run(request: dict[str, Any]) -> None:
    """Take on folder, environment and output; run pytest and leave with its status."""
    os.setsid()
    output = os.open(request["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for number, target in enumerate((os.open(os.devnull, os.O_RDONLY), output, output)):
        os.dup2(target, number)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.path.insert(0, request["cwd"])
    try:
        code = int(pytest.main(request["words"]))
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:
        sys.excepthook(*sys.exc_info())
        code = 1
    warm.leave(code)


if __name__ == "__main__":
    for name in (*warm.SLOW, "hypothesis", "pandas", "scipy.stats"):
        importlib.import_module(name)
    pytest = importlib.import_module("pytest")
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            run(json.loads(line))
        print(child, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
