"""One question, from which every protocol makes its own prompts."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Item:
    """A question: with choices, or with an answer that is to be written."""

    id: str
    """Unique within the task."""
    question: str
    """What is asked; empty when the answer simply continues the passage."""
    choices: tuple[str, ...]
    """The possible answers, exactly as they would stand in a text; none where the answer is to be written."""
    gold: int
    """Number of the right choice; -1 where there are none."""
    answer: str
    """Text of the right choice, or an answer that is right; to a sum, the solution with its steps."""
    passage: str
    """Text that the question is about; may be empty, as where the choices are whole texts to compare."""
    group: str
    """Items of one group are not independent (they share a document): standard errors are clustered by it."""
    meta: dict[str, Any] = field(default_factory=dict)
    """Where the item comes from: component, document id, offset of the passage."""
    ending: str = ""
    """What follows every choice, and is then what is scored, given passage and choice (WinoGrande)."""
    grader: str = "choice"
    """How a written answer is graded: a name in `libertas.evaluate.grade.GRADERS`."""

    def __post_init__(self) -> None:
        """An item that contradicts itself is a mistake of the task that made it.

        Two choices may be equal: some are in MMLU and in BLiMP.
        """
        if self.choices:
            assert 0 <= self.gold < len(self.choices), f"item {self.id}: there is no choice {self.gold}"
            assert self.choices[self.gold] == self.answer, f"item {self.id}: choice {self.gold} is not the answer"
        else:
            assert self.gold == -1, f"item {self.id}: it has no choices, and choice {self.gold} is said to be right"
            assert self.answer.strip(), f"item {self.id}: it has neither choices nor an answer"


def choice_item(
    name: str,
    choices: Sequence[str],
    gold: int,
    *,
    question: str = "",
    passage: str = "",
    ending: str = "",
    group: str = "",
    meta: dict[str, Any] | None = None,
) -> Item:
    """An item with choices; it is a group of its own if none is given."""
    chosen = tuple(choices)
    return Item(name, question, chosen, gold, chosen[gold], passage, group or name, meta or {}, ending)


def written_item(
    name: str,
    answer: str,
    grader: str,
    *,
    question: str = "",
    passage: str = "",
    group: str = "",
    meta: dict[str, Any] | None = None,
) -> Item:
    """An item whose answer is to be written, and how that is graded."""
    return Item(name, question, (), -1, answer, passage, group or name, meta or {}, grader=grader)


def placed(name: str, right: str, wrong: Sequence[str]) -> tuple[tuple[str, ...], int]:
    """Choices in an order that the item's id decides, and the number of the right one.

    For sets that write the right answer first: otherwise its place would give it away.
    """
    numbers = list(range(len(wrong) + 1))
    random.Random(name).shuffle(numbers)
    texts = (right, *wrong)
    return tuple(texts[number] for number in numbers), numbers.index(0)
