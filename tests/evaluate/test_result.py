"""The whole stage on a corpus whose validation part holds one document that training has read."""

import math
import random
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import orjson
import pytest
from making import printed

from libertas.corpus import CorpusWriter
from libertas.document import Document, document_id
from libertas.errors import UsageError
from libertas.evaluate.config import EvaluateConfig
from libertas.evaluate.overlap import covered_tokens
from libertas.evaluate.result import Result, evaluate, tables
from libertas.lineage.artifact import Draft
from libertas.tokenize.config import TokenizeConfig
from libertas.tokenize.store import tokenize
from libertas.trace.config import IndexConfig
from libertas.trace.index import index
from libertas.train.config import TrainConfig
from libertas.train.loop import train


@dataclass(frozen=True, kw_only=True)
class Mixed:
    out: Path
    seed: int


def text_of(generator: random.Random, words: int) -> str:
    syllables = ["ba", "ko", "mi", "tu", "re", "sa", "lo", "ni", "du", "fe"]
    return " ".join("".join(generator.choices(syllables, k=generator.randint(1, 3))) for _ in range(words))


def write_corpus(out: Path, seed: int = 0, validation: int = 6) -> list[Document]:
    """30 training documents, and held-out ones of which the first is a copy of a training document."""
    generator = random.Random(seed)
    texts = [text_of(generator, 250) for _ in range(30)]
    held_out = [texts[4], *(text_of(generator, 250) for _ in range(validation - 1))] if validation else []
    parts = {"train": texts, "validation": held_out}
    documents = {
        part: [
            Document(document_id(f"{part} {n}", "d"), t, {"component": ["code", "web"][n % 2], "url": f"u{n}"})
            for n, t in enumerate(found)
        ]
        for part, found in parts.items()
    }
    draft = Draft(kind="corpus", out=out, config=Mixed(out=out, seed=seed), inputs={}, code="libertas.corpus")
    with draft.build() as folder:
        for part, found in documents.items():
            with CorpusWriter(folder / part, part) as writer:
                for document in found:
                    writer.add(document)
        draft.counts["components"] = {"code": {}, "web": {}}
    return documents["validation"]


@pytest.fixture(scope="module")
def life(tmp_path_factory) -> Path:
    """A corpus, its tokens and index, a run of two steps, and a result."""
    root: Path = tmp_path_factory.mktemp("life")
    write_corpus(root / "mix")
    tokenize(TokenizeConfig(corpus=root / "mix", out=root / "tokens", vocabulary=320))
    index(IndexConfig(tokens=root / "tokens", out=root / "index"))
    train(TrainConfig(tokens=root / "tokens", out=root / "run", model="tiny", steps=2, batch=2, micro_batch=2))
    evaluate(config(root))
    return root


def config(root: Path, name: str = "result") -> EvaluateConfig:
    return EvaluateConfig(run=root / "run", corpus=root / "mix", index=root / "index", out=root / name, items=24)


def shown(result: Result) -> str:
    return printed(tables(result))


def test_the_planted_copy_is_found_and_leads_to_the_training_document(life):
    result = Result.open(life / "result")
    rows = [r for r in result.records() if r["task"] == "bits_per_byte"]
    assert [r["overlap"]["contaminated"] for r in rows] == [True] + [False] * 5
    copy = rows[0]["overlap"]
    assert copy["coverage"] == 1.0
    assert copy["longest"] == rows[0]["tokens"]
    assert copy["document"] == document_id("train 4", "d")
    assert rows[0]["document"] == document_id("validation 0", "d")


def test_scores_are_split_by_contamination_with_both_numbers(life):
    scores = Result.open(life / "result").scores["libertas"]
    everything = scores["bits_per_byte"][-1]
    assert everything["component"] == "all"
    assert everything["contaminated_share"] == pytest.approx(1 / 6)
    assert (everything["clean"]["n"], everything["contaminated"]["n"]) == (5, 1)
    copy = document_id("validation 0", "d")
    answers = [r for r in Result.open(life / "result").records() if r["task"] == "continuation"]
    for row in scores["continuation"]["protocols"]:
        own = [r for r in answers if r["protocol"] == row["protocol"]]
        copied = [r["correct"] for r in own if r["document"] == copy]
        assert len(copied) > 0
        assert row["contaminated"]["n"] == len(copied)
        assert row["contaminated"]["mean"] == pytest.approx(np.mean(copied))
        assert row["clean"]["n"] == 24 - len(copied)


