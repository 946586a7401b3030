"""The embedded synthesiser's voices and text in tests, and what is measured of its audio."""

from __future__ import annotations

import librosa
import numpy as np
from numpy.typing import NDArray
from resemblyzer import VoiceEncoder, preprocess_wav

from kvw.speech.embedded.stock_voices import stock_voices
from kvw.speech.embedded.vocoder import HOP
from kvw.types import SAMPLE_RATE, Wave

TEXT = "The old clock struck nine as Martha closed the heavy door."
BANK = stock_voices()
VOICES = list(BANK.values())
AMBER = BANK["af_amber"]


def embedding(encoder: VoiceEncoder, wave: Wave) -> NDArray[np.float32]:
    return encoder.embed_utterance(preprocess_wav(wave, SAMPLE_RATE))


def rms(wave: Wave) -> float:
    return float(np.sqrt(np.mean(wave**2)))


def log_mel(wave: Wave) -> NDArray[np.float32]:
    mel = librosa.feature.melspectrogram(y=wave / rms(wave), sr=SAMPLE_RATE, n_fft=1024, hop_length=HOP, n_mels=80)
    return librosa.power_to_db(mel, top_db=60)
