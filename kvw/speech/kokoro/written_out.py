"""English with its numbers, signs and abbreviations written out as words, for a phonemiser that reads words only.

misaki's espeak cuts a text at every mark before espeak sees it: ``3,497`` would be said "three, four hundred
ninety-seven". The words of numbers are num2words's, on which misaki's own English rests.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

from num2words import num2words

_TITLES = {
    "Dr": "Doctor", "Mr": "Mister", "Mrs": "Missus", "Ms": "Miz", "Prof": "Professor", "Rev": "Reverend",
    "Hon": "Honorable", "Gen": "General", "Col": "Colonel", "Maj": "Major", "Capt": "Captain", "Cpt": "Captain",
    "Lt": "Lieutenant", "Sgt": "Sergeant", "Sen": "Senator", "Rep": "Representative", "Gov": "Governor",
    "Pres": "President", "St": "Saint", "Mt": "Mount", "Ft": "Fort",
}  # fmt: skip
_AFTER_A_NAME = {"St": "Street", "Dr": "Drive", "Ave": "Avenue", "Blvd": "Boulevard", "Rd": "Road", "Jr": "Junior",
                 "Sr": "Senior", "Inc": "Incorporated", "Ltd": "Limited", "Corp": "Corporation", "Co": "Company",
                 "Bros": "Brothers"}  # fmt: skip
_ANYWHERE = {"e.g.": "for example", "i.e.": "that is", "vs.": "versus", "approx.": "approximately",
             "dept.": "department", "est.": "established", "w/o": "without", "a.k.a.": "also known as",
             "Ph.D.": "P H D"}  # fmt: skip
_MONTHS = ["January", "February", "March", "April", "May", "June",
           "July", "August", "September", "October", "November", "December"]  # fmt: skip
_SHORT_MONTHS = {month[:3]: month for month in _MONTHS} | {"Sept": "September"}

_CURRENCIES = {
    "$": ("dollar", "dollars", "cent", "cents"), "£": ("pound", "pounds", "penny", "pence"),
    "€": ("euro", "euros", "cent", "cents"), "¥": ("yen", "yen", "sen", "sen"),
    "₹": ("rupee", "rupees", "paisa", "paise"), "₩": ("won", "won", "jeon", "jeon"),
    "₽": ("ruble", "rubles", "kopek", "kopeks"),
}  # fmt: skip
_SCALES = {"k": "thousand", "K": "thousand", "m": "million", "M": "million", "mn": "million", "bn": "billion",
           "B": "billion", "tn": "trillion", "T": "trillion"}  # fmt: skip

_UNITS = {
    "km/h": "kilometers per hour", "kph": "kilometers per hour", "mph": "miles per hour", "m/s": "meters per second",
    "km": "kilometers", "m": "meters", "cm": "centimeters", "mm": "millimeters", "mi": "miles", "ft": "feet",
    "yd": "yards", "kg": "kilograms", "g": "grams", "mg": "milligrams", "lb": "pounds", "lbs": "pounds",
    "oz": "ounces", "l": "liters", "L": "liters", "ml": "milliliters", "mL": "milliliters", "h": "hours",
    "hr": "hours", "hrs": "hours", "min": "minutes", "mins": "minutes", "sec": "seconds", "ms": "milliseconds",
    "Hz": "hertz", "kHz": "kilohertz", "MHz": "megahertz", "GHz": "gigahertz", "kB": "kilobytes", "KB": "kilobytes",
    "MB": "megabytes", "GB": "gigabytes", "TB": "terabytes", "W": "watts", "kW": "kilowatts", "kWh": "kilowatt hours",
    "V": "volts", "dB": "decibels", "°C": "degrees Celsius", "°F": "degrees Fahrenheit", "°": "degrees",
    "%": "percent", "‰": "per mille", "¢": "cents",
}  # fmt: skip
_PARTS = {2: "half", 4: "quarter"}  # of fractions; the others are ordinals
_SIGNS = {
    "&": "and", "+": "plus", "=": "equals", "@": "at", "×": "times", "÷": "divided by", "±": "plus or minus",
    "%": "percent", "‰": "per mille", "°": "degrees", "²": "squared", "³": "cubed", "<": "less than",
    ">": "greater than", "©": "copyright", "™": "trademark", "®": "registered", "~": "about", "_": " ", "|": ",",
    "*": " ", "^": " ", "\\": " ", "#": " ", "`": " ", "/": " ",
}  # fmt: skip
_SIGNS |= {sign: name[0] for sign, name in _CURRENCIES.items()}

_INTEGER = r"\d{1,3}(?:,\d{3})+(?!\d)|\d+"
_NUMBER = rf"(?:(?:{_INTEGER})(?:\.\d+)?|(?<![\d.])\.\d+)"
_FREE = r"(?<![\w.,])"  # before a number that is no part of a word or of another number
_LONGEST = 15  # digits of a number that is said as one; a longer one is said digit by digit

Rule = tuple[re.Pattern[str], Callable[[re.Match[str]], str]]


def written_out(text: str, *, british: bool = False) -> str:
    """``text`` in words alone, without periods inside a sentence: ``$5.50`` is "five dollars and fifty cents".

    What is ambiguous is read as most texts mean it: ``St.`` before a name is Saint, after one Street; four digits from
    1100 to 2099 are a year.

    Args:
        text: English, in NFC.
        british: says "one hundred and one" and days before months.
    """
    text = "".join(map(_ascii_digit, text)).replace("’", "'").replace("−", "-").replace("⁄", "/")
    for pattern, write in _RULES[british]:
        text = pattern.sub(write, text)
    return re.sub(r"[^\S\n]+", " ", text).strip()


def _ascii_digit(character: str) -> str:
    """Digits of every script, and fractions, in ASCII; ``²`` and ``³`` are words."""
    if character.isascii() or character in "²³":
        return character
    if character.isdigit():
        return str(unicodedata.digit(character))
    is_fraction = unicodedata.decomposition(character).startswith("<fraction>")
    return unicodedata.normalize("NFKC", f" {character} ") if is_fraction else character


class _Words:
    """The words of numbers, in American or British English."""

    def __init__(self, british: bool) -> None:
        self.british = british

    def _said(self, number: int, kind: str = "cardinal") -> str:
        words = str(num2words(number, to=kind)).replace(",", "")
        return words if self.british else words.replace(" and ", " ")

    def digits(self, digits: str) -> str:
        return " ".join(self._said(int(digit)) for digit in digits)

    def number(self, digits: str) -> str:
        """``3,497``, ``1.5``, ``.5`` or ``007``, by its value, or digit by digit where that is how it is said."""
        whole, _, decimals = digits.replace(",", "").partition(".")
        spelled = len(whole) > _LONGEST or (len(whole) > 1 and whole[0] == "0")
        words = self.digits(whole) if spelled or not whole else self._said(int(whole))
        return f"{words} point {self.digits(decimals)}".strip() if decimals else words

    def ordinal(self, digits: str) -> str:
        plain = digits.replace(",", "")
        return self._said(int(plain), "ordinal") if len(plain) <= _LONGEST else f"{self.digits(plain)}th"

    def year(self, digits: str) -> str:
        return self._said(int(digits), "year").replace("oh-", "oh ")

    def either(self, digits: str) -> str:
        """A year where the digits may be one, else the number."""
        return self.year(digits) if re.fullmatch(r"1[1-9]\d\d|20\d\d", digits) else self.number(digits)

    def decade(self, digits: str) -> str:
        words = self.either(digits)
        return f"{words[:-1]}ies" if words.endswith("y") else f"{words}s"

    def date(self, day: str, month: str, year: str | None) -> str:
        named = f"the {self.ordinal(day)} of {month}" if self.british else f"{month} {self.ordinal(day)}"
        return f"{named}, {self.year(year)}" if year else named

    def money(self, sign: str, amount: str, scale: str | None) -> str:
        one, many, cent, cents = _CURRENCIES[sign]
        whole, _, decimals = amount.partition(".")
        if scale:
            return f"{self.number(amount)} {_SCALES.get(scale, scale)} {many}"
        if decimals and len(decimals) != 2:
            return f"{self.number(amount)} {many}"
        parts = []
        if whole.strip("0") or not decimals.strip("0"):
            parts.append(f"{self.number(whole or '0')} {one if whole == '1' else many}")
        if decimals.strip("0"):
            parts.append(f"{self._said(int(decimals))} {cent if decimals == '01' else cents}")
        return " and ".join(parts)

    def time(self, hour: str, minute: str, second: str | None, half: str | None) -> str:
        words = [self._said(int(hour))]
        if minute != "00":
            words.append(f"oh {self._said(int(minute))}" if minute[0] == "0" else self._said(int(minute)))
        elif not half:
            words.append("o'clock" if 1 <= int(hour) <= 12 else "hundred")
        if second:
            words.append(f"and {self.unit(second.lstrip('0') or '0', 'sec')}")
        return " ".join([*words, *(half or "").upper()])

    def unit(self, number: str, unit: str, power: str | None = None) -> str:
        name = _UNITS[unit]
        if number == "1":  # the unit of one, of which "feet" alone has a plural of its own
            first, space, others = name.partition(" ")
            name = ("foot" if first == "feet" else first.removesuffix("s")) + space + others
        return f"{self.number(number)} {_POWERS[power]}{name}"

    def fraction(self, whole: str | None, above: str, below: str) -> str:
        if int(above) >= int(below) or int(below) > 10:
            return " ".join(map(self.number, filter(None, (whole, above, below))))  # 24/7, 9/11
        part = _PARTS.get(int(below)) or self.ordinal(below)
        if above != "1":
            part = "halves" if part == "half" else f"{part}s"
        if whole:
            return f"{self.number(whole)} and {'a' if above == '1' else self.number(above)} {part}"
        return f"{self.number(above)} {part}"


_POWERS = {None: "", "²": "square ", "³": "cubic "}


def _address(address: str) -> str:
    """A web or mail address as it is read out."""
    address = re.sub(r"^https?://", "", address)
    for mark, name in {".": "dot", "/": "slash", "@": "at", "-": "dash", "_": "underscore", ":": "colon"}.items():
        address = address.replace(mark, f" {name} ")
    return address


def _ended(words: str, match: re.Match[str]) -> str:
    """``words`` for the abbreviation ``match``, with its period where that ends a sentence too."""
    rest = match.string[match.end() :]
    ends = not rest.strip() or (match[0][0].islower() and re.match(r"\s+[A-Z]", rest))
    return f"{words}." if ends and match[0].endswith(".") else words


def _rules(british: bool) -> list[Rule]:
    """Patterns and what writes their matches out, in the order in which they apply: what is longer comes first."""
    say = _Words(british)
    signs = "".join(map(re.escape, _CURRENCIES))
    scales = "|".join(["thousand", "million", "billion", "trillion", *sorted(_SCALES, key=len, reverse=True)])
    units = "|".join(map(re.escape, sorted(_UNITS, key=len, reverse=True)))
    months = "|".join([*_MONTHS, *(rf"{short}\." for short in _SHORT_MONTHS), *_SHORT_MONTHS])
    ends = r"(?!\w)"
    day, year = r"(0?[1-9]|[12]\d|3[01])", r"(1[1-9]\d\d|20\d\d)"

    anywhere = {short.lower(): words for short, words in _ANYWHERE.items()}

    def month(name: str) -> str:
        return _SHORT_MONTHS.get(name.rstrip("."), name)

    def slashed(match: re.Match[str]) -> str:
        number, date = (match[2], match[1]) if british else (match[1], match[2])
        if int(number) > 12:
            number, date = date, number
        return say.date(date, _MONTHS[int(number) - 1], match[3]) if 1 <= int(number) <= 12 else match[0]

    given: list[tuple[str, Callable[[re.Match[str]], str]]] = [
        # addresses
        (r"\b[\w.+-]+@[\w-]+(?:\.[\w-]+)+|\bhttps?://[\w./:@-]*[\w/]|\bwww\.[\w./-]*\w", lambda m: _address(m[0])),
        (r"(?<![\w.])(?:[\w-]{2,}\.)+(?:com|org|net|edu|gov|io|ai|uk|de|fr|eu|info|dev)\b(?:/[\w./-]*\w)?",
         lambda m: _address(m[0])),
        # abbreviations
        (rf"(?<![\w.])(?i:{'|'.join(map(re.escape, _ANYWHERE))})(?!\w)", lambda m: anywhere[m[0].lower()]),
        (r"\betc\.", lambda m: _ended("et cetera", m)),
        (rf"\b(?:({'|'.join(_TITLES)})\.|(Dr|Mr|Mrs|Ms|Prof|St))(?=\s+(?:[A-Z]|and\b))",
         lambda m: _TITLES[m[1] or m[2]]),
        (rf"\b({'|'.join(_AFTER_A_NAME)})\.(?!\w)", lambda m: _ended(_AFTER_A_NAME[m[1]], m)),
        (r"\b(?:No|Nos)\.\s?(?=\d)|№\s?|#(?=\d)", lambda m: "number "),
        (r"\b([A-Z]\. ?(?:[A-Z]\. ?)+)(?=[A-Z][a-z])", lambda m: m[1].replace(".", " ")),  # J. R. Smith
        (r"(?<![\w.])((?:[A-Za-z]\.)+[A-Za-z])(?!\w)\.?", lambda m: _ended(m[1].replace(".", " ").upper(), m)),
        (r"\b[A-Z]{1,2}&[A-Z]\b", lambda m: " ".join(m[0]).replace("&", "and")),  # AT&T
        # dates
        (rf"{_FREE}{year}-(0[1-9]|1[0-2])-{day}{ends}", lambda m: say.date(m[3], _MONTHS[int(m[2]) - 1], m[1])),
        (rf"{_FREE}(\d\d?)/(\d\d?)/{year}{ends}", slashed),
        (rf"\b({months}) {day}(?:st|nd|rd|th)?(?:,? {year})?(?![\w:]|[.,]\d)",
         lambda m: say.date(m[2], month(m[1]), m[3])),
        (rf"{_FREE}(the )?{day}(?:st|nd|rd|th)?( of)? ({months})(?:,? {year})?{ends}",
         lambda m: f"the {say.ordinal(m[2])} of {month(m[4])}" + (f", {say.year(m[5])}" if m[5] else "")),
        # times
        (rf"{_FREE}([01]?\d|2[0-4]):([0-5]\d)(?::([0-5]\d))?(?:\s?([AaPp] ?[Mm])\b)?(?!\d)",
         lambda m: say.time(m[1], m[2], m[3], m[4] and m[4].replace(" ", ""))),
        (rf"{_FREE}(\d\d?)\s?([AaPp][Mm])\b", lambda m: say.time(m[1], "00", None, m[2])),
        (rf"(?<![\w)\]-])-(?=[{signs}]?\.?\d)", lambda m: "minus "),
        # money; "$5-10 million" is a range of it
        (rf"([{signs}])\s?({_NUMBER})(?:\s?[-–—]\s?[{signs}]?({_NUMBER}))?(?:\s?({scales}){ends})?",
         lambda m: (f" {say.number(m[2])} to " if m[3] else " ") + say.money(m[1], m[3] or m[2], m[4])),
        (rf"{_FREE}({_NUMBER})\s?([{signs}])", lambda m: say.money(m[2], m[1], None)),
        # digits that are no number
        (r"(?<![\w.,])(\+?)((?:\d{1,3}[ -])?(?:\(\d{3}\) ?|\d{3}[-. ])?\d{3}[-.]\d{4}|\d+(?:-\d+){2,})(?![\d-])",
         lambda m: ("plus " if m[1] else "") + ", ".join(map(say.digits, re.findall(r"\d+", m[2])))),
        (r"(?<![\w.,])\d+(?:\.\d+){2,}", lambda m: " point ".join(map(say.number, m[0].split(".")))),
        # fractions, decades, ordinals
        (rf"{_FREE}(?:(\d+)\s+)?(\d{{1,4}})/(\d{{1,4}})(?![\w/])", lambda m: say.fraction(m[1], m[2], m[3])),
        (r"(?<![\w.,])'?(\d0|\d{3}0)'?s\b", lambda m: say.decade(m[1])),
        (rf"{_FREE}({_INTEGER})(?:st|nd|rd|th)\b", lambda m: say.ordinal(m[1])),
        # ranges
        (rf"(?<=\d)((?:\s?(?:{units}))?)\s?[–—-]\s?(?=\d)", lambda m: f"{m[1]} to "),
        # quantities
        (r"\b(\d)'\s?(\d\d?)\"", lambda m: f"{say.number(m[1])} foot {say.number(m[2])}"),
        (rf"{_FREE}({_NUMBER})[ -]?({units})([²³])?{ends}", lambda m: say.unit(m[1], m[2], m[3])),
        # numbers
        (r"(?<=[^\W\d])(?=\d)|(?<=\d)(?=[^\W\d])", lambda m: " "),
        (rf"{_FREE}(\d{{4}})(?![.,]?\d)", lambda m: say.either(m[1])),
        (_NUMBER, lambda m: say.number(m[0])),
        # what is left
        (rf"[{''.join(map(re.escape, _SIGNS))}]", lambda m: f" {_SIGNS[m[0]]} "),
        (r"(?<=\w)\.(?=[a-z])", lambda m: " dot "),
        (r"(?<=\w)([.,;:!?])(?=[^\W\d_])", lambda m: f"{m[1]} "),
        (r" +(?=[.,;:!?)\]])", lambda m: ""),
    ]  # fmt: skip
    return [(re.compile(pattern), write) for pattern, write in given]


_RULES = {british: _rules(british) for british in (False, True)}
