"""Kokoro's real weights: every file of them is the same model, and it speaks as kokoro's own code lets it speak."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
import torch

from kvw.speech.kokoro import sources
from kvw.speech.kokoro.cpu_decoder import CPUDecoder
from kvw.speech.kokoro.model import Kokoro
from kvw.types import VOICE_SHAPE
from kvw.voices.stock import stock_voices
from tests.conftest import ROOT
from tests.support.reference import snr

pytestmark = pytest.mark.real

TEXT = "ðə ʃˈɪps ɑɹ æt sˈi tənˈaɪt, ænd nˈɛvəɹ kˈeɪm."
SEED = 11


@pytest.fixture(scope="module")
def config(real):
    return sources.read_config(real / "kokoro" / "config.json")


@pytest.fixture(scope="module")
def load(real, config):
    from kvw.speech.kokoro.synthesizer import load_model

    return lambda name: load_model([real / "kokoro" / name], config)


@pytest.fixture(scope="module")
def exported(load):
    return load("kokoro-v1.0.int8.onnx")


@pytest.fixture(scope="module")
def styles():
    row = len(TEXT) - 1
    return torch.from_numpy(np.stack([stock_voices()[name][row, 0] for name in ("af_heart", "am_adam")]))


def test_the_export_and_the_checkpoint_made_of_it_are_one_model(load, exported, styles):
    checkpoint = load("kokoro-v1_0.pth")
    for (name, one), other in zip(exported.named_parameters(), checkpoint.parameters(), strict=True):
        if ".pooler." not in name:  # which has no part in speech, and which the export lacks
            # weight norm divides by a size and multiplies by it again
            torch.testing.assert_close(one, other, rtol=2e-6, atol=1e-9, msg=name)
    waves = [Kokoro(model, CPUDecoder(model))(TEXT, styles, SEED) for model in (exported, checkpoint)]
    for one, other in zip(*waves, strict=True):
        assert one.shape == other.shape
        assert snr(other, one) > 30  # the noise source makes another wave of a pitch that differs in its last bit


def test_the_model_is_known_by_its_weights_however_they_are_rounded(load):
    from kvw.speech.kokoro.synthesizer import is_v1_0

    model = load("kokoro-v1.0.int8.onnx")
    assert is_v1_0(model)
    assert is_v1_0(model.half())
    model.decoder.generator.conv_post.bias.data += 0.003
    assert not is_v1_0(model), "one that was trained further"


def test_it_speaks_as_kokoros_own_model_does(real, load, styles):
    from kokoro import KModel

    folder = real / "kokoro"
    own = KModel(
        repo_id="hexgrad/Kokoro-82M", config=str(folder / "config.json"), model=str(folder / "kokoro-v1_0.pth")
    ).eval()
    model = load("kokoro-v1_0.pth")
    decoder, ours, kokoros = CPUDecoder(model), [], []
    waves = Kokoro(model, lambda frames, *more: ours.extend(frames) or decoder(frames, *more))(TEXT, styles, SEED)
    own.decoder.register_forward_pre_hook(lambda _, given: kokoros.append(given))
    for style, wave in zip(styles, waves, strict=True):
        torch.manual_seed(SEED)
        wanted = own(TEXT, style[None])
        assert wave.shape == wanted.shape
        assert snr(wanted, wave) > 92
    for frames, (_, pitch, energy, _) in zip(ours, kokoros, strict=True):
        assert torch.equal(frames.pitch, pitch)
        assert torch.equal(frames.energy, energy)


def test_kokoro_onnxs_two_files_are_all_that_a_search_needs(real, shared, tmp_path):
    def kvw(*arguments):
        command = [sys.executable, "-m", "kvw", *arguments]
        return subprocess.run(
            command, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=500
        )

    three = ["af_heart", "am_adam", "if_sara"]
    (tmp_path / "voices").mkdir()
    for name in three:
        (tmp_path / "voices" / f"{name}.pt").symlink_to(shared / "voices" / f"{name}.pt")
    assert kvw("export_bin=true", "voice_folder=voices", "task.out=voices-v1.0.bin").returncode == 0
    (tmp_path / "held out.txt").write_text("Nobody was there.\n")
    done = kvw(
        f"synth.model={real / 'kokoro' / 'kokoro-v1.0.int8.onnx'}",
        "voice_folder=voices-v1.0.bin",
        f"target_audio={shared / 'targets' / '1688-142285-0001.flac'}",
        "target_text=The ships are at sea tonight.",
        "other_text=A cold wind came.",
        "heldout_texts=held out.txt",
        "step_limit=2",
        "report=false",
    )
    assert done.returncode == 0, done.stderr
    assert "embedded" not in done.stdout + done.stderr
    (result,) = tmp_path.glob("outputs/**/best.json")
    facts = json.loads(result.read_text())
    assert facts["synthesiser"] == "kokoro"
    assert facts["shape"] == list(VOICE_SHAPE)
    assert set(facts["base_voices"]) == set(three)
