"""PDF files with a text layer: pdfium's characters and their boxes, put into reading order and paragraphs again.

A PDF has no words, lines or paragraphs, only characters at places. What joins them here: characters on one baseline
with small gaps are a segment; a vertical strip that rows leave free, with prose on both of its sides, parts columns;
segments of a column on the same height are a line; indents, gaps and short last lines part paragraphs; lines that
stand on the same height of many pages are headers and footers.
"""

import math
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import groupby, pairwise
from statistics import median
from typing import Any

import pypdfium2
import pypdfium2.raw as pdfium

from libertas.document import Drop
from libertas.gather.extracted import Extracted, ReadMode
from libertas.gather.formats.pdf_layout import (
    LINE_OVERLAP,
    RIGHT_TO_LEFT,
    WORD_GAP,
    Line,
    Segment,
    lines_in_order,
    paragraphs,
)
from libertas.gather.normalize import normalize

MOST_BYTES = 500 << 20
"""Of a file: 500 MiB."""
MOST_PAGES = 10_000
"""In one file."""
MOST_CHARACTERS = 200_000
"""On one page; a page of a newspaper has 20,000."""
WIDEST_GAP = 0.9
"""Between two characters of a segment, as a share of their height; columns of a page lie a whole one apart or more."""
PRESENTATION = re.compile("[\ufb00-\ufb06\ufb13-\ufb17\ufb1d-\ufb4f\ufb50-\ufdff\ufe70-\ufefc]")
"""Ligatures and the shapes of Arabic and Hebrew letters, which stand for the letters they are made of."""
HYPHEN = "\u0002"
"""How pdfium reports a hyphen at the end of a line."""
EDGE_LINES = 3
"""Lines from the top and the bottom of a page that may be headers or footers."""
LEAST_REPEATS, LEAST_SHARE = 3, 0.4
"""A line on the same height of so many pages, and of this share of all, is a header or footer."""
SAME_HEIGHT = 6.0
"""Points (1/72 inch) by which it may move."""
DATE = re.compile(r"D:(\d{4})(\d\d)?(\d\d)?")


def read_pdf(body: bytes, mode: ReadMode) -> Extracted | Drop:
    """The text of a PDF; pages without text in a file that has some are counted in `meta.pages_without_text`.

    Pages that cannot be loaded are counted in `meta.pages_lost`.
    """
    if len(body) > MOST_BYTES:
        return Drop("pdf", "larger than the cap", len(body))
    try:
        document = pypdfium2.PdfDocument(body)
    except pypdfium2.PdfiumError as error:
        locked = getattr(error, "err_code", None) in (pdfium.FPDF_ERR_PASSWORD, pdfium.FPDF_ERR_SECURITY)
        return Drop("pdf", "encrypted" if locked else "damaged", str(error))
    try:
        if len(document) > MOST_PAGES:
            return Drop("pdf", "too many pages", len(document))
        return _read_document(document, mode)
    finally:
        document.close()


def _read_document(document: pypdfium2.PdfDocument, mode: ReadMode) -> Extracted | Drop:
    pages: list[list[Line]] = []
    empty, columns, lost = 0, 0, 0
    for number in range(len(document)):
        try:
            page = document[number]
        except pypdfium2.PdfiumError:
            lost += 1
            continue
        try:
            segments = _segments(page)
        except pypdfium2.PdfiumError:
            lost += 1
            continue
        finally:
            page.close()
        if segments is None:
            return Drop("pdf", "page too large", MOST_CHARACTERS)
        empty += not segments
        lines = lines_in_order(segments, columns)
        columns += len({line.column for line in lines})
        pages.append(lines)
    if not any(pages):
        if lost:
            return Drop("pdf", "damaged", f"{lost} of {len(document)} pages cannot be loaded")
        return Drop("pdf", "no text layer", len(document))
    lines = [line for page in _without_running_lines(pages) for line in page]
    text = normalize("\n\n".join(paragraphs(lines, mode.markdown)))
    said = document.get_metadata_dict(skip_empty=True)
    date = DATE.match(said.get("CreationDate", ""))
    known: dict[str, Any] = {
        "author": " ".join(normalize(said.get("Author", "")).split()),
        "created": "-".join(part for part in date.groups() if part) if date else "",
        "pages": len(document),
        "pages_without_text": empty,
        "pages_lost": lost,
    }
    title = " ".join(normalize(said.get("Title", "")).split())
    return Extracted(text, title, {key: value for key, value in known.items() if value})


@dataclass(slots=True)
class _Character:
    text: str
    x0: float
    x1: float
    y0: float
    y1: float
    quarter: int
    """Quarter turns counter-clockwise that it is drawn with."""


def _segments(page: pypdfium2.PdfPage) -> list[Segment] | None:
    """The segments of a page, in the order in which they are drawn; None for more characters than `MOST_CHARACTERS`."""
    textpage = page.get_textpage()
    try:
        if textpage.count_chars() > MOST_CHARACTERS:
            return None
        characters = list(_characters(textpage))
    finally:
        textpage.close()
    turns = Counter(c.quarter for c in characters if c.text.strip())
    if not turns:
        return []
    upright = turns.most_common(1)[0][0]
    segments: list[Segment] = []
    current: list[_Character] = []
    spaced = False
    for character in (_turned(c, upright) for c in characters if c.quarter == upright):
        if not character.text.strip():
            spaced = True
            continue
        gap = _gap(current[-1], character) if current else None
        if current and gap is None:
            segments.append(_segment(current))
            current = []
        elif current and (spaced or (gap or 0.0) > WORD_GAP):
            current.append(_Character(" ", character.x0, character.x0, character.y0, character.y1, 0))
        current.append(character)
        spaced = False
    return [*segments, _segment(current)] if current else segments


