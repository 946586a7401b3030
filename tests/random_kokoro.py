"""Makes a checkpoint with random weights on Kokoro's real architecture, for tests where the real one can't be had.

    python -m tests.random_kokoro OUT.pth CONFIG.json

It buzzes and hisses at the pace and the pitch of speech: the predictor's durations are brought to about three frames a
phoneme, its pitch to where some sounds are voiced and some are not. As in the
real checkpoint, names begin with ``module.`` and InstanceNorm layers have no tensors.
"""

import sys
from pathlib import Path

import torch
from kokoro import KModel

PARTS = ("bert", "bert_encoder", "predictor", "text_encoder", "decoder")


def make(path: Path, config: Path, seed: int = 0) -> None:
    """Writes the checkpoint to ``path``."""
    torch.save({}, path)  # KModel always loads a file: nothing from this one
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = KModel(repo_id="hexgrad/Kokoro-82M", config=str(config), model=str(path))
    duration = model.predictor.duration_proj.linear_layer
    with torch.no_grad():
        duration.weight.mul_(0.3)
        duration.bias.fill_(-2.75)
        model.predictor.F0_proj.weight.mul_(300)
        model.predictor.F0_proj.bias.fill_(60)
    later = {name for name, module in model.named_modules() if isinstance(module, torch.nn.InstanceNorm1d)}
    checkpoint = {
        part: {
            f"module.{name}": value
            for name, value in getattr(model, part).state_dict().items()
            if f"{part}.{name}".rpartition(".")[0] not in later
        }
        for part in PARTS
    }
    torch.save(checkpoint, path)


if __name__ == "__main__":
    make(Path(sys.argv[1]), Path(sys.argv[2]))
