"""The server's addresses: OpenAI's for speech and models, and Kokoro-FastAPI's for voices. Read :class:`Api`."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import Body, FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException as StarletteHTTPException

from kvw.audio.stream import TYPES, Encoder
from kvw.errors import KvwError
from kvw.runtime.filenames import safe_stem
from kvw.serve.guard import HEALTH, error_body
from kvw.serve.shelf import LONGEST, Shelf
from kvw.serve.speaker import Speaker
from kvw.types import Wave
from kvw.voices.formats import torch_zip
from kvw.voices.names import LETTERS, is_kokoro_name

log = logging.getLogger(__name__)

MOST_CHARACTERS = 100_000
"""Characters of a text, at most: two hours of speech."""

MODELS = ("kokoro", "tts-1", "tts-1-hd", "gpt-4o-mini-tts")
"""Names of models that a request may give, as Kokoro-FastAPI has them: the server has one model by all of them."""


class Wanted(BaseModel):
    """A request for speech; fields that the server does not know are ignored."""

    model_config = ConfigDict(strict=True)

    model: Annotated[str, Field(max_length=100)] = "kokoro"
    input: Annotated[str, Field(max_length=MOST_CHARACTERS)]
    voice: Annotated[str, Field(max_length=LONGEST)]
    response_format: Literal["mp3", "opus", "aac", "flac", "wav", "pcm"] = "mp3"
    speed: Annotated[float, Field(ge=0.5, le=2.0, allow_inf_nan=False)] = 1.0
    stream: bool = True
    stream_format: Literal["audio"] = "audio"
    lang_code: Annotated[str | None, Field(max_length=1)] = None


class Api:
    """What the server answers.

    Args:
        shelf: the voices.
        speaker: speaks.
        language: the letter of the language of voices whose names say none.
    """

    def __init__(self, shelf: Shelf, speaker: Speaker, language: str) -> None:
        self._shelf, self._speaker, self._language = shelf, speaker, language

    async def speech(self, wanted: Wanted, request: Request) -> Response:
        """``POST /v1/audio/speech``: the text in the voice, sentence by sentence, or whole with ``stream=false``."""
        known_model(wanted.model)
        voice = self._shelf.find(wanted.voice)
        letter = wanted.lang_code or (voice.name[0] if is_kokoro_name(voice.bases[0]) else self._language)
        if letter not in tuple(LETTERS):
            raise KvwError(f"lang_code: expected one of {', '.join(LETTERS)}; got {letter!a}")
        check_text(wanted.input)
        waves = self._speaker.waves(voice.voice, wanted.input, letter, wanted.speed)
        kind = TYPES[wanted.response_format]
        first = await anext(waves)  # so that an error is answered as one
        if wanted.stream:
            return StreamingResponse(streamed(first, waves, Encoder(wanted.response_format)), media_type=kind)
        spoken = [first]
        async for wave in waves:
            spoken.append(wave)
            if await request.is_disconnected():
                break
        whole = np.concatenate(spoken)
        encoder = Encoder(wanted.response_format, len(whole))
        return Response(encoder.encode(whole) + encoder.close(), media_type=kind)

    async def voices(self) -> dict[str, list[dict[str, str]]]:
        """``GET /v1/audio/voices``: names, in the shape that Open WebUI reads."""
        return {"voices": [{"id": name, "name": name} for name in self._shelf.voices()]}

    async def combine(self, wanted: Annotated[str | list[str], Body()]) -> Response:
        """``POST /v1/audio/voices/combine``: the blend of a text ``af_a(2)+af_b(1)``, or of a list, as a ``.pt``."""
        blended = self._shelf.find(wanted if isinstance(wanted, str) else "+".join(wanted))
        name = f'attachment; filename="{safe_stem(blended.name)}.pt"'
        kind = "application/octet-stream"
        return Response(torch_zip.write(blended.voice), media_type=kind, headers={"content-disposition": name})

    async def models(self) -> dict[str, object]:
        """``GET /v1/models``."""
        return {"object": "list", "data": [described(name) for name in MODELS]}

    async def model(self, name: str) -> dict[str, object]:
        """``GET /v1/models/NAME``."""
        known_model(name)
        return described(name)

    async def health(self) -> dict[str, str]:
        """``GET /health``."""
        return {"status": "healthy"}


def application(api: Api) -> FastAPI:
    """The addresses of ``api``; every error has the shape of OpenAI's."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    for path, answer, method in (
        ("/v1/audio/speech", api.speech, "POST"),
        ("/v1/audio/voices", api.voices, "GET"),
        ("/v1/audio/voices/combine", api.combine, "POST"),
        ("/v1/models", api.models, "GET"),
        ("/v1/models/{name}", api.model, "GET"),
        (HEALTH, api.health, "GET"),
    ):
        app.add_api_route(path, answer, methods=[method], response_model=None)
    app.add_exception_handler(KvwError, of_kvw)
    app.add_exception_handler(StarletteHTTPException, of_http)
    app.add_exception_handler(RequestValidationError, of_validation)
    return app


async def streamed(first: Wave, waves: AsyncIterator[Wave], encoder: Encoder) -> AsyncIterator[bytes]:
    """The encoded audio, a piece for each sentence."""
    yield encoder.encode(first)
    async for wave in waves:
        yield encoder.encode(wave)
    yield encoder.close()


def check_text(text: str) -> None:
    """Checks that a text is made of characters that have a meaning by themselves, and has words.

    Raises:
        KvwError: it is not.
    """
    if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise KvwError("input: expected a text of Unicode's characters; got a null character, or half of one")
    if not any(map(str.isalnum, text)):
        raise KvwError("input: expected words that can be pronounced; got none")


def known_model(name: str) -> None:
    """Checks that the server has a model by that name.

    Raises:
        HTTPException: it has none.
    """
    if name not in MODELS:
        raise HTTPException(404, f"model: expected one of {', '.join(MODELS)}; got {name!a:.60}")


def described(name: str) -> dict[str, object]:
    """A model as ``GET /v1/models`` lists it."""
    return {"id": name, "object": "model", "created": 0, "owned_by": "kvw"}


async def of_kvw(request: Request, error: Exception) -> JSONResponse:
    """The answer to a request that can't be fulfilled."""
    param = str(error).partition(":")[0]
    return JSONResponse(error_body(400, str(error), param if param.isidentifier() else None), 400)


async def of_http(request: Request, error: Any) -> JSONResponse:
    """The answer to a request for what is not there."""
    code = "model_not_found" if str(error.detail).startswith("model:") else None
    body = error_body(error.status_code, str(error.detail), "model" if code else None, code)
    return JSONResponse(body, error.status_code, headers=error.headers)


async def of_validation(request: Request, error: Any) -> JSONResponse:
    """The answer to a body that is no JSON, or has a field that is not as it has to be."""
    first = error.errors()[0]
    field = ".".join(str(part) for part in first["loc"][1:] if isinstance(part, str)) or None
    why = f"{field or 'body'}: {first['msg']}".encode("ascii", "backslashreplace").decode()
    return JSONResponse(error_body(400, why[:400], field and field[:100]), 400)
