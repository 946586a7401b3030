"""Players of a report, decoded as a browser would."""

from __future__ import annotations

import base64

import numpy as np
import pytest

from kvw.audio.write import data_uri, mp3
from kvw.reports.players import PAGE_SECONDS, PLAYER_SECONDS, player
from kvw.types import SAMPLE_RATE
from tests.support.report_page import MOST_BYTES, decoded


def test_a_long_recording_is_cut_for_its_player_and_fades_out():
    tone = (0.5 * np.sin(np.arange(40 * SAMPLE_RATE) * 0.1)).astype(np.float32)
    cut = player("long", [tone], 3.0)
    assert cut.note == "the first 3 s of 40"
    heard = decoded(base64.b64decode(cut.source.partition(",")[2]))
    assert len(heard) == pytest.approx(3 * SAMPLE_RATE, abs=SAMPLE_RATE // 10)
    assert abs(heard[-50:]).max() < 0.05 < abs(heard[:5000]).max()
    assert mp3(tone[:1], 3.0), "a single sample is audio, too"


def test_the_longest_page_stays_below_8_mb():
    noise = np.random.default_rng(0).normal(0, 0.1, round(PLAYER_SECONDS * SAMPLE_RATE)).astype(np.float32)
    a_player = len(data_uri(mp3(noise, PLAYER_SECONDS), "audio/mpeg"))
    assert a_player * PAGE_SECONDS / PLAYER_SECONDS < 0.7 * MOST_BYTES, "four figures are 1 MB"
