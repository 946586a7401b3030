"""The web page as people use it, in a headless Chromium; and as nobody should, by requests of all kinds.

Above 300 lines, because all of it uses one server, which takes seconds to start.
"""

import json
import os
import signal
import socket
import sys
from contextlib import ExitStack
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest

from kvw.cli.main import invoke
from kvw.config.paths import DEMO
from kvw.runs import folders
from kvw.runs.reader import Run
from kvw.runtime.locks import holder
from kvw.voices.files import load_voice, save_voice
from tests.conftest import SHORT
from tests.support.browser import Server, begin, browser, choose, fill, go, opened, until, words

pytestmark = pytest.mark.extras


@pytest.fixture(scope="module")
def arguments(tmp_path_factory, bank):
    """Of a page whose searches are quick: three stock voices, short texts."""
    folder = tmp_path_factory.mktemp("bank")
    for name in ("af_amber", "am_boris", "am_felix"):
        save_voice(folder / f"{name}.pt", bank[name], {"synthesiser": "embedded"})
    (folder / "heldout.txt").write_text("Nobody was there.\nIt rains again today.\n")
    settings = {"synth": "embedded", "voice_folder": folder, "heldout_texts": folder / "heldout.txt", "judges": "none"}
    settings |= {"executor.scorers": 0, "other_text": SHORT["other_text"], "device": "cpu"}
    return [f"{key}={value}" for key, value in settings.items()]


@pytest.fixture(scope="module")
def served(tmp_path_factory, arguments):
    with Server(tmp_path_factory.mktemp("served"), arguments) as server:
        yield server


def candidates(tab):
    """The candidates that the curve shows."""
    shown = tab.locator("#curve img")
    return int(shown.get_attribute("alt").split()[-2]) if shown.count() else 0


def test_the_queue_is_held_reordered_and_asks_before_a_search_is_removed(tmp_path, arguments):
    with browser() as chromium, Server(tmp_path, arguments) as server:
        tab = opened(chromium, server, [])
        go(tab, "Searches")
        tab.check("#hold input")
        for title in ("Ann", "Ben"):
            begin(tab, title, 100, "random_walk", SHORT["target_text"])
        until(lambda: "1. Ann: waiting, 1 of 2" in words(tab, "queue"))
        tab.get_by_text("2. Ben: waiting").click()
        until(lambda: tab.is_enabled("#up"))
        tab.click("#up")
        until(lambda: "2. Ben: waiting, 1 of 2" in words(tab, "queue"))
        for answer, left in (("#no", True), ("#yes", False)):
            until(lambda: tab.is_enabled("#remove"))
            tab.click("#remove")
            until(lambda: tab.is_visible("#asked"))
            assert "Remove Ben from this list? the copy of its recording is deleted" in words(tab, "asked")
            tab.click(answer)
            until(lambda: not tab.is_visible("#asked"))
            until(lambda left=left: ("Ben" in words(tab, "queue")) is left)


