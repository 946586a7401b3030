"""Kokoro's grapheme-to-phoneme conversion: misaki, or espeak where misaki's English model is missing."""

from __future__ import annotations

import logging
import subprocess
import sys
import warnings
from collections.abc import Callable
from types import SimpleNamespace

import spacy.util
from kokoro.pipeline import LANG_CODES, KPipeline
from misaki.espeak import EspeakFallback

from kvw.errors import KvwError
from kvw.runtime import hub

log = logging.getLogger(__name__)
SPACY_MODEL = "en_core_web_sm"

ENGLISH = "ab"
"""Kokoro's letters of American and British English."""


def grapheme_to_phoneme(language: str) -> tuple[Callable[[str], str], str]:
    """The function that turns text of ``language`` into phonemes, as KPipeline would choose it, and its name.

    misaki's English code ends the process when its spaCy model can't be downloaded, so that is settled before.

    Raises:
        KvwError: Kokoro has no such letter; a package for the language is missing, or the dictionary of one. The
            function raises it too, for a text that makes misaki fail.
    """
    if language in ENGLISH and not _spacy_model():
        log.warning(
            "spaCy's %s is missing: English is phonemised by espeak, a little less well; "
            "python -m spacy download %s mends it",
            SPACY_MODEL,
            SPACY_MODEL,
        )
        espeak = EspeakFallback(british=language == "b")  # misaki's own for words that it does not know

        def phonemes(text: str) -> str:
            spoken, _ = espeak(SimpleNamespace(text=text))  # a token, of which it reads the text alone
            return (spoken or "").replace("ɹɹ", "ɹ")  # it writes ɚɹ, as in "never imagined", with two

        return phonemes, "espeak"
    if language not in LANG_CODES:
        raise KvwError(f"language.letter: expected one of {', '.join(LANG_CODES)}; got {language!r}")
    needs = f"language={language}: {LANG_CODES[language]} needs"
    try:
        with warnings.catch_warnings():  # jieba's about pkg_resources, which is not the user's affair
            warnings.simplefilter("ignore")
            g2p = KPipeline(lang_code=language, repo_id=hub.REPO, model=False).g2p
    except ImportError as error:
        install = {"j": "misaki[ja] && python -m unidic download", "z": "misaki[zh]"}.get(language, "misaki[en]")
        raise KvwError(f"{needs} a package ({error}); pip install {install}") from error
    except RuntimeError as error:  # MeCab's, a page long, without the dictionary that unidic fetches
        if language != "j":
            raise
        raise KvwError(f"{needs} a dictionary; python -m unidic download fetches it (0.5 GB)") from error
    logging.getLogger("jieba").setLevel(logging.WARNING)  # it tells of its cache

    def spoken(text: str) -> str:
        try:
            return str(g2p(text)[0] or "")
        except Exception as error:  # misaki's Japanese fails at a number of 11 digits, and at numerals of other scripts
            raise KvwError(
                f"text: expected words that can be pronounced; {text[:40]!r} makes misaki fail "
                f"({type(error).__name__}: {error}); write its numbers as words"
            ) from error

    return spoken, "misaki"


def _spacy_model() -> bool:
    """Whether spaCy's English model is there, or could be fetched."""
    if spacy.util.is_package(SPACY_MODEL):
        return True
    if not hub.reachable():
        return False
    # in a process of its own: spaCy's downloader exits the one that calls it when it fails
    command = [sys.executable, "-m", "spacy", "download", SPACY_MODEL]
    try:
        subprocess.run(command, capture_output=True, timeout=120, check=True)
    except (subprocess.SubprocessError, OSError):
        return False
    return bool(spacy.util.is_package(SPACY_MODEL))
