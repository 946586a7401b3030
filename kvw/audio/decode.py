"""Decodes a recording of any format, which may come from a stranger, in bounded memory and time.

PyAV (FFmpeg) decodes every format: unlike libsndfile it reads FLAC of unknown length and prints nothing about odd MP3
files. FFmpeg silently accepts a file that was cut short, so the length that a header promises is compared with the
length that was decoded; and FFmpeg believes every claim of a header, so claims are checked before anything is decoded.
"""

from __future__ import annotations

import ctypes
import logging
import math
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import av
import numpy as np
import soxr

from kvw.audio.refusal import refusal
from kvw.audio.truncation import check_length, check_size
from kvw.errors import KvwError
from kvw.runtime.files import LFS_POINTER
from kvw.text import printable_line
from kvw.types import SAMPLE_RATE, Wave

log = logging.getLogger(__name__)

MAX_SECONDS = 600.0
"""Longest recording, in seconds: a longer file is refused, and never more than this (58 MB) is held in memory."""

MAX_CHANNELS = 64
"""Most channels of a file: no recorder writes more. FFmpeg gives up at 512 and then reports 0 channels."""

MIN_RATE, MAX_RATE = 1_000, 768_000
"""Sample rates, in Hz: no recorder samples slower or faster."""

MAX_VALUES = 2**27
"""Most samples of all channels together: two seconds of work. Ten minutes of stereo at 96 kHz have fewer."""

SEEK_BYTES = 512
"""Bytes that one seek counts as, for :data:`MAX_PART`: FFmpeg would follow empty chunks for ever."""

SILENCE_RANGE = 1e-3
"""Largest minus smallest sample, full scale 2: below this (-66 dB) a recording is silent, whatever its offset."""

MOST_TRACKS = 4
"""Sound tracks of a file that are tried where the first are silent."""

MAX_STREAMS = 128
"""Most streams of a file that FFmpeg looks at."""

MAX_PART = 2**26
"""Most bytes of a file without a packet, and of one allocation by FFmpeg: a few bytes can claim a table of any size."""

# Formats whose header gives the length; for others (MP3, ADTS, MPEG-TS) FFmpeg guesses the length from the bit rate.
LENGTH_IN_HEADER = {"aiff", "asf", "au", "avi", "caf", "flac", "flv", "mov", "matroska", "w64", "wav"}

# A gap in these formats is damage; in others a recorder may leave out silence, or lose packets of a call.
WITHOUT_GAPS = {"flac", "ogg"}


def _decodes_audio(name: str) -> bool:
    try:
        return bool(av.Codec(name, "r").type == "audio")
    except ValueError:  # a codec that only encodes
        return False


# FFmpeg would decode a few pictures when it opens a video; with audio codecs alone it can't.
AUDIO_CODECS = ",".join(name for name in sorted(av.codecs_available) if _decodes_audio(name))
CONVERT = "convert it to WAV or FLAC with an audio editor, or bring another recording"

REFUSED = {
    LFS_POINTER: "expected audio; got a Git LFS pointer, which stands for it; git lfs pull fetches it",
    # FFmpeg reads its header, and takes its samples for noise
    b"RIFX": f"expected audio that kvw reads; got a WAV file with its bytes in the other order (RIFX); {CONVERT}",
}
"""Why files are refused by how they begin."""


def decode_file(path: Path) -> Wave:
    """Decodes an audio or video file of any format, rate, sample width and channel count.

    Channels are averaged; of several sound tracks the first that is not silent is heard, which is logged. A recording
    that exceeds full scale is scaled down to it.

    Returns:
        float32 ``(samples,)``, 24 kHz, finite, in [-1, 1], at most :data:`MAX_SECONDS` long, not empty.

    Raises:
        KvwError: the file is missing, a folder, unreadable, empty, not audio, cut short, damaged, has NaN or infinite
            samples, or is longer than :data:`MAX_SECONDS`. The message is one line that names the file.
    """
    path = Path(path)
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise refusal(path, "expected an audio file; got a folder; name one file inside it")
        if not stat.S_ISREG(mode):
            raise refusal(path, "expected an audio file; got a pipe or device; save the recording to a file first")
        with path.open("rb") as file:
            head = file.read(max(map(len, REFUSED)))
            for beginning, reason in REFUSED.items():
                if head.startswith(beginning):
                    raise refusal(path, reason)
            check_size(path, file)
            file.seek(0)
            return _decode(path, file)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise refusal(path, "expected an audio file, there is none; check the path") from error
    except OSError as error:
        raise refusal(path, f"can't be read ({printable_line(error)}); check the path and its permissions") from error


