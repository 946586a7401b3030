"""What a stranger may send: voices, packs, configs and names, each with what has to become of it.

``voices``, ``configs`` and ``names`` try a corpus and give a :class:`Row` for each thing in it. An execution is an
audit event of :data:`ACTS`, or of writing outside the folder that the thing belongs to; Python's audit hooks see both.
"""

# ruff: noqa: RUF005 - long lists, by the kind of thing
from __future__ import annotations

import importlib
import io
import json
import os
import pickle
import pkgutil
import struct
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kvw.errors import KvwError

ACTS = (
    ("exec", "compile", "import", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "subprocess.Popen")
    + ("socket.", "urllib.", "ctypes.", "marshal.", "pickle.find_class", "sqlite3.", "webbrowser.", "os.putenv")
    + ("os.chmod", "os.kill", "os.link", "os.symlink", "shutil.", "code.__new__")
)
"""Audit events, or what they begin with, that no voice, config or name may cause."""

WRITES = ("os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.truncate")
"""Audit events that change what is at the path that they name first."""

OURS = ("kvw", "strategies")


@dataclass(frozen=True)
class Row:
    """What became of one thing.

    Attributes:
        name: of the thing.
        expected: ``refused``, ``loaded`` or ``inside`` (written, and nowhere else).
        verdict: what became of it; where that is none of these, what went wrong.
        executions: events that it must not have caused.
    """

    name: str
    expected: str
    verdict: str
    executions: int


class Watch:
    """Events that must not happen."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = None if folder is None else str(folder.resolve())
        self.events: list[str] = []

    def __call__(self, event: str, args: tuple[Any, ...]) -> None:
        own = event == "import" and str(args[0]).startswith(OURS)
        if event in ("compile", "exec"):  # typing evaluates the annotations of what is ours
            own = sys._getframe(2).f_globals.get("__name__") == "typing"
        if event.startswith(ACTS) and not own:
            self.events.append(f"{event} {args[:1]!a:.80}")
        writes = event in WRITES or (
            event == "open" and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        )
        if writes and not self.inside(args[0]):
            self.events.append(f"{event} {args[0]!a:.80}")

    def inside(self, path: Any) -> bool:
        """Whether a path is in the folder."""
        if self.folder is None or not isinstance(path, (str, bytes, os.PathLike)):
            return False
        known = os.path.realpath(os.fsdecode(path))
        return known == self.folder or known.startswith(self.folder + os.sep)


_watches: list[Watch] = []


def _listen(event: str, args: tuple[Any, ...]) -> None:
    for watch in list(_watches):
        watch(event, args)


_listening: list[bool] = []


@contextmanager
def watched(folder: Path | None = None) -> Iterator[list[str]]:
    """The events meanwhile that must not happen; writing is one anywhere but in ``folder``."""
    if not _listening:
        sys.addaudithook(_listen)  # for good: Python has no way to take one off
        _listening.append(True)
    watch = Watch(folder)
    _watches.append(watch)
    try:
        yield watch.events
    finally:
        _watches.remove(watch)


def tried(name: str, expected: str, done: str, action: Callable[[], object], folder: Path | None = None) -> Row:
    """A row for ``action``: ``done`` if it succeeds, ``refused`` if it raises a KvwError of printable lines."""
    with watched(folder) as events:
        try:
            action()
            verdict = done
        except KvwError as error:
            good = all(line.isprintable() and len(line) < 3000 for line in str(error).split("\n"))
            verdict = "refused" if good else f"refused in an odd line: {error!a:.200}"
        except Exception as error:
            verdict = f"{type(error).__name__}: {error!a:.200}"
    return Row(name, expected, verdict if not events else f"{verdict}; {events[0]}", len(events))


# Voices and packs


def opcodes(marker: Path) -> dict[str, bytes]:
    """Pickles that would do something, by what they do."""
    command = f"touch '{marker}'".encode()
    system = b"cposix\nsystem\n"

    class Payload:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.system, (command.decode(),)

    text = b"X" + struct.pack("<I", len(command)) + command
    return {
        **{f"REDUCE, protocol {protocol}": pickle.dumps(Payload(), protocol) for protocol in range(6)},
        "INST": b"(S'" + command.replace(b"'", b'"') + b"'\niposix\nsystem\n.",
        "OBJ": b"(" + system + text + b"o.",
        "STACK_GLOBAL": b"\x80\x04\x8c\x05posix\x8c\x06system\x93" + text + b"\x85R.",
        "NEWOBJ": b"\x80\x02" + system + text + b"\x85\x81.",
        "NEWOBJ_EX": b"\x80\x04" + system + text + b"\x85}\x92.",
        "BUILD": b"\x80\x02ctypes\nSimpleNamespace\n)R}X\x01\0\0\0ax\x01\0\0\0bs" + system + b"b.",
        "EXT1": b"\x80\x02\x82\x01.",
        "EXT4": b"\x80\x02\x84\x01\0\0\0.",
        "PERSID": b"P../../etc/passwd\n.",
        "BINPERSID": b"\x80\x02X\x04\0\0\0evilQ.",
        "nested pickle.loads": b"\x80\x02cpickle\nloads\nC\x04N.\0\0\x85R.",
        "numpy's reconstruct": b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n.",
        "builtins.eval": b"\x80\x02cbuiltins\neval\nX\x03\0\0\0" + b"1+1\x85R.",
        "getattr of a module": b"\x80\x04\x8c\x02os\x8c\x0bpath.os.sys\x93.",
        "BYTEARRAY8 of 2^60 bytes": b"\x80\x05\x96" + struct.pack("<Q", 1 << 60) + b".",
        "FRAME of 2^60 bytes": b"\x80\x04\x95" + struct.pack("<Q", 1 << 60) + b".",
        "LONG4 of 2^31 bytes": b"\x80\x02\x8b\xff\xff\xff\x7f.",
        "a memo of 2^31 entries": b"\x80\x02Nr\xff\xff\xff\x7f0h\0.",
        "a stack of marks": b"\x80\x02" + b"(" * 4000 + b".",
    }


def edited(content: bytes, offset: int, patch: bytes) -> bytes:
    """``content`` with other bytes from ``offset`` on."""
    return content[:offset] + patch + content[offset + len(patch) :]


def entries(content: bytes) -> list[int]:
    """Where the entries of a zip's directory begin."""
    found, start = [], content.index(b"PK\1\2")
    while content.startswith(b"PK\1\2", start):
        found.append(start)
        start += 46 + sum(struct.unpack("<HHH", content[start + 28 : start + 34]))
    return found


