import tempfile
from collections import Counter
from pathlib import Path

import lm_dataformat
import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from making import document, text

from libertas.corpus import Corpus
from libertas.curate import minhash
from libertas.curate.config import CurateConfig, MixConfig
from libertas.curate.decide import curate
from libertas.curate.mix import mix
from libertas.document import Document
from libertas.errors import UsageError
from libertas.lineage.manifest import read_manifest


def web_and_code(web: int = 40, code: int = 20) -> list[Document]:
    return [document(n, "web") for n in range(web)] + [document(1000 + n, "code") for n in range(code)]


def mixed(documents: list[Document], make_corpus, folder: Path, **settings: object) -> tuple[Corpus, Corpus]:
    out = folder / "mix"
    mix(MixConfig(corpora=(make_corpus(documents, folder / "all"),), out=out, **settings))
    return Corpus.open(out, "train"), Corpus.open(out, "validation")


def drops(corpus: Corpus) -> list[dict[str, object]]:
    return pq.read_table(corpus.path / "drops.parquet").to_pylist()


def components(corpus: Corpus) -> list[str]:
    return [d.meta["component"] for d in corpus]


WEIGHTS = st.dictionaries(st.sampled_from("ab"), st.sampled_from([0.0, 0.3, 1.0, 1.5, 2.0]))
TEXTS = st.builds(lambda n, tail: text(n, 30) + tail, st.integers(0, 8), st.sampled_from(["", " ", " more words here"]))


@settings(deadline=None, max_examples=25)
@given(
    st.lists(st.tuples(st.sampled_from("ab"), TEXTS | st.just("")), min_size=1, max_size=14),
    WEIGHTS,
    st.sampled_from([0.0, 0.02, 0.3]),
    st.integers(0, 3),
)
def test_nothing_vanishes_and_validation_is_unseen(make_corpus, parts, weights, validation, seed) -> None:
    documents = [document(n, component, content) for n, (component, content) in enumerate(parts)]
    weights = {name: w for name, w in weights.items() if name in {c for c, _ in parts}}
    with tempfile.TemporaryDirectory() as folder:
        try:
            train, held = mixed(documents, make_corpus, Path(folder), weights=weights, validation=validation, seed=seed)
        except UsageError as error:
            if "holds out all" in str(error) or "no component to train on" in str(error):
                return
            raise
        gone = {str(row["document_id"]) for row in drops(train)}
        assert len(gone) == len(drops(train))
        parted = [set(train.ids()), set(held.ids()), gone]
        assert set.union(*parted) == {d.id for d in documents}
        assert sum(map(len, parted)) == len(documents)
        assert not {d.text.strip() for d in train} & {d.text.strip() for d in held}
        signs = [minhash.signatures([d.text for d in part]) for part in (held, train)]
        assert not (minhash.similarity(signs[0][:, None], signs[1][None]) >= 0.8).any()
        copies = len(train) - len(parted[0])
        assert train.manifest.counts["copies"] == copies
        in_use = {d.meta["component"] for d in documents if weights.get(d.meta["component"], 1.0) > 0}
        assert set(components(held)) == (in_use if validation else set())


def test_decisions_are_acted_on_and_the_first_reason_is_kept(make_corpus, tmp_path) -> None:
    documents = [*web_and_code(), document(9, content="short"), document(10, "code", content="short ")]
    corpus = make_corpus(documents, tmp_path / "all")
    decisions = curate(CurateConfig(corpora=(corpus,), out=tmp_path / "decisions", rules=("gopher_words",), workers=1))
    train = mix(MixConfig(corpora=(corpus,), decisions=decisions, out=tmp_path / "mix"))
    assert drops(train) == [
        {
            "document_id": d.id,
            "component": d.meta["component"],
            "rule": "gopher_words",
            "reason": "word count below 50",
            "value": 1.0,
        }
        for d in documents[-2:]
    ]
    assert train.manifest.counts["documents"] == {"in": 62, "out": 60, "dropped": 2}
    assert train.manifest.counts["components"]["code"]["validation_documents"] == 1


def test_decisions_about_other_corpora_are_refused(make_corpus, tmp_path) -> None:
    corpus, other = (make_corpus(web_and_code(n), tmp_path / f"corpus-{n}") for n in (5, 6))
    decisions = curate(CurateConfig(corpora=(corpus,), out=tmp_path / "decisions", workers=1))
    with pytest.raises(UsageError, match=r"other content \(corpus-5\).*run `libertas curate`"):
        mix(MixConfig(corpora=(other,), decisions=decisions, out=tmp_path / "mix"))
    with pytest.raises(UsageError, match="is an artifact of kind corpus; expected decisions"):
        mix(MixConfig(corpora=(other,), decisions=corpus, out=tmp_path / "mix"))


def test_documents_keep_text_and_meta_and_gain_their_component(make_corpus, tmp_path) -> None:
    warc = {"file": "a.warc.gz", "offset": 3, "length": 9, "record_id": "urn:uuid:1", "payload_digest": "b3:0"}
    documents = [Document(f"{n:032x}", text(n), {"url": f"http://a/{n}", "warc": warc}) for n in range(10)]
    train, held = mixed(documents, make_corpus, tmp_path, validation=0.2)
    assert len(held) == 2
    for d in [*train, *held]:
        original = documents[int(d.id, 16)]
        assert (d.text, d.meta) == (original.text, {**original.meta, "component": "documents"})


