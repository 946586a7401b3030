"""Embeddings against Resemblyzer's own ``embed_utterance(preprocess_wav(...))``, on real speech and on what is none."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from resemblyzer import VoiceEncoder, preprocess_wav

from kvw.config.paths import DEMO
from kvw.errors import KvwError
from kvw.fitness.speaker import SpeakerEncoder, cosine, speech_of
from kvw.types import SAMPLE_RATE, Embedding, Wave, mean_embedding
from tests.support.recordings import REAL_TARGETS, read_by_librosa


@pytest.fixture(scope="module")
def demo() -> Wave:
    return read_by_librosa(DEMO)


@pytest.fixture(scope="module")
def encoder() -> SpeakerEncoder:
    return SpeakerEncoder()


@pytest.fixture(scope="module")
def resemblyzer() -> VoiceEncoder:
    return VoiceEncoder("cpu", verbose=False)


def clips(demo: Wave) -> list[Wave]:
    second = SAMPLE_RATE
    return [demo, demo[second : 2 * second], demo[second : 5 * second + 77], 0.02 * demo[: 4 * second], 1.5 * demo]


def embedded(encoder: SpeakerEncoder, wave: Wave) -> Embedding:
    (embedding,) = encoder([wave])
    assert embedding is not None
    return embedding


@pytest.mark.parametrize("index", range(5))
def test_the_demo_clip_cut_faint_or_loud_has_resemblyzers_embedding_to_the_last_bit(
    demo: Wave, encoder: SpeakerEncoder, resemblyzer: VoiceEncoder, index: int
) -> None:
    wave = clips(demo)[index]
    speech = preprocess_wav(wave, source_sr=SAMPLE_RATE)
    assert np.array_equal(speech_of(wave), speech)
    assert np.array_equal(embedded(encoder, wave), resemblyzer.embed_utterance(speech))


@pytest.mark.parametrize("path", REAL_TARGETS, ids=lambda path: path.name)
def test_real_targets_have_resemblyzers_embedding_to_the_last_bit(
    encoder: SpeakerEncoder, resemblyzer: VoiceEncoder, path: Path
) -> None:
    wave = read_by_librosa(path)
    expected = resemblyzer.embed_utterance(preprocess_wav(wave, source_sr=SAMPLE_RATE))
    assert np.array_equal(embedded(encoder, wave), expected)


def test_silence_between_words_is_trimmed_as_resemblyzer_trims_it(demo: Wave) -> None:
    second = np.zeros(SAMPLE_RATE, dtype=np.float32)
    wave = np.concatenate([second, demo[: 2 * SAMPLE_RATE], second, demo[2 * SAMPLE_RATE : 4 * SAMPLE_RATE], second])
    speech = speech_of(wave)
    assert np.array_equal(speech, preprocess_wav(wave, source_sr=SAMPLE_RATE))
    assert len(speech) < 5 * 16_000


def test_an_embedding_is_a_float32_unit_vector_without_negative_entries(demo: Wave, encoder: SpeakerEncoder) -> None:
    embedding = embedded(encoder, demo)
    assert embedding.shape == (256,)
    assert embedding.dtype == np.float32
    assert np.all(embedding >= 0.0)
    assert np.linalg.norm(embedding) == pytest.approx(1.0, abs=1e-6)


def test_waves_embedded_together_have_the_embeddings_that_they_have_alone(demo: Wave, encoder: SpeakerEncoder) -> None:
    waves = clips(demo)
    together = encoder(waves)
    for wave, embedding in zip(waves, together, strict=True):
        assert np.array_equal(embedding, embedded(encoder, wave))


def test_one_call_for_all_windows_as_on_a_gpu_gives_the_same_embeddings_but_for_rounding(demo: Wave) -> None:
    silence = np.zeros(SAMPLE_RATE, dtype=np.float32)
    waves = [silence, *clips(demo), silence]
    alone, joined = SpeakerEncoder(), SpeakerEncoder()
    joined.joined = True
    for expected, embedding in zip(alone(waves), joined(waves), strict=True):
        if expected is None:
            assert embedding is None
        else:
            np.testing.assert_allclose(embedding, expected, atol=1e-5)


@pytest.mark.parametrize("joined", [False, True])
def test_a_batch_may_be_empty_or_hold_no_speech_at_all(joined: bool) -> None:
    encoder = SpeakerEncoder()
    encoder.joined = joined
    assert encoder([]) == []
    assert encoder([np.zeros(SAMPLE_RATE, dtype=np.float32)] * 2) == [None, None]


NOT_SPEECH = {
    "no samples": np.zeros(0),
    "one sample": np.ones(1),
    "silence": np.zeros(2 * SAMPLE_RATE),
    "a constant": np.full(2 * SAMPLE_RATE, 0.5),
    "a level that float32 cannot square": 1e-30 * np.sin(np.arange(2 * SAMPLE_RATE)),
    "NaN": np.full(SAMPLE_RATE, np.nan),
    "infinity": np.full(SAMPLE_RATE, np.inf),
}


@pytest.mark.parametrize("name", NOT_SPEECH)
def test_what_holds_no_speech_has_no_embedding_and_warns_of_nothing(encoder: SpeakerEncoder, name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert encoder([NOT_SPEECH[name].astype(np.float32)]) == [None]


def test_a_speaker_is_the_mean_of_their_recordings(demo: Wave, encoder: SpeakerEncoder) -> None:
    halves = [demo[: len(demo) // 2], demo[len(demo) // 2 :]]
    own = encoder.speaker(halves, "target_audio")
    assert own == pytest.approx(mean_embedding([one for one in encoder(halves) if one is not None]))
    silence = np.zeros(5 * SAMPLE_RATE, np.float32)
    with pytest.raises(KvwError, match=r"^heldout_audio: .* none is heard in 2, 3 of 3; leave that out$"):
        encoder.speaker([demo, silence, silence], "heldout_audio")
    with pytest.raises(KvwError, match=r"^heldout_audio: .* none is heard in b.wav; leave that out$"):
        encoder.speaker([demo, silence], "heldout_audio", ["a.wav", "b.wav"])


def test_ten_milliseconds_of_speech_have_no_embedding(demo: Wave, encoder: SpeakerEncoder) -> None:
    assert encoder([demo[SAMPLE_RATE : SAMPLE_RATE + 240]]) == [None]


def test_a_wave_without_speech_leaves_a_gap_in_its_own_place(demo: Wave, encoder: SpeakerEncoder) -> None:
    silence = np.zeros(SAMPLE_RATE, dtype=np.float32)
    first, none, second = encoder([demo[: 3 * SAMPLE_RATE], silence, demo[-3 * SAMPLE_RATE :]])
    assert none is None
    assert np.array_equal(first, embedded(encoder, demo[: 3 * SAMPLE_RATE]))
    assert np.array_equal(second, embedded(encoder, demo[-3 * SAMPLE_RATE :]))


def test_the_cosine_is_one_with_itself_and_zero_at_a_right_angle(demo: Wave, encoder: SpeakerEncoder) -> None:
    embedding = embedded(encoder, demo)
    assert cosine(embedding, embedding) == pytest.approx(1.0, abs=1e-6)
    axes = np.eye(256, dtype=np.float32)
    assert cosine(axes[0], axes[1]) == 0.0
    assert type(cosine(axes[0], axes[1])) is float


def test_two_halves_of_a_clip_sound_like_one_speaker(demo: Wave, encoder: SpeakerEncoder) -> None:
    first, second = encoder([demo[: len(demo) // 2], demo[len(demo) // 2 :]])
    assert cosine(first, second) > 0.75


@pytest.mark.skipif(len(REAL_TARGETS) < 8, reason="no ../shared/data/targets")
def test_a_speakers_clips_are_closer_than_clips_of_different_speakers(encoder: SpeakerEncoder) -> None:
    speakers = [path.name.split("-")[0] for path in REAL_TARGETS if path.suffix == ".flac"]
    embeddings = encoder([read_by_librosa(path) for path in REAL_TARGETS if path.suffix == ".flac"])
    pairs = [(i, j) for i in range(len(speakers)) for j in range(i)]
    same = [cosine(embeddings[i], embeddings[j]) for i, j in pairs if speakers[i] == speakers[j]]
    different = [cosine(embeddings[i], embeddings[j]) for i, j in pairs if speakers[i] != speakers[j]]
    assert min(same) > max(different)
