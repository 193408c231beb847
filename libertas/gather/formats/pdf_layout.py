"""Segments of a page to lines in reading order, and lines of a document to paragraphs: geometry alone, no PDF.

Lengths are points, y grows upwards as in PDF.
"""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

FEWEST_LINES = 4
"""On each side of what parts two columns."""
SHORTEST_PROSE = 12
"""Characters of the median segment of a column of prose; cells of a table have fewer."""
MOST_SPANNING = 0.5
"""Share of a region's segments that may run across a strip which still parts columns: titles, wide tables."""
MOST_COLUMNS = 100
"""On one page, with the lines across them; what lies beyond is read line by line."""
MOST_STRIPS = 40
"""Candidates tried in one region, widest first."""
TABLE_GAP = 1.8
"""A gap in a line, in its height, that makes the line one of a table."""
CELL_GAP = 0.9
"""Between two cells of such a line."""
WORD_GAP = 0.25
"""Between two words, where the file writes no space."""
TABLE_PITCH = 4.0
"""Distance of two rows of a table at most, in their height."""
LINE_OVERLAP = 0.5
"""Segments share a line if they share so much of the lower one's height."""
PARAGRAPH_GAP = 1.35
"""Distance of two baselines, in the median one of the column, that parts paragraphs."""
OTHER_SIZE = 0.15
"""Relative difference in height that parts paragraphs."""
INDENT = 0.7
"""Of the first line, in its height."""
HEADING_SIZES = ((1.7, "# "), (1.2, "## "))
"""Height of a heading in that of the median line, and its mark in Markdown."""
LONGEST_HEADING = 200
"""In characters."""
BULLET = re.compile(r"[•◦▪‣●∙■□➢–*-]\s|\(?(?:\d{1,3}|[a-zA-Z])[.)]\s")
SENTENCE_END = re.compile(r"[.!?:;…。！？؟۔।][\"'”’»)\]]*$")
HYPHENS = "-\u00ad\u2010\u0002"
"""What a line may end with in the middle of a word; the last is how pdfium reports it."""
BROKEN = re.compile(rf"([^\W\d_]+)[{HYPHENS}]$")
FIRST_WORD = re.compile(r"[^\W\d_]+")
RIGHT_TO_LEFT = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]")


