"""What lm-eval asked, from its files `samples_*.jsonl`: the same prompts, byte for byte, for another model."""

from collections.abc import Iterator
from os.path import commonprefix
from pathlib import Path
from typing import Any

from libertas.errors import UsageError
from libertas.evaluate.item import Item, choice_item, written_item
from libertas.evaluate.tasks.rows import Entries, Row, asked_for, chosen, items_from, json_rows


def read_samples(path: Path) -> Entries:
    """Items of lm-eval 0.4: `doc_id`, `arguments` and `target` of each row; examples stand in the passage already.

    Score them under protocols that hide the choices: what was asked is the passage, and the choices continue it.
    """
    return items_from(path, _once(path), _sample)


def _once(path: Path) -> Iterator[tuple[str, Row | UsageError]]:
    """A row for each question: lm-eval repeats it for every filter of its answers."""
    filters: dict[str, Any] = {}
    for place, row in json_rows(path):
        if isinstance(row, UsageError) or row.get("filter") == filters.setdefault(
            str(row.get("task", "")), row.get("filter")
        ):
            yield place, row


def _sample(row: Row, place: str, number: str) -> Item:
    asked = _arguments(row, place)
    name = f"{row.get('task', 'sample')}-{row.get('doc_id', number)}"
    if any(len(one) != 2 or not isinstance(one[0], str) for one in asked):
        raise UsageError(f"{place}: 'arguments' are no prompts with continuations; lm-eval's whole texts are no items")
    if isinstance(asked[0][1], dict):
        return written_item(name, _target(row, place), "exact", passage=asked[0][0])
    contexts, endings = [one[0] for one in asked], [str(one[1]) for one in asked]
    if len(asked) == 1:
        if not endings[0].strip():
            raise UsageError(f"{place}: nothing is to follow the prompt of 'arguments'; expected a continuation")
        return written_item(name, endings[0].strip(), "continuation", passage=contexts[0])
    with_context = [n for n, context in enumerate(contexts) if context]
    if with_context and with_context[-1] < len(asked) // 2 == len(with_context):  # the rest: for acc_mutual_info
        contexts, endings = contexts[: len(with_context)], endings[: len(with_context)]
    if len(set(contexts)) == 1:
        return choice_item(name, *chosen(endings, _gold(row, endings, place), place), passage=contexts[0])
    if len(set(endings)) == 1:
        words = commonprefix(contexts).rpartition(" ")  # noqa: RUF071 - of texts, character by character
        passage = words[0] + words[1]
        options = [context.removeprefix(passage) for context in contexts]
        gold = _told_apart(row, place) if len(options) == 2 else _gold(row, options, place)
        return choice_item(name, *chosen(options, gold, place), passage=passage, ending=endings[0])
    raise UsageError(f"{place}: both prompts and continuations differ in 'arguments'; expected one prompt, or one end")


def _arguments(row: Row, place: str) -> list[list[Any]]:
    given = row.get("arguments")
    if isinstance(given, dict):
        given = [list(one.values()) if isinstance(one, dict) else one for one in given.values()]
    if not isinstance(given, list) or not given or not all(isinstance(one, list) and one for one in given):
        raise UsageError(f"{place}: 'arguments' is {given!r:.60}; expected what lm-eval asked (`--log_samples`)")
    return given


def _target(row: Row, place: str) -> str:
    target = row.get("target")
    return str(target) if isinstance(target, int) else str(asked_for(row, "target", str, place))


def _gold(row: Row, choices: list[str], place: str) -> int:
    """lm-eval writes the number of the right choice, or its text."""
    target = _target(row, place).strip()
    texts = [choice.strip() for choice in choices]
    if target in texts:
        return texts.index(target)
    if not target.isdecimal() or not int(target[:9]) < len(choices):
        raise UsageError(f"{place}: 'target' is {target!r:.60}; expected the right choice or its number")
    return int(target)


def _told_apart(row: Row, place: str) -> int:
    """Which of two prompts is right: not in the row, but whether the one that the model preferred is."""
    try:
        one, two = (float(answer[0]) for answer in row["filtered_resps"])
        right = {0.0: False, 1.0: True}[float(row["acc"])]
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise UsageError(f"{place} does not tell which prompt is right; expected 'filtered_resps' and 'acc'") from error
    return int((two > one) == right)
