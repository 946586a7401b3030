"""``executor=ray`` on simulated machines: the search of the local executor, whatever dies, and mistakes in one line."""

from __future__ import annotations

import logging
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from functools import partial

import numpy as np
import pytest

from kvw.errors import KvwError
from kvw.evaluation import OPEN, Gate, Pullback
from kvw.executors.local import LocalExecutor
from kvw.fitness.utterances import DictCache
from tests.conftest import SHORT
from tests.stress import determinism
from tests.support import nodes
from tests.support.children import members, start
from tests.support.records import differences

pytestmark = pytest.mark.extras

FAULTS = [*["actor"] * 5, "machine", *["actor"] * 5, "driver", *["actor"] * 5, "machine", *["actor"] * 5]
STEPS = 160
SMALL = ("synth=embedded", "population_limit=3", "fitness=averaged", "strategy=genetic", "strategy.size=8")


@pytest.fixture(scope="module")
def cluster():
    with nodes.cluster(machines=2) as found:
        yield found


@pytest.fixture
def ray_executor(cluster):
    """Makes executors on the cluster, of the default fitness with short texts."""
    from kvw.executors.ray_executor import RayExecutor

    made = []

    def make(**given):
        made.append(RayExecutor(**{"fitness": determinism.fitness, "address": cluster.address, "wait": 30.0, **given}))
        return made[-1]

    yield make
    for executor in made:
        executor.close()


def command(folder, *arguments):
    """Starts a search."""
    texts = [f"{key}={text}" for key, text in SHORT.items()]
    held_out = folder / "held out.txt"
    held_out.write_text("Nobody was there.\n")
    return subprocess.Popen(
        [sys.executable, "-m", "kvw", *texts, "heldout_texts=held out.txt", *arguments],
        cwd=folder,
        stdout=(folder / "out.txt").open("a"),
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def candidates(folder):
    """How many are recorded: those of generations that have ended."""
    for path in folder.glob("outputs/*/*/run.db"):
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as db:
            return db.execute("SELECT count(*) FROM candidates").fetchone()[0]
    return 0


def advanced(driver, folder, count):
    """Whether a search that goes on has recorded more candidates than that."""
    assert driver.poll() is None, (folder / "out.txt").read_text()
    return candidates(folder) > count


def test_twenty_dead_actors_two_dead_machines_and_a_dead_driver_cost_time_and_nothing_else(cluster, tmp_path):
    undisturbed, disturbed = tmp_path / "undisturbed", tmp_path / "disturbed"
    for folder in (undisturbed, disturbed):
        folder.mkdir()
    began = time.monotonic()
    assert command(undisturbed, *SMALL, f"step_limit={STEPS}", "executor.scorers=0").wait() == 0
    alone = time.monotonic() - began

    began = time.monotonic()
    given = ("executor=ray", f"executor.address={cluster.address}", "executor.fallback=null")
    driver = command(disturbed, *SMALL, f"step_limit={STEPS}", *given)
    for number, fault in enumerate(FAULTS):
        if number % 2 == 0:  # a candidate that three actors die of is to blame, and these have done nothing
            nodes.until(partial(advanced, driver, disturbed, candidates(disturbed)), 200)
        if fault == "actor":
            nodes.until(cluster.kill_actor, 200)
        elif fault == "machine":
            cluster.kill_machine()
            cluster.add()
        else:
            driver.kill()
            driver.wait()
            driver = command(disturbed, "resume=last", *given[1:])
    code = driver.wait()
    logging.getLogger("kvw").info("local %.0f s, with faults %.0f s", alone, time.monotonic() - began)
    said = (disturbed / "out.txt").read_text()
    assert code == 0, said
    assert said.count("is evaluated again") >= 18, "a driver that is killed tells no more"
    one, other = (next(folder.glob("outputs/*/*")) for folder in (undisturbed, disturbed))
    assert not differences(one, other)
    assert b"crashed" not in (other / "run.db").read_bytes()


def test_evaluations_are_those_of_the_local_executor_while_actors_die_and_join(cluster, ray_executor):
    voices = determinism.candidates(24)
    voices[3] = voices[3].copy()
    voices[3][400] = np.nan  # in a row that nobody hears
    gates = [Gate(20.0, {"target": 0.5 + 0.01 * number}) for number in range(24)]
    local = LocalExecutor(fitness=determinism.fitness, scorers=0)
    known = DictCache()
    expected = local(voices, OPEN, known)
    gated = local(voices, gates, known)
    local.close()

    executor = ray_executor()
    assert executor(voices, gates) == gated
    cache = DictCache(determinism.half(known, 3))
    assert list(map(repr, executor(voices, OPEN, cache))) == list(map(repr, expected))
    assert {key: repr(one) for key, one in cache.items()} == {key: repr(one) for key, one in known.items()}
    seen, limit = [], time.monotonic() + 60

    def go_on():
        while executor.batch < 3 and time.monotonic() < limit:
            seen.append(executor(voices, gates))

    going_on = threading.Thread(target=go_on)
    going_on.start()
    nodes.until(cluster.kill_actor)
    cluster.add()
    going_on.join()
    assert all(one == gated for one in seen)
    assert executor.batch == 3, "the machine that came has an actor now"
    cluster.kill_machine()
    assert executor(voices, gates) == gated


def test_whole_voices_travel_where_the_fitness_looks_at_them(ray_executor, bank, embedded, encoder, demo):
    executor = ray_executor(fitness=near_bank, actors=1)
    voices = determinism.candidates(4)
    local = LocalExecutor(fitness=near_bank, scorers=0)
    seen = executor(voices, OPEN)
    assert list(map(repr, seen)) == list(map(repr, local(voices, OPEN)))
    assert len({one.parts["prior"] for one in seen if "prior" in one.parts}) > 1


def test_gradients_are_those_of_the_local_executor_and_are_handed_to_the_cache(ray_executor, bank):
    executor, local = ray_executor(actors=1), LocalExecutor(fitness=determinism.fitness, scorers=0)
    voices, cache = list(bank.values())[:3], DictCache()
    gates = [Gate(pullback=Pullback(0, seed, (1 / 16,) * 256)) for seed in (3, 4)] + [OPEN]
    seen, expected = executor(voices, gates, cache), local(voices, gates)
    assert seen == expected
    for one, other in zip(seen[:2], expected[:2], strict=True):
        assert np.array_equal(one.gradient, other.gradient)
    assert sum(one.gradient is not None for one in cache.values()) == 2
    assert executor(voices, gates, cache) == expected


def near_bank():
    """A fitness with a prior."""
    from kvw.audio.recordings import read_recording
    from kvw.config.paths import DEMO
    from kvw.fitness.bank_distance import BankDistance
    from kvw.fitness.speaker import SpeakerEncoder
    from kvw.speech.embedded.stock_voices import stock_voices
    from kvw.speech.embedded.synthesizer import EmbeddedSynthesizer
    from tests.conftest import WEIGHTS, default_fitness

    stock = list(stock_voices().values())
    return default_fitness(
        synthesizer=EmbeddedSynthesizer(),
        encoder=SpeakerEncoder("cpu"),
        target=[read_recording(DEMO)],
        weights={"prior": 0.1, **WEIGHTS},
        prior=BankDistance(stock),
        prior_limit=0.5,
        **SHORT,
    )


def nothing():
    """A fitness that is made at once."""
    from types import SimpleNamespace

    synthesizer = SimpleNamespace(identity="none", batch=1)
    listener = SimpleNamespace(synthesizer=synthesizer, identity_on_device="none cpu", encoder=None)
    return SimpleNamespace(listener=listener, scripts=())


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"gpus": 1}, [r"executor\.gpus", "0 GPUs", "got 1"]),
        ({"gpus": 0.5}, [r"executor\.gpus", "got 0.5"]),
        ({"actors": 99}, [r"executor\.actors", "room for", "got 99", r"executor\.actors=null"]),
        ({"threads": 2}, [r"executor\.threads", "got 2"]),
    ],
)
def test_asking_for_more_than_there_is_is_one_line(ray_executor, given, words):
    refused(ray_executor, nothing, words, **given)


