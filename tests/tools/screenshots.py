"""``make screenshots``: the pictures of the manual, of the page and of a report, from a search for the demo."""

from __future__ import annotations

import tempfile
from pathlib import Path

from kvw.config.paths import DEMO
from kvw.runs import folders
from tests.conftest import ROOT
from tests.support.browser import Server, begin, browser, opened, until, words

FOLDER = ROOT / "docs"
STEPS = 200


def main() -> None:
    """Makes them; it takes some minutes."""
    FOLDER.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        browser() as chromium,
        Server(Path(folder), ["synth=embedded", "judges=none"]) as server,
    ):
        tab = opened(chromium, server, [])
        begin(tab, "Harbour", STEPS, "quick", DEMO.with_suffix(".txt").read_text("utf-8"))
        until(lambda: "done" in words(tab, "queue"), 600)
        tab.screenshot(path=FOLDER / "searches.png", full_page=True)
        (run,) = folders.below(Path(folder))
        report = chromium.new_page(viewport={"width": 800, "height": 1100})
        report.goto((run / folders.REPORT).as_uri())
        report.screenshot(path=FOLDER / "report.png")


if __name__ == "__main__":
    main()
