"""What stands beside words for people: the Pile paper's look at co-occurrence (Gao et al. 2020), with its counts shown.

Texts are taken in stretches of `STRETCH` words. A word that stands within `REACH` words of a term counts once for the
term's group and stretch, so that one page that says a thing often weighs no more than a page that says it once. A group
is compared with the others of its category: how often a word stands near women *and* near men says more than either.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import log, log2
from typing import Any

from libertas.curate.datasheet.tally import NAMES, forget, rounded
from libertas.curate.datasheet.terms import GROUP_OF, TERMS, like_an_adjective

REACH = 10
"""Words on either side of a term that count as near it."""
STRETCH = 100
"""Words of a text that count once."""
LEAST = 5
"""Stretches in which a word must stand near a group."""
SURE = 10.83
"""Log-likelihood below which a difference is not shown: 0.1 % of chi-squared with one degree of freedom."""
SHOWN = 12
"""Words of each table."""
EVERYWHERE = 0.1
"""Words near any group in more than this share of stretches say nothing of one (`the`, `was`): no list is needed."""
WORD_CHARACTERS = 40
"""Longer runs of letters are no words."""


@dataclass
class Neighbours:
    """How often each group is spoken of, and which words stand near; groups are named `category/group`."""

    words: int = 0
    """Words of the English texts that were read."""
    mentions: Counter[str] = field(default_factory=Counter)
    stretches: Counter[str] = field(default_factory=Counter)
    """In how many each group is named."""
    near: dict[str, Counter[str]] = field(default_factory=dict)
    """In how many stretches a word stands near a group."""

    def read(self, words: Sequence[str]) -> None:
        """Count one English text, given its words in lower case."""
        self.words += len(words)
        for start in range(0, len(words), STRETCH):
            found: dict[str, set[str]] = {}
            for place in range(start, min(start + STRETCH, len(words))):
                if words[place] in GROUP_OF:
                    group = GROUP_OF[words[place]]
                    self.mentions[group] += 1
                    found.setdefault(group, set()).update(words[max(0, place - REACH) : place + 1 + REACH])
            for group, near in found.items():
                self.stretches[group] += 1
                counts = self.near.setdefault(group, Counter())
                counts.update(w for w in near if w not in GROUP_OF and len(w) <= WORD_CHARACTERS and not w.isdigit())

    def merge(self, other: "Neighbours") -> None:
        """Count what another one has counted; rare words are forgotten where there are very many."""
        self.words += other.words
        self.mentions.update(other.mentions)
        self.stretches.update(other.stretches)
        for group, counts in other.near.items():
            mine = self.near.setdefault(group, Counter())
            mine.update(counts)
            if len(mine) > 2 * NAMES:
                self.near[group], _ = forget(mine)


def association_facts(seen: Neighbours) -> dict[str, Any]:
    """For each category, how often its groups are named, and the words that stand near one rather than the others."""
    categories = {}
    for category, groups in TERMS.items():
        rows = []
        for name in groups:
            group = f"{category}/{name}"
            found = associated(seen, group, [f"{category}/{other}" for other in groups if other != name])
            rows.append(
                {
                    "group": name,
                    "mentions": seen.mentions[group],
                    "stretches": seen.stretches[group],
                    "per_million": rounded(1e6 * seen.mentions[group] / seen.words) if seen.words else 0.0,
                    "words": found[:SHOWN],
                    "adjectives": [r for r in found if like_an_adjective(r["word"])][:SHOWN],
                }
            )
        categories[category] = rows
    settings = {"reach": REACH, "stretch": STRETCH, "least": LEAST, "sure": SURE}
    return {"english_words": seen.words, **settings, "categories": categories}


def associated(seen: Neighbours, group: str, others: Sequence[str]) -> list[dict[str, Any]]:
    """Words that stand near one group more often than near the others, the surest first.

    Returns:
        Rows of word, `count` (stretches), `times` (its share in the stretches of the group over its share in those of
        all groups), `pmi` (log2 of that: pointwise mutual information), `g2` (log-likelihood ratio, Dunning 1993).
    """
    size, rest = seen.stretches[group], sum(seen.stretches[other] for other in others)
    rows = []
    for word, count in seen.near.get(group, Counter[str]()).items():
        outside = sum(seen.near[other][word] for other in others if other in seen.near)
        expected = (count + outside) * size / (size + rest)
        if count + outside > max(LEAST, EVERYWHERE * (size + rest)) or count < LEAST or count <= expected:
            continue
        if (g2 := log_likelihood(count, outside, size, rest)) >= SURE:
            times = count / expected
            rows.append(
                {"word": word, "count": count, "times": rounded(times), "pmi": rounded(log2(times)), "g2": rounded(g2)}
            )
    return sorted(rows, key=lambda r: (-r["g2"], r["word"]))


def log_likelihood(inside: int, outside: int, size: int, rest: int) -> float:
    """G² of a word in `inside` of `size` stretches and `outside` of `rest` (Dunning 1993)."""
    total = size + rest
    observed = ((inside, size), (outside, rest), (size - inside, size), (rest - outside, rest))
    with_word = inside + outside
    margins = (with_word, with_word, total - with_word, total - with_word)
    return 2 * sum(o * log(o * total / (m * n)) for (o, n), m in zip(observed, margins, strict=True) if o)
