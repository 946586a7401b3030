"""The web page: what :class:`kvw.web.service.Service` can do, as Gradio's components. Read :func:`build` first."""

from __future__ import annotations

import functools
import html
import logging
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import gradio as gr

from kvw.audio.write import data_uri
from kvw.cli.errors import from_os_error
from kvw.errors import KvwError
from kvw.runs.folders import SUMMARY
from kvw.runs.reader import Run
from kvw.web.curve import Curve
from kvw.web.job import DONE, FAILED, FINISH, PAUSE, PAUSED, RUNNING, WAITING, Job
from kvw.web.service import FORMATS, MOST_BLENDED, MOST_SPOKEN, Service

log = logging.getLogger(__name__)
Made = TypeVar("Made")

EVERY = 2.0
"""Seconds between two looks at the queue."""

CSS = """
.gradio-container { max-width: 64rem !important; margin: auto; }
#curve img { max-width: 40rem; width: 100%; }
#queue .wrap { flex-direction: column; }
.words pre { white-space: pre-wrap; }
.words { white-space: pre-wrap; overflow-wrap: anywhere; }
.bad { color: var(--error-text-color, #b91c1c); }
iframe.report { width: 100%; height: 75vh; border: 1px solid var(--border-color-primary); background: #fff; }
footer { display: none !important; }
"""

FONTS = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "Noto Sans", "sans-serif"]
"""Of the machine: the page asks no network."""

STATES = {
    WAITING: "waiting",
    RUNNING: "searching",
    PAUSED: "paused",
    DONE: "done",
    FAILED: "failed",
}


def theme() -> gr.Theme:
    """How the page looks."""
    return gr.themes.Default(font=FONTS, font_mono=["ui-monospace", "monospace"])


def build(studio: Service) -> gr.Blocks:
    """The page."""
    with gr.Blocks(title="kvw", analytics_enabled=False, delete_cache=(3600, 24 * 3600)) as blocks:
        gr.HTML(
            "<h1>kvw</h1><p>A voice for Kokoro that sounds like a recording. Clone only voices of people who agreed to "
            "it, and say of synthetic speech that it is synthetic.</p>"
        )
        with gr.Tabs() as tabs:
            with gr.Tab("New voice", id="new"):
                added = new_voice(studio)
            with gr.Tab("Searches", id="searches"):
                selected = searches(studio)
            with gr.Tab("Results", id="results") as third:
                results(studio, third)
            with gr.Tab("Speak", id="speak") as fourth:
                speaking(studio, fourth)
            with gr.Tab("Compare", id="compare") as fifth:
                comparing(studio, fifth)
        added.change(lambda number: (gr.Tabs(selected="searches"), number), added, [tabs, selected], **QUIET)
    return blocks


QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}

LOUD: dict[str, Any] = {"api_visibility": "private"}


def refused(function: Callable[..., Made]) -> Callable[..., Made]:
    """Shows what kvw refuses on the page, in kvw's own words."""

    @functools.wraps(function)
    def shown(*arguments: Any) -> Made:
        try:
            return function(*arguments)
        except (KvwError, OSError) as error:
            why = str(error if isinstance(error, KvwError) else from_os_error(error))
        except Exception:  # a defect, which has to be seen
            log.exception("the page")
            why = "a defect of kvw; what went wrong is in the window that it was started in"
        raise gr.Error(words(why), duration=None, print_exception=False)

    return shown


def words(text: str) -> str:
    """Text for HTML, whoever's it is."""
    return html.escape(text)


