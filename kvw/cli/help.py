"""``--help``: a page made of the comments in kvw's ``conf/`` and in the user's own."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from pathlib import Path

GROUPS = {
    "task": "Tasks",
    "experiment": "Presets",
    "strategy": "Strategies",
    "space": "Spaces",
    "fitness": "Fitness",
    "synth": "Synthesisers",
    "language": "Languages",
    "executor": "Executors",
    "transcriber": "Transcription",
}
"""Config groups and their titles, in the order of the page; a group that is not here comes last, by its own name."""

HEAD = """\
kvw evolves Kokoro voices until the synthetic speaker sounds like a target recording.

  python -m kvw [key=value ...]

Examples
  python -m kvw experiment=quick target_audio=me.wav transcribe_start=true    # recommended: minutes, for any text
  python -m kvw target_audio=me.wav target_text="The words of the recording."        # KVoiceWalk's random walk
  python -m kvw test_voice=outputs/DATE/RUN/best.pt target_text="Anything at all."   # hear a voice: out.wav
  python -m kvw task=export test_voice=outputs/DATE/RUN/best.pt                      # for another Kokoro runtime
  python -m kvw -m strategy=genetic strategy.mutation.sigma=0.1,0.2 seed=1,2,3       # a sweep, and its table
"""

TAIL = """\
python -m kvw --help strategy=genetic   prints a choice's settings: strategy.population=30 and the like change them
python -m kvw --cfg job [key=value ...] prints the whole config of a run
python -m kvw task=doctor               says what is missing here, and what mends it
"""

_WIDTH = 120
_KEY = re.compile(r"(?P<indent> *)(?P<key>\w+):(?: (?P<value>.*?))?(?:\s+# (?P<comment>.*))?")


def page(arguments: Sequence[str], folders: Sequence[Path]) -> str:
    """The help page; a choice among ``arguments`` (``strategy=genetic``) adds its settings.

    Args:
        arguments: of the command line.
        folders: of config groups; the first one has ``kvw.yaml``, later ones add choices or replace them.
    """
    choices = gathered(folders)
    asked = [
        choices[group][name]
        for group, _, name in (a.partition("=") for a in arguments)
        if name in choices.get(group, ())
    ]
    if asked:
        return "\n".join(
            f"{path.parent.name}={path.stem}\n\n{textwrap.indent(path.read_text('utf-8'), '  ')}" for path in asked
        )
    parts = [HEAD]
    for group in sorted(choices, key=lambda group: [*GROUPS, group].index(group)):
        rows = [(name, summary(path)) for name, path in sorted(choices[group].items())]
        parts.append(section(f"{GROUPS.get(group, group)} ({group}=NAME)", rows))
    parts += arguments_of(folders[0] / "kvw.yaml")
    return "\n".join([*parts, TAIL])


def gathered(folders: Sequence[Path]) -> dict[str, dict[str, Path]]:
    """The file of each choice, by group and name."""
    found: dict[str, dict[str, Path]] = {}
    for folder in folders:
        for path in sorted(folder.glob("*/*.yaml")):
            found.setdefault(path.parent.name, {})[path.stem] = path
    return found


def summary(path: Path) -> str:
    """The first sentence of a config's opening comment."""
    lines = []
    for line in path.read_text("utf-8").splitlines():
        if not line.startswith("#"):
            break
        said = line.lstrip("# ").strip()
        if not said.startswith(("@package", "python -m kvw")):
            lines.append(said)
    return re.split(r"(?<=\.)\s", " ".join(lines))[0]


def arguments_of(path: Path) -> list[str]:
    """A section for each block of keys in the primary config that a comment opens."""
    return [
        section(title, [(f"{key}={value}", comment) for key, value, comment in rows])
        for title, rows in key_blocks(path)
    ]


def key_blocks(path: Path) -> list[tuple[str, list[tuple[str, str, str]]]]:
    """The blocks of keys in the primary config that a comment opens: title; name, default and meaning of each key."""
    blocks = []
    for block in path.read_text("utf-8").split("\n\n"):
        title, *lines = block.strip().splitlines()
        matches = [_KEY.fullmatch(line) for line in lines]
        if not title.startswith("# ") or not all(matches):
            continue
        rows, parent = [], ""
        for match in filter(None, matches):
            if match["value"] is None:
                parent = f"{match['key']}."
            else:
                rows.append(
                    (f"{parent if match['indent'] else ''}{match['key']}", match["value"], match["comment"] or "")
                )
        blocks.append((title[2:], rows))
    return blocks


def section(title: str, rows: Sequence[tuple[str, str]]) -> str:
    """A title, and two columns below it."""
    left = min(max(len(name) for name, _ in rows), 30) + 2
    lines = [title]
    for name, said in rows:
        folded = textwrap.wrap(said, _WIDTH - left - 2) or [""]
        head = f"  {name:<{left}}" if len(name) < left else f"  {name}\n{'':{left + 2}}"
        lines.append(head + f"\n{'':{left + 2}}".join(folded))
    return "\n".join(line.rstrip() for line in lines) + "\n"
