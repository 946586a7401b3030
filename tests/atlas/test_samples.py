"""The file of an atlas: equal bytes for equal samples, and one line for every other file."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import save

from kvw.atlas.draw import Design
from kvw.atlas.samples import ARRAYS, Origin, none_of, read_samples
from kvw.errors import KvwError
from tests.atlas.formula import TEXTS, delivered, heard, styles

BANK = styles(100, 20)
ORIGIN = Origin("kokoro-v1.0", "resemblyzer", "a", tuple(f"Text {number}." for number in range(TEXTS)), "0" * 64, 3)


def made(count):
    """Samples of the formula: each stock voice says two texts, each of so many random voices one."""
    design = Design(BANK, ORIGIN.seed)
    some = np.concatenate([np.repeat(BANK, 2, axis=0), [design(number) for number in range(count)]])
    spoken = np.arange(len(some)) % TEXTS
    stock = np.concatenate([np.repeat(np.arange(len(BANK)), 2), np.full(count, -1)])
    pitch, pace, *timbre = delivered(some).T
    intonation = np.column_stack([pitch, 0.2 + 0 * pitch, 0.5 + 0 * pitch])
    arrays = {"styles": some, "embeddings": heard(some, spoken), "spoken": spoken, "stock": stock}
    return none_of(ORIGIN).extended(
        len(some), **arrays, intonation=intonation, timbre=np.column_stack(timbre), pace=np.exp(pace)
    )


def test_samples_come_back_as_they_were_and_equal_samples_are_equal_bytes(tmp_path):
    samples, path = made(40), tmp_path / "atlas.safetensors"
    path.write_bytes(samples.file())
    again = read_samples(path)
    assert again.origin == ORIGIN
    assert (len(again), again.asked) == (80, 80)
    assert all(np.array_equal(getattr(again, name), getattr(samples, name)) for name in ARRAYS)
    assert again.file() == made(40).file() == path.read_bytes()
    assert none_of(ORIGIN).extended(3, **{name: [] for name in ARRAYS}).asked == 3, "voices that could not speak"


def changed(**arrays):
    samples = made(40)
    own = {name: np.ascontiguousarray(getattr(samples, name)) for name in ARRAYS} | arrays
    return save(own, {"kvw": json.dumps({"format": 2, "asked": 80, **vars(ORIGIN)})})


def facts(**changes):
    return save(
        {name: np.ascontiguousarray(getattr(made(40), name)) for name in ARRAYS},
        {"kvw": json.dumps({"format": 2, "asked": 80, **vars(ORIGIN), **changes})},
    )


WRONG = {
    "cut short": (lambda: made(40).file()[:-100], "damaged or another file"),
    "empty": (lambda: b"", "damaged or another file"),
    "a pickle": (lambda: pickle.dumps([1, 2]), "damaged or another file"),
    "another safetensors file": (lambda: save({"voice": np.zeros(3)}), "atlas of format 2; got None"),
    "a later format": (lambda: facts(format=3), "format 2; got 3"),
    "texts that are none": (lambda: facts(texts=[1]), "beside the samples"),
    "no seed": (lambda: facts(seed=None), "beside the samples"),
    "NaN": (lambda: changed(embeddings=np.full((80, 256), np.nan, "f2")), "embeddings has NaN or infinity"),
    "other shapes": (lambda: changed(styles=np.zeros((80, 255), "f2")), "styles of float16"),
    "fewer of one": (lambda: changed(pace=np.zeros(79, "f4")), "pace of float32"),
    "other numbers": (lambda: changed(spoken=np.zeros(80, "i8")), "spoken of int16"),
    "texts beyond": (lambda: changed(spoken=np.full(80, TEXTS, "i2")), "number the 6 texts"),
    "an array too many": (lambda: changed(more=np.zeros(1)), "expected the arrays"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_any_other_file_is_one_line_that_names_it(kind, tmp_path):
    make, told = WRONG[kind]
    path = tmp_path / "atlas.safetensors"
    path.write_bytes(make())
    with pytest.raises(KvwError) as caught:
        read_samples(path)
    message = str(caught.value)
    assert told in message
    assert message.startswith(str(path))
    assert "\n" not in message
    assert "make it anew" in message


def test_a_missing_file_says_how_to_make_one(tmp_path):
    with pytest.raises(KvwError, match=r"none\.safetensors: expected an atlas; got No such file .* task=atlas"):
        read_samples(tmp_path / "none.safetensors")


def test_samples_of_other_voices_are_kept_apart():
    other = replace(ORIGIN, seed=4)
    assert none_of(other).origin != made(1).origin
