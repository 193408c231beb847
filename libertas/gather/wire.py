"""One HTTP request and its answer, with the bytes exactly as they came over the wire."""

import http.client
import io
import socket
import ssl
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from libertas.gather import warc
from libertas.gather.http_head import http_head, media_type, value_of

READ_BYTES = 1 << 16
LONGEST_ANSWER_SECONDS = 300.0
"""A server that sends a byte now and then must not hold the crawl forever."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request and its response."""

    request: bytes
    response: bytes
    """Status line, headers and body as they were sent, chunks and compression included."""
    status: int
    content_type: str
    """Media type in lower case without parameters, or empty."""
    charset: str | None
    location: str | None
    retry_after: str | None
    body: bytes
    """The payload without transfer and content coding; empty where that cannot be undone."""
    bytes: int
    """Length of the response on the wire."""
    truncated: str | None = None
    """Why the response is not whole, in the words of WARC-Truncated: `length` cut by us, `disconnect` or `time` lost on
    the way; or None."""
    replayed: bool = False

    @property
    def whole(self) -> bool:
        """Whether nothing was lost on the way; what we cut off ourselves is not lost."""
        return self.truncated in (None, "length")


def exchange_of(
    response: bytes, *, request: bytes = b"", truncated: str | None = None, replayed: bool = False
) -> Exchange:
    """What raw bytes say, be they from the wire or from an archive; what they hold decides, not where they come from.

    Raises:
        ValueError: they do not begin with the status line of an HTTP response.
    """
    head = http_head(response)
    if head is None or head.status is None:
        raise ValueError(f"a response begins with {response[:20]!r}")
    try:
        body = warc.payload_of(response)
    except ValueError:
        body = b""
    media, charset = media_type(value_of(head.headers, "content-type"))
    return Exchange(
        request=request,
        response=response,
        status=head.status,
        content_type=media,
        charset=charset,
        location=value_of(head.headers, "location"),
        retry_after=value_of(head.headers, "retry-after"),
        body=body,
        bytes=len(response),
        truncated=truncated,
        replayed=replayed,
    )


class _Tee(io.RawIOBase):
    """A reader that remembers what was read from it."""

    def __init__(self, source: Any, most_bytes: int) -> None:
        self.source, self.seen, self.most_bytes = source, bytearray(), most_bytes
        self.deadline = time.monotonic() + LONGEST_ANSWER_SECONDS

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if time.monotonic() > self.deadline:
            raise TimeoutError(f"the answer took more than {LONGEST_ANSWER_SECONDS:.0f} seconds")
        if len(self.seen) > self.most_bytes:
            raise OSError(f"the answer has a head without end, after {self.most_bytes:,} bytes")
        data = self.source.read1(len(buffer)) if hasattr(self.source, "read1") else self.source.read(len(buffer))
        buffer[: len(data)] = data
        self.seen += data
        return len(data)

    def close(self) -> None:
        self.source.close()
        super().close()


class _Response(http.client.HTTPResponse):
    """A response that keeps its raw bytes in `wire.seen`."""

    def __init__(self, sock: socket.socket, most_bytes: int) -> None:
        super().__init__(sock, method="GET")
        # A body is read up to `most_bytes` and the rest of a buffer; what goes far beyond is a head without end.
        self.wire = _Tee(self.fp, most_bytes + 2 * READ_BYTES)
        self.fp = io.BufferedReader(self.wire)

    def begin_final(self) -> None:
        """Read the heads of the answer, past those of interim answers (RFC 9110, 15.2)."""
        self.begin()
        while self.status < 200 and self.status != http.client.SWITCHING_PROTOCOLS:
            self.headers = self.msg = None  # type: ignore[assignment]  # `begin` reads only where there is no head yet
            self.begin()


def fetch(url: str, user_agent: str, timeout_seconds: float, most_bytes: int, port: int | None = None) -> Exchange:
    """Ask for one address and read the answer, redirects not followed.

    Args:
        url: an http or https address in ASCII.
        user_agent: sent with the request.
        timeout_seconds: for the connection and for each silence.
        most_bytes: the response is cut off after this many.
        port: on 127.0.0.1, asked instead of the host that the address names.

    Raises:
        OSError: no connection, no answer in time, or an answer that is not HTTP. An answer that ends early is returned
            with the reason in `truncated`.
    """
    parts = urlsplit(url)
    target = parts._replace(scheme="", netloc="", fragment="").geturl() or "/"
    request = (
        f"GET {target} HTTP/1.1\r\nHost: {parts.netloc}\r\nUser-Agent: {user_agent}\r\n"
        "Accept: text/html,application/xhtml+xml,text/plain;q=0.9,*/*;q=0.1\r\n"
        "Accept-Encoding: gzip\r\nConnection: close\r\n\r\n"
    ).encode("ascii")
    address = (
        ("127.0.0.1", port) if port else (parts.hostname or "", parts.port or {"http": 80, "https": 443}[parts.scheme])
    )
    with socket.create_connection(address, timeout=timeout_seconds) as connection:
        if parts.scheme == "https":
            connection = ssl.create_default_context().wrap_socket(connection, server_hostname=parts.hostname)
        with connection:
            connection.sendall(request)
            return _answer(connection, request, most_bytes)


def _answer(connection: socket.socket, request: bytes, most_bytes: int) -> Exchange:
    response = _Response(connection, most_bytes)
    try:
        response.begin_final()
        truncated = _read_body(response, most_bytes)
    except http.client.HTTPException as error:
        raise OSError(f"no HTTP answer: {type(error).__name__} {error}") from error
    finally:
        raw = bytes(response.wire.seen)
        response.close()
    return exchange_of(raw, request=request, truncated=truncated)


def _read_body(response: _Response, most_bytes: int) -> str | None:
    """Read up to the end of the answer or the limit; returns why it is not whole, as `Exchange.truncated` says it."""
    try:
        while len(response.wire.seen) < most_bytes and response.read(READ_BYTES):
            pass
    except TimeoutError:
        return "time"
    except (http.client.HTTPException, OSError):
        return "disconnect" if len(response.wire.seen) < most_bytes else "length"
    # `read` says nothing when fewer bytes come than Content-Length promised: it closes, with the rest in `length`.
    if response.isclosed():
        return "disconnect" if response.length else None
    return "length" if len(response.wire.seen) >= most_bytes else None
