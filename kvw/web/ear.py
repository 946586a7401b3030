"""The part of the tab "Searches" that a search by ear asks with: two voices to hear, and what to say of them."""

from __future__ import annotations

from typing import Any

import gradio as gr

from kvw.web.components import QUIET, player, shows_refusals
from kvw.web.service import Service

EVERY = 1.0
"""Seconds between two looks for a question."""

NARROW = 110
"""Pixels below which a button moves to the next line."""

ANSWERS = {"a": "A is nearer", "b": "B is nearer", "s": "The same", "n": "Neither", "u": "Undo"}
"""What each button says, by the letter that it stands for at the keyboard."""


def ear(service: Service, selected: gr.State) -> None:
    """The question of a search; hidden while it asks nothing.

    Args:
        service: of the page.
        selected: the number of the search that is shown.
    """
    with gr.Column(visible=False) as place:
        told = gr.HTML(elem_id="question")
        with gr.Row():
            voices = [player(f"Voice {name.upper()}", f"ear_{name}", min_width=240) for name in ("a", "b")]
        with gr.Row():
            buttons = {
                letter: gr.Button(label, elem_id=f"answer_{letter}", min_width=NARROW)
                for letter, label in ANSWERS.items()
            }
    asked = gr.State(None)  # the search and the question that are shown
    parts: list[Any] = [asked, place, told, *voices]

    def look(number: int | None, before: tuple[int, int] | None) -> Any:
        question = service.question(number)
        now = (number, question[0]) if question and number else None
        if now == before:
            return [gr.skip() for _ in parts]
        if not question:
            return [None, gr.Column(visible=False), "", None, None]
        text = f"<p>Question {question[0] + 1}: which voice is nearer to the one that you want?</p>"
        return [now, gr.Column(visible=True), text, *map(str, question[1:])]

    def answering(letter: str) -> Any:
        def answer(number: int | None, shown: tuple[int, int] | None) -> Any:
            if shown:
                service.answer(*shown, letter)
            return look(number, shown)

        return shows_refusals(answer)

    gr.Timer(EVERY).tick(look, [selected, asked], parts, **QUIET)
    for letter, button in buttons.items():
        button.click(answering(letter), [selected, asked], parts, **QUIET)
