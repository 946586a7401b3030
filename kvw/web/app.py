"""``task=web``: serves a page for searching, hearing and comparing voices, to this machine alone."""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING

from hydra.core.override_parser.overrides_parser import OverridesParser

from kvw.config.arguments import VERBATIM
from kvw.config.invocation import Invocation
from kvw.errors import KvwError
from kvw.runtime.locks import alone
from kvw.serve.requests import LOOPBACK, listening, run
from kvw.text import unescape_interpolation
from kvw.web.files import Files, folder_of_files

if TYPE_CHECKING:
    from kvw.web.service import Service

log = logging.getLogger(__name__)

FOLDER = "web"
"""Name of the queue's folder, below the folder of all runs."""

FORMS_OWN = frozenset(
    {
        *("experiment", "strategy", "space", "language", "target_audio", "target_text", "minutes", "step_limit"),
        *("task", "task.port", "resume", "run", "hydra.run.dir"),
    }
)
"""Keys that the page's form sets, or that concern the page; all others of its command line go to every search."""

SANDBOX = (
    "sandbox; default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'; frame-ancestors 'self'"
)
"""Content security policy of a report: no script runs, since the run may be a stranger's."""


def web(invocation: Invocation, *, port: int) -> float:
    """Serves the page until Ctrl-C; a search that is at work then resumes when the page is served again.

    Args:
        invocation: of the page; its settings go to every search, but for :data:`FORMS_OWN`.
        port: to listen on; 0 for any free one.

    Returns:
        0.0.

    Raises:
        KvwError: Gradio is not installed, the port is taken, or another page works in the same folder.
    """
    try:
        import gradio  # noqa: F401
    except ImportError as error:
        raise KvwError(f"task=web: expected Gradio; {error}; pip install 'kvw[web]'") from error
    outputs = invocation.outputs
    folder = outputs / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    with listening(port) as listener, alone(folder, "a queue"), folder_of_files(folder) as temporary:
        # Gradio reads these: its files stay out of the working directory, and it sends nothing to anybody
        os.environ.update(
            GRADIO_TEMP_DIR=str(temporary),
            GRADIO_EXAMPLES_CACHE=str(temporary / "examples"),
            GRADIO_ANALYTICS_ENABLED="False",
            HF_HUB_DISABLE_TELEMETRY="1",
        )
        from kvw.web.queue import Queue
        from kvw.web.service import Service

        queue = Queue(folder, search_arguments(invocation.overrides))
        service = Service(invocation.cfg, outputs, queue, Files(temporary))
        queue.start()
        try:
            serve(service, listener)
        finally:
            queue.close()
    return 0.0


def search_arguments(overrides: Iterable[str]) -> list[str]:
    """The overrides but for :data:`FORMS_OWN`, as ``key=value``; free text is left as it was typed."""
    parser = OverridesParser.create()
    arguments = []
    for text in overrides:
        override = parser.parse_override(text)
        key = override.get_key_element()
        if key.lstrip("+~") in FORMS_OWN:
            continue
        value = override.value() if key in VERBATIM else None
        if isinstance(value, list):
            value = f"[{','.join(map(str, value))}]"
        arguments.append(text if value is None else f"{key}={unescape_interpolation(str(value))}")
    return arguments


def serve(service: Service, listener: socket.socket) -> None:
    """Serves the page of a service on a socket until Ctrl-C."""
    import gradio as gr
    from fastapi import FastAPI
    from fastapi.responses import HTMLResponse, PlainTextResponse, Response

    from kvw.web.guard import MOST_UPLOADED, Guard
    from kvw.web.page import CSS, build, theme

    app = FastAPI(openapi_url=None)

    def report(key: str) -> Response:
        try:
            return HTMLResponse(service.report_page(key), headers={"content-security-policy": SANDBOX})
        except KvwError as error:
            return PlainTextResponse(str(error), 404)

    app.add_api_route("/reports/{key}", report)
    app = gr.mount_gradio_app(
        app,
        build(service),
        "/",
        server_name=LOOPBACK,
        server_port=listener.getsockname()[1],
        footer_links=[],
        run_history=False,
        max_file_size=MOST_UPLOADED,
        ssr_mode=False,
        enable_monitoring=False,
        show_error=False,
        theme=theme(),
        css=CSS,
    )
    # not before the page is built: two threads that import one package may both fail
    threading.Thread(target=service.models.warm_up, daemon=True).start()
    log.info("The page is at http://%s:%d; Ctrl-C ends it", *listener.getsockname())
    run(Guard(app, service.files.folder), listener)
