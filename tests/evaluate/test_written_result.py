"""A model that has learned four answers by heart writes them, and is scored, beside what it chooses."""

import json
import random
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from making import printed

from libertas.corpus import CorpusWriter
from libertas.document import Document, document_id
from libertas.errors import UsageError
from libertas.evaluate.compare import compare
from libertas.evaluate.config import CompareConfig, EvaluateConfig
from libertas.evaluate.grade import grade
from libertas.evaluate.item import written_item
from libertas.evaluate.result import Result, evaluate, tables
from libertas.evaluate.task import load_task, readings_of
from libertas.lineage.artifact import Draft
from libertas.tokenize.config import TokenizeConfig
from libertas.tokenize.store import tokenize
from libertas.train.config import TrainConfig
from libertas.train.loop import train

FACTS = {"red": "cellar", "blue": "garden", "green": "kitchen", "black": "tower"}
WRONG = "attic"


@dataclass(frozen=True, kw_only=True)
class Mixed:
    out: Path


def fact(colour: str) -> str:
    return f"Question: Where is the {colour} book?\nAnswer: {FACTS[colour]}\n\n"


def row(colour: str) -> dict:
    return {"id": colour, "question": f"Where is the {colour} book?", "choices": [FACTS[colour], WRONG], "gold": 0}


@pytest.fixture(scope="module")
def life(tmp_path_factory) -> Path:
    """A run that has read the facts and nothing else, a task with bad lines, and a result."""
    root: Path = tmp_path_factory.mktemp("written")
    draft = Draft(kind="corpus", out=root / "mix", config=Mixed(out=root / "mix"), inputs={}, code="libertas.corpus")
    generator = random.Random(0)
    with draft.build() as folder:
        for part in ("train", "validation"):
            with CorpusWriter(folder / part, part) as writer:
                for n in range(400 if part == "train" else 1):
                    text = fact(generator.choice(list(FACTS)))
                    writer.add(Document(document_id(f"{part} {n}", "d"), text, {"component": "web", "url": f"u{n}"}))
        draft.counts["components"] = {"web": {}}
    tokenize(TokenizeConfig(corpus=root / "mix", out=root / "tokens", vocabulary=300))
    run = TrainConfig(tokens=root / "tokens", out=root / "run", model="tiny-neox", steps=100, batch=4, micro_batch=4)
    train(replace(run, threads=1, validate_every=1000))
    rows = [json.dumps(row(colour)) for colour in FACTS]
    bad = ["{", json.dumps({**row("red"), "id": "x", "choices": ["", "b"]}), json.dumps(row("blue"))]
    (root / "facts.jsonl").write_text("\n".join([*rows[:2], *bad, *rows[2:]]))
    written = [{"id": n, "question": f"Where is the {n} book?", "answer": FACTS[n]} for n in FACTS]
    (root / "told.jsonl").write_text("".join(json.dumps({**one, "grader": "exact"}) + "\n" for one in written))
    evaluate(config(root))
    return root


def config(root: Path, name: str = "result", **more) -> EvaluateConfig:
    tasks = ("arithmetic", f"items={root / 'facts.jsonl'}")
    given = {"tasks": tasks, "readings": ("letters", "generate"), "limit": 20, "most_tokens": 12, "threads": 1, **more}
    return EvaluateConfig(run=root / "run", out=root / name, **given)


def shown(result: Result) -> str:
    return printed(tables(result))


def test_what_was_learned_by_heart_is_written_and_sums_are_not(life):
    result = Result.open(life / "result")
    rows = [one for one in result.records() if one["protocol"] == "generate"]
    facts = [one for one in rows if one["task"] == "items"]
    assert [one["item"] for one in facts] == list(FACTS)
    assert [one["written"][0].split()[0] for one in facts] == list(FACTS.values())
    assert all(one["correct"] and one["chosen"] == [0] and one["finished"] == [True] for one in facts)
    scores = result.scores["results"]
    assert scores["items_generate"]["exact_match,none"] == 1.0
    assert scores["items_generate"]["pass@1,none"] == 1.0
    assert scores["arithmetic_generate"]["exact_match,none"] < 0.5
    assert "acc,none" in scores["items_letters"]
    assert "arithmetic_letters" not in scores


