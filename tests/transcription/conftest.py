"""A Whisper that hears nonsense, and recordings."""

from tests.support.transcription import model, recordings, whisper  # noqa: F401 - fixtures