def test_a_machine_with_other_versions_or_weights_is_one_line(ray_executor, monkeypatch):
    from kvw.executors import ray_executor as module
    from kvw.runtime.environment import comparable

    versions = comparable()
    monkeypatch.setattr(module, "comparable", lambda: versions | {"numpy": "0.1", "python": "3.9"})
    refused(ray_executor, nothing, [f"numpy {versions['numpy']}, the driver 0.1", "python 3", "on node", "install"])


def refused(make, fitness, words, **given):
    """Checks that it is one line with words in it."""
    with pytest.raises((KvwError, ValueError)) as caught:
        make(fitness=fitness, **given)
    said = str(caught.value)
    assert "\n" not in said
    for word in words:
        assert re.search(word, said), said


def test_a_cluster_that_is_not_there_is_one_line(ray_executor):
    with socket.create_server((nodes.LOOPBACK, 0)) as deaf:
        port = deaf.getsockname()[1]
        refused(ray_executor, nothing, ["join", "longer than|reach|connect"], address=f"{nodes.LOOPBACK}:{port}")
    refused(ray_executor, nothing, ["does not answer", "ray start --head"], address=f"{nodes.LOOPBACK}:{port}")
    for address in ("ray://a:1", "nowhere", "a:b", ":1", "a:0"):
        refused(ray_executor, nothing, ["HOST:PORT"], address=address)


@pytest.mark.parametrize(
    ("setting", "value", "expected"),
    [
        ("actors", 0, "1 or more, or null; got 0"),
        ("gpus", 1.5, "a whole number, or null; got 1.5"),
        ("gpus", -1, "got -1"),
        ("threads", 0, "1 or more; got 0"),
        ("scorers", -1, "0 or more, or null; got -1"),
        ("wait", -1, "0 or more; got -1"),
        ("deadline", 0, "above 0; got 0"),
        ("fallback", "gpu", "local or null; got gpu"),
    ],
)
def test_a_setting_out_of_its_range_is_named(ray_executor, setting, value, expected):
    kind = KvwError if setting == "threads" else ValueError
    with pytest.raises(kind, match=rf"^executor\.{setting}: expected .*{expected}$"):
        ray_executor(fitness=nothing, **{setting: value})


def test_without_a_cluster_this_machine_is_one_and_ctrl_c_ends_all_of_it(tmp_path):
    process = start(tmp_path, "executor=ray", "executor.actors=1")
    group = process.pid
    assert len(nodes.processes("ray::RayWorker")) >= 1
    os.killpg(group, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, "")
    assert "go on with: python -m kvw resume=" in out
    nodes.until(lambda: not members(group))


def test_processes_beside_an_actor_change_nothing_that_it_finds(cluster, ray_executor):
    with pytest.raises(KvwError, match=r"executor\.scorers: .* of 0 GPUs and 2 CPUs each"):
        ray_executor(actors=1, scorers=1)  # the cluster's machines have one CPU
    cluster.add(cpus=2)
    executor, local = ray_executor(actors=1, scorers=1), LocalExecutor(fitness=determinism.fitness, scorers=0)
    voices = determinism.candidates(6)
    assert list(map(repr, executor(voices, OPEN))) == list(map(repr, local(voices, OPEN)))
