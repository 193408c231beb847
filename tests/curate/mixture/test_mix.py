"""Mixing: nothing vanishes, what was said is acted on, and the same bytes come out."""

import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import lm_dataformat
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from making import MadeConfig, document, text
from said_by_hand import against, cut, made_sidecar, member

from libertas.corpus import Corpus, CorpusWriter
from libertas.curate import minhash
from libertas.curate.mixture.config import MixConfig
from libertas.curate.mixture.documents import DOCUMENT, Documents
from libertas.curate.mixture.mix import mix
from libertas.curate.mixture.reading import READ_SCHEMA
from libertas.document import Document
from libertas.errors import UsageError
from libertas.lineage.artifact import Draft
from libertas.lineage.manifest import read_manifest


def web_and_code(web: int = 40, code: int = 20) -> list[Document]:
    return [document(n, "web") for n in range(web)] + [document(1000 + n, "code") for n in range(code)]


def mixed(documents: list[Document], make_corpus, folder: Path, **settings: Any) -> tuple[Corpus, Corpus]:
    out = folder / "mix"
    mix(MixConfig(corpora=(make_corpus(documents, folder / "all"),), out=out, workers=1, **settings))
    return Corpus.open(out, "train"), Corpus.open(out, "validation")


def drops(corpus: Corpus) -> list[dict[str, object]]:
    return pq.read_table(corpus.path / "drops.parquet").to_pylist()


def reasons(corpus: Corpus) -> dict[str, str]:
    return {str(row["document_id"]): str(row["rule"]) for row in drops(corpus)}


def components(corpus: Corpus) -> list[str]:
    return [d.meta["component"] for d in corpus]


WEIGHTS = st.dictionaries(st.sampled_from("ab"), st.sampled_from([0.0, 0.3, 1.0, 1.5, 2.0]))
TEXTS = st.builds(lambda n, tail: text(n, 30) + tail, st.integers(0, 8), st.sampled_from(["", " ", " more words here"]))


@settings(deadline=None, max_examples=15)
@given(
    st.lists(st.tuples(st.sampled_from("ab"), TEXTS | st.just("")), min_size=1, max_size=14),
    WEIGHTS,
    st.sampled_from([0.0, 0.02, 0.3]),
    st.sampled_from([0.0, 0.1]),
    st.integers(0, 3),
)
def test_nothing_vanishes_and_what_is_held_out_is_unseen(make_corpus, parts, weights, validation, test, seed) -> None:
    documents = [document(n, component, content) for n, (component, content) in enumerate(parts)]
    weights = {name: w for name, w in weights.items() if name in {c for c, _ in parts}}
    said = {"weights": weights, "validation": validation, "test": test, "seed": seed}
    with tempfile.TemporaryDirectory() as folder:
        try:
            train, held = mixed(documents, make_corpus, Path(folder), **said)
        except UsageError as error:
            if any(known in str(error) for known in ("too much like", "no component")):
                return
            raise
        tested = Corpus.open(train.path, "test") if test else None
        gone = {str(row["document_id"]) for row in drops(train)}
        assert len(gone) == len(drops(train))
        parted = [set(train.ids()), set(held.ids()), set(tested.ids() if tested else ()), gone]
        assert set.union(*parted) == {d.id for d in documents}
        assert sum(map(len, parted)) == len(documents)
        unseen = [*held, *(tested or ())]
        assert not {d.text.strip() for d in train} & {d.text.strip() for d in unseen}
        signs = [minhash.signatures([d.text for d in part]) for part in (unseen, train)]
        assert not (minhash.similarity(signs[0][:, None], signs[1][None]) >= 0.8).any()
        assert train.manifest.counts["copies"] == len(train) - len(parted[0])
        in_use = {d.meta["component"] for d in documents if weights.get(d.meta["component"], 1.0) > 0}
        alone = set(train.manifest.counts.get("nothing_held_out", {}).get("validation", []))
        assert set(components(held)) == (in_use - alone if validation else set())


NUMBERS = st.sets(st.integers(0, 11), max_size=4)


