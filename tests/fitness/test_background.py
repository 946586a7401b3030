"""Measuring beside the driver: the same evaluations, whoever measures, and nothing that is never needed."""

from __future__ import annotations

import os
import signal
import time
from functools import partial

import numpy as np
import pytest

from kvw.config.fitness import FitnessSpec
from kvw.config.inputs import read_inputs
from kvw.config.invocation import compose
from kvw.config.schema import plain
from kvw.evaluation import OPEN, Gate
from kvw.executors.local import LocalExecutor, multiprocessing, spare_processes
from kvw.executors.processes import ProcessExecutor
from kvw.fitness import acoustics
from kvw.fitness.background import Measurement, Scorers, take_all
from kvw.fitness.speaker import SpeakerEncoder
from kvw.types import SAMPLE_RATE
from tests.conftest import SHORT, default_fitness, numbered
from tests.support.fitness import recorded_fitness
from tests.support.measures import loudest, ready, slow

SILENT = np.zeros(2 * SAMPLE_RATE, np.float32)


@pytest.fixture(scope="module")
def worker(encoder):
    """One process for all that the fitness measures."""
    scorers = ready(Scorers(1, [encoder.measure, acoustics.statistics]))
    yield scorers
    scorers.close()


def begun(measurement):
    """Waits until a worker has begun it."""
    for _ in range(6000):
        if measurement._claimed.locked():
            return measurement
        time.sleep(0.01)
    raise AssertionError("no process began it")


@pytest.mark.long
def test_every_executor_and_number_of_scorers_gives_the_same_evaluations(worker, bank, said, monkeypatch):
    handed = []
    put = worker._jobs.put
    monkeypatch.setattr(worker._jobs, "put", lambda job: handed.append(job) or put(job))
    cfg = compose("synth=embedded", *(f"{key}='{text}'" for key, text in SHORT.items())).cfg
    settings = FitnessSpec(plain(cfg.synth), plain(cfg.fitness), "cpu", "a", 0, read_inputs(cfg))
    broken = bank["af_iris"].copy()
    broken[400] = np.nan
    deaf = np.full_like(broken, np.inf)
    voices = [*list(bank.values())[:4], broken, deaf]
    found = {}
    for name, make in {
        "no scorers": partial(LocalExecutor, scorers=0),
        "one": partial(LocalExecutor, scorers=0),
        "two": partial(LocalExecutor, scorers=2),
        "processes": partial(ProcessExecutor, workers=1),
    }.items():
        evaluate = make(fitness=settings)
        if name == "one":
            evaluate._fitness.listener.scorers = worker
        if name == "two":
            ready(evaluate._fitness.listener.scorers, 2)
        ranked = evaluate(voices, Gate(only="target"))
        middle = float(np.median([seen.target_similarity for seen in ranked[:4]]))
        found[name] = [ranked, evaluate(voices, OPEN), evaluate(voices, Gate(20.0, {"target": middle / 0.98}))]
        found[name].append([evaluate([voice], OPEN)[0] for voice in voices[:2]])
        if name != "one":
            evaluate.close()
    assert handed, "the worker was offered something"
    assert {seen.status for seen in found["no scorers"][2]} == {"complete", "stopped", "not finite"}
    for name, evaluations in found.items():
        assert evaluations == found["no scorers"], name
    assert said == []


@pytest.fixture
def speech(fitness, embedded, bank):
    return fitness.listener.speak([bank["af_iris"]], embedded.script(SHORT["target_text"]))[0]


@pytest.mark.parametrize("workers", [False, True])
def test_a_wave_that_can_not_be_measured_fails_its_own_trial_alone(workers, worker, speech, encoder, demo, monkeypatch):
    fitness, _ = recorded_fitness([speech], speech, encoder, demo)
    fitness.listener.scorers = worker if workers else Scorers()
    feature = fitness.stages[-1]
    prefetch = feature.prefetch

    def cutting(trials):  # no audio that passes for speech is known to have a statistic that is not finite
        for bad in trials[1:2]:
            bad.waves[SHORT["target_text"]] = speech[: acoustics.MIN_SAMPLES - 1]
        prefetch(trials)
        for bad in trials[1:2] if workers else []:
            begun(bad.measuring["statistics", SHORT["target_text"]])

    monkeypatch.setattr(feature, "prefetch", cutting)
    good, bad, again = fitness([numbered(0)] * 3)
    assert (bad.status, bad.stage, bad.score) == ("unmeasurable", "feature", 0.0)
    assert f"at least {acoustics.MIN_SAMPLES} samples" in bad.detail
    assert good == again
    assert good.complete


def test_results_are_in_order_whatever_the_length_of_the_waves(worker):
    waves = [np.full(SAMPLE_RATE * seconds, seconds, np.float32) for seconds in (30, 1, 20, 2)]
    measurements = [worker.submit(loudest, wave) for wave in waves]
    take_all(measurements)
    assert [measurement.result()[1] for measurement in measurements] == [len(wave) for wave in waves]


def test_what_a_worker_has_not_begun_is_taken_here_and_what_it_has_is_not_taken_twice(worker):
    first = begun(worker.submit(slow, SILENT))
    second = worker.submit(loudest, np.ones(10, np.float32))
    assert second.result()[-1] == os.getpid()
    assert first.result() == worker._processes[0].pid


