from __future__ import annotations

import copy
import inspect
import pickle
from functools import partial

import numpy as np
import pytest
from deap import tools
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from kvw.config.nodes import build, locate
from kvw.config.schema import plain
from kvw.errors import KvwError
from kvw.evaluation import Evaluation
from kvw.search.candidate import Candidate, Score
from kvw.spaces.base import PROSODY, TIMBRE, VOICE_STD, spread
from kvw.spaces.blend import Blend
from kvw.spaces.elementwise import Elementwise
from kvw.spaces.offset import Coherent
from kvw.spaces.pca import PCA, PCAOffset
from kvw.types import VOICE_SHAPE
from kvw.voices.files import load_bank
from tests.conftest import ROOT

SIMPLEX = partial(Blend, weights="simplex")
SHIFTS = [Coherent, PCA, PCAOffset]
SPACES = [Elementwise, *SHIFTS, Blend, SIMPLEX]
FREEZES = [None, "timbre", "prosody"]
FROZEN = {None: slice(0), "timbre": TIMBRE, "prosody": PROSODY}
FREE = {None: slice(256), "timbre": PROSODY, "prosody": TIMBRE}
CONFIGS = sorted((ROOT / "conf" / "space").glob("*.yaml"))
every_space = pytest.mark.parametrize("kind", SPACES)
every_freeze = pytest.mark.parametrize("freeze", FREEZES)
examples = settings(max_examples=10, deadline=None)


def voices(seed, count=4):
    """Rows as real voices have them: between voices a std of 0.14, and a smooth drift of each voice's own."""
    rng = np.random.default_rng(seed)
    means, drifts = rng.standard_normal((2, count, 1, 1, 256)) * [[[[[VOICE_STD]]]], [[[[0.05]]]]]
    return list((means + drifts * np.linspace(-1, 1, 510)[:, None, None]).astype(np.float32))


def make(kind, seed=0, count=4, **more):
    bank = voices(seed, count)
    return kind(**{"bank": bank, "top": bank[:3], "base": np.mean(bank[:3], axis=0), **more})


def somewhere(space, seed, size=1.0):
    """A genome that comes back: any, but for those of a blend, whose weights must be in range."""
    genome = space.origin + np.random.default_rng(seed).standard_normal(space.dim) * space.scale * size
    if isinstance(space, Blend) and space.dim == len(space._bank):
        return np.abs(genome) / np.abs(genome).sum()
    if isinstance(space, Blend):
        return genome * min(1, 5 / np.linalg.norm(genome))
    return genome


def row(voice):
    return voice.astype(np.float64).mean(axis=0)[0]


def step(space, gene):
    """How one unit of a gene moves the mean row."""
    return row(space.decode(space.origin + np.eye(space.dim)[gene])) - row(space.decode(space.origin))


def weights_of(space):
    """The blend's weights of a genome: with a bank of unit vectors the voice shows them."""
    return lambda genome: space.decode(genome)[0, 0, : len(space._bank)]


def unit_vectors(count=5):
    bank = np.zeros((count, *VOICE_SHAPE), dtype=np.float32)
    bank[np.arange(count), :, 0, np.arange(count)] = 1
    return list(bank)


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


def test_the_elementwise_space_is_still_the_documents():
    top, genome = voices(3, 5), np.random.default_rng(0).standard_normal(130560)
    space = Elementwise(bank=voices(1), top=top, base=top[2])
    assert np.array_equal(space.decode(genome), genome.astype(np.float32).reshape(VOICE_SHAPE))
    assert np.array_equal(space.origin, top[2].astype(np.float64).reshape(-1))
    assert np.array_equal(space.scale, np.std([one.astype(np.float64).reshape(-1) for one in top], axis=0, ddof=1))
    assert np.array_equal(space.decode(space.encode(top[0])), top[0])


def test_the_coherent_space_adds_its_genome_to_every_row():
    base, genome = voices(5)[0], np.random.default_rng(0).standard_normal(256)
    space = Coherent(bank=voices(1), top=voices(1), base=base)
    assert np.array_equal(space.decode(genome), (base.astype(np.float64) + genome).astype(np.float32))
    assert space.scale == pytest.approx(np.std([row(one) for one in voices(1)], axis=0, ddof=1))


@pytest.mark.parametrize("kind", SHIFTS)
@every_freeze
@examples
@given(seed=st.integers(0, 1000))
def test_spaces_that_move_all_rows_together_keep_the_row_curve_of_the_base_voice(kind, freeze, seed):
    base = voices(seed, 5)[4]
    space = make(kind, seed, base=base, freeze=freeze)
    assert np.allclose(np.diff(space.decode(somewhere(space, seed)), axis=0), np.diff(base, axis=0), atol=1e-6)