@settings(deadline=None, max_examples=8)
@given(NUMBERS, NUMBERS, NUMBERS, st.lists(st.integers(0, 3), min_size=12, max_size=12), st.integers(0, 60))
def test_whatever_was_said_documents_in_are_documents_out_and_drops(
    make_corpus, buried, gone, cut_ones, clusters, end
) -> None:
    documents = [document(n, "ab"[n % 2], text(n, 20)) for n in range(12)]
    first = {c: clusters.index(c) for c in clusters if clusters.count(c) > 1}
    rows = [
        member(documents[n].id, first[c], "near" if n > first[c] else "representative", 0.9, of=documents[first[c]].id)
        for n, c in enumerate(clusters)
        if c in first
    ]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        corpora = [make_corpus(documents[k::2], folder / f"{k}") for k in range(2)]
        said = made_sidecar(
            corpora,
            folder / "said",
            against=[against(documents[n].id, "x", "no") for n in gone],
            cuts=[cut(documents[n].id, 3, 3 + end) for n in cut_ones],
            clusters=rows,
        )
        (folder / "buried").write_text("\n".join(documents[n].id for n in buried))
        inputs = {"corpora": tuple(corpora), "decisions": (said,), "tombstones": folder / "buried"}
        for out in ("one", "two"):
            mix(MixConfig(**inputs, out=folder / out, weights={"a": 1.5}, validation=0.0, workers=1))
        train = Corpus.open(folder / "one", "train")
        assert read_manifest(folder / "two").content == train.manifest.content
        dropped = reasons(train)
        assert set(train.ids()) | set(dropped) == {d.id for d in documents}
        assert not set(train.ids()) & set(dropped)
        number = {d.id: n for n, d in enumerate(documents)}
        assert {number[i] for i, rule in dropped.items() if rule == "tombstone"} == buried
        assert {number[i] for i, rule in dropped.items() if rule == "x"} == gone - buried
        stays = [clusters[number[i]] for i in set(train.ids()) if clusters[number[i]] in first]
        assert len(stays) == len(set(stays))
        for d in train:
            assert (number[d.id] in cut_ones and end > 0) == ("cuts" in d.meta)


def test_the_first_reason_that_speaks_against_a_document_is_kept(make_corpus, tmp_path) -> None:
    documents = web_and_code(6, 6)
    corpus = make_corpus(documents, tmp_path / "all")
    one, two, both = (documents[n].id for n in (1, 7, 3))
    first = made_sidecar([corpus], tmp_path / "a", against=[against(one, "x", "no"), against(both, "x", "no", 2.5)])
    second = made_sidecar([corpus], tmp_path / "b", against=[against(both, "y", "never"), against(two, "y", "never")])
    mix(MixConfig(corpora=(corpus,), decisions=(first, second), validation=0.0, out=tmp_path / "mix"))
    train = Corpus.open(tmp_path / "mix", "train")
    assert drops(train) == [
        {"document_id": one, "component": "web", "rule": "x", "reason": "no", "value": 1.0},
        {"document_id": both, "component": "web", "rule": "x", "reason": "no", "value": 2.5},
        {"document_id": two, "component": "code", "rule": "y", "reason": "never", "value": 1.0},
    ]
    assert train.manifest.counts["documents"] == {"in": 12, "out": 9, "dropped": 3}
    assert train.manifest.counts["components"]["code"]["dropped"] == 1
    mix(MixConfig(corpora=(corpus,), decisions=(second, first), validation=0.0, out=tmp_path / "turned"))
    assert reasons(Corpus.open(tmp_path / "turned", "train"))[both] == "y"


def test_sidecars_know_their_corpora_by_content_whatever_their_order(make_corpus, tmp_path) -> None:
    one, two = (make_corpus([document(k + n) for n in range(5)], tmp_path / f"{k}") for k in (0, 10))
    gone = document(12).id
    said = made_sidecar([two, one], tmp_path / "said", against=[against(gone, "x", "no")])
    mix(MixConfig(corpora=(one, two), decisions=(said,), validation=0.0, out=tmp_path / "mix"))
    assert list(reasons(Corpus.open(tmp_path / "mix", "train"))) == [gone]


