"""The guard passes on every request of the page itself, and refuses all others."""

import asyncio

import pytest

from kvw.web.guard import FILES, MOST_SENT, MOST_UPLOADED, Guard

HOST = "127.0.0.1:7860"
OWN = {"host": HOST, "origin": f"http://{HOST}", "content-length": "10"}
JOIN, UPLOAD = "/gradio_api/queue/join", "/gradio_api/upload"


@pytest.fixture
def files(tmp_path):
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    (shelf / "best.wav").write_bytes(b"RIFF")
    (tmp_path / "secret.txt").write_text("secret")
    (shelf / "link.txt").symlink_to(tmp_path / "secret.txt")
    return shelf


def answer(files, method, path, headers):
    """The status and headers of the answer, and whether the page was asked."""
    asked, sent = [], []

    async def page(scope, receive, send):
        asked.append(scope["path"])
        await send({"type": "http.response.start", "status": 200, "headers": [(b"X-Own", b"1")]})
        await send({"type": "http.response.body", "body": b"page"})

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        sent.append(message)

    named = headers.items() if isinstance(headers, dict) else headers
    raw = [(name.encode(), value.encode("latin-1")) for name, value in named]
    scope = {"type": "http", "method": method, "path": path, "headers": raw}
    asyncio.run(Guard(page, files)(scope, receive, send))
    return sent[0]["status"], {name.decode().lower(): value.decode() for name, value in sent[0]["headers"]}, bool(asked)


@pytest.mark.parametrize(
    "method, path, headers",
    [
        ("GET", "/", {"host": HOST}),
        ("GET", "/", {"host": "localhost:8000", "sec-fetch-site": "cross-site"}),  # a link on another page; a tunnel
        ("HEAD", "/", {"host": "[::1]:7860"}),
        ("GET", "/config", {"host": HOST, "sec-fetch-site": "same-origin"}),
        ("GET", "/assets/index-ab_C1.js", {"host": HOST}),
        ("GET", "/reports/0123456789abcdef", {"host": HOST, "sec-fetch-site": "none"}),
        ("POST", JOIN, OWN),
        ("POST", UPLOAD, {**OWN, "content-length": str(MOST_UPLOADED)}),
    ],
)
def test_the_pages_own_requests_are_answered(files, method, path, headers):
    status, got, asked = answer(files, method, path, headers)
    assert (status, asked) == (200, True)
    assert "connect-src 'self'" in got["content-security-policy"] and got["x-content-type-options"] == "nosniff"


def test_a_file_of_the_page_is_served(files):
    assert answer(files, "GET", f"{FILES}{files}/best.wav", {"host": HOST})[0] == 200


@pytest.mark.parametrize(
    "method, path, headers, status",
    [
        # whose page
        ("GET", "/", {}, 403),
        ("GET", "/", {"host": "evil.example"}, 403),
        ("GET", "/", {"host": "127.0.0.1.evil.example:7860"}, 403),
        ("GET", "/", {"host": "localhost@evil.example"}, 403),
        ("GET", "/", [("host", HOST), ("host", "evil.example")], 400),
        ("POST", JOIN, {**OWN, "origin": "http://evil.example"}, 403),
        ("POST", JOIN, {**OWN, "origin": "null"}, 403),
        ("POST", JOIN, {**OWN, "origin": "http://127.0.0.1:9999"}, 403),
        ("POST", JOIN, {**OWN, "origin": f"https://{HOST}"}, 403),
        ("POST", JOIN, {**OWN, "origin": f"http://{HOST}.evil.example"}, 403),
        ("POST", JOIN, {"host": HOST, "content-length": "10"}, 403),
        ("POST", JOIN, {**OWN, "sec-fetch-site": "cross-site"}, 403),
        ("GET", "/config", {"host": HOST, "sec-fetch-site": "same-site"}, 403),
        ("GET", "/config", {"host": HOST, "origin": "http://evil.example"}, 403),
        # what Gradio has beside the page
        ("GET", "/gradio_api/proxy=http://127.0.0.1:22/", {"host": HOST}, 404),
        ("GET", "/gradio_api/file/etc/passwd", {"host": HOST}, 404),
        ("GET", "/monitoring", {"host": HOST}, 404),
        ("GET", "/docs", {"host": HOST}, 404),
        ("POST", "/gradio_api/vibe-code/", OWN, 404),
        ("POST", "/gradio_api/call/predict", OWN, 404),
        ("POST", "/login", OWN, 404),
        ("POST", "/", OWN, 405),
        ("PUT", UPLOAD, OWN, 405),
        ("DELETE", JOIN, OWN, 405),
        ("OPTIONS", JOIN, {**OWN, "access-control-request-method": "POST"}, 405),
        ("GET", JOIN, {"host": HOST}, 405),
        # files
        ("GET", f"{FILES}/etc/passwd", {"host": HOST}, 404),
        ("GET", f"{FILES}etc/passwd", {"host": HOST}, 404),
        ("GET", f"{FILES}SHELF/../secret.txt", {"host": HOST}, 404),
        ("GET", f"{FILES}SHELF/..%2fsecret.txt", {"host": HOST}, 404),
        ("GET", f"{FILES}SHELF/%2e%2e/secret.txt", {"host": HOST}, 404),
        ("GET", f"{FILES}SHELF/%252e%252e%252fsecret.txt", {"host": HOST}, 404),
        ("GET", f"{FILES}SHELF\\..\\secret.txt", {"host": HOST}, 404),
        ("GET", f"{FILES}SHELF/link.txt", {"host": HOST}, 404),
        ("GET", f"{FILES}SHELF/best.wav\0.txt", {"host": HOST}, 404),
        ("GET", f"{FILES}SHELF", {"host": HOST}, 404),
        ("GET", f"{FILES}http://127.0.0.1:22/", {"host": HOST}, 404),
        ("GET", f"{FILES}/proc/self/environ", {"host": HOST}, 404),
        ("GET", f"{FILES}/{'a' * 5000}", {"host": HOST}, 404),
        ("GET", "/assets/../../etc/passwd", {"host": HOST}, 404),
        ("GET", "/assets/%2e%2e/%2e%2e/etc/passwd", {"host": HOST}, 404),
        ("GET", "/static/..\\..\\secret", {"host": HOST}, 404),
        ("GET", "/reports/../../etc/passwd", {"host": HOST}, 404),
        # how much
        ("POST", UPLOAD, {**OWN, "content-length": "1000000000"}, 413),
        ("POST", JOIN, {**OWN, "content-length": str(MOST_SENT + 1)}, 413),
        ("POST", UPLOAD, {"host": HOST, "origin": f"http://{HOST}"}, 411),
        ("POST", UPLOAD, {"host": HOST, "origin": f"http://{HOST}", "transfer-encoding": "chunked"}, 411),
        ("POST", UPLOAD, {**OWN, "content-length": "-1"}, 411),
        ("POST", UPLOAD, {**OWN, "content-length": "1e3"}, 411),
    ],
)
def test_anybody_elses_are_refused(files, method, path, headers, status):
    got, _, asked = answer(files, method, path.replace("SHELF", str(files)), headers)
    assert (got, asked) == (status, False)
