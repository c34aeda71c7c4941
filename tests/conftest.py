"""The parts that all tests share; each is described in tests/support."""

pytest_plugins = [
    "tests.support.order",
    "tests.support.seed",
    "tests.support.skips",
    "tests.support.counts",
    "tests.support.lanes",
]
