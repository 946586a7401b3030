"""A recorded run, and copies of it to change."""

from tests.support.recorded_run import copy, made  # noqa: F401 - fixtures
