"""Dates as pages write them, in the forms of many languages, to ISO 8601."""

import datetime
import re

FIRST_YEAR, LAST_YEAR = 1990, 2099
"""The Web began in 1990; a page that says it is older copies a book or is wrong."""
LONGEST = 1000
"""A date stands within so many characters of what is called one."""

MONTHS = (
    "jan jän gen ene ocak sty янв led tammi",
    "feb fév fev şub lut фев úno helmi",
    "mar mär mrz març maa bře мар",
    "apr avr abr kwi апр dub huhti nis",
    "may mai mei mag maj мая май kvě touko mayı",
    "jun jui giu cze июн červen červn kesä haz",
    "jul juil lug lip июл červenc heinä tem",
    "aug aoû aou ago sie авг srp elo ağu",
    "sep set wrz сен zář syys eyl",
    "oct okt ott out paź окт říj loka eki",
    "nov lis ноя list marras kas",
    "dec dez déc dic gru дек pro joulu ara",
)
"""How the names of the months begin, January first: English, German, French, Italian, Spanish, Portuguese, Dutch, the
Scandinavian languages, Polish, Czech, Russian, Finnish and Turkish. The longest beginning that fits a word counts."""
STEMS = {stem: number for number, stems in enumerate(MONTHS, start=1) for stem in stems.split()}
LONGEST_STEM = max(map(len, STEMS))

YEAR_FIRST = re.compile(
    r"(?<!\d)((?:19|20)\d\d)(?:([-/.])(\d\d?)\2(\d\d?)|(\d\d)(\d\d)|\s?[年년]\s?(\d\d?)\s?[月월]\s?(\d\d?))(?!\d)"
)
DAY_NAME_YEAR = re.compile(
    r"(?<!\d)(\d\d?)(?:st|nd|rd|th|er|º|°|\.)?[\s-]{0,3}(?:de |of |d')?\s?([^\W\d_]{3,12})\.?,?[\s-]{0,3}"
    r"(?:de |del )?((?:19|20)\d\d)(?!\d)"
)
NAME_DAY_YEAR = re.compile(r"(?<!\w)([^\W\d_]{3,12})\.?\s{0,3}(\d\d?)(?:st|nd|rd|th)?,?\s{1,3}((?:19|20)\d\d)(?!\d)")
DAY_OR_MONTH_FIRST = re.compile(r"(?<![\d.,])(\d\d?)([./-])\s?(\d\d?)\2\s?((?:19|20)\d\d|\d\d(?=\D|$))(?!\d)")
MONTH_FIRST = frozenset({"en-US", "en-PH"})
"""Where 2/3/2019 is a day of February; in plain `en` it may be either, so it is no date."""
IN_URL = re.compile(r"[/_-]((?:19|20)\d\d)([-/_]?)(\d\d?)\2(\d\d?)(?=\D|$)")


def iso_date(text: str, language: str = "") -> str:
    """The first date in a text as YYYY-MM-DD, as it stands there (no change of time zone); empty if there is none.

    `language` (BCP-47) says whether the day or the month comes first in 2/3/2019; without it such a text is no date.
    """
    text = text[:LONGEST]
    if match := YEAR_FIRST.search(text):
        year, _, month, day, month2, day2, month3, day3 = match.groups()
        return _checked(year, month or month2 or month3, day or day2 or day3)
    if match := DAY_NAME_YEAR.search(text):
        return _checked(match[3], _month(match[2]), match[1])
    if match := NAME_DAY_YEAR.search(text):
        return _checked(match[3], _month(match[1]), match[2])
    if match := DAY_OR_MONTH_FIRST.search(text):
        return _ordered(match[1], match[3], match[4], match[2], language)
    return ""


def url_date(url: str) -> str:
    """The day that stands in the path of an address, as in /2019/08/02/, as YYYY-MM-DD, or nothing."""
    match = IN_URL.search(url.partition("://")[2].partition("?")[0])
    return _checked(match[1], match[3], match[4]) if match else ""


def _month(name: str) -> int:
    name = name.lower()
    return next((STEMS[name[:n]] for n in range(LONGEST_STEM, 2, -1) if name[:n] in STEMS), 0)


def _ordered(one: str, two: str, year: str, mark: str, language: str) -> str:
    first, second = int(one), int(two)
    if len(year) == 2:
        if mark != ".":  # 10-11-12 may be anything
            return ""
        year = f"20{year}"
    if mark == "." or first > 12:
        return _checked(year, second, first)
    if second > 12 or language in MONTH_FIRST:
        return _checked(year, first, second)
    if (
        first == second
        or (language and not language.startswith("en"))
        or language in ("en-GB", "en-AU", "en-NZ", "en-IE")
    ):
        return _checked(year, second, first)
    return ""


def _checked(year: str | int, month: str | int, day: str | int) -> str:
    """YYYY-MM-DD if there is such a day and the Web existed, or nothing."""
    try:
        date = datetime.date(int(year), int(month), int(day))
    except ValueError:
        return ""
    return date.isoformat() if FIRST_YEAR <= date.year <= LAST_YEAR else ""
