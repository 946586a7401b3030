"""A source-filter vocoder: analyses clean speech into pitch, voicing and spectral envelope, and synthesises it anew.

:func:`analyse` runs once a text (numpy), :func:`render` once a voice (torch, any device). Frames are 8 ms apart.

The synthesis is a pulse train and noise, mixed band by band and shaped by the envelope in the short-time Fourier domain
(McAulay & Quatieri 1986 and Griffin & Lim 1984 are the ancestors; the envelope is a liftered cepstrum as in WORLD's
CheapTrick, Morise 2015).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import convolve1d
from scipy.signal import medfilt
from torch import Tensor
from torch.nn.functional import pad

from kvw.types import SAMPLE_RATE, Wave

HOP = 192
"""Samples from one frame to the next: 8 ms."""

GAIN_BANDS, WARP_KNOTS, BREATH_BANDS, SHAPE_MODES = 20, 5, 4, 8
"""Numbers of a speaker in ``gains``, ``warp``, ``breath`` and ``shape`` of :class:`Speakers`."""

MAX_LOG_RATE = 0.18
"""Bound of ``|log(Speakers.rate)|``, and so of the length of the noise that is drawn."""

LEVEL = 0.06
"""Root mean square of a rendered wave."""

_WINDOW = 768  # synthesis window, samples; four hops, so that Hann windows add up to a constant
_NFFT = 1024
_BINS = _NFFT // 2 + 1
_F0_ANALYSED = (60, 220)  # Hz, espeak's own range
_F0_RENDERED = (50, 500)  # Hz


@dataclass(frozen=True)
class Analysis:
    """Analysed speech. All arrays are float32, over ``T`` frames.

    Attributes:
        f0: mean pitch, Hz.
        melody: ``(T,)``, log pitch minus its mean, interpolated through unvoiced frames.
        voicing: ``(T,)`` in [0, 1].
        cepstrum: ``(T, Q)``, of the log power spectral envelope: ``c[0] + 2 * sum(c[q] * cos(q * omega))``.
    """

    f0: float
    melody: NDArray[np.float32]
    voicing: NDArray[np.float32]
    cepstrum: NDArray[np.float32]


@dataclass(frozen=True)
class Speakers:
    """Parameters of ``B`` speakers, float32 tensors on one device. Zeros, and factors of one, change nothing.

    Attributes:
        f0: ``(B,)``, mean pitch, Hz; the pitch contour is held within 50 to 500 Hz.
        melody: ``(B,)``, factor on the excursions of log pitch.
        rate: ``(B,)``, factor on speed, within ``exp(+-MAX_LOG_RATE)``.
        dynamics: ``(B,)``, factor on the excursions of the log level.
        gains: ``(B, 20)``, added to the log power in bands evenly spaced in mel over 0 to 12 kHz.
        warp: ``(B, 5)``, log stretch of the frequency axis at five of six knots evenly spaced in mel (the highest
            stays); positive raises formants.
        breath: ``(B, 4)``, added to the logit of the noise share in bands evenly spaced over 0 to 12 kHz.
        shape: ``(B, 8)``, relative change of the modes 1 to 8 of the mel cepstrum.
    """

    f0: Tensor
    melody: Tensor
    rate: Tensor
    dynamics: Tensor
    gains: Tensor
    warp: Tensor
    breath: Tensor
    shape: Tensor


def analyse(wave: Wave) -> Analysis:
    """Analyses clean speech of a single speaker. Any length is valid, and so is silence."""
    lags, voicing = _pitch(wave)
    voiced = voicing > 0
    index = np.arange(len(lags))
    log_f0 = np.log(SAMPLE_RATE / lags)
    if voiced.any():
        log_f0 = np.interp(index, index[voiced], log_f0[voiced])
    else:
        voiced, log_f0 = ~voiced, np.full(len(lags), math.log(110.0))
    smoother = np.hanning(11)
    log_f0 = convolve1d(medfilt(log_f0, 7), smoother / smoother.sum(), mode="nearest")
    mean = float(log_f0[voiced].mean())
    f0 = math.exp(mean)
    return Analysis(
        f0,
        melody=(log_f0 - mean).astype(np.float32),
        voicing=convolve1d(voicing, [0.25, 0.5, 0.25], mode="nearest").astype(np.float32),
        cepstrum=_cepstrum(wave, f0).astype(np.float32),
    )


def render(analysis: Analysis, speakers: Speakers, seed: int, speed: float = 1.0) -> list[Tensor]:
    """Synthesises analysed speech for each speaker: ``B`` waves ``(samples,)`` at 24 kHz, root mean square 0.06.

    ``speed``, in [0.5, 2], is a factor on the rate of every speaker.

    Differentiable in all but pitch, melody and rate, which only place the pulses (their gradient is chaotic, and of no
    use to a search). The noise depends on ``analysis`` and ``seed`` alone, so it is the same for every speaker.
    Non-finite speakers give non-finite waves.
    """
    device = speakers.gains.device
    speakers = replace(speakers, rate=speakers.rate * speed)
    log_f0, voicing, cepstrum, lengths = _retimed(analysis, speakers)
    frames = log_f0.shape[1]
    longest = math.ceil(len(analysis.melody) * math.exp(MAX_LOG_RATE) / min(speed, 1.0)) + 2
    harmonics = _pulses(log_f0.exp().clamp(*_F0_RENDERED), voicing.sqrt().to(device))
    noise = _noise(longest, seed, device)[:frames]

    operator, offset = _envelope(analysis, speakers)
    magnitude = torch.baddbmm(offset, cepstrum.to(device), operator).clamp(max=4.0).exp()
    aperiodicity = torch.sigmoid(speakers.breath + _NEUTRAL_BREATH.to(device)) @ _BREATH_BASIS.to(device)
    harmonic = 1 - aperiodicity[:, None]
    spectrum = harmonics * (harmonic.sqrt() * magnitude)
    spectrum = spectrum + noise * ((1 - voicing.to(device)[..., None] * harmonic).sqrt() * magnitude)

    waves = torch.fft.irfft(spectrum, _NFFT)
    return [_levelled(_overlap_added(wave[:length])) for wave, length in zip(waves, lengths, strict=True)]


def _framed(wave: Wave, size: int) -> NDArray[Any]:
    """Returns float ``(T, size)``: Hann-windowed frames centred on every multiple of :data:`HOP`."""
    padded = np.pad(wave, (size // 2, size // 2 + HOP))
    return np.lib.stride_tricks.sliding_window_view(padded, size)[: len(wave) + HOP + 1 : HOP] * np.hanning(size)


def _pitch(wave: Wave) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Returns the pitch period in samples and the voicing (0 or 1) of each frame, by windowed autocorrelation.

    Boersma 1993 without the path finding, which the clean speech of espeak does not need.
    """
    size = 960
    shortest, longest = SAMPLE_RATE // _F0_ANALYSED[1], SAMPLE_RATE // _F0_ANALYSED[0]
    correlation = np.fft.irfft(np.abs(np.fft.rfft(_framed(wave, size), 2048)) ** 2)
    window = np.fft.irfft(np.abs(np.fft.rfft(np.hanning(size), 2048)) ** 2)
    energy = correlation[:, 0]
    normalised = correlation[:, shortest:longest] / (energy[:, None] + 1e-6) / (window[shortest:longest] / window[0])
    voiced = (normalised.max(1) > 0.6) & (energy > 1e-4 * energy.max())
    return shortest + normalised.argmax(1), medfilt(voiced.astype(np.float64), 5)


