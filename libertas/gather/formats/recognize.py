"""What a local file is: by its first bytes where they say it, else by its name."""

import mimetypes
import re
import tarfile
from pathlib import Path

from libertas.gather.formats.code import PYTHON_TYPE, code_language, code_type
from libertas.gather.formats.containers import BROKEN_STREAM, CODING_SUFFIXES, decompressed
from libertas.gather.formats.rows import CSV, JSON_LINES, PARQUET, TSV
from libertas.gather.formats.subtitles import SUBRIP, WEBVTT

MEDIAWIKI_DUMP = "application/x-mediawiki+xml"
STACKEXCHANGE_DUMP = "application/x-stackexchange+xml"
STACKEXCHANGE_SIDE = "application/x-stackexchange-side+xml"
"""Files of a dump of Stack Exchange beside its posts."""
MBOX = "application/mbox"
EPRINT = "application/x-eprint-tar"
SEVEN_ZIP = "application/x-7z-compressed"
TYPES = {
    ".rst": "text/x-rst",
    ".md": "text/markdown",
    ".html": "text/html",
    ".htm": "text/html",
    ".xhtml": "application/xhtml+xml",
    ".tex": "text/x-tex",
    ".epub": "application/epub+zip",
    ".pdf": "application/pdf",
    ".nxml": "application/jats+xml",
    ".srt": SUBRIP,
    ".vtt": WEBVTT,
    ".mbox": MBOX,
    ".eml": "message/rfc822",
    ".jsonl": JSON_LINES,
    ".ndjson": JSON_LINES,
    ".parquet": PARQUET,
    ".csv": CSV,
    ".tsv": TSV,
}
"""Media types by file ending; others come from the standard library's table where that says `text/…`."""
ROOTS = (
    (re.compile(rb"<mediawiki[\s>]"), MEDIAWIKI_DUMP),
    (re.compile(rb"<posts>"), STACKEXCHANGE_DUMP),
    (re.compile(rb"<(?:badges|comments|posthistory|postlinks|tags|users|votes)>\s{0,9}<row "), STACKEXCHANGE_SIDE),
    (
        re.compile(
            rb"<!DOCTYPE article[^>]{0,200}(?:JATS|NLM)|<article\b[^>]{0,900}\b(?:dtd-version|article-type)=", re.I
        ),
        "application/jats+xml",
    ),
)
"""Roots of XML files, within the first bytes."""
ROOT_BYTES = 4096
MAIL_NAME = re.compile(r"\d+\.?")
MAIL_HEADER = re.compile(rb"(?:Message-ID|Return-Path|Received|Delivered-To|From|Date):[ \t]", re.IGNORECASE)
"""Folders of mail (MH, Enron's) number their messages; a message begins with a header, RFC 5322."""
GUTENBERG = re.compile(rb"\*\*\* ?START OF (?:THE|THIS) PROJECT GUTENBERG", re.IGNORECASE)
TAR_MEMBERS = 2000
MAIN_TEX = b"\\documentclass"
TEX_BYTES = 1 << 20


def recognized(path: Path, head: bytes) -> str:
    """Media type of a file; `text/plain` where nothing better is known.

    Args:
        path: the file; its name without an ending such as `.gz` counts.
        head: its first bytes, decompressed.
    """
    name = path.name.lower()
    packed = path.suffix.lower() in CODING_SUFFIXES
    name = name.removesuffix(path.suffix.lower()) if packed else name
    suffix = Path(name).suffix
    if head.startswith(b"7z\xbc\xaf\x27\x1c"):
        return SEVEN_ZIP
    tar = suffix in (".tar", ".tgz") or head[257:262] == b"ustar"
    if (tar and _holds_tex(path)) or (packed and suffix not in TYPES and MAIN_TEX in head and b"\0" not in head):
        return EPRINT  # as arXiv gives out sources: a tar with LaTeX in it, or one LaTeX file, gzipped
    if suffix == ".xml":
        found = next((kind for root, kind in ROOTS if root.search(head[:ROOT_BYTES])), "")
        if found:
            return found
    if MAIL_NAME.fullmatch(name) and MAIL_HEADER.match(head):
        return TYPES[".eml"]
    if suffix == ".txt" and GUTENBERG.search(head):
        return "text/x-gutenberg"
    if known := TYPES.get(suffix):
        return known
    if language := code_language(name, head):
        return code_type(language)
    guessed = mimetypes.MimeTypes().guess_type(name)[0] or ""
    return guessed if guessed.startswith("text/") else "text/plain"


def is_source_code(kind: str) -> bool:
    """Whether a media type is one of source code."""
    return kind == PYTHON_TYPE or kind.startswith(code_type(""))


def _holds_tex(path: Path) -> bool:
    """Whether a tar archive holds a LaTeX document."""
    try:
        with decompressed(path) as stream, tarfile.open(fileobj=stream, mode="r|") as archive:
            for number, member in enumerate(archive):
                if number >= TAR_MEMBERS:
                    break
                if member.isfile() and member.name.lower().endswith((".tex", ".ltx")):
                    file = archive.extractfile(member)
                    if file is not None and MAIN_TEX in file.read(TEX_BYTES):
                        return True
    except (tarfile.TarError, ValueError, *BROKEN_STREAM):
        pass  # whoever reads all of it will say so
    return False
