"""Transcription: what a recording says, heard by Whisper and kept as text."""
