"""The web page in a process of its own, and a headless Chromium in front of it."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class Server:
    """The page, served by ``python -m kvw task=web``.

    Args:
        folder: that it works in.
        arguments: beside the task.
    """

    def __init__(self, folder: Path, arguments: Sequence[str]) -> None:
        self.folder, self.log = folder, folder / f"web{len(list(folder.glob('web*.log')))}.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "kvw", "task=web", "task.port=0", *arguments],
                cwd=folder,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # a shell may ignore it
            )
        said = "The page is at "
        until(lambda: said in self.said or self.process.poll() is not None, 120)
        assert said in self.said, self.said
        self.address = self.said.rpartition(said)[2].split(";")[0]

    @property
    def said(self) -> str:
        """All that it said."""
        return self.log.read_text("utf-8", "replace")

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(60)

    def stop(self, number: int = signal.SIGINT) -> int:
        """Ends it, and returns its exit status."""
        self.process.send_signal(number)
        return self.process.wait(60)


@contextmanager
def browser() -> Iterator[Any]:
    """A headless Chromium; the test is skipped where there is none."""
    if not CHROMIUM:
        pytest.skip("there is no Chromium here")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


def opened(chromium: Any, server: Server, faults: list[object]) -> Any:
    """A tab with the page; what goes wrong in it, and requests to anybody else, go to ``faults``."""
    tab = chromium.new_page(viewport={"width": 1000, "height": 1000})
    tab.on("pageerror", lambda error: faults.append(error))
    tab.on("console", lambda told: faults.append(told.text) if told.type == "error" else None)
    tab.on("response", lambda got: faults.append((got.status, got.url)) if got.status >= 400 else None)
    own = (server.address, "data:", "blob:")
    tab.on("request", lambda asked: None if asked.url.startswith(own) else faults.append(asked.url))
    tab.goto(server.address)
    tab.wait_for_selector("#begin", timeout=60_000)
    return tab


def choose(tab: Any, name: str, value: str) -> None:
    """Chooses from a dropdown."""
    tab.click(f"#{name} input")
    tab.get_by_role("option", name=value, exact=True).click()


def fill(tab: Any, name: str, value: str) -> None:
    """Types into a field."""
    tab.locator(f"#{name} textarea, #{name} input").first.fill(value)


def words(tab: Any, name: str) -> str:
    """What a part of the page says."""
    return " ".join(tab.inner_text(f"#{name}").split())


def go(tab: Any, name: str) -> None:
    """Opens a part of the page."""
    tab.get_by_role("tab", name=name).click()


def begin(tab: Any, title: str, steps: int, preset: str, text: str, clip: Path | None = None) -> None:
    """Begins a search, for the demo where there is no clip, and waits until it is in the queue."""
    go(tab, "New voice")
    tab.set_input_files("#clip input[type=file]", clip) if clip else tab.click("#demo")
    until(lambda: "Held out to judge by" in words(tab, "checked"))
    for name, value in (("words", text), ("title", title), ("steps", str(steps))):
        fill(tab, name, value)
    choose(tab, "preset", preset)
    tab.click("#begin")
    until(lambda: tab.get_by_text(re.compile(rf"\d+\. {title}: ")).is_visible())


def until(condition: Callable[[], Any], seconds: float = 60.0) -> Any:
    """Waits until something is so, and returns it."""
    ends = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < ends, "it took too long"
        time.sleep(0.1)
    return found
