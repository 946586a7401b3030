"""``task=adjust``: changes a voice as it is heard, by what the atlas knows, and says what was measured."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from omegaconf import DictConfig

from kvw.atlas.adjust import CHANGES, Adjuster, Change, amounts
from kvw.atlas.forward import Array
from kvw.audio.write import write_audio
from kvw.config.inputs import short_texts
from kvw.config.invocation import Invocation
from kvw.errors import KvwError
from kvw.fitness.sampler import manner
from kvw.fitness.speaker import SpeakerEncoder, cosine
from kvw.runtime.filenames import is_portable
from kvw.speech.narrate import narrate
from kvw.speech.synthesizer import Synthesizer
from kvw.tasks.atlas_file import AtlasFile
from kvw.tasks.speak import chosen_voices, spoken_text, synthesizer
from kvw.text import aligned
from kvw.types import EMBEDDED, Voice, Wave
from kvw.voices.files import name_of, save_voice
from kvw.voices.reference import NamedVoice, language_remark

log = logging.getLogger(__name__)

TEXTS = 4
"""Short texts that are spoken before and after, to measure what changed."""

TRIALS = 3
"""Changes that are tried and measured, each corrected by what the one before missed."""

SCALE = Change(1, 5, 5, 0.5).shift
"""How much of each kind of change counts as much as another."""

LIMITS = np.sort([Change(*(sign * kind.most for kind in CHANGES.values())).shift for sign in (-1, 1)], axis=0)
"""The least and the greatest shift that a correction asks for, ``(2, 4)``."""


def adjust(
    invocation: Invocation, *, pitch: float, pace: float, brightness: float, breathiness: float, out: str
) -> float:
    """Writes a voice that differs from ``test_voice`` in what is heard, and prints what was asked and measured.

    Args:
        invocation: of which the config counts.
        pitch: as :class:`kvw.atlas.adjust.Change`, like the next three.
        pace: of speech.
        brightness: of the voice.
        breathiness: of the voice.
        out: the voice's file, in ``.pt``; nothing is written over another voice.

    Returns:
        the similarity of the speaker before and after, by the atlas's encoder, in [0, 1].

    Raises:
        KvwError: bad input; the atlas of the voice's model is missing; or the voice can't speak.
    """
    cfg, path = invocation.cfg, Path(out)
    try:
        change = Change(pitch, pace, brightness, breathiness)
    except KvwError as error:
        raise KvwError(f"task.{error}") from error
    if not change:
        raise KvwError(
            f"task: expected a change; got none; give one of {', '.join(f'task.{kind}' for kind in CHANGES)}"
        )
    named = chosen_voices(cfg)
    if len(named) > 1:
        raise KvwError(f"test_voice: expected one voice to change; got {len(named)}; change one after the other")
    (before,) = named
    check_free(path, before.synthesizer)
    text = spoken_text(cfg)
    if remark := language_remark(named, cfg.language.letter):
        log.warning("%s", remark)
    path.parent.mkdir(parents=True, exist_ok=True)
    speaker, encoder = synthesizer(cfg, before.synthesizer), SpeakerEncoder()
    changed = changer(cfg, speaker, encoder)(before.voice, change)
    wave = narrate(speaker, changed.voice, text, cfg.seed)
    log.info("\n%s", "\n".join(aligned(changed.table(change), 1)))
    save_voice(path, changed.voice, facts_of_change(before, change))
    write_audio(path.with_suffix(".wav"), wave)
    told = path, path.with_suffix(".wav"), before.name, changed.similarity
    log.info("%s, and %s; the speaker of %s to %.2f", *told)
    return changed.similarity


def check_free(path: Path, owner: str) -> None:
    """Refuses a name for a voice of ``owner`` that is not in ``.pt``, or whose files would be written over others.

    Raises:
        KvwError: the name is wrong, or taken.
    """
    if path.suffix != ".pt" or not is_portable(path.stem) or (name_of(path) != path.stem and owner != EMBEDDED):
        raise KvwError(f"task.out: expected a voice's name in .pt; got {str(path)!r:.80}; task=export writes others")
    for taken in (path, path.with_suffix(".json"), path.with_suffix(".wav")):
        if taken.exists():
            raise KvwError(f"task.out: expected a name that is free; {taken} is there; give another")


def facts_of_change(before: NamedVoice, change: Change) -> dict[str, object]:
    """The record of a voice that was made of another by a change."""
    told = {"language": before.language} if before.language else {}
    return told | {"synthesiser": before.synthesizer, "base_voices": [*before.bases], "adjusted": vars(change)}


@dataclass(frozen=True)
class Changed:
    """A voice that was changed.

    Attributes:
        voice: float32 ``(510, 1, 256)``.
        measured: what changed, by the names and in the units of :class:`kvw.atlas.adjust.Change`.
        similarity: of the speaker before and after, by the atlas's encoder, in [0, 1].
    """

    voice: Voice
    measured: Mapping[str, float]
    similarity: float

    def table(self, asked: Change) -> list[tuple[str, ...]]:
        """What was asked, beside what was measured."""
        rows: list[tuple[str, ...]] = [("", "asked", "measured", "")]
        for name, (_, unit) in CHANGES.items():
            rows.append((name, f"{getattr(asked, name):+.1f}", f"{self.measured[name]:+.1f}", unit))
        return rows


class Changer:
    """Changes voices of a synthesiser, and measures on short texts what changed.

    Args:
        adjuster: knows by the atlas what to change.
        synthesizer: what speaks.
        encoder: what hears the speaker.
        texts: of which :data:`TEXTS` are spoken.
        seed: of the synthesiser's noise.
    """

    def __init__(
        self, adjuster: Adjuster, synthesizer: Synthesizer, encoder: SpeakerEncoder, texts: Sequence[str], seed: int
    ) -> None:
        self._adjuster, self._synthesizer, self._encoder = adjuster, synthesizer, encoder
        self._texts, self._seed = texts[:TEXTS], seed

    def __call__(self, voice: Voice, change: Change) -> Changed:
        """The voice with a change; each of :data:`TRIALS` is corrected by what the one before it missed.

        Args:
            voice: float32 ``(510, 1, 256)``.
            change: to be heard.

        Raises:
            KvwError: the voice can't speak.
        """
        said = self._said(voice)
        before, shift = delivered(said), change.shift
        tried: list[tuple[float, Voice, list[Wave], Array]] = []
        for _ in range(TRIALS):
            try:
                moved = self._adjuster(voice, shift)
                waves = self._said(moved)
                heard = moved_by(before, delivered(waves))
            except KvwError:
                if not tried:
                    raise
                break  # a correction went too far
            missing = change.shift - heard
            tried.append((float(np.abs(missing / SCALE).sum()), moved, waves, heard))
            shift = np.clip(shift + missing, *LIMITS)
        _, moved, waves, heard = min(tried, key=lambda trial: trial[0])
        speakers = [self._encoder.speaker(some, "test_voice") for some in (said, waves)]
        return Changed(moved, amounts(heard), cosine(*speakers))

    def _said(self, voice: Voice) -> list[Wave]:
        return [narrate(self._synthesizer, voice, text, self._seed) for text in self._texts]


def changer(cfg: DictConfig, synthesizer: Synthesizer, encoder: SpeakerEncoder) -> Changer:
    """What changes voices of a synthesiser, by the atlas of its model and the short texts of the config's language.

    Raises:
        KvwError: as :attr:`kvw.tasks.atlas_file.AtlasFile.samples`.
    """
    samples = AtlasFile(cfg.atlas.file, lambda: (synthesizer, encoder)).samples
    return Changer(Adjuster(samples), synthesizer, encoder, short_texts(cfg), cfg.seed)


def delivered(waves: Sequence[Wave]) -> Array:
    """The delivery of texts, ``(texts, 4)``, as :class:`kvw.atlas.forward.Expected`, but for a constant of the pace.

    Of a text in which no frame has a pitch it is NaN.
    """
    rows = np.array([manner(wave) for wave in waves])
    pitch, _, voiced, *timbre = rows.T
    found = np.column_stack([pitch, -np.log([max(len(wave), 1) for wave in waves]), *timbre])
    found[voiced == 0] = np.nan
    return found


def moved_by(before: Array, after: Array) -> Array:
    """The mean shift between two deliveries of the same texts, ``(4,)``, over the texts that have both.

    Raises:
        KvwError: no text has both.
    """
    shifts = after - before
    known = np.isfinite(shifts).all(axis=1)
    if not known.any():
        raise KvwError("expected a voice with a pitch, to measure what changes; none is heard; choose another voice")
    shift: Array = shifts[known].mean(axis=0)
    return shift
