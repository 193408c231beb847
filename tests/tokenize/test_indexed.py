"""Tokens as `.bin` and `.idx`: the layout byte for byte, the way there and back, and every kind of damage."""

import struct
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from making import SENTENCE, document, mixed_corpus, small_corpus, text

from libertas.document import document_id
from libertas.errors import DifferentArtifact, UsageError
from libertas.lineage.fingerprint import file_digest
from libertas.tokenize import bpe
from libertas.tokenize.config import ExportTokensConfig, ImportTokensConfig, TokenizeConfig
from libertas.tokenize.exchange import export_tokens, import_tokens
from libertas.tokenize.indexed import read_indexed
from libertas.tokenize.store import TokenStore, tokenize


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> TokenStore:
    folder = tmp_path_factory.mktemp("indexed")
    return tokenize(TokenizeConfig(corpus=small_corpus(folder / "mix"), out=folder / "tokens", vocabulary=300))


@pytest.fixture(scope="module")
def exported(store: TokenStore) -> Path:
    return export_tokens(ExportTokensConfig(tokens=store.path, out=store.path.parent / "neox"))


def documents_in(index: Path) -> list[list[int]]:
    """An independent reader, by the published layout."""
    data, tokens = index.read_bytes(), index.with_suffix(".bin").read_bytes()
    magic, version, code, sequences, bounds = struct.unpack_from("<9sQBQQ", data)
    assert (magic, version) == (b"MMIDIDX\0\0", 1)
    letter, width = {1: ("B", 1), 4: ("i", 4), 8: ("H", 2)}[code]
    sizes = struct.unpack_from(f"<{sequences}i", data, 34)
    pointers = struct.unpack_from(f"<{sequences}q", data, 34 + 4 * sequences)
    firsts = struct.unpack_from(f"<{bounds}q", data, 34 + 12 * sequences)
    assert len(data) == 34 + 12 * sequences + 8 * bounds
    found = [struct.unpack_from(f"<{n}{letter}", tokens, at) for n, at in zip(sizes, pointers, strict=True)]
    assert sum(sizes) * width == len(tokens)
    return [[t for s in found[a:b] for t in s] for a, b in pairwise(firsts)]


def test_two_documents_are_written_as_these_bytes(tmp_path: Path) -> None:
    corpus = mixed_corpus(
        tmp_path / "mix", [document(1, content="ab"), document(2, content="")], [document(3, content="a")]
    )
    bpe.learn([SENTENCE, *(text(n) for n in range(9))], 280).save(str(tmp_path / "tokenizer.json"))
    tokenize(TokenizeConfig(corpus=corpus, out=tmp_path / "tokens", tokenizer=tmp_path / "tokenizer.json"))
    folder = export_tokens(ExportTokensConfig(tokens=tmp_path / "tokens", out=tmp_path / "neox"))
    # ids: end of text 0, then "!" 1 … "a" 65, "b" 66
    assert (folder / "train.bin").read_bytes() == bytes.fromhex("4100 4200 0000 0000")
    assert (folder / "train.idx").read_bytes() == bytes.fromhex(
        "4d4d494449445800 00"  # MMIDIDX
        "0100000000000000 08"  # version 1, uint16
        "0200000000000000 0300000000000000"  # sequences, bounds
        "03000000 01000000"  # tokens of each
        "0000000000000000 0600000000000000"  # where each begins
        "0000000000000000 0100000000000000 0200000000000000"
    )


def test_an_independent_reader_finds_the_documents(store: TokenStore, exported: Path) -> None:
    for part in ("train", "validation"):
        mine = TokenStore.open(store.path, part)
        assert documents_in(exported / f"{part}.idx") == [
            mine.document_tokens(n).tolist() for n in range(len(mine.document_ids))
        ]
    assert bpe.load_tokenizer(exported / "tokenizer.json").to_str() == store.tokenizer().to_str()


@pytest.mark.parametrize("dtype", [None, "uint16", "int32"])
def test_there_and_back_every_byte_is_the_same(store: TokenStore, tmp_path: Path, dtype: str | None) -> None:
    there = export_tokens(ExportTokensConfig(tokens=store.path, out=tmp_path / "there", dtype=dtype))
    back = import_tokens(
        ImportTokensConfig(
            files=(there / "train.idx",),
            validation=(there / "validation.idx",),
            tokenizer=there / "tokenizer.json",
            out=tmp_path / "back",
        )
    )
    for part in ("train", "validation"):
        for name in ("tokens.bin", "offsets.npy"):
            assert (back.path / part / name).read_bytes() == (store.path / part / name).read_bytes()
    again = export_tokens(ExportTokensConfig(tokens=back.path, out=tmp_path / "again", dtype=dtype))
    for name in ("train.bin", "train.idx", "validation.bin", "validation.idx", "tokenizer.json"):
        assert (again / name).read_bytes() == (there / name).read_bytes()
    assert back.manifest.counts["end_of_text"] == 0


