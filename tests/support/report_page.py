"""A report as a browser reads it, and what reports of small runs share."""

from __future__ import annotations

import base64
import io
from html.parser import HTMLParser

import av
import numpy as np

from kvw.cli.main import invoke
from kvw.types import SAMPLE_RATE

HELDOUT = ["Gone.", "The boats lay still in the harbour all night.", "Nobody was there.", "It rains again today."]
MOST_BYTES = 8_000_000


class Page(HTMLParser):
    """What is on a page."""

    def __init__(self, path):
        super().__init__()
        self.source = path.read_text("utf-8")
        self.tags, self.words, self.tables, self.within = [], [], [], False
        self.players, self.pictures, self.metas = {}, [], []
        self.feed(self.source)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, given):
        given = dict(given)
        self.tags.append(tag)
        assert not [name for name in given if name.startswith("on")], given
        for name in ("src", "href", "srcset", "poster", "data", "action", "background"):
            assert given.get(name, "data:").startswith("data:"), given
        if tag == "audio":
            assert given["src"].startswith("data:audio/mpeg;base64,")
            self.players.setdefault(given["aria-label"], []).append(base64.b64decode(given["src"].partition(",")[2]))
        elif tag == "img":
            assert given["src"].startswith("data:image/png;base64,") and given["alt"]
            self.pictures.append(base64.b64decode(given["src"].partition(",")[2]))
        elif tag == "meta":
            self.metas.append(given)
        elif tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")
            self.within = True

    def handle_endtag(self, tag):
        self.within = self.within and tag not in ("td", "th")

    def handle_data(self, data):
        self.words.append(data)
        if self.within:
            self.tables[-1][-1][-1] += data

    def table(self, *heads):
        """The rows below a head that begins with these words, by their first cells."""
        (found,) = (rows for rows in self.tables if tuple(rows[0][: len(heads)]) == heads)
        return {row[0]: row[1:] for row in found[1:]}


def decoded(content):
    """Samples of an MP3, by FFmpeg."""
    with av.open(io.BytesIO(content)) as container:
        assert container.streams.audio[0].rate == SAMPLE_RATE
        return np.concatenate([frame.to_ndarray().mean(axis=0) for frame in container.decode(audio=0)])


def report_of(run, *arguments):
    """The report of a run, made anew by ``task=report``."""
    assert invoke(["task=report", f"run={run}", *arguments]) == 0
    return Page(run / "report.html")
