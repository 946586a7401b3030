"""The pitch of a voice, and the gender that it tells."""

import numpy as np
import pytest

from kvw.audio.decode import decode_file
from kvw.audio.pitch import contour, gender_of, low_pitch, median_pitch
from kvw.errors import KvwError
from kvw.types import SAMPLE_RATE

TEXT = (
    "Every morning the harbour wakes before the town does. Boats slide out through the mist one after another, and "
    "their lamps grow small and yellow until only the gulls know where they are."
)


SPEAKERS = {"1688": "m", "1998": "f", "2609": "m", "3331": "f"}


def test_pitch_tells_the_gender_of_real_speakers(shared):
    for path in sorted((shared / "targets").glob("*.flac")):
        assert gender_of(decode_file(path)) == SPEAKERS[path.name.partition("-")[0]], path.name


def test_pitch_tells_the_gender_of_all_but_one_embedded_voice(embedded, bank):
    script = embedded.script(TEXT)
    guesses = {name: gender_of(embedded([voice], script, 0)[0]) for name, voice in bank.items()}
    wrong = [name for name, guess in guesses.items() if guess != name[1]]
    assert wrong == ["af_iris"], "whose pitch is that of a man"


@pytest.mark.parametrize("pitch", [100, 140, 180, 300])
def test_the_pitch_of_a_tone_is_its_own(pitch):
    time = np.arange(2 * SAMPLE_RATE) / SAMPLE_RATE
    tone = sum(np.sin(2 * np.pi * pitch * n * time) / n for n in range(1, 8)).astype(np.float32)
    assert low_pitch(0.1 * tone) == pytest.approx(pitch, rel=0.02)
    assert median_pitch([0.1 * tone, np.zeros(48_000, np.float32)]) == pytest.approx(pitch, rel=0.02)


@pytest.mark.parametrize(
    "wave", [np.zeros(48_000, np.float32), np.zeros(0, np.float32), np.full(48_000, np.nan, np.float32)]
)
def test_silence_has_no_pitch(wave):
    with pytest.raises(KvwError, match="expected speech"):
        gender_of(wave)


def test_the_contour_is_found_where_a_voice_is_steady_and_nowhere_else():
    times = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    saw = (0.3 * ((times * 150) % 1 - 0.5)).astype(np.float32)
    found = contour(np.concatenate([saw, np.zeros(SAMPLE_RATE, np.float32)]))
    half = len(found) // 2
    assert np.nanmedian(found[:half]) == pytest.approx(150, rel=0.02)
    assert np.isfinite(found[5 : half - 5]).mean() > 0.9
    assert np.isnan(found[half + 5 :]).all()


def test_there_is_no_median_pitch_of_silence_or_of_nothing():
    assert np.isnan(median_pitch([])) and np.isnan(median_pitch([np.zeros(48_000, np.float32)]))
