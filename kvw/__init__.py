"""kvw: evolves Kokoro-82M voices towards a target speaker. What a strategy's author needs is here by name."""

from kvw.candidate import Candidate
from kvw.space import Space
from kvw.strategy import Finished, Strategy

__version__ = "0.1.0"
__all__ = ["Candidate", "Finished", "Space", "Strategy", "__version__"]
