"""Lists of domains and addresses that the user gives as files, one entry a line.

A domain is on a list when it, or a domain that it lies below, stands there: `a.example.org` is on a list with
`example.org`, `badexample.org` is not. Names are compared in the ASCII form of IDNA, so that `müller.de` and
`xn--mller-kva.de` are one. Empty lines and what follows `#` are not read.
"""

from functools import lru_cache
from pathlib import Path
from urllib.parse import urlsplit

from libertas.errors import UsageError

LONGEST_HOST = 253
"""Characters of a domain name (RFC 1035, 2.3.4)."""
DEFAULT_PORTS = frozenset({80, 443, None})


def host_of(url: str) -> str | None:
    """The host of an address in its ASCII form; None where it names none."""
    try:
        host = urlsplit(url).hostname
    except ValueError:  # such as brackets that do not close
        return None
    return ascii_host(host) if host else None


def ascii_host(host: str) -> str:
    """A host name as it is compared: lower case, IDNA 2008 where that is defined, no dot at its end."""
    host = host.strip().lower().rstrip(".")
    if host.isascii() or len(host) > LONGEST_HOST:
        return host
    import idna  # large tables, which most runs need not

    try:
        return idna.encode(host, uts46=True).decode("ascii")
    except idna.IDNAError:
        return host


def url_key(url: str) -> str:
    """An address as it is compared: without scheme, default port and fragment, the host in its ASCII form."""
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError:
        return url.strip()
    host = ascii_host(parts.hostname) if parts.hostname else ""
    place = host if port in DEFAULT_PORTS else f"{host}:{port}"
    return f"{place}{parts.path or '/'}{'?' + parts.query if parts.query else ''}"


def on_list(host: str, domains: frozenset[str]) -> bool:
    """Whether a host, or a domain above it, is on a list; looks it up once for each of its labels."""
    if len(host) > LONGEST_HOST:
        return False
    while host not in domains:
        _, dot, host = host.partition(".")
        if not dot:
            return False
    return True


def read_domains(path: Path) -> frozenset[str]:
    """The domains of a list; `*.example.org`, `.example.org` and whole addresses are read as the domain they name.

    Raises:
        UsageError: the file cannot be read as UTF-8 text, or is empty.
    """
    return _domains(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=4)
def _domains(path: Path, _changed: int) -> frozenset[str]:
    entries = (entry.rpartition("//")[2].partition("/")[0].removeprefix("*").lstrip(".") for entry in _entries(path))
    return frozenset(ascii_host(entry) for entry in entries if entry)


def read_urls(path: Path) -> frozenset[str]:
    """The addresses of a list, as `url_key` has them; `example.org/page` is taken as `http://example.org/page`.

    Raises:
        UsageError: the file cannot be read as UTF-8 text, or is empty.
    """
    return _urls(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=2)
def _urls(path: Path, _changed: int) -> frozenset[str]:
    return frozenset(url_key(entry if "//" in entry else f"http://{entry}") for entry in _entries(path))


def _entries(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except IsADirectoryError:
        raise UsageError(f"{path} is a directory; expected a list, one entry a line; name a file") from None
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8 text ({error}); expected a list, one entry a line") from error
    found = [entry for line in lines if (entry := _without_remark(line))]
    if not found:
        raise UsageError(f"{path} lists nothing; expected one domain or address a line")
    return found


def _without_remark(line: str) -> str:
    """An entry; `#` begins a remark at the beginning of a line or behind white space, elsewhere it is part of a URL."""
    words = line.split()
    return "" if not words or words[0].startswith("#") else words[0]
