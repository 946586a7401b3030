"""Spaces along the principal directions of the bank."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvw.spaces.base import VOICE_STD
from kvw.spaces.pca import PCA, PCAOffset
from kvw.types import VOICE_SHAPE
from kvw.voices.files import load_bank
from tests.support.spaces import FREE, every_freeze, examples, make, row, voices


def step(space, gene):
    """How one unit of a gene moves the mean row."""
    return row(space.decode(space.origin + np.eye(space.dim)[gene])) - row(space.decode(space.origin))


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