@pytest.mark.parametrize("kind", [PCA, PCAOffset])
@every_freeze
@examples
@given(seed=st.integers(0, 1000), count=st.integers(2, 9), components=st.integers(1, 12))
def test_principal_genes_of_the_bank_have_no_mean_unit_deviation_and_no_correlation(
    kind, freeze, seed, count, components
):
    space = make(kind, seed, count, freeze=freeze, components=components)
    used = min(components, count - 1)
    genes = np.array([space.encode(voice) for voice in voices(seed, count)])[:, :used]
    assert np.allclose(genes.mean(axis=0), 0, atol=1e-6)
    assert np.allclose(genes.T @ genes / (count - 1), np.eye(used), atol=1e-5)
    assert np.array_equal(space.scale, np.ones(space.dim))
    assert space.dim == used or kind is PCAOffset


def test_principal_genes_are_ordered_by_the_variance_that_they_hold():
    lengths = [np.linalg.norm(step(make(PCA, count=9), gene)) for gene in range(8)]
    assert lengths == sorted(lengths, reverse=True)
    assert make(PCA, count=9, components=3).dim == 3


@pytest.mark.parametrize("kind", [PCA, PCAOffset])
def test_principal_directions_point_the_same_way_whatever_the_order_of_the_bank(kind):
    space, turned = (make(kind, count=9, bank=voices(0, 9)[::way]) for way in (1, -1))
    for gene in range(8):
        direction = step(space, gene)
        assert direction[np.abs(direction).argmax()] > 0
        assert np.allclose(step(turned, gene), direction, atol=1e-6)


def test_pca_uses_no_more_components_than_there_are():
    bank = voices(0)
    assert make(PCA, bank=[*bank, bank[1].copy(), np.mean(bank, axis=0)]).dim == 3
    many = np.broadcast_to(np.random.default_rng(0).standard_normal((140, 1, 1, 256)), (140, *VOICE_SHAPE))
    assert make(PCA, bank=list(many.astype(np.float32)), freeze="timbre", components=300).dim == 128


@every_freeze
def test_a_voice_beyond_the_bank_is_projected_by_pca_and_kept_by_its_offset_space(freeze):
    bank, voice = voices(0), voices(7)[0]
    rows = np.array([row(one)[FREE[freeze]] for one in bank])
    wanted = row(voice)[FREE[freeze]]
    span = np.linalg.qr((rows[1:] - rows[0]).T)[0]
    projected = rows[0] + span @ (span.T @ (wanted - rows[0]))
    assert np.linalg.norm(projected - wanted) > 1  # so that the two differ
    for kind, comes in ((PCA, projected), (PCAOffset, wanted)):
        space = make(kind, freeze=freeze, base=voice)
        assert np.allclose(row(space.decode(space.encode(voice)))[FREE[freeze]], comes, atol=1e-6)
        assert np.array_equal(space.origin, space.encode(voice))


@pytest.mark.parametrize(("count", "used"), [(9, 2), (9, 8), (1, 0)])
@every_freeze
def test_directions_beyond_the_bank_have_a_small_deviation_of_their_own(count, used, freeze):
    space = make(PCAOffset, count=count, freeze=freeze, components=used or 20, remainder=0.5)
    rows = np.array([row(voice)[FREE[freeze]] for voice in voices(0, count)])
    typical = np.std(rows, axis=0, ddof=1).mean() if count > 1 else VOICE_STD
    lengths = np.array([np.linalg.norm(step(space, gene)) for gene in range(space.dim)])
    assert np.allclose(lengths[used:], 0.5 * typical, atol=1e-6)
    if used:
        assert np.allclose(lengths[:used] ** 2, np.linalg.eigvalsh(np.cov(rows.T))[::-1][:used], atol=1e-5)


@examples
@given(seed=st.integers(0, 1000), size=st.floats(0, 5))
def test_weights_of_a_blend_sum_to_one_and_those_of_a_softmax_are_positive(seed, size):
    for kind in (Blend, SIMPLEX):
        space = make(kind, bank=unit_vectors())
        weights = weights_of(space)(np.random.default_rng(seed).standard_normal(space.dim) * size)
        assert weights.sum() == pytest.approx(1, abs=1e-6)
        assert (weights >= 0).all()
        assert (weights > 0).all() or kind is SIMPLEX


def test_softmax_genes_are_isometric_log_ratios_of_the_weights():
    space = make(Blend, bank=unit_vectors())
    weights = weights_of(space)
    for gene, unit in enumerate(np.eye(4)):
        logs = np.log(weights(unit))
        assert np.linalg.norm(logs - logs.mean()) == pytest.approx(1, abs=1e-5), gene
    assert weights(np.zeros(4)) == pytest.approx([0.2] * 5)
    assert space.scale == pytest.approx([space.scale[0]] * 4)


