"""Find the formulas in the text of one block, by a page's delimiters, in one pass.

A scanner goes from one opening delimiter to the next. Whatever closes it must stand in the same block, with its braces
balanced, outside code; what is between must be no price and no prose where the delimiter is a dollar. An opening that
closes nowhere is text. The budget for balancing braces, and remembering what closes nowhere, keep the time linear.

Prices: a formula between single dollars does not begin with an amount if it has words or a digit follows its closing
dollar ("US$ 3,000 or A$ 500", "$5-$10"); nor is it several words without any TeX ("$HOME and $PATH").
"""

import re
from dataclasses import dataclass, field

from libertas.gather.math.asciimath import asciimath_latex
from libertas.gather.math.delimiters import ENVIRONMENTS, FORUM_DISPLAY, FORUM_INLINE, Delimiters
from libertas.gather.math.marks import MARKS, PROTECTED, marked

BALANCE_BUDGET = 8
"""Characters looked at to balance braces and environments, per character of the block."""
AMOUNT = re.compile(r"\s?\d[\d.,]*")
COMMAND = re.compile(r"\\(?:text|mathrm|operatorname|mbox|textrm)\*?\s?\{[^{}]*\}|\\[A-Za-z]+\*?(?:\{[A-Za-z]+\})?")
"""A command, and the words it may hold."""
WORD = re.compile(r"[^\W\d_]{2,}")
LONG_WORD = re.compile(r"[^\W\d_]{3,}")
TEX = re.compile(r"\\[A-Za-z,;:!{}|]|[\^_{}=<>]")
"""What has the look of TeX."""
STRONG_TEX = re.compile(r"\\[A-Za-z]|[\^_]\{?[\w\\({+*'-]")
NESTED = re.compile(r"(?<!\\)\\[(\[]")
"""What opens a formula and stands in none, save in words."""
SHORT = re.compile(
    r"[A-Za-z]'?|[A-Za-z] ?[=<>+/-] ?\w{1,4}|[a-zA-Z]\([\w,+ -]{1,8}\)|[-+(]?[a-zA-Z0-9,+ -]{0,6}[a-zA-Z]\)?"
)
"""Formulas without commands: n, n-1, f(x), (a, b), 2x."""
OPENER_OF_ENVIRONMENT = r"\\begin\{(?P<environment>[A-Za-z]{1,20}\*?)\}"


@dataclass(slots=True)
class _Scan:
    """Where a scan of one stretch of text stands."""

    text: str
    delimiters: Delimiters
    budget: int
    absent: set[str] = field(default_factory=set)
    """What stands nowhere in the rest of the text."""


def delimit(text: str, delimiters: Delimiters) -> tuple[str, int]:
    """The text of a block with its formulas between dollars and marks, and how many there are.

    `text` is plain: no markup, line breaks where the block has them. What is marked already (formulas, code) stays.
    """
    if not text or not _openers_pattern(delimiters).search(text):
        return text, 0
    pieces = PROTECTED.split(text)
    count = 0
    for place, piece in enumerate(pieces):
        if piece and not MARKS.match(piece):
            pieces[place], found = _scanned(_Scan(piece, delimiters, BALANCE_BUDGET * len(piece) + 1000))
            count += found
    return "".join(pieces), count


def _kinds(delimiters: Delimiters) -> dict[str, tuple[str, str]]:
    """Each opening delimiter to its closing one and its kind."""
    kinds = {o: (c, "inline") for o, c in FORUM_INLINE} | {o: (c, "display") for o, c in FORUM_DISPLAY}
    kinds |= {o: (c, "ascii") for o, c in delimiters.ascii}
    if delimiters.dollar_if_tex:
        kinds["$"] = ("$", "perhaps")
    kinds |= {o: (c, "inline") for o, c in delimiters.inline}
    return kinds | {o: (c, "display") for o, c in delimiters.display}


_PATTERNS: dict[Delimiters, tuple[re.Pattern[str], dict[str, tuple[str, str]]]] = {}


def _openers(delimiters: Delimiters) -> tuple[re.Pattern[str], dict[str, tuple[str, str]]]:
    if delimiters not in _PATTERNS:
        _PATTERNS.clear()  # one page at a time
        kinds = _kinds(delimiters)
        longest_first = sorted(kinds, key=lambda opener: (-len(opener), opener))
        pattern = r"\\\$|" + OPENER_OF_ENVIRONMENT + "|" + "|".join(map(re.escape, longest_first))
        _PATTERNS[delimiters] = re.compile(pattern), kinds
    return _PATTERNS[delimiters]


def _openers_pattern(delimiters: Delimiters) -> re.Pattern[str]:
    return _openers(delimiters)[0]