def torch_zips(marker: Path) -> dict[str, bytes]:
    """Files in ``.pt`` that are no plain tensor."""
    from tests.voices.test_files import FLOATS, GOOD, archive, members_of, pickle_with, rewritten, torch_file

    good, plain = members_of(GOOD), members_of(GOOD)["data.pkl"]
    body = plain.removeprefix(b"\x80\x02")
    places = entries(GOOD)
    bomb = (b"PK\1\2" + bytes(42)) * 30_000
    head = GOOD[: places[0]]
    end = b"PK\5\6" + bytes(4) + b"\xff" * 4 + struct.pack("<IIH", len(bomb), len(head), 0)
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as file:
        for name in ("sys_info", "pickle", "tensors", "storages"):
            entry = tarfile.TarInfo(name)
            entry.size = len(plain)
            file.addfile(entry, io.BytesIO(plain))
    end64 = len(GOOD) - 22 - 20 - 56
    return {
        **{f"pickle, {name}": rewritten(**{"data.pkl": code}) for name, code in opcodes(marker).items()},
        **{
            f"before the tensor, {name}": rewritten(**{"data.pkl": code[:-1] + b"0" + body})
            for name, code in opcodes(marker).items()
            if name.startswith(("INST", "REDUCE, protocol 0", "REDUCE, protocol 2", "OBJ"))
        },
        "code behind STOP": rewritten(**{"data.pkl": plain + b"cos\nsystem\n."}),
        "protocol 200": rewritten(**{"data.pkl": b"\x80\xc8" + body}),
        "protocol 0": rewritten(**{"data.pkl": body}),
        "a thousand protocols": rewritten(**{"data.pkl": b"\x80\x02" * 1000 + plain}),
        "a storage that is not there": pickle_with(b"X\x01\0\0\x000", b"X\x01\0\0\x009"),
        "TorchScript": archive({**good, "code/__torch__.py": b"import os", "constants.pkl": b"\x80\x02)."}),
        "a path that leaves": archive({**good, "../../../evil": b"x"}),
        "an absolute path": archive({**good, "/etc/cron.d/evil": b"x"}),
        "someone's notes": archive({**good, "notes.txt": b"x"}),
        "a comment": GOOD[:-2] + b"\xff\xff" + b"x" * 65_535,
        "an end in the comment": GOOD[:-2] + b"\x16\0" + b"PK\5\6" + bytes(18),
        "a list of 30,000 members": head + bomb + end,
        "a list of members of 2^40 bytes": edited(GOOD, end64 + 40, struct.pack("<Q", 1 << 40)),
        "members from 2^62 on": edited(GOOD, end64 + 48, struct.pack("<Q", 1 << 62)),
        "the end's end is elsewhere": edited(GOOD, len(GOOD) - 22 - 12, struct.pack("<Q", 0)),
        "2^32 bytes in a member": edited(GOOD, places[0] + 24, b"\xff" * 4),
        "the pickle is the numbers": edited(GOOD, places[0] + 42, GOOD[places[4] + 42 : places[4] + 46]),
        "the numbers are the pickle": edited(GOOD, places[4] + 42, GOOD[places[0] + 42 : places[0] + 46]),
        "a member behind the end": edited(GOOD, places[4] + 42, b"\xf0\xff\xff\x7f"),
        "a name that the directory denies": GOOD.replace(b"data/0", b"data/1", 1),
        "encrypted": edited(GOOD, places[0] + 8, b"\1\0"),
        "bzip2": archive(good, zipfile.ZIP_BZIP2),
        "legacy": torch_file(FLOATS, _use_new_zipfile_serialization=False),
        "tar": tar.getvalue(),
        "a folder's tar in the zip": archive({"data.pkl": tar.getvalue()[:900], "data/0": bytes(522_240)}),
    }


