"""The facts of small corpora, against values counted by hand."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from math import log
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from making import MadeConfig, document, mixed_corpus
from scipy.stats import chi2_contingency, t

from libertas.corpus import Corpus
from libertas.curate.datasheet import associations, compress, measure
from libertas.curate.datasheet.associations import Neighbours, associated, log_likelihood
from libertas.curate.datasheet.compress import interval, text_blocks
from libertas.curate.datasheet.config import DatasheetConfig
from libertas.curate.datasheet.facts import corpus_facts, open_parts
from libertas.curate.datasheet.funnel import history
from libertas.curate.datasheet.repeats import common_lines, common_runs
from libertas.curate.datasheet.sample import KeyedSample, Sampled
from libertas.curate.datasheet.terms import GROUP_OF, like_an_adjective
from libertas.curate.datasheet.topics import topic_facts
from libertas.curate.sidecar import AGAINST_SCHEMA, CUTS_SCHEMA, rows_of
from libertas.document import Document
from libertas.errors import BrokenLineage, UsageError
from libertas.lineage.artifact import Draft
from libertas.lineage.fingerprint import canonical

MakeCorpus = Callable[[Iterable[Document], Path], Path]


def told(number: int, text: str, component: str = "web", **meta: Any) -> Document:
    made = document(number, component, text)
    return replace(made, meta={**made.meta, **meta})


def facts_of(path: Path, **settings: Any) -> dict[str, Any]:
    config = DatasheetConfig(corpus=path, out=path.with_name("sheet"), topics=0, **{"workers": 1, **settings})
    return corpus_facts(config, open_parts(path), None)


@pytest.fixture(scope="module")
def small(make_corpus: MakeCorpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    documents = [
        told(1, "two words", url="https://www.a.org/1", language="en", script="Latn", date="2024-05-01T00:00:00Z"),
        told(2, "ä b c", url="https://a.org/2", language="de", published="2020-01-02", license="CC-BY-4.0"),
        told(3, "x" * 1000, "code", url="urn:file:x.py", language="code", opt_out=["robots: noai", "tdm"]),
        told(4, "日本", url="https://b.org/", language="ja", published="1999", warc={"file": "f.warc"}),
    ]
    return make_corpus(documents, tmp_path_factory.mktemp("facts") / "small")


@pytest.fixture(scope="module")
def facts(small: Path) -> dict[str, Any]:
    return facts_of(small)


def test_components_are_counted_in_documents_bytes_characters_and_words(facts: dict[str, Any]) -> None:
    code, web = facts["composition"]["components"]
    assert (code["name"], code["documents"], code["bytes"], code["words"]) == ("code", 1, 1000, 1)
    assert (web["name"], web["documents"], web["bytes"], web["characters"], web["words"]) == ("web", 3, 21, 16, 7)
    assert code["share"] == pytest.approx(1000 / 1021, rel=1e-5)
    assert facts["composition"]["whole"]["bytes"] == 1021
    assert facts["lengths"]["web"]["characters"]["p50"] == 5
    assert (facts["lengths"]["web"]["bytes"]["min"], facts["lengths"]["web"]["bytes"]["max"]) == (6, 9)


def test_languages_domains_and_dates_are_counted_by_document(facts: dict[str, Any]) -> None:
    assert {r["name"]: r["documents"] for r in facts["languages"]["top"]} == {"en": 1, "de": 1, "code": 1, "ja": 1}
    assert facts["languages"]["natural"] == 3
    assert [(r["name"], r["documents"]) for r in facts["domains"]["top"]][:2] == [("a.org", 2), ("(local files)", 1)]
    assert (facts["domains"]["hold_half"], facts["domains"]["shares"]) == (1, [[1, 0.5]])
    published = {r["name"]: r["documents"] for r in facts["dates"]["published"]["top"]}
    assert published == {"(unknown)": 2, "1999": 1, "2020": 1}


def test_the_ledger_counts_licenses_and_each_document_that_opts_out_once(facts: dict[str, Any]) -> None:
    ledger = facts["licenses"]
    assert (ledger["named"], ledger["unnamed"], ledger["opted_out"]) == (1, 3, 1)
    assert [row["name"] for row in ledger["opt_outs"]] == ["robots: noai", "tdm"]
    assert facts["archived"] == 1


def test_one_worker_and_two_find_the_same(small: Path, facts: dict[str, Any]) -> None:
    assert canonical(facts_of(small, workers=2)) == canonical(facts)


def test_pieces_and_their_order_do_not_change_the_sample(make_corpus: MakeCorpus, tmp_path: Path) -> None:
    made = [document(n, "web") for n in range(50)]
    found = []
    for name, documents in (("a", made), ("b", made[::-1])):
        corpus = Corpus.open(make_corpus(documents, tmp_path / name))
        _, samples = measure.measure_corpus({".": corpus}, None, 7, 0, 1)
        found.append(samples["web"].documents)
    assert found[0] == found[1]
    assert len(found[0]) == 7


def test_a_mixture_knows_how_often_a_document_stands_in_it(tmp_path: Path) -> None:
    path = mixed_corpus(tmp_path / "mix", [document(1), document(2), document(1)], [document(3)])
    composition = facts_of(path)["composition"]
    assert composition["parts"] == [
        {"name": "train", "documents": 3, "distinct": 2},
        {"name": "validation", "documents": 1, "distinct": 1},
    ]
    assert composition["whole"]["distinct"] == 3
    assert composition["whole"]["epochs"] == pytest.approx(4 / 3, rel=1e-5)


def test_more_components_than_are_listed_are_counted_together(
    make_corpus: MakeCorpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measure, "MOST_COMPONENTS", 2)
    path = make_corpus([document(n, f"c{n}") for n in range(5)], tmp_path / "many")
    rows = facts_of(path)["composition"]["components"]
    assert {r["name"]: r["documents"] for r in rows} == {"c0": 1, "c1": 1, measure.OTHERS: 3}


def test_odd_metadata_and_empty_texts_are_counted_as_unknown(make_corpus: MakeCorpus, tmp_path: Path) -> None:
    odd = Document("0" * 32, "", {"component": 5, "url": 7, "language": [], "license": {}, "opt_out": "no", "date": 1})
    facts = facts_of(make_corpus([odd], tmp_path / "odd"))
    assert facts["composition"]["components"][0]["name"] == "5"
    assert [facts[w]["top"][0]["name"] for w in ("languages", "domains")] == ["(unknown)", "(no address)"]
    assert (facts["licenses"]["named"], facts["licenses"]["opted_out"]) == (0, 1)
    assert facts["compressibility"]["components"] == {}


def test_log_likelihood_is_that_of_a_two_by_two_table() -> None:
    reference = chi2_contingency([[30, 10], [70, 190]], correction=False, lambda_="log-likelihood").statistic
    assert log_likelihood(30, 10, 100, 200) == pytest.approx(reference)
    assert log_likelihood(5, 0, 10, 10) == pytest.approx(
        2 * (5 * log(2) + 5 * log(5 * 20 / (15 * 10)) + 10 * log(4 / 3))
    )


def test_a_word_counts_once_for_each_stretch_in_which_it_stands_near_a_term(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(associations, "STRETCH", 8)
    monkeypatch.setattr(associations, "REACH", 2)
    seen = Neighbours()
    seen.read(["she", "wept", "and", "she", "wept", "far", "away", "today", "he", "ran", "and", "ran"])
    assert seen.mentions == {"gender/women": 2, "gender/men": 1}
    assert seen.near["gender/women"] == {"wept": 1, "and": 1, "far": 1}
    assert seen.near["gender/men"] == {"away": 1, "today": 1, "ran": 1, "and": 1}
    assert seen.words == 12


def test_words_are_compared_with_the_other_groups_of_their_category() -> None:
    seen = Neighbours(
        stretches=Counter({"gender/women": 20, "gender/men": 180}),
        near={"gender/women": Counter(wept=12, said=10), "gender/men": Counter(wept=1, said=10)},
    )
    rows = associated(seen, "gender/women", ["gender/men"])
    assert [r["word"] for r in rows] == ["wept", "said"]
    assert rows[0]["count"] == 12
    assert rows[0]["times"] == pytest.approx(12 / (13 * 20 / 200), rel=1e-5)
    assert associated(seen, "gender/men", ["gender/women"]) == []


def test_each_term_belongs_to_one_group_and_adjectives_are_told_by_ending() -> None:
    assert GROUP_OF["she"] == "gender/women"
    assert GROUP_OF["muslims"] == "religion/Islam"
    assert [w for w in ("beautiful", "famous", "young", "music", "table", "dog") if like_an_adjective(w)] == [
        "beautiful",
        "famous",
        "young",
    ]


def sample_of(texts: Iterable[str], language: str = "xx") -> KeyedSample:
    found = [Sampled(n, f"{n:032x}", language, text) for n, text in enumerate(texts)]
    return KeyedSample(len(found), found)


def test_topics_part_what_does_not_stand_together() -> None:
    """Two vocabularies that never meet, each with words of a document's own, and one word that all share."""
    sea, sky = "anchor harbour sailor tide", "comet orbit planet telescope"
    samples = {
        "sea": sample_of(f"glue {sea} {'tide ' * (n % 3)} rare{n}" for n in range(20)),
        "sky": sample_of(f"glue {sky} {'orbit ' * (n % 3)} odd{n}" for n in range(20)),
    }
    several = {
        name: KeyedSample(20, [replace(d, language=f"l{d.key % 2}{name}") for d in each.documents])
        for name, each in samples.items()
    }
    found = topic_facts(several, 2, 0)["topics"]
    by_component = {max(t["components"], key=t["components"].__getitem__): t for t in found}
    assert set(by_component["sea"]["words"]) - {"glue"} == set(sea.split())
    assert set(by_component["sky"]["words"]) - {"glue"} == set(sky.split())
    assert by_component["sea"]["components"]["sea"] > 0.8
    assert topic_facts(several, 2, 0)["topics"] == found


