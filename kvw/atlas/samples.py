"""The samples of an atlas: voices that spoke a short text, and the speakers that were heard, as a file."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load, save

from kvw.errors import KvwError
from kvw.types import STYLE_WIDTH

FORMAT = 2
"""Of the file; counted up where an older kvw would misread it."""

MOST_BYTES = 500_000_000
"""Size of a file above which it is no atlas: half a million samples."""


RANDOM, OF_RUN = -1, -2
"""In the place of the number of a stock voice, of a random voice, and of a candidate of a run."""


@dataclass(frozen=True)
class Origin:
    """What samples depend on: equal origins and designs mean equal samples, but for rounding.

    Attributes:
        model: what spoke, such as ``kokoro-v1.0``: see :attr:`kvw.speech.synthesizer.Synthesizer.model`.
        encoder: what heard the speakers.
        language: Kokoro's letter for the language of the texts.
        texts: that were spoken.
        bank: sha256 of the stock voices' mean rows, near which the other voices lie.
        seed: of the design and of the synthesiser's noise.
    """

    model: str
    encoder: str
    language: str
    texts: tuple[str, ...]
    bank: str
    seed: int


@dataclass(frozen=True)
class Samples:
    """What was heard of voices, one short text each: first of the stock voices, then of random ones.

    Attributes:
        origin: what they depend on.
        asked: how many voices were asked to speak; those that failed to have no sample.
        styles: mean rows of the voices, float16 ``(n, 256)``.
        embeddings: unit vectors, float16 ``(n, 256)``.
        spoken: index of the text that each voice spoke, int16 ``(n,)``.
        stock: the number of the stock voice, by sorted names; :data:`RANDOM`; or :data:`OF_RUN`, int16 ``(n,)``.
        intonation: mean and standard deviation of log pitch (Hz), and the voiced share, float32 ``(n, 3)``: see
            :func:`kvw.audio.pitch.intonation`; 0 where that is not known.
        timbre: mean log spectral centroid (Hz), and cepstral peak prominence (dB), float32 ``(n, 2)``: see
            :func:`kvw.audio.timbre.timbre`; 0 where that is not known.
        pace: phonemes a second, float32 ``(n,)``; 0 where that is not known.
        texts_of_runs: that candidates of runs spoke; their numbers follow those of the origin's texts.
    """

    origin: Origin
    asked: int
    styles: NDArray[np.float16]
    embeddings: NDArray[np.float16]
    spoken: NDArray[np.int16]
    stock: NDArray[np.int16]
    intonation: NDArray[np.float32]
    timbre: NDArray[np.float32]
    pace: NDArray[np.float32]
    texts_of_runs: tuple[str, ...] = ()

    def __len__(self) -> int:
        """The number of samples."""
        return len(self.styles)

    @property
    def of_stock(self) -> list[NDArray[np.bool_]]:
        """Which samples are each stock voice's."""
        return [self.stock == number for number in np.unique(self.stock[self.stock >= 0])]

    @property
    def bank(self) -> NDArray[np.float64]:
        """The mean rows of the stock voices, ``(voices, 256)``."""
        return np.array([self.styles[own][0] for own in self.of_stock], dtype=np.float64)

    def only(self, chosen: Any) -> Samples:
        """Some of the samples, by an index or a mask of numpy's."""
        some: dict[str, Any] = {name: getattr(self, name)[chosen] for name in ARRAYS}
        return replace(self, **some)

    def extended(self, asked: int, **arrays: Any) -> Samples:
        """These samples and others, of ``asked`` more voices; the arrays have the names of the attributes."""
        joined: dict[str, Any] = {}
        for name, kind in ARRAYS.items():
            more = np.asarray(arrays[name], kind).reshape(-1, *WIDTHS.get(name, ()))
            joined[name] = np.concatenate([getattr(self, name), more])
        return replace(self, asked=self.asked + asked, **joined)

    def file(self) -> bytes:
        """The bytes of a file; equal samples give equal bytes."""
        facts = {"format": FORMAT, "asked": self.asked, **asdict(self.origin)}
        if self.texts_of_runs:
            facts["texts_of_runs"] = self.texts_of_runs
        # one entry: safetensors writes several in random order
        metadata = {"kvw": json.dumps(facts, sort_keys=True)}
        return bytes(save({name: np.ascontiguousarray(getattr(self, name)) for name in ARRAYS}, metadata))