def _gap(last: _Character, character: _Character) -> float | None:
    """Gap between two characters in their height, or None if they are not on one line or too far apart."""
    heights = (last.y1 - last.y0, character.y1 - character.y0)
    shared = min(last.y1, character.y1) - max(last.y0, character.y0)
    gap = max(character.x0 - last.x1, last.x0 - character.x1) / max(*heights, 0.1)
    return gap if shared > LINE_OVERLAP * min(heights) and gap < WIDEST_GAP else None


def _segment(characters: list[_Character]) -> Segment:
    tallest = max(characters, key=lambda c: c.y1 - c.y0)
    text = "".join(c.text for c in _logical(characters))
    return Segment(text, min(c.x0 for c in characters), max(c.x1 for c in characters), tallest.y0, tallest.y1)


def _logical(characters: list[_Character]) -> list[_Character]:
    """The characters as they are read, also where a file has Arabic or Hebrew from left to right or in one box."""
    out: list[_Character] = []
    for backwards, group in groupby(characters, key=_script(characters)):
        run = list(group)
        strong = [c for c in run if RIGHT_TO_LEFT.match(c.text)]
        drawn_forwards = backwards and len(strong) > 1 and strong[0].x0 <= strong[-1].x0
        out += reversed(run) if drawn_forwards else run
    return out


def _script(characters: list[_Character]) -> Callable[[_Character], bool]:
    """Whether a character belongs to a run from right to left; a space belongs to the run before it."""
    last = False

    def backwards(character: _Character) -> bool:
        nonlocal last
        if character.text[-1:].isalnum() or RIGHT_TO_LEFT.match(character.text):
            last = bool(RIGHT_TO_LEFT.match(character.text))
        return last

    return backwards


def _characters(textpage: pypdfium2.PdfTextPage) -> Iterable[_Character]:
    box = pdfium.FS_RECTF()
    for index in range(textpage.count_chars()):
        code = pdfium.FPDFText_GetUnicode(textpage, index)
        if code in (0, 10, 13, 0xFFFD) or pdfium.FPDFText_HasUnicodeMapError(textpage, index) == 1:
            continue
        if not pdfium.FPDFText_GetLooseCharBox(textpage, index, box):
            continue
        text = HYPHEN if code in (2, 0xFFFE) else chr(code) if not 0xD800 <= code < 0xE000 else ""
        if PRESENTATION.match(text):
            text = unicodedata.normalize("NFKC", text)
        quarter = round(-pdfium.FPDFText_GetCharAngle(textpage, index) / (math.pi / 2)) % 4  # it counts clockwise
        yield _Character(text, box.left, box.right, box.bottom, box.top, quarter)


def _turned(c: _Character, quarter: int) -> _Character:
    """The character on a page that is turned so that its text stands upright."""
    if quarter == 1:
        return _Character(c.text, c.y0, c.y1, -c.x1, -c.x0, 0)
    if quarter == 2:
        return _Character(c.text, -c.x1, -c.x0, -c.y1, -c.y0, 0)
    return _Character(c.text, -c.y1, -c.y0, c.x0, c.x1, 0) if quarter == 3 else c


def _without_running_lines(pages: list[list[Line]]) -> list[list[Line]]:
    """The pages without headers, footers and numbers: lines at their edges that many pages have on one height."""
    heights: dict[str, list[float]] = defaultdict(list)
    edges = [_edges(lines) for lines in pages]
    for edge in edges:
        for line in edge:
            heights[_pattern(line)].append(line.y0)
    least = max(LEAST_REPEATS if len(pages) > 2 else 2, LEAST_SHARE * len(pages))
    running = {pattern: median(ys) for pattern, ys in heights.items() if len(ys) >= least}

    def runs(line: Line) -> bool:
        return abs(running.get(_pattern(line), math.inf) - line.y0) <= SAME_HEIGHT

    gone = [{id(line) for line in edge if runs(line)} for edge in edges]
    return [[line for line in lines if id(line) not in out] for lines, out in zip(pages, gone, strict=True)]


def _edges(lines: list[Line]) -> list[Line]:
    """Lines of a page that may be its header or footer: the outermost ones, before the first wide gap."""
    by_height = sorted(lines, key=lambda line: -line.y0)
    found: list[Line] = []
    for direction in (by_height, by_height[::-1]):
        for outer, inner in pairwise(direction[: EDGE_LINES + 1]):
            found.append(outer)
            if abs(outer.y0 - inner.y0) > 1.2 * max(outer.height, inner.height):
                break
        else:
            del found[len(found) - min(EDGE_LINES, max(len(direction) - 1, 0)) :]
    return found


def _pattern(line: Line) -> str:
    """A line with its numbers replaced, so that those of pages are alike."""
    return re.sub(r"\d+|^[ivxlc]+$", "#", line.text.lower())
