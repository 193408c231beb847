"""Project Gutenberg's plain texts: the book without the header and license around it, its lines joined to paragraphs.

The markers have changed over the years: "*** START OF THE PROJECT GUTENBERG EBOOK ... ***" and "THIS" for "THE" since
2001, "*END*THE SMALL PRINT! FOR PUBLIC DOMAIN ETEXTS*...*END*" before; at the end "*** END OF ..." or "End of (the)
Project Gutenberg ...".
"""

import re
from datetime import datetime
from itertools import pairwise
from typing import Any

from libertas.document import Drop
from libertas.gather.extracted import Extracted, ReadMode
from libertas.gather.normalize import decode, normalize

START = re.compile(
    r"\s*(?:\*{1,3}\s?START OF TH(?:E|IS) PROJECT GUTENBERG|\*END\s?\*?\s?THE SMALL PRINT)", re.IGNORECASE
)
END = re.compile(
    r"\s*(?:\*{1,3}\s?END OF TH(?:E|IS) PROJECT GUTENBERG"
    r"|End of (?:the |this )?Project Gutenberg(?:'s|’s| E-?(?:text|book)))",
    re.IGNORECASE,
)
LONGEST_MARKER = 5
"""Lines that a start marker may run over, with a long title in it."""
FIELD = re.compile(
    r"\s{0,16}(Title|Author|Translator|Editor|Illustrator|Language|Release Date|Posting Date|Credits"
    r"|Most recently updated|Character set encoding):[ \t]*(.*)",
    re.IGNORECASE,
)
NUMBER = re.compile(r"\[\s*e-?(?:book|text)\s*#\s*(\d+)\s*\]", re.IGNORECASE)
CREDITS = re.compile(
    r"(?:Produced|Prepared|Transcribed|Created|Scanned) by "
    r"|(?:This )?e-?(?:text|book) (?:was )?(?:prepared|produced|transcribed|scanned) ",
    re.IGNORECASE,
)
FIRST_BLOCKS = 3
"""The credits are among these."""
MARKER = re.compile(r"\[(?:Illustration|Picture|Pg|Page|Blank Page)\b:?\.?[ \t\n]*([^\[\]]*)\]", re.IGNORECASE)
PAGE_NUMBER = re.compile(r"[\divxlcIVXLC]*\.?")
EMPHASIS = re.compile(r"(?<![\w_])_([^_\s](?:[^_]{0,500}[^_\s])?)_(?![\w_])")
SLACK = 12
"""Characters by which a line that was broken may stay behind the longest."""
LANGUAGES = {
    "english": "en", "french": "fr", "german": "de", "finnish": "fi", "dutch": "nl", "italian": "it", "spanish": "es",
    "portuguese": "pt", "hungarian": "hu", "chinese": "zh", "swedish": "sv", "greek": "el", "esperanto": "eo",
    "latin": "la", "danish": "da", "tagalog": "tl", "catalan": "ca", "polish": "pl", "japanese": "ja",
    "norwegian": "no", "welsh": "cy", "czech": "cs", "icelandic": "is", "hebrew": "he", "russian": "ru",
    "friulian": "fur", "frisian": "fy", "bulgarian": "bg", "serbian": "sr", "irish": "ga", "interlingua": "ia",
    "romanian": "ro", "afrikaans": "af", "old english": "ang", "middle english": "enm", "galician": "gl",
}  # fmt: skip
"""The languages that headers name, as BCP-47 labels; a book in several gets none."""


