"""Signals at any moment, and many processes that want one folder: a run ends soon and whole, and one of them wins."""

from __future__ import annotations

import errno
import os
import random
import re
import signal
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from kvw.errors import EXIT_IN_USE, EXIT_INTERRUPTED, EXIT_TERMINATED
from kvw.runs import folders
from kvw.runs.folders import RECORD, held
from kvw.runs.store import Store
from kvw.runtime.locks import HOLDER, is_held
from tests.stress.cases import chosen, run
from tests.stress.children import LONGEST, Child, Outcome, fork
from tests.stress.folders import folder
from tests.stress.hooks import At, points, watch
from tests.stress.rows import Row, main, row
from tests.stress.undisturbed import Whole, whole
from tests.stress.world import Count, work

CODES = {signal.SIGINT: EXIT_INTERRUPTED, signal.SIGTERM: EXIT_TERMINATED}

SENT = ((signal.SIGINT,), (signal.SIGTERM,), (signal.SIGINT, signal.SIGINT), (signal.SIGTERM, signal.SIGINT))

SOON = 5.0
"""Seconds in which a run has to end."""

AT_ONCE = 1.0
"""Seconds in which it has to end by a second signal; on a busy machine."""

PAUSE = 0.002
"""Seconds that an utterance takes."""


def until(done: Callable[[], object]) -> None:
    """Waits for something that comes soon."""
    limit = time.monotonic() + LONGEST
    while not done():
        assert time.monotonic() < limit, "it does not come"
        time.sleep(0.001)


class Sent:
    """A run in a child, to which signals are sent.

    Args:
        action: the run.
    """

    def __init__(self, action: Callable[[], object]) -> None:
        self._at_work = Count(1)

        def begun() -> object:
            self._at_work.values[0] = 1  # signals are answered by now
            return action()

        self.child = Child(begun)
        until(lambda: self._at_work.values[0])

    def end(self, signals: Sequence[signal.Signals], pause: float = 0.0) -> tuple[Outcome, float]:
        """Sends them; how the run ended, and after how many seconds."""
        started = time.monotonic()
        for number in signals:
            os.kill(self.child.pid, number)
            time.sleep(pause)
            started = time.monotonic() if number is not signals[-1] else started
        return self.child.wait(), time.monotonic() - started


def wrong_end(outcome: Outcome, signals: Sequence[signal.Signals], late: bool = False) -> str:
    """What is wrong with the exit status of a run that was sent signals; nothing if it was over by then."""
    allowed = [CODES[number] for number in signals]
    if outcome.code not in (*allowed, *([0] if late else [])):
        return f"ended with {outcome.code}: {outcome.error}"
    return "" if outcome.clean or len(signals) > 1 else f"ended badly: {outcome.error}"


def moments(
    names: Sequence[str] = ("genetic", "random_walk", "nsga2 then cma"), count: int = 10, generations: int = 12
) -> list[Row]:
    """A signal, or two, at random moments; then the run goes on.

    Args:
        names: of cases.
        count: runs of each.
        generations: of a run.
    """
    rows = []
    draw = random.Random(0)
    for case in chosen(names):
        with row(f"signals at any moment: {case.name}") as found:
            rows.append(found)
            undisturbed = whole(case, generations)
            with folder() as inside:
                started = time.monotonic()
                fork(partial(run, inside, case, generations, PAUSE))
                longest = time.monotonic() - started
            slowest = 0.0
            for number in range(count):
                signals = SENT[number % len(SENT)]
                with folder() as inside:
                    work(0, 0)
                    sent = Sent(partial(run, inside, case, generations, PAUSE))
                    time.sleep(draw.uniform(0, 0.8 * longest))
                    outcome, seconds = sent.end(signals, draw.choice((0.0, 0.001, 0.01)))
                    slowest = max(slowest, seconds)
                    wrong = wrong_end(outcome, signals, late=True)
                    wrong = wrong or ("" if seconds <= SOON else f"took {seconds:.1f} s")
                    wrong = wrong or undisturbed.fault(inside, fork(partial(run, inside, case, generations)))
                    ended = "over by then" if outcome.code == 0 else f"{outcome.code}"
                    found.add(f"{'+'.join(one.name for one in signals)} {number}", wrong, ended)
            found.note = f"slowest {slowest:.2f} s; {dict(found.outcomes)}"
    return rows


def everywhere(names: Sequence[str] = (), until: int = 2, every: int = 1, kinds: int | None = None) -> list[Row]:
    """SIGTERM, and two signals at once, ahead of what touches the storage: in a commit too; then the run goes on.

    Args:
        names: of cases, all if empty.
        until: so many generations have been.
        every: only one of so many points, and the first of each kind.
        kinds: only the first of each of so many kinds.
    """
    rows = []
    for number, case in enumerate(chosen(names)):
        with row(f"signals at every point: {case.name}") as found:
            rows.append(found)
            undisturbed = whole(case)
            with folder() as inside:
                passed = points(inside, case, until)
            firsts = {point.kind: point.number for point in reversed(passed)}
            for point in passed:
                first = firsts[point.kind] == point.number
                if not first and (kinds is not None or point.number % every != number % every):
                    continue
                if kinds is not None and list(firsts.values()).index(point.number) >= kinds:
                    continue
                for signals in ((signal.SIGTERM,), (signal.SIGTERM, signal.SIGTERM)):
                    late = point.kind in ("unlock", "unlink", "end")  # the run may be over by then
                    with folder() as inside:
                        work(0, 0)
                        ended = undisturbed.attempt(inside, At(point.number, partial(to_myself, signals)))
                        wrong = wrong_end(ended, signals, late)
                        wrong = wrong or undisturbed.fault(inside, undisturbed.attempt(inside))
                    found.add(f"{len(signals)} at {point.number}, {point.kind}", wrong)
            found.note = f"{len(passed)} points"
    return rows


