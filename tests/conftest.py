import os

from hypothesis import settings

# Before torch is imported: several of its threads beside other busy processes are slower than one, tenfold.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# No deadlines, because no test may depend on the clock; the same examples every time, because CI must not be a lottery.
settings.register_profile("rlkit", deadline=None, derandomize=True)
settings.load_profile("rlkit")

# A package of its own, whose tests run where it is installed: test_plugins.py does that.
collect_ignore = ["plugin_sample"]
