"""The embedded synthesiser, judged by its audio."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import librosa
import numpy as np
import pytest
import torch
from resemblyzer import VoiceEncoder

from kvw.errors import EXIT_BAD_INPUT, KvwError
from kvw.speech.embedded import espeak
from kvw.speech.embedded.stock_voices import stock_voices
from kvw.speech.embedded.style import decode_style
from kvw.speech.embedded.synthesizer import PAUSE, EmbeddedSynthesizer, analysis
from kvw.speech.embedded.vocoder import LEVEL
from kvw.speech.synthesizer import Script
from kvw.types import SAMPLE_RATE, VOICE_SHAPE, Voice, Wave
from tests.conftest import ROOT
from tests.support.embedded import AMBER, BANK, TEXT, VOICES, embedding, log_mel, rms


@pytest.fixture(scope="module")
def bank_waves(synth: EmbeddedSynthesizer, script: Script) -> dict[str, Wave]:
    return dict(zip(BANK, synth(VOICES, script, 0), strict=True))


def median_f0(wave: Wave) -> float:
    """Hz, over the loud frames."""
    f0 = librosa.yin(wave, fmin=60, fmax=400, sr=SAMPLE_RATE)
    loud = librosa.feature.rms(y=wave)[0] > LEVEL / 2
    return float(np.median(f0[loud]))


def with_pitch(voice: Voice, factor: float) -> Voice:
    """The voice with ``factor`` added to its pitch gene, found as the gradient of log pitch."""
    rows = torch.from_numpy(voice[:, 0]).requires_grad_()
    decode_style(rows).f0.log().sum().backward()
    assert rows.grad is not None
    direction = rows.grad.numpy() / np.linalg.norm(rows.grad.numpy(), axis=1, keepdims=True)
    return voice + np.float32(0.14 * factor) * direction[:, None]


def test_the_same_call_gives_the_same_bits_in_a_fresh_process_and_on_any_number_of_threads(
    synth: EmbeddedSynthesizer, script: Script, bank_waves: dict[str, Wave], tmp_path: Path
) -> None:
    saved = tmp_path / "wave.npy"
    threads = 1 if torch.get_num_threads() > 1 else 2
    code = f"""if True:
        import numpy as np
        import torch
        from kvw.speech.embedded.stock_voices import stock_voices
        from kvw.speech.embedded.synthesizer import EmbeddedSynthesizer
        torch.set_num_threads({threads})
        synth = EmbeddedSynthesizer()
        np.save({str(saved)!r}, synth([stock_voices()["af_amber"]], synth.script({TEXT!r}), 0)[0])
        assert synth.identity == {synth.identity!r}
    """
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
    espeak.utter.cache_clear()
    analysis.cache_clear()
    np.testing.assert_array_equal(synth([AMBER], script, 0)[0], bank_waves["af_amber"])
    np.testing.assert_array_equal(np.load(saved), bank_waves["af_amber"])


def test_a_batch_gives_the_same_bits_as_one_by_one(
    synth: EmbeddedSynthesizer, script: Script, bank_waves: dict[str, Wave]
) -> None:
    for name in reversed(BANK):
        np.testing.assert_array_equal(synth([BANK[name]], script, 0)[0], bank_waves[name])


def test_no_voices_give_no_waves(synth: EmbeddedSynthesizer, script: Script) -> None:
    assert synth([], script, 0) == []


def test_waves_are_float32_at_a_fixed_level_between_silent_ends(bank_waves: dict[str, Wave]) -> None:
    for wave in bank_waves.values():
        assert wave.dtype == np.float32 and wave.ndim == 1
        assert not wave[:PAUSE].any() and not wave[-PAUSE:].any()
        assert rms(wave[PAUSE:-PAUSE]) == pytest.approx(LEVEL, rel=1e-3)
        assert np.abs(wave).max() < 1


def test_another_seed_changes_the_noise_and_little_else(
    synth: EmbeddedSynthesizer, script: Script, bank_waves: dict[str, Wave], encoder: VoiceEncoder
) -> None:
    one, other = bank_waves["af_amber"], synth([AMBER], script, 1)[0]
    assert one.shape == other.shape
    assert 0.01 * LEVEL < rms(one - other) < 0.7 * LEVEL
    assert np.corrcoef(log_mel(one).ravel(), log_mel(other).ravel())[0, 1] > 0.97
    assert embedding(encoder, one) @ embedding(encoder, other) > 0.97


def test_stock_voices_are_different_speakers(bank_waves: dict[str, Wave], encoder: VoiceEncoder) -> None:
    embeddings = np.stack([embedding(encoder, wave) for wave in bank_waves.values()])
    cosines = (embeddings @ embeddings.T)[np.triu_indices(len(embeddings), 1)]
    assert cosines.mean() < 0.85
    assert cosines.max() < 0.98


def test_women_speak_higher_than_men(bank_waves: dict[str, Wave]) -> None:
    f0 = {name: median_f0(wave) for name, wave in bank_waves.items()}
    women = [hertz for name, hertz in f0.items() if name.startswith("af_")]
    men = [hertz for name, hertz in f0.items() if name.startswith("am_")]
    assert min(women) > max(men)
    assert 150 < np.mean(women) < 230
    assert 90 < np.mean(men) < 150


def test_a_higher_pitch_gene_is_heard_as_a_higher_pitch(synth: EmbeddedSynthesizer, script: Script) -> None:
    voices = [with_pitch(BANK["am_arthur"], step) for step in (-1.0, 0.0, 1.0, 2.0)]
    f0 = [median_f0(wave) for wave in synth(voices, script, 0)]
    assert all(high > 1.1 * low for low, high in pairwise(f0))


def test_only_the_row_that_the_phonemes_count_to_is_heard(
    synth: EmbeddedSynthesizer, script: Script, bank_waves: dict[str, Wave]
) -> None:
    heard = len(script.segments[0].phonemes) - 1
    other_rows = np.full_like(AMBER, np.nan)
    other_rows[heard] = AMBER[heard]
    that_row = AMBER.copy()
    that_row[heard] = -that_row[heard]
    same, different = synth([other_rows, that_row], script, 0)
    np.testing.assert_array_equal(same, bank_waves["af_amber"])
    assert not np.array_equal(different, same)


@pytest.mark.parametrize("value", [np.nan, np.inf, 3e38, -1e30])
def test_absurd_numbers_in_a_voice_spoil_only_its_own_wave(
    synth: EmbeddedSynthesizer, script: Script, bank_waves: dict[str, Wave], value: float
) -> None:
    absurd = np.full(VOICE_SHAPE, value, np.float32)
    waves = synth([absurd, AMBER], script, 0)
    assert waves[0].size > 2 * PAUSE
    np.testing.assert_array_equal(waves[1], bank_waves["af_amber"])


@pytest.mark.parametrize("text", ["", "  \n\t", "...", "!?", "—", "😀", "\u200b", "\x00", "*** 👍 ***"])
def test_texts_that_cannot_be_pronounced_are_refused_in_one_line(synth: EmbeddedSynthesizer, text: str) -> None:
    with pytest.raises(KvwError, match="expected words that can be pronounced") as caught:
        synth.script(text)
    assert caught.value.code == EXIT_BAD_INPUT
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    "text",
    [
        "a",
        "First line.\nSecond line.\n\nA paragraph.",
        "\"Double\" and 'single' quotes, `ticks` and $HOME.",
        "Naïve café, 日本語, Ελληνικά, ☃ and 😀.",
        "-v fr hello",
        "--help",
        "< input.txt",
        "A lone surrogate \ud800 in it.",
        "Shhhh! Pssst.",
        "  spaces around  ",
    ],
)
def test_any_other_text_is_spoken(synth: EmbeddedSynthesizer, text: str) -> None:
    script = synth.script(text)
    [wave] = synth([AMBER], script, 0)
    assert script.text == text
    assert np.isfinite(wave).all()
    assert wave.size > 2 * PAUSE + 0.15 * SAMPLE_RATE


def test_a_long_text_is_spoken_whole_in_pieces_cut_at_sentence_ends(synth: EmbeddedSynthesizer) -> None:
    text = " ".join(f"{TEXT} Nobody answered number {number}." for number in range(25))
    assert len(text) > 2000
    script = synth.script(text)
    assert " ".join(segment.text for segment in script.segments) == text
    assert all(segment.text.endswith(".") for segment in script.segments)
    assert all(1 <= len(segment.phonemes) <= 510 for segment in script.segments)
    [wave] = synth([AMBER], script, 0)
    apart = [synth([AMBER], Script(segment.text, (segment,)), 0)[0] for segment in script.segments]
    np.testing.assert_array_equal(wave, np.concatenate([apart[0], *(part[PAUSE:] for part in apart[1:])]))


@pytest.mark.parametrize(
    ("language", "unit"),
    [("a", "never ending words "), ("a", "banana"), ("a", "7"), ("a", "日本語"), ("h", "नमस्ते"), ("z", "你好世界")],
)
def test_nothing_is_lost_of_a_text_without_sentences_or_even_words(language: str, unit: str) -> None:
    synth = EmbeddedSynthesizer(language=language)
    few, many = synth.script(unit * 10), synth.script(unit * 200)
    assert len(many.segments) > 1
    assert many.phonemes == pytest.approx(20 * few.phonemes, rel=0.1)


def test_a_sentence_is_cut_between_words(synth: EmbeddedSynthesizer) -> None:
    words = "never ending words " * 60
    segments = synth.script(words).segments
    assert len(segments) > 1
    assert " ".join(segment.text for segment in segments) == words.strip()


def test_each_language_has_a_voice_of_its_own() -> None:
    phonemes = {letter: EmbeddedSynthesizer(language=letter).script("radio 5").segments for letter in "abefhijpz"}
    assert len({segments[0].phonemes for segments in phonemes.values()}) >= 8


def test_an_unknown_language_is_refused() -> None:
    with pytest.raises(KvwError, match=r"expected a language letter among a, b, .*'x'"):
        EmbeddedSynthesizer(language="x")


def test_global_random_states_stay_as_they_were(synth: EmbeddedSynthesizer, script: Script) -> None:
    torch_before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    stock_voices()
    synth([AMBER], script, 12345)
    assert torch.equal(torch.get_rng_state(), torch_before)
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_before)  # noqa: NPY002


def test_of_a_word_that_is_given_kokoros_phonemes_the_word_is_spoken(synth):
    assert synth.script("It is [Kokoro](/kˈOkəɹO/).") == synth.script("It is Kokoro.")