def test_cuts_of_all_sidecars_are_applied_and_recorded(make_corpus, tmp_path) -> None:
    plain = "Write to ann@example.org or to bob@example.org about the list of files, and mind the 2 bottles of zebras."
    documents = [document(1, content=plain), document(2, content=plain + " Again."), document(3)]
    corpus = make_corpus(documents, tmp_path / "all")
    mail, rest = plain.index("ann"), plain.index(" about")
    a = made_sidecar([corpus], tmp_path / "a", "redactions", cuts=[cut(documents[0].id, mail, mail + 15, "<EMAIL>")])
    b = made_sidecar(
        [corpus],
        tmp_path / "b",
        "overlaps",
        cuts=[cut(documents[0].id, rest, len(plain), rule="overlap"), cut(documents[1].id, 5, 200, rule="overlap")],
    )
    with pytest.raises(Exception, match=r"ends at character 200, and its text at 112"):
        mix(MixConfig(corpora=(corpus,), decisions=(a, b), validation=0.0, out=tmp_path / "mix"))
    c = made_sidecar([corpus], tmp_path / "c", "overlaps", cuts=[cut(documents[1].id, 5, 112, rule="overlap")])
    mix(MixConfig(corpora=(corpus,), decisions=(a, c), validation=0.0, out=tmp_path / "mix", workers=1))
    train = Corpus.open(tmp_path / "mix", "train")
    assert train.fetch(documents[0].id).text == plain.replace("ann@example.org", "<EMAIL>")
    assert train.fetch(documents[0].id).meta["cuts"] == [[mail, mail + 15, "pii", "<EMAIL>"]]
    assert "cuts" not in train.fetch(documents[2].id).meta
    assert drops(train) == [
        {
            "document_id": documents[1].id,
            "component": "web",
            "rule": "cuts",
            "reason": "nothing left after cuts",
            "value": 5.0,
        }
    ]
    assert train.manifest.counts["cuts"] == {"documents": 1, "characters": 15, "rules": {"pii": 1}}
    assert train.manifest.counts["train_bytes"] == sum(len(d.text.encode()) for d in train)


def clustered(
    make_corpus, folder: Path, duplicates: str, dropped: tuple[int, ...] = ()
) -> dict[int, tuple[str, float]]:
    """Numbers, rules and values of what is dropped from two corpora with a cluster of 0, 1, 10, 11 and one of 2, 12."""
    one, two = [document(n) for n in range(5)], [document(n) for n in range(10, 15)]
    corpora = tuple(make_corpus(part, folder / f"{k}") for k, part in enumerate((one, two)))
    ids = {n: document(n).id for n in (*range(5), *range(10, 15))}
    rows = [
        member(ids[0], 0, "near", 0.875, priority=1.0, of=ids[10]),
        member(ids[1], 0, "exact", 1.0, priority=1.0, of=ids[10]),
        member(ids[10], 0, "representative", 1.0, priority=0.0),
        member(ids[11], 0, "near", 0.9375, priority=0.0, of=ids[10]),
        member(ids[2], 2, "representative", 1.0),
        member(ids[12], 2, "exact", 1.0, of=ids[2]),
    ]
    same = made_sidecar(corpora, folder / "same", "duplicates", clusters=rows)
    said = made_sidecar(corpora, folder / "said", against=[against(ids[n], "x", "no") for n in dropped])
    out = folder / f"mix-{duplicates}"
    mix(MixConfig(corpora=corpora, decisions=(same, said), duplicates=duplicates, validation=0.0, out=out, workers=1))
    number = {i: n for n, i in ids.items()}
    return {
        number[str(row["document_id"])]: (str(row["rule"]), float(str(row["value"])))
        for row in drops(Corpus.open(out, "train"))
        if row["rule"] != "x"
    }


def test_of_a_cluster_the_best_by_priority_and_order_stays(make_corpus, tmp_path) -> None:
    expected = {0: ("near_duplicate", 0.875), 1: ("exact_duplicate", 1.0), 11: ("near_duplicate", 0.9375)}
    assert clustered(make_corpus, tmp_path, "across") == expected | {12: ("exact_duplicate", 1.0)}


def test_of_a_cluster_the_best_that_nothing_else_speaks_against_stays(make_corpus, tmp_path) -> None:
    gone = clustered(make_corpus, tmp_path / "a", "across", dropped=(10,))
    assert gone == {0: ("near_duplicate", 0.875), 1: ("near_duplicate", 0.9375), 12: ("exact_duplicate", 1.0)}
    gone = clustered(make_corpus, tmp_path / "b", "across", dropped=(2, 10, 11))
    assert gone == {1: ("near_duplicate", 0.875)}


