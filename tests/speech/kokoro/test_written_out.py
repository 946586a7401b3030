"""English in words alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvw.speech.kokoro.written_out import written_out

ALIKE = {
    "for 1.5 meters at 5 p.m. on example.com": "for one point five meters at five P M on example dot com",
    "$5.50, £2.01, $1, $0.99": "five dollars and fifty cents, two pounds and one penny, one dollar, ninety-nine cents",
    "$3.5 million, €5bn, 5€, -$5": "three point five million dollars, five billion euros, five euros, "
    "minus five dollars",
    "$5–$10 million, US$20, 50¢": "five to ten million dollars, US twenty dollars, fifty cents",
    "10:30 a.m., 5:00 p.m. Then 10:05": "ten thirty A M, five P M. Then ten oh five",
    "12:00, 14:00, 5pm, 1:02:01": "twelve o'clock, fourteen hundred, five P M, one oh two and one second",
    "Dr. Smith of 9 Main St. met St. John": "Doctor Smith of nine Main Street met Saint John",
    "Mr. and Mrs. J. R. Orr of Orr Inc.": "Mister and Missus J R Orr of Orr Incorporated.",
    "The U.S. Army left the U.S.": "The U S Army left the U S.",
    "e.g. AT&T, i.e. No. 5, etc. Then #1": "for example A T and T, that is number five, et cetera. Then number one",
    "in 1984, 1905, 2024, 1900 and 1914–1918": "in nineteen eighty-four, nineteen oh five, twenty twenty-four, "
    "nineteen hundred and nineteen fourteen to nineteen eighteen",
    "the 1990s, the '90s": "the nineteen nineties, the nineties",
    "the 21st, 2nd and 1,000th": "the twenty-first, second and one thousandth",
    "50%, 80-90 %, 20°C, -5 °C": "fifty percent, eighty to ninety percent, twenty degrees Celsius, "
    "minus five degrees Celsius",
    "5 km, 1 km/h, 3 m², 1 ft, 5'10\"": "five kilometers, one kilometer per hour, three square meters, one foot, "
    "five foot ten",
    "½ cup, 1½ cups, 3/4, 2 1/2, 24/7": "one half cup, one and a half cups, three quarters, two and a half, "
    "twenty-four seven",
    "10-20 people, a 20-year-old": "ten to twenty people, a twenty-year-old",
    "555-1234, 123-45-6789": "five five five, one two three four, one two three, four five, six seven eight nine",
    "version 2.0.1 of file.txt and/or 007": "version two point zero point one of file dot txt and or zero zero seven",
    "me@my-host.co.uk, https://www.a.org/b_c": "me at my dash host dot co dot uk, "
    "www dot a dot org slash b underscore c",
    "B2B, COVID-19, x², ٣٤, 2+2=4": "B two B, COVID-nineteen, x squared, thirty-four, two plus two equals four",
    ".5, 0.05 and 1,2,3": "point five, zero point zero five and one, two, three",
    "He said \"5.\" End.Begin (maybe), 'well'!": "He said \"five.\" End. Begin (maybe), 'well'!",
}


@pytest.mark.parametrize("text", ALIKE)
def test_numbers_signs_and_abbreviations_are_words(text):
    assert written_out(text) == written_out(text, british=True) == ALIKE[text]


@pytest.mark.parametrize(
    ("text", "american", "british"),
    [
        ("3,497 dollars", "three thousand four hundred ninety-seven", "three thousand four hundred and ninety-seven"),
        ("March 5, 2024", "March fifth, twenty twenty-four", "the fifth of March, twenty twenty-four"),
        ("3/4/2019", "March fourth, twenty nineteen", "the third of April, twenty nineteen"),
        ("2024-12-25", "December twenty-fifth, twenty twenty-four", "the twenty-fifth of December, twenty twenty-four"),
    ],
)
def test_numbers_and_dates_are_said_as_in_the_country(text, american, british):
    assert written_out(text).startswith(american)
    assert written_out(text, british=True).startswith(british)


@pytest.mark.parametrize("text", ["The quick brown fox; it's “well-known” (maybe)...", "I am. So? Yes! Nobody—none."])
def test_words_stay_as_they_are(text):
    assert written_out(text) == text


OFTEN = st.text(alphabet="0123456789.,:/-–$£€%°'()@#& ²½①٣\nabmpkgsthndrMDSt", max_size=60)


@given(OFTEN | st.text(max_size=60), st.booleans())
def test_no_text_fails_and_none_keeps_a_digit(text, british):
    assert not any(map(str.isdigit, written_out(text, british=british)))


@pytest.mark.parametrize("unit", ["1", "1,", "1-", "1/", "$1-", "1.", "a.", "A. ", "a@a.", "-", "Dr. ", " "])
def test_a_number_of_any_length_is_written_out(unit):
    assert not any(map(str.isdigit, written_out(unit * (6000 // len(unit)))))
