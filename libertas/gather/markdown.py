"""Markdown of the blocks of a page that were kept (CommonMark 0.31; tables and strikethrough as on GitHub).

The tags of the page are read once, in order, with a stack of those that matter. Text is written block by block; what
marks structure (a bullet, a `#`, a `>`) is written with the first text inside, so that nothing empty is marked.
Definition lists are written as `term`, `: definition`. Structure deeper than `MOST_NESTED` is written at that depth.
"""

import re
from collections import Counter

import numpy as np
from numpy.typing import NDArray

from libertas.gather.blocks import KIND, LINE_BREAK, NO_TEXT, OTHER, Blocks, text_behind
from libertas.gather.markdown_inline import MARK_OF, Marks, Run, fence, inline, link_mark, with_mark
from libertas.gather.markdown_lines import HEADINGS, LISTS, Holder, Lines
from libertas.gather.markdown_table import Table
from libertas.gather.plain import without_entities

MOST_NESTED = 20
"""Elements inside of each other that show; a list and its items are two."""
LONGEST_NUMBER = 9
"""Digits that the number of an item may have in Markdown."""

ROLES = frozenset({*MARK_OF, *LISTS, *HEADINGS, "a", "li", "blockquote", "dl", "dt", "dd", "pre", "table"})
"""Elements that are kept on the stack."""
NO_DATA = re.compile(r"(?:/table|table|ul|ol|li|d[dlt]|pre|blockquote|h[1-6r])[ >]")
"""What ends a table, or shows that it is not one of data."""
NUMBER = re.compile(r'(?:^| )(?:start|value)="\s*(-?\d+)')
CLASS = re.compile(r'(?:^| )class="([^"]*)"')
LANGUAGE = re.compile(
    r"(?:^|\s)(?:(?:language|lang|highlight-source|highlight)-|brush:\s*|sourceCode\s+)([A-Za-z][\w+#.-]{0,29})(?=[\s;]|$)"
)
"""How the language of a listing is named: HTML 5 and Prism, GitHub, Sphinx, SyntaxHighlighter, pandoc."""
NO_LANGUAGE = frozenset({"none", "default", "plain", "source", "no-highlight", "wrapper"})


def markdown_text(blocks: Blocks, kept: NDArray[np.bool_], *, links: bool) -> str:
    """Some blocks of a page as Markdown, with the addresses of links if `links`.

    The words are those of `plain_text`, in the same order; formulas between U+E000 and U+E001 pass through.
    """
    numbers = np.flatnonzero(kept).tolist()
    page = _Page(blocks.tokens, links)
    page.read([(blocks.start[i], blocks.end[i]) for i in numbers])
    return "".join(page.lines.out)


