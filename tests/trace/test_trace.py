"""Tracing: a text's spans lead to the documents that hold them, and what is shown is what is there."""

import shutil
from itertools import pairwise
from pathlib import Path

import orjson
import pytest
from small_life import SENTENCE

from libertas.errors import BrokenLineage, UsageError
from libertas.lineage.verify import verify
from libertas.serve.config import GenerateConfig
from libertas.serve.generate import generate
from libertas.trace.config import IndexConfig, TraceConfig
from libertas.trace.index import index
from libertas.trace.origin import Origins
from libertas.trace.trace import Trace, trace, trace_view


@pytest.fixture(scope="module")
def generated(life: Path) -> Trace:
    generate(GenerateConfig(run=life / "run", prompt="the value of", tokens=80, out=life / "generation"))
    return trace(TraceConfig(source=life / "generation", minimum=2, out=life / "trace"))


def shown(result: Trace) -> str:
    return "\n".join(line.plain for line in trace_view(result))


def test_a_sentence_of_one_document_is_traced_to_it(life: Path, tmp_path: Path) -> None:
    text = "qq " + SENTENCE
    result = trace(TraceConfig(source=life / "run", index=life / "index", text=text, out=tmp_path / "t"))
    span = max(result.record["spans"], key=lambda s: s["tokens"])
    assert span["text"] == text[span["start"] : span["end"]]
    assert SENTENCE[1:-1] in span["text"]  # "Z" and " Z" are different tokens, and a newline may join what follows
    assert (span["occurrences"], span["documents"], len(span["places"])) == (1, 1, 1)
    place = span["places"][0]
    assert place["url"] == "urn:file:letters/105.txt"
    assert place["component"] == "letters"
    assert place["verified"]
    assert (tmp_path / "t" / place["path"]).resolve() == life / "archives" / "letters" / "pack.warc.gz"
    document = Origins.of_model(life / "run").corpus.fetch(place["document_id"])
    assert place["before"] + place["span"] + place["after"] in document.text
    assert place["span"] == span["text"]
    assert min(len(place["before"]), len(place["after"])) > 150
    assert [r["rule"] for r in place["rules"]] == ["gopher_words", "c4_lorem_ipsum"]


def test_copies_of_a_document_are_counted_but_shown_once(life: Path, tmp_path: Path) -> None:
    passage = (life / "source" / "notes" / "003.txt").read_text()[40:100]
    result = trace(TraceConfig(source=life / "run", text=passage, out=tmp_path / "t", index=life / "index"))
    span = max(result.record["spans"], key=lambda s: s["tokens"])
    assert (span["occurrences"], span["documents"]) == (2, 1)
    assert [p["url"] for p in span["places"]] == ["urn:file:notes/003.txt"]


def test_all_spans_are_painted_but_only_the_longest_are_followed(life: Path, tmp_path: Path) -> None:
    text = SENTENCE + "the value of a list is read from the file"
    config = TraceConfig(source=life / "run", index=life / "index", text=text, spans=1, minimum=3, out=tmp_path / "t")
    spans = trace(config).record["spans"]
    followed = [s for s in spans if s["places"]]
    assert len(spans) > len(followed) == 1
    assert followed[0]["tokens"] == max(s["tokens"] for s in spans)
    assert all(a["end"] <= b["start"] for a, b in pairwise(spans))


def test_a_generated_text_is_traced_from_its_own_tokens(life: Path, generated: Trace) -> None:
    made = orjson.loads((life / "generation" / "generation.json").read_bytes())
    record = generated.record
    assert record["text"] == "the value of" + made["text"]
    assert record["prompt_end"] == len("the value of")
    assert [t["id"] for t in record["tokens"]] == made["prompt_token_ids"] + made["token_ids"]
    prompt = len(made["prompt_token_ids"])
    assert [t["log_probability"] for t in record["tokens"]] == [None] * prompt + made["log_probabilities"]
    assert record["spans"]
    assert all(s["first_token"] + s["tokens"] > prompt for s in record["spans"])
    assert verify(life / "trace").sound


