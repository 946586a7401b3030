"""``executor=ray``: evaluates on the machines of a Ray cluster.

Ray is the engine, :mod:`kvw.executors.scheduler` decides. Ray starts processes (actors), carries what they are given
and what they answer, and tells who is gone. It restarts nothing and repeats nothing: the scheduler in the driver does
that, and the driver alone writes.
"""

from __future__ import annotations

import contextlib
import copy
import logging
import math
import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from kvw.errors import KvwError
from kvw.evaluation import Evaluation, Gate, UtteranceCache, gates_for
from kvw.executors.base import evaluated, known_utterances
from kvw.executors.ray_cluster import LONGEST_JOIN, Need, join, needed, room
from kvw.executors.ray_worker import RayWorker
from kvw.executors.rounds import LostError
from kvw.executors.scheduler import Scheduler
from kvw.fitness.hybrid import HybridFitness
from kvw.runtime.environment import comparable, differences, fingerprint
from kvw.runtime.workers import limit_threads
from kvw.types import MAX_PHONEMES, Voice

import ray  # isort: skip # behind kvw.executors.ray_cluster, which says in one line that it is missing
from ray import exceptions  # isort: skip

log = logging.getLogger(__name__)

ADVICE = "look at the cluster (ray status), or give executor.fallback=local or executor=local"
"""What the user can do where no worker can start or live."""


class Actors:
    """Ray actors as the scheduler's workers.

    Args:
        need: of each.
        count: of them; None is as many as there is room for.
        given: arguments of :meth:`kvw.executors.ray_worker.RayWorker.prepare`; what is large in them is in Ray's store.
        encode: the arguments of :meth:`kvw.executors.ray_worker.RayWorker.evaluate` for jobs.
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
        self._make = ray.remote(RayWorker).options(
            num_cpus=need.cpus, num_gpus=need.gpus, max_restarts=0, max_task_retries=0, scheduling_strategy="SPREAD"
        )
        self._versions = comparable()
        self._said: set[str] = set()

    def wanted(self) -> int:
        """As :class:`kvw.executors.rounds.Workers`."""
        return room(self._need) if self._count is None else self._count

    def place(self) -> tuple[Any, Any]:
        """As :class:`kvw.executors.rounds.Workers`."""
        actor = self._make.remote()
        return actor, actor.place.remote(self._versions)

    def prepare(self, handle: Any) -> Any:
        """As :class:`kvw.executors.rounds.Workers`."""
        return handle.prepare.remote(*self._given)

    def submit(self, handle: Any, jobs: Sequence[Any]) -> Any:
        """As :class:`kvw.executors.rounds.Workers`."""
        return handle.evaluate.remote(*self._encode(jobs))

    def wait(self, tickets: Sequence[Any], seconds: float) -> Sequence[Any]:
        """As :class:`kvw.executors.rounds.Workers`."""
        if not tickets:
            time.sleep(seconds)
            return []
        some, _ = ray.wait(list(tickets), num_returns=1, timeout=seconds)
        return ray.wait(list(tickets), num_returns=len(tickets), timeout=0)[0] if some else []

    def take(self, ticket: Any) -> Any:
        """As :class:`kvw.executors.rounds.Workers`."""
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
        """As :class:`kvw.executors.rounds.Workers`."""
        with contextlib.suppress(exceptions.RayError, ValueError):
            ray.kill(handle)


class RayExecutor:
    """Evaluates in actors of a Ray cluster, each with models of its own.

    On CPUs it finds what the local executor finds, bit for bit, however many machines there are and whatever becomes of
    them. Only the rows that are heard travel, 1 KB each, unless the fitness looks at whole voices.

    Args:
        fitness: makes the fitness; picklable. Where it has a method ``for_device(device)``, that gives what makes it on
            the device of the actors.
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
        self._own = fitness()  # here first: a setting that is wrong is an error, not a dead worker
        self._joined = join(address or os.environ.get("RAY_ADDRESS") or None, runtime_env)
        try:
            need = needed(gpus, threads, scorers, actors)
            device = "cuda" if need.gpus else "cpu"
            if hasattr(fitness, "for_device"):
                fitness = fitness.for_device(device)
            # makes the keys of utterances, which name the actors' device
            self._listener = copy.copy(self._own.listener)
            self._listener.identity_on_device = f"{self._own.listener.synthesizer.identity} {device}"
            whole = type(self._own) is not HybridFitness or "prior" in self._own.weights
            spoken = () if whole else (*self._own.scripts, *self._own.short_scripts)
            heard = {segment.row for script in spoken for segment in script.segments}
            self._rows = sorted(heard) or list(range(MAX_PHONEMES))
            beside = need.cpus // threads - 1
            given = (ray.put(fitness), threads, beside, self._listener.identity_on_device, self._rows)
            alike = device == "cpu" and self._listener.identity_on_device == self._own.listener.identity_on_device
            self._actors = Actors(need, actors, given, self._encode, fingerprint(device, 1, ()) if alike else {})
            here = self._here if fallback else None
            self._scheduler = Scheduler(self._actors, deadline=deadline, wait=wait, advice=ADVICE, local=here)
            self._scheduler.begin()
        except BaseException:
            self.close()
            raise

    @property
    def batch(self) -> int:
        """As :class:`kvw.evaluation.Executor`: of the actors that are ready now."""
        return self._actors.batch * max(1, len(self._scheduler.ready))

    @property
    def fingerprint(self) -> dict[str, str]:
        """What the last bits of the actors' results depend on; see :mod:`kvw.runtime.environment`."""
        return self._actors.fingerprint

    def __call__(
        self, voices: Sequence[Voice], gate: Gate | Sequence[Gate], cache: UtteranceCache | None = None
    ) -> list[Evaluation]:
        """Evaluates voices in the actors: each actor takes the next batch when it is free.

        Raises:
            KvwError: as :class:`kvw.executors.scheduler.Scheduler`.
        """
        jobs = [(voice, own, cache) for voice, own in zip(voices, gates_for(gate, len(voices)), strict=True)]
        return self._scheduler(jobs, cache.put if cache is not None else None)

    def _encode(self, jobs: Sequence[tuple[Voice, Gate, UtteranceCache | None]]) -> tuple[Any, ...]:
        """The arguments of :meth:`kvw.executors.ray_worker.RayWorker.evaluate`."""
        voices = [voice for voice, _, _ in jobs]
        heard = np.stack([voice[self._rows, 0] for voice in voices])
        for rows, voice in zip(heard, voices, strict=True):
            if not np.isfinite(voice).all():  # the voice has to fail even where its bad numbers are in rows unheard
                rows[:] = np.nan
        gates = [gate for _, gate, _ in jobs]
        return heard, gates, known_utterances(jobs[0][2], self._listener, self._own, voices, gates)

    def _here(self, job: tuple[Voice, Gate, UtteranceCache | None]) -> Evaluation:
        """Evaluates one candidate in this process."""
        voice, gate, cache = job
        (evaluation,) = evaluated(self._own, [voice], gate, cache)
        return evaluation

    def close(self) -> None:
        """Ends the actors, also those at work, and the Ray that was started for them."""
        if hasattr(self, "_scheduler"):
            self._scheduler.close()
        if self._joined:
            ray.shutdown()
