"""``executor=ray``: what a second actor gains, what the driver spends, what travels, and what a fault costs.

``make bench-ray``, or ``python -m tests.benchmarks.ray``. The machines are simulated; believe the ratios.
"""

from __future__ import annotations

import logging
import pickle
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from unittest import mock

import numpy as np

from kvw.evaluation import OPEN
from kvw.executors.scheduler import Scheduler
from kvw.runtime.workers import limit_threads
from kvw.speech.embedded.stock_voices import stock_voices
from kvw.text import aligned
from kvw.types import Voice
from tests.benchmarks.__main__ import say
from tests.benchmarks.embedded import make
from tests.benchmarks.kvoicewalk import interleaved
from tests.conftest import SHORT
from tests.support import nodes
from tests.support.simulated import Simulation

ROUNDS = 5
CANDIDATES = 20
"""Of a generation."""

FAULTS = 3
SLEEPERS, JOBS = 200, 4000


def main() -> None:
    """Prints the tables."""
    limit_threads(1)
    for line in (*overhead(), "", *on_machines()):
        say(line)


def overhead() -> Iterator[str]:
    """What the scheduler takes of the driver, without Ray: workers that sleep."""
    sleepers = Simulation(SLEEPERS, seconds=0.2, real=True)
    scheduler = Scheduler(sleepers, deadline=60.0, wait=60.0, advice="")
    rows = [("", "driver, each", "took", "if nobody waited", "ratio")]
    with mock.patch.object(time, "monotonic", sleepers.monotonic):
        scheduler(range(SLEEPERS))
        for calls in (1, JOBS // SLEEPERS):
            began, spent = time.perf_counter(), time.process_time()
            for _ in range(calls):
                scheduler(range(JOBS // calls))
            took, spent = time.perf_counter() - began, time.process_time() - spent
            ideal = JOBS * sleepers.seconds / SLEEPERS
            name = f"{calls} calls of {JOBS // calls} candidates"
            rows.append(
                (name, f"{1000 * spent / JOBS:.2f} ms", f"{took:.1f} s", f"{ideal:.1f} s", f"{took / ideal:.2f}")
            )
    yield f"The scheduler, {SLEEPERS} sleeping workers without Ray"
    yield from aligned(rows, 1)


def on_machines() -> Iterator[str]:
    """The rest, on three machines of one CPU."""
    from kvw.executors.ray_executor import RayExecutor

    logging.getLogger("kvw").setLevel(logging.ERROR)
    fitness, voices = partial(make, tuple(SHORT.values())), moved(CANDIDATES)
    with nodes.cluster(machines=3) as cluster:
        given = {"fitness": fitness, "address": cluster.address}
        one = RayExecutor(**given, actors=1)
        two = RayExecutor(**given, actors=2)
        nodes.until(lambda: two([voices[0]], OPEN) and two.batch == 2)
        rows = [("", "2 actors", "1 actor", "ratio")]
        mine, alone = interleaved(lambda: two(voices, OPEN), lambda: one(voices, OPEN), ROUNDS)
        rows.append(("generation", f"{mine:.2f} s", f"{alone:.2f} s", f"{alone / mine:.2f}"))
        yield from aligned(rows, 1)
        spent = time.process_time()
        one(voices, OPEN)
        yield f"\ndriver with Ray, a candidate: {1000 * (time.process_time() - spent) / len(voices):.2f} ms"
        out, back = travels(one, voices)
        yield f"travels, a candidate: {out:.0f} bytes there, {back:.0f} back; a whole voice has {voices[0].nbytes}"
        two.close()
        yield from faults(one, voices[0], cluster.kill_actor)
        one.close()


def moved(count: int) -> list[Voice]:
    """Stock voices, moved."""
    draw, stock = np.random.default_rng(0), list(stock_voices().values())
    return [
        stock[number % len(stock)] + draw.normal(0, 0.005, stock[0].shape).astype(np.float32) for number in range(count)
    ]


def travels(executor: object, voices: Sequence[Voice]) -> tuple[float, float]:
    """Bytes there and back, of a candidate."""
    answers, take = [], executor._actors.take  # type: ignore[attr-defined]

    def taken(ticket: object) -> object:
        answers.append(take(ticket))
        return answers[-1]

    with mock.patch.object(executor._actors, "take", taken):  # type: ignore[attr-defined]
        executor(voices, OPEN)  # type: ignore[operator]
    there = pickle.dumps(executor._encode([(voice, OPEN) for voice in voices]), 5)  # type: ignore[attr-defined]
    return len(there) / len(voices), len(pickle.dumps(answers, 5)) / len(voices)


def faults(executor: object, voice: Voice, kill: Callable[[], bool]) -> Iterator[str]:
    """What the death of the only actor costs."""
    import threading

    actors, moments = executor._actors, {}  # type: ignore[attr-defined]
    place, take = actors.place, actors.take

    def placed() -> object:
        moments["asked"] = time.perf_counter()
        return place()

    def taken(ticket: object) -> object:
        answer = take(ticket)
        if isinstance(answer, dict):
            moments["ready"] = time.perf_counter()
        return answer

    def timed() -> float:
        began = time.perf_counter()
        executor([voice] * CANDIDATES, OPEN)  # type: ignore[operator]
        return time.perf_counter() - began

    lost, loads = [], []
    with mock.patch.object(actors, "place", placed), mock.patch.object(actors, "take", taken):
        for _ in range(FAULTS):
            before = timed()
            killer = threading.Thread(target=nodes.until, args=(kill,))
            killer.start()
            took = timed()
            killer.join()
            loads.append(moments["ready"] - moments["asked"])
            lost.append(took - loads[-1] - before)
    yield f"a fault: {statistics.median(lost):.2f} s beyond the reload of {statistics.median(loads):.1f} s"


if __name__ == "__main__":
    main()