def read_gutenberg(body: bytes, mode: ReadMode) -> Extracted | Drop:
    """The book; a text without markers is taken whole, one with nothing between them is dropped."""
    named = re.search(rb"Character set encoding:\s*([\w-]+)", body[:20_000])
    text = decode(body, named[1].decode() if named else None, html=False).lstrip("\ufeff")
    lines = _lines(text)
    begin, end = _bounds(lines)
    header, book = lines[: begin or 0], "\n".join(lines[begin or 0 : end])
    blocks = [block for block in re.split(r"\n(?:[ \t]*\n)+", MARKER.sub(_caption, book).strip("\n")) if block.strip()]
    blocks = [b for i, b in enumerate(blocks) if i >= FIRST_BLOCKS or not CREDITS.match(b.strip()) or begin is None]
    if not blocks:
        return Drop("gutenberg", "nothing between the markers", len(body))
    width = _width(blocks)
    text = "\n\n".join(_joined(block, width) for block in blocks)
    fields = _fields(header)
    return Extracted(
        normalize(text if mode.markdown else EMPHASIS.sub(r"\1", text)), fields.get("title", ""), _meta(fields, header)
    )


def _bounds(lines: list[str]) -> tuple[int | None, int]:
    """Index of the first line of the book, or None without a marker, and of the first line behind it."""
    begin, end, at = None, len(lines), 0
    while at < len(lines):
        if END.match(lines[at]) and (begin is not None or at > len(lines) // 2):
            end = at
            break
        if START.match(lines[at]):
            last = next(
                (i for i in range(at, min(at + LONGEST_MARKER, len(lines))) if lines[i].rstrip().endswith("*")), at
            )
            begin = at = last + 1
            continue
        at += 1
    return begin, end


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.replace("\r\n", "\n").replace("\r", "\n").replace("\t", "    ").split("\n")]


def _caption(marker: re.Match[str]) -> str:
    """A caption stays, the brackets around it and the numbers of pages do not."""
    return "" if PAGE_NUMBER.fullmatch(marker[1].strip()) else marker[1]


def _width(blocks: list[str]) -> int:
    """The length that lines were broken at: what nine of ten lines that others follow stay below."""
    lengths = sorted(len(line) for block in blocks for line in block.split("\n")[:-1])
    return lengths[len(lengths) * 9 // 10] if lengths else 0


def _joined(block: str, width: int) -> str:
    """A block as one line if most of its breaks were forced by the width; verse and tables as they stand."""
    lines = block.split("\n")
    if any(line.startswith(" ") for line in lines[1:]):
        return block
    forced = sum(len(line) + 1 + len(following.split(" ", 1)[0]) > width - SLACK for line, following in pairwise(lines))
    return " ".join(line.strip() for line in lines) if 2 * forced >= len(lines) - 1 and width > 3 * SLACK else block


def _fields(header: list[str]) -> dict[str, str]:
    fields: dict[str, str] = {}
    name = ""
    for line in header:
        found = FIELD.match(line)
        if found:
            name = found[1].lower()
            fields.setdefault(name, found[2].strip())
        elif name and line.startswith("  ") and line.strip():
            fields[name] += " " + line.strip()
        else:
            name = ""
    return {name: value for name, value in fields.items() if value}


def _meta(fields: dict[str, str], header: list[str]) -> dict[str, Any]:
    said = "\n".join(header)
    number = NUMBER.search(said)
    date = NUMBER.sub("", fields.get("release date", fields.get("posting date", ""))).strip(" ,")
    known = {
        "author": fields.get("author", ""),
        "translator": fields.get("translator", ""),
        "published": _iso(date),
        "language": LANGUAGES.get(fields.get("language", "").lower(), ""),
        "site": "Project Gutenberg" if "project gutenberg" in said.lower() else "",
        "license": "https://www.gutenberg.org/license" if "gutenberg.org/license" in said else "",
        "canonical": f"https://www.gutenberg.org/ebooks/{number[1]}" if number else "",
    }
    return {key: value for key, value in known.items() if value}


def _iso(date: str) -> str:
    """A date as headers write it ("October 31, 1993", "June, 1993", "2004-05-01") in ISO 8601, or nothing."""
    for written, iso in (("%B %d, %Y", "%Y-%m-%d"), ("%Y-%m-%d", "%Y-%m-%d"), ("%B, %Y", "%Y-%m"), ("%B %Y", "%Y-%m")):
        try:
            return datetime.strptime(date, written).strftime(iso)
        except ValueError:
            continue
    return ""
