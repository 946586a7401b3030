"""The tab "Results": the reports of runs, and their voices as files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr

from kvw.errors import KvwError
from kvw.runs.front import BEST
from kvw.web.components import LOUD, QUIET, as_html, fill_on_select, player, shows_refusals
from kvw.web.service import FORMATS, Service

LABEL, INFO = "Clear … near", "Voices that this run kept: the clearest on the left, the most similar on the right."
ALONE = "One voice: no other that this run kept is clearer or nearer."

SERVED = "The server of this folder (python -m kvw task=serve) speaks it now, as {}."

PICKING = 280
"""Pixels below which the slider and its player stand one above the other."""


def results(service: Service, tab: gr.Tab) -> gr.State:
    """The report of a run, its voice in the formats that it can have, and a search by ear that begins at it.

    Returns:
        The number of the search by ear that was begun last.
    """
    run = gr.Dropdown([*service.runs()], value=None, label="Run", elem_id="run")
    with gr.Row(visible=False, equal_height=True) as choice:
        slider = gr.Slider(0, 1, step=1, label=LABEL, info=INFO, buttons=[], elem_id="pick", min_width=PICKING)
        speech = player("What it says", "picked", min_width=PICKING)
    told = gr.HTML(elem_id="told")
    steer = gr.Button("Steer it by ear", elem_id="steer", size="sm")
    with gr.Row(equal_height=True):
        formats = gr.Dropdown(list(FORMATS), multiselect=True, label="Formats", elem_id="formats")
        name = gr.Textbox(label="Name of the voice", info="empty: made of its own", max_length=60, elem_id="voice_name")
        gender = gr.Dropdown([("by ear", ""), ("female", "f"), ("male", "m")], value="", label="Gender, for the name")
    with gr.Row():
        export = gr.Button("Export", elem_id="export")
        give = gr.Button("Give it to the server", elem_id="give")
    given = gr.HTML(elem_id="given")
    files = gr.File(label="Files", file_count="multiple", interactive=False, height=120, elem_id="files")
    report = gr.HTML(elem_id="report")
    names = gr.State(())  # of the files to choose among, in the slider's order

    def opened(label: str | None) -> tuple[str, Any]:
        if not label:
            return "<p>No run has found a voice yet.</p>", gr.skip()
        formats_of_run = service.formats(label)
        address = f"/reports/{service.report_key(label)}"
        link = f'<p><a href="{address}" target="_blank" rel="noopener">The report in a window of its own</a></p>'
        frame = f'<iframe class="report" src="{address}" title="report"></iframe>'
        return link + frame, gr.Dropdown(formats_of_run, value=formats_of_run[:1])

    def offered(label: str | None) -> tuple[Any, ...]:
        """The slider of a run at its result, what that says, and the figures; without a choice none of them."""
        found = list(service.front(label)) if label else []
        if len(found) < 2 or BEST not in found:
            return found, gr.Row(visible=False), gr.skip(), None, f"<p>{ALONE}</p>" if label else ""
        place = found.index(BEST)
        placed = gr.Slider(maximum=len(found) - 1, value=place)
        return found, gr.Row(visible=True), placed, *picked(label or "", found, place)

    def picked(label: str | None, found: Sequence[str], place: float) -> tuple[str | None, str]:
        file = at(found, place)
        voice, wav = service.picked(label or "", file)
        figures = [f"similarity {voice.similarity:.3f}"]
        figures += [] if voice.words is None else [f"words heard {voice.words:.0%}"]
        figures += [] if voice.quality is None else [f"quality {voice.quality:.2f}"]
        which = "The run's result" if file == BEST else file if voice.step is None else f"Step {voice.step}"
        return str(wav) if wav else None, f"<p>{as_html(which)}: {', '.join(figures)}.</p>"

    def chosen(found: Sequence[str], place: float) -> str:
        return at(found, place) if len(found) > 1 else BEST

    def steered(label: str | None, found: Sequence[str], place: float) -> int:
        return service.steer(label or "", chosen(found, place)).number

    def exported(
        label: str | None, kinds: Sequence[str], voice_name: str, letter: str, found: Sequence[str], place: float
    ) -> list[str]:
        file = chosen(found, place)
        return [str(path) for path in service.export(label or "", kinds, voice_name, letter, file)]

    def handed(label: str | None, voice_name: str, letter: str, found: Sequence[str], place: float) -> str:
        known = service.give(label or "", voice_name, letter, chosen(found, place))
        return f"<p>{as_html(SERVED.format(known))}</p>"

    choosing = [names, choice, slider, speech, told]
    for event in (fill_on_select(tab, run, service.runs).then, run.input):
        shown = event(shows_refusals(opened), run, [report, formats], **QUIET)
        shown.then(shows_refusals(offered), run, choosing, **QUIET)
    moved = {**QUIET, "trigger_mode": "always_last"}
    slider.input(shows_refusals(picked), [run, names, slider], [speech, told], **moved)
    number = gr.State(None)
    steer.click(shows_refusals(steered), [run, names, slider], number, **QUIET)
    export.click(shows_refusals(exported), [run, formats, name, gender, names, slider], files, **LOUD)
    give.click(shows_refusals(handed), [run, name, gender, names, slider], given, **LOUD)
    return number


def at(found: Sequence[str], place: float) -> str:
    """The file at a place of the slider.

    Raises:
        KvwError: the slider has no such place.
    """
    if not 0 <= place < len(found):
        raise KvwError(f"expected a place of the slider; got {place!a:.20}")
    return found[int(place)]