def test_an_error_in_a_worker_is_that_of_the_function(worker):
    begun(broken := worker.submit(loudest, SILENT))
    with pytest.raises(ValueError, match="silence"):
        broken.result()
    assert worker.submit(loudest, np.ones(10, np.float32)).result()[0] == 1.0


def test_joined_windows_come_from_a_worker_and_give_the_embeddings_of_one_call(fitness, bank, worker, monkeypatch):
    joined = SpeakerEncoder("cpu")
    joined.joined = True
    voices = list(bank.values())[:3]
    evaluations = []
    for some in (Scorers(), worker):
        monkeypatch.setattr(fitness.listener, "encoder", joined)
        monkeypatch.setattr(fitness.listener, "scorers", some)
        monkeypatch.setattr(fitness.listener.synthesizer, "batch", 2)
        evaluations.append(fitness(voices))
    assert evaluations[0] == evaluations[1]


def test_a_killed_worker_is_a_warning_and_the_driver_goes_on_alone(said):
    scorers = ready(Scorers(1))
    (process,) = scorers._processes
    lost, waiting = begun(scorers.submit(slow, SILENT)), scorers.submit(slow, SILENT)
    os.kill(process.pid, signal.SIGKILL)
    assert (lost.result(), waiting.result()) == (os.getpid(), os.getpid())
    assert len(said) == 1
    assert "A process that measures failed" in said[0]
    assert scorers.submit(loudest, np.ones(10, np.float32)).result()[-1] == os.getpid()
    assert scorers._jobs.qsize() <= 1, "nobody is left to take what is submitted"
    scorers.close()
    assert len(said) == 1


def test_close_ends_the_processes_even_while_they_load_or_measure(said):
    busy = ready(Scorers(1))
    loading = Scorers(1)
    begun(busy.submit(slow, SILENT))
    for scorers in (loading, busy):
        scorers.close()
        assert not any(process.is_alive() for process in scorers._processes)
        assert not scorers.submit(slow, SILENT)._claimed.locked()
    assert said == []


def test_without_workers_nothing_is_measured_that_is_never_needed(speech, encoder, demo, monkeypatch):
    counted = []

    def counting(wave):
        counted.append(wave)
        return statistics(wave)

    statistics = acoustics.statistics
    fitness, _ = recorded_fitness([speech], speech, encoder, demo)
    monkeypatch.setattr(acoustics, "statistics", counting)
    stopped = fitness([numbered(0)] * 2, Gate(99.0, {"target": 1.01}))
    assert [seen.stage for seen in stopped] == ["target", "target"]
    late = fitness([numbered(0)] * 2, Gate(100.0, {"target": 0.0}))
    assert [seen.stage for seen in late] == ["self", "self"]
    assert counted == []
    assert fitness([numbered(0)])[0].complete
    assert len(counted) == 1


class Idle(Scorers):
    """Workers that never begin anything: keeps what is submitted."""

    def __init__(self):
        super().__init__()
        self.kept = []

    def submit(self, function, wave):
        self.kept.append(Measurement(function, wave))
        return self.kept[-1]


def test_statistics_begin_early_for_those_that_passed_the_target_and_are_left_by_those_stopped_later(
    speech, encoder, demo
):
    fitness, _ = recorded_fitness([speech], speech, encoder, demo)
    fitness.listener.scorers = idle = Idle()
    fitness([numbered(0)], Gate(99.0, {"target": 1.01}))
    assert idle.kept == [], "a single voice has nothing to be measured beside"
    (late,) = fitness([numbered(0)], Gate(100.0, {"target": 0.0}))
    assert late.stage == "self"
    (left,) = idle.kept
    assert (left.function, left.claim(), left.found.done()) == (acoustics.statistics, False, False)


def test_a_generation_hands_over_every_wave_but_the_last_as_it_is_spoken(speech, encoder, demo):
    fitness, synthesizer = recorded_fitness([speech], speech, encoder, demo)
    spoken = []

    class Watching(Idle):
        def submit(self, function, wave):
            spoken.append(len(synthesizer.spoken))
            return super().submit(function, wave)

    fitness.listener.scorers = Watching()
    fitness([numbered(0)] * 3, Gate(only="target"))
    assert spoken == [1, 2]


@pytest.mark.parametrize(
    ("device", "threads", "cpus", "count"),
    [
        *[("cpu", 1, 1, 0), ("cpu", 1, 2, 1), ("cpu", 1, 64, 1), ("cpu", 8, 8, 0), ("cpu", 8, 16, 1)],
        *[("cuda", 1, 1, 0), ("cuda", 1, 4, 3), ("cuda", 1, 64, 8)],
    ],
)
def test_the_default_is_what_the_cpus_have_to_spare(device, threads, cpus, count, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cpus)), raising=False)
    assert spare_processes(device, threads) == count
    monkeypatch.setattr(multiprocessing, "parent_process", lambda: object())
    assert spare_processes(device, threads) == 0


def test_fewer_than_no_scorers_are_refused():
    with pytest.raises(ValueError, match=r"executor\.scorers: expected 0 or more"):
        LocalExecutor(fitness=default_fitness, scorers=-1)
