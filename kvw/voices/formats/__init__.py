"""Voices as bytes: one module a format, each with ``read`` and ``write``.

:mod:`kvw.voices.formats.files` opens the files.

==============  ================================================================================================
torch_zip       ``.pt``: what Kokoro's ``KPipeline.load_voice`` reads
npy             ``.npy``: NumPy's, which KokoroSharp reads
npz             a pack: kokoro-onnx's voices file, by whatever name; KVoiceWalk' ``voices.bin``
raw             ``.bin``: kokoro.js's bare numbers, and the numbers of every other format
sherpa          a pack: sherpa-onnx's ``voices.bin``, raw voices one after the other
safetensors     ``.safetensors``, with what is known of the voice; mlx-audio reads it
==============  ================================================================================================

What is read may come from a stranger: sizes are compared before anything is inflated or copied, nothing is evaluated or
unpickled, and what differs from the plain case is refused by :class:`kvw.voices.formats.raw.NotAVoice`.
"""