def packs() -> dict[str, tuple[str, bytes]]:
    """Other files that hold no voice, with their endings."""
    from kvw.voices.formats import npy, npz, raw, safetensors
    from tests.voices.test_formats import DATA, ENTRY, A, header_of, with_header, zipped

    header = "{'descr': '<f4', 'fortran_order': False, 'shape': (%s), }\n"
    one = zipped({"a.npy": npy.write(A)})
    start = one.index(b"PK\1\2")
    several = b"".join(one[start:-22] for _ in range(200))
    tail = struct.pack("<HHHHIIH", 0, 0, 200, 200, len(several), start, 0)
    plain, zip64 = json.dumps(ENTRY), struct.pack("<IQI", 0, len(one) - 22, 1)
    headers = {
        "commas are missing": header % "510 1 256",
        "a sum": header % "510, 1, 128+128",
        "leading zeros": header % "0510, 1, 256",
        "a negative axis": header % "-510, 1, 256",
        "no comma between two": header % "510, 1256",
        "f-string": "{f'{__import__(\"os\")}': 1}",
        "a subclass": "{'descr': [('a', '<f4', (510, 1, 256))], 'fortran_order': False, 'shape': (1,), }",
        "twice a key": "{'descr': '<f4', 'descr': '|O', 'fortran_order': False, 'shape': (510, 1, 256), }",
        "spaces without end": "{'descr'" + " " * 4000,
    }
    texts = {
        "twice a tensor": f'{{"voice":{{"dtype":"F64"}},"voice":{plain}}}',
        "twice a dtype": '{"v":{"dtype":"F64","dtype":"F32","shape":[510,1,256],"data_offsets":[0,522240]}}',
        "offsets of false and 522240.0": json.dumps({"v": {**ENTRY, "data_offsets": [False, 522240.0]}}),
        "a shape with true": json.dumps({"v": {**ENTRY, "shape": [510, True, 256]}}),
        "offsets from -8": json.dumps({"v": {**ENTRY, "data_offsets": [-8, 522_232]}}),
        "metadata that are a list": json.dumps({"__metadata__": [1], "v": ENTRY}),
        "metadata that are numbers": json.dumps({"__metadata__": {"a": 1}, "v": ENTRY}),
        "deep": '{"v":' + "[" * 60_000,
        "NaN for a tensor": '{"v":NaN}',
        "a number of 50,000 digits": '{"v":' + "9" * 50_000 + "}",
        "null": "null",
        "half a surrogate": '{"v":"\\ud800"}',
    }
    return {
        **{f"npy, {name}": (".npy", header_of(text)) for name, text in headers.items()},
        **{f"npz, {name}": (".npz", zipped({"v.npy": header_of(text)})) for name, text in headers.items()},
        **{f"safetensors, {name}": (".safetensors", with_header(t.encode(), DATA)) for name, t in texts.items()},
        "npz, a pack in a pack": (".npz", zipped({"a.npy": npz.write({"b": A})})),
        "npz, a torch zip in a pack": (".npz", zipped({"a.npy": b"PK\3\4"})),
        "npz, a name that leaves": (".npz", npz.write({"../../evil": A})),
        "npz, an absolute name": (".npz", npz.write({"/etc/cron.d/evil": A})),
        "npz, Windows' path": (".npz", npz.write({"C:\\evil": A})),
        "npz, a folder": (".npz", zipped({"a/.npy": npy.write(A)})),
        "npz, a name turned round": (".npz", npz.write({"a\u202ez": A})),
        "npz, 200 names of one member": (".npz", one[:start] + several + b"PK\5\6" + tail),
        "npz, zip64 of no end": (".npz", one[:-22] + b"PK\6\7" + zip64 + one[-22:]),
        "npz, bombs": (
            ".npz",
            zipped({f"{n}.npy": npy.write(A)[:128] + bytes(2 << 20) for n in range(64)}, zipfile.ZIP_DEFLATED),
        ),
        "bin, a number beyond 1000": (".bin", DATA[:-4] + struct.pack("<f", 1e30)),
        "bin, a NaN with a payload": (".bin", DATA[:-4] + b"\x01\x02\xa3\x7f"),
        "npy, a NaN with a sign": (".npy", npy.write(A)[:-4] + b"\x01\0\xc0\xff"),
        "safetensors, infinity": (".safetensors", safetensors.write(A, {})[:-4] + struct.pack("<f", float("inf"))),
        "bin, an ELF": (".bin", (b"\x7fELF" + bytes(raw.VOICE_BYTES))[:99_999]),
    }


def sound() -> dict[str, tuple[str, bytes]]:
    """Voices that look odd and are none the worse: refusing these would be wrong."""
    from kvw.voices.formats import npy, npz, raw, safetensors
    from tests.voices.test_files import GOOD
    from tests.voices.test_formats import A

    tiny = A.copy()
    tiny[0, 0, :3] = [1e-45, -1e-40, -0.0]
    return {
        "torch's own": (".pt", GOOD),
        "subnormal numbers, npy": (".npy", npy.write(tiny)),
        "subnormal numbers, bin": (".bin", raw.write(tiny)),
        "a pack of odd names": (".npz", npz.write({"voix à deux": A, "声": A, "-rf": A, "CON": A, "$HOME": A})),
        "facts of another program": (".safetensors", safetensors.write(A, {"format": "pt"})),
    }


