"""Measuring what has been spoken, in processes beside the driver's, while it speaks on.

Read :class:`Measurement` first. A measurement is a pure function of a wave and is taken by whoever gets to it first, a
worker or the driver when it needs it: results are the same without workers, while they start, and after they died.
"""

from __future__ import annotations

import logging
import multiprocessing
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from queue import LifoQueue
from typing import Any, Generic, TypeVar

import numpy as np

from kvw.runtime.workers import begin_worker
from kvw.types import SAMPLE_RATE, Wave

log = logging.getLogger(__name__)
Found = TypeVar("Found")


class Measurement(Generic[Found]):
    """What a pure function finds in a wave.

    Args:
        function: picklable.
        wave: what it is given.
    """

    def __init__(self, function: Callable[[Wave], Found], wave: Wave) -> None:
        self.function, self.wave = function, wave
        self.found: Future[Found] = Future()
        self._claimed = threading.Lock()

    def claim(self) -> bool:
        """Claims the measurement, which nobody else will take then; True for the first caller only."""
        return self._claimed.acquire(blocking=False)

    def take(self) -> None:
        """Measures in this process, unless somebody has claimed the measurement."""
        if self.claim():
            try:
                self.found.set_result(self.function(self.wave))
            except BaseException as error:
                self.found.set_exception(error)
                if not isinstance(error, Exception):
                    raise

    def result(self) -> Found:
        """What the function finds: at once, or when the worker that claimed the measurement is done.

        Raises:
            Exception: what the function raises.
        """
        self.take()
        try:
            return self.found.result()
        except WorkerFailedError:
            return self.function(self.wave)


def take_all(measurements: Sequence[Measurement[Any]]) -> None:
    """Takes the measurements that no worker has claimed, so that driver and workers are busy to the end."""
    for measurement in measurements:
        measurement.take()


class WorkerFailedError(Exception):
    """A worker began a measurement and did not end it."""


class Scorers:
    """Processes that take measurements, newest first: what was submitted ahead of its need waits for idle moments.

    They load in the background; until one is ready the driver takes every measurement. One that dies is a warning.

    Args:
        count: processes; with 0 the driver takes every measurement, and only when it needs the result.
        functions: what they will be asked for; each is called once, on noise, before a process is ready.
        threads: CPU threads of each, the driver's number: more can change the last bit of a result.
    """

    def __init__(self, count: int = 0, functions: Sequence[Callable[[Wave], object]] = (), threads: int = 1) -> None:
        self._jobs: LifoQueue[Measurement[Any] | None] = LifoQueue()
        self._ready: set[int] = set()
        self._closed = False
        # spawn: a fork of a process that has started torch's threads can hang, and CUDA does not survive one
        context = multiprocessing.get_context("spawn")
        self._processes = []
        for number in range(count):
            connection, theirs = context.Pipe()
            process = context.Process(target=_work, args=(theirs, tuple(functions), threads), daemon=True)
            try:
                with _interrupts_held():
                    process.start()
            except OSError as error:
                log.warning("A process that measures could not start (%s); kvw goes on without it", error)
                break
            theirs.close()
            self._processes.append(process)
            threading.Thread(target=self._serve, args=(number, connection), daemon=True).start()

    @property
    def working(self) -> bool:
        """Whether a worker is there to take what is submitted."""
        return bool(self._ready)

    def submit(self, function: Callable[[Wave], Found], wave: Wave) -> Measurement[Found]:
        """A measurement that a worker may take from now on."""
        measurement = Measurement(function, wave)
        if self._ready:
            self._jobs.put(measurement)
        return measurement

    def close(self) -> None:
        """Ends the processes; what they had begun, and everything else, is for the driver."""
        self._closed = True
        for process in self._processes:
            process.kill()
            process.join()
            self._jobs.put(None)

    def _serve(self, number: int, connection: Connection[Any, Any]) -> None:
        """Gives one worker one measurement after the other: a queue of its own would keep some from the driver."""
        measurement: Measurement[Any] | None = None
        try:
            connection.recv()  # it is ready
            self._ready.add(number)
            while measurement := self._jobs.get():
                if measurement.claim():
                    connection.send((measurement.function, measurement.wave))
                    well, found = connection.recv()
                    if well:
                        measurement.found.set_result(found)
                    else:
                        measurement.found.set_exception(WorkerFailedError())
        except Exception as error:  # whatever it is, the driver can do without
            if not self._closed:
                what = "failed, for want of memory perhaps" if number in self._ready else "could not start"
                log.warning("A process that measures %s (%r); kvw goes on without it", what, error)
            if measurement:
                measurement.found.set_exception(WorkerFailedError())
        finally:
            self._ready.discard(number)


def _work(connection: Connection[Any, Any], functions: Sequence[Callable[[Wave], object]], threads: int) -> None:
    """Measures in a worker process until the driver is gone."""
    begin_worker(threads)
    noise = 0.1 * np.random.default_rng(0).standard_normal(SAMPLE_RATE, dtype=np.float32)
    for function in functions:
        function(noise)
    with suppress(EOFError, OSError):
        connection.send("ready")
        while True:
            function, wave = connection.recv()
            try:
                found = True, function(wave)
            except Exception:
                found = False, None  # the driver will see for itself
            connection.send(found)


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Holds Ctrl-C back from this thread, and for good from a process that it starts: one may come while that loads."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    resource_tracker.ensure_running()  # its start, with that of the first process, would let them through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
