"""Concatenations of voices, and the text that names their speakers."""

import numpy as np
import pytest

from kvw.voices.files import load_pack
from kvw.voices.formats import sherpa
from tests.support.hostile.packs import DATA
from tests.support.voice_files import PACK, refused


def test_a_concatenation_is_read_as_sherpa_onnxs_own_script_reads_it(tmp_path):
    (tmp_path / "voices.bin").write_bytes(sherpa.write(PACK))
    found = np.fromfile(tmp_path / "voices.bin", dtype="uint8").view(np.float32).reshape(3, 510, 1, 256)
    assert np.array_equal(found, np.stack(list(PACK.values())))


def test_speakers_have_the_names_in_the_text_beside_or_their_numbers(tmp_path):
    path, names = tmp_path / "voices.bin", tmp_path / "voices.speakers.txt"
    path.write_bytes(sherpa.write(PACK))
    assert list(load_pack(path)) == ["0", "1", "2"]
    names.write_bytes(sherpa.write_names(PACK))
    assert names.read_text() == "0 af_a\n1 am_b\n2 af_c\n"
    assert {name: voice.tobytes() for name, voice in load_pack(path).items()} == {
        name: voice.tobytes() for name, voice in PACK.items()
    }
    names.write_text("0 af_a\r\n1 am_b\r\n\r\n2 two words\r\n3 not there yet\r\n")
    assert list(load_pack(path)) == ["af_a", "am_b", "two words"]


@pytest.mark.parametrize(
    "text",
    ["0 a\n1 b\n", "", "1 a\n2 b\n3 c\n", "0 a\n0 b\n2 c\n", "0 a\n1 a\n2 c\n", "0\n1\n2\n", "0 \x1b[2J\n1 b\n2 c\n"],
)
def test_a_text_that_names_other_speakers_is_refused(text, tmp_path):
    (tmp_path / "voices.bin").write_bytes(sherpa.write(PACK))
    (tmp_path / "voices.speakers.txt").write_text(text)
    assert ".speakers.txt" in refused(tmp_path / "voices.bin")


def test_256_voices_are_a_pack(tmp_path):
    (tmp_path / "voices.bin").write_bytes(DATA * 256)
    assert len(load_pack(tmp_path / "voices.bin")) == 256