def new_voice(studio: Service) -> gr.State:
    """A form for a search; gives the number of the search that it began last."""
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
        with gr.Column():
            spoken = gr.Textbox(
                label="The words that it says",
                info="They serve best; 100 to 200 sounds are enough. Empty is a text of the language's own.",
                lines=4,
                max_length=MOST_SPOKEN,
                elem_id="words",
            )
            transcribe = gr.Button("Transcribe", size="sm", elem_id="transcribe")
            language = gr.Dropdown(list(studio.languages), value=first(studio.languages, "a"), label="Language")
    preset = gr.Dropdown(list(studio.presets), value="quick", label="Search", elem_id="preset")
    meaning = gr.HTML(f"<small>{words(studio.presets['quick'][1])}</small>")
    with gr.Row():
        title = gr.Textbox(label="Name", max_length=60, elem_id="title")
        minutes = gr.Number(label="Minutes at most", info="0: no limit", value=0, minimum=0, elem_id="minutes")
        candidates = gr.Number(
            label="Candidates at most", info="0: as the search has it", value=0, minimum=0, precision=0, elem_id="steps"
        )
    with gr.Row():
        demo = gr.Button("Take the demo", elem_id="demo")
        begin = gr.Button("Search", variant="primary", elem_id="begin")
    number = gr.State(None)

    def check(path: str | None) -> str:
        if not path:
            return ""
        try:
            return f'<p class="words">{words(studio.check(path))}</p>'
        except KvwError as error:
            return f'<p class="words bad">{words(str(error))}</p>'

    def heard(path: str | None, before: str) -> tuple[str, str]:
        if not path:
            raise KvwError("expected a recording to transcribe; choose one")
        text, letter = studio.transcribe(path)
        return text, first(studio.languages, letter) if letter else before

    def added(*form: Any) -> int:
        return studio.enqueue(*form).number

    preset.change(lambda name: f"<small>{words(studio.presets[name][1])}</small>", preset, meaning, **QUIET)
    clip.change(check, clip, checked, **LOUD)
    transcribe.click(refused(heard), [clip, language], [spoken, language], **LOUD)
    demo.click(refused(studio.demo), None, [clip, spoken], **QUIET)
    form = [clip, title, spoken, language, preset, minutes, candidates]
    begin.click(refused(added), form, number, **LOUD)
    return number


def searches(studio: Service) -> gr.State:
    """The queue; gives the number of the search that is shown."""
    chosen = gr.Radio([], label="The newest first; one is at work at a time", elem_id="queue")
    status = gr.HTML(elem_id="status")
    with gr.Row():
        pause = gr.Button("Pause", elem_id="pause")
        resume = gr.Button("Resume", elem_id="resume")
        finish = gr.Button("Finish", elem_id="finish")
        remove = gr.Button("Remove", elem_id="remove")
    with gr.Row(equal_height=True):
        more = gr.Number(label="More candidates", value=200, minimum=1, precision=0, elem_id="more")
        extend = gr.Button("Search on", elem_id="extend")
    with gr.Row():
        recording = gr.Audio(
            label="The recording, as the search hears it", interactive=False, buttons=[], elem_id="recording"
        )
        best = player("The best voice so far, on the same words", "best")
    curve = gr.HTML(elem_id="curve")
    selected, shown = gr.State(None), gr.State({})
    buttons = (pause, resume, finish, extend, remove)
    outputs = [selected, shown, chosen, status, recording, best, curve, *buttons]
    queue = studio.queue

    def look(number: int | None, before: dict[int, Any]) -> dict[Any, Any]:
        """What has changed since the page was shown ``before``, by component."""
        known = queue.jobs
        job = next((one for one in known if one.number == number), None)
        job = job or queue.running or next(reversed(known), None)
        choices = [(f"{one.number}. {one.title}: {STATES[one.state]}", one.number) for one in reversed(known)]
        try:
            place = job.run if job else None  # it looks for it
            run = Run(place) if place else None
            grown = studio.curve(run) if run else Curve()
            stock = run.stock_score if run else None
            told = described(job, place, grown, stock)
            heard = [str(path) if path else None for path in (studio.recording(run), studio.best(run))] if run else None
            drawn = plotted(grown, stock)
        except (KvwError, OSError, ValueError) as error:  # a damaged record, or another version's
            grown, told, heard, drawn = Curve(), f'<p class="words bad">{words(str(error))}</p>', None, ""
        now = {
            selected: job and job.number,
            chosen: (choices, job and job.number),
            status: told,
            recording: heard and heard[0],
            best: heard and heard[1],
            curve: drawn,
            **dict(zip(buttons, allowed(job, grown), strict=True)),
        }
        changed = {part: value for part, value in now.items() if part._id not in before or before[part._id] != value}
        if chosen in changed:
            changed[chosen] = gr.Radio(choices, value=job and job.number)
        changed |= {button: gr.Button(interactive=changed[button]) for button in buttons if button in changed}
        return {**changed, shown: {part._id: value for part, value in now.items()}}

    def asked(action: Callable[..., None]) -> Callable[..., dict[Any, Any]]:
        def act(number: int | None, *given: Any) -> dict[Any, Any]:
            if number:
                action(number, *given[:-1])
            return look(number, given[-1])

        return refused(act)

    gr.Timer(EVERY).tick(look, [selected, shown], outputs, **QUIET)
    chosen.input(look, [chosen, shown], outputs, **QUIET)
    for button, action in (
        (pause, lambda number: queue.ask(number, PAUSE)),
        (resume, queue.resume),
        (finish, lambda number: queue.ask(number, FINISH)),
        (remove, queue.remove),
    ):
        button.click(asked(action), [selected, shown], outputs, **QUIET)
    searched_on = asked(lambda number, candidates: queue.extend(number, int(candidates or 0)))
    extend.click(searched_on, [selected, more, shown], outputs, **QUIET)
    return selected


