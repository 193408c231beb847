"""Evaluation sets load in whatever form they come, or a line says why not."""

import gzip
import json
from pathlib import Path

import pytest
import zstandard
from making import document, mixed_corpus

from libertas.curate.contamination.items import EvaluationItem, evaluation_files, read_items
from libertas.errors import UsageError

COUNTS = {
    "HumanEval": 164,
    "blimp": 67000,
    "gsm8k_test": 1319,
    "gsm8k_train": 7473,
    "implicatures_dev": 118,
    "implicatures_templates": 1,
    "implicatures_test": 600,
    "lambada_test": 5153,
    "mmlu_dev": 285,
    "mmlu_test": 14042,
    "mmlu_validation": 1531,
    "proofnet_test": 372,
    "proofnet_valid": 370,
}
"""Items of the shared evaluation sets; each of ProofNet's 371 statements comes in words and in Lean, but for two."""


def read(path: Path, **fields: str) -> list[EvaluationItem]:
    return list(read_items("t", path, fields))


def lines(path: Path, *records: object) -> Path:
    path.write_text("\n".join(json.dumps(r) for r in records))
    return path


def test_every_shared_set_loads_with_unique_ids(shared_data: Path) -> None:
    found = {task: list(read_items(task, path, {})) for task, path in evaluation_files([shared_data / "eval"])}
    assert {task: len(items) for task, items in found.items()} == COUNTS
    for items in found.values():
        assert len({i.id for i in items}) == len(items)
        assert all(i.question.strip() for i in items)
    assert found["mmlu_test"][0].answers == ("4",)
    assert found["gsm8k_test"][0].answers[1].startswith("Janet sells 16 - 3 - 4 = 9 duck eggs a day.")
    assert found["blimp"][0].id == "adjunct_island-0"


def test_common_forms_of_choices_and_answers_are_understood(tmp_path: Path) -> None:
    arc = {
        "id": "a",
        "question": {"stem": "Why?"},
        "choices": {"text": ["x", "y"], "label": ["A", "B"]},
        "answerKey": "B",
    }
    squad = {
        "id": "s",
        "context": "Long.",
        "question": "Who?",
        "answers": {"text": ["Ada", "Ada L."], "answer_start": [1]},
    }
    copa = {"premise": "It rained.", "choices": [{"text": "wet"}, {"text": "dry"}], "label": 0}
    assert read(lines(tmp_path / "x.jsonl", arc, squad, copa, "bare text")) == [
        EvaluationItem("t", "a", "Why?", ("x", "y"), ("y",)),
        EvaluationItem("t", "s", "Who?", (), ("Ada", "Ada L."), "Long."),
        EvaluationItem("t", "3", "It rained.", ("wet", "dry"), ("wet",)),
        EvaluationItem("t", "4", "bare text"),
    ]


def test_packed_files_tables_and_texts_say_the_same(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('﻿question,answer\n"What,\nnow?",No\n', encoding="utf-8")
    (tmp_path / "b.tsv.gz").write_bytes(gzip.compress(b'question\tanswer\n"What,\nnow?"\tNo\n'))
    (tmp_path / "c.json").write_text(json.dumps({"data": [{"question": "What,\nnow?", "answer": "No"}]}))
    packed = zstandard.ZstdCompressor().compress(b'{"question": "What,\\nnow?", "answer": "No"}\n\n')
    (tmp_path / "d.jsonl.zst").write_bytes(packed)
    (tmp_path / "e.txt").write_text("What,\nnow?\n\n \nNo\n")
    (tmp_path / "README").write_text("not an evaluation set")
    tasks = dict(evaluation_files([tmp_path]))
    assert list(tasks) == ["a", "b", "c", "d", "e"]
    expected = [EvaluationItem("t", "1", "What,\nnow?", (), ("No",))]
    assert [read(tasks[n]) for n in "abcd"] == [expected] * 4
    assert [i.question for i in read(tasks["e"])] == ["What,\nnow?", "No\n"]


def test_a_corpus_is_an_evaluation_set_of_paragraphs(tmp_path: Path) -> None:
    held_out = [document(7, content="First of two.\n\nSecond.")]
    path = mixed_corpus(tmp_path / "mix", [document(1)], held_out)
    assert [(i.id, i.question) for i in read(path)] == [
        (f"{held_out[0].id}#0", "First of two."),
        (f"{held_out[0].id}#1", "Second."),
    ]


def test_equal_names_are_told_apart(tmp_path: Path) -> None:
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        lines(tmp_path / folder / "test.jsonl", {"text": "a", "id": 1}, {"text": "b", "id": 1})
    assert [task for task, _ in evaluation_files([tmp_path])] == ["x/test", "y/test"]
    assert [i.id for i in read(tmp_path / "x" / "test.jsonl")] == ["1", "1#2"]


def test_other_keys_are_named_by_the_user(tmp_path: Path) -> None:
    path = lines(tmp_path / "x.jsonl", {"stimulus": "Why?", "gold": "So."})
    with pytest.raises(UsageError, match=r"stimulus, gold.*--fields\.question"):
        read(path)
    assert read(path, question="stimulus", answer="gold") == [EvaluationItem("t", "1", "Why?", (), ("So.",))]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.jsonl", b'{"text": "a"}\n{"text": ', "line 2: cannot be read"),
        ("x.jsonl", b'{"text": "a"}\n[1]', "item 2: is no object"),
        ("x.jsonl", b'{"text": "\xff"}', "line 1: cannot be read"),
        ("x.json", b"[" * 100_000, "cannot be read"),
        ("x.jsonl.gz", b"not gzip", "cannot be read"),
        ("x.jsonl.zst", b"not zstd", "cannot be read"),
        ("x.parquet", b"", "known form"),
    ],
)
def test_what_cannot_be_read_is_one_clear_line(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError, match=message):
        [read(path) for _, path in evaluation_files([tmp_path / name])]


def test_folders_without_sets_and_missing_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no evaluation set"):
        evaluation_files([tmp_path])
    with pytest.raises(UsageError, match="does not exist"):
        evaluation_files([tmp_path / "gone.jsonl"])