def oddities(folder: Path) -> dict[str, Path]:
    """Things that are no ordinary files; made in ``folder``."""
    found = {"a folder": folder / "folder.pt", "nothing": folder / "none.pt", "a long name": folder / f"{'n' * 300}.pt"}
    found["a folder"].mkdir()
    sizes = {
        "sparse.pt": 10 << 30,
        "sparse.bin": 522_240 * 20_000,
        "sparse.npz": 10 << 30,
        "sparse.safetensors": 8 << 30,
    }
    for name, size in sizes.items():
        found[f"{size >> 30} GB of nothing, {name}"] = folder / name
        (folder / name).touch()
        os.truncate(folder / name, size)
    for name, target in {"zero": "/dev/zero", "memory": "/proc/self/mem", "loop": "loop.pt", "pipe": "a pipe"}.items():
        with suppress(OSError):
            (folder / f"{name}.pt").symlink_to(target)
            found[f"a link to {target}"] = folder / f"{name}.pt"
    if hasattr(os, "mkfifo"):
        os.mkfifo(folder / "a pipe")
        os.mkfifo(folder / "names.speakers.txt")
        from tests.voices.test_formats import DATA

        (folder / "names.bin").write_bytes(DATA)
        found["names in a pipe"] = folder / "names.bin"
    return found


RECORDS = {
    "no JSON": b"\xff\xfe",
    "deep": b'{"a":' * 100_000,
    "twice a synthesiser": b'{"synthesiser": "kokoro", "synthesiser": "embedded"}',
    "a list that moves the cursor": b'{"synthesiser": ' + json.dumps(["\x1b[2J"] * 50_000).encode() + b"}",
    "an integer of 900,000 digits": b'{"synthesiser": ' + b"9" * 900_000 + b"}",
    "an object": b'{"synthesiser": {"_target_": "os.system"}}',
    "more than a mebibyte": b" " * (2 << 20),
}


def voices(folder: Path) -> list[Row]:
    """Hostile voices, packs and records of voices, and some that are sound; files are made in ``folder``."""
    from kvw.voices.files import facts_of, load_pack

    warm_up()
    marker = folder / "marker"
    for encoding in ("cp437", "raw_unicode_escape"):  # zipfile and pickletools import them when they meet a text
        b"a".decode(encoding)
    files = {**{f"pt, {name}": (".pt", content) for name, content in torch_zips(marker).items()}, **packs()}
    rows = []
    for number, (name, (ending, content)) in enumerate([*files.items(), *sound().items()]):
        path = folder / f"{number}{ending}"
        path.write_bytes(content)
        expected = "refused" if number < len(files) else "loaded"
        rows.append(tried(name, expected, "loaded", lambda path=path: load_pack(path)))
        path.unlink()
    for name, path in oddities(folder).items():
        rows.append(tried(name, "refused", "loaded", lambda path=path: load_pack(path)))
    for name, content in RECORDS.items():
        (folder / "record.json").write_bytes(content)
        action = lambda: facts_of(folder / "record.pt")  # noqa: E731
        rows.append(tried(f"record, {name}", "refused", "loaded", action))
    return [*rows, Row("the payloads", "none ran", "ran" if marker.exists() else "none ran", 0)]


# Configs

GATE = {"_target_": "kvw.fitness.rules.Margin", "margin": 0.9}
COHERENT = {"_target_": "kvw.spaces.offset.Coherent", "freeze": None}

