"""What every space promises."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from kvw.config.nodes import build, locate
from kvw.config.schema import plain
from kvw.errors import KvwError
from kvw.spaces.base import PROSODY, TIMBRE, VOICE_STD, spread
from kvw.spaces.blend import Blend
from kvw.spaces.elementwise import Elementwise
from kvw.spaces.offset import Coherent
from kvw.spaces.pca import PCA, PCAOffset
from kvw.types import VOICE_SHAPE
from kvw.voices.files import load_bank
from tests.conftest import ROOT
from tests.support.spaces import FREE, FREEZES, SHIFTS, SIMPLEX, every_freeze, examples, make, somewhere, voices

SPACES = [Elementwise, *SHIFTS, Blend, SIMPLEX]


FROZEN = {None: slice(0), "timbre": TIMBRE, "prosody": PROSODY}


CONFIGS = sorted((ROOT / "conf" / "space").glob("*.yaml"))


every_space = pytest.mark.parametrize("kind", SPACES)


@every_space
@every_freeze
@examples
@given(seed=st.integers(0, 1000), count=st.integers(2, 9), size=st.floats(0.01, 3))
def test_a_genome_comes_back_from_its_voice(kind, freeze, seed, count, size):
    space = make(kind, seed, count, freeze=freeze)
    genome = somewhere(space, seed, size)
    voice = space.decode(genome)
    assert genome.shape == space.scale.shape == space.origin.shape == (space.dim,)
    assert voice.shape == VOICE_SHAPE
    assert voice.dtype == np.float32
    assert (space.scale > 0).all()
    assert np.allclose(space.encode(voice), genome, atol=1e-4 if kind is Blend else 1e-5)


@every_space
@pytest.mark.parametrize("freeze", ["timbre", "prosody"])
@examples
@given(seed=st.integers(0, 1000))
def test_frozen_columns_keep_the_base_voices_numbers_and_are_not_read(kind, freeze, seed):
    base, other, unread = voices(seed + 1, 3)
    space = make(kind, seed, base=base, freeze=freeze)
    unread[..., FREE[freeze]] = other[..., FREE[freeze]]
    for genome in (somewhere(space, seed), space.encode(other)):
        voice = space.decode(genome)
        assert np.array_equal(voice[..., FROZEN[freeze]], base[..., FROZEN[freeze]])
        assert (voice[..., FREE[freeze]] != base[..., FREE[freeze]]).mean() > 0.9
    assert np.array_equal(space.encode(unread), space.encode(other))


@pytest.mark.parametrize(
    ("kind", "dims"),
    [
        (Elementwise, (130560, 65280)),
        (Coherent, (256, 128)),
        (PCA, (3, 3)),
        (PCAOffset, (256, 128)),
        (Blend, (3, 3)),
        (SIMPLEX, (4, 4)),
    ],
)
def test_a_genome_holds_the_free_columns_alone(kind, dims):
    assert tuple(make(kind, freeze=freeze).dim for freeze in FREEZES) == (dims[0], dims[1], dims[1])


@every_freeze
@pytest.mark.parametrize("kind", [Elementwise, Coherent, PCAOffset])
@pytest.mark.parametrize("count", [1, 4])
def test_the_origin_is_the_base_voice_whatever_the_bank(kind, freeze, count):
    base = voices(5)[0]
    space = make(kind, 1, count, base=base, freeze=freeze)
    assert np.allclose(space.decode(space.origin), base, atol=1e-7)


@every_space
@pytest.mark.parametrize("word", ["both", "Timbre", ""])
def test_an_unknown_half_is_refused(kind, word):
    with pytest.raises(ValueError, match=f"freeze: expected timbre, prosody or null; got '{word}'"):
        make(kind, freeze=word)


@pytest.mark.parametrize(
    ("kind", "given", "message"),
    [
        (PCA, {"components": 0}, "components: expected 1 or more; got 0"),
        (PCAOffset, {"components": -1}, "components: expected 1 or more; got -1"),
        (PCAOffset, {"remainder": 0.0}, "remainder: expected a number above 0, such as 0.3; got 0.0"),
        (PCAOffset, {"remainder": float("nan")}, "remainder: expected a number above 0, such as 0.3; got nan"),
        (Blend, {"weights": "sum"}, "weights: expected softmax or simplex; got 'sum'"),
        (Blend, {"count": 1}, "at least two voices to blend; got 1"),
        (SIMPLEX, {"count": 1}, "at least two voices to blend; got 1"),
        (PCA, {"count": 1}, "at least two voices that differ in their free columns; got 1"),
        (PCA, {"bank": [voices(0)[0]] * 3}, "at least two voices that differ in their free columns; got 3"),
    ],
)
def test_a_setting_out_of_its_range_is_refused_with_what_was_expected(kind, given, message):
    with pytest.raises(ValueError, match=message):
        make(kind, **given)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_each_config_makes_its_space_and_shows_the_defaults(path):
    node, bank = plain(OmegaConf.load(path)), voices(0)
    assert path.read_text().startswith("# ")
    runtime = {"bank": bank, "top": bank, "base": bank[0]}
    assert build(node, "space", **runtime).decode(np.zeros(build(node, "space", **runtime).dim)).shape == VOICE_SHAPE
    parameters = inspect.signature(locate(node, "space")).parameters
    own = {name: one.default for name, one in parameters.items() if name not in runtime}
    assert {key: value for key, value in node.items() if key != "_target_"} == own
    with pytest.raises(KvwError, match=r"^space: freeze: expected timbre, prosody or null; got 'x'$"):
        build({**node, "freeze": "x"}, "space", **runtime)


@every_space
def test_genomes_about_the_mean_of_the_real_voices_come_back(shared, kind):
    bank = list(load_bank(shared / "voices").voices.values())
    space = kind(bank=bank, top=bank[:10], base=np.mean(bank[:10], axis=0))
    genome = space.origin + np.random.default_rng(0).standard_normal(space.dim) * space.scale * 0.3
    if kind is SIMPLEX:
        genome = np.abs(genome) / np.abs(genome).sum()
    assert np.allclose(space.encode(space.decode(genome)), genome, atol=1e-4 if kind is Blend else 1e-5)


def test_spread_is_the_sample_deviation_and_that_of_kokoros_voices_where_there_is_none():
    genomes = [np.array([0.0, 1.0]), np.array([2.0, 1.0])]
    assert spread(genomes) == pytest.approx([np.sqrt(2), VOICE_STD])
    assert spread(genomes[:1]) == pytest.approx([VOICE_STD, VOICE_STD])