def test_the_original_lm_dataformat_reads_both_parts(make_corpus, tmp_path) -> None:
    train, held = mixed(web_and_code(), make_corpus, tmp_path, weights={"code": 2})
    for part in (train, held):
        read = list(lm_dataformat.Reader(str(part.folder)).stream_data(get_meta=True))
        assert read == [(d.text, {"id": d.id, **d.meta}) for d in part]


def test_a_weight_is_the_number_of_passes_and_the_rest_is_exact_to_one_document(make_corpus, tmp_path) -> None:
    train, _ = mixed(web_and_code(), make_corpus, tmp_path, weights={"web": 2.5, "code": 0.4}, validation=0.0)
    seen = Counter(train.ids())
    sizes = {d.id: len(d.text.encode()) for d in web_and_code()}
    web = [n for d in web_and_code(code=0) if (n := seen[d.id])]
    assert len(web) == 40
    assert set(web) == {2, 3}
    largest = max(sizes.values())
    for name, weight in (("web", 2.5), ("code", 0.4)):
        whole = sum(sizes[d.id] for d in web_and_code() if d.meta["component"] == name)
        taken = train.manifest.counts["components"][name]["bytes"]
        assert taken == sum(sizes[d.id] for d in train if d.meta["component"] == name)
        assert abs(taken - weight * whole) <= largest / 2
    assert {row["reason"] for row in drops(train)} == {"beyond the weight of its component"}
    assert train.manifest.counts["copies"] == len(train) - len(seen)


def test_every_prefix_holds_each_component_in_proportion(make_corpus, tmp_path) -> None:
    train, _ = mixed(web_and_code(), make_corpus, tmp_path, weights={"code": 3}, validation=0.0)
    documents = list(train)
    sizes = [len(d.text.encode()) + 1 for d in documents]
    is_code = [d.meta["component"] == "code" for d in documents]
    share = sum(s for s, c in zip(sizes, is_code, strict=True) if c) / sum(sizes)
    for end in range(len(documents)):
        code = sum(s for s, c in zip(sizes[:end], is_code, strict=False) if c)
        assert abs(code - share * sum(sizes[:end])) <= max(sizes)


def test_near_duplicates_are_held_out_together(make_corpus, tmp_path) -> None:
    pairs = [document(n, content=text(n // 2, 200) + " again" * (n % 2)) for n in range(40)]
    train, held = mixed(pairs, make_corpus, tmp_path, validation=0.1)
    numbers = {d.id: n for n, d in enumerate(pairs)}
    assert len(held) == 4
    assert Counter(numbers[i] // 2 for i in held.ids()) == dict.fromkeys({numbers[i] // 2 for i in held.ids()}, 2)
    assert len(train) == 36


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
        "ngram_share": {"web": round(8 / 48, 6)},
    }


def test_a_training_document_like_a_held_out_one_is_dropped_even_where_bands_missed_it(
    make_corpus, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(minhash, "components", lambda signs, at_least: np.arange(len(signs)))
    pairs = [document(n, content=text(n // 2, 200) + " again" * (n % 2)) for n in range(20)]
    train, held = mixed(pairs, make_corpus, tmp_path, validation=0.1)
    numbers = {d.id: n for n, d in enumerate(pairs)}
    twins = {pairs[numbers[i] ^ 1].id for i in held.ids()} - set(held.ids())
    assert {(row["document_id"], row["rule"]) for row in drops(train)} == {(i, "unseen_validation") for i in twins}
    assert train.manifest.counts["dropped"] == {"near-duplicate of a validation document": len(twins)}


def test_errors_name_what_was_given_and_what_to_do(make_corpus, tmp_path) -> None:
    corpus = make_corpus(web_and_code(1, 5), tmp_path / "all")
    with pytest.raises(UsageError, match="no component 'cod'; did you mean 'code'"):
        mix(MixConfig(corpora=(corpus,), out=tmp_path / "mix", weights={"cod": 1}))
    with pytest.raises(UsageError, match=r"holds out all 1 documents of web .* set weights.web = 0"):
        mix(MixConfig(corpora=(corpus,), out=tmp_path / "mix"))
    with pytest.raises(UsageError, match="no component to train on"):
        mix(MixConfig(corpora=(corpus,), out=tmp_path / "mix", weights={"web": 0, "code": 0}))
    decisions = curate(CurateConfig(corpora=(corpus,), out=tmp_path / "decisions", languages=("xx",), workers=1))
    with pytest.raises(UsageError, match="leaves none of 6 documents"):
        mix(MixConfig(corpora=(corpus,), decisions=decisions, out=tmp_path / "mix"))
    assert [p.name for p in tmp_path.glob("mix*")] == []


@pytest.mark.parametrize(
    ("setting", "problem"),
    [
        ({"seed": 2**63}, "seed is 9223372036854775808; expected a whole number from"),
        ({"weights": {"web": 1e300}}, "weights: web has 1e[+]300; expected a number of passes from 0 to 1,000,000"),
        ({"weights": {"web": float("nan")}}, "weights: web has nan; expected a number of passes"),
        ({"validation": float("nan")}, "validation is nan; expected a share"),
    ],
)
def test_settings_that_mix_nothing_are_refused(tmp_path: Path, setting: dict[str, object], problem: str) -> None:
    with pytest.raises(UsageError, match=f"^{problem}"):
        MixConfig(corpora=(tmp_path,), out=tmp_path / "mix", **setting)
