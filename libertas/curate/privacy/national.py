"""Numbers that states give to people, where a check digit or a form of their own makes them certain.

Without either (most countries), or where a bare number would be right one time in ten (a Polish PESEL), the name of
the number must stand before it. Sources of the formulas are the issuing authorities' publications.
"""

import re
from collections.abc import Callable, Iterator

from libertas.curate.privacy.checks import (
    ALPHABET_36,
    date_ok,
    luhn_ok,
    mod_11_2_ok,
    mod_11_10_ok,
    verhoeff_ok,
    weighted_sum,
)
from libertas.curate.privacy.spans import NumberRun, PrivateSpan, joins, stands_alone

HETU_LETTERS = "0123456789ABCDEFHJKLMNPRSTUVWXY"
DNI_LETTERS = "TRWAGMYFPDXBNJZSQVHLCKE"
FISCAL_ODD = dict(
    zip(ALPHABET_36, (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6,
                      8, 12, 14, 16, 10, 22, 25, 24, 23), strict=True)
)  # fmt: skip
"""Values of characters at odd places of a codice fiscale (decree of 23 December 1976)."""
UNUSED_SSN = ("078-05-1120", "219-09-9999")
"""Printed in advertisements, never valid since (Social Security Administration)."""


def _us(code: str) -> bool:
    area, group, serial = code.split("-")
    return area not in ("000", "666") and area < "900" and group != "00" and serial != "0000" and code not in UNUSED_SSN


def _fr(code: str) -> bool:
    digits = _digits(code)
    month = int(digits[3:5])
    return (1 <= month <= 12 or 20 <= month <= 42) and 97 - int(digits[:13]) % 97 == int(digits[13:])


def _de(code: str) -> bool:
    digits = _digits(code)
    counts = sorted((digits[:10].count(d) for d in "0123456789"), reverse=True)
    return digits[0] != "0" and counts[0] in (2, 3) and counts[1] == 1 and mod_11_10_ok(digits)


def _br(code: str) -> bool:
    digits = _digits(code)
    first = weighted_sum(digits, tuple(range(10, 1, -1))) * 10 % 11 % 10
    second = weighted_sum(digits, tuple(range(11, 1, -1))) * 10 % 11 % 10
    return len(set(digits)) > 1 and digits[9:] == f"{first}{second}"


def _in(code: str) -> bool:
    groups = code.split()
    years = len(groups) == 3 and all(g[:2] in ("19", "20") for g in groups)
    digits = _digits(code)
    return digits[0] > "1" and not years and len(set(digits)) > 2 and verhoeff_ok(digits)


def _cn(code: str) -> bool:
    return "1900" <= code[6:10] <= "2099" and date_ok(code[8:14]) and mod_11_2_ok(code)


def _se(code: str) -> bool:
    digits = _digits(code)
    return date_ok(digits) and luhn_ok(digits)


def _fi(code: str) -> bool:
    body = code[:6] + code[7:10]
    return date_ok(code[4:6] + code[2:4] + code[:2]) and HETU_LETTERS[int(body) % 31] == code[10]


def _cz(code: str) -> bool:
    month = int(code[2:4]) % 50 % 20
    return 1 <= month <= 12 and 1 <= int(code[4:6]) <= 31 and int(_digits(code)) % 11 == 0


def _ru(code: str) -> bool:
    digits = _digits(code)
    return len(set(digits)) > 1 and weighted_sum(digits[:9], tuple(range(9, 0, -1))) % 101 % 100 == int(digits[9:])


def _cl(code: str) -> bool:
    body, check = code.replace(".", "").split("-")
    remainder = 11 - weighted_sum(body[::-1], (2, 3, 4, 5, 6, 7, 2, 3)) % 11
    return len(set(body)) > 1 and check.upper() == {11: "0", 10: "K"}.get(remainder, str(remainder))


def _be(code: str) -> bool:
    digits = _digits(code)
    right = int(digits[9:])
    return date_ok(digits) and right in (97 - int(digits[:9]) % 97, 97 - int("2" + digits[:9]) % 97)


def _kr(code: str) -> bool:
    digits = _digits(code)
    weights = (2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5)
    return (
        date_ok(digits)
        and "1" <= digits[6] <= "8"
        and (11 - weighted_sum(digits, weights) % 11) % 10 == int(digits[12])
    )


def _es(code: str) -> bool:
    plain = code.replace("-", "")
    number = plain[:-1].translate({88: "0", 89: "1", 90: "2"})
    return len(set(number)) > 2 and DNI_LETTERS[int(number) % 23] == plain[-1]


def _pl(code: str) -> bool:
    month = int(code[2:4]) % 20
    weights = (1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1)
    return 1 <= month <= 12 and 1 <= int(code[4:6]) <= 31 and weighted_sum(code, weights) % 10 == 0


def _tr(code: str) -> bool:
    odd, even = sum(map(int, code[0:9:2])), sum(map(int, code[1:8:2]))
    return code[0] != "0" and (odd * 7 - even) % 10 == int(code[9]) and sum(map(int, code[:10])) % 10 == int(code[10])


def _nl(code: str) -> bool:
    return weighted_sum(code, (9, 8, 7, 6, 5, 4, 3, 2, -1)) % 11 == 0 and len(set(code)) > 1


def _za(code: str) -> bool:
    return date_ok(code) and luhn_ok(code)


def _digits(code: str) -> str:
    return "".join(c for c in code if c.isdecimal())


