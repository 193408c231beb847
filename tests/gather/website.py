"""A small web site on loopback, with everything a crawler meets."""

import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


def html(title: str, *links: str) -> bytes:
    anchors = "".join(f'<p>See <a href="{link}">this page</a> for more about it.</p>' for link in links)
    return f"<html><head><title>{title}</title></head><body><h1>{title}</h1>{anchors}</body></html>".encode()


PAGES = {
    "/": html(
        "Home", "/b", "a#part", "/chunked", "/moved", "/missing", "/private/x", "/skip/x", "http://other.example/",
        "mailto:a@b.example", "/away", "/busy", "/b",
    ),
    "/a": html("A", "/deep", "//[broken"),
    "/b": html("B", "/a", "/"),
    "/deep": html("Deep"),
    "/new": html("New place", "/from-new"),
    "/from-new": html("After the move"),
    "/unlinked": html("Nobody points here"),
    "/private/x": html("Private"),
    "/skip/x": html("Skipped"),
    "/busy": html("Busy"),
}  # fmt: skip
REDIRECTS = {"/moved": "/new", "/away": "http://other.example/away"}
ROBOTS = b"User-agent: *\nDisallow: /private/\n"


@dataclass
class Site:
    """The site and what was asked of it."""

    port: int = 0
    asked: list[str] = field(default_factory=list)
    agents: set[str] = field(default_factory=set)
    times: Counter[str] = field(default_factory=Counter)
    robots: bytes = ROBOTS
    robots_status: int = 200
    raw: dict[str, bytes] = field(default_factory=dict)
    """Answers that are sent as they stand, before the connection is closed."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"


@pytest.fixture
def site() -> Iterator[Site]:
    state = Site()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            state.asked.append(self.path)
            state.agents.add(self.headers["User-Agent"])
            state.times[self.path] += 1
            if self.path in state.raw:
                self.wfile.write(state.raw[self.path])
                self.close_connection = True
            elif self.path == "/robots.txt":
                self.answer(state.robots_status, state.robots, "text/plain")
            elif self.path in REDIRECTS:
                self.answer(302, b"", "text/html", ("Location", REDIRECTS[self.path]))
            elif self.path == "/busy" and state.times["/busy"] == 1:
                self.answer(503, b"later", "text/plain", ("Retry-After", "0"))
            elif self.path == "/chunked":
                self.send_response(200)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                body = html("Chunked")
                for part in body[:10], body[10:]:
                    self.wfile.write(f"{len(part):x}\r\n".encode() + part + b"\r\n")
                self.wfile.write(b"0\r\n\r\n")
            elif self.path in PAGES:
                self.answer(200, PAGES[self.path], "text/html; charset=utf-8")
            else:
                self.answer(404, b"<html>nothing here</html>", "text/html")

        def answer(self, status: int, body: bytes, kind: str, *extra: tuple[str, str]) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            for name, value in extra:
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        state.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield state
        server.shutdown()
        thread.join()
