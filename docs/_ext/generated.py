"""Parts of the manual that are made of the code when it is built, and a check of the names that docstrings refer to.

A line ``% kvw: NAME`` in a page is replaced by what the function ``NAME`` of :data:`PARTS` returns, as Markdown.
"""

from __future__ import annotations

import ast
import importlib
import re
from pathlib import Path

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx

from kvw.cli.help import GROUPS, gathered, key_blocks, summary
from kvw.config.paths import CONF
from kvw.runs import schema


def keys() -> str:
    """A list for each block of keys in ``conf/kvw.yaml``, with its comments."""
    parts = []
    for title, rows in key_blocks(CONF / "kvw.yaml"):
        parts += ["", f"## {title}", ""]
        parts += [
            f"- `{key}={value}`: {escaped(comment)}" if comment else f"- `{key}={value}`"
            for key, value, comment in rows
        ]
    return "\n".join(parts)


def choices() -> str:
    """Every choice of every config group, as its file says it."""
    found = gathered([CONF])
    parts = []
    for group in sorted(found, key=lambda group: [*GROUPS, group].index(group)):
        parts += ["", f"## {group}: {GROUPS.get(group, group.capitalize())}", ""]
        parts += [f"- `{group}={name}`: {escaped(summary(path))}" for name, path in sorted(found[group].items())]
        for name, path in sorted(found[group].items()):
            parts += ["", f"### `{group}={name}`", "", "```yaml", path.read_text("utf-8").rstrip(), "```"]
    return "\n".join(parts)


def tables() -> str:
    """The tables of ``run.db``, their columns, and the comments beside them in :data:`kvw.runs.schema.TABLES`."""
    comments = _comments(Path(schema.__file__))
    parts = [f"The format is {schema.SCHEMA} (`PRAGMA user_version`)."]
    for table, columns in schema.TABLES.items():
        listed, _, key = columns.partition(", PRIMARY KEY ")
        parts += ["", f"## `{table}`", "", escaped(comments.get(table, "")), "", "| column | type |", "|---|---|"]
        for column in [*listed.split(", "), "sha256 BLOB"]:
            name, kind = column.split(" ", 1)
            parts.append(f"| `{name}` | {kind} |")
        parts += ["", f"Primary key: `{key}`"] if key else []
    return "\n".join(parts)


PARTS = {"keys": keys, "choices": choices, "tables": tables}


def escaped(text: str) -> str:
    """A comment as Markdown, in which nothing is a mark."""
    return re.sub(r"([\\`*_{}\[\]<>#|])", r"\\\1", text)


def _comments(path: Path) -> dict[str, str]:
    """The comment above each key of ``TABLES`` in a module's source."""
    text = path.read_text("utf-8")
    node = next(
        node
        for node in ast.parse(text).body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "TABLES"
    )
    found: dict[str, str] = {}
    said: list[str] = []
    for line in text.splitlines()[node.lineno : node.end_lineno]:
        if line.strip().startswith("#"):
            said.append(line.strip("# "))
        elif match := re.match(r'    "(\w+)":', line):
            found[match[1]] = " ".join(said)
            said = []
    return found


def fill(app: Sphinx, page: str, source: list[str]) -> None:
    """Replaces the marks of a page."""
    source[0] = re.sub(r"^% kvw: (\w+)$", lambda match: PARTS[match[1]](), source[0], flags=re.MULTILINE)


def named(app: Sphinx, env: object, node: pending_xref, shown: nodes.Element) -> nodes.Element | None:
    """Lets a docstring name what no page describes, if it is there; else the name is a broken reference."""
    target = str(node.get("reftarget"))
    where = node.get("py:module")
    return shown if any(_exists(name) for name in (target, f"{where}.{target}" if where else "")) else None


def _exists(name: str) -> bool:
    """Whether a dotted name is a module of kvw's, or is in one."""
    parts = name.split(".")
    if parts[0] not in ("kvw", "strategies"):
        return False
    for length in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:length]))
        except ImportError:
            continue
        for part in parts[length:]:
            annotated = getattr(found, "__annotations__", {})
            if not hasattr(found, part) and part not in annotated:
                return False
            found = getattr(found, part, annotated.get(part))
        return True
    return False


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("source-read", fill)
    app.connect("missing-reference", named)
    return {"parallel_read_safe": True}
