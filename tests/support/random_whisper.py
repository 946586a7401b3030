"""Makes a tiny Whisper with random weights, converted for CTranslate2, for tests where a real one can't be had.

    python -m tests.support.random_whisper OUT_FOLDER [LANGUAGE]

Its vocabulary is laid out as that of the multilingual Whisper, with made-up words: whatever it hears is nonsense, and
in the one language that it was made for.
"""

import itertools
import sys
import tempfile
from pathlib import Path

import torch
from ctranslate2.converters import TransformersConverter
from tokenizers.pre_tokenizers import ByteLevel
from transformers import GenerationConfig, WhisperConfig, WhisperForConditionalGeneration, WhisperTokenizer
from transformers.models.whisper.tokenization_whisper import LANGUAGES

WORDS = 50_257  # tokens of text; the last one is empty, by which CTranslate2 tells a multilingual model
TIMESTAMPS = 1_501
CODES = [f"<|{code}|>" for code in list(LANGUAGES)[:99]]
TASKS = [f"<|{task}|>" for task in ("translate", "transcribe", "startoflm", "startofprev", "nospeech", "notimestamps")]
SPECIAL = ["<|endoftext|>", "<|startoftranscript|>", *CODES, *TASKS]


def make(folder: Path, language: str = "en", seed: int = 0) -> None:
    """Writes the converted model and its ``tokenizer.json`` into ``folder``, which must not be there yet.

    Args:
        folder: to make.
        language: Whisper's code of the language that it takes everything for.
        seed: of the weights.
    """
    tokenizer = WhisperTokenizer(vocab=vocabulary(), merges=[])
    tokenizer.add_special_tokens({"additional_special_tokens": SPECIAL})
    numbers = {token: tokenizer.convert_tokens_to_ids(token) for token in SPECIAL}
    with torch.random.fork_rng(devices=[]), tempfile.TemporaryDirectory() as original:
        torch.manual_seed(seed)
        model = WhisperForConditionalGeneration(architecture(numbers)).eval()
        teach(model, numbers["<|startoftranscript|>"], numbers[f"<|{language}|>"])
        model.generation_config = GenerationConfig(lang_to_id={code: numbers[code] for code in CODES})
        model.save_pretrained(original)
        tokenizer.save_pretrained(original)
        TransformersConverter(original, copy_files=["tokenizer.json"]).convert(str(folder))


def vocabulary() -> dict[str, int]:
    """Tokens of text and their numbers: bytes, words of one to three syllables, and the empty one."""
    syllables = [consonant + vowel for consonant in "bdfgklmnprstvz" for vowel in "aeiou"]
    lengths = (itertools.product(syllables, repeat=length) for length in (1, 2, 3))
    words = (f"Ġ{''.join(word)}" for word in itertools.chain.from_iterable(lengths))
    tokens = [*itertools.islice(itertools.chain(sorted(ByteLevel.alphabet()), words), WORDS - 1), ""]
    return {token: number for number, token in enumerate(tokens)}


def architecture(numbers: dict[str, int]) -> WhisperConfig:
    """Whisper's, with one narrow layer on each side."""
    end = numbers["<|endoftext|>"]
    return WhisperConfig(
        vocab_size=WORDS + len(SPECIAL) + TIMESTAMPS,
        d_model=32,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=32,
        decoder_ffn_dim=32,
        tie_word_embeddings=False,
        pad_token_id=end,
        bos_token_id=end,
        eos_token_id=end,
        decoder_start_token_id=numbers["<|startoftranscript|>"],
    )


def teach(model: WhisperForConditionalGeneration, start: int, answer: int) -> None:
    """Makes the model sure of what it says, and that ``answer`` follows ``start``."""
    silence = torch.zeros(1, model.config.num_mel_bins, 2 * model.config.max_source_positions)
    with torch.no_grad():
        state = model.model(silence, decoder_input_ids=torch.tensor([[start]])).last_hidden_state[0, 0]
        model.proj_out.weight.normal_()
        model.proj_out.weight[answer] = 10 * state / state.norm()


if __name__ == "__main__":
    make(Path(sys.argv[1]), *sys.argv[2:3])
