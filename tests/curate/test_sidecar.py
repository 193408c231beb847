"""Side-cars come out the same whoever makes them, and an interruption costs one shard."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from making import document

from libertas.corpus import Corpus, Piece
from libertas.curate.sidecar import (
    AGAINST,
    AGAINST_SCHEMA,
    read_sidecar,
    require_distinct,
    rows_of,
    said_of,
    sidecar_path,
    write_sidecars,
)
from libertas.errors import BrokenLineage, UsageError


def judge_odd(piece: Piece) -> dict[str, pa.Table]:
    rows = [
        {"number": piece.first + i, "document_id": d.id, "rule": "odd", "reason": "is odd", "value": float(i % 2)}
        for i, d in enumerate(piece.read())
        if (piece.first + i) % 2
    ]
    return {AGAINST: rows_of(AGAINST_SCHEMA, rows)}


def written(folder: Path, corpora: list[Corpus], **how: object) -> dict[str, bytes]:
    write_sidecars(corpora, folder, judge_odd, {AGAINST: AGAINST_SCHEMA}, title="Judging", **how)
    return {p.name: p.read_bytes() for p in (folder / AGAINST).iterdir()}


@pytest.fixture
def corpora(tmp_path: Path, make_corpus, monkeypatch) -> list[Corpus]:
    monkeypatch.setattr("libertas.corpus.shard.FRAME_BYTES", 2000)
    monkeypatch.setattr("libertas.corpus.store.PIECE_BYTES", 5000)
    first = make_corpus([document(n) for n in range(90)], tmp_path / "first")
    second = make_corpus([document(n) for n in range(90, 95)], tmp_path / "second")
    return [Corpus.open(first), Corpus.open(second)]


def test_pieces_hold_every_document_once_and_in_order(corpora: list[Corpus]) -> None:
    for corpus in corpora:
        pieces = corpus.pieces(0)
        assert [d for p in pieces for d in p.read()] == list(corpus)
        assert [p.first for p in pieces] == [sum(q.documents for q in pieces[:i]) for i in range(len(pieces))]
    assert len(corpora[0].pieces(0)) > 5


def test_a_damaged_piece_is_an_error(corpora: list[Corpus]) -> None:
    piece = corpora[0].pieces(0)[1]
    data = bytearray(piece.path.read_bytes())
    data[(piece.start + piece.end) // 2] ^= 1
    piece.path.write_bytes(data)
    with pytest.raises(BrokenLineage, match="libertas verify"):
        piece.read()


def test_workers_and_engines_write_the_same_bytes(tmp_path: Path, corpora: list[Corpus]) -> None:
    one = written(tmp_path / "one", corpora)
    assert written(tmp_path / "two", corpora, workers=2) == one
    assert sorted(one) == ["0-00000.parquet", "1-00000.parquet"]
    numbers = pq.read_table(tmp_path / "one" / AGAINST / "0-00000.parquet")["number"].to_pylist()
    assert numbers == list(range(1, 90, 2))


def test_what_is_there_is_not_made_again(tmp_path: Path, corpora: list[Corpus]) -> None:
    before = written(tmp_path / "cars", corpora)
    kept = sidecar_path(tmp_path / "cars", AGAINST, 0, 0)
    kept.write_bytes(b"left as it is")
    sidecar_path(tmp_path / "cars", AGAINST, 1, 0).unlink()
    after = written(tmp_path / "cars", corpora)
    assert after == {"0-00000.parquet": b"left as it is", "1-00000.parquet": before["1-00000.parquet"]}


def test_one_document_is_found_in_whatever_shard(tmp_path: Path, corpora: list[Corpus]) -> None:
    written(tmp_path / "cars", corpora)
    wanted = corpora[1].document(3)
    assert [row["number"] for row in said_of(tmp_path / "cars", AGAINST, wanted.id)] == [3]
    assert said_of(tmp_path / "cars", AGAINST, corpora[1].document(2).id) == []
    assert read_sidecar(tmp_path / "cars", "cuts", 0, 0) is None


def test_corpora_that_share_a_document_are_refused(tmp_path: Path, corpora: list[Corpus], make_corpus) -> None:
    require_distinct(corpora)
    third = Corpus.open(make_corpus([document(200), document(93)], tmp_path / "third"))
    with pytest.raises(UsageError, match=rf"{document(93).id} is in .*second and in .*third"):
        require_distinct([*corpora, third])


def test_ids_come_in_order_whatever_the_number_of_ranges(corpora: list[Corpus]) -> None:
    everything = sorted(corpora[0].ids())
    for ranges in (1, 2, 7):
        assert [i.decode() for part in corpora[0].ids_in_order(ranges) for i in part] == everything