class _Source:
    """A file for FFmpeg to read, which seems to end after :data:`MAX_PART` bytes without a packet.

    Attributes:
        idle: bytes that were read, and seeks counted as bytes, since the last packet.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.tell = file.tell
        self.idle = 0

    def read(self, size: int) -> bytes:
        if self.idle > MAX_PART:
            return b""
        self.idle += size
        return self._file.read(size)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self.idle += SEEK_BYTES
        return self._file.seek(offset, whence)


def _decode(path: Path, file: BinaryIO) -> Wave:
    """A whole file as a :data:`Wave`, in constant memory beyond the result."""
    source = _Source(file)
    # FFmpeg allocates the tables and pictures that a file claims to have. This limit, by default 2 GiB, is per process.
    with suppress(OSError, AttributeError):
        ctypes.CDLL(av._core.__file__).av_max_alloc(ctypes.c_size_t(MAX_PART))
    wave, tracks = _track(path, source, 0)
    if not is_silent(wave):
        return wave
    for number in range(1, min(tracks, MOST_TRACKS)):  # screen recorders put the microphone behind another track
        with suppress(KvwError):
            other, _ = _track(path, source, number)
            if not is_silent(other):
                log.warning("%s: sound track %d of %d is heard; those before it are silent", path, number + 1, tracks)
                return other
    return wave


def is_silent(wave: Wave) -> bool:
    """Whether a wave, not empty, never moves further than :data:`SILENCE_RANGE`."""
    return float(np.ptp(wave)) < SILENCE_RANGE


def _track(path: Path, source: _Source, number: int) -> tuple[Wave, int]:
    """A sound track of a file, by its number, and how many there are."""
    try:
        with _open(path, source) as container:
            claimed, tracks = _probe(path, container, number), len(container.streams.audio)
            if claimed:
                return _collect(path, _blocks(path, container, source, number, claimed)), tracks
            _probe_packets(path, container, source, number)
        with _open(path, source) as container:
            return _collect(path, _blocks(path, container, source, number, 0.0)), tracks
    except (av.error.FFmpegError, ValueError) as error:
        raise refusal(path, f"expected audio; got a file damaged or cut short; {CONVERT}") from error


def _open(path: Path, source: _Source) -> Any:
    source.seek(0)
    source.idle = 0
    options = {
        "protocol_whitelist": "none",  # a playlist must not make FFmpeg open other files or addresses
        "codec_whitelist": AUDIO_CODECS,
        "max_streams": f"{MAX_STREAMS}",
    }
    try:
        return av.open(source, metadata_errors="replace", options=options)  # tags need not be UTF-8
    except (av.error.FFmpegError, ValueError) as error:
        raise refusal(
            path, f"expected audio; got a file that is of no known format or is cut short; {CONVERT}"
        ) from error


def _probe(path: Path, container: Any, number: int) -> float:
    """Refuses a file that its header shows to be no recording, or too long.

    Returns:
        The seconds that the header claims; 0 if the header leaves the length open.
    """
    if not container.streams.audio:
        raise refusal(path, f"expected audio; got a {container.format.long_name} file without any; {CONVERT}")
    codec = container.streams.audio[number].codec_context
    if codec is None:
        raise refusal(path, f"expected audio; got a {container.format.long_name} file of an unknown kind; {CONVERT}")
    _check_form(path, codec.sample_rate, codec.layout.nb_channels)
    in_header = container.duration and LENGTH_IN_HEADER & set(container.format.name.split(","))
    claimed = container.duration / av.time_base if in_header else 0.0
    if claimed > MAX_SECONDS:
        raise _too_long(path, f"{claimed / 60:.1f} min")
    _check_work(path, claimed * codec.sample_rate * codec.layout.nb_channels)
    return claimed


def _probe_packets(path: Path, container: Any, source: _Source, number: int) -> None:
    """Refuses a file whose packets are too long together: a tenth of the work of decoding the packets."""
    audio = container.streams.audio[number]
    seconds, base = 0.0, float(audio.time_base)
    for packet in _packets(path, container, source):
        if packet.stream is audio:
            seconds += (packet.duration or 0) * base
        if seconds > MAX_SECONDS:
            raise _too_long(path, "more")


def _packets(path: Path, container: Any, source: _Source) -> Iterator[Any]:
    """The packets of every stream: the header's length is that of the longest, and a video may outlast its audio."""
    source.idle = 0
    for packet in container.demux():
        if packet.size:  # the last packet is empty
            source.idle = 0
        yield packet
    if source.idle > MAX_PART:
        raise refusal(path, f"expected audio; got {MAX_PART >> 20} MiB without any; {CONVERT}")


