"""What tests of tasks share with those of the rooms below."""

from tests.support.recorded_run import copy, made  # noqa: F401 - fixtures
from tests.support.transcription import model, recordings  # noqa: F401 - fixtures