def test_words_that_most_documents_of_a_language_share_make_no_topic() -> None:
    texts = [
        f"und der {'apfel' if n % 8 == 0 else 'birne' if n % 8 == 1 else 'wort' + chr(97 + n % 26)}" for n in range(80)
    ]
    found = topic_facts({"web": sample_of(texts, "de")}, 4, 0)["topics"]
    assert found
    assert not {w for topic in found for w in topic["words"]} & {"und", "der"}


def test_few_documents_make_no_topics_and_none_are_found_in_nothing() -> None:
    assert topic_facts({"web": sample_of(["a b c"] * 3)}, 4, 0)["topics"] == []
    assert topic_facts({"web": sample_of([""] * 30)}, 4, 0)["topics"] == []


def test_a_compression_ratio_has_the_interval_of_students_t() -> None:
    values = [0.3, 0.4, 0.5, 0.4]
    deviation = (sum((v - 0.4) ** 2 for v in values) / 3) ** 0.5
    assert interval(values) == {
        "mean": 0.4,
        "interval": pytest.approx(t.ppf(0.975, 3) * deviation / 2, rel=1e-3),
        "blocks": 4,
    }
    assert interval([0.3])["interval"] is None
    assert [round(float(t.ppf(0.975, df)), 3) for df in range(1, 32)] == list(compress.STUDENT_T)


