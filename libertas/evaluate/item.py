"""One question, from which every protocol makes its own prompts."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Item:
    """A multiple-choice question."""

    id: str
    """Unique within the task."""
    question: str
    """What is asked; empty when the choices simply continue the passage."""
    choices: tuple[str, ...]
    """The possible answers, exactly as they would stand in a text."""
    gold: int
    """Number of the right choice."""
    answer: str
    """Text of the right choice."""
    passage: str
    """Text that the question is about; may be empty."""
    group: str
    """Items of one group are not independent (they share a document): standard errors are clustered by it."""
    meta: dict[str, Any] = field(default_factory=dict)
    """Where the item comes from: component, document id, offset of the passage."""

    def __post_init__(self) -> None:
        """An item that contradicts itself is a mistake of the task that made it."""
        assert self.choices[self.gold] == self.answer, f"item {self.id}: choice {self.gold} is not the answer"
        assert len(set(self.choices)) == len(self.choices), f"item {self.id}: two choices are equal"
