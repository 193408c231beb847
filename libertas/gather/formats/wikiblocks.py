"""Lines of wikitext as blocks: headings, lists, paragraphs."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

BREAK = "\x03"
"""A line break that stays one."""
CODE_LINE = "\x04"
"""Begins a line that began with a space in the source: program text."""
DEEPEST_LIST = 20
EMPTY_BRACKETS = re.compile(r"[ \t]?\([ \t,;:]*\)")
"""What a template that was left out (how a name is spoken) leaves behind."""
HALF_EMPTY = re.compile(r"\([ \t,;:]+(?=\S)")
SPACES = re.compile(r"[ \t]{2,}")


@dataclass(slots=True)
class BlockLine:
    """One block: `kind` is heading, item, code (lines as they are), kept (a stand-in for a finished block) or text."""

    MARK: ClassVar[str] = "\x02"
    """Begins the line of a finished block."""

    kind: str
    text: str
    level: int = 0
    prefix: str = ""


def joined_blocks(source: str, inline: Callable[[str], str], *, markdown: bool) -> str:
    """Text of wikitext that holds no other marks than those of lines and of emphasis.

    Args:
        source: the lines.
        inline: what makes text of one of them.
        markdown: write Markdown.
    """
    blocks = _without_empty_sections(_blocks(source))
    numbers: dict[str, int] = {}
    parts: list[str] = []
    previous = ""
    for block in blocks:
        numbers = {k: n for k, n in numbers.items() if block.prefix.startswith(k)}  # lists that go on
        text = _tidy(inline(block.text)) if block.kind not in ("kept", "code") else block.text
        if block.kind == "heading":
            text = f"{'#' * block.level} {text}" if markdown else text
        elif block.kind == "item":
            text = _item(block, text, numbers)
        elif block.kind == "code":
            text = f"```\n{inline(text)}\n```" if markdown else inline(text)
        if text.strip():
            parts += ["\n" if block.kind == previous == "item" else "\n\n", text.strip(BREAK).replace(BREAK, "\n")]
            previous = block.kind
    return "".join(parts[1:]).strip("\n")


def _blocks(source: str) -> list[BlockLine]:
    blocks: list[BlockLine] = []
    paragraph: list[str] = []
    code: list[str] = []

    def ends() -> None:
        if paragraph:
            blocks.append(BlockLine("text", " ".join(paragraph)))
            paragraph.clear()
        if code:
            blocks.append(BlockLine("code", "\n".join(code)))
            code.clear()

    for line in source.split("\n"):
        stripped = line.strip()
        if line.startswith(CODE_LINE) and not paragraph:
            code.append(line[2:].rstrip())
            continue
        stripped = stripped.lstrip(CODE_LINE)
        if code or not stripped or stripped[0] in "=*#:;-" + BlockLine.MARK:
            ends()
        level = _level(stripped)
        if stripped.startswith(BlockLine.MARK):
            blocks.append(BlockLine("kept", stripped[1:]))
        elif level:
            blocks.append(BlockLine("heading", stripped[level:-level].strip(), level))
        elif stripped[:1] in ("*", "#", ":", ";") and stripped:
            text = stripped.lstrip("*#:;")
            blocks.append(BlockLine("item", text.strip(), prefix=stripped[: len(stripped) - len(text)][:DEEPEST_LIST]))
        elif stripped.startswith("----"):
            ends()
        elif stripped:
            paragraph.append(stripped)
    ends()
    return blocks


def _level(line: str) -> int:
    """Level of a heading, or 0 for other lines."""
    if not (line.startswith("=") and line.endswith("=") and line.strip("=").strip()):
        return 0
    return min(len(line) - len(line.lstrip("=")), len(line) - len(line.rstrip("=")), 6)


def _without_empty_sections(blocks: list[BlockLine]) -> list[BlockLine]:
    """Headings above nothing but what was left out (references, navigation) go too."""
    kept: list[BlockLine] = []
    after = 0
    for block in reversed(blocks):  # `after`: level of the heading that follows, 0 at the end, 7 behind text
        if block.kind == "heading" and after <= block.level:
            continue
        after = block.level if block.kind == "heading" else 7
        kept.append(block)
    return kept[::-1]


def _item(block: BlockLine, text: str, numbers: dict[str, int]) -> str:
    """A list item with its mark; `:` indents and has none, and so has the term that `;` begins."""
    numbers[block.prefix] = numbers.get(block.prefix, 0) + 1
    mark = {"*": "- ", "#": f"{numbers[block.prefix]}. "}.get(block.prefix[-1], "")
    indent = "".join("   " if sign == "#" else "  " for sign in block.prefix[:-1]) if mark else ""
    return indent + mark + text if text else ""


def _tidy(text: str) -> str:
    return SPACES.sub(" ", HALF_EMPTY.sub("(", EMPTY_BRACKETS.sub("", text))).strip()
