"""What pytest loads in a copy: chosen tests in order, each under a limit, or a measurement of what they reach."""

from __future__ import annotations

import faulthandler
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, settings

STARTING = {"subprocess.Popen", "socket.connect", "os.fork", "os.posix_spawn"}


def pytest_configure(config: pytest.Config) -> None:
    """Register the watcher that the environment asks for."""
    if path := os.environ.get("MUTATION_TESTS"):
        # That an example fails is enough: making it smaller can take minutes.
        settings.register_profile("mutation", settings.default, phases=[Phase.explicit, Phase.generate], database=None)
        settings.load_profile("mutation")
        config.pluginmanager.register(Chosen(json.loads(Path(path).read_text())))
    if path := os.environ.get("MUTATION_REACH"):
        config.pluginmanager.register(Reach(Path(path)))


class Chosen:
    """Runs ``{"limits": {id: seconds}, "log": file}``, in this order, and notes where it is."""

    def __init__(self, order: dict[str, Any]):
        self.limits: dict[str, float] = order["limits"]
        self.log = Path(order["log"])
        self.notes: dict[str, Any] = {"running": None, "failed": None, "ran": 0}
        self.stream = open(os.dup(2), "w")  # noqa: SIM115, PTH123 (pytest captures stderr, and takes it back)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Keep the chosen ones in the order chosen."""
        position = {name: place for place, name in enumerate(self.limits)}
        items[:] = sorted((item for item in items if item.nodeid in position), key=lambda item: position[item.nodeid])

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """End the process where a test takes longer than its limit, compiled loops included."""
        self._note(running=item.nodeid)
        faulthandler.dump_traceback_later(self.limits[item.nodeid], exit=True, file=self.stream)
        try:
            return (yield)
        finally:
            faulthandler.cancel_dump_traceback_later()
            self._note(running=None, ran=self.notes["ran"] + 1)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note the first test that failed."""
        if report.failed and not self.notes["failed"]:
            self._note(failed=report.nodeid)

    def _note(self, **news: object) -> None:
        self.notes.update(news)
        self.log.write_text(json.dumps(self.notes))


class Reach:
    """Measures which lines each test executes, and whether it starts processes; `reach.py` reads what is left."""

    def __init__(self, folder: Path):
        import coverage

        self.folder = folder
        self.tests: dict[str, dict[str, Any]] = {}
        self.test: dict[str, Any] | None = None
        rules = folder / "coverage.ini"
        self.coverage = coverage.Coverage(config_file=str(rules))
        self.coverage.start()
        os.environ["COVERAGE_PROCESS_START"] = str(rules)
        sys.addaudithook(self._hear)

    def _hear(self, event: str, _: object) -> None:
        if self.test is not None and event in STARTING:
            self.test["starts"] = True

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """Time the test."""
        self.test = self.tests[item.nodeid] = {"seconds": 0.0, "passed": True, "starts": False}
        started = time.perf_counter()
        try:
            return (yield)
        finally:
            self.test["seconds"] = round(time.perf_counter() - started, 3)
            self.test = None
            self.coverage.switch_context("shared")

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Iterator[None]:
        """What fixtures execute may serve other tests of the file."""
        self.coverage.switch_context("shared")
        return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Iterator[None]:
        """What is executed now is the test's."""
        self.coverage.switch_context(item.nodeid)
        return (yield)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note what did not pass: it notices nothing."""
        if report.outcome != "passed":
            self.tests[report.nodeid]["passed"] = False

    def pytest_unconfigure(self) -> None:
        """Save the measurements of this process; its children save theirs as they end."""
        self.coverage.stop()
        self.coverage.save()
        (self.folder / "tests.json").write_text(json.dumps(self.tests))
