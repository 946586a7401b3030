"""What the page's command line means for its searches."""

from kvw.config.arguments import quoted
from kvw.web.app import search_arguments


def test_what_the_pages_command_line_says_is_said_to_every_search_as_it_was_typed():
    own = ["task=web", "task.port=0", "target_text=x", "minutes=3", "experiment=thorough"]
    typed = ["synth=embedded", "voice_folder=it's a, ${b}", "heldout_audio=[a b.wav,c.wav]", "heldout_texts=null"]
    overrides = quoted([*own, *typed, "executor.threads=2"])
    assert search_arguments(overrides) == [*typed, "executor.threads=2"]
