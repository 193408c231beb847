"""Bytes from another place: ranges of files in a folder, behind http(s), or at any address that fsspec knows.

Ranges: RFC 9110, 14. What fails for a time (no connection, 429, 5xx, an answer that breaks off) is asked for again
after a pause that doubles; what is refused for good (403, 404, no ranges) is not.
"""

import gzip
import http.client
import re
import time
import urllib.error
import urllib.request
import zlib
from email.message import Message
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from libertas.errors import UsageError
from libertas.lineage.artifact import package_version

RETRIES = 4
"""Times a range is asked for again."""
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 60.0
TIMEOUT_SECONDS = 60.0
"""For the connection and for each silence."""
COPY_BYTES = 1 << 20
TOTAL = re.compile(r"bytes\s+(\d+)-\d+/(\d+)")
"""Content-Range: where the range begins, and how long the whole file is."""
LIST_BYTES = 1 << 28
"""A list of paths has no more than this, expanded: 256 MiB; the list of a whole dump has 20 MiB."""


class FetchFailed(OSError):
    """Bytes could not be had."""

    def __init__(self, reason: str, *, lasting: bool = False, pause_seconds: float = 0.0) -> None:
        """The reason, whether asking again is of no use, and the pause that the server wants before."""
        super().__init__(reason)
        self.reason, self.lasting, self.pause_seconds = reason, lasting, pause_seconds


def address_below(prefix: str, name: str) -> str:
    """The address of a file below a folder or URL; one that stands for itself stays as it is."""
    if "://" in name or not prefix:
        return name
    return f"{prefix.rstrip('/')}/{name.lstrip('/')}"


def fetch_range(place: str, offset: int, length: int) -> bytes:
    """Bytes of a file from another place; fewer than asked for only where the file ends.

    Args:
        place: a path, an http(s) address, or one that fsspec opens, such as `s3://`.
        offset: of the first byte.
        length: how many.

    Raises:
        FetchFailed: after the last try.
        UsageError: the address needs a package that is not installed.
    """
    scheme = urlsplit(place).scheme if "://" in place else ""
    read = {"": _from_folder, "file": _from_folder, "http": _from_web, "https": _from_web}.get(scheme, _from_fsspec)
    for attempt in range(RETRIES + 1):
        try:
            return read(place, offset, length)
        except FetchFailed as error:
            if error.lasting or attempt == RETRIES:
                raise
            _pause(attempt, error)
    raise AssertionError("the last try returns or raises")


def _pause(attempt: int, error: FetchFailed) -> None:
    seconds = max(FIRST_PAUSE_SECONDS * 2.0**attempt, error.pause_seconds)
    time.sleep(min(LONGEST_PAUSE_SECONDS, seconds))


def _from_folder(place: str, offset: int, length: int) -> bytes:
    try:
        with local_path(place).open("rb") as file:
            file.seek(offset)
            return file.read(length)
    except OSError as error:
        raise FetchFailed(error.strerror or str(error), lasting=True) from error


def _from_web(place: str, offset: int, length: int) -> bytes:
    with _asked(place, {"Range": f"bytes={offset}-{offset + length - 1}"}) as answer:
        given = TOTAL.match(answer.headers.get("Content-Range") or "")
        if answer.status != 206 or given is None or int(given[1]) != offset:
            raise FetchFailed("the server serves no ranges", lasting=True)
        data = _read(answer, length)
    if len(data) < min(length, int(given[2]) - offset):
        raise FetchFailed(f"the answer ends after {len(data)} of {length} bytes")
    return data


def _asked(place: str, headers: dict[str, str]) -> http.client.HTTPResponse:
    """An open answer to GET, redirects followed."""
    asked = urllib.request.Request(
        quote(place, safe="%/:?=&#+,;@~!$'()*[]"),
        headers={"User-Agent": f"libertas/{package_version()}", "Accept-Encoding": "identity", **headers},
    )
    try:
        answer: http.client.HTTPResponse = urllib.request.urlopen(asked, timeout=TIMEOUT_SECONDS)
        return answer
    except urllib.error.HTTPError as error:
        with error:
            lasting = error.code < 500 and error.code not in (408, 429)
            raise FetchFailed(
                f"HTTP status {error.code}", lasting=lasting, pause_seconds=_retry_after(error.headers)
            ) from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise FetchFailed(str(error) or type(error).__name__, lasting=isinstance(error, ValueError)) from error


def _retry_after(headers: Message) -> float:
    value = (headers.get("Retry-After") or "").strip()
    return float(value) if value.isdigit() and len(value) < 6 else 0.0


