"""What is heard on the page at once, in a headless Chromium: a first voice, and the voices that a run kept."""

import shutil

import numpy as np
import pytest

from kvw.config.paths import DEMO
from kvw.evaluation import Evaluation
from kvw.runs import folders
from kvw.runs.result import HeldOutFigures
from kvw.runs.samples import Stock
from kvw.voices.files import load_voice, name_of, save_voice
from kvw.web.curve import Curve
from tests.support.browser import Server, browser, go, opened, until, words

pytestmark = pytest.mark.extras

NAMELESS = """
() => [...document.querySelectorAll('button, input, textarea, select, [role=slider]')]
  .filter(control => control.checkVisibility() && control.type !== 'file')
  .filter(control => !(control.ariaLabel || control.title || control.innerText?.trim()
    || control.getAttribute('aria-labelledby') || [...(control.labels || [])].some(label => label.innerText.trim())))
  .map(control => control.outerHTML.slice(0, 200))
"""
"""The visible controls of a page that have no accessible name."""


@pytest.fixture
def served(tmp_path, outputs, bank):
    """A page over a run that kept a voice beside its result: its folder, and the file of that voice."""
    shutil.copytree(outputs, tmp_path / "outputs")
    (run,) = folders.below(tmp_path / "outputs")
    scores = {"target_similarity": 0.99, "words_similarity": 0.5}
    save_voice(run / "out_3.pt", bank["am_felix"], {"synthesiser": "embedded", "step": 3, "scores": scores})
    shutil.copy(run / "best.wav", run / "out_3.wav")
    with Server(tmp_path, ["synth=embedded", f"voice_folder={outputs.parent / 'bank'}", "judges=none"]) as server:
        yield server, run / "out_3.pt"


def plays(tab, name):
    """Whether a player goes once it is started; a player that is not ready yet ignores that it is."""
    controls = tab.locator(f"#{name}")

    def goes():
        if controls.get_by_label("Pause", exact=True).is_visible():
            return True
        controls.get_by_label("Play", exact=True).click()
        return False

    return until(goes)


def test_a_dropped_clip_has_a_voice_at_once_and_a_run_a_choice_of_voices(served, tmp_path):
    server, kept = served
    faults = []
    with browser() as chromium:
        tab = opened(chromium, server, faults)
        assert not tab.is_visible("#first")
        tab.set_input_files("#clip input[type=file]", DEMO)
        until(lambda: "Held out to judge by" in words(tab, "checked"))
        until(lambda: tab.is_visible("#first") and "0:0" in words(tab, "first"))
        assert plays(tab, "first") and words(tab, "unheard") == ""
        assert tab.evaluate(NAMELESS) == []

        go(tab, "Results")
        until(lambda: tab.is_visible("#pick") and "The run's result" in words(tab, "told"))
        tab.locator("#pick input[type=range]").focus()
        tab.keyboard.press("ArrowRight")
        until(lambda: words(tab, "told") == "Step 3: similarity 0.990, words heard 50%.")
        assert plays(tab, "picked")
        assert tab.evaluate(NAMELESS) == []
        tab.click("#export")
        until(lambda: "safetensors" in words(tab, "files"))
        with tab.expect_download() as download:
            tab.locator("#files a").first.click()
        download.value.save_as(tmp_path / "picked.safetensors")
        np.testing.assert_array_equal(load_voice(tmp_path / "picked.safetensors"), load_voice(kept))
        tab.click("#give")
        until(lambda: "speaks it now, as" in words(tab, "given"))
        name = words(tab, "given").removesuffix(".").split()[-1]
        given = {name_of(path): path for path in (tmp_path / "outputs" / "exported").glob("*.safetensors")}
        np.testing.assert_array_equal(load_voice(given[name]), load_voice(kept))
        go(tab, "Speak")
        tab.click("#change button")
        tab.locator("#change_brightness input[type=range]").focus()
        for _ in range(3):
            tab.keyboard.press("ArrowRight")
        tab.click("#say")
        until(lambda: "(asked +15)" in words(tab, "measured"))
        assert plays(tab, "said") and "brightness +1" in words(tab, "measured")
        tab.click("#keep_change")
        until(lambda: "-changed" in tab.input_value("#voice input"))
        for name in ("Searches", "Speak", "Compare"):
            go(tab, name)
            tab.wait_for_timeout(500)
            assert tab.evaluate(NAMELESS) == []
        tab.close()
    assert faults == []


def test_the_table_has_what_is_known_so_far():
    from kvw.web.tab_searches import table_html  # needs Gradio

    stock = Stock("af_amber", Evaluation("complete", 70.0, 0.5, {"target": 0.5, "self": 0.8}), "full", np.zeros(0))
    curve = Curve()
    assert table_html(None, curve, {}) == ""
    assert "0.500" in table_html(stock, curve, {}) and "Held-out" not in table_html(stock, curve, {})
    curve.best = Evaluation("complete", 75.0, 0.6, {"target": 0.6, "words": 0.9})
    figures = {"stock": HeldOutFigures([0.4], quality=4.0), "best": HeldOutFigures([0.5], quality=3.9)}
    table = table_html(stock, curve, figures)
    assert "<td>-</td><td>90%</td>" in table and "<td>4.00</td><td>3.90</td>" in table
    assert "CAM++" not in table, "nobody measured it"
