"""The mean of embeddings."""

import numpy as np
import pytest

from kvw.types import mean_embedding


def test_the_mean_of_one_embedding_is_itself_and_of_several_has_unit_length():
    first, second = np.zeros((2, 256), np.float32)
    first[:3], second[:2] = np.array([1, 2, 3]) / np.sqrt(14), np.array([3, 1]) / np.sqrt(10)
    assert mean_embedding([first]) is first
    mean = mean_embedding([first, second])
    assert mean.dtype == np.float32
    assert np.linalg.norm(mean) == pytest.approx(1, abs=1e-6)
    assert float(mean @ first) == pytest.approx(float(mean @ second), abs=1e-6)
