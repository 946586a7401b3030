"""One spelling for texts that look alike, so that a synthesiser says the same for them."""

from __future__ import annotations

import re
import unicodedata

_FOLDED = {"<font>", "<circle>", "<wide>"}  # forms in which a letter or digit is only styled: 𝐇, Ⓗ, Ｈ
_VIRAMA = 9  # the combining class of the sign that joins two consonants of Hindi
_JOINERS = "\N{ZERO WIDTH JOINER}\N{ZERO WIDTH NON-JOINER}"
_VARIATION = re.compile("[\N{COMBINING GRAPHEME JOINER}\ufe00-\ufe0f\U000e0100-\U000e01ef]")


def normalised(text: str) -> str:
    """``text`` in Unicode's NFC, without styled letters, ligatures, half-width kana and characters of no width.

    Compatibility forms with a meaning of their own (``½``, ``²``, ``™``) stay, which NFKC would change, and so do
    joiners after a virama, which spell other words in Hindi (the rule of RFC 5892, appendices A.1 and A.2).
    """
    if text.isascii():
        return text
    apart = unicodedata.normalize("NFD", "".join(map(_folded, _VARIATION.sub("", text))))
    seen = (
        character
        for before, character in zip(" " + apart, apart, strict=False)
        if unicodedata.category(character) != "Cf"
        or (character in _JOINERS and unicodedata.combining(before) == _VIRAMA)
    )
    return unicodedata.normalize("NFC", "".join(seen))


def _folded(character: str) -> str:
    form = unicodedata.decomposition(character).partition(" ")[0]
    folded = unicodedata.normalize("NFKC", character)
    if form == "<narrow>" or (form in _FOLDED and folded.isalnum()):
        return folded
    return folded if form == "<compat>" and "LIGATURE" in unicodedata.name(character) else character
