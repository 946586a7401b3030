"""Voices by reference: a file, a stock voice's name, a member of a pack, or a blend of these.

The grammar is that of Kokoro's servers: ``af_bella``, ``af_bella+am_adam``, ``af_bella(2)+am_adam(1)``; weights are
relative to their sum. Every key of the config that names a voice takes such a reference.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from kvw.errors import KvwError
from kvw.text import listed, nearest
from kvw.types import EMBEDDED, KOKORO, Voice
from kvw.voices.files import facts_of, load_bank, load_voice, name_of, single_files, synthesizer_of
from kvw.voices.names import ENGLISH, LANGUAGES, LETTERS, STOCK, is_kokoro_name
from kvw.voices.stock import stock_voices

EmbeddedVoices: TypeAlias = Callable[[], Mapping[str, Voice]]
"""Makes the embedded synthesiser's stock voices, by name; they are in no folder."""

HEAVIEST = 1e9
"""The largest weight in a blend: far larger ones have no finite sum."""

_WEIGHTED = re.compile(r"(?P<name>.+?)\s*(?:\((?P<weight>[^()]*)\))?", re.DOTALL)


@dataclass(frozen=True)
class NamedVoice:
    """A voice that a reference stands for.

    Attributes:
        name: the name of the file, the stock voice or the pack's member; for a blend the names with their weights.
        voice: float32 ``(510, 1, 256)``.
        synthesizer: the synthesiser that the voice belongs to.
        bases: the voices that the voice was made of, if its record names them; else its own name.
        facts: the record of the voice's file; empty for a voice without a file of its own.
        path: the voice's file; None for a voice without a file of its own.
    """

    name: str
    voice: Voice
    synthesizer: str
    bases: tuple[str, ...]
    facts: dict[str, Any] = field(default_factory=dict)
    path: Path | None = None

    @property
    def language(self) -> str:
        """The letter of the language that a Kokoro voice was made for; empty where neither record nor names tell it."""
        if self.synthesizer != KOKORO:
            return ""
        told = {str(self.facts.get("language"))} & set(LETTERS)
        letters = told or {base[0] if is_kokoro_name(base) else "" for base in self.bases}
        return letters.pop() if len(letters) == 1 else ""


def resolve(reference: str, folder: Path, embedded: EmbeddedVoices = dict) -> NamedVoice:
    """The voice that ``reference`` stands for.

    Args:
        reference: the path of a voice; ``PACK:NAME``; the name of a voice in ``folder``, else of one of Kokoro's stock
            voices, which kvw carries, or of an embedded one; or several of these, joined by ``+``, each with a weight
            in brackets if wanted.
        folder: the folder of the stock voices, or a pack of voices.
        embedded: makes the embedded synthesiser's stock voices; called only for a name that is nowhere else.

    Raises:
        KvwError: there is no such voice, its file is bad, a weight is no number above 0, or a blend's voices belong to
            several synthesisers.
    """
    if _is_file(reference):  # even if its name holds signs of the grammar
        return _single(reference, folder, embedded)
    return blend(reference, lambda name: _single(name, folder, embedded))


def blend(reference: str, find: Callable[[str], NamedVoice]) -> NamedVoice:
    """The voice that ``reference`` stands for: a name, or several, joined by ``+``, with weights in brackets.

    Args:
        reference: as ``af_bella(2)+am_adam(1)``.
        find: gives the voice of a name.

    Raises:
        KvwError: as ``find``; a weight is no number above 0, or the voices belong to several synthesisers.
    """
    terms = [_weighted(term.strip(), reference) for term in reference.split("+")]
    parts = [find(name) for name, _ in terms]
    if len(parts) == 1:
        return parts[0]
    owners = {part.synthesizer: part.name for part in parts}
    if len(owners) > 1:
        kinds = ", ".join(f"{name} ({owner})" for owner, name in owners.items())
        raise KvwError(f"{reference}: expected voices of one synthesiser to blend; got {kinds}; they can't be mixed")
    total = sum(weight for _, weight in terms)
    bases = tuple(dict.fromkeys(base for part in parts for base in part.bases))
    mixed = sum(weight / total * part.voice.astype(np.float64) for part, (_, weight) in zip(parts, terms, strict=True))
    name = "+".join(f"{part.name}({weight:g})" for part, (_, weight) in zip(parts, terms, strict=True))
    return NamedVoice(name, np.asarray(mixed, dtype=np.float32), parts[0].synthesizer, bases)


