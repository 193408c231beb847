"""Questions from JSON lines: our own form, and MMLU's."""

from pathlib import Path

from libertas.errors import UsageError
from libertas.evaluate.grade import GRADERS, grade
from libertas.evaluate.item import Item, choice_item, written_item
from libertas.evaluate.tasks.rows import Entries, Row, asked_for, chosen, items_from, json_rows
from libertas.spelling import nearest

TRIED_LATER = ("code", "math-verify")
"""Graders that take too long to try every answer while a file is read."""


def read_item_lines(path: Path) -> Entries:
    """Items in our own form.

    With `question` or `passage` or both: `choices` and `gold`, the number of the right one, counted from 0; or `answer`
    and `grader` where it is to be written. Where there are some: `id`, `group`, `meta`.
    """
    return items_from(path, json_rows(path), _own)


def _own(row: Row, place: str, number: str) -> Item:
    meta = asked_for(row, "meta", dict, place) if "meta" in row else {}
    name, group = str(row.get("id", number)), str(row.get("group", ""))
    texts = {key: asked_for(row, key, str, place) for key in ("question", "passage") if row.get(key)}
    if "choices" in row:
        choices, gold = chosen(asked_for(row, "choices", list, place), asked_for(row, "gold", int, place), place)
        if len(set(choices)) < len(choices):
            raise UsageError(f"{place}: two choices are equal among {choices!r:.80}; they must differ")
        return choice_item(name, choices, gold, group=group, meta=meta, **texts)
    grader = str(row.get("grader", "exact"))
    if grader not in GRADERS or grader == "choice":
        raise UsageError(f"{place}: grader is {grader!r}; {nearest(grader, set(GRADERS) - {'choice'})}")
    item = written_item(name, asked_for(row, "answer", str, place), grader, group=group, meta=meta, **texts)
    if grader == "code" and not all(isinstance(meta.get(key), str) for key in ("test", "entry_point")):
        raise UsageError(f"{place}: 'meta' is {meta!r:.60}; for code expected texts `test` and `entry_point` in it")
    if grader not in TRIED_LATER and not grade(item, item.answer):
        raise UsageError(f"{place}: 'answer' is {item.answer!r:.60}; it does not pass its own grader, {grader!r}")
    return item


def read_mmlu(path: Path) -> Entries:
    """MMLU (Hendrycks et al. 2021): `question`, four `choices`, the number of the right one as `answer`, `subject`.

    The validation part is also about without subjects.
    """
    return items_from(path, json_rows(path), _mmlu)


def _mmlu(row: Row, place: str, number: str) -> Item:
    choices, gold = chosen(asked_for(row, "choices", list, place), asked_for(row, "answer", int, place), place)
    meta = {"subject": asked_for(row, "subject", str, place)} if "subject" in row else {}
    return choice_item(f"mmlu-{number}", choices, gold, question=asked_for(row, "question", str, place), meta=meta)