TARGETS = (
    ("os.system", "builtins.eval", "builtins.exec", "subprocess.run", "subprocess.Popen", "shutil.rmtree", "pty.spawn")
    + ("importlib.import_module", "functools.partial", "operator.attrgetter", "hydra.utils.get_object", "numpy.load")
    + ("hydra.utils.instantiate", "hydra._internal.utils._locate", "omegaconf.OmegaConf.load", "torch.load", "os")
    + (
        "kvw.runtime.files.write_whole",
        "kvw.cli.main.entry",
        "kvw.cli.main.main",
        "kvw.cli.main.invoke",
        "kvw.runtime.hub.fetch",
        "kvw.voices.download.fetch_voices",
    )
    + (
        "kvw.speech.embedded.espeak_child.main",
        "kvw.speech.select.automatic",
        "kvw.runs.store.Store",
        "kvw.tasks.destinations.FolderDestination",
    )
    + (
        "kvw.tasks.destinations.PackDestination",
        "kvw.cli.sweep.Sweep",
        "kvw.cli.main.Console",
        "kvw.fitness.background.Scorers",
        "kvw.audio.write.write_audio",
        "kvw.config.nodes.build",
    )
    + (
        "kvw.voices.files.save_voice",
        "kvw.executors.processes.ProcessExecutor",
        "kvw.runs.artifacts.Improvements",
        "kvw.testing.check_strategy",
    )
    + (
        "kvw.errors.KvwError.__init__.__globals__",
        "kvw.errors.KvwError",
        "kvw.config.nodes.partial",
        "kvw.config.nodes.importlib",
    )
    + (
        "kvw.executors.local.os.system",
        "kvw.executors.local.os",
        "strategies.cma.np.load",
        "strategies.cma.np",
        "strategies.cma.Any",
    )
    + ("strategies.cma.deap_random", "strategies.cma.CMA.__init__", "strategies.cma.CMA.__class__", "strategies.cma")
    + (
        "strategies",
        "strategies.",
        "strategies..cma.CMA",
        ".strategies.cma.CMA",
        "strategies.cma.CMA.",
        "kvw",
        "kvw.",
        "",
    )
    + (
        "strategies.cma.CMA\n",
        " strategies.cma.CMA",
        "strategies.cma.CMA\0",
        "strategies/cma.CMA",
        "strategies.cma:CMA",
    )
    + (
        "strategies.__init__.os",
        "strategies.__loader__",
        "strategies.cma.__builtins__",
        "strategies._x.Y",
        "kvwx.gate.Margin",
    )
    + (
        "strategiesx.cma.CMA",
        "stratеgies.cma.CMA",
        "ｓtrategies.cma.CMA",
        "strategies.cma.ＣMA",
        "KVW.gate.Margin",
        "???",
    )
    + (
        "${oc.env:HOME}",
        "strategies.${oc.env:HOME}.X",
        "strategies.nothing.At",
        "strategies.cma.Nothing",
        "../strategies.cma.CMA",
    )
    + (
        "kvw.speech.kokoro.synthesizer.hub.fetch",
        "kvw.spaces.base.np.load",
        "kvw.fitness.rules.Rule.__class__",
        "a" * 10_000,
        "strategies." + "a." * 5000 + "B",
    )
)
"""Names that no place may have, but for one: ``synth`` may be ``automatic``."""

PLACES = ("task", "space", "strategy", "synth", "fitness", "executor", "transcriber")

ODD_NAMES: tuple[Any, ...] = (
    None,
    0,
    True,
    1.5,
    b"strategies.cma.CMA",
    [],
    ["os.system"],
    {},
    {"_target_": "os.system"},
)


def nest(value: Any, depth: int, name: str | None = None) -> Any:
    """``value`` in so many lists, or dicts with the key ``name``."""
    for _ in range(depth):
        value = [value] if name is None else {name: value}
    return value


def nodes() -> dict[str, tuple[str, Any]]:
    """Config nodes that are refused, with their keys."""
    evil = {"_target_": "os.system", "command": "touch evil"}
    fitness = {"_target_": "kvw.fitness.hybrid.HybridFitness"}
    found: dict[str, tuple[str, Any]] = {}
    for place in PLACES:
        for target in TARGETS:
            if place == "executor" and target == "kvw.executors.processes.ProcessExecutor":
                continue
            if place == "synth" and target == "kvw.speech.select.automatic":
                continue
            found[f"{place}: {target!a:.60}"] = (place, {"_target_": target})
        for odd in (*ODD_NAMES, float("nan")):
            found[f"{place}: a name {odd!r}"] = (place, {"_target_": odd})
        for node in (None, [], "kvw.fitness.rules.Margin", 5, [COHERENT], {}):
            found[f"{place}: {node!r} for a node"] = (place, node)
    others = {"space": COHERENT, "executor": {"_target_": "kvw.executors.local.LocalExecutor"}, "fitness": fitness}
    for place, node in others.items():
        for key, value in {
            "_args_": [evil],
            "_partial_": True,
            "_recursive_": False,
            "_convert_": "object",
            "_target": "os.system",
            "__init__": 1,
            "self": 1,
            "__class__": "x",
            "no_such": 1,
            "": 1,
            "a\nb": 1,
            "\x1b[2J": 1,
        }.items():
            found[f"{place}: {key!r}"] = (place, {**node, key: value})
    within = {
        "a node": evil,
        "in a list": [evil],
        "in a list of lists": [[[evil]]],
        "in a dict": {"a": {"b": evil}},
        "behind a good one": [GATE, evil],
        "without recursion": {"_recursive_": False, "x": evil},
        "in a good one": {**GATE, "margin": evil},
        "partial": {**GATE, "_partial_": True},
        "positional": {"_target_": "kvw.fitness.rules.Margin", "_args_": [0.9]},
        "a whole fitness": {"_target_": "kvw.fitness.hybrid.HybridFitness", "weights": {}},
        "another place's": COHERENT,
        "a function of the strategies": {"_target_": "strategies.cma.deap_random", "rng": 1},
        "a function that fetches": {"_target_": "kvw.speech.select.automatic", "voice_folder": "/"},
        "an executor": {"_target_": "kvw.executors.processes.ProcessExecutor", "fitness": "x"},
        "5000 levels of lists": nest(evil, 5000),
        "5000 levels of dicts": nest(evil, 5000, "a"),
        "40 levels": nest(1, 40),
        "_args_ of nobody": {"_args_": [evil]},
    }
    for name, value in within.items():
        found[f"fitness.gates: {name}"] = ("fitness", {**fitness, "gates": {"target": value}})
    found["stages' space"] = ("stages.os.system.space", {"_target_": "kvw.runtime.files.write_whole"})
    found["synth within synth"] = (
        "synth",
        {
            "_target_": "kvw.speech.embedded.synthesizer.EmbeddedSynthesizer",
            "device": {"_target_": "kvw.speech.select.automatic", "voice_folder": "/"},
        },
    )
    found["task: the config itself"] = ("task", {"_target_": "kvw.tasks.speak.speak", "cfg": 1, "speed": 1.0})
    found["task: a class"] = ("task", {"_target_": "strategies.cma.CMA"})
    found["task: another function of the config"] = ("task", {"_target_": "kvw.tasks.export.found"})
    found["task: one that takes more"] = ("task", {"_target_": "kvw.tasks.search.new_run"})
    found["task: a type"] = ("task", {"_target_": "kvw.tasks.speak.speak", "speed": "fast"})
    del found["fitness.gates: _args_ of nobody"]  # a dict of settings may have any keys
    return found


