"""The tab "Compare": two voices on one text, blind or not."""

from __future__ import annotations

import functools
import random
from typing import Any

import gradio as gr

from kvw.web.components import LOUD, QUIET, as_html, fill_on_select, player, shows_refusals
from kvw.web.service import MOST_SPOKEN, Service


def compare(service: Service, tab: gr.Tab) -> None:
    """Two voices on one text; in a blind comparison their names are shown after the choice."""
    with gr.Row():
        first_voice = gr.Dropdown([*service.voices()], value=None, label="Voice A", elem_id="voice_a")
        second_voice = gr.Dropdown([*service.voices()], value=None, label="Voice B", elem_id="voice_b")
    text = gr.Textbox(label="Text", lines=3, max_length=MOST_SPOKEN, value=service.cfg.language.target_text)
    blind = gr.Checkbox(label="Blind: shuffled, with names once you have chosen", value=True, elem_id="blind")
    play = gr.Button("Speak both", variant="primary", elem_id="both")
    with gr.Row():
        left = player("First", "left")
        right = player("Second", "right")
    with gr.Row():
        choices = [gr.Button(f"The {name} one is better", elem_id=name) for name in ("first", "second")]
    verdict = gr.HTML(elem_id="verdict")
    order = gr.State(())

    def both_spoken(voice_a: str | None, voice_b: str | None, words: str, shuffled: bool) -> list[Any]:
        voices = [voice_a or "", voice_b or ""]
        if shuffled:
            random.shuffle(voices)
        waves = [str(service.speak(voice, words, name="voice")) for voice in voices]
        note = "" if shuffled else f"<p>First: {as_html(voices[0])}. Second: {as_html(voices[1])}.</p>"
        return [*waves, note, tuple(voices)]

    def revealed(place: int, voices: tuple[str, str]) -> str:
        if not voices:
            return "<p>Let both speak first.</p>"
        better, other = voices[place], voices[1 - place]
        return f"<p>You chose <strong>{as_html(better)}</strong>; the other one is {as_html(other)}.</p>"

    fill_on_select(tab, first_voice, service.voices)
    fill_on_select(tab, second_voice, service.voices, place=1)
    play.click(
        shows_refusals(both_spoken), [first_voice, second_voice, text, blind], [left, right, verdict, order], **LOUD
    )
    for place, button in enumerate(choices):
        button.click(functools.partial(revealed, place), order, verdict, **QUIET)
