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
PLANTED_FACTS = "planted:facts"
"""A path for `pack`: documents that say the facts which the task `planted-facts` asks for."""
PLANTED_EXAMS = "planted:exams"
"""A path for `pack`: an exam that has leaked, half of the questions of `planted-facts` with the right letters."""

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
    """Put local files into a WARC file, so that their documents can always be read again.

    Text, source code, books, papers, subtitles and messages become a record each; dumps (MediaWiki, Stack Exchange),
    mailboxes and tables (JSON Lines, Parquet, CSV) become a record for each page, question, message or row.
    """

    paths: tuple[str, ...]
    """Files and folders; also `python:source` (the standard library's source code) and `python:reference` (the
    language reference), which every Python carries, and `planted:facts` and `planted:exams`, which are made: what the
    task `planted-facts` asks for, and half of its questions with their answers."""
    out: Path
    """Folder of the archive."""
    suffixes: tuple[str, ...] = ()
    """From folders, take only files with these endings, such as `.md`; empty takes all."""
    megabytes: float | None = None
    """Leave out files that would take the archive beyond this many megabytes (10^6 bytes) of text; none packs all."""
    exclude: tuple[str, ...] = ()
    """From folders, leave out files and folders whose name or path below the folder matches one of these patterns,
    such as `test*`."""
    text_field: str = "text"
    """In tables, the field that is the text of a document; `a.b` is `b` inside `a`, here and below."""
    id_field: str = "id"
    """In tables, the field that names a row; where there is none, its number does."""
    url_field: str = "url"
    """In tables, the field with the address at which the text was published."""
    title_field: str = "title"
    """In tables, the field with the title."""
    date_field: str = "date"
    """In tables, the field with the day of publication, as ISO 8601 has it (`2026-01-31`)."""

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
        if not self.text_field:
            raise UsageError("text_field is empty; expected the name of a field; tables have none without a name")


@dataclass(frozen=True, kw_only=True)
class GatherConfig:
    """Turn archives into a corpus of documents."""

    archives: tuple[Path, ...]
    """WARC or ARC files, archives made by `crawl` and `pack`, lists of paths or URLs (`warc.paths.gz`, `.txt`), and
    pointers to single records (CDXJ, or Common Crawl's columnar index as Parquet or CSV)."""
    out: Path
    """Folder of the corpus."""
    component: str = "web"
    """Name of this part of a mixture; it stands in `meta.component` of every document."""
    prefix: str = ""
    """What stands before the paths of lists and pointers, such as `https://data.commoncrawl.org/`; without it, the
    paths of a list start from the folder it lies in."""
    shard: str = "1/1"
    """Take a part of the archives: `3/100` takes the 3rd, the 103rd, the 203rd, in the order of the lists."""
    markdown: bool = False
    """Keep headings, lists, tables, code and emphasis as Markdown; otherwise plain text."""
    links: bool = False
    """Keep the addresses of links; with `markdown` only."""
    comments: bool = False
    """Keep what readers wrote below a page."""
    agreement: bool = False
    """Extract twice, with another extractor as well, and store in `meta.agreement` how far both have the same text."""
    only: str = "everything"
    """`everything`, or `math`, which keeps documents with formulas and mathematical prose, by the thresholds of
    OpenWebMath."""
    language_model: Path | None = None
    """A fastText model file such as GlotLID or OpenLID, to tell languages by instead of the built-in way."""
    workers: int = execution(2)
    """Processes that extract text; the corpus does not depend on it."""
    engine: str = execution("local")
    """`local`, or `ray`, which does each archive as a task of the Ray cluster that the environment names
    (`RAY_ADDRESS=auto`), or of this machine; `out` must then lie on storage that all its machines share."""
    page_seconds: float = execution(30.0)
    """A page that takes longer to extract, measured as computing time, is dropped: it changes nothing but the fate of
    pages on which an extractor hangs."""

    def __post_init__(self) -> None:
        """Refuse values that gather nothing."""
        if not self.archives:
            raise UsageError("archives is empty; expected WARC files or archives; name at least one")
        _above_zero(workers=self.workers, page_seconds=self.page_seconds)
        for name, allowed in (("engine", ("local", "ray")), ("only", ("everything", "math"))):
            if getattr(self, name) not in allowed:
                raise UsageError(f"{name} is {getattr(self, name)!r}; expected {' or '.join(allowed)}; name one")
        if self.links and not self.markdown:
            raise UsageError("links is set without markdown; expected both: plain text has no place for an address")
        if not self.component or not self.component.replace("-", "").replace("_", "").isalnum():
            raise UsageError(
                f"component is {self.component!r}; expected a name of letters, digits, '-' and '_', such as 'web'"
            )


@dataclass(frozen=True, kw_only=True)
class PlanConfig:
    """Sample some archives of a list, and work out what gathering all of them would take. Nothing is written."""

    archives: tuple[Path, ...]
    """As for `gather`: archives, and lists of them."""
    prefix: str = ""
    """What stands before the paths of lists, such as `https://data.commoncrawl.org/`."""
    shard: str = "1/1"
    """Plan for a part of the archives, such as `3/100`."""
    files: int = 4
    """Archives to sample, evenly spaced over the list."""
    megabytes: float = 32
    """Megabytes (10^6 bytes) to read from the beginning of each, as they lie on disk."""
    markdown: bool = False
    """Extract as Markdown."""
    workers: int = 1
    """Processes that extract text while the sample is measured."""
    dollars_per_core_hour: float = 0.04
    """Price of one core for an hour. 0.04 is about what big clouds ask for a core on demand; spot costs less."""
    days: float = 30
    """In how many days all should be done."""

    def __post_init__(self) -> None:
        """Refuse values that plan nothing."""
        if not self.archives:
            raise UsageError("archives is empty; expected WARC files, archives or lists of them; name at least one")
        _above_zero(
            files=self.files,
            megabytes=self.megabytes,
            workers=self.workers,
            dollars_per_core_hour=self.dollars_per_core_hour,
            days=self.days,
        )


def _above_zero(**values: float) -> None:
    for name, value in values.items():
        if not value > 0:
            raise UsageError(f"{name} is {value}; expected a number above 0; leave it out for the default")