Check = Callable[[str], bool]
FORMS: tuple[tuple[str, str, Check], ...] = (
    ("US", r"[0-9]{3}-[0-9]{2}-[0-9]{4}", _us),
    ("FR", r"[12] [0-9]{2} [0-9]{2} [0-9]{2} [0-9]{3} [0-9]{3} ?[0-9]{2}", _fr),
    ("FR", r"[12][0-9]{14}", _fr),
    ("DE", r"[1-9][0-9] [0-9]{3} [0-9]{3} [0-9]{3}", _de),
    ("BR", r"[0-9]{3}\.[0-9]{3}\.[0-9]{3}-[0-9]{2}", _br),
    ("IN", r"[2-9][0-9]{3} [0-9]{4} [0-9]{4}", _in),
    ("CN", r"[1-9][0-9]{16}[0-9X]", _cn),
    ("SE", r"[0-9]{6}-[0-9]{4}", _se),
    ("FI", r"[0-9]{6}-[0-9]{3}[0-9A-FHJ-NPR-Y]", _fi),
    ("CZ", r"[0-9]{6}/[0-9]{4}", _cz),
    ("RU", r"[0-9]{3}-[0-9]{3}-[0-9]{3} [0-9]{2}", _ru),
    ("CL", r"[0-9]{1,2}\.[0-9]{3}\.[0-9]{3}-[0-9kK]", _cl),
    ("BE", r"[0-9]{2}\.[0-9]{2}\.[0-9]{2}-[0-9]{3}\.[0-9]{2}", _be),
    ("KR", r"[0-9]{6}-[0-9]{7}", _kr),
    ("ES", r"[0-9]{8}-?[A-HJ-NP-TV-Z]", _es),
)
"""Country, how its number is written, and its check: certain without any word beside it."""
NAMED: tuple[tuple[str, str, Check, re.Pattern[str]], ...] = tuple(
    (country, form, check, re.compile(rf"(?:{words})[^0-9\n]{{0,24}}\Z"))
    for country, form, check, words in (
        ("DE", r"[1-9][0-9]{10}", _de, r"steuer|identifikationsnummer|\bidnr|\btin\b|tax id"),
        ("PL", r"[0-9]{11}", _pl, r"pesel"),
        ("BR", r"[0-9]{11}", _br, r"\bcpf\b"),
        ("TR", r"[1-9][0-9]{10}", _tr, r"kimlik|\btckn|\btc no\b"),
        ("IN", r"[2-9][0-9]{11}", _in, r"aadha+r|uidai|आधार"),
        ("NL", r"[0-9]{9}", _nl, r"\bbsn\b|burgerservicenummer|sofi-?nummer"),
        ("ZA", r"[0-9]{13}", _za, r"\bid\b|identity|\brsa\b"),
        ("US", r"[0-9]{9}", lambda c: _us(f"{c[:3]}-{c[3:5]}-{c[5:]}"), r"\bssn\b|social security"),
        ("GB", r"[0-9]{3} ?[0-9]{3} ?[0-9]{4}", lambda c: _nhs(_digits(c)), r"\bnhs\b"),
    )
)
"""The same for numbers that need their name before them."""


def _nhs(digits: str) -> bool:
    check = 11 - weighted_sum(digits, (10, 9, 8, 7, 6, 5, 4, 3, 2)) % 11
    return check % 11 == int(digits[9]) and check != 10


ANY_FORM = "|".join(f"(?P<f{n}>{form})" for n, (_, form, _) in enumerate(FORMS))
SHAPE = re.compile(rf"(?<![0-9])(?:{ANY_FORM})(?![0-9])")
NAMED_SHAPE = re.compile(r"(?<![0-9])(?:[0-9]{9,13}|[0-9]{3} [0-9]{3} [0-9]{4})(?![0-9])")
LETTER_FIRST = re.compile(
    r"[A-Z](?:(?<=[XYZ])-?[0-9]{7}-?[A-HJ-NP-TV-Z]|[A-Z](?:[0-9]{2}(?=[ \u00a0]?[0-9A-Z]{4})"
    r"|[A-Z]{4}[0-9]{2}[A-EHLMPRST][0-9]{2}[A-Z][0-9]{3}[A-Z]))"
)
"""A NIE, a codice fiscale, and how an IBAN begins: what starts with a capital letter is looked for together,
and the set of first letters stands alone, as the search is then three times as fast."""


def national_numbers(run: NumberRun) -> Iterator[PrivateSpan]:
    """Numbers of people in a run of digits."""
    for match in SHAPE.finditer(run.window):
        country, _, check = FORMS[int((match.lastgroup or "f0")[1:])]
        if _alone(run, match) and check(match[0]):
            yield PrivateSpan(run.first + match.start(), run.first + match.end(), "national_id", country)
    for match in NAMED_SHAPE.finditer(run.window):
        before = run.before(match.start())
        for country, form, check, words in NAMED:
            if re.fullmatch(form, match[0]) and words.search(before) and _alone(run, match) and check(match[0]):
                yield PrivateSpan(run.first + match.start(), run.first + match.end(), "national_id", country)
                break


def _alone(run: NumberRun, match: re.Match[str]) -> bool:
    return stands_alone(run.window, *match.span(), "".join({c for c in match[0] if not c.isalnum()} | {"-"}))


def lettered_number(text: str, match: re.Match[str]) -> Iterator[PrivateSpan]:
    """What `LETTER_FIRST` found, if it is a Spanish or an Italian number."""
    start, end = match.span()
    if (start and joins(text[start - 1])) or joins(text[end : end + 1]):
        return
    if len(match[0]) == 16:
        if _it(match[0]):
            yield PrivateSpan(start, end, "national_id", "IT")
    elif len(match[0]) > 4 and _es(match[0]):
        yield PrivateSpan(start, end, "national_id", "ES")


def _it(code: str) -> bool:
    odd = sum(FISCAL_ODD[c] for c in code[0:15:2])
    even = sum(int(c) if c.isdigit() else ord(c) - ord("A") for c in code[1:15:2])
    return chr(ord("A") + (odd + even) % 26) == code[15]
