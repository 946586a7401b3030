"""How a worker process of kvw begins, and the limit on threads that it shares with the driver."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from kvw.errors import KvwError
from kvw.runtime.environment import usable_cpus


def limit_threads(threads: int) -> None:
    """Limits this process's numerical libraries to ``threads`` threads: their number can change a result's last bit.

    Raises:
        KvwError: it is no whole number, or below 1.
    """
    if not isinstance(threads, int) or threads < 1:
        raise KvwError(f"executor.threads: expected 1 or more; got {threads}")
    torch.set_num_threads(threads)
    threadpool_limits(threads)


@contextmanager
def torch_threads(threads: int) -> Iterator[None]:
    """Lets torch use so many threads within the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def every_core() -> Iterator[None]:
    """Lets torch use all cores that this process may use, where equal bits do not matter.

    A job of a sweep leaves them to the others: two that use all cores take many times as long as one after the other.
    """
    alone = multiprocessing.current_process().name == "MainProcess"
    with torch_threads(usable_cpus() if alone else torch.get_num_threads()):
        yield


def begin_worker(threads: int) -> None:
    """Makes this process a worker: it ends when the driver ends, and leaves Ctrl-C and the log to the driver."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C reaches every process, and the driver handles it
    threading.Thread(target=_end_with_driver, daemon=True).start()
    logging.getLogger("kvw").addHandler(logging.NullHandler())  # the driver logs the same
    # faster-whisper's bars would make a semaphore, which a worker that is ended leaves behind
    tqdm.set_lock(threading.RLock())
    limit_threads(threads)


def _end_with_driver() -> None:
    """Ends this worker when the driver has ended, in whatever way."""
    driver = multiprocessing.parent_process()
    assert driver is not None
    driver.join()
    os._exit(1)
