"""Plain text of the blocks that were kept."""

import numpy as np
from numpy.typing import NDArray

from libertas.gather.blocks import LEAF_NUMBER, LINE_BREAK, Blocks

CELL = frozenset({LEAF_NUMBER["td"], LEAF_NUMBER["th"]})
ITEM = LEAF_NUMBER["li"]
LOOSE = frozenset({LEAF_NUMBER["none"], LEAF_NUMBER["p"]})


def plain_text(blocks: Blocks, kept: NDArray[np.bool_]) -> str:
    """The text of some blocks: cells of a row by tabs, rows and list items by lines, others by blank lines."""
    texts, leaves, rows, opened = blocks.text, blocks.leaf, blocks.row, blocks.opened
    parts: list[str] = []
    before = row = table = 0
    for i in np.flatnonzero(kept).tolist():
        place = opened[i] if opened[i] > 0 and leaves[i] in LOOSE else leaves[i]
        if place in CELL:
            here = blocks.c_parent[blocks.container[i]]
            beside = "\t" if rows[i] == row and opened[i] >= 0 else "\n"
            gap = beside if before in CELL and here == table else "\n\n"
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
