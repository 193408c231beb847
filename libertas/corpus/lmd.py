"""Every form that files of lm_dataformat have had, read in bounded memory, with a reason for whatever cannot be read.

| name | content |
|---|---|
| `*.jsonl`, `*.jsonl.zst`, `*.jsonl.gz`, `current_chunk_incomplete` | an object or a string in each line |
| `*.json.zst`, `*.json.gz` | an array of objects or strings, or lines of them |
| `*.dat.zst` | texts, each after its length in 16 digits |
| `*.jsonl.zst.tar`, `*.tar.gz`, `*.tar.xz`, `urlsf_subset*_data.xz`, `*.zip` | a text in each member, or by its name |
| `*.txt` | one text |
| other `*.gz` | a text in each line |

The compression of a file is told by its first bytes, so that any of these may be packed as gzip, bzip2, xz or zstd.
"""

import io
import re
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from libertas.corpus.frames import DAMAGED, Gap
from libertas.corpus.lines import (
    BROKEN_STREAM,
    BYTE_ORDER_MARK,
    LONGEST,
    MALFORMED,
    READ_BYTES,
    RULE,
    TOO_LONG,
    Block,
    array_values,
    counted_texts,
    decompressed_blocks,
    json_value,
    lines_of,
    mend,
)
from libertas.document import Drop
from libertas.errors import UsageError

INCOMPLETE = "current_chunk_incomplete"
"""What lm_dataformat writes to until a file is committed; a run that was killed leaves text in it."""
CODINGS = re.compile(r"\.(zst|gz|bz2|xz)$")
SUBSET = re.compile(r"urlsf_subset.*_data$")
KINDS = {".jsonl": "lines", ".ndjson": "lines", ".json": "json", ".dat": "dat", ".txt": "text", ".tar": "tar"}
PARAGRAPHS = "\n\n"
"""Joins the parts of a `text` that is a list, as lm_dataformat joins them."""
BROKEN_TAR = (tarfile.TarError, ValueError, IndexError, OverflowError)
"""What `tarfile` raises of headers that make no sense."""
DEEPEST = 2
"""Containers within containers: openwebtext is archives in an archive."""


@dataclass(frozen=True, slots=True)
class LmdText:
    """A text of a file, and what is said of it there."""

    number: int
    """Of its line, or its place, from 1."""
    member: str
    """Name within a container, or empty."""
    text: str
    meta: dict[str, Any]
    mended: bool
    """Whether something that no text can hold was replaced by U+FFFD."""


@dataclass(frozen=True, slots=True)
class LmdDrop:
    """A place of a file that gave no text."""

    number: int
    member: str
    drop: Drop


LmdItem = LmdText | LmdDrop


def lmd_kind(name: str) -> str | None:
    """How the content of a file is arranged, by its name; None for a file of another making."""
    name = name.rpartition("/")[2]
    inner = CODINGS.sub("", name)
    if name == INCOMPLETE:
        return "lines"
    if name.endswith(".zip"):
        return "zip"
    if name.endswith(".tgz") or SUBSET.fullmatch(inner):
        return "tar"
    kind = next((kind for ending, kind in KINDS.items() if inner.endswith(ending)), None)
    if name.endswith(".gz") and kind in (None, "text"):
        return "plain lines"
    return kind


def lmd_files(path: Path) -> tuple[list[Path], list[str]]:
    """The files to read at a path, in numeric order, and the names of those in its folder that are of another making.

    Raises:
        UsageError: there is none.
    """
    if not path.exists():
        raise UsageError(f"{path} does not exist; expected a file of lm_dataformat, or a folder of them")
    if not path.is_dir():
        if not path.is_file() or lmd_kind(path.name) is None:
            raise UsageError(f"{path} is no file of lm_dataformat by its name; expected one such as data_0.jsonl.zst")
        return [path], []
    inside = sorted((p for p in path.iterdir() if p.is_file()), key=_numeric)
    files = [p for p in inside if lmd_kind(p.name) and not (p.name == INCOMPLETE and p.stat().st_size == 0)]
    if not files:
        raise UsageError(f"{path} holds no file of lm_dataformat; expected files such as data_0_time0_web.jsonl.zst")
    return files, [p.name for p in inside if not lmd_kind(p.name)]


