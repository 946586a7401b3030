"""A Whisper that hears nonsense."""

from tests.support.transcription import model  # noqa: F401 - fixture