def allowed(job: Job | None, grown: Curve) -> tuple[bool, ...]:
    """Whether a job can be paused, resumed, finished, extended, removed."""
    if not job:
        return (False,) * 5
    ends, idle = bool(job.asked), job.state in (PAUSED, FAILED)
    begun = grown.last >= 0
    return (
        job.state in (RUNNING, WAITING) and not ends,
        idle,
        begun and (idle or (job.state == RUNNING and not ends)),
        begun and (idle or job.state == DONE),
        job.state != RUNNING,
    )


def described(job: Job | None, run: Path | None, grown: Curve, stock: float | None) -> str:
    """How a search stands, as HTML; ``run`` is the folder of its run."""
    if not job:
        return "<p>No search yet. “New voice” begins one.</p>"
    state = f"{STATES[job.state]}{', and asked to end' if job.asked else ''}"
    lines = [f"<strong>{words(job.title)}</strong>: {state}"]
    if grown.last >= 0:
        best = f"best score {grown.points[-1][1]:.2f}" if grown.points else "none scored yet"
        rank = f", the best stock voice {stock:.2f}" if stock is not None else ""
        share = f"{grown.stopped / (grown.last + 1):.0%} stopped early"
        lines.append(f"{grown.last + 1} candidates, {share}, {grown.seconds:.0f} s of audio; {best}{rank}")
    if job.state == FAILED:
        goes = "“Resume” goes on where it ended." if run else "“Resume” begins it again."
        lines.append(f'<span class="bad">{words(job.reason)}</span>')
        lines.append(goes)
    elif job.state == RUNNING:
        lines += [f"<small>{words(line.strip())}</small>" for line in job.said[-1:]]
    elif job.state == DONE and run and (run / SUMMARY).is_file():
        summary = (run / SUMMARY).read_text("utf-8", "replace").splitlines()
        kept = [line for line in summary if not line.startswith("Result: ")]  # “Results” has it
        lines.append(f"<pre>{words(chr(10).join(kept))}</pre>")
    return f'<div class="words">{"<br>".join(lines)}</div>'


def plotted(grown: Curve, stock: float | None) -> str:
    """The curve of a search, beside the best stock voice, as HTML."""
    if not grown.points:
        return ""
    drawn = grown.draw(stock)
    told = f"best score {grown.points[-1][1]:.2f} after {grown.drawn_last + 1} candidates"
    return f'<img src="{data_uri(drawn, "image/png")}" alt="{told}">'


def results(studio: Service, tab: gr.Tab) -> None:
    """Runs, their reports, and their voices to download."""
    run = gr.Dropdown([*studio.runs()], value=None, label="Run", elem_id="run")
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
        can = studio.formats(label)
        address = f"/reports/{studio.report(label)}"
        link = f'<p><a href="{address}" target="_blank" rel="noopener">The report in a window of its own</a></p>'
        frame = f'<iframe class="report" src="{address}" title="report"></iframe>'
        return link + frame, gr.Dropdown(can, value=can[:1])

    def written(label: str | None, chosen: Sequence[str], called: str, kind: str) -> list[str]:
        return [str(path) for path in studio.export(label or "", chosen, called, kind)]

    listed(tab, run, studio.runs).then(refused(opened), run, [report, formats], **QUIET)
    run.input(refused(opened), run, [report, formats], **QUIET)
    export.click(refused(written), [run, formats, name, gender], files, **LOUD)


