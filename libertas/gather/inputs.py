"""Which archives there are to read: files, archives made by `crawl` and `pack`, lists of paths or URLs, pointers."""

import os
import re
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from libertas.errors import UsageError
from libertas.gather import warc
from libertas.gather.pointers import pointed_records
from libertas.gather.remote import address_below, listed_paths, local_path, open_archive
from libertas.lineage.manifest import named, read_manifest

LISTS = (".paths", ".paths.gz", ".txt", ".txt.gz")
"""How the names of lists end, one path or URL in each line."""
POINTERS = (".cdxj", ".cdxj.gz", ".cdx", ".cdx.gz", ".parquet", ".csv", ".csv.gz")
"""How the names of files end that point to single records."""
SHARD = re.compile(r"([1-9]\d{0,8})/([1-9]\d{0,8})")


URL = re.compile(r"^(https?|s3|gs):/+")
"""Of two slashes, a path keeps one."""


@dataclass(frozen=True)
class Inputs:
    """What there is to read."""

    archives: tuple[str, ...]
    """Paths and URLs, in order."""
    lineage: dict[str, list[Path]]
    """What the corpus names as its inputs, by role: all of it that lies on this machine."""


def inputs_of(given: Iterable[Path], prefix: str = "", shard: str = "1/1") -> Inputs:
    """The archives of plain paths, of archive artifacts and of lists, in order; of these, those of one shard.

    Args:
        given: WARC or ARC files, archive artifacts, lists, pointer files.
        prefix: stands before each line of a list; without it, paths start from the list's folder.
        shard: `3/100` takes the third of all archives, the 103rd, and so on.

    Raises:
        UsageError: a folder is no archive, a name is not UTF-8, or an archive is named twice.
    """
    archives: list[str] = []
    lineage: dict[str, list[Path]] = {"archive": [], "list": [], "pointer": []}
    own: set[str] = set()
    for path in given:
        if path.is_dir():
            found = [str(file) for file in _files_of(path)]
            lineage["archive"].append(path)
            own.update(found)
        elif path.name.endswith(LISTS):
            found = [_placed(line, path, prefix) for line in listed_paths(path)]
            lineage["list"].append(path)
        else:
            found = [URL.sub(r"\1://", str(path))]
        archives += found
    _require_each_once(archives)
    number, of = part_of(shard)
    archives = archives[number - 1 :: of]
    if not archives:
        raise UsageError(f"shard is {shard!r}; expected one with an archive in it; there are fewer archives than that")
    for archive in archives:
        if "://" not in archive and archive not in own:
            lineage["pointer" if archive.endswith(POINTERS) else "archive"].append(Path(archive))
    return Inputs(tuple(archives), {role: paths for role, paths in lineage.items() if paths})


def part_of(shard: str) -> tuple[int, int]:
    """`3/100` as numbers.

    Raises:
        UsageError: it is no such part.
    """
    found = SHARD.fullmatch(shard)
    if not found or int(found[1]) > int(found[2]):
        raise UsageError(f"shard is {shard!r}; expected a number and how many there are, such as '3/100'; count from 1")
    return int(found[1]), int(found[2])


def _files_of(folder: Path) -> list[Path]:
    manifest = read_manifest(folder)
    if manifest.kind != "archive":
        raise UsageError(
            f"{folder} is {named(manifest.kind)}; expected an archive made by `libertas gather crawl` or `pack`"
        )
    return [folder / f.path for f in manifest.files if ".warc" in f.path or ".arc" in f.path]


def _placed(line: str, source: Path, prefix: str) -> str:
    """The path or URL that a line of a list means."""
    place = address_below(prefix, line)
    if place.startswith("file://"):
        return str(local_path(place))
    return place if prefix or "://" in place else str(source.parent / place)


def _require_each_once(archives: list[str]) -> None:
    """Refuse a file that comes twice; two files of the same name are told apart by the ids of their records."""
    seen: set[str] = set()
    for archive in archives:
        raw = os.fsencode(archive)
        if raw.decode("utf-8", "replace").encode() != raw:
            raise UsageError(
                f"{raw.decode('utf-8', 'backslashreplace')} has a name that is not valid UTF-8; expected one that can "
                "stand in a manifest; rename it"
            )
        place = archive if "://" in archive else os.path.realpath(archive)
        if place in seen:
            raise UsageError(f"{archive} is named twice; expected each archive once; leave one of them out")
        seen.add(place)


def records_in(archive: str, prefix: str = "") -> Iterator[warc.Record | warc.Lost]:
    """Every record of an archive, or those that pointers name; what lies elsewhere is copied here for as long.

    Raises:
        UsageError: it cannot be had, or nothing in it can be read.
    """
    with tempfile.TemporaryDirectory(prefix="libertas-") as folder:
        path = open_archive(archive, Path(folder))
        yield from pointed_records(path, prefix) if path.name.endswith(POINTERS) else warc.records(path)
