"""Voices as bytes: one module a format, each with ``read`` and ``write``.

:mod:`kvw.voices.formats.files` opens the files.

==============  ================================================================================================
torch_zip       ``.pt``: what Kokoro's ``KPipeline.load_voice`` reads
npy             ``.npy``: NumPy's, which KokoroSharp reads
npz             a pack: kokoro-onnx's voices file, by whatever name; KVoiceWalk's ``voices.bin``
raw             ``.bin``: kokoro.js's bare numbers, which every other format wraps
sherpa          a pack: sherpa-onnx's ``voices.bin``, raw voices one after the other
safetensors     ``.safetensors``, with the facts about the voice as metadata; mlx-audio reads it
==============  ================================================================================================

A file may come from a stranger. Each ``read`` compares sizes before it inflates or copies anything, evaluates and
unpickles nothing, and refuses whatever differs from the plain case by :class:`kvw.voices.formats.raw.NotAVoice`.
"""
