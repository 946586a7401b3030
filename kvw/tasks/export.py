"""``task=export``: writes voices in the formats of Kokoro's runtimes, under names that their servers accept.

Read :func:`export` first, then :class:`Namer`; :mod:`kvw.tasks.destinations` writes.
"""

from __future__ import annotations

import datetime
import logging
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig

from kvw.audio.decode import decode_file
from kvw.audio.pitch import gender_of
from kvw.config.invocation import Invocation
from kvw.config.schema import several
from kvw.errors import KvwError, some_failed
from kvw.speech import select
from kvw.tasks.destinations import PACKS, SINGLE, Destination, destinations
from kvw.tasks.speak import synthesizer
from kvw.text import nearest
from kvw.types import EMBEDDED, KOKORO, Voice
from kvw.voices.files import FORMAT, load_bank, single_files, voice_digest
from kvw.voices.formats.files import FETCH
from kvw.voices.names import GENDERS, STOCK, folded, is_kokoro_name, kokoro_name
from kvw.voices.reference import NamedVoice, resolve

log = logging.getLogger(__name__)

EXPORTED = Path("outputs/exported")
"""Where voices of ``test_voice`` go unless the config says otherwise."""

ANY_OWNER = "safetensors"
"""The format that says whose voice it holds, and so is not Kokoro's alone."""


def export(
    invocation: Invocation,
    *,
    formats: list[str] | str,
    name: str | None,
    gender: str | None,
    out: str | None,
    replace: bool,
) -> float:
    """Writes ``test_voice``, or every voice of ``voice_folder``, in each of ``formats``.

    A pack that exists keeps its voices and gets the new ones at its end. Where one format has another voice by a
    voice's name already, that voice goes into no format.

    Args:
        invocation: of which the config counts; its ``export_bin`` asks for ``npz`` in ``voice_folder``.
        formats: of :data:`SINGLE` and :data:`PACKS`.
        name: of one voice, whole or its last part; null makes one of the voice's own name.
        gender: ``f`` or ``m``, for the name; null is guessed where the name doesn't say.
        out: a folder, or the file of a pack; null is ``voice_folder`` for all of its voices, else :data:`EXPORTED`.
        replace: whether another voice that has the name already is written over.

    Returns:
        how many voices were exported.

    Raises:
        KvwError: a setting is wrong; there are no voices; or some voices could not be exported, the others were.
    """
    cfg = invocation.cfg
    chosen = known_formats(formats, cfg.export_bin)
    if gender not in (None, *GENDERS):
        raise KvwError(f"task.gender: expected f or m, or null to guess it; got {gender!r}")
    sources = found(cfg)
    if name is not None and (len(sources) > 1 or not name.strip()):
        raise KvwError(f"task.name: expected a name, of a single voice, or null; got {name!r} for {len(sources)}")
    namer = Namer(cfg, name, gender)
    done: dict[str, Voice] = {}
    failed = []
    with destinations(chosen, folder_for(cfg, out)) as places:
        for source, read in sources.items():
            try:
                voice = read()
                check_owner(voice, chosen)
                given = namer(voice)
                if given in done and not np.array_equal(done[given], voice.voice):
                    raise KvwError(
                        f"{source}: expected a name of its own; another voice is {given}; export it by itself"
                    )
                put(voice, given, places, replace)
                if given != voice.name:
                    log.info("%s: exported as %s", voice.name, given)
                done[given] = voice.voice
            except KvwError as error:
                if len(sources) == 1:
                    raise
                log.error("%s", error)
                failed.append(source)
    namer.warn()
    if failed:
        raise some_failed(failed, len(sources), "voices")
    return float(len(done))


def known_formats(given: list[str] | str, export_bin: bool) -> list[str]:
    """The formats asked for, each once.

    Raises:
        KvwError: there are none, or one is unknown.
    """
    formats = dict.fromkeys([given] if isinstance(given, str) else given)
    if export_bin:
        formats["npz"] = None
    known = [*SINGLE, *PACKS]
    if wrong := [form for form in formats if form not in known]:
        raise KvwError(f"task.formats: there is no format {wrong[0]!r}{nearest(str(wrong[0]), known)}")
    if not formats:
        raise KvwError(f"task.formats: expected some of {', '.join(known)}; got none; give task.formats=[npz]")
    return list(formats)


def found(cfg: DictConfig) -> dict[str, Callable[[], NamedVoice]]:
    """Functions that read the voices to export, by the voices' references or files.

    Raises:
        KvwError: there are none.
    """
    folder = Path(cfg.voices_folder)
    if cfg.test_voice:
        return {
            str(reference): partial(resolve, str(reference), folder, select.embedded_voices)
            for reference in several(cfg.test_voice)
        }
    if folder.is_file():
        bank = load_bank(folder)
        return {
            f"{folder}:{name}": partial(NamedVoice, name, voice, bank.synthesizer, (name,))
            for name, voice in bank.voices.items()
        }
    single = single_files(folder)
    if not single:
        raise KvwError(f"voice_folder: expected voices to export; {folder} has none; give test_voice=VOICE; {FETCH}")
    return {str(path): partial(resolve, str(path), folder) for path in single}