@dataclass(frozen=True, slots=True)
class Segment:
    """Characters on one baseline without a wide gap."""

    text: str
    x0: float
    x1: float
    y0: float
    y1: float

    @property
    def height(self) -> float:
        """Of the font, from the lowest to the highest letter."""
        return self.y1 - self.y0


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a column."""

    text: str
    x0: float
    x1: float
    y0: float
    y1: float
    column: int
    """Lines of one column on one page have the same number."""

    @property
    def height(self) -> float:
        """Of its highest segment."""
        return self.y1 - self.y0

    @property
    def tabular(self) -> bool:
        """Whether it has cells."""
        return "\t" in self.text


def lines_in_order(segments: list[Segment], first_column: int = 0) -> list[Line]:
    """The lines of a page: columns one after the other, lines across them where they part them."""
    right_to_left = _reads_right_to_left("".join(s.text for s in segments))
    waiting, leaves = [segments], list[list[Segment]]()
    while waiting:
        region = waiting.pop()
        parts = _columns(region, right_to_left) if len(leaves) + len(waiting) < MOST_COLUMNS else [region]
        if len(parts) == 1:
            leaves.append(parts[0])
        else:
            waiting += reversed(parts)
    return [line for i, leaf in enumerate(leaves) for line in _lines(leaf, first_column + i)]


def _columns(region: list[Segment], right_to_left: bool) -> list[list[Segment]]:
    """The region parted at its best strip, in reading order; itself alone if nothing parts it."""
    strip = _strip(region)
    if strip is None:
        return [region]
    parts: list[list[Segment]] = []
    full, left, right = list[Segment](), list[Segment](), list[Segment]()
    for segment in sorted(region, key=lambda s: -(s.y0 + s.y1)):
        across = segment.x0 < strip < segment.x1
        if across:
            parts += [right, left] if right_to_left else [left, right]
            left, right = [], []
        elif full:
            parts.append(full)
            full = []
        (full if across else left if segment.x1 <= strip else right).append(segment)
    parts += [full, right, left] if right_to_left else [full, left, right]
    return [part for part in parts if part]


def _strip(region: list[Segment]) -> float | None:
    """Where a strip parts the region into columns: free but for lines across both, with prose on both sides."""
    if len(region) < 2 * FEWEST_LINES:
        return None
    height = median(s.height for s in region)
    edges = sorted([(s.x0, 1) for s in region] + [(s.x1, -1) for s in region])
    covered, strips = 0, list[tuple[float, float]]()
    for (x, change), (following, _) in pairwise(edges):
        covered += change
        if following - x > height / 3 and covered <= MOST_SPANNING * len(region):
            strips.append((following - x, (x + following) / 2))
    best, best_worth = None, 0
    for _, x in sorted(strips, reverse=True)[:MOST_STRIPS]:
        left = [s for s in region if s.x1 <= x]
        right = [s for s in region if s.x0 >= x]
        worth = min(len(left), len(right)) - (len(region) - len(left) - len(right))
        if worth > best_worth and _is_prose(left) and _is_prose(right) and _side_by_side(left, right):
            best, best_worth = x, worth
    return best


def _is_prose(segments: list[Segment]) -> bool:
    return len(segments) >= FEWEST_LINES and median(len(s.text) for s in segments) >= SHORTEST_PROSE


def _side_by_side(left: list[Segment], right: list[Segment]) -> bool:
    tops, bottoms = (
        [max(s.y1 for s in side) for side in (left, right)],
        [min(s.y0 for s in side) for side in (left, right)],
    )
    shared = min(tops) - max(bottoms)
    return shared > 0.3 * min(tops[0] - bottoms[0], tops[1] - bottoms[1])


def _lines(segments: list[Segment], column: int) -> list[Line]:
    rows: list[list[Segment]] = []
    y0 = y1 = 0.0
    for segment in sorted(segments, key=lambda s: (-(s.y0 + s.y1), s.x0)):
        shared = min(y1, segment.y1) - max(y0, segment.y0)
        if rows and shared > LINE_OVERLAP * min(y1 - y0, segment.height):
            rows[-1].append(segment)
            if segment.height > y1 - y0:
                y0, y1 = segment.y0, segment.y1
        else:
            rows.append([segment])
            y0, y1 = segment.y0, segment.y1
    return [_line_of(row, column) for row in rows]


def _line_of(row: list[Segment], column: int) -> Line:
    backwards = _reads_right_to_left("".join(s.text for s in row))
    row = sorted(row, key=lambda s: -s.x1 if backwards else s.x0)
    tallest = max(row, key=lambda s: s.height)
    gaps = [((a.x0 - b.x1) if backwards else (b.x0 - a.x1)) / tallest.height for a, b in pairwise(row)]
    cells = max(gaps, default=0.0) > TABLE_GAP
    text = row[0].text
    for gap, after in zip(gaps, row[1:], strict=True):
        space = "\t" if cells and gap > CELL_GAP else " " if gap > WORD_GAP else ""
        text = text.rstrip() + space + after.text.lstrip() if space else text + after.text
    return Line(text.strip(), min(s.x0 for s in row), max(s.x1 for s in row), tallest.y0, tallest.y1, column)


def _reads_right_to_left(text: str) -> bool:
    return 2 * len(RIGHT_TO_LEFT.findall(text)) > sum(map(str.isalpha, text))


def paragraphs(lines: list[Line], markdown: bool) -> list[str]:
    """The lines of a document, in reading order, as paragraphs."""
    blocks = _blocks(lines)
    words = Counter(word.lower() for line in lines for word in re.findall(r"[^\W\d_]+(?:-[^\W\d_]+)*", line.text))
    usual = median(line.height for line in lines) if lines else 0.0
    texts: list[str] = []
    before: Line | None = None
    for block in blocks:
        text = "\n".join(s.text for s in block) if block[0].tabular else _joined([s.text for s in block], words)
        if before is not None and _goes_on(before, block[0], texts[-1]):
            texts[-1] = _joined([texts[-1], text], words)
        else:
            mark = next((m for size, m in HEADING_SIZES if block[0].height > size * usual), "") if markdown else ""
            texts.append(mark + text if len(text) <= LONGEST_HEADING and not block[0].tabular else text)
        before = block[-1]
    return [text.replace("\u0002", "-") for text in texts]


def _goes_on(before: Line, line: Line, text: str) -> bool:
    """Whether a paragraph goes on in the next column."""
    if before.column == line.column or before.tabular or line.tabular or not _same_size(before, line):
        return False
    return line.text[:1].islower() and not SENTENCE_END.search(text[-4:])


def _same_size(one: Line, other: Line) -> bool:
    return abs(one.height - other.height) <= OTHER_SIZE * max(one.height, other.height)


def _blocks(lines: list[Line]) -> list[list[Line]]:
    """Lines parted into paragraphs, in two steps: by gaps and sizes, then by indents and short lines."""
    pitches: dict[int, list[float]] = {}
    for one, other in pairwise(lines):
        if one.column == other.column:
            pitches.setdefault(one.column, []).append(one.y0 - other.y0)
    usual = {column: median(distances) for column, distances in pitches.items()}

    def furthest(line: Line) -> float:
        if line.tabular:
            return TABLE_PITCH * line.height
        return PARAGRAPH_GAP * min(usual[line.column], 1.6 * line.height)

    runs: list[list[Line]] = []
    for line in lines:
        before = runs[-1][-1] if runs else None
        if (
            before is not None
            and before.column == line.column
            and before.tabular == line.tabular
            and _same_size(before, line)
            and before.y0 - line.y0 <= furthest(line)
        ):
            runs[-1].append(line)
        else:
            runs.append([line])
    return [block for run in runs for block in ([run] if run[0].tabular else _parted(run))]


def _parted(run: list[Line]) -> list[list[Line]]:
    left, right = min(line.x0 for line in run), max(line.x1 for line in run)
    blocks = [[run[0]]]
    for before, line in pairwise(run):
        backwards = _reads_right_to_left(line.text)
        indent = (right - line.x1) if backwards else (line.x0 - left)
        indent_before = (right - before.x1) if backwards else (before.x0 - left)
        room = (before.x0 - left) if backwards else (right - before.x1)
        word = len(line.text.split(" ", 1)[0]) / max(len(line.text), 1) * (line.x1 - line.x0)
        ended = SENTENCE_END.search(before.text[-4:]) or not line.text[:1].islower()
        fits = ended and not BROKEN.search(before.text[-100:]) and room > word + line.height
        indented = indent > INDENT * line.height and indent_before < indent - INDENT * line.height / 2
        if fits or BULLET.match(line.text) or (indented and not BULLET.match(blocks[-1][0].text)):
            blocks.append([line])
        else:
            blocks[-1].append(line)
    return blocks


def _joined(texts: Iterable[str], words: Counter[str]) -> str:
    """Lines as one; a hyphen between them goes if the file has the word without it, or both halves are lower case."""
    pieces: list[str] = []
    for text in texts:
        broken = BROKEN.search(pieces[-1][-100:]) if pieces else None
        rest = FIRST_WORD.match(text)
        if not pieces:
            pieces.append(text)
        elif broken and rest:
            hyphenated, whole = f"{broken[1]}-{rest[0]}".lower(), f"{broken[1]}{rest[0]}".lower()
            lower = broken[1][-1].islower() and rest[0].islower()
            whole_word = words[whole] > words[hyphenated] or (lower and not words[hyphenated])
            pieces[-1] = pieces[-1][:-1] + ("" if whole_word else "-")
            pieces.append(text)
        else:
            pieces += [" ", text] if not _unspaced(pieces[-1][-1:], text[:1]) else [text]
    return "".join(pieces)


def _unspaced(last: str, first: str) -> bool:
    """Whether both are of a script that puts no spaces between words: Han, kana and their punctuation."""
    return all("\u2e80" <= c <= "\u9fff" or "\uff00" <= c <= "\uffef" for c in (last, first) if c)
