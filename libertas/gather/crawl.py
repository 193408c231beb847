"""Crawl one site into a WARC file: what came over the wire, request and response, byte for byte.

Polite by default: robots.txt (RFC 9309) is asked first and recorded, then ai.txt, requests are spaced, the crawl stays
on the host, nothing is fetched twice. Pages are taken breadth first in the order of their links, so a crawl of the same
pages visits them in the same order. A crawl that was killed goes on where its archive ends: recorded responses are
replayed, and the time it had taken counts.
"""

import re
import shutil
import time
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urljoin, urlsplit, urlunsplit

from protego import Protego
from resiliparse.parse.html import HTMLTree

from libertas.errors import UsageError
from libertas.gather import warc
from libertas.gather.config import PYTHON_DOCS, CrawlConfig
from libertas.gather.embedded import DOCS_EXCLUDE, DOCS_URL, documentation_server
from libertas.gather.extract import HTML_TYPES
from libertas.gather.normalize import decode
from libertas.gather.wire import Exchange, exchange_of, fetch
from libertas.lineage.artifact import WRITING, Draft, package_version
from libertas.lineage.fingerprint import digest
from libertas.terminal import Bar, progress

ARCHIVE = "crawl.warc.gz"
SECONDS = "seconds"
"""Beside an unfinished archive: how many seconds the crawl has taken; gone when it is finished."""
RETRIES = 3
"""Times a page is asked for again after 429 or 503."""
LONGEST_WAIT = 120.0
"""Seconds: a server that asks for a longer pause is left alone."""
ROBOTS_REDIRECTS = 5
"""RFC 9309, 2.3.1.2: follow at least five redirects of robots.txt."""
OF_THE_SITE = ("/robots.txt", "/ai.txt")
"""What is asked for before any page, and not again where a link leads to it."""
MOST_QUEUED = 100_000
"""Addresses that wait at most; a site that makes up addresses without end stops here."""


@dataclass
class _Crawl:
    """State of one crawl."""

    config: CrawlConfig
    file: BinaryIO
    recorded: dict[str, deque[warc.Stored]]
    """Responses of an interrupted crawl, by address."""
    clock: Path
    """File that keeps `seconds` over an interruption."""
    started: float
    """On the monotonic clock, earlier by what the interrupted crawl had taken."""
    port: int | None
    """Port on 127.0.0.1 that stands for the host, or None to ask the host itself."""
    bar: Bar
    counts: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)
    robots: dict[str, Protego] = field(default_factory=dict)
    attempts: Counter[str] = field(default_factory=Counter)
    last_request: float = float("-inf")
    first_failure: str = ""

    @property
    def seconds_left(self) -> float:
        """Until the limit of `minutes`."""
        return self.config.minutes * 60 - (time.monotonic() - self.started)


def crawl(config: CrawlConfig) -> Path:
    """Make the archive that the config describes, or find it made; returns its folder.

    Raises:
        UsageError: not a single page could be fetched; the message says why.
    """
    draft = Draft(kind="archive", out=config.out, config=config, inputs={}, code=__name__)
    if draft.finished():
        return config.out
    with draft.build(resume=True) as folder, _site(config) as (config, port):
        path, clock = folder / ARCHIVE, folder / SECONDS
        recorded, started = _recover(path), time.monotonic() - _seconds_taken(clock)
        with path.open("ab") as file, progress("Crawling", config.pages) as bar:
            if file.tell() == 0:
                file.write(warc.warcinfo(_now(), f"libertas/{package_version()}", (("robots", "obey"),)))
            state = _Crawl(
                config=config, file=file, recorded=recorded, clock=clock, started=started, port=port, bar=bar
            )
            stopped = _visit(state)
        clock.unlink(missing_ok=True)
        if state.counts["pages"] == 0:
            shutil.rmtree(folder)
            raise UsageError(
                f"{config.url} gave no page: {state.first_failure or stopped}; check the address with a browser"
            )
        draft.counts.update(
            pages=state.counts["pages"],
            bytes=state.counts["bytes"],
            requests=state.counts["requests"],
            stopped=stopped,
            statuses=dict(sorted(state.statuses.items())),
            skipped={k.removeprefix("skip "): n for k, n in sorted(state.counts.items()) if k.startswith("skip ")},
            failed=state.counts["failed"],
        )
    return config.out


@contextmanager
def _site(config: CrawlConfig) -> Iterator[tuple[CrawlConfig, int | None]]:
    """The site to crawl: itself, or Python's documentation served for the time of the crawl."""
    if config.url != PYTHON_DOCS:
        yield config, None
        return
    with documentation_server() as port:
        yield replace(config, url=DOCS_URL, delay=0.0, exclude=(*config.exclude, *DOCS_EXCLUDE)), port


def _recover(path: Path) -> dict[str, deque[warc.Stored]]:
    """Responses that an interrupted crawl left; a torn end of its archive is cut off, and a request without answer."""
    if not path.exists() or path.stat().st_size == 0:
        return {}
    keep, recorded = 0, dict[str, deque[warc.Stored]]()
    for record in warc.unbroken(path):
        if record.type in ("warcinfo", "response"):
            keep = record.end
        if record.type == "response":
            recorded.setdefault(record.uri, deque()).append(record)
    with path.open("r+b") as file:
        file.truncate(keep)
    return recorded


