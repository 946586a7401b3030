"""What stands before the web page: of every request, who asks, for what, and how much of it.

Gradio serves more than the page needs; what is not in :data:`ROUTES` is not there.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
log = logging.getLogger(__name__)

MOST_UPLOADED = 100_000_000
"""Bytes of an upload: five minutes of a clip are 60 MB of WAV."""

MOST_SAID = 1_000_000
"""Bytes of any other request."""

LOCAL = frozenset({"127.0.0.1", "localhost", "[::1]"})
"""Names of this machine: any other is that of a site which has its name point here."""

FILES = "/gradio_api/file="
"""Before the path of a file that the page serves."""

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
"""What the page asks for: methods and paths. A GET changes nothing."""

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
"""Of every answer that has none of its own: the page talks to nobody but itself, and is in nobody's frame."""


class Refusal(Exception):
    """A request that is not answered.

    Args:
        status: of HTTP.
        why: a line.
    """

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class Guard:
    """Lets those requests through that the page itself makes.

    Args:
        app: the page.
        files: the folder of all files that it serves.
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
            return  # a websocket: the page has none

        async def headed(message: Message) -> None:
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
            closing = [(b"connection", b"close")]  # what is still to come is not read
            await headed({"type": "http.response.start", "status": refusal.status, "headers": [*kind, *closing]})
            await send({"type": "http.response.body", "body": text})
            return
        try:
            await self._app(scope, receive, headed)
        except Exception as error:  # it has been answered; one line is enough for what a stranger can ask for
            log.warning("%s %s: %s: %s", scope["method"], scope["path"], type(error).__name__, error)

    def _check(self, scope: Scope) -> None:
        """Looks at what a request says of itself; the server takes no more of its body than that.

        Raises:
            Refusal: it is none of the page's own.
        """
        headers: dict[bytes, list[bytes]] = {}
        for name, value in scope["headers"]:
            headers.setdefault(name.lower(), []).append(value)

        def one(name: bytes) -> str:
            values = headers.get(name, [b""])
            if len(values) > 1:
                raise Refusal(400, "expected each header once")
            return values[0].decode("latin-1")

        host, origin, method = one(b"host"), one(b"origin"), scope["method"]
        if re.sub(r":\d{1,5}\Z", "", host) not in LOCAL:
            raise Refusal(403, "expected this machine's own name")
        if scope["path"] != "/" and one(b"sec-fetch-site") not in ("", "same-origin", "none"):  # a link may lead to /
            raise Refusal(403, "expected the page itself to ask")
        if origin != f"http://{host}" and (origin or method not in ("GET", "HEAD")):
            raise Refusal(403, "expected the page's own origin")
        path = scope["path"]
        found = [kind for kind, form in ROUTES if re.fullmatch(form, path, re.ASCII | re.DOTALL)]
        if not found:
            raise Refusal(404, "there is no such page")
        if ("GET" if method == "HEAD" else method) not in found:
            raise Refusal(405, "expected another method")
        plainly = unquote(unquote(path))
        if ".." in re.split(r"[/\\=]", plainly) or not plainly.isprintable():
            raise Refusal(404, "there is no such file")
        if path.startswith(FILES):
            self._served(path.removeprefix(FILES))
        most = MOST_UPLOADED if path.startswith("/gradio_api/upload") else MOST_SAID
        length = one(b"content-length") or ("0" if method in ("GET", "HEAD") else "")
        if one(b"transfer-encoding") or not re.fullmatch(r"\d{1,20}", length, re.ASCII):
            raise Refusal(411, "expected a request that says its length")
        if int(length) > most:
            raise Refusal(413, f"expected {most // 1_000_000} MB at most")

    def _served(self, name: str) -> None:
        """Refuses what is not a file of the page's own folder.

        Raises:
            Refusal: it isn't.
        """
        try:
            path = Path(os.path.normpath(name))  # before the system is asked: Windows asks another machine
            there = path.is_relative_to(self._files) and path.resolve().is_relative_to(self._files) and path.is_file()
        except (OSError, ValueError):
            there = False
        if not there:
            raise Refusal(404, "there is no such file")
