"""Bare numbers, as kokoro.js reads them."""

from hashlib import sha256

import numpy as np
import pytest

from kvw.voices.files import load_voice
from kvw.voices.formats import raw
from tests.support.hostile.packs import A

KOKORO_JS_HEART = "d583ccff3cdca2f7fae535cb998ac07e9fcb90f09737b9a41fa2734ec44a8f0b"


def test_a_stock_voice_is_kokoro_js_own_file(shared):
    assert sha256(raw.write_bare(load_voice(shared / "voices" / "af_heart.pt"))).hexdigest() == KOKORO_JS_HEART


def test_bare_bytes_hold_no_numbers_that_would_be_refused():
    with pytest.raises(ValueError, match="within 1000"):
        raw.write_bare(A + np.float32(1001))