def _scanned(scan: _Scan) -> tuple[str, int]:
    pattern, kinds = _openers(scan.delimiters)
    text, pieces, count, written, place = scan.text, [], 0, 0, 0
    while (found := pattern.search(text, place)) is not None:
        opener, start, body = found[0], found.start(), found.end()
        if opener == "\\$":
            if scan.delimiters.escapes:
                pieces.append(text[written:start])
                written = start + 1
            place = body
            continue
        if found["environment"]:
            end = _environment_end(scan, found["environment"], body)
            formula = marked(text[start:end], display=True) if end > 0 else ""
        else:
            close, kind = kinds[opener]
            inner = _closing(scan, close, body)
            end = inner + len(close)
            formula = _formula(text[body:inner], opener, kind, text[end : end + 1]) if inner >= body else ""
        if formula:
            pieces += [text[written:start], formula]
            count += 1
            written = place = end
        else:
            place = _after_failure(text, opener, body)
    return "".join([*pieces, text[written:]]), count


def _after_failure(text: str, opener: str, body: int) -> int:
    """Where to look on: behind the opening, and behind a whole run of dollars."""
    while opener[-1] == "$" and text[body : body + 1] == "$":
        body += 1
    return body


def _formula(source: str, opener: str, kind: str, after: str) -> str:
    """The marked formula, or empty if this is none."""
    if kind == "ascii":
        return "" if len(LONG_WORD.findall(source)) > 4 else marked(asciimath_latex(source), display=False)
    if opener == "$" and source.startswith("latex "):  # WordPress
        source, kind = source[6:], "inline"
    if opener in ("$", "$$") and not _is_formula(source, after, perhaps=kind == "perhaps"):
        return ""
    if opener[0] == "[" and kind in ("inline", "display"):
        source = source.strip().removeprefix("$").removesuffix("$")
    return marked(source, display=kind == "display")


def _is_formula(source: str, after: str, *, perhaps: bool) -> bool:
    """Whether what stands between dollars is a formula rather than the words between two prices."""
    if not any(map(str.isalnum, source)) and "\\" not in source:
        return False
    words = COMMAND.sub(" ", source)
    if NESTED.search(words):
        return False
    amount = AMOUNT.match(source)
    if amount and (after.isdigit() or (after.isalpha() and not STRONG_TEX.search(source)) or LONG_WORD.search(words)):
        return False
    lopsided = source[-1].isspace() and not source[0].isspace()
    if amount and (lopsided or WORD.search(words)) and not STRONG_TEX.search(source):
        return False
    if STRONG_TEX.search(source):
        return not perhaps or len(LONG_WORD.findall(words)) <= 3
    if after.isdigit() or (lopsided and WORD.search(words)):
        return False
    if perhaps:
        return source == source.strip() and not WORD.search(words) and SHORT.fullmatch(source) is not None
    return len(LONG_WORD.findall(words)) <= (3 if TEX.search(source) else 1)


def _closing(scan: _Scan, close: str, body: int) -> int:
    """Where `close` stands, outside braces and not escaped; -1 if nowhere."""
    if close in scan.absent:
        return -1
    place, seen = body, body
    depth = 0
    first = -1
    while (place := scan.text.find(close, place)) >= 0:
        escaped = _is_escaped(scan.text, place, body)
        if not escaped:
            first = place if first < 0 else first
            if scan.budget <= 0:
                return first
            between = scan.text[seen:place].replace("\\\\", "  ").replace("\\{", "").replace("\\}", "")
            scan.budget -= place - seen + 1
            seen = place
            depth += between.count("{") - between.count("}")
            if depth <= 0:
                return place
        place += 1 if escaped else len(close)
    if first < 0:
        scan.absent.add(close)
    return first


def _is_escaped(text: str, place: int, least: int) -> bool:
    slashes = 0
    while place - slashes > least and text[place - slashes - 1] == "\\":
        slashes += 1
    return slashes % 2 == 1


def _environment_end(scan: _Scan, name: str, body: int) -> int:
    """Behind the `\\end` that belongs to an environment whose content starts at `body`; -1 if there is none."""
    end, begin = f"\\end{{{name}}}", f"\\begin{{{name}}}"
    if name.rstrip("*") not in ENVIRONMENTS or end in scan.absent:
        return -1
    first = place = scan.text.find(end, body)
    if first < 0:
        scan.absent.add(end)
        return -1
    depth = scan.text.count(begin, body, place)
    while depth and scan.budget > 0:
        further = scan.text.find(end, place + 1)
        scan.budget -= (further if further > 0 else len(scan.text)) - place
        if further < 0:
            return first + len(end)
        depth += scan.text.count(begin, place, further) - 1
        place = further
    return place + len(end)
