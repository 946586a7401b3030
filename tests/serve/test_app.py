"""The server as programs see it: speech, voices, and requests that nobody means well."""

import asyncio
import io
import json
import socket
import threading
import time
import wave
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from kvw.audio.decode import decode_file
from kvw.speech.narrate import narrate_by_sentence
from kvw.types import SAMPLE_RATE
from kvw.voices.files import load_voice, save_voice
from tests.serve.conftest import TOKEN, serving

pytestmark = pytest.mark.extras

TEXT = "The ships are at sea tonight. A cold wind came over the hill.\n\nNobody was there."


def pcm(waves):
    return np.round(np.clip(np.concatenate(list(waves)), -1, 1) * 32767).astype("<i2").tobytes()


def test_the_official_client_speaks_to_it(server, tmp_path):
    from openai import BadRequestError, NotFoundError, OpenAI

    client = OpenAI(base_url=f"http://127.0.0.1:{server.port}/v1", api_key="none", max_retries=0)
    spoken = client.audio.speech.create(model="tts-1", voice="af_amber", input=TEXT, response_format="wav").content
    (tmp_path / "spoken.wav").write_bytes(spoken)
    assert len(decode_file(tmp_path / "spoken.wav")) > 2 * SAMPLE_RATE
    with client.audio.speech.with_streaming_response.create(
        model="kokoro", voice="af_amber(2)+am_boris", input=TEXT, response_format="mp3", speed=1.5
    ) as answer:
        assert len(list(answer.iter_bytes(1000))) > 5
    assert "kokoro" in [model.id for model in client.models.list()]
    with pytest.raises(BadRequestError, match="there is no voice 'nobody'") as refused:
        client.audio.speech.create(model="tts-1", voice="nobody", input=TEXT)
    assert (refused.value.type, refused.value.param) == ("invalid_request_error", "voice")
    with pytest.raises(NotFoundError) as refused:
        client.audio.speech.create(model="whisper-1", voice="af_amber", input=TEXT)
    assert refused.value.code == "model_not_found"