def resolve_all(references: Sequence[str], folder: Path, embedded: EmbeddedVoices = dict) -> list[NamedVoice]:
    """The voices of several references.

    Raises:
        KvwError: as :func:`resolve`, with a line for every bad reference.
    """
    voices, problems = [], []
    for reference in references:
        try:
            voices.append(resolve(reference, folder, embedded))
        except KvwError as error:
            problems.append(str(error))
    if problems:
        raise KvwError("\n".join(problems))
    return voices


def language_remark(voices: Sequence[NamedVoice], letter: str) -> str:
    """A line on voices that are to speak another language than their own; empty where there are none.

    Args:
        voices: that speak.
        letter: of the language of what they say. American and British English count as one: they differ by accent.
    """
    own = ENGLISH if letter in ENGLISH else letter
    others = {voice.name: voice.language for voice in voices if voice.language and voice.language not in own}
    if not others:
        return ""
    theirs = sorted(set(others.values()))
    made = listed([LANGUAGES[other] for other in theirs])
    return (
        f"{listed(list(others))}: made for {made}, and will speak {LANGUAGES.get(letter, letter)}, with an accent "
        f"perhaps; give language={' or '.join(theirs)} if that is not meant"
    )


def _is_file(name: str) -> bool:
    with suppress(OSError, ValueError):  # a blend may be too long for a path
        return Path(name).is_file()
    return False


def _weighted(term: str, reference: str) -> tuple[str, float]:
    match = _WEIGHTED.fullmatch(term)
    weight = math.nan
    with suppress(ValueError):
        weight = float(match["weight"] or "1") if match else weight
    if match is None or not 0 < weight <= HEAVIEST:
        raise KvwError(
            f"{reference}: expected voices as in af_bella(2)+am_adam(1), weights above 0 and up to {HEAVIEST:g}; got "
            f"{term!r}"
        )
    return match["name"], weight


def _single(name: str, folder: Path, embedded: EmbeddedVoices) -> NamedVoice:
    if _is_file(name):
        return _file(Path(name))
    pack, colon, member = name.rpartition(":")
    if colon and _is_file(pack):
        return _member(Path(pack), member)
    if folder.is_file():
        return _member(folder, name)
    known = {name_of(file): file for file in single_files(folder)}
    if name in known:
        return _file(known[name])
    if name in STOCK:
        return NamedVoice(name, stock_voices()[name], KOKORO, (name,))
    stock = embedded()
    if name in stock:
        return NamedVoice(name, stock[name], EMBEDDED, (name,))
    hint = nearest(name, [*known, *STOCK, *stock])
    missing = "" if known else f"; {folder} holds no voices"
    raise KvwError(
        f"{name}: expected a voice file, a voice's name, or a blend as af_bella(2)+am_adam(1); "
        f"there is no such voice{hint}{missing}"
    )


def _file(path: Path) -> NamedVoice:
    voice = load_voice(path)
    name, facts = name_of(path), facts_of(path)
    recorded = facts.get("base_voices")
    bases = tuple(map(str, recorded)) if recorded and isinstance(recorded, (list, dict)) else (name,)
    return NamedVoice(name, voice, synthesizer_of(path), bases, facts, path)


def _member(pack: Path, name: str) -> NamedVoice:
    bank = load_bank(pack)
    if name not in bank.voices:
        raise KvwError(f"{pack}: there is no voice {name!r} in it{nearest(name, bank.voices)}")
    return NamedVoice(name, bank.voices[name], bank.synthesizer, (name,))