class _Page:
    """What is open at some token of a page, and what has been written."""

    def __init__(self, tokens: list[str], links: bool) -> None:
        self.tokens, self.links = tokens, links
        self.lines = Lines()
        self.frame = Holder(None, "")
        self.marks: Marks = ()
        self.stack: list[tuple[str, Holder, Marks]] = []
        self.open: Counter[str] = Counter()

    def read(self, ranges: list[tuple[int, int]]) -> None:
        """Write the blocks with these first tokens, and tokens that ended them."""
        behind = len(self.tokens)
        waiting = iter([*ranges, (behind, behind)])
        start, end = next(waiting)
        runs: list[Run] = []
        numbered = enumerate(self.tokens)
        for number, token in numbered:
            while number >= end:
                self._block(runs, start)
                runs = []
                start, end = next(waiting)
            if start == behind:
                break
            tag, _, rest = token.partition(">")
            tag, _, attributes = tag.partition(" ")
            in_block = start < number and tag[:1] != "/"
            if tag in NO_TEXT or tag[:3] == "!--" or (in_block and KIND.get(tag, OTHER) == OTHER):
                # a container in the middle of a block is one that `blocks_of` passed over
                rest = text_behind(tag, token, numbered)
            elif tag in ROLES:
                self._begin(tag, attributes, number)
            elif tag[:1] == "/":
                if tag[1:] in self.open:
                    self._end(tag[1:])
            elif tag == "hr":
                self._rule()
            elif tag == "tr" or tag == "td" or tag == "th":
                self._cell(tag, attributes)
            if start <= number:
                if tag == "br" and start < number:
                    runs.append(((), LINE_BREAK))
                if rest:
                    runs.append((self.marks, rest))
        self._settle(self.frame)

    def _begin(self, tag: str, attributes: str, number: int) -> None:
        self.stack.append((tag, self.frame, self.marks))
        self.open[tag] += 1
        if self.frame.tag == "pre":
            if tag == "code" and not self.frame.language:
                self.frame.language = _language(attributes)
        elif tag in MARK_OF:
            self.marks = with_mark(self.marks, MARK_OF[tag])
        elif tag == "a":
            if self.links and (mark := link_mark(attributes)):
                self.marks = with_mark(self.marks, mark)
        elif self.frame.table is None:
            self.frame = self._inside(tag, attributes, number)

    def _end(self, tag: str) -> None:
        popped = ""
        while popped != tag:
            popped, frame, self.marks = self.stack.pop()
            self.open[popped] -= 1
            if not self.open[popped]:
                del self.open[popped]
            if frame is not self.frame:
                self._settle(self.frame)
                self.frame = frame

    def _inside(self, tag: str, attributes: str, number: int) -> Holder:
        """Where the text of an element goes."""
        frame = self.frame
        if frame.parent is not None and frame.tag in HEADINGS:  # a list in a heading is no heading
            frame = frame.parent
        if tag in HEADINGS:
            return Holder(frame, tag, "#" * int(tag[1]) + " ")
        if tag == "pre":
            return Holder(frame, tag, language=_language(attributes) or self._language_around(number), code=[])
        if tag == "table":
            return Holder(frame, tag, table=Table()) if self._is_data(number) else frame
        if tag == "li":
            return self._item(frame, attributes)
        if frame.tag in LISTS and frame.item is not None and frame.item.begun:
            frame = frame.item  # a list in a list belongs to the item before it
        if frame.depth >= MOST_NESTED:
            return frame
        if tag == "dl":
            return Holder(frame, tag)
        if tag == "dt":
            frame.item = Holder(frame, tag)
            return frame.item
        if tag == "blockquote":
            return Holder(frame, tag, "> ", "> ")
        if tag == "dd":
            has_term = frame.item is not None and frame.item.begun
            return Holder(frame, tag, ": ", "  ") if has_term else frame
        first = NUMBER.search(attributes) if attributes else None
        return Holder(frame, tag, number=int(first[1][: LONGEST_NUMBER + 1]) - 1 if first else 0)

    def _item(self, frame: Holder, attributes: str) -> Holder:
        """An item of the list, or of one that is made where there is none."""
        around: Holder | None = frame
        if frame.depth >= MOST_NESTED:
            while around is not None and around.tag not in LISTS:
                around = around.parent
            if around is None:
                return frame
        elif frame.tag not in LISTS:
            around = frame.orphans = frame.orphans or Holder(frame, "ul")
        assert around is not None, "a list was found or made"
        value = NUMBER.search(attributes) if attributes else None
        around.number = int(value[1][: LONGEST_NUMBER + 1]) if value else around.number + 1
        number = around.number if 0 <= around.number < 10**LONGEST_NUMBER else 0
        width = len(str(number)) + 2 if around.tag == "ol" else 2
        around.item = Holder(around, "li", rest=" " * width, number=number)
        return around.item

    def _is_data(self, number: int) -> bool:
        """Whether a table has no structure in its cells; no token is looked at for two tables."""
        for at in range(number + 1, len(self.tokens)):
            if NO_DATA.match(self.tokens[at]):
                return self.tokens[at][0] == "/"
        return False

    def _language_around(self, number: int) -> str:
        """The language that a `div` right around token `number` names, or the `div` around that."""
        for token in (self.tokens[number - 1], self.tokens[number - 2]):
            tag, _, rest = token.partition(">")
            if not tag.startswith("div") or not (rest.isspace() or not rest):
                break
            if found := _language(tag[4:]):
                return found
        return ""

    def _cell(self, tag: str, attributes: str) -> None:
        if self.frame.table is not None:
            if tag == "tr":
                self.frame.table.begin_row()
            else:
                self.frame.table.begin_cell(attributes, is_head=tag == "th")

    def _rule(self) -> None:
        if self.frame.code is None and self.frame.table is None:
            self.lines.rule = bool(self.lines.out)

    def _block(self, runs: list[Run], start: int) -> None:
        """Write a block, or keep it until the table or listing around it ends."""
        frame, text = self.frame, "".join([text for _, text in runs]).replace(LINE_BREAK, "\n")
        after_break = self.tokens[start].startswith("br")
        if not without_entities(text).strip():
            return
        if frame.code is not None:
            frame.code.append("\n" * bool(frame.code and after_break) + text.strip("\n"))
        elif frame.table is not None and frame.table.rows:
            frame.table.add(runs, after_break=after_break)
        else:
            above = None if frame.table is None else frame.parent  # of a caption
            self._paragraph(above or frame, runs)

    def _paragraph(self, frame: Holder, runs: list[Run]) -> None:
        is_heading = frame.tag in HEADINGS
        text = [inline(runs, " ", escape=False)] if is_heading else inline(runs).split("\n")
        self.lines.write(frame, text, is_paragraph=True)

    def _settle(self, frame: Holder) -> None:
        """Write the table or listing that ends."""
        if frame.parent is None or (not frame.code and frame.table is None):
            return
        if frame.table is not None:
            lines = frame.table.lines()
            if lines is not None:
                self.lines.write(frame.parent, lines)
            else:
                for runs in frame.table.blocks():
                    self._paragraph(frame.parent, runs)
        elif frame.code:
            text = without_entities("\n".join(frame.code))
            quotes = fence(text, 3)
            self.lines.write(frame.parent, [quotes + frame.language, *text.split("\n"), quotes])
        frame.code = frame.table = None


def _language(attributes: str) -> str:
    found = CLASS.search(attributes) if attributes else None
    language = LANGUAGE.search(found[1]) if found else None
    name = language[1].lower() if language else ""
    return "" if name in NO_LANGUAGE else name
