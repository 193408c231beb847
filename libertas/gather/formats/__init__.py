"""Readers for what is not HTML, by media type; each imports its library only when it is asked to read.

A format has up to two functions. `parts(path)` takes a container (a dump, a mailbox, a table) apart into pieces, each
of which `libertas gather pack` writes as a WARC record of its own, so that every document has bytes of its own to lead
back to. `read(body, mode)` turns the payload of one such record into text.
"""

from collections.abc import Callable
from functools import partial

from libertas.document import Drop
from libertas.errors import UsageError
from libertas.gather.extracted import Extracted, ReadMode

Reader = Callable[[bytes, ReadMode], Extracted | Drop]
CODE_TYPE = "text/x-source-"
"""Begins the media types of source code; the language follows."""


def reader_of(content_type: str) -> Reader | None:
    """The reader for a media type, or None where `extract` needs none.

    Raises:
        UsageError: it needs a library of the extra `formats` that is not installed.
    """
    try:
        return _document_reader(content_type) or _piece_reader(content_type)
    except ModuleNotFoundError as missing:
        if missing.name is None or missing.name.startswith("libertas"):
            raise
        raise UsageError(
            f"{content_type} is read with {missing.name}, which is not installed; expected the libraries of the extra "
            "`formats`; run `pip install 'libertas[formats]'`"
        ) from missing


def _document_reader(content_type: str) -> Reader | None:
    """Readers for what people call a file: a book, a paper, a film's subtitles."""
    match content_type:
        case "application/epub+zip":
            from libertas.gather.formats.epub import read_epub

            return read_epub
        case "application/pdf":
            from libertas.gather.formats.pdf import read_pdf

            return read_pdf
        case "text/x-tex" | "application/x-tex" | "text/x-latex" | "application/x-latex":
            from libertas.gather.formats.latex import read_latex

            return read_latex
        case "application/x-eprint-tar":
            from libertas.gather.formats.latex import read_eprint

            return read_eprint
        case "application/jats+xml":
            from libertas.gather.formats.jats import read_jats

            return read_jats
        case "text/x-gutenberg":
            from libertas.gather.formats.gutenberg import read_gutenberg

            return read_gutenberg
        case "application/x-subrip" | "text/vtt":
            from libertas.gather.formats.subtitles import read_subtitles

            return read_subtitles
        case "message/rfc822":
            from libertas.gather.formats.mail import read_message

            return read_message
    return None


def _piece_reader(content_type: str) -> Reader | None:
    """Readers for what `pack` took out of a container, and for source code."""
    match content_type:
        case "application/x-mediawiki+json":
            from libertas.gather.formats.mediawiki import read_mediawiki

            return read_mediawiki
        case "application/x-stackexchange+json":
            from libertas.gather.formats.stackexchange import read_stackexchange

            return read_stackexchange
        case "application/x-row+json":
            from libertas.gather.formats.rows import read_row

            return read_row
        case "application/x-source+json":
            from libertas.gather.formats.code import read_source

            return read_source
    if content_type == "text/x-python" or content_type.startswith(CODE_TYPE):
        from libertas.gather.formats.code import read_code

        return partial(read_code, language=content_type.removeprefix(CODE_TYPE).removeprefix("text/x-"))
    return None
