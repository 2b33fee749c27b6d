import os
import tempfile

import pytest
from hypothesis import settings

# Before torch is imported: several of its threads beside other busy processes are slower than one, tenfold.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import commands
import figures

# Whatever the tests' commands name is agreed to in a folder of their own.
_STATE = tempfile.TemporaryDirectory(prefix="state")
os.environ["XDG_STATE_HOME"] = _STATE.name

# No deadlines, because no test may depend on the clock; the same examples every time, because CI must not be a lottery.
settings.register_profile("rlkit", deadline=None, derandomize=True)
settings.load_profile("rlkit")

# A package of its own, whose tests run where it is installed: test_plugins.py does that.
collect_ignore = ["plugin_sample"]


@pytest.fixture(autouse=True)
def _figures_of_one_pixel(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let matplotlib rasterize in tests marked `draws` alone, and in the commands that they run."""
    draws = request.node.get_closest_marker("draws") is not None
    monkeypatch.setattr(commands, "draws", draws)
    if not draws:
        figures.let_be_one_pixel(monkeypatch.setattr)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest tests: begun last, they would leave a worker waiting for the other."""
    items.sort(key=lambda item: item.path.name != "test_readme.py")
