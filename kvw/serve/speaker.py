"""Speaks for several clients at once, a sentence of each in turn."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor

from kvw.speech.narrate import narrate_by_sentence
from kvw.speech.synthesizer import Synthesizer
from kvw.types import Voice, Wave


class Speaker:
    """Speaks on a thread of its own: a sentence uses all cores, and the synthesiser's noise is the process's.

    Sentences of several clients take turns, so that each hears its first one early. A client that has gone asks for no
    further sentence.

    Args:
        synthesizer: gives the synthesiser for a language's letter; called on the thread.
        seed: of the synthesiser's noise.
    """

    def __init__(self, synthesizer: Callable[[str], Synthesizer], seed: int) -> None:
        self._synthesizer, self._seed = synthesizer, seed
        self._thread = ThreadPoolExecutor(1, "kvw-speech")

    async def waves(self, voice: Voice, text: str, language: str, speed: float) -> AsyncIterator[Wave]:
        """The waves of a text's sentences, as :func:`kvw.speech.narrate.narrate_by_sentence`.

        Raises:
            KvwError: nothing in the text can be pronounced, the voice fails, or the language needs a package.
        """
        loop = asyncio.get_running_loop()
        speaker = await loop.run_in_executor(self._thread, self._synthesizer, language)
        waves = narrate_by_sentence(speaker, voice, text, self._seed, speed)
        while (wave := await loop.run_in_executor(self._thread, next, waves, None)) is not None:
            yield wave

    def close(self) -> None:
        """Ends the thread after the sentence that it speaks."""
        self._thread.shutdown(wait=False, cancel_futures=True)
