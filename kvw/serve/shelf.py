"""The voices that the server has: stock voices, and those of folders, which are looked at before every answer."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from kvw.errors import KvwError
from kvw.text import nearest, printable_line
from kvw.types import Voice
from kvw.voices.files import ENDINGS, load_pack, synthesizer_of
from kvw.voices.reference import NamedVoice, blend

log = logging.getLogger(__name__)

LONGEST = 400
"""Characters of a voice's name or blend, at most."""

_OPERATORS = frozenset("+()")


class Shelf:
    """Voices by name. A file that is new or was changed is read; one that can't be read is logged once, and left out.

    Args:
        sources: folders of voices, which may be missing, or files; of two voices of one name the first counts.
        stock: further voices by name, which come last.
        owner: the synthesiser that speaks; voices of another one are left out.
    """

    def __init__(self, sources: Sequence[Path], stock: Mapping[str, Voice], owner: str) -> None:
        self._sources, self._stock, self._owner = sources, stock, owner
        self._read: dict[Path, tuple[object, dict[str, Voice]]] = {}

    def voices(self) -> dict[str, Voice]:
        """The voices that are there now, sorted by name."""
        found: dict[str, Voice] = {}
        present = list(self._files())
        for path in present:
            for name, voice in self._voices_of(path).items():
                found.setdefault(name, voice)
        self._read = {path: self._read[path] for path in present if path in self._read}
        for name, voice in self._stock.items():
            found.setdefault(name, voice)
        return dict(sorted(found.items()))

    def find(self, reference: str) -> NamedVoice:
        """The voice of a name, of a name's last part (``bella`` for ``af_bella``), or of a blend ``af_a(2)+am_b(1)``.

        Nothing but the shelf is looked at: a path is no name.

        Raises:
            KvwError: there is no such voice, or a weight is no number above 0.
        """
        if len(reference) > LONGEST:
            raise KvwError(f"voice: expected {LONGEST} characters at most; got {len(reference)}")
        voices = self.voices()

        def single(name: str) -> NamedVoice:
            known = name if name in voices else next((full for full in voices if full[2:] == f"_{name}"), None)
            if known is None:
                raise KvwError(f"voice: there is no voice {name!a:.80}{nearest(name, voices)}")
            return NamedVoice(known, voices[known], self._owner, (known,))

        return blend(reference, single)

    def _files(self) -> Iterator[Path]:
        for source in self._sources:
            if source.is_file():
                yield source
            else:
                yield from (path for path in sorted(source.glob("[!.]*")) if path.suffix in (*ENDINGS, ".npz"))

    def _voices_of(self, path: Path) -> dict[str, Voice]:
        """The voices of a file, which is read again where it or its record has changed."""
        state = [_state(path), _state(path.with_suffix(".json"))]
        if path not in self._read or self._read[path][0] != state:
            self._read[path] = (state, self._load(path))
        return self._read[path][1]

    def _load(self, path: Path) -> dict[str, Voice]:
        try:
            owner = synthesizer_of(path)
            if owner != self._owner:
                raise KvwError(
                    f"{path}: expected a voice of {self._owner}, which speaks here; got one of {owner!a:.60}"
                )
            voices = load_pack(path)
        except (KvwError, OSError) as error:
            log.warning("Not served: %s", printable_line(error))
            return {}
        odd = [name for name in voices if not name.isprintable() or _OPERATORS & set(name) or name.isdigit()]
        if odd:
            log.warning("Not served: %s: expected names without + ( ) and not numbers alone; got %a", path, odd[0])
        return {name: voice for name, voice in voices.items() if name not in odd}


def _state(path: Path) -> object:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size
