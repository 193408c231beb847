"""Which text continues this passage? Multiple choice made from held-out documents, with the truth in the document.

A passage of 60 to 200 characters is cut after a word; the right choice is what follows, 6 to 12 words. The wrong ones
are as many words from other places of the same component, within a quarter of the right one's length, and begin with
the white space that the right one begins with, so that neither length nor indentation gives the answer away.
"""

import random
import re
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from libertas.document import Document
from libertas.evaluate.item import Item

CHOICES = 4
PASSAGE_CHARACTERS = (60, 200)
ANSWER_WORDS = (6, 12)
LENGTH_SLACK = 0.25
"""How far a wrong choice's length in characters may be from the right one's, as a share of it."""
DRAWS = 200
"""Places tried for the wrong choices of one item before its passage is given up."""
REFUSALS = 50
"""Passages given up in a row before a component is left alone: it has too little text."""

WORD = re.compile(r"\S+")


@dataclass(frozen=True, slots=True)
class _Text:
    document: Document
    words: list[tuple[int, int]]
    """Start and end of each word."""


def make_items(documents: Sequence[Document], count: int, seed: int) -> tuple[list[Item], int]:
    """Up to `count` items, the components taking turns, and how many passages were given up.

    Fewer are made when the documents hold too little text; the same documents, count and seed give the same items.
    """
    generator = random.Random(seed)
    components: dict[str, list[_Text]] = {}
    for document in documents:
        text = _Text(document, [m.span() for m in WORD.finditer(document.text)])
        if len(text.words) > ANSWER_WORDS[0]:
            components.setdefault(str(document.meta["component"]), []).append(text)
    items: list[Item] = []
    used: set[str] = set()
    refused = 0
    turns = [components[name] for name in sorted(components)]
    while turns and len(items) < count:
        for texts in list(turns):
            if len(items) == count:
                break
            for _ in range(REFUSALS):
                item = _make(texts, generator)
                if item and item.id not in used:
                    used.add(item.id)
                    items.append(item)
                    break
                refused += 1
            else:
                turns.remove(texts)
    return items, refused


def _make(texts: list[_Text], generator: random.Random) -> Item | None:
    """An item at a random place of a random document, or None where that place does not serve."""
    text = generator.choice(texts)
    count = generator.randint(*ANSWER_WORDS)
    wanted = generator.randint(*PASSAGE_CHARACTERS)
    last = len(text.words) - count
    if last < 1:
        return None
    word = generator.randint(1, last)
    cut, stop = text.words[word - 1][1], text.words[word + count - 1][1]
    begin = text.words[bisect_left(text.words, (cut - wanted, 0))][0]  # so the passage has at most the wanted length
    if cut - begin < PASSAGE_CHARACTERS[0]:
        return None
    source = text.document.text
    answer = source[cut:stop]
    wrong = _distractors(texts, generator, text, (begin, stop), count, answer)
    if wrong is None:
        return None
    choices = [answer, *wrong]
    generator.shuffle(choices)
    meta = {"document": text.document.id, "component": text.document.meta["component"], "offset": begin}
    return Item(
        id=f"{text.document.id}:{cut}:{count}",
        question="",
        choices=tuple(choices),
        gold=choices.index(answer),
        answer=answer,
        passage=source[begin:cut],
        group=text.document.id,
        meta=meta,
    )


def _distractors(
    texts: list[_Text], generator: random.Random, own: _Text, taken: tuple[int, int], count: int, answer: str
) -> list[str] | None:
    """Other pieces of `count` words, not touching the item's own text, or None where too few are found."""
    lead = answer[: len(answer) - len(answer.lstrip())]
    seen, found = {" ".join(answer.split())}, []
    for _ in range(DRAWS):
        text = generator.choice(texts)
        if len(text.words) < count:
            continue
        word = generator.randint(0, len(text.words) - count)
        start, stop = text.words[word][0], text.words[word + count - 1][1]
        if text is own and start < taken[1] and taken[0] < stop:
            continue
        piece = lead + text.document.text[start:stop]
        plain = " ".join(piece.split())
        if plain in seen or abs(len(piece) - len(answer)) > LENGTH_SLACK * len(answer):
            continue
        seen.add(plain)
        found.append(piece)
        if len(found) == CHOICES - 1:
            return found
    return None
