"""What the web page can do, without the page: real speech of the embedded synthesiser, a real run."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from kvw.audio.decode import decode_file
from kvw.audio.target import read_target
from kvw.cli.main import invoke
from kvw.config.arguments import quote, quoted
from kvw.config.invocation import compose
from kvw.config.paths import DEMO
from kvw.errors import KvwError
from kvw.runs.reader import Run
from kvw.voices.files import load_voice, save_voice
from kvw.web.app import given
from kvw.web.curve import Curve
from kvw.web.queue import Queue
from kvw.web.service import MOST_SPOKEN, Service
from tests.conftest import SHORT

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def outputs(tmp_path_factory, bank):
    """Runs: one, of a few candidates, with a report."""
    here = tmp_path_factory.mktemp("studio") / "a b"
    (here / "bank").mkdir(parents=True)
    for name in ("af_amber", "am_boris", "am_felix"):
        save_voice(here / "bank" / f"{name}.pt", bank[name], {"synthesiser": "embedded"})
    (here / "heldout.txt").write_text("Nobody was there.\n")
    settings = {**SHORT, "voice_folder": here / "bank", "heldout_texts": here / "heldout.txt", "synth": "embedded"}
    settings |= {"step_limit": 12, "space": "coherent", "executor.scorers": 0, "judges": "none"}
    arguments = [f"{key}={value}" for key, value in settings.items()]
    assert invoke([*arguments, f"hydra.run.dir={quote(str(here / 'outputs'))}"]) == 0
    return here / "outputs"


@pytest.fixture
def studio(outputs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cfg = compose(*quoted([f"voice_folder={outputs.parent / 'bank'}", "synth=embedded"])).cfg
    (tmp_path / "shelf").mkdir()
    (tmp_path / "queue").mkdir()
    return Service(cfg, outputs, Queue(tmp_path / "queue", []), tmp_path / "shelf")


def uploaded(studio, path, name=None):
    """A file as the page would hand it over."""
    folder = studio.shelf / "0123"
    folder.mkdir(exist_ok=True)
    return str(shutil.copy(path, folder / (name or path.name)))


def test_a_recording_is_checked_in_the_searchs_own_words(studio, tmp_path):
    clip = uploaded(studio, DEMO)
    summary, held_out, *doubts = studio.check(clip).splitlines()
    assert summary == read_target(str(DEMO), None).summary and held_out.endswith("which the search does not use")
    assert doubts == []
    (tmp_path / "words.wav").write_text("these are only words")
    bad = uploaded(studio, tmp_path / "words.wav")
    with pytest.raises(KvwError) as refused:
        read_target(bad, None)
    with pytest.raises(KvwError) as said:
        studio.check(bad)
    assert str(said.value) == str(refused.value).replace(bad, "words.wav")


@pytest.mark.parametrize("path", ["/etc/passwd", "kvw.yaml", "SHELF/../elsewhere.wav", "SHELF", "SHELF/nothing.wav"])
def test_no_path_of_a_request_is_trusted(studio, tmp_path, path):
    shutil.copy(DEMO, tmp_path / "elsewhere.wav")
    path = path.replace("SHELF", str(studio.shelf))
    asks = (studio.check, studio.transcribe, studio.take, lambda clip: studio.enqueue(clip, "", "", *OF_FORM))
    for ask in asks:
        with pytest.raises(KvwError, match="expected a file that was uploaded"):
            ask(path)
    with pytest.raises(KvwError, match="expected one of the list"):
        studio.speak(path, "Hello.")
    assert studio.queue.jobs == []


OF_FORM = ("American English", "quick", 0, 0)


def test_a_search_has_what_the_form_says(studio):
    clip = uploaded(studio, DEMO, "me, my $HOME's.flac")
    job = studio.enqueue(clip, " Ann ", "The words.\nOf /etc/passwd.txt", "British English", "genetic", 2.5, 300)
    assert (job.title, job.folder.name, job.search, job.language) == ("Ann", "0001-Ann", "strategy=genetic", "b")
    assert (job.minutes, job.candidates, job.clip) == (2.5, 300, "Ann.flac")
    assert (job.folder / "Ann.flac").read_bytes() == DEMO.read_bytes()
    assert (job.folder / "words.txt").read_text("utf-8") == "The words. Of /etc/passwd.txt"
    odd = studio.enqueue(uploaded(studio, DEMO, "words.txt"), "", "", "American English", "quick", None, None)
    assert (odd.title, odd.clip, odd.minutes, odd.candidates) == ("words", "words", 0, 0)
    assert {path.name for path in odd.folder.iterdir()} == {"job.json", "words"}


def test_the_demo_is_taken_like_an_upload(studio):
    clip, words = studio.demo()
    assert words.startswith("The old ferry") and studio.check(clip).startswith("demo, 17.0 s")
    assert studio.enqueue(clip, "", words, *OF_FORM).clip == "demo.flac"
    with pytest.raises(KvwError, match="drop one, or take the demo"):
        studio.enqueue(None, "", words, *OF_FORM)


@pytest.mark.parametrize(
    "form",
    [
        ("American English", "strategy=genetic", 0, 0),
        ("a", "quick", 0, 0),
        ("American English", "quick", -1, 0),
        ("American English", "quick", float("nan"), 0),
        ("American English", "quick", 0, 1e9),
    ],
)
def test_a_form_that_the_page_does_not_offer_is_refused(studio, form):
    clip, _ = studio.demo()
    with pytest.raises(KvwError, match="expected"):
        studio.enqueue(clip, "", "", *form)
    with pytest.raises(KvwError, match=f"expected {MOST_SPOKEN} characters at most"):
        studio.enqueue(clip, "", "a" * 5000, *OF_FORM)
    assert studio.queue.jobs == []


def test_a_curve_grows_with_its_run_and_is_the_runs(studio, outputs):
    (run,) = (one for one in studio.runs().values())
    whole = studio.curve(run)
    seen = list(run.candidates())
    better = [(one.step + 1, one.evaluation.score) for one in run.improvements(iter(seen))]
    assert [point for point in whole.points if point in better] == better
    assert (whole.last, whole.stopped) == (seen[-1].step, sum(one.evaluation.status == "stopped" for one in seen))

    class Growing:
        def candidates(self, after):
            return iter([one for one in run.candidates(after) if one.step <= after + 5])

    grown = Curve()
    while grown.last < whole.last:
        grown.read(Growing())
    grown.read(run)
    assert grown == whole


def test_a_voice_of_any_kind_speaks(studio, embedded, bank):
    (label,) = studio.runs()
    assert {label, "af_amber", "am_boris"} <= {*studio.voices()}
    heard = {
        name: decode_file(studio.speak(name, "Good night.")) for name in (label, "af_amber", "af_amber(1)+am_boris(2)")
    }
    (expected,) = embedded([bank["af_amber"]], embedded.script("Good night."), 0)
    np.testing.assert_allclose(heard["af_amber"], expected, rtol=0, atol=1 / 32767)
    assert len({wave.tobytes() for wave in heard.values()}) == 3
    slow = decode_file(studio.speak("af_amber", "Good night.", 0.5))
    assert len(slow) > 1.5 * len(expected)
    for voice, text, speed in (
        ("af_nobody", "Hi.", 1.0),
        ("af_amber", " ", 1.0),
        ("af_amber", "Hi.", 9.0),
        ("", "Hi.", 1.0),
        ("af_amber" + " " * 1_000_000, "Hi.", 1.0),
    ):
        with pytest.raises(KvwError, match="expected"):
            studio.speak(voice, text, speed)


def test_a_voice_can_be_brought_and_is_there_for_the_next_page(studio, bank, tmp_path):
    save_voice(tmp_path / "mine.pt", bank["am_felix"], {"synthesiser": "kokoro"})
    label = studio.take(uploaded(studio, tmp_path / "mine.pt"))
    assert studio.voices()[label] == str(studio.queue.folder / "voices" / "mine.pt")
    np.testing.assert_array_equal(load_voice(studio.queue.folder / "voices" / "mine.pt"), bank["am_felix"])
    save_voice(tmp_path / "mine.pt", bank["af_amber"], {"synthesiser": "kokoro"})
    other = studio.take(uploaded(studio, tmp_path / "mine.pt"))
    assert other != label and other == studio.take(uploaded(studio, tmp_path / "mine.pt"))
    assert [load_voice(Path(studio.voices()[one]))[0, 0, 0] for one in (label, other)] == [
        bank[name][0, 0, 0] for name in ("am_felix", "af_amber")
    ]
    with pytest.raises(KvwError, match=r"^demo\.flac: "):
        studio.take(uploaded(studio, DEMO))


def test_a_voice_is_exported_in_the_formats_that_it_can_have(studio):
    (label,) = studio.runs()
    assert studio.formats(label) == ["safetensors"]
    (path,) = studio.export(label, ["safetensors"], "sam", "m")
    assert path.is_relative_to(studio.shelf) and path.suffix == ".safetensors"
    best = next(iter(studio.runs().values())).folder / "best.pt"
    np.testing.assert_array_equal(load_voice(path), load_voice(best))
    with pytest.raises(KvwError, match=r"expected a voice of Kokoro's for npz"):
        studio.export(label, ["npz"], "", "m")
    with pytest.raises(KvwError, match="expected one of the list"):
        studio.export("../../etc", ["pt"], "", "m")
    with pytest.raises(KvwError, match="choose one"):
        studio.export(label, [], "", "m")


def test_of_a_file_that_changes_the_last_two_copies_are_served(studio, tmp_path):
    source, served = tmp_path / "best.wav", []
    for number in range(5):
        source.write_bytes(b"RIFF" * (number + 1))
        served.append(studio.served(source))
        assert studio.served(source) == served[-1] and served[-1].read_bytes() == source.read_bytes()
    assert [path.exists() for path in served] == [False, False, False, True, True]
    (tmp_path / "link.wav").symlink_to("/etc/passwd")
    with pytest.raises(KvwError, match="got a link"):
        studio.served(tmp_path / "link.wav")


def test_a_report_is_found_by_its_key_alone_and_made_where_there_is_none(studio):
    ((label, run),) = studio.runs().items()
    key = studio.report(label)
    assert studio.written(key) == (run.folder / "report.html").read_text("utf-8")
    (run.folder / "report.html").unlink()
    assert "Held-out similarity" in studio.written(key)
    for other in ("0" * 16, "../../../etc/passwd", ""):
        with pytest.raises(KvwError, match="there is none of that name"):
            studio.written(other)
    assert Run(run.folder).status == "done"


def test_what_the_pages_command_line_says_is_said_to_every_search_as_it_was_typed(monkeypatch):
    own = ["task=web", "task.port=0", "target_text=x", "minutes=3", "experiment=thorough"]
    typed = ["synth=embedded", "voice_folder=it's a, ${b}", "heldout_audio=[a b.wav,c.wav]", "heldout_texts=null"]
    overrides = SimpleNamespace(task=quoted([*own, *typed, "executor.threads=2"]))
    monkeypatch.setattr("kvw.web.app.HydraConfig.get", lambda: SimpleNamespace(overrides=overrides))
    assert given() == [*typed, "executor.threads=2"]
