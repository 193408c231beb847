"""Pages per second from raw bytes to text, on one core: ours beside its peers.

Usage: python benchmarks/gather_speed.py WARC [PAGES [ROUNDS]]

All systems take turns on groups of ten pages, in one process on one core, in an order that moves on with each group, so
that a slow second hits all of them. What counts is a system's time for a page: the median over the rounds (3), summed
over the pages (200, spread evenly over the archive). All from the payload's bytes on is timed: decoding, parsing,
extraction; peers that take text get it from `decode`, trafilatura its bytes as its own command line does. `load` says
how busy the machine was at the start and at the end, and `kernel` whether ours is compiled.
Peers: `pip install trafilatura==2.3.1 lxml_html_clean readability-lxml jusText`.
Prints one JSON line per system.
"""

import contextlib
import json
import logging
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import justext
import readability
import trafilatura
from lxml import etree
from lxml import html as lxml_html
from resiliparse.extract.html2text import extract_plain_text
from resiliparse.parse.html import HTMLTree

import libertas.kernel as kernel
from libertas.gather.extract import HTML_TYPES, extract
from libertas.gather.extracted import ReadMode
from libertas.gather.normalize import decode
from libertas.gather.warc import Record, records

PAGES = int(sys.argv[2]) if len(sys.argv) > 2 else 200
ROUNDS = int(sys.argv[3]) if len(sys.argv) > 3 else 3
GROUP = 10
REFERENCE = "trafilatura"
FAILURES = (ValueError, TypeError, AttributeError, etree.LxmlError, readability.readability.Unparseable)


def decoded(record: Record) -> str:
    return decode(record.body, record.charset, html=True)


def ours(mode: ReadMode) -> Callable[[Record], object]:
    return lambda r: extract(r.body, r.content_type, r.charset, mode)


STOP_WORDS = justext.get_stoplist("German")
SYSTEMS: dict[str, Callable[[Record], object]] = {
    "libertas": ours(ReadMode()),
    "libertas markdown": ours(ReadMode(markdown=True)),
    "trafilatura": lambda r: trafilatura.extract(r.body, include_comments=False),
    "trafilatura fast": lambda r: trafilatura.extract(r.body, include_comments=False, fast=True),
    "trafilatura precision": lambda r: trafilatura.extract(r.body, include_comments=False, favor_precision=True),
    "resiliparse": lambda r: extract_plain_text(HTMLTree.parse(decoded(r)), main_content=True, alt_texts=False),
    "readability-lxml": lambda r: lxml_html.fromstring(readability.Document(decoded(r)).summary()).text_content(),
    "jusText": lambda r: justext.justext(decoded(r).encode(), STOP_WORDS, encoding="utf-8"),
}

logging.disable(logging.CRITICAL)
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
pages = [r for r in records(Path(sys.argv[1])) if isinstance(r, Record) and r.status == 200 and r.body]
pages = [r for r in pages if r.content_type in HTML_TYPES]
pages = pages[:: max(1, len(pages) // PAGES)][:PAGES]
groups = [pages[start : start + GROUP] for start in range(0, len(pages), GROUP)]
seconds: dict[str, list[list[float]]] = {name: [[] for _ in pages] for name in SYSTEMS}
names = list(SYSTEMS)
load = [os.getloadavg()[0]]
for name in names:  # the first pages pay for what is loaded once
    SYSTEMS[name](pages[0])
for turn in range(ROUNDS):
    for number, group in enumerate(groups):
        shift = (turn + number) % len(names)
        for name in names[shift:] + names[:shift]:
            for place, record in enumerate(group, start=number * GROUP):
                started = time.perf_counter()
                with contextlib.suppress(*FAILURES):  # the time until it failed counts
                    SYSTEMS[name](record)
                seconds[name][place].append(time.perf_counter() - started)
load.append(os.getloadavg()[0])
totals = {name: sum(map(statistics.median, times)) for name, times in seconds.items()}
for name, total in totals.items():
    line = {
        "benchmark": "gather_speed",
        "system": name,
        "pages_per_second": round(len(pages) / total, 1),
        "median_ms": round(1000 * statistics.median(map(statistics.median, seconds[name])), 2),
        "times_trafilatura": round(totals[REFERENCE] / total, 2),
        "megabytes_per_second": round(sum(len(r.body) for r in pages) / 1e6 / total, 1),
        "pages": len(pages),
        "rounds": ROUNDS,
        "kernel": kernel.native is not None,
        "load": [round(x, 1) for x in load],
    }
    print(json.dumps(line))