def _numeric(path: Path) -> tuple[bool, list[str | int]]:
    """Sorts `data_10` behind `data_9`, and what was not committed behind all that was."""
    parts = re.split(r"([0-9]+)", path.name)
    return path.name == INCOMPLETE, [int(part) if place % 2 else part for place, part in enumerate(parts)]


def read_lmd(path: Path, text_key: str = "text") -> Iterator[LmdItem]:
    """All texts of a file in order, and what stands at places where none could be read.

    Args:
        path: a file of one of the kinds above.
        text_key: field of an object that is its text.
    """
    with cast(io.BufferedReader, io.BufferedReader(io.FileIO(path), READ_BYTES)) as file:
        yield from _Reader(text_key).items(file, path.name, "", 0)


@dataclass(frozen=True)
class _Reader:
    text_key: str

    def items(self, file: io.BufferedReader, name: str, member: str, depth: int) -> Iterator[LmdItem]:
        kind = lmd_kind(name) or "text"
        if depth and kind not in ("lines", "tar", "zip"):
            kind = "text"  # whatever the name of a member, it is a text
        if kind in ("tar", "zip"):
            if depth == DEEPEST:
                yield LmdDrop(1, member, Drop(RULE, "a container too deep in others"))
            else:
                yield from (self._tar if kind == "tar" else self._zip)(file, name, member, depth)
            return
        blocks = _without_mark(decompressed_blocks(file, name))
        if kind == "text":
            yield from self._whole(blocks, member)
        elif kind == "dat":
            yield from self._plain(counted_texts(blocks), member)
        elif kind == "plain lines":
            yield from self._plain(lines_of(blocks), member)
        else:
            yield from self._json(blocks, kind, member)

    def _json(self, blocks: Iterator[Block], kind: str, member: str) -> Iterator[LmdItem]:
        first = next(blocks, b"")
        chained = _chain(first, blocks)
        if kind == "json" and isinstance(first, bytes) and first.lstrip()[:1] == b"[":
            for number, value in array_values(chained):
                if isinstance(value, Drop):
                    yield LmdDrop(number, member, value)
                else:
                    yield self._item(number, member, *mend(value))
            return
        more = 0
        for number, line in lines_of(chained):
            if isinstance(line, Drop):
                yield LmdDrop(number + more, member, line)
                continue
            parts = line.split(b"\r") if b"\r" in line.rstrip() else [line]  # no JSON string holds one
            for place, part in enumerate(parts):
                if part.strip():
                    yield self._line(number + more + place, member, part)
            more += len(parts) - 1

    def _line(self, number: int, member: str, line: bytes) -> LmdItem:
        try:
            return self._item(number, member, *json_value(line))
        except ValueError:
            return LmdDrop(number, member, Drop(RULE, MALFORMED, len(line)))

    def _item(self, number: int, member: str, value: Any, mended: bool) -> LmdItem:
        """What a JSON value means: an object with a text, or a bare string."""
        found = {self.text_key: value} if isinstance(value, str) else value
        if not isinstance(found, dict) or self.text_key not in found:
            return LmdDrop(number, member, Drop(RULE, "no text", f"no field {self.text_key!r}"))
        text = found[self.text_key]
        if isinstance(text, list) and all(isinstance(part, str) for part in text):
            text = PARAGRAPHS.join(text)
        if not isinstance(text, str):
            return LmdDrop(number, member, Drop(RULE, "no text", f"field {self.text_key!r} is no text"))
        meta = found.get("meta")
        if isinstance(meta, dict):
            beside = {k: v for k, v in found.items() if k not in (self.text_key, "meta")}
        else:
            beside, meta = {k: v for k, v in found.items() if k != self.text_key}, {}
        return _kept(number, member, text, beside | meta, mended)

    def _plain(self, texts: Iterator[tuple[int, bytes | Drop]], member: str) -> Iterator[LmdItem]:
        for number, text in texts:
            yield LmdDrop(number, member, text) if isinstance(text, Drop) else _text(number, member, text)

    def _whole(self, blocks: Iterator[Block], member: str) -> Iterator[LmdItem]:
        parts, size = [], 0
        for block in blocks:
            if isinstance(block, Gap):
                yield LmdDrop(1, member, Drop(RULE, block.reason, f"at byte {block.offset}"))
                return
            size += len(block)
            parts.append(block)
            if size > LONGEST:
                parts.clear()
        yield LmdDrop(1, member, Drop(RULE, TOO_LONG, size)) if size > LONGEST else _text(1, member, b"".join(parts))

    def _tar(self, file: io.BufferedReader, name: str, member: str, depth: int) -> Iterator[LmdItem]:
        count = 0
        stream = cast(io.BufferedReader, io.BufferedReader(_BlockFile(decompressed_blocks(file, name)), 1 << 20))
        try:
            with tarfile.open(fileobj=stream, mode="r|", encoding="utf-8", errors="backslashreplace") as archive:
                for info in archive:
                    cast(Any, archive).members = []  # or each of them would stay in memory
                    if info.isfile() and (opened := archive.extractfile(info)):
                        count += 1
                        inner = cast(io.BufferedReader, opened)
                        yield from self.items(inner, info.name, _joined(member, info.name), depth + 1)
        except (*BROKEN_TAR, *BROKEN_STREAM) as error:
            yield LmdDrop(count + 1, member, Drop(RULE, DAMAGED, str(error)))

    def _zip(self, file: io.BufferedReader, name: str, member: str, depth: int) -> Iterator[LmdItem]:
        if not file.seekable():
            yield LmdDrop(1, member, Drop(RULE, "a container too deep in others"))
            return
        try:
            archive = zipfile.ZipFile(file)
        except (zipfile.BadZipFile, *BROKEN_STREAM) as error:
            yield LmdDrop(1, member, Drop(RULE, DAMAGED, str(error)))
            return
        for number, info in enumerate(archive.infolist(), start=1):
            if info.is_dir():
                continue
            inside = _joined(member, info.filename)
            try:
                with archive.open(info) as opened:
                    yield from self.items(io.BufferedReader(cast(Any, opened)), info.filename, inside, depth + 1)
            except (zipfile.BadZipFile, RuntimeError, NotImplementedError, *BROKEN_STREAM) as error:
                yield LmdDrop(number, inside, Drop(RULE, DAMAGED, str(error)))


