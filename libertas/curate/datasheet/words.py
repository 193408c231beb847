"""Words of any script without a dictionary, and the few fields of `meta` that need reading."""

import re
from urllib.parse import urlsplit

_MARKS = (
    "\u0300-\u036f\u0483-\u0487\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06dc\u0900-\u0963\u0966-\u0dff"
)
"""Combining marks belong to the letter before them, but Python's `\\w` has none; Indic blocks are taken whole."""
WORD = re.compile(rf"[\w{_MARKS}]+(?:['’][\w{_MARKS}]+)*")
UNSPACED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")
"""Letters of Thai, Lao, Burmese, Khmer, Japanese and Chinese, written without spaces: each counts as a word."""

NUMBER = re.compile(r"\+?\d[\d /().-]{7,40}\d")
"""What may be a number of a telephone, a card or an account."""
NUMBER_DIGITS = 9
"""Digits from which it is without_contacts; a date has eight."""
MASK = "[…]"

LOCAL = "(local files)"
NO_HOST = "(no host)"
NO_ADDRESS = "(no address)"


def words_in(text: str) -> list[str]:
    """Runs of letters, marks and digits; letters of scripts without spaces stand alone."""
    return WORD.findall(UNSPACED.sub(r" \g<0> ", text) if UNSPACED.search(text) else text)


def without_contacts(text: str) -> str:
    """A short quotation without what looks like an address of mail or a long number, so that a page repeats none.

    A rough net: it knows no names, and a datasheet should be read before it is published.
    """
    said = " ".join(MASK if "@" in word else word for word in text.split(" "))
    return NUMBER.sub(lambda m: MASK if sum(map(str.isdigit, m[0])) >= NUMBER_DIGITS else m[0], said)


def domain_of(url: object) -> str:
    """The host that an address names, without `www.`."""
    if not isinstance(url, str) or not url:
        return NO_ADDRESS
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        return NO_HOST
    if parts.scheme in ("urn", "file", ""):
        return LOCAL
    return host.removeprefix("www.") if host else NO_HOST


def year_of(date: object) -> str | None:
    """The year with which an ISO 8601 date begins, or None."""
    if not isinstance(date, str) or len(date) < 4 or not (date[:4].isascii() and date[:4].isdigit()):
        return None
    return date[:4] if date[4:5] in ("", "-", "T") else None