def test_blocks_are_equal_and_a_short_text_is_one_block() -> None:
    long = sample_of(["ä" * 40_000] * 3)
    assert [len(b) for b in text_blocks(long)] == [compress.BLOCK_BYTES] * 3
    assert text_blocks(sample_of(["short"])) == [b"short\n\n"]
    assert text_blocks(sample_of(["", " "])) == []


def test_lines_and_runs_that_documents_share_are_found_with_their_number() -> None:
    boiler = "All rights reserved by the makers of this page."
    texts = [f"{boiler}\nunique {n} text\n{boiler}" for n in range(3)] + [
        "nothing of that kind is said here at all today"
    ]
    assert common_lines(texts) == [{"text": boiler, "documents": 3}]
    assert common_runs(texts) == [{"text": "all rights reserved by the makers of this", "documents": 3}]
    assert common_runs(["a b", ""]) == common_lines([]) == []


def sidecar(folder: Path, kind: str, corpora: list[Path], tables: dict[str, Any], **counts: Any) -> Path:
    draft = Draft(
        kind=kind, out=folder, config=MadeConfig(out=folder), inputs={"corpus": corpora}, code="libertas.document"
    )
    with draft.build() as built:
        for name, table in tables.items():
            (built / name).mkdir()
            pq.write_table(table, built / name / "0-00000.parquet")
        draft.counts.update(counts)
    return folder


