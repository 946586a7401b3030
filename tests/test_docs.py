"""``make docs`` finds what is wrong in the manual, and makes its tables of the code."""

from __future__ import annotations

import subprocess
import sys

import pytest

from kvw.runs.schema import TABLES, columns_of
from tests.conftest import ROOT

pytestmark = pytest.mark.extras  # Sphinx

PAGE = """# A page

{class}`kvw.errors.KvwError`, {mod}`kvw.search.loop`, {func}`kvw.api.evolve`, {class}`numpy.ndarray`

% kvw: keys

% kvw: tables
"""
BROKEN = "{class}`kvw.errors.KvwEror` {mod}`kvw.serch.loop` [elsewhere](elsewhere.md)\n"


def build(folder, page):
    """Builds a manual of one page with the settings of kvw's own."""
    source, out = folder / "source", folder / "out"
    source.mkdir()
    (source / "index.md").write_text(page, "utf-8")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-n", "-q", "-c", ROOT / "docs", source, out]
    return subprocess.run(command, capture_output=True, text=True), out / "index.html"


def test_a_page_has_what_is_in_the_code(tmp_path):
    done, made = build(tmp_path, PAGE)
    assert done.returncode == 0, done.stderr
    page = made.read_text("utf-8")
    for named in ("atlas.samples=2000", "population_limit=10", *TABLES, *columns_of("candidates")):
        assert named in page


def test_a_reference_to_nothing_ends_the_build(tmp_path):
    done, _ = build(tmp_path, PAGE + BROKEN)
    assert done.returncode != 0
    for wrong in ("kvw.errors.KvwEror", "kvw.serch.loop", "elsewhere.md"):
        assert wrong in done.stderr
    assert "KvwError`" not in done.stderr and "kvw.search.loop" not in done.stderr