def test_a_document_is_named_by_its_file_s_content_and_its_number(exported: Path, tmp_path: Path) -> None:
    files = (exported / "validation.idx", exported / "train.idx")
    found = import_tokens(ImportTokensConfig(files=files, tokenizer=exported / "tokenizer.json", out=tmp_path / "t"))
    first = len(documents_in(files[0]))
    assert found.document_id(first + 5) == document_id("#5", file_digest(exported / "train.bin"))
    assert found.source_of(first + 5) == ("train.idx", 5)
    assert found.source_of(first - 1) == ("validation.idx", first - 1)
    assert [found.component_names[found.components[n]] for n in (0, first)] == ["validation", "train"]
    assert len(TokenStore.open(tmp_path / "t", "validation")) == 0
    assert found.manifest.counts["documents"]["in"] == len(found.document_ids)


def test_tokens_that_were_not_imported_come_from_no_file(store: TokenStore) -> None:
    with pytest.raises(UsageError, match=r"document 3 of .* came from no \.idx file"):
        store.source_of(3)


def written(index: Path, sequences: list[list[int]], bounds: list[int], code: int = 8) -> Path:
    """A pair of files as others write them, by hand."""
    dtype = {1: "<u1", 4: "<i4", 5: "<i8", 8: "<u2"}[code]
    sizes = [len(s) for s in sequences]
    begins = np.concatenate([[0], np.cumsum(sizes)])[:-1] * np.dtype(dtype).itemsize
    index.with_suffix(".bin").write_bytes(b"".join(np.array(s, dtype=dtype).tobytes() for s in sequences))
    index.write_bytes(
        struct.pack("<9sQBQQ", b"MMIDIDX", 1, code, len(sizes), len(bounds))
        + struct.pack(f"<{len(sizes)}i", *sizes)
        + struct.pack(f"<{len(sizes)}q", *begins.astype(int).tolist())
        + struct.pack(f"<{len(bounds)}q", *bounds)
    )
    return index


def imported(index: Path, exported: Path, close: bool = False) -> TokenStore:
    return import_tokens(
        ImportTokensConfig(files=(index,), tokenizer=exported / "tokenizer.json", out=index.parent / "out", close=close)
    )


@pytest.mark.parametrize("code", [1, 4, 5, 8])
def test_a_document_may_have_several_sentences(exported: Path, tmp_path: Path, code: int) -> None:
    index = written(tmp_path / "a.idx", [[5, 6], [7], [0], [8, 9, 0]], [0, 3, 4], code)
    found = imported(index, exported)
    assert [found.document_tokens(n).tolist() for n in range(2)] == [[5, 6, 7, 0], [8, 9, 0]]
    assert found.tokens.dtype == np.uint16


def test_documents_that_are_not_closed_are_refused_or_closed(exported: Path, tmp_path: Path) -> None:
    index = written(tmp_path / "a.idx", [[5, 0], [6, 7], [], [8], [9, 0]], [0, 1, 2, 3, 4, 5])
    with pytest.raises(UsageError, match=r"a\.idx: document 1 does not end with <\|endoftext\|>; close .* --close"):
        imported(index, exported)
    assert not (tmp_path / "out").exists()
    found = imported(index, exported, close=True)
    assert [found.document_tokens(n).tolist() for n in range(5)] == [[5, 0], [6, 7, 0], [0], [8, 0], [9, 0]]


