"""``task=serve``: speaks for programs that know OpenAI's interface for speech."""

from __future__ import annotations

import ipaddress
import logging
import os
import re
from functools import cache
from pathlib import Path

from kvw.config.invocation import Invocation
from kvw.config.nodes import build
from kvw.errors import KvwError
from kvw.runtime.environment import pick_device
from kvw.serve.requests import listening, run
from kvw.speech import select
from kvw.speech.synthesizer import Synthesizer
from kvw.tasks.export import EXPORTED
from kvw.tasks.prepare import synth_node
from kvw.types import KOKORO
from kvw.voices.stock import stock_voices

log = logging.getLogger(__name__)

TOKEN = "KVW_TOKEN"
"""The environment variable that has the token where ``task.token`` is null."""

SHORTEST_TOKEN = 16

MOST_CONNECTIONS = 100


def serve(invocation: Invocation, *, host: str, port: int, token: str | None) -> float:
    """Serves the voices of this machine until Ctrl-C.

    Args:
        invocation: of which the config counts: the synthesiser, the folder of voices, the language and the seed.
        host: the address to listen on; another than this machine's own needs a token.
        port: to listen on; 0 for any free one.
        token: what requests have to name; None for the environment's.

    Returns:
        0.0.

    Raises:
        KvwError: FastAPI is not installed, the port is taken, the token is missing or weak, or the synthesiser's files
            are missing.
    """
    try:
        import fastapi  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise KvwError(f"task=serve: expected FastAPI and uvicorn; {error}; pip install 'kvw[serve]'") from error
    token = os.environ.get(TOKEN) if token is None else token
    check_token(host, token)
    cfg = invocation.cfg
    with listening(port, host) as listener:
        from kvw.serve.app import Api, application
        from kvw.serve.guard import Guard
        from kvw.serve.shelf import Shelf
        from kvw.serve.speaker import Speaker

        node, device, letter = synth_node(cfg), pick_device(cfg.device), cfg.language.letter
        made: Synthesizer = build(node, "synth", device=device, language=letter)

        @cache
        def in_language(wanted: str) -> Synthesizer:
            return made if wanted == letter else made.in_language(wanted)

        stock = stock_voices() if made.name == KOKORO else select.embedded_voices()
        shelf = Shelf([Path(cfg.voices_folder), EXPORTED], stock, made.name)
        speaker = Speaker(in_language, cfg.seed)
        address = f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}/v1"
        log.info("%d voices of %s at %s; Ctrl-C ends it", len(shelf.voices()), made.name, address)
        try:
            guarded = Guard(application(Api(shelf, speaker, letter)), token)
            run(guarded, listener, limit_concurrency=MOST_CONNECTIONS)
        finally:
            speaker.close()
    return 0.0


def check_token(host: str, token: str | None) -> None:
    """Checks that a server which other machines reach asks for a token that nobody guesses.

    Raises:
        KvwError: it does not; the message does not show the token.
    """
    if token is None:
        if not is_loopback(host):
            raise KvwError(
                f"task.token: expected one, as {host} can be reached from other machines; give task.token=TOKEN, or "
                f"the environment variable {TOKEN}"
            )
    elif not re.fullmatch(rf"[!-~]{{{SHORTEST_TOKEN},200}}", token):
        raise KvwError(
            f"task.token: expected {SHORTEST_TOKEN} to 200 letters, digits and signs, without spaces; got "
            f"{len(token)} characters; python -c 'import secrets; print(secrets.token_urlsafe())' makes one"
        )


def is_loopback(host: str) -> bool:
    """Whether an address reaches no further than this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