def _seconds_taken(clock: Path) -> float:
    """What an interrupted crawl had taken, up to its last answer; 0 for one that begins."""
    try:
        return float(clock.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return 0.0


def _keep_time(state: _Crawl) -> None:
    """Write down how long the crawl has taken; the file is always whole."""
    temporary = state.clock.with_name(state.clock.name + WRITING)
    temporary.write_text(f"{time.monotonic() - state.started:.3f}", encoding="utf-8")
    temporary.replace(state.clock)


def _visit(state: _Crawl) -> str:
    """Fetch pages until a limit or the end of the links; returns why it stopped."""
    config = state.config
    start = _plain_address(config.url)
    if start is None:
        raise UsageError(f"url is {config.url!r}; expected a web address with a valid host name; check its spelling")
    queue, seen = deque([start]), {start}
    while queue:
        if state.counts["pages"] >= config.pages:
            return f"reached the limit of {config.pages} pages"
        if state.counts["bytes"] >= config.megabytes * 1e6:
            return f"reached the limit of {config.megabytes:g} MB"
        url = queue.popleft()
        if not _allowed(state, url) or (state.attempts[url] and urlsplit(url).path in OF_THE_SITE):
            continue
        # What is recorded takes no time: a crawl that goes on sees all of it again, however late it is.
        if not state.recorded.get(url) and state.seconds_left < _wait(state, url):
            return f"reached the limit of {config.minutes:g} minutes"
        exchange = _fetch_patiently(state, url)
        if exchange is None:
            continue
        if not exchange.whole:
            state.counts["failed"] += 1
            state.first_failure = state.first_failure or f"{url} ended early, after {exchange.bytes:,} bytes"
        elif exchange.status == 200:
            state.counts["pages"] += 1
            state.bar.advance(1, f"{state.counts['bytes'] / 1e6:.1f} MB")
        links = _links(exchange, url)
        redirects = 300 <= exchange.status < 400
        for link in reversed(links) if redirects else links:
            if link in seen:
                continue
            seen.add(link)
            if len(queue) >= MOST_QUEUED:
                state.counts["skip too many links"] += 1
            elif _in_scope(state, start, link):
                queue.appendleft(link) if redirects else queue.append(link)
        if exchange.status != 200 and not state.first_failure:
            state.first_failure = f"{url} answered {exchange.status}" + (f" and points to {links[0]}" if links else "")
    return "every link was visited"


def _plain_address(url: str) -> str | None:
    """An address without fragment, host in lower case, path never empty; None for what is no web address."""
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return None
    try:
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname.encode("idna").decode()
    except UnicodeError:
        return None
    usual = {"http": 80, "https": 443}[parts.scheme]
    place = host if port in (None, usual) else f"{host}:{port}"
    return _quoted(urlunsplit((parts.scheme, place, parts.path or "/", parts.query, "")))


def _quoted(url: str) -> str:
    """Spaces, control characters and letters outside ASCII as %XX of their UTF-8 bytes."""
    return "".join(c if "!" <= c <= "~" else "".join(f"%{b:02X}" for b in c.encode("utf-8", "replace")) for c in url)


def _in_scope(state: _Crawl, start: str, url: str) -> bool:
    """Whether an address belongs to the crawl: same host, and not excluded; http and https may change over."""
    a, b = urlsplit(start), urlsplit(url)
    if a.hostname != b.hostname or (a.port != b.port and a.scheme == b.scheme):
        state.counts["skip out of scope"] += 1
        return False
    if any(url[url.index(b.netloc) + len(b.netloc) :].startswith(p) for p in state.config.exclude):
        state.counts["skip excluded"] += 1
        return False
    return True


def _allowed(state: _Crawl, url: str) -> bool:
    """Whether robots.txt of the address's server lets us have it; asks for it once per server."""
    parts = urlsplit(url)
    origin = f"{parts.scheme}://{parts.netloc}"
    if origin not in state.robots:
        state.robots[origin] = _robots(state, origin)
        _ask_ai_txt(state, f"{origin}/ai.txt")
    if state.robots[origin].can_fetch(url, _product(state.config.user_agent)):
        return True
    state.counts["skip robots"] += 1
    state.first_failure = state.first_failure or f"{origin}/robots.txt does not allow {url}"
    return False


def _ask_ai_txt(state: _Crawl, url: str) -> None:
    """Record what a site says against the use of its texts, before its pages, so that they can carry it."""
    in_time = state.recorded.get(url) or state.seconds_left >= _wait(state, url)
    if in_time and state.robots[url.removesuffix("/ai.txt")].can_fetch(url, _product(state.config.user_agent)):
        _fetch_patiently(state, url)


def _product(user_agent: str) -> str:
    """What robots.txt calls a crawler (RFC 9309, 2.2.1): its product tokens, `libertas/0.1`, without the remarks.

    With the remarks, a group for `research` or `crawler` would be ours.
    """
    return " ".join(re.findall(r"[\w-]+/[\d.]+", user_agent)) or user_agent


def _robots(state: _Crawl, origin: str) -> Protego:
    """The rules of a server. RFC 9309, 2.3.1: without robots.txt all is allowed; with a broken server, nothing."""
    url: str | None = f"{origin}/robots.txt"
    exchange = None
    for _ in range(ROBOTS_REDIRECTS + 1):
        exchange = _fetch_patiently(state, url) if url else None
        if exchange is None or not 300 <= exchange.status < 400:
            break
        url = next(iter(_links(exchange, url or origin)), None)
    if exchange is None or not exchange.whole or exchange.status >= 500 or exchange.status == 429:
        return Protego.parse("User-agent: *\nDisallow: /")
    text = exchange.body.decode("utf-8", "replace") if exchange.status == 200 else ""
    return Protego.parse(text.lstrip("\ufeff"))


def _fetch_patiently(state: _Crawl, url: str) -> Exchange | None:
    """One answer, asked for again when the server says that it is busy; None when there is no answer at all."""
    for attempt in range(RETRIES + 1):
        before = state.counts["requests"]
        exchange = _fetch(state, url)
        if exchange is None or exchange.status not in (429, 503) or attempt == RETRIES:
            return exchange
        wait = max(_seconds(exchange.retry_after, 2.0**attempt), _wait(state, url))
        if not state.recorded.get(url) and wait > min(LONGEST_WAIT, state.seconds_left):
            return exchange
        if state.counts["requests"] > before and not exchange.replayed:
            time.sleep(wait)
    return None


def _seconds(retry_after: str | None, default: float) -> float:
    """Retry-After (RFC 9110, 10.2.3) in seconds: a number, or a date."""
    if retry_after is None:
        return default
    if retry_after.strip().isdigit():
        return float(retry_after)
    try:
        return max(0.0, (parsedate_to_datetime(retry_after) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return default


def _fetch(state: _Crawl, url: str) -> Exchange | None:
    """One answer, from the interrupted crawl's archive or over the wire; what comes over the wire is recorded."""
    config = state.config
    state.counts["requests"] += 1
    if state.recorded.get(url):
        record = state.recorded[url].popleft()
        exchange = exchange_of(record.block, truncated=record.truncated, replayed=True)
    else:
        _pause(state, url)
        try:
            exchange = fetch(
                url, config.user_agent, config.timeout_seconds, int(config.response_megabytes * 1e6), state.port
            )
        except OSError as error:
            _keep_time(state)
            state.counts["failed"] += 1
            state.first_failure = state.first_failure or f"{url} does not answer ({error})"
            return None
        _record(state, url, exchange)
        _keep_time(state)
    state.attempts[url] += 1
    state.counts["bytes"] += exchange.bytes
    state.statuses[str(exchange.status)] += 1
    return exchange


def _pause(state: _Crawl, url: str) -> None:
    """Wait until the server may be asked again."""
    time.sleep(_wait(state, url))
    state.last_request = time.monotonic()


def _wait(state: _Crawl, url: str) -> float:
    """Seconds until the address's server may be asked: after our delay, or that of robots.txt if it is longer."""
    parts = urlsplit(url)
    rules = state.robots.get(f"{parts.scheme}://{parts.netloc}")
    asked = rules.crawl_delay(_product(state.config.user_agent)) if rules else None
    return max(0.0, state.last_request + max(state.config.delay, asked or 0.0) - time.monotonic())


def _record(state: _Crawl, url: str, exchange: Exchange) -> None:
    """Append request and response to the archive in one write."""
    date = _now()
    identifier = warc.record_id("response", url, digest(exchange.body), state.attempts[url])
    request = warc.record_id("request", url, identifier)
    cut = (("WARC-Truncated", exchange.truncated),) if exchange.truncated else ()
    state.file.write(
        warc.written(
            "request",
            url,
            date,
            request,
            "application/http; msgtype=request",
            exchange.request,
            (("WARC-Concurrent-To", f"<{identifier}>"),),
        )
        + warc.written("response", url, date, identifier, "application/http; msgtype=response", exchange.response, cut)
    )
    state.file.flush()


def _links(exchange: Exchange, url: str) -> list[str]:
    """Addresses a page points to, in page order, or where a redirect leads."""
    if exchange.location is not None:
        found = [exchange.location]
    elif exchange.status == 200 and exchange.content_type in HTML_TYPES:
        tree = HTMLTree.parse(decode(exchange.body, exchange.charset, html=True))
        # The slices matter: going through the live collection instead takes time quadratic in its length.
        assert tree.document is not None, "a parsed tree has a document"
        base = tree.document.query_selector("base[href]")
        url = _joined(url, base.getattr("href") or "") if base else url
        found = [a.getattr("href") or "" for a in tree.document.query_selector_all("a[href], area[href]")[:]]
    else:
        found = []
    addresses = (_plain_address(_joined(url, href)) for href in found if href)
    return [a for a in addresses if a is not None]


def _joined(base: str, href: str) -> str:
    try:
        return urljoin(base, href.strip())
    except ValueError:
        return ""


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
