"""Telephone numbers: international ones anywhere, national ones by their form or by a word such as `tel.` before them.

Plans of numbers are ITU-T E.164's and the national regulators'; without a word before it, a number counts only if it
is written in a way that hardly anything else is.
"""

import re
from collections.abc import Iterator
from itertools import pairwise

from libertas.curate.privacy.spans import NumberRun, PrivateSpan, joins, stands_alone

LENGTHS = {
    "1": (10, 10), "7": (10, 10), "20": (8, 10), "27": (9, 9), "30": (10, 10), "31": (9, 9), "32": (8, 9), "33": (9, 9),
    "34": (9, 9), "36": (8, 9), "39": (6, 11), "40": (9, 9), "41": (9, 9), "43": (5, 13), "44": (9, 10), "45": (8, 8),
    "46": (7, 10), "47": (8, 8), "48": (9, 9), "49": (6, 12), "51": (8, 9), "52": (10, 11), "53": (6, 8),
    "54": (10, 11),
    "55": (10, 11), "56": (8, 9), "57": (8, 10), "58": (10, 10), "60": (8, 10), "61": (9, 9), "62": (8, 12),
    "63": (8, 10), "64": (8, 10), "65": (8, 8), "66": (8, 9), "81": (9, 10), "82": (8, 10), "84": (9, 10),
    "86": (10, 11), "90": (10, 10), "91": (10, 10), "92": (9, 10), "93": (9, 9), "94": (9, 9), "95": (7, 10),
    "98": (10, 10),
}  # fmt: skip
"""Digits after a country code, at least and at most."""
THREE_DIGIT_CODES = frozenset(
    str(code)
    for first, last in (
        (211, 213), (216, 216), (218, 218), (220, 269), (290, 291), (297, 299), (350, 359), (370, 383), (385, 387),
        (389, 389), (420, 421), (423, 423), (500, 509), (590, 599), (670, 670), (672, 683), (685, 692), (800, 800),
        (850, 850), (852, 853), (855, 856), (880, 881), (886, 886), (960, 968), (970, 977), (992, 996), (998, 998),
    )
    for code in range(first, last + 1)
)  # fmt: skip
THREE_DIGIT_LENGTHS = (6, 11)
SEPARATOR = r"(?:[ ]?[.\-/][ ]?|[ ]?\([0-9]{1,5}\)[ ]?[\-/]?[ ]?|[ ]|\)[ ]?[\-/]?[ ]?)"
INTERNATIONAL = re.compile(rf"(?:\+|(?<![0-9.,])00)\(?[1-9](?:{SEPARATOR}?[0-9])++")
NATIONAL = re.compile(
    r"(?P<na>(?:1[ .-]?)?(?:\([2-9][0-8][0-9]\)[ ]?-?|[2-9][0-8][0-9]([.-]))[2-9][0-9]{2}(?(2)\2|[ .-])[0-9]{4})"
    r"|(?P<ru>8[ -]?\(?[3489][0-9]{2}\)?[ -]?[0-9]{3}[ -][0-9]{2}[ -]?[0-9]{2})"
    r"|(?P<cn>1[3-9][0-9]([ -])[0-9]{4}\5[0-9]{4})"
    r"|(?P<au>1[38]00([ -])[0-9]{3}\7[0-9]{3})"
    rf"|(?P<area>\([0-9]{{2,5}}\)(?:{SEPARATOR}?[0-9])++)"
    rf"|(?P<trunk>0[1-9](?:{SEPARATOR}?[0-9])++)"
)
AFTER_A_WORD = re.compile(rf"\(?[0-9](?:{SEPARATOR}?[0-9])++")
WORD = re.compile(
    r"(?:\b(?:tel|telephone|téléphone|telefone?|teléfono|telefono|telefoon|telefonszám|telefonnummer|telefonas|telp?|tél"
    r"|fono|phone|ph|mobile|mobil|mob|móvil|movil|celular|cell?|handy|portable|natel|fax|whatsapp|tlf|tfno|puh|puhelin"
    r"|gsm|call|ring|hotline|numero verde|kom|тел|телефон|моб|факс|τηλ|τηλέφωνο|đt|điện thoại)\b"
    r"|טל(?:פון|')?|هاتف|تلفن|تلفون|جوال|फ़ोन|फ़ोन|फोन|मोबाइल|ফোন|โทร|電話|电话|電话|手机|手機|携帯|전화|연락처|핸드폰|☎|📞)"
    r"(?P<between>[^0-9\n]{0,24})\Z"
)
BARE_BETWEEN = re.compile(r"[\W_]*(?:(?:no|nr|num|number|is|us|me|at|on|to|free|ศัพท์|番号|号码|번호)\b[\W_]*){0,3}\Z")
"""What may stand between the word and a number that could be a sum."""
THOUSANDS = re.compile(r"[1-9][0-9]{0,2}(?:([ .])[0-9]{3})(?:\1[0-9]{3})*\Z")
DATE = re.compile(
    r"(?<![0-9])(?<![0-9][./-])(?:[0-9]{1,2}([./-])[0-9]{1,2}\1(?:(?:19|20)[0-9]{2}|[0-9]{2})"
    r"|(?:19|20)[0-9]{2}([./-])[0-9]{1,2}\2[0-9]{1,2})(?![./-]?[0-9])"
)
DECIMAL = re.compile(r"[+(]*[0-9]+\.[0-9]+\Z")
YEAR = re.compile(r"(?:19|20)[0-9]{2}\Z")
OCTETS = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){2,3}\Z")
NO_PHONE = re.compile(r"(?:[0-9]{3}-[0-9]{2}|[0-9]{5})-[0-9]{4}\Z")
"""A social security number, a ZIP+4 code."""
FICTITIOUS = re.compile(r"1?[2-9][0-9]{2}55501[0-9]{2}\Z")
"""NANP numbers set aside for fiction (ATIS-0300115)."""
LONGEST_WRITTEN = 40
"""Characters of an international number with all that may separate its 15 digits."""
TRUNK_DIGITS, WORD_DIGITS = (9, 11), (7, 12)


