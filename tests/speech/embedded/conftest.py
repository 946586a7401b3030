"""What the tests of the embedded synthesiser share."""

from __future__ import annotations

import pytest
from resemblyzer import VoiceEncoder

from kvw.speech.embedded.synthesizer import EmbeddedSynthesizer
from kvw.speech.synthesizer import Script
from tests.support.embedded import TEXT


@pytest.fixture(scope="module")
def synth() -> EmbeddedSynthesizer:
    return EmbeddedSynthesizer()


@pytest.fixture(scope="module")
def script(synth: EmbeddedSynthesizer) -> Script:
    return synth.script(TEXT)


@pytest.fixture(scope="module")
def encoder() -> VoiceEncoder:
    return VoiceEncoder("cpu", verbose=False)
