"""What the gather room can be asked to do; importing this costs nothing."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from libertas.errors import UsageError
from libertas.lineage.fingerprint import execution

PYTHON_DOCS = "python:docs"
"""A `url` for `crawl`: Python's own documentation, served on loopback while the crawl lasts."""
PYTHON_SOURCE = "python:source"
"""A path for `pack`: the source code of the standard library."""
PYTHON_REFERENCE = "python:reference"
"""A path for `pack`: the language reference that every Python carries in `pydoc_data.topics`."""

USER_AGENT = "libertas/0.1 (research crawler; obeys robots.txt)"


@dataclass(frozen=True, kw_only=True)
class CrawlConfig:
    """Fetch the pages of one site into a WARC file, politely."""

    url: str
    """First page to fetch; the crawl stays on its host. `python:docs` crawls Python's own documentation, offline."""
    out: Path
    """Folder of the archive."""
    pages: int = 200
    """Stop after this many pages with status 200."""
    megabytes: float = 50
    """Stop after this many megabytes (10^6 bytes) of responses, counted as they came over the wire."""
    minutes: float = 30
    """Stop after this many minutes, interruptions left out: a crawl that was killed goes on with the time it had taken
    up to its last answer."""
    delay: float = execution(1.0)
    """Seconds between two requests; a longer Crawl-delay in robots.txt wins. `python:docs` needs none."""
    exclude: tuple[str, ...] = ()
    """Do not fetch paths that begin with one of these, such as `/search`."""
    user_agent: str = USER_AGENT
    """How the crawler introduces itself; add a way to reach you."""
    timeout_seconds: float = execution(30.0)
    """Give up on a connection that says nothing for this long."""
    response_megabytes: float = 10
    """Cut a single response off after this many megabytes; the record says `WARC-Truncated: length`."""

    def __post_init__(self) -> None:
        """Refuse values that no crawl can have."""
        if self.url != PYTHON_DOCS:
            parts = urlsplit(self.url)
            if parts.scheme not in ("http", "https") or not parts.hostname:
                raise UsageError(
                    f"url is {self.url!r}; expected http://… or https://… with a host, or {PYTHON_DOCS}; "
                    "write the address of the first page in full"
                )
        _above_zero(
            pages=self.pages,
            megabytes=self.megabytes,
            minutes=self.minutes,
            timeout_seconds=self.timeout_seconds,
            response_megabytes=self.response_megabytes,
        )
        if self.delay < 0:
            raise UsageError(f"delay is {self.delay}; expected 0 or more seconds; 1 is polite")
        if bad := [p for p in self.exclude if not p.startswith("/")]:
            raise UsageError(f"exclude has {bad[0]!r}; expected path prefixes that begin with '/', such as '/search'")
        if not self.user_agent.isprintable() or not self.user_agent.strip() or not self.user_agent.isascii():
            raise UsageError(
                f"user_agent is {self.user_agent!r}; expected one line of ASCII text such as {USER_AGENT!r}"
            )


@dataclass(frozen=True, kw_only=True)
class PackConfig:
    """Put local text files into a WARC file, so that their documents can always be read again."""

    paths: tuple[str, ...]
    """Files and folders; also `python:source` (the standard library's source code) and `python:reference` (the
    language reference), which every Python carries."""
    out: Path
    """Folder of the archive."""
    suffixes: tuple[str, ...] = ()
    """From folders, take only files with these endings, such as `.md`; empty takes all."""
    megabytes: float | None = None
    """Leave out files that would take the archive beyond this many megabytes (10^6 bytes) of text; none packs all."""
    exclude: tuple[str, ...] = ()
    """From folders, leave out files and folders whose name or path below the folder matches one of these patterns,
    such as `test*`."""

    def __post_init__(self) -> None:
        """Refuse values that pack nothing."""
        if not self.paths:
            raise UsageError(
                f"paths is empty; expected files, folders, {PYTHON_SOURCE} or {PYTHON_REFERENCE}; name one"
            )
        if bad := [s for s in self.suffixes if not s.startswith(".")]:
            raise UsageError(f"suffixes has {bad[0]!r}; expected endings with a dot; write '.{bad[0]}'")
        if self.megabytes is not None:
            _above_zero(megabytes=self.megabytes)


@dataclass(frozen=True, kw_only=True)
class GatherConfig:
    """Turn archives into a corpus of documents."""

    archives: tuple[Path, ...]
    """WARC files, or archives made by `crawl` and `pack`."""
    out: Path
    """Folder of the corpus."""
    component: str = "web"
    """Name of this part of a mixture; it stands in `meta.component` of every document."""
    workers: int = execution(2)
    """Processes that extract text; the corpus does not depend on it."""

    def __post_init__(self) -> None:
        """Refuse values that gather nothing."""
        if not self.archives:
            raise UsageError("archives is empty; expected WARC files or archives; name at least one")
        _above_zero(workers=self.workers)
        if not self.component or not self.component.replace("-", "").replace("_", "").isalnum():
            raise UsageError(
                f"component is {self.component!r}; expected a name of letters, digits, '-' and '_', such as 'web'"
            )


def _above_zero(**values: float) -> None:
    for name, value in values.items():
        if not value > 0:
            raise UsageError(f"{name} is {value}; expected a number above 0; leave it out for the default")