def test_a_voice_is_searched_for_heard_and_downloaded_and_nothing_is_lost(tmp_path, arguments):
    folder, faults = tmp_path / "a b", []
    folder.mkdir()
    (tmp_path / "words.wav").write_text("these are only words")
    with browser() as chromium, ExitStack() as stack:
        server = stack.enter_context(Server(folder, arguments))
        tab = opened(chromium, server, [])  # the player of what is no audio complains too
        tab.set_input_files("#clip input[type=file]", tmp_path / "words.wav")
        until(lambda: "words.wav: " in words(tab, "checked"))
        assert "expected" in words(tab, "checked") and str(tmp_path) not in words(tab, "checked")
        tab.close()
        tab = opened(chromium, server, faults)

        begin(tab, "Ann", 5000, "random_walk", SHORT["target_text"], DEMO)
        until(lambda: candidates(tab) > 5, 120)
        before = candidates(tab)
        until(lambda: candidates(tab) > before + 5)
        until(
            lambda: (
                tab.locator("#best audio, #best .waveform-container, #best wave").count() or "0:0" in words(tab, "best")
            )
        )
        begin(tab, "Ben", 5000, "sep_cma", SHORT["target_text"])
        until(lambda: "Ben: waiting" in words(tab, "status"))  # else Ann may be chosen still, and a click does nothing

        tab.get_by_text("1. Ann: searching").click()
        until(lambda: "Ann: searching" in words(tab, "status"))
        tab.click("#pause")
        until(lambda: "1. Ann: paused" in words(tab, "queue"))
        until(lambda: "2. Ben: searching" in words(tab, "queue"))
        (ann,) = folders.below(folder / "outputs" / "web" / "0001-Ann")
        stopped = Run(ann).steps

        tab.close()  # searches go on
        (ben,) = until(lambda: folders.below(folder / "outputs" / "web" / "0002-Ben"))
        until(lambda: Run(ben).steps > 10, 120)
        assert server.stop() in (0, 130) and Run(ben).status == "stopped"
        damaged = folder / "outputs" / "web" / "0003-Old" / "2026" / "run.db"
        damaged.parent.mkdir(parents=True)
        damaged.write_bytes(b"not SQLite")
        old = {"title": "Old", "search": "experiment=quick", "state": "paused"}
        (damaged.parent.parent / "job.json").write_text(json.dumps(old))
        server = stack.enter_context(Server(folder, arguments))
        tab = opened(chromium, server, faults)
        go(tab, "Searches")
        tab.get_by_text("3. Old: paused").click()
        until(lambda: "run.db: expected" in words(tab, "status"))
        tab.get_by_text("2. Ben: searching").click()
        until(lambda: "2. Ben: searching" in words(tab, "queue") and "1. Ann: paused" in words(tab, "queue"))
        begun = Run(ben).steps
        until(lambda: Run(ben).steps > begun, 120)

        os.kill(int(holder(ben.parent.parent).split()[0]), signal.SIGKILL)
        until(lambda: "2. Ben: failed" in words(tab, "queue"))
        assert "ended from outside" in words(tab, "status") and "Resume" in words(tab, "status")
        until(lambda: tab.locator("#finish").is_enabled())
        tab.click("#finish")
        until(lambda: "2. Ben: done" in words(tab, "queue"), 120)
        assert "Held-out" in words(tab, "status")

        tab.get_by_text("1. Ann: paused").click()
        until(lambda: "Ann: paused" in words(tab, "status"))
        tab.click("#resume")
        until(lambda: Run(ann).steps > stopped, 120)
        tab.click("#finish")
        until(lambda: "1. Ann: done" in words(tab, "queue"), 120)
        finished = Run(ann).steps
        fill(tab, "more", "6")
        tab.click("#extend")
        until(lambda: Run(ann).steps >= finished + 6 and "1. Ann: done" in words(tab, "queue"), 120)

        go(tab, "Results")
        until(lambda: tab.input_value("#run input"))
        choose(tab, "run", "1. Ann")
        frame = tab.frame_locator("#report iframe")
        until(lambda: frame.locator("audio").count() >= 4)
        frame.locator("audio").first.evaluate("player => player.play()")  # a policy may forbid that
        tab.screenshot(path=tmp_path / "results.png", full_page=True)
        fill(tab, "voice_name", "af_ann")
        tab.click("#export")
        until(lambda: "safetensors" in words(tab, "files"))
        with tab.expect_download() as download:
            tab.locator("#files a").first.click()
        download.value.save_as(tmp_path / "ann.safetensors")
        assert load_voice(tmp_path / "ann.safetensors").tobytes() == load_voice(ann / "best.pt").tobytes()

        go(tab, "Speak")
        until(lambda: tab.input_value("#voice input"))
        fill(tab, "text", "Good night.")
        fill(tab, "blend", "af_amber(2)+am_boris(1)")
        tab.click("#say")
        until(lambda: "0:0" in words(tab, "said"))
        fill(tab, "blend", "/etc/passwd")
        tab.click("#say")
        tab.get_by_text("expected one of the list, or a blend").wait_for()

        go(tab, "Compare")
        until(lambda: tab.input_value("#voice_a input") and tab.input_value("#voice_b input"))
        both = {tab.input_value("#voice_a input"), tab.input_value("#voice_b input")}
        tab.click("#both")
        until(lambda: "0:0" in words(tab, "right"))
        assert not any(name in tab.inner_html("#left") + words(tab, "verdict") for name in both)
        tab.click("#first")
        until(lambda: all(name in words(tab, "verdict") for name in both))
        tab.screenshot(path=tmp_path / "compare.png", full_page=True)
        tab.close()
        assert server.stop() in (0, 130)
    assert faults == []
    assert not [log for log in folder.glob("web*.log") if "Traceback" in log.read_text("utf-8")]


