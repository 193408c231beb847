"""ARC version 1 and 2, the format of web archives before WARC: one line of header, then the block.

Format: Internet Archive, "Arc File Format", 1996. Version 1 has `URL IP-address Archive-date Content-type
Archive-length` on the line; version 2 has five fields more between the media type and the length. Addresses and media
types with spaces in them exist, so the line is read from the date outwards.
"""

import re
from dataclasses import dataclass

LINE_BYTES = 1 << 14
"""A header line fits in this: 16 KiB."""
NEXT_RECORD = re.compile(
    rb"\n([A-Za-z][A-Za-z\d+.-]{1,20}:[^\r\n]{1,9000} [\d.:a-fA-F-]{1,45} \d{14} [^\r\n]{0,900}\d\r?\n)"
)
"""Where a record may begin (group 1); `header_of` decides. The lengths bound what a line without end can cost."""
DATE = re.compile(rb"\d{14}|\d{12}|\d{8}")
ADDRESS = re.compile(rb"[\d.:a-fA-F-]{0,45}")
SCHEME = re.compile(rb"[A-Za-z][A-Za-z\d+.-]*:")


@dataclass(frozen=True, slots=True)
class ArcHeader:
    """What the header line of a record says."""

    uri: str
    date: str
    """ISO 8601 in UTC, as WARC-Date has it."""
    content_type: str
    length: int
    """Bytes of the block."""
    size: int
    """Bytes of the line itself, its end included."""

    @property
    def kind(self) -> str:
        """Type of the record in the words of WARC."""
        return "warcinfo" if self.uri.startswith("filedesc:") else "response"


def header_of(head: bytes) -> ArcHeader | None:
    """The header line that these bytes begin with, or None."""
    if not SCHEME.match(head):
        return None
    line, end, _ = head[:LINE_BYTES].partition(b"\n")
    fields = line.rstrip(b"\r").split(b" ")
    if not end or len(fields) < 4 or not fields[-1].isdigit() or len(fields[-1]) > 18:
        return None
    for i in range(len(fields) - 2, 1, -1):
        if DATE.fullmatch(fields[i]) and ADDRESS.fullmatch(fields[i - 1]):
            return ArcHeader(
                uri=b" ".join(fields[: i - 1]).decode("utf-8", "replace"),
                date=_iso(fields[i].decode()),
                content_type=b" ".join(fields[i + 1 : i + 2]).decode("latin-1") if i + 2 < len(fields) else "",
                length=int(fields[-1]),
                size=len(line) + 1,
            )
    return None


def _iso(digits: str) -> str:
    """`20080430204825` as `2008-04-30T20:48:25Z`; what an old crawler left out is zero."""
    d = digits.ljust(14, "0")
    return f"{d[:4]}-{d[4:6]}-{d[6:8]}T{d[8:10]}:{d[10:12]}:{d[12:14]}Z"