def test_scores_can_be_recomputed_from_the_records(life):
    result = Result.open(life / "result")
    rows = result.records()
    documents = [r for r in rows if r["task"] == "bits_per_byte"]
    code = [r for r in documents if r["component"] == "code"]
    bits = -sum(r["log_probability"] for r in code) / math.log(2) / sum(r["bytes"] for r in code)
    assert result.scores["results"]["bits_per_byte_code"]["bits_per_byte,none"] == pytest.approx(bits)
    zstd = 8 * sum(r["zstd_bytes"] for r in documents) / sum(r["bytes"] for r in documents)
    assert result.scores["libertas"]["bits_per_byte"][-1]["zstd"]["mean"] == pytest.approx(zstd)
    assert len([r for r in rows if r["task"] == "continuation"]) == 24 * 3
    means = []
    for name in ("letters", "text", "bytes"):
        means.append(np.mean([r["correct"] for r in rows if r.get("protocol") == name]))
        assert result.scores["results"][f"continuation_{name}"]["acc,none"] == pytest.approx(means[-1])
    assert result.scores["libertas"]["continuation"]["spread"] == pytest.approx(max(means) - min(means))


def test_records_refer_to_items_that_are_kept(life):
    result = Result.open(life / "result")
    items = {i["id"]: i for i in result.items()}
    for record in result.records():
        if record["task"] == "continuation":
            assert items[record["item"]]["choices"][record["gold"]] == items[record["item"]]["answer"]


def test_results_have_the_keys_of_lm_eval(life):
    scores = Result.open(life / "result").scores
    names = set(scores["results"])
    for key in ("versions", "n-shot", "higher_is_better", "n-samples"):
        assert set(scores[key]) == names
    assert scores["n-samples"]["continuation_text"] == {"original": 24, "effective": 24}
    assert scores["config"]["model_num_parameters"] > 0


def test_the_same_settings_give_the_same_bytes(life):
    evaluate(config(life, "again"))
    for name in ("results.json", "records.jsonl", "items.jsonl"):
        assert (life / "again" / name).read_bytes() == (life / "result" / name).read_bytes()


def test_without_an_index_the_table_says_that_contamination_was_not_measured(life):
    result = evaluate(replace(config(life, "unmeasured"), index=None))
    assert all(r["overlap"] is None for r in result.records())
    assert "not measured" in shown(result)
    assert result.scores["libertas"]["bits_per_byte"][0]["clean"] is None


def test_tables_fit_80_columns_and_show_every_component_and_protocol(life):
    text = shown(Result.open(life / "result"))
    assert "…" not in text
    for word in ("code", "web", "all", "5-gram", "zstd", "letters", "text", "bytes", "spread over protocols"):
        assert word in text


def test_no_items_leave_the_task_out(life):
    result = evaluate(replace(config(life, "no-items"), items=0))
    assert not any(name.startswith("continuation") for name in result.scores["results"])
    assert "Which text continues" not in shown(result)


def test_an_index_of_other_tokens_is_refused(life):
    write_corpus(life / "other-mix", seed=9)
    tokenize(TokenizeConfig(corpus=life / "other-mix", out=life / "other-tokens", vocabulary=320))
    index(IndexConfig(tokens=life / "other-tokens", out=life / "other-index"))
    with pytest.raises(UsageError, match="indexes other tokens than"):
        evaluate(replace(config(life, "refused"), index=life / "other-index"))
    assert not (life / "refused").exists()


def test_a_corpus_that_holds_nothing_out_is_refused(life):
    write_corpus(life / "all-train", validation=0)
    with pytest.raises(UsageError, match="holds out no text"):
        evaluate(replace(config(life, "refused"), corpus=life / "all-train"))


def test_a_run_is_no_result(life):
    with pytest.raises(UsageError, match="is a run; expected a result"):
        Result.open(life / "run")


@pytest.mark.parametrize(("field", "value"), [("items", -1), ("threads", 0)])
def test_impossible_settings_are_named(field, value):
    with pytest.raises(UsageError, match=f"{field} is {value}"):
        EvaluateConfig(run=Path("r"), corpus=Path("c"), out=Path("o"), **{field: value})


def test_only_matches_of_thirteen_tokens_cover():
    lengths = np.array([12, 11, 0, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 0])
    covered = covered_tokens(lengths)
    assert covered.tolist() == [False] * 3 + [True] * 14 + [False] * 2


def test_nothing_in_the_manifest_vanishes(life):
    counts = orjson.loads((life / "result" / "manifest.json").read_bytes())["counts"]
    assert counts["documents"] == {"in": 6, "out": 6, "dropped": 0}
    passages = counts["passages"]
    assert passages["tried"] == passages["items"] + passages["refused"]