def to_myself(signals: Sequence[signal.Signals], kind: str) -> None:
    """Sends them to this process, as the system would: ahead of a call of that kind."""
    for number in signals:
        os.kill(os.getpid(), number)


def refused() -> list[Row]:
    """A signal while the storage refuses and the run waits for it; and a second one, which does not wait."""
    (case,) = chosen(["genetic"])
    undisturbed = whole(case)
    with row("signals while storage is full") as found:
        for signals, limit in (((signal.SIGTERM,), SOON), ((signal.SIGTERM, signal.SIGTERM), AT_ONCE)):
            with folder() as inside:
                work(0, 0)
                refusing = Count(1)
                sent = Sent(partial(_refused, inside, undisturbed, refusing))
                until(lambda: refusing.values[0])  # noqa: B023
                outcome, seconds = sent.end(signals, 0.1 * (len(signals) > 1))
                wrong = wrong_end(outcome, signals) or ("" if seconds < limit else f"took {seconds:.1f} s")
                wrong = wrong or undisturbed.fault(inside, undisturbed.attempt(inside))
                found.add(f"{len(signals)} signals", wrong)
                found.note += f"{len(signals)}: {seconds:.2f} s; "
    return [found]


def _refused(inside: Path, undisturbed: Whole, refusing: Count) -> int:
    """A run whose storage is full from its 30th write on; in a child."""

    def refuse(kind: str) -> None:
        refusing.values[0] = 1
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    watch(At(30, refuse, lasting=True, only=lambda kind: kind in ("sql BEGIN", "open")))
    return run(inside, undisturbed.case, undisturbed.generations)


# ---------------------------------------------------------------------------------------------- races


def race(count: int, action: Callable[[int], object]) -> tuple[list[Outcome], list[int]]:
    """Lets so many processes do something at the same instant; how they ended, and their numbers."""
    ready, go = Count(count), Count(1)

    def one(number: int) -> object:
        ready.values[number] = 1
        while not go.values[0]:
            time.sleep(0.0002)
        return action(number)

    children = [Child(partial(one, number)) for number in range(count)]
    until(ready.values.all)
    go.values[0] = 1
    return [child.wait() for child in children], [child.pid for child in children]


def races(processes: int = 20, rounds: int = 20) -> list[Row]:
    """Processes that want to work in one folder: one of them does, the others name it; then the folder is free.

    Args:
        processes: of each race.
        rounds: races.
    """
    with row(f"{processes} processes want one folder") as found, folder() as above:
        for number in range(rounds):
            inside = above / str(number)
            inside.mkdir()
            Store.create(inside / RECORD, {"case": "race"}).close()
            done = Count(processes)

            def work_in(me: int, inside: Path = inside, done: Count = done) -> str:
                try:
                    with held(inside):
                        record = Store(inside / RECORD)
                        until(lambda: done.values.sum() >= processes - 1)
                        record.close()
                        return "worked"
                finally:
                    done.values[me] = 1

            outcomes, pids = race(processes, work_in)
            winners = [pid for outcome, pid in zip(outcomes, pids, strict=True) if outcome.value == "worked"]
            lost = [outcome for outcome in outcomes if outcome.value is None]
            codes = {outcome.code for outcome in lost}
            named = [re.search(r"that process (\S+) on ", outcome.error) for outcome in lost]
            told = {match.group(1) if match else "?" for match in named}
            wrong = "" if len(winners) == 1 else f"{len(winners)} winners"
            wrong = wrong or ("" if codes == {EXIT_IN_USE} and all(each.clean for each in lost) else f"codes {codes}")
            wrong = wrong or ("" if told == {str(winners[0])} else f"named {told}, not {winners}")
            wrong = wrong or ("still held" if is_held(inside) or (inside / HOLDER).exists() else "")
            wrong = wrong or fork(partial(_hold, inside)).error
            found.add(f"race {number}", wrong)
        inside = above / "killed"
        inside.mkdir()
        killed = Child(partial(_hold, inside, 60.0))
        until((inside / HOLDER).exists)
        again = fork(partial(_hold, inside))
        found.add("held", "" if again.code == EXIT_IN_USE and f" {killed.pid} " in again.error else f"{again}")
        killed.kill()
        killed.wait()
        found.add("killed", fork(partial(_hold, inside)).error)
    return [found]


def _hold(inside: Path, seconds: float = 0.0) -> None:
    with held(inside):
        time.sleep(seconds)


def names(processes: int = 20, rounds: int = 20) -> list[Row]:
    """Processes that begin runs of one name in the same second: each gets a folder of its own.

    Args:
        processes: of each race.
        rounds: races.
    """
    with row(f"{processes} processes want a new folder of one name") as found, folder() as above:
        for number in range(rounds):

            def begin(me: int, parent: Path = above / "2026-01-01" / str(number)) -> str:
                inside = folders.new_folder(parent, "10-00-00-target-genetic-0")
                with held(inside):
                    Store.create(inside / RECORD, {"me": me}).close()
                return str(inside)

            outcomes, _ = race(processes, begin)
            taken = [outcome.value for outcome in outcomes]
            wrong = "" if not any(outcome.code for outcome in outcomes) else f"{[each.error for each in outcomes]}"
            wrong = wrong or ("" if len(set(taken)) == processes else f"{processes - len(set(taken))} share one")
            for me, inside in enumerate(taken if not wrong else []):
                record = Store(Path(inside) / RECORD)
                wrong = wrong or ("" if record.facts == {"me": me} else f"{inside} is {record.facts}")
                record.close()
            found.add(f"race {number}", wrong)
    return [found]


if __name__ == "__main__":
    main(moments, everywhere, refused, races, names)
