"""The statistics against librosa's routines called one by one, and the formulas against answers worked out by hand."""

from __future__ import annotations

import warnings
from pathlib import Path

import librosa
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from kvw.config.paths import DEMO
from kvw.fitness.acoustics import FLOOR, MIN_SAMPLES, STATISTICS, capped_similarity, kvoicewalk_similarity, statistics
from kvw.fitness.beat_track import track
from kvw.types import SAMPLE_RATE, Wave
from tests.support.recordings import REAL_TARGETS, read_by_librosa
from tests.support.reference import separate_calls


@pytest.fixture(scope="module")
def demo() -> Wave:
    return read_by_librosa(DEMO)


def assert_equal_to_separate_calls(wave: Wave) -> None:
    with warnings.catch_warnings():
        # the oracle's low octaves of a short clip are shorter than a frame, which is sound
        warnings.filterwarnings("ignore", message="n_fft=.* is too large")
        warnings.filterwarnings("ignore", message="Trying to estimate tuning from empty frequency set")
        expected = separate_calls(wave)
    assert tuple(expected) == STATISTICS
    # a mean near zero is what is left of numbers a thousand times as large, whose last bits hang on the CPU
    np.testing.assert_allclose(statistics(wave), list(expected.values()), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("seconds", [0.5, 1.3, 4.0, None], ids=str)
def test_the_demo_clip_has_the_statistics_of_separate_librosa_calls(demo: Wave, seconds: float | None) -> None:
    assert_equal_to_separate_calls(demo if seconds is None else demo[: int(seconds * SAMPLE_RATE)])


@pytest.mark.parametrize("samples", [MIN_SAMPLES, MIN_SAMPLES + 1, 3 * SAMPLE_RATE + 511])
def test_any_number_of_samples_from_the_least_gives_the_statistics_of_separate_librosa_calls(
    demo: Wave, samples: int
) -> None:
    assert_equal_to_separate_calls(demo[SAMPLE_RATE:][:samples])


@pytest.mark.parametrize("path", REAL_TARGETS, ids=lambda path: path.name)
def test_real_targets_have_the_statistics_of_separate_librosa_calls(path: Path) -> None:
    assert_equal_to_separate_calls(read_by_librosa(path))


def odd_sounds() -> dict[str, Wave]:
    time = np.arange(SAMPLE_RATE // 2) / SAMPLE_RATE
    noise = np.random.default_rng(0).standard_normal(len(time))
    sounds = {
        "a tone": 0.3 * np.sin(2 * np.pi * 440 * time),
        "a tone too low to have a pitch": np.sin(2 * np.pi * 40 * time),
        "white noise": 0.1 * noise,
        "faint noise": 1e-7 * noise,
        "one click": (np.arange(len(time)) == 5000).astype(float),
        "one step": (time > 0.2).astype(float),
        "clipped noise": np.sign(noise),
        "noise, then silence": noise * (time < 0.1),
    }
    return {name: sound.astype(np.float32) for name, sound in sounds.items()}


@pytest.mark.parametrize("name", odd_sounds())
def test_odd_sounds_have_finite_statistics_equal_to_separate_librosa_calls(name: str) -> None:
    assert_equal_to_separate_calls(odd_sounds()[name])


def test_the_statistics_of_a_wave_do_not_depend_on_the_waves_before_it(demo: Wave) -> None:
    first = statistics(demo[: 2 * SAMPLE_RATE])
    statistics(demo[5 * SAMPLE_RATE :])
    assert np.array_equal(statistics(demo[: 2 * SAMPLE_RATE]), first)


def test_measuring_a_wave_leaves_it_as_it_was_and_warns_of_nothing(demo: Wave) -> None:
    wave = demo[:SAMPLE_RATE].copy()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        statistics(wave)
    assert np.array_equal(wave, demo[:SAMPLE_RATE])


@pytest.mark.parametrize(
    "wave",
    [
        np.zeros(SAMPLE_RATE),
        np.full(SAMPLE_RATE, 0.25),
        np.full(SAMPLE_RATE, np.nan),
        np.r_[np.ones(SAMPLE_RATE), np.inf],
        1e-20 * np.random.default_rng(0).standard_normal(SAMPLE_RATE),
    ],
    ids=["silence", "a constant", "NaN", "infinity", "too faint for float32"],
)
def test_a_wave_without_sound_is_refused(wave: NDArray[np.float64]) -> None:
    with pytest.raises(ValueError, match="expected sound"):
        statistics(wave.astype(np.float32))


@pytest.mark.parametrize("shape", [(0,), (MIN_SAMPLES - 1,), (SAMPLE_RATE, 2)], ids=str)
def test_a_wave_that_is_too_short_or_not_mono_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=f"at least {MIN_SAMPLES} samples"):
        statistics(np.ones(shape, dtype=np.float32))


@pytest.mark.parametrize("similarity", [capped_similarity, kvoicewalk_similarity])
def test_equal_statistics_are_wholly_similar_even_where_they_are_zero(similarity) -> None:
    values = np.array([0.0, -3.0, 1e-9, 440.0])
    assert similarity(values, values.copy()) == 1.0


def test_the_capped_similarity_is_one_less_the_mean_of_errors_capped_at_one() -> None:
    target = np.array([10.0, -10.0, 1e-6, 2.0])
    assert capped_similarity(np.array([9.0, -12.0, 5.0, 2.0]), target) == pytest.approx(1 - (0.1 + 0.2 + 1 + 0) / 4)


def test_the_capped_similarity_counts_nothing_over_nothing_as_equal_and_something_over_nothing_as_one_error() -> None:
    assert capped_similarity(np.array([0.0, 5.0, 1.0, 1.0]), np.array([0.0, 0.0, 1.0, 1.0])) == 0.75


def test_the_capped_similarity_has_a_floor() -> None:
    assert capped_similarity(np.full(5, 1e30), np.ones(5)) == FLOOR
    assert capped_similarity(np.full(5, np.nan), np.ones(5)) == FLOOR


def test_the_capped_similarity_stays_within_its_bounds_whatever_the_numbers() -> None:
    rng = np.random.default_rng(1)
    for _ in range(200):
        values, target = rng.standard_normal((2, len(STATISTICS))) * 10.0 ** rng.uniform(-300, 300, (2, 1))
        assert FLOOR <= capped_similarity(values, target) <= 1.0


def test_a_worse_statistic_never_raises_the_capped_similarity() -> None:
    target = np.ones(4)
    figures = [capped_similarity(np.array([1.0 + error, 1.2, 0.9, 1.0]), target) for error in np.linspace(0, 3, 50)]
    assert np.all(np.diff(figures) <= 0.0)


@pytest.mark.parametrize(
    ("penalty", "similarity"), [(0.0, 1.0), (25.0, 0.75), (99.0, 0.01), (100.0, 0.0), (100.1, 0.01), (1e9, 0.01)]
)
def test_kvoicewalk_turns_a_penalty_into_a_similarity_with_its_floor_below_zero_alone(
    penalty: float, similarity: float
) -> None:
    assert kvoicewalk_similarity(np.array([1.0 + penalty, 2.0]), np.array([1.0, 2.0])) == pytest.approx(similarity)


def test_kvoicewalk_gives_exactly_zero_at_a_penalty_of_one_hundred() -> None:
    assert kvoicewalk_similarity(np.array([51.0, -49.0]), np.array([1.0, 1.0])) == 0.0


def test_kvoicewalk_adds_relative_errors_of_either_sign_without_a_cap() -> None:
    assert kvoicewalk_similarity(np.array([3.0, -8.0]), np.array([1.0, -2.0])) == pytest.approx(0.95)


@pytest.mark.parametrize("value", [1.0, np.inf, np.nan])
def test_kvoicewalk_gives_its_floor_where_the_penalty_is_not_finite(value: float) -> None:
    assert kvoicewalk_similarity(np.array([value, 2.0]), np.array([0.0, 2.0])) == FLOOR


def test_kvoicewalk_counts_nothing_over_nothing_as_no_error() -> None:
    assert kvoicewalk_similarity(np.array([0.0, 3.0]), np.array([0.0, 2.0])) == pytest.approx(0.995)


@settings(deadline=None, max_examples=100)
@given(
    frames=st.integers(20, 900),
    period=st.floats(4, 90),
    jitter=st.floats(0, 1),
    noise=st.floats(0.01, 2),  # without any, beats can be equally good, and rounding chooses
    seed=st.integers(0, 99),
)
def test_beats_are_librosas(frames, period, jitter, noise, seed):
    rng = np.random.default_rng(seed)
    onsets = noise * rng.random(frames)
    at = np.cumsum(period * (1 + jitter * rng.uniform(-0.5, 0.5, int(frames / period) + 1))).astype(int)
    onsets[at[at < frames]] += 1
    onsets = onsets.astype(np.float32)
    bpm, own = librosa.beat.beat_track(onset_envelope=onsets, sr=24000, hop_length=512)
    tempo, found = track(onsets, 24000, 512)
    assert tempo == np.ravel(bpm)[0]
    assert found.tolist() == own.tolist()


def test_no_onset_is_no_beat():
    tempo, found = track(np.zeros(50, np.float32), 24000, 512)
    assert (tempo, len(found)) == (0.0, 0)
