"""The tab "Searches": the queue, and how one of its searches stands."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from kvw.audio.write import data_uri
from kvw.errors import KvwError
from kvw.runs.folders import SUMMARY
from kvw.runs.reader import Run
from kvw.runs.result import HELDOUT_LABELS, HeldOutFigures
from kvw.runs.samples import Stock
from kvw.web.components import QUIET, as_html, player, shows_refusals
from kvw.web.curve import Curve
from kvw.web.ear import ear
from kvw.web.job import DONE, FAILED, FINISH, PAUSE, PAUSED, RUNNING, WAITING, Job
from kvw.web.service import Service

EVERY = 2.0
"""Seconds between two updates of the tab."""

PLAYER = 240
"""Pixels below which a player is too narrow for its own buttons: it moves to the next line."""

BUTTON = 90
"""Pixels below which a button moves to the next line."""

PARTS = {"target": ("Similarity", "{:.3f}"), "words": ("Words heard", "{:.0%}")}
"""The stages of the fitness that the table shows, with their names there and how their figures look."""

STATES = {
    WAITING: "waiting",
    RUNNING: "searching",
    PAUSED: "paused",
    DONE: "done",
    FAILED: "failed",
}
"""The states of a search in the page's words."""


def searches(service: Service) -> gr.State:
    """The queue, and one search of it.

    Returns:
        The number of the search that is shown.
    """
    chosen = gr.Radio([], label="The newest first; one is at work at a time", elem_id="queue")
    hold = gr.Checkbox(label="Hold the queue: the search at work goes on, and no other begins", elem_id="hold")
    status = gr.HTML(elem_id="status")
    selected, shown = gr.State(None), gr.State({})
    ear(service, selected)
    with gr.Row():
        pause = gr.Button("Pause", elem_id="pause", min_width=BUTTON)
        resume = gr.Button("Resume", elem_id="resume", min_width=BUTTON)
        finish = gr.Button("Finish", elem_id="finish", min_width=BUTTON)
        up = gr.Button("Move up", elem_id="up", min_width=BUTTON)
        remove = gr.Button("Remove", elem_id="remove", min_width=BUTTON)
    with gr.Row(visible=False) as question:
        asked = gr.HTML(elem_id="asked")
        yes = gr.Button("Remove it", elem_id="yes")
        no = gr.Button("Keep it", elem_id="no")
    with gr.Row(equal_height=True):
        more = gr.Number(label="More candidates", value=200, minimum=1, precision=0, elem_id="more")
        extend = gr.Button("Search on", elem_id="extend")
    with gr.Row():
        recording = gr.Audio(
            label="The recording, as the search hears it",
            interactive=False,
            buttons=[],
            elem_id="recording",
            min_width=PLAYER,
        )
        ranked = player("Best stock voice, the same words", "ranked", min_width=PLAYER)
        best = player("Best voice so far, the same words", "best", min_width=PLAYER)
    figures = gr.HTML(elem_id="figures")
    curve = gr.HTML(elem_id="curve")
    buttons = (pause, resume, finish, extend, remove, up)
    outputs = [selected, shown, chosen, hold, status, recording, ranked, best, figures, curve, *buttons]
    queue = service.queue
    speeches: dict[gr.Audio, Callable[[Run], Path | None]] = {
        recording: service.recording,
        ranked: service.stock,
        best: service.best,
    }

    def look(number: int | None, before: dict[int, Any]) -> dict[Any, Any]:
        """The updates of components, by component, that differ from the values ``before``.

        Args:
            number: of the search to show; None for the one at work, or the newest.
            before: the values that the page shows, by the component's id.
        """
        jobs = queue.jobs
        job = next((job for job in jobs if job.number == number), None)
        job = job or queue.running or next(reversed(jobs), None)
        line = queue.waiting
        choices = [
            (f"{entry.number}. {entry.title}: {standing(entry, line)}", entry.number) for entry in reversed(jobs)
        ]
        try:
            folder = job.run if job else None  # read once: a look for it searches the disk
            run = Run(folder) if folder else None
            progress = service.curve(run) if run else Curve()
            seed = run.best_stock if run else None
            stock = seed.evaluation.score if seed else None
            text = described(job, folder, progress, stock)
            audio = {part: speech(run) if run else None for part, speech in speeches.items()}
            image, table = curve_html(progress, stock), table_html(seed, progress, run.heldout if run else {})
        except (KvwError, OSError, ValueError) as error:  # a record that is damaged, or of another version
            progress, text, audio = Curve(), f'<p class="words bad">{as_html(str(error))}</p>', dict.fromkeys(speeches)
            image = table = ""
        now = {
            selected: job and job.number,
            chosen: (choices, job and job.number),
            hold: queue.held,
            status: text,
            **{part: path and str(path) for part, path in audio.items()},
            figures: table,
            curve: image,
            **dict(zip(buttons, (*allowed(job, progress), job in line[1:]), strict=True)),
        }
        changed = {part: value for part, value in now.items() if part._id not in before or before[part._id] != value}
        if chosen in changed:
            changed[chosen] = gr.Radio(choices, value=job and job.number)
        changed |= {button: gr.Button(interactive=changed[button]) for button in buttons if button in changed}
        return {**changed, shown: {part._id: value for part, value in now.items()}}

    def acting(action: Callable[..., None]) -> Callable[..., dict[Any, Any]]:
        def act(number: int | None, *values: Any) -> dict[Any, Any]:
            if number:
                action(number, *values[:-1])
            return look(number, values[-1])

        return shows_refusals(act)

    gr.Timer(EVERY).tick(look, [selected, shown], outputs, **QUIET)
    chosen.input(look, [chosen, shown], outputs, **QUIET)
    for button, action in (
        (pause, lambda number: queue.ask(number, PAUSE)),
        (resume, queue.resume),
        (finish, lambda number: queue.ask(number, FINISH)),
        (up, queue.move_up),
    ):
        button.click(acting(action), [selected, shown], outputs, **QUIET)
    hold.input(queue.hold, hold, None, **QUIET)

    def ask(number: int | None) -> tuple[int | None, Any, str]:
        job = next((job for job in queue.jobs if job.number == number), None)
        return job.number if job else None, gr.Row(visible=bool(job)), removal(job) if job else ""

    doomed = gr.State(None)
    remove.click(ask, selected, [doomed, question, asked], **QUIET)
    hidden = {"fn": lambda: gr.Row(visible=False), "outputs": question, **QUIET}
    yes.click(acting(queue.remove), [doomed, shown], outputs, **QUIET).then(**hidden)
    no.click(**hidden)
    extended = acting(lambda number, candidates: queue.extend(number, int(candidates or 0)))
    extend.click(extended, [selected, more, shown], outputs, **QUIET)
    return selected


