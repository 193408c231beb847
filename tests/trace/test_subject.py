"""What can be asked why: a score as well as a text."""

from pathlib import Path

import orjson
import pytest

from libertas.corpus import Corpus
from libertas.errors import UsageError
from libertas.evaluate.config import EvaluateConfig
from libertas.evaluate.result import evaluate
from libertas.trace.config import TraceConfig
from libertas.trace.trace import trace


@pytest.fixture(scope="module")
def result(life: Path) -> Path:
    out = life / "result"
    evaluate(EvaluateConfig(run=life / "run", corpus=life / "mix", index=life / "index", items=20, out=out))
    return out


def rows(result: Path, name: str) -> list[dict[str, object]]:
    return [orjson.loads(line) for line in (result / name).read_bytes().splitlines()]


def test_an_item_of_a_result_leads_to_the_training_text_it_repeats(result: Path, life: Path, tmp_path: Path) -> None:
    item = rows(result, "items.jsonl")[0]
    made = trace(TraceConfig(source=result, item=str(item["id"]), minimum=2, index=life / "index", out=tmp_path / "t"))
    assert made.record["text"] == f"{item['passage']}{item['answer']}"
    longest = max(made.record["spans"], key=lambda s: s["tokens"])
    assert longest["text"] in made.record["text"]
    assert all(place["verified"] and place["span"] == longest["text"] for place in longest["places"])
    assert longest["places"]


def test_without_an_item_the_one_with_the_longest_overlap_is_taken(result: Path, life: Path, tmp_path: Path) -> None:
    answers = [r for r in rows(result, "records.jsonl") if "item" in r]
    longest = max(r["overlap"]["longest"] for r in answers)  # type: ignore[index]
    texts = {i["id"]: f"{i['passage']}{i['answer']}" for i in rows(result, "items.jsonl")}
    made = trace(TraceConfig(source=result, minimum=2, index=life / "index", out=tmp_path / "t"))
    chosen = {texts[r["item"]] for r in answers if r["overlap"]["longest"] == longest}  # type: ignore[index]
    assert made.record["text"] in chosen


def test_a_held_out_document_is_looked_up_by_its_id(result: Path, life: Path, tmp_path: Path) -> None:
    document = next(iter(Corpus.open(life / "mix", "validation")))
    made = trace(TraceConfig(source=result, item=document.id, index=life / "index", out=tmp_path / "t"))
    assert made.record["text"] == document.text


def test_an_unknown_item_says_where_the_ids_are(result: Path, life: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"has no item or document 'nope'; the ids are in its items\.jsonl"):
        trace(TraceConfig(source=result, item="nope", index=life / "index", out=tmp_path / "t"))
    assert not (tmp_path / "t").exists()
