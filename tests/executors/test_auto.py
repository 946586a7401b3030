"""Which executor ``executor=auto`` is."""

from __future__ import annotations

import multiprocessing
import os
from types import SimpleNamespace

import pytest

from kvw.executors import auto
from kvw.executors.auto import MOST_WORKERS, automatic


@pytest.fixture
def chosen(monkeypatch):
    """The executor that is made on so many CPUs for a synthesiser that speaks so many voices at once."""

    def choose(cpus, batch=1, **settings):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cpus)), raising=False)
        made = {}
        for name in ("LocalExecutor", "ProcessExecutor"):
            monkeypatch.setattr(auto, name, lambda *, fitness, own=name, **given: made.update({own: given}))
        listener = SimpleNamespace(synthesizer=SimpleNamespace(batch=batch))
        automatic(fitness=lambda: SimpleNamespace(listener=listener), **settings)
        return made

    return choose


def test_each_core_is_a_process_up_to_a_limit(chosen):
    assert chosen(2) == {"ProcessExecutor": {"workers": 2, "threads": 1}}
    assert chosen(64) == {"ProcessExecutor": {"workers": MOST_WORKERS, "threads": 1}}
    assert chosen(8, threads=4) == {"ProcessExecutor": {"workers": 2, "threads": 4}}


def test_one_core_a_worker_and_a_device_that_batches_take_no_processes(chosen, monkeypatch):
    alone = {"LocalExecutor": {"threads": 1}}
    assert chosen(1) == alone
    assert chosen(16, batch=64) == alone
    assert chosen(3, threads=2) == {"LocalExecutor": {"threads": 2}}
    monkeypatch.setattr(multiprocessing, "parent_process", lambda: object())
    assert chosen(16) == alone