def ask(server, method, path, body=b"", **headers):
    """The status and the text of the answer to a request that is sent as it is."""
    host, port = urlsplit(server.address).netloc.split(":")
    connection = HTTPConnection(host, int(port), timeout=20)
    own = {"Host": f"{host}:{port}", "Content-Length": str(len(body)), **({"Origin": server.address} if body else {})}
    connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
    for name, value in {**own, **{name.replace("_", "-"): value for name, value in headers.items()}}.items():
        if value is not None:
            connection.putheader(name, value)
    connection.endheaders()
    connection.send(body)
    answer = connection.getresponse()
    return answer.status, answer.read().decode("utf-8", "replace"), answer.headers


def upload(server, name, content):
    """Where the page keeps what is uploaded."""
    body = b'--x\r\nContent-Disposition: form-data; name="files"; filename="' + name.encode() + b'"\r\n\r\n'
    kind = {"Content_Type": "multipart/form-data; boundary=x"}
    return ask(server, "POST", "/gradio_api/upload", body + content + b"\r\n--x--\r\n", **kind)


def told(server, function, data):
    """What a function of the page answers, whatever it is handed."""
    body = json.dumps({"data": data, "fn_index": function, "session_hash": "stranger"}).encode()
    status, text, _ = ask(server, "POST", "/gradio_api/queue/join", body, Content_Type="application/json")
    if status != 200:
        return text
    return ask(server, "GET", "/gradio_api/queue/data?session_hash=stranger")[1]


HOSTILE = [
    *("/etc/passwd", "//etc/passwd", "/../../../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/..%2f..%2fetc%2fpasswd"),
    *("/assets/../../../../etc/passwd", "/assets/%2e%2e/%2e%2e/%2e%2e/etc/passwd", "/static/..%5c..%5cetc%5cpasswd"),
    *("/gradio_api/file=/etc/passwd", "/gradio_api/file=//etc/passwd", "/gradio_api/file=%2fetc%2fpasswd"),
    *("/gradio_api/file=../../../../etc/passwd", "/gradio_api/file=..%252f..%252fetc%252fpasswd"),
    *(
        "/gradio_api/file=file:///etc/passwd",
        "/gradio_api/file=http://127.0.0.1:1/",
        "/gradio_api/file=/proc/self/environ",
    ),
    *(
        "/gradio_api/file=SHELF/../FOLDER/web0.log",
        "/gradio_api/file=FOLDER/web0.log",
        "/gradio_api/file=FOLDER/outputs/web",
    ),
    *("/gradio_api/file/etc/passwd", "/gradio_api/proxy=http://127.0.0.1:1/", "/gradio_api/proxy=https://example.com/"),
    *("/reports/../../etc/passwd", "/reports/0000000000000000", "/reports/%2e%2e%2f", "/monitoring/summary", "/docs"),
    *(
        "/gradio_api/openapi.json",
        "/gradio_api/deep_link",
        "/gradio_api/call/x/y",
        "/gradio_api/stream/a/0/1/playlist.m3u8",
    ),
]


