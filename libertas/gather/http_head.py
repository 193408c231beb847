"""The head of an HTTP message as archives hold it: status, headers, and where the body begins."""

import re
from dataclasses import dataclass

HEAD_BYTES = 1 << 20
"""The head of a message fits in this: 1 MiB."""
BLANK_LINE = re.compile(rb"\r?\n\r?\n")
INTERIM = re.compile(rb"HTTP/\d(?:\.\d)?[ \t]+1(?!01)\d\d\b[^\n]*\n(?:[^\r\n][^\n]*\n)*\r?\n")
"""An answer that announces another (RFC 9110, 15.2), such as `100 Continue`; 101 leaves HTTP and is the last one."""
STATUS = re.compile(rb"HTTP/[\d.]+[ \t]+(\d{3})\b")
CHARSET = re.compile(r"charset\s*=\s*[\"']?([\w.:-]+)", re.IGNORECASE)

Headers = tuple[tuple[str, str], ...]
"""Names in lower case and values, in the order of the message."""


@dataclass(frozen=True, slots=True)
class HttpHead:
    """What stands before the body of a message."""

    status: int | None
    """None for a request."""
    headers: Headers
    body: int
    """Where the body begins, counted as `start` is."""


def http_head(data: bytes, start: int = 0) -> HttpHead | None:
    """The head of the message that begins at a place; interim answers are passed over; None where it has no end.

    Lines may end in a bare LF (RFC 9112, 2.2).
    """
    while interim := INTERIM.match(data, start, start + HEAD_BYTES):
        start = interim.end()
    blank = BLANK_LINE.search(data, start, start + HEAD_BYTES)
    if blank is None and len(data) > start + HEAD_BYTES:
        return None
    head = data[start : blank.start() if blank else len(data)]
    first, _, rest = head.partition(b"\n")
    status = STATUS.match(first)
    return HttpHead(int(status[1]) if status else None, headers_of(rest), blank.end() if blank else len(data))


def headers_of(lines: bytes) -> Headers:
    """Header fields; a line that begins with a space goes on with the one before (RFC 9112, 5.2)."""
    fields: list[tuple[str, list[str]]] = []
    for line in lines.split(b"\n"):
        text = _decoded(line)
        name, colon, value = text.partition(":")
        if text[:1] in (" ", "\t") and fields:
            fields[-1][1].append(text.strip())
        elif colon:
            fields.append((name.strip().lower(), [value.strip()]))
    return tuple((name, " ".join(parts).strip()) for name, parts in fields)


def _decoded(line: bytes) -> str:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        return line.decode("latin-1")  # what HTTP/1.0 meant


def value_of(headers: Headers, name: str) -> str | None:
    """The first value of a header by its name in lower case, or None."""
    return next((value for key, value in headers if key == name), None)


def media_type(content_type: str | None) -> tuple[str, str | None]:
    """Media type in lower case without parameters, empty where there is none, and its charset."""
    media, _, parameters = (content_type or "").partition(";")
    charset = CHARSET.search(parameters)
    return media.strip().lower(), charset[1].lower() if charset else None


def final_response(http: bytes) -> bytes:
    """The answer proper of a raw HTTP response: interim answers left out, and CRLF at the end of each line of its head.

    RFC 9112, 2.2: a recipient may take a bare LF for the end of a line, and servers that send it exist.
    """
    start = 0
    while interim := INTERIM.match(http, start):
        start = interim.end()
    blank = BLANK_LINE.search(http, start)
    if blank is None:
        return http[start:]
    head, body = http[start : blank.start()], http[blank.end() :]
    lines = [line.removesuffix(b"\r") for line in head.split(b"\n")]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body
