"""How much of a page's text, and how little of the rest, do extractors keep? Ours beside its peers on the same pages.

Usage: python benchmarks/gather_quality.py WARC GOLD [SYSTEM...]

GOLD is JSON lines: for each `url` of the WARC, segments that must be in the text (`with`) and must not (`without`). A
segment counts if it is a substring, after runs of white space became one space; precision, recall and F1 are over all
segments, as trafilatura's own evaluation counts them. Its modes get the options of that evaluation (no comments, tables
kept) and, like all peers, the same decoded text as we do; where a system fails on a page, the page has no text.
`f1_error` is a standard error and `f1_minus_trafilatura` the difference to its default mode with one, both by 2,000
bootstrap samples of pages; the difference is paired, on the same samples.

`in_sample` is true for ours: the shipped weights were trained on marked segments, and on trafilatura's GOLD they have
seen these very pages. What they do on sites they have not seen is what `scripts/train_extractor.py --folds 5` prints,
and only that figure compares with a peer's; here the lines of peers, and of ours before and after a change, compare.
Peers: `pip install trafilatura==2.3.1 lxml_html_clean readability-lxml jusText`.
Prints one JSON line per system.
"""

import json
import logging
import sys
from collections.abc import Callable
from pathlib import Path

import justext
import numpy as np
import readability
import trafilatura
from lxml import etree
from lxml import html as lxml_html
from resiliparse.extract.html2text import extract_plain_text
from resiliparse.parse.html import HTMLTree

from libertas.gather.extract import extract
from libertas.gather.extracted import Extracted, ReadMode
from libertas.gather.normalize import decode
from libertas.gather.warc import Record, records

SAMPLES = 2000
REFERENCE = "trafilatura"
Extract = Callable[[Record, str], str | None]


def ours(mode: ReadMode) -> Extract:
    def text(record: Record, source: str) -> str | None:
        found = extract(record.body, record.content_type, record.charset, mode)
        return found.text if isinstance(found, Extracted) else None

    return text


def by_justext(record: Record, source: str) -> str:
    paragraphs = justext.justext(source.encode(), justext.get_stoplist("German"), encoding="utf-8")
    return "\n".join(p.text for p in paragraphs if not p.is_boilerplate)


def by_readability(record: Record, source: str) -> str:
    return str(lxml_html.fromstring(readability.Document(source).summary()).text_content())


SYSTEMS: dict[str, Extract] = {
    "libertas": ours(ReadMode()),
    "libertas markdown": ours(ReadMode(markdown=True)),
    "libertas comments": ours(ReadMode(comments=True)),
    "trafilatura": lambda r, s: trafilatura.extract(s, include_comments=False),
    "trafilatura fast": lambda r, s: trafilatura.extract(s, include_comments=False, fast=True),
    "trafilatura precision": lambda r, s: trafilatura.extract(s, include_comments=False, favor_precision=True),
    "resiliparse": lambda r, s: extract_plain_text(HTMLTree.parse(s), main_content=True, alt_texts=False),
    "resiliparse no comments": lambda r, s: extract_plain_text(
        HTMLTree.parse(s), main_content=True, alt_texts=False, comments=False, post_meta=False
    ),
    "readability-lxml": by_readability,
    "jusText": by_justext,
}


def squeezed(text: str) -> str:
    return " ".join(text.split())


def f1(counts: np.ndarray) -> tuple[float, float, float]:
    """Precision, recall and F1 of found, unwanted and wanted segments."""
    found, unwanted, wanted = counts
    precision = found / max(1, found + unwanted)
    recall = found / wanted
    return precision, recall, 2 * precision * recall / max(1e-9, precision + recall)


logging.disable(logging.CRITICAL)
gold = {row["url"].strip(): row for row in map(json.loads, Path(sys.argv[2]).read_text().splitlines())}
chosen = {name: SYSTEMS[name] for name in sys.argv[3:] or SYSTEMS}
counts: dict[str, list[tuple[int, int, int]]] = {name: [] for name in chosen}
failed = dict.fromkeys(chosen, 0)
for record in records(Path(sys.argv[1])):
    row = gold.pop(record.uri, None) if isinstance(record, Record) else None
    if row is None:
        continue
    assert isinstance(record, Record)
    page = decode(record.body, record.charset, html=True)
    for name, system in chosen.items():
        try:
            text = squeezed(system(record, page) or "")
        except (ValueError, TypeError, AttributeError, etree.LxmlError, readability.readability.Unparseable):
            failed[name] += 1
            text = ""
        with_, without = ([squeezed(s) in text for s in row[key]] for key in ("with", "without"))
        counts[name].append((sum(with_), sum(without), len(with_)))

pages = len(next(iter(counts.values())))
assert not gold, f"{len(gold)} pages of the gold are not in the archive"
samples = np.random.default_rng(0).integers(pages, size=(SAMPLES, pages))
weights = np.stack([np.bincount(sample, minlength=pages) for sample in samples])
sampled = {name: np.array([f1(c)[2] for c in weights @ np.array(rows)]) for name, rows in counts.items()}
for name, rows in counts.items():
    precision, recall, score = f1(np.array(rows).sum(axis=0))
    line = {
        "benchmark": "gather_quality",
        "system": name,
        "precision": round(precision, 4),
        "recall": round(recall, 4),
        "f1": round(score, 4),
        "f1_error": round(float(sampled[name].std()), 4),
        "pages": pages,
        "failed": failed[name],
        "in_sample": name.startswith("libertas"),
    }
    if REFERENCE in chosen and name != REFERENCE:
        difference = score - f1(np.array(counts[REFERENCE]).sum(axis=0))[2]
        line["f1_minus_trafilatura"] = round(difference, 4)
        line["f1_minus_trafilatura_error"] = round(float((sampled[name] - sampled[REFERENCE]).std()), 4)
    print(json.dumps(line))
