"""The tab "Speak": any text in any voice, as it is or changed as it is heard."""

from __future__ import annotations

from typing import Any

import gradio as gr

from kvw.atlas.adjust import CHANGES, Change
from kvw.tasks.adjust import TEXTS
from kvw.web.components import LOUD, fill_on_select, player, shows_refusals
from kvw.web.service import MOST_BLENDED, MOST_SPOKEN, Service

STEPS = {"pitch": 0.5, "pace": 5, "brightness": 5, "breathiness": 0.25}
"""Of the sliders."""


def speak(service: Service, tab: gr.Tab) -> None:
    """A text, a voice that speaks it, sliders that change the voice, and a file to add a voice from."""
    with gr.Row():
        voice = gr.Dropdown([*service.voices()], value=None, label="Voice", elem_id="voice")
        blend = gr.Textbox(label="Or a blend, as af_bella(2)+am_adam(1)", max_length=MOST_BLENDED, elem_id="blend")
    upload = gr.UploadButton("Add a voice from a file", size="sm", type="filepath", elem_id="voice_file")
    text = gr.Textbox(
        label="Text", lines=4, max_length=MOST_SPOKEN, value=service.cfg.language.target_text, elem_id="text"
    )
    speed = gr.Slider(0.5, 2.0, value=1.0, step=0.05, label="Speed")
    with gr.Accordion("Change the voice", open=False, elem_id="change"):
        with gr.Row():
            sliders = [slider("pitch"), slider("pace")]
        with gr.Row():
            sliders += [slider("brightness"), slider("breathiness")]
        with gr.Row():
            keep = gr.Button("Keep the changed voice", size="sm", elem_id="keep_change")
            reset = gr.Button("As it was", size="sm", elem_id="reset_change")
    say = gr.Button("Speak", variant="primary", elem_id="say")
    measured = gr.Markdown("", elem_id="measured", visible=False)
    speech = player("What it says", "said")
    chosen = [voice, blend]

    def kept(path: str) -> Any:
        label = service.keep_voice(path)
        return gr.Dropdown(list(service.voices()), value=label)

    def spoken(given: str | None, blended: str, words: str, rate: float, *amounts: float) -> tuple[str, Any]:
        name, change = blended.strip() or given or "", Change(*amounts)
        path = str(service.speak(name, words, rate, change=change))
        return path, gr.Markdown(_told(service, name, change) if change else "", visible=bool(change))

    def kept_change(given: str | None, blended: str, *amounts: float) -> tuple[Any, ...]:
        label = service.keep_change(blended.strip() or given or "", Change(*amounts))
        return gr.Dropdown(list(service.voices()), value=label), "", *(0 for _ in sliders)

    fill_on_select(tab, voice, service.voices)
    upload.upload(shows_refusals(kept), upload, voice, **LOUD)
    say.click(shows_refusals(spoken), [*chosen, text, speed, *sliders], [speech, measured], **LOUD)
    keep.click(shows_refusals(kept_change), [*chosen, *sliders], [*chosen, *sliders], **LOUD)
    reset.click(lambda: [0 for _ in sliders], None, sliders, **LOUD)


def slider(name: str) -> gr.Slider:
    """Of one of :data:`kvw.atlas.adjust.CHANGES`."""
    most, unit = CHANGES[name]
    label = f"{name.capitalize()}, {unit}"
    return gr.Slider(-most, most, value=0, step=STEPS[name], label=label, elem_id=f"change_{name}")


def _told(service: Service, voice: str, change: Change) -> str:
    """What was asked of a changed voice and what was measured, as a sentence."""
    _, changed = service.change(voice, change)
    parts = [
        f"{name} {changed.measured[name]:+.1f} {CHANGES[name].unit}" + (f" (asked {asked:+g})" if asked else "")
        for name, asked in vars(change).items()
    ]
    return f"Measured on {TEXTS} sentences: {', '.join(parts)}; like the voice before to {changed.similarity:.2f}."
