"""Bits that flip and files that are cut short: damage is put right or named, and never taken for what was written."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from kvw.errors import EXIT_BAD_INPUT, EXIT_CORRUPT
from kvw.runs.folders import RECORD
from kvw.runs.schema import DamagedError
from tests.stress.cases import GENERATIONS, chosen, differences, fingerprint, run
from tests.stress.children import fork, here, together
from tests.stress.folders import contents, folder, put
from tests.stress.hooks import At, die, points
from tests.stress.rows import Row, main, row
from tests.stress.undisturbed import Whole, whole
from tests.stress.world import bank, work

WAL = f"{RECORD}-wal"

MENDED = {"candidates"}
"""What a run may go on without, once it has said so."""

Files = Mapping[str, bytes]


def records(
    names: Sequence[str] = ("nsga2 then cma", "random_walk"), flips: int = 250, cuts: int = 100, seed: int = 0
) -> list[Row]:
    """Damage to the record of a run that was stopped, and of one that was killed and has left a log; then it goes on.

    Half of the bits are drawn from the pages that hold rows: most pages hold nothing but long arrays.

    Args:
        names: of cases.
        flips: bits of each case, one at a time.
        cuts: files that are cut short, of each case.
        seed: of the places.
    """
    rows = []
    draw = random.Random(seed)
    for case in chosen(names):
        undisturbed = whole(case)
        with folder() as inside:
            fork(lambda: run(inside, case, GENERATIONS - 1))  # noqa: B023
            stopped = contents(inside)
        with folder() as inside:
            end = [point.number for point in points(inside, case, GENERATIONS - 1)][-1]
        with folder() as inside:
            undisturbed.attempt(inside, At(end, die))
            killed = contents(inside)
        assert WAL in killed
        for what, count, damage in (("a flipped bit", flips, _flip), ("cut short", cuts, _cut)):
            with row(f"record, {what}: {case.name}") as found:
                judgements = []
                for number in range(count):
                    files, name = [(stopped, RECORD), (stopped, RECORD), (killed, WAL), (killed, RECORD)][number % 4]
                    label, damaged = damage(files, name, draw, number // 4 % 2 == 0)
                    judgements.append((label, partial(_judge, undisturbed, damaged)))
                together(judgements, found)
            rows.append(found)
    return rows


def _flip(files: Files, name: str, draw: random.Random, any_page: bool) -> tuple[str, Files]:
    content = bytearray(files[name])
    place = draw.randrange(len(content))
    if not any_page and name == RECORD:
        size = int.from_bytes(content[16:18], "big") % 65535 or 65536
        pages = [at for at in range(0, len(content), size) if at == 0 or content[at] in (2, 5, 10, 13)]
        place = draw.choice(pages) + draw.randrange(size)
    bit = draw.randrange(8)
    content[place] ^= 1 << bit
    return f"bit {bit} of byte {place} of {name}", {**files, name: bytes(content)}


def _cut(files: Files, name: str, draw: random.Random, any_page: bool) -> tuple[str, Files]:
    left = draw.randrange(len(files[name]))
    if not any_page:
        left -= left % 4096
    return f"{left} bytes of {name}", {**files, name: files[name][:left]}


def _judge(undisturbed: Whole, damaged: Files) -> tuple[str, str]:
    """Lets a run go on from damaged files; in a child."""
    with folder() as inside:
        put(inside, damaged)
        work(0, 0)
        outcome = undisturbed.go_on(inside)
        if outcome.code in (EXIT_CORRUPT, EXIT_BAD_INPUT) and outcome.clean:
            return "", "refused"
        if outcome.code:
            return f"ended with {outcome.code}: {outcome.error}", "failed"
        try:
            wrong = differences(undisturbed.fingerprint, fingerprint(inside))
        except DamagedError:
            return "", "named where it is read"
        if outcome.value != undisturbed.steps or not MENDED.issuperset(wrong) or (wrong and not outcome.warnings):
            return f"silent: {outcome.value} candidates, differs in {', '.join(wrong)}; {outcome.warnings}", "silent"
        return "", ("left out, with a warning" if wrong else "identical")


def voices(flips: int = 250, cuts: int = 100, seed: int = 0) -> list[Row]:
    """Damage to a voice and to the ``.json`` beside it, as runs write them.

    Args:
        flips: bits of each file, one at a time.
        cuts: of each file.
        seed: of the places.
    """
    draw = random.Random(seed)
    facts = {"synthesiser": "kokoro", "seed": 7, "scores": {"score": 81.25, "target_similarity": 0.8}}
    voice = bank(510)["af_a"]

    def save(inside: Path) -> None:
        from kvw.voices.files import save_voice

        save_voice(inside / "best.pt", voice, facts)  # imports torch, in a child

    rows = []
    with folder() as inside:
        assert fork(lambda: save(inside)).code == 0
        whole = contents(inside)
    for name in ("best.pt", "best.json"):
        for what, count, damage in (("a flipped bit", flips, _flip), ("cut short", cuts, _cut)):
            with row(f"{name}, {what}") as found:
                judgements = []
                for _ in range(count):
                    label, damaged = damage(whole, name, draw, True)
                    judgements.append((label, partial(_judge_voice, whole, damaged)))
                together(judgements, found, 100)
            rows.append(found)
    return rows


def _judge_voice(whole: Files, damaged: Files) -> tuple[str, str]:
    from kvw.voices.files import facts_of, load_voice

    def read() -> tuple[str, str]:
        with folder() as inside:
            put(inside, whole)
            voice, facts = load_voice(inside / "best.pt"), facts_of(inside / "best.pt")
            put(inside, damaged)
            read, said = load_voice(inside / "best.pt"), facts_of(inside / "best.pt")
        if not np.array_equal(read, voice):
            return "silent: other numbers", "silent"
        return "", ("identical" if said == facts else "other facts beside the same voice")

    outcome = here(read)
    if outcome.code:
        fine = outcome.clean and outcome.code in (EXIT_CORRUPT, EXIT_BAD_INPUT)
        return ("" if fine else f"ended with {outcome.code}: {outcome.error}"), "refused"
    found: tuple[str, str] = outcome.value
    return found


if __name__ == "__main__":
    main(records, voices)
