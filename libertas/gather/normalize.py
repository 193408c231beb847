"""Bytes to text, and text to its plain form: one kind of space and line end, NFC, nothing invisible."""

import re
import unicodedata

from resiliparse.parse.encoding import bytes_to_str, detect_encoding, map_encoding_to_html5

import libertas.kernel as kernel

INVISIBLE = re.compile("[\u00ad\u200b\u200e\u200f\u2060\ufeff\ud800-\udfff\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
"""Soft hyphens, zero-width spaces, direction marks, lone surrogates and control characters; the zero-width joiner and
non-joiner stay, because Persian, the Indic scripts and emoji are spelled with them."""
ODD_SPACES = re.compile("[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]")
LAYOUT = re.compile("^(?: +\t\t+)+", re.MULTILINE)
"""What an empty cell of a layout table leaves at the beginning of a line."""
LINE_ENDS = re.compile("\r\n?|[\u0085\u2028\u2029]")
ENDS_OF_LINES = re.compile("[\r\u0085\u2028\u2029]")
THREE_LINE_ENDS = re.compile("\n{3,}")
MOST_MARKS = 1000
MANY_MARKS = re.compile(rf"(?<![^\w\s\x00-\x7f])[^\w\s\x00-\x7f]{{{MOST_MARKS}}}")
"""So many marks in a row are no writing. Normalizing sorts them, in time that grows with their number squared."""
UP_TO_MANY_MARKS = re.compile(rf"[\w\s\x00-\x7f]*[^\w\s\x00-\x7f]{{0,{MOST_MARKS}}}")


FEW = 20
"""Where UTF-8 is broken in fewer than one of so many letters beyond ASCII, the text is UTF-8 with a few broken letters:
cut comments, pasted words. Latin-1 read as UTF-8 is broken in nearly all of them."""


RUNS = re.compile(rb"[\x80-\xff]{3,}")
"""Letters beyond ASCII in a row: nearly all of them where Cyrillic, Greek, Chinese or Japanese is written, hardly any
where the Latin alphabet is."""
HIGH = bytes(range(128, 256))
LATIN_1 = "cp1252"
"""What browsers read when ISO-8859-1 is declared, which servers do by default, whatever they serve."""
BYTE_ORDER_MARKS = (b"\xff\xfe", b"\xfe\xff")
UTF_16 = {(0, 1): "utf-16-le", (1, 0): "utf-16-be"}


def _utf_16(body: bytes) -> str | None:
    """Which UTF-16 the beginning of a text without a mark is: Latin letters and tags have a NUL beside each byte."""
    head = body[:400]
    zeros = head[0::2].count(0), head[1::2].count(0)
    return UTF_16.get((int(zeros[0] * 5 > len(head)), int(zeros[1] * 5 > len(head))))


def _is_not_latin(body: bytes) -> bool:
    """Whether most bytes beyond ASCII stand in rows of them."""
    return 2 * sum(map(len, RUNS.findall(body))) > len(body) - len(body.translate(None, HIGH))


def decode(body: bytes, charset: str | None, *, html: bool) -> str:
    """Bytes to text: as UTF-8 if they are, else as the server says, else as the page says or its bytes look.

    A byte order mark goes before what the server says (WHATWG Encoding, 6.1); and ISO-8859-1 is not believed of a text
    that is none.
    """
    if body.startswith(BYTE_ORDER_MARKS):
        return body.decode("utf-16", "replace")
    if b"\0" in body[:400] and (wide := _utf_16(body)):
        return body.decode(wide, "replace")
    escapes = b"\x1b" in body and b"\x1b$" in body
    try:
        if escapes:  # ISO-2022 escapes are valid UTF-8, and mean something else
            raise UnicodeDecodeError("utf-8", body, 0, 1, "ISO-2022 escape")
        return body.decode("utf-8")
    except UnicodeDecodeError:
        mostly = body.decode("utf-8", "replace")
        if mostly.count("\ufffd") * FEW < len(body) - len(mostly) and not escapes:
            return mostly
        declared = map_encoding_to_html5(charset or "", fallback_utf8=False)  # None for what no browser knows
        guess = detect_encoding(body, from_html_meta=html) or LATIN_1
        if declared == LATIN_1 and _is_not_latin(body):
            declared = None
        return str(bytes_to_str(body, declared or guess, fallback_encodings=(guess, "utf-8", LATIN_1)))


def normalize(text: str) -> str:
    """Plain spaces and line ends, NFC, nothing invisible, no trailing spaces, at most one blank line in a row."""
    if kernel.native is not None and kernel.native.is_normal(text):
        return text
    text = INVISIBLE.sub("", text)
    if not text.isascii() or "\r" in text:
        text = ODD_SPACES.sub(" ", LINE_ENDS.sub("\n", text) if ENDS_OF_LINES.search(text) else text)
    if "\t\t" in text:
        text = LAYOUT.sub("", text)
    text = "\n".join([_composed(line).rstrip(" \t") for line in text.split("\n")])
    return (THREE_LINE_ENDS.sub("\n\n", text) if "\n\n\n" in text else text).strip("\n")


def _composed(line: str) -> str:
    """A line in NFC; line by line, because a line so short cannot hold many marks."""
    if line.isascii():
        return line
    if len(line) < MOST_MARKS or not MANY_MARKS.search(line):
        return unicodedata.normalize("NFC", line)
    return "".join(unicodedata.normalize("NFC", piece) for piece in UP_TO_MANY_MARKS.findall(line))
