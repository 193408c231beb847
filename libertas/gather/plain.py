"""Plain text of the blocks that were kept."""

import re

import numpy as np
from numpy.typing import NDArray

from libertas.gather.blocks import LEAF_NUMBER, LINE_BREAK, Blocks

CELL = frozenset({LEAF_NUMBER["td"], LEAF_NUMBER["th"]})
ITEM = LEAF_NUMBER["li"]
OPENING = re.compile(r"(?:(t[dh])|li)(?: [^>]*)?>\s*$")
"""Tag right before a paragraph that is the first in its cell or item."""
LOOSE = frozenset({LEAF_NUMBER["none"], LEAF_NUMBER["p"]})


def plain_text(blocks: Blocks, kept: NDArray[np.bool_]) -> str:
    """The text of some blocks: cells of a row by tabs, rows and list items by lines, others by blank lines."""
    texts, leaves, rows, tokens = blocks.text, blocks.leaf, blocks.row, blocks.tokens
    parts: list[str] = []
    before = row = table = 0
    for i in np.flatnonzero(kept).tolist():
        start = blocks.start[i]
        place = leaves[i]
        if place in LOOSE and (opening := OPENING.match(tokens[start - 1])):
            place = ITEM if opening[1] is None else LEAF_NUMBER["td"]
        if place in CELL:
            here = blocks.c_parent[blocks.container[i]]
            if before not in CELL or here != table:
                gap = "\n\n"
            else:
                gap = "\t" if rows[i] == row and not tokens[start].startswith("br") else "\n"
            row, table = rows[i], here
        else:
            gap = "\n" if place == ITEM == before else "\n\n"
        parts += [gap, texts[i]]
        before = place
    return without_entities("".join(parts[1:])).replace(LINE_BREAK, "\n")


def without_entities(text: str) -> str:
    """Text with its entities undone; the serializer writes no others."""
    if "&" not in text:
        return text
    return text.replace("&nbsp;", " ").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
