"""Threads of the numerical libraries: one for an evaluation, all for what comes after a search."""

from __future__ import annotations

import multiprocessing
from types import SimpleNamespace

import pytest
import torch

from kvw.runtime import workers
from kvw.runtime.workers import every_core, limit_threads


@pytest.fixture(autouse=True)
def one_thread():
    """One, and before and after the test as many as there were."""
    before = torch.get_num_threads()
    limit_threads(1)
    yield
    limit_threads(before)


def test_all_cores_are_used_within_the_block_whatever_ends_it(monkeypatch):
    monkeypatch.setattr(workers, "usable_cpus", lambda: 3)
    with pytest.raises(KeyboardInterrupt), every_core():
        assert torch.get_num_threads() == 3
        raise KeyboardInterrupt
    assert torch.get_num_threads() == 1


def test_a_job_of_a_sweep_leaves_the_other_cores_to_its_siblings(monkeypatch):
    monkeypatch.setattr(workers, "usable_cpus", lambda: 3)
    monkeypatch.setattr(multiprocessing, "current_process", lambda: SimpleNamespace(name="LokyProcess-1"))
    with every_core():
        assert torch.get_num_threads() == 1
