"""``executor=ray``: evaluates on the machines of a Ray cluster. Ray is the engine, :mod:`kvw.ledger` decides.

Ray starts processes (actors), carries what they are given and what they answer, and tells who is gone. It restarts
nothing and repeats nothing: the ledger in the driver does that, and the driver alone writes.
"""

from __future__ import annotations

import contextlib
import copy
import logging
import math
import os
import re
import secrets
import signal
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from kvw.actor import Actor
from kvw.candidate import Evaluation
from kvw.executor import remembered
from kvw.fingerprint import differences, fingerprint
from kvw.fitness import HybridFitness
from kvw.gate import Gate, each
from kvw.ledger import Ledger, LostError
from kvw.settings import FitnessSettings
from kvw.types import MAX_PHONEMES, KvwError, Voice
from kvw.utterance import Memory, Utterance
from kvw.versions import comparable
from kvw.worker import limit_threads

try:
    import ray
    from ray import exceptions
except ImportError as error:
    raise ImportError("Ray is not installed; pip install 'kvw[ray]', on every machine") from error

log = logging.getLogger(__name__)

LONGEST_KNOCK = 5.0
"""Seconds in which a cluster has to answer the telephone."""

LONGEST_JOIN = 12.0
"""Seconds in which a cluster has to take the driver in."""

STORE = 100_000_000
"""Bytes of a local Ray's object store, which holds the fitness settings alone."""


