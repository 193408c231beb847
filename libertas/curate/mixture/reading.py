"""What mixing must know of each document, without its text: a row of a side-car, written shard by shard.

For a document that nothing speaks against so far: its size after cuts, and where it may have to be compared, the
signature and the key of what is left of it. For others, the first reason against it: tombstones come first, then the
side-cars in the order in which they were given, then cuts that leave nothing.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from tokenizers import Tokenizer

from libertas.corpus import Piece
from libertas.curate import minhash
from libertas.curate.exact import KEY_BYTES, text_key
from libertas.curate.mixture.cuts import Cut, united, without
from libertas.curate.sidecar import AGAINST, CUTS, ROW, rows_of, sidecar_path
from libertas.document import Document, Drop
from libertas.errors import BrokenLineage, UsageError

READ = "read"
READ_SCHEMA = pa.schema(
    [
        *ROW,
        pa.field("component", pa.string()),
        pa.field("language", pa.string()),
        pa.field("bytes", pa.int64()),
        pa.field("tokens", pa.int64()),
        pa.field("cuts", pa.binary()),
        pa.field("rule", pa.string()),
        pa.field("reason", pa.string()),
        pa.field("value", pa.float64()),
        pa.field("listed", pa.list_(pa.int64())),
    ]
)
"""`bytes` of UTF-8 after cuts; `tokens` with end-of-text, where a tokenizer counts them; `cuts` as JSON; `reason` is
null where nothing speaks against the document; `listed` are the lines of the list of tombstones that name it."""

SIGNATURES = "signatures"
SIGNATURES_SCHEMA = pa.schema(
    [
        pa.field("number", pa.int64()),
        pa.field("signature", pa.binary(4 * minhash.BINS)),
        pa.field("key", pa.binary(KEY_BYTES)),
    ]
)
"""MinHash signatures and keys of the texts that nothing speaks against, after cuts; what has no word has only a key."""

SHORTEST_REST = 20
"""Characters, white space at the ends left out, that cuts must leave of a text; less is no document."""
UNNAMED = "documents"
"""Component of documents that name none."""
NO_LANGUAGE = "und"
"""Language of documents that name none: undetermined (ISO 639-2)."""


@dataclass(frozen=True, slots=True)
class Sidecar:
    """An artifact that says something of the corpora."""

    path: Path
    places: tuple[int, ...]
    """For each of the corpora that are mixed, its number in the artifact."""
    tables: frozenset[str]

    def about(self, table: str, corpus: int, shard: int) -> Path | None:
        """Its table about a shard of a corpus that is mixed; None where it has no such table.

        Raises:
            UsageError: it has the table, but not for this shard.
        """
        if table not in self.tables:
            return None
        path = sidecar_path(self.path, table, self.places[corpus], shard)
        if not path.exists():
            raise UsageError(f"{path} is missing; expected a table for each shard; make {self.path} again")
        return path


@dataclass(frozen=True, kw_only=True)
class Source:
    """What is read, and how: all that a process anywhere needs to know."""

    corpora: tuple[Path, ...]
    sidecars: tuple[Sidecar, ...]
    tombstones: Path | None
    tokenizer: Path | None
    signing: bool
    """Whether documents may have to be compared."""

    def place_of(self, piece: Piece) -> tuple[int, int]:
        """Number of a piece's corpus, and of its shard in it."""
        return self.corpora.index(piece.path.parent), int(piece.path.name.split("_")[1])


