"""A Ray cluster whose machines are processes of this one."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager

os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}  # they listen on every network
os.environ["RAY_worker_niceness"] = "0"  # the tests' own driver would starve them

from ray import cluster_utils

LOOPBACK = "127.0.0.2"
"""Ray replaces 127.0.0.1 by an address that other machines can reach, and there may be none."""

STORE = 80_000_000
SOON = {"health_check_period_ms": 500, "health_check_failure_threshold": 3, "health_check_initial_delay_ms": 0}
"""A dead machine is noticed in two seconds, and not in Ray's fifteen."""


class Cluster:
    """A head without CPUs, and machines of two.

    Args:
        machines: that it begins with.

    Attributes:
        address: of the head.
        machines: that are alive.
    """

    def __init__(self, machines: int) -> None:
        head = {"num_cpus": 0, "include_dashboard": False, "_system_config": SOON}
        self._cluster = cluster_utils.Cluster(initialize_head=True, head_node_args=head | self._node(0))
        self.address = self._cluster.address
        self.machines = [self.add() for _ in range(machines)]

    def _node(self, cpus: int) -> dict[str, object]:
        return {"num_cpus": cpus, "object_store_memory": STORE, "node_ip_address": LOOPBACK}

    def add(self, cpus: int = 2) -> object:
        """Starts a machine."""
        return self._cluster.add_node(**self._node(cpus))

    def kill(self, machine: object) -> None:
        """Ends one as a power cut does."""
        self._cluster.remove_node(machine, allow_graceful=False)

    def close(self) -> None:
        """Ends all."""
        self._cluster.shutdown()


@contextmanager
def cluster(machines: int = 2) -> Iterator[Cluster]:
    """For as long as it is needed."""
    found = Cluster(machines)
    try:
        yield found
    finally:
        found.close()