def speaking(studio: Service, tab: gr.Tab) -> None:
    """Any text in any voice."""
    with gr.Row():
        voice = gr.Dropdown([*studio.voices()], value=None, label="Voice", elem_id="voice")
        blend = gr.Textbox(label="Or a blend, as af_bella(2)+am_adam(1)", max_length=MOST_BLENDED, elem_id="blend")
    upload = gr.UploadButton("Add a voice from a file", size="sm", type="filepath", elem_id="voice_file")
    text = gr.Textbox(
        label="Text", lines=4, max_length=MOST_SPOKEN, value=studio.cfg.language.target_text, elem_id="text"
    )
    speed = gr.Slider(0.5, 2.0, value=1.0, step=0.05, label="Speed")
    say = gr.Button("Speak", variant="primary", elem_id="say")
    heard = player("What it says", "said")

    def taken(path: str) -> Any:
        label = studio.take(path)
        return gr.Dropdown(list(studio.voices()), value=label)

    def spoken(chosen: str | None, blended: str, said: str, rate: float) -> str:
        return str(studio.speak(blended.strip() or chosen or "", said, rate))

    listed(tab, voice, studio.voices)
    upload.upload(refused(taken), upload, voice, **LOUD)
    say.click(refused(spoken), [voice, blend, text, speed], heard, **LOUD)


def comparing(studio: Service, tab: gr.Tab) -> None:
    """Two voices on one text, and, if one wants, which is which only after one has chosen."""
    with gr.Row():
        first_voice = gr.Dropdown([*studio.voices()], value=None, label="Voice A", elem_id="voice_a")
        second_voice = gr.Dropdown([*studio.voices()], value=None, label="Voice B", elem_id="voice_b")
    text = gr.Textbox(label="Text", lines=3, max_length=MOST_SPOKEN, value=studio.cfg.language.target_text)
    blind = gr.Checkbox(label="Blind: shuffled, with names once you have chosen", value=True, elem_id="blind")
    play = gr.Button("Speak both", variant="primary", elem_id="both")
    with gr.Row():
        left = player("First", "left")
        right = player("Second", "right")
    with gr.Row():
        choices = [gr.Button(f"The {name} one is better", elem_id=name) for name in ("first", "second")]
    verdict = gr.HTML(elem_id="verdict")
    order = gr.State(())

    def both(one: str | None, other: str | None, said: str, shuffled: bool) -> list[Any]:
        voices = [one or "", other or ""]
        if shuffled:
            random.shuffle(voices)
        waves = [str(studio.speak(voice, said, name="voice")) for voice in voices]
        note = "" if shuffled else f"<p>First: {words(voices[0])}. Second: {words(voices[1])}.</p>"
        return [*waves, note, tuple(voices)]

    def told(place: int, voices: tuple[str, str]) -> str:
        if not voices:
            return "<p>Let both speak first.</p>"
        better, other = voices[place], voices[1 - place]
        return f"<p>You chose <strong>{words(better)}</strong>; the other one is {words(other)}.</p>"

    listed(tab, first_voice, studio.voices)
    listed(tab, second_voice, studio.voices, place=1)
    play.click(refused(both), [first_voice, second_voice, text, blind], [left, right, verdict, order], **LOUD)
    for place, button in enumerate(choices):
        button.click(functools.partial(told, place), order, verdict, **QUIET)


def listed(tab: gr.Tab, dropdown: gr.Dropdown, choices: Callable[[], Any], place: int = 0) -> Any:
    """Fills a dropdown anew when its tab is opened; what was chosen stays, or else it is the one at ``place``."""

    def filled(before: str | None) -> Any:
        found = list(choices())
        return gr.Dropdown(found, value=before if before in found else next(iter(found[place:]), None))

    return tab.select(refused(filled), dropdown, dropdown, **QUIET)


def player(label: str, name: str) -> gr.Audio:
    """Something to hear, and to download."""
    return gr.Audio(label=label, interactive=False, buttons=["download"], elem_id=name)


def first(labels: dict[str, str], value: str) -> str:
    """The label of a value."""
    return next(label for label, own in labels.items() if own == value)
