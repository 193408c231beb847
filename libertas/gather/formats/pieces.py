"""A local file as pieces: containers are taken apart, other files are one piece, or a drop that says why not."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from libertas.document import Drop
from libertas.gather.formats import reader_of
from libertas.gather.formats.code import SOURCE_FILE, code_language, code_refusal, source_piece
from libertas.gather.formats.containers import BROKEN_STREAM, PIECE_BYTES, decompressed
from libertas.gather.formats.mail import mbox_parts
from libertas.gather.formats.mediawiki import mediawiki_parts
from libertas.gather.formats.part import Part
from libertas.gather.formats.recognize import (
    EPRINT,
    MBOX,
    MEDIAWIKI_DUMP,
    SEVEN_ZIP,
    STACKEXCHANGE_DUMP,
    STACKEXCHANGE_SIDE,
    is_source_code,
)
from libertas.gather.formats.rows import TABLES, row_parts
from libertas.gather.formats.stackexchange import stackexchange_parts

RULE = "pack"
PAGES = frozenset({"text/html", "application/xhtml+xml"})
"""They may be in any charset, which they say themselves."""


def pieces_of(
    path: Path, kind: str, name: str, license: str | None, fields: Mapping[str, str]
) -> Iterator[Part | Drop]:
    """The pieces of a file, in order.

    Args:
        path: the file.
        kind: its media type, as `recognized` says.
        name: its path below the folder that is packed; empty for code that is chosen already.
        license: of the tree it lies in, if known.
        fields: in tables, the names of the fields that matter (see `row_parts`).
    """
    if kind == MEDIAWIKI_DUMP:
        yield from mediawiki_parts(path)
    elif kind == STACKEXCHANGE_DUMP:
        yield from stackexchange_parts(path)
    elif kind == STACKEXCHANGE_SIDE:
        yield Drop(RULE, "no posts, but another table of their dump", path.name)
    elif kind == MBOX:
        yield from mbox_parts(path)
    elif kind in TABLES:
        yield from row_parts(path, kind, fields)
    elif kind == SEVEN_ZIP:
        yield Drop(RULE, "7z archive", "extract it and pack what is in it")
    else:
        yield _whole(path, kind, name, license)


def _whole(path: Path, kind: str, name: str, license: str | None) -> Part | Drop:
    """A file as one piece, its compression taken off unless the format has it inside."""
    try:
        with path.open("rb") if kind == EPRINT else decompressed(path) as stream:
            data = stream.read(PIECE_BYTES + 1)
    except BROKEN_STREAM as error:
        return Drop(RULE, "damaged compression", str(error))
    if not data.strip():
        return Drop(RULE, "empty")
    if len(data) > PIECE_BYTES:
        return Drop(RULE, "too large for a record", path.stat().st_size)
    if kind in PAGES or (reader_of(kind) is not None and not is_source_code(kind)):
        return Part("", kind, data)
    return _text(data, kind, name, license)


def _text(data: bytes, kind: str, name: str, license: str | None) -> Part | Drop:
    if b"\0" in data:
        return Drop(RULE, "not text")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return Drop(RULE, "not UTF-8")
    language = code_language(name, data[:300]) if is_source_code(kind) else None
    if name and (refusal := code_refusal(name, language, text)) is not None:
        return refusal
    if language is not None and license is not None:
        return Part("", SOURCE_FILE, source_piece(text, language, license))
    return Part("", kind, data)
