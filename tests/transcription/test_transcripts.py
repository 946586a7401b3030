"""The folder of the texts, with a tiny Whisper that hears nonsense."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from kvw.audio.decode import decode_file
from kvw.audio.write import write_audio
from kvw.transcription import transcripts
from kvw.transcription.transcripts import transcript_of, words_of, write_whole
from kvw.transcription.whisper import Transcript, Whisper
from kvw.types import SAMPLE_RATE


def nobody() -> Whisper:
    raise AssertionError("no model is needed")


def test_recordings_of_one_name_have_a_text_each_whatever_comes_first(whisper, recordings, demo):
    other = recordings.parent / "other"
    other.mkdir()
    write_audio(recordings / "a.flac", demo[8 * SAMPLE_RATE : 11 * SAMPLE_RATE])
    write_audio(other / "a.wav", demo[11 * SAMPLE_RATE : 15 * SAMPLE_RATE])
    clips = [recordings / "a.wav", recordings / "a.flac", other / "a.wav"]
    folder = Path("texts")
    heard = {clip: transcript_of(clip, folder, lambda: whisper) for clip in clips}
    assert len(list(folder.glob("a*.txt"))) == 3
    assert {clip: whisper(decode_file(clip)).text for clip in clips} == {clip: heard[clip].text for clip in clips}
    for clip in reversed(clips):
        assert transcript_of(clip, folder, nobody).text == heard[clip].text


def test_a_recording_that_was_made_anew_gets_a_new_text_and_the_corrected_old_one_stays(whisper, recordings, demo):
    clip, folder = recordings / "a.wav", Path("texts")
    transcript_of(clip, folder, lambda: whisper)
    (folder / "a.txt").write_text("Corrected.")
    write_audio(clip, demo[9 * SAMPLE_RATE : 13 * SAMPLE_RATE])
    fresh = transcript_of(clip, folder, lambda: whisper)
    assert fresh.text == whisper(decode_file(clip)).text
    assert (folder / "a.txt").read_text() == "Corrected."
    assert transcript_of(clip, folder, nobody) == Transcript(fresh.text, "es")
    (folder / "a.txt").unlink()
    assert transcript_of(clip, folder, nobody).text == fresh.text


@example("\ufeffAs Windows' editor writes it.")
@given(typed=st.text(max_size=200).filter(lambda text: text.strip("\ufeff").split()))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_someone_types_is_used_as_it_is(recordings, typed):
    folder = Path("typed")
    folder.mkdir(exist_ok=True)
    (folder / "a.txt").write_bytes(typed.encode(errors="replace"))
    words, letter = words_of([recordings / "a.wav"], folder, nobody)
    assert words.split() == typed.encode(errors="replace").decode().removeprefix("\ufeff").split()
    assert "\n" not in words
    assert letter is None


def test_the_words_of_several_clips_are_joined_and_their_language_passed_on(whisper, recordings):
    made = []
    clips = [recordings / "b.wav", recordings / "a.wav"]
    words, letter = words_of(clips, Path("texts"), lambda: made.append(1) or whisper)
    assert words == " ".join(whisper(decode_file(clip)).text for clip in clips)
    assert letter == "e"
    assert made == [1]
    assert words_of(clips, Path("texts"), nobody) == (words, "e")


def test_the_language_of_most_clips_is_taken_and_the_others_are_mentioned(recordings, demo, said):
    write_audio(recordings / "c.wav", demo[: 3 * SAMPLE_RATE])
    codes = iter(["it", "ja", "ja"])
    words, letter = words_of(
        sorted(recordings.iterdir()), Path("texts"), lambda: lambda wave: Transcript("Words.", next(codes), 0.9)
    )
    assert (words, letter) == ("Words. Words. Words.", "j")
    assert any("several languages (j 2, i 1)" in line for line in said)


@pytest.mark.parametrize("content", ["", "junk", "[]", '{"sha256": 3, "language": []}', '{"language": [1]}'])
def test_a_damaged_record_beside_a_text_is_no_error(whisper, recordings, content):
    transcript_of(recordings / "a.wav", Path("texts"), lambda: whisper)
    Path("texts/a.kvw.json").write_text(content)
    assert transcript_of(recordings / "a.wav", Path("texts"), lambda: whisper).text


@pytest.mark.parametrize("writes", [0, 1])
def test_a_crash_while_a_text_is_written_never_leaves_one_that_seems_typed(whisper, recordings, writes):
    left, written = [None] * writes, write_whole

    def crash(path, content):
        if not left:
            raise OSError(28, "No space left on device")
        left.pop()
        written(path, content)

    with pytest.MonkeyPatch.context() as fault:
        fault.setattr(transcripts, "write_whole", crash)
        with pytest.raises(OSError, match="No space"):
            transcript_of(recordings / "a.wav", Path("texts"), lambda: whisper)
    assert transcript_of(recordings / "a.wav", Path("texts"), lambda: whisper).language == "es"
