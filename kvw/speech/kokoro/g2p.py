"""Kokoro's grapheme-to-phoneme conversion: misaki, or espeak where spaCy's English model is missing."""

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

from kvw.errors import KvwError, error_line
from kvw.runtime import hub
from kvw.speech.kokoro import SPACY_MODEL

log = logging.getLogger(__name__)

ENGLISH = "ab"
"""Kokoro's language letters of American and British English."""


def grapheme_to_phoneme(language: str, repository: str = hub.REPO) -> tuple[Callable[[str], str], str]:
    """The function that turns text into phonemes, the same as KPipeline's, and its name: ``misaki`` or ``espeak``.

    misaki's English code ends the process if it can't download spaCy's model, so that model is looked for first.

    Args:
        language: Kokoro's language letter.
        repository: the model's on the hub: that of v1.1-zh has another G2P for Chinese.

    Raises:
        KvwError: Kokoro has no such letter; a package for the language, or a package's dictionary, is missing. The
            function raises KvwError for a text that makes misaki fail.
    """
    if language in ENGLISH and not _spacy_model():
        log.warning(
            "spaCy's %s is missing: English is phonemised by espeak, a little less well; "
            "install it by python -m spacy download %s",
            SPACY_MODEL,
            SPACY_MODEL,
        )
        espeak = EspeakFallback(british=language == "b")  # which misaki itself uses for unknown words

        def phonemes(text: str) -> str:
            symbols, _ = espeak(SimpleNamespace(text=text))  # in place of a token, of which only the text is read
            return (symbols or "").replace("ɹɹ", "ɹ")  # EspeakFallback doubles the ɹ of ɚɹ, as in "never imagined"

        return phonemes, "espeak"
    if language not in LANG_CODES:
        raise KvwError(f"language.letter: expected one of {', '.join(LANG_CODES)}; got {language!r}")
    needs = f"language={language}: {LANG_CODES[language]} needs"
    try:
        with warnings.catch_warnings():  # jieba warns about pkg_resources, which users can't change
            warnings.simplefilter("ignore")
            g2p = KPipeline(lang_code=language, repo_id=repository, model=False).g2p
    except ImportError as error:
        install = {"j": "misaki[ja] && python -m unidic download", "z": "misaki[zh]"}.get(language, "misaki[en]")
        raise KvwError(f"{needs} a package ({error}); pip install {install}") from error
    except RuntimeError as error:  # MeCab's message without unidic's dictionary is a page long
        if language != "j":
            raise
        raise KvwError(f"{needs} a dictionary; python -m unidic download fetches it (0.5 GB)") from error
    logging.getLogger("jieba").setLevel(logging.WARNING)  # jieba logs its cache

    def phonemes_by_misaki(text: str) -> str:
        try:
            return str(g2p(text)[0] or "")
        except Exception as error:  # misaki's Japanese fails on numbers of 11 digits, and on numerals of other scripts
            raise KvwError(
                f"text: expected words that can be pronounced; {text[:40]!r} makes misaki fail "
                f"({error_line(error)}); write its numbers as words"
            ) from error

    return phonemes_by_misaki, "misaki"


def _spacy_model() -> bool:
    """Whether spaCy's English model is installed; installs it if the network allows."""
    if spacy.util.is_package(SPACY_MODEL):
        return True
    if not hub.reachable():
        return False
    # in a child process: spaCy's downloader exits its process when it fails
    command = [sys.executable, "-m", "spacy", "download", SPACY_MODEL]
    try:
        subprocess.run(command, capture_output=True, timeout=120, check=True)
    except (subprocess.SubprocessError, OSError):
        return False
    return bool(spacy.util.is_package(SPACY_MODEL))
