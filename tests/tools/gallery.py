"""The gallery: what KVoiceWalk's walk and the recommended preset make of the demo recording, and how voices fail.

``python -m tests.tools.gallery`` runs the searches of :data:`SEARCHES` once: finished runs are kept in
``outputs/gallery``, and one that was stopped resumes. Then it makes ``outputs/gallery/index.html`` of them. Read
:func:`make` first.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from textwrap import shorten

import numpy as np

from kvw.audio.pitch import contour
from kvw.config.fitness import FitnessSpec
from kvw.config.inputs import restored_inputs
from kvw.fitness.heldout import HeldOut
from kvw.reports import figures, players, view
from kvw.reports.page import template
from kvw.runs.reader import Run
from kvw.runs.statistics import History, history
from kvw.runtime.files import write_whole
from kvw.runtime.workers import limit_threads
from kvw.speech.embedded.stock_voices import stock_voices
from kvw.tasks.prepare import HELDOUT_SEED
from kvw.types import MAX_PHONEMES, STYLE_WIDTH, Voice, Wave, mean_voice
from kvw.voices.files import load_voice
from tests.conftest import ROOT
from tests.support.runs import finished

WALK, PRESET, TENFOLD = "random_walk", "quick", "tenfold"
SEARCHES = {
    WALK: ["strategy=random_walk"],
    PRESET: ["experiment=quick"],
    TENFOLD: ["strategy=random_walk", "strategy.diversity=[0.1,1.5]"],
}
"""Command lines by the folders of their runs; the last one is a failure."""

COMMON = ["synth=embedded", "step_limit=450", "report=false"]

NUMBERS = ("one", "two", "three", "four", "five")
COUNTING = [f"I am one and the same person: {', '.join(NUMBERS[:last])}." for last in range(1, 1 + len(NUMBERS))]
"""Each has some phonemes more than the one before, and so a row of its own."""

DRAWS, FAR = 60, 30.0
"""Voices of which the encoder chooses one, and how many standard deviations of the stock voices they stray."""

FORM = Path(__file__).with_name("gallery.html.j2")


@dataclass(frozen=True)
class Failure:
    """What went wrong, why, and how it sounds."""

    title: str
    why: str
    players: Sequence[players.Player]


def make(out: Path, *arguments: str) -> Path:
    """Runs what is missing, and writes the page.

    Args:
        out: where runs and page are.
        arguments: of the searches, beside their own.

    Returns:
        the page.

    Raises:
        SystemExit: a search failed or was interrupted.
    """
    runs = {name: finished(out / name, [*COMMON, *own, *arguments]) for name, own in SEARCHES.items()}
    path = out / "index.html"
    write_whole(path, page_of(runs[WALK], runs[PRESET], failures(runs)).encode())
    return path


def page_of(walk: Run, preset: Run, failed: Sequence[Failure]) -> str:
    """The page of two finished runs with the same target and texts, and of failures."""
    runs = {"the walk": walk, PRESET: preset}
    pasts = {label: history(run) for label, run in runs.items()}
    seen = {label: view.compared_voices(run, pasts[label]) for label, run in runs.items()}
    stock = seen["the walk"]["stock"]
    told = [
        (stock, walk, "stock"),
        *((replace(seen[label]["best"], label=label), runs[label], "best") for label in runs),
    ]
    texts, most = view.heldout_texts(walk), players.PLAYER_SECONDS
    scored = [one.parts["target"] for one, _, _ in told]
    heldout = list(zip(*(one.heldout.similarities for one, _, _ in told if one.heldout), strict=True))
    means = np.mean(heldout, axis=0)

    def say(number: int, similarities: Sequence[float]) -> list[players.Player]:
        return [
            players.player(one.label, players.spoken(run.folder, role, number), most, f"similarity {similarity:.3f}")
            for (one, run, role), similarity in zip(told, similarities, strict=True)
        ]

    gains = [
        f"Over the best stock voice {one.label} gains {on_scored - scored[0]:+.3f} of similarity on the text that it "
        f"was scored on, and {mean - means[0]:+.3f} on texts that it never heard."
        for (one, _, _), on_scored, mean in zip(told, scored, means, strict=True)
    ]
    rows = [
        ("the scored text", scored),
        *((shorten(text, 40, placeholder=" …"), found) for text, found in zip(texts, heldout, strict=True)),
        ("mean, held out", means),
    ]
    words = (
        f"The best score so far. That of {PRESET} averages the target similarity over both scored texts, so the two "
        "compare roughly"
    )
    return template(FORM).render(
        title="kvw: two searches for one voice, and what may come of a search",
        headline=gains[1:],
        target_text=view.scored_texts(walk)[0],
        listen=[
            players.player("target", players.recordings(walk.folder, "target")[:1], most, "a recording"),
            players.player("target, held out", players.recordings(walk.folder, "heldout")[:1], most, "a recording"),
            *say(0, scored),
        ],
        texts=[
            {"text": texts[number], "players": say(number + 1, heldout[number])}
            for number in view.of_lengths(texts, range(len(texts)))
        ],
        table=view.Table(("", "stock", *pasts), [(name, *(f"{one:.3f}" for one in found)) for name, found in rows]),
        cost=[(name, cost(past)) for name, past in pasts.items()],
        curve=view.picture("The curves", figures.curves(pasts), words),
        counting=COUNTING,
        pitch=np.nanmedian(contour(players.recordings(walk.folder, "target")[0])),
        failures=failed,
    )


def cost(past: History) -> str:
    """What a search took."""
    tally = past.tally
    stopped = sum(tally.stopped.values()) / tally.steps
    return f"{tally.steps} candidates, {stopped:.0%} of them stopped early; {tally.seconds:.0f} s of synthesised audio"


def failures(runs: Mapping[str, Run]) -> list[Failure]:
    """Voices that go wrong, each in a way of its own, heard by the judge of the runs."""
    limit_threads(1)
    config, inputs = runs[WALK].config, restored_inputs(runs[WALK].facts["inputs"])
    letter, seed = config["language"]["letter"], config["seed"]
    listener = FitnessSpec(config["synth"], config["fitness"], "cpu", letter, seed, inputs).listener(
        seed + HELDOUT_SEED
    )

    def judge(texts: Sequence[str]) -> HeldOut:
        return HeldOut(listener, texts, inputs.target.heldout)

    counting, heldout = judge(COUNTING), judge(inputs.heldout_texts)
    middle = view.of_lengths(inputs.heldout_texts, range(len(inputs.heldout_texts)))[1]
    rng = np.random.default_rng(0)
    bank = list(stock_voices().values())
    mean, spread = mean_voice(bank), np.std(bank, axis=0)
    crowd = np.stack([bank[number][row] for row, number in enumerate(rng.integers(len(bank), size=MAX_PHONEMES))])
    draws = [(mean + FAR * spread * rng.standard_normal(STYLE_WIDTH)).astype(np.float32) for _ in range(DRAWS)]
    monster = max(draws, key=lambda voice: np.mean(counting(voice)))
    walk, preset, tenfold = (load_voice(runs[name].folder / "best.pt") for name in (WALK, PRESET, TENFOLD))
    scored = view.compared_voices(runs[TENFOLD], history(runs[TENFOLD]))["best"]

    def counts(label: str, voice: Voice) -> players.Player:
        similarities, waves = zip(*counting.hear(voice), strict=True)
        note = f"similarity {min(similarities):.3f} to {max(similarities):.3f}"
        return player(label, waves, note)

    def says(label: str, voice: Voice) -> players.Player:
        similarities, waves = zip(*heldout.hear(voice), strict=True)
        return player(label, [waves[middle]], f"similarity {np.mean(similarities):.3f} on all held-out texts")

    return [
        Failure(
            "Somebody else at every word",
            "A text of n phonemes is heard through row n of a voice and no other. The walk moves each of the 510 rows "
            f"its own way while its two texts hear two of them: with one word more another row speaks. {PRESET} moves "
            "all rows together.",
            [counts("the walk counts", walk), counts(f"{PRESET} counts", preset)],
        ),
        Failure(
            "Ten times the mutation",
            "The same walk with strategy.diversity=[0.1,1.5]: gate and score guard the rows of the two scored texts; "
            "nothing guards the other 508.",
            [
                players.player(
                    "ten times, on the scored text",
                    players.spoken(runs[TENFOLD].folder, "best", 0),
                    players.PLAYER_SECONDS,
                    f"similarity {scored.parts['target']:.3f}; {scored.heldout.similarity:.3f} on all held-out texts",
                ),
                counts("ten times, it counts", tenfold),
            ],
        ),
        Failure(
            "A crowd in one file",
            f"Each of the {MAX_PHONEMES} rows is that of a stock voice drawn for it: the file is valid, every sentence "
            "is good speech, and no two need be one person's.",
            [counts("the crowd counts", crowd)],
        ),
        Failure(
            "Nobody",
            f"The mean of all {len(bank)} stock voices, women's and men's, has a pitch between theirs, and no "
            "character; a search starts from the mean of the nearest alone.",
            [says("the mean of all", mean)],
        ),
        Failure(
            "A caricature, and its opposite",
            f"What {PRESET}'s voice has and the mean of the stock voices has not, ten times and minus ten times. The "
            "embedded synthesiser bends each number to a range, so all that is special stands at an end of its scale.",
            [
                says("ten times", (mean + 10 * (preset - mean)).astype(np.float32)),
                says("minus ten times", (mean - 10 * (preset - mean)).astype(np.float32)),
            ],
        ),
        Failure(
            "The monster that the encoder likes",
            f"Of {DRAWS} voices drawn {FAR:.0f} standard deviations of the stock voices away from their mean, the one "
            "most like the target where it counts. The encoder has only ever heard people: it says whom a voice is "
            "like, and not that it is nobody's.",
            [says("the monster", monster)],
        ),
    ]


def player(label: str, waves: Sequence[Wave | None], note: str) -> players.Player:
    """A player of what a voice said, one text after the other, with the pitch of each."""
    heard = [wave for wave in waves if wave is not None]
    pitches = [contour(wave) for wave in heard]
    medians = ", ".join(f"{np.nanmedian(one):.0f}" for one in pitches if np.isfinite(one).any())
    together = [np.concatenate(heard)] if heard else []
    return players.player(label, together, players.PLAYER_SECONDS, f"{note}; pitch {medians} Hz")


if __name__ == "__main__":
    sys.stdout.write(f"Gallery: {make(ROOT / 'outputs' / 'gallery')}\n")