def test_scores_of_written_answers_can_be_recomputed_from_records_and_items(life):
    result = Result.open(life / "result")
    items = {(one["task"], one["id"]): one for one in result.items()}
    rows = [one for one in result.records() if one["task"] == "arithmetic"]
    assert len(rows) == 20
    for one in rows:
        item = items["arithmetic", one["item"]]
        again = written_item(item["id"], item["answer"], item["grader"], passage=item["passage"])
        assert one["right"] == [grade(again, text) for text in one["written"]]
    (told,) = result.scores["libertas"]["tasks"]["arithmetic"]["written"]
    assert told["accuracy"]["mean"] == pytest.approx(np.mean([one["right"][0] for one in rows]))
    assert told["rules"] == {"samples": 1, "most_tokens": 12}
    assert set(told["components"]) == {"plus", "times"}


def test_bad_lines_are_told_and_the_rest_of_the_run_is_kept(life):
    refused = Result.open(life / "result").scores["libertas"]["tasks"]["items"]["refused"]
    assert [line.split()[0].rstrip(":") for line in refused] == ["facts.jsonl:3", "facts.jsonl:4", "facts.jsonl:5"]
    assert json.loads((life / "result" / "manifest.json").read_bytes())["counts"]["refused"] == 3


def test_tables_of_written_answers_fit_80_columns(life):
    text = shown(Result.open(life / "result"))
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= 80
    text = " ".join(text.split())
    assert "arithmetic: 20 questions, answers written, % right" in text
    for words in ("commonest right answer", "unfinished", "no choice"):
        assert words in text


def test_several_samples_give_pass_at_k_and_the_same_bytes_again(life):
    given = {"tasks": (f"items={life / 'told.jsonl'}",), "samples": 5, "temperature": 0.3}
    result = evaluate(config(life, "several", **given))
    evaluate(config(life, "again", **given))
    for name in ("results.json", "records.jsonl"):
        assert (life / "several" / name).read_bytes() == (life / "again" / name).read_bytes()
    values = result.scores["results"]["items_generate"]
    right = [sum(one["right"]) / 5 for one in result.records()]
    assert values["pass@1,none"] == pytest.approx(np.mean(right))
    assert values["exact_match,none"] == pytest.approx(np.mean(right))
    assert np.mean(right) > 0.5
    assert values["pass@5,none"] >= values["pass@1,none"]
    assert result.scores["higher_is_better"]["items_generate"]["pass@5"] is True
    assert "pass@5" in shown(result)


def test_written_answers_of_two_models_are_compared_item_by_item(life):
    evaluate(config(life, "short", most_tokens=1))
    found = {one.name: one for one in compare(CompareConfig(results=(life / "result", life / "short"))).differences}
    right = {one["item"] for one in Result.open(life / "short").records() if one["task"] == "items" and one["correct"]}
    assert set(found["items generate"].lost) >= set(FACTS) - right
    assert found["items generate"].won == ()


def test_of_tasks_to_be_written_all_readings_become_generate_and_others_keep_theirs(life):
    def names(spec, *readings):
        given = config(life, tasks=(spec,), readings=readings)
        return [one.name for one in readings_of(given, load_task(spec, 0))]

    assert names("arithmetic", "letters", "text", "bytes") == ["generate"]
    assert names(f"items={life / 'told.jsonl'}", "text", "generate") == ["generate"]
    assert names("two-facts", "letters", "generate", "text/pmi") == ["letters", "generate", "text/pmi"]
    assert names("bias-pairs", "letters", "generate") == ["generate"]
    with pytest.raises(UsageError, match="'generate/bytes' has nothing to normalize"):
        names("arithmetic", "generate/bytes")


@pytest.mark.parametrize(
    ("field", "value"), [("samples", 0), ("most_tokens", 0), ("temperature", 0.0), ("temperature", float("nan"))]
)
def test_settings_of_writing_that_cannot_be_meant_are_named(field, value):
    with pytest.raises(UsageError, match=f"{field} is {value}"):
        EvaluateConfig(run=Path("r"), tasks=("arithmetic",), out=Path("o"), **{field: value})


def test_one_task_twice_is_refused(life):
    with pytest.raises(UsageError, match="arithmetic twice"):
        replace(config(life), tasks=("arithmetic", "arithmetic"))