def allowed(job: Job | None, curve: Curve) -> tuple[bool, ...]:
    """Whether a job can be paused, resumed, finished, extended, removed."""
    if not job:
        return (False,) * 5
    ends, idle = bool(job.asked), job.state in (PAUSED, FAILED)
    searched = curve.last >= 0
    return (
        job.state in (RUNNING, WAITING) and not ends,
        idle,
        searched and (idle or (job.state == RUNNING and not ends)),
        searched and (idle or job.state == DONE),
        job.state != RUNNING,
    )


def standing(job: Job, line: Sequence[Job]) -> str:
    """The state of a job in the page's words, with its place in the line of those that wait."""
    place = f", {line.index(job) + 1} of {len(line)}" if job in line and len(line) > 1 else ""
    return f"{STATES[job.state]}{place}"


def removal(job: Job) -> str:
    """What the removal of a job does, as a question in HTML."""
    if run := job.run:
        what = f"its files stay in {run}, and its voice among the others"
    else:
        what = "the copy of its recording is deleted; nothing has been searched yet"
    return f'<div class="words">Remove <strong>{as_html(job.title)}</strong> from this list? {as_html(what)}.</div>'


def described(job: Job | None, run: Path | None, curve: Curve, stock: float | None) -> str:
    """The state of a search, as HTML.

    Args:
        job: the search; None where the queue is empty.
        run: the folder of its run; None before there is one.
        curve: of the run.
        stock: the best stock voice's score; None before there is one.
    """
    if not job:
        return "<p>No search yet. “New voice” begins one.</p>"
    state = f"{STATES[job.state]}{', and asked to end' if job.asked else ''}"
    lines = [f"<strong>{as_html(job.title)}</strong>: {state}"]
    if curve.last >= 0:
        best = f"best score {curve.points[-1][1]:.2f}" if curve.points else "none scored yet"
        rank = f", the best stock voice {stock:.2f}" if stock is not None else ""
        share = f"{curve.stopped / (curve.last + 1):.0%} stopped early"
        lines.append(f"{curve.last + 1} candidates, {share}, {curve.seconds:.0f} s of audio; {best}{rank}")
    if job.state == FAILED:
        hint = "“Resume” goes on where it ended." if run else "“Resume” begins it again."
        lines.append(f'<span class="bad">{as_html(job.reason)}</span>')
        lines.append(hint)
    elif job.state == RUNNING:
        told = [line for line in job.output if not line.startswith((">", "Question "))]  # what is asked is shown apart
        lines += [f"<small>{as_html(line.strip())}</small>" for line in told[-1:]]
    elif job.state == DONE and run and (run / SUMMARY).is_file():
        summary = (run / SUMMARY).read_text("utf-8", "replace").splitlines()
        named = [line for line in summary if ": " in line]  # the others are a table, of which the page has its own
        kept = [line for line in named if not line.startswith("Result: ")]  # the tab “Results” has these files
        lines += [as_html(line) for line in kept]
    return f'<div class="words">{"<br>".join(lines)}</div>'


