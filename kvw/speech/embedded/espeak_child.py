"""Speaks one text with espeak-ng, in a process of its own: ``python espeak_child.py LIBRARY DATA VOICE < text``.

This program imports the standard library alone. A fresh process for each text makes espeak repeatable to the bit
(within a process its random state carries over from text to text), keeps GPL code out of kvw's process, and contains
crashes.

Standard input: the text, UTF-8. Standard output: one line of JSON, ``{"rate": Hz, "ipa": phonemes}``, then mono int16
samples in the machine's byte order. A failure exits with a status other than 0 and says why on standard error.

Source: espeak-ng's ``speak_lib.h``, where the numbers below have their names.
"""

import ctypes
import json
import sys

SYNCHRONOUS = 2  # AUDIO_OUTPUT_SYNCHRONOUS: samples go to the callback
UTF8 = 1  # espeakCHARS_UTF8; without espeakSSML (0x10) and espeakPHONEMES (0x100) markup is read out like any text
IPA = 2  # espeakPHONEMES_IPA
SETTINGS = {1: 165, 3: 45, 4: 50}  # espeakRATE in words a minute, espeakPITCH and espeakRANGE in 0..99


def speak(library: str, data: str, voice: str, text: bytes) -> tuple[int, str, bytes]:
    """Returns the sample rate in Hz, the phonemes (IPA, clauses joined by spaces) and the int16 samples of ``text``.

    Args:
        library: path of libespeak-ng.
        data: folder of espeak-ng's data; espeak truncates paths over some 160 bytes, so give a relative one.
        voice: name of an espeak voice, such as ``en-us``.
        text: UTF-8, no NUL in it.
    """
    espeak = ctypes.CDLL(library)
    rate = espeak.espeak_Initialize(SYNCHRONOUS, 0, data.encode(), 0)
    if rate <= 0:
        sys.exit(f"espeak_Initialize returned {rate}")
    if status := espeak.espeak_SetVoiceByName(voice.encode()):
        sys.exit(f"espeak-ng has no voice {voice} (status {status})")
    for parameter, value in SETTINGS.items():
        espeak.espeak_SetParameter(parameter, value, 0)

    chunks: list[bytes] = []

    def collect(samples: int | None, count: int, _events: int | None) -> int:
        if samples and count > 0:
            chunks.append(ctypes.string_at(samples, 2 * count))
        return 0

    # C holds no reference to the callback: this name keeps it alive
    callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)(collect)
    espeak.espeak_SetSynthCallback(callback)
    buffer = ctypes.create_string_buffer(text)
    if status := espeak.espeak_Synth(buffer, ctypes.c_size_t(len(buffer)), 0, 1, 0, UTF8, None, None):
        sys.exit(f"espeak_Synth returned {status}")

    espeak.espeak_TextToPhonemes.restype = ctypes.c_char_p
    rest = ctypes.c_void_p(ctypes.addressof(buffer))
    clauses: list[str] = []
    while rest.value:
        clauses.append((espeak.espeak_TextToPhonemes(ctypes.byref(rest), UTF8, IPA) or b"").decode())
    return rate, " ".join(clauses), b"".join(chunks)


def main() -> None:
    """Reads the text, writes the header and the samples."""
    library, data, voice = sys.argv[1:]
    rate, ipa, samples = speak(library, data, voice, sys.stdin.buffer.read())
    sys.stdout.buffer.write(json.dumps({"rate": rate, "ipa": ipa}).encode() + b"\n" + samples)


if __name__ == "__main__":
    main()
