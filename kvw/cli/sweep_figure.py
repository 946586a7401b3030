"""The figure of a sweep: score and held-out similarity of each setting."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np

from kvw.cli.sweep_table import Setting

MAX_DRAWN = 40
"""Settings in one figure."""


def figure(settings: Sequence[Setting], keys: Sequence[str]) -> bytes:
    """Score and held-out similarity of each setting as a PNG: every job, their mean, and its standard deviation.

    Above :data:`MAX_DRAWN` settings it shows those with the best mean scores, and says so.

    Args:
        settings: as from :func:`kvw.cli.sweep_table.grouped`, one with a result at least.
        keys: of their values.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # slow to import
    from matplotlib.figure import Figure

    drawn = [setting for setting in settings if setting.figure("score")]
    title = f"{sum(len(setting.figure('score')) for setting in drawn)} jobs"
    if len(drawn) > MAX_DRAWN:
        title += f", the best {MAX_DRAWN} of {len(drawn)} settings"
        best = sorted(drawn, key=lambda setting: -np.mean(setting.figure("score")))[:MAX_DRAWN]
        drawn = [setting for setting in drawn if setting in best]
    labels = [setting.label(keys) for setting in drawn]
    height = sum(label.count("\n") + 1.6 for label in labels)  # in lines of text
    width = max(len(line) for label in labels for line in label.splitlines())
    chart = Figure(figsize=(8 + 0.075 * width, 1.6 + 0.2 * max(height, 4)), dpi=120, layout="constrained")
    FigureCanvasAgg(chart)
    places = np.arange(len(drawn))
    left, right = chart.subplots(1, 2, sharey=True)
    for axes, name, stock in ((left, "score", "stock_score"), (right, "heldout", "stock_heldout")):
        for place, setting in zip(places, drawn, strict=True):
            values = setting.figure(name)
            apart = np.linspace(-0.18, 0.18, len(values)) if len(values) > 1 else [0.0]
            axes.plot(values, place + np.asarray(apart), "o", color="C0", alpha=0.4, markersize=4, zorder=2)
            deviation = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
            mean = float(np.mean(values))
            axes.errorbar(mean, place, xerr=deviation, fmt="D", color="C0", capsize=3, markersize=5, zorder=3)
            axes.plot(np.mean(setting.figure(stock)), place, "|", color="0.4", markersize=14, zorder=1)
        axes.grid(axis="x", alpha=0.3)
        axes.margins(x=0.08)
        axes.set_ylim(len(drawn) - 0.5, -0.5)
    left.set_yticks(places, labels, fontsize=9, parse_math=False)  # a file name may have a $
    left.set_xlabel("score")
    right.set_xlabel("held-out similarity")
    handles = [
        left.plot([], [], "o", color="C0", alpha=0.4, markersize=4, label="a job")[0],
        left.errorbar([], [], xerr=[], fmt="D", color="C0", capsize=3, label="mean ± standard deviation"),
        left.plot([], [], "|", color="0.4", markersize=12, label="best stock voice")[0],
    ]
    chart.legend(handles=handles, title=title, loc="outside upper center", ncols=3, frameon=False, fontsize=9)
    content = io.BytesIO()
    chart.savefig(content, format="png")
    return content.getvalue()