def _read(answer: http.client.HTTPResponse, length: int) -> bytes:
    try:
        return answer.read(length)
    except http.client.IncompleteRead as error:
        return error.partial
    except (OSError, http.client.HTTPException) as error:
        raise FetchFailed(str(error) or type(error).__name__) from error


def _from_fsspec(place: str, offset: int, length: int) -> bytes:
    system, path = _fsspec(place)
    try:
        return bytes(system.cat_file(path, start=offset, end=offset + length))
    except (FileNotFoundError, PermissionError) as error:
        raise FetchFailed(str(error) or type(error).__name__, lasting=True) from error
    except OSError as error:
        raise FetchFailed(str(error) or type(error).__name__) from error


def _fsspec(place: str) -> tuple[Any, str]:
    """File system and path of an address that fsspec knows."""
    try:
        from fsspec.core import url_to_fs  # type: ignore[import-untyped]

        system, path = url_to_fs(place)
    except (ImportError, ValueError) as error:
        raise UsageError(
            f"{place} cannot be opened: {error}; expected a path, http(s)://, or an address of an installed fsspec "
            "backend; install fsspec and the backend's package"
        ) from error
    return system, str(path)


def local_path(place: str) -> Path:
    """The file that a path or a `file://` address (RFC 8089) names."""
    return Path(unquote(place.removeprefix("file://")) if place.startswith("file://") else place)


def open_archive(place: str | Path, folder: Path) -> Path:
    """A file on this machine that holds the archive: the file itself, or a whole copy of it under the same name.

    A copy that breaks off goes on where it ended, if the server says that the file is still the same one, and is as
    long as the server said. Whoever asked for it deletes the folder, never the file: it may be the archive itself.

    Args:
        place: a path, an http(s) address, or one that fsspec opens.
        folder: where a copy goes, if one is made.

    Raises:
        UsageError: it cannot be had.
    """
    if isinstance(place, Path) or "://" not in place or place.startswith("file://"):
        return local_path(str(place))
    target = folder / (unquote(urlsplit(place).path).rpartition("/")[2] or "archive")
    temporary = target.with_name(target.name + ".part")
    temporary.unlink(missing_ok=True)
    try:
        (_copy_from_web if place.startswith(("http://", "https://")) else _copy_from_fsspec)(place, temporary)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise UsageError(f"{place} cannot be fetched: {error}; expected a whole archive; check the address") from error
    return temporary.replace(target)


def _copy_from_web(place: str, target: Path) -> None:
    tag, total, failures = "", None, 0
    while True:
        have = target.stat().st_size if target.exists() else 0
        rest = {"Range": f"bytes={have}-", "If-Range": tag} if have and tag else {}
        try:
            with _asked(place, rest) as answer:
                given = TOTAL.match(answer.headers.get("Content-Range") or "")
                goes_on = answer.status == 206 and given is not None and int(given[1]) == have
                tag = _validator(answer.headers)
                length = answer.headers.get("Content-Length")
                total = int(given[2]) if goes_on and given else int(length) if length else None
                with target.open("ab" if goes_on else "wb") as file:
                    while block := _read(answer, COPY_BYTES):
                        file.write(block)
            size = target.stat().st_size
            if total is None or size == total:
                return
            raise FetchFailed(f"{size} of {total} bytes came", lasting=size > total)
        except FetchFailed as error:
            grown = target.exists() and target.stat().st_size >= have + COPY_BYTES
            failures = 0 if grown else failures + 1
            if error.lasting or failures > RETRIES:
                raise
            _pause(failures, error)


def _validator(headers: Message) -> str:
    """What shows that a file has not changed since (RFC 9110, 13.1.5): a strong ETag, or empty."""
    tag = headers.get("ETag") or ""
    return "" if tag.startswith("W/") else tag


def _copy_from_fsspec(place: str, target: Path) -> None:
    system, path = _fsspec(place)
    system.get_file(path, str(target))
    size, total = target.stat().st_size, system.size(path)
    if total is not None and size != total:
        raise FetchFailed(f"{size} of {total} bytes came")


def listed_paths(path: Path) -> list[str]:
    """The lines of a list such as `warc.paths.gz`, plain or gzip, without empty ones.

    Raises:
        UsageError: there is no such list, it is damaged, or nothing is in it.
    """
    try:
        with path.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
        with gzip.open(path, "rb") if packed else path.open("rb") as file:
            text = file.read(LIST_BYTES + 1).decode("utf-8")
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise UsageError(
            f"{path} cannot be read as a list: {error}; expected one path a line, plain or gzip; fetch it again"
        ) from error
    paths = [line.strip() for line in text.splitlines() if line.strip()]
    if not paths or len(text) > LIST_BYTES:
        raise UsageError(f"{path} lists {len(paths):,} paths in {len(text):,} characters; expected one path a line")
    return paths
