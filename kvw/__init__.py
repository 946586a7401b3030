"""kvw evolves Kokoro voices until the synthetic speaker sounds like a target recording."""

__version__ = "0.1.0"
