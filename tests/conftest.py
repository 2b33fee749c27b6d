from hypothesis import settings

# No deadlines, because no test may depend on the clock; the same examples every time, because CI must not be a lottery.
settings.register_profile("rlkit", deadline=None, derandomize=True)
settings.load_profile("rlkit")
