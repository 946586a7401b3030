"""What the web page can do, without the page: real speech of the embedded synthesiser, a real run."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from kvw.atlas.adjust import Change
from kvw.audio.decode import decode_file
from kvw.audio.target import read_target
from kvw.audio.timbre import timbre
from kvw.config.paths import DEMO
from kvw.errors import KvwError
from kvw.runs.artifacts import spoken_path
from kvw.runs.reader import Run
from kvw.voices.files import load_voice, save_voice
from kvw.web.models import Models
from kvw.web.service import MOST_SPOKEN
from tests.support.browser import until

pytestmark = pytest.mark.long


def uploaded(service, path, name=None):
    """A file as the page would hand it over."""
    folder = service.files.folder / "0123"
    folder.mkdir(exist_ok=True)
    return str(shutil.copy(path, folder / (name or path.name)))


def test_a_recording_is_checked_in_the_searchs_own_words(service, tmp_path):
    clip = uploaded(service, DEMO)
    summary, held_out, *doubts = service.check(clip).splitlines()
    assert summary == read_target(str(DEMO), None).summary and held_out.endswith("which the search does not use")
    assert doubts == []
    (tmp_path / "words.wav").write_text("these are only words")
    bad = uploaded(service, tmp_path / "words.wav")
    with pytest.raises(KvwError) as refused:
        read_target(bad, None)
    with pytest.raises(KvwError) as said:
        service.check(bad)
    assert str(said.value) == str(refused.value).replace(bad, "words.wav")


@pytest.mark.parametrize("path", ["/etc/passwd", "kvw.yaml", "SHELF/../elsewhere.wav", "SHELF", "SHELF/nothing.wav"])
def test_no_path_of_a_request_is_trusted(service, tmp_path, path):
    shutil.copy(DEMO, tmp_path / "elsewhere.wav")
    path = path.replace("SHELF", str(service.files.folder))
    asks = (service.check, service.transcribe, service.keep_voice, lambda clip: service.enqueue(clip, "", "", *OF_FORM))
    for ask in asks:
        with pytest.raises(KvwError, match="expected a file that was uploaded"):
            ask(path)
    with pytest.raises(KvwError, match="expected one of the list"):
        service.speak(path, "Hello.")
    assert service.queue.jobs == []


OF_FORM = ("American English", "quick", 0, 0)


def test_the_predicted_voice_speaks_before_any_search(service, embedded, monkeypatch):
    clip = uploaded(service, DEMO)
    heard = {
        words: decode_file(service.first_voice(clip, words, "American English"))
        for words in ("", "Good night.", "All the words of the recording. " * 9)
    }
    own, said, long = heard.values()
    assert np.array_equal(own, long) and len(said) < len(own), "long words would have somebody wait"
    for voice in service.models.bank("embedded").values():
        (stock,) = embedded([voice], embedded.script("Good night."), 0)
        assert len(stock) != len(said) or not np.allclose(stock, said, rtol=0, atol=2 / 32767)
    french = decode_file(service.first_voice(clip, "", "French"))
    assert french.tobytes() != own.tobytes()
    with pytest.raises(KvwError, match="expected a language of the page's"):
        service.first_voice(clip, "", "x")
    monkeypatch.setattr(service.models.speaker("embedded"), "model", "embedded-0")
    assert service.first_voice(clip, "", "American English") is None, "there is no atlas of such a model"


def test_the_models_are_loaded_once_and_early(service, monkeypatch):
    made = []
    monkeypatch.setattr("kvw.web.models.encoder_of", lambda cfg: made.append(cfg))
    models = Models(service.cfg)
    models.warm_up()
    speaker = models.speaker("embedded")
    assert (len(made), models.encoder()) == (1, None)
    assert models.speaker("embedded", "a") is speaker and models.speaker("embedded", "f") is not speaker


def test_a_search_has_what_the_form_says(service):
    clip = uploaded(service, DEMO, "me, my $HOME's.flac")
    job = service.enqueue(clip, " Ann ", "The words.\nOf /etc/passwd.txt", "British English", "genetic", 2.5, 300)
    assert (job.title, job.folder.name, job.search, job.language) == ("Ann", "0001-Ann", "strategy=genetic", "b")
    assert (job.minutes, job.candidates, job.clip) == (2.5, 300, "Ann.flac")
    assert (job.folder / "Ann.flac").read_bytes() == DEMO.read_bytes()
    assert (job.folder / "words.txt").read_text("utf-8") == "The words. Of /etc/passwd.txt"
    odd = service.enqueue(uploaded(service, DEMO, "words.txt"), "", "", "American English", "quick", None, None)
    assert (odd.title, odd.clip, odd.minutes, odd.candidates) == ("words", "words", 0, 0)
    assert {path.name for path in odd.folder.iterdir()} == {"job.json", "words"}


def test_the_demo_is_taken_like_an_upload(service):
    clip, words = service.demo()
    assert words.startswith("The old ferry") and service.check(clip).startswith("demo, 17.0 s")
    assert service.enqueue(clip, "", words, *OF_FORM).clip == "demo.flac"
    with pytest.raises(KvwError, match="drop one, or take the demo"):
        service.enqueue(None, "", words, *OF_FORM)


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
def test_a_form_that_the_page_does_not_offer_is_refused(service, form):
    clip, _ = service.demo()
    with pytest.raises(KvwError, match="expected"):
        service.enqueue(clip, "", "", *form)
    with pytest.raises(KvwError, match=f"expected {MOST_SPOKEN} characters at most"):
        service.enqueue(clip, "", "a" * 5000, *OF_FORM)
    assert service.queue.jobs == []


def test_a_voice_of_any_kind_speaks(service, embedded, bank):
    (label,) = service.runs()
    assert {label, "af_amber", "am_boris"} <= {*service.voices()}
    heard = {
        name: decode_file(service.speak(name, "Good night.")) for name in (label, "af_amber", "af_amber(1)+am_boris(2)")
    }
    (expected,) = embedded([bank["af_amber"]], embedded.script("Good night."), 0)
    np.testing.assert_allclose(heard["af_amber"], expected, rtol=0, atol=1 / 32767)
    assert len({wave.tobytes() for wave in heard.values()}) == 3
    slow = decode_file(service.speak("af_amber", "Good night.", 0.5))
    assert len(slow) > 1.5 * len(expected)
    for voice, text, speed in (
        ("af_nobody", "Hi.", 1.0),
        ("af_amber", " ", 1.0),
        ("af_amber", "Hi.", 9.0),
        ("", "Hi.", 1.0),
        ("af_amber" + " " * 1_000_000, "Hi.", 1.0),
    ):
        with pytest.raises(KvwError, match="expected"):
            service.speak(voice, text, speed)


def test_a_voice_can_be_brought_and_is_there_for_the_next_page(service, bank, tmp_path):
    save_voice(tmp_path / "mine.pt", bank["am_felix"], {"synthesiser": "kokoro"})
    label = service.keep_voice(uploaded(service, tmp_path / "mine.pt"))
    assert service.voices()[label] == str(service.queue.folder / "voices" / "mine.pt")
    np.testing.assert_array_equal(load_voice(service.queue.folder / "voices" / "mine.pt"), bank["am_felix"])
    save_voice(tmp_path / "mine.pt", bank["af_amber"], {"synthesiser": "kokoro"})
    other = service.keep_voice(uploaded(service, tmp_path / "mine.pt"))
    assert other != label and other == service.keep_voice(uploaded(service, tmp_path / "mine.pt"))
    assert [load_voice(Path(service.voices()[one]))[0, 0, 0] for one in (label, other)] == [
        bank[name][0, 0, 0] for name in ("am_felix", "af_amber")
    ]
    with pytest.raises(KvwError, match=r"^demo\.flac: "):
        service.keep_voice(uploaded(service, DEMO))


def test_a_voice_is_changed_as_it_is_heard_and_kept(service, bank, monkeypatch):
    change = Change(brightness=15)
    named, changed = service.change("af_amber", change)
    assert named.name == "af_amber" and changed.measured["brightness"] == pytest.approx(15, abs=2)
    monkeypatch.setattr(service.models, "changer", None)  # the latest changes are remembered
    usual, bright = (decode_file(service.speak("af_amber", "Good night.", change=one)) for one in (Change(), change))
    assert timbre(bright)[0] > timbre(usual)[0] + 0.05
    label = service.keep_change("af_amber", change)
    np.testing.assert_array_equal(load_voice(service.voices()[label]), changed.voice)
    assert np.array_equal(decode_file(service.speak(label, "Good night.")), bright)
    monkeypatch.undo()
    assert service.keep_change("af_amber", Change(brightness=-15)) != label, "another change has a file of its own"
    with pytest.raises(KvwError, match="expected one of the list"):
        service.change("af_nobody", change)
    with pytest.raises(KvwError, match="expected a change to keep"):
        service.keep_change("af_amber", Change())


def test_a_voice_is_exported_in_the_formats_that_it_can_have(service):
    (label,) = service.runs()
    assert service.formats(label) == ["safetensors"]
    (path,) = service.export(label, ["safetensors"], "sam", "m")
    assert path.is_relative_to(service.files.folder) and path.suffix == ".safetensors"
    best = next(iter(service.runs().values())).folder / "best.pt"
    np.testing.assert_array_equal(load_voice(path), load_voice(best))
    with pytest.raises(KvwError, match=r"expected a voice of Kokoro's for npz"):
        service.export(label, ["npz"], "", "m")
    with pytest.raises(KvwError, match="expected one of the list"):
        service.export("../../etc", ["pt"], "", "m")
    with pytest.raises(KvwError, match="choose one"):
        service.export(label, [], "", "m")


def test_the_best_stock_voice_says_what_the_best_voice_says(service):
    (run,) = service.runs().values()
    judged = spoken_path(run.folder, "stock", 0)
    assert service.stock(run).read_bytes() == judged.read_bytes()
    kept = judged.rename(judged.with_stem("kept"))
    try:
        until(lambda: service.stock(run))  # a run that is not done
        np.testing.assert_allclose(decode_file(service.stock(run)), decode_file(kept), rtol=0, atol=2 / 32767)
    finally:
        kept.rename(judged)


def test_another_voice_that_a_run_kept_is_picked_heard_and_exported(service, bank):
    ((label, run),) = service.runs().items()
    scores = {"target_similarity": 0.99, "words_similarity": 0.5}
    path = run.folder / "out_3.pt"
    save_voice(path, bank["am_felix"], {"synthesiser": "embedded", "step": 3, "scores": scores, "quality": 4.5})
    try:
        (first, _), (file, voice) = service.front(label).items()
        assert (first, file, voice.words, voice.quality) == ("best.pt", "out_3.pt", 0.5, 4.5)
        assert service.picked(label, file) == (voice, None)
        (exported,) = service.export(label, ["safetensors"], "", "m", file)
        assert exported.name.startswith("am_step_3.")
        np.testing.assert_array_equal(load_voice(exported), bank["am_felix"])
    finally:
        for made in (path, path.with_suffix(".json")):
            made.unlink()
    for stranger in ("out_3.pt", "../../elsewhere.pt", ""):
        with pytest.raises(KvwError, match="expected one that the run kept"):
            service.export(label, ["safetensors"], "", "m", stranger)


def test_a_report_is_found_by_its_key_alone_and_made_where_there_is_none(service):
    ((label, run),) = service.runs().items()
    key = service.report_key(label)
    assert service.report_page(key) == (run.folder / "report.html").read_text("utf-8")
    (run.folder / "report.html").unlink()
    assert "Held-out similarity" in service.report_page(key)
    for other in ("0" * 16, "../../../etc/passwd", ""):
        with pytest.raises(KvwError, match="there is none of that name"):
            service.report_page(other)
    assert Run(run.folder).status == "done"
