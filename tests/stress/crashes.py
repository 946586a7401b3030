"""Runs that are killed, stopped or interrupted anywhere, and go on: each has to end as if nothing had happened.

Points are enumerated, not drawn: a prototype passed 170 random kills and failed at one point in time that they missed.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from kvw.errors import EXIT_INTERRUPTED
from tests.stress.cases import chosen, run
from tests.stress.children import Child, fork, together
from tests.stress.folders import copied, folder
from tests.stress.hooks import At, Point, die, points, watch
from tests.stress.rows import Row, main, row
from tests.stress.undisturbed import Whole, whole
from tests.stress.world import work

PAUSE = 0.002
"""Seconds that an utterance takes where the moment of a crash is drawn: most of a run is speech."""


def every_point(names: Sequence[str] = (), until: int = 3, really: bool = False, kinds: int = 1) -> list[Row]:
    """A crash at every point of the creation, the ranking and the first generations.

    What a crash leaves are files, so that points between which no file changes are one case: the first. Its files are
    copied as the run passes it, which is the same as to die there; that is done too, once for each kind of call.

    Args:
        names: of cases, all if empty.
        until: so many generations have been.
        really: die at every point, also where no file has changed.
        kinds: die at one of so many kinds of calls, others in each case.
    """
    rows = []
    for number, case in enumerate(chosen(names)):
        with row(f"crash at every point: {case.name}") as found, folder() as copies, folder() as inside:
            undisturbed = whole(case)
            work(0, 0)
            passed = points(inside, case, until, copies)
            new = [point for point in passed if point.new]
            judgements = [
                (_at(point), partial(undisturbed.resume, copies / str(point.number), point.work)) for point in new
            ]
            together(judgements, found)
            firsts = list({point.kind: point for point in reversed(passed)}.values())
            for point in passed if really else firsts[number % kinds :: kinds]:
                with folder() as left:
                    work(0, 0)
                    died = undisturbed.attempt(left, At(point.number, die))
                    wrong = "" if died.code == -signal.SIGKILL or point.kind == "end" else f"did not die: {died}"
                    found.add(f"dead {_at(point)}", wrong or undisturbed.fault(left, undisturbed.attempt(left)))
            found.note = f"{len(passed)} points, {len(firsts)} kinds of calls, {len(new)} states of the files"
        rows.append(found)
    return rows


def recovery(
    names: Sequence[str] = (), enumerated: Sequence[str] = (), until: int = 3, every: int = 1, each: int = 1
) -> list[Row]:
    """A crash, and another one while the run goes on; then it goes on again.

    Args:
        names: of cases, all if empty: each crash, and then one at a point of the recovery that moves from case to case.
        enumerated: of cases for which, after a crash of each kind, every point of the recovery is tried.
        until: so many generations have been before the first crash.
        every: only one of so many crashes, another one in each case.
        each: only one of so many kinds of the first crash, where every point of the recovery is tried.
    """
    rows = []
    for number, case in enumerate(chosen(names)):
        with row(f"two crashes: {case.name}") as found, folder() as copies, folder() as inside:
            undisturbed = whole(case)
            work(0, 0)
            new = [point for point in points(inside, case, until, copies) if point.new]
            for turn, point in enumerate(new[number % every :: every]):
                with copied(copies / str(point.number)) as left:
                    work(*point.work)
                    again = 1 + 7 * turn % 50
                    undisturbed.attempt(left, At(again, die))
                    wrong = undisturbed.fault(left, undisturbed.attempt(left), 2)
                    found.add(f"{_at(point)}, then at {again}", wrong)
            if case.name in enumerated:
                firsts = {point.kind: point for point in reversed(new)}
                for point in list(firsts.values())[::each]:
                    _enumerate(found, undisturbed, point, copies / str(point.number))
        rows.append(found)
    return rows


def _enumerate(found: Row, undisturbed: Whole, first: Point, left: Path) -> None:
    """Every point of the recovery from a crash, until a generation has been."""
    with copied(left) as inside, folder() as copies:
        work(*first.work)
        new = [point for point in points(inside, undisturbed.case, 1, copies) if point.new]
        judgements = [
            (f"{_at(first)}, then {_at(point)}", partial(undisturbed.resume, copies / str(point.number), point.work, 2))
            for point in new
        ]
        together(judgements, found)


def kills(
    names: Sequence[str] = ("random_walk", "nsga2 then cma"), count: int = 50, generations: int = 12, seed: int = 0
) -> list[Row]:
    """SIGKILL at random moments, again and again until the run is done.

    Args:
        names: of cases.
        count: kills of each case, at least.
        generations: of a run.
        seed: of the moments.
    """
    rows = []
    draw = random.Random(seed)
    for case in chosen(names):
        with row(f"random kills: {case.name}") as found:
            undisturbed = whole(case, generations)
            with folder() as inside:
                started = time.monotonic()
                fork(lambda: run(inside, case, generations, PAUSE))  # noqa: B023
                longest = time.monotonic() - started
            killed = again = 0
            while killed < count:
                with folder() as inside:
                    work(0, 0)
                    deaths = 0
                    while True:
                        child = Child(lambda: run(inside, case, generations, PAUSE))  # noqa: B023
                        time.sleep(draw.uniform(0, longest))
                        child.kill()
                        outcome = child.wait()
                        if outcome.code != -signal.SIGKILL:
                            break
                        deaths += 1
                    found.add(f"{deaths} kills", undisturbed.fault(inside, outcome, deaths))
                    killed += deaths
                    again += work()[0] - undisturbed.work[0]
            found.note = f"{killed} kills, {again} utterances spoken again"
        rows.append(found)
    return rows


def stops(names: Sequence[str] = (), generations: int = 20, every: int = 1) -> list[Row]:
    """A run that ends after generation g, for every g, and then goes on; and one that is stopped after each of them.

    Args:
        names: of cases, all if empty.
        generations: of a run.
        every: only one of so many g; of another remainder in each case.
    """
    rows = []
    for number, case in enumerate(chosen(names)):
        with row(f"stopped after a generation: {case.name}") as found:
            undisturbed = whole(case, generations)
            alone = [(stop,) for stop in range(1 + number % every, generations, every)]
            judgements = [
                (f"after {', '.join(map(str, some))}", partial(_stopped, undisturbed, some))
                for some in (*alone, tuple(range(generations)))
            ]
            together(judgements, found)
        rows.append(found)
    return rows


def _stopped(undisturbed: Whole, after: Sequence[int]) -> tuple[str, str]:
    """Lets a run end after each of these generations, and go on; in a child."""
    with folder() as inside:
        work(0, 0)
        for generations in after:
            run(inside, undisturbed.case, generations)
        return undisturbed.fault(inside, undisturbed.go_on(inside), 0), ""


def interrupted(names: Sequence[str] = (), until: int = 3, every: int = 1, kinds: int = 1) -> list[Row]:
    """Ctrl-C at every point; the run ends with the exit code of that, and goes on later.

    Args:
        names: of cases, all if empty.
        until: so many generations have been.
        every: only one of so many points.
        kinds: also at the first point of one of so many kinds of calls, others in each case.
    """

    rows = []
    for number, case in enumerate(chosen(names)):
        with row(f"interrupted: {case.name}") as found:
            undisturbed = whole(case)
            work(0, 0)
            with folder() as inside:
                # no call is at the end, so that the signal would reach the run that goes on
                passed = [point for point in points(inside, case, until) if point.kind != "end"]
            firsts = list({point.kind: point for point in reversed(passed)}.values())
            for point in passed:
                if point.number % every == number % every or point in firsts[number % kinds :: kinds]:
                    judgements = [(_at(point), partial(_interrupted, undisturbed, point))]
                    together(judgements, found)
            found.note = f"{len(passed)} points"
        rows.append(found)
    return rows


def _interrupted(undisturbed: Whole, point: Point) -> tuple[str, str]:
    """Interrupts a run at a point, and lets it go on; in a child of its own."""
    with folder() as inside:
        work(0, 0)
        watch(At(point.number, lambda kind: os.kill(os.getpid(), signal.SIGINT)))
        ended = undisturbed.go_on(inside)
        late = point.kind in ("unlock", "unlink")  # the run is over by then
        if not ended.clean or ended.code not in (EXIT_INTERRUPTED, *([0] if late else [])):
            return f"ended badly: {ended}", ""
        return undisturbed.fault(inside, undisturbed.go_on(inside)), ""


def _at(point: Point) -> str:
    return f"at {point.number}, {point.kind}"


if __name__ == "__main__":
    main(every_point, recovery, kills, stops, interrupted)
