"""A fitness over recorded waves."""

from __future__ import annotations

from kvw.types import SAMPLE_RATE
from tests.conftest import SHORT, Recorded, default_fitness


def recorded_fitness(waves, other, encoder, demo, **settings):
    synthesizer = Recorded(waves, other)
    made = default_fitness(
        synthesizer=synthesizer, encoder=encoder, **{"target": [demo[: 4 * SAMPLE_RATE]], **SHORT, **settings}
    )
    return made, synthesizer
