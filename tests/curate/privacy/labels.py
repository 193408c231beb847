"""The labelled passages of `labelled.jsonl`, read.

Each line has a `text` in which personal data stand between ⟦kind: and ⟧, and the `half` it belongs to. Values are
invented; check digits are right where a number needs them. A broken bar within a secret is no part of it: it keeps
scanners for leaked secrets quiet.
"""

import re
from pathlib import Path

import orjson

MARK = re.compile(r"⟦(\w+):(.*?)⟧", re.DOTALL)
PASSAGES = Path(__file__).parent / "labelled.jsonl"
Labels = set[tuple[int, int, str]]


def labelled(half: str) -> list[tuple[str, Labels]]:
    """Passages of the half `tuning` or `held-out`, each with its spans (start, end, kind)."""
    rows = map(orjson.loads, PASSAGES.read_bytes().splitlines())
    return [read_marks(row["text"]) for row in rows if row["half"] == half]


def read_marks(marked: str) -> tuple[str, Labels]:
    """The text without its marks, and the spans they stood around."""
    text, labels, after = "", set(), 0
    for mark in MARK.finditer(marked):
        text += marked[after : mark.start()]
        value = mark[2].replace("¦", "")
        labels.add((len(text), len(text) + len(value), mark[1]))
        text, after = text + value, mark.end()
    return text + marked[after:], labels
