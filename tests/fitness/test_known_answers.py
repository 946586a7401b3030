"""KVoiceWalk's own case: the figures that its author published, found again by kvw's scoring."""

from __future__ import annotations

import pytest

from kvw.audio.recordings import read_recording
from kvw.config.invocation import compose
from kvw.evaluation import OPEN
from kvw.fitness import acoustics
from kvw.fitness.speaker import cosine
from kvw.speech.kokoro.synthesizer import KokoroSynthesizer
from kvw.transcription.whisper import Whisper
from kvw.transcription.words import error_rate
from kvw.voices.files import load_voice
from tests.config.test_arguments import SENTENCE
from tests.conftest import default_fitness


@pytest.fixture(scope="module")
def target(shared):
    return read_recording(shared / "documents" / "target.wav")


@pytest.mark.parametrize(
    ("name", "similarity", "feature"), [("generated", 0.917, 0.549), ("baseline_af_heart", 0.706, 0.486)]
)
def test_published_audio_is_scored_as_its_author_scored_it(name, similarity, feature, shared, target, encoder):
    wave = read_recording(shared / "documents" / f"{name}.wav")
    found = cosine(*encoder([wave, target]))
    assert found == pytest.approx(similarity, abs=0.001)
    statistics = [acoustics.statistics(one) for one in (wave, target)]
    assert acoustics.kvoicewalk_similarity(*statistics) == pytest.approx(feature, abs=0.001)


@pytest.mark.real
def test_af_heart_is_scored_as_published_and_a_real_whisper_hears_its_words(real, shared, target, encoder):
    """The author found .709, .978, .47 and 81.22 by the exact weights; the rounding of the export costs .01 to .02."""
    home = real / "kokoro"
    synthesizer = KokoroSynthesizer(model=str(home / "kokoro-v1_0.pth"), config=str(home / "config.json"))
    texts = {"target_text": SENTENCE, "other_text": compose().cfg.other_text}
    fitness = default_fitness(
        synthesizer=synthesizer, encoder=encoder, target=[target], gates=None, formula="kvoicewalk", **texts
    )
    voice = load_voice(shared / "voices" / "af_heart.pt")
    (found,) = fitness([voice], OPEN)
    assert found.parts["target"] == pytest.approx(0.709, abs=0.025)
    assert found.parts["self"] == pytest.approx(0.978, abs=0.005)
    assert found.parts["feature"] == pytest.approx(0.47, abs=0.03)
    assert found.score == pytest.approx(81.2, abs=1.5)

    (wave,) = fitness.listener.speak([voice], fitness.scripts[0])
    heard = Whisper(model=str(real / "whisper/tiny.en"), language="en")(wave).text
    assert error_rate([SENTENCE], [heard], "a") < 0.05
