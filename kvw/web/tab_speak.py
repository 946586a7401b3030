"""The tab "Speak": any text in any voice."""

from __future__ import annotations

from typing import Any

import gradio as gr

from kvw.web.components import LOUD, fill_on_select, player, shows_refusals
from kvw.web.service import MOST_BLENDED, MOST_SPOKEN, Service


def speak(service: Service, tab: gr.Tab) -> None:
    """A text, a voice that speaks it, and a file to add a voice from."""
    with gr.Row():
        voice = gr.Dropdown([*service.voices()], value=None, label="Voice", elem_id="voice")
        blend = gr.Textbox(label="Or a blend, as af_bella(2)+am_adam(1)", max_length=MOST_BLENDED, elem_id="blend")
    upload = gr.UploadButton("Add a voice from a file", size="sm", type="filepath", elem_id="voice_file")
    text = gr.Textbox(
        label="Text", lines=4, max_length=MOST_SPOKEN, value=service.cfg.language.target_text, elem_id="text"
    )
    speed = gr.Slider(0.5, 2.0, value=1.0, step=0.05, label="Speed")
    say = gr.Button("Speak", variant="primary", elem_id="say")
    speech = player("What it says", "said")

    def kept(path: str) -> Any:
        label = service.keep_voice(path)
        return gr.Dropdown(list(service.voices()), value=label)

    def spoken(chosen: str | None, blended: str, words: str, rate: float) -> str:
        return str(service.speak(blended.strip() or chosen or "", words, rate))

    fill_on_select(tab, voice, service.voices)
    upload.upload(shows_refusals(kept), upload, voice, **LOUD)
    say.click(shows_refusals(spoken), [voice, blend, text, speed], speech, **LOUD)
