"""Measures the voices of a comparison from the audio that their runs kept: read :class:`Bench` first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path

import numpy as np

from kvw.audio.checks import speaker_doubts
from kvw.audio.pitch import median_pitch
from kvw.audio.target import Target
from kvw.errors import KvwError
from kvw.fitness.speaker import SpeakerEncoder, cosine
from kvw.reports.comparison import HELDOUT, NORMALISED, Cell, Comparison, Measure
from kvw.reports.judges import Jury
from kvw.reports.players import spoken
from kvw.reports.scale import Recordings, Scale, scale_of
from kvw.reports.view import heldout_texts
from kvw.runs import folders
from kvw.runs.reader import Run
from kvw.runs.result import read_heldout, read_phonemes, read_stock, read_verdict
from kvw.tasks.cells import Search
from kvw.tasks.examine import SILENCE
from kvw.text import listed
from kvw.types import Wave

PITCH = "pitch_error"


class Bench:
    """Judges voices against the held-out recordings of their speakers.

    Args:
        folder: of the comparison, where judges' figures on recordings are kept.
        jury: the judges; None for none.
        language: Kokoro's letter for the held-out texts.
        speakers: what was read of the recordings, by the speaker's name.

    Attributes:
        lacking: why a judge has no figure: how many voices, by the judge's heading and the reason.
    """

    def __init__(self, folder: Path, jury: Jury | None, language: str, speakers: Mapping[str, Target]) -> None:
        self.folder, self.language, self.speakers = folder, language, speakers
        self.jury = jury or Jury({})
        self.lacking: dict[tuple[str, str], int] = {}
        self.encoder = SpeakerEncoder()

    def __call__(self, planned: Sequence[Search], errors: Mapping[Search, str], remarks: Sequence[str]) -> Comparison:
        """The comparison of searches: of those that have a result; ``errors`` says why others have none."""
        cells, runs = [], {}
        for search in planned:
            why, run = errors.get(search, "not searched"), search.run
            if run:
                try:
                    cells.append(self.cell(search, run))
                    runs[search] = run
                    continue
                except KvwError as error:  # its record is damaged
                    why = "; ".join(str(error).splitlines())
            cells.append(Cell(search.contender, search.speaker, search.seed, error=why))
        stock = self.best_stock(runs)
        own = {name: self.recording(name) for name in self.scales[HELDOUT].own}
        failed = [f"{search} failed: {cell.error}" for search, cell in zip(planned, cells, strict=True) if cell.error]
        return Comparison(self.measures, cells, stock, own, [*remarks, *failed, *self.remarks()])

    @cached_property
    def scales(self) -> dict[str, Scale]:
        """The scale of each encoder, by the name of its measure."""
        given = {
            name: Recordings(target.clips, target.heldout, target.heldout_note == "heldout_audio")
            for name, target in self.speakers.items()
        }
        scales = {HELDOUT: scale_of(self.similar, given)}
        for name, judge in self.jury.judges.items():
            if getattr(judge, "recognises", False):
                scales[name] = scale_of(partial(self.of_judge, name), given)
        return scales

    @cached_property
    def pitches(self) -> dict[str, float]:
        """The median pitch of each speaker's held-out recordings, Hz."""
        return {name: median_pitch(target.heldout) for name, target in self.speakers.items()}

    @cached_property
    def measures(self) -> list[Measure]:
        """What is measured, in the order of tables."""
        found = [Measure(HELDOUT, "Held-out ↑", 3)]
        found += [Measure(name, judge.heading, judge.decimals) for name, judge in self.jury.judges.items()]
        for name in self.scales:
            place = next(number for number, measure in enumerate(found, start=1) if measure.name == name)
            heading = f"{found[place - 1].heading.rstrip(' ↑').rpartition(', ')[2]}, normalised ↑"
            found.insert(place, Measure(f"{name}{NORMALISED}", heading, 2))
        costs = [Measure("cpu_seconds", "CPU, s ↓", 0, False), Measure("wall_seconds", "Time, s ↓", 0, False)]
        return [*found, Measure(PITCH, "Pitch error, semitones ↓", 1), *costs]

    def similar(self, waves: Sequence[Wave], speaker: Sequence[Wave]) -> float | str:
        """The mean cosine of waves to a speaker's recordings by the search's own encoder, or why there is none."""
        try:
            target = self.encoder.speaker(speaker, "recordings")
        except KvwError as error:
            return str(error)
        return float(np.mean([0.0 if own is None else cosine(own, target) for own in self.encoder(waves)]))

    def of_judge(self, name: str, waves: Sequence[Wave], speaker: Sequence[Wave]) -> float | str:
        """The figure of one judge on recordings, or the reason why there is none."""
        jury = Jury({name: self.jury.judges[name]})
        return jury(self.folder, waves, None, speaker, self.language)[name]

    def best_stock(self, runs: Mapping[Search, Path]) -> dict[str, Cell]:
        """The best stock voice of each speaker: of those that searches ranked first the one with the most held-out.

        So no contender gains by a stock voice that another one did not find.
        """
        best: dict[str, tuple[float, Search, Path]] = {}
        for search, run in runs.items():
            similarity = read_heldout(run / folders.RESULT)["stock"].similarity
            if search.speaker not in best or similarity > best[search.speaker][0]:
                best[search.speaker] = similarity, search, run
        return {name: self.cell(search, run, "stock") for name, (_, search, run) in best.items()}

    def cell(self, search: Search, run: Path, role: str = "best") -> Cell:
        """The figures of a run's result, or of its best stock voice."""
        path = run / folders.RESULT
        texts, heldout = heldout_texts(Run(run)), read_heldout(path)[role]
        kept = [spoken(run, role, place) for place in range(1, 1 + len(texts))]
        # a voice that fails to say a text is heard to be silent; a run that kept nothing is not
        waves = [said[0] if said else SILENCE for said in kept] if any(kept) else []
        figures = self.voice(run, search.speaker, heldout.similarity, waves, texts)
        if role == "best":
            figures |= search.cost
        lengths = list(zip(read_phonemes(path), heldout.similarities, strict=False))
        told = (search.contender, search.speaker, search.seed)
        return Cell(*told, figures, read_stock(path), lengths, read_verdict(path) if role == "best" else "")

    def recording(self, name: str) -> dict[str, float]:
        """The figures of a speaker's own recording, which a search heard, against the held-out ones."""
        return self.voice(self.folder, name, self.scales[HELDOUT].own[name], self.speakers[name].clips[:1], None)

    def voice(
        self, folder: Path, speaker: str, similarity: float, waves: Sequence[Wave], texts: Sequence[str] | None
    ) -> dict[str, float]:
        """The figures of speech, by the names of :attr:`measures`.

        Args:
            folder: where the judges' figures are kept.
            speaker: whom the speech should be like.
            similarity: by the search's own encoder.
            waves: the speech.
            texts: what is said; None where nobody knows.
        """
        target = self.speakers[speaker]
        figures = {HELDOUT: similarity}
        for name, verdict in self.jury(folder, waves, texts, target.heldout, self.language).items():
            if isinstance(verdict, float):
                figures[name] = verdict
            elif texts is not None:
                key = self.jury.judges[name].heading, verdict
                self.lacking[key] = self.lacking.get(key, 0) + 1
        for name, scale in self.scales.items():
            if name in figures and (normalised := scale(figures[name], speaker)) is not None:
                figures[f"{name}{NORMALISED}"] = normalised
        error = 12 * abs(np.log2(median_pitch(waves) / self.pitches[speaker]))
        return figures | ({PITCH: float(error)} if np.isfinite(error) else {})

    def remarks(self) -> list[str]:
        """What a reader has to know of recordings and judges, a line each."""
        lines = []
        for target in self.speakers.values():
            lines += [*target.notes, *speaker_doubts(self.encoder, target.recordings)]
        scale = self.scales[HELDOUT]
        if single := [name for name in self.speakers if name not in scale.own]:
            ceiling = "the others' mean takes its place" if scale.own else "nothing can be normalised"
            lines.append(
                f"{listed(single)}: one recording, so judged by its last part, and no second one to be 1: {ceiling}"
            )
        headings = {measure.name: measure.heading for measure in self.measures}
        for name, scale in self.scales.items():
            heading = headings[name].rstrip(" ↑")
            if scale.reason:
                lines.append(f"{heading}: not normalised: {scale.reason}")
            else:
                second = float(np.mean(list(scale.own.values())))
                lines.append(f"{heading}: strangers {scale.stranger:.3f}, second recordings {second:.3f}")
        for (heading, reason), count in self.lacking.items():
            lines.append(f"{heading.rstrip(' ↑↓')}: no figure of {count} voices: {reason}")
        return lines
