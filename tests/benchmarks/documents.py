"""KVoiceWalk's own case: its recording, its two texts and its formula; its published rows beside those of a search.

``python -m tests.benchmarks.documents FOLDER [KEY=VALUE ...]``, where the folder has the ``target.wav`` of KVoiceWalk's
first commit. The finished run is kept in ``outputs/documents``, and one that was stopped resumes.
"""

from __future__ import annotations

import re
import resource
import sys
from pathlib import Path

from kvw.runs.reader import Run
from kvw.text import aligned, duration
from tests.config.test_arguments import SENTENCE
from tests.support.runs import finished

PHRASES = re.split(r", | that one day he'd be | (?=and an|while|and gulls)", SENTENCE.rstrip("."))
"""Of the sentence: gradients are measured on them, as on short texts."""

ARGUMENTS = (
    "experiment=quick",
    "fitness=kvoicewalk",
    "fitness.most_characters=null",
    'fitness.probe_text="Please leave the key."',
    "stages.refine.strategy.steps=96",
    "stages.refine.strategy.rate=0.5",
    "stages.refine.strategy.every=12",
    "stages.refine.strategy.prior=0.1",
    "+strategy@stages.polish.strategy=sep_cma",
    "+space@stages.polish.space=pca_offset",
    "stages.polish.space.freeze=timbre",
    "stages.polish.strategy.population=4",
    "stages.polish.strategy.sigma=0.3",
    "step_limit=300",
    "judges=none",
)
"""The steps of ``quick``, more of them, then CMA-ES on pitch and pace, of which the steps know nothing."""

HEAD = ("", "candidates", "similarity", "self", "features", "score")
PUBLISHED = (
    ("KVoiceWalk: af_heart", "", "0.709", "0.978", "0.47", "81.22"),
    ("KVoiceWalk: interpolation", "", "0.780", "", "", "84.20"),
    ("KVoiceWalk: the walk", "9371", "0.917", "0.971", "0.54", "92.99"),
)


def main(recordings: Path, given: list[str]) -> None:
    """Searches, and prints the table."""
    texts = [f"target_text={SENTENCE}", f"language.short_texts=[{','.join(map(repr, PHRASES))}]"]
    run = finished(
        Path("outputs") / "documents", [*ARGUMENTS, f"target_audio={recordings / 'target.wav'}", *texts, *given]
    )
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    spent = duration(sum(one.ru_utime + one.ru_stime for one in used))
    table = "\n".join(aligned([HEAD, *PUBLISHED, *rows(run)], left=1))
    sys.stdout.write(f"{table}\nCPU time of this command: {spent}\n")


def rows(run: Run) -> list[tuple[str, ...]]:
    """The best stock voice, and each candidate that was better than it and all before it."""
    stock = max((voice for voice in run.stock if voice.evaluation.complete), key=lambda voice: voice.evaluation.score)
    found = [(f"kvw: the stock voice {stock.name}", "", stock.evaluation)]
    better = run.improvements(run.candidates())
    found += [("kvw: the search", str(sample.step + 1), sample.evaluation) for sample in better]
    return [
        (label, count, *(f"{one.parts[part]:.3f}" for part in ("target", "self", "feature")), f"{one.score:.2f}")
        for label, count, one in found
    ]


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