def test_within_corpora_each_keeps_one_and_keep_keeps_all(make_corpus, tmp_path) -> None:
    gone = clustered(make_corpus, tmp_path / "a", "within")
    assert gone == {1: ("near_duplicate", 0.875), 11: ("near_duplicate", 0.9375)}
    assert clustered(make_corpus, tmp_path / "b", "keep") == {}


def test_tombstones_come_first_and_one_that_matches_nothing_is_named(make_corpus, tmp_path, capsys) -> None:
    documents = [Document(d.id, d.text, {**d.meta, "url": f"http://a/{n}"}) for n, d in enumerate(web_and_code(6, 0))]
    corpus = make_corpus(documents, tmp_path / "all")
    said = made_sidecar([corpus], tmp_path / "said", against=[against(documents[1].id, "x", "no")])
    (tmp_path / "takedowns.txt").write_text(f"# asked for\n{documents[1].id}\n\nhttp://a/3 \nhttp://a/33\n")
    mix(
        MixConfig(
            corpora=(corpus,),
            decisions=(said,),
            tombstones=tmp_path / "takedowns.txt",
            validation=0.0,
            out=tmp_path / "mix",
        )
    )
    train = Corpus.open(tmp_path / "mix", "train")
    assert reasons(train) == {documents[1].id: "tombstone", documents[3].id: "tombstone"}
    assert train.manifest.counts["tombstones"] == {
        "listed": 3,
        "documents": 2,
        "unmatched": 1,
        "examples": ["http://a/33"],
    }
    assert "no document is http://a/33" in capsys.readouterr().err
    assert {i.role for i in train.manifest.inputs} == {"corpus", "decisions", "tombstones"}


def test_documents_keep_text_and_meta_and_gain_their_component(make_corpus, tmp_path) -> None:
    warc = {"file": "a.warc.gz", "offset": 3, "length": 9, "record_id": "urn:uuid:1", "payload_digest": "b3:0"}
    documents = [Document(f"{n:032x}", text(n), {"url": f"http://a/{n}", "warc": warc}) for n in range(10)]
    train, held = mixed(documents, make_corpus, tmp_path, validation=0.2)
    assert len(held) == 2
    for d in [*train, *held]:
        original = documents[int(d.id, 16)]
        assert (d.text, d.meta) == (original.text, {**original.meta, "component": "documents"})


def test_the_original_lm_dataformat_reads_all_parts(make_corpus, tmp_path) -> None:
    train, held = mixed(web_and_code(), make_corpus, tmp_path, weights={"code": 2}, test=0.1)
    for part in (train, held, Corpus.open(train.path, "test")):
        assert len(part) > 0
        read = list(lm_dataformat.Reader(str(part.folder)).stream_data(get_meta=True))
        assert read == [(d.text, {"id": d.id, **d.meta}) for d in part]