def test_the_same_trace_has_the_same_bytes(life: Path, generated: Trace) -> None:
    again = trace(TraceConfig(source=life / "generation", index=life / "index", minimum=2, out=life / "trace-again"))
    assert (again.path / "trace.json").read_bytes() == (generated.path / "trace.json").read_bytes()


def test_the_terminal_shows_document_steps_and_bytes(generated: Trace) -> None:
    text = shown(generated)
    place = next(s for s in generated.record["spans"] if s["places"])["places"][0]
    first_line = generated.record["text"].splitlines()[0][:20]
    assert text.startswith(first_line)
    assert place["url"] in text
    assert (
        f"at offset {place['warc']['offset']:,}, {place['warc']['length']:,} bytes, {place['warc']['record_id']}"
        in text
    )
    assert f"({place['steps']['total']} in all)" in text
    assert "let in by 2 rules" in text
    assert "is not proof" in text


def test_terminal_escapes_are_not_passed_on(life: Path, tmp_path: Path) -> None:
    config = TraceConfig(source=life / "run", index=life / "index", text="\x1b[2J the value", out=tmp_path / "t")
    result = trace(config)
    assert "\x1b" in result.record["text"]
    assert "\x1b" not in shown(result)


def test_a_text_that_is_nowhere_says_how_long_its_longest_match_is(life: Path, tmp_path: Path) -> None:
    config = TraceConfig(source=life / "run", index=life / "index", text="Qx Qx", minimum=50, out=tmp_path / "t")
    result = trace(config)
    assert result.record["spans"] == []
    longest = max(t["longest"] for t in result.record["tokens"])
    assert f"No span of 50 tokens or more stands in the training data; the longest has {longest}" in shown(result)


def test_without_an_index_the_command_that_makes_one_is_shown(life: Path, tmp_path: Path) -> None:
    moved = shutil.copytree(life, tmp_path / "life", ignore=shutil.ignore_patterns("index"))
    with pytest.raises(UsageError, match=r"run `libertas index .*tokens --out .*index`"):
        trace(TraceConfig(source=moved / "run", text="the", out=tmp_path / "t"))


def test_an_index_of_other_tokens_is_refused(life: Path, tmp_path: Path) -> None:
    from making import small_corpus

    from libertas.tokenize.config import TokenizeConfig
    from libertas.tokenize.store import tokenize

    tokenize(TokenizeConfig(corpus=small_corpus(tmp_path / "mix"), out=tmp_path / "tokens", vocabulary=300))
    index(IndexConfig(tokens=tmp_path / "tokens", out=tmp_path / "index"))
    with pytest.raises(UsageError, match=r"but .*run was trained on"):
        trace(TraceConfig(source=life / "run", index=tmp_path / "index", text="the", out=tmp_path / "t"))


def test_a_source_that_wrote_nothing_is_refused(life: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is a token store; expected a generation made by `libertas generate`"):
        trace(TraceConfig(source=life / "tokens", text="the", out=tmp_path / "t"))
    with pytest.raises(UsageError, match="say what to trace with --text"):
        trace(TraceConfig(source=life / "run", out=tmp_path / "t"))


def test_settings_that_trace_nothing_are_refused() -> None:
    for name in ("spans", "minimum", "occurrences"):
        with pytest.raises(UsageError, match=f"{name} is 0; expected 1 or more"):
            TraceConfig(source=Path("run"), out=Path("t"), **{name: 0})
    for text, problem in (("", "text is empty"), ("\udcff", "not UTF-8")):
        with pytest.raises(UsageError, match=problem):
            TraceConfig(source=Path("run"), out=Path("t"), text=text)


def test_a_changed_archive_leaves_no_trace(life: Path, tmp_path: Path) -> None:
    moved = shutil.copytree(life, tmp_path / "life")
    archive = moved / "archives" / "letters" / "pack.warc.gz"
    archive.write_bytes(bytes(len(archive.read_bytes())))
    with pytest.raises(BrokenLineage):
        trace(TraceConfig(source=moved / "run", text=SENTENCE, out=tmp_path / "t"))
    assert not (tmp_path / "t").exists()
