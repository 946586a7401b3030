"""Held-out similarity: the voice on texts and against audio that no search ever scores.

A search can fit its two texts and lose every other; this is the figure that shows it.
"""

from __future__ import annotations

from collections.abc import Sequence

from kvw.fitness.hybrid import attempt
from kvw.fitness.listener import Listener
from kvw.fitness.stages import TargetSimilarity
from kvw.fitness.trial import Trial
from kvw.types import Voice, Wave


class HeldOut:
    """Measures voices on held-out texts against held-out audio.

    Args:
        listener: with a noise seed of its own, that the search did not use.
        texts: of lengths that the search did not score.
        audio: of the target speaker; several clips are one speaker.
        names: of the clips, for messages; may be empty.

    Attributes:
        audio: it.

    Raises:
        KvwError: a text can't be pronounced, or no speech is heard in the audio.
    """

    def __init__(
        self, listener: Listener, texts: Sequence[str], audio: Sequence[Wave], names: Sequence[str] = ()
    ) -> None:
        self.listener = listener
        self.scripts = [listener.synthesizer.script(text) for text in texts]
        self.audio = audio
        self.target = listener.encoder.speaker(audio, "heldout_audio", names)

    def __call__(self, voice: Voice) -> list[float]:
        """The cosine to the held-out audio for each text, in [0, 1]; 0 where the voice fails to speak it."""
        return [similarity for similarity, _ in self.hear(voice)]

    def hear(self, voice: Voice) -> list[tuple[float, Wave | None]]:
        """The same for each text with what the voice says; None where it fails to."""
        heard = []
        for script in self.scripts:
            trial = Trial(voice)
            attempt(TargetSimilarity("heldout", self.listener, [script], self.target), [trial])
            heard.append((trial.parts.get("heldout", 0.0), None if trial.status else trial.waves[script.text]))
        return heard
