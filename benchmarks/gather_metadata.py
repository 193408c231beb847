"""What pages say of themselves: our metadata and trafilatura's against what people noted, on the same pages.

Usage: python benchmarks/gather_metadata.py WARC GOLD

GOLD is JSON lines with `url` and, where known, title, author, date, license, sitename and description. Compared after
normalization of quotes, dashes, case and white space; authors as sets of names, licenses by kind and version, dates by
day, descriptions also as beginnings of 20 characters or more. Precision is over fields that both a note and the
system fill. Our rules were written with these pages at hand: expect less elsewhere. Prints one JSON line per system.
"""

import html
import json
import re
import statistics
import sys
import time
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

from resiliparse.parse.html import HTMLTree
from trafilatura.metadata import extract_metadata

from libertas.gather.metadata import page_metadata
from libertas.gather.normalize import decode
from libertas.gather.warc import Record, records

FIELDS = ("title", "author", "date", "license", "sitename", "description")
BETWEEN_NAMES = re.compile(r";|,|\bund\b|\band\b|&| / |\bet\b|\by\b")
CREATIVE_COMMONS = re.compile(r"(?:licenses/|cc[ -])((?:by|nc|nd|sa)(?:-(?:by|nc|nd|sa))*)(?:[/ -]([1-4]\.\d))?")


def plain(value: str) -> str:
    text = unicodedata.normalize("NFKC", html.unescape(html.unescape(value))).casefold()
    text = re.sub(r"[“”„«»\"‘’‚'`´]", "", re.sub(r"[–—‒−]", "-", text)).replace("…", "...")
    return " ".join(text.split()).strip(" .")


def names(value: str | list[str]) -> set[str]:
    parts = BETWEEN_NAMES.split(html.unescape(value)) if isinstance(value, str) else value
    return {plain(part) for part in parts} - {""}


def license_of(value: str) -> tuple[str, ...]:
    if re.search("publicdomain/zero|cc0", value.lower()):
        return ("cc0",)
    found = CREATIVE_COMMONS.search(value.lower())
    return (found[1], found[2] or "") if found else (value.lower(),)


def same(field: str, noted: str, said: Any) -> bool:
    if field == "author":
        return names(noted) == names(said)
    if field == "date":
        return noted[:10] == str(said)[:10]
    if field == "license":
        a, b = license_of(noted), license_of(str(said))
        return a == b or (a[0] == b[0] and a[1:] == ("",))
    a, b = plain(noted), plain(str(said))
    if field != "description":
        return a == b
    a, b = a.rstrip(". []"), b.rstrip(". []")
    return a == b or (min(len(a), len(b)) >= 20 and (a.startswith(b) or b.startswith(a)))


def ours(source: str, url: str) -> dict[str, Any]:
    found = page_metadata(HTMLTree.parse(source), source, url)
    return {**found, "date": found.get("published") or found.get("modified"), "sitename": found.get("site")}


def theirs(source: str, url: str) -> dict[str, Any]:
    found = extract_metadata(source, default_url=url)
    return {field: getattr(found, field) for field in FIELDS} if found else {}


def main() -> None:
    warc, gold_file = map(Path, sys.argv[1:])
    gold = {row["url"].strip(): row for row in map(json.loads, gold_file.read_text().splitlines())}
    systems: dict[str, Callable[[str, str], dict[str, Any]]] = {"libertas": ours, "trafilatura": theirs}
    right, filled, noted = ({name: dict.fromkeys(FIELDS, 0) for name in systems} for _ in range(3))
    seconds: dict[str, list[float]] = {name: [] for name in systems}
    for record in records(warc):
        if not isinstance(record, Record) or record.uri.strip() not in gold:
            continue
        row, source = gold[record.uri.strip()], decode(record.body, record.charset, html=True)
        for name, system in systems.items():
            started = time.process_time()
            said = system(source, record.uri.strip())
            seconds[name].append(time.process_time() - started)
            for field in FIELDS:
                note = row.get(field) or ""
                noted[name][field] += bool(note)
                filled[name][field] += bool(note and said.get(field))
                right[name][field] += bool(note and said.get(field)) and same(field, note, said[field])
    for name in systems:
        scores = {}
        for field in FIELDS:
            p = right[name][field] / max(filled[name][field], 1)
            r = right[name][field] / max(noted[name][field], 1)
            scores[field] = {
                "precision": round(p, 3),
                "recall": round(r, 3),
                "f1": round(2 * p * r / max(p + r, 1e-9), 3),
            }
        median = round(statistics.median(seconds[name]) * 1e3, 2)
        print(json.dumps({"benchmark": "gather_metadata", "system": name, "median_ms_with_parsing": median, **scores}))


if __name__ == "__main__":
    main()
