"""Transcription: Whisper turns recordings into text, and the texts are kept in a folder."""
