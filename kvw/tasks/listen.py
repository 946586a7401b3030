"""Whoever sits at the keyboard chooses between two voices: the listener of ``strategy=by_ear``."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from kvw.audio.write import write_audio
from kvw.errors import EXIT_CORRUPT, KvwError
from kvw.runtime.files import write_whole
from kvw.search.strategy import FIRST, NEITHER, SAME, SECOND, UNDO
from kvw.types import Voice, Wave

FOLDER, CHOICES, QUESTION = "ear", "choices.jsonl", "question.json"
"""The folder, in a run's, of what is heard; the file in it of all answers, a JSON text a line; and the one with the
question's number, which is there while an answer is waited for."""

HEARD = ("a.wav", "b.wav")
"""What the two voices say."""

KEYS = {"a": FIRST, "b": SECOND, "s": SAME, "n": NEITHER, "u": UNDO}

PLAYERS = (["paplay"], ["aplay", "-q"], ["afplay"], ["ffplay", "-nodisp", "-autoexit", "-loglevel", "error"])
"""Programs of Linux and macOS that play a WAV."""

ASKED = "a: the first; b: the second; s: the same; n: neither; u: undo the last choice"


class AtKeyboard:
    """A :class:`kvw.search.strategy.Listener` who answers with a letter and the Enter key.

    Every answer is on the disk before the search goes on, so that nobody is asked twice.
    """

    def __init__(self) -> None:
        self._answers: list[str] = []
        self._folder: Path | None = None

    def begin(self, run: Path, speak: Callable[[Voice], Wave]) -> None:
        """Begins or resumes in a run's folder.

        Args:
            run: the folder.
            speak: speaks the target text in a voice.

        Raises:
            KvwError: the run's answers can't be read.
        """
        self._folder, self._speak = run / FOLDER, speak
        path = self._folder / CHOICES
        if not path.exists():
            return
        text = path.read_text("utf-8", "replace")
        whole = text[: text.rfind("\n") + 1]  # an answer that was cut off is asked for again
        try:
            self._answers = [json.loads(line) for line in whole.splitlines()]
        except ValueError:
            self._answers = [""]
        if not all(answer in KEYS.values() for answer in self._answers):
            raise KvwError(f"{path}: expected answers of a listener; got something else; start a new run", EXIT_CORRUPT)
        if whole != text:
            write_whole(path, whole.encode())

    def __call__(self, number: int, first: Voice, second: Voice) -> str:
        """As :class:`kvw.search.strategy.Listener`.

        Raises:
            KvwError: there is no folder to speak into, or nobody is at the keyboard.
        """
        if number < len(self._answers):
            return self._answers[number]
        if not self._folder:
            raise KvwError("strategy=by_ear: expected a run with a folder; use it by python -m kvw strategy=by_ear")
        self._folder.mkdir(exist_ok=True)
        paths = [self._folder / name for name in HEARD]
        for path, voice in zip(paths, (first, second), strict=True):
            write_audio(path, self._speak(voice))
        write_whole(self._folder / QUESTION, json.dumps(number).encode())
        here = sys.stdin and sys.stdin.isatty()  # else somebody hears it elsewhere
        playing = next((player for player in PLAYERS if here and shutil.which(player[0])), None)
        again = "; 1, 2: play again" if playing else ""
        sys.stdout.write(f"Question {number + 1}: {paths[0]} or {paths[1]}? {ASKED}{again}\n")
        heard = paths if playing else []
        while True:
            for path in heard:
                subprocess.run([*(playing or []), str(path)], stdin=subprocess.DEVNULL, check=False)
            sys.stdout.write("> ")
            sys.stdout.flush()
            line = sys.stdin.readline() if sys.stdin else ""
            if not line:
                raise KvwError("strategy=by_ear: expected an answer from the keyboard; its input has ended")
            key = line.strip().lower()
            heard = [paths[int(key) - 1]] if playing and key in ("1", "2") else []
            if key in KEYS:
                break
            if not heard:
                sys.stdout.write(f"Expected one of these letters. {ASKED}{again}\n")
        with (self._folder / CHOICES).open("a", encoding="utf-8") as file:
            file.write(f"{json.dumps(KEYS[key])}\n")
            file.flush()
            os.fsync(file.fileno())
        (self._folder / QUESTION).unlink(missing_ok=True)
        self._answers.append(KEYS[key])
        return KEYS[key]
