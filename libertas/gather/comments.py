"""Which blocks of a page are what its readers wrote below it."""

import re

import numpy as np
from numpy.typing import NDArray

from libertas.gather.blocks import LEAVES, Blocks

NAMES = frozenset((
    "antworten", "comentario", "comentarios", "comment", "commentaire", "commentaires", "commentbody",
    "commentlist", "comments", "commenttext", "discussion", "disqus", "kommentar", "kommentare", "replies",
    "reply",
))  # fmt: skip
"""Parts of a class or id that name the place of comments."""
FORM = frozenset({"respond", "form", "commentform"})
"""Parts that name the place where a comment is written."""
NAMED = re.compile(r'(?:class|id)="([^"]*)"')
NAME_PART = re.compile(r"[A-Z]?[a-z]+|[A-Z]+")
SHORT = 25
"""What is shorter and ends like no sentence is a name, a date or a button."""
MOST_LINKED = 0.5
SENTENCE_ENDS = '.!?…)"”“»。！？:'
HEADINGS = {LEAVES.index(tag) for tag in ("h1", "h2", "h3", "h4", "h5", "h6", "legend", "summary")}


def _name_parts(attributes: str) -> set[str]:
    """Words of the class and id of a tag, in lower case."""
    return {part.lower() for value in NAMED.findall(attributes) for part in NAME_PART.findall(value)}


def comment_blocks(blocks: Blocks, kept: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Marks the blocks that are comments.

    A container counts as a place of comments if its names say so and no main content is in it: the article as a whole
    is often named `comments-open`. What is said around the form for a new comment is none, whatever its names.
    """
    before = np.concatenate([[0], np.cumsum(kept)])
    inside: list[bool] = []
    form: list[bool] = []
    for parent, attributes, first, last in zip(
        blocks.c_parent, blocks.c_names, blocks.c_first, blocks.c_last, strict=True
    ):
        parts = _name_parts(attributes) if attributes else set()
        empty = before[last] == before[first]
        form.append((parent >= 0 and form[parent]) or (bool(parts & FORM) and bool(empty)))
        here = (parent >= 0 and inside[parent]) or (bool(parts & NAMES) and bool(empty))
        inside.append(here and not form[-1] and not parts & FORM)
    found = np.zeros(len(blocks.text), np.bool_)
    for i, text in enumerate(blocks.text):
        place = inside[blocks.container[i]]
        if not (place or kept[i] or form[blocks.container[i]]) and blocks.names[i]:
            parts = _name_parts(blocks.names[i])
            place = bool(parts & NAMES) and not parts & FORM
        if place and blocks.leaf[i] not in HEADINGS and blocks.linked[i] <= MOST_LINKED * len(text):
            found[i] = len(text) >= SHORT or text[-1] in SENTENCE_ENDS
    return found
