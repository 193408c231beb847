"""What the sample of a component says again and again: lines and runs of words that many documents share."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from libertas.curate.datasheet.sample import KeyedSample
from libertas.curate.datasheet.words import without_contacts, words_in

LINE_CHARACTERS = 30
"""Shorter lines are headings and labels."""
SHOWN_CHARACTERS = 160
RUN_WORDS = 8
MOST_RUNS = 4096
"""Most frequent runs among which those of different texts are looked for."""
SHOWN = 8
"""Lines and runs of each component."""


def repeat_facts(samples: Mapping[str, KeyedSample]) -> dict[str, Any]:
    """Lines and runs of words that stand in the most sampled documents of each component."""
    return {
        "run_words": RUN_WORDS,
        "line_characters": LINE_CHARACTERS,
        "components": {
            name: {
                "documents": len(sample.documents),
                "lines": common_lines([d.text for d in sample.documents]),
                "runs": common_runs([d.text for d in sample.documents]),
            }
            for name, sample in sorted(samples.items())
        },
    }


def common_lines(texts: list[str]) -> list[dict[str, Any]]:
    """Lines of `LINE_CHARACTERS` or more that stand in two texts at least, those in most first."""
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update({s[:SHOWN_CHARACTERS] for line in text.split("\n") if len(s := line.strip()) >= LINE_CHARACTERS})
    ordered = sorted(((n, line) for line, n in counts.items() if n > 1), key=lambda pair: (-pair[0], pair[1]))
    return [{"text": without_contacts(line), "documents": count} for count, line in ordered[:SHOWN]]


def common_runs(texts: list[str]) -> list[dict[str, Any]]:
    """Runs of `RUN_WORDS` words that stand in two texts at least; of those that overlap, the first."""
    numbers: dict[str, int] = {}
    words = [[numbers.setdefault(w.lower(), len(numbers)) for w in words_in(text)] for text in texts]
    hashes = [_run_hashes(np.array(each, dtype=np.uint64)) for each in words]
    distinct, counts = np.unique(np.concatenate([np.unique(h) for h in hashes]), return_counts=True)
    order = np.lexsort((distinct, -counts))[:MOST_RUNS]
    wanted = {int(distinct[i]): int(counts[i]) for i in order if counts[i] > 1}
    places = _first_places(hashes, wanted)
    names, shown = list(numbers), list[dict[str, Any]]()
    taken: list[tuple[int, int, int]] = []
    for run, count in sorted(wanted.items(), key=lambda pair: (-pair[1], places[pair[0]])):
        text, place = places[run]
        near = any(text == t and (count == c or abs(place - p) < RUN_WORDS) for t, p, c in taken)
        if len(shown) < SHOWN and not near:
            taken.append((text, place, count))
            said = " ".join(names[w] for w in words[text][place : place + RUN_WORDS])
            shown.append({"text": without_contacts(said[:SHOWN_CHARACTERS]), "documents": count})
    return shown


MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
"""2^64 over the golden ratio, odd: its powers spread word numbers over 64 bits (Knuth, volume 3, 6.4)."""


def _run_hashes(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """A polynomial hash of every run of `RUN_WORDS` words; shape (runs,)."""
    runs = max(0, len(words) - RUN_WORDS + 1)
    total = np.zeros(runs, dtype=np.uint64)
    with np.errstate(over="ignore"):
        for place in range(RUN_WORDS):
            total = total * MULTIPLIER + words[place : place + runs] + np.uint64(1)
    return total


def _first_places(hashes: list[NDArray[np.uint64]], wanted: Mapping[int, int]) -> dict[int, tuple[int, int]]:
    """Text and word where each wanted run stands first."""
    sought = np.array(sorted(wanted), dtype=np.uint64)
    places: dict[int, tuple[int, int]] = {}
    for number, each in enumerate(hashes):
        for place in np.flatnonzero(np.isin(each, sought)):
            places.setdefault(int(each[place]), (number, int(place)))
    return places
