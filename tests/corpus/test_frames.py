"""Shards as files: sought by their own tables, read by others, and saved when they are cut off or damaged."""

import io
import struct
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import zstandard
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from making import document

from libertas.corpus import frames
from libertas.corpus.frames import Gap, read_seek_table, zstd_blocks
from libertas.corpus.lmd import LmdDrop, LmdText, read_lmd
from libertas.corpus.shard import Piece, ShardWriter, document_of_shard, read_shard, shard_pieces
from libertas.document import Document
from libertas.errors import BrokenLineage, UsageError

DOCUMENTS = [document(n) for n in range(400)]


@pytest.fixture
def small_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("libertas.corpus.shard.FRAME_BYTES", 4000)
    monkeypatch.setattr("libertas.corpus.shard.PIECE_BYTES", 20_000)


def shard_of(documents: list[Document], path: Path) -> Path:
    writer = ShardWriter(path, 0)
    for item in documents:
        writer.add(item)
    writer.close()
    return path


@pytest.fixture
def shard(tmp_path: Path, small_frames: None) -> Path:
    return shard_of(DOCUMENTS, tmp_path / "data_0_time0_web.jsonl.zst")


def test_the_seek_table_is_the_one_of_the_standard(shard: Path) -> None:
    data = shard.read_bytes()
    count, descriptor, magic = struct.unpack("<IBI", data[-9:])
    assert (descriptor, magic) == (0x80, 0x8F92EAB1)
    begin = len(data) - 9 - 12 * count - 8
    assert struct.unpack("<II", data[begin : begin + 8]) == (0x184D2A5E, 12 * count + 9)
    place = 0
    for compressed, size, checksum in struct.iter_unpack("<III", data[begin + 8 : -9]):
        frame = data[place : place + compressed]
        place += compressed
        if size:
            assert len(zstandard.ZstdDecompressor().decompress(frame)) == size
            assert frame[-4:] == checksum.to_bytes(4, "little")  # both are the lower half of XXH64
        else:
            assert frame[:4] == (0x184D2A5D).to_bytes(4, "little")
    assert place == begin


def test_every_document_is_found_by_number_without_an_index(shard: Path) -> None:
    assert [document_of_shard(shard, n) for n in (0, 1, 57, 200, 399)] == [DOCUMENTS[n] for n in (0, 1, 57, 200, 399)]
    for number in (-1, 400):
        with pytest.raises(UsageError, match=r"expected a number from 0 to 399"):
            document_of_shard(shard, number)


def test_pieces_by_the_tables_hold_every_document_once_and_in_order(shard: Path) -> None:
    pieces = shard_pieces(shard)
    assert pieces is not None
    assert len(pieces) > 5
    assert [d for piece in pieces for d in piece] == DOCUMENTS == list(read_shard(shard))
    assert [piece.first for piece in pieces] == [sum(p.documents for p in pieces[:n]) for n in range(len(pieces))]


def test_the_bytes_do_not_depend_on_the_number_of_threads(shard: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with ThreadPoolExecutor(1) as one:
        monkeypatch.setattr(frames, "zstd_threads", lambda: one)
        monkeypatch.setattr(frames, "AHEAD", 1)
        assert shard_of(DOCUMENTS, shard.with_name("again")).read_bytes() == shard.read_bytes()


def test_a_shard_without_documents_is_whole(tmp_path: Path) -> None:
    empty = shard_of([], tmp_path / "empty.jsonl.zst")
    assert shard_pieces(empty) == []
    assert list(read_shard(empty)) == list(read_lmd(empty)) == []


def texts_and_drops(path: Path) -> tuple[list[str], list[LmdDrop]]:
    items = list(read_lmd(path))
    return [i.text for i in items if isinstance(i, LmdText)], [i for i in items if isinstance(i, LmdDrop)]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kept=st.floats(0, 1, allow_subnormal=False))
def test_a_shard_cut_anywhere_gives_every_whole_line_and_says_that_it_was_cut(shard: Path, kept: float) -> None:
    data = shard.read_bytes()
    table = read_seek_table(shard)
    assert table is not None
    assert table.documents is not None
    size = int(kept * int(table.starts[-1]))
    whole = int(table.documents[table.starts[1:] <= size].sum())
    torn = shard.with_name("torn.jsonl.zst")
    torn.write_bytes(data[:size])
    texts, drops = texts_and_drops(torn)
    assert texts == [d.text for d in DOCUMENTS[: len(texts)]]
    assert len(texts) >= whole
    assert [d.drop.reason for d in drops] == ([] if size in table.starts else ["compressed data is cut off"])