def test_a_stream_has_the_samples_of_the_whole_reply_and_of_kvws_own_speech(server, embedded, bank):
    expected = pcm(narrate_by_sentence(embedded, bank["af_amber"], TEXT, 0))
    assert server.speech(input=TEXT) == expected
    assert server.speech(input=TEXT, stream=False) == expected
    assert server.speech(input=TEXT, response_format="wav")[44:] == expected
    whole = server.speech(input=TEXT, response_format="wav", stream=False)
    with wave.open(io.BytesIO(whole)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (SAMPLE_RATE, 1, 2)
        assert file.readframes(file.getnframes()) == expected


@pytest.mark.parametrize("form", ["mp3", "opus", "aac", "flac"])
@pytest.mark.parametrize("stream", [True, False])
def test_every_format_is_the_same_speech(server, tmp_path, form, stream):
    samples = np.frombuffer(server.speech(input=TEXT), "<i2") / 32767
    path = tmp_path / f"spoken.{'ogg' if form == 'opus' else form}"
    path.write_bytes(server.speech(input=TEXT, response_format=form, stream=stream))
    heard = decode_file(path)
    assert abs(len(heard) - len(samples)) < 0.1 * SAMPLE_RATE
    shift = np.argmax(np.correlate(heard[: 2 * SAMPLE_RATE], samples[:SAMPLE_RATE], "valid"))
    assert np.corrcoef(heard[shift : shift + SAMPLE_RATE], samples[:SAMPLE_RATE])[0, 1] > 0.95


def test_a_voice_that_is_exported_meanwhile_is_served_and_a_broken_one_is_not(server, bank, said):
    def names():
        return [voice["id"] for voice in json.loads(server("GET", "/v1/audio/voices")[2])["voices"]]

    assert names() == ["af_amber", "am_boris", "am_felix"]
    (server.folder / "am_broken.pt").write_bytes(b"not a voice")
    save_voice(server.folder / "bm_new.pt", bank["am_conrad"], {"synthesiser": "embedded"})
    save_voice(server.folder / "bm_other.pt", bank["am_conrad"], {"synthesiser": "kokoro"})
    try:
        assert names() == names() == ["af_amber", "am_boris", "am_felix", "bm_new"]
        broken, other = (line for line in said if line.startswith("Not served"))
        assert "am_broken.pt: expected a voice" in broken and "bm_other.pt: expected a voice of embedded" in other
        first = server.speech(voice="bm_new")
        save_voice(server.folder / "bm_new.pt", bank["af_martha"], {"synthesiser": "embedded"})
        assert server.speech(voice="bm_new") not in (first, b"")
    finally:
        for path in server.folder.glob("bm_*"):
            path.unlink()
        (server.folder / "am_broken.pt").unlink()
    assert names() == ["af_amber", "am_boris", "am_felix"]


def test_the_last_part_of_a_name_will_do_and_blends_are_kvws_own(server, bank, tmp_path):
    assert server.speech(voice="amber") == server.speech(voice="af_amber")
    status, headers, content = server("POST", "/v1/audio/voices/combine", "af_amber(3)+am_boris(1)")
    assert status == 200 and "attachment" in headers["content-disposition"]
    (tmp_path / "mixed.pt").write_bytes(content)
    expected = 0.75 * bank["af_amber"] + 0.25 * bank["am_boris"]
    np.testing.assert_allclose(load_voice(tmp_path / "mixed.pt"), expected, atol=1e-6)
    assert server("POST", "/v1/audio/voices/combine", ["af_amber", "am_boris"])[0] == 200


def test_the_language_is_that_of_the_names_first_letter_unless_the_request_says(server, embedded, bank):
    save_voice(server.folder / "em_solo.pt", bank["am_boris"], {"synthesiser": "embedded"})
    try:
        spanish = pcm(narrate_by_sentence(embedded.in_language("e"), bank["am_boris"], "hola", 0))
        assert server.speech(voice="em_solo", input="hola") == spanish
        assert server.speech(voice="am_boris", input="hola", lang_code="e") == spanish
        assert server.speech(voice="am_boris", input="hola") != spanish
    finally:
        for path in server.folder.glob("em_solo.*"):
            path.unlink()


def test_four_clients_at_once_get_their_own_samples(server, embedded, bank):
    texts = [f"{word} sheep went over the wall. Then came {word} more." for word in ("Two", "Five", "Nine", "Ten")]
    with ThreadPoolExecutor(4) as pool:
        heard = list(pool.map(lambda text: server.speech(input=text), texts))
    assert heard == [pcm(narrate_by_sentence(embedded, bank["af_amber"], text, 0)) for text in texts]


def test_a_client_that_goes_stops_its_speech_at_the_next_sentence(embedded, bank, tmp_path):
    spoken, go_on = [], threading.Event()

    class Counted:
        script = embedded.script

        def __call__(self, voices, script, seed, speed):
            spoken.append(script.text)
            if len(spoken) == 2:
                go_on.wait(10)
            return embedded(voices, script, seed, speed)

    with serving(lambda _: Counted(), {"af_amber": bank["af_amber"]}, tmp_path) as client:
        asked = {"input": " ".join(f"Here is the sentence number {n}." for n in range(50)), "voice": "af_amber"}
        body = json.dumps({**asked, "response_format": "pcm"}).encode()
        head = "POST /v1/audio/speech HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        with socket.create_connection(("127.0.0.1", client.port)) as connection:
            connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            assert connection.recv(1000).startswith(b"HTTP/1.1 200")
        time.sleep(0.5)  # the server sees the end of the connection while the second sentence is spoken
        go_on.set()
        assert client.speech(input="Another client is served.")
    assert len(spoken) <= 4, "two of the first client, perhaps one that was asked for, and that of the second"


SPEECH = {"model": "tts-1", "input": "One sheep.", "voice": "af_amber", "response_format": "wav"}
HUGE = "1" * 5000
JSON = {"Content-Type": "application/json"}


def but(**fields):
    return {**SPEECH, **fields}


HOSTILE = {
    "a path for a voice": (but(voice="../../etc/passwd"), {}, 400),
    "a whole path": (but(voice="/etc/passwd"), {}, 400),
    "a member of a pack": (but(voice="/tmp/x.bin:af_a"), {}, 400),
    "a path in a blend": (but(voice="af_amber+../../x.pt"), {}, 400),
    "a null in a voice": (but(voice="af_amber\0"), {}, 400),
    "an empty voice": (but(voice=""), {}, 400),
    "a blend of nothing": (but(voice="+"), {}, 400),
    "a weight that is not finite": (but(voice="af_amber(nan)"), {}, 400),
    "a weight without end": (but(voice="af_amber(1e999)+am_boris"), {}, 400),
    "a weight below 0": (but(voice="af_amber(-1)+am_boris"), {}, 400),
    "a blend of thousands": (but(voice="+".join(["af_amber"] * 5000)), {}, 400),
    "a voice that is an object": (but(voice={"id": "af_amber"}), {}, 400),
    "a voice that is a list": (but(voice=["af_amber"]), {}, 400),
    "no voice": ({"model": "tts-1", "input": "x"}, {}, 400),
    "a speed that is not a number": (json.dumps(but(speed=float("nan"))).encode(), {}, 400),
    "a speed without end": (json.dumps(but(speed=float("inf"))).encode(), {}, 400),
    "a speed of 0": (but(speed=0), {}, 400),
    "a speed in words": (but(speed="2"), {}, 400),
    "a speed of true": (but(speed=True), {}, 400),
    "a number of 5000 digits": (json.dumps(SPEECH).encode()[:-1] + f', "speed": {HUGE}}}'.encode(), {}, 400),
    "no words": (but(input="... !?"), {}, 400),
    "an empty text": (but(input=""), {}, 400),
    "a null for a text": (but(input=None), {}, 400),
    "a null in a text": (but(input="a\0b"), {}, 400),
    "half a character": (b'{"model": "tts-1", "voice": "af_amber", "input": "a \\ud800 b"}', {}, 400),
    "a text of 100,001 characters": (but(input="a" * 100_001), {}, 400),
    "a text that is a list": (but(input=["a"]), {}, 400),
    "an unknown format": (but(response_format="exe"), {}, 400),
    "a format that is a path": (but(response_format="../wav"), {}, 400),
    "events in place of audio": (but(stream_format="sse"), {}, 400),
    "an unknown language": (but(lang_code="x"), {}, 400),
    "an unknown model": (but(model="x" * 99), {}, 404),
    "no JSON": (b"input=One+sheep.", {}, 400),
    "half of a JSON": (b'{"input": "a', {}, 400),
    "a JSON of nothing": (b"null", {}, 400),
    "a list": ([SPEECH], {}, 400),
    "lists in lists": (b"[" * 100_000 + b"]" * 100_000, {}, 400),
    "objects in objects": (b'{"input":' * 50_000, {}, 400),
    "bytes that are no text": (b"\xff\xfe\x00\xd8", {}, 400),
    "a form": (SPEECH, {"Content-Type": "application/x-www-form-urlencoded"}, 400),
    "a body of a gigabyte": (SPEECH, {"Content-Length": "1000000000"}, 413),
    "a length without end": (SPEECH, {"Content-Length": "9" * 19}, 413),
    "no length": (SPEECH, {"Content-Length": None}, 411),
    "another machine's name": (SPEECH, {"Host": "evil.example"}, 403),
    "a name that begins as ours": (SPEECH, {"Host": "127.0.0.1.evil.example"}, 403),
    "no name": (SPEECH, {"Host": ""}, 403),
    "a web site": (SPEECH, {"Origin": "http://evil.example"}, 403),
    "a web site by a script": (SPEECH, {"Sec-Fetch-Site": "cross-site"}, 403),
    "two origins": (SPEECH, {"Origin": ["http://127.0.0.1", "http://evil.example"]}, 400),
}


@pytest.mark.parametrize(("body", "headers", "status"), HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_request_is_refused_in_openais_shape(server, body, headers, status):
    got, kind, answer = server("POST", "/v1/audio/speech", body, headers)
    assert (got, kind["content-type"]) == (status, "application/json"), answer
    error = json.loads(answer)["error"]
    assert set(error) == {"message", "type", "param", "code"} and error["type"] == "invalid_request_error"
    assert 0 < len(error["message"]) < 1000 and error["message"].isprintable()


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/", b"", 404),
        ("GET", "/docs", b"", 404),
        ("GET", "/openapi.json", b"", 404),
        ("GET", "/v1/models/none", b"", 404),
        ("GET", "/v1/models/..%2f..%2fetc%2fpasswd", b"", 404),
        ("GET", "/v1/audio/speech", b"", 405),
        ("DELETE", "/v1/audio/voices", b"", 405),
        ("OPTIONS", "/v1/audio/speech", b"", 405),
        ("POST", "/v1/audio/voices/combine", {"voices": "af_amber"}, 400),
        ("POST", "/v1/audio/voices/combine", ["../x.pt", "af_amber"], 400),
        ("POST", "/v1/audio/voices/combine", [["af_amber"]], 400),
        ("POST", "/v1/audio/voices/combine", [], 400),
    ],
)
def test_other_addresses_and_blends_are_refused_the_same_way(server, method, path, body, status):
    got, _, answer = server(method, path, body)
    assert got == status and set(json.loads(answer)["error"]) == {"message", "type", "param", "code"}


