"""Runs scenarios of :mod:`tests.stress` with the load that a test gives."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

from tests.conftest import ROOT

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def scenarios(module: str, **given: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of a module's scenarios, run by a process without torch; all of their cases have passed."""
    done = subprocess.run(
        [sys.executable, "-m", f"tests.stress.{module}", *(f"{name}={json.dumps(m)}" for name, m in given.items())],
        cwd=ROOT,
        env={**os.environ, **ONE_THREAD},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    failed = [f"{row['name']}: {row['passed']} of {row['cases']} passed: {row['failures']}" for row in rows]
    assert all(row["passed"] == row["cases"] > 0 for row in rows), "\n".join(failed)
    return rows


def cases(rows: list[dict[str, Any]]) -> int:
    """How many cases the rows stand for."""
    return sum(row["cases"] for row in rows)
