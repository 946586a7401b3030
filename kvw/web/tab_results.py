"""The tab "Results": the reports of runs, and their voices as files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr

from kvw.web.components import LOUD, QUIET, fill_on_select, shows_refusals
from kvw.web.service import FORMATS, Service


def results(service: Service, tab: gr.Tab) -> None:
    """The report of a run, and its voice in the formats that it can have."""
    run = gr.Dropdown([*service.runs()], value=None, label="Run", elem_id="run")
    with gr.Row(equal_height=True):
        formats = gr.Dropdown(list(FORMATS), multiselect=True, label="Formats", elem_id="formats")
        name = gr.Textbox(label="Name of the voice", info="empty: made of its own", max_length=60, elem_id="voice_name")
        gender = gr.Dropdown([("by ear", ""), ("female", "f"), ("male", "m")], value="", label="Gender, for the name")
    export = gr.Button("Export", elem_id="export")
    files = gr.File(label="Files", file_count="multiple", interactive=False, height=120, elem_id="files")
    report = gr.HTML(elem_id="report")

    def opened(label: str | None) -> tuple[str, Any]:
        if not label:
            return "<p>No run has found a voice yet.</p>", gr.skip()
        formats_of_run = service.formats(label)
        address = f"/reports/{service.report_key(label)}"
        link = f'<p><a href="{address}" target="_blank" rel="noopener">The report in a window of its own</a></p>'
        frame = f'<iframe class="report" src="{address}" title="report"></iframe>'
        return link + frame, gr.Dropdown(formats_of_run, value=formats_of_run[:1])

    def exported(label: str | None, chosen: Sequence[str], voice_name: str, letter: str) -> list[str]:
        return [str(path) for path in service.export(label or "", chosen, voice_name, letter)]

    fill_on_select(tab, run, service.runs).then(shows_refusals(opened), run, [report, formats], **QUIET)
    run.input(shows_refusals(opened), run, [report, formats], **QUIET)
    export.click(shows_refusals(exported), [run, formats, name, gender], files, **LOUD)