@pytest.mark.parametrize("path", HOSTILE)
def test_what_is_not_the_pages_is_not_there(served, path):
    path = path.replace("FOLDER", str(served.folder))
    status, text, _ = ask(served, "GET", path)
    assert status in (400, 403, 404) and "root:" not in text and "The page is at" not in text


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": None},
        {"Origin": "http://localhost:1"},
        {"Host": "evil.example"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Content_Length": "1000000000"},
        {"Content_Length": None, "Transfer_Encoding": "chunked"},
    ],
)
@pytest.mark.parametrize("path", ["/gradio_api/queue/join", "/gradio_api/upload", "/gradio_api/cancel"])
def test_nobody_else_changes_anything(served, path, headers):
    body = b"2\r\n{}\r\n0\r\n\r\n" if "Transfer_Encoding" in headers else b"{}"
    status, *_ = ask(served, "POST", path, body, Content_Type="application/json", **headers)
    assert status in (403, 411, 413)


@pytest.mark.parametrize(
    "name", ["clip.wav", "../../../../tmp/evil.wav", "a\\..\\b.wav", "page.html", "virus.exe", "x.svg"]
)
def test_an_upload_of_any_type_stays_where_uploads_are_and_is_no_page(served, name):
    status, text, _ = upload(served, name, b"<script>alert(1)</script>")
    assert status == 200
    (path,) = json.loads(text)
    assert "/kvw-web-" in path and ".." not in path.split("/")
    status, _, headers = ask(served, "GET", f"/gradio_api/file={path}".replace(" ", "%20"))
    assert status == 200 and headers["x-content-type-options"] == "nosniff"
    assert "attachment" in headers.get("content-disposition", "") or headers["content-type"].startswith("audio/")
    clip = next(one["id"] for one in config(served)["components"] if one["type"] == "audio")
    function = next(one["id"] for one in config(served)["dependencies"] if one["inputs"] == [clip])
    assert "expected" in told(served, function, [{"path": path, "meta": {"_type": "gradio.FileData"}}])


def config(server):
    return json.loads(ask(server, "GET", "/config")[1])


def test_no_function_of_the_page_takes_a_path_or_an_address_of_a_strangers(served):
    with socket.create_server(("127.0.0.1", 0)) as trap:
        trap.settimeout(1)
        port = trap.getsockname()[1]
        files = {"audio", "uploadbutton"}
        parts = {one["id"]: one for one in config(served)["components"]}
        asked = 0
        for function in config(served)["dependencies"]:
            kinds = [parts[number]["type"] for number in function["inputs"]]
            for path in ("/etc/passwd", f"{served.folder}/web0.log", f"http://127.0.0.1:{port}/"):
                if not files & {*kinds}:
                    continue
                given = {"path": path, "url": path, "orig_name": "a.wav", "meta": {"_type": "gradio.FileData"}}
                data = [
                    given if kind in files else parts[number]["props"].get("value")
                    for kind, number in zip(kinds, function["inputs"], strict=True)
                ]
                answer = told(served, function["id"], data)
                assert "root:" not in answer and "The page is at" not in answer
                assert '"success":false' in answer.replace(" ", "") or "expected" in answer
                asked += 1
        assert asked >= 9
        with pytest.raises(TimeoutError):
            trap.accept()
    assert not list((served.folder / "outputs" / "web").glob("0*"))


def test_the_page_is_on_this_machine_alone_and_has_one_queue(served, arguments, capfd, monkeypatch):
    assert served.address.startswith("http://127.0.0.1:")
    port = served.address.rpartition(":")[2]
    monkeypatch.chdir(served.folder)
    assert invoke(["task=web", f"task.port={port}", *arguments]) == 2
    assert "task.port: expected a free port" in capfd.readouterr().err
    assert invoke(["task=web", "task.port=0", *arguments]) == 3
    assert "expected a queue that is not at work" in capfd.readouterr().err
    assert invoke(["task=web", "task.port=99999", *arguments]) == 2


def test_without_gradio_it_says_what_to_install(monkeypatch, capfd, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "gradio", None)
    assert invoke(["task=web"]) == 2
    assert "pip install 'kvw[web]'" in capfd.readouterr().err
    assert list(tmp_path.iterdir()) == []
