"""A Ray cluster whose machines are processes of this one."""

from __future__ import annotations

import os
import secrets
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}  # they listen on every network
os.environ |= {"RAY_worker_niceness": "0"}  # the tests' own driver would starve them
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # else each of dozens of processes compiles what it imports
cluster_utils = pytest.importorskip("ray.cluster_utils")  # it has read them by now

LOOPBACK = "127.0.0.2"
"""Ray replaces 127.0.0.1 by an address that other machines can reach, and there may be none."""

STORE = 80_000_000
SOON = {"health_check_period_ms": 500, "health_check_failure_threshold": 3, "health_check_initial_delay_ms": 0}
"""A dead machine is noticed in two seconds, and not in Ray's fifteen."""


class Cluster:
    """A head without CPUs, and machines of one.

    Args:
        machines: that it begins with.

    Attributes:
        address: of the head.
        machines: that are alive.
    """

    def __init__(self, machines: int) -> None:
        head = {"num_cpus": 0, "include_dashboard": False, "_system_config": SOON}
        self._cluster = cluster_utils.Cluster(initialize_head=True, head_node_args=self._node(0) | head)
        self.address = self._cluster.address
        self.machines: list[Any] = []
        for _ in range(machines):
            self.add()

    def _node(self, cpus: int) -> dict[str, Any]:
        return {"num_cpus": cpus, "object_store_memory": STORE, "node_ip_address": LOOPBACK}

    def add(self, cpus: int = 1) -> None:
        """Starts a machine."""
        self.machines.append(self._cluster.add_node(**self._node(cpus)))

    def kill_machine(self) -> None:
        """Ends the oldest as a power cut does."""
        self._cluster.remove_node(self.machines.pop(0), allow_graceful=False)

    def kill_actor(self) -> bool:
        """Ends an actor that evaluates, if one does."""
        raylets = {one.process.pid for machine in self.machines for one in machine.all_processes["raylet"]}
        for pid in processes("ray::RayWorker.evaluate"):
            if parent(pid) in raylets:
                os.kill(pid, signal.SIGKILL)
                until(lambda gone=pid: not parent(gone))  # else it is found, and killed, again
                return True
        return False

    def close(self) -> None:
        """Ends all."""
        self._cluster.shutdown()


def processes(title: str) -> list[int]:
    """Those whose command line begins so."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found += [int(path.parent.name)] if path.read_text().startswith(title) else []
        except OSError:
            continue
    return found


def parent(pid: int) -> int:
    """Whose child a process is; 0 for one that is gone."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def until(done: Callable[[], object], seconds: float = 60.0) -> None:
    """Waits for something."""
    limit = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < limit, "it does not come"
        time.sleep(0.02)


@contextmanager
def cluster(machines: int = 2) -> Iterator[Cluster]:
    """For as long as it is needed."""
    found = Cluster(machines)
    try:
        yield found
    finally:
        found.close()