def table_html(stock: Stock | None, curve: Curve, heldout: Mapping[str, HeldOutFigures]) -> str:
    """The figures of the best stock voice and of the best voice so far, as an HTML table; empty before the ranking.

    Args:
        stock: the best stock voice; None before there is one.
        curve: of the run.
        heldout: the figures on held-out texts, by role; empty before the run is judged.
    """
    if not stock:
        return ""
    voices = [(f"Best stock voice, {stock.name}", stock.evaluation, heldout.get("stock"))]
    if curve.best:
        voices.append(("Best voice" if heldout else "Best voice so far", curve.best, heldout.get("best")))
    lines = [["", *(name for name, _, _ in voices)]]
    for part, (label, form) in PARTS.items():
        figures = [evaluation.parts.get(part) for _, evaluation, _ in voices]
        if any(figure is not None for figure in figures):
            lines.append([label, *("-" if figure is None else form.format(figure) for figure in figures)])
    judged = [figures.cells() for _, _, figures in voices if figures]
    lines += [[label, *cells] for label, *cells in zip(HELDOUT_LABELS, *judged, strict=False) if {*cells} - {"-"}]
    rows = (
        f'<tr><th scope="row">{as_html(label)}</th>{"".join(f"<td>{as_html(cell)}</td>" for cell in cells)}</tr>'
        for label, *cells in lines
    )
    return f'<table class="figures">{"".join(rows)}</table>'


def curve_html(curve: Curve, stock: float | None) -> str:
    """The curve of a search with the best stock voice's score, as HTML; empty before a candidate is scored."""
    if not curve.points:
        return ""
    image = curve.draw(stock)
    alt = f"best score {curve.points[-1][1]:.2f} after {curve.drawn_last + 1} candidates"
    return f'<img src="{data_uri(image, "image/png")}" alt="{alt}">'
