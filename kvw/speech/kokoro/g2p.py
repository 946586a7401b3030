"""Kokoro's grapheme-to-phoneme conversion: misaki, also where spaCy's English model is missing.

Unlike ``kokoro.pipeline.KPipeline``, English takes spaCy's model from the package index too, and has no phonemes for
the marks that espeak sets around words of another language, such as ``(ko)``.
"""

from __future__ import annotations

import logging
import subprocess
import sys
import warnings
from collections.abc import Callable

import spacy.util
from kokoro.pipeline import LANG_CODES, KPipeline
from misaki.espeak import EspeakG2P

from kvw.errors import KvwError, error_line
from kvw.runtime import hub
from kvw.speech.kokoro import SPACY_INSTALL, SPACY_MODELS
from kvw.speech.kokoro.english import English, UntaggedEnglish
from kvw.text import without_links
from kvw.voices.names import ENGLISH

log = logging.getLogger(__name__)


def grapheme_to_phoneme(language: str, repository: str = hub.REPO) -> tuple[Callable[[str], str], str]:
    """The function that turns text into phonemes, the same as KPipeline's, and its name.

    misaki's English code ends the process if it can't download spaCy's model, so that model is looked for first. The
    name is a part of the synthesiser's identity: ``misaki``, or ``dictionary`` for English without that model.
    ``[word](/phonemes/)`` has the phonemes that it gives in English, and is the word in other languages.

    Args:
        language: Kokoro's language letter.
        repository: the model's on the hub: that of v1.1-zh has another G2P for Chinese.

    Raises:
        KvwError: Kokoro has no such letter; a package for the language, or a package's dictionary, is missing. The
            function raises KvwError for a text that makes misaki fail.
    """
    british = language == "b"
    model = _spacy_model() if language in ENGLISH else None
    if language in ENGLISH and not model:
        log.warning(
            "spaCy's %s is missing: English words are said without regard to their part of speech, a little less well; "
            "install it by %s",
            SPACY_MODELS[0],
            SPACY_INSTALL,
        )
    if language not in LANG_CODES:
        raise KvwError(f"language.letter: expected one of {', '.join(LANG_CODES)}; got {language!r}")
    needs = f"language={language}: {LANG_CODES[language]} needs"
    try:
        with warnings.catch_warnings():  # jieba warns about pkg_resources, which users can't change
            warnings.simplefilter("ignore")
            if language in ENGLISH:
                g2p = (English if model else UntaggedEnglish)(british, model)
            else:
                # v1.1-zh says English words in a Chinese text, where it is told how; else misaki leaves them out
                english = grapheme_to_phoneme("a")[0] if language == "z" and repository != hub.REPO else None
                g2p = KPipeline(lang_code=language, repo_id=repository, model=False, en_callable=english).g2p
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
            return str(g2p(text if language in ENGLISH else without_links(text))[0] or "")
        except Exception as error:  # misaki's Japanese fails on numbers of 11 digits, and on numerals of other scripts
            raise KvwError(
                f"text: expected words that can be pronounced; {text[:40]!r} makes misaki fail "
                f"({error_line(error)}); write its numbers as words"
            ) from error

    return phonemes_by_misaki, "dictionary" if language in ENGLISH and not model else "misaki"


def espeak_phonemes(code: str) -> Callable[[str], str]:
    """The function that turns text into phonemes by espeak, as misaki does for languages that it has no code for.

    Args:
        code: espeak's code of the language, as ``de``.

    Raises:
        KvwError: espeak has no such language.
    """
    try:
        g2p = EspeakG2P(language=code)
    except (RuntimeError, AssertionError, TypeError) as error:
        raise KvwError(
            f"synth.g2p: expected espeak's code of a language, as de or pt-br; got {code!r:.40} ({error_line(error)})"
        ) from error
    return lambda text: str(g2p(without_links(text))[0] or "")


def _spacy_model() -> str | None:
    """The package of spaCy's English model, which is installed if the network allows; None without one."""
    if installed := _installed():
        return installed
    if not hub.reachable():
        return None
    # in a child process: spaCy's downloader exits its process when it fails
    command = [sys.executable, "-m", "spacy", "download", SPACY_MODELS[0]]
    try:
        subprocess.run(command, capture_output=True, timeout=120, check=True)
    except (subprocess.SubprocessError, OSError):
        return None
    return _installed()


def _installed() -> str | None:
    return next(filter(spacy.util.is_package, SPACY_MODELS), None)
