"""All documents that are mixed, as an array of 48 bytes each in a file; neither texts nor ids are in memory."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from libertas.corpus import Corpus, save_array
from libertas.curate.exact import KEY_BYTES
from libertas.curate.mixture.reading import READ, SIGNATURES
from libertas.curate.sidecar import sidecar_path
from libertas.permutation import mixed64

DOCUMENT = np.dtype(
    [
        ("bytes", "<u4"),
        ("tokens", "<u4"),
        ("name", "<u8"),
        ("cluster", "<i8"),
        ("value", "<f8"),
        ("component", "<u4"),
        ("language", "<u4"),
        ("drop", "<u4"),
        ("part", "<u4"),
    ]
)
"""`bytes` of text as it will be written; `name` is a hash of the id; `cluster` of duplicates, -1 for none; `drop`
is 0 or one more than the number of the reason against it, and `value` what that rule saw; `part` counts in `PARTS`."""

Name = TypeVar("Name", str, tuple[str, str])

PARTS = ("train", "validation", "test")
"""Parts of a mixture."""

Rows = NDArray[np.int64]
"""Numbers of documents, counted over all corpora in their order."""

Signed = tuple[Rows, NDArray[np.uint32], NDArray[np.bytes_]]
"""Some documents, their signatures, shape (documents, bins), and the keys of their texts."""


@dataclass
class Documents:
    """The documents of all corpora, in their order."""

    table: NDArray[np.void]
    """Shape (documents,) of `DOCUMENT`."""
    starts: Rows
    """Number of each corpus's first document, and of all documents at the end."""
    components: list[str] = field(default_factory=list)
    languages: list[str] = field(default_factory=list)
    reasons: list[tuple[str, str]] = field(default_factory=list)
    """Rule and reason of each code in `drop`, from 1."""
    codes: dict[str, dict[Any, int]] = field(default_factory=lambda: {"component": {}, "language": {}, "reason": {}})
    """Places in these three lists."""
    buried: set[int] = field(default_factory=set)
    """Lines of the list of tombstones that name a document."""

    def staying(self, part: str | None = None) -> Rows:
        """Documents that nothing speaks against, of one part or of all."""
        stays = self.table["drop"] == 0
        return np.flatnonzero(stays if part is None else stays & (self.table["part"] == PARTS.index(part)))

    def drop(self, rows: Rows, rule: str, reason: str, value: float | NDArray[np.float64]) -> None:
        """Speak against some documents that nothing spoke against."""
        self.table["drop"][rows] = self.code_of(rule, reason)
        self.table["value"][rows] = value

    def dropped_by_rule(self) -> dict[str, int]:
        """Documents that are spoken against, by rule."""
        return self._dropped(0)

    def dropped_by_reason(self) -> dict[str, int]:
        """Documents that are spoken against, by reason."""
        return self._dropped(1)

    def _dropped(self, which: int) -> dict[str, int]:
        counted = np.bincount(self.table["drop"], minlength=len(self.reasons) + 1)[1:].tolist()
        found: Counter[str] = Counter()
        for said, n in zip(self.reasons, counted, strict=True):
            found[said[which]] += n
        return {name: n for name, n in sorted(found.items()) if n}

    def code_of(self, rule: str, reason: str) -> int:
        """The value of `drop` for a reason."""
        return _numbered([(rule, reason)], self.reasons, self.codes["reason"])[0] + 1

    def fill(self, rows: Rows, read: pa.Table) -> None:
        """Take over what was read of some consecutive documents."""
        here = self.table[rows[0] : rows[-1] + 1]
        here["bytes"] = read["bytes"].to_numpy()
        here["tokens"] = pc.fill_null(read["tokens"], 0).to_numpy()
        here["value"] = pc.fill_null(read["value"], np.nan).to_numpy()
        here["name"] = _hashed(np.array(read["document_id"].to_pylist(), dtype="S32"))
        here["cluster"] = -1
        here["component"] = _coded(read["component"], self.components, self.codes["component"])
        here["language"] = _coded(read["language"], self.languages, self.codes["language"])
        gone = np.flatnonzero(read["reason"].is_valid().to_numpy())
        if len(gone):
            said: list[str] = []
            codes = _coded(pc.binary_join_element_wise(read["rule"], read["reason"], "\n").take(gone), said, {})
            here["drop"][gone] = np.array([self.code_of(*pair.split("\n", 1)) for pair in said])[codes]
        self.buried.update(pc.unique(pc.list_flatten(read["listed"])).to_pylist())