def _blocks(path: Path, container: Any, source: _Source, number: int, claimed: float) -> Iterator[tuple[int, Wave]]:
    """The decoded blocks of a sound track, each with its rate: Hz, mono float32 ``(samples,)``."""
    audio = container.streams.audio[number]
    reached = heard = audio_end = 0.0
    audio_start = math.inf
    values = 0
    bases: dict[int, float] = {}  # time bases as floats: fractions are slow
    for packet in _packets(path, container, source):
        stamp = packet.dts if packet.pts is None else packet.pts
        is_audio = packet.stream is audio  # the empty packets at the end have the index 0, whosever they are
        if stamp is not None:
            base = bases.get(packet.stream_index) or bases.setdefault(packet.stream_index, float(packet.time_base))
            end = (stamp + (packet.duration or 0)) * base
            reached = max(reached, end)
            if is_audio:
                audio_start, audio_end = min(audio_start, stamp * base), end
        if is_audio:
            for frame in packet.decode():
                channels = frame.layout.nb_channels
                _check_form(path, frame.sample_rate, channels)
                values += frame.samples * channels
                _check_work(path, values)
                heard += frame.samples / frame.sample_rate
                yield frame.sample_rate, _mono(frame)
    check_length(path, claimed, reached)
    if container.format.name in WITHOUT_GAPS:
        check_length(path, audio_end - audio_start, heard)


def _check_form(path: Path, rate: int, channels: int) -> None:
    if not 0 < channels <= MAX_CHANNELS:
        count = channels or "none, or more than FFmpeg can count"
        raise refusal(path, f"expected 1 to {MAX_CHANNELS} channels; got {count}; mix it down to mono")
    if not MIN_RATE <= rate <= MAX_RATE:
        raise refusal(path, f"expected a sample rate of {MIN_RATE} to {MAX_RATE} Hz; got {rate} Hz; {CONVERT}")


def _check_work(path: Path, values: float) -> None:
    if values > MAX_VALUES:
        expected = f"expected at most {MAX_VALUES / 1e6:.0f} million samples of all channels"
        raise refusal(path, f"{expected}; got {values / 1e6:.0f} million; mix it down to mono at 48 kHz")


def _mono(frame: Any) -> Wave:
    """The mean of a frame's channels, float32, full scale 1."""
    samples = frame.to_ndarray()
    channels = samples if frame.format.is_planar else samples.reshape(frame.samples, -1).T
    with np.errstate(over="ignore", invalid="ignore"):  # samples that are not finite are refused later
        mono = channels[0].astype(np.float64)
        for channel in channels[1:]:  # five times as fast as np.mean
            mono += channel
        mono /= len(channels)
        if samples.dtype.kind in "iu":
            limits = np.iinfo(samples.dtype)
            mono -= (limits.max + limits.min + 1) / 2
            mono /= (limits.max - limits.min + 1) / 2
        wave: Wave = mono.astype(np.float32)
    return wave


def _collect(path: Path, blocks: Iterator[tuple[int, Wave]]) -> Wave:
    """Resamples blocks of one rate one by one, and joins them."""
    # One array, filled block by block: many small ones would lie between FFmpeg's large ones and fragment the heap.
    wave: Wave = np.empty(int((MAX_SECONDS + 1) * SAMPLE_RATE), np.float32)
    rate = samples = end = 0
    for block_rate, block in blocks:
        if not rate:
            rate = block_rate
            resampler = soxr.ResampleStream(rate, SAMPLE_RATE, 1, dtype="float32", quality="VHQ")
        if block_rate != rate:
            raise refusal(path, f"expected one sample rate; got {rate} Hz, then {block_rate} Hz; {CONVERT}")
        if not np.isfinite(block).all():
            raise _not_finite(path)
        samples += len(block)
        if samples > MAX_SECONDS * rate:
            raise _too_long(path, "more")
        part = resampler.resample_chunk(block)
        wave[end : end + len(part)] = part
        end += len(part)
    if samples:
        part = resampler.resample_chunk(np.zeros(0, np.float32), last=True)
        wave[end : end + len(part)] = part
        end += len(part)
    wave.resize(end, refcheck=False)
    if not wave.size:
        raise refusal(path, "expected audio; got a file that holds none; bring another recording")
    if not np.isfinite(wave).all():  # resampling can overflow where samples are near float32's largest
        raise _not_finite(path)
    wave /= max(1.0, wave.max(), -wave.min())
    return wave


def _not_finite(path: Path) -> KvwError:
    return refusal(path, "expected finite samples; got NaN or infinity; export it again as 16-bit WAV")


def _too_long(path: Path, length: str) -> KvwError:
    return refusal(path, f"expected at most {MAX_SECONDS / 60:g} min of audio; got {length}; cut a clip of 10 to 30 s")