def read_piece(piece: Piece, source: Source) -> dict[str, pa.Table]:
    """The rows of some documents, and the signatures of those that nothing speaks against."""
    against, cuts = _against(piece, source), _cuts(piece, source)
    buried = tombstones_in(source.tombstones)
    rows: list[dict[str, Any]] = []
    texts: list[str] = []
    for number, document in enumerate(piece.read(), piece.first):
        url = document.meta.get("url")
        names = [document.id] if url is None else [document.id, str(url)]
        listed = [buried[name] for name in names if name in buried]
        drop = Drop("tombstone", "on the list of documents to leave out", 1.0) if listed else against.get(number)
        row = {"number": number, "document_id": document.id, "component": component_name(document), "listed": listed}
        row["language"] = str(document.meta.get("language") or NO_LANGUAGE)
        text = document.text
        if drop is None and number in cuts:
            text = without(text, _checked(cuts[number], document, piece))
            row["cuts"] = orjson.dumps([cut.to_json() for cut in cuts[number]])
            if (left := len(text.strip())) < SHORTEST_REST:
                drop = Drop("cuts", "nothing left after cuts", float(left))
        row["bytes"] = len(text.encode())
        if drop is None:
            texts.append(text)
        else:
            row |= {"rule": drop.rule, "reason": drop.reason, "value": drop.value, "cuts": None}
        rows.append(row)
    staying = [row for row in rows if "reason" not in row]
    if source.tokenizer:
        tokenizer = _tokenizer(source.tokenizer, source.tokenizer.stat().st_mtime_ns)
        encodings = tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        for row, encoding in zip(staying, encodings, strict=True):
            row["tokens"] = len(encoding.ids) + 1
    tables = {READ: rows_of(READ_SCHEMA, rows)}
    return tables | {SIGNATURES: _signatures([row["number"] for row in staying], texts)} if source.signing else tables


def component_name(document: Document) -> str:
    """The part of the mixture that a document belongs to."""
    name = document.meta.get("component")
    return UNNAMED if name is None else str(name)


def _signatures(numbers: Sequence[int], texts: Sequence[str]) -> pa.Table:
    values = (minhash.signatures(texts).astype("<u4").tobytes(), b"".join(map(text_key, texts)))
    columns = [
        pa.Array.from_buffers(SIGNATURES_SCHEMA.field(name).type, len(texts), [None, pa.py_buffer(data)])
        for name, data in zip(("signature", "key"), values, strict=True)
    ]
    return pa.Table.from_arrays([pa.array(numbers, pa.int64()), *columns], schema=SIGNATURES_SCHEMA)


def _said(piece: Piece, source: Source, table: str) -> Iterator[dict[str, Any]]:
    """Rows about the documents of a piece, in the order of the side-cars, then as they stand in each."""
    wanted = [("number", ">=", piece.first), ("number", "<", piece.first + piece.documents)]
    for sidecar in source.sidecars:
        path = sidecar.about(table, *source.place_of(piece))
        if path is not None:
            yield from pq.read_table(path, filters=wanted, partitioning=None).to_pylist()


def _against(piece: Piece, source: Source) -> dict[int, Drop]:
    first: dict[int, Drop] = {}
    for row in _said(piece, source, AGAINST):
        first.setdefault(row["number"], Drop(row["rule"], row["reason"], row["value"]))
    return first


def _cuts(piece: Piece, source: Source) -> dict[int, list[Cut]]:
    found: dict[int, list[Cut]] = {}
    for row in _said(piece, source, CUTS):
        if row["start"] < row["end"]:
            cut = Cut(row["start"], row["end"], row["rule"], row["replacement"] or "")
            found.setdefault(row["number"], []).append(cut)
    return {number: united(cuts) for number, cuts in found.items()}


def _checked(cuts: list[Cut], document: Document, piece: Piece) -> list[Cut]:
    if cuts[0].start < 0 or cuts[-1].end > len(document.text):
        raise BrokenLineage(
            f"a cut of document {document.id} in {piece.path.parent} ends at character {cuts[-1].end}, and its text at "
            f"{len(document.text)}; run `libertas verify` on the decisions"
        )
    return cuts


def tombstones_in(path: Path | None) -> dict[str, int]:
    """What a list of tombstones names, and on which line, counted from 0; blank lines and `# …` name nothing.

    Raises:
        UsageError: it is not text.
    """
    return _lines(path, path.stat().st_mtime_ns) if path else {}


@lru_cache(maxsize=1)
def _lines(path: Path, _changed: int) -> dict[str, int]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise UsageError(f"tombstones {path} is not UTF-8; expected ids and URLs, one a line; save it so") from error
    return {name: n for n, line in enumerate(lines) if (name := line.strip()) and not name.startswith("#")}


@lru_cache(maxsize=1)
def _tokenizer(path: Path, _changed: int) -> Tokenizer:
    try:
        tokenizer = Tokenizer.from_str(path.read_text(encoding="utf-8"))
    except Exception as error:  # the library raises bare Exception for malformed JSON
        raise UsageError(f"{path} is not a tokenizer.json: {error}") from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    tokenizer.encode_special_tokens = True
    return tokenizer
