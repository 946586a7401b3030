"""A small finished run, and the page's service over it."""

import pytest

from kvw.cli.main import invoke
from kvw.config.arguments import quoted
from kvw.config.invocation import compose
from kvw.voices.files import save_voice
from kvw.web.files import Files
from kvw.web.queue import Queue
from kvw.web.service import Service
from tests.conftest import SHORT


@pytest.fixture(scope="package")
def outputs(tmp_path_factory, bank):
    """Runs: one, of a few candidates, with a report."""
    here = tmp_path_factory.mktemp("service") / "a b"
    (here / "bank").mkdir(parents=True)
    for name in ("af_amber", "am_boris", "am_felix"):
        save_voice(here / "bank" / f"{name}.pt", bank[name], {"synthesiser": "embedded"})
    (here / "heldout.txt").write_text("Nobody was there.\n")
    settings = {**SHORT, "voice_folder": here / "bank", "heldout_texts": here / "heldout.txt", "synth": "embedded"}
    settings |= {"step_limit": 12, "space": "coherent", "executor.scorers": 0, "judges": "none"}
    arguments = [f"{key}={value}" for key, value in settings.items()]
    assert invoke([*arguments, f"hydra.run.dir={here / 'outputs'}"]) == 0
    return here / "outputs"


@pytest.fixture
def service(outputs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cfg = compose(*quoted([f"voice_folder={outputs.parent / 'bank'}", "synth=embedded"])).cfg
    (tmp_path / "shelf").mkdir()
    (tmp_path / "queue").mkdir()
    return Service(cfg, outputs, Queue(tmp_path / "queue", []), Files(tmp_path / "shelf"))
