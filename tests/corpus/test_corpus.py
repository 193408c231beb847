"""A corpus on disk: what goes in comes out, by order, by number, by id, and through lm_dataformat."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from making import MadeConfig, document, mixed_corpus, small_corpus

from libertas.corpus import SHARD_BYTES, Corpus, CorpusWriter
from libertas.corpus.shard import shard_pieces
from libertas.document import Document
from libertas.errors import BrokenLineage, UsageError
from libertas.lineage.artifact import Draft

texts = st.lists(st.text(st.characters(codec="utf-8"), max_size=80), max_size=20)


def written(folder: Path, documents: list[Document], shard_bytes: int = SHARD_BYTES) -> Corpus:
    draft = Draft(kind="corpus", out=folder, config=MadeConfig(out=folder), inputs={}, code="libertas.corpus")
    with draft.build() as partial, CorpusWriter(partial, "web", shard_bytes) as writer:
        for item in documents:
            writer.add(item)
    return Corpus.open(folder)


@settings(deadline=None, max_examples=25)
@given(contents=texts, shard_bytes=st.integers(1, 2000))
def test_documents_come_back_in_order_by_number_and_by_id(
    tmp_path_factory: pytest.TempPathFactory, contents: list[str], shard_bytes: int
) -> None:
    documents = [document(n, content=c) for n, c in enumerate(contents)]
    corpus = written(tmp_path_factory.mktemp("c") / "corpus", documents, shard_bytes)
    assert list(corpus) == documents
    assert corpus.ids() == [d.id for d in documents]
    assert [corpus.document(n) for n in range(len(corpus))] == documents
    assert [corpus.fetch(d.id) for d in documents] == documents


def test_shards_are_read_in_numeric_order_beyond_ten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("libertas.corpus.shard.FRAME_BYTES", 1)
    documents = [document(n) for n in range(23)]
    corpus = written(tmp_path / "corpus", documents, shard_bytes=1)
    assert len(corpus.shards) == 23
    assert list(corpus) == documents


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.8, 0.99])
def test_a_shard_that_was_cut_is_noticed_instead_of_read_as_a_smaller_corpus(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: float
) -> None:
    monkeypatch.setattr("libertas.corpus.shard.FRAME_BYTES", 5000)
    corpus = written(tmp_path / "corpus", [document(n) for n in range(200)])
    shard = corpus.shards[0]
    end_of_documents = shard_pieces(shard)[-1].end
    shard.write_bytes(shard.read_bytes()[: int(kept * end_of_documents)])
    with pytest.raises(BrokenLineage, match="run `libertas verify"):
        list(corpus)


def test_an_unknown_id_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has no document abc"):
        written(tmp_path / "corpus", [document(1)]).fetch("abc")


def test_an_unknown_part_names_the_parts_there_are(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"has no part 'test'; it has train, validation"):
        Corpus.open(small_corpus(tmp_path / "mix"), "test")


@pytest.mark.parametrize("frame_bytes", [1, 5000, 1 << 18])
def test_the_original_lm_dataformat_reads_our_shards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, frame_bytes: int
) -> None:
    lm_dataformat = pytest.importorskip("lm_dataformat")
    monkeypatch.setattr("libertas.corpus.shard.FRAME_BYTES", frame_bytes)
    documents = [document(n, content=f'{n} / \\ " ü 😀\n' * (n % 40 + 1)) for n in range(500)]
    mixed_corpus(tmp_path / "mix", documents, [])
    read = lm_dataformat.Reader(str(tmp_path / "mix" / "train")).stream_data(get_meta=True)
    assert [(text, meta["id"]) for text, meta in read] == [(d.text, d.id) for d in documents]