def test_a_frame_that_is_cut_late_still_gives_lines(tmp_path: Path) -> None:
    shard = shard_of([document(n, content=f"{n} {n * n} " * 3000) for n in range(400)], tmp_path / "a.jsonl.zst")
    (tmp_path / "torn.jsonl.zst").write_bytes(shard.read_bytes()[: (read_seek_table(shard).starts[1]) * 9 // 10])  # type: ignore[union-attr]
    texts, drops = texts_and_drops(tmp_path / "torn.jsonl.zst")
    assert len(texts) >= 5
    assert len(drops) == 1


def expands_to_the_same(damaged: bytearray, whole: bytes, bounds) -> bool:
    start, end = bounds
    try:
        found = zstandard.ZstdDecompressor().decompress(bytes(damaged[start:end]))
    except (zstandard.ZstdError, MemoryError):
        return False
    return found == zstandard.ZstdDecompressor().decompress(whole[start:end])


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.floats(0, 1, exclude_max=True, allow_subnormal=False), bit=st.integers(0, 7))
@example(place=0.00010389937491308121, bit=7)  # the frame claims to hold more than there is memory
def test_a_flipped_bit_costs_its_frame_whose_documents_are_counted(shard: Path, place: float, bit: int) -> None:
    table = read_seek_table(shard)
    assert table is not None
    assert table.documents is not None
    data = bytearray(shard.read_bytes())
    at = int(place * int(table.starts[-1]))
    data[at] ^= 1 << bit
    damaged = shard.with_name("damaged.jsonl.zst")
    damaged.write_bytes(data)
    frame = int((table.starts <= at).sum()) - 1
    first = int(table.documents[:frame].sum())
    lost = int(table.documents[frame])
    texts, drops = texts_and_drops(damaged)
    if expands_to_the_same(data, shard.read_bytes(), table.starts[frame : frame + 2]):
        assert (len(texts), drops) == (400, [])  # some bits of a frame mean nothing
        return
    assert texts == [d.text for n, d in enumerate(DOCUMENTS) if not first <= n < first + lost]
    assert [d.number for d in drops] == list(range(first + 1, first + lost + 1))
    with pytest.raises(BrokenLineage, match=r"damaged\.jsonl\.zst is damaged between bytes"):
        list(read_shard(damaged))


def test_frames_of_other_makers_may_end_within_a_line(tmp_path: Path) -> None:
    whole = b"".join(b'{"text": "number %d"}\n' % n for n in range(300))
    cuts = [whole[n : n + 777] for n in range(0, len(whole), 777)]
    path = tmp_path / "a.jsonl.zst"
    path.write_bytes(b"".join(zstandard.compress(cut) for cut in cuts))
    assert texts_and_drops(path) == ([f"number {n}" for n in range(300)], [])
    assert shard_pieces(path) is None


def test_a_table_that_speaks_of_another_file_is_not_believed(shard: Path) -> None:
    shard.write_bytes(zstandard.compress(b"x") + shard.read_bytes())
    assert read_seek_table(shard) is None
    with pytest.raises(UsageError, match="no seek table"):
        document_of_shard(shard, 0)


@given(st.binary(max_size=300))
def test_any_bytes_are_blocks_or_gaps(data: bytes) -> None:
    for head in (b"", frames.MAGIC):
        assert all(isinstance(item, bytes | Gap) for item in zstd_blocks(io.BytesIO(head + data)))


def test_a_piece_of_a_cut_shard_is_an_error_however_it_is_read(shard: Path) -> None:
    pieces = shard_pieces(shard)
    assert pieces is not None
    shard.write_bytes(shard.read_bytes()[: pieces[2].start + 10])
    for read in (lambda: list(pieces[2]), lambda: list(Piece.read_all(pieces)), lambda: pieces[3].frames()):
        with pytest.raises(BrokenLineage, match="run `libertas verify`"):
            read()
