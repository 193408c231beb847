from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from making import document, text

from libertas.curate.config import CurateConfig
from libertas.curate.decide import curate, decisions_of
from libertas.document import Decision, Document
from libertas.errors import UsageError
from libertas.lineage.manifest import read_manifest


def with_meta(document: Document, **meta: object) -> Document:
    return replace(document, meta={**document.meta, **meta})


LONG = text(1, 200)
KEPT = document(1, content=LONG)
SAME = document(2, "mail", content=f"\n{LONG} ")
NEAR = document(3, content=LONG + " with a dozen other words that stand at the very end of this")
OTHER = document(4, content=text(4, 200))
SHORT = document(5, content="too short")
PROGRAM = with_meta(document(6, "code", content="# why\nx = {}\n"), content_type="text/x-python")
ALL = [SHORT, KEPT, SAME, NEAR, OTHER, PROGRAM]


def rows(path: Path, name: str) -> list[dict[str, object]]:
    return pq.read_table(path / name).to_pylist()


def test_every_document_has_a_row_for_every_rule_that_applies_to_it(make_corpus, tmp_path) -> None:
    corpus = make_corpus(ALL, tmp_path / "all")
    rules = ("gopher_words", "code_comments", "c4_curly_bracket")
    path = curate(CurateConfig(corpora=(corpus,), out=tmp_path / "decisions", rules=rules, workers=1))
    found = [(r["document_id"], r["component"], r["rule"]) for r in rows(path, "decisions.parquet")]
    assert found == [
        (d.id, d.meta["component"], rule)
        for d in ALL
        for rule in (
            *(("code_comments",) if d is PROGRAM else ("gopher_words", "c4_curly_bracket")),
            "exact_duplicate",
            "near_duplicate",
        )
    ]
    assert decisions_of(path, SHORT.id) == [
        Decision(SHORT.id, "gopher_words", "word count below 50", 2.0),
        Decision(SHORT.id, "c4_curly_bracket", None, 0.0),
        Decision(SHORT.id, "exact_duplicate", None, 0.0),
        Decision(SHORT.id, "near_duplicate", None, 0.0),
    ]
    assert decisions_of(path, SAME.id)[-2].reason == f"same text as a kept document, {KEPT.id}"


def test_a_cluster_names_the_kept_document_and_how_like_it_the_others_are(make_corpus, tmp_path) -> None:
    path = curate(CurateConfig(corpora=(make_corpus(ALL, tmp_path / "all"),), out=tmp_path / "decisions", workers=1))
    *exact, near = rows(path, "duplicates.parquet")
    common = {"kept_id": KEPT.id, "cluster": 0}
    assert exact == [
        {"document_id": KEPT.id, "kind": "kept", "similarity": 1.0, **common},
        {"document_id": SAME.id, "kind": "exact", "similarity": 1.0, **common},
    ]
    similarity = near.pop("similarity")
    assert 0.85 < similarity < 1.0
    assert near == {"document_id": NEAR.id, "kind": "near", **common}
    assert decisions_of(path, NEAR.id)[-1] == Decision(
        NEAR.id, "near_duplicate", f"near-duplicate of a kept document, {KEPT.id}", similarity
    )


def test_the_kept_duplicate_is_one_that_every_rule_lets_stay(make_corpus, tmp_path) -> None:
    foreign, english = with_meta(KEPT, language="fr"), with_meta(SAME, language="en")
    corpora = (make_corpus([foreign], tmp_path / "a"), make_corpus([english], tmp_path / "b"))
    path = curate(CurateConfig(corpora=corpora, out=tmp_path / "decisions", languages=("en",), workers=1))
    assert {r["kept_id"] for r in rows(path, "duplicates.parquet")} == {english.id}
    assert [d.rule for d in decisions_of(path, foreign.id) if d.reason] == ["language", "exact_duplicate"]


def test_the_first_reason_that_speaks_is_counted_and_documents_add_up(make_corpus, tmp_path) -> None:
    foreign = [with_meta(SHORT, language="fr"), *(with_meta(d, language="en") for d in ALL[1:])]
    path = curate(
        CurateConfig(
            corpora=(make_corpus(foreign, tmp_path / "all"),), out=tmp_path / "decisions", languages=("en",), workers=1
        )
    )
    assert read_manifest(path).counts == {
        "documents": {"in": 6, "out": 3, "dropped": 3},
        "dropped": {
            "language is fr, not en": 1,
            "near-duplicate of a kept document": 1,
            "same text as a kept document": 1,
        },
        "dropped_by_rule": {"exact_duplicate": 1, "language": 1, "near_duplicate": 1},
        "components": {
            "code": {"in": 1, "out": 1, "dropped": 0},
            "mail": {"in": 1, "out": 0, "dropped": 1},
            "web": {"in": 4, "out": 2, "dropped": 2},
        },
    }


def test_decisions_do_not_depend_on_the_number_of_workers(make_corpus, tmp_path) -> None:
    many = [document(n, content=text(n // 2, 3000) + " x" * (n % 2)) for n in range(60)]
    corpus = make_corpus(many, tmp_path / "many")
    contents = set()
    for workers in (1, 2):
        out = tmp_path / f"decisions-{workers}"
        contents.add(read_manifest(curate(CurateConfig(corpora=(corpus,), out=out, workers=workers))).content)
    assert len(contents) == 1


def test_the_same_document_in_two_corpora_is_refused(make_corpus, tmp_path) -> None:
    corpora = (make_corpus([KEPT], tmp_path / "a"), make_corpus([OTHER, KEPT], tmp_path / "b"))
    with pytest.raises(UsageError, match=rf"{KEPT.id} is in .*a and in .*b; expected"):
        curate(CurateConfig(corpora=corpora, out=tmp_path / "decisions"))
    assert not (tmp_path / "decisions").exists()


def test_asking_about_an_unknown_document_or_another_artifact_is_an_error(make_corpus, tmp_path) -> None:
    corpus = make_corpus([KEPT], tmp_path / "one")
    path = curate(CurateConfig(corpora=(corpus,), out=tmp_path / "decisions", workers=1))
    with pytest.raises(UsageError, match="no decisions about document ffff"):
        decisions_of(path, "ffff")
    with pytest.raises(UsageError, match="is an artifact of kind corpus; expected decisions"):
        decisions_of(corpus, KEPT.id)
