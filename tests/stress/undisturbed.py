"""A run that nobody disturbed, with which disturbed ones are compared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.stress.cases import GENERATIONS, Case, differences, fingerprint, run
from tests.stress.children import Outcome, fork, here
from tests.stress.folders import copied, folder
from tests.stress.hooks import Act, watch
from tests.stress.world import work


@dataclass(frozen=True)
class Whole:
    """A run that nobody disturbed.

    Attributes:
        case: that was run.
        generations: it had.
        fingerprint: of it.
        steps: candidates.
        work: it took.
    """

    case: Case
    generations: int
    fingerprint: dict[str, str]
    steps: int
    work: tuple[int, int]

    def attempt(self, folder: Path, act: Act | None = None, prepare: Callable[[], object] | None = None) -> Outcome:
        """Runs the case in a child, or lets it go on.

        Args:
            folder: of the run.
            act: ahead of each call.
            prepare: is done first.
        """

        def action() -> int:
            if prepare:
                prepare()
            if act:
                watch(act)
            return run(folder, self.case, self.generations)

        return fork(action)

    def go_on(self, folder: Path) -> Outcome:
        """Lets the case go on in this process, a child."""
        return here(lambda: run(folder, self.case, self.generations))

    def resume(self, left: Path, done: tuple[int, int] = (0, 0), deaths: int | None = 1) -> tuple[str, str]:
        """Lets the case go on in a copy of ``left``, and says what is wrong with the end; in a child.

        Args:
            left: what an attempt has left.
            done: the work of that.
            deaths: as for :meth:`fault`.
        """
        with copied(left) as inside:
            work(*done)
            return self.fault(inside, self.go_on(inside), deaths), ""

    def fault(self, folder: Path, outcome: Outcome, deaths: int | None = 1) -> str:
        """What is wrong with a run that has ended well as it seems; empty if it is this one to the last bit.

        Args:
            folder: of the run.
            outcome: of the last attempt.
            deaths: attempts before it, each of which may have lost one utterance; None for no matter how many.
        """
        if outcome.code or not outcome.clean:
            return f"ended with {outcome.code}: {outcome.error or 'no words'}"
        if outcome.value != self.steps:
            return f"{outcome.value} candidates instead of {self.steps}"
        wrong = differences(self.fingerprint, fingerprint(folder))
        if wrong:
            return f"differs in {', '.join(wrong)}"
        again = [did - had for did, had in zip(work(), self.work, strict=True)]
        if deaths is not None and not all(0 <= more <= deaths for more in again):
            return f"{again} utterances and statistics were measured again"
        return ""


def whole(case: Case, generations: int = GENERATIONS) -> Whole:
    """Runs ``case`` undisturbed."""
    with folder() as inside:
        work(0, 0)
        outcome = fork(lambda: run(inside, case, generations))
        assert outcome.code == 0, outcome.error
        return Whole(case, generations, fingerprint(inside), outcome.value, work())