class _BlockFile(io.RawIOBase):
    """Blocks as a file to read from; a gap is an error."""

    def __init__(self, blocks: Iterator[Block]) -> None:
        super().__init__()
        self._blocks, self._rest = blocks, b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            block = next(self._blocks, None)
            if block is None:
                return 0
            if isinstance(block, Gap):
                raise OSError(f"{block.reason} at byte {block.offset}")
            self._rest = block
        count = min(len(buffer), len(self._rest))
        buffer[:count], self._rest = self._rest[:count], self._rest[count:]
        return count


def _chain(first: Block, others: Iterator[Block]) -> Iterator[Block]:
    yield first
    yield from others


def _without_mark(blocks: Iterator[Block]) -> Iterator[Block]:
    """Blocks without a byte order mark at the beginning of the first."""
    for place, block in enumerate(blocks):
        yield block.removeprefix(BYTE_ORDER_MARK) if place == 0 and isinstance(block, bytes) else block


def _joined(member: str, name: str) -> str:
    """Names of containers in containers; what is not UTF-8 in them is written with backslashes."""
    return "/".join(part for part in (member, name.encode("utf-8", "backslashreplace").decode()) if part)


def _text(number: int, member: str, data: bytes) -> LmdItem:
    data = data.removesuffix(b"\r")
    try:
        text, mended = data.decode(), False
    except UnicodeDecodeError:
        text, mended = data.decode("utf-8", "replace"), True
    return _kept(number, member, text, {}, mended)


def _kept(number: int, member: str, text: str, meta: dict[str, Any], mended: bool) -> LmdItem:
    if not text.strip():
        return LmdDrop(number, member, Drop(RULE, "no text", "it is blank"))
    return LmdText(number, member, text, meta, mended)