@pytest.fixture
def judged(make_corpus: MakeCorpus, tmp_path: Path) -> tuple[Path, list[Path]]:
    made = [document(n, "web", f"text number {n}") for n in range(6)]
    corpus = make_corpus(made, tmp_path / "web")
    against = [
        {"number": n, "document_id": made[n].id, "rule": rule, "reason": f"{rule} below 50", "value": float(n)}
        for n, rule in ((0, "words"), (0, "lines"), (2, "words"), (3, "words"), (5, "words"))
    ]
    cuts = [
        {"number": n, "document_id": made[n].id, "start": 0, "end": end, "replacement": "", "rule": rule, "detail": ""}
        for n, end, rule in ((1, 4, "email"), (1, 5, "email"), (2, 3, "phone"))
    ]
    counts = {"documents": {"in": 6, "out": 6, "dropped": 0}}
    quality = sidecar(tmp_path / "q", "decisions", [corpus], {"against": rows_of(AGAINST_SCHEMA, against)}, **counts)
    private = sidecar(tmp_path / "p", "redactions", [corpus], {"cuts": rows_of(CUTS_SCHEMA, cuts)}, **counts)
    return corpus, [quality, private]


def test_the_funnel_counts_rules_documents_and_shows_examples(judged: tuple[Path, list[Path]]) -> None:
    corpus, decisions = judged
    passage = next(r for r in facts_of(corpus, decisions=tuple(decisions))["funnel"] if r["stage"] == "decisions")
    assert (passage["in"], passage["dropped"]) == (6, 4)
    words, lines = passage["rules"]
    assert (words["rule"], words["count"], words["limit"]) == ("words", 4, "50")
    assert (lines["rule"], lines["count"]) == ("lines", 1)
    ids = sorted(document(n, "web", f"text number {n}").id for n in (0, 2, 3, 5))[:3]
    assert [e["id"] for e in words["examples"]] == ids
    assert all(e["excerpt"] == f"text number {int(e['value'])}" for e in words["examples"])


def test_cuts_are_counted_by_kind_in_places_documents_and_characters(judged: tuple[Path, list[Path]]) -> None:
    corpus, decisions = judged
    (personal,) = facts_of(corpus, decisions=tuple(decisions))["personal"]
    assert personal["cuts"] == [
        {"rule": "email", "spans": 2, "characters": 9, "documents": 1},
        {"rule": "phone", "spans": 1, "characters": 3, "documents": 1},
    ]


def test_clusters_are_counted_by_size(judged: tuple[Path, list[Path]], tmp_path: Path) -> None:
    corpus, _ = judged
    members = [(0, 0), (1, 0), (2, 2), (3, 2), (4, 2)]
    table = pa.table(
        {"cluster": [c for _, c in members], "kind": ["representative", "exact", "representative", "near", "near"]}
    )
    found = sidecar(tmp_path / "d", "duplicates", [corpus], {"clusters": table}, documents={"in": 6})
    (duplicates,) = facts_of(corpus, decisions=(found,))["duplicates"]
    assert (duplicates["clusters"], duplicates["in_clusters"], duplicates["redundant"]) == (2, 5, 3)
    assert (duplicates["largest"], duplicates["sizes"]) == (3, [[2, 2, 1], [3, 4, 1]])
    assert duplicates["kinds"] == {"exact": 1, "near": 2, "representative": 2}


def test_an_artifact_without_its_tables_and_one_that_is_gone_are_coped_with(
    judged: tuple[Path, list[Path]], tmp_path: Path
) -> None:
    corpus, _ = judged
    bare = sidecar(tmp_path / "bare", "overlaps", [corpus], {}, documents={"in": 6}, dropped={"some reason": 2})
    moved = corpus.rename(tmp_path / "elsewhere")
    facts = facts_of(moved, decisions=(bare,))
    (overlaps,) = (r for r in facts["funnel"] if r["stage"] == "overlaps")
    assert [(r["reason"], r["count"]) for r in overlaps["rules"]] == [("some reason", 2)]
    assert [r["content"] for r in facts["lineage"] if r["name"] == "web"] == [None]


def test_a_corpus_rebuilt_with_other_content_breaks_the_lineage(
    judged: tuple[Path, list[Path]], make_corpus: MakeCorpus, tmp_path: Path
) -> None:
    corpus, decisions = judged
    corpus.rename(tmp_path / "elsewhere")
    make_corpus([document(9)], corpus)
    with pytest.raises(BrokenLineage, match="rebuilt with other content"):
        history(tmp_path / "elsewhere", decisions)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"topics": -1}, "topics is -1"),
        ({"sample": 1}, "sample is 1"),
        ({"workers": 0}, "workers is 0"),
        ({"decisions": (Path("a"), Path("a"))}, "names a twice"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        DatasheetConfig(corpus=Path("c"), out=Path("o"), **settings)
