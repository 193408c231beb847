"""Answers that a model writes itself: LAMBADA, GSM8K, MATH, HumanEval, ProofNet."""

from dataclasses import replace
from pathlib import Path

from libertas.errors import UsageError
from libertas.evaluate.grade import last_boxed, number_in
from libertas.evaluate.item import Item, written_item
from libertas.evaluate.tasks.rows import Entries, Row, asked_for, items_from, json_rows


def read_lambada(path: Path) -> Entries:
    """LAMBADA (Paperno et al. 2016): `text`, whose last word is asked for."""
    return items_from(path, json_rows(path), _lambada)


def _lambada(row: Row, place: str, number: str) -> Item:
    passage, space, word = asked_for(row, "text", str, place).rstrip().rpartition(" ")
    if not space:
        raise UsageError(f"{place}: 'text' is {word!r:.60}; expected several words, the last of which is asked for")
    return written_item(f"lambada-{number}", word, "continuation", passage=passage)


def read_gsm8k(path: Path) -> Entries:
    """GSM8K (Cobbe et al. 2021): `question`, and `answer`: a solution that ends with `#### NUMBER`."""
    return items_from(path, json_rows(path), _gsm8k)


def _gsm8k(row: Row, place: str, number: str) -> Item:
    answer = asked_for(row, "answer", str, place)
    if "####" not in answer or number_in(answer) is None:
        raise UsageError(f"{place}: 'answer' ends with {answer[-40:]!r}; expected `#### NUMBER`")
    return written_item(f"gsm8k-{number}", answer, "number", question=asked_for(row, "question", str, place))


def read_math(path: Path) -> Entries:
    r"""MATH (Hendrycks et al. 2021): `problem`, `solution` with a last `\boxed{...}`, `type` and `level`."""
    return items_from(path, json_rows(path), _math)


def _math(row: Row, place: str, number: str) -> Item:
    problem, solution = (asked_for(row, key, str, place) for key in ("problem", "solution"))
    if last_boxed(solution) is None:
        raise UsageError(f"{place}: 'solution' ends with {solution[-40:]!r}; expected a \\boxed{{...}} answer in it")
    meta = {"subject": str(row.get("type", "")), "level": str(row.get("level", ""))}
    return written_item(str(row.get("unique_id", f"math-{number}")), solution, "boxed", question=problem, meta=meta)


def read_math_verify(path: Path) -> Entries:
    """MATH, graded by the package math-verify, which also sees that two ways to write a value are the same."""
    entries = read_math(path)
    return [replace(entry, grader="math-verify") if isinstance(entry, Item) else entry for entry in entries]


def read_humaneval(path: Path) -> Entries:
    """HumanEval (Chen et al. 2021): `task_id`, `prompt`, `canonical_solution`, `test`, `entry_point`."""
    return items_from(path, json_rows(path), _humaneval)


def _humaneval(row: Row, place: str, number: str) -> Item:
    keys = ("task_id", "prompt", "canonical_solution", "test", "entry_point")
    name, prompt, solution, test, entry = (asked_for(row, key, str, place) for key in keys)
    if not entry.isidentifier():
        raise UsageError(f"{place}: 'entry_point' is {entry!r:.60}; expected the name of a function")
    return written_item(name, solution, "code", passage=prompt, meta={"test": test, "entry_point": entry})


def read_proofnet(path: Path) -> Entries:
    """ProofNet (Azerbayev et al. 2023): a theorem in words, `nl_statement`, and in Lean, `formal_statement`.

    No program tells whether two formal statements say the same, so only the published one counts as right; what can
    be compared between models is how likely each finds it. The textbook, named before `|` in `id`, is the subject.
    """
    return items_from(path, json_rows(path), _proofnet)


def _proofnet(row: Row, place: str, number: str) -> Item:
    name, words, formal = (asked_for(row, key, str, place) for key in ("id", "nl_statement", "formal_statement"))
    return written_item(name, formal, "exact", question=words, meta={"subject": name.partition("|")[0]})
