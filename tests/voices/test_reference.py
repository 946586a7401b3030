"""Voices by reference: files, names, members of packs, blends."""

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kvw.errors import KvwError
from kvw.speech.embedded.stock_voices import stock_voices
from kvw.voices import reference
from kvw.voices.files import save_voice

resolve = partial(reference.resolve, embedded=stock_voices)
resolve_all = partial(reference.resolve_all, embedded=stock_voices)

RNG = np.random.default_rng(0)
A, B = (RNG.standard_normal((510, 1, 256)).astype(np.float32) for _ in range(2))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two of Kokoro's voices and, elsewhere, an embedded one."""
    home = tmp_path_factory.mktemp("voices")
    for name, voice in (("af_bella", A), ("am_adam", B), ("odd+name(2)", B)):
        save_voice(home / f"{name}.pt", voice, {"synthesiser": "kokoro"})
    return home


def test_a_name_and_a_path_are_the_same_voice(folder):
    named, filed = resolve("af_bella", folder), resolve(str(folder / "af_bella.pt"), folder / "elsewhere")
    assert np.array_equal(named.voice, A) and np.array_equal(filed.voice, A)
    assert named.name == filed.name == "af_bella"
    assert named.bases == ("af_bella",)
    assert named.facts["synthesiser"] == "kokoro"


def test_a_blend_is_the_weighted_mean_of_its_voices(folder):
    blend = resolve("af_bella(2)+am_adam(1)", folder)
    np.testing.assert_allclose(blend.voice, (2 * A + B) / 3, rtol=0, atol=1e-6)
    assert blend.voice.dtype == np.float32
    assert blend.bases == ("af_bella", "am_adam")
    assert blend.synthesizer == "kokoro"


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(0.01, 1e6), min_size=2, max_size=4))
def test_weights_count_by_their_share_alone(folder, weights):
    names = ["af_bella", "am_adam"] * 2
    once = resolve("+".join(f"{n}({w!r})" for n, w in zip(names, weights, strict=False)), folder)
    twice = resolve(" + ".join(f"{n}({2 * w!r})" for n, w in zip(names, weights, strict=False)), folder)
    np.testing.assert_allclose(once.voice, twice.voice, rtol=0, atol=1e-6)


def test_a_file_may_have_the_signs_of_a_blend_in_its_name(folder):
    assert np.array_equal(resolve(str(folder / "odd+name(2).pt"), folder).voice, B)


def test_a_voice_of_one_that_is_blended_with_itself_is_itself(folder):
    assert np.array_equal(resolve("af_bella(3)+af_bella", folder).voice, A)


def test_a_member_of_a_pack_is_named_after_a_colon(folder, tmp_path):
    pack = tmp_path / "voices.bin"
    with pack.open("wb") as file:
        np.savez(file, af_bella=A, am_adam=B)
    assert np.array_equal(resolve(f"{pack}:am_adam", folder).voice, B)
    assert np.array_equal(resolve("af_bella", pack).voice, A)
    with pytest.raises(KvwError, match=r"no voice 'af_bela'.*af_bella"):
        resolve(f"{pack}:af_bela", folder)


def test_the_embedded_stock_voices_have_names_everywhere(folder, bank):
    found = resolve("af_amber", folder)
    assert found.synthesizer == "embedded"
    assert np.array_equal(found.voice, bank["af_amber"])


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("af_bela", ["af_bela:", "af_bella"]),
        ("af_bella(0)+am_adam", ["weights above 0", "af_bella(0)"]),
        ("af_bella(x)", ["weights above 0"]),
        ("af_bella(nan)+am_adam", ["weights above 0"]),
        ("af_bella+", ["''"]),
        ("af_bella+af_amber", ["one synthesiser", "kokoro", "embedded"]),
    ],
)
def test_what_is_no_voice_is_one_line(folder, reference, words):
    with pytest.raises(KvwError) as error:
        resolve(reference, folder)
    (line,) = str(error.value).splitlines()
    assert all(word in line for word in words)


def test_a_blend_longer_than_any_path_is_a_blend(folder):
    blend = resolve("+".join(["af_bella(1.5)"] * 60), folder)
    np.testing.assert_allclose(blend.voice, A, rtol=0, atol=1e-6)


def test_a_voice_that_was_searched_or_mixed_brings_the_bases_of_its_record(folder, tmp_path):
    save_voice(tmp_path / "found.pt", A, {"synthesiser": "kokoro", "base_voices": ["af_sky", "am_adam"]})
    assert resolve(str(tmp_path / "found.pt"), folder).bases == ("af_sky", "am_adam")
    assert resolve(f"{tmp_path / 'found.pt'}+am_adam+af_bella", folder).bases == ("af_sky", "am_adam", "af_bella")


def test_every_bad_reference_of_a_list_is_a_line(folder):
    with pytest.raises(KvwError) as error:
        resolve_all(["af_bella", "nobody", "af_bella(0)"], folder)
    assert len(str(error.value).splitlines()) == 2


def test_voices_that_are_to_speak_another_language_are_remarked_on_once(folder, tmp_path):
    save_voice(tmp_path / "mine.pt", A, {"synthesiser": "kokoro", "language": "f", "base_voices": ["af_bella"]})
    save_voice(tmp_path / "other.pt", A, {"synthesiser": "kokoro"})
    names = ["af_bella", str(tmp_path / "mine.pt"), str(tmp_path / "other.pt"), "jf_alpha+jm_kumo", "am_boris"]
    voices = resolve_all(names, folder)
    assert [voice.language for voice in voices] == ["a", "f", "", "j", ""]
    assert reference.language_remark(voices, "b") == (
        "mine and jf_alpha(1)+jm_kumo(1): made for French and Japanese, and will speak British English, with an accent "
        "perhaps; give language=f or j if that is not meant"
    )
    assert reference.language_remark(voices[:1], "a") == ""