@dataclass(frozen=True)
class Need:
    """What an actor takes of its node: CPUs, and GPUs, which may be a fraction of one."""

    cpus: int
    gpus: float

    def fits(self, resources: Mapping[str, float]) -> int:
        """How many actors a node with these resources has room for when it does nothing else."""
        found = int(resources.get("CPU", 0) // self.cpus)
        if not self.gpus:
            return found
        gpus = int(resources.get("GPU", 0))
        return min(found, gpus * int(1 / self.gpus + 1e-9) if self.gpus < 1 else gpus // int(self.gpus))


class Actors:
    """Workers of a ledger, as Ray's actors.

    Args:
        need: of each.
        count: of them; None is as many as there is room for.
        given: arguments of :meth:`Actor.prepare`; what is large in them is in Ray's store.
        encode: the arguments of :meth:`Actor.evaluate` for jobs.
        own: the driver's fingerprint where that is to be theirs; empty for that of the first one.

    Attributes:
        batch: voices that one evaluates at once.
        fingerprint: that those of all are compared with.
    """

    def __init__(
        self,
        need: Need,
        count: int | None,
        given: Sequence[Any],
        encode: Callable[[Sequence[Any]], tuple[Any, ...]],
        own: dict[str, str],
    ) -> None:
        self.batch = 1
        self.fingerprint = own
        self._need, self._count, self._given, self._encode = need, count, given, encode
        self._make = ray.remote(Actor).options(
            num_cpus=need.cpus, num_gpus=need.gpus, max_restarts=0, max_task_retries=0, scheduling_strategy="SPREAD"
        )
        self._versions = comparable()
        self._said: set[str] = set()

    def wanted(self) -> int:
        """As :class:`kvw.ledger.Workers`."""
        return room(self._need) if self._count is None else self._count

    def place(self) -> tuple[Any, Any]:
        """As :class:`kvw.ledger.Workers`."""
        actor = self._make.remote()
        return actor, actor.place.remote(self._versions)

    def prepare(self, handle: Any) -> Any:
        """As :class:`kvw.ledger.Workers`."""
        return handle.prepare.remote(*self._given)

    def submit(self, handle: Any, jobs: Sequence[Any]) -> Any:
        """As :class:`kvw.ledger.Workers`."""
        return handle.evaluate.remote(*self._encode(jobs))

    def wait(self, tickets: Sequence[Any], seconds: float) -> Sequence[Any]:
        """As :class:`kvw.ledger.Workers`."""
        if not tickets:
            time.sleep(seconds)
            return []
        some, _ = ray.wait(list(tickets), num_returns=1, timeout=seconds)
        return ray.wait(list(tickets), num_returns=len(tickets), timeout=0)[0] if some else []

    def take(self, ticket: Any) -> Any:
        """As :class:`kvw.ledger.Workers`."""
        try:
            answer = ray.get(ticket, timeout=LONGEST_JOIN)
        except exceptions.RayTaskError as error:
            if "failed to import" in str(error.cause):
                last = str(error.cause).strip().splitlines()[-1]
                raise KvwError(
                    f"executor: expected kvw on every machine; one can't import it ({last:.200}); install it there, or "
                    "give executor.runtime_env"
                ) from error
            raise error.cause if isinstance(error.cause, Exception) else error from None
        except (exceptions.RuntimeEnvSetupError, exceptions.ActorUnschedulableError) as error:
            why = f"Ray says: {' '.join(str(error).split()):.300}"
            raise KvwError(f"executor: expected workers to start; {why}; see executor.runtime_env") from error
        except exceptions.RayError as error:
            gone = not isinstance(error, (exceptions.ActorDiedError, exceptions.OutOfMemoryError))
            if gone or "node has died" in str(error):  # what is cut off may be at work still: it did not end by itself
                raise LostError("is gone with its machine", with_node=True) from error
            where = re.search(r"\bip: (\S+)", str(error))
            why = "ran out of memory" if isinstance(error, exceptions.OutOfMemoryError) else "died"
            raise LostError(f"on {where[1]} {why}" if where else why) from error
        if isinstance(answer, dict):
            self._compare(answer)
        return answer

    def _compare(self, found: dict[str, str]) -> None:
        """Says what differs between machines: the last bits of what they find may, too."""
        self.fingerprint = self.fingerprint or found
        self.batch = int(self.fingerprint.get("batch", 1))
        others = "; ".join(differences(self.fingerprint, found, "here or on the first", "on another"))
        if others and others not in self._said:
            self._said.add(others)
            log.warning("Machines differ, so that the last bits of results may depend on who evaluates: %s", others)

    def end(self, handle: Any) -> None:
        """As :class:`kvw.ledger.Workers`."""
        with contextlib.suppress(exceptions.RayError, ValueError):
            ray.kill(handle)


def nodes() -> list[dict[str, float]]:
    """The resources of every machine of the cluster."""
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def room(need: Need) -> int:
    """How many actors the cluster has room for when it does nothing else."""
    return sum(need.fits(node) for node in nodes())


class RayExecutor:
    """Evaluates in actors of a Ray cluster, each with models of its own. See :class:`kvw.ledger.Ledger`.

    On CPUs it finds what the local executor finds, bit for bit, however many machines there are and whatever becomes of
    them. Only the rows that are heard travel, 1 KB each, unless the fitness looks at whole voices.

    Args:
        fitness: makes the fitness; picklable.
        address: of the cluster, ``host:port`` or ``auto`` (the one that this machine is in); None is ``RAY_ADDRESS``,
            or, without that, a Ray of this machine's own, which ends with the search.
        actors: 1 or more; None is as many as there is room for, looked at all the time.
        gpus: of an actor, a fraction or a whole number; None is 1 where the cluster has GPUs, else 0.
        threads: CPU threads of an actor, and of each of its scorers, 1 or more; a CPU of its machine for each.
        scorers: processes beside an actor that measure what it has spoken, 0 or more; None is 0 on CPUs, and beside
            GPUs what their machines have CPUs for, up to 8.
        wait: seconds, 0 or more, to wait for another worker when the last one is lost.
        fallback: ``local`` evaluates in the driver then; None ends the search, which can go on.
        deadline: seconds, above 0, in which an actor has to answer for a batch; beyond, it counts as dead.
        runtime_env: Ray's, for actors on machines that lack something.

    Raises:
        ValueError: a setting is out of its range.
        KvwError: the cluster is not there, differs from the driver, or has no room for such an actor.
    """

    def __init__(
        self,
        *,
        fitness: Callable[[], HybridFitness],
        address: str | None = None,
        actors: int | None = None,
        gpus: float | None = None,
        threads: int = 1,
        scorers: int | None = None,
        wait: float = 60.0,
        fallback: str | None = "local",
        deadline: float = 300.0,
        runtime_env: Mapping[str, Any] | None = None,
    ) -> None:
        if actors is not None and actors < 1:
            raise ValueError(f"executor.actors: expected 1 or more, or null; got {actors}")
        if gpus is not None and not (0 <= gpus < 1 or (gpus >= 1 and float(gpus).is_integer())):
            raise ValueError(f"executor.gpus: expected 0, a fraction, a whole number, or null; got {gpus}")
        if scorers is not None and scorers < 0:
            raise ValueError(f"executor.scorers: expected 0 or more, or null; got {scorers}")
        if not 0 <= wait < math.inf:
            raise ValueError(f"executor.wait: expected seconds, 0 or more; got {wait}")
        if fallback not in ("local", None):
            raise ValueError(f"executor.fallback: expected local or null; got {fallback}")
        if not 0 < deadline < math.inf:
            raise ValueError(f"executor.deadline: expected seconds above 0; got {deadline}")
        limit_threads(threads)
        self.memory: Memory | None = None
        self._own = fitness()  # here first: a setting that is wrong is an error, not a dead worker
        self._joined = join(address or os.environ.get("RAY_ADDRESS") or None, runtime_env)
        try:
            need = needed(gpus, threads, scorers, actors)
            device = "cuda" if need.gpus else "cpu"
            if isinstance(fitness, FitnessSettings):
                fitness = replace(fitness, device=device)
            self._ear = copy.copy(self._own.ear)  # the actors': what they have heard is looked up by their device
            self._ear.speaker = f"{self._ear.synthesizer.identity} {device}"
            whole = type(self._own) is not HybridFitness or "prior" in self._own.weights
            heard = {segment.row for script in self._own.scripts for segment in script.segments}
            self._rows = list(range(MAX_PHONEMES)) if whole else sorted(heard)
            beside = need.cpus // threads - 1
            given = (ray.put(fitness), threads, beside, self._ear.speaker, self._rows)
            alike = device == "cpu" and self._ear.speaker == self._own.ear.speaker
            self._actors = Actors(need, actors, given, self._encode, fingerprint(device, 1, ()) if alike else {})
            here = self._here if fallback else None
            self._ledger = Ledger(self._actors, deadline=deadline, wait=wait, local=here)
            self._ledger.begin()
        except BaseException:
            self.close()
            raise

    @property
    def batch(self) -> int:
        """As :class:`kvw.executor.Executor`: of the actors that are there now."""
        return self._actors.batch * max(1, len(self._ledger.ready))

    @property
    def fingerprint(self) -> dict[str, str]:
        """What the last bits of the actors' results depend on; see :mod:`kvw.fingerprint`."""
        return self._actors.fingerprint

    def __call__(self, voices: Sequence[Voice], gate: Gate | Sequence[Gate]) -> list[Evaluation]:
        """Evaluates them in the actors, whoever is free taking the next.

        Raises:
            KvwError: as :class:`kvw.ledger.Ledger`.
        """
        jobs = list(zip(voices, each(gate, len(voices)), strict=True))
        return self._ledger(jobs, self.memory.keep if self.memory is not None else None)

    def _encode(self, jobs: Sequence[tuple[Voice, Gate]]) -> tuple[Any, ...]:
        """What travels: rows, gates and what is remembered."""
        heard = np.stack([voice[self._rows, 0] for voice, _ in jobs])
        for rows, (voice, _) in zip(heard, jobs, strict=True):
            if not np.isfinite(voice).all():  # it fails for what it is, wherever that is
                rows[:] = np.nan
        known: dict[str, Utterance] = {}
        if self.memory is not None:
            for voice, _ in jobs:
                known |= remembered(self.memory, self._ear, self._own.scripts, voice)
        return heard, [gate for _, gate in jobs], known

    def _here(self, job: tuple[Voice, Gate]) -> Evaluation:
        """Evaluates one in this process."""
        voice, gate = job
        self._own.ear.memory = self.memory
        (evaluation,) = self._own([voice], gate)
        return evaluation

    def close(self) -> None:
        """Ends the actors, also those at work, and the Ray that was started for them."""
        if hasattr(self, "_ledger"):
            self._ledger.close()
        if self._joined:
            ray.shutdown()


def needed(gpus: float | None, threads: int, scorers: int | None, actors: int | None) -> Need:
    """What an actor takes, in this cluster.

    Raises:
        KvwError: the cluster has no room for so many, or for any.
    """
    there = nodes()
    cpus, cards = (int(sum(node.get(name, 0) for node in there)) for name in ("CPU", "GPU"))
    gpus = float(min(cards, 1)) if gpus is None else gpus
    if scorers is None:
        shares = [node.get("CPU", 0) * gpus / node["GPU"] for node in there if gpus and node.get("GPU")]
        scorers = max(0, min(8, int(min(shares, default=0)) // threads - 1))
    need = Need(threads * (1 + scorers), gpus)
    most = sum(need.fits(node) for node in there)
    if most < (actors or 1):
        setting, got = ("actors", actors) if most else ("gpus", f"{gpus:g}") if gpus > cards else ("threads", threads)
        raise KvwError(
            f"executor.{setting}: expected what this cluster has room for: {most} actors of {need.gpus:g} GPUs and "
            f"{need.cpus} CPUs each, with {cards} GPUs and {cpus} CPUs on {len(there)} machines; got {got}; ask for "
            "less, or start more machines first (executor.actors=null takes those that come later)"
        )
    return need


def join(address: str | None, runtime_env: Mapping[str, Any] | None) -> bool:
    """Joins a cluster, or starts a Ray of this machine's own where ``address`` is None.

    Returns:
        whether it did: False in a process that is in one already.

    Raises:
        ValueError: the address is none.
        KvwError: it can't, for whatever reason; within 20 s.
    """
    if ray.is_initialized():
        return False
    given: dict[str, Any] = {"address": address or "local", "runtime_env": dict(runtime_env or {}) or None}
    if address is None:
        given |= {"num_cpus": usable_cpus(), "include_dashboard": False, "object_store_memory": STORE}
        alone()
    elif address != "auto":
        knock(address)
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    logging.getLogger("ray").setLevel(logging.CRITICAL)
    ray._private.worker.print_to_stdstream = lambda *_, **__: None  # what raylets say: the ledger says it in one line
    begin = partial(ray.init, log_to_driver=False, configure_logging=False, **given)
    this = f"expected to join the Ray cluster {address}" if address else "expected to start Ray on this machine"
    hint = "this machine has to be one of the cluster's, with its versions of Python and Ray (ray start --address=...)"
    try:
        if address:
            within(LONGEST_JOIN, begin)
        else:
            own(begin)
    except Exception as error:
        why = " ".join(str(error).split()) or type(error).__name__
        raise KvwError(f"executor.address: {this}; {why:.300}{f'; {hint}' if address else ''}") from error
    return True


def within(seconds: float, action: Callable[[], object]) -> None:
    """Does something in a thread: Ray's own limits add up to minutes, and in the main one it takes SIGTERM for itself.

    Raises:
        TimeoutError: it takes longer.
        Exception: its own.
    """
    done: Future[None] = Future()

    def act() -> None:
        try:
            action()
        except BaseException as error:
            done.set_exception(error if isinstance(error, Exception) else RuntimeError(str(error)))
        else:
            done.set_result(None)

    threading.Thread(target=act, daemon=True).start()
    try:
        done.result(seconds)
    except FutureTimeoutError:
        raise TimeoutError(f"it takes longer than {seconds:g} s") from None


def own(action: Callable[[], object]) -> None:
    """Does something in this thread, with whose end processes end that Ray starts; SIGTERM stays who it was."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        action()
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)


def knock(address: str) -> None:
    """Checks that something answers there.

    Raises:
        ValueError: the address is none.
        KvwError: nothing does.
    """
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536 or "/" in address:
        raise ValueError(f"executor.address: expected HOST:PORT of a Ray cluster, auto, or null; got {address}")
    try:
        socket.create_connection((host.strip("[]"), int(port)), LONGEST_KNOCK).close()
    except OSError as error:
        raise KvwError(
            f"executor.address: expected a Ray cluster at {address}; it does not answer ({error.strerror or error}); "
            "start its head there with: ray start --head --port=6379, or give another address"
        ) from error


def alone() -> None:
    """Sees to it that a Ray of this machine's own serves this machine alone, and who has its token."""
    ray._private.ray_constants.ENABLE_RAY_CLUSTER = False  # else it listens on every network
    os.environ.setdefault("RAY_worker_niceness", "0")  # else others on the machine are served before its own search
    os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))  # else it writes one into the home folder


def usable_cpus() -> int:
    """CPUs that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
