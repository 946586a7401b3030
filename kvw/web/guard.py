"""The guard before the web page: it checks the sender, the address and the size of every request.

Gradio serves more than the page needs; the guard answers 404 to everything that is not in :data:`ROUTES`.
"""

from __future__ import annotations

import logging
import os
import re
from pathlib import Path
from urllib.parse import unquote

from kvw.errors import error_line
from kvw.serve.requests import App, Message, Receive, Refusal, Scope, Send, check_length, check_local, headers_of

log = logging.getLogger(__name__)

MOST_UPLOADED = 100_000_000
"""Size of an upload, in bytes, at most: a clip of five minutes is 60 MB of WAV."""

MOST_SENT = 1_000_000
"""Size of any other request's body, in bytes, at most."""

FILES = "/gradio_api/file="
"""Prefix of the address of a served file, before the file's path."""

ROUTES = (
    ("GET", r"/"),
    ("GET", r"/config"),
    ("GET", r"/(theme\.css|favicon\.ico|manifest\.json)"),
    ("GET", r"/gradio_api/(theme\.css|info|startup-events|app_id)"),
    ("GET", r"/(assets|static|svelte)/[\w@$~./-]+"),
    ("GET", r"/gradio_api/(heartbeat/\w+|upload_progress|queue/data)"),
    ("GET", re.escape(FILES) + r".+"),
    ("GET", r"/reports/[0-9a-f]{16}"),
    ("POST", r"/gradio_api/(queue/join|upload|cancel|reset)/?"),
)
"""Methods and paths of the requests that the page makes. A GET changes nothing."""

HEADERS = (
    (
        b"content-security-policy",
        b"default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
        b"img-src 'self' data: blob:; media-src 'self' data: blob:; font-src 'self' data:; worker-src 'self' blob:; "
        b"connect-src 'self' data: blob:; object-src 'none'; base-uri 'self'; form-action 'none'; "
        b"frame-ancestors 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
"""Headers that are added to answers without them: the page loads only from itself, and no site can frame it."""


class Guard:
    """An ASGI application that passes on the requests that the page itself makes, and refuses all others.

    Args:
        app: the page.
        files: the folder of all files that the page serves.
    """

    def __init__(self, app: App, files: Path) -> None:
        self._app = app
        self._files = files.resolve()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return  # a websocket, which the page does not use

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                known = {name.lower() for name, _ in message["headers"]}
                own = [(name, value) for name, value in HEADERS if name not in known]
                message = {**message, "headers": [*message["headers"], *own]}
            await send(message)

        try:
            self._check(scope)
        except Refusal as refusal:
            text = str(refusal).encode()
            kind = [(b"content-type", b"text/plain"), (b"content-length", str(len(text)).encode())]
            closing = [(b"connection", b"close")]  # the request's body is not read
            await send_with_headers(
                {"type": "http.response.start", "status": refusal.status, "headers": [*kind, *closing]}
            )
            await send({"type": "http.response.body", "body": text})
            return
        try:
            await self._app(scope, receive, send_with_headers)
        except Exception as error:  # the answer is sent; a stranger can't fill the log
            log.warning("%s %s: %s", scope["method"], scope["path"], error_line(error))

    def _check(self, scope: Scope) -> None:
        """Checks a request's headers and path; the server reads no more of its body than the length that it states.

        Raises:
            Refusal: the page itself does not make such a request.
        """
        header = headers_of(scope)
        host, origin, method = header(b"host"), header(b"origin"), scope["method"]
        check_local(host)
        if scope["path"] != "/" and header(b"sec-fetch-site") not in (
            "",
            "same-origin",
            "none",
        ):  # another site may link to /
            raise Refusal(403, "expected the page itself to ask")
        if origin != f"http://{host}" and (origin or method not in ("GET", "HEAD")):
            raise Refusal(403, "expected the page's own origin")
        path = scope["path"]
        methods = [allowed for allowed, form in ROUTES if re.fullmatch(form, path, re.ASCII | re.DOTALL)]
        if not methods:
            raise Refusal(404, "there is no such page")
        if ("GET" if method == "HEAD" else method) not in methods:
            raise Refusal(405, "expected another method")
        decoded = unquote(unquote(path))
        if ".." in re.split(r"[/\\=]", decoded) or not decoded.isprintable():
            raise Refusal(404, "there is no such file")
        if path.startswith(FILES):
            self._check_file(path.removeprefix(FILES))
        most = MOST_UPLOADED if path.startswith("/gradio_api/upload") else MOST_SENT
        check_length(method, header, most)

    def _check_file(self, name: str) -> None:
        """Checks that a path is that of a file in the page's own folder.

        Raises:
            Refusal: the file is elsewhere, or there is none.
        """
        try:
            path = Path(
                os.path.normpath(name)
            )  # before any look at the disk: Windows would ask another machine for \\\\machine\\file
            is_served = (
                path.is_relative_to(self._files) and path.resolve().is_relative_to(self._files) and path.is_file()
            )
        except (OSError, ValueError):
            is_served = False
        if not is_served:
            raise Refusal(404, "there is no such file")
