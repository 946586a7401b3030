"""The guard before the server: it checks the sender, the token and the size of every request."""

from __future__ import annotations

import asyncio
import hmac
import json
import logging

from kvw.errors import error_line
from kvw.serve.requests import App, Message, Receive, Refusal, Scope, Send, check_length, check_local, headers_of

log = logging.getLogger(__name__)

MOST_SENT = 2_000_000
"""Size of a request's body, in bytes, at most: 100,000 characters of JSON, each of which may be written in 12 bytes."""

BODY_SECONDS = 30.0
"""Seconds within which each part of a body has to arrive."""

HEALTH = "/health"
"""The path that needs no token: a watchdog has none."""


def error_body(status: int, why: str, param: str | None = None, code: str | None = None) -> dict[str, object]:
    """An error in the shape of OpenAI's interface."""
    kind = "server_error" if status >= 500 else "invalid_request_error"
    return {"error": {"message": why, "type": kind, "param": param, "code": code}}


class Guard:
    """An ASGI application that passes on the requests of its own clients, and refuses all others.

    Without a token they come from this machine, and from no web site; with one they name the token.

    Args:
        app: the server.
        token: what a request has to name as ``Authorization: Bearer TOKEN``; None where none is needed.
    """

    def __init__(self, app: App, token: str | None) -> None:
        self._app = app
        self._token = None if token is None else token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return  # a websocket, which the server does not use
        try:
            self._check(scope)
        except Refusal as refusal:
            text = json.dumps(error_body(refusal.status, str(refusal))).encode()
            headers = [(b"content-type", b"application/json"), (b"content-length", str(len(text)).encode())]
            headers.append((b"connection", b"close"))  # the request's body is not read
            if refusal.status == 401:
                headers.append((b"www-authenticate", b"Bearer"))
            await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
            await send({"type": "http.response.body", "body": text})
            return
        try:
            await self._app(scope, in_time(receive), send)
        except Exception as error:  # a stranger can't fill the log
            log.warning("%s %.100a: %s", scope["method"], scope["path"], error_line(error))

    def _check(self, scope: Scope) -> None:
        """Checks a request's headers.

        Raises:
            Refusal: the request is none of a client's.
        """
        header = headers_of(scope)
        host = header(b"host")
        if self._token is None:
            check_local(host)
            if header(b"origin") not in ("", f"http://{host}") or header(b"sec-fetch-site") not in (
                "",
                "same-origin",
                "none",
            ):
                raise Refusal(403, "expected a program of this machine to ask, and not a web site")
        elif scope["path"] != HEALTH:
            scheme, _, given = header(b"authorization").partition(" ")
            right = hmac.compare_digest(given.strip().encode("latin-1"), self._token)  # in constant time
            if scheme.lower() != "bearer" or not right:
                raise Refusal(401, "expected the header Authorization: Bearer TOKEN, with the server's task.token")
        check_length(scope["method"], header, MOST_SENT)


def in_time(receive: Receive) -> Receive:
    """``receive``, for which a client that never sends the rest of its body has gone."""
    complete = False

    async def receive_in_time() -> Message:
        nonlocal complete
        if complete:
            return await receive()
        try:
            message = await asyncio.wait_for(receive(), BODY_SECONDS)
        except asyncio.TimeoutError:
            return {"type": "http.disconnect"}
        complete = not message.get("more_body", False)
        return message

    return receive_in_time