GOOD_NODES = {
    "a space": ("space", COHERENT),
    "a stage's space": ("stages.refine.space", COHERENT),
    "a strategy": ("strategy", {"_target_": "strategies.random_search.RandomSearch", "sigma": 1.0}),
    "a strategy of parts": (
        "strategy",
        {"_target_": "strategies.genetic.Genetic", "mutation": {"_target_": "kvw.search.operators.Mutation"}},
    ),
    "gates": ("fitness", {"_target_": "kvw.fitness.hybrid.HybridFitness", "gates": {"target": GATE, "self": None}}),
    "synth=auto": ("synth", {"_target_": "kvw.speech.select.automatic", "model": None}),
    "a huge list": ("strategy", {"_target_": "strategies.random_walk.RandomWalk", "diversity": [0.1] * 200_000}),
    "a text that looks live": (
        "fitness",
        {"_target_": "kvw.fitness.hybrid.HybridFitness", "probe_text": "${oc.env:HOME}"},
    ),
}


def saved_configs(good: dict[str, Any]) -> dict[str, Any]:
    """Configs of runs that are refused as they are read, made of a good one."""
    changes: dict[str, dict[str, Any]] = {
        "an unknown key": {"hydra": {"run": {"dir": "/"}}},
        "callbacks": {"hydra.callbacks": {}},
        "a target of its own": {"_target_": "os.system"},
        "a number in text": {"seed": "1"},
        "an interpolation for a number": {"seed": "${oc.decode:${oc.env:SEED}}"},
        "an interpolation for a truth value": {"dry_run": "${oc.env:X,true}"},
        "true for a number": {"step_limit": True},
        "a list for a text": {"target_text": ["a"]},
        "null for a text": {"other_text": None},
        "an object": {"task": object()},
        "bytes": {"target_audio": b"x"},
        "a tuple": {"stages": (1, 2)},
        "a number for a key": {"stages": {1: 2}},
        "deep lists": {"stages": nest(1, 5000)},
        "deep dicts": {"stages": nest(1, 5000, "a")},
        "long": {"stages": [0] * 20_000},
        "many interpolations": {"target_text": "${" * 20_000},
        "a huge number": {"minutes": 10**400},
        "a key on two lines": {"a\nb": 1},
    }
    return {
        **{name: {**good, **change} for name, change in changes.items()},
        "no seed": {key: value for key, value in good.items() if key != "seed"},
        "nothing": {},
        "a list": [good],
        "null": None,
    }


def warm_up() -> None:
    """Imports what good files, configs and names may need: an import that is seen later is a bad one's doing."""
    import kvw
    from kvw.testing import strategies

    for module in pkgutil.walk_packages(kvw.__path__, "kvw."):
        if not module.name.endswith("__main__"):
            with suppress(ImportError):  # an optional package
                importlib.import_module(module.name)
    for name in strategies():
        importlib.import_module(f"strategies.{name}")


def composed() -> dict[str, Any]:
    """The default config, as it is saved."""
    from kvw.config.invocation import compose
    from kvw.config.schema import plain

    return dict(plain(compose().cfg))


def configs() -> list[Row]:
    """Hostile config nodes and saved configs, and some that are sound."""
    from kvw.config.nodes import bound, maker
    from kvw.config.saved import restored_config
    from kvw.config.schema import plain

    warm_up()
    good = composed()
    rows = []

    def use(where: str, node: Any) -> None:
        (bound if where == "task" else maker)(node, where)

    for expected, corpus in (("refused", nodes()), ("loaded", GOOD_NODES)):
        for name, (where, node) in corpus.items():
            rows.append(tried(name, expected, "loaded", lambda where=where, node=node: use(where, node)))
    for name, config in saved_configs(good).items():
        rows.append(tried(f"saved, {name}", "refused", "loaded", lambda config=config: restored_config(config)))
    for text in LIVE:
        same = {**good, "target_text": text, "other_text": text, "target_audio": [text], "stages": {text: [text]}}

        def come_back(same: dict[str, Any] = same, text: str = text) -> None:
            cfg = restored_config(same)
            assert plain(cfg) == same and cfg.target_text == text and plain(cfg.stages) == same["stages"]

        rows.append(tried(f"saved, the text {text!a}", "loaded", "loaded", come_back))
    return rows


