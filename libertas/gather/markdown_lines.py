"""Lines of Markdown with what lists, quotes and headings put before them."""

from dataclasses import dataclass

from libertas.gather.markdown_table import Table

HEADINGS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
LISTS = frozenset({"ul", "ol", "menu", "dir"})
OTHER_SIGN = {"-": "*", "*": "-", ".": ")", ")": "."}
"""Two lists in a row have different signs; with the same they would be one."""
RULE = "---"


@dataclass(slots=True, eq=False)
class Holder:
    """An element around text that shows in Markdown."""

    parent: "Holder | None"
    tag: str
    lead: str = ""
    """Before its first line; of items, written by their list."""
    rest: str = ""
    """Before its other lines."""
    language: str = ""
    code: list[str] | None = None
    """Of a listing: its text."""
    table: Table | None = None
    number: int = 0
    """Of an item: its number; of a list: that of its last item."""
    begun: bool = False
    """Some of its text is written."""
    item: "Holder | None" = None
    """Of a list: its last item; of a definition list: its last term."""
    orphans: "Holder | None" = None
    """The list of items here that are in no list."""
    sign: str = ""
    """Of a list: what marks its items."""
    last_list: tuple[int, str] = (-1, "")
    """How much had been written behind the last list in it, and its sign."""
    depth: int = 0
    """How many frames are around it."""

    def __post_init__(self) -> None:
        """The depth follows from the parent."""
        if self.parent is not None:
            self.depth = self.parent.depth + 1


class Lines:
    """What has been written."""

    def __init__(self) -> None:
        """Nothing yet."""
        self.out: list[str] = []
        self.rule = False
        """A rule comes before what is written next."""
        self._before: list[Holder] = []
        self._after_paragraph = False
        self._written = 0

    def write(self, frame: Holder, lines: list[str], *, is_paragraph: bool = False) -> None:
        """Write the lines of one block inside of a frame."""
        chain = _chain(frame)
        shared = 0
        for one, other in zip(chain, self._before, strict=False):
            if one is not other:
                break
            shared += 1
        if frame.tag in HEADINGS and frame.begun and self._before[-1:] == [frame]:
            self.out.append(" " + lines[0])
            return
        indent = "".join([f.rest for f in chain[:shared]])
        if self.rule:
            self.out += ["\n", indent.rstrip(), "\n", indent, RULE]
            self._written += 1
            self._before = chain[:shared]
            self._after_paragraph = self.rule = False
        if self.out:
            self.out.append("\n" if self._is_tight(chain, shared) else f"\n{indent.rstrip()}\n")
        self.out.append("".join([self._begin(f) for f in chain]))
        rest = "".join([f.rest for f in chain])
        blank = rest.rstrip()
        self.out.append(lines[0])
        for line in lines[1:]:
            self.out += ["\n", rest if line else blank, line]
        self._written += 1
        for f in chain:
            if f.sign and f.parent is not None:
                f.parent.last_list = self._written, f.sign
        self._before, self._after_paragraph = chain, is_paragraph

    def _begin(self, frame: Holder) -> str:
        """What a frame puts before the line that is written now."""
        if frame.begun:
            return frame.lead if frame.tag in HEADINGS else frame.rest
        frame.begun = True
        if frame.tag != "li" or frame.parent is None:
            return frame.lead
        around = frame.parent
        if not around.sign:
            around.sign = "." if around.tag == "ol" else "-"
            if around.parent is not None and around.parent.last_list == (self._written, around.sign):
                around.sign = OTHER_SIGN[around.sign]
        return f"{frame.number}{around.sign} " if around.tag == "ol" else f"{around.sign} "

    def _is_tight(self, chain: list[Holder], shared: int) -> bool:
        """No blank line between what is written and what is written now."""
        if shared >= len(chain):
            return False
        new = chain[shared]
        before = self._before[shared].tag if shared < len(self._before) else ""
        if new.tag == "li":
            return before == "li"
        if new.tag == "dd" or new.tag == "dt":
            return before == "dt" or (new.tag == before == "dd")
        if new.tag not in LISTS or before or not self._after_paragraph or not shared:
            return False
        item = chain[shared + 1] if shared + 1 < len(chain) else None
        is_inside = chain[shared - 1].tag in ("li", "dd")
        return is_inside and item is not None and item.tag == "li" and (new.tag != "ol" or item.number == 1)


def _chain(frame: Holder) -> list[Holder]:
    """The frames around a text, outermost first, without the page itself."""
    chain = []
    while frame.parent is not None:
        chain.append(frame)
        frame = frame.parent
    return chain[::-1]
