"""``strategy=by_ear``: choices between two voices steer the search, at the keyboard and by a simulated listener."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest

from kvw.audio.recordings import read_recording
from kvw.config.paths import DEMO
from kvw.errors import KvwError
from kvw.evaluation import Evaluation
from kvw.fitness.speaker import cosine
from kvw.runs.reader import Run
from kvw.search.strategy import FIRST, SECOND, UNDO
from kvw.tasks.listen import AtKeyboard
from kvw.testing import Oracle
from kvw.types import VOICE_SHAPE
from strategies.by_ear import ByEar
from tests.conftest import SHORT
from tests.support.records import differences

SMALL = ("synth=embedded", "population_limit=2", "start_voices=1", "executor.scorers=0", "report=false")
EAR = (*SMALL, "strategy=by_ear", "strategy.draws=2")


class Line:
    """A space of three genes, of which a listener prefers the larger first."""

    dim, origin, scale = 3, np.zeros(3), np.ones(3)

    def decode(self, genome):
        voice = np.zeros(VOICE_SHAPE, np.float32)
        voice[0, 0, :3] = genome
        return voice


def steered(listener, generations=100, **settings):
    strategy = ByEar(
        space=Line(), seeds=[], rng=np.random.default_rng(0), predictor=Oracle(), listener=listener, **settings
    )
    for _ in range(generations):
        population = strategy.generate()
        for candidate in population:
            candidate.evaluate(Evaluation("complete", 50.0, 0.5, {"target": 0.5}))
        strategy.update(population)
        if len(strategy.choices) >= settings["answers"]:
            break
    return strategy


def larger(number, first, second):
    return FIRST if first[0, 0, 0] > second[0, 0, 0] else SECOND


def test_it_goes_where_the_listener_wants_and_the_result_is_the_one_that_is_liked_best():
    strategy = steered(larger, answers=40)
    place, best = strategy.chosen()
    asked = {number for choice in strategy.choices for number in choice[:2]}
    assert best[0] > 2 and best[0] == max(strategy.heard[number][0] for number in asked)
    assert strategy.heard[strategy.places.index(place)] is best


def test_a_few_wrong_answers_are_outvoted():
    wrong = np.random.default_rng(1)

    def often(number, first, second):
        right = larger(number, first, second)
        return right if wrong.random() > 0.1 else ({FIRST, SECOND} - {right}).pop()

    assert steered(often, answers=40).chosen()[1][0] > 1


@pytest.mark.parametrize("slip", [0, 1, 2, 3, 4])
def test_a_choice_that_is_undone_and_made_again_is_as_if_it_had_been_made_at_once(slip):
    def slipping(number, first, second):
        right = larger(number, first, second)
        wrong = SECOND if right == FIRST else FIRST
        return {slip: wrong, slip + 1: UNDO}.get(number, right)

    once, undone = steered(larger, 3, answers=9, draws=2), steered(slipping, 3, answers=9, draws=2)
    last = slip in (1, 4)  # of a generation: the next one was drawn by it, and is drawn anew
    upto = slip + 1 if last else len(undone.choices)
    assert undone.choices[:upto] == once.choices[:upto]
    assert undone.asked == len(undone.choices) + 2


def test_voices_that_could_not_be_spoken_are_not_asked_about():
    strategy = ByEar(space=Line(), seeds=[], rng=np.random.default_rng(0), predictor=Oracle(), listener=larger)
    population = strategy.generate()
    for candidate in population:
        candidate.evaluate(Evaluation("silent", detail="nothing"))
    strategy.update(population)
    assert strategy.chosen() is None and strategy.asked == 0 and len(strategy.generate()) == 6


def test_who_sits_at_the_keyboard_hears_two_files_and_is_never_asked_twice(kvw, monkeypatch, capsys):
    arguments = (*EAR, "strategy.answers=5", *(f"{key}={text}" for key, text in SHORT.items()))
    monkeypatch.setattr("kvw.tasks.listen.PLAYERS", ())
    monkeypatch.setattr("sys.stdin", io.StringIO("a\nb\nu\na\nx\ns\nb\nn\n"))
    status, (whole,) = kvw(*arguments)
    assert status == 0
    said = capsys.readouterr().out
    assert said.count("Question ") == 7 and "Expected one of these letters" in said
    told = [json.loads(line) for line in (whole / "ear" / "choices.jsonl").read_text().splitlines()]
    assert told == ["a", "b", "undo", "a", "same", "b", "neither"]
    assert (whole / "ear" / "b.wav").exists() and (whole / "best.pt").exists()
    assert "5 choices were made" in (whole / "summary.txt").read_text()

    monkeypatch.setattr("sys.stdin", io.StringIO("a\nb\nu\na\n"))
    status, runs = kvw(*arguments)
    assert status == 2
    (cut,) = [run for run in runs if run != whole]
    assert "expected an answer from the keyboard" in capsys.readouterr().err
    with (cut / "ear" / "choices.jsonl").open("a") as file:
        file.write('"sam')  # as a power cut leaves it
    monkeypatch.setattr("sys.stdin", io.StringIO("s\nb\nn\n"))
    assert kvw(f"resume={cut}")[0] == 0
    assert not differences(cut, whole)


def test_answers_that_nobody_gave_are_refused(tmp_path):
    (tmp_path / "ear").mkdir()
    (tmp_path / "ear" / "choices.jsonl").write_text('"a"\n"maybe"\n')
    with pytest.raises(KvwError, match=r"choices.jsonl: expected answers of a listener"):
        AtKeyboard().begin(tmp_path, lambda voice: voice)


class Simulated:
    """Prefers the voice that sounds more like the target on the target text, and errs one time in ten."""

    def __init__(self, encoder, target):
        self.encoder, self.target, self.errs = encoder, target, np.random.default_rng(7)

    def begin(self, run, speak):
        self.speak = speak

    def __call__(self, number, first, second):
        near = [cosine(self.encoder([self.speak(voice)])[0], self.target) for voice in (first, second)]
        right = FIRST if near[0] > near[1] else SECOND
        return right if self.errs.random() > 0.1 else ({FIRST, SECOND} - {right}).pop()


@pytest.mark.long
def test_sixty_answers_of_which_one_in_ten_is_wrong_reach_what_sixty_scores_reach_but_for_a_little(
    kvw, monkeypatch, encoder
):
    texts = [f"{key}={text}" for key, text in SHORT.items()]
    target = encoder.speaker([read_recording(DEMO)], "target")
    monkeypatch.setattr("kvw.tasks.prepare.AtKeyboard", lambda: Simulated(encoder, target))
    _, (scored,) = kvw(*SMALL, *texts, "strategy=sep_cma", "step_limit=60")
    _, runs = kvw(*SMALL, *texts, "strategy=by_ear")
    (heard,) = [run for run in runs if run != scored]
    found, reached = (Run(run).best[1].parts["target"] for run in (heard, scored))
    assert found > reached - 0.03
    assert found > Run(heard).stock[0].evaluation.parts["target"]
