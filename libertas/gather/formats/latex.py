r"""LaTeX files and arXiv tarballs: which file to begin with, and what becomes of its title, authors and text."""

import gzip
import io
import json
import posixpath
import re
import tarfile
import zlib
from typing import Any

from libertas.document import Drop
from libertas.gather.extracted import Extracted, ReadMode
from libertas.gather.formats.latex_commands import COMMANDS
from libertas.gather.formats.latex_reader import TexReader, tidy
from libertas.gather.math.marks import unmark

MOST_BYTES = 200 << 20
"""Of an unpacked tarball: 200 MiB; arXiv's own limit is 50 MB."""
MOST_FILES = 10_000
"""In one tarball."""
CLASS = re.compile(r"^[^%\n]*\\document(?:class|style)", re.MULTILINE)
INCLUDED = re.compile(r"\\(?:input|include|subfile)\s*\{?\s*([^\s{}%\\]+)")


def read_latex(body: bytes, mode: ReadMode) -> Extracted | Drop:
    r"""The text of one LaTeX file; what it asks for by \input is named in `meta.missing_inputs`."""
    return _read("main.tex", {"main.tex": body}, mode)


def read_eprint(body: bytes, mode: ReadMode) -> Extracted | Drop:
    """The text of an arXiv submission: a tarball or a single file, gzipped or not."""
    try:
        if body[:2] == b"\x1f\x8b":
            with gzip.open(io.BytesIO(body)) as packed:
                body = packed.read(MOST_BYTES + 1)
        if len(body) > MOST_BYTES:
            return Drop("latex", "larger than the cap", MOST_BYTES)
        files = _unpack(body) if body[257:262] == b"ustar" else {"main.tex": body}
        if files is None:
            return Drop("latex", "larger than the cap", MOST_BYTES)
    except (OSError, EOFError, zlib.error, tarfile.TarError, ValueError) as error:
        return Drop("latex", "damaged archive", str(error))
    main = _main(files)
    if main is None:
        head = next(iter(files.values()), b"")[:64]
        if b"%auto-ignore" in head:
            return Drop("latex", "withdrawn")
        pdf = head.startswith((b"%PDF", b"%!PS")) or any(n.lower().endswith((".pdf", ".ps")) for n in files)
        return Drop("latex", "no TeX source", "PDF or PostScript only" if pdf else None)
    return _read(main, files, mode)


def _unpack(body: bytes) -> dict[str, bytes] | None:
    """The files of a tarball; None if they are larger than the cap, as sparse ones of a few bytes can be."""
    files: dict[str, bytes] = {}
    room = MOST_BYTES
    with tarfile.open(fileobj=io.BytesIO(body), mode="r:") as tar:
        for member in tar:
            if member.isfile() and len(files) < MOST_FILES:
                opened = tar.extractfile(member)
                data = opened.read(room + 1) if opened else b""
                room -= len(data)
                if room < 0:
                    return None
                files[posixpath.normpath(member.name)] = data
    return files


def _main(files: dict[str, bytes]) -> str | None:
    """Name of the file to begin with: what arXiv's 00README says, else the likeliest with a document class."""
    named = _from_readme(files)
    if named in files:
        return named
    sources = {n: b.decode("latin-1") for n, b in files.items() if n.lower().endswith((".tex", ".ltx", ".latex"))}
    sources = {n: s for n, s in sources.items() if not s.lstrip().startswith("%auto-ignore")}
    wanted = {posixpath.splitext(name)[0] for s in sources.values() for name in INCLUDED.findall(s)}

    def likely(name: str) -> tuple[bool, bool, bool, bool, int, str]:
        stem, source = posixpath.splitext(name)[0], sources[name]
        return (
            bool(CLASS.search(source)),
            "\\begin{document}" in source,
            stem not in wanted,
            posixpath.basename(stem).lower() in {"main", "ms", "paper", "article"},
            len(source),
            name,
        )

    best = max(sources, key=likely, default=None)
    looks_like_tex = best is not None and re.search(r"\\[a-zA-Z]+", sources[best])
    return best if looks_like_tex else None


def _from_readme(files: dict[str, bytes]) -> str | None:
    r"""The top-level file by 00README.json or 00README.XXX (info.arxiv.org/help/00README.html)."""
    try:
        listed = json.loads(files.get("00README.json", b"{}")).get("sources", [])
        return next((s["filename"] for s in listed if s.get("usage") == "toplevel"), None) or next(
            line.split()[0]
            for line in files.get("00README.XXX", b"").decode("latin-1").splitlines()
            if line.split()[1:2] == ["toplevelfile"]
        )
    except (ValueError, AttributeError, TypeError, KeyError, StopIteration, RecursionError):
        return None


def _read(main: str, files: dict[str, bytes], mode: ReadMode) -> Extracted:
    reader = TexReader(files, mode.markdown, COMMANDS)
    reader.open_file(main)
    reader.run()
    text = unmark(tidy(reader.close_all()))
    title = _line(reader.found.get("title", ""))
    heading = [f"# {title}" if mode.markdown else title] if title else []
    meta: dict[str, Any] = {}
    if authors := [a for a in map(_line, reader.authors) if a]:
        meta["author"] = authors[0] if len(authors) == 1 else authors
    if abstract := _line(reader.found.get("abstract", "")):
        meta["description"] = abstract
    if reader.missing:
        meta["missing_inputs"] = sorted(reader.missing)
    if reader.stopped:
        meta["expansion_stopped"] = True
    return Extracted("\n\n".join([*heading, text]), title, meta)


def _line(text: str) -> str:
    return unmark(" ".join(tidy(text).split()))
