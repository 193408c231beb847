"""Items of tasks as they are looked for in training documents."""

import re
from dataclasses import dataclass

from libertas.curate.contamination.items import ANNOTATION, EvaluationItem
from libertas.evaluate.grade import last_boxed
from libertas.evaluate.item import Item

FINAL_NUMBER = re.compile(r"####[ \t]*([^\n]{1,60})")
"""Where GSM8K's solutions say their number."""


@dataclass(frozen=True, slots=True)
class Sought:
    """An item in the parts in which it may stand in a document."""

    parts: EvaluationItem
    whole: bool
    """Whether its question is a text with the right answer in it: whoever has read that has read the answer."""
    asked: bool
    """Whether it asks something of its own, rather than take a text that may stand anywhere."""

    @property
    def text(self) -> str:
        """What the published rules are applied to: the passage and the question."""
        return f"{self.parts.passage}\n{self.parts.question}" if self.parts.passage else self.parts.question


def sought_item(task: str, item: Item) -> Sought:
    """What to look for.

    A passage that is to be continued counts as the question; where whole texts are compared, the right one does, with
    all that stands around it.
    """
    if item.ending:
        return Sought(EvaluationItem(task, item.id, item.passage + item.answer + item.ending), whole=True, asked=False)
    if not item.question.strip() and not item.passage.strip():
        return Sought(EvaluationItem(task, item.id, item.answer), whole=True, asked=False)
    asked = bool(item.question.strip())
    question, passage = (item.question, item.passage) if asked else (item.passage, "")
    parts = EvaluationItem(task, item.id, question, item.choices, _answers(item), passage)
    return Sought(parts, whole=False, asked=asked)


def _answers(item: Item) -> tuple[str, ...]:
    """The right answer in each of the ways in which a page may say it: a solution, or only what it comes to."""
    found = [item.answer, ANNOTATION.sub("", item.answer)]
    if not item.choices:
        found += FINAL_NUMBER.findall(item.answer)[-1:]
        boxed = last_boxed(item.answer)
        found += [boxed] if boxed else []
    return tuple(dict.fromkeys(found))
