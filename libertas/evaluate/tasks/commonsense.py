"""Multiple choice in the forms in which it was published: HellaSwag, ARC, PIQA, WinoGrande, TruthfulQA."""

import re
from pathlib import Path

from libertas.errors import UsageError
from libertas.evaluate.item import Item, choice_item, placed
from libertas.evaluate.tasks.rows import Entries, Row, asked_for, chosen, items_from, json_rows, label_of

BRACKETED = re.compile(r"\[[^\[\]]*\]")
"""WikiHow's marks in HellaSwag, such as `[header]`."""


def read_hellaswag(path: Path) -> Entries:
    """HellaSwag (Zellers et al. 2019): `activity_label`, `ctx_a`, `ctx_b`, `endings`, `label`; worded as in lm-eval.

    Endings of one video or article are a group (`source_id`).
    """
    return items_from(path, json_rows(path), _hellaswag)


def _hellaswag(row: Row, place: str, number: str) -> Item:
    context = f"{asked_for(row, 'ctx_a', str, place)} {str(row.get('ctx_b') or '').capitalize()}"
    given = asked_for(row, "endings", list, place)
    endings = [f" {_unmarked(ending)}" if isinstance(ending, str) else ending for ending in given]
    choices, gold = chosen(endings, label_of(row, "label", [str(i) for i in range(len(endings))], place), place)
    return choice_item(
        f"hellaswag-{row.get('ind', number)}",
        choices,
        gold,
        passage=_unmarked(f"{asked_for(row, 'activity_label', str, place)}: {context}"),
        group=str(row.get("source_id", "")),
    )


def _unmarked(text: str) -> str:
    return BRACKETED.sub("", text.strip().replace(" [title]", ". ")).replace("  ", " ")


def read_arc(path: Path) -> Entries:
    """ARC (Clark et al. 2018): `question` with `stem` and `choices`, or both beside each other, and `answerKey`."""
    return items_from(path, json_rows(path), _arc)


def _arc(row: Row, place: str, number: str) -> Item:
    nested = isinstance(row.get("question"), dict)
    question = asked_for(row["question"], "stem", str, place) if nested else asked_for(row, "question", str, place)
    given = (row["question"] if nested else row).get("choices")
    if isinstance(given, dict):  # columns instead of rows
        texts, labels = given.get("text"), given.get("label")
    else:
        rows = [one for one in given if isinstance(one, dict)] if isinstance(given, list) else []
        texts, labels = [one.get("text") for one in rows], [one.get("label") for one in rows]
    if not isinstance(texts, list) or not isinstance(labels, list) or len(texts) != len(labels):
        raise UsageError(f"{place}: 'choices' is {given!r:.60}; expected a text and a label of each")
    choices, gold = chosen(texts, label_of(row, "answerKey", [str(label) for label in labels], place), place)
    return choice_item(str(row.get("id", f"arc-{number}")), choices, gold, question=question)


def read_piqa(path: Path) -> Entries:
    """PIQA (Bisk et al. 2020): `goal`, `sol1`, `sol2`, and `label`, which was published in a file of its own."""
    return items_from(path, json_rows(path), _piqa)


def _piqa(row: Row, place: str, number: str) -> Item:
    solutions = [asked_for(row, key, str, place) for key in ("sol1", "sol2")]
    gold = label_of(row, "label", ("0", "1"), place)
    return choice_item(f"piqa-{number}", solutions, gold, question=asked_for(row, "goal", str, place))


def read_winogrande(path: Path) -> Entries:
    """WinoGrande (Sakaguchi et al. 2019): `sentence` with a blank `_`, `option1`, `option2`, `answer`.

    Partial evaluation (Trinh & Le 2018), as in lm-eval: what follows the blank is scored, given each option. The two
    sentences of a pair, which differ in a word that turns the answer round, are a group.
    """
    return items_from(path, json_rows(path), _winogrande)


def _winogrande(row: Row, place: str, number: str) -> Item:
    sentence = asked_for(row, "sentence", str, place)
    before, blank, after = sentence.partition("_")
    if not blank or not after.strip():
        raise UsageError(f"{place}: 'sentence' is {sentence!r:.60}; expected a blank `_`, and words after it")
    options = [asked_for(row, key, str, place) for key in ("option1", "option2")]
    name = str(row.get("qID", f"winogrande-{number}"))
    pair = name.rpartition("-")[0] if "qID" in row else ""
    gold = label_of(row, "answer", ("1", "2"), place)
    return choice_item(name, options, gold, passage=before, ending=f" {after.strip()}", group=pair)


def read_truthfulqa(path: Path) -> Entries:
    """TruthfulQA, one right answer (Lin et al. 2021): `question`, `mc1_targets`: text -> 1 for the right one, else 0.

    It was published with the right one first; here the item's id decides its place.
    """
    return items_from(path, json_rows(path), _truthfulqa)


def _truthfulqa(row: Row, place: str, number: str) -> Item:
    targets = asked_for(row, "mc1_targets", dict, place)
    if set(targets) == {"choices", "labels"}:  # columns
        texts, labels = (asked_for(targets, key, list, place) for key in ("choices", "labels"))
        if len(texts) != len(labels) or not all(isinstance(text, str) for text in texts):
            raise UsageError(f"{place}: 'choices' are {texts!r:.60} and 'labels' {labels!r:.60}; expected one for each")
        targets = dict(zip(texts, labels, strict=True))
    right = [text for text, label in targets.items() if label == 1]
    if len(right) != 1:
        raise UsageError(f"{place}: {len(right)} answers of 'mc1_targets' are marked with 1; expected one")
    name = f"truthfulqa-{number}"
    choices, gold = chosen(*placed(name, right[0], [text for text in targets if text != right[0]]), place)
    return choice_item(name, choices, gold, question=asked_for(row, "question", str, place))