def test_long_files_are_read_in_stretches(exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("libertas.tokenize.exchange.TOKENS_AT_ONCE", 5)
    monkeypatch.setattr("libertas.tokenize.indexed.AT_ONCE", 3)
    documents = [[n % 90 + 1] * (n * 7 % 13) + [0] * (n % 2) for n in range(40)]
    found = imported(written(tmp_path / "a.idx", documents, list(range(41))), exported, close=True)
    assert [found.document_tokens(n).tolist() for n in range(40)] == [
        d if n % 2 else [*d, 0] for n, d in enumerate(documents)
    ]
    folder = export_tokens(ExportTokensConfig(tokens=found.path, out=tmp_path / "neox"))
    assert documents_in(folder / "train.idx") == [found.document_tokens(n).tolist() for n in range(40)]


@pytest.mark.parametrize(
    ("token", "message"), [(300, "has token 300, but the tokenizer has ids 0 to 299"), (-1, "has token -1, but")]
)
def test_tokens_of_another_tokenizer_are_refused(exported: Path, tmp_path: Path, token: int, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        imported(written(tmp_path / "a.idx", [[5, token, 0]], [0, 1], code=4), exported)


def patched(at: int, new: bytes, old: bytes) -> bytes:
    return old[:at] + new + old[at + len(new) :]


@pytest.mark.parametrize(
    ("at", "new", "message"),
    [
        (0, b"TNTIDX", r"a\.idx does not begin with MMIDIDX"),
        (9, b"\x02", r"a\.idx is of version 2; expected 1"),
        (17, b"\x06", r"a\.idx has dtype code 6; expected whole numbers, one of 1, 2, 3, 4, 5, 8"),
        (18, b"\x03", r"a\.idx has 82 bytes, expected 94 by its head"),
        (26, b"\xff" * 8, r"a\.idx has 82 bytes, expected [\d,]+ by its head"),
        (34, b"\x04", r"a\.idx says that sequence 1 begins at byte 6, expected 8 by the sizes before it"),
        (38, b"\xff\xff\xff\xff", r"a\.idx has a sequence of a negative number of tokens"),
        (50, b"\x05", r"a\.idx says that sequence 1 begins at byte 5, expected 6"),
        (38, b"\x03", r"a\.bin has 10 bytes, expected 12 by a\.idx; copy it again"),
        (58, b"\x01", r"document bounds that do not lead from 0 to 2, its sequences"),
        (66, b"\x03", r"document bounds that do not lead from 0 to 2"),
        (74, b"\x01", r"document bounds that do not lead from 0 to 2"),
    ],
)
def test_a_damaged_index_is_refused_with_what_is_wrong(tmp_path: Path, at: int, new: bytes, message: str) -> None:
    index = written(tmp_path / "a.idx", [[5, 6, 0], [7, 0]], [0, 1, 2])
    index.write_bytes(patched(at, new, index.read_bytes()))
    with pytest.raises(UsageError, match=message):
        read_indexed(index)


@pytest.mark.parametrize("length", [0, 5, 33, 34, 60, 81])
def test_an_index_that_was_cut_off_is_refused(tmp_path: Path, length: int) -> None:
    index = written(tmp_path / "a.idx", [[5, 6, 0], [7, 0]], [0, 1, 2])
    index.write_bytes(index.read_bytes()[:length])
    with pytest.raises(UsageError, match=r"does not begin with MMIDIDX|bytes, expected 82 by its head"):
        read_indexed(index)


def test_cut_tokens_and_missing_files_are_refused(tmp_path: Path) -> None:
    index = written(tmp_path / "a.idx", [[5, 6, 0], [7, 0]], [0, 1, 2])
    tokens = tmp_path / "a.bin"
    tokens.write_bytes(tokens.read_bytes()[:-1])
    with pytest.raises(UsageError, match=r"a\.bin has 9 bytes, expected 10 by a\.idx"):
        read_indexed(index)
    tokens.unlink()
    with pytest.raises(UsageError, match=r"a\.bin does not exist; expected an \.idx file and a \.bin file"):
        read_indexed(index)


def test_an_export_that_does_not_fit_its_dtype_is_refused(tmp_path: Path, store: TokenStore) -> None:
    with pytest.raises(UsageError, match=r"dtype is 'float32'; expected uint16 or int32"):
        ExportTokensConfig(tokens=store.path, out=tmp_path / "o", dtype="float32")
    with pytest.raises(UsageError, match=r"files is empty; expected \.idx files"):
        ImportTokensConfig(files=(), tokenizer=tmp_path, out=tmp_path)


def test_an_import_is_found_made_and_of_other_files_refused(exported: Path, tmp_path: Path) -> None:
    index = written(tmp_path / "a.idx", [[5, 0]], [0, 1])
    first = imported(index, exported)
    assert imported(index, exported).manifest == first.manifest
    written(index, [[6, 0]], [0, 1])
    with pytest.raises(DifferentArtifact, match="its input"):
        imported(index, exported)
