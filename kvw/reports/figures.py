"""The figures of a report, as PNG. matplotlib is slow to import, so it is imported when a figure is drawn."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kvw.audio.pitch import contour
from kvw.types import SAMPLE_RATE, Wave

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from kvw.runs.statistics import History, Map


WIDTH = 5.4
"""Width of a figure, in inches: a phone shows it at two thirds, where words of 10 points must still be readable."""

DPI = 200

TARGET, RESULT, STOCK, START = "#0072b2", "#d55e00", "#555555", "#009e73"
"""Colours that colour-blind people can tell apart (Okabe and Ito 2008)."""

COLOURS = (RESULT, TARGET, START, "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#8c6d31")
MARKERS = "osD^vP*X"

SHOWN_SECONDS = 12.0
"""Seconds of a recording whose spectrogram is drawn."""

N_FFT, HOP, MELS = 2048, 480, 96
"""Samples of a frame (85 ms), samples between frames (20 ms), bands of a spectrogram."""


def blank(rows: int, height: float, **options: Any) -> tuple[Figure, Any]:
    """A figure with rows of axes below each other, each with a grid."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    chart = Figure(figsize=(WIDTH, height), dpi=DPI, layout="constrained")
    FigureCanvasAgg(chart)
    return chart, chart.subplots(rows, 1, squeeze=False, **options)[:, 0]


def png(chart: Figure) -> bytes:
    """The figure as a PNG."""
    content = io.BytesIO()
    chart.savefig(content, format="png")
    return content.getvalue()


def style_axes(axes: Any, ylabel: str) -> None:
    """Labels the y axis, and draws a faint grid and no frame."""
    axes.set_ylabel(ylabel)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)


def legend(chart: Figure, axes: Any, columns: int) -> None:
    """A legend above all axes, never over a curve."""
    handles, labels = axes.get_legend_handles_labels()
    box = chart.legend(handles, labels, loc="outside upper left", ncols=columns, frameon=False, fontsize=9)
    for text in box.get_texts():
        text.set_parse_math(False)  # a label may be a file's name, which may have a $


def curve(history: History, stock: float | None) -> bytes:
    """Score over candidates and over synthesised seconds: of every candidate, and the best so far."""
    chart, both = blank(2, 5.6, sharey=True)
    for axes, places, unit in (
        (both[0], history.steps + 1, "candidates"),
        (both[1], history.seconds, "seconds of synthesised audio"),
    ):
        scored = np.isfinite(history.scores)
        axes.plot(
            places[scored], history.scores[scored], ".", color="0.7", markersize=4, label="a candidate", rasterized=True
        )
        axes.step(places, history.best, where="post", color=RESULT, linewidth=1.6, label="best so far")
        better = history.better
        axes.plot(places[better], history.scores[better], "o", color=RESULT, markersize=4.5, label="improvement")
        if stock is not None:
            axes.axhline(stock, color=STOCK, linestyle="--", linewidth=1.2, label="best stock voice")
        axes.set_xlabel(unit)
        axes.set_xlim(left=0)
        style_axes(axes, "score")
    legend(chart, both[0], 2)
    return png(chart)


def growth(points: Sequence[tuple[int, float]], last: int, stock: float | None) -> bytes:
    """The best score of a search that is still at work.

    Args:
        points: of each improvement, at least one: the number of candidates by then, and its score.
        last: number of candidates so far.
        stock: the best stock voice's score.
    """
    chart, (axes,) = blank(1, 2.6)
    places, scores = zip(*points, (last, points[-1][1]), strict=True)
    axes.step(places, scores, where="post", color=RESULT, linewidth=1.6, label="best so far")
    if stock is not None:
        axes.axhline(stock, color=STOCK, linestyle="--", linewidth=1.2, label="best stock voice")
    axes.set_xlabel("candidates")
    axes.set_xlim(0, max(last, 2))
    style_axes(axes, "score")
    legend(chart, axes, 2)
    return png(chart)


def parts(history: History, stock: Mapping[str, float]) -> bytes:
    """The parts of the score at each improvement, drawn on to the last candidate; dashed: the best stock voice's."""
    chart, (axes,) = blank(1, 3.3)
    places = np.append(history.steps[history.better] + 1, history.steps[-1] + 1)
    for number, (name, values) in enumerate(history.parts.items()):
        colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
        drawn = np.append(values, values[-1])
        axes.step(places, drawn, where="post", color=colour, linewidth=1.3)
        axes.plot(places[:-1], values, marker, color=colour, markersize=4.5, label=name)
        if name in stock:
            axes.axhline(stock[name], color=colour, linestyle="--", linewidth=0.9, alpha=0.8)
    axes.set_ylim(0, 1.02)
    axes.set_xlim(left=0)
    axes.set_xlabel("candidates (dashed: the best stock voice)")
    style_axes(axes, "similarity of the best so far")
    legend(chart, axes, 3)
    return png(chart)


