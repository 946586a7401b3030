"""What the best stock voice of a run says on the run's own words, to be heard beside the best voice so far."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

from kvw.audio.write import write_audio
from kvw.fitness.utterances import noise_seed
from kvw.runs.artifacts import spoken_path
from kvw.runs.reader import Run
from kvw.runtime.filenames import safe_stem
from kvw.speech import select
from kvw.voices.files import voice_digest
from kvw.voices.reference import resolve
from kvw.web.files import Files
from kvw.web.models import Models

log = logging.getLogger(__name__)


class StockSpeech:
    """Speaks for each run once, in a thread of its own, as the run's process would.

    Args:
        models: that speak.
        voices_folder: of the stock voices.
        files: that the page serves.
    """

    def __init__(self, models: Models, voices_folder: Path, files: Files) -> None:
        self._models, self._voices_folder, self._files = models, voices_folder, files
        self._lock = threading.Lock()
        self._spoken: dict[Path, Path | None] = {}  # by the run's folder; None until it is spoken, or for good

    def __call__(self, run: Run) -> Path | None:
        """The speech, as a served file.

        Returns:
            None before the ranking has ended, while it is being spoken, and where the voice is not the run's any more.
        """
        judged = spoken_path(run.folder, "stock", 0)
        if judged.is_file():
            return self._files.served(judged)
        best = run.best_stock
        if not best:
            return None
        with self._lock:
            if run.folder not in self._spoken:
                self._spoken[run.folder] = None
                threading.Thread(target=self._speak, args=(run, best.name), daemon=True).start()
            return self._spoken[run.folder]

    def _speak(self, run: Run, name: str) -> None:
        try:
            chosen = resolve(name, self._voices_folder, select.embedded_voices)
            if voice_digest(chosen.voice) != run.facts["bank"][name] or not run.scripts:
                return
            speaker, script = self._models.speaker(chosen.synthesizer), run.scripts[0]
            with self._models.at_work:
                (wave,) = speaker([chosen.voice], script, noise_seed(int(run.about["seed"]), script))
            path = self._files.fresh_folder() / f"{safe_stem(name)}.wav"
            write_audio(path, wave)
            self._spoken[run.folder] = self._files.served(path)  # a fresh folder is gone in an hour
        except Exception:  # nobody waits for this thread, and the record may be a stranger's
            log.warning("The best stock voice of %s can't be heard", run.folder, exc_info=True)
