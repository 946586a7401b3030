"""What the tabs of the page share: event settings, errors on the page, escaped text, dropdowns and players."""

from __future__ import annotations

import functools
import html
import logging
from collections.abc import Callable
from typing import Any, TypeVar

import gradio as gr

from kvw.cli.errors import from_os_error
from kvw.errors import KvwError

log = logging.getLogger(__name__)
Result = TypeVar("Result")

QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
"""Settings of an event that is handled at once."""

LOUD: dict[str, Any] = {"api_visibility": "private"}
"""Settings of an event that takes seconds: the page shows that it is at work."""


def shows_refusals(function: Callable[..., Result]) -> Callable[..., Result]:
    """Wraps an event handler: an error of kvw is shown on the page in its own words, a defect is logged."""

    @functools.wraps(function)
    def shown(*arguments: Any) -> Result:
        try:
            return function(*arguments)
        except (KvwError, OSError) as error:
            why = str(error if isinstance(error, KvwError) else from_os_error(error))
        except Exception:  # a defect of kvw
            log.exception("The page")
            why = "a defect of kvw; what went wrong is in the window that it was started in"
        raise gr.Error(as_html(why), duration=None, print_exception=False)

    return shown


def as_html(text: str) -> str:
    """Text escaped for HTML."""
    return html.escape(text)


def fill_on_select(tab: gr.Tab, dropdown: gr.Dropdown, choices: Callable[[], Any], place: int = 0) -> Any:
    """Fills a dropdown when its tab is opened: the chosen value stays, or the choice at ``place`` is selected."""

    def filled(before: str | None) -> Any:
        known = list(choices())
        return gr.Dropdown(known, value=before if before in known else next(iter(known[place:]), None))

    return tab.select(shows_refusals(filled), dropdown, dropdown, **QUIET)


def player(label: str, name: str, **looks: Any) -> gr.Audio:
    """A player with a button to download what it plays."""
    return gr.Audio(label=label, interactive=False, buttons=["download"], elem_id=name, **looks)


def label_for(labels: dict[str, str], value: str) -> str:
    """The label that stands for a value."""
    return next(label for label, own in labels.items() if own == value)