def _cepstrum(wave: Wave, f0: float) -> NDArray[np.float64]:
    """Returns ``(T, Q)``: power smoothed over one harmonic, and of its logarithm the cepstrum up to half a period."""
    size = 720
    power = np.abs(np.fft.rfft(_framed(wave, size), _NFFT)) ** 2 / (np.hanning(size) ** 2).sum()
    width = f0 / SAMPLE_RATE * _NFFT
    reach = math.ceil(width / 2)
    box = np.clip((width + 1) / 2 - np.abs(np.arange(-reach, reach + 1)), 0, 1)
    smooth = convolve1d(power, box / box.sum(), axis=1, mode="nearest") + 1e-9
    cutoff = 0.55 * SAMPLE_RATE / f0
    quefrency = np.arange(math.ceil(cutoff))
    lifter = 0.5 + 0.5 * np.cos(np.pi * quefrency / cutoff)
    cepstrum: NDArray[np.float64] = np.fft.irfft(np.log(smooth))[:, : len(quefrency)] * lifter
    return cepstrum


def _hats(count: int, places: Tensor) -> Tensor:
    """Returns ``(count, len(places))``: triangles that interpolate ``count`` knots evenly spaced over [0, 1]."""
    return (1 - (places * (count - 1) - torch.arange(count)[:, None]).abs()).clamp(min=0)