LIVE = (
    (
        "${oc.env:HOME}",
        r"\${oc.env:HOME}",
        r"\\${oc.env:HOME}",
        "${seed}",
        "${.seed}",
        "${..x}",
        "${oc.decode:'[1]'}",
        "${",
    )
    + (
        "${hydra:runtime.cwd}",
        "${oc.create:{a:1}}",
        "${oc.select:seed}",
        "a${oc.env:HOME}b\\",
        "???",
        "????",
        "${now:%Y}",
    )
    + (
        "null",
        "1",
        "[a,b]",
        "{a: b}",
        "'",
        '"',
        "\\",
        "\\\\",
        "$",
        "${}",
        "${a}${b}",
        "\ud800${x}",
        "\0${x}",
        "é${'}",
        "",
    )
)
"""Texts that OmegaConf would do something about."""


# Names

_DEVICES = ("CON", "PRN", "AUX", "NUL", "COM1", "COM9", "LPT1", "COM¹", "LPT³", "CONIN$", "CONOUT$", "COM0")

NAMES = tuple(
    dict.fromkeys(
        ("", ".", "..", "...", "/", "\\", "//", "~", "~root", "-", "--", "-rf", "--help", "-rf /", "$HOME", "${HOME}")
        + (
            "%PATH%",
            "%00",
            "%2e%2e%2f",
            "..%2f..",
            "`id`",
            "$(id)",
            ";id",
            "|id",
            "&id",
            "a&&b",
            "a>b",
            "<a",
            "a*",
            "?",
        )
        + tuple("../" * n + "evil" for n in range(1, 9))
        + tuple("..\\" * n + "evil" for n in range(1, 9))
        + (
            "/evil",
            "/tmp/evil",
            "//host/share/evil",
            "\\\\host\\share",
            "\\\\?\\C:\\evil",
            "\\\\.\\pipe\\evil",
            "C:evil",
        )
        + (
            "C:\\evil",
            "C:/evil",
            "c:",
            "Z:..\\evil",
            "file:///etc/passwd",
            "http://x/y",
            "a/../../evil",
            "a/./b",
            "a//b",
        )
        + ("./evil", "evil/", "evil/.", "evil/..", "....//evil", "..;/evil", "a:b", "a:b:$DATA", "a::$INDEX_ALLOCATION")
        + tuple(f"{device}{ending}" for device in _DEVICES for ending in ("", ".txt", " .a", ". "))
        + tuple(device.lower() for device in _DEVICES)
        + tuple(f"a{sign}b" for sign in '<>:"/\\|?*\0\n\r\t\v\f\b\a\x1b\x7f\x85\u2028\u2029\u00a0\u200b\ufeff')
        + tuple(f"{sign}{sign}" for sign in " .-_~\0\n")
        + tuple(f"name{sign}" for sign in (" ", ".", "..", " .", ". ", "\n", "\0", "/", "\\", ":", "\u3000"))
        + tuple(f"{sign}name" for sign in (" ", ".", "..", "-", "~", "\0", "\n", "/", "\\", ":"))
        + (
            "e\u0301",
            "é",
            "\u0301",
            "\u0301" * 90,
            "a\u202egnp.exe",
            "\u2066x\u2069",
            "\u200d",
            "👍",
            "👩‍👩‍👧",
            "🏳️‍🌈",
            "ﷺ",
        )
        + (
            "x" * 300,
            "é" * 150,
            "声" * 100,
            "👍" * 75,
            "\U0001f600" * 63 + "ab",
            "x" * 255,
            "x" * 251,
            "x" * 238,
            "a" * 5000,
        )
        + ("\ud800", "\udfff", "a\ud800b", "\udc80\udcff", "\ud83d", "x\udc2f", "İ", "ı", "ſ", "ß", "ﬁ", "Ⅷ", "K", "ª")
        + ("af_heart", "AF_HEART", "best", "best", "Best", "best-2", "BEST-2", "x.embedded", "x.EMBEDDED", ".hidden")
        + (
            "..hidden",
            ".git",
            ".gitignore",
            ".kvw-x.part",
            "desktop.ini",
            "Thumbs.db",
            "__proto__",
            "a.b.c",
            "a b",
            "a\tb",
        )
        + (
            "voix à deux",
            "हिन्दी",
            "日本語",
            "العربية",
            "עברית",
            "Ελλάδα",
            "ไทย",
            "aux.c",
            "nul.tar.gz",
            "con.",
            "com1.x.y",
        )
        + (
            "1e999",
            "NaN",
            "null",
            "true",
            "0",
            "-1",
            "a+b",
            "a(2)+b(1)",
            "a=b",
            "a,b",
            "[a]",
            "{a}",
            "a;b",
            "!",
            "#",
            "@",
        )
    )
)
"""Names that people, programs and enemies give."""

RESERVED = {device.upper() for device in _DEVICES if device != "COM0"}


