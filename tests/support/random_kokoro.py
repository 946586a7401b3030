"""Makes a checkpoint with random weights on Kokoro's real architecture, where the real one can't be had.

    python -m tests.support.random_kokoro FOLDER

It buzzes and hisses at the pace and the pitch of speech: the predictor's durations are brought to about three frames a
phoneme, its pitch to where some sounds are voiced and some are not. As in the real checkpoint, names begin with
``module.`` and InstanceNorm layers have no tensors.
"""

import json
import string
import sys
from pathlib import Path

import torch
from kokoro import KModel

PARTS = ("bert", "bert_encoder", "predictor", "text_encoder", "decoder")
SYMBOLS = f" .,;:!?—…\"()“”'{string.ascii_letters}ˈˌːæðŋɐɑɒɔɕəɚɛɜɝɟɡɣɥɪɬɯɲɹɾʁʃʊʌʎʒʔʝʣʤʥʦʧʨβθχᵊᵻ→↗↘"
ARCHITECTURE = {
    "istftnet": {
        "upsample_kernel_sizes": [20, 12],
        "upsample_rates": [10, 6],
        "gen_istft_hop_size": 5,
        "gen_istft_n_fft": 20,
        "resblock_dilation_sizes": [[1, 3, 5]] * 3,
        "resblock_kernel_sizes": [3, 7, 11],
        "upsample_initial_channel": 512,
    },
    "plbert": {
        "hidden_size": 768,
        "num_attention_heads": 12,
        "intermediate_size": 2048,
        "max_position_embeddings": 512,
        "num_hidden_layers": 12,
        "dropout": 0.1,
    },
    "hidden_dim": 512,
    "style_dim": 128,
    "n_layer": 3,
    "n_mels": 80,
    "n_token": 178,
    "max_dur": 50,
    "dropout": 0.2,
    "text_encoder_kernel_size": 5,
    # random weights know no symbol from another
    "vocab": {symbol: token for token, symbol in enumerate(SYMBOLS, start=1)},
}


def make(folder: Path, seed: int = 0) -> tuple[Path, Path]:
    """Writes the checkpoint, 330 MB, and its configuration into ``folder``, and returns their paths."""
    weights, config = folder / "random.pth", folder / "config.json"
    config.write_text(json.dumps(ARCHITECTURE), "utf-8")
    torch.save({}, weights)  # KModel always loads a file: nothing from this one
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = KModel(repo_id="hexgrad/Kokoro-82M", config=str(config), model=str(weights))
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
    torch.save(checkpoint, weights)
    return weights, config


if __name__ == "__main__":
    make(Path(sys.argv[1]))
