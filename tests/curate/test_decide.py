"""Decisions: one value per document and rule, reasons that follow from limits, the same bytes however they are made."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import orjson
import pyarrow.parquet as pq
import pytest
from making import MadeConfig, document, text

from libertas.corpus import Corpus, CorpusWriter
from libertas.curate.config import CurateConfig
from libertas.curate.decide import AGAINST, VERDICTS, curate, judge_piece, read_rules
from libertas.curate.rules.table import DEFAULT_RULES, RULES
from libertas.curate.scorers import ScoreModelConfig, load_scorer, score_model
from libertas.curate.sidecar import sidecar_path
from libertas.curate.why import decisions_of
from libertas.document import Decision, Document
from libertas.errors import UsageError
from libertas.lab import plan
from libertas.lineage.artifact import Draft
from libertas.lineage.manifest import read_manifest

LONG = text(1, 200)
SHORT = document(5, content="too short {")
PROGRAM = document(6, "code", content="# why\nx = {}\n")
PROGRAM.meta["content_type"] = "text/x-python"
ALL = [SHORT, document(1, content=LONG), document(2, "mail", content=LONG + " more"), document(4), PROGRAM]


def with_meta(document: Document, **meta: object) -> Document:
    return replace(document, meta={**document.meta, **meta})


def rows(path: Path, table: str, corpus: int = 0) -> list[dict[str, object]]:
    return pq.read_table(sidecar_path(path, table, corpus, 0)).to_pylist()


def files(path: Path) -> dict[str, str]:
    return {file.path: file.hash for file in read_manifest(path).files}


@pytest.fixture
def decide(make_corpus, tmp_path: Path) -> Callable[..., Path]:
    """Decisions about `ALL`, or other documents, under a name."""

    def make(name: str = "decisions", documents: list[Document] = ALL, **settings: object) -> Path:
        corpus = tmp_path / f"corpus-{'-'.join(d.id[:4] + d.meta.get('language', '') for d in documents[:6])}"
        if not corpus.exists():
            make_corpus(documents, corpus)
        return curate(CurateConfig(**{"corpora": (corpus,), "out": tmp_path / name, "workers": 1, **settings}))

    return make


def test_every_document_has_a_row_with_a_value_for_every_rule_that_is_about_it(decide) -> None:
    path = decide(rules=("gopher_words", "code_comments", "c4_curly_bracket"))
    assert rows(path, VERDICTS) == [
        {
            "number": number,
            "document_id": d.id,
            "component": d.meta["component"],
            "gopher_words": None if d is PROGRAM else len(d.text.split()),
            "c4_curly_bracket": None if d is PROGRAM else d.text.count("{"),
            "code_comments": 5 / len(d.text) if d is PROGRAM else None,
        }
        for number, d in enumerate(ALL)
    ]


def test_what_speaks_against_a_document_stands_in_the_order_of_the_rules(decide) -> None:
    path = decide(rules=("c4_curly_bracket", "gopher_words"))
    said = [
        {"rule": "gopher_words", "reason": "word count below 50", "value": 3.0},
        {"rule": "c4_curly_bracket", "reason": "curly brackets above 0", "value": 1.0},
    ]
    assert rows(path, AGAINST) == [{"number": 0, "document_id": SHORT.id, **row} for row in said]
    assert decisions_of(path, SHORT.id) == [Decision(SHORT.id, **row) for row in said]
    assert decisions_of(path, ALL[1].id)[0] == Decision(ALL[1].id, "gopher_words", None, 200.0 + 1)


def test_the_first_reason_that_speaks_is_counted_and_documents_add_up(decide) -> None:
    documents = [with_meta(SHORT, language="fr"), *(with_meta(d, language="en") for d in ALL[1:])]
    path = decide(documents=documents, languages=("en",), rules=("default", "c4_curly_bracket"))
    assert read_manifest(path).counts == {
        "documents": {"in": 5, "out": 4, "dropped": 1},
        "dropped": {"language is not a wanted one": 1},
        "dropped_by_rule": {"language": 1},
        "components": {
            "code": {"in": 1, "out": 1, "dropped": 0},
            "mail": {"in": 1, "out": 1, "dropped": 0},
            "web": {"in": 3, "out": 2, "dropped": 1},
        },
    }
    assert [r["rule"] for r in rows(path, AGAINST)][:2] == ["language", "gopher_words"]


def test_other_limits_are_applied_to_values_measured_before_as_if_the_text_had_been_read(decide) -> None:
    earlier = decide("earlier", rules=("all",))
    limits = {"gopher_words": (1.0, 200.0), "c4_curly_bracket": (3.0,), "gopher_symbols": (0.0, 0.5)}
    read = decide("read", rules=("default", "c4"), limits=limits)
    recalled = decide("recalled", rules=("default", "c4"), limits=limits, measured=earlier)
    assert files(read) == files(recalled)
    assert [r["reason"] for r in rows(read, AGAINST) if r["rule"] == "gopher_words"] == ["word count above 200"] * 2
    assert not any(r["rule"] == "c4_curly_bracket" for r in rows(read, AGAINST))
    assert {r["rule"]: (r["low"], r["high"]) for r in read_rules(read)}["gopher_words"] == (1, 200)


def test_no_text_is_read_when_values_are_taken_from_earlier_decisions(decide, monkeypatch) -> None:
    earlier = decide("earlier")
    monkeypatch.setattr("libertas.corpus.Piece.read", None)
    assert read_manifest(decide("later", limits={"gopher_words": (2, 10)}, measured=earlier)).counts["documents"]


def test_values_that_were_not_measured_or_with_another_list_are_asked_for(decide, make_corpus, tmp_path) -> None:
    few = decide("few", rules=("gopher_words",), languages=("en",))
    with pytest.raises(UsageError, match="few did not measure gopher_symbols; expected"):
        decide("more", rules=("gopher_words", "gopher_symbols"), measured=few)
    with pytest.raises(UsageError, match="few did not measure language with the same settings"):
        decide("german", rules=("gopher_words",), languages=("de",), measured=few)
    other = make_corpus([document(77)], tmp_path / "other")
    with pytest.raises(UsageError, match="few speaks of other corpora"):
        decide("elsewhere", corpora=(other,), rules=("gopher_words",), measured=few)


def test_a_changed_list_of_domains_is_another_input(decide, tmp_path: Path) -> None:
    listed = tmp_path / "domains.txt"
    listed.write_text("example.org\n")
    documents = [with_meta(d, url=f"https://{host}/") for d, host in zip(ALL, ("a.example.org", "b.org"), strict=False)]
    path = decide("first", documents, rules=(), block_domains=listed)
    assert [r["document_id"] for r in rows(path, AGAINST)] == [documents[0].id]
    assert [i.role for i in read_manifest(path).inputs] == ["corpus", "block_domains"]
    listed.write_text("b.org\n")
    again = decide("second", documents, rules=(), block_domains=listed)
    said = [(r["document_id"], r["reason"]) for r in rows(again, AGAINST)]
    assert said == [(documents[1].id, "domain is blocked")]
    assert read_manifest(again).fingerprint != read_manifest(path).fingerprint


def test_models_score_every_text_and_speak_where_a_limit_is_given(decide, make_corpus, tmp_path: Path) -> None:
    good = make_corpus([document(n, content=text(n, 200)) for n in range(100, 130)], tmp_path / "good")
    model = score_model(ScoreModelConfig(positive=(good,), kind="perplexity", table_bits=14, out=tmp_path / "model"))
    odd = document(50, content="Qzxv jkwq! Vbnm zzz xqj kkk wvw 0x9f ~~ zq")
    path = decide("scored", [*ALL, odd], rules=(), perplexity_model=model, limits={"perplexity": (0.0, 3.0)})
    values = {r["document_id"]: r["perplexity"] for r in rows(path, VERDICTS)}
    assert values[ALL[1].id] == load_scorer(model)(ALL[1].text) < 3.0
    assert values[PROGRAM.id] is None
    assert [r["rule"] for r in rows(path, AGAINST) if r["document_id"] == odd.id] == ["perplexity"]
    with pytest.raises(UsageError, match=r"classifier is .*model, of kind 'perplexity'; expected classifier"):
        decide("wrong", rules=(), classifier=model)


def test_a_list_that_cannot_be_read_is_refused_before_anything_is_made(decide, tmp_path: Path) -> None:
    for content, message in ((b"", "lists nothing"), (b"\xff", "is not UTF-8"), (None, "which does not exist")):
        listed = tmp_path / f"list-{content!r}"
        if content is not None:
            listed.write_bytes(content)
        with pytest.raises(UsageError, match=message):
            decide("none", block_domains=listed)
        with pytest.raises(UsageError, match=message):
            decide("none", block_urls=listed)
    with pytest.raises(UsageError, match="is a directory"):
        decide("none", allow_domains=tmp_path)
    assert not list(tmp_path.glob("none*"))


def test_rules_stand_in_the_artifact_with_limits_and_sources(decide) -> None:
    path = decide(limits={"gopher_symbols": (0.2,)}, languages=("en", "de"))
    stored = orjson.loads((path / "rules.json").read_bytes())
    assert [r["rule"] for r in stored] == ["language", *DEFAULT_RULES]
    assert next(r for r in stored if r["rule"] == "gopher_symbols") == {
        "rule": "gopher_symbols",
        "low": None,
        "high": 0.2,
        "unit": "per word",
        "about": "symbols per word",
        "source": "Rae et al. 2021, A.1.1",
        "applies_to": "prose",
    }
    assert stored[0]["with"] == ["en", "de"]


@pytest.fixture
def many(tmp_path: Path, monkeypatch) -> Path:
    """A corpus of several shards, each of several pieces."""
    monkeypatch.setattr("libertas.corpus.shard.FRAME_BYTES", 2000)
    monkeypatch.setattr("libertas.corpus.store.PIECE_BYTES", 4000)
    config = MadeConfig(out=tmp_path / "many")
    draft = Draft(kind="corpus", out=config.out, config=config, inputs={}, code="libertas.corpus")
    with draft.build() as folder, CorpusWriter(folder, "many", shard_bytes=9000) as writer:
        for number in range(90):
            writer.add(document(number, content=text(number, 60) + " x" * (number % 50)))
    return config.out


def test_decisions_do_not_depend_on_the_number_of_workers(many: Path, decide) -> None:
    one = decide("one", corpora=(many,), rules=("all",))
    assert files(decide("two", corpora=(many,), rules=("all",), workers=2)) == files(one)
    assert read_manifest(one).counts["documents"]["in"] == 90


@pytest.mark.slow
def test_ray_makes_the_same_decisions(many: Path, decide) -> None:
    pytest.importorskip("ray")
    one = decide("one", corpora=(many,), rules=("all",))
    assert files(decide("ray", corpora=(many,), rules=("all",), engine="ray")) == files(one)


def test_after_an_interruption_only_what_is_missing_is_judged_again(many: Path, decide, monkeypatch) -> None:
    whole = decide("whole", corpora=(many,))
    judged: list[int] = []

    def failing(how, piece):
        judged.append(piece.first)
        if len(judged) == 8:
            raise KeyboardInterrupt
        return judge_piece(how, piece)

    monkeypatch.setattr("libertas.curate.decide.judge_piece", failing)
    with pytest.raises(KeyboardInterrupt):
        decide("again", corpora=(many,))
    before = judged[:]
    assert files(decide("again", corpora=(many,))) == files(whole)
    corpus = Corpus.open(many)
    shards = [[piece.first for piece in corpus.pieces(shard)] for shard in range(len(corpus.shards))]
    again = set(before) & set(judged[len(before) :])
    assert len(shards) > 3
    assert again == set(before) & set(next(s for s in shards if before[-1] in s))


def test_the_same_document_in_two_corpora_is_refused(make_corpus, tmp_path: Path) -> None:
    corpora = (make_corpus([ALL[1]], tmp_path / "a"), make_corpus([ALL[3], ALL[1]], tmp_path / "b"))
    with pytest.raises(UsageError, match=rf"{ALL[1].id} is in .*a and in .*b; expected"):
        curate(CurateConfig(corpora=corpora, out=tmp_path / "decisions"))
    assert not (tmp_path / "decisions").exists()


def test_a_corpus_without_documents_gives_decisions_about_none(decide) -> None:
    path = decide("none", [])
    assert rows(path, VERDICTS) == rows(path, AGAINST) == []
    assert read_manifest(path).counts["documents"] == {"in": 0, "out": 0, "dropped": 0}
    assert files(decide("again", [], measured=path)) == files(path)


def test_asking_about_an_unknown_document_or_another_artifact_is_an_error(decide, make_corpus, tmp_path) -> None:
    path = decide()
    with pytest.raises(UsageError, match="no decisions about document ffff"):
        decisions_of(path, "ffff")
    with pytest.raises(UsageError, match="one is a corpus; expected what"):
        decisions_of(make_corpus([SHORT], tmp_path / "one"), SHORT.id)


def test_a_lab_file_sets_limits_in_a_table(tmp_path: Path) -> None:
    tables = {"curate": {"corpora": ["a"], "out": "b", "limits": {"gopher_words": [10, 20], "gopher_symbols": [0.5]}}}
    config = plan(tables, tmp_path, "lab.toml")[0].config
    assert config.limits == {"gopher_words": (10.0, 20.0), "gopher_symbols": (0.5,)}


def test_config_errors_name_the_value_and_the_next_step(tmp_path: Path) -> None:
    common = {"corpora": (tmp_path / "a",), "out": tmp_path / "out"}
    for settings, message in (
        ({"rules": ("gopher_word",)}, "no rule 'gopher_word'; did you mean 'gopher_words'"),
        ({"rules": ("language",)}, "language needs languages; give --languages"),
        ({"limits": {"gopher_word": (1.0, 2.0)}}, "no rule 'gopher_word' is applied; did you mean"),
        ({"limits": {"gopher_words": (9.0, 2.0)}}, "gopher_words has 9 2; expected the lowest and the highest words"),
        ({"limits": {"gopher_words": (9.0,)}}, "gopher_words has 9; .* such as 50 100000"),
        ({"limits": {"gopher_symbols": ()}}, "gopher_symbols has nothing"),
        ({"limits": {"gopher_symbols": (float("nan"),)}}, "gopher_symbols has nan"),
        ({"workers": 0}, "workers is 0"),
        ({"engine": "spark"}, "engine is 'spark'"),
        ({"corpora": ()}, "libertas gather"),
        ({"corpora": (tmp_path / "a", tmp_path / "a")}, "twice"),
    ):
        with pytest.raises(UsageError, match=message):
            CurateConfig(**{**common, **settings})


def test_a_family_stands_for_its_rules(tmp_path: Path) -> None:
    config = CurateConfig(corpora=(tmp_path / "a",), out=tmp_path / "out", rules=("fineweb", "c4_lorem_ipsum"))
    assert [r.name for r in config.chosen()] == [n for n in RULES if n.startswith("fineweb_") or n == "c4_lorem_ipsum"]