ARRAYS: dict[str, np.dtype[Any]] = {
    "styles": np.dtype("f2"),
    "embeddings": np.dtype("f2"),
    "spoken": np.dtype("i2"),
    "stock": np.dtype("i2"),
    "intonation": np.dtype("f4"),
    "timbre": np.dtype("f4"),
    "pace": np.dtype("f4"),
}
"""The arrays of :class:`Samples`, and their types."""

WIDTHS = {"styles": (STYLE_WIDTH,), "embeddings": (STYLE_WIDTH,), "intonation": (3,), "timbre": (2,)}
"""The shape of a sample in those arrays in which it is more than a number."""


def none_of(origin: Origin) -> Samples:
    """No samples yet."""
    empty: dict[str, Any] = {name: np.empty((0, *WIDTHS.get(name, ())), kind) for name, kind in ARRAYS.items()}
    return Samples(origin, 0, **empty)


def read_samples(path: Path) -> Samples:
    """The samples in a file that :meth:`Samples.file` gave the bytes of; nothing of it is executed.

    Raises:
        KvwError: the file is missing, damaged, of another format, or holds NaN or infinity.
    """
    anew = "make it anew with task=atlas"
    try:
        if path.stat().st_size > MOST_BYTES:
            raise KvwError(f"{path}: expected an atlas; got {path.stat().st_size:,} bytes; check the path")
        arrays: dict[str, Any] = load(path.read_bytes())
        with safe_open(path, "numpy") as opened:
            facts = json.loads((opened.metadata() or {}).get("kvw", "null"))
    except OSError as error:
        raise KvwError(f"{path}: expected an atlas; got {error.strerror}; check the path, or {anew}") from error
    except (SafetensorError, ValueError, RecursionError) as error:
        raise KvwError(f"{path}: expected an atlas of kvw's; got a damaged or another file; {anew}") from error
    if not isinstance(facts, dict) or facts.get("format") != FORMAT:
        found = facts.get("format") if isinstance(facts, dict) else None
        raise KvwError(f"{path}: expected an atlas of format {FORMAT}; got {found!r:.40}; {anew}")
    facts.setdefault("texts_of_runs", [])
    kinds = {
        "asked": int,
        "seed": int,
        "texts": list,
        "texts_of_runs": list,
        **dict.fromkeys(("model", "encoder", "language", "bank"), str),
    }
    sound = all(type(facts.get(name)) is kind for name, kind in kinds.items())
    if not sound or not all(isinstance(text, str) for text in (*facts["texts"], *facts["texts_of_runs"])):
        raise KvwError(f"{path}: expected {', '.join(kinds)} beside the samples; got others; {anew}")
    own = {field.name: facts[field.name] for field in fields(Origin)} | {"texts": tuple(facts["texts"])}
    samples = none_of(Origin(**own))
    if arrays.keys() != ARRAYS.keys():
        raise KvwError(f"{path}: expected the arrays {', '.join(ARRAYS)}; got {', '.join(arrays)}; {anew}")
    for name, kind in ARRAYS.items():
        got = arrays[name]
        shape = (arrays["spoken"].size, *WIDTHS.get(name, ()))
        if got.dtype != kind or got.shape != shape:
            raise KvwError(f"{path}: expected {name} of {kind} {shape}; got another array; {anew}")
        if not np.isfinite(got).all():
            raise KvwError(f"{path}: expected numbers; {name} has NaN or infinity; {anew}")
    count = len(own["texts"]) + len(facts["texts_of_runs"])
    if not ((arrays["spoken"] >= 0) & (arrays["spoken"] < count)).all():
        raise KvwError(f"{path}: expected spoken to number the {count} texts; got others; {anew}")
    return replace(samples, asked=facts["asked"], texts_of_runs=tuple(facts["texts_of_runs"]), **arrays)
