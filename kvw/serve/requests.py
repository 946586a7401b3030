"""Checks of an HTTP request before its body is read, and a socket to listen on: what the server and the page share."""

from __future__ import annotations

import re
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from kvw.errors import KvwError

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

LOOPBACK = "127.0.0.1"

LOCAL = frozenset({"127.0.0.1", "localhost", "[::1]"})
"""Names of this machine in a Host header.

A request with another name comes from a web site whose name was made to resolve to this machine (DNS rebinding).
"""


class Refusal(Exception):
    """A request that is not passed on.

    Args:
        status: HTTP status of the answer.
        why: text of the answer, one line.
    """

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


def headers_of(scope: Scope) -> Callable[[bytes], str]:
    """A function that gives the value of a header by its name in small letters; empty for one that is missing.

    Raises:
        Refusal: by the function, where a request has the header twice.
    """
    headers: dict[bytes, list[bytes]] = {}
    for name, value in scope["headers"]:
        headers.setdefault(name.lower(), []).append(value)

    def header(name: bytes) -> str:
        values = headers.get(name, [b""])
        if len(values) > 1:
            raise Refusal(400, "expected each header once")
        return values[0].decode("latin-1")

    return header


def check_local(host: str) -> None:
    """Checks that a Host header names this machine.

    Starlette's ``TrustedHostMiddleware`` does not do: it takes the first of two Host headers, while the origin has to
    be compared with the very host that was checked; and how it reads ports and ``[::1]`` depends on its version.

    Raises:
        Refusal: it does not.
    """
    if re.sub(r":\d{1,5}\Z", "", host) not in LOCAL:
        raise Refusal(403, "expected this machine's own name")


def check_length(method: str, header: Callable[[bytes], str], most: int) -> None:
    """Checks the length that a request states; the server reads no more of its body than that.

    Args:
        method: of the request.
        header: see :func:`headers_of`.
        most: bytes.

    Raises:
        Refusal: there is none, or it is above ``most``.
    """
    length = header(b"content-length") or ("0" if method in ("GET", "HEAD") else "")
    if header(b"transfer-encoding") or not re.fullmatch(r"\d{1,20}", length, re.ASCII):
        raise Refusal(411, "expected a request that says its length")
    if int(length) > most:
        raise Refusal(413, f"expected {most // 1_000_000} MB at most")


def listening(port: int, host: str = LOOPBACK) -> socket.socket:
    """A socket that listens on a port.

    Args:
        port: 0 for any that is free.
        host: an address of this machine, or its name.

    Raises:
        KvwError: the port is taken or out of range, or the machine has no such address.
    """
    if not 0 <= port < 65536:
        raise KvwError(f"task.port: expected a number from 0 to 65535; got {port}")
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except (OSError, UnicodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "no name of a machine"
        raise KvwError(
            f"task.port: expected a free port; {port} at {host}: {why}; give another one, or task.port=0 for any"
        ) from error


def run(app: App, listener: socket.socket, **settings: Any) -> None:
    """Serves an application on a socket until Ctrl-C or SIGTERM."""
    import uvicorn

    config = uvicorn.Config(
        app, log_level="warning", timeout_graceful_shutdown=2, access_log=False, server_header=False, **settings
    )
    uvicorn.Server(config).run([listener])
