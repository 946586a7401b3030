"""Names that people, programs and enemies give to files, and which of them Windows takes."""

from __future__ import annotations

_DEVICES = ("CON", "PRN", "AUX", "NUL", "COM1", "COM9", "LPT1", "COM¹", "LPT³", "CONIN$", "CONOUT$", "COM0")


# fmt: off
NAMES = tuple(
    dict.fromkeys((
        "", ".", "..", "...", "/", "\\", "//", "~", "~root", "-", "--", "-rf", "--help", "-rf /", "$HOME", "${HOME}",
        "%PATH%", "%00", "%2e%2e%2f", "..%2f..", "`id`", "$(id)", ";id", "|id", "&id", "a&&b", "a>b", "<a", "a*",
        "?", *tuple("../" * n + "evil" for n in range(1, 9)), *tuple("..\\" * n + "evil" for n in range(1, 9)),
        "/evil", "/tmp/evil", "//host/share/evil", "\\\\host\\share", "\\\\?\\C:\\evil", "\\\\.\\pipe\\evil",
        "C:evil", "C:\\evil", "C:/evil", "c:", "Z:..\\evil", "file:///etc/passwd", "http://x/y", "a/../../evil",
        "a/./b", "a//b", "./evil", "evil/", "evil/.", "evil/..", "....//evil", "..;/evil", "a:b", "a:b:$DATA",
        "a::$INDEX_ALLOCATION",
        *tuple(f"{device}{ending}" for device in _DEVICES for ending in ("", ".txt", " .a", ". ")),
        *tuple(device.lower() for device in _DEVICES),
        *tuple(f"a{sign}b" for sign in '<>:"/\\|?*\0\n\r\t\v\f\b\a\x1b\x7f\x85\u2028\u2029\u00a0\u200b\ufeff'),
        *tuple(f"{sign}{sign}" for sign in " .-_~\0\n"),
        *tuple(f"name{sign}" for sign in (" ", ".", "..", " .", ". ", "\n", "\0", "/", "\\", ":", "\u3000")),
        *tuple(f"{sign}name" for sign in (" ", ".", "..", "-", "~", "\0", "\n", "/", "\\", ":")), "e\u0301", "é",
        "\u0301", "\u0301" * 90, "a\u202egnp.exe", "\u2066x\u2069", "\u200d", "👍", "👩‍👩‍👧", "🏳️‍🌈", "ﷺ", "x" * 300,
        "é" * 150, "声" * 100, "👍" * 75, "\U0001f600" * 63 + "ab", "x" * 255, "x" * 251, "x" * 238, "a" * 5000,
        "\ud800", "\udfff", "a\ud800b", "\udc80\udcff", "\ud83d", "x\udc2f", "İ", "ı", "ſ", "ß", "ﬁ", "Ⅷ", "K", "ª",
        "af_heart", "AF_HEART", "best", "best", "Best", "best-2", "BEST-2", "x.embedded", "x.EMBEDDED", ".hidden",
        "..hidden", ".git", ".gitignore", ".kvw-x.part", "desktop.ini", "Thumbs.db", "__proto__", "a.b.c", "a b",
        "a\tb", "voix à deux", "हिन्दी", "日本語", "العربية", "עברית", "Ελλάδα", "ไทย", "aux.c", "nul.tar.gz", "con.",
        "com1.x.y", "1e999", "NaN", "null", "true", "0", "-1", "a+b", "a(2)+b(1)", "a=b", "a,b", "[a]", "{a}", "a;b",
        "!", "#", "@",
    ))
)
# fmt: on
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