def test_the_server_lives_after_all_of_them(server):
    assert json.loads(server("GET", "/health")[2]) == {"status": "healthy"}
    assert len(server.speech()) > SAMPLE_RATE


def test_a_token_opens_every_name_of_the_machine_and_nothing_else_does(embedded, bank, tmp_path):
    with serving(lambda _: embedded, {"af_amber": bank["af_amber"]}, tmp_path, TOKEN) as client:

        def status(**headers):
            return client("GET", "/v1/models", headers={"Host": "box.example", **headers})[0]

        assert status(Authorization=f"Bearer {TOKEN}") == 200
        assert client("GET", "/health", headers={"Host": "box.example"})[0] == 200
        wrong = ["", TOKEN, "Bearer", f"Basic {TOKEN}", f"Bearer {TOKEN[:-1]}", f"Bearer {TOKEN}x", "Bearer \xe9"]
        assert [status(Authorization=text) for text in wrong] == [401] * len(wrong)
        assert status() == 401
        _, headers, answer = client("POST", "/v1/audio/speech", SPEECH)
        assert headers["www-authenticate"] == "Bearer" and TOKEN not in answer.decode()


def test_a_body_that_never_comes_ends_the_request(monkeypatch):
    from kvw.serve import guard

    monkeypatch.setattr(guard, "BODY_SECONDS", 0.01)

    async def silence():
        await asyncio.sleep(60)

    assert asyncio.run(guard.in_time(silence)()) == {"type": "http.disconnect"}
