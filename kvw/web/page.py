"""The web page: a frame around its tabs, each of which is a module ``tab_*``. Read :func:`build` first."""

from __future__ import annotations

import gradio as gr

from kvw.web.components import QUIET
from kvw.web.service import Service
from kvw.web.tab_compare import compare
from kvw.web.tab_new_voice import new_voice
from kvw.web.tab_results import results
from kvw.web.tab_searches import searches
from kvw.web.tab_speak import speak

CSS = """
.gradio-container { max-width: 64rem !important; margin: auto; }
#curve img { max-width: 40rem; width: 100%; }
#queue .wrap { flex-direction: column; }
.words { white-space: pre-wrap; overflow-wrap: anywhere; }
.dark #curve img { filter: invert(1) hue-rotate(180deg); }
table.figures { border-collapse: collapse; width: auto; font-variant-numeric: tabular-nums; }
table.figures, table.figures tr { border: 0; }
table.figures :is(th, td) {
  border: 0; border-bottom: 1px solid var(--border-color-primary); padding: 0.3rem 1.5rem 0.3rem 0;
  color: var(--body-text-color); font-weight: normal; text-align: left;
}
#pick :is(.tab-like-container, .min_value, .max_value) { display: none; }
#pick input::-webkit-slider-thumb { background: var(--color-accent); }
#pick input::-moz-range-thumb { background: var(--color-accent); }
.bad { color: var(--error-text-color, #b91c1c); }
iframe.report { width: 100%; height: 75vh; border: 1px solid var(--border-color-primary); background: #fff; }
footer { display: none !important; }
"""

FONTS = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "Noto Sans", "sans-serif"]
"""Fonts of the machine: the page loads nothing from the network."""


def theme() -> gr.Theme:
    """How the page looks."""
    return gr.themes.Default(font=FONTS, font_mono=["ui-monospace", "monospace"])


def build(service: Service) -> gr.Blocks:
    """The page of a service."""
    with gr.Blocks(title="kvw", analytics_enabled=False, delete_cache=(3600, 24 * 3600)) as blocks:
        gr.HTML(
            "<h1>kvw</h1><p>A voice for Kokoro that sounds like a recording. Clone only voices of people who agreed to "
            "it, and say of synthetic speech that it is synthetic.</p>"
        )
        with gr.Tabs() as tabs:
            with gr.Tab("New voice", id="new"):
                added = new_voice(service)
            with gr.Tab("Searches", id="searches"):
                selected = searches(service)
            with gr.Tab("Results", id="results") as results_tab:
                steered = results(service, results_tab)
            with gr.Tab("Speak", id="speak") as speak_tab:
                speak(service, speak_tab)
            with gr.Tab("Compare", id="compare") as compare_tab:
                compare(service, compare_tab)
        for begun in (added, steered):
            begun.change(lambda number: (gr.Tabs(selected="searches"), number), begun, [tabs, selected], **QUIET)
    return blocks
