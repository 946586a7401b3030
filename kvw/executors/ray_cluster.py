"""A Ray cluster: joining one or starting one, its machines, and what an actor takes of them."""

from __future__ import annotations

import logging
import os
import secrets
import signal
import socket
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass
from functools import partial
from typing import Any

from kvw.errors import KvwError
from kvw.runtime.environment import usable_cpus

try:
    import ray
except ImportError as error:
    raise ImportError("Ray is not installed; pip install 'kvw[ray]', on every machine") from error

PROBE_TIMEOUT = 5.0
"""Timeout, in seconds, of the TCP probe."""

LONGEST_JOIN = 12.0
"""Timeout, in seconds, of joining a cluster."""

OBJECT_STORE_BYTES = 100_000_000
"""Size of a local Ray's object store, which holds the fitness settings alone."""


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


def nodes() -> list[dict[str, float]]:
    """The resources of every machine of the cluster."""
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def room(need: Need) -> int:
    """How many actors the cluster has room for when it does nothing else."""
    return sum(need.fits(node) for node in nodes())


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
        on_cpus = ("scorers", scorers) if scorers else ("threads", threads)
        setting, got = ("actors", actors) if most else ("gpus", f"{gpus:g}") if gpus > cards else on_cpus
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
        given |= {"num_cpus": usable_cpus(), "include_dashboard": False, "object_store_memory": OBJECT_STORE_BYTES}
        isolate_local_ray()
    elif address != "auto":
        probe(address)
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    logging.getLogger("ray").setLevel(logging.CRITICAL)
    ray._private.worker.print_to_stdstream = lambda *_, **__: None  # raylets' output; the scheduler logs it in one line
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


def probe(address: str) -> None:
    """Checks that something accepts TCP connections at ``address``.

    Raises:
        ValueError: ``address`` is not HOST:PORT.
        KvwError: nothing accepts a connection.
    """
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536 or "/" in address:
        raise ValueError(f"executor.address: expected HOST:PORT of a Ray cluster, auto, or null; got {address}")
    try:
        socket.create_connection((host.strip("[]"), int(port)), PROBE_TIMEOUT).close()
    except OSError as error:
        raise KvwError(
            f"executor.address: expected a Ray cluster at {address}; it does not answer ({error.strerror or error}); "
            "start its head there with: ray start --head --port=6379, or give another address"
        ) from error


def isolate_local_ray() -> None:
    """Restricts a local Ray to this machine, and to processes that hold its token."""
    ray._private.ray_constants.ENABLE_RAY_CLUSTER = False  # else it listens on every network
    os.environ.setdefault("RAY_worker_niceness", "0")  # else others on the machine are served before its own search
    os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))  # else it writes one into the home folder
