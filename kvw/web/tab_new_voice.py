"""The tab "New voice": a recording, its words, and the search that is begun for them."""

from __future__ import annotations

from typing import Any

import gradio as gr

from kvw.errors import KvwError
from kvw.web.components import LOUD, QUIET, as_html, label_for, player, shows_refusals
from kvw.web.service import MOST_SPOKEN, Service

NO_ATLAS = "No voice is predicted, as kvw has no atlas of these weights: a search finds one by listening."


def new_voice(service: Service) -> gr.State:
    """The form of a search.

    Returns:
        The number of the search that was begun last.
    """
    with gr.Row():
        with gr.Column():
            clip = gr.Audio(
                label="A recording of one speaker",
                buttons=[],
                sources=["upload", "microphone"],
                type="filepath",
                editable=False,
                elem_id="clip",
            )
            checked = gr.HTML(elem_id="checked")
            first = player("The predicted voice, before any search", "first", visible=False)
            unheard = gr.HTML(elem_id="unheard")
        with gr.Column():
            spoken = gr.Textbox(
                label="The words that it says",
                info="They serve best; 100 to 200 sounds are enough. Empty is a text of the language's own.",
                lines=4,
                max_length=MOST_SPOKEN,
                elem_id="words",
            )
            transcribe = gr.Button("Transcribe", size="sm", elem_id="transcribe")
            language = gr.Dropdown(list(service.languages), value=label_for(service.languages, "a"), label="Language")
    preset = gr.Dropdown(list(service.presets), value="quick", label="Search", elem_id="preset")
    meaning = gr.HTML(f"<small>{as_html(service.presets['quick'][1])}</small>")
    with gr.Row():
        title = gr.Textbox(label="Name", max_length=60, elem_id="title")
        minutes = gr.Number(label="Minutes at most", info="0: no limit", value=0, minimum=0, elem_id="minutes")
        candidates = gr.Number(
            label="Candidates at most", info="0: as the search has it", value=0, minimum=0, precision=0, elem_id="steps"
        )
    with gr.Row():
        demo = gr.Button("Take the demo", elem_id="demo")
        begin = gr.Button("Search", variant="primary", elem_id="begin")
    number, sound = gr.State(None), gr.State(None)

    def check(path: str | None) -> tuple[str, str | None, Any, str]:
        """The check's text, the path of a recording that can be a target, and the place for its first voice."""
        text, fine = "", None
        if path:
            try:
                text, fine = f'<p class="words">{as_html(service.check(path))}</p>', path
            except KvwError as error:
                text = f'<p class="words bad">{as_html(str(error))}</p>'
        return text, fine, gr.Audio(value=None, visible=bool(fine)), ""

    def predicted(path: str | None, words: str, name: str) -> tuple[Any, str]:
        """What the first voice says, or why there is none."""
        if not path:
            return gr.skip(), ""
        try:
            speech = service.first_voice(path, words, name)
        except KvwError as error:
            return gr.Audio(visible=False), f'<p class="words">No voice is predicted: {as_html(str(error))}</p>'
        if speech:
            return gr.Audio(value=str(speech)), ""
        return gr.Audio(visible=False), f'<p class="words">{NO_ATLAS}</p>'

    def transcribed(path: str | None, before: str) -> tuple[str, str]:
        if not path:
            raise KvwError("expected a recording to transcribe; choose one")
        text, letter = service.transcribe(path)
        return text, label_for(service.languages, letter) if letter else before

    def enqueued(*form: Any) -> int:
        return service.enqueue(*form).number

    preset.change(lambda name: f"<small>{as_html(service.presets[name][1])}</small>", preset, meaning, **QUIET)
    checking = clip.change(check, clip, [checked, sound, first, unheard], **LOUD)
    checking.then(shows_refusals(predicted), [sound, spoken, language], [first, unheard], **LOUD)
    transcribe.click(shows_refusals(transcribed), [clip, language], [spoken, language], **LOUD)
    demo.click(shows_refusals(service.demo), None, [clip, spoken], **QUIET)
    form = [clip, title, spoken, language, preset, minutes, candidates]
    begin.click(shows_refusals(enqueued), form, number, **LOUD)
    return number