def phones(run: NumberRun) -> Iterator[PrivateSpan]:
    """Telephone numbers in a run of digits; a word speaks only for the first, and only if its form does not."""
    found = [*_international(run), *_national(run)]
    yield from found if found else _after_a_word(run)


def _span(run: NumberRun, start: int, end: int, detail: str) -> PrivateSpan:
    return PrivateSpan(run.first + start, run.first + end, "phone", detail)


def _international(run: NumberRun) -> Iterator[PrivateSpan]:
    for match in INTERNATIONAL.finditer(run.window):
        start, found = match.start(), match[0][:LONGEST_WRITTEN]
        if DECIMAL.match(found) or (start and (joins(run.window[start - 1]) or run.window[start - 1] in "+)_")):
            continue
        if found[0] != "+" and not re.search(r"[ ./()-]", found):
            continue
        if run.window[match.end() : match.end() + 1].isascii() and run.window[match.end() : match.end() + 1].isalpha():
            continue
        while found and not _is_international(found):
            found = re.sub(r"(?:^|[^0-9]+)[0-9]*\Z", "", found)
        if found:
            if run.window[start - 1 : start] == "(" and ")" in found and "(" not in found:
                start, found = start - 1, "(" + found
            yield _span(run, start, start + len(found), "international")


def _is_international(found: str) -> bool:
    if DECIMAL.match(found):
        return False
    plain = found.replace("(0)", "")
    digits = "".join(c for c in plain if c.isdecimal()).removeprefix("00" if found[0] != "+" else "")
    for length in (1, 2, 3):
        code = digits[:length]
        least, most = LENGTHS.get(code, THREE_DIGIT_LENGTHS if code in THREE_DIGIT_CODES else (99, 99))
        if least <= len(digits) - length <= most:
            rest = digits[length:]
            return rest.strip("0") != "" and (code != "1" or rest[0] >= "2") and not FICTITIOUS.match(digits)
    return False


def _national(run: NumberRun) -> Iterator[PrivateSpan]:
    for match in NATIONAL.finditer(run.window):
        start, end = match.span()
        form = next(name for name in ("na", "ru", "cn", "au", "area", "trunk") if match[name])
        digits = "".join(c for c in match[0] if c.isdecimal())
        separators = "".join({c for c in match[0] if not c.isdecimal()}) + "-/"
        if form == "trunk" and run.window[start - 1 : start] == "(" and ")" in match[0]:
            start -= 1
        if not stands_alone(run.window, start, end, separators + ":") or DATE.search(match[0]):
            continue
        if form == "na" and (FICTITIOUS.match(digits) or digits[-7:-4].endswith("11")):
            continue
        if form in ("area", "trunk") and not _is_grouped(run.window[start:end], digits):
            continue
        yield _span(run, start, end, "national")


def _is_grouped(found: str, digits: str) -> bool:
    """Whether a number with an area code is written as such numbers are, and is no list of small numbers."""
    groups = re.findall(r"[0-9]+", found)
    if NO_PHONE.match(found) or DECIMAL.match(found) or OCTETS.match(found):
        return False
    if not TRUNK_DIGITS[0] <= len(digits) <= TRUNK_DIGITS[1] or not 2 <= len(groups) <= 5 or YEAR.match(groups[0]):
        return False
    if len(groups) == 5 and len({int(b) - int(a) for a, b in pairwise(groups)}) == 1:
        return False
    return min(map(len, groups)) > 1 and len(groups[0]) <= 5 and max(map(len, groups)) <= 8


def _after_a_word(run: NumberRun) -> Iterator[PrivateSpan]:
    match = AFTER_A_WORD.search(run.window)
    if match is None:
        return
    said = WORD.search(run.before(match.start()))
    found = match[0]
    digits = "".join(c for c in found if c.isdecimal())
    if said is None or not WORD_DIGITS[0] <= len(digits) <= WORD_DIGITS[1] or YEAR.match(digits):
        return
    if DATE.search(found) or OCTETS.match(found):
        return
    if not stands_alone(run.window, *match.span(), "-/") or len(set(digits)) < 3:
        return
    if THOUSANDS.match(found) and (len(digits) < 8 or not BARE_BETWEEN.match(said["between"])):
        return
    if found == digits and not BARE_BETWEEN.match(said["between"]):
        return
    yield _span(run, *match.span(), "after a word")