def test_near_duplicates_are_held_out_together(make_corpus, tmp_path) -> None:
    pairs = [document(n, content=text(n // 2, 200) + " again" * (n % 2)) for n in range(40)]
    train, held = mixed(pairs, make_corpus, tmp_path, validation=0.1)
    numbers = {d.id: n for n, d in enumerate(pairs)}
    assert len(held) == 4
    assert Counter(numbers[i] // 2 for i in held.ids()) == dict.fromkeys({numbers[i] // 2 for i in held.ids()}, 2)
    assert len(train) == 36


def test_a_test_part_does_not_change_what_validation_is(make_corpus, tmp_path) -> None:
    _, alone = mixed(web_and_code(), make_corpus, tmp_path / "a", validation=0.1)
    train, held = mixed(web_and_code(), make_corpus, tmp_path / "b", validation=0.1, test=0.2)
    assert held.ids() == alone.ids()
    tested = Corpus.open(train.path, "test")
    assert Counter(components(tested)) == {"web": 8, "code": 4}
    assert train.manifest.counts["test_documents"] == 12
    assert train.manifest.counts["components"]["web"]["test_documents"] == 8
    assert not set(tested.ids()) & {*held.ids(), *train.ids()}


def test_the_seed_chooses_what_is_held_out_and_nothing_else_does(make_corpus, tmp_path) -> None:
    corpus = make_corpus(web_and_code(), tmp_path / "all")
    contents, held = [], []
    for number, seed in enumerate((0, 0, 1)):
        out = tmp_path / f"mix-{number}"
        mix(MixConfig(corpora=(corpus,), out=out, seed=seed))
        contents.append(read_manifest(out).content)
        held.append(Corpus.open(out, "validation").ids())
    assert contents[0] == contents[1] != contents[2]
    assert held[0] != held[2]


def test_overlap_is_the_share_of_validation_13_grams_that_training_has(make_corpus, tmp_path) -> None:
    common = " ".join(f"c{n}" for n in range(20))  # 8 of the 13-grams

    def body(n: int) -> str:
        return common + " " + " ".join(f"d{n}x{k}" for k in range(40))

    _, held = mixed([document(n, content=body(n)) for n in range(10)], make_corpus, tmp_path, validation=0.1)
    unseen = held.manifest.counts["unseen"]
    assert len(held) == 1
    assert unseen == {
        "ids_in_both": 0,
        "texts_in_both": 0,
        "near_duplicates": 0,
        "similarity": 0.8,
        "dropped_from_training": 0,
        "ngram_words": 13,
        "ngram_sample": 1.0,
        "ngram_share": {"web": round(8 / 48, 6)},
    }


@pytest.mark.parametrize("test", [0.0, 0.1])
def test_what_is_like_a_held_out_document_is_dropped_even_where_clusters_missed_it(make_corpus, tmp_path, test) -> None:
    pairs = [document(n, content=text(n // 2, 200) + " again" * (n % 2)) for n in range(20)]
    corpus = make_corpus(pairs, tmp_path / "all")
    blind = made_sidecar([corpus], tmp_path / "blind", "duplicates", clusters=[])
    mix(MixConfig(corpora=(corpus,), decisions=(blind,), validation=0.1, test=test, out=tmp_path / "mix", seed=3))
    train, held = (Corpus.open(tmp_path / "mix", part) for part in ("train", "validation"))
    tested = Corpus.open(tmp_path / "mix", "test").ids() if test else []
    numbers = {d.id: n for n, d in enumerate(pairs)}

    def twins(ids: list[str]) -> set[str]:
        return {pairs[numbers[i] ^ 1].id for i in ids}

    gone = dict.fromkeys(twins(held.ids()) - set(held.ids()), "unseen_validation")
    gone |= dict.fromkeys(twins(tested) - set(tested), "unseen_test")
    assert len(gone) > 0
    assert reasons(train) == gone
    assert train.manifest.counts["unseen"]["dropped_from_training"] == len(gone)
    assert not twins(held.ids()) & {*train.ids(), *tested}


@pytest.mark.parametrize("test", [0.0, 0.3])
def test_what_has_no_words_is_held_out_and_unseen_by_its_text(make_corpus, tmp_path, test) -> None:
    stars = [document(100 + n, "stars", "★" * (30 + n // 3)) for n in range(30)]
    corpus = make_corpus([document(n) for n in range(20)] + stars, tmp_path / "all")
    blind = made_sidecar([corpus], tmp_path / "blind", "duplicates", clusters=[])
    mix(MixConfig(corpora=(corpus,), decisions=(blind,), validation=0.1, test=test, out=tmp_path / "mix"))
    train, *held = (Corpus.open(tmp_path / "mix", part) for part in ("train", "validation", "test")[: 3 if test else 2])
    assert held
    seen = {d.text: part.part for part in held[::-1] for d in part}
    texts = {d.id: d.text for d in stars}
    gone = drops(train)
    assert {row["document_id"] for row in gone} >= {d.id for d in stars if d.text in seen} - {
        i for part in held for i in part.ids()
    }
    for row in gone:
        part = seen[texts[str(row["document_id"])]]
        assert (row["rule"], row["value"]) == (f"unseen_{part}", 1.0)
        assert row["reason"] == f"same text as a {part} document"
    assert not {d.text for d in train} & set(seen)


def test_wordless_texts_that_cuts_make_equal_are_unseen_too(make_corpus, tmp_path) -> None:
    stars = [document(100 + n, "stars", "★★★★★★★★★★ " + f"a{n}b@mail{n}.de" + " ★★★★★★★★★★★★★") for n in range(20)]
    corpus = make_corpus([document(n) for n in range(20)] + stars, tmp_path / "all")
    cuts = [cut(d.id, 11, d.text.index(".de") + 3) for d in stars]
    said = made_sidecar([corpus], tmp_path / "said", "redactions", cuts=cuts)
    with pytest.raises(UsageError, match="all 20 documents of stars are held out or too much like those that are"):
        mix(MixConfig(corpora=(corpus,), decisions=(said,), validation=0.3, out=tmp_path / "mix"))
    more = [document(200 + n, "stars", text(900 + n)) for n in range(20)]
    corpus = make_corpus([document(n) for n in range(20)] + stars + more, tmp_path / "more")
    said = made_sidecar([corpus], tmp_path / "said-more", "redactions", cuts=cuts)
    mix(MixConfig(corpora=(corpus,), decisions=(said,), validation=0.3, out=tmp_path / "mix"))
    train, held = (Corpus.open(tmp_path / "mix", part) for part in ("train", "validation"))
    both = set(held.ids()) & {d.id for d in stars}
    assert 0 < len(both) < 20
    assert reasons(train) == dict.fromkeys({d.id for d in stars} - both, "unseen_validation")


def test_a_component_of_one_text_is_trained_on_and_nothing_of_it_held_out(make_corpus, tmp_path, capsys) -> None:
    same = [document(200 + n, "same", text(7, 200) + " again" * n) for n in range(3)]
    train, held = mixed([document(500, "one"), *same, *web_and_code(9, 0)], make_corpus, tmp_path)
    assert components(held) == ["web"]
    assert Counter(components(train)) == {"one": 1, "same": 3, "web": 8}
    assert train.manifest.counts["nothing_held_out"] == {"validation": ["one", "same"]}
    assert "validation: nothing is held out of one, same; it has one document, or dupl" in capsys.readouterr().err
    tested, _ = mixed(web_and_code(9, 2), make_corpus, tmp_path / "test", test=0.1)
    assert tested.manifest.counts["nothing_held_out"] == {"test": ["code"]}


def test_more_components_languages_and_reasons_than_16_bits_count_keep_their_names(tmp_path) -> None:
    count = 70_000
    names = [f"c{n}" for n in range(count)]
    rows = {"document_id": [f"{n:032x}" for n in range(count)], "number": range(count), "bytes": [9] * count}
    rows |= {"component": names, "language": names[::-1], "rule": names, "reason": ["no"] * count}
    read = pa.table({n: rows.get(n, [None] * count) for n in READ_SCHEMA.names}, schema=READ_SCHEMA)
    documents = Documents(np.zeros(count, dtype=DOCUMENT), np.array([0, count]))
    for first in (0, count // 2):
        documents.fill(np.arange(first, first + count // 2), read.slice(first, count // 2))
    assert [documents.components[code] for code in documents.table["component"]] == names
    assert [documents.languages[code] for code in documents.table["language"]] == names[::-1]
    assert [documents.reasons[code - 1][0] for code in documents.table["drop"]] == names


def test_a_line_none_buries_no_document_and_a_component_of_none_is_none(make_corpus, tmp_path) -> None:
    (tmp_path / "buried").write_text("None\n")
    unnamed = [Document(d.id, d.text, {"component": None, "url": None}) for d in web_and_code(9, 0)]
    train, held = mixed(unnamed, make_corpus, tmp_path, tombstones=tmp_path / "buried", duplicates="keep")
    assert len(train) + len(held) == 9
    assert set(components(train)) == {"documents"}
    assert list(train.manifest.counts["components"]) == ["documents"]


@pytest.mark.parametrize("brought", [5, ["a"], [[0, 1, "theirs"]], [[1, 2]], None])
def test_cuts_that_a_document_brought_are_kept_apart_and_not_counted(make_corpus, tmp_path, brought) -> None:
    documents = [Document(d.id, d.text, {**d.meta, "cuts": brought}) for d in web_and_code(9, 0)]
    corpus = make_corpus(documents, tmp_path / "all")
    said = made_sidecar([corpus], tmp_path / "said", cuts=[cut(documents[0].id, 2, 6)])
    mix(MixConfig(corpora=(corpus,), decisions=(said,), validation=0.0, out=tmp_path / "mix"))
    train = Corpus.open(tmp_path / "mix", "train")
    assert train.manifest.counts["cuts"] == {"documents": 1, "characters": 4, "rules": {"pii": 1}}
    for d in train:
        assert d.meta["original_cuts"] == brought
        assert d.meta.get("cuts") == ([[2, 6, "pii"]] if d.id == documents[0].id else None)


def test_inputs_of_another_kind_are_refused_in_a_line(make_corpus, tmp_path) -> None:
    train, _ = mixed(web_and_code(), make_corpus, tmp_path)
    with pytest.raises(UsageError, match=r"corpora: .*mix is a mixture; expected corpora as .* name those that it was"):
        mix(MixConfig(corpora=(train.path,), out=tmp_path / "again"))
    inputs = {"corpora": (tmp_path / "all",), "out": tmp_path / "other"}
    with pytest.raises(UsageError, match=r"tombstones: .*all is a folder; expected a text file of ids and URLs"):
        mix(MixConfig(tombstones=tmp_path / "all", **inputs))
    with pytest.raises(UsageError, match=r"tombstones: .*none does not exist; expected a text file of ids and URLs"):
        mix(MixConfig(tombstones=tmp_path / "none", **inputs))
    with pytest.raises(UsageError, match=r"tokenizer: .*none does not exist; expected a tokenizer\.json"):
        mix(MixConfig(tokenizer=tmp_path / "none", budget_tokens=9, **inputs))
    assert not (tmp_path / "other.work").exists()


def test_errors_name_what_was_given_and_what_to_do(make_corpus, tmp_path) -> None:
    corpus = make_corpus(web_and_code(1, 5), tmp_path / "all")
    other = make_corpus(web_and_code(2, 5), tmp_path / "other")
    out = tmp_path / "mix"
    with pytest.raises(UsageError, match="weights: there is no component 'cod'; did you mean 'code'"):
        mix(MixConfig(corpora=(corpus,), out=out, weights={"cod": 1}))
    with pytest.raises(UsageError, match="language_shares: there is no language 'de'"):
        mix(MixConfig(corpora=(corpus,), out=out, language_shares={"de": 1}))
    with pytest.raises(UsageError, match=r"all 5 documents of code are held out .* set weights.code = 0"):
        mix(MixConfig(corpora=(corpus,), out=out, validation=0.99))
    with pytest.raises(UsageError, match=r"validation is 0.02, and no component has two .*; set validation = 0 to"):
        mix(MixConfig(corpora=(corpus,), out=out, weights={"code": 0}))
    with pytest.raises(UsageError, match="no component to train on"):
        mix(MixConfig(corpora=(corpus,), out=out, weights={"web": 0, "code": 0}))
    everything = made_sidecar([corpus], tmp_path / "no", against=[against(d.id, "x", "no") for d in web_and_code(1, 5)])
    with pytest.raises(UsageError, match="leaves none of 6 documents"):
        mix(MixConfig(corpora=(corpus,), decisions=(everything,), out=out))
    with pytest.raises(UsageError, match=r"no speaks of other corpora \(all\).*run `libertas curate`"):
        mix(MixConfig(corpora=(other,), decisions=(everything,), out=out))
    with pytest.raises(UsageError, match="is a corpus; expected what `libertas curate`"):
        mix(MixConfig(corpora=(other,), decisions=(corpus,), out=out))
    with pytest.raises(UsageError, match=r"is in .*all and in .*other; expected corpora without common records"):
        mix(MixConfig(corpora=(corpus, other), out=out))
    assert not out.exists()
    assert not out.with_name("mix.partial").exists()


def test_a_table_that_is_missing_is_said(make_corpus, tmp_path) -> None:
    corpus = make_corpus(web_and_code(3, 3), tmp_path / "all")
    said = made_sidecar([corpus], tmp_path / "said", against=[])
    (said / "against" / "0-00000.parquet").unlink()
    with pytest.raises(UsageError, match=r"0-00000\.parquet is missing; expected a table for each shard; make .*said"):
        mix(MixConfig(corpora=(corpus,), decisions=(said,), out=tmp_path / "mix", plan=True))
    with pytest.raises(UsageError, match="two does not exist"):
        mix(MixConfig(corpora=(corpus,), decisions=(tmp_path / "two",), out=tmp_path / "mix"))
    same = [made_sidecar([corpus], tmp_path / name, "duplicates", clusters=[]) for name in ("c", "d")]
    with pytest.raises(UsageError, match=r"decisions has clusters in .*c and .*d; name one of them"):
        mix(MixConfig(corpora=(corpus,), decisions=tuple(same), out=tmp_path / "mix"))


def test_no_number_of_processes_changes_a_byte(make_corpus, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("libertas.curate.mixture.mix.PART_SHARD_BYTES", 2000)
    corpus = make_corpus(web_and_code(), tmp_path / "all")
    settings = {"weights": {"code": 1.5}, "validation": 0.1, "test": 0.05}
    contents = []
    for workers in (1, 2):
        mix(MixConfig(corpora=(corpus,), out=tmp_path / f"mix-{workers}", workers=workers, **settings))
        contents.append([(f.path, f.hash) for f in read_manifest(tmp_path / f"mix-{workers}").files])
    assert contents[0] == contents[1]
    assert len(list((tmp_path / "mix-1" / "train").glob("data_*"))) > 4


@pytest.mark.slow
def test_a_cluster_writes_the_same_bytes(make_corpus, tmp_path, monkeypatch) -> None:
    pytest.importorskip("ray")
    monkeypatch.setattr("libertas.curate.mixture.mix.PART_SHARD_BYTES", 2000)
    corpus = make_corpus(web_and_code(), tmp_path / "all")
    contents = []
    for engine in ("local", "ray"):
        mix(MixConfig(corpora=(corpus,), out=tmp_path / engine, weights={"code": 1.5}, validation=0.1, engine=engine))
        contents.append([(f.path, f.hash) for f in read_manifest(tmp_path / engine).files])
    assert contents[0] == contents[1]


def test_a_window_of_any_size_gives_the_same_bytes(make_corpus, tmp_path, monkeypatch) -> None:
    corpus = make_corpus(web_and_code(), tmp_path / "all")
    contents = []
    for size in (1 << 26, 3000):
        monkeypatch.setattr("libertas.curate.mixture.writing.WINDOW_BYTES", size)
        mix(MixConfig(corpora=(corpus,), out=tmp_path / f"{size}", weights={"code": 2.5}, workers=1))
        contents.append(read_manifest(tmp_path / f"{size}").content)
    assert contents[0] == contents[1]


def test_the_mixture_does_not_depend_on_how_its_corpora_are_cut_into_shards(tmp_path, monkeypatch) -> None:
    contents = []
    for name, frame, shard in (("whole", 1 << 18, 1 << 30), ("cut", 900, 5000)):
        config = MadeConfig(out=tmp_path / name)
        with monkeypatch.context() as patch:
            patch.setattr("libertas.corpus.shard.FRAME_BYTES", frame)
            with (
                Draft(
                    kind="corpus", out=config.out, config=config, inputs={}, code="libertas.corpus"
                ).build() as folder,
                CorpusWriter(folder, "all", shard_bytes=shard) as writer,
            ):
                for each in web_and_code():
                    writer.add(each)
        ids = [d.id for d in web_and_code()]
        said = made_sidecar(
            [config.out],
            tmp_path / f"said-{name}",
            against=[against(i, "x", "no") for i in ids[::7]],
            cuts=[cut(i, 10, 20 + n, "…") for n, i in enumerate(ids[::3])],
        )
        out = tmp_path / f"mix-{name}"
        mix(MixConfig(corpora=(config.out,), decisions=(said,), weights={"code": 1.5}, validation=0.1, out=out))
        contents.append([(f.path, f.hash) for f in read_manifest(out).files if f.path.endswith((".zst", ".npy"))])
    assert len(Corpus.open(tmp_path / "cut").shards) > 2
    assert contents[0] == contents[1]


def test_the_split_of_a_document_does_not_depend_on_its_place(make_corpus, tmp_path) -> None:
    documents = web_and_code()
    _, held = mixed(documents, make_corpus, tmp_path / "a", validation=0.1)
    _, turned = mixed(documents[::-1], make_corpus, tmp_path / "b", validation=0.1)
    assert set(held.ids()) == set(turned.ids())
