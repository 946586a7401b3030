"""A server with the embedded synthesiser, on a free port of this machine."""

import http.client
import json
import threading
import time
from contextlib import contextmanager

import pytest

from kvw.voices.files import save_voice

TOKEN = "0123456789abcdef-token"


class Client:
    """Sends requests as they are, and reads the answers whole."""

    def __init__(self, port, folder):
        self.port, self.folder = port, folder

    def __call__(self, method, path, body=b"", headers=None, **changed):
        """The status, the headers in small letters and the body of an answer; ``changed`` fields go into a speech."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        own = {"Host": f"127.0.0.1:{self.port}", "Content-Type": "application/json", "Content-Length": str(len(data))}
        for name, values in {**own, **(headers or {})}.items():
            for value in values if isinstance(values, list) else [values]:
                if value is not None:
                    connection.putheader(name, value)
        connection.endheaders(data)
        answer = connection.getresponse()
        found = answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        connection.close()
        return found

    def speech(self, **fields):
        """The audio of a text."""
        asked = {"model": "tts-1", "input": "One sheep.", "voice": "af_amber", "response_format": "pcm", **fields}
        status, _, audio = self("POST", "/v1/audio/speech", asked)
        assert status == 200, audio
        return audio


@contextmanager
def serving(synthesizer, stock, folder, token=None, owner="embedded"):
    """A server that runs in a thread within the block."""
    import uvicorn

    from kvw.serve.app import Api, application
    from kvw.serve.guard import Guard
    from kvw.serve.requests import listening
    from kvw.serve.shelf import Shelf
    from kvw.serve.speaker import Speaker

    speaker = Speaker(synthesizer, 0)
    app = Guard(application(Api(Shelf([folder], stock, owner), speaker, "a")), token)
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", timeout_graceful_shutdown=1))
    with listening(0) as listener:
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield Client(listener.getsockname()[1], folder)
        server.should_exit = True
        thread.join(10)
        speaker.close()


@pytest.fixture(scope="package")
def server(embedded, bank, tmp_path_factory):
    """A server without a token."""
    stock = {name: bank[name] for name in ("af_amber", "am_boris")}
    folder = tmp_path_factory.mktemp("shelf")
    save_voice(folder / "am_felix.pt", bank["am_felix"], {"synthesiser": "embedded"})
    with serving(lambda letter: embedded if letter == "a" else embedded.in_language(letter), stock, folder) as client:
        yield client