def curves(histories: Mapping[str, History]) -> bytes:
    """The best score so far of several runs, over candidates and over synthesised seconds."""
    chart, both = blank(2, 5.2 + 0.2 * len(histories), sharey=True)
    for axes, unit in ((both[0], "candidates"), (both[1], "seconds of synthesised audio")):
        for number, (name, history) in enumerate(histories.items()):
            places = history.steps + 1 if unit == "candidates" else history.seconds
            style = ("-", "--", ":", "-.")[number // len(COLOURS) % 4]
            axes.step(
                places,
                history.best,
                style,
                where="post",
                color=COLOURS[number % len(COLOURS)],
                linewidth=1.5,
                label=name,
            )
        axes.set_xlabel(unit)
        axes.set_xlim(left=0)
        style_axes(axes, "best score so far")
    legend(chart, both[0], 1)
    return png(chart)


def speech(target: Wave, result: Wave, name: str) -> bytes:
    """Mel spectrograms of two recordings, and the fundamental frequency of both.

    Args:
        target: float32 ``(samples,)``, 24 kHz; the first :data:`SHOWN_SECONDS` are drawn.
        result: the same.
        name: of the result, above its spectrogram.
    """
    import librosa

    chart, axes = blank(3, 6.4, sharex=True)
    clips = [
        (wave[: round(SHOWN_SECONDS * SAMPLE_RATE)], label) for wave, label in ((target, "target"), (result, name))
    ]
    longest = max(len(wave) for wave, _ in clips) / SAMPLE_RATE
    for spectrogram, (wave, label), colour in zip(axes, clips, (TARGET, RESULT), strict=False):
        mel = librosa.feature.melspectrogram(y=wave, sr=SAMPLE_RATE, n_fft=N_FFT, hop_length=HOP, n_mels=MELS)
        levels = librosa.power_to_db(mel, ref=np.max, top_db=70)
        seconds = levels.shape[1] * HOP / SAMPLE_RATE
        spectrogram.imshow(levels, origin="lower", aspect="auto", cmap="magma", extent=(0, seconds, 0, MELS))
        hertz = np.array([250, 1000, 4000])
        bands = librosa.mel_frequencies(n_mels=MELS + 2, fmin=0, fmax=SAMPLE_RATE / 2)[1:-1]
        spectrogram.set_yticks(np.interp(hertz, bands, np.arange(MELS) + 0.5), ["250", "1k", "4k"])
        spectrogram.set_ylabel("Hz")
        spectrogram.set_title(label, fontsize=10, loc="left", color=colour, parse_math=False)
        pitch = contour(wave)
        times = np.arange(len(pitch)) * HOP / SAMPLE_RATE
        axes[2].plot(times, pitch, color=colour, linewidth=1.5)
    axes[2].set_xlabel("seconds")
    axes[2].set_xlim(0, max(longest, 0.1))
    style_axes(axes[2], "pitch (F0), Hz")
    return png(chart)


def voice_chart(voices: Map) -> bytes:
    """The map of voices: the stock voices, the improvements in their order, and the result."""
    chart, (axes,) = blank(1, 5.2)
    for letter, marker, label in (
        ("f", "o", "stock voice, female"),
        ("m", "s", "stock voice, male"),
        ("", "D", "stock voice"),
    ):
        places = [place for place, name in zip(voices.stock, voices.names, strict=True) if gender(name) == letter]
        if places:
            axes.plot(*np.array(places).T, marker, color="0.72", markersize=6, label=label, zorder=1)
    if len(voices.way) > 1:
        axes.plot(
            *voices.way.T, ".-", color=RESULT, linewidth=0.9, markersize=5, alpha=0.6, label="improvements", zorder=2
        )
    if voices.start is not None:
        axes.plot(*voices.start, "^", color=START, markersize=10, label="start", zorder=3)
    if len(voices.way):
        axes.plot(*voices.way[-1], "*", color=RESULT, markeredgecolor="white", markersize=18, label="result", zorder=4)
    for name in voices.nearest:
        place = voices.stock[voices.names.index(name)]
        axes.annotate(
            name, place, xytext=(0, 7), textcoords="offset points", fontsize=9, ha="center", parse_math=False, zorder=5
        )
    axes.set_xlabel(f"first principal component ({voices.explained[0]:.0%} of the variance)")
    axes.margins(0.1)
    style_axes(axes, f"second ({voices.explained[1]:.0%})")
    legend(chart, axes, 2)
    return png(chart)


def gender(name: str) -> str:
    """The gender in a stock voice's name, ``f`` or ``m``; empty where the name has none."""
    return name[1] if len(name) > 3 and name[2] == "_" and name[1] in "fm" else ""


def near_and_clear(voices: Mapping[str, Sequence[Sequence[float]]], near: str, clear: Sequence[str]) -> bytes:
    """How clear voices are against how near they are, one axes for each way of being clear.

    Args:
        voices: by the label of their group; of each voice how near it is, then a figure for each of ``clear``; NaN
            where one is not known. The last two groups are stock voices and recordings.
        near: label of the x axis.
        clear: labels of the y axes, at least one.
    """
    chart, rows = blank(len(clear), 0.8 + 2.5 * len(clear), sharex=True)
    *_, stock, own = voices
    for number, (axes, label) in enumerate(zip(rows, clear, strict=True), start=1):
        for place, (name, figures) in enumerate(voices.items()):
            colour = {stock: STOCK, own: "black"}.get(name, COLOURS[place % len(COLOURS)])
            marker = {stock: "x", own: "*"}.get(name, MARKERS[place % len(MARKERS)])
            points = np.array(figures, dtype=float).reshape(len(figures), 1 + len(clear))
            axes.plot(points[:, 0], points[:, number], marker, color=colour, markersize=6, alpha=0.8, label=name)
        style_axes(axes, label)
    rows[-1].set_xlabel(near)
    legend(chart, rows[0], 2)
    return png(chart)
