"""TensorBoard's event files, read back. They need an optional package: make test-all installs it and runs these."""

from __future__ import annotations

import io
import sys

import pytest
import soundfile

from kvw.cli.main import invoke
from kvw.runs.reader import Run
from kvw.types import SAMPLE_RATE

pytestmark = pytest.mark.extras
SMALL = ("synth=embedded", "population_limit=3", "strategy=genetic", "strategy.size=6")


def events(run):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(run / "tensorboard"), {"scalars": 0, "audio": 0, "tensors": 0})
    found.Reload()
    return found


def scalars(found, name):
    return [(one.step, one.value) for one in found.Scalars(name)]


def check(run):
    """The log has what the record has, each once."""
    found, record = events(run), Run(run)
    samples = list(record.candidates())
    complete = [(one.step, pytest.approx(one.evaluation.score)) for one in samples if one.evaluation.complete]
    assert scalars(found, "score") == complete
    similarities = [(one.step, pytest.approx(one.evaluation.parts["target"], abs=1e-6)) for one in samples]
    assert scalars(found, "parts/target") == similarities
    generations = [one.step for one, then in zip(samples, [*samples[1:], None], strict=True)
                   if then is None or then.generation > one.generation]  # fmt: skip
    assert [step for step, _ in scalars(found, "stopped")] == generations
    assert scalars(found, "stopped")[-1][1] == pytest.approx(
        sum(one.evaluation.status == "stopped" for one in samples) / len(samples)
    )
    best = [value for _, value in scalars(found, "best/score")]
    assert best == sorted(best) and best[-1] == pytest.approx(record.best[1].score)
    (held,) = (value for _, value in scalars(found, "heldout/best"))
    assert held == pytest.approx(record.result["heldout"])
    return found


@pytest.fixture
def tracked(kvw):
    code, (run,) = kvw(*SMALL, "step_limit=12", "tracking=tensorboard")
    assert code == 0
    return run


def test_a_run_is_tracked_and_goes_on_in_the_same_log_without_doubles(tracked):
    before = check(tracked)
    heard = before.Audio("best")
    assert heard
    wave, rate = soundfile.read(io.BytesIO(heard[-1].encoded_audio_string))
    assert rate == SAMPLE_RATE and abs(wave).max() > 0.05
    assert "_hparams_/session_start_info" in before.summary_metadata
    assert invoke([f"resume={tracked}", "step_limit=24"]) == 0
    after = check(tracked)
    assert len(after.Scalars("parts/target")) > len(before.Scalars("parts/target"))
    assert len({one.step for one in after.Audio("best")}) == len(after.Audio("best")) >= len(heard)


def test_a_run_that_was_not_tracked_can_be_from_where_it_goes_on_and_has_all_of_its_past(kvw):
    _, (run,) = kvw(*SMALL, "step_limit=6")
    assert not (run / "tensorboard").exists()
    assert invoke([f"resume={run}", "step_limit=18", "tracking=tensorboard"]) == 0
    check(run)


def test_without_the_package_nothing_begins_and_it_is_named(kvw, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    monkeypatch.delitem(sys.modules, "kvw.observers.tensorboard", raising=False)
    assert kvw(*SMALL, "step_limit=6", "tracking=tensorboard") == (2, [])
    assert "pip install 'kvw[tensorboard]'" in capsys.readouterr().err