def folder_for(cfg: DictConfig, out: str | None) -> Path:
    """The folder, or the pack's file, that the voices are written to."""
    folder = Path(cfg.voices_folder)
    if out:
        return Path(out)
    if cfg.test_voice and not cfg.export_bin:
        return EXPORTED
    return folder.parent if folder.is_file() else folder


def check_owner(voice: NamedVoice, formats: list[str]) -> None:
    """Checks that the formats can hold a voice of its synthesiser.

    Raises:
        KvwError: a format is Kokoro's and the voice is not; or the voice's synthesiser is unknown.
    """
    known = (KOKORO, EMBEDDED)
    if voice.synthesizer not in known:  # it would become part of a file's name
        raise KvwError(f"{voice.name}: expected a voice of {' or '.join(known)}; got one of {voice.synthesizer!a:.60}")
    wrong = [form for form in formats if form != ANY_OWNER]
    if voice.synthesizer != KOKORO and wrong:
        raise KvwError(
            f"{voice.name}: expected a voice of Kokoro's for {', '.join(wrong)}; got one of the {voice.synthesizer} "
            f"synthesiser, which means nothing to Kokoro; give task.formats=[{ANY_OWNER}], which says whose it is"
        )


def put(voice: NamedVoice, name: str, places: list[Destination], replace: bool) -> None:
    """Writes a voice to every destination, or to none if one of them has another voice of that name.

    Raises:
        KvwError: a destination has another voice of that name, which may not be replaced; or a format can't hold the
            voice.
    """
    owner = voice.synthesizer
    label = name if owner == KOKORO else f"{name}.{owner}"
    missing = []
    for place in places:
        held = None if replace else place.held(label)
        if held is not None and not np.array_equal(held, voice.voice):
            raise KvwError(
                f"{voice.name}: expected the name {name} to be free in {place.path}; it is another voice's; "
                "give task.name=NAME, or task.replace=true to write over that one"
            )
        missing += [place] if held is None else []
    facts = record(voice, name)
    try:
        for place in missing:
            place.put(label, voice.voice, facts)
    except ValueError as error:
        raise KvwError(f"{voice.name}: {error}; it can't be exported") from error


def record(voice: NamedVoice, name: str) -> dict[str, Any]:
    """The facts that are exported with a voice: its own, base voices and licence, that it is synthetic, the date."""
    return {
        **voice.facts,
        "format": FORMAT,
        "name": name,
        "synthesiser": voice.synthesizer,
        "synthetic": True,
        "sha256": voice_digest(voice.voice),
        "exported_from": voice.name,
        "base_voices": list(voice.bases),
        "base_voices_licence": licence(set(voice.bases), voice.synthesizer),
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
    }


def licence(bases: set[str], owner: str) -> str:
    """The licence of base voices: Kokoro's stock voices and kvw's own are Apache-2.0."""
    stock = STOCK
    if owner == EMBEDDED:
        stock = frozenset(select.embedded_voices())
    return "Apache-2.0" if bases <= stock else "unknown"


class Namer:
    """Names voices for Kokoro's servers, and guesses the gender of a voice by its pitch where the name needs it.

    Args:
        cfg: the config.
        name: of the one voice that is exported, whole or its last part; None takes each voice's own.
        gender: ``f`` or ``m``; None guesses it.
    """

    def __init__(self, cfg: DictConfig, name: str | None, gender: str | None) -> None:
        self._cfg, self._name, self._gender = cfg, name, gender
        self._synthesizer = cache(partial(synthesizer, cfg))
        self._foreign: list[str] = []
        self._denied: list[str] = []

    def __call__(self, voice: NamedVoice) -> str:
        """The voice's own name or the one that was given, if servers accept it; else a name that is made of it.

        Raises:
            KvwError: the gender has to be guessed, and the voice can't be spoken with.
        """
        text = self._name or voice.name
        valid = [known for known in (text, folded(text)) if is_kokoro_name(known)]
        language = self._cfg.language.letter
        name = valid[0] if valid else kokoro_name(text, language, self._gender or self._heard(voice))
        if name not in STOCK and {name[0]} != {language, str(voice.facts.get("language", language))}:
            self._foreign.append(name)
        if self._gender not in (None, name[1]):
            self._denied.append(name)
        return name

    def warn(self) -> None:
        """Logs the names whose letters contradict the config's language or gender."""
        if self._foreign:
            log.warning(
                "%s: made or exported for another language than the first letter says, by which servers read text; "
                "give task.name=NAME, or language=LETTER",
                ", ".join(self._foreign),
            )
        if self._denied:
            names = ", ".join(self._denied)
            log.warning("%s: named before task.gender=%s, and left so; give task.name=NAME", names, self._gender)

    def _heard(self, voice: NamedVoice) -> str:
        """The gender by the pitch of the recording beside the voice's file, else of the voice speaking."""
        recording = voice.path.with_suffix(".wav") if voice.path else None
        try:
            if recording and recording.is_file():
                return gender_of(decode_file(recording))
            speaker = self._synthesizer(voice.synthesizer)
            script = speaker.script(self._cfg.language.target_text)
            return gender_of(speaker([voice.voice], script, self._cfg.seed)[0])
        except KvwError as error:
            raise KvwError(
                f"{voice.name}: expected to hear whether the name begins {self._cfg.language.letter}f_ or "
                f"{self._cfg.language.letter}m_; {error}; give task.gender=f or task.gender=m"
            ) from error
