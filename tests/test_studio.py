"""What the web page can do, without the page: real speech of the embedded synthesiser, a real run."""

import shutil

import hydra
import numpy as np
import pytest

from kvw import cli, decode, target, voices
from kvw.runs import Run
from kvw.types import KvwError
from kvw.web.jobs import Queue
from kvw.web.studio import MOST_SPOKEN, Curve, Studio
from tests.conftest import ROOT, SHORT

DEMO = ROOT / "kvw" / "data" / "demo.flac"


@pytest.fixture(scope="module")
def outputs(tmp_path_factory, bank):
    """Runs: one, of a few candidates, with a report."""
    here = tmp_path_factory.mktemp("studio") / "a b"
    (here / "bank").mkdir(parents=True)
    for name in ("af_amber", "am_boris", "am_felix"):
        voices.save(here / "bank" / f"{name}.pt", bank[name], {"synthesiser": "embedded"})
    (here / "heldout.txt").write_text("Nobody was there.\n")
    settings = {**SHORT, "voice_folder": here / "bank", "heldout_texts": here / "heldout.txt", "synth": "embedded"}
    settings |= {"step_limit": 12, "space": "coherent", "executor.scorers": 0, "judges": "none"}
    arguments = [f"{key}={value}" for key, value in settings.items()]
    assert cli.run([*arguments, f"hydra.run.dir={cli.quote(str(here / 'outputs'))}"]) == 0
    return here / "outputs"


@pytest.fixture
def studio(outputs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with hydra.initialize_config_dir(str(cli.CONF), version_base="1.3"):
        cfg = hydra.compose("kvw", overrides=cli.quoted([f"voice_folder={outputs.parent / 'bank'}", "synth=embedded"]))
    (tmp_path / "shelf").mkdir()
    given = ["synth=embedded", "step_limit=7", "experiment=thorough", "voice_folder=it's a, b"]
    return Studio(cfg, outputs, Queue(tmp_path / "queue"), tmp_path / "shelf", given)


def uploaded(studio, path, name=None):
    """A file as the page would hand it over."""
    folder = studio.shelf / "0123"
    folder.mkdir(exist_ok=True)
    return str(shutil.copy(path, folder / (name or path.name)))


def test_a_recording_is_checked_in_the_searchs_own_words(studio, tmp_path):
    clip = uploaded(studio, DEMO)
    summary, held_out, *doubts = studio.check(clip).splitlines()
    assert summary == target.read(str(DEMO), None).summary and held_out.endswith("which the search does not use")
    assert doubts == []
    (tmp_path / "words.wav").write_text("these are only words")
    bad = uploaded(studio, tmp_path / "words.wav")
    with pytest.raises(KvwError) as refused:
        target.read(bad, None)
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


def test_a_search_has_what_the_form_and_the_command_line_say(studio):
    clip = uploaded(studio, DEMO, "me, my $HOME's.flac")
    job = studio.enqueue(clip, " Ann ", "The words.\nOf /etc/passwd.txt", "British English", "genetic", 2.5, 300)
    assert job.title == "Ann" and job.folder.name == "0001-Ann"
    assert job.arguments[:2] == ["synth=embedded", "voice_folder=it's a, b"]
    assert job.arguments[2:4] == ["strategy=genetic", "language=b"] and job.arguments[6:8] == [
        "minutes=2.5",
        "step_limit=300",
    ]
    for argument, key in zip(job.arguments[4:6], ("target_audio", "target_text"), strict=True):
        assert argument.startswith(f"{key}={job.folder}/")
    assert (job.folder / "Ann.flac").read_bytes() == DEMO.read_bytes()
    assert (job.folder / "words.txt").read_text("utf-8") == "The words. Of /etc/passwd.txt"
    demo = studio.enqueue(None, "", "", *OF_FORM)
    assert not [one for one in demo.arguments if one.partition("=")[0] in ("target_audio", "target_text", "step_limit")]


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
    with pytest.raises(KvwError, match="expected"):
        studio.enqueue(None, "", "", *form)
    with pytest.raises(KvwError, match=f"expected {MOST_SPOKEN} characters at most"):
        studio.enqueue(None, "", "a" * 5000, *OF_FORM)
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

    grown = Curve([])
    while grown.last < whole.last:
        grown.read(Growing())
    grown.read(run)
    assert grown == whole


def test_a_voice_of_any_kind_speaks(studio, embedded, bank):
    (label,) = studio.runs()
    assert {label, "af_amber", "am_boris"} <= {*studio.voices()}
    heard = {
        name: decode.read(studio.speak(name, "Good night.")) for name in (label, "af_amber", "af_amber(1)+am_boris(2)")
    }
    (expected,) = embedded([bank["af_amber"]], embedded.script("Good night."), 0)
    np.testing.assert_allclose(heard["af_amber"], expected, rtol=0, atol=1 / 32767)
    assert len({wave.tobytes() for wave in heard.values()}) == 3
    slow = decode.read(studio.speak("af_amber", "Good night.", 0.5))
    assert len(slow) > 1.5 * len(expected)
    for voice, text, speed in (
        ("af_nobody", "Hi.", 1.0),
        ("af_amber", " ", 1.0),
        ("af_amber", "Hi.", 9.0),
        ("", "Hi.", 1.0),
    ):
        with pytest.raises(KvwError, match="expected"):
            studio.speak(voice, text, speed)


def test_a_voice_can_be_brought_and_is_there_for_the_next_page(studio, bank, tmp_path):
    voices.save(tmp_path / "mine.pt", bank["am_felix"], {"synthesiser": "kokoro"})
    label = studio.take(uploaded(studio, tmp_path / "mine.pt"))
    assert studio.voices()[label] == str(studio.queue.folder / "voices" / "mine.pt")
    np.testing.assert_array_equal(voices.load(studio.queue.folder / "voices" / "mine.pt"), bank["am_felix"])
    with pytest.raises(KvwError, match=r"^demo\.flac: "):
        studio.take(uploaded(studio, DEMO))


def test_a_voice_is_exported_in_the_formats_that_it_can_have(studio):
    (label,) = studio.runs()
    assert studio.formats(label) == ["safetensors"]
    (path,) = studio.export(label, ["safetensors"], "sam", "m")
    assert path.is_relative_to(studio.shelf) and path.suffix == ".safetensors"
    best = next(iter(studio.runs().values())).folder / "best.pt"
    np.testing.assert_array_equal(voices.load(path), voices.load(best))
    with pytest.raises(KvwError, match=r"expected a voice of Kokoro's for npz"):
        studio.export(label, ["npz"], "", "m")
    with pytest.raises(KvwError, match="expected one of the list"):
        studio.export("../../etc", ["pt"], "", "m")


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
