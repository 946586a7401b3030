"""The pages of reports, read from the runs' folders without a model: of one run, and of several that are compared.

Read :func:`of_one` and :func:`of_several` first. Both fill in ``templates/page.html.j2``, which uses the macros of
``templates/parts.html.j2``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from kvw.reports import figures
from kvw.reports.judges import Jury
from kvw.reports.players import PAGE_SECONDS, PLAYER_SECONDS, player, recordings, spoken
from kvw.reports.view import (
    ComparedVoice,
    Picture,
    Table,
    compared_voices,
    fact,
    figure,
    headline,
    heldout_texts,
    joined,
    of_lengths,
    outcomes,
    picture,
    run_facts,
    score_table,
    scored_texts,
    verdicts,
    versions,
)
from kvw.runs.artifacts import spoken_path
from kvw.runs.comparison import differing_settings
from kvw.runs.reader import Run
from kvw.runs.statistics import History, Map, history, map_of
from kvw.types import Wave

TEMPLATES = Path(__file__).with_name("templates")


@cache
def template(path: Path = TEMPLATES / "page.html.j2") -> Template:
    """The template of a page, which can import ``parts.html.j2``; autoescaped, since a record may be a stranger's."""
    loader = FileSystemLoader([path.parent, TEMPLATES])
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template(path.name)


def of_one(run: Run, jury: Jury | None) -> str:
    """The page of a run.

    Args:
        run: to report.
        jury: of its voices; None for no judges.

    Raises:
        KvwError: the run's record can't be read.
    """
    past = history(run)
    voice_map = map_of(run.stock, past)
    voices = compared_voices(run, past)
    texts, target_text = heldout_texts(run), scored_texts(run)[:1]
    heard, heldout = recordings(run.folder, "target"), recordings(run.folder, "heldout")
    kept = [place for place in range(len(texts)) if spoken_path(run.folder, "best", place + 1).exists()]
    chosen = of_lengths(texts, kept)
    most = min(PLAYER_SECONDS, PAGE_SECONDS / (2 + len(voices) + len(chosen) * len(voices)))
    listen = [
        player("target", heard[:1], most),
        player("target, held out", heldout[:1], most),
        *(player(voice.label, spoken(run.folder, role, 0), most) for role, voice in voices.items()),
    ]
    spoken_texts = [
        {
            "text": texts[place],
            "players": [
                player(voice.label, spoken(run.folder, role, place + 1), most, voice.similarity(place))
                for role, voice in voices.items()
            ],
        }
        for place in chosen
    ]
    return template().render(
        kind="run",
        title=f"{fact(run, 'target')}, {fact(run, 'strategy')}, seed {fact(run, 'seed')}",
        headline=headline(run, voices),
        listen=listen,
        texts=spoken_texts,
        target_text="".join(target_text),
        silent="" if chosen else "This run kept no audio of held-out texts: it is an older one, or has not ended.",
        table=score_table(voices),
        verdicts=verdicts(run, jury, voices, texts, heard, heldout),
        outcomes=outcomes(past),
        pictures=pictures(past, voices, voice_map, heard[:1], spoken(run.folder, "best", 0)),
        nearest=[(name, f"{far:.2f}") for name, far in voice_map.nearest.items()] if voice_map else [],
        facts=run_facts(run, past),
        versions=versions(run),
        config=json.dumps(run.config, indent=2, ensure_ascii=False),
    )


def pictures(
    past: History,
    voices: Mapping[str, ComparedVoice],
    voice_map: Map | None,
    target: Sequence[Wave],
    result: Sequence[Wave],
) -> list[Picture]:
    """The figures of a run that can be drawn.

    Args:
        past: the run's candidates.
        voices: the compared ones, by role.
        voice_map: the map of voices; None where there is none.
        target: a recording of the target, or none.
        result: the result speaking the target text, or nothing.
    """
    drawn = []
    stock = voices.get("stock")
    if len(past.better):
        words = "Every complete candidate, the improvements, and the best stock voice as a dashed line"
        drawn.append(picture("The search", figures.curve(past, stock.score if stock else None), words))
        words = "What the improvements measured, stage by stage"
        drawn.append(picture("The parts of the score", figures.parts(past, stock.parts if stock else {}), words))
    if target and result:
        words = (
            f"Spectrograms of the first {figures.SHOWN_SECONDS:.0f} s of the target and of the result, and the pitch "
            "of both; they may say different words"
        )
        drawn.append(picture("Spectrograms and pitch", figures.speech(target[0], result[0], "result"), words))
    if voice_map:
        words = (
            "Where the voices lie: the mean of the rows that the scored texts are heard through, projected on the "
            "plane in which the stock voices differ most"
        )
        drawn.append(picture("Among the stock voices", figures.voice_chart(voice_map), words))
    return drawn


def of_several(runs: Sequence[Run], labels: Sequence[str], jury: Jury | None) -> str:
    """The page that compares runs.

    Args:
        runs: at least two.
        labels: the folder of each run, as the page shows it.
        jury: of the results; None for no judges.

    Raises:
        KvwError: a record can't be read.
    """
    names = [f"{place}: {fact(run, 'strategy')}, seed {fact(run, 'seed')}" for place, run in enumerate(runs, start=1)]
    pasts = {name: history(run) for name, run in zip(names, runs, strict=True)}
    rows, judged, listen = [], [], []
    targets = {str(run.about.get("target_sha256", run.folder)): run for run in reversed(runs)}
    most = min(PLAYER_SECONDS, PAGE_SECONDS / (len(targets) + 2 * len(runs)))
    for run in reversed(targets.values()):
        listen.append(player(f"target, {fact(run, 'target')}", recordings(run.folder, "target")[:1], most))
    for name, run, label in zip(names, runs, labels, strict=True):
        voices, texts = compared_voices(run, pasts[name]), heldout_texts(run)
        best, stock = voices.get("best"), voices.get("stock")
        row = [name, fact(run, "target"), str(run.steps), f"{pasts[name].tally.seconds:.0f}"]
        row += [figure(voice.score if voice else None, 2) for voice in (best, stock)]
        row += [figure(voice.heldout_mean if voice else None, 3) for voice in (best, stock)]
        rows.append([*row, label])
        listen.append(player(f"{name}, result", spoken(run.folder, "best", 0), most))
        longest = max(range(len(texts)), key=lambda place: len(texts[place]), default=-1)
        if best and longest >= 0 and (speech := spoken(run.folder, "best", longest + 1)):
            listen.append(player(f"{name}, held-out text", speech, most, best.similarity(longest)))
        heard, heldout = recordings(run.folder, "target"), recordings(run.folder, "heldout")
        judged.append((name, verdicts(run, jury, {"best": best} if best else {}, texts, heard, heldout)))
    drawn = {name: past for name, past in pasts.items() if len(past.better)}
    words = "The best score so far of each run; scores compare where target, texts and fitness are the same"
    settings = [(key, *values) for key, values in differing_settings(runs).items()]
    head = ("run", "target", "candidates", "audio, s", "score", "stock", "held-out", "stock held-out", "folder")
    return template().render(
        kind="comparison",
        title=f"{len(runs)} runs compared",
        headline=[],
        listen=listen,
        table=Table(head, rows),
        verdicts=joined(judged),
        differing=Table(("setting", *(name.partition(":")[0] for name in names)), settings),
        pictures=[picture("The searches", figures.curves(drawn), words)] if drawn else [],
    )