def load_documents(corpora: Sequence[Corpus], folder: Path) -> Documents:
    """The documents of some corpora, from what was read of them in `folder`, where the array goes as well."""
    starts = np.cumsum([0, *map(len, corpora)])
    shape = (max(int(starts[-1]), 1),)
    table = np.memmap(folder / "documents.bin", dtype=DOCUMENT, mode="w+", shape=shape)[: starts[-1]]
    documents = Documents(table, starts)
    cut_rows: list[Rows] = []
    offsets = [np.zeros(1, dtype=np.int64)]
    with (folder / "cuts.bin").open("wb") as file:
        for rows, read in read_tables(corpora, folder, READ):
            documents.fill(rows, read)
            cut_rows.append(rows[read["cuts"].is_valid().to_numpy()])
            parts: list[bytes] = read["cuts"].drop_null().to_pylist()
            offsets.append(np.cumsum([len(p) for p in parts], dtype=np.int64) + file.tell())
            file.write(b"".join(parts))
    save_array(folder / "cut_rows.npy", np.concatenate([np.empty(0, dtype=np.int64), *cut_rows]))
    save_array(folder / "cut_offsets.npy", np.concatenate(offsets))
    return documents


def read_tables(corpora: Sequence[Corpus], folder: Path, table: str) -> Iterator[tuple[Rows, pa.Table]]:
    """What a table says, piece by piece in corpus order: the documents it speaks of, and its rows."""
    start = 0
    for number, corpus in enumerate(corpora):
        for shard in range(len(corpus.shards)):
            with pq.ParquetFile(sidecar_path(folder, table, number, shard)) as file:
                for group in range(file.num_row_groups):
                    read = file.read_row_group(group)
                    if len(read):
                        yield read["number"].to_numpy() + start, read
        start += len(corpus)


def read_signatures(corpora: Sequence[Corpus], folder: Path) -> Iterator[Signed]:
    """Signatures and keys of the documents that nothing spoke against when they were read."""
    for rows, read in read_tables(corpora, folder, SIGNATURES):
        width = read.schema.field("signature").type.byte_width // 4
        yield rows, _binary(read["signature"], "<u4").reshape(-1, width), _binary(read["key"], f"S{KEY_BYTES}")


def _binary(column: pa.ChunkedArray, dtype: str) -> NDArray[Any]:
    """The bytes of a column of values of one size."""
    values = column.combine_chunks()
    if isinstance(values, pa.ChunkedArray):
        values = pa.concat_arrays(values.chunks)
    width = values.type.byte_width
    count = len(values) * width // np.dtype(dtype).itemsize
    return np.frombuffer(values.buffers()[1], dtype=dtype, offset=values.offset * width, count=count)


class StoredCuts:
    """The united cuts of every document that has some; mapped, not read."""

    def __init__(self, folder: Path) -> None:
        """Open what `load_documents` left in `folder`."""
        self._rows: Rows = np.load(folder / "cut_rows.npy", mmap_mode="r")
        self._offsets: Rows = np.load(folder / "cut_offsets.npy", mmap_mode="r")
        self._path = folder / "cuts.bin"

    def of(self, row: int) -> list[list[Any]]:
        """The cuts of one document, as they stand in `meta.cuts`."""
        place = int(np.searchsorted(self._rows, row))
        if place == len(self._rows) or self._rows[place] != row:
            return []
        start, end = self._offsets[place], self._offsets[place + 1]
        with self._path.open("rb") as file:
            file.seek(int(start))
            cuts: list[list[Any]] = orjson.loads(file.read(int(end - start)))
        return cuts


def _hashed(ids: NDArray[np.bytes_]) -> NDArray[np.uint64]:
    words = np.ascontiguousarray(ids).view("<u8").reshape(len(ids), -1)
    result = np.zeros(len(ids), dtype=np.uint64)
    for word in words.T:
        result = mixed64(result ^ word)
    return result


def _numbered(found: Sequence[Name], names: list[Name], codes: dict[Name, int]) -> list[int]:
    """Places of some in `names`, which grows by those that are new, and `codes` with it."""
    for name in found:
        if name not in codes:
            codes[name] = len(names)
            names.append(name)
    return [codes[name] for name in found]


def _coded(column: pa.ChunkedArray, names: list[str], codes: dict[str, int]) -> NDArray[np.int64]:
    """Numbers of some names, in the order in which they are first met, which `names` and `codes` collect."""
    encoded = column.combine_chunks().dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    here = np.array(_numbered(encoded.dictionary.to_pylist(), names, codes), dtype=np.int64)
    result: NDArray[np.int64] = here[encoded.indices.to_numpy()]
    return result