def test_simplex_genes_are_the_weights_without_what_is_negative():
    weights = weights_of(make(SIMPLEX, bank=unit_vectors()))
    assert weights(np.array([3.0, -2.0, 1.0, 0.0, 0.0])) == pytest.approx([0.75, 0, 0.25, 0, 0])
    assert weights(np.array([-1.0, -2.0, 0.0, 0.0, -1.0])) == pytest.approx([0.2] * 5)


@every_freeze
@pytest.mark.parametrize("count", [2, 9, 30])
def test_a_stock_voice_is_nearly_itself_as_a_softmax_blend_and_exactly_as_a_simplex(freeze, count):
    bank = voices(0, count)
    softmax, simplex = (make(kind, count=count, base=bank[0], freeze=freeze) for kind in (Blend, SIMPLEX))
    for index in (0, count - 1):
        wanted = bank[index][..., FREE[freeze]]
        others = np.mean(bank[:index] + bank[index + 1 :], axis=0)[..., FREE[freeze]]
        got = softmax.decode(softmax.encode(bank[index]))[..., FREE[freeze]]
        assert 0 < np.linalg.norm(got - wanted) <= 0.05 * np.linalg.norm(others - wanted)
        assert np.allclose(simplex.decode(simplex.encode(bank[index]))[..., FREE[freeze]], wanted, atol=1e-6)


@examples
@given(seed=st.integers(0, 1000), count=st.integers(2, 9), size=st.sampled_from([0.01, 1, 1000]))
def test_the_blend_of_a_voice_is_the_nearest_one(seed, count, size):
    bank = np.array(voices(seed, count), dtype=np.float64).reshape(count, -1)
    voice = (voices(seed + 1)[0] * size).astype(np.float32)
    space = make(SIMPLEX, seed, count)
    blend = space.encode(voice) @ bank
    apart = voice.reshape(-1) - blend
    # Optimality on a simplex: no way from the blend towards a stock voice leads nearer to the voice.
    assert ((bank - blend) @ apart).max() <= 1e-6 * np.linalg.norm(apart) * np.linalg.norm(bank - blend, axis=1).max()


def test_voices_that_are_there_twice_do_not_stop_a_blend():
    bank = voices(0)
    for kind in (Blend, SIMPLEX):
        space = make(kind, bank=[*bank, bank[0].copy()])
        away = np.abs(space.decode(space.encode(bank[1])) - bank[1]).max()
        assert away < (0.05 if kind is Blend else 1e-6)


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


@pytest.mark.parametrize(
    ("freeze", "least", "most"), [(None, 0.85, 0.87), ("prosody", 0.85, 0.87), ("timbre", 0.9, 0.92)]
)
def test_twenty_components_hold_most_of_the_variance_of_the_real_voices(shared, freeze, least, most):
    bank = list(load_bank(shared / "voices").voices.values())
    space = PCA(bank=bank, top=bank[:10], base=bank[0], freeze=freeze)
    rows = np.array([row(voice)[FREE[freeze]] for voice in bank])
    held = np.array([row(space.decode(space.encode(voice)))[FREE[freeze]] for voice in bank])
    assert space.dim == 20
    assert least < 1 - np.sum((rows - held) ** 2) / np.sum((rows - rows.mean(axis=0)) ** 2) < most


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


def test_deaps_crossover_exchanges_slices_rather_than_copying_one_over_the_other():
    first, second = Candidate(np.zeros(10)), Candidate(np.ones(10))
    tools.cxTwoPoint(first, second)
    assert np.array_equal(first.genome + second.genome, np.ones(10))
    assert 0 < first.genome.sum() < 10


def test_a_candidate_survives_pickling_and_deep_copies_with_its_fitness():
    candidate = Candidate([1.0, 2.0], notes={"Diversity": 0.1})
    candidate.evaluate(Evaluation("complete", 50.0, 0.5))
    for twin in (pickle.loads(pickle.dumps(candidate)), copy.deepcopy(candidate)):
        assert np.array_equal(twin.genome, candidate.genome)
        assert twin.genome is not candidate.genome
        assert (twin.fitness.values, twin.notes) == ((50.0, 0.5), {"Diversity": 0.1})


def test_candidates_that_were_stopped_are_ordered_by_similarity_below_every_complete_one():
    ordered = [Score((0.0, -1.0)), Score((0.0, 0.3)), Score((0.0, 0.6)), Score((10.0, 0.2))]
    assert sorted((ordered[2], ordered[0], ordered[3], ordered[1])) == ordered


def test_deap_stacks_candidates_as_arrays():
    mean = np.dot(np.array([0.5, 0.5]), [Candidate([1.0, 2.0]), Candidate([3.0, 4.0])])
    assert mean == pytest.approx([2.0, 3.0])