def _mel_axis() -> Tensor:
    """Returns ``(513,)``: each bin's place on the mel scale, 0 at 0 Hz to 1 at 12 kHz."""
    mel = torch.log10(1 + torch.linspace(0, SAMPLE_RATE / 2, _BINS) / 700)
    return mel / mel[-1]


_GAIN_BASIS = _hats(GAIN_BANDS, _mel_axis())
_WARP_BASIS = _hats(WARP_KNOTS + 1, _mel_axis())[:WARP_KNOTS]
_BREATH_BASIS = _hats(BREATH_BANDS, torch.linspace(0, 1, _BINS))
_NEUTRAL_BREATH = torch.tensor([-5.0, -2.5, -1.0, 0.0])  # logit of a neutral speaker's noise share, low band to high
_SHAPE_BASIS = torch.cos(torch.pi * torch.arange(1, SHAPE_MODES + 1)[:, None] * _mel_axis())
_HANN = pad(torch.hann_window(_WINDOW), [(_NFFT - _WINDOW) // 2] * 2)  # centred, room for the filter on both sides


def _retimed(analysis: Analysis, speakers: Speakers) -> tuple[Tensor, Tensor, Tensor, list[int]]:
    """Returns log pitch ``(B, T)``, voicing ``(B, T)``, cepstrum ``(B, T, Q)`` at each speaker's rate, on the CPU.

    Also the number of frames of each speaker, at most ``T``; further frames repeat the speaker's last one.
    """
    last = len(analysis.melody) - 1
    log_f0, melody, rate = (x.detach().cpu() for x in (speakers.f0.log(), speakers.melody, speakers.rate))
    rate = rate.nan_to_num(1.0)  # a length must be a number; the pitch carries the NaN on
    lengths = [int(length) for length in (last + 1) / rate]
    place = (torch.arange(max(lengths)) * rate[:, None]).clamp(max=last)
    low = place.floor().long().clamp(max=last - 1)
    share = place - low

    def at_place(track: NDArray[np.float32]) -> Tensor:
        x = torch.from_numpy(track)
        weight = share.reshape(share.shape + (1,) * (x.dim() - 1))
        return torch.lerp(x[low], x[low + 1], weight)

    pitch = log_f0[:, None] + at_place(analysis.melody) * melody[:, None]
    return pitch, at_place(analysis.voicing), at_place(analysis.cepstrum), lengths


@torch.no_grad()
def _pulses(f0: Tensor, amplitude: Tensor) -> Tensor:
    """Returns the spectrum, complex ``(B, T, 513)``, of band-limited pulses of unit power.

    Args:
        f0: ``(B, T)``, Hz, on the CPU: pitch at each frame, linear in between.
        amplitude: ``(B, T)``: factor on each frame; its device is that of the result.
    """
    device = amplitude.device
    following = torch.cat([f0[:, 1:], f0[:, -1:]], 1)
    cycles = torch.cumsum((f0 + following).double() * (HOP / 2 / SAMPLE_RATE), 1)
    start = (cycles.roll(1, 1).index_fill(1, torch.tensor([0]), 0.0) % 1).float()
    partials = (SAMPLE_RATE / 2 / torch.maximum(f0, following)).floor()[..., None].to(device)
    start, f0, following = (x[..., None].to(device) for x in (start, f0, following))
    step = torch.arange(HOP, device=device) / HOP
    phase = start + (HOP / SAMPLE_RATE) * step * (f0 + 0.5 * step * (following - f0))
    angle = torch.pi * (phase - phase.round())
    # the Dirichlet kernel: a sum of `partials` cosines; at angle 0 its closed form is 0 / 0
    peak = angle.abs() < 1e-4
    closed = torch.sin((2 * partials + 1) * angle) / (2 * torch.sin(angle).masked_fill(peak, 1.0)) - 0.5
    train = (torch.where(peak, partials, closed) * (2 / partials).sqrt()).flatten(1)
    return _spectra(pad(train, (_NFFT // 2, _NFFT // 2)), amplitude[..., None])


@lru_cache(maxsize=8)
def _noise(frames: int, seed: int, device: torch.device) -> Tensor:
    """Returns the spectrum, complex ``(frames, 513)``, of white noise of unit power."""
    # a cached tensor must not be an inference tensor: a later caller may want gradients
    with torch.inference_mode(False), torch.no_grad():
        samples = torch.randn(1, frames * HOP + _NFFT, generator=torch.Generator().manual_seed(seed))
        return _spectra(samples.to(device), torch.ones((), device=device))[0]


def _spectra(samples: Tensor, amplitude: Tensor) -> Tensor:
    """Returns complex ``(B, T, 513)``: of ``(B, T * HOP + 1024)`` samples, the frames centred 512 after each hop."""
    frames = samples.unfold(1, _NFFT, HOP)[:, :-1]
    spectra: Tensor = torch.fft.rfft(frames * (_HANN.to(samples.device) * amplitude))
    return spectra


def _envelope(analysis: Analysis, speakers: Speakers) -> tuple[Tensor, Tensor]:
    """Returns the affine map from a cepstrum to the speaker's log magnitude: ``cepstrum @ operator + offset``.

    Every change that a speaker makes to an envelope is linear in the cepstrum, so ``T`` frames need one matrix product.
    The operator is ``(B, Q, 513)``, the offset ``(B, 1, 513)``.
    """
    device = speakers.gains.device
    mean = torch.from_numpy(analysis.cepstrum.mean(0)).to(device)
    modes = _SHAPE_BASIS.to(device)
    stretched = torch.cumsum(torch.exp(-speakers.warp @ _WARP_BASIS.to(device)), 1)
    bins = (stretched - stretched[:, :1]).clamp(max=_BINS - 1)
    quefrency = torch.arange(len(mean), device=device)
    power = torch.cos((2 * torch.pi / _NFFT) * quefrency[:, None] * bins[:, None])
    power = power * torch.where(quefrency > 0, 2.0, 1.0)[:, None]
    power = power + ((power @ modes.T) * (2 / _BINS * speakers.shape[:, None])) @ modes
    extra = (speakers.dynamics - 1)[:, None, None] * power.mean(2, keepdim=True)
    offset = (speakers.gains @ _GAIN_BASIS.to(device))[:, None] - (mean @ extra)[:, None]
    return (power + extra) / 2, offset / 2


def _overlap_added(frames: Tensor) -> Tensor:
    """Returns ``(T * HOP,)``: the sum of frames ``(T, 1024)``, from the first one's centre on."""
    slices = torch.split(frames, HOP, 1)
    total = frames.new_zeros(len(frames) + len(slices) - 1, HOP)
    for late, piece in enumerate(slices):
        total[late : late + len(frames), : piece.shape[1]] += piece
    return total.flatten()[_NFFT // 2 :][: len(frames) * HOP] * (2 * HOP / _WINDOW)


def _levelled(wave: Tensor) -> Tensor:
    # hop by hop: torch would split one long sum over its threads, and their number would change the last bit
    power = wave.reshape(-1, HOP).pow(2).mean(1).mean()
    return wave * (LEVEL / (power.sqrt() + 1e-9))
