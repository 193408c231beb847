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
    truncated: bool = False
    replayed: bool = False

    @staticmethod
    def of_record(record: warc.Record) -> "Exchange":
        """The exchange that an archive recorded."""
        return Exchange(
            request=b"",
            response=b"",
            status=record.status or 0,
            content_type=record.content_type,
            charset=record.charset,
            location=record.location,
            retry_after=record.retry_after,
            body=record.body,
            bytes=record.block_bytes,
            truncated=record.truncated is not None,
            replayed=True,
        )


class _Tee(io.RawIOBase):
    """A reader that remembers what was read from it."""

    def __init__(self, source: Any) -> None:
        self.source, self.seen = source, bytearray()
        self.deadline = time.monotonic() + LONGEST_ANSWER_SECONDS

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if time.monotonic() > self.deadline:
            raise TimeoutError(f"the answer took more than {LONGEST_ANSWER_SECONDS:.0f} seconds")
        data = self.source.read1(len(buffer)) if hasattr(self.source, "read1") else self.source.read(len(buffer))
        buffer[: len(data)] = data
        self.seen += data
        return len(data)

    def close(self) -> None:
        self.source.close()
        super().close()


class _Response(http.client.HTTPResponse):
    """A response that keeps its raw bytes in `wire.seen`."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.wire = _Tee(self.fp)
        self.fp = io.BufferedReader(self.wire)


def fetch(url: str, user_agent: str, timeout_seconds: float, most_bytes: int, port: int | None = None) -> Exchange:
    """Ask for one address and read the answer, redirects not followed.

    Args:
        url: an http or https address in ASCII.
        user_agent: sent with the request.
        timeout_seconds: for the connection and for each silence.
        most_bytes: the response is cut off after this many.
        port: on 127.0.0.1, asked instead of the host that the address names.

    Raises:
        OSError: no connection, no answer in time, or an answer that is not HTTP.
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
    response = _Response(connection, method="GET")
    try:
        response.begin()
        while len(response.wire.seen) < most_bytes and response.read(READ_BYTES):
            pass
        truncated = len(response.wire.seen) >= most_bytes and not response.isclosed()
        damaged = False
    except http.client.IncompleteRead:
        truncated, damaged = False, True
    except http.client.HTTPException as error:
        raise OSError(f"no HTTP answer: {type(error).__name__} {error}") from error
    finally:
        raw = bytes(response.wire.seen)
        response.close()
    if damaged:
        raise OSError(f"the answer ended early, after {len(raw):,} bytes")
    try:
        body = warc.payload_of(raw)
    except ValueError:
        body = b""
    media, _, parameters = (response.headers.get("Content-Type") or "").partition(";")
    return Exchange(
        request=request,
        response=raw,
        status=response.status,
        content_type=media.strip().lower(),
        charset=warc.charset_of(parameters),
        location=response.headers.get("Location"),
        retry_after=response.headers.get("Retry-After"),
        body=body,
        bytes=len(raw),
        truncated=truncated,
    )