def is_taken_by_windows(name: str) -> bool:
    """Whether Windows takes a file's name, by its rules (Naming Files, Paths, and Namespaces)."""
    units = len(name.encode("utf-16-le", "surrogatepass")) // 2
    plain = not set(name) & set('<>:"/\\|?*') and all(
        ord(sign) >= 32 and not 0xD800 <= ord(sign) < 0xE000 for sign in name
    )
    stem = name.partition(".")[0].rstrip(" ").upper()
    return 0 < units <= 255 and len(name.encode()) <= 255 and plain and name[-1] not in ". " and stem not in RESERVED


def written(folder: Path) -> list[Path]:
    """Every file in a folder."""
    return [path for path in folder.rglob("*") if not path.is_dir()]


def names(folder: Path, given: Sequence[str] = NAMES) -> list[Row]:
    """What becomes of names, wherever kvw makes files of them; everything is written below ``folder``."""
    warm_up()
    corpus = list(given)
    rows = []
    for number, name in enumerate(corpus):
        inner = folder / str(number) / "inner"
        inner.mkdir(parents=True)
        rows.append(
            tried(f"{name!a:.60}", "inside", "inside", lambda name=name, inner=inner: save_all(name, inner), inner)
        )
        stray = [path for path in written(inner.parent) if inner not in path.parents]
        odd = [path.name for path in written(inner) if not is_taken_by_windows(path.name)]
        if stray or odd:
            rows[-1] = Row(rows[-1].name, "inside", f"strayed {stray!a}, odd {odd!a}", len(stray))
    (folder / "spoken").mkdir()
    rows.append(tried("all in task=speak", "inside", "inside", lambda: speak_all(corpus, folder / "spoken"), folder))
    odd = [path.name for path in written(folder / "spoken") if not is_taken_by_windows(path.name)]
    spoken = {path.name.casefold() for path in written(folder / "spoken")}
    if odd or len(spoken) != len(corpus):
        rows.append(Row("all in task=speak", "inside", f"{len(spoken)} of {len(corpus)} files, odd {odd!a}", 0))
    return rows


def save_all(name: str, folder: Path) -> None:
    """Writes a file for ``name`` wherever kvw would: a recording's text, an exported voice, a run, its output."""
    from omegaconf import OmegaConf

    from kvw.config.inputs import check_numbers
    from kvw.config.problems import Problems
    from kvw.runs import folders
    from kvw.runtime.filenames import safe_stem
    from kvw.runtime.files import write_whole
    from kvw.tasks.destinations import FolderDestination
    from kvw.tasks.export import Namer
    from kvw.tasks.speak import speak
    from kvw.transcription.transcripts import transcript_path, write_transcript
    from kvw.transcription.whisper import Transcript
    from kvw.types import EMBEDDED, KOKORO
    from kvw.voices.reference import NamedVoice

    for digest in ("0" * 64, "1" * 64):  # two recordings of one name
        write_transcript(transcript_path(name, digest, folder), Transcript("words", "en"), name, digest)
    stem = safe_stem(name)
    run = folders.new_folder(folder / "outputs", f"10-00-00-{stem}-random_walk-0")
    cfg = OmegaConf.create(
        {"output_name": "out.wav", "language": {"letter": "a", "target_text": "x"}, "target_text": "x"}
    )
    cfg.update(seed=0, device="cpu", population_limit=1, step_limit=1, patience=None, minutes=None, stop_score=None)
    cfg.output_name = f"{name}.wav" if "???" not in name and "${" not in name else "out.wav"
    problems = Problems()
    check_numbers(cfg, problems)
    begin = "out" if problems.lines else Path(cfg.output_name).stem
    write_whole(run / f"{begin}_123_100.00_1.00_{stem}.wav", b"")
    exported = Namer(cfg, None, "f")(NamedVoice(name, VOICE, KOKORO, ()))
    given = Namer(cfg, name or None, "m")(NamedVoice("x", VOICE, KOKORO, ()))
    place = FolderDestination(folder / "exported", "kokoro_js")
    for label in {exported, given, f"{exported}.{EMBEDDED}"}:
        write_whole(place._file(label), b"")
    if not {"/", "\\"} & set(name):  # a path is the user's own to choose
        with suppress(KvwError):
            cfg.output_name = str(folder / "spoken" / cfg.output_name)
            spoken(cfg, ["one"], speak)


VOICE: Any = None
"""Nobody looks at it here."""


def speak_all(corpus: Sequence[str], folder: Path) -> None:
    """Speaks in voices of these names, in one go."""
    from omegaconf import OmegaConf

    from kvw.tasks.speak import speak

    cfg = OmegaConf.create({"target_text": "x", "output_name": str(folder / "out.wav"), "seed": 0})
    spoken(cfg, corpus, speak)


def spoken(cfg: Any, corpus: Sequence[str], speak: Callable[..., float]) -> None:
    """``task=speak`` with voices of these names, and silence for speech."""
    from unittest import mock

    import numpy as np

    from kvw.voices.reference import NamedVoice

    found = [NamedVoice(name, VOICE, "kokoro", ()) for name in corpus]
    wave = np.full(100, 0.1, np.float32)
    with (
        mock.patch("kvw.tasks.speak.chosen_voices", return_value=found),
        mock.patch("kvw.tasks.speak.synthesizer"),
        mock.patch("kvw.speech.narrate.narrate", return_value=wave),
    ):
        speak(cfg, speed=1.0)
