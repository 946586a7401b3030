"""``task=web``: a page to search, hear and compare voices with, on this machine alone."""

from __future__ import annotations

import logging
import os
import shutil
import socket
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser

from kvw.config.arguments import VERBATIM
from kvw.config.invocation import Invocation
from kvw.errors import KvwError
from kvw.runtime.files import write_whole
from kvw.runtime.locks import alone
from kvw.text import unescape_interpolation

log = logging.getLogger(__name__)

HOST = "127.0.0.1"
"""This machine alone: whoever reaches the page can use it."""

FOLDER = "web"
"""Of the queue, below the folder of all runs."""

SHELF, PREFIX = "shelf.txt", "kvw-web-"
"""Names the folder of what the page serves, and begins that one's name: a page that was killed leaves it."""

FORMS_OWN = frozenset(
    {
        *("experiment", "strategy", "space", "language", "target_audio", "target_text", "minutes", "step_limit"),
        *("task", "task.port", "resume", "run", "hydra.run.dir"),
    }
)
"""Keys that the page's form decides, or that are the page's; others of its command line are its searches' too."""

SANDBOX = (
    "sandbox; default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'; frame-ancestors 'self'"
)
"""Policy of a report, which may be a stranger's: nothing in it runs."""


def web(invocation: Invocation, *, port: int) -> float:
    """Serves the page until Ctrl-C; a search that is at work then goes on when the page is served again.

    Args:
        invocation: of the page; its command line is passed on to every search, but for the task.
        port: to listen at; 0 takes any that is free.

    Returns:
        0.0.

    Raises:
        KvwError: Gradio is not installed, the port is taken, or another page works in the same folder.
    """
    try:
        import gradio  # noqa: F401
    except ImportError as error:
        raise KvwError(f"task=web: expected Gradio; {error}; pip install 'kvw[web]'") from error
    if not 0 <= port < 65536:
        raise KvwError(f"task.port: expected a number from 0 to 65535; got {port}")
    outputs = invocation.outputs
    folder = outputs / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    with listening(port) as taken, alone(folder, "a queue"), shelf_of(folder) as shelf:
        # read when Gradio needs a folder; nothing of it goes into the working directory, or to anybody
        os.environ.update(
            GRADIO_TEMP_DIR=str(shelf),
            GRADIO_EXAMPLES_CACHE=str(shelf / "examples"),
            GRADIO_ANALYTICS_ENABLED="False",
            HF_HUB_DISABLE_TELEMETRY="1",
        )
        from kvw.web.queue import Queue
        from kvw.web.service import Service

        queue = Queue(folder, given(invocation.overrides))
        studio = Service(invocation.cfg, outputs, queue, shelf)
        queue.start()
        try:
            serve(studio, taken)
        finally:
            queue.close()
    return 0.0


@contextmanager
def shelf_of(folder: Path) -> Iterator[Path]:
    """A folder for all that the page serves and for its uploads; it goes with the page, or with the next one."""
    note = folder / SHELF
    with suppress(OSError, ValueError):
        left = Path(note.read_text("utf-8"))
        if left.parent == Path(tempfile.gettempdir()) and left.name.startswith(PREFIX):
            shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=PREFIX, ignore_cleanup_errors=True) as name:
        write_whole(note, name.encode())
        yield Path(name)


def given(overrides: Iterable[str]) -> list[str]:
    """What the command line says of searches beside :data:`FORMS_OWN`, as ``key=value``, free text as it was typed."""
    parser = OverridesParser.create()
    found = []
    for text in overrides:
        override = parser.parse_override(text)
        key = override.get_key_element()
        if key.lstrip("+~") in FORMS_OWN:
            continue
        value = override.value() if key in VERBATIM else None
        if isinstance(value, list):
            value = f"[{','.join(map(str, value))}]"
        found.append(text if value is None else f"{key}={unescape_interpolation(str(value))}")
    return found


def listening(port: int) -> socket.socket:
    """A socket that listens at a port of this machine.

    Raises:
        KvwError: it is taken.
    """
    try:
        return socket.create_server((HOST, port))
    except OSError as error:
        raise KvwError(
            f"task.port: expected a free port; {port}: {error.strerror}; give another one, or task.port=0 for any"
        ) from error


def serve(studio: Any, taken: socket.socket) -> None:
    """Serves the page at ``taken`` until Ctrl-C."""
    import gradio as gr
    import uvicorn
    from fastapi import FastAPI
    from fastapi.responses import HTMLResponse, PlainTextResponse, Response

    from kvw.web.guard import MOST_UPLOADED, Guard
    from kvw.web.page import CSS, build, theme

    app = FastAPI(openapi_url=None)

    def report(key: str) -> Response:
        try:
            return HTMLResponse(studio.written(key), headers={"content-security-policy": SANDBOX})
        except KvwError as error:
            return PlainTextResponse(str(error), 404)

    app.add_api_route("/reports/{key}", report)
    app = gr.mount_gradio_app(
        app,
        build(studio),
        "/",
        server_name=HOST,
        server_port=taken.getsockname()[1],
        footer_links=[],
        run_history=False,
        max_file_size=MOST_UPLOADED,
        ssr_mode=False,
        enable_monitoring=False,
        show_error=False,
        theme=theme(),
        css=CSS,
    )
    config = uvicorn.Config(
        Guard(app, studio.shelf), log_level="warning", timeout_graceful_shutdown=2, access_log=False
    )
    log.info("The page is at http://%s:%d; Ctrl-C ends it", *taken.getsockname())
    uvicorn.Server(config).run([taken])
