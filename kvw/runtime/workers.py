"""What every worker process of kvw begins with, and the one thing that the driver shares with it: its threads."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading

import torch
from threadpoolctl import threadpool_limits


def limit_threads(threads: int) -> None:
    """Gives this process's numerical libraries ``threads`` threads: more can change the last bit of a result."""
    if threads < 1:
        raise ValueError(f"executor.threads: expected 1 or more; got {threads}")
    torch.set_num_threads(threads)
    threadpool_limits(threads)


def begin_worker(threads: int) -> None:
    """Makes this process a worker: it ends with the driver, whose are Ctrl-C and the log."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C reaches every process; the driver answers it
    threading.Thread(target=_end_with_driver, daemon=True).start()
    logging.getLogger("kvw").addHandler(logging.NullHandler())  # the driver has said it all
    limit_threads(threads)


def _end_with_driver() -> None:
    """Ends this worker when the driver is gone, however it went."""
    driver = multiprocessing.parent_process()
    assert driver is not None
    driver.join()
    os._exit(1)
