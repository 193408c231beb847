"""A line of Markdown from runs of text with marks around them: emphasis, code, links, line breaks.

Where a mark would not be read as one (CommonMark 0.31, section 6.2: `a**(b)**c`), it is left out: the text gains no
stray asterisks. The text itself is as the page has it, but for a backslash before what would change the structure at
the beginning of a line; see `LINE_START`.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence

from libertas.gather.blocks import LINE_BREAK
from libertas.gather.plain import without_entities

Marks = tuple[str, ...]
"""Marks around a text, outermost first: `**`, `*`, `~~`, `<sub>`, `<sup>`, `[` with an address, at last a backquote."""
Run = tuple[Marks, str]

CODE = "`"
MARK_OF = {
    "strong": "**", "b": "**", "em": "*", "i": "*", "del": "~~", "s": "~~", "strike": "~~", "sub": "<sub>",
    "sup": "<sup>", "code": CODE, "tt": CODE, "samp": CODE, "kbd": CODE,
}  # fmt: skip
"""What stands for an element."""
HARD_BREAK = "\\\n"
"""A line break in a paragraph; not two spaces, since ends of lines are stripped."""

FORMULA = re.compile("(\ue000[^\ue000-\ue003]*\ue001)")
"""Goes through as it is."""
LINE_START = re.compile(
    r"()(?:#{1,6}(?!\S)|>|[-+*](?!\S)|```|~~~|<(?=[A-Za-z/!?])|\[(?=[^\]]*(?:\]:|$))|[-:|=*_ ]+$)"
    r"|(\d{1,9})(?=[.)](?!\S))"
)
"""What would be a heading, quote, item, fence, HTML, definition of a link, rule or underline at the beginning of a
line: it gets a backslash (`\\# a`, `1\\. a`). Nothing else is escaped: `2 * 3`, `a_b`, `[1]` stay as they are."""
RUN_OF_BACKQUOTES = re.compile("`+")
HREF = re.compile(r'(?:^| )href="([^"]*)"')
UNWANTED_HREF = re.compile(r"#|(?:javascript|vbscript|data):", re.IGNORECASE)
"""Addresses that lead nowhere else."""
IN_HREF = str.maketrans(
    {" ": "%20", "(": "%28", ")": "%29", "<": "%3C", ">": "%3E", "|": "%7C", "\\": "%5C", "`": "%60"}
    | {chr(c): "" for c in (*range(32), 127, *range(0xE000, 0xE010))}
)


def with_mark(marks: Marks, mark: str) -> Marks:
    """The marks inside of one more element; code holds no marks, so that links come around it."""
    is_code = marks[-1:] == (CODE,)
    if mark in marks or (mark[0] == "[" and any(m[0] == "[" for m in marks)) or (is_code and mark[0] != "["):
        return marks
    return (*marks[:-1], mark, CODE) if is_code else (*marks, mark)


def link_mark(attributes: str) -> str:
    """The mark of a link with these attributes; empty where it has no address that leads anywhere."""
    found = HREF.search(attributes)
    address = without_entities(found[1]).replace("&quot;", '"').strip().translate(IN_HREF) if found else ""
    return "[" + address if address and not UNWANTED_HREF.match(address) else ""


def fence(text: str, least: int) -> str:
    """Backquotes, more than any run of them in the text."""
    longest = max(map(len, RUN_OF_BACKQUOTES.findall(text)), default=0) if CODE in text else 0
    return CODE * max(least, longest + 1)


def inline(runs: Sequence[Run], line_break: str = HARD_BREAK, *, escape: bool = True) -> str:
    """The runs of a block as Markdown.

    Args:
        runs: text with entities and any white space, in order.
        line_break: what to write for `LINE_BREAK`.
        escape: the text stands where other structure could begin.
    """
    out: list[str] = []
    opened: list[tuple[str, int]] = []  # open marks and where in `out` they begin; -1 where they are left out
    lines: list[tuple[int, int]] = []  # beginnings of lines, and of the text in them
    last = " "
    for gap, marks, text in [*_pieces(runs), ("", (), "")]:
        is_code = marks[-1:] == (CODE,)
        if is_code:
            marks, text = marks[:-1], _code_span(text)
        shared = 0
        while shared < min(len(opened), len(marks)) and opened[shared][0] == marks[shared]:
            shared += 1
        closing = opened[shared:][::-1]
        fits = _fitting([m for m, _ in closing], gap, marks[shared:], last, text[:1])
        for (mark, place), fit in zip(closing, fits, strict=False):
            if place >= 0 and fit:
                out.append(_end_of(mark))
            elif place >= 0:
                out[place] = ""
        del opened[shared:]
        if gap:
            out.append(line_break if gap == LINE_BREAK else gap)
        line = len(out)
        for mark, fit in zip(marks[shared:], fits[len(closing) :], strict=True):
            opened.append((mark, len(out) if fit else -1))
            out.append("[" if mark[0] == "[" else mark if fit else "")
        if escape and not is_code and (line == 0 or (gap == LINE_BREAK and line_break[-1] == "\n")):
            lines.append((line, len(out)))
        out.append(text)
        last = text[-1:]
    for line, place in lines:
        if not any(out[line:place]):
            out[place] = _escaped(out[place])
    return "".join(out)


def _pieces(runs: Sequence[Run]) -> Iterator[tuple[str, Marks, str]]:
    """Runs without white space around them, each with what is before it: nothing, a space or a line break."""
    gap, before = "", Marks()
    pending: tuple[str, Marks, str] | None = None
    for marks, run in runs:
        for text in _parts(run):
            if text == LINE_BREAK:
                gap = LINE_BREAK
            elif not (words := text if text[0] == "\ue000" else " ".join(text.split())):
                gap = gap or " "
            else:
                if text[0].isspace():
                    gap = gap or " "
                if pending is None:
                    pending = ("", marks, words)
                elif marks == pending[1] and gap != LINE_BREAK and (not gap or before == marks):
                    pending = (pending[0], marks, pending[2] + gap + words)
                else:
                    yield pending
                    pending = (gap, marks, words)
                gap = " " if text[-1].isspace() else ""
            before = marks
    if pending is not None:
        yield pending


def _parts(run: str) -> list[str]:
    """Text, line breaks and formulas of a run, in order."""
    text = without_entities(run)
    parts: list[str] = []
    for piece in FORMULA.split(text) if "\ue000" in text else [text]:
        lines = piece.split(LINE_BREAK)
        parts.append(lines[0])
        for line in lines[1:]:
            parts += [LINE_BREAK, line]
    return [part for part in parts if part]


def _code_span(text: str) -> str:
    quote = fence(text, 1)
    padding = " " if text[0] == CODE or text[-1] == CODE else ""
    return f"{quote}{padding}{text}{padding}{quote}"


def _end_of(mark: str) -> str:
    return f"]({mark[1:]})" if mark[0] == "[" else mark.replace("<", "</")


def _escaped(text: str) -> str:
    found = LINE_START.match(text)
    return text if not found else f"{text[: found.end(2)]}\\{text[found.end(2) :]}" if found[2] else "\\" + text


def _fitting(closing: Sequence[str], gap: str, opening: Sequence[str], before: str, after: str) -> list[bool]:
    """Which of these marks, in order, are read as marks between the characters `before` and `after`.

    An emphasis begins before a letter, or before a mark of punctuation that has none before it; and ends likewise.
    Asterisks are one run with the asterisks beside them.
    """
    if not closing and not opening:
        return []
    marks = [*closing, *([" "] if gap else []), *opening]
    row = [_class(before), *[m[0] if m[0] in " *~" else "." for m in marks], _class(after)]
    fits = []
    for i, mark in enumerate(marks, 1):
        if mark == " ":
            continue
        inside, outside = row[i - 1 :: -1], row[i + 1 :]
        if i > len(closing):
            inside, outside = outside, inside
        # the tildes beside it may be left out in the end
        fits.append(mark[0] in "[<" or all(_is_read(_past(inside, skip), _past(outside, skip)) for skip in ("*", "*~")))
    return fits


def _past(row: Sequence[str], skipped: str) -> str:
    return next(c for c in row if c not in skipped)


def _is_read(inside: str, outside: str) -> bool:
    return inside not in " #" and outside != "#" and (inside == "a" or outside in " .~")


def _class(character: str) -> str:
    """`a` for letters and the like, ` ` for space and ends, `.` for punctuation, `s` for symbols, which are punctuation
    since CommonMark 0.31 only; `#` for what would join with a mark."""
    if character in "*~":
        return "#" if character else " "
    if character.isalnum():
        return "a"
    if character.isspace():
        return " "
    kind = unicodedata.category(character)[0]
    return "a" if kind in "LNM" else "s" if kind == "S" and not character.isascii() else "."
